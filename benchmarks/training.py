"""Training speed: characters per second of a language model, beside PyTorch and JAX."""

from __future__ import annotations

from collections.abc import Sequence

from .harness import Case, Contender, Effort, Result, contest
from .report import case_table, contender_table, table
from .tasks import language

BASELINE = "PyTorch nn.LSTM"

CONTENDERS = [
    Contender("tinygrad_rnn, LLVM, loss in the plan", "benchmarks.contenders.tinygrad_rnn_whole"),
    Contender("tinygrad_rnn, LLVM", "benchmarks.contenders.tinygrad_rnn_llvm"),
    Contender("tinygrad_rnn", "benchmarks.contenders.tinygrad_rnn_compiled"),
    Contender("tinygrad_rnn, eager", "benchmarks.contenders.tinygrad_rnn_eager"),
    Contender(BASELINE, "benchmarks.contenders.pytorch_layer"),
    Contender("PyTorch, hand-written cell", "benchmarks.contenders.pytorch_eager"),
    Contender("JAX lax.scan", "benchmarks.contenders.jax_scan"),
]


def cases() -> list[Case]:
    return [language(128, goals={}), language(512, goals={})]


def characters_table(results: Sequence[Result]) -> str:
    """How many characters per second each contender learns from."""
    rows = [
        [result.contender.label, result.problem or f"{1 / result.median:,.0f}"]
        for result in sorted(results, key=lambda r: r.median if r.seconds else float("inf"))
    ]
    return table(["", "characters per second"], rows)


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the cases whose name contains `wanted`; the tables, as Markdown."""
    chosen = [case for case in cases() if wanted in case.name]
    if not chosen:
        return ""
    outcomes = [(case, contest(case, CONTENDERS, effort)) for case in chosen]
    tables = [f"{case_table(case, results, BASELINE)}\n{characters_table(results)}\n" for case, results in outcomes]
    everyone = contender_table([result for _, results in outcomes for result in results])
    return "\n".join([*tables, "### Contenders\n", everyone])
