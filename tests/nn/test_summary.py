"""The summary of a model: what it counts is there, and its formulas give the counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import nn
from tinygrad_rnn.nn.summary import Layer

SIZES = st.integers(1, 9)
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.MGUCell, nn.IndRNNCell]


def value_of(layer: Layer) -> Any:
    """A formula computed."""
    return eval(layer.formula.replace("·", "*"), {}, dict(layer.sizes))


@pytest.mark.parametrize("kind", CELLS)
@given(n=SIZES, d=SIZES, k=SIZES)
def test_the_formulas_give_the_counts(kind: Any, n: int, d: int, k: int) -> None:
    model = nn.ManyToOne(nn.Recurrent(kind(n, d)), outputs=k)
    found = model.summary()
    assert found.parameters == model.num_parameters() == sum(layer.total for layer in found.layers)
    for layer in found.layers:
        assert value_of(layer) == layer.total, layer


def test_the_count_of_an_elman_network() -> None:
    """Source: the count n·d + d·d + k·d + d + k of an Elman network with its readout, for n = 4, d = 5, k = 3."""
    found = nn.ManyToOne(nn.RNN(4, 5), outputs=3).summary()
    assert [layer.formula for layer in found.layers] == ["n·d + d·d + d", "d·k + k"]
    assert found.parameters == 4 * 5 + 5 * 5 + 3 * 5 + 5 + 3
    assert [layer.sizes for layer in found.layers] == [{"n": 4, "d": 5}, {"d": 5, "k": 3}]


def test_gates_stand_before_a_bracket() -> None:
    formulas = [nn.Recurrent(kind(3, 4)).summary().layers[0].formula for kind in (nn.LSTMCell, nn.GRUCell)]
    assert formulas == ["4·(n·d + d·d + d)", "3·(n·d + d·d + d) + d"]


def test_shared_parameters_count_once_and_own_ones_are_there() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Parameter(np.ones(7))
            self.below = nn.Linear(3, 3, seed=0)
            self.above = self.below

        def forward(self, x: Any) -> Any:
            return self.above(self.below(x))

    found = Tied().summary(np.zeros((2, 3)))
    assert found.parameters == 7 + 12 and [layer.path for layer in found.layers] == ["", "below"]
    assert "Tied: (2, 3) → (2, 3)" in str(found) and "scale (7,)" in str(found)
    assert "<table>" in found._repr_html_() and "| all |" in found._repr_markdown_()


def test_a_model_without_parameters() -> None:
    assert nn.Dropout().summary().parameters == 0


def test_looking_changes_nothing() -> None:
    model = nn.Sequential(nn.Linear(3, 2, seed=0), nn.Dropout(0.5, seed=1))
    before = model[1].generator.bit_generator.state
    model.summary(np.zeros((2, 3), np.float32))
    assert model.training and model[1].generator.bit_generator.state == before
