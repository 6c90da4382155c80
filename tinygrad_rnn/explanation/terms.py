"""BPTT as a sum over paths, from any recorded graph: the contribution of step k to the gradient of the loss term L_t.

    ∂L_t/∂W = Σ_k ∂L_t/∂s_t · ∂s_t/∂s_k · ∂⁺s_k/∂W

where ∂⁺ is the derivative by W as it is used at step k alone. The backward pass computes these terms and sums them at
once; an observed walk sees them one by one.

Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), equations 3-5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autodiff.graph import ancestors
from ..autodiff.tables import Table, Tabular, number
from ..autodiff.tensor import Tensor
from ..recorded.contributions import contributions_by_step
from ..recorded.replay import expanded


@dataclass(frozen=True, repr=False)
class BPTTTerms(Tabular):
    """The table of terms of one parameter.

    Attributes:
        parameter: its name.
        rows: t of each loss term.
        terms: (number of loss terms, T, *shape): ``terms[i, k - 1]`` is the contribution of step k to the gradient of
            the i-th loss term.
        outside: (number of loss terms, *shape): the contributions of uses outside the steps (``xs @ U`` before the
            loop, weight decay).
    """

    parameter: str
    rows: Sequence[int]
    terms: np.ndarray
    outside: np.ndarray

    @property
    def gradient(self) -> np.ndarray:
        """The gradient of the sum of the loss terms: the sum of all terms."""
        return np.asarray(self.terms.sum(axis=(0, 1)) + self.outside.sum(axis=0))

    @property
    def norms(self) -> np.ndarray:
        """The Frobenius norm of each term, (number of loss terms, T)."""
        return _norms(self.terms, 2)

    @property
    def outside_norms(self) -> np.ndarray:
        """The Frobenius norms of the contributions from outside the steps, (number of loss terms,)."""
        return _norms(self.outside, 1)

    def table(self) -> Table:
        """The norms: a row for each loss term, a column for each step."""
        header = ["", *(f"k={k}" for k in range(1, self.terms.shape[1] + 1))]
        rows = [[f"L_{t}", *map(number, norms)] for t, norms in zip(self.rows, self.norms)]
        if self.outside.any():
            header.append("outside the steps")
            rows = [[*row, number(norm)] for row, norm in zip(rows, self.outside_norms)]
        return Table(f"Norms of the terms of ∂L/∂{self.parameter}", header, rows)


def _norms(terms: np.ndarray, leading: int) -> np.ndarray:
    flat = terms.reshape(*terms.shape[:leading], -1)
    return np.asarray(np.linalg.norm(flat, axis=-1))


def bptt_terms(
    loss_terms: Tensor | Sequence[Tensor] | Mapping[int, Tensor],
    parameter: Tensor,
    reduce: Callable[[np.ndarray], Any] | None = None,
) -> BPTTTerms:
    """The contributions to the gradient of a parameter, by the loss term and the step of each.

    One backward walk for each loss term; ``.grad`` isn't touched, and the graph stays.

    Args:
        loss_terms: L_1, L_2, ..., one number each, recorded; or a dict of them by time step; or a whole loss, which is
            then the only term.
        parameter: a leaf on which they depend.
        reduce: a function of each term, such as ``np.linalg.norm``, whose result is kept instead of the term: there
            are T² terms, each as large as the parameter.

    Returns:
        The table of terms. Its sum is the gradient of the sum of the loss terms.

    Raises:
        TypeError: there is no loss term, or one isn't a Tensor, or the parameter isn't a leaf with a gradient.
        RuntimeError: the graph was freed.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> W = tr.tensor([[0.5]], requires_grad=True, name="W")
        >>> ys, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((3, 1)), state=np.ones(1))
        >>> print(bptt_terms([np.sum(y) for y in ys], W))
        Norms of the terms of ∂L/∂W
                 k=1      k=2      k=3
        L_1  1.8e-01        0        0
        L_2  1.8e-02  1.8e-01        0
        L_3  1.8e-03  1.8e-02  1.8e-01
    """
    if isinstance(loss_terms, Tensor) and loss_terms.ndim == 0:
        loss_terms = [loss_terms]
    named = dict(loss_terms) if isinstance(loss_terms, Mapping) else dict(enumerate(loss_terms, start=1))
    if not named or not all(isinstance(term, Tensor) for term in named.values()):
        raise TypeError("bptt_terms: pass the loss terms as a list of Tensors, one number each: [L_1, L_2, ...]")
    if not (isinstance(parameter, Tensor) and parameter.is_leaf and parameter.requires_grad):
        raise TypeError("bptt_terms: the parameter is a leaf: a Tensor made with requires_grad=True")
    name = parameter.name or "W"
    keep = reduce or (lambda c: c)
    named = {t: expanded(term)[term] if term.requires_grad else term for t, term in named.items()}
    T = max((node.scope.outermost_step or 0 for node in ancestors(named.values())), default=0)
    nothing = np.asarray(keep(np.zeros_like(parameter.data)))
    terms = np.zeros((len(named), T, *nothing.shape), nothing.dtype)
    outside = np.zeros((len(named), *nothing.shape), nothing.dtype)
    for row, term in enumerate(named.values()):
        if term.requires_grad:
            for k, c in contributions_by_step(term, {name: parameter})[name].steps.items():
                if k is None:
                    outside[row] = keep(c)
                else:
                    terms[row, k - 1] = keep(c)
    return BPTTTerms(name, list(named), terms, outside)
