"""What the derivations are asked for by name or by shape: given, or refused with what there is."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_rnn.manual import losses, stacked
from tinygrad_rnn.manual.ctc import ctc
from tinygrad_rnn.manual.elman import random_params


def test_a_loss_is_asked_for_by_its_name_or_brought_along() -> None:
    by_name = losses.loss_function("mse")
    assert losses.loss_function(by_name) is by_name
    with pytest.raises(ValueError, match=r"no loss is called 'mean'; there are .*mse"):
        losses.loss_function("mean")


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3)])
def test_ctc_reads_one_sequence(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(T, k\) with at least one step"):
        ctc(np.zeros(shape), labels=[1])


def test_the_states_of_both_directions_stand_side_by_side_in_the_order_of_the_text() -> None:
    rng = np.random.default_rng(0)
    forwards, backwards = (stacked.HiddenParams(*random_params(2, d, 1, rng)[:2], np.zeros(d)) for d in (3, 4))
    both = stacked.BidirectionalParams(forwards, backwards, rng.normal(size=(7, 2)), np.zeros(2))
    trace = stacked.bidirectional_forward(both, rng.normal(size=(5, 2)), rng.normal(size=(5, 2)))
    assert trace.s.shape == (5, 7)
    np.testing.assert_array_equal(trace.s[:, :3], trace.forwards.s[1:])
    np.testing.assert_array_equal(trace.s[:, 3:], trace.backwards.s[1:][::-1])
