"""Views of buffers are made once, with the buffers; what would be a copy, or depends on anything else, is not."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.compiler.numpy_code.generated import Buffer
from tinygrad_rnn.compiler.numpy_code.views import Views

BUFFERS = {"h": Buffer((5, 2, 3), np.float32), "w": Buffer((4, 6), np.float64)}


@pytest.mark.parametrize(
    "text",
    [
        "h[1:]",
        "h[-1]",
        "h[::-1]",
        "h.reshape(-1)",
        "h[:-1].reshape((8, 3))",
        "w.T",
        "ascontiguousarray(h[:-1])",
        "h[..., 1:2]",
    ],
)
def test_a_view_is_made_once_and_looks_at_its_buffer(text: str) -> None:
    views = Views(BUFFERS)
    assert views.taken_out([f"y = f({text})", f"z = {text}"]) == ["y = f(view_0)", "z = view_0"]
    view = views.found["view_0"]
    array = BUFFERS[view.buffer].allocated()
    array[...] = np.arange(array.size).reshape(array.shape)
    expected = eval(text, {"h": array, "w": array, "ascontiguousarray": np.ascontiguousarray})
    found = view.of(array)
    array += 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "text",
    [
        "ascontiguousarray(w.T)",  # a copy: it would keep what was there when it was made
        "w.T.reshape(-1)",
        "h[:, 1:].reshape(-1)",
        "x[1:]",  # an input
        "h[t]",  # another one at each step
        "h.sum()",
        "h.reshape(n, 6)",
        "g(h)[1:]",
    ],
)
def test_what_is_no_view_or_another_one_each_time_stays(text: str) -> None:
    views = Views(BUFFERS)
    (line,) = views.taken_out([f"y = {text}"])
    array = np.arange(24.0).reshape(4, 6)
    names = {"w": array, "h": np.zeros((5, 2, 3)), "x": np.zeros(3), "t": 1, "n": 5, "g": np.tanh}
    names["ascontiguousarray"] = np.ascontiguousarray
    views_now = {name: view.of(names[view.buffer]) for name, view in views.found.items()}
    array += 1
    y: dict[str, np.ndarray] = {}
    exec(line, {**names, **views_now}, y)
    np.testing.assert_array_equal(y["y"], eval(text, names))


def test_what_is_assigned_to_stays() -> None:
    views = Views(BUFFERS)
    assert views.taken_out(["h[1:] = 3", "h[0] += 1"]) == ["h[1:] = 3", "h[0] += 1"]
    assert not views.found


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_a_workspace_keeps_nothing_that_it_was_given(executor: str) -> None:
    cell = tr.compile(tr.nn.LSTMCell(3, 4), executor=executor)
    x = tr.tensor(np.ones((5, 2, 3), np.float32), requires_grad=True)
    ys, state = tr.unroll(cell, x)
    ys.sum().backward()
    given = weakref.ref(x._data)
    del ys, state, x
    gc.collect()
    assert given() is None
