"""Recurrent models, built from generic pieces: a cell is a few lines of NumPy, time is a loop."""

from . import init
from .cells import Cell, GRUCell, LSTMCell, LSTMState, RNNCell
from .layers import Linear
from .losses import cross_entropy, mse
from .module import Module, Parameter
from .unroll import unroll

__all__ = [
    "Cell",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "Linear",
    "Module",
    "Parameter",
    "RNNCell",
    "cross_entropy",
    "init",
    "mse",
    "unroll",
]
