"""Inverses, determinants and decompositions of matrices, in stacks where NumPy takes them in stacks.

Where a rule divides by differences of eigenvalues or singular values, equal ones are left out. Functions that treat
equal values alike, such as a norm or a power of the matrix, still have the right gradient.

Sources: M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); J. Townsend, "Differentiating the singular value decomposition" (2016); G. Golub and
V. Pereyra, "The differentiation of pseudo-inverses" (1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import overrides, primitive
from .arrays import in_real_numbers
from .indexing import output


def _t(a: Any) -> Any:
    """Each matrix of a stack, transposed."""
    return np.swapaxes(a, -1, -2)


def _eye_like(a: Any, n: int) -> Any:
    return np.eye(n, dtype=a.dtype)


def _mirrored(v: Any) -> Any:
    """The symmetric matrix with the given lower triangle: LAPACK reads no other elements."""
    return np.tril(v) + _t(np.tril(v, -1))


def _folded(g: Any) -> Any:
    """The transpose of ``_mirrored``: an element of the lower triangle gets the cotangents of itself and its image."""
    return np.tril(g) + np.tril(_t(g), -1)


def _scaled(a: Any, by: Any) -> Any:
    """A, each matrix times one number of a stack of numbers."""
    return np.expand_dims(by, (-2, -1)) * a


# --- inverse and determinant -----------------------------------------------------------------------------------------

inverse = primitive(np.linalg.inv, [lambda g, ans, a: -_t(ans) @ g @ _t(ans)], [lambda v, ans, a: -ans @ v @ ans])


@overrides(np.linalg.inv)
def inv(a: Any) -> Any:
    """np.linalg.inv."""
    return inverse(in_real_numbers(a))


def _cofactors(a: Any) -> Any:
    """The matrix of cofactors, which is det(a) inv(a)ᵀ, and exists even if a has no inverse."""
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, np.broadcast_to(s[..., None, :], (*s.shape, n)))
    signs = np.linalg.det(u) * np.linalg.det(vh)
    return signs[..., None, None] * (u * np.prod(others, axis=-1)[..., None, :]) @ vh


def _cofactors_vjp(g: Any, ans: Any, a: Any) -> Any:
    inverse = _t(np.linalg.inv(a))
    return _scaled(inverse, np.sum(g * ans, axis=(-2, -1))) - inverse @ _t(g) @ ans


def _cofactors_jvp(v: Any, ans: Any, a: Any) -> Any:
    inverse = _t(np.linalg.inv(a))
    return _scaled(ans, np.sum(inverse * v, axis=(-2, -1))) - ans @ _t(v) @ inverse


cofactors = primitive(_cofactors, [_cofactors_vjp], [_cofactors_jvp])

det = overrides(np.linalg.det)(
    primitive(
        np.linalg.det,
        [lambda g, ans, a: _scaled(cofactors(a), g)],
        [lambda v, ans, a: np.sum(cofactors(a) * v, axis=(-2, -1))],
    )
)


def _slogdet_vjp(g: Any, ans: Any, a: Any) -> Any:
    of_log = g[1]
    return np.zeros_like(a) if of_log is None else _scaled(_t(np.linalg.inv(a)), of_log)


def _slogdet_jvp(v: Any, ans: Any, a: Any) -> Any:
    of_log = np.sum(_t(np.linalg.inv(a)) * v, axis=(-2, -1))
    return np.zeros_like(of_log), of_log


slogdet = overrides(np.linalg.slogdet)(primitive(np.linalg.slogdet, [_slogdet_vjp], [_slogdet_jvp], outputs=True))

# --- linear equations ------------------------------------------------------------------------------------------------


def _solved_vjp(wanted: list[int], g: Any, ans: Any, a: Any, b: Any) -> list[Any]:
    of_b = np.linalg.solve(_t(a), g)
    return [of_b if i else -of_b @ _t(ans) for i in wanted]


def _solved_jvp(tangents: Any, ans: Any, a: Any, b: Any) -> Any:
    of_a, of_b = tangents
    if of_a is None:
        return np.linalg.solve(a, of_b)
    pushed = of_a @ ans
    return np.linalg.solve(a, -pushed if of_b is None else of_b - pushed)


solved = primitive(lambda a, b: np.linalg.solve(a, b), _solved_vjp, _solved_jvp, name="linalg.solve")


@overrides(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """np.linalg.solve; b is one vector if it has one axis, else matrices (as in NumPy 2)."""
    a, b = in_real_numbers(a), in_real_numbers(b)
    if np.ndim(b) == 1:
        return np.squeeze(solved(a, np.expand_dims(_filled(a, b, 1), -1)), -1)
    return solved(a, _filled(a, b, 2))


def _filled(a: Any, b: Any, own: int) -> Any:
    """B, with as many leading axes as a has: otherwise NumPy 1 would take matrices for vectors."""
    missing = np.ndim(a) - 2 - (np.ndim(b) - own)
    return np.reshape(b, (1,) * missing + np.shape(b)) if missing > 0 else b


# --- pseudo-inverse --------------------------------------------------------------------------------------------------


def _pinv(a: Any, rcond: Any = None) -> Any:
    return np.linalg.pinv(a) if rcond is None else np.linalg.pinv(a, rcond)


def _pinv_vjp(g: Any, ans: Any, a: Any, rcond: Any = None) -> Any:
    p, q = ans, _t(ans)
    outside_rows = _t(g) - a @ (p @ _t(g))
    outside_columns = _t(g) - (_t(g) @ p) @ a
    return -q @ g @ q + outside_rows @ (p @ q) + (q @ p) @ outside_columns


def _pinv_jvp(v: Any, ans: Any, a: Any, rcond: Any = None) -> Any:
    p, q = ans, _t(ans)
    outside_rows = _t(v) - (_t(v) @ a) @ p
    outside_columns = _t(v) - p @ (a @ _t(v))
    return -p @ v @ p + (p @ q) @ outside_rows + outside_columns @ (q @ p)


pseudo_inverse = primitive(_pinv, [_pinv_vjp], [_pinv_jvp], name="linalg.pinv")


@overrides(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, *, rtol: Any = None) -> Any:
    """np.linalg.pinv, differentiable where the rank doesn't change nearby."""
    if rcond is not None and rtol is not None:
        raise ValueError("pinv: rcond and rtol are two names of one setting: give one of them")
    return pseudo_inverse(a, rcond=rcond if rtol is None else rtol)


# --- Cholesky --------------------------------------------------------------------------------------------------------


def _half_lower(a: Any) -> Any:
    """The lower triangle, with half of the diagonal: the part whose symmetrisation is the whole symmetric matrix."""
    return np.tril(a) - a * (_eye_like(a, a.shape[-1]) / 2)


def _cholesky_vjp(g: Any, ans: Any, a: Any) -> Any:
    inner = _half_lower(_t(ans) @ g)
    left = np.linalg.solve(_t(ans), inner)
    whole = _t(np.linalg.solve(_t(ans), _t(left)))
    return _folded(whole + _t(whole)) / 2


def _cholesky_jvp(v: Any, ans: Any, a: Any) -> Any:
    left = np.linalg.solve(ans, _mirrored(v))
    return ans @ _half_lower(_t(np.linalg.solve(ans, _t(left))))


lower_cholesky = primitive(lambda a: np.linalg.cholesky(a), [_cholesky_vjp], [_cholesky_jvp], name="linalg.cholesky")


@overrides(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """np.linalg.cholesky; the gradient is with respect to the triangle that is read."""
    a = in_real_numbers(a)
    return _t(lower_cholesky(_t(a))) if upper else lower_cholesky(a)


# --- eigenvalues of symmetric matrices -------------------------------------------------------------------------------


def _inverse_differences(x: Any) -> Any:
    """1 / (x[j] - x[i]), and 0 where they are equal."""
    differences = np.expand_dims(x, -2) - np.expand_dims(x, -1)
    return np.where(differences == 0, 0, 1 / np.where(differences == 0, 1, differences))


def _on_diagonal(x: Any) -> Any:
    return np.expand_dims(x, -1) * _eye_like(x, x.shape[-1])


def _eigh_vjp(g: Any, ans: Any, a: Any, upper: bool = False) -> Any:
    w, vectors = output(ans, 0), output(ans, 1)
    of_w, of_vectors = g
    inner = 0 if of_w is None else _on_diagonal(of_w)
    if of_vectors is not None:
        inner = inner + _inverse_differences(w) * (_t(vectors) @ of_vectors)
    found = vectors @ inner @ _t(vectors)
    return _t(_folded(_t(found))) if upper else _folded(found)


def _eigh_jvp(v: Any, ans: Any, a: Any, upper: bool = False) -> Any:
    w, vectors = output(ans, 0), output(ans, 1)
    inner = _t(vectors) @ _mirrored(_t(v) if upper else v) @ vectors
    return np.diagonal(inner, axis1=-2, axis2=-1), vectors @ (_inverse_differences(w) * inner)


def _eigh(a: Any, upper: bool = False) -> Any:
    return np.linalg.eigh(a, "U" if upper else "L")


eigen = primitive(_eigh, [_eigh_vjp], [_eigh_jvp], name="linalg.eigh", outputs=True)


@overrides(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """np.linalg.eigh; the gradient is with respect to the triangle that is read."""
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f"linalg.eigh: UPLO is 'L' or 'U', not {UPLO!r}")
    return eigen(a, upper=True) if UPLO.upper() == "U" else eigen(a)


@overrides(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """np.linalg.eigvalsh."""
    return eigh(a, UPLO)[0]


# --- singular values -------------------------------------------------------------------------------------------------


def _svd_parts(ans: Any) -> tuple[Any, Any, Any, Any]:
    """U, the singular values, V, and 1 / (s[j]² - s[i]²)."""
    s = output(ans, 1)
    return output(ans, 0), s, _t(output(ans, 2)), _inverse_differences(s * s)


def _svd_vjp(g: Any, ans: Any, a: Any) -> Any:
    u, s, v, f = _svd_parts(ans)
    of_u, of_s, of_vh = g
    rows, columns = np.expand_dims(s, -2), np.expand_dims(s, -1)
    inner = 0 if of_s is None else _on_diagonal(of_s)
    outside = 0
    if of_u is not None:
        turned = _t(u) @ of_u
        inner = inner + f * (turned - _t(turned)) * rows
        if u.shape[-2] > u.shape[-1]:
            outside = (of_u - u @ turned) / rows @ _t(v)
    if of_vh is not None:
        turned = _t(v) @ _t(of_vh)
        inner = inner + columns * (f * (turned - _t(turned)))
        if v.shape[-2] > v.shape[-1]:
            outside = outside + u @ ((of_vh - _t(turned) @ _t(v)) / columns)
    return u @ inner @ _t(v) + outside


def _svd_jvp(t: Any, ans: Any, a: Any) -> Any:
    u, s, v, f = _svd_parts(ans)
    rows, columns = np.expand_dims(s, -2), np.expand_dims(s, -1)
    inner = _t(u) @ t @ v
    of_u = u @ (f * (inner * rows + columns * _t(inner)))
    of_v = v @ (f * (columns * inner + _t(inner) * rows))
    if u.shape[-2] > u.shape[-1]:
        of_u = of_u + (t @ v - u @ inner) / rows
    if v.shape[-2] > v.shape[-1]:
        of_v = of_v + (_t(t) @ u - v @ _t(inner)) / rows
    return of_u, np.diagonal(inner, axis1=-2, axis2=-1), _t(of_v)


singular = primitive(
    lambda a: np.linalg.svd(a, full_matrices=False), [_svd_vjp], [_svd_jvp], name="linalg.svd", outputs=True
)


@overrides(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """np.linalg.svd, with as many singular vectors as there are singular values."""
    if hermitian:
        raise TypeError("linalg.svd: hermitian=True has no rule here: use np.linalg.eigh, or leave it out")
    if compute_uv and full_matrices and a.shape[-1] != a.shape[-2]:
        raise TypeError(
            f"linalg.svd of shape {a.shape}: the vectors that full_matrices=True adds are not unique, so they have no "
            "derivative. Pass full_matrices=False."
        )
    result = singular(a)
    return result if compute_uv else result[1]


if hasattr(np.linalg, "svdvals"):  # NumPy 2
    overrides(np.linalg.svdvals)(lambda x, /: svd(x, compute_uv=False))

# --- QR --------------------------------------------------------------------------------------------------------------


def _qr_vjp(g: Any, ans: Any, a: Any) -> Any:
    q, r = output(ans, 0), output(ans, 1)
    of_q, of_r = g
    m = 0 if of_r is None else r @ _t(of_r)
    if of_q is not None:
        m = m - _t(of_q) @ q
    inner = q @ (np.tril(m) + _t(np.tril(m, -1)))
    # (...) inv(r)ᵀ, without the inverse
    return _t(np.linalg.solve(r, _t(inner if of_q is None else of_q + inner)))


def _qr_jvp(v: Any, ans: Any, a: Any) -> Any:
    q, r = output(ans, 0), output(ans, 1)
    scaled = _t(np.linalg.solve(_t(r), _t(v)))  # v inv(r)
    inner = _t(q) @ scaled
    below = np.tril(inner, -1)
    turn = below - _t(below)
    return q @ (turn - inner) + scaled, (inner - turn) @ r


tall_qr = primitive(lambda a: np.linalg.qr(a), [_qr_vjp], [_qr_jvp], name="linalg.qr", outputs=True)


@overrides(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """np.linalg.qr. A wide matrix has the Q of its first columns, and the other columns of R follow from it."""
    if mode not in ("reduced", "r"):
        raise TypeError(f"linalg.qr: mode={mode!r} has no rule here: use 'reduced' or 'r'")
    rows, columns = a.shape[-2:]
    result = tall_qr(a[..., :rows] if columns > rows else a)
    if columns > rows:
        q, r = result
        wide = np.concatenate([r, _t(q) @ a[..., rows:]], axis=-1)
        result = result._make((q, wide)) if hasattr(result, "_make") else (q, wide)
    return result[1] if mode == "r" else result
