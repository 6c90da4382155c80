"""Real-time recurrent learning (RTRL): the gradient carried forward in time instead of backward.

The derivatives of the state with respect to every parameter are tensors. They are zero at ``t = 0``
(``s_0`` is given) and each step makes the next ones from the last:

    ``∂s_t/∂θ = ∂⁺s_t/∂θ + ∂s_t/∂s_{t-1} · ∂s_{t-1}/∂θ``,    ``∂s_0/∂θ = 0``

with the explicit derivative ``∂⁺s_t/∂θ`` and the Jacobian ``∂s_t/∂s_{t-1}`` of
``manual.paths``. The loss of a step is a sum over the components ``i`` of its
output, ``L_t = Σ_i L_{t,i}``. Kept apart, they give every parameter a loss gradient with one axis
more than the parameter, in front:

    ``∂L_{t,i}/∂θ = ∂L_{t,i}/∂s_t · ∂s_t/∂θ``

and the update sums it over its first axis and over the steps:

    ``θ := θ - α Σ_{t=1..T} Σ_{i=1..k} ∂L_{t,i}/∂θ``

No step needs the past, so the gradient of an endless sequence is known at every moment; the price
is ``d`` numbers for every parameter, and of the order of ``d⁴`` products a step.

Sources: the article "Updating parameters and RNN training", whose update sums the steps ``t`` up to
``N⁽²⁾``, the number of output components, where ``T`` belongs (it would drop steps, or ask for some
that don't exist); Williams and Zipser, "A learning algorithm for continually running fully
recurrent neural networks" (1989).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arrays import Array
from .elman import ElmanParams, ElmanTrace, HiddenParams
from .paths import chain, explicit_derivatives, step_jacobians
from .readout import ReadoutTrace


class RTRL(NamedTuple):
    """The derivatives that RTRL carries forward, and the resulting gradients.

    Attributes:
        ds: ``∂s_t/∂θ`` for ``U``, ``W``, ``b`` and ``t = 0..T``: ``(T + 1, ..., d, *parameter
            shape)``; ``ds.W[t]`` is ∂s_t/∂W.
        loss_gradients: ``∂L_{t,i}/∂θ`` for each output step and component, summed over the
            instances: ``(m, k, *parameter shape)``.
        gradients: their sums over steps and components.
    """

    ds: HiddenParams
    loss_gradients: ElmanParams
    gradients: ElmanParams


def rtrl(trace: ElmanTrace) -> RTRL:
    """The gradient of an Elman network by forward accumulation.

    Args:
        trace: the result of ``manual.elman.forward``, with targets.

    Returns:
        The tensors of every step, and the gradients.

    Raises:
        ValueError: the forward pass had no targets.

    Example:
        >>> from tinygrad_rnn.manual import worked_example
        >>> trace, back = worked_example.run()
        >>> result = rtrl(trace)
        >>> result.loss_gradients.U.shape   # steps 4, 5, 6; three output components; U is (3, 2)
        (3, 3, 3, 2)
        >>> bool(np.allclose(result.gradients.U, back.gradients.U, atol=1e-15))
        True
    """
    if trace.output.targets is None:
        raise ValueError("rtrl: the forward pass had no targets, so there is no loss")
    hidden, output = trace.hidden, trace.output
    jacobians = step_jacobians(hidden)
    theta = HiddenParams(hidden.params.U, hidden.params.W, hidden.params.b)
    s_0 = hidden.s[0]

    ds_t = HiddenParams(*(np.zeros(s_0.shape + p.shape, s_0.dtype) for p in theta))  # ∂s_0/∂θ = 0
    ds, loss_gradients = [ds_t], []
    for t in range(1, len(hidden.xs) + 1):
        explicit = explicit_derivatives(hidden, t)
        ds_t = HiddenParams(  # ∂s_t/∂θ = ∂⁺s_t/∂θ + ∂s_t/∂s_{t-1} · ∂s_{t-1}/∂θ
            *(
                now + chain(jacobians[t - 1], before, p.ndim)
                for now, before, p in zip(explicit, ds_t, theta, strict=True)
            )
        )
        ds.append(ds_t)
        if t in output.steps:
            loss_gradients.append(_loss_gradients(output, t, hidden.s[t], ds_t))

    by_component = ElmanParams(*(np.stack(x) for x in zip(*loss_gradients, strict=True)))
    return RTRL(
        ds=HiddenParams(*(np.stack(x) for x in zip(*ds, strict=True))),
        loss_gradients=by_component,
        gradients=ElmanParams(*(x.sum(axis=(0, 1)) for x in by_component)),
    )


def update(params: ElmanParams, loss_gradients: ElmanParams, learning_rate: float) -> ElmanParams:
    """``θ := θ - α Σ_t Σ_i ∂L_{t,i}/∂θ``, the update of the article.

    Args:
        params: the parameters ``θ``.
        loss_gradients: ``∂L_{t,i}/∂θ``, as in ``RTRL``.
        learning_rate: ``α``.

    Returns:
        The new parameters.
    """
    return ElmanParams(
        *(p - learning_rate * gradient.sum(axis=(0, 1)) for p, gradient in zip(params, loss_gradients, strict=True))
    )


def _loss_gradients(output: ReadoutTrace, t: int, s_t: Array, ds_t: HiddenParams) -> ElmanParams:
    """``∂L_{t,i}/∂θ`` of one step, summed over the instances: ``(k, *parameter shape)``."""
    assert output.targets is not None
    row = output.steps.index(t)
    z_t, y_t = output.z[row], output.targets[row]
    dLi_dz = output.scale * output.loss_function.component_gradients(z_t, y_t)  # (..., k, k)
    dLi_ds = dLi_dz @ output.V.T  # ∂L_{t,i}/∂s_t, (..., k, d)

    def sum_instances(x: Array, dimensions: int) -> Array:
        return x.reshape(-1, *x.shape[-dimensions:]).sum(axis=0)

    return ElmanParams(
        U=sum_instances(chain(dLi_ds, ds_t.U, 2), 3),
        W=sum_instances(chain(dLi_ds, ds_t.W, 2), 3),
        # ∂z_t[j]/∂V[p, j] = s_t[p]: V acts on no state
        V=sum_instances(s_t[..., np.newaxis, :, np.newaxis] * dLi_dz[..., np.newaxis, :], 3),
        b=sum_instances(chain(dLi_ds, ds_t.b, 1), 2),
        c=sum_instances(dLi_dz, 2),
    )
