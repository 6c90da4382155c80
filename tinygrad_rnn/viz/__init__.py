"""Pictures that teach: the recorded graph, unrolled or rolled, with values, gradients and formulas.

A picture passes through four stages, a room for each: ``reading`` takes in the recorded graph and makes a quotient of
it, ``writing`` puts numbers, formulas and colours on it, ``placing`` gives everything its place in a ``scene``, and
``formats`` write that as SVG, DOT (and by Graphviz), JSON or text.
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .animation import animate
from .drawing import draw
from .picture import Picture
from .plots import plot_attention, plot_gates, plot_losses, plot_states, plot_table
from .reading.paths import highlight

__all__ = [
    "Picture",
    "animate",
    "draw",
    "highlight",
    "plot_attention",
    "plot_gates",
    "plot_losses",
    "plot_states",
    "plot_table",
]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
