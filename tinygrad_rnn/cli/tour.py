"""The tour: a recurrent cell unrolled, drawn, differentiated three ways and compared; then one trained on real text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .. import data, unroll
from ..autodiff import Tensor, sigmoid, tensor
from ..comparison import compare
from ..manual import worked_example as article
from ..manual.worked_example_slips import slips
from ..training import train_on_text
from ..viz import draw
from . import options as o
from .places import Complaint, claim, output_folder

FOLDER = "tinygrad_rnn_tour"
FILES = ["unrolled.svg", "comparison.md", "sample.txt"]
SHORTEST_TEXT = 2_000  # characters: one batch of 32 streams, 50 steps each, and something to validate on


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tour", help="the worked example, and a model of text (the default)", description=__doc__
    )
    parser.add_argument("text", nargs="?", metavar="FILE", help="text to learn (default: Python's own documentation)")
    parser.add_argument("--out", metavar="FOLDER", help=f"where to write (default: {FOLDER}, or the next free one)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    parser.add_argument("--seconds", type=o.positive, default=25.0, help="how long to train (default: %(default)g)")
    o.add_seed(parser)
    o.add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Give the tour; 1 if the gradients should not agree."""
    text = read(options.text)
    folder = output_folder(options.out, FOLDER, options.overwrite)
    picture, table, sample = claim(folder, FILES, options.overwrite)

    agrees = worked_example(picture, table)
    print()
    # One thread: a model this small gains little from two, and loses much to them where the machine is busy.
    with threadpool_limits(limits=1):
        learn(text, options, sample)
    print(f"\nWritten to {folder.resolve()}:")
    print(f"  {picture.name:14} the worked example, unrolled: a column for each time step")
    print(f"  {table.name:14} its gradients by autograd, by hand and by finite differences")
    print(f"  {sample.name:14} what the trained model writes")
    return 0 if agrees else 1


def read(path: str | None) -> str:
    """The text to learn."""
    if path is None:
        return data.python_documentation()
    try:
        text = data.read_text(path)
    except (OSError, ValueError) as error:
        o.unreadable(path, error)
    if len(text) < SHORTEST_TEXT:
        raise Complaint(
            f"{path} is too short to learn from: {len(text):,} characters, at least {SHORTEST_TEXT:,} needed."
        )
    return text


def network() -> Tensor:
    """The loss of the worked example, recorded. The cell is plain NumPy; all the rest of it follows."""
    p = {name: tensor(value, requires_grad=True, name=name) for name, value in article.PARAMS._asdict().items()}

    def cell(x: Any, s: Any) -> Any:
        s = np.tanh(x @ p["U"] + s @ p["W"] + p["b"])
        return sigmoid(s @ p["V"] + p["c"]), s

    outputs, _ = unroll(cell, article.INPUTS, state=np.zeros(2))
    losses = [-np.sum(y * np.log(outputs[t - 1])) for t, y in zip(article.OUTPUT_STEPS, article.TARGETS)]
    return sum(losses[1:], losses[0])


def worked_example(picture: Path, table: Path) -> bool:
    """Draw the article's network and compare its gradients; whether they agree."""
    print('1. The worked example of "Under The Hood of Neural Networks. Part 2: Recurrent"\n')
    print("It reads 1, 3, 5 in binary and shall answer 5, 3, 1. Its cell, in plain NumPy:\n")
    print("    s = np.tanh(x @ U + s @ W + b)\n    o = sigmoid(s @ V + c)\n")
    loss = network()
    draw(loss).save(picture)
    report = compare(loss, article.run()[1], referee="always")
    table.write_text(report.markdown(), encoding="utf-8")
    print(f"Loss {loss.item():.2f}, as in the article. The gradients of all six steps, three ways:\n")
    print(report)
    new = article.computed()["new loss"]
    print(f"\nOne step of gradient descent with learning rate {article.LEARNING_RATE}: loss {float(new):.2f}.")
    print(f"The article's totals are right; {len(slips())} of its lines on the way are slips. Two of them:")
    for slip in slips()[-4:-3] + slips()[-1:]:
        print(f"  {slip.where}: the article prints {slip.article_prints}, the formulas give {slip.formulas_give}")
    return report.agrees


def learn(text: str, options: argparse.Namespace, sample: Path) -> None:
    """Train a character model and let it write."""
    name = options.text or "the documentation inside Python"
    print(f"2. A model that learns to write, one character after another, from {name} ({len(text):,} characters)\n")
    progress = False if options.quiet else None
    model, history, unseen = train_on_text(text, seconds=options.seconds, seed=options.seed, progress=progress)
    for step in sorted({round(f * (len(history.losses) - 1)) for f in (0, 0.02, 0.1, 0.25, 0.5, 1)}):
        print(f"  step {step + 1:6,}   loss {history.losses[step]:.3f}")
    side_by_side = 16 if len(unseen) > 2_000 else 1
    bits = model.bits_per_symbol(unseen, batch_size=side_by_side, steps=min(100, len(unseen) // side_by_side - 1))
    without = np.log2(len(model.vocabulary))
    print(f"\nOn text that it hasn't seen it needs {bits:.2f} bits a character; {without:.2f} without a model.")
    given = model.vocabulary.decode(unseen[:60])
    written = model.sample(400, given, temperature=0.6, seed=options.seed)
    sample.write_text(written + "\n", encoding="utf-8")
    print(f"Given {given!r}, the beginning of that text, it goes on:\n")
    print("\n".join(f"    {line}" for line in written.splitlines()), flush=True)
