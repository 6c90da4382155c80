"""The few operations that are written a second time: they assign into arrays, or JAX's functions differ."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...autodiff.rules import indexing, linalg
from . import places
from .stand_in import COMMON_TYPE, TOLD_ANEW, StandIn, lifted, plain


def _getitem(x: Any, index: Any) -> StandIn:
    index = plain(index)
    places.watch(index, np.shape(x))
    return StandIn(jnp.asarray(plain(x))[index])


def _assemble(*pieces: Any, indices: tuple[Any, ...], shape: tuple[int, ...]) -> StandIn:
    whole = jnp.zeros(shape, pieces[0].dtype)
    for piece, index in zip(pieces, indices):
        index = plain(index)
        places.watch(index, shape)
        whole = whole.at[index].add(jnp.asarray(plain(piece), whole.dtype))
    return StandIn(whole)


def _updated(x: Any, value: Any, index: Any) -> StandIn:
    x, value, index = jnp.asarray(plain(x)), plain(value), plain(index)
    if x.dtype.kind != "f":
        x = x.astype(np.result_type(x.dtype, value if np.isscalar(value) else value.dtype))
    places.watch(index, x.shape)
    if indexing.is_basic(index):
        return StandIn(x.at[index].set(value))
    # Where an index names an element twice, NumPy keeps the last value. JAX may keep any; so the number of the last
    # value is found first for each element.
    selected = x[index].shape
    numbers = jnp.arange(1, 1 + math.prod(selected)).reshape(selected)
    last = jnp.zeros(x.shape, numbers.dtype).at[index].max(numbers)
    values = jnp.broadcast_to(jnp.asarray(value, x.dtype), selected).ravel()
    return StandIn(jnp.where(last > 0, values[last - 1], x) if values.size else x)


def _checked(function: Any) -> Any:
    """A function of matrices for which NumPy raises LinAlgError, while JAX returns numbers that aren't finite."""

    def run(*matrices: Any) -> StandIn:
        arrays = [jnp.asarray(plain(a)) for a in matrices]
        result = function(*arrays)
        places.note(jnp.isfinite(result).all() | ~jnp.stack([jnp.isfinite(a).all() for a in arrays]).all())
        return StandIn(result)

    return run


TOLD_ANEW.update(
    {
        np.linalg.inv: _checked(jnp.linalg.inv),
        # NumPy reads one triangle; JAX would take the mean of both.
        np.linalg.cholesky: _checked(lambda a: jnp.linalg.cholesky(a, symmetrize_input=False)),
        np.linalg.eigh: lambda a, UPLO: lifted(jnp.linalg.eigh(plain(a), UPLO, symmetrize_input=False)),
        np.linalg.solve: lambda a, b: _checked(jnp.linalg.solve)(*COMMON_TYPE[np.linalg.solve](a, b)),
        indexing.getitem: _getitem,
        indexing.assemble: _assemble,
        indexing.updated: _updated,
        linalg.matmul: lambda a, b: np.matmul(a, b),
    }
)
