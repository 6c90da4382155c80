"""Rows of states taken at steps that are apart: each is a term of its own, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS


@pytest.mark.parametrize("rows", [slice(1, None, 2), slice(None, None, 3), [0, 2, 3]], ids=["odd", "third", "some"])
def test_a_loss_at_some_steps(rows):
    rng = np.random.default_rng(0)
    values = {"W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 2))}
    xs = rng.normal(size=(6, 3))

    def loss(p, xs):
        hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ p["W"]), xs, np.zeros(3))
        return np.sum((hs[rows] @ p["V"]) ** 2)

    found = tr.derive(loss, values, (xs,)).gradients()
    for name, right in tr.grad(loss)(values, xs).items():
        np.testing.assert_allclose(found[name], right, rtol=1e-10, atol=1e-12)


def test_a_softmax_written_out_from_some_step_on_has_its_steps():
    """``z - max(z)`` and ``z - log(...)`` are the same operation, of which one reads the other."""
    burn_in = NETWORKS["burn in"]
    lines = str(tr.derive(burn_in.loss, burn_in.parameters, burn_in.data)).splitlines()
    assert any("L = -Σ_{t = 3..T} sum(log_softmax(z_t)[·, " in line for line in lines)
