"""From text and sequences to batches: vocabularies, encoding, padding, batches.

This room stands alone: it imports NumPy and nothing of the engine.

Read on in ``text`` (where text comes from) and ``vocabulary`` (text to numbers and back).
"""

from .text import python_documentation, read_text, separate_punctuation, stream_text
from .vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary

__all__ = [
    "CharacterVocabulary",
    "Vocabulary",
    "WordVocabulary",
    "python_documentation",
    "read_text",
    "separate_punctuation",
    "stream_text",
]
