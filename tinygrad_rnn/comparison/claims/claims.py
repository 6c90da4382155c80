"""The other side of a comparison: gradients from anywhere, as what they claim for each parameter.

They may come as a dict of arrays (NumPy's or PyTorch's), as a function of the parameters, as a module of
``tinygrad_rnn.manual``, or as the result of such a module's ``backward``. An error in their form (a shape, a name, an
exception) is recorded for the parameter in question, and the rest is still compared.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.foreign import as_numpy
from ...manual.lines import lines as lines_of_derivation
from ...recorded.one_by_one import of_a_tree
from ...recorded.outside import users_line
from ...recorded.recording import Recording
from .forms import called_as_parameters, is_object, run_object, unpacked
from .one_layer import derives_a_layer, run_layer
from .pytorch_names import translated


class Claim(NamedTuple):
    """A claim of the manual side on one parameter."""

    gradient: np.ndarray | None  # the array, in the parameter's shape; None if there is none to compare
    problem: str = ""  # the reason why there is none, or ""
    given: np.ndarray | None = None  # the given array, if its shape was wrong


class Claims(NamedTuple):
    """The claims of the manual side."""

    gradients: dict[str, Claim]  # a claim for each parameter, in the recording's order
    lines: dict[str, Any]  # named intermediates ("delta[4]", "dL/ds[3]"), in the order given
    by_step: dict[str, dict[int, np.ndarray]]  # for some parameters, the contribution of each step, by step
    strangers: dict[str, Any]  # entries under names that no parameter has
    notes: list[str]  # further remarks for the report

    @property
    def are_all_there(self) -> bool:
        """True if there is a gradient to compare for each parameter."""
        return all(claim.gradient is not None for claim in self.gradients.values())


def read_claims(manual: Any, recording: Recording, values: Mapping[str, np.ndarray] | None = None) -> Claims:
    """Read the claims of the manual side on each parameter of a recording, at its values or at others."""
    try:
        given = evaluated(manual, recording, recording.values() if values is None else values)
    except Exception as error:
        problem = f"the manual function raised {type(error).__name__}: {error}"
        if line := users_line(error):
            problem += f" (line {line.lineno} of {line.name}, `{line.line}`)"
        return Claims({name: Claim(None, problem) for name in recording.parameters}, {}, {}, {}, [])
    lines: dict[str, Any] = {}
    by_step: dict[str, dict[int, np.ndarray]] = {}
    strangers: dict[str, Any] = {}
    if hasattr(given, "gradients"):
        if hasattr(given, "delta"):
            lines.update(lines_of_derivation(given))
        if hasattr(given, "contributions"):
            rows = matched(as_mapping(given.contributions, recording), recording, lambda *_: None)
            by_step = {name: dict(enumerate(array, start=1)) for name, array in rows.items()}
        given = given.gradients

    def unmatched(name: str, value: Any) -> None:
        (lines if is_line(name) else strangers)[name] = value

    arrays = matched(as_mapping(given, recording), recording, unmatched)
    for name in recording.parameters:  # a total may be handed in as the last line of the derivation
        total = lines.get(f"dL/d{name}", lines.get(f"∂L/∂{name}"))
        if name not in arrays and total is not None:
            arrays[name] = total
    shapes = {name: leaf.shape for name, leaf in recording.parameters.items()}
    by_shape = _told_by_their_shapes(strangers, {name: shapes[name] for name in shapes if arrays.get(name) is None})
    notes = [f"{key} is taken for {name}, the only one in the shape {shapes[name]}." for name, key in by_shape.items()]
    arrays |= {name: strangers.pop(key) for name, key in by_shape.items()}
    claims = {name: _claim(name, arrays, shape) for name, shape in shapes.items()}
    return Claims(claims, lines, by_step, strangers, notes)


def _told_by_their_shapes(strangers: Mapping[str, Any], missing: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The names of arrays that alone have the shape of a parameter without a gradient, by the parameter's name."""
    shapes = {key: np.shape(value) for key, value in strangers.items() if getattr(value, "shape", ())}
    keys = {name: [key for key, shape in shapes.items() if shape == wanted] for name, wanted in missing.items()}
    return {n: keys[n][0] for n, shape in missing.items() if len(keys[n]) == 1 == [*missing.values()].count(shape)}


def evaluated(manual: Any, recording: Recording, values: Mapping[str, np.ndarray]) -> Any:
    """The manual side at given parameter values: a function is called, and a module of derivations is run."""
    if is_object(manual):
        return run_object(manual, recording.arguments(values), recording.data, list(recording.parameters))
    if isinstance(manual, type) and inspect.isfunction(inspect.getattr_static(manual, "forward", None)):
        raise TypeError(f"{manual.__name__} is a class: give an object of it, or a function that returns gradients")
    if callable(getattr(manual, "forward", None)) and callable(getattr(manual, "backward", None)):
        parameters = _parameters_for(manual, recording, values)
        if derives_a_layer(manual):
            return run_layer(manual, parameters, recording.loss)
        return manual.backward(manual.forward(parameters, *recording.data))
    if not callable(manual):
        return manual
    signature = inspect.signature(manual)
    if not signature.parameters:
        return manual()
    arguments = (recording.arguments(values), *recording.data)
    function = of_a_tree(manual, arguments[0], recording.data)
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        raise TypeError(
            f"it takes {', '.join(signature.parameters)}, and is called as manual(parameters, *data), with "
            f"{len(recording.data)} of data. If it knows the parameters, pass the gradients that it returns"
        ) from None
    return function(*arguments)


def _parameters_for(module: Any, recording: Recording, values: Mapping[str, np.ndarray]) -> Any:
    """The parameters in the class that a manual module's ``forward`` takes (``ElmanParams``)."""
    first = next(iter(inspect.signature(module.forward).parameters))
    kind = typing.get_type_hints(module.forward)[first]
    named: dict[str, np.ndarray] = {}
    for name, value in values.items():
        short = name.rpartition(".")[2]
        if short in named:
            raise ValueError(
                f"{module.__name__} has one {short!r}, and here are several: record the loss, and pass the parameters "
                "of one layer, compare(model(*data), manual, model.rnn)"
            )
        if short in kind._fields or recording.is_used_in_a_step(name):
            named[short] = value  # the others belong to the layers above
    unknown = ", ".join(named.keys() - set(kind._fields))
    if unknown:
        raise ValueError(f"{module.__name__} has {', '.join(kind._fields)}, but the model also has {unknown}")
    return kind(**named)


def as_mapping(given: Any, recording: Recording) -> dict[str, Any]:
    """Gradients by name, from a dict, a sequence in the order of the parameters, or a single array."""
    names = list(recording.parameters)
    given = unpacked(given, names)
    if isinstance(given, Mapping):
        return called_as_parameters(translated(_flat(given, names), recording.parameters), names)
    if isinstance(given, (tuple, list)) and len(given) == len(names):
        return dict(zip(names, given))
    if len(names) == 1:
        return {names[0]: given}
    parts = _parts(given, {name: leaf.shape for name, leaf in recording.parameters.items()})
    if parts is not None:
        return parts
    raise TypeError(
        f"the manual gradients are a {type(given).__name__}; give a dict with the names {', '.join(names)}, "
        "or a tuple of that many arrays in this order"
    )


def _parts(given: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """The gradients in one vector, or one below the other as rows of one matrix, in the order of the parameters."""
    array = plain_array(given) if hasattr(given, "dtype") else np.empty(0)
    sizes = [math.prod(shape) for shape in shapes.values()]
    columns = array.shape[1:]
    fits = not columns or all(shape[-1:] == columns for shape in shapes.values())
    if array.size != sum(sizes) or array.ndim > 2 or not fits:
        return None
    pieces = np.split(array.ravel(), np.cumsum(sizes)[:-1])
    return {name: piece.reshape(shape) for piece, (name, shape) in zip(pieces, shapes.items())}


def _flat(given: Mapping[Any, Any], names: Sequence[str], prefix: str = "") -> dict[str, Any]:
    """Entries by their path, ``{"cell": {"U": ...}}`` as ``{"cell.U": ...}``; lists where parameters lie in lists."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        path = f"{prefix}{name}"
        inner = value._asdict() if hasattr(value, "_asdict") else value
        if isinstance(inner, (list, tuple)) and any(one.startswith(f"{path}.") for one in names):
            inner = dict(enumerate(inner))
        found.update(_flat(inner, names, f"{path}.") if isinstance(inner, Mapping) else {path: value})
    return found


def matched(given: Mapping[str, Any], recording: Recording, unmatched: Callable[[str, Any], None]) -> dict[str, Any]:
    """Entries by the full name of their parameter; "W" stands for "cell.W", or the reverse, if no other ends in W."""
    found = {}
    for name, value in given.items():
        ending = [p for p in recording.parameters if p.endswith(f".{name}")]
        last = name.rpartition(".")[2]
        if name in recording.parameters:
            found[name] = value
        elif len(ending) == 1:
            found[ending[0]] = value
        elif last in recording.parameters and sum(key.rpartition(".")[2] == last for key in given) == 1:
            found[last] = value
        else:
            unmatched(name, value)
    return found


def is_line(name: str) -> bool:
    """Return True for the name of a line of a derivation: "delta[4]", "dL/ds[3]", "L4: dL/dW"."""
    return "[" in name or "/d" in name or "/∂" in name or ":" in name


def plain_array(value: Any) -> np.ndarray:
    """A NumPy array from a Tensor, a PyTorch tensor, a list or a number.

    Raises:
        TypeError: it doesn't hold real numbers.
    """
    array = as_numpy(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"not real numbers, but {array.dtype}")
    return array.astype(np.float64) if array.dtype.kind != "f" else array


def _claim(name: str, arrays: Mapping[str, Any], shape: tuple[int, ...]) -> Claim:
    if name not in arrays or arrays[name] is None:
        return Claim(None, "no gradient was given")
    value = arrays[name]
    try:
        array = plain_array(value() if callable(value) and not hasattr(value, "__array__") else value)
    except Exception as error:
        return Claim(None, f"{type(error).__name__}: {error}")
    if array.shape != shape:
        turned = ": it is transposed" if array.ndim == 2 and array.T.shape == shape else ""
        return Claim(None, f"shape {array.shape} where {shape} belongs{turned}", array)
    return Claim(array)
