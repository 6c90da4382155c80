"""The tour: a recurrent cell unrolled, drawn, differentiated three ways and compared; then one trained on real text."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser

from threadpoolctl import threadpool_limits

from ..language import python_documentation, read_text
from ..manual import worked_example as article
from ..report.findings import Example, Learned, learn, study_example, study_flows
from ..report.pages import page
from . import options as o
from .places import Complaint, claim, output_folder, write_text

DESCRIPTION = __doc__
FOLDER = "tinygrad_rnn_tour"
FILES = ["report.html", "unrolled.svg", "comparison.md", "sample.txt"]
SHORTEST_TEXT = 2_000  # characters: enough for one batch of 32 streams, 50 steps each, and for validation


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", metavar="FILE", help="text to learn (default: Python's own documentation)")
    parser.add_argument("--out", metavar="FOLDER", help=f"where to write (default: {FOLDER}, or the next free one)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    parser.add_argument("--no-open", action="store_true", help="don't open the report in a browser")
    parser.add_argument("--seconds", type=o.positive, default=25.0, help="how long to train (default: %(default)g)")
    o.add_seed(parser)
    o.add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    """Run the tour; return 1 if the gradients disagree."""
    text = read(options.text)
    folder = output_folder(options.out, FOLDER, options.overwrite)
    report, picture, table, sample = claim(folder, FILES, options.overwrite)

    example = study_example()
    tell_example(example)
    example.picture.save(picture)
    write_text(table, example.comparison.markdown())
    source = options.text or "the documentation inside Python"
    print(f"\n2. A model that learns to write, one character after another, from {source} ({len(text):,} characters)\n")
    # One thread: so small a model gains little from two, and loses much by them on a busy machine.
    with threadpool_limits(limits=1):
        flows = study_flows(options.seed)
        progress = o.progress(options.quiet)
        learned = learn(text, source, seed=options.seed, seconds=options.seconds, progress=progress)
    tell_learned(learned)
    write_text(sample, learned.after)
    write_text(report, page(example, flows, learned))
    print(f"\nWritten to {folder.resolve()}:")
    print(f"  {report.name:14} all of it, with the graph to explore, and how gradients vanish and explode")
    print(f"  {picture.name:14} the worked example, unrolled: a column for each time step")
    print(f"  {table.name:14} its gradients by autograd, by hand and by finite differences")
    print(f"  {sample.name:14} what the trained model writes", flush=True)
    if not options.no_open and someone_is_watching():
        webbrowser.open(report.resolve().as_uri())
    return 0 if example.comparison.agrees else 1


def read(path: str | None) -> str:
    """The text to learn."""
    if path is None:
        return python_documentation()
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        o.unreadable(path, error)
    if len(text) < SHORTEST_TEXT:
        raise Complaint(
            f"{path} is too short to learn from: {len(text):,} characters, at least {SHORTEST_TEXT:,} needed."
        )
    return text


def tell_example(example: Example) -> None:
    """Print the worked example."""
    print('1. The worked example of "Under The Hood of Neural Networks. Part 2: Recurrent"\n')
    print("It reads 1, 3, 5 in binary and shall answer 5, 3, 1. Its cell, in plain NumPy:\n")
    print("    h = np.tanh(x @ U + h @ W + b)\n    y = sigmoid(h @ V + c)\n")
    print(f"Loss {example.network.loss.item():.2f}, as in the article. The gradients of all six steps, three ways:\n")
    print(example.comparison)
    print(f"\nOne step of gradient descent with learning rate {article.LEARNING_RATE}: loss {example.new_loss:.2f}.")
    print(f"The article's totals are right; {len(example.slips)} of its lines on the way are slips. Two of them:")
    for slip in example.slips[-4:-3] + example.slips[-1:]:
        print(f"  {slip.where}: the article prints {slip.article_prints}, the formulas give {slip.formulas_give}")


def tell_learned(learned: Learned) -> None:
    """Print the result of training, and a text that the model writes."""
    losses = learned.history.losses
    for step in sorted({round(f * (len(losses) - 1)) for f in (0, 0.02, 0.1, 0.25, 0.5, 1)}):
        print(f"  step {step + 1:6,}   loss {losses[step]:.3f}")
    print(f"\nOn text that it hasn't seen it needs {learned.bits:.2f} bits a character; ", end="")
    print(f"{learned.bits_without:.2f} without a model.")
    print(f"Given {learned.prime!r}, from that text, it goes on:\n")
    print("\n".join(f"    {line}" for line in learned.after.splitlines()))


def someone_is_watching() -> bool:
    """Return True in a terminal on a desktop that a person looks at, False in a script or on a server."""
    desktop = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(sys.stdout.isatty() and desktop and not os.environ.get("CI"))
