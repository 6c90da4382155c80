"""tinygrad_rnn, the model and its loss compiled as one function, and run as machine code."""

from __future__ import annotations

from functools import partial

from .tinygrad_rnn_eager import language as eager_language

PACKAGES = ("numpy", "llvmlite")

language = partial(eager_language, executor="llvm", loss_inside=True)
