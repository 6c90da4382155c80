"""tinygrad_rnn, the loop over time compiled, and run as machine code."""

from __future__ import annotations

from functools import partial

from .tinygrad_rnn_eager import language as eager_language

PACKAGES = ("numpy", "llvmlite")

language = partial(eager_language, executor="llvm")
