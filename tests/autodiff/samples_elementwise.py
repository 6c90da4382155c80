"""Samples of functions that act on each element by itself, and of reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tests.autodiff.sampling import above_1, inside, on, positive, real

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
    np.copysign: (real, real),
    np.heaviside: (real, real),
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
for _f in (np.median, np.average, np.nansum, np.nanmean, np.nanprod, np.nanvar, np.nanstd, np.nanmax, np.nanmin):
    on(_f)(*_reduction(_f))
on(tr.logsumexp, analytic=True)(*_reduction(tr.logsumexp))
on(np.ptp)((np.ptp, [real(2, 3)]), (lambda x: np.ptp(x, axis=1, keepdims=True), [real(2, 3)]))
on(np.median)((np.median, [real(5)]), (lambda x: np.median(x, axis=(0, 1)), [real(3, 3, 2)]))
on(np.quantile)(
    *((lambda x, m=m: np.quantile(x, [0.1, 0.7], axis=1, method=m), [real(2, 5)])
      for m in ("linear", "lower", "higher", "midpoint")),
    (lambda x: np.quantile(x, 0.3), [real(2, 3)]),
    (lambda x: np.quantile(x, [[0.0, 0.3], [0.5, 1.0]], axis=(0, -1), keepdims=True), [real(2, 3, 2)]),
)
on(np.percentile)(
    (lambda x: np.percentile(x, 30), [real(2, 3)]),
    (lambda x: np.percentile(x, [0, 25.0, 100], axis=0), [real(4, 2)]),
)
on(np.cov)(
    (np.cov, [real(2, 4)]),
    (np.cov, [real(4)]),
    (lambda x, y: np.cov(x, y, bias=True), [real(4), real(2, 4, seed=1)]),
    (lambda x, y: np.cov(x, y, rowvar=False, ddof=2), [real(4, 2), real(4, 1, seed=1)]),
)
on(np.corrcoef)((np.corrcoef, [real(2, 4)]), (lambda x, y: np.corrcoef(x, y, rowvar=False), [real(4), real(4, seed=1)]))
on(np.average)(
    (lambda x, w: np.average(x, weights=w), [real(2, 3), positive(2, 3, seed=1)]),
    (lambda x, w: np.average(x, axis=1, weights=w), [real(2, 3), positive(3, seed=1)]),
    (lambda x, w: np.average(x, axis=0, weights=w, keepdims=True), [real(2, 3), positive(2, seed=1)]),
    (lambda x, w: np.average(x, weights=w, returned=True)[1] * x[0, 0], [real(2, 3), positive(2, 3, seed=1)]),
)
_holes = np.array([[False, True, False], [True, False, False]])
on(np.nansum)((lambda x: np.nansum(np.where(_holes, np.nan, x), axis=0), [real(2, 3)]))
on(np.nanmean)((lambda x: np.nanmean(np.where(_holes, np.nan, x), axis=1), [real(2, 3)]))
on(np.var, np.std)(
    (lambda x: np.var(np.where(_holes, np.nan, x), axis=1, where=~_holes), [real(2, 3)]),
    (lambda x: np.std(np.where(_holes, np.nan, x), axis=1, where=~_holes), [real(2, 3)]),
)
for _f in (np.nanprod, np.nanvar, np.nanstd, np.nanmax, np.nanmin):
    on(_f)((lambda x, f=_f: f(np.where(_holes, np.nan, x), axis=1, keepdims=True), [real(2, 3)]))
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
on(np.diff, analytic=True)(
    (np.diff, [real(2, 4)]),
    (lambda x: np.diff(x, n=2, axis=0), [real(4, 2)]),
    (lambda x: np.diff(x, n=0) * x, [real(3)]),
    (lambda x: np.diff(x, prepend=0.5), [real(2, 3)]),
    (lambda x, y, z: np.diff(x, 2, 0, prepend=y, append=z), [real(2, 3), real(), real(1, 3)]),
    (lambda y: np.diff(np.ones((2, 3)), append=y), [real(2, 2)]),
)
if hasattr(np, "cumulative_sum"):
    on(np.cumulative_sum)(
        (np.cumulative_sum, [real(3)]),
        (lambda x: np.cumulative_sum(x, axis=-1, include_initial=True), [real(2, 3)]),
    )
    on(np.cumulative_prod)(
        (np.cumulative_prod, [real(3)]),
        (lambda x: np.cumulative_prod(x, axis=0, include_initial=True), [real(2, 3)]),
    )
on(np.sinc)(
    (np.sinc, [real(2, 3)]),
    (np.sinc, [np.array([0.0, 1e-200, -1e-9, 1e-4, -0.01, 0.1, 1.0, -2.0, 7.3, 1.2732395447351628])]),
)
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

# Where both are equal nothing is chosen, so there is a second derivative, too.
for _f in (np.logaddexp, np.logaddexp2):
    on(_f)((_f, [np.array([0.7, -1.5, 0.3]), np.array([0.7, -1.5, 0.4])]), (_f, [np.array(2.0), np.array(2.0)]))
