"""The training loop does what the articles' algorithm does, ends when it should, and keeps good weights."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest

from tests.ctrl_c import listens_to_ctrl_c  # noqa: F401
from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches, StreamBatches
from tinygrad_rnn.manual import elman
from tinygrad_rnn.manual import training as manual_training
from tinygrad_rnn.manual.readout import Objective
from tinygrad_rnn.training import Run, TrainingDiverged, TrainingInterrupted, evaluate, fit

pytestmark = pytest.mark.usefixtures("listens_to_ctrl_c")


class Elman(nn.Module):
    """An Elman network with linear outputs."""

    def __init__(self, inputs: int, units: int, outputs: int, dtype: type = np.float64) -> None:
        self.cell = nn.RNNCell(inputs, units, seed=0, dtype=dtype)
        self.output = nn.Linear(units, outputs, seed=1, dtype=dtype)

    def forward(self, x, state=None):
        ys, state = nn.unroll(self.cell, x, state)
        return self.output(ys), state


class Scale(nn.Module):
    """The simplest model: one number."""

    def __init__(self, a: float = 1.0) -> None:
        self.a = nn.Parameter(np.array(a))

    def forward(self, x):
        return self.a * x[0]


def regression(batch_size: int | None = None, count: int = 6) -> Batches:
    """Sequences of one step; the answer is three times the input."""
    xs = np.linspace(0.5, 1.5, count).reshape(count, 1, 1)
    return Batches(xs, 3 * xs[:, 0], batch_size=batch_size)


def fit_scale(model: Scale, data: Batches, lr: float = 0.1, **keywords):
    return fit(model, data, nn.mse, optim.SGD(model.parameters(), lr=lr), **keywords)


def test_it_is_the_algorithm_of_the_articles() -> None:
    rng = np.random.default_rng(3)
    xs, targets = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4, 2)) / 2
    model = Elman(3, 6, 2)
    cell, output = model.cell, model.output
    parameters = (cell.U, cell.W, output.W, cell.b, output.b)
    start = elman.ElmanParams(*(np.array(p.data) for p in parameters))
    objective = Objective("mse", over_time="mean", over_instances="mean")
    by_hand = manual_training.train(
        start, xs, targets, learning_rate=0.2, threshold=0.2, max_updates=500, objective=objective
    )
    assert by_hand.converged
    data = Batches(xs.swapaxes(0, 1), targets.swapaxes(0, 1), batch_size=None, target_sequences=True)
    history = fit(model, data, nn.mse, optim.SGD(model.parameters(), lr=0.2), threshold=0.2)
    np.testing.assert_allclose(history.losses, by_hand.losses, rtol=1e-10)
    for mine, theirs in zip(parameters, by_hand.params):
        np.testing.assert_allclose(mine.data, theirs, rtol=1e-9, atol=1e-12)


def test_a_stream_carries_its_state() -> None:
    """With a learning rate of zero, chunks of a stream give the losses of one long pass."""
    symbols = np.random.default_rng(0).integers(5, size=41)

    class Reader(Elman):
        def forward(self, x, state=None):
            return super().forward(np.eye(5)[x], state)

    model = Reader(5, 6, 5)
    chunks = StreamBatches(symbols, batch_size=2, steps=4)
    history = fit(model, chunks, nn.cross_entropy, optim.SGD(model.parameters(), lr=0.0), epochs=1)
    (whole,) = StreamBatches(symbols, batch_size=2, steps=20)
    logits, _ = model(whole.inputs)
    losses = np.array(nn.cross_entropy(logits, whole.targets, reduction="none").data)
    np.testing.assert_allclose(history.losses, losses.reshape(5, 4, 2).mean(axis=(1, 2)), rtol=1e-12)
    evaluated = evaluate(model, StreamBatches(symbols, batch_size=2, steps=7), nn.cross_entropy)
    assert evaluated == pytest.approx(losses.mean(), rel=1e-12)  # the last, shorter batch counts for less


def test_the_carried_state_holds_no_graph() -> None:
    states = []
    model = Elman(1, 3, 1)

    def look(run: Run) -> None:
        states.append(run.state)

    symbols = np.arange(9) % 2

    class Reader(Elman):
        def forward(self, x, state=None):
            return super().forward(np.eye(2)[x], state)

    model = Reader(2, 3, 2)
    stream = StreamBatches(symbols, batch_size=1, steps=4)
    fit(model, stream, nn.cross_entropy, optim.SGD(model.parameters()), epochs=1, callbacks=[look])
    assert all(state.is_leaf and not state.requires_grad for state in states)


@pytest.mark.parametrize(
    ("limit", "steps", "reason"),
    [
        ({"steps": 4}, 4, "4 steps are done"),
        ({"epochs": 2}, 6, "2 epochs are done"),
        ({"steps": 100, "epochs": 1}, 3, "1 epoch is done"),
        ({"steps": 0}, 0, "0 steps are done"),
        ({"seconds": 0}, 0, "0 seconds are over"),
        ({"threshold": 1e9}, 3, "below the threshold"),
    ],
)
def test_limits(limit: dict, steps: int, reason: str) -> None:
    history = fit_scale(Scale(), regression(batch_size=2), **limit)
    assert history.step == steps
    assert reason in history.stopped


def test_the_threshold_is_for_the_mean_loss_of_an_epoch() -> None:
    """One easy batch at the end of an epoch doesn't end the run: the losses are 9, 4 and 1."""
    xs = np.array([1.5, 1.0, 0.5]).reshape(3, 1, 1)
    data = Batches(xs, 3 * xs[:, 0], batch_size=1)
    assert fit_scale(Scale(), data, lr=0.0, threshold=4.5, epochs=2).step == 6
    assert fit_scale(Scale(), data, lr=0.0, threshold=4.7, epochs=2).step == 3


def test_a_run_goes_on_where_the_last_one_left_the_data() -> None:
    data = regression(batch_size=1)
    fit_scale(Scale(), data, steps=4)
    history = fit_scale(Scale(), data, epochs=1)
    assert history.step == 2


@pytest.mark.parametrize("limits", [{}, {"steps": -1}, {"seconds": float("nan")}, {"epochs": 2.5}, {"steps": 2.5}])
def test_limits_that_make_no_sense(limits: dict) -> None:
    with pytest.raises(ValueError, match="fit: "):
        fit_scale(Scale(), regression(), **limits)


def test_it_wants_batches_with_a_place() -> None:
    with pytest.raises(TypeError, match="Batches"):
        fit_scale(Scale(), [(1, 2)], steps=1)


def test_a_callback_ends_the_run() -> None:
    history = fit_scale(Scale(), regression(), steps=9, callbacks=[lambda run: run.step == 3 and run.stop("enough")])
    assert (history.step, history.stopped) == (3, "enough")


def test_a_loss_that_explodes_leaves_the_last_good_weights() -> None:
    model = Scale()
    seen = []
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match=r"step \d+\. .* last weights") as caught:
        fit_scale(model, regression(), lr=1e10, steps=200, callbacks=[lambda run: seen.append(run.model.a.item())])
    assert np.isfinite(model.a.item())
    history = caught.value.history
    assert history.step == len(history.losses) and np.isfinite(history.losses).all()
    # The weights after the last update but one: those that gave the last finite loss.
    assert model.a.item() == seen[-2]


def test_a_gradient_that_is_not_finite_is_not_applied() -> None:
    class Root(Scale):
        def forward(self, x):
            return np.sqrt(self.a) * x[0]  # at 0 the root is fine and its slope infinite

    model = Root(0.0)
    with np.errstate(all="ignore"), pytest.raises(TrainingDiverged, match=r"gradient of a .* at step 1\. No update"):
        fit_scale(model, regression(), steps=5)
    assert model.a.item() == 0.0


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals need the main thread")
def test_ctrl_c_waits_for_the_end_of_the_step() -> None:
    before = signal.getsignal(signal.SIGINT)
    model = Scale()
    steps = []

    def press(run: Run) -> None:
        if run.step == 3:
            signal.raise_signal(signal.SIGINT)
        steps.append(run.step)

    with pytest.raises(TrainingInterrupted, match="after step 3") as caught:
        fit_scale(model, regression(), steps=10, callbacks=[press])
    assert steps == [1, 2, 3] and caught.value.history.step == 3
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
    def press_twice(run: Run) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        fit_scale(Scale(), regression(), steps=10, callbacks=[press_twice])
    assert not isinstance(caught.value, TrainingInterrupted)


def test_padding_never_passes_for_data() -> None:
    data = Batches([[[1.0]], [[1.0], [2.0]]], [[3.0], [3.0]], batch_size=2)
    with pytest.raises(ValueError, match="unequal length"):
        fit_scale(Scale(), data, steps=1)


def test_a_model_that_asks_for_lengths_is_told() -> None:
    told = []

    class Told(Scale):
        def forward(self, x, lengths):
            told.append(lengths.tolist())
            return super().forward(x)

    data = Batches([[[1.0]], [[1.0], [2.0]]], [[3.0], [3.0]], batch_size=2)
    fit_scale(Told(), data, steps=1)
    assert told == [[1, 2]]


def test_the_loss_must_be_one_number() -> None:
    model = Scale()
    with pytest.raises(ValueError, match=r"shape \(6, 1\)"):
        fit(model, regression(), lambda y, t: (y - t) ** 2, optim.SGD(model.parameters()), steps=1)


def test_an_optimiser_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the model's parameters"):
        fit(Scale(), regression(), nn.mse, optim.SGD(Scale().parameters()), steps=1)


def test_evaluating_leaves_the_model_in_its_mode() -> None:
    modes = []

    class Watched(Scale):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    model = Watched()
    fit_scale(model, regression(), steps=1)
    evaluate(model, regression(), nn.mse)
    assert modes == [True, False] and model.training


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    fit_scale(Scale(), regression(), steps=3)
    assert capsys.readouterr().err == ""
    fit_scale(Scale(), regression(), steps=3, progress=True, unit="numbers")
    shown = capsys.readouterr().err
    assert "100%" in shown and "loss" in shown and "numbers/s" in shown
