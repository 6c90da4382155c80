"""Make a cell of your own fast, without rewriting it.

Cells run step by step in Python: that can be read, drawn and debugged, but each small operation costs a microsecond or
two of bookkeeping. ``compile`` traces the cell once, derives its backward pass by the same rules, moves what doesn't
need the recurrence out of the loop (``x_t U`` for all steps is one large product), and runs the rest as generated code.
The cell stays the one you wrote; what comes out is the same to rounding; and if you ask for a picture, a derivative of
a derivative or an explanation, the compiled loop unfolds into its steps again.

It follows no article. The cell is a minimal gated unit, written by hand, over 200 steps. (``executor="llvm"``, where
llvmlite is installed, makes machine code of the loop. That takes a second the first time; so this page stays with
NumPy.)

Times depend on your machine; ``python -m benchmarks`` measures carefully, this page only roughly.

Run it: ``python examples/speed_up.py``
"""

from __future__ import annotations

import time

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import gradient_flow

STEPS, BATCH, INPUTS, UNITS = 200, 16, 8, 32


class MinimalGatedCell(tr.nn.Cell):
    """f = σ(x U_f + h W_f + b_f);  h' = (1 - f) h + f tanh(x U_n + (f h) W_n + b_n).

    Source: Zhou, Wu, Zhang and Zhou, "Minimal gated unit for recurrent neural networks" (2016).
    """

    def __init__(self, inputs, units, seed=0):
        self.inputs, self.units = inputs, units
        rng = np.random.default_rng(seed)
        bound = 1 / np.sqrt(units)

        def weight(*shape):
            return tr.nn.Parameter(rng.uniform(-bound, bound, size=shape).astype(np.float32))

        self.U_f, self.W_f, self.b_f = weight(inputs, units), weight(units, units), weight(units)
        self.U_n, self.W_n, self.b_n = weight(inputs, units), weight(units, units), weight(units)

    def forward(self, x, h):
        f = tr.sigmoid(x @ self.U_f + h @ self.W_f + self.b_f)
        h = (1 - f) * h + f * np.tanh(x @ self.U_n + (f * h) @ self.W_n + self.b_n)
        return h, h


def loss_of(cell, xs):
    """Something to differentiate: the mean square of all outputs."""
    return np.mean(np.square(tr.unroll(cell, xs)[0]))


def gradients(cell, xs):
    """The loss and the gradient of every parameter, by one forward and one backward pass."""
    cell.zero_grad()
    loss = loss_of(cell, xs)
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in cell.named_parameters()}


def seconds(cell, xs, times=5):
    """The shortest of some runs forward and backward."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        gradients(cell, xs)
        spent.append(time.perf_counter() - begun)
    return min(spent)


def main():
    """Compare results, then times, then look inside."""
    cell = MinimalGatedCell(INPUTS, UNITS)
    fast = tr.compile(cell)
    xs = np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS)).astype(np.float32)

    loss, expected = gradients(cell, xs)
    fast_loss, found = gradients(fast, xs)
    apart = max(np.max(np.abs(found[name] - g)) / np.max(np.abs(g)) for name, g in expected.items())
    print(f"The loss is {loss:.7f} as it is written, {fast_loss:.7f} compiled.")
    print(f"Gradients differ by {apart:.0e} of their size, which is float32's rounding.")

    slow_time, fast_time = seconds(cell, xs), seconds(fast, xs)
    print(f"\nForward and backward over {STEPS} steps: {1e3 * slow_time:.1f} ms as it is written,", end=" ")
    print(f"{1e3 * fast_time:.1f} ms compiled.")

    whole, unfolded = (gradient_flow(np.sum(tr.unroll(c, xs)[0][-1]))["h"] for c in (cell, fast))
    print(f"\nIts gradient flow can still be looked at: {unfolded.verdict}, {unfolded.rate:.3f} a step;", end=" ")
    print(f"as it is written: {whole.rate:.3f}.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
