"""Measure, and print what was found as Markdown; progress goes to standard error."""

from __future__ import annotations

import argparse

from . import (
    compiled,
    distributed,
    drawing,
    eager,
    engine,
    first_call,
    growth,
    learning,
    lengths,
    memory,
    primitives,
    scan,
    training,
)
from .harness import Effort
from .processors import EMULATED, emulate
from .report import machine

SUITES = {
    "eager": eager,
    "engine": engine,
    "primitives": primitives,
    "compiled": compiled,
    "first_call": first_call,
    "growth": growth,
    "lengths": lengths,
    "scan": scan,
    "distributed": distributed,
    "training": training,
    "learning": learning,
    "memory": memory,
    "drawing": drawing,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="turns (%(default)s)")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="length of a turn (%(default)s)")
    parser.add_argument("--threads", type=int, default=Effort.threads, help="for each contender (%(default)s)")
    parser.add_argument("--processor", choices=EMULATED, help="emulate one with other vector registers than this one")
    arguments = parser.parse_args()
    unknown = set(arguments.suites) - SUITES.keys()
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if arguments.processor:
        emulate(arguments.processor)
    effort = Effort(arguments.rounds, arguments.seconds, arguments.threads)
    print(f"# Benchmarks\n\n{machine(effort)}")
    for name in arguments.suites or SUITES:
        if found := SUITES[name].run(effort, arguments.case):
            print(f"\n## {name.capitalize()}\n\n{found}", flush=True)


if __name__ == "__main__":
    main()
