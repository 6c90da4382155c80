"""``compile``: a function of arrays, which is traced and planned, and from then on runs as generated code."""

from __future__ import annotations

import importlib.util
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..autodiff.did_you_mean import check_function
from ..autodiff.errors import NotOnTensors
from ..autodiff.extras import pip_install
from ..autodiff.memory import keep_freed_memory
from ..autodiff.scope import context
from ..autodiff.tensor import Tensor, apply
from . import thresholds
from .executable import Executable
from .families import Family
from .graph_node import Call
from .guards.argument_form import form_of
from .guards.guards import Guards
from .guards.random_numbers import without_draws
from .guards.side_effects import difference, refuse_iterators
from .loops.traced_loop import unroll_traced
from .plans import Chosen, Plan, switching_call
from .sized_plan import Request, SizedPlan
from .sizes.reading import DependsOnSize

Eager = Callable[..., Any]
Fallback = bool | Callable[[NotOnTensors], Any]
EXECUTORS = ("numpy", "llvm", "auto", "jax")
_AUTO_AT = '; "auto:20" would be for machine code from the 20th call on'
UNKNOWN: Any = object()


class Prepared(NamedTuple):
    """A call that may be made."""

    plan: Plan  # the plan for the form of its arguments
    executable: Executable  # the generated code that runs
    inputs: tuple[Any, ...]  # its inputs: the arrays among the arguments, and the other Tensors that the function uses


class Compiled:
    """A compiled function; made by ``compile``.

    A call returns what the function returns. As the cell of an ``unroll``, it replaces the whole loop over time.

    Attributes:
        function: the function that was compiled.
        executor: "numpy", "llvm", "auto" or "jax".
        fallback: whether the function runs uncompiled where it can't be compiled; or a function to call with the error.
    """

    def __init__(self, function: Callable[..., Any], executor: str, fallback: Fallback) -> None:
        self.function = function
        self.executor = executor
        self.fallback = fallback
        self._plans: dict[Any, Chosen | None] = {}  # None if it runs uncompiled: refused, or of Scalars
        self._families: dict[Any, Family] = {}
        self._guards = Guards(function)
        self._has_warned = False
        self._lock = threading.RLock()  # for threads that share it

    @property
    def plans(self) -> list[Plan]:
        """The plans so far; ``print`` shows what each computes where, and whether for all lengths or only for some.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tr
            >>> cell = tr.compile(tr.nn.RNNCell(3, 4, bias=False))
            >>> with tr.no_grad():
            ...     ys, h = tr.unroll(cell, np.zeros((7, 2, 3), np.float32))
            >>> print(cell.plans[0])
            forward: 896 flop
              outside  matmul       (14, 4)            of (14, 3), (3, 4)                336 flop, 224 B
              loop of 7 steps: 80 flop in each
                inside  matmul       (2, 4)             of (2, 4), (4, 4)                 64 flop, 32 B
                inside  add          (2, 4)             of (2, 4), (2, 4)                 8 flop, 32 B
                inside  tanh         (2, 4)             of (2, 4)                         8 flop, 32 B
            <BLANKLINE>
            4 buffers, 544 B in all, kept from call to call
        """
        return list(dict.fromkeys(found.plan for found in self._plans.values() if found is not None))

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The function's result."""
        if context.trace is not None:
            return self.function(*args, **keywords)
        if keywords:
            return self._run(lambda steps: self._by_name, "by name", (args, keywords), self._by_name)
        return self._run(lambda steps: self.function, "call", args, self.function)

    def _by_name(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return self.function(*args, **keywords)

    def over_time(
        self, xs: Any, state: Any, steps: int, reverse: bool, step: Callable[..., tuple[Any, Any]], eager: Eager
    ) -> tuple[Any, Any]:
        """Run the function as a cell over a sequence; ``unroll`` calls this.

        Args:
            xs: an array (T, ...) or a tree of such, or None.
            state: a tree of arrays.
            steps: how many steps, at least 1.
            reverse: whether to go from the last step to the first.
            step: the function, wrapped so that it returns a pair.
            eager: ``eager(xs, state)`` does the same step by step.

        Returns:
            The outputs of all steps, (T, ...), and the state after the last.
        """

        def function(steps: int) -> Callable[..., Any]:
            return lambda xs, state: unroll_traced(step, xs, state, steps, reverse)

        return self._run(function, "forwards" if not reverse else "backwards", (xs, state), eager, steps)

    def _run(
        self,
        function: Callable[[int], Callable[..., Any]],
        what: str,
        args: tuple[Any, ...],
        eager: Eager,
        steps: int | None = None,
    ) -> Any:
        """Run the plan for these arguments.

        Args:
            function: returns the function to trace, for a number of steps.
            what: a word for what it does.
            args: its arguments.
            eager: computes the same step by step.
            steps: the number of steps, if a cell is to run over a sequence, the first of the arguments.
        """
        if context.anomaly is not None:
            return eager(*args)
        found = self._prepared(function, what, args, steps)
        if found is None:
            return self._as_it_is(eager, args)
        plan, executable, inputs = found
        call = Call(executable, args, inputs, eager)
        try:
            results = apply(call, tuple(inputs))
        except Exception as error:
            failure = error
        else:
            return plan.packed(results if call.outputs else (results,))
        try:
            eager(*args)  # this fails too, and names the operation, the layer and the step
            raise failure
        finally:
            del failure  # whose traceback holds this frame, and so the arrays of the call

    def prepared(self, *args: Any) -> Prepared | None:
        """The executable that would run for these arguments; None if the function would run uncompiled."""
        return self._prepared(lambda steps: self.function, "call", args)

    def _prepared(
        self, function: Callable[[int], Callable[..., Any]], what: str, args: tuple[Any, ...], steps: int | None = None
    ) -> Prepared | None:
        arrays: list[Any] = []
        lengths: list[int] = [] if steps is None else [steps]
        things: list[Any] = []
        form = (what, form_of(args, arrays, lengths, things))
        request = Request(form, tuple(lengths), function, args, things, steps is not None)
        with self._lock:
            return self._ready(request, arrays)

    def _ready(self, request: Request, arrays: list[Any]) -> Prepared | None:
        """The call that a request stands for; None if the function is to run uncompiled."""
        found = self._plan(request, arrays)
        if found is None:
            return None
        inputs = (*arrays, *found.plan.captured)
        try:
            executable = self._executable(request, found, inputs)
            return None if executable is None else Prepared(found.plan, executable, inputs)
        except DependsOnSize as why:  # its gradient does, or its machine code
            self._families[request.form].close(str(why))
            del self._plans[request.form, request.lengths]
            return self._ready(request, arrays)

    def _plan(self, request: Request, arrays: list[Any]) -> Chosen | None:
        """The plan for a request, or None where the function runs uncompiled."""
        if self._guards.changed():
            self._plans.clear()
            self._families.clear()
            self._guards = Guards(self.function)
        key = request.form, request.lengths
        found = self._plans.pop(key, UNKNOWN)
        if found is not UNKNOWN and (found is None or not found.plan.guards.changed()):
            self._plans[key] = found  # the last used stands last
            return found
        by_scalars = any(a.dtype == object for a in arrays)
        self._plans[key] = found = None if by_scalars else self._found_or_made(request)
        self._drop_the_oldest(_is_shared(found))
        return found

    def _drop_the_oldest(self, shared: bool) -> None:
        """Drop the oldest plans beyond their limit: few large ones, more of those that share a plan for all sizes."""
        most = thresholds.MOST_SIZES if shared else thresholds.MOST_PLANS
        if len(self._plans) > most:
            keys = [key for key, found in self._plans.items() if _is_shared(found) == shared]
            for key in keys[: max(0, len(keys) - most)]:
                del self._plans[key]

    def _found_or_made(self, request: Request) -> Chosen | None:
        """The plan for arguments of all lengths, if there is one; if not, a new one."""
        family = self._families.setdefault(request.form, Family())
        before = family.sized
        found = None if self.executor == "jax" else family.plan(request, self._sized_plan)
        if found is not None:
            if found.plan is not before:  # it replaces those for other lengths
                old = [key for key, other in self._plans.items() if key[0] == request.form and _is_shared(other)]
                for key in old:
                    del self._plans[key]
            if self._guards.changed() or found.plan.guards.changed():  # a Tensor that it stores
                self._settle(found.plan)
            return found
        guards = Guards(*request.things)
        if self._guards.changed():
            self._guards.put_back()
        plan = self._planned(request, guards)
        if plan is None:
            return None
        family.has_own(request.lengths, plan)
        return Chosen(plan)

    def _sized_plan(self, request: Request, forms: Sequence[tuple[int, ...]], taken: set[int]) -> SizedPlan:
        things = request.things
        return SizedPlan(
            request, forms, taken, self.executor, Guards(*things), [self.function, *things], self._runs_by_numpy
        )

    def _planned(self, request: Request, guards: Guards) -> Plan | None:
        """A new plan, for arguments of these lengths; None if there can't be one."""
        steps = request.lengths[0] if request.over_time else 0
        try:
            refuse_iterators(self._guards, guards)
            plan = without_draws(
                lambda: Plan(
                    request.function(steps),
                    request.args,
                    self.executor,
                    guards,
                    [self.function, *guards.things],
                    self._runs_by_numpy,
                ),
                [*self._guards.generators, *guards.generators],
            )
        except NotOnTensors as why:
            self._refused(why, guards)
            return None
        self._settle(plan)
        return plan

    def _executable(self, request: Request, found: Chosen, inputs: Sequence[Any]) -> Executable | None:
        """The executable for the gradients wanted by this call, or None if compiling was refused."""
        recording = context.recording
        wanted = tuple([recording and isinstance(a, Tensor) and a.requires_grad for a in inputs])
        try:
            return found.plan.executable(wanted, inputs, found.sizes)
        except NotOnTensors as why:
            self._refused(why, found.plan.guards)
            self._plans[request.form, request.lengths] = None
            return None

    def _refused(self, why: NotOnTensors, guards: Guards) -> None:
        """Undo the changes of a function that can't be compiled; raise the reason, unless it may run as it is."""
        self._guards.put_back()
        guards.put_back()
        if not self.fallback:
            raise why
        if callable(self.fallback):
            self.fallback(why)

    def _runs_by_numpy(self, why: str) -> None:
        """Warn, once, that there is no machine code though it was asked for."""
        if not self._has_warned:
            self._has_warned = True
            name = getattr(self.function, "__name__", type(self.function).__name__)
            warnings.warn(f"compile: {name} runs by NumPy, because {why}", UserWarning, stacklevel=2)

    def _settle(self, plan: Plan | None = None) -> None:
        """Snapshot the guards again, so that the function's own changes don't count as the user's.

        Args:
            plan: the plan for which the function was traced, if it was.
        """
        if plan is not None:
            plan.guards = Guards(*plan.guards.things)
        before, self._guards = self._guards, Guards(self.function)
        if difference(before.spelled, self._guards.spelled):  # then plans of what it was before are out of date
            self._plans = {key: found for key, found in self._plans.items() if found is None}
            self._families.clear()

    def _as_it_is(self, eager: Eager, args: tuple[Any, ...]) -> Any:
        """Run the function uncompiled. Its own changes do not trigger another attempt to compile it."""
        result = eager(*args)
        with self._lock:
            if self._guards.changed():
                self._settle()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy the function without its plans: a copy makes its own, for its own parameters."""
        return type(self), (self.function, self.executor, bool(self.fallback))

    def __repr__(self) -> str:
        return f"compiled({self.function!r})"


def _is_shared(found: Chosen | None) -> bool:
    """Return True for a plan for arguments of all sizes."""
    return found is not None and bool(found.sizes)


def compile(function: Callable[..., Any], *, executor: str = "numpy", fallback: Fallback = False) -> Compiled:
    """Compile a cell, or any function of arrays with its loops over time, such as a whole loss.

    The function is traced for each new form of its arguments: it runs once on stand-ins that record what it does. From
    this record, a backward pass is derived by the usual rules, and a plan is made: what doesn't need the recurrence
    leaves the loop over time as large products, and all arrays are allocated once. Results are the same to rounding.

    Args:
        function: a cell, ``y, state = cell(x, state)``; or a function of arrays and trees of them, which calls
            ``unroll``. Its Tensors are read at each call. Plain arrays that it uses, and what its Python code decides,
            are taken as they are when it is traced: to change such an array later, make a Tensor of it and set its
            ``data``. An attribute or a variable that is replaced by something else is noticed; a count, which the
            function itself changes at each call, is refused. What isn't noticed
            is listed in docs/speed.md, "What can't be compiled".
        executor: "numpy"; "llvm" for loops in machine code, which takes a second to make the first time and is kept on
            disk (where there can be none, NumPy runs it, and a warning says why; "numba" is its earlier name); "auto"
            for NumPy until machine code, which a thread makes meanwhile where llvmlite is installed, is ready. The two
            round differently in the last digits, so with "auto" a run can't be repeated bit for bit; with "auto:20" it
            can: each plan then runs on NumPy for 19 calls, and from the 20th on as machine code, for which it waits.
            "jax" runs it on JAX's first device, a GPU or TPU if there is one; see docs/scale.md for what differs there.
        fallback: whether to run the function uncompiled if it can't be compiled, instead of raising. If this is a
            function, such as ``print``, it is called with the error that would have been raised. The function's own
            errors are raised all the same.

    Raises:
        ValueError: there is no such executor.
        ImportError: machine code is asked for, but llvmlite isn't installed; or JAX is asked for, but isn't installed.
        CannotCompile: (when called) the function asks for a value, as ``if h > 0`` does, draws random numbers inside,
            or counts its calls; its changes are undone. This is a TypeError, as are the errors for what Tensors can't
            do, such as ``out=``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> from tinygrad_rnn.compiler import compile
        >>> cell = tr.nn.RNNCell(3, 4)
        >>> fast = compile(cell)
        >>> xs = np.ones((7, 2, 3), np.float32)
        >>> ys, h = tr.unroll(fast, xs)
        >>> np.allclose(ys.data, tr.unroll(cell, xs)[0].data)
        True
    """
    check_function("compile", function, "cell or a function")
    if executor == "numba":  # the earlier name of "llvm"
        executor = "llvm"
    if executor not in EXECUTORS and switching_call(executor) is None:
        names, hint = ", ".join(map(repr, EXECUTORS)), _AUTO_AT if ":" in executor else ""
        raise ValueError(f"compile: executor is one of {names}, not {executor!r}{hint}")
    if executor == "llvm" and importlib.util.find_spec("llvmlite") is None:
        raise ImportError(f'compile(executor="llvm") makes machine code with llvmlite: {pip_install("jit")}')
    if executor == "jax" and importlib.util.find_spec("jax") is None:
        raise ImportError(f'compile(executor="jax") runs functions on JAX: {pip_install("jax")}')
    keep_freed_memory()
    return Compiled(function, executor, fallback)
