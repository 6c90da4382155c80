"""The Elman network: BPTT against complex steps, differences and PyTorch, over all its variants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import assert_derivative, assert_gradients
from tinygrad_rnn.manual import elman
from tinygrad_rnn.manual.losses import LOSSES
from tinygrad_rnn.manual.readout import Objective


@st.composite
def problems(draw: st.DrawFn, batched: bool | None = None):
    """Random parameters, inputs, targets and initial state, with distinct sizes likely."""
    T, n, d, k = (draw(st.integers(1, size)) for size in (5, 3, 4, 3))
    is_batch = draw(st.booleans()) if batched is None else batched
    batch = (draw(st.integers(1, 3)),) if is_batch else ()
    steps = draw(
        st.one_of(
            st.none(),
            st.just("last"),
            st.sets(st.integers(1, T), min_size=1).map(lambda s: tuple(sorted(s))),
        )
    )
    objective = Objective(
        loss=draw(st.sampled_from(sorted(LOSSES))),
        steps=steps,
        over_time=draw(st.sampled_from(["sum", "mean"])),
        over_instances=draw(st.sampled_from(["sum", "mean"])),
    )
    m = T if steps is None else 1 if steps == "last" else len(steps)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    params = elman.ElmanParams(*(rng.normal(size=s) for s in [(n, d), (d, d), (d, k), (d,), (k,)]))
    xs, s0 = rng.normal(size=(T, *batch, n)), rng.normal(size=(*batch, d))
    return params, xs, rng.uniform(size=(m, *batch, k)), s0, objective


@pytest.mark.one_in(3)
@pytest.mark.parametrize("f", ["tanh", "sigmoid", "identity"])
@given(problem=problems())
def test_gradients_by_complex_step(f: str, problem) -> None:
    params, xs, targets, s0, objective = problem

    def loss(params, xs=xs, s0=s0):
        return elman.forward(params, xs, targets, s0=s0, f=f, objective=objective).loss

    back = elman.backward(elman.forward(params, xs, targets, s0=s0, f=f, objective=objective))
    assert_gradients(loss, params, back.gradients)
    assert_derivative(lambda x: loss(params, xs=x), xs, back.dL_dx, "xs")
    assert_derivative(lambda x: loss(params, s0=x), s0, back.dL_ds0, "s0")


def test_gradients_with_relu_by_differences() -> None:
    rng = np.random.default_rng(3)
    params = elman.ElmanParams(*(rng.normal(size=s) for s in [(2, 4), (4, 4), (4, 3), (4,), (3,)]))
    xs, targets = rng.normal(size=(5, 3, 2)), rng.uniform(size=(5, 3, 3))
    trace = elman.forward(params, xs, targets, f="relu")
    assert np.abs(trace.a).min() > 1e-3, "a kink is too near for differences"
    assert_gradients(
        lambda p: elman.forward(p, xs, targets, f="relu").loss,
        params,
        elman.backward(trace).gradients,
        analytic=False,
    )


@given(problem=problems())
def test_every_intermediate_is_the_derivative_that_its_name_says(problem) -> None:
    params, xs, targets, s0, objective = problem
    trace = elman.forward(params, xs, targets, s0=s0, objective=objective)
    back = elman.backward(trace)
    T = len(xs)

    def loss_of_pre_activations(nudge: np.ndarray) -> complex:
        """The loss when nudge[t-1] is added to a_t, computed by inputs that bring it along."""
        d = len(params.b)
        extended = params._replace(U=np.concatenate([params.U, np.eye(d)]))
        both = np.concatenate([xs, nudge], axis=-1)
        return elman.forward(extended, both, targets, s0=s0, objective=objective).loss

    assert_derivative(loss_of_pre_activations, np.zeros_like(trace.a), back.delta, "delta")
    np.testing.assert_allclose(back.dL_ds * (1 - trace.s[1:] ** 2), back.delta, atol=1e-14)
    through_next = np.concatenate([back.dL_ds[:-1] - back.dLt_ds[:-1], back.dL_ds0[np.newaxis]])
    expected = np.concatenate([back.delta[1:] @ params.W.T, back.delta[:1] @ params.W.T])
    np.testing.assert_allclose(through_next, expected, atol=1e-13)
    without = [t for t in range(1, T + 1) if t not in trace.output.steps]
    assert not back.dL_dz[np.array(without, dtype=int) - 1].any()


@given(problem=problems(batched=True))
def test_contributions_add_up_to_the_gradients_and_instances_to_the_batch(problem) -> None:
    params, xs, targets, s0, objective = problem
    objective = objective._replace(over_instances="sum")
    back = elman.backward(elman.forward(params, xs, targets, s0=s0, objective=objective))
    alone = [
        elman.backward(elman.forward(params, xs[:, i], targets[:, i], s0=s0[i], objective=objective))
        for i in range(xs.shape[1])
    ]
    for name in params._fields:
        contributions = getattr(back.contributions, name)
        assert contributions.shape == (len(xs), *getattr(params, name).shape)
        gradient = getattr(back.gradients, name)
        np.testing.assert_allclose(contributions.sum(axis=0), gradient, atol=1e-12)
        one_by_one = sum(getattr(a.gradients, name) for a in alone)
        np.testing.assert_allclose(gradient, one_by_one, atol=1e-12)
    np.testing.assert_allclose(back.delta, np.stack([a.delta for a in alone], axis=1), atol=1e-12)


def test_losses_are_summed_over_time_and_averaged_over_instances() -> None:
    rng = np.random.default_rng(0)
    params = elman.random_params(2, 3, 2, rng)
    xs, targets = rng.normal(size=(4, 5, 2)), rng.uniform(size=(4, 5, 2))

    def run(**reductions):
        return elman.forward(params, xs, targets, objective=Objective("mse", **reductions))

    expected = ((elman.forward(params, xs).hidden.s[1:] @ params.V - targets) ** 2).mean(axis=-1)
    np.testing.assert_allclose(run().L, expected.mean(axis=1))
    np.testing.assert_allclose(run().loss, expected.sum(axis=0).mean())
    np.testing.assert_allclose(run(over_time="mean").loss, expected.mean())
    np.testing.assert_allclose(run(over_instances="sum").loss, expected.sum())
    np.testing.assert_allclose(run(over_instances="sum").L, expected.sum(axis=1))


@pytest.mark.parametrize("f", ["tanh", "relu"])
def test_states_and_gradients_agree_with_torch(f: str) -> None:
    torch = pytest.importorskip("torch")
    T, B, n, d, k = 6, 3, 4, 5, 2
    rng = np.random.default_rng(1)
    params = elman.ElmanParams(*(rng.normal(size=s) for s in [(n, d), (d, d), (d, k), (d,), (k,)]))
    xs, targets, s0 = (rng.normal(size=s) for s in [(T, B, n), (T, B, k), (B, d)])
    trace = elman.forward(params, xs, targets, s0=s0, f=f, objective=Objective("mse"))
    back = elman.backward(trace)

    rnn = torch.nn.RNN(n, d, nonlinearity=f, dtype=torch.float64)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(params.U.T))
        rnn.weight_hh_l0.copy_(torch.tensor(params.W.T))
        rnn.bias_ih_l0.copy_(torch.tensor(params.b))
        rnn.bias_hh_l0.zero_()
    V, c = (torch.tensor(p, requires_grad=True) for p in (params.V, params.c))
    ss, _ = rnn(torch.tensor(xs), torch.tensor(s0)[None])
    loss = T * ((ss @ V + c - torch.tensor(targets)) ** 2).mean()
    loss.backward()
    np.testing.assert_allclose(trace.s[1:], ss.detach(), atol=1e-13)
    np.testing.assert_allclose(trace.loss, loss.item(), rtol=1e-13)
    theirs = (rnn.weight_ih_l0.grad.T, rnn.weight_hh_l0.grad.T, V.grad, rnn.bias_ih_l0.grad, c.grad)
    for ours, other in zip(back.gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_float32_stays_float32(loss: str) -> None:
    rng = np.random.default_rng(0)
    params = elman.ElmanParams(*(p.astype(np.float32) for p in elman.random_params(2, 3, 2, rng)))
    xs, targets = np.ones((3, 4, 2), dtype=np.float32), np.ones((3, 4, 2))
    trace = elman.forward(params, xs, targets, objective=Objective(loss, over_time="mean"))
    back = elman.backward(trace)
    assert trace.s.dtype == trace.loss.dtype == back.delta.dtype == np.float32
    assert {g.dtype for g in back.gradients} == {np.dtype(np.float32)}


def test_random_params_are_those_of_their_seed_and_as_many_as_counted() -> None:
    params = elman.random_params(5, 4, 3, np.random.default_rng(7))
    assert sum(p.size for p in params) == elman.parameter_count(5, 4, 3) == 4 * 5 + 16 + 12 + 4 + 3
    again = elman.random_params(5, 4, 3, np.random.default_rng(7))
    for p, q in zip(params, again, strict=True):
        np.testing.assert_array_equal(p, q)
    assert np.abs(params.U).max() <= np.sqrt(6 / 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xs": np.ones((4, 3))}, r"\(4, 3\); expected \(T, 2\) for one instance"),
        ({"xs": np.ones((0, 2))}, r"no time step"),
        ({"targets": np.ones((3, 2))}, r"targets of the output steps .* expected \(4, 2\)"),
        ({"s0": np.ones(2)}, r"initial state s0 has shape \(2,\); expected \(3,\)"),
        ({"objective": Objective("mse", steps=(0, 1))}, r"must lie in 1\.\.4"),
        ({"objective": Objective("mse", steps=(2, 2))}, r"must increase"),
        ({"objective": Objective("mse", steps=())}, r"no time step is given"),
        ({"objective": Objective("mse", steps="first")}, r"'first' is not 'last'"),
        ({"objective": Objective("mse", over_time="median")}, r"'sum' or 'mean', not 'median'"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(change: dict, message: str) -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    arguments = {"xs": np.ones((4, 2)), "targets": np.ones((4, 2))} | change
    with pytest.raises(ValueError, match=message):
        elman.forward(params, **arguments)


def test_an_error_names_a_few_steps_in_full_and_of_many_the_ends() -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    for T, named in [(4, "1, 2, 3, 4"), (9, r"1, \.\.\., 9")]:
        with pytest.raises(ValueError, match=f"output steps {named} has shape"):
            elman.forward(params, np.ones((T, 2)), np.ones((1, 2)))


def test_backward_needs_targets() -> None:
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))
    trace = elman.forward(params, np.ones((4, 2)))
    assert trace.loss is None and trace.L is None
    with pytest.raises(ValueError, match="no targets"):
        elman.backward(trace)
