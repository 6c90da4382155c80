"""Sample inputs for every function that has a derivative: the one table that drives the tests of the catalogue.

``@on(np.tanh)`` says for which function the samples below it are; each is a function in plain NumPy and its inputs.
Inputs keep away from kinks and ties, which have tests of their own (``test_edges.py``). A function of the registry
that has no samples fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tr


class Sample(NamedTuple):
    """One case.

    Attributes:
        functions: the functions of the registry that it stands for.
        name: for test ids.
        f: a function of arrays, in plain NumPy.
        inputs: its arguments, float64.
        analytic: whether plain NumPy computes it on complex numbers, so that the complex step can judge it.
        order: to which order it is tested.
    """

    functions: tuple[Any, ...]
    name: str
    f: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    analytic: bool
    order: int


SAMPLES: list[Sample] = []


def label(function: Any) -> str:
    """What a function is called in test ids and in the docs."""
    module = getattr(function, "__module__", None) or ""
    prefix = "linalg." if module.startswith("numpy.linalg") else ""
    return prefix + getattr(function, "__name__", getattr(function, "name", repr(function)))


def on(*functions: Any, analytic: bool = False, order: int = 2) -> Callable[..., None]:
    """Add samples for these functions: pairs of a function in plain NumPy and a list of inputs."""

    def add(*cases: tuple[Callable[..., Any], list[Any]]) -> None:
        for i, (f, inputs) in enumerate(cases):
            arrays = tuple(np.array(a, dtype=np.float64) for a in inputs)
            SAMPLES.append(Sample(functions, f"{label(functions[0])}-{i}", f, arrays, analytic, order))

    return add


def real(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers of both signs, none of them near 0."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 2.0, shape) * rng.choice([-1, 1], shape)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers above 0."""
    return np.random.default_rng(seed).uniform(0.3, 2.0, shape)


def inside(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between -1 and 1."""
    return np.random.default_rng(seed).uniform(-0.8, 0.8, shape)


def above_1(*shape: int, seed: int = 0) -> np.ndarray:
    return 1 + positive(*shape, seed=seed)


def square_matrices(*shape: int, seed: int = 0) -> np.ndarray:
    """Well-conditioned matrices."""
    return real(*shape, seed=seed) / 2 + 2 * np.eye(shape[-1])


# --- elementwise -----------------------------------------------------------------------------------------------------

UNARY: dict[Any, Callable[..., np.ndarray]] = {
    **dict.fromkeys(
        [
            np.negative,
            np.positive,
            np.square,
            np.exp,
            np.exp2,
            np.expm1,
            np.sin,
            np.cos,
            np.tan,
            np.arctan,
            np.sinh,
            np.cosh,
            np.tanh,
            np.arcsinh,
            np.reciprocal,
        ],
        real,
    ),
    **dict.fromkeys([np.log, np.log2, np.log10, np.log1p, np.sqrt], positive),
    **dict.fromkeys([np.arcsin, np.arccos, np.arctanh], inside),
    np.arccosh: above_1,
}
for _f, _domain in UNARY.items():
    on(_f, analytic=True)((_f, [_domain(2, 3)]), (_f, [_domain()]))

UNARY_REAL: list[Any] = [
    np.absolute,
    np.fabs,
    np.sign,
    np.cbrt,
    np.floor,
    np.ceil,
    np.trunc,
    np.rint,
    np.round,
    np.around,
    np.nan_to_num,
    np.degrees,
    np.rad2deg,
    np.radians,
    np.deg2rad,
    tr.sigmoid,
    tr.log_sigmoid,
    tr.softplus,
    tr.relu,
    tr.leaky_relu,
    tr.elu,
    tr.selu,
    tr.gelu,
    tr.silu,
    tr.hard_tanh,
    tr.hard_sigmoid,
    tr.erf,
]
# On complex numbers NumPy compares real parts first, so a choice by sign stays analytic beside the kink.
ANALYTIC = {tr.sigmoid, tr.relu, tr.leaky_relu, tr.elu, tr.selu, tr.silu}
for _f in UNARY_REAL:
    on(_f, analytic=_f in ANALYTIC)((_f, [real(2, 3)]), (_f, [real()]))
on(np.round)((lambda x: np.round(x, 1), [real(4)]), (lambda x: x * np.round(x, decimals=2), [real(3)]))
on(tr.gelu)((lambda x: tr.gelu(x, approximate="tanh"), [real(2, 3)]))
on(tr.elu)((lambda x: tr.elu(x, 0.5), [real(5)]))
on(tr.leaky_relu)((lambda x: tr.leaky_relu(x, 0.2), [real(5)]))
on(tr.hard_tanh)((lambda x: tr.hard_tanh(x, -0.5, 0.6), [real(5)]))
on(np.nan_to_num)((lambda x: np.nan_to_num(x, nan=1.0, posinf=5.0), [real(4)]))

BINARY: dict[Any, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    np.add: (real, real),
    np.subtract: (real, real),
    np.multiply: (real, real),
    np.divide: (real, real),
    np.power: (positive, real),
    np.float_power: (positive, real),
}
BINARY_REAL: dict[Any, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    np.floor_divide: (real, real),
    np.remainder: (real, real),
    np.fmod: (real, real),
    np.arctan2: (real, real),
    np.hypot: (real, real),
    np.logaddexp: (real, real),
    np.logaddexp2: (real, real),
    np.maximum: (real, real),
    np.minimum: (real, real),
    np.fmax: (real, real),
    np.fmin: (real, real),
}
for _f, (_left, _right) in {**BINARY, **BINARY_REAL}.items():
    on(_f, analytic=_f in BINARY)((_f, [_left(2, 3), _right(2, 3, seed=1)]), (_f, [_left(3), _right(2, 1, seed=1)]))
on(np.power, analytic=True)(
    (lambda x: x**3, [real(4)]),
    (lambda x: x**-2, [real(4)]),
    (lambda x: x**0.5, [positive(4)]),
    (lambda x: x**1, [real(4)]),
    (lambda x: x**0, [real(4)]),
    (lambda x: 2.0**x, [real(4)]),
    (lambda x: x ** np.array([3, 2, 1, 0]), [real(4)]),
    (lambda x: x**x, [positive(4)]),
)
on(np.divmod)((lambda x, y: np.divmod(x, y)[1] * np.divmod(x, y)[0], [real(3), real(3, seed=1)]))
on(np.clip)(
    (lambda x: np.clip(x, -0.7, 0.9), [real(2, 4)]),
    (lambda x, lo, hi: np.clip(x, lo, hi), [real(2, 4), -positive(4, seed=1), positive(2, 1, seed=2)]),
    (lambda x: np.clip(x, None, 0.5), [real(4)]),
    (lambda x, lo: np.clip(x, lo, None), [real(4), real(4, seed=3)]),
    (lambda x, lo, hi: np.clip(x, lo, hi), [real(4), positive(4), -positive(4, seed=1)]),
)
_mask = np.array([[True, False, True], [False, False, True]])
on(np.where, analytic=True)(
    (lambda x, y: np.where(_mask, x, y), [real(2, 3), real(3, seed=1)]),
    (lambda x: np.where(_mask, x, 0.0), [real(2, 3)]),
    (lambda x: np.where(x > 0, np.exp(x), x), [real(2, 3)]),
)
on(np.select)(
    (lambda x, y: np.select([x > 0.5, y > 0], [x * y, x], 2.0), [real(6), real(6, seed=1)]),
    (lambda x, y: np.select([_mask], [x], default=y), [real(2, 3), real(2, 3, seed=1)]),
)

# --- reductions ------------------------------------------------------------------------------------------------------

AXES: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": (0, 2)},
    {"axis": 1, "keepdims": True},
    {"axis": None, "keepdims": True},
]
_mask3 = np.random.default_rng(5).random((2, 3, 2)) > 0.3
_mask3[0] = True


def _reduction(f: Any, domain: Callable[..., np.ndarray] = real, **keywords: Any) -> list[Any]:
    return [(lambda x, k=k: f(x, **k, **keywords), [domain(2, 3, 2)]) for k in AXES]


on(np.sum, analytic=True)(*_reduction(np.sum), *_reduction(np.sum, where=_mask3), *_reduction(np.sum, initial=2.0))
on(np.mean, analytic=True)(*_reduction(np.mean), *_reduction(np.mean, where=_mask3))
on(np.prod, analytic=True)(*_reduction(np.prod), *_reduction(np.prod, where=_mask3), *_reduction(np.prod, initial=2.0))
for _f in (np.max, np.min, np.amax, np.amin):
    on(_f)(*_reduction(_f))
on(np.max)(*_reduction(np.max, where=_mask3, initial=-9.0), *_reduction(np.max, initial=0.9))
on(np.min)(*_reduction(np.min, where=_mask3, initial=9.0), *_reduction(np.min, initial=-0.9))
for _f in (np.var, np.std):
    on(_f)(*_reduction(_f), *_reduction(_f, where=_mask3), *_reduction(_f, ddof=1)[:3])
for _f in (np.median, np.average, np.nansum, np.nanmean):
    on(_f)(*_reduction(_f))
on(tr.logsumexp, analytic=True)(*_reduction(tr.logsumexp))
on(np.ptp)((np.ptp, [real(2, 3)]), (lambda x: np.ptp(x, axis=1, keepdims=True), [real(2, 3)]))
on(np.median)((np.median, [real(5)]), (lambda x: np.median(x, axis=(0, 1)), [real(3, 3, 2)]))
on(np.average)(
    (lambda x, w: np.average(x, weights=w), [real(2, 3), positive(2, 3, seed=1)]),
    (lambda x, w: np.average(x, axis=1, weights=w), [real(2, 3), positive(3, seed=1)]),
    (lambda x, w: np.average(x, axis=0, weights=w, keepdims=True), [real(2, 3), positive(2, seed=1)]),
    (lambda x, w: np.average(x, weights=w, returned=True)[1] * x[0, 0], [real(2, 3), positive(2, 3, seed=1)]),
)
_holes = np.array([[False, True, False], [True, False, False]])
on(np.nansum)((lambda x: np.nansum(np.where(_holes, np.nan, x), axis=0), [real(2, 3)]))
on(np.nanmean)((lambda x: np.nanmean(np.where(_holes, np.nan, x), axis=1), [real(2, 3)]))
on(np.cumsum, analytic=True)(
    (np.cumsum, [real(2, 3)]),
    (lambda x: np.cumsum(x, axis=0), [real(3, 2)]),
    (lambda x: np.cumsum(x, axis=-1), [real(2, 1)]),
)
on(np.cumprod, analytic=True)(
    (np.cumprod, [real(2, 3)]),
    (lambda x: np.cumprod(x, axis=0), [real(5, 2)]),
    (lambda x: np.cumprod(x, axis=-1), [real(2, 1)]),
    (lambda x: np.cumprod(x, axis=1), [real(2, 4, 2)]),
)
on(np.diff, analytic=True)((np.diff, [real(2, 4)]), (lambda x: np.diff(x, n=2, axis=0), [real(4, 2)]))
on(np.trace, analytic=True)((np.trace, [real(3, 3)]), (lambda x: np.trace(x, 1, 0, 2), [real(3, 2, 4)]))
on(tr.softmax, analytic=True)(
    (tr.softmax, [real(2, 3)]),
    (lambda x: tr.softmax(x, axis=0), [real(3, 2)]),
    (lambda x: tr.softmax(x, axis=(0, 1)), [real(2, 3)]),
    (lambda x: tr.softmax(x, None), [real(4)]),
)
on(tr.log_softmax, analytic=True)((tr.log_softmax, [real(2, 3)]), (lambda x: tr.log_softmax(x, axis=0), [real(3, 2)]))

# --- norms -----------------------------------------------------------------------------------------------------------

for _ord in (None, 1, 2, 3, 0.5, -1, -2.5, np.inf, -np.inf, 0):
    on(np.linalg.norm)(
        (lambda x, o=_ord: np.linalg.norm(x, o), [real(5)]),
        (lambda x, o=_ord: np.linalg.norm(x, o, axis=1, keepdims=True), [real(2, 3)]),
    )
for _ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    on(np.linalg.norm)(
        (lambda x, o=_ord: np.linalg.norm(x, o), [real(3, 4)]),
        (lambda x, o=_ord: np.linalg.norm(x, o, axis=(0, 2), keepdims=True), [real(2, 2, 3)]),
    )
on(np.linalg.norm)((np.linalg.norm, [real(2, 2, 2)]))

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

# --- products --------------------------------------------------------------------------------------------------------

MATMUL_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
    ((2, 1, 2, 3), (3, 3, 2)),
]
on(np.matmul, analytic=True)(*((np.matmul, [real(*a), real(*b, seed=1)]) for a, b in MATMUL_SHAPES))
on(np.dot, analytic=True)(
    (np.dot, [real(2, 3), real(3, 4)]),
    (np.dot, [real(3), real(3)]),
    (np.dot, [real(), real(3)]),
    (np.dot, [real(2, 2, 3), real(2, 3, 2)]),
    (np.dot, [real(3), real(2, 3, 2)]),
    (lambda x: x.dot(x.T), [real(2, 3)]),
)
on(np.vdot)((np.vdot, [real(2, 3), real(3, 2)]))
on(np.inner, analytic=True)(
    (np.inner, [real(2, 3), real(4, 3)]), (np.inner, [real(3), real(3)]), (np.inner, [real(), real(3)])
)
on(np.outer, analytic=True)((np.outer, [real(2), real(3)]), (np.outer, [real(2, 2), real(3)]))
on(np.tensordot, analytic=True)(
    (np.tensordot, [real(2, 3, 2), real(3, 2, 2)]),
    (lambda x, y: np.tensordot(x, y, axes=1), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.tensordot(x, y, axes=0), [real(2), real(3)]),
    (lambda x, y: np.tensordot(x, y, axes=([0, -1], [1, 0])), [real(2, 3, 2), real(2, 2, 3)]),
    (lambda x, y: np.tensordot(x, y, axes=(0, 1)), [real(2, 3), real(3, 2)]),
)
on(np.einsum, analytic=True)(
    (lambda x, y: np.einsum("ij,jk->ik", x, y), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.einsum("ij,jk", x, y), [real(2, 3), real(3, 2)]),
    (lambda x: np.einsum("ii->i", x), [real(3, 3)]),
    (lambda x: np.einsum("ii", x), [real(3, 3)]),
    (lambda x: np.einsum("iij->j", x), [real(2, 2, 3)]),
    (lambda x: np.einsum("ij->", x), [real(2, 3)]),
    (lambda x, y: np.einsum("...ij,...jk->...ik", x, y), [real(2, 2, 3), real(3, 2)]),
    (lambda x, y: np.einsum("b...,b", x, y), [real(2, 3), real(2)]),
    (lambda x, y, z: np.einsum("ia,ib,ic->abc", x, y, z), [real(2, 2), real(2, 3), real(2, 1)]),
    (lambda x: np.einsum("ij,ij->i", x, x), [real(2, 3)]),
    (lambda x: np.einsum("ij,kj->ik", x, x), [real(2, 3)]),
    (lambda x, y: np.einsum("i,i->i", x, y), [real(1), real(3)]),
    (lambda x: np.einsum("ji", x), [real(2, 3)]),
    (lambda x, y, z: np.einsum("ij,jk,kl->il", x, y, z, optimize=True), [real(2, 3), real(3, 2), real(2, 3)]),
)
on(np.kron, analytic=True)(
    (np.kron, [real(2, 3), real(2, 2)]), (np.kron, [real(2), real(2, 2)]), (np.kron, [real(), real(2)])
)
on(np.cross, analytic=True)(
    (np.cross, [real(3), real(3, seed=1)]),
    (np.cross, [real(2, 3), real(3, seed=1)]),
    (lambda x, y: np.cross(x, y, axis=0), [real(3, 2), real(3, 2, seed=1)]),
)
on(np.linalg.multi_dot, analytic=True)(
    (lambda x, y, z: np.linalg.multi_dot([x, y, z]), [real(2, 3), real(3, 4), real(4, 2)]),
    (lambda x, y, z, w: np.linalg.multi_dot([x, y, z, w]), [real(3), real(3, 1), real(1, 4), real(4)]),
    (lambda x, y: np.linalg.multi_dot([x, y]), [real(3), real(3, 2)]),
)
for _n in (-2, -1, 0, 1, 2, 5):
    on(np.linalg.matrix_power)((lambda x, n=_n: np.linalg.matrix_power(x, n), [square_matrices(3, 3) / 2]))
on(np.linalg.matrix_power)((lambda x: np.linalg.matrix_power(x, 3), [square_matrices(2, 2, 2) / 2]))

# --- decompositions --------------------------------------------------------------------------------------------------


def _definite(x: Any) -> Any:
    """A symmetric matrix, positive definite, with eigenvalues of its own, of any matrix."""
    return x @ np.swapaxes(x, -1, -2) + np.diag(np.arange(1.0, 1 + x.shape[-2]))


on(np.linalg.inv, analytic=True)((np.linalg.inv, [square_matrices(3, 3)]), (np.linalg.inv, [square_matrices(2, 2, 2)]))
on(np.linalg.det, analytic=True)(
    (np.linalg.det, [square_matrices(3, 3)]), (np.linalg.det, [square_matrices(2, 2, 2)]), (np.linalg.det, [real(1, 1)])
)
on(np.linalg.slogdet)(
    (lambda x: np.linalg.slogdet(x)[1], [square_matrices(3, 3)]),
    (lambda x: np.linalg.slogdet(-x).logabsdet, [square_matrices(2, 2, 2)]),
    (lambda x: np.linalg.slogdet(x)[0] * x, [square_matrices(2, 2)]),
)
on(np.linalg.solve, analytic=True)(
    (np.linalg.solve, [square_matrices(3, 3), real(3)]),
    (np.linalg.solve, [square_matrices(3, 3), real(3, 2)]),
    (np.linalg.solve, [square_matrices(2, 2, 2), real(2, 2, 3)]),
    (np.linalg.solve, [square_matrices(2, 2), real(3, 2, 1)]),
    (lambda b: np.linalg.solve(np.diag([1.0, 2.0]), b), [real(2)]),
    (lambda a: np.linalg.solve(a, np.ones(2)), [square_matrices(2, 2)]),
)
on(np.linalg.pinv)(
    (np.linalg.pinv, [real(3, 2)]),
    (np.linalg.pinv, [real(2, 3)]),
    (np.linalg.pinv, [real(2, 3, 2)]),
    (lambda x, y: np.linalg.pinv(x @ y, rcond=1e-5), [real(3, 1), real(1, 2)]),
)
on(np.linalg.cholesky)(
    (lambda x: np.linalg.cholesky(_definite(x)), [real(3, 3)]),
    (lambda x: np.linalg.cholesky(_definite(x)), [real(2, 2, 2)]),
)
on(np.linalg.eigh)(
    (lambda x: np.linalg.eigh(_definite(x))[0], [real(3, 3)]),
    (lambda x: np.linalg.eigh(_definite(x))[1], [real(3, 3)]),
    (lambda x: np.linalg.eigh(_definite(x)).eigenvectors * np.linalg.eigh(_definite(x)).eigenvalues, [real(2, 2, 2)]),
    (lambda x: np.linalg.eigh(_definite(x), UPLO="U")[1], [real(2, 2)]),
)
on(np.linalg.eigvalsh)((lambda x: np.linalg.eigvalsh(_definite(x)), [real(3, 3)]))


def _all_of_svd(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([np.ravel(u), np.ravel(s), np.ravel(vh)])


on(np.linalg.svd)(
    (_all_of_svd, [real(3, 3, seed=3)]),
    (_all_of_svd, [real(4, 2)]),
    (_all_of_svd, [real(2, 4)]),
    (_all_of_svd, [real(2, 3, 2)]),
    (lambda x: np.linalg.svd(x)[0], [real(3, 3, seed=3)]),
    (lambda x: np.linalg.svd(x, compute_uv=False), [real(2, 3)]),
    (lambda x: np.linalg.svd(x, full_matrices=False).Vh, [real(2, 3)]),
)
on(np.linalg.qr)(
    (lambda x: np.linalg.qr(x)[0], [real(4, 3)]),
    (lambda x: np.linalg.qr(x)[1], [real(3, 3)]),
    (lambda x: np.linalg.qr(x).Q @ np.sin(np.linalg.qr(x).R), [real(2, 4)]),
    (lambda x: np.linalg.qr(x, mode="r"), [real(3, 2)]),
    (lambda x: np.linalg.qr(x)[1], [real(2, 3, 2)]),
)

# --- NumPy 2's second names ------------------------------------------------------------------------------------------

_SECOND_NAMES: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "matmul": (lambda f, x, y: f(x, y), [real(2, 3), real(3, 2)]),
    "outer": (lambda f, x, y: f(x, y), [real(2), real(3)]),
    "tensordot": (lambda f, x, y: f(x, y, axes=1), [real(2, 3), real(3, 2)]),
    "cross": (lambda f, x, y: f(x, y), [real(2, 3), real(2, 3, seed=1)]),
    "vecdot": (lambda f, x, y: f(x, y), [real(2, 3), real(2, 3, seed=1)]),
    "matrix_transpose": (lambda f, x: f(x), [real(2, 2, 3)]),
    "trace": (lambda f, x: f(x, offset=1), [real(2, 3, 3)]),
    "diagonal": (lambda f, x: f(x, offset=1), [real(2, 3, 3)]),
    "vector_norm": (lambda f, x: f(x, axis=-1, ord=3), [real(2, 3)]),
    "matrix_norm": (lambda f, x: f(x, keepdims=True), [real(2, 2, 3)]),
    "svdvals": (lambda f, x: f(x), [real(2, 3)]),
}
for _name, (_f, _inputs) in _SECOND_NAMES.items():
    if hasattr(np.linalg, _name):
        _function = getattr(np.linalg, _name)
        on(_function)((lambda *a, f=_f, g=_function: f(g, *a), _inputs))
if hasattr(np.linalg, "vector_norm"):
    on(np.linalg.vector_norm)((np.linalg.vector_norm, [real(2, 3)]))
    on(np.linalg.cholesky)((lambda x: np.linalg.cholesky(_definite(x), upper=True), [real(2, 2)]))
