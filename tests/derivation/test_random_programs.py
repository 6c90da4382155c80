"""Random cells, loops and losses: whatever is written, the lines and the text give autograd's gradients.

They do so at other numbers as well, where masks, signs and choices are others.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr

ACTIVATIONS = [np.tanh, tr.sigmoid, tr.relu, np.sin, tr.softplus, lambda a: a / (1 + np.abs(a)),
               lambda a: np.maximum(a, 0), lambda a: np.where(a > 0, a, 0.2 * a), lambda a: np.clip(a, -0.5, 0.5),
               lambda a: a * (a > 0), lambda a: a * (1 - (np.abs(a) > 1) * 1.0)]  # fmt: skip


class Program:
    """A network drawn by a seed: three random operations a step on one to three states."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.T, self.B, self.n, self.d = (int(rng.integers(1, high)) for high in (7, 4, 4, 5))
        self.shape = (self.B,) if rng.integers(2) else ()
        self.states, self.loop, self.start, self.kind = (int(rng.integers(high)) for high in (3, 3, 3, 8))
        self.choices = rng.integers(0, 1000, (3, 4))
        self.mask = (rng.uniform(size=(self.T, self.d)) > 0.4) * 1.0
        d, n = self.d, self.n
        sizes = {"U": (n, d), "W": (d, d), "b": (d,), "g": (d,), "V": (d, 2), "C": (d + n, d), "h0": (*self.shape, d)}
        self.sizes, self.given = sizes, [rng.normal(size=(*self.shape, d)) for _ in range(self.states + 1)]
        self.parameters, self.data = self.numbers(rng)
        if seed % 3 == 0:  # no gradient comes through zeros: what it would be has to be right elsewhere
            self.parameters[list(sizes)[seed // 3 % len(sizes)]] *= 0.0

    def numbers(self, rng):
        """Parameters and data."""
        parameters = {name: rng.normal(size=size) * 0.5 for name, size in self.sizes.items()}
        return parameters, [rng.normal(size=(self.T, *self.shape, k)) for k in (self.n, 2)]

    def step(self, p, x, state, t):
        values = list(state)
        for kind, one, other, activation in self.choices:
            h, g, f = values[one % len(values)], values[other % len(values)], ACTIVATIONS[activation % len(ACTIVATIONS)]
            kinds = [
                lambda h=h, f=f: f(x @ p["U"] + h @ p["W"] + p["b"]),
                lambda h=h, f=f: f(np.concatenate([h, x], axis=-1) @ p["C"]),
                lambda h=h, g=g: p["g"] * h + (1 - p["g"]) * g,
                lambda h=h, g=g, f=f: f(h) * g,
                lambda h=h, g=g, f=f: h + 0.3 * f(g @ p["W"].T),
                lambda h=h, f=f: self.mask[t] * f(x @ p["U"]) + (1 - self.mask[t]) * h,
                lambda h=h, g=g: h / (1 + np.sum(g * g, axis=-1, keepdims=True)),
                lambda h=h, g=g, f=f: np.where(h > g, h, f(g)),
                lambda h=h, g=g: np.maximum(h, g - 0.1),
            ]
            values.append(kinds[kind % len(kinds)]())
        new = values[::-1]
        return new[0], tuple(new[i] if i < 3 else state[i] for i in range(len(state)))

    def loss(self, p, xs, ys):
        state = tuple(p["h0"] if self.start == 2 and not i else h * self.start for i, h in enumerate(self.given))
        outputs = []
        if self.loop == 0:
            taken = iter(range(self.T))
            states, state = tr.unroll(lambda x, s: self.step(p, x, s, next(taken)), xs, state=state)
            outputs = [states[t] for t in range(self.T)]
        else:
            for t in range(self.T) if self.loop == 1 else reversed(range(self.T)):
                y, state = self.step(p, xs[t], state, t)
                outputs.append(y)
        return self.of(p, outputs, state, ys)

    def of(self, p, outputs, state, ys):
        """The loss at the last step, at each, from all at once, at some, of states, of a part."""
        if self.kind == 0:
            return np.sum((outputs[-1] @ p["V"]) ** 2)
        if self.kind == 1:
            return sum(np.sum((o @ p["V"] - y) ** 2) for o, y in zip(outputs, ys))
        if self.kind == 2:
            return np.mean((np.stack(outputs) @ p["V"] - ys) ** 2) + 0.01 * np.sum(p["W"] ** 2)
        if self.kind == 3:
            return sum(np.sum((o @ p["V"]) ** 2) / (t + 1) for t, o in enumerate(outputs) if t % 2 == 0)
        if self.kind == 4:
            return np.sum(state[0] ** 2 * np.sum(p["b"])) + np.sum(np.tanh(outputs[0]))
        if self.kind == 5:
            errors = np.stack(outputs) @ p["V"] - ys
            return np.sum(np.where(np.abs(errors) < 1, errors**2 / 2, np.abs(errors) - 0.5))
        if self.kind == 6:
            return sum(np.sum(np.maximum(0, 1 - o @ p["V"] * np.where(y > 0, 1.0, -1.0))) for o, y in zip(outputs, ys))
        return np.sum(np.log(np.sum(np.exp(np.stack(outputs)[self.T // 2 :] * p["b"]), axis=-1)))


@pytest.mark.parametrize("seed", range(120))
def test_a_random_program(seed):
    program = Program(seed)
    derivation = tr.derive(program.loss, program.parameters, program.data, check=False)
    derivation.source()
    right = derivation.recording.gradients()
    for mine in (derivation.gradients(), derivation.run().gradients):
        assert_alike(mine, right)
    assert str(derivation)
    parameters, data = program.numbers(np.random.default_rng(1000 + seed))
    leaves = {name: tr.tensor(value, requires_grad=True) for name, value in parameters.items()}
    program.loss(leaves, *data).backward()
    right = {name: leaf.grad if leaf.grad is not None else np.zeros(leaf.shape) for name, leaf in leaves.items()}
    assert_alike(derivation.run(parameters, dict(zip(("xs", "ys"), data))).gradients, right)


def assert_alike(mine, right):
    largest = max(np.abs(value).max() for value in right.values())
    for name, value in right.items():
        scale = max(np.abs(value).max(), 1e-3 * largest) or 1.0
        np.testing.assert_allclose(mine[name] / scale, value / scale, rtol=0, atol=1e-10, err_msg=name)
