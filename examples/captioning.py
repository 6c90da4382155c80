"""Captioning: one picture in, a sentence out.

The third application in "Under The Hood of Neural Networks. Part 2: Recurrent" is (c), image captioning: one-to-many.
The picture isn't a sequence: it makes the first state of a network that then writes word after word, each time reading
the word that it wrote itself. What it still has to say, it must keep in its state.

The pictures are 8 × 16 pixels with some noise; in each half there is one of four shapes, or nothing. "A ring on the
left and a cross on the right", "two bars", "nothing": the captions are of different lengths, and while the network
writes of the left half, it has to remember the right one.

Where we depart from the article: it shows a picture of this network, and no formulas or data for it.

Run it: ``python examples/captioning.py``
"""

from __future__ import annotations

import itertools

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches
from tinygrad_rnn.language import WordVocabulary

HEIGHT, WIDTH = 8, 16
SHAPES = ("nothing", "square", "cross", "ring", "bar")
ALL = list(itertools.product(SHAPES, SHAPES))  # left, right
START, END = "<start>", "<end>"


def caption(left, right):
    """The sentence for what is in the two halves."""
    if left == right:
        return "nothing" if left == "nothing" else f"two {left}s"
    sides = [f"a {shape} on the {side}" for shape, side in ((left, "left"), (right, "right")) if shape != "nothing"]
    return " and ".join(sides)


VOCABULARY = WordVocabulary([START, END, *WordVocabulary.from_text([caption(*halves) for halves in ALL])])


def half(shape, rng):
    """One half of a picture, (8, 8); the shape may be off its place by one pixel."""
    down, across = np.abs(np.indices((HEIGHT, HEIGHT)) - 3.5 + 0.5 * rng.choice([-1, 1], size=(2, 1, 1))).astype(int)
    inside = np.maximum(down, across) <= 2
    return {
        "nothing": np.zeros_like(inside),
        "square": inside,
        "cross": inside & (np.minimum(down, across) == 0),
        "ring": inside & (np.maximum(down, across) == 2),
        "bar": inside & (down == 0),
    }[shape]


def picture(left, right, rng, noise=0.2):
    """A picture as one vector, (128,)."""
    pixels = np.concatenate([half(left, rng), half(right, rng)], axis=1)
    return (pixels + noise * rng.normal(size=pixels.shape)).astype(np.float32).ravel()


def examples(rng, combinations):
    """Pictures (N, 128) and their captions as numbers, (T_n,) each, with the end symbol."""
    captions = [VOCABULARY.encode(f"{caption(*halves)} {END}") for halves in combinations]
    return np.stack([picture(*halves, rng) for halves in combinations]), captions


class Captioner(tr.nn.Module):
    """A hidden layer that looks at the picture, and a GRU that writes."""

    def __init__(self, units=64, hidden=96, embedded=16, seed=0):
        rng = np.random.default_rng(seed)
        self.eye = tr.nn.Linear(HEIGHT * WIDTH, hidden, seed=rng)
        cell = tr.nn.GRUCell(embedded, units, seed=rng)
        start, end = VOCABULARY.index(START), VOCABULARY.index(END)
        self.mouth = tr.nn.OneToMany(
            hidden, tr.nn.Decoder(len(VOCABULARY), cell, start=start, end=end, seed=rng), seed=rng
        )

    def forward(self, pictures, target):
        return self.mouth(tr.relu(self.eye(pictures)), target)

    def describe_pictures(self, pictures):
        """A caption for each picture."""
        with tr.no_grad():
            written = self.mouth.write(tr.relu(self.eye(pictures)), max_steps=12)
        return [VOCABULARY.decode(words) for words in written]


def train(model, count=24_000, seed=0):
    """Learn from so many pictures, each seen once. Gives the history."""
    rng = np.random.default_rng(seed)
    pictures, captions = examples(rng, [ALL[i] for i in rng.integers(len(ALL), size=count)])
    data = Batches(pictures, captions, batch_size=48, input_sequences=False, target_sequences=True)
    optimizer = tr.optim.Adam(model.parameters(), lr=0.005)
    return tr.fit(model, data, tr.nn.cross_entropy, optimizer, epochs=1, clip_norm=1.0)


def share_right(model, rng, each=20):
    """The share of new pictures whose caption is right, word for word."""
    wanted = [halves for halves in ALL for _ in range(each)]
    said = model.describe_pictures(examples(rng, wanted)[0])
    return np.mean([words == caption(*halves) for words, halves in zip(said, wanted)])


def main():
    """Train, show pictures with their captions, and count."""
    model = Captioner()
    train(model)
    rng = np.random.default_rng(7)
    shades = " .:-=+*#@"
    for halves in (("bar", "nothing"), ("ring", "cross")):
        pixels = picture(*halves, rng)
        for row in np.clip(pixels.reshape(HEIGHT, WIDTH) * 8, 0, 8).astype(int):
            print("   |" + "".join(2 * shades[value] for value in row) + "|")
        print(f"    {model.describe_pictures(pixels[None])[0]}\n")
    print(f"Of 500 new pictures {share_right(model, rng):.0%} have the right caption, word for word.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
