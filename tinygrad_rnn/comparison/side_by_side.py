"""``compare``: a gradient derived by hand beside that of autograd, with finite differences as the referee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recorded.recording import Recording, record
from .breakdown import breakdown
from .claims.claims import read_claims
from .claims.joined import told_by_their_numbers
from .diagnosis.diagnosis import diagnose
from .lines import compare_lines
from .measures import Tolerance, default_tolerance, first_nan
from .referee import Referee
from .report import AGREES, Report, Row
from .rows import Sides

REFEREE = ("auto", "always", "never")


def compare(
    autograd: Any,
    manual: Any,
    parameters: Any = None,
    data: Sequence[Any] = (),
    *,
    tolerance: float | None = None,
    decimals: int | None = None,
    referee: str = "auto",
    seconds: float | None = None,
) -> Report:
    """Compare gradients derived by hand with autograd's, and report where they differ.

    Args:
        autograd: the loss, as a function ``loss(parameters, *data)`` or ``loss(W, b, *data)``, as a Module that returns
            it when called with the data, or already recorded (a large one before its ``backward()``, or kept). Each may
            give the loss as one number or as its terms, a list L_1, L_2, ... or a dict of terms by step.
        manual: the gradients: a dict of arrays by parameter name (also PyTorch's), a tuple in the order of the
            parameters, a function ``manual(parameters, *data)`` that gives such, a module of ``tinygrad_rnn.manual``
            (one that derives a layer and no loss, as ``lstm`` and ``gru`` do, begins with ∂L_t/∂h_t as recorded), or
            what its ``backward`` returned. Further entries such as ``"delta[4]"`` or ``"dL/ds[3]"`` are lines of
            the derivation, and are compared one by one.
        parameters: for a loss function, their values: a dict, a NamedTuple or any tree of arrays; or the Module that
            the function is called with. For a recorded loss, its leaves, as a dict or a Module; by default every leaf
            behind it, by name.
        data: the further arguments of the functions.
        tolerance: the relative error up to which two gradients are equal (see ``Row.relative``); by default 1e-9, and
            1e-4 in float32.
        decimals: the number of decimals to which the manual numbers are rounded, for example in a book; they are equal
            to whatever rounds to them.
        referee: when to measure finite differences: "auto" if the two disagree, "always" or "never".
        seconds: how long to search for the mistake at most, by default 10, in seconds of computing (a busy machine
            doesn't shorten them); the report says what was left out.

    Returns:
        The report. ``print(report)`` shows it, ``report.agrees`` is the answer.

    Raises:
        TypeError, ValueError: the autograd side is no loss. (Problems of the manual side are in the report.)

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn.comparison import compare
        >>> x, y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([1.0, 0.0])
        >>> def loss(p):
        ...     return np.mean((np.tanh(x @ p["w"]) - y) ** 2)
        >>> def by_hand(p):
        ...     o = np.tanh(x @ p["w"])
        ...     return {"w": x.T @ ((o - y) * (1 - o**2))}
        >>> report = compare(loss, by_hand, {"w": np.array([0.3, -0.2])})
        >>> report.agrees
        True
    """
    if referee not in REFEREE:
        raise ValueError(f"compare: referee={referee!r} is not one of {', '.join(REFEREE)}")
    recording = record(autograd, parameters, data)
    claims = read_claims(manual, recording)
    gradients = recording.gradients()
    given = [claim.gradient for claim in claims.gradients.values() if claim.gradient is not None]
    single = tolerance is None and _shows_single_precision(given, list(gradients.values()))
    tolerance = 1e-4 if single else tolerance
    limit = Tolerance(default_tolerance(*gradients.values(), *given) if tolerance is None else tolerance, decimals)
    sides = Sides(recording, manual, limit, told_by_their_numbers(claims, gradients, limit))
    rows, said = _refereed(recording, sides.rows, referee)
    lines = compare_lines(sides)
    tables, places = breakdown(sides)
    diagnoses, how = diagnose(sides, lines, seconds)
    if not np.isfinite(recording.loss.data).all():
        places.append(f"The loss is {recording.loss.item()}: {first_nan(recording) or 'it overflowed'}.")
    return Report(
        rows,
        limit.relative,
        lines,
        tables,
        diagnoses,
        [*([SINGLE] if single else []), *said, *places, *how, *sides.claims.notes],
    )


SINGLE = "The manual numbers are float32's, though they came as float64: they are held to 1e-4."


def _shows_single_precision(given: Sequence[np.ndarray], gradients: Sequence[np.ndarray]) -> bool:
    """Return True if arrays of float64 hold only values of float32, while the right ones hold others."""

    def is_single(arrays: Sequence[np.ndarray]) -> bool:
        with np.errstate(over="ignore"):
            return all(np.array_equal(a.astype(np.float32), a) for a in arrays)

    is_double = all(a.dtype == np.float64 for a in (*given, *gradients))
    return is_double and sum(map(np.count_nonzero, given)) > 1 and is_single(given) and not is_single(gradients)


def _refereed(recording: Recording, rows: Sequence[Row], when: str) -> tuple[list[Row], list[str]]:
    """The rows, with rulings where one is wanted, and the referee's remarks about the loss."""
    asked = [row for row in rows if when == "always" or (when == "auto" and row.verdict != AGREES)]
    if not asked:
        return list(rows), []
    referee = Referee(recording)
    ruled = {row.name: row for row in referee.rule(asked)}
    return [ruled.get(row.name, row) for row in rows], referee.notes
