"""Vocabularies: the numbers of characters or words.

A network sees numbers, a reader sees text; a vocabulary goes from one to the other and back. It
never changes once it is made. Its order is that of the text it was made from, so the same text
gives the same numbers on every machine.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ..data.checks import whole_number
from ..data.tree_file import load_tree, save_tree
from .text import stream_text

AnyVocabulary = TypeVar("AnyVocabulary", bound="Vocabulary")

FORMAT = "tinygrad_rnn vocabulary, version 1"

MOST_SYMBOLS = 1_000_000
"""The largest number of symbols that is written to a file."""

MAX_SYMBOL_LENGTH = 100_000
"""The largest number of characters of a symbol."""

_MISSING = -1  # in a look-up: the symbol has no number

_MANY = 1 << 16
"""The number of characters from which counting by code points pays: ten times as fast as one by one."""


class Vocabulary(ABC):
    """The base class of ``CharacterVocabulary`` and ``WordVocabulary``.

    Args:
        symbols: different, non-empty strings; the place of each is its number.
        unknown: the symbol that stands for everything else. With ``None``, encoding a text
            that holds anything else is an error.

    Attributes:
        symbols: the symbols in order.
        unknown: the symbol for everything else, or ``None``.

    Raises:
        TypeError: if a symbol isn't a string.
        ValueError: if there are no symbols, if one is empty, too long, there twice or not
            Unicode text, or if ``unknown`` isn't one of them.
    """

    kind: ClassVar[str]
    """The plural noun for the symbols, in files and messages."""

    def __init__(self, symbols: Iterable[str], unknown: str | None = None) -> None:
        self.symbols: tuple[str, ...] = tuple(symbols)
        self.unknown = unknown
        self._numbers: dict[str, int] = {}
        for number, symbol in enumerate(self.symbols):
            _check_symbol(symbol, number)
            if self._numbers.setdefault(symbol, number) != number:
                raise ValueError(
                    f"the symbol {symbol!r} is there twice, as number {self._numbers[symbol]} and as number {number}; "
                    f"{type(self).__name__}.from_text(text) makes a vocabulary of a text"
                )
        if not self.symbols:
            raise ValueError("a vocabulary needs at least one symbol")
        if unknown is not None and unknown not in self._numbers:
            raise ValueError(f"the unknown symbol {unknown!r} must be one of the symbols")
        self._nothing = _MISSING if unknown is None else self._numbers[unknown]

    # ------------------------------------------------------------------ made from text
    @classmethod
    def from_text(
        cls: type[AnyVocabulary],
        text: str | Iterable[str],
        *,
        specials: Sequence[str] = (),
        unknown: str | None = None,
        min_count: int = 1,
        max_size: int | None = None,
    ) -> AnyVocabulary:
        """The vocabulary of a text, or of several: the most frequent symbol first.

        Symbols that are equally frequent stand in the order in which they first appear.

        Args:
            text: one string, or several (sentences, the lines of an open file, ...). No word runs
                on from one string to the next; they are taken one at a time and not kept.
            specials: further symbols that come first, such as ``"<pad>"`` and ``"<end>"``.
            unknown: the symbol that stands for everything that isn't in the vocabulary. It comes
                after the specials, unless it is one of them. None: anything else is an error.
            min_count: rarer symbols are left out.
            max_size: the largest number of symbols in all, with the specials and ``unknown``; the rarest are left out.

        Raises:
            TypeError: if the text is something else than a string or several.
            ValueError: if the text holds no symbols, or if symbols would be left out while there
                is no ``unknown`` to stand for them.
        """
        texts = _strings([text] if isinstance(text, str) else text)
        parts = (part for each in texts for part in cls._split([each]))
        return cls._from_parts(parts, specials, unknown, min_count, max_size)

    @classmethod
    def from_file(
        cls: type[AnyVocabulary],
        path: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        specials: Sequence[str] = (),
        unknown: str | None = None,
        min_count: int = 1,
        max_size: int | None = None,
    ) -> AnyVocabulary:
        """The vocabulary of a text file of any size, of which little is in memory at a time.

        Args:
            path: the file; see ``stream_text`` for what can be wrong
                with it.
            encoding: any text encoding that Python knows.
            specials: as in ``from_text``.
            unknown: as in ``from_text``.
            min_count: as in ``from_text``.
            max_size: as in ``from_text``.
        """
        parts = cls._split(stream_text(path, encoding))
        return cls._from_parts(parts, specials, unknown, min_count, max_size)

    @classmethod
    def _from_parts(
        cls: type[AnyVocabulary],
        parts: Iterable[Sequence[str]],
        specials: Sequence[str],
        unknown: str | None,
        min_count: int,
        max_size: int | None,
    ) -> AnyVocabulary:
        """Count the symbols and put them in order."""
        if isinstance(specials, str):
            raise TypeError(f"specials must be a sequence of strings, not the string {specials!r}")
        counts: Counter[str] = Counter()
        for part in parts:
            cls._count(counts, part)
        if not counts:
            raise ValueError(f"there are no {cls.kind} in this text, so there is nothing to learn")

        first = list(specials)
        if unknown is not None and unknown not in first:
            first.append(unknown)
        for symbol in first:  # these have their places already; deleting a missing key of a Counter is no error
            del counts[symbol]
        by_frequency = counts.most_common()  # stable: ties stay in order of first appearance
        least = whole_number("min_count", min_count)
        kept = [symbol for symbol, count in by_frequency if count >= least]
        if max_size is not None:
            room = whole_number("max_size", max_size, minimum=len(first) + 1) - len(first)
            kept = kept[:room]
        if unknown is None and len(kept) < len(by_frequency):
            raise ValueError(
                f"min_count and max_size leave out {len(by_frequency) - len(kept):,} of "
                f"{len(by_frequency):,} {cls.kind}; pass unknown=..., a symbol to stand for them"
            )
        return cls([*first, *kept], unknown)

    # ------------------------------------------------------------------ text <-> numbers
    def encode(self, text: str) -> npt.NDArray[np.int64]:
        """The numbers of the symbols of ``text``, of shape (number of symbols,).

        Raises:
            TypeError: if ``text`` isn't a string.
            ValueError: if it holds a symbol that isn't in the vocabulary, and ``unknown`` is None.
        """
        if not isinstance(text, str):
            raise TypeError(f"encode takes a string, not {type(text).__name__}")
        parts = list(self.encode_stream([text]))
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def encode_stream(self, pieces: Iterable[str]) -> Iterator[npt.NDArray[np.int64]]:
        """Encode a text that arrives in pieces, which may be cut in the middle of a word.

        Args:
            pieces: the consecutive pieces of one text, such as
                ``stream_text`` yields them.

        Yields:
            The numbers of some symbols at a time, in order.

        Raises:
            ValueError: as in ``encode``.
        """
        position = 0
        for part in self._split(pieces):
            numbers = self._look_up(part)
            if self.unknown is None:
                missing = np.flatnonzero(numbers == _MISSING)
                if missing.size:
                    raise self._not_there(part[missing[0]], position + int(missing[0]))
            yield numbers
            position += len(part)

    def strange(self, text: str) -> list[str]:
        """Return the symbols of a text that aren't in the vocabulary, each once, in the order in which they come.

        Args:
            text: a text.

        Example:
            >>> CharacterVocabulary("abc").strange("back up")
            ['k', ' ', 'u', 'p']
        """
        return [
            symbol for symbol in dict.fromkeys(s for part in self._split([text]) for s in part) if symbol not in self
        ]

    def decode(self, numbers: npt.ArrayLike) -> str:
        """The text that ``numbers`` (one sequence, shape (T,)) stand for.

        Raises:
            TypeError: if they aren't whole numbers.
            ValueError: if they aren't one sequence, or if one isn't that of a symbol.
        """
        array = np.asarray(numbers)
        if array.ndim != 1:
            raise ValueError(
                f"decode takes one sequence, of shape (T,), not {array.shape}; "
                "of a batch (T, B), pass one column at a time: numbers[:, b]"
            )
        if array.size == 0:
            return ""
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"decode takes whole numbers, not {array.dtype}")
        wrong = np.flatnonzero((array < 0) | (array >= len(self)))
        if wrong.size:
            raise ValueError(
                f"number {array[wrong[0]]} at position {wrong[0]} stands for nothing: "
                f"this vocabulary has the numbers 0 to {len(self) - 1}"
            )
        return self._join([self.symbols[number] for number in array.tolist()])

    def index(self, symbol: str) -> int:
        """The number of ``symbol``.

        Raises:
            ValueError: if it isn't in the vocabulary (here ``unknown`` stands for nothing else).
        """
        try:
            return self._numbers[symbol]
        except KeyError:
            raise ValueError(f"{symbol!r} is not one of the {len(self):,} {self.kind}") from None

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} {self.kind}, unknown={self.unknown!r}>"

    # ------------------------------------------------------------------ saved and loaded
    def to_tree(self) -> dict[str, Any]:
        """The vocabulary as a dict of strings and a list, as ``save`` writes it.

        Raises:
            ValueError: if it has more symbols than are written to a file.
        """
        if len(self) > MOST_SYMBOLS:
            raise ValueError(
                f"this vocabulary of {len(self):,} {self.kind} is too large for a file, which holds "
                f"{MOST_SYMBOLS:,}. Leave out the rare ones: min_count=2, or max_size=..., with unknown=..."
            )
        return {"format": FORMAT, "kind": self.kind, "unknown": self.unknown, "symbols": list(self.symbols)}

    @classmethod
    def from_tree(cls: type[AnyVocabulary], tree: Any, source: str = "this tree") -> AnyVocabulary:
        """The vocabulary that ``to_tree`` gave as ``tree``.

        Args:
            tree: the dict.
            source: the name of the data in error messages.

        Raises:
            ValueError: if it isn't a whole vocabulary of this kind.
        """
        if not isinstance(tree, dict) or tree.get("format") != FORMAT:
            raise ValueError(f"{source} is not a vocabulary: give a file that was written by a vocabulary's save()")
        symbols, unknown, name = tree.get("symbols"), tree.get("unknown"), tree.get("kind")
        kinds: dict[Any, type[Vocabulary]] = {known.kind: known for known in (CharacterVocabulary, WordVocabulary)}
        if not isinstance(name, str) or name not in kinds:
            raise ValueError(f"{source} holds a vocabulary of an unheard-of kind: {name!r:.60}")
        kind = kinds[name]
        if not issubclass(kind, cls):
            load = f"{kind.__name__}.load"
            raise ValueError(f"{source} holds a vocabulary of {name}, not of {cls.kind}. Load it with {load}.")
        if not isinstance(symbols, list) or not (unknown is None or isinstance(unknown, str)):
            raise ValueError(f"{source} is not a vocabulary: its symbols are no list, or the unknown one is no string")
        try:
            return kind(symbols, unknown)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source} is not a vocabulary: {error!s:.500}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to ``path``, whole or not at all; an older file is replaced.

        The file is one of ``training.save_tree``.

        Raises:
            OSError: if it can't be written.
            ValueError: if it is larger than what ``load`` would read.
        """
        save_tree(self.to_tree(), path)

    @classmethod
    def load(cls: type[AnyVocabulary], path: str | os.PathLike[str]) -> AnyVocabulary:
        """Read a vocabulary that ``save`` wrote.

        ``Vocabulary.load`` reads either kind.

        Raises:
            OSError: if there is no such file or it may not be read.
            ValueError: if it is damaged or anything else than a vocabulary of this kind.
        """
        return cls.from_tree(load_tree(path), source=os.fspath(path))

    def _content(self) -> tuple[Any, ...]:
        return self.kind, self.unknown, self.symbols

    # ------------------------------------------------------------------ what the kinds define
    @classmethod
    @abstractmethod
    def _split(cls, pieces: Iterable[str]) -> Iterator[Sequence[str]]:
        """Cut a text that arrives in pieces into symbols, some at a time."""

    @classmethod
    def _count(cls, counts: Counter[str], part: Sequence[str]) -> None:
        """Count some symbols; new ones are added in the order in which they appear."""
        counts.update(part)

    @abstractmethod
    def _look_up(self, part: Sequence[str]) -> npt.NDArray[np.int64]:
        """The number of each symbol; a missing symbol gets ``_MISSING`` or the number of ``unknown``."""

    @abstractmethod
    def _join(self, symbols: Sequence[str]) -> str:
        """The text made of these symbols."""

    def _not_there(self, symbol: str, position: int) -> ValueError:
        """The error for a symbol that has no number."""
        code = f" (U+{ord(symbol):04X})" if len(symbol) == 1 else ""
        return ValueError(
            f"{symbol!r}{code}, at position {position:,} of the text, is not one of the "
            f"{len(self):,} {self.kind} of the vocabulary. Make it from a text that holds it, or "
            "with unknown=..., a symbol to stand for everything else."
        )


class CharacterVocabulary(Vocabulary):
    """A number for every character (Unicode code point).

    Decoding gives back every text exactly, except where ``unknown`` stood in. A symbol of several
    characters (``"<end>"``) is never found in a text; use its ``index``.

    Example:
        >>> vocabulary = CharacterVocabulary.from_text("hello")
        >>> vocabulary.symbols
        ('l', 'h', 'e', 'o')
        >>> vocabulary.encode("hole")
        array([1, 3, 0, 2])
        >>> vocabulary.decode([1, 3, 0, 2])
        'hole'
        >>> CharacterVocabulary.from_text("hello", unknown="?").encode("help!")
        array([2, 3, 1, 0, 0])
    """

    kind = "characters"

    def __init__(self, symbols: Iterable[str], unknown: str | None = None) -> None:
        super().__init__(symbols, unknown)
        # From code point to number: one look-up for a million characters at a time. The last row
        # stands for every code point beyond the largest one.
        code_points = {ord(symbol): n for symbol, n in self._numbers.items() if len(symbol) == 1}
        self._table = np.full(max(code_points, default=0) + 2, self._nothing, np.int64)
        for code_point, number in code_points.items():
            self._table[code_point] = number

    @classmethod
    def _split(cls, pieces: Iterable[str]) -> Iterator[Sequence[str]]:
        return iter(pieces)  # a string is the sequence of its characters

    @classmethod
    def _count(cls, counts: Counter[str], part: Sequence[str]) -> None:
        if len(part) < _MANY:
            return counts.update(part)
        how_often = np.bincount(_code_points(part))
        found = {chr(code): int(how_often[code]) for code in np.flatnonzero(how_often)}
        counts.update({symbol: found[symbol] for symbol in sorted(found, key=part.index)})

    def _look_up(self, part: Sequence[str]) -> npt.NDArray[np.int64]:
        numbers: npt.NDArray[np.int64] = self._table[np.minimum(_code_points(part), len(self._table) - 1)]
        return numbers

    def _join(self, symbols: Sequence[str]) -> str:
        return "".join(symbols)


class WordVocabulary(Vocabulary):
    r"""A number for every word: whatever stands between white space.

    Decoding puts one space between words; line ends and longer spaces are not kept. A comma stays
    with the word before it: ``separate_punctuation`` makes it a word.

    Example:
        >>> vocabulary = WordVocabulary.from_text(["The Forest", "The Sea", "The Fire"])
        >>> vocabulary.symbols
        ('The', 'Forest', 'Sea', 'Fire')
        >>> vocabulary.encode("The Sea")
        array([0, 2])
        >>> vocabulary.decode([0, 3])
        'The Fire'
    """

    kind = "words"

    @classmethod
    def _split(cls, pieces: Iterable[str]) -> Iterator[Sequence[str]]:
        begun = ""  # the word that the last piece may have cut in two
        for piece in pieces:
            text = begun + piece
            words = text.split()
            begun = "" if not words or text[-1].isspace() else words.pop()
            if len(begun) > MAX_SYMBOL_LENGTH:
                raise ValueError(
                    f"a word has {len(begun):,} characters or more: {begun[:30]!r}... "
                    "Is this a text of words? A CharacterVocabulary takes any text."
                )
            yield words
        if begun:
            yield [begun]

    def _look_up(self, part: Sequence[str]) -> npt.NDArray[np.int64]:
        numbers = (self._numbers.get(word, self._nothing) for word in part)
        return np.fromiter(numbers, np.int64, len(part))

    def _join(self, symbols: Sequence[str]) -> str:
        return " ".join(symbols)


def _check_symbol(symbol: Any, number: int) -> None:
    """Raise an error for a symbol that no vocabulary may hold.

    Raises:
        TypeError: if it isn't a string.
        ValueError: if it is empty, too long, or can't be written as UTF-8.
    """
    if not isinstance(symbol, str):
        raise TypeError(f"symbol number {number} must be a string, not {type(symbol).__name__}")
    if not symbol:
        raise ValueError(f"symbol number {number} is empty")
    if len(symbol) > MAX_SYMBOL_LENGTH:
        raise ValueError(
            f"symbol number {number} has {len(symbol):,} characters ({symbol[:30]!r}...); "
            f"at most {MAX_SYMBOL_LENGTH:,} are allowed"
        )
    try:
        symbol.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"symbol number {number}, {symbol[:30]!r}, holds half of a surrogate pair, which is no character"
        ) from None


def _code_points(part: Sequence[str]) -> npt.NDArray[np.uint32]:
    """The number that Unicode gives each character of a string."""
    # Half of a surrogate pair is no character, but a Python string may hold one: let it
    # through, to be looked up in vain like any other unknown.
    encoded = cast(str, part).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, "<u4")


def _strings(texts: Iterable[str]) -> Iterator[str]:
    """The texts, each of which must be a string."""
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(
                f"from_text takes a string or several, but was given {type(text).__name__} "
                "(bytes become text by data.decode('utf-8'))"
            )
        yield text
