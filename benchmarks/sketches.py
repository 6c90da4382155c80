"""One drawing of one unrolled Elman network, timed in a process of its own.

`python -m benchmarks.sketches CONTENDER STEPS LIMIT` prints a line of JSON: seconds to read the graph, to write what
Graphviz is given, and to the finished SVG; its size; how many operations a step has. A rendering that takes longer than
LIMIT seconds is stopped.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

INPUTS, UNITS = 8, 16
BY_PYGRAPHVIZ = (
    "import sys, pygraphviz; graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode()); "
    "sys.stdout.buffer.write(graph.draw(format='svg', prog='dot'))"
)


def recorded(steps: int) -> Any:
    """The loss of an Elman network, recorded by the project: seven operations a step."""
    import numpy as np

    import tinygrad_rnn as tr

    rng = np.random.default_rng(0)
    shapes = {"U": (INPUTS, UNITS), "W": (UNITS, UNITS), "b": (UNITS,), "V": (UNITS, INPUTS), "c": (INPUTS,)}
    U, W, b, V, c = (tr.tensor(rng.normal(size=s) / 4, requires_grad=True, name=n) for n, s in shapes.items())

    def cell(x: Any, h: Any) -> tuple[Any, Any]:
        h = np.tanh(x @ U + h @ W + b)
        return h @ V + c, h

    ys, _ = tr.unroll(cell, rng.normal(size=(steps, INPUTS)), state=np.zeros(UNITS))
    return np.mean(np.square(ys))


def torch_loss(steps: int) -> tuple[Any, dict[str, Any]]:
    """The same by PyTorch's operations, with its parameters by name."""
    import torch

    shapes = {"U": (INPUTS, UNITS), "W": (UNITS, UNITS), "b": (UNITS,), "V": (UNITS, INPUTS), "c": (INPUTS,)}
    leaves = {name: (torch.randn(*shape) / 4).requires_grad_() for name, shape in shapes.items()}
    module = torch_module(leaves, steps)
    return module(torch.randn(steps, INPUTS)), leaves


def torch_module(leaves: dict[str, Any], steps: int) -> Any:
    import torch

    class Elman(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, leaf in leaves.items():
                setattr(self, name, torch.nn.Parameter(leaf.detach()))

        def forward(self, xs: Any) -> Any:
            h, ys = torch.zeros(UNITS), []
            for t in range(steps):
                h = torch.tanh(xs[t] @ self.U + h @ self.W + self.b)
                ys.append(h @ self.V + self.c)
            return torch.stack(ys).square().mean()

    return Elman()


def ours(steps: int, limit: float, renderer: str, **options: Any) -> dict[str, Any]:
    """The project's drawing, by its own writer or by Graphviz."""
    from tinygrad_rnn.viz import draw
    from tinygrad_rnn.viz.formats.graphviz import render
    from tinygrad_rnn.viz.reading.model import read

    draw(recorded(2))  # what is imported on first use is no part of a drawing
    loss = recorded(steps)
    began = time.perf_counter()
    read([loss])
    was_read = time.perf_counter()
    picture = draw(loss, **options)
    drawn = time.perf_counter()
    svg = picture.svg.encode() if renderer == "own" else render(picture.dot, "svg", limit)
    done = time.perf_counter()
    reading = was_read - began
    return {
        "read": reading,
        "described": max(drawn - was_read - reading, 0.0),  # draw reads the graph, too
        "svg": max(done - was_read - reading, 0.0),
        "bytes": len(svg),
        "nodes": len(picture.graph.vertices),
    }


def torchviz(steps: int, limit: float) -> dict[str, Any]:
    """torchviz: the backward graph, laid out by dot."""
    from torchviz import make_dot

    loss, leaves = torch_loss(steps)
    began = time.perf_counter()
    digraph = make_dot(loss, params=leaves)
    return by_dot(digraph.source, len(digraph.body), began, limit)


def torchview(steps: int, limit: float) -> dict[str, Any]:
    """torchview: the forward graph of a module, rolled, laid out by dot."""
    import torch
    from torchview import draw_graph

    _, leaves = torch_loss(1)
    module = torch_module(leaves, steps)
    began = time.perf_counter()
    graph = draw_graph(module, input_data=torch.randn(steps, INPUTS), device="cpu", depth=5)
    return by_dot(graph.visual_graph.source, len(graph.visual_graph.body), began, limit)


def by_dot(source: str, statements: int, began: float, limit: float) -> dict[str, Any]:
    """What a DOT text without positions takes: dot has to find them."""
    described = time.perf_counter()
    found: dict[str, Any] = {"described": described - began, "nodes": statements}
    system = shutil.which("dot")
    if not system and importlib.util.find_spec("pygraphviz") is None:
        return {**found, "problem": "no dot"}
    command = [system, "-Tsvg"] if system else [sys.executable, "-c", BY_PYGRAPHVIZ]
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return {**found, "problem": f"stopped after {limit:g} s"}
    return {**found, "svg": time.perf_counter() - began, "bytes": len(done.stdout)}


CONTENDERS: dict[str, Callable[[int, float], dict[str, Any]]] = {
    "all steps": lambda steps, limit: ours(steps, limit, "own", elide=False),
    "all steps, Graphviz": lambda steps, limit: ours(steps, limit, "graphviz", elide=False),
    "elided": lambda steps, limit: ours(steps, limit, "own"),
    "elided, with gradients": lambda steps, limit: ours(steps, limit, "own", gradients=True),
    "rolled": lambda steps, limit: ours(steps, limit, "own", view="rolled"),
    "torchviz": torchviz,
    "torchview": torchview,
}

if __name__ == "__main__":
    print(json.dumps(CONTENDERS[sys.argv[1]](int(sys.argv[2]), float(sys.argv[3]))))
