"""Skip connections between states: a shorter way back for the gradient.

"Under The Hood of Neural Networks. Part 2: Recurrent" ends with two remedies for networks that can't remember old
states. The first: residual connections between states, so that each depends not on the last one alone, but on that of
t-2 or t-3 as well. (The second is LSTM: examples/long_memory.py.) In our letters, with matrices M_j of their own:

    s_t = tanh(x_t U + s_{t-1} W + s_{t-2} M_1 + s_{t-3} M_2 + b)

From the last step to the first there are now many paths, and the shortest has a third of the steps. Below: how many
paths, the same gradient by hand and by autograd, what arrives at the first step, and a task on which it matters.

Where we depart from the article: it only proposes them; the equations and the task are ours. A symbol stands in the
first of 60 steps, noise in the others, and at the end the network says which of four symbols it was. Where no gradient
reaches back that far, it can only guess, at a loss of log 4 = 1.386.

Run it: ``python examples/skip_connections.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import gradient_flow
from tinygrad_rnn.manual import skip

SYMBOLS, STEPS = 4, 60


def cell(p, x, state):
    """One step by hand; the state is the last three, newest first. A cell is any function like this one."""
    s1, s2, s3 = state
    s = np.tanh(x @ p["U"] + s1 @ p["W"] + s2 @ p["M"][0] + s3 @ p["M"][1] + p["b"])
    return s, (s, s1, s2)


def gradients_two_ways(T=8, n=3, d=4, seed=0):
    """The gradients of the sum of squares of all states: by autograd, and by the formulas of ``manual.skip``."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (n, d), "W": (d, d), "b": (d,), "M": (2, d, d)}
    p, xs = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}, rng.normal(size=(T, n))

    def loss(p):
        states, _ = tr.unroll(lambda x, state: cell(p, x, state), xs, state=(np.zeros(d),) * 3)
        return np.sum(np.square(states))

    trace = skip.forward(skip.SkipParams(**p), xs, lags=(2, 3))
    return tr.grad(loss)(p), skip.backward(trace, 2 * trace.s[1:]).gradients._asdict()


def number_of_paths(steps, lags):
    """By how many paths a state depends on the one ``steps`` earlier: each jump is as long as one of the lags."""
    paths = [1]
    for length in range(1, steps + 1):
        paths.append(sum(paths[length - lag] for lag in lags if lag <= length))
    return paths[-1]


def networks(units=16):
    """A plain Elman cell, and two with skip connections."""
    return {
        "plain": tr.nn.RNNCell(SYMBOLS, units, seed=1),
        "lags 2, 3": tr.nn.SkipRNNCell(SYMBOLS, units, [2, 3], seed=1),
        "lag 10": tr.nn.SkipRNNCell(SYMBOLS, units, [10], seed=1),
    }


def memory_task(rng, batch_size=32):
    """Noise (T, B, symbols) with a symbol in the first step, and which one it is (B,)."""
    symbols = rng.integers(SYMBOLS, size=batch_size)
    xs = 0.3 * rng.normal(size=(STEPS, batch_size, SYMBOLS))
    xs[0] += 2 * np.eye(SYMBOLS)[symbols]
    return xs.astype(np.float32), symbols


def train(recurrent, updates=300):
    """Losses of a network on the memory task, a new batch for every update."""
    rng = np.random.default_rng(0)
    output = tr.nn.Linear(recurrent.units, SYMBOLS, seed=2)
    parameters = [*recurrent.parameters(), *output.parameters()]
    optimizer = tr.optim.Adam(parameters, lr=0.01)
    fast, losses = tr.compile(recurrent), []
    for _ in range(updates):
        xs, symbols = memory_task(rng)
        states, _ = tr.unroll(fast, xs)
        loss = tr.nn.cross_entropy(output(states[-1]), symbols)
        loss.backward()
        tr.optim.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main():
    """Paths, gradients, flow, training."""
    print("Paths from a state back to the one 10 steps earlier:")
    for lags in ((1,), (1, 2), (1, 2, 3)):
        shortest = -(-10 // max(lags))  # rounded up
        print(f"  lags {lags!s:10} {number_of_paths(10, lags):4} of them, the shortest has {shortest} steps")

    by_autograd, by_hand = gradients_two_ways()
    apart = max(np.max(np.abs(by_autograd[name] - by_hand[name])) for name in by_hand)
    print(f"Gradients by autograd and by hand differ by {apart:.0e}.")

    xs, _ = memory_task(np.random.default_rng(1), batch_size=1)
    print(f"\nBefore training, T = {STEPS}: how much of the last step's gradient arrives at the first,")
    print("and the loss at 100, 200 and 300 updates; by guessing it is 1.386")
    for name, recurrent in networks().items():
        flow = gradient_flow(np.sum(tr.unroll(recurrent, xs)[0][-1]))["h"]
        losses = train(recurrent)
        shown = "  ".join(f"{np.mean(losses[end - 30 : end]):.3f}" for end in (100, 200, 300))
        print(f"  {name:10} {flow.carried[0] / flow.carried[-1]:8.1e}  {flow.verdict:9}  {shown}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
