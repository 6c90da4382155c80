"""Module and Parameter: a model is an object that holds its parameters.

There is no registration and no metaclass. The parameters of a module are the Parameters among its attributes, those of
the modules among its attributes, and so on through lists, tuples, dicts and objects of plain classes that hold
Parameters (a cell needn't be a module), in the order in which they were set.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import did_you_mean
from ..autodiff.errors import reveal
from ..autodiff.foreign import as_numpy
from ..autodiff.scope import context
from ..autodiff.tensor import Tensor, make_leaf
from ..autodiff.texts import printable
from .calling import predictions
from .compiled_cells import uncompiled
from .summary import Summary, summary


class Parameter(Tensor):
    """A Tensor that a model learns: a leaf that requires a gradient.

    Args:
        data: the initial value. Copied.
        dtype: element type; by default that of ``data``.
        name: the name in pictures and reports; a module names it after the attribute.

    Example:
        >>> import numpy as np
        >>> from tinygrad_rnn import nn
        >>> nn.Parameter(np.zeros(2)).requires_grad
        True
    """

    __slots__ = ()

    def __new__(cls, data: Any, dtype: Any = None, name: str | None = None) -> Parameter:
        """Make the leaf, as Tensor's own constructor can't be called."""
        return make_leaf(cls, data, True, dtype, name)

    def __init__(self, data: Any, dtype: Any = None, name: str | None = None) -> None:
        pass  # __new__ has set everything


class Module(did_you_mean.KeywordsTold):
    """A part of a model: it holds parameters and other modules, and is called like a function.

    Write ``__init__``, which sets Parameters and modules as attributes, and ``forward``. Calling the module runs
    ``forward`` with the module as the owner of everything recorded inside, so an error can say what the module expects.

    Attributes:
        training: True in training mode (dropout is on); see ``train()`` and ``eval()``.

    Example:
        >>> import numpy as np
        >>> import tinygrad_rnn as tr
        >>> class Scale(tr.nn.Module):
        ...     def __init__(self):
        ...         self.a = tr.nn.Parameter(2.0)
        ...     def forward(self, x):
        ...         return self.a * x
        >>> m = Scale()
        >>> [name for name, _ in m.named_parameters()], m(np.array(3.0)).item()
        (['a'], 6.0)
    """

    training: bool = True

    def forward(self, *args: Any, **keywords: Any) -> Any:
        """Compute the module's result; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has no forward() method: write what it computes")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Run ``forward``, with the module as the owner of all that it records."""
        before = context.scope
        context.scope = before._replace(owner=self)
        try:
            return self.forward(*args, **keywords)
        except ValueError as error:
            reveal(error)
            raise
        finally:
            context.scope = before

    if not TYPE_CHECKING:  # otherwise a type checker would accept every attribute
        __getattr__ = did_you_mean.of_object(did_you_mean.OF_MODELS)

    def __setattr__(self, attribute: str, value: Any) -> None:
        if isinstance(value, Parameter) and value.name is None:
            value.name = attribute
        elif isinstance(value, (Module, list, tuple, dict)):
            _qualify(value, attribute)
        super().__setattr__(attribute, value)

    def predict(self, inputs: Any, batch_size: int = 32) -> Any:
        """The predictions for examples, in evaluation mode and without recording anything.

        Args:
            inputs: a list of sequences (T_n, n), padded if they differ in length; an array of them, (N, T, n); or an
                array (N, n) of vectors. ``fit`` takes the same for X.
            batch_size: the number of examples computed at a time.

        Returns:
            An array of N predictions in the order of the examples, (N, k), or (N, T, k) if they are sequences; a list
            of N arrays if these differ in length.

        Raises:
            TypeError: the inputs are none of these.
            ValueError: there are no inputs; or they differ in length, and the model takes no ``lengths``.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> model = nn.ManyToOne(nn.GRU(3, 8), outputs=2)
            >>> model.predict([np.zeros((7, 3)), np.zeros((5, 3))]).shape
            (2, 2)
        """
        return predictions(self, inputs, batch_size)

    # --- what is inside ----------------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, each once, as ``(path, module)``."""
        yield from _unique(_walk(self, prefix, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """The parameters, each once, as ``(path, parameter)``: ``("cell.W", ...)``."""
        yield from _unique(_walk(self, prefix, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_generators(self, prefix: str = "") -> Iterator[tuple[str, np.random.Generator]]:
        """The random generators (dropout has one), each once, as ``(path, generator)``, for checkpoints."""
        yield from _unique(_walk(self, prefix, np.random.Generator))

    def num_parameters(self) -> int:
        """The number of values to learn."""
        return sum(parameter.size for parameter in self.parameters())

    def summary(self, *inputs: Any) -> Summary:
        """Return the layers of the model as a table: their parameters' shapes, and how many there are, with the count.

        Args:
            *inputs: arguments of ``forward``, if the shapes of inputs and outputs are to be shown.

        Example:
            >>> import numpy as np
            >>> from tinygrad_rnn import nn
            >>> nn.ManyToOne(nn.LSTM(3, 8), outputs=2).summary(np.zeros((7, 5, 3)))
            ManyToOne: (7, 5, 3) → (5, 2)
            layer           kind      shapes                          count                where         parameters
            layer.layers.0  LSTMCell  U (3, 32), W (8, 32), b (32,)   4·(n·d + d·d + d)    n = 3, d = 8         384
            readout         Linear    W (8, 2), b (2,)                d·k + k              d = 8, k = 2          18
            all                                                                                                 402
        """
        return summary(self, inputs)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Any:
        """Set the module to training mode, or to evaluation mode; return the module itself."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Any:
        """Set the module to evaluation mode; return the module itself."""
        return self.train(False)

    # --- state in and out --------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """The values of all parameters by path, as copies."""
        return {path: np.array(parameter.data) for path, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Set the parameters from arrays by path; all or, if something is wrong, none.

        Args:
            state: a dict as ``state_dict()`` returns it.
            strict: whether the dict must have every parameter and nothing else.

        Raises:
            ValueError: missing, unexpected or mis-shaped entries, all of them listed.
        """
        own = dict(self.named_parameters())
        state = {path: as_numpy(array) for path, array in state.items()}
        check_arrays(f"load_state_dict of {type(self).__name__}", own, state, strict)
        for path, parameter in own.items():
            if path in state:
                parameter.data = state[path]

    def with_values(self, values: Mapping[str, Any]) -> Any:
        """A copy of the module with other arrays in the place of parameters; the module itself stays unchanged.

        Args:
            values: the arrays, by path as in ``state_dict()``: ndarrays (constants: no gradient is recorded for
                them), object arrays of Scalars, Tensors of an outer ``grad``. Parameters not named are shared.

        Returns:
            The module. The arrays aren't among its ``parameters()``, unless they are Parameters. It draws its random
            numbers from the same generators as this one, and runs compiled cells as they were written.

        Raises:
            ValueError: a path that no parameter has, or a shape other than the parameter's.

        Example:
            >>> import numpy as np
            >>> import tinygrad_rnn as tr
            >>> layer = tr.nn.Linear(3, 2)
            >>> type(layer.with_values(layer.state_dict())(np.ones(3, np.float32)))
            <class 'numpy.ndarray'>
            >>> f = lambda w: np.sum(layer.with_values({"W": w})(np.ones(3)) ** 2)
            >>> tr.gradcheck(f, [layer.W])
            True
        """
        own = dict(zip(self._tree_keys(), self._tree_children()))
        for path, value in values.items():
            if path not in own:
                raise ValueError(f"with_values of {type(self).__name__}: no parameter {path}; there are {list(own)}")
            if np.shape(value) != np.shape(own[path]):
                raise ValueError(f"with_values: {path} has shape {np.shape(own[path])}, not {np.shape(value)}")
        return self._tree_rebuild([values.get(path, value) for path, value in own.items()])

    # --- a tree of its parameters: so grad, jvp, hessian and the like take a model as an argument --------------------

    def _tree_children(self) -> list[Any]:
        return list(vars(self)["_stands_for"].values) if "_stands_for" in vars(self) else list(self.parameters())

    def _tree_keys(self) -> list[str]:
        return [path for path, _ in self._tree_origin().named_parameters()]

    def _tree_rebuild(self, parts: list[Any]) -> Any:
        origin = self._tree_origin()
        made = _replaced(origin, {id(old): new for old, new in zip(origin.parameters(), parts)})
        vars(made)["_stands_for"] = _StandsFor(origin, parts)
        return made

    def _tree_origin(self) -> Module:
        return vars(self)["_stands_for"].origin if "_stands_for" in vars(self) else self

    def __repr__(self) -> str:
        parts = ", ".join(f"{path} {parameter.shape}" for path, parameter in self.named_parameters())
        return f"{type(self).__name__}({parts})"


def check_arrays(what: str, own: Mapping[str, Any], given: Mapping[str, Any], strict: bool = True) -> None:
    """Raise ValueError, with a list, for arrays that are missing, unexpected (if ``strict``) or of another shape."""
    problems = []
    if strict:
        problems += [f"missing: {printable(path)} {own[path].shape}" for path in own if path not in given]
        problems += [f"unexpected: {printable(path)} {given[path].shape}" for path in given if path not in own]
    for path in own:
        if path in given and given[path].shape != own[path].shape:
            problems.append(f"{path}: shape {given[path].shape} where {own[path].shape} is needed")
    if problems:
        raise ValueError(f"{what}: " + "; ".join(problems))


class _StandsFor:
    """A record of a module that was rebuilt as a tree: the module of the parameters, and the values in their places."""

    __slots__ = ("origin", "values")

    def __init__(self, origin: Module, values: list[Any]) -> None:
        self.origin = origin
        self.values = values


def _walk(value: Any, path: str, kind: type) -> Iterator[tuple[str, Any]]:
    value = uncompiled(value)
    if isinstance(value, kind):
        yield path, value
    if isinstance(value, Module) or _holds_parameters(value):
        parts: Any = vars(value).items()
    elif isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        return
    for key, part in parts:
        yield from _walk(part, f"{path}.{key}" if path else str(key), kind)


def _qualify(part: Any, attribute: str) -> None:
    """Prefix the default names of the parameters inside an attribute with the attribute's name."""
    for path, parameter in _walk(part, attribute, Parameter):
        if parameter.name and path.endswith(f".{parameter.name}"):
            parameter.name = path


def _holds_parameters(value: Any) -> bool:
    """Return True for an object of a plain class with parameters among its attributes."""
    if isinstance(value, (FunctionType, type)):
        return False
    return any(isinstance(part, Parameter) for part in getattr(value, "__dict__", {}).values())


def _unique(found: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    for path, value in found:
        if id(value) not in seen:
            seen.add(id(value))
            yield path, value


def _replaced(value: Any, known: dict[int, Any]) -> Any:
    """A copy of a module and all inside it, in which each part whose ``id`` is in ``known`` is replaced.

    A part that stands in two places is copied once, so that shared parts stay shared.
    """
    value = uncompiled(value)  # a compiled plan belongs to the parameters that it was made with
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, Module) or _holds_parameters(value):
        new = known[id(value)] = copy.copy(value)
        vars(new).update({attribute: _replaced(part, known) for attribute, part in vars(value).items()})
        return new
    if isinstance(value, dict):
        return {key: _replaced(part, known) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = [_replaced(part, known) for part in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    return value
