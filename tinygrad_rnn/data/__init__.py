"""Sequences as batches: one-hot rows, padding, batches, and places in the data that can be saved.

This room stands alone: it imports NumPy and nothing of the engine. Text and vocabularies are in the room ``language``.

Read on in ``encoding`` (symbols as one-hot rows), ``padding``, ``epochs`` (a place in the data that can be saved) and
``batches``.
"""

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from .batches import Batches, StreamBatches
from .encoding import one_hot
from .epochs import Batch, Epochs
from .padding import pad, unpad
from .splitting import train_validation_split

__all__ = [
    "Batch",
    "Batches",
    "Epochs",
    "StreamBatches",
    "one_hot",
    "pad",
    "train_validation_split",
    "unpad",
]

_MOVED = (
    "CharacterVocabulary",
    "Vocabulary",
    "WordVocabulary",
    "encode_file",
    "encode_text",
    "load_encoded",
    "python_documentation",
    "read_text",
    "separate_punctuation",
    "stream_text",
)
"""Names that older scripts import from here. They moved to the room ``language``, and are still found from here."""

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is

    def __getattr__(name: str) -> Any:
        if name in _MOVED:
            return getattr(importlib.import_module("..language", __name__), name)
        said = f"module {__name__!r} has no attribute {name!r}"
        if name in ("DataLoader", "Dataset"):
            said += ": write data.Batches(inputs, targets, batch_size=32, rng=0), or hand (X, y) to tr.fit"
        elif close := difflib.get_close_matches(name, __all__, n=1):
            said += f": did you mean data.{close[0]}?"
        raise AttributeError(said, name=name)
