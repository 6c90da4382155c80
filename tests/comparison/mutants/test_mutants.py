"""Random mutants of a few derivations by hand: each is a mistake, and nearly every one is named."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.comparison.mutants.__main__ import NAMED, tried
from tests.comparison.mutants.mutants import MUTANT, Mutable
from tests.comparison.planted.everything import NETWORKS


@pytest.mark.parametrize("name", ["jordan", "learnt beginning"])
def test_random_mutants_are_named(name):
    mutants = list(itertools.islice(Mutable(NETWORKS[name]).draw(np.random.default_rng(3)), 4))
    assert len({mutant.change for mutant in mutants}) == 4
    verdicts = [one.word for one in tried(mutants, 2, shared=True)]
    assert verdicts.count(NAMED) >= 3 and not {"false", "traceback", "agrees"} & set(verdicts)


def test_a_derivation_without_its_slips_is_right():
    mutable = Mutable(NETWORKS["lstm"])
    assert "slip(" not in mutable.right
    mutant = next(mutable.draw(np.random.default_rng(0)))
    assert mutant.network.compare(None).agrees and not mutant.network.compare(MUTANT, seconds=0).agrees


@pytest.mark.parametrize(
    ("name", "right", "wrong", "words"),
    [
        ("jordan", "range(T, 0, -1)", "range(1, T + 1)", "from the first step to the last, not backwards"),
        ("elman in columns", "p['Why'].T @ dy", "g['Why'].T @ dy", "as far as it is added up"),
        ("elman in columns", "h[t] * h[t]", "h[t - 1] * h[t]", "h_t ∘ h_{t-1} stands where h_t² belongs"),
        ("stacked", "g['W1'] +=", "g['U1'] +=", "the gradient of W1 was added to that of U1"),
        ("losses of several kinds", "g['V'] += 0.02", "g['R'] += 0.02", "a part of the gradient of V was added"),
        ("peephole", "i, f, g, o = kept", "i, g, f, o = kept", "stand in each other's place, everywhere"),
        ("sru", "kept[t], xs[t - 1]", "kept[t], xs[-1]", "the last row of xs at all steps, everywhere"),
        ("dropout", ".T @ delta", ".T", "Δ_t was left out"),
        ("lengths", "dh = delta @", "dh += delta @", "∂L/∂h_{t+1} is a term too many"),
        ("minimal gated unit", "af = df * f", "af = f * f", "stands where"),
        ("gru before", "range(T, 0, -1)", "range(T - 1, 0, -1)", "the loop runs without the last step"),
        ("dropout", "range(T, 0, -1)", "range(T, -1, -1)", "the loop runs one step further than the first"),
        ("gru before", "(z, r, c), hp", "(r, z, c), hp", "z_t and r_t stand in each other's place, everywhere"),
        ("peephole", "ai, af, ag =", "ai, ag, af =", "Δ_t and Δ^f_t stand in each other's place"),
        ("lengths", "dh * (1 - h[t] ** 2)", "(1 - h[t] ** 2)", "∂L/∂h_t was left out"),
        ("gaps in time", "decay * gaps[t - 1][:, None]", "decay * gaps[t - 1]", "goes along the other axis"),
        ("sums over paths", "do * (1 - s[t + 1] ** 2)", "do * (s[t + 1] * (1 - s[t + 1]))", "in the term ∂L/∂z_t V"),
        ("elman in rows", "o[t] - y", "softmax(h[t] @ V) - y", "z is computed anew in the backward pass: the term c"),
        ("recurrent highway", "['RT'][layer] += da @", "['RT'][layer] += da.T @", "Δ⁽²⁾_t was transposed"),
        ("two delays", "dz @ p['V'].T", "dz.T @ p['V'].T", "each ∂L/∂z was transposed"),
        ("gru before", "az = dh * (hp - c) * z * (1 - z)", "az = 1 - z", "1 - z_t alone, without the other factors"),
        ("padded ends of both directions", "(1 - on) * dh", "(1 - on) * dh * dh", "∂L/∂h_{t+1} was taken twice"),
        ("deep transition", "g['S'] += m", "g['S'] -= m", "equals minus the right one"),
        ("attention pooling of both directions", "dh = z * dh", "dh += z * dh", "is a term too many: += for ="),
        ("turning pairs", "np.sum(dV * unit, axis=1, keepdims=True)", "(dV * unit)", "was left out"),
        ("smoothed words", "+= dz.sum(0)", "+= dz[0]", "the first instance of the batch alone"),
        ("attention pooling of both directions", "dhs[t]", "dhs[t - 1]", "of the step before"),
        ("elman in columns", "1 - h[t] * h[t]", "1 - h[t] * h[t] * h[t]", "h_t ∘ h_t² stands where h_t² belongs"),
        ("minimal gated unit", "c - hp", "hp - c", "have the other sign"),
        ("embedding", "kept[t] = delta", "kept[t] = p['W'] @ delta", "Δ_t Wᵀ stands where Δ_t belongs"),
        ("tagger in both directions", "ds / mask.sum()", "ds / mask[:, t].sum()", "divided by the sum of mask"),
        ("minimal gated unit", "/ (T * d)", "/ 7", "divided by 3.5 instead of 6"),
        ("peephole", "+ af * p['pf']", "+ af * p['pf'] + ao * p['po']", "is a term too many, beside"),
        ("elman in rows", "delta @ W.T", "delta @ W.T / B", "is divided by 3"),
        ("both directions", "(o - np.eye(5)[ys[t - 1]]) / (T * B)", "o / 12 - np.eye(5)[ys[t - 1]]", "of p alone, not"),
        ("attention at each step", "dhs[-1] += ds", "dhs[0] += ds", "at the first step, not at the last"),
    ],
)
@pytest.mark.one_in(3)
def test_kinds_of_mistakes_that_mutants_showed(name, right, wrong, words):
    mutable = Mutable(NETWORKS[name])
    assert right in mutable.right
    found = list(tried([mutable.mutant("", mutable.right.replace(right, wrong, 1))], 10, shared=False))
    assert found[0].word == NAMED and words in found[0].said[0]
