"""Line by line: each named intermediate finds its node, and the first wrong one is named."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.comparison.lines import read_line
from tinygrad_rnn.manual import elman, gru, lstm, worked_example
from tinygrad_rnn.manual.lines import lines


def article_terms(p):
    """The worked example's loss terms, with the output layer's values labelled."""
    states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), worked_example.INPUTS, state=np.zeros(2))
    z = tr.named("z", states @ p.V + p.c)
    o = tr.named("o", tr.sigmoid(z))
    steps = zip(worked_example.OUTPUT_STEPS, worked_example.TARGETS)
    return {t: -(y * np.log(o[t - 1])).sum() for t, y in steps}


def derivation():
    return lines(worked_example.run()[1])


def verdicts(report):
    return {line.name: line.verdict for line in report.lines}


def test_every_line_of_the_right_derivation_agrees():
    report = compare(article_terms, worked_example.run()[1], worked_example.PARAMS)
    assert report.agrees and set(verdicts(report)) == set(derivation())
    assert "All 30 lines of the derivation agree." in str(report)


@pytest.mark.parametrize(("kind", "module"), [(nn.LSTMCell, lstm), (nn.GRUCell, gru)])
def test_gates_have_lines_too(kind, module):
    cell = kind(2, 3, dtype=np.float64, seed=3)
    params = getattr(module, kind.__name__.replace("Cell", "Params"))(**cell.state_dict())
    xs = np.random.default_rng(0).normal(size=(4, 5, 2))
    trace = module.forward(params, xs)
    back = module.backward(trace, 2 * trace.h[1:])
    report = compare(np.sum(tr.unroll(cell, xs)[0] ** 2), back, cell)
    assert report.agrees and set(verdicts(report).values()) == {"agrees"}
    assert len(report.lines) == len(lines(back))


@pytest.mark.parametrize("name", ["dL/dz[5]", "delta[4]", "dL/ds[3]", "dL/dx[2]", "dL/ds[0]", "dL/dV"])
def test_the_first_wrong_line_is_named(name):
    wrong = derivation()
    wrong[name] = wrong[name] * 1.01
    report = compare(article_terms, wrong, worked_example.PARAMS)
    assert report.first_wrong_line.name == name
    assert f"The first wrong line is {name}." in str(report)


def test_the_first_wrong_line_is_that_from_which_the_others_follow_whatever_their_order():
    """A wrong Δ_4 makes everything before it wrong; the report names Δ_4 even if it is handed in last."""
    trace, _ = worked_example.run()
    right = derivation()
    wrong = {
        "dL/ds[3]": right["dL/ds[3]"] + 0.1,
        "delta[3]": right["delta[3]"] + 0.1,
        "delta[4]": right["delta[4]"] + 1,
    }
    report = compare(article_terms, {**wrong, "s[4]": trace.s[4], "delta[5]": right["delta[5]"]}, worked_example.PARAMS)
    assert report.first_wrong_line.name == "delta[4]"
    assert [line.name for line in report.lines] == ["s[4]", "delta[5]", "delta[4]", "dL/ds[3]", "delta[3]"]


def test_values_of_the_forward_pass_are_lines_too():
    trace, _ = worked_example.run()
    given = {"a[2]": trace.a[1], "s[2]": trace.s[2], "s[0]": np.zeros(2), "z[5]": trace.output.z[1], "o[5]": trace.o[1]}
    report = compare(article_terms, given, worked_example.PARAMS)
    assert set(verdicts(report).values()) == {"agrees"}
    given["s[2]"] = trace.a[1]
    assert compare(article_terms, given, worked_example.PARAMS).first_wrong_line.name == "s[2]"


def test_lines_of_one_loss_term():
    _, back = worked_example.run(steps=(5,))
    given = {f"L5: {name}": array for name, array in lines(back).items()} | {"dL5/dW": back.gradients.W}
    report = compare(article_terms, given, worked_example.PARAMS)
    assert set(verdicts(report).values()) == {"agrees"}
    assert compare(article_terms, {"L5: delta[4]": back.delta[4]}, worked_example.PARAMS).first_wrong_line is not None


def test_the_articles_printed_numbers_agree_to_their_two_decimals_but_for_its_slips():
    printed = {p.name: p.value for p in worked_example.PRINTED if p.name.startswith("dL/d")}
    assert compare(article_terms, printed, worked_example.PARAMS, decimals=2).agrees
    assert not compare(article_terms, printed, worked_example.PARAMS, seconds=1).agrees
    on_the_way = {p.name: p.value for p in worked_example.PRINTED if p.name.startswith(("a[", "s[", "o[", "L"))}
    on_the_way = {name: value for name, value in on_the_way.items() if "^" not in name}
    report = compare(article_terms, on_the_way, worked_example.PARAMS, decimals=2, seconds=1)
    wrong = [line.name for line in report.lines if line.verdict == "differs"]
    assert wrong == ["s[1]", "o[4]", "L4: delta[4]"]


def test_the_contribution_of_one_step_is_a_line():
    _, back = worked_example.run()
    given = {f"dL/dW[{k}]": c for k, c in enumerate(back.contributions.W, start=1)}
    assert set(verdicts(compare(article_terms, given, worked_example.PARAMS)).values()) == {"agrees"}
    given["dL/dW[3]"] = given["dL/dW[3]"] * 2
    assert compare(article_terms, given, worked_example.PARAMS).first_wrong_line.name == "dL/dW[3]"


def test_the_users_own_cell_is_read_by_its_labels():
    params = {"w": np.array([0.3, -0.2])}

    def loss(p):
        def cell(x, h):
            gate = tr.named("gate", tr.sigmoid(x * p["w"]))
            return gate * h + x

        return np.sum(tr.unroll(cell, np.ones((2, 2)), state=np.zeros(2))[0])

    # h_1 = x, h_2 = gate h_1 + x; ∂L/∂gate_2 = h_1 = 1, ∂L/∂h_1 = 1 + gate_2, ∂L/∂gate_1 = ∂L/∂h_1 h_0 = 0
    gate = 1 / (1 + np.exp(-params["w"]))
    given = {"dL/dgate[2]": np.ones(2), "dL/dh[1]": 1 + gate, "dL/dgate[1]": np.zeros(2), "gate[1]": gate}
    given["dL/dw"] = gate * (1 - gate)
    report = compare(loss, given, params)
    assert report.agrees and set(verdicts(report).values()) == {"agrees"}


def test_nan_is_reported_at_its_first_line():
    wrong = derivation()
    for name in ("delta[3]", "dL/ds[2]", "delta[2]"):
        wrong[name] = wrong[name] * np.nan
    report = compare(article_terms, wrong, worked_example.PARAMS)
    assert report.first_wrong_line.name == "delta[3]" and report.first_wrong_line.verdict == "NaN"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("dL/dq[3]", np.zeros(2), "nothing is called 'q' at step 3 (there: h, x, y); label it"),
        ("delta[9]", np.zeros(2), "result of an activation"),
        ("dL/ds", np.zeros(2), "say at which step"),
        ("L7: dL/dW", np.zeros((2, 2)), "there is no loss term L_7 that depends on a parameter; there are 4, 5, 6"),
        ("dL/ds[3]", "text", "not real numbers"),
        ("what: is [this]", np.zeros(2), "not the name of a line"),
    ],
)
def test_a_line_that_cannot_be_compared_says_why_and_the_others_are_compared(name, value, problem):
    report = compare(article_terms, {**derivation(), name: value}, worked_example.PARAMS)
    assert problem in next(line.problem for line in report.lines if line.name == name)
    assert sum(line.verdict == "agrees" for line in report.lines) >= 29
    assert report.first_wrong_line is None


def test_a_line_of_the_wrong_shape_is_wrong():
    report = compare(article_terms, {**derivation(), "delta[4]": np.zeros(3)}, worked_example.PARAMS)
    assert report.first_wrong_line.problem == "shape (3,) where (2,) belongs"


def test_names_of_lines():
    assert read_line("∂L/∂s[3]") == read_line("dL/ds[3]")
    assert read_line("Δ[3]") == read_line("delta[3]")
    assert read_line("dL4/ds[3]") == read_line("L4: dL/ds[3]")
    assert read_line("layer 1: dL/dh[2]").layer == 1
    assert read_line("layer encoder: h[2]").layer == "encoder"
    assert read_line("one two") is None


def test_lines_of_layers():
    first, second = nn.RNNCell(2, 3, dtype=np.float64), nn.RNNCell(3, 3, seed=1, dtype=np.float64)
    xs = np.random.default_rng(0).normal(size=(3, 2))
    with tr.scope(layer=0):
        ys, _ = tr.unroll(first, xs)
    with tr.scope(layer=1):
        zs, _ = tr.unroll(second, ys)
    top = elman.hidden_forward(elman.HiddenParams(*(p.data for p in (second.U, second.W, second.b))), ys.data)
    back = elman.hidden_backward(top, np.ones((3, 3)))
    parameters = {"first": first.W, "second": second.W, "U0": first.U, "U1": second.U, "b0": first.b, "b1": second.b}
    given = {
        "layer 1: delta[2]": back.delta[1],
        "layer 0: dL/dh[3]": back.dL_dx[2],
        "second": back.contributions.W.sum(0),
    }
    report = compare(np.sum(zs), given, parameters, referee="never")
    assert set(verdicts(report).values()) == {"agrees"}
    assert report["second"].verdict == "agrees"
    vague = compare(np.sum(zs), {"dL/dh[3]": np.zeros(3)}, parameters, referee="never")
    assert "say which layer" in vague.lines[0].problem


def test_a_state_that_the_code_computes_twice_is_one_state():
    """The output and the state are written out each for itself: ∂L/∂h_t goes through both, as in the derivation."""
    rng = np.random.default_rng(0)
    xs, values = rng.normal(size=(4, 2)), {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3))}

    def loss(p):
        def cell(x, h):
            return np.tanh(x @ p["U"] + h @ p["W"]), np.tanh(x @ p["U"] + h @ p["W"])

        return np.sum(tr.unroll(cell, xs, np.zeros(3))[0] ** 2)

    h = [np.zeros(3)]
    for x in xs:
        h.append(np.tanh(x @ values["U"] + h[-1] @ values["W"]))
    given, dh = tr.grad(loss)(values), np.zeros(3)
    for t in (4, 3, 2, 1):
        dh = dh + 2 * h[t]
        given |= {f"dL/dy[{t}]": dh, f"delta[{t}]": dh * (1 - h[t] ** 2)}
        given |= {f"dL/dh[{t}]": dh} if t < 4 else {}
        dh = values["W"] @ given[f"delta[{t}]"]
    report = tr.compare(loss, given, values)
    assert report.agrees and [line.verdict for line in report.lines] == ["agrees"] * 11


@pytest.mark.parametrize("called", ["state", "h", "s"])
def test_the_only_state_of_a_plain_loop_is_called_as_its_variable_or_as_in_articles(called):
    rng = np.random.default_rng(0)
    xs, p = rng.normal(size=(4, 2)), {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3))}

    def loss(p, xs):
        state = np.zeros(3)
        for x in xs:
            state = np.tanh(x @ p["U"] + state @ p["W"])
        return np.sum(state**2)

    states = [np.zeros(3)]
    for x in xs:
        states.append(np.tanh(x @ p["U"] + states[-1] @ p["W"]))
    given = {**tr.grad(loss)(p, xs), f"{called}[3]": states[3], f"dL/d{called}[4]": 2 * states[4]}
    assert tr.compare(loss, given, p, (xs,)).agrees
    report = tr.compare(loss, {**given, f"dL/d{called}[4]": states[4]}, p, (xs,))
    assert report.first_wrong_line.name == f"dL/d{called}[4]"
