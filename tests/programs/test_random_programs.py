"""Random programs, eager, compiled, twice differentiated and as cells: nothing wrong, and little refused.

The sweep tries more of them; Hypothesis draws others for a test of another name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, event, given, settings

from tests.programs.grammar import Program, programs
from tests.programs.judging import Refused, judge, judge_cell

CELL_SHAPES = [(2, 3), (2, 2), (3, 2), (2,)]
slow = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]


def held(judge: Callable[[Program], bool], program: Program) -> None:
    try:
        event("judged by differences, too" if judge(program) else "at a kink")
    except Refused as refusal:
        event(f"refused: {refusal}")


@settings(max_examples=40, deadline=None, suppress_health_check=slow)
@given(programs())
def test_programs(program: Program) -> None:
    held(judge, program)


@settings(max_examples=15, deadline=None, suppress_health_check=slow)
@given(programs(CELL_SHAPES, most_lines=8))
def test_cells(program: Program) -> None:
    held(judge_cell, program)


@pytest.mark.sweep
@settings(max_examples=150, deadline=None, suppress_health_check=slow)
@given(programs())
def test_many_programs(program: Program) -> None:
    held(judge, program)


@pytest.mark.sweep
@settings(max_examples=50, deadline=None, suppress_health_check=slow)
@given(programs(CELL_SHAPES, most_lines=8))
def test_many_cells(program: Program) -> None:
    held(judge_cell, program)
