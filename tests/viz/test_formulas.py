"""Equations read off the recorded operations, in three notations, and the derivative of each operation."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.viz.networks import built_in, elman, skipping, without_time
from tinygrad_rnn.autodiff.scalar import Scalar
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.writing.formulas import GENERAL_DERIVATIVE, LOCAL_DERIVATIVES, local_derivative


def equations(loss):
    return [equation for found in draw(loss).equations.values() for equation in found]


def test_the_elman_cell():
    (equation,) = equations(elman(3)[0])
    assert equation.text() == "h_t = tanh(x_t U + h_{t-1} W + b)"
    assert equation.latex() == r"h_{t} = \tanh\left(x_{t}\, U + h_{t-1}\, W + b\right)"
    ET.fromstring(equation.mathml())
    assert "<msub><mi>h</mi><mrow><mi>t</mi><mo>−</mo><mn>1</mn></mrow></msub>" in equation.mathml()


def test_the_lstm_names_what_its_gates_share():
    found = [equation.text() for equation in equations(built_in(tr.nn.LSTMCell(3, 2)))]
    assert found[0] == "a_t = x_t U + h_{t-1} W + b"
    gates = {"i_t = σ(a_t[:2])", "f_t = σ(a_t[2:4])", "g_t = tanh(a_t[4:6])", "o_t = σ(a_t[6:8])"}
    assert set(found[1:-1]) == gates | {"c_t = f_t ∘ c_{t-1} + i_t ∘ g_t"}
    assert found[-1] == "h_t = o_t ∘ tanh(c_t)"


def test_the_gru():
    found = [equation.text() for equation in equations(built_in(tr.nn.GRUCell(3, 2)))]
    assert found[-1] == "h_t = (1 - z_t) ∘ n_t + z_t ∘ h_{t-1}"


def test_older_states_say_how_old_they_are():
    (equation,) = equations(skipping())
    assert equation.text() == "last_t = tanh(x_t + last_{t-1} W + last_{t-2} K)"
    assert r"\mathit{last}_{t-2}\, K" in equation.latex()


def test_brackets_are_where_they_are_needed():
    a, b = (tr.tensor(np.eye(2), requires_grad=True, name=n) for n in "ab")

    def cell(x, h):
        return (a + b) @ h * 2 - (x - (a - b) @ x) / (a[0] + 1) ** 2

    ys, _ = tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))
    (equation,) = equations(ys.sum())
    assert equation.text() == "h_t = 2 (a + b) h_{t-1} - (x_t - (a - b) x_t) / (a[0] + 1)²"


def bracketed():
    """A network whose equation has every form in it that needs a notation of its own."""
    a, b = (tr.tensor(np.eye(2), requires_grad=True, name=n) for n in ("a", "b_1"))

    def cell(x, h):
        return (a + b) @ h * -2 - np.log(x - (a - b) @ x) / (a[0] + 1) ** 2

    return tr.unroll(cell, np.full((3, 2), 3.0), state=np.zeros(2))[0].sum()


def test_the_same_in_latex():
    (equation,) = equations(bracketed())
    assert equation.text() == "h_t = (-2) (a + b_1) h_{t-1} - log(x_t - (a - b_1) x_t) / (a[0] + 1)²"
    numerator = r"\log\left(x_{t} - \left(a - \mathit{b\_1}\right)\, x_{t}\right)"
    fraction = rf"\frac{{{numerator}}}{{{{\left({{a}}_{{[0]}} + 1\right)}}^{{2}}}}"
    product = r"\left(-2\right)\, \left(a + \mathit{b\_1}\right)\, h_{t-1}"
    assert equation.latex() == f"h_{{t}} = {product} - {fraction}"


def test_latex_is_what_a_renderer_reads():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    networks = (bracketed(), elman(3)[0], skipping(), built_in(tr.nn.LSTMCell(3, 2)), built_in(tr.nn.GRUCell(3, 2)))
    for equation in (equation for network in networks for equation in equations(network)):
        mathtext.MathTextParser("path").parse(f"${equation.latex()}$")


def test_the_same_in_mathml():
    """Read back, without the tags that only say how it stands, it is the text; a fraction and a power stand nested."""
    (equation,) = equations(bracketed())
    root = ET.fromstring(equation.mathml())
    space = "{http://www.w3.org/1998/Math/MathML}"
    read = "".join(root.itertext()).replace("\u2062", " ").replace("\u2061", "")
    assert read == "ht=(−2) (a+b_1) ht−1−log(xt−(a−b_1) xt)(a[0]+1)2"
    (fraction,) = root.iter(f"{space}mfrac")
    above, below = fraction
    assert "".join(above.itertext()).startswith("log") and below[0].tag == f"{space}msup"
    assert [len(power) for power in root.iter(f"{space}msup")] == [2]


def test_what_is_too_deep_to_read_ends_in_dots():
    w = tr.tensor(np.ones(2), requires_grad=True, name="w")

    def cell(x, h):
        for _ in range(60):
            h = np.tanh(h + x)
        return h * w

    (equation,) = equations(tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))[0].sum())
    assert equation.text().startswith("h_t = tanh(tanh(") and "(… + x_t) + x_t)" in equation.text()
    assert r"\left(\dots + x_{t}\right)" in equation.latex() and "<mi>…</mi>" in equation.mathml()
    assert len(equation.text()) < 200


def test_parameters_are_called_as_in_the_cells_own_code():
    """Some with what they are of and some without would look like two kinds of thing."""

    class Cell(tr.nn.Module):
        def __init__(self):
            self.read, self.W = tr.nn.Linear(2, 3, seed=0), tr.nn.Parameter(np.eye(3, dtype=np.float32))

        def forward(self, x, h):
            h = np.tanh(self.read(x) + h @ self.W)
            return h, h

    class Model(tr.nn.Module):
        def __init__(self):
            self.inner, self.out = Cell(), tr.nn.Linear(3, 1, seed=0)

        def forward(self, xs):
            return np.mean(self.out(tr.unroll(self.inner, xs, np.zeros(3, np.float32))[0]) ** 2)

    (equation,) = equations(Model()(np.ones((3, 2), np.float32)))
    assert equation.text() == "h_t = tanh(x_t read.W + read.b + h_{t-1} W)"


def test_notes_below_the_picture():
    picture = draw(elman(3)[0], formulas=True)
    assert "h_t = tanh(x_t U + h_{t-1} W + b)" in [label.text for label in picture.scene.labels]
    (box,) = [box for box in picture.scene.boxes if box.lines and box.lines[0].text == "h₂"]
    assert box.lines[-1].text == "∂y/∂a = 1 − y²"


def test_a_graph_without_steps_has_no_equations():
    assert equations(without_time()) == []


# The derivatives in words, as Python, to be held against the engine's own slopes.
AS_PYTHON = {
    "add": ["1", "1"],
    "multiply": ["b", "a"],
    "exp": ["y"],
    "log": ["1/a"],
    "sqrt": ["1/(2*y)"],
    "tanh": ["1-y**2"],
    "sigmoid": ["y*(1-y)"],
    "relu": ["1 if a>0 else 0"],
    "power": ["b*a**(b-1)"],
}


@pytest.mark.parametrize("name", sorted(AS_PYTHON))
def test_local_derivatives_are_those_of_the_engine(name):
    a, b = Scalar(0.7), Scalar(1.3)
    result = {
        "add": lambda: a + b,
        "multiply": lambda: a * b,
        "power": lambda: a**1.3,
    }.get(name, lambda: getattr(a, name)())()
    result.backward()
    scope = {"a": 0.7, "b": 1.3, "y": result.data, "math": math}
    for leaf, formula in zip((a, b), AS_PYTHON[name]):
        assert leaf.grad == pytest.approx(eval(formula, scope))
    assert name in LOCAL_DERIVATIVES
    words = LOCAL_DERIVATIVES[name].replace("²", "**2").replace(" ", "").replace("−", "-").replace("2y", "2*y")
    for formula in AS_PYTHON[name]:
        plain = formula.replace(" ", "").replace("1ifa>0else0", "1wherea>0,else0").replace("b*a**(b-1)", "ba^(b-1)")
        assert plain.replace("y*(", "y(") in words


def test_an_operation_that_is_not_listed_has_the_general_rule():
    assert local_derivative("fft") == GENERAL_DERIVATIVE
