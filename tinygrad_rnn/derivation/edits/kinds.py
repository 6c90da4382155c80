"""The kinds of edits of a line, from the usual to the rare: of any part of its right-hand side, and of the whole."""

from __future__ import annotations

from . import of_factors as factors
from . import of_steps as steps
from . import of_terms as terms
from . import of_values as values
from . import smoothed

PARTS = (
    (
        factors.factors_of, factors.groups_left_out, terms.terms_of, terms.differences, values.transposes,
        values.other_parameters, values.functions, values.choices, factors.quotients, values.sums_over_axes,
        terms.terms_together, factors.softmaxes, factors.softmax_of_the_loss, values.masks, factors.factors_of_einsums,
        values.cases, steps.steps_beside, steps.rows_beside, steps.sums_over_steps, steps.terms_at_steps, steps.puts,
        steps.puts_over_steps,
    ),
    (
        factors.factors_together, values.transposes_together, factors.groups_of, factors.slopes,
        values.references_to_others, values.other_data, values.blocks, values.slices, values.constants,
        values.matrix_products, values.powers, terms.terms_left_out, terms.brackets_turned, terms.brackets,
        terms.factors_of_some_terms, smoothed.smoothing, values.stacked_rows, values.products_of_one,
        values.other_reductions, values.ends_for_beginnings,
        factors.equal_weights, terms.handed_on, terms.halves_exchanged, terms.numbers_exchanged,
        terms.numbers_of_steps, terms.terms_by_number, values.one_for_all, values.shares, terms.read_too_late,
        terms.starts_of_pieces, terms.lengths_of_pieces,
        steps.derivatives_beside, steps.terms_beside, steps.terms_late, steps.rows_of_derivatives,
        steps.sequences_in_turn,
    ),
    (factors.factors_too_many, values.other_values, values.forgotten_masks),
)  # fmt: skip
WHOLE = (
    (terms.whole_lines,),
    (terms.exchanges, terms.factors_exchanged, terms.derivatives_left_out, terms.terms_of_others, terms.carried_whole,
     terms.carries_times_something, terms.penalties, steps.first_steps, steps.sums_for_one_step,
     steps.means_of_sequences),
    (factors.lines_times_something, terms.terms_too_many, terms.carries_kept, factors.slopes_of_the_loss),
)  # fmt: skip
RANKS = len(PARTS)
# What is tried where a value that a line reads is written out in it.
OF_USES = (
    *PARTS[0][: PARTS[0].index(steps.steps_beside)], values.references_to_others, values.blocks, values.powers,
    steps.steps_beside, steps.rows_beside, values.other_data, factors.equal_weights, terms.halves_exchanged,
    terms.handed_on, factors.slopes_of_parts, values.matrix_products, values.forgotten_masks,
    terms.brackets_turned, smoothed.smoothing,
)  # fmt: skip
BY_PART = (*OF_USES, factors.groups_of, values.slices)  # where each part of a value is computed by itself
