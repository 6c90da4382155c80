"""What cells use beside elementwise functions and products of matrices stays in machine code, and is right there.

All of it is run as Python (by ``test_all_of_it_without_jit``, too); to compile all takes minutes, so only some is here.
"""

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import AS_PYTHON, assert_compiled_agrees

pytest.importorskip("llvmlite")
COMPILED = {
    "dot of vectors", "einsum", "max", "softmax", "log_softmax", "whole numbers", "running sum", "update",
    "narrow types", "places of the largest", "rows of a table", "own derivative", "update at a step",
}  # fmt: skip

T, B, d = 4, 2, 3
RNG = np.random.default_rng(0)
W, V, K = (tr.tensor(RNG.normal(size=shape), requires_grad=True) for shape in ((d, d), (d,), (B, d, d)))
XS, START = RNG.normal(size=(T, B, d)), RNG.normal(size=(B, d))
ROW = XS[:, 0]
PLACES, SMALL = RNG.integers(-d, d, size=(T, B, d)), RNG.integers(-100, 100, size=(T, B, d)).astype(np.int8)


@tr.custom_vjp
def spike(x):
    return (x > 0).astype(x.dtype)


spike.defvjp(lambda x: (spike(x), x), lambda x, g: (g / (1 + np.abs(x)) ** 2,))


@tr.custom_vjp
def both(x, y):
    return x * y, np.tanh(x)


both.defvjp(lambda x, y: (both(x, y), (x, y)), lambda saved, g: (2 * g[0] + g[1] * saved[1], g[0] * saved[0]))


def leaky_spikes(x, state):
    v, before = state
    v = 0.9 * v * (1 - before) + x + before @ W
    now = spike(v - 0.5)
    return now, (v, now)


def two_results(x, h):
    a, b = both(h, x)
    return a + b, np.tanh(a - b)


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
    "narrow types": (
        lambda m, h: np.tanh(h * (m > 3) + (m + m) / 50 + np.maximum(m, 2).astype(h.dtype) - (m // 7 & 3) + m % 5 / 9),
        SMALL,
        START,
    ),
    "unsigned": (lambda m, h: np.where(m - np.uint8(3) > 100, np.tanh(h), h * m), SMALL.astype(np.uint8), START),
    "conditions": (lambda m, h: np.where((m > 0) & (h > 0) | ~(m < -50), h * (m > 1), np.tanh(h)), SMALL, START),
    "a count of floats": (
        lambda x, s: (s[0], (np.tanh(s[0] + x * s[1]), s[1] + (s[0] > 0).astype(np.int32))),
        XS,
        (START, np.zeros((B, d), np.int32)),
    ),
    "whole part": (lambda x, h: np.tanh(h * np.floor(3 * x).astype(int) + x), XS, START),
    "places of the largest": (lambda x, h: (np.argmax(h, -1), np.tanh(h + x * np.argmin(h + x, 0))), XS, START),
    "place among all": (lambda x, h: np.tanh(h + x * np.argmax(spread(h))), XS, START),
    "place, kept": (lambda x, h: np.where(np.arange(d) == np.argmax(h, axis=-1, keepdims=True), h * x, x), XS, START),
    "axis by place": (lambda x, h: np.where(np.any(h > 0.5, -1, keepdims=True), h * x, x - h), XS, START),
    "count": (lambda x, h: np.tanh(h * np.count_nonzero(h > 0, axis=-1, keepdims=True) + x), XS, START),
    "rows of a table": (lambda i, h: np.tanh(W[i[:, 0]] + h), PLACES, START),
    "take along": (lambda i, h: np.tanh(np.take_along_axis(h, i, -1) + h), PLACES, START),
    "take": (lambda x, h: np.tanh(np.take(h, [2, -3, 1], axis=-1) * x + 0.1), XS, START),
    "gather": (lambda x, h: np.tanh(h[:, [0, 0, -1]] + x[[1, 0]]), XS, START),
    "gather, apart": (lambda x, h: np.tanh((h[:, None] * W)[[1, 0], :, [0, 2]] + x), XS, START),
    "pad": (lambda x, h: np.tanh(np.pad(h[:, 1:], ((0, 0), (1, 0))) + x), XS, START),
    "pad with a number": (lambda x, h: np.tanh(np.pad(h[:, 1:], ((0, 0), (0, 1)), constant_values=2) + x), XS, START),
    "pad by the edge": (lambda x, h: np.tanh(np.pad(h[:, 1:], ((0, 0), (1, 0)), mode="edge") + x), XS, START),
    "triangle": (lambda x, h: np.tanh(h @ np.tril(W + h.T @ h) + x @ np.triu(W, 1)), XS, START),
    "diagonal": (lambda x, h: np.tanh(np.diag(h) @ x), ROW, START[0]),
    "running product": (lambda x, h: np.tanh(x + np.cumprod(h @ W, axis=-1)), XS, START),
    "running sum of all": (lambda x, h: np.tanh(np.reshape(np.cumsum(h.T), (d, B)).T + x), XS, START),
    "einsum of three": (lambda x, h: np.tanh(np.einsum("bi,kij,bj->bk", h, K, x) @ W[:B]), XS, START),
    "einsum of one": (lambda x, h: np.tanh(np.einsum("bi->ib", h).T + np.einsum("bi->b", h)[:, None] + x), XS, START),
    "einsum, several axes": (
        lambda x, h: np.tanh(np.einsum("bij,bij->b", h[:, :, None] * W, K)[:, None] + x), XS, START,
    ),
    "einsum, outer": (
        lambda x, s: (np.einsum("bij,bj->bi", s, x), 0.9 * s + np.einsum("bi,bj->bij", x, np.tanh(x + s[:, 0]))),
        XS,
        RNG.normal(size=(B, d, d)),
    ),
    "rows of stacks": (lambda x, s: (s.sum(1), np.tanh(s @ W + x[:, None])), XS, RNG.normal(size=(B, 4, d))),
    "attention": (
        lambda x, h: np.tanh((tr.softmax((K @ h[:, :, None])[:, :, 0])[:, None] @ K)[:, 0] @ W + x), XS, START,
    ),
    "own derivative": (leaky_spikes, XS, (START, np.zeros((B, d)))),
    "own derivative of two": (two_results, XS, START),
    "update at a step": (
        lambda t, h: tr.index_update(h * 0.9, (slice(None), t % d), np.tanh(h[:, 0])), np.arange(T), START,
    ),
    "update at places": (
        lambda i, h: tr.index_update(h * 0.9, (np.arange(B)[:, None], i), np.tanh(h)), PLACES, START,
    ),
    "addition at places": (lambda i, h: tr.index_add(h * 0.9, (np.arange(B), i[:, 0]), h[:, 1]), PLACES, START),
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


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", CELLS if AS_PYTHON else sorted(COMPILED))
def test_a_step_with_it(name):
    cell, xs, state = CELLS[name]
    tolerance = 1e-6 if "single" in name else 1e-11
    compiled = assert_compiled_agrees(cell, xs, state, [W, V, K], executor="llvm", tolerance=tolerance)
    for plan in compiled.plans:
        assert "by NumPy" not in str(plan)


def sorted_lstm(x, state):
    h, c = state
    c = tr.sigmoid(x + h) * c + np.tanh(h @ W) * 0.2
    return np.tanh(c) * tr.sigmoid(np.sort(h, axis=-1)), (np.tanh(c) * tr.sigmoid(h), c)


# Steps with an operation that has no machine code, amid others that have.
LEFT = {
    "sinc": (lambda x, h: np.tanh(x + np.sinc(h @ W)) * np.exp(-x * x) * 0.5, START),
    "argsort": (lambda x, h: np.tanh(x * 0.5 + np.sort(h @ W, axis=-1) * 2 - 1) * 0.9, START),
    "linalg.inv": (lambda x, h: np.tanh(x + h @ np.linalg.inv(W + 3 * np.eye(d) + h.T @ h)) * 1.5 + 0.1, START),
    "sort of several states": (sorted_lstm, (START, 0.5 * START)),
}


@pytest.mark.parametrize("name", LEFT if AS_PYTHON else ["argsort"])
def test_a_step_with_it_alone_calls_numpy(name, monkeypatch):
    """The other operations of the step stay in machine code, and so do all loops that don't have it."""
    cell, state = LEFT[name]
    compiled = assert_compiled_agrees(cell, XS, state, [W], executor="llvm", tolerance=1e-11)
    (executable,) = compiled.plans[0]._executables.values()
    assert "a loop calls NumPy at each step, because there is no machine code for " in str(compiled.plans[0])
    for function in (executable.code.forward, executable.code.backward):
        if "for " in function.source:
            assert "loop_" in function.source.partition("for ")[2]


@pytest.mark.parametrize("executor", ["numpy", "llvm"])
def test_an_index_out_of_bounds_is_told(executor):
    run = tr.compile(lambda places, h: tr.unroll(lambda i, h: (h[i], np.tanh(h)), places, h)[0], executor=executor)
    assert run(np.array([0, -3]), XS[0, 0]).shape == (2,)
    with pytest.raises(IndexError, match="out of bounds"):
        run(np.array([0, 3]), XS[0, 0])
