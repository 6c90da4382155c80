"""Programs as data: what passes make of them, how they print, and what the verifier says of a broken one."""

import re
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.rules import elementwise, shape
from tinygrad_rnn.compiler.generate import scheduled
from tinygrad_rnn.compiler.graph import shapes
from tinygrad_rnn.compiler.graph.values import Value, new_input
from tinygrad_rnn.compiler.loops.fission import Cheap
from tinygrad_rnn.compiler.loops.loop import Carried, Loop
from tinygrad_rnn.compiler.program.backward import differentiated
from tinygrad_rnn.compiler.program.fission import fissioned
from tinygrad_rnn.compiler.program.spelling import Elements
from tinygrad_rnn.compiler.program.tracing import traced
from tinygrad_rnn.compiler.program.verify import Malformed, verify
from tinygrad_rnn.compiler.report import described

T, B, n, d = 5, 2, 3, 4
RNG = np.random.default_rng(0)
U, W = (tr.tensor(RNG.normal(size=shape), name=name) for shape, name in (((n, d), "U"), ((d, d), "W")))
XS, START = RNG.normal(size=(T, B, n)), np.zeros((B, d))


def elman(xs, start):
    return tr.unroll(lambda x, h: np.tanh(x @ U + h @ W), xs, start)[0]


@pytest.fixture
def program():
    return traced(elman, (XS, START))


def all_wanted(program):
    return [True] * len(program.inputs)


# --- passes ----------------------------------------------------------------------------------------------------------


def test_passes_leave_a_program_as_it_is(program):
    before = str(program)
    first = fissioned(program)
    after_first = str(first)
    for wanted in ([True, False, False, False], all_wanted(program)):
        second = differentiated(first, wanted)
        after_second = str(second)
        third = fissioned(second)
        assert str(second) == after_second != str(third)
        assert list(third.gradients) == [v for v, is_wanted in zip(program.inputs, wanted) if is_wanted]
    assert str(first) == after_first and str(program) == before
    with pytest.raises(AttributeError):
        program.outputs = []


@pytest.mark.parametrize("cheap", Cheap)
def test_to_split_a_loop_again_changes_nothing(program, cheap):
    once = fissioned(program, cheap)
    assert str(fissioned(once, cheap)) == str(once)
    with_gradients = fissioned(differentiated(once, all_wanted(once)), cheap)
    assert str(fissioned(with_gradients, cheap)) == str(with_gradients)


def test_slices_of_a_sum_leave_before_the_sum() -> None:
    """For JAX, each gate reads rows of its own: a slice of the row of all gates would be read element by element."""
    cell = nn.LSTMCell(3, 4, dtype=np.float64, seed=0)
    xs = np.ones((5, 2, 3))
    program = traced(lambda x: tr.unroll(cell, x)[0], (xs,))
    inside, slices_before = (str(fissioned(program, cheap)) for cheap in (Cheap.INSIDE, Cheap.SLICES_BEFORE))
    assert inside.count("float64[2, 16] = a row of") == 1 and "float64[2, 4] = a row of" not in inside
    assert slices_before.count("float64[2, 4] = a row of") == 4 and "float64[2, 16] = a row of" not in slices_before


def test_a_product_of_which_loops_read_columns_is_computed_by_columns() -> None:
    """For JAX, unless someone reads all of it: no memory for all gates, and no copies of its columns."""
    cell = nn.LSTMCell(3, 4, dtype=np.float64, seed=0)

    def widths(f):
        program = scheduled(traced(f, (np.ones((5, 2, 3)),)), [], Cheap.SLICES_BEFORE)
        outside = [step for step in program.forward_order() if not isinstance(step, Loop)]
        return {v.shape[-1] for v in outside if v.shape[:1] in ((5,), (10,))}

    assert widths(lambda xs: tr.unroll(cell, xs)[0]) == {3, 4}

    def twice(xs):
        rows = xs @ cell.U + cell.b
        return tr.unroll(lambda x, h: np.tanh(x[:, :4] + x[:, 4:8] * h), rows, np.zeros((2, 4)))[0], rows.sum()

    assert widths(twice) == {3, 4, 16}


@pytest.mark.parametrize("weighed", [tr.sigmoid, tr.softmax])
@pytest.mark.parametrize("cheap", [Cheap.BEFORE, Cheap.INSIDE])
def test_a_gate_that_is_computed_outside_needs_no_second_product(cheap, weighed) -> None:
    """Its product is one with those of the gates in the recurrence, which machine code leaves in the loop.

    The loop keeps the rows for a gate of the outputs alone. For a softmax, which leaves, the product leaves, too.
    """
    weights = [tr.tensor(RNG.normal(size=(16, 16)), requires_grad=True) for _ in range(3)]

    def sru(x, c):
        forget, output = weighed(x @ weights[0]), tr.sigmoid(x @ weights[1])
        c = forget * c + (1 - forget) * (x @ weights[2])
        return output * np.tanh(c), c

    program = traced(lambda xs: np.mean(tr.unroll(sru, xs, np.zeros((8, 16)))[0]), (np.ones((5, 8, 16)),))
    wanted = [v.shape == (16, 16) for v in program.inputs]
    assert described(scheduled(program, wanted, cheap), None).count("matmul") == 2  # one forward, one backward


def test_a_sum_that_is_read_whole_stays_whole() -> None:
    def cell(x, h):
        a = x + h
        return a[:, :2].sum() + np.tanh(a)

    program = traced(lambda xs: tr.unroll(cell, xs, np.zeros((2, 4)))[0], (np.ones((5, 2, 4)),))
    assert str(fissioned(program, Cheap.SLICES_BEFORE)) == str(fissioned(program, Cheap.INSIDE))


def test_a_program_is_differentiated_before_its_loops_are_split_as_well(program):
    """Whoever wants the equations of one step, as in a textbook, leaves fission out."""
    whole = differentiated(program, all_wanted(program))
    verify(whole)
    verify(fissioned(whole))
    (forward,) = (step for step in whole.forward_order() if isinstance(step, Loop))
    (backward,) = (step for step in whole.backward_order() if isinstance(step, Loop))
    assert backward.backwards and backward.steps == forward.steps == T
    assert sorted(r.how for r in whole.results[backward]) == ["last", "rows", "sum", "sum"]


def test_a_loop_stands_once_in_the_order_however_many_results_it_has():
    def f(xs, start):
        ys, h = tr.unroll(lambda x, h: (x @ U, np.tanh(x @ U + h @ W)), xs, start)
        return ys, h, ys + 1, h * 2

    program = fissioned(traced(f, (XS, START)))
    assert sum(isinstance(step, Loop) for step in program.forward_order()) == 1


# --- as text ---------------------------------------------------------------------------------------------------------

FORWARD = """
given
    input0: float64[5, 2, 3]
    input1: float64[2, 4]
    captured2: float64[3, 4]  # 'U'
    captured3: float64[4, 4]  # 'W'
forward
    state4: float64[2, 4] = input1 before the first step
    for each of 5 steps:
        x5: float64[2, 3] = a row of input0
        v6: float64[2, 4] = matmul(x5, captured2)
        v7: float64[2, 4] = matmul(state4, captured3)
        v8: float64[2, 4] = add(v6, v7)
        v9: float64[2, 4] = tanh(v8)
        state4 = v9 from now on
    result10: float64[5, 2, 4] = v9 at each step
    return result10
""".strip()

BACKWARD = """
    for each of 5 steps, from the last to the first:
        g19: float64[2, 4] = a row of g14
        v20: float64[2, 4] = a row of v16
        v21: float64[2, 4] = add(g18, g19)
        v22: float64[2, 4] = multiply(v21, v20)
        v23: float64[2, 4] = matmul(v22, v17)
        g18 = v23 from now on
""".strip("\n")


def test_a_program_prints_itself(program):
    assert str(program) == FORWARD
    first = fissioned(program)
    assert BACKWARD in str(fissioned(differentiated(first, all_wanted(first))))


def test_names_of_users_are_escaped():
    weird = tr.tensor(np.ones(2), name="W\n    return input0  # " + "w" * 1000)
    (line,) = (line for line in str(traced(lambda x: x * weird, (np.ones(2),))).splitlines() if "# " in line)
    assert r"# 'W\n    return" in line and len(line) < 100


# --- verification ----------------------------------------------------------------------------------------------------


def with_loop(program, carried=None, slices=None, steps=T):
    """The program with another loop in its only loop's place."""
    (result,) = program.outputs
    old = result.op
    loop = Loop(old.name, steps, carried or old.carried, old.slices if slices is None else slices, old.backwards)
    return replace(program, outputs=[loop.result(program.trace, result.how, result.inner)])


def test_what_is_computed_nowhere_is_found(program):
    with pytest.raises(Malformed, match="has no operation and is not an input"):
        verify(replace(program, inputs=program.inputs[:2]))
    with pytest.raises(Malformed, match="has no operation"):
        verify(replace(program, outputs=[new_input((2,), float, "input")]))


def test_wrong_shapes_and_dtypes_are_found(program):
    a = program.inputs[1]
    for lengths, dtype in (((B, d + 1), np.float64), ((B, d), np.float32)):
        wrong = Value(elementwise.tanh, (a,), {}, lengths, dtype)
        with pytest.raises(Malformed, match="its operation computes float64"):
            verify(replace(program, outputs=[wrong]))


def test_broken_loops_are_found(program):
    (carried,), slices = program.outputs[0].op.carried, program.outputs[0].op.slices
    (sequence,) = slices.values()
    wide = Carried(sequence, carried.before, carried.after)
    with pytest.raises(Malformed, match="before and after a step differ in number"):
        verify(with_loop(program, carried=[wide]))
    with pytest.raises(Malformed, match="is not a row of"):
        verify(with_loop(program, steps=T - 1))
    with pytest.raises(Malformed, match="has no operation"):
        verify(with_loop(program, slices={new_input((B, n), float, "x"): sequence}))
    last = program.outputs[0].op.result(program.trace, "last", carried.after)
    with pytest.raises(Malformed, match="which is not a state"):
        verify(replace(program, outputs=[last]))


def test_gradients_of_another_form_are_found(program):
    program = differentiated(fissioned(program), all_wanted(program))
    verify(program)
    first, second, *_ = program.inputs
    swapped = {first: program.gradients[second], second: program.gradients[first]}
    with pytest.raises(Malformed, match="an input and its gradient differ in number"):
        verify(replace(program, gradients=swapped))
    with pytest.raises(Malformed, match="an output and its cotangent"):
        verify(replace(program, cotangents=[]))


# --- the generated source --------------------------------------------------------------------------------------------


@pytest.mark.only_for("numpy", "llvm", reason="it reads the text of generated code")
def test_a_plan_shows_its_source():
    """The names are the same in every process, however many Values there were before."""

    def source():
        compiled = tr.compile(elman)
        np.sum(compiled(tr.tensor(XS, requires_grad=True), START)).backward()
        (plan,) = compiled.plans
        (executable,) = plan._executables.values()
        return plan.source(), executable.code

    first, code = source()
    for _ in range(120):
        new_input((), float, "x")
    second, _ = source()
    assert first == second
    assert first.count("def forward(") == first.count("def backward(") == 1
    assert ("for " in first) == (DEFAULT == "numpy")  # in machine code, it calls a loop
    functions = first[first.index("def ") :], f"{code.forward.source}\n{code.backward.source}".rstrip()
    assert len({re.sub(r"\d+", "", text) for text in functions}) == 1


def test_the_text_of_elements_leaves_none_out() -> None:
    """By it loops with checkpoints are told apart; NumPy's own text shows only the ends of a large array."""
    texts = {repr(Elements(np.arange(5000) == place)) for place in (2000, 3000)}
    assert len(texts) == 2


@pytest.mark.parametrize("cheap", Cheap)
def test_axes_are_rearranged_in_two_ways_after_fission(cheap) -> None:
    """By a reshape or a transpose, in loops and outside, forward and backward: executors have tables for no other."""
    W = tr.tensor(np.full((4, 4), 0.1), requires_grad=True)

    def f(xs):
        def cell(x, h):
            stacked = np.swapaxes(np.expand_dims(h, 0), 1, 2) * np.expand_dims(x.T, 0)
            return np.tanh(np.squeeze(np.moveaxis(stacked, 0, 2), 2).T @ W + np.swapaxes(W, 0, 1)[0])

        ys, _ = tr.unroll(lambda x, h: (cell(x, h),) * 2, xs, np.zeros((2, 4)))
        return np.moveaxis(np.swapaxes(np.expand_dims(ys, 1), 0, 3), 1, 0).squeeze(0)

    program = scheduled(traced(f, (np.ones((5, 2, 4)),)), [True, True], cheap)
    steps = [*program.forward_order(), *program.backward_order()]
    values = [v for step in steps for v in (step.body(program.results[step]) if isinstance(step, Loop) else [step])]
    assert {v.op for v in values} & shapes.REARRANGES <= {shape.reshape, shape.transpose, shape.broadcast_to}
    assert {shape.reshape, shape.transpose} <= {v.op for v in values}
