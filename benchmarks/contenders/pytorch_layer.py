"""PyTorch's own layers: nn.Embedding, nn.LSTM, nn.Linear."""

from __future__ import annotations

import torch

from . import CLIP_NORM
from .pytorch_eager import use_threads

__all__ = ["PACKAGES", "language", "use_threads"]

PACKAGES = ("torch",)


def language(text, E, U, W, b, V, c):
    text = torch.tensor(text)
    embedding = torch.nn.Embedding.from_pretrained(torch.tensor(E), freeze=False)
    lstm = torch.nn.LSTM(*U.shape[:1], W.shape[0])
    output = torch.nn.Linear(*V.shape)
    weights = {"weight_ih_l0": U.T, "weight_hh_l0": W.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b}
    lstm.load_state_dict({name: torch.tensor(a) for name, a in weights.items()})
    output.load_state_dict({"weight": torch.tensor(V.T), "bias": torch.tensor(c)})
    parameters = [*embedding.parameters(), *lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.0)

    def step():
        optimizer.zero_grad()
        hs, _ = lstm(embedding(text[:-1]))
        loss = torch.nn.functional.cross_entropy(output(hs).flatten(0, 1), text[1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        gradients = {
            "E": embedding.weight.grad,
            "U": lstm.weight_ih_l0.grad.T,
            "W": lstm.weight_hh_l0.grad.T,
            "b": lstm.bias_ih_l0.grad,
            "V": output.weight.grad.T,
            "c": output.bias.grad,
        }
        return loss.item(), gradients

    return step
