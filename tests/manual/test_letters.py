"""The articles' letters: the same network in each of them."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn.manual import elman, letters
from tinygrad_rnn.manual.rtrl import rtrl

N, D, K = 4, 3, 2
PARAMS = elman.ElmanParams(*(np.random.default_rng(0).normal(size=s) for s in [(N, D), (D, D), (D, K), (D,), (K,)]))


@pytest.mark.parametrize("notation", letters.NOTATIONS, ids=lambda notation: notation.article)
def test_there_and_back_again(notation: letters.Notation) -> None:
    arrays = letters.to_letters(PARAMS, notation)
    back = letters.from_letters(arrays, notation)
    for name in ("U", "W", "V"):
        np.testing.assert_array_equal(getattr(back, name), getattr(PARAMS, name))
    has_biases = notation.b is not None
    np.testing.assert_array_equal(back.b, PARAMS.b if has_biases else np.zeros(D))
    np.testing.assert_array_equal(back.c, PARAMS.c if has_biases else np.zeros(K))


def test_shapes_are_those_that_the_articles_state() -> None:
    learning = letters.to_letters(PARAMS, letters.LEARNING_ALGORITHM)
    assert {name: array.shape for name, array in learning.items()} == {
        "U": (D, N),
        "W": (D, D),
        "V": (K, D),
        "b": (D,),
        "c": (K,),
    }
    what = letters.to_letters(PARAMS, letters.WHAT_IS_AN_RNN)
    assert what["W"].shape == (D, K), "W leads from the hidden layer to the output there"


def test_the_recurrence_of_the_worked_example_is_called_u_there() -> None:
    theirs = letters.to_letters(PARAMS, letters.UNDER_THE_HOOD)
    assert sorted(theirs) == ["B_o", "B_s", "U", "W_o", "W_s"]
    np.testing.assert_array_equal(theirs["U"], PARAMS.W)


def test_loss_gradients_by_component_have_the_shape_of_the_article() -> None:
    """∂L_t/∂U is (N⁽²⁾ × N⁽¹⁾ × n) in "Updating parameters and RNN training"."""
    trace = elman.forward(PARAMS, np.ones((5, N)), np.ones((5, K)))
    theirs = letters.to_letters(rtrl(trace).loss_gradients, letters.UPDATING_PARAMETERS)
    assert theirs["U"].shape == (5, K, D, N)
    assert theirs["V"].shape == (5, K, K, D)
    assert theirs["c"].shape == (5, K, K)


def test_names_that_the_article_does_not_use_are_refused() -> None:
    arrays = letters.to_letters(PARAMS, letters.UNDER_THE_HOOD)
    with pytest.raises(KeyError, match="has B_o, B_s, U, W_o, W_s; given are B_o, B_s, U, V, W_o, W_s"):
        letters.from_letters(arrays | {"V": PARAMS.V}, letters.UNDER_THE_HOOD)
