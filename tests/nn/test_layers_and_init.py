"""Layers that know nothing of time, and initial values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.nn import init

RNG = np.random.default_rng(0)


def test_layer_norm_as_pytorch_has_it() -> None:
    torch = pytest.importorskip("torch")
    layer, twin = nn.LayerNorm(5, eps=1e-3, dtype=np.float64), torch.nn.LayerNorm(5, eps=1e-3, dtype=torch.float64)
    layer.g.data, layer.b.data = RNG.normal(size=5), RNG.normal(size=5)
    twin.load_state_dict({k: torch.from_numpy(a) for k, a in nn.to_torch_state_dict(layer).items()})
    values, weights = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
    x, t = tr.tensor(values, True), torch.from_numpy(values.copy()).requires_grad_()
    y, expected = layer(x), twin(t)
    np.sum(y * weights).backward()
    (expected * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(y.data, expected.detach(), rtol=0, atol=1e-12)
    for got, reference in [(x, t), (layer.g, twin.weight), (layer.b, twin.bias)]:
        np.testing.assert_allclose(got.grad, reference.grad, rtol=0, atol=1e-12)


def test_embedding_looks_up_and_adds_up_gradients_of_repeated_symbols() -> None:
    layer = nn.Embedding(5, 3, dtype=np.float64)
    tokens = np.array([[1, 4], [1, 1]])
    weights = RNG.normal(size=(2, 2, 3))
    y = layer(tokens)
    np.testing.assert_array_equal(y.data, layer.E.data[tokens])
    np.sum(y * weights).backward()
    one_hot = np.eye(5)[tokens]
    np.testing.assert_allclose(layer.E.grad, np.einsum("tbs,tbd->sd", one_hot, weights), rtol=0, atol=1e-12)


@pytest.mark.parametrize("run", [lambda layer: layer, tr.compile], ids=["eager", "compiled"])
@pytest.mark.parametrize("padding_idx", [2, -3])
def test_the_vector_of_padding_starts_as_zeros_and_gets_no_gradient(padding_idx: int, run: Any) -> None:
    layer = nn.Embedding(5, 3, padding_idx=padding_idx)
    assert not layer.E.data[2].any() and layer.E.data[[0, 1, 3, 4]].all()
    layer.E.data = np.ones((5, 3))  # what it is set to it keeps, as in PyTorch
    y = run(layer)(np.array([2, 3]))
    assert y.tolist() == [[1, 1, 1], [1, 1, 1]]
    np.sum(y).backward()
    assert layer.E.grad.tolist() == [[0] * 3, [0] * 3, [0] * 3, [1] * 3, [0] * 3]


def test_the_vector_of_padding_in_scalars() -> None:
    numbers = tr.scalars(np.ones((5, 3)))
    y = nn.Embedding(5, 3, padding_idx=-1).with_values({"E": numbers})(np.array([4, 0, 4]))
    y.sum().backward()
    assert tr.gradients(numbers).tolist() == [[1] * 3, *[[0] * 3] * 4]


@pytest.mark.parametrize("padding_idx", [5, -6])
def test_padding_that_is_no_symbol(padding_idx: int) -> None:
    with pytest.raises(ValueError, match=f"no symbol padding_idx={padding_idx}"):
        nn.Embedding(5, 3, padding_idx=padding_idx)


@pytest.mark.parametrize(
    ("tokens", "error"), [([5], IndexError), ([-1], IndexError), ([0.0], TypeError), (["a"], TypeError)]
)
def test_wrong_symbols_are_refused(tokens: list, error: type) -> None:
    with pytest.raises(error, match="Embedding"):
        nn.Embedding(5, 3)(np.array(tokens))


def test_dropout_zeroes_and_scales_in_training_alone() -> None:
    layer = nn.Dropout(0.3, seed=0)
    x = tr.tensor(np.ones((100, 100)), requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {0.0, 1 / 0.7}
    assert abs((y.data == 0).mean() - 0.3) < 0.02
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, y.data)
    assert not np.array_equal(layer(x).data, y.data)
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(0.5)(np.ones(3, np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.0)


def test_generators_can_be_found_to_be_saved() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5, seed=1), nn.Recurrent([nn.GRUCell(2, 2), nn.GRUCell(2, 2)]))
    found = dict(model.named_generators())
    assert list(found) == ["1.generator", "2.between.generator"]


def test_a_sequence_of_modules_goes_by_pytorch_s_names() -> None:
    torch = pytest.importorskip("torch")
    ours = nn.Sequential(nn.Linear(2, 3), np.tanh, nn.Linear(3, 1))
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    nn.from_torch_state_dict(ours, theirs.state_dict())
    x = RNG.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_allclose(ours(x).data, theirs(torch.from_numpy(x)).detach(), rtol=0, atol=1e-6)
    assert len(ours) == 3
    assert ours[-1] is ours[2]
    with pytest.raises(IndexError):
        ours[3]


def test_a_recurrent_layer_among_others_is_told_how_to_go_there() -> None:
    with pytest.raises(TypeError, match=r"part 0, GRU, returns 2 values; .* ManyToOne or ManyToMany"):
        nn.Sequential(nn.GRU(3, 2), nn.Linear(2, 2))(np.zeros((4, 1, 3), np.float32))


def test_wrong_sizes_are_told_what_is_taken() -> None:
    with pytest.raises(ValueError, match=r"Linear\(3, 2\) takes x of shape \(..., 3\)"):
        nn.Linear(3, 2)(np.zeros((5, 4), np.float32))
    with pytest.raises(ValueError, match=r"LayerNorm\(3\) takes x of shape \(..., 3\)"):
        nn.LayerNorm(3)(np.zeros((5, 4), np.float32))
    with pytest.raises(ValueError, match=r"Linear\(0, 2\): sizes are 1 or more"):
        nn.Linear(0, 2)


# --- initial values --------------------------------------------------------------------------------------------------

SHAPE = (160, 120)
EVERY: dict[str, Any] = {
    "uniform": lambda seed, **more: init.uniform(SHAPE, seed, 0.1, **more),
    "xavier": lambda seed, **more: init.xavier(SHAPE, seed, **more),
    "he": lambda seed, **more: init.he(SHAPE, seed, **more),
    "orthogonal": lambda seed, **more: init.orthogonal(SHAPE, seed, **more),
}


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())
def test_the_same_seed_gives_the_same_numbers(make: Any) -> None:
    first = make(1)
    assert (first.shape, first.dtype) == (SHAPE, np.float32)
    np.testing.assert_array_equal(first, make(np.random.default_rng(1)))
    assert not np.array_equal(first, make(2))
    assert make(1, dtype=np.float64).dtype == np.float64
    assert not np.array_equal(make(None), make(None))


def test_sizes() -> None:
    assert abs(init.uniform(SHAPE, 0, 0.1)).max() <= 0.1
    assert init.xavier(SHAPE, 0).std() == pytest.approx((2 / 280) ** 0.5, rel=0.02)
    assert init.xavier(SHAPE, 0, gain=3).std() == pytest.approx(3 * (2 / 280) ** 0.5, rel=0.02)
    assert init.he(SHAPE, 0).std() == pytest.approx((2 / 160) ** 0.5, rel=0.02)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
def test_orthogonal_rows_or_columns(shape: tuple[int, int]) -> None:
    q = init.orthogonal(shape, 0, gain=2.0, dtype=np.float64)
    product = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(product, 4 * np.eye(min(shape)), rtol=0, atol=1e-12)


def test_orthogonal_favours_no_direction() -> None:
    traces = [np.trace(init.orthogonal((3, 3), seed, dtype=np.float64)) for seed in range(2000)]
    assert abs(np.mean(traces)) < 0.1  # QR alone would make the diagonal of R positive and this mean far from 0


def test_forget_bias_is_the_forget_gate_s() -> None:
    cell = nn.LSTMCell(2, 3)
    cell.b.data = init.forget_bias(3, 2.0)
    np.testing.assert_array_equal(cell.b.data.reshape(4, 3)[1], [2, 2, 2])
    assert not cell.b.data.reshape(4, 3)[[0, 2, 3]].any()
    assert init.forget_bias(1, gates="fgo").tolist() == [1, 0, 0]


def test_an_irnn_keeps_its_state() -> None:
    cell = nn.RNNCell(2, 3, "relu")
    cell.W.data, cell.b.data = init.identity((3, 3)), np.zeros(3)
    _, h = tr.unroll(cell, np.zeros((50, 1, 2), np.float32), np.array([[1.0, 2.0, 0.5]], np.float32))
    assert h.tolist() == [[1.0, 2.0, 0.5]]
