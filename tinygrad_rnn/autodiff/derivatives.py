"""Whole derivatives, and products with them: Jacobians, Hessians, Gauss-Newton. All are made of ``vjp`` and ``jvp``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .array_node import value_of
from .transforms import both_ways, check_positions, grad, jvp
from .trees import leaves, unflatten

Shape = tuple[int, ...]


def _shapes(tree: Any) -> list[Shape]:
    return [np.shape(value_of(leaf)) for leaf in leaves(tree)]


def _units(tree: Any, k: int) -> Iterator[Any]:
    """The unit trees for the k-th array of a tree: for each of its elements, a tree with 1 there and 0 elsewhere."""
    shapes = _shapes(tree)
    for index in np.ndindex(shapes[k]):
        arrays = [np.zeros(shape) for shape in shapes]
        arrays[k][index] = 1
        yield unflatten(tree, iter(arrays))


def _block(parts: list[Any], axis: int, shape: Shape) -> Any:
    """The derivative of one array by one other; also if one of them is empty."""
    return np.reshape(np.stack(parts, axis=axis), shape) if parts else np.zeros(shape)


def _by_reverse(value: Any, pull_back: Callable[[Any], Any], argument: Any) -> Any:
    """The Jacobian by reverse mode: a backward walk for each element of the result."""
    blocks = []
    for k, of_result in enumerate(_shapes(value)):
        rows = [leaves(pull_back(unit)[0]) for unit in _units(value, k)]
        parts = [_block([row[j] for row in rows], 0, of_result + shape) for j, shape in enumerate(_shapes(argument))]
        blocks.append(unflatten(argument, iter(parts)))
    return unflatten(value, iter(blocks))


def _by_forward(value: Any, push_forward: Callable[[Any], Any], argument: Any) -> Any:
    """The Jacobian by forward mode: a forward walk for each element of the argument."""
    columns = [[leaves(push_forward(unit)) for unit in _units(argument, j)] for j in range(len(_shapes(argument)))]
    blocks = []
    for k, of_result in enumerate(_shapes(value)):
        parts = [
            _block([column[k] for column in columns[j]], -1, of_result + shape)
            for j, shape in enumerate(_shapes(argument))
        ]
        blocks.append(unflatten(argument, iter(parts)))
    return unflatten(value, iter(blocks))


def _size(tree: Any) -> int:
    return sum(int(np.prod(shape)) for shape in _shapes(tree))


def _jacobian(f: Callable[..., Any], argnums: int | Sequence[int], mode: str) -> Callable[..., Any]:
    @functools.wraps(f)
    def differentiated(*args: Any, **keywords: Any) -> Any:
        def of_chosen(chosen: Any) -> Any:
            filled = list(args)
            for i, a in [(argnums, chosen)] if isinstance(argnums, int) else zip(argnums, chosen):
                filled[i] = a
            return f(*filled, **keywords)

        check_positions(argnums, args)
        chosen = args[argnums] if isinstance(argnums, int) else tuple(args[i] for i in argnums)
        value, pull_back, push_forward = both_ways(of_chosen, chosen)
        forward = _size(chosen) < _size(value) if mode == "shorter" else mode == "forward"
        return _by_forward(value, push_forward, chosen) if forward else _by_reverse(value, pull_back, chosen)

    return differentiated


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``f``, by forward mode if there are fewer inputs than results.

    Args:
        f: a function that returns an array or a tree of arrays.
        argnums: the position(s) of the argument(s) to differentiate by; each an array, a number or a tree of them.

    Returns:
        A function of the same arguments. For one array by another, it returns an array of shape (result's) +
        (argument's); for trees, a tree like the result, of trees like the argument.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.jacobian(lambda x: x**2)(np.array([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    return _jacobian(f, argnums, "shorter")


def jacrev(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """``jacobian``, row by row in reverse mode: one backward walk for each element of the result."""
    return _jacobian(f, argnums, "reverse")


def jacfwd(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """``jacobian``, column by column in forward mode: one forward walk for each element of the argument."""
    return _jacobian(f, argnums, "forward")


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns all second derivatives of ``f``, which returns one number (or an array of several).

    Args:
        f: a function that returns an array or a tree of arrays.
        argnums: the position(s) of the argument(s) to differentiate by, twice.

    Returns:
        A function of the same arguments. For an array x it returns an array of shape (result's) + (x's) + (x's).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> tr.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0])).tolist()
        [[4.0, 2.0], [2.0, 0.0]]
    """
    return jacfwd(jacrev(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """The Hessian of ``f`` times a direction, at the cost of a few gradients: forward mode over reverse mode.

    Args:
        f: a function that returns one number.
        primals: the arguments of ``f``, a sequence of arrays or trees of them.
        tangents: the direction, in the same shape.

    Returns:
        A tuple with the product's part for each argument.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> (product,) = tr.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
        >>> product.tolist()
        [6.0, 12.0]
    """
    product: tuple[Any, ...] = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)[1]
    return product


def gnvp(
    model: Callable[..., Any], loss: Callable[[Any], Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, ...]:
    """The Gauss-Newton matrix of ``loss(model(...))`` times a direction: Jᵀ H J v.

    J is the Jacobian of the model and H the Hessian of the loss by the model's result. For a loss that is convex in
    this result, the product never points backwards, as the Hessian's may.

    Args:
        model: a function that returns an array or a tree of arrays.
        loss: a function of the model's result that returns one number.
        primals: the model's arguments, a sequence of arrays or trees of them.
        tangents: the direction v, in the same shape.

    Returns:
        A tuple with the product's part for each argument.

    Source: Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent" (2002); Martens and
    Sutskever, "Learning recurrent neural networks with Hessian-free optimization" (2011).

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> x, v = np.array([1.0, 2.0]), np.array([1.0, 1.0])
        >>> (product,) = tr.gnvp(lambda x: x**2, lambda z: np.sum(z**2) / 2, (x,), (v,))
        >>> product.tolist()
        [4.0, 16.0]
    """
    value, pull_back, push_forward = both_ways(model, *primals)
    along = push_forward(*tangents)
    return pull_back(hvp(loss, (value,), (along,))[0])
