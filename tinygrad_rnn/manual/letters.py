"""The letters of the articles, and their translation into ours.

All of them write the same network, ``s_t = f(x_t U + s_{t-1} W + b)``, ``o_t = f_o(s_t V + c)``, each in its own
letters; ``U``, ``W`` and ``V`` each stand for different matrices in different articles:

====================================  =====  =====  =====  =====  =====  ==========  =========
article                               ``U``  ``W``  ``V``  ``b``  ``c``  input       state
====================================  =====  =====  =====  =====  =====  ==========  =========
here                                  U      W      V      b      c      x_t         s_t
Under The Hood of Neural Networks 2   W_s    U      W_o    B_s    B_o    I_t         s_t
Mild Introduction ... Part 2          U      W      V      none   none   x^t         h^t
What is a Recurrent ... RNN?          U      V      W      none   none   X_t         h_t
Learning Algorithm                    U      W      V      b      c      x_i         s_i
Updating parameters and RNN training  U      W      V      b      c      not named   not named
====================================  =====  =====  =====  =====  =====  ==========  =========

Two of them, "Learning Algorithm" and "Updating parameters", write vectors as columns, ``U x_t``, so that their
matrices are the transposes of ours: ``U`` is (d, n), not (n, d).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .arrays import Array
from .elman import ElmanParams


class Notation(NamedTuple):
    """The letters of an article for the parameters of an Elman network.

    Attributes:
        article: the title of the article.
        U: its name for the matrix from input to hidden.
        W: its name for the matrix from hidden to hidden.
        V: its name for the matrix from hidden to output.
        b: its name for the hidden bias; None if it has none.
        c: its name for the output bias; None if it has none.
        columns: whether its vectors are columns; its matrices are then the transposes of ours.
    """

    article: str
    U: str
    W: str
    V: str
    b: str | None
    c: str | None
    columns: bool = False


UNDER_THE_HOOD = Notation("Under The Hood of Neural Networks. Part 2: Recurrent", "W_s", "U", "W_o", "B_s", "B_o")
MILD_INTRODUCTION = Notation(
    "Mild Introduction to Modern Sequence Processing. Part 2: Recurrent Neural Networks Training",
    "U",
    "W",
    "V",
    None,
    None,
)
WHAT_IS_AN_RNN = Notation("What is a Recurrent Neural Networks or RNN?", "U", "V", "W", None, None)
LEARNING_ALGORITHM = Notation(
    "Learning Algorithm - Recurrent Neural Networks(RNNs)", "U", "W", "V", "b", "c", columns=True
)
UPDATING_PARAMETERS = Notation("Updating parameters and RNN training", "U", "W", "V", "b", "c", columns=True)
NOTATIONS = (UNDER_THE_HOOD, MILD_INTRODUCTION, WHAT_IS_AN_RNN, LEARNING_ALGORITHM, UPDATING_PARAMETERS)


def to_letters(params: ElmanParams, notation: Notation) -> dict[str, Array]:
    """Parameters, or their gradients, in the letters and the orientation of an article.

    Args:
        params: arrays in our letters. Axes before a parameter's own (of steps or of loss components) stay in front.
        notation: the article's notation.

    Returns:
        The arrays by the article's names. A bias that the article doesn't have is left out.

    Example:
        >>> from tinygrad_rnn.manual import worked_example
        >>> gradients = worked_example.run()[1].gradients
        >>> to_letters(gradients, UNDER_THE_HOOD)["B_s"].round(2)
        array([ 0.18, -0.27])
    """
    theirs = {}
    for ours, array in params._asdict().items():
        name = getattr(notation, ours)
        if name is not None:
            theirs[name] = _turned(array, ours, notation)
    return theirs


def from_letters(arrays: Mapping[str, Array], notation: Notation) -> ElmanParams:
    """Parameters, or their gradients, in our letters and orientation.

    Args:
        arrays: parameters by the article's names.
        notation: the article's notation.

    Returns:
        The parameters in our letters, with zeros for a bias that the article doesn't have.

    Raises:
        KeyError: an array is missing, or one has a name that the article doesn't use.
    """
    names = {ours: getattr(notation, ours) for ours in ElmanParams._fields}
    expected = {name for name in names.values() if name is not None}
    if set(arrays) != expected:
        raise KeyError(f'"{notation.article}" has {", ".join(sorted(expected))}; given are {", ".join(sorted(arrays))}')
    found = {
        ours: _turned(np.asarray(arrays[name]), ours, notation) for ours, name in names.items() if name is not None
    }
    found.setdefault("b", np.zeros_like(found["W"][..., 0, :]))
    found.setdefault("c", np.zeros_like(found["V"][..., 0, :]))
    return ElmanParams(**found)


def _turned(array: Array, ours: str, notation: Notation) -> Array:
    """A matrix between the two orientations; a bias has only one."""
    return array.swapaxes(-1, -2) if notation.columns and ours in ("U", "W", "V") else array
