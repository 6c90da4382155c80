"""Three ways to one gradient: BPTT, the sum over paths, and RTRL, to 1e-12."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.manual.numeric import complex_step
from tests.manual.test_elman import problems
from tinygrad_rnn.manual import elman, worked_example
from tinygrad_rnn.manual.paths import format_norms, sum_over_paths
from tinygrad_rnn.manual.readout import Objective
from tinygrad_rnn.manual.rtrl import rtrl, update


def forward(problem, f: str = "tanh") -> elman.ElmanTrace:
    params, xs, targets, s0, objective = problem
    return elman.forward(params, xs, targets, s0=s0, f=f, objective=objective)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * scale)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("f", ["tanh", "sigmoid", "relu", "identity"])
@given(problem=problems())
def test_bptt_rtrl_and_the_sum_over_paths_are_one(f: str, problem) -> None:
    trace = forward(problem, f)
    bptt, paths, forwards = elman.backward(trace), sum_over_paths(trace), rtrl(trace)
    for name in ("U", "W", "b"):
        close(getattr(paths.gradients, name), getattr(bptt.gradients, name))
        # Added up over the losses, the table gives the contribution of each step in BPTT.
        close(getattr(paths.terms, name).sum(axis=0), getattr(bptt.contributions, name))
    for name in elman.ElmanParams._fields:
        close(getattr(forwards.gradients, name), getattr(bptt.gradients, name))


@given(problem=problems())
def test_the_rows_of_the_tables_are_the_gradients_of_single_losses(problem) -> None:
    params, xs, targets, s0, objective = problem
    objective = objective._replace(over_time="sum")
    trace = elman.forward(params, xs, targets, s0=s0, objective=objective)
    paths, forwards = sum_over_paths(trace), rtrl(trace)
    for row, t in enumerate(trace.output.steps):
        alone = objective._replace(steps=(t,))
        one = elman.forward(params, xs, targets[row : row + 1], s0=s0, objective=alone)
        gradients = elman.backward(one).gradients
        for name in ("U", "W", "b"):
            close(getattr(paths.terms, name)[t - 1].sum(axis=0), getattr(gradients, name))
        for name in elman.ElmanParams._fields:
            close(getattr(forwards.loss_gradients, name)[row].sum(axis=0), getattr(gradients, name))
    for t in set(range(1, len(xs) + 1)) - set(trace.output.steps):
        assert not paths.terms.W[t - 1].any()


@given(problem=problems(batched=False))
def test_each_term_is_the_derivative_by_the_weight_of_one_step(problem) -> None:
    """The term [t, k] is the derivative of L_t by W where only step k uses the nudged one."""
    params, xs, _, s0, _ = problem
    trace = forward(problem)
    terms = sum_over_paths(trace).terms.W
    output = trace.output
    for k in range(1, len(xs) + 1):

        def losses(W_k: np.ndarray, k: int = k) -> np.ndarray:
            s, rows = s0, []
            for j in range(1, output.steps[-1] + 1):
                s = np.tanh(xs[j - 1] @ params.U + s @ (W_k if j == k else params.W) + params.b)
                if j in output.steps:
                    rows.append(output.loss_function.value(s @ params.V + params.c, output.targets[len(rows)]))
            return output.scale * np.stack(rows)

        for t, expected in zip(output.steps, complex_step(losses, params.W), strict=True):
            close(terms[t - 1, k - 1], expected)


@given(problem=problems(batched=False))
def test_the_tensors_of_rtrl_are_the_derivatives_of_the_states(problem) -> None:
    params, xs, _, s0, _ = problem
    ds = rtrl(forward(problem)).ds
    for name in ("U", "W", "b"):
        tensor = getattr(ds, name)
        assert not tensor[0].any(), "zero at t = 0"

        def states(x: np.ndarray, name: str = name) -> np.ndarray:
            return elman.hidden_forward(params._replace(**{name: x}), xs, s0).s

        expected = complex_step(states, getattr(params, name))
        np.testing.assert_allclose(tensor[1:], expected[1:], rtol=1e-12, atol=1e-12)


def test_chains_are_the_jacobians_between_states() -> None:
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(4, 2)), rng.uniform(size=(4, 2))
    trace = elman.forward(params, xs, targets)
    chains = sum_over_paths(trace).chains
    for t in range(1, 5):
        for k in range(1, 5):
            if k > t:
                assert not chains[t - 1, k - 1].any()
                continue

            def state(s_k: np.ndarray, t: int = t, k: int = k) -> np.ndarray:
                return elman.hidden_forward(params, xs[k:t], s_k).s[-1] if t > k else s_k

            np.testing.assert_allclose(chains[t - 1, k - 1], complex_step(state, trace.s[k]), atol=1e-14)


def test_shapes_of_a_batch() -> None:
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 4, rng)
    xs, targets = rng.normal(size=(5, 6, 2)), rng.uniform(size=(2, 6, 4))
    trace = elman.forward(params, xs, targets, objective=Objective("mse", steps=(2, 5)))
    paths, forwards = sum_over_paths(trace), rtrl(trace)
    assert paths.step_jacobians.shape == (5, 6, 3, 3)
    assert paths.chains.shape == (5, 5, 6, 3, 3)
    assert paths.terms.U.shape == (5, 5, 2, 3)
    assert paths.norms.b.shape == (5, 5)
    assert forwards.ds.U.shape == (6, 6, 3, 2, 3)
    assert forwards.ds.b.shape == (6, 6, 3, 3)
    assert forwards.loss_gradients.U.shape == (2, 4, 2, 3)
    assert forwards.loss_gradients.V.shape == (2, 4, 3, 4)
    expected = np.linalg.norm(paths.terms.W.reshape(5, 5, -1), axis=-1)
    np.testing.assert_allclose(paths.norms.W, expected)


def test_the_update_sums_components_and_all_steps() -> None:
    """Up to T, not up to the number of output components, as the article's formula has it."""
    trace, _ = worked_example.run()
    loss_gradients = rtrl(trace).loss_gradients
    new = update(worked_example.PARAMS, loss_gradients, worked_example.LEARNING_RATE)
    for ours, expected in zip(new, worked_example.updated_params(), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-15)

    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)  # two components, four steps
    trace = elman.forward(params, rng.normal(size=(4, 2)), rng.uniform(size=(4, 2)))
    result = rtrl(trace)
    as_printed = result.loss_gradients.W[:2].sum(axis=(0, 1))
    assert not np.allclose(as_printed, elman.backward(trace).gradients.W, atol=1e-3)


def test_a_table_in_text_has_a_row_for_each_loss_and_stays_aligned() -> None:
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    params = params._replace(W=params.W * 1e-4)
    trace = elman.forward(params, rng.normal(size=(10, 2)), rng.uniform(size=(10, 2)))
    lines = format_norms(sum_over_paths(trace), "W").splitlines()
    assert len(lines) == 11
    assert len(lines[0]) == len(lines[10])
    assert lines[10].startswith("t=10")


@pytest.mark.parametrize("derivation", [sum_over_paths, rtrl])
def test_without_targets_there_is_nothing_to_differentiate(derivation) -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no targets"):
        derivation(elman.forward(params, np.ones((4, 2))))
