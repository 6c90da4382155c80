"""Padding, and taking the sequences out again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_rnn.data import pad, unpad

batches = hnp.array_shapes(min_dims=0, max_dims=2, max_side=3).flatmap(
    lambda trailing: st.lists(
        st.integers(0, 4).flatmap(
            lambda length: hnp.arrays(np.float64, (length, *trailing), elements=st.floats(-9, 9))
        ),
        min_size=1,
        max_size=5,
    )
)


@given(sequences=batches, batch_first=st.booleans(), more=st.integers(0, 3))
def test_what_is_padded_comes_out_again(sequences: list[np.ndarray], batch_first: bool, more: int) -> None:
    steps = max(map(len, sequences)) + more
    padded, lengths = pad(sequences, value=np.nan, length=steps, batch_first=batch_first)
    batch = (len(sequences), steps) if batch_first else (steps, len(sequences))
    assert padded.shape == (*batch, *sequences[0].shape[1:])
    assert lengths.tolist() == [len(sequence) for sequence in sequences]
    assert np.isnan(padded).sum() == padded.size - sum(s.size for s in sequences)
    unpadded = unpad(padded, lengths, batch_first=batch_first)
    for before, after in zip(sequences, unpadded, strict=True):
        np.testing.assert_array_equal(before, after)


def test_padding_stands_at_the_end_and_time_comes_first() -> None:
    padded, lengths = pad([[1, 2, 3], [4]], value=-100)
    np.testing.assert_array_equal(padded, [[1, 4], [2, -100], [3, -100]])
    np.testing.assert_array_equal(lengths, [3, 1])
    assert padded.dtype == lengths.dtype == np.int64


def test_dtypes() -> None:
    assert pad([[1, 2], []])[0].dtype == np.int64  # an empty list is no float
    assert pad([[1, 2], [0.5]])[0].dtype == np.float64
    assert pad([np.ones(2, np.float32)])[0].dtype == np.float32
    assert pad([[0.1]], dtype=np.float32)[0].dtype == np.float32
    assert pad([np.array([7], np.uint8), [1]], dtype=np.uint8)[0].dtype == np.uint8
    assert pad([[True], []])[0].dtype == np.bool_


def test_an_empty_list_takes_the_shape_of_the_others() -> None:
    padded, lengths = pad([[], [[1.0, 2.0]], np.empty((0, 2))])
    assert padded.shape == (1, 3, 2)
    assert lengths.tolist() == [0, 1, 0]
    assert pad([[], []])[0].shape == (0, 2)


def test_no_number_changes_without_a_word() -> None:
    compact = np.array([1, 2], np.uint8)
    with pytest.raises(ValueError, match=r"uint8 can't hold the padding value -100 of int64; pass"):
        pad([compact], value=-100)
    assert pad([compact], value=-100, dtype=np.int64, length=3)[0].tolist() == [[1], [2], [-100]]
    with pytest.raises(ValueError, match="can't hold the padding value nan"):
        pad([[1]], value=np.nan)
    with pytest.raises(ValueError, match="uint8 can't hold sequence 1 of int64"):
        pad([[1], [300]], dtype=np.uint8)
    with pytest.raises(ValueError, match="int64 can't hold sequence 0 of float64"):
        pad([[0.5]], dtype=np.int64)
    with pytest.raises(ValueError, match="float64 can't hold sequence 0 of complex128"):
        pad([[1j]], dtype=np.float64)


def test_what_cannot_be_padded() -> None:
    with pytest.raises(ValueError, match="there are no sequences"):
        pad([])
    with pytest.raises(ValueError, match="sequence 1 is a single number"):
        pad([[1], 2])
    with pytest.raises(ValueError, match=r"sequence 1 has steps of shape \(3,\), .* \(2,\)"):
        pad([np.ones((4, 2)), np.ones((4, 3))])
    with pytest.raises(ValueError, match="sequence 1 has 3 steps, more than length=2; cut it"):
        pad([[1], [1, 2, 3]], length=2)
    with pytest.raises(TypeError, match=r"encode\(\) turns text into numbers"):
        pad([["a", "b"]])


def test_lengths_that_do_not_fit() -> None:
    padded = np.zeros((3, 2))
    with pytest.raises(ValueError, match="lengths must be 2 whole numbers, not int64"):
        unpad(padded, [1, 2, 3])
    with pytest.raises(ValueError, match="not float64"):
        unpad(padded, [1.0, 2.0])
    for wrong in (4, -1):
        with pytest.raises(ValueError, match="lengths must be from 0 to 3"):
            unpad(padded, [1, wrong])
