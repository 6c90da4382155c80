"""A JAX array for code written in NumPy.

The forward pass of an operation isn't written a second time for JAX. It runs on ``StandIn``s, which speak NumPy's
protocols and hand each function to its namesake in ``jax.numpy``, with operands in the type that NumPy would bring
them to.

Code that would look at elements, or make an ndarray of them, is refused. Otherwise it would iterate over JAX's arrays
without end: they raise no IndexError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from ...autodiff.errors import CannotCompile
from ...autodiff.registry import Primitive, name_of
from ...autodiff.rules.arrays import in_real_numbers
from . import by_element
from .precision import as_jax_has_it

# Replacements for a primitive's forward pass, or for a function that JAX lacks.
TOLD_ANEW: dict[Any, Callable[..., Any]] = {}

REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min", np.logical_and: "all",
              np.logical_or: "any"}  # fmt: skip
ABOUT_FORM = {np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.isrealobj, np.iscomplexobj,
              np.may_share_memory}  # fmt: skip
SHORTER_POWERS: dict[Any, Any] = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


class NoJaxForm(CannotCompile):
    """The error for an operation without a known JAX form."""


def no_form(name: str, why: str = "") -> NoJaxForm:
    """The error for an operation that JAX can't run."""
    because = f" ({why.rstrip('.')})" if why else ""
    return NoJaxForm(
        f"{name} has no form in JAX that is known here{because}. Write it with other functions, or run it with "
        'executor="numpy".'
    )


def _method(name: str) -> Callable[..., Any]:
    return lambda self, *args, **keywords: getattr(np, name)(self, *args, **keywords)


class StandIn(np.lib.mixins.NDArrayOperatorsMixin):
    """A stand-in for a JAX array.

    Attributes:
        array: that array; inside a traced function JAX's own tracer.
    """

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    dtype = property(lambda self: self.array.dtype)
    T = property(lambda self: StandIn(self.array.T))
    real = property(lambda self: StandIn(self.array.real))
    imag = property(lambda self: StandIn(self.array.imag))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "reduce":
            return _reduced(ufunc, *inputs, **keywords)
        out = keywords.pop("out", (None,))[0]
        if method != "__call__" or keywords:
            raise no_form(f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))
        result = _by_element(ufunc, inputs)
        if out is None:
            return result
        out.array = result.array.astype(out.dtype)  # as ``a -= b`` of an array that a forward pass has made
        return out

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        if function is np.mean or function.__module__ == "numpy.linalg":  # JAX's take whole numbers in single precision
            args = tuple(map(in_real_numbers, args))
        if isinstance(function, Primitive) or function in TOLD_ANEW:
            return run(function, args, keywords)
        if function in ABOUT_FORM:
            return function(*_replaced(args, _like), **_replaced(keywords, _like))
        if function in COMMON_TYPE:
            args = COMMON_TYPE[function](*args)
        if function in (np.sort, np.argsort):  # JAX's are stable, as NumPy's may be for any kind
            keywords = {name: a for name, a in keywords.items() if name != "kind"}
        return lifted(_namesake(function)(*plain(args), **plain(keywords)))

    def __pow__(self, exponent: Any) -> Any:
        """The power, as ndarray computes it: special exponents use other functions, which differ at -0.0 and -inf."""
        shorter = None if isinstance(exponent, StandIn) else SHORTER_POWERS.get(exponent)
        is_root = shorter in (np.sqrt, np.reciprocal)
        return np.power(self, exponent) if shorter is None or (is_root and self.dtype.kind != "f") else shorter(self)

    def __getitem__(self, index: Any) -> StandIn:
        return StandIn(self.array[plain(index)])

    def __len__(self) -> int:
        return len(self.array)

    def astype(self, dtype: Any, copy: bool = True) -> StandIn:
        """The same numbers in another dtype; see ``ndarray.astype``."""
        return StandIn(self.array.astype(as_jax_has_it(dtype)))

    def reshape(self, *shape: Any) -> StandIn:
        """The same numbers in another shape; see ``ndarray.reshape``."""
        return StandIn(self.array.reshape(*shape))

    def copy(self) -> StandIn:
        """A copy; see ``ndarray.copy``."""
        return StandIn(self.array)

    # As ndarray's: NumPy's functions of these names.
    sum, mean, max, min, prod, any, all, ravel, squeeze, swapaxes = (
        _method(name) for name in ["sum", "mean", "max", "min", "prod", "any", "all", "ravel", "squeeze", "swapaxes"]
    )

    # --- what is refused ---------------------------------------------------------------------------------------------

    def _looks_at_values(self, *args: Any, **keywords: Any) -> NoReturn:
        raise no_form("a forward pass that looks at elements, or makes an ndarray of them,")

    __array__ = __iter__ = __bool__ = __int__ = __float__ = __index__ = _looks_at_values
    __hash__ = object.__hash__


def run(op: Any, args: Any, keywords: Any) -> Any:
    """The result of an operation on StandIns, arrays and numbers: by its replacement, or by its own forward pass."""
    return TOLD_ANEW.get(op, getattr(op, "forward", op))(*args, **keywords)


def plain(tree: Any) -> Any:
    """The arrays that StandIns stand for, also inside tuples, lists and dicts."""
    return _replaced(tree, lambda a: a.array)


def lifted(tree: Any) -> Any:
    """StandIns for JAX arrays, also inside tuples and lists."""
    if isinstance(tree, jax.Array):
        return StandIn(tree)
    if isinstance(tree, (tuple, list)):
        return _of_kind(tree, map(lifted, tree))
    return tree


def _replaced(tree: Any, of: Callable[[StandIn], Any]) -> Any:
    if isinstance(tree, StandIn):
        return of(tree)
    if isinstance(tree, (tuple, list)):
        return _of_kind(tree, (_replaced(part, of) for part in tree))
    if isinstance(tree, dict):
        return {key: _replaced(part, of) for key, part in tree.items()}
    return tree


def _of_kind(sequence: Any, parts: Iterable[Any]) -> Any:
    """A tuple, named or not, or a list of these parts."""
    return sequence._make(parts) if hasattr(sequence, "_make") else type(sequence)(parts)


def _like(a: StandIn) -> np.ndarray:
    """An ndarray of the same form, which takes no memory."""
    return np.broadcast_to(np.zeros((), a.dtype), a.shape)


def _namesake(function: Any) -> Any:
    name, module = function.__name__, function.__module__ or ""
    parts = {"numpy.linalg": jnp.linalg, "numpy.fft": jnp.fft}
    home = next((part for start, part in parts.items() if module.startswith(start)), jnp)
    found = getattr(home, name, None)
    if found is None:
        raise no_form(f"np.{name_of(function)}")
    return found


# --- types -----------------------------------------------------------------------------------------------------------


def _type_of(a: Any) -> Any:
    """The type of an operand, as NumPy's rules see it: a Python number adapts to the arrays beside it."""
    if isinstance(a, StandIn):
        kind = a.dtype.kind
        return {"i": int, "f": float}[kind] if getattr(a.array, "weak_type", False) and kind in "if" else a.dtype
    if type(a) in (int, float, complex):
        return type(a)
    return np.asarray(a).dtype


def _by_element(ufunc: np.ufunc, inputs: Any) -> Any:
    result = by_element.computed(ufunc, plain(inputs), [_type_of(a) for a in inputs])
    if result is None:
        raise no_form(f"np.{ufunc.__name__}")
    return lifted(result)


def _reduced(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, **others: Any) -> Any:
    name = REDUCTIONS.get(ufunc)
    if name is None:
        raise no_form(f"np.{ufunc.__name__}.reduce")
    if dtype is None:  # NumPy sums small integers in a larger type
        dtype = ufunc.reduce(np.ones(1, a.dtype)).dtype
    return lifted(getattr(jnp, name)(a.array.astype(dtype), axis=axis, keepdims=keepdims, **plain(others)))


def _together(*arrays: Any) -> Any:
    """Arrays and numbers, all in NumPy's common type."""
    kinds = [_type_of(a) for a in arrays]
    dtype = np.result_type(*(kind(0) if isinstance(kind, type) else kind for kind in kinds))
    return [jnp.asarray(plain(a), dtype) for a in arrays]


# Functions that convert their operands to one type, or accept lists; each entry prepares the arguments for JAX.
COMMON_TYPE: dict[Any, Callable[..., Any]] = {
    np.where: lambda condition, *choices: (condition, *_together(*choices)),
    np.concatenate: lambda arrays, *rest: (_together(*arrays), *rest),
    np.stack: lambda arrays, *rest: (_together(*arrays), *rest),
    np.einsum: lambda subscripts, *operands: (subscripts, *_together(*operands)),
    np.dot: lambda a, b, *rest: (*_together(a, b), *rest),
    np.tensordot: lambda a, b, *rest: (*_together(a, b), *rest),
    np.linalg.solve: lambda a, b, *rest: (*_together(a, b), *rest),
    np.clip: lambda a, *bounds: _clipped_together(a, bounds),
    np.polyval: lambda p, x: (np.asarray(p), x),  # JAX takes no tuples for arrays
}


def _clipped_together(a: Any, bounds: Any) -> Any:
    given = iter(_together(a, *(bound for bound in bounds if bound is not None)))
    return next(given), *(None if bound is None else next(given) for bound in bounds)
