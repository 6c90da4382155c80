"""Recurrent cells: one time step each. Each is a few lines of NumPy; none has a backward pass of its own."""

from .base import Cell
from .elman import IndRNNCell, JordanCell, RNNCell, SkipRNNCell
from .gated import GRUCell, LSTMCell, LSTMState, MGUCell
from .wrappers import DropoutCell, LayerNormCell, ResidualCell, StackedCell, Wrapper, ZoneoutCell

__all__ = [
    "Cell",
    "DropoutCell",
    "GRUCell",
    "IndRNNCell",
    "JordanCell",
    "LSTMCell",
    "LSTMState",
    "LayerNormCell",
    "MGUCell",
    "RNNCell",
    "ResidualCell",
    "SkipRNNCell",
    "StackedCell",
    "Wrapper",
    "ZoneoutCell",
]
