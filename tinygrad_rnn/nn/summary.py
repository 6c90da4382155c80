"""A model in a table: its layers, the shapes of their parameters and their number, counted as on paper.

An Elman network has ``n·d + d·d + d`` parameters in its cell (U, W, b) and ``d·k + k`` in its readout (V, c). A cell
with g gates has g times as many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.scope import no_grad
from ..autodiff.tables import Table, Tabular
from ..autodiff.trees import leaves
from .calling import evaluating


class Layer(NamedTuple):
    """A part of a model that has parameters of its own.

    Attributes:
        path: its place in the model: "layers.0".
        kind: the name of its class.
        shapes: the shapes of its parameters by name.
        sizes: the letters of its sizes: n features of the input, d of the state, k of the output.
    """

    path: str
    kind: str
    shapes: dict[str, tuple[int, ...]]
    sizes: dict[str, int]

    @property
    def total(self) -> int:
        """The number of values to learn."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def formula(self) -> str:
        """The total in letters: ``4·(n·d + d·d + d)``."""
        by_gates: dict[int, list[str]] = {}
        for name, shape in self.shapes.items():
            gates, letters = self._in_letters(name, shape)
            by_gates.setdefault(gates, []).append("·".join(letters) or "1")
        sums = {gates: " + ".join(terms) for gates, terms in by_gates.items()}
        bracketed = {gates: f"({text})" if "+" in text else text for gates, text in sums.items()}
        return " + ".join(text if gates == 1 else f"{gates}·{bracketed[gates]}" for gates, text in sums.items())

    def _in_letters(self, name: str, shape: tuple[int, ...]) -> tuple[int, list[str]]:
        """The number of gates that a parameter serves, and its shape for one of them, in letters."""
        letters, gates = [], 1
        for axis, size in enumerate(shape):
            wanted = self._letter(name, axis, len(shape))
            whole = self.sizes.get(wanted, 0)
            if whole and size % whole == 0 and (size == whole or (wanted == "d" and axis == len(shape) - 1)):
                gates *= size // whole
                letters.append(wanted)
            else:
                letters.append(next((letter for letter, other in self.sizes.items() if other == size), str(size)))
        return gates, letters

    def _letter(self, name: str, axis: int, axes: int) -> str:
        """The letter of an axis by the conventions of names: U (n, d), W (d, d), b (d,); of a layer (n, k) and (k,)."""
        last = axis == axes - 1
        if "k" in self.sizes or "d" not in self.sizes:
            return "k" if last else next(iter(self.sizes), "n")
        return "d" if last else "n" if name == "U" else "p" if "p" in self.sizes else "d"


class Summary(Tabular):
    """The layers of a model; printed as a table.

    Attributes:
        layers: the layers that have parameters of their own.
        parameters: the number of values to learn.
        title: the model and, if an input was given, the shapes of input and output.
    """

    def __init__(self, title: str, layers: list[Layer]) -> None:
        self.title = title
        self.layers = layers
        self.parameters = sum(layer.total for layer in layers)

    def table(self) -> Table:
        """A row for each layer, and the sum."""
        rows = [
            [
                layer.path or "(itself)",
                layer.kind,
                ", ".join(f"{name} {shape}" for name, shape in layer.shapes.items()),
                layer.formula,
                ", ".join(f"{letter} = {size}" for letter, size in layer.sizes.items()),
                f"{layer.total:,}",
            ]
            for layer in self.layers
        ]
        rows.append(["all", "", "", "", "", f"{self.parameters:,}"])
        return Table(self.title, ["layer", "kind", "shapes", "count", "where", "parameters"], rows)


def summary(model: Any, inputs: tuple[Any, ...] = ()) -> Summary:
    """Return the summary of a model; see ``Module.summary``."""
    title = type(model).__name__
    if inputs:
        with evaluating(model), no_grad():
            given = model(*inputs)
        title += f": {_shapes(inputs)} → {_shapes(given)}"
    return Summary(title, list(_layers(model)))


def _layers(model: Any) -> Iterator[Layer]:
    modules = dict(model.named_modules())
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, parameter in model.named_parameters():
        owner, _, name = path.rpartition(".")
        shapes.setdefault(owner, {})[name] = parameter.shape
    state = 0  # the size of the last cell's output
    for owner, own in shapes.items():
        module = modules.get(owner)
        kind = "" if module is None else type(module).__name__
        sizes = _sizes(module, own, state)
        state = sizes.get("p", sizes.get("d", state))
        yield Layer(owner, kind, own, sizes)


def _sizes(module: Any, shapes: dict[str, tuple[int, ...]], state: int) -> dict[str, int]:
    """The letters of a layer: a cell tells its own; another layer's come from the shape of its matrix W.

    A layer that reads a state has d features.
    """
    if isinstance(getattr(module, "inputs", None), int) and isinstance(getattr(module, "units", None), int):
        sizes = {"n": module.inputs, "d": module.units}
        outputs = getattr(module, "outputs", module.units)
        return sizes if outputs == module.units else {**sizes, "p": outputs}
    matrix = shapes.get("W", ())
    return {"d" if matrix[0] == state else "n": matrix[0], "k": matrix[1]} if len(matrix) == 2 else {}


def _shapes(tree: Any) -> str:
    return ", ".join(str(np.shape(leaf)) for leaf in leaves(tree))
