"""The compiler: cells written in plain NumPy, run as fast as layers that were fused by hand.

A function is traced once; what it does becomes a program, a graph of Values. Passes over that graph hoist what is
loop-invariant or can be batched over time, differentiate the rest, and hand it to an executor that writes it as text.
Each room stands on those before it; with the first two read, the idea is understood.

- ``thresholds``: all numbers by which the compiler chooses, on one page.
- ``graph``: Values, their shapes, and the trace that records them.
- ``loops``: the loop over time. What can be batched over time is hoisted or moved behind it (loop fission).
- ``guards``: what a trace takes for granted, and what a traced function may not do.
- ``program``: a traced function together with its backward pass, which is a loop again.
- ``runtime``: functions that generated code calls.
- ``numpy_code``: the executor that writes calls of NumPy.
- ``elements``: one function of machine code in the making, and how it finds and computes an element.
- ``machine_code``: the executor that writes loops for LLVM; NumPy still computes what stands around them.
- ``jax_code``: the executor that runs a program on JAX.
- ``sizes``: one program for arguments of all lengths, read off three examples.

And what users call:

- ``generate``: the passes in their order, the choice of an executor, and the functions that it writes.
- ``executable``: these functions with their arrays; ``jax_executable``: a program on JAX, called in the same way;
  ``sized_executable``: functions for arguments of all sizes.
- ``checkpointed``: a loop with checkpoints, whose steps between two of them are a program of their own.
- ``graph_node``: one call, as a node of the recorded graph.
- ``report``: a plan as text; ``plans``: what is kept of a function for arguments of one form and size.
- ``sized_plan``: a plan for arguments of all sizes; ``families``: when there is one.
- ``compiled``: ``compile`` itself.
- ``for_jax``: ``to_jax``, for programs in JAX.
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from ..autodiff.errors import CannotCompile
from .compiled import Compiled, compile
from .for_jax import to_jax

__all__ = ["CannotCompile", "Compiled", "compile", "to_jax"]

if not TYPE_CHECKING:  # else a type checker would believe that every name exists
    __getattr__ = did_you_mean.of_room(__name__, __all__)
