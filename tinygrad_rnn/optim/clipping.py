"""Gradients cut down to size: the usual answer to exploding gradients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..autodiff.array_node import value_of
from ..autodiff.tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients together so that their norm is at most a bound; the direction stays.

    Args:
        parameters: the parameters; those without a gradient are skipped.
        max_norm: the bound.
        norm_type: the order of the norm of all gradients taken as one vector: 2, 1, ``np.inf``, ...
        error_if_nonfinite: whether to raise if the norm is NaN or infinite; otherwise the gradients become NaN or 0.

    Returns:
        The norm before scaling.

    Raises:
        FloatingPointError: the norm isn't finite and ``error_if_nonfinite`` is True.

    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), algorithm 1.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([3.0, 4.0], requires_grad=True)
        >>> (w * w / 2).sum().backward()
        >>> tr.optim.clip_grad_norm_([w], max_norm=1.0), w.grad.round(4).tolist()
        (5.0, [0.6, 0.8])
    """
    found = _with_gradient(parameters)
    norms = [np.linalg.norm(np.ravel(value_of(p.grad)), norm_type) for p in found]
    total = float(np.linalg.norm(np.array(norms, np.float64), norm_type)) if norms else 0.0
    if error_if_nonfinite and not np.isfinite(total):
        raise FloatingPointError(
            f"clip_grad_norm_: the norm of the gradients is {total}. A step was too large, or the loss isn't finite; "
            "lower the learning rate, or clip earlier"
        )
    scale = min(1.0, max_norm / (total + 1e-6)) if total == total else total
    for parameter in found if scale != 1 else []:
        parameter.grad = np.asarray(value_of(parameter.grad) * scale)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of the gradients to between ``-clip_value`` and ``clip_value``: the direction may change.

    Args:
        parameters: the parameters; those without a gradient are skipped.
        clip_value: the bound.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([3.0, -0.5], requires_grad=True)
        >>> (w * w / 2).sum().backward()
        >>> tr.optim.clip_grad_value_([w], 1.0)
        >>> w.grad.tolist()
        [1.0, -0.5]
    """
    for parameter in _with_gradient(parameters):
        parameter.grad = np.asarray(np.clip(value_of(parameter.grad), -clip_value, clip_value))


def _with_gradient(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if hasattr(parameters, "parameters"):
        raise TypeError("clipping takes parameters, not a module: pass module.parameters()")
    every = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p for p in every if p.grad is not None]
