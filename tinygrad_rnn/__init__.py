"""Recurrent networks in plain NumPy: differentiated, drawn, and checked against formulas derived by hand."""

from . import autodiff, nn, optim
from .autodiff import *  # noqa: F403
from .autodiff import __all__ as _engine
from .nn import unroll

__version__ = "0.1.0"
__all__ = [*_engine, "autodiff", "nn", "optim", "unroll"]
