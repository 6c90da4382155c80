"""Updates by hand: in-place operators, assignment to elements, .data; earlier graphs keep their values."""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tr

OPERATORS = {
    "+=": (operator.iadd, operator.add),
    "-=": (operator.isub, operator.sub),
    "*=": (operator.imul, operator.mul),
    "/=": (operator.itruediv, operator.truediv),
    "//=": (operator.ifloordiv, operator.floordiv),
    "%=": (operator.imod, operator.mod),
    "**=": (operator.ipow, operator.pow),
    "@=": (operator.imatmul, operator.matmul),
}
VALUE = np.array([[1.5, 2.0], [0.5, 3.0]])
OTHER = np.array([[2.0, 0.5], [1.0, 2.0]])


def leaf(dtype=np.float64, name="W"):
    return tr.tensor(VALUE, requires_grad=True, dtype=dtype, name=name)


# --- in no_grad() -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sign", OPERATORS)
def test_an_in_place_operator_updates_the_leaf(sign, dtype):
    in_place, plain = OPERATORS[sign]
    for other in (OTHER, OTHER.astype(np.float32), tr.tensor(OTHER, requires_grad=True), 2.0):
        if sign == "@=" and isinstance(other, float):
            continue
        W = alias = leaf(dtype)
        with tr.no_grad():
            W = in_place(W, other)
        assert W is alias and W.is_leaf and W.requires_grad and W.dtype == dtype
        expected = plain(VALUE, other if isinstance(other, float) else OTHER)
        np.testing.assert_allclose(W.data, expected, rtol=1e-6)


def test_gradient_descent_by_hand_is_that_of_sgd():
    def run(update):
        rng = np.random.default_rng(0)
        params = [tr.nn.Parameter(rng.normal(size=shape)) for shape in ((2, 3), (3, 3), (3,))]
        xs, losses = rng.normal(size=(4, 2)), []
        sgd = tr.optim.SGD(params, lr=0.1)
        for _ in range(5):
            U, W, b = params
            loss = np.mean(np.square(tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), xs, np.zeros(3))[0]))  # noqa: B023
            loss.backward()
            losses.append(loss.item())
            update(params, sgd)
            for p in params:
                p.grad = None
        return losses

    def in_place(params, sgd):
        with tr.no_grad():
            for p in params:
                p -= 0.1 * p.grad

    def by_data(params, sgd):
        for p in params:
            p.data -= 0.1 * p.grad

    expected = run(lambda params, sgd: sgd.step())
    assert run(in_place) == run(by_data) == expected
    assert expected == sorted(expected, reverse=True)


def test_an_update_that_makes_another_tensor_is_told_at_the_next_step():
    W = leaf()
    np.sum(W * W).backward()
    outside = W - 0.1 * W.grad
    np.sum(outside * outside).backward()
    with pytest.warns(UserWarning, match=r"result of subtract is None.*retain_grad.*p -= step"):
        assert outside.grad is None
    with tr.no_grad():
        inside = W - 0.1 * W.grad
    with pytest.raises(RuntimeError, match=r"p -= step\. p = p - step would make a constant"):
        np.sum(inside * inside).backward()


def test_a_leaf_and_what_retains_its_gradient_are_asked_without_a_word(recwarn):
    W = leaf()
    h = W * 2.0
    h.retain_grad()
    assert h.grad is None and tr.tensor(VALUE).grad is None and W.grad is None
    np.sum(h).backward()
    h.retain_grad()
    np.testing.assert_array_equal(h.grad, np.ones_like(VALUE))
    assert not recwarn.list


def test_a_graph_recorded_before_an_update_has_the_gradient_of_its_own_time():
    updates = {
        "-=": lambda W: W.__isub__(OTHER),
        "[0] =": lambda W: W.__setitem__(0, 7.0),
        ".data -=": lambda W: setattr(W, "data", W.data.__isub__(OTHER)),
    }
    for update in updates.values():
        W = leaf()
        loss = np.sum(W * W * W)
        with tr.no_grad():
            update(W)
        loss.backward()
        np.testing.assert_allclose(W.grad, 3 * VALUE**2)
        assert not np.array_equal(W.data, VALUE)


@pytest.mark.parametrize(
    "index", [0, (slice(None), 1), (1, 0), np.array([True, False]), [1, 0], ..., (np.array([0, 1]), np.array([1, 0]))]
)
def test_elements_of_a_leaf_are_assigned(index):
    W, expected = leaf(), VALUE.copy()
    with tr.no_grad():
        W[index] = 9.0
        W[index] -= 2.0
    expected[index] = 7.0
    np.testing.assert_array_equal(W.data, expected)
    assert W.is_leaf and W.requires_grad
    with pytest.raises(TypeError, match="no_grad"):
        W[index] = 1.0


def test_an_update_that_would_change_the_shape_is_refused():
    b = tr.tensor([1.0, 2.0], requires_grad=True, name="b")
    with tr.no_grad(), pytest.raises(ValueError, match=r"data of b: shape \(2, 2\) can't replace \(2,\)"):
        b -= OTHER
    np.testing.assert_array_equal(b.data, [1.0, 2.0])


# --- while operations are recorded ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", OPERATORS)
def test_outside_the_right_loop_is_shown(sign):
    W = leaf()
    with pytest.raises(RuntimeError, match=r"with tr\.no_grad\(\):\n +for p in parameters:\n +p -= lr \* p\.grad") as e:
        OPERATORS[sign][0](W, OTHER)
    assert str(e.value).startswith(f"W {sign} ...") and f"W = W {sign[:-1]} ..." in str(e.value)
    np.testing.assert_array_equal(W.data, VALUE)
    with pytest.raises(RuntimeError, match=r"^p -= "):
        p = tr.nn.Parameter(VALUE)
        p -= 1.0


def test_what_is_no_parameter_is_computed_anew():
    W = leaf()
    total = W * 1.0
    before = total
    total += W
    assert total is not before and total.op.name == "add"
    constant = also = tr.tensor(VALUE)
    constant -= 1.0
    np.testing.assert_array_equal(also.data, VALUE)
    np.testing.assert_array_equal(constant.data, VALUE - 1)
    with tr.no_grad():
        h = W * 1.0
        h += 1.0
    np.testing.assert_array_equal(W.data, VALUE)


def test_functions_that_are_differentiated_may_change_their_arguments_by_name():
    def f(x):
        x *= 2.0
        x += x
        return np.sum(x * x)

    np.testing.assert_allclose(tr.grad(f)(VALUE), 32 * VALUE)
    np.testing.assert_allclose(tr.grad(f)(tr.tensor(VALUE)), 32 * VALUE)
    np.testing.assert_allclose(tr.hessian(lambda x: f(x))(np.array([1.0, 2.0])), 32 * np.eye(2))


def test_a_compiled_function_computes_anew_too():
    W = leaf()

    def cell(x, h):
        x += 1.0
        h *= 0.5
        return np.tanh(x @ W + h)

    xs, start = np.ones((3, 2)), np.zeros(2)
    expected, _ = tr.unroll(lambda x, h: np.tanh((x + 1) @ W + h * 0.5), xs, start)
    np.testing.assert_allclose(tr.unroll(cell, xs, start)[0].data, expected.data)
    np.testing.assert_allclose(tr.unroll(tr.compile(cell, executor="numpy"), xs, start)[0].data, expected.data)


# --- Scalars ----------------------------------------------------------------------------------------------------------


def test_scalars_are_updated_alike():
    w = alias = tr.Scalar(2.0, name="w")
    loss, later = w * w, w * w * w
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^w -= "):
        w -= 0.25 * w.grad
    with tr.no_grad():
        w -= 0.25 * w.grad
    assert w is alias and w.data == 1.0 and w.is_leaf
    w.grad = None
    later.backward()
    assert w.grad == 12.0
    total = tr.Scalar(0.0)
    for x in (w, w):
        total += x * 2.0
    assert total.data == 4.0 and not total.is_leaf


# --- .data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", OPERATORS)
def test_in_place_operators_on_data_rebind_it(sign):
    in_place, plain = OPERATORS[sign]
    W = leaf()
    old = W.data
    W.data = in_place(W.data, OTHER)
    np.testing.assert_allclose(W.data, plain(VALUE, OTHER))
    np.testing.assert_array_equal(old, VALUE)


@pytest.mark.parametrize("name", ["and", "or", "xor", "lshift", "rshift"])
def test_in_place_operators_of_bits_on_data_rebind_it(name):
    in_place, plain = getattr(operator, f"i{name}"), getattr(operator, f"__{name}__")
    n = tr.tensor(np.array([5, 6, -7]))
    old = n.data
    n.data = in_place(n.data, 3)
    np.testing.assert_array_equal(n.data, plain(np.array([5, 6, -7]), 3))
    np.testing.assert_array_equal(old, [5, 6, -7])


def test_data_is_read_only_and_says_what_to_do():
    W = leaf()
    with pytest.raises(ValueError, match=r"no_grad\(\).*W\.data = array"):
        W.data[0] = 1.0
    with pytest.raises(ValueError, match=r"no_grad\(\)"):
        W.data[0] -= 1.0
    with pytest.raises(ValueError):
        np.add(W.data, 1.0, out=W.data)
    np.testing.assert_array_equal(W.data, VALUE)
    assert W.data.base is not None and not W.data.flags.writeable and not W.numpy().flags.writeable


def test_what_is_computed_from_data_is_a_plain_array():
    data = leaf().data
    for a in (
        data + 1, data @ data, np.tanh(data), np.dot(data, data), np.concatenate([data, data]), np.zeros_like(data),
        np.linalg.inv(data), data.sum(axis=0), np.where(data > 1, data, 0), np.asarray(data), np.array(data),
        pickle.loads(pickle.dumps(data)),
    ):  # fmt: skip
        assert type(a) is np.ndarray
    assert type(data.sum()) is np.float64 and type(data[0, 0]) is np.float64
    assert repr(data) == repr(VALUE) and str(data) == str(VALUE)
    for own in (data.copy(), copy.deepcopy(data)):
        own[0] = 7.0
        before = own
        own -= 1.0
        assert own is before and own[0, 0] == 6.0


@pytest.mark.parametrize(
    "f",
    [tr.sigmoid, tr.softmax, tr.relu, tr.erf, tr.logsumexp, lambda a: tr.index_update(a, 0, 1.0), np.linalg.norm,
     lambda a: np.where(a > 0, a, 0), lambda a: np.stack([a, a])],
)  # fmt: skip
def test_functions_of_data_give_plain_arrays(f):
    W = tr.tensor(VALUE, requires_grad=True)
    assert type(f(W.data)) in (np.ndarray, np.float64, np.float32)
    np.testing.assert_array_equal(f(W.data), f(np.array(VALUE)))
