"""Classes of one's own: what a subclass forgot is said by name, and what it brings along is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches
from tinygrad_rnn.nn.cells.base import dtype_of
from tinygrad_rnn.training import fit

XS = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)


class Unfinished(nn.Module):
    pass


class UnfinishedAttention(nn.Attention):
    pass


class AttentionWithKeys(nn.Attention):
    def keys_of(self, values: Any) -> Any:
        return values


class UnfinishedSchedule(optim.Schedule):
    pass


class UnfinishedOptimizer(optim.Optimizer):
    pass


def parameter() -> nn.Parameter:
    p = nn.Parameter(np.ones(2))
    p.grad = np.ones(2)
    return p


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Unfinished()(1), r"Unfinished has no forward\(\) method: write what it computes"),
        (lambda: UnfinishedAttention().memory(XS), r"UnfinishedAttention has no keys_of\(\) method"),
        (lambda: (a := AttentionWithKeys())(XS[0], a.memory(XS)), r"AttentionWithKeys has no scores\(\) method"),
        (lambda: UnfinishedOptimizer([parameter()]).step(), r"UnfinishedOptimizer has no updated\(\) method"),
        (lambda: UnfinishedSchedule(optim.SGD([parameter()], lr=1.0)), r"UnfinishedSchedule has no rate\(\) method"),
    ],
)
def test_a_method_that_is_not_written_yet(call: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


def test_what_modules_and_optimisers_show_of_themselves() -> None:
    model = nn.Linear(3, 2, seed=0)
    assert repr(model) == "Linear(W (3, 2), b (2,))"
    groups = [{"params": model.W, "lr": 0.5}, {"params": model.b}]
    assert repr(optim.SGD(groups, lr=0.1)) == (
        "SGD(lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False; "
        "lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)"
    )


def test_a_cell_may_bring_its_own_way_through_time() -> None:
    """As a kernel of its own would: it is asked once, with everything that ``unroll`` was given."""

    class Summing(nn.Module):
        def unroll(self, xs: Any, state: Any, steps: Any, *, reverse: bool) -> Any:
            order = slice(None, None, -1 if reverse else 1)
            ys = np.cumsum(xs[order], axis=0)[order] + state
            return ys, ys[0 if reverse else -1]

    ys, last = tr.unroll(Summing(), XS, state=1.0)
    np.testing.assert_array_equal(ys, 1 + np.cumsum(XS, axis=0))
    np.testing.assert_array_equal(last, ys[-1])
    backwards, last = tr.unroll(Summing(), XS, state=1.0, reverse=True)
    np.testing.assert_allclose(backwards[0], 1 + XS.sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(last, backwards[0])


def test_without_parameters_numbers_are_float32() -> None:
    assert dtype_of(Unfinished()) == np.float32
    assert nn.StackedCell([lambda x, h: x]).zeros(XS[0], 5).dtype == np.float32


def test_errors_inside_wrappers_say_what_the_cell_inside_takes() -> None:
    for cell in (nn.DropoutCell(nn.LSTMCell(5, 4)), nn.StackedCell([nn.LSTMCell(5, 4), nn.GRUCell(4, 2)])):
        with pytest.raises(ValueError, match=r"LSTMCell\(5, 4\) takes x of shape \(B, 5\)"):
            tr.unroll(cell, XS)
    assert nn.StackedCell([nn.LSTMCell(5, 4), nn.GRUCell(4, 2)]).outputs == 2


def test_plain_functions_can_be_stacked() -> None:
    """They know no sizes, and so the stack knows none; what it computes is one function of the other."""
    stack = nn.StackedCell([lambda x, h: np.tanh(x + h), lambda x, h: 2 * x - h])
    assert not hasattr(stack, "inputs") and not hasattr(stack, "units") and stack.describe() == ""
    start = np.zeros((2, 3))
    ys, (low, high) = tr.unroll(stack, XS, state=(start, start))
    inner, last = tr.unroll(lambda x, h: np.tanh(x + h), XS, state=start)
    outer, top = tr.unroll(lambda x, h: 2 * x - h, inner, state=start)
    for found, expected in ((ys, outer), (low, last), (high, top)):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_states_of_several_layers_may_come_as_a_list() -> None:
    layer = nn.Recurrent([nn.GRUCell(3, 4, seed=0), nn.RNNCell(4, 4, seed=0)])
    states = [np.full((2, 4), value, np.float32) for value in (0.5, -0.5)]
    as_list, as_tuple = layer(XS, states), layer(XS, tuple(states))
    np.testing.assert_array_equal(as_list[0].data, as_tuple[0].data)
    with pytest.raises(ValueError, match="2 cells need a tuple of 2 states, not a list of 1"):
        layer(XS, states[:1])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: nn.DotProductAttention(3, 3).memory(XS[:, 0, 0], lengths=[2]),
            r"lengths= are for a padded batch .* of shape \(4,\)",
        ),
        (
            lambda: nn.EncoderDecoder(None, nn.GRU(3, 4, batch_first=True), None),
            "the encoder takes time first; leave batch_first=False",
        ),
    ],
)
def test_what_does_not_fit_together(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


def test_a_search_ends_when_every_beginning_has() -> None:
    """After the first symbol nothing but the end has a chance."""

    def step(symbols: Any, state: Any) -> tuple[Any, Any]:
        logits = np.full((len(symbols), 3), -np.inf)
        logits[:, 1] = np.where(symbols == 0, 0.0, -np.inf)
        logits[:, 2] = np.where(symbols == 0, -np.inf, 0.0)
        return logits, state

    (only,) = nn.beam_search(step, None, start=0, end=2, width=1, max_steps=50)
    assert only.symbols == (1,) and only.log_probability == 0.0


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layers_without_biases_go_to_pytorch_and_back(kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours = getattr(nn, kind)(3, 4, bias=False, seed=0)
    theirs = getattr(torch.nn, kind)(3, 4, bias=False)
    theirs.load_state_dict({name: torch.tensor(a) for name, a in nn.to_torch_state_dict(ours).items()})
    expected = theirs(torch.tensor(XS))[0].detach().numpy()
    np.testing.assert_allclose(ours(XS)[0].data, expected, rtol=1e-5, atol=1e-6)
    again = getattr(nn, kind)(3, 4, bias=False, seed=1)
    nn.from_torch_state_dict(again, theirs.state_dict())
    assert all(np.array_equal(a, again.state_dict()[name]) for name, a in ours.state_dict().items())


class Fading:
    """A cell that is no module: it has nothing but its numbers and one method."""

    def __init__(self, inputs: int, units: int, rng: np.random.Generator) -> None:
        self.U = nn.Parameter(rng.normal(size=(inputs, units)))
        self.W = nn.Parameter(rng.normal(size=(units, units)) / units)

    def __call__(self, x: Any, h: Any) -> Any:
        return np.tanh(x @ self.U + h @ self.W)


class WithFading(nn.Module):
    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        stack = nn.StackedCell([Fading(3, 4, rng), nn.ResidualCell(Fading(4, 4, rng))])
        self.layer = nn.Recurrent(stack)

    def forward(self, x: Any) -> Any:
        start = np.zeros((np.shape(x)[1], 4))
        return self.layer(x, (start, start))[0]


def test_parameters_of_a_plain_class_are_found_saved_and_learnt() -> None:
    model, twin = WithFading(0), WithFading(1)
    places = [f"layer.layers.0.cells.{place}" for place in ("0.U", "0.W", "1.cell.U", "1.cell.W")]
    assert [path for path, _ in model.named_parameters()] == places
    twin.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(twin(XS).data, model(XS).data)

    before = model.state_dict()
    batches = Batches(XS.swapaxes(0, 1), np.ones((2, 4, 4)), batch_size=None, target_sequences=True)
    fit(model, batches, nn.mse, optim.SGD(model.parameters(), lr=0.1), steps=2)
    assert not any(np.array_equal(before[path], after) for path, after in model.state_dict().items())
    np.testing.assert_array_equal(twin.state_dict()[places[0]], before[places[0]])


def test_parameters_of_a_plain_class_take_other_values_in_a_copy_alone() -> None:
    model = WithFading(0)
    own, before = dict(model.named_parameters()), model(XS).data
    assert tr.gradcheck(lambda *arrays: model.with_values(dict(zip(own, arrays)))(XS), list(own.values()))
    assert not np.array_equal(model.with_values({path: p.data + 1 for path, p in own.items()})(XS), before)
    np.testing.assert_array_equal(model(XS).data, before)
