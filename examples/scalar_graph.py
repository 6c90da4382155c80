"""Backpropagation through time with one node for every number.

A network so small that it can be drawn whole: one input, one state, three steps, one weight for each job.

    s_t = tanh(u x_t + w s_{t-1})        L = (s_3 - y)²

``Scalar`` is the engine in 250 lines of plain Python: every operation makes a node that knows its inputs and the
derivative by each of them. ``w`` is used three times, so three contributions meet in its gradient; here they are
computed by hand, too, and by moving w a little. The graph is drawn if you name a file.

Follows the derivation in "Learning Algorithm - Recurrent Neural Networks(RNNs)", with d = 1 and no biases.

Run it: ``python examples/scalar_graph.py --out graph.svg``
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import tinygrad_rnn as tr

X, TARGET = (1.0, 0.5, -1.0), 0.2
U, W = 0.8, 0.5


def loss_of(u, w):
    """The states s_0..s_3 and the loss; for floats as for Scalars."""
    tanh = math.tanh if isinstance(w, float) else lambda a: a.tanh()
    states = [0.0]
    for x in X:
        states.append(tanh(u * x + w * states[-1]))
    return states, (states[-1] - TARGET) ** 2


def recorded_loss():
    """The loss as a Scalar, ready to be drawn, with its steps and names recorded."""
    u, w = tr.Scalar(U, name="u"), tr.Scalar(W, name="w")
    with tr.scope(step=0):
        s = tr.named("s", tr.Scalar(0.0, requires_grad=False), "state")
    for t, x in enumerate(X, start=1):
        with tr.scope(step=t):
            s = tr.named("s", (u * tr.Scalar(x, requires_grad=False, name="x") + w * s).tanh(), "state")
    return u, w, tr.named("L", (s - TARGET) ** 2)


def by_hand():
    """The contributions of steps 1, 2 and 3 to ∂L/∂w, by the chain rule."""
    s, _ = loss_of(U, W)
    delta_3 = 2 * (s[3] - TARGET) * (1 - s[3] ** 2)  # ∂L/∂a_3, a_t being what tanh is taken of
    delta_2 = delta_3 * W * (1 - s[2] ** 2)
    delta_1 = delta_2 * W * (1 - s[1] ** 2)
    return [delta_1 * s[0], delta_2 * s[1], delta_3 * s[2]]


def main(arguments=None):
    """Print ∂L/∂w three ways; draw the graph if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="draw the graph into this file: .svg, .png, .pdf or .dot")
    options = parser.parse_args(arguments)

    u, w, loss = recorded_loss()
    if options.out:
        if options.out.exists():
            parser.error(f"{options.out} is there already. Name another file.")
        tr.draw(loss, title="Three steps of a network with one unit: a node for every number").save(options.out)
    loss.backward()
    terms = by_hand()
    nudged = (loss_of(U, W + 1e-6)[1] - loss_of(U, W - 1e-6)[1]) / 2e-6
    print(f"L = {loss.data:.6f}")
    print(f"∂L/∂w by backward()    {w.grad:.9f}      ∂L/∂u {u.grad:.9f}")
    print(f"      by hand          {sum(terms):.9f}    = {' + '.join(f'{term + 0.0:.6f}' for term in terms)}")
    print(f"      by moving w      {nudged:.9f}")
    print("The first of the three terms is 0, for s_0 is 0; each step further back costs a factor w (1 - s²).")


if __name__ == "__main__":
    main()
