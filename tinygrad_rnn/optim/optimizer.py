"""The base class of optimisers: groups of parameters, the step, and a state that can be saved.

An update rebinds a parameter's data; it never writes into an array. So a graph recorded before the update still has the
values that it was recorded with, and its backward pass is right.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..autodiff.did_you_mean import KeywordsTold
from ..autodiff.extras import pip_install
from ..autodiff.tensor import Tensor
from ..autodiff.texts import printable
from .one_pass import OnePass

Group = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[Group]


class Optimizer(KeywordsTold):
    """The base of all optimisers. A subclass writes ``updated``.

    Args:
        parameters: the parameters, as ``module.parameters()`` returns them; or groups, dicts with such a list as
            "params" and options of their own, for example ``{"params": [...], "lr": 0.1}``.
        **options: the options of all groups that don't set their own.

    Attributes:
        param_groups: the groups, dicts of "params" and every option; a schedule changes their "lr".
        state: the rule's memory for each parameter.
        executor: "numpy", which runs ``updated`` as it is written; set to "llvm", everything that it does becomes one
            pass of machine code through each parameter, with the same results to rounding. ``fit`` sets it while it
            trains, if that is the executor of the model.

    Raises:
        ValueError: there are no parameters; a parameter is in two groups; an option makes no sense.
        TypeError: an object isn't a parameter.

    Warns:
        UserWarning: parameters start with the same random numbers, because they were made with the same seed.
    """

    def __init__(self, parameters: Parameters, **options: Any) -> None:
        self.defaults = options
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.executor = "numpy"
        if hasattr(parameters, "parameters"):
            raise TypeError(f"{self.name} takes parameters, not a module: pass module.parameters()")
        if callable(parameters):
            raise TypeError(f"{self.name} takes parameters, not a function: pass model.parameters(), called")
        given: list[Any] = [parameters] if isinstance(parameters, Tensor) else list(parameters)
        if not given:
            raise ValueError(f"{self.name}: no parameters to update")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters of all groups, in order."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def name(self) -> str:
        """The name of the optimiser in error messages."""
        return type(self).__name__

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Take in more parameters.

        Args:
            group: a dict of "params", a Tensor or several, and any options; the others are those of all groups.
        """
        unknown = group.keys() - {"params", *self.defaults}
        if unknown:
            raise ValueError(f"{self.name} has no option {sorted(unknown)[0]!r}; there are {', '.join(self.defaults)}")
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = set(self.parameters)
        for p in params:
            if not isinstance(p, Tensor) or not p.is_leaf or not p.requires_grad:
                raise TypeError(f"{self.name} updates leaves that require a gradient (nn.Parameter), not {p!r}")
            if p in known:
                name = printable(p.name) if p.name else p.shape
                raise ValueError(f"{self.name}: parameter {name} stands in two places; list it once")
            known.add(p)
        whole = {**self.defaults, **group, "params": params}
        for option, value in whole.items():
            self._check(option, value)
        self.param_groups.append(whole)

    def _check(self, option: str, value: Any) -> None:
        """Raise ValueError for options that make no sense."""
        if option == "betas":
            if np.shape(value) != (2,) or not _are_numbers(value) or not all(0 <= beta < 1 for beta in value):
                raise ValueError(f"{self.name}: betas are two, from 0 up to but not including 1, not {value}")
        elif option != "params" and not (np.ndim(value) == 0 and _are_numbers(value) and value >= 0):
            raise ValueError(f"{self.name}: {option}={value} makes no sense; use a number that isn't negative")

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises:
            ValueError: a gradient that was set by hand has another shape than its parameter.
        """
        in_one_pass = self._in_one_pass()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    g = parameter.grad.data if isinstance(parameter.grad, Tensor) else parameter.grad
                    if np.shape(g) != parameter.shape:
                        raise ValueError(
                            f"{type(self).__name__}: the gradient of {parameter.name or 'a parameter'}, of shape "
                            f"{parameter.shape}, has the shape {np.shape(g)}: broadcasting it would hide a mistake"
                        )
                    is_first = parameter not in self.state  # the state is empty at first
                    state = self.state.setdefault(parameter, {})
                    if in_one_pass is None or is_first or not in_one_pass.update(parameter, g, state, group):
                        parameter.data = self.updated(parameter.numpy(), g, state, group)

    def _in_one_pass(self) -> OnePass | None:
        """The machine code for a step, if ``executor`` asks for it."""
        if self.executor == "numpy":
            return None
        if self.executor not in ("llvm", "numba"):  # the second is the earlier name of the first
            raise ValueError(f"{self.name}: executor is 'numpy' or 'llvm', not {self.executor!r}")
        if importlib.util.find_spec("llvmlite") is None:
            raise ImportError(f'{self.name}: executor="llvm" makes machine code with llvmlite: {pip_install("jit")}')
        self._one_pass.begin()
        return self._one_pass

    @cached_property
    def _one_pass(self) -> OnePass:
        return OnePass(self.updated, is_pure=type(self).updated.__module__.startswith(f"{__package__}."))

    def updated(self, value: np.ndarray, gradient: np.ndarray, state: dict[str, Any], group: Group) -> np.ndarray:
        """The new value of one parameter; subclasses define it.

        Args:
            value: the old value; not to be written to.
            gradient: its gradient; not to be written to.
            state: the rule's memory for this parameter; empty at first.
            group: the options of the parameter's group.
        """
        raise TypeError(f"{self.name} has no updated() method: write how a parameter changes")

    # --- state in and out --------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state for continuing later: "state" by the parameter's number, and "param_groups" with the numbers.

        Everything in it is a copy: arrays, numbers, lists and dicts.
        """
        numbers = {p: i for i, p in enumerate(self.parameters)}
        groups = [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        return copy.deepcopy({"state": {numbers[p]: s for p, s in self.state.items()}, "param_groups": groups})

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Continue from a saved state; if something in it is wrong, nothing changes.

        Args:
            saved: a result of ``state_dict()``, of an optimiser of the same kind over parameters of the same shapes in
                the same order. A number that became a string on the way (JSON does that) is converted.

        Raises:
            ValueError: the state doesn't fit.
        """
        saved = copy.deepcopy(dict(saved))
        parameters = self.parameters
        sizes, given = ([len(g["params"]) for g in groups] for groups in (self.param_groups, saved["param_groups"]))
        if sizes != given:
            raise ValueError(f"{self.name}: the saved state is for groups of {given} parameters, but there are {sizes}")
        state = {parameters[int(number)]: values for number, values in saved["state"].items()}
        for parameter, values in state.items():
            for what, value in values.items():
                if not _are_numbers(value) or (what == "step" and not (isinstance(value, int) and value >= 0)):
                    shown = " ".join(repr(value).split())  # an array would be shown on several lines
                    raise ValueError(f"{self.name}: saved {what} is {shown:.100}, which it can't have been")
                if np.ndim(value) and np.shape(value) != parameter.shape:
                    raise ValueError(
                        f"{self.name}: saved {what} of shape {np.shape(value)} for parameter "
                        f"{printable(parameter.name or '')} of shape {parameter.shape}"
                    )
        for options in saved["param_groups"]:
            missing = self.defaults.keys() - options.keys()
            if missing:
                raise ValueError(f"{self.name}: the saved state has no {sorted(missing)[0]}: was it another optimiser?")
            for option, value in options.items():
                self._check(option, value)
        self.state = state
        for group, options in zip(self.param_groups, saved["param_groups"]):
            group.update({option: value for option, value in options.items() if option != "params"})

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but machine code, which a copy makes anew."""
        return {name: value for name, value in vars(self).items() if name != "_one_pass"}

    def __repr__(self) -> str:
        groups = "; ".join(
            ", ".join(f"{k}={v}" for k, v in group.items() if k != "params") for group in self.param_groups
        )
        return f"{self.name}({groups})"


def _are_numbers(value: Any) -> bool:
    """Return True for a number, or an array of numbers."""
    return np.asarray(value).dtype.kind in "biuf"
