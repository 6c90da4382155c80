"""Worksheets: a derivation with blanks, and the marking of what somebody writes into them.

- ``worksheet``: the lines, some of them blank; ``marking``: an answer held against the line's values; ``marks``: the
  results.
- ``typed``: answers as people type them, made Python; ``answers``: their values, by a whitelist and never by running
  code; ``allowed``: the limits.
"""
