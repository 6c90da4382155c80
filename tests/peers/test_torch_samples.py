"""The sample inputs of PyTorch's own operator tests (OpInfo): values and gradients of NumPy's functions are PyTorch's.

PyTorch needs `expecttest` to hand out its samples, which the project doesn't install; CONTRIBUTING.md has the command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402


class Other(Exception):
    """A sample that asks for something that NumPy's function doesn't have."""


def _other(*_: Any, **__: Any) -> Any:
    raise Other


def axes(dim: Any) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def one(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: f(x)


def two(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: f(x, y)


def reduced(f: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
        if dtype is not None:
            raise Other
        return f(x, axis=None if dim == [] or dim == () else axes(dim), keepdims=keepdim)

    return reduce


def spread(f: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, dim: Any = None, unbiased: Any = None, correction: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        ddof = correction if correction is not None else 1 if unbiased is None else int(unbiased)
        return f(x, axis=axes(dim) or None if dim != 0 else 0, ddof=ddof, keepdims=keepdim)

    return reduce


def along(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, dim, dtype=None: f(x, axis=dim) if dtype is None else _other()


def scaled(x: Any, y: Any, alpha: float = 1) -> Any:
    return x + alpha * y


def fourier(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, n=None, dim=-1, norm=None: f(x, n=n, axis=dim, norm=norm)


def norm_of(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    if dtype is not None or np.ndim(x) == 0 or (isinstance(ord, str) and dim is None):
        raise Other
    if isinstance(ord, (int, float)) and dim is None and np.ndim(x) != 2:
        x = np.ravel(x)
        if keepdim:
            raise Other
    if ord is None and dim is None and keepdim:
        raise Other
    return np.linalg.norm(x, ord=ord, axis=axes(dim), keepdims=keepdim)


def sections(x: Any, parts: Any, dim: int = 0) -> Any:
    ends = np.cumsum(parts)[:-1] if isinstance(parts, (list, tuple)) else np.arange(parts, np.shape(x)[dim], parts)
    return np.split(x, [int(e) for e in ends], axis=dim)


def limited(x: Any, min: Any = None, max: Any = None) -> Any:
    return np.clip(x, min, max)


def padded(x: Any, pad: Any, mode: str = "constant", value: Any = 0.0) -> Any:
    if any(p < 0 for p in pad):
        raise Other
    widths = [(0, 0)] * (np.ndim(x) - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    if mode == "constant":
        return np.pad(x, widths, constant_values=value or 0.0)
    return np.pad(x, widths, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])


def rolled(x: Any, shifts: Any, dims: Any = None) -> Any:
    return np.roll(x, axes(shifts), None if dims is None or dims == () else axes(dims))


def linear(x: Any, w: Any, b: Any = 0.0) -> Any:
    return x @ np.transpose(w) + b


def layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    over = tuple(range(-len(shape), 0))
    shifted = x - np.mean(x, axis=over, keepdims=True)
    y = shifted / np.sqrt(np.mean(shifted**2, axis=over, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def cosine(x: Any, y: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    x, y = np.broadcast_arrays(x, y)
    lengths = [np.maximum(np.linalg.norm(a, axis=dim), eps) for a in (x, y)]
    return np.sum(x * y, axis=dim) / (lengths[0] * lengths[1])


def cross_entropy(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Any:  # fmt: skip
    if weight is not None and label_smoothing:
        raise Other
    if np.ndim(x) > 1:
        x = np.moveaxis(x, 1, -1)
        target = np.moveaxis(target, 1, -1) if np.ndim(target) == np.ndim(x) and target.dtype.kind == "f" else target
    return tr.nn.cross_entropy(
        x, target, reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
    )


def pair_loss(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y, reduction="mean", **settings: f(x, y, reduction, **settings)


OF_ONE = """
    abs ceil cos cosh deg2rad exp exp2 expm1 fliplr flipud floor log log10 log1p log2 rad2deg reciprocal sign sin sinc
    sinh sqrt square tan tanh trunc positive ravel signbit isnan isinf isfinite logical_not isposinf isneginf
"""
OF_TWO = """
    copysign fmax fmin heaviside hypot logaddexp logaddexp2 maximum minimum matmul inner kron float_power logical_and
    logical_or logical_xor
"""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: one(getattr(np, name)) for name in OF_ONE.split()},
    **{name: two(getattr(np, name)) for name in OF_TWO.split()},
    "acos": one(np.arccos),
    "acosh": one(np.arccosh),
    "asin": one(np.arcsin),
    "asinh": one(np.arcsinh),
    "atan": one(np.arctan),
    "atanh": one(np.arctanh),
    "neg": one(np.negative),
    "rsqrt": one(lambda x: x**-0.5),
    "frac": one(lambda x: x - np.trunc(x)),
    "angle": one(np.angle),
    "real": one(np.real),
    "conj": one(np.conj),
    "clone": one(np.copy),
    "contiguous": one(lambda x: x),
    "erf": one(tr.erf),
    "erfc": one(lambda x: 1 - tr.erf(x)),
    "sigmoid": one(tr.sigmoid),
    "logit": lambda x, eps=None: np.log((lambda p: p / (1 - p))(x if eps is None else np.clip(x, eps, 1 - eps))),
    "atan2": two(np.arctan2),
    "fmod": two(np.fmod),
    "remainder": two(np.remainder),
    "pow": two(np.power),
    "true_divide": two(np.divide),
    "mul": two(np.multiply),
    "add": scaled,
    "sub": lambda x, y, alpha=1: x - alpha * y,
    "rsub": lambda x, y, alpha=1: y - alpha * x,
    "__radd__": two(lambda x, y: y + x),
    "__rdiv__": two(lambda x, y: y / x),
    "__rmul__": two(lambda x, y: y * x),
    "__rsub__": two(lambda x, y: y - x),
    "__rpow__": two(lambda x, y: y**x),
    "__rmod__": two(lambda x, y: y % x),
    "__rmatmul__": two(lambda x, y: y @ x),
    "xlogy": two(lambda x, y: np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, y)))),
    "eq": two(np.equal),
    "ne": two(np.not_equal),
    "lt": two(np.less),
    "le": two(np.less_equal),
    "gt": two(np.greater),
    "ge": two(np.greater_equal),
    "lerp": lambda x, y, w: x + w * (y - x),
    "addcmul": lambda x, a, b, value=1: x + value * a * b,
    "addcdiv": lambda x, a, b, value=1: x + value * a / b,
    "clamp": limited,
    "clamp_min": limited,
    "clamp_max": lambda x, max: np.clip(x, None, max),
    "where": lambda x, condition, y: np.where(condition, x, y),
    "sum": reduced(np.sum),
    "mean": reduced(np.mean),
    "nansum": reduced(np.nansum),
    "nanmean": reduced(np.nanmean),
    "amax": reduced(np.max),
    "amin": reduced(np.min),
    "prod": reduced(np.prod),
    "var": spread(np.var),
    "std": spread(np.std),
    "max/reduction_no_dim": one(np.max),
    "min/reduction_no_dim": one(np.min),
    "max/binary": two(np.maximum),
    "min/binary": two(np.minimum),
    "all": reduced(np.all),
    "any": reduced(np.any),
    "logsumexp": lambda x, dim, keepdim=False: tr.logsumexp(x, axis=axes(dim), keepdims=keepdim),
    "argmax": lambda x, dim=None, keepdim=False: np.argmax(x, axis=dim, keepdims=keepdim and dim is not None),
    "argmin": lambda x, dim=None, keepdim=False: np.argmin(x, axis=dim, keepdims=keepdim and dim is not None),
    "cumsum": along(np.cumsum),
    "cumprod": along(np.cumprod),
    "diff": lambda x, n=1, dim=-1, prepend=None, append=None: np.diff(
        x, n, axis=dim, **{k: v for k, v in {"prepend": prepend, "append": append}.items() if v is not None}
    ),
    "trapezoid": lambda y, x=None, dim=-1, dx=1.0: np.trapezoid(y, x, dx=dx, axis=dim),
    "softmax": lambda x, dim: tr.softmax(x, axis=dim),
    "log_softmax": lambda x, dim: tr.log_softmax(x, axis=dim),
    "nn.functional.softmin": lambda x, dim: tr.softmax(-x, axis=dim),
    "nn.functional.relu": one(tr.relu),
    "nn.functional.relu6": one(lambda x: np.clip(x, 0, 6)),
    "nn.functional.silu": one(tr.silu),
    "nn.functional.softsign": one(lambda x: x / (1 + np.abs(x))),
    "nn.functional.logsigmoid": one(tr.log_sigmoid),
    "nn.functional.mish": one(lambda x: x * np.tanh(tr.softplus(x))),
    "nn.functional.selu": one(tr.selu),
    "nn.functional.tanhshrink": one(lambda x: x - np.tanh(x)),
    "nn.functional.hardsigmoid": one(tr.hard_sigmoid),
    "nn.functional.gelu": lambda x, approximate="none": tr.gelu(x, approximate),
    "nn.functional.elu": lambda x, alpha=1.0: tr.elu(x, alpha),
    "nn.functional.celu": lambda x, alpha=1.0: alpha * tr.elu(x / alpha),
    "nn.functional.leaky_relu": lambda x, negative_slope=0.01: tr.leaky_relu(x, negative_slope),
    "nn.functional.hardtanh": lambda x, min_val=-1.0, max_val=1.0: tr.hard_tanh(x, min_val, max_val),
    "nn.functional.threshold": lambda x, threshold, value: np.where(x > threshold, x, value),
    "nn.functional.glu": lambda x, dim=-1: (lambda a, b: a * tr.sigmoid(b))(*np.split(x, 2, axis=dim)),
    "nn.functional.softplus": lambda x, beta=1.0, threshold=20.0: np.where(
        x * beta > threshold, x, tr.softplus(x * beta) / beta
    ),
    "nn.functional.linear": linear,
    "nn.functional.layer_norm": layer_norm,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.mse_loss": pair_loss(tr.nn.mse),
    "nn.functional.l1_loss": pair_loss(tr.nn.l1),
    "nn.functional.huber_loss": lambda x, y, reduction="mean", delta=1.0: tr.nn.huber(
        x, y, delta=delta, reduction=reduction
    ),
    "nn.functional.binary_cross_entropy_with_logits": lambda x, y, weight=None, pos_weight=None, reduction="mean": (
        tr.nn.binary_cross_entropy_with_logits(x, y, reduction) if weight is pos_weight is None else _other()
    ),
    "nn.functional.pad/constant": padded,
    "nn.functional.pad/reflect": padded,
    "nn.functional.pad/replicate": padded,
    "nn.functional.pad/circular": padded,
    "nn.functional.cosine_similarity": cosine,
    "nn.functional.embedding": lambda w, i, **s: w[i] if not s else _other(),
    "addmm": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "addmv": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "baddbmm": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "addr": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * np.outer(a, b),
    "addbmm": lambda c, a, b, beta=1, alpha=1: beta * c + alpha * np.sum(a @ b, axis=0),
    "bmm": two(np.matmul),
    "mm": two(np.matmul),
    "mv": two(np.matmul),
    "dot": two(np.dot),
    "vdot": two(np.vdot),
    "outer": two(np.outer),
    "cross": lambda x, y, dim=-1: np.cross(x, y, axis=dim),
    "linalg.cross": lambda x, y, dim=-1: np.linalg.cross(x, y, axis=dim) if np.shape(x) == np.shape(y) else _other(),
    "linalg.vecdot": lambda x, y, dim=-1: np.sum(x * y, axis=dim),
    "einsum": lambda operands, equation: np.einsum(equation, *operands) if "..." not in equation else _other(),
    "tensordot": lambda x, y, dims=2: np.tensordot(x, y, dims) if 1 not in np.shape(x) else _other(),
    "trace": one(np.trace),
    "T": one(np.transpose),
    "t": one(np.transpose),
    "mT": one(lambda x: np.swapaxes(x, -1, -2)),
    "tril": lambda x, k=0: np.tril(x, k),
    "triu": lambda x, k=0: np.triu(x, k),
    "rot90": lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    "diag": lambda x, k=0: np.diag(x, k),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: np.diagonal(x, offset, dim1, dim2),
    "linalg.det": one(np.linalg.det),
    "linalg.inv": one(np.linalg.inv),
    "linalg.slogdet": one(lambda x: tuple(np.linalg.slogdet(x))),
    "linalg.matrix_power": lambda x, n: np.linalg.matrix_power(x, n),
    "linalg.svdvals": one(lambda x: np.linalg.svd(x, compute_uv=False)),
    "linalg.solve": lambda x, b, left=True: np.linalg.solve(x, b) if left and np.ndim(b) == np.ndim(x) else _other(),
    "linalg.multi_dot": one(lambda operands: np.linalg.multi_dot(operands)),
    "linalg.norm": norm_of,
    "linalg.pinv": lambda x, **s: np.linalg.pinv(x) if not s else _other(),
    "logdet": one(lambda x: np.log(np.linalg.det(x))),
    "fft.fft": fourier(np.fft.fft),
    "fft.ifft": fourier(np.fft.ifft),
    "fft.rfft": fourier(np.fft.rfft),
    "flip": lambda x, dims: np.flip(x, axes(dims)),
    "roll": rolled,
    "movedim": np.moveaxis,
    "transpose": np.swapaxes,
    "permute": lambda x, dims: np.transpose(x, dims),
    "squeeze": lambda x, dim=None: np.squeeze(x, dim) if dim is None or (np.ndim(x) and np.shape(x)[dim] == 1) else x,
    "unsqueeze": lambda x, dim: np.expand_dims(x, dim),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "view": lambda x, shape: np.reshape(x, shape),
    "flatten": lambda x, start_dim=0, end_dim=-1: np.reshape(
        x, (*np.shape(x)[: start_dim % max(np.ndim(x), 1)], -1, *np.shape(x)[end_dim % max(np.ndim(x), 1) + 1 :])
    ),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "tile": lambda x, dims: np.tile(x, dims),
    "repeat": lambda x, *dims: np.tile(x, dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims),
    "repeat_interleave": lambda x, repeats, dim=None, output_size=None: np.repeat(x, repeats, axis=dim),
    "cat": lambda parts, dim=0: np.concatenate([p for p in parts if np.shape(p) != (0,)] or _other(), axis=dim),
    "stack": lambda parts, dim=0: np.stack(parts, dim),
    "hstack": np.hstack,
    "vstack": np.vstack,
    "dstack": np.dstack,
    "column_stack": np.column_stack,
    "split/list_args": sections,
    "split": sections,
    "hsplit": np.hsplit,
    "vsplit": np.vsplit,
    "dsplit": np.dsplit,
    "chunk": lambda x, chunks, dim=0: sections(x, -(-np.shape(x)[dim] // chunks), dim),
    "narrow": lambda x, dim, start, length: np.take(x, np.arange(int(start), int(start) + length), axis=dim),
    "select": lambda x, dim, index: np.take(x, index, axis=dim),
    "index_select": lambda x, dim, index: np.take(x, index, axis=dim),
    "__getitem__": lambda x, index: x[index],
    "take": lambda x, index: np.take(x, index),
    "take_along_dim": lambda x, i, dim=None: (
        np.take_along_axis(x, i, dim) if np.ndim(x) == np.ndim(i) and dim is not None else _other()
    ),
    "gather": lambda x, dim, index: (
        _other()
        if np.ndim(x) == 0 or np.ndim(x) != np.ndim(index)
        else x[tuple(index if i == dim % np.ndim(x) else grid for i, grid in enumerate(np.indices(np.shape(index))))]
    ),
    "masked_select": lambda x, mask: x[mask] if np.shape(mask) == np.shape(x) else _other(),
    "nan_to_num": lambda x, nan=0.0, posinf=None, neginf=None: np.nan_to_num(
        x, nan=nan or 0.0, posinf=posinf, neginf=neginf
    ),
    "masked_fill": lambda x, mask, value: np.where(mask, value, x),
    "msort": one(lambda x: np.sort(x, axis=0)),
    "round": lambda x, decimals=0: np.round(x, decimals),
    "meshgrid/list_of_tensors": lambda xs, indexing="ij": np.meshgrid(*xs, indexing=indexing),
    "ldexp": two(lambda x, n: x * 2.0**n),
    "unbind": lambda x, dim=0: np.unstack(x, axis=dim),
}


def name_of(info: Any) -> str:
    return info.name + (f"/{info.variant_test_name}" if info.variant_test_name else "")


FOUND = {name_of(info): info for info in op_db if name_of(info) in FUNCTIONS}


def ours(tree: Any, leaves: list[Any]) -> Any:
    """A sample's arguments with Tensors of ours in the place of PyTorch's; those that want gradients are collected."""
    if isinstance(tree, torch.Tensor):
        array = tree.detach().numpy().copy()
        if not tree.requires_grad:
            return array
        leaves.append(tr.tensor(array, requires_grad=True))
        return leaves[-1]
    if isinstance(tree, (list, tuple)) and not isinstance(tree, torch.Size):
        return type(tree)(ours(part, leaves) for part in tree)
    if isinstance(tree, dict):
        return {key: ours(part, leaves) for key, part in tree.items()}
    return tuple(tree) if isinstance(tree, torch.Size) else tree


def theirs(tree: Any) -> list[Any]:
    if isinstance(tree, torch.Tensor):
        return [tree] if tree.requires_grad else []
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [leaf for part in parts for leaf in theirs(part)]


def results(tree: Any) -> list[Any]:
    return [a for part in tree for a in results(part)] if isinstance(tree, (list, tuple)) else [tree]


def array(a: Any) -> np.ndarray:
    if isinstance(a, torch.Tensor):
        return a.detach().resolve_conj().resolve_neg().numpy()
    if isinstance(a, tr.ComplexTensor):
        return a.numpy()
    return a.numpy() if isinstance(a, tr.Tensor) else np.asarray(a)


def weighed(outputs: list[Any], rng: np.random.Generator) -> Any:
    """One number from all outputs, for its gradient: each element, real and imaginary part, has a weight of its own."""
    total: Any = 0.0
    for a in outputs:
        if array(a).dtype.kind not in "fc":
            continue
        wrapped = torch.as_tensor if isinstance(a, torch.Tensor) else np.asarray
        parts = [a.real, a.imag] if array(a).dtype.kind == "c" else [a]
        for part in parts:
            total = total + (part * wrapped(rng.normal(size=array(part).shape))).sum()
    return total


@pytest.mark.one_in(8)
@pytest.mark.parametrize("name", FOUND)
def test_values_and_gradients(name: str) -> None:
    info, asked = FOUND[name], 0
    differentiable = info.supports_autograd
    for number, sample in enumerate(info.sample_inputs("cpu", torch.float64, requires_grad=differentiable)):
        if any(isinstance(a, torch.Tensor) and a.dtype.is_complex for a in theirs([sample.input, sample.args])):
            continue
        leaves: list[Any] = []
        arguments, settings = ours([sample.input, *sample.args], leaves), ours(sample.kwargs, leaves)
        settings = {key: value for key, value in settings.items() if key != "dtype" or value is not None}
        if any(np.ndim(a) == 0 for a in leaves) and (isinstance(settings.get("dim"), int) or len(arguments) > 1):
            continue  # PyTorch takes a number for an array of one axis
        try:
            found = FUNCTIONS[name](*arguments, **settings)
        except Other:
            continue
        expected = info.op(sample.input, *sample.args, **sample.kwargs)
        asked += 1
        got, wanted = results(found), results(expected)
        assert len(got) == len(wanted)
        said = f"{name}, sample {number}: {sample}"
        for a, b in zip(got, wanted):
            assert array(a).shape == array(b).shape, said
            np.testing.assert_allclose(array(a), array(b), rtol=1e-7, atol=1e-10, err_msg=said)
        given = theirs([sample.input, *sample.args, sample.kwargs])
        ours_total, total = (weighed(parts, np.random.default_rng(0)) for parts in (got, wanted))
        if not differentiable or not isinstance(total, torch.Tensor) or not total.requires_grad:
            continue
        gradients = torch.autograd.grad(total, given, allow_unused=True)
        if isinstance(ours_total, tr.Tensor) and ours_total.requires_grad:
            ours_total.backward()
        for leaf, b in zip(leaves, gradients, strict=True):
            a = np.zeros(leaf.shape) if leaf.grad is None else array(leaf.grad)
            b = np.zeros(leaf.shape) if b is None else array(b)
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9, err_msg=f"gradient of {said}")
    if not asked:
        pytest.skip("none of the samples has a form in NumPy")
