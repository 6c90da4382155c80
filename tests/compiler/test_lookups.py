"""An embedding in front of a loop: the table is multiplied by the cell's matrix once, not each row looked up in it."""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

from .agreement import BOTH, assert_equal, everything

k, n, d = 5, 3, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def model(cell=nn.LSTMCell):
    cell = cell(n, d, dtype=np.float64, seed=1)
    table = tr.tensor(normal(k, n), requires_grad=True)
    return table, [table, *cell.parameters()], lambda tokens, h: tr.unroll(cell, table[tokens])


@pytest.mark.one_in(5)
@pytest.mark.parametrize("executor", BOTH)
@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_values_and_gradients_are_those_of_the_rows_one_by_one(cell, executor):
    _, parameters, run = model(cell)
    tokens = np.random.default_rng(2).integers(-k, k, size=(7, 2))  # negative ones count from the end
    compiled = tr.compile(run, executor=executor)
    for found, expected in zip(everything(compiled, tokens, (), parameters), everything(run, tokens, (), parameters)):
        assert_equal(found, expected, 1e-12)
    products = [line for line in str(compiled.plans[0]).splitlines() if "outside  matmul" in line]
    assert any(f"of ({k}, {n}), " in line for line in products)
    assert not any(f"of (14, {n}), " in line or f"of ({n}, 14), " in line for line in products)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_nobody_looks_up_may_hold_anything(bad):
    table, parameters, run = model()
    table.data = np.where(np.arange(k)[:, None] == 3, bad, table.data)
    tokens = np.array([0, 1, 2, 4, -1, 0, 1, 2])[:, None]
    found, expected = (everything(f, tokens, (), parameters) for f in (tr.compile(run), run))
    assert all(np.isfinite(g).all() for g in found[1] if g is not None)
    for a, b in zip(found, expected):
        assert_equal(a, b, 1e-12)


def test_a_row_that_the_table_lacks_is_refused_as_without_compiling():
    _, _, run = model()
    compiled = tr.compile(run)
    compiled(np.zeros((9, 1), int), ())
    with pytest.raises(IndexError, match="5 is out of bounds"):
        compiled(np.full((9, 1), k), ())


@pytest.mark.only_for("numpy", "llvm", reason="on JAX each gate's columns are a product of their own")
def test_a_table_with_more_rows_than_are_looked_up_is_left_alone():
    _, parameters, run = model()
    compiled = tr.compile(run)
    everything(compiled, np.zeros((2, 2), int), (), parameters)
    assert f"of (4, {n}), ({n}, {4 * d})" in str(compiled.plans[0])


@pytest.mark.only_for("numpy", "llvm", reason="shapes are static on JAX, so each has a plan")
def test_all_lengths_have_one_plan():
    _, parameters, run = model()
    compiled = tr.compile(run)
    rng = np.random.default_rng(3)
    for steps, batch in [(7, 2), (9, 3), (11, 2), (1, 1), (2, 2), (30, 4)]:
        tokens = rng.integers(k, size=(steps, batch))
        found, expected = (everything(f, tokens, (), parameters) for f in (compiled, run))
        for a, b in zip(found, expected):
            assert_equal(a, b, 1e-12)
    assert len(compiled.plans) == 2  # that of the first length, and one for all
