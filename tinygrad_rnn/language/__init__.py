"""Language models: an application of the rooms below, from a text to a model that writes.

No lower room needs this one; the commands ``train``, ``sample`` and ``evaluate`` and the tour are built on it.

Read on in ``text`` (where text comes from), ``vocabulary`` (text to numbers and back), ``encoding`` (a text of any
size as an array), ``model`` (the model, and its training) and ``model_file`` (a trained model in one file).
"""

from typing import TYPE_CHECKING

from ..autodiff import did_you_mean
from .encoding import encode_file, encode_text, load_encoded
from .model import LanguageModel, train_on_text
from .model_file import load_language_model, save_language_model
from .text import python_documentation, read_text, separate_punctuation, stream_text
from .vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary

__all__ = [
    "CharacterVocabulary",
    "LanguageModel",
    "Vocabulary",
    "WordVocabulary",
    "encode_file",
    "encode_text",
    "load_encoded",
    "load_language_model",
    "python_documentation",
    "read_text",
    "save_language_model",
    "separate_punctuation",
    "stream_text",
    "train_on_text",
]

if not TYPE_CHECKING:  # else a type checker would take every name for one that there is
    __getattr__ = did_you_mean.of_room(__name__, __all__)
