"""Batches of examples and of streams: what is in them, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import Batches, StreamBatches, train_validation_split, unpad


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Sequences that say which example they are at every step."""
    return [np.full(length, number) for number, length in enumerate(lengths)]


# ---------------------------------------------------------------------- examples
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=20),
    batch_size=st.none() | st.integers(1, 8),
    seed=st.none() | st.integers(0, 5),
    bucketed=st.booleans(),
)
def test_every_epoch_hands_out_every_example_once(
    lengths: list[int], batch_size: int | None, seed: int | None, bucketed: bool
) -> None:
    count = len(lengths)
    sequences = numbered(lengths)
    batches = Batches(sequences, np.arange(count), batch_size=batch_size, rng=seed, bucketed=bucketed)
    for epoch in range(2):
        assert batches.epoch == epoch
        seen = []
        for batch in batches:
            assert batch.lengths is not None
            for sequence, target in zip(unpad(batch.inputs, batch.lengths), batch.targets, strict=True):
                np.testing.assert_array_equal(sequence, sequences[target])
            seen += batch.targets.tolist()
        assert sorted(seen) == list(range(count))
    assert len(batches) == -(-count // (batch_size or count))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("part", [slice(0, 2), slice(2, 5), slice(None, None, 2), slice(4, 9), slice(0)])
def test_columns_of_a_draft_are_those_of_the_batch(part: slice, batch_first: bool) -> None:
    """Whatever the others are: as long as the longest of all, in the type of all, and also if there is nothing."""
    sequences: list[list[float]] = [[1, 2], [3, 4, 5, 6], [0.5], [], [7]]
    kinds = [
        Batches(sequences, sequences, batch_size=5, target_sequences=True, padding=9, batch_first=batch_first),
        Batches(sequences, np.arange(10).reshape(5, 2), batch_size=None, batch_first=batch_first),
        Batches(np.arange(30).reshape(5, 3, 2), np.arange(5), batch_size=5, batch_first=batch_first),
        StreamBatches(np.arange(41), batch_size=5, steps=4, batch_first=batch_first),
    ]
    for batches in kinds:
        (draft, *_), (inputs, targets) = batches.drafts(), batches.batch_axes
        whole, columns, counted = draft.columns(), draft.columns(part), draft.counted(part)
        for a, b, axis in (
            (columns.inputs, whole.inputs, inputs),
            (columns.targets, whole.targets, targets),
            (columns.lengths, whole.lengths, 0),
            (columns.target_lengths, whole.target_lengths, 0),
            (counted.lengths, whole.lengths, 0),
            (counted.target_lengths, whole.target_lengths, 0),
        ):
            if b is not None:
                expected = b[(slice(None),) * axis + (part,)]
                assert a is not None and a.dtype == b.dtype
                np.testing.assert_array_equal(a, expected, strict=True)
            else:
                assert a is None


def test_batch_mini_batch_and_stochastic_descent() -> None:
    sequences, targets = numbered([1] * 10), np.arange(10)

    def sizes(batch_size: int | None) -> list[int]:
        return [len(batch.targets) for batch in Batches(sequences, targets, batch_size=batch_size)]

    assert sizes(None) == [10]
    assert sizes(4) == [4, 4, 2]
    assert sizes(1) == [1] * 10
    assert sizes(99) == [10]


def test_without_a_generator_the_order_stays() -> None:
    batches = Batches(numbered([2] * 5), np.arange(5), batch_size=2)
    for _ in range(2):
        assert [batch.targets.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


def test_a_seed_gives_the_same_orders_and_every_epoch_another() -> None:
    def epochs(rng: np.random.Generator | int) -> list[list[int]]:
        batches = Batches(numbered([1] * 30), np.arange(30), batch_size=None, rng=rng)
        return [batch.targets.tolist() for _ in range(3) for batch in batches]

    first = epochs(7)
    assert first == epochs(7) == epochs(np.random.default_rng(7))
    assert first != epochs(8)
    assert len({tuple(order) for order in first}) == len(first)


def test_the_last_batch_can_be_left_out() -> None:
    batches = Batches(numbered([1] * 5), np.arange(5), batch_size=2, drop_last=True)
    assert len(batches) == 2
    assert [batch.targets.tolist() for batch in batches] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match=r"5 examples are fewer than one batch of 6.*batch_size=5"):
        Batches(numbered([1] * 5), np.arange(5), batch_size=6, drop_last=True)


def test_buckets_leave_little_to_pad() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 100, size=3000).tolist()

    def wasted(bucketed: bool) -> float:
        batches = Batches(numbered(lengths), np.arange(3000), batch_size=10, rng=1, bucketed=bucketed)
        steps = sum(batch.inputs.size for batch in batches)
        return 1 - sum(lengths) / steps

    assert wasted(False) > 0.4
    assert wasted(True) < 0.02


def test_buckets_mix_examples_and_batches_anew_in_every_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, size=2000).tolist()
    batches = Batches(numbered(lengths), np.arange(2000), batch_size=10, rng=0, bucketed=True)
    epochs = [[frozenset(batch.targets.tolist()) for batch in batches] for _ in range(2)]
    assert len(set(epochs[0]) & set(epochs[1])) < 20  # of 200
    longest = [max(lengths[i] for i in group) for group in epochs[0]]
    assert np.abs(np.diff(longest)).mean() > 200  # in sorted order it would be 10


def test_targets_of_each_kind() -> None:
    inputs = [[0, 1, 2], [3]]
    colours = Batches(inputs, [[0, 128, 0], [0, 0, 255]], batch_size=None)
    (batch,) = colours
    assert batch.targets.tolist() == [[0, 128, 0], [0, 0, 255]]
    assert batch.inputs.tolist() == [[0, 3], [1, 0], [2, 0]]
    assert batch.target_lengths is None
    assert batch.continues is False

    translated = Batches(
        inputs,
        [[5], [6, 7]],
        batch_size=None,
        target_sequences=True,
        padding=9,
        target_padding=-100,
        batch_first=True,
    )
    (batch,) = translated
    assert batch.inputs.tolist() == [[0, 1, 2], [3, 9, 9]]
    assert batch.targets.tolist() == [[5, -100], [6, 7]]
    assert batch.lengths is not None
    assert batch.target_lengths is not None
    assert (batch.lengths.tolist(), batch.target_lengths.tolist()) == ([3, 1], [1, 2])

    with pytest.raises(ValueError, match="pass target_sequences=True"):
        list(Batches(inputs, [[5], [6, 7]], batch_size=None))


def test_vectors_to_sequences() -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    sentences = [[5, 6, 7], [8], [9, 9, 9], [4]]
    options = {"input_sequences": False, "target_sequences": True}
    batch, _ = Batches(vectors, sentences, batch_size=2, target_padding=1, **options)
    assert batch.inputs.tolist() == [[0, 1], [2, 3]]
    assert batch.targets.tolist() == [[5, 8], [6, 1], [7, 1]]
    assert batch.lengths is None
    assert batch.target_lengths is not None
    assert batch.target_lengths.tolist() == [3, 1]

    bucketed = Batches(vectors, sentences, batch_size=2, bucketed=True, rng=0, **options)
    assert sorted(len(batch.targets) for batch in bucketed) == [1, 3]  # by the targets' lengths
    with pytest.raises(ValueError, match="neither inputs nor targets are sequences"):
        Batches(vectors, [0, 1, 2, 3], batch_size=2, input_sequences=False, bucketed=True)
    with pytest.raises(ValueError, match="pass input_sequences=True"):
        list(Batches(sentences, sentences, batch_size=2, **options))


def test_compact_numbers_come_out_as_int64_and_floats_as_they_are() -> None:
    inputs = np.array([[250, 1], [2, 3]], np.uint8)
    (batch,) = Batches(inputs, np.ones(2, np.float32), batch_size=None)
    assert batch.inputs.dtype == np.int64
    assert batch.targets.dtype == np.float32
    (batch,) = Batches(inputs, inputs, batch_size=2, target_sequences=True, target_padding=-1)
    assert batch.targets.dtype == np.int64
    series = np.ones((2, 5, 3), np.float32)
    (batch,) = Batches(series, inputs, batch_size=2)
    assert batch.inputs.shape == (5, 2, 3)
    assert batch.inputs.dtype == np.float32


def test_what_no_batches_can_be_made_of() -> None:
    with pytest.raises(ValueError, match="there are no examples"):
        Batches([], [], batch_size=1)
    with pytest.raises(ValueError, match="there are 2 inputs but 1 targets"):
        Batches([[1], [2]], [1], batch_size=1)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        Batches([[1]], [1], batch_size=0)


# ---------------------------------------------------------------------- streams
@given(
    count=st.integers(2, 60),
    batch_size=st.integers(1, 5),
    steps=st.integers(1, 7),
    seed=st.none() | st.integers(0, 3),
    drop_last=st.booleans(),
)
def test_streams_are_contiguous_and_targets_one_ahead(
    count: int, batch_size: int, steps: int, seed: int | None, drop_last: bool
) -> None:
    text = np.arange(count, dtype=np.uint8)  # every symbol says where in the text it stands
    if count < batch_size * steps + 1:
        with pytest.raises(ValueError, match="one batch"):
            StreamBatches(text, batch_size=batch_size, steps=steps)
        return
    stream = StreamBatches(text, batch_size=batch_size, steps=steps, rng=seed, drop_last=drop_last)
    for _ in range(2):
        batches = list(stream)
        assert len(batches) == len(stream) >= 1
        assert [batch.continues for batch in batches] == [False] + [True] * (len(batches) - 1)
        shapes = [batch.inputs.shape for batch in batches]
        assert all(shape == (steps, batch_size) for shape in shapes[:-1])
        assert 1 <= shapes[-1][0] <= steps
        if drop_last:
            assert shapes[-1][0] == steps
        inputs = np.concatenate([batch.inputs for batch in batches])
        targets = np.concatenate([batch.targets for batch in batches])
        assert inputs.dtype == targets.dtype == np.int64
        np.testing.assert_array_equal(targets, inputs + 1)
        np.testing.assert_array_equal(np.diff(inputs, axis=0), 1)
        assert len(np.unique(inputs)) == inputs.size
        if seed is None:
            assert inputs[0, 0] == 0
            if not drop_last:
                assert inputs.size > count - 1 - batch_size
        else:
            assert 0 <= inputs[0, 0] < steps


def test_a_generator_lets_every_epoch_begin_elsewhere() -> None:
    stream = StreamBatches(np.arange(1000), batch_size=2, steps=10, rng=0)
    starts = {int(batch.inputs[0, 0]) for _ in range(100) for batch in stream if not batch.continues}
    assert starts == set(range(10))


def test_a_text_of_exactly_one_batch() -> None:
    for rng in (None, 3):
        (batch,) = StreamBatches(np.arange(7), batch_size=2, steps=3, rng=rng)
        assert batch.inputs.T.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert batch.targets.T.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_batch_first_streams() -> None:
    (batch,) = StreamBatches(np.arange(7), batch_size=2, steps=3, batch_first=True)
    assert batch.inputs.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert batch.targets.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("count", "cures"),
    [
        (100, r"Take fewer steps .*at most 3\), or fewer streams \(batch_size, at most 1\), or a longer text"),
        (50, r"Take fewer steps per batch \(at most 1\), or a longer text"),
        (32, "Take a longer text"),
        (0, "Take a longer text"),
    ],
)
def test_a_text_shorter_than_one_batch_says_what_would_do(count: int, cures: str) -> None:
    with pytest.raises(ValueError, match=f"has {count} symbols, .* 32 .* 50 .* 1,601.*{cures}"):
        StreamBatches(np.zeros(count, int), batch_size=32, steps=50)
    if "at most 3" in cures:
        StreamBatches(np.zeros(count, int), batch_size=32, steps=3)
        StreamBatches(np.zeros(count, int), batch_size=1, steps=50)


def test_what_is_no_stream() -> None:
    with pytest.raises(ValueError, match=r"one sequence \(N,\), not of shape \(5, 2\)"):
        StreamBatches(np.zeros((5, 2), int), batch_size=1, steps=1)
    with pytest.raises(TypeError, match="turns text into numbers"):
        StreamBatches(np.array(list("text")), batch_size=1, steps=1)
    with pytest.raises(TypeError, match=r"steps must be a whole number, not 1\.5"):
        StreamBatches(np.zeros(5, int), batch_size=1, steps=1.5)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- train and validation
@given(count=st.integers(2, 50), fraction=st.floats(0.05, 0.95), seed=st.none() | st.integers(0, 3))
def test_a_split_loses_and_repeats_nothing(count: int, fraction: float, seed: int | None) -> None:
    inputs, targets = np.arange(count), [str(n) for n in range(count)]
    if not 0 < round(count * fraction) < count:
        with pytest.raises(ValueError, match="leaves at least one for each"):
            train_validation_split(inputs, validation=fraction)
        return
    train, validation, train_targets, validation_targets = train_validation_split(
        inputs, targets, validation=fraction, rng=seed
    )
    assert len(validation) == round(count * fraction)
    assert sorted([*train, *validation]) == list(range(count))
    assert [str(n) for n in train] == train_targets
    assert [str(n) for n in validation] == validation_targets
    if seed is None:
        assert np.shares_memory(train, inputs)  # a mapped text stays mapped
        np.testing.assert_array_equal(np.concatenate([train, validation]), inputs)


def test_a_split_at_random_depends_on_the_seed_alone() -> None:
    first, again, other = (train_validation_split(np.arange(99), rng=seed)[1] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    assert first.tolist() != list(range(89, 99))


def test_what_cannot_be_split() -> None:
    with pytest.raises(ValueError, match=r"one and the same length, not \[2, 3\]"):
        train_validation_split([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="one and the same length"):
        train_validation_split()
    for fraction in (0, 1, -0.5, 7, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="is not a fraction; pass a number between 0 and 1"):
            train_validation_split([1, 2, 3], validation=fraction)
