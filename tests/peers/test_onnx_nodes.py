"""The node tests of ONNX's backend suite: their values, eager and compiled, and gradients against differences.

The suite computes the cases of a file where that file is imported, seconds for all of them: so each is imported by the
test of its cases.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

onnx = pytest.importorskip("onnx")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from onnx.backend.test.case import node as suite

    from tests.peers.onnx_graph import OPERATIONS, Unknown, plain, run

REFUSED_BY_NUMPY = {"test_reduce_max_empty_set", "test_reduce_min_empty_set"}  # ONNX answers with an infinity
LOSSES = {"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"}
LARGE = 300  # elements from which a gradient isn't held against differences
STEP = 1e-6


def is_real(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.dtype in (np.float32, np.float64)


def files() -> list[str]:
    """The files of the suite that mention an operation of the table, or one that ONNX defines by others."""
    by_others = [s.name for s in onnx.defs.get_all_schemas() if s.has_function or s.has_context_dependent_function]
    known = {f'"{operation}"' for operation in [*OPERATIONS, *by_others]}
    found = sorted(Path(suite.__file__).parent.glob("[!_]*.py"))
    return [path.stem for path in found if not known.isdisjoint(re.findall(r'"\w+"', path.read_text("utf-8")))]


def cases(file: str) -> Iterator[tuple[str, Any, list[np.ndarray], list[np.ndarray]]]:
    """The cases of arrays alone in which real numbers come in: name, operation with graph, inputs and outputs."""
    collected = suite._NodeTestCases  # of all files that have been imported
    known = len(collected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{suite.__name__}.{file}")
    for case in collected[known:]:
        for inputs, outputs in case.data_sets:
            arrays = all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in [*inputs, *outputs])
            if arrays and any(is_real(a) for a in inputs) and case.name not in REFUSED_BY_NUMPY:
                yield case.name, case, list(inputs), list(outputs)


def of_real(case: Any, inputs: list[np.ndarray]) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """A case's graph as a function of the inputs that are real numbers, the others held, and these inputs."""
    has_loss = any(node.op_type in LOSSES for node in case.model.graph.node)
    held = 2 if has_loss else None  # how much each class counts is no variable
    places = [i for i, a in enumerate(inputs) if is_real(a) and i != held]

    def of_these(*given: Any) -> Any:
        all_inputs: list[Any] = list(inputs)
        for i, a in zip(places, given):
            all_inputs[i] = a
        return run(case.model.graph, *all_inputs)

    return of_these, [inputs[i] for i in places]


def assert_values(name: str, got: list[Any], wanted: list[np.ndarray], case: Any) -> None:
    for g, w in zip(got, wanted, strict=True):
        assert np.shape(g) == w.shape, f"{name}: {np.shape(g)} for {w.shape}"
        rtol, atol = case.rtol, case.atol
        np.testing.assert_allclose(plain(g).astype(float), w.astype(float), rtol=rtol, atol=atol, err_msg=name)


def assert_slope(name: str, function: Callable[..., Any], inputs: list[np.ndarray]) -> None:
    """A gradient along a random direction is what differences are, where those of both sides agree."""
    rng = np.random.default_rng(0)
    inputs = [a.astype(np.float64) for a in inputs]
    along = [rng.normal(size=a.shape) for a in inputs]
    weights: list[np.ndarray] = []

    def total(*given: Any) -> Any:
        outputs = [a for a in function(*given) if plain(a).dtype.kind == "f"]
        weights.extend(rng.normal(size=np.shape(a)) for a in outputs[len(weights) :])
        return sum((np.sum(a * w) for a, w in zip(outputs, weights)), tr.tensor(0.0))

    def value(shift: float) -> float:
        return float(plain(total(*(a + shift * d for a, d in zip(inputs, along)))))

    middle, right, left, further = value(0), value(STEP), value(-STEP), value(3 * STEP)
    near = (right - left) / (2 * STEP)
    if not np.allclose([right - middle, (further - middle) / 3], near * STEP, rtol=1e-3, atol=1e-10):
        return  # a kink, a step, or outside of where the function is defined
    gradients = tr.grad(total, argnums=tuple(range(len(inputs))))(*inputs)
    slope = sum(float(np.sum(plain(g) * d)) for g, d in zip(gradients, along))
    np.testing.assert_allclose(slope, near, rtol=1e-5, atol=1e-6, err_msg=name)


def has_slope(case: Any, real: list[np.ndarray]) -> bool:
    """Return True if differences can tell the slope: few numbers, which no cast to float32 makes coarser."""
    casts = [a.i for node in case.model.graph.node if node.op_type == "Cast" for a in node.attribute]
    return sum(a.size for a in real) <= LARGE and onnx.TensorProto.FLOAT not in casts


@pytest.mark.one_in(3)
@pytest.mark.parametrize("file", files())
def test_values_compiled_values_and_gradients(file: str) -> None:
    asked = []
    for name, case, inputs, outputs in cases(file):
        function, real = of_real(case, inputs)
        try:
            got = function(*(tr.tensor(a, requires_grad=True) for a in real))
        except Unknown:
            continue
        assert_values(name, got, outputs, case)
        asked.append((name, case, outputs, function, real))
        if has_slope(case, real):
            assert_slope(name, function, real)
    if not asked:
        pytest.skip("the table has no entry for this operation")
    *_, functions, arguments = zip(*asked)
    compiled = tr.compile(lambda given: [f(*parts) for f, parts in zip(functions, given)])  # one program for all cases
    for (name, case, outputs, _, _), got in zip(asked, compiled(arguments), strict=True):
        assert_values(name, got, outputs, case)
