"""What a derivation says, as text: the lines of textbooks, each once, with their reasons."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.report import networks

T, B, N, D, K = 5, 2, 3, 4, 3
RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape) * 0.5


def lines_of(derivation):
    """The written lines without shapes and reasons."""
    return [row.strip().split("  ")[0] for row in str(derivation).splitlines() if row.startswith("    ")]


def elman():
    p = {"U": random(N, D), "W": random(D, D), "b": random(D), "V": random(D, K), "c": random(K)}

    def loss(p, xs, target):
        _, h = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), xs, state=np.zeros((B, D)))
        return nn.cross_entropy(h @ p["V"] + p["c"], target)

    return tr.derive(loss, p, [random(T, B, N), np.array([0, 2])])


def test_an_elman_network_reads_as_in_a_textbook():
    assert lines_of(elman()) == [
        "h_0 = 0",
        "a_t = x_t U + h_{t-1} W + b",
        "h_t = tanh(a_t)",
        "z = h_T V + c",
        "p = softmax(z)",
        "L = mean(-log_softmax(z)[·, target])",
        "∂L/∂z = (p - onehot(target)) / 2",
        "∂L/∂h_t = ∂L/∂z Vᵀ [t = T] + Δ_{t+1} Wᵀ",
        "Δ_t = ∂L/∂h_t ∘ (1 - h_t²)",
        "∂L/∂U = Σ_t x_tᵀ Δ_t",
        "∂L/∂W = Σ_t h_{t-1}ᵀ Δ_t",
        "∂L/∂b = Σ_t Σ_batch Δ_t",
        "∂L/∂V = h_Tᵀ ∂L/∂z",
        "∂L/∂c = Σ_rows ∂L/∂z",
    ]


def test_lines_say_why():
    reasons = {line.name: line.why for line in elman().lines}
    assert reasons["delta"] == ("tanh' = 1 - h_t²",)
    assert reasons["dL/dh"] == ("h_t is used by z and by a_{t+1}: two paths, added",)
    assert "b was broadcast over the batch: summed" in reasons["dL/db"]
    assert "W is used at each step: its contributions are added" in reasons["dL/dW"]
    assert reasons["dL/dz"] == ("softmax with cross-entropy: p - y",)


def test_gates_are_split_and_joined_where_the_cell_does_it():
    lines = lines_of(tr.derive(nn.LSTMCell(N, D, dtype=np.float64), random(T, B, N)))
    assert "∂L/∂h_t = ∂L/∂y_t + Δ_{t+1} Wᵀ" in lines
    assert "∂L/∂c_t = ∂L/∂h_t ∘ o_t ∘ (1 - u_t²) + ∂L/∂c_{t+1} ∘ f_{t+1}" in lines
    assert (
        "Δ_t = [∂L/∂i_t ∘ i_t ∘ (1 - i_t), ∂L/∂f_t ∘ f_t ∘ (1 - f_t), ∂L/∂g_t ∘ (1 - g_t²), ∂L/∂o_t ∘ o_t ∘ (1 - o_t)]"
    ) in lines
    assert len(lines) == len(set(lines))


def test_each_gate_of_a_gru_has_its_delta():
    lines = lines_of(tr.derive(nn.GRUCell(N, D, dtype=np.float64), random(T, B, N)))
    assert "∂L/∂z_t = ∂L/∂h_t ∘ (h_{t-1} - n_t)" in lines
    assert "Δ^r_t = ∂L/∂r_t ∘ r_t ∘ (1 - r_t)" in lines


def test_the_whole_loss_has_no_number_beside_its_terms():
    """`L` and `L_t` are told apart by the step; as variables they are two."""
    derivation = tr.derive(networks.elman().loss)
    assert "L = Σ_t L_t" in lines_of(derivation)
    assert set(derivation.run().values) >= {"L", "L_2"}


def test_a_running_sum_is_a_sum_over_steps():
    def loss(p, xs, ys):
        h, total = np.zeros((B, D)), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(np.concatenate([h, x], axis=-1) @ p["W"] + p["b"])
            total = total + 0.5 * np.sum((h - y) ** 2)
        return total

    lines = lines_of(tr.derive(loss, {"W": random(D + N, D), "b": random(D)}, [random(T, B, N), random(T, B, D)]))
    assert lines == [
        "h_0 = 0",
        "u_t = [h_{t-1}, x_t]",
        "a_t = u_t W + b",
        "h_t = tanh(a_t)",
        "e_t = h_t - y_t",
        "L = Σ_t 0.5 sum(e_t²)",
        "∂L/∂h_t = e_t + (Δ_{t+1} Wᵀ)[:, :4]",
        "Δ_t = ∂L/∂h_t ∘ (1 - h_t²)",
        "∂L/∂W = Σ_t u_tᵀ Δ_t",
        "∂L/∂b = Σ_t Σ_batch Δ_t",
    ]


def by_log_softmax(z, k):
    return -tr.log_softmax(z)[k]


def by_logsumexp(z, k):
    return tr.logsumexp(z) - z[k]


@pytest.mark.parametrize("classes", [[0, 1, 3, 2, 1], [0, 1, 2, 3, 2], [1, 1, 1, 1, 1], [3, 2, 1, 0, 0]])
@pytest.mark.parametrize("of", [nn.cross_entropy, by_log_softmax, by_logsumexp])
def test_classes_without_a_batch_are_data_of_each_step(of, classes):
    def loss(p, xs, classes):
        h, total = np.zeros(D), 0.0
        for x, k in zip(xs, classes):
            h = np.tanh(x @ p["U"] + h @ p["W"])
            total = total + of(h @ p["V"], k)
        return total

    p = {"U": random(N, D), "W": random(D, D), "V": random(D, 4)}
    data = [random(T, N), np.array(classes)]
    derivation = tr.derive(loss, p, data)
    assert {line.steps for line in derivation.lines} <= {(), (0,), tuple(range(1, T + 1))}
    assert any(line.endswith(" - onehot(classes_t)") for line in lines_of(derivation))
    moved = [data[0] + 0.1, np.array([2, 0, 1, 3, 3])]
    run = derivation.run(data=dict(zip(("xs", "classes"), moved)))
    for name, right in tr.grad(loss)(p, *moved).items():
        np.testing.assert_allclose(run.gradients[name], right, rtol=1e-10, atol=1e-13)


def sigma(a):
    return 1 / (1 + np.exp(-a))


def test_functions_that_are_written_out_are_called_by_their_names():
    """A sigmoid, a softplus and a softmax written in NumPy are the functions that a person sees in them."""

    def loss(p, xs, ys):
        def step(x, h):
            z = sigma(h @ p["Wz"])
            return z * h + (1 - z) * np.tanh(x @ p["U"])

        hs, _ = tr.unroll(step, xs, np.zeros((B, D)))
        e = np.exp(hs @ p["V"])
        weight = e / np.sum(e, axis=-1, keepdims=True)
        o = hs @ p["v"]
        return np.mean(np.log(1 + np.exp(o)) - ys * o) + np.sum(weight**2)

    p = {"U": random(N, D), "Wz": random(D, D), "V": random(D, 4), "v": random(D)}
    lines = lines_of(tr.derive(loss, p, [random(T, B, N), random(T, B)]))
    assert "z_t = σ(a^z_t)" in lines
    assert any("= softmax(" in line for line in lines) and any("softplus(" in line for line in lines)
    assert any(line.endswith("∘ z_t ∘ (1 - z_t)") for line in lines)
    assert not any("exp(" in line for line in lines)


CROSS_ENTROPIES = {
    "maximum": lambda z, y: np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))),
    "maximum last": lambda z, y: np.log(1.0 + np.exp(-np.abs(z))) - y * z + np.maximum(0.0, z),
    "relu": lambda z, y: tr.relu(z) + np.log1p(np.exp(-np.abs(z))) - y * z,
    "logaddexp": lambda z, y: np.logaddexp(0, z) - z * y,
    "two sides": lambda z, y: y * tr.softplus(-z) + (1 - y) * tr.softplus(z),
    "of the package": lambda z, y: nn.binary_cross_entropy_with_logits(z, y, reduction="none"),
    "negative": lambda z, y: -(z * y - np.maximum(z, 0) - np.log1p(np.exp(-np.abs(z)))),
}


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("form", CROSS_ENTROPIES)
def test_a_cross_entropy_of_two_classes_gives_p_less_y_however_it_is_written(form, by_step):
    """Also where it is written so that no power overflows: by the larger of a and 0, and the size of a."""

    def loss(p, xs, ys):
        h, terms = np.zeros((B, D)), []
        for t in range(T):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            terms.append(CROSS_ENTROPIES[form](h @ p["v"], ys[t]))
        return sum(np.sum(term) for term in terms) if by_step else np.mean(np.stack(terms))

    p, ys = {"U": random(N, D), "W": random(D, D), "v": random(D)}, (random(T, B) > 0) * 1.0
    lines = lines_of(tr.derive(loss, p, [random(T, B, N), ys]))
    assert not any(word in line for line in lines for word in ("abs(", "sign(", "maximum(", "exp(", "where("))
    assert any("σ(a⁽²⁾_t) - y_t" in line for line in lines)


def shifted_softmax(z, largest):
    e = np.exp(z - largest)
    return e / e.sum(axis=-1, keepdims=True)


def shifted_logs(z, largest):
    z = z - largest
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(B), TARGETS]


OF_CLASSES = {
    "softmax": lambda z: -np.log(shifted_softmax(z, z.max(axis=-1, keepdims=True))[np.arange(B), TARGETS]),
    "softmax less the largest of all": lambda z: -np.log(shifted_softmax(z, np.max(z))[np.arange(B), TARGETS]),
    "logarithms": lambda z: shifted_logs(z, np.max(z, axis=1)[:, None]),
    "logarithms and the largest": lambda z: (
        np.max(z, axis=1) + np.log(np.sum(np.exp(z - np.max(z, axis=1)[:, None]), axis=1)) - z[np.arange(B), TARGETS]
    ),
}
TARGETS = np.array([1, 0])


@pytest.mark.parametrize("form", OF_CLASSES)
def test_the_largest_logit_that_is_taken_away_first_has_no_part_in_the_derivative(form):
    def loss(p, xs):
        h, total = np.zeros((B, D)), 0.0
        for t in range(T):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            total = total + np.sum(OF_CLASSES[form](h @ p["V"]))
        return total

    p = {"U": random(N, D), "W": random(D, D), "V": random(D, K)}
    lines = lines_of(tr.derive(loss, p, [random(T, B, N)]))
    assert not any("max(" in line.replace("softmax(", "") for line in lines)
    assert any(line.startswith("∂L/∂z_t = p_t - onehot(") for line in lines)


@pytest.mark.parametrize(
    ("form", "forward", "slope"),
    [
        (lambda a: np.where(a > 0, a, 0), "relu(a_t)", "[a_t > 0]"),
        (lambda a: a * (a > 0), "relu(a_t)", "[a_t > 0]"),
        (lambda a: np.where(a >= 0, a, 0.1 * a), " ≥ 0, ", " ≥ 0]"),
    ],
)
def test_a_mask_that_is_computed_by_a_comparison_is_written_as_one(form, forward, slope):
    """Else it would be data, and wrong at other numbers."""
    p, xs = {"U": random(N, D), "W": random(D, D)}, random(T, B, N)

    def loss(p, xs):
        hs, _ = tr.unroll(lambda x, h: form(x @ p["U"] + h @ p["W"]), xs, np.zeros((B, D)))
        return np.sum(hs**2)

    derivation = tr.derive(loss, p, [xs])
    lines = lines_of(derivation)
    assert any(forward in line for line in lines) and any(slope in line for line in lines)
    others = {name: random(*value.shape) for name, value in p.items()}
    tensors = {name: tr.tensor(value, requires_grad=True) for name, value in others.items()}
    loss(tensors, xs).backward()
    *_, found = derivation.run(others)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(found[name], tensor.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("form", "slope"),
    [
        (lambda a: np.where(np.abs(a) <= 0.3, a**2 / 2, 0.3 * (np.abs(a) - 0.15)), "∘ a_t ∘ ["),
        (lambda a: a * ((a > 0) & (a < 1)), "∘ [(a_t > 0) and (a_t < 1)]"),
        (lambda a: a * (1.0 - (a > 0.1)), "∘ (1 - [a_t > 0.1])"),
        (lambda a: a * ~(a > 0.1), "∘ [a_t ≤ 0.1]"),
        (lambda a: a * (a > 0.1).astype(float), "∘ [a_t > 0.1]"),
        (lambda a: a * np.where(a > 0.1, 1.0, 0.5), "∘ where(a_t > 0.1, 1, 0.5)"),
        (lambda a: np.clip(a, -0.1, 0.1), "∘ [(a_t ≥ -0.1) and (a_t ≤ 0.1)]"),
    ],
)
def test_a_mask_is_known_by_what_made_it_however_few_elements_it_has(form, slope):
    def loss(p, xs):
        h = 0.0
        for t in range(T):
            h = np.tanh(form(p["u"] * xs[t] + p["w"] * h))
        return h**2

    numbers = [({"u": random(), "w": random()}, [3 * random(T)]) for _ in range(4)]
    derivation = tr.derive(loss, *numbers[0])
    assert slope in str(derivation).replace("l_t", "a_t").replace("a⁽²⁾_t", "a_t")
    for p, (xs,) in numbers:
        right = tr.derive(loss, p, [xs]).recording.gradients()
        for name, found in derivation.run(p, {"xs": xs}).gradients.items():
            np.testing.assert_allclose(found, right[name], rtol=1e-10, atol=1e-14)


def test_a_mask_that_was_changed_since_is_data():
    def loss(p):
        mask = p["w"] > 0
        mask[0] = False
        return np.sum(p["w"] * mask)

    assert "k ∘ w" in str(tr.derive(loss, {"w": np.array([1.0, 2.0, -3.0])})).replace("w ∘ k", "k ∘ w")


def test_the_softmax_of_a_column_is_a_line_as_that_of_a_row():
    def loss(p, y):
        e = np.exp(p["W"] @ np.ones((D, 1)))
        return -np.sum(y * np.log(e / np.sum(e)))

    lines = lines_of(tr.derive(loss, {"W": random(K, D)}, [np.eye(K)[:, :1]]))
    assert "p = softmax(z, axis=0)" in lines and any(line.startswith("∂L/∂z = p ∘ ") for line in lines)


@pytest.mark.parametrize("as_data", [False, True])
def test_a_mask_made_of_lengths_and_what_it_leaves_have_one_name(as_data):
    lengths = np.array([T, 2])

    def loss(p, xs, mask=None):
        h = np.zeros((B, D))
        for t in range(T):
            m = mask[t][:, None] if as_data else (t < lengths)[:, None] * 1.0
            h = m * np.tanh(xs[t] @ p["U"] + h @ p["W"]) + (1 - m) * h
        return np.sum(h**2)

    p, xs = {"U": random(N, D), "W": random(D, D)}, random(T, B, N)
    data = [xs, (np.arange(T)[:, None] < lengths).astype(int)][: 1 + as_data]
    written = "h_t = mask_t[..., None] ∘ u_t + (1 - mask_t[..., None]) ∘ h_{t-1}"
    written = written if as_data else "h_t = u_t ∘ [t ≤ lengths] + h_{t-1} ∘ [t > lengths]"
    assert written in str(tr.derive(loss, p, data))


@pytest.mark.parametrize("kind", ["while it lasts", "once it has ended", "a number"])
def test_a_mask_of_lengths_is_written_as_a_comparison_with_the_step(kind):
    """And so holds for other lengths: it was an array of numbers."""

    def loss(p, xs, lengths):
        h = np.zeros((B, D))
        for t in range(T):
            lasts, new = (t < lengths)[:, None], np.tanh(xs[t] @ p["U"] + h @ p["W"])
            if kind == "a number":
                mask = lasts.astype(float)
                h = mask * new + (1.0 - mask) * h
            elif kind == "while it lasts":
                h = np.where(lasts, new, h)
            else:
                h = np.where((t >= lengths)[:, None], h, new)
        return np.sum(h**2)

    p, xs = {"U": random(N, D), "W": random(D, D)}, random(T, B, N)
    derivation = tr.derive(loss, p, (xs, np.array([T, 2])))
    text, source = str(derivation), derivation.source()
    assert "∘ [t+1 > lengths]" in text and "∘ [t ≤ lengths]" in text and "k_t" not in text
    assert "def derivative(U, W, xs, lengths)" in source
    others = np.array([1, T])
    right = tr.grad(loss)(p, xs, others)
    for name, found in derivation.run(data={"lengths": others}).gradients.items():
        np.testing.assert_allclose(found, right[name], rtol=1e-12)


def test_a_mask_of_one_instance_is_none_of_a_number_that_happens_to_fit():
    def loss(p, xs, label):
        h = np.zeros((1, D))
        for t in range(T):
            h = np.where(np.array([[t == 0]]), 0.5 * h, np.tanh(xs[t] @ p["U"] + h @ p["W"]))
        return -tr.log_softmax(h)[0, label[0]]

    p, xs = {"U": random(N, D), "W": random(D, D)}, random(T, 1, N)
    assert "≤ label" not in str(tr.derive(loss, p, (xs, np.array([1]))))


def test_what_only_the_first_step_does_is_said_in_the_line_that_it_shares():
    """Its state is at hand, so a term that later steps have must not be read at the first."""

    def loss(p, xs):
        steps = iter(range(T))

        def cell(x, h):
            return np.tanh(x + h * (p["w"] if next(steps) == 0 else p["v"]))

        return np.sum(tr.unroll(cell, xs, state=p["h0"])[0][-1] ** 2)

    derivation = tr.derive(loss, {name: random(D) for name in ("h0", "w", "v")}, [random(T, D)])
    assert f"Δ_{{t+1}} ∘ w [t = 0] + Δ_{{t+1}} ∘ v [t = 1..{T - 1}]" in str(derivation)
    assert "for t in range(T" in derivation.source()


def test_numbers_for_which_the_lines_do_not_hold_are_refused():
    def loss(p, xs):
        scale = 2.0 if np.sum(p["w"]) > 0 else 3.0
        return np.sum(np.tanh(p["w"] * xs)) * scale

    derivation = tr.derive(loss, {"w": np.ones(D)}, [np.ones(D)])
    assert derivation.run({"w": np.full(D, 2.0)}, {"xs": random(D)}).loss is not None
    with pytest.raises(ValueError, match="run: at these numbers the loss function returns"):
        derivation.run({"w": -np.ones(D)})
    with pytest.raises(ValueError, match="run: there is no parameter 'W' in this derivation; there are w"):
        derivation.run({"W": np.ones(D)})
    with pytest.raises(ValueError, match="run: there is no array 'ys' in this derivation; there are xs"):
        derivation.run(data={"ys": np.ones(D)})


def test_a_gradient_of_a_layer_of_zeros_is_held_to_autograd_at_other_data():
    def loss(p, xs, classes):
        return -np.sum(tr.log_softmax(np.tanh(xs) @ p["V"]) * np.where(np.arange(2) == classes[0], 1.0, 0.0))

    derivation = tr.derive(loss, {"V": np.zeros((D, 2))}, [random(D), np.array([0])])
    with pytest.raises(ValueError, match="run: at these numbers autograd finds another gradient of V than the lines"):
        derivation.run(data={"classes": np.array([1])})  # the loss is log 2, whatever the class is


def test_a_sum_that_the_steps_of_a_loop_read_is_complete_before_it():
    def loss(p, xs):
        def cell(x, state):
            h = np.tanh(x + state[0] @ p["W"])
            return h, (h, state[1] + np.sum(h) * p["s"])

        hs, (_, total) = tr.unroll(cell, xs, state=(np.zeros(D), np.zeros(())))
        return np.sum((np.stack([hs[t] + total[..., None] for t in range(T)]) @ p["V"] - 1) ** 2)

    parameters = {"W": random(D, D), "s": random(), "V": np.zeros((D, 2))}  # no gradient comes through V
    xs, others = random(T, D), {**parameters, "V": random(D, 2)}
    derivation = tr.derive(loss, parameters, [xs])
    np.testing.assert_allclose(derivation.run(others).gradients["W"], tr.grad(loss)(others, xs)["W"])
    assert "for t in range(T, 0, -1)" in derivation.source()


def test_a_chain_of_two_products_that_begins_with_a_bias_of_another_shape():
    def loss(p, xs):
        a = p["b"] + xs[0] @ p["Z"][0] + np.zeros((B, D)) @ p["W"]
        return np.mean((np.stack([tr.sigmoid(a)]) @ p["V"]) ** 2)

    parameters = {"b": random(D), "Z": random(2, N, D), "W": random(D, D), "V": random(D, 2)}
    tr.derive(loss, parameters, [random(1, B, N)])  # held to autograd


def test_a_state_of_zeros_is_no_data_that_happen_to_be_zeros():
    def loss(p, xs, classes):
        h = np.zeros(2)
        for x in xs:
            h = np.tanh(x + h @ p["W"])
        return -np.sum(tr.log_softmax(h)[classes])

    derivation = tr.derive(loss, {"W": random(2, 2)}, [random(T, 2), np.array([0, 0])])
    assert "h_0 = 0" in str(derivation)
    assert derivation.run(data={"classes": np.array([1, 0])}).loss > 0


def test_places_are_not_read_from_real_numbers_that_equal_them():
    def loss(p, mask, classes):
        return -np.sum(np.log(tr.softmax(p["w"] * mask[0]))[np.arange(1), classes])

    derivation = tr.derive(loss, {"w": random(1, D)}, [np.zeros(1), np.array([0])])
    assert "[classes, classes]" in str(derivation)  # the batch's only place is 0, as the class is
    with pytest.raises(ValueError, match="run: the lines can't be computed at these numbers"):
        derivation.run(data={"classes": np.array([1])})


def test_a_loss_that_draws_numbers_is_not_held_to_its_own_value():
    rng = np.random.default_rng(0)
    derivation = tr.derive(lambda p: np.sum(p["w"] * rng.normal(size=D)), {"w": np.ones(D)})
    assert derivation.run({"w": -np.ones(D)}).loss is not None


def test_a_mask_that_the_loss_was_given_stays_data_whatever_the_values_are():
    p, xs = {"U": random(N, D)}, random(T, B, N)

    def loss(p, xs, kept):
        return np.sum(np.stack([np.tanh((xs[t] @ p["U"]) * kept[t]) for t in range(T)]))

    lines = lines_of(tr.derive(loss, p, [xs, xs @ p["U"] > 0]))
    assert any("kept_t" in line for line in lines) and not any("relu(" in line or " > 0" in line for line in lines)


def test_a_cross_entropy_over_a_number_gives_p_less_y_over_it_also_where_p_is_read_again():
    def loss(p, xs, ys):
        y, total = np.zeros((B, D)), 0.0
        for t in range(T):
            y = tr.sigmoid(xs[t] @ p["U"] + y @ p["R"])
            total = total - np.sum(ys[t] * np.log(y) + (1 - ys[t]) * np.log(1 - y)) / 3
        return total

    ys = (random(T, B, D) > 0) * 1.0
    lines = lines_of(tr.derive(loss, {"U": random(N, D), "R": random(D, D)}, [random(T, B, N), ys]))
    assert any("(y⁽²⁾_t - y_t) / 3 + " in line for line in lines)


def test_a_norm_is_written_without_the_guard_of_its_root():
    lines = lines_of(tr.derive(lambda p: np.linalg.norm(p["w"]) ** 3, {"w": random(D)}))
    assert "l = sqrt(sum(w²))" in lines and not any("where(" in line or "[" in line for line in lines)


@pytest.mark.parametrize("by_step", [False, True])
def test_one_hot_rows_made_inside_of_the_loss_are_those_of_the_given_classes(by_step):
    """A sum along such a row is 1, so that the derivative is p - y."""

    def by_hand(p, seen, following):
        h, total = np.zeros(D), 0.0
        for t in range(T):
            h = np.tanh(np.eye(K)[seen[t]] @ p["U"] + h @ p["W"])
            total = total - np.sum(np.eye(K)[following[t]] * tr.log_softmax(h @ p["V"]))
        return total

    def at_once(p, seen, following):
        hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), np.eye(K)[seen], np.zeros(D))
        return -np.sum(np.eye(K)[following] * tr.log_softmax(hs @ p["V"]))

    p, classes = {"U": random(K, D), "W": random(D, D), "V": random(D, K)}, [np.array([0, 2, 1, 1, 0])] * 2
    lines = lines_of(tr.derive(by_hand if by_step else at_once, p, [classes[0], (classes[1] + 1) % K]))
    assert "a_t = onehot(seen_t) U + h_{t-1} W" in lines
    assert ("∂L/∂z_t = p_t - onehot(following_t)" if by_step else "∂L/∂z = p - onehot(following)") in lines


@pytest.mark.parametrize(("names", "lines"), [(("v", None), 1), ((None, "v"), 1), (("v", "again"), 2)])
def test_what_a_network_computes_twice_has_one_line(names, lines):
    """Unless each has a name of its own; values that are alike at the first step alone stay apart."""

    def loss(p, xs):
        def step(x, state):
            h, c = state
            a = x @ p["U"] + h @ p["W"]
            twice = [a - np.mean(a, axis=-1, keepdims=True) for _ in names]
            v, again = (value if name is None else tr.named(name, value) for name, value in zip(names, twice))
            n = p["gain"] * v / np.sqrt(np.mean(again**2, axis=-1, keepdims=True) + 0.1)
            c = sigma(c @ p["W"]) * c + (1 - sigma(c @ p["W"])) * n
            return c, (np.tanh(c), c)

        _, (h, _) = tr.unroll(step, xs, (np.zeros((B, D)), np.zeros((B, D))))
        return np.sum(h**2)

    p, xs = {"U": random(N, D), "W": random(D, D), "gain": random(D)}, random(T, B, N)
    derivation = tr.derive(loss, p, [xs])
    written = lines_of(derivation)
    for part, times in ("v_t = u_t - ", 1), (" = u_t - ", lines), ("mean(u_t", 1), (" = σ(", 1), ("_{t-1} W", 2):
        assert sum(part in line for line in written) == times, (part, written)
    assert any(" = v_t / " in line for line in written) == (lines == 1)  # the gain is on v / s, s the scale of v
    for name, gradient in tr.grad(loss)(p, xs).items():
        np.testing.assert_allclose(derivation.run().gradients[name], gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_batch_is_spoken_of_where_there_is_one(batch):
    def loss(p, xs):
        hs, _ = tr.unroll(
            lambda x, h: np.tanh(p["alpha"] * (x @ p["U"]) + h @ p["W"] + p["b"]), xs, np.zeros((*batch, D))
        )
        return np.sum(hs**2)

    p = {"U": random(N, D), "W": random(D, D), "alpha": random(), "b": random(D)}
    reasons = {line.name: line.why for line in tr.derive(loss, p, [random(T, *batch, N)]).lines}
    assert any("broadcast over the batch" in why for why in reasons["dL/db"]) == bool(batch)
    assert "alpha was broadcast: summed" in reasons["dL/dalpha"]


@pytest.mark.parametrize("shape", [(K,), (K, 1)])
def test_the_logarithm_of_a_softmax_written_out_gives_p_minus_y(shape):
    """Minus log p[k], as most networks of characters have it: there is no 1 / p in its derivation."""

    def loss(p, k):
        e = np.exp(p["W"] @ p["x"])
        return -np.log((e / np.sum(e))[(k, *[0] * (len(shape) - 1))])

    p = {"W": random(K, K), "x": random(*shape)}
    derivation = tr.derive(loss, p, (1,))
    (line,) = [line for line in lines_of(derivation) if line.startswith("∂L/∂z ")]
    assert "p" in line.partition(" = ")[2] and "/" not in line.partition(" = ")[2], line
    for name, gradient in tr.grad(loss)(p, 1).items():
        np.testing.assert_allclose(derivation.run().gradients[name], gradient, rtol=1e-10, atol=1e-12)


def test_a_normalised_value_has_the_derivative_of_the_papers_and_a_softmax_adds_up_to_one():
    def loss(p, xs):
        h, total = np.zeros((B, D)), 0.0
        for t in range(T):
            a = xs[t] @ p["U"] + h @ p["W"]
            h = np.tanh(p["g"] * (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 1e-5))
            q = tr.softmax(h)
            total = total - np.sum(h[:, 0])
            total = total + np.sum(q * np.log(q))
        return total

    lines = lines_of(tr.derive(loss, {"U": random(N, D), "W": random(D, D), "g": random(D)}, [random(T, B, N)]))
    assert f"∂L/∂u_t = (∂L/∂w_t - Σ_rows ∂L/∂w_t / {B} - (Σ_rows ∂L/∂w_t ∘ w_t) ∘ w_t / {B}) / q_t" in lines
    assert "L = Σ_t (sum(p_t ∘ m_t) - sum(h_t[:, 0]))" in lines and not any("1 - sum(" in line for line in lines)


def test_what_a_derivative_is_taken_by_has_a_line():
    def loss(p, xs, ys):
        h, total = np.zeros((B, D)), 0.0
        for x, y in zip(xs, ys):
            h = 0.5 * (tr.sigmoid(x @ p["U"]) * np.tanh(h @ p["W"])) + 0.5 * h  # the product has a path to each factor
            total = total + np.sum((h @ p["V"] - y) ** 2)
        return total

    p = {"U": random(N, D), "W": random(D, D), "V": random(D, 2)}
    derivation = tr.derive(loss, p, [random(T, B, N), random(T, B, 2)])
    forward = {line.name for line in derivation.lines if line.kind == "forward"}
    backward = {line.name for line in derivation.lines if line.kind == "backward"}
    assert {name.replace("dL/d", "").replace("delta", "a") for name in backward} <= forward
    assert "dL/de" in backward  # of e = h V - y, and not of h V, which is no line


def attending(p, xs, y0, ys):
    """A decoder that is told the targets and looks at all states of an encoder, batch first."""
    h, states = np.zeros((B, D)), []
    for x in xs:
        h = np.tanh(x @ p["U"] + h @ p["W"])
        states.append(h)
    every, before, total = np.stack(states, axis=1), y0, 0.0
    for y in ys:
        weights = tr.softmax(np.einsum("bd,btd->bt", h, every), axis=1)
        h = np.tanh(before @ p["C"] + np.einsum("bt,btd->bd", weights, every))
        total, before = total + np.sum((h @ p["V"] - y) ** 2), y
    return total


def test_a_list_of_states_is_short_and_targets_that_are_fed_back_are_targets():
    p = {"U": random(N, D), "W": random(D, D), "C": random(2, D), "V": random(D, 2)}
    data = [random(T, B, N), np.zeros((B, 2)), random(4, B, 2)]
    derivation = tr.derive(attending, p, data)
    lines = lines_of(derivation)
    assert "H = [h_1; …; h_T]" in lines and any("V - y_t" in line for line in lines)
    assert any("einsum('bd,btd->bt', " in line for line in lines)
    assert "np.stack([h[t] for t in range(1, T + 1)], axis=1)" in derivation.source()
    longer = [random(9, B, N), *data[1:]]
    right = tr.derive(attending, p, longer).gradients()
    for name, found in derivation.run(data={"xs": longer[0]}).gradients.items():
        np.testing.assert_allclose(found, right[name], rtol=0, atol=1e-12)


def test_a_row_of_a_mask_that_a_comparison_reads_belongs_to_its_step_and_stands_in_the_choice():
    def loss(p, xs, mask):
        h, total = np.zeros((B, D)), 0.0
        for t in range(T):
            h = np.where(mask[:, t, None] > 0, np.tanh(xs[:, t] @ p["U"] + h @ p["W"]), h)
            total = total + h * mask[:, t, None]
        return np.sum(total / mask.sum(axis=1, keepdims=True))

    mask = (np.arange(T) < np.array([[T - 1], [T]])) * 1.0
    derivation = tr.derive(loss, {"U": random(N, D), "W": random(D, D)}, [random(B, T, N), mask])
    lines = lines_of(derivation)
    assert "h_t = where(mask[:, t, None] > 0, u_t, h_{t-1})" in lines
    assert any("∂L/∂h_{t+1} ∘ [mask[:, t+1, None] ≤ 0]" in line for line in lines)


@pytest.mark.parametrize("shape", [(2, 3), (1, 7), (5, 2), (3, 11)])
def test_logits_less_their_logsumexp_are_a_log_softmax_whatever_their_number(shape):
    def loss(p, xs, targets):
        z = xs @ p["W"]
        return -np.mean(np.sum(targets * (z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))), axis=1))

    targets = np.eye(shape[1])[np.arange(shape[0]) % shape[1]]
    lines = lines_of(tr.derive(loss, {"W": random(N, shape[1])}, [random(shape[0], N), targets]))
    assert "L = -mean(sum(targets ∘ log_softmax(z), axis=1))" in lines


def test_a_gate_has_the_letter_in_which_the_names_of_its_parameters_end():
    gates = {f"{name}{gate}": random(*size) for gate in "zrh" for name, size in (("W_", (N, D)), ("U_", (D, D)))}

    def loss(p, xs):
        h = np.zeros(D)
        for x in xs:
            z, r = tr.sigmoid(x @ p["W_z"] + h @ p["U_z"]), tr.sigmoid(x @ p["W_r"] + h @ p["U_r"])
            h = (1 - z) * h + z * np.tanh(x @ p["W_h"] + (r * h) @ p["U_h"])
        return np.sum(h)

    lines = lines_of(tr.derive(loss, gates, [random(T, N)]))
    assert {"z_t = σ(a^z_t)", "r_t = σ(a^r_t)", "v_t = tanh(a^h_t)"} <= set(lines)  # h is the state
    assert any(line.startswith("Δ^z_t = ") for line in lines)


def test_a_softmax_that_is_fed_back_is_the_p_of_the_cross_entropy():
    def loss(p, xs, ys):
        y, total = np.zeros((B, 3)), 0.0
        for t in range(T):
            y = tr.softmax(tr.sigmoid(xs[:, t] @ p[0] + y @ p[1]) @ p[2])
            total = total - np.mean(np.sum(ys[:, t] * np.log(y), axis=-1))
        return total

    ys = np.eye(3)[np.arange(B * T).reshape(B, T) % 3]
    lines = lines_of(tr.derive(loss, [random(N, D), random(3, D), random(D, 3)], [random(B, T, N), ys]))
    assert {"p_t = softmax(z_t)", "z_t = u_t w2"} <= set(lines)  # w2 is p[2]: a number would be a factor
    assert any(line.startswith("∂L/∂z_t = (p_t - ys[:, t]) / 2 + ") for line in lines)


def test_a_state_is_called_as_its_variable_is_unless_a_profiler_looks():
    def loss(p, xs):
        s, cell = np.zeros(D), np.zeros(D)
        for x in xs:
            cell = tr.sigmoid(x @ p["U"]) * cell + np.tanh(x @ p["U"] + s @ p["W"])
            s = np.tanh(cell)
        return np.sum(s)

    given = {"U": random(N, D), "W": random(D, D)}, [random(T, N)]
    assert any("cell_{t-1}" in line and line.startswith("cell_t = ") for line in lines_of(tr.derive(loss, *given)))
    profiler = lambda *event: None  # noqa: E731
    sys.setprofile(profiler)
    try:
        lines = lines_of(tr.derive(loss, *given))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    assert any(line.startswith("h_t = ") for line in lines) and not any("cell" in line for line in lines)


def test_values_are_called_as_their_variables_are_but_for_what_textbooks_have_a_letter_for():
    def loss(p, xs, ys):
        h_t, total = np.zeros(D), 0.0
        for x, y in zip(xs, ys):
            both = np.concatenate([h_t, x])
            keep = tr.sigmoid(both @ p["Wk"])
            new_hat = np.tanh(both @ p["Wn"])
            h_t = keep * h_t + (1 - keep) * new_hat
            error = h_t @ p["V"] - y
            total = total + np.sum(error**2)
        return total

    p = {"Wk": random(D + N, D), "Wn": random(D + N, D), "V": random(D, K)}
    derivation = tr.derive(loss, p, [random(T, N), random(T, K)])
    assert {
        "both_t = [h_{t-1}, x_t]",
        "keep_t = σ(a^keep_t)",
        "new_hat_t = tanh(a^new_hat_t)",
        "h_t = keep_t ∘ h_{t-1} + (1 - keep_t) ∘ new_hat_t",
        "e_t = h_t V - y_t",
    } <= set(lines_of(derivation))
    assert any(line.startswith("Δ^keep_t = ∂L/∂h_t ∘ (h_{t-1} - new_hat_t)") for line in lines_of(derivation))


def test_a_state_from_zeros_that_a_number_scales_has_one_line_for_all_steps():
    """0.5 * zeros is plain arithmetic: nothing of the first step's product is recorded."""

    def loss(p, xs):
        velocity, h = np.zeros(D), np.zeros(D)
        for x in xs:
            velocity = 0.5 * velocity + x @ p["U"]
            h = np.tanh(h @ p["W"] - velocity)
        return np.sum(h**2)

    derivation = tr.derive(loss, {"U": random(N, D), "W": random(D, D)}, [random(T, N)])
    assert lines_of(derivation)[:3] == ["velocity_0 = 0", "h_0 = 0", "velocity_t = 0.5 velocity_{t-1} + x_t U"]


def test_an_identity_a_comparison_in_a_sum_and_the_transpose_of_a_product():
    def loss(p, xs):
        S, total = 2 * np.eye(D), 0.0
        for _ in xs:
            S = (p["A"] @ S) @ p["A"].T + np.eye(D)
            total = total + np.sum(S @ p["U"] * ((p["U"] > 0.2) + 0.1)) + np.linalg.slogdet(S)[1]
        return total

    lines = lines_of(tr.derive(loss, {"A": random(D, D), "U": random(D, D)}, [random(T, N)]))
    assert "S_0 = 2 I" in lines and any(line.startswith("S_t = ") and line.endswith(" Aᵀ + I") for line in lines)
    assert any("([U > 0.2] + 0.1)" in line for line in lines)
    assert any("_t[1]" in line and line.startswith("L = ") for line in lines)
    (of_A,) = (line for line in lines if line.startswith("∂L/∂A"))
    assert ")ᵀ" not in of_A  # (Aᵀ B)ᵀ is Bᵀ A
