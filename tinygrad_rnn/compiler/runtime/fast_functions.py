"""exp, log, tanh and sigmoid for machine code: a few multiplications each, and no branches.

So a loop over them runs in vector registers, sixteen numbers at a time; the C library would be called for each one.
Their error is at most 3 units in the last place of the result (``MAXIMAL_ERROR``; tests measure it over
the whole range); NaN stays NaN, overflow gives inf, and both tails of sigmoid keep their digits.

Source: polynomials and argument reduction as in Moshier's Cephes library (expf.c, logf.c, tanhf.c, exp.c, log.c,
tanh.c).
"""

from __future__ import annotations

from typing import Any

import numpy as np

MAXIMAL_ERROR = 3.0  # units in the last place

f32, f64, i32, i64 = np.float32, np.float64, np.int32, np.int64


def float_of_bits(n: Any) -> Any:
    """The float with the bits of an integer of the same size."""
    return n.view(f32 if n.dtype == i32 else f64)


def bits_of_float(x: Any) -> Any:
    """The integer of the same size with the bits of a float."""
    return x.view(i32 if x.dtype == f32 else i64)


def exp32(x: Any) -> Any:
    """exp(x) = 2^n exp(r), with n a whole number and |r| at most log(2)/2."""
    x = f32(89.0) if x > f32(89.0) else x
    x = f32(-104.0) if x < f32(-104.0) else x
    n = (x * f32(1.44269504088896341) + f32(12582912.0)) - f32(12582912.0)  # rounded: no bits are left for a fraction
    r = (x - n * f32(0.693359375)) - n * f32(-2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * (r * r) + r + f32(1.0)
    k = i32(n)
    half = i32(k >> i32(1))  # 2^n as a product of two, since n may lie beyond a float's exponents
    return p * float_of_bits(i32((half + i32(127)) << i32(23))) * float_of_bits(i32((k - half + i32(127)) << i32(23)))


def tanh32(x: Any) -> Any:
    """A polynomial near zero, 1 - 2 / (exp(2|x|) + 1) elsewhere."""
    size = abs(x)
    z = x * x
    p = f32(-5.70498872745e-3)
    p = p * z + f32(2.06390887954e-2)
    p = p * z + f32(-5.37397155531e-2)
    p = p * z + f32(1.33314422036e-1)
    p = p * z + f32(-3.33332819422e-1)
    near = p * z * x + x
    far = f32(1.0) - f32(2.0) / (exp32(size + size) + f32(1.0))
    far = -far if x < f32(0.0) else far
    near = x if x == f32(0.0) else near  # the sum has lost the sign of -0.0
    return near if size < f32(0.625) else far


def sigmoid32(x: Any) -> Any:
    """1 / (1 + exp(-x)); where exp overflows, 1 / inf is the right 0."""
    return f32(1.0) / (f32(1.0) + exp32(-x))


def exp64(x: Any) -> Any:
    """The exponential in double precision, by a quotient of polynomials; see ``exp32``."""
    x = f64(710.0) if x > f64(710.0) else x
    x = f64(-746.0) if x < f64(-746.0) else x
    n = (x * f64(1.4426950408889634073599) + f64(6755399441055744.0)) - f64(6755399441055744.0)
    r = (x - n * f64(6.93145751953125e-1)) - n * f64(1.42860682030941723212e-6)
    z = r * r
    p = r * ((f64(1.26177193074810590878e-4) * z + f64(3.02994407707441961300e-2)) * z + f64(9.99999999999999999910e-1))
    q = f64(3.00198505138664455042e-6) * z + f64(2.52448340349684104192e-3)
    q = (q * z + f64(2.27265548208155028766e-1)) * z + f64(2.0)
    p = f64(1.0) + f64(2.0) * (p / (q - p))
    k = i64(n)
    half = i64(k >> i64(1))
    return p * float_of_bits(i64((half + i64(1023)) << i64(52))) * float_of_bits(i64((k - half + i64(1023)) << i64(52)))


def tanh64(x: Any) -> Any:
    """The hyperbolic tangent in double precision; see ``tanh32``."""
    size = abs(x)
    z = x * x
    p = (f64(-9.64399179425052238628e-1) * z + f64(-9.92877231001918586564e1)) * z + f64(-1.61468768441708447952e3)
    q = ((z + f64(1.12811678491632931402e2)) * z + f64(2.23548839060100448583e3)) * z + f64(4.84406305325125486048e3)
    near = x * z * (p / q) + x
    far = f64(1.0) - f64(2.0) / (exp64(size + size) + f64(1.0))
    far = -far if x < f64(0.0) else far
    near = x if x == f64(0.0) else near
    return near if size < f64(0.625) else far


def sigmoid64(x: Any) -> Any:
    """The sigmoid in double precision; see ``sigmoid32``."""
    return f64(1.0) / (f64(1.0) + exp64(-x))


def log32(x: Any) -> Any:
    """log(x) = n log(2) + log(m), with m between the square roots of 1/2 and of 2."""
    tiny = x < f32(1.1754944e-38)
    y = x * f32(8388608.0) if tiny else x
    k = bits_of_float(y)
    n = (k - i32(0x3F3504F3)) >> i32(23)
    m = float_of_bits(i32(k - (n << i32(23))))
    e = f32(n) - (f32(23.0) if tiny else f32(0.0))
    r = m - f32(1.0)
    z = r * r
    p = f32(7.0376836292e-2)
    p = p * r - f32(1.1514610310e-1)
    p = p * r + f32(1.1676998740e-1)
    p = p * r - f32(1.2420140846e-1)
    p = p * r + f32(1.4249322787e-1)
    p = p * r - f32(1.6668057665e-1)
    p = p * r + f32(2.0000714765e-1)
    p = p * r - f32(2.4999993993e-1)
    p = p * r + f32(3.3333331174e-1)
    y = p * r * z + e * f32(-2.12194440e-4) - f32(0.5) * z
    y = r + y + e * f32(0.693359375)
    y = x if not x < f32(np.inf) else y  # infinite, or NaN
    y = f32(np.nan) if x < f32(0.0) else y
    return f32(-np.inf) if x == f32(0.0) else y


def log64(x: Any) -> Any:
    """The logarithm in double precision; see ``log32``."""
    tiny = x < f64(2.2250738585072014e-308)
    y = x * f64(4503599627370496.0) if tiny else x
    k = bits_of_float(y)
    n = (k - i64(0x3FE6A09E667F3BCD)) >> i64(52)
    m = float_of_bits(i64(k - (n << i64(52))))
    e = f64(n) - (f64(52.0) if tiny else f64(0.0))
    r = m - f64(1.0)
    z = r * r
    p = f64(1.01875663804580931796e-4)
    p = p * r + f64(4.97494994976747001425e-1)
    p = p * r + f64(4.70579119878881725854e0)
    p = p * r + f64(1.44989225341610930846e1)
    p = p * r + f64(1.79368678507819816313e1)
    p = p * r + f64(7.70838733755885391666e0)
    q = r + f64(1.12873587189167450590e1)
    q = q * r + f64(4.52279145837532221105e1)
    q = q * r + f64(8.29875266912776603211e1)
    q = q * r + f64(7.11544750618563894466e1)
    q = q * r + f64(2.31251620126765340583e1)
    y = r * (z * p / q)
    y = y - e * f64(2.121944400546905827679e-4) - f64(0.5) * z
    y = r + y + e * f64(0.693359375)
    y = x if not x < f64(np.inf) else y
    y = f64(np.nan) if x < f64(0.0) else y
    return f64(-np.inf) if x == f64(0.0) else y


def log1p32(x: Any) -> Any:
    """log(1 + x), corrected for the digits that are lost in the sum."""
    u = f32(1.0) + x
    d = u - f32(1.0)
    y = log32(u) * (x / d)
    return x if d == f32(0.0) or not u < f32(np.inf) else y


def log1p64(x: Any) -> Any:
    """log(1 + x) in double precision; see ``log1p32``."""
    u = f64(1.0) + x
    d = u - f64(1.0)
    y = log64(u) * (x / d)
    return x if d == f64(0.0) or not u < f64(np.inf) else y


def log1p_of_share32(x: Any) -> Any:
    """log(1 + x) for x from 0 to 1: 2 artanh(s) with s = x / (2 + x), by a polynomial fitted at Chebyshev's points."""
    s = x / (f32(2.0) + x)
    z = s * s
    p = f32(1.3435053825e-1)
    p = p * z + f32(1.4116734266e-1)
    p = p * z + f32(2.0003849268e-1)
    p = p * z + f32(3.3333319426e-1)
    y = p * z * s + s
    return y + y


def log1p_of_share64(x: Any) -> Any:
    """log(1 + x) for x from 0 to 1 in double precision."""
    return log1p64(x)


def logaddexp32(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)), less the larger one, so that no exponential is too large."""
    larger = x if x > y else y
    rest = log1p_of_share32(exp32(-abs(x - y)))
    return x + f32(0.6931471805599453) if x == y else larger + rest


def logaddexp64(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)), less the larger one, so that no exponential is too large."""
    larger = x if x > y else y
    rest = log1p64(exp64(-abs(x - y)))
    return x + f64(0.6931471805599453) if x == y else larger + rest
