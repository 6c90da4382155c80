"""Whatever a function's Python code looked at while it was traced: once it is replaced, the function is traced anew."""

import dataclasses
import functools
import importlib
import itertools
import sys
import threading
import types
from array import array
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import plans
from tinygrad_rnn.compiler.guards.guards import Guards
from tinygrad_rnn.compiler.guards.names_in_code import is_of_library

XS, START = (np.random.default_rng(i).normal(size=(5, 2, 3)[i:]) for i in range(2))

activation = np.tanh
settings = types.ModuleType("settings_of_a_test")


class Settings:
    scale = 2.0


def assert_same_as_eager(compiled, cell=None):
    found, expected = (tr.unroll(f, XS, START)[0].data for f in (compiled, cell or compiled.function))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


class Scaled:
    """A cell with about everything that a class can have."""

    __slots__ = ("hidden",)
    factor = 2.0

    def __init__(self):
        self.hidden = 1.5

    def curved(self, a):
        return np.tanh(a)

    @property
    def gain(self):
        return self.hidden

    @staticmethod
    def shifted(a):
        return a + 0.1

    def __call__(self, x, h):
        return self.shifted(self.curved(x + h)) * self.factor * type(self).factor * self.gain


class Rescaled(Scaled):
    __slots__ = ()
    factor = 7.0


@pytest.mark.parametrize(
    "change",
    [
        lambda cell, patch: patch.setattr(Scaled, "factor", 3.0),
        lambda cell, patch: patch.setattr(Scaled, "curved", lambda self, a: np.sin(a)),
        lambda cell, patch: patch.setattr(Scaled, "gain", property(lambda self: 5.0)),
        lambda cell, patch: patch.setattr(Scaled, "shifted", staticmethod(lambda a: a - 0.1)),
        lambda cell, patch: patch.setattr(Scaled, "__call__", lambda self, x, h: x * h),
        lambda cell, patch: setattr(cell, "hidden", 2.5),
        lambda cell, patch: setattr(cell, "__class__", Rescaled),
    ],
    ids=["class attribute", "method", "property", "static method", "__call__", "slot", "class"],
)
def test_what_a_cells_class_has(change, monkeypatch):
    cell = Scaled()
    compiled = tr.compile(cell)
    before = tr.unroll(compiled, XS, START)[0].data
    change(cell, monkeypatch)
    assert_same_as_eager(compiled)
    assert not np.allclose(before, tr.unroll(compiled, XS, START)[0].data)


def test_what_a_function_has(monkeypatch):
    def cell(x, h, *, scale=2.0):
        return sum([activation(a) for a in (x, h)]) * scale * cell.gain * settings.scale * Settings.scale

    cell.gain = 0.03  # so small that the loop doesn't enlarge what executors round differently
    settings.scale = 1.5
    monkeypatch.setitem(sys.modules, settings.__name__, settings)
    compiled = tr.compile(cell)
    assert_same_as_eager(compiled)
    for change in (
        lambda: monkeypatch.setitem(globals(), "activation", np.sin),  # only the comprehension mentions it
        lambda: setattr(cell, "gain", 0.04),
        lambda: setattr(cell, "__kwdefaults__", {"scale": 5.0}),
        lambda: cell.__kwdefaults__.update(scale=6.0),
        lambda: monkeypatch.setattr(settings, "scale", 2.5),
        lambda: monkeypatch.setattr(Settings, "scale", 8.0),
    ):
        before = tr.unroll(compiled, XS, START)[0].data
        change()
        assert_same_as_eager(compiled)
        assert not np.allclose(before, tr.unroll(compiled, XS, START)[0].data)


def test_modules_in_packages_and_those_imported_inside(monkeypatch):
    package, part = types.ModuleType("package_of_a_test"), types.ModuleType("package_of_a_test.part")
    package.part, part.scale, settings.scale = part, 2.0, 3.0
    for module in (package, part, settings):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(globals(), "package_of_a_test", package)

    def cell(x, h):
        from settings_of_a_test import scale

        return np.tanh(x + h) * package_of_a_test.part.scale * scale  # noqa: F821  # set above

    compiled = tr.compile(cell)
    assert_same_as_eager(compiled)
    for module in (part, settings):
        module.scale *= 2
        assert_same_as_eager(compiled)


def test_what_it_closes_over_and_what_that_holds():
    parts = {"scale": [2.0], "choice": {"tanh"}}

    def cell(x, h):
        return (np.tanh if "tanh" in parts["choice"] else np.sin)(x + h) * parts["scale"][0]

    compiled = tr.compile(functools.partial(cell))
    assert_same_as_eager(compiled, cell)
    parts["scale"][0] = 3.0
    assert_same_as_eager(compiled, cell)
    parts["choice"].clear()
    assert_same_as_eager(compiled, cell)
    parts["scale"] = [4.0]
    assert_same_as_eager(compiled, cell)


class Several(list):
    gain = 2.0


class Named(dict):
    def __missing__(self, key):
        return settings.scale


class Meta(type):
    gain = 2.0


class OfMeta(metaclass=Meta):
    pass


class Private:
    __slots__ = ("__gain",)

    def __init__(self):
        self.gain = 2.0

    gain = property(lambda self: self.__gain, lambda self, gain: setattr(self, "_Private__gain", gain))


class Base:
    gain = 2.0


class OtherBase:
    gain = 3.0


class Inheriting(Base):
    pass


def replaced(**names):
    """A module in place of the one in ``sys.modules``."""
    module = types.ModuleType(settings.__name__)
    vars(module).update(names)
    return module


def swap(mapping):
    """Move the first entry to the end."""
    key = next(iter(mapping))
    mapping[key] = mapping.pop(key)


several, other, named, private, options = Several(), Several(), Named(), Private(), {"gain": 2.0}
several.gain = 1.0
shown = types.MappingProxyType(options)
by_text = 2.0
numbers = array("d", [2.0])
buffer, memory = bytearray([2]), bytearray([2])
seen = memoryview(memory)
ordered, moved, attributes = {3.0: 1, 2.0: 1}, OrderedDict([(3.0, 1), (2.0, 1)]), types.SimpleNamespace(a=3.0, b=2.0)
values = (viewed := {"gain": 2.0}).values()
counted = defaultdict(lambda: 2.0)


class Heir(Base):
    pass


made = Heir()


def imported_by_name():
    return importlib.import_module("settings_of_a_test").scale


def imported():
    import settings_of_a_test

    return settings_of_a_test.scale


# (what the function looks at, what changes that)
LOOKS = {
    "attribute of a list": (lambda: several.gain, lambda patch: patch.setattr(several, "gain", 3.0)),
    "class of a list": (lambda: other.gain, lambda patch: patch.setattr(Several, "gain", 3.0)),
    "method of a dict": (lambda: named["gain"], lambda patch: patch.setattr(Named, "__missing__", lambda *_: 3.0)),
    "metaclass": (lambda: OfMeta.gain, lambda patch: patch.setattr(Meta, "gain", 3.0)),
    "private slot": (lambda: private.gain, lambda patch: patch.setattr(private, "gain", 3.0)),
    "view of a dict": (lambda: shown["gain"], lambda patch: patch.setitem(options, "gain", 3.0)),
    "a name in quotes": (lambda: getattr(settings, "scale", 1.0), lambda patch: patch.setattr(settings, "scale", 3.0)),
    "whether a module has it": (
        lambda: settings.bias if hasattr(settings, "bias") else 1.0,
        lambda patch: patch.setattr(settings, "bias", 3.0, raising=False),
    ),
    "globals by name": (lambda: globals()["by_text"], lambda patch: patch.setitem(globals(), "by_text", 3.0)),
    "one of several names": (
        lambda: sum([globals()[name] for name in ("by_text", "__doc__") if name != "__doc__"]),
        lambda patch: patch.setitem(globals(), "by_text", 3.0),
    ),
    "text that is run": (lambda: eval("by_text * 1"), lambda patch: patch.setitem(globals(), "by_text", 3.0)),
    "sys.modules": (
        lambda: sys.modules["settings_of_a_test"].scale,
        lambda patch: patch.setattr(settings, "scale", 3.0),
    ),
    "its own variables": (
        lambda: imported.__globals__["by_text"],
        lambda patch: patch.setitem(globals(), "by_text", 3.0),
    ),
    "another in sys.modules": (
        lambda: sys.modules["settings_of_a_test"].scale,
        lambda patch: patch.setitem(sys.modules, "settings_of_a_test", replaced(scale=3.0)),
    ),
    "another that is imported": (
        imported,
        lambda patch: patch.setitem(sys.modules, "settings_of_a_test", replaced(scale=3.0)),
    ),
    "another that is imported by name": (
        imported_by_name,
        lambda patch: patch.setitem(sys.modules, "settings_of_a_test", replaced(scale=3.0)),
    ),
    "bases": (lambda: Inheriting.gain, lambda patch: setattr(Inheriting, "__bases__", (OtherBase,))),
    "bases of an object's class": (
        lambda: made.gain,
        lambda patch: setattr(Heir, "__bases__", (OtherBase,)),
    ),
    "bytearray": (lambda: float(buffer[0]), lambda patch: buffer.__setitem__(0, 3)),
    "memoryview": (lambda: float(seen[0]), lambda patch: memory.__setitem__(0, 3)),
    "array": (lambda: numbers[0], lambda patch: numbers.__setitem__(0, 3.0)),
    "order of a dict": (lambda: [*ordered][-1], lambda patch: swap(ordered)),
    "order of an OrderedDict": (lambda: [*moved][-1], lambda patch: moved.move_to_end(3.0)),
    "order of attributes": (lambda: [*vars(attributes).values()][-1], lambda patch: swap(vars(attributes))),
    "values of a dict": (lambda: next(iter(values)), lambda patch: patch.setitem(viewed, "gain", 3.0)),
    "what a dict makes": (
        lambda: counted.default_factory(),
        lambda patch: setattr(counted, "default_factory", lambda: 3.0),
    ),
    "what hides a builtin function": (lambda: abs(-2.0), lambda patch: patch.setitem(globals(), "abs", lambda _: 3.0)),
}


@pytest.mark.parametrize("name", LOOKS)
def test_whatever_it_looks_at(name, monkeypatch):
    monkeypatch.setattr(settings, "scale", 1.5, raising=False)
    monkeypatch.setitem(sys.modules, settings.__name__, settings)
    look, change = LOOKS[name]
    compiled = tr.compile(lambda x: x * look())
    assert compiled(np.ones(1)).item() == look() != 3.0
    change(monkeypatch)
    assert compiled(np.ones(1)).item() == look() == 3.0


def test_modules_that_are_imported_from_the_same_package(monkeypatch):
    package, part, user = (types.ModuleType(f"package_of_a_test{name}") for name in ("", ".part", ".user"))
    package.part, part.scale, user.__package__ = part, 2.0, package.__name__
    for module in (package, part, user):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("def f(x):\n    from .part import scale\n    return x * scale", vars(user))
    compiled = tr.compile(user.f)
    assert compiled(np.ones(1)).item() == 2.0
    part.scale = 3.0
    assert compiled(np.ones(1)).item() == 3.0


def test_attributes_are_no_variables(monkeypatch):
    """A training loop keeps the loss in a variable, and its model has an attribute of that name."""
    traces = np.zeros((), int)

    class Model:
        def loss(self, x):
            traces[...] += 1
            return np.sum(x)

    model, before = Model(), 0
    compiled = tr.compile(lambda x: model.loss(x))
    for n in (1, 2, 2, 1, 2):
        monkeypatch.setitem(globals(), "loss", compiled(np.ones(n)))
        if n == 2 and not before:
            before = int(traces)
    assert traces == before


def test_a_helper_that_is_defined_later():
    def cell(x, h):
        return helper(x + h)

    compiled = tr.compile(cell)

    helper = np.tanh
    assert_same_as_eager(compiled)

    helper = np.sin
    assert_same_as_eager(compiled)


def test_training_is_switched_off():
    class Leaky(nn.Cell):
        units = 3

        def forward(self, x, h):
            h = np.tanh(x + h) * (0.5 if self.training else 1.0)
            return h, h

    cell = Leaky()
    compiled = tr.compile(cell)
    assert_same_as_eager(compiled)
    cell.eval()
    assert_same_as_eager(compiled)


# --- arguments -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Options:
    scale: float = 2.0


class Scale(nn.Module):
    def __init__(self):
        self.scale = 2.0
        self.w = nn.Parameter(np.ones(3))


@pytest.mark.parametrize("make", [Options, Scale])
def test_objects_that_are_passed_in(make):
    compiled = tr.compile(lambda x, options: x * options.scale)
    first, second = make(), make()
    assert compiled(np.ones(1), first).item() == 2.0
    first.scale = 3.0
    assert compiled(np.ones(1), first).item() == 3.0
    assert compiled(np.ones(1), second).item() == 2.0  # equal to the first as it was, and another thing all the same
    assert compiled(np.ones(1), first).item() == 3.0


def test_plain_arguments_are_told_apart_by_value():
    compiled = tr.compile(lambda x, a: x / a if isinstance(a, float) else x * len(a))
    with np.errstate(divide="ignore"):
        assert [compiled(np.ones(1), a).item() for a in (0.0, -0.0, 2.0)] == [np.inf, -np.inf, 0.5]
    assert [compiled(np.ones(1), a).item() for a in ([1, 2], {1, 2, 3}, "abcd")] == [2.0, 3.0, 4.0]
    plans = len(compiled.plans)
    for _ in range(3):
        assert np.isnan(compiled(np.ones(1), float("nan")).item())
    assert len(compiled.plans) == plans + 1


def test_numbers_of_numpys_are_told_apart_by_value_and_type():
    compiled = tr.compile(lambda x, a: x / a)
    with np.errstate(divide="ignore"):
        for kind in (np.float32, np.float64):
            for a in (0.0, -0.0, 2.0, 2.0):
                found, expected = compiled(np.ones(1, np.float32), kind(a)), np.ones(1, np.float32) / kind(a)
                assert found.item() == expected.item()
    assert len(compiled.plans) == 6


# --- what is no change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [list, deque, lambda factors: dict(enumerate(factors))])
def test_what_containers_hold(container):
    factors = container([1.0])
    cell = lambda x, h: np.tanh(x + h) * factors[0]  # noqa: E731
    compiled = tr.compile(cell)
    tr.unroll(compiled, XS, START)
    factors[0] = 2.0
    np.testing.assert_allclose(tr.unroll(compiled, XS, START)[0].data, tr.unroll(cell, XS, START)[0].data, rtol=1e-12)


def test_a_dict_that_gives_something_new_each_time():
    class Copying(dict):
        def __getitem__(self, key):
            return list(super().__getitem__(key))

    factors, traces = Copying(a=[2.0]), np.zeros((), int)

    def f(x):
        traces[...] += 1
        return x * factors["a"][0]

    compiled = tr.compile(f)
    assert [compiled(np.ones(1)).item() for _ in range(3)] == [2.0] * 3
    assert traces == 2
    factors["a"] = [3.0]
    assert compiled(np.ones(1)).item() == 3.0


def test_captured_arrays_are_constants():
    """They are copied when the function is traced; a Tensor is read at each call."""
    scale, gain = np.full(3, 2.0), tr.tensor(np.full(3, 2.0))
    compiled = tr.compile(lambda x, h: np.tanh(x + h) * scale * gain)
    before = tr.unroll(compiled, XS, START)[0].data
    scale[:] = 100.0
    np.testing.assert_array_equal(tr.unroll(compiled, XS, START)[0].data, before)
    gain.data = np.full(3, 4.0)
    assert not np.allclose(tr.unroll(compiled, XS, START)[0].data, before)


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_one_plan_never_mixes_old_and_new(executor):
    """What it does with gradients comes of the same trace: arrays are as they were when it was traced, in both."""
    scale = np.full(3, 2.0)
    cell = lambda x, h: np.tanh(x + h) * scale  # noqa: E731
    compiled = tr.compile(cell, executor=executor)
    before = tr.unroll(compiled, XS, START)[0].data
    scale[:] = 3.0
    xs, with_two = tr.tensor(XS, requires_grad=True), tr.tensor(XS, requires_grad=True)
    ys = tr.unroll(compiled, xs, START)[0]
    np.sum(ys).backward()
    np.sum(tr.unroll(lambda x, h: np.tanh(x + h) * 2.0, with_two, START)[0]).backward()
    np.testing.assert_allclose(ys.data, before, rtol=1e-12)
    np.testing.assert_allclose(xs.grad, with_two.grad, rtol=1e-12)
    np.testing.assert_array_equal(tr.unroll(compiled, XS, START)[0].data, ys.data)


@pytest.mark.parametrize("executor", ["numpy", "llvm", "auto"])
def test_a_function_is_traced_once_for_each_form_of_arguments(executor):
    """Run twice, to see that it does the same; other gradients and machine code are made of what was traced."""
    runs = np.zeros((), int)  # what an array holds isn't watched
    W = tr.tensor(np.eye(3), requires_grad=True)

    def cell(x, h):
        runs[...] += 1
        return np.tanh(x + h @ W)

    compiled = tr.compile(cell, executor=executor)
    for xs, start in itertools.product(*((a, tr.tensor(a), tr.tensor(a, requires_grad=True)) for a in (XS, START))):
        for _ in range(3):
            np.sum(tr.unroll(compiled, xs, start)[0]).backward()
    with tr.no_grad():
        tr.unroll(compiled, XS, START)
    assert len(compiled.plans) == 1 and runs == 2
    for thread in threading.enumerate():
        if thread.name == plans.THREAD:
            thread.join()


def test_only_what_is_mentioned_is_looked_into():
    """The guards are asked at every call: neither installed code nor whole modules are watched."""
    settings.scale = 1.5

    def cell(x, h):
        return pytest.approx and dataclasses.dataclass and np.tanh(x + h) * settings.scale

    before = Guards(cell)
    settings.unrelated = lambda x: activation(x)
    after = Guards(cell)
    assert len(before) < 10
    assert len(after) == len(before)
    settings.scale = 2.5
    assert before.changed()


def test_what_is_compiled_inside_is_watched_by_what_it_compiles():
    """Not by its plans, which come and go: then each call would be followed by another trace."""
    settings.scale, traces = 1.5, np.zeros((), int)

    def cell(x, h):
        traces[...] += 1
        return np.tanh(x + h) * settings.scale

    inner = tr.compile(cell)
    outer = tr.compile(lambda xs: np.sum(tr.unroll(inner, xs, START)[0]))
    expected = outer(XS).data
    tr.unroll(inner, XS, START)  # which makes a plan
    before = int(traces)
    np.testing.assert_array_equal(outer(XS).data, expected)
    assert traces == before
    settings.scale = 2.5
    assert not np.allclose(outer(XS).data, expected)


def test_things_that_answer_to_every_name():
    class Oracle:
        def __getattribute__(self, name):
            return lambda *args: name

    oracle = Oracle()
    assert not Guards(lambda x: oracle and x).changed()


@pytest.mark.parametrize(("folder", "installed"), [("site-packages", True), ("dist-packages", True), ("work", False)])
def test_what_was_installed_anywhere_is_not_looked_into(folder, installed, tmp_path, monkeypatch):
    """Also in an environment that this one stands on, or in the user's own folder."""
    name = f"module_in_{folder.replace('-', '_')}"
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"{name}.py").write_text("def f(): pass")
    monkeypatch.syspath_prepend(tmp_path / folder)
    assert is_of_library(importlib.import_module(name).f) is installed
