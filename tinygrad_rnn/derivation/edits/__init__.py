"""Edits of a derivation: the lines that somebody writes who makes a slip, and what they compute.

- ``edits``: all edits of a line, from the usual to the rare. Their ``kinds``: ``of_factors``, ``of_terms``,
  ``of_values``, ``of_steps``, ``smoothed``, and ``of_uses``, where a value is wrong in one place alone. ``found``:
  what they return.
- ``everywhere``: one value exchanged for another in all lines, by ``changing``; of these, ``kept``: values of a wrong
  step; ``of_sums``: other sums; ``loops``: loops over other steps, or the other way.
- ``alike``: the same edit in several places.
- ``identities``: sums that are one number in the forward algorithm; ``posteriors``: others in place of its posteriors.
- ``hand``: the values at hand, which somebody can take for one another.
- ``misplaced``: expressions that only slips write, such as a value of a wrong step.
- ``editing``: many edited derivations run together; ``draws``: other numbers, which tell edits apart.
- ``derived``: the parts of a derivation that are read here.
"""
