"""tinygrad_rnn, a cell compiled to machine code."""

from __future__ import annotations

from functools import partial

from .recurrent_loss import recurrent

PACKAGES = ("numpy", "llvmlite")

elman, lstm, gru = (partial(recurrent, task, "llvm", False) for task in ("elman", "lstm", "gru"))
