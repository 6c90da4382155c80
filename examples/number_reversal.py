"""Number reversal, trained until it is right: 1, 3, 5 in, 5, 3, 1 out.

"Under The Hood of Neural Networks. Part 2: Recurrent" takes one step of gradient descent (examples/worked_example.py
follows it number by number) and stops at a loss of 1.36. Here training goes on, and three things come to light:

1. The article's loss, L_t = -Σ y_t log o_t, falls as far as one likes; and the network answers 7, 7, 7. The loss asks
   for ones where there are ones, and nothing of the rest, so saying 1 everywhere is perfect. It is half of the binary
   cross-entropy, -Σ (y_t log o_t + (1 - y_t) log(1 - o_t)); the other half is what makes an answer wrong.
2. With the whole of it, the start decides. The first steps are so long that they jump to and fro: where they end hangs
   on the last digit of a weight, and so on the processor. With two numbers in the state, as in the article, some
   starts get stuck at 2 log 2; with four, each of ten starts learns its sequence.
3. One sequence can be learned by heart. A network that has seen three quarters of all 512 sequences of three numbers
   reverses the others, too.

The first two use the article's method, plain gradient descent on its formulas (``tinygrad_rnn.manual``); the third is
trained by autograd, all sequences side by side, with Adam.

Run it: ``python examples/number_reversal.py``
"""

from __future__ import annotations

import itertools

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.manual import elman
from tinygrad_rnn.manual import worked_example as article
from tinygrad_rnn.manual.readout import Objective
from tinygrad_rnn.manual.training import train

WEIGHTS = np.array([4, 2, 1])  # of the bits of a number, the highest first
SEQUENCES = np.array(list(itertools.product(range(8), repeat=3)))  # all 512


def train_by_formulas(params, loss, threshold=0.05, max_updates=5000):
    """The article's gradient descent with learning rate 0.5. Gives what it did and the three numbers answered."""
    objective = Objective(loss, steps=article.OUTPUT_STEPS)
    result = train(
        params,
        article.INPUTS,
        article.TARGETS,
        learning_rate=article.LEARNING_RATE,
        threshold=threshold,
        max_updates=max_updates,
        objective=objective,
    )
    outputs = elman.forward(result.params, article.INPUTS, objective=objective).o
    return result, outputs


def train_from_random_starts(d, starts=10):
    """What gradient descent on the binary cross-entropy did from each of some starts, with d numbers in the state."""
    networks = (elman.random_params(n=3, d=d, k=3, rng=np.random.default_rng(start)) for start in range(starts))
    return [train_by_formulas(params, "binary_cross_entropy", max_updates=1500)[0] for params in networks]


def bits_of(numbers):
    """Numbers from 0 to 7, (...), as bits (..., 3)."""
    return (numbers[..., None] // WEIGHTS % 2).astype(np.float32)


class Reverser(tr.nn.Module):
    """Reads three numbers, then answers for three steps in which it reads zeros."""

    def __init__(self, units=32, seed=0):
        self.cell = tr.nn.RNNCell(3, units, seed=seed)
        self.output = tr.nn.Linear(units, 3, seed=seed + 1)

    def forward(self, numbers):
        """From numbers (B, 3) to the logits of the answers' bits, (3, B, 3)."""
        xs = bits_of(numbers.T)
        states, _ = tr.unroll(self.cell, np.concatenate([xs, np.zeros_like(xs)]))
        return self.output(states[3:])

    def answer(self, numbers):
        """What it says, as numbers (B, 3)."""
        with tr.no_grad():
            return ((self(numbers).numpy() > 0) @ WEIGHTS).T


def train_reverser(model, sequences, max_updates=1000):
    """Learn until every sequence comes out reversed. Gives the number of updates."""
    optimizer = tr.optim.Adam(model.parameters(), lr=0.01)
    targets = bits_of(sequences[:, ::-1].T)
    for update in range(1, max_updates + 1):
        logits = model(sequences)
        loss = tr.nn.binary_cross_entropy_with_logits(logits, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if np.array_equal(logits.numpy() > 0, targets > 0):
            return update
    raise RuntimeError(f"not right after {max_updates} updates; the loss is {loss.item():.3f}")


def main():
    """Print the three findings."""
    print("1. The article's loss, from the article's start:")
    result, outputs = train_by_formulas(article.PARAMS, "one_sided_cross_entropy")
    print("   " + ", ".join(f"{loss:.2f}" for loss in result.losses[:4]), f"... {result.losses[-1]:.2f}", end="")
    print(f" after {len(result.losses) - 1} updates. It answers {(outputs > 0.5) @ WEIGHTS}.")

    print(f"2. Binary cross-entropy gets stuck at 2 log 2 = {2 * np.log(2):.3f}, or goes on. From ten random starts")
    for d in (2, 4):
        results = train_from_random_starts(d)
        arrived = [len(result.losses) - 1 for result in results if result.converged]
        print(f"   with a state of {d} numbers {len(arrived)} of {len(results)} learn it,", end=" ")
        print(f"half of them within {np.median(arrived):.0f} updates.")
    print("3. All sequences of three numbers:")
    shuffled = np.random.default_rng(0).permutation(SEQUENCES)
    seen, unseen = shuffled[:384], shuffled[384:]
    model = Reverser()
    updates = train_reverser(model, seen)
    right = (model.answer(unseen) == unseen[:, ::-1]).all(axis=1)
    print(f"   after {updates} updates it reverses all {len(seen)} that it learns from,", end=" ")
    print(f"and {right.sum()} of the {len(unseen)} that it has never seen:")
    for numbers, answer in zip(unseen[:4], model.answer(unseen[:4])):
        print(f"   {numbers} -> {answer}")


if __name__ == "__main__":
    main()
