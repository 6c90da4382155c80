"""Gradients carried forward in time (RTRL), with their extra axis, and training until the loss is below a threshold.

Follows "Updating parameters and RNN training", section 4. A word is encoded letter by letter, and the network learns
to say the next letter. The derivatives of the hidden vector by every parameter are tensors, zero at t = 0 as the
article asks, and carried forward with it. The loss of a step is kept apart by the components of the output vector, so
each loss gradient has one axis more than its parameter, in front: that of W, N⁽¹⁾ × N⁽¹⁾, is N⁽²⁾ × N⁽¹⁾ × N⁽¹⁾. The
update sums over this loss axis and over the steps:

    W_ij := W_ij - α Σ_t Σ_k (∂L_t/∂W)_kij

Its N⁽¹⁾ and N⁽²⁾, the sizes of the hidden and of the output vector, are d and k here (and its n is n); its vectors are
columns, ours are rows.

A slip of the article: in all five of its updates the sum over t runs to N⁽²⁾, the number of output *components*; it has
to run to T, the number of *steps*. Here a word of 7 letters makes T = 6 steps and has N⁽²⁾ = 5 different letters, so
the printed sum silently leaves out the last step. Below it is evaluated, and ``compare`` notices.

Where we depart from it: it sums the update over one instance and mentions batches in a note; we have one instance.

Run it: ``python examples/rtrl.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.data import one_hot
from tinygrad_rnn.language import CharacterVocabulary
from tinygrad_rnn.manual import elman
from tinygrad_rnn.manual.rtrl import rtrl, update

WORD = "letters"
VOCABULARY = CharacterVocabulary.from_text(WORD)
ROWS = one_hot(VOCABULARY.encode(WORD), len(VOCABULARY), np.float64)
INPUTS, TARGETS = ROWS[:-1], ROWS[1:]  # letter, and to be said: ettters
HIDDEN = 6


def initial_parameters(seed=0):
    """Xavier initialisation, as the article suggests."""
    return elman.random_params(n=len(VOCABULARY), d=HIDDEN, k=len(VOCABULARY), rng=np.random.default_rng(seed))


def loss_of(p):
    """The loss for autograd: the sum of the cross-entropies of all steps."""

    def cell(x, s):
        s = np.tanh(x @ p["U"] + s @ p["W"] + p["b"])
        return s @ p["V"] + p["c"], s

    logits, _ = tr.unroll(cell, INPUTS, state=np.zeros(HIDDEN))
    return tr.nn.cross_entropy(logits, TARGETS, reduction="sum")


def summed_as_printed(loss_gradients):
    """The article's sum: over the steps t = 1..N⁽²⁾."""
    components = loss_gradients.c.shape[1]
    return {name: gradient[:components].sum(axis=(0, 1)) for name, gradient in loss_gradients._asdict().items()}


def train(params, learning_rate=0.2, threshold=0.1):
    """Forward, loss, gradients by RTRL, update, until the loss is below the threshold."""
    losses = []
    while True:
        trace = elman.forward(params, INPUTS, TARGETS)
        losses.append(float(trace.loss))
        if losses[-1] < threshold:
            return params, losses
        params = update(params, rtrl(trace).loss_gradients, learning_rate)


def write(params, first, length):
    """What the network writes, beginning with a letter and reading its own last letter at every step."""
    letters, state = [VOCABULARY.index(first)], None
    for _ in range(length - 1):
        trace = elman.forward(params, one_hot(letters[-1:], len(VOCABULARY), np.float64), s0=state)
        state = trace.s[-1]
        letters.append(int(np.argmax(trace.o[-1])))
    return VOCABULARY.decode(letters)


def main():
    """Show the shapes, three ways to one gradient, the slip, and the training."""
    params = initial_parameters()
    trace = elman.forward(params, INPUTS, TARGETS)
    result = rtrl(trace)
    T, k = result.loss_gradients.c.shape[:2]
    print(f"{WORD!r}: T = {T} steps, d = {HIDDEN} hidden units, k = {k} different letters")
    print("shape of        parameter   state's derivative   loss gradient of a step")
    for name in ("U", "W", "b"):
        arrays = getattr(params, name), getattr(result.ds, name)[1], getattr(result.loss_gradients, name)[0]
        print(f"            {name}   " + "   ".join(f"{a.shape!s:{width}}" for a, width in zip(arrays, (9, 18, 0))))
    print(f"∂s_0/∂W is zero: {not result.ds.W[0].any()}")

    backward = elman.backward(trace).gradients
    apart = max(np.max(np.abs(a - b)) for a, b in zip(result.gradients, backward))
    print(f"\nRTRL and BPTT differ by {apart:.0e}. RTRL and autograd:")
    print(tr.compare(loss_of, result.gradients._asdict(), params._asdict()))
    report = tr.compare(loss_of, summed_as_printed(result.loss_gradients), params._asdict())
    print(f"\nSummed as the article prints it, up to t = N⁽²⁾ = {k}: {report.summary}")
    print("\n".join(report.sentences()))
    print(f"What is missing is the gradient of the last loss, L_{T}.")

    params, losses = train(params)
    print(f"\nTraining: loss {losses[0]:.2f} -> {losses[-1]:.3f}, below the threshold after {len(losses) - 1} updates.")
    print(f"Given 'l', it writes {write(params, 'l', len(WORD))!r}.")


if __name__ == "__main__":
    main()
