"""JAX: lax.scan over time, all of a step compiled by XLA."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from . import CLIP_NORM

PACKAGES = ("jax", "jaxlib")


def language(text, E, U, W, b, V, c):
    text = jnp.asarray(text)
    parameters = {name: jnp.asarray(a) for name, a in locals().items() if name != "text"}

    def loss_of(p):
        def cell(state, x):
            h, c = state
            i, f, g, o = jnp.split(x + h @ p["W"], 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((text.shape[1], p["W"].shape[0]))
        _, hs = jax.lax.scan(cell, (start, start), p["E"][text[:-1]] @ p["U"] + p["b"])
        logs = jax.nn.log_softmax(hs @ p["V"] + p["c"])
        return -jnp.mean(jnp.take_along_axis(logs, text[1:, :, None], axis=-1))

    def adam(w, g, mean, square, t, lr):
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        return w - lr * mean / (1 - 0.9**t) / (jnp.sqrt(square / (1 - 0.999**t)) + 1e-8), mean, square

    @jax.jit
    def update(p, means, squares, t, lr):
        loss, gradients = jax.value_and_grad(loss_of)(p)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients.values()))
        gradients = {name: g * jnp.minimum(1.0, CLIP_NORM / (norm + 1e-6)) for name, g in gradients.items()}
        moved = {name: adam(p[name], gradients[name], means[name], squares[name], t, lr) for name in p}
        p, means, squares = ({name: parts[i] for name, parts in moved.items()} for i in range(3))
        return loss, gradients, p, means, squares

    zeros = {name: jnp.zeros_like(a) for name, a in parameters.items()}
    weights, means, squares, t = parameters, zeros, zeros, 0

    def step():
        nonlocal weights, means, squares, t
        t += 1
        loss, gradients, weights, means, squares = update(weights, means, squares, t, 0.0)
        return float(loss), gradients

    return step
