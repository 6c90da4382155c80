"""Gradients in the forms in which people hand them in; layouts and precisions that are said in words; conventions."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.comparison import compare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
P = {"W": RNG.normal(size=(3, 8)), "b": RNG.normal(size=8)}


def loss(p: Any) -> Any:
    return np.sum(np.tanh(X @ p["W"] + p["b"]) ** 2)


def right() -> dict[str, Any]:
    d = 2 * np.tanh(X @ P["W"] + P["b"]) * (1 - np.tanh(X @ P["W"] + P["b"]) ** 2)
    return {"W": X.T @ d, "b": d.sum(0)}


@dataclasses.dataclass
class AsDataclass:
    W: Any
    b: Any


class AsTuple(NamedTuple):
    dW: Any
    db: Any


class Returns:
    def forward(self, p: Any) -> float:
        return float(loss(p))

    def backward(self) -> Any:
        return right()


class Keeps:
    def forward(self, p: Any) -> None:
        self.seen = p

    def backward(self, dL: float = 1.0) -> None:
        self.dW, self.db = right().values()


FORMS = {
    "d in front": {f"d{k}": v for k, v in right().items()},
    "grad in front": {f"grad_{k}": v for k, v in right().items()},
    "grad behind": {f"{k}_grad": v for k, v in right().items()},
    "dL_d in front": {f"dL_d{k}": v for k, v in right().items()},
    "with the loss": lambda p: (float(loss(p)), right()),
    "with the loss, one by one": lambda p: (float(loss(p)), *right().values()),
    "before the loss": lambda p: (right(), float(loss(p))),
    "with the loss and states": lambda p: (float(loss(p)), right(), [np.zeros(8)]),
    "∂ in front": {f"∂_{k}": v for k, v in right().items()},
    "dE_d in front": {f"dE_d{k}": v for k, v in right().items()},
    "Delta in front": {f"Delta{k}": v for k, v in right().items()},
    "nabla in front": {f"nabla_{k}": v for k, v in right().items()},
    "a dot in front": {f"cell.{k}": v for k, v in right().items()},
    "as an attribute": {f"{k}.grad": v for k, v in right().items()},
    "a prime behind": {f"{k}'": v for k, v in right().items()},
    "small letters": {f"d{k.lower()}": v for k, v in right().items()},
    "one vector": np.concatenate([v.ravel() for v in right().values()]),
    "one matrix, a bias its last row": np.vstack([*right().values()]),
    "an array of arrays": np.array([*right().values(), None], dtype=object)[:-1],
    "a namespace": SimpleNamespace(**{f"d{k}": v for k, v in right().items()}),
    "a dataclass": AsDataclass(**right()),
    "a NamedTuple": AsTuple(*right().values()),
    "a generator of pairs": lambda p: (pair for pair in right().items()),
    "pairs": list(right().items()),
    "an object that returns them": Returns(),
    "an object that keeps them": Keeps(),
    "a tuple": tuple(right().values()),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_taken_as_it_comes(form: str) -> None:
    report = compare(loss, FORMS[form], P)
    assert report.agrees and not report.notes


def test_a_foreign_name_is_taken_for_the_parameter_that_alone_has_its_shape() -> None:
    report = compare(loss, {"dWxh": right()["W"], "dbias": 2 * right()["b"]}, P)
    assert report["W"].verdict == "agrees" and report["b"].verdict == "differs"
    assert report.notes[-2:] == [
        "dWxh is taken for W, the only one in the shape (3, 8).",
        "dbias is taken for b, the only one in the shape (8,).",
    ]
    either = {"U": 0.5 * P["W"], "W": 0.5 * P["W"]}
    of_both = lambda p: loss({"W": p["U"] + p["W"], "b": P["b"]})  # noqa: E731
    report = compare(of_both, {"dWxh": right()["W"], "dW": right()["W"]}, either)
    assert report["W"].verdict == report["U"].verdict == "agrees"
    assert not compare(of_both, {"dWxh": right()["W"], "dWhh": right()["W"]}, either).agrees


def test_functions_that_take_the_parameters_one_by_one() -> None:
    def in_order(W: Any, b: Any, x: Any) -> Any:
        return np.sum(np.tanh(x @ W + b) ** 2)

    def by_hand(x: Any, b: Any, W: Any, half: bool = True) -> Any:
        h = np.tanh(x @ W + b)
        d = h * (1 - h**2) if half else 2 * h * (1 - h**2)
        return x.T @ d, d.sum(0)

    right_one = lambda x, b, W: by_hand(x, b, W, half=False)  # noqa: E731
    assert compare(in_order, right_one, P, (X,)).agrees
    assert compare(in_order, lambda W, b, x: right_one(x, b, W), tuple(P.values()), (X,)).agrees
    report = compare(in_order, lambda W, b, x: by_hand(x, b, W), P, (X,))
    assert any("2 was left out" in one.sentence for one in report.diagnoses)
    assert "sequences" not in str(report)  # there are rows here, and no steps
    assert tr.derive(in_order, P, (X,)).run(data={"x": X[:2]}).loss < in_order(**P, x=X)
    with pytest.raises(TypeError, match=r"Pass these as a tuple: data=\(b, x\)"):
        compare(in_order, right_one, P, (X, X, X))


def test_parameters_and_gradients_in_a_dataclass() -> None:
    of_fields = lambda p: loss(vars(p))  # noqa: E731
    assert compare(of_fields, lambda p: AsDataclass(**right()), AsDataclass(**P)).agrees
    wrong = AsDataclass(right()["W"], 2 * right()["b"])
    assert [row.verdict for row in compare(of_fields, wrong, AsDataclass(**P)).rows] == ["agrees", "differs"]


def test_a_class_in_place_of_an_object_is_refused_by_name() -> None:
    assert "Returns is a class: give an object of it" in str(compare(loss, Returns, P))


def test_a_list_of_layers_is_taken_like_the_parameters() -> None:
    report = compare(lambda p: loss(p[0]), [right()], [P])
    assert report.agrees
    pair = {"layers": [tuple(P.values())]}
    of_pair = lambda p: loss(dict(zip("Wb", p["layers"][0])))  # noqa: E731
    assert compare(of_pair, {"layers": [tuple(right().values())]}, pair).agrees
    assert "layers" in " ".join(compare(of_pair, {"layer": [tuple(right().values())]}, pair).notes)


def test_a_list_beside_the_loss_is_taken_like_the_parameters() -> None:
    pair = list(P.values())
    report = compare(lambda p: loss(dict(zip("Wb", p))), lambda p: (0.5, list(right().values())), pair)
    assert report.agrees


def test_single_precision_is_held_to_what_it_can_keep_and_said() -> None:
    single = {k: v.astype(np.float32).astype(np.float64) for k, v in right().items()}
    report = compare(loss, single, P)
    assert report.agrees and report.tolerance == 1e-4 and "float32" in str(report)
    assert not compare(loss, {**single, "b": 1.001 * single["b"].astype(np.float32)}, P).agrees


LAYOUTS = {
    "the transpose of the right one": lambda W: W.T,
    "the right one with its gates stacked along a new first axis": lambda W: np.stack(np.split(W, 4, axis=1)),
    "the right one in the shape (24,)": np.ravel,
    "the right one transposed, in the shape (1, 8, 3)": lambda W: W.T[None],
    "the right one transposed, with its blocks of columns in the order 1, 2, 4, 3": lambda W: (
        np.concatenate([np.split(W, 4, axis=1)[i] for i in (0, 1, 3, 2)], axis=1).T
    ),
    "the right one with its gates stacked along a new first axis, each transposed": lambda W: np.stack(
        [part.T for part in np.split(W, 4, axis=1)]
    ),
    "the right one with its gates stacked along a new axis in the middle": lambda W: W.reshape(3, 4, 2),
    "the right one with its gates stacked along a new last axis": lambda W: np.stack(np.split(W, 4, axis=1), axis=-1),
    "the right one with its gates stacked along a new first axis, with its blocks of columns in the order 1, 2, 4, 3": (
        lambda W: np.stack(np.split(W, 4, axis=1))[[0, 1, 3, 2]]
    ),
    "the right one with its 4 gates interleaved, unit by unit": lambda W: np.stack(
        np.split(W, 4, axis=1), axis=-1
    ).reshape(3, 8),
    "the right one transposed, in the shape (24,)": lambda W: W.T.ravel(),
    "the right one with its blocks of columns in the order 4, 3, 2, 1": lambda W: np.concatenate(
        np.split(W, 4, axis=1)[::-1], axis=1
    ),
    "the right one with its blocks of columns in the order 2, 1, 3, 4": lambda W: np.concatenate(
        [np.split(W, 4, axis=1)[i] for i in (1, 0, 2, 3)], axis=1
    ),
}


@pytest.mark.parametrize("words", LAYOUTS)
def test_a_layout_is_said_in_words(words: str) -> None:
    report = compare(loss, {**right(), "W": LAYOUTS[words](right()["W"])}, P)
    assert any(words in one.sentence for one in report.diagnoses), [one.sentence for one in report.diagnoses]


def test_a_bias_as_a_row_is_said_to_be_one() -> None:
    for shape in ((1, 8), (8, 1), (1, 1, 8)):
        (one,) = compare(loss, {**right(), "b": right()["b"].reshape(shape)}, P).diagnoses
        assert one.sentence == f"b: your gradient equals the right one in the shape {shape}."


def test_several_gradients_in_one_array_are_taken_for_these() -> None:
    """As of W over [1, x]: the bias is a row of the same matrix."""
    both = np.concatenate([right()["W"], right()["b"][None]])
    report = compare(loss, {"theta": both}, P)
    assert report.agrees and "theta is taken for W, b, one below the other." in str(report)
    assert not compare(loss, {"theta": both * (1 + 1e-3)}, P).agrees


def test_a_gradient_in_pieces_is_put_together() -> None:
    gates = dict(zip(("W_i", "W_f", "W_g", "W_o"), np.split(right()["W"], 4, axis=1)))
    report = compare(loss, {**gates, "b": right()["b"]}, P)
    assert report.agrees and "W_i, W_f, W_g, W_o are taken for W, in pieces." in str(report)
    assert "There is no parameter 'W_o'" in str(compare(loss, {**gates, "W_o": 2 * gates["W_o"], "b": right()["b"]}, P))


@pytest.mark.parametrize("at_zero", [0.0, 1.0])
@pytest.mark.parametrize("asked", [True, False])
def test_the_value_at_a_kink_is_a_convention_and_no_mistake(at_zero: float, asked: bool) -> None:
    xs = np.array([[0.0, 0.0], [1.0, -0.5], [0.4, 0.9]])
    values = {"b": np.zeros(2), "W": np.array([[0.5, -0.2], [0.3, 0.8]])}

    def of_relu(p: Any) -> Any:
        return np.sum(tr.unroll(lambda x, h: np.maximum(x + h @ p["W"] + p["b"], 0), xs, np.zeros(2))[0] ** 2)

    def by_hand(p: Any) -> Any:
        h, a = [np.zeros(2)], [np.zeros(2)]
        for x in xs:
            a.append(x + h[-1] @ p["W"] + p["b"])
            h.append(np.maximum(a[-1], 0))
        b, W, dh = np.zeros(2), np.zeros((2, 2)), np.zeros(2)
        for t in (3, 2, 1):
            delta = (2 * h[t] + dh) * np.where(a[t] == 0, at_zero, a[t] > 0)
            b, W, dh = b + delta, W + np.outer(h[t - 1], delta), delta @ p["W"].T
        return {"b": b, "W": W}

    report = compare(of_relu, by_hand if asked else by_hand(values), values)
    (one,) = report.diagnoses
    assert "a convention at a kink" in one.sentence and "not a mistake" in one.sentence
    assert not any("has to give other numbers" in note for note in report.notes)


def test_a_pooling_without_its_mask_is_a_mistake_and_no_convention() -> None:
    """One of several numbers always equals the largest: that is no kink.

    The mask of each column adds up to 1, so without it one gets what one gets with the sum of all of it.
    """
    values = {"w": np.array([0.3, -0.4, 0.2])}

    def pooled(p: Any) -> Any:
        return np.sum(np.max(np.tanh(X @ p["w"])[:, None] * np.array([1.0, 2.0]), axis=0))

    def by_hand(p: Any) -> Any:
        return {"w": X.T @ (3 * (1 - np.tanh(X @ p["w"]) ** 2))}

    (one,) = compare(pooled, by_hand, values).diagnoses
    assert one.complete and "convention" not in one.sentence
    assert "was left out" in one.sentence or "the sum over all of" in one.sentence


@pytest.mark.parametrize("biases", [("bias",), ("from_input", "from_state")])
@pytest.mark.parametrize("n", [2, 3])
def test_pytorchs_layout_of_weights_that_have_names_of_their_own(biases, n):
    """Its names say which weight is meant, and its shapes which of ours."""
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(4, 5, n))
    p = {"kernel": rng.normal(size=(n, 3)), "recurrent": rng.normal(size=(3, 3)), **{b: np.zeros(3) for b in biases}}

    def loss(p, xs):
        step = lambda x, h: np.tanh(x @ p["kernel"] + h @ p["recurrent"] + sum(p[b] for b in biases))  # noqa: E731
        return np.sum(tr.unroll(step, xs, np.zeros((5, 3)))[0] ** 2)

    right = tr.grad(loss)(p, xs)
    given = {"weight_ih_l0": right["kernel"].T, "weight_hh_l0": right["recurrent"].T}
    given |= {"bias_ih_l0": right[biases[0]], "bias_hh_l0": right[biases[-1]]}
    report = tr.compare(loss, given, p, (xs,))
    assert report.agrees and not report.notes
    wrong = {**given, "weight_hh_l0": right["recurrent"]}
    assert [row.name for row in tr.compare(loss, wrong, p, (xs,)).rows if row.verdict != "agrees"] == ["recurrent"]
