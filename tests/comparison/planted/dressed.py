"""Right derivations in unusual dress: other layouts and orders of the work, other forms of the result."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tr
from tests.comparison.planted.common import numbers, softmax, weights, zeros

T, B, n, d, k = 5, 3, 2, 4, 3
P = weights(200, U=(n, d), W=(d, d), b=(d,), V=(d, k), c=(k,))
XS = numbers(200, T, B, n)
YS = np.eye(k)[np.random.default_rng(5).integers(k, size=(T, B))]


def loss(p: Any, xs: Any, ys: Any) -> Any:
    """An Elman network with cross-entropy at each step, the mean over the batch."""
    hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), xs, np.zeros((xs.shape[1], d)))
    z = hs @ p["V"] + p["c"]
    return -np.sum(ys * (z - tr.logsumexp(z, axis=-1, keepdims=True))) / xs.shape[1]


def states(p: Any, xs: Any) -> list[np.ndarray]:
    h = [np.zeros((xs.shape[1], d))]
    for x in xs:
        h.append(np.tanh(x @ p["U"] + h[-1] @ p["W"] + p["b"]))
    return h


def plainly(p: Any, xs: Any, ys: Any) -> dict[str, np.ndarray]:
    """The derivation as a textbook has it; other dresses are of its numbers, or are held to them."""
    h, g = states(p, xs), zeros(p)
    carry = np.zeros_like(h[0])
    for t in range(len(xs), 0, -1):
        dz = (softmax(h[t] @ p["V"] + p["c"]) - ys[t - 1]) / xs.shape[1]
        delta = (dz @ p["V"].T + carry) * (1 - h[t] ** 2)
        g["V"] += h[t].T @ dz
        g["c"] += dz.sum(0)
        g["U"] += xs[t - 1].T @ delta
        g["W"] += h[t - 1].T @ delta
        g["b"] += delta.sum(0)
        carry = delta @ p["W"].T
    return g


DRESSES: dict[str, Callable[[], Any]] = {}


def dress(make: Callable[[], Any]) -> Callable[[], Any]:
    """Register what is handed in as the manual side, by its name."""
    DRESSES[make.__name__.replace("_", " ")] = make
    return make


# --- other ways to the same numbers -----------------------------------------------------------------------------------


@dress
def one_instance_after_another():
    def manual(p, xs, ys):
        B = xs.shape[1]
        parts = [plainly(p, xs[:, i : i + 1], ys[:, i : i + 1]) for i in range(B)]
        return {name: sum(part[name] for part in parts) / B for name in p}

    return manual


@dress
def column_vectors():
    def manual(p, xs, ys):
        U, W, V = p["U"].T, p["W"].T, p["V"].T
        g = {name: np.zeros(value.T.shape) for name, value in p.items()}
        for i in range(xs.shape[1]):
            s = [np.zeros((d, 1))]
            for x in xs[:, i, :, None]:
                s.append(np.tanh(U @ x + W @ s[-1] + p["b"][:, None]))
            later = np.zeros((d, 1))
            for t in reversed(range(len(xs))):
                o = V @ s[t + 1] + p["c"][:, None]
                e = np.exp(o - o.max()) / np.sum(np.exp(o - o.max())) - ys[t, i][:, None]
                a = (1 - s[t + 1] ** 2) * (V.T @ e + later)
                g["V"] += e @ s[t + 1].T
                g["U"] += a @ xs[t, i][None]
                g["W"] += a @ s[t].T
                g["b"] += a[:, 0]
                g["c"] += e[:, 0]
                later = W.T @ a
        return {name: (value / xs.shape[1]).T for name, value in g.items()}

    return manual


@dress
def all_products_after_the_loop():
    def manual(p, xs, ys):
        h = np.array(states(p, xs))
        dz = (softmax(h[1:] @ p["V"] + p["c"]) - ys) / xs.shape[1]
        D = np.einsum("tbk,dk->tbd", dz, p["V"])
        for t in range(len(xs) - 1, -1, -1):
            D[t] = (D[t] + (D[t + 1] @ p["W"].T if t + 1 < len(xs) else 0)) * (1 - h[t + 1] ** 2)
        return {
            "U": np.einsum("tbn,tbd->nd", xs, D),
            "W": np.tensordot(h[:-1], D, axes=([0, 1], [0, 1])),
            "b": D.sum((0, 1)),
            "V": np.einsum("tbd,tbk->dk", h[1:], dz),
            "c": dz.reshape(-1, k).sum(0),
        }

    return manual


@dress
def forward_in_time():
    """Real-time recurrent learning: the derivative of the state by every parameter is carried along."""

    def manual(p, xs, ys):
        B, g = xs.shape[1], zeros(p)
        h = np.zeros((B, d))
        J = {name: np.zeros((B, d, *p[name].shape)) for name in ("U", "W", "b")}
        for x, y in zip(xs, ys):
            new = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
            direct = {
                "U": np.einsum("bn,ij->binj", x, np.eye(d)),
                "W": np.einsum("bn,ij->binj", h, np.eye(d)),
                "b": np.broadcast_to(np.eye(d), (B, d, d)),
            }
            slope = 1 - new**2
            for name, into in direct.items():
                through = np.einsum("ji,bj...->bi...", p["W"], J[name])
                J[name] = np.einsum("bi,bi...->bi...", slope, into + through)
            h = new
            dz = (softmax(h @ p["V"] + p["c"]) - y) / B
            g["V"] += h.T @ dz
            g["c"] += dz.sum(0)
            for name in J:
                g[name] = g[name] + np.einsum("bi,bi...->...", dz @ p["V"].T, J[name])
        return g

    return manual


@dress
def a_sum_over_paths():
    def manual(p, xs, ys):
        h, B = states(p, xs), xs.shape[1]
        g = zeros(p)
        for t in range(1, len(xs) + 1):
            dz = (softmax(h[t] @ p["V"] + p["c"]) - ys[t - 1]) / B
            g["V"] += h[t].T @ dz
            g["c"] += dz.sum(0)
            back = dz @ p["V"].T
            for j in range(t, 0, -1):
                back = back * (1 - h[j] ** 2)
                g["U"] += xs[j - 1].T @ back
                g["W"] += h[j - 1].T @ back
                g["b"] += back.sum(0)
                back = back @ p["W"].T
        return g

    return manual


@dress
def the_slope_by_the_pre_activation():
    def manual(p, xs, ys):
        h, g = states(p, xs), zeros(p)
        carry = 0
        for t in range(len(xs), 0, -1):
            a = xs[t - 1] @ p["U"] + h[t - 1] @ p["W"] + p["b"]
            dz = (softmax(h[t] @ p["V"] + p["c"]) - ys[t - 1]) / xs.shape[1]
            delta = (dz @ p["V"].T + carry) / np.cosh(a) ** 2
            g["V"], g["c"] = g["V"] + h[t].T @ dz, g["c"] + dz.sum(0)
            g["U"], g["W"], g["b"] = g["U"] + xs[t - 1].T @ delta, g["W"] + h[t - 1].T @ delta, g["b"] + delta.sum(0)
            carry = delta @ p["W"].T
        return g

    return manual


@dress
def the_softmax_by_its_whole_Jacobian():
    def manual(p, xs, ys):
        h, g = states(p, xs), zeros(p)
        carry = 0
        for t in range(len(xs), 0, -1):
            q = softmax(h[t] @ p["V"] + p["c"])
            J = np.einsum("bi,ij->bij", q, np.eye(k)) - np.einsum("bi,bj->bij", q, q)
            dz = np.einsum("bi,bij->bj", -ys[t - 1] / q, J) / xs.shape[1]
            delta = (dz @ p["V"].T + carry) * (1 + h[t]) * (1 - h[t])
            g["V"], g["c"] = g["V"] + h[t].T @ dz, g["c"] + dz.sum(0)
            g["U"], g["W"], g["b"] = g["U"] + xs[t - 1].T @ delta, g["W"] + h[t - 1].T @ delta, g["b"] + delta.sum(0)
            carry = delta @ p["W"].T
        return g

    return manual


@dress
def padded_with_empty_steps():
    """Two more steps without a target; what they give is zero."""

    def manual(p, xs, ys):
        longer = np.concatenate([xs, np.zeros((2, *xs.shape[1:]))])
        live = np.arange(len(longer)) < len(xs)
        h, g = states(p, longer), zeros(p)
        carry = np.zeros_like(h[0])
        for t in range(len(longer), 0, -1):
            q = softmax(h[t] @ p["V"] + p["c"])
            dz = live[t - 1] * (q - (ys[t - 1] if t <= len(xs) else 0)) / xs.shape[1]
            delta = (dz @ p["V"].T + carry) * (1 - h[t] ** 2)
            g["V"], g["c"] = g["V"] + h[t].T @ dz, g["c"] + dz.sum(0)
            g["U"], g["W"], g["b"] = (
                g["U"] + longer[t - 1].T @ delta,
                g["W"] + h[t - 1].T @ delta,
                g["b"] + delta.sum(0),
            )
            carry = delta @ p["W"].T
        return g

    return manual


@dress
def one_matrix_over_one_x_and_h():
    """The weights and the bias as one matrix over [1, x, h], taken apart at the end."""

    def manual(p, xs, ys):
        h, B = states(p, xs), xs.shape[1]
        whole, top = 0.0, 0.0
        carry = np.zeros((B, d))
        for t in range(len(xs), 0, -1):
            above = np.concatenate([np.ones((B, 1)), h[t]], axis=1)
            dz = (softmax(above @ np.concatenate([p["c"][None], p["V"]])) - ys[t - 1]) / B
            delta = (dz @ p["V"].T + carry) * (1 - h[t] ** 2)
            top = top + above.T @ dz
            whole = whole + np.concatenate([np.ones((B, 1)), xs[t - 1], h[t - 1]], axis=1).T @ delta
            carry = delta @ p["W"].T
        return {"b": whole[0], "U": whole[1 : 1 + n], "W": whole[1 + n :], "c": top[0], "V": top[1:]}

    return manual


@dress
def the_sum_of_the_losses_scaled_at_the_end():
    def manual(p, xs, ys):
        B = xs.shape[1]
        return {name: B * g / B for name, g in plainly(p, xs, ys).items()}

    return manual


@dress
def complex_steps():
    """Not derived at all: the imaginary part of the loss at a step into the complex plane."""

    def value(p, xs, ys):
        h, total = np.zeros((xs.shape[1], d)), 0.0
        for x, y in zip(xs, ys):
            h = np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
            z = h @ p["V"] + p["c"]
            total = total - np.sum(y * (z - np.log(np.sum(np.exp(z), axis=-1, keepdims=True)))) / xs.shape[1]
        return total

    def manual(p, xs, ys):
        g = zeros(p)
        for name in p:
            for place in np.ndindex(p[name].shape):
                moved = {other: array.astype(complex) for other, array in p.items()}
                moved[name][place] += 1e-30j
                g[name][place] = value(moved, xs, ys).imag / 1e-30
        return g

    return manual


@dress
def in_single_precision():
    def manual(p, xs, ys):
        single = {name: value.astype(np.float32) for name, value in p.items()}
        return plainly(single, xs.astype(np.float32), ys.astype(np.float32))

    return manual


@dress
def single_precision_returned_as_double():
    single = DRESSES["in single precision"]()
    return lambda p, xs, ys: {name: g.astype(np.float32).astype(float) for name, g in single(p, xs, ys).items()}


# --- other forms of the result ----------------------------------------------------------------------------------------


@dress
def names_with_a_d():
    return lambda *given: {f"d{name}": g for name, g in plainly(*given).items()}


@dress
def the_loss_beside_the_gradients():
    return lambda *given: (float(loss(*given)), plainly(*given))


@dress
def a_generator_of_pairs():
    return lambda *given: (pair for pair in plainly(*given).items())


@dress
def a_dataclass():
    kind = dataclasses.make_dataclass("Gradients", list(P))
    return lambda *given: kind(**plainly(*given))


class Gradients(NamedTuple):
    dU: np.ndarray
    dW: np.ndarray
    db: np.ndarray
    dV: np.ndarray
    dc: np.ndarray


@dress
def a_named_tuple():
    return lambda *given: Gradients(*plainly(*given).values())


@dress
def a_list_in_the_order_of_the_parameters():
    return lambda *given: list(plainly(*given).values())


class Network:
    """As courses write one: it keeps what it needs, and leaves its gradients as attributes."""

    def forward(self, p: Any, xs: Any, ys: Any) -> Any:
        self.given = p, xs, ys
        return loss(p, xs, ys)

    def backward(self) -> None:
        for name, g in plainly(*self.given).items():
            setattr(self, f"d{name}", g)


@dress
def an_object_with_forward_and_backward():
    return Network()


@dress
def a_dictionary_that_adds_up():
    def manual(*given):
        g = collections.defaultdict(float)
        for name, value in plainly(*given).items():
            for _ in range(4):
                g[name] = g[name] + value / 4
        return g

    return manual


@dress
def several_gradients_in_one_array():
    def manual(*given):
        g = plainly(*given)
        return {"hidden": np.concatenate([g["U"], g["W"]]), "b": g["b"], "out": np.vstack([g["V"], g["c"]])}

    return manual


@dress
def keyword_arguments_by_other_names():
    return lambda params, inputs, targets: plainly(params, inputs, targets)


@dress
def a_function_of_each_parameter_by_name():
    return lambda W, U, V, b, c, xs, ys: plainly({"U": U, "W": W, "b": b, "V": V, "c": c}, xs, ys)


@dress
def tensors_of_our_own():
    return lambda *given: {name: tr.tensor(g) for name, g in plainly(*given).items()}


@dress
def read_only_and_in_Fortran_order():
    def manual(*given):
        found = {name: np.asfortranarray(g) for name, g in plainly(*given).items()}
        for array in found.values():
            array.flags.writeable = False
        return found

    return manual


def compare(name: str) -> Any:
    """What ``compare`` says of a right derivation in one dress."""
    return tr.compare(loss, DRESSES[name](), P, (XS, YS))
