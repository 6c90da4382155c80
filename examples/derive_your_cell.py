"""Derive your own cell: backpropagation through time, written out; and as an exercise that marks itself.

A cell that no textbook has: a leak, and the state and the input side by side in one product.

    a_t = [h_{t-1}, x_t] W + b
    h_t = (1 - α) h_{t-1} + α tanh(a_t)

``derive`` writes its backward pass as a person would, each equation once and with the reason beside it, as a NumPy
function, and as LaTeX. A worksheet leaves some right-hand sides blank. It takes any form of an answer that has the
right values; in a wrong one it names the slip. The leak is that of "Learning Algorithm - Recurrent Neural
Networks(RNNs)" and others, who write their equations out for the plain cell alone.

Run it: ``python examples/derive_your_cell.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr


def problem(seed=0, T=5, n=2, d=3):
    """Parameters, inputs and a target, at random."""
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(d + n, d)) / 2, "b": np.zeros(d), "α": np.array(0.3)}
    return params, rng.normal(size=(T, n)), rng.normal(size=d)


def loss(p, xs, target):
    """The squared error of the last state."""

    def cell(x, h):
        return (1 - p["α"]) * h + p["α"] * np.tanh(np.concatenate([h, x]) @ p["W"] + p["b"])

    _, h = tr.unroll(cell, xs, state=np.zeros(len(target)))
    return np.sum((h - target) ** 2)


def derive():
    """The derivation of that loss."""
    params, xs, target = problem()
    return tr.derive(loss, params, (xs, target))


def answers(derivation):
    """A worksheet with three blanks, and what somebody filled in: two right forms and a slip."""
    sheet = derivation.worksheet(["delta", "dL/dW", "dL/db"])
    filled_in = {
        "delta": "∂L/∂h_t ∘ α / np.cosh(a_t)²",  # another form of 1 - tanh²
        "dL/dW": "u[1:].T @ delta[1:]",  # one product in place of a sum
        "dL/db": "delta[T]",  # the last step alone
    }
    return sheet, sheet.check(filled_in)


def main():
    """The derivation, its function, its LaTeX, and a worksheet, marked."""
    derivation = derive()
    print(derivation)
    run = derivation.run()
    params, xs, target = problem()
    right = tr.grad(loss)(params, xs, target)
    apart = max(np.max(np.abs(run.gradients[name] - right[name])) for name in params)
    print(f"\nRun as a NumPy function of its own, it differs from autograd by {apart:.0e}. Its last lines:\n")
    print("\n".join(derivation.source().splitlines()[-7:]))
    print("\nΔ_t in LaTeX:", next(row for row in derivation.latex().splitlines() if row.startswith(r"\Delta")))
    sheet, marks = answers(derivation)
    print(f"\nA worksheet: {', '.join(sheet.blanks)} are blank. What was filled in:\n")
    print(marks)


if __name__ == "__main__":
    main()
