"""A warning where parts of a model would draw the same noise without anybody's meaning it, and only there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches
from tinygrad_rnn.training import fit
from tinygrad_rnn.training.alike import warn_of_noise_alike


class Holds(nn.Module):
    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def test_fit_warns_and_says_where_and_what_to_do() -> None:
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3, seed=rng), nn.Dropout(0.1))
    data = Batches(np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), batch_size=2, target_sequences=True)
    with pytest.warns(UserWarning, match=r"^0 and 2 would draw .* pass seed=rng") as caught:
        fit(model, data, nn.mse, optim.SGD(model.parameters()), steps=1)
    assert [each.filename for each in caught] == [__file__]


def test_no_warning_where_there_is_nothing_to_warn_of() -> None:
    rng = np.random.default_rng(0)
    shared = nn.Dropout(0.5)
    masks = [nn.ZoneoutCell(nn.GRUCell(3, 3, seed=rng), 0.1, seed=rng) for _ in range(2)]
    silent = [nn.Dropout(0.0), nn.Recurrent(nn.GRUCell(3, 3, seed=rng)), nn.Recurrent(nn.GRUCell(3, 3, seed=rng))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_noise_alike(Holds(shared, shared, nn.Dropout(0.5, seed=1), *masks, *silent))
