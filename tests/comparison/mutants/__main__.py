"""Print which random mutants are named: ``python -m tests.comparison.mutants [--network X] [--seed 1] [--count 4]``.

The derivations by hand of the planted networks, without their slips, are changed in one place each by a rule of
``mutations``. Nobody chooses which, so the share that is named is an estimate for mistakes that nobody thought of.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tests.comparison.mutants.mutants import MUTANT, Mutable, Mutant
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.fresh import derivations_kept, edits_kept, false_names
from tinygrad_rnn.comparison.report import Report
from tinygrad_rnn.derivation.derivation import Derivation

NAMED = "named"


class Verdict(NamedTuple):
    """What became of a mutant, in a word; the seconds of processor time; and what the report says."""

    word: str
    mutant: Mutant
    seconds: float
    said: list[str]


def main() -> None:
    """Draw mutants of each network, and print what is said of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.comparison.mutants")
    parser.add_argument("--network", default="", help="part of a network's name")
    parser.add_argument("--kind", default="", help="part of a kind's name")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=4, help="how many mutants of each network")
    parser.add_argument("--seconds", type=float, default=10, help="how long to search for each")
    parser.add_argument("--time", action="store_true", help="derive anew for each, as a user's comparison does")
    parser.add_argument("-q", action="store_true", help="print what isn't named alone")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    verdicts: list[Verdict] = []
    for number, network in enumerate(NETWORKS.values()):
        if options.network in network.name:
            drawn = Mutable(network).draw(np.random.default_rng([options.seed, number]), options.kind)
            for one in tried(itertools.islice(drawn, options.count), options.seconds, not options.time):
                verdicts.append(one)
                if one.word != NAMED or not options.q:
                    print(one.word, one.mutant.network.name, one.mutant.kind, f"{one.seconds:.2f} s", one.mutant.change,
                          sep=" | ", flush=True)  # fmt: skip
                    print("".join(f"      {sentence}\n" for sentence in one.said), end="", flush=True)
    for by in (lambda one: one.mutant.kind, lambda one: one.mutant.network.name):
        print()
        for group in sorted(set(map(by, verdicts))):
            words = Counter(one.word for one in verdicts if by(one) == group)
            rest = [f"{count} {word}" for word, count in words.items() if word != NAMED]
            print(f"  {group}: {words[NAMED]} of {words.total()} named", *rest, sep=", ")
    words, times = Counter(one.word for one in verdicts), sorted(one.seconds for one in verdicts)
    print(f"\n{len(times)} mutants, {words[NAMED] / len(times):.1%} named: {dict(words)}; "
          f"median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")  # fmt: skip


def tried(mutants: Iterable[Mutant], seconds: float, shared: bool) -> Iterator[Verdict]:
    """What becomes of mutants of one network, which can share its derivation and the lists of its edits."""
    derivations: list[Derivation] = []
    with edits_kept() if shared else contextlib.nullcontext():
        for mutant in mutants:
            start = time.thread_time()
            with derivations_kept(derivations if shared else ()) as derivations:
                try:
                    report = mutant.network.compare(MUTANT, seconds=seconds)
                except Exception:
                    yield Verdict("traceback", mutant, time.thread_time() - start, [traceback.format_exc(limit=-3)])
                    continue
            seconds_taken = time.thread_time() - start
            word, said = _judged(report, mutant, derivations)
            yield Verdict(word, mutant, seconds_taken, said)


def _judged(report: Report, mutant: Mutant, derivations: list[Derivation]) -> tuple[str, list[str]]:
    failed = [note for note in report.notes if "search for the mistake failed" in note]
    complete = [one.sentence for one in report.diagnoses if one.complete]
    if failed:
        return "traceback", failed
    if report.agrees:
        return "agrees", []
    if not complete:
        return "unnamed", [f"({one.sentence})" for one in report.diagnoses]
    refuted = false_names(report, mutant.network, MUTANT, derivations)
    return ("false", [one.sentence for one in refuted]) if refuted else (NAMED, complete)


if __name__ == "__main__":
    main()
