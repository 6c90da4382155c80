"""Mistakes that are visible in an array itself, without its derivation: a sign, a transpose, a factor."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..measures import Tolerance, constant_of
from ..report import Diagnosis, Row
from ..rows import Sides
from .layouts import BLOCKS, in_blocks, layouts
from .sizes import Sizes

MOST_ROWS = 64
Change = tuple[str, np.ndarray]  # a phrase, and the right array with the mistake applied


class Given(NamedTuple):
    """An array that is to be explained.

    Attributes:
        sizes: the sizes of the network.
        name: the name of the parameter or the line.
        right: the right array.
        array: the given one.
    """

    sizes: Sizes
    name: str
    right: np.ndarray
    array: np.ndarray


def sign(given: Given) -> Iterator[Change]:
    """The other sign."""
    yield "minus the right one", -given.right


def transposed(given: Given) -> Iterator[Change]:
    """The transpose, if the matrix is square; else the shape itself is wrong."""
    right = given.right
    if right.ndim == 2 and right.shape[0] == right.shape[1]:
        yield "the transpose of the right one", right.T


def left_out(given: Given) -> Iterator[Change]:
    """Zeros."""
    yield "zero: its term was left out", np.zeros_like(given.right)


def another_factor(given: Given) -> Iterator[Change]:
    """A factor: 2, or the number of steps or of instances (a mean for a sum)."""
    for what, factor in _by_size(given.sizes).items():
        yield f"the right one times {what}", factor * given.right


def a_constant(given: Given) -> Iterator[Change]:
    """The number that fits, if it is none of a known meaning."""
    right = given.right
    if right.size > 1:
        factor = constant_of(right, given.array)
        known = (*_by_size(given.sizes).values(), 1.0, -1.0, 0.0)
        if not any(np.isclose(factor, other, rtol=1e-9) for other in known) and np.count_nonzero(right) > 1:
            why = " (the update, with its sign, instead of the gradient?)" if factor < 0 else " (a learning rate?)"
            yield f"the right one times a constant, {factor:.6g}{why}", factor * right


SUMMED_OVER = {"T": "steps", "B": "instances", "m": "loss terms"}


def _by_size(sizes: Sizes) -> dict[str, float]:
    """2, sizes, their inverses and the inverses of products of two, and ratios to sums of the data, by name."""
    found = {"2": 2.0, "1/2": 0.5}
    lengths = sizes.by_letter
    for letter, size in lengths.items():
        what = SUMMED_OVER.get(letter)
        mean = f", the mean over the {what} for their sum" if what else ""
        total = f", the sum over the {what} for their mean" if what else ""
        found[f"1/{letter} ({letter} = {size}{mean})"] = 1 / size
        found[f"{letter} ({letter} = {size}{total})"] = float(size)
    others = {n for array in sizes.recording.arrays for n in array.shape} - {1, 2, *lengths.values()}
    for n in sorted(others):
        found[f"1/{n}, the length of an axis of the data"] = 1 / n
        found[f"{n}, the length of an axis of the data"] = float(n)
    for a, b in itertools.combinations(lengths, 2):
        found[f"1/({a} {b}) ({a} = {lengths[a]}, {b} = {lengths[b]})"] = 1 / (lengths[a] * lengths[b])
    for a, b in itertools.combinations_with_replacement(sorted({*others, *lengths.values()}), 2):
        if not any(np.isclose(1 / (a * b), factor) for factor in found.values()):
            found[f"1/{a * b} ({a} times {b}: a mean over two axes for their sum)"] = 1 / (a * b)
    for array in sizes.recording.arrays:
        if array.dtype.kind in "fb" and array.size > 1 and np.all(array >= 0) and np.any(array > 0):
            whole = float(np.sum(array))
            for n in sorted({*array.shape, array.size} - {1}):
                found[f"{whole:.6g}/{n}: divided by {n} for the sum of an array (weights, a mask)"] = whole / n
                found[f"{n}/{whole:.6g}: divided by the sum of an array (weights, a mask) for {n}"] = n / whole
    return found


def permuted_gates(given: Given) -> Iterator[Change]:
    """The gates in every other order than in the parameter."""
    right = given.right
    columns = given.sizes.gates.get(given.name, {})
    if not columns:
        for said, taken in in_blocks(right):
            yield f"the right one {said}", taken
        for count in BLOCKS:
            if right.ndim and right.shape[-1] % count == 0:
                mixed = np.stack(np.split(right, count, axis=-1), axis=-1).reshape(right.shape)
                yield f"the right one with its {count} gates interleaved, unit by unit", mixed
    places = [np.flatnonzero(mask) for mask in columns.values()]
    if len({len(place) for place in places}) != 1 or sum(map(len, places)) != right.shape[-1]:
        return
    own = list(columns)
    for order in itertools.permutations(range(len(own))):
        if order != tuple(range(len(own))):
            taken = np.concatenate([right[..., places[i]] for i in order], axis=-1)
            mixed = np.empty_like(right)
            mixed[..., np.concatenate(places)] = taken
            yield f"the right one with its gates in the order {', '.join(own[i] for i in order)}", mixed


def exchanged(given: Given) -> Iterator[Change]:
    """The gradient of another parameter of the same shape, or its transpose."""
    right = given.right
    for other, gradient in given.sizes.right.items():
        if other != given.name and gradient.shape == right.shape and gradient.any():
            yield f"the right gradient of {other}: the two were exchanged, or one was taken for the other", gradient
        elif other != given.name and gradient.ndim == 2 and gradient.T.shape == right.shape and gradient.any():
            yield f"the right gradient of {other}, transposed", gradient.T


def penalty(given: Given) -> Iterator[Change]:
    """The multiple of the parameter itself that fits, added: the gradient of a penalty."""
    right = given.right
    value = np.asarray(given.sizes.recording.values()[given.name], np.float64)
    square = float(np.vdot(value, value))
    if right.size > 1 and square > 0:
        multiple = float(np.vdot(value, given.array - right)) / square
        if multiple:
            sign = "plus" if multiple > 0 else "minus"
            yield (
                f"the right one {sign} {abs(multiple):.6g} {given.name}: a penalty too many or too few",
                right + multiple * value,
            )


def scaled_rows(given: Given) -> Iterator[Change]:
    """Each row times a number of its own, if the numbers that fit are ratios of small ones."""
    right = given.right
    if right.ndim != 2 or right.shape[1] < 2 or given.array.shape != right.shape:
        return
    lengths = np.sum(right * right, axis=1)
    factors = np.divide(np.sum(right * given.array, axis=1), lengths, out=np.ones_like(lengths), where=lengths > 0)
    if (
        np.allclose(1 / factors[factors != 0], np.round(1 / factors[factors != 0]), atol=1e-6)
        and len(set(np.round(factors[lengths > 0], 9))) > 1
    ):
        said = ", ".join(f"{factor:.4g}" for factor in factors[:6])
        yield (
            f"the right one with its rows times {said}: divided by how often each comes, or some left out",
            right * factors[:, None],
        )


def clipped(given: Given) -> Iterator[Change]:
    """Each number clipped at the largest given one, if that cuts several, or is a round number."""
    right = given.right
    bound = float(np.max(np.abs(given.array), initial=0.0))
    cut, is_round = np.count_nonzero(np.abs(right) >= bound), bound and float(f"{bound:.1g}") == bound
    if is_round or 1 < cut < right.size:
        yield f"the right one, clipped: no number is larger than {bound:.6g}", np.clip(right, -bound, bound)


def normalised(given: Given) -> Iterator[Change]:
    """A gradient scaled to a round norm of its own."""
    norm, own = (float(np.linalg.norm(array)) for array in (given.array, given.right))
    if given.right.size > 1 and own > 0 and norm > 0 and np.isclose(norm, float(f"{norm:.1g}"), rtol=1e-9):
        yield f"the right one, scaled so that its own norm is {norm:.1g}", given.right * (norm / own)


def reordered(given: Given) -> Iterator[Change]:
    """The rows or columns in the order that fits."""
    right = given.right
    for axis in range(right.ndim):
        a, b = (np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1) for x in (right, given.array))
        if 1 < len(a) <= MOST_ROWS and a.shape[1]:
            order = np.argmin(np.max(np.abs(b[:, None] - a), axis=2), axis=1)
            what = ("rows", "columns")[axis] if right.ndim == 2 else f"parts along axis {axis}"
            said = ", ".join(map(str, order + 1))
            if np.array_equal(np.sort(order), np.arange(len(a))):
                yield f"the right one with its {what} in the order {said}", np.take(right, order, axis=axis)


FACTOR = "factor"
CONSTANT = "constant"
PENALTY = "penalty"
CHANGES_OF_AN_ARRAY: dict[str, Callable[[Given], Iterator[Change]]] = {
    "sign": sign, "transposed": transposed, "left out": left_out, "gates permuted": permuted_gates,
    "exchanged": exchanged, PENALTY: penalty, "rows scaled": scaled_rows, "clipped": clipped, "normalised": normalised,
    "reordered": reordered, FACTOR: another_factor, CONSTANT: a_constant,
}  # fmt: skip


def changed_arrays(sides: Sides, wrong: Sequence[Row] | None = None) -> Iterator[Diagnosis]:
    """Mistakes that act on an array by itself, in the wrong gradients or in some of them."""
    wrong, sizes, tolerance = sides.wrong if wrong is None else wrong, Sizes(sides.recording), sides.tolerance
    found: dict[tuple[str, str], list[str]] = {}
    pairs = {row.name: (row.autograd, np.asarray(row.manual)) for row in wrong}
    for row in wrong:
        assert row.manual is not None
        for mistake, changes in CHANGES_OF_AN_ARRAY.items():
            for phrase, changed in changes(Given(sizes, row.name, sizes.right[row.name], row.manual)):
                if tolerance.equal(changed, row.manual):
                    found.setdefault((mistake, phrase), []).append(row.name)
                    if mistake != FACTOR:  # a factor may be that of several sizes; else the first will do
                        break
    for (mistake, phrase), names in found.items():
        if mistake == CONSTANT:
            factor = constant_of(*pairs[names[0]])  # one number alone is a constant times any other
            scalars = ((name, pair) for name, pair in pairs.items() if pair[0].size == 1)
            names += [name for name, (right, given) in scalars if tolerance.equal(factor * right, given)]
        several = "your gradients equal" if len(names) > 1 else "your gradient equals"
        phrase = phrase.replace("the right one", "the right ones") if len(names) > 1 else phrase
        sentence = f"{', '.join(names)}: {several} {phrase}."
        yield Diagnosis(mistake, tuple(names), sentence, len(names) == len(wrong))
    yield from _normalised_together(sides, wrong)
    yield from _moved_to_another(wrong, tolerance)


def _normalised_together(sides: Sides, wrong: Sequence[Row]) -> Iterator[Diagnosis]:
    """The gradients, scaled so that all together have a round norm."""
    given = [row.autograd if row.manual is None else np.asarray(row.manual) for row in sides.rows]
    norm, own = (
        np.sqrt(sum(float(np.vdot(array, array)) for array in arrays))
        for arrays in (given, [row.autograd for row in sides.rows])
    )
    is_round = norm and np.isclose(norm, float(f"{norm:.1g}"), rtol=1e-9)
    if is_round and all(
        sides.tolerance.equal(row.autograd * (norm / own), array) for row, array in zip(sides.rows, given)
    ):
        names = tuple(row.name for row in wrong)
        said = f"your gradients equal the right ones, scaled so that the norm of all together is {norm:.1g}"
        yield Diagnosis("normalised", names, f"{', '.join(names)}: {said}.")


def _moved_to_another(wrong: Sequence[Row], tolerance: Tolerance) -> Iterator[Diagnosis]:
    """Two gradients whose sum is right: they were exchanged, or one, or a part of it, was added to the other."""
    if len(wrong) != 2:
        return
    one, other = sorted(wrong, key=lambda row: np.any(row.manual))  # one that is zero first
    for turned in (False, True):
        moved, right = (np.asarray(row).T if turned else np.asarray(row) for row in (one.manual, one.autograd))
        fits = moved.shape == other.autograd.shape and other.manual is not None
        if fits and tolerance.equal(moved + other.manual, right + other.autograd, other.autograd):
            names, mistake = f"the gradient of {one.name} was added to that of {other.name}", "added to another"
            said = f"a part of {names}, or the reverse" if np.any(moved) else names
            if tolerance.equal(moved, other.autograd):
                said, mistake = "the two gradients were exchanged", "exchanged"
            sentence = f"{one.name}, {other.name}: {said}{', transposed' * turned}."
            yield Diagnosis(mistake, (one.name, other.name), sentence)
            return


def in_one_sentence(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """The diagnoses with equal factors joined into one: 1/2, which is both 1/B and 1/k."""
    found: dict[tuple[str, ...], list[Diagnosis]] = {}
    for one in diagnoses:
        key = (FACTOR, *one.parameters) if one.mistake == FACTOR else (one.sentence,)
        found.setdefault(key, []).append(one)
    joined = []
    for alike in found.values():
        head, _, first = alike[0].sentence.rstrip(".").partition(" times ")
        others = [one.sentence.rstrip(".").partition(" times ")[2] for one in alike[1:]]
        said = f"{head} times {', or '.join([first, *others])}." if others else alike[0].sentence
        joined.append(replace(alike[0], sentence=said))
    return joined


def misshapen(right: np.ndarray, given: np.ndarray, tolerance: Tolerance) -> str | None:
    """A description of an array of the wrong shape that has the right numbers; None for any other."""
    if given.T.shape == right.shape and tolerance.equal(given.T, right):
        return "the transpose of the right one"
    for axis in range(given.ndim):
        summed = given.sum(axis=axis)
        if given.shape[axis] > 1 and summed.shape == right.shape and tolerance.equal(summed, right):
            return f"the right one before its sum over axis {axis} (instances or steps), of length {given.shape[axis]}"
    for how, arranged in layouts(right, given.shape):
        if tolerance.equal(arranged.reshape(given.shape), given):
            return f"the right one {how}"
    if given.ndim == right.ndim and given.shape[1:] == right.shape[1:] and len(given) == len(right) + 1:
        for place, rest in (("last", given[:-1]), ("first", given[1:])):
            if tolerance.equal(rest, right):
                return f"the right one with one row too many, the {place}: that of the bias"
    return None
