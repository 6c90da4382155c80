"""Gradients derived by hand, compared with autograd's: which of them are wrong, and where, and why.

    report = tr.compare(loss, by_hand, parameters)
    print(report)

To read it, go by ``side_by_side`` (``compare`` itself), ``claims`` (what the manual side says), ``rows`` (both sides,
gradient by gradient), ``referee``, ``lines``, ``breakdown``, and ``diagnosis`` (the mistake that explains it all).
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .report import Diagnosis, Line, Report, Row
from .side_by_side import compare

__all__ = ["Diagnosis", "Line", "Report", "Row", "compare"]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
