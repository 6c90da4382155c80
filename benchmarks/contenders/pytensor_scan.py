"""PyTensor: scan over time, compiled by numba, which it uses by default."""

from __future__ import annotations

import numpy as np
import pytensor
import pytensor.tensor as pt

PACKAGES = ("pytensor", "numba")

pytensor.config.floatX = "float32"


def elman(x, U, W, b):
    xs = pytensor.shared(x, shape=x.shape)
    parameters = {name: pytensor.shared(a, name, shape=a.shape) for name, a in {"U": U, "W": W, "b": b}.items()}
    start = pt.as_tensor(np.zeros((x.shape[1], len(W)), x.dtype))
    hs = pytensor.scan(
        lambda row, h: pt.tanh(row + h @ parameters["W"]),
        sequences=[xs @ parameters["U"] + parameters["b"]],
        outputs_info=[start],
        return_updates=False,
    )
    loss = pt.mean(hs**2)
    function = pytensor.function([], [loss, *pytensor.grad(loss, list(parameters.values()))])

    def step():
        value, *gradients = function()
        return float(value), dict(zip(parameters, gradients, strict=True))

    return step
