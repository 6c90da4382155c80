"""A plugin for mypy: NumPy's functions of a Tensor give a Tensor.

NumPy's hints say Any for what comes of an array that isn't NumPy's own, and strict mode refuses to return it from a
function that says ``-> tr.Tensor``. With this in ``mypy.ini`` (or the like in ``pyproject.toml``) it is a Tensor::

    [mypy]
    plugins = tinygrad_rnn.mypy_plugin
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import AnyType, Instance, Type, get_proper_type

TENSOR = "tinygrad_rnn.autodiff.tensor.Tensor"
RULES = "tinygrad_rnn.autodiff.rules."
UFUNCS = "numpy._typing._ufunc._UFunc"
# What gives plain arrays, or no array, though it is given Tensors.
PLAIN = {
    *("argmax", "argmin", "argsort", "argwhere", "array_equal", "allclose", "count_nonzero", "nonzero", "searchsorted"),
    *("all", "any", "asarray", "array", "isclose", "iscomplexobj", "isreal", "ndim", "result_type", "shape", "size"),
    *("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "isfinite", "isinf", "isnan", "signbit"),
    *("logical_and", "logical_not", "logical_or", "logical_xor"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"),
}

OPERATORS = {f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "pow", "matmul") for side in ("", "r")}
OPERATORS |= {"__neg__", "__pos__", "__abs__", "__getitem__"}


class TensorPlugin(Plugin):
    """Says Tensor where NumPy's hints say Any, if one of the arguments is a Tensor."""

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """The hook for functions: ``np.mean``, ``tr.sigmoid``."""
        known = fullname.startswith(("numpy.", RULES)) and fullname.rpartition(".")[2] not in PLAIN
        return _of_function if known else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """The hook for ufuncs, which are called as objects (``np.tanh``), and for ``x @ U`` and ``x[0]``."""
        if fullname.startswith(UFUNCS) and fullname.endswith(".__call__"):
            return _of_ufunc
        owner, _, name = fullname.rpartition(".")
        return _of_operator if owner == TENSOR and name in OPERATORS else None


def _of_function(context: FunctionContext) -> Type:
    return _tensor_for_any(context)


def _of_ufunc(context: MethodContext) -> Type:
    kind = get_proper_type(context.type)
    name = get_proper_type(kind.args[0]) if isinstance(kind, Instance) and kind.args else None
    return context.default_return_type if getattr(name, "value", None) in PLAIN else _tensor_for_any(context)


def _of_operator(context: MethodContext) -> Type:
    """A Tensor, but where a ComplexTensor may come in."""
    said = context.default_return_type
    given = [get_proper_type(argument) for arguments in context.arg_types for argument in arguments]
    plain = not any(isinstance(kind, Instance) and kind.type.name == "ComplexTensor" for kind in given)
    return (_tensor_in(context.type) or said) if plain and isinstance(get_proper_type(said), AnyType) else said


def _tensor_for_any(context: FunctionContext | MethodContext) -> Type:
    """Tensor, if one or a list of them went in and NumPy's hints say Any, or an array or a number of NumPy's."""
    said = get_proper_type(context.default_return_type)
    numpys = isinstance(said, AnyType) or (isinstance(said, Instance) and said.type.fullname.startswith("numpy."))
    tensors = (_tensor_in(argument) for arguments in context.arg_types for argument in arguments)
    return next((tensor for tensor in tensors if tensor and numpys), context.default_return_type)


def _tensor_in(argument: Type) -> Type | None:
    """The type Tensor, if an argument is one, or a list of them; None if it isn't."""
    kind = get_proper_type(argument)
    if not isinstance(kind, Instance):
        return None
    if kind.type.has_base(TENSOR):
        return Instance(next(base for base in kind.type.mro if base.fullname == TENSOR), [])
    return next(filter(None, map(_tensor_in, kind.args)), None)


def plugin(version: str) -> type[Plugin]:
    """Return the plugin, for any version of mypy."""
    return TensorPlugin
