"""Losses against PyTorch's, against the formulas derived by hand, and by their own promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual import losses as manual

T, B, K = 5, 3, 4
LENGTHS = np.array([5, 2, 0])
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(T, B, K)) * 3
NUMBERS = RNG.normal(size=(T, B, K)) * 2
CLASSES = RNG.integers(0, K, (T, B))
SOME_IGNORED = np.where(RNG.random((T, B)) < 0.3, -100, CLASSES)
PROBABLE = RNG.dirichlet(np.ones(K), (T, B))
BETWEEN = RNG.uniform(0.05, 0.95, (T, B, K))
WEIGHT = np.array([0.5, 2.0, 1.0, 0.0])
LOG_P = SCORES - np.log(np.exp(SCORES).sum(-1, keepdims=True))


def by_class(function: Callable[..., Any]) -> Callable[..., Any]:
    """PyTorch wants the classes in the second axis."""

    def call(scores: Any, target: Any, **options: Any) -> Any:
        target = target.movedim(-1, 1) if target.ndim == 3 else target
        return function(scores.movedim(-1, 1), target, **options)

    return call


CASES: dict[str, tuple[Any, str, np.ndarray, np.ndarray, dict[str, Any]]] = {
    "mse": (nn.mse, "mse_loss", SCORES, NUMBERS, {}),
    "l1": (nn.l1, "l1_loss", SCORES, NUMBERS, {}),
    "huber": (nn.huber, "huber_loss", SCORES, NUMBERS, {}),
    "huber delta": (nn.huber, "huber_loss", SCORES, NUMBERS, {"delta": 2.5}),
    "cross_entropy": (nn.cross_entropy, "cross_entropy", SCORES, CLASSES, {}),
    "cross_entropy weight": (nn.cross_entropy, "cross_entropy", SCORES, CLASSES, {"weight": WEIGHT}),
    "cross_entropy ignore": (nn.cross_entropy, "cross_entropy", SCORES, SOME_IGNORED, {"weight": WEIGHT}),
    "cross_entropy ignore 2": (nn.cross_entropy, "cross_entropy", SCORES, CLASSES, {"ignore_index": 2}),
    "cross_entropy smooth": (nn.cross_entropy, "cross_entropy", SCORES, SOME_IGNORED, {"label_smoothing": 0.3}),
    "cross_entropy smooth weight": (
        nn.cross_entropy, "cross_entropy", SCORES, SOME_IGNORED, {"label_smoothing": 0.3, "weight": WEIGHT},
    ),
    "cross_entropy probabilities": (nn.cross_entropy, "cross_entropy", SCORES, PROBABLE, {}),
    "cross_entropy probabilities smooth weight": (
        nn.cross_entropy, "cross_entropy", SCORES, PROBABLE, {"label_smoothing": 0.3, "weight": WEIGHT},
    ),
    "nll": (nn.nll, "nll_loss", LOG_P, CLASSES, {}),
    "nll weight ignore": (nn.nll, "nll_loss", LOG_P, SOME_IGNORED, {"weight": WEIGHT}),
    "binary": (nn.binary_cross_entropy, "binary_cross_entropy", BETWEEN, PROBABLE, {}),
    "binary logits": (nn.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits", SCORES, PROBABLE, {}),
    "binary logits pos_weight": (
        nn.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits", SCORES, PROBABLE,
        {"pos_weight": WEIGHT},
    ),
}  # fmt: skip
EVERY = {**{name: case[0:1] + case[2:] for name, case in CASES.items()}, "one-sided": (
    nn.one_sided_cross_entropy, BETWEEN, PROBABLE, {},
)}  # fmt: skip
every_loss = pytest.mark.parametrize(("loss", "prediction", "target", "options"), EVERY.values(), ids=EVERY.keys())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_values_and_gradients_as_pytorch_has_them(case: Any, reduction: str) -> None:
    torch = pytest.importorskip("torch")
    loss, name, prediction, target, options = case
    x = tr.tensor(prediction, requires_grad=True)
    value = loss(x, target, reduction, **options)
    weights = RNG.normal(size=value.shape)
    np.sum(value * weights).backward()

    function = getattr(torch.nn.functional, name)
    function = by_class(function) if name in ("cross_entropy", "nll_loss") else function
    twin = torch.from_numpy(prediction.copy()).requires_grad_()
    given = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    expected = function(twin, torch.from_numpy(target), reduction=reduction, **given)
    (expected * torch.from_numpy(np.asarray(weights))).sum().backward()
    np.testing.assert_allclose(value.data, expected.detach(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(x.grad, twin.grad, rtol=0, atol=1e-12)


@every_loss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "per_instance"])
def test_padding_counts_for_nothing(loss: Any, prediction: Any, target: Any, options: Any, reduction: str) -> None:
    valid = np.arange(T)[:, None] < LENGTHS

    def results(filler: Any) -> tuple[np.ndarray, np.ndarray]:
        x = tr.tensor(np.where(valid[..., None], prediction, filler), requires_grad=True)
        value = loss(x, target, reduction, lengths=LENGTHS, **options)
        np.sum(value * value).backward()
        return value.data, x.grad

    value, gradient = results(np.nan)
    clean, clean_gradient = results(0.5)
    np.testing.assert_array_equal(value, clean)
    np.testing.assert_array_equal(gradient, clean_gradient)
    assert not gradient[~valid].any()

    alone = [loss(tr.tensor(prediction[:n, b]), target[:n, b], "sum", **options).item() for b, n in enumerate(LENGTHS)]
    if reduction == "sum":
        assert value == pytest.approx(sum(alone), abs=1e-12)
    if reduction == "mean" and not options:
        assert value == pytest.approx(sum(alone) / (LENGTHS.sum() * single_losses(loss)), abs=1e-12)
    if reduction == "per_instance":
        assert value == pytest.approx(sum(alone) / (B * single_losses(loss)), abs=1e-12)


def single_losses(loss: Any) -> int:
    """How many single losses a step has."""
    return 1 if loss in (nn.cross_entropy, nn.nll, nn.one_sided_cross_entropy) else K


@every_loss
@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("reduction", ["mean", "per_instance"])
def test_batch_first(loss: Any, prediction: Any, target: Any, options: Any, lengths: Any, reduction: str) -> None:
    expected = loss(tr.tensor(prediction), target, reduction, lengths=lengths, **options)
    swapped = loss(
        tr.tensor(prediction.swapaxes(0, 1)),
        target.swapaxes(0, 1),
        reduction,
        lengths=lengths,
        batch_first=True,
        **options,
    )
    assert swapped.item() == pytest.approx(expected.item(), abs=1e-12)


@every_loss
def test_per_instance_is_the_seeds_convention(loss: Any, prediction: Any, target: Any, options: Any) -> None:
    single = loss(tr.tensor(prediction), target, "none", **options).data
    assert single.shape[:2] == (T, B)
    expected = np.mean([np.sum(single[:, b], axis=0) for b in range(B)])
    assert loss(tr.tensor(prediction), target, "per_instance", **options).item() == pytest.approx(expected, abs=1e-12)


@every_loss
def test_gradients_by_differences(loss: Any, prediction: Any, target: Any, options: Any) -> None:
    assert tr.gradcheck(lambda x: loss(x, target, "none", **options), [prediction])


@every_loss
def test_float32_stays_float32(loss: Any, prediction: Any, target: Any, options: Any) -> None:
    target = target if target.dtype.kind == "i" else target.astype(np.float32)
    x = tr.tensor(prediction.astype(np.float32), requires_grad=True)
    value = loss(x, target, lengths=LENGTHS, **options)
    value.backward()
    assert (value.dtype, x.grad.dtype) == (np.float32, np.float32)


def test_one_sided_against_the_formula() -> None:
    z = tr.tensor(SCORES, requires_grad=True)
    loss = nn.one_sided_cross_entropy(tr.sigmoid(z), PROBABLE, "sum")
    loss.backward()
    formula = manual.loss_function("one_sided_cross_entropy")
    assert loss.item() == pytest.approx(formula.value(SCORES, PROBABLE).sum(), abs=1e-12)
    np.testing.assert_allclose(z.grad, formula.gradient(SCORES, PROBABLE), rtol=0, atol=1e-12)


def test_without_pytorch_the_formulas_derived_by_hand() -> None:
    for name, loss, target in [
        ("softmax_cross_entropy", nn.cross_entropy, PROBABLE),
        ("binary_cross_entropy", nn.binary_cross_entropy_with_logits, PROBABLE),
    ]:
        z = tr.tensor(SCORES, requires_grad=True)
        value = loss(z, target, "sum")
        value.backward()
        formula = manual.loss_function(name)
        assert value.item() == pytest.approx(formula.value(SCORES, target).sum(), abs=1e-12)
        np.testing.assert_allclose(z.grad, formula.gradient(SCORES, target), rtol=0, atol=1e-12)


def test_extremes_do_not_overflow() -> None:
    huge = np.array([[1e4, -1e4]])
    assert nn.cross_entropy(tr.tensor(huge), np.array([1])).item() == 2e4
    assert nn.binary_cross_entropy_with_logits(tr.tensor(huge), np.array([[0.0, 1.0]])).item() == 1e4
    p = tr.tensor([0.0, 1.0], requires_grad=True)
    loss = nn.binary_cross_entropy(p, np.array([1.0, 1.0]), "none")
    np.testing.assert_allclose(loss.data, [100, 0])
    np.sum(loss).backward()
    assert np.isfinite(p.grad).all()


def test_a_class_that_cannot_be_has_probability_zero() -> None:
    z = tr.tensor([[0.0, -np.inf, 1.0]], requires_grad=True)
    nn.cross_entropy(z, np.array([0])).backward()
    assert np.isfinite(z.grad).all()
    assert z.grad[0, 1] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.mse(SCORES, SCORES[0]), r"\(5, 3, 4\) and target \(3, 4\) differ"),
        (lambda: nn.mse(SCORES, NUMBERS, "median"), "not one of mean, sum, none, per_instance"),
        (lambda: nn.mse(SCORES.sum(), NUMBERS.sum(), "per_instance"), "axis of time"),
        (lambda: nn.huber(SCORES, NUMBERS, delta=0), "delta"),
        (lambda: nn.cross_entropy(SCORES, CLASSES[0]), r"class indices of shape \(5, 3\)"),
        (lambda: nn.cross_entropy(SCORES, CLASSES + 1), "there are 4 classes"),
        (lambda: nn.cross_entropy(SCORES, CLASSES - 1), "there are 4 classes"),
        (lambda: nn.cross_entropy(SCORES, PROBABLE[0]), r"probabilities of the same shape.*astype\(int\)"),
        (lambda: nn.cross_entropy(SCORES, CLASSES, label_smoothing=2), "label_smoothing"),
        (lambda: nn.cross_entropy(SCORES, CLASSES, weight=np.ones(3)), r"\(4,\), not \(3,\)"),
        (lambda: nn.cross_entropy(SCORES, CLASSES, lengths=[1]), "3 whole numbers"),
        (lambda: nn.nll(SCORES, PROBABLE), "class indices"),
        (lambda: nn.binary_cross_entropy(SCORES, PROBABLE), "Did you mean to pass logits"),
        (lambda: nn.one_sided_cross_entropy(SCORES, PROBABLE), "Did you mean to pass logits"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_other_units() -> None:
    loss = nn.cross_entropy(tr.tensor(np.zeros((1, 8))), np.array([3]))
    assert nn.bits_per_character(loss).item() == pytest.approx(3)
    assert nn.perplexity(loss).item() == pytest.approx(8)


@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"label_smoothing": 0.2, "weight": True}])
@pytest.mark.parametrize("run", [lambda f: f, tr.compile], ids=["eager", "compiled"])
def test_probabilities_get_a_gradient_too(options: dict[str, Any], run: Any) -> None:
    """As PyTorch gives it; and both arguments by differences."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    scores, p = rng.normal(size=(4, 3)), rng.dirichlet(np.ones(3), 4)
    class_weights = np.array([1.0, 2.0, 0.5])
    ours = {**options, **({"weight": class_weights} if "weight" in options else {})}
    theirs = {**options, **({"weight": torch.tensor(class_weights)} if "weight" in options else {})}
    logits, target = (tr.tensor(a, requires_grad=True) for a in (scores, p))
    run(lambda z, y: nn.cross_entropy(z, y, **ours))(logits, target).backward()
    twins = [torch.tensor(a, requires_grad=True) for a in (scores, p)]
    torch.nn.functional.cross_entropy(*twins, **theirs).backward()
    for a, b in zip((logits, target), twins):
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-14)
    assert tr.gradcheck(lambda z, y: nn.cross_entropy(z, y, **ours), [scores, p])


def test_the_curvature_of_huber_where_nothing_is_wrong() -> None:
    """In the middle of its parabola ``e²/2`` it is 1, and beyond it 0."""
    f = lambda p: np.sum(nn.huber(p, np.array([0.5, 0.0, 0.0]), "none"))  # noqa: E731
    np.testing.assert_allclose(tr.hessian(f)(np.array([0.5, 0.3, 4.0])), np.diag([1.0, 1.0, 0.0]), atol=1e-15)
