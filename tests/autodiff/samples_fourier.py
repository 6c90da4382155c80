"""Samples of Fourier transforms, on the way from real numbers to real numbers, and of complex results in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.autodiff.sampling import on, real

NORMS = ("backward", "ortho", "forward")
FILTER = np.array([0.5, 1 - 2j, 1j, -0.3])


def both(z: Any) -> Any:
    """The real and the imaginary part, so that a sample sees each."""
    return np.stack([np.real(z), np.imag(z)])


# --- there and back --------------------------------------------------------------------------------------------------

for _f in (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.ihfft):
    for _n in (4, 5):
        on(_f)(
            (lambda x, f=_f: both(f(x)), [real(2, _n)]),
            (lambda x, f=_f: both(f(x, 3)), [real(_n)]),
            (lambda x, f=_f: both(f(x, 7, axis=0)), [real(_n, 2)]),
            *((lambda x, f=_f, m=m: np.abs(f(x, norm=m)), [real(_n)]) for m in NORMS),
        )
for _f in (np.fft.fft2, np.fft.ifft2, np.fft.rfft2):
    on(_f)(
        (lambda x, f=_f: both(f(x)), [real(3, 4)]),
        (lambda x, f=_f: both(f(x, s=(2, 5), axes=(0, 2), norm="ortho")), [real(3, 2, 4)]),
    )
for _f in (np.fft.fftn, np.fft.ifftn, np.fft.rfftn):
    on(_f)(
        (lambda x, f=_f: both(f(x)), [real(2, 3, 2)]),
        (lambda x, f=_f: both(f(x, (4, 2), (1, 0), norm="forward")), [real(2, 3)]),
    )
for _f in (np.fft.irfft, np.fft.hfft):
    on(_f)(
        (lambda x, f=_f: f(np.fft.rfft(x)), [real(2, 6)]),
        (lambda x, f=_f: f(x), [real(2, 4)]),
        (lambda x, f=_f: f(np.fft.fft(x), 5), [real(4)]),
        (lambda x, f=_f: f(np.fft.fft(x), 9, axis=0), [real(4, 2)]),
        *((lambda x, f=_f, m=m: f(np.fft.fft(x), norm=m), [real(4)]) for m in NORMS),
    )
for _f in (np.fft.irfft2, np.fft.irfftn):
    on(_f)(
        (lambda x, f=_f: f(np.fft.fft(x)), [real(3, 4)]),
        (lambda x, f=_f: f(np.fft.fft(x), s=(2, 5), axes=(1, 0), norm="ortho"), [real(3, 4)]),
    )
on(np.fft.fftshift)(
    (np.fft.fftshift, [real(5)]), (lambda x: both(np.fft.fftshift(np.fft.fft(x), axes=1)), [real(2, 4)])
)
on(np.fft.ifftshift)(
    (lambda x: np.fft.ifftshift(x, (0, 1)), [real(3, 5)]), (lambda x: both(np.fft.ifftshift(np.fft.rfft(x))), [real(5)])
)

# --- what is done with a spectrum ------------------------------------------------------------------------------------

on("complex results")(
    (lambda x: np.fft.irfft(np.fft.rfft(x) * FILTER), [real(6)]),
    (lambda x: np.fft.irfft(FILTER * np.fft.rfft(x, axis=0)[:, 0]), [real(6, 2)]),
    (lambda x, y: np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(y)), [real(6), real(6, seed=1)]),
    (lambda x, y: np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(y)), 6), [real(6), real(2, 6)]),
    (lambda x, y: both(y * np.fft.fft(x) - np.fft.fft(x) * (2 - 1j) + 1j), [real(3), real(3)]),
    (lambda x, y: both(x - np.fft.fft(x) + (y - 0.5)), [real(3), real(2, 3)]),
    (lambda x, y: both(np.fft.fft(x) / (3 + np.fft.fft(y / 9)) + x / (9 + np.fft.fft(y))), [real(3), real(3)]),
    (lambda x: both(np.fft.fft(x) / x - np.fft.fft(x) / 2j + 1 / np.fft.fft(x)), [real(3)]),
    (lambda x: both(-(np.fft.fft(x) ** 2) + np.square(np.fft.fft(x)) ** 3), [real(3)]),
    (lambda x: np.angle(np.fft.fft(x))[1:] + np.abs(np.fft.fft(x)[1:]), [real(2, 3)]),
    (lambda x: np.angle(np.fft.fft(x), deg=True)[0, 1:], [real(2, 3)]),
    (lambda x: both(np.exp(np.fft.fft(x)) * np.log(np.fft.fft(x))), [real(3)]),
    (lambda x: np.fft.fft(x).real * np.fft.fft(x).imag + np.fft.fft(x).conj().imag, [real(3)]),
    (lambda x: both(np.fft.fft(x).sum(axis=0) + np.mean(np.fft.fft(x)) + np.fft.fft(x).mean(0)), [real(2, 3)]),
    (lambda x: both(np.fft.fft(x).reshape(3, 2).T.reshape((6,))[::-1]), [real(2, 3)]),
    (lambda x, y: both(np.concatenate([np.fft.fft(x), y, FILTER])), [real(3), real(2)]),
    (lambda x: both(np.stack([np.fft.fft(x), np.fft.ifft(x)])), [real(3)]),
    (lambda x, y: both(np.where([True, False, True], np.fft.fft(x), y)), [real(3), real(3)]),
    (lambda x: both(np.split(np.fft.fft(x), 2)[1]), [real(4)]),
    (lambda x, y: both(np.fft.fft(x) @ y + y @ np.fft.fft(x).T), [real(3, 3), real(3, 3)]),
    (lambda x: both(np.dot(np.fft.fft(x), FILTER) + np.outer(np.fft.fft(x), FILTER)), [real(4)]),
    (lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2) + np.shape(np.fft.rfft(x))[0], [real(5)]),
)
