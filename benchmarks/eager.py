"""Eager cost: of recording one operation, and of a training step of a hand-written cell."""

from __future__ import annotations

from .harness import Case, Contender, Effort, contest
from .report import case_table, contender_table
from .tasks import chain, elman

OURS = "tinygrad_rnn"
BASELINE = "PyTorch eager"

CONTENDERS = [
    Contender(OURS, "benchmarks.contenders.tinygrad_rnn_eager"),
    Contender(BASELINE, "benchmarks.contenders.pytorch_eager"),
    Contender("MyGrad", "benchmarks.contenders.mygrad_eager"),
    Contender("HIPS autograd", "benchmarks.contenders.hips_autograd"),
    Contender("matrix products alone", "benchmarks.contenders.matrix_products", floor=True),
]


def cases() -> list[Case]:
    return [
        chain(500, goals={OURS: 0.7}),
        elman("S", goals={OURS: 0.85}),
        elman("M", goals={OURS: 0.7}),
        elman("L", goals={OURS: 0.75}),
    ]


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the cases whose name contains `wanted`; the tables, as Markdown."""
    chosen = [case for case in cases() if wanted in case.name]
    if not chosen:
        return ""
    outcomes = [(case, contest(case, CONTENDERS, effort)) for case in chosen]
    tables = [case_table(case, results, BASELINE) for case, results in outcomes]
    everyone = contender_table([result for _, results in outcomes for result in results])
    return "\n".join([*tables, "### Contenders\n", everyone])
