"""Derivations: backpropagation through time of any cell, written out line by line, run, and altered."""

from __future__ import annotations

from .derivation import Derivation, WrongDerivation, derive
from .lines import Line

__all__ = ["Derivation", "Line", "WrongDerivation", "derive"]
