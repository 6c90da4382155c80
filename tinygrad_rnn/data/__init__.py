"""From text and sequences to batches: vocabularies, encoding, padding, batches.

This room stands alone: it imports NumPy and nothing of the engine.

Read on in ``text`` (where text comes from), ``vocabulary`` (text to numbers and back),
``encoding`` (numbers as arrays), ``padding``, ``epochs`` (a place in the data that can be saved)
and ``batches``.
"""

from .batches import Batches, StreamBatches
from .encoding import encode_file, encode_text, load_encoded, one_hot
from .epochs import Batch, Epochs
from .padding import pad, unpad
from .splitting import train_validation_split
from .text import python_documentation, read_text, separate_punctuation, stream_text
from .vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary

__all__ = [
    "Batch",
    "Batches",
    "CharacterVocabulary",
    "Epochs",
    "StreamBatches",
    "Vocabulary",
    "WordVocabulary",
    "encode_file",
    "encode_text",
    "load_encoded",
    "one_hot",
    "pad",
    "python_documentation",
    "read_text",
    "separate_punctuation",
    "stream_text",
    "train_validation_split",
    "unpad",
]
