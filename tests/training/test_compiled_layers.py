"""``fit`` runs recurrent layers compiled: the same losses, and nothing is left behind."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import Batches, StreamBatches
from tinygrad_rnn.nn.compiled_cells import is_compiled
from tinygrad_rnn.training import Run, fit

RNG = np.random.default_rng(0)


class Summer(nn.Module):
    """The sum of a sequence, by a stack of two directions."""

    def __init__(self, **options: Any) -> None:
        rng = np.random.default_rng(0)
        make = lambda n: nn.GRUCell(n, 4, seed=rng, dtype=np.float64)  # noqa: E731
        self.layer = nn.Recurrent(make, inputs=2, num_layers=2, bidirectional=True, **options)
        self.readout = nn.ManyToOne(self.layer, 1, seed=rng, dtype=np.float64)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        return self.readout(x, lengths)


def data(lengths: Any, batch_size: int = 2) -> Batches:
    sequences = [RNG.normal(size=(length, 2)) for length in lengths]
    return Batches(sequences, [[s.sum()] for s in sequences], batch_size=batch_size)


def trained(batches: Batches, **options: Any) -> tuple[list[float], set[bool]]:
    """The losses, and whether cells were compiled at each step."""
    model, seen = Summer(**options.pop("layer", {})), set()

    def look(run: Run) -> None:
        seen.update(is_compiled(cell) for cell in model.layer.cells())

    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = fit(model, batches, nn.mse, optimizer, epochs=3, callbacks=[look], **options).losses
    assert not any(is_compiled(cell) for cell in model.layer.cells())
    assert next(iter(model.state_dict())) == "layer.layers.0.0.U"
    return losses, seen


def test_compiled_by_itself_with_the_same_losses() -> None:
    lengths = [5, 3, 4, 4, 1, 5]
    batches = [data(lengths) for _ in range(2)]
    batches[1].inputs, batches[1].targets = batches[0].inputs, batches[0].targets
    (compiled, seen), (plain, not_seen) = trained(batches[0]), trained(batches[1], executor=None)
    assert (seen, not_seen) == ({True}, {False})
    np.testing.assert_allclose(compiled, plain, rtol=1e-10)


def test_layers_whose_graph_is_cut_on_the_way_stay_as_they_are() -> None:
    assert trained(data([5, 3]), layer={"truncate": 2})[1] == {False}


@pytest.mark.sweep
def test_layers_with_checkpoints_are_compiled_with_the_same_losses() -> None:
    batches = [data([5, 3, 7]) for _ in range(2)]
    batches[1].inputs, batches[1].targets = batches[0].inputs, batches[0].targets
    compiled, seen = trained(batches[0], layer={"checkpoint_every": 2})
    plain, _ = trained(batches[1], executor=None)
    assert seen == {True}
    np.testing.assert_allclose(compiled, plain, rtol=1e-10)


@pytest.mark.sweep
def test_data_of_many_lengths_are_compiled_with_the_same_losses() -> None:
    lengths = [*range(1, 30), *range(29, 0, -2)]
    batches = [data(lengths) for _ in range(2)]
    batches[1].inputs, batches[1].targets = batches[0].inputs, batches[0].targets
    (compiled, seen), (plain, _) = trained(batches[0]), trained(batches[1], executor=None)
    assert seen == {True}
    np.testing.assert_allclose(compiled, plain, rtol=1e-9)


def noted(model: Any, batches: Any, **options: Any) -> dict[str, str]:
    """What a history says isn't compiled, which is what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        noted = fit(model, batches, nn.mse, optimizer, epochs=2, **options).not_compiled
    said = [f"fit: {what} isn't compiled: {why}" for what, why in noted.items()]
    assert [str(warning.message) for warning in caught] == said
    return noted


class DrawingCell(nn.GRUCell):
    noise = np.random.default_rng(0)

    def forward(self, x: Any, state: Any) -> Any:
        return super().forward(x * (1 + 0.1 * self.noise.normal()), state)


class Drawing(Summer):
    def __init__(self) -> None:
        self.layer = nn.Recurrent(lambda n: DrawingCell(n, 4, dtype=np.float64), inputs=2)
        self.readout = nn.ManyToOne(self.layer, 1, dtype=np.float64)


def test_what_is_not_compiled_is_said_once_and_why() -> None:
    one = data([5, 5, 5, 5])
    assert noted(Summer(), one) == noted(Drawing(), one, executor=None, whole_step=True) == {}
    for options in {}, {"whole_step": True}:
        found = noted(Drawing(), one, **options)
        assert [*found] == ["the whole step"] * len(options) + ["layer layer"]
        assert all(why.startswith("this function draws random numbers inside") for why in found.values())
    assert noted(Summer(), data(range(1, 18), batch_size=1)) == {}


def test_layers_are_as_before_after_an_error() -> None:
    model = Summer()

    def fail(run: Run) -> None:
        assert is_compiled(model.layer.cells()[0])
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        fit(model, data([3, 2]), nn.mse, optim.SGD(model.parameters()), steps=1, callbacks=[fail])
    assert not is_compiled(model.layer.cells()[0])


def test_step_counts() -> None:
    assert data([3, 2, 3]).step_counts() == {2, 3}
    stream = StreamBatches(np.arange(24), batch_size=2, steps=4)
    assert stream.step_counts() == {len(batch.inputs) for batch in stream} == {4, 3}
    whole = StreamBatches(np.arange(24), batch_size=2, steps=4, drop_last=True)
    assert whole.step_counts() == {len(batch.inputs) for batch in whole} == {4}
    assert Batches(
        np.zeros((2, 3)), [[1, 2], [3]], batch_size=2, input_sequences=False, target_sequences=True
    ).step_counts() == {1, 2}
