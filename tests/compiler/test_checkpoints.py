"""Checkpoints inside plans: the gradients of a loop without them, and memory for a few steps instead of all."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

from .agreement import BOTH, assert_equal, everything

n, d, B = 3, 4, 2
EXECUTORS = ("numpy", "llvm")
LAYERS = {
    "RNN": lambda k: nn.RNN(n, d, seed=1, dtype=np.float64, checkpoint_every=k),
    "LSTM": lambda k: nn.LSTM(n, d, seed=1, dtype=np.float64, checkpoint_every=k),
    "GRU both ways": lambda k: nn.GRU(n, d, bidirectional=True, seed=1, dtype=np.float64, checkpoint_every=k),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def assert_agree(f, g, xs, rest, parameters, tolerance=1e-12):
    """Values and all gradients of two functions, twice: the second time in memory that has been used."""
    for _ in range(2):
        for found, expected in zip(everything(f, xs, rest, parameters), everything(g, xs, rest, parameters)):
            assert_equal(found, expected, tolerance)


def two_layers(k):
    return nn.RNN(n, d, 2, bidirectional=True, seed=1, dtype=np.float64, checkpoint_every=k)


@pytest.mark.one_in(11)
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    ("make", "steps", "k"),
    [*((make, *steps) for make in LAYERS.values() for steps in [(9, 3), (10, 3), (7, 1), (5, 4)]), (two_layers, 10, 3)],
)
def test_gradients_are_those_without_checkpoints(executor, make, steps, k):
    layer, without = make(k), make(None)
    without.load_state_dict(layer.state_dict())
    compiled = tr.compile(lambda x, rest: layer(x), executor=executor)
    xs = normal(steps, B, n)
    for found, expected in zip(
        everything(compiled, xs, (), list(layer.parameters())),
        everything(lambda x, rest: without(x), xs, (), list(without.parameters())),
    ):
        assert_equal(found, expected, 1e-12)
    assert "checkpointed_loop_back" in str(compiled.plans[0])


@pytest.mark.one_in(2)
@pytest.mark.parametrize("executor", BOTH)
def test_padded_batches_a_given_state_and_other_lengths(executor):
    layer = nn.LSTM(n, d, seed=1, dtype=np.float64, checkpoint_every=2)

    def run(x, state):
        return layer(x, state, lengths=np.arange(1, 1 + len(x))[-x.shape[1] :])

    compiled = tr.compile(run, executor=executor)
    for steps, batch in [(7, 3), (8, 3), (8, 2), (2, 2), (7, 3)]:
        state = nn.LSTMState(normal(1, batch, d, seed=1), normal(1, batch, d, seed=2))
        assert_agree(compiled, run, normal(steps, batch, n), state, list(layer.parameters()))


@pytest.mark.parametrize("executor", BOTH)
def test_any_cell_on_whole_numbers_and_on_what_the_function_has_computed_before(executor):
    W, E = (tr.tensor(normal(*shape), requires_grad=True) for shape in [(d, d), (5, d)])

    def run(tokens, h):
        scale = np.tanh(E).sum() / 10
        return nn.Recurrent(lambda x, h: np.tanh(E[x] * scale + h @ W), checkpoint_every=3)(tokens, h)

    tokens = np.random.default_rng(0).integers(5, size=(8, B))
    assert_agree(tr.compile(run, executor=executor), run, tokens, normal(B, d, seed=3), [W, E])


def test_a_state_that_takes_its_form_in_the_first_step_and_a_loop_that_is_short():
    W = tr.tensor(normal(d, d), requires_grad=True)

    def run(x, h):
        return nn.Recurrent(lambda x, h: np.tanh(x + h @ W), checkpoint_every=3)(x, h)

    compiled = tr.compile(run)
    assert_agree(compiled, run, normal(8, B, d), normal(d), [W])
    assert_agree(compiled, run, normal(3, B, d), normal(B, d), [W])


def test_second_order_and_no_gradient_at_all():
    layer = nn.RNN(n, d, seed=1, dtype=np.float64, checkpoint_every=2)
    f = tr.compile(lambda x: np.sum(np.square(layer(x)[0])))
    x, v = normal(5, B, n), normal(5, B, n, seed=1)
    with tr.no_grad():
        assert np.allclose(f(x).data, np.sum(np.square(layer(x)[0].data)))
    twice = [tr.grad(lambda x, f=g: np.sum(tr.grad(f)(x) * v))(x).numpy() for g in (f, f.function)]
    np.testing.assert_allclose(*twice, rtol=1e-10)


def test_parameters_that_need_no_gradient_get_none():
    layer = nn.LSTM(n, d, seed=1, dtype=np.float64, checkpoint_every=2)
    layer.layers[0].U.requires_grad = False
    f = tr.compile(lambda x: np.sum(np.square(layer(x)[0])))
    f(normal(5, B, n)).backward()
    assert layer.layers[0].U.grad is None and layer.layers[0].W.grad.any()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_memory_is_that_of_a_few_steps(executor):
    def peak(k):
        layer = nn.LSTM(8, 64, checkpoint_every=k)
        loss = tr.compile(lambda x: np.sum(layer(x)[1].h), executor=executor)
        xs = np.zeros((450, 16, 8), np.float32)  # so many that gradients and packed weights hardly count
        for steps in (40, 50):  # other lengths, which a plan for all would serve
            loss(xs[:steps]).backward()
        if executor == "llvm":  # which takes memory of its own to make machine code, once for all
            tr.compile(lambda x: np.sum(layer(x)[1].h), executor=executor)(xs).backward()
        tracemalloc.start()
        loss(xs).backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(15) < peak(None) / 3


def test_jax_has_a_loop_of_its_own():
    pytest.importorskip("jax")
    layer = nn.RNN(n, d, seed=1, checkpoint_every=2)
    compiled = tr.compile(lambda x: layer(x)[0], executor="jax")
    xs = normal(5, B, n).astype(np.float32)
    np.testing.assert_allclose(compiled(xs).data, layer(xs)[0].data, atol=1e-6)
