"""What a function changes itself: a count is refused, what settles is not, and no stale branch is replayed."""

import dataclasses
import enum
import functools
from array import array
from collections import OrderedDict, deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.compiler import CannotCompile

LENGTHS = (1, 2, 1, 1, 2, 3, 1, 2, 3, 3)  # of arguments: forms that come again

total = 0


def results(f, lengths=LENGTHS):
    return [np.asarray(getattr(y, "data", y)).tolist() for y in (f(np.arange(1.0, n + 1)) for n in lengths)]


# --- counts ----------------------------------------------------------------------------------------------------------
# Each of these changes something at each call, and after a few calls goes another way by it.


class Attribute:
    calls = 0

    def __call__(self, x):
        self.calls += 1
        return x if self.calls <= 4 else -x


class Slot:
    __slots__ = ("calls",)

    def __init__(self):
        self.calls = 0

    __call__ = Attribute.__call__


class PrivateSlot:
    __slots__ = ("__calls", "__unset")

    def __init__(self):
        self.__calls = 0

    def __call__(self, x):
        self.__calls += 1
        return x if self.__calls <= 4 else -x


class OfTheClass:
    def __call__(self, x):
        type(self).calls += 1
        return x if self.calls <= 4 else -x


def of_a_class():
    OfTheClass.calls = 0
    return OfTheClass()


class Model:
    def __init__(self):
        self.cell = Attribute()

    def __call__(self, x):
        return 2 * self.cell(x)


def variable():
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        return x if calls <= 4 else -x

    return f


def of_a_function():
    def f(x):
        f.calls = getattr(f, "calls", 0) + 1
        return x if f.calls <= 4 else -x

    return f


def of_a_module():
    global total
    total = 0

    def f(x):
        global total
        total += 1
        return x if total <= 4 else -x

    return f


def new_in_a_module():
    globals().pop("new_total", None)

    def f(x):
        global new_total
        new_total = new_total + 1 if "new_total" in globals() else 1
        return x if new_total <= 4 else -x

    return f


def holding(container, change, count):
    def make():
        kept = container()

        def f(x):
            change(kept)
            return x if count(kept) <= 4 else -x

        return f

    return make


def add_to(kept, key):
    kept[key] += 1


@dataclasses.dataclass(frozen=True)
class Counts:
    calls: int = 0


class Replacing:
    """What holds the count is another at each call."""

    counts = Counts()

    def __call__(self, x):
        self.counts = dataclasses.replace(self.counts, calls=self.counts.calls + 1)
        return x if self.counts.calls <= 4 else -x


class ReplacingATuple:
    counts = (0, "calls")

    def __call__(self, x):
        self.counts = (self.counts[0] + 1, "calls")
        return x if self.counts[0] <= 4 else -x


class Light(enum.Enum):
    RED, GREEN = range(2)


class Changing:
    light = Light.RED

    def __call__(self, x):
        self.light = Light.GREEN if self.light is Light.RED else Light.RED
        return 2 * x


class Growing:
    def __call__(self, x):
        setattr(self, f"call {len(vars(self))}", True)
        return x if len(vars(self)) <= 4 else -x


class Retyping:
    parts = (1,)

    def __call__(self, x):
        self.parts = list(self.parts) if isinstance(self.parts, tuple) else tuple(self.parts)
        return 2 * x


def in_turn(*choices):
    def make():
        chosen = deque(choices)

        def f(x):
            chosen.rotate()
            return chosen[0](x)

        return f

    return make


class First:
    sign = 1


class Second:
    sign = -1


def in_turn_of_bases():
    class Heir(First):
        pass

    def f(x):
        Heir.__bases__ = (Second,) if Heir.__bases__ == (First,) else (First,)
        return x * Heir.sign

    return f


COUNTS = {
    "attribute": (Attribute, r"Attribute\.calls \(from 1 to 2\)"),
    "slot": (Slot, r"Slot\.calls \(from 1 to 2\)"),
    "private slot": (PrivateSlot, r"PrivateSlot\._PrivateSlot__calls \(from 1 to 2\)"),
    "class attribute": (of_a_class, r"OfTheClass\.calls \(from 1 to 2\)"),
    "inside": (Model, r"Model\.cell\.calls \(from 1 to 2\)"),
    "method": (lambda: Attribute().__call__, r"Attribute\.calls \(from 1 to 2\)"),
    "partial": (lambda: functools.partial(lambda model, x: model(x), Model()), r"Model\.cell\.calls"),
    "variable": (variable, r"calls of f\(\) \(from 1 to 2\)"),
    "attribute of a function": (of_a_function, r"f\.calls \(from 1 to 2\)"),
    "global variable": (of_a_module, r"test_own_changes\.total \(from 1 to 2\)"),
    "new global variable": (new_in_a_module, r"test_own_changes\.new_total \(from 1 to 2\)"),
    "list": (holding(lambda: [0], lambda a: add_to(a, 0), lambda a: a[0]), r"kept of f\(\)\[0\] \(from 1 to 2\)"),
    "dict": (holding(lambda: {"n": 0}, lambda a: add_to(a, "n"), lambda a: a["n"]), r"kept of f\(\)\['n'\] \(from"),
    "list that grows": (holding(list, lambda a: a.append(0), len), r"len\(kept of f\(\)\) \(from 1 to 2\)"),
    "set that grows": (holding(set, lambda a: a.add(len(a)), len), r"len\(kept of f\(\)\) \(from 1 to 2\)"),
    "dict that grows": (holding(dict, lambda a: a.update({len(a): 0}), len), r"len\(kept of f\(\)\) \(from 1 to 2\)"),
    "key": (holding(lambda: {0: ""}, lambda a: a.update({max(a) + 1: a.popitem()[1]}), max), r"kept of f\(\)\[1\]"),
    "bytes": (holding(lambda: bytearray(1), lambda a: add_to(a, 0), lambda a: a[0]), r"kept of f\(\).* \(from b'"),
    "array": (holding(lambda: array("d", [0]), lambda a: add_to(a, 0), lambda a: a[0]), r"kept of f\(\).* \(from b'"),
    "memory": (
        holding(lambda: memoryview(bytearray(1)), lambda a: add_to(a, 0), lambda a: a[0]), r"kept of f\(\).* \(from b'",
    ),
    "order": (
        holding(
            lambda: OrderedDict.fromkeys([9, 0, 1, 2, 3]),
            lambda kept: kept.move_to_end(next(iter(kept))),
            lambda kept: next(iter(kept)),
        ),
        r"kept of f\(\)\[\d\]",
    ),
    "bases": (in_turn_of_bases, r"Heir|__mro__|Second|First"),
    "NumPy number": (holding(lambda: [np.int64(0)], lambda a: add_to(a, 0), lambda a: a[0]), r"kept of f\(\)\[0\]"),
    "object": (Replacing, r"Replacing\.counts\.calls \(from 1 to 2\)"),
    "tuple": (ReplacingATuple, r"ReplacingATuple\.counts\[0\] \(from 1 to 2\)"),
    "attributes": (Growing, r"len\(vars\(Growing\)\) \(from 1 to 2\)"),
    "type": (Retyping, r"Retyping\.parts"),
    "enum": (Changing, r"Changing\.light"),
    "in turn": (in_turn(np.tanh, np.tanh, np.sin, np.tanh), r"chosen of f\(\)\[\d\]"),
    "in turn, of one's own": (in_turn(*[lambda x: x] * 3, lambda x: -x), r"chosen of f\(\)\[\d\]"),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_refused_and_named(name):
    make, text = COUNTS[name]
    with pytest.raises(CannotCompile, match=rf"^this function changes .*{text}.* each time.*in the state"):
        tr.compile(make())(np.ones(2))


@pytest.mark.parametrize("name", COUNTS)
def test_what_counts_runs_as_without(name):
    """By fallback; and it counts as without, since what is tried to compile it is put back."""
    make, _ = COUNTS[name]
    assert results(tr.compile(make(), fallback=True)) == results(make())


@pytest.mark.parametrize("name", COUNTS)
def test_a_refusal_leaves_all_as_it_was(name):
    make, _ = COUNTS[name]
    f = make()
    for _ in range(3):
        with pytest.raises(CannotCompile):
            tr.compile(f)(np.ones(2))
    found = results(f)
    assert found == results(make())


def test_counts_of_arguments():
    compiled = tr.compile(lambda x, model: model(x))
    with pytest.raises(CannotCompile, match=r"Attribute\.calls \(from 1 to 2\)"):
        compiled(np.ones(2), Attribute())
    model, other = Attribute(), Attribute()
    compiled = tr.compile(compiled.function, fallback=True)
    assert results(lambda x: compiled(x, model)) == results(other)


def counting(count, take):
    """A function with a loop, whose cell takes something at each step that was made before the loop."""

    def f(xs):
        kept = count()

        def cell(x, h):
            h = np.tanh(x * take(kept) + h)
            return h, h

        return np.sum(tr.unroll(cell, xs, state=np.zeros(2))[0])

    return f


def one_more(kept):
    kept[0] += 1
    return kept[0]


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (counting(lambda: [0], one_more), r"changes kept of cell\(\)\[0\] \(from 1 to 2\)"),
        (counting(lambda: iter(range(4)), next), r"takes from an iterator, kept of cell\(\)"),
        (counting(lambda: (t for t in range(4)), next), r"takes from an iterator, kept of cell\(\)"),
    ],
)
def test_a_cell_that_counts_its_steps_is_refused(f, text):
    """Its code runs once for all steps: they would all have the first one's number."""
    with pytest.raises(CannotCompile, match=text):
        tr.compile(f)(np.ones((4, 2)))
    assert tr.compile(f, fallback=True)(np.ones((4, 2))).item() == f(np.ones((4, 2))).item()


def test_an_iterator_is_refused_before_anything_is_taken():
    numbers = iter(range(1, 9))
    compiled = tr.compile(lambda x: x * next(numbers), fallback=True)
    assert [compiled(np.ones(1)).item() for _ in range(3)] == [1, 2, 3]


def test_a_table_that_the_first_step_makes_is_no_change():
    tables = {}

    def cell(x, h):
        table = tables.setdefault("scale", np.full(2, 0.5))
        h = np.tanh(x * table + h)
        return h, h

    def f(xs):
        return np.sum(tr.unroll(cell, xs, state=np.zeros(2))[0])

    assert tr.compile(f)(np.ones((4, 2))).item() == pytest.approx(f(np.ones((4, 2))).item())


# --- what settles ----------------------------------------------------------------------------------------------------


class WithATable:
    table = None
    made = False

    def __call__(self, x):
        if not self.made:
            self.table, self.made = np.arange(10.0), True
        return x * self.table[: len(x)]


class Remembering:
    def __init__(self):
        self.tables = {}

    def __call__(self, x):
        if len(x) not in self.tables:
            self.tables[len(x)] = np.arange(len(x))
        return x + self.tables[len(x)]


class Storing:
    """For those who want to look at them."""

    def __init__(self):
        self.squares, self.parts = None, []

    def __call__(self, x):
        self.parts = [x, {"twice": 2 * x}]
        self.squares = x * x
        return self.squares + self.parts[1]["twice"]


class Longest:
    longest = 0

    def __call__(self, x):
        self.longest = max(self.longest, len(x))
        return x * 2


@pytest.mark.parametrize("make", [WithATable, Remembering, Storing, Longest])
def test_what_settles_is_compiled(make):
    compiled = tr.compile(make())
    assert results(compiled) == results(make())
    plans = set(compiled.plans)
    assert len(plans) == len(set(LENGTHS))
    assert results(compiled) == results(make())
    assert set(compiled.plans) == plans


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("is_argument", [False, True])
def test_tensors_that_are_stored_are_no_reason_to_trace_anew(is_argument, gradients):
    """Also where a plan with gradients is traced once more."""
    storing = Storing()
    compiled = tr.compile((lambda x, storing: storing(x)) if is_argument else storing)
    arguments = (storing,) if is_argument else ()
    compiled(tr.tensor(np.ones(2)), *arguments)
    (plan,) = compiled.plans
    for _ in range(2):
        compiled(tr.tensor(np.ones(2), requires_grad=gradients), *arguments)
        assert compiled.plans == [plan]


# --- another form of arguments ---------------------------------------------------------------------------------------


class Flag:
    """A longer argument changes what becomes of the shorter ones from then on."""

    seen = False

    def __call__(self, x):
        if len(x) == 2:
            self.seen = True
        return -x if self.seen else x


class Last:
    """It keeps how long the last argument was, which the next call doesn't look at."""

    length = None

    def __call__(self, x):
        self.length = len(x)
        return x * self.length


@pytest.mark.parametrize("make", [Flag, Last])
def test_what_another_form_of_arguments_changes(make):
    """Plans of what the function was before are out of date."""
    compiled, plain = tr.compile(make()), make()
    for n in LENGTHS:
        assert results(compiled, [n]) == results(plain, [n])
        assert vars(compiled.function) == vars(plain)
    assert compiled.plans


# --- fallback --------------------------------------------------------------------------------------------------------


def test_what_is_refused_for_another_reason_counts_as_without():
    """And is tried but once: what it changes itself, as it runs, is no reason to try again."""

    class Both:
        before = after = 0

        def __init__(self):
            self.runs = np.zeros((), int)

        def __call__(self, x):
            self.runs[...] += 1
            self.before += 1
            result = x if np.sum(x) > 0 else -x
            self.after += 1
            return result

    compiled = tr.compile(Both(), fallback=True)
    for _ in range(5):
        compiled(np.ones(2))
    both = compiled.function
    assert (both.before, both.after, both.runs) == (5, 5, 6)


def test_a_state_in_an_attribute_runs_as_without():
    class Stateful:
        def __init__(self):
            self.h = np.zeros(1)

        def __call__(self, x):
            self.h = np.tanh(np.sum(x) + self.h)
            return self.h * 1

    with pytest.raises(CannotCompile, match="use of a Tensor that a compiled function stored"):
        tr.compile(Stateful())(np.ones(2))
    assert results(tr.compile(Stateful(), fallback=True)) == results(Stateful())


@pytest.mark.parametrize("use", [lambda y, memory: memory, np.add])
def test_what_another_compiled_function_has_stored(use):
    class Model:
        memory = np.zeros(2)

        def encode(self, x):
            self.memory = np.tanh(x)
            return 2 * x

        def decode(self, y):
            return use(y, self.memory)

    model = Model()
    tr.compile(model.encode)(np.ones(2))
    with pytest.raises(CannotCompile, match="stored while it was traced"):
        tr.compile(model.decode)(np.ones(2))


def test_it_is_tried_again_when_somebody_else_changes_something():
    class Counting(Attribute):
        counts = True

        def __call__(self, x):
            return super().__call__(x) if self.counts else 3 * x

    compiled = tr.compile(Counting(), fallback=True)
    results(compiled)
    assert not compiled.plans
    compiled.function.counts = False
    assert results(compiled, [1]) == [[3.0]]
    assert len(compiled.plans) == 1


# --- gradients of one's own ------------------------------------------------------------------------------------------


def doubled(backward):
    @tr.custom_vjp
    def f(x):
        return 2 * x

    f.defvjp(lambda x: (2 * x, None), lambda kept, g: (backward(g),))
    return f


def counting_backward():
    calls = [0]

    def backward(g):
        calls[0] += 1
        return g if calls[0] <= 2 else -g

    return backward


def drawing_backward():
    rng = np.random.default_rng(0)
    return lambda g: g * rng.normal()


@pytest.mark.parametrize(
    ("make", "text"), [(counting_backward, r"calls of backward\(\)\[0\]"), (drawing_backward, "random numbers inside")]
)
def test_gradients_of_ones_own(make, text):
    def gradients(f):
        return [tr.grad(lambda x: np.sum(f(x)))(np.ones(2)).data.tolist() for _ in range(4)]

    with pytest.raises(CannotCompile, match=text):
        gradients(tr.compile(doubled(make())))
    assert gradients(tr.compile(doubled(make()), fallback=True)) == gradients(doubled(make()))


# --- whatever it keeps -----------------------------------------------------------------------------------------------

CONDITIONS = {
    "always": lambda self, x: True,
    "longer than one": lambda self, x: len(x) > 1,
    "many calls": lambda self, x: self.count > 2,
    "switched on": lambda self, x: self.switch,
    "long list": lambda self, x: len(self.kept) > 2,
    "as long as the last": lambda self, x: self.last == len(x),
    "a value": lambda self, x: bool(np.sum(x) > 5),  # which can't be asked for
}
STATEMENTS = {
    "count": lambda self, x: setattr(self, "count", self.count + 1),
    "start again": lambda self, x: setattr(self, "count", 0),
    "toggle": lambda self, x: setattr(self, "switch", not self.switch),
    "switch on": lambda self, x: setattr(self, "switch", True),
    "keep": lambda self, x: self.kept.append(len(x)),
    "forget": lambda self, x: self.kept.clear(),
    "remember": lambda self, x: setattr(self, "last", len(x)),
    "store": lambda self, x: setattr(self, "stored", x * 2),
    "another factor": lambda self, x: setattr(self, "factor", len(x) + self.count),
}


class Random:
    """Lines, each with a condition under which it is run."""

    def __init__(self, lines):
        self.lines, self.count, self.switch, self.kept, self.last, self.factor = lines, 0, False, [], None, 1

    def __call__(self, x):
        for condition, statement in self.lines:
            if CONDITIONS[condition](self, x):
                STATEMENTS[statement](self, x)
        return x * self.factor if self.switch else -x * self.factor


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*CONDITIONS]), st.sampled_from([*STATEMENTS])), min_size=1, max_size=5),
    st.lists(st.integers(1, 3), min_size=1, max_size=12),
)
def test_whatever_a_function_keeps_it_does_what_it_does_without(lines, lengths):
    compiled, plain = tr.compile(Random(tuple(lines)), fallback=True), Random(tuple(lines))
    for n in lengths:
        assert results(compiled, [n]) == results(plain, [n])
        found, expected = ({k: v for k, v in vars(f).items() if k != "stored"} for f in (compiled.function, plain))
        assert found == expected
