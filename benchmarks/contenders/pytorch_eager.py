"""PyTorch, the cell written out, eager."""

from __future__ import annotations

import torch

from . import CLIP_NORM

PACKAGES = ("torch",)


def use_threads(count):
    torch.set_num_threads(count)


def chain(x, length):
    x = torch.tensor(x, requires_grad=True)

    def step():
        x.grad = None
        y = x
        for _ in range(length):
            y = y * x
        loss = y.sum()
        loss.backward()
        return loss.item(), {"x": x.grad}

    return step


def elman(x, U, W, b):
    x = torch.tensor(x)
    U, W, b = (torch.tensor(a, requires_grad=True) for a in (U, W, b))
    start = torch.zeros(x.shape[1], W.shape[0])

    def step():
        U.grad = W.grad = b.grad = None
        h, hs = start, []
        for t in range(len(x)):
            h = torch.tanh(x[t] @ U + h @ W + b)
            hs.append(h)
        loss = torch.stack(hs).square().mean()
        loss.backward()
        return loss.item(), {"U": U.grad, "W": W.grad, "b": b.grad}

    return step


def language(text, E, U, W, b, V, c):
    text = torch.tensor(text)
    parameters = {name: torch.tensor(a, requires_grad=True) for name, a in locals().items() if name != "text"}
    E, U, W, b, V, c = parameters.values()
    optimizer = torch.optim.Adam(parameters.values(), lr=0.0)
    start = torch.zeros(text.shape[1], W.shape[0])

    def step():
        optimizer.zero_grad()
        xs = E[text[:-1]]
        h, cell, hs = start, start, []
        for t in range(len(xs)):
            i, f, g, o = (xs[t] @ U + h @ W + b).chunk(4, dim=-1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(cell)
            hs.append(h)
        logits = torch.stack(hs) @ V + c
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM)
        optimizer.step()
        return loss.item(), {name: parameter.grad for name, parameter in parameters.items()}

    return step
