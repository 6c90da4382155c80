"""Every edit of every line of ten derivations is found again from the gradients that it gives; pairs of slips, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS
from tests.comparison.planted.found_again import TEN, found_again
from tinygrad_rnn.comparison.diagnosis.wording import Words
from tinygrad_rnn.derivation.edits.edits import Edit, edits_of
from tinygrad_rnn.derivation.edits.everywhere import everywhere
from tinygrad_rnn.derivation.edits.hand import Hand
from tinygrad_rnn.derivation.edits.of_terms import LEFT_OUT
from tinygrad_rnn.derivation.equations.making import zeros

EVERY = 9  # of the edits of a line, so many apart; ``python -m tests.comparison.planted -e`` takes all


@pytest.mark.one_in(10)
@pytest.mark.parametrize("name", TEN)
def test_an_edit_is_found_again_from_its_gradients(name):
    found, tried = found_again(NETWORKS[name], EVERY)
    print(f"{name}: {found} of {tried} edits found again")
    assert tried > 20 and found == tried


def elman(p, transpose, slope, sign, before):
    h = [np.zeros(3)]
    for x in XS:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
    U, W, dh = np.zeros((2, 3)), np.zeros((3, 3)), np.zeros(3)
    for t in (4, 3, 2, 1):
        delta = (2 * h[t] + dh) * (1 - h[t] ** 2 if slope else 1)
        U, W, dh = (
            U + np.outer(XS[t - 1], delta),
            W + np.outer(h[t - 1 if before else t], delta),
            delta @ (p["W"].T if transpose else p["W"]),
        )
    return {"U": sign * U, "W": sign * W}


XS = np.random.default_rng(0).normal(size=(4, 2))
SLIPS = {
    (0, 0, 1, 1): ("W stands where its transpose belongs", "1 - h_t² was left out"),
    (1, 0, -1, 1): ("the other sign", "1 - h_t² was left out"),
    (1, 0, 1, 0): ("1 - h_t² was left out", "h_t stands where h_{t-1} belongs"),
    (0, 1, 1, 0): ("W stands where its transpose belongs", "h_t stands where h_{t-1} belongs"),
    (1, 1, -1, 0): ("the other sign", "h_t stands where h_{t-1} belongs"),
}


@pytest.mark.one_in(10)
@pytest.mark.parametrize("slips", SLIPS)
@pytest.mark.parametrize("asked", [True, False])
def test_two_slips_are_both_named(slips, asked):
    """Whether they show in different gradients, or both in all of them; with a function to ask, or with numbers."""
    rng = np.random.default_rng(1)
    values = {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3))}

    def loss(p):
        return np.sum(tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), XS, np.zeros(3))[0] ** 2)

    assert tr.compare(loss, lambda p: elman(p, 1, 1, 1, 1), values).agrees
    given = (lambda p: elman(p, *slips)) if asked else elman(values, *slips)
    found = [one.sentence for one in tr.compare(loss, given, values, seconds=60).diagnoses if one.complete]
    assert any(all(words in sentence for words in SLIPS[slips]) for sentence in found), found


def test_lines_without_which_an_edit_says_nothing_are_all_named() -> None:
    def loss(p: dict[str, Any]) -> Any:
        return np.sum(tr.unroll(lambda x, h: np.tanh(x @ p["U"] + np.tanh(h @ p["W"])), XS, np.zeros(3))[0] ** 2)

    rng = np.random.default_rng(0)
    lines = tr.derive(loss, {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3))}).lines
    backward = [line for line in lines if line.kind == "backward"][-2:]
    edits = [Edit(line, zeros(line.shape), LEFT_OUT) for line in backward]
    said = Words(lines).diagnosis(edits, ["U"], True).sentence
    assert all(f"line `{Words(lines).writer.line(line)}`" in said for line in backward)


def test_one_slip_and_the_same_one_in_several_lines_are_named_together() -> None:
    """A transpose forgotten; and in each of two layers, the mean over the batch for the sum of the bias."""
    rng = np.random.default_rng(4)
    shapes = {"U": (2, 3), "b": 3, "V": (3, 3), "c": 3}
    values = {name: rng.normal(size=size) for name, size in shapes.items()}
    xs, y = rng.normal(size=(3, 4, 2)), rng.normal(size=(4, 3))

    def loss(p, xs, y):
        h = k = np.zeros((4, 3))
        for x in xs:
            h = np.tanh(x @ p["U"] + h + p["b"])
            k = np.tanh(h @ p["V"] + k + p["c"])
        return np.sum((k - y) ** 2)

    def by_hand(p, xs, y, is_right=True):
        h, k = [np.zeros((4, 3))], [np.zeros((4, 3))]
        for x in xs:
            h.append(np.tanh(x @ p["U"] + h[-1] + p["b"]))
            k.append(np.tanh(h[-1] @ p["V"] + k[-1] + p["c"]))
        g, dh, dk = {name: np.zeros_like(value) for name, value in p.items()}, 0.0, 2 * (k[-1] - y)
        over = 1 if is_right else 4
        for t in (3, 2, 1):
            dk = dk * (1 - k[t] ** 2)
            dh = (dh + dk @ (p["V"].T if is_right else p["V"])) * (1 - h[t] ** 2)
            g["U"], g["b"] = g["U"] + xs[t - 1].T @ dh, g["b"] + dh.sum(axis=0) / over
            g["V"], g["c"] = g["V"] + h[t].T @ dk, g["c"] + dk.sum(axis=0) / over
        return g

    assert tr.compare(loss, by_hand, values, (xs, y)).agrees
    (found,) = tr.compare(loss, lambda *a: by_hand(*a, is_right=False), values, (xs, y)).diagnoses
    assert found.complete and "V stands where its transpose belongs" in found.sentence
    assert "Σ_batch Δ_t / 4`: divided by 4" in found.sentence


GATES = {
    "halves exchanged": "the order 2, 1 of the parts",
    "slope of r left out": "1 - q_t[:2] was left out",
    "r's value of the new state": "h_t stands where h_{t-1} belongs",
}


@pytest.mark.parametrize("slip", GATES)
def test_gates_side_by_side_have_slopes_of_their_own(slip: str) -> None:
    """Two gates in one matrix, whose slopes the derivation writes as one factor, and the user gate by gate."""
    rng = np.random.default_rng(5)
    xs, values = rng.normal(size=(4, 3)), {"W": rng.normal(size=(5, 4)), "v": rng.normal(size=2)}

    def cell(p, x, h):
        v = np.concatenate([x, h])
        q = tr.sigmoid(v @ p["W"])
        return v, q[:2], q[2:], q[2:] * h + (1 - q[2:]) * np.tanh(q[:2] * h)

    def loss(p):
        h = p["v"]
        for x in xs:
            h = cell(p, x, h)[-1]
        return np.sum(h**2)

    def by_hand(p, slip=""):
        h, kept = [p["v"]], []
        for x in xs:
            kept.append(cell(p, x, h[-1]))
            h.append(kept[-1][-1])
        dh, dW = 2 * h[-1], 0.0
        for t in (4, 3, 2, 1):
            v, r, z, _ = kept[t - 1]
            m = np.tanh(r * h[t - 1])
            dm = dh * (1 - z) * (1 - m**2)
            dr = dm * h[t if slip == "r's value of the new state" else t - 1] * r
            dr, dz = dr * (1 if slip == "slope of r left out" else 1 - r), dh * (h[t - 1] - m) * z * (1 - z)
            da = np.concatenate([dz, dr] if slip == "halves exchanged" else [dr, dz])
            dW, dh = dW + np.outer(v, da), dh * z + dm * r + (p["W"] @ da)[3:]
        return {"W": dW, "v": dh}

    assert tr.compare(loss, by_hand, values).agrees
    (found,) = tr.compare(loss, lambda p: by_hand(p, slip), values).diagnoses
    assert found.complete and GATES[slip] in found.sentence, found.sentence


FED_BACK = {
    "its Jacobian": "the Jacobian of the softmax was left out, in the term",
    "its diagonal alone": "the sum over h_t ∘ Δ_{t+1} Fᵀ was left out",
    "the outputs before": "the Jacobian of the softmax is that at h_{t-1}, not at h_t",
    "the loss of all steps": "at all steps",
    "of the first scores": "∂L/∂z_1 stands where ∂L/∂h_0 belongs",
}


@pytest.mark.parametrize("slip", FED_BACK)
def test_probabilities_fed_back_have_a_loss_of_their_own_as_well(slip: str) -> None:
    """A Jordan network: the loss gives p - y, and the Jacobian of the softmax belongs to the other path alone."""
    rng = np.random.default_rng(6)
    xs, ys = rng.normal(size=(4, 2)), np.array([0, 2, 1, 2])
    values = {"U": rng.normal(size=(2, 3)), "F": rng.normal(size=(3, 3)), "first": rng.normal(size=3)}

    def loss(p, xs, ys):
        h, total = p["first"], 0.0
        for t in range(4):
            z = np.tanh(xs[t] @ p["U"] + h @ p["F"])
            h = np.exp(z) / np.sum(np.exp(z))
            total = total - np.log(h[ys[t]]) if t else total
        return total

    def by_hand(p, xs, ys, slip=""):
        h, u = [p["first"]], [None]
        for x in xs:
            u.append(np.tanh(x @ p["U"] + h[-1] @ p["F"]))
            h.append(np.exp(u[-1]) / np.exp(u[-1]).sum())
        dU, dF, dh = 0.0, 0.0, np.zeros(3)
        for t in (4, 3, 2, 1):
            at = h[t - 1] if slip == "the outputs before" else h[t]
            dz = dh if slip == "its Jacobian" else at * (dh - (at * dh if slip == "its diagonal alone" else dh @ at))
            if t > 1 or slip == "the loss of all steps":
                dz = dz + h[t] - np.eye(3)[ys[t - 1]]
            da = dz * (1 - u[t] ** 2)
            dU, dF, dh = dU + np.outer(xs[t - 1], da), dF + np.outer(h[t - 1], da), p["F"] @ da
        return {"U": dU, "F": dF, "first": dz if slip == "of the first scores" else dh}

    assert tr.compare(loss, by_hand, values, (xs, ys)).agrees
    (found,) = tr.compare(loss, lambda *a: by_hand(*a, slip=slip), values, (xs, ys)).diagnoses
    assert found.complete and FED_BACK[slip] in found.sentence, found.sentence


LIKELIHOOD = {
    "σ' besides": ("is a factor too many",),
    "a decayed bias": ("1 - h_t² was left out", "0.02 b is a term too many"),
    "the step's length": ("0.5 stands where 0.15 belongs",),
}


@pytest.mark.parametrize("slip", LIKELIHOOD)
def test_single_numbers_and_rates_are_values_too(slip: str) -> None:
    """A score of one number, a decay, a step of 0.3, that somebody takes where they don't belong, or forgets."""
    rng = np.random.default_rng(7)
    values = {"W": rng.normal(size=(2, 2)), "b": rng.normal(size=2), "v": rng.normal(size=2)}
    xs = rng.normal(size=(5, 2))

    def loss(p):
        h, total = np.zeros(2), 0.0
        for t in range(5):
            h = np.tanh(xs[t] + 0.15 * h @ p["W"] + 0.3 * p["b"])
            o = h @ p["v"]
            total = total + np.log(1 + np.exp(o)) - 0.7 * o + 0.5 * o**2 if t > 1 else total
        return total / 3 + 0.01 * np.sum(p["W"] ** 2)

    def by_hand(p, slip=""):
        h = [np.zeros(2)]
        for x in xs:
            h.append(np.tanh(x + 0.15 * h[-1] @ p["W"] + 0.3 * p["b"]))
        g, dh = {"W": 0.02 * p["W"], "b": np.zeros(2), "v": np.zeros(2)}, np.zeros(2)
        for t in (5, 4, 3, 2, 1):
            o = h[t] @ p["v"]
            s = 1 / (1 + np.exp(-o))
            do = (s - 0.7 + o) / 3 * (s * (1 - s) if slip == "σ' besides" else 1)
            dh = dh + do * p["v"] * (t > 2)
            g["v"] += do * h[t] * (t > 2)
            da = dh * (1 if slip == "a decayed bias" else 1 - h[t] ** 2)
            g["W"], g["b"] = g["W"] + 0.15 * np.outer(h[t - 1], da), g["b"] + 0.3 * da
            dh = (0.5 if slip == "the step's length" else 0.15) * p["W"] @ da
        g["b"] += 0.02 * p["b"] * (slip == "a decayed bias")
        return g

    assert tr.compare(loss, by_hand, values).agrees
    (found,) = tr.compare(loss, lambda p: by_hand(p, slip), values).diagnoses
    assert found.complete and all(words in found.sentence for words in LIKELIHOOD[slip]), found.sentence


def test_slips_in_attention_activations_and_penalties_are_edits_of_their_lines() -> None:
    def loss(p: dict[str, Any]) -> Any:
        h = [np.zeros(3)]
        for x in XS:
            h.append(np.log(1 + np.exp(x @ p["U"] + np.exp(h[-1]) @ p["W"])))
        states = np.stack(h[1:])
        powers = np.exp(states @ p["u"]) * np.arange(1.0, len(XS) + 1)
        mean = (powers / np.sum(powers)) @ states
        return np.sum(mean**2) + 0.1 * np.sum(states)

    rng = np.random.default_rng(0)
    derivation = tr.derive(loss, {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3)), "u": rng.normal(size=3)})
    writer, hand = Words(derivation.lines).writer, Hand(derivation)
    said = {edit.said(writer.write) for line in derivation.lines for edit in edits_of(line, hand)}
    for expected in ("a_t > 0 stands where σ(a_t) belongs", "the term 0.1 was taken 3 times"):
        assert expected in said
    assert any(what.startswith("equal weights, 1 / 4, stand") for what in said)
    assert any(what.startswith("the term") and what.endswith("only the last step") for what in said)


def test_the_last_state_of_an_encoder_is_at_hand_in_its_decoder() -> None:
    def loss(p: dict[str, Any]) -> Any:
        h, s, total = np.zeros(3), np.zeros(3), 0.0
        for x in XS:
            h = np.tanh(x @ p["U"] + h)
        for y in XS[:3]:
            s = np.tanh(y @ p["V"] + s @ p["W"] + h)
            total = total + np.sum(s**2)
        return total

    rng = np.random.default_rng(0)
    derivation = tr.derive(loss, {name: rng.normal(size=(3 if name == "W" else 2, 3)) for name in "UVW"})
    (line,) = (line for line in derivation.lines if line.name == "dL/dW")
    writer = Words(derivation.lines).writer
    said = {edit.said(writer.write) for edit in edits_of(line, Hand(derivation))}
    assert "h_T stands where s_{t-1} belongs" in said


def test_sums_along_a_kept_axis_are_changed_together() -> None:
    """The means of a norm, in all lines at once: sums in their place, or means over the other axis."""

    def loss(p: dict[str, Any]) -> Any:
        a = p["x"] @ p["W"]
        centred = a - a.mean(axis=1, keepdims=True)
        return np.sum(np.tanh(centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)))

    rng = np.random.default_rng(0)
    derivation = tr.derive(loss, {"x": rng.normal(size=(3, 2)), "W": rng.normal(size=(2, 5))})
    said = {edits[0].what for edits in everywhere(derivation, Hand(derivation))}
    assert "sums over 5 numbers stand where their means belong, everywhere" in said
    assert "the means over the other axis, everywhere" in said


def test_a_slip_in_a_loop_over_layers_is_one_of_any_sizes() -> None:
    """The same edit of lines that differ in their sizes, found before lines are edited one by one."""
    rng = np.random.default_rng(0)
    sizes, xs = (2, 3, 4), rng.normal(size=(4, 2))
    p = {f"{name}{k}": rng.normal(size=(sizes[k - (name == "U")], sizes[k])) / 2 for k in (1, 2) for name in "UW"}

    def states(p: dict[str, Any]) -> Any:
        layers = [list(xs)]
        for k in (1, 2):
            layers.append([np.zeros(sizes[k])])
            for x in layers[k - 1][-4:]:
                layers[k].append(np.tanh(x @ p[f"U{k}"] + layers[k][-1] @ p[f"W{k}"]))
        return layers

    def by_hand(p: dict[str, Any]) -> dict[str, Any]:
        layers, g = states(p), {name: np.zeros_like(value) for name, value in p.items()}
        down = [np.zeros(4)] * 3 + [2 * layers[2][-1]]
        for k in (2, 1):
            dh = np.zeros(sizes[k])
            for t in (3, 2, 1, 0):
                delta = (dh + down[t]) * (1 - layers[k][t + 1])
                g[f"U{k}"] += np.outer(layers[k - 1][-4:][t], delta)
                g[f"W{k}"] += np.outer(layers[k][t], delta)
                dh, down[t] = p[f"W{k}"] @ delta, p[f"U{k}"] @ delta
        return g

    (found,) = tr.compare(lambda p: np.sum(states(p)[2][-1] ** 2), by_hand, p, seconds=60).diagnoses
    assert found.complete and len(found.edits) == 2


def test_a_path_forgotten_in_a_loop_over_layers_is_known_by_the_names_without_numbers() -> None:
    rng = np.random.default_rng(0)
    p = {name: rng.normal(size=(3, 3)) / 2 for name in ("R1", "S1", "R2", "S2")}
    xs = rng.normal(size=(3, 3))

    def states(p: dict[str, Any]) -> Any:
        s = []
        for x in xs:
            s.append(s[-1] + x if s else x)
            for k in (1, 2):
                s.append(np.tanh(s[-1] @ p[f"R{k}"]) + np.tanh(s[-1] @ p[f"S{k}"]))
        return s

    def by_hand(p: dict[str, Any]) -> dict[str, Any]:
        s, g = states(p), {name: np.zeros_like(value) for name, value in p.items()}
        ds = 2 * s[-1]
        for t in (2, 1, 0):
            for k in (2, 1):
                before = s[3 * t + k - 1]
                dr, dv = (ds * (1 - np.tanh(before @ p[f"{n}{k}"]) ** 2) for n in "RS")
                g[f"R{k}"] += np.outer(before, dr)
                g[f"S{k}"] += np.outer(before, dv)
                ds = p[f"R{k}"] @ dr
        return g

    (found,) = tr.compare(lambda p: np.sum(states(p)[-1] ** 2), by_hand, p, seconds=60).diagnoses
    assert found.complete and [edit.what for edit in found.edits] == ["the term {} was left out"] * 2


def test_a_slip_in_each_layer_is_named_though_states_of_zero_leave_some_gradients_right() -> None:
    """A carry without its factor in two steps: f's gradient has no part of the first, where the state before is 0."""
    rng = np.random.default_rng(0)
    shapes = {"U1": (2, 3), "U2": (3, 3), "f1": 3, "f2": 3}
    p = {name: rng.normal(size=size) for name, size in shapes.items()}

    def states(p: dict[str, Any]) -> Any:
        one, two = [np.zeros(3)], [np.zeros(3)]
        for x in XS[:2]:
            one.append(one[-1] * p["f1"] + np.tanh(x @ p["U1"]))
            two.append(two[-1] * p["f2"] + np.tanh(one[-1] @ p["U2"]))
        return one, two

    def by_hand(p: dict[str, Any]) -> dict[str, Any]:
        one, two = states(p)
        g = {name: np.zeros_like(value) for name, value in p.items()}
        d_one, d_two = np.zeros(3), 2 * two[-1]
        for t in (2, 1):
            da = d_two * (1 - np.tanh(one[t] @ p["U2"]) ** 2)
            d_one = d_one + p["U2"] @ da
            dz = d_one * (1 - np.tanh(XS[t - 1] @ p["U1"]) ** 2)
            g["U1"], g["U2"] = g["U1"] + np.outer(XS[t - 1], dz), g["U2"] + np.outer(one[t], da)
            g["f1"], g["f2"] = g["f1"] + d_one * one[t - 1], g["f2"] + d_two * two[t - 1]
        return g

    report = tr.compare(lambda p: np.sum(states(p)[1][-1] ** 2), by_hand, p)
    (found,) = report.diagnoses
    assert {row.name for row in report.rows if row.verdict == "agrees"} >= {"f2"}
    assert "f2 was left out" in found.sentence and "f1 was left out" in found.sentence


def test_columns_that_come_again_are_overwritten() -> None:
    rng = np.random.default_rng(0)
    p = {"W": rng.normal(size=(3, 3)) / 2, "B": rng.normal(size=(3, 4))}

    def states(p: dict[str, Any], words: Any) -> Any:
        h = [np.zeros(3)]
        for word in words:
            h.append(np.tanh(h[-1] @ p["W"] + p["B"][:, word]))
        return h

    def by_hand(p: dict[str, Any], words: Any) -> dict[str, Any]:
        h, g = states(p, words), {name: np.zeros_like(value) for name, value in p.items()}
        dh = 2 * h[-1]
        for t in range(len(words) - 1, -1, -1):
            da = dh * (1 - h[t + 1] ** 2)
            g["W"] += np.outer(h[t], da)
            g["B"][:, words[t]] = da
            dh = p["W"] @ da
        return g

    words = [np.array([1, 3, 1, 0])]
    (found,) = tr.compare(lambda p, words: np.sum(states(p, words)[-1] ** 2), by_hand, p, words).diagnoses
    assert "= for +=, from the last step to the first: a place that comes again is overwritten" in found.sentence


PIECES = {
    "right": "",
    "forwards": "the loop runs from the first step to the last, not backwards",
    "kept": "was added to that of later steps: += for =",
    "skipped": "the loop runs without the last step of each piece",
    "one": "the loop runs over the last piece alone",
    "length": "divided by 3 instead of 9",
    "left over": "of the piece before was left over: the carry wasn't reset",
}


@pytest.mark.parametrize("slip", PIECES)
def test_slips_in_pieces_of_a_plain_loop(slip: str) -> None:
    rng = np.random.default_rng(0)
    p = {"W": rng.normal(size=(3, 3)) / 2, "u": rng.normal(size=3), "c": np.array(0.2)}
    xs = rng.normal(size=9)

    def loss(p: dict[str, Any]) -> Any:
        h, total = np.zeros(3), 0.0
        for t, x in enumerate(xs):
            h = np.tanh(p["u"] * x + p["W"] @ (h if t % 3 else tr.stop_gradient(h)))
            total = total + (np.sum(h) + p["c"]) ** 2
        return total / 9

    def by_hand(p: dict[str, Any]) -> dict[str, Any]:
        h, g = [np.zeros(3)], {name: np.zeros_like(value) for name, value in p.items()}
        for x in xs:
            h.append(np.tanh(p["u"] * x + p["W"] @ h[-1]))
        dh = np.zeros(3)
        for start in (6,) if slip == "one" else (0, 3, 6):
            dh = dh if slip == "left over" else np.zeros(3)
            steps = range(start, start + (2 if slip == "skipped" else 3))
            for t in steps if slip == "forwards" else reversed(steps):
                de = 2 * (np.sum(h[t + 1]) + p["c"]) / (3 if slip == "length" else 9)
                delta = (de + dh) * (1 - h[t + 1] ** 2)
                g["c"] += de
                g["u"] += delta * xs[t]
                g["W"] += np.outer(delta, h[t])
                dh = delta @ p["W"] + (dh if slip == "kept" else 0)
        return g

    report = tr.compare(loss, by_hand, p, seconds=60)
    assert report.agrees == (slip == "right") and all(PIECES[slip] in one.sentence for one in report.diagnoses)
    assert len(report.diagnoses) == (slip != "right")


UNEVEN = {
    "left over": "of the piece before was left over: the carry wasn't reset",
    "start of the last": "it comes from the last piece, not from the first",
    "start of all": "the sum over all pieces stands where",
    "1 - leak": "0.7 stands where 0.3 belongs",
    "ends": "the loop runs without the last step of each piece",
}


@pytest.mark.parametrize("slip", UNEVEN)
def test_slips_in_pieces_of_uneven_lengths(slip: str) -> None:
    """A leaky state that was learnt, cut after four and after seven steps: two terms are handed on, and not there."""
    rng = np.random.default_rng(1)
    p, xs = {"W": rng.normal(size=(2, 2)), "start": rng.normal(size=2)}, rng.normal(size=(9, 2))

    def loss(p: dict[str, Any]) -> Any:
        h, total = p["start"], 0.0
        for t in range(9):
            h = tr.stop_gradient(h) if t in (4, 7) else h
            h = 0.3 * h + 0.7 * np.tanh(xs[t] + p["W"] @ h)
            total = total + np.sum(h**2)
        return total

    def by_hand(p: dict[str, Any], slip: str = "") -> dict[str, Any]:
        h, u, dW, dh, starts = [p["start"]], [], np.zeros((2, 2)), np.zeros(2), []
        for x in xs:
            u.append(np.tanh(x + p["W"] @ h[-1]))
            h.append(0.3 * h[-1] + 0.7 * u[-1])
        for begin, end in ((0, 4), (4, 7), (7, 9)):
            dh = dh if slip == "left over" else np.zeros(2)
            for t in reversed(range(begin, end - 1 if slip == "ends" else end)):
                dh = dh + 2 * h[t + 1]
                da = 0.7 * dh * (1 - u[t] ** 2)
                dW, dh = dW + np.outer(da, h[t]), (0.7 if slip == "1 - leak" else 0.3) * dh + p["W"].T @ da
            starts.append(dh)
        chosen = {"start of the last": starts[-1], "start of all": sum(starts)}
        return {"W": dW, "start": chosen.get(slip, starts[0])}

    assert tr.compare(loss, by_hand, p).agrees
    (found,) = tr.compare(loss, lambda p: by_hand(p, slip), p).diagnoses
    assert found.complete and UNEVEN[slip] in found.sentence, found.sentence


DROPPED = {
    "no mask": "m / 0.8 was left out",
    "the output's mask": "k_{t+1} stands where m belongs",
    "the dropped output": "1 - (h_t ∘ k_t / 0.8)² stands where 1 - h_t² belongs",
}


@pytest.mark.parametrize("slip", DROPPED)
def test_a_mask_and_the_share_that_it_keeps_are_one_factor(slip: str) -> None:
    """States and outputs are dropped, and the loss is taken at each third step: users keep all outputs."""
    rng = np.random.default_rng(2)
    data = rng.normal(size=(6, 3)), np.array([1.0, 0.0, 1.0]), 1.0 * (rng.random((6, 3)) < 0.8)
    p = {"W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 2))}

    def loss(p: dict[str, Any], xs: Any, m: Any, k: Any) -> Any:
        h, total = np.zeros(3), 0.0
        for t in range(6):
            h = np.tanh(xs[t] + (h * m / 0.8) @ p["W"])
            if t % 3 == 2:
                total = total + np.sum(((h * k[t] / 0.8) @ p["V"]) ** 2)
        return total

    def by_hand(p: dict[str, Any], xs: Any, m: Any, k: Any, slip: str = "") -> dict[str, Any]:
        h, dW, dV, dh = [np.zeros(3)], 0.0, 0.0, np.zeros(3)
        for x in xs:
            h.append(np.tanh(x + (h[-1] * m / 0.8) @ p["W"]))
        for t in (5, 4, 3, 2, 1, 0):
            output = h[t + 1] * k[t] / 0.8
            if t % 3 == 2:
                dV, dh = dV + np.outer(output, 2 * output @ p["V"]), dh + p["V"] @ (2 * output @ p["V"]) * k[t] / 0.8
            da = dh * (1 - (output if slip == "the dropped output" else h[t + 1]) ** 2)
            dW, dh = dW + np.outer(h[t] * m / 0.8, da), p["W"] @ da
            dh = dh if slip == "no mask" else dh * (k[t] if slip == "the output's mask" else m) / 0.8
        return {"W": dW, "V": dV}

    assert tr.compare(loss, by_hand, p, data).agrees
    (found,) = tr.compare(loss, lambda *a: by_hand(*a, slip=slip), p, data).diagnoses
    assert found.complete and DROPPED[slip] in found.sentence, found.sentence


def test_what_a_gate_keeps_is_one_factor() -> None:
    """h + z (c - h) has the derivatives g and -g z, which users write as g (1 - z)."""
    rng = np.random.default_rng(3)
    p, xs = {"W": rng.normal(size=(2, 2)), "start": rng.normal(size=2)}, rng.normal(size=(4, 2))

    def loss(p: dict[str, Any]) -> Any:
        h = p["start"]
        for x in xs:
            h = h + tr.named("a", tr.sigmoid(h @ p["W"])) * (x - h)
        return np.sum(h**2)

    def by_hand(p: dict[str, Any], power: int = 1) -> dict[str, Any]:
        h = [p["start"]]
        for x in xs:
            h.append(h[-1] + tr.sigmoid(h[-1] @ p["W"]) * (x - h[-1]))
        dW, dh = 0.0, 2 * h[-1]
        for t in (3, 2, 1, 0):
            z = tr.sigmoid(h[t] @ p["W"])
            da = dh * (xs[t] - h[t]) * z * (1 - z)
            dW, dh = dW + np.outer(h[t], da), dh * (1 - z) ** power + p["W"] @ da
        return {"W": dW, "start": dh}

    assert tr.compare(loss, by_hand, p).agrees
    (found,) = tr.compare(loss, lambda p: by_hand(p, power=2), p).diagnoses
    assert found.complete and "1 - a_{t+1} was taken twice, in the term" in found.sentence, found.sentence


SQUARES = {"a star too few": "2 h_t stands where h_t² belongs", "a star too many": "e_t² stands where 2 e_t belongs"}


@pytest.mark.parametrize("slip", SQUARES)
def test_a_square_and_a_double_are_taken_for_each_other(slip: str) -> None:
    rng = np.random.default_rng(3)
    p = {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3)), "V": rng.normal(size=(3, 2))}
    xs, ys = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))

    def loss(p):
        h, total = np.zeros(3), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(x @ p["U"] + h @ p["W"])
            total = total + np.sum((h @ p["V"] - y) ** 2)
        return total

    def by_hand(p):
        h = [np.zeros(3)]
        for x in xs:
            h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"]))
        found, dh = {name: np.zeros_like(value) for name, value in p.items()}, np.zeros(3)
        for t in (4, 3, 2, 1):
            e = h[t] @ p["V"] - ys[t - 1]
            dz = e**2 if slip == "a star too many" else 2 * e
            da = (dh + p["V"] @ dz) * (1 - (h[t] * 2 if slip == "a star too few" else h[t] ** 2))
            found["U"] += np.outer(xs[t - 1], da)
            found["W"] += np.outer(h[t - 1], da)
            found["V"] += np.outer(h[t], dz)
            dh = p["W"] @ da
        return found

    (found,) = tr.compare(loss, by_hand, p).diagnoses
    assert found.complete and SQUARES[slip] in found.sentence, found.sentence
