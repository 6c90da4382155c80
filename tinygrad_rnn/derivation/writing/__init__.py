"""Writing a derivation: equations as text, LaTeX, MathML, and as a NumPy function.

- ``writer``: from expressions to formulas, in a ``notation``; ``text``, ``latex``, ``mathml`` are the three notations.
- ``page``: the formulas on a page of HTML; ``reasons``: why each line of the backward pass has its form.
- ``numpy_text``: expressions as NumPy; ``loops``: lines in the order of a program, in loops over time;
  ``path_rows``: sums over paths in such a program; ``source``: the whole function; ``line_breaks``: rows that fit.
"""
