"""The same model, data, order and hyper-parameters in PyTorch give the same loss curve, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import CharacterVocabulary, StreamBatches, python_documentation
from tinygrad_rnn.training import LanguageModel, fit

torch = pytest.importorskip("torch")

STEPS = 100
UNITS, EMBEDDING, BATCH, TIME = 24, 10, 8, 20
RECURRENT = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost products of this size more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Twin(torch.nn.Module):
    """What LanguageModel is, in PyTorch, from the same weights."""

    def __init__(self, model: LanguageModel, cell: str) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding.from_pretrained(torch.tensor(model.embedding.data), freeze=False)
        self.recurrent = RECURRENT[cell](EMBEDDING, UNITS).double()
        self.output = torch.nn.Linear(UNITS, len(model.vocabulary)).double()
        arrays = nn.to_torch_state_dict(model)
        part = {name.removeprefix("cell."): torch.tensor(a) for name, a in arrays.items() if name.startswith("cell.")}
        self.recurrent.load_state_dict({f"{name}_l0": a for name, a in part.items()})
        self.output.load_state_dict({name: torch.tensor(arrays[f"output.{name}"]) for name in ("weight", "bias")})
        # PyTorch adds two biases where one is enough. The other one rests, so that both models learn the same.
        second = self.recurrent.bias_hh_l0
        if cell == "GRU":  # its last third has a job of its own
            second.register_hook(lambda g: torch.cat([torch.zeros(2 * UNITS, dtype=g.dtype), g[2 * UNITS :]]))
        else:
            second.requires_grad_(False)

    def forward(self, symbols, state):
        ys, state = self.recurrent(self.embedding(symbols), state)
        return self.output(ys), state


def twin_losses(twin: Twin, data: StreamBatches, optimizer, clip_norm: float | None) -> list[float]:
    """The loop of ``fit``, written out in PyTorch."""
    losses: list[float] = []
    state = None
    while True:
        for batch in data:
            if not batch.continues:
                state = None
            logits, state = twin(torch.tensor(batch.inputs), state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(batch.targets).flatten())
            optimizer.zero_grad()
            loss.backward()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_([p for p in twin.parameters() if p.requires_grad], clip_norm)
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == STEPS:
                return losses


@pytest.mark.parametrize(
    ("cell", "ours", "theirs", "options", "clip_norm"),
    [
        ("LSTM", optim.Adam, torch.optim.Adam, {"lr": 5e-3}, None),
        ("RNN", optim.SGD, torch.optim.SGD, {"lr": 0.5, "momentum": 0.9}, 0.25),
        ("GRU", optim.AdamW, torch.optim.AdamW, {"lr": 5e-3, "weight_decay": 0.1}, 1.0),
    ],
)
def test_the_same_loss_curve(cell: str, ours, theirs, options: dict, clip_norm: float | None) -> None:
    text = python_documentation()[:12_000]  # some 72 steps: a second epoch begins on the way
    vocabulary = CharacterVocabulary.from_text(text)
    model = LanguageModel(vocabulary, cell, units=UNITS, embedding_size=EMBEDDING, seed=5, dtype=np.float64)
    twin = Twin(model, cell)
    optimizer = theirs([p for p in twin.parameters() if p.requires_grad], **options)
    data = StreamBatches(vocabulary.encode(text), batch_size=BATCH, steps=TIME, rng=1)
    expected = twin_losses(twin, data, optimizer, clip_norm)
    data = StreamBatches(vocabulary.encode(text), batch_size=BATCH, steps=TIME, rng=1)
    history = fit(model, data, nn.cross_entropy, ours(model.parameters(), **options), steps=STEPS, clip_norm=clip_norm)
    assert history.losses[-1] < 0.8 * history.losses[0]
    assert len(history.epochs) == 1
    np.testing.assert_allclose(history.losses, expected, rtol=0, atol=1e-9)
