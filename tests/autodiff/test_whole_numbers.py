"""Whole numbers and conditions among the operands: unsigned ones have no negatives, and short ones overflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

KINDS = ["bool", "int8", "uint8", "int32", "uint64"]

ACTIVATIONS = [
    tr.sigmoid, tr.log_sigmoid, tr.softplus, tr.silu, tr.gelu, tr.erf, tr.elu, tr.selu, tr.leaky_relu, tr.hard_sigmoid,
    tr.softmax, tr.log_softmax, tr.logsumexp,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", ACTIVATIONS, ids=lambda f: f.__name__)
def test_activations_of_whole_numbers(f: Callable[..., Any], kind: str) -> None:
    """Eager and compiled, on arrays and Tensors: what the same numbers give in double precision."""
    x = np.array([0, 1, 2, 100, 3]).astype(kind)
    expected = f(x.astype(float))
    for found in (f(x), f(tr.tensor(x)).data, tr.compile(f)(x).data):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("f", ACTIVATIONS[:6] + ACTIVATIONS[-3:], ids=lambda f: f.__name__)
def test_activations_of_lists_and_numbers(f: Callable[..., Any]) -> None:
    for x in ([1, 2], [True, False], [1.5, 2], 3, True):
        if f not in (tr.silu, tr.gelu) or not isinstance(x, list):  # these two multiply by x itself
            np.testing.assert_allclose(f(x), f(np.asarray(x, float)), rtol=1e-14)


BESIDE: dict[str, Callable[[Any, Any], Any]] = {
    "arctan2": np.arctan2,
    "arctan2 of the other": lambda a, k: np.arctan2(k, a),
    "power": lambda a, k: a**k,
    "power of the other": lambda a, k: k**a,
    "float_power": np.float_power,
    "float_power of the other": lambda a, k: np.float_power(k, a),
    "interp": lambda a, k: np.interp(a, np.arange(5.0), k),
    "average": lambda a, k: np.average(k, weights=a),
    "linspace": lambda a, k: np.linspace(k, a, 3),
    "solve": lambda a, k: np.linalg.solve(np.diag(np.maximum(k, k.dtype.type(1))), a),
}


@pytest.mark.parametrize("kind", ["bool", "int8", "uint8", "uint16", "uint64"])
@pytest.mark.parametrize("name", BESIDE)
def test_gradients_beside_whole_numbers(name: str, kind: str) -> None:
    """A gradient, and its derivative, is that beside the same numbers in double precision."""
    f = BESIDE[name]
    a = np.array([0.4, 1.3, 2.2, 0.9, 3.1])
    for numbers in ([3, 2, 3, 0, 3], [77, 109, 60, 72, 116] if not name.startswith("power") else [1, 0, 5, 2, 4]):
        k = np.array(numbers).astype(kind)
        wide = k.astype(float)

        def loss(a: Any, k: Any) -> Any:
            y = np.ravel(f(a, k))
            return np.sum(np.linspace(0.5, 1.5, len(y)) * y)

        with np.errstate(all="ignore"):
            for order in (loss, lambda a, k: np.sum(tr.grad(loss)(a, k) ** 2)):
                value, gradient = tr.value_and_grad(order)(a, k)
                expected, expected_gradient = tr.value_and_grad(order)(a, wide)
                np.testing.assert_allclose(value, expected, rtol=1e-12)
                np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-300)


AS_NUMPY: dict[str, Callable[[Any], Any]] = {
    "nanmin": np.nanmin,
    "nanmax": np.nanmax,
    "gradient": np.gradient,
    "diff": np.diff,
    "average": lambda k: np.average(k, weights=k),
    "linspace": lambda k: np.linspace(k, k[::-1], 4),
    "interp": lambda k: np.interp([0.5, 2.5], np.arange(5), k),
    "square": lambda k: k**2,
    "itself": lambda k: k**1,
    "inv": lambda k: np.linalg.inv(np.diag(k)),
    "multi_dot of two": lambda k: np.linalg.multi_dot([k[0], k]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AS_NUMPY)
def test_functions_of_whole_numbers(name: str, kind: str) -> None:
    """Eager and compiled, alone and in a loop: NumPy's values, in its dtypes."""
    if (name, kind) == ("gradient", "bool"):
        pytest.skip("NumPy refuses it")
    f = AS_NUMPY[name]
    k = np.array([77, 109, 60, 72, 116]).astype(kind)
    expected = f(k)
    eager, fast = f(tr.tensor(k)), tr.compile(lambda k: f(k))(k)
    steps, _ = tr.unroll(tr.compile(lambda x, h: (f(x), h)), np.stack([k, k]), state=np.zeros(()))
    for found in (eager, fast, steps[0], steps[1]):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=1e-14)


MATRICES: dict[str, Callable[[Any], Any]] = {
    "inv": np.linalg.inv,
    "solve": lambda a: np.linalg.solve(a, a[0]),
    "det": np.linalg.det,
    "slogdet": lambda a: np.linalg.slogdet(a)[1],
    "cholesky": np.linalg.cholesky,
    "svd": lambda a: np.linalg.svd(a)[1],
    "qr": lambda a: np.linalg.qr(a)[1],
    "eigvalsh": np.linalg.eigvalsh,
    "pinv": np.linalg.pinv,
    "norm": np.linalg.norm,
    "mean": np.mean,
}


@pytest.mark.parametrize("executor", ["numpy", "jax"])
@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_matrices_of_whole_numbers(kind: str, executor: str) -> None:
    """In double precision, as NumPy computes them; JAX by itself would compute in single."""
    if executor == "jax":
        pytest.importorskip("jax")
    a = np.array([[3, 1, 1], [1, 4, 2], [1, 2, 6]]).astype(kind)
    found = tr.compile(lambda a: tuple(f(a) for f in MATRICES.values()), executor=executor)(a)
    for name, f, result in zip(MATRICES, MATRICES.values(), found):
        np.testing.assert_allclose(result.data, f(a), rtol=1e-12, atol=1e-14, err_msg=name)


def test_multi_dot_says_what_it_takes() -> None:
    a = tr.tensor(np.ones((2, 2)))
    with pytest.raises(ValueError, match="takes matrices, two or more"):
        np.linalg.multi_dot([a, np.ones((2, 2, 2)), a])
    with pytest.raises(ValueError, match="takes matrices, two or more"):
        np.linalg.multi_dot([a])


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint64"])
def test_short_indices_on_jax(kind: str) -> None:
    pytest.importorskip("jax")
    a, i = np.arange(12.0).reshape(3, 4), np.array([0, 2]).astype(kind)
    fast = tr.compile(lambda a, i: a[i], executor="jax")
    np.testing.assert_array_equal(fast(a, i).data, a[i])
    with pytest.raises(IndexError):
        fast(a, i + i.dtype.type(1))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "trace", "nansum", "nanprod", "cumulative_sum"])
def test_totals_of_whole_numbers_in_the_dtype_that_was_asked_for(name: str, dtype: str) -> None:
    """Also inside of another sum, where two would be one if the first were of the usual long numbers."""
    if not hasattr(np, name):
        pytest.skip("NumPy 2.1 has it")
    total: Any = getattr(np, name)
    options: dict[str, Any] = {"dtype": dtype, **({} if name == "trace" else {"axis": 0})}

    def f(a: Any) -> Any:
        return total(a, **options), np.sum(total(a, **options))

    for kind in ("int16", "bool"):
        a = np.array([[100, 100, -3], [2, 3, 100], [1, 2, 3]]).astype(kind)
        for given, run in ((tr.tensor(a), f), (a, tr.compile(f)), (a, tr.compile(f, executor="llvm"))):
            for found, expected in zip(run(given), f(a)):
                value = np.asarray(found.data if isinstance(found, tr.Tensor) else found)
                np.testing.assert_array_equal(value, expected)
                assert value.dtype == expected.dtype
