"""Recurrent models, built from generic pieces: a cell is a few lines of NumPy, time is a loop."""

from . import init
from .cells import Cell, GRUCell, LSTMCell, LSTMState, RNNCell
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .losses import cross_entropy, mse
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN, Recurrent
from .through_time import detach
from .torch_weights import from_torch_state_dict, to_torch_state_dict
from .unroll import Noisy, unroll
from .weights import load_weights, save_weights

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "LSTMState",
    "LayerNorm",
    "Linear",
    "Module",
    "Noisy",
    "Parameter",
    "RNNCell",
    "Recurrent",
    "Sequential",
    "cross_entropy",
    "detach",
    "from_torch_state_dict",
    "init",
    "load_weights",
    "mse",
    "save_weights",
    "to_torch_state_dict",
    "unroll",
]
