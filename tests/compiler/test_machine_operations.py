"""What cells use beside elementwise functions and products of matrices stays in machine code, and is right there.

All of it is run as Python (by ``test_all_of_it_without_jit``, too); to compile all takes minutes, so only some is here.
"""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import assert_compiled_agrees

numba = pytest.importorskip("numba")
COMPILED = {"dot of vectors", "einsum", "max", "softmax", "log_softmax", "whole numbers", "running sum", "update"}

T, B, d = 4, 2, 3
RNG = np.random.default_rng(0)
W, V, K = (tr.tensor(RNG.normal(size=shape), requires_grad=True) for shape in ((d, d), (d,), (B, d, d)))
XS, START = RNG.normal(size=(T, B, d)), RNG.normal(size=(B, d))
ROW = XS[:, 0]


def spread(h):
    return np.tanh(h + np.arange(d))  # so that no two elements are alike


# (a step, its inputs, its first state)
CELLS = {
    "dot of vectors": (lambda x, h: np.tanh(h * (V @ h) + x), ROW, START[0]),
    "outer product": (lambda x, h: np.tanh(np.outer(h, h) @ V + x), ROW, START[0]),
    "stacked product": (lambda x, h: np.tanh(np.matmul(h[:, None], K)[:, 0] + x), XS, START),
    "vector by stack": (lambda x, h: np.tanh((h[0] @ K) + x), XS, START),
    "einsum": (lambda x, h: np.tanh(np.einsum("bi,bij->bj", h, K) + x), XS, START),
    "einsum, implicit": (lambda x, h: np.tanh(np.einsum("bi,ij", h, W) + x), XS, START),
    "einsum, diagonal": (lambda x, h: np.tanh(np.einsum("bi,ii->bi", h, W) + x), XS, START),
    "max": (lambda x, h: np.max(spread(h)[:, :, None] + W, axis=1) + x, XS, START),
    "min": (lambda x, h: h - np.min(spread(h) * x, axis=-1, keepdims=True), XS, START),
    "max of all": (lambda x, h: h / (1 + np.max(np.abs(h + x))) + x, XS, START),
    "max of equals": (lambda x, h: x * np.max(np.floor(np.tanh(h)), axis=0) + h, XS, START),
    "any": (lambda x, h: np.where(np.any(h > 0.5, axis=-1, keepdims=True), h * x, x - h), XS, START),
    "all": (lambda x, h: np.where(np.all(h + x > -1, axis=0), h * x, x - h), XS, START),
    "softmax": (lambda x, h: tr.softmax(h @ W + x), XS, START),
    "softmax, first axis": (lambda x, h: tr.softmax(h * x, axis=0), XS, START),
    "softmax, all axes": (lambda x, h: tr.softmax(h * x, axis=None), XS, START),
    "log_softmax": (lambda x, h: tr.log_softmax(h @ W + x), XS, START),
    "logsumexp": (lambda x, h: tr.logsumexp(h[:, :, None] + W, axis=1) + x, XS, START),
    "logsumexp, kept": (lambda x, h: h - tr.logsumexp(h + x, axis=-1, keepdims=True), XS, START),
    "logsumexp, large": (lambda x, h: h - tr.logsumexp(h + 1e8 * x, axis=-1, keepdims=True) * 1e-8, XS, START),
    "whole-number step": (lambda t, h: np.where(t % 2 == 0, np.tanh(h @ W), h), np.arange(T), START),
    "a count": (lambda x, s: (s[0] * x, (np.tanh(s[0] * s[1] + x), s[1] + 1)), XS, (START, np.zeros((), int))),
    "whole numbers": (
        lambda t, h: np.tanh(h * (t // 2 - t % 3) + np.maximum(t, 2) / 2 + (t * t > 3) + np.abs(-t)),
        np.arange(T),
        START,
    ),
    "running sum": (lambda x, h: np.tanh(np.cumsum(h, axis=-1) @ W + np.cumsum(x, axis=0)), XS, START),
    "reversed": (lambda x, h: np.tanh(h[:, ::-1] + x[::-1]), XS, START),
    "some columns": (lambda x, h: np.tanh(h[:, 1:2] * h[:, ::2].sum(-1, keepdims=True) + x), XS, START),
    "stack": (lambda x, h: np.tanh(np.stack([h, x, h * x], axis=1).sum(1)), XS, START),
    "update": (lambda x, h: tr.index_update(h * x, (slice(None), 0), np.tanh(x[:, 1])), XS, START),
    "update by a number": (lambda x, h: tr.index_update(h * x, (0, 1), 0.5), XS, START),
    "update by a row": (lambda x, h: tr.index_update(h, slice(0, 1), x[:1] * h[1:]), XS, START),
    "addition": (lambda x, h: tr.index_add(h * 0.5, (slice(None), slice(1, None)), x[:, :-1]), XS, START),
    "axes in another order": (
        lambda x, h: np.tanh(np.moveaxis(h[:, :, None] * W, 0, 2).sum(1).T + x), XS, START,
    ),
    "axes exchanged": (lambda x, h: np.tanh(np.swapaxes(h[:, :, None] * W, 1, 2).sum(1) + x), XS, START),
    "single precision inside": (lambda x, h: h + (x * h).astype(np.float32).astype(np.float64), XS, START),
    "norm": (lambda x, h: h / np.linalg.norm(h + x, axis=-1, keepdims=True), XS, START),
    "variance": (lambda x, h: np.tanh((h - h.mean(-1, keepdims=True)) / np.sqrt(np.var(h + x) + 1e-5)), XS, START),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS if numba.config.DISABLE_JIT else sorted(COMPILED))
def test_a_step_with_it(name):
    cell, xs, state = CELLS[name]
    tolerance = 1e-6 if "single" in name else 1e-11
    compiled = assert_compiled_agrees(cell, xs, state, [W, V, K], executor="numba", tolerance=tolerance)
    for plan in compiled.plans:
        assert "by NumPy" not in str(plan)


def sorted_lstm(x, state):
    h, c = state
    c = tr.sigmoid(x + h) * c + np.tanh(h @ W) * 0.2
    return np.tanh(c) * tr.sigmoid(np.sort(h, axis=-1)), (np.tanh(c) * tr.sigmoid(h), c)


# Steps with an operation that has no machine code, amid others that have.
LEFT = {
    "cumprod": (lambda x, h: np.tanh(x + np.cumprod(h @ W, axis=-1)) * np.exp(-x * x) * 0.5, START),
    "argsort": (lambda x, h: np.tanh(x * 0.5 + np.sort(h @ W, axis=-1) * 2 - 1) * 0.9, START),
    "getitem": (lambda x, h: np.tanh(np.take(h, [2, 0, 1], axis=-1) * x + 0.1) * 0.3 + h, START),
    "linalg.inv": (lambda x, h: np.tanh(x + h @ np.linalg.inv(W + 3 * np.eye(d) + h.T @ h)) * 1.5 + 0.1, START),
    "sort of several states": (sorted_lstm, (START, 0.5 * START)),
}


@pytest.mark.parametrize("name", LEFT if numba.config.DISABLE_JIT else ["argsort"])
def test_a_step_with_it_alone_calls_numpy(name, monkeypatch):
    """The other operations of the step stay in machine code, and so do all loops that don't have it."""
    cell, state = LEFT[name]
    compiled = assert_compiled_agrees(cell, XS, state, [W], executor="numba", tolerance=1e-11)
    (executable,) = compiled.plans[0]._executables.values()
    assert "a loop calls NumPy at each step, because there is no machine code for " in str(compiled.plans[0])
    for function in (executable.code.forward, executable.code.backward):
        if "for " in function.source:
            assert "loop_" in function.source.partition("for ")[2]
