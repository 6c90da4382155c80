"""What a plan does where, as it says when it is printed: what has left the loop over time, and what was joined."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT
from tinygrad_rnn import nn

T, B, n, d, k = 9, 3, 4, 5, 2
RNG = np.random.default_rng(0)
XS, START = RNG.normal(size=(T, B, n)), np.zeros((B, d))


def parameter(*shape):
    return tr.tensor(RNG.normal(size=shape), requires_grad=True)


def products(cell, state=START):
    """The products of a plan, each as (direction, where, shape, how many were joined)."""
    compiled = tr.compile(cell)
    np.sum(tr.unroll(compiled, XS, state)[0]).backward()
    (plan,) = compiled.plans
    found = []
    for direction, text in zip(("forward", "backward"), str(plan).split("\n\n")):
        for where, rows, columns, joined in re.findall(
            r"(\w+)side  matmul +\((\d+), (\d+)\).*?(?:\((\d) pr.*)?$", text, re.M
        ):
            found.append((direction, where, (int(rows), int(columns)), int(joined or 1)))
    return found


@pytest.mark.only_for("numpy", "llvm", reason="on JAX each gate's columns of x @ [U, V] are a product of their own")
def test_gates_are_joined_and_all_but_the_recurrence_leaves_the_loop():
    U, V, W, R, Y = (parameter(*shape) for shape in ((n, d), (n, d), (d, d), (d, d), (d, k)))

    def cell(x, h):
        z, g = tr.sigmoid(h @ W + x @ U), np.tanh(x @ V + h @ R)
        h = z * h + (1 - z) * g
        return h @ Y, h

    assert products(cell) == [
        ("forward", "out", (T * B, 2 * d), 2),  # x @ [U, V]
        ("forward", "in", (B, 2 * d), 2),  # h @ [W, R]
        ("forward", "out", (T * B, k), 1),
        ("backward", "out", (T * B, d), 1),  # of h, from the outputs
        ("backward", "in", (B, d), 1),  # of h, from both gates
        ("backward", "out", (d, 2 * d), 1),  # of W and R
        ("backward", "out", (n, 2 * d), 1),  # of U and V
        ("backward", "out", (d, k), 1),
    ]


def test_a_product_of_input_and_state_side_by_side_is_split():
    W = parameter(n + d, d)

    def cell(x, h):
        h = np.tanh(np.concatenate([x, h], axis=-1) @ W)
        return h, h

    forward = [product for product in products(cell) if product[0] == "forward"]
    assert forward == [("forward", "out", (T * B, d), 1), ("forward", "in", (B, d), 1)]


@pytest.mark.only_for("numpy", "llvm", reason="it reads the text of generated code")
def test_sums_are_put_in_an_order_in_which_more_can_leave():
    U, W, b = parameter(n, d), parameter(d, d), parameter(d)
    compiled = tr.compile(lambda x, h: np.tanh(h @ W + x @ U + b))
    with tr.no_grad():
        tr.unroll(compiled, XS, START)
    (plan,) = compiled.plans
    leaving, staying = [("out", "matmul"), ("out", "add")], [("in", "matmul"), ("in", "add"), ("in", "tanh")]
    if DEFAULT == "llvm":  # what is cheap stays in the pass over h's elements, so no array of sums is kept
        leaving, staying = leaving[:1], [staying[0], ("in", "add"), *staying[1:]]
    assert re.findall(r"(\w+)side  (\w+)", str(plan)) == [*leaving, *staying]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("executor", ["numpy", "llvm"])
@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_no_buffer_is_larger_than_what_all_steps_save(make, executor):
    cell = make(n, d, dtype=np.float64)
    compiled = tr.compile(cell, executor=executor)
    xs = tr.tensor(XS, requires_grad=True)
    np.sum(tr.unroll(compiled, xs)[0]).backward()
    ((executable,),) = [plan._executables.values() for plan in compiled.plans]
    largest = max(buffer.nbytes for buffer in executable.code.buffers.values())
    assert largest <= (T + 1) * B * cell.U.shape[1] * 8  # the initial state may stand before those of the steps
