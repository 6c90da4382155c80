"""Helpers for every derivation: products summed over instances, and shape checks.

Sequences are time first: ``(T, B, n)`` for a batch of ``B`` instances, or ``(T, n)`` for one
instance. A derivation is the same in both cases, except where a parameter's gradient gathers the
contributions of all instances; the two sums below are that one difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Params = TypeVar("Params", bound=tuple[Any, ...])


def outer(x: Array, delta: Array) -> Array:
    """``xᵀ δ``, summed over the instances: the gradient of ``M`` in ``a = x M``.

    Args:
        x: the factor on the left of the matrix, ``(B, p)`` or ``(p,)``.
        delta: ``∂L/∂a``, ``(B, q)`` or ``(q,)``.

    Returns:
        ``(p, q)``.

    Example:
        >>> outer(np.array([1.0, 2.0]), np.array([3.0]))
        array([[3.],
               [6.]])
    """
    return np.atleast_2d(x).T @ np.atleast_2d(delta)


def sum_instances(delta: Array) -> Array:
    """``δ`` summed over the instances: the gradient of ``b`` in ``a = x M + b``.

    Args:
        delta: ``∂L/∂a``, ``(B, q)`` or ``(q,)``.

    Returns:
        ``(q,)``.
    """
    return np.atleast_2d(delta).sum(axis=0)


def outer_by_step(xs: Array, deltas: Array) -> Array:
    """``outer`` at every step: ``(T, ..., p)`` and ``(T, ..., q)`` give ``(T, p, q)``."""
    return np.stack([outer(x, delta) for x, delta in zip(xs, deltas, strict=True)])


def sum_instances_by_step(deltas: Array) -> Array:
    """``sum_instances`` at every step: ``(T, ..., q)`` gives ``(T, q)``."""
    return np.stack([sum_instances(delta) for delta in deltas])


def sum_steps(contributions: Params) -> Params:
    """The gradients of parameters, field by field: the sums of their contributions over the steps; None stays None."""
    make: Any = type(contributions)
    gradients: Params = make(*(None if terms is None else terms.sum(axis=0) for terms in contributions))
    return gradients


def as_sequence(xs: Array, features: int, where: str) -> Array:
    """``xs`` as an array, after checking that it is a sequence of ``features`` inputs per step.

    Raises:
        ValueError: the sequence has no step or no instance, or its shape is neither ``(T, features)`` nor
            ``(T, B, features)``.
    """
    xs = np.asarray(xs)
    if xs.ndim not in (2, 3) or xs.shape[-1] != features:
        raise ValueError(
            f"{where}: the inputs have shape {xs.shape}; "
            f"expected (T, {features}) for one instance or (T, B, {features}) for a batch, "
            f"time first"
        )
    if 0 in xs.shape[:-1]:
        raise ValueError(f"{where}: the inputs have shape {xs.shape}: no time step or no instance")
    return xs


def as_state(state: Array | None, shape: tuple[int, ...], like: Array, where: str) -> Array:
    """The initial state: zeros of ``shape`` (in the dtype of ``like``) unless one is given.

    Raises:
        ValueError: the given state has another shape.
    """
    if state is None:
        return np.zeros(shape, dtype=like.dtype)
    return check_shape(state, shape, where)


def check_shape(array: Array, shape: tuple[int, ...], where: str) -> Array:
    """``array`` as an array, after checking that it has exactly this shape.

    Raises:
        ValueError: the array has another shape.
    """
    array = np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{where} has shape {array.shape}; expected {shape}")
    return array


def check_steps(steps: Sequence[int], length: int, where: str) -> tuple[int, ...]:
    """The time steps, counted from 1, after checking that they exist and are in order.

    Raises:
        ValueError: no step is given, steps repeat or go backwards, or one lies outside ``1..length``.
    """
    chosen = tuple(int(t) for t in steps)
    if not chosen:
        raise ValueError(f"{where}: no time step is given")
    if list(chosen) != sorted(set(chosen)):
        raise ValueError(f"{where}: the time steps {chosen} must increase")
    if chosen[0] < 1 or chosen[-1] > length:
        raise ValueError(f"{where}: the time steps {chosen} must lie in 1..{length} (steps count from 1)")
    return chosen
