"""Update rules, their groups and their state."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim

RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "SGD nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "Adagrad": ("Adagrad", {}),
    "Adagrad all": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
    "RMSprop": ("RMSprop", {}),
    "RMSprop all": (
        "RMSprop",
        {"lr": 0.1, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.7, "centered": True},
    ),
    "Adam": ("Adam", {}),
    "Adam all": ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    "AdamW": ("AdamW", {}),
    "AdamW all": ("AdamW", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3, "amsgrad": True}),
}
every_rule = pytest.mark.parametrize(("kind", "options"), RULES.values(), ids=RULES.keys())
START = [np.random.default_rng(0).normal(size=s) for s in [(3, 4), (4,), ()]]


def leaves(dtype: Any = np.float64) -> list[tr.Tensor]:
    return [nn.Parameter(a.astype(dtype)) for a in START]


def gradients(step: int) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [np.asarray(rng.normal(size=a.shape)) for a in START]


def run(optimizer: optim.Optimizer, steps: range) -> None:
    for step in steps:
        for parameter, g in zip(optimizer.parameters, gradients(step), strict=True):
            parameter.grad = g.astype(parameter.dtype)
        optimizer.step()


@every_rule
def test_twenty_steps_as_pytorch_takes_them(kind: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    own = leaves()
    twins = [torch.from_numpy(a.copy()).requires_grad_() for a in START]
    optimizer, twin = getattr(optim, kind)(own, **options), getattr(torch.optim, kind)(twins, **options)
    for step in range(20):
        run(optimizer, range(step, step + 1))
        for t, g in zip(twins, gradients(step), strict=True):
            t.grad = torch.from_numpy(g)
        twin.step()
        for parameter, t in zip(own, twins, strict=True):
            np.testing.assert_allclose(parameter.data, t.detach(), rtol=0, atol=1e-12)


@every_rule
def test_float32_stays_float32(kind: str, options: dict[str, Any]) -> None:
    own, exact = leaves(np.float32), leaves()
    optimizer = getattr(optim, kind)(own, **options)
    run(optimizer, range(3))
    run(getattr(optim, kind)(exact, **options), range(3))
    for parameter, reference in zip(own, exact, strict=True):
        np.testing.assert_allclose(parameter.data, reference.data, rtol=0, atol=1e-5)
    kept = [value for state in optimizer.state.values() for value in state.values() if np.ndim(value)]
    assert {array.dtype for array in kept} <= {np.dtype(np.float32)}


@every_rule
def test_a_saved_state_goes_on_bit_for_bit(kind: str, options: dict[str, Any]) -> None:
    own = leaves()
    optimizer = getattr(optim, kind)(own, **options)
    run(optimizer, range(5))
    saved, values = optimizer.state_dict(), [p.data.copy() for p in own]
    run(optimizer, range(5, 10))

    again = leaves()
    other = getattr(optim, kind)(again, lr=9.0)
    for parameter, value in zip(again, values, strict=True):
        parameter.data = value
    other.load_state_dict(saved)
    run(other, range(5, 10))
    for parameter, expected in zip(again, own, strict=True):
        np.testing.assert_array_equal(parameter.data, expected.data)


def test_a_saved_state_is_a_copy() -> None:
    optimizer = optim.SGD(leaves(), lr=0.1, momentum=0.9)
    run(optimizer, range(1))
    saved = optimizer.state_dict()
    before = saved["state"][0]["velocity"].copy()
    saved["param_groups"][0]["lr"] = 5.0
    run(optimizer, range(1, 2))
    np.testing.assert_array_equal(saved["state"][0]["velocity"], before)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_numbers_that_json_made_strings_are_understood() -> None:
    optimizer = optim.Adam(leaves())
    run(optimizer, range(2))
    saved = optimizer.state_dict()
    saved["state"] = {key: saved["state"][int(key)] for key in json.loads(json.dumps({str(k): 0 for k in range(3)}))}
    other = optim.Adam(leaves())
    other.load_state_dict(saved)
    assert [state["step"] for state in other.state.values()] == [2, 2, 2]


@pytest.mark.parametrize("what", ["groups", "shape", "kind"])
def test_a_state_that_does_not_fit_changes_nothing(what: str) -> None:
    optimizer = optim.Adam(leaves())
    run(optimizer, range(1))
    saved = optimizer.state_dict()
    if what == "groups":
        saved["param_groups"][0]["params"].pop()
    elif what == "shape":
        saved["state"][0]["mean"] = np.zeros((4, 3))
    else:
        saved["param_groups"] = optim.SGD(leaves()).state_dict()["param_groups"]
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"Adam: .*saved"):
        optimizer.load_state_dict(saved)
    assert optimizer.state_dict()["param_groups"] == before["param_groups"]
    np.testing.assert_array_equal(optimizer.state_dict()["state"][0]["mean"], before["state"][0]["mean"])


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("state", 0, "step"), None),
        (("state", 0, "step"), -1),  # the next would be step 0, which divides by zero
        (("state", 0, "step"), 0.5),
        (("state", 0, "mean"), "0.5"),
        (("state", 0, "mean"), [None]),
        (("param_groups", 0, "lr"), float("nan")),
        (("param_groups", 0, "lr"), "0.1"),
        (("param_groups", 0, "lr"), [0.1, 0.2]),
        (("param_groups", 0, "betas"), 0.9),
        (("param_groups", 0, "betas"), (0.9, 0.999, 0.5)),
        (("param_groups", 0, "betas"), (0.9, 1.0)),
    ],
)
def test_a_state_that_no_optimizer_can_have_been_in_changes_nothing(where: tuple[Any, ...], value: Any) -> None:
    optimizer = optim.Adam(leaves())
    run(optimizer, range(1))
    saved = optimizer.state_dict()
    place: Any = saved
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(ValueError, match=rf"Adam: .*{where[-1]}"):
        optimizer.load_state_dict(saved)
    assert optimizer.state[optimizer.parameters[0]]["step"] == 1
    assert optimizer.param_groups[0]["lr"] == 1e-3 and optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def test_groups_have_options_of_their_own() -> None:
    a, b, c = leaves()
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    run(optimizer, range(1))
    for parameter, start, g, rate in zip((a, b, c), START, gradients(0), (1.0, 0.1, 0.0), strict=True):
        np.testing.assert_array_equal(parameter.data, start - rate * g)


def test_a_parameter_without_a_gradient_stays() -> None:
    a, b, _ = leaves()
    a.grad = np.ones(a.shape)
    optim.AdamW([a, b]).step()
    np.testing.assert_array_equal(b.data, START[1])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda a, b: optim.SGD([]), ValueError, "no parameters"),
        (lambda a, b: optim.SGD([a, a]), ValueError, "two places"),
        (lambda a, b: optim.SGD([{"params": [a]}, {"params": [a]}]), ValueError, "two places"),
        (lambda a, b: optim.SGD([{"params": [a], "beta": 1}]), ValueError, "no option 'beta'"),
        (lambda a, b: optim.SGD([a * 2]), TypeError, "leaves"),
        (lambda a, b: optim.SGD([np.ones(2)]), TypeError, "leaves"),
        (lambda a, b: optim.SGD(nn.Linear(2, 2)), TypeError, r"pass module.parameters\(\)"),
        (lambda a, b: optim.SGD([a], lr=-1.0), ValueError, "lr=-1.0 makes no sense"),
        (lambda a, b: optim.SGD([a], lr=float("nan")), ValueError, "makes no sense"),
        (lambda a, b: optim.Adam([a], betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda a, b: optim.SGD([a], nesterov=True), ValueError, "needs a momentum"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, error: type, message: str) -> None:
    a, b, _ = leaves()
    with pytest.raises(error, match=message):
        make(a, b)


def test_an_update_does_not_reach_a_graph_that_still_needs_the_old_values() -> None:
    w = nn.Parameter(np.array([2.0]))
    loss = np.sum(w * w * w)
    loss.backward(retain_graph=True)
    optim.SGD([w], lr=0.1).step()
    w.grad = None
    loss.backward(retain_graph=True)
    assert w.grad.tolist() == [12.0]  # 3 w² at the old w = 2
    with pytest.raises(RuntimeError, match="replaced after the forward pass"):
        loss.backward(create_graph=True)


# --- clipping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [2.0, 1.0, 3.0, np.inf])
@pytest.mark.parametrize("bound", [0.5, 1e3])
def test_clipping_by_norm_as_pytorch_does(norm: float, bound: float) -> None:
    torch = pytest.importorskip("torch")
    own, twins = leaves(), [torch.zeros(a.shape, dtype=torch.float64, requires_grad=True) for a in START]
    for parameter, t, g in zip(own, twins, gradients(0), strict=True):
        parameter.grad, t.grad = g, torch.from_numpy(g.copy())
    own[0].grad.flags.writeable = False  # a gradient may be shared with the user; it is replaced, not written to
    total = optim.clip_grad_norm_([*own, nn.Parameter(np.ones(2))], bound, norm)
    assert total == pytest.approx(torch.nn.utils.clip_grad_norm_(twins, bound, norm).item(), abs=1e-12)
    for parameter, t in zip(own, twins, strict=True):
        np.testing.assert_allclose(parameter.grad, t.grad, rtol=0, atol=1e-12)


def test_clipping_by_value() -> None:
    own = leaves()
    for parameter, g in zip(own, gradients(0), strict=True):
        parameter.grad = g
    optim.clip_grad_value_(own, 0.5)
    for parameter, g in zip(own, gradients(0), strict=True):
        np.testing.assert_array_equal(parameter.grad, np.minimum(np.maximum(g, -0.5), 0.5))


def test_a_norm_that_is_not_finite_is_told() -> None:
    w = nn.Parameter(np.ones(2))
    w.grad = np.array([np.nan, 1.0])
    with pytest.raises(FloatingPointError, match="nan"):
        optim.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    assert np.isnan(optim.clip_grad_norm_(w, 1.0))
    assert np.isnan(w.grad).all()
    assert optim.clip_grad_norm_(nn.Parameter(np.ones(2)), 1.0) == 0.0


def test_a_module_is_not_clipped_but_its_parameters_are() -> None:
    for clip in (optim.clip_grad_norm_, optim.clip_grad_value_):
        with pytest.raises(TypeError, match=r"pass module.parameters\(\)"):
            clip(nn.Linear(2, 2), 1.0)


@pytest.mark.parametrize("shape", [(3, 2), (3,), (), (6,), (1, 2, 3)])
def test_a_gradient_of_another_shape_is_refused(shape):
    W = tr.tensor(np.ones((2, 3)), requires_grad=True, name="W")
    W.grad = np.ones(shape)
    with pytest.raises(ValueError, match=r"SGD: the gradient of W, of shape \(2, 3\), has the shape \("):
        tr.optim.SGD([W], lr=0.1).step()
    assert np.array_equal(W.data, np.ones((2, 3)))
