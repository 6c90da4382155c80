"""Gradients derived by hand, held against autograd: which of them are wrong, and where, and why."""

from .report import Diagnosis, Line, Report, Row
from .side_by_side import compare

__all__ = ["Diagnosis", "Line", "Report", "Row", "compare"]
