"""What an axis means is what it means to NumPy: results, gradients and errors of every function that takes one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.cases import in_groups
from tinygrad_rnn.autodiff.promotion import NUMPY_1

# What is asked of every function: one axis (or several), of an array of this shape.
ARRAYS = {
    "number": np.array(0.5),
    "vector": np.array([0.5, -1.5, 2.5]),
    "matrix": np.arange(1.0, 7.0).reshape(2, 3) / 7,
    "stack": np.arange(1.0, 25.0).reshape(2, 3, 4) / 25,
    "empty": np.zeros((2, 0)),
}
ONE = [0, 1, -1, -2, 2, 3, -3, -4, np.int64(0), None, 1.0, "0"]
SEVERAL = [*ONE, (), (0,), (-1,), (0, 1), (1, 0), (0, -1), (0, 0), (0, -2), (0, 5), (0, 1, 2), [0], (0, 1.0)]

Function = Callable[[Any, Any], Any]


def first(found: Any) -> Any:
    """The first of several results."""
    return found[0] if isinstance(found, (tuple, list)) else found


OF_ONE: dict[str, Function] = {
    "cumsum": lambda x, axis: np.cumsum(x, axis=axis),
    "cumprod": lambda x, axis: np.cumprod(x, axis=axis),
    "rollaxis": lambda x, axis: np.rollaxis(x, axis),
    "rollaxis, to": lambda x, axis: np.rollaxis(x, 0, axis),
    "diff": lambda x, axis: np.diff(x, axis=axis),
    "diff twice": lambda x, axis: np.diff(x, 2, axis),
    "repeat": lambda x, axis: np.repeat(x, 2, axis=axis),
    "repeat each": lambda x, axis: np.repeat(x, [2], axis=axis),
    "take": lambda x, axis: np.take(x, [0], axis=axis),
    "take one": lambda x, axis: np.take(x, -1, axis=axis),
    "take wrapped": lambda x, axis: np.take(x, [0, 7, -8], axis=axis, mode="wrap"),
    "take clipped": lambda x, axis: np.take(x, [0, 7], axis=axis, mode="clip"),
    "take out of range": lambda x, axis: np.take(x, [7], axis=axis),
    "delete": lambda x, axis: np.delete(x, 0, axis=axis),
    "sort": lambda x, axis: np.sort(x, axis=axis),
    "take_along_axis": lambda x, axis: np.take_along_axis(x, np.zeros((1,) * np.ndim(x), int), axis=axis),
    "append": lambda x, axis: np.append(x, x, axis=axis),
    "concatenate": lambda x, axis: np.concatenate([x, x], axis=axis),
    "stack": lambda x, axis: np.stack([x, x], axis=axis),
    "split": lambda x, axis: np.split(x, 1, axis=axis)[0],
    "array_split": lambda x, axis: np.array_split(x, 2, axis=axis)[0],
    "swapaxes": lambda x, axis: np.swapaxes(x, axis, 0),
    "swapaxes, second": lambda x, axis: np.swapaxes(x, 0, axis),
    "diagonal": lambda x, axis: np.diagonal(x, 0, axis, 1),
    "trace": lambda x, axis: np.trace(x, 0, 0, axis),
    "matrix product, one axis": lambda x, axis: np.tensordot(x, x, axes=(axis, axis)),
    "argmax": lambda x, axis: np.argmax(x, axis=axis),
    "argsort": lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
}
OF_SEVERAL: dict[str, Function] = {
    "sum": lambda x, axis: np.sum(x, axis=axis),
    "sum, kept": lambda x, axis: np.sum(x, axis=axis, keepdims=True),
    "mean": lambda x, axis: np.mean(x, axis=axis),
    "prod": lambda x, axis: np.prod(x, axis=axis),
    "prod, kept": lambda x, axis: np.prod(x, axis=axis, keepdims=True),
    "max": lambda x, axis: np.max(x, axis=axis),
    "min, kept": lambda x, axis: np.min(x, axis=axis, keepdims=True),
    "max with initial": lambda x, axis: np.max(x, axis=axis, initial=0.1),
    "sum where": lambda x, axis: np.sum(x, axis=axis, where=x > 0.21),
    "mean where": lambda x, axis: np.mean(x, axis=axis, where=x > -9),
    "var": lambda x, axis: np.var(x, axis=axis),
    "std, kept": lambda x, axis: np.std(x, axis=axis, keepdims=True),
    "ptp": lambda x, axis: np.ptp(x, axis=axis),
    "median": lambda x, axis: np.median(x, axis=axis),
    "median, kept": lambda x, axis: np.median(x, axis=axis, keepdims=True),
    "average": lambda x, axis: np.average(x, axis=axis),
    "average, weighted": lambda x, axis: np.average(x, axis=axis, weights=np.ones(np.shape(x))),
    "nansum": lambda x, axis: np.nansum(x, axis=axis),
    "nanmean": lambda x, axis: np.nanmean(x, axis=axis),
    "nanvar": lambda x, axis: np.nanvar(x, axis=axis),
    "nanstd, kept": lambda x, axis: np.nanstd(x, axis=axis, keepdims=True),
    "gradient": lambda x, axis: first(np.gradient(x, axis=axis)),
    "quantile": lambda x, axis: np.quantile(x, [0.2, 0.7], axis=axis),
    "percentile, kept": lambda x, axis: np.percentile(x, 30, axis=axis, keepdims=True),
    "flip": lambda x, axis: np.flip(x, axis=axis),
    "roll": lambda x, axis: np.roll(x, 1, axis=axis),
    "squeeze": lambda x, axis: np.squeeze(np.expand_dims(x, 0), axis=axis),
    "expand_dims": lambda x, axis: np.expand_dims(x, axis),
    "moveaxis": lambda x, axis: np.moveaxis(x, axis, 0),
    "moveaxis, to": lambda x, axis: np.moveaxis(x, 0, axis),
    "transpose": lambda x, axis: np.transpose(x, axis),
    "rot90": lambda x, axis: np.rot90(x, 1, axis),
    "norm": lambda x, axis: np.linalg.norm(x, axis=axis),
    "norm of order 1": lambda x, axis: np.linalg.norm(x, 1, axis=axis),
    "any": lambda x, axis: np.any(x, axis=axis),
    "count_nonzero": lambda x, axis: np.count_nonzero(x, axis=axis),
}
if not NUMPY_1:
    OF_ONE["trapezoid"] = lambda x, axis: np.trapezoid(x, axis=axis)
    OF_ONE["vecdot"] = lambda x, axis: np.linalg.vecdot(x, x, axis=axis)
    OF_SEVERAL["vector_norm"] = lambda x, axis: np.linalg.vector_norm(x, axis=axis)
    OF_SEVERAL["vector_norm, kept"] = lambda x, axis: np.linalg.vector_norm(x, axis=axis, keepdims=True)
    OF_SEVERAL["vector_norm of order 3"] = lambda x, axis: np.linalg.vector_norm(x, axis=axis, ord=3)

CASES = {
    name: {f"{axis!r} of a {shape}": (name, f, axis, shape) for axis in axes for shape in ARRAYS}
    for functions, axes in ((OF_ONE, ONE), (OF_SEVERAL, SEVERAL))
    for name, f in functions.items()
}


def outcome(f: Function, x: Any, axis: Any) -> Any:
    """What comes out: an array, or an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f(x, axis)
        except Exception as error:  # it is compared with NumPy's
            return error


# Where NumPy has no answer, though there is one: an average of nothing, a median along no axes.
NO_ANSWER = {
    *((name, "empty") for name in ("average", "average, weighted")),
    *((name, "()") for name in ("median", "median, kept", "quantile", "percentile, kept", "roll")),
    ("vecdot", "None"),
}


@in_groups("case", CASES)
@pytest.mark.one_in(3)
def test_results_gradients_and_errors_are_numpys(case: tuple[str, Function, Any, str]) -> None:
    name, f, axis, shape = case
    if not NO_ANSWER.isdisjoint({(name, shape), (name, str(axis))}):
        pytest.skip("NumPy has no answer to hold on to")
    x = ARRAYS[shape]
    expected, found = outcome(f, x, axis), outcome(f, tr.tensor(x, requires_grad=True), axis)
    if isinstance(expected, Exception):
        kinds = (np.exceptions.AxisError, TypeError, IndexError, ValueError)
        kind = next(kind for kind in kinds if isinstance(expected, kind))
        if not (axis is None or isinstance(axis, (int, np.integer))):  # of what is no axis any error will do
            kind = Exception
        assert isinstance(found, kind), (expected, found)
        return
    if isinstance(axis, (float, str)):  # of which some of NumPy's functions make an int
        return
    assert not isinstance(found, Exception), (expected, found)
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(getattr(found, "data", found), expected, rtol=1e-13, atol=1e-15)
    if np.asarray(expected).dtype.kind == "f" and np.size(expected) and np.all(np.isfinite(expected)):
        weights = np.random.default_rng(0).uniform(0.5, 1.5, np.shape(expected))
        assert tr.gradcheck(lambda x: np.sum(weights * f(x, axis)), [x], rtol=1e-5, atol=1e-7)


OF_A_NUMBER: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: np.sum(x, axis=0),
    "prod": lambda x: np.prod(x, axis=-1, keepdims=True),
    "max": lambda x: np.max(x, axis=0),
    "repeat": lambda x: np.sum(np.repeat(x, 2, axis=0) ** 2),
    "take": lambda x: np.sum(np.take(x, [0], axis=0) ** 2),
    "cumsum": lambda x: np.sum(np.cumsum(x, axis=0) ** 2),
    "logsumexp": lambda x: tr.logsumexp(x * x, axis=0),
    "softmax": lambda x: tr.softmax(x, axis=0) * x,
    "log_softmax": lambda x: tr.log_softmax(x) * x,
}


@pytest.mark.parametrize("f", OF_A_NUMBER.values(), ids=OF_A_NUMBER)
def test_a_number_has_an_axis_where_numpy_gives_it_one_compiled_too(f: Callable[[Any], Any]) -> None:
    x = np.array(0.5)
    expected = f(x)
    assert tr.gradcheck(f, [x]) and tr.gradcheck(tr.grad(f), [x])
    leaf = tr.tensor(x, requires_grad=True)
    found = tr.compile(f, executor="numpy")(leaf)
    found.backward()
    assert np.allclose(found.data, expected) and np.allclose(leaf.grad, tr.grad(f)(x))


@pytest.mark.parametrize("f", [tr.logsumexp, tr.softmax, tr.log_softmax])
def test_functions_of_ours_refuse_as_numpys_do(f: Any) -> None:
    for x in (ARRAYS["matrix"], tr.tensor(ARRAYS["matrix"], requires_grad=True)):
        for axis, kind in ((2, np.exceptions.AxisError), ((0, 0), ValueError), (1.0, TypeError)):
            with pytest.raises(kind):
                f(x, axis=axis)


def test_the_error_names_the_operation_and_its_place() -> None:
    x = tr.tensor(np.ones((2, 3)), requires_grad=True)
    for f in (np.sum, np.median, np.flip, np.repeat, np.diff):
        arguments = (x, 2) if f is np.repeat else (x,)
        with (
            tr.scope(layer=1, step=2),
            pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds") as raised,
        ):
            f(*arguments, axis=5)
        assert f"{f.__name__} at layer 1, step 2: " in str(raised.value)


# --- norms -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(NUMPY_1, reason="vector_norm is of NumPy 2")
@pytest.mark.parametrize("order", [2, 1, 3, np.inf, -np.inf, 0, -1, 0.5])
@pytest.mark.parametrize("axis", [None, 1, (0, 1), (2, 0), (0, 1, 2), (-1, -2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_the_norm_of_vectors_is_of_vectors_along_any_axes(order: Any, axis: Any, keepdims: bool) -> None:
    x = ARRAYS["stack"] - 0.51
    f = lambda x: np.linalg.vector_norm(x, axis=axis, ord=order, keepdims=keepdims)  # noqa: E731
    assert np.allclose(f(tr.tensor(x)).data, f(x), rtol=1e-13) and f(tr.tensor(x)).shape == f(x).shape
    if order != 0:
        assert tr.gradcheck(f, [x], rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", [None, 2, 1, 3, np.inf, -np.inf, 0, -1, -2, 0.5, "fro", "nuc"])
@pytest.mark.parametrize(("shape", "axis"), [((0,), None), ((2, 0), 1), ((2, 0), (0, 1)), ((3, 2, 0), (-2, -1))])
def test_norms_of_nothing(order: Any, shape: Any, axis: Any) -> None:
    x = np.zeros(shape)
    f = lambda x, axis: np.linalg.norm(x, order, axis)  # noqa: E731
    expected, found = outcome(f, x, axis), outcome(f, tr.tensor(x, requires_grad=True), axis)
    assert isinstance(expected, Exception) == isinstance(found, Exception), (expected, found)
    if not isinstance(expected, Exception):
        np.testing.assert_array_equal(found.data, expected)
        found.sum().backward()


# --- sizes of zero ---------------------------------------------------------------------------------------------------

OF_NOTHING: dict[str, Callable[[Any], Any]] = {
    "take nothing": lambda x: np.take(x, np.array([], int), axis=1),
    "take nothing, by a list": lambda x: np.take(x, [], axis=0),
    "take of nothing": lambda x: np.take(x, [0], axis=1),
    "take of nothing, wrapped": lambda x: np.take(x, [0], axis=1, mode="wrap"),
    "take of nothing, clipped": lambda x: np.take(x, [0], axis=1, mode="clip"),
    "take of nothing, flat": lambda x: np.take(x, 0),
    "dot with a matrix": lambda x: np.dot(x, np.ones((0, 3))),
    "dot with a vector": lambda x: np.dot(x, np.ones(0)),
    "dot with a stack": lambda x: np.dot(x, np.ones((2, 0, 3))),
    "dot from the left": lambda x: np.dot(np.ones((4, 2)), x),
    "dot of a stack": lambda x: np.dot(np.ones((3, 4, 2)), x),
    "inner": lambda x: np.inner(x, np.ones((3, 0))),
    "tensordot": lambda x: np.tensordot(x, np.ones((0, 3)), 1),
    "tensordot of all": lambda x: np.tensordot(x, x, 2),
    "outer": lambda x: np.outer(x, np.ones(3)),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "repeat never": lambda x: np.repeat(x, 0, axis=0),
    "tile": lambda x: np.tile(x, (2, 2)),
    "kron": lambda x: np.kron(x, np.ones((2, 2))),
    "multi_dot": lambda x: np.linalg.multi_dot([np.ones((3, 2)), x, np.ones((0, 4))]),
}


@pytest.mark.parametrize("f", OF_NOTHING.values(), ids=OF_NOTHING)
def test_of_nothing(f: Callable[[Any], Any]) -> None:
    x = np.zeros((2, 0))
    leaf = tr.tensor(x, requires_grad=True)
    expected, found = (outcome(lambda x, axis: f(x), a, None) for a in (x, leaf))
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)), found
        return
    assert np.array_equal(found.data, expected) and found.shape == expected.shape
    found.sum().backward()
    assert leaf.grad.shape == (2, 0)


@pytest.mark.skipif(NUMPY_1, reason="sizes of -1 are NumPy 2's")
def test_sizes_of_fourier_transforms() -> None:
    """A size of -1 is that of the array, also where half a spectrum comes back; an axis may not stand twice."""
    a = np.arange(12.0).reshape(3, 4)
    for s in ((3, -1), (-1, 3), (-1, -1)):
        for f in (np.fft.irfftn, np.fft.irfft2):
            expected = f(a, s=s, axes=(0, 1))
            np.testing.assert_allclose(f(tr.tensor(a), s=s, axes=(0, 1)).data, expected, atol=1e-14)
    with pytest.raises(ValueError, match="an axis stands twice"):
        np.fft.fftn(tr.tensor(a), axes=(0, -2))
