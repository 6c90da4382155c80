"""Complex numbers as pairs of real arrays: results of Fourier transforms, before they become real numbers again.

A Tensor holds real numbers, but its Fourier transform is complex. Few operations are usual on that: it is multiplied
with a filter, transformed back, or its size or phase is taken. So it is a pair of Tensors, real and imaginary part, and
each operation on the pair consists of a few on these; none needs a rule. All other operations raise an error that names
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..registry import OVERRIDES, Primitive, name_of


class ComplexTensor(NDArrayOperatorsMixin):
    """Complex numbers, as two arrays: the result of ``np.fft`` for a Tensor.

    It takes arithmetic, products, ``np.abs``, ``np.angle``, ``np.conj``, ``np.exp``, the transforms of ``np.fft`` and
    what moves or sums elements; ``real`` and ``imag`` lead back to Tensors. As an argument of ``tr.grad`` and its
    like, and as a result of a compiled function, it is a pair of arrays.

    Args:
        real: the real parts, a Tensor or an array.
        imag: the imaginary parts; both are broadcast to one shape.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> x = tr.tensor([1.0, 2.0, 4.0, 3.0], requires_grad=True)
        >>> power = np.sum(np.abs(np.fft.rfft(x)) ** 2)
        >>> power.backward()
        >>> x.grad.round(12).tolist()
        [14.0, 18.0, 26.0, 22.0]
    """

    __slots__ = ("imag", "real")

    def __init__(self, real: Any, imag: Any) -> None:
        shape = np.broadcast_shapes(np.shape(real), np.shape(imag))
        self.real, self.imag = (
            part if np.shape(part) == shape else np.broadcast_to(part, shape) for part in (real, imag)
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(np.shape(self.real))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.size(self.real))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return np.result_type(self.real.dtype, np.complex64)

    @property
    def T(self) -> Any:
        """The transpose: all axes in reverse order."""
        return np.transpose(self)

    def numpy(self) -> np.ndarray:
        """The values, as an array of complex numbers."""
        real, imag = (part.numpy() if hasattr(part, "numpy") else part for part in (self.real, self.imag))
        return real + 1j * imag

    def conj(self) -> Any:
        """The complex conjugates."""
        return np.conjugate(self)

    def reshape(self, *shape: Any) -> Any:
        """The numbers in another shape, given as one tuple or as several ints; see ``np.reshape``."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum along axes; see ``np.sum``."""
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean along axes; see ``np.mean``."""
        return np.mean(self, axis=axis, keepdims=keepdims)

    def __len__(self) -> int:
        return len(self.real)

    def __getitem__(self, index: Any) -> Any:
        return ComplexTensor(self.real[index], self.imag[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.real) + 1j * np.asarray(self.imag)  # Tensors refuse where a gradient would be lost

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__":
            raise _refused(f"{ufunc.__name__}.{method}")
        return on_complex(ufunc, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        return on_complex(function, args, keywords)

    def __repr__(self) -> str:
        return f"ComplexTensor({self.real!r}, {self.imag!r})"

    # --- a tree of its parts -----------------------------------------------------------------------------------------

    def _tree_children(self) -> list[Any]:
        return [self.real, self.imag]

    def _tree_keys(self) -> list[str]:
        return ["real", "imag"]

    def _tree_rebuild(self, parts: list[Any]) -> ComplexTensor:
        return ComplexTensor(*parts)


def real_part(a: Any) -> Any:
    """The real part of complex numbers of any kind; real numbers as they are."""
    return a.real if _is_complex(a) else a


def imaginary_part(a: Any) -> Any:
    """The imaginary part of complex numbers of any kind; None for real numbers."""
    return a.imag if _is_complex(a) else None


def _is_complex(a: Any) -> bool:
    return isinstance(a, (ComplexTensor, complex)) or getattr(getattr(a, "dtype", None), "kind", "") == "c"


def _refused(name: str) -> TypeError:
    return TypeError(
        f"np.{name} is not among what a complex result of a Tensor can do. Write it with the real and the imaginary "
        "part, z.real and z.imag, which are Tensors."
    )


# --- element by element ----------------------------------------------------------------------------------------------


def _sum(a: Any, b: Any) -> Any:
    """The sum of two parts, either of which may be missing."""
    return b if a is None else a if b is None else a + b


def _sum_of_products(product: Callable[[Any, Any], Any], a: Any, b: Any) -> ComplexTensor:
    """A function that is linear in each of two complex arguments, from the function for real ones."""
    (ar, ai), (br, bi) = ((real_part(x), imaginary_part(x)) for x in (a, b))
    of_imaginary = None if ai is None or bi is None else -product(ai, bi)
    crossed = _sum(None if ai is None else product(ai, br), None if bi is None else product(ar, bi))
    return ComplexTensor(_sum(product(ar, br), of_imaginary), crossed)


def _add(a: Any, b: Any) -> ComplexTensor:
    return ComplexTensor(real_part(a) + real_part(b), _sum(imaginary_part(a), imaginary_part(b)))


def _negative(a: Any) -> ComplexTensor:
    return ComplexTensor(-a.real, -a.imag)


def _multiply(a: Any, b: Any) -> ComplexTensor:
    return _sum_of_products(np.multiply, a, b)


def _divide(a: Any, b: Any) -> ComplexTensor:
    if not _is_complex(b):
        return ComplexTensor(a.real / b, a.imag / b)
    return _multiply(a, _reciprocal(b))


def _reciprocal(a: Any) -> ComplexTensor:
    size = a.real * a.real + a.imag * a.imag
    return ComplexTensor(a.real / size, -a.imag / size)


def _power(a: Any, b: Any) -> ComplexTensor:
    if not isinstance(b, (int, float)) or int(b) != b or b < 1:
        raise _refused(f"power of complex numbers to the exponent {b!r}, other than a whole number from 1,")
    result = a
    for _ in range(int(b) - 1):
        result = result * a
    return result


def _exp(a: Any) -> ComplexTensor:
    size = np.exp(a.real)
    return ComplexTensor(size * np.cos(a.imag), size * np.sin(a.imag))


ELEMENTWISE: dict[Any, Callable[..., Any]] = {
    np.add: _add,
    np.subtract: lambda a, b: _add(a, -b if _is_complex(b) else np.negative(b)),
    np.negative: _negative,
    np.positive: lambda a: a,
    np.multiply: _multiply,
    np.divide: _divide,
    np.reciprocal: _reciprocal,
    np.power: _power,
    np.square: lambda a: _multiply(a, a),
    np.exp: _exp,
    np.log: lambda a: ComplexTensor(np.log(np.abs(a)), np.angle(a)),
    np.conjugate: lambda a: ComplexTensor(a.real, -a.imag),
    np.absolute: lambda a: np.hypot(a.real, a.imag),
    np.angle: lambda z, deg=False: np.degrees(np.arctan2(z.imag, z.real)) if deg else np.arctan2(z.imag, z.real),
    np.real: lambda val: val.real,
    np.imag: lambda val: val.imag,
}

# --- whole arrays ----------------------------------------------------------------------------------------------------

PRODUCTS = {np.matmul, np.dot, np.outer, np.inner, np.tensordot, np.kron}

# These do the same to real and imaginary parts: they only move elements, or add them up.
PART_BY_PART = {
    np.sum, np.mean, np.cumsum, np.diff, np.trace, np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis,
    np.squeeze, np.expand_dims, np.broadcast_to, np.copy, np.roll, np.flip, np.fliplr, np.flipud, np.rot90, np.tile,
    np.repeat, np.take, np.diag, np.diagonal, np.tril, np.triu, np.pad, np.concatenate, np.stack, np.vstack, np.hstack,
    np.split, np.array_split, np.where, np.fft.fftshift, np.fft.ifftshift,
}  # fmt: skip

# Functions for which the real part is enough.
BY_SHAPE = {np.shape, np.ndim, np.size}

# Functions of rules that can handle pairs.
AWARE: set[Any] = set()


def on_complex(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Run a function, or a primitive, with a ComplexTensor among its arguments.

    Raises:
        TypeError: the function isn't written for pairs.
    """
    if isinstance(function, Primitive):
        function = next((f for f, op in OVERRIDES.items() if op is function), function)
    if function in ELEMENTWISE:
        return ELEMENTWISE[function](*args, **keywords)
    if function in PRODUCTS:
        return _sum_of_products(lambda a, b: function(a, b, *args[2:], **keywords), args[0], args[1])
    if function in PART_BY_PART:
        real, imag = (function(*_parts(function, args, part), **keywords) for part in (real_part, _imaginary_or_0))
        return (
            [ComplexTensor(*pair) for pair in zip(real, imag)] if isinstance(real, list) else ComplexTensor(real, imag)
        )
    if function in AWARE:
        return OVERRIDES[function](*args, **keywords)
    if function in BY_SHAPE:
        return function(args[0].real, *args[1:], **keywords)
    raise _refused(function.name if isinstance(function, Primitive) else name_of(function))


def _imaginary_or_0(a: Any) -> Any:
    return a.imag if _is_complex(a) else np.zeros_like(a, dtype=np.result_type(a, np.float32))


def _parts(function: Any, args: tuple[Any, ...], part: Callable[[Any], Any]) -> list[Any]:
    """The arguments of a function with each array's real or imaginary part in its place."""
    if function is np.where:
        return [args[0], part(args[1]), part(args[2])]
    first = [part(a) for a in args[0]] if isinstance(args[0], (list, tuple)) else part(args[0])
    return [first, *args[1:]]
