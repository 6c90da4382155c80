"""Sample inputs for every function that has a derivative: the one table that drives the tests of the catalogue.

``on(np.tanh)(...)`` says for which function the samples are; each is a function in plain NumPy and its inputs. Inputs
keep away from kinks and ties, which have tests of their own (``test_edges.py``). A function of the registry that has no
samples fails the tests.
"""

from __future__ import annotations

from tests.autodiff import samples_arrays, samples_elementwise, samples_fourier, samples_linalg  # noqa: F401  # for what they add
from tests.autodiff.samples_elementwise import BINARY, BINARY_REAL, UNARY, UNARY_REAL
from tests.autodiff.sampling import SAMPLES, Sample, label

__all__ = ["BINARY", "BINARY_REAL", "SAMPLES", "UNARY", "UNARY_REAL", "Sample", "label"]
