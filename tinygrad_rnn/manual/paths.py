"""BPTT as a sum over paths: the derivation that backpropagation through time reorders.

``W`` acts on the loss ``L_t`` of step ``t`` along many paths: it is used at each step ``k ≤ t``, and its effect on
``s_k`` travels on through ``s_{k+1}, ..., s_t``. So

    ``∂L_t/∂W = Σ_{k=1..t}  ∂L_t/∂s_t · ∂s_t/∂s_k · ∂⁺s_k/∂W``

    ``∂s_t/∂s_k = ∏_{j=k+1..t} ∂s_j/∂s_{j-1}``,  with  ``∂s_j/∂s_{j-1} = diag(f'(a_j)) Wᵀ``

where ``∂⁺s_k/∂W`` is the *explicit* derivative: that of ``s_k = f(x_k U + s_{k-1} W + b)`` with
``s_{k-1}`` held constant. The same holds for ``U`` and ``b``. The terms make a table ``[t, k]``:
its sum is the gradient, its row sums are the gradients of the single losses, and its norms far from
the diagonal show how a gradient vanishes or explodes over time.

Source: the article "Learning Algorithm - Recurrent Neural Networks(RNNs)"; Pascanu, Mikolov and
Bengio, "On the difficulty of training recurrent neural networks" (2013), equations 3 to 5.

Jacobians are written with the output first: ``(∂s_t/∂s_k)[m, i] = ∂s_t[m]/∂s_k[i]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import readout
from .arrays import Array
from .elman import ElmanTrace, HiddenParams, HiddenTrace


class Paths(NamedTuple):
    """The table of terms; ``[t-1, k-1]`` is the term of the loss of step t through step k.

    Attributes:
        dLt_ds: ``∂L_t/∂s_t``, ``(T, ..., d)``; zero at steps without a loss.
        step_jacobians: ``∂s_t/∂s_{t-1}``, ``(T, ..., d, d)``.
        chains: ``∂s_t/∂s_k``, ``(T, T, ..., d, d)``; zero where k > t, the identity where k = t.
        terms: for each of ``U``, ``W``, ``b`` the terms, summed over the instances,
            ``(T, T, *parameter shape)``; zero where k > t.
        norms: their Frobenius norms, ``(T, T)``.
        gradients: their sums.
    """

    dLt_ds: Array
    step_jacobians: Array
    chains: Array
    terms: HiddenParams
    norms: HiddenParams
    gradients: HiddenParams


def sum_over_paths(trace: ElmanTrace) -> Paths:
    """The gradient of an Elman network as the sum of its paths.

    Every product is formed as it is written, Jacobian by Jacobian; for T steps that is of the order of T² matrix
    products. ``manual.elman.backward`` computes the same sums with T products.

    Args:
        trace: the result of ``manual.elman.forward``, with targets.

    Returns:
        The table and all of its factors.

    Raises:
        ValueError: the forward pass had no targets.

    Example:
        >>> from tinygrad_rnn.manual import worked_example
        >>> paths = sum_over_paths(worked_example.run()[0])
        >>> print(format_norms(paths, "W"))
        W         k=1       k=2       k=3       k=4       k=5       k=6
        t=1         0
        t=2         0         0
        t=3         0         0         0
        t=4         0  1.23e-02  3.28e-02  1.79e-01
        t=5         0  1.94e-03  1.23e-02  4.79e-02  1.10e-01
        t=6         0  2.45e-04  1.09e-03  4.56e-03  1.93e-02  3.93e-02
    """
    hidden = trace.hidden
    dLt_ds = readout.backward(trace.output).dLt_ds
    jacobians = step_jacobians(hidden)
    chains = _chains(jacobians)
    explicit = [explicit_derivatives(hidden, k) for k in range(1, len(hidden.xs) + 1)]

    terms = HiddenParams(
        *(
            _terms(dLt_ds, chains, [step[i] for step in explicit], parameter.shape)
            for i, parameter in enumerate((hidden.params.U, hidden.params.W, hidden.params.b))
        )
    )
    return Paths(
        dLt_ds=dLt_ds,
        step_jacobians=jacobians,
        chains=chains,
        terms=terms,
        norms=HiddenParams(*(_norms(x) for x in terms)),
        gradients=HiddenParams(*(x.sum(axis=(0, 1)) for x in terms)),
    )


def step_jacobians(trace: HiddenTrace) -> Array:
    """``∂s_t/∂s_{t-1} = diag(f'(a_t)) Wᵀ`` for ``t = 1..T``, ``(T, ..., d, d)``."""
    return trace.f.derivative(trace.a)[..., :, np.newaxis] * trace.params.W.T


def explicit_derivatives(trace: HiddenTrace, k: int) -> HiddenParams:
    """``∂⁺s_k/∂θ``, the derivative of ``s_k`` with ``s_{k-1}`` held constant.

    With ``x`` the factor on the left of a matrix ``M``, ``∂⁺s_k[m]/∂M[p, q]`` is ``f'(a_k)[m] · x[p]`` where ``q = m``,
    and 0 elsewhere.

    Args:
        trace: the result of ``manual.elman.hidden_forward``.
        k: the step, from 1.

    Returns:
        The tensor for each of ``U``, ``W``, ``b``, ``(..., d, *parameter shape)``.
    """
    slope = trace.f.derivative(trace.a[k - 1])
    diagonal = slope[..., :, np.newaxis] * np.eye(slope.shape[-1], dtype=slope.dtype)  # [m, q]

    def by_matrix(x: Array) -> Array:  # [m, p, q]
        return diagonal[..., :, np.newaxis, :] * x[..., np.newaxis, :, np.newaxis]

    return HiddenParams(U=by_matrix(trace.xs[k - 1]), W=by_matrix(trace.s[k - 1]), b=diagonal.copy())


def chain(dy_ds: Array, ds_dtheta: Array, dimensions: int) -> Array:
    """``∂y/∂θ = ∂y/∂s · ∂s/∂θ``, where ``θ`` is a matrix or a vector.

    Args:
        dy_ds: ``(..., j, d)``.
        ds_dtheta: ``(..., d, *parameter shape)``.
        dimensions: 2 for a matrix, 1 for a vector.

    Returns:
        ``(..., j, *parameter shape)``.
    """
    theta = "pq"[:dimensions]
    return np.einsum(f"...jm,...m{theta}->...j{theta}", dy_ds, ds_dtheta)


def format_norms(paths: Paths, name: str) -> str:
    """The norms of the terms of one parameter as a text table, a row for each loss.

    Args:
        paths: the result of ``sum_over_paths``.
        name: ``"U"``, ``"W"`` or ``"b"``.
    """
    norms = getattr(paths.norms, name)
    T = len(norms)
    margin = len(f"t={T}")
    lines = [name.ljust(margin) + "".join(f"k={k}".rjust(10) for k in range(1, T + 1))]
    for t in range(1, T + 1):
        cells = (f"{x:.2e}" if x else "0" for x in norms[t - 1, :t])
        lines.append(f"t={t}".ljust(margin) + "".join(cell.rjust(10) for cell in cells))
    return "\n".join(lines)


def _chains(jacobians: Array) -> Array:
    """``∂s_t/∂s_k`` for all t and k, each from its neighbour: ``∂s_t/∂s_{k+1} · ∂s_{k+1}/∂s_k``."""
    T, d = len(jacobians), jacobians.shape[-1]
    chains = np.zeros((T, *jacobians.shape), dtype=jacobians.dtype)
    for t in range(1, T + 1):
        chains[t - 1, t - 1] = np.eye(d)  # ∂s_t/∂s_t
        for k in range(t - 1, 0, -1):
            chains[t - 1, k - 1] = chains[t - 1, k] @ jacobians[k]
    return chains


def _terms(dLt_ds: Array, chains: Array, explicit: list[Array], shape: tuple[int, ...]) -> Array:
    """``∂L_t/∂s_t · ∂s_t/∂s_k · ∂⁺s_k/∂θ`` for all t and k, summed over the instances."""
    T = len(chains)
    terms = np.zeros((T, T, *shape), dtype=chains.dtype)
    for t in range(1, T + 1):
        for k in range(1, t + 1):
            row = dLt_ds[t - 1][..., np.newaxis, :] @ chains[t - 1, k - 1]  # ∂L_t/∂s_k
            term = chain(row, explicit[k - 1], len(shape))
            terms[t - 1, k - 1] = term.reshape(-1, *shape).sum(axis=0)
    return terms


def _norms(terms: Array) -> Array:
    return np.sqrt((np.abs(terms) ** 2).sum(axis=tuple(range(2, terms.ndim))))
