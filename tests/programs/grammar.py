"""Random programs in plain NumPy, drawn by Hypothesis: Python text, so that what fails can be read and run.

Each line takes arrays that are there already. Lines are run on ndarrays while they are drawn, so shapes fit, numbers
stay finite and of moderate size, and every draw shrinks to something simpler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import tinygrad_rnn as tr

SHAPES = [(), (1,), (3,), (2, 3), (3, 3), (3, 1), (2, 1, 3)]
LARGEST, MOST_ELEMENTS = 20.0, 60
NAMESPACE = {"np": np, "tr": tr}

UNARY = [
    "np.tanh({a})", "np.sin({a})", "np.cos({a})", "np.exp(-{a} * {a})", "np.arctan({a})", "np.sinc({a})",
    "np.log1p({a} * {a})", "np.sqrt({a} * {a} + 1.0)", "np.expm1(np.tanh({a}))", "np.arcsinh({a})",
    "np.reciprocal({a} * {a} + 1.0)", "np.cosh(np.tanh({a}))", "{a} ** 2", "-{a}", "1.5 - {a}", "{a} / 2",
    "tr.sigmoid({a})", "tr.softplus({a})", "tr.silu({a})", "tr.gelu({a})", "tr.erf({a})", "tr.log_sigmoid({a})",
    "np.square({a})", "np.float_power({a} * {a} + 1.0, 0.7)", "2.0 ** np.tanh({a})", "np.cbrt({a} * {a} + 1.0)",
    "np.abs({a})", "tr.relu({a})", "tr.elu({a})", "np.where({a} > 0.1, {a}, 2 * {a})", "np.clip({a}, -1.0, 1.0)",
    "np.interp({a}, [-1.0, 0.3, 2.0], [0.5, -0.5, 1.0])", "np.polyval([0.5, -1.0, 0.2], np.tanh({a}))",
    "np.maximum({a}, 0.3)", "tr.leaky_relu({a})", "np.nan_to_num({a})", "np.real({a})",
]  # fmt: skip
BINARY = [
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / ({b} * {b} + 1.0)", "np.arctan2({a}, {b} * {b} + 1.0)",
    "np.logaddexp({a}, {b})", "np.hypot({a}, {b} + 5.0)", "np.copysign({a}, {b})", "({a} * {a} + 1.0) ** np.tanh({b})",
    "np.maximum({a}, {b})", "np.minimum({a}, {b})", "np.where({a} > {b}, {a}, {b} * 0.5)", "np.fmax({a}, {b})",
]  # fmt: skip
WHOLE = [
    "np.sum({a})", "np.mean({a})", "np.ravel({a})", "np.transpose({a})", "np.flip({a})", "np.outer({a}, {a})",
    "np.linalg.norm({a})", "tr.logsumexp({a})", "np.expand_dims({a}, 0)", "np.squeeze({a})", "np.tile({a}, 2)",
    "np.atleast_2d({a})", "np.stack([{a}, {a} * 2])", "np.prod({a})", "np.max({a})",
    "np.diff(np.ravel({a}), prepend=0.5)", "np.repeat({a}, 2)", "np.cumsum({a})", "np.copy({a})",
    "np.broadcast_to({a}, (2, *{a}.shape))", "np.sort({a}, axis=None)", "np.reshape({a}, -1)[::-1]", "np.var({a})",
    "tr.stop_gradient({a}) * {a}", "np.stack([np.sum({a}), 0.5])",
]  # fmt: skip
ALONG = [
    "np.sum({a}, axis={i})", "np.sum({a}, axis={i}, keepdims=True)", "np.mean({a}, axis={i})",
    "np.var({a}, axis={i})", "np.std({a} + np.arange({n}).reshape({column}), axis={i})",
    "tr.softmax({a}, axis={i})", "np.take({a}, 0, axis={i})", "tr.log_softmax({a}, axis={i})",
    "tr.logsumexp({a}, axis={i})", "np.cumsum({a}, axis={i})", "np.sort({a}, axis={i})",
    "np.cumprod({a}, axis={i})", "np.prod({a}, axis={i})", "np.max({a}, axis={i})",
    "np.min({a}, axis={i}, keepdims=True)", "np.flip({a}, axis={i})", "np.roll({a}, 1, axis={i})",
    "np.repeat({a}, 2, axis={i})", "np.moveaxis({a}, {i}, 0)", "np.concatenate([{a}, {a} * {a}], axis={i})",
    "np.stack([{a}, -{a}], axis={i})", "np.diff({a}, axis={i}, append=0.2)",
    "np.take({a}, np.array([0, -1, 0]), axis={i})", "np.split({a}, [1], axis={i})[0]", "np.expand_dims({a}, {i})",
    "np.swapaxes({a}, {i}, -1)", "np.linalg.norm({a}, axis={i})", "np.median({a}, axis={i})",
    "np.quantile({a}, 0.4, axis={i})", "np.percentile({a}, [20, 70], axis={i})",
    "np.abs(np.fft.rfft({a}, axis={i}))", "np.fft.irfft(np.fft.rfft({a}, axis={i}) * (0.5 - 1j), {n}, axis={i})",
    "np.lib.stride_tricks.sliding_window_view({a}, 1, axis={i})",
    "np.take_along_axis({a}, np.argsort({a}, axis={i}), axis={i})", "{a}[0]", "{a}[-1:]", "{a}[::-1]",
    "{a}[..., None]", "{a}[np.array([0, 0])]", "{a}[{a}.shape[0] // 2 :]", "tr.index_update({a}, 0, 0.5)",
    "tr.index_add({a}, 0, {a}[-1])", "np.delete({a}, 0, axis={i}) if {n} > 1 else {a}",
    "np.compress([True], {a}, axis={i})", "np.pad({a}, 1)",
    "np.pad({a}, 1, mode='edge')",
]  # fmt: skip
MATRICES = [
    "np.tril({a})", "np.trace({a})", "np.diagonal({a})", "{a} @ {a}.T", "np.einsum('ij,ij->i', {a}, {a})",
    "np.einsum('ij->ji', {a})", "np.tensordot({a}, {a}, axes=([0], [0]))", "np.rot90({a})",
    "np.linalg.inv({a} @ {a}.T + 3 * np.eye({a}.shape[0]))",
    "np.linalg.slogdet({a} @ {a}.T + 3 * np.eye({a}.shape[0]))[1]",
    "np.linalg.solve({a} @ {a}.T + 3 * np.eye({a}.shape[0]), {a})",
    "np.linalg.cholesky({a} @ {a}.T + 3 * np.eye({a}.shape[0]))", "np.meshgrid({a}[0], {a}[:, 0])[1]",
    "np.kron({a}, {a}[:1])", "np.cov({a})",
]  # fmt: skip
PRODUCTS = ["{a} @ {b}", "np.dot({a}, {b})", "np.inner({a}, {b})", "np.tensordot({a}, {b}, axes=1)"]
JOINS = ["np.concatenate([{a}, {b}])", "np.stack([{a}, {b}])", "np.append({a}, {b})", "np.hstack([{a}, {b}])"]
MODELS = [
    "tr.nn.mse({a}, {a} * 0.5)", "tr.nn.huber({a}, {b})", "tr.nn.cross_entropy({a}, np.argmax({a}, axis=-1) * 0)",
]  # fmt: skip

KINDS: dict[str, tuple[list[str], Callable[..., bool]]] = {
    "unary": (UNARY, lambda a, b: True),
    "binary": (BINARY, lambda a, b: True),
    "whole": (WHOLE, lambda a, b: True),
    "along": (ALONG, lambda a, b: a.ndim > 0),
    "matrices": (MATRICES, lambda a, b: a.ndim == 2),
    "products": (PRODUCTS, lambda a, b: a.ndim > 0 and b.ndim > 0),
    "joins": (JOINS, lambda a, b: True),
    "models": (MODELS, lambda a, b: a.ndim > 0),
}


class Program(NamedTuple):
    """A function of arrays, as text and with inputs.

    Attributes:
        names: of the arguments.
        inputs: a value for each.
        lines: assignments, each to a name of its own.
        results: the names that are given back.
        values: of all names, on the inputs.
    """

    names: list[str]
    inputs: list[np.ndarray]
    lines: list[str]
    results: list[str]
    values: dict[str, np.ndarray]

    def text(self, result: str = "") -> str:
        """The function's source."""
        body = "".join(f"    {line}\n" for line in self.lines)
        return f"def program({', '.join(self.names)}):\n{body}    return {result or ', '.join(self.results) + ','}\n"

    def function(self, result: str = "", **names: Any) -> Callable[..., Any]:
        """The function itself; its code may use other names, too."""
        namespace = {**NAMESPACE, **names}
        exec(self.text(result), namespace)
        return namespace["program"]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        given = "".join(f"{name} = np.array({value.tolist()!r})\n" for name, value in zip(self.names, self.inputs))
        return f"\n{given}{self.text()}"


@st.composite
def programs(draw: Callable[..., Any], shapes: list[tuple[int, ...]] | None = None, most_lines: int = 16) -> Program:
    """Programs of some lines, with arguments of these shapes, or of any."""
    if shapes is None:
        shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    names = [f"x{i}" for i in range(len(shapes))]
    values: dict[str, Any] = {name: rng.uniform(-1.5, 1.5, shape) for name, shape in zip(names, shapes)}
    if draw(st.integers(0, 3)) == 3:  # numbers that are equal to each other
        values = {name: np.round(2 * a) / 2 + 0.25 for name, a in values.items()}
    inputs, lines = [values[name] for name in names], []
    for number in range(draw(st.integers(most_lines // 4, most_lines))):
        line = draw(expressions(values))
        value = line and evaluated(line, values)
        if value is not None:
            name = f"v{number:02}"
            values[name] = value
            lines.append(f"{name} = {line}")
    text = " ".join(lines)
    unused = [name for name in values if text.count(name) < 2 and name not in names]  # each line reaches a result
    results = unused or names
    return Program(names, inputs, lines, results, values)


@st.composite
def expressions(draw: Callable[..., Any], values: dict[str, Any]) -> str | None:
    """The right side of a line; None where what was drawn doesn't fit."""
    known = st.sampled_from(list(values)[::-1])  # what came last is the simplest choice: it makes chains
    a, b = draw(known), draw(known)
    templates, fits = KINDS[draw(st.sampled_from(list(KINDS)))]
    if not fits(values[a], values[b]):
        templates = UNARY
    template = draw(st.sampled_from(templates))
    shape = values[a].shape
    i = draw(st.integers(-len(shape), len(shape) - 1)) if shape else 0
    n = shape[i] if shape else 1
    column = (-1, *[1] * ((-i if i < 0 else len(shape) - i) - 1))
    return str(template.format(a=a, b=b, i=i, n=n, column=column))


def evaluated(line: str, values: dict[str, Any]) -> np.ndarray | None:
    """The value of a line on ndarrays; None where NumPy refuses it, or where it grows too large."""
    try:
        with np.errstate(all="raise", under="ignore"):
            value = np.asarray(eval(line, {**NAMESPACE, **values}))
    except (ValueError, IndexError, TypeError, FloatingPointError, np.linalg.LinAlgError, ZeroDivisionError):
        return None
    fine = value.size and value.size <= MOST_ELEMENTS and value.ndim <= 4 and value.dtype.kind == "f"
    return value if fine and np.max(np.abs(value)) <= LARGEST else None
