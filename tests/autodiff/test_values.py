"""Values that derivatives can't vouch for: of functions that NumPy lacks, and what a product of many matrices costs.

A derivative is held to differences of the function itself, which a function that is wrong as a whole would pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.autodiff.sampling import real
from tinygrad_rnn.autodiff.graph import ancestors

# The two numbers for which selu keeps mean 0 and variance 1 (Klambauer et al. 2017, equation 14).
NEAR, FAR = math.erfc(1 / math.sqrt(2)) * math.exp(1 / 2), math.erfc(math.sqrt(2)) * math.exp(2)
SELU_ALPHA = math.sqrt(2 / math.pi) / (1 - NEAR)
SELU_SCALE = (1 - NEAR) * math.sqrt(
    2 * math.pi / (2 * FAR + math.pi * NEAR**2 - 2 * (2 + math.pi) * NEAR + math.pi + 2)
)


def gelu_by_tanh(v: float) -> float:
    """Hendrycks and Gimpel, section 2."""
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


FORMULAS: dict[str, tuple[Callable[[Any], Any], Callable[[float], float]]] = {
    "sigmoid": (tr.sigmoid, lambda v: 1 / (1 + math.exp(-v))),
    "log_sigmoid": (tr.log_sigmoid, lambda v: -math.log(1 + math.exp(-v))),
    "softplus": (tr.softplus, lambda v: math.log(1 + math.exp(v))),
    "relu": (tr.relu, lambda v: max(v, 0)),
    "leaky_relu": (tr.leaky_relu, lambda v: v if v > 0 else v / 100),
    "leaky_relu of another slope": (lambda x: tr.leaky_relu(x, 0.2), lambda v: v if v > 0 else 0.2 * v),
    "elu": (tr.elu, lambda v: v if v > 0 else math.exp(v) - 1),
    "elu of another depth": (lambda x: tr.elu(x, 0.5), lambda v: v if v > 0 else 0.5 * (math.exp(v) - 1)),
    "selu": (tr.selu, lambda v: SELU_SCALE * (v if v > 0 else SELU_ALPHA * (math.exp(v) - 1))),
    "gelu": (tr.gelu, lambda v: v * NormalDist().cdf(v)),
    "gelu by tanh": (lambda x: tr.gelu(x, "tanh"), gelu_by_tanh),
    "silu": (tr.silu, lambda v: v / (1 + math.exp(-v))),
    "hard_tanh": (tr.hard_tanh, lambda v: max(-1, min(v, 1))),
    "hard_tanh of other bounds": (lambda x: tr.hard_tanh(x, -0.5, 2), lambda v: max(-0.5, min(v, 2))),
    "hard_sigmoid": (tr.hard_sigmoid, lambda v: max(0, min(v / 6 + 1 / 2, 1))),
    "erf": (tr.erf, math.erf),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_by_the_standard_library(name: str) -> None:
    f, by_definition = FORMULAS[name]
    x = np.linspace(-8, 8, 81)
    np.testing.assert_allclose(f(x), [by_definition(v) for v in x], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), None])
def test_softmax_and_its_logarithm_by_their_definition(axis: Any) -> None:
    x = real(2, 3, 4)
    total = np.sum(np.exp(x), axis=axis, keepdims=True)
    np.testing.assert_allclose(tr.softmax(x, axis), np.exp(x) / total, rtol=1e-14)
    np.testing.assert_allclose(tr.log_softmax(x, axis), np.log(np.exp(x) / total), rtol=1e-13)
    np.testing.assert_allclose(tr.logsumexp(x, axis, keepdims=True), np.log(total), rtol=1e-13)
    np.testing.assert_allclose(tr.logsumexp(x, axis), np.log(np.sum(np.exp(x), axis=axis)), rtol=1e-13)


def test_softmax_is_along_the_last_axis_unless_told() -> None:
    x = real(2, 3, 4)
    assert np.array_equal(tr.softmax(x), tr.softmax(x, 2)) and np.array_equal(tr.log_softmax(x), tr.log_softmax(x, 2))


@pytest.mark.parametrize("index", [0, (1, slice(None)), (..., 1), [1, 1, 0], ([0, 0], [2, 2])], ids=str)
def test_updates_by_assignment(index: Any) -> None:
    x = real(2, 3)
    value = real(*x[index].shape, seed=1)
    assigned, added = x.copy(), x.copy()
    assigned[index] = value
    np.add.at(added, index, value)
    assert np.array_equal(tr.index_update(x, index, value), assigned)
    np.testing.assert_allclose(tr.index_add(x, index, value), added, rtol=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_a_chain_of_matrices_is_multiplied_in_the_cheapest_order(seed: int) -> None:
    sizes = [int(n) for n in np.random.default_rng(seed).integers(1, 9, 7)]

    @cache
    def cheapest(i: int, j: int) -> int:
        """The fewest multiplications for matrices i..j, of all ways to put the parentheses."""
        ways = (cheapest(i, k) + cheapest(k + 1, j) + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j))
        return min(ways, default=0)

    matrices = [tr.tensor(np.ones(shape), requires_grad=True) for shape in itertools.pairwise(sizes)]
    product = np.linalg.multi_dot(matrices)
    products = [node.inputs for node in ancestors([product]) if node.op is not None and node.op.name == "matmul"]
    assert sum(a.shape[0] * a.shape[1] * b.shape[1] for a, b in products) == cheapest(0, len(matrices) - 1)


@pytest.mark.parametrize("f", [tr.sigmoid, tr.relu, tr.softmax, tr.logsumexp, lambda a: tr.index_update(a, 0, 1.0)])
def test_functions_of_ours_take_arrays_of_any_class(f: Any) -> None:
    """Such as the read-only data of a leaf, and files that are mapped into memory."""
    a = np.array([0.5, -1.0])
    for kind in (tr.tensor(a, requires_grad=True).data, a.view(np.memmap), np.ma.masked_array(a)):
        np.testing.assert_array_equal(np.asarray(f(kind)), f(a))
