"""Gradient norms as colours, on a logarithmic scale; norms outside the scale get signs of their own.

The colours are those of "cividis" (Nuñez, Anderton and Renslow 2018), which look the same to people with and without
a colour vision deficiency and grow steadily in lightness. Zero, infinite, NaN and missing gradients are white or grey
and carry their name, so colours needn't be compared to see them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..reading.gradients import MISSING
from ..reading.symbols import number

CIVIDIS = ("#00224e", "#1a386f", "#434e6c", "#61656f", "#7d7c78", "#9b9476", "#bbae6c", "#dcc95c", "#fee838")
DARK, LIGHT = "#000000", "#ffffff"  # on any colour, one of the two has a contrast of 4.58 or more
SPECIAL = {"0": "#ffffff", "NaN": "#f7c6d9", "∞": "#f9d4b8", MISSING: "#e6e9ec"}


class GradientScale:
    """A scale from norms to colours, which spans those that are finite and not zero."""

    def __init__(self, norms: Iterable[float | None]) -> None:
        usable = [norm for norm in norms if norm is not None and 0 < norm < math.inf]
        self.low = math.log10(min(usable)) if usable else -1.0
        self.high = math.log10(max(usable)) if usable else 0.0
        if self.high - self.low < 1e-9:
            self.low, self.high = self.low - 0.5, self.high + 0.5

    def text(self, norm: float | None) -> str:
        """The norm as text: two digits, or the sign for zero, infinity, NaN or a missing gradient."""
        return MISSING if norm is None else number(float(f"{norm:.1e}"))

    def fill(self, norm: float | None) -> str:
        """The colour of a norm."""
        text = self.text(norm)
        if text in SPECIAL or norm is None:
            return SPECIAL[text]
        return self.at((math.log10(norm) - self.low) / (self.high - self.low))

    def at(self, share: float) -> str:
        """The colour at a share of the scale, from 0 to 1."""
        position = min(max(share, 0.0), 1.0) * (len(CIVIDIS) - 1)
        i = min(int(position), len(CIVIDIS) - 2)
        mixed = [a + (b - a) * (position - i) for a, b in zip(_channels(CIVIDIS[i]), _channels(CIVIDIS[i + 1]))]
        return "#" + "".join(f"{round(channel):02x}" for channel in mixed)


def ink_on(fill: str) -> str:
    """Black or white, whichever is easier to read on a colour."""
    return DARK if contrast(fill, DARK) >= contrast(fill, LIGHT) else LIGHT


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21, as the Web Content Accessibility Guidelines define it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(color))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
