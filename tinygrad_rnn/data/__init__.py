
This room stands alone: it imports NumPy and nothing of the engine.

Read on in ``text`` (where text comes from), ``vocabulary`` (text to numbers and back),
and ``batches``.
"""

from .batches import Batches, StreamBatches
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
    "pad",
    "python_documentation",
    "read_text",
    "separate_punctuation",
    "stream_text",
    "train_validation_split",
    "unpad",
]
