"""The report that the tour ends with, and a page for one comparison: HTML that opens by itself, in one file.

``networks`` are what it shows, ``findings`` what it finds out about them, ``sections`` and ``pages`` how it is written.
"""

from .findings import CellFlow, Example, Learned, learn, study_example, study_flows
from .pages import comparison_page, page

__all__ = ["CellFlow", "Example", "Learned", "comparison_page", "learn", "page", "study_example", "study_flows"]
