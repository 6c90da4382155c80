"""``export_onnx``: a model or a function as an ONNX file, which runs where there is no Python."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.did_you_mean import check_function
from ..autodiff.extras import optional
from ..autodiff.scope import changed
from ..autodiff.trees import children, leaves, paths, tree_map
from ..compiler.program.program import Program
from ..compiler.program.tracing import traced
from ..compiler.sizes.programs import Sized
from ..compiler.sizes.reading import DependsOnSize
from ..data.files import replace_file
from ..nn import Module, Recurrent
from ..nn.calling import evaluating
from .onnx_graph import IR_VERSION, OPSET, Graph, NoOnnxForm
from .onnx_program import ProgramWriter

# Further sizes for which the function is traced, those of T and B first. Every number tells whose it is, also if a
# constant was added or taken away: no two sizes grow by the same amount.
OTHER_SIZES = (11, 17), (13, 23), (19, 37), (29, 53), (31, 61), (41, 79), (43, 89), (47, 101)
Axes = Mapping[str, Sequence[str | None]]
InputAxes = Sequence[tuple[str | None, ...]]  # of each input: "T", "B", another name, or None for a fixed length


class Exported(NamedTuple):
    """The result of an export.

    Attributes:
        inputs: the shape of each input, by name, with T and B where these are free.
        outputs: likewise.
        fixed: the reason why T, or B, or another length that was named isn't free.
    """

    inputs: dict[str, tuple[str | int, ...]]
    outputs: dict[str, tuple[str | int, ...]]
    fixed: dict[str, str]


def export_onnx(
    function: Callable[..., Any],
    path: str | os.PathLike[str],
    example: Any,
    *,
    axes: Axes | None = None,
    outputs: Sequence[str] | None = None,
) -> Exported:
    """Write a model, or any function of arrays, as an ONNX model.

    The function is traced, as ``compile`` does; each loop over time becomes a Scan. Weights are stored in the file
    under the names that they have in the model. If a state is among the arguments and the results, a service can
    continue step by step.

    Args:
        function: a ``Module``, which is exported in evaluation mode, or a function.
        path: the file to write.
        example: a tuple of arguments, or a single argument: arrays, or trees of arrays (such as a state).
        axes: the axes of inputs that are T (steps), B (sequences side by side), or a length of another name:
            ``{"source": ("T", "B"), "target": ("S", "B")}``. By default the first argument is (T, B, ...), or
            (B, T, ...) for a layer made with ``batch_first``; of each other argument, the first axis that is as long as
            B is B. Where a further argument is laid out like the first, it has T steps as well, or ``T_target``, if the
            example's lengths differ and the program allows it.
        outputs: the names of the outputs; by default their places in the result: ``output``, ``state``, ``state.h``.

    Returns:
        The names and shapes of inputs and outputs.

    Raises:
        NoOnnxForm: ONNX can't express an operation.
        CannotCompile: the function can't be traced.
        ImportError: onnx isn't installed.

    Example:
        >>> import numpy as np, tempfile, os
        >>> import tinygrad_rnn as tr
        >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
        ...     tr.export_onnx(tr.nn.GRU(3, 4), os.path.join(folder, "gru.onnx"), np.zeros((7, 5, 3), np.float32))
        Exported(inputs={'x': ('T', 'B', 3)}, outputs={'output': ('T', 'B', 4), 'state': (1, 'B', 4)}, fixed={})
    """
    check_function("export_onnx", function, "Module or a function")
    onnx = optional("onnx", "onnx", "export_onnx needs onnx")
    arguments = example if type(example) is tuple else (example,)
    arguments = tree_map(lambda a: np.asarray(a) if isinstance(a, (int, float, list)) else a, arguments)
    names = input_names(function, arguments)
    by_input = axes_of(function, names, arguments, axes)
    with_steps = by_input if axes is not None else _with_further_steps(by_input, names, arguments)

    def written(sized: Sized, by_input: InputAxes, fixed: dict[str, str]) -> tuple[Any, Exported]:
        called = output_names(sized.program, outputs)
        called = [f"{name}_out" if name in names else name for name in called]
        return _model(sized, names, by_input, called, weight_names(function), fixed)

    with _as_in_service(function):
        model, exported = _with_free_sizes(written, function, arguments, by_input, with_steps)
    onnx.checker.check_model(model, full_check=True)
    with replace_file(path) as file:
        file.write(model.SerializeToString())
    return exported


@contextmanager
def _as_in_service(function: Any) -> Iterator[None]:
    """A context in which a model is in evaluation mode, and runs through time without the cuts of truncated BPTT."""
    with ExitStack() as stack:
        if isinstance(function, Module):
            stack.enter_context(evaluating(function))
            for layer in function.modules():
                if isinstance(layer, Recurrent):
                    stack.enter_context(changed(layer, truncate=None))
        yield


# --- names -----------------------------------------------------------------------------------------------------------


def input_names(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[str]:
    """The names of the inputs: the parameters of the function, with the keys of trees."""
    signature = inspect.signature(function.forward if isinstance(function, Module) else function)
    parameters = [name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    found = []
    for i, argument in enumerate(arguments):
        name = parameters[i] if i < len(parameters) else f"input_{i}"
        found += _parts(name, argument)
    return found


def _parts(name: str, tree: Any) -> list[str]:
    """The names of a tree's leaves; a leaf by itself has the name of the whole."""
    return [name] if children(tree) is None else [f"{name}.{path}" for path in paths(tree)]


def output_names(program: Program, given: Sequence[str] | None) -> list[str]:
    """The names of the outputs."""
    count = len(program.outputs)
    if given is not None:
        if len(given) != count:
            raise ValueError(f"export_onnx: outputs= has {len(given)} names for {count} outputs")
        return list(given)
    if type(program.result) is tuple and len(program.result) == 2:
        output, state = program.result
        return _parts("output", output) + _parts("state", state)
    return _parts("output", program.result)


def weight_names(function: Any) -> dict[int, str]:
    """The names of parameters, by the identity of each."""
    return {id(p): name for name, p in function.named_parameters()} if isinstance(function, Module) else {}


# --- sizes -----------------------------------------------------------------------------------------------------------


def axes_of(function: Any, names: Sequence[str], arguments: tuple[Any, ...], given: Axes | None) -> InputAxes:
    """The axes of each input, as given, or as the first argument has them."""
    arrays = leaves(arguments)
    if given is not None:
        unknown = given.keys() - set(names)
        if unknown:
            wrong = ", ".join(sorted(unknown))
            raise ValueError(f"export_onnx: axes= names {wrong}; the inputs are {', '.join(names)}")
        lengths = {name for axes in given.values() for name in axes if name is not None}
        if len(lengths) > len(OTHER_SIZES):
            raise ValueError(f"export_onnx: axes= has {len(lengths)} names of lengths, more than {len(OTHER_SIZES)}")
        return [tuple(given.get(name, (None,) * np.ndim(a))) for name, a in zip(names, arrays)]
    first = np.shape(arrays[0]) if arrays else ()
    order = ("B", "T") if getattr(function, "batch_first", False) else ("T", "B")
    leading = order if len(first) >= 2 else ()
    sequences = first[leading.index("B")] if leading else None
    found = [(*leading, *[None] * (len(first) - len(leading)))]
    shapes = [np.shape(a) for a in arrays[1:]]
    firsts = [shape.index(sequences) if sequences in shape else None for shape in shapes]
    found += [tuple("B" if i == first else None for i in range(len(s))) for s, first in zip(shapes, firsts)]
    return [axes[: np.ndim(a)] for axes, a in zip(found, arrays)]


def _with_further_steps(by_input: InputAxes, names: Sequence[str], arguments: tuple[Any, ...]) -> InputAxes:
    """The same, with a length for the steps of each further input that is laid out like the first.

    It may as well be a state, whose first axis counts layers. Then no program comes out of other lengths.
    """
    arrays = leaves(arguments)
    if not by_input or {"T", "B"} - set(by_input[0]):
        return by_input
    time, batch = by_input[0].index("T"), by_input[0].index("B")
    found = [by_input[0]]
    for name, axes, a in zip(names[1:], by_input[1:], arrays[1:]):
        if len(axes) >= 2 and axes[time] is None and axes[batch] == "B":
            steps = "T" if np.shape(a)[time] == np.shape(arrays[0])[time] else f"T_{name}"
            axes = (*axes[:time], steps, *axes[time + 1 :])
        found.append(axes)
    return found if len(_names(found)) <= len(OTHER_SIZES) else by_input


def _with_free_sizes(
    written: Callable[[Sized, InputAxes, dict[str, str]], tuple[Any, Exported]],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    by_input: InputAxes,
    with_steps: InputAxes,
) -> tuple[Any, Exported]:
    """The ONNX model with as many free sizes as the program allows, and the reasons why others are fixed."""
    present = _names(by_input)
    fixed: dict[str, str] = {}
    attempts = [(with_steps, _names(with_steps))] if with_steps != by_input else []
    attempts += [(by_input, free) for free in (present, present & {"T"}, present & {"B"}, set())]
    for axes, free in attempts:
        in_order = [*(name for name in ("T", "B") if name in free), *sorted(free - {"T", "B"})]
        sizes = {name: (_size(name, arguments, axes), *more) for name, more in zip(in_order, OTHER_SIZES)}
        try:
            programs = [
                traced(function, _resized(arguments, axes, {name: sizes[name][i] for name in free}))
                for i in range(3 if free else 1)
            ]
            return written(Sized(programs, sizes), axes, {name: fixed.get(name, "") for name in present - free})
        except Exception as error:
            if axes is by_input and (not free or isinstance(error, NoOnnxForm)):
                raise
            for name in free & present if axes is by_input else ():
                fixed.setdefault(name, str(error))
    raise AssertionError


def _names(by_input: InputAxes) -> set[str]:
    """The names of all axes that have one."""
    return {name for axes in by_input for name in axes if name is not None}


def _size(name: str, arguments: tuple[Any, ...], by_input: InputAxes) -> int:
    lengths = {n for a, axes in zip(leaves(arguments), by_input) for n, axis in zip(np.shape(a), axes) if axis == name}
    if len(lengths) != 1:
        raise ValueError(f"export_onnx: {name} has the lengths {sorted(lengths)} in the example")
    return lengths.pop()


def _resized(arguments: tuple[Any, ...], by_input: InputAxes, sizes: Mapping[str, int]) -> Any:
    remaining = iter(by_input)

    def resized(a: Any) -> Any:
        axes = next(remaining)
        shape = tuple(sizes.get(axis, n) if axis else n for n, axis in zip(np.shape(a), axes))
        return np.broadcast_to(np.zeros((), a.dtype), shape)

    return tree_map(resized, arguments)


# --- the file --------------------------------------------------------------------------------------------------------


def _model(
    sized: Sized,
    names: Sequence[str],
    by_input: InputAxes,
    outputs: Sequence[str],
    weights: Mapping[int, str],
    fixed: dict[str, str],
) -> tuple[Any, Exported]:
    from onnx import helper

    program, graph = sized.program, Graph()
    given = program.inputs[: len(names)]
    known = dict(zip(given, names))
    for i, (value, tensor) in enumerate(zip(program.inputs[len(names) :], program.captured)):
        known[value] = graph.constant(tensor.data, weights.get(id(tensor), tensor.name or f"weight_{i}"))
    for name in sorted(_names(by_input) - fixed.keys()):
        place, axis = next((i, axes.index(name)) for i, axes in enumerate(by_input) if name in axes)
        shape = graph.node("Shape", [names[place]])
        graph.size_names[name] = graph.node("Gather", [shape, graph.constant(np.array([axis], np.int64))], axis=0)
    writer = ProgramWriter(sized, graph, known)
    for step in program.forward_order():
        writer.write(step)
    for name, value in zip(outputs, program.outputs):
        graph.node("Identity", [writer.operand(value)], name=name)
    ends = dict(zip(names, given)), dict(zip(outputs, program.outputs))
    takes, gives = ([writer.info(name, value) for name, value in named.items()] for named in ends)
    made = helper.make_graph(graph.nodes, "tinygrad_rnn", takes, gives, graph.constants)
    model = helper.make_model(
        made, producer_name="tinygrad_rnn", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    inputs, results = (
        {name: tuple(n if isinstance(n, int) else str(n) for n in sized.shape(v)) for name, v in named.items()}
        for named in ends
    )
    return model, Exported(inputs, results, fixed)


__all__ = ["DependsOnSize", "Exported", "NoOnnxForm", "export_onnx"]
