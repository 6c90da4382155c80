"""Training: fit a model to data, see how it goes, and lose nothing when it is interrupted.

Read on in ``prediction`` (how a model meets a batch), ``loop`` (what ``fit`` does), ``language`` (a model of text).
"""

from .history import History
from .language import LanguageModel, train_on_text
from .loop import Run, TrainingDiverged, TrainingInterrupted, fit
from .prediction import evaluate, predict

__all__ = [
    "History",
    "LanguageModel",
    "Run",
    "TrainingDiverged",
    "TrainingInterrupted",
    "evaluate",
    "fit",
    "predict",
    "train_on_text",
]
