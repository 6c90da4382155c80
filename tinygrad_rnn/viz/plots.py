"""Plots of what a network does over time, with matplotlib. Each takes an ``ax``, or makes one, and returns it.

How a gradient fares on its way back is drawn by ``explanation``: ``plot_terms`` (the heat map of t × k),
``plot_jacobians`` and ``plot_gradient_flow``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.extras import axes_for
from .reading.model import value_array

MOST_CURVES = 8  # units drawn as curves of their own; more become a heat map


def plot_losses(losses: Mapping[str, Any] | Any, ax: Any = None, smoothing: float = 0.0) -> Any:
    """Loss curves, one run or several side by side.

    Args:
        losses: the loss of every step, (steps,), or several such arrays by name.
        ax: where to draw; a new figure's by default (``ax.figure.savefig("losses.png")``).
        smoothing: the share of the running mean that each step keeps: from 0 (no smoothing) to below 1.

    Returns:
        The ``ax``.

    Raises:
        ValueError: a curve is no sequence of numbers, or the smoothing is out of range.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"plot_losses: smoothing {smoothing} is not in [0, 1)")
    ax = axes_for(ax)
    curves = losses if isinstance(losses, Mapping) else {"loss": losses}
    for n, (name, values) in enumerate(curves.items()):
        curve = _array(values, "plot_losses", 1)
        steps = np.arange(1, len(curve) + 1)
        if smoothing:
            ax.plot(steps, curve, color=f"C{n}", alpha=0.25, linewidth=0.8)
        ax.plot(steps, smoothed(curve, smoothing), color=f"C{n}", label=name)
    _count_steps(ax, "step")
    ax.set(ylabel="loss")
    if len(curves) > 1:
        ax.legend()
    return ax


def plot_states(states: Any, ax: Any = None, name: str = "h", example: int = 0) -> Any:
    """The hidden state over time: a curve for each unit, or a heat map if there are many.

    Args:
        states: an array (T, d), or (T, B, d), of which one example is shown.
        ax: where to draw; a new figure's by default.
        name: the name of the state.
        example: the number of the example in the batch.

    Returns:
        The ``ax``.

    Raises:
        ValueError: another shape, or no such example.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.plots import plot_states
        >>> ax = plot_states(np.tanh(np.linspace(-2, 2, 12).reshape(6, 2)))
        >>> len(ax.lines)
        2
    """
    values = _of_example(states, example, "plot_states")
    ax = axes_for(ax)
    steps = np.arange(1, len(values) + 1)
    if values.shape[1] <= MOST_CURVES:
        for unit in range(values.shape[1]):
            ax.plot(steps, values[:, unit], marker=".", label=f"{name}[{unit}]")
        _count_steps(ax, "step t")
        ax.set(ylabel=name)
        ax.legend()
        return ax
    largest = float(np.nanmax(np.abs(values))) or 1.0
    extent = (0.5, len(values) + 0.5, values.shape[1] - 0.5, -0.5)
    image = ax.imshow(values.T, aspect="auto", extent=extent, cmap="RdBu_r", vmin=-largest, vmax=largest)
    ax.figure.colorbar(image, ax=ax, label=name)
    _count_steps(ax, "step t")
    ax.set(ylabel="unit")
    return ax


def plot_gates(gates: Mapping[str, Any], ax: Any = None, example: int = 0) -> Any:
    """Gates over time: for each the mean over its units, with the middle half of them as a band.

    Args:
        gates: arrays by name, as a layer with ``return_states=True`` returns them: (T, d), or (T, B, d), of which one
            example is shown.
        ax: where to draw; a new figure's by default.
        example: the number of the example in the batch.

    Returns:
        The ``ax``.

    Raises:
        ValueError: another shape, or no such example.
    """
    ax = axes_for(ax)
    for n, (name, values) in enumerate(gates.items()):
        units = _of_example(values, example, f"plot_gates: {name}")
        steps = np.arange(1, len(units) + 1)
        low, high = np.quantile(units, [0.25, 0.75], axis=1)
        ax.fill_between(steps, low, high, color=f"C{n}", alpha=0.2, linewidth=0)
        ax.plot(steps, units.mean(axis=1), color=f"C{n}", marker=".", label=name)
    _count_steps(ax, "step t")
    ax.set(ylabel="mean over the units")
    ax.legend()
    return ax


def plot_attention(
    weights: Any, ax: Any = None, read: Sequence[str] | None = None, written: Sequence[str] | None = None
) -> Any:
    """Attention weights as a heat map: steps written run down, steps read run across.

    Args:
        weights: (steps written, steps read).
        ax: where to draw; a new figure's by default.
        read: the names of the steps read, by default their numbers from 1.
        written: likewise of the steps written.

    Returns:
        The ``ax``.

    Raises:
        ValueError: another shape, or another number of names.
    """
    array = _array(weights, "plot_attention", 2)
    named = {"steps written": written, "steps read": read}
    ax = _heat_map(array, ax, "plot_attention", named, "weight", vmin=0.0).axes
    ax.set(xlabel="step read", ylabel="step written")
    return ax


def plot_table(
    table: Any,
    ax: Any = None,
    rows: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    label: str = "loss",
) -> Any:
    """A table of numbers as a heat map, with the number in each cell: the last loss by learning rate and seed, say.

    Args:
        table: (rows, columns). A cell that is NaN, such as a run that failed, is left grey, with a dash.
        ax: where to draw; a new figure's by default.
        rows: the names of the rows, by default their numbers from 1; numbers will do.
        columns: likewise of the columns.
        label: the name of the numbers.

    Returns:
        The ``ax``.

    Raises:
        ValueError: another shape, or another number of names.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.viz.plots import plot_table
        >>> ax = plot_table([[0.5, 0.25], [np.nan, 0.125]], rows=["lr 0.01", "lr 0.1"], columns=["seed 0", "seed 1"])
        >>> [text.get_text() for text in ax.texts]
        ['0.5', '0.25', '–', '0.125']
    """
    array = _array(table, "plot_table", 2)
    image = _heat_map(array, ax, "plot_table", {"rows": rows, "columns": columns}, label)
    ax = image.axes
    ax.set_facecolor("lightgrey")
    for (row, column), number in np.ndenumerate(array):
        is_dark = np.isfinite(number) and image.norm(number) < 0.5
        text = f"{number:.3g}" if np.isfinite(number) else "–"
        ax.text(column, row, text, ha="center", va="center", color="white" if is_dark else "black")
    return ax


def _heat_map(
    array: np.ndarray, ax: Any, who: str, named: Mapping[str, Sequence[Any] | None], label: str, **options: Any
) -> Any:
    """An image with the names of rows and columns, or their numbers from 1, and a bar for its colours."""
    for (what, names), size in zip(named.items(), array.shape):
        if names is not None and len(names) != size:
            raise ValueError(f"{who}: {len(names)} names for {size} {what}")
    ax = axes_for(ax)
    image = ax.imshow(np.ma.masked_invalid(array), cmap="cividis", aspect="auto", interpolation="nearest", **options)
    ax.figure.colorbar(image, ax=ax, label=label)
    for axis, names, size in zip((ax.yaxis, ax.xaxis), named.values(), array.shape):
        axis.set_ticks(range(size), [str(name) for name in (names if names is not None else range(1, size + 1))])
    return image


def _count_steps(ax: Any, name: str) -> None:
    """Steps across: there is no step 2.5."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(name)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def _array(values: Any, who: str, ndim: int) -> np.ndarray:
    array = np.asarray(value_array(values), dtype=np.float64)
    if array.ndim != ndim:
        raise ValueError(f"{who}: an array with {ndim} axes is needed, not one of shape {array.shape}")
    return array


def _of_example(values: Any, example: int, who: str) -> np.ndarray:
    array = np.asarray(value_array(values), dtype=np.float64)
    if array.ndim == 3:
        if not -array.shape[1] <= example < array.shape[1]:
            raise ValueError(f"{who}: there is no example {example} in a batch of {array.shape[1]}")
        array = array[:, example]
    if array.ndim != 2:
        raise ValueError(f"{who}: (T, d) or (T, B, d) is needed, not {array.shape}")
    return array


def smoothed(curve: np.ndarray, smoothing: float) -> np.ndarray:
    """The running mean without the bias of its start: each value and the earlier ones, with decreasing weights."""
    mean, weight, found = 0.0, 0.0, []
    for value in curve:
        mean = smoothing * mean + (1 - smoothing) * value
        weight = smoothing * weight + (1 - smoothing)
        found.append(mean / weight)
    return np.array(found)
