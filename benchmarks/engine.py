"""The engine's own figures: a long chain, the cost of importing, memory after each step."""

from __future__ import annotations

import sys
import tempfile
from statistics import median
from typing import Any

from .harness import Effort
from .processes import child_environment, run_json
from .report import duration, table

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
IMPORT_GOAL = 0.030
MEMORY_STEPS = 100


# Nothing else may be imported first, lest a module that both need is counted for neither.
TIMED_IMPORT = """
import time
began = time.perf_counter()
import {module}
print(time.perf_counter() - began)
"""


def probe(name: str, size: int, effort: Effort) -> Any:
    arguments = ["-m", "benchmarks.probes", name, str(size)]
    return run_json(arguments, child_environment(effort.threads))


def chain_section(effort: Effort) -> str:
    """Linear time means the same time for a node, however long the chain."""
    rows = []
    for length in LENGTHS:
        print(f"engine: a chain of {length:,} nodes", file=sys.stderr)
        found = probe("chain", length, effort)
        per_node = [duration(found[part] / length) for part in ("forward", "backward")]
        rows.append([f"{length:,}", *per_node, f"{found['peak_bytes'] / 1e6:.0f} MB"])
    header = ["nodes", "forward, each", "backward and freeing, each", "peak memory"]
    return f"### A long chain\n\n{table(header, rows)}\n"


def import_section(effort: Effort) -> str:
    """Importing the package against importing NumPy, in fresh processes, in turn."""
    modules = ("numpy", "tinygrad_rnn")
    seconds: dict[str, list[float]] = {module: [] for module in modules}
    with tempfile.TemporaryDirectory() as cache:
        # Bytecode is kept, as it is by default, whatever this environment says of it.
        keep_bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}
        environment = child_environment(effort.threads, keep_bytecode)
        for turn in range(2 * effort.rounds + 1):
            print(f"engine: import {turn} of {2 * effort.rounds}", file=sys.stderr)
            for module in modules:
                measured = run_json(["-c", TIMED_IMPORT.format(module=module)], environment)
                if turn > 0:  # the first turn fills the disk cache and compiles the bytecode
                    seconds[module].append(measured)
    medians = {module: median(times) for module, times in seconds.items()}
    rows = [
        [f"`import {m}`", duration(medians[m]), f"{duration(min(t))} to {duration(max(t))}"] for m, t in seconds.items()
    ]
    extra = medians["tinygrad_rnn"] - medians["numpy"]
    outcome = "Reached" if extra <= IMPORT_GOAL else "Missed"
    goal = f"Goal: at most {duration(IMPORT_GOAL)} more. {outcome}: {1000 * extra:.1f} ms more."
    return f"### Importing\n\n{table(['', 'median', 'range'], rows)}\n\n{goal}\n"


def memory_section(effort: Effort) -> str:
    """Reference counting alone has to free the graph of a step."""
    print("engine: memory", file=sys.stderr)
    found = probe("memory", MEMORY_STEPS, effort)
    return (
        "### Memory with the garbage collector off\n\n"
        f"After none of {MEMORY_STEPS} training steps of the Elman cell (S) are more than "
        f"{found['growth']:,} bytes more in use than after the first. A collection then finds "
        f"{found['cyclic_objects']} objects in cycles.\n"
    )


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the sections whose name contains `wanted`; Markdown."""
    sections = {"chain": chain_section, "import": import_section, "memory": memory_section}
    return "\n".join(section(effort) for name, section in sections.items() if wanted in name)
