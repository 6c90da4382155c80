"""The encoder-decoder with attention: every derivative, against complex steps and an Elman network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import assert_derivative, assert_gradients
from tests.manual.test_lstm_and_gru import sizes
from tinygrad_rnn.manual import attention, elman, readout
from tinygrad_rnn.manual.attention import AdditiveScore, AttentionParams, DecoderParams
from tinygrad_rnn.manual.elman import HiddenParams
from tinygrad_rnn.manual.readout import Objective

OBJECTIVE = Objective("softmax_cross_entropy", over_time="mean")


def random_params(n, d, p, k, rng, additive: bool) -> AttentionParams:
    def draw(*shapes):
        return (rng.normal(size=shape) for shape in shapes)

    return AttentionParams(
        HiddenParams(*draw((n, d), (d, d), (d,))),
        DecoderParams(*draw((p, d), (d, d), (d, d), (d, k), (d,), (k,))),
        AdditiveScore(*draw((d, 4), (d, 4), (4,))) if additive else None,
    )


@pytest.mark.one_in(2)
@pytest.mark.parametrize("additive", [False, True])
@given(size=sizes(), T=st.integers(1, 3))
def test_gradients_by_complex_step(additive: bool, size, T: int) -> None:
    S, n, d, batch, rng = size
    p, k = 2, 3
    params = random_params(n, d, p, k, rng, additive)
    xs, ys = rng.normal(size=(S, *batch, n)), rng.normal(size=(T, *batch, p))
    targets = rng.uniform(size=(T, *batch, k))

    def loss(params, xs=xs, ys=ys):
        return attention.forward(params, xs, ys, targets, objective=OBJECTIVE).output.loss

    back = attention.backward(attention.forward(params, xs, ys, targets, objective=OBJECTIVE))
    assert (back.gradients.score is None) == (not additive)
    for part in ("encoder", "decoder", "score"):
        if getattr(params, part) is not None:
            assert_gradients(
                lambda values, part=part: loss(params._replace(**{part: values})),
                getattr(params, part),
                getattr(back.gradients, part),
            )
    assert_derivative(lambda x: loss(params, xs=x), xs, back.encoder.dL_dx, "xs")
    assert_derivative(lambda x: loss(params, ys=x), ys, back.dL_dy, "ys")


def step(trace: attention.AttentionTrace, t: int, targets: np.ndarray, **changed: np.ndarray):
    """The loss from step t on, when something that step t computes is replaced.

    The memory stays as it is, so that this is written out a second time, step by step.
    """
    decoder, h = trace.params.decoder, trace.encoder.s[1:]
    states, s = [], trace.s[t - 1]
    for j in range(t, len(trace.ys) + 1):
        now = changed if j == t else {}
        e = now.get("e", np.einsum("...d,j...d->...j", s, h))
        alpha = now.get("alpha", np.exp(e) / np.exp(e).sum(axis=-1, keepdims=True))
        r = now.get("r", np.einsum("...j,j...d->...d", alpha, h))
        a = trace.ys[j - 1] @ decoder.U + s @ decoder.W + r @ decoder.C + decoder.b
        s = now.get("s", np.tanh(now.get("a", a)))
        states.append(s)
    rest = readout.forward(decoder.V, decoder.c, np.stack(states), targets[t - 1 :], Objective("mse"))
    return rest.loss


@given(size=sizes(), T=st.integers(1, 3))
def test_every_intermediate_is_the_derivative_that_its_name_says(size, T: int) -> None:
    S, n, d, batch, rng = size
    params = random_params(n, d, 2, 3, rng, additive=False)
    xs, ys = rng.normal(size=(S, *batch, n)), rng.normal(size=(T, *batch, 2))
    targets = rng.uniform(size=(T, *batch, 3))
    trace = attention.forward(params, xs, ys, targets, objective=Objective("mse"))
    back = attention.backward(trace)
    derivatives = {
        "e": back.dL_de,
        "alpha": back.dL_dalpha,
        "r": back.dL_dr,
        "a": back.delta,
        "s": back.dL_ds,
    }
    for t in range(1, T + 1):
        for name, claimed in derivatives.items():
            value = getattr(trace, name)[t if name == "s" else t - 1]

            def loss(x: np.ndarray, name: str = name, t: int = t):
                return step(trace, t, targets, **{name: x})

            assert_derivative(loss, value, claimed[t - 1], f"{name}[{t}]")


def test_attention_weights_are_a_distribution_over_the_memory() -> None:
    rng = np.random.default_rng(0)
    params = random_params(2, 3, 2, 2, rng, additive=True)
    trace = attention.forward(params, rng.normal(size=(6, 4, 2)), rng.normal(size=(5, 4, 2)))
    assert trace.alpha.shape == (5, 4, 6)
    np.testing.assert_allclose(trace.alpha.sum(axis=-1), 1)
    assert trace.alpha.min() > 0
    np.testing.assert_array_equal(trace.s[0], trace.encoder.s[-1])


def test_without_a_path_from_the_context_the_decoder_is_an_elman_network() -> None:
    rng = np.random.default_rng(0)
    params = random_params(2, 3, 2, 2, rng, additive=True)
    decoder = params.decoder._replace(C=np.zeros((3, 3)))
    xs, ys, targets = rng.normal(size=(6, 2)), rng.normal(size=(5, 2)), rng.uniform(size=(5, 2))
    trace = attention.forward(params._replace(decoder=decoder), xs, ys, targets)
    back = attention.backward(trace)
    plain = elman.ElmanParams(decoder.U, decoder.W, decoder.V, decoder.b, decoder.c)
    expected = elman.backward(elman.forward(plain, ys, targets, s0=trace.s[0]))
    for name in plain._fields:
        np.testing.assert_allclose(getattr(back.gradients.decoder, name), getattr(expected.gradients, name), atol=1e-13)
    assert not back.dL_de.any()
    np.testing.assert_allclose(back.encoder.dL_ds[-1], expected.dL_ds0, atol=1e-13)


def test_what_does_not_fit_is_refused_with_a_sentence() -> None:
    rng = np.random.default_rng(0)
    params = random_params(2, 3, 2, 2, rng, additive=False)
    with pytest.raises(ValueError, match=r"differ in their instances"):
        attention.forward(params, np.ones((6, 4, 2)), np.ones((5, 3, 2)))
    wrong = params._replace(decoder=params.decoder._replace(C=np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"C .*size of the state is the encoder's"):
        attention.forward(wrong, np.ones((6, 2)), np.ones((5, 2)))
