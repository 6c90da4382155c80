"""What a random program is held to: NumPy's values, differences, and itself by other ways."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tests.programs.grammar import Program
from tinygrad_rnn.autodiff.errors import NotOnTensors

STEPS = 3


class Refused(Exception):
    """The package said in words that it doesn't do that."""


def reason(error: Exception) -> str:
    """A refusal, less what belongs to the one program."""
    return re.sub(r"[(\[][-\d, ]*[)\]]|\d+", "#", str(error).splitlines()[0])[:90]


def close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """Assert that trees of arrays agree, by the largest number among them."""
    found, expected = np.concatenate([np.ravel(a) for a in found]), np.concatenate([np.ravel(a) for a in expected])
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    assert found.shape == expected.shape, f"{what}: {found.shape} elements, not {expected.shape}"
    difference = float(np.max(np.abs(found - expected), initial=0))
    assert difference <= tolerance * scale, f"{what}: {difference / scale:.2e} apart\n{found}\n{expected}"


def attempted(f: Callable[..., Any], *args: Any) -> Any:
    """What a function gives; a refusal as such."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f(*args)
    except NotOnTensors as error:
        raise Refused(reason(error)) from error


def loss_of(f: Callable[..., Any], results: Sequence[Any]) -> Callable[..., Any]:
    """One number from a function's results, curved, in which every element counts differently."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 1.5, np.shape(a)) for a in results]

    def loss(*args: Any) -> Any:
        return sum(np.sum(w * y) + np.sum(w * np.square(y)) / 2 for w, y in zip(weights, f(*args)))

    return loss


def slope(loss: Callable[..., Any], inputs: Sequence[np.ndarray], along: Sequence[np.ndarray]) -> float | None:
    """The derivative in a direction by differences; None at a kink, where both sides differ, or two step sizes do."""

    def values(h: float) -> tuple[float, ...]:
        return tuple(float(loss(*(a + s * h * v for a, v in zip(inputs, along)))) for s in (1, 0, -1))

    above, here, below = values(1e-5)
    forward, backward, narrow = (above - here) / 1e-5, (here - below) / 1e-5, (above - below) / 2e-5
    above, _, below = values(2e-5)
    wide, scale = (above - below) / 4e-5, max(1.0, abs(narrow))
    return narrow if abs(wide - narrow) <= 1e-6 * scale and abs(forward - backward) <= 1e-3 * scale else None


def judge(program: Program, compiled: bool = True, executor: str = "numpy") -> bool:
    """Hold a program to all it has to agree with.

    Returns:
        Whether differences could judge its gradient, too: not at a kink.

    Raises:
        AssertionError: something is wrong.
        Refused: the package refuses it.
    """
    f = program.function()
    expected = [program.values[name] for name in program.results]
    close([np.asarray(a) for a in f(*program.inputs)], expected, 1e-13, "NumPy itself")
    loss = loss_of(f, expected)
    argnums = tuple(range(len(program.inputs)))
    rng = np.random.default_rng(1)
    along = [rng.standard_normal(a.shape) for a in program.inputs]

    value, gradient = attempted(tr.value_and_grad(loss, argnums=argnums), *program.inputs)
    close([value], [loss(*program.inputs)], 1e-11, "value")
    towards = sum(np.sum(g * v) for g, v in zip(gradient, along))
    close([attempted(tr.jvp, loss, program.inputs, along)[1]], [towards], 1e-9, "jvp and vjp")
    by_differences = slope(loss, program.inputs, along)
    if by_differences is not None and not uses_stop(program):
        close([towards], [by_differences], 1e-4, "gradient and differences")

    def pulled(*xs: Any) -> Any:
        return sum(np.sum(g * v) for g, v in zip(tr.grad(loss, argnums=argnums)(*xs), along))

    second = attempted(tr.grad(pulled, argnums=argnums), *program.inputs)
    pushed = attempted(tr.jvp, tr.grad(loss, argnums=argnums), program.inputs, along)[1]
    close(second, pushed, 1e-7, "second order, two ways")
    curvature = slope(pulled, program.inputs, along)
    if curvature is not None and by_differences is not None and not uses_stop(program):
        close([sum(np.sum(g * v) for g, v in zip(second, along))], [curvature], 1e-3, "second order and differences")
    if compiled:
        fast = loss_of(tr.compile(f, executor=executor), expected)
        value, of_compiled = attempted(tr.value_and_grad(fast, argnums=argnums), *program.inputs)
        close([value], [loss(*program.inputs)], 1e-10, "value, compiled")
        close(of_compiled, gradient, 1e-9, "gradient, compiled")
        again = attempted(tr.jvp, tr.grad(fast, argnums=argnums), program.inputs, along)[1]
        close(again, pushed, 1e-7, "second order, compiled")
    return by_differences is not None


def uses_stop(program: Program) -> bool:
    """Whether something in it has a gradient other than its slope, by design."""
    return any("stop_gradient" in line for line in program.lines)


def judge_cell(program: Program, executor: str = "numpy") -> bool:
    """Hold a program, as the step of a loop over time, to a loop written out, to differences and to itself compiled.

    Its arguments are the input x0 (B, n), the state x1 (B, d), and parameters.
    """
    x, h, *parameters = program.inputs
    names = dict(zip(program.names[2:], parameters))
    last = program.results[-1]
    fits = np.broadcast_shapes(program.values[last].shape, h.shape) == h.shape if _fit(program, last, h) else False
    state = f"np.tanh({program.names[1]} * 0.5 + {last if fits else f'np.mean({last})'})"
    step_of = program._replace(names=program.names[:2])
    xs = np.random.default_rng(2).uniform(-1, 1, (STEPS, *x.shape))

    def by_hand(xs: Any, h: Any, *values: Any) -> Any:
        step = step_of.function(f"({program.results[0]}, {state})", **dict(zip(names, values)))
        ys = []
        for t in range(STEPS):
            y, h = step(xs[t], h)
            ys.append(y)
        return np.stack(ys), h

    def unrolled(xs: Any, h: Any, *values: Any, wrap: Callable[[Any], Any] = lambda cell: cell) -> Any:
        step = step_of.function(f"({program.results[0]}, {state})", **dict(zip(names, values)))
        return tr.unroll(wrap(step), xs, state=h)

    def fast(xs: Any, h: Any, *values: Any) -> Any:
        return unrolled(xs, h, *values, wrap=lambda cell: tr.compile(cell, executor=executor))

    inputs = [xs, h, *parameters]
    expected = by_hand(*inputs)
    argnums = tuple(range(len(inputs)))
    losses = {name: loss_of(f, expected) for name, f in [("by hand", by_hand), ("eager", unrolled), ("compiled", fast)]}
    along = [np.random.default_rng(1).standard_normal(a.shape) for a in inputs]
    found = {name: attempted(tr.value_and_grad(loss, argnums=argnums), *inputs) for name, loss in losses.items()}
    second = {
        name: attempted(tr.jvp, tr.grad(loss, argnums=argnums), inputs, along)[1] for name, loss in losses.items()
    }
    for name in ("eager", "compiled"):
        close([found[name][0]], [losses["by hand"](*inputs)], 1e-10, f"value, {name}")
        close(found[name][1], found["by hand"][1], 1e-9, f"gradient, {name}")
        close(second[name], second["by hand"], 1e-7, f"second order, {name}")
    towards = sum(np.sum(g * v) for g, v in zip(found["by hand"][1], along))
    by_differences = slope(losses["by hand"], inputs, along)
    if by_differences is not None and not uses_stop(program):
        close([towards], [by_differences], 1e-4, "gradient and differences")
    return by_differences is not None


def _fit(program: Program, name: str, h: np.ndarray) -> bool:
    try:
        np.broadcast_shapes(program.values[name].shape, h.shape)
    except ValueError:
        return False
    return True
