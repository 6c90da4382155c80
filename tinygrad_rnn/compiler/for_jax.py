"""``to_jax``: it turns a function in plain NumPy into a function for JAX programs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.did_you_mean import check_function
from ..autodiff.errors import CannotCompile
from ..autodiff.extras import pip_install
from ..autodiff.tensor import Tensor
from ..autodiff.trees import leaves, tree_map, unflatten
from .generate import scheduled
from .loops.fission import Cheap
from .program.program import Program
from .program.tracing import traced


def to_jax(
    function: Callable[..., Any], *, parameters: Mapping[str, Tensor] | None = None, own_gradient: bool = True
) -> Callable[..., Any]:
    """Turn a function in plain NumPy into one of JAX arrays, for ``jax.jit``, ``jax.vmap``, ``jax.grad`` and meshes.

    The function is traced and split as ``compile`` does it, each time that JAX calls it: so put it into ``jax.jit``.

    Args:
        function: takes arrays, trees of arrays, and settings; returns an array or a tree of arrays.
        parameters: Tensors that the function uses, by name, and that JAX is to pass as an argument: the first argument
            of the new function is a dict of arrays with these names. All other Tensors become constants, with the
            data that they have when the function is traced.
        own_gradient: whether JAX uses this package's backward pass, which is faster, as the derivative. JAX can't
            differentiate that again, nor push tangents forward. With False, JAX differentiates the forward pass by
            its own rules, to any order.

    Returns:
        The new function. Its types are limited to those that JAX has: set ``jax_enable_x64`` for float64. If an index
        points past the end of an axis, or a matrix has no inverse, all results are NaN.

    Raises:
        ImportError: JAX isn't installed.
        CannotCompile: (when called) as for ``compile``; or something is float64, which JAX has switched off.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> cell = tr.nn.RNNCell(3, 4, seed=0)
        >>> loss = tr.to_jax(lambda xs: np.mean(tr.unroll(cell, xs)[0] ** 2), parameters=dict(cell.named_parameters()))
        >>> weights = {name: parameter.numpy() for name, parameter in cell.named_parameters()}
        >>> gradients = jax.jit(jax.grad(loss))(weights, np.ones((7, 2, 3), np.float32))
        >>> {name: g.shape for name, g in gradients.items()}
        {'U': (3, 4), 'W': (4, 4), 'b': (4,)}
    """
    check_function("to_jax", function)
    if importlib.util.find_spec("jax") is None:
        raise ImportError(f"to_jax makes functions for JAX: {pip_install('jax')}")

    def of_arguments(values: Mapping[str, Any], args: tuple[Any, ...]) -> Any:
        from .jax_code.differentiable import with_own_gradient, without_gradient

        arrays = [a for a in leaves(args) if _is_array(a)]
        program = traced(function, tree_map(_stand_in, args), [function])
        _check_types(program)
        if own_gradient:
            wanted = [v.dtype.kind == "f" for v in program.inputs]
            run = with_own_gradient(scheduled(program, wanted, Cheap.SLICES_BEFORE))
        else:
            run = without_gradient(scheduled(program, [], Cheap.SLICES_BEFORE))
        outputs = run(*arrays, *_captured(program.captured, parameters or {}, values))
        return unflatten(program.result, outputs)

    if parameters is None:
        return lambda *args: of_arguments({}, args)
    return lambda values, *args: of_arguments(values, args)


def _is_array(a: Any) -> bool:
    return hasattr(a, "dtype") and hasattr(a, "shape") and not isinstance(a, np.generic)


def _stand_in(a: Any) -> Any:
    """An array of this form that takes no memory; anything else unchanged."""
    return np.broadcast_to(np.zeros((), a.dtype), a.shape) if _is_array(a) else a


def _captured(tensors: Sequence[Tensor], parameters: Mapping[str, Tensor], values: Mapping[str, Any]) -> Iterator[Any]:
    """The arrays for Tensors that a function uses."""
    if values.keys() != parameters.keys():
        differing = sorted(values.keys() ^ parameters.keys())
        raise ValueError(
            f"to_jax: the first argument has an array for each of parameters=; {differing[0]!r} is in one alone"
        )
    names = {id(parameter): name for name, parameter in parameters.items()}
    for tensor in tensors:
        if id(tensor) not in names:
            yield tensor.numpy()
            continue
        value = values[names[id(tensor)]]
        if np.shape(value) != tensor.shape:
            raise ValueError(
                f"to_jax: {names[id(tensor)]!r} is of shape {np.shape(value)}, and the parameter of {tensor.shape}"
            )
        yield value


def _check_types(program: Program) -> None:
    from .jax_code.precision import as_jax_has_it

    for value in [*program.inputs, *program.outputs]:
        if value.dtype.kind == "f" and as_jax_has_it(value.dtype) != value.dtype:
            raise CannotCompile(
                f"to_jax: {value.name or 'an array'} of shape {value.shape} is {value.dtype}, which JAX has only after "
                'jax.config.update("jax_enable_x64", True). Set that, or use float32.'
            )
