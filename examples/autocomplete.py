"""Autocomplete: what people are most likely typing.

The last application in "Under The Hood of Neural Networks. Part 2: Recurrent" is (d), an autocomplete system: a network
that says at every character what comes next, many-to-many with inputs and outputs aligned. Ours learns from a record of
searches, each with how often it was made. Whoever has typed "how to le" is shown the three likeliest ends, found by
beam search: it keeps the best beginnings, grows each by a character, and keeps the best again.

What a right answer is can be counted: of all searches that begin with what was typed, how many went on like this? The
network has to come close to those shares, though nobody tells it that there are such things as searches: it sees
characters one by one.

Where we depart from the article: it shows a picture of this network, and no formulas or data for it.

Run it: ``python examples/autocomplete.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import one_hot, pad
from tinygrad_rnn.language import CharacterVocabulary

SEARCHES = {
    "how to learn python": 40,
    "how to learn piano": 20,
    "how to learn to swim": 15,
    "how to leave a party": 5,
    "how to boil an egg": 30,
    "how to bake bread": 20,
    "how old is the sun": 15,
    "how old is the earth": 25,
    "what is a neural network": 20,
    "what is a gradient": 10,
    "what is love": 40,
    "weather today": 60,
    "weather tomorrow": 50,
    "when is easter": 10,
    "why is the sky blue": 35,
    "why do cats purr": 15,
}
END = "\n"
VOCABULARY = CharacterVocabulary.from_text([phrase + END for phrase in SEARCHES])


class Autocomplete(tr.nn.Module):
    """Characters in, after each the logits of the next one out."""

    def __init__(self, units=64, seed=0):
        layer = tr.nn.GRU(len(VOCABULARY), units, seed=seed)
        self.network = tr.nn.ManyToMany(layer, len(VOCABULARY), seed=seed + 1)

    def forward(self, characters, state=None, lengths=None):
        """From numbers (T, B) to logits (T, B, k) and the final state."""
        return self.network(one_hot(characters, len(VOCABULARY)), state, lengths)

    def complete(self, typed, count=3, width=8):
        """The likeliest ends of what was typed, with their probabilities."""
        numbers = VOCABULARY.encode(END + typed)  # a search begins where the last one ended
        with tr.no_grad():
            state = self(numbers[:-1, None])[1]

        def step(characters, state):
            # The search has a row for each beginning; the layer's state has its axis of layers in front of that.
            logits, state = self(characters[None], np.swapaxes(state, 0, 1))
            return logits[0], np.swapaxes(state, 0, 1)

        found = tr.nn.beam_search(
            step,
            np.swapaxes(state, 0, 1),
            start=int(numbers[-1]),
            end=VOCABULARY.index(END),
            width=width,
            max_steps=30,
        )
        return [(VOCABULARY.decode(end.symbols), float(np.exp(end.log_probability))) for end in found[:count]]


def train(model, updates=250):
    """Learn from the whole record at once: each search counts as often as it was made. Gives the losses."""
    texts = [VOCABULARY.encode(END + phrase + END) for phrase in SEARCHES]
    characters, lengths = pad(texts)
    weights = np.array(list(SEARCHES.values())) / sum(SEARCHES.values())
    optimizer = tr.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(updates):
        logits, _ = model(characters[:-1], lengths=lengths - 1)
        each = tr.nn.cross_entropy(logits, characters[1:], "none", lengths=lengths - 1)  # (T, B)
        loss = np.sum(np.sum(each, axis=0) * weights)
        loss.backward()
        tr.optim.clip_grad_norm_(list(model.parameters()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def counted(typed):
    """Of the searches that begin like this, the share of each end."""
    ends = {phrase[len(typed) :]: count for phrase, count in SEARCHES.items() if phrase.startswith(typed)}
    return {end: count / sum(ends.values()) for end, count in ends.items()}


def best_possible_loss():
    """The entropy of the record: who knows every share needs so many nats for a search."""
    shares = np.array(list(SEARCHES.values())) / sum(SEARCHES.values())
    return float(-np.sum(shares * np.log(shares)))


def main():
    """Train, and complete what is being typed."""
    model = Autocomplete()
    losses = train(model)
    least = best_possible_loss()
    print(f"Nats for a search: {losses[0]:.1f} at first, {losses[-1]:.2f} now; less than {least:.2f} is impossible.")
    for typed in ("w", "we", "wea", "how to ", "how to le", "what is a "):
        print(f"\n  {typed}_")
        shares = counted(typed)
        for end, probability in model.complete(typed):
            if probability >= 0.01:
                print(f"    {typed + end:26} {probability:4.0%}   counted: {shares.get(end, 0):4.0%}")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
