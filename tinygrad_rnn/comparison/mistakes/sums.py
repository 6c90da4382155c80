"""Mistakes in sums: over the steps, over the loss terms, over the instances; and truncated sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.graph import Node
from ..altered import Alteration, altered_walk
from ..case import Case, only_rows
from .base import Candidate, Cut, Edges, Mistake, walked

LONGEST = 64  # steps up to which every way to truncate is tried
LONGEST_CHUNK = 10


class WrongSteps:
    """The sum over the steps k with terms missing, or with one too many."""

    name = "sum over the steps"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Only one step, one step too few, one step too many."""
        T = case.T
        if T < 2 or not case.fits_by_step:
            return
        # how often each step counts: all of them, and one that is different
        ways = {
            "only the term of the last step; the sum over the steps k was left out": (0, {T: 1}),
            "only the term of the first step; the sum over the steps k was left out": (0, {1: 1}),
            "the sum without the first step: one step too few": (1, {1: 0}),
            "the sum without the last step: one step too few": (1, {T: 0}),
            "the sum with the first step counted twice: one step too many": (1, {1: 2}),
            "the sum with the last step counted twice: one step too many": (1, {T: 2}),
        }
        for phrase, (usual, special) in ways.items():
            gradients = {}
            for name, found in case.by_step.items():
                if sum(k is not None and bool(c.any()) for k, c in found.steps.items()) > 1:
                    # what belongs to no step isn't part of the sum over the steps, and stays
                    terms = (c if k is None else c * special.get(k, usual) for k, c in found.steps.items())
                    gradients[name] = np.asarray(sum(terms, np.zeros_like(case.right[name])))
            see = f"Σ_k in manual.{case.derivation}.backward"
            yield Candidate(self.name, phrase, gradients, see=see, by_parameter=True)


class OneStepBelow:
    """The sum that begins at step 0: Δ_0, taken through the initial state, goes into the bias."""

    name = "one step too many"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Δ_0 added to the gradients that are sums of Δ_t alone."""
        for layer in case.landmarks.layers() if case.T else ():
            components = case.landmarks.state_components(layer)
            start: Any = case.find(components[0], 0, layer, "state")
            first: Any = case.find(components[0], case.landmarks.order(layer)[1], layer, "state")
            if start is None or first is None or first.op is None or not first.op.by_element or len(first.inputs) != 1:
                continue
            reached = _gradient_at(case, start)
            # f'(a_0) where s_0 = f(a_0): by the state's own rule, from its value
            delta = first.op.vjps[0](reached, start._data, start._data, **first._keywords)
            gradients = {
                name: right + np.reshape(delta, (-1, right.size)).sum(axis=0)
                for name, right in case.right.items()
                if right.ndim == 1 and right.shape == start.shape[-1:] and self._is_bias(case, name, first)
            }
            if gradients:
                yield Candidate(self.name, "the sum from step 0 on: Δ_0 belongs to no parameter", gradients)

    def _is_bias(self, case: Case, name: str, first: Any) -> bool:
        leaf = case.recording.parameters[name]
        return any(
            node.op.name == "add" and node.inputs[i] is leaf and node.scope.step == first.scope.step
            for node, i in case.parameter_edges()
        )


def _gradient_at(case: Case, node: Any) -> np.ndarray:
    return np.asarray(altered_walk(case.recording.loss, Alteration()).get(node, np.zeros_like(node._data)))


class Truncated:
    """BPTT that looks back only so far."""

    name = "truncated"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Only the direct term, every window of a fixed length, every cutting into chunks."""
        if not 2 <= case.T <= LONGEST or not case.fits_by_step:
            return
        see = f"Δ_{{t+1}} Wᵀ in manual.{case.derivation}.backward, and manual.truncated"
        recurrent = {
            edge: case.landmarks.order(layer).index(edge[0].scope.step or 0) - 1
            for (layer, _), edges in case.recurrent_edges.items()
            for edge in edges
        }
        for length in range(1, case.T):
            gradients = {}
            for name, found in case.by_lag.items():
                lags = {lag for lag, c in found.steps.items() if lag is not None and c.any()}
                if lags and max(lags) >= length:
                    dropped = sum(c for lag, c in found.steps.items() if lag is not None and lag >= length)
                    gradients[name] = np.asarray(case.right[name] - dropped)
            what = (
                "only the direct term: the path through earlier states was left out"
                if length == 1
                else f"the sum truncated after {length} steps: every loss looks back that far only"
            )
            yield Candidate(self.name, what, gradients, see=see)
            if 1 < length <= LONGEST_CHUNK:
                at = {edge for edge, before in recurrent.items() if before % length == 0}
                phrase = f"the gradient cut into chunks of {length} steps"
                yield walked(case, "truncated", phrase, Cut(at), see)


class LossTerms:
    """Only one of the loss terms, or all but one, where all count."""

    name = "loss terms"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Only the last term, only the first, all but any one; for all parameters, or for the recurrence alone."""
        terms = case.recording.terms
        for phrase, kept, _ in self._ways(sorted(terms or case.entries)):
            alteration = self._cut(case, {terms[t] for t in terms.keys() - kept}) if terms else None
            yield walked(case, self.name, phrase, alteration or _SomeTerms(case, kept, True))
        for phrase, kept, reaching in self._ways(sorted(case.entries)):
            yield walked(case, self.name, f"{phrase} where {reaching} the states", _SomeTerms(case, kept, False))

    def _ways(self, steps: list[int]) -> Iterator[tuple[str, set[int], str]]:
        """What the gradient equals, the terms that are kept, and who reaches the states."""
        if len(steps) < 2:
            return
        for which, t in (("last", steps[-1]), ("first", steps[0])):
            yield f"the gradient of the {which} loss term L_{t} alone: the others were left out", {t}, "they reach"
        if 2 < len(steps) <= LONGEST:  # of two terms, all but one is one alone
            for t in steps:
                yield f"the gradient without the loss term L_{t}: it was left out", {*steps} - {t}, "it reaches"

    def _cut(self, case: Case, dropped: set[Node]) -> Cut:
        """The edges from the sum to terms that came as such."""
        return Cut({(node, i) for node in case.landmarks.nodes for i in node.edges or () if node.inputs[i] in dropped})


class _SomeTerms(Edges):
    """Of all that enters the steps, only what enters at some; with or without the output layer's own rows."""

    def __init__(self, case: Case, kept: set[int], rows_too: bool) -> None:
        self.case, self.kept = case, kept
        entered = {node for entries in case.entries.values() for node in entries}
        into = {
            (node, i)
            for node in case.landmarks.nodes
            for i in node.edges or ()
            if node.scope.step is None and node.inputs[i] in entered
        }
        rows = {(node, i) for node, i in case.parameter_edges() if node in case.time_rows} if rows_too else set()
        super().__init__(into | rows)

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """Nothing into other steps; the rows of these steps to the parameters."""
        if node in self.case.time_rows and node.inputs[argument] in self.case.names:
            return rule(only_rows(g, [t - 1 for t in self.kept]), node._data, node._arrays)
        return rule(g, node._data, node._arrays) if node.inputs[argument].scope.step in self.kept else None


class Instances:
    """Only one instance of a batch, where the gradient is the sum over all."""

    name = "instances"

    def candidates(self, case: Case) -> Iterator[Candidate]:
        """Only the last, only the first."""
        B = case.sizes.get("B", 1)
        if B < 2:
            return
        for which, b in (("last", B - 1), ("first", 0)):
            phrase = f"the gradient of the {which} instance of the batch alone: the sum over the instances was left out"
            yield walked(case, self.name, phrase, _OnlyInstance(case, B, b))._replace(by_parameter=True)


class _OnlyInstance(Edges):
    def __init__(self, case: Case, B: int, b: int) -> None:
        self.case, self.b = case, b
        super().__init__({(node, i) for node, i in case.parameter_edges() if B in node.shape[self._axis(node) :][:1]})

    def _axis(self, node: Node) -> int:
        return 1 if node in self.case.time_rows else 0

    def altered(self, node: Any, argument: int, g: Any, rule: Any) -> Any:
        """The rule, on a cotangent with all other instances zero."""
        instance = (slice(None),) * self._axis(node) + (self.b,)
        kept = np.zeros_like(g)
        kept[instance] = g[instance]
        return rule(kept, node._data, node._arrays)


MISTAKES_IN_SUMS: tuple[Mistake, ...] = (WrongSteps(), OneStepBelow(), Truncated(), LossTerms(), Instances())
