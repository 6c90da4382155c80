"""The error for what a derivation can't write."""


class NotWritable(ValueError):
    """The error for a line that has no short form, in NumPy or in a style; its text names the line or operation."""
