"""Why a gradient vanishes or explodes: 0.9⁵⁰ and 1.9⁵⁰, and what LSTM and GRU do about it.

Follows the article "What is a Recurrent Neural Networks or RNN?": to get from the last of 50 states to the first, the
chain rule multiplies 50 derivatives, ∂h_50/∂h_0 = ∂h_50/∂h_49 · ... · ∂h_1/∂h_0. If all of them are 0.9, then 0.9⁵⁰ =
0.005 of the gradient arrives; if they are 1.9, it has grown to 1.9⁵⁰ = 8.7e13. First that, on a network of one number.

Then real cells beside each other, with random weights, at T = 50, 200 and 1000: how much of the last loss's gradient
arrives at the first step? The article sends its readers to LSTM and GRU, which "take care" of it. That is so if their
gates let the past through. An LSTM's forget gate f, and a GRU's gate z, begin near a half, and half of a half of a half
vanishes as well; opened by a bias of 3 they keep 95 percent a step, and the gradient arrives: over hundreds of steps,
as the article says, not over thousands. (Training opens them where that helps: examples/long_memory.py.)

Where we depart from the article: it leaves the two powers to the reader, and has no numbers for LSTM and GRU.

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


def open_gru(inputs, units, seed):
    """A GRU whose gate z, which keeps the old state, begins open."""
    cell = tr.nn.GRUCell(inputs, units, seed=seed, dtype=np.float64)
    cell.b.data = cell.b.data + 3 * np.repeat([0, 1, 0], units)  # r, z, n side by side
    return cell


def flows(length, inputs=8, units=32, seed=0):
    """The gradient flow of the last output's loss, for cells of the same size."""
    rng = np.random.default_rng(seed)
    xs = rng.normal(size=(length, inputs))
    options = {"seed": seed, "dtype": np.float64}
    cells = {
        "Elman": tr.nn.RNNCell(inputs, units, **options),
        "LSTM": tr.nn.LSTMCell(inputs, units, **options),
        "LSTM, f open": tr.nn.LSTMCell(inputs, units, forget_bias=3.0, **options),
        "GRU": tr.nn.GRUCell(inputs, units, **options),
        "GRU, z open": open_gru(inputs, units, seed),
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
                print(f"T = {length:4}  {name:12}  {flow.name}  {arrives:8.1e}  {flow.rate:.3f}  {flow.verdict}")


if __name__ == "__main__":
    main()
