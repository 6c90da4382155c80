"""Suggestions for a misspelled or missing name: NumPy's own function, or our name for PyTorch's."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

# Functions and methods of PyTorch and other libraries, and their equivalents here; {x} is the Tensor.
FROM_TORCH = {
    "as_tensor": "tr.tensor(array)",
    "bmm": "{x} @ other",
    "cat": "np.concatenate([a, b], axis=0)",
    "chunk": "np.split({x}, parts, axis)",
    "clamp": "np.clip({x}, low, high)",
    "clone": "{x}.copy()",
    "concatenate": "np.concatenate([a, b], axis=0)",
    "contiguous": "{x} itself: arrays need no such call",
    "cpu": "{x} itself: arrays are on the CPU",
    "cuda": "{x} itself: arrays are on the CPU",
    "device": "nothing: arrays are on the CPU",
    "dim": "{x}.ndim",
    "double": "{x}.astype(np.float64)",
    "dropout": "a layer, nn.Dropout(0.5)",
    "eq": "{x} == other",
    "expand": "np.broadcast_to({x}, shape)",
    "float": "{x}.astype(np.float32)",
    "from_numpy": "tr.tensor(array)",
    "gather": "np.take_along_axis({x}, indices, axis)",
    "grad_fn": "{x}.op and {x}.inputs, or draw all of it: tr.draw({x})",
    "index_select": "np.take({x}, indices, axis)",
    "inference_mode": "with tr.no_grad():",
    "is_tensor": "isinstance({x}, tr.Tensor)",
    "jit": "tr.compile(cell)",
    "load": "nn.load_weights(path), or training.load_tree(path)",
    "long": "{x}.astype(int)",
    "make_dot": "tr.draw({x})",
    "masked_fill": "np.where(mask, value, {x})",
    "mm": "{x} @ other",
    "multinomial": "np.random.default_rng(0).choice(k, p=p / p.sum()), p being float64",
    "nelement": "{x}.size",
    "new_ones": "np.ones(shape)",
    "new_zeros": "np.zeros(shape)",
    "norm": "np.linalg.norm({x})",
    "normal": "np.random.default_rng(0).normal(size=shape)",
    "numel": "{x}.size",
    "permute": "np.transpose({x}, axes)",
    "plot": "tr.draw({x}) for the graph, history.plot() for the losses",
    "pow": "{x} ** exponent",
    "rand": "np.random.default_rng(0).random(shape)",
    "randn": "np.random.default_rng(0).normal(size=shape)",
    "register_hook": "{x}.retain_grad(), and read {x}.grad after backward()",
    "rsqrt": "1 / np.sqrt({x})",
    "save": "nn.save_weights(model.state_dict(), path), or training.save_tree(tree, path)",
    "scan": "tr.unroll(cell, xs, state)",
    "scatter": "tr.index_update({x}, index, values)",
    "scatter_add": "tr.index_add({x}, index, values)",
    "seed": "tr.manual_seed(0)",
    "set_grad_enabled": "with tr.no_grad(): or with tr.enable_grad():",
    "show": "tr.draw({x})",
    "stack": "np.stack([a, b], axis=0)",
    "summary": "model.summary()",
    "t": "{x}.T",
    "to": "{x}.astype(dtype)",
    "topk": "np.sort({x})[..., -k:]",
    "train": 'tr.fit(model, (X, y), "mse", "adam", epochs=5)',
    "type": "{x}.astype(dtype)",
    "type_as": "{x}.astype(other.dtype)",
    "unbind": "list({x})",
    "uniform": "np.random.default_rng(0).uniform(low, high, shape)",
    "unsqueeze": "np.expand_dims({x}, axis), or {x}[None]",
    "Variable": "tr.tensor(array, requires_grad=True)",
    "view": "{x}.reshape(shape)",
    "where": "np.where(condition, a, b)",
    "visualize": "tr.draw({x})",
    "vmap": "the function itself, for arrays with a leading axis: operations broadcast",
}
# Methods that change a Tensor in PyTorch.
IN_PLACE = {
    "add_": "{x} += other",
    "copy_": "{x}[...] = other",
    "div_": "{x} /= other",
    "fill": "{x}[...] = value",
    "fill_": "{x}[...] = value",
    "mul_": "{x} *= other",
    "scatter_": "{x}[0] = value",
    "sub_": "{x} -= other",
    "zero_": "{x}[...] = 0",
}
# The members of PyTorch's modules, and their equivalents here.
IN_ROOMS = {
    "BCELoss": "nn.binary_cross_entropy(probabilities, target)",
    "BCEWithLogitsLoss": "nn.binary_cross_entropy_with_logits(logits, target)",
    "CTCLoss": "nn.ctc(...)",
    "CrossEntropyLoss": "nn.cross_entropy(logits, classes)",
    "DataLoader": "data.Batches(inputs, targets, batch_size=32, rng=0), or hand (X, y) to tr.fit",
    "Dataset": "a pair of arrays or lists (X, y)",
    "GELU": "tr.gelu(x)",
    "HuberLoss": "nn.huber(prediction, target)",
    "L1Loss": "nn.l1(prediction, target)",
    "LeakyReLU": "tr.leaky_relu(x)",
    "LogSoftmax": "tr.log_softmax(x)",
    "MSELoss": "nn.mse(prediction, target)",
    "ModuleDict": "a plain dict of modules as an attribute",
    "ModuleList": "a plain list of modules as an attribute",
    "NLLLoss": "nn.nll(log_probabilities, classes)",
    "ParameterDict": "a plain dict of Parameters as an attribute",
    "ParameterList": "a plain list of Parameters as an attribute",
    "ReLU": "tr.relu(x)",
    "SiLU": "tr.silu(x)",
    "Sigmoid": "tr.sigmoid(x)",
    "Softmax": "tr.softmax(x)",
    "Softplus": "tr.softplus(x)",
    "Tanh": "np.tanh(x)",
    "functional": "the functions themselves: nn.cross_entropy, tr.relu, np.tanh",
    "lr_scheduler": "the schedules in tr.optim: optim.StepLR(optimizer, 10)",
    "utils": "optim.clip_grad_norm_(parameters, 1.0), optim.clip_grad_value_(parameters, 0.5)",
}
# Attributes of a model, a training history and a picture in PyTorch, Keras, scikit-learn, Graphviz and Matplotlib.
OF_MODELS = {
    "add_module": "self.name = module",
    "apply": "for part in model.modules(): ...",
    "bias": "the parameters' own names, b of most layers: model.state_dict() lists them",
    "children": "model.modules()",
    "compile": "tr.fit(model, (X, y), loss, optimizer): fit takes what compile() does elsewhere",
    "count_params": "model.num_parameters()",
    "cpu": "model itself: arrays are on the CPU",
    "cuda": "model itself: arrays are on the CPU",
    "double": "dtype=np.float64 where its layers are made",
    "evaluate": "tr.training.evaluate(model, batches, loss), or a metric of model.predict(X) and y",
    "fit": 'tr.fit(model, (X, y), "mse", "adam", epochs=5)',
    "float": "dtype=np.float32 where its layers are made",
    "load": "model.load_state_dict(nn.load_weights(path))",
    "load_weights": "model.load_state_dict(nn.load_weights(path))",
    "predict_proba": "tr.softmax(model.predict(X))",
    "register_buffer": "self.name = array",
    "register_module": "self.name = module",
    "register_parameter": "self.name = nn.Parameter(array)",
    "requires_grad_": "p.requires_grad = False for its parameters p",
    "save": "nn.save_weights(model.state_dict(), path)",
    "save_weights": "nn.save_weights(model.state_dict(), path)",
    "score": "tr.training.accuracy(model.predict(X), y)",
    "to": "model itself: arrays are on the CPU; dtype= where its layers are made",
    "weight": "the parameters' own names, W or U of most layers: model.state_dict() lists them",
}
OF_HISTORIES = {
    "history": "history.losses, .epoch_losses, .validation, .metrics, or history.to_frame()",
    "loss": "history.losses, or history.epoch_losses",
    "val_loss": "history.validation",
}
# Keywords of layers, optimisers and fit() in PyTorch and Keras.
KEYWORDS = {
    "criterion": "write loss=",
    "device": "leave it out, arrays are on the CPU",
    "early_stopping": "write patience=",
    "embedding_dim": "write units=",
    "hidden_size": "write units=",
    "in_features": "write inputs=",
    "input_size": "write inputs=",
    "layers": "write num_layers=",
    "learning_rate": "write lr=",
    "nonlinearity": "write activation=",
    "normalized_shape": "write units=",
    "num_embeddings": "write symbols=",
    "num_epochs": "write epochs=",
    "out_features": "write outputs=",
    "return_sequences": "leave it out, a layer returns all outputs and the last state",
    "validation_data": "write validation=",
    "validation_split": "write validation=(X, y), with examples that training doesn't see",
    "verbose": "write progress=",
}
OF_PICTURES = {
    "plot": 'picture.save("page.html"), and open that in a browser; a notebook shows a picture by itself',
    "render": 'picture.save("network.svg"), or .png, .pdf, .html',
    "show": 'picture.save("page.html"), and open that in a browser; a notebook shows a picture by itself',
    "view": 'picture.save("page.html"), and open that in a browser; a notebook shows a picture by itself',
    "write": 'picture.save("network.svg"), or .png, .pdf, .html',
}
# Functions of an array that the package has because NumPy lacks them.
OWN = (
    "elu", "erf", "gelu", "hard_sigmoid", "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "relu",
    "selu", "sigmoid", "silu", "softmax", "softplus",
)  # fmt: skip
NEEDS_NO_TENSOR = ("zeros", "ones", "empty", "full", "arange", "linspace", "eye", "array", "asarray")


def _called(name: str) -> str:
    """A call of a NumPy function, with as many arguments as it needs."""
    function = getattr(np, name)
    if isinstance(function, np.ufunc):
        return f"np.{name}({', '.join('xyz'[: function.nin])})"
    try:
        needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
    except ValueError:  # compiled functions may have none
        needed = []
    return f"np.{name}(x)" if len(needed) == 1 else f"np.{name}(...)"


@lru_cache(maxsize=256)  # some libraries often test whether a Tensor has one of their attributes
def method(name: str, kind: type) -> str:
    """The message for an attribute that a Tensor doesn't have, with what to write instead."""
    said = f"a Tensor has no attribute {name!r}"
    if name in IN_PLACE:
        return f"{said}: in tr.no_grad(), for a leaf that requires a gradient, write {IN_PLACE[name].format(x='x')}"
    if name == "requires_grad_":
        return f"{said}: write x.requires_grad = True"
    if name in OWN:
        return f"{said}: write tr.{name}(x)"
    if name in FROM_TORCH:
        return f"{said}: write {FROM_TORCH[name].format(x='x')}"
    if name == "zero_grad":
        return f"{said}: write x.grad = None, or model.zero_grad() for all parameters"
    if callable(getattr(np, name, None)):
        return f"{said}: NumPy's own functions take Tensors; write {_called(name)}"
    if hasattr(np.ndarray, name):
        return f"{said}: its array has; write x.data.{name}"
    close = difflib.get_close_matches(name, [one for one in dir(kind) if not one.startswith("_")], n=1)
    return f"{said}: did you mean x.{close[0]}?" if close else said


def check_keywords(what: str, function: Callable[..., Any], given: Iterable[str]) -> None:
    """Raise TypeError for a keyword of another library that a function doesn't take, with what to write instead."""
    for name in KEYWORDS.keys() & set(given):
        taken = inspect.signature(function).parameters
        # What **options takes is unknown, in a class of the user's, unless its type says it (PEP 692).
        others = any(one.kind is one.VAR_KEYWORD and "Unpack" not in str(one.annotation) for one in taken.values())
        if name not in taken and not others:
            raise TypeError(f"{what} takes no {name}=: {KEYWORDS[name]}")


def check_function(what: str, given: Any, kind: str = "function") -> None:
    """Raise TypeError for what can't be called, or is a class in the place of its object."""
    if isinstance(given, type) or not callable(given):
        found = f"the class {given.__name__} itself" if isinstance(given, type) else f"of type {type(given).__name__}"
        raise TypeError(f"{what}: pass a {kind}; this is {found}")


def keywords_told(function: Function) -> Function:
    """A function that says what to write instead of other libraries' keywords."""

    @wraps(function)
    def told(*args: Any, **keywords: Any) -> Any:
        check_keywords(f"{function.__name__}()", function, keywords)
        return function(*args, **keywords)

    return told  # type: ignore[return-value]


class KeywordsTold:
    """The base of classes whose constructors say what to write instead of other libraries' keywords."""

    if not TYPE_CHECKING:  # otherwise a type checker would accept every argument

        def __new__(cls, *args: Any, **keywords: Any) -> Any:
            """Make an object, which ``__init__`` fills, once its keywords are known."""
            check_keywords(cls.__name__, cls.__init__, keywords)
            return super().__new__(cls)


def of_object(instead: dict[str, str]) -> Callable[[Any, str], Any]:
    """Return an ``__getattr__``, whose error says what to write ``instead`` of other libraries' names."""

    def missing(self: Any, name: str) -> Any:
        if hasattr(type(self), name):  # a property raised this error: its own message is the better one
            return object.__getattribute__(self, name)
        said = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(f"{said}: write {instead[name]}" if name in instead else said, name=name, obj=self)

    return missing


def of_room(room: str, known: Iterable[str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``, which raises an error with a suggestion for an unknown name."""

    def missing(name: str) -> Any:
        said = f"module {room!r} has no attribute {name!r}"
        if not name.startswith("_"):
            short = room.rpartition(".")[2]
            close = difflib.get_close_matches(name, list(known), n=1)
            if name in IN_ROOMS:
                said += f": write {IN_ROOMS[name]}"
            elif close:
                said += f": did you mean {short}.{close[0]}?"
        raise AttributeError(said, name=name, obj=sys.modules.get(room))

    return missing


def function(name: str, known: Iterable[str], rooms: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The message for a name that neither the package nor its rooms have, with what to write instead."""
    said = f"tinygrad_rnn has no {name!r}"
    if name in IN_ROOMS:
        return f"{said}: write {IN_ROOMS[name]}"
    for room, offered in rooms:
        if name in offered:
            return f"{said}: it is tr.{room}.{name}"
    if name in FROM_TORCH:
        return f"{said}: write {FROM_TORCH[name].format(x='x')}"
    if isinstance(getattr(np, name, None), (type, float)):
        return f"{said}: types and constants are NumPy's; write np.{name}"
    if callable(getattr(np, name, None)):
        example = f"np.{name}(...)" if name in NEEDS_NO_TENSOR else _called(name)
        wrapped = f", or tr.tensor({example}, requires_grad=True)" if name in NEEDS_NO_TENSOR else ""
        return f"{said}: models are written in NumPy, whose functions take Tensors; write {example}{wrapped}"
    if hasattr(np.ndarray, name):
        return f"{said}: it is a method, x.{name}"
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"{said}: did you mean tr.{close[0]}?" if close else said
