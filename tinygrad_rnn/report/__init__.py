"""The report that the tour ends with, and a page for one comparison: HTML that opens by itself, in one file.

``networks`` are what it shows, ``findings`` what it finds out about them, ``sections`` and ``pages`` how it is written.
They are imported one by one: who draws a network needs none of the others.
"""
