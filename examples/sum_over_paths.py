"""How many parameters there are, and by how many paths a loss reaches W.

Follows "Learning Algorithm - Recurrent Neural Networks(RNNs)", whose letters are ours. It writes vectors as columns, so
that its U is (d, n); ours are rows, and U is (n, d).

Parameters: U has d·n numbers, W d·d, V k·d, b d and c k; d·n + d·d + k·d + d + k together.

Paths: the article has five time steps with a loss at each and asks for ∂L_4/∂W. L_4 depends on W through s_4; s_4 uses
W itself, but also depends on s_3, which uses W and depends on s_2, and so on. So the derivative is a sum over the
paths from L_4 to W, one for each step k at which W is used:

    ∂L_4/∂W = Σ_{k=1..4}  ∂L_4/∂s_4 · ∂s_4/∂s_k · ∂⁺s_k/∂W        ∂s_4/∂s_k = ∂s_4/∂s_3 · ... · ∂s_{k+1}/∂s_k

where ∂⁺ holds s_{k-1} constant. Below, the terms come twice: Jacobian by Jacobian as in the formula
(``manual.paths``), and from autograd's own recording (``bptt_terms``, which works for any cell). Both must agree, and
add up to the gradient that ``backward()`` gives.

Where we depart from it: it averages over the training instances; here there is one instance.

Run it: ``python examples/sum_over_paths.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.explanation import bptt_terms
from tinygrad_rnn.manual import elman, paths

T, N, D, K = 5, 3, 4, 2  # steps; sizes of an input, the state, an output


def network(seed=0):
    """Parameters, with biases that aren't zero, inputs (T, n), targets (T, k) and an initial state that isn't zero."""
    rng = np.random.default_rng(seed)
    params = elman.random_params(N, D, K, rng)._replace(b=rng.normal(size=D), c=rng.normal(size=K))
    return params, rng.normal(size=(T, N)), np.eye(K)[rng.integers(K, size=T)], rng.normal(size=D)


def by_autograd(params, xs, targets, s0):
    """The parameters as Tensors, and L_1..L_5."""
    p = {name: tr.tensor(value, requires_grad=True, name=name) for name, value in params._asdict().items()}

    def cell(x, s):
        s = np.tanh(x @ p["U"] + s @ p["W"] + p["b"])
        return s @ p["V"] + p["c"], s

    logits, _ = tr.unroll(cell, xs, state=s0)
    return p, [tr.nn.cross_entropy(logits[t], targets[t]) for t in range(T)]


def by_formula(params, xs, targets, s0):
    """Every factor and every term of the formula."""
    return paths.sum_over_paths(elman.forward(params, xs, targets, s0=s0))


class Network(tr.nn.Module):
    """The same network as a module, to be counted."""

    def __init__(self, n, d, k):
        self.recurrence = tr.nn.RNN(n, d)
        self.output = tr.nn.Linear(d, k)


def main():
    """Count, then write out the sum for L_4."""
    print("Parameters, by the formula and in a module:")
    for n, d, k in ((3, 2, 3), (N, D, K), (50, 128, 1000)):
        counted = Network(n, d, k).num_parameters()
        print(f"  n={n:2} d={d:3} k={k:4}: {elman.parameter_count(n, d, k):7,} = {counted:7,}")

    params, xs, targets, s0 = network()
    found = by_formula(params, xs, targets, s0)
    p, losses = by_autograd(params, xs, targets, s0)
    terms = bptt_terms(losses, p["W"])
    print("\nNorms of the terms: a row for each loss L_t, a column for each step k at which W is used")
    print(terms)

    print("\n∂L_4/∂W as a sum over its paths:")
    for k in range(1, 5):
        path = " ".join(f"s_{j}" for j in range(4, k - 1, -1))
        size = np.linalg.norm(found.chains[3, k - 1], 2)
        print(f"  L_4 {path + ' W':18} |∂s_4/∂s_{k}| = {size:.4f}    |term| = {found.norms.W[3, k - 1]:.4f}")
    print(f"  largest difference between formula and autograd: {np.max(np.abs(found.terms.W - terms.terms)):.0e}")

    sum(losses).backward()
    difference = np.max(np.abs(terms.gradient - p["W"].grad))
    print(f"\nAll {T * (T + 1) // 2} terms together and backward() differ by {difference:.0e}:", end=" ")
    print("BPTT is this sum, reordered.")


if __name__ == "__main__":
    main()
