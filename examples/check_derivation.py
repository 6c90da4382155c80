"""Is my derivation right? And if not, which line is wrong?

You derived BPTT on paper and wrote it down in NumPy, as ``bptt`` below. ``compare`` holds its gradients against
autograd's; where the two part, finite differences say who is right. Hand in the lines on the way as well, Δ_t and
∂L/∂s_t, as many as you have, and the first wrong one is named; and if your numbers are exactly what a well-known slip
would give, that is said, too.

    s_t = tanh(x_t U + s_{t-1} W + b)        L = Σ_t (s_t V + c - y_t)²

    ∂L/∂s_t = 2 (s_t V + c - y_t) Vᵀ + Δ_{t+1} Wᵀ
    Δ_t     = ∂L/∂s_t ∘ (1 - s_t²)
    ∂L/∂W   = Σ_t s_{t-1}ᵀ Δ_t

Two slips are planted in turn: the transpose of W forgotten in the first line, and s_t in the place of s_{t-1} in the
last. The derivation is that of "Under The Hood of Neural Networks. Part 2: Recurrent" and of "Learning Algorithm -
Recurrent Neural Networks(RNNs)", with a squared error in the place of their cross-entropies.

Run it: ``python examples/check_derivation.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr


def problem(seed=0, T=5, n=3, d=4, k=2):
    """Parameters, inputs and targets, at random."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (n, d), "W": (d, d), "V": (d, k), "b": (d,), "c": (k,)}
    params = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
    return params, rng.normal(size=(T, n)), rng.normal(size=(T, k))


def loss(p, xs, targets):
    """The loss, for autograd: the forward pass is all that it needs."""

    def cell(x, s):
        return np.tanh(x @ p["U"] + s @ p["W"] + p["b"])

    states, _ = tr.unroll(cell, xs, state=np.zeros(len(p["b"])))
    return np.sum(np.square(states @ p["V"] + p["c"] - targets))


def bptt(p, xs, targets, forget_transpose=False, wrong_state=False):
    """The gradients, derived by hand, and the lines on the way to them. Plain NumPy; the flags plant the slips."""
    T, s = len(xs), [np.zeros(len(p["b"]))]
    for x in xs:
        s.append(np.tanh(x @ p["U"] + s[-1] @ p["W"] + p["b"]))

    lines = {}
    dU, dW, dV, db, dc = (np.zeros_like(p[name]) for name in "UWVbc")
    from_next = np.zeros_like(s[0])  # Δ_{t+1} Wᵀ; nothing follows the last step
    for t in range(T, 0, -1):
        dz = 2 * (s[t] @ p["V"] + p["c"] - targets[t - 1])
        ds = dz @ p["V"].T + from_next
        delta = ds * (1 - s[t] ** 2)
        from_next = delta @ (p["W"] if forget_transpose else p["W"].T)
        dU += np.outer(xs[t - 1], delta)
        dW += np.outer(s[t] if wrong_state else s[t - 1], delta)
        dV += np.outer(s[t], dz)
        db += delta
        dc += dz
        lines[f"dL/ds[{t}]"], lines[f"delta[{t}]"] = ds, delta
    return {**lines, "U": dU, "W": dW, "V": dV, "b": db, "c": dc}


def check(**slips):
    """The report on the derivation with these slips in it."""
    params, xs, targets = problem()
    return tr.compare(loss, lambda *arguments: bptt(*arguments, **slips), params, data=(xs, targets))


def main():
    """Three derivations, three reports."""
    print("The derivation as it should be\n")
    print(check())
    print("\n\nWithout the transpose of W\n")
    print(check(forget_transpose=True))
    print("\n\nWith s_t in the place of s_{t-1}\n")
    print(check(wrong_state=True))


if __name__ == "__main__":
    main()
