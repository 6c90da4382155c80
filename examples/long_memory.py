"""LSTM and GRU remember: the adding problem.

Two of the articles, "What is a Recurrent Neural Networks or RNN?" and "Under The Hood of Neural Networks. Part 2:
Recurrent", say that plain recurrent networks have difficulties with what lies far back, and send their readers on to
LSTM and GRU. Here is that claim as an experiment, the one with which LSTM was introduced (Hochreiter and Schmidhuber,
1997): a sequence of random numbers from 0 to 1, two of which are marked, one in each half; at the end the network
says their sum. Who always says 1 has a mean squared error of 1/6 = 0.167.

All three networks have 32 units, see the same sequences, and are trained in the same way. Only the cell differs.

Run it: ``python examples/long_memory.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr

STEPS, UNITS, BATCH = 50, 32, 32


def adding_problem(rng, batch_size=BATCH):
    """Sequences (T, B, 2) of numbers and marks, and the sums of the two marked numbers (B,)."""
    numbers, marks = rng.random((STEPS, batch_size)), np.zeros((STEPS, batch_size))
    half, each = STEPS // 2, np.arange(batch_size)
    marks[rng.integers(half, size=batch_size), each] = 1
    marks[rng.integers(half, STEPS, size=batch_size), each] = 1
    sums = (numbers * marks).sum(axis=0)
    return np.stack([numbers, marks], axis=-1).astype(np.float32), sums.astype(np.float32)


def cells(seed=1):
    """The three cells. An LSTM is usually begun with a forget gate that is open: its bias is 1."""
    return {
        "Elman": tr.nn.RNNCell(2, UNITS, seed=seed),
        "LSTM": tr.nn.LSTMCell(2, UNITS, forget_bias=1.0, seed=seed),
        "GRU": tr.nn.GRUCell(2, UNITS, seed=seed),
    }


def train(cell, updates, seed=0):
    """Losses, a new batch for every update. The cell is compiled: the same function, run as one loop.

    (By NumPy, from beginning to end: machine code that took over in the middle would round otherwise.)
    """
    rng = np.random.default_rng(seed)
    output = tr.nn.Linear(UNITS, 1, seed=2)
    parameters = [*cell.parameters(), *output.parameters()]
    optimizer = tr.optim.Adam(parameters, lr=0.02)
    fast, losses = tr.compile(cell), []
    for _ in range(updates):
        xs, sums = adding_problem(rng)
        states, _ = tr.unroll(fast, xs)
        loss = tr.nn.mse(output(states[-1])[:, 0], sums)
        loss.backward()
        tr.optim.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main(updates=600):
    """Train the three and print how their errors fall."""
    print(f"Adding problem, {STEPS} steps, mean squared error after ... updates. Without looking: {1 / 6:.3f}")
    shown = range(100, updates + 1, 100)
    print("        " + "".join(f"{count:8}" for count in shown))
    for name, cell in cells().items():
        losses = train(cell, updates)
        means = [np.mean(losses[count - 50 : count]) for count in shown]
        verdict = "has learned it" if means[-1] < 0.01 else "is still guessing"
        print(f"{name:8}" + "".join(f"{mean:8.4f}" for mean in means) + f"   {verdict}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
