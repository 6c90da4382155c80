"""tinygrad_rnn, the whole loss compiled to machine code."""

from __future__ import annotations

from functools import partial

from .recurrent_loss import recurrent

PACKAGES = ("numpy", "llvmlite")

elman, lstm, gru = (partial(recurrent, task, "llvm", True) for task in ("elman", "lstm", "gru"))
