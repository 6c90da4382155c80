"""Derivations: backpropagation through time of any cell, written out line by line, run, and altered."""

from __future__ import annotations

from .derivation import Derivation, WrongDerivation, derive
from .lines import Line
from .numpy_text import NotWritable

__all__ = ["Derivation", "Line", "NotWritable", "WrongDerivation", "derive"]
