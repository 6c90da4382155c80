"""Sentences: put shuffled words in order, then write new sentences.

The article "What is a Recurrent Neural Networks or RNN?" begins with a riddle, "article am I an reading", and asks for
a model that learns which order makes sense, without being told any grammar; at its end it points to one that generates
sentences. Both come from one thing: a language model says how likely a sentence is, word after word,

    log p(sentence) = Σ_t log p(word_t | word_1 .. word_{t-1})

so the riddle's answer is the likeliest of the 120 orders of its five words, and to write is to draw each next word.

The model learns from 180 sentences, from which some are kept back, among them "I am reading an article": it must have
understood a little of how such sentences are made.

Where we depart from the article: it has no data of its own; the sentences are ours. The network is a GRU.

Run it: ``python examples/sentence_generation.py``
"""

from __future__ import annotations

import itertools

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.language import LanguageModel, WordVocabulary, train_on_text

RIDDLE, ANSWER = "article am I an reading", "I am reading an article"
SUBJECTS = ["I am", "you are", "she is", "he is", "we are", "they are"]
VERBS = ["reading", "writing", "printing", "buying", "discussing"]
OBJECTS = ["a book", "a letter", "an article", "an essay", "the news", "the paper"]
KEPT_BACK = {ANSWER, "you are writing a letter", "she is buying the paper", "they are printing an essay"}
END = "."


def training_text(seed=0, repetitions=20):
    """The sentences that aren't kept back, many times in random order, as one text: a full stop between two."""
    sentences = [" ".join(parts) for parts in itertools.product(SUBJECTS, VERBS, OBJECTS)]
    sentences = [sentence for sentence in sentences if sentence not in KEPT_BACK]
    rng = np.random.default_rng(seed)
    return " ".join(f"{sentences[i]} {END}" for _ in range(repetitions) for i in rng.permutation(len(sentences)))


def trained_model(seed=0):
    """A model of such sentences, by words."""
    text = training_text(seed)
    vocabulary = WordVocabulary.from_text(text)
    options = {"cell": "GRU", "units": 32, "embedding_size": 16, "batch_size": 16, "steps_per_batch": 24}
    return train_on_text(text, vocabulary=vocabulary, seed=seed, learning_rate=0.01, steps=300, **options).model


def log_probabilities(model: LanguageModel, sentences):
    """How likely the model finds each sentence (all of one length), as a natural logarithm, (B,)."""
    words = np.stack([model.vocabulary.encode(f"{END} {sentence} {END}") for sentence in sentences], axis=1)
    with tr.no_grad():
        logits, _ = model(words[:-1])
        return -tr.nn.cross_entropy(logits, words[1:], reduction="none").numpy().sum(axis=0)


def in_order(model, words):
    """All orders of some words, the likeliest first, with their log-probabilities."""
    orders = sorted({" ".join(order) for order in itertools.permutations(words.split())})
    scores = log_probabilities(model, orders)
    return [(orders[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def main():
    """Solve the riddle, then let the model write."""
    model = trained_model()
    print(f"{RIDDLE!r}? The likeliest of its orders, and log p:")
    for order, score in in_order(model, RIDDLE)[:4]:
        print(f"  {score:6.1f}  {order}")

    count = len(SUBJECTS) * len(VERBS) * len(OBJECTS)
    print(f"\nEach of the {count} sentences should have log p = {-np.log(count):.1f}, also those that were kept back:")
    seen = ["I am reading a book", "he is buying the paper"]
    for sentence in [*seen, *sorted(KEPT_BACK), "I are reading a article", "a reading I book am"]:
        where = "learned" if sentence in seen else "kept back" if sentence in KEPT_BACK else "wrong"
        print(f"  {log_probabilities(model, [sentence])[0]:6.1f}  {sentence:27} {where}")

    print("\nIt writes:")
    for sentence in model.sample(40, prime=END, seed=1).split(END)[1:-1]:
        print(f"  {sentence.strip()}.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
