"""What a compiled function is to the rest: a node like others, which can be differentiated again, refused, replaced."""

import gc
import importlib.util
import threading
import time

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_equal, everything
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import CannotCompile, plans
from tinygrad_rnn.compiler.executable import GeneratedExecutable
from tinygrad_rnn.compiler.thresholds import CALLS_BEFORE_MACHINE_CODE, MOST_WAITING

n, d, B, T = 3, 4, 2, 6


@pytest.fixture(autouse=True)
def nothing_left_to_do():
    """No test leaves a thread that still makes machine code."""
    yield
    wait_for_machine_code()


def wait_for_machine_code():
    for thread in threading.enumerate():
        if thread.name == plans.THREAD:
            thread.join()


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def parameter(*shape, seed=0):
    return nn.Parameter(0.5 * normal(*shape, seed=seed))


def lstm():
    return nn.LSTMCell(n, d, dtype=np.float64)


# --- a whole function ------------------------------------------------------------------------------------------------


def test_a_loss_with_several_layers_in_both_directions():
    """Everything in one program: two loops, one of them backwards, dropout drawn outside, products, a loss."""
    layers, readout = (
        [lstm(), nn.GRUCell(d, d, dtype=np.float64), nn.RNNCell(d, d, dtype=np.float64)],
        parameter(2 * d, 5),
    )

    def loss(xs, mask, targets):
        ys, _ = tr.unroll(layers[0], xs)
        ys = ys * mask
        there, h = tr.unroll(layers[1], ys)
        back, _ = tr.unroll(layers[2], ys, reverse=True)
        logits = np.concatenate([there, back], axis=-1) @ readout
        return np.mean(np.square(logits - targets)) + 0.1 * np.sum(h * h)

    parameters = [*(p for cell in layers for p in cell.parameters()), readout]
    mask = (np.random.default_rng(0).random((T, B, d)) < 0.5) * 2.0
    run = lambda f: lambda xs, targets: (f(xs, mask, targets), ())  # noqa: E731
    compiled = tr.compile(loss, executor="numpy")
    expected = everything(run(loss), normal(T, B, n), normal(T, B, 5), parameters)
    for _ in range(2):
        for a, b in zip(everything(run(compiled), normal(T, B, n), normal(T, B, 5), parameters), expected):
            assert_equal(a, b, 1e-12)


@pytest.mark.parametrize("lengths", [None, [6, 3, 0, 1]])
def test_recurrent_layers_of_compiled_cells(lengths):
    def run(wrap):
        tr.manual_seed(0)
        cells = [lstm(), (nn.GRUCell(d, 2, dtype=np.float64), nn.RNNCell(d, 2, dtype=np.float64))]
        layers = [wrap(cells[0]), (wrap(cells[1][0]), wrap(cells[1][1]))]
        layer = nn.Recurrent(layers, batch_first=True)
        parameters = [p for cell in (cells[0], *cells[1]) for p in cell.parameters()]
        return everything(lambda x, _: layer(x, lengths=lengths), normal(4, T, n), (), parameters)

    for a, b in zip(run(lambda cell: tr.compile(cell, executor="numpy")), run(lambda cell: cell)):
        assert_equal(a, b, 1e-12)


def test_a_program_of_its_own_for_each_form_of_its_arguments():
    W = parameter(n, n)
    function = lambda a, scale, parts: {"y": scale * np.tanh(a @ W), "z": parts[0] + parts[1]}  # noqa: E731
    compiled = tr.compile(function, executor="numpy")
    for dtype in (np.float64, np.float32):
        for shape in ((2, n), (5, n), (n,)):
            for scale in (2.0, 3.0):
                a = normal(*shape).astype(dtype)
                found = compiled(a, scale, (a, a))
                np.testing.assert_allclose(found["y"].data, scale * np.tanh(a @ W.data), rtol=1e-6)
                assert found["z"].dtype == dtype
    assert len(compiled._plans) == 12


# --- one node among others -------------------------------------------------------------------------------------------


def test_second_order():
    cell = lstm()
    xs, direction = normal(T, B, n), normal(T, B, n, seed=3)

    def curvature(cell):
        def energy(xs):
            ys, (h, c) = tr.unroll(cell, xs)
            return np.sum(ys**3) + np.sum(h * c)

        return tr.grad(lambda xs: np.sum(tr.grad(energy)(xs) * direction))(xs)

    assert_equal([curvature(tr.compile(cell))], [curvature(cell)], 1e-12)


def test_create_graph_reaches_parameters():
    def gradients(wrap):
        tr.manual_seed(0)
        cell = lstm()
        ys, _ = tr.unroll(wrap(cell), normal(T, B, n))
        np.sum(ys**2).backward(create_graph=True)
        penalty = sum(np.sum(p.grad**2) for p in cell.parameters())
        for p in cell.parameters():
            p.grad = None
        penalty.backward()
        return [p.grad for p in cell.parameters()]

    assert_equal(gradients(tr.compile), gradients(lambda cell: cell), 1e-12)


def test_forward_mode():
    cell = lstm()
    xs, direction = normal(T, B, n), normal(T, B, n, seed=3)
    found, expected = (
        tr.jvp(lambda xs, f=f: tr.unroll(f, xs)[0], (xs,), (direction,)) for f in (tr.compile(cell), cell)
    )
    assert_equal(found, expected, 1e-12)


def test_expanding_gives_the_recorded_graph():
    cell = lstm()
    ys, _ = tr.unroll(tr.compile(cell), normal(T, B, n))
    call = ys.inputs[0].op
    outputs = call.expand()
    np.testing.assert_allclose(outputs[0].data, ys.data, rtol=1e-12)
    assert {node.op.name for node in tr.autodiff.graph.ancestors(outputs) if node.op} >= {"sigmoid", "tanh", "matmul"}
    cell.W.data = cell.W.data * 2
    with pytest.raises(RuntimeError, match="W was replaced"):
        call.expand()


def test_two_calls_at_the_same_time_dont_share_memory():
    cell = tr.compile(lstm(), executor="numpy")
    first = tr.unroll(cell, normal(T, B, n))[0]
    kept = np.array(first.data)
    second = tr.unroll(cell, normal(T, B, n, seed=9))[0]
    np.testing.assert_array_equal(first.data, kept)
    (np.sum(first) + np.sum(second)).backward()
    both = [np.array(p.grad) for p in cell.parameters()]
    for p in cell.parameters():
        p.grad = None
    for seed in (0, 9):
        np.sum(tr.unroll(cell.function, normal(T, B, n, seed=seed))[0]).backward()
    assert_equal(both, [p.grad for p in cell.parameters()], 1e-12)


def test_a_graph_kept_for_a_second_walk():
    cell = tr.compile(lstm(), executor="numpy")
    loss = np.sum(tr.unroll(cell, normal(T, B, n))[0] ** 2)
    loss.backward(retain_graph=True)
    once = [np.array(p.grad) for p in cell.parameters()]
    loss.backward()
    assert_equal([p.grad for p in cell.parameters()], [2 * g for g in once], 1e-15)


def test_workspaces_are_used_again_and_nothing_is_left_in_cycles():
    cell = tr.compile(lstm(), executor="numpy")
    np.sum(tr.unroll(cell, normal(T, B, n))[0]).backward()
    while gc.collect():  # what other tests left: JAX's caches let go of it in several rounds
        pass
    gc.disable()
    try:
        for _ in range(5):
            np.sum(tr.unroll(cell, normal(T, B, n))[0]).backward()
        (plan,) = cell.plans
        (executable,) = plan._executables.values()
        assert len(executable._waiting) == 1
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.only_for("numpy", "llvm", reason="it counts the workspaces of generated code")
def test_many_graphs_at_once_leave_few_workspaces_behind():
    cell = tr.compile(lstm())
    kept = [tr.unroll(cell, normal(T, B, n))[0] for _ in range(MOST_WAITING + 8)]
    (executable,) = cell.plans[0]._executables.values()
    del kept
    assert len(executable._waiting) == MOST_WAITING


def test_without_gradients():
    cell = lstm()
    with tr.no_grad():
        ys, (h, _) = tr.unroll(tr.compile(cell), normal(T, B, n))
    assert not ys.requires_grad
    np.testing.assert_allclose(h.data, tr.unroll(cell, normal(T, B, n))[1].h.data, rtol=1e-12)


# --- what a trace takes for granted ----------------------------------------------------------------------------------


def test_parameters_are_read_at_each_call():
    cell = lstm()
    compiled = tr.compile(cell, executor="numpy")
    for _ in range(3):
        np.testing.assert_allclose(
            tr.unroll(compiled, normal(T, B, n))[0].data, tr.unroll(cell, normal(T, B, n))[0].data, rtol=1e-12
        )
        cell.W.data = cell.W.data * 0.5


def test_another_parameter_or_activation_is_noticed():
    cell = nn.RNNCell(n, d, dtype=np.float64)
    compiled = tr.compile(cell, executor="numpy")
    same = lambda: np.testing.assert_allclose(  # noqa: E731
        tr.unroll(compiled, normal(T, B, n))[0].data, tr.unroll(cell, normal(T, B, n))[0].data, rtol=1e-12
    )
    same()
    cell.W = parameter(d, d, seed=5)
    same()
    cell.activation = tr.relu
    same()


def test_a_branch_on_values_is_refused():
    W = parameter(d, d)

    def clipped(x, h):
        if np.sum(h * h) > 1:
            h = h / 2
        return np.tanh(x + h @ W)

    xs = normal(T, B, d)
    with pytest.raises(TypeError, match=r"np\.where"):
        tr.unroll(tr.compile(clipped), xs, np.ones((B, d)))
    eager = tr.unroll(clipped, xs, np.ones((B, d)))[0]
    np.testing.assert_array_equal(
        tr.unroll(tr.compile(clipped, fallback=True), xs, np.ones((B, d)))[0].data, eager.data
    )


@pytest.mark.parametrize("look", [float, np.asarray, lambda a: a.item(), lambda a: a.data, lambda a: a.tolist()])
def test_looking_at_values_is_refused(look):
    W = tr.tensor(2.0)
    for thing in (lambda h: h[0, 0], lambda h: W):
        with pytest.raises(TypeError, match="traced"):
            tr.unroll(tr.compile(lambda x, h: h * look(thing(h))), normal(T, B, d), np.ones((B, d)))  # noqa: B023


def test_a_comparison_of_parameters_stays_a_comparison():
    """What depends on a Tensor's values is part of the program, also if no input is in it."""
    W = parameter(d)
    cell = lambda x, h: np.tanh(x + h * np.where(W > 0, 1.0, 0.5))  # noqa: E731
    compiled = tr.compile(cell, executor="numpy")
    for _ in range(2):
        ys, _ = tr.unroll(compiled, normal(T, B, d), np.ones((B, d)))
        np.testing.assert_allclose(ys.data, tr.unroll(cell, normal(T, B, d), np.ones((B, d)))[0].data, rtol=1e-12)
        W.data = -W.data


def test_random_numbers_drawn_inside_are_refused():
    rng = np.random.default_rng(0)
    noisy = lambda x, h: np.tanh(x + h * rng.normal(size=h.shape))  # noqa: E731
    with pytest.raises(CannotCompile, match="random"):
        tr.unroll(tr.compile(noisy), normal(T, B, d), np.ones((B, d)))


def test_a_state_that_grows_is_refused():
    with pytest.raises(CannotCompile, match="form"):
        tr.unroll(tr.compile(lambda x, h: (x, np.concatenate([h, x]))), normal(T, B, d), np.ones((B, d)))


@pytest.mark.skipif(importlib.util.find_spec("llvmlite") is None, reason="llvmlite makes the machine code")
def test_numpy_starts_and_machine_code_takes_over():
    cell = nn.RNNCell(n, d, dtype=np.float64)
    compiled = tr.compile(cell, executor="auto")
    expected = tr.unroll(cell, normal(T, B, n))[0].data
    for _ in range(CALLS_BEFORE_MACHINE_CODE):
        np.testing.assert_allclose(tr.unroll(compiled, normal(T, B, n))[0].data, expected, rtol=1e-12)
    wait_for_machine_code()
    np.testing.assert_allclose(tr.unroll(compiled, normal(T, B, n))[0].data, expected, rtol=1e-12)
    (plan,) = compiled.plans
    assert all("for " not in executable.code.forward.source for executable in plan._executables.values())


@pytest.mark.skipif(importlib.util.find_spec("llvmlite") is None, reason="llvmlite makes the machine code")
@pytest.mark.parametrize("call", [1, 2, 4])
def test_machine_code_takes_over_at_a_certain_call(call, monkeypatch):
    """However soon, or late, it is ready."""
    xs, target = normal(T, B, n), normal(T, B, d)

    def training(cell, delay):
        try_out = GeneratedExecutable.try_out
        monkeypatch.setattr(GeneratedExecutable, "try_out", lambda *a: (time.sleep(delay), try_out(*a)))
        parameters = list(cell.function.parameters())
        for calls in range(1, 7):
            np.mean(np.square(tr.unroll(cell, xs)[0] - target)).backward()
            for p in parameters:
                p.data, p.grad = p.data - p.grad, None
            if delay == 0:
                wait_for_machine_code()
            (executable,) = cell.plans[0]._executables.values()
            assert ("for " in executable.code.forward.source) == (calls < call)
        return [p.data for p in parameters]

    soon, late = (training(tr.compile(nn.RNNCell(n, d, seed=0), executor=f"auto:{call}"), delay) for delay in (0, 0.2))
    for a, b in zip(soon, late):
        np.testing.assert_array_equal(a, b)


def test_machine_code_by_its_earlier_name():
    pytest.importorskip("llvmlite")
    assert tr.compile(lstm(), executor="numba").executor == "llvm"


@pytest.mark.parametrize("executor", ["gpu", "auto:", "auto:0", "auto:-1", "auto:x", "llvm:2"])
def test_an_executor_that_isnt_there(executor):
    with pytest.raises(ValueError, match="executor is one of"):
        tr.compile(lstm(), executor=executor)


def test_a_class_is_no_function():
    with pytest.raises(TypeError, match="this is the class LSTMCell itself"):
        tr.compile(nn.LSTMCell)
    with pytest.raises(TypeError, match="compile: pass a cell or a function; this is of type int"):
        tr.compile(3)


def test_captured_tensors_may_be_asked_for_their_shape():
    xs, state = tr.tensor(normal(T, B, d)), np.zeros((B, d))
    W = tr.tensor(normal(d, d), requires_grad=True)

    def loss(W):
        assert (np.ndim(xs), np.shape(xs), np.size(xs)) == (3, (T, B, d), T * B * d)
        return np.sum(tr.unroll(lambda x, h: np.tanh(x + h @ W), xs, state)[0])

    found = []
    for f in (tr.compile(loss), loss):
        W.grad = None
        f(W).backward()
        found.append(W.grad)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_only_the_last_plans_are_kept():
    compiled = tr.compile(lambda x: np.tanh(x) * np.arange(len(x)) ** 2)  # where each length has a plan of its own
    for steps in range(1, 60):
        compiled(normal(steps))
    assert len(compiled.plans) == 32
    newest = compiled.plans[-1]
    compiled(normal(59))
    assert compiled.plans[-1] is newest  # no new plan for a form that is there


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_arguments_may_be_given_by_name_arrays_and_settings_alike(executor):
    w = tr.tensor(np.linspace(-1, 1, 4), requires_grad=True)

    def loss(x, *, scale=1.0, squared=True):
        error = scale * np.tanh(x * w)
        return np.sum(error * error if squared else error)

    fast = tr.compile(loss, executor=executor)
    x = np.arange(4.0)
    for keywords in ({}, {"scale": np.full(4, 2.0)}, {"scale": np.full(4, 3.0)}, {"squared": False}, {"squared": True}):
        found, expected = fast(x, **keywords), loss(tr.tensor(x), **keywords)
        assert_equal([found], [expected], 1e-12)
        gradients = []
        for y in (found, expected):
            w.grad = None
            y.backward()
            gradients.append(w.grad)
        assert_equal(gradients[:1], gradients[1:], 1e-12)
    assert len(fast.plans) == 4  # two arrays of one shape share theirs
    with pytest.raises(TypeError, match="scales"):
        fast(x, scales=2.0)
