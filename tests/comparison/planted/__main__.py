"""Print which planted slips ``tr.compare`` names: ``python -m tests.comparison.planted [-q] [part of a name ...]``."""

from __future__ import annotations

import sys
import time
import traceback

from tests.comparison.planted import composed, gated, kept, plain  # noqa: F401  (they register their networks)
from tests.comparison.planted.common import NETWORKS


def main(wanted: list[str], quiet: bool) -> None:
    seconds, named, tracebacks, total = [], 0, 0, 0
    for network in NETWORKS.values():
        if wanted and not any(word in network.name for word in wanted):
            continue
        if not network.compare().agrees:
            print(f"!! {network.name}: the right derivation disagrees")
            print(network.compare())
        for slip in network.slips():
            start = time.perf_counter()
            total += 1
            try:
                report = network.compare(slip)
            except Exception:
                tracebacks += 1
                print(f"{network.name} | {slip} | TRACEBACK")
                traceback.print_exc(limit=-3)
                continue
            seconds.append(time.perf_counter() - start)
            complete = [one.sentence for one in report.diagnoses if one.complete]
            named += bool(complete)
            if report.agrees:
                print(f"{network.name} | {slip} | AGREES (no slip?)")
            elif not complete:
                print(
                    f"{network.name} | {slip} | {seconds[-1]:.2f} s | NOT NAMED",
                    *[f"({one.sentence})" for one in report.diagnoses],
                )
            elif not quiet:
                print(f"{network.name} | {slip} | {seconds[-1]:.2f} s |", *complete, sep="\n      ")
    seconds.sort()
    print(
        f"{total} slips in {len(NETWORKS)} networks: {named} named ({named / max(total, 1):.0%}), "
        f"{tracebacks} tracebacks, "
        f"median {seconds[len(seconds) // 2]:.2f} s, longest {seconds[-1]:.2f} s"
    )


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "-q"], "-q" in sys.argv)
