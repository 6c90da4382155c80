"""Every number that the worked example prints, and every slip, held to the formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tests.manual.numeric import assert_gradients
from tinygrad_rnn.manual import worked_example as example
from tinygrad_rnn.manual.worked_example_slips import slips

COMPUTED = example.computed()


def test_loss_update_and_new_loss_are_the_articles() -> None:
    trace, _ = example.run()
    assert round(float(trace.loss), 2) == 3.30
    assert round(float(example.run(example.updated_params())[0].loss), 2) == 1.36


def test_the_gradients_by_complex_step() -> None:
    assert_gradients(lambda p: example.run(p)[0].loss, example.PARAMS, example.run()[1].gradients)


def test_the_gradients_of_single_losses_add_up() -> None:
    for name, total in example.run()[1].gradients._asdict().items():
        parts = sum(COMPUTED[f"L{i}: dL/d{name}"] for i in example.OUTPUT_STEPS)
        np.testing.assert_allclose(parts, total, atol=1e-15)


def test_every_printed_number_agrees_unless_it_is_listed_as_a_slip() -> None:
    """Both ways: what is not a slip agrees, and what is listed as one does not."""
    disagreeing = {tuple(p.value.tolist()) for p in example.PRINTED if not example.agrees(p.value, COMPUTED[p.name])}
    numeric = {
        tuple(s.as_printed.tolist()) for s in slips() if s.as_printed is not None and s.article_prints.startswith("[")
    }
    assert disagreeing == numeric
    assert len(numeric) == 4


def test_totals_and_update_are_never_slips() -> None:
    for p in example.PRINTED:
        if p.name.startswith(("dL/", "new ", "loss")):
            assert example.agrees(p.value, COMPUTED[p.name]), p.name


@pytest.mark.parametrize("slip", slips(), ids=lambda slip: slip.where)
def test_each_slip_gives_something_else_than_the_formulas(slip) -> None:
    assert (
        slip.as_printed is None  # it can't even be evaluated
        or slip.as_printed.shape != slip.correct.shape
        or not np.allclose(slip.as_printed, slip.correct, atol=1e-4)
    )


def test_the_slips_right_lines_are_the_gradients() -> None:
    correct = {slip.where.split(",")[0]: slip.correct for slip in slips()}
    gradients = example.run(steps=(4,))[1].gradients
    np.testing.assert_allclose(correct["∂L_t/∂W_s"], gradients.U, atol=1e-15)
    np.testing.assert_allclose(correct["∂L_t/∂B_s"], gradients.b, atol=1e-15)
    np.testing.assert_allclose(correct["∂L_t/∂W_s = Σ I_t Δ_t"], gradients.U, atol=1e-15)
    _, _, first, second, rest = _terms_of_dL4_dW()
    np.testing.assert_allclose(correct["∂L_t/∂U"], rest, atol=1e-15)
    np.testing.assert_allclose(first + second + rest, gradients.W, atol=1e-15)


def _terms_of_dL4_dW():
    trace, back = example.run(steps=(4,))
    terms = [np.outer(trace.s[t - 1], back.delta[t - 1]) for t in (4, 3)]
    rest = sum(np.outer(trace.s[t - 1], back.delta[t - 1]) for t in (2, 1))
    return trace, back, *terms, rest


def test_the_text_of_a_slip_states_its_numbers() -> None:
    for slip in (s for s in slips() if s.article_prints.startswith("[")):
        for text, value in ((slip.article_prints, slip.as_printed), (slip.formulas_give, slip.correct)):
            numbers = np.array(text[1 : text.index("]")].split(), dtype=float)
            assert example.agrees(numbers, value), slip.where


def test_the_printed_formulas_are_evaluated_as_they_are_printed() -> None:
    """Each worked out in another way, from the gradients of L_4."""
    printed = {slip.article_prints: slip for slip in slips()}
    trace, back = example.run(steps=(4,))
    output = printed["y_t is the output at time-step t"]
    np.testing.assert_allclose(output.as_printed, -trace.o[0] * (1 - trace.o[0]), atol=1e-15)
    np.testing.assert_allclose(output.correct, back.gradients.c, atol=1e-15)

    wrong_bias = printed["... U^T ∂f_s(s_{t-2} U + I_{t-1} W_s + B_s)/∂W_s"]
    all_but_step_4 = back.contributions.U[:3].sum(axis=0)
    np.testing.assert_allclose(wrong_bias.as_printed, back.delta[3] + all_but_step_4, atol=1e-15)

    lost_step = printed["... U^T ∂s_{t-3}/∂W_s"]
    at_s_2 = back.delta[2] @ example.PARAMS.W.T  # read as if it stood at s_1
    step_1 = np.outer(example.INPUTS[0], at_s_2 * (1 - trace.s[1] ** 2))
    np.testing.assert_allclose(lost_step.as_printed, back.contributions.U[2:].sum(axis=0) + step_1, atol=1e-15)

    stray = printed["s_{t-2}^T y_t ∘ (o_t - 1) ... U^T ∂s_{t-2}/∂U"]
    expected = trace.s[2][:, np.newaxis, np.newaxis] * stray.correct
    np.testing.assert_allclose(stray.as_printed, expected, atol=1e-15)

    from_zero = printed["Σ from t = 0 to i"]
    np.testing.assert_allclose(from_zero.as_printed - from_zero.correct, back.delta[0] @ example.PARAMS.W.T, atol=1e-15)


def test_a_row_times_a_row_is_refused_as_the_slip_says() -> None:
    _, back = example.run(steps=(4,))
    with pytest.raises(ValueError):
        example.INPUTS[2] @ back.delta[2]


def test_the_printed_line_of_delta_4_gives_neither_its_product_nor_its_result() -> None:
    at_z = example.TARGETS[0] * (COMPUTED["z[4]"] - 1) @ example.PARAMS.V.T
    assert example.agrees(np.array([0.70, -0.24]), at_z)
    at_o = example.TARGETS[0] * (COMPUTED["o[4]"] - 1) @ example.PARAMS.V.T
    assert example.agrees(np.array([0.40, -0.12]), at_o)


def test_the_examples_arrays_cannot_be_changed_by_accident() -> None:
    for array in (*example.PARAMS, example.INPUTS, example.TARGETS):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
