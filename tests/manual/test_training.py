"""The training algorithm: it learns what the articles' networks shall learn, and says when not."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn.manual import elman, worked_example
from tinygrad_rnn.manual.losses import one_hot
from tinygrad_rnn.manual.readout import Objective
from tinygrad_rnn.manual.training import train


def test_one_update_is_that_of_the_worked_example() -> None:
    result = train(
        worked_example.PARAMS,
        worked_example.INPUTS,
        worked_example.TARGETS,
        learning_rate=worked_example.LEARNING_RATE,
        threshold=0.0,
        max_updates=1,
        objective=Objective("one_sided_cross_entropy", worked_example.OUTPUT_STEPS),
    )
    assert result.losses.round(2).tolist() == [3.30, 1.36]
    assert not result.converged
    for ours, expected in zip(result.params, worked_example.updated_params(), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-15)


def test_phrases_become_colours_in_a_many_to_one_network() -> None:
    """The example of "Mild Introduction to Modern Sequence Processing. Part 2"."""
    phrases = np.array([[0, 1], [0, 2], [0, 3]])  # The Forest, The Sea, The Fire
    colours = np.array([[0, 128, 0], [0, 0, 255], [255, 165, 0]]) / 255
    result = train(
        elman.random_params(4, 5, 3, np.random.default_rng(0)),
        one_hot(phrases.T, 4),
        colours[np.newaxis],
        learning_rate=0.5,
        threshold=1e-4,
        objective=Objective("mse", steps="last"),
    )
    assert result.converged
    assert result.losses[-1] < 1e-4 <= result.losses[-2]
    assert len(result.losses) > 10


def test_the_sentence_is_completed() -> None:
    """ "please stay at" goes on with "stay at home", word by word."""
    sentence = one_hot(np.arange(4), 4)
    result = train(
        elman.random_params(4, 6, 4, np.random.default_rng(1)),
        sentence[:-1],
        sentence[1:],
        learning_rate=0.3,
        threshold=0.1,
    )
    assert result.converged
    o = elman.forward(result.params, sentence[:-1]).o
    assert o.argmax(axis=-1).tolist() == [1, 2, 3]


def test_the_parameters_given_are_not_changed() -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    before = [p.copy() for p in params]
    train(params, np.ones((2, 2)), np.ones((2, 2)), learning_rate=1, threshold=0, max_updates=3)
    for p, q in zip(params, before, strict=True):
        np.testing.assert_array_equal(p, q)


def test_training_ends_below_the_threshold_and_not_at_it() -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    loss = float(elman.forward(params, np.ones((2, 2)), np.ones((2, 2))).loss)
    for threshold, updates in [(loss, 1), (np.nextafter(loss, np.inf), 0)]:
        result = train(params, np.ones((2, 2)), np.ones((2, 2)), learning_rate=0.01, threshold=threshold, max_updates=1)
        assert len(result.losses) == 1 + updates


def test_a_diverging_loss_is_reported_with_its_update() -> None:
    params = elman.ElmanParams(np.ones((1, 1)), np.eye(1), np.ones((1, 1)), np.ones(1), np.ones(1))
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"loss is (inf|nan) after \d+ updates; a smaller learning rate"),
    ):
        train(
            params,
            np.ones((3, 1)),
            np.ones((3, 1)),
            learning_rate=1e3,
            threshold=0.0,
            f="identity",
            objective=Objective("mse"),
        )
