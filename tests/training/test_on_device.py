"""Training on JAX's devices: the weights of training by NumPy, and nothing but batches and numbers between the two."""

import importlib.util
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import optim

jax = pytest.importorskip("jax")
on_device = pytest.importorskip("tinygrad_rnn.training.on_device")

HERE = Path(__file__).parent
STEPS = 6
OPTIMISERS = ["Adam", "clipped", "in parts", "SGD", "AdamW", "RMSprop", "Adagrad", "a stream"]


def sums():
    xs = np.random.default_rng(0).normal(size=(40, 7, 3))
    return tr.data.Batches(xs, xs.sum(axis=1)[:, :1], batch_size=16, rng=0)  # the last batch is smaller


class Reader(tr.nn.Module):
    """A model that carries its state from batch to batch."""

    def __init__(self, layer):
        self.embedding = tr.nn.Embedding(5, 4, seed=0, dtype=np.float64)
        self.rnn = layer(4, 4, seed=1, dtype=np.float64)
        self.readout = tr.nn.Linear(4, 5, seed=2, dtype=np.float64)

    def forward(self, x, state=None):
        y, state = self.rnn(self.embedding(x), state)
        return self.readout(y), state


def adder(layer=tr.nn.RNN):  # its step takes XLA half as long to compile as that of a GRU
    return tr.nn.ManyToOne(layer(3, 4, seed=0, dtype=np.float64), 1, seed=1, dtype=np.float64), sums(), tr.nn.mse


def reader(layer=tr.nn.RNN):
    symbols = np.random.default_rng(0).integers(0, 5, size=300)
    return Reader(layer), tr.data.StreamBatches(symbols, batch_size=4, steps=6), tr.nn.cross_entropy


def trained(executor, make=adder, optimizer=optim.Adam, lr=0.01, steps=STEPS, **options):
    model, data, loss = make()
    optimizer = optimizer(model.parameters(), lr=lr)
    history = tr.fit(model, data, loss, optimizer, steps=steps, executor=executor, whole_step=True, **options)
    return model, history


def assert_like_numpy(make=adder, **options):
    on_jax = {key: options.pop(key) for key in ("devices",) if key in options}
    expected, found = trained("numpy", make, **options), trained("jax", make, **options, **on_jax)
    assert not found[1].not_compiled
    np.testing.assert_allclose(found[1].losses, expected[1].losses, 1e-11)
    for a, b in zip(found[0].parameters(), expected[0].parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-12)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("options", [
    {"make": partial(adder, tr.nn.GRU)}, {"clip_norm": 0.1}, {"accumulate": 2},
    {"optimizer": lambda p, lr: optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=0.1), "clip_value": 0.05},
    {"optimizer": lambda p, lr: optim.AdamW(p, lr, amsgrad=True)},
    {"optimizer": lambda p, lr: optim.RMSprop(p, lr, centered=True, momentum=0.5)},
    {"optimizer": optim.Adagrad}, {"make": partial(reader, tr.nn.LSTM)},
], ids=OPTIMISERS)  # fmt: skip
def test_it_learns_as_numpy_does(options):
    assert_like_numpy(**options)


@pytest.mark.sweep
def test_a_schedule_compiles_nothing_anew():
    def run(executor):
        model, data, loss = adder()
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        schedule = optim.StepLR(optimizer, 1, 0.5)
        tr.fit(model, data, loss, optimizer, steps=STEPS, executor=executor, whole_step=True, schedule=schedule)
        return [p.numpy() for p in model.parameters()]

    for a, b in zip(run("jax"), run("numpy"), strict=True):
        np.testing.assert_allclose(a, b, 1e-9, 1e-12)


def test_a_batch_goes_in_and_three_numbers_come_out(monkeypatch):
    """Implicit transfers are refused by JAX itself; explicit ones are counted."""
    moved, steps = [], []
    to_device, from_device = on_device.to_device, on_device.from_device
    monkeypatch.setattr(on_device, "to_device", lambda a, where: moved.append(a.nbytes) or to_device(a, where))
    monkeypatch.setattr(on_device, "from_device", lambda a: moved.append(-a.nbytes) or from_device(a))
    compute, update = on_device.OnDevice.compute, on_device.OnDevice.update

    def watched(method):
        def run(*args):
            settled = len(steps) > 3  # by then all is compiled, for batches of both sizes
            with jax.transfer_guard("disallow" if settled else "allow"):
                return method(*args)

        return run

    def counted(self, parts, before):
        moved.clear()
        found = watched(compute)(self, parts, before)
        steps.append((parts[0].batch, list(moved)))
        return found

    monkeypatch.setattr(on_device.OnDevice, "compute", counted)
    monkeypatch.setattr(on_device.OnDevice, "update", watched(update))
    trained("jax", steps=9)
    for batch, bytes_moved in steps[4:]:
        assert bytes_moved == [batch.inputs.nbytes, batch.targets.nbytes, -3 * 8]


@pytest.mark.sweep
def test_who_looks_finds_the_weights_of_now():
    """Callbacks, validation, checkpoints."""
    seen = {"numpy": [], "jax": []}
    for executor, found in seen.items():

        def look(run, found=found):
            found.append([a for p in run.model.parameters() for a in (p.numpy().copy(), p.grad)])
            found[-1] += [state[name] for state in run.optimizer.state.values() for name in sorted(state)]

        _, history = trained(executor, callbacks=[look], validation=sums(), validate_every=2)
        found.append([np.array(history.validation)])
    for ours, theirs in zip(seen["jax"], seen["numpy"], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, 1e-9, 1e-12)


@pytest.mark.sweep
def test_a_part_of_the_weights_may_stay_as_it_is():
    """Their gradients count for the norm all the same."""
    assert_like_numpy(optimizer=lambda p, lr: optim.SGD(list(p)[1:], lr=1.0), clip_norm=0.1)


@pytest.mark.sweep
def test_what_a_callback_changes_is_taken_over():
    def halve(run):
        for p in run.model.parameters():
            p.data = 0.5 * p.data

    assert_like_numpy(callbacks=[halve])


@pytest.mark.parametrize("make", [adder, reader])
@pytest.mark.sweep
def test_a_resumed_run_has_the_bits_of_one_that_went_on(make, tmp_path):
    whole, _ = trained("jax", make, steps=6)
    trained("jax", make, steps=3, checkpoints=tmp_path)
    resumed, _ = trained("jax", make, steps=6, checkpoints=tmp_path, resume=True)
    for a, b in zip(resumed.parameters(), whole.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_divergence_gives_the_last_good_weights_back():
    def run(executor):
        model, data, loss = adder()
        with pytest.raises(tr.training.TrainingDiverged, match=r"the loss is|the gradient of") as raised:
            tr.fit(model, data, loss, optim.SGD(model.parameters(), 1e60), steps=9, executor=executor, whole_step=True)
        return str(raised.value), [p.numpy() for p in model.parameters()]

    (ours, found), (theirs, expected) = run("jax"), run("numpy")
    assert ours == theirs
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, 1e-9)


def test_a_symbol_out_of_range_is_named():
    def bad():
        model, data, loss = reader()
        data.symbols = np.where(np.arange(300) == 30, 7, data.symbols)
        return model, data, loss

    with pytest.raises((IndexError, ValueError), match=r"out of bounds|class indices from 0 to 7"):
        trained("jax", bad)


@pytest.mark.sweep
def test_an_optimiser_that_looks_at_values_runs_on_the_host():
    class Careful(optim.SGD):
        def updated(self, value, gradient, state, group):
            return value if np.abs(gradient).max() > 1e9 else super().updated(value, gradient, state, group)

    with pytest.warns(UserWarning, match=r"the optimiser isn't compiled: .*no form in JAX"):
        model, history = trained("jax", optimizer=Careful)
    assert "the optimiser" in history.not_compiled
    for a, b in zip(model.parameters(), trained("numpy", optimizer=optim.SGD)[0].parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-12)


@pytest.mark.parametrize(("options", "says"), [
    ({"executor": "numpy", "devices": 2}, 'executor="jax"'), ({"executor": "jax", "devices": 999}, "XLA_FLAGS"),
    ({"executor": "jax", "devices": 0}, "devices=0"),
])  # fmt: skip
def test_devices_that_arent_there(options, says):
    with pytest.raises(ValueError, match=says):
        trained(**options)


@pytest.mark.sweep
def test_two_devices_and_one_all_reduce():
    """In a process of its own, as a CPU is two devices only if JAX is told so before it is imported.

    How devices meet is settled before LLVM gets to see the program, so LLVM needn't make it fast.
    """
    options = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    flags = {"XLA_FLAGS": options, "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, str(HERE / "on_two_devices.py")]
    done = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one all-reduce\n"


def test_without_jax_the_error_names_the_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "jax" else find(name, *rest))
    with pytest.raises(ImportError, match=r"\[jax\]"):
        trained("jax")
