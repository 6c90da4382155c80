"""The kinds of edits of factors, terms and values, from the usual to the rare."""

from __future__ import annotations

from .of_factors import (
    equal_weights,
    factors_of,
    factors_of_einsums,
    factors_together,
    factors_too_many,
    groups_left_out,
    groups_of,
    lines_times_something,
    quotients,
    slopes,
    softmax_of_the_loss,
    softmaxes,
)
from .of_steps import rows_beside, steps_beside
from .of_terms import (
    brackets,
    carried_whole,
    carries_kept,
    differences,
    exchanges,
    factors_of_one_term,
    handed_on,
    penalties,
    read_too_late,
    starts_of_pieces,
    terms_left_out,
    terms_of,
    terms_of_others,
    terms_together,
    terms_too_many,
    whole_lines,
)
from .of_values import (
    blocks,
    choices,
    constants,
    ends_for_beginnings,
    forgotten_masks,
    functions,
    masks,
    matrix_products,
    other_data,
    other_parameters,
    other_values,
    powers,
    products_of_one,
    references_to_others,
    slices,
    sums_over_axes,
    transposes,
    transposes_together,
)

KINDS = (
    (
        factors_of, groups_left_out, terms_of, differences, transposes, other_parameters, functions, choices, quotients,
        sums_over_axes, terms_together, softmaxes, softmax_of_the_loss, masks,
        factors_of_einsums,
    ),
    (factors_together, transposes_together, groups_of, slopes, references_to_others, other_data, blocks, slices,
     constants, matrix_products, powers, terms_left_out, brackets, factors_of_one_term, products_of_one,
     ends_for_beginnings, equal_weights, handed_on, read_too_late, starts_of_pieces),
    (factors_too_many, other_values),
)  # fmt: skip
WHOLE = (
    (whole_lines,), (exchanges, terms_of_others, carried_whole, penalties),
    (lines_times_something, terms_too_many, carries_kept, forgotten_masks),
)  # fmt: skip
PLAIN = (*KINDS[0], references_to_others, blocks, powers, steps_beside, rows_beside, other_data, equal_weights)
