"""Updates by machine code: the same numbers as the rules give on arrays, whatever the rule."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim
from tinygrad_rnn.optim import one_pass

from .test_optimizers import every_rule, gradients, leaves

pytest.importorskip("llvmlite")
SHAPES = [(3, 4), (4,), (), (2, 3, 70), (1, 0)]


def trained(kind: Any, executor: str, dtype: Any = np.float64, steps: int = 6, **options: Any) -> optim.Optimizer:
    rng = np.random.default_rng(3)
    optimizer: optim.Optimizer = kind([nn.Parameter(rng.normal(size=s).astype(dtype)) for s in SHAPES], **options)
    optimizer.executor = executor
    for step in range(steps):
        for i, parameter in enumerate(optimizer.parameters):
            g = np.asarray(rng.normal(size=parameter.shape), dtype)
            parameter.grad = None if (step, i) == (2, 0) else g  # so that steps are counted apart
        optimizer.param_groups[0]["lr"] *= 0.9
        optimizer.step()
    return optimizer


def assert_alike(found: optim.Optimizer, expected: optim.Optimizer, units: float = 4) -> None:
    """Parameters, and all that is remembered, to a few roundings."""
    for a, b in zip(found.parameters, expected.parameters, strict=True):
        pairs = [(a.data, b.data)]
        assert found.state[a].keys() == expected.state[b].keys()
        pairs += [(np.asarray(found.state[a][name]), np.asarray(expected.state[b][name])) for name in found.state[a]]
        for x, y in pairs:
            assert x.dtype == y.dtype and x.shape == y.shape
            if x.dtype.kind == "f":
                tolerance = units * np.finfo(x.dtype).eps
                np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
            else:
                assert x == y


@pytest.mark.one_in(3)
@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_rule_gives_the_same_numbers(kind: str, options: dict[str, Any], dtype: Any) -> None:
    method = getattr(optim, kind)
    found, expected = (trained(method, executor, dtype, **options) for executor in ("llvm", "numpy"))
    assert found._one_pass._is_by_element and found._one_pass._programs  # it did run as machine code
    assert_alike(found, expected, units=20)


def test_large_parameters_are_shared_among_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_pass, "SHARED", 1)
    assert_alike(trained(optim.Adam, "llvm"), trained(optim.Adam, "numpy"), units=20)


def test_an_update_does_not_reach_arrays_that_somebody_else_has() -> None:
    """Neither old weights, nor gradients, which the first step of SGD with momentum remembers as they are."""
    optimizer = optim.SGD(leaves(), lr=0.1, momentum=0.9)
    optimizer.executor = "llvm"
    for step in range(3):
        kept = [(p.data, p.data.copy()) for p in optimizer.parameters]
        for parameter, g in zip(optimizer.parameters, gradients(step), strict=True):
            parameter.grad = g
            kept.append((g, g.copy()))
        optimizer.step()
        assert all(np.array_equal(now, before) for now, before in kept)


class LionLike(optim.Optimizer):
    """A rule of a user's, element by element, that counts in the object itself."""

    calls = 0

    def __init__(self, parameters: Any, lr: float = 0.1) -> None:
        super().__init__(parameters, lr=lr)

    def updated(self, value: Any, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        self.calls += 1
        mean = state["mean"] = 0.9 * state.get("mean", 0.0) + np.maximum(np.abs(gradient), -gradient) ** 2 / self.calls
        step = same = group["lr"] * mean
        step *= 0.5
        return value - step - same


class Normalised(LionLike):
    """A rule that looks at all elements at once."""

    def updated(self, value: Any, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        state["step"] = state.get("step", 0) + 1
        return value - group["lr"] / state["step"] * gradient / (np.linalg.norm(gradient) + 1e-3)


class Choosing(LionLike):
    """A rule that decides by what the elements are."""

    def updated(self, value: Any, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> Any:
        state["step"] = state.get("step", 0) + 1
        return value - group["lr"] * gradient if np.size(gradient) and (gradient > 0).any() else value / 2


@pytest.mark.parametrize("kind", [LionLike, Normalised, Choosing])
def test_rules_of_a_users_own(kind: Any) -> None:
    found, expected = trained(kind, "llvm"), trained(kind, "numpy")
    assert_alike(found, expected, units=20)
    assert found._one_pass._is_by_element == (kind is LionLike)
    assert found.calls == expected.calls  # type: ignore[attr-defined]


def test_a_schedule_needs_no_new_machine_code_and_a_copy_makes_its_own() -> None:
    optimizer = trained(optim.Adam, "llvm", steps=5)
    count = len(optimizer._one_pass._programs)
    again = copy.deepcopy(optimizer)
    schedule = optim.CosineAnnealingLR(again, T_max=7)
    for _ in range(7):
        again.step()
        schedule.step()
    assert len(again._one_pass._programs) == count


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    optimizer, other = (trained(optim.AdamW, "llvm", steps=n) for n in (3, 1))
    other.load_state_dict(optimizer.state_dict())
    for a, b in zip(optimizer.parameters, other.parameters, strict=True):
        b.data, b.grad = a.data, a.grad
    for each in (optimizer, other):
        each.step()
    assert all(np.array_equal(a.data, b.data) for a, b in zip(optimizer.parameters, other.parameters, strict=True))


def test_gradients_of_another_type_or_layout_are_taken_as_they_are() -> None:
    results = []
    for executor in ("llvm", "numpy", "numba"):
        W = tr.tensor(np.ones((3, 80), np.float32), requires_grad=True)
        optimizer = optim.Adam([W], lr=0.1)
        optimizer.executor = executor
        for g in (np.ones((3, 80)), np.ones((80, 3), np.float32).T, np.broadcast_to(np.float32(2), (3, 80))):
            W.grad = g
            optimizer.step()
        results.append(W.data)
    np.testing.assert_allclose(*results[:2], rtol=1e-6)
    np.testing.assert_array_equal(results[0], results[2])  # the earlier name of the same


def test_another_executor_is_refused() -> None:
    optimizer = optim.SGD(leaves(), lr=0.1)
    optimizer.executor = "cuda"
    with pytest.raises(ValueError, match="SGD: executor is 'numpy' or 'llvm', not 'cuda'"):
        optimizer.step()
