"""Pictures of the other modules' results. Each function takes an ``ax`` of matplotlib, or makes one, and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.extras import axes_for
from ..autodiff.tables import evenly_spread
from .flow import GradientFlow
from .jacobians import StateJacobians
from .limits import Saturation
from .terms import BPTTTerms


def _heat_map(ax: Any, values: np.ndarray, rows: Sequence[int], columns: Sequence[int], label: str) -> Any:
    """Draw logarithms in colour; zeros and entries beyond the diagonal stay blank. At most ten steps are numbered."""
    logarithms = np.full(values.shape, np.nan)
    np.log10(values, out=logarithms, where=values > 0)
    image = ax.imshow(logarithms, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=f"log10 of {label}")
    for axis, steps in ((ax.yaxis, rows), (ax.xaxis, columns)):
        shown = evenly_spread(len(steps))
        axis.set_ticks(shown, [str(steps[i]) for i in shown])
    return ax


def plot_terms(terms: BPTTTerms, ax: Any = None) -> Any:
    """The norms of the terms of BPTT as a heat map: loss terms t down, steps k across.

    Args:
        terms: what ``bptt_terms`` returned.
        ax: where to draw; a new figure's by default (``ax.figure.savefig("terms.png")``).

    Returns:
        The ``ax``.
    """
    ax = _heat_map(axes_for(ax), terms.norms, terms.rows, range(1, terms.norms.shape[1] + 1), "the norm")
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
    label = "the bound" if what == "bound" else f"the {what} norm"
    ax = _heat_map(axes_for(ax), getattr(jacobians, what), jacobians.order, jacobians.order, label)
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
    ax = axes_for(ax)
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
    ax = axes_for(ax)
    for name, share in found.shares.items():
        ax.plot(np.arange(1, len(share) + 1), share, marker=".", label=name)
    ax.set(title="Saturation", xlabel="step t", ylabel="share near the limits", ylim=(-0.02, 1.02))
    ax.legend()
    return ax
