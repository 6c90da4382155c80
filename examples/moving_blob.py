"""Video classification: in which direction does the blob move?

One of the four applications that "Under The Hood of Neural Networks. Part 2: Recurrent" lists is (b), the
classification of a video: a sequence of frames in, one class out. Here a video is eight noisy frames of 8 × 8 pixels
with a bright blob in it, which moves up, down, left or right by a pixel a frame, and comes in again on the other side
when it leaves. No single frame tells the direction. All frames together, in no order, don't tell up from down; only
who carries something from frame to frame can know.

The network reads the frames as rows of 64 numbers into an LSTM and says its class after the last one: many-to-one. As
a check it is asked once more with the frames of each video in random order.

Where we depart from the article: it shows a picture of this network and derives the formulas for another.

Run it: ``python examples/moving_blob.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches

FRAMES, SIDE = 8, 8
DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def videos(rng, count, noise=0.2):
    """Videos (T, B, 64) of blobs that begin anywhere, and their classes (B,)."""
    classes = rng.integers(len(DIRECTIONS), size=count)
    move = np.array(list(DIRECTIONS.values()))[classes]  # (B, 2)
    begin = rng.integers(SIDE, size=(count, 2))
    place = begin + move * np.arange(FRAMES)[:, None, None]  # (T, B, 2): row and column of the blob
    pixel = np.arange(SIDE)
    away = (pixel - place[..., None] + SIDE // 2) % SIDE - SIDE // 2  # (T, B, 2, 8): the short way round
    rows, columns = np.exp(-(away**2) / 2).transpose(2, 0, 1, 3)
    frames = rows[..., :, None] * columns[..., None, :] + noise * rng.normal(size=(FRAMES, count, SIDE, SIDE))
    return frames.reshape(FRAMES, count, SIDE * SIDE).astype(np.float32), classes


class VideoClassifier(tr.nn.Module):
    """Frames in, after the last one the logits of the classes out."""

    def __init__(self, units=48, seed=0):
        cell = tr.nn.LSTMCell(SIDE * SIDE, units, forget_bias=1.0, seed=seed)
        self.cell = tr.compile(cell)
        self.output = tr.nn.Linear(units, len(DIRECTIONS), seed=seed + 1)

    def forward(self, frames):
        ys, _ = tr.unroll(self.cell, frames)
        return self.output(ys[-1])

    def classify(self, frames):
        """The likeliest class of each video, (B,)."""
        with tr.no_grad():
            return np.argmax(self(frames).numpy(), axis=-1)


def train(model, count=4000, epochs=5, seed=0):
    """Learn from so many videos. Gives the history."""
    frames, classes = videos(np.random.default_rng(seed), count)
    data = Batches(np.swapaxes(frames, 0, 1), classes, batch_size=64, rng=seed)
    optimizer = tr.optim.Adam(model.parameters(), lr=0.005)
    return tr.fit(model, data, tr.nn.cross_entropy, optimizer, epochs=epochs, clip_norm=1.0)


def shown(frames, which=(0, 2, 4, 6)):
    """Some frames of one video (T, 64), side by side, as text."""
    shades = " .:-=+*#@"
    pictures = np.clip(frames.reshape(FRAMES, SIDE, SIDE) * 8, 0, 8).astype(int)
    return "\n".join(
        "   " + "   ".join("".join(shades[v] for v in pictures[t, row]) for t in which) for row in range(SIDE)
    )


def main():
    """Train, show a video, and count what is right."""
    model = VideoClassifier()
    train(model)
    frames, classes = videos(np.random.default_rng(99), 1000)
    names = list(DIRECTIONS)
    print("Frames 1, 3, 5 and 7 of a video:\n" + shown(frames[:, 0]))
    print(f"The network says {names[model.classify(frames[:, :1])[0]]}; it moves {names[classes[0]]}.\n")

    right = np.mean(model.classify(frames) == classes)
    shuffled = np.random.default_rng(5).permuted(np.arange(FRAMES)[:, None].repeat(1000, axis=1), axis=0)
    without_order = np.mean(model.classify(np.take_along_axis(frames, shuffled[..., None], axis=0)) == classes)
    print(f"Of 1000 new videos {right:.1%} are classified rightly,")
    print(f"and {without_order:.1%} if their frames come in random order: they still show the line along which")
    print("the blob moves, so that two of the four classes remain. By guessing it would be 25%.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
