"""The feed-forward network is a recurrent one that runs for one step and doesn't listen to its past.

"Learning Algorithm - Recurrent Neural Networks(RNNs)" begins its derivation with a feed-forward network of one hidden
layer and says that the first step of a recurrent network is just that; its letters for it are w, v, a_1, h_1, a_2.

    recurrent:      s_t = tanh(x_t U + s_{t-1} W + b)      o_t = softmax(s_t V + c)
    T = 1, W = 0:   h   = tanh(x U + b)                    o   = softmax(h V + c)

So the same functions serve: those of ``tinygrad_rnn.manual.elman`` get a sequence of one element; and unroll, with a
cell that ignores its state, treats the steps as so many separate examples, which is what a batch is. The task is
exclusive or, which needs the hidden layer: no straight line parts its classes.

Run it: ``python examples/feed_forward.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.manual import elman
from tinygrad_rnn.manual.readout import Objective

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
CLASSES = np.array([0, 1, 1, 0])
UNITS = 4


def initial_parameters(seed=1):
    """U, W, V, b, c as the recurrent network has them, with W = 0."""
    start = elman.random_params(n=2, d=UNITS, k=2, rng=np.random.default_rng(seed))
    return start._replace(W=np.zeros((UNITS, UNITS)))


def feed_forward(p, x):
    """Logits of a network with one hidden layer: no time, no W."""
    return np.tanh(x @ p["U"] + p["b"]) @ p["V"] + p["c"]


def loss_of(p):
    """The mean cross-entropy of the four examples."""
    return tr.nn.cross_entropy(feed_forward(p, X), CLASSES)


def by_autograd(params):
    """Gradients of the feed-forward network."""
    wanted = {name: value for name, value in params._asdict().items() if name != "W"}
    return tr.grad(loss_of)(wanted)


def by_recurrent_formulas(params):
    """Gradients by BPTT over one step, the four examples being a batch."""
    trace = elman.forward(params, X[None], np.eye(2)[CLASSES][None], objective=Objective("softmax_cross_entropy"))
    return elman.backward(trace).gradients


def unrolled_over_examples(p):
    """The same logits from unroll, the examples being steps of time: the cell doesn't look at its state."""
    logits, _ = tr.unroll(lambda x, _: np.tanh(x @ p["U"] + p["b"]) @ p["V"] + p["c"], X, state=np.zeros(2))
    return logits


def train(params, learning_rate=1.0, threshold=0.02):
    """Gradient descent until the loss is below the threshold."""
    p = {name: value for name, value in params._asdict().items() if name != "W"}
    losses = []
    while not losses or losses[-1] >= threshold:
        loss, gradients = tr.value_and_grad(loss_of)(p)
        p = {name: value - learning_rate * gradients[name] for name, value in p.items()}
        losses.append(float(loss))
    return p, losses


def main():
    """Compare the gradients, then train."""
    params = initial_parameters()
    ours, theirs = by_autograd(params), by_recurrent_formulas(params)
    print("Largest difference between the feed-forward gradient and BPTT over one step:")
    for name, gradient in ours.items():
        print(f"  {name}: {np.max(np.abs(gradient - getattr(theirs, name))):.1e}")
    print(f"  W: BPTT gives {np.max(np.abs(theirs.W)):.0f}, for there is no state before the first step to be weighed")
    same = np.allclose(unrolled_over_examples(params._asdict()).numpy(), feed_forward(params._asdict(), X), atol=1e-14)
    print(f"Unrolled over the examples instead of computed side by side, the logits are the same: {same}")

    p, losses = train(params)
    print(f"\nExclusive or, {len(losses)} updates, loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    for x, probabilities in zip(X, tr.softmax(feed_forward(p, X))):
        print(f"  {x.astype(int)} -> {int(np.argmax(probabilities))}  with probability {max(probabilities):.2f}")


if __name__ == "__main__":
    main()
