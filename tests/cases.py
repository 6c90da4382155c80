"""Thousands of small cases of one test, run a group at a time: a test costs pytest more than such a case takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import tinygrad_rnn as tr

Test = Callable[..., None]


def in_groups(argument: str, groups: Mapping[str, Mapping[str, Any]]) -> Callable[[Test], Test]:
    """Decorate a test of one case, so that a group of cases is one test: all of them run, those that fail are named.

    Args:
        argument: which argument of the test is the case. The others are fixtures or parameters, as usual.
        groups: the cases by name, in groups by name.
    """

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(cases: Mapping[str, Any], **others: Any) -> None:
            failed, skipped = {}, []
            for name, case in cases.items():
                tr.manual_seed(0)  # as before every test (conftest.py)
                try:
                    test(**{argument: case}, **others)
                except pytest.skip.Exception as skip:
                    skipped.append(skip)
                except Exception as error:  # of whatever kind: it fails this case, and the others run, too
                    failed[name] = error
            if failed:
                first = next(iter(failed.values()))
                raise AssertionError(f"{len(failed)} of {len(cases)} cases: {'; '.join(failed)}") from first
            if len(skipped) == len(cases):
                raise skipped[0]

        del run.__wrapped__  # type: ignore[attr-defined]  # pytest would take its arguments
        parameters = {**inspect.signature(test).parameters}
        case = parameters.pop(argument).replace(name="cases")
        run.__signature__ = inspect.Signature([case, *parameters.values()])  # type: ignore[attr-defined]
        return pytest.mark.parametrize("cases", groups.values(), ids=groups)(run)

    return decorate
