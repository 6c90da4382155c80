"""Arrays that are used again and again begin where a line of the cache does."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.memory import CACHE_LINE, aligned, own_copy
from tinygrad_rnn.compiler.numpy_code.generated import Buffer


def begins_with_a_line(array: np.ndarray) -> bool:
    return array.ctypes.data % CACHE_LINE == 0


@pytest.mark.parametrize("dtype", [bool, np.int16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (5, 0, 2), (7, 11, 13)])
def test_an_aligned_array_is_like_any_other(shape: tuple[int, ...], dtype: type) -> None:
    array = aligned(shape, dtype)
    assert begins_with_a_line(array) and array.shape == shape and array.dtype == dtype
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    array[...] = 1
    for twin in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array)):
        np.testing.assert_array_equal(twin, np.ones(shape, dtype), strict=True)


def test_a_copy_is_a_copy() -> None:
    for given in (np.arange(600.0), np.arange(600.0).reshape(20, 30).T, np.arange(1200.0)[::2], [1, 2], 3.5):
        array = own_copy(given, np.float32)
        np.testing.assert_array_equal(array, np.array(given, np.float32), strict=True)
        assert not np.shares_memory(array, np.asarray(given))
        assert array.strides == np.array(given, np.float32).strides


def test_parameters_begin_with_a_line_before_and_after_training() -> None:
    model = tr.nn.Linear(40, 40, seed=0)
    assert begins_with_a_line(model.W.numpy())
    batches = [(np.ones((2, 40), np.float32), np.zeros((2, 40), np.float32))]
    tr.fit(model, batches, loss=lambda y, target: np.mean(np.square(y - target)), epochs=2)
    assert begins_with_a_line(model.W.numpy())
    model.W.data = model.W.numpy() + 1
    assert begins_with_a_line(model.W.numpy())


def test_the_arrays_of_a_plan_begin_with_a_line() -> None:
    arrays = [Buffer((n, 5), np.float32).allocated() for n in range(1, 40)]
    assert all(map(begins_with_a_line, arrays))
    assert all(array.shape == (n, 5) for n, array in enumerate(arrays, start=1))
