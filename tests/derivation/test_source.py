"""The derivation as a NumPy function: short, NumPy alone, one loop each way; and run, it gives every line's values."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

T, B, N, D, K = 5, 2, 3, 4, 3
RNG = np.random.default_rng(0)
XS, CLASS = RNG.normal(size=(T, B, N)), np.array([0, 2])
KINDS = {"elman": (nn.RNNCell, 12), "lstm": (nn.LSTMCell, 24), "gru": (nn.GRUCell, 22)}


class ManyToOne(nn.Module):
    """A cell, and an output layer at its last step."""

    def __init__(self, kind):
        self.cell = kind(N, D, dtype=np.float64)
        self.V = nn.Parameter(np.linspace(-1, 1, D * K).reshape(D, K))
        self.c = nn.Parameter(np.linspace(0, 1, K))

    def forward(self, xs, target):
        ys, _ = tr.unroll(self.cell, xs)
        return nn.cross_entropy(ys[-1] @ self.V + self.c, target)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def derived(kind):
    return tr.derive(ManyToOne(KINDS[kind][0]), data=[XS, CLASS])


def code_of(text):
    """Rows of code, without comments, blank rows and the docstring."""
    function = ast.parse(text).body[-1]
    rows = text.splitlines()[function.body[0].end_lineno :]
    return [row for row in rows if row.strip() and not row.strip().startswith("#")]


def test_it_imports_numpy_alone(kind):
    text = derived(kind).source()
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert not names & {"tr", "nn", "tinygrad_rnn"}


def test_there_is_one_loop_forward_and_one_backward(kind):
    loops = [node for node in ast.walk(ast.parse(derived(kind).source())) if isinstance(node, ast.For)]
    assert [ast.unparse(loop.iter) for loop in loops] == ["range(1, T + 1)", "range(T, 0, -1)"]


def test_the_backward_part_is_short(kind):
    _, backward = derived(kind).source().split("# --- backward")
    rows = [row for row in backward.splitlines() if row.strip() and not row.strip().startswith("#")]
    assert len(rows) <= KINDS[kind][1]


def test_comments_give_equations_and_shapes(kind):
    text = derived(kind).source()
    assert "# h_t = " in text
    z = "z⁽²⁾" if kind == "gru" else "z"  # which has a gate of this name
    assert f"# ∂L/∂{z} = (p - onehot(target)) / 2  (2, 3)" in text


def test_the_text_runs_by_itself(kind):
    derivation = derived(kind)
    space = {}
    exec(derivation.source(), space)
    parameters = [derivation.parameters[name] for name in derivation.names]
    loss, gradients = space["derivative"](*parameters, XS, CLASS)
    assert loss == pytest.approx(derivation.recording.loss.item(), rel=1e-14)
    right = derivation.recording.gradients()
    for name, short in derivation.names.items():
        np.testing.assert_allclose(gradients[short], right[name], rtol=0, atol=1e-12 * np.abs(right[name]).max())


def test_a_run_gives_every_line_at_each_step(kind):
    derivation = derived(kind)
    run = derivation.run()
    assert set(run.values) == {line.name for line in derivation.lines}
    for line in derivation.lines:
        values = run.values[line.name]
        for t in line.steps:
            assert np.shape(values[t]) == line.shape
    lines = derivation.evaluate()
    for line in derivation.lines:
        for t in line.steps or (None,):
            value = run.values[line.name] if t is None else run.values[line.name][t]
            np.testing.assert_allclose(value, lines[line.quantity][t], rtol=1e-12, atol=1e-14)


def test_it_runs_at_other_parameters_and_data(kind):
    derivation = derived(kind)
    moved = {name: value + 0.1 for name, value in derivation.parameters.items()}
    other = {"xs": RNG.normal(size=(T + 3, B, N)), "target": np.array([1, 1])}
    run = derivation.run(moved, other)
    model = ManyToOne(KINDS[kind][0])
    for name, parameter in model.named_parameters():
        parameter.data = moved[name]
    loss = model(other["xs"], other["target"])
    loss.backward()
    assert run.loss == pytest.approx(loss.item(), rel=1e-13)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(run.gradients[name], parameter.grad, rtol=0, atol=1e-12)


def test_a_layer_alone_has_no_loss():
    derivation = tr.derive(nn.RNNCell(N, D, dtype=np.float64), XS)
    assert "L" not in {line.name for line in derivation.lines}
    assert derivation.run().loss is None
    assert "def derivative(U, W, b, xs, dL_dy):" in derivation.source()


@pytest.mark.parametrize("form", ["cross_entropy", "log_softmax", "softmax", "logsumexp", "at each step"])
@pytest.mark.parametrize("size", [0, 1e3, 1e7, -1e7])
def test_large_logits_keep_their_digits(form, size):
    p = {"z": np.full((2, 2), size, dtype=np.float32)}

    def loss(p):
        if form == "cross_entropy":
            return nn.cross_entropy(p["z"], np.array([0, 1]))
        if form == "log_softmax":
            return -np.sum(tr.log_softmax(p["z"])[:, 0])
        if form == "softmax":
            return np.sum(tr.softmax(p["z"] * 1)[:, 0] ** 2)
        if form == "logsumexp":
            return np.sum(tr.logsumexp(p["z"], axis=-1) * np.float32(1e-7))
        total = 0.0
        for k in range(4):
            total = total + nn.cross_entropy(p["z"] + 0.0 * k, np.array([0, 1]))
        return total

    derivation = tr.derive(loss, p)
    space = {}
    exec(derivation.source(), space)
    value, gradients = space["derivative"](p["z"])
    assert value == pytest.approx(derivation.recording.loss.item(), rel=1e-6)
    np.testing.assert_allclose(gradients["z"], derivation.recording.gradients()["z"], rtol=1e-6)
    if form == "cross_entropy":
        assert value == pytest.approx(np.log(2), rel=1e-6)
        assert gradients["z"][0, 0] == pytest.approx(-0.25)


def test_a_large_logit_of_one_instance_in_a_loop():
    p = {"W": np.array([[1e7, 1e7]], dtype=np.float32)}

    def loss(p, xs):
        total = 0.0
        for x in xs:
            total = total - tr.log_softmax(x @ p["W"])[0]
        return total

    derivation = tr.derive(loss, p, [np.ones((3, 1), dtype=np.float32)])
    space = {}
    exec(derivation.source(), space)
    value, gradients = space["derivative"](p["W"], np.ones((3, 1), dtype=np.float32))
    assert value == pytest.approx(3 * np.log(2), rel=1e-6)
    np.testing.assert_allclose(gradients["W"], [[-1.5, 1.5]], rtol=1e-6)
