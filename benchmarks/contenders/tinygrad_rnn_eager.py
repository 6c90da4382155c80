"""tinygrad_rnn, recorded as it runs."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr

PACKAGES = ("numpy",)


def chain(x, length):
    x = tr.tensor(x, requires_grad=True)

    def step():
        x.grad = None
        y = x
        for _ in range(length):
            y = y * x
        loss = np.sum(y)
        loss.backward()
        return loss.item(), {"x": x.grad}

    return step


def elman(x, U, W, b):
    x = tr.tensor(x)
    U, W, b = (tr.tensor(a, requires_grad=True) for a in (U, W, b))
    start = np.zeros((x.shape[1], W.shape[0]), x.dtype)

    def step():
        U.grad = W.grad = b.grad = None
        h, hs = start, []
        for t in range(len(x)):
            h = np.tanh(x[t] @ U + h @ W + b)
            hs.append(h)
        loss = np.mean(np.square(np.stack(hs)))
        loss.backward()
        return loss.item(), {"U": U.grad, "W": W.grad, "b": b.grad}

    return step
