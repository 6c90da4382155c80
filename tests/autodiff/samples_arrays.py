"""Samples of functions that reshape, join, rearrange and index."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tests.autodiff.sampling import above_1, on, positive, real

# --- shape -----------------------------------------------------------------------------------------------------------

on(np.reshape, analytic=True)(
    (lambda x: np.reshape(x, (3, 2)), [real(2, 3)]),
    (lambda x: np.reshape(x, -1), [real(2, 3)]),
    (lambda x: np.reshape(x, (-1, 2), order="F"), [real(2, 3)]),
    (lambda x: x.reshape(3, -1), [real(2, 3)]),
)
on(np.ravel, analytic=True)(
    (np.ravel, [real(2, 3)]),
    (lambda x: np.ravel(x, order="F"), [real(2, 3)]),
    (lambda x: x.ravel() * x.flatten(), [real(2, 3)]),
)
on(np.transpose, analytic=True)(
    (np.transpose, [real(2, 3)]),
    (lambda x: np.transpose(x, (2, 0, 1)), [real(2, 3, 2)]),
    (lambda x: np.transpose(x, (-1, 0, 1)), [real(2, 3, 2)]),
    (lambda x: x.T @ x, [real(2, 3)]),
    (lambda x: x.transpose(1, 0), [real(2, 3)]),
)
on(np.swapaxes, analytic=True)((lambda x: np.swapaxes(x, 0, -1), [real(2, 3, 2)]))
on(np.moveaxis, analytic=True)(
    (lambda x: np.moveaxis(x, 0, -1), [real(2, 3, 4)]), (lambda x: np.moveaxis(x, (0, 1), (1, 2)), [real(2, 3, 4)])
)
on(np.squeeze, analytic=True)((np.squeeze, [real(1, 3, 1)]), (lambda x: np.squeeze(x, axis=0), [real(1, 3, 1)]))
on(np.expand_dims, analytic=True)((lambda x: np.expand_dims(x, (0, 2)), [real(2, 3)]))
on(np.atleast_1d)((np.atleast_1d, [real()]), (lambda x, y: np.atleast_1d(x, y)[1] * x, [real(), real(2)]))
on(np.atleast_2d)((np.atleast_2d, [real(3)]), (np.atleast_2d, [real()]), (np.atleast_2d, [real(1, 2)]))
on(np.atleast_3d)((np.atleast_3d, [real(3)]), (np.atleast_3d, [real()]), (np.atleast_3d, [real(2, 3)]))
on(np.broadcast_to, analytic=True)(
    (lambda x: np.broadcast_to(x, (2, 4, 3)), [real(1, 3)]), (lambda x: np.broadcast_to(x, (2, 3)), [real()])
)
on(np.broadcast_arrays)(
    (lambda x, y: np.broadcast_arrays(x, y)[0] * np.broadcast_arrays(x, y)[1], [real(3), real(2, 1)])
)
on(np.concatenate, analytic=True)(
    (lambda x, y: np.concatenate([x, y]), [real(2, 3), real(1, 3)]),
    (lambda x, y: np.concatenate((x, y, x), axis=-1), [real(2, 3), real(2, 1)]),
    (lambda x, y: np.concatenate([x, y], axis=None), [real(2, 3), real(4)]),
    (lambda x: np.concatenate([x, np.ones((1, 3))]), [real(2, 3)]),
)
on(np.stack, analytic=True)(
    (lambda x, y: np.stack([x, y]), [real(2, 3), real(2, 3)]),
    (lambda x, y: np.stack([x, y], axis=-1), [real(2, 3), real(2, 3)]),
)
on(np.stack)((lambda x: np.stack([x, 0.0]), [real()]))
on(np.array)(
    (lambda x, y: np.array([x, y], like=x), [real(), real(seed=1)]),
    (lambda x, y: np.array([[x, 1.0], [y, x]], dtype=np.float64, like=y), [real(), real(seed=1)]),
    (lambda x: np.array(x, like=x) * x, [real(2)]),
)
on(np.asarray)((lambda x: np.asarray([[x], [x * x]], like=x), [real(2)]))
on(np.asanyarray)((lambda x: np.asanyarray([x, x * x], like=x), [real(2)]))
on(np.ascontiguousarray)((lambda x: np.ascontiguousarray([x, x * x], like=x), [real(2)]))
on("lists")(
    (lambda x, y: np.add(x, [y, 2.0]), [real(2), real()]),
    (lambda x, y: [[x], [y]] * x, [real(), real(seed=1)]),
    (lambda x, y: np.where([True, False], (x, y), x), [real(), real(seed=1)]),
    (lambda x, y: np.dot(x, [y, y]), [real(2), real()]),
    (lambda x, y: np.kron(x, [[y, 1.0]]), [real(2), real()]),
    (lambda x, y: np.average(x, weights=[y, y * y]), [real(2), positive()]),
    (lambda x, y: tr.softmax([x, y]) * tr.logsumexp([[x], [y]]), [real(), real(seed=1)]),
    (lambda x, y: np.vstack([[x, x], y]), [real(), real(2)]),
    (lambda x, y: np.concatenate([[x, 2.0], y]), [real(), real(2)]),
    (lambda x, y: np.stack([[x, 2.0], y]), [real(), real(2)]),
)
on(np.vstack)((lambda x, y: np.vstack([x, y]), [real(3), real(2, 3)]))
on(np.hstack)(
    (lambda x, y: np.hstack([x, y]), [real(3), real(2)]), (lambda x, y: np.hstack([x, y]), [real(2, 3), real(2, 1)])
)
on(np.dstack)(
    (lambda x, y: np.dstack([x, y]), [real(2, 3), real(2, 3)]), (lambda x, y: np.dstack([x, y]), [real(3), real(3)])
)
on(np.column_stack)((lambda x, y: np.column_stack([x, y]), [real(3), real(3, 2)]))
on(np.append)(
    (lambda x, y: np.append(x, y), [real(2, 3), real(2)]),
    (lambda x, y: np.append(x, y, axis=1), [real(2, 3), real(2, 1)]),
)
on(np.block)(
    (lambda a, b, c, d: np.block([[a, b], [c, d]]), [real(2, 3), real(2, 1), real(1, 3), real(1, 1)]),
    (lambda a, b: np.block([a, b, 2.0]), [real(2), real(3)]),
    (np.block, [real(2, 2)]),
    (lambda a, b: np.block([[a], [b]]), [real(3), real(2, 3)]),
)
on(np.split)((lambda x: np.split(x, 2)[1] * np.split(x, [1, 3])[1], [real(4, 2)]))
on(np.array_split)((lambda x: np.array_split(x, 3)[0] * np.array_split(x, [-2], axis=0)[1], [real(5)]))
on(np.hsplit)((lambda x: np.hsplit(x, 2)[1], [real(2, 4)]), (lambda x: np.hsplit(x, [1])[1], [real(4)]))
on(np.vsplit)((lambda x: np.vsplit(x, 2)[0], [real(4, 2)]))
on(np.dsplit)((lambda x: np.dsplit(x, [1])[1], [real(2, 2, 3)]))
on(np.copy, analytic=True)((np.copy, [real(2, 3)]), (lambda x: x.copy() * x, [real(3)]))
on(np.full_like)(
    (lambda x, y: np.full_like(x, y) * x, [real(2, 3), real(3)]),
    (lambda x, y: np.full_like(x, y, shape=(2, 2)), [real(3), real()]),
)
on("astype")((lambda x: x.astype(np.float64) * 2, [real(3)]), (lambda x: x.astype(float).astype("f8"), [real(3)]))
if hasattr(np, "astype"):
    on(np.astype)((lambda x: np.astype(x, np.float64), [real(3)]))

on(np.meshgrid)(
    (lambda x, y: np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1], [real(3), real(2)]),
    (lambda x, y: np.meshgrid(x, y, indexing="ij", sparse=True)[0] * y, [real(3), real(2)]),
    (lambda x, y, z: sum(np.meshgrid(x, y, z, copy=False)), [real(3), real(2), real()]),
    (lambda x: np.meshgrid(x)[0] * x, [real(3)]),
)
on(np.rollaxis)(
    (lambda x: np.rollaxis(x, 2), [real(2, 3, 2)]),
    (lambda x: np.rollaxis(x, 0, 3), [real(2, 3, 2)]),
    (lambda x: np.rollaxis(x, -1, -2) * x[..., :1, :1], [real(3, 3, 3)]),
)
on(np.real_if_close)((lambda x: np.real_if_close(x) * x, [real(3)]))
on(np.angle)((lambda x: np.angle(x) + x, [real(3)]), (lambda x: np.angle(x, deg=True) + x, [real()]))
on(np.real)((np.real, [real(2, 3)]), (lambda x: x.real * x, [real(3)]))
on(np.imag)((lambda x: np.imag(x) + x, [real(2, 3)]), (lambda x: np.imag(x), [real(2)]), (lambda x: x.imag, [real()]))
on(np.conjugate)((np.conj, [real(2, 3)]), (lambda x: x.conj() * x.conjugate(), [real(3)]))
if hasattr(np, "unstack"):
    on(np.unstack)(
        (lambda x: np.unstack(x)[1], [real(2, 3)]),
        (lambda x: np.unstack(x, axis=-1)[0] * np.unstack(x, axis=1)[2], [real(2, 3)]),
    )
if hasattr(np, "matrix_transpose"):
    on(np.matrix_transpose)((np.matrix_transpose, [real(2, 3, 4)]), (lambda x: x.mT @ x, [real(2, 3, 2)]))

# --- rearranging -----------------------------------------------------------------------------------------------------

on(np.tile)(
    (lambda x: np.tile(x, 2), [real(2, 3)]),
    (lambda x: np.tile(x, (2, 1, 3)), [real(2, 2)]),
    (lambda x: np.tile(x, (2,)), [real()]),
)
on(np.repeat)(
    (lambda x: np.repeat(x, 2), [real(2, 3)]),
    (lambda x: np.repeat(x, 3, axis=0), [real(2, 3)]),
    (lambda x: np.repeat(x, [1, 0, 2], axis=1), [real(2, 3)]),
    (lambda x: x.repeat(2, axis=-1), [real(2, 2)]),
)
on(np.flip)(
    (np.flip, [real(2, 3)]), (lambda x: np.flip(x, 1), [real(2, 3)]), (lambda x: np.flip(x, (0, -1)), [real(2, 3)])
)
on(np.fliplr)((np.fliplr, [real(2, 3)]))
on(np.flipud)((np.flipud, [real(2, 3)]))
on(np.roll)(
    (lambda x: np.roll(x, 2), [real(2, 3)]),
    (lambda x: np.roll(x, -1, axis=0), [real(3, 2)]),
    (lambda x: np.roll(x, (1, 5), axis=(0, 1)), [real(2, 3)]),
)
for _k in (-1, 0, 1, 2, 3):
    on(np.rot90)(
        (lambda x, k=_k: np.rot90(x, k), [real(2, 3)]), (lambda x, k=_k: np.rot90(x, k, (2, 1)), [real(2, 2, 3)])
    )
on(np.lib.stride_tricks.sliding_window_view)(
    (lambda x: np.lib.stride_tricks.sliding_window_view(x, 3), [real(5)]),
    (lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)), [real(3, 4)]),
    (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, axis=1), [real(2, 4, 2)]),
    (lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(-1, 0)), [real(3, 2, 3)]),
    (lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 1)), [real(2, 5)]),
)
on(np.pad)(
    (lambda x: np.pad(x, 1), [real(2, 3)]),
    (lambda x: np.pad(x, ((1, 0), (0, 2))), [real(2, 3)]),
    (lambda x: np.pad(x, (1, 2), constant_values=3.0), [real(3)]),
    *(
        (lambda x, m=m: np.pad(x, ((2, 1), (0, 2)), mode=m), [real(3, 4)])
        for m in ("edge", "reflect", "symmetric", "wrap")
    ),
)
on(np.diag)((np.diag, [real(3)]), (lambda x: np.diag(x, -1), [real(2)]), (lambda x: np.diag(x, 1), [real(3, 4)]))
on(np.diagflat)((np.diagflat, [real(2, 2)]))
on(np.diagonal)((np.diagonal, [real(3, 4)]), (lambda x: np.diagonal(x, -1, 2, 0), [real(3, 2, 4)]))
on(np.tril)((np.tril, [real(3, 3)]), (lambda x: np.tril(x, 1), [real(2, 3, 3)]), (lambda x: np.tril(x, -1), [real(3)]))
on(np.triu)((np.triu, [real(3, 3)]), (lambda x: np.triu(x, k=-1), [real(2, 3, 3)]))
on(np.sort)(
    (np.sort, [real(2, 4)]),
    (lambda x: np.sort(x, axis=0), [real(4, 2)]),
    (lambda x: np.sort(x, axis=None), [real(2, 3)]),
)

# --- indexing --------------------------------------------------------------------------------------------------------

_columns = np.array([[0, 2], [1, 1]])
INDICES: list[Any] = [
    0,
    -1,
    slice(None, None, 2),
    slice(None, None, -1),
    (slice(1, None), 0),
    (..., 1),
    (None, 1),
    (0, ..., None),
    np.array([0, 0, 1]),
    [1, 0, 1],
    _columns % 2,
    (np.array([0, 1]), np.array([2, 2])),
    (slice(None), _columns),
    (np.array([[0], [1]]), slice(None), np.array([1, 0, 1])),
    (np.array([1, 1]), slice(None), 0),
    np.array([True, False]),
    np.array([[True, False, True], [False, False, True]]),
    (0, np.array([True, False, True])),
    (),
]
on("getitem", analytic=True)(*((lambda x, i=i: x[i], [real(2, 3, 2)]) for i in INDICES))
on("getitem", analytic=True)((lambda x: x[0] * x[1] + x[np.array([0, 0])].sum(), [real(2, 3)]))
on(np.take)(
    (lambda x: np.take(x, [0, 5, 5]), [real(2, 3)]),
    (lambda x: np.take(x, _columns, axis=1), [real(2, 3)]),
    (lambda x: np.take(x, [-1, 4], axis=0, mode="wrap"), [real(3, 2)]),
    (lambda x: np.take(x, [-1, 4], axis=0, mode="clip"), [real(3, 2)]),
    (lambda x: x.take(1, axis=1), [real(2, 3)]),
)
on(np.take_along_axis)(
    (lambda x: np.take_along_axis(x, _columns, axis=1), [real(2, 3)]),
    (lambda x: np.take_along_axis(x, np.array([4, 0, 4]), axis=None), [real(2, 3)]),
    (lambda x: np.take_along_axis(x, np.array([[1, 0, 1]]), axis=0), [real(2, 3)]),
)
on(np.compress)(
    (lambda x: np.compress([True, False, True], x), [real(2, 3)]),
    (lambda x: np.compress([False, True], x, axis=1), [real(2, 3)]),
)
on(np.extract)((lambda x: np.extract([[True, False, True], [False, True, False]], x), [real(2, 3)]))
on(np.delete)(
    (lambda x: np.delete(x, 1), [real(2, 3)]),
    (lambda x: np.delete(x, [0, -1], axis=1), [real(2, 3)]),
    (lambda x: np.delete(x, slice(None, None, 2), axis=0), [real(3, 2)]),
)


_piece = np.broadcast_to(0, (2, 3, 2))
on(tr.index_update)(
    *((lambda x, v, i=i: tr.index_update(x, i, v), [real(2, 3, 2), real(*_piece[i].shape, seed=1)]) for i in INDICES),
    (lambda x, v: tr.index_update(x, (slice(None), 1), v), [real(2, 3), real()]),
    (lambda x: tr.index_update(x * x, 0, 7.0) * x, [real(2, 3)]),
)
on(tr.index_add)(
    *((lambda x, v, i=i: tr.index_add(x, i, v), [real(2, 3, 2), real(*_piece[i].shape, seed=1)]) for i in INDICES),
    (lambda x, v: tr.index_add(x, [0, 0, 1], v), [real(2, 3), real(3, 1)]),
)

# --- grids -----------------------------------------------------------------------------------------------------------

on(np.linspace)(
    (lambda x, y: np.linspace(x, y, 4), [real(), real(seed=1)]),
    (lambda x: np.linspace(0.5, x, 3, endpoint=False, axis=-1), [real(2)]),
    (lambda x, y: np.linspace(x, y, 3, retstep=True)[1] + np.linspace(x, y, 1)[0], [real(2, 1), real(3)]),
)
on(np.gradient)(
    (np.gradient, [real(5)]),
    (lambda x, y: np.gradient(x, y), [real(4), real()]),
    (lambda x: np.gradient(x, 0.5, 2.0)[0] * np.gradient(x, axis=-1), [real(2, 3)]),
)
if hasattr(np, "trapezoid"):
    on(np.trapezoid)(
        (np.trapezoid, [real(2, 4)]),
        (lambda x, y: np.trapezoid(x, y, axis=0), [real(3), real(3)]),
        (lambda x: np.trapezoid(x, dx=0.5, axis=0), [real(3, 2)]),
    )
on(np.interp)(
    (lambda x: np.interp(x, [-1.0, 0.2, 1.5], [3.0, 1.0, 2.0]), [real(2, 4)]),
    (lambda x, y: np.interp(x, [-1.0, 0.2, 1.5], y, left=-2.0, right=4.0), [real(5), real(3, seed=1)]),
    (lambda x, p, y: np.interp(x, np.cumsum(p), y), [above_1(5), positive(4, seed=2), real(4, seed=1)]),
)
on(np.polyval, analytic=True)(
    (np.polyval, [real(4), real(2, 3)]),
    (lambda p: np.polyval(p, 0.7), [real(3)]),
    (lambda x: np.polyval([1.0, -2.0, 0.5], x), [real(3)]),
)
on(np.vander, analytic=True)(
    (np.vander, [real(3)]),
    (lambda x: np.vander(x, 4, increasing=True), [real(2)]),
    (lambda x: np.vander(x, 1) * x, [real(2)]),
)
on(np.convolve)(
    *((lambda x, y, m=m: np.convolve(x, y, m), [real(5), real(n)]) for m in ("full", "same", "valid") for n in (2, 3)),
    (lambda x, y: np.convolve(x, y, "same"), [real(2), real(4)]),
)
