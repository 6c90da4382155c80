"""The same model, data and hyper-parameters as a PyTorch twin give the same losses, step by step, on real text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim, stop_gradient
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import CharacterVocabulary, python_documentation

torch = pytest.importorskip("torch")

STEPS, UNITS, EMBEDDED = 100, 12, 8
TEXT = python_documentation()[:20_000]
VOCABULARY = CharacterVocabulary.from_text(TEXT)


class Ours(nn.Module):
    def __init__(self, kind: str) -> None:
        k = len(VOCABULARY)
        self.embedding = nn.Embedding(k, EMBEDDED, dtype=np.float64)
        self.layer = getattr(nn, kind)(EMBEDDED, UNITS, dtype=np.float64)
        self.readout = nn.Linear(UNITS, k, dtype=np.float64)

    def forward(self, symbols: Any, state: Any) -> Any:
        output, state = self.layer(self.embedding(symbols), state)
        return self.readout(output), state


class Theirs(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        k = len(VOCABULARY)
        self.embedding = torch.nn.Embedding(k, EMBEDDED)
        self.layer = getattr(torch.nn, kind)(EMBEDDED, UNITS)
        self.readout = torch.nn.Linear(UNITS, k)
        self.double()

    def forward(self, symbols: Any, state: Any) -> Any:
        output, state = self.layer(self.embedding(symbols), state)
        return self.readout(output), state


def batches() -> Any:
    stream = StreamBatches(VOCABULARY.encode(TEXT), batch_size=4, steps=8)
    while True:
        yield from stream


def our_losses(model: Ours) -> list[float]:
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = optim.CosineAnnealingLR(optimizer, STEPS)
    losses, state = [], None
    for _, batch in zip(range(STEPS), batches()):
        state = stop_gradient(state) if batch.continues else None
        optimizer.zero_grad()
        logits, state = model(batch.inputs, state)
        loss = nn.cross_entropy(logits, batch.targets)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def their_losses(model: Theirs) -> list[float]:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    losses, state = [], None
    detach = lambda state: tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()  # noqa: E731
    for _, batch in zip(range(STEPS), batches()):
        state = detach(state) if batch.continues else None
        optimizer.zero_grad()
        logits, state = model(torch.from_numpy(np.array(batch.inputs)), state)
        targets = torch.from_numpy(np.array(batch.targets))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a model is not worth more, and threads that wait for each other cost minutes on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_hundred_steps_on_real_text(kind: str) -> None:
    torch.manual_seed(0)
    ours, theirs = Ours(kind), Theirs(kind)
    with torch.no_grad():  # two biases in the place of one would learn at twice its pace
        for name, parameter in theirs.named_parameters():
            if "bias_hh" in name:
                keep = slice(2 * UNITS, None) if kind == "GRU" else slice(0, 0)
                mask = torch.zeros_like(parameter)
                mask[keep] = 1
                parameter *= mask
                parameter.register_hook(lambda g, mask=mask: g * mask)
    nn.from_torch_state_dict(ours, theirs.state_dict())
    losses = our_losses(ours)
    np.testing.assert_allclose(losses, their_losses(theirs), rtol=0, atol=1e-5)
    assert losses[-1] < losses[0] - 0.5  # it has learned something
