"""The place in a model where a value is made: layer, time step, module; and the switch for recording.

Every node of a graph carries the scope that was current when it was created, so pictures, explanations and error
messages never have to guess it from the shape of the graph afterwards. The state is per thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .texts import printable

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager as Switch  # a context that is a decorator, too


class Scope(NamedTuple):
    """The place in a model where a value was made.

    Attributes:
        layer: the index of a layer in a stack (0, 1, ...), or a name ("encoder"); nested names are joined by dots.
        step: the time step, counted from 1 as in the articles; 0 is the initial state.
        owner: the module that was running. Its ``describe()``, if any, describes the input it takes.
        within: the scope of the step that the loop runs in; None for a loop that is not inside a step of another.
        cell: the cell whose step it is.
    """

    layer: int | str | None = None
    step: int | None = None
    owner: Any = None
    within: Scope | None = None
    cell: Any = None

    @property
    def outermost_step(self) -> int | None:
        """The time step of the outermost loop: for example the sentence, if an inner loop goes over its words."""
        return self.step if self.within is None else self.within.outermost_step

    def __str__(self) -> str:
        parts = []
        if self.layer is not None:
            parts.append(f"layer {printable(str(self.layer))}")
        if self.step is not None:
            parts.append(f"step {self.step}")
        return ", ".join(parts)


class Label(NamedTuple):
    """The role of a value in a model, noted when the value was made.

    Attributes:
        role: "input", "output", "state" or "value" (a gate, or anything else that ``named`` was called on).
        name: "h", "c", "f", "y", ...
        layer, step: as in Scope.
    """

    role: str
    name: str
    layer: int | str | None = None
    step: int | None = None


NOWHERE = Scope()


class Context(threading.local):
    """The state of the current thread: whether operations are recorded, and in which scope."""

    recording: bool = True
    scope: Scope = NOWHERE
    anomaly: Any = None  # set by detect_anomaly: receives each new node, and observes each backward walk
    collector: Any = None  # set by code that collects named values: called with each label and value
    stops: bool = True  # whether a detached value is cut off from the graph
    trace: Any = None  # set by the compiler while it traces: takes every operation, and runs none
    origins: Any = None  # set by remembering: the origins of plain arrays


context = Context()


@contextmanager
def changed(target: Any, **values: Any) -> Iterator[None]:
    """A context in which attributes of an object have other values; afterwards they have their own again."""
    before = {name: getattr(target, name) for name in values}
    try:
        for name, value in values.items():
            setattr(target, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


def no_grad() -> Switch[None]:
    """Switch recording off: results need no gradient, even if their inputs do. Also works as a decorator.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> with tr.no_grad():
        ...     (w * 2).requires_grad
        False
    """
    return changed(context, recording=False)


def nothing_stopped() -> Switch[None]:
    """A context in which ``detach`` and ``stop_gradient`` cut nothing: gradients flow through them."""
    return changed(context, stops=False)


def enable_grad() -> Switch[None]:
    """Record again, inside a ``no_grad()``."""
    return changed(context, recording=True)


@contextmanager
def scope(layer: int | str | None = None, step: int | None = None, owner: Any = None) -> Iterator[None]:
    """Mark what is recorded inside as belonging to a layer, a time step, a module.

    Arguments that aren't given stay as they are outside; the name of a layer inside a layer is joined to it by a dot.

    Args:
        layer: index or name of the layer.
        step: time step, counted from 1.
        owner: the module that runs.

    Example:
        >>> import tinygrad_rnn as tr
        >>> w = tr.tensor([1.0, 2.0], requires_grad=True)
        >>> with tr.scope(layer=0, step=3):
        ...     y = w * 2
        >>> print(y.scope)
        layer 0, step 3
    """
    before = context.scope
    if layer is None:
        layer = before.layer
    elif before.layer is not None:
        layer = f"{before.layer}.{layer}"
    inside = Scope(
        layer,
        before.step if step is None else step,
        before.owner if owner is None else owner,
        before.within,
        before.cell if layer == before.layer else None,
    )
    with resumed(inside):
        yield


def of_loop(outside: Scope) -> Scope:
    """The scope of a loop that runs in a given scope; each of its steps replaces ``step``.

    A loop inside a step of another is a layer of its own, so that its steps are not taken for those of the outer loop,
    nor for those of its next run.

    Example:
        >>> of_loop(Scope("words", step=2)).layer
        'words in step 2'
    """
    if outside.step is None:
        return outside
    layer = f"{'loop' if outside.layer is None else outside.layer} in step {outside.step}"
    return Scope(layer, None, outside.owner, outside)


def resumed(where: Scope) -> Switch[None]:
    """A context in which new nodes belong to the scope of an earlier node."""
    return changed(context, scope=where)
