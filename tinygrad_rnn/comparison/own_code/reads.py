"""The variables that a line of code reads and writes, as its bytecode says: the text may not be at hand."""

from __future__ import annotations

import dis
from collections import defaultdict
from functools import lru_cache
from types import CodeType
from typing import NamedTuple

LOADS = ("LOAD_FAST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_CLASSDEREF")
STORES = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
COPIES = ("COPY", "DUP_TOP")  # of the object in front of += to one of its attributes
BOTH = "STORE_FAST_LOAD_FAST"  # one instruction that does both, in this order
SETS_ASIDE = "LOAD_FAST_AND_CLEAR"  # a variable that has the name of one of a comprehension, which begins here
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")  # functions of their own before Python 3.12


class Used(NamedTuple):
    """The variables that a line uses."""

    reads: frozenset[str] = frozenset()  # those that it reads; an attribute of one is another, ``self.h``
    writes: frozenset[str] = frozenset()  # those that it assigns


def is_comprehension(code: CodeType) -> bool:
    """Return True for the code of a comprehension that Python, before 3.12, runs as a function."""
    return code.co_name in COMPREHENSIONS


@lru_cache(maxsize=256)
def own_variables(code: CodeType) -> dict[int, frozenset[str]]:
    """The variables of the comprehensions that an instruction is in, by its offset: the function doesn't have them.

    Example:
        >>> def squares(values):
        ...     return [x * x for x in values]
        >>> "values" in frozenset().union(*own_variables(squares.__code__).values())
        False
    """
    instructions = list(dis.get_instructions(code))
    if is_comprehension(code):
        return dict.fromkeys((one.offset for one in instructions), _own(code))
    found: dict[int, frozenset[str]] = defaultdict(frozenset)
    for first in instructions:
        if first.opname == SETS_ASIDE:
            for one in instructions:
                if one.offset >= first.offset and _is_within(one, first):
                    found[one.offset] |= {first.argval}
    return found


def _own(code: CodeType) -> frozenset[str]:
    """The variables that are a function's own: no other function's, and no global ones."""
    return frozenset((*code.co_varnames, *code.co_cellvars))


def _is_within(one: dis.Instruction, whole: dis.Instruction) -> bool:
    """Return True if the text of one instruction is a part of that of another."""
    if one.positions is None or whole.positions is None or None in (*one.positions, *whole.positions):
        return False  # Python was told to keep none
    (first, last, start, end), (begin, finish, left, right) = one.positions, whole.positions
    return (begin, left) <= (first, start) and (last, end) <= (finish, right)


def _lines(code: CodeType) -> dict[int, int | None]:
    """The line of each instruction, by its offset; None for one that tidies up."""
    return {offset: line for start, end, line in code.co_lines() for offset in range(start, end, 2)}


@lru_cache(maxsize=256)
def where_statements_end(code: CodeType) -> frozenset[int]:
    """The offsets of the instructions from which on, in their line, a statement ends that assigns or only calls."""
    lines, own = _lines(code), own_variables(code)
    found, to_come, after = list[int](), False, None
    for one in reversed(list(dis.get_instructions(code))):
        is_end = one.offset not in own and (one.opname == "POP_TOP" or one.opname.startswith("STORE"))
        to_come = is_end or (to_come and lines.get(one.offset) == after)
        after = lines.get(one.offset)
        found += [one.offset] * to_come
    return frozenset(found)


@lru_cache(maxsize=256)
def used_by_line(code: CodeType) -> dict[int, Used]:
    """The variables that each line uses, by its number.

    The lines of comprehensions are lines of the function; what inner functions read is read where they are made.

    Example:
        >>> def double(x):
        ...     y = x + x
        ...     return y
        >>> [sorted(used.reads) for used in used_by_line(double.__code__).values() if used.reads]
        [['x'], ['y']]
    """
    reads: dict[int, set[str]] = defaultdict(set)
    writes: dict[int, set[str]] = defaultdict(set)
    lines, own, before = _lines(code), own_variables(code), ""
    for one in dis.get_instructions(code):
        line = lines.get(one.offset)
        if line is None:
            continue
        given = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        names = [name if name not in own.get(one.offset, ()) else "" for name in given if isinstance(name, str)]
        if one.opname == BOTH:
            writes[line].add(names[0])
            reads[line].add(names[1])
        elif one.opname.startswith(STORES):
            writes[line].update(names)
        elif one.opname.startswith(LOADS):
            reads[line].update(names)
        elif one.opname.endswith("_ATTR") and before:
            (writes if one.opname.startswith("STORE") else reads)[line].add(f"{before}.{one.argval}")
        elif isinstance(one.argval, CodeType) and is_comprehension(one.argval):
            for inner, used in used_by_line(one.argval).items():
                reads[inner] |= used.reads
                writes[inner] |= used.writes
        elif isinstance(one.argval, CodeType):
            inside = frozenset[str]().union(*(used.reads for used in used_by_line(one.argval).values()))
            reads[line] |= {name for name in inside if name.split(".")[0] not in _own(one.argval)}
        if one.opname not in COPIES:
            before = names[-1] if names and ("_FAST" in one.opname or "_DEREF" in one.opname) else ""
    return {n: Used(frozenset(reads[n] - {""}), frozenset(writes[n] - {""})) for n in {*reads, *writes}}
