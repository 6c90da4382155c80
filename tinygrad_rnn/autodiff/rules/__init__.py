"""The primitives, each with its derivatives beside it. These files import only NumPy and the registry."""

from . import (  # noqa: F401
    activations,
    arrays,
    axes,
    complex_pairs,
    cumulative,
    curves,
    decompositions,
    elementwise,
    fourier,
    grids,
    indexing,
    joining,
    linalg,
    log_probabilities,
    products,
    rearranging,
    reductions,
    shape,
    special,
    statistics,
)
