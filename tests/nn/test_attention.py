"""Attention and the decoder against the formulas derived by hand, and by their own promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual import attention as manual
from tinygrad_rnn.manual.elman import HiddenParams

N, D, E, K, B, S, T = 3, 4, 2, 5, 3, 6, 4
F64: dict[str, Any] = {"dtype": np.float64}
LENGTHS = np.array([6, 2, 0])
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("additive", [True, False])
def test_a_decoder_in_bahdanau_s_order_against_the_formulas(additive: bool) -> None:
    encoder = nn.RNNCell(N, D, **F64)
    attention = nn.AdditiveAttention(D, D, 3, **F64) if additive else nn.DotProductAttention()
    decoder = nn.Decoder(K, nn.RNNCell(E + D, D, **F64), attention=attention, memory_size=D, **F64)
    xs, target = RNG.normal(size=(S, B, N)), RNG.integers(0, K, (T, B))
    h, last = tr.unroll(encoder, xs)
    logits, _, weights = decoder(target, last, attention.memory(h))
    nn.cross_entropy(logits, target, "per_instance").backward()

    before = np.concatenate([np.zeros((1, B), int), target])[:T]
    U, C = np.split(decoder.cell.U.data, [E])
    score = manual.AdditiveScore(*(getattr(attention, name).data for name in "ABv")) if additive else None
    params = manual.AttentionParams(
        HiddenParams(encoder.U.data, encoder.W.data, encoder.b.data),
        manual.DecoderParams(
            U, decoder.cell.W.data, C, decoder.readout.W.data, decoder.cell.b.data, decoder.readout.b.data
        ),
        score,
    )
    trace = manual.forward(params, xs, decoder.embedding.E.data[before], np.eye(K)[target])
    back = manual.backward(trace)
    expected_logits = trace.s[1:] @ params.decoder.V + params.decoder.c
    np.testing.assert_allclose(logits.data, expected_logits, rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.moveaxis(weights.data, 1, -1), trace.alpha, rtol=0, atol=1e-12)
    of_decoder, of_encoder = back.gradients.decoder, back.gradients.encoder
    expected = {
        encoder.U: of_encoder.U, encoder.W: of_encoder.W, encoder.b: of_encoder.b,
        decoder.cell.U: np.concatenate([of_decoder.U, of_decoder.C]), decoder.cell.W: of_decoder.W,
        decoder.cell.b: of_decoder.b, decoder.readout.W: of_decoder.V, decoder.readout.b: of_decoder.c,
        decoder.embedding.E: np.einsum("tbk,tbp->kp", np.eye(K)[before], back.dL_dy),
    }  # fmt: skip
    if additive:
        expected.update({getattr(attention, name): getattr(back.gradients.score, name) for name in "ABv"})
    for parameter, g in expected.items():
        np.testing.assert_allclose(parameter.grad, g, rtol=0, atol=1e-12, err_msg=parameter.name)


KINDS: dict[str, Any] = {
    "additive": lambda: nn.AdditiveAttention(D, N, 2, **F64),
    "dot": lambda: nn.DotProductAttention(scaled=True),
    "general": lambda: nn.DotProductAttention(D, N, **F64),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (B,)])
def test_gradients_by_differences(kind: str, batch: tuple[int, ...]) -> None:
    attention = KINDS[kind]()
    own = dict(attention.named_parameters())
    values, query = RNG.normal(size=(S, *batch, N)), RNG.normal(size=(*batch, N if kind == "dot" else D))
    lengths = LENGTHS if batch else None

    def f(*arrays: Any) -> Any:
        twin = attention.with_values(dict(zip(own, arrays)))
        return twin(arrays[-1], twin.memory(arrays[-2], lengths))[0]

    assert tr.gradcheck(f, [*own.values(), values, query], fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_a_mean_over_what_is_there(kind: str) -> None:
    attention = KINDS[kind]()
    values, query = RNG.normal(size=(S, B, N)), RNG.normal(size=(B, N if kind == "dot" else D))
    dirty = np.where(np.arange(S)[:, None, None] < LENGTHS[:, None], values, np.nan)
    context, weights = attention(query, attention.memory(dirty, LENGTHS))
    value = lambda a: a.data if isinstance(a, tr.Tensor) else a  # noqa: E731
    np.testing.assert_allclose(value(weights)[:, :2].sum(0), 1, rtol=0, atol=1e-12)
    assert not value(weights)[2:, 1].any()
    assert not value(context)[2].any()
    for b in (0, 1):
        alone, _ = attention(query[b], attention.memory(values[: LENGTHS[b], b]))
        np.testing.assert_allclose(value(context)[b], value(alone), rtol=0, atol=1e-12)


def test_wrong_sizes_are_told() -> None:
    attention = nn.DotProductAttention()
    with pytest.raises(ValueError, match=r"size 4 and a memory of size 3 .*learns a matrix"):
        attention(np.zeros((B, D)), attention.memory(np.zeros((S, B, N))))
    with pytest.raises(ValueError, match="both sizes, or neither"):
        nn.DotProductAttention(D)
    with pytest.raises(ValueError, match="memory_size"):
        nn.Decoder(K, nn.GRUCell(E, D), attention=nn.DotProductAttention())
    with pytest.raises(ValueError, match="more than the 4 of the context"):
        nn.Decoder(K, nn.GRUCell(4, D), attention=nn.DotProductAttention(), memory_size=4)
    with pytest.raises(ValueError, match="'before' or 'after'"):
        nn.Decoder(K, nn.GRUCell(4, D), look="aside")


def test_what_a_decoder_says_is_labelled_by_name() -> None:
    decoder = nn.Decoder(K, nn.GRUCell(E + N, D), attention=KINDS["additive"](), memory_size=N)
    memory = decoder.attention.memory(RNG.normal(size=(S, B, N)))
    logits, _, _ = decoder(np.zeros((T, B), int), np.zeros((B, D)), memory)
    labels = [label for node in tr.autodiff.graph.ancestors([logits]) for label in node.labels]
    assert {label.name for label in labels if label.role == "output"} == {"logits", "attention"}
