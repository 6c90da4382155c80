"""Derivations: backpropagation through time of any cell, written out line by line, run, and altered.

A recorded loss goes through the rooms in this order: ``reading`` makes ``equations`` of it, ``backward`` adds those of
its gradients, and ``writing`` prints them. ``running`` computes their values. ``edits`` makes the mistakes that people
make, which ``comparison`` searches, and ``worksheets`` marks the work of students. ``derivation`` puts it all together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .derivation import Derivation, derive
from .equations.lines import Line
from .equations.not_writable import NotWritable
from .running.checking import WrongDerivation
from .worksheets.marks import Mark, Marks
from .worksheets.worksheet import Worksheet

__all__ = ["Derivation", "Line", "Mark", "Marks", "NotWritable", "Worksheet", "WrongDerivation", "derive"]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
