"""The compiler: cells written in plain NumPy, run as fast as layers that were fused by hand.

To read it, follow a function on its way. Each file stands before those that use it, so that arrows point backwards.

What it does, as a graph:

- ``values``: what a program is made of; ``shapes``: how large each is.
- ``trace``: the function runs on stand-ins for arrays, and what it does is kept.

The loop over time, split:

- ``over_time``: what can be done for all steps at once.
- ``loop``: what leaves the loop by that, and what has to stay.
- ``simplify``: the same step, written so that more can leave.
- ``unrolling``: where a function goes through time, one step is traced, and a loop goes round it.

The program:

- ``backward``: the backward pass, by the same rules as always, run on tracers; that of a loop is a loop again.
- ``random_numbers``: what a trace can't hold; ``mentions``, ``guards``: what it takes for granted; ``own_changes``:
  what a function may not change itself.
- ``program``: all of it together.

Executors, which write a program as Python functions:

- ``generated``: what they write; ``numpy_kernels``: how NumPy computes each operation; ``writer``: what everything
  is called.
- ``tiles``, ``threads``, ``blas``: how many rows go together, and large products on threads of our own.
- ``numpy_loop``, ``numpy_executor``: calls of NumPy, with ``out=`` everywhere.
- ``places``, ``machine_kernels``: where elements lie, and what is done with each.
- ``machine_threads``: rows of a batch that go through a loop by themselves.
- ``fast_functions``, ``machine_product``: what machine code calls; ``machine_cache``: how numba makes it of text, and
  where it is kept.
- ``machine_code``: that text, of one function; ``machine_placement``: where Values lie in its arrays.
- ``machine_elements``, ``machine_matmul``: passes over elements, and products; ``machine_schedule``: in which order.
- ``machine_loop``: loops around them.
- ``machine_program``, ``machine_passes``: small programs as one function, and large ones as several.
- ``views``: parts of buffers, made once; ``executors``: the choice between them all.

What users call:

- ``reach``, ``executable``: a program that runs, with its arrays; ``call``: one run of it, as a node of the graph.
- ``report``: what is said of a plan; ``plans``, ``compiled``: one plan for each form of arguments, and ``compile``.
"""

from ..autodiff.errors import CannotCompile
from .compiled import Compiled, compile

__all__ = ["CannotCompile", "Compiled", "compile"]
