"""Edits of smoothed classes: of ``a + b onehot(y)`` in a line, and of data with such rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from ...autodiff.rules import elementwise
from ..equations.arithmetic import scaled
from ..equations.expressions import Apply, Data, Expression, Number, Parameter, Reference, apply
from ..equations.lines import Line
from ..equations.parts import parts
from ..equations.recognising import one_hot
from ..running.evaluate import Running, compiled
from .found import Found
from .hand import Hand
from .of_terms import addends, coefficient


def smoothing(part: Expression, line: Line, hand: Hand) -> Found:
    """The classes themselves, or smoothed in another way, in the place of smoothed ones."""
    if isinstance(part, Data) and part.name in hand.smoothed:
        yield from _otherwise(Apply(largest, (part,), {}, part.shape), 1.0, hand.smoothed[part.name][1])
    terms = list(addends(part))
    for rest, of_class in itertools.permutations(terms, 2) if len(terms) == 2 and part.ndim else ():
        classes = [p for p in parts(of_class, Apply) if p.operation is one_hot]
        if len(classes) == 1 and not any(parts(rest, Reference, Parameter, Data)):
            to_each = float(np.ravel(compiled(rest)(Running({}, {}), None))[0])
            yield from _otherwise(classes[0], coefficient(of_class) + part.shape[-1] * to_each, to_each)


def _otherwise(classes: Expression, whole: float, to_each: float) -> Found:
    """Other smoothings.

    Args:
        classes: the classes, 1 and 0.
        whole: what a row adds up to.
        to_each: what each class is given, of the share of all.
    """
    k = classes.shape[-1]
    for of_class, of_each, said in _weights(k * to_each / whole, k):
        new = scaled(classes, whole * of_class)
        new = apply(elementwise.add, new, Number(whole * of_each)) if of_each else new
        yield new, f"the classes {{}} were smoothed in another way: {said}", (classes,)


def _weights(share: float, k: int) -> Iterator[tuple[float, float, str]]:
    """The weight of the class itself, and what each of ``k`` classes is given besides, where all share ``share``."""
    yield 1.0, 0.0, "not at all"
    yield 1.0, share / k, "what is shared wasn't taken from the class"
    yield 1 - share, 0.0, "what is shared was left out"
    yield 1 - share, share, "what is shared wasn't divided by the number of classes"
    yield 1 - share, share / (k - 1), "what is shared was divided by the number of the other classes"
    yield 1 - share * k / (k - 1), share / (k - 1), "the other classes alone share it"
    yield (1 - share) ** 2, (2 - share) * share / k, "twice"


def largest(probabilities: np.ndarray) -> np.ndarray:
    """An array with 1 where a row has its largest number, and 0 elsewhere."""
    return np.eye(probabilities.shape[-1])[np.argmax(probabilities, axis=-1)]
