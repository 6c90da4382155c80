"""Validation, early stopping, best weights, schedules and clipping in a run."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches
from tinygrad_rnn.training import History, Run, evaluate, fit


class Scale(nn.Module):
    """One number."""

    def __init__(self, a: float = 0.0) -> None:
        self.a = nn.Parameter(np.array(a))

    def forward(self, x):
        return self.a * x[0]


def examples(slope: float, count: int = 4, batch_size: int | None = None, rng: int | None = None) -> Batches:
    """Sequences of one step; the answer is ``slope`` times the input."""
    xs = np.linspace(0.5, 1.5, count).reshape(count, 1, 1)
    return Batches(xs, slope * xs[:, 0], batch_size=batch_size, rng=rng)


def fit_scale(model: Scale, data: Batches, lr: float = 0.2, **keywords):
    return fit(model, data, nn.mse, optim.SGD(model.parameters(), lr=lr), **keywords)


def test_the_best_weights_are_kept() -> None:
    """Training pulls the number to 3 while validation wants 1: on the way it passes the best."""
    model, weights = Scale(), []
    history = fit_scale(
        model,
        examples(3.0),
        epochs=30,
        validation=examples(1.0),
        callbacks=[lambda run: weights.append(run.model.a.item())],
    )
    steps, losses = zip(*history.validation)
    assert steps == tuple(range(1, 31))
    squares = np.mean(np.linspace(0.5, 1.5, 4) ** 2)
    np.testing.assert_allclose(losses, [(a - 1) ** 2 * squares for a in weights], rtol=1e-12)
    assert model.a.item() == min(weights, key=lambda a: abs(a - 1))
    assert history.best_validation == min(history.validation, key=lambda entry: entry[1])


def test_early_stopping_waits_as_long_as_it_is_told() -> None:
    history = fit_scale(Scale(), examples(3.0), epochs=100, validation=examples(1.0), patience=4)
    best, _ = history.best_validation
    assert history.step == best + 4
    assert history.stopped == "the validation loss has not improved 4 times in a row"


def test_patience_lasts_through_an_interruption(tmp_path: Path) -> None:
    def early_stopped(**keywords) -> History:
        return fit_scale(Scale(), examples(3.0), validation=examples(1.0), patience=4, **keywords)

    alone = early_stopped(epochs=100)
    best, _ = alone.best_validation
    early_stopped(epochs=best + 2, checkpoints=tmp_path)
    resumed = early_stopped(epochs=100, checkpoints=tmp_path, resume=True)
    assert (resumed.step, resumed.stopped) == (alone.step, alone.stopped)


def test_an_improvement_can_be_too_small_to_count() -> None:
    enough = fit_scale(Scale(), examples(1.0), epochs=100, validation=examples(1.0), patience=1, min_improvement=0.05)
    losses = [loss for _, loss in enough.validation]
    assert losses[-2] - losses[-1] < 0.05 < losses[-3] - losses[-2]


def test_a_validation_loss_that_is_nan_is_no_improvement() -> None:
    class Broken(Scale):
        def forward(self, x):
            return super().forward(x) if self.training else super().forward(x) * math.nan

    model = Broken()
    history = fit_scale(model, examples(1.0), epochs=100, validation=examples(1.0), patience=3)
    assert history.step == 4 and history.stopped


def test_any_number_is_better_than_nan() -> None:
    class BrokenAtFirst(Scale):
        def forward(self, x):
            return super().forward(x) if self.training or self.a.item() > 1.5 else super().forward(x) * math.nan

    model = BrokenAtFirst()
    history = fit_scale(model, examples(3.0), epochs=6, validation=examples(1.0))
    assert math.isnan(history.validation[0][1])
    _, loss = history.best_validation
    assert loss == min(loss for _, loss in history.validation if not math.isnan(loss))
    assert evaluate(model, examples(1.0), nn.mse) == loss


def test_validation_every_so_many_steps_leaves_no_trace_in_training() -> None:
    plain, watched = Scale(), Scale()
    held_out = examples(1.0, batch_size=3, rng=5)
    place = held_out.state_dict()
    first = fit_scale(plain, examples(3.0, batch_size=1, rng=0), steps=10)
    second = fit_scale(watched, examples(3.0, batch_size=1, rng=0), steps=10, validation=held_out, validate_every=4)
    np.testing.assert_array_equal(first.losses, second.losses)
    assert [step for step, _ in second.validation] == [4, 8]
    assert held_out.state_dict() == place


def test_batches_of_unequal_size_count_for_what_they_hold() -> None:
    model = Scale(2.0)
    parts = [evaluate(model, examples(3.0, count=5, batch_size=size), nn.mse) for size in (1, 2, 3, None)]
    np.testing.assert_allclose(parts, parts[0], rtol=1e-12)


def test_data_in_the_middle_of_an_epoch_are_refused() -> None:
    data = examples(3.0, batch_size=1)
    next(iter(data))
    with pytest.raises(ValueError, match="1 of 4 batches have been handed out"):
        evaluate(Scale(), data, nn.mse)
    with pytest.raises(ValueError, match="no batches"):
        evaluate(Scale(), [], nn.mse)


@pytest.mark.parametrize("wrong", [{"validate_every": 0}, {"patience": 0}, {"min_improvement": -1.0}])
def test_wrong_numbers(wrong: dict) -> None:
    with pytest.raises(ValueError, match="positive"):
        fit_scale(Scale(), examples(1.0), steps=1, validation=examples(1.0), **wrong)


def test_patience_needs_something_to_wait_for() -> None:
    with pytest.raises(ValueError, match="validation="):
        fit_scale(Scale(), examples(1.0), steps=1, patience=3)


# --- the pace of learning --------------------------------------------------------------------------------------------


def rates(schedule_of, data: Batches, **keywords) -> list[float]:
    """The learning rate after every step."""
    model = Scale()
    optimizer = optim.SGD(model.parameters(), lr=1e-3)
    seen: list[float] = []

    def note(run: Run) -> None:
        seen.append(run.optimizer.param_groups[0]["lr"])

    fit(model, data, nn.mse, optimizer, schedule=schedule_of(optimizer), callbacks=[note], **keywords)
    return seen


def test_a_schedule_counts_steps_or_epochs() -> None:
    halves = lambda optimizer: optim.ExponentialLR(optimizer, 0.5)  # noqa: E731
    by_step = rates(halves, examples(1.0, batch_size=2), steps=4)
    by_epoch = rates(halves, examples(1.0, batch_size=2), steps=4, schedule_by="epoch")
    np.testing.assert_allclose(by_step, 1e-3 * 0.5 ** np.array([1, 2, 3, 4]))
    np.testing.assert_allclose(by_epoch, 1e-3 * 0.5 ** np.array([0, 1, 1, 2]))
    with pytest.raises(ValueError, match="schedule_by"):
        rates(halves, examples(1.0), steps=1, schedule_by="batch")


def test_a_plateau_is_one_of_the_validation_loss() -> None:
    """The training loss falls all the time, the validation loss rises."""
    on_plateau = lambda optimizer: optim.ReduceLROnPlateau(optimizer, patience=1)  # noqa: E731
    watched = rates(on_plateau, examples(3.0, batch_size=2), steps=8, validation=examples(-1.0))
    np.testing.assert_allclose(watched, 1e-3 * 0.1 ** np.array([0, 0, 0, 0, 0, 1, 1, 1]))
    alone = rates(on_plateau, examples(3.0, batch_size=2), steps=8)
    np.testing.assert_allclose(alone, 1e-3)


def test_with_validation_a_plateau_is_never_one_of_epochs() -> None:
    """Each step ends an epoch, and every other is validated: the schedule looks four times."""
    on_plateau = lambda optimizer: optim.ReduceLROnPlateau(optimizer, patience=1)  # noqa: E731
    seen = rates(on_plateau, examples(3.0), steps=8, validation=examples(-1.0), validate_every=2)
    np.testing.assert_allclose(seen, 1e-3 * 0.1 ** np.array([0, 0, 0, 0, 0, 1, 1, 1]))


def test_without_validation_a_plateau_is_one_of_the_mean_loss_of_epochs() -> None:
    frozen = lambda optimizer: optim.ReduceLROnPlateau(optimizer, patience=1, threshold=0.5)  # noqa: E731
    np.testing.assert_allclose(
        rates(frozen, examples(3.0, batch_size=2), steps=8), 1e-3 * 0.1 ** np.array([0, 0, 0, 0, 0, 1, 1, 1])
    )


def test_gradients_are_clipped_before_the_update() -> None:
    by_norm, by_value = Scale(), Scale()
    fit_scale(by_norm, examples(1e6), lr=1.0, steps=1, clip_norm=0.25)
    fit_scale(by_value, examples(1e6), lr=1.0, steps=1, clip_value=0.5)
    assert by_norm.a.item() == pytest.approx(0.25, rel=1e-6)
    assert by_value.a.item() == pytest.approx(0.5, rel=1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    "options",
    [{"ignore_index": 1}, {"weight": np.array([0.5, 1.0, 4.0])}, {"label_smoothing": 0.1}],
    ids=["ignored", "weighted", "smoothed"],
)
def test_means_are_over_the_targets_that_count_in_whatever_batches(options: dict) -> None:
    """Also if none counts in a batch, whose mean is NaN; metrics are over all targets."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) for length in (3, 5, 2, 4)]
    y = [rng.integers(0, 3, len(x)) for x in X[:3]] + [np.full(4, 1)]
    model, loss = nn.ManyToMany(nn.RNN(2, 3, seed=0, dtype=np.float64), 3, seed=0), partial(nn.cross_entropy, **options)
    logits = [model(x[:, None])[0].numpy()[:, 0] for x in X]
    whole = float(loss(np.concatenate(logits), np.concatenate(y)))
    right = [np.mean(scores.argmax(-1) == targets) for scores, targets in zip(logits, y)]
    accuracy = np.average(right, weights=[len(t) for t in y])
    for size in (1, 2, None):
        data, unseen = (Batches(X, y, batch_size=size, target_sequences=True) for _ in range(2))
        assert evaluate(model, unseen, loss) == pytest.approx(whole, rel=1e-12)
        if size == 1 and "ignore_index" in options:
            continue  # nothing can be learned from the last one
        still = optim.SGD(model.parameters(), lr=0.0)
        run = fit(model, data, loss, still, epochs=1, validation=unseen, metrics=["accuracy"], executor=None)
        assert [run.epoch_losses[0], run.validation[0][1]] == pytest.approx([whole] * 2, rel=1e-12)
        measured = [run.epoch_metrics["accuracy"][0], run.validation_metrics["accuracy"][0][1]]
        assert measured == pytest.approx([accuracy] * 2, rel=1e-12)


def test_metrics_of_parts_are_means_over_all_targets_whatever_the_loss_counts() -> None:
    rng = np.random.default_rng(0)
    X, y = [rng.normal(size=(length, 2)) for length in (1, 5, 2, 4)], [np.array([0])]
    y += [rng.integers(0, 3, len(x)) for x in X[1:]]
    measured = []
    for parts in (1, 2, 4):
        model, loss = nn.ManyToMany(nn.RNN(2, 3, seed=0), 3, seed=0), partial(nn.cross_entropy, ignore_index=0)
        data = Batches(X, y, batch_size=None, target_sequences=True)
        run = fit(model, data, loss, "sgd", steps=1, accumulate=parts, metrics=["accuracy"], executor=None)
        measured.append(run.metrics["accuracy"][0])
    assert measured == pytest.approx([measured[0]] * 3, rel=1e-12)
