"""The primitives, each with its derivatives beside it. These files know NumPy and the registry, and nothing else."""

from . import elementwise, indexing, linalg, reductions, shape

__all__ = ["elementwise", "indexing", "linalg", "reductions", "shape"]
