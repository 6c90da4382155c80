"""Worksheets: what is blank, what counts as right, which slip is named, and that no answer is run as code."""

from __future__ import annotations

import builtins
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tests.any_text import any_text
from tests.derivation.held_to_autograd import random
from tinygrad_rnn import nn
from tinygrad_rnn.derivation.edits.edits import edits_of
from tinygrad_rnn.derivation.edits.hand import Hand
from tinygrad_rnn.derivation.equations.not_writable import NotWritable
from tinygrad_rnn.derivation.worksheets.allowed import Unreadable
from tinygrad_rnn.derivation.worksheets.answers import Answer
from tinygrad_rnn.derivation.worksheets.worksheet import Worksheet
from tinygrad_rnn.derivation.writing.numpy_text import NumpyWriter
from tinygrad_rnn.report.networks import BY_NAME


def leaky(p: Any, xs: Any) -> Any:
    def cell(x: Any, h: Any) -> Any:
        return 0.7 * h + 0.3 * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])

    _, h = tr.unroll(cell, xs, np.zeros((2, 4)))
    return nn.cross_entropy(h @ p["V"], np.array([0, 2]))


LEAKY = {"U": random(3, 4), "W": random(4, 4), "b": np.zeros(4), "V": random(4, 3)}
F64: dict[str, Any] = {"dtype": np.float64, "seed": 0}
DERIVATIONS = {
    **{name: tr.derive(make().loss) for name, make in BY_NAME.items()},
    "leaky": tr.derive(leaky, LEAKY, [random(5, 2, 3)]),
    "stacked": tr.derive(nn.StackedCell([nn.LSTMCell(3, 4, **F64), nn.GRUCell(4, 4, **F64)]), random(4, 2, 3)),
    "peepholes, float32": tr.derive(nn.LSTMCell(3, 4, peepholes=True, dtype=np.float32, seed=0), random(3, 3)),
}
ELMAN = DERIVATIONS["elman"]


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
def test_solutions_are_right_and_an_empty_sheet_is_not(derivation: Any) -> None:
    sheet = derivation.worksheet(1.0)
    marks = sheet.check(sheet.solutions())
    assert len(marks) == len(sheet.blanks) >= 5
    assert marks.all_right, str(marks)
    assert {mark.verdict for mark in sheet.check({})} == {"blank"}


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_edited_line_is_wrong_and_its_slip_is_named(derivation: Any, data: st.DataObject) -> None:
    sheet = derivation.worksheet(1.0)
    name, line = data.draw(st.sampled_from(list(sheet.blanks.items())))
    edits = [edit for edit in edits_of(line, Hand(derivation), 0) if not edit.is_convention and edit.steps is None]
    edit = data.draw(st.sampled_from(edits))
    writer = NumpyWriter(sheet._marker.source.names)
    try:
        answer = writer.write(edit.expression, line.steps)
    except (NotWritable, AssertionError):
        return
    if writer.before:
        return
    mark = sheet.check({name: answer}).of(name)
    if mark.verdict == "wrong":
        assert mark.slip is not None, (answer, str(mark))
        assert mark.sentence.startswith("wrong")
    else:  # another form of the same, or what no line can be
        assert mark.verdict in ("right", "circular", "wrong shape", "unreadable"), (answer, str(mark))


FORMS = {
    "delta": ["∂L/∂h_t ∘ (1 - h_t²)", "Δ_t = dL_dh[t] * (1 - h[t]**2)", "dL_dh / np.cosh(a)**2", "dL/dh_t*(1-h)*(1+h)",
              "dL_dh - dL_dh * np.square(np.tanh(a[t]))", "np.einsum('i,i->i', dL_dh, 1 - h*h)",
              "(1 - np.tanh(x_t @ U + h_{t-1} @ W + b)²) · ∂L/∂h_t", "dL_dh[t]\n * (1 - h[t]**2)\n"],
    "dL/dh": ["∂L/∂y_t @ Vᵀ + Δ_{t+1} @ Wᵀ", "V @ dL_dy[t] + W @ delta[t + 1]",
              "(V @ dL_dy + (W @ Δ[t+1] if t < T else 0))",
              "2 * e_t @ V.T + W.dot(Δ_{t+1})"],
    "dL/dW": ["sum(np.outer(h[t - 1], delta[t]) for t in range(1, T + 1))", "h[0:T].T @ delta[1:T + 1]",
              "h[:T].T @ Δ[:]",
              "Σ_t(np.outer(h_{t-1}, Δ_t))", "sum([h[s-1][:, None] * delta[s] for s in range(T, 0, -1)])",
              "np.einsum('ti,tj->ij', h[0:T], delta[1:T+1])"],
    "dL/db": ["sum(delta[t] for t in range(1, T + 1))", "Σ_t(Δ_t)", "delta[1:].sum(axis=0)", "Δ_1 + Δ_2 + Δ_3 + Δ_T"],
    "dL/dy": ["2 * e", "2 * (y_t - k_t)", "2 * (y[t] - ks[t - 1])", "e + e", "-2 * (ks[t-1] - h @ V - c)"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, forms in FORMS.items() for answer in forms])
def test_any_right_form_counts(name: str, answer: str) -> None:
    mark = ELMAN.worksheet(1.0).check({name: answer}).of(name)
    assert mark.is_right, str(mark)


def test_a_mask_of_lengths_may_be_written_as_it_is_printed() -> None:
    """``[t ≤ lengths]`` has one number for each instance, as in print; or it has its axis of length 1."""
    rng = np.random.default_rng(0)

    def loss(p: Any, xs: Any, lengths: Any) -> Any:
        h = np.zeros((2, 3))
        for t in range(4):
            h = np.where((t < lengths)[:, None], np.tanh(xs[t] + h @ p["W"]), h)
        return np.sum(h**2)

    sheet = tr.derive(loss, {"W": rng.normal(size=(3, 3))}, (rng.normal(size=(4, 2, 3)), np.array([4, 2]))).worksheet(
        1.0
    )
    for answer in ("∂L/∂h_t ∘ (1 - u_t²) ∘ [t ≤ lengths]", "dL_dh * (1 - u**2) * (t <= lengths)[:, None]"):
        assert sheet.check({"delta": answer}).of("delta").is_right
    mark = sheet.check({"delta": "∂L/∂h_t ∘ (1 - u_t²)"}).of("delta")
    assert mark.sentence == "wrong at t = 3..T: the mask t ≤ lengths was forgotten"


SLIPS = {
    ("delta", "dL_dh[t]"): "",
    ("delta", "dL_dh * (1 - h)"): "h_t stands where h_t² belongs",
    ("delta", "dL_dh * (1 - a**2)"): "at the pre-activation",
    ("dL/dh", "dL_dy @ V.T"): "the term Δ_{t[+]1} Wᵀ was left out",
    ("dL/dh", "dL_dy @ V.T + delta[t+1] @ W"): "W stands where Wᵀ belongs|transpose",
    ("dL/dW", "Σ_t(np.outer(h_t, Δ_t))"): "h_t stands where h_{t-1} belongs",
    ("dL/dU", "-Σ_t(np.outer(x_t, Δ_t))"): "sign",
    ("dL/dc", "dL_dy[T]"): "",
}


@pytest.mark.parametrize("case", SLIPS, ids="=".join)
def test_the_slip_is_named(case: tuple[str, str]) -> None:
    mark = ELMAN.worksheet(1.0).check({case[0]: case[1]}).of(case[0])
    assert mark.verdict == "wrong"
    assert mark.slip is not None
    assert mark.slip.line.name == case[0]
    assert re.search(SLIPS[case], mark.sentence), str(mark)


def test_what_is_right_for_the_recorded_numbers_alone_is_wrong() -> None:
    derivation = DERIVATIONS["leaky"]  # whose b is 0
    (name,) = (line.name for line in derivation.lines if line.name == "a")
    sheet = derivation.worksheet([name])
    assert sheet.check({name: "xs[t - 1] @ U + h[t - 1] @ W"}).of(name).verdict == "wrong"
    assert sheet.check({name: "b + (h[t - 1] @ W + xs[t - 1] @ U)"}).all_right


def test_values_and_functions() -> None:
    sheet, values = ELMAN.worksheet(["delta", "dL/dW"]), ELMAN.run().values
    delta = {t: value for t, value in values["delta"].items() if 1 <= t <= 4}
    assert sheet.check({"delta": delta, "dL/dW": values["dL/dW"]}).all_right
    assert sheet.check([np.stack([delta[t] for t in (1, 2, 3, 4)]), ELMAN.gradients()["W"]]).all_right
    assert sheet.check({1: lambda t, dL_dh, h: dL_dh[t] * (1 - h[t] ** 2)}).of("delta").is_right
    slopeless = sheet.check({1: {t: values["dL/dh"][t] for t in delta}}).of("delta")
    assert slopeless.verdict == "wrong"
    assert slopeless.slip is not None
    assert "step 4" in sheet.check({"delta": {t: delta[t] for t in (1, 2, 3)}}).of("delta").sentence
    assert "(4, 3)" in sheet.check({"delta": np.ones((5, 3))}).of("delta").sentence
    assert "no_such" in sheet.check({"delta": lambda no_such: 1}).of("delta").sentence
    assert "ZeroDivisionError" in sheet.check({"delta": lambda t: 1 / 0}).of("delta").sentence


@pytest.mark.parametrize(
    "answer",
    ["delta[t]", "Δ_t", "dL_dh[t - 1] * 0 + dL_dh", "delta[t - 1]", "dL_dW[0] * 0", "lambda t, delta: delta[t]"],
)
def test_no_line_is_read_that_follows_from_it(answer: str) -> None:
    given = eval(answer) if answer.startswith("lambda") else answer
    mark = ELMAN.worksheet(["delta"]).check({"delta": given}).of("delta")
    assert mark.verdict == "circular", str(mark)
    assert "what this line gives" in mark.sentence or "computed from this line" in mark.sentence


WRONG_FORMS = {
    "dL_dh[t] * (1 - h[t]**2": "column 12: '[(]' was never closed",
    "dL_dh[t] (1 - h[t]**2)": "column 1: .* write [*] between factors",
    "dL_dh ∘ (1 - h²) V": "column 1[0-9]: .*matrix product with @",
    "h_t ⊗ dL_dh": "np.outer",
    "dL_dg * (1 - h**2)": "column 1: there is no 'dL_dg' here; did you mean dL_d",
    "dL_dh @ V": r"column 1: 'dL_dh @ V' of shapes \(3,\) and \(3, 2\)|shape \(2,\); the line has \(3,\)",
    "dL_dh @ V.T": r"column 1: 'dL_dh @ V.T' of shapes \(3,\) and \(2, 3\): the inner sizes differ; transpose one",
    "W": r"shape \(3, 3\); the line has \(3,\)",
    "np.load('x')": "column 1: np.load can't stand in an answer",
    "h['x']": "column 3: 'x' is no number|column 3: \"'x'\" is no number",
    "dL_dh if h > 0 else 0": "np.where",
    "": "left blank",
}


@pytest.mark.parametrize("answer", WRONG_FORMS)
def test_errors_say_where_and_what_to_do(answer: str) -> None:
    mark = ELMAN.worksheet(["delta"]).check({"delta": answer}).of("delta")
    assert not mark.is_right
    assert re.search(WRONG_FORMS[answer], mark.sentence), mark.sentence


def test_a_transposed_gradient_is_said_to_be_one() -> None:
    mark = ELMAN.worksheet(["dL/dV"]).check({1: "Σ_t(np.outer(∂L/∂y_t, h_t))"}).of("dL/dV")
    assert (mark.verdict, "transposed, it is right" in mark.sentence) == ("wrong shape", True)


def test_steps_where_it_is_wrong_are_told() -> None:
    mark = ELMAN.worksheet(["dL/dh"]).check({1: "dL_dy @ V.T + delta[t+1] @ W.T + (9 * h if t == 3 else 0)"})[0]
    assert "at t = 3" in mark.sentence


def test_what_isnt_there_is_refused() -> None:
    with pytest.raises(KeyError, match="no blank 'dL/dX'; there are delta"):
        ELMAN.worksheet(["delta"]).check({"dL/dX": "1"})
    with pytest.raises(ValueError, match="no line 'dL/dX' that could be blank; there are h"):
        ELMAN.worksheet(["dL/dX"])
    for blanks in (0, -1, 1.5, 99, 0.0, float("nan")):
        with pytest.raises(ValueError, match="number of lines from 1 to 8, a fraction"):
            ELMAN.worksheet(blanks)
    with pytest.raises(ValueError, match="2 blanks, and 3 answers"):
        ELMAN.worksheet(2).check(["1", "1", "1"])
    with pytest.raises(TypeError, match="a dict by the blanks' names"):
        ELMAN.worksheet(2).check("1")


ATTACKS = [
    "__import__('os').system('true')", "().__class__.__base__.__subclasses__()", "np.__builtins__",
    "h.__class__", "eval('1')",
    "(lambda: 1)()", "[h := 1]", "np.fromfile('/etc/passwd')", "np.save('x', h)", "f'{h}'", "exit()", "open('x', 'w')",
    "np.linalg.__loader__", "np.ones.__globals__", "h[t].tofile('x')", "np.random.seed(0)", "getattr(np, 'load')",
    "9**9**9**9", "np.ones((10**6, 10**6))", "np.eye(10**6)", "sum(1 for t in range(10**6))", "[0]*10**9", "(h,)*10**8",
    "sum(sum(h[1] for t in range(10**6)) for s in range(10**6))", "np.einsum('i,j,k,l,m,n,o,p,q,r,s,u->ijklmnopqrsu', "
    + ", ".join(["h[:]"] * 12) + ")", "(" * 3000 + "h" + ")" * 3000, "-" * 9000 + "h", "h\0",
    "'a' * 10**9", "1" * 10_000, "[0] * 1000000 * 1000", "np.array([h]*1000000)",
    "np.outer(np.outer(np.outer(U,U),np.outer(U,U)),np.outer(np.outer(U,U),np.outer(U,U)))",
]  # fmt: skip


@pytest.mark.parametrize("answer", ATTACKS)
def test_no_answer_is_run_as_code(answer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    sheet = ELMAN.worksheet(["delta"])
    _ = sheet.solutions()
    for room, name in ((os, "system"), (builtins, "eval"), (builtins, "exec"), (builtins, "open")):
        monkeypatch.setattr(room, name, lambda *args, name=name, **keywords: pytest.fail(name))
    mark = sheet.check({"delta": answer}, seconds=0.1)[0]
    monkeypatch.undo()
    assert not mark.is_right
    assert mark.slip is None
    assert not list(tmp_path.iterdir())


PIECES = ["h", "h[t]", "[t - 1]", "Δ_t", "∂L/∂h_t", "_{t+1}", " @ ", " ∘ ", "²", "ᵀ", "(", ")", "np.", "sum", "outer",
          ",", "1", "t", " for t in range(1, T)", "**", "=", "\n", "W", ":", "[", "]", ".T", "'", "axis=0",
          " if ", " else "]  # fmt: skip


@given(st.one_of(any_text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_a_verdict(answer: str) -> None:
    mark = ELMAN.worksheet(["delta"]).check({"delta": answer}, seconds=0.0)[0]
    assert mark.verdict in ("right", "wrong", "wrong shape", "circular", "unreadable", "blank")
    assert mark.sentence
    assert str(mark)


@given(st.integers(0, 2**32 - 1), st.one_of(st.integers(1, 8), st.floats(0.05, 1.0)))
@settings(max_examples=40, deadline=None)
def test_a_seed_repeats_its_worksheet(seed: int, blanks: float) -> None:
    first, again = ELMAN.worksheet(blanks, seed), ELMAN.worksheet(blanks, seed)
    assert first.text() == again.text()
    assert len(first.blanks) == (blanks if isinstance(blanks, int) else max(1, round(blanks * 8)))
    assert first.text().count("____(") == len(first.blanks)


def test_other_seeds_ask_for_other_lines() -> None:
    assert len({tuple(ELMAN.worksheet(3, seed).blanks) for seed in range(20)}) > 5


def test_a_worksheet_tells_nothing_of_what_it_asks_for() -> None:
    sheet = ELMAN.worksheet(["delta", "dL/dW"])
    for text in (sheet.text(), sheet.latex(), sheet.markdown(), json.dumps(sheet.notebook())):
        assert "tanh'" not in text
        assert "1 - " not in text
    assert "tanh'" in ELMAN.worksheet(["delta"], hints=True).text()
    assert r"\Delta_{t} &= \boxed{\quad \text{(1)} \quad}" in sheet.latex()


def test_every_form_is_saved(tmp_path: Path) -> None:
    sheet = ELMAN.worksheet(3)
    for ending in ("txt", "md", "tex", "html", "ipynb"):
        sheet.save(tmp_path / f"sheet.{ending}")
        assert (tmp_path / f"sheet.{ending}").read_text(encoding="utf-8").endswith("\n")
    assert "<math" in sheet._repr_html_()
    with pytest.raises(ValueError, match=r"saved as \.ipynb"):
        sheet.save(tmp_path / "sheet.pdf")


def test_the_notebook_is_valid_and_runs() -> None:
    imports = "import tinygrad_rnn as tr\nfrom tinygrad_rnn.report.networks import elman"
    setup = f"{imports}\nderivation = tr.derive(elman().loss)"
    sheet = ELMAN.worksheet(3, seed=2)
    notebook = sheet.notebook(setup)
    pytest.importorskip("nbformat").validate(notebook)
    names: dict[str, Any] = {}
    *before, answers, check = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    for code in (*before, answers):
        exec(code, names)
    assert isinstance(names["worksheet"], Worksheet)
    assert list(names["answers"]) == list(sheet.blanks)
    names["answers"] = sheet.solutions()
    assert eval(check, names).all_right


def test_marks_show_themselves() -> None:
    marks = ELMAN.worksheet(["delta", "dL/dW"]).check({"delta": "∂L/∂h_t", "dL/dW": "Σ_t(<script>)"})
    assert str(marks).splitlines()[-1] == "0 of 2 right."
    assert str(ELMAN.worksheet(["delta"]).check({})) == "✗ Δ_t: left blank\n0 of 1 right."
    assert "<script>" not in marks._repr_html_()
    assert repr(marks) == "<marks: 0 of 2 right>"
    with pytest.raises(KeyError, match="there are delta, dL/dW"):
        marks.of("dL/dh")


def test_where_a_line_stands_twice_each_has_its_name() -> None:
    def loss(p: Any, xs: Any) -> Any:
        h = np.tanh(xs[0] @ p["U"])
        for x in xs[1:]:
            h = np.tanh(x @ p["U"] + h @ p["W"])
        return np.sum(h**2)

    derivation = tr.derive(loss, {"U": random(3, 4), "W": random(4, 4)}, [random(4, 3)])
    twice = [line for line in derivation.lines if line.name == "a"]
    sheet = derivation.worksheet(["a"])
    assert len(sheet.blanks) == len(twice)
    assert sheet.check(sheet.solutions()).all_right


@pytest.mark.parametrize("style", ["sums", "rtrl"])
def test_other_styles_ask_for_what_can_be_answered(style: str) -> None:
    form = ELMAN.in_style(style)
    try:
        sheet = form.worksheet(1.0)
    except ValueError as error:
        assert "recursion" in str(error)
        return
    assert sheet.check(sheet.solutions()).all_right


def test_an_answer_stands_alone() -> None:
    names = {"h": np.array([1.0, 2.0]), "t": None}
    assert Answer("np.sum(h) if h[0] < 2 and not h[1] < 1 else -1").value(names) == 3.0
    assert Answer("h[0] < h[1] < 3").value(names)
    assert Answer("1 in (1, 2)").value(names)
    assert Answer("h.T @ h + h.size").value(names) == 7.0
    for text in (
        "h & 1.5",
        "1 << 2",
        "h is 1",
        "{1: 2}",
        "h[t]",
        "np.sum(h, out=h)",
        "h.sort()",
        "*h",
        "sum(1 for i in h for j in h)",
    ):
        with pytest.raises(Unreadable, match="column"):
            Answer(text).value(names)


@pytest.mark.parametrize("answer", ["dL_dh * (u > 0)", "dL_dh * (u >= 0)", "dL_dh * (h > 0)"])
def test_another_convention_at_a_kink_is_right(answer: str) -> None:
    def loss(p: Any, xs: Any) -> Any:
        h = np.zeros(2)
        for x in xs:
            h = np.maximum(x @ p["U"] + h @ p["W"], 0)
        return np.sum((h - 1) ** 2)

    rng = np.random.default_rng(0)
    xs = rng.normal(size=(4, 3))
    xs[0] = xs[3] = 0  # at the first step u is 0, and at the last one, as the step before is below 0
    sheet = tr.derive(loss, {"U": rng.normal(size=(3, 2)), "W": np.eye(2)}, [xs]).worksheet(["dL/du"])
    mark = sheet.check([answer])[0]
    assert mark.is_right
    assert "by another convention at a kink" in mark.sentence
    assert not sheet.check(["dL_dh"]).all_right


def test_answers_with_vectors_as_columns_are_marked():
    """Matrices are the transposes of those in the code then: W h, δ hᵀ, the batch along the second axis."""
    answers = {
        "delta": "0.3 * (1 - u[t] ** 2) * dL_dh[t]",
        "dL/dW": "sum(delta[t] @ h[t - 1].T for t in range(1, T + 1))",
        "dL/db": "sum(delta[t].sum(axis=1) for t in range(1, T + 1))",
        "dL/dV": "dL_dz @ h[T].T",
    }
    derivation = DERIVATIONS["leaky"]
    marks = derivation.worksheet(list(answers), columns=True).check(answers)
    assert [mark.verdict for mark in marks] == ["right"] * len(answers), list(marks)
    values = derivation.run().values["delta"]
    sheet = derivation.worksheet(["delta"], columns=True)
    assert [mark.verdict for mark in sheet.check({"delta": {t: value.T for t, value in values.items()}})] == ["right"]


def test_slips_with_vectors_as_columns_are_named_in_columns():
    sheet = DERIVATIONS["leaky"].worksheet(["dL/dW"], columns=True)
    (mark,) = sheet.check({"dL/dW": "sum(delta[t] @ h[t].T for t in range(1, T + 1))"})
    assert "h_t" in mark.sentence and "belongs" in mark.sentence
    (mark,) = sheet.check({"dL/dW": "sum(h[t - 1] @ delta[t].T for t in range(1, T + 1))"})
    assert "transposed" in mark.sentence


@pytest.mark.parametrize("answer", ["x_t.T @ delta_t", "np.outer(h_t, Δ_t)", "h[t]"])
def test_a_step_in_a_line_that_stands_once_is_told_to_be_summed_over(answer: str) -> None:
    mark = ELMAN.worksheet(["dL/dW"]).check({"dL/dW": answer}).of("dL/dW")
    assert "there is no t here: the line stands once, write sum(... for t in range(1, T + 1))" in mark.sentence
