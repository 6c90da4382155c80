"""Phrase to colour: a many-to-one network reads two words and answers with red, green and blue.

Follows "Mild Introduction to Modern Sequence Processing. Part 2: Recurrent Neural Networks Training": "The Forest" is
green (0, 128, 0), "The Sea" blue (0, 0, 255), "The Fire" orange (255, 165, 0). Its network, in its letters, which are
also ours (it writes h for the state, and has no biases):

    h_t = tanh(x_t U + h_{t-1} W)        for each word
    y   = h_T V                          once, after the last word
    L   = mean of (y - colour)²          a regression, so mean squared error

and its four steps, over and over: forward pass, loss, backward pass, update.

Where we depart from it: it hands the network the numbers of the words, the=0, forest=1, sea=2, fire=3, as they are. A
network would have to take "fire" for three times "forest"; here each word is a row of zeros with a one in it. And
colours are scaled to 0..1, so that the learning rate needn't know about 255.

Run it: ``python examples/phrase_to_colour.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.data import one_hot
from tinygrad_rnn.language import WordVocabulary

COLOURS = {"The Forest": (0, 128, 0), "The Sea": (0, 0, 255), "The Fire": (255, 165, 0)}
VOCABULARY = WordVocabulary(["The", "Forest", "Sea", "Fire"])


def encoded(phrases):
    """The phrases as a sequence of one-hot rows, (T, B, words): time first, all phrases side by side."""
    return one_hot(np.stack([VOCABULARY.encode(phrase) for phrase in phrases], axis=1), len(VOCABULARY), np.float64)


def initial_parameters(units=8, seed=0):
    """U, W and V, small and random."""
    rng = np.random.default_rng(seed)
    shapes = {"U": (len(VOCABULARY), units), "W": (units, units), "V": (units, 3)}
    return {name: tr.tensor(rng.normal(size=s) / 3, requires_grad=True, name=name) for name, s in shapes.items()}


def predict(params, xs):
    """The colour of each phrase, (B, 3), from 0 to 1."""

    def cell(x, h):
        return np.tanh(x @ params["U"] + h @ params["W"])

    _, last = tr.unroll(cell, xs, state=np.zeros((xs.shape[1], params["W"].shape[0])))
    return last @ params["V"]


def train(params, xs, colours, learning_rate=0.5, threshold=1e-7):
    """The article's cycle until the loss is below the threshold. Gives the losses."""
    losses = []
    while not losses or losses[-1] >= threshold:
        loss = tr.nn.mse(predict(params, xs), colours)  # forward pass and loss
        loss.backward()  # backward pass
        for parameter in params.values():  # update: against the gradient
            parameter.data = parameter.data - learning_rate * parameter.grad
            parameter.grad = None
        losses.append(loss.item())
    return losses


def as_rgb(colours):
    """From 0..1 to whole numbers from 0 to 255."""
    return [tuple(int(c) for c in np.clip(np.rint(255 * colour), 0, 255)) for colour in np.asarray(colours)]


def main():
    """Train, and print what the network answers."""
    xs, colours = encoded(COLOURS), np.array(list(COLOURS.values())) / 255
    params = initial_parameters()
    before = as_rgb(predict(params, xs).numpy())
    losses = train(params, xs, colours)
    after = as_rgb(predict(params, xs).numpy())
    print(f"{len(losses)} updates; the loss went from {losses[0]:.3f} to {losses[-1]:.1e}")
    for phrase, first, last, wanted in zip(COLOURS, before, after, COLOURS.values()):
        print(f"  {phrase:11} before {first!s:15}  after {last!s:15}  wanted {wanted}")

    # Nothing in the network knows that a phrase has two words: time is a loop.
    print("Phrases that it hasn't seen:")
    for phrase in ("Sea", "The Sea Fire", "The Forest Forest Forest"):
        print(f"  {phrase:25} {as_rgb(predict(params, encoded([phrase])).numpy())[0]}")


if __name__ == "__main__":
    main()
