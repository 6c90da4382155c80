"""Every mistake of the catalogue, planted in a right derivation, is named; and where none fits, none is."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.everything import NETWORKS
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.manual import worked_example

_spec = importlib.util.spec_from_file_location("derivations", pathlib.Path(__file__).with_name("derivations.py"))
derivations = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(derivations)

T, B, n, d, k = 5, 3, 2, 4, 6
RNG = np.random.default_rng(0)
XS, YS = RNG.normal(size=(T, B, n)), np.eye(k)[RNG.integers(k, size=(T, B))]


def weights(scale=0.7, **shapes):
    return {name: scale * RNG.normal(size=shape) for name, shape in shapes.items()}


ELMAN = weights(U=(n, d), W=(d, d), V=(d, k), b=(d,), c=(k,))
LSTM = weights(U=(n, 4 * d), W=(d, 4 * d), b=(4 * d,))
GRU = weights(U=(n, 3 * d), W=(d, 3 * d), b=(3 * d,), b_hn=(d,))
GRU_BEFORE = {name: GRU[name] for name in "UWb"}


def elman_loss(p, xs, ys, f=np.tanh):
    states, _ = tr.unroll(lambda x, s: f(x @ p["U"] + s @ p["W"] + p["b"]), xs, np.zeros((xs.shape[1], len(p["W"]))))
    return nn.cross_entropy(states @ p["V"] + p["c"], ys, "sum") / xs.shape[1]


def written_out_loss(p, xs, ys):
    """The same loss with the softmax written out, by hand."""
    states, _ = tr.unroll(lambda x, s: np.tanh(x @ p["U"] + s @ p["W"] + p["b"]), xs, np.zeros((xs.shape[1], d)))
    e = np.exp(states @ p["V"] + p["c"])
    return -np.sum(ys * np.log(e / np.sum(e, axis=-1, keepdims=True))) / xs.shape[1]


def lstm_loss(p, xs):
    """An LSTM as a user would write it, its gates labelled."""

    def cell(x, state):
        h, c = state
        i, f, g, o = np.split(x @ p["U"] + h @ p["W"] + p["b"], 4, axis=-1)
        i, f = tr.named("i", tr.sigmoid(i)), tr.named("f", tr.sigmoid(f))
        g, o = tr.named("g", np.tanh(g)), tr.named("o", tr.sigmoid(o))
        c = f * c + i * g
        h = o * np.tanh(c)
        return h, (h, c)

    start = np.zeros((xs.shape[1], len(p["W"])))
    return np.sum(tr.unroll(cell, xs, (start, start))[0] ** 2)


def gru_loss(reset):
    def loss(p, xs):
        def cell(x, h):
            x_r, x_z, x_n = np.split(x @ p["U"] + p["b"], 3, axis=-1)
            W_r, W_z, W_n = np.split(p["W"], 3, axis=-1)
            r, z = tr.named("r", tr.sigmoid(x_r + h @ W_r)), tr.named("z", tr.sigmoid(x_z + h @ W_z))
            inside = r * (h @ W_n + p["b_hn"]) if reset == "after" else (r * h) @ W_n
            new = tr.named("n", np.tanh(x_n + inside))
            return (1 - z) * new + z * h

        return np.sum(tr.unroll(cell, xs, np.zeros((xs.shape[1], d)))[0] ** 2)

    return loss


def diagnoses(loss, manual, params, data):
    report = compare(loss, manual, params, data, referee="never")
    assert not report.agrees
    return report.diagnoses


def named(found, *words):
    """The one complete diagnosis whose sentence has these words."""
    fitting = [one for one in found if one.complete and all(word in one.sentence for word in words)]
    assert len(fitting) == 1, [one.sentence for one in found]
    return fitting[0]


# --- planted, and named ----------------------------------------------------------------------------------------------

DELTA, DH = "line `Δ_t = ∂L/∂h_t ∘ (1 - h_t²)`", "line `∂L/∂h_t = ∂L/∂H_t + Δ_{t+1} Wᵀ`"
IN_ELMAN = {
    "no recursion": (DH, "`∂L/∂h_t = ∂L/∂H_t`", "the term Δ_{t+1} Wᵀ was left out"),
    "chunks of 2": (DH, "the term Δ_{t+1} Wᵀ is cut after every 2 steps"),
    "last step only": (DH, "only the last step"),
    "first step left out": ("U, b: line", "without the first step"),
    "first step twice": ("U, b: line", "the first step twice in the sum"),
    "only the last loss term": ("U, W, V, b, c: line `∂L/∂z", "only the last step"),
    "third loss term left out": ("U, W, V, b, c: line `∂L/∂z", "without step 3"),
    "only the last loss reaches the states": (DH, "`∂L/∂h_t = ∂L/∂H_t [t = T] + Δ_{t+1} Wᵀ`"),
    "last instance only": ("U, W, b: line", "the last instance of the batch alone"),
    "s_t for s_{t-1}": (
        "W: line `∂L/∂W = Σ_t h_{t-1}ᵀ Δ_t`",
        "`∂L/∂W = Σ_t h_tᵀ Δ_t`: h_t stands where h_{t-1} belongs",
    ),
    "s_{t-2} for s_{t-1}": ("W: line", "h_{t-2} stands where h_{t-1} belongs"),
    "x_{t-1} for x_t": ("U: line `∂L/∂U = Σ_t x_tᵀ Δ_t`", "x_t of the step before"),
    "s of the step before": ("V: line", "h_{t-1} stands where h_t belongs"),
    "index wraps": ("W: line", "an index of -1 wraps round"),
    "deltas not turned": ("U, W: line", "in reverse order of the steps"),
    "pre-activation in dW": ("W: line", "a_{t-1}, the pre-activation, stands where h_{t-1} belongs"),
    "pre-activation": (DELTA, "1 - a_t², at the pre-activation, stands where 1 - h_t² belongs"),
    "at its result": (DELTA, "`Δ_t = ∂L/∂h_t ∘ (1 - tanh(h_t)²)`"),
    "of the step before": (DELTA, "h_{t-1} stands where h_t belongs"),
    "slope left out": (DELTA, "`Δ_t = ∂L/∂h_t`", "1 - h_t² was left out"),
    "slope left out of the recursion": (DELTA, "1 - h_t² was left out"),
    "slope left out of the direct part": (DELTA, "1 - h_t² was left out"),
    "sigmoid's derivative for tanh's": (DELTA, "h_t ∘ (1 - h_t) stands where 1 - h_t² belongs"),
    "square left out": (DELTA, "h_t stands where h_t² belongs"),
    "W for its transpose": (DH, "`∂L/∂h_t = ∂L/∂H_t + Δ_{t+1} W`: W stands where its transpose belongs"),
    "softmax forgotten": ("line `∂L/∂z", "the Jacobian of the softmax was forgotten"),
    "softmax diagonal": ("line `∂L/∂z", "the diagonal of the softmax's Jacobian alone"),
    "o left out": ("line `∂L/∂z", "was left out"),
    "state carried over": ("states that were not reset", "an earlier run"),
    "state from instance to instance": ("states that were not reset", "each instance of the batch"),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("mistake", IN_ELMAN)
def test_a_mistake_in_an_elman_network_is_named(mistake):
    manual = lambda p, *data: derivations.elman(p, *data, mistake=mistake)  # noqa: E731
    found = diagnoses(elman_loss, manual, ELMAN, (XS, YS))
    named(found, *IN_ELMAN[mistake])
    assert len(found) == 1, [one.sentence for one in found]


@pytest.mark.parametrize("mistake", ["softmax forgotten", "softmax diagonal", "o left out", "W for its transpose"])
def test_and_in_one_whose_softmax_is_written_out(mistake):
    manual = lambda p, *data: derivations.elman(p, *data, mistake=mistake)  # noqa: E731
    named(diagnoses(written_out_loss, manual, ELMAN, (XS, YS)), *IN_ELMAN[mistake])


@pytest.mark.parametrize("mistake", ["only the last loss term", "third loss term left out"])
def test_a_missing_term_is_named_of_a_loss_that_comes_in_terms(mistake):
    def terms(p, xs, ys):
        steps = tr.unroll(lambda x, s: np.tanh(x @ p["U"] + s @ p["W"] + p["b"]), xs, np.zeros((B, d)))[0]
        return [nn.cross_entropy(s @ p["V"] + p["c"], y, "sum") / B for s, y in zip(steps, ys)]

    manual = lambda p, *data: derivations.elman(p, *data, mistake=mistake)  # noqa: E731
    found = diagnoses(terms, manual, ELMAN, (XS, YS))
    named(found, *IN_ELMAN[mistake], "U, W, V, b, c: ")
    assert len(found) == 1, [one.sentence for one in found]


@pytest.mark.parametrize("window", [2, 3, 4])
def test_truncation_is_named_with_its_length(window):
    manual = lambda p, *data: derivations.elman_truncated(p, *data, window=window)  # noqa: E731
    named(diagnoses(elman_loss, manual, ELMAN, (XS, YS)), f"truncated after {window} steps")


def test_with_another_activation():
    loss = lambda p, xs, ys: elman_loss(p, xs, ys, tr.sigmoid)  # noqa: E731
    right = lambda p, *data: derivations.elman(p, *data, f="sigmoid")  # noqa: E731
    assert compare(loss, right, ELMAN, (XS, YS)).agrees
    wrong = lambda p, *data: derivations.elman(p, *data, mistake="slope left out", f="sigmoid")  # noqa: E731
    named(diagnoses(loss, wrong, ELMAN, (XS, YS)), "the derivative of sigmoid, h_t ∘ (1 - h_t), was left out")


IN_LSTM = {
    "cell-state path left out": ("the term ∂L/∂c_{t+1} ∘ f_{t+1} was left out",),
    "hidden-state path left out": ("the term Δ_{t+1} Wᵀ was left out",),
    "tanh of c left out": ("1 - u_t² was left out",),
    "forget gate's derivative left out": ("the derivative of sigmoid, f_t ∘ (1 - f_t), was left out",),
    "c_t for c_{t-1} in the forget gate": ("c_t stands where c_{t-1} belongs",),
    "gates i, f, o, g": ("gates in the order i, f, o, g",),
}


@pytest.mark.parametrize("mistake", IN_LSTM)
def test_a_mistake_in_the_users_own_lstm_is_named(mistake):
    """Its state is a plain tuple, whose parts are called as its code calls them, h and c."""
    manual = lambda p, xs: derivations.lstm(p, xs, mistake=mistake)  # noqa: E731
    found = diagnoses(lstm_loss, manual, LSTM, (XS,))
    named(found, *IN_LSTM[mistake])
    assert len(found) == 1, [one.sentence for one in found]


@pytest.mark.parametrize("mistake", IN_LSTM)
def test_and_in_the_ready_made_one(mistake):
    cell = nn.LSTMCell(n, d, dtype=np.float64)
    cell.load_state_dict(LSTM)
    wrong = derivations.lstm(LSTM, XS, mistake=mistake)
    found = diagnoses(np.sum(tr.unroll(cell, XS)[0] ** 2), wrong, cell, ())
    named(found, *IN_LSTM[mistake])


@pytest.mark.parametrize("right", [pytest.param("after", marks=pytest.mark.sweep), "before"])
def test_the_reset_gate_on_the_other_side_of_the_product(right):
    wrong, params = ("before", GRU) if right == "after" else ("after", GRU_BEFORE)
    manual = lambda p, xs: derivations.gru(p, xs, reset=wrong)  # noqa: E731
    found = diagnoses(gru_loss(right), manual, params, (XS,))
    named(found, f"{wrong} the product with the state", f"belongs {right} it")


@pytest.mark.sweep
def test_the_reset_gate_of_the_ready_made_cell():
    """It has the gate after the product."""
    cell = nn.GRUCell(n, d, dtype=np.float64)
    cell.load_state_dict(GRU)
    wrong = derivations.gru(GRU, XS, reset="before")
    found = diagnoses(np.sum(tr.unroll(cell, XS)[0] ** 2), wrong, cell, ())
    named(found, "before the product with the state", "belongs after it")


def test_a_term_of_the_product_rule_left_out():
    manual = lambda p, xs: derivations.gru(p, xs, mistake="kept state left out")  # noqa: E731
    named(diagnoses(gru_loss("after"), manual, GRU, (XS,)), "the term ∂L/∂h_{t+1} ∘ z_{t+1} was left out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: -g, ("minus the right one",)),
        (lambda g: 2 * g, ("times 2",)),
        (lambda g: g / 2, ("times 1/2",)),
        (lambda g: g / T, ("times 1/T (T = 5, the mean over the steps for their sum)",)),
        (lambda g: g * T, ("times T (T = 5, the sum over the steps for their mean)",)),
        (lambda g: g / B, ("times 1/B (B = 3, the mean over the instances for their sum)",)),
        (lambda g: g * d, ("times d (d = 4)",)),
        (lambda g: g / k, ("times 1/k (k = 6)",)),
        (lambda g: g / (T * B), ("times 1/(T B)",)),
        (lambda g: 0.01 * g, ("times a constant, 0.01", "a learning rate?")),
        (lambda g: -0.01 * g, ("times a constant, -0.01", "the update")),
        (lambda g: 0 * g, ("zero",)),
    ],
)
@pytest.mark.parametrize("which", ["W", "Vc"])
def test_a_mistake_in_the_array_itself(change, words, which):
    right = derivations.elman(ELMAN, XS, YS)
    wrong = {name: change(g) if name in which else g for name, g in right.items()}
    found = diagnoses(elman_loss, wrong, ELMAN, (XS, YS))
    for name in which:
        assert any(
            name in one.parameters and all(word.split(" one")[0] in one.sentence for word in words) for one in found
        )
    assert {name for one in found for name in one.parameters} == set(which)


def test_a_square_matrix_transposed():
    right = derivations.elman(ELMAN, XS, YS)
    named(diagnoses(elman_loss, {**right, "W": right["W"].T}, ELMAN, (XS, YS)), "W: your gradient equals the transpose")


def test_an_array_of_the_wrong_shape_that_is_the_right_one_in_disguise():
    right = derivations.elman(ELMAN, XS, YS)
    disguised = {
        "U": right["U"].T,
        "V": np.vstack([right["V"], right["c"]]),
        "b": np.stack([right["b"] / 2] * 2),
        "W": np.zeros((2, 2)),
        "c": right["c"],
    }
    found = {one.parameters[0]: one.sentence for one in diagnoses(elman_loss, disguised, ELMAN, (XS, YS))}
    assert "the transpose of the right one" in found["U"]
    assert "one row too many, the last: that of the bias" in found["V"]
    assert "before its sum over axis 0" in found["b"]
    assert set(found) == set("UVb")


def test_two_mistakes_in_two_gradients_are_both_named():
    right = derivations.elman(ELMAN, XS, YS)
    wrong = derivations.elman(ELMAN, XS, YS, mistake="s_t for s_{t-1}")
    found = diagnoses(elman_loss, {**wrong, "c": -right["c"]}, ELMAN, (XS, YS))
    named(found, "W, c: line", "h_t stands where h_{t-1} belongs; and line `∂L/∂c", "with the other sign")


# --- where none fits -------------------------------------------------------------------------------------------------


@pytest.mark.one_in(8)
@pytest.mark.parametrize(("name", "size"), list(zip("UWVbcUWb", [1e-6, 1e-2, 1.0, 100.0] * 2, strict=True)))
def test_a_gradient_that_is_simply_wrong_gets_no_diagnosis(name, size):
    """Each is a whole search: thousands of edits, none of which may fit by chance."""
    right = derivations.elman(ELMAN, XS, YS)
    noise = np.random.default_rng(0).normal(size=right[name].shape)
    assert not diagnoses(elman_loss, {**right, name: right[name] + size * noise}, ELMAN, (XS, YS))


@pytest.mark.sweep
@pytest.mark.parametrize("loss", [lstm_loss, gru_loss("after")])
def test_nor_in_a_cell_with_gates(loss):
    params = LSTM if loss is lstm_loss else GRU
    right = (derivations.lstm if loss is lstm_loss else derivations.gru)(params, XS)
    right["W"][0, 0] += 1e-3
    assert not diagnoses(loss, right, params, (XS,))


@pytest.mark.sweep
def test_a_mistake_that_fits_almost_gets_no_diagnosis():
    wrong = derivations.elman(ELMAN, XS, YS, mistake="W for its transpose")
    wrong["U"][0, 0] *= 1 + 1e-6
    assert not any(one.complete for one in diagnoses(elman_loss, wrong, ELMAN, (XS, YS)))


def test_one_number_is_no_evidence_of_a_constant_factor():
    loss = lambda p: np.sum(p["w"] ** 2)  # noqa: E731
    assert not diagnoses(loss, {"w": np.array([0.77])}, {"w": np.array([3.0])}, ())
    named(diagnoses(loss, {"w": np.array([-6.0])}, {"w": np.array([3.0])}, ()), "minus the right one")


def test_without_time_there_are_still_diagnoses():
    x = np.random.default_rng(0).normal(size=(7, 3))
    loss = lambda p: np.sum(np.tanh(x @ p["w"]))  # noqa: E731
    wrong = {"w": x.T @ np.ones((7, 2))}
    found = diagnoses(loss, wrong, {"w": np.random.default_rng(1).normal(size=(3, 2))}, ())
    named(found, "`Δ = 1`")


# --- lines -----------------------------------------------------------------------------------------------------------


def article_terms(p):
    states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), worked_example.INPUTS, state=np.zeros(2))
    o = tr.named("o", tr.sigmoid(tr.named("z", states @ p.V + p.c)))
    steps = zip(worked_example.OUTPUT_STEPS, worked_example.TARGETS)
    return {t: -(y * np.log(o[t - 1])).sum() for t, y in steps}


def test_the_articles_printed_line_for_delta_4_is_named_and_its_totals_agree():
    """It prints the pre-activation where the activation belongs: Δ_4 = y (o_in - 1) Vᵀ (1 - s²)."""
    trace, _ = worked_example.run(steps=(4,))
    p = worked_example.PARAMS
    as_printed = worked_example.TARGETS[0] * (trace.output.z[0] - 1) @ p.V.T * (1 - trace.s[4] ** 2)
    totals = {q.name: q.value for q in worked_example.PRINTED if q.name.startswith("dL/d")}
    report = compare(article_terms, {"L4: delta[4]": as_printed, **totals}, p, decimals=2)
    assert [row.verdict for row in report.rows] == ["agrees"] * 5
    assert report.first_wrong_line.name == "L4: delta[4]"
    assert any("1 - z, at the pre-activation, stands where 1 - o belongs" in one.sentence for one in report.diagnoses)


def test_a_gradient_that_follows_from_the_articles_printed_line_is_named():
    def from_the_printed_line(p):
        trace, _ = worked_example.run(p)
        g = {name: np.zeros_like(value) for name, value in p._asdict().items()}
        delta = np.zeros(2)
        for t in range(6, 0, -1):
            direct = np.zeros(2)
            if t in worked_example.OUTPUT_STEPS:
                row = worked_example.OUTPUT_STEPS.index(t)
                dz = worked_example.TARGETS[row] * (trace.output.z[row] - 1)
                g["V"] += np.outer(trace.s[t], dz)
                g["c"] += dz
                direct = dz @ p.V.T
            delta = (direct + delta @ p.W.T) * (1 - trace.s[t] ** 2)
            g["U"] += np.outer(worked_example.INPUTS[t - 1], delta)
            g["W"] += np.outer(trace.s[t - 1], delta)
            g["b"] += delta
        return g

    found = diagnoses(article_terms, from_the_printed_line, worked_example.PARAMS, ())
    named(found, "U, W, V, b, c", "1 - z, at the pre-activation, stands where 1 - o belongs")


def test_the_articles_slips_in_the_forward_pass_are_named_as_what_they_are():
    printed = {"s[1]": np.array([0.75, 0.60]), "a[1]": np.array([0.75, 0.60])}
    found = compare(article_terms, printed, worked_example.PARAMS, decimals=2).diagnoses
    assert [one.sentence for one in found] == ["s[1]: your line equals the right numbers of a[1]."]


def test_a_line_of_the_step_beside_it_is_named():
    _, back = worked_example.run()
    found = compare(article_terms, {"delta[3]": back.delta[3]}, worked_example.PARAMS).diagnoses
    assert any(one.sentence == "delta[3]: your line equals the right numbers of delta[4]." for one in found)
    found = compare(article_terms, {"delta[3]": -back.delta[2]}, worked_example.PARAMS).diagnoses
    assert any("minus the right one" in one.sentence for one in found)


def test_a_letter_that_the_users_code_does_not_have_is_explained():
    p, xs = weights(U=(d, n), V=(d, n)), XS[:, 0]
    loss = lambda p: np.sum(sum(tr.sigmoid(p["U"] @ x) * np.tanh(p["V"] @ x) for x in xs))  # noqa: E731
    right = tr.grad(loss)(p)
    gates, new = 1 / (1 + np.exp(-xs @ p["U"].T)), np.tanh(xs @ p["V"].T)
    wrong = {**right, "U": ((1 - gates) * new).T @ xs}
    (found,) = diagnoses(loss, wrong, p, ())
    assert found.sentence.endswith("left out. Here Δ_t = ∂L/∂(U x_t), v_t = tanh(V x_t), u_t = σ(U x_t).")


def test_the_letter_of_a_number_is_explained_and_none_by_what_it_is_at_one_step_alone():
    p, xs, kept = weights(U=(d, n), W=(d, d)), XS[:3, 0], np.array([1.0, 0.0, 1.0])

    def loss(p):
        h, total = np.zeros(d), 0.0
        for x, is_kept in zip(xs, kept):
            h = np.tanh(p["U"] @ x + p["W"] @ h)
            total = total + is_kept * np.sum(h**2)
        return total / np.sum(kept)

    wrong = {name: g * np.sum(kept) / len(xs) for name, g in tr.grad(loss)(p).items()}
    (found,) = diagnoses(loss, wrong, p, ())
    assert f"divided by {len(xs)} instead of l. Here l = sum(" in found.sentence
    (found,) = NETWORKS["pooled in two directions"].compare("1/T of the mean left out").diagnoses
    assert found.sentence.endswith("Here v = Σ_t u_t.")  # u_1 = [f_1, b_T], u_2 = [f_2, b_3], ...


def test_the_report_prints_the_sentences():
    manual = lambda p, *data: derivations.elman(p, *data, mistake="s_t for s_{t-1}")  # noqa: E731
    report = compare(elman_loss, manual, ELMAN, (XS, YS))
    sentence = (
        "W: line `∂L/∂W = Σ_t h_{t-1}ᵀ Δ_t`: yours is what one gets with `∂L/∂W = Σ_t h_tᵀ Δ_t`: h_t stands where "
        "h_{t-1} belongs."
    )
    assert sentence in str(report) and sentence in re.sub(r"\\([`_*])", r"\1", report.markdown())
    assert report.to_dict()["diagnoses"][0]["sentence"] == sentence


def test_gates_that_are_read_in_another_order():
    """The forward pass with the gates as another library has them: i, f, o, g."""
    order = np.concatenate([np.arange(d), np.arange(d, 2 * d), np.arange(3 * d, 4 * d), np.arange(2 * d, 3 * d)])

    def manual(p, xs):
        swapped = {name: value[..., order] for name, value in p.items()}
        return {name: g[..., order] for name, g in derivations.lstm(swapped, xs).items()}

    named(diagnoses(lstm_loss, manual, LSTM, (XS,)), "reads its gates in the order i, f, o, g")


def test_two_networks_without_names_of_their_own_are_diagnosed_as_far_as_that_goes():
    """An encoder and a decoder whose states are both called h: what needs to tell them apart is left out."""

    def loss(p, xs):
        cell = lambda x, h: np.tanh(x @ p["U"] + h @ p["W"])  # noqa: E731
        _, code = tr.unroll(cell, xs, np.zeros(d))
        ys, _ = tr.unroll(lambda x, h: np.tanh(h @ p["R"]), None, code, steps=3)
        return np.sum(ys**2)

    params = weights(U=(n, d), W=(d, d), R=(d, d))
    right = tr.grad(lambda p: loss(p, XS[:, 0]))(params)
    assert compare(loss, right, params, (XS[:, 0],)).agrees
    named(
        diagnoses(loss, {**right, "R": -right["R"]}, params, (XS[:, 0],)), "R: your gradient equals minus the right one"
    )


def test_a_long_recording_says_that_it_has_no_diagnosis():
    loss = lambda p: np.sum(tr.unroll(lambda x, h: p["w"] * h, None, np.ones(1), steps=6000)[0])  # noqa: E731
    report = compare(loss, {"w": np.array(-1.0)}, {"w": np.array(0.5)}, referee="never")
    assert not report.diagnoses and "compare a shorter sequence" in str(report)


def test_so_does_a_large_one():
    W, x = np.zeros((2000, 2000)), np.zeros((60, 2000))
    report = compare(lambda p: np.sum(x @ p["W"]), {"W": np.ones((2000, 2000))}, {"W": W}, referee="never")
    assert not report.diagnoses and "a smaller network" in str(report)


READING_BACKWARD = {
    "chunks of 2": ("the term Δ_{t-1} Wᵀ is cut after every 2 steps",),
    "s_t for s_{t-1}": ("W: line", "h_t stands where h_{t+1} belongs"),
    "deltas not turned": IN_ELMAN["deltas not turned"],
    "of the step before": ("h_{t+1} stands where h_t belongs",),
}


@pytest.mark.parametrize("mistake", READING_BACKWARD)
def test_mistakes_in_a_network_that_reads_backward(mistake):
    def loss(p, xs, ys):
        cell = lambda x, s: np.tanh(x @ p["U"] + s @ p["W"] + p["b"])  # noqa: E731
        states, _ = tr.unroll(cell, xs, np.zeros((xs.shape[1], d)), reverse=True)
        return nn.cross_entropy(states @ p["V"] + p["c"], ys, "sum") / xs.shape[1]

    manual = lambda p, xs, ys: derivations.elman(p, xs[::-1], ys[::-1], mistake=mistake)  # noqa: E731
    named(diagnoses(loss, manual, ELMAN, (XS, YS)), *READING_BACKWARD[mistake])


@pytest.mark.parametrize("stand_in", [tr.checkpoint, tr.compile], ids=["checkpoint", "compiled"])
def test_mistakes_behind_a_node_that_stands_for_many(stand_in):
    def loss(p, xs, ys):
        cell = lambda x, s: np.tanh(x @ p["U"] + s @ p["W"] + p["b"])  # noqa: E731
        states, _ = tr.unroll(stand_in(cell), xs, np.zeros((xs.shape[1], d)))
        return nn.cross_entropy(states @ p["V"] + p["c"], ys, "sum") / xs.shape[1]

    manual = lambda p, *data: derivations.elman(p, *data, mistake="W for its transpose")  # noqa: E731
    assert compare(loss, derivations.elman, ELMAN, (XS, YS)).agrees
    named(diagnoses(loss, manual, ELMAN, (XS, YS)), *IN_ELMAN["W for its transpose"])
