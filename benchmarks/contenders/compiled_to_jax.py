"""tinygrad_rnn, the whole loss as a function for JAX: inside of jax.jit, with this package's backward pass."""

from __future__ import annotations

from functools import partial

import tinygrad_rnn as tr

from .jax_cells import loss_and_gradients
from .recurrent_loss import mean_square

PACKAGES = ("numpy", "jax", "jaxlib")


def _inside_jit(task, x, **parameters):
    tensors = {name: tr.tensor(a, requires_grad=True) for name, a in parameters.items()}
    in_jax = tr.to_jax(mean_square(task, tensors, x), parameters=tensors)
    return loss_and_gradients(lambda x, **p: in_jax(p, x))(x, **parameters)


elman, lstm, gru = (partial(_inside_jit, task) for task in ("elman", "lstm", "gru"))
