"""CTC: against all paths one by one, differences, and PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manual.numeric import assert_derivative
from tinygrad_rnn.manual.ctc import ctc, ctc_batch


def meaning(path, blank: int) -> tuple[int, ...]:
    """The labels that a path means: repetitions merged, then blanks removed."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def probability(y: np.ndarray, labels, blank: int, condition=lambda path: True) -> float:
    """p(target) by its definition, a sum over all k^T paths."""
    T, k = y.shape
    return sum(
        np.prod(y[np.arange(T), path])
        for path in itertools.product(range(k), repeat=T)
        if meaning(path, blank) == tuple(labels) and condition(path)
    )


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


@st.composite
def problems(draw: st.DrawFn):
    T, k = draw(st.integers(1, 5)), draw(st.integers(2, 3))
    blank = draw(st.integers(0, k - 1))
    others = [c for c in range(k) if c != blank]
    labels = draw(st.lists(st.sampled_from(others), max_size=T))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(T, k)), labels, blank


@given(problem=problems())
def test_loss_and_gradient_against_all_paths(problem) -> None:
    z, labels, blank = problem
    trace = ctc(z, labels, blank)
    p = probability(softmax(z), labels, blank)
    if p == 0:
        assert trace.loss == np.inf
        assert not trace.dL_dz.any()
        return
    np.testing.assert_allclose(trace.loss, -np.log(p), rtol=1e-12)

    def loss(z):
        return -np.log(probability(softmax(z), labels, blank))

    assert_derivative(loss, z, trace.dL_dz, "z")


@given(problem=problems())
def test_every_step_cuts_each_path_once(problem) -> None:
    z, labels, blank = problem
    trace = ctc(z, labels, blank)
    if trace.loss < np.inf:
        both = trace.log_alpha + trace.log_beta
        np.testing.assert_allclose(np.logaddexp.reduce(both, axis=1), -trace.loss, atol=1e-12)
        np.testing.assert_allclose(np.exp(trace.log_gamma).sum(axis=1), 1, atol=1e-12)


def test_gamma_is_the_probability_of_a_class_at_a_step() -> None:
    z = np.random.default_rng(0).normal(size=(4, 3))
    labels, blank = [1, 2], 0
    trace = ctc(z, labels, blank)
    y = softmax(z)
    p = probability(y, labels, blank)
    for t in range(4):
        for label in range(3):
            here = probability(y, labels, blank, lambda path, t=t, c=label: path[t] == c) / p
            ours = np.exp(trace.log_gamma[t, trace.symbols == label]).sum()
            np.testing.assert_allclose(ours, here, atol=1e-14)


def test_a_repeated_label_needs_a_blank_between() -> None:
    z = np.zeros((2, 2))
    assert ctc(z, [1, 1]).loss == np.inf
    np.testing.assert_allclose(ctc(np.zeros((3, 2)), [1, 1]).loss, 3 * np.log(2))


def test_a_batch_of_unequal_lengths_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    T, B, k, blank = 12, 4, 5, 2
    z = rng.normal(size=(T, B, k)) * 3
    labels = [[0, 1, 1], [4], [3, 3, 3, 0], []]
    lengths = [12, 5, 9, 7]
    ours = ctc_batch(z, labels, lengths, blank)
    zt = torch.tensor(z, requires_grad=True)
    losses = torch.nn.functional.ctc_loss(
        zt.log_softmax(-1),
        torch.tensor([c for target in labels for c in target]),
        torch.tensor(lengths),
        torch.tensor([len(target) for target in labels]),
        blank=blank,
        reduction="none",
    )
    losses.mean().backward()
    np.testing.assert_allclose(ours.losses, losses.detach(), rtol=1e-12)
    np.testing.assert_allclose(ours.loss, losses.mean().item(), rtol=1e-12)
    np.testing.assert_allclose(ours.dL_dz, zt.grad, atol=1e-13)


def test_long_sequences_neither_underflow_nor_overflow() -> None:
    z = np.random.default_rng(0).normal(size=(2000, 30)) * 50
    trace = ctc(z, list(range(1, 30)) * 20)
    assert np.isfinite(trace.loss)
    assert np.isfinite(trace.dL_dz).all()
    np.testing.assert_allclose(np.exp(trace.log_gamma).sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(trace.dL_dz.sum(axis=1), 0, atol=1e-9)


def test_float32_stays_float32() -> None:
    trace = ctc(np.zeros((4, 3), dtype=np.float32), [1, 2])
    assert trace.dL_dz.dtype == trace.log_alpha.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": np.ones((4, 3))}, r"expected \(T, B, k\)"),
        ({"labels": [[1]]}, r"1 targets and 2 lengths for a batch of 2"),
        ({"lengths": [5, 1]}, r"lengths \[5, 1\] must lie in 1\.\.4"),
        ({"labels": [[1], [0]]}, r"the labels \[0\] must .* not be the blank 0"),
        ({"labels": [[1], [3]]}, r"the labels \[3\] must lie in 0\.\.2"),
        ({"blank": 3}, r"the blank is class 3, but there are only classes 0\.\.2"),
        ({"z": np.ones((0, 2, 3))}, r"must lie in 1\.\.0"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(change: dict, message: str) -> None:
    arguments = {"z": np.ones((4, 2, 3)), "labels": [[1], [2]]} | change
    with pytest.raises(ValueError, match=message):
        ctc_batch(**arguments)
