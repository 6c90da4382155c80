"""PyTorch, hand-written cells, eager: the recurrent tasks with gates."""

from __future__ import annotations

import torch

from .pytorch_eager import elman, use_threads

__all__ = ["PACKAGES", "elman", "gru", "lstm", "use_threads"]

PACKAGES = ("torch",)


def lstm_run(x, U, W, b):
    h = c = torch.zeros(x.shape[1], W.shape[0])
    hs = []
    for t in range(len(x)):
        i, f, g, o = torch.chunk(x[t] @ U + h @ W + b, 4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        hs.append(h)
    return torch.stack(hs)


def gru_run(x, U, W, b, b_hn):
    h = torch.zeros(x.shape[1], W.shape[0])
    hs = []
    for t in range(len(x)):
        x_r, x_z, x_n = torch.chunk(x[t] @ U + b, 3, dim=1)
        h_r, h_z, h_n = torch.chunk(h @ W, 3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * (h_n + b_hn))
        h = (1 - z) * n + z * h
        hs.append(h)
    return torch.stack(hs)


def step_of(run, x, parameters):
    x = torch.tensor(x)
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in parameters.items()}

    def step():
        for tensor in tensors.values():
            tensor.grad = None
        loss = run(x, **tensors).square().mean()
        loss.backward()
        return loss.item(), {name: tensor.grad for name, tensor in tensors.items()}

    return step


def lstm(x, **parameters):
    return step_of(lstm_run, x, parameters)


def gru(x, **parameters):
    return step_of(gru_run, x, parameters)
