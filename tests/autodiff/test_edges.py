"""Semantics at the edges, as decided: ties, kinks, zeros, overflow, empty arrays, broadcasting."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.samples import BINARY, BINARY_REAL, UNARY, UNARY_REAL, label
from tests.autodiff.sampling import real, square_matrices

inf, nan = np.inf, np.nan


def gradient(f: Any, *values: Any) -> Any:
    """The gradient of the sum of f, by reverse mode; forward mode has to agree, without a warning from either."""
    arrays = [np.array(v, dtype=np.float64) for v in values]
    total = lambda *xs: np.sum(f(*xs))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = tr.grad(total, argnums=tuple(range(len(arrays))))(*arrays)
        for i, a in enumerate(arrays):
            for index in np.ndindex(a.shape):
                unit = [np.zeros(b.shape) for b in arrays]
                unit[i][index] = 1
                assert np.isclose(tr.jvp(total, arrays, unit)[1], found[i][index], rtol=1e-12, equal_nan=True)
    lists = [g.tolist() for g in found]
    return lists[0] if len(lists) == 1 else lists


# --- ties and kinks --------------------------------------------------------------------------------------------------


def test_ties_share_equally() -> None:
    assert gradient(np.max, [1.0, 3.0, 3.0]) == [0, 0.5, 0.5]
    assert gradient(np.min, [1.0, 1.0, 1.0, 3.0]) == [1 / 3, 1 / 3, 1 / 3, 0]
    assert gradient(lambda x: np.max(x, axis=0), [[1.0, 5.0], [1.0, 2.0]]) == [[0.5, 1], [0.5, 0]]
    assert gradient(np.maximum, [1.0, 2.0], [1.0, 1.0]) == [[0.5, 1], [0.5, 0]]
    assert gradient(np.minimum, [1.0, 2.0], [1.0, 1.0]) == [[0.5, 0], [0.5, 1]]
    assert gradient(lambda x: np.maximum(x, x), 2.0) == 1.0
    assert gradient(lambda x: np.fmax(x, x) + np.fmin(x, x), 2.0) == 2.0
    assert gradient(np.ptp, [2.0, 2.0]) == [0, 0]


def test_kinks() -> None:
    assert gradient(tr.relu, [-1.0, 0.0, 1.0]) == [0, 0, 1]
    assert gradient(np.abs, [-1.0, 0.0, 1.0]) == [-1, 0, 1]
    assert gradient(np.fabs, [-1.0, 0.0, 1.0]) == [-1, 0, 1]
    assert gradient(lambda x: np.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0]) == [0, 1, 1, 1, 0]
    assert gradient(tr.hard_tanh, [-1.0, 1.0]) == [1, 1]
    assert gradient(tr.leaky_relu, [0.0]) == [0.01]
    assert gradient(tr.elu, [0.0]) == [1]
    assert gradient(np.sign, [-1.0, 0.0, 1.0]) == [0, 0, 0]


def test_clip_with_bounds_that_are_arrays_or_cross() -> None:
    x, lo, hi = [-2.0, 0.5, 3.0], [-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]
    assert gradient(np.clip, x, lo, hi) == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert gradient(np.clip, x, hi, lo) == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]


def test_sort_is_stable() -> None:
    weights = np.array([1.0, 10.0, 100.0])
    assert gradient(lambda x: np.sort(x) * weights, [2.0, 1.0, 1.0]) == [100, 1, 10]
    assert gradient(lambda x: np.sort(x, kind="quicksort") * weights, [1.0, 1.0, 1.0]) == [1, 10, 100]


def test_median_of_an_even_number_is_shared_and_nan_spreads() -> None:
    assert gradient(np.median, [3.0, 1.0, 2.0, 10.0]) == [0.5, 0, 0.5, 0]
    t = tr.tensor([1.0, nan, 2.0], requires_grad=True)
    assert np.isnan(np.median(t).item()) and np.isnan(np.median([1.0, nan, 2.0]))


def test_whose_nan_it_is() -> None:
    assert gradient(np.maximum, [nan, 1.0], [1.0, nan]) == [[1, 0], [0, 1]]
    assert gradient(np.fmax, [nan, 1.0], [1.0, nan]) == [[0, 1], [1, 0]]
    assert gradient(np.max, [1.0, nan]) == [0, 1]
    assert gradient(lambda x: np.nan_to_num(x, posinf=9.0), [1.0, nan, inf]) == [1, 0, 0]


# --- where selects ---------------------------------------------------------------------------------------------------


def test_where_passes_zero_to_the_branch_not_taken() -> None:
    mask = np.array([True, False])
    assert gradient(lambda x, y: np.where(mask, x, y), [nan, nan], [inf, inf]) == [[1, 0], [0, 1]]
    x = np.array([4.0, 0.0])
    with np.errstate(all="ignore"):
        once = tr.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)))(x)
    assert once[0] == 0.25 and np.isnan(once[1])  # 0 * inf, in the rule of sqrt
    assert gradient(lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0), x) == [0.25, 0]


def test_a_condition_has_no_gradient() -> None:
    w = tr.tensor([1.0, 0.0], requires_grad=True)
    np.sum(np.where(w, w * 2, w * 3)).backward()
    assert w.grad.tolist() == [2, 3]


# --- zeros -----------------------------------------------------------------------------------------------------------


def test_powers_at_zero() -> None:
    assert gradient(lambda x: x**0, 0.0) == 0 and gradient(lambda x: x**0.0, 0.0) == 0
    assert gradient(lambda x: x**2, 0.0) == 0 and gradient(lambda x: x**1, 0.0) == 1
    assert gradient(np.power, [0.0, 0.0, 0.0], [0.0, 1.0, 2.0]) == [[0, 1, 0], [0, 0, 0]]
    assert gradient(lambda x: x ** np.array([0, 1, 2]), [0.0, 0.0, 0.0]) == [0, 1, 0]
    assert gradient(lambda y: 0.0**y, 2.0) == 0
    assert tr.grad(tr.grad(lambda x: x**2))(0.0) == 2
    assert tr.grad(tr.grad(lambda x: x**1))(0.0) == 0
    assert gradient(np.float_power, [0.0], [2.0]) == [[0], [0]]
    assert gradient(lambda x: np.linalg.matrix_power(x, 0), np.eye(2)) == [[0, 0], [0, 0]]
    strange = tr.tensor([[np.nan, 1.0], [np.inf, 0.0]], requires_grad=True)
    np.testing.assert_array_equal(np.linalg.matrix_power(strange, 0).data, np.eye(2))


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_products_with_any_number_of_zeros(zeros: int) -> None:
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[:zeros] = 0
    others = [np.prod(np.delete(x, i)) for i in range(4)]
    assert gradient(np.prod, x) == others
    for f in (np.prod, np.cumprod, lambda x: np.prod(x.reshape(2, 2), axis=0), lambda x: np.cumprod(x)[::-1]):
        assert tr.gradcheck(f, [x])
        hessian = tr.hessian(lambda x, f=f: np.sum(f(x)))(x)
        h = 1e-5
        for i, unit in enumerate(np.eye(4)):
            g = tr.grad(lambda x, f=f: np.sum(f(x)))
            assert np.allclose(hessian[i], (g(x + h * unit) - g(x - h * unit)) / (2 * h), atol=1e-6)


def test_roots_of_nothing() -> None:
    zero = [0.0, 0.0, 0.0]
    for f in (
        np.linalg.norm, np.std, lambda x: np.linalg.norm(x, 2), lambda x: np.linalg.norm(x, 1),
        lambda x: np.linalg.norm(x, 3), lambda x: np.linalg.norm(x, inf), lambda x: np.hypot(x, x),
        lambda x: np.linalg.norm(np.outer(x, x)),
    ):  # fmt: skip
        assert gradient(f, zero) == zero
    assert gradient(np.std, [5.0, 5.0]) == [0, 0]
    assert gradient(lambda x: np.std(x, axis=0), [[5.0, 1.0], [5.0, 3.0]]) == [[0, -0.5], [0, 0.5]]
    mixed = gradient(lambda x: np.linalg.norm(x, axis=1), [[0.0, 0.0], [3.0, 4.0]])
    assert np.allclose(mixed, [[0, 0], [0.6, 0.8]], rtol=1e-15)


def test_determinant_of_a_singular_matrix() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert np.allclose(tr.grad(np.linalg.det)(a), [[4, -2], [-2, 1]])
    assert np.allclose(tr.grad(np.linalg.det)(np.zeros((2, 2))), 0)
    assert np.allclose(tr.grad(np.linalg.det)(np.diag([0.0, 2.0, 3.0])), np.diag([6.0, 0.0, 0.0]))


def test_equal_eigenvalues_and_singular_values() -> None:
    assert np.allclose(tr.grad(lambda a: np.sum(np.linalg.eigvalsh(a)))(np.eye(3)), np.eye(3))
    whole = lambda a: np.sum(np.linalg.svd(a, compute_uv=False))  # noqa: E731
    assert np.allclose(tr.grad(whole)(2 * np.eye(2)), np.eye(2))


# --- overflow --------------------------------------------------------------------------------------------------------


def test_nothing_overflows() -> None:
    for x in ([1000.0, 1000.0], [-1000.0, -1000.0], [1.0, -inf, 1.0]):
        assert np.allclose(gradient(tr.logsumexp, x), np.where(np.isfinite(x), 0.5, 0), rtol=1e-12)
    assert gradient(tr.logsumexp, [-inf, -inf]) == [0, 0]
    assert gradient(lambda x: tr.softmax(x)[0], [1000.0, 1000.0]) == [0.25, -0.25]
    assert gradient(lambda x: tr.softmax(x)[0], [800.0, -800.0]) == [0, 0]
    assert gradient(lambda x: tr.softmax(x)[0], [0.0, -inf, 0.0]) == [0.25, 0, -0.25]
    assert gradient(lambda x: tr.log_softmax(x)[0], [800.0, -800.0]) == [0, 0]
    assert gradient(tr.sigmoid, [800.0, -800.0, 0.0]) == [0, 0, 0.25]
    assert gradient(tr.softplus, [800.0, -800.0, 0.0]) == [1, 0, 0.5]
    assert gradient(tr.log_sigmoid, [800.0, -800.0, 0.0]) == [0, 1, 0.5]
    assert np.allclose(gradient(np.logaddexp, [1000.0], [1000.0]), 0.5, rtol=1e-12)
    for f in (np.logaddexp, np.logaddexp2):
        assert gradient(f, [-inf], [0.0]) == [[0], [1]] and gradient(f, [-inf], [-inf]) == [[0], [0]]
    assert gradient(tr.elu, [800.0, -800.0]) == [1, 0]
    assert gradient(tr.selu, [800.0])[0] == pytest.approx(1.0507009873554805)
    assert gradient(tr.silu, [800.0, -800.0]) == [1, 0]
    assert gradient(np.tanh, [800.0, -800.0]) == [0, 0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_at_the_extremes(dtype: Any) -> None:
    x = np.array([-800.0, -30.0, 0.0, 30.0, 800.0], dtype)
    assert np.allclose(tr.softplus(x), [0, np.exp(-30), np.log(2), 30, 800], rtol=1e-6)
    assert np.allclose(tr.log_sigmoid(x), [-800, -30, -np.log(2), -np.exp(-30), 0], rtol=1e-6)
    assert np.allclose(tr.sigmoid(x), [0, np.exp(-30), 0.5, 1, 1], rtol=1e-6)
    assert tr.softmax(x).dtype == tr.log_softmax(x).dtype == tr.gelu(x).dtype == tr.erf(x).dtype == dtype
    assert np.allclose(tr.log_softmax(x), x - 800, rtol=1e-6)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64])
def test_sigmoid_of_whole_numbers_without_a_sign_too(dtype: Any) -> None:
    x = np.array([0, 1, 1], dtype)
    assert np.allclose(tr.sigmoid(x), 1 / (1 + np.exp(-x.astype(float))), rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_sigmoid_says_nothing_of_overflow() -> None:
    for dtype in (np.float32, np.float64):
        assert np.array_equal(tr.sigmoid(np.array([-np.inf, -1e4, 1e4, np.inf], dtype)), [0, 0, 1, 1])


def test_erf_by_the_standard_library() -> None:
    import math

    x = np.concatenate([np.linspace(-7, 7, 2001), [-inf, inf, 0.0, 1e-300, 0.46875, -4.0]])
    assert np.allclose(tr.erf(x), [math.erf(v) for v in x], rtol=2e-15, atol=0)
    assert np.isnan(tr.erf(nan)) and tr.erf(1) == pytest.approx(math.erf(1), rel=1e-15)


# --- nothing ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the mean of nothing is NaN, and NumPy says so
@pytest.mark.parametrize(
    "f",
    [
        np.sum, np.prod, np.mean, np.cumsum, np.cumprod, np.sort, np.ravel, np.transpose, np.flip, np.tanh, tr.sigmoid,
        lambda x: np.sum(x, axis=0), lambda x: np.sum(x, axis=-1), lambda x: np.prod(x, axis=1, keepdims=True),
        lambda x: np.max(x, axis=0), lambda x: np.max(x, initial=1.0), lambda x: x @ np.ones((3, 2)), np.linalg.norm,
        lambda x: np.concatenate([x, x]), lambda x: np.stack([x, x], axis=1), lambda x: x[:, 1:],
        lambda x: x * x[:, :1],
        lambda x: np.cumprod(x, axis=0), lambda x: tr.softmax(x), lambda x: np.einsum("ij,ij->j", x, x),
        lambda x: np.where(x > 0, x, 0), lambda x: np.reshape(x, (3, 0)), lambda x: np.repeat(x, 2, axis=0), np.var,
        lambda x: np.broadcast_to(x, (2, 0, 3)), lambda x: tr.logsumexp(x, axis=1), lambda x: np.pad(x, 1), np.median,
        lambda x: x[np.array([], dtype=int)], lambda x: tr.index_add(x, slice(None), 1.0), lambda x: np.roll(x, 1, 0),
    ],
)  # fmt: skip
def test_a_batch_of_zero_rows(f: Any) -> None:
    empty = np.zeros((0, 3))
    try:
        expected = f(empty)
    except ValueError:
        with pytest.raises(ValueError, match="max"):
            f(tr.tensor(empty, requires_grad=True))
        return
    t = tr.tensor(empty, requires_grad=True)
    result = f(t)
    assert result.shape == np.shape(expected) and np.array_equal(result.data, expected, equal_nan=True)
    result.backward(np.ones(result.shape))
    assert t.grad is None or t.grad.shape == (0, 3)
    assert np.shape(tr.jvp(f, (empty,), (empty,))[1]) == result.shape


def test_a_reduction_over_nothing_that_numpy_refuses_names_the_op() -> None:
    t = tr.tensor(np.zeros((0, 3)), requires_grad=True)
    for f, name in ((np.max, "max"), (np.min, "min")):
        with pytest.raises(ValueError, match=rf"^{name}: .*\(0, 3\)"):
            f(t)


def test_products_with_sizes_of_zero() -> None:
    for a, b in (((0, 3), (3, 2)), ((2, 0), (0, 3)), ((4, 2, 0), (0, 3)), ((0, 2, 3), (3, 2)), ((2, 3), (3, 0))):
        x, y = tr.tensor(np.ones(a), requires_grad=True), tr.tensor(np.ones(b), requires_grad=True)
        (x @ y).sum().backward()
        assert x.grad.shape == a and y.grad.shape == b
        assert not np.any(x.grad) or y.size


def test_an_empty_sequence() -> None:
    W = tr.tensor(np.eye(2), requires_grad=True)
    ys, h = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.zeros((0, 2)), state=np.zeros(2))
    assert ys.shape == (0, 2) and h.shape == (2,)
    np.sum(ys).backward()
    assert W.grad.tolist() == [[0, 0], [0, 0]]


# --- broadcasting ----------------------------------------------------------------------------------------------------

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()), ((), (3,)), ((3,), ()), ((1,), (3,)), ((3,), (1,)), ((2, 1), (1, 3)), ((2, 3), (3,)), ((3,), (2, 3)),
    ((1, 1), (3,)), ((0,), (1,)), ((1,), (0,)), ((2, 0, 3), (1, 3)), ((0, 1), (1, 0)), ((1, 3), (2, 1, 1)),
    ((1, 1), (2, 3, 1)),
]  # fmt: skip


@pytest.mark.parametrize("f", [*BINARY, *BINARY_REAL], ids=label)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcasting(f: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    domains = {**BINARY, **BINARY_REAL}[f]
    arrays = [domain(*shape, seed=i) for i, (domain, shape) in enumerate(zip(domains, shapes))]
    assert tr.gradcheck(f, arrays)
    result = f(*(tr.tensor(a, requires_grad=True) for a in arrays))
    assert result.shape == np.broadcast_shapes(*shapes)


@pytest.mark.parametrize("f", [*UNARY, *UNARY_REAL], ids=label)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3)], ids=str)
def test_shapes_of_one_argument(f: Any, shape: tuple[int, ...]) -> None:
    a = UNARY.get(f, UNARY[np.exp])(*shape)
    assert tr.gradcheck(f, [a])
    assert f(tr.tensor(a)).shape == shape


# --- numbers of other kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.tanh, np.sum, np.linalg.inv, tr.sigmoid, lambda x: x * 1j, lambda x: x + 0j])
def test_complex_numbers_are_refused_by_name(f: Any) -> None:
    with pytest.raises(TypeError, match="complex"):
        f(tr.tensor(np.eye(2) * 1j))
    t = tr.tensor(np.eye(2), requires_grad=True)
    a = np.eye(2) * 1j
    for meet in (
        lambda: t * 1j,
        lambda: t @ a,
        lambda: a + t,
        lambda: t.astype(complex),
        lambda: np.concatenate([t, a]),
    ):
        with pytest.raises(TypeError, match="complex"):
            meet()


def test_eigenvalues_that_may_be_complex_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"np\.linalg\.eigvals"):
        np.linalg.eigvals(tr.tensor(np.eye(2), requires_grad=True))


def test_arrays_of_tensors_are_refused_naming_stack() -> None:
    t = tr.tensor(1.0, requires_grad=True)
    for make in (np.array, np.asarray):
        with pytest.raises(TypeError, match=r"np\.stack"):
            make([t, t])


def test_indices_may_be_tensors_of_integers() -> None:
    x, i = tr.tensor([1.0, 2.0, 3.0], requires_grad=True), tr.tensor([2, 0, 2])
    (x[i] * np.array([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [10, 0, 101]
    assert np.take(x, i).tolist() == [3, 1, 3] and tr.index_add(x, i, 1.0).tolist() == [2, 2, 5]
    assert tr.index_update(x, i, 0.0).tolist() == [0, 2, 0]
    assert np.take_along_axis(x, i, 0).tolist() == [3, 1, 3]


def test_updates_with_an_index_that_changes_afterwards() -> None:
    x, index = tr.tensor([1.0, 2.0, 3.0], requires_grad=True), np.array([0, 0])
    v = tr.tensor([5.0, 7.0], requires_grad=True)
    y = np.sum(tr.index_update(x, index, v) * 2 + tr.index_add(x, index, v))
    index[:] = 2
    y.backward()
    assert x.grad.tolist() == [1, 3, 3] and v.grad.tolist() == [1, 3]


def test_index_update_keeps_the_dtype_of_floats_and_promotes_integers() -> None:
    x = tr.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    assert tr.index_update(x, 0, 5.0).dtype == np.float32 and tr.index_add(x, 0, 5.0).dtype == np.float32
    v = tr.tensor(0.5, requires_grad=True)
    result = tr.index_update(np.array([1, 2]), 0, v)
    result.sum().backward()
    assert result.tolist() == [0.5, 2] and v.grad == 1


@pytest.mark.parametrize("index", [slice(None), [0, 2, 1]])
def test_what_is_written_may_have_axes_too_many(index: Any) -> None:
    """Of length 1, as in an assignment to a part of an array."""
    gradient = tr.grad(lambda v: np.sum(tr.index_update(np.ones(3), index, v) * np.arange(3.0)))
    assert gradient(np.full((1, 1), 2.0)).tolist() == [[3.0]]
    assert gradient(np.ones((1, 3))).tolist() == [np.arange(3.0)[index].tolist()]


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3)])
def test_a_stack_of_equations_may_share_their_right_sides(shape: tuple[int, ...]) -> None:
    """As in NumPy 2, whichever version it is: one vector if there is one axis, else one matrix for all."""
    a = square_matrices(3, 2, 2)
    b = real(*shape)
    expected = [np.linalg.solve(matrix, b) for matrix in a]
    np.testing.assert_allclose(np.linalg.solve(tr.tensor(a), tr.tensor(b)).data, expected, rtol=1e-12)


@pytest.mark.parametrize("ord", [None, 1, 2, np.int64(3), np.float64(3), -1, 0, np.inf])
def test_a_norm_takes_orders_and_arrays_of_any_type_of_number(ord: Any) -> None:
    x = np.array([1, -2, 4])
    for a in (x, x.astype(np.float32), x.astype(np.float64)):
        expected = np.linalg.norm(a, ord)
        got = np.linalg.norm(tr.tensor(a), ord)
        assert got.dtype == np.asarray(expected).dtype and np.allclose(got.data, expected)


def test_a_median_takes_a_list_of_axes() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.array_equal(np.median(tr.tensor(x), axis=[0, 2]).data, np.median(x, axis=[0, 2]))


@pytest.mark.parametrize("f", [np.mean, np.nanmean, np.var, np.std])
def test_means_of_integers_and_booleans_under_a_mask(f: Any) -> None:
    where = np.arange(300) % 3 > 0
    for a in (np.arange(300) % 7, (np.arange(300) % 200).astype(np.uint8)):
        assert np.allclose(f(tr.tensor(a), where=where).data, f(a, where=where))
    mask = np.arange(300) % 5 > 1
    assert np.allclose(np.nanmean(tr.tensor(mask)).data, np.nanmean(mask))
    assert np.allclose(np.mean(tr.tensor(mask), where=where).data, np.mean(mask, where=where))


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 20), (5, 4, 3), (5, 300)], ids=str)
@pytest.mark.parametrize("index", [np.array([3, -1, 3, 0, -2, 3]), np.array([[1, 4], [-1, 1]]), np.array([], int)])
def test_rows_that_are_looked_up_more_than_once_get_the_sum(shape: tuple[int, ...], index: np.ndarray) -> None:
    """Embeddings: long rows are sorted first, very long ones summed apart; all are what np.add.at adds."""
    x = tr.tensor(real(*shape), requires_grad=True)
    g = real(*x.data[index].shape)
    np.sum(x[index] * g).backward()
    expected = np.zeros(shape)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint64])
def test_rows_looked_up_by_integers_that_could_not_count_them(dtype: Any) -> None:
    """Bytes of a text, in a vocabulary of more than 255."""
    index = np.array([3, 120, 100 if dtype in (np.uint8, np.uint64) else -1, 3], dtype)
    x = tr.tensor(real(300, 10), requires_grad=True)
    g = real(4, 10)
    np.sum(x[index] * g).backward()
    expected = np.zeros((300, 10))
    np.add.at(expected, index, g)
    np.testing.assert_allclose(x.grad, expected, rtol=0, atol=1e-14)
