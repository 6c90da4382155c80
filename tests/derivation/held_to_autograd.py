"""What the derivation's tests share: random arrays, and how a derivation is held to autograd and to differences."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(7)


def random(*shape):
    """Small numbers."""
    return RNG.normal(size=shape) * 0.5


def assert_right(loss, parameters=None, data=(), writable=True):
    """The gradients of a derivation's lines, and of its text, are autograd's; finite differences agree."""
    derivation = tr.derive(loss, parameters, data, check=False)
    right = derivation.recording.gradients()
    if writable:
        derivation.source()
    for mine in (derivation.gradients(), derivation.run().gradients):
        for name, value in right.items():
            scale = max(np.abs(value).max(), 1e-3)
            np.testing.assert_allclose(mine[name] / scale, value / scale, rtol=0, atol=1e-10, err_msg=name)
    assert_close_to_differences(derivation.recording, right)
    assert str(derivation)
    return derivation


def assert_close_to_differences(recording, gradients):
    """Along one direction for each parameter."""
    values = recording.values()
    for name, value in values.items():
        direction = np.random.default_rng(1).normal(size=value.shape)
        step = 1e-5
        ends = [recording.evaluate({**values, name: value + sign * step * direction}) for sign in (1, -1)]
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert np.sum(gradients[name] * direction) == pytest.approx(numeric, rel=1e-6, abs=1e-7), name
