"""Gradients, lines and losses in forms that are met rarely: taken for what they are, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.comparison.referee import Referee, by_elements
from tinygrad_rnn.manual import lstm
from tinygrad_rnn.recorded.recording import record

XS = np.random.default_rng(0).normal(size=(4, 3))


def loss(p: Any) -> Any:
    """One parameter, used at every step; a second, used above all of them at once."""
    hs, _ = tr.unroll(lambda x, h: np.tanh(h @ p["W"] + x), XS, state=np.zeros(3))
    return np.sum(hs @ p["V"])


VALUES = {"W": np.random.default_rng(1).normal(size=(3, 3)), "V": np.ones(3)}


def right() -> dict[str, np.ndarray]:
    return record(loss, VALUES).gradients()


# --- gradients --------------------------------------------------------------------------------------------------------


def test_the_gradient_of_an_only_parameter_needs_no_name() -> None:
    def of_one(p: Any) -> Any:
        return np.sum(np.square(p["w"]))

    values = {"w": np.array([1.0, 2.0])}
    assert compare(of_one, np.array([2.0, 4.0]), values).agrees
    assert compare(of_one, lambda p: 2 * p["w"], values).agrees
    report = compare(of_one, [2.0, 5.0], values)
    assert not report.agrees and report["w"].absolute == 1.0


@pytest.mark.parametrize("given", [3, np.ones(3), (np.ones(3),), "W"])
def test_gradients_without_names_that_could_be_anyones(given: Any) -> None:
    with pytest.raises(TypeError, match=r"give a dict with the names W, V, or a tuple of that many arrays"):
        compare(loss, given, VALUES)


def test_what_was_not_compared_is_not_in_the_report() -> None:
    report = compare(loss, right(), VALUES)
    with pytest.raises(KeyError, match="'U' was not compared; there are W, V"):
        report["U"]


def test_a_row_too_many_is_that_of_the_bias_wherever_it_stands() -> None:
    gradients = right()
    for rows, which in (([np.full(3, 9.0), *gradients["W"]], "first"), ([*gradients["W"], np.full(3, 9.0)], "last")):
        (one,) = compare(loss, {**gradients, "W": np.array(rows)}, VALUES).diagnoses
        assert one.sentence.endswith(f"the right one with one row too many, the {which}: that of the bias.")
    assert not compare(loss, {**gradients, "W": np.ones((4, 3))}, VALUES).diagnoses


def test_parameters_of_a_recorded_loss_are_leaves() -> None:
    leaves = {name: tr.tensor(value, requires_grad=True) for name, value in VALUES.items()}
    for wrong in (VALUES["V"], tr.tensor(VALUES["V"]), leaves["V"] * 1):
        with pytest.raises(TypeError, match="'V' of the parameters is not a leaf Tensor that requires a gradient"):
            compare(loss(leaves), right(), {**leaves, "V": wrong})


def test_a_referee_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="referee='sometimes' is not one of auto, always, never"):
        compare(loss, right(), VALUES, referee="sometimes")


def test_the_referee_is_asked_for_as_many_elements_as_one_likes() -> None:
    """For those in which the two sides differ most."""
    gradients = right()
    wrong = gradients["W"].copy()
    wrong[1, 2] += 1.0
    report = compare(loss, {**gradients, "W": wrong}, VALUES, referee="never")
    ruling = by_elements(report["W"], 1, Referee(record(loss, VALUES)).point)
    assert ruling.elements.tolist() == [1 * 3 + 2]
    assert ruling.autograd_agrees and not ruling.manual_agrees
    np.testing.assert_allclose(ruling.numeric, gradients["W"][1, 2], rtol=1e-8)


# --- lines ------------------------------------------------------------------------------------------------------------


def lines_of(report: Any) -> dict[str, Any]:
    return {line.name: line for line in report.lines}


def test_a_line_may_have_axes_of_one() -> None:
    hs, _ = tr.unroll(lambda x, h: np.tanh(h @ VALUES["W"] + x), XS, state=np.zeros(3))
    report = compare(loss, {**right(), "s[2]": hs[1][None], "s[3]": hs[2][:2]}, VALUES)
    assert lines_of(report)["s[2]"].verdict == "agrees"
    assert lines_of(report)["s[3]"].to_dict() == {
        "name": "s[3]",
        "verdict": "differs",
        "absolute": None,
        "relative": None,
        "problem": "shape (2,) where (3,) belongs",
    }


def test_a_line_of_a_loss_term_that_there_is_not() -> None:
    report = compare(loss, {**right(), "dL4/dW": right()["W"]}, VALUES)
    assert "the loss came as one number; give it as its terms" in lines_of(report)["dL4/dW"].problem

    def terms(p: Any) -> dict[int, Any]:
        hs, _ = tr.unroll(lambda x, h: np.tanh(h @ p["W"] + x), XS, state=np.zeros(3))
        return {3: np.sum(hs[2] @ p["V"]), 4: np.sum(hs[3] @ p["V"])}

    report = compare(terms, {"dL7/dW": right()["W"]}, VALUES)
    assert "there is no loss term L_7 that depends on a parameter; there are 3, 4" in lines_of(report)["dL7/dW"].problem


def test_a_loss_term_that_depends_on_nothing_has_no_lines() -> None:
    def terms(p: Any) -> dict[int, Any]:
        hs, _ = tr.unroll(lambda x, h: np.tanh(h @ p["W"] + x), XS, state=np.zeros(3))
        return {3: tr.tensor(2.0), 4: np.sum(hs[3] @ p["V"])}

    found = lines_of(compare(terms, {"dL3/dW": np.zeros((3, 3)), "L3: dL/ds[2]": np.zeros(3)}, VALUES))
    said = "there is no loss term L_3 that depends on a parameter; there are 4"
    assert [line.problem for line in found.values()] == [said, said]


def test_contributions_of_steps_to_what_is_used_above_all_of_them() -> None:
    """``V`` meets all states at once, so no step has a contribution of its own to hold these to."""
    wrong = {**right(), "V": right()["V"] + 1, "dL/dV[2]": np.ones(3), "dL/dV[3]": np.ones(3)}
    report = compare(loss, wrong, VALUES)
    assert [row.verdict for row in report.rows] == ["agrees", "differs"]
    assert "Largest error by step k" not in {table.title for table in report.breakdown}


def test_a_derivation_that_takes_no_shorter_sequence_is_not_told_where_it_parts() -> None:
    def with_data(p: Any, xs: np.ndarray) -> Any:
        return np.sum(tr.unroll(lambda x, h: np.tanh(h @ p["W"] + x), xs, state=np.zeros(3))[0])

    def of_four_steps(p: Any, xs: np.ndarray) -> dict[str, np.ndarray]:
        first, second, third, fourth = xs
        return {"W": np.outer(first + second, third + fourth)}

    report = compare(with_data, of_four_steps, {"W": VALUES["W"]}, (XS,), seconds=1)
    assert not report.agrees and "On sequences of" not in str(report)


# --- losses -----------------------------------------------------------------------------------------------------------


def test_a_loss_that_a_step_itself_gives() -> None:
    """The running sum of squares is a state of the cell, and the loss its last: nothing stands above the steps."""

    def of_a_state(p: Any) -> Any:
        def cell(x: Any, state: Any) -> Any:
            h, total = state
            h = np.tanh(h @ p["W"] + x)
            return (h, total + np.sum(h**2))

        with tr.scope(layer=0):
            h, total = np.zeros(3), 0.0
            for t, x in enumerate(XS, start=1):
                with tr.scope(step=t):
                    h, total = cell(x, (h, total))
        return total

    gradients = record(of_a_state, {"W": VALUES["W"]}).gradients()
    assert compare(of_a_state, gradients, {"W": VALUES["W"]}).agrees
    (one,) = compare(of_a_state, {"W": -gradients["W"]}, {"W": VALUES["W"]}).diagnoses
    assert one.sentence == "W: your gradient equals minus the right one."


def test_a_derivation_of_a_layer_takes_states_alone() -> None:
    cell, xs = nn.LSTMCell(3, 2, dtype=np.float64, seed=0), np.random.default_rng(0).normal(size=(4, 5, 3))
    state, cells = cell.initial_state(xs[0]), []
    with tr.scope(layer=0):
        for t, x in enumerate(xs, start=1):
            with tr.scope(step=t):
                state = cell(x, state)[1]
                cells.append(tr.named("c", state.c, "state"))
    report = compare(np.sum(cells[1]) + np.sum(state.h), lstm, cell)
    assert not report.agrees
    assert "call tinygrad_rnn.manual.lstm's forward and backward yourself" in str(report)
