"""The diagnosis: which mistake leads to exactly the given numbers.

- ``diagnosis``: what is tried, in order. ``arrays``: what is visible in a gradient itself, such as a transpose (in
  the ``layouts`` that people use, by the ``sizes`` of the network); ``asking_again`` tells these apart.
- ``stages``: which edits of the derivation's lines are tried, in which order. ``search``: one edit; ``together``:
  several; ``bounded``: derivatives that are clipped. A ``situation`` holds edits to the gradients that are known.
- ``telling_apart``: which of the edits that fit still do at other numbers, by calling the manual side (``witness``).
- ``at_fault``: the lines whose values, if they were others, could lead to the gradients; ``needed``: the numbers that
  they have to give.
- ``other_networks``: the right gradients of another network.
- ``wrong_line``: the edit behind the first wrong line. ``wording``: an edit in words.
"""
