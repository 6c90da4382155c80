"""The forward pass of a recorded loss: its quantities with their equations, as a person would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...autodiff.tensor import Tensor
from ...recorded.recording import Recording
from ..equations.quantities import Place, Quantity
from .bracketing import bracketed_norm
from .comparisons import as_comparison, write_out_masks
from .draft import Draft
from .functions import as_function
from .items import cleaned
from .joining import join_equal
from .mixtures import as_mixture
from .rolling import Rolling
from .softmaxes import add_softmaxes, as_log_softmax, chosen_first, mark_distributions
from .stable_forms import as_stable_form
from .steps import merge_sums, number_steps
from .summing import sum_at_once


class Forward(NamedTuple):
    """The forward pass of a loss."""

    quantities: list[Quantity]  # its quantities, each after those that it reads at the same step
    loss: Place  # the one that is derived, at its last step if it has steps
    data: dict[str, np.ndarray]  # the arrays besides the parameters that equations read, by name
    adding_up: set[str]  # the names of those whose rows have to add up to 1


def read_forward(
    recording: Recording, parameters: Mapping[Tensor, str], data: Mapping[Tensor, str], given: Mapping[str, np.ndarray]
) -> Forward:
    """Read the forward pass of a recorded loss.

    Args:
        recording: the loss.
        parameters: the leaves by which it is differentiated, by their names in lines.
        data: other leaves with a name.
        given: the arrays that the loss was given, by name.
    """
    root, items = cleaned(recording.loss, parameters, data, recording.origins, recording.variables)
    number_steps(items)
    rolling = Rolling(merge_sums(items), given, set(parameters.values()))
    values = {parameters[leaf]: np.asarray(leaf.data) for leaf in parameters}
    own, end = rolling.of[root]
    loss = join_equal(rolling.quantities).get(own, own)
    draft = Draft(rolling.quantities, loss, rolling.masks, values, rolling.data, given)
    write_out_masks(draft)
    draft.rewrite(bracketed_norm)
    sum_at_once(draft)
    for rewriting in (as_comparison, as_function, chosen_first, as_stable_form, as_mixture, as_log_softmax):
        draft.rewrite(rewriting)
    adding_up = mark_distributions(draft)
    add_softmaxes(draft)
    return Forward(draft.quantities, (loss, end if loss.steps else None), rolling.data, adding_up)
