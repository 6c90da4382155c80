"""JAX: lax.scan over time with the inputs' products before it, value_and_grad, all of it compiled by XLA."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .jax_cells import loss_and_gradients

PACKAGES = ("jax", "jaxlib")


def _step(cell, states, x, parameters):
    def loss(x, **p):
        start = jnp.zeros((x.shape[1], len(p["W"])), x.dtype)
        _, hs = jax.lax.scan(lambda state, row: cell(p, state, row), (start,) * states, x @ p["U"] + p["b"])
        return jnp.mean(hs**2)

    return loss_and_gradients(loss)(x, **parameters)


def elman(x, **parameters):
    def cell(p, state, row):
        h = jnp.tanh(row + state[0] @ p["W"])
        return (h,), h

    return _step(cell, 1, x, parameters)


def lstm(x, **parameters):
    def cell(p, state, row):
        h, c = state
        i, f, g, o = jnp.split(row + h @ p["W"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return _step(cell, 2, x, parameters)


def gru(x, **parameters):
    def cell(p, state, row):
        (h,) = state
        x_r, x_z, x_n = jnp.split(row, 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h @ p["W"], 3, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + p["b_hn"]))
        h = (1 - z) * n + z * h
        return (h,), h

    return _step(cell, 1, x, parameters)
