"""Tasks that can be solved only by who remembers: the adding problem and the copy task.

`python -m benchmarks.long_memory adding 100 LSTM 3000` (or `copying`, and any other length, cell and number of updates)
prints a line of JSON.

Sources: Hochreiter and Schmidhuber, "Long short-term memory" (1997), section 5.4 (adding) and 5.1; in the form of
Arjovsky, Shah and Bengio, "Unitary evolution recurrent neural networks" (2016), sections 5.1 (copying) and 5.2. The
gates' first biases: Tallec and Ollivier, "Can recurrent neural networks warp time?" (2018), equations 16 and 17.
"""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rnn import nn, optim
from tinygrad_rnn.compiler import compile
from tinygrad_rnn.data import Batches, one_hot
from tinygrad_rnn.training import Run, fit

CELLS: dict[str, Callable[..., Any]] = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
UNITS, BATCH, RATE, CLIP_NORM = 64, 32, 5e-3, 1.0
UPDATES, EXAMPLES = 8000, 20_000
SYMBOLS, REMEMBERED = 4, 5  # of the copy task: so many kinds, and so many of them to remember
EXECUTOR = "llvm" if importlib.util.find_spec("llvmlite") else "numpy"
SOLVED = 0.1  # of the loss of guessing
DESCRIPTION = (
    f"{UNITS} units, B={BATCH}, Adam at {RATE:g}, gradients clipped at a norm of {CLIP_NORM:g}; gates begin with "
    "biases for memories of 1 to T steps (Tallec and Ollivier, 2018). Adding: the sum of two marked numbers among T "
    f"(mean squared error). Copying: {REMEMBERED} symbols of {SYMBOLS} kinds, to be repeated after T blank steps "
    f"(cross-entropy of those). Solved: the mean of 50 updates is below {SOLVED:g} of that of guessing."
)


class Network(nn.Module):
    """A recurrent layer and an output layer on the last ``outputs`` steps."""

    def __init__(self, cell: str, inputs: int, outputs: int, output_steps: int, memory: int) -> None:
        self.cell = CELLS[cell](inputs, UNITS, seed=1)
        open_gates(self.cell, memory)
        self.output = nn.Linear(UNITS, outputs, seed=2)
        self.output_steps = output_steps
        self.loop = compile(self.cell, executor=EXECUTOR)

    def forward(self, xs: Any) -> Any:
        """The outputs of the last steps, (output_steps, B, outputs)."""
        hs, _ = nn.unroll(self.loop, xs)
        return self.output(hs[-self.output_steps :])


def open_gates(cell: Any, steps: int) -> None:
    """Let the gates of an LSTM or GRU begin so that each unit keeps what it has for some time from 1 to ``steps``."""
    b, d = np.array(cell.b.data), cell.units
    biases = np.log(np.random.default_rng(3).uniform(1, steps - 1, d))
    if isinstance(cell, nn.LSTMCell):  # gates i, f, g, o
        b[:d], b[d : 2 * d] = -biases, biases
    elif isinstance(cell, nn.GRUCell):  # gates r, z, n, where z keeps
        b[d : 2 * d] = biases
    cell.b.data = b


def adding(steps: int) -> tuple[Batches, Callable[[str], Network], Callable[..., Any], float]:
    """Random numbers and marks at two of them, one in each half; the answer is the sum of those two."""
    rng = np.random.default_rng(0)
    each, half = np.arange(EXAMPLES), steps // 2
    numbers, marks = rng.random((EXAMPLES, steps), np.float32), np.zeros((EXAMPLES, steps), np.float32)
    marks[each, rng.integers(half, size=EXAMPLES)] = 1
    marks[each, rng.integers(half, steps, size=EXAMPLES)] = 1
    sums = (numbers * marks).sum(axis=1, keepdims=True)
    data = Batches(np.stack([numbers, marks], axis=-1), sums, batch_size=BATCH, rng=1)
    # Who always answers 1 errs by the variance of the sum of two uniform numbers.
    return data, lambda cell: Network(cell, 2, 1, 1, steps), lambda y, target: nn.mse(y[0], target), 1 / 6


def copying(steps: int) -> tuple[Batches, Callable[[str], Network], Callable[..., Any], float]:
    """Symbols, then blanks, then a sign; after it the symbols are to be repeated."""
    rng = np.random.default_rng(0)
    blank, sign = SYMBOLS, SYMBOLS + 1
    symbols = rng.integers(SYMBOLS, size=(EXAMPLES, REMEMBERED))
    sequences = np.full((EXAMPLES, steps + 2 * REMEMBERED), blank, np.int8)
    sequences[:, :REMEMBERED] = symbols
    sequences[:, steps + REMEMBERED - 1] = sign
    data = Batches(sequences, symbols, batch_size=BATCH, rng=1)
    eye = one_hot(np.arange(SYMBOLS + 2), SYMBOLS + 2)

    class Copier(Network):
        def forward(self, xs: Any) -> Any:
            return super().forward(eye[xs])

    make = lambda cell: Copier(cell, SYMBOLS + 2, SYMBOLS, REMEMBERED, steps)  # noqa: E731
    return data, make, lambda logits, target: nn.cross_entropy(logits, target.T), math.log(SYMBOLS)


TASKS = {"adding": adding, "copying": copying}


def main() -> None:
    task, steps, cell, updates = sys.argv[1:]
    data, make, loss, guess = TASKS[task](int(steps))
    model = make(cell)

    def stop_when_solved(run: Run) -> None:
        if run.step % 50 == 0 and run.history.losses[-50:].mean() < SOLVED * guess:
            run.stop("solved")

    optimizer = optim.Adam(model.parameters(), lr=RATE)
    history = fit(model, data, loss, optimizer, steps=int(updates), clip_norm=CLIP_NORM, callbacks=[stop_when_solved])
    solved = history.step if history.stopped == "solved" else None
    print(json.dumps({"guess": guess, "loss": float(history.losses[-50:].mean()), "solved": solved}))


if __name__ == "__main__":
    main()
