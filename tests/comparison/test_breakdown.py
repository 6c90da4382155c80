"""Where two gradients part: step, loss term, gate and unit."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.manual import lstm, worked_example


def lstm_case():
    cell = nn.LSTMCell(2, 3, dtype=np.float64, seed=3)
    xs = np.random.default_rng(0).normal(size=(4, 5, 2))
    trace = lstm.forward(lstm.LSTMParams(**cell.state_dict()), xs)
    return np.sum(tr.unroll(cell, xs)[0] ** 2), lstm.backward(trace, 2 * trace.h[1:]), cell


def titles(report):
    return {table.title: table for table in report.breakdown}


def test_gate_and_unit_are_read_from_the_gradient():
    loss, back, cell = lstm_case()
    wrong = back.gradients._asdict()
    wrong["W"] = wrong["W"].copy()
    wrong["W"][:, 3 + 2] *= 1.5  # forget gate, unit 2
    report = compare(loss, wrong, cell, seconds=0.1)  # which mistake it is, no catalogue knows
    assert "W parts first at gate f, unit 2." in str(report)
    by_gate, by_unit = titles(report)["Largest error by gate"], titles(report)["Largest error by unit"]
    assert by_gate.header == ["", "i", "f", "g", "o"] and by_unit.header == ["", "0", "1", "2"]
    assert [float(cell) > 1e-3 for cell in by_gate.rows[0][1:]] == [False, True, False, False]
    assert [float(cell) > 1e-3 for cell in by_unit.rows[0][1:]] == [False, False, True]


def test_the_step_is_read_from_the_contributions_of_a_backward_pass():
    loss, back, cell = lstm_case()
    contributions = back.contributions._replace(W=back.contributions.W.copy())
    contributions.W[1] += 1.0  # step 2
    gradients = back.gradients._replace(W=contributions.W.sum(axis=0))
    report = compare(loss, back._replace(contributions=contributions, gradients=gradients), cell, seconds=0.1)
    assert "W parts first at step 2." in str(report)
    by_step = titles(report)["Largest error by step k"]
    assert by_step.header == ["", "4", "3", "2", "1"]
    assert [float(cell) > 0.5 for cell in by_step.rows[0][1:]] == [False, False, True, False]


def test_the_loss_term_is_read_from_its_lines():
    def terms(p):
        cell = lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b)  # noqa: E731
        o = tr.sigmoid(tr.unroll(cell, worked_example.INPUTS, state=np.zeros(2))[0] @ p.V + p.c)
        steps = zip(worked_example.OUTPUT_STEPS, worked_example.TARGETS)
        return {t: -(y * np.log(o[t - 1])).sum() for t, y in steps}

    parts = {f"dL{t}/dW": worked_example.run(steps=(t,))[1].gradients.W for t in (4, 5, 6)}
    parts["dL5/dW"] = -parts["dL5/dW"]
    report = compare(terms, {**parts, "W": sum(parts.values())}, worked_example.PARAMS, seconds=1)
    assert "W parts first at loss term 5" in str(report)
    assert report.first_wrong_line.name == "dL5/dW"


def test_functions_are_asked_again_on_shorter_sequences():
    xs, targets = np.random.default_rng(0).normal(size=(2, 6, 3, 2))

    def loss(p, xs, targets):
        return np.sum(
            (tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, np.zeros((3, 2)))[0] - targets) ** 2
        )

    def manual(p, xs, targets):
        hs = [np.zeros((3, 2))]
        for x in xs:
            hs.append(np.tanh(x @ p["U"] + hs[-1] @ p["W"]))
        delta, dU, dW = np.zeros((3, 2)), 0, 0
        for t in range(len(xs), 0, -1):  # the mistake: W for its transpose, which shows from the second step on
            delta = (2 * (hs[t] - targets[t - 1]) + delta @ p["W"]) * (1 - hs[t] ** 2)
            dU, dW = dU + xs[t - 1].T @ delta, dW + hs[t - 1].T @ delta
        return {"U": dU, "W": dW}

    params = dict(zip("UW", np.random.default_rng(1).normal(size=(2, 2, 2))))
    report = compare(loss, manual, params, (xs, targets))
    assert "On sequences of 2 steps U differs already; of 1 it agrees." in str(report)
