"""``gradcheck`` passes right rules and fails on every kind of wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.gradcheck import central_differences, complex_step
from tinygrad_rnn.autodiff.registry import elementwise, linear, primitive

x = np.array([0.3, -0.7, 1.2])


def test_right_gradients_pass_by_both_methods() -> None:
    f = lambda x, w: np.tanh(x @ w) * np.exp(x[0])  # noqa: E731
    w = np.arange(6.0).reshape(3, 2) / 5
    assert tr.gradcheck(f, [x, w])
    assert tr.gradcheck(f, [x, w], method="complex")
    assert tr.gradcheck(f, [tr.tensor(x), w.tolist()])
    assert tr.gradcheck(lambda a, b: a * b, [2.0, 3])


def test_an_only_input_needs_no_list() -> None:
    assert tr.gradcheck(np.tanh, x) and tr.gradcheck(np.tanh, tr.tensor(x))
    with pytest.raises(tr.GradientError, match=r"input 0, element \[2\]"):
        tr.gradcheck(WRONG["one element wrong"], x)
    with pytest.raises(TypeError, match="if the only one is a dict"):
        tr.gradcheck(lambda p: p["x"] ** 2, {"x": x})
    assert tr.gradcheck(lambda p: p["x"] ** 2, [{"x": x}])


WRONG = {
    "a wrong factor": elementwise(np.sin, lambda ans, x: 1.001 * np.cos(x)),
    "a wrong sign": elementwise(np.sin, lambda ans, x: -np.cos(x)),
    "nothing": elementwise(np.sin, lambda ans, x: 0 * x),
    "NaN": elementwise(np.sin, lambda ans, x: np.nan * x),
    "vjp alone wrong": primitive(
        np.sin, [lambda g, ans, x: g], [lambda v, ans, x: v * np.cos(x)]
    ),
    "jvp alone wrong": primitive(np.sin, [lambda g, ans, x: g * np.cos(x)], [lambda v, ans, x: v]),
    "jvp alone NaN": primitive(np.sin, [lambda g, ans, x: g * np.cos(x)], [lambda v, ans, x: v * np.nan]),
    "one element wrong": elementwise(np.sin, lambda ans, x: np.where(x == 1.2, 1, np.cos(x))),
    "a sum that forgets an element": linear(np.sum, lambda g, ans, a: g * np.array([1.0, 1.0, 0.0])),
    "a transpose that reverses": linear(np.negative, lambda g, ans, a: -g[::-1]),
}  # fmt: skip


@pytest.mark.parametrize("f", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_rules_fail(f: Any, method: str, fast_mode: bool) -> None:
    with pytest.raises(tr.GradientError):
        tr.gradcheck(f, [x], method=method, fast_mode=fast_mode)
    assert tr.gradcheck(f, [x], method=method, fast_mode=fast_mode, raise_exception=False) is False


def test_it_says_which_input_which_element_expected_and_got() -> None:
    with pytest.raises(tr.GradientError, match=r"input 1, element \[2\]: expected [\d.-]+, got [\d.-]+") as e:
        tr.gradcheck(lambda a, b: a * WRONG["one element wrong"](b), [np.ones(3), x])
    (mismatch,) = e.value.mismatches
    assert (mismatch.argument, mismatch.path, mismatch.element) == (1, "", (2,))
    assert np.isclose(mismatch.expected / mismatch.got, np.cos(1.2))  # the wrong rule says 1
    assert "central differences" in str(e.value)


@pytest.mark.parametrize("method", ["central", "complex"])
def test_fast_mode_calls_twice_for_an_input_and_asks_each_element_only_where_one_is_wrong(method: str) -> None:
    def counted(f: Any) -> Any:
        calls.append(f)
        return f

    calls: list[Any] = []
    inputs = [np.linspace(-1, 1, 40), np.full((5, 6), 1e3)]
    assert tr.gradcheck(lambda a, b: counted(np.sin(a).sum() * np.tanh(b / 1e3)), inputs, method=method, fast_mode=True)
    assert len(calls) <= 2 * 2 + 2  # and once for each mode of autodiff
    wrong = WRONG["one element wrong"]
    with pytest.raises(tr.GradientError, match=r"input 1, element \[2\]: expected") as e:
        tr.gradcheck(lambda a, b: a * wrong(b), [np.ones(3), x], method=method, fast_mode=True)
    assert len(e.value.mismatches) == 1


def test_a_long_report_is_cut() -> None:
    with pytest.raises(tr.GradientError, match="and 10 more"):
        tr.gradcheck(WRONG["a wrong sign"], [np.linspace(0.1, 1, 20)])


def test_a_detached_path_fails() -> None:
    with pytest.raises(tr.GradientError):
        tr.gradcheck(lambda x: x * x.detach() if isinstance(x, tr.Tensor) else x * x, [x])


def test_results_and_inputs_may_be_trees() -> None:
    f = lambda p, x: {"y": np.tanh(x @ p["W"] + p["b"]), "n": [np.sum(x * x)]}  # noqa: E731
    assert tr.gradcheck(f, [{"W": np.eye(3), "b": np.ones(3)}, x])
    wrong = lambda p, x: {"y": WRONG["a wrong sign"](x @ p["W"] + p["b"]), "n": [np.sum(x * x)]}  # noqa: E731
    with pytest.raises(tr.GradientError, match=r"input 0\.b, element \[0\]"):
        tr.gradcheck(wrong, [{"W": np.eye(3), "b": np.ones(3)}, x])


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match="'exact' is not 'central' or 'complex'"):
        tr.gradcheck(np.sin, [x], method="exact")


def test_the_complex_step_says_when_a_function_is_not_for_it() -> None:
    with pytest.warns(np.exceptions.ComplexWarning), pytest.raises(ValueError, match="complex step"):
        tr.gradcheck(lambda x: x.astype(np.float64) * 2, [x], method="complex")


def test_the_referees_agree_with_calculus() -> None:
    f = lambda a, b: np.sum(np.exp(a) * b**3)  # noqa: E731
    a, b = np.array([0.1, 2.0]), np.array([3.0, -1.0])
    for referee, tolerance in ((central_differences, 1e-8), (complex_step, 1e-14)):
        da, db = referee(f, [a, b])
        assert np.allclose(da, np.exp(a) * b**3, rtol=tolerance)
        assert np.allclose(db, np.exp(a) * 3 * b**2, rtol=tolerance)
    assert a.tolist() == [0.1, 2.0]


@pytest.mark.parametrize("slope", [1.0, 1.01])
def test_a_gradient_of_ones_own_is_checked_backward_though_it_has_no_forward_mode(slope: float) -> None:
    own = tr.custom_vjp(np.tanh)
    own.defvjp(lambda x: (np.tanh(x), np.tanh(x)), lambda y, g: (slope * g * (1 - y**2),))
    assert tr.gradcheck(own, [x], raise_exception=False) == (slope == 1)
    assert tr.gradcheck(lambda x, w: own(x * w), [x, 2 * x], raise_exception=False) == (slope == 1)
