"""Pictures that teach: the recorded graph, unrolled or rolled, with values, gradients and formulas.

The way of a picture: ``model`` reads the recorded graph, ``views`` makes a quotient of it, ``layout`` gives everything
its place in a ``scene``, and ``svg`` or ``dot`` (and Graphviz) write it.
"""

from .drawing import draw
from .paths import highlight
from .picture import Picture
from .plots import plot_attention, plot_gates, plot_losses, plot_states

__all__ = ["Picture", "draw", "highlight", "plot_attention", "plot_gates", "plot_losses", "plot_states"]
