"""Schedules of the learning rate over the course of training.

A schedule is a rule, ``rate(base, n)``: the learning rate after n steps of the schedule, where ``base`` is the
optimiser's first learning rate. ``schedule.step()`` counts and sets the rate of every group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .optimizer import Optimizer


class Schedule:
    """The base of the schedules that depend on the number of steps alone. A subclass defines ``rate``.

    Args:
        optimizer: the optimiser whose groups get the rates; their present rate is the base.

    Attributes:
        last_epoch: the number of steps so far (epochs or updates, as you call ``step``).
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.last_epoch = 0
        self._set()

    def rate(self, base: float, n: int) -> float:
        """The learning rate after n steps; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has no rate() method: write the rate after n steps")

    def step(self) -> None:
        """Count one step, and set the rates."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = self.rate(group["initial_lr"], self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The state for continuing later."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from a saved state; the rates are in the optimiser's own state."""
        self.last_epoch = int(saved["last_epoch"])
        self._set()


class LambdaLR(Schedule):
    """The base rate times any function of the number of steps.

    Args:
        optimizer: the optimiser.
        lr_lambda: the function.

    Example:
        >>> import tinygrad_rnn as tr
        >>> sgd = tr.optim.SGD([tr.tensor([1.0], requires_grad=True)], lr=1.0)
        >>> schedule = tr.optim.LambdaLR(sgd, lambda n: 1 / (1 + n))
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        return base * self.lr_lambda(n)


class StepLR(Schedule):
    """A schedule that multiplies the rate by ``gamma`` every ``step_size`` steps.

    Args:
        optimizer: the optimiser.
        step_size: the number of steps between changes.
        gamma: the factor.

    Example:
        >>> from tinygrad_rnn import optim, tensor
        >>> schedule = optim.StepLR(optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0), step_size=2, gamma=0.5)
        >>> [schedule.step() or schedule.get_last_lr()[0] for _ in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size is 1 or more, not {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        return base * self.gamma ** (n // self.step_size)


class ExponentialLR(Schedule):
    """A schedule that multiplies the rate by ``gamma`` at every step.

    Args:
        optimizer: the optimiser.
        gamma: the factor.

    Example:
        >>> from tinygrad_rnn import optim, tensor
        >>> schedule = optim.ExponentialLR(optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0), gamma=0.5)
        >>> [schedule.step() or schedule.get_last_lr()[0] for _ in range(3)]
        [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        return base * self.gamma**n


class CosineAnnealingLR(Schedule):
    """A learning rate that falls from the base to ``eta_min`` along half a cosine, in ``T_max`` steps, and rises again.

    Args:
        optimizer: the optimiser.
        T_max: the number of steps down.
        eta_min: the lowest rate.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), eq. 5.

    Example:
        >>> from tinygrad_rnn import optim, tensor
        >>> schedule = optim.CosineAnnealingLR(optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0), T_max=4)
        >>> [schedule.step() or round(schedule.get_last_lr()[0], 3) for _ in range(4)]
        [0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max is 1 or more, not {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * n / self.T_max)) / 2


class LinearLR(Schedule):
    """Warm-up (or cool-down): the factor on the rate goes from one value to another in a straight line, then stays.

    Args:
        optimizer: the optimiser.
        start_factor: the factor at the first step.
        end_factor: the factor after ``total_iters`` steps.
        total_iters: the number of steps from one to the other.

    Example:
        >>> import tinygrad_rnn as tr
        >>> sgd = tr.optim.SGD([tr.tensor([1.0], requires_grad=True)], lr=1.0)
        >>> warm_up = tr.optim.LinearLR(sgd, start_factor=0.25, total_iters=3)
        >>> rates = [warm_up.step() or sgd.param_groups[0]["lr"] for _ in range(4)]
        >>> rates
        [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if total_iters < 1:
            raise ValueError(f"LinearLR: total_iters is 1 or more, not {total_iters}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        part = min(n, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * part)


class SequentialLR(Schedule):
    """A sequence of schedules, one after another: warm-up, then cosine, for instance.

    Args:
        optimizer: the optimiser.
        schedulers: the schedules, of the same optimiser. Each counts from 0 when its turn comes.
        milestones: the steps at which the second, the third, ... take over.

    Example:
        >>> from tinygrad_rnn import optim, tensor
        >>> sgd = optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0)
        >>> parts = [optim.LinearLR(sgd, total_iters=10), optim.CosineAnnealingLR(sgd, T_max=90)]
        >>> schedule = optim.SequentialLR(sgd, parts, milestones=[10])
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones in rising order, not "
                f"{list(milestones)}"
            )
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def rate(self, base: float, n: int) -> float:
        """See the class."""
        turn = sum(n >= milestone for milestone in self.milestones)
        return self.schedulers[turn].rate(base, n - (self.milestones[turn - 1] if turn else 0))


class ReduceLROnPlateau:
    """A schedule that lowers the rate when a measured quantity (the validation loss) stops improving.

    Args:
        optimizer: the optimiser.
        mode: "min" if less is better, "max" if more is.
        factor: the factor on the rate.
        patience: the number of steps without improvement before the rate is lowered.
        threshold: the smallest change that counts as an improvement.
        threshold_mode: "rel" if the threshold is a share of the best value so far; or "abs".
        cooldown: the number of steps after lowering the rate that are not counted.
        min_lr: the lowest rate.
        eps: smaller changes of the rate are not made.

    Example:
        >>> from tinygrad_rnn import optim, tensor
        >>> sgd = optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0)
        >>> schedule = optim.ReduceLROnPlateau(sgd, patience=1)
        >>> for loss in [3.0, 2.0, 2.0, 2.0]:
        ...     schedule.step(loss)
        >>> sgd.param_groups[0]["lr"]
        0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: mode is 'min' or 'max', and threshold_mode 'rel' or 'abs', not {mode!r} and "
                f"{threshold_mode!r}"
            )
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor is from 0 up to but not including 1, not {factor}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr, self.eps = cooldown, min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_steps = self.resting = self.last_epoch = 0

    def step(self, metric: float) -> None:
        """Take in the next measurement, and lower the rates if it is time to."""
        self.last_epoch += 1
        if self._is_better(float(metric)):
            self.best, self.bad_steps = float(metric), 0
        else:
            self.bad_steps += 1
        if self.resting:
            self.resting -= 1
            self.bad_steps = 0
        if self.bad_steps > self.patience:
            for group in self.optimizer.param_groups:
                lower = max(group["lr"] * self.factor, self.min_lr)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.resting, self.bad_steps = self.cooldown, 0

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if math.isinf(self.best):
            return sign * metric < sign * self.best
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        return sign * metric < sign * self.best - margin

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The state for continuing later."""
        return {name: getattr(self, name) for name in ("best", "bad_steps", "resting", "last_epoch")}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from a saved state; the rates are in the optimiser's own state."""
        for name in self.state_dict():
            setattr(self, name, saved[name])
