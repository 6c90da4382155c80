"""Compiled unrolling: a cell of plain NumPy against what a user would pick instead, hand-fused layers included."""

from __future__ import annotations

from collections.abc import Sequence

from .cell_tasks import TASKS, cells
from .gated_tasks import gated
from .harness import Case, Contender, Effort, Result, contest
from .report import case_table, contender_table, table
from .tasks import elman

FUSED, FLOOR = "PyTorch, hand-fused layer", "matrix products alone"
CELL, LOSS = "tinygrad_rnn, LLVM", "tinygrad_rnn, LLVM, loss in the plan"
ON_JAX, IN_JAX, JAX = "tinygrad_rnn, JAX, loss in the plan", "tinygrad_rnn, to_jax", "JAX lax.scan"

OURS = [
    Contender("tinygrad_rnn, NumPy", "benchmarks.contenders.compiled_numpy"),
    Contender(CELL, "benchmarks.contenders.compiled_llvm"),
    Contender(LOSS, "benchmarks.contenders.compiled_loss"),
    Contender(ON_JAX, "benchmarks.contenders.compiled_jax"),
    Contender(IN_JAX, "benchmarks.contenders.compiled_to_jax"),
]
PEERS = [
    Contender("PyTorch, hand-written cell", "benchmarks.contenders.pytorch_recurrent"),
    Contender("PyTorch, torch.compile", "benchmarks.contenders.pytorch_compile"),
    Contender(JAX, "benchmarks.contenders.jax_recurrent"),
    Contender(
        "JAX lax.scan, one thread",
        "benchmarks.contenders.jax_recurrent",
        environment={"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"},
    ),
    Contender("PyTensor scan", "benchmarks.contenders.pytensor_scan"),
]
# For cells beyond the gated ones: JAX, each in the faster of two ways to write it.
CELLS = [
    Contender(LOSS, "benchmarks.contenders.compiled_cells"),
    Contender(JAX, "benchmarks.contenders.jax_cells"),
    Contender("JAX, the other way", "benchmarks.contenders.jax_cells_other"),
]
REFERENCES = [
    Contender(FUSED, "benchmarks.contenders.pytorch_fused"),
    Contender(FLOOR, "benchmarks.contenders.matrix_products", floor=True),
]

# Contenders that need minutes to compile a loop of a hundred large steps.
SLOW_TO_COMPILE = {"PyTorch, torch.compile", "PyTensor scan"}

# By size: the goal for a cell against the best peer, for a whole loss, and against the hand-fused layer.
AGAINST_PEERS = {"S": (0.9, 0.3), "M": (0.6, 0.6), "L": (0.65, 0.65)}
GATED_AT_L = 0.85
AGAINST_FUSED = {"S": 0.9, "M": 0.9, "L": 0.75}


def cases() -> list[Case]:
    gates = [case for size in "SML" for case in (elman(size, goals={}), gated("lstm", size), gated("gru", size))]
    return [*gates, *cells()]


def contenders(case: Case) -> list[Contender]:
    """Who takes part: all but those who would need minutes."""
    if case.task in TASKS:
        return CELLS
    everyone = [*OURS, *PEERS, *REFERENCES]
    return [c for c in everyone if not (case.name.endswith("L") and c.label in SLOW_TO_COMPILE)]


def goals_table(case: Case, results: Sequence[Result]) -> str:
    """What was aimed at, as ratios of medians, and what came of it."""
    seconds = {r.contender.label: r.median for r in results if r.seconds}
    is_cell = case.task in TASKS
    peers = {c.label: seconds[c.label] for c in (CELLS[1:] if is_cell else PEERS) if c.label in seconds}
    size = "M" if is_cell else case.name[-1]
    cell_goal, loss_goal = AGAINST_PEERS[size]
    if size == "L" and case.task != "elman":
        cell_goal = loss_goal = GATED_AT_L
    aims: list[tuple[str, str, float, float | None]] = []
    if peers:
        best = min(peers, key=lambda label: peers[label])
        aims += [(CELL, best, peers[best], cell_goal), (LOSS, best, peers[best], loss_goal)]
    if FUSED in seconds:
        aims.append((CELL, FUSED, seconds[FUSED], AGAINST_FUSED.get(size)))
    if JAX in seconds:
        aims += [(ours, JAX, seconds[JAX], None if size == "S" else 0.75) for ours in (ON_JAX, IN_JAX)]
    if FLOOR in seconds:
        aims.append((CELL, FLOOR, seconds[FLOOR], None if size == "S" else 1.15))
    rows = [
        [ours, other, f"{seconds[ours] / time:.2f}", "" if goal is None else f"{goal:.2f}"]
        for ours, other, time, goal in aims
        if ours in seconds
    ]
    return table(["", "against", "ratio", "goal"], rows, text=2)


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the cases whose name contains `wanted`; the tables, as Markdown."""
    chosen = [case for case in cases() if wanted in case.name]
    if not chosen:
        return ""
    outcomes = [(case, contest(case, contenders(case), effort)) for case in chosen]
    tables = [f"{case_table(case, results, FUSED)}\n{goals_table(case, results)}\n" for case, results in outcomes]
    everyone = contender_table([result for _, results in outcomes for result in results])
    return "\n".join([*tables, "### Contenders\n", everyone])
