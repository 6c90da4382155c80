"""Pictures of what the other modules compute. Each takes an ``ax`` of matplotlib's, or makes one, and returns it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .flow import GradientFlow
from .jacobians import StateJacobians
from .limits import Saturation
from .terms import BPTTTerms


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "tinygrad_rnn[plot]"') from error
    return Figure(layout="constrained").subplots()


def _heat_map(ax: Any, values: np.ndarray, first_row: int, first_column: int, label: str) -> Any:
    """Logarithms in colour; what is zero or beyond the diagonal stays blank."""
    with np.errstate(divide="ignore"):
        logarithms = np.where(values > 0, np.log10(np.where(values > 0, values, 1)), np.nan)
    rows, columns = values.shape
    extent = (first_column - 0.5, first_column + columns - 0.5, first_row + rows - 0.5, first_row - 0.5)
    image = ax.imshow(logarithms, extent=extent, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=f"log10 of {label}")
    return ax


def plot_terms(terms: BPTTTerms, ax: Any = None) -> Any:
    """The norms of the terms of BPTT as a heat map: loss terms t down, steps k across.

    Args:
        terms: what ``bptt_terms`` returned.
        ax: where to draw; a new figure's by default (``ax.figure.savefig("terms.png")``).

    Returns:
        The ``ax``.
    """
    ax = _heat_map(_axes(ax), terms.norms, 0, 1, "the norm")
    ax.set_yticks(range(len(terms.rows)), [str(t) for t in terms.rows])
    ax.set(title=f"Terms of ∂L/∂{terms.parameter}", xlabel="step k", ylabel="loss term t")
    return ax


def plot_jacobians(jacobians: StateJacobians, what: str = "spectral", ax: Any = None) -> Any:
    """The size of ∂s_t/∂s_k as a heat map.

    Args:
        jacobians: what ``state_jacobians`` returned.
        what: "spectral", "frobenius" or "bound".
        ax: where to draw; a new figure's by default.

    Returns:
        The ``ax``.
    """
    ax = _heat_map(_axes(ax), getattr(jacobians, what), jacobians.first, jacobians.first, f"the {what} norm")
    ax.set(title="∂s_t/∂s_k", xlabel="step k", ylabel="step t")
    return ax


def plot_gradient_flow(flow: GradientFlow, ax: Any = None) -> Any:
    """The norm of ∂L/∂s_t over time, a curve for each layer and state component, on a logarithmic axis.

    Args:
        flow: what ``gradient_flow`` returned.
        ax: where to draw; a new figure's by default.

    Returns:
        The ``ax``.
    """
    ax = _axes(ax)
    for one in flow.flows:
        visible = np.where(one.norms > 0, one.norms, np.nan)
        ax.plot(one.steps, visible, marker=".", label=f"{one.name}: {one.verdict}")
    ax.set_yscale("log")
    ax.set(title="Gradient flow", xlabel="step t", ylabel="norm of ∂L/∂s_t")
    ax.legend()
    return ax


def plot_saturation(found: Saturation, ax: Any = None) -> Any:
    """The share of units near their limits over time, a curve for each gate and state.

    Args:
        found: what ``saturation`` returned.
        ax: where to draw; a new figure's by default.

    Returns:
        The ``ax``.
    """
    ax = _axes(ax)
    for name, share in found.shares.items():
        ax.plot(np.arange(1, len(share) + 1), share, marker=".", label=name)
    ax.set(title="Saturation", xlabel="step t", ylabel="share near the limits", ylim=(-0.02, 1.02))
    ax.legend()
    return ax
