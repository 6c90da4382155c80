"""A pytest plugin under which the test suite of HIPS autograd tests this package: it answers in autograd's place.

The suite comes with autograd's source distribution; CONTRIBUTING.md has the command. ``autograd.numpy`` is NumPy
itself, and ``check_grads`` is ours: differences, and with order 2 the gradient of a gradient. Complex arguments are
taken apart, since a Tensor is real; complex results count as two.
"""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.trees import leaves, rebuild


def joined(re: Any, im: Any) -> Any:
    """A complex argument from its parts, as NumPy or as a Tensor has it."""
    return re + 1j * im if type(re) is type(im) is np.ndarray else tr.ComplexTensor(re, im)


def real_arguments(args: Sequence[Any]) -> tuple[list[np.ndarray], Callable[..., list[Any]]]:
    """All numbers of some arguments, as real arrays; and what makes the arguments of such arrays."""
    found: list[np.ndarray] = []

    def take(tree: Any) -> Callable[[Any], Any]:
        if isinstance(tree, (tuple, list, dict)):
            takes = [take(part) for part in (tree.values() if isinstance(tree, dict) else tree)]
            return lambda given: rebuild(tree, [part(given) for part in takes])
        array = np.asarray(tree)
        place = len(found)
        if array.dtype.kind == "c":
            found.extend([array.real.copy(), array.imag.copy()])
            return lambda given: joined(given[place], given[place + 1])
        found.append(array.astype(np.float64))
        return lambda given: given[place]

    takes = [take(a) for a in args]
    return found, lambda *given: [part(given) for part in takes]


def real_result(result: Any) -> Any:
    """All numbers of a result in one real array."""
    parts = []
    for part in leaves(result):
        is_complex = isinstance(part, tr.ComplexTensor) or np.iscomplexobj(part)
        parts += [np.ravel(np.real(part)), np.ravel(np.imag(part))] if is_complex else [np.ravel(part)]
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def check_grads(f: Any, argnum: Any = None, modes: Any = None, order: int = 2) -> Callable[..., None]:
    """Check gradients of a function up to an order, as autograd's own ``check_grads`` does."""

    def check(*args: Any, **keywords: Any) -> None:
        numbers = range(len(args)) if argnum is None else argnum if isinstance(argnum, (tuple, list)) else [argnum]
        inputs, build = real_arguments([args[i] for i in numbers])

        def real(*given: Any) -> Any:
            whole = list(args)
            for i, argument in zip(numbers, build(*given)):
                whole[i] = argument
            return real_result(f(*whole, **keywords))

        assert tr.gradcheck(real, inputs, rtol=1e-4, atol=1e-6)
        if order > 1:
            weights = np.random.default_rng(0).normal(size=real(*inputs).shape)
            gradient = tr.grad(lambda *given: np.sum(weights * real(*given)), argnums=tuple(range(len(inputs))))
            assert tr.gradcheck(lambda *given: real_result(list(gradient(*given))), inputs, rtol=1e-3, atol=1e-5)

    return check


def combo_check(f: Any, argnums: Any = None, modes: Any = None, order: int = 2) -> Callable[..., None]:
    """Check a function on all combinations of arguments, and of keywords."""

    def check(*args: Any, **keywords: Any) -> None:
        options = [[(name, value) for value in values] for name, values in keywords.items()]
        for given in itertools.product(*args):
            for chosen in itertools.product(*options):
                check_grads(f, argnums, modes, order)(*given, **dict(chosen))

    return check


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers are nearly the same."""
    return abs(a - b) < 1e-5 or abs(a - b) / abs(a + b) < 1e-5


def pytest_configure() -> None:
    """Put modules of these names where ``import autograd`` finds them: only in a run that has this as its plugin."""
    modules = {name: types.ModuleType(name) for name in ("autograd", "autograd.numpy", "autograd.test_util")}
    vars(modules["autograd.numpy"]).update(vars(np))
    for name in ("random", "linalg", "fft"):
        modules[f"autograd.numpy.{name}"] = getattr(np, name)
    vars(modules["autograd.test_util"]).update(
        check_grads=check_grads, combo_check=combo_check, scalar_close=scalar_close
    )
    vars(modules["autograd"]).update(
        numpy=modules["autograd.numpy"], test_util=modules["autograd.test_util"], isinstance=isinstance,
        grad=lambda f, argnum=0: tr.grad(f, argnums=argnum), deriv=lambda f, argnum=0: tr.grad(f, argnums=argnum),
        value_and_grad=lambda f, argnum=0: tr.value_and_grad(f, argnums=argnum), jacobian=tr.jacobian,
    )  # fmt: skip
    sys.modules.update(modules)
