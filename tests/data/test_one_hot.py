"""One-hot rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_rnn.data import one_hot


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=3), elements=st.integers(0, 4)))
def test_one_hot_rows_are_rows_of_the_identity(indices: np.ndarray) -> None:
    rows = one_hot(indices, 5)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.eye(5)[indices])


def test_one_hot_of_compact_and_of_no_indices() -> None:
    assert one_hot(np.array([255, 0], np.uint8), 256, dtype=np.float64)[0, 255] == 1
    assert one_hot([], 3).shape == (0, 3)
    assert one_hot(np.empty((4, 0), int), 3).shape == (4, 0, 3)


def test_one_hot_says_which_index_is_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"index 3 at \(1, 0\) is outside 0 to 2"):
        one_hot([[0, 1], [3, 2]], 3)
    with pytest.raises(ValueError, match=r"index -1 at \(\) is outside"):
        one_hot(-1, 3)
    with pytest.raises(TypeError, match="whole numbers as indices, not float64"):
        one_hot([0.0], 3)
    with pytest.raises(ValueError, match="size must be at least 1"):
        one_hot([0], 0)
    with pytest.raises(TypeError, match=r"size must be a whole number, not 2\.0"):
        one_hot([0], 2.0)  # type: ignore[arg-type]
