"""Activations that NumPy lacks. Those whose plain formula would overflow have their own rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..registry import elementwise, primitive
from .arrays import array_of, in_real_numbers
from .elementwise import masked
from .special import erf


def is_object_array(x: Any) -> bool:
    """Return True if x is an array of Python objects (Scalars), not of numbers."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "O"


def _element_method(x: Any, name: str) -> Any:
    """A function that calls each element's method of that name, as NumPy's own functions do on object arrays."""
    return np.frompyfunc(lambda element: getattr(element, name)(), 1, 1)(x)


def exponential(x: Any) -> Any:
    """The exponentials of an array, written over it, which saves the time for a new array; nothing else may hold it."""
    return np.exp(x, out=x) if type(x) is np.ndarray else np.exp(x)


def _sigmoid(x: Any) -> Any:
    if is_object_array(x):
        return _element_method(x, "sigmoid")
    with np.errstate(over="ignore"):  # 1 / inf is 0, which is right; both tails keep their digits
        denominator = exponential(-in_real_numbers(array_of(x)))
        denominator += 1
        return np.divide(1, denominator, out=denominator) if type(denominator) is np.ndarray else 1 / denominator


def _relu(x: Any) -> Any:
    return _element_method(x, "relu") if is_object_array(x) else np.maximum(x, 0)


def _softplus(x: Any) -> Any:
    x = in_real_numbers(array_of(x))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _log_sigmoid(x: Any) -> Any:
    return -_softplus(-in_real_numbers(array_of(x)))


logistic = elementwise(_sigmoid, lambda ans, x: ans * (1 - ans), name="sigmoid")
_of_positive = [lambda g, ans, x: masked(g, x > 0)]
rectifier = primitive(_relu, _of_positive, _of_positive, name="relu", by_element=True)
soft_rectifier = elementwise(_softplus, lambda ans, x: sigmoid(x), name="softplus")
log_logistic = elementwise(_log_sigmoid, lambda ans, x: sigmoid(-x), name="log_sigmoid")


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), element by element, without overflow.

    Args:
        x: Tensor, array (also of Scalars) or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> float(tr.sigmoid(0.0)), float(tr.sigmoid(-800.0))
        (0.5, 0.0)
    """
    return logistic(in_real_numbers(x))


def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)), element by element, without overflow.

    Args:
        x: Tensor, array or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> float(tr.log_sigmoid(-800.0))
        -800.0
    """
    return log_logistic(in_real_numbers(x))


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), element by element, without overflow; its derivative is sigmoid(x).

    Args:
        x: Tensor, array or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> float(tr.softplus(800.0))
        800.0
    """
    return soft_rectifier(in_real_numbers(x))


def relu(x: Any) -> Any:
    """max(x, 0), element by element; its derivative at 0 is 0.

    Args:
        x: Tensor, array (also of Scalars) or number.

    Example:
        >>> import tinygrad_rnn as tr
        >>> tr.relu([-1.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    return rectifier(x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """The input x where it is positive, elsewhere ``negative_slope * x``; the derivative at 0 is ``negative_slope``.

    Args:
        x: Tensor or array.
        negative_slope: the slope below 0.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.leaky_relu(np.array([-2.0, 3.0])).tolist()
        [-0.02, 3.0]
    """
    return np.where(x > 0, x, negative_slope * x)


def _exponential_below_0(x: Any) -> Any:
    """exp(x) - 1 where x isn't positive. The inner choice keeps the other side from overflowing unseen."""
    return np.expm1(np.where(x > 0, 0, in_real_numbers(x)))


def elu(x: Any, alpha: float = 1.0) -> Any:
    """The input x where it is positive, elsewhere ``alpha * (exp(x) - 1)``; the derivative at 0 is ``alpha``.

    Args:
        x: Tensor or array.
        alpha: minus the value at -inf.

    Source: Clevert et al., "Fast and accurate deep network learning by exponential linear units" (2016).
    """
    return np.where(x > 0, x, alpha * _exponential_below_0(x))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def selu(x: Any) -> Any:
    """``elu`` scaled so that mean 0 and variance 1 are kept from layer to layer.

    Args:
        x: Tensor or array.

    Source: Klambauer et al., "Self-normalizing neural networks" (2017).
    """
    return np.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * _exponential_below_0(x))


def gelu(x: Any, approximate: str = "none") -> Any:
    """The product x Φ(x), with Φ the distribution function of the standard normal distribution.

    Args:
        x: Tensor or array.
        approximate: "none" for Φ itself, "tanh" for its usual approximation.

    Source: Hendrycks and Gimpel, "Gaussian error linear units" (2016).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> np.round(tr.gelu(np.array([-1.0, 1.0])), 4).tolist()
        [-0.1587, 0.8413]
    """
    if approximate == "none":
        return x * (0.5 * (1 + erf(x / math.sqrt(2))))
    if approximate == "tanh":
        return x * (0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x)))))
    raise ValueError(f"gelu: approximate={approximate!r} is not 'none' or 'tanh'")


def silu(x: Any) -> Any:
    """The product x sigmoid(x), also called swish.

    Args:
        x: Tensor or array.
    """
    return x * sigmoid(x)


def hard_tanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Clip x between ``min_val`` and ``max_val``; the gradient passes at the bounds themselves, as for ``clip``.

    Args:
        x: Tensor or array.
        min_val: the lower bound.
        max_val: the upper bound.
    """
    return np.clip(x, min_val, max_val)


def hard_sigmoid(x: Any) -> Any:
    """Clip x/6 + 1/2 between 0 and 1 (PyTorch's slope; Keras before version 3 had 1/5).

    Args:
        x: Tensor or array.
    """
    return np.clip(x / 6 + 0.5, 0.0, 1.0)
