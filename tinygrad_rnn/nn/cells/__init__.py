"""Recurrent cells: what happens in one time step. Each is a few lines of NumPy; none has a backward pass of its own."""

from .base import Cell
from .elman import RNNCell
from .gated import GRUCell, LSTMCell, LSTMState

__all__ = ["Cell", "GRUCell", "LSTMCell", "LSTMState", "RNNCell"]
