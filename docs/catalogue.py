"""The catalogue: every function that can be differentiated, as the registry knows it.

``python -m docs.catalogue`` prints it as Markdown.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tinygrad_rnn.autodiff import rules
from tinygrad_rnn.autodiff.registry import OVERRIDES, PLAIN, Primitive, name_of

# The files of rules in each room of the catalogue.
ROOMS = {
    "Elementwise": ("elementwise",),
    "Activations": ("activations", "log_probabilities", "special"),
    "Reductions": ("reductions", "cumulative", "statistics"),
    "Shape": ("joining", "shape", "rearranging"),
    "Indexing": ("indexing",),
    "Linear algebra": ("linalg", "products", "decompositions"),
    "Grids and Fourier transforms": ("grids", "curves", "fourier"),
}

LEGEND = """\
- *derivative*: the derivative of each element, which serves both modes.
- *transpose*, *itself*: the function is linear, so forward mode is the function applied to the tangent.
- *written*: both rules are in the code.
- *of its parts*: a function of other primitives, which needs no rules of its own.
"""


class Row(NamedTuple):
    """A function in the catalogue.

    Attributes:
        room: the part of the catalogue.
        name: the name that users write, ``np.tanh`` or ``tr.sigmoid``.
        function: the function itself.
        vjp: the origin of its rule for reverse mode.
        jvp: the origin of its rule for forward mode.
    """

    room: str
    name: str
    function: Callable[..., Any]
    vjp: str
    jvp: str


def users_name(function: Any) -> str:
    """The name that users write: ``np.linalg.inv``, ``tr.sigmoid``."""
    module = getattr(function, "__module__", None) or ""
    return ("tr." if module.startswith("tinygrad_rnn") else "np.") + name_of(function)


def primitives() -> Iterator[tuple[str, Primitive]]:
    """Every primitive, with its room of the catalogue."""
    seen: set[int] = set()
    for room, files in ROOMS.items():
        for file in files:
            for value in vars(importlib.import_module(f"{rules.__name__}.{file}")).values():
                if isinstance(value, Primitive) and id(value) not in seen:
                    seen.add(id(value))
                    yield room, value


def _form(op: Primitive) -> tuple[str, str]:
    if op.is_linear:
        return "transpose", "itself"
    return ("derivative", "derivative") if op.by_element else ("written", "written")


def _rules_of(implementation: Any) -> tuple[str, str]:
    """The kind of rules that a primitive has; for a composition, the kinds of the primitives that it calls."""
    if isinstance(implementation, Primitive):
        return _form(implementation)
    called = (implementation.__globals__.get(name) for name in implementation.__code__.co_names)
    forms = dict.fromkeys(_form(op) for op in called if isinstance(op, Primitive))
    if not forms:
        return "of its parts", "of its parts"
    vjps, jvps = zip(*forms)
    return ", ".join(dict.fromkeys(vjps)), ", ".join(dict.fromkeys(jvps))


def rows() -> list[Row]:
    """The rows of the catalogue, room by room, each room sorted by name."""
    room_of_file = {file: room for room, files in ROOMS.items() for file in files}
    room_of_primitive = {id(op): room for room, op in primitives()}
    engine = importlib.import_module("tinygrad_rnn.autodiff")
    own = [f for f in (getattr(engine, name) for name in engine.__all__) if not isinstance(f, type)]
    entries = [*OVERRIDES.items(), *((f, f) for f in own if str(f.__module__).startswith(rules.__name__))]
    found = []
    for function, implementation in entries:
        if isinstance(implementation, Primitive):
            room = room_of_primitive[id(implementation)]
        else:
            room = room_of_file[implementation.__module__.rpartition(".")[2]]
        found.append(Row(room, users_name(function), function, *_rules_of(implementation)))
    order = list(ROOMS)
    return sorted(found, key=lambda row: (order.index(row.room), row.name))


def markdown(orders: Mapping[Any, int] | None = None) -> str:
    """The catalogue as Markdown; with ``orders``, the order up to which the derivatives of each are tested."""
    parts = ["# What can be differentiated\n", LEGEND]
    for room in ROOMS:
        lines = [f"## {room}", "", "| function | vjp | jvp |", "| --- | --- | --- |"]
        if orders is not None:
            lines[2:] = ["| function | vjp | jvp | order tested |", "| --- | --- | --- | ---: |"]
        for row in (row for row in rows() if row.room == room):
            order = "" if orders is None else f" {orders[row.function]} |"
            lines.append(f"| `{row.name}` | {row.vjp} | {row.jvp} |{order}")
        parts.append("\n".join(lines) + "\n")
    names = sorted({users_name(function) for function in PLAIN})
    parts.append(
        "## Plain results\n\nThese look at values or shapes; they give plain arrays, through which no gradient flows:\n"
        + ", ".join(f"`{name}`" for name in names)
        + ".\n"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    print(markdown(), end="")
