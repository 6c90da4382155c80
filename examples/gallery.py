"""The gallery: what ``draw`` makes of the same few networks, as SVG files.

Each function below is one picture, and its docstring is the caption. The files in ``examples/gallery`` were made by

    python examples/gallery.py --out examples/gallery --overwrite

and a test holds them to what the code draws today. Positions, and so every byte, are the same on every machine.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import tinygrad_rnn as tr


def elman_loss(steps, inputs=2, units=3, outputs=2, seed=0):
    """The loss of an Elman network with an output, a target and a loss term at every step, recorded."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (inputs, units), "W": (units, units), "V": (units, outputs), "b": (units,), "c": (outputs,)}
    U, W, V, b, c = (tr.tensor(rng.normal(size=s) / 2, requires_grad=True, name=name) for name, s in shapes.items())

    def cell(x, h):
        h = np.tanh(x @ U + h @ W + b)
        return h @ V + c, h

    ys, _ = tr.unroll(cell, rng.normal(size=(steps, inputs)), state=np.zeros(units))
    total = 0
    for t in range(1, steps + 1):
        with tr.scope(step=t):  # what is recorded here belongs to step t, and is drawn in its column
            target = tr.tensor(rng.normal(size=outputs), name="target")
            term = tr.named("L", np.sum(np.square(ys[t - 1] - target)))
            total = term if t == 1 else total + term
    return total


def elman():
    """An Elman network over three steps: every operation, each parameter once, with a tap at each use."""
    return tr.draw(elman_loss(3), title="An Elman network, unrolled over three time steps")


def elman_values():
    """The same by its named values: what it reads, its states, outputs and loss terms."""
    return tr.draw(elman_loss(4), level="gate", title="An Elman network by its named values, four time steps")


PICTURES = {"elman": elman, "elman_values": elman_values}


def index():
    """The page that shows them all."""
    parts = ["# Gallery\n\nMade by [`examples/gallery.py`](../gallery.py).\n"]
    parts += [f"## {name}\n\n{make.__doc__}\n\n![{make.__doc__}]({name}.svg)\n" for name, make in PICTURES.items()]
    return "\n".join(parts)


def files():
    """Every file of the gallery, by name."""
    return {**{f"{name}.svg": make().svg for name, make in PICTURES.items()}, "README.md": index()}


def main(arguments=None):
    """Write the gallery into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the folder to write to (default: a new temporary one)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    options = parser.parse_args(arguments)
    made = files()
    folder = options.out or Path(tempfile.mkdtemp(prefix="gallery_"))
    taken = [name for name in made if (folder / name).exists()]
    if taken and not options.overwrite:
        parser.error(f"{', '.join(taken)}: there already in {folder}. Name another --out, or pass --overwrite.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
        print(folder / name)


if __name__ == "__main__":
    main()
