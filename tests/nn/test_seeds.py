"""What is made without a seed differs from what was made before, and a script repeats itself all the same."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.data.generator_state import generator_state

MAKERS = {
    "Linear": lambda: nn.Linear(3, 3),
    "Embedding": lambda: nn.Embedding(5, 3),
    "RNN": lambda: nn.RNN(3, 3),
    "LSTM": lambda: nn.LSTM(3, 3, num_layers=2, bidirectional=True),
    "GRU": lambda: nn.GRU(3, 3),
    "MGU": lambda: nn.MGUCell(3, 3),
    "attention": lambda: nn.AdditiveAttention(3, 3, 3),
    "decoder": lambda: nn.Decoder(5, nn.GRUCell(4, 3)),
}


def drawn(model: nn.Module) -> list[np.ndarray]:
    return [p.data.copy() for p in model.parameters() if np.unique(p.data).size > 2]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_two_without_a_seed_differ_and_a_seed_of_all_repeats_both(make):
    tr.manual_seed(3)
    first, second = drawn(make()), drawn(make())
    tr.manual_seed(3)
    again = [drawn(make()), drawn(make())]
    assert not any(np.array_equal(a, b) for a, b in zip(first, second))
    assert all(np.array_equal(a, b) for a, b in zip(first + second, again[0] + again[1]))


def test_no_two_parts_of_a_model_start_alike():
    model = nn.Sequential(nn.Linear(4, 4), np.tanh, nn.Linear(4, 4), nn.RNN(4, 4, num_layers=2), nn.Linear(4, 4))
    arrays = [a.tobytes() for a in drawn(model)]
    assert len(set(arrays)) == len(arrays)


def test_two_dropouts_drop_different_units():
    first, second = nn.Dropout(0.5), nn.Dropout(0.5)
    assert generator_state(first.generator) != generator_state(second.generator)
    ones = np.ones(64)
    assert (np.asarray(first(ones)) != np.asarray(second(ones))).any()


def test_a_part_with_a_seed_of_its_own_changes_no_other():
    tr.manual_seed(0)
    alone = nn.Linear(3, 3)
    tr.manual_seed(0)
    nn.Linear(3, 3, seed=5)
    assert np.array_equal(nn.Linear(3, 3).W.data, alone.W.data)
    assert np.array_equal(nn.Linear(3, 3, seed=5).W.data, nn.Linear(3, 3, seed=5).W.data)


def test_a_script_repeats_itself():
    script = "from tinygrad_rnn import nn; print(nn.Linear(3, 3).W.data.tolist(), nn.Linear(3, 3).W.data.tolist())"
    one, other = (subprocess.run([sys.executable, "-c", script], capture_output=True, check=True) for _ in range(2))
    assert one.stdout == other.stdout != b""
