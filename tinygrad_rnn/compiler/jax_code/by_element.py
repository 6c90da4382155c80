"""Functions of single elements, with NumPy's types and NumPy's results at zeros, infinities and NaN.

JAX has a function by the name of nearly every ufunc. Types are settled before it is called: JAX would combine int64
and float32 to float32. A few of its functions have other results for zeros and NaN, and are written again here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np


def _sign(x: Any) -> Any:
    return jnp.where(x == 0, jnp.zeros_like(x), jnp.sign(x))  # the sign of -0.0 is 0.0


def _floor_divide(x: Any, y: Any) -> Any:
    return _quotient_and_rest(x, y)[0] if x.dtype.kind == "f" else jnp.floor_divide(x, y)


def _remainder(x: Any, y: Any) -> Any:
    return _quotient_and_rest(x, y)[1] if x.dtype.kind == "f" else jnp.remainder(x, y)


def _quotient_and_rest(x: Any, y: Any) -> tuple[Any, Any]:
    """Python's division with a rest, whose zeros have signs."""
    rest = jnp.fmod(x, y)
    quotient = (x - rest) / y
    crosses = (rest != 0) & ((y < 0) != (rest < 0))
    quotient, rest = jnp.where(crosses, quotient - 1, quotient), jnp.where(crosses, rest + y, rest)
    whole = jnp.floor(quotient)
    whole = jnp.where(quotient - whole > 0.5, whole + 1, whole)
    whole = jnp.where(quotient == 0, jnp.copysign(jnp.zeros_like(x), x / y), whole)
    rest = jnp.where(rest == 0, jnp.copysign(jnp.zeros_like(y), y), rest)
    return jnp.where(y == 0, x / y, whole), rest


def _cbrt(x: Any) -> Any:
    """The cube root, also where XLA raises x to the rounded third: 60 units off at the ends of the range."""
    root = jnp.cbrt(x)
    better = root - (root - x / (root * root)) / 3  # a step of Newton's method
    return jnp.where((x == 0) | ~jnp.isfinite(x), root, better)


DIFFERENT: dict[np.ufunc, Callable[..., Any]] = {
    np.sign: _sign,
    np.cbrt: _cbrt,
    np.floor_divide: _floor_divide,
    np.remainder: _remainder,
}


def computed(ufunc: np.ufunc, operands: list[Any], kinds: list[Any]) -> Any:
    """The result of a ufunc, or several; None if JAX has no such function.

    Args:
        ufunc: NumPy's function.
        operands: JAX arrays, and whatever else NumPy would take.
        kinds: their types; ``int``, ``float`` or ``complex`` for a number that adapts to the arrays beside it.
    """
    function = DIFFERENT.get(ufunc) or getattr(jnp, ufunc.__name__, None)
    if function is None:
        return None
    if all(isinstance(kind, type) for kind in kinds):  # a result of adapting numbers adapts, too
        return function(*map(jnp.asarray, operands))
    types = ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
    arrays = [jnp.asarray(a, dtype) for a, dtype in zip(operands, types)]
    if ufunc is np.multiply and types[-1].kind == "f" and np.dtype(bool) in kinds:
        return _chosen(*(arrays if kinds[0] == np.dtype(bool) else arrays[::-1]))
    result = function(*arrays)
    if ufunc.nout == 1:
        return result.astype(types[-1])
    return tuple(a.astype(dtype) for a, dtype in zip(result, types[ufunc.nin :]))


def _chosen(condition: Any, x: Any) -> Any:
    """A condition times a number. XLA would turn it into a choice, ``condition ? x : 0``, though 0 times NaN is NaN."""
    return jnp.where(condition != 0, x, 0 * x)
