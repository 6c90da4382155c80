"""LanguageModel's twin in PyTorch: the same layers from the same weights, trained in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from tinygrad_rnn import nn
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import LanguageModel

RECURRENT = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


class Twin(torch.nn.Module):
    """Embedding, recurrent layer and output layer, as ``model`` has them; see ``nn.to_torch_state_dict``."""

    def __init__(self, model: LanguageModel, cell: str) -> None:
        super().__init__()
        weights = {name: torch.tensor(array) for name, array in nn.to_torch_state_dict(model).items()}
        features, units = model.cell.inputs, model.cell.units
        self.embedding = torch.nn.Embedding.from_pretrained(torch.tensor(model.embedding.data), freeze=False)
        self.recurrent = RECURRENT[cell](features, units, dtype=self.embedding.weight.dtype)
        self.output = torch.nn.Linear(units, len(model.vocabulary), dtype=self.embedding.weight.dtype)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        self.recurrent.load_state_dict({f"{name}_l0": weights[f"cell.{name}"] for name in names})
        self.output.load_state_dict({name: weights[f"output.{name}"] for name in ("weight", "bias")})
        # PyTorch adds two biases where one is enough. The other one rests, so that both models learn the same.
        second = self.recurrent.bias_hh_l0
        if cell == "GRU":  # its last third has a job of its own
            second.register_hook(lambda g: torch.cat([torch.zeros_like(g[: 2 * units]), g[2 * units :]]))
        else:
            second.requires_grad_(False)

    def forward(self, symbols: Any, state: Any = None) -> tuple[Any, Any]:
        """As LanguageModel's."""
        ys, state = self.recurrent(self.embedding(symbols), state)
        return self.output(ys), state

    def learned(self) -> list[Any]:
        """The parameters that are learned."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]


def losses_of(twin: Twin, data: StreamBatches, optimizer: Any, clip_norm: float | None = None) -> Iterator[float]:
    """The loop of ``fit``, written out in PyTorch: the loss of every step, for ever."""
    state: Any = None
    while True:
        for batch in data:
            logits, state = twin(torch.tensor(batch.inputs), state if batch.continues else None)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(batch.targets).flatten())
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(twin.learned(), clip_norm)
            optimizer.step()
            yield loss.item()


def mean_loss(twin: Twin, data: StreamBatches) -> float:
    """``training.evaluate`` in PyTorch: the mean cross-entropy of all targets."""
    total, count, state = 0.0, 0, None
    with torch.no_grad():
        for batch in data:
            logits, state = twin(torch.tensor(batch.inputs), state if batch.continues else None)
            targets = torch.tensor(batch.targets).flatten()
            total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum").item()
            count += targets.numel()
    return total / count
