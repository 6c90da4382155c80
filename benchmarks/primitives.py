"""What a derivative costs: the vjp of each elementwise primitive over its forward pass, on a million elements.

`python -m benchmarks.primitives LIBRARY` answers requests for one library in a process of its own, a line of JSON each:
`{"function": "tanh", "seconds": 0.1}` takes the forward pass and the vjp of `np.tanh`, in turn, for that long.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any

import numpy as np

from .harness import Effort
from .processes import Worker, WorkerError, child_environment
from .report import duration, table

SIZE = 1_000_000
LIBRARIES = {"tinygrad_rnn": "tinygrad_rnn", "torch": "PyTorch", "autograd": "HIPS autograd", "mygrad": "MyGrad"}
SECONDS = 0.15  # for one function and library in one round, at most
CHECKED, TOLERANCE = 1000, 1e-3

REAL = ["negative", "absolute", "square", "exp", "expm1", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh"]
REAL += ["arcsinh", "floor", "sign", "sigmoid", "relu", "softplus"]
POSITIVE = ["sqrt", "log", "log2", "log10", "log1p", "reciprocal"]
INSIDE = ["arcsin", "arccos", "arctanh"]
BINARY = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "arctan2", "hypot", "logaddexp"]
FUNCTIONS = [*REAL, *POSITIVE, *INSIDE, "arccosh", *BINARY]

# A vjp and a forward pass that can be called, by name of the function and arrays.
Passes = tuple[Callable[[], Any], Callable[[Any], Any]]


def arrays_for(name: str) -> list[np.ndarray]:
    """A million numbers from the middle of the function's domain, for each argument; float32."""
    rng = np.random.default_rng(7)
    low, high = (
        (-2, 2) if name in REAL else (-0.8, 0.8) if name in INSIDE else (1.1, 3) if name == "arccosh" else (0.5, 2)
    )
    return [rng.uniform(low, high, SIZE).astype(np.float32) for _ in range(2 if name in BINARY else 1)]


def reference(name: str, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The derivatives by each argument, by central differences in float64 on the first elements."""
    own: dict[str, Callable[..., Any]] = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
        "softplus": lambda x: np.logaddexp(x, 0),
    }
    f = own.get(name) or getattr(np, name)
    first = [a[:CHECKED].astype(np.float64) for a in arrays]
    h = 1e-6
    found = []
    for i in range(len(first)):
        above, below = (f(*(a + s * h * (i == j) for j, a in enumerate(first))) for s in (1, -1))
        found.append((above - below) / (2 * h))
    return found


# --- the libraries: forward gives a result, backward takes it to the gradients ---------------------------------------


def of_tinygrad_rnn(name: str, arrays: list[np.ndarray]) -> Passes:
    import tinygrad_rnn as tr

    leaves = [tr.tensor(a, requires_grad=True) for a in arrays]
    f = getattr(np, name, None) or getattr(tr, name)
    ones = np.ones(SIZE, np.float32)

    def backward(y: Any) -> Any:
        for leaf in leaves:
            leaf.grad = None
        y.backward(ones)
        return [leaf.grad for leaf in leaves]

    return lambda: f(*leaves), backward


def of_torch(name: str, arrays: list[np.ndarray]) -> Passes:
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    renamed = {"power": "pow"}
    f = getattr(torch, renamed.get(name, name), None) or getattr(torch.nn.functional, name)
    ones = torch.ones(SIZE)

    def backward(y: Any) -> Any:
        for leaf in leaves:
            leaf.grad = None
        y.backward(ones)
        return [leaf.grad.numpy() for leaf in leaves]

    return lambda: f(*leaves), backward


def of_autograd(name: str, arrays: list[np.ndarray]) -> Passes:
    import autograd.numpy as anp
    from autograd import make_vjp

    f = getattr(anp, name)
    vjp = make_vjp(lambda both: f(*both))
    ones = np.ones(SIZE, np.float32)
    return lambda: vjp(tuple(arrays)), lambda y: y[0](ones)


def of_mygrad(name: str, arrays: list[np.ndarray]) -> Passes:
    import mygrad as mg

    leaves = [mg.tensor(a) for a in arrays]
    f = getattr(mg, name, None) or getattr(mg.nnet.activations, name)
    ones = np.ones(SIZE, np.float32)

    def backward(y: Any) -> Any:
        y.backward(ones)
        return [leaf.grad for leaf in leaves]

    return lambda: f(*leaves), backward


# --- a worker of one library -----------------------------------------------------------------------------------------


def timed(library: str, function: str, seconds: float) -> dict[str, Any]:
    """Median times of the forward pass and of the vjp, once its numbers are right."""
    arrays = arrays_for(function)
    try:
        forward, backward = globals()[f"of_{library}"](function, arrays)
        found = backward(forward())
    except ModuleNotFoundError as missing:
        return {"error": f"not installed ({missing})"}
    except AttributeError:
        return {"error": "has none"}
    except Exception as error:  # whatever a library has against it, the others go on
        return {"error": f"failed ({type(error).__name__})"}
    for g, expected in zip(found, reference(function, arrays)):
        worst = float(np.max(np.abs(np.asarray(g)[:CHECKED] - expected)) / np.max(np.abs(expected), initial=1e-3))
        if not worst <= TOLERANCE:
            return {"error": f"off by {worst:.0e}"}
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        began = time.perf_counter()
        y = forward()
        between = time.perf_counter()
        backward(y)
        times.append((between - began, time.perf_counter() - between))
        del y
    forward_times, backward_times = zip(*times)
    return {"forward": median(forward_times), "vjp": median(backward_times)}


def serve(library: str) -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    for line in sys.stdin:
        with np.errstate(all="ignore"):
            answer = timed(library, **json.loads(line))
        print(json.dumps(answer), file=answers, flush=True)


# --- the suite -------------------------------------------------------------------------------------------------------


def measure(functions: list[str], effort: Effort) -> dict[tuple[str, str], Any]:
    """For each function and library a list of answers, one for each round, or why there is none."""
    found: dict[tuple[str, str], Any] = {}
    rounds, seconds = max(effort.rounds // 3, 1), min(effort.seconds, SECONDS)
    with ExitStack() as stack:
        environment = child_environment(effort.threads)
        workers = {
            library: stack.enter_context(Worker(["-m", "benchmarks.primitives", library], environment))
            for library in LIBRARIES
        }
        for function in functions:
            print(f"primitives: {function}", file=sys.stderr)
            for _ in range(rounds):
                for library, worker in workers.items():
                    if isinstance(found.get((function, library)), str):
                        continue
                    try:
                        answer = worker.ask(function=function, seconds=seconds)
                    except WorkerError as problem:
                        found[function, library] = str(problem)
                    else:
                        found.setdefault((function, library), []).append(answer)
    return found


def cell(answers: Any) -> list[str]:
    """Forward time and ratio of one library for one function."""
    if isinstance(answers, str):
        return [answers, ""]
    forward = median(answer["forward"] for answer in answers)
    return [duration(forward), f"{median(answer['vjp'] for answer in answers) / forward:.2f}"]


def run(effort: Effort, wanted: str = "") -> str:
    """Measure the functions whose name contains `wanted`; Markdown."""
    functions = [name for name in FUNCTIONS if wanted in name]
    if not functions:
        return ""
    found = measure(functions, effort)
    header = ["", *(column for label in LIBRARIES.values() for column in (f"{label}: forward", "vjp / forward"))]
    rows = [[f"`{f}`", *(part for library in LIBRARIES for part in cell(found[f, library]))] for f in functions]
    about = (
        f"{SIZE:,} float32 elements. Forward includes recording; the vjp is of all arguments, from a cotangent of ones "
        "to gradients on the leaves, and frees what was recorded."
    )
    return f"### The cost of a derivative\n\n{about}\n\n{table(header, rows)}\n"


if __name__ == "__main__":
    serve(sys.argv[1])
