"""Cells as people write them: the gradients of the derivation's lines, against autograd and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.comparison.planted.kept import numbers_first_loss
from tests.derivation.held_to_autograd import RNG, assert_right, random
from tinygrad_rnn import nn
from tinygrad_rnn.derivation import WrongDerivation
from tinygrad_rnn.derivation.backward import adjoints

T, B, N, D, K = 5, 2, 3, 4, 3


def read_out(p, h):
    return h @ p["V"] + p["c"]


OUTPUT = {"V": random(D, K), "c": random(K)}
ROWS = {"U": random(N, D), "W": random(D, D), "b": random(D), **OUTPUT}
XS, YS, CLASSES = random(T, B, N), random(T, B, K), RNG.integers(0, K, (T, B))


def elman(p, x, h):
    return np.tanh(x @ p["U"] + h @ p["W"] + p["b"])


def test_the_loss_at_the_last_step():
    def loss(p, xs, target):
        _, h = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return nn.cross_entropy(read_out(p, h), target)

    assert_right(loss, ROWS, [XS, CLASSES[-1]])


def test_the_loss_at_each_step_from_all_outputs_at_once():
    def loss(p, xs, target):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return nn.cross_entropy(read_out(p, states), target, "per_instance")

    assert_right(loss, ROWS, [XS, CLASSES])


def test_the_loss_at_some_steps():
    def loss(p, xs, ys):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=np.zeros((B, D)))
        return sum(nn.mse(read_out(p, states[t]), ys[t], "sum") for t in (1, 3, 4))

    assert_right(loss, ROWS, [XS, YS])


def test_a_plain_loop_without_a_batch():
    def loss(p, xs, ys):
        h, total = np.zeros(D), 0.0
        for x, y in zip(xs, ys):
            h = elman(p, x, h)
            total = total + 0.5 * np.sum((read_out(p, h) - y) ** 2)
        return total / len(xs)

    assert_right(loss, ROWS, [XS[:, 0], YS[:, 0]])


def test_state_and_input_side_by_side():
    p = {"W": random(D + N, D), "b": random(D), **OUTPUT}

    def loss(p, xs, ys):
        h, total = np.zeros((B, D)), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(np.concatenate([h, x], axis=-1) @ p["W"] + p["b"])
            total += np.mean((read_out(p, h) - y) ** 2)
        return total

    derivation = assert_right(loss, p, [XS, YS])
    assert not any(line.steps == (1,) for line in derivation.lines)  # the first step is like the others


@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_weight_on_the_left(batch):
    p = {"U": random(D, N), "W": random(D, D), "b": random(D, *[1] * len(batch))}

    def loss(p, xs):
        h = np.zeros((D, *batch))
        for x in xs:
            h = np.tanh(p["U"] @ x + p["W"] @ h + p["b"])
        return np.sum(h**2)

    assert_right(loss, p, [random(T, N, *batch)])


def test_a_transposed_weight():
    def loss(p, xs):
        h = np.zeros((B, D))
        for x in xs:
            h = np.tanh(x @ p["U"].T + h @ p["W"].T + p["b"])
        return np.sum(h**2)

    assert_right(loss, {"U": random(D, N), "W": random(D, D), "b": random(D)}, [XS])


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_layer_alone(kind, batch):
    cell = kind(N, D, dtype=np.float64)
    derivation = tr.derive(cell, random(T, *batch, N))
    mine, right = derivation.gradients(), derivation.recording.gradients()
    assert set(mine) == {"U", "W", "b", *(["b_hn"] if kind is nn.GRUCell else [])}
    for name, value in right.items():
        np.testing.assert_allclose(mine[name], value, rtol=0, atol=1e-10 * np.abs(value).max())


# --- cells of the literature, written by hand ------------------------------------------------------------------------


def run_cell(cell, p, xs, ys, state):
    """A plain loop over a cell; the loss is the squared error of its first result."""
    total = 0.0
    for x, y in zip(xs, ys):
        h, state = cell(p, x, state)
        total = total + 0.5 * np.sum((h - y) ** 2)
    return total


def both_loops(cell, p, start, xs, ys):
    """The same by a plain loop and by unroll."""
    assert_right(lambda p, xs, ys: run_cell(cell, p, xs, ys, start), p, [xs, ys])

    def unrolled(p, xs, ys):
        states, _ = tr.unroll(lambda x, s: cell(p, x, s), xs, state=start)
        return 0.5 * np.sum((states - ys) ** 2)

    return assert_right(unrolled, p, [xs, ys])


ZERO, TARGETS = np.zeros((B, D)), random(T, B, D)
UWB = {"U": random(N, D), "W": random(D, D), "b": random(D)}


def test_leaky():
    def cell(p, x, h):
        h = (1 - p["alpha"]) * h + p["alpha"] * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        return h, h

    both_loops(cell, {**UWB, "alpha": np.array(0.3)}, ZERO, XS, TARGETS)


def test_leaky_with_a_fixed_rate():
    def cell(p, x, h):
        h = 0.7 * h + 0.3 * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        return h, h

    derivation = both_loops(cell, UWB, ZERO, XS, TARGETS)
    assert not any(len(line.steps) == 1 and line.steps != (0,) for line in derivation.lines)


def test_residual():
    def cell(p, x, h):
        h = h + np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        return h, h

    both_loops(cell, UWB, ZERO, XS, TARGETS)


def test_minimal_gated_unit():
    p = {"Uf": random(N, D), "Wf": random(D, D), "Un": random(N, D), "Wn": random(D, D), "bf": random(D)}

    def cell(p, x, h):
        f = tr.sigmoid(x @ p["Uf"] + h @ p["Wf"] + p["bf"])
        n = np.tanh(x @ p["Un"] + (f * h) @ p["Wn"])
        h = (1 - f) * h + f * n
        return h, h

    both_loops(cell, p, ZERO, XS, TARGETS)


def test_simple_recurrent_unit():
    p = {"W": random(D, D), "Wf": random(D, D), "Wr": random(D, D), "bf": random(D), "v": random(D)}

    def cell(p, x, c):
        f = tr.sigmoid(x @ p["Wf"] + p["v"] * c + p["bf"])
        r = tr.sigmoid(x @ p["Wr"])
        c = f * c + (1 - f) * (x @ p["W"])
        return r * np.tanh(c) + (1 - r) * x, c

    both_loops(cell, p, ZERO, random(T, B, D), TARGETS)


@pytest.mark.parametrize("as_data", [True, False])
def test_clockwork_with_masks(as_data):
    masks = np.array([[(t % period == 0) * 1.0 for period in (1, 1, 2, 3)] for t in range(T)])

    def loss(p, xs, ys, masks=masks):
        h, total = np.zeros((B, D)), 0.0
        for x, y, mask in zip(xs, ys, masks):
            h = mask * np.tanh(x @ p["U"] + h @ p["W"] + p["b"]) + (1 - mask) * h
            total = total + np.sum((h - y) ** 2)
        return total

    assert_right(loss, UWB, [XS, TARGETS, masks] if as_data else [XS, TARGETS])


def test_clockwork_by_the_number_of_the_step():
    def loss(p, xs, ys):
        h, total = np.zeros((B, D)), 0.0
        for t, (x, y) in enumerate(zip(xs, ys), start=1):
            new = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
            h = np.concatenate([new[:, :2], new[:, 2:] if t % 2 else h[:, 2:]], axis=1)
            total = total + np.sum((h - y) ** 2)
        return total

    assert_right(loss, UWB, [XS, TARGETS])


def test_peepholes():
    p = {"U": random(N, 4 * D), "W": random(D, 4 * D), "b": random(4 * D), "P": random(3, D)}

    def cell(p, x, state):
        h, c = state
        a = x @ p["U"] + h @ p["W"] + p["b"]
        i, f = tr.sigmoid(a[:, :D] + p["P"][0] * c), tr.sigmoid(a[:, D : 2 * D] + p["P"][1] * c)
        c = f * c + i * np.tanh(a[:, 2 * D : 3 * D])
        o = tr.sigmoid(a[:, 3 * D :] + p["P"][2] * c)
        h = o * np.tanh(c)
        return h, (h, c)

    both_loops(cell, p, (ZERO, ZERO), XS, TARGETS)


def test_an_oscillator_of_two_states_by_runge_kutta():
    p = {"k": np.array(1.3), "damping": np.array(0.2)}
    forces, seen = random(T), random(T)

    def slope(p, q, v, force):
        return v, force - p["k"] * np.sin(q) - p["damping"] * v

    def loss(p, forces, seen):
        q, v, dt, total = 0.4, 0.0, 0.1, 0.0
        for force, y in zip(forces, seen):
            q1, v1 = slope(p, q, v, force)
            q2, v2 = slope(p, q + dt / 2 * q1, v + dt / 2 * v1, force)
            q3, v3 = slope(p, q + dt / 2 * q2, v + dt / 2 * v2, force)
            q4, v4 = slope(p, q + dt * q3, v + dt * v3, force)
            q = q + dt / 6 * (q1 + 2 * q2 + 2 * q3 + q4)
            v = v + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            total = total + (q - y) ** 2
        return total

    assert_right(loss, p, [forces, seen])


def test_the_log_likelihood_of_a_kalman_filter():
    p = {"F": np.eye(2) * 0.9 + 0.05 * random(2, 2), "H": random(1, 2), "q": np.array(0.3), "r": np.array(0.5)}

    def loss(p, ys):
        x, P, total = np.zeros(2), np.eye(2), 0.0
        for y in ys:
            x, P = p["F"] @ x, p["F"] @ P @ p["F"].T + p["q"] ** 2 * np.eye(2)
            e = y - p["H"] @ x
            S = p["H"] @ P @ p["H"].T + p["r"] ** 2 * np.eye(1)
            K = np.linalg.solve(S, p["H"] @ P).T
            total = total + 0.5 * (e @ np.linalg.solve(S, e) + np.linalg.slogdet(S)[1] + np.log(2 * np.pi))
            x, P = x + K @ e, P - K @ p["H"] @ P
        return total

    assert_right(loss, p, [random(T, 1)], writable=False)


def test_where_and_maximum():
    def cell(p, x, h):
        a = x @ p["U"] + h @ p["W"] + p["b"]
        h = np.where(a > 0, a, 0.1 * a)
        h = np.maximum(h, np.minimum(-0.5 * h, 0.3))
        return h, h

    both_loops(cell, UWB, ZERO, XS, TARGETS)


def test_einsum():
    p = {"A": random(N, D, D), "b": random(D)}

    def cell(p, x, h):
        h = np.tanh(np.einsum("bi,ijk,bj->bk", x, p["A"], h) + p["b"])
        return h, h

    both_loops(cell, p, ZERO + 0.3, XS, TARGETS)


def test_an_operation_without_a_form_in_numpy_is_written_by_name():
    def loss(p, xs):
        h = np.zeros(D)
        for x in xs:
            h = np.tanh(np.linalg.inv(p["W"] + 3 * np.eye(D)) @ h + x @ p["U"])
        return np.sum(np.cumsum(h))

    assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [XS[:, 0]], writable=False)


@tr.custom_vjp
def doubled(x):
    return 2 * x


doubled.defvjp(lambda x: (2 * x, None), lambda saved, g: (2 * g,))


def test_a_function_with_a_rule_of_its_own():
    def loss(p, xs):
        h = np.zeros(D)
        for x in xs:
            h = np.tanh(doubled(h) @ p["W"] + x @ p["U"])
        return np.sum(h**2)

    derivation = assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [XS[:, 0]], writable=False)
    assert "vjp_of_doubled" in str(derivation)


# --- other forms in which a loss comes -------------------------------------------------------------------------------


def recorded_elman(track=True):
    leaves = {name: tr.tensor(value, requires_grad=track, name=name) for name, value in UWB.items()}
    states, _ = tr.unroll(lambda x, h: elman(leaves, x, h), XS, state=ZERO)
    return np.sum((states - TARGETS) ** 2), leaves


def test_a_recorded_loss():
    loss, leaves = recorded_elman()
    derivation = tr.derive(loss)
    loss.backward()
    for name, leaf in leaves.items():
        np.testing.assert_allclose(derivation.gradients()[name], leaf.grad, rtol=1e-12)
    assert "a_t = x_t U + h_{t-1} W + b" in str(derivation)


def test_a_recorded_loss_with_parameters_by_name():
    loss, leaves = recorded_elman()
    derivation = tr.derive(loss, {"Wh": leaves["W"]})
    assert set(derivation.gradients()) == {"Wh"}


def test_a_loss_as_its_terms():
    def terms(p, xs, ys):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=ZERO)
        return {t: np.sum((states[t - 1] - ys[t - 1]) ** 2) for t in (2, 4)}

    assert_right(terms, UWB, [XS, TARGETS])


def test_a_wrong_line_is_never_printed(monkeypatch):
    right = adjoints._through

    def forgetful(expression, number, g, ans):
        """Second operands get nothing."""
        return None if number == 1 else right(expression, number, g, ans)

    monkeypatch.setattr(adjoints, "_through", forgetful)
    with pytest.raises(WrongDerivation, match="another gradient than autograd"):
        tr.derive(lambda p, xs: np.sum(np.tanh(xs[0] @ p["U"]) ** 2), {"U": UWB["U"]}, [XS])


def test_two_layers_in_one_plain_loop():
    p = {"U": random(N, D), "W": random(D, D), "U2": random(D, D), "W2": random(D, D)}

    def loss(p, xs, ys):
        h, g, total = ZERO, ZERO, 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(x @ p["U"] + h @ p["W"])
            g = np.tanh(h @ p["U2"] + g @ p["W2"])
            total = total + np.sum((g - y) ** 2)
        return total

    assert_right(loss, p, [XS, TARGETS])


def test_an_encoder_and_a_decoder_in_plain_loops():
    p = {"U": random(N, D), "W": random(D, D), "M": random(D, D), "V": random(D, K)}

    def loss(p, xs, ys):
        h, total = ZERO, 0.0
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
        for y in ys:
            h = np.tanh(h @ p["M"])
            total = total + np.sum((h @ p["V"] - y) ** 2)
        return total

    assert_right(loss, p, [XS, random(3, B, K)])


def test_one_step():
    def loss(p, xs):
        states, _ = tr.unroll(lambda x, h: elman(p, x, h), xs, state=ZERO)
        return np.sum(states**2)

    assert_right(loss, UWB, [XS[:1]])


def test_two_steps_in_a_plain_loop():
    def loss(p, xs):
        h = ZERO
        for x in xs:
            h = elman(p, x, h)
        return np.sum(h**2)

    assert_right(loss, UWB, [XS[:2]])


def test_no_steps_at_all():
    assert_right(lambda p, x: np.sum(np.tanh(x @ p["U"] + p["b"]) ** 2), {"U": UWB["U"], "b": UWB["b"]}, [XS[0]])


def a_loop(p, xs, every=None):
    """An Elman network in a plain loop, its gradient cut where a chunk begins."""
    h, total = np.zeros(D), 0.0
    for k, x in enumerate(xs):
        if every and k % every == 0:
            h = tr.stop_gradient(h)
        h = np.tanh(x @ p["U"] + h @ p["W"])
        total = total + np.sum(h**2)
    return total


@pytest.mark.parametrize("lengths", [(3, 2), (8, 5), (12, 6), (4, 4)], ids=str)
def test_two_loops_one_after_the_other(lengths):
    first, second = (random(n, N) for n in lengths)
    derivation = assert_right(
        lambda p, a, b: a_loop(p, a) + a_loop(p, b), {"U": UWB["U"], "W": UWB["W"]}, [first, second]
    )
    if min(lengths) > 3:  # each state has one recursion, and a start
        assert sum(line.name.startswith("h") for line in derivation.lines) == 4


def test_two_terms_a_step():
    def loss(p, xs):
        h, total = np.zeros(D), 0.0
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
            total = total + np.sum(h**2)
            total = total + 0.1 * np.sum(np.abs(h))
        return total

    derivation = assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [XS[:, 0]])
    assert "L = Σ_t (sum(h_t²) + 0.1 sum(abs(h_t)))" in str(derivation)


@pytest.mark.parametrize(("entering", "said"), [((1, 3, 5), "t in {2, 4, T}"), ((2, 3, 4, 5), "t = 3..T")])
def test_a_plain_loop_of_which_some_steps_enter_the_loss(entering, said):
    def loss(p, xs, ys):
        h, total = np.zeros(D), 0.0
        for t in range(6):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            if t in entering:
                z = h @ p["U"].T
                total = total + tr.logsumexp(z) - z[int(ys[t])]
        return total

    derivation = assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [random(6, N), np.arange(6) % N])
    assert f" [{said}] + Δ_{{t+1}} Wᵀ  " in str(derivation)


def test_the_logarithms_of_a_sigmoid_that_is_fed_back():
    """p - y goes to the pre-activation at once; the slope belongs to what comes back from the next step."""

    def loss(p, xs, ys):
        q, total = np.zeros(N), 0.0
        for x, y in zip(xs, ys):
            q = tr.sigmoid(np.tanh(x @ p["U"] + q @ p["U"]) @ p["V"])
            total = total - np.sum(y * np.log(q) + (1 - y) * np.log(1 - q))
        return total

    p = {"U": UWB["U"], "V": random(D, N)}
    derivation = assert_right(loss, p, [random(4, N), np.random.default_rng(1).uniform(size=(4, N))])
    assert "Δ_t = q_t - y_t + Δ⁽²⁾_{t+1} Uᵀ ∘ q_t ∘ (1 - q_t)" in str(derivation)


def test_chunks_in_a_plain_loop():
    """The gradient is no derivative of the loss, so that finite differences have nothing to say."""
    derivation = tr.derive(lambda p, xs: a_loop(p, xs, every=3), {"U": UWB["U"], "W": UWB["W"]}, [random(7, N)])
    assert "∂L/∂h_t = 2 h_t + Δ_{t+1} Wᵀ [t in {1, 2, 4, 5}]" in str(derivation)


@pytest.mark.parametrize("is_learnt", [True, False], ids=["learnt", "given"])
def test_the_first_state_of_a_plain_loop(is_learnt):
    def loss(p, xs, given):
        h, total = p["h0"] if is_learnt else given, 0.0
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
            total = total + np.sum(h**2)
        return total

    parameters = {"U": UWB["U"], "W": UWB["W"]} | ({"h0": random(D)} if is_learnt else {})
    derivation = assert_right(loss, parameters, [XS[:, 0], random(D)])
    assert "∂L/∂W = Σ_t h_{t-1} ⊗ Δ_t" in str(derivation)


def test_states_stacked_behind_the_batch():
    def loss(p, xs):
        h, states = np.zeros((2, D)), []
        for t in range(4):
            h = np.tanh(xs[:, t] @ p["U"] + h @ p["W"])
            states.append(h)
        return np.sum(np.sin(np.stack(states, axis=1)))

    derivation = assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [random(2, 4, N)])
    assert "∂L/∂h_t = ∂L/∂z[:, t] + Δ_{t+1} Wᵀ" in str(derivation)


def test_the_last_states_of_a_list():
    def loss(p, xs):
        h, states = np.zeros(D), []
        for x in xs:
            h = np.tanh(x @ p["U"] + h @ p["W"])
            states.append(h)
        return np.mean(np.stack(states)[2:] ** 2)

    derivation = assert_right(loss, {"U": UWB["U"], "W": UWB["W"]}, [XS[:, 0]])
    assert "L = mean(h_{3..T}²)" in str(derivation)


def test_parameters_that_are_one_array():
    assert_right(lambda W, x: np.sum(np.tanh(x @ W) ** 2), UWB["U"], [XS[0]])


def test_a_function_with_its_parameters_around_it():
    W, U = (tr.tensor(UWB[name], requires_grad=True) for name in "WU")
    derivation = tr.derive(lambda x, h: np.tanh(x @ U + h @ W), XS, ZERO)
    assert set(derivation.parameters) == {"W", "U"}
    assert "∂L/∂h_t = ∂L/∂y_t + Δ_{t+1} Wᵀ" in str(derivation)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_whole_layers_alone(kind):
    derivation = tr.derive(kind(N, D, 2, bidirectional=True, dtype=np.float64), XS)
    derivation.check()
    assert all(line.name != "L" for line in derivation.lines)


def test_single_precision():
    tr.derive(nn.LSTMCell(N, D), XS.astype(np.float32)).source()


def test_values_that_decide_how_many_steps_there_are():
    def loss(p, xs):
        h, k = np.zeros(D), 0
        while np.sum(h**2) < 0.5 and k < len(xs):
            h = np.tanh(xs[k] @ p["U"] + h @ p["W"])
            k += 1
        return np.sum(h)

    assert_right(loss, {"U": UWB["U"] * 2, "W": UWB["W"]}, [XS[:, 0]])


def test_rows_taken_by_number_in_a_plain_loop_are_rows_by_an_array_of_numbers():
    """Not a line for each word: ``E[word]`` at each step, and what comes back is put at the words' places."""

    def loss(p, source, target):
        h, total = np.zeros(3), 0.0
        for word, wanted in zip(source, target):
            h = np.tanh(p["E"][word] + h @ p["W"])
            total = total - np.log(tr.softmax(h @ p["V"])[wanted])
        return total

    source, target = np.array([1, 0, 1, 3, 3]), np.array([0, 2, 2, 1, 0])
    p = {"E": random(4, 3), "W": random(3, 3), "V": random(3, 4)}
    assert_right(loss, p, [source, target])
    assert "∂L/∂E = Σ_t put(Δ_t at [source_t])" in str(tr.derive(loss, p, [source, target]))


def test_one_cell_that_serves_both_directions_in_turn_has_a_step_of_two_states():
    def loss(p, xs):
        forwards, backwards, total = np.zeros(D), np.zeros(D), 0.0
        for t in range(T):
            forwards = elman(p, xs[t], forwards)
            backwards = elman(p, xs[T - 1 - t], backwards)
            total = total + forwards @ backwards
        return total

    lines = str(assert_right(loss, ROWS, [XS[:, 0]]))
    assert "x_t U + forwards_{t-1} W" in lines and "xs[-t+4] U + backwards_{t-1} W" in lines


def test_two_cells_that_go_in_both_directions_in_one_loop_have_the_steps_of_the_data():
    """The outputs read a state of either direction, joined, of which now one and now the other is the later value."""
    p = {"U": random(N, D), "W": random(D, D), "A": random(N, D), "C": random(D, D), "V": random(2 * D, K)}

    def loss(p, xs, ys):
        forwards, backwards, total = [np.zeros(D)], [np.zeros(D)], 0.0
        for t in range(T):
            forwards.append(np.tanh(xs[t] @ p["U"] + forwards[-1] @ p["W"]))
            backwards.append(np.tanh(xs[T - 1 - t] @ p["A"] + backwards[-1] @ p["C"]))
        for t in range(T):
            joined = np.concatenate([forwards[t + 1], backwards[T - t]])
            total = total + np.sum((joined @ p["V"] - ys[t]) ** 2)
        return total

    lines = str(assert_right(loss, p, [XS[:, 0], YS[:, 0]]))
    assert "joined_t = [h_t, h⁽²⁾_t]" in lines and "h⁽²⁾_{T+1} = 0" in lines
    assert lines.count("[t = ") == 0  # no step is apart


def test_a_list_of_steps_is_an_array_of_them():
    """Columns in a list, numbers in a list, or pairs of both: the lines are those of one array, whose rows they are."""

    def loss(p, xs, ys):
        h, total = np.zeros((D, 1)), 0.0
        for x, y in zip(xs, ys):
            r = tr.sigmoid(p["R"] @ x)
            h = np.tanh(p["U"] @ x + p["W"] @ (r * h))
            total = total + np.abs(np.sum(h) - y)
        return total

    p = {"U": random(D, N), "W": random(D, D), "R": random(D, N)}
    xs, ys = random(T, N, 1), random(T)
    lines = str(assert_right(loss, p, [xs, ys]))
    assert str(assert_right(loss, p, [list(xs), ys.tolist()])) == lines
    assert str(tr.derive(loss, p, [list(xs), ys]).run(data={"xs": xs + 1}).loss) == str(loss(p, xs + 1, ys))
    pairs = tr.derive(lambda p, pairs: loss(p, *zip(*pairs)), p, [list(zip(xs, ys.tolist()))])
    assert str(pairs).replace("pairs_0", "x").replace("pairs_1", "y").split() == lines.split()


@pytest.mark.parametrize("some", [{0, 2, 4}, {1, 4, 5}, {3, 4, 5}])
def test_a_loss_at_some_steps_of_a_plain_loop_leaves_one_line_for_each_quantity(some):
    """Not a loop for each stretch between two terms of the loss."""

    def loss(p, xs, ys):
        h, total = np.zeros(3), 0.0
        for t in range(6):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"])
            if t in some:
                total = total + np.sum((h @ p["V"] - ys[t]) ** 2)
        return total

    p = {"U": random(2, 3), "W": random(3, 3), "V": random(3, 2)}
    data = [random(6, 2), random(6, 2)]
    assert_right(loss, p, data)
    assert len(tr.derive(loss, p, data).lines) == 11


def test_a_last_step_of_which_the_loss_reads_little_belongs_to_the_loop():
    """The memory that the last step would hand on is never read."""

    def loss(p, xs):
        h, m = p["h0"], p["m0"]
        for x in xs:
            h = np.tanh(x @ p["U"] + m @ p["W"] + h)
            m = tr.sigmoid(np.tanh(h @ p["A"]) @ p["C"]) * np.exp(m @ p["D"]) + np.tanh(h * h) * m
        return np.sum(h**2)

    p = {"U": random(2, 3), "h0": random(3), "m0": random(3), **{name: random(3, 3) / 2 for name in "WACD"}}
    xs = random(5, 2)
    assert_right(loss, p, [xs])
    assert "∂L/∂U = Σ_t x_t ⊗ Δ_t" in str(tr.derive(loss, p, [xs]))


def test_a_plain_loop_from_numbers_has_the_same_lines_at_all_steps():
    """What Python computes of the first numbers leaves no recording: of step 1, and 1 - q² of step 2."""
    p = {"mu": np.array(0.7), "k": np.array(1.3), "w": np.array(0.5)}
    data = [random(6), random(6)]
    assert_right(numbers_first_loss, p, data)
    steps = {line.steps for line in tr.derive(numbers_first_loss, p, data).lines}
    assert {some for some in steps if len(some) < 5} == {(), (0,)}


def test_runge_kutta_in_a_plain_loop_from_a_number():
    """The last step's velocity isn't needed; its stages keep their places."""

    def loss(p, us, ys):
        def slope(q, v, u):
            return v, p["w"] * u - p["k"] * np.sin(q) - p["c"] * v

        q, v, total = 0.6, p["v0"], 0
        for u, y in zip(us, ys):
            a1, b1 = slope(q, v, u)
            a2, b2 = slope(q + 0.1 * a1, v + 0.1 * b1, u)
            a3, b3 = slope(q + 0.1 * a2, v + 0.1 * b2, u)
            a4, b4 = slope(q + 0.2 * a3, v + 0.2 * b3, u)
            q, v = q + 0.2 / 6 * (a1 + 2 * a2 + 2 * a3 + a4), v + 0.2 / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
            total = total + (q - y) ** 2
        return total

    p = {name: np.array(value) for name, value in {"k": 1.2, "c": 0.4, "w": 0.8, "v0": 0.3}.items()}
    data = [random(5), random(5)]
    assert_right(loss, p, data)
    assert {line.steps for line in tr.derive(loss, p, data).lines if len(line.steps) < 4} == {(), (0,)}


def test_terms_of_the_loss_stay_at_their_steps_where_the_first_step_is_incomplete():
    """The sigmoid's 1 + exp(-a) is a sum like that of the loss, which leaves out step 3."""

    def loss(p, xs, ys):
        h, m, total = np.zeros(3), np.zeros(3), 0.0
        for t in range(6):
            h = np.tanh(xs[t] @ p["U"] + h @ p["W"] + m[:2] @ p["P"])
            m = np.concatenate([np.reshape(1 / (1 + np.exp(-(h @ p["d"]))), (1,)), m[:-1]])
            if t in {1, 3, 4, 5}:
                total = total + np.exp((h @ p["v"]) ** 2) - ys[t] * (h @ p["v"])
        return total

    p = {"U": random(2, 3), "W": random(3, 3), "P": random(2, 3), "d": random(3), "v": random(3)}
    data = [random(6, 2), random(6)]
    assert_right(loss, p, data)
    assert "h_t v" in (text := str(tr.derive(loss, p, data))) and "h_2 v" not in text


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_cross_entropy_of_whole_numbers_that_begins_with_a_number(shape):
    """0 - l_1 may be of another shape than 0; what Python makes of targets, 1 - y, leaves no trace but its value."""

    def loss(p, xs, ys):
        h, total = np.zeros(D), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(x @ p["U"] + h @ p["W"])
            q = tr.sigmoid(h @ p["v"])
            total = total - (y * np.log(q) + (1 - y) * np.log(1 - q))
        return total

    p = {"U": random(N, D), "W": random(D, D), "v": random(D, *shape)}
    derivation = assert_right(loss, p, [random(5, N), np.array([0, 1, 1, 0, 1]).reshape(5, *shape)])
    assert "(1 - y_t) ∘ log(1 - " in str(derivation) and "_t - y_t  " in str(derivation)


def test_two_states_that_begin_at_zero_and_scale_each_other():
    """The second step's norm is read after what Python computed of the first."""

    def loss(p, xs):
        h = s = np.zeros((1, D))
        for x in xs:
            n = np.tanh(np.concatenate([s, x], axis=-1) @ p["C"])
            h, s = s * np.linalg.norm(h, axis=-1, keepdims=True), p["g"] * h + (1 - p["g"]) * n
        return np.sum((s * np.linalg.norm(h, axis=-1, keepdims=True)) ** 2) + np.sum(s**2)

    assert_right(loss, {"C": random(D + N, D), "g": random(D)}, [random(6, 1, N)])


def test_a_normalised_state_that_begins_at_zero():
    """Rules that write the derivative of a layer norm each in the other's form would never end."""

    def loss(p, ys):
        h, total = np.zeros(D), 0.0
        for y in ys:
            h = h / (1 + np.sum(p["b"] * p["b"], axis=-1, keepdims=True))
            c = h - h.mean(-1, keepdims=True)
            h = p["g"] * (c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)) + p["b"]
            total = total + np.sum(np.maximum(0, 1 - (h @ p["V"]) * y))
        return total

    assert_right(loss, {"b": random(D), "g": random(D), "V": random(D, 4)}, [random(2, 4)])


@pytest.mark.parametrize("order", ["by numbers", "reversed", "turned", "from columns"])
def test_both_directions_in_plain_loops_have_the_steps_of_the_data(order):
    p = {"U": random(D, N), "W": random(D, D), "V": random(K, D)}
    p |= {"A": random(D, N), "C": random(D, D), "Z": random(K, D)}

    def loss(p, xs, ys):
        h, b, forth, back = np.zeros(D), np.zeros(D), [], []
        for x in xs.T if order == "from columns" else xs:
            h = np.tanh(p["U"] @ x + p["W"] @ h)
            forth.append(h)
        ends = {
            "by numbers": lambda: (xs[t] for t in range(T - 1, -1, -1)),
            "reversed": lambda: reversed(xs),
            "turned": lambda: xs[::-1],
            "from columns": lambda: (xs[:, -t] for t in range(1, T + 1)),
        }
        for x in ends[order]():
            b = np.tanh(p["A"] @ x + p["C"] @ b)
            back.insert(0, b)
        return sum(np.sum((p["V"] @ forth[t] + p["Z"] @ back[t] - ys[t]) ** 2) for t in range(T))

    xs = XS[:, 0].T if order == "from columns" else XS[:, 0]
    derivation = assert_right(loss, p, [xs, YS[:, 0]])
    text = str(derivation)
    assert "b_{T+1} = 0" in text and "Z b_t" in text and "V h_t" in text
    assert text.count("[t = ") == 0  # no step is apart
