"""A warning where parameters start alike that nobody meant to be alike, and only there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim


@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW])
def test_who_trains_by_hand_is_told_too(kind: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 3), np.tanh, nn.Linear(3, 3))
    said = r"^parameter 0 \(W\) and parameter 2 \(W\); parameter 1 \(b\) and parameter 3 \(b\) start .* seed=rng"
    with pytest.warns(UserWarning, match=said) as caught:
        kind(model.parameters())
    assert [each.filename for each in caught] == [__file__]


def test_parts_that_a_stack_makes_never_start_alike() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make in (nn.RNN, nn.LSTM, nn.GRU):
            optim.SGD(make(4, 4, 3, bidirectional=True).parameters())
        cell = nn.GRUCell(8, 4, seed=1)
        attention = nn.AdditiveAttention(4, 4, 4, seed=2)
        optim.SGD(nn.Decoder(8, cell, attention=attention, memory_size=4).parameters())


def test_no_warning_of_what_is_shared_or_alike_on_purpose() -> None:
    rng = np.random.default_rng(0)
    twins = [nn.RNNCell(3, 3, "relu", seed=rng) for _ in range(2)]
    for cell in twins:
        cell.W.data = nn.init.identity((3, 3))
        cell.b.data = np.zeros(3)
    layer = nn.GRU(3, 3)
    model = nn.Sequential(layer, layer, *twins, nn.LayerNorm(3), nn.LayerNorm(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optim.SGD(model.parameters())
