"""A whole training step as one compiled function, its targets among the arguments: losses by index, embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn

RNG = np.random.default_rng(0)
T, B, k = 5, 3, 7
LOGITS, TARGET = RNG.normal(size=(T, B, k)), RNG.integers(k, size=(T, B))
IGNORED = np.where(RNG.random((T, B)) < 0.4, -100, TARGET)
WEIGHT = RNG.random(k) + 0.5

LOSSES = {
    "cross_entropy": lambda z, y: nn.cross_entropy(z, y),
    "weighted": lambda z, y: nn.cross_entropy(z, y, weight=WEIGHT),
    "smoothed": lambda z, y: nn.cross_entropy(z, y, label_smoothing=0.1, weight=WEIGHT),
    "sum": lambda z, y: nn.cross_entropy(z, y, "sum"),
    "none": lambda z, y: np.sum(nn.cross_entropy(z, y, "none") ** 2),
    "per instance": lambda z, y: nn.cross_entropy(z, y, "per_instance"),
    "nll": lambda z, y: nn.nll(tr.log_softmax(z), y, weight=WEIGHT),
}


def value_and_gradient(loss: Any, logits: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    z = tr.tensor(logits, requires_grad=True)
    value = loss(z, target)
    value.backward()
    return value.item(), z.grad


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_as_eagerly_and_targets_are_read_at_each_call(loss: Any) -> None:
    compiled = tr.compile(loss)
    for target in (TARGET, IGNORED, TARGET[::-1]):
        value, gradient = value_and_gradient(loss, LOGITS, target)
        found, found_gradient = value_and_gradient(compiled, LOGITS, target)
        assert found == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(found_gradient, gradient, rtol=0, atol=1e-14 * np.abs(gradient).max())
    assert len(compiled.plans) == 1


def test_what_is_ignored_may_be_nan() -> None:
    logits = np.where((IGNORED == -100)[..., None], np.nan, LOGITS)
    value, gradient = value_and_gradient(tr.compile(LOSSES["cross_entropy"]), logits, IGNORED)
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_float32_stays() -> None:
    loss = tr.compile(LOSSES["cross_entropy"])(tr.tensor(LOGITS.astype(np.float32), requires_grad=True), IGNORED)
    assert loss.dtype == np.float32


@pytest.mark.parametrize("wrong", [-1, k])
def test_classes_out_of_range_are_an_error_and_no_other_class(wrong: int) -> None:
    compiled, target = tr.compile(LOSSES["cross_entropy"]), TARGET.copy()
    target[0, 0] = wrong
    with pytest.raises(ValueError, match=f"class indices from .* but there are {k} classes"):
        compiled(LOGITS, target)


def test_bytes_in_a_vocabulary_that_bytes_cannot_count() -> None:
    embedding, output = nn.Embedding(300, 8, dtype=np.float64), RNG.normal(size=(8, 300))
    x = RNG.integers(256, size=(2, T, B)).astype(np.uint8)

    def loss(x: Any, y: Any) -> Any:
        return nn.cross_entropy(embedding(x) @ output, y)

    expected = loss(*x)
    expected.backward()
    (gradient,) = (p.grad for p in embedding.parameters())
    embedding.zero_grad()
    found = tr.compile(loss)(*x)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(embedding.E.grad, gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_a_language_model_with_its_loss(executor: str) -> None:
    rng = np.random.default_rng(0)
    parts = nn.Embedding(k, 6, seed=rng, dtype=np.float64), nn.LSTM(6, 9, seed=rng, dtype=np.float64)
    model = nn.Sequential(*parts, nn.Linear(9, k, seed=rng, dtype=np.float64))

    def loss(x: Any, y: Any) -> Any:
        hs, _ = parts[1](parts[0](x))
        return nn.cross_entropy(list(model)[2](hs), y)

    x = RNG.integers(k, size=(T, B))
    loss(x, TARGET).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    tr.compile(loss, executor=executor)(x, TARGET).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, expected[name], rtol=0, atol=1e-12 * np.abs(expected[name]).max())
