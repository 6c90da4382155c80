"""Recurrent models, built from generic pieces: a cell is a few lines of NumPy, time is a loop."""

from . import init
from .cells import (
    Cell,
    DropoutCell,
    GRUCell,
    IndRNNCell,
    JordanCell,
    LayerNormCell,
    LSTMCell,
    LSTMState,
    MGUCell,
    ResidualCell,
    RNNCell,
    SkipRNNCell,
    StackedCell,
    Wrapper,
    ZoneoutCell,
)
from .ctc import ctc
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    bits_per_character,
    cross_entropy,
    huber,
    l1,
    mse,
    nll,
    one_sided_cross_entropy,
    perplexity,
)
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
    "DropoutCell",
    "Embedding",
    "GRUCell",
    "IndRNNCell",
    "JordanCell",
    "LSTMCell",
    "LSTMState",
    "LayerNorm",
    "LayerNormCell",
    "Linear",
    "MGUCell",
    "Module",
    "Noisy",
    "Parameter",
    "RNNCell",
    "Recurrent",
    "ResidualCell",
    "Sequential",
    "SkipRNNCell",
    "StackedCell",
    "Wrapper",
    "ZoneoutCell",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bits_per_character",
    "cross_entropy",
    "ctc",
    "detach",
    "from_torch_state_dict",
    "huber",
    "init",
    "l1",
    "load_weights",
    "mse",
    "nll",
    "one_sided_cross_entropy",
    "perplexity",
    "save_weights",
    "to_torch_state_dict",
    "unroll",
]
