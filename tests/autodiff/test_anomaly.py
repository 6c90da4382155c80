"""``detect_anomaly`` names the first operation that produced a NaN or inf, where it stands, and the user's line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.scope import context

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def cell(x: Any, h: Any) -> Any:
    return np.log(x) + h * 0.5  # the line that is to blame


def test_forward_names_op_layer_step_and_line() -> None:
    w = tr.tensor([1.0, 2.0], requires_grad=True, name="w")
    xs = np.array([1.0, 2.0, 0.0, 1.0])
    with tr.detect_anomaly(), tr.scope(layer=1), pytest.raises(tr.AnomalyError) as e:
        tr.unroll(lambda x, h: cell(x * w, h), xs, state=np.zeros(2))
    text = str(e.value)
    assert text.startswith("forward: an inf was produced by log at layer 1, step 3\n")
    assert Path(__file__).name in text and "return np.log(x) + h * 0.5" in text
    assert e.value.node.op.name == "log" and e.value.node.scope.step == 3


def test_nan_of_overflow_is_named_where_it_begins() -> None:
    x = tr.tensor([800.0], requires_grad=True)
    with (
        tr.detect_anomaly(),
        pytest.raises(tr.AnomalyError, match=r"an inf was produced by exp\n  exp\(array float64\(1,\) between"),
    ):
        np.exp(x) / np.exp(x)
    inf = tr.tensor([np.inf], requires_grad=True)
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="a NaN was produced by subtract"):
        inf - inf


def test_backward_names_the_rule() -> None:
    x = tr.tensor([0.0, 4.0], requires_grad=True, name="x")
    with tr.detect_anomaly():
        with tr.scope(layer=0, step=7):
            root = np.sqrt(x)  # its slope at 0 is infinite
        y = np.sum(np.where(x.data > 0, root, 0))
        with pytest.raises(tr.AnomalyError) as e:
            y.backward()
    text = str(e.value)
    assert "backward: a NaN was produced by the derivative of sqrt by its argument 0 at layer 0, step 7" in text
    assert "root = np.sqrt(x)  # its slope at 0 is infinite" in text and "x float64(2,) between 0 and 4" in text
    safe = np.where(x.data > 0, x, 1)
    with tr.detect_anomaly():  # the double where
        np.sum(np.where(x.data > 0, np.sqrt(safe), 0)).backward()
    assert x.grad.tolist() == [0, 0.25]


def test_data_that_holds_nan_is_named_and_masks_of_inf_are_let_through() -> None:
    w = tr.tensor([1.0, 2.0], requires_grad=True, name="w")
    with tr.detect_anomaly():
        with pytest.raises(tr.AnomalyError, match="a NaN came in with argument 1"):
            w * np.array([1.0, np.nan])
        bad = tr.tensor([np.nan], requires_grad=True, name="bad")
        with pytest.raises(tr.AnomalyError, match=r"a NaN came in with argument 0 \(bad\)"):
            np.tanh(bad)
        masked = w + np.array([0.0, -np.inf])
        tr.softmax(masked).sum().backward()
    assert np.all(np.isfinite(w.grad))


def test_a_graph_recorded_before_can_be_asked_too() -> None:
    w = tr.tensor([1.0, -1.0], requires_grad=True)
    with tr.scope(step=2):
        y = np.sum(np.tanh(np.log(w)))
    with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match="produced by log at step 2") as e:
        y.backward()
    assert "put the forward pass inside" in str(e.value)


def test_transforms_and_expandable_nodes_are_watched_inside() -> None:
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(np.maximum(x, 0.0)), 0))  # noqa: E731
    x = np.array([-1.0, 4.0])
    with tr.detect_anomaly():
        with pytest.raises(tr.AnomalyError, match="derivative of sqrt"):
            tr.grad(f)(x)
        with pytest.raises(tr.AnomalyError, match="derivative of sqrt"):
            tr.grad(lambda x: tr.checkpoint(f)(x) * 2)(x)
        with pytest.raises(tr.AnomalyError, match=r"inf was produced by linalg\.slogdet"):
            tr.grad(lambda a: np.linalg.slogdet(a)[1])(np.zeros((2, 2)))


def test_it_ends_with_its_context_and_is_silent_when_all_is_well() -> None:
    x = tr.tensor([0.5, 4.0], requires_grad=True)
    with tr.detect_anomaly():
        np.sum(np.linalg.norm(np.outer(x, x)) * np.log(x)[0]).backward()
        np.linalg.eigh(np.outer(x, x) + np.diag(x.data))[1].sum().backward()
    assert context.anomaly is None
    assert np.isnan(np.log(tr.tensor(-1.0, requires_grad=True)).item())
    with pytest.raises(ZeroDivisionError), tr.detect_anomaly():
        raise ZeroDivisionError
    assert context.anomaly is None


def test_a_compiled_function_is_watched_inside() -> None:
    w = tr.tensor([[0.5]], requires_grad=True, name="w")
    xs = np.array([[1.0], [2.0], [-9.0], [1.0]])

    def loss(step: Any) -> Any:
        return lambda xs: np.sum(tr.unroll(step, xs, state=np.zeros(1))[0])

    for step, message in (
        (lambda x, h: np.log(x + h @ w), "forward: a NaN was produced by log at step 3"),
        (
            lambda x, h: np.sqrt(np.maximum(x + h @ w, 0.0)),
            "backward: an inf was produced by the derivative of sqrt .*step 3",
        ),
    ):
        for run in (loss(step), tr.compile(loss(step)), tr.checkpoint(loss(step))):
            with tr.detect_anomaly(), pytest.raises(tr.AnomalyError, match=message):
                run(xs).backward()
