"""Samples of products, inverses and decompositions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.autodiff.sampling import on, real, square_matrices

STACK = (2, 3)  # two axes, of unequal size: with one or none, an axis counted from the wrong end may be the right one

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
    (np.inner, [real(2, 3), real(4, 3)]),
    (np.inner, [real(2, 3), real(2, 1, 3)]),
    (np.inner, [real(3), real(3)]),
    (np.inner, [real(), real(3)]),
)
on(np.outer, analytic=True)((np.outer, [real(2), real(3)]), (np.outer, [real(2, 2), real(3)]))
on(np.tensordot, analytic=True)(
    (np.tensordot, [real(2, 3, 2), real(3, 2, 2)]),
    (lambda x, y: np.tensordot(x, y, axes=1), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.tensordot(x, y, axes=0), [real(2), real(3)]),
    (lambda x, y: np.tensordot(x, y, axes=([0, -1], [1, 0])), [real(2, 3, 2), real(2, 2, 3)]),
    (lambda x, y: np.tensordot(x, y, axes=(0, 1)), [real(2, 3), real(3, 2)]),
)
if hasattr(np, "vecdot"):
    on(np.vecdot)((np.vecdot, [real(2, 3), real(3)]), (lambda x, y: np.vecdot(x, y, axis=0), [real(3, 2), real(3, 1)]))
if hasattr(np, "matvec"):
    on(np.matvec)((np.matvec, [real(2, 3), real(3)]), (np.matvec, [real(2, 4, 3), real(2, 1, 3)]))
    on(np.vecmat)((np.vecmat, [real(2), real(2, 3)]), (np.vecmat, [real(2, 1, 4), real(2, 4, 3)]))
on(np.einsum, analytic=True)(
    (lambda x, y: np.einsum("ij,jk->ik", x, y), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.einsum("ij,jk", x, y), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.einsum(x, [7, 30], y, [30, 2]), [real(2, 3), real(3, 2)]),
    (lambda x, y: np.einsum(x, [..., 0, 1], y, [1, 2], [..., 2, 0]), [real(2, 2, 3), real(3, 2)]),
    (lambda x: np.einsum(x, [0, 0]), [real(3, 3)]),
    (lambda x: np.einsum(x, [1, 0], []), [real(2, 3)]),
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
    (lambda x: np.einsum(",ij->ij", 2.0, x), [real(2, 3)]),
    (lambda x: np.einsum("i,ij", [1.0, 2.0], x), [real(2, 3)]),
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
for _n in (0, 3):
    on(np.linalg.matrix_power)((lambda x, n=_n: np.linalg.matrix_power(x, n), [square_matrices(*STACK, 2, 2) / 2]))

# --- decompositions --------------------------------------------------------------------------------------------------


def _definite(x: Any) -> Any:
    """A symmetric matrix, positive definite, with eigenvalues of its own, of any matrix."""
    return x @ np.swapaxes(x, -1, -2) + np.diag(np.arange(1.0, 1 + x.shape[-2]))


on(np.linalg.inv, analytic=True)(
    (np.linalg.inv, [square_matrices(3, 3)]), (np.linalg.inv, [square_matrices(*STACK, 2, 2)])
)
on(np.linalg.det, analytic=True)(
    (np.linalg.det, [square_matrices(3, 3)]),
    (np.linalg.det, [square_matrices(*STACK, 2, 2)]),
    (np.linalg.det, [real(1, 1)]),
)
on(np.linalg.slogdet)(
    (lambda x: np.linalg.slogdet(x)[1], [square_matrices(3, 3)]),
    (lambda x: np.linalg.slogdet(-x).logabsdet, [square_matrices(*STACK, 2, 2)]),
    (lambda x: np.linalg.slogdet(x)[0] * x, [square_matrices(2, 2)]),
)
on(np.linalg.solve, analytic=True)(
    (np.linalg.solve, [square_matrices(3, 3), real(3)]),
    (np.linalg.solve, [square_matrices(3, 3), real(3, 2)]),
    (np.linalg.solve, [square_matrices(*STACK, 2, 2), real(*STACK, 2, 1)]),
    (np.linalg.solve, [square_matrices(2, 2), real(3, 2, 1)]),
    (lambda b: np.linalg.solve(np.diag([1.0, 2.0]), b), [real(2)]),
    (lambda a: np.linalg.solve(a, np.ones(2)), [square_matrices(2, 2)]),
)
on(np.linalg.pinv)(
    (np.linalg.pinv, [real(3, 2)]),
    (np.linalg.pinv, [real(2, 3)]),
    (np.linalg.pinv, [real(*STACK, 3, 2)]),
    (lambda x, y: np.linalg.pinv(x @ y, rcond=1e-5), [real(3, 1), real(1, 2)]),
)
on(np.linalg.cholesky)(
    (lambda x: np.linalg.cholesky(_definite(x)), [real(3, 3)]),
    (lambda x: np.linalg.cholesky(_definite(x)), [real(*STACK, 2, 2)]),
)
on(np.linalg.eigh)(
    (lambda x: np.linalg.eigh(_definite(x))[0], [real(3, 3)]),
    (lambda x: np.linalg.eigh(_definite(x))[1], [real(3, 3)]),
    (lambda x: np.linalg.eigh(_definite(x)).eigenvectors * np.linalg.eigh(_definite(x)).eigenvalues, [real(2, 2, 2)]),
    (lambda x: np.linalg.eigvalsh(_definite(x)), [real(*STACK, 2, 2)]),
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
    (lambda x: np.linalg.svd(x).S, [square_matrices(*STACK, 2, 2)]),
    (lambda x: np.linalg.svd(x, compute_uv=False), [real(2, 3)]),
    (lambda x: np.linalg.svd(x, full_matrices=False).Vh, [real(2, 3)]),
)
on(np.linalg.qr)(
    (lambda x: np.linalg.qr(x)[0], [real(4, 3)]),
    (lambda x: np.linalg.qr(x)[1], [real(3, 3)]),
    (lambda x: np.linalg.qr(x).Q @ np.sin(np.linalg.qr(x).R), [real(2, 4)]),
    (lambda x: np.linalg.qr(x, mode="r"), [real(3, 2)]),
    (lambda x: np.linalg.qr(x)[1], [real(*STACK, 3, 2)]),
    (lambda x: np.linalg.qr(x)[1], [real(2, 2, 3)]),
)

# --- NumPy 2's second names ------------------------------------------------------------------------------------------

_SECOND_NAMES: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "matmul": (lambda f, x, y: f(x, y), [real(2, 3), real(3, 2)]),
    "outer": (lambda f, x, y: f(x, y), [real(2), real(3)]),
    "tensordot": (lambda f, x, y: f(x, y, axes=1), [real(2, 3), real(3, 2)]),
    "cross": (lambda f, x, y: f(x, y), [real(2, 1, 3), real(2, 3, seed=1)]),
    "vecdot": (lambda f, x, y: f(x, y), [real(2, 1, 3), real(2, 3, seed=1)]),
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
