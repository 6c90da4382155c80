"""Results as Markdown, so that what was measured can be committed as it was printed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from .harness import Case, Effort, Result
from .processes import DROPPED
from .processors import registers


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A Markdown table; the first `text` columns are words, the others numbers."""
    lines = [header, ["---"] * text + ["---:"] * (len(header) - text), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def duration(seconds: float) -> str:
    """A time with three digits, in the unit that suits it."""
    unit, size = "µs", 1e-6
    if seconds >= 1:
        unit, size = "s", 1.0
    elif seconds >= 1e-3:
        unit, size = "ms", 1e-3
    value = seconds / size
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def machine(effort: Effort) -> str:
    """Where and how it was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = f" with {registers()}" if registers() else ""
    facts = [
        f"{processor()}{kind}, {cores} cores, {platform.system()}, Python {platform.python_version()}",
        f"load average when it began: {os.getloadavg()[0]:.2f}",
        f"threads for each contender: {effort.threads}; rounds: {effort.rounds}, {effort.seconds:g} s each",
        "dropped from the environment: "
        + (", ".join(sorted(n for n in os.environ if n.startswith(DROPPED))) or "nothing"),
    ]
    return "\n".join(f"- {fact}" for fact in facts)


def processor() -> str:
    """The processor's name, as well as the system knows it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def case_table(case: Case, results: Sequence[Result], baseline: str) -> str:
    """One case: every contender's time, spread, ratio to the baseline, and page faults."""
    reference = next((r for r in results if r.contender.label == baseline and not r.problem), None)
    header = ["", "median", "quartiles", f"/ {baseline}", "page faults", "first call", "deviation"]
    rows = [row(result, reference) for result in results]
    text = f"### {case.name}\n\n{case.sizes}\n\n{table(header, rows)}\n"
    verdicts = [verdict(case, result, reference) for result in results]
    return text + "".join(f"\n{line}\n" for line in verdicts if line)


def row(result: Result, reference: Result | None) -> list[str]:
    """One contender's line; one that has a problem says so in place of numbers."""
    label = result.contender.label
    if result.problem:
        return [label, result.problem, "", "", "", "", ""]
    low, high = result.quartiles
    return [
        label,
        duration(result.median),
        f"{duration(low)} to {duration(high)}",
        f"{result.median / reference.median:.2f}" if reference else "",
        f"{sorted(result.faults)[len(result.faults) // 2]:.0f}",
        duration(result.first_call),
        "floor" if result.contender.floor else f"{result.deviation:.0e}",
    ]


def verdict(case: Case, result: Result, reference: Result | None) -> str:
    """Whether a contender reached the goal that the case sets it, if there is one."""
    goal = case.goals.get(result.contender.label)
    if goal is None or reference is None or result.problem:
        return ""
    ratio = result.median / reference.median
    outcome = "reached" if ratio <= goal else "missed"
    baseline = reference.contender.label
    return f"Goal: at most {goal:.2f} of {baseline}. {outcome.capitalize()}: {ratio:.3f}."


def contender_table(results: Sequence[Result]) -> str:
    """What each contender's process had loaded."""
    lines: dict[str, list[str]] = {}
    for result in results:
        if result.versions:
            versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
            pools = "; ".join(result.pools) or "none"
            lines.setdefault(result.contender.label, [result.contender.label, versions, pools])
    return table(["", "versions", "thread pools and kernels"], lines.values(), text=3)
