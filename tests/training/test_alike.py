"""A warning where parts of a model start alike that nobody meant to be alike, and only there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches
from tinygrad_rnn.training import fit
from tinygrad_rnn.training.alike import warn_of_parts_alike


class Holds(nn.Module):
    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def test_fit_warns_and_says_where_and_what_to_do() -> None:
    model = nn.Sequential(nn.Linear(3, 3), np.tanh, nn.Linear(3, 3))
    data = Batches(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), batch_size=2, target_sequences=True)
    with pytest.warns(UserWarning, match=r"0\.W and 2\.W; 0\.b and 2\.b\. They .* pass seed=rng") as caught:
        fit(model, data, nn.mse, optim.SGD(model.parameters()), steps=1)
    assert caught[0].filename == __file__


def test_noise_that_would_be_drawn_alike() -> None:
    with pytest.warns(UserWarning, match=r"numbers: parts\.0 and parts\.1\. "):
        warn_of_parts_alike(Holds(nn.Dropout(0.5), nn.Dropout(0.1), nn.Dropout(0.5, seed=1)))


def test_no_warning_where_there_is_nothing_to_warn_of() -> None:
    rng = np.random.default_rng(0)
    shared, layer = nn.Dropout(0.5), nn.GRU(3, 3)
    twins = [nn.RNNCell(3, 3, "relu", seed=rng) for _ in range(2)]
    for cell in twins:
        cell.W.data = nn.init.identity((3, 3))
        cell.b.data = np.zeros(3)
    masks = [nn.ZoneoutCell(nn.GRUCell(3, 3, seed=rng), 0.1, seed=rng) for _ in range(2)]
    silent = [nn.Dropout(0.0), nn.Recurrent(nn.GRUCell(3, 3, seed=rng)), nn.Recurrent(nn.GRUCell(3, 3, seed=rng))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_parts_alike(Holds(shared, shared, layer, layer, *twins, *masks, *silent))
