"""Derivations: backpropagation through time of any cell, written out line by line, run, and altered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .checking import WrongDerivation
from .derivation import Derivation, derive
from .lines import Line
from .marks import Mark, Marks
from .numpy_text import NotWritable
from .worksheet import Worksheet

__all__ = ["Derivation", "Line", "Mark", "Marks", "NotWritable", "Worksheet", "WrongDerivation", "derive"]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
