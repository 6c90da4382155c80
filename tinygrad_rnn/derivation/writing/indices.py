"""Indices as text."""

from __future__ import annotations


def slice_text(index: slice) -> str:
    """A slice as one writes it, without what is so by default.

    Example:
        >>> [slice_text(slice(*bounds)) for bounds in [(0, 3), (1, None), (None, None, -1), (None, 0, -1), (None, 0)]]
        [':3', '1:', '::-1', ':0:-1', ':0']
    """
    from_the_start = index.start is None or (index.start == 0 and (index.step or 1) > 0)
    text = f"{'' if from_the_start else index.start}:{'' if index.stop is None else index.stop}"
    return text if index.step in (None, 1) else f"{text}:{index.step}"
