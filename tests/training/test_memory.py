"""Training takes no more memory after thousands of steps than after three thousand."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.training import Run, fit


class LastLogits(nn.Module):
    """A tiny recurrent network that carries its state."""

    def __init__(self) -> None:
        self.cell = nn.RNNCell(2, 2, seed=0)

    def forward(self, symbols, state=None):
        return nn.unroll(self.cell, np.eye(2, dtype=np.float32)[symbols], state)


@pytest.mark.sweep
def test_thousands_of_steps_leave_nothing_behind() -> None:
    """Every object counts as a block of memory, and so does the object of every array that is kept alive."""
    steps = 10_000
    in_use: list[int] = []

    def measure(run: Run) -> None:
        if run.step % 1000 == 0:
            in_use.append(sys.getallocatedblocks())

    model = LastLogits()
    stream = StreamBatches(np.arange(steps * 2 + 1) % 2, batch_size=1, steps=2)
    optimizer = optim.Adam(model.parameters())
    gc.collect()
    gc.disable()  # reference counting alone has to free the graphs
    try:
        history = fit(model, stream, nn.cross_entropy, optimizer, steps=steps, clip_norm=1.0, callbacks=[measure])
    finally:
        gc.enable()
    assert history.step == steps
    # By step 3000 CPython's free lists, of up to 2000 objects a kind, are full.
    assert in_use[-1] - in_use[2] < 100, in_use
