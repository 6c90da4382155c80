"""Models that leave Python: a traced program, written as an ONNX model.

- ``sizes``: which lengths in a program are T and B, read off the programs of arguments of several sizes.
- ``onnx_graph``: an ONNX graph in the making; ``onnx_operations``: the nodes of each operation.
- ``onnx_program``: a program as an ONNX graph, each loop over time as a Scan.
- ``export``: ``export_onnx``.
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .export import Exported, export_onnx
from .onnx_graph import NoOnnxForm

__all__ = ["Exported", "NoOnnxForm", "export_onnx"]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
