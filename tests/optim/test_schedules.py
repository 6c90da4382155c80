"""Learning rates over time, against PyTorch's and by their own promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_rnn import nn, optim

SCHEDULES: dict[str, Any] = {
    "step": lambda m, o: m.StepLR(o, 3, 0.5),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.9),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 30, 0.01),
    "warm-up": lambda m, o: m.LinearLR(o, 0.1, 1.0, 7),
    "lambda": lambda m, o: m.LambdaLR(o, lambda n: 1 / (1 + n)),
    "warm-up, then cosine": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, 1.0, 7), m.CosineAnnealingLR(o, 30)], [7]
    ),
}


def sgd(*rates: float) -> optim.SGD:
    return optim.SGD([{"params": [nn.Parameter(np.ones(1))], "lr": rate} for rate in rates or (0.1,)])


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.filterwarnings("ignore")  # PyTorch's remarks on the order of calls
def test_rates_as_pytorch_has_them(make: Any) -> None:
    torch = pytest.importorskip("torch")
    own = sgd(0.1, 2.0)
    twin = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (0.1, 2.0)])
    schedule, other = make(optim, own), make(torch.optim.lr_scheduler, twin)
    for _ in range(30):
        assert schedule.get_last_lr() == pytest.approx([g["lr"] for g in twin.param_groups], rel=1e-9, abs=1e-12)
        twin.step()
        schedule.step()
        other.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "cooldown": 3, "factor": 0.5, "min_lr": 0.01},
        {"patience": 1, "mode": "max", "threshold_mode": "abs", "threshold": 0.5},
    ],
)
def test_plateaus_as_pytorch_sees_them(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    own, twin = sgd(1.0), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = optim.ReduceLROnPlateau(own, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(twin, **options)
    for metric in np.random.default_rng(0).uniform(1, 3, 60):
        schedule.step(metric)
        other.step(metric)
        assert schedule.get_last_lr() == pytest.approx([twin.param_groups[0]["lr"]], rel=1e-12)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_nan_is_no_improvement(mode: str) -> None:
    own = sgd(1.0)
    schedule = optim.ReduceLROnPlateau(own, mode=mode, patience=1)
    for metric in [np.nan, np.nan]:
        schedule.step(metric)
    assert schedule.get_last_lr() == [0.1]


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_going_on_from_a_saved_state(make: Any) -> None:
    own, again = sgd(0.1, 2.0), sgd(0.1, 2.0)
    schedule, other = make(optim, own), make(optim, again)
    for _ in range(11):
        schedule.step()
    again.load_state_dict(own.state_dict())
    other.load_state_dict(schedule.state_dict())
    for _ in range(5):
        schedule.step()
        other.step()
        assert schedule.get_last_lr() == other.get_last_lr()


def test_a_plateau_goes_on_from_a_saved_state() -> None:
    schedules = [optim.ReduceLROnPlateau(sgd(1.0), patience=1) for _ in range(2)]
    for metric in (3.0, 3.0):
        schedules[0].step(metric)
    schedules[1].load_state_dict(schedules[0].state_dict())
    for schedule in schedules:
        schedule.step(3.0)
        assert schedule.get_last_lr() == [0.1]


def test_parameters_that_come_later_have_the_rate_of_the_hour() -> None:
    own = sgd(1.0)
    schedule = optim.ExponentialLR(own, 0.5)
    schedule.step()
    own.add_param_group({"params": [nn.Parameter(np.zeros(1))], "lr": 8.0})
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 2.0]


def test_wrong_options_are_refused() -> None:
    own = sgd()
    with pytest.raises(ValueError, match="step_size"):
        optim.StepLR(own, 0)
    with pytest.raises(ValueError, match="T_max is 1 or more"):
        optim.CosineAnnealingLR(own, 0)
    with pytest.raises(ValueError, match="total_iters is 1 or more"):
        optim.LinearLR(own, total_iters=0)
    with pytest.raises(ValueError, match="1 milestones"):
        optim.SequentialLR(own, [optim.ExponentialLR(own, 0.9), optim.ExponentialLR(own, 0.5)], [])
    with pytest.raises(ValueError, match="mode"):
        optim.ReduceLROnPlateau(own, mode="least")
    with pytest.raises(ValueError, match="factor"):
        optim.ReduceLROnPlateau(own, factor=1.0)
