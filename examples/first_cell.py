"""A first cell of your own: three lines of NumPy, and everything else comes with it.

The cell is Elman's with a memory that fades: each unit keeps a share of its last state, and learns from the input how
much.

    keep = σ(x_t A + a)
    h_t  = keep ∘ h_{t-1} + (1 - keep) ∘ tanh(x_t U + h_{t-1} W)

It follows no article; it is a gated unit with its other gates left out. Written as a function, it runs on arrays and on
Tensors; its backward pass, a check of it and an account of its memory are there without another line. Written as a
class, it is a layer: stacked, in both directions, over sequences of unequal length.

Run it: ``python examples/first_cell.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import gradient_flow


def fading(p, x, h):
    """One step. Everything in it is NumPy; ``sigmoid`` is a plain function, and ``named`` gives a value a name."""
    keep = tr.named("keep", tr.sigmoid(x @ p["A"] + p["a"]))
    return keep * h + (1 - keep) * np.tanh(x @ p["U"] + h @ p["W"])


def parameters(inputs, units, seed=0):
    """U, W, A at random; a such that without an input the units keep from 12 to 88 percent of their state."""
    rng = np.random.default_rng(seed)
    return {
        "U": rng.normal(size=(inputs, units)) / 2,
        "W": rng.normal(size=(units, units)) / 2,
        "A": rng.normal(size=(inputs, units)) / 2,
        "a": np.linspace(-2, 2, units),
    }


def loss(p, xs):
    """The mean square of the states over a sequence: something to differentiate."""
    states, _ = tr.unroll(lambda x, h: fading(p, x, h), xs, state=np.zeros(len(p["a"])))
    return np.mean(np.square(states))


class FadingCell(tr.nn.Cell):
    """The same as a class: it owns its parameters, and layers know how large it is."""

    def __init__(self, inputs, units, seed=0):
        self.inputs, self.units = inputs, units
        start = parameters(inputs, units, seed)
        self.U, self.W, self.A, self.a = (tr.nn.Parameter(value.astype(np.float32)) for value in start.values())

    def forward(self, x, h):
        h = fading({"U": self.U, "W": self.W, "A": self.A, "a": self.a}, x, h)
        return h, h  # its output is its state


def main():
    """Run it on arrays, differentiate it, check that, look at its gate and at its memory; then make it a layer."""
    p, xs = parameters(3, 5), np.random.default_rng(1).normal(size=(50, 3))
    h = np.zeros(5)
    for x in xs:
        h = fading(p, x, h)
    print(f"On arrays it is plain NumPy: {type(h).__name__} {h.round(3)}")

    gradients = tr.grad(loss)(p, xs)
    print(f"\n∂L/∂a, how the loss changes if a unit keeps more: {gradients['a'].round(5)}")
    agrees = tr.gradcheck(lambda *values: loss(dict(zip(p, values)), xs[:4]), list(p.values()))
    print(f"The gradient agrees with finite differences: {agrees}")

    tensors = {name: tr.tensor(value, requires_grad=True, name=name) for name, value in p.items()}
    flow = gradient_flow(np.sum(tr.unroll(lambda x, h: fading(tensors, x, h), xs, state=np.zeros(5))[0][-1]))["h"]
    print(f"From step 50 back to step 1 its gradient changes by {flow.rate:.2f} a step: {flow.verdict}")

    layer = tr.nn.Recurrent([FadingCell(3, 5), (FadingCell(5, 4, seed=1), FadingCell(5, 4, seed=2))])
    batch = np.random.default_rng(2).normal(size=(7, 2, 3)).astype(np.float32)
    output, _, inside = layer(batch, lengths=[7, 4], return_states=True)
    print(f"\nA stack of two layers, the upper one in both directions: {layer.num_parameters()} parameters")
    print(f"Output {output.shape}; after the shorter sequence's end it is zero: {not output.numpy()[4:, 1].any()}")
    print(f"The gate of the lowest layer, first sequence, step 1: {inside[0]['keep'].numpy()[0, 0].round(2)}")


if __name__ == "__main__":
    main()
