"""PyTorch's own hand-fused layers: nn.RNN, nn.LSTM, nn.GRU."""

from __future__ import annotations

import numpy as np
import torch

from .pytorch_eager import use_threads

__all__ = ["PACKAGES", "elman", "gru", "lstm", "use_threads"]

PACKAGES = ("torch",)


def _step(layer, x, U, W, b, b_hh=None):
    weights = {"weight_ih_l0": U.T, "weight_hh_l0": W.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b if b_hh is None else b_hh}
    layer.load_state_dict({name: torch.tensor(a) for name, a in weights.items()})
    x = torch.tensor(x)

    def step():
        layer.zero_grad()
        loss = layer(x)[0].square().mean()
        loss.backward()
        gradients = {"U": layer.weight_ih_l0.grad.T, "W": layer.weight_hh_l0.grad.T, "b": layer.bias_ih_l0.grad}
        if b_hh is not None:
            gradients["b_hn"] = layer.bias_hh_l0.grad[2 * len(W) :]
        return loss.item(), gradients

    return step


def elman(x, U, W, b):
    return _step(torch.nn.RNN(len(U), len(W)), x, U, W, b)


def lstm(x, U, W, b):
    return _step(torch.nn.LSTM(len(U), len(W)), x, U, W, b)


def gru(x, U, W, b, b_hn):
    # PyTorch mixes r, z, n as (1 - z) n + z h, too.
    b_hh = np.concatenate([np.zeros(2 * len(W), b.dtype), b_hn])
    return _step(torch.nn.GRU(len(U), len(W)), x, U, W, b, b_hh)
