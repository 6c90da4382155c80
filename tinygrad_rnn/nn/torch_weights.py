"""Weights from and to PyTorch's layers, as plain arrays: PyTorch itself is not needed.

PyTorch multiplies by transposed matrices, adds two biases instead of one, and uses other names:

=================  ==========================================  =====================================================
here               PyTorch                                     between them
=================  ==========================================  =====================================================
RNN, LSTM, GRU     ``weight_ih_l0``, ``_l0_reverse``, ``_l1``  ``layers.0.U``, ``layers.0.1.U``, ``layers.1.U``
U, W               ``weight_ih``, ``weight_hh``                transposed; gates in the same order
b                  ``bias_ih``, ``bias_hh``                    their sum; back: all in ``bias_ih``, zeros in the other
b, b_hn of a GRU   ``bias_ih``, ``bias_hh``                    b_hn is the last third of ``bias_hh``
V of an LSTM       ``weight_hr``                               transposed
Linear W, b        ``weight``, ``bias``                        W transposed
Embedding E        ``weight``                                  as it is
LayerNorm g, b     ``weight``, ``bias``                        as they are
=================  ==========================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autodiff import relu
from ..autodiff.foreign import as_numpy
from .cells import GRUCell, LSTMCell, RNNCell
from .cells.gated import unchanged
from .compiled_cells import uncompiled
from .layers import Embedding, LayerNorm, Linear
from .module import Module, check_arrays
from .stacks import GRU, LSTM, RNN

Arrays = dict[str, np.ndarray]


class Translation(NamedTuple):
    """The correspondence between the parameters of a kind of module and PyTorch's."""

    out: Callable[[Any], Arrays]  # from a module to arrays by PyTorch's names
    into: Callable[[Any, Arrays], Arrays]  # from a module and PyTorch's arrays to arrays by the module's own names


# --- one cell --------------------------------------------------------------------------------------------------------


def _products_out(cell: Any) -> Arrays:
    """The two matrices and biases that every cell has."""
    arrays = {"weight_ih": cell.U.data.T, "weight_hh": cell.W.data.T}
    if cell.b is not None:
        arrays["bias_ih"] = cell.b.data
        arrays["bias_hh"] = np.zeros_like(cell.b.data)
    return arrays


def _products_into(_: Any, arrays: Arrays) -> Arrays:
    own = {"U": arrays["weight_ih"].T, "W": arrays["weight_hh"].T}
    if "bias_ih" in arrays:
        own["b"] = _sum(arrays["bias_ih"], arrays["bias_hh"])
    return own


def _sum(of_input: np.ndarray, of_state: np.ndarray) -> np.ndarray:
    """The sum of two biases, computed with more digits than short floats have."""
    return np.add(of_input, of_state, dtype=np.result_type(of_input, of_state, np.float64))


def _elman_out(cell: Any) -> Arrays:
    if cell.activation not in (np.tanh, relu):
        raise ValueError("PyTorch's RNN has tanh or relu as its activation, so these weights can't go there")
    return _products_out(cell)


def _lstm_out(cell: Any) -> Arrays:
    if cell.P is not None or cell.coupled or cell.of_cell is not unchanged:
        raise ValueError(
            "PyTorch's LSTM has neither peepholes nor coupled gates nor norms, so these weights can't go there"
        )
    projection = {} if cell.V is None else {"weight_hr": cell.V.data.T}
    return {**_products_out(cell), **projection}


def _lstm_into(cell: Any, arrays: Arrays) -> Arrays:
    projection = {} if cell.V is None else {"V": arrays["weight_hr"].T}
    return {**_products_into(cell, arrays), **projection}


def _gru_out(cell: Any) -> Arrays:
    if cell.reset != "after":
        raise ValueError("PyTorch's GRU has its reset gate after the product, so these weights can't go there")
    arrays = _products_out(cell)
    if cell.b is not None:
        arrays["bias_hh"][2 * cell.units :] = cell.b_hn.data
    return arrays


def _gru_into(cell: Any, arrays: Arrays) -> Arrays:
    if cell.b is None:
        return _products_into(cell, arrays)
    of_gates, of_candidate = np.split(arrays["bias_hh"], [2 * cell.units])
    of_state = np.concatenate([of_gates, np.zeros_like(of_candidate)])
    return {**_products_into(cell, {**arrays, "bias_hh": of_state}), "b_hn": of_candidate}


# --- layers of cells -------------------------------------------------------------------------------------------------


def _suffixes(stack: Any) -> Iterator[tuple[str, str, Any]]:
    """The cells of an RNN, LSTM or GRU, each with its own path and PyTorch's suffix."""
    for number, layer in enumerate(stack.layers):
        if isinstance(layer, tuple):
            yield f"layers.{number}.0", f"_l{number}", uncompiled(layer[0])
            yield f"layers.{number}.1", f"_l{number}_reverse", uncompiled(layer[1])
        else:
            yield f"layers.{number}", f"_l{number}", uncompiled(layer)


def _of_cell(cell: Any) -> Translation:
    if type(cell) not in TRANSLATIONS:
        raise ValueError(f"PyTorch's layers have no {type(cell).__name__} inside, so these weights can't go there")
    return TRANSLATIONS[type(cell)]


def _stack_out(stack: Any) -> Arrays:
    return {
        name + suffix: array for _, suffix, cell in _suffixes(stack) for name, array in _of_cell(cell).out(cell).items()
    }


def _stack_into(stack: Any, arrays: Arrays) -> Arrays:
    own = {}
    for path, suffix, cell in _suffixes(stack):
        translation = _of_cell(cell)
        of_cell = {name: arrays[name + suffix] for name in translation.out(cell)}
        own.update({f"{path}.{name}": array for name, array in translation.into(cell, of_cell).items()})
    return own


def _renamed(**names: str) -> Translation:
    """The translation of parameters with other names; an entry that ends in ``_T`` is also transposed."""

    def out(module: Any) -> Arrays:
        arrays = {}
        for own, name in names.items():
            value = getattr(module, own.removesuffix("_T"))
            if value is not None:
                arrays[name] = value.data.T if own.endswith("_T") else value.data
        return arrays

    def into(module: Any, arrays: Arrays) -> Arrays:
        return {
            own.removesuffix("_T"): arrays[name].T if own.endswith("_T") else arrays[name]
            for own, name in names.items()
            if name in arrays
        }

    return Translation(out, into)


STACKS = Translation(_stack_out, _stack_into)
TRANSLATIONS: dict[type[Module], Translation] = {
    RNNCell: Translation(_elman_out, _products_into),
    LSTMCell: Translation(_lstm_out, _lstm_into),
    GRUCell: Translation(_gru_out, _gru_into),
    RNN: STACKS,
    LSTM: STACKS,
    GRU: STACKS,
    Linear: _renamed(W_T="weight", b="bias"),
    Embedding: _renamed(E="weight"),
    LayerNorm: _renamed(g="weight", b="bias"),
}


# --- whole models ----------------------------------------------------------------------------------------------------


def _translated_parts(module: Module) -> Iterator[tuple[str, Module, Translation]]:
    """The outermost parts that have a translation, each with its path and a final dot."""
    inside: list[str] = []
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        translation = TRANSLATIONS.get(type(part))
        if translation is not None and not any(prefix.startswith(outer) for outer in inside):
            inside.append(prefix)
            yield prefix, part, translation


def to_torch_state_dict(module: Module) -> Arrays:
    """A model's parameters with PyTorch's names and layout, ready for ``load_state_dict`` there.

    Args:
        module: an RNN, LSTM (with projection), GRU, one of their cells, Linear, Embedding, LayerNorm; or a model with
            such attributes. Parameters of other modules keep their names and layouts.

    Returns:
        Copies; ``{name: torch.from_numpy(a) for name, a in ...}`` makes tensors of them.

    Raises:
        ValueError: a layer has an option that PyTorch's doesn't have.

    Example:
        >>> from tinygrad_rnn import nn
        >>> {name: a.shape for name, a in nn.to_torch_state_dict(nn.RNN(3, 4)).items()}
        {'weight_ih_l0': (4, 3), 'weight_hh_l0': (4, 4), 'bias_ih_l0': (4,), 'bias_hh_l0': (4,)}
    """
    arrays = {}
    done: set[str] = set()
    for prefix, part, translation in _translated_parts(module):
        done.update(path for path, _ in part.named_parameters(prefix.rstrip(".")))
        arrays.update({prefix + name: array for name, array in translation.out(part).items()})
    arrays.update({path: p.data for path, p in module.named_parameters() if path not in done})
    return {name: np.array(array) for name, array in arrays.items()}


def from_torch_state_dict(module: Module, arrays: Mapping[str, Any]) -> None:
    """Set a model's parameters from those of a PyTorch model, all or, if something is wrong, none.

    Args:
        module: as for ``to_torch_state_dict``.
        arrays: the result of PyTorch's ``state_dict()``, as arrays or as tensors, of any floating-point type.

    Raises:
        ValueError: entries are missing, unexpected or mis-shaped; all of them are listed.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> layer = nn.Linear(3, 2)
        >>> nn.from_torch_state_dict(layer, {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
        >>> layer.W.shape
        (3, 2)
    """
    given = {name: as_numpy(array) for name, array in arrays.items()}
    check_arrays(f"from_torch_state_dict of {type(uncompiled(module)).__name__}", to_torch_state_dict(module), given)
    known = [path for path, _ in module.named_parameters()]
    own = {path: given[path] for path in known if path in given}
    for prefix, part, translation in _translated_parts(module):
        names = translation.out(part)
        of_part = translation.into(part, {name: given[prefix + name] for name in names})
        own.update({prefix + path: array for path, array in of_part.items()})
    module.load_state_dict({path: own[path] for path in known})  # a shared parameter is named by its first path
