"""The report that the tour ends with: one HTML page that opens by itself and needs nothing but itself.

``networks`` are what it shows, ``findings`` what it finds out about them, ``sections`` and ``page`` how it is written.
"""

from .findings import CellFlow, Example, Learned, learn, study_example, study_flows
from .page import page

__all__ = ["CellFlow", "Example", "Learned", "learn", "page", "study_example", "study_flows"]
