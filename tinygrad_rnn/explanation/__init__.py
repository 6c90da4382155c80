"""Explanations of a gradient on its way back through time, for any cell.

``bptt_terms``, ``state_jacobian`` and ``state_jacobians``, ``gradients``, ``gradient_flow`` and ``saturation`` read a
recorded graph and return arrays, or numbers that print themselves as tables; the ``plot_...`` functions draw them.
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .adjoints import gradients
from .flow import Flow, GradientFlow, gradient_flow
from .jacobians import StateJacobians, spectral_radius, state_jacobian, state_jacobians
from .limits import Saturation, saturation
from .plots import plot_gradient_flow, plot_jacobians, plot_saturation, plot_terms
from .terms import BPTTTerms, bptt_terms

__all__ = [
    "BPTTTerms",
    "Flow",
    "GradientFlow",
    "Saturation",
    "StateJacobians",
    "bptt_terms",
    "gradient_flow",
    "gradients",
    "plot_gradient_flow",
    "plot_jacobians",
    "plot_saturation",
    "plot_terms",
    "saturation",
    "spectral_radius",
    "state_jacobian",
    "state_jacobians",
]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
