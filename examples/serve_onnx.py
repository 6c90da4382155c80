"""Serve a language model without this package: ONNX Runtime alone, one symbol at a time.

A recurrent network needs no more than its state to go on, so a service keeps one state for each conversation and sends
one symbol at each call. The model is trained and exported here; ``Service`` below imports NumPy and ONNX Runtime only.

It follows no article. It needs the extras for it: ``pip install "tinygrad_rnn[onnx]" onnxruntime``.

Run it: ``python examples/serve_onnx.py``
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

TEXT = "you say yes, I say no; you say stop, and I say go, go, go. " * 30


def train_and_export(path, steps=150):
    """Train a small model on a song and write it to a file. Gives its symbols, and what it writes itself."""
    import tinygrad_rnn as tr

    model, *_ = tr.language.train_on_text(TEXT, units=48, batch_size=16, steps_per_batch=25, steps=steps)
    symbols = np.zeros((7, 5), np.int64)
    tr.export_onnx(model, path, (symbols, model(symbols)[1]))
    return list(model.vocabulary.symbols), model.sample(60, "you say", temperature=0)


class Service:
    """Goes on with texts, one state for each."""

    def __init__(self, path, symbols):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.symbols, self.numbers = symbols, {symbol: i for i, symbol in enumerate(symbols)}

    def begin(self):
        """A fresh state."""
        shapes = {entry.name: entry.shape for entry in self.session.get_inputs()[1:]}
        return {name: np.zeros([n if n != "B" else 1 for n in shape], np.float32) for name, shape in shapes.items()}

    def read(self, text, state):
        """Read a text, symbol by symbol. Gives the logits of the next one, and the state after it."""
        logits = None
        for symbol in text:
            logits, *after = self.session.run(None, {"symbols": np.array([[self.numbers[symbol]]]), **state})
            state = dict(zip(state, after))
        return logits[0, 0], state

    def write(self, prime, length):
        """The likeliest text after a prime."""
        logits, state = self.read(prime, self.begin())
        written = prime
        while len(written) < len(prime) + length:
            written += self.symbols[int(np.argmax(logits))]
            logits, state = self.read(written[-1], state)
        return written


def main():
    """Train, export, serve."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        symbols, expected = train_and_export(path)
        print(f"The file has {path.stat().st_size / 1000:.0f} kB.")
        written = Service(path, symbols).write("you say", 60)
        print(f"ONNX Runtime writes: {written}")
        print(f"The model wrote the same: {written == expected}")


if __name__ == "__main__":
    main()
