"""The backward pass: what it leaves, what it frees, whose values it uses; by finite differences and by hand."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.rules import transposes


@pytest.fixture
def without_collector() -> Iterator[None]:
    while gc.collect():  # what is freed may leave more behind
        pass
    gc.disable()
    yield
    gc.enable()


def leaf(*shape: int, seed: int = 0, dtype: object = None) -> tr.Tensor:
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True, dtype=dtype)


# --- what it leaves --------------------------------------------------------------------------------------------------


def test_gradients_accumulate_on_leaves_alone() -> None:
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.sum().backward()
    y = x * 3
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    with pytest.warns(UserWarning, match="leaves"):
        assert y.grad is None


def test_grad_is_an_ndarray_also_for_one_number_and_after_accumulation() -> None:
    x = tr.tensor(3.0, requires_grad=True)
    for times in (1, 2):
        (x * x).backward()
        assert type(x.grad) is np.ndarray and x.grad.shape == () and x.grad == 6.0 * times


def test_work_only_towards_what_requires_a_gradient() -> None:
    x, constant = leaf(3), tr.tensor([1.0, 2.0, 3.0])
    (np.exp(constant) * x).sum().backward()
    assert constant.grad is None and np.allclose(x.grad, np.exp([1.0, 2.0, 3.0]))
    assert not np.exp(constant).requires_grad


def test_a_value_used_twice_gets_both_contributions() -> None:
    x = tr.tensor(2.0, requires_grad=True)
    y = x * x  # both arguments are the same node
    z = y * y + y  # and a diamond
    z.backward()
    assert x.grad == 4 * 8 + 4


def test_nothing_that_requires_a_gradient_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        tr.tensor(1.0).backward()
    with tr.no_grad():
        y = leaf(2).sum()
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_non_scalar_backward_says_what_to_pass() -> None:
    x = leaf(2, 3)
    with pytest.raises(RuntimeError, match=r"np\.ones\(\(2, 3\)\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"shape \(3,\) for a Tensor of shape \(2, 3\)"):
        (x * 2).backward(np.ones(3))
    cotangent = np.arange(6.0).reshape(2, 3)
    (x * 2).backward(cotangent)
    assert np.array_equal(x.grad, 2 * cotangent)


def test_a_tensor_as_cotangent_gives_plain_gradients() -> None:
    x = leaf(3)
    (x * x).backward(tr.tensor([1.0, 0.0, 2.0], requires_grad=True))
    assert type(x.grad) is np.ndarray
    assert np.allclose(x.grad, 2 * x.data * [1, 0, 2])


def test_gradients_share_no_memory() -> None:
    a, b, c = leaf(3, seed=1), leaf(3, seed=2), leaf(1, seed=3)
    cotangent = np.ones(3)
    (a + b + np.broadcast_to(c, (3,))).backward(cotangent)
    assert not np.shares_memory(a.grad, b.grad)
    assert not np.shares_memory(a.grad, cotangent)
    a.grad[:] = 100
    cotangent[:] = 100
    assert b.grad.tolist() == [1, 1, 1] and c.grad.tolist() == [3]


def test_a_gradient_that_is_written_to_does_not_reach_the_next_one() -> None:
    x = leaf(3)
    y = x.sum()
    y.backward(retain_graph=True)
    first = x.grad
    y.backward()
    assert first.tolist() == [1, 1, 1] and x.grad.tolist() == [2, 2, 2]


# --- the freed graph -------------------------------------------------------------------------------------------------


def test_second_backward_through_a_freed_graph_says_so() -> None:
    x = leaf(3)
    y = np.tanh(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"freed.*retain_graph=True"):
        y.backward()


def test_a_shared_part_that_was_freed_says_so_too() -> None:
    x = leaf(3)
    with tr.scope(layer=0, step=2):
        h = np.tanh(x)
    h.sum().backward()
    with pytest.raises(RuntimeError, match=r"freed.*tanh at layer 0, step 2"):
        (h * 2).sum().backward()


def test_retain_graph_keeps_it() -> None:
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert np.allclose(x.grad, 4 * x.data)


@pytest.mark.usefixtures("without_collector")
def test_reference_counting_alone_frees_a_graph() -> None:
    x = leaf(4, 4)
    nodes = []
    h: object = x
    for _ in range(5):
        h = np.tanh(np.concatenate([h @ x, h[1:2]])[:4] + x[0])  # type: ignore[operator, index]
        nodes.append(weakref.ref(h))
    y = np.sum(h)  # type: ignore[arg-type]
    nodes.append(weakref.ref(y))
    y.backward()
    del h, y
    assert [node() for node in nodes] == [None] * 6
    assert gc.collect() == 0


def _own_rules() -> object:
    def forward(w: object, x: object) -> tuple[object, object]:
        return w * x, x  # type: ignore[operator]

    @tr.custom_vjp
    def scaled(w: object, x: object) -> object:
        return w * x  # type: ignore[operator]

    scaled.defvjp(forward, lambda x, g: (g * x, None))
    return scaled


OF_ONE_NODE = {
    "compiled": tr.compile(lambda w, x: w * x),
    "compiled, two results": tr.compile(lambda w, x: (w * x, np.sum(w))),
    "checkpoint": tr.checkpoint(lambda w, x: w * x),
    "custom_vjp": _own_rules(),
}


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("function", OF_ONE_NODE.values(), ids=OF_ONE_NODE.keys())
def test_a_result_that_is_kept_keeps_nothing_of_its_graph_once_that_is_freed(function: object) -> None:
    w, x = leaf(3), tr.tensor(np.ones(3))
    given = weakref.ref(x._data)
    result = function(w, x)  # type: ignore[operator]
    loss = np.sum(result[0] if isinstance(result, tuple) else result)
    loss.backward()
    del x
    assert given() is None
    assert loss.op.name == "sum"
    with pytest.raises(RuntimeError, match="was freed by an earlier backward"):
        loss.backward()


@pytest.mark.usefixtures("without_collector")
def test_a_graph_that_is_dropped_without_backward_is_freed_too() -> None:
    x = leaf(3)
    y = np.tanh(x) * x
    node = weakref.ref(y)
    del y
    assert node() is None
    assert gc.collect() == 0


@pytest.mark.usefixtures("without_collector")
def test_transforms_leave_no_cycles() -> None:
    f = lambda x: np.sum(np.tanh(x) * x[0])  # noqa: E731
    x = np.ones(3)
    for run in (tr.grad(f), tr.grad(lambda x: np.sum(tr.grad(f)(x) ** 2)), lambda x: tr.jvp(f, (x,), (x,))):
        run(x)
    tr.vjp(f, x)[1](1.0)
    assert gc.collect() == 0


@pytest.mark.usefixtures("without_collector")
def test_a_second_order_gradient_by_create_graph_is_freed_once_grads_are_forgotten() -> None:
    x = leaf(3)
    (x**3).sum().backward(create_graph=True)
    penalty = np.sum(x.grad**2)
    x.grad = None
    penalty.backward()
    node = weakref.ref(penalty)
    del penalty
    assert node() is None


LONG = 200_000


@pytest.mark.parametrize("how", ["backward", "drop"])
def test_a_long_chain_needs_no_recursion(how: str) -> None:
    x = tr.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(LONG):
        y = y + 1.0
    assert sys.getrecursionlimit() < LONG
    if how == "backward":
        y.backward()
        assert x.grad == 1
    del y


def test_a_long_chain_of_scalars_needs_no_recursion() -> None:
    y = x = tr.Scalar(1.0)
    for _ in range(LONG // 4):
        y = y + 1.0
    y.backward()
    assert x.grad == 1


def test_a_long_chain_by_transforms_and_at_second_order() -> None:
    def chain(x: object) -> object:
        y = x
        for _ in range(3000):
            y = y * 1.001  # type: ignore[operator]
        return y * y  # type: ignore[operator]

    factor = 1.001**6000
    assert np.isclose(tr.grad(tr.grad(chain))(1.0), 2 * factor)
    assert np.isclose(tr.jvp(tr.grad(chain), (1.0,), (1.0,))[1], 2 * factor)


# --- whose values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda t, a: t * a, lambda t, a: a * t, lambda t, a: t @ a, lambda t, a: a @ t, lambda t, a: t / a,
        lambda t, a: np.where(a > 0.5, t, 0), lambda t, a: np.maximum(t, a), lambda t, a: t**a,
        lambda t, a: np.einsum("i,i->i", t, a), lambda t, a: t[(a * 0).astype(int)],
        lambda t, a: np.clip(t, a, 2.0), lambda t, a: np.clip(t, a_min=a, a_max=None),
    ],
)  # fmt: skip
def test_the_callers_array_may_change_after_the_forward_pass(f: object) -> None:
    def gradient(spoil: bool) -> np.ndarray:
        t, a = tr.tensor([0.3, 1.1, 0.8], requires_grad=True), np.array([0.5, 0.7, 0.9])
        y = np.sum(f(t, a))  # type: ignore[operator]
        if spoil:
            a[:] = 1000
        y.backward()
        return t.grad

    assert np.array_equal(gradient(spoil=False), gradient(spoil=True))


def test_the_callers_index_may_change_after_the_forward_pass() -> None:
    t, index, mask = leaf(3), np.array([0, 0, 2]), np.array([True, False, True])
    y = t[index].sum() + t[mask].sum() + t[index, None].sum()
    index[:] = 1
    mask[:] = False
    y.backward()
    assert t.grad.tolist() == [5, 0, 3]


@pytest.mark.parametrize("f", [lambda w: w * w, lambda w: w @ w, lambda w: np.exp(w), lambda w: w[0] * w[1]])
def test_a_parameter_rebound_before_backward_keeps_the_forward_values(f: object) -> None:
    w = tr.tensor([0.5, 2.0], requires_grad=True)
    y = np.sum(f(w))  # type: ignore[operator]
    y.backward(retain_graph=True)
    expected = w.grad
    w.grad = None
    w.data = [100.0, 200.0]
    y.backward()
    assert np.array_equal(w.grad, expected)


def test_a_parameter_rebound_before_a_recorded_backward_is_an_error() -> None:
    w = tr.tensor([0.5, 2.0], requires_grad=True, name="w")
    y = np.sum(w * w)
    w.data = [100.0, 200.0]
    with pytest.raises(RuntimeError, match=r"multiply: the data of w was replaced after the forward pass"):
        y.backward(create_graph=True)


def test_what_vjp_hands_out_can_be_written_to_without_harm() -> None:
    value, pull_back = tr.vjp(np.exp, np.array([1.0, 2.0]))
    expected = np.array(value)
    value[:] = 0
    assert np.array_equal(pull_back(np.ones(2))[0], expected)


def test_items_cant_be_assigned() -> None:
    with pytest.raises(TypeError, match="functional form"):
        leaf(3)[0] = 1.0


# --- create_graph ----------------------------------------------------------------------------------------------------


def test_create_graph_gives_gradients_that_can_be_differentiated() -> None:
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    (x**3).sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    assert isinstance(g, tr.Tensor) and np.allclose(g.data, 3 * x.data**2)
    g.sum().backward()
    assert np.allclose(x.grad, 6 * x.data)


def test_create_graph_through_indexing_and_joining() -> None:
    x = tr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = np.stack([x[0] * x[1], x[1] * x[2], x[1] ** 3])
    y.sum().backward(create_graph=True)
    g, x.grad = x.grad, None
    assert np.allclose(g.data, [2, 1 + 3 + 12, 2])
    (g[1] * g[1]).backward()
    assert np.allclose(x.grad, 2 * 16 * np.array([1, 12, 1]))


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_create_graph_where_functions_of_steps_meet_smooth_ones(order: tuple[int, ...]) -> None:
    """Derivatives of step functions are plain zeros, in a walk that is recorded, too."""
    x = tr.tensor([0.3, 1.7], requires_grad=True)
    functions = [np.round, np.floor, lambda x: x**3]
    sum([np.sum(functions[i](x)) for i in order]).backward(create_graph=True)
    g, x.grad = x.grad, None
    g.sum().backward()
    assert np.allclose(x.grad, 6 * x.data)


# --- where it runs ---------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_enable_grad_does_again() -> None:
    x = leaf(2)
    with tr.no_grad():
        assert not (x * 2).requires_grad
        with tr.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @tr.no_grad()
    def decorated() -> tr.Tensor:
        return x * 2

    assert not decorated().requires_grad
    with pytest.raises(ZeroDivisionError), tr.no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad


def test_threads_have_their_own_scope_and_no_grad() -> None:
    x = leaf(50, 50)
    expected = tr.grad(lambda x: np.sum(np.tanh(x @ x)))(x.data)
    found: dict[int, np.ndarray] = {}
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with tr.no_grad(), tr.scope(layer=9):
            inside.set()
            leave.wait()

    def work(i: int) -> None:
        for step in range(1, 5):
            with tr.scope(layer=i, step=step):
                own = tr.tensor(x.data, requires_grad=True)
                y = np.sum(np.tanh(own @ own))
                assert y.scope[:2] == (i, step)
                y.backward()
        found[i] = own.grad

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    leave.set()
    holder.join()
    assert sorted(found) == [0, 1, 2, 3]
    assert all(np.allclose(g, expected) for g in found.values())


def test_a_weight_of_many_steps_is_turned_once_and_its_copy_dies_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transposes, "_used", {})
    rng = np.random.default_rng(0)
    W = tr.tensor(rng.normal(size=(80, 80)) / 9, requires_grad=True)
    for weights in (W.numpy(), W.numpy() * 1.1):
        W.data, W.grad = weights, None
        states = [rng.normal(size=(5, 80))]
        h = states[0]
        for _ in range(6):
            h = h @ W
            states.append(states[-1] @ weights)
        np.sum(h).backward()
        g, expected = np.ones((5, 80)), np.zeros((80, 80))
        for state in states[-2::-1]:
            expected += state.T @ g
            g = g @ weights.T
        np.testing.assert_allclose(W.grad, expected, rtol=1e-12)
        assert [used.copy is None for used in transposes._used.values()] == [False]
    del W, h
    assert not transposes._used
