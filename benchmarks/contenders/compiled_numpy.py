"""tinygrad_rnn, a cell compiled for NumPy."""

from __future__ import annotations

from functools import partial

from .recurrent_loss import recurrent

PACKAGES = ("numpy",)

elman, lstm, gru = (partial(recurrent, task, "numpy", False) for task in ("elman", "lstm", "gru"))
