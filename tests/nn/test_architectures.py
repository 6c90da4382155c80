"""Whole models: shapes, padding, sampling, and that they learn what they are for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim
from tinygrad_rnn.autodiff.trees import leaves
from tinygrad_rnn.nn.cells.wrappers import hidden_of

N, D, K, B, T = 3, 4, 5, 4, 6
F64: dict[str, Any] = {"dtype": np.float64}
LENGTHS = np.array([6, 3, 1, 2])
RNG = np.random.default_rng(0)
XS = RNG.normal(size=(T, B, N))


def plain(a: Any) -> np.ndarray:
    return a.data if isinstance(a, tr.Tensor) else a


# --- many to one, many to many ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.GRU(N, D, **F64),
        nn.LSTM(N, D, 2, bidirectional=True, projection=2, **F64),
        nn.Recurrent((nn.RNNCell(N, 2, **F64), nn.JordanCell(N, 2, 3, **F64))),
    ],
    ids=["GRU", "LSTM both ways", "own cells both ways"],
)
def test_many_to_one_reads_each_sequence_as_if_alone(pool: str, layer: nn.Recurrent) -> None:
    model = nn.ManyToOne(layer, K, pool=pool, **F64)
    dirty = np.where(np.arange(T)[:, None, None] < LENGTHS[:, None], XS, np.nan)
    together = model(dirty, lengths=LENGTHS).data
    assert together.shape == (B, K)
    for b, length in enumerate(LENGTHS):
        np.testing.assert_allclose(together[b], model(XS[:length, b]).data, rtol=0, atol=1e-12)
    layer.batch_first = True
    try:
        np.testing.assert_array_equal(model(dirty.swapaxes(0, 1), lengths=LENGTHS).data, together)
    finally:
        layer.batch_first = False


@pytest.mark.parametrize("pool", ["last", "mean", "max"])
def test_a_sequence_without_steps_says_what_the_bias_says(pool: str) -> None:
    model = nn.ManyToOne(nn.GRU(N, D), K, pool=pool)
    np.testing.assert_array_equal(model(XS, lengths=np.array([6, 0, 1, 2])).data[1], model.readout.b.data)


def test_the_last_output_of_an_lstm_is_its_final_hidden_state() -> None:
    layer = nn.LSTM(N, D, bidirectional=True, **F64)
    output, (h, _) = layer(XS, lengths=LENGTHS)
    expected = np.concatenate([h.data[0], h.data[1]], axis=-1)
    np.testing.assert_array_equal(nn.last_output(layer, output, LENGTHS).data, expected)


def test_many_to_many_says_something_at_each_step_and_goes_on() -> None:
    model = nn.ManyToMany(nn.GRU(N, D, **F64), K, **F64)
    whole, _ = model(XS)
    first, state = model(XS[:2])
    rest, _ = model(XS[2:], state)
    np.testing.assert_array_equal(np.concatenate([first.data, rest.data]), whole.data)


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="pool"):
        nn.ManyToOne(nn.GRU(N, D), K, pool="median")


@pytest.mark.parametrize("make", [nn.ManyToOne, nn.ManyToMany])
def test_a_cell_is_no_layer(make: Any) -> None:
    with pytest.raises(TypeError, match=r"GRUCell is none\..* pass Recurrent\(GRUCell\(\.\.\.\)\)"):
        make(nn.GRUCell(N, D), K)


# --- decoders --------------------------------------------------------------------------------------------------------

DECODERS: dict[str, Any] = {
    "no attention": lambda: nn.Decoder(K, nn.LSTMCell(3, D), seed=1),
    "before": lambda: nn.Decoder(
        K, nn.GRUCell(3 + D, D), attention=nn.AdditiveAttention(D, D, 3), memory_size=D, seed=1
    ),
    "after": lambda: nn.Decoder(
        K, nn.GRUCell(3, D), attention=nn.DotProductAttention(), memory_size=D, look="after", seed=1
    ),
    "stacked": lambda: nn.Decoder(
        K,
        nn.StackedCell([nn.LSTMCell(3 + D, D), nn.DropoutCell(nn.GRUCell(D, D))]),
        attention=nn.DotProductAttention(),
        memory_size=D,
        seed=1,
    ),
    "noisy": lambda: nn.Decoder(K, nn.ZoneoutCell(nn.DropoutCell(nn.GRUCell(3, D)), 0.2), seed=1),
}
TARGET = RNG.integers(2, K, (T, B))


def model_with(decoder: nn.Decoder) -> nn.EncoderDecoder:
    return nn.EncoderDecoder(nn.Embedding(7, N), nn.GRU(N, D // 2, bidirectional=True), decoder)


SOURCE = RNG.integers(0, 7, (8, B))
SOURCE_LENGTHS = np.array([8, 3, 5, 1])


@pytest.mark.parametrize("kind", DECODERS)
def test_teacher_forcing_is_taking_the_target_s_steps_one_by_one(kind: str) -> None:
    model = model_with(DECODERS[kind]()).eval()
    logits = model(SOURCE, TARGET, SOURCE_LENGTHS)
    assert logits.shape == (T, B, K)
    state, memory = model.encode(SOURCE, SOURCE_LENGTHS)
    before = np.full(B, model.decoder.start)
    step = model.decoder._stepper(memory)
    for t in range(T):
        expected, state = step(before, state)
        np.testing.assert_allclose(logits.data[t], plain(expected), rtol=0, atol=1e-6)
        before = TARGET[t]


@pytest.mark.parametrize("kind", DECODERS)
def test_sampling_always_feeds_what_was_drawn(kind: str) -> None:
    drawn: list[Any] = []
    model = model_with(DECODERS[kind]()).eval()
    step = model.decoder.step
    model.decoder.step = lambda symbols, *rest: (drawn.append(np.array(plain(symbols))), step(symbols, *rest))[1]
    logits = model(SOURCE, TARGET, SOURCE_LENGTHS, sampling=1.0)
    assert [symbols.tolist() for symbols in drawn[:1]] == [[model.decoder.start] * B]
    model.decoder.step = step
    forced = np.concatenate([np.stack(drawn[1:]), np.zeros((1, B), int)])
    np.testing.assert_allclose(model(SOURCE, forced, SOURCE_LENGTHS).data, logits.data, rtol=0, atol=1e-6)


def test_what_is_drawn_follows_the_model_s_probabilities() -> None:
    decoder = nn.Decoder(K, nn.RNNCell(2, 2), seed=0)
    decoder.readout.W.data = np.zeros((2, K))
    decoder.readout.b.data = np.log([0.5, 0.2, 0.15, 0.1, 0.05])
    seen: list[Any] = []
    step = decoder.step
    decoder.step = lambda symbols, *rest: (seen.append(np.array(plain(symbols))), step(symbols, *rest))[1]
    decoder(np.zeros((5, 4000), int), decoder.begin(np.zeros((4000, 2), np.float32)), sampling=1.0)
    counts = np.bincount(np.concatenate(seen[1:]), minlength=K) / 16000
    np.testing.assert_allclose(counts, [0.5, 0.2, 0.15, 0.1, 0.05], atol=0.015)


def test_every_cell_of_a_stack_begins_with_what_the_encoder_says() -> None:
    decoder = nn.Decoder(K, nn.StackedCell([nn.LSTMCell(3, D), nn.GRUCell(D, D)]))
    (h, c), upper = model_with(decoder).encode(SOURCE)[0]
    np.testing.assert_array_equal(h.data, upper.data)
    assert h.data.any() and not np.any(plain(c))
    with pytest.raises(ValueError, match=r"one size of output, not \[2, 4\]"):
        nn.Decoder(K, nn.StackedCell([nn.LSTMCell(3, 2), nn.GRUCell(2, 4)]))


def test_gradients_of_an_encoder_decoder_by_differences() -> None:
    decoder = nn.Decoder(
        3, nn.GRUCell(2 + 4, 2, **F64), attention=nn.AdditiveAttention(2, 4, 2, **F64), memory_size=4, **F64
    )
    model = nn.EncoderDecoder(None, nn.GRU(2, 2, bidirectional=True, **F64), decoder, **F64)
    own = dict(model.named_parameters())
    source, target = RNG.normal(size=(3, 2, 2)), np.array([[2, 0], [1, 1]])

    def f(*arrays: Any) -> Any:
        return model.with_values(dict(zip(own, arrays)))(arrays[-1], target, [3, 1])

    assert tr.gradcheck(f, [*own.values(), source], fast_mode=True)


def test_forcing_decays_from_always_to_never() -> None:
    rates = [nn.teacher_forcing(step, k=50) for step in range(0, 2000, 50)]
    assert rates[0] == pytest.approx(50 / 51)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-9
    assert nn.teacher_forcing(10**9, k=1) >= 0


def test_one_to_many_learns_to_write_what_a_vector_says() -> None:
    vectors, target = np.eye(3, dtype=np.float32), np.array([[2, 3, 4], [3, 3, 1], [1, 2, 1], [1, 1, 1]])
    model = nn.OneToMany(3, nn.Decoder(K, nn.GRUCell(4, 16)))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        nn.cross_entropy(model(vectors, target), target).backward()
        optimizer.step()
    assert model.write(vectors, max_steps=6) == [[2, 3], [3, 3, 2], [4]]
    assert model.write(vectors, max_steps=6, width=3) == [[2, 3], [3, 3, 2], [4]]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("look", ["before", "after"])
def test_an_encoder_decoder_learns_to_reverse(look: str) -> None:
    rng = np.random.default_rng(0)
    size, symbols = 24, 6
    decoder = nn.Decoder(
        symbols,
        nn.GRUCell(8 + (size if look == "before" else 0), size, seed=rng),
        attention=nn.AdditiveAttention(size, size, 16, seed=rng) if look == "before" else nn.DotProductAttention(),
        memory_size=size,
        look=look,
        seed=rng,
    )
    model = nn.EncoderDecoder(
        nn.Embedding(symbols, 8, seed=rng), nn.GRU(8, size // 2, bidirectional=True, seed=rng), decoder, seed=rng
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def batch(n: int) -> Any:
        lengths = rng.integers(1, 5, n)
        source = rng.integers(2, symbols, (4, n))
        target = np.ones((5, n), int)
        for b, length in enumerate(lengths):
            target[:length, b] = source[:length, b][::-1]
        return source, target, lengths

    for _ in range(150):
        source, target, lengths = batch(32)
        optimizer.zero_grad()
        nn.cross_entropy(model(source, target, lengths), target, lengths=lengths + 1).backward()
        optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    source, _, lengths = batch(50)
    written = model.eval().write(source, lengths, max_steps=6)
    right = sum(written[b] == source[:n, b][::-1].tolist() for b, n in enumerate(lengths))
    assert right >= 45


@pytest.mark.parametrize("wrap", [tr.compile, nn.ZoneoutCell, lambda c: tr.compile(nn.ZoneoutCell(c))])
def test_a_decoder_of_a_stack_begins_alike_however_it_is_wrapped(wrap: Any) -> None:
    def decoder(wrap: Any) -> Any:
        stack = nn.StackedCell([nn.LSTMCell(4, 6, seed=1), nn.GRUCell(6, 6, seed=2)])
        return nn.Decoder(5, wrap(stack), seed=3).eval()

    h = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    (_, own), (wrapped, other) = ((d, d.begin(h)) for d in (decoder(lambda c: c), decoder(wrap)))
    for a, b in zip(leaves(own), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(hidden_of(wrapped.cell, other), h)
