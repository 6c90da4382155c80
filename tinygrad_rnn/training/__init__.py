"""Training: fit a model to data, see how it goes, and lose nothing when it is interrupted.

Read on in ``prediction`` (how a model meets a batch), ``sharing`` and ``ranks`` (a batch in parts, and processes that
share a run), ``run`` (a step, and the state of a run that is saved), ``loop`` (``fit``), ``choices`` (the forms of its
arguments), ``loggers`` and ``checkpoints`` (where and how a run is saved). Models of text are in the
room ``language``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ..autodiff import did_you_mean
from ..data.tree_file import load_tree, save_tree
from .checkpoints import Checkpoints
from .evaluation import evaluate
from .history import History
from .loggers import CSVLogger, TensorBoardLogger
from .loop import fit
from .metrics import accuracy
from .prediction import predict
from .ranks import RankFailed
from .run import Run, TrainingDiverged, TrainingInterrupted

__all__ = [
    "CSVLogger",
    "Checkpoints",
    "History",
    "RankFailed",
    "Run",
    "TensorBoardLogger",
    "TrainingDiverged",
    "TrainingInterrupted",
    "accuracy",
    "evaluate",
    "fit",
    "load_tree",
    "predict",
    "save_tree",
]

_MOVED = (
    "LanguageModel",
    "load_language_model",
    "save_language_model",
    "train_on_text",
)
"""Names that older scripts import from here. They moved to the room ``language``, and are still found from here."""

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is

    def __getattr__(name: str) -> Any:
        if name in _MOVED:
            return getattr(importlib.import_module("..language", __name__), name)
        return did_you_mean.of_room(__name__, __all__)(name)
