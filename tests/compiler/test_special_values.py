"""NaN, infinities, zeros with their signs, ties and ends of the range: compiled code gives what NumPy gives.

Every elementwise operation, by all executors, its value and its gradient.
"""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT
from tinygrad_rnn.autodiff.registry import Primitive
from tinygrad_rnn.autodiff.rules import elementwise
from tinygrad_rnn.compiler.elements import expressions
from tinygrad_rnn.compiler.program.backward import differentiated
from tinygrad_rnn.compiler.program.tracing import traced

EXECUTORS = ["numpy", "llvm", "jax"] if DEFAULT == "numpy" else [DEFAULT]

NAMES_OF_ONE = """
    negative positive absolute fabs sign square sqrt cbrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan
    arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh floor ceil trunc rint round degrees radians
    nan_to_num isnan isinf isfinite signbit
"""
NAMES_OF_TWO = """
    add subtract multiply divide power maximum minimum fmax fmin floor_divide remainder fmod hypot arctan2 logaddexp
    logaddexp2 copysign heaviside less less_equal greater greater_equal equal not_equal
"""

ONE = {name: getattr(np, name) for name in NAMES_OF_ONE.split()}
ONE |= {f"tr.{f.__name__}": f for f in (tr.sigmoid, tr.log_sigmoid, tr.softplus, tr.relu, tr.elu, tr.silu, tr.erf)}
ONE |= {f"x ** {n}": lambda x, n=n: x**n for n in (0, 1, 2, 3, -1, -2, -3, 0.5, -0.5, 1.5, 9, -9, np.inf, -np.inf)}
ONE |= {
    "round to tenths": lambda x: np.round(x, 1),
    "round to tens": lambda x: np.round(x, -1),
    "finite": lambda x: np.nan_to_num(x, nan=-1.0, posinf=7.0, neginf=np.inf),
    "not": lambda x: ~(x > 0),
    "single": lambda x: x.astype(np.float32),
    "double": lambda x: x.astype(np.float64),
    "detached": lambda x: np.positive(tr.stop_gradient(x)),
    "clip at numbers": lambda x: np.clip(x, -1.5, 2.5),
    "clip at infinity": lambda x: np.clip(x, -np.inf, np.inf),
    "clip at NaN": lambda x: np.clip(x, np.nan, 1.0),
    "clip below": lambda x: np.clip(x, 0.0, None),
    "clip above": lambda x: np.clip(x, None, -0.0),
    "clip crossing": lambda x: np.clip(x, 1.0, -1.0),
    "infinite where": lambda x: np.where(x > 0, x, -np.inf),
    "of conditions": lambda x: (x > 0) * x + np.logical_xor(x > 1, x < 2),
}
TWO = {name: getattr(np, name) for name in NAMES_OF_TWO.split()}
TWO |= {
    "where": lambda x, y: np.where(x > y, x, y),
    "where not": lambda x, y: np.where(np.logical_not(x <= y), x, y),
    "where both": lambda x, y: np.where((x > 0) & (y > 0), x, y) + np.where(np.logical_or(x < 0, y < 0), x, 1.0),
    "where either": lambda x, y: np.where((x > 0) | (y > 0), x, y) + np.where(np.logical_and(x < 0, y < 0), x, 1.0),
    "where one": lambda x, y: np.where((x > 0) ^ (y > 0), x, y),
    "clip low": lambda x, y: np.clip(x, y, 1.0),
    "clip high": lambda x, y: np.clip(x, -1.0, y),
    "divmod": lambda x, y: np.divmod(x, y)[0] + np.divmod(x, y)[1],
}
SUMS = {"divmod"}  # XLA leaves out a zero that is added, so that -0.0 stays -0.0
# Which of two zeros these give depends on the processor that NumPy runs on.
TIES = {"maximum", "minimum", "fmax", "fmin", "tr.relu", "clip low", "clip high", "clip below", "clip above"}


def special(dtype, least=1 / 8):
    """Numbers of all kinds, down to a part of the least normal one."""
    limits = np.finfo(dtype)
    positive = [0.0, 1e-12, 1e-3, 0.5, 0.999, 1.0, 1.5, 2.5, 3.0, 7.0, 10.25, 95.0, 100.0, 800.0, 1e10, np.inf]
    positive += [float(a) for a in (least * limits.tiny, 8 * least * limits.tiny, limits.max)]
    return np.array([np.nan, *positive, *(-a for a in positive)], dtype)


@pytest.fixture(scope="module", params=EXECUTORS)
def executor(request):
    if request.param != "numpy":
        pytest.importorskip("llvmlite" if request.param == "llvm" else request.param)
    return request.param


def everything(functions, run, arguments):
    """The value of each function, and its gradients with regard to its own arguments."""
    given = [tuple(tr.tensor(a, requires_grad=True) for a in parts) for parts in arguments]
    results = run(given)
    terms = [np.sum(y) for y in results if y.dtype.kind == "f"]
    with np.errstate(all="ignore"):
        sum(terms).backward()
    return [
        [np.asarray(y.data if isinstance(y, tr.Tensor) else y), *(a.grad for a in parts)]
        for y, parts in zip(results, given)
    ]


def assert_as_numpy(found, expected, where, any_zero):
    assert found.dtype == expected.dtype, where
    if found.dtype == bool:
        np.testing.assert_array_equal(found, expected, where)
        return
    unit = 64 * np.finfo(found.dtype).eps
    np.testing.assert_allclose(found, expected, unit, unit, err_msg=where)
    zeros = (found == 0) & (expected == 0)
    if not any_zero:
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]), f"{where}: signs of 0")


@pytest.mark.one_in(5)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("table", [ONE, TWO], ids=["of one number", "of two"])
def test_as_numpy(table, dtype, executor):
    x = special(dtype, 2) if executor == "jax" else special(dtype)  # XLA takes what is smaller than normal for 0
    parts = (x,) if table is ONE else tuple(a.ravel() for a in np.meshgrid(x, x))
    arguments = [parts] * len(table)

    def f(given):
        return [function(*a) for function, a in zip(table.values(), given)]

    compiled = tr.compile(f, executor=executor)
    with np.errstate(all="ignore"):
        plain = f(arguments)
        eager, fast = (everything(table, run, arguments) for run in (f, compiled))
    assert "no machine code" not in str(compiled.plans[0])
    for name, value, expected, found in zip(table, plain, eager, fast):
        any_zero = name in TIES or (executor == "jax" and name in SUMS)
        assert_as_numpy(found[0], value, name, any_zero)
        for a, b in zip(found[1:], expected[1:]):
            assert (a is None) == (b is None), name
            if b is not None:
                assert_as_numpy(a, b, f"gradient of {name}", any_zero)


def test_no_operation_is_left_out():
    """Whatever machine code can write, and whatever acts on elements by itself, is in one of the tables."""
    met = set()
    for table, count in (ONE, 1), (TWO, 2):
        program = traced(lambda *a, table=table: [f(*a) for f in table.values()], (np.ones(1),) * count, [])
        program = differentiated(program, [True] * count)
        met |= {value.op for value in [*program.forward_order(), *program.backward_order()]}
    known = {*expressions.TEXTS, *expressions.FORMS}
    of_whole_numbers = {np.left_shift, np.right_shift}  # no others, and tested below
    assert {op for op in known if op not in met} == of_whole_numbers
    by_element = [op for op in vars(elementwise).values() if isinstance(op, Primitive) and op.by_element]
    of_complex_numbers = {"real", "imag", "angle", "conjugate"}
    assert {op.name for op in by_element if op not in met} <= {"float_power", "positive"} | of_complex_numbers


@pytest.mark.parametrize("name", ["i1", "i2", "i4", "i8", "u1", "u2", "u4"])
def test_shifts_by_as_many_places_as_there_are(name, executor):
    """Also by more places, and by fewer than none."""
    dtype = np.dtype(name)
    limits = np.iinfo(dtype)
    n = np.array([0, 1, 5, 100, limits.max, limits.min, *([-7] if dtype.kind == "i" else [])], dtype)
    places = np.array([0, 1, 7, 8, 31, 32, 63, 64, 100, *([-1, -100] if dtype.kind == "i" else [])], dtype)

    def shifts(n, places):
        return n[:, None] << places, n[:, None] >> places, (n << 3) - (1 << n), (n > 2) << (n > 1)

    for found, expected in zip(tr.compile(shifts, executor=executor)(n, places), shifts(n, places)):
        np.testing.assert_array_equal(np.asarray(found), expected)
        assert np.asarray(found).dtype == expected.dtype
