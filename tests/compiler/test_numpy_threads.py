"""The NumPy executor and BLAS's threads: small products run on one, large ones on threads of our own."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_compiled_agrees
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import thresholds
from tinygrad_rnn.compiler.runtime import blas, threads

pytestmark = pytest.mark.only_for("numpy", reason="it counts the threads of NumPy's BLAS")

n, d, B, T = 3, 4, 9, 5


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """BLAS as if it had three threads; how many it was told to use, in turn."""
    told = [3]
    monkeypatch.setattr(blas, "_thread_functions", lambda: (lambda: told[-1], told.append))
    yield told
    assert told[-1] == 3


def sources(compiled: tr.compiler.Compiled) -> list[str]:
    (executable,) = compiled.plans[0]._executables.values()
    return [function.source for function in (executable.code.forward, executable.code.backward) if function is not None]


def agrees() -> tr.compiler.Compiled:
    cell = nn.LSTMCell(n, d, dtype=np.float64)
    xs = np.random.default_rng(0).normal(size=(T, B, n))
    return assert_compiled_agrees(cell, xs, cell.initial_state(xs[0]), list(cell.parameters()))


def test_small_products_run_on_one_thread_in_a_loop_and_outside(three_threads: list[int]) -> None:
    for source in sources(agrees()):
        body = source.splitlines()[1:-1]
        assert body[0].startswith("    with threads_") and all(line.startswith("        ") for line in body[1:])
        assert "shared_" not in source
    assert three_threads[1:5] == [1, 3, 1, 3]


def test_where_a_loop_has_large_products_all_is_left_to_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "BLAS_THREADS_INSIDE", B * d * 4 * d - 1)
    for source in sources(agrees()):
        assert "\n    for " in source and "threads_" not in source and "shared_" not in source


def test_large_products_outside_are_shared(monkeypatch: pytest.MonkeyPatch, three_threads: list[int]) -> None:
    monkeypatch.setattr(thresholds, "SHARED_ELEMENT", 0)
    rows: list[tuple[int, int]] = []
    cuts_of = threads.cuts_of
    monkeypatch.setattr(blas, "cuts_of", lambda rows_, count: (rows.append((count, rows_)), cuts_of(rows_, count))[1])
    forward, backward = sources(agrees())
    assert forward.count("shared_") == 1 and backward.count("shared_") == 3
    assert (3, T * B) in rows and (1, n) in rows and (1, d) in rows  # which have no second tile of rows


@pytest.mark.parametrize("count", [1, 2, 3, 40])
@pytest.mark.parametrize("rows", [0, 1, 4, 5, 33])
def test_a_product_in_parts_is_the_whole_product(count: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "_thread_functions", lambda: (lambda: count, lambda n: None))
    monkeypatch.setattr(thresholds, "SHARED_ELEMENT", -1)
    a, b = np.random.default_rng(1).normal(size=(6, rows)).T, np.random.default_rng(2).normal(size=(6, 7))
    out = np.full((rows, 7), np.nan)
    blas.matmul(a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("row", [0, 29])
def test_an_overflow_is_an_error_on_every_thread_if_it_is_to_be_one(row: int, three_threads: list[int]) -> None:
    a = np.ones((30, 4))
    a[row] = 1e300
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        blas.matmul(a, np.full((4, 3), 1e300), np.empty((30, 3)))


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_waits_for_the_other_threads(failing: int) -> None:
    done = []

    def program(first: int, last: int) -> None:
        if bool(first) == failing:
            raise ValueError("failed")
        time.sleep(0.05)
        done.append(first)

    with pytest.raises(ValueError, match="failed"):
        threads.in_parts(2, program, 30)
    assert len(done) == 1


def test_products_and_sums_together_are_those_alone(three_threads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "SHARED_ELEMENT", -1)
    rng = np.random.default_rng(3)
    x, h, delta = rng.normal(size=(20, 5)), rng.normal(size=(20, 17)), rng.normal(size=(4, 5, 33))
    rows = delta.reshape(20, 33)
    d_U, d_W, d_b = np.full((5, 33), np.nan), np.full((17, 33), np.nan), np.full(33, np.nan)
    blas.together([(x.T, rows, d_U), (h.T, rows, d_W)], [(delta, d_b)])
    np.testing.assert_allclose(d_U, x.T @ rows, rtol=1e-12)
    np.testing.assert_allclose(d_W, h.T @ rows, rtol=1e-12)
    np.testing.assert_array_equal(d_b, delta.sum((0, 1)))
