"""Sentiment: is what someone says about a film praise, or not?

Sentiment analysis is the first application that "Mild Introduction to Modern Sequence Processing. Part 2: Recurrent
Neural Networks Training" names: a sentence in, one of two classes out, many-to-one. To count good and bad words isn't
enough: "not good" is bad, and "not bad" is good. A network that reads word by word can keep a "not" in its state until
it meets the word that it belongs to.

The sentences are made of a few words, "the film was not very good but the plot was great"; what comes after "but"
counts. They are of different lengths, so a batch is padded, and each is judged at its own end. As a check, a
judge without order, which only has the mean of the words' vectors, learns from the same sentences.

Where we depart from the article: it names the application, and shows no network or data for it.

Run it: ``python examples/sentiment.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches
from tinygrad_rnn.language import WordVocabulary

GOOD, BAD = ["good", "great", "lovely", "funny"], ["bad", "boring", "awful", "sad"]
THINGS, DEGREES = ["film", "plot", "music", "end"], ["very", "really", "so"]
VOCABULARY = WordVocabulary(["the", "was", "not", "but", *GOOD, *BAD, *THINGS, *DEGREES])


def clause(rng, praise):
    """A few words that are praise (1) or not (0)."""
    negated = rng.integers(2)
    degrees = [rng.choice(DEGREES) for _ in range(rng.integers(3))]
    return [
        "the",
        rng.choice(THINGS),
        "was",
        *negated * ["not"],
        *degrees,
        rng.choice(GOOD if praise != negated else BAD),
    ]


def opinion(rng):
    """A sentence of one clause or two, and what it is: after "but" comes the opposite, and that is what counts."""
    praise = rng.integers(2)
    before = [*clause(rng, 1 - praise), "but"] if rng.random() < 0.5 else []
    return " ".join([*before, *clause(rng, praise)]), praise


def opinions(rng, count):
    """Sentences as numbers, (T_n,) each, and what they are, (N,)."""
    sentences, praise = zip(*(opinion(rng) for _ in range(count)))
    return [VOCABULARY.encode(sentence) for sentence in sentences], np.array(praise)


class Judge(tr.nn.Module):
    """Words in, the logits of "no praise" and "praise" out."""

    def __init__(self, units=24, embedded=8, seed=0):
        rng = np.random.default_rng(seed)
        self.embedding = tr.nn.Embedding(len(VOCABULARY), embedded, seed=rng)
        self.reader = tr.nn.ManyToOne(tr.nn.GRU(embedded, units, seed=rng), outputs=2, seed=rng)

    def forward(self, words, lengths):
        return self.reader(self.embedding(words), lengths)


class JudgeWithoutOrder(tr.nn.Module):
    """The same from the mean of the words' vectors: it can't tell who stands before whom."""

    def __init__(self, embedded=32, seed=0):
        rng = np.random.default_rng(seed)
        self.embedding = tr.nn.Embedding(len(VOCABULARY), embedded, seed=rng)
        self.output = tr.nn.Sequential(tr.nn.Linear(embedded, 32, seed=rng), np.tanh, tr.nn.Linear(32, 2, seed=rng))

    def forward(self, words, lengths):
        there = np.arange(len(words))[:, None] < lengths
        return self.output(np.sum(self.embedding(words) * there[..., None], axis=0) / lengths[:, None])


def train(model, count=3000, epochs=6, seed=0):
    """Learn from so many sentences. Gives the history."""
    data = Batches(*opinions(np.random.default_rng(seed), count), batch_size=50, rng=seed)
    optimizer = tr.optim.Adam(model.parameters(), lr=0.01)
    return tr.fit(model, data, tr.nn.cross_entropy, optimizer, epochs=epochs, clip_norm=1.0)


def probability_of_praise(model, sentences):
    """How sure the model is that each sentence is praise, (N,)."""
    (batch,) = Batches([VOCABULARY.encode(sentence) for sentence in sentences], sentences, batch_size=None)
    with tr.no_grad():
        return tr.softmax(model(batch.inputs, batch.lengths)).numpy()[:, 1]


def share_right(model, rng, count=1000):
    """The share of new sentences that are judged rightly."""
    sentences, praise = zip(*(opinion(rng) for _ in range(count)))
    return np.mean((probability_of_praise(model, sentences) > 0.5) == praise)


def main():
    """Train both, judge new sentences, and follow one word by word."""
    reader, counter = Judge(), JudgeWithoutOrder()
    train(reader)
    train(counter)
    for sentence in ("the music was not bad", "the plot was not very funny", "the end was sad but the film was good"):
        print(f"{probability_of_praise(reader, [sentence])[0]:4.0%} praise: {sentence}")

    words = ["the", "film", "was", "not", "so", "good", "but", "the", "music", "was", "not", "boring"]
    beginnings = [" ".join(words[:n]) for n in range(1, len(words) + 1)]
    print("\nWord by word:")
    for word, sure in zip(words, probability_of_praise(reader, beginnings)):
        print(f"    {word:8}{sure:5.0%} {'#' * round(30 * sure)}")

    new = [np.random.default_rng(9) for _ in range(2)]
    print(f"\nOf 1000 new sentences {share_right(reader, new[0]):.1%} are judged rightly, and")
    print(f"{share_right(counter, new[1]):.1%} by the judge who doesn't know in which order the words come.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
