"""tinygrad_rnn, the loop over time compiled."""

from __future__ import annotations

from functools import partial

from .tinygrad_rnn_eager import language as eager_language

PACKAGES = ("numpy",)

language = partial(eager_language, compiled=True)
