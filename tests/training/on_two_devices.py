"""Training on two devices gives what one gives, and they meet once a step. Started by ``test_on_device``."""

import re

import jax
import numpy as np

import tinygrad_rnn as tr
from tests.training.test_on_device import adder, assert_like_numpy, reader
from tinygrad_rnn.compiler.jax_code import training
from tinygrad_rnn.compiler.jax_code.precision import as_numpy_computes

MEETINGS = r" = \S.* (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("


def uneven():
    """Batches of 16 and of 7, which can't be cut into two parts of the same size."""
    xs = np.random.default_rng(0).normal(size=(39, 7, 3))
    model, _, loss = adder()
    return model, tr.data.Batches(xs, xs.sum(axis=1)[:, :1], batch_size=16, rng=0), loss


def uneven_reader():
    """Three states side by side, so that one device has two of them."""
    model, _, loss = reader()
    symbols = np.random.default_rng(0).integers(0, 5, size=300)
    return model, tr.data.StreamBatches(symbols, batch_size=3, steps=6), loss


def unmarked():
    """Classes of which one in six counts, so that in some parts none does."""
    xs, classes = np.random.default_rng(0).normal(size=(24, 5, 3)), np.where(np.arange(24) % 6, -100, 1)
    model = tr.nn.ManyToOne(tr.nn.RNN(3, 4, seed=0, dtype=np.float64), 2, seed=1, dtype=np.float64)
    return model, tr.data.Batches(xs, classes, batch_size=6), tr.nn.cross_entropy


def main() -> None:
    assert len(jax.devices()) == 2
    seen = []
    over_devices = training.over_devices

    def watched(run, mesh):
        step = over_devices(run, mesh)

        def watched_step(*arguments):
            seen.append((step, jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arguments)))
            return step(*arguments)

        return watched_step

    training.over_devices = watched
    assert_like_numpy(devices=2, accumulate=2, clip_norm=0.1)
    assert_like_numpy(make=unmarked, devices=2)
    assert len(seen) >= 2
    assert_like_numpy(make=uneven_reader, devices=2)
    assert_like_numpy(devices=2)
    assert_like_numpy(make=reader, devices=2)
    assert_like_numpy(make=uneven, devices=2)
    for make in (uneven, uneven_reader):
        assert_like_numpy(make=make, devices=2, accumulate=2)
    with as_numpy_computes():
        lowered = [jax.jit(step).lower(*forms) for step, forms in seen]
        texts = [each.compile().as_text() for each in {each.as_text(): each for each in lowered}.values()]
    for text in texts:
        met = re.findall(MEETINGS, text)
        assert met == ["all-reduce"], met
    print("one all-reduce")


if __name__ == "__main__":
    main()
