"""Recurrent layers against PyTorch's: outputs, final states and every gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

torch = pytest.importorskip("torch")

N, D, B, T = 3, 4, 5, 6
LENGTHS = [6, 1, 4, 3, 1]

KINDS = {
    "RNN": (nn.RNN, torch.nn.RNN, {}, {}),
    "RNN relu": (nn.RNN, torch.nn.RNN, {"activation": "relu"}, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, torch.nn.LSTM, {}, {}),
    "LSTM projection": (nn.LSTM, torch.nn.LSTM, {"projection": 2}, {"proj_size": 2}),
    "GRU": (nn.GRU, torch.nn.GRU, {}, {}),
}


def leaf(array: np.ndarray) -> Any:
    return torch.from_numpy(array.copy()).requires_grad_()


def parts(state: Any) -> list[Any]:
    """The arrays of a state, ours or PyTorch's."""
    return list(state) if isinstance(state, tuple) else [state]


def initial_states(layer: Any, xs: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    _, state = layer(xs)
    return [rng.normal(size=part.shape) for part in parts(state)]


def assert_close(got: Any, expected: Any, what: str) -> None:
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9, err_msg=what)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("form", "with_state"),
    [("unbatched", True), ("batch", False), ("lengths", False), ("lengths", True), ("batch_first", True)],
)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_states_and_gradients(
    kind: str, num_layers: int, bidirectional: bool, bias: bool, form: str, with_state: bool
) -> None:
    ours, theirs, own_options, torch_options = KINDS[kind]
    shape = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    first = form == "batch_first"
    layer = ours(N, D, **shape, **own_options, batch_first=first, dtype=np.float64, seed=1)
    twin = theirs(N, D, **shape, **torch_options, batch_first=first, dtype=torch.float64)
    twin.load_state_dict({k: torch.from_numpy(a) for k, a in nn.to_torch_state_dict(layer).items()})

    rng = np.random.default_rng(0)
    batch = () if form == "unbatched" else (B,)
    xs = rng.normal(size=(B, T, N) if first else (T, *batch, N))
    x, x_twin = tr.tensor(xs, requires_grad=True), leaf(xs)
    state = state_twin = None
    if with_state:
        arrays = initial_states(layer, xs, rng)
        own, other = [tr.tensor(a, requires_grad=True) for a in arrays], [leaf(a) for a in arrays]
        state, state_twin = (tuple(own), tuple(other)) if len(own) > 1 else (own[0], other[0])

    if form == "lengths":
        output, final = layer(x, state, lengths=LENGTHS)
        pack = torch.nn.utils.rnn
        packed, final_twin = twin(pack.pack_padded_sequence(x_twin, LENGTHS, enforce_sorted=False), state_twin)
        output_twin, _ = pack.pad_packed_sequence(packed, total_length=T)
    else:
        output, final = layer(x, state)
        output_twin, final_twin = twin(x_twin, state_twin)

    ours_out, theirs_out = [output, *parts(final)], [output_twin, *parts(final_twin)]
    loss, loss_twin = 0.0, 0.0
    for a, b in zip(ours_out, theirs_out, strict=True):
        assert_close(a.data, b.detach(), "outputs and final states")
        weights = rng.normal(size=a.shape)
        loss, loss_twin = loss + np.sum(a * weights), loss_twin + (b * torch.from_numpy(weights)).sum()
    loss.backward()
    loss_twin.backward()

    assert_close(x.grad, x_twin.grad, "input")
    if with_state:
        for a, b in zip(parts(state), parts(state_twin), strict=True):
            assert_close(a.grad, b.grad, "initial state")
    gradients = nn.to_torch_state_dict(layer.with_values({k: _Gradient(p) for k, p in layer.named_parameters()}))
    for name, parameter in twin.named_parameters():
        if "bias_hh" in name:  # theirs twice, ours once: in a GRU's candidate apart
            candidate = slice(2 * D, None) if kind == "GRU" else slice(0, 0)
            assert_close(gradients[name][candidate], parameter.grad[candidate], name)
        else:
            assert_close(gradients[name], parameter.grad, name)


class _Gradient:
    """A parameter's gradient in the parameter's place, so that the translation to PyTorch's layout translates it."""

    def __init__(self, parameter: Any) -> None:
        self.data = parameter.grad
        self.shape = parameter.shape
        self.ndim = parameter.ndim


@pytest.mark.parametrize("kind", KINDS)
def test_float32(kind: str) -> None:
    ours, theirs, own_options, torch_options = KINDS[kind]
    layer = ours(N, D, 2, **own_options, seed=1)
    twin = theirs(N, D, 2, **torch_options)
    twin.load_state_dict({k: torch.from_numpy(a) for k, a in nn.to_torch_state_dict(layer).items()})
    xs = np.random.default_rng(0).normal(size=(T, B, N)).astype(np.float32)
    output, _ = layer(xs)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output.data, twin(torch.from_numpy(xs))[0].detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_from_torch_and_back(kind: str) -> None:
    ours, theirs, own_options, torch_options = KINDS[kind]
    torch.manual_seed(0)
    twin = theirs(N, D, 2, bidirectional=True, **torch_options, dtype=torch.float64)
    layer = ours(N, D, 2, bidirectional=True, **own_options, dtype=np.float64)
    nn.from_torch_state_dict(layer, twin.state_dict())
    xs = np.random.default_rng(0).normal(size=(T, B, N))
    assert_close(layer(xs)[0].data, twin(torch.from_numpy(xs))[0].detach(), "from")
    twin.load_state_dict({k: torch.from_numpy(a) for k, a in nn.to_torch_state_dict(layer).items()})
    assert_close(layer(xs)[0].data, twin(torch.from_numpy(xs))[0].detach(), "and back")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (nn.RNNCell(N, D, dtype=np.float64), torch.nn.RNNCell(N, D, dtype=torch.float64)),
        (nn.LSTMCell(N, D, dtype=np.float64), torch.nn.LSTMCell(N, D, dtype=torch.float64)),
        (nn.GRUCell(N, D, dtype=np.float64), torch.nn.GRUCell(N, D, dtype=torch.float64)),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_single_cells(ours: nn.Cell, theirs: Any) -> None:
    nn.from_torch_state_dict(ours, theirs.state_dict())
    x = np.random.default_rng(0).normal(size=(B, N))
    y, _ = ours(x, ours.initial_state(x))
    expected = theirs(torch.from_numpy(x))
    assert_close(y.data, (expected[0] if isinstance(expected, tuple) else expected).detach(), "y")


def test_a_whole_model() -> None:
    class Ours(nn.Module):
        def __init__(self) -> None:
            self.embed = nn.Embedding(7, N)
            self.rnn = nn.LSTM(N, D)
            self.norm = nn.LayerNorm(D)
            self.readout = nn.Linear(D, 7)

        def forward(self, tokens: Any) -> Any:
            return self.readout(self.norm(self.rnn(self.embed(tokens))[0]))

    class Theirs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(7, N)
            self.rnn = torch.nn.LSTM(N, D)
            self.norm = torch.nn.LayerNorm(D)
            self.readout = torch.nn.Linear(D, 7)

        def forward(self, tokens: Any) -> Any:
            return self.readout(self.norm(self.rnn(self.embed(tokens))[0]))

    torch.manual_seed(0)
    ours, theirs = Ours(), Theirs()
    nn.from_torch_state_dict(ours, theirs.state_dict())
    tokens = np.random.default_rng(0).integers(0, 7, (T, B))
    np.testing.assert_allclose(ours(tokens).data, theirs(torch.from_numpy(tokens)).detach().numpy(), rtol=0, atol=1e-5)
    theirs.load_state_dict({k: torch.from_numpy(a) for k, a in nn.to_torch_state_dict(ours).items()})
