"""``export``: a trained model as an ONNX file, for a service without Python."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..deployment import export_onnx
from . import options as o
from .places import Complaint
from .training_folder import read_model

DESCRIPTION = (
    "Write a trained model as an ONNX file. It takes symbols, (T, B) whole numbers, and a state, and "
    "returns logits and the state to continue from."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    o.add_model(parser)
    parser.add_argument("out", metavar="FILE", help="the file to write, such as model.onnx; it must not be there yet")
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file, and print its inputs and outputs."""
    model, _ = read_model(options.model)
    if Path(options.out).exists():
        raise Complaint(f"{options.out} is there already; name a new file.")
    symbols = np.zeros((7, 5), np.int64)
    _, state = model(symbols)
    try:
        exported = export_onnx(model, options.out, (symbols, state))
    except OSError as error:
        raise Complaint(f"can't write {options.out}: {error.strerror or error}.") from None
    if options.json:
        symbols_in_order = list(model.vocabulary.symbols)
        o.print_json({"inputs": exported.inputs, "outputs": exported.outputs, "symbols": symbols_in_order})
        return 0
    for what, named in (("takes", exported.inputs), ("gives", exported.outputs)):
        print(f"{what}: " + ", ".join(f"{name} ({', '.join(map(str, shape))})" for name, shape in named.items()))
    return 0
