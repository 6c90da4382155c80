"""Error messages of operations: which operation, which shapes, where in the model, and the cure."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from .scope import Scope, context

# Functions that aren't supported: what to write instead.
INSTEAD = {
    "copyto": "np.where, or, in place of np.full_like(array, t), which calls it, t * np.ones_like(array)",
    "put": "tr.index_update",
    "place": "np.where",
    "putmask": "np.where",
    "put_along_axis": "tr.index_update",
    "fill_diagonal": "np.where with np.eye(n, dtype=bool)",
    "insert": "np.concatenate of the parts",
    "partition": "np.sort",
    "logaddexp.reduce": "tr.logsumexp(a, axis=0)",
    "nanpercentile": "np.percentile of the elements that are numbers",
    "nanquantile": "np.quantile of the elements that are numbers",
    "nanmedian": "np.median of the elements that are numbers",
    "add.accumulate": "np.cumsum(a, axis=0)",
    "multiply.accumulate": "np.cumprod(a, axis=0)",
    "correlate": "np.convolve(a, v[::-1])",
    "linalg.eig": "np.linalg.eigh for a symmetric matrix (others have complex eigenvalues)",
    "linalg.eigvals": "np.linalg.eigvalsh for a symmetric matrix (others have complex eigenvalues)",
    "linalg.lstsq": "np.linalg.pinv(a) @ b, or np.linalg.qr",
    "linalg.cond": "np.linalg.svd(a, compute_uv=False)",
}

# Functions that convert a Tensor to an array by themselves, for which joining Tensors isn't the cure.
ASKS_NOBODY = {
    "full": "np.broadcast_to(t, shape)",
    "select": "np.where, in place of default=t",
    "asarray_chkfinite": "t itself",
}

NUMPYS_KEYWORDS = {"dim": "axis=", "dims": "axis=", "keepdim": "keepdims="}  # for PyTorch's

STORE_SUBSCR = dis.opmap["STORE_SUBSCR"]

FALLBACK = (
    "Write it with functions that have a rule; or, if no gradient is to flow through it, give it the plain value, "
    ".numpy()."
)


class NotOnTensors(TypeError):
    """The error for an operation of arrays that Tensors don't have. The message says what to write instead."""


class CannotCompile(NotOnTensors):
    """A function can't be compiled; the message gives the reason. The function still runs as it is."""


def here() -> str:
    """The current place in the model, for a message: " at layer 0, step 3"; empty outside of models."""
    return _at(context.scope)


def _at(scope: Scope | None) -> str:
    return f" at {scope}" if scope is not None and str(scope) else ""


def no_rule(name: str) -> NotOnTensors:
    """The error for a NumPy function that has no rule."""
    instead = INSTEAD.get(name)
    cure = f"Use {instead} instead." if instead else FALLBACK
    return NotOnTensors(f"np.{name} has no derivative rule here, so it can't be applied to a Tensor{here()}. {cure}")


def unknown_keyword(name: str, keywords: Sequence[str]) -> NotOnTensors:
    """The error for a keyword that NumPy has but that isn't supported on Tensors, or that doesn't exist."""
    listed = ", ".join(f"{keyword}=" for keyword in keywords)
    meant = [NUMPYS_KEYWORDS[keyword] for keyword in keywords if keyword in NUMPYS_KEYWORDS]
    cure = f"Write {', '.join(meant)}" if meant else "Leave it out, or give it the plain value, .numpy()"
    return NotOnTensors(f"np.{name} on a Tensor{here()} does not take {listed}. {cure}.")


def no_out(name: str) -> NotOnTensors:
    """The error for ``out=``, and for ``array += tensor``, which NumPy turns into ``out=``."""
    return NotOnTensors(
        f"np.{name}{here()} can't write a Tensor into an existing array (out=, or an in-place operator such as +=): "
        "the gradient would be lost. Write a = a + t instead of a += t, and collect results in a list for np.stack."
    )


def silent_detour(how: str, scope: Scope) -> NotOnTensors:
    """The error for code that would silently turn a Tensor into a plain number or array."""
    where = f" made at {scope}" if str(scope) else ""
    if _is_assigned():
        return NotOnTensors(
            f"assigning a Tensor{where} that requires a gradient into an array would lose the gradient. Collect the "
            "parts in a list and join them with np.stack, or write the functional form: "
            "array = index_update(array, index, tensor). For the plain value use .item(), .numpy() or .detach()."
        )
    return NotOnTensors(
        f"{how} of a Tensor{where} that requires a gradient would lose the gradient. For one number write .item(). "
        "To join Tensors use np.stack or np.concatenate; for the plain values use .item(), .numpy() or .detach()."
    )


def no_array(scope: Scope) -> NotOnTensors:
    """The error for a Tensor that NumPy would convert to an array, for functions outside its protocols."""
    asked = silent_detour("np.asarray", scope)
    if _is_assigned():
        return asked
    name = _asking_function()
    if name is not None:
        cure = ASKS_NOBODY.get(name, f"np.{name}(np.stack([...])) in place of np.{name}([...])")
        return NotOnTensors(f"{asked} np.{name} makes arrays of its arguments, and asks no Tensor: write {cure}.")
    return NotOnTensors(
        f"{asked} Some functions of NumPy's call np.asarray themselves: instead of array.dot(t) write array @ t, "
        "instead of np.tanh([t, u]) np.tanh(np.stack([t, u]))."
    )


def _is_assigned() -> bool:
    """Return True if the calling line assigns to an item, as ``array[i] = tensor`` does."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tinygrad_rnn.autodiff."):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == STORE_SUBSCR


def reveal(error: ValueError) -> None:
    """Raise the package's error that NumPy hides behind "setting an array element with a sequence", if there is one.

    NumPy raises that error whenever the conversion of an object to a number fails; the real error is its cause.
    """
    if isinstance(error.__cause__, NotOnTensors):
        raise error.__cause__.with_traceback(error.__traceback__) from None


def _asking_function() -> str | None:
    """The NumPy function, by its public name, whose Python code is converting a Tensor to an array; None for C code."""
    frame: FrameType | None = sys._getframe(3)  # of who called Tensor.__array__
    name = None
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "numpy":
        module = frame.f_globals["__name__"]
        part = next((part for part in ("linalg", "fft") if module.startswith(f"numpy.{part}")), "")
        name = f"{part}.{frame.f_code.co_name}".lstrip(".")
        frame = frame.f_back
    return name


def no_value(how: str) -> CannotCompile:
    """The error for code that asks for a value while it is traced to be compiled: later calls have others."""
    return CannotCompile(
        f"{how} of a Tensor{here()}: a function that is being compiled is traced once and then run on other values, so "
        "it can't look at them. Choose with np.where instead of if, look up in a Tensor instead of an array, pass a "
        "value that steers the model as a plain number, or run this function as it is, without compile()."
    )


def length_by_values(name: str) -> CannotCompile:
    """The error for a function whose result has a length that depends on values."""
    return CannotCompile(
        f"{name}{here()} returns an array whose length depends on values, and a compiled function has to know it "
        "beforehand. Choose with np.where(a > 0, a, 0), which keeps the shape, or run this function as it is, without "
        "compile()."
    )


def not_inside(name: str, instead: str) -> CannotCompile:
    """The error for an operation that works around a compiled function but not inside one."""
    return CannotCompile(
        f"{name}{here()} inside a function that is being compiled: {instead}, or run this function as it is, without "
        "compile()."
    )


def no_assignment() -> NotOnTensors:
    """The error for assigning into a Tensor."""
    return NotOnTensors(
        f"a Tensor{here()} can't be assigned into: its value is part of a recorded graph. Write the functional form: "
        "x = index_update(x, index, value), or index_add; np.where(mask, new, old); or np.stack of the parts. "
        "Elements of a leaf that requires a gradient can be set in no_grad()."
    )


def wrong_cotangent(made_by: Any, argument: int | str, given: tuple[int, ...], shape: tuple[int, ...]) -> ValueError:
    """The error for a rule whose gradient doesn't have the shape of the argument.

    The rule belongs to ``made_by``: a name, or the node or Value; None if unknown. ``argument`` is a number or a path.
    """
    operation = made_by if isinstance(made_by, str) else getattr(getattr(made_by, "op", None), "name", "backward")
    return ValueError(
        f"{operation}{_at(getattr(made_by, 'scope', None))}: the gradient for argument {argument}, of shape {shape}, "
        f"has the shape {given}. It needs the shape of the argument: transpose, reshape or multiply it as the formula "
        "says. Only what was broadcast is summed."
    )


def complex_refused(name: str) -> NotOnTensors:
    """The error for complex numbers."""
    return NotOnTensors(
        f"{name}{here()}: complex numbers are not supported; give the real and the imaginary part as two arrays, "
        "tr.ComplexTensor(real, imag)."
    )


def _matmul_shapes(arrays: Sequence[Any]) -> str | None:
    a, b = arrays
    if min(np.ndim(a), np.ndim(b)) == 0:
        return f"{np.shape(a)} @ {np.shape(b)}: a matrix product needs at least one axis on both sides; use * to scale."
    rows = np.shape(b)[-2] if np.ndim(b) > 1 else np.shape(b)[0]
    if np.shape(a)[-1] != rows:
        return f"{np.shape(a)} @ {np.shape(b)}: inner sizes {np.shape(a)[-1]} and {rows} differ."
    return None


EXPLANATIONS: dict[str, Callable[[Sequence[Any]], str | None]] = {"matmul": _matmul_shapes}


# The types that an explained error keeps, the more special ones first.
KINDS: tuple[type[Exception], ...] = (
    np.linalg.LinAlgError, np.exceptions.AxisError, IndexError, TypeError, ValueError, Exception,
)  # fmt: skip


def explained(error: Exception, name: str, arrays: Sequence[Any], scope: Scope) -> Exception:
    """An error of NumPy's, extended by operation, shapes, layer and step, and by the inputs that the module takes."""
    explain = EXPLANATIONS.get(name)
    what = explain(arrays) if explain else None
    if what is not None:
        error = ValueError(what)
    else:
        shapes = [str(a.shape) for a in arrays if isinstance(getattr(a, "shape", None), tuple) and not np.isscalar(a)]
        on = f" on {'shape' if len(shapes) == 1 else 'shapes'} {', '.join(shapes)}" if shapes else ""
        what = f"{str(error).rstrip(' .')}{on}."
    takes = f" {scope.owner.describe()}" if hasattr(scope.owner, "describe") else ""
    kind = next(k for k in KINDS if isinstance(error, k))
    return (RuntimeError if kind is Exception else kind)(f"{name}{_at(scope)}: {what}{takes}")
