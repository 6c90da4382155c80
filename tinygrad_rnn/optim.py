"""Optimisers: from gradients to new parameters. An update rebinds a parameter's data; it never writes into an array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .autodiff.tensor import Tensor


class Optimizer:
    """What optimisers have in common: the parameters, and the step that updates each one that has a gradient.

    Args:
        parameters: what to update, as ``module.parameters()`` gives it.
        lr: learning rate.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError(f"{type(self).__name__}: no parameters to update")
        if not lr >= 0:
            raise ValueError(
                f"{type(self).__name__}: a learning rate of {lr} makes no sense; use a small positive number"
            )
        self.lr = lr
        self.state: list[dict[str, Any]] = [{} for _ in self.parameters]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for parameter, state in zip(self.parameters, self.state):
            if parameter.grad is not None:
                parameter.data = self.updated(parameter.data, parameter.grad, state)

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """The new value of one parameter; subclasses write it."""
        raise TypeError(f"{type(self).__name__} has no updated() method: write how a parameter changes")


class SGD(Optimizer):
    """Stochastic gradient descent: ``w - lr · g``, with momentum ``v = momentum · v + g`` in the place of g if wanted.

    Args:
        parameters: what to update.
        lr: learning rate.
        momentum: how much of the last direction is kept.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.SGD([w], lr=0.1).step()
        >>> w.data
        array([0.8])
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """See the class."""
        if self.momentum:
            gradient = state["velocity"] = gradient + self.momentum * state.get("velocity", 0.0)
        return value - self.lr * gradient


class Adam(Optimizer):
    """Adam: steps of about ``lr``, scaled by running means of the gradient and of its square.

    Args:
        parameters: what to update.
        lr: learning rate.
        betas: how much of the running means is kept, of the gradient and of its square.
        eps: added to the root of the second, so that nothing is divided by zero.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.Adam([w], lr=0.1).step()
        >>> w.data.round(4)
        array([0.9])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps = betas, eps

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """See the class."""
        b1, b2 = self.betas
        t = state["step"] = state.get("step", 0) + 1
        mean = state["mean"] = b1 * state.get("mean", 0.0) + (1 - b1) * gradient
        square = state["square"] = b2 * state.get("square", 0.0) + (1 - b2) * gradient * gradient
        return value - self.lr * (mean / (1 - b1**t)) / (np.sqrt(square / (1 - b2**t)) + self.eps)
