"""HIPS autograd: a loss function of its parameters, differentiated by `value_and_grad`."""

from __future__ import annotations

import autograd.numpy as np
from autograd import value_and_grad

PACKAGES = ("autograd", "numpy")


def chain(x, length):
    def loss(x):
        y = x
        for _ in range(length):
            y = y * x
        return np.sum(y)

    loss_and_gradient = value_and_grad(loss)

    def step():
        value, gradient = loss_and_gradient(x)
        return float(value), {"x": gradient}

    return step


def elman(x, U, W, b):
    start = np.zeros((x.shape[1], W.shape[0]), x.dtype)

    def loss(parameters):
        U, W, b = parameters
        h, hs = start, []
        for x_t in x:
            h = np.tanh(x_t @ U + h @ W + b)
            hs.append(h)
        return np.mean(np.square(np.stack(hs)))

    loss_and_gradients = value_and_grad(loss)

    def step():
        value, gradients = loss_and_gradients((U, W, b))
        return float(value), dict(zip("UWb", gradients, strict=True))

    return step
