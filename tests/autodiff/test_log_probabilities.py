"""logsumexp, softmax, its logarithm and the cross-entropy, to the last digits at any magnitude.

The referee is arithmetic with 60 decimal digits on exactly the numbers that the functions are given.
"""

from __future__ import annotations

import itertools
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual.ctc import ctc as manual_ctc
from tinygrad_rnn.manual.losses import log_softmax as manual_log_softmax
from tinygrad_rnn.manual.losses import loss_function

OFFSETS = [0.0, 1e3, -1e3, 1e7, -1e7, 1e30, -1e30]
DTYPES = [np.float32, np.float64]
each_magnitude = pytest.mark.parametrize(("offset", "dtype"), list(itertools.product(OFFSETS, DTYPES)))

RUNS = {
    "eager": lambda f: f,
    "numpy": lambda f: tr.compile(f, executor="numpy"),
    "llvm": lambda f: tr.compile(f, executor="llvm"),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> Any:
    return RUNS[request.param]


def around(offset: float, dtype: Any) -> list[np.ndarray]:
    """Rows of neighbouring numbers at this magnitude, some ties, some -inf among them."""
    base = dtype(offset)
    spacing = max(np.spacing(abs(base)), dtype(0.25))
    rows = [[0, 0, 0], [0, 1, 3], [2, 0, 2], [0, -np.inf, 1], [-np.inf, 0, -np.inf], [0, -30, -9], [5, -40, 4.5]]
    return [np.array([base + spacing * dtype(k) for k in row], dtype) for row in rows]


def exact(row: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """logsumexp, log-softmax and softmax of a row, correctly rounded."""
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 60, -(10**9), 10**9
        x = [Decimal(float(a)) for a in row]
        largest = max(x)
        weights = [(a - largest).exp() if a.is_finite() else Decimal(0) for a in x]
        log_total = sum(weights).ln()
        logs = [float(a - largest - log_total) for a in x]
        return float(largest + log_total), np.array(logs), np.array([float(w / sum(weights)) for w in weights])


def assert_last_digits(found: Any, expected: Any, units: float = 4.0, scale: Any = None) -> None:
    """Equal to some units in the last place, of the expected number or of a larger scale."""
    found = np.asarray(getattr(found, "data", found))
    expected = np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    assert np.array_equal(found[~finite], expected[~finite].astype(found.dtype))
    allowed = units * np.finfo(found.dtype).eps * np.maximum(np.abs(expected), 0 if scale is None else scale)
    error = np.abs(found[finite].astype(np.float64) - expected[finite])
    assert np.all(error <= allowed[finite] + np.finfo(found.dtype).tiny), (found, expected)


# --- values ----------------------------------------------------------------------------------------------------------


@each_magnitude
def test_values(offset: float, dtype: Any, run: Any) -> None:
    log_softmax, softmax, logsumexp = (run(f) for f in (tr.log_softmax, tr.softmax, tr.logsumexp))
    for row in around(offset, dtype):
        total, logs, shares = exact(row)
        spread = 1 + np.max(np.abs(row - row.max(), where=np.isfinite(row), out=np.zeros_like(row)).astype(float))
        assert_last_digits(log_softmax(row), logs)
        assert_last_digits(softmax(row), shares, 4 + 2 * spread)
        assert_last_digits(logsumexp(row), total, scale=abs(float(row.max())))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, (0, 2), (1, 2), (2, 0), None])
def test_values_along_any_axes(dtype: Any, axis: Any) -> None:
    x = np.random.default_rng(0).uniform(-30, 30, (3, 4, 2)).astype(dtype)
    axes = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis % 3,)
    for array in (x, np.asfortranarray(x), x[::-1]):
        logs = tr.log_softmax(array, axis)
        moved, of_logs = (np.moveaxis(a, axes, range(-len(axes), 0)) for a in (array, logs))
        rows = moved.shape[: 3 - len(axes)]
        for index in np.ndindex(rows):
            assert_last_digits(of_logs[index].ravel(), exact(moved[index].ravel())[1], 4 + 2 * 60)
        total = np.reshape([exact(moved[index].ravel())[0] for index in np.ndindex(rows)], rows)
        assert_last_digits(tr.logsumexp(array, axis), total)
        assert tr.logsumexp(array, axis).dtype == tr.softmax(array, axis).dtype == logs.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_sure_prediction_loses(dtype: Any) -> None:
    """The loss of a prediction that is nearly certain is small, and keeps its digits: 1 + 1e-20 would be 1."""
    for gap in (1.0, 10.0, 17.0, 40.0, 80.0):
        row = np.array([0, -gap, -gap], dtype)
        loss = nn.cross_entropy(tr.tensor(row[None]), np.array([0]))
        assert_last_digits(loss, -exact(row)[1][0], 3 * gap)


def test_whole_numbers_and_conditions() -> None:
    for x in (np.array([3, 5], np.uint8), np.array([3, 5]), np.array([True, False])):
        assert_last_digits(tr.softmax(x), exact(x.astype(float))[2])
        assert_last_digits(tr.log_softmax(x), exact(x.astype(float))[1])
        assert_last_digits(tr.logsumexp(x), exact(x.astype(float))[0])


@pytest.mark.filterwarnings("error")
def test_numbers_farther_apart_than_the_type_can_tell() -> None:
    row = np.array([3e38, -3e38], np.float32)
    assert tr.log_softmax(row).tolist() == [0, -np.inf]
    assert tr.softmax(row).tolist() == [1, 0] and tr.logsumexp(row) == np.float32(3e38)


def test_an_axis_without_elements() -> None:
    for f in (tr.softmax, tr.log_softmax):
        x = tr.tensor(np.zeros((2, 0), np.float32), requires_grad=True)
        y = f(x)
        y.sum().backward()
        assert y.shape == x.grad.shape == (2, 0) and y.dtype == np.float32


# --- first and second derivatives ------------------------------------------------------------------------------------


@each_magnitude
@pytest.mark.one_in(3)
def test_gradients(offset: float, dtype: Any, run: Any) -> None:
    total, logs, loss = (
        run(f)
        for f in (
            tr.logsumexp,
            lambda x: tr.log_softmax(x)[0],
            lambda x: nn.cross_entropy(x[None], np.zeros(1, int)),
        )
    )
    for row in around(offset, dtype):
        _, log_p, p = exact(row)
        for f, expected in ((total, p), (logs, np.eye(3)[0] - p), (loss, p - np.eye(3)[0])):
            x = tr.tensor(row, requires_grad=True)
            y = f(x)
            y.backward()
            assert_last_digits(x.grad, expected, 30, scale=p)
        if np.isfinite(log_p[0]):
            assert_last_digits(y, -log_p[0])


@each_magnitude
def test_second_derivatives(offset: float, dtype: Any) -> None:
    """The Hessian of logsumexp is diag(p) - p pᵀ, as is that of the cross-entropy; log-softmax has its negative."""
    functions = (
        (1, tr.logsumexp),
        (1, lambda x: nn.cross_entropy(x[None], np.zeros(1, int))),
        (1, lambda x: nn.cross_entropy(x[None], np.full((1, 3), 1 / 3, dtype))),
        (-1, lambda x: tr.log_softmax(x)[1]),
    )
    for row, (sign, f) in itertools.product(around(offset, dtype), functions):
        if sign == 1 and not np.all(np.isfinite(row)):
            continue
        p = exact(row)[2]
        found = tr.jacrev(tr.grad(f))(row), tr.jacfwd(tr.grad(f))(row), tr.jacfwd(tr.jacfwd(f))(row)
        for hessian in found:
            assert_last_digits(hessian, sign * (np.diag(p) - np.outer(p, p)), 30, scale=np.max(p))


def test_second_derivatives_beside_minus_infinity() -> None:
    for row in ([0.0, -np.inf, 1.0], [-np.inf, 0.0, -np.inf]):
        p = exact(np.array(row))[2]
        assert np.allclose(tr.hessian(tr.logsumexp)(np.array(row)), np.diag(p) - np.outer(p, p), rtol=1e-14)
    assert np.array_equal(tr.hessian(tr.logsumexp)(np.full(2, -np.inf)), np.zeros((2, 2)))


@pytest.mark.one_in(5)
@each_magnitude
def test_the_logarithm_of_two(offset: float, dtype: Any, run: Any) -> None:
    for f, base in ((np.logaddexp, 1.0), (np.logaddexp2, np.log(2.0))):
        for row in around(offset, dtype):
            x, y = (tr.tensor(row[i], requires_grad=True) for i in (0, 2))
            run(f)(x, y).backward()
            both = row[[0, 2]].astype(np.float64)
            if np.isfinite(both).any():
                assert_last_digits(np.array([x.grad, y.grad]), exact((both - both.max()) * base)[2], 60, scale=1)
            else:
                assert x.grad == y.grad == 0


@pytest.mark.filterwarnings("error")
def test_the_logarithm_of_two_beside_infinity_says_nothing() -> None:
    for x, y in itertools.product((-np.inf, 0.0, np.inf), repeat=2):
        g = tr.grad(np.logaddexp, argnums=(0, 1))(x, y)
        assert np.sum(g) == (0 if x == y == -np.inf else 1)


# --- the losses ------------------------------------------------------------------------------------------------------


@pytest.mark.one_in(4)
@each_magnitude
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": np.array([1.0, 2.0, 0.5])}])
def test_cross_entropy_does_not_mind_an_offset(offset: float, dtype: Any, options: Any, run: Any) -> None:
    rows = np.stack([row for row in around(offset, dtype) if np.all(np.isfinite(row))])
    near = (rows - rows.max(axis=-1, keepdims=True)).astype(dtype)  # exact: the rows are of neighbours
    for target in (np.arange(len(rows)) % 3, np.full(rows.shape, 1 / 3, dtype)):
        loss = run(lambda z, y=target: nn.cross_entropy(z, y, **options))
        at_home, far = (tr.tensor(a, requires_grad=True) for a in (near, rows))
        losses = [loss(z) for z in (at_home, far)]
        for each in losses:
            each.backward()
        assert losses[0].data == losses[1].data and np.array_equal(at_home.grad, far.grad)


@each_magnitude
def test_ctc_does_not_mind_an_offset(offset: float, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    spacing = max(np.spacing(abs(dtype(offset))), dtype(0.25))
    near = (rng.integers(-6, 1, (5, 1, 4)) * spacing).astype(dtype)
    near -= near.max(axis=-1, keepdims=True)
    far = near + dtype(offset)
    assert np.array_equal(far - dtype(offset), near)
    found = []
    for z in (near, far):
        leaf = tr.tensor(z, requires_grad=True)
        loss = nn.ctc(tr.log_softmax(leaf), [[1, 3]], [5], [2])
        loss.backward()
        found.append((loss.data, leaf.grad))
        by_hand = manual_ctc(z[:, 0], [1, 3])
        found.append((np.asarray(by_hand.loss / 2, dtype), by_hand.dL_dz[:, None] / 2))
    for value, gradient in found[2:]:
        assert any(np.array_equal(value, of_near) and np.array_equal(gradient, g) for of_near, g in found[:2])


# --- by hand ---------------------------------------------------------------------------------------------------------


@each_magnitude
def test_by_hand(offset: float, dtype: Any) -> None:
    loss = loss_function("softmax_cross_entropy")
    for row in around(offset, dtype):
        _, logs, p = exact(row)
        assert_last_digits(manual_log_softmax(row), logs)
        if np.all(np.isfinite(row)):
            y = np.array([0, 1, 0], dtype)
            assert_last_digits(loss.value(row, y), -logs[1])
            assert_last_digits(loss.gradient(row, y), p - y, 60, scale=p)


def exact_ctc(z: np.ndarray, labels: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """The loss, and its gradient by z, from every single path (blank 0): y - the share of paths that are there."""
    steps, classes = z.shape
    with localcontext() as context:
        context.prec = 60
        y = []
        for row in z:
            weights = [(Decimal(float(a)) - Decimal(float(row.max()))).exp() for a in row]
            y.append([w / sum(weights) for w in weights])
        total, through = Decimal(0), [[Decimal(0)] * classes for _ in range(steps)]
        for path in itertools.product(range(classes), repeat=steps):
            merged = [symbol for symbol, _ in itertools.groupby(path)]
            if tuple(symbol for symbol in merged if symbol) == labels:
                p = Decimal(1)
                for t, symbol in enumerate(path):
                    p *= y[t][symbol]
                total += p
                for t, symbol in enumerate(path):
                    through[t][symbol] += p
        gradient = [[float(y[t][i] - through[t][i] / total) for i in range(classes)] for t in range(steps)]
        return float(-total.ln()), np.array(gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, -1e3, 1e7, 1e30])
@pytest.mark.parametrize("labels", [(), (1,), (2, 1), (1, 1)])
def test_ctc_against_every_single_path(labels: tuple[int, ...], offset: float, dtype: Any) -> None:
    spacing = max(np.spacing(abs(dtype(offset))), dtype(0.25))
    z = (dtype(offset) + np.random.default_rng(0).integers(-9, 9, (4, 3)) * spacing).astype(dtype)
    if offset == 1e30:
        z = np.full_like(z, offset)  # neighbours are too far apart for more than one path to count
    expected, gradient = exact_ctc(z, labels)
    leaf = tr.tensor(z[:, None], requires_grad=True)
    loss = nn.ctc(tr.log_softmax(leaf), [labels or [0]], [4], [len(labels)], reduction="sum")
    loss.backward()
    by_hand = manual_ctc(z, labels)
    assert_last_digits(loss, expected, 10, scale=1)
    assert_last_digits(dtype(by_hand.loss), expected, 10, scale=1)
    assert_last_digits(leaf.grad[:, 0], gradient, 60, scale=1)
    assert_last_digits(by_hand.dL_dz, gradient, 60, scale=1)


@pytest.mark.parametrize("axis", [1, (1, 2)])
def test_the_logarithm_of_a_sum_of_none_is_minus_infinity(axis):
    x = tr.tensor(np.zeros((2, 0, 4), np.float32), requires_grad=True)
    result = tr.logsumexp(x, axis=axis)
    assert result.shape == np.zeros((2, 0, 4)).sum(axis).shape
    assert result.dtype == np.float32
    assert np.all(result.numpy() == -np.inf)
    np.sum(result).backward()
    assert x.grad.shape == x.shape
