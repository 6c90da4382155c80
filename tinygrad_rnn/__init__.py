"""Recurrent networks in plain NumPy: differentiated, drawn, and checked against formulas derived by hand.

    import numpy as np
    import tinygrad_rnn as tr

    def cell(x, h):
        return np.tanh(x @ U + h @ W + b)

    ys, h = tr.unroll(cell, xs, state=np.zeros(d))

The engine (``tr.autodiff``), models (``tr.nn``) and optimisers (``tr.optim``) are there at once; the other rooms are
imported when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from . import autodiff, nn, optim
from .autodiff import *  # noqa: F403
from .autodiff import __all__ as _engine
from .autodiff import did_you_mean
from .nn import unroll
from .nn.init import manual_seed

if TYPE_CHECKING:
    from . import data, deployment, explanation, language, manual, training, viz
    from .comparison import compare
    from .compiler import compile, to_jax
    from .deployment import export_onnx
    from .derivation import derive
    from .training import fit
    from .viz import animate, draw

__version__ = "0.1.0"

# What is imported when it is first asked for: rooms, and functions, each with the room that it is in.
_ROOMS = ("data", "deployment", "explanation", "language", "manual", "training", "viz")
_FUNCTIONS = {
    "animate": "viz",
    "compare": "comparison",
    "compile": "compiler",
    "derive": "derivation",
    "draw": "viz",
    "export_onnx": "deployment",
    "fit": "training",
    "to_jax": "compiler",
}

__all__ = [
    *_engine,
    "animate",
    "autodiff",
    "compare",
    "compile",
    "data",
    "deployment",
    "derive",
    "draw",
    "explanation",
    "export_onnx",
    "fit",
    "language",
    "manual",
    "manual_seed",
    "nn",
    "optim",
    "to_jax",
    "training",
    "unroll",
    "viz",
]


if not TYPE_CHECKING:  # else a type checker would take every name for one that there is

    def __getattr__(name: str) -> Any:
        if name not in (*_ROOMS, *_FUNCTIONS):
            raise AttributeError(_unknown(name), name=name, obj=sys.modules[__name__])
        room = importlib.import_module(f".{_FUNCTIONS.get(name, name)}", __name__)
        value = getattr(room, name) if name in _FUNCTIONS else room
        globals()[name] = value
        return value


def _unknown(name: str) -> str:
    """The error message for a missing name; short for names with an underscore, which programs ask for."""
    if name.startswith("_"):
        return f"module {__name__!r} has no attribute {name!r}"
    rooms = ["nn", "optim", "explanation", "viz", "training", "data", "language", "manual"]
    return did_you_mean.function(
        name, __all__, ((room, importlib.import_module(f".{room}", __name__).__all__) for room in rooms)
    )


def __dir__() -> list[str]:
    return sorted(__all__)
