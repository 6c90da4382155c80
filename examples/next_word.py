"""The next word: "please stay at home".

Follows the article "What is a Recurrent Neural Networks or RNN?". The network reads "please", "stay", "at" as one-hot
rows and learns to say after each which word comes next, so that after the third it says "home". Its letters: U into the
hidden layer, as here; V is the recurrence and W leads to the output, where we write W and V.

    h_t = tanh(x_t U + h_{t-1} W + b)        h_0 = 0: nothing has been read yet
    p_t = softmax(h_t V + c)
    L_t = -log p_t[next word]                cross-entropy;   L = L_1 + L_2 + L_3

The article looks at one gradient closely, that of the last loss, L_3: it goes back in time from h_3 over h_2 to h_1,
and reaches the recurrent matrix at each of these steps. ``bptt_terms`` shows what arrives at each.

Where we depart from it: its equations have no biases; ours have.

Run it: ``python examples/next_word.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.data import one_hot
from tinygrad_rnn.explanation import bptt_terms
from tinygrad_rnn.language import WordVocabulary

SENTENCE = "please stay at home"
VOCABULARY = WordVocabulary(SENTENCE.split())
WORDS = list(VOCABULARY)
NUMBERS = VOCABULARY.encode(SENTENCE)
INPUTS = one_hot(NUMBERS[:-1], len(WORDS), np.float64)  # please stay at
TARGETS = NUMBERS[1:]  # stay at home


def initial_parameters(units=5, seed=0):
    """U, W, V small and random, b and c zero."""
    rng, k = np.random.default_rng(seed), len(WORDS)
    start = {
        "U": rng.normal(size=(k, units)) / 3,
        "W": rng.normal(size=(units, units)) / 3,
        "V": rng.normal(size=(units, k)) / 3,
        "b": np.zeros(units),
        "c": np.zeros(k),
    }
    return {name: tr.tensor(value, requires_grad=True, name=name) for name, value in start.items()}


def logits_of(params, xs=INPUTS):
    """What the softmax is taken of, at every step: (T, words)."""

    def cell(x, h):
        h = np.tanh(x @ params["U"] + h @ params["W"] + params["b"])
        return h @ params["V"] + params["c"], h

    return tr.unroll(cell, xs, state=np.zeros(params["b"].shape))[0]


def loss_terms(logits):
    """L_1, L_2, L_3."""
    return [tr.nn.cross_entropy(logits[t], TARGETS[t]) for t in range(len(TARGETS))]


def train(params, learning_rate=0.5, threshold=0.05):
    """Gradient descent until the loss of the sentence is below the threshold. Gives the losses."""
    losses = []
    while not losses or losses[-1] >= threshold:
        loss = sum(loss_terms(logits_of(params)))
        loss.backward()
        for parameter in params.values():
            parameter.data = parameter.data - learning_rate * parameter.grad
            parameter.grad = None
        losses.append(loss.item())
    return losses


def show(params):
    """What the network expects after each word."""
    probabilities = tr.softmax(logits_of(params)).numpy()
    for t, p in enumerate(probabilities):
        read = " ".join(WORDS[i] for i in NUMBERS[: t + 1])
        expected = ", ".join(f"{WORDS[i]} {p[i]:.2f}" for i in np.argsort(-p))
        print(f"  {read:15} -> {expected}")


def main():
    """Look at L_3 before training, then train."""
    params = initial_parameters()
    print("Before training:")
    show(params)

    terms = bptt_terms(loss_terms(logits_of(params)), params["W"])
    print("\nHow each loss reaches the recurrent matrix (the article's V), by the step at which it is used:")
    print(terms)
    print("The gradient of L_3 is the sum of three terms, its row. Step 1 adds nothing: h_0 is 0 there.")
    print(f"What arrives at step 2, one step further back, is {terms.norms[2, 1] / terms.norms[2, 2]:.2f} of step 3's.")

    losses = train(params)
    print(f"\nAfter {len(losses)} updates, the loss went from {losses[0]:.2f} to {losses[-1]:.3f}:")
    show(params)


if __name__ == "__main__":
    main()
