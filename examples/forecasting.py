"""Forecasting a time series: one step ahead, then on its own.

The articles name forecasting of markets as what recurrent networks are used for, and stop there. Nobody can check that
at home, so here the series is Mackey and Glass's (1977), a model of blood cells that doesn't repeat itself: each value
depends on the one 17 steps ago, so it can't be told from the last value alone.

A GRU reads the series and says at each step what comes next; it learns from the first part. Then it is asked twice
about the part that it hasn't seen: one step ahead, the truth being told after each; and, from some point on, for as
long as one likes, reading its own forecasts.

Run it: ``python examples/forecasting.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches

TRAINING, WINDOW, AHEAD = 1200, 60, 40


def mackey_glass(length, delay=17, seed=0):
    """The series, brought to mean 0 and deviation 1; its first steps, until it has settled, are left out."""
    rng = np.random.default_rng(seed)
    settle = 300
    x = list(1.2 + 0.1 * rng.normal(size=delay + 1))
    for _ in range(length + settle):
        x.append(0.9 * x[-1] + 0.2 * x[-1 - delay] / (1 + x[-1 - delay] ** 10))
    series = np.array(x[-length:])
    return ((series - series.mean()) / series.std()).astype(np.float32)


class Forecaster(tr.nn.Module):
    """At every step, how much the series will change until the next."""

    def __init__(self, units=32, seed=0):
        cell = tr.nn.GRUCell(1, units, seed=seed)
        self.cell = tr.compile(cell)  # its loop runs as one piece of generated code
        self.output = tr.nn.Linear(units, 1, seed=seed + 1)

    def forward(self, xs, state=None):
        ys, state = tr.unroll(self.cell, xs, state)
        return xs + self.output(ys), state


def loss_of(forecasts, targets):
    """The mean squared error. The first ten of each window don't count: too little has been read by then."""
    return tr.nn.mse(forecasts[10:], targets[10:])


def train(model, series, updates=400, seed=0):
    """Learn to say the next value, from windows of the series. Gives the history."""
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW + 1)[..., None]
    data = Batches(windows[:, :-1], windows[:, 1:], batch_size=32, rng=seed, target_sequences=True, drop_last=True)
    optimizer = tr.optim.Adam(model.parameters(), lr=0.01)
    schedule = tr.optim.CosineAnnealingLR(optimizer, updates)
    return tr.fit(model, data, loss_of, optimizer, steps=updates, clip_norm=1.0, schedule=schedule)


def go_on(model, seen, steps):
    """Forecasts (steps,) after what was seen (T,), each made from the one before it."""
    with tr.no_grad():
        forecasts, state = model(seen[:, None])
        values = [forecasts[-1:]]
        while len(values) < steps:
            forecast, state = model(values[-1], state)
            values.append(forecast)
    return np.concatenate([np.asarray(value) for value in values])[:, 0]


def chart(values, low=-2.0, high=2.0):
    """A line of blocks, one for each value."""
    heights = np.clip((np.asarray(values) - low) / (high - low) * 8, 0, 7).astype(int)
    return "".join("▁▂▃▄▅▆▇█"[height] for height in heights)


def root_mean_square(errors):
    """How far off, typically; the series itself has a deviation of 1."""
    return float(np.sqrt(np.mean(np.square(errors))))


def main():
    """Train and forecast."""
    series = mackey_glass(TRAINING + 400)
    training, test = series[:TRAINING], series[TRAINING:]
    model = Forecaster()
    train(model, training)

    with tr.no_grad():
        forecasts, _ = model(test[:-1, None])
    ahead = root_mean_square(forecasts.numpy()[30:, 0] - test[31:])
    same = root_mean_square(test[30:-1] - test[31:])
    print(f"One step ahead, on {len(test)} values that it hasn't seen: off by {ahead:.4f}.")
    print(f"Who says that tomorrow is like today is off by {same:.4f}.\n")

    begin = 150
    truth, own = test[begin : begin + AHEAD], go_on(model, test[:begin], AHEAD)
    print(f"{AHEAD} steps on its own, reading what it said itself:")
    print(f"  read      {chart(test[begin - AHEAD : begin])}")
    print(f"  truth     {' ' * AHEAD}{chart(truth)}")
    print(f"  forecast  {' ' * AHEAD}{chart(own)}")
    off, off_by_mean = root_mean_square(own - truth), root_mean_square(truth)
    print(f"  off by {off:.3f}; who always says the mean is off by {off_by_mean:.3f}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
