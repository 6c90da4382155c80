"""Who is right when two gradients disagree: finite differences of the loss itself, which know no derivative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..autodiff.gradcheck import central_differences
from ..recorded.recording import Recording

RTOL, ATOL = 1e-6, 1e-8  # what central differences in float64 can tell


class Ruling(NamedTuple):
    """Finite differences of the loss by one parameter.

    Attributes:
        elements: which elements were asked for, as flat indices; all of a small parameter.
        numeric: the derivative by each of them.
        autograd_agrees: whether autograd's gradient has these values.
        manual_agrees: whether the manual one has; None if there is none.
    """

    elements: np.ndarray
    numeric: np.ndarray
    autograd_agrees: bool
    manual_agrees: bool | None

    @property
    def sentence(self) -> str:
        """The ruling in words."""
        if self.manual_agrees is None:
            verb = "agrees" if self.autograd_agrees else "disagrees"
            return f"autograd {verb} with finite differences"
        return {
            (True, True): "finite differences can't tell them apart: they differ by less than these can see",
            (True, False): "autograd agrees with finite differences; the manual formula doesn't",
            (False, True): "the manual formula agrees with finite differences; autograd doesn't",
            (False, False): "neither agrees with finite differences",
        }[self.autograd_agrees, self.manual_agrees]


def ask_referee(
    recording: Recording, name: str, autograd: np.ndarray, manual: np.ndarray | None, limit: int | None = None
) -> Ruling:
    """Differentiate the loss by one parameter with central differences, two evaluations for each element.

    Args:
        recording: the loss.
        name: which parameter.
        autograd: autograd's gradient.
        manual: the manual one, of the same shape, or None.
        limit: how many elements to ask for at most: of a larger parameter those in which the two differ most, and
            without a manual gradient the largest. By default 200, and 20 where the parameters are more than 20,000
            numbers, since every evaluation is expensive then.
    """
    if limit is None:
        limit = 200 if sum(leaf.size for leaf in recording.parameters.values()) <= 20_000 else 20
    values = {key: array.astype(np.float64) for key, array in recording.values().items()}
    flat = values[name].ravel()
    interest = np.abs(autograd if manual is None else autograd - manual).ravel()
    elements = np.sort(np.argsort(-interest, kind="stable")[:limit])

    def loss(chosen: np.ndarray) -> float:
        moved = flat.copy()
        moved[elements] = chosen
        return recording.evaluate({**values, name: moved.reshape(autograd.shape)})

    numeric = central_differences(loss, [flat[elements]])[0]
    return Ruling(
        elements,
        numeric,
        _near(autograd.ravel()[elements], numeric),
        None if manual is None else _near(manual.ravel()[elements], numeric),
    )


def _near(gradient: np.ndarray, numeric: np.ndarray) -> bool:
    """Element by element, on the scale of the whole parameter: rounding in the loss doesn't know small elements."""
    scale = float(np.max(np.abs(numeric), initial=0.0))
    rtol = max(RTOL, 100 * float(np.finfo(gradient.dtype).eps))
    return bool(np.all(np.abs(gradient - numeric) <= ATOL + rtol * scale))
