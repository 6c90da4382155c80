"""Loss functions by hand: the loss of one step, and its derivative at the output pre-activation.

The output layer computes ``z = s V + c`` and ``o = f_o(z)``; a loss compares ``o`` with the target
``y``. Output function and loss are differentiated together, since their product is far simpler
than its factors (and never divides by a probability that underflowed to zero):

==========================  ================  ==========================  ====================
name                        ``o``             ``ℓ(o, y)``                 ``∂ℓ/∂z``
==========================  ================  ==========================  ====================
softmax_cross_entropy       ``softmax(z)``    ``-Σᵢ yᵢ log oᵢ``           ``o Σᵢ yᵢ - y``
one_sided_cross_entropy     ``σ(z)``          ``-Σᵢ yᵢ log oᵢ``           ``y (o - 1)``
binary_cross_entropy        ``σ(z)``          ``-Σᵢ yᵢ log oᵢ +           ``o - y``
                                              (1 - yᵢ) log(1 - oᵢ)``
mse                         ``f_o(z)``        ``(1/k) Σᵢ (oᵢ - yᵢ)²``     ``(2/k)(o - y) f_o'``
==========================  ================  ==========================  ====================

The one-sided cross-entropy is that of the article "Under The Hood of Neural Networks. Part 2:
Recurrent": it rewards an output near 1 where the target is 1 and ignores all others.

Each loss is a sum over the ``k`` output components, ``ℓ = Σᵢ ℓᵢ``. The article "Updating parameters
and RNN training" keeps them apart, so ``Loss`` offers the components too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .activations import IDENTITY, Activation, activation, sigmoid
from .arrays import Array


class Loss(NamedTuple):
    """The loss of one time step, as a function of the output pre-activation ``z`` and target ``y``.

    Attributes:
        name: the name by which ``loss_function`` finds it.
        output: ``f_o``, from ``z`` to the output ``o``, both ``(..., k)``.
        components: ``ℓᵢ(z, y)``, ``(..., k)``; their sum over ``i`` is the loss.
        gradient: ``∂ℓ/∂z``, ``(..., k)``.
        component_gradients: ``∂ℓᵢ/∂zⱼ`` at ``[..., i, j]``; its sum over ``i`` is ``gradient``.
    """

    name: str
    output: Callable[[Array], Array]
    components: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    component_gradients: Callable[[Array, Array], Array]

    def value(self, z: Array, y: Array) -> Array:
        """``ℓ(z, y)``, one number for each instance: ``(...,)``."""
        return np.sum(self.components(z, y), axis=-1)


def log_softmax(z: Array) -> Array:
    """``log softmax(z)`` over the last axis, without overflow: ``z - log Σ exp z``.

    The largest ``z`` is subtracted first, which doesn't change the result, so that no digits are lost, whatever the
    size of ``z``. Its exponential is then 1; only the others are added up, for ``log(1 + others)``.
    """
    largest = np.argmax(np.real(z), axis=-1)[..., np.newaxis]
    shifted = z - np.real(np.take_along_axis(z, largest, axis=-1))
    others = np.exp(shifted)
    np.put_along_axis(others, largest, np.take_along_axis(others, largest, axis=-1) - 1, axis=-1)
    return shifted - np.log1p(np.sum(others, axis=-1, keepdims=True))


def softmax(z: Array) -> Array:
    """``exp zᵢ / Σⱼ exp zⱼ`` over the last axis."""
    return np.exp(log_softmax(z))


def log_sigmoid(z: Array) -> Array:
    """``log σ(z) = -log(1 + e⁻ᶻ)``, in the form that doesn't overflow on either side."""
    negative = np.real(z) < 0
    return np.where(negative, z, np.zeros_like(z)) - np.log1p(np.exp(np.where(negative, z, -z)))


def _diagonal(gradient: Array) -> Array:
    """``∂ℓᵢ/∂zⱼ`` where the i-th component depends on the i-th output alone."""
    return gradient[..., :, np.newaxis] * np.eye(gradient.shape[-1], dtype=gradient.dtype)


def _elementwise_loss(
    name: str,
    output: Callable[[Array], Array],
    components: Callable[[Array, Array], Array],
    gradient: Callable[[Array, Array], Array],
) -> Loss:
    return Loss(name, output, components, gradient, lambda z, y: _diagonal(gradient(z, y)))


def _softmax_component_gradients(z: Array, y: Array) -> Array:
    """``∂(-yᵢ log oᵢ)/∂zⱼ = yᵢ (oⱼ - δᵢⱼ)``: every component depends on every output."""
    o = softmax(z)
    identity = np.eye(z.shape[-1], dtype=z.dtype)
    return y[..., :, np.newaxis] * (o[..., np.newaxis, :] - identity)


SOFTMAX_CROSS_ENTROPY = Loss(
    "softmax_cross_entropy",
    softmax,
    lambda z, y: -y * log_softmax(z),
    lambda z, y: softmax(z) * np.sum(y, axis=-1, keepdims=True) - y,
    _softmax_component_gradients,
)
ONE_SIDED_CROSS_ENTROPY = _elementwise_loss(
    "one_sided_cross_entropy",
    sigmoid,
    lambda z, y: -y * log_sigmoid(z),
    lambda z, y: y * (sigmoid(z) - 1),
)
BINARY_CROSS_ENTROPY = _elementwise_loss(
    "binary_cross_entropy",
    sigmoid,
    lambda z, y: -(y * log_sigmoid(z) + (1 - y) * log_sigmoid(-z)),
    lambda z, y: sigmoid(z) - y,
)


def mean_squared_error(output: str | Activation = IDENTITY) -> Loss:
    """The mean squared error after any elementwise output function.

    Args:
        output: ``f_o``, by name or as an ``Activation``.

    Returns:
        ``ℓ = (1/k) Σᵢ (oᵢ - yᵢ)²`` with ``o = f_o(z)`` over ``k`` components.
    """
    f = activation(output)
    return _elementwise_loss(
        "mse" if f is IDENTITY else f"mse of {f.name}",
        f.function,
        lambda z, y: (f.function(z) - y) ** 2 / z.shape[-1],
        lambda z, y: 2 * (f.function(z) - y) * f.derivative(z) / z.shape[-1],
    )


MEAN_SQUARED_ERROR = mean_squared_error()

LOSSES = {
    loss.name: loss
    for loss in (
        SOFTMAX_CROSS_ENTROPY,
        ONE_SIDED_CROSS_ENTROPY,
        BINARY_CROSS_ENTROPY,
        MEAN_SQUARED_ERROR,
    )
}


def loss_function(name: str | Loss) -> Loss:
    """The loss of this name; a ``Loss`` is returned as it is.

    Raises:
        ValueError: there is no loss of this name.
    """
    if isinstance(name, Loss):
        return name
    if name not in LOSSES:
        raise ValueError(f"no loss is called {name!r}; there are {', '.join(LOSSES)}")
    return LOSSES[name]


def one_hot(classes: Array, k: int) -> Array:
    """Class numbers as target vectors: 1 at the class, 0 elsewhere.

    Args:
        classes: integers in ``0..k-1``, of any shape.
        k: the number of classes.

    Returns:
        ``classes.shape + (k,)``, float64.

    Raises:
        ValueError: a class lies outside ``0..k-1``.

    Example:
        >>> one_hot(np.array([2, 0]), 3)
        array([[0., 0., 1.],
               [1., 0., 0.]])
    """
    classes = np.asarray(classes)
    if classes.size and (classes.min() < 0 or classes.max() >= k):
        raise ValueError(f"classes must lie in 0..{k - 1}; got {classes.min()}..{classes.max()}")
    return np.eye(k)[classes]
