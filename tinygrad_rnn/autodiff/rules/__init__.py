"""The primitives, each with its derivatives beside it. These files know NumPy and the registry, and nothing else."""

from . import (
    activations,
    cumulative,
    decompositions,
    elementwise,
    indexing,
    joining,
    linalg,
    products,
    rearranging,
    reductions,
    shape,
    special,
    statistics,
)

__all__ = [
    "activations",
    "cumulative",
    "decompositions",
    "elementwise",
    "indexing",
    "joining",
    "linalg",
    "products",
    "rearranging",
    "reductions",
    "shape",
    "special",
    "statistics",
]
