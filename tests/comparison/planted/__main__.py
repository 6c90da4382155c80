"""Print which planted slips are named: ``python -m tests.comparison.planted [-q] [-2] [-3] [-e] [part of a name ...]``.

``-q`` prints what isn't named alone; ``-2`` plants two slips at once, ``-3`` three; ``-e`` edits ten derivations in
every way.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter

from tests.comparison.planted import dressed
from tests.comparison.planted.common import Network
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.found_again import TEN, found_again
from tests.comparison.planted.fresh import derivations_kept, false_names

GROUPS = {2: 5, 3: 2}  # how many pairs and triples of slips of each network


def main(wanted: list[str], quiet: bool, size: int) -> None:
    """Plant each slip, and print what is said of it."""
    seconds: list[float] = []
    counts: Counter[str] = Counter()
    for network in NETWORKS.values():
        if wanted and not any(word in network.name for word in wanted):
            continue
        if not network.compare().agrees:
            counts["right ones refused"] += 1
            print(f"!! {network.name}: the right derivation disagrees", network.compare(), sep="\n")
        for slip in network.several(size, GROUPS[size]) if size > 1 else network.slips():
            counts[_tried(network, slip, quiet, seconds)] += 1
    if not wanted:
        accepted = sum(dressed.compare(name).agrees for name in dressed.DRESSES)
        print(f"{accepted} of {len(dressed.DRESSES)} right derivations in unusual dress are accepted")
    seconds.sort()
    total = max(len(seconds), 1)
    print(
        f"{total} slips: {counts['named']} named ({counts['named'] / total:.0%}), {counts['false']} falsely, "
        f"{dict(counts)}, "
        f"median {seconds[total // 2]:.2f} s, longest {seconds[-1]:.2f} s"
    )


def edit_everything(wanted: list[str]) -> None:
    """Apply every edit to every line of ten derivations, and print how many are named again."""
    total, named = 0, 0
    for name in TEN:
        if not wanted or any(word in name for word in wanted):
            found, tried = found_again(NETWORKS[name], ranks=(0, 1))
            print(f"{name}: {found} of {tried} edits", flush=True)
            total, named = total + tried, named + found
    print(f"{named} of {total} edits are named, or an equivalent one ({named / max(total, 1):.1%})")


def _tried(network: Network, slip: str, quiet: bool, seconds: list[float]) -> str:
    """What becomes of one slip, in a word; a name is true if other numbers bear it out."""
    start = time.thread_time()
    try:
        with derivations_kept() as derivations:
            report = network.compare(slip)
    except Exception:
        print(f"{network.name} | {slip} | TRACEBACK")
        traceback.print_exc(limit=-3)
        return "tracebacks"
    finally:
        seconds.append(time.thread_time() - start)
    if any("search for the mistake failed" in note for note in report.notes):  # which compare turns into a note
        print(f"{network.name} | {slip} | {report.notes}")
        return "tracebacks"
    complete = [one.sentence for one in report.diagnoses if one.complete]
    said = f"{network.name} | {slip} | {seconds[-1]:.2f} s |"
    if report.agrees:
        print(said, "AGREES (no slip?)")
        return "agree"
    if not complete:
        print(said, "NOT NAMED", *[f"({one.sentence})" for one in report.diagnoses])
        return "not named"
    refuted = false_names(report, network, slip, derivations)
    if refuted:
        print(said, "FALSE", *[one.sentence for one in refuted], sep="\n      ")
        return "false"
    if not quiet:
        print(said, *complete, sep="\n      ")
    return "named"


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "-e" in sys.argv:
        edit_everything(words)
    else:
        main(words, "-q" in sys.argv, 3 if "-3" in sys.argv else 2 if "-2" in sys.argv else 1)
