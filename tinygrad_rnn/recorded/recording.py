"""A loss that autograd recorded, with its parameters by name.

A loss comes as a function of the parameters, as a model that returns its loss, or already recorded. Here each form
becomes the same thing: a root Tensor, a leaf for every parameter, and a way to evaluate the loss at other values, for
the finite-difference referee.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from ..autodiff.array_node import value_of
from ..autodiff.graph import Node, Observer, ancestors, observe_backward
from ..autodiff.remembering import Origins, remembering
from ..autodiff.scope import enable_grad
from ..autodiff.tensor import Tensor, tensor
from ..autodiff.trees import leaves, paths, tree_map, unflatten
from ..nn.module import Module
from .landmarks import with_constants
from .one_by_one import of_a_tree
from .outside import data_outside, reading_others
from .replay import Change, expanded, replaced_since, replay, run_again
from .variables import Variables, noticing


class Recording:
    """A recorded loss with its parameters.

    Attributes:
        loss: the root, one number.
        terms: the loss terms by time step, if the loss came as terms; their sum is the loss.
        parameters: the leaf of each parameter, by name.
        tree: the parameters as the user holds them (dict, NamedTuple, ...), the first argument of a manual function.
        data: the further arguments of the loss function.
        function: the loss as a function ``function(tree, *data)``; None if it came recorded.
        called_with: the parameters that the caller passed for this function.
        origins: the origins of masks that the loss made by comparisons; none if it came recorded.
        variables: what the loss function calls the values that it computes; nothing if it came recorded.
    """

    def __init__(
        self,
        loss: Any,
        parameters: Mapping[str, Tensor],
        tree: Any,
        data: Sequence[Any] = (),
        function: Callable[..., Any] | None = None,
        origins: Origins | None = None,
        variables: Variables | None = None,
    ) -> None:
        self.origins: Origins = {} if origins is None else origins
        self.terms = _terms(loss)
        loss = _total(loss)
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            raise TypeError(
                "compare: the loss on the autograd side depends on nothing that requires a gradient. Make parameters "
                "with tensor(..., requires_grad=True), or pass a function of the parameters."
            )
        if loss.size != 1:
            raise ValueError(
                f"compare: the loss has shape {loss.shape}, and must be one number: sum it, or take a mean"
            )
        with remembering(self.origins):
            place = expanded(loss)  # a node that stands for many can't be looked into
        self.loss = place[loss]
        self.variables = {place.get(node, node): name for node, name in (variables or {}).items()}
        self.terms = {t: place[term] for t, term in self.terms.items() if term in place}
        self.parameters = dict(parameters)
        self._undo_updates()
        self.tree = tree
        self.data = tuple(data)
        self.function = function
        self.called_with: Any = None
        self.nodes = ancestors([self.loss])

    def _undo_updates(self) -> None:
        """Replace leaves that were updated since by leaves with the values of forward time."""
        before = replaced_since(ancestors([self.loss]))
        if before:
            old = {leaf: tensor(value, leaf.requires_grad, name=leaf.name) for leaf, value in before.items()}
            with enable_grad(), remembering(self.origins):
                new = replay(self.loss, {**{leaf: leaf for leaf in self.parameters.values()}, **old})
            self.loss = new[self.loss]
            self.terms = {t: new[term] for t, term in self.terms.items() if term in new}
            self.parameters = {name: old.get(leaf, leaf) for name, leaf in self.parameters.items()}

    def values(self) -> dict[str, np.ndarray]:
        """The parameters as they were when the loss was recorded, copied."""
        return {name: np.array(leaf._data) for name, leaf in self.parameters.items()}

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays of the data; a list of sequences of unequal lengths is several."""
        return [np.asarray(value_of(array)) for given in self.data for array in _as_arrays(given)]

    def is_used_in_a_step(self, name: str) -> bool:
        """Return True if a time step reads this parameter itself."""
        leaf = self.parameters[name]
        return any(leaf is given for node in self.nodes if node.scope.step is not None for given in node.inputs)

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradient by each parameter, copied; zeros where the loss doesn't depend on it."""
        return {name: np.array(gradient) for name, gradient in self._gradients.items()}

    @cached_property
    def _gradients(self) -> dict[str, np.ndarray]:
        """The gradients, from one backward walk: a comparison asks for them several times."""
        reached = observe_backward(self.loss, Observer())
        return {
            name: np.asarray(reached[leaf]) if leaf in reached else np.zeros_like(leaf._data)
            for name, leaf in self.parameters.items()
        }

    def arguments(self, values: Mapping[str, np.ndarray]) -> Any:
        """Parameter values, in the user's own tree."""
        return unflatten(self.tree, iter([values[name] for name in self.parameters]))

    @cached_property
    def outside(self) -> dict[str, Any]:
        """The data that the function reads from outside, by the names of variables."""
        return {} if self.function is None else data_outside(self.function, self.called_with, self.data)

    @property
    def all_data(self) -> tuple[Any, ...]:
        """The data that the loss is called with, and those that it reads from outside."""
        return (*self.data, *self.outside.values())

    def others(self, all_data: Sequence[Any]) -> dict[int, Any]:
        """The objects to be read from outside for other data, by the ids of those in whose places they stand."""
        new = all_data[len(self.data) :]
        return {id(old): other for old, other in zip(self.outside.values(), new) if other is not old}

    def evaluate(self, values: Mapping[str, np.ndarray], all_data: Sequence[Any] | None = None) -> float:
        """The loss at other values of the parameters: by the user's function, else by running the recording again."""
        if self.function is not None:
            all_data = self.all_data if all_data is None else all_data
            (function,) = reading_others([self.function], self.others(all_data))
            loss = function(self.arguments(values), *all_data[: len(self.data)])
            return float(np.asarray(value_of(_total(loss))).item())
        return self.evaluate_again(values, self.stopped)

    def evaluate_again(self, values: Mapping[str, np.ndarray], changes: Mapping[Node, Change] | None = None) -> float:
        """The loss from running the recording again; detached values, masks and other constants stay unless changed."""
        replayed = replay(self.loss, {leaf: values[name] for name, leaf in self.parameters.items()}, changes)
        return float(np.asarray(replayed[self.loss]).item())

    @cached_property
    def stopped(self) -> dict[Node, Change]:
        """The changes that make detached values follow their sources when the recording is run again.

        A detached Tensor shares its array with its source, or is a view of it (``stop_gradient(hs[1:])``). So if the
        source is part of the recording, it is found by its array.
        """
        made = {id(node._data): node for node in self.nodes}  # type: ignore[attr-defined]
        found: dict[Node, Change] = {}
        for node in self.nodes:
            sources: dict[Node, _Source] = {
                given: source
                for given in node.inputs
                if isinstance(given, Tensor) and not given.requires_grad and (source := _source(given._data, made))
            }
            if sources:
                found[node] = partial(_following, sources)
        return found

    @cached_property
    def opened(self) -> Recording:
        """The same recording, in which the labelled constants (inputs, the initial state) require gradients as well.

        A derivation names ∂L/∂x_t and ∂L/∂s_0 even if training doesn't need them.
        """
        leaves_of_it: dict[Any, Any] = {leaf: leaf for leaf in self.parameters.values()}
        for node in with_constants(self.nodes):
            if node.is_leaf and node.labels and not node.requires_grad and node._data.dtype.kind == "f":  # type: ignore[attr-defined]
                leaf = tensor(node._data, requires_grad=True, name=node.name)  # type: ignore[attr-defined]
                leaf.scope, leaf.labels = node.scope, node.labels
                leaves_of_it[node] = leaf
        with enable_grad(), remembering(self.origins):
            new = replay(self.loss, leaves_of_it)
        copy = Recording(new[self.loss], self.parameters, self.tree, self.data, self.function, self.origins)
        copy.terms = {t: new[term] for t, term in self.terms.items() if term in new}
        return copy


_Source = tuple[Node, "np.ndarray | None"]  # what a detached value was, and the places of its elements there


def _source(array: np.ndarray, made: Mapping[int, Node]) -> _Source | None:
    """The node whose array this is, or is a view of, with the places of its elements there; None if there is none."""
    if id(array) in made:
        return made[id(array)], None
    whole = array.base
    if not isinstance(whole, np.ndarray) or id(whole) not in made or not whole.flags.c_contiguous:
        return None
    places = np.arange(whole.size)
    begin = (array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) // whole.itemsize
    strides = [stride // whole.itemsize * places.itemsize for stride in array.strides]
    return made[id(whole)], np.array(np.lib.stride_tricks.as_strided(places[begin:], array.shape, strides))


def _following(sources: Mapping[Node, _Source], node: Any, known: Mapping[Node, Any]) -> Any:
    """The result of running a node again, on the new values of the sources from which its constants were detached."""
    new = {
        given: known[source] if places is None else np.reshape(known[source], (-1,))[places]
        for given, (source, places) in sources.items()
    }
    return run_again(node, {**known, **new})


def _as_arrays(given: Any) -> list[Any]:
    try:
        return [np.asarray(value_of(given))]
    except ValueError:  # parts of unequal lengths
        return leaves(given)


def _terms(loss: Any) -> dict[int, Tensor]:
    if isinstance(loss, Mapping):
        return dict(loss)
    return dict(enumerate(loss, start=1)) if isinstance(loss, (list, tuple)) else {}


def _total(loss: Any) -> Any:
    """The total of a loss, which may be given as a list of terms or as a dict of terms by step."""
    parts = _terms(loss)
    return sum(parts.values()) if parts else loss


def record(autograd: Any, parameters: Any = None, data: Sequence[Any] = ()) -> Recording:
    """Make a recording from any form of the autograd side.

    Args:
        autograd: a function ``loss(parameters, *data)`` or ``loss(W, b, *data)``; a Module that gives its loss when
            called with the data; or a recorded loss. A loss may also be given as its terms: a list L_1, L_2, ..., or a
            dict of them by step.
        parameters: for a function, their values, as a dict, NamedTuple or any tree of arrays, or the Module that it is
            called with; for a recorded loss, the leaves, as a dict or a Module (by default every leaf behind the loss,
            by name).
        data: further arguments.

    Raises:
        TypeError: ``autograd`` is none of these, or parameters are missing or have no names.
    """
    if isinstance(autograd, Tensor) or any(isinstance(term, Tensor) for term in _terms(autograd).values()):
        tree = _own_leaves(_total(autograd)) if parameters is None else parameters
        tree = dict(tree.named_parameters()) if isinstance(tree, Module) else tree
        return Recording(autograd, _by_name(tree), tree, data)
    if isinstance(autograd, Module) or (callable(autograd) and isinstance(parameters, Module)):
        model = autograd if parameters is None else parameters
        tree = dict(model.named_parameters())
        with enable_grad(), remembering() as origins, noticing() as variables:
            loss = autograd(*data) if isinstance(autograd, Module) else autograd(model, *data)
        return Recording(loss, tree, tree, data, None, origins, variables)
    if not callable(autograd):
        raise TypeError(
            f"compare: {type(autograd).__name__} on the autograd side; pass a recorded loss, a function "
            "loss(parameters, *data), or a Module that gives its loss"
        )
    if parameters is None:
        raise TypeError(
            "compare: a loss function needs the values of its parameters: "
            "parameters={'W': W, 'b': b}, where loss(parameters) reads parameters['W']"
        )
    autograd = of_a_tree(autograd, parameters, data)
    _check_arguments(autograd, len(data))
    plain = tree_map(lambda a: np.array(value_of(a), dtype=np.float64), parameters)
    tree = tree_map(lambda a: tensor(a, requires_grad=True), plain)
    named = _by_name(tree)
    for name, leaf in named.items():
        leaf.name = name
    with enable_grad(), remembering() as origins, noticing() as variables:
        loss = autograd(tree, *data)
    recording = Recording(loss, named, tree, data, autograd, origins, variables)
    recording.called_with = parameters
    return recording


def _check_arguments(loss: Callable[..., Any], given: int) -> None:
    """Raise a TypeError if a loss function takes more or fewer arguments than the parameters and these data."""
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # it has none that Python can read
        return
    try:
        signature.bind(*[None] * (1 + given))
    except TypeError:
        names = list(signature.parameters)
        others = ", ".join(names[1:]) + "," * (len(names) == 2)
        raise TypeError(
            f"compare: the loss is a function of {', '.join(names) or 'nothing'}, and was given the parameters and "
            f"{given} further arguments. Pass these as a tuple: data=({others})"
        ) from None


def _by_name(tree: Any) -> dict[str, Tensor]:
    """The leaves of a tree by their path: the key of a dict, the field of a NamedTuple, the place in a list."""
    found = dict(zip(paths(tree), leaves(tree)))
    for name, leaf in found.items():
        if not (isinstance(leaf, Tensor) and leaf.requires_grad and leaf.is_leaf):
            raise TypeError(f"compare: {name!r} of the parameters is not a leaf Tensor that requires a gradient")
    return found


def _own_leaves(loss: Tensor) -> dict[str, Tensor]:
    found: list[Any] = [node for node in reversed(ancestors([loss])) if node.is_leaf and node.requires_grad]
    names = [leaf.name for leaf in found]
    if None in names or len(set(names)) < len(names):
        raise TypeError(
            f"compare: the leaves behind this loss are called {names}; to tell them apart pass "
            "parameters={'W': W, ...}, or name each: tensor(..., name='W')"
        )
    return dict(zip(names, found))
