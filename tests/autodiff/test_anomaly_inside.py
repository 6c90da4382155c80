"""A NaN inside what stands for many operations, or beside what is no plain array, is named where it was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def cell(x: Any, h: Any) -> Any:
    return np.sqrt(x) * h


def unrolled(x: Any) -> Any:
    return tr.unroll(cell, x, state=np.ones(2))[0]


WRAPPED = {
    "checkpointed": tr.checkpoint(unrolled),
    "compiled": lambda x: tr.unroll(tr.compile(cell), x, state=np.ones(2))[0],
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_forward(wrapped: Any) -> None:
    x = tr.tensor([4.0, 1.0, -1.0, 9.0], requires_grad=True, name="x")
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="forward: a NaN was produced by sqrt") as e:
        wrapped(x)
    assert e.value.node.op.name == "sqrt" and e.value.node.scope.step == 3


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_backward(wrapped: Any) -> None:
    """The slope of a root is infinite at 0, and times 0 it is NaN: at the second of four steps."""
    x = tr.tensor([4.0, 0.0, 1.0, 9.0], requires_grad=True, name="x")
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match=r"backward: .* by the derivative of sqrt") as e:
        np.sum(wrapped(x)).backward()
    assert e.value.node.op.name == "sqrt" and e.value.node.scope.step == 2


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_what_was_recorded_before_anyone_watched_is_looked_into(wrapped: Any) -> None:
    """The node that stands for all steps is opened, and the operation inside it named, with its step."""
    x = tr.tensor([4.0, 1.0, -1.0, 9.0], requires_grad=True, name="x")
    y = np.sum(wrapped(x))
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="forward: a NaN was produced by sqrt") as e:
        y.backward()
    assert e.value.node.scope.step == 3
    x = tr.tensor([4.0, 0.0, 1.0, 9.0], requires_grad=True, name="x")
    y = np.sum(wrapped(x))
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match=r"backward: .* by the derivative of sqrt") as e:
        y.backward()
    assert e.value.node.scope.step == 2


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_layer_and_line_are_those_of_what_is_inside(wrapped: Any) -> None:
    x = tr.tensor([4.0, 1.0, -1.0, 9.0], requires_grad=True, name="x")
    with tr.scope(layer=1):
        y = np.sum(wrapped(x))
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="produced by sqrt at layer 1, step 3") as e:
        y.backward()
    assert "return np.sqrt(x) * h" in str(e.value)
    x = tr.tensor([4.0, 0.0, 1.0, 9.0], requires_grad=True, name="x")
    with tr.scope(layer=1):
        y = np.sum(wrapped(x))
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match=r"derivative of sqrt .* at layer 1, step 2"):
        y.backward()


@pytest.mark.parametrize("wrap", [tr.checkpoint, tr.compile])
def test_the_line_that_asks_for_the_backward_pass_is_not_to_blame(wrap: Any) -> None:
    """In a layer of ours there is no line of the user's."""
    layer = tr.nn.RNN(1, 1)
    layer.layers[0].W.data = [[np.inf]]
    y = np.sum(wrap(layer)(tr.tensor(np.ones((3, 1), np.float32)))[0])
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="produced by matmul at layer 0, step 1") as e:
        y.backward()
    assert "put the forward pass inside" in str(e.value) and "made by" not in str(e.value)


def test_what_is_recorded_for_the_backward_pass_has_the_line_of_the_forward_pass() -> None:
    x = tr.tensor([0.0, 1.0], requires_grad=True)
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="by the derivative of sqrt") as e:
        y = tr.checkpoint(np.sqrt)(x)
        np.sum(y).backward()
    assert "y = tr.checkpoint(np.sqrt)(x)" in str(e.value) and "put the forward pass inside" not in str(e.value)


def test_arguments_of_every_kind_are_described() -> None:
    """Numbers by their value, integers by their shape, and what has several results by its class."""
    x = tr.tensor([1.0, -1.0], requires_grad=True, name="x")
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match=r"log\(w=-1\.0\)"):
        np.log(tr.tensor(-1.0, requires_grad=True, name="w"))
    with (
        tr.detect_anomaly(),
        pytest.raises(tr.AnomalyError, match=r"divide\(x float64\(2,\) between -1 and 1, n int64\(2,\)\)"),
    ):
        x / tr.tensor([1, 0], name="n")
    a = tr.tensor(np.eye(2), requires_grad=True, name="A")
    with tr.detect_anomaly():
        values, _ = np.linalg.eigh(a)
        with pytest.raises(tr.AnomalyError, match=r"derivative of output by its argument 0\n  output\(Tensor, 0\)"):
            values.backward([np.nan, 1.0])
