"""The slips of the worked example: the places where the article's printed lines differ from its own formulas.

Its totals, its losses and its update are right. Some lines on the way are not: two printed numbers
stand in the wrong place, some are off in the second decimal, and some formulas have a wrong index
or a factor too many. Each slip is listed with the result of the formulas, both evaluated on the
article's numbers.

Source: "Under The Hood of Neural Networks. Part 2: Recurrent", in its own letters ``W_s, U, W_o,
B_s, B_o, I_t``; see ``manual.worked_example``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .arrays import Array, outer, sum_steps
from .elman import HiddenParams, hidden_backward
from .worked_example import INPUTS, PARAMS, TARGETS, computed, run


class Slip(NamedTuple):
    """A place where the article and its formulas differ.

    Attributes:
        where: the line of the article.
        article_prints: the printed text.
        formulas_give: the correct text.
        why: the explanation.
        as_printed: the printed line, evaluated on the article's numbers; None if it can't be
            evaluated (it multiplies shapes that don't fit).
        correct: the right line, evaluated on the same numbers.
    """

    where: str
    article_prints: str
    formulas_give: str
    why: str
    as_printed: Array | None
    correct: Array


def slips() -> tuple[Slip, ...]:
    """The slips of the article, in the order in which it prints them."""
    return (*_slips_in_formulas(), *_slips_in_numbers())


def _through_state(g: Array, t: int) -> HiddenParams:
    """``g · ∂s_t/∂θ`` for each parameter ``θ`` of the recurrence, through all paths."""
    trace = run()[0].hidden
    dLt_ds = np.zeros_like(trace.a)
    dLt_ds[t - 1] = g
    return sum_steps(hidden_backward(trace, dLt_ds).contributions)


def _slips_in_formulas() -> tuple[Slip, ...]:
    """The formulas, evaluated for the loss ``L_4``."""
    trace, back = run(steps=(4,))
    o_4, y_4 = trace.o[0], TARGETS[0]
    delta, s = back.delta, trace.s
    first_terms = outer(INPUTS[3], delta[3]) + outer(INPUTS[2], delta[2])  # steps 4 and 3 of ∂W_s
    at_s_3, at_s_2 = delta[3] @ PARAMS.W.T, delta[2] @ PARAMS.W.T
    delta_0 = back.dL_ds0  # Δ_1 Uᵀ ∘ f'(s_0^in), and f' is 1 where s_0 is 0
    ds_2 = np.stack([_through_state(unit, 2).W for unit in np.eye(2)])  # ∂s_2/∂U
    return (
        Slip(
            where="the sentence below the forward equations",
            article_prints="y_t is the output at time-step t",
            formulas_give="o_t is the output; y_t is the target",
            why="y_t is the target in the loss and its derivative, y_t ∘ (o_t - 1)",
            as_printed=o_4 * (o_4 - 1),
            correct=y_4 * (o_4 - 1),
        ),
        Slip(
            where="∂L_t/∂W_s, the line with f'_s(s_{t-1}^in) written out",
            article_prints="... U^T ∂s_{t-3}/∂W_s",
            formulas_give="... U^T ∂s_{t-2}/∂W_s",
            why="s_{t-1} depends on s_{t-2}; the contribution of step t-2 would be lost",
            as_printed=first_terms + _through_state(at_s_2, 1).U,
            correct=first_terms + _through_state(at_s_2, 2).U,
        ),
        Slip(
            where="∂L_t/∂W_s = Σ I_t Δ_t",
            article_prints="I_t Δ_t",
            formulas_give="I_t^T Δ_t",
            why="a row times a row isn't defined; the lines above it have the transpose",
            as_printed=None,
            correct=back.gradients.U,
        ),
        Slip(
            where="the sums of ∂L_t/∂W_s, ∂L_t/∂B_s and ∂L_t/∂U (evaluated for B_s)",
            article_prints="Σ from t = 0 to i",
            formulas_give="for the loss L_t: Σ from k = 1 to t, of the terms of step k",
            why="steps count from 1: s_0 is given, I_0 and s_{-1} don't exist, so Δ_0 contributes "
            "to no parameter; and t can't be both the step of the loss and the one that is summed",
            as_printed=back.gradients.b + delta_0,
            correct=back.gradients.b,
        ),
        Slip(
            where="∂L_t/∂B_s, the line before the sum",
            article_prints="... U^T ∂f_s(s_{t-2} U + I_{t-1} W_s + B_s)/∂W_s",
            formulas_give="... U^T ∂f_s(s_{t-2} U + I_{t-1} W_s + B_s)/∂B_s",
            why="copied from the derivation of W_s; the shapes of the two terms would differ",
            as_printed=delta[3] + _through_state(at_s_3, 3).U,
            correct=delta[3] + _through_state(at_s_3, 3).b,
        ),
        Slip(
            where="∂L_t/∂U, the line before the sum",
            article_prints="s_{t-2}^T y_t ∘ (o_t - 1) ... U^T ∂s_{t-2}/∂U",
            formulas_give="y_t ∘ (o_t - 1) ... U^T ∂s_{t-2}/∂U",
            why="s_{t-2}^T belongs to the term before it alone; here it adds an axis too many",
            as_printed=np.einsum("p,m,mij->pij", s[2], at_s_2, ds_2),
            correct=np.einsum("m,mij->ij", at_s_2, ds_2),
        ),
    )


def _slips_in_numbers() -> tuple[Slip, ...]:
    """The numbers, to the two decimals of the article."""
    values = computed()
    return (
        Slip(
            where="Δ_4 of L_4, first line",
            article_prints="[0.22 1.08 -0.19] - 1",
            formulas_give="[0.55 0.75 0.45] - 1",
            why="the pre-activation o_4^in stands where the activation o_4 belongs",
            as_printed=np.array([0.22, 1.08, -0.19]),
            correct=values["o[4]"],
        ),
        Slip(
            where="Δ_4 of L_4, second line",
            article_prints="[-0.78 -0.00 -1.19]",
            formulas_give="[-0.45 0.00 -0.55]",
            why="it follows from the line above; its product [0.40 -0.12] is that of the activation"
            ", while the printed line would give [0.70 -0.24]",
            as_printed=np.array([-0.78, 0.00, -1.19]),
            correct=values["y[4]*(o[4]-1)"],
        ),
        Slip(
            where="Δ_4 of L_4, and every product of L_4 in which it is repeated",
            article_prints="[0.17 -0.08]",
            formulas_give="[0.18 -0.08]",
            why="0.40 · 0.45 = 0.18, and the printed sum 0.21 of ∂L_4/∂B_s contains 0.18, not 0.17",
            as_printed=np.array([0.17, -0.08]),
            correct=values["L4: delta[4]"],
        ),
        Slip(
            where="∂L_4/∂U, the product of s_1 and Δ_2",
            article_prints="[0.75 0.60]",
            formulas_give="[0.64 0.54]",
            why="the pre-activation s_1^in stands where the state s_1 belongs",
            as_printed=np.array([0.75, 0.60]),
            correct=values["s[1]"],
        ),
    )
