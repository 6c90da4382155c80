"""Weights of every layer, with every option and executor, to PyTorch and back: what matters is that outputs agree."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.autodiff.foreign import as_numpy, widened

torch = pytest.importorskip("torch")

N, D = 3, 4
KINDS: dict[str, tuple[Any, Any, dict[str, Any], dict[str, Any]]] = {
    "RNN": (nn.RNN, torch.nn.RNN, {}, {}),
    "RNN relu": (nn.RNN, torch.nn.RNN, {"activation": "relu"}, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, torch.nn.LSTM, {}, {}),
    "LSTM forget_bias": (nn.LSTM, torch.nn.LSTM, {"forget_bias": 1.0, "bias": True}, {}),
    "LSTM projection": (nn.LSTM, torch.nn.LSTM, {"projection": 2}, {"proj_size": 2}),
    "GRU": (nn.GRU, torch.nn.GRU, {}, {}),
}
WITHOUT_TWIN = {
    "RNN sigmoid": (nn.RNN, {"activation": "sigmoid"}),
    "RNN function": (nn.RNN, {"activation": np.sin}),
    "LSTM peepholes": (nn.LSTM, {"peepholes": True}),
    "LSTM coupled": (nn.LSTM, {"coupled": True}),
    "LSTM norm": (nn.LSTM, {"norm": nn.LayerNorm}),
    "GRU reset before": (nn.GRU, {"reset": "before"}),
}
EXECUTORS = [None, "numpy", "llvm", "auto"]
SHAPES = [
    {"bias": bias, "num_layers": layers, "bidirectional": both, "batch_first": first}
    for bias, layers, both, first in itertools.product([True, False], [1, 2], [False, True], [False, True])
]


def torch_arrays(module: nn.Module) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in nn.to_torch_state_dict(module).items()}


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every number different from every other, so that none can stand in another's place unnoticed."""
    rng = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.data = rng.normal(size=parameter.shape).astype(parameter.dtype)
    return module


def assert_same_outputs(ours: nn.Module, theirs: Any) -> None:
    xs = np.random.default_rng(5).normal(size=(5, 2, N))
    plain = ours.with_values(ours.state_dict())  # runs as it was written, which no executor can change
    expected = theirs(torch.from_numpy(xs))[0].detach()
    np.testing.assert_allclose(plain(xs)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, map(int, shape.values()))))
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_there_and_back(kind: str, executor: str | None, shape: dict[str, Any]) -> None:
    ours, theirs, own, other = KINDS[kind]
    options = {**shape, **own}
    there = {**shape, **other, "bias": options["bias"]}
    layer = randomised(ours(N, D, executor=executor, dtype=np.float64, **options))
    twin = theirs(N, D, dtype=torch.float64, **there)
    twin.load_state_dict(torch_arrays(layer))
    assert_same_outputs(layer, twin)

    torch.manual_seed(3)
    other_twin = theirs(N, D, dtype=torch.float64, **there)
    nn.from_torch_state_dict(layer, other_twin.state_dict())
    assert_same_outputs(layer, other_twin)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("kind", WITHOUT_TWIN)
def test_what_pytorch_does_not_have_is_refused_with_every_executor(kind: str, executor: str | None) -> None:
    ours, own = WITHOUT_TWIN[kind]
    with pytest.raises(ValueError, match="can't go there"):
        nn.to_torch_state_dict(ours(N, D, executor=executor, **own))


@pytest.mark.parametrize("executor", [None, "numpy"])
def test_a_cell_that_is_none_of_pytorch_s_in_a_stack_is_refused(executor: str | None) -> None:
    layer = nn.GRU(N, D, executor=executor)
    layer.layers[0] = nn.ResidualCell(nn.GRUCell(N, N))
    with pytest.raises(ValueError, match="no ResidualCell inside"):
        nn.to_torch_state_dict(layer)


@pytest.mark.parametrize("wrap", [lambda a: a, tr.compile, lambda a: tr.compile(tr.compile(a))])
def test_compiled_by_hand(wrap: Any) -> None:
    """A cell, a layer and a part of a model, each compiled from outside."""
    for kind in ("RNNCell", "LSTMCell", "GRUCell"):
        own = wrap(randomised(getattr(nn, kind)(N, D, dtype=np.float64)))
        theirs = getattr(torch.nn, kind)(N, D, dtype=torch.float64)
        theirs.load_state_dict(torch_arrays(own))
        x = np.random.default_rng(1).normal(size=(2, N))
        expected = theirs(torch.from_numpy(x))
        y = own(x, own.initial_state(x))[0]
        np.testing.assert_allclose(
            y.data, (expected[0] if isinstance(expected, tuple) else expected).detach(), rtol=0, atol=1e-12
        )
    layer = randomised(nn.GRU(N, D, dtype=np.float64))
    twin = torch.nn.GRU(N, D, dtype=torch.float64)
    nn.from_torch_state_dict(wrap(layer), twin.state_dict())
    assert_same_outputs(layer, twin)
    model = nn.Sequential(wrap(nn.Linear(N, D)), np.tanh, wrap(nn.LayerNorm(D)), wrap(nn.Embedding(5, 2)))
    assert set(nn.to_torch_state_dict(model)) == {"0.weight", "0.bias", "2.weight", "2.bias", "3.weight"}


# --- types of numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_biases_of_short_floats_lose_no_digits(kind: str, dtype: Any) -> None:
    ours, theirs, own, other = KINDS[kind]
    twin = theirs(N, D, **other).to(dtype)
    layer = ours(N, D, dtype=np.float64, **own)
    nn.from_torch_state_dict(layer, twin.state_dict())
    assert_same_outputs(layer, twin.to(torch.float64))


def test_bfloat16_in_files(tmp_path: Path) -> None:
    writer = pytest.importorskip("safetensors.torch")
    twin = torch.nn.LSTM(N, D).to(torch.bfloat16)
    writer.save_file(twin.state_dict(), tmp_path / "weights.safetensors")
    arrays = nn.load_weights(tmp_path / "weights.safetensors")
    layer = nn.LSTM(N, D, dtype=np.float64)
    nn.from_torch_state_dict(layer, arrays)
    assert_same_outputs(layer, twin.to(torch.float64))


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_ml_dtypes_in_files(tmp_path: Path, ending: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    if ending == ".safetensors":
        writer = pytest.importorskip("safetensors.numpy").save_file
    else:
        writer = lambda arrays, path: np.savez(path, **arrays)  # noqa: E731
    short = np.random.default_rng(0).normal(size=(3, 4)).astype(ml_dtypes.bfloat16)
    writer({"a": short, "b": np.ones(2)}, tmp_path / f"theirs{ending}")
    nn.save_weights({"a": short, "b": np.ones(2)}, tmp_path / f"ours{ending}")
    for name in ("theirs", "ours"):
        found = nn.load_weights(tmp_path / f"{name}{ending}")
        assert found["a"].dtype == np.float32 and found["b"].dtype == np.float64
        np.testing.assert_array_equal(found["a"], short.astype(np.float32))


def test_every_bfloat16_is_widened_exactly() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bits = np.arange(2**16, dtype=np.uint16)
    np.testing.assert_array_equal(widened(bits), bits.view(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64", "int32"])
def test_a_pytorch_tensor_that_requires_a_gradient_and_one_of_any_type(dtype: str) -> None:
    values = torch.tensor([1.5, -3.0]).to(getattr(torch, dtype))
    expected = values.to(torch.float64).numpy()
    np.testing.assert_array_equal(as_numpy(values), expected)
    if dtype != "int32":
        np.testing.assert_array_equal(as_numpy(values.requires_grad_()), expected)
    linear = nn.Linear(1, 2)
    linear.load_state_dict({"W": values.reshape(1, 2), "b": values})
    np.testing.assert_array_equal(linear.b.data, expected)


def test_numbers_of_a_type_that_is_not_read_are_refused_by_name(tmp_path: Path) -> None:
    writer = pytest.importorskip("safetensors.torch")
    writer.save_file({"a": torch.ones(2, dtype=torch.float8_e4m3fn)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a\.safetensors can't be read as \.safetensors: .* F8_E4M3"):
        nn.load_weights(tmp_path / "a.safetensors")


# --- embeddings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding_idx", [None, 0, 2, -1, -5])
def test_embeddings_with_padding(padding_idx: int | None) -> None:
    twin = torch.nn.Embedding(5, N, padding_idx=padding_idx, dtype=torch.float64)
    with torch.no_grad():
        twin.weight += 1  # the row of padding is what it is set to, there as here
    layer = nn.Embedding(5, N, padding_idx=padding_idx, dtype=np.float64)
    nn.from_torch_state_dict(layer, twin.state_dict())
    tokens = np.array([[0, 4, 2], [4, 1, 3]])
    y, theirs = layer(tokens), twin(torch.from_numpy(tokens))
    np.testing.assert_array_equal(y.data, theirs.detach())
    np.sum(y * y).backward()
    (theirs * theirs).sum().backward()
    np.testing.assert_allclose(layer.E.grad, twin.weight.grad, rtol=0, atol=1e-14)
    assert torch.equal(torch_arrays(layer)["weight"], twin.weight)
