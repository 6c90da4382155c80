"""The formulas of recurrent networks, derived by hand, in NumPy alone.

Each module is one derivation: its equations stand in the docstring with their source, and again beside the lines that
compute them. ``forward`` returns a trace of every intermediate quantity, ``backward(trace)`` returns the gradients
together with every derivative on the way to them. Nothing here imports the autodiff engine; agreement between the two
means something only because of that independence.

Start with ``manual.elman``.
"""

from . import (
    activations,
    attention,
    ctc,
    elman,
    gru,
    letters,
    lines,
    losses,
    lstm,
    paths,
    readout,
    rtrl,
    skip,
    stacked,
    training,
    truncated,
    worked_example,
    worked_example_slips,
)

__all__ = [
    "activations",
    "attention",
    "ctc",
    "elman",
    "gru",
    "letters",
    "lines",
    "losses",
    "lstm",
    "paths",
    "readout",
    "rtrl",
    "skip",
    "stacked",
    "training",
    "truncated",
    "worked_example",
    "worked_example_slips",
]
