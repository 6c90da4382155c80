"""Running a derivation: from equations, or from its NumPy text, to numbers.

- ``evaluate``: the values of all equations, step by step, with or without an edit.
- ``generated``: the values that a derivation's NumPy text computes, and that text alone.
- ``checking``: how much two sets of gradients differ, and how much they may.
"""
