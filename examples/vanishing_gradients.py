"""Why a gradient vanishes or explodes: 0.9⁵⁰ and 1.9⁵⁰, and what LSTM and GRU do about it.

If every step multiplies the gradient by 0.9, then after 50 steps 0.9⁵⁰ = 0.005 of it is left; at 1.9 it has grown by
1.9⁵⁰ = 8.7e13. First that, on a network of one number; then three real cells beside each other, with random weights, at
T = 50, 200 and 1000: how much of the last loss's gradient arrives at the first step?

Run it: ``python examples/vanishing_gradients.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import gradient_flow, state_jacobian

LENGTHS = (50, 200, 1000)


def power(factor, steps=50):
    """∂s_T/∂s_0 of s_t = factor · s_{t-1}, and the verdict on its gradient flow."""
    w = tr.tensor(factor, requires_grad=True)
    start = tr.tensor([1.0], requires_grad=True)
    _, last = tr.unroll(lambda x, s: w * s, None, state=start, steps=steps)
    return state_jacobian(last, steps, 0).item(), gradient_flow(last.sum())["h"]


def flows(length, inputs=8, units=32, seed=0):
    """The gradient flow of the last output's loss, for an Elman network, an LSTM and a GRU of the same size."""
    rng = np.random.default_rng(seed)
    xs = rng.normal(size=(length, inputs))
    cells = {
        "Elman": tr.nn.RNNCell(inputs, units, seed=seed, dtype=np.float64),
        "LSTM": tr.nn.LSTMCell(inputs, units, forget_bias=3.0, seed=seed, dtype=np.float64),
        "GRU": tr.nn.GRUCell(inputs, units, seed=seed, dtype=np.float64),
    }
    return {name: gradient_flow(np.sum(tr.unroll(cell, xs)[0][-1])) for name, cell in cells.items()}


def main():
    """Print both tables."""
    for factor in (0.9, 1.9):
        derivative, flow = power(factor)
        print(f"{factor}^50 = {factor**50:.4g}; ∂s_50/∂s_0 = {derivative:.4g}: {flow.verdict}")

    print("\nNorm of ∂L/∂s_1 over that of ∂L/∂s_T, the factor per step back, and the verdict")
    for length in LENGTHS:
        for name, found in flows(length).items():
            for flow in found.flows:
                arrives = flow.carried[0] / flow.carried.max()
                print(f"T = {length:4}  {name:5}  {flow.name}  {arrives:8.1e}  {flow.rate:.3f}  {flow.verdict}")


if __name__ == "__main__":
    main()
