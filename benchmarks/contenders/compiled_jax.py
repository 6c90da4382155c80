"""tinygrad_rnn, the whole loss compiled for JAX: the same devices, with this package's backward pass."""

from __future__ import annotations

from functools import partial

from .recurrent_loss import recurrent

PACKAGES = ("numpy", "jax", "jaxlib")

elman, lstm, gru = (partial(recurrent, task, "jax", True) for task in ("elman", "lstm", "gru"))
