"""Compiled cells with everything else: layers, lengths, masks, decoders, pictures, higher derivatives, anomalies."""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT, assert_compiled_agrees, assert_equal, everything
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.trees import leaves, tree_map

n, d, B, T = 3, 4, 2, 6
DTYPES = {np.float64: 1e-12, np.float32: 1e-5}


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


# --- cells -----------------------------------------------------------------------------------------------------------

CELLS = {
    "IndRNN": lambda o: nn.IndRNNCell(n, d, **o),
    "Jordan": lambda o: nn.JordanCell(n, d, 2, output_activation="tanh", **o),
    "skip by matrices": lambda o: nn.SkipRNNCell(n, d, lags=[2, 4], **o),
    "skip by addition": lambda o: nn.SkipRNNCell(n, d, lags=[1, 3], by="addition", **o),
    "MGU": lambda o: nn.MGUCell(n, d, **o),
    "GRU without bias": lambda o: nn.GRUCell(n, d, bias=False, reset="before", **o),
    "LSTM, normalised": lambda o: nn.LSTMCell(n, d, norm=nn.LayerNorm, **o),
    "LSTM, all of it": lambda o: nn.LSTMCell(n, d, peepholes=True, projection=3, forget_bias=1.0, **o),
    "layer normalisation": lambda o: nn.LayerNormCell(nn.LSTMCell(n, d, **o)),
    "residual": lambda o: nn.ResidualCell(nn.GRUCell(n, n, **o)),
    "zoneout": lambda o: nn.ZoneoutCell(nn.LSTMCell(n, d, **o), {"h": 0.3, "c": 0.1}),
    "dropout": lambda o: nn.DropoutCell(nn.GRUCell(n, d, **o), 0.3, 0.4),
    "stack": lambda o: nn.StackedCell([nn.LSTMCell(n, d, **o), nn.RNNCell(d, 3, "relu", **o)]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.one_in(4)
def test_every_other_cell_of_the_library(name, reverse, dtype):
    """Noise is drawn before the loop, so both draw the same from generators of one seed.

    In float32 over fewer steps: a normalised cell expands what is small, roundings included.
    """
    steps = 50 if dtype is np.float64 else 8

    def run(wrap):
        tr.manual_seed(0)
        cell = CELLS[name]({"dtype": dtype})
        xs = normal(steps, B, n, dtype=dtype)
        state = tree_map(lambda a: normal(*a.shape, seed=1, dtype=dtype), cell.initial_state(xs[0]))
        unroll = lambda x, s: tr.unroll(wrap(cell), x, s, reverse=reverse)  # noqa: E731
        return everything(unroll, xs, state, list(cell.parameters()))

    for found, expected in zip(run(tr.compile), run(lambda cell: cell)):
        assert_equal(found, expected, DTYPES[dtype])


def test_no_cell_of_the_library_is_left_out():
    from tests.compiler.test_cells import LIBRARY

    names = [*CELLS, *LIBRARY]
    made = [make({"dtype": np.float64}) for make in CELLS.values()] + [make(np.float64) for make in LIBRARY.values()]
    kinds = {type(part) for cell in made for part in cell.modules()}
    cells = {c for c in vars(nn).values() if isinstance(c, type) and issubclass(c, nn.Cell)} - {nn.Cell, nn.Wrapper}
    assert cells <= kinds, (cells - kinds, names)


# --- layers ----------------------------------------------------------------------------------------------------------

LAYERS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
OPTIONS = [
    {"num_layers": 2, "bidirectional": True, "dropout": 0.3},
    {"num_layers": 3, "batch_first": True},
    {"bidirectional": True, "bias": False},
]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("lengths", [None, [6, 1, 0, 3]])
@pytest.mark.parametrize("options", OPTIONS, ids=["dropout in a deep stack", "batch first", "no bias"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, options, lengths):
    def run(executor):
        layer = LAYERS[name](n, d, seed=3, dtype=np.float64, executor=executor, **options)
        xs = normal(4, T, n) if options.get("batch_first") else normal(T, 4, n)
        return everything(lambda x, _: layer(x, lengths=lengths), xs, (), list(layer.parameters()))

    for found, expected in zip(run("numpy"), run(None)):
        assert_equal(found, expected, 1e-12)


def test_layers_of_lstm_with_everything():
    def run(executor):
        layer = nn.LSTM(
            n, d, 2, peepholes=True, projection=2, norm=nn.LayerNorm, bidirectional=True, dropout=0.5, seed=1,
            dtype=np.float64, executor=executor,
        )  # fmt: skip
        start = layer(normal(1, 4, n))[1]
        state = tree_map(lambda a: normal(*a.shape, seed=2), start)
        return everything(lambda x, s: layer(x, s, lengths=[6, 2, 5, 0]), normal(T, 4, n), state, layer.parameters())

    for found, expected in zip(run("numpy"), run(None)):
        assert_equal(found, expected, 1e-12)


@pytest.mark.parametrize("attention", [nn.AdditiveAttention, nn.DotProductAttention])
@pytest.mark.parametrize("look", ["before", "after"])
@pytest.mark.parametrize("lengths", [None, [5, 2]])
def test_attention_decoders_in_a_compiled_loss(attention, look, lengths):
    """Encoder, attention, decoder and loss as one function, where what is looked at is made inside."""
    sizes = (d, d, 3) if attention is nn.AdditiveAttention else (d, d)
    options = {"dtype": np.float64}
    encoder = nn.GRUCell(n, d, **options)
    cell = nn.LSTMCell(n + d if look == "before" else n, d, **options)
    decoder = nn.Decoder(7, cell, attention=attention(*sizes, **options), memory_size=d, look=look, **options)
    targets = np.random.default_rng(0).integers(0, 7, size=(4, B))

    def loss(xs, state):
        ys, h = tr.unroll(encoder, xs, np.zeros((B, d)))
        logits, last, weights = decoder(targets, decoder.begin(h), decoder.attention.memory(ys, lengths))
        return (nn.cross_entropy(logits, targets), weights), last

    parameters = [*encoder.parameters(), *decoder.parameters()]
    expected = everything(loss, normal(5, B, n), (), parameters)
    compiled = tr.compile(loss)
    for _ in range(2):
        for a, b in zip(everything(compiled, normal(5, B, n), (), parameters), expected):
            assert_equal(a, b, 1e-12)


def test_new_shapes_and_dtypes_and_old_ones_again():
    cell = nn.LSTMCell(n, d, dtype=np.float64)
    compiled = tr.compile(cell)
    forms = [(T, B, np.float64), (3, 5, np.float64), (T, B, np.float32), (1, 1, np.float64), (T, B, np.float64)]
    for steps, rows, dtype in forms:
        xs = normal(steps, rows, n, dtype=dtype)
        state = tree_map(lambda a: a.astype(dtype), cell.initial_state(xs[0]))  # noqa: B023
        for _ in range(2):
            found, expected = (
                everything(lambda x, s, f=f: tr.unroll(f, x, s), xs, state, list(cell.parameters()))
                for f in (compiled, cell)
            )
            for a, b in zip(found, expected):
                assert_equal(a, b, 1e-12 if dtype is np.float64 else 1e-5)
    assert len(compiled.plans) == (4 if DEFAULT == "jax" else 3)  # one for each dtype, and one for all sizes


def test_no_steps_no_rows_no_batch():
    cell = nn.GRUCell(n, d, dtype=np.float64)
    compiled = tr.compile(cell)
    for shape in ((0, B, n), (T, 0, n), (T, n), (1, n)):
        found, expected = (tr.unroll(f, np.ones(shape)) for f in (compiled, cell))
        for a, b in zip(leaves(found), leaves(expected)):
            assert a.shape == b.shape and np.allclose(a.data, b.data, rtol=1e-12)


def test_many_steps():
    W = 0.9 * np.linalg.qr(normal(d, d))[0]
    assert_compiled_agrees(lambda x, h: x + h @ W, normal(1000, B, d), normal(B, d), [])


# --- derivatives of derivatives --------------------------------------------------------------------------------------

WEIGHT = 0.5 * normal(n, n)


def energy(cell):
    return lambda xs: np.sum(tr.unroll(cell, xs, np.full((B, n), 0.1))[0] ** 3)


def elman(x, h):
    return np.tanh(x + h @ WEIGHT)


def whole(xs):
    return energy(elman)(xs)


@pytest.mark.parametrize("make", [lambda: energy(tr.compile(elman)), lambda: tr.compile(whole)], ids=["cell", "loss"])
def test_derivatives_of_every_kind(make):
    f, xs, v = make(), normal(3, B, n), normal(3, B, n, seed=5)
    for transform in (
        tr.grad,
        tr.hessian,
        tr.jacobian,
        lambda f: lambda xs: tr.jvp(f, (xs,), (v,))[1],
        lambda f: lambda xs: tr.jvp(tr.grad(f), (xs,), (v,))[1],  # forward over reverse
        lambda f: tr.grad(lambda xs: np.sum(tr.grad(f)(xs) * v)),  # reverse over reverse
        lambda f: tr.grad(lambda xs: tr.jvp(f, (xs,), (v,))[1]),  # reverse over forward
        lambda f: lambda xs: tr.vjp(f, xs)[1](1.0)[0],
    ):
        found, expected = transform(f)(xs), transform(whole)(xs)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    assert tr.gradcheck(f, [xs])


def test_gradients_of_a_model_as_an_argument():
    cell = nn.LSTMCell(n, d, dtype=np.float64)
    loss = lambda cell, xs: np.sum(tr.unroll(cell, xs)[0] ** 2)  # noqa: E731
    compiled = tr.compile(loss)
    for f in (compiled, loss):
        cell.zero_grad()
        f(cell, normal(T, B, n)).backward()
    found, expected = (tr.grad(f)(cell, normal(T, B, n)) for f in (compiled, loss))
    for a, b in zip(found._tree_children(), expected._tree_children()):
        np.testing.assert_allclose(tr.autodiff.array_node.value_of(a), tr.autodiff.array_node.value_of(b), rtol=1e-10)


def test_one_cell_in_two_places_before_one_backward_pass():
    cell = nn.RNNCell(n, n, dtype=np.float64)

    def run(f):
        cell.zero_grad()
        xs = tr.tensor(normal(T, B, n), requires_grad=True)
        ys, h = tr.unroll(f, xs, np.zeros((B, n)))
        again, h = tr.unroll(f, ys * 2, h)
        back, _ = tr.unroll(f, again + ys, h, reverse=True)
        np.sum(back * again * ys).backward()
        return [xs.grad, *(p.grad for p in cell.parameters())]

    compiled = tr.compile(cell)
    for _ in range(2):
        assert_equal(run(compiled), run(cell), 1e-12)


def test_a_compiled_function_in_a_compiled_function_and_in_a_checkpoint():
    cell = nn.RNNCell(n, n, dtype=np.float64)
    inner = tr.compile(cell)
    loss = lambda f: lambda xs: np.sum(tr.unroll(f, xs)[0] ** 2)  # noqa: E731
    results = []
    for f in (loss(cell), tr.compile(loss(inner)), tr.checkpoint(loss(inner))):
        xs = tr.tensor(normal(T, B, n), requires_grad=True)
        cell.zero_grad()
        f(xs).backward()
        results.append([xs.grad, *(p.grad for p in cell.parameters())])
    assert_equal(results[1], results[0], 1e-12)
    assert_equal(results[2], results[0], 1e-12)


# --- looking inside --------------------------------------------------------------------------------------------------


def test_pictures_and_explanations_of_a_compiled_loop_are_those_of_the_loop():
    cell = nn.RNNCell(n, d, dtype=np.float64)
    pictures, explained = [], []
    for f in (tr.compile(cell), cell):
        loss = np.sum(tr.unroll(f, normal(3, B, n))[0] ** 2)
        pictures.append(tr.draw(loss, level="cell").svg)
        explained.append(tr.explanation.bptt_terms([loss], cell.W))
    assert pictures[0] == pictures[1]
    np.testing.assert_allclose(*(found.terms for found in explained), rtol=1e-12)


def test_anomalies_are_found_inside_a_compiled_loop():
    cell = tr.compile(lambda x, h: np.sqrt(x + 0 * h))
    xs = np.ones((T, B, n))
    xs[3] = 0.0
    xs = tr.tensor(xs, requires_grad=True)
    message = r"(?s)NaN.*derivative of sqrt.*step 4"
    with np.errstate(all="ignore"), tr.detect_anomaly(), pytest.raises(Exception, match=message):
        np.sum(tr.unroll(cell, xs, np.zeros((B, n)))[0] * 0).backward()
    with np.errstate(all="ignore"):
        loss = np.sum(tr.unroll(cell, xs, np.zeros((B, n)))[0] * 0)  # compiled, and the backward pass is watched
        with tr.detect_anomaly(), pytest.raises(Exception, match=r"NaN"):
            loss.backward()
