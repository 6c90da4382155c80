"""Reading Morse code: labels without saying when.

Between the one answer of a many-to-one network and an answer at every step lies a case that speech and handwriting, two
uses that the articles name, are full of: forty steps of signal come with three letters, and nobody has noted which of
the steps belong to which letter. Connectionist temporal classification (Graves et al., 2006) sums over all
possibilities: the network says a letter or "blank" at each step, all ways of saying that come to the right letters
count, and the sum of their probabilities is what training raises. (``tinygrad_rnn.manual.ctc`` has the derivation.)

The signal is Morse code, dots and dashes in noise, sent by a hand that isn't steady: every sign and pause has a length
of its own. A GRU that reads in both directions sees it as one number a step.

It follows no article; they name the uses and stop there.

Run it: ``python examples/morse_code.py``
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import pad

CODE = {"A": ".-", "E": ".", "I": "..", "M": "--", "N": "-.", "O": "---", "S": "...", "T": "-"}
LETTERS = list(CODE)
BLANK = 0  # classes: blank, then the letters


def signal(word, rng, noise=0.15):
    """A word as a noisy signal (T, 1): on and off, with lengths that vary."""
    parts = []
    for letter in word:
        for sign in CODE[letter]:
            parts += [np.ones(rng.integers(1, 3) if sign == "." else rng.integers(4, 6)), np.zeros(1)]
        parts.append(np.zeros(rng.integers(2, 4)))  # a longer pause after each letter
    clean = np.concatenate(parts)
    return (clean + noise * rng.normal(size=clean.shape)).astype(np.float32)[:, None]


def batch(rng, count=32, longest=2, steps=None):
    """Words of up to ``longest`` letters: signals (T, B, 1), their lengths, labels (B, S), their lengths."""
    words = ["".join(rng.choice(LETTERS, size=rng.integers(1, longest + 1))) for _ in range(count)]
    signals, lengths = pad([signal(word, rng) for word in words], length=steps)
    labels, label_lengths = pad([[1 + LETTERS.index(letter) for letter in word] for word in words], batch_first=True)
    return words, signals, lengths, labels, label_lengths


class Receiver(tr.nn.Module):
    """A signal in, at each step the log-probability of blank and of each letter out."""

    def __init__(self, units=24, seed=0):
        rng = np.random.default_rng(seed)
        forward, reverse = (tr.compile(tr.nn.GRUCell(1, units, seed=rng)) for _ in range(2))
        layer = tr.nn.Recurrent([(forward, reverse)])
        self.network = tr.nn.ManyToMany(layer, 1 + len(LETTERS), seed=rng)

    def forward(self, signals, lengths):
        return tr.log_softmax(self.network(signals, lengths=lengths)[0], axis=-1)

    def read(self, signals, lengths):
        """The words: at each step the likeliest class; then repetitions count once, and blanks not at all."""
        with tr.no_grad():
            likeliest = np.argmax(self(signals, lengths).numpy(), axis=-1)
        words = []
        for steps, length in zip(likeliest.T, lengths):
            said = [now for before, now in zip([BLANK, *steps[: length - 1]], steps[:length]) if now != before]
            words.append("".join(LETTERS[label - 1] for label in said if label != BLANK))
        return words


def train(model, updates=300, seed=0):
    """Learn from new words at every update. Gives the losses."""
    rng = np.random.default_rng(seed)
    optimizer = tr.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(updates):
        # All signals as long as the longest can be: compiled cells are traced anew for each length.
        _, signals, lengths, labels, label_lengths = batch(rng, steps=42)
        loss = tr.nn.ctc(model(signals, lengths), labels, lengths, label_lengths, blank=BLANK)
        loss.backward()
        tr.optim.clip_grad_norm_(list(model.parameters()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def main():
    """Train, then show one word step by step, and count."""
    model = Receiver()
    losses = train(model)
    print(f"Loss {losses[0]:.2f} -> {np.mean(losses[-20:]):.3f}")

    rng = np.random.default_rng(9)
    word = signal("SOS", rng)
    length = np.array([len(word)])
    with tr.no_grad():
        said = np.argmax(model(word[:, None], length).numpy()[:, 0], axis=-1)
    print("  signal   " + "".join("▁▂▃▄▅▆▇█"[int(level)] for level in np.clip(7 * word[:, 0], 0, 7)))
    print("  says     " + "".join("·" if label == BLANK else LETTERS[label - 1] for label in said))
    print(f"  reads    {model.read(word[:, None], length)[0]}")

    for longest in (2, 8):
        words, signals, lengths, *_ = batch(rng, 500, longest)
        right = np.mean([read == word for read, word in zip(model.read(signals, lengths), words)])
        print(f"Of 500 new words of up to {longest} letters {right:.0%} are read without a mistake.")
    print("It has learned from words of one and two letters alone.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
