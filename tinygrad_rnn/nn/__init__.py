"""Recurrent models, built from generic pieces: a cell is a few lines of NumPy, time is a loop.

Read ``module`` first (what a model is), then ``cells`` (one step of time; none has a backward pass of its own),
``unroll`` (the loop), ``recurrent`` (layers: any cells, in both directions, over padded batches) with
``through_time``, and ``stacks`` (layers of cells of one kind). Then ``losses`` and ``ctc``; ``attention``, ``seq2seq``,
``decoding`` and ``architectures`` (whole models); ``weights`` and ``torch_weights``; ``layers`` and ``init``.

Everything random takes ``seed=``: an int, or a ``numpy.random.Generator``. Without one it draws from the package's own
generator, which starts from a fixed seed (``tr.manual_seed`` sets another): a script repeats itself, and two layers
differ. To make one part of a model reproducible alone, give it its own seed.
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from . import init
from .architectures import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, last_output, teacher_forcing
from .attention import AdditiveAttention, Attention, DotProductAttention, Memory
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
from .decoding import Hypothesis, beam_search, greedy
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
from .recurrent import Recurrent
from .seq2seq import Decoder
from .stacks import GRU, LSTM, RNN
from .torch_weights import from_torch_state_dict, to_torch_state_dict
from .unroll import Noisy, unroll
from .weights import load_weights, save_weights

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdditiveAttention",
    "Attention",
    "Cell",
    "Decoder",
    "DotProductAttention",
    "Dropout",
    "DropoutCell",
    "Embedding",
    "EncoderDecoder",
    "GRUCell",
    "Hypothesis",
    "IndRNNCell",
    "JordanCell",
    "LSTMCell",
    "LSTMState",
    "LayerNorm",
    "LayerNormCell",
    "Linear",
    "MGUCell",
    "ManyToMany",
    "ManyToOne",
    "Memory",
    "Module",
    "Noisy",
    "OneToMany",
    "Parameter",
    "RNNCell",
    "Recurrent",
    "ResidualCell",
    "Sequential",
    "SkipRNNCell",
    "StackedCell",
    "Wrapper",
    "ZoneoutCell",
    "beam_search",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bits_per_character",
    "cross_entropy",
    "ctc",
    "from_torch_state_dict",
    "greedy",
    "huber",
    "init",
    "l1",
    "last_output",
    "load_weights",
    "mse",
    "nll",
    "one_sided_cross_entropy",
    "perplexity",
    "save_weights",
    "teacher_forcing",
    "to_torch_state_dict",
    "unroll",
]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
