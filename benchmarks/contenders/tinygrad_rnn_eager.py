"""tinygrad_rnn, recorded as it runs."""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel

from . import CLIP_NORM

PACKAGES = ("numpy",)

tr.keep_freed_memory()  # as docs/speed.md tells whoever writes a training loop


def chain(x, length):
    x = tr.tensor(x, requires_grad=True)

    def step():
        x.grad = None
        y = x
        for _ in range(length):
            y = y * x
        loss = np.sum(y)
        loss.backward()
        return loss.item(), {"x": x.grad}

    return step


def elman(x, U, W, b):
    x = tr.tensor(x)
    U, W, b = (tr.tensor(a, requires_grad=True) for a in (U, W, b))
    start = np.zeros((x.shape[1], W.shape[0]), x.dtype)

    def step():
        U.grad = W.grad = b.grad = None
        h, hs = start, []
        for t in range(len(x)):
            h = np.tanh(x[t] @ U + h @ W + b)
            hs.append(h)
        loss = np.mean(np.square(np.stack(hs)))
        loss.backward()
        return loss.item(), {"U": U.grad, "W": W.grad, "b": b.grad}

    return step


def language(text, E, U, W, b, V, c, executor=None, loss_inside=False):
    vocabulary = CharacterVocabulary(chr(0x4E00 + i) for i in range(len(E)))
    options = {"units": len(W), "embedding_size": E.shape[1], "executor": None if loss_inside else executor}
    model = LanguageModel(vocabulary, "LSTM", **options)
    parameters = {
        "E": model.embedding,
        "U": model.cell.U,
        "W": model.cell.W,
        "b": model.cell.b,
        "V": model.output.W,
        "c": model.output.b,
    }
    for name, value in {"E": E, "U": U, "W": W, "b": b, "V": V, "c": c}.items():
        parameters[name].data = value
    optimizer = tr.optim.Adam(model.parameters(), lr=0.0)
    optimizer.executor = "llvm" if executor == "llvm" else "numpy"

    def loss_of(inputs, targets):
        logits, _ = model(inputs)
        return tr.nn.cross_entropy(logits, targets)

    if loss_inside:
        loss_of = tr.compile(loss_of, executor=executor)

    def step():
        optimizer.zero_grad()
        loss = loss_of(text[:-1], text[1:])
        loss.backward()
        tr.optim.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        return loss.item(), {name: parameter.grad for name, parameter in parameters.items()}

    return step
