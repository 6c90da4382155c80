"""``info``: the versions of what is installed, and the optional libraries."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from .. import __version__
from ..autodiff.extras import pip_install
from ..viz.formats.graphviz import renderers
from . import options as o

EXTRAS = {
    "matplotlib": ("plot", "plots of training and of gradients"),
    "pygraphviz": ("render", "PNG and PDF without a system Graphviz"),
    "llvmlite": ("jit", "machine code for compiled cells"),
    "safetensors": ("io", "weights as safetensors"),
}
"""Optional libraries: the extra that installs each, and its use."""

DESCRIPTION = "Print versions, BLAS, renderers and extras."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the facts."""
    found = gathered()
    if options.json:
        o.print_json(found)
        return 0
    print(f"tinygrad_rnn {found['tinygrad_rnn']}, Python {found['python']}, NumPy {found['numpy']}")
    print(f"{found['machine']}, {found['cores']} cores")
    for blas in found["blas"]:
        print(f"BLAS: {blas['library']} {blas['version']}, {blas['threads']} threads")
    renderer = found["renderers"][0] if found["renderers"] else f"none; {pip_install('render')} brings one"
    print(f"Graphviz, for PNG and PDF: {renderer}")
    for name, (extra, what_for) in EXTRAS.items():
        version = found["optional"][name] or f"not installed; {pip_install(extra)}"
        print(f"{name}, for {what_for}: {version}")
    return 0


def gathered() -> dict[str, Any]:
    """The facts that ``--json`` prints."""
    blas = [
        {"library": pool["internal_api"], "version": pool["version"], "threads": pool["num_threads"]}
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return {
        "tinygrad_rnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "blas": blas,
        "renderers": [name for name, _ in renderers()],
        "optional": {name: _version(name) for name in EXTRAS},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
