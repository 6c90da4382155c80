"""Finite differences say who is right: at what cost, and of losses that make it hard."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.comparison import compare, referee

RNG = np.random.default_rng(0)
XS = RNG.normal(size=(6, 2))
VALUES = {"U": RNG.normal(size=(2, 3)), "W": RNG.normal(size=(3, 3))}
RIGHT = "autograd agrees with finite differences; the manual formula doesn't"
WRONG = "the manual formula agrees with finite differences; autograd doesn't"


def cut_loss(p):
    """Truncated by ``stop_gradient`` after three steps."""
    h, total = np.zeros(3), 0.0
    for start in (0, 3):
        hs, h = tr.unroll(
            lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), XS[start : start + 3], state=tr.stop_gradient(h)
        )
        total = total + np.sum(hs**2)
    return total


def whole_loss(p):
    return np.sum(tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), XS, np.zeros(3))[0] ** 2)


def leaves():
    return {name: tr.tensor(value, requires_grad=True, name=name) for name, value in VALUES.items()}


def sentences(report):
    return [row.ruling.sentence for row in report.rows]


@pytest.mark.parametrize("form", ["function", "recorded"])
def test_who_differentiates_through_a_stopped_gradient_agrees_with_differences(form):
    given = tr.grad(whole_loss)(VALUES)
    report = compare(cut_loss, given, VALUES) if form == "function" else compare(cut_loss(leaves()), given)
    assert all(said.startswith(WRONG) and "stop_gradient" in said for said in sentences(report))


def test_a_stopped_view_of_recorded_states_is_found():
    def loss(p, stop):
        hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), XS, np.zeros(3))
        return np.sum((hs[:-1] - stop(hs[1:])) ** 2) + np.sum(hs[::-1] * stop(hs[:, ::-1]))

    given = tr.grad(lambda p: loss(p, lambda a: a))(VALUES)
    report = compare(loss(leaves(), tr.stop_gradient), given)
    assert all(said.startswith(WRONG) and "stop_gradient" in said for said in sentences(report))
    (said,) = [one.sentence for one in report.diagnoses]
    assert "through what the loss stops" in said


@pytest.mark.parametrize("form", ["function", "recorded"])
def test_who_is_wrong_besides_is_said_to_be(form):
    given = {name: -g for name, g in tr.grad(cut_loss)(VALUES).items()}
    report = compare(cut_loss, given, VALUES) if form == "function" else compare(cut_loss(leaves()), given)
    assert all(said.startswith(RIGHT) and "holding constant" in said for said in sentences(report))


@pytest.mark.parametrize("most_seconds", [0.2, 0.0])  # element by element, or along a direction
@pytest.mark.parametrize("offset, factor", [(1e6, 1.1), (1e9, 1.1), (1e12, 2.0)])  # of 1e12, a tenth is rounding
def test_a_large_loss_has_large_rounding_errors_and_its_gradients_are_judged_all_the_same(
    offset, factor, most_seconds, monkeypatch
):
    monkeypatch.setattr(referee, "MOST_SECONDS", most_seconds)
    x = np.random.default_rng(0).normal(size=3)
    loss = lambda p: offset + 2 * np.sum(np.tanh(x @ p["W"]))  # noqa: E731
    right = tr.grad(loss)({"W": VALUES["W"]})["W"]
    assert sentences(compare(loss, {"W": factor * right}, {"W": VALUES["W"]})) == [RIGHT]
    (said,) = sentences(compare(loss, {"W": right}, {"W": VALUES["W"]}, referee="always"))
    assert "can't tell them apart" in said


@pytest.mark.parametrize("seed", range(5))
def test_where_a_large_loss_hides_a_tenth_nobody_is_blamed_for_it(seed):
    x = np.random.default_rng(seed).normal(size=3)
    loss = lambda p: 1e12 + 2 * np.sum(np.tanh(x @ p["W"]))  # noqa: E731
    (said,) = sentences(compare(loss, {"W": 1.1 * tr.grad(loss)(VALUES)["W"]}, {"W": VALUES["W"]}, seconds=0.1))
    assert said == RIGHT or "can't tell them apart" in said


def test_a_loss_that_changes_from_call_to_call_is_said_to():
    rng = np.random.default_rng(0)

    def loss(p):
        return np.sum((XS @ p["U"] * (rng.random((6, 3)) < 0.5)) ** 2)

    report = compare(loss, {"U": VALUES["U"]}, {"U": VALUES["U"]})
    assert sentences(report) == [RIGHT]  # of the call that was recorded
    assert "The loss changes from call to call" in str(report) and "pass it in data" in str(report)


def test_a_loss_that_hardly_changes_from_call_to_call_is_said_to_as_well():
    """Differences over steps of 1e-6 show what is far below the loss itself."""
    rng = np.random.default_rng(0)

    def loss(p):
        return np.sum((XS @ p["U"]) ** 2) + 1e-9 * rng.normal()

    report = compare(loss, {"U": VALUES["U"]}, {"U": VALUES["U"]})
    assert sentences(report) == [RIGHT]
    assert "The loss changes from call to call" in str(report)


def test_a_function_of_tensors_alone_is_run_again_from_its_recording():
    loss = lambda p: np.sum(p["U"].detach() * p["U"])  # noqa: E731
    report = compare(loss, {"U": 3 * VALUES["U"]}, {"U": VALUES["U"]})
    assert sentences(report) == [RIGHT]


def test_a_long_sequence_is_evaluated_a_few_times_for_all_parameters_together():
    calls = []

    def loss(p, xs):
        calls.append(1)
        hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), xs, np.zeros((8, 16)))
        return np.sum(hs**2)

    values = {"U": RNG.normal(size=(2, 16)), "W": RNG.normal(size=(16, 16)) / 4}
    data = (RNG.normal(size=(200, 8, 2)),)
    right = tr.grad(loss)(values, *data)
    calls.clear()
    report = compare(loss, {"U": right["U"], "W": 1.01 * right["W"]}, values, data, referee="always")
    assert sentences(report)[1] == RIGHT and "can't tell them apart" in sentences(report)[0]
    assert report["W"].ruling.along is not None and report["W"].off(report["W"].autograd) < 1e-5
    assert len(calls) <= 10


def test_and_each_by_itself_where_autograd_is_wrong():
    wrong = tr.autodiff.registry.elementwise(np.square, lambda ans, x: 3 * x)

    def loss(p):
        hs, _ = tr.unroll(lambda x, h: np.tanh(x @ p["U"] + h @ p["W"]), np.tile(XS, (40, 1)), np.zeros(3))
        return np.sum(hs) + np.sum(wrong(p["v"]))

    values = {**VALUES, "v": np.ones(50)}
    right = tr.grad(loss)(values)
    report = compare(loss, {"U": right["U"] * 2, "W": right["W"], "v": 2 * values["v"]}, values)
    assert [row.ruling and row.ruling.sentence for row in report.rows] == [RIGHT, None, WRONG]


def test_a_gradient_taken_inside_has_no_leaf_that_needs_a_name():
    w = tr.tensor(2.0, requires_grad=True, name="w")
    loss = w * tr.grad(lambda x: w * x**2)(3.0)  # 2 w² 3
    assert compare(loss, {"w": np.array(24.0)}).agrees
    (row,) = compare(loss, {"w": np.array(12.0)}).rows
    assert row.ruling.sentence == RIGHT


@pytest.mark.parametrize("size", [2, 16])
@pytest.mark.parametrize("is_right", [True, False])
def test_differences_take_shorter_steps_where_the_gradient_explodes(size, is_right):
    """A loss that curves so much that the usual step is too long for a difference: sines of a value that grows."""
    xs = np.random.default_rng(0).normal(size=(60, size))
    mixed = np.linspace(0.1, 1, size)

    def loss(p):
        def cell(x, h):
            return 1.13 * h + x * p["u"]

        hs, _ = tr.unroll(cell, xs, state=np.zeros(size))
        return np.sum(mixed * np.sin(hs[-1]))

    def by_hand(p):
        h, dh = np.zeros(size), np.zeros(size)
        for x in xs:
            h, dh = 1.13 * h + x * p["u"], 1.13 * dh + x
        return {"u": mixed * np.cos(h) * dh * (1 if is_right else 1.001)}

    report = compare(loss, by_hand, {"u": np.full(size, 0.7)}, referee="always", seconds=0.1)
    (row,) = report.rows
    assert row.ruling.autograd_agrees and row.ruling.manual_agrees == is_right, report.text()


def test_a_shorter_step_excuses_no_wrong_gradient():
    """Shorter steps round more, but never so much that a gradient wrong by a thousandth passes."""
    own = tr.custom_vjp(np.tanh)
    own.defvjp(lambda x: (np.tanh(x), np.tanh(x)), lambda y, g: (1.001 * g * (1 - y**2),))
    for offset in (0.0, 1e3, 1e6):
        loss = lambda p, c=offset: np.sum(own(p["u"])) + c  # noqa: E731
        report = compare(loss, lambda p: {"u": 1 - np.tanh(p["u"]) ** 2}, {"u": np.ones(3)}, seconds=0.1)
        (row,) = report.rows
        assert not row.ruling.autograd_agrees and row.ruling.manual_agrees, (offset, report.text())
