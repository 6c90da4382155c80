"""Fourier transforms: linear, so each needs only its transpose, the transform back with the other scale.

The primitives hold complex numbers as one real array with the real and the imaginary parts as its two rows, (2, ...).
For a linear map of such arrays, the transpose is the map of the conjugate transpose of its complex matrix A. For a
transform that is the transform in the opposite direction with the same scale: a factor 1/n stays 1/n. ``norm`` names
the direction that has the factor, so for the transpose "backward" becomes "forward".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import Primitive, linear, overrides
from .arrays import array_of
from .complex_pairs import AWARE, ComplexTensor, imaginary_part, real_part

Norm = Any  # "backward", "ortho", "forward" or None, as in NumPy

SAME_SCALE = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}


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


def _of_real(a: Any, axis: int, norm: Norm) -> Any:
    return _as_rows(np.fft.rfft(a, axis=axis, norm=norm), a.dtype)


def _to_real(rows: Any, n: int, axis: int, norm: Norm) -> Any:
    return np.fft.irfft(_complex(rows), n, axis=axis, norm=norm).astype(rows.dtype, copy=False)


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


half_spectrum: Primitive = linear(_of_real, _of_real_transposed, name="rfft")
real_again: Primitive = linear(_to_real, _to_real_transposed, name="irfft")

# --- NumPy's functions -----------------------------------------------------------------------------------------------


def _rows(a: Any) -> Any:
    """Complex numbers of any kind as (2, ...), floating-point numbers."""
    real, imag = real_part(a), imaginary_part(a)
    real = _floats(real)
    return np.stack([real, np.zeros_like(real) if imag is None else imag])


def _floats(a: Any) -> Any:
    a = array_of(a)
    return a if a.dtype.kind == "f" else a.astype(np.float64)


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
    return tuple(range(-ndim, 0)[axis] for axis in axes)


def _sizes_and_axes(a: Any, s: Any, axes: Any) -> tuple[list[Any], tuple[int, ...]]:
    ndim = np.ndim(a)
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    axes = _negative(axes, ndim)
    sizes = [None] * len(axes) if s is None else [None if n == -1 else n for n in s]
    if len(sizes) != len(axes):
        raise ValueError(f"np.fft: {len(sizes)} sizes s={tuple(s)} for {len(axes)} axes")
    return sizes, axes


def _transformed(a: Any, sizes: list[Any], axes: tuple[int, ...], inverse: bool, norm: Norm) -> ComplexTensor:
    rows = _rows(a)
    for n, axis in zip(sizes, axes):
        rows = _resized(rows, n, axis)
    return ComplexTensor(*turned(rows, axes=axes, inverse=inverse, norm=norm))


def _of_real_array(a: Any, sizes: list[Any], axes: tuple[int, ...], norm: Norm) -> ComplexTensor:
    a = _floats(a)
    for n, axis in zip(sizes, axes):
        a = _resized(a, n, axis)
    rows = half_spectrum(a, axis=axes[-1], norm=norm)
    return ComplexTensor(*(turned(rows, axes=axes[:-1], inverse=False, norm=norm) if axes[:-1] else rows))


def _to_real_array(a: Any, sizes: list[Any], axes: tuple[int, ...], norm: Norm) -> Any:
    rows = _rows(a)
    n = 2 * (rows.shape[axes[-1]] - 1) if sizes[-1] is None else sizes[-1]
    for size, axis in zip([*sizes[:-1], n // 2 + 1], axes):
        rows = _resized(rows, size, axis)
    if axes[:-1]:
        rows = turned(rows, axes=axes[:-1], inverse=True, norm=norm)
    return real_again(rows, n=n, axis=axes[-1], norm=norm)


@overrides(np.fft.fft)
def fft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> ComplexTensor:
    """np.fft.fft: along one axis."""
    return _transformed(a, [n], _negative([axis], np.ndim(a)), False, norm)


@overrides(np.fft.ifft)
def ifft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> ComplexTensor:
    """np.fft.ifft: back, along one axis."""
    return _transformed(a, [n], _negative([axis], np.ndim(a)), True, norm)


@overrides(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> ComplexTensor:
    """np.fft.fftn: along several axes."""
    return _transformed(a, *_sizes_and_axes(a, s, axes), False, norm)


@overrides(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> ComplexTensor:
    """np.fft.ifftn: back, along several axes."""
    return _transformed(a, *_sizes_and_axes(a, s, axes), True, norm)


@overrides(np.fft.rfft)
def rfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> ComplexTensor:
    """np.fft.rfft: the half of the spectrum that determines the whole, for real numbers."""
    return _of_real_array(a, [n], _negative([axis], np.ndim(a)), norm)


@overrides(np.fft.irfft)
def irfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """np.fft.irfft: real numbers from half a spectrum."""
    return _to_real_array(a, [n], _negative([axis], np.ndim(a)), norm)


@overrides(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> ComplexTensor:
    """np.fft.rfftn: of real numbers, along several axes, the last of them halved."""
    return _of_real_array(a, *_sizes_and_axes(a, s, axes), norm)


@overrides(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Norm = None) -> Any:
    """np.fft.irfftn: real numbers from a spectrum whose last axis is halved."""
    return _to_real_array(a, *_sizes_and_axes(a, s, axes), norm)


def _along_two(several: Any) -> Any:
    """A transform along several axes, by default along the last two."""
    return lambda a, s=None, axes=(-2, -1), norm=None: several(a, s, axes, norm)


for _two, _several in (
    (np.fft.fft2, fftn),
    (np.fft.ifft2, ifftn),
    (np.fft.rfft2, rfftn),
    (np.fft.irfft2, irfftn),
):
    overrides(_two)(_along_two(_several))


@overrides(np.fft.hfft)
def hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """np.fft.hfft: of half a signal whose spectrum is real."""
    return irfft(np.conjugate(a), n, axis, SAME_SCALE[norm])


@overrides(np.fft.ihfft)
def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    """np.fft.ihfft: half a signal, from its real spectrum."""
    return np.conjugate(rfft(a, n, axis, SAME_SCALE[norm]))


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


AWARE |= {np.fft.fft, np.fft.ifft, np.fft.fftn, np.fft.ifftn, np.fft.fft2, np.fft.ifft2, np.fft.irfft, np.fft.irfftn,
          np.fft.irfft2, np.fft.hfft}  # fmt: skip
