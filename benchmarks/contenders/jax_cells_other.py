"""JAX: the other way to write some of the cells; which one is faster depends on what XLA makes of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import log_softmax, logsumexp, softmax

from .jax_cells import FAR, costs_of, loss_and_gradients, zeros

PACKAGES = ("jax", "jaxlib")


@loss_and_gradients
def attention(x, memory, U, C, W, b):
    """Each instance of the batch by itself, batched by vmap."""

    def decode(memory, rows):
        def cell(h, row):
            weights = softmax(memory @ h / jnp.sqrt(h.shape[-1]).astype(h.dtype))
            h = jnp.tanh(row + (weights @ memory) @ C + h @ W)
            return h, h

        return jax.lax.scan(cell, jnp.zeros(len(W), x.dtype), rows)[1]

    return jnp.mean(jax.vmap(decode, in_axes=(0, 1))(memory, x @ U + b) ** 2)


@loss_and_gradients
def hmm(x, U, W):
    """Summed along the last axis."""
    transition = log_softmax(W, axis=1).T

    def cell(alpha, row):
        return logsumexp(alpha[:, None, :] + transition, axis=-1) + row, None

    start = jnp.full((x.shape[1], len(W)), -jnp.log(len(W)), x.dtype)
    return -jnp.mean(logsumexp(jax.lax.scan(cell, start, x @ U)[0], axis=-1)) / len(x)


@loss_and_gradients
def clockwork(x, U, W, b):
    """The mask of all steps before the loop."""
    periods = jnp.repeat(jnp.array([1, 2, 4, 8]), -(-len(W) // 4))[: len(W)]
    moves = jnp.arange(len(x))[:, None] % periods == 0

    def cell(h, step):
        mask, row = step
        h = jnp.where(mask, jnp.tanh(row + h @ W), h)
        return h, h

    return jnp.mean(jax.lax.scan(cell, zeros(x, len(W)), (moves, x @ U + b))[1] ** 2)


@loss_and_gradients
def state_space(x, U, V, a):
    """An associative scan."""
    rows = x @ U
    decay = jnp.broadcast_to(jax.nn.sigmoid(a), rows.shape)
    join = lambda left, right: (left[0] * right[0], right[0] * left[1] + right[1])  # noqa: E731
    return jnp.mean((jax.lax.associative_scan(join, (decay, rows))[1] @ V) ** 2)


@loss_and_gradients
def soft_dtw(x, y):
    """Two loops, one in the other."""

    def cell(above, cost):
        from_above = -jnp.logaddexp(-above[:, 1:], -above[:, :-1])

        def along(left, step):
            here = step[0] - jnp.logaddexp(-left, -step[1])
            return here, here

        far = jnp.full(len(above), FAR, x.dtype)
        row = jax.lax.scan(along, far, (cost.T, from_above.T))[1]
        return jnp.concatenate([far[:, None], row.T], axis=1), None

    start = jnp.full((x.shape[1], len(y) + 1), FAR, x.dtype).at[:, 0].set(0)
    return jnp.mean(jax.lax.scan(cell, start, costs_of(x, y))[0][:, -1])
