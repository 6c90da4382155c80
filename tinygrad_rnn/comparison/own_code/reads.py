"""The variables that a line of code reads and writes, as its bytecode says: the text may not be at hand."""

from __future__ import annotations

import dis
from bisect import bisect_right
from collections import defaultdict
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

LOADS = ("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_CLASSDEREF")
STORES = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
COPIES = ("COPY", "DUP_TOP")  # of the object in front of += to one of its attributes
BOTH = "STORE_FAST_LOAD_FAST"  # one instruction that does both, in this order


class Used(NamedTuple):
    """The variables that a line uses.

    Attributes:
        reads: those that it reads; an attribute of one is another, ``self.h``.
        writes: those that it assigns.
        ends: whether a statement ends in it that assigns, or that only calls something.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    ends: bool = False


@lru_cache(maxsize=256)
def used_by_line(code: CodeType) -> dict[int, Used]:
    """The variables that each line uses, by its number; what comprehensions and inner functions read counts, too.

    Example:
        >>> def double(x):
        ...     y = x + x
        ...     return y
        >>> [sorted(used.reads) for used in used_by_line(double.__code__).values() if used.reads]
        [['x'], ['y']]
    """
    reads: dict[int, set[str]] = defaultdict(set)
    writes: dict[int, set[str]] = defaultdict(set)
    ends: set[int] = set()
    starts, lines = zip(*((start, line) for start, line in dis.findlinestarts(code) if line is not None))
    before = ""
    for one in dis.get_instructions(code):
        line = lines[max(bisect_right(starts, one.offset) - 1, 0)]
        names = [name for name in (one.argval if isinstance(one.argval, tuple) else (one.argval,)) if name]
        if one.opname.startswith("STORE") or one.opname == "POP_TOP":
            ends.add(line)
        if one.opname == BOTH:
            writes[line].add(names[0])
            reads[line].add(names[1])
        elif one.opname.startswith(STORES):
            writes[line].update(names)
        elif one.opname.startswith(LOADS):
            reads[line].update(names)
        elif one.opname.endswith("_ATTR") and before:
            (writes if one.opname.startswith("STORE") else reads)[line].add(f"{before}.{one.argval}")
        elif isinstance(one.argval, CodeType):
            reads[line].update(*(used.reads for used in used_by_line(one.argval).values()))
        if one.opname not in COPIES:
            before = names[-1] if names and isinstance(names[-1], str) and "_FAST" in one.opname else ""
    return {n: Used(frozenset(reads[n]), frozenset(writes[n]), n in ends) for n in {*reads, *writes, *ends}}
