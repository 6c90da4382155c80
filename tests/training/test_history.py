"""The record of a run: what it says, and what it shows."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from tinygrad_rnn.training import History


def short() -> History:
    history = History()
    for loss, weight in [(4.0, 2.0), (1.0, 1.0), (5.0, 3.0)]:
        history.record(loss, symbols=10, weight=weight)
        if loss == 1.0:
            history.end_epoch()
            history.validation.append((2, 2.5))
    return history


def test_the_mean_of_an_epoch_weighs_its_batches() -> None:
    history = short()
    assert history.epochs == [2] and history.epoch_losses == [3.0]
    history.end_epoch()
    assert history.epoch_losses == [3.0, 5.0]
    assert (history.step, history.symbols, history.last_loss) == (3, 30, 5.0)


def test_a_state_in_which_metrics_had_no_weight_of_their_own_goes_on() -> None:
    state = short().state_dict()
    *sums, weight, targets = state["epoch_so_far"]
    assert weight == targets
    resumed = History()
    resumed.load_state_dict({**state, "epoch_so_far": [*sums, weight]})
    resumed.end_epoch()
    assert resumed.epoch_losses == [3.0, 5.0]
    for wrong in (sums, [*sums, weight, targets, 1.0]):
        with pytest.raises(ValueError, match="the epoch so far"):
            resumed.load_state_dict({**state, "epoch_so_far": wrong})


def test_the_clock_counts_what_went_before_an_interruption() -> None:
    history = short()
    history.start_clock()
    time.sleep(0.01)
    history.stop_clock()
    first = history.seconds
    assert first >= 0.01
    resumed = History()
    resumed.load_state_dict(history.state_dict())
    assert resumed.seconds == first
    resumed.start_clock()
    time.sleep(0.01)
    assert resumed.seconds >= first + 0.01


def test_a_history_comes_back_whole() -> None:
    history, again = short(), History()
    again.load_state_dict(history.state_dict())
    for each in (history, again):
        each.record(6.0, symbols=1)
        each.end_epoch()
    np.testing.assert_array_equal(again.losses, history.losses)
    assert again.epoch_losses == history.epoch_losses and again.smoothed == history.smoothed
    assert again.validation == history.validation


def test_it_says_what_it_is() -> None:
    assert repr(History()) == "History(no steps yet)"
    history = short()
    assert repr(history) == "History(3 steps, loss 5, 0.0 s)"
    history.stopped = "3 steps are done"
    assert repr(history) == "History(3 steps, loss 5, 0.0 s, 3 steps are done)"


def test_the_smoothed_loss_soon_forgets_the_beginning() -> None:
    history = History()
    for step in range(1, 81):
        history.record(100.0 - step, symbols=1)
    assert 20 < history.smoothed < 30
    for step in range(2000):
        history.record(step % 2, symbols=1)
    assert abs(history.smoothed - 0.5) < 0.011  # over some fifty


def test_it_plots_itself() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    history = short()
    ax = Figure().add_subplot()
    assert history.plot(ax=ax) is ax
    each, smoothed, validation = (line.get_xydata() for line in ax.get_lines())
    np.testing.assert_array_equal(each, [(1, 4), (2, 1), (3, 5)])
    np.testing.assert_allclose(smoothed[-1], (3, history.smoothed))
    np.testing.assert_array_equal(validation, [(2, 2.5)])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    assert len(History().plot().get_lines()) == 2


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"tinygrad_rnn\[plot\]"):
        short().plot()
