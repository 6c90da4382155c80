"""Layers made of any cell: functions, cells of one kind made by a function, cells inside cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

N, D, B, T = 3, 2, 4, 6
LENGTHS = np.array([6, 3, 0, 1])
XS = np.where(np.arange(T)[:, None, None] < LENGTHS[:, None], np.random.default_rng(0).normal(size=(T, B, N)), 0.0)


def test_a_user_s_function_is_a_cell() -> None:
    W = tr.tensor(np.eye(N) / 2, requires_grad=True)
    output, h = nn.Recurrent(lambda x, h: np.tanh(x + h @ W))(XS, np.zeros((B, N)), lengths=LENGTHS)
    np.testing.assert_array_equal(h.data[0], output.data[-1, 0])
    np.testing.assert_array_equal(h.data[2], np.zeros(N))


def test_layers_made_of_any_cell() -> None:
    def made(bidirectional: bool) -> nn.Recurrent:
        rng = np.random.default_rng(4)
        make = lambda n: nn.LSTMCell(n, 4, projection=D, seed=rng, dtype=np.float64)  # noqa: E731
        return nn.Recurrent(make, inputs=N, num_layers=3, bidirectional=bidirectional, dropout=0.5, seed=rng)

    for bidirectional in (False, True):
        layer = made(bidirectional).eval()
        expected = nn.LSTM(N, 4, 3, projection=D, bidirectional=bidirectional, seed=4, dtype=np.float64)
        output, states = layer(XS, lengths=LENGTHS)
        wanted, state = expected(XS, lengths=LENGTHS)
        np.testing.assert_array_equal(output.data, wanted.data)
        np.testing.assert_array_equal(np.stack([one.c.data for one in states]), state.c.data)


def test_functions_inside_other_cells_are_given_their_state() -> None:
    def count(x: Any, state: Any) -> Any:
        return state[0] + state[1], (state[0], state[1] + 1)

    stack = nn.StackedCell([lambda x, h: x + h, nn.ResidualCell(count)])
    start = np.ones((B, N))
    ys, (h, (_, steps)) = nn.Recurrent(stack)(np.ones((T, B, N)), (start, (start, start)))
    np.testing.assert_array_equal(h.data, start + T)
    np.testing.assert_array_equal(steps.data, start + T)
    np.testing.assert_array_equal(ys.data[-1], (1 + T) + (1 + T))


def test_a_plain_function_has_no_size_to_build_on() -> None:
    with pytest.raises(TypeError, match=r"no nn\.Cell: make it one, a class with inputs and units"):
        nn.ManyToOne(nn.Recurrent(lambda x, h: np.tanh(x + h)), 2)


def test_a_cell_can_be_one_layer_only() -> None:
    with pytest.raises(ValueError, match=r"a cell of its own. Pass a function that makes one, and inputs="):
        nn.Recurrent(nn.GRUCell(N, D), num_layers=2)
    with pytest.raises(ValueError, match="a cell of its own"):
        nn.Recurrent(nn.GRUCell(N, D), bidirectional=True)
    with pytest.raises(TypeError, match="pass a function that makes a cell from the size of its inputs, not GRUCell"):
        nn.Recurrent(nn.GRUCell(N, D), inputs=N, num_layers=2)
    with pytest.raises(ValueError, match="num_layers is a whole number, 1 or more, not 0"):
        nn.Recurrent(lambda n: nn.GRUCell(n, D), inputs=N, num_layers=0)
