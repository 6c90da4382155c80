"""Weights in files and from other libraries' layouts; nothing of a file that doesn't fit is taken."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn


def model(seed: int = 0) -> nn.Module:
    return nn.Sequential(nn.Embedding(5, 3, seed=seed), np.tanh, nn.Linear(3, 4, seed=seed), nn.LayerNorm(4))


@pytest.fixture(params=[".npz", ".safetensors"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"weights{request.param}"


def test_out_and_in_again(path: Path) -> None:
    first, second = model(1), model(2)
    nn.save_weights(first.state_dict(), path)
    second.load_state_dict(nn.load_weights(path))
    for own, expected in zip(second.parameters(), first.parameters(), strict=True):
        np.testing.assert_array_equal(own.data, expected.data)


def test_the_same_arrays_give_the_same_file_everywhere(path: Path) -> None:
    """On each system, in each Python and with each NumPy."""
    arrays = {"W": np.arange(6.0).reshape(2, 3), "steps": np.array(3, np.int32), "ready": np.ones(2, bool)}
    nn.save_weights(arrays, path)
    expected = {
        ".npz": "4508033ac700cab9f3c319d625aaed24822a9226521032726345b6fd0fb9ca61",
        ".safetensors": "d3549a30bb22ffe37600a7df8bffe985da5f7c5c4b2dc0360d71715d7c307aa4",
    }
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected[path.suffix]


def test_arrays_that_are_too_large_for_the_common_form_of_zip_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5000)  # of 2 GB
    arrays = {"W": np.arange(3000.0), "b": np.ones(2)}
    nn.save_weights(arrays, tmp_path / "weights.npz")
    loaded = nn.load_weights(tmp_path / "weights.npz")
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_arrays_come_back_as_they_were(path: Path, dtype: Any) -> None:
    base = (np.random.default_rng(0).normal(size=(3, 4)) * 9).astype(dtype)
    arrays = {"plain": base, "transposed": base.T, "strided": base[:, ::2], "scalar": base[0, 0], "empty": base[:0]}
    nn.save_weights(arrays, path)
    found = nn.load_weights(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype


def test_torch_reads_our_safetensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    reader = pytest.importorskip("safetensors.torch")
    ours, theirs = nn.LSTM(3, 4, 2), torch.nn.LSTM(3, 4, 2)
    nn.save_weights(nn.to_torch_state_dict(ours), tmp_path / "lstm.safetensors")
    theirs.load_state_dict(reader.load_file(tmp_path / "lstm.safetensors"))
    xs = np.ones((5, 2, 3), np.float32)
    np.testing.assert_allclose(ours(xs)[0].data, theirs(torch.from_numpy(xs))[0].detach(), atol=1e-6)


def test_a_failed_write_leaves_the_old_file(path: Path) -> None:
    nn.save_weights({"a": np.ones(2)}, path)
    with pytest.raises(ValueError, match="b holds object"):
        nn.save_weights({"a": np.zeros(2), "b": np.array([None])}, path)
    assert nn.load_weights(path)["a"].tolist() == [1, 1]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_a_damaged_file_is_refused(path: Path, keep: float) -> None:
    nn.save_weights(model().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if keep == 0.5 else int(keep)])
    with pytest.raises(ValueError, match="can't be read as"):
        nn.load_weights(path)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    plain = tmp_path / "plain.npz"
    plain.write_bytes(pickle.dumps(Trap()))
    inside = tmp_path / "inside.npz"
    np.savez(inside, a=np.array([Trap()], dtype=object))
    for path in (plain, inside):
        with pytest.raises(ValueError, match="can't be read"):
            nn.load_weights(path)
    assert not (tmp_path / "sprung").exists()


def test_other_endings_are_refused(tmp_path: Path) -> None:
    for call in (lambda p: nn.save_weights({}, p), nn.load_weights):
        with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
            call(tmp_path / "weights.pt")


def test_load_state_dict_lists_all_that_is_wrong_and_changes_nothing() -> None:
    layer = nn.Linear(3, 2)
    before = layer.state_dict()
    with pytest.raises(ValueError, match=r"missing: b \(2,\); unexpected: c \(1,\); W: shape \(2, 3\) where \(3, 2\)"):
        layer.load_state_dict({"W": np.ones((2, 3)), "c": np.ones(1)})
    with pytest.raises(ValueError, match="W: shape"):
        layer.load_state_dict({"W": np.ones((2, 3)), "b": np.ones(2)}, strict=False)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    layer.load_state_dict({"b": np.ones(2), "other": np.ones(7)}, strict=False)
    assert layer.b.data.tolist() == [1, 1]


def test_from_torch_lists_all_that_is_wrong_and_changes_nothing() -> None:
    layer = nn.GRU(3, 2)
    arrays = nn.to_torch_state_dict(layer)
    arrays["weight_ih_l0"] = arrays["weight_ih_l0"].T
    arrays["weight_ih_l1"] = arrays.pop("bias_hh_l0")
    before = layer.state_dict()
    with pytest.raises(
        ValueError, match=r"missing: bias_hh_l0 \(6,\); unexpected: weight_ih_l1 \(6,\); weight_ih_l0: shape \(3, 6\)"
    ):
        nn.from_torch_state_dict(layer, arrays)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(3, 2, peepholes=True),
        nn.LSTM(3, 2, coupled=True),
        nn.LSTM(3, 2, norm=nn.LayerNorm),
        nn.GRU(3, 2, reset="before"),
    ],
    ids=["peepholes", "coupled", "norm", "reset before"],
)
def test_what_pytorch_does_not_have_can_not_go_there(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match="can't go there"):
        nn.to_torch_state_dict(layer)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_keras_gru_by_the_table() -> None:
    """Keras' equations (GRU, reset_after=True), with its gates z, r, h and its two biases."""
    n, d = 3, 2
    rng = np.random.default_rng(0)
    kernel, recurrent, bias = (rng.normal(size=s) for s in [(n, 3 * d), (d, 3 * d), (2, 3 * d)])
    cell = nn.GRUCell(n, d, dtype=np.float64)

    def reordered(a: np.ndarray) -> np.ndarray:
        z, r, h = np.split(a, 3, axis=-1)
        return np.concatenate([r, z, h], axis=-1)

    of_input, of_state = reordered(bias)
    b = of_input + np.concatenate([of_state[: 2 * d], np.zeros(d)])
    cell.load_state_dict({"U": reordered(kernel), "W": reordered(recurrent), "b": b, "b_hn": of_state[2 * d :]})

    x, h = rng.normal(size=(4, n)), rng.normal(size=(4, d))
    x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3, axis=-1)
    h_z, h_r, h_h = np.split(h @ recurrent + bias[1], 3, axis=-1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    expected = z * h + (1 - z) * np.tanh(x_h + r * h_h)
    np.testing.assert_allclose(cell(x, h)[0].data, expected, rtol=0, atol=1e-12)


def test_onnx_lstm_by_the_table() -> None:
    """ONNX' equations (LSTM with peepholes), with its gates i, o, f, c and its biases of W and R."""
    n, d = 3, 2
    rng = np.random.default_rng(0)
    W, R, B, P = (rng.normal(size=s) for s in [(1, 4 * d, n), (1, 4 * d, d), (1, 8 * d), (1, 3 * d)])
    cell = nn.LSTMCell(n, d, peepholes=True, dtype=np.float64)

    def reordered(a: np.ndarray) -> np.ndarray:
        i, o, f, c = np.split(a, 4, axis=-1)
        return np.concatenate([i, f, c, o], axis=-1)

    p_i, p_o, p_f = P[0].reshape(3, d)
    cell.load_state_dict(
        {
            "U": reordered(W[0].T),
            "W": reordered(R[0].T),
            "b": reordered(B[0].reshape(2, 4 * d).sum(0)),
            "P": np.stack([p_i, p_f, p_o]),
        }
    )

    x, h, c = (rng.normal(size=(4, size)) for size in (n, d, d))
    a_i, a_o, a_f, a_c = np.split(x @ W[0].T + h @ R[0].T + B[0, : 4 * d] + B[0, 4 * d :], 4, axis=-1)
    i, f = sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c)
    new_c = f * c + i * np.tanh(a_c)
    expected = sigmoid(a_o + p_o * new_c) * np.tanh(new_c)
    got, state = cell(x, (h, c))
    np.testing.assert_allclose(got.data, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(state.c.data, new_c, rtol=0, atol=1e-12)


@pytest.mark.parametrize("linear_before_reset", [1, 0])
def test_onnx_gru_by_the_table(linear_before_reset: int) -> None:
    """ONNX' equations (GRU), with its gates z, r, h and its biases of W and R."""
    n, d = 3, 2
    rng = np.random.default_rng(0)
    W, R, B = (rng.normal(size=s) for s in [(1, 3 * d, n), (1, 3 * d, d), (1, 6 * d)])
    cell = nn.GRUCell(n, d, reset="after" if linear_before_reset else "before", dtype=np.float64)

    def reordered(a: np.ndarray) -> np.ndarray:
        z, r, h = np.split(a, 3, axis=-1)
        return np.concatenate([r, z, h], axis=-1)

    U, recurrent, (of_input, of_state) = reordered(W[0].T), reordered(R[0].T), reordered(B[0].reshape(2, 3 * d))
    if linear_before_reset:
        b = of_input + np.concatenate([of_state[: 2 * d], np.zeros(d)])
        cell.load_state_dict({"U": U, "W": recurrent, "b": b, "b_hn": of_state[2 * d :]})
    else:
        W_gates, W_n = np.split(recurrent, [2 * d], axis=1)
        cell.load_state_dict({"U": U, "W": W_gates, "W_n": W_n, "b": of_input + of_state})

    x, h = rng.normal(size=(4, n)), rng.normal(size=(4, d))
    (Wz, Wr, Wh), (Rz, Rr, Rh) = W.reshape(3, d, n), R.reshape(3, d, d)
    Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = B.reshape(6, d)
    z = sigmoid(x @ Wz.T + h @ Rz.T + Wbz + Rbz)
    r = sigmoid(x @ Wr.T + h @ Rr.T + Wbr + Rbr)
    if linear_before_reset:
        new = np.tanh(x @ Wh.T + r * (h @ Rh.T + Rbh) + Wbh)
    else:
        new = np.tanh(x @ Wh.T + (r * h) @ Rh.T + Rbh + Wbh)
    np.testing.assert_allclose(cell(x, h)[0].data, (1 - z) * new + z * h, rtol=0, atol=1e-12)


def test_a_shared_layer_and_a_parameter_of_one_s_own() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            self.first = nn.Linear(2, 2)
            self.again = self.first
            self.scale = nn.Parameter(np.ones(3))

    arrays = nn.to_torch_state_dict(Model())
    assert set(arrays) == {"first.weight", "first.bias", "scale"}
    other = Model()
    nn.from_torch_state_dict(other, {name: array + 1 for name, array in arrays.items()})
    assert other.scale.data.tolist() == [2, 2, 2]
    np.testing.assert_array_equal(other.again.W.data, arrays["first.weight"].T + 1)
