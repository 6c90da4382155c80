"""A place in the data, saved and found again: what follows is the same to the bit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.any_text import any_text
from tinygrad_rnn.data import Batch, Batches, Epochs, StreamBatches

BIT_GENERATORS = [
    np.random.PCG64,
    np.random.PCG64DXSM,
    np.random.MT19937,
    np.random.Philox,
    np.random.SFC64,
]


def examples(rng: np.random.Generator | int | None, bucketed: bool = False) -> Batches:
    sequences = [np.full(1 + number % 4, number) for number in range(10)]
    return Batches(sequences, np.arange(10), batch_size=3, rng=rng, bucketed=bucketed)


def bucketed_examples(rng: np.random.Generator | int | None) -> Batches:
    return examples(rng, bucketed=True)


def stream(rng: np.random.Generator | int | None) -> StreamBatches:
    return StreamBatches(np.arange(100), batch_size=4, steps=6, rng=rng)


kinds = st.sampled_from([examples, bucketed_examples, stream])


def endless(data: Epochs) -> Iterator[Batch]:
    """Batch after batch, epoch after epoch."""
    return itertools.chain.from_iterable(itertools.repeat(data))


def assert_same(first: Batch, second: Batch) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    make=kinds,
    bit_generator=st.none() | st.sampled_from(BIT_GENERATORS),
    taken=st.integers(0, 20),
)
def test_a_resumed_run_sees_the_very_same_batches(
    make: Callable[..., Epochs], bit_generator: Callable[..., np.random.BitGenerator] | None, taken: int
) -> None:
    def rng(seed: int) -> np.random.Generator | None:
        return bit_generator and np.random.Generator(bit_generator(seed))

    uninterrupted = make(rng(3))
    going_on = endless(uninterrupted)
    for _ in range(taken):
        next(going_on)
    saved = json.dumps(uninterrupted.state_dict())

    resumed = make(rng(99))
    resumed.load_state_dict(json.loads(saved))
    assert json.dumps(resumed.state_dict()) == saved
    for found in itertools.islice(endless(resumed), 12):
        assert_same(next(going_on), found)
        assert uninterrupted.state_dict() == resumed.state_dict()


def test_a_generator_that_serves_others_too_is_not_rewound() -> None:
    """Dropout, say, may draw from the generator that shuffles: restoring must not undo that."""
    shared = np.random.default_rng(0)
    data = examples(shared)
    going_on = endless(data)
    next(going_on)
    shared.random(5)
    saved = data.state_dict()
    expected = [next(going_on).targets.tolist() for _ in range(8)], shared.random(3).tolist()

    shared = np.random.default_rng(1)
    data = examples(shared)
    data.load_state_dict(saved)
    going_on = endless(data)
    found = [next(going_on).targets.tolist() for _ in range(8)], shared.random(3).tolist()
    assert found == expected


def test_where_a_loop_was_left_the_next_one_goes_on() -> None:
    data = examples(None)
    for batch in data:
        if 4 in batch.targets:
            break
    assert (data.epoch, data.position) == (0, 2)
    assert [batch.targets.tolist() for batch in data] == [[6, 7, 8], [9]]
    assert (data.epoch, data.position) == (1, 0)
    assert len(list(data)) == 4


def test_a_state_saved_with_the_last_batch_ends_its_epoch() -> None:
    data = examples(5)
    states = [data.state_dict() for _ in data]
    resumed = examples(0)
    resumed.load_state_dict(states[-1])
    assert list(resumed) == []
    assert resumed.epoch == 1
    assert_same(next(iter(resumed)), next(iter(data)))


def begun(make: Callable[..., Epochs], rng: int | None) -> dict:
    data = make(rng)
    next(iter(data))
    return data.state_dict()


@pytest.mark.parametrize(
    ("data", "state", "message"),
    [
        (examples(1), begun(stream, 1), "saved with other data or other options"),
        (examples(1), begun(bucketed_examples, 1), "other options: saved with .*'bucketed': True"),
        (examples(1), begun(examples, None), "saved without shuffling; leave out rng="),
        (examples(None), begun(examples, 1), "saved while shuffling; pass rng="),
        (examples(1), {}, r"has the entries \['data', 'epoch'"),
        (examples(1), [1, 2], "has the entries"),
        (examples(1), begun(examples, 1) | {"position": 5}, "position 5 of 4"),
        (examples(1), begun(examples, 1) | {"position": -1}, "position must be at least 0"),
        (examples(1), begun(examples, 1) | {"position": True}, "position must be a whole number"),
        (examples(1), begun(examples, 1) | {"epoch": "first"}, "epoch must be a whole number"),
        (examples(1), begun(examples, 1) | {"seed": None}, "seed None"),
        (examples(None), begun(examples, None) | {"seed": 3}, "seed 3"),
        (examples(1), begun(examples, 1) | {"seed": -3}, "seed must be at least 0"),
        (examples(1), begun(examples, 1) | {"generator": {}}, "not a state of a generator .* PCG64"),
        (examples(1), begun(examples, 1) | {"generator": "x"}, "not a state of a generator"),
    ],
)
def test_a_state_that_does_not_belong_here_changes_nothing(data: Epochs, state: dict, message: str) -> None:
    before = data.state_dict()
    with pytest.raises(ValueError, match=message):
        data.load_state_dict(state)
    assert data.state_dict() == before


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text(max_size=8), inner),
    max_leaves=6,
)


@given(
    bit_generator=st.sampled_from(BIT_GENERATORS),
    path=st.lists(st.integers(0, 10), min_size=1, max_size=4),
    value=hostile | st.integers(-(2**200), 2**200),
)
def test_hostile_states_are_refused_or_work(
    bit_generator: Callable[..., np.random.BitGenerator], path: list[int], value: object
) -> None:
    """Any entry, however deep in the generator's state, may have been replaced by anything."""
    state = begun(lambda rng: examples(np.random.Generator(bit_generator(rng))), 1)
    state = json.loads(json.dumps(state))
    holder, key = {"state": state}, "state"
    for step in path:
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner:
            break
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        holder, key = inner, keys[step % len(keys)]
    holder[key] = value

    data = examples(np.random.Generator(bit_generator(2)))
    before = data.state_dict()
    try:
        data.load_state_dict(state)
    except ValueError:
        assert data.state_dict() == before
    else:
        assert len(list(itertools.islice(endless(data), 8))) == 8


@pytest.mark.parametrize("position", [-1, 625, 10**9, 2.5, None, "x"])
def test_a_place_outside_of_mersenne_twisters_key_is_refused(position: object) -> None:
    """NumPy would read there, beyond its buffer."""
    state = begun(lambda rng: examples(np.random.Generator(np.random.MT19937(rng))), 1)
    state["generator"]["state"]["pos"] = position
    with pytest.raises(ValueError, match="pos is not a place in its key"):
        examples(np.random.Generator(np.random.MT19937(0))).load_state_dict(state)


@pytest.mark.parametrize("position", [-1, 5, 10**9])
def test_a_place_outside_of_philox_buffer_is_refused(position: int) -> None:
    state = begun(lambda rng: examples(np.random.Generator(np.random.Philox(rng))), 1)
    state["generator"]["buffer_pos"] = position
    with pytest.raises(ValueError, match="buffer_pos is not a place in its buffer"):
        examples(np.random.Generator(np.random.Philox(0))).load_state_dict(state)


def test_a_state_that_breaks_off_leaves_the_generator_as_it_was() -> None:
    """NumPy would copy half of this key before it noticed."""
    state = begun(lambda rng: examples(np.random.Generator(np.random.MT19937(rng))), 1)
    state["generator"]["state"]["key"] = state["generator"]["state"]["key"][:300]
    data = examples(np.random.Generator(np.random.MT19937(0)))
    before = data.state_dict()
    with pytest.raises(ValueError, match="not a state of a generator of the kind MT19937"):
        data.load_state_dict(state)
    assert data.state_dict() == before
