"""Freeze a part of a model, save it, load it, take it to PyTorch and back.

A model's values are plain arrays by name, ``state_dict()``; whoever has them has the model. So there is no format of
ours to learn: they go into NumPy's own ``.npz`` (or safetensors, with the extra ``io``), and nothing that a file holds
is ever run. PyTorch has its matrices transposed and two biases where there is one here; ``to_torch_state_dict`` and
``from_torch_state_dict`` translate.

The model learns which of its first four inputs was the largest, reading one a step. Then its recurrent part is frozen
and only the last layer learns another task: which was the smallest.

It follows no article. PyTorch is only needed for the last part; without it, that part says so.

Run it: ``python examples/keep_weights.py``, or with ``--out weights.npz`` to keep the file
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches

STEPS = 4


def new_model(seed=0):
    """A GRU and a linear layer on its last output."""
    return tr.nn.ManyToOne(tr.nn.GRU(1, 32, seed=seed), outputs=STEPS, seed=seed + 1)


def numbers(rng, count):
    """Sequences (T, B, 1) of random numbers."""
    return rng.normal(size=(STEPS, count, 1)).astype(np.float32)


def train(model, answer, count=4000, epochs=5, seed=0):
    """Learn ``answer(xs)``, classes (B,), with what isn't frozen."""
    xs = numbers(np.random.default_rng(seed), count)
    data = Batches(np.swapaxes(xs, 0, 1), answer(xs), batch_size=64, rng=seed)
    optimizer = tr.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    tr.fit(model, data, tr.nn.cross_entropy, optimizer, epochs=epochs)


def largest(xs):
    """At which step the largest number stands, (B,)."""
    return np.argmax(xs[..., 0], axis=0)


def smallest(xs):
    """At which step the smallest number stands, (B,)."""
    return np.argmin(xs[..., 0], axis=0)


def accuracy(model, answer):
    """The share of right answers on new sequences."""
    xs = numbers(np.random.default_rng(99), 2000)
    with tr.no_grad():
        return float(np.mean(np.argmax(model(xs).numpy(), axis=-1) == answer(xs)))


def freeze(module):
    """Its parameters aren't to be learnt any more: nothing is recorded for them, and no gradient is computed."""
    for parameter in module.parameters():
        parameter.requires_grad = False


def in_pytorch(model, xs):
    """The same model in PyTorch: what it answers, and its parameters translated back. None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    twin = torch.nn.ModuleDict({"layer": torch.nn.GRU(1, 32), "readout": torch.nn.Linear(32, STEPS)})
    arrays = tr.nn.to_torch_state_dict(model)
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    with torch.no_grad():
        outputs, _ = twin["layer"](torch.from_numpy(xs))
        answers = twin["readout"](outputs[-1]).numpy()
    return answers, {name: value.numpy() for name, value in twin.state_dict().items()}


def main(arguments=None):
    """Train, freeze, save, load, use without recording, and go to PyTorch and back."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="keep the weights in this file: .npz or .safetensors")
    options = parser.parse_args(arguments)
    if options.out and options.out.exists():
        parser.error(f"{options.out} is there already. Name another file.")

    model = new_model()
    train(model, largest)
    print(f"Which was the largest? {accuracy(model, largest):.0%} right. Its parameters:")
    for name, array in model.state_dict().items():
        print(f"  {name:19} {array.shape}")

    freeze(model.layer)
    before = model.state_dict()
    train(model, smallest)
    changed = [name for name, array in model.state_dict().items() if not np.array_equal(array, before[name])]
    print(f"\nWith the GRU frozen only {' and '.join(changed)} change. Which was the smallest?", end=" ")
    print(f"{accuracy(model, smallest):.0%} right,")
    print("by guessing it would be 25%: the states hold more than they were asked for.")

    with tempfile.TemporaryDirectory() as folder:
        path = options.out or Path(folder) / "weights.npz"
        tr.nn.save_weights(model.state_dict(), path)
        loaded = new_model(seed=7)
        loaded.load_state_dict(tr.nn.load_weights(path))
        size = path.stat().st_size
    xs = numbers(np.random.default_rng(5), 10)
    same = np.array_equal(loaded(xs).numpy(), model(xs).numpy())
    print(f"\nSaved in {size:,} bytes and loaded: the same answers to the last bit: {same}")
    freeze(model)
    answers = model(xs)
    print(f"Wholly frozen, it records nothing: its answers need a gradient: {answers.requires_grad}")

    found = in_pytorch(model, xs)
    if found is None:
        print("\nPyTorch isn't installed, so the way there and back is left out: pip install torch")
        return
    theirs, arrays = found
    back = new_model(seed=8)
    tr.nn.from_torch_state_dict(back, arrays)
    print(f"\nPyTorch answers the same within {np.max(np.abs(theirs - answers.numpy())):.0e}.", end=" ")
    apart = max(np.max(np.abs(array - model.state_dict()[name])) for name, array in back.state_dict().items())
    print(f"There and back, the parameters differ by {apart:.0e}.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
