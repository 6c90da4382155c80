"""What things are called: by named() on outputs and states, by the class of a cell, by where a parameter stands."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.names import TERMINAL
from tinygrad_rnn import nn
from tinygrad_rnn.explanation import gradient_flow, gradients, state_jacobian
from tinygrad_rnn.viz import draw


def titles(picture, kind):
    return {vertex.title for vertex in picture.graph.vertices if vertex.kind == kind}


def lanes(x):
    return [lane.title for lane in draw(x).graph.lanes if lane.is_cell]


def weights():
    return tr.tensor(np.array([[0.5, -0.3], [0.2, 0.8]]), requires_grad=True, name="W")


def own_names(W):
    def cell(x, s):
        s = tr.named("s", np.tanh(x + s @ W))
        return tr.named("o", 2 * s), s

    return cell


def test_an_output_and_a_state_are_called_what_the_cell_calls_them():
    W = weights()
    os, _ = tr.unroll(own_names(W), np.ones((4, 2)), state=tr.tensor(np.zeros(2), requires_grad=True))
    loss = np.sum(os)
    picture = draw(loss, level="cell")
    assert titles(draw(loss), "state") == {"s"} and titles(draw(loss), "output") == {"o"}
    assert "s_t = tanh(x_t + s_{t-1} W)" in [label.text for label in picture.scene.labels]
    flow = gradient_flow(loss)
    assert flow["s"].steps.tolist() == [0, 1, 2, 3, 4]
    assert gradients(loss, at="s").shape == gradients(loss, at="o").shape == (4, 2)
    assert state_jacobian(loss, 4, 0).shape == (2, 2)
    right = gradients(loss, at="s")
    report = tr.compare(loss, {"W": np.zeros((2, 2)), "dL/ds[2]": right[1], "s[3]": os.inputs[2].data / 2}, {"W": W})
    assert [line.verdict for line in report.lines] == ["agrees", "agrees"]


def test_without_names_of_its_own_they_are_h_and_y_as_ever():
    W = weights()
    ys, _ = tr.unroll(lambda x, h: (2 * h, np.tanh(x + h @ W)), np.ones((4, 2)), state=np.zeros(2))
    assert titles(draw(np.sum(ys)), "state") == {"h"} and titles(draw(np.sum(ys)), "output") == {"y"}
    assert titles(draw(np.sum(nn.LSTM(2, 3, seed=0)(np.ones((3, 1, 2), np.float32))[0])), "state") == {"h", "c"}


def test_parts_of_a_tuple_and_scalars_have_their_names_too():
    W = weights()

    def cell(x, state):
        a, b = state
        a = tr.named("a", np.tanh(x + a @ W))
        return a, (a, tr.named("memory", b * 0.5 + a))

    ys, _ = tr.unroll(cell, np.ones((3, 2)), state=(np.zeros(2), np.zeros(2)))
    ys, (_, memory) = tr.unroll(cell, np.ones((3, 2)), state=(np.zeros(2), np.zeros(2)))
    assert {flow.name for flow in gradient_flow(np.sum(memory) + np.sum(ys)).flows} == {"a", "memory"}
    w = tr.scalars([[0.5, 0.1], [0.2, 0.3]], name="W")
    ys, _ = tr.unroll(own_names(w), tr.scalars(np.ones((3, 2)), requires_grad=False), state=tr.scalars(np.zeros(2)))
    assert titles(draw(np.sum(ys)), "state") == {"s[0]", "s[1]"}


class Own(nn.Module):
    """A cell of the user's, with a layer inside."""

    def __init__(self, inputs=2, units=3):
        self.units = units
        self.read = nn.Linear(inputs, units, seed=0)
        self.W = nn.Parameter(np.eye(units))

    def forward(self, x, h):
        h = np.tanh(self.read(x) + h @ self.W)
        return h, h

    def initial_state(self, x):
        return np.zeros((*np.shape(x)[:-1], self.units))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_cell_is_framed_by_its_own_class(compiled):
    cell = tr.compile(Own()) if compiled else Own()
    assert lanes(np.sum(tr.unroll(cell, np.ones((3, 2)))[0])) == ["Own"]
    xs = np.ones((3, 2, 2))
    assert lanes(np.sum(nn.Recurrent(Own())(xs)[0])) == ["layer 0 · Own"]
    assert lanes(np.sum(nn.Recurrent(Own())(xs, lengths=[3, 2])[0])) == ["layer 0 · Own"]


def test_layers_of_a_stack_are_called_alike():
    xs = np.ones((3, 1, 2), np.float32)
    assert lanes(np.sum(nn.LSTM(2, 3, num_layers=3, seed=0)(xs)[0])) == [f"layer {n} · LSTMCell" for n in range(3)]
    both = lanes(np.sum(nn.GRU(2, 3, num_layers=2, bidirectional=True, seed=0)(xs)[0]))
    assert both == [f"layer {n}{way} · GRUCell" for n in range(2) for way in ("", ".reverse")]
    stack = nn.StackedCell([nn.RNNCell(2, 3, seed=0), nn.GRUCell(3, 3, seed=1)])
    assert lanes(np.sum(tr.unroll(stack, np.ones((3, 2), np.float32))[0])) == ["layer 0 · RNNCell", "layer 1 · GRUCell"]


def test_a_function_within_a_model_is_framed_by_the_model():
    class Model(nn.Module):
        def __init__(self):
            self.W = nn.Parameter(np.eye(2))

        def forward(self, xs):
            return np.sum(tr.unroll(lambda x, h: np.tanh(x + h @ self.W), xs, state=np.zeros(2))[0])

    assert lanes(Model()(np.ones((3, 2)))) == ["Model"]


class Model(nn.Module):
    def __init__(self):
        self.encoder = nn.LSTM(2, 3, num_layers=2, seed=0)
        self.cell = Own(3, 3)
        self.head = nn.Sequential(nn.Linear(3, 4, seed=1), nn.Linear(4, 1, seed=2))
        self.odd = nn.Parameter(np.ones(1), name="mine")

    def forward(self, xs):
        ys, _ = self.encoder(xs)
        zs, _ = tr.unroll(self.cell, ys)
        return np.sum(self.head(zs) * self.odd)


def test_parameters_are_called_by_where_they_stand():
    model = Model()
    names = {path: parameter.name for path, parameter in model.named_parameters()}
    assert names.pop("odd") == "mine"
    assert names and all(path == name for path, name in names.items())
    assert {"encoder.layers.1.W", "cell.read.b", "cell.W", "head.0.W"} <= set(names)
    loss = model(np.ones((3, 1, 2), np.float32))
    assert titles(draw(loss), "parameter") == {*names, "mine"}
    loss.backward()
    report = tr.compare(loss, {name: parameter.grad for name, parameter in model.named_parameters()}, model)
    assert report.agrees and tr.compare(loss, {**{n: p.grad for n, p in model.named_parameters() if n != "odd"},
                                               "mine": model.odd.grad}).agrees  # fmt: skip


def test_equations_keep_the_letters_of_a_layer():
    loss = np.sum(nn.RNN(2, 3, seed=0)(np.ones((3, 1, 2), np.float32))[0])
    assert "h_t = tanh(x_t U + h_{t-1} W + b)" in [label.text for label in draw(loss, level="cell").scene.labels]
    assert draw(loss, highlight=(3, "W")).terms and draw(loss, highlight=(3, "layers.0.W")).terms


@pytest.mark.parametrize("level", ["op", "gate", "cell"])
def test_shapes_are_written_into_the_boxes(level):
    cell = nn.LSTMCell(2, 3, seed=0)
    loss = np.sum(tr.unroll(cell, np.ones((10, 5, 2), np.float32))[0])
    without, shown = draw(loss, level=level), draw(loss, level=level, shapes=True)
    (weight,) = [box for box in shown.scene.boxes if [line.text for line in box.lines][:1] == ["W"] and box.vertex >= 0]
    assert "(3, 12)" in [line.text for line in weight.lines]
    for box in shown.scene.boxes:
        if box.vertex >= 0 and box.kind in ("state", "cell"):
            assert "(5, 3)" in [line.text for line in box.lines]
    assert not any("(5, 3)" in line.text for box in without.scene.boxes for line in box.lines)
    assert shown.html and shown.dot


@pytest.mark.parametrize("name", TERMINAL)
def test_gradients_inside_of_a_cell_keep_to_xml(name):
    def cell(x, h):
        h = tr.named(name, np.tanh(x @ U + h))
        return h, h

    U = tr.tensor(np.eye(2) / 2, requires_grad=True, name="U")
    loss = np.sum(tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))[0])
    ElementTree.fromstring(tr.draw(loss, level="cell", gradients=True).svg)
