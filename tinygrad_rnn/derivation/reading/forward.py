"""The forward pass of a recorded loss: its quantities with their equations, as a person would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...autodiff.tensor import Tensor
from ...recorded.recording import Recording
from ..equations.quantities import Place, Quantity
from ..equations.recognising import name_log_softmaxes, name_softmaxes
from ..running.evaluate import Running
from .bracketing import bracket_norms
from .comparisons import name_comparisons, write_out_masks
from .functions import name_functions
from .items import cleaned
from .joining import join_equal
from .rolling import Rolling
from .stable_forms import mark_distributions, name_stable_forms
from .steps import merge_sums, number_steps
from .summing import sum_at_once


class Forward(NamedTuple):
    """The forward pass of a loss.

    Attributes:
        quantities: its quantities, in the order of recording.
        loss: the one that is derived, at its last step if it has steps.
        data: the arrays besides the parameters that equations read, by name.
        adding_up: the names of those whose rows have to add up to 1.
    """

    quantities: list[Quantity]
    loss: Place
    data: dict[str, np.ndarray]
    adding_up: set[str]


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
    root, items = cleaned(recording.loss, parameters, data, recording.origins)
    number_steps(items)
    rolling = Rolling(merge_sums(items), given, set(parameters.values()))
    quantities = rolling.quantities
    joined = join_equal(quantities)
    write_out_masks(quantities, rolling.masks)
    bracket_norms(quantities)
    sum_at_once(quantities)
    name_comparisons(quantities, {name: a for name, a in rolling.data.items() if name not in given})
    known = Running({parameters[leaf]: np.asarray(leaf.data) for leaf in parameters}, rolling.data)
    name_functions(quantities, known)
    name_stable_forms(quantities, known)
    name_log_softmaxes(quantities)
    adding_up = mark_distributions(quantities, rolling.data)
    name_softmaxes(quantities)
    own, end = rolling.of[root]
    loss = joined.get(own, own)
    return Forward(quantities, (loss, end if loss.steps else None), rolling.data, adding_up)
