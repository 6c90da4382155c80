"""What NumPy refuses of arrays is refused of Tensors too; what has no derivative here is refused by name, with a cure.

And what is there, but rarely met.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.graph import ancestors, backward_walk, forward_walk
from tinygrad_rnn.autodiff.memory import keep_freed_memory
from tinygrad_rnn.autodiff.promotion import as_promised
from tinygrad_rnn.autodiff.registry import elementwise
from tinygrad_rnn.autodiff.tensor import apply

VECTOR, MATRIX, CUBE = np.ones(4), np.ones((2, 4)), np.ones((2, 3, 4))

AS_NUMPY: list[tuple[Callable[[Any], Any], np.ndarray, str]] = [
    (lambda a: len(a), np.array(1.0), "without axes"),
    (lambda a: np.diff(a, -1), VECTOR, "diff: n=-1 must not be negative"),
    (lambda a: np.select([a > 0], [a, a]), VECTOR, "select: 1 conditions for 2 choices"),
    (lambda a: np.take(a, [9], mode="around"), VECTOR, "mode='around' is not 'raise', 'wrap' or 'clip'"),
    (lambda a: np.block([[a], a]), VECTOR, "nested to the same depth"),
    (lambda a: np.block([[a], []]), VECTOR, "none may be empty"),
    (lambda a: np.array_split(a, 0), VECTOR, "0 parts"),
    (lambda a: np.split(a, 3), VECTOR, "4 is not a multiple of 3"),
    (lambda a: np.vsplit(a, 2), VECTOR, r"vsplit of shape \(4,\): needs at least 2 axes"),
    (lambda a: np.dsplit(a, 2), MATRIX, r"dsplit of shape \(2, 4\): needs at least 3 axes"),
    (lambda a: np.tensordot(a, np.ones((3, 2)), 1), MATRIX, "the summed axes differ in size"),
    (lambda a: np.cross(a, a), VECTOR, "vectors need three elements"),
    (lambda a: np.diag(a), CUBE, r"diag of shape \(2, 3, 4\): takes a vector or a matrix"),
    (lambda a: np.average(a, weights=np.ones(3)), MATRIX, "one for each place along axis="),
    (lambda a: np.average(a, axis=1, weights=np.ones(3)), MATRIX, "one for each place along axis="),
    (lambda a: np.linalg.norm(a, "fro"), VECTOR, "no order 'fro' for vectors"),
    (lambda a: np.linalg.norm(a, 3), MATRIX, "no order 3 for matrices"),
    (lambda a: np.linalg.norm(a, 2), CUBE, "vectors have one axis, matrices two"),
    (lambda a: np.max(a, where=a > 2), VECTOR, "needs initial="),
    (lambda a: np.where(a > 0, a), VECTOR, "with both choices"),
    (lambda a: np.select([a], [a]), VECTOR, "conditions are arrays of booleans, .* one is of float64"),
    (lambda a: np.split(a, [1.5]), VECTOR, "float"),
    (lambda a: np.pad(a, 1.5), VECTOR, "float"),
    (lambda a: np.roll(a, [[1]], 0), VECTOR, r"shifts of shape \(1, 1\)"),
    (lambda a: np.stack([a, a], dtype=int), VECTOR, "'same_kind'"),
    (lambda a: np.sum(a, where=np.ones((3, 4), bool)), VECTOR, r"where= of shape \(3, 4\) doesn't broadcast"),
    *(
        (
            (lambda a: np.linalg.outer(a, a), MATRIX, "takes two vectors"),
            (lambda a: np.var(a, ddof=1, correction=1), VECTOR, "two names of one setting"),
            (lambda a: np.linalg.pinv(a, 0.1, rtol=0.1), MATRIX, "two names of one setting"),
        )
        if hasattr(np.linalg, "outer")  # NumPy 1 has none of these
        else ()
    ),
]


@pytest.mark.parametrize(("f", "array", "said"), AS_NUMPY, ids=[said for _, _, said in AS_NUMPY])
def test_what_numpy_refuses(f: Callable[[Any], Any], array: np.ndarray, said: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError, ZeroDivisionError)):
        f(array)
    with pytest.raises((ValueError, TypeError), match=said):
        f(tr.tensor(array, requires_grad=True))


WITHOUT_A_RULE: list[tuple[Callable[[Any], Any], np.ndarray, str]] = [
    (lambda a: np.linalg.svd(a, hermitian=True), np.eye(3), "use np.linalg.eigh"),
    (lambda a: np.linalg.svd(a), MATRIX, "Pass full_matrices=False"),
    (lambda a: np.linalg.qr(a, mode="complete"), MATRIX, "use 'reduced' or 'r'"),
    (lambda a: np.pad(a, 1, mode="linear_ramp"), VECTOR, "has no derivative rule here. Use 'constant'"),
    (lambda a: np.pad(a, 1, mode="reflect", reflect_type="odd"), VECTOR, "reflect_type='odd'"),
    (lambda a: np.reshape(a, (4, 2), order="A"), MATRIX, "depends on memory layout.*use 'C' or 'F'"),
    (lambda a: np.add.reduceat(a, [0, 2]), VECTOR, "add.reduceat"),
    (lambda a: np.add.accumulate(a), VECTOR, r"Use np.cumsum\(a, axis=0\)"),
    (lambda a: np.logaddexp.reduce(a), VECTOR, "Use tr.logsumexp"),
    (lambda a: np.quantile(a, 0.5, method="weibull"), VECTOR, "takes the methods linear, lower, higher, midpoint"),
    (lambda a: np.cov(a, fweights=np.ones(a.size, int)), VECTOR, "does not take fweights="),
    (lambda a: np.correlate(a, a), VECTOR, r"Use np.convolve\(a, v\[::-1\]\)"),
    (lambda a: np.std(a, dtype=int), VECTOR, "dtype=int64 for elements of type float64.*Leave dtype= out"),
    (lambda a: np.cumsum(a, dtype=bool), VECTOR, "dtype=bool for elements of type float64"),
    (lambda a: np.isneginf(a, np.ones(4)), VECTOR, "isneginf"),
    (lambda a: np.isnan(a, out=None, where=np.zeros(4, bool)), VECTOR, "does not take where="),
]


@pytest.mark.parametrize(("f", "array", "said"), WITHOUT_A_RULE, ids=[said for _, _, said in WITHOUT_A_RULE])
def test_what_has_no_rule(f: Callable[[Any], Any], array: np.ndarray, said: str) -> None:
    f(array)  # NumPy itself does it
    with pytest.raises((TypeError, ValueError), match=said):
        f(tr.tensor(array, requires_grad=True))


def test_gelu_has_two_forms() -> None:
    with pytest.raises(ValueError, match="approximate='erf' is not 'none' or 'tanh'"):
        tr.gelu(np.ones(2), approximate="erf")


# --- what is there, but rarely met ------------------------------------------------------------------------------------


def test_a_list_from_the_left_and_a_plus_sign() -> None:
    w = tr.tensor([1.0, 2.0], requires_grad=True)
    y = [[3.0, 4.0], [5.0, 6.0]] @ +w
    assert y.data.tolist() == [11.0, 17.0]
    np.sum(y).backward()
    assert w.grad.tolist() == [8.0, 10.0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_a_mask_on_floats_of_every_size(dtype: Any) -> None:
    """For most a mask picks bits; a long double has none that NumPy counts as a whole number."""
    x = tr.tensor(np.array([1.5, -2.0, 3.0]), requires_grad=True, dtype=dtype)
    tr.relu(x).backward(np.array([2.0, np.inf, 4.0], dtype))
    assert x.grad.dtype == dtype and x.grad.tolist() == [2.0, 0.0, 4.0]


def test_where_with_a_condition_alone_gives_places() -> None:
    w = tr.tensor([0.0, 2.0, 3.0], requires_grad=True)
    (places,) = np.where(w > 1)
    assert type(places) is np.ndarray and places.tolist() == [1, 2]
    (places,) = np.where(w)
    assert places.tolist() == [1, 2]


def test_places_are_whole_numbers_and_other_arguments_arrays() -> None:
    w = tr.tensor([1.0, 2.0], requires_grad=True)
    assert np.take(w, np.array([True, False, True])).data.tolist() == [2.0, 1.0, 2.0]  # places, not a mask
    assert [part.shape for part in np.split(w, np.array(2))] == [(1,), (1,)]
    assert [np.shape(part) for part in np.atleast_1d(w, (3.0,), 4.0)] == [(2,), (1,), (1,)]
    assert np.asarray(np.array(True), like=w).dtype == bool


def test_grad_at_a_tensor_that_needs_none_leaves_it_as_it_was() -> None:
    x = tr.tensor([1.0, 2.0])
    g = tr.grad(lambda x: np.sum(x**3))(x)
    np.testing.assert_array_equal(g, [3.0, 12.0])
    assert not x.requires_grad and x.grad is None
    with pytest.raises(TypeError, match="int64 has no gradient; pass real numbers"):
        tr.grad(lambda x: np.sum(x))(tr.tensor([1, 2]))


def test_an_elementwise_function_of_three_arguments() -> None:
    f = elementwise(
        lambda x, y, z: x * y / z,
        lambda ans, x, y, z: y / z,
        lambda ans, x, y, z: x / z,
        lambda ans, x, y, z: -ans / z,
        name="x*y/z",
    )
    assert repr(f) == "<primitive x*y/z>"
    arguments = [np.array([1.0, 2.0]), np.array(3.0), np.array([[4.0], [5.0]])]
    assert tr.gradcheck(lambda *a: apply(f, a) if any(isinstance(x, tr.Tensor) for x in a) else f(*a), arguments)


def test_forward_mode_over_scalars_is_the_transpose_of_backward() -> None:
    a, b = tr.Scalar(0.7), tr.Scalar(-1.3)
    y = ((a * b + a.tanh()) ** 2 / b).exp()  # every path has an odd number of edges
    nodes = ancestors([y])
    backward = backward_walk({y: 1.0}, nodes)
    for leaf in (a, b):
        assert forward_walk({leaf: 1.0}, nodes)[y] == pytest.approx(backward[leaf], rel=1e-14)


@pytest.mark.parametrize("f", [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: b - a, lambda a, b: b * a])
def test_a_scalar_takes_numbers_alone(f: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(TypeError):
        f(tr.Scalar(1.0), "1")


def test_a_label_passes_what_has_no_graph() -> None:
    for value in (1.0, "word", None, [1, 2]):
        assert tr.named("f", value) is value


@pytest.mark.parametrize(
    ("op", "operands"),
    [
        (np.multiply, (np.ones(2, np.float32), 2.5)),
        (np.add, (np.float32(1), 2.5)),
        (np.add, (np.ones(2, np.float32), np.float64(1))),
        (np.add, (np.ones(2, np.int32), np.ones(2, np.float32))),
        (np.equal, (np.ones(2, np.float32), 1.0)),
        (np.float_power, (np.ones(2, np.float32), 2.0)),
        (np.add, (np.ones(2, np.int64), 1)),
    ],
)
def test_types_are_those_of_numpy_2(op: Any, operands: tuple[Any, ...]) -> None:
    """What makes NumPy 1 promise what NumPy 2 does, whose own answer is the oracle."""
    if np.__version__.startswith("1."):
        pytest.skip("asks NumPy 2")
    of_numpy_2 = op(*operands)
    of_numpy_1 = of_numpy_2.astype(np.float64) if of_numpy_2.dtype == np.float32 else of_numpy_2
    primitive = elementwise(op, *[0] * len(operands))
    assert as_promised(np.asarray(of_numpy_1), primitive, operands).dtype == of_numpy_2.dtype


def test_another_c_library_keeps_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("TINYGRAD_RNN_KEEP_MEMORY", raising=False)

    class Musl:
        """Which has no mallopt."""

        def __init__(self, name: None) -> None: ...

    monkeypatch.setattr("ctypes.CDLL", Musl)
    assert keep_freed_memory() is False


def test_an_import_leaves_the_allocator_alone() -> None:
    script = (
        "import ctypes\n"
        "class C:\n"
        "    def __getattr__(self, name): raise SystemExit(f'{name} was asked for')\n"
        "ctypes.CDLL = lambda *a: C()\n"
        "import tinygrad_rnn as tr\n"
        "print(tr.nn.GRU(2, 3))\n"
        "tr.compile(lambda x: x)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout
    assert done.stderr == ("mallopt was asked for\n" if sys.platform.startswith("linux") else "")
