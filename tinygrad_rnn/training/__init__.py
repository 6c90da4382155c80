"""Training: fit a model to data, see how it goes, and lose nothing when it is interrupted.

Read on in ``prediction`` (how a model meets a batch), ``sharing`` and ``ranks`` (a batch in parts, and processes that
share a run), ``run`` (what a step does, and what has to be saved of a run), ``loop`` (``fit``), ``checkpoints`` and
``tree_file`` (where and how it is saved), ``language`` (a model of text).
"""

from .checkpoints import Checkpoints
from .history import History
from .language import LanguageModel, train_on_text
from .language_file import load_language_model, save_language_model
from .loop import fit
from .prediction import evaluate, predict
from .ranks import RankFailed
from .run import Run, TrainingDiverged, TrainingInterrupted
from .tree_file import load_tree, save_tree

__all__ = [
    "Checkpoints",
    "History",
    "LanguageModel",
    "RankFailed",
    "Run",
    "TrainingDiverged",
    "TrainingInterrupted",
    "evaluate",
    "fit",
    "load_language_model",
    "load_tree",
    "predict",
    "save_language_model",
    "save_tree",
    "train_on_text",
]
