"""CTC against PyTorch, against the formulas derived by hand, and against all paths one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.manual import ctc as manual

T, K = 8, 4
INPUTS = np.array([8, 5, 3, 6, 1, 0, 4])
TARGETS = [[1, 2, 3], [2, 2], [1, 1, 1], [], [3], [], [1]]
SIZES = np.array([len(target) for target in TARGETS])
PADDED = np.array([target + [3] * (3 - len(target)) for target in TARGETS])
SCORES = np.random.default_rng(0).normal(size=(T, len(INPUTS), K)) * 2


def run(scores: np.ndarray, targets: Any = PADDED, reduction: str = "none", **options: Any) -> tuple[Any, Any]:
    z = tr.tensor(scores, requires_grad=True)
    loss = nn.ctc(tr.log_softmax(z, axis=-1), targets, INPUTS, SIZES, reduction=reduction, **options)
    np.sum(np.where(np.isfinite(loss.data), loss, 0)).backward()
    return loss.data, z.grad


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


def test_against_all_paths_one_by_one() -> None:
    losses, _ = run(SCORES)
    log_p = SCORES - np.log(np.exp(SCORES).sum(-1, keepdims=True))
    for b, (steps, target) in enumerate(zip(INPUTS, TARGETS)):
        if steps > 6:
            continue
        total = sum(
            np.exp(sum(log_p[t, b, label] for t, label in enumerate(path)))
            for path in itertools.product(range(K), repeat=int(steps))
            if collapsed(path) == target
        )
        with np.errstate(divide="ignore"):
            assert losses[b] == pytest.approx(-np.log(total), abs=1e-12)


def test_against_the_formulas() -> None:
    losses, gradient = run(SCORES)
    for b, (steps, target) in enumerate(zip(INPUTS, TARGETS)):
        if not steps:
            continue
        trace = manual.ctc(SCORES[:steps, b], target)
        np.testing.assert_allclose(losses[b], trace.loss, rtol=0, atol=1e-12)
        np.testing.assert_allclose(gradient[:steps, b], trace.dL_dz, rtol=0, atol=1e-12)
        assert not gradient[steps:, b].any()


@pytest.mark.parametrize("form", ["padded", "in a row"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("blank", [0, 2])
def test_against_pytorch(form: str, reduction: str, blank: int) -> None:
    torch = pytest.importorskip("torch")
    classes = [c for c in range(K) if c != blank]
    targets = [[classes[label - 1] for label in target] for target in TARGETS]
    given = PADDED.copy()
    for row, target in zip(given, targets):
        row[: len(target)] = target
    if form == "in a row":
        given = np.concatenate(targets).astype(int)
    options = {"blank": blank, "reduction": reduction, "zero_infinity": True}
    loss, gradient = run(SCORES, given, **options)
    z = torch.from_numpy(SCORES.copy()).requires_grad_()
    expected = torch.nn.functional.ctc_loss(
        z.log_softmax(-1), torch.from_numpy(given), torch.from_numpy(INPUTS), torch.from_numpy(SIZES), **options
    )
    expected.sum().backward()
    np.testing.assert_allclose(loss, expected.detach(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(gradient, z.grad, rtol=0, atol=1e-9)


def test_a_target_that_no_path_can_mean() -> None:
    losses, gradient = run(SCORES)
    assert np.isinf(losses[2])  # 1 1 1 needs blanks between: five steps, and there are three
    assert np.isfinite(gradient).all()
    assert run(SCORES, zero_infinity=True)[0][2] == 0


@pytest.mark.parametrize("filler", [np.nan, np.inf])
def test_what_stands_in_the_padding_changes_no_bit(filler: float) -> None:
    valid = np.arange(T)[:, None, None] < INPUTS[:, None]

    def results(filler: float) -> tuple[Any, Any]:
        log_p = tr.tensor(np.where(valid, SCORES, filler), requires_grad=True)
        loss = nn.ctc(log_p, PADDED, INPUTS, SIZES, zero_infinity=True)
        loss.backward()
        return loss.data, log_p.grad

    for got, expected in zip(results(filler), results(0.0), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_gradient_by_differences() -> None:
    log_p = SCORES - np.log(np.exp(SCORES).sum(-1, keepdims=True))
    keep = [0, 1, 3, 6]
    f = lambda x: nn.ctc(x, PADDED[keep], INPUTS[keep], SIZES[keep], reduction="none")  # noqa: E731
    assert tr.gradcheck(f, [log_p[:, keep]])


@given(
    target=st.lists(st.integers(1, 2), max_size=3),
    steps=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_any_target_against_all_paths(target: list[int], steps: int, seed: int) -> None:
    log_p = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), size=steps))
    total = sum(
        np.exp(sum(log_p[t, label] for t, label in enumerate(path)))
        for path in itertools.product(range(3), repeat=steps)
        if collapsed(path) == target
    )
    loss = nn.ctc(tr.tensor(log_p[:, None]), np.array([target], int), [steps], [len(target)], reduction="sum").item()
    assert np.exp(-loss) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_probabilities": SCORES[0]}, r"\(T, B, k\)"),
        ({"input_lengths": INPUTS + 1}, "from 0 to 8"),
        ({"targets": PADDED[:, :2]}, r"\(7, 3 or more\)"),
        ({"targets": np.where(PADDED == 3, 4, PADDED)}, "other than blank"),
        ({"targets": np.where(PADDED == 2, 0, PADDED)}, "other than blank"),
        ({"targets": PADDED + 0.5}, "of float64"),
        ({"target_lengths": SIZES - 1}, "7 whole numbers"),
        ({"blank": 4}, "blank is one of the 4"),
        ({"reduction": "per_instance"}, "not one of mean, sum, none"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"log_probabilities": SCORES, "targets": PADDED, "input_lengths": INPUTS, "target_lengths": SIZES}
    with pytest.raises(ValueError, match=message):
        nn.ctc(**{**given, **change})
