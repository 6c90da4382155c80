"""A language model learns, and tells how many bits it needs for a character after so many steps.

`python -m benchmarks.learners tinygrad_rnn LSTM 100 300` (or `PyTorch`) prints a line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Collection
from typing import Any

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches, train_validation_split
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel, python_documentation
from tinygrad_rnn.training import Run, evaluate, fit

UNITS, EMBEDDING, BATCH, TIME = 128, 64, 32, 50
RATE, CLIP_NORM = 5e-3, 1.0
DESCRIPTION = (
    f"{UNITS} units, embedding of {EMBEDDING}, B={BATCH}, T={TIME}, Adam at {RATE:g}, gradients clipped at a norm of "
    f"{CLIP_NORM:g}, float32; the same initial weights, data and order for both."
)


class Learner:
    """A model, what it learns from, and what is found out about it on the way.

    Attributes:
        bits: Bits per character of held-out text, by the number of steps.
        seconds_aside: How long it took to find that out.
    """

    def __init__(self, cell: str, reported: Collection[int]) -> None:
        text = python_documentation()
        vocabulary = CharacterVocabulary.from_text(text)
        train, held_out = train_validation_split(vocabulary.encode(text), validation=0.05)
        self.cell = cell
        self.reported = reported
        self.model = LanguageModel(vocabulary, cell, units=UNITS, embedding_size=EMBEDDING, seed=1)
        self.data = StreamBatches(train, batch_size=BATCH, steps=TIME, rng=2)
        self.held_out = StreamBatches(held_out, batch_size=16, steps=TIME)
        self.bits: dict[int, float] = {}
        self.seconds_aside = 0.0

    def note(self, step: int, held_out_loss: Callable[[], float]) -> None:
        """Take down how well the model does, if this step is one of those reported."""
        if step in self.reported:
            began = time.perf_counter()
            self.bits[step] = held_out_loss() / math.log(2)
            self.seconds_aside += time.perf_counter() - began


def learn(learner: Learner) -> None:
    """By `fit`."""

    def note(run: Run) -> None:
        learner.note(run.step, lambda: evaluate(run.model, learner.held_out, nn.cross_entropy))

    optimizer = optim.Adam(learner.model.parameters(), lr=RATE)
    steps = max(learner.reported)
    fit(learner.model, learner.data, nn.cross_entropy, optimizer, steps=steps, clip_norm=CLIP_NORM, callbacks=[note])


def learn_in_pytorch(learner: Learner) -> None:
    """By PyTorch's twin of the model."""
    import torch

    from .torch_twin import Twin, losses_of, mean_loss

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    twin = Twin(learner.model, learner.cell)
    optimizer = torch.optim.Adam(twin.learned(), lr=RATE)
    for step, _ in enumerate(losses_of(twin, learner.data, optimizer, CLIP_NORM), start=1):
        learner.note(step, lambda: mean_loss(twin, learner.held_out))
        if step == max(learner.reported):
            return


LEARNERS: dict[str, Callable[[Learner], None]] = {"tinygrad_rnn": learn, "PyTorch": learn_in_pytorch}


def main() -> None:
    who, cell, *reported = sys.argv[1:]
    learner = Learner(cell, [int(step) for step in reported])
    began = time.perf_counter()
    LEARNERS[who](learner)
    seconds = time.perf_counter() - began - learner.seconds_aside
    found: dict[str, Any] = {"bits": [learner.bits[step] for step in learner.reported], "seconds": seconds}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
