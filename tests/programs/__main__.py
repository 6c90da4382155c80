"""A long run of random programs: ``python -m tests.programs --minutes 10``, and what came of it.

Every program that goes wrong is printed, made as small as Hypothesis can, with the numbers that it was run on.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import time
import traceback
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.programs.grammar import Program, programs
from tests.programs.judging import Refused, judge, judge_cell
from tests.programs.test_random_programs import CELL_SHAPES

BATCH = 50  # programs drawn with one seed


def tried(kind: str, number: int, executor: str, figures: collections.Counter[str]) -> None:
    """Draw and judge a batch of programs."""
    judging: Callable[..., bool] = judge if kind == "function" else judge_cell
    strategy = programs() if kind == "function" else programs(CELL_SHAPES, most_lines=8)

    @seed(number)
    @settings(
        max_examples=BATCH, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(strategy)
    def run(program: Program) -> None:
        figures[f"{kind}: programs"] += 1
        figures[f"{kind}: lines"] += len(program.lines)
        try:
            figures[f"{kind}: " + ("agree" if judging(program, executor=executor) else "agree, at a kink")] += 1
        except Refused as refusal:
            figures[f"{kind}: refused: {refusal}"] += 1

    try:
        run()
    except Exception:
        figures[f"{kind}: WRONG"] += 1
        print(f"--- wrong, {kind}s with seed {number} ---")
        traceback.print_exc(limit=-3)


def main(argv: Any = None) -> int:
    """Run until time is over, print figures; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", default="numpy", choices=["numpy", "llvm"])
    arguments = parser.parse_args(argv)
    end = time.monotonic() + 60 * arguments.minutes
    figures: collections.Counter[str] = collections.Counter()
    for number in itertools.count(arguments.seed):
        for kind in ("function", "cell"):
            if time.monotonic() < end:
                tried(kind, number, arguments.executor, figures)
        if time.monotonic() >= end:
            break
    for name, count in sorted(figures.items()):
        print(f"{count:8d}  {name}")
    return 1 if any("WRONG" in name for name in figures) else 0


if __name__ == "__main__":
    raise SystemExit(main())
