"""eigh, eigvalsh and cholesky read one triangle: derivatives are those of the function as NumPy computes it."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(0)
FUNCTIONS: dict[str, Any] = {
    "eigvalsh": np.linalg.eigvalsh,
    "eigvalsh of the upper": lambda a: np.linalg.eigvalsh(a, UPLO="U"),
    "eigh, values": lambda a: np.linalg.eigh(a)[0],
    "eigh, vectors": lambda a: np.linalg.eigh(a)[1],
    "eigh of the upper, vectors": lambda a: np.linalg.eigh(a, UPLO="U")[1],
    "cholesky": np.linalg.cholesky,
}
if "upper" in inspect.signature(np.linalg.cholesky).parameters:
    FUNCTIONS["cholesky, upper"] = lambda a: np.linalg.cholesky(a, upper=True)


def definite(*shape: int) -> np.ndarray:
    a = RNG.standard_normal(shape)
    return a @ np.swapaxes(a, -1, -2) + np.diag(np.arange(1.0, 1 + shape[-1]))


SYMMETRIC = definite(3, 3)
MATRICES = {
    "symmetric": SYMMETRIC,
    "lower triangle": np.tril(SYMMETRIC) + np.triu(RNG.standard_normal((3, 3)), 1) * 1e-2,
    "upper triangle": np.triu(SYMMETRIC) + np.tril(RNG.standard_normal((3, 3)), -1) * 1e-2,
    "stack": definite(2, 3, 3),
}


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_the_function_as_it_is_computed(name: str, matrix: str) -> None:
    f, a = FUNCTIONS[name], MATRICES[matrix]
    assert np.allclose(f(tr.tensor(a)).data, f(a), rtol=1e-13)
    assert tr.gradcheck(f, [a], rtol=1e-5, atol=1e-7)
    weights = RNG.standard_normal(np.shape(f(a)))
    assert tr.gradcheck(tr.grad(lambda a: np.sum(weights * f(a))), [a], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_not_read_has_no_gradient(name: str) -> None:
    read = np.triu if "upper" in name else np.tril
    g = tr.grad(lambda a: np.sum(FUNCTIONS[name](a) * np.arange(1.0, 4)))(SYMMETRIC)
    assert np.array_equal(g, read(g)) and np.any(g)
    other = SYMMETRIC + 9 * (1 - read(np.ones((3, 3))))
    assert np.allclose(FUNCTIONS[name](SYMMETRIC), FUNCTIONS[name](other), rtol=1e-13)
    assert np.allclose(tr.grad(lambda a: np.sum(FUNCTIONS[name](a) * np.arange(1.0, 4)))(other), g)


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("uplo", ["L", "U"])
def test_eigh_as_autograd_has_it(uplo: str, matrix: str) -> None:
    autograd = pytest.importorskip("autograd")
    a = MATRICES[matrix]
    weights = RNG.standard_normal(a.shape)

    def loss(numpy: Any) -> Any:
        def f(a: Any) -> Any:
            values, vectors = numpy.linalg.eigh(a, uplo)
            return numpy.sum(values * weights[..., 0]) + numpy.sum(vectors**2 * weights)

        return f

    expected = autograd.grad(loss(autograd.numpy))(a)
    assert np.allclose(tr.grad(loss(np))(a), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["eigvalsh", "eigh", "cholesky"])
def test_shared_with_the_mirror_image_it_is_pytorchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    weights = RNG.standard_normal((3, 3))
    ours = {
        "eigvalsh": lambda a: np.sum(np.linalg.eigvalsh(a) * weights[0]),
        "eigh": lambda a: np.sum(np.linalg.eigh(a)[1] ** 2 * weights),
        "cholesky": lambda a: np.sum(np.linalg.cholesky(a) * weights),
    }[name]
    of_torch = torch.from_numpy(weights)
    theirs = {
        "eigvalsh": lambda a: (torch.linalg.eigvalsh(a) * of_torch[0]).sum(),
        "eigh": lambda a: (torch.linalg.eigh(a)[1] ** 2 * of_torch).sum(),
        "cholesky": lambda a: (torch.linalg.cholesky(a) * of_torch).sum(),
    }[name]
    a = torch.from_numpy(SYMMETRIC.copy()).requires_grad_()
    theirs(a).backward()
    g = tr.grad(ours)(SYMMETRIC)
    expected = a.grad.numpy()
    assert np.allclose((g + g.T) / 2, (expected + expected.T) / 2, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("executor", ["numpy", "jax"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_compiled_functions_read_the_same_triangle(matrix: str, executor: str) -> None:
    """JAX by itself would take the mean of both triangles; the sign of an eigenvector is its own."""
    if executor == "jax":
        pytest.importorskip("jax")
    a = MATRICES[matrix]
    for name, f in FUNCTIONS.items():
        found = tr.compile(lambda a, f=f: f(a) ** 2, executor=executor)(a)
        np.testing.assert_allclose(found.data, f(a) ** 2, rtol=1e-10, atol=1e-12, err_msg=name)


def test_another_triangle_is_refused() -> None:
    with pytest.raises(ValueError, match="UPLO is 'L' or 'U', not 'X'"):
        np.linalg.eigh(tr.tensor(SYMMETRIC), UPLO="X")
