"""A small run that has everything in it that a checkpoint must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel
from tinygrad_rnn.training import Checkpoints, History, fit

TEXT = "you say yes, I say no; you say stop, and I say go, go, go. " * 4
VOCABULARY = CharacterVocabulary.from_text(TEXT)
SYMBOLS = VOCABULARY.encode(TEXT)


class NoisyModel(LanguageModel):
    """A language model with noise on its outputs, from a generator of its own; its state is a NamedTuple."""

    def __init__(self, vocabulary: CharacterVocabulary, **options: Any) -> None:
        super().__init__(vocabulary, "LSTM", units=6, embedding_size=4, seed=1, **options)
        self.rng = np.random.default_rng(2)

    def forward(self, symbols: Any, state: Any = None) -> tuple[Any, Any]:
        logits, state = super().forward(symbols, state)
        if self.training:
            logits = logits + self.rng.normal(size=logits.shape).astype(np.float32) / 10
        return logits, state


class Recorder:
    """A callback with a memory."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __call__(self, run: Any) -> None:
        self.seen.append(run.history.last_loss)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": list(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = list(state["seen"])


def run(
    folder: Path | None = None,
    *,
    steps: int,
    every: int | None = None,
    resume: bool = False,
    callbacks: tuple[Any, ...] = (),
    keep: int = 2,
    model: NoisyModel | None = None,
    data: StreamBatches | None = None,
    executor: str | None = None,
    **changes: Any,
) -> tuple[NoisyModel, History]:
    """Train for so many steps, from the beginning or from what is in the folder.

    Not compiled, unless an executor is named: to compile takes longer than all steps.
    """
    model = NoisyModel(VOCABULARY, executor=executor) if model is None else model
    optimizer = changes.pop("optimizer", optim.Adam)(model.parameters(), lr=0.05)
    options = {
        "clip_norm": 1.0,
        "schedule": optim.CosineAnnealingLR(optimizer, T_max=100),
        "validation": StreamBatches(SYMBOLS[-60:], batch_size=2, steps=8, rng=4),
        "validate_every": 7,
        "checkpoints": None if folder is None else Checkpoints(folder, every=every, keep=keep),
        "callbacks": [Recorder(), *callbacks],
        **changes,
    }
    history = fit(
        model, batches() if data is None else data, nn.cross_entropy, optimizer, steps=steps, resume=resume, **options
    )
    return model, history


def batches(seed: int = 3) -> StreamBatches:
    """What the run learns from."""
    return StreamBatches(SYMBOLS[:-60], batch_size=2, steps=8, rng=seed)


def without_times(tree: Any) -> Any:
    """What a checkpoint holds, but for how long it took."""
    return {**tree, "history": {key: value for key, value in tree["history"].items() if key != "seconds"}}


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """Where two trees differ, by so much as a bit."""
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return [found for key in a for found in differences(a[key], b[key], f"{place}.{key}")]
    if isinstance(a, (list, tuple)) and type(a) is type(b) and len(a) == len(b):
        return [found for i, (x, y) in enumerate(zip(a, b)) for found in differences(x, y, f"{place}[{i}]")]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    else:
        same = type(a) is type(b) and a == b
    return [] if same else [place]


def leaves_of(tree: Any, place: tuple = ()) -> list[tuple]:
    """The places of all leaves in a tree."""
    if isinstance(tree, dict):
        return [found for key in tree for found in leaves_of(tree[key], (*place, key))]
    if isinstance(tree, (list, tuple)):
        return [found for i, part in enumerate(tree) for found in leaves_of(part, (*place, i))]
    return [place]


def replaced(tree: Any, place: tuple, value: Any) -> Any:
    """The same tree with another leaf."""
    if not place:
        return value
    key, *rest = place
    if isinstance(tree, dict):
        return {**tree, key: replaced(tree[key], tuple(rest), value)}
    return type(tree)(replaced(part, tuple(rest), value) if i == key else part for i, part in enumerate(tree))
