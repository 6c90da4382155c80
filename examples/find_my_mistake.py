"""You derived BPTT by hand, and something is wrong. Where?

Below is a derivation with one mistake in it, of the kind that everybody makes once. ``compare`` puts it beside autograd
and finite differences, goes through its lines to the first one that is wrong, and tries what people get wrong until it
finds what gives exactly these numbers.

Run it: ``python examples/find_my_mistake.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr

T, B, INPUTS, UNITS = 6, 3, 2, 4


def loss(p, xs, targets):
    """The model, in plain NumPy: an Elman network whose output shall follow the targets."""

    def cell(x, s):
        return np.tanh(x @ p["U"] + s @ p["W"] + p["b"])

    states, _ = tr.unroll(cell, xs, state=np.zeros((B, UNITS)))
    return np.sum((states @ p["V"] - targets) ** 2)


def by_hand(p, xs, targets):
    """Its gradients by hand, with some of the lines on the way."""
    s = [np.zeros((B, UNITS))]
    for x in xs:
        s.append(np.tanh(x @ p["U"] + s[-1] @ p["W"] + p["b"]))

    gradients = {name: np.zeros_like(value) for name, value in p.items()}
    lines = {}
    delta = np.zeros((B, UNITS))
    for t in range(T, 0, -1):
        dy = 2 * (s[t] @ p["V"] - targets[t - 1])
        ds = dy @ p["V"].T + delta @ p["W"]  # <- W, where its transpose belongs
        delta = ds * (1 - s[t] ** 2)
        lines[f"dL/ds[{t}]"], lines[f"delta[{t}]"] = ds, delta
        gradients["V"] += s[t].T @ dy
        gradients["U"] += xs[t - 1].T @ delta
        gradients["W"] += s[t - 1].T @ delta
        gradients["b"] += delta.sum(axis=0)
    return {**lines, **gradients}


def main():
    """Print the report."""
    rng = np.random.default_rng(0)
    shapes = {"U": (INPUTS, UNITS), "W": (UNITS, UNITS), "b": (UNITS,), "V": (UNITS, 1)}
    params = {name: 0.5 * rng.normal(size=shape) for name, shape in shapes.items()}
    data = rng.normal(size=(T, B, INPUTS)), rng.normal(size=(T, B, 1))
    print(tr.compare(loss, by_hand, params, data))


if __name__ == "__main__":
    main()
