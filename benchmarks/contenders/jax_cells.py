"""JAX: the cells beyond the gated ones under lax.scan, with what needs no recurrence before it and after it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import log_softmax, logsumexp, sigmoid, softmax

PACKAGES = ("jax", "jaxlib")
FAR = 1e3


def loss_and_gradients(loss):
    """The task of a loss: its step."""

    def task(x, **parameters):
        x = jnp.asarray(x)
        run = jax.jit(jax.value_and_grad(lambda p: loss(x, **p)))
        p = {name: jnp.asarray(a) for name, a in parameters.items()}

        def step():
            found, gradients = run(p)
            jax.block_until_ready(gradients)
            return float(found), gradients

        return step

    return task


def zeros(x, units):
    return jnp.zeros((x.shape[1], units), x.dtype)


@loss_and_gradients
def attention(x, memory, U, C, W, b):
    def cell(h, row):
        weights = softmax(jnp.einsum("bd,bsd->bs", h, memory) / jnp.sqrt(h.shape[-1]).astype(h.dtype))
        h = jnp.tanh(row + jnp.einsum("bs,bsd->bd", weights, memory) @ C + h @ W)
        return h, h

    return jnp.mean(jax.lax.scan(cell, zeros(x, len(W)), x @ U + b)[1] ** 2)


@loss_and_gradients
def hmm(x, U, W):
    transition = log_softmax(W, axis=1)

    def cell(alpha, row):
        return logsumexp(alpha[:, :, None] + transition, axis=1) + row, None

    start = jnp.full((x.shape[1], len(W)), -jnp.log(len(W)), x.dtype)
    return -jnp.mean(logsumexp(jax.lax.scan(cell, start, x @ U)[0], axis=-1)) / len(x)


@loss_and_gradients
def hmm_scaled(x, U, W):
    transition = softmax(W, axis=1)

    def cell(alpha, row):
        alpha = (alpha @ transition) * row
        total = jnp.sum(alpha, axis=-1, keepdims=True)
        return alpha / total, total

    start = jnp.full((x.shape[1], len(W)), 1 / len(W), x.dtype)
    return -jnp.mean(jnp.log(jax.lax.scan(cell, start, jnp.exp(x @ U))[1]))


@jax.custom_vjp
def spike(v):
    return (v > 0).astype(v.dtype)


spike.defvjp(lambda v: (spike(v), v), lambda v, g: (g / (1 + jnp.abs(v)) ** 2,))


@loss_and_gradients
def spiking(x, U, W):
    def cell(state, row):
        v, s = state
        v = 0.9 * v * (1 - s) + row + s @ W
        s = spike(v - 1)
        return (v, s), s * 0.5 + v * 0.1

    return jnp.mean(jax.lax.scan(cell, (zeros(x, len(W)),) * 2, x @ U)[1] ** 2)


@loss_and_gradients
def clockwork(x, U, W, b):
    periods = jnp.repeat(jnp.array([1, 2, 4, 8]), -(-len(W) // 4))[: len(W)]

    def cell(h, step):
        t, row = step
        h = jnp.where(t % periods == 0, jnp.tanh(row + h @ W), h)
        return h, h

    return jnp.mean(jax.lax.scan(cell, zeros(x, len(W)), (jnp.arange(len(x)), x @ U + b))[1] ** 2)


@loss_and_gradients
def state_space(x, U, V, a):
    decay = sigmoid(a)

    def cell(h, row):
        h = decay * h + row
        return h, h

    return jnp.mean((jax.lax.scan(cell, zeros(x, len(a)), x @ U)[1] @ V) ** 2)


def costs_of(x, y):
    return (jnp.sum(x * x, axis=-1)[:, :, None] - 2 * x @ y.T + jnp.sum(y * y, axis=-1)) / x.shape[-1]


@loss_and_gradients
def soft_dtw(x, y):
    rows, columns, costs = len(x), len(y), costs_of(x, y)
    row = jnp.arange(rows)
    column = jnp.arange(rows + columns - 1)[:, None] - row
    inside = (column >= 0) & (column < columns)
    diagonals = jnp.where(inside[:, :, None], costs[row, :, jnp.clip(column, 0, columns - 1)], FAR).swapaxes(1, 2)

    def cell(state, cost):
        one_before, _ = state
        above, across = (jnp.pad(d[:, :-1], ((0, 0), (1, 0)), constant_values=FAR) for d in state)
        here = cost - jnp.logaddexp(jnp.logaddexp(-above, -across), -one_before)
        return (here, one_before), None

    nothing = jnp.full((x.shape[1], rows), FAR, x.dtype)
    return jnp.mean(jax.lax.scan(cell, (diagonals[0], nothing), diagonals[1:])[0][0][:, -1])
