"""Names of slips, held to other numbers: what a report blames has to give the slip's gradients there, too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import Network
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.comparison import rows
from tinygrad_rnn.comparison.diagnosis.own_lines import MISTAKE
from tinygrad_rnn.comparison.diagnosis.search import Search
from tinygrad_rnn.comparison.report import Diagnosis, Report
from tinygrad_rnn.derivation.derivation import Derivation
from tinygrad_rnn.derivation.edits.editing import Bench

SEEDS = (101, 102)


@contextlib.contextmanager
def derivations_kept(known: Sequence[Derivation] = ()) -> Iterator[list[Derivation]]:
    """The derivations that comparisons use while this is entered: their own, or the one that is known."""
    kept: list[Derivation] = list(known[:1])

    def keeping(recording):
        found = (known[0], "") if known else derived(recording)
        kept.extend([found[0]] if found[0] is not None and not known else [])
        return found

    derived = rows.derived
    with mock.patch.object(rows, "derived", keeping):
        yield kept


@contextlib.contextmanager
def edits_kept() -> Iterator[None]:
    """List the edits of a line once for all searches of a derivation: that takes longer than to try them."""
    lists: dict[Any, Any] = {}

    def edits_once(search, line, rank):
        key = search.derivation, line, rank
        if key not in lists:
            lists[key] = edits(search, line, rank)
        return lists[key]

    edits = Search.edits
    with mock.patch.object(Search, "edits", edits_once):
        yield


def false_names(report: Report, network: Network, slip: str | None, derivations: list[Derivation]) -> list[Diagnosis]:
    """The names in a report of a slip that other numbers refute."""
    complete = [one for one in report.diagnoses if one.complete]
    return [one for one in complete if _is_refuted(one, network, slip, derivations)]


def _is_refuted(one: Diagnosis, network: Network, slip: str | None, derivations: list[Derivation]) -> bool:
    return any(not _holds(one, network, other, slip, derivations) for other in others(network))


def _holds(one: Diagnosis, network: Network, other: Network, slip: str | None, derivations: list[Derivation]) -> bool:
    """Whether a name is true of the same slip with other numbers."""
    given = other.manual(slip)(other.parameters, *other.data)
    right = other.manual()(other.parameters, *other.data)
    if any(np.allclose(given[name], right[name], rtol=1e-7, atol=1e-9) for name in one.parameters):
        return True  # the slip doesn't show there: nothing is refuted
    if one.mistake == MISTAKE:  # the line of the function, which other numbers don't move
        place, _, _ = one.sentence.partition(", the values of")
        told = other.compare(slip, referee="never").diagnoses
        return any(again.edits or again.sentence.startswith(place) for again in told)
    if not one.edits:
        return any(
            (again.mistake, again.parameters) == (one.mistake, one.parameters)
            for seconds in (0.01, None)  # what is said of the arrays themselves takes no search
            for again in tr.compare(
                other.loss, given, other.parameters, other.data, referee="never", seconds=seconds
            ).diagnoses
        )
    for derivation in derivations:
        if all(edit.line in derivation.lines for edit in one.edits):
            bench = Bench(derivation, other.parameters, _renewed(derivation, network, other))
            names = derivation.names
            is_right = all(np.allclose(bench.gradient(names[n]), right[n], rtol=1e-7, atol=1e-9) for n in right)
            if bench.kinks() or not is_right:
                return True  # there are conventions there, or the lines were read off a run that took another branch
            run = bench.run(one.edits)
            return all(np.allclose(run.gradient(names[n]), given[n], rtol=1e-6, atol=1e-8) for n in given)
    return True


def _renewed(derivation, network, other):
    """The data of a derivation with the arrays of another network in place of those of this one."""
    pairs = list(zip(*map(_arrays, (network, other))))
    new = {}
    for name, array in derivation.data.items():
        same = [b for a, b in pairs if np.shape(a) == np.shape(array) and np.array_equal(a, array)]
        new[name] = same[0] if same else array
    return new


def _arrays(network):
    """The arrays of the data; those of a list of sequences as the lines have them, one after another."""
    if not any(isinstance(given, list) for given in network.data):
        return network.data
    return tr.derive(network.loss, network.parameters, network.data, check=False).given.values()


def others(network: Network) -> Iterator[Network]:
    """The same network with other parameters and data of the same kinds."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        parameters = {name: _numbers(value, rng) for name, value in network.parameters.items()}
        yield replace(network, parameters=parameters, data=tuple(_like(array, rng) for array in network.data))


def _like(array, rng):
    if isinstance(array, (list, tuple)) and len(set(map(np.shape, leaves(array)))) > 1:
        return type(array)(_like(part, rng) for part in array)
    array = np.asarray(array)
    if array.dtype.kind in "iub":
        return rng.permutation(array.ravel()).reshape(array.shape)
    if array.size > 1 and len(np.unique(array)) <= 3:  # a mask, or classes as rows of zeros and ones
        return rng.permutation(array, axis=1 if array.ndim > 1 else 0)
    return _numbers(array, rng)


def _numbers(array, rng):
    array = np.asarray(array)
    if np.all(array > 0):
        return array * np.exp(0.4 * rng.normal(size=array.shape))
    return (np.std(array) or 0.7) * rng.normal(size=array.shape)
