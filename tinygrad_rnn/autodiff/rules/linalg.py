"""Products of matrices and their like: all linear in each operand, so each needs only its transposes."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from ..registry import linear, overrides, primitive
from .parts import Parts
from .transposes import transposed


def _flipped(a: Any) -> Any:
    """Each matrix of a stack, transposed."""
    return a.T if a.ndim == 2 else np.swapaxes(a, -1, -2)


def _matmul(a: Any, b: Any) -> Any:
    """A @ b. For matrices and vectors ``dot`` is the same product, and starts three times sooner than ``matmul``.

    But it is a method, for which NumPy asks no other operand's protocol, and in a rule that is recorded, an operand may
    be a Tensor. A stack of matrices times one matrix is one product of all rows, where ``matmul`` would make one for
    each.
    """
    if type(a) is type(b) is np.ndarray and a.ndim >= 1 and 1 <= b.ndim <= 2:
        if a.ndim <= 2:
            return a.dot(b)
        if b.ndim == 2:
            return a.reshape(math.prod(a.shape[:-1]), a.shape[-1]).dot(b).reshape(*a.shape[:-1], b.shape[-1])
    return np.matmul(a, b)


def _matmul_left(g: Any, ans: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:  # the common case
        return _matmul(g, transposed(b, g))
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if a.ndim == 1:
        g = np.expand_dims(g, -2)
    return _matmul(g, _flipped(b))


class Products(Parts):
    """Cotangents of a matrix that rows were multiplied by: (rows, cotangent of the product).

    A weight that is used at T time steps gets the sum of T products ``rowsᵀ g``. That sum is a single product of all
    rows, stacked over the steps: a large product instead of many small ones.
    """

    __slots__ = ()

    def _put_together(self, shape: tuple[int, ...]) -> Any:
        if len(self.parts) == 1:
            ((rows, g),) = self.parts
        else:
            rows, g = (np.concatenate(column) for column in zip(*self.parts))
        return _matmul(rows.T, g)


def _matmul_right(g: Any, ans: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 2:  # the common case
        return Products([(a, g)])
    if a.ndim == 1:
        return np.expand_dims(a, -1) * np.expand_dims(g, -2) if b.ndim > 1 else a * g
    if b.ndim == 1:
        return np.expand_dims(g, -2) @ a if a.ndim > 1 else a * g
    if b.ndim == 2 and a.ndim > 2:  # a sequence times one matrix: one product over all steps instead of a sum of many
        rows = math.prod(a.shape[:-1])  # not -1, which is ambiguous in an empty array
        return _matmul(np.reshape(a, (rows, a.shape[-1])).T, np.reshape(g, (rows, g.shape[-1])))
    return _flipped(a) @ g


matmul = overrides(np.matmul)(linear(_matmul, _matmul_left, _matmul_right))


@overrides(np.dot)
def dot(a: Any, b: Any) -> Any:
    """np.dot: the last axis of a against the last but one of b."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) <= 2:
        return np.matmul(a, b)
    rest = np.shape(b)[:-2] + np.shape(b)[-1:]
    columns = np.reshape(np.moveaxis(b, -2, 0), (np.shape(b)[-2], math.prod(rest)))
    return np.reshape(np.matmul(a, columns), np.shape(a)[:-1] + rest)


# --- einsum ----------------------------------------------------------------------------------------------------------


def explicit_subscripts(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with ``...`` spelled out and an implicit result made explicit."""
    subscripts = subscripts.replace(" ", "")
    left, arrow, result = subscripts.partition("->")
    operands = left.split(",")
    if len(operands) != len(shapes):
        raise ValueError(f"{subscripts!r} names {len(operands)} operands, but {len(shapes)} were given")
    free = [letter for letter in string.ascii_letters if letter not in subscripts]
    hidden = [len(shape) - len(o.replace("...", "")) if "..." in o else 0 for o, shape in zip(operands, shapes)]
    ellipsis = "".join(free[: max(hidden)])
    operands = [o.replace("...", ellipsis[len(ellipsis) - n :]) for o, n in zip(operands, hidden)]
    if arrow:
        result = result.replace("...", ellipsis)
    else:
        letters = "".join(operands)
        once = sorted(letter for letter in set(letters) - set(ellipsis) if letters.count(letter) == 1)
        result = ellipsis + "".join(once)
    return operands, result


def _from_lists(parts: list[Any]) -> tuple[str, tuple[Any, ...]]:
    """Subscripts and operands of a call with a list of axes after each operand, and perhaps one for the result."""
    operands, lists = parts[: len(parts) // 2 * 2 : 2], parts[1::2]
    if len(parts) % 2:
        lists.append(parts[-1])
    numbers = sorted({i for axes in lists for i in axes if i is not Ellipsis})  # they stand for letters in this order
    letter = dict(zip(numbers, string.ascii_letters)) | {Ellipsis: "..."}
    words = ["".join(letter[i] for i in axes) for axes in lists]
    return ",".join(words[: len(operands)]) + "".join(f"->{word}" for word in words[len(operands) :]), tuple(operands)


def _einsum_transposed(
    wanted: list[int], g: Any, ans: Any, *operands: Any, subscripts: str, **options: Any
) -> list[Any]:
    return [_einsum_towards(i, g, *operands, subscripts=subscripts, **options) for i in wanted]


def _einsum_towards(i: int, g: Any, *operands: Any, subscripts: str, **options: Any) -> Any:
    """Swap operand i and the result: contract the cotangent with all other operands.

    A letter along which no other operand has operand i's length was summed over: a vector of ones repeats the cotangent
    along it. A letter that operand i repeats picked a diagonal: an identity matrix puts it back there. If operand i has
    length 1 along a letter, it was broadcast: this letter is summed over.
    """
    letters, result = explicit_subscripts(subscripts, [np.shape(o) for o in operands])
    terms = [result, *letters[:i], *letters[i + 1 :]]
    factors = [g, *operands[:i], *operands[i + 1 :]]
    known = {letter for term, o in zip(terms, factors) for letter, n in zip(term, np.shape(o)) if n != 1}
    free = (letter for letter in string.ascii_letters if letter not in "".join(letters) + result)
    wanted = ""
    for letter, n in zip(letters[i], operands[i].shape):
        if n == 1:
            continue
        if letter in wanted:
            twin = next(free)
            terms.append(letter + twin)
            factors.append(np.eye(n, dtype=operands[i].dtype))
            letter = twin
        elif letter not in known:
            terms.append(letter)
            factors.append(np.ones_like(operands[i], shape=(n,)))
        wanted += letter
    towards = contraction(*factors, subscripts=",".join(terms) + "->" + wanted, **options)
    shape = operands[i].shape
    return towards if towards.shape == shape else np.reshape(towards, shape)  # axes of length 1 between the others


def _einsum_pushed(tangents: Any, ans: Any, *operands: Any, subscripts: str, **options: Any) -> Any:
    total = None
    for i, v in enumerate(tangents):
        if v is not None:
            part = contraction(*operands[:i], v, *operands[i + 1 :], subscripts=subscripts, **options)
            total = part if total is None else total + part
    return total


def _einsum(*operands: Any, subscripts: str, optimize: bool = False) -> Any:
    if optimize:  # a product of two conditions on the way to real numbers would forget how many there were
        common = np.result_type(*operands)
        operands = tuple(np.asarray(a, common) for a in operands)
    return np.einsum(subscripts, *operands, optimize=optimize)


contraction = primitive(_einsum, _einsum_transposed, _einsum_pushed)


@overrides(np.einsum)
def einsum(subscripts: Any, *operands: Any, optimize: Any = False) -> Any:
    """np.einsum: subscripts as a string, with ``...`` and repeated letters; or a list of axes after each operand."""
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists([subscripts, *operands])
    operands = tuple(o if hasattr(o, "shape") else np.asarray(o) for o in operands)
    options = {"optimize": True} if optimize else {}  # a path for these operands wouldn't fit the transposes
    return contraction(*operands, subscripts=subscripts, **options)
