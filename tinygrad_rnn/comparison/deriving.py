"""The derivation of a recorded loss, if it can be written down and gives autograd's gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..derivation.derivation import Derivation, derive
from ..recorded.recording import Recording


def derived(recording: Recording) -> tuple[Derivation | None, str]:
    """The derivation of a recorded loss, or None and the reason."""
    problem = ""
    if recording.function is not None:  # run again, so that all its data are followed from the first step
        try:
            found = derive(recording.function, recording.arguments(recording.values()), recording.data, check=False)
            if _agree(found.gradients(), recording.gradients()):
                return found, ""
        except Exception as error:
            problem = str(error)
    try:
        found = derive(recording, check=False)
        if _agree(found.gradients(), recording.gradients()):
            return found, ""
        problem = "its lines give other gradients than autograd"
    except Exception as error:
        problem = str(error) or problem
    return (
        None,
        f"There is no search for the mistake: the derivation of this loss could not be written down ({problem}).",
    )


def _agree(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return all(np.allclose(a[name], b[name], rtol=1e-6, atol=1e-8, equal_nan=True) for name in b)
