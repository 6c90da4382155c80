"""Random programs, eager, compiled, twice differentiated and as cells: nothing wrong, and little refused."""

from __future__ import annotations

from hypothesis import HealthCheck, event, given, settings

from tests.programs.grammar import Program, programs
from tests.programs.judging import Refused, judge, judge_cell

CELL_SHAPES = [(2, 3), (2, 2), (3, 2), (2,)]
slow = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]


@settings(max_examples=150, deadline=None, suppress_health_check=slow)
@given(programs())
def test_programs(program: Program) -> None:
    try:
        event("judged by differences, too" if judge(program) else "at a kink")
    except Refused as refusal:
        event(f"refused: {refusal}")


@settings(max_examples=50, deadline=None, suppress_health_check=slow)
@given(programs(CELL_SHAPES, most_lines=8))
def test_cells(program: Program) -> None:
    try:
        event("judged by differences, too" if judge_cell(program) else "at a kink")
    except Refused as refusal:
        event(f"refused: {refusal}")
