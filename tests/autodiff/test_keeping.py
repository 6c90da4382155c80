"""What stays of a graph after backward(): a small one to be looked at, until the next one; large ones are freed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.keeping import MOST_BYTES, MOST_NODES
from tinygrad_rnn.explanation import bptt_terms, gradient_flow, saturation, state_jacobians


@pytest.fixture
def without_collector():
    """Whatever goes goes by reference counting."""
    while gc.collect():  # what is freed may leave more behind
        pass
    gc.disable()
    yield
    gc.enable()


def recurrent(W=None, T=5, B=()):
    W = tr.tensor(np.array([[0.5, -0.2], [0.3, 0.8]]), requires_grad=True, name="W") if W is None else W
    hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((T, *B, 2)), state=np.zeros((*B, 2)))
    return W, hs, np.mean(hs**2)


def test_everything_that_looks_works_after_backward():
    W, _, loss = recurrent()
    before = (
        tr.draw(loss, gradients=True, values=True).html,
        str(gradient_flow(loss)),
        str(state_jacobians(loss)),
        str(saturation(loss)),
        str(bptt_terms([loss], W)),
    )
    loss.backward()
    assert before == (
        tr.draw(loss, gradients=True, values=True).html,
        str(gradient_flow(loss)),
        str(state_jacobians(loss)),
        str(saturation(loss)),
        str(bptt_terms([loss], W)),
    )
    grad = W.grad.copy()
    assert tr.compare(loss, {"W": grad}).agrees and not tr.compare(loss, {"W": 2 * grad}).agrees
    np.testing.assert_array_equal(W.grad, grad)


def test_no_second_gradient_is_taken_of_it():
    W, hs, loss = recurrent()
    loss.backward()
    first = W.grad.copy()
    for again in (
        lambda: loss.backward(),
        lambda: np.sum(hs).backward(),
        lambda: (loss * 2).backward(),
        lambda: (loss + np.sum(W)).backward(),
    ):
        with pytest.raises(RuntimeError, match=r"freed by an earlier backward.*retain_graph=True"):
            again()
    np.testing.assert_array_equal(W.grad, first)


def test_scalars_are_kept_too():
    w = tr.Scalar(0.5, name="w")
    y = (w * w + w).tanh()
    y.backward()
    assert "w" in tr.draw(y, gradients=True).svg
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        y.backward()
    y = (w * w + w).tanh()
    y.backward(keep=False)
    with pytest.raises(RuntimeError, match="keep=True"):
        tr.draw(y)


@pytest.mark.usefixtures("without_collector")
def test_only_the_latest_one_stays_and_only_with_its_loss():
    W, hs, loss = recurrent()
    inside = weakref.ref(hs)
    del hs
    loss.backward()
    assert inside() is not None
    _, _, other = recurrent(W)
    assert inside() is not None  # a forward pass alone frees nothing
    other.backward()
    assert inside() is None
    with pytest.raises(RuntimeError, match="keep=True"):
        tr.draw(loss)
    inside = weakref.ref(other.inputs[0])
    del other
    assert inside() is None
    assert gc.collect() == 0


@pytest.mark.usefixtures("without_collector")
def test_losses_that_are_collected_hold_one_graph_at_most():
    W, kept, losses = None, [], []
    for _ in range(5):
        W, hs, loss = recurrent(W)
        kept.append(weakref.ref(hs))
        del hs
        loss.backward()
        losses.append(loss)
    assert [ref() is not None for ref in kept] == [False, False, False, False, True]


def test_what_is_kept_stays_while_a_model_is_trained():
    _, _, loss = recurrent()
    loss.backward()
    tr.fit(tr.nn.Linear(2, 1), (np.ones((4, 2)), np.ones((4, 1))), "mse", epochs=1, progress=False)
    assert tr.draw(loss, gradients=True).measured is not None


def test_what_was_asked_to_be_kept_stays_longer():
    _, _, first = recurrent()
    first.backward(keep=True)
    _, _, second = recurrent()
    second.backward()
    assert tr.draw(first, gradients=True).measured is not None
    with pytest.raises(RuntimeError, match="freed"):
        first.backward()


def test_large_graphs_are_freed_unless_asked_for():
    wide = recurrent(T=5, B=(MOST_BYTES // 5 // 16 + 1,))[2]
    x = tr.tensor(1.0, requires_grad=True)
    long = x
    for _ in range(MOST_NODES):
        long = long + 1.0
    cell = tr.compile(lambda x, h: np.tanh(x + h * x_scale))
    x_scale = tr.tensor(0.5, requires_grad=True)
    compiled = np.sum(tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))[0])
    checkpointed = tr.checkpoint(lambda x: np.tanh(x))(x)
    for loss in (wide, long, compiled, checkpointed):
        loss.backward()
        with pytest.raises(RuntimeError, match=r"keep=True"):
            tr.draw(loss)
    compiled = np.sum(tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))[0])
    compiled.backward(keep=True)
    assert tr.draw(compiled, gradients=True).measured is not None


# --- after an update --------------------------------------------------------------------------------------------------


def updated(how):
    W, _, loss = recurrent()
    loss.backward()
    old, grad = W.data.copy(), W.grad.copy()
    if how == "in place":
        with tr.no_grad():
            W -= 0.5 * W.grad
    else:
        tr.optim.SGD([W], lr=0.5).step()
    assert not np.array_equal(W.data, old)
    return W, loss, old, grad


@pytest.mark.parametrize("how", ["in place", "optimizer"])
def test_pictures_after_an_update_show_the_values_that_the_gradients_belong_to(how):
    _, loss, _, _ = updated(how)
    picture = tr.draw(loss, values=True, gradients=True)
    (box,) = [box for box in picture.scene.boxes if box.kind == "parameter" and box.vertex >= 0]
    assert [line.text for line in box.lines if line.text.startswith(("0.5", "0.3"))] == [
        "0.5\u2002−0.2",
        "0.3\u20020.8",
    ]
    assert "0.5" in picture.text
    by_number = tr.draw(loss, values=True, level="scalar")
    assert ["W[0,0]", "0.5"] in [[line.text for line in box.lines][:2] for box in by_number.scene.boxes]


@pytest.mark.parametrize("how", ["in place", "optimizer"])
def test_comparisons_after_an_update_are_those_of_forward_time(how):
    W, loss, old, grad = updated(how)
    asked = []

    def manual(parameters):
        asked.append(parameters["W"])
        return {"W": grad}

    report = tr.compare(loss, manual, {"W": W})
    assert report.agrees
    np.testing.assert_array_equal(asked[0], old)
    assert not tr.compare(loss, {"W": -grad}).agrees
