"""Fourier transforms: linear, so each needs only its transpose, the transform back with the other scale.

The primitives hold complex numbers as one real array with the real and the imaginary parts as its two rows, (2, ...).
For a linear map of such arrays, the transpose is the map of the conjugate transpose of its complex matrix A. For a
transform that is the transform in the opposite direction with the same scale: a factor 1/n stays 1/n. ``norm`` names
the direction that has the factor, so for the transpose "backward" becomes "forward".
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..registry import Primitive, linear, overrides
from .arrays import array_of, in_real_numbers
from .axes import one_axis
from .complex_pairs import AWARE, ComplexTensor, imaginary_part, real_part

Norm = Any  # "backward", "ortho", "forward" or None, as in NumPy

SAME_SCALE: dict[Norm, Norm] = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


def _as_rows(c: Any, dtype: Any) -> Any:
    return np.stack([c.real, c.imag]).astype(dtype, copy=False)


def _complex(rows: Any) -> Any:
    return rows[0] + 1j * rows[1]


def _turn(rows: Any, axes: tuple[int, ...], inverse: bool, norm: Norm) -> Any:
    run = np.fft.ifftn if inverse else np.fft.fftn
    return _as_rows(run(_complex(rows), axes=axes, norm=norm), rows.dtype)


turned: Primitive = linear(
    _turn,
    lambda g, ans, rows, axes, inverse, norm: turned(g, axes=axes, inverse=not inverse, norm=SAME_SCALE[norm]),
    name="fft",
)


def _weights(n: int, axis: int, rows: Any, inside: float) -> Any:
    """The weight of each frequency of a half spectrum: ``inside``, but 1 for the first and, if n is even, the last."""
    weights = np.full(n // 2 + 1, inside, rows.dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return np.reshape(weights, (-1, *[1] * (-axis - 1)))


def _of_real_transposed(g: Any, ans: Any, a: Any, axis: int, norm: Norm) -> Any:
    n = a.shape[axis]
    return real_again(g * _weights(n, axis, g, 0.5), n=n, axis=axis, norm=SAME_SCALE[norm])


def _to_real_transposed(g: Any, ans: Any, rows: Any, n: int, axis: int, norm: Norm) -> Any:
    return half_spectrum(g, axis=axis, norm=SAME_SCALE[norm]) * _weights(n, axis, g, 2)


half_spectrum: Primitive = linear(
    lambda a, axis, norm: _as_rows(np.fft.rfft(a, axis=axis, norm=norm), a.dtype), _of_real_transposed, name="rfft"
)
real_again: Primitive = linear(
    lambda rows, n, axis, norm: np.fft.irfft(_complex(rows), n, axis=axis, norm=norm).astype(rows.dtype, copy=False),
    _to_real_transposed,
    name="irfft",
)

# --- NumPy's functions -----------------------------------------------------------------------------------------------


def _rows(a: Any) -> Any:
    """Complex numbers of any kind as (2, ...), floating-point numbers."""
    real, imag = real_part(a), imaginary_part(a)
    real = in_real_numbers(array_of(real))
    return np.stack([real, np.zeros_like(real) if imag is None else imag])


def _resized(a: Any, n: int | None, axis: int) -> Any:
    """Cut at n, or filled up with zeros, along a negative axis."""
    if n is None or n == a.shape[axis]:
        return a
    if n < 1:
        raise ValueError(f"np.fft: a transform has 1 point or more, not {n}")
    if n < a.shape[axis]:
        return a[(..., slice(None, n), *[slice(None)] * (-axis - 1))]
    return np.pad(a, [(0, n - a.shape[axis] if i == axis else 0) for i in range(-a.ndim, 0)])


def _negative(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the end, so that one more axis in front doesn't move them."""
    return tuple(one_axis(axis, ndim) - ndim for axis in axes)


def _sizes_and_axes(a: Any, s: Any, axes: Any) -> tuple[list[Any], tuple[int, ...]]:
    ndim = np.ndim(a)
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    axes = _negative(axes, ndim)
    if len(set(axes)) < len(axes):
        raise ValueError(f"np.fft: an axis stands twice among axes={tuple(axes)}. Transform twice")
    sizes = [None] * len(axes) if s is None else [np.shape(a)[axis] if n == -1 else n for n, axis in zip(s, axes)]
    if s is not None and len(s) != len(axes):
        raise ValueError(f"np.fft: {len(s)} sizes s={tuple(s)} for {len(axes)} axes")
    return sizes, axes


def _transformed(a: Any, sizes: list[Any], axes: tuple[int, ...], norm: Norm, inverse: bool) -> ComplexTensor:
    """The transform of complex numbers into complex numbers, there or back."""
    rows = _rows(a)
    for n, axis in zip(sizes, axes):
        rows = _resized(rows, n, axis)
    return ComplexTensor(*turned(rows, axes=axes, inverse=inverse, norm=norm))


def _of_real_array(a: Any, sizes: list[Any], axes: tuple[int, ...], norm: Norm) -> ComplexTensor:
    """The half of the spectrum of real numbers that determines the whole: of several axes, the last is halved."""
    a = in_real_numbers(array_of(a))
    for n, axis in zip(sizes, axes):
        a = _resized(a, n, axis)
    rows = half_spectrum(a, axis=axes[-1], norm=norm)
    return ComplexTensor(*(turned(rows, axes=axes[:-1], inverse=False, norm=norm) if axes[:-1] else rows))


def _to_real_array(a: Any, sizes: list[Any], axes: tuple[int, ...], norm: Norm) -> Any:
    """The real numbers that have half a spectrum."""
    rows = _rows(a)
    n = 2 * (rows.shape[axes[-1]] - 1) if sizes[-1] is None else sizes[-1]
    for size, axis in zip([*sizes[:-1], n // 2 + 1], axes):
        rows = _resized(rows, size, axis)
    if axes[:-1]:
        rows = turned(rows, axes=axes[:-1], inverse=True, norm=norm)
    return real_again(rows, n=n, axis=axes[-1], norm=norm)


def _along_one(transform: Any) -> Any:
    """The form that np.fft.fft has: along one axis."""
    return lambda a, n=None, axis=-1, norm=None: transform(a, [n], _negative([axis], np.ndim(a)), norm)


def _along_several(transform: Any, usual: tuple[int, ...] | None) -> Any:
    """The form that np.fft.fftn and np.fft.fft2 have: along several axes, by default along the ``usual`` ones."""
    return lambda a, s=None, axes=usual, norm=None: transform(a, *_sizes_and_axes(a, s, axes), norm)


for _name, _transform in (
    ("fft", partial(_transformed, inverse=False)),
    ("ifft", partial(_transformed, inverse=True)),
    ("rfft", _of_real_array),
    ("irfft", _to_real_array),
):
    overrides(getattr(np.fft, _name))(_along_one(_transform))
    overrides(getattr(np.fft, f"{_name}2"))(_along_several(_transform, (-2, -1)))
    overrides(getattr(np.fft, f"{_name}n"))(_along_several(_transform, None))


@overrides(np.fft.hfft)
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """np.fft.hfft: of half a signal whose spectrum is real."""
    return np.fft.irfft(np.conjugate(a), n, axis, SAME_SCALE[norm])


@overrides(np.fft.ihfft)
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """np.fft.ihfft: half a signal, from its real spectrum."""
    return np.conjugate(np.fft.rfft(a, n, axis, SAME_SCALE[norm]))


def _shifted(x: Any, axes: Any, part: Any) -> Any:
    axes = tuple(range(np.ndim(x))) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    return np.roll(x, [part(np.shape(x)[axis]) for axis in axes], axes)


@overrides(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """np.fft.fftshift: frequency 0 in the middle."""
    return _shifted(x, axes, lambda n: n // 2)


@overrides(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """np.fft.ifftshift: frequency 0 in front again."""
    return _shifted(x, axes, lambda n: -(n // 2))


AWARE |= {getattr(np.fft, name + form) for name in ("fft", "ifft", "irfft") for form in ("", "2", "n")} | {np.fft.hfft}
