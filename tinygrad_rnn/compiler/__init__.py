"""The compiler: cells written in plain NumPy, run as fast as layers that were fused by hand.

To read it, follow a function on its way: ``trace`` (what it does, as a graph of ``values``), ``backward`` (the same
rules as always, run on tracers), ``loop`` (what may leave the loop over time, with ``over_time`` and ``simplify``),
``program`` (all of it together), ``numpy_executor`` (generated code), ``compiled`` (what users call).
"""

from ..autodiff.errors import CannotCompile
from .compiled import Compiled, compile

__all__ = ["CannotCompile", "Compiled", "compile"]
