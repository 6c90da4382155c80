"""PyTorch, hand-written cells under torch.compile."""

from __future__ import annotations

import torch

from .pytorch_eager import use_threads
from .pytorch_recurrent import gru_run, lstm_run, step_of

__all__ = ["PACKAGES", "elman", "gru", "lstm", "use_threads"]

PACKAGES = ("torch",)


def elman_run(x, U, W, b):
    h = torch.zeros(x.shape[1], W.shape[0])
    hs = []
    for t in range(len(x)):
        h = torch.tanh(x[t] @ U + h @ W + b)
        hs.append(h)
    return torch.stack(hs)


def elman(x, **parameters):
    return step_of(torch.compile(elman_run), x, parameters)


def lstm(x, **parameters):
    return step_of(torch.compile(lstm_run), x, parameters)


def gru(x, **parameters):
    return step_of(torch.compile(gru_run), x, parameters)
