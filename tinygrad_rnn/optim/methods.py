"""The update rules, each in a few lines, as PyTorch has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, Parameters


class SGD(Optimizer):
    """Stochastic gradient descent, ``w - lr · g``.

    With momentum, ``v = momentum · v + (1 - dampening) · g`` takes the place of g; with Nesterov's,
    ``g + momentum · v`` does.

    Args:
        parameters: the parameters to update, or groups; see ``Optimizer``.
        lr: learning rate.
        momentum: the share of the last direction that is kept.
        dampening: the share of the gradient that is left out of the direction.
        weight_decay: λ; ``λ w`` is added to the gradient.
        nesterov: whether to look ahead along the new direction.

    Source: Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning"
    (2013), in PyTorch's form.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.SGD([w], lr=0.1).step()
        >>> w.data
        array([0.8])
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening):
            raise ValueError("SGD: nesterov=True needs a momentum and no dampening")
        super().__init__(
            parameters, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov
        )

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """See the class."""
        momentum = group["momentum"]
        g = _decayed(value, gradient, group)
        if momentum:
            v = momentum * state["velocity"] + (1 - group["dampening"]) * g if "velocity" in state else g
            state["velocity"] = v
            g = g + momentum * v if group["nesterov"] else v
        return value - group["lr"] * g


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far, element by element.

    Args:
        parameters: the parameters to update, or groups; see ``Optimizer``.
        lr: learning rate.
        lr_decay: the rate falls as ``lr / (1 + (step - 1) · lr_decay)``.
        weight_decay: λ; ``λ w`` is added to the gradient.
        initial_accumulator_value: the start of the sum of squares.
        eps: added to the root, so that nothing is divided by zero.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization"
    (2011).

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.Adagrad([w], lr=0.1).step()
        >>> w.data.round(4)
        array([0.9])
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            parameters,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """See the class."""
        t = state["step"] = state.get("step", 0) + 1
        g = _decayed(value, gradient, group)
        total = state["sum"] = state.get("sum", group["initial_accumulator_value"]) + g * g
        return value - group["lr"] / (1 + (t - 1) * group["lr_decay"]) * g / (np.sqrt(total) + group["eps"])


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of the squared gradient.

    Args:
        parameters: the parameters to update, or groups; see ``Optimizer``.
        lr: learning rate.
        alpha: the share of the running mean that is kept.
        eps: added to the root, so that nothing is divided by zero.
        weight_decay: λ; ``λ w`` is added to the gradient.
        momentum: the share of the last direction that is kept.
        centered: whether to divide by the standard deviation: the square of the mean gradient is subtracted.

    Source: Hinton, lecture 6e of "Neural networks for machine learning" (2012); Graves, "Generating sequences with
    recurrent neural networks" (2013), eq. 38 to 45, centred.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.RMSprop([w], lr=0.01).step()
        >>> w.data.round(4)
        array([0.9])
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """See the class."""
        alpha = group["alpha"]
        g = _decayed(value, gradient, group)
        square = state["square"] = alpha * state.get("square", 0.0) + (1 - alpha) * g * g
        if group["centered"]:
            mean = state["mean"] = alpha * state.get("mean", 0.0) + (1 - alpha) * g
            square = square - mean * mean
        direction = g / (np.sqrt(square) + group["eps"])
        if group["momentum"]:
            direction = state["velocity"] = group["momentum"] * state.get("velocity", 0.0) + direction
        return value - group["lr"] * direction


class Adam(Optimizer):
    """Steps of about ``lr``, scaled by running means of the gradient and of its square, corrected for starting at zero.

    Args:
        parameters: the parameters to update, or groups; see ``Optimizer``.
        lr: learning rate.
        betas: the shares of the running means, of the gradient and of its square, that are kept.
        eps: added to the root of the second mean, so that nothing is divided by zero.
        weight_decay: λ; ``λ w`` is added to the gradient (see ``AdamW``).
        amsgrad: whether to divide by the largest mean square so far.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1; Reddi, Kale and Kumar, "On
    the convergence of Adam and beyond" (2018), amsgrad.

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
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """See the class."""
        return value - self._direction(_decayed(value, gradient, group), state, group)

    def _direction(self, g: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        b1, b2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        mean = state["mean"] = b1 * state.get("mean", 0.0) + (1 - b1) * g
        square = state["square"] = b2 * state.get("square", 0.0) + (1 - b2) * g * g
        if group["amsgrad"]:
            square = state["largest_square"] = np.maximum(state.get("largest_square", 0.0), square)
        return group["lr"] / (1 - b1**t) * mean / (np.sqrt(square) / (1 - b2**t) ** 0.5 + group["eps"])


class AdamW(Adam):
    """Adam with decoupled weight decay: ``w`` shrinks by ``lr · λ · w`` beside the gradient step.

    Args:
        parameters: the parameters to update, or groups; see ``Optimizer``.
        lr: learning rate.
        betas, eps: as in ``Adam``.
        weight_decay: λ.
        amsgrad: as in ``Adam``.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tr.optim.AdamW([w], lr=0.1).step()
        >>> w.data.round(4)
        array([0.899])
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """See the class."""
        shrunk = value * (1 - group["lr"] * group["weight_decay"])
        return shrunk - self._direction(gradient, state, group)


def _decayed(value: np.ndarray, gradient: np.ndarray, group: Group) -> np.ndarray:
    """The gradient with the weight decay added."""
    return gradient + group["weight_decay"] * value if group["weight_decay"] else gradient
