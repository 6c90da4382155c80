"""compare: whatever stands on either side, the errors, the verdict and the referee are right."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.comparison.claims.pytorch_names import translated
from tinygrad_rnn.manual import elman, gru, lstm, worked_example
from tinygrad_rnn.manual.readout import Objective

NAMES = ("U", "W", "V", "b", "c")


def article_loss(p):
    """The worked example's loss, on arrays or Tensors; p is any object with U, W, V, b, c."""
    states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), worked_example.INPUTS, state=np.zeros(2))
    o = tr.sigmoid(states @ p.V + p.c)
    return -sum((y * np.log(o[t - 1])).sum() for t, y in zip(worked_example.OUTPUT_STEPS, worked_example.TARGETS))


def by_hand(p):
    """The right gradients as a dict."""
    return worked_example.run(p)[1].gradients._asdict()


def recorded():
    params = {n: tr.tensor(v, requires_grad=True, name=n) for n, v in worked_example.PARAMS._asdict().items()}
    return article_loss(elman.ElmanParams(**params)), params


@pytest.mark.parametrize(
    "manual",
    [
        by_hand,
        lambda p: worked_example.run(p)[1],
        lambda p: tuple(worked_example.run(p)[1].gradients),
        lambda: by_hand(worked_example.PARAMS),
        by_hand(worked_example.PARAMS),
        worked_example.run()[1],
        {name: g.tolist() for name, g in by_hand(worked_example.PARAMS).items()},
        {name: (lambda g=g: g) for name, g in by_hand(worked_example.PARAMS).items()},
    ],
    ids=["function", "backward", "tuple", "closure", "dict", "backward once", "lists", "function each"],
)
@pytest.mark.parametrize("is_recorded", [False, True])
def test_the_right_gradients_agree_in_whatever_form_they_come(manual, is_recorded):
    if is_recorded:
        loss, params = recorded()
        report = compare(loss, manual, elman.ElmanParams(**params))
    else:
        report = compare(article_loss, manual, worked_example.PARAMS)
    assert report.agrees and bool(report)
    assert [row.name for row in report.rows] == list(NAMES)
    assert max(row.relative for row in report.rows) < 1e-13
    assert all(row.ruling is None for row in report.rows)  # nobody disagreed, so nobody was asked


def test_a_module_of_derivations_runs_on_the_models_parameters_and_data():
    rng = np.random.default_rng(0)

    class Model(nn.Module):
        def __init__(self):
            self.cell = nn.RNNCell(3, 4, seed=1, dtype=np.float64)
            self.V, self.c = nn.Parameter(rng.normal(size=(4, 2))), nn.Parameter(rng.normal(size=2))

        def forward(self, xs, targets):
            states, _ = tr.unroll(self.cell, xs)
            return nn.cross_entropy(states @ self.V + self.c, targets, "sum") / 5

    xs, targets = rng.normal(size=(6, 5, 3)), np.eye(2)[rng.integers(2, size=(6, 5))]
    report = compare(Model(), elman, data=(xs, targets))
    assert report.agrees
    assert [row.name for row in report.rows] == ["cell.U", "cell.W", "cell.b", "V", "c"]


@pytest.mark.parametrize(("kind", "module"), [(nn.LSTMCell, lstm), (nn.GRUCell, gru)])
def test_a_derivation_of_a_layer_begins_with_what_reaches_its_states(kind, module):
    cell, xs = kind(3, 2, dtype=np.float64, seed=0), np.random.default_rng(0).normal(size=(4, 5, 3))
    start = np.full((5, 2), 0.3)
    ys, last = tr.unroll(cell, xs, state=(start, -start) if module is lstm else start)
    loss = np.sum(ys[1] ** 2) + np.sum((last.c if module is lstm else last) ** 3)
    report = compare(loss, module, cell)
    assert report.agrees and len(report.rows) == len(cell.state_dict())
    assert report.lines and all(line.verdict == "agrees" for line in report.lines)


def test_a_mistake_in_a_derivation_of_a_layer_is_named():
    class WithASlip:
        forward = staticmethod(lstm.forward)

        @staticmethod
        def backward(trace, dLt_dh, dL_dcT=None):
            return lstm.backward(trace, -dLt_dh, dL_dcT)

    cell, xs = nn.LSTMCell(3, 2, dtype=np.float64, seed=0), np.random.default_rng(0).normal(size=(4, 5, 3))
    report = compare(np.sum(tr.unroll(cell, xs)[0] ** 2), WithASlip, cell)
    assert [row.verdict for row in report.rows] == ["differs"] * 3
    assert "U, W, b: your gradients equal minus the right ones." in report.sentences()
    assert next(line.name for line in report.lines if line.verdict != "agrees") == "dL/dh[4]"


class Classifier(nn.Module):
    def __init__(self, **options):
        self.rnn = nn.LSTM(3, 4, seed=0, dtype=np.float64, **options)
        self.out = nn.Linear(4, 2, seed=1, dtype=np.float64)

    def forward(self, xs):
        return np.sum(self.out(self.rnn(xs)[0]) ** 2)


def test_a_derivation_of_a_layer_takes_one_layer_of_a_model():
    xs = np.random.default_rng(0).normal(size=(4, 5, 3))
    model, two = Classifier(), Classifier(num_layers=2)
    assert compare(model(xs), lstm, model.rnn).agrees
    assert "has one 'W', and here are several" in str(compare(model, lstm, data=(xs,)))
    assert "derives one layer" in str(compare(two(xs), lstm, two.rnn.layers[1]))
    before = nn.GRUCell(3, 2, reset="before", dtype=np.float64)
    assert "the model also has W_n" in str(compare(np.sum(tr.unroll(before, xs)[0]), gru, before))


def test_trees_of_parameters_go_by_their_paths():
    params = {"cell": {"w": np.ones(2), "b": np.zeros(2)}, "out": (np.ones(2),)}
    loss = lambda p: np.sum((p["cell"]["w"] * 3 + p["cell"]["b"]) * p["out"][0])  # noqa: E731
    right = {"cell": {"w": np.full(2, 3.0), "b": np.ones(2)}, "out.0": np.full(2, 3.0)}
    report = compare(loss, lambda p: right if p["cell"]["w"][0] == 1 else None, params)
    assert report.agrees and [row.name for row in report.rows] == ["cell.w", "cell.b", "out.0"]


def test_a_function_of_a_model_is_a_loss_too():
    cell, xs = nn.RNNCell(2, 3, dtype=np.float64), np.ones((4, 2))
    loss = lambda model, xs: np.sum(tr.unroll(model, xs)[0])  # noqa: E731

    def manual(p, xs):
        trace = elman.hidden_forward(elman.HiddenParams(p["U"], p["W"], p["b"]), xs)
        return {
            name: c.sum(0) for name, c in elman.hidden_backward(trace, np.ones((4, 3))).contributions._asdict().items()
        }

    assert compare(loss, manual, cell, (xs,)).agrees


def test_a_short_name_that_could_be_two_parameters_is_neither():
    params = {"a": {"w": np.ones(2)}, "b": {"w": np.ones(2)}}
    report = compare(lambda p: np.sum(p["a"]["w"]) + np.sum(p["b"]["w"]), {"w": np.ones(2)}, params)
    assert [row.problem for row in report.rows] == ["no gradient was given"] * 2
    assert "There is no parameter 'w'" in str(report)


def test_errors_angle_and_verdict_of_a_wrong_gradient():
    loss = lambda p: np.sum(p["w"] * np.array([3.0, 4.0]))  # noqa: E731
    row = compare(loss, {"w": np.array([4.0, -3.0])}, {"w": np.ones(2)})["w"]
    assert row.verdict == "differs"
    assert (row.absolute, row.relative) == (7.0, 7.0 / 4.0)
    assert row.angle == pytest.approx(90.0)
    assert row.ruling.sentence == "autograd agrees with finite differences; the manual formula doesn't"
    np.testing.assert_allclose(row.ruling.numeric, [3.0, 4.0], rtol=1e-9)


def test_the_referee_finds_the_manual_side_right_when_autograd_is_wrong():
    wrong = tr.autodiff.registry.elementwise(np.square, lambda ans, x: 3 * x)
    report = compare(lambda p: np.sum(wrong(p["w"])), lambda p: {"w": 2 * p["w"]}, {"w": np.ones(3)})
    assert report["w"].ruling.sentence == "the manual formula agrees with finite differences; autograd doesn't"
    neither = compare(lambda p: np.sum(wrong(p["w"])), lambda p: {"w": p["w"]}, {"w": np.ones(3)})
    assert neither["w"].ruling.sentence == "neither agrees with finite differences"


def test_a_recorded_loss_is_evaluated_again_by_replaying_it():
    """The referee needs no function: the same numbers whether it calls one or replays the recording."""
    loss, params = recorded()
    replayed = compare(loss, by_hand, elman.ElmanParams(**params), referee="always")
    called = compare(article_loss, by_hand, worked_example.PARAMS, referee="always")
    for name in NAMES:
        np.testing.assert_allclose(replayed[name].ruling.numeric, called[name].ruling.numeric, rtol=1e-6, atol=1e-9)
        assert replayed[name].off(replayed[name].autograd) < 1e-8
    assert params["W"].grad is None
    loss.backward()  # nothing was touched or freed


def test_a_large_parameter_is_refereed_where_it_matters():
    w = np.linspace(-1, 1, 1000)
    manual = 2 * w
    manual[500] += 0.3  # where the gradient is nearly zero
    report = compare(lambda p: np.sum(p["w"] ** 2), {"w": manual}, {"w": w})
    assert len(report["w"].ruling.elements) < 1000 and 500 in report["w"].ruling.elements
    assert "manual formula doesn't" in report["w"].sentence


def test_float32_is_compared_with_the_tolerance_that_it_can_keep():
    w = tr.tensor(np.linspace(0.1, 1, 7, dtype=np.float32), requires_grad=True, name="w")
    report = compare(np.sum(np.tanh(w)), {"w": 1 - np.tanh(np.linspace(0.1, 1, 7)) ** 2}, referee="always")
    assert report.agrees and report.tolerance == 1e-4
    assert not compare(np.sum(np.tanh(w)), {"w": 1 - np.tanh(np.linspace(0.1, 1, 7)) ** 2}, tolerance=1e-12).agrees


def test_a_gradient_whose_terms_cancel_agrees_if_only_rounding_is_left():
    a = np.array([1e8, -1e8, 1e8 / 3, -1e8 / 3])
    params = {"w": np.array(1.0)}
    loss = lambda p: sum(p["w"] * x for x in a)  # noqa: E731
    assert compare(loss, {"w": np.array(1e-9)}, params).agrees
    assert not compare(loss, {"w": np.array(1.0)}, params).agrees
    assert not compare(loss, {"w": np.array(1e-3)}, params).agrees


@pytest.mark.parametrize("batch", [(), (5,)])
def test_gradients_that_are_zero_but_for_rounding_agree(batch):
    """As those of a sum of probabilities; but a small gradient is none that is zero."""
    x, w = np.random.default_rng(0).normal(size=(*batch, 3)), np.random.default_rng(1).normal(size=(3, 4))

    def by_hand(p):
        y = np.exp(x @ p["w"]) / np.sum(np.exp(x @ p["w"]), axis=-1, keepdims=True)
        d = y - y * np.sum(y, axis=-1, keepdims=True)
        return {"w": x.T @ d if batch else np.outer(x, d)}

    probabilities = lambda p: np.sum(tr.softmax(x @ p["w"]))  # noqa: E731
    assert compare(probabilities, by_hand, {"w": w}).agrees
    assert not compare(probabilities, {"w": by_hand({"w": w})["w"] + 1e-12}, {"w": w}).agrees
    assert tr.derive(probabilities, {"w": w}).run({"w": 2 * w}).gradients["w"] == pytest.approx(0, abs=1e-14)

    far = lambda p: 1 + np.sum(np.tanh(1e-9 * np.tanh(1e-9 * p["w"])))  # noqa: E731
    small = np.full((3, 4), 1e-18)
    assert compare(far, {"w": small}, {"w": w}).agrees and not compare(far, {"w": 2 * small}, {"w": w}).agrees


def test_gradients_from_pytorch_are_taken_as_arrays():
    torch = pytest.importorskip("torch")
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    torch.tanh(w).sum().backward()
    assert compare(lambda p: np.sum(np.tanh(p["w"])), {"w": w.grad}, {"w": np.array([1.0, 2.0])}).agrees


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_gradients_of_pytorchs_layers_go_by_pytorchs_names(kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(2, 3, dtype=torch.float64)
    cell = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind](2, 3, dtype=np.float64)
    weights = {name: p.detach().numpy() for name, p in theirs.named_parameters()}
    cell.U.data, cell.W.data = weights["weight_ih_l0"].T, weights["weight_hh_l0"].T
    from_state = weights["bias_hh_l0"].copy()
    if kind == "GRU":
        cell.b_hn.data = from_state[6:]
        from_state[6:] = 0
    cell.b.data = weights["bias_ih_l0"] + from_state
    xs = np.random.default_rng(0).normal(size=(4, 5, 2))
    (theirs(torch.tensor(xs))[0] ** 2).sum().backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    report = compare(np.sum(tr.unroll(cell, xs)[0] ** 2), gradients, cell)
    assert report.agrees and not report.notes
    gradients["weight_hh_l0"] = -gradients["weight_hh_l0"]
    assert [row.name for row in compare(np.sum(tr.unroll(cell, xs)[0] ** 2), gradients, cell).rows if row.sentence] == [
        "W"
    ]


def test_gradients_of_several_layers_go_by_their_numbers():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.RNN(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64)
    theirs(torch.ones(4, 2, dtype=torch.float64))[0].sum().backward()
    given = {name: p.grad for name, p in theirs.named_parameters()}
    found = translated(given, {})
    assert found["layers.1.1.U"].shape == (6, 3) and set(found) == {
        f"layers.{layer}.{way}.{name}" for layer in (0, 1) for way in (0, 1) for name in "UWb"
    }


def test_the_report_reads_the_same_in_every_form():
    wrong = {**by_hand(worked_example.PARAMS), "W": np.zeros((2, 2))}
    report = compare(article_loss, wrong, worked_example.PARAMS)
    for form in (report.text(), report.markdown(), report.html(), str(report)):
        assert "look at W" in form and "differs" in form
    assert "doesn&#x27;t" in report.html() and "<td>W</td>" in report.html()
    data = json.loads(json.dumps(report.to_dict()))
    assert data["agrees"] is False
    assert [p["verdict"] for p in data["parameters"]] == ["agrees", "differs", "agrees", "agrees", "agrees"]
    assert report.values().rows[3][0] == "b" and "0.1807" in report.values().rows[3][1]


# --- what can't be compared ------------------------------------------------------------------------------------------


def test_what_is_wrong_with_one_gradient_is_said_and_the_rest_is_compared():
    def raises():
        raise ZeroDivisionError("float division by zero")

    right = by_hand(worked_example.PARAMS)
    given = {"U": right["U"].T, "W": raises, "V": np.array(["a"]), "c": right["c"], "bb": np.ones(7)}
    report = compare(article_loss, given, worked_example.PARAMS)
    assert report["U"].problem == "shape (2, 3) where (3, 2) belongs: it is transposed"
    assert report["W"].problem == "ZeroDivisionError: float division by zero"
    assert report["V"].problem.startswith("TypeError: not real numbers")
    assert report["b"].problem == "no gradient was given"
    assert report["c"].verdict == "agrees"
    assert "There is no parameter 'bb'; did you mean 'b'?" in report.text()
    with pytest.raises(TypeError, match=r"dict on the autograd side; pass a recorded loss"):
        compare(right, article_loss(worked_example.PARAMS))
    assert "autograd agrees with finite differences" in report["W"].sentence


def test_a_manual_function_that_raises_is_reported_for_every_parameter():
    def derivation(p):
        raise KeyError("W_s")

    report = compare(article_loss, derivation, worked_example.PARAMS)
    said = """the manual function raised KeyError: 'W_s' (line 2 of derivation, `raise KeyError("W_s")`)"""
    said = said.replace("line 2", f"line {derivation.__code__.co_firstlineno + 1}")
    assert all(said in row.problem for row in report.rows)
    assert report.text().count("raised") == 1  # once for all parameters
    report = compare(article_loss, lambda xs, targets: {}, worked_example.PARAMS)
    assert all("it takes xs, targets, and is called as manual(parameters, *data)" in row.problem for row in report.rows)


def test_a_manual_function_cannot_change_the_parameters_under_the_models_feet():
    def careless(p):
        right = by_hand(p)
        p.W[:] = 0.0
        return right

    assert compare(article_loss, careless, worked_example.PARAMS, referee="always").agrees
    assert worked_example.PARAMS.W[0, 0] == 0.10


def test_nan_is_reported_where_it_first_appears():
    def cell(x, h):
        return np.where(x > 2, np.log(h - 10), h) + x

    def loss(p):
        ys, _ = tr.unroll(cell, np.array([[1.0], [2.0], [3.0], [4.0]]), state=p["h0"])
        return ys.sum()

    with np.errstate(invalid="ignore"):
        report = compare(loss, {"h0": np.array([4.0])}, {"h0": np.zeros(1)})
    assert report["h0"].verdict == "NaN"
    assert "the forward pass has its first NaN in log at step 1" in report["h0"].problem


def test_what_is_infinite_differs():
    report = compare(lambda p: np.sum(p["w"]), {"w": np.array([np.inf, 1.0])}, {"w": np.ones(2)})
    assert report["w"].verdict == "differs" and report["w"].absolute == np.inf
    assert "manual formula doesn't" in str(report)


def test_nan_in_the_backward_pass_alone_is_found_there():
    loss = lambda p: np.sum(np.sqrt(p["w"]) * 0.0)  # noqa: E731
    with np.errstate(divide="ignore", invalid="ignore"):
        report = compare(loss, {"w": np.zeros(1)}, {"w": np.zeros(1)}, referee="never")
    assert "backward pass has its first NaN" in report["w"].problem


def test_a_loss_that_is_nan_is_said_to_be_so_though_the_gradients_agree():
    with np.errstate(invalid="ignore"):
        report = compare(
            lambda p: np.sum(p["w"]) + np.log(-p["w"].detach()).sum(), {"w": np.ones(1)}, {"w": np.ones(1)}
        )
    assert report.agrees and "The loss is nan: the forward pass has its first NaN in add" in str(report)


def test_nan_in_the_manual_gradient_names_its_element():
    wrong = np.array([[1.0, 2.0], [np.nan, 1.0]])
    report = compare(lambda p: np.sum(p["w"]), {"w": wrong}, {"w": np.ones((2, 2))})
    assert report["w"].problem == "the manual gradient is NaN, first in element [1, 0]"


def test_nan_in_the_contributions_names_the_step_where_the_backward_pass_met_it():
    back = worked_example.run()[1]
    contributions = back.contributions._replace(W=back.contributions.W.copy())
    contributions.W[:4] = np.nan
    wrong = back._replace(contributions=contributions, gradients=back.gradients._replace(W=np.full((2, 2), np.nan)))
    report = compare(article_loss, wrong, worked_example.PARAMS)
    assert report["W"].verdict == "NaN" and "going back from the last step, first at step 4" in report["W"].problem
    assert report["U"].verdict == "agrees"


@pytest.mark.parametrize(
    ("autograd", "parameters", "message"),
    [
        (lambda p: p["w"], {"w": np.ones(2)}, "must be one number"),
        (lambda p: np.ones(1), {"w": np.ones(2)}, "depends on nothing"),
        (lambda p: p["w"].sum(), None, "needs the values of its parameters"),
        (3.0, None, "float on the autograd side"),
        (lambda p, xs: p["w"].sum(), {"w": np.ones(2)}, r"a function of p, xs, .* 0 further .*: data=\(xs,\)"),
    ],
)
def test_what_is_no_loss_is_refused_with_the_cure(autograd, parameters, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare(autograd, {}, parameters)


def test_leaves_without_names_have_to_be_named():
    w = tr.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="parameters="):
        compare((w * w).sum(), {"w": np.array([2.0])})
    assert compare((w * w).sum(), {"w": np.array([2.0])}, {"w": w}).agrees


def test_a_freed_graph_says_when_to_compare():
    loss, params = recorded()
    loss.backward(keep=False)
    with pytest.raises(RuntimeError, match="before backward"):
        compare(loss, by_hand, elman.ElmanParams(**params))


def test_an_objective_of_the_users_goes_along_in_a_function():
    xs, targets = np.ones((3, 2)), np.ones((1, 2))
    params = elman.random_params(2, 3, 2, np.random.default_rng(0))

    def loss(p):
        states, _ = tr.unroll(lambda x, s: np.tanh(x @ p.U + s @ p.W + p.b), xs, state=np.zeros(3))
        return nn.mse(states[-1] @ p.V + p.c, targets[0])

    manual = lambda p: elman.backward(elman.forward(p, xs, targets, objective=Objective("mse", "last")))  # noqa: E731
    assert compare(loss, manual, params).agrees
