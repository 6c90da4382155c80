"""The gallery: what ``draw`` and the plots make of a few small networks, as SVG files.

Each function below is one picture, and its docstring is the caption. The files in ``examples/gallery`` were made by

    python examples/gallery.py --out examples/gallery --overwrite

and a test holds them to what the code draws today. Of the pictures every byte is the same on every machine; of the
plots, which Matplotlib draws (``pip install "tinygrad_rnn[plot]"``), with the same Matplotlib.
"""

from __future__ import annotations

import argparse
import io
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


def last_output(cell, steps, seed=0):
    """The sum of a cell's last output, over random inputs, recorded."""
    xs = np.random.default_rng(seed).normal(size=(steps, cell.inputs))
    return np.sum(tr.unroll(cell, xs)[0][-1])


def unrolled():
    """The network of the README: five steps, and the loss of all its states."""
    rng = np.random.default_rng(0)
    U = tr.tensor(rng.normal(size=(8, 16)) / 4, requires_grad=True, name="U")
    W = tr.tensor(rng.normal(size=(16, 16)) / 4, requires_grad=True, name="W")
    b = tr.tensor(np.zeros(16), requires_grad=True, name="b")
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ U + h @ W + b), rng.normal(size=(5, 8)), state=np.zeros(16))
    return tr.draw(np.mean(np.square(hs)))


def elman():
    """An Elman network with an output and a loss at every step; each parameter once, with a tap at each use."""
    return tr.draw(elman_loss(3), title="An Elman network, unrolled over three time steps")


def elman_values():
    """The same by its named values: what it reads, its states, outputs and loss terms."""
    return tr.draw(elman_loss(4), level="gate", title="An Elman network by its named values, four time steps")


def elman_rolled():
    """Fifty steps rolled up into one: what is handed from step to step is a loop, marked with its delay."""
    return tr.draw(elman_loss(50), view="rolled", title="An Elman network over fifty time steps, rolled up")


def elman_gradients():
    """Both directions: gradients flow back along the arrows; what each step contributes stands at its tap."""
    return tr.draw(
        elman_loss(2, inputs=1, units=2, outputs=1),
        level="gate",
        direction="both",
        gradients=True,
        title="The backward pass of an Elman network over two time steps",
    )


def elman_numbers():
    """A node for every number: an Elman network with two units over two steps."""
    return tr.draw(
        elman_loss(2, inputs=1, units=2, outputs=1), level="scalar", title="An Elman network, number by number"
    )


def film(path):
    """Backpropagation through time as a film: forward step by step, then back, and the gradients appear."""
    loss = elman_loss(3, inputs=1, units=2, outputs=1)
    title = "The forward and the backward pass of an Elman network over three time steps"
    tr.animate(loss, path, level="gate", gradients=True, title=title)


def paths():
    """The sum over paths: all ways by which the loss of step 4 reaches W, and the terms that they add up to."""
    return tr.draw(elman_loss(4), highlight=(4, "W"), title="The paths from the loss of step 4 to W")


def vanishing():
    """A gradient vanishes on its way back: its norm, in colour and in numbers, at each of twelve steps."""
    cell = tr.nn.RNNCell(2, 4, seed=0, dtype=np.float64)
    return tr.draw(last_output(cell, 12), level="gate", color="gradient", elide=False, title="A gradient that vanishes")


def lstm():
    """A long short-term memory: gates, cell state and hidden state, operation by operation."""
    return tr.draw(last_output(tr.nn.LSTMCell(3, 4, seed=0), 3), title="An LSTM cell over three time steps")


def gru():
    """A gated recurrent unit by its gates."""
    return tr.draw(last_output(tr.nn.GRUCell(3, 4, seed=0), 3), level="gate", title="A GRU cell over three time steps")


def gru_equations():
    """The same as one box a step, with the equations that were read off the recording."""
    return tr.draw(last_output(tr.nn.GRUCell(3, 4, seed=0), 3), level="cell", title="A GRU and its equations")


def two_directions():
    """A layer in both directions: a lane for each, the second one running back in time."""
    layer = tr.nn.RNN(2, 3, seed=0, bidirectional=True)
    output, _ = layer(np.ones((3, 2), np.float32))
    return tr.draw(np.sum(output), level="gate", title="A recurrent layer in both directions")


def losses(ax):
    """The loss while learning to repeat, at the end, what was read first: an Elman network beside a GRU."""
    xs = np.random.default_rng(0).normal(size=(12, 16, 1))
    curves = {}
    for name, cell in (
        ("Elman", tr.nn.RNNCell(1, 8, seed=0, dtype=np.float64)),
        ("GRU", tr.nn.GRUCell(1, 8, seed=0, dtype=np.float64)),
    ):
        readout = tr.nn.Linear(8, 1, seed=0, dtype=np.float64)
        optimizer = tr.optim.Adam([*cell.parameters(), *readout.parameters()], lr=0.02)
        curves[name] = []
        for _ in range(60):
            optimizer.zero_grad()
            loss = np.mean(np.square(readout(tr.unroll(cell, xs)[0][-1]) - xs[0]))
            loss.backward()
            optimizer.step()
            curves[name].append(loss.item())
    tr.viz.plot_losses(curves, ax)


def inside(steps=20):
    """What is in an LSTM at every step, by name, while it reads a single pulse at step 5."""
    pulse = np.zeros((steps, 1))
    pulse[4] = 3.0
    return tr.nn.LSTM(1, 3, forget_bias=2.0, seed=3, dtype=np.float64)(pulse, return_states=True)[2][0]


def states(ax):
    """The hidden state of an LSTM, unit by unit, while it reads a single pulse, at step 5."""
    tr.viz.plot_states(inside()["h"], ax)


def gates(ax):
    """The gates of the same LSTM at the same time: the mean over its units, and the middle half of them."""
    found = inside()
    tr.viz.plot_gates({name: found[name] for name in "ifo"}, ax)


def terms(ax):
    """Which step's use of W each loss term blames, and how much: nothing beyond the diagonal, less far below it."""
    rng = np.random.default_rng(0)
    U, W = (
        tr.tensor(rng.normal(size=shape) / 2, requires_grad=True, name=name)
        for name, shape in (("U", (2, 4)), ("W", (4, 4)))
    )
    ys, _ = tr.unroll(lambda x, h: np.tanh(x @ U + h @ W), rng.normal(size=(10, 2)), state=np.ones(4))
    tr.explanation.plot_terms(tr.explanation.bptt_terms([np.sum(np.square(y)) for y in ys], W), ax)


def flow(ax):
    """The gradient of an LSTM's last output on its way back: with forget gates open, the cell state carries it."""
    xs = np.random.default_rng(0).normal(size=(30, 2))
    output, _ = tr.nn.LSTM(2, 8, seed=0, forget_bias=4.0, dtype=np.float64)(xs)
    tr.explanation.plot_gradient_flow(tr.explanation.gradient_flow(np.sum(output[-1])), ax)


def attention(ax):
    """Attention that reads backwards: where each word written looks among the words read."""
    read = ["please", "stay", "at", "home"]
    look = tr.nn.DotProductAttention()
    memory = look.memory(2 * np.eye(4) + np.eye(4, k=1))
    tr.viz.plot_attention(np.stack([look(query, memory)[1] for query in np.eye(4)[::-1]]), ax, read, read[::-1])


PICTURES = (
    unrolled,
    elman,
    elman_values,
    elman_rolled,
    elman_gradients,
    elman_numbers,
    paths,
    vanishing,
    lstm,
    gru,
    gru_equations,
    two_directions,
)


FILMS = (film,)
PLOTS = (losses, states, gates, terms, flow, attention)


def filmed(make):
    """A film as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.svg"
        make(path)
        return path.read_text("utf-8")


def plotted(make):
    """A plot as SVG, with nothing in it that differs from run to run."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": make.__name__, "svg.fonttype": "none"}):
        figure = Figure(figsize=(5, 3), layout="constrained")
        make(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def index():
    """The page that shows them all."""
    parts = ["# Gallery", "Each picture is a function of a few lines in [`gallery.py`](../gallery.py), by its name."]
    for title, functions in (("Graphs", PICTURES), ("Films", FILMS), ("Plots", PLOTS)):
        parts.append(f"## {title}")
        parts += [f"![{make.__doc__}]({make.__name__}.svg)\n\n`{make.__name__}`: {make.__doc__}" for make in functions]
    return "\n\n".join(parts) + "\n"


def files():
    """Every file of the gallery, by name."""
    pictures = {f"{make.__name__}.svg": make().svg for make in PICTURES}
    films = {f"{make.__name__}.svg": filmed(make) for make in FILMS}
    plots = {f"{make.__name__}.svg": plotted(make) for make in PLOTS}
    return {**pictures, **films, **plots, "README.md": index()}


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
