"""``fit`` on arrays and lists: a pair (X, y) becomes batches, losses and optimisers have names, the rest is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim, training
from tinygrad_rnn.data import Batch, Batches
from tinygrad_rnn.training.choices import as_metrics

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 6, 3)).astype(np.float32)  # N = 70, T = 6
CLASSES = (X.sum((1, 2)) > 0).astype(int)
UNEVEN = [RNG.normal(size=(int(t), 3)).astype(np.float32) for t in RNG.integers(3, 9, size=40)]
TAGS = [(x.sum(1) > 0).astype(int) for x in UNEVEN]


def to_one(**layer: Any) -> nn.ManyToOne:
    return nn.ManyToOne(nn.GRU(3, 8, seed=0, **layer), outputs=2, seed=1)


def to_many(**layer: Any) -> nn.ManyToMany:
    return nn.ManyToMany(nn.GRU(3, 8, seed=0, **layer), outputs=2, seed=1)


class Seen(nn.Module):
    """Keeps what it is called with; gives a number for each example, or for each step of each."""

    def __init__(self, every_step: bool = False) -> None:
        self.a, self.every_step = nn.Parameter(np.ones((), np.float32)), every_step
        self.inputs: list[np.ndarray] = []

    def forward(self, x: Any, lengths: Any = None) -> Any:
        self.inputs.append(x)
        return self.a * (x if self.every_step else x.sum(axis=0))


def weights_of(model: nn.Module) -> list[np.ndarray]:
    return [p.numpy() for p in model.parameters()]


def test_a_pair_is_learned_from_as_the_same_batches_are() -> None:
    by_hand, by_pair = to_one(), to_one()
    tr.fit(
        by_hand, Batches(X, CLASSES, batch_size=32), nn.cross_entropy, optim.Adam(by_hand.parameters(), 0.01), steps=3
    )
    tr.manual_seed(3)
    order = Batches(np.arange(70)[:, None], np.arange(70), batch_size=32, rng=nn.init.generator())
    first = next(iter(order)).targets  # the order in which it shuffles
    tr.manual_seed(3)
    history = tr.fit(by_pair, (X, CLASSES), "cross_entropy", "adam", lr=0.01, epochs=1)
    assert history.step == 3  # 70 examples, 32 at a time
    loss = nn.cross_entropy(to_one()(X[first].swapaxes(0, 1)), CLASSES[first]).item()
    assert history.losses[0] == pytest.approx(loss, rel=1e-6)
    same = to_one()
    tr.manual_seed(3)
    tr.fit(same, (X, CLASSES), nn.cross_entropy, partial(optim.Adam, lr=0.01), epochs=1)
    for one, other in zip(weights_of(same), weights_of(by_pair)):
        np.testing.assert_array_equal(one, other)


def test_batches_are_time_first_and_of_the_size_asked_for() -> None:
    model = Seen()
    tr.fit(model, (X, X.sum(1)), "mse", "sgd", batch_size=16, epochs=1)
    assert [x.shape for x in model.inputs[2:]] == [(6, 16, 3)] * 4 + [(6, 6, 3)]  # two to see what it gives


def test_an_array_with_time_first_is_told_by_its_targets() -> None:
    model = Seen()
    tr.fit(model, (X.swapaxes(0, 1), X.sum(1)), "mse", "sgd", batch_size=70, epochs=1)
    assert np.sort(model.inputs[-1], axis=1).tolist() == np.sort(X.swapaxes(0, 1), axis=1).tolist()


def test_uneven_sequences_are_padded_and_padding_counts_for_nothing() -> None:
    for targets, model in ((np.array([tags[-1] for tags in TAGS]), to_one()), (TAGS, to_many())):
        each = [training.evaluate(model, ([x], [y]), "cross_entropy") for x, y in zip(UNEVEN, targets)]
        mean = np.average(each, weights=[np.size(y) for y in targets])
        assert training.evaluate(model, (UNEVEN, targets), "cross_entropy") == pytest.approx(mean, rel=1e-5)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.booleans(), st.booleans())
def test_targets_are_sequences_if_predictions_are(n: int, steps: int, k: int, every_step: bool, as_list: bool) -> None:
    """Whatever sizes coincide: a target (k,) for each example isn't taken for k steps, nor steps for a vector."""
    x = np.arange(n * steps * k, dtype=np.float32).reshape(n, steps, k)
    y = 2 * x if every_step else 2 * x.sum(1)
    pair = (list(x), list(y)) if as_list else (x, y)
    assert training.evaluate(Seen(every_step), pair, "mse") == pytest.approx(np.mean((y / 2) ** 2), rel=1e-4)


def test_a_model_with_the_batch_first_gets_it_first() -> None:
    for model, batch_first in ((to_many(), to_many(batch_first=True)), (to_one(), to_one(batch_first=True))):
        targets = TAGS if isinstance(model, nn.ManyToMany) else [t[0] for t in TAGS]
        one, other = (training.evaluate(m, (UNEVEN, targets), "cross_entropy") for m in (model, batch_first))
        assert one == pytest.approx(other, rel=1e-6)
        history = tr.fit(batch_first, (UNEVEN, targets), "cross_entropy", metrics="accuracy", epochs=2)
        assert 0 < history.epoch_metrics["accuracy"][-1] <= 1


def test_vectors_and_symbols() -> None:
    """Real numbers (N, n) are vectors, whole ones (N, T) sequences of symbols."""
    xs = RNG.normal(size=(50, 4))
    linear = nn.Linear(4, 1, seed=0)
    tr.fit(linear, (xs, xs @ np.ones((4, 1))), "mse", "adam", lr=0.1, epochs=100)
    np.testing.assert_allclose(linear.predict(xs), xs @ np.ones((4, 1)), atol=0.05)
    symbols = RNG.integers(5, size=(20, 7))
    model = nn.Sequential(nn.Embedding(5, 3, seed=0), nn.Linear(3, 5, seed=1))
    history = tr.fit(model, (symbols, symbols), "cross_entropy", "adam", lr=0.1, epochs=40, metrics="accuracy")
    assert history.epoch_metrics["accuracy"][-1] == 1.0
    assert (model.predict(symbols).argmax(-1) == symbols).all()


def test_real_numbers_take_the_dtype_of_the_model() -> None:
    model = Seen()
    tr.fit(model, (X.astype(np.float64), X.sum(1).astype(np.float64)), "mse", "sgd", epochs=1)
    assert {x.dtype for x in model.inputs} == {np.dtype(np.float32)}


def test_a_list_of_pairs_is_a_pair_of_lists() -> None:
    model = to_many()
    assert training.evaluate(model, list(zip(UNEVEN, TAGS)), "cross_entropy") == training.evaluate(
        model, (UNEVEN, TAGS), "cross_entropy"
    )


def test_metrics_are_kept_of_batches_epochs_and_validations() -> None:
    model = to_one()
    unseen = (X[:20], CLASSES[:20])
    history = tr.fit(
        model,
        Batches(X, CLASSES, batch_size=50),
        "cross_entropy",
        "sgd",
        lr=0.0,
        epochs=2,
        metrics={"accuracy": training.accuracy, "positive": lambda p, y: np.mean(p > 0), "loss again": "cross_entropy"},
        validation=unseen,
        callbacks=lambda run: None,
    )
    right = model.predict(X).argmax(-1) == CLASSES
    np.testing.assert_allclose(history.metrics["accuracy"], [right[:50].mean(), right[50:].mean()] * 2)
    np.testing.assert_allclose(history.metrics["loss again"], history.losses, rtol=1e-6)
    assert history.epoch_metrics["accuracy"] == pytest.approx([right.mean()] * 2)
    assert history.validation_metrics["accuracy"] == [(2, right[:20].mean()), (4, right[:20].mean())]
    assert "validation accuracy" in history.table().text() and "positive" in history._repr_html_()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_metrics_of_parts_make_those_of_the_whole(parts: int) -> None:
    def trained(**how: Any) -> training.History:
        data = Batches(UNEVEN, TAGS, batch_size=16, target_sequences=True)
        return tr.fit(
            to_many(), data, "cross_entropy", "adam", epochs=2, metrics="accuracy", validation=data_of(), **how
        )

    def data_of() -> Batches:
        return Batches(UNEVEN[:9], TAGS[:9], batch_size=4, target_sequences=True)

    whole, shared = trained(), trained(accumulate=parts)
    np.testing.assert_allclose(shared.metrics["accuracy"], whole.metrics["accuracy"], atol=1e-12)
    np.testing.assert_allclose(shared.validation_metrics["accuracy"], whole.validation_metrics["accuracy"])


def test_a_run_with_metrics_goes_on_from_its_checkpoint(tmp_path: Any) -> None:
    def trained(steps: int, folder: str, **how: Any) -> training.History:
        tr.manual_seed(0)
        options = {"metrics": "accuracy", "validation": (X[:9], CLASSES[:9]), "checkpoints": tmp_path / folder}
        return tr.fit(to_one(), (X, CLASSES), "cross_entropy", "adam", steps=steps, **options, **how)

    whole = trained(7, "whole")
    trained(4, "parts")
    parts = trained(7, "parts", resume=True)
    np.testing.assert_array_equal(parts.losses, whole.losses)
    np.testing.assert_array_equal(parts.metrics["accuracy"], whole.metrics["accuracy"])
    assert parts.epoch_metrics == whole.epoch_metrics and parts.validation_metrics == whole.validation_metrics
    with pytest.raises(ValueError, match=r"metrics are \['accuracy'\], where this run has \[\]"):
        tr.fit(
            to_one(),
            (X, CLASSES),
            "cross_entropy",
            validation=(X, CLASSES),
            steps=9,
            checkpoints=tmp_path / "parts",
            resume=True,
        )


def test_metrics_in_a_list_have_the_names_of_their_functions() -> None:
    def positive(prediction: Any, targets: Any) -> Any:
        return np.mean(prediction > 0)

    assert list(as_metrics([training.accuracy, positive, "nll"])) == ["accuracy", "positive", "nll"]
    assert as_metrics(positive) == {"positive": positive}


def test_accuracy_counts_what_counts() -> None:
    scores = np.array([[[2.0, 1.0], [0.0, 1.0]], [[0.0, 3.0], [5.0, 1.0]]])  # T = B = 2; classes 0, 1; 1, 0
    target = np.array([[0, 1], [0, 0]])
    assert training.accuracy(scores, target) == 0.75
    assert training.accuracy(scores, target, lengths=[1, 2]) == 1.0
    assert training.accuracy(scores.swapaxes(0, 1), target.T, lengths=[1, 2], batch_first=True) == 1.0
    assert training.accuracy(scores, np.array([[0, 1], [-100, 0]])) == 1.0
    assert training.accuracy(scores, np.eye(2)[target]) == 0.75
    with pytest.raises(ValueError, match=r"accuracy: scores \(3, 1\).*yes and no"):
        training.accuracy(np.ones((3, 1)), np.ones((3, 1)))


def test_a_schedule_of_an_optimiser_by_name() -> None:
    rates: list[float] = []
    tr.fit(
        to_one(), (X, CLASSES), "cross_entropy", "sgd", lr=0.8, steps=3,
        schedule=lambda optimizer: optim.StepLR(optimizer, 1, 0.5),
        callbacks=lambda run: rates.append(run.optimizer.param_groups[0]["lr"]),
    )  # fmt: skip
    assert rates == [0.4, 0.2, 0.1]


REFUSED: list[tuple[str, dict[str, Any]]] = [
    (r"no loss 'crossentropi'; did you mean 'cross_entropy'\?", {"loss": "crossentropi"}),
    (r"no loss 'MSELoss'; did you mean 'mse'\?", {"loss": "MSELoss"}),
    (r"no optimizer 'adma'; did you mean 'adam'\?", {"optimizer": "adma"}),
    (r"no metric 'acc'; did you mean 'accuracy'\?", {"metrics": "acc"}),
    (r"metric 'per example' has shape \(32, 2\)", {"metrics": {"per example": lambda p, y: p}}),
    (r"metrics is a dict .* not 3", {"metrics": 3}),
    (r"metric 'm' is a function .* not 3", {"metrics": {"m": 3}}),
    (r"optimiser in the loss's place", {"loss": optim.Adam}),
    (r"loss is a function .* not 0\.5", {"loss": 0.5}),
    (r"optimizer is one of tr\.optim, .* not a generator", {"optimizer": to_one().parameters()}),
    (r"optimizer is one of tr\.optim, .* the function mse", {"optimizer": nn.mse}),
    (r"lr=0\.1 is for an optimiser by name", {"optimizer": optim.SGD(to_one().parameters()), "lr": 0.1}),
    (r"X holds 70 examples, but y 69: .*\(70, 6, 3\) and \(69,\)", {"data": (X, CLASSES[:-1])}),
    (r"pair \(X, y\).* not a ndarray", {"data": X}),
    (r"pair \(X, y\).* a list of 2", {"data": [X, CLASSES]}),
    (r"pair \(X, y\).* not 0\.2", {"validation": 0.2}),
    (r"X is not an array of numbers: it is a dict", {"data": ({"a": 1}, CLASSES)}),
    (r"y is not an array of numbers", {"data": (X, None)}),
    (r"X\[0\] holds <U3, not numbers; a vocabulary", {"data": (["abc", "d"], [0, 1])}),
    (r"X\[1\] has shape \(4, 2\), where X\[0\] has \(5, 3\)", {"data": ([np.ones((5, 3)), np.ones((4, 2))], [0, 1])}),
    (r"no examples", {"data": ([], [])}),
    (r"batch_size=4 is for a pair", {"data": Batches(X, CLASSES, batch_size=8), "batch_size": 4}),
    (r"GRU is a class", {"model": nn.GRU}),
    (r"model is an nn\.Module, not the function", {"model": nn.mse}),
    (r"callback is a function of the run, .* not 3", {"callbacks": [3]}),
    (r"schedule is one of tr\.optim.* not 3", {"schedule": 3}),
    (r"epochs is a number, not '5'", {"epochs": "5"}),
    (r"clip_norm is a number, not 'a'", {"clip_norm": "a"}),
    (r"checkpoints is the path of a folder.* not 3", {"checkpoints": 3}),
    (r"predict is a function of \(model, batch, state\)", {"predict": 3}),
    (r"whole_step=True returns none", {"metrics": "accuracy", "whole_step": True}),
    (r"mse: prediction \(32, 1\) and target \(32,\) differ in shape: .*target\[\.\.\., None\]",
     {"model": nn.Linear(3, 1), "loss": "mse", "data": (X[:, 0], X[:, 0, 0])}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "change"), REFUSED)
def test_what_is_refused(words: str, change: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"model": to_one(), "data": (X, CLASSES), "loss": "cross_entropy", "epochs": 1, **change}
    with pytest.raises((TypeError, ValueError), match=words):
        tr.fit(**asked)


def test_parameters_that_were_not_asked_for() -> None:
    with pytest.raises(TypeError, match=r"Adam takes parameters, not a function.*model\.parameters\(\), called"):
        optim.Adam(to_one().parameters)


def test_what_is_pytorchs_is_refused() -> None:
    torch = pytest.importorskip("torch")
    weight = torch.zeros(1, requires_grad=True)
    for change in (
        {"loss": torch.nn.CrossEntropyLoss()},
        {"loss": torch.nn.functional.cross_entropy},
        {"optimizer": torch.optim.Adam([weight])},
        {"optimizer": torch.optim.Adam},
        {"model": torch.nn.Linear(3, 2)},
        {"data": torch.utils.data.DataLoader(list(zip(X, CLASSES)))},
        {"schedule": torch.optim.lr_scheduler.StepLR(torch.optim.Adam([weight]), 1)},
    ):
        asked: dict[str, Any] = {
            "model": to_one(),
            "data": (X, CLASSES),
            "loss": "cross_entropy",
            "epochs": 1,
            **change,
        }
        with pytest.raises(TypeError, match="PyTorch"):
            tr.fit(**asked)


def test_predictions_for_arrays_and_lists() -> None:
    one, many = to_one(), to_many()
    np.testing.assert_allclose(one.predict(X), one(X.swapaxes(0, 1)).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(many.predict(X), many(X.swapaxes(0, 1))[0].numpy().swapaxes(0, 1), rtol=1e-5, atol=1e-6)
    assert one.predict(UNEVEN, batch_size=7).shape == (40, 2)
    for got, x in zip(many.predict(UNEVEN), UNEVEN, strict=True):
        np.testing.assert_allclose(got, many(x[:, None])[0].numpy()[:, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(training.predict(one, X), one.predict(X))
    assert training.predict(one, Batch(X.swapaxes(0, 1), CLASSES))[1] is None
    assert to_many(batch_first=True).predict(X).shape == (70, 6, 2)
    with pytest.raises(ValueError, match="no examples"):
        one.predict([])


def test_predictions_are_made_without_dropout_and_leave_the_mode() -> None:
    model = nn.Sequential(nn.Linear(3, 50, seed=0), nn.Dropout(0.5, seed=1))
    np.testing.assert_array_equal(model.predict(X[:, 0]), model.predict(X[:, 0]))
    assert model.training


def test_a_prediction_that_knows_no_examples_is_refused() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            self.a = nn.Parameter(1.0)

        def forward(self, x: Any) -> Any:
            return self.a * np.mean(x)

    with pytest.raises(ValueError, match=r"shape \(\) for one example"):
        Mean().predict(X)


@pytest.mark.parametrize("name", ["loss", "step", "epoch", "learning_rate", "validation_loss"])
def test_a_metric_is_not_called_as_a_column_is(name: str) -> None:
    with pytest.raises(ValueError, match=f"a metric can't be called '{name}'"):
        tr.fit(nn.Linear(2, 1, seed=0), (np.ones((4, 2)), np.ones((4, 1))), "mse", metrics={name: "accuracy"}, epochs=1)


def test_two_metrics_have_two_names() -> None:
    with pytest.raises(ValueError, match="two metrics are called '<lambda>': give a dict"):
        tr.fit(nn.Linear(2, 1, seed=0), (np.ones((4, 2)), np.ones((4, 1))), "mse",
               metrics=[lambda p, y: np.mean(p), lambda p, y: np.mean(y)], epochs=1)  # fmt: skip
