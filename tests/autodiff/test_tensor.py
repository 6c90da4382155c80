"""A Tensor as an array: how it is made, what it shows, and that nothing turns it into a plain array in silence."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr


@pytest.fixture
def w() -> tr.Tensor:
    return tr.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True, name="w")


# --- making one ------------------------------------------------------------------------------------------------------


def test_shows_what_an_array_shows(w: tr.Tensor) -> None:
    assert (w.shape, w.ndim, w.size, w.dtype, len(w)) == ((2, 3), 2, 6, np.float64, 2)
    assert w.name == "w" and w.requires_grad and w.grad is None and w.is_leaf
    assert w.T.shape == (3, 2)
    assert w.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert w[1, 2].item() == 6.0
    assert [row.tolist() for row in w] == w.tolist()
    assert 5.0 in w and 7.0 not in w


def test_dtype_is_numpys_unless_given() -> None:
    assert tr.tensor([1, 2]).dtype == np.int64
    assert tr.tensor([1.0]).dtype == np.float64
    assert tr.tensor(np.float32(1)).dtype == np.float32
    assert tr.tensor([1, 2], dtype=np.float32, requires_grad=True).dtype == np.float32


def test_copies_the_callers_array() -> None:
    a = np.array([1.0, 2.0])
    t = tr.tensor(a)
    a[0] = 100
    assert t.tolist() == [1.0, 2.0]
    assert a.flags.writeable


@pytest.mark.parametrize("data", [[1, 2], [True, False], np.arange(3, dtype=np.int8)])
def test_integers_and_booleans_cant_require_a_gradient(data: object) -> None:
    with pytest.raises(TypeError, match=r"can't require a gradient.*dtype="):
        tr.tensor(data, requires_grad=True)


def test_complex_numbers_and_strings_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="complex"):
        tr.tensor([1j])
    with pytest.raises(TypeError, match="numbers"):
        tr.tensor(["a"])
    with pytest.raises(TypeError, match="multiply: complex"):
        tr.tensor([1.0]) * 1j
    with pytest.raises(TypeError, match="multiply: complex"):
        tr.tensor([1.0]) * np.array([1j])


def test_constructor_is_closed_and_says_what_to_call() -> None:
    with pytest.raises(TypeError, match=r"tensor\(data"):
        tr.Tensor([1.0])


def test_repr_tells_value_dtype_and_origin(w: tr.Tensor) -> None:
    assert repr(tr.tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert "name='w'" in repr(w) and "requires_grad=True" in repr(w)
    assert "op=tanh" in repr(np.tanh(w))
    assert "dtype=float32" in repr(tr.tensor([1.0], dtype=np.float32))


def test_item_needs_one_element(w: tr.Tensor) -> None:
    assert tr.tensor([[3.5]]).item() == 3.5
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        w.item()


# --- data ------------------------------------------------------------------------------------------------------------


def test_data_and_numpy_are_read_only_views(w: tr.Tensor) -> None:
    for view in (w.data, w.numpy()):
        with pytest.raises(ValueError, match="read-only"):
            view[0, 0] = 1
        assert not view.flags.writeable


def test_data_is_rebound_to_a_copy(w: tr.Tensor) -> None:
    before, new = w.data, np.zeros((2, 3))
    w.data = new
    new[:] = 7
    assert before[0, 0] == 1 and np.all(w.data == 0) and new.flags.writeable


def test_data_of_another_shape_or_of_a_result_cant_be_set(w: tr.Tensor) -> None:
    with pytest.raises(ValueError, match=r"w: shape \(2,\) can't replace \(2, 3\)"):
        w.data = np.zeros(2)
    with pytest.raises(RuntimeError, match="multiply"):
        (w * 2).data = np.zeros((2, 3))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies_are_leaves_of_their_own(copied: Callable[[tr.Tensor], tr.Tensor]) -> None:
    for original in (tr.tensor([1.0, 2.0], requires_grad=True, name="w"), tr.nn.Parameter(np.ones(2), name="w")):
        (original * 3).sum().backward()
        twin = copied(original)
        assert type(twin) is type(original) and twin.is_leaf and twin.requires_grad and twin.name == "w"
        np.testing.assert_array_equal(twin.data, original.data)
        np.testing.assert_array_equal(twin.grad, original.grad)
        twin.data = np.zeros(2)
        assert original.data.all()


def test_a_graph_is_not_copied(w: tr.Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"result of tanh.*\.detach\(\)"):
        copy.deepcopy(np.tanh(w))


def test_detach_leaves_the_graph(w: tr.Tensor) -> None:
    d = np.tanh(w).detach()
    assert not d.requires_grad and d.is_leaf
    assert not (d * 2).requires_grad


# --- NumPy's protocols -----------------------------------------------------------------------------------------------


def test_numpy_functions_and_operators_are_recorded(w: tr.Tensor) -> None:
    a = np.arange(6.0).reshape(2, 3)
    results = {
        "tanh": np.tanh(w),
        "concatenate": np.concatenate([w, a]),
        "where": np.where(a > 2, w, 0),
        "matmul": a.T @ w,
        "add": a + w,
        "subtract": a - w,
        "multiply": np.float64(2) * w,
        "divide": 1 / w,
        "power": 2.0**w,
        "floor_divide": 7.0 // w,
        "remainder": a % w,
        "negative": -w,
        "absolute": abs(w),
        "getitem": w[0],
        "sum": np.add.reduce(w),
        "stack": np.stack([w, w]),
    }
    for name, result in results.items():
        assert isinstance(result, tr.Tensor) and result.requires_grad, name
        assert result.op.name == name
    assert np.allclose(results["matmul"].data, a.T @ w.data)
    assert np.allclose(results["power"].data, 2.0**w.data)


@pytest.mark.parametrize("ufunc", [np.multiply, np.subtract, np.arctan2, np.maximum])
def test_every_element_beside_every_other(w: tr.Tensor, ufunc: Any) -> None:
    a = np.arange(1.0, 4.0)
    for left, right in ((w, a), (a, w), (w, w), (w, 2.0)):
        got = ufunc.outer(left, right)
        plain = [x.data if isinstance(x, tr.Tensor) else x for x in (left, right)]
        assert isinstance(got, tr.Tensor) and np.array_equal(got.data, ufunc.outer(*plain))
    assert tr.gradcheck(lambda x: ufunc.outer(x, a), [w.data + 0.1])


OF_SEQUENCES: dict[str, Callable[[Any, Any], Any]] = {
    "product": np.multiply, "quotient": np.divide, "difference": lambda x, v: v - x, "power": np.power,
    "float_power": np.float_power, "angle": np.arctan2, "angle from": lambda x, v: np.arctan2(v, x),
    "maximum": np.maximum, "where": lambda x, v: np.where(v, x, v), "bounds": lambda x, v: np.clip(x, v, None),
    "matmul": np.matmul, "matmul from": lambda x, v: np.matmul(v, x), "dot": np.dot,
    "dot from": lambda x, v: np.dot(v, np.stack([x, x])), "operator": lambda x, v: v @ x,
    "function of ours": tr.logaddexp if hasattr(tr, "logaddexp") else np.logaddexp,
}  # fmt: skip


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("name", OF_SEQUENCES)
def test_a_list_or_tuple_of_numbers_is_an_array_to_rules_as_well(name: str, kind: Any) -> None:
    f, x, v = OF_SEQUENCES[name], np.arange(1.0, 10.0).reshape(3, 3) / 4, [1.5, 2.0, 0.5]
    expected = tr.grad(lambda x: np.sum(np.sin(f(x, np.array(v)))))(x)
    for g in (lambda x: np.sum(np.sin(f(x, kind(v)))), tr.compile(lambda x: np.sum(np.sin(f(x, kind(v)))))):
        np.testing.assert_array_equal(tr.grad(g)(x), expected)
    np.testing.assert_array_equal(  # and beside a Tensor
        np.asarray((tr.tensor(x) * kind([tr.tensor(1.5), 2.0, 0.5])).data), x * np.array(v)
    )


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "divmod"])
def test_operators_and_their_reflections(w: tr.Tensor, name: str) -> None:
    import operator

    f: Any = divmod if name == "divmod" else getattr(operator, name)
    a = np.full((2, 3), 1.5)
    for left, right in ((w, a), (a, w), (w, 2), (2, w), (w, 0.5), (np.float64(2), w), (w, w), (np.int64(3), w)):
        plain = [x.data if isinstance(x, tr.Tensor) else x for x in (left, right)]
        got, expected = f(left, right), f(*plain)
        for g, e in zip(got if name == "divmod" else [got], expected if name == "divmod" else [expected]):
            assert isinstance(g, tr.Tensor) and g.requires_grad and np.array_equal(g.data, e)


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift"])
def test_operators_of_bits_and_their_reflections(name: str) -> None:
    import operator

    f, n, a = getattr(operator, name), tr.tensor(np.array([5, 6, 1])), np.array([2, 0, 3])
    for left, right in ((n, a), (a, n), (n, 2), (2, n), (n, n), (np.int64(3), n)):
        plain = [x.data if isinstance(x, tr.Tensor) else x for x in (left, right)]
        np.testing.assert_array_equal(f(left, right), f(*plain), strict=True)
    np.testing.assert_array_equal(np.left_shift(n, 1) + np.right_shift(a, n), np.array([10, 12, 2]) + (a >> n.data))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("sum", (0,)), ("mean", ()), ("prod", (1,)), ("max", ()), ("min", (0,)), ("var", ()), ("std", (1,)),
        ("cumsum", (0,)), ("cumprod", (1,)), ("argmax", ()), ("argmin", (0,)), ("argsort", ()), ("any", ()),
        ("all", ()), ("nonzero", ()), ("squeeze", ()), ("swapaxes", (0, 1)), ("ravel", ()), ("flatten", ()),
        ("repeat", (2, 0)), ("take", ([0, 2], 1)), ("diagonal", ()), ("trace", ()), ("dot", (np.ones(3),)),
        ("clip", (2, 4)), ("round", (1,)), ("copy", ()), ("reshape", (3, 2)), ("reshape", ((3, 2),)),
        ("transpose", ()), ("transpose", (1, 0)), ("astype", (np.float32,)), ("tolist", ()),
    ],
)  # fmt: skip
def test_methods_are_those_of_arrays(w: tr.Tensor, name: str, args: tuple[Any, ...]) -> None:
    got, expected = getattr(w, name)(*args), getattr(w.numpy(), name)(*args)
    if isinstance(got, tr.Tensor):
        assert got.dtype == expected.dtype and got.requires_grad
        got = got.data
    assert np.allclose(got, expected)


def test_a_function_without_a_rule_is_refused_by_name(w: tr.Tensor) -> None:
    with pytest.raises(TypeError, match=r"np\.unwrap has no derivative rule.*\.numpy\(\)"):
        np.unwrap(w)
    assert np.unwrap(w.numpy()).shape == w.shape  # the cure cures
    with pytest.raises(TypeError, match=r"np\.frexp"):
        np.frexp(w)
    with pytest.raises(TypeError, match=r"np\.linalg\.eigvals "):
        np.linalg.eigvals(w[:, :2])


@pytest.mark.parametrize(
    "detour",
    [
        lambda t: float(t[0, 0]),
        lambda t: int(t[0, 0]),
        lambda t: complex(t[0, 0]),
        lambda t: np.asarray(t),
        lambda t: np.array(t),
        lambda t: np.array([t, t]),
        lambda t: np.zeros((2, 3)).__setitem__(0, t[0]),
        lambda t: math.tanh(t[0, 0]),
        lambda t: np.add(t, 1, out=np.zeros((2, 3))),
        lambda t: np.zeros((2, 3)).__iadd__(t),
        lambda t: np.add.at(np.zeros((2, 3)), 0, t[0]),
        lambda t: np.sum(t, out=np.zeros(())),
        lambda t: t.__setitem__(0, 1.0),
        lambda t: range(3)[t[0, 0]],
        lambda t: tr.tensor(t),
    ],
)
def test_no_silent_detour(w: tr.Tensor, detour: object) -> None:
    with pytest.raises(TypeError, match=r"gradient|complex|recorded graph|float.*integer"):
        detour(w)  # type: ignore[operator]


def test_a_number_of_an_array_cant_be_set_in_silence_either(w: tr.Tensor) -> None:
    with pytest.raises(ValueError) as e:  # NumPy says "setting an array element with a sequence", because of ours
        np.zeros(2)[0] = w[0, 0]
    assert "would lose the gradient" in str(e.value.__cause__)


def test_detour_errors_name_the_cure_and_the_place(w: tr.Tensor) -> None:
    with tr.scope(layer=1, step=4):
        y = w * 2
    with pytest.raises(TypeError, match=r"layer 1, step 4.*np\.stack.*\.item\(\).*\.detach\(\)"):
        np.asarray(y)
    with pytest.raises(TypeError, match=r"a = a \+ t"):
        np.zeros((2, 3)).__iadd__(w)
    with pytest.raises(TypeError, match=r"np\.where|index_update"):
        w[0] = 1


def test_a_tensor_that_needs_no_gradient_converts() -> None:
    t = tr.tensor(1.5)
    assert float(t) == 1.5 and int(t) == 1 and np.asarray(t).tolist() == 1.5
    buffer = np.zeros(2)
    buffer[0] = t
    assert buffer[0] == 1.5
    assert [10, 20, 30][tr.tensor(2)] == 30


def test_in_place_on_a_tensor_makes_a_new_one(w: tr.Tensor) -> None:
    t = before = w * 1
    t += 1
    assert t is not before and before[0, 0].item() == 1 and t[0, 0].item() == 2


def test_comparisons_and_predicates_are_plain(w: tr.Tensor) -> None:
    for plain in (w > 2, w >= 2, w < 2, w <= 2, w == 2, w != 2, np.greater(w, 2), np.isnan(w), np.logical_not(w)):
        assert type(plain) is np.ndarray and plain.dtype == bool
    assert np.argmax(w) == 5 and np.shape(w) == (2, 3) and np.ndim(w) == 2 and np.size(w) == 6
    assert bool(tr.tensor(1.0)) and not tr.tensor([0.0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(w)


def test_lists_of_numbers_are_taken_in_and_object_arrays_are_not(w: tr.Tensor) -> None:
    assert np.add(w, [1, 2, 3]).tolist()[0] == [2.0, 4.0, 6.0]
    with pytest.raises(TypeError, match="Scalars and Tensors don't mix"):
        w * tr.scalars(np.ones((2, 3)))


# --- dtypes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 2.0, lambda x: 2.0 / x, lambda x: x**2, lambda x: 2.0**x, lambda x: x**0.5, lambda x: 1 - x,
        lambda x: x / 3, np.mean, np.sum, lambda x: np.where(x > 1, x, 0.0), lambda x: np.maximum(x, 0.5),
        lambda x: np.clip(x, 0.5, 2.5), tr.sigmoid, tr.relu, tr.logsumexp, np.tanh, lambda x: x @ x,
        lambda x: np.einsum("i,i->", x, x), lambda x: x * np.arange(3), lambda x: np.stack([x, x]),
    ],
)  # fmt: skip
def test_float32_stays_float32_both_ways(f: object) -> None:
    x = tr.tensor([1.0, 2.0, 3.0], dtype=np.float32, requires_grad=True)
    y = f(x)  # type: ignore[operator]
    if y.op.name == "multiply" and y._arrays[1].__class__ is np.ndarray:
        assert y.dtype == np.float64  # an int64 array promotes, as in NumPy
    else:
        assert y.dtype == np.float32
    np.sum(y).backward()
    assert x.grad.dtype == np.float32 and x.grad.shape == (3,)


def test_each_gradient_has_its_own_inputs_dtype() -> None:
    a = tr.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    b = tr.tensor([3.0, 4.0], dtype=np.float64, requires_grad=True)
    y = a * b
    y.sum().backward()
    assert y.dtype == np.float64 and a.grad.dtype == np.float32 and b.grad.dtype == np.float64


def test_int_times_float_gives_a_float_gradient() -> None:
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    np.sum(tr.tensor([2, 3]) * x).backward()
    assert x.grad.tolist() == [2.0, 3.0] and x.grad.dtype == np.float64


def test_astype_keeps_the_gradient_in_the_inputs_dtype() -> None:
    x = tr.tensor([1.5, 2.5], requires_grad=True)
    x.astype(np.float32).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0] and x.grad.dtype == np.float64
    assert not x.astype(np.int64).requires_grad


# --- errors ----------------------------------------------------------------------------------------------------------


def test_errors_name_operation_shapes_layer_step_and_module() -> None:
    class Cell:
        def describe(self) -> str:
            return "LSTMCell(12, 64) takes x of shape (B, 12)."

    x, u = tr.tensor(np.ones((32, 10)), requires_grad=True), np.ones((12, 64))
    with (
        tr.scope(layer=0, step=3, owner=Cell()),
        pytest.raises(ValueError, match=r"matmul at layer 0, step 3: \(32, 10\) @ \(12, 64\): inner") as e,
    ):
        x @ u
    assert "inner sizes 10 and 12 differ. LSTMCell(12, 64) takes x of shape (B, 12)." in str(e.value)
    with pytest.raises(ValueError, match=r"add: .*\(32, 10\), \(3,\)"):
        x + np.ones(3)
    with pytest.raises(ValueError, match=r"matmul: \(32, 10\) @ \(\): .*use \* to scale"):
        x @ 2.0
    with pytest.raises(IndexError, match=r"getitem: .*\(32, 10\)"):
        x[40]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.concatenate([x, x], axis=5),
        lambda x: np.concatenate([x, np.ones((2, 2))]),
        lambda x: np.stack([x, x[0]]),
        lambda x: x.reshape(4, 4),
        lambda x: np.sum(x, axis=7),
        lambda x: np.max(x[:0]),
        lambda x: np.split(x, 4),
        lambda x: np.einsum("ij,jk->ik", x, x),
    ],
)
def test_what_numpy_refuses_names_the_operation(w: tr.Tensor, f: object) -> None:
    with pytest.raises((ValueError, IndexError), match=r"^(concatenate|stack|reshape|sum|max|split|einsum).*\d"):
        f(w)  # type: ignore[operator]


def test_an_unknown_keyword_is_refused_by_name(w: tr.Tensor) -> None:
    with pytest.raises(TypeError, match=r"np\.tanh.*casting"):
        np.tanh(w, casting="unsafe")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, 0, None, None, True),
        lambda x: np.mean(x, 1, None, None, True),
        lambda x: np.max(x, 0, None, True),
        lambda x: np.std(x, 1, None, None, 1, True),
        lambda x: np.ptp(x, 0, None, True),
        lambda x: np.take(x, [0, 4], 1, None, "wrap"),
        lambda x: np.cumsum(x, 0, None, None),
        lambda x: np.concatenate([x, x], 1, None),
        lambda x: x.sum(1, None, None, True),
        lambda x: x.reshape(3, 2, order="F"),
        lambda x: x.flatten("F"),
        lambda x: x.astype(float, copy=False),
    ],
)
def test_arguments_stand_in_numpys_order_and_have_its_names(w: tr.Tensor, f: Any) -> None:
    plain, got = f(np.array(w.data)), f(w)
    assert got.shape == plain.shape and np.allclose(got.data, plain)


def test_out_by_position_is_refused_too(w: tr.Tensor) -> None:
    for call in (lambda: np.sum(w, 0, None, np.zeros(3)), lambda: np.max(w, 0, np.zeros(3))):
        with pytest.raises(TypeError, match="can't write a Tensor into an existing array"):
            call()


def test_one_number_is_formatted_as_a_number(w: tr.Tensor) -> None:
    assert f"{w[0, 1]:.3f}" == f"{w.data[0, 1]:.3f}" and f"{w}" == str(w)
    with pytest.raises(TypeError, match="format"):
        f"{w:.3f}"
