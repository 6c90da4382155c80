"""The primitives, each with its derivatives beside it. These files know NumPy and the registry, and nothing else."""

from . import (
    activations,
    complex_pairs,
    cumulative,
    decompositions,
    elementwise,
    fourier,
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
    "complex_pairs",
    "cumulative",
    "decompositions",
    "elementwise",
    "fourier",
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
