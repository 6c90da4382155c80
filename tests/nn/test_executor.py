"""Layers whose loops run compiled: the same results as step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn
from tinygrad_rnn.nn.compiled_cells import is_compiled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3, 5))


def results(layer: Any, lengths: Any) -> list[np.ndarray]:
    """The outputs, the final states and all gradients."""
    output, state = layer(X, lengths=lengths)
    final = state if isinstance(state, tuple) else (state,)
    loss = (output * output).sum() + sum((part * part).sum() for part in final)
    layer.zero_grad()
    loss.backward()
    return [output.data, *(part.data for part in final), *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("lengths", [None, [7, 3, 0]])
def test_as_step_by_step(kind: Any, options: dict[str, Any], lengths: Any) -> None:
    eager, fast = (kind(5, 4, executor=executor, seed=0, dtype=np.float64, **options) for executor in (None, "numpy"))
    assert all(map(is_compiled, fast.cells())) and not any(map(is_compiled, eager.cells()))
    assert list(eager.state_dict()) == list(fast.state_dict())
    for a, b in zip(results(eager, lengths), results(fast, lengths), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-12 * np.abs(a).max())


def test_a_layer_that_goes_in_pieces_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"all of its steps.*truncate=2"):
        nn.LSTM(3, 4, truncate=2, executor="numpy")


def test_an_unknown_executor() -> None:
    with pytest.raises(ValueError, match="'numpy', 'llvm', 'auto', 'jax', not 'gpu'"):
        nn.GRU(3, 4, executor="gpu")


@pytest.mark.parametrize("inputs", [(2, 3, 7), (2, 7)])
def test_wrong_inputs_are_told_layer_and_what_is_taken(inputs: tuple[int, ...]) -> None:
    """As by layers that run step by step."""
    told = r"^matmul at layer 0, step 1: .* inner sizes 7 and 4 differ. RNNCell\(4, 5\) takes x"
    for executor in (None, "numpy"):
        with pytest.raises(ValueError, match=told):
            nn.RNN(4, 5, executor=executor)(np.zeros(inputs))
