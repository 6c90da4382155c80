"""Graphs of ONNX, run by NumPy's functions and this package's on Tensors: an oracle for values that nobody here wrote.

Each operation is one entry of `OPERATIONS`: a function of the inputs, with the attributes as keywords.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import tinygrad_rnn as tr
from tinygrad_rnn import nn


class Unknown(Exception):
    """An operation, or a form of one, that has no entry here."""


def plain(a: Any) -> np.ndarray:
    """The array in a Tensor."""
    return a.numpy() if isinstance(a, tr.Tensor) else np.asarray(a)


def whole(a: Any) -> list[int]:
    """The whole numbers in an array, of axes or sizes."""
    return [int(i) for i in plain(a).ravel()]


def as_type(x: Any, dtype: Any) -> Any:
    return x.astype(dtype) if isinstance(x, tr.Tensor) else np.asarray(x, dtype)


def single(a: Any) -> Any:
    """The only element of an array of any shape."""
    return np.reshape(a, ())


def divided(x: Any, y: Any) -> Any:
    return x // y if np.result_type(x, y).kind == "i" else x / y


def folded(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def fold(first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return fold


# --- sums and their kind ---------------------------------------------------------------------------------------------


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, given: Any = None, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
        axes = axes if given is None else whole(given)
        if noop_with_empty_axes and not axes:
            raise Unknown("a reduction over no axis")
        return function(x, axis=tuple(axes) if axes else None, keepdims=bool(keepdims))

    return reduce


def index_of(function: Callable[..., Any]) -> Callable[..., Any]:
    def index(x: Any, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
        if select_last_index:
            return np.shape(x)[axis] - 1 - function(np.flip(x, axis), axis=axis, keepdims=bool(keepdims))
        return function(x, axis=axis, keepdims=bool(keepdims))

    return index


def running(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, axis: Any, exclusive: int = 0, reverse: int = 0) -> Any:
        (axis,) = whole(axis)
        x = np.flip(x, axis) if reverse else x
        if exclusive:
            neutral = 0.0 if function is np.cumsum else 1.0
            one = [(1, 0) if i == axis % np.ndim(x) else (0, 0) for i in range(np.ndim(x))]
            x = np.delete(np.pad(x, one, constant_values=neutral), -1, axis)
        y = function(x, axis=axis)
        return np.flip(y, axis) if reverse else y

    return run


def top_k(x: Any, k: Any, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    order = np.argsort(-x if largest else x, axis=axis, kind="stable")
    order = np.take(order, np.arange(*whole(k)), axis=axis)
    return np.take_along_axis(x, order, axis), order


# --- shapes ----------------------------------------------------------------------------------------------------------


def reshape(x: Any, shape: Any, allowzero: int = 0) -> Any:
    sizes = [n if n or allowzero else np.shape(x)[i] for i, n in enumerate(whole(shape))]
    return np.reshape(x, sizes)


def squeeze(x: Any, given: Any = None, axes: Any = None) -> Any:
    axes = axes if given is None else whole(given)
    return np.squeeze(x, None if axes is None else tuple(axes))


def unsqueeze(x: Any, given: Any = None, axes: Any = None) -> Any:
    return np.expand_dims(x, tuple(axes if given is None else whole(given)))


def flatten(x: Any, axis: int = 1) -> Any:
    axis = axis + np.ndim(x) if axis < 0 else axis
    return np.reshape(x, (int(np.prod(np.shape(x)[:axis])), -1))


def split(x: Any, given: Any = None, axis: int = 0, split: Any = None, num_outputs: int | None = None) -> Any:
    sizes = split if given is None else whole(given)
    if sizes is None:
        if num_outputs is None:
            raise Unknown("a split into as many parts as there are names")
        each = -(-np.shape(x)[axis] // num_outputs)
        return tuple(np.split(x, range(each, np.shape(x)[axis], each), axis))
    return tuple(np.split(x, np.cumsum(sizes)[:-1].tolist(), axis))


def slice_(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    starts, ends = whole(starts), whole(ends)
    axes = range(len(starts)) if axes is None else whole(axes)
    steps = [1] * len(starts) if steps is None else whole(steps)
    index: list[Any] = [slice(None)] * np.ndim(x)
    for first, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(first, None if step < 0 and end < -np.shape(x)[axis] else end, step)
    return x[tuple(index)]


def expand(x: Any, shape: Any) -> Any:
    return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), tuple(whole(shape))))


def pad(x: Any, pads: Any, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
    pads = whole(pads)
    axes = range(np.ndim(x)) if axes is None else [a % np.ndim(x) for a in whole(axes)]
    widths = [(0, 0)] * np.ndim(x)
    for axis, before, after in zip(axes, pads, pads[len(pads) // 2 :]):
        widths[axis] = (before, after)
    if min(min(width) for width in widths) < 0:
        raise Unknown("a negative width")
    if mode == "constant":
        return np.pad(x, widths, constant_values=0 if value is None else float(single(plain(value))))
    return np.pad(x, widths, mode={"reflect": "reflect", "edge": "edge", "wrap": "wrap"}[mode])


def blocks(order: str) -> Callable[..., Any]:
    def depth_to_space(x: Any, blocksize: int, mode: str = "DCR") -> Any:
        b, c, h, w = np.shape(x)
        k = blocksize
        if mode == "DCR":
            parts = np.transpose(np.reshape(x, (b, k, k, c // k**2, h, w)), (0, 3, 4, 1, 5, 2))
        else:
            parts = np.transpose(np.reshape(x, (b, c // k**2, k, k, h, w)), (0, 1, 4, 2, 5, 3))
        return np.reshape(parts, (b, c // k**2, h * k, w * k))

    def space_to_depth(x: Any, blocksize: int, mode: str = "DCR") -> Any:
        b, c, h, w = np.shape(x)
        k = blocksize
        order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
        parts = np.transpose(np.reshape(x, (b, c, h // k, k, w // k, k)), order)
        return np.reshape(parts, (b, c * k**2, h // k, w // k))

    return depth_to_space if order == "depth first" else space_to_depth


def triangle(x: Any, k: Any = None, upper: int = 1) -> Any:
    return (np.triu if upper else np.tril)(x, 0 if k is None else int(single(plain(k))))


def reverse_sequence(x: Any, lengths: Any, batch_axis: int = 1, time_axis: int = 0) -> Any:
    x = np.moveaxis(x, (time_axis, batch_axis), (0, 1))
    steps, batch = np.shape(x)[:2]
    t, n = np.arange(steps)[:, None], plain(lengths)[None, :]
    y = x[np.where(t < n, n - 1 - t, t), np.arange(batch)]
    return np.moveaxis(y, (0, 1), (time_axis, batch_axis))


# --- gather and scatter ----------------------------------------------------------------------------------------------


def gather_nd(x: Any, indices: Any, batch_dims: int = 0) -> Any:
    indices, shape = plain(indices), np.shape(x)
    batch = [
        np.arange(shape[i]).reshape([-1 if j == i else 1 for j in range(indices.ndim - 1)]) for i in range(batch_dims)
    ]
    return x[(*batch, *np.moveaxis(indices, -1, 0))]


def along(indices: np.ndarray, axis: int) -> tuple[Any, ...]:
    places = list(np.indices(indices.shape))
    places[axis] = indices
    return tuple(places)


def scatter(x: Any, index: Any, updates: Any, how: str) -> Any:
    if how == "none":
        return tr.index_update(x, index, updates)
    if how == "add":
        return tr.index_add(x, index, updates)
    raise Unknown(f"scatter by {how}")


def scatter_elements(x: Any, indices: Any, updates: Any, axis: int = 0, reduction: str = "none") -> Any:
    indices = plain(indices) % np.shape(x)[axis]
    return scatter(x, along(indices, axis), updates, reduction)


def scatter_nd(x: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
    return scatter(x, tuple(np.moveaxis(plain(indices), -1, 0)), updates, reduction)


def gather_elements(x: Any, indices: Any, axis: int = 0) -> Any:
    return x[along(plain(indices) % np.shape(x)[axis], axis)]


# --- products and normalisations -------------------------------------------------------------------------------------


def gemm(a: Any, b: Any, c: Any = 0.0, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0) -> Any:
    return alpha * ((a.T if transA else a) @ (b.T if transB else b)) + beta * c


def conv(
    x: Any, w: Any, b: Any = None, kernel_shape: Any = None, pads: Any = None, strides: Any = None,
    dilations: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    space = np.ndim(x) - 2
    if auto_pad != "NOTSET" or group != 1 or set(dilations or [1]) != {1}:
        raise Unknown("a convolution with groups, dilations or automatic padding")
    pads = pads or [0] * 2 * space
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:space], pads[space:])])
    windows = np.lib.stride_tricks.sliding_window_view(x, np.shape(w)[2:], axis=tuple(range(2, 2 + space)))
    windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in strides or [1] * space))]
    y = np.tensordot(windows, w, ([1, *range(2 + space, 2 + 2 * space)], [1, *range(2, 2 + space)]))
    return np.moveaxis(y if b is None else y + b, -1, 1)


def centred(x: Any, axis: tuple[int, ...], epsilon: float) -> Any:
    shifted = x - np.mean(x, axis=axis, keepdims=True)
    return shifted / np.sqrt(np.mean(shifted**2, axis=axis, keepdims=True) + epsilon)


def last_axes(x: Any, axis: int) -> tuple[int, ...]:
    return tuple(range(axis % np.ndim(x), np.ndim(x)))


def layer_norm(x: Any, gain: Any, b: Any = 0.0, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    over = last_axes(x, axis)
    mean = np.mean(x, axis=over, keepdims=True)
    scale = 1 / np.sqrt(np.mean((x - mean) ** 2, axis=over, keepdims=True) + epsilon)
    return centred(x, over, epsilon) * gain + b, mean, scale


def rms_norm(x: Any, gain: Any, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    return x / np.sqrt(np.mean(np.square(x), axis=last_axes(x, axis), keepdims=True) + epsilon) * gain


def of_channels(v: Any, x: Any) -> Any:
    return np.reshape(v, (-1, *[1] * (np.ndim(x) - 2)))


def instance_norm(x: Any, gain: Any, b: Any, epsilon: float = 1e-5) -> Any:
    return centred(x, tuple(range(2, np.ndim(x))), epsilon) * of_channels(gain, x) + of_channels(b, x)


def group_norm(x: Any, gain: Any, b: Any, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    groups = np.reshape(x, (np.shape(x)[0], num_groups, -1))
    return np.reshape(centred(groups, (2,), epsilon), np.shape(x)) * of_channels(gain, x) + of_channels(b, x)


def batch_norm(
    x: Any, gain: Any, b: Any, mean: Any, var: Any, epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0
) -> Any:
    if training_mode:
        raise Unknown("batch normalisation while training")
    gain, b, mean, var = (of_channels(v, x) for v in (gain, b, mean, var))
    return gain * (x - mean) / np.sqrt(var + epsilon) + b


def lp_norm(x: Any, axis: int = -1, p: int = 2) -> Any:
    size = np.linalg.norm(x, ord=p, axis=axis, keepdims=True)
    return x / np.where(size == 0, 1.0, size)


# --- losses ----------------------------------------------------------------------------------------------------------


def cross_entropy(
    logits: Any, target: Any, weight: Any = None, reduction: str = "mean", ignore_index: int = -(10**6)
) -> Any:
    logits = np.moveaxis(logits, 1, -1)
    loss = nn.cross_entropy(logits, plain(target), reduction, weight=weight, ignore_index=ignore_index)
    return loss, np.moveaxis(tr.log_softmax(logits), -1, 1)


def nll(logs: Any, target: Any, weight: Any = None, reduction: str = "mean", ignore_index: int = -(10**6)) -> Any:
    return nn.nll(np.moveaxis(logs, 1, -1), plain(target), reduction, weight=weight, ignore_index=ignore_index)


# --- recurrent layers ------------------------------------------------------------------------------------------------


def in_our_order(matrix: Any, gates: str, wanted: str) -> Any:
    parts = np.split(matrix, len(gates))
    return np.concatenate([parts[gates.index(gate)] for gate in wanted])


def loaded(cell: Any, gates: str, wanted: str, w: Any, r: Any, b: Any, p: Any) -> Any:
    """A cell of `tr.nn` with the weights of one direction."""
    d = np.shape(r)[-1]
    cell.U, cell.W = in_our_order(w, gates, wanted).T, in_our_order(r, gates, wanted).T
    if "n" in wanted:  # a GRU whose reset gate stands before the product keeps the candidate's weights apart
        cell.W, cell.W_n = cell.W[:, : 2 * d], cell.W[:, 2 * d :]
    input_bias, state_bias = np.split(np.zeros(2 * len(gates) * d, np.float32) if b is None else b, 2)
    cell.b = in_our_order(input_bias + state_bias, gates, wanted)
    if p is not None:
        cell.P = np.reshape(in_our_order(p, "iof", "ifo"), (3, d))
    return cell


def recurrent(layer: str, gates: str, wanted: str) -> Callable[..., Any]:
    def run(
        x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, p: Any = None, *,
        hidden_size: int, direction: str = "forward", layout: int = 0, linear_before_reset: int = 0, **others: Any,
    ) -> Any:  # fmt: skip
        if others or linear_before_reset or (lengths is not None and min(whole(lengths)) < np.shape(x)[0]):
            raise Unknown(f"a recurrent layer with {sorted(others)}")
        x = np.swapaxes(x, 0, 1) if layout else x
        n = np.shape(x)[-1]
        outputs, states = [], []
        for i in range(np.shape(w)[0]):
            made = {
                "RNN": lambda: nn.RNNCell(n, hidden_size),
                "GRU": lambda: nn.GRUCell(n, hidden_size, reset="before"),
                "LSTM": lambda: nn.LSTMCell(n, hidden_size, peepholes=p is not None),
            }[layer]()
            cell = loaded(made, gates, wanted, w[i], r[i], *(None if a is None else a[i] for a in (b, p)))
            state = None if h is None else h[i] if layer != "LSTM" else nn.LSTMState(h[i], c[i])
            ys, state = tr.unroll(cell, x, state, reverse=direction == "reverse" or i == 1)
            outputs.append(ys)
            states.append(state if layer == "LSTM" else (state,))
        ys = np.stack(outputs, 1)
        last = [np.stack(part) for part in zip(*states)]
        if layout:
            return np.transpose(ys, (2, 0, 1, 3)), *(np.swapaxes(part, 0, 1) for part in last)
        return ys, *last

    return run


def dropout(x: Any, ratio: Any = None, training: Any = None, seed: int = 0) -> Any:
    if training is not None and single(plain(training)):
        raise Unknown("dropout while training")
    return x, np.ones(np.shape(x), bool)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Add": np.add,
    "And": np.logical_and,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Det": np.linalg.det,
    "Div": divided,
    "Equal": np.equal,
    "Erf": tr.erf,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Identity": lambda x: x,
    "IsNaN": np.isnan,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "PRelu": lambda x, a: np.where(x < 0, a * x, x),
    "Pow": np.power,
    "Reciprocal": np.reciprocal,
    "Relu": tr.relu,
    "Round": np.round,
    "Sigmoid": tr.sigmoid,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Softplus": tr.softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Tan": np.tan,
    "Tanh": np.tanh,
    "Where": np.where,
    "Xor": np.logical_xor,
    "Mish": lambda x: x * np.tanh(tr.softplus(x)),
    "HardSwish": lambda x: x * tr.hard_sigmoid(x),
    **{
        name: reduction(function)
        for name, function in {
            "ReduceSum": np.sum,
            "ReduceMean": np.mean,
            "ReduceMax": np.max,
            "ReduceMin": np.min,
            "ReduceProd": np.prod,
            "ReduceL1": lambda x, **how: np.sum(np.abs(x), **how),
            "ReduceSumSquare": lambda x, **how: np.sum(x**2, **how),
            "ReduceL2": lambda x, **how: np.sqrt(np.sum(np.square(x), **how)),
            "ReduceLogSumExp": tr.logsumexp,
            "ReduceLogSum": lambda x, **how: np.log(np.sum(x, **how)),
        }.items()
    },
    "ArgMax": index_of(np.argmax),
    "ArgMin": index_of(np.argmin),
    "CumSum": running(np.cumsum),
    "TopK": top_k,
    "CumProd": running(np.cumprod),
    "Max": folded(np.maximum),
    "Min": folded(np.minimum),
    "Sum": folded(np.add),
    "Mean": lambda *inputs: np.mean(np.stack(np.broadcast_arrays(*inputs)), axis=0),
    "Mod": lambda x, y, fmod=0: (np.fmod if fmod else np.mod)(x, y),
    "Clip": lambda x, low=None, high=None, min=None, max=None: np.clip(
        x, min if low is None else low, max if high is None else high
    ),
    "Celu": lambda x, alpha=1.0: tr.elu(x / alpha) * alpha,
    "Elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * tr.elu(x)),
    "Selu": lambda x, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875: (
        gamma * np.where(x > 0, x, alpha * tr.elu(x))
    ),
    "LeakyRelu": lambda x, alpha=0.01: tr.leaky_relu(x, alpha),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: np.clip(alpha * x + beta, 0, 1),
    "Gelu": lambda x, approximate="none": tr.gelu(x, approximate),
    "Swish": lambda x, alpha=1.0: x * tr.sigmoid(alpha * x),
    "ThresholdedRelu": lambda x, alpha=1.0: np.where(x > alpha, x, 0.0),
    "Shrink": lambda x, lambd=0.5, bias=0.0: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0)),
    "Softmax": lambda x, axis=-1: tr.softmax(x, axis=axis),
    "LogSoftmax": lambda x, axis=-1: tr.log_softmax(x, axis=axis),
    "Hardmax": lambda x, axis=-1: np.equal(
        np.argmax(x, axis=axis, keepdims=True), np.indices(np.shape(x))[axis]
    ).astype(np.float32),
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Flatten": flatten,
    "Split": split,
    "Slice": slice_,
    "Expand": expand,
    "Pad": pad,
    "Trilu": triangle,
    "ReverseSequence": reverse_sequence,
    "Tile": lambda x, n: np.tile(x, whole(n)),
    "Transpose": lambda x, perm=None: np.transpose(x, perm),
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "DepthToSpace": blocks("depth first"),
    "SpaceToDepth": blocks("space first"),
    "Shape": lambda x, start=0, end=None: np.array(np.shape(x)[start:end], np.int64),
    "Size": lambda x: np.array(np.size(x)),
    "Gather": lambda x, i, axis=0: np.take(x, plain(i), axis=axis),
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Compress": lambda x, keep, axis=None: np.compress(plain(keep), x, axis=axis),
    "Gemm": gemm,
    "Einsum": lambda *a, equation: np.einsum(equation, *a),
    "Conv": conv,
    "GlobalAveragePool": lambda x: np.mean(x, axis=tuple(range(2, np.ndim(x))), keepdims=True),
    "GlobalMaxPool": lambda x: np.max(x, axis=tuple(range(2, np.ndim(x))), keepdims=True),
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    "BatchNormalization": batch_norm,
    "LpNormalization": lp_norm,
    "MeanVarianceNormalization": lambda x, axes=(0, 2, 3): centred(x, tuple(axes), 1e-9),
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "NegativeLogLikelihoodLoss": nll,
    "RNN": recurrent("RNN", "h", "h"),
    "GRU": recurrent("GRU", "zrn", "rzn"),
    "LSTM": recurrent("LSTM", "iofg", "ifgo"),
    # what shapes and constants are made of in the graphs that spell an operation out
    "Constant": lambda **value: next(iter(value.values())),
    "ConstantOfShape": lambda shape, value=None: np.full(
        whole(shape), 0.0 if value is None else value[0], np.float32 if value is None else value.dtype
    ),
    "Range": lambda first, end, step: np.arange(first, end, step),
    "Dropout": dropout,
    "Cast": lambda x, to, saturate=1: as_type(x, onnx.helper.tensor_dtype_to_np_dtype(to)),
    "CastLike": lambda x, like, saturate=1: as_type(x, like.dtype),
}


def attributes(node: Any) -> dict[str, Any]:
    found = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        found[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return found


def run(graph: Any, *inputs: Any) -> list[Any]:
    """Compute the outputs of a graph of ONNX from its inputs.

    Raises:
        Unknown: an operation has no entry in `OPERATIONS`, or is asked for in a form that its entry doesn't have.
    """
    values: dict[str, Any] = {entry.name: given for entry, given in zip(graph.input, inputs)}
    for node in graph.node:
        if node.op_type not in OPERATIONS or node.domain:
            raise Unknown(node.op_type)
        operands = [values[name] if name else None for name in node.input]
        results = OPERATIONS[node.op_type](*operands, **attributes(node))
        results = results if isinstance(results, tuple) else (results,)
        values.update(zip(node.output, results))
    return [values[entry.name] for entry in graph.output]
