"""Checks of gradients against central differences, or against the complex step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .array_node import value_of
from .custom import ReverseModeOnly
from .transforms import jvp, vjp
from .trees import leaves, paths, unflatten


class Mismatch(NamedTuple):
    """An element in which a gradient is wrong.

    Attributes:
        argument: the index of the input.
        path: the array's path if the input is a tree of arrays ("cell.W"); else "".
        element: the index of the element.
        expected: the value by differences.
        got: the value by the rules.
    """

    argument: int
    path: str
    element: tuple[int, ...]
    expected: float
    got: float


class GradientError(AssertionError):
    """The error of ``gradcheck``. ``mismatches`` holds every wrong element."""

    def __init__(self, message: str, mismatches: Sequence[Mismatch] = ()) -> None:
        super().__init__(message)
        self.mismatches = list(mismatches)


def central_differences(f: Callable[..., Any], arrays: Sequence[np.ndarray], step: float = 6e-6) -> list[np.ndarray]:
    """The gradient of a function that returns one number, by ``(f(x + h) - f(x - h)) / 2h`` for each element.

    Args:
        f: a function of arrays that returns one number.
        arrays: the arguments, float64.
        step: h, relative to the size of the element (at least absolute). The default, the cube root of the rounding
            unit, balances the two errors, truncation and rounding.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.autodiff.gradcheck import central_differences
        >>> np.round(central_differences(lambda x: np.sum(x**3), [np.array([1.0, 2.0])])[0], 6).tolist()
        [3.0, 12.0]
    """
    arrays = [np.array(a, dtype=np.float64) for a in arrays]
    found = []
    for a in arrays:
        g = np.zeros_like(a)
        for index in np.ndindex(a.shape):
            x = float(a[index])
            h = step * max(1.0, abs(x))
            a[index] = x + h
            above, up = float(value_of(f(*arrays))), a[index] - x
            a[index] = x - h
            below, down = float(value_of(f(*arrays))), x - a[index]
            a[index] = x
            g[index] = (above - below) / (up + down)
        found.append(g)
    return found


def complex_step(f: Callable[..., Any], arrays: Sequence[np.ndarray], step: float = 1e-20) -> list[np.ndarray]:
    """The gradient ``Im f(x + ih) / h``, exact to rounding, for a function that is analytic and written in plain NumPy.

    Source: Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
    (1998).

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.autodiff.gradcheck import complex_step
        >>> complex_step(lambda x: np.sum(x**3), [np.array([1.0, 2.0])])[0].tolist()
        [3.0, 12.0]
    """
    arrays = [np.array(a, dtype=np.complex128) for a in arrays]
    found = []
    for a in arrays:
        g = np.zeros(a.shape)
        for index in np.ndindex(a.shape):
            x = a[index]
            a[index] = x + 1j * step
            result = f(*arrays)
            if not np.iscomplexobj(result):
                raise ValueError(
                    "the complex step needs an analytic function in plain NumPy, but this one made real numbers of "
                    "complex ones (abs, a comparison, astype?): use central differences"
                )
            g[index] = np.imag(result) / step
            a[index] = x
        found.append(g)
    return found


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    method: str = "central",
    fast_mode: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    """Check the gradient of ``f``, backward (vjp) and forward (jvp), against differences in float64.

    The results of ``f`` are weighted with random numbers and summed, so one pass checks all their elements together. A
    function that goes through a ``custom_vjp`` has no forward mode, and is checked backward alone.

    Args:
        f: a function of arrays or trees of arrays that returns an array or a tree of arrays.
        inputs: the arguments, a list or tuple of arrays, Tensors, numbers or trees; or the only argument, an array or a
            Tensor. Keep away from kinks (0 of relu, ties of max).
        method: "central" for central differences, "complex" for the complex step (``f`` analytic and in plain NumPy;
            good to nearly all digits).
        fast_mode: True to move each input along a random direction, all its elements at once: two calls of ``f`` for an
            input, in place of two for each element. Where that disagrees, the elements are moved one by one after all.
        rtol: relative tolerance; by default 1e-6 for central differences and 1e-11 for the complex step.
        atol: absolute tolerance; by default 1e-8 and 1e-12.
        seed: the seed of the random weights and directions.
        raise_exception: True to raise if they disagree; False to return False.

    Returns:
        True if they agree.

    Raises:
        GradientError: they disagree; the text names the input, the element, the expected and the actual value.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.gradcheck(lambda x, w: np.tanh(x @ w), [np.ones((2, 3)), np.full((3, 2), 0.1)])
        True
    """
    if method not in ("central", "complex"):
        raise ValueError(f"gradcheck: method {method!r} is not 'central' or 'complex'")
    rtol = {"central": 1e-6, "complex": 1e-11}[method] if rtol is None else rtol
    atol = {"central": 1e-8, "complex": 1e-12}[method] if atol is None else atol
    if isinstance(inputs, Mapping):
        raise TypeError("gradcheck: inputs is a list of the function's arguments; if the only one is a dict, write [p]")
    inputs = [inputs] if hasattr(inputs, "shape") else inputs
    # A list is taken for an array unless it holds arrays: gradcheck(f, [[1.0, 2.0]]) has one input of two numbers.
    trees = [np.array(a) if _is_numbers(a) else a for a in inputs]
    arrays = [np.array(value_of(leaf), dtype=np.float64) for leaf in leaves(trees)]
    where = [(i, path) for i, tree in enumerate(trees) for path in paths(tree)]

    def flat(*xs: Any) -> tuple[Any, ...]:
        return tuple(leaves(f(*unflatten(trees, iter(xs)))))

    rng = np.random.default_rng(seed)
    values, pull_back = vjp(flat, *arrays)
    weights = tuple(rng.uniform(0.5, 1.5, np.shape(y)) * rng.choice([-1, 1], np.shape(y)) for y in values)

    def weighted(*xs: Any) -> Any:
        return sum(np.sum(w * np.asarray(value_of(y))) for w, y in zip(weights, flat(*xs)))

    referee = central_differences if method == "central" else complex_step
    gradients = [value_of(g) for g in pull_back(weights)]

    def agrees_along(i: int) -> bool:
        a = arrays[i]
        direction = np.maximum(1, np.abs(a)) * rng.uniform(0.5, 1.5, a.shape) * rng.choice([-1, 1], a.shape)
        found = referee(lambda s: weighted(*arrays[:i], a + s * direction, *arrays[i + 1 :]), [np.zeros(())])[0]
        slopes = gradients[i] * direction
        return bool(abs(np.sum(slopes) - found) <= atol + rtol * np.max(np.abs(slopes), initial=0.0))  # NaN fails

    is_right = fast_mode and all(map(agrees_along, range(len(arrays))))
    expected = gradients if is_right else referee(weighted, arrays)
    mismatches = []
    for (argument, path), e, g in zip(where, expected, gradients):
        for index in zip(*np.nonzero(np.atleast_1d(~np.isclose(g, e, rtol=rtol, atol=atol)))):
            element = tuple(map(int, index))[: e.ndim]
            mismatches.append(Mismatch(argument, path, element, float(e[element]), float(g[element])))
    problem = _report(mismatches) if mismatches else ""

    directions = [rng.standard_normal(a.shape) for a in arrays]
    along = float(sum(np.sum(e * v) for e, v in zip(expected, directions)))
    scale = float(sum(np.sum(np.abs(e * v)) for e, v in zip(expected, directions)))
    try:
        _, pushed = jvp(flat, arrays, directions)
        got = float(sum(np.sum(w * value_of(v)) for w, v in zip(weights, pushed)))
    except ReverseModeOnly:
        got = along
    if not abs(got - along) <= atol + rtol * scale:  # written so that NaN fails
        problem += f"\nforward mode: along a random direction expected {along:.10g}, got {got:.10g} by the jvp rules"
    if problem and raise_exception:
        against = "central differences" if method == "central" else "the complex step"
        raise GradientError(f"gradcheck against {against} failed:{problem}", mismatches)
    return not problem


def _is_numbers(a: Any) -> bool:
    """Return True if an input is a list of numbers, nested or not: an array, not a tree."""
    return isinstance(a, (list, tuple)) and all(isinstance(x, (int, float)) or _is_numbers(x) for x in a)


def _report(mismatches: Sequence[Mismatch], shown: int = 10) -> str:
    lines = [
        f"\ninput {m.argument}{m.path and '.'}{m.path}, element {list(m.element)}: "
        f"expected {m.expected:.10g}, got {m.got:.10g}"
        for m in mismatches[:shown]
    ]
    if len(mismatches) > shown:
        lines.append(f"\nand {len(mismatches) - shown} more")
    return "".join(lines)
