"""Any text, for properties: of all characters but surrogates, which no encoding has.

Hypothesis' own texts are these, too. But it asks each character whether UTF-8 has it, which takes seconds in a new
clone, once in each process.
"""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

any_text = partial(st.text, st.characters(exclude_categories=["Cs"]))
