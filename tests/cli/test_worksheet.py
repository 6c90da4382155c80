"""Worksheets from a shell: printed, written as a notebook, and answers in a file marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinygrad_rnn.cli import main

CELL = """\
import numpy as np
import tinygrad_rnn as tr

rng = np.random.default_rng(0)
W = tr.tensor(rng.normal(size=(5, 2)), requires_grad=True)
xs, state = rng.normal(size=(4, 3)), np.zeros(2)


def cell(x, h):
    return np.tanh(np.concatenate([h, x]) @ W)
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A cell in a file."""
    (tmp_path / "mine.py").write_text(CELL, encoding="utf-8")
    return f"{tmp_path / 'mine.py'}:cell"


def test_a_cell_in_a_file_is_derived(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", mine]) == 0
    assert "Δ_t = ∂L/∂h_t ∘ (1 - h_t²)" in capsys.readouterr().out


def test_a_worksheet_is_printed_in_each_form(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    for form, blank in (("--latex", r"\boxed{\quad"), ("--markdown", r"\boxed{\quad"), ("--html", "(1)</mtext>")):
        assert main(["derive", "lstm", "--worksheet", form]) == 0
        assert blank in capsys.readouterr().out
    assert main(["derive", mine, "--worksheet", "--blanks", "delta,dL/dW"]) == 0
    out = capsys.readouterr().out
    assert "Δ_t = ____(1)____" in out
    assert "∂L/∂W = ____(2)____" in out
    assert main(["derive", "gru", "--worksheet", "--blanks", "3", "--seed", "4"]) == 0
    first = capsys.readouterr().out
    assert first.count("____(") == 3
    assert main(["derive", "gru", "--worksheet", "--blanks", "3", "--seed", "4"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("ending", "begins"), [("tex", "% Forward"), ("html", "<!DOCTYPE html>"), ("md", "### Forward"), ("txt", "Forward")]
)
def test_the_ending_of_a_file_says_in_which_form(ending: str, begins: str, tmp_path: Path) -> None:
    file = tmp_path / f"elman.{ending}"
    assert main(["derive", "elman", "--out", str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith(begins)
    assert main(["derive", "elman", "--worksheet", "--out", str(file), "--overwrite", "--markdown"]) == 0
    assert r"\boxed{\quad" in file.read_text(encoding="utf-8")  # an option counts more


def test_answers_are_marked(mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.txt"
    answers.write_text(
        "# mine\ndelta = ∂L/∂h_t ∘ (1 - h_t²)\ndL/dW = sum(np.outer(u[t], delta[t])\n    for t in range(1, T))\n",
        encoding="utf-8",
    )
    assert main(["derive", mine, "--answers", str(answers)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("✓ Δ_t = ")
    assert "✗ ∂L/∂W = " in out
    assert "1 of 2 right." in out
    assert main(["derive", mine, "--solutions"]) == 0
    answers.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["derive", mine, "--answers", str(answers)]) == 0
    assert "✗" not in capsys.readouterr().out


@pytest.mark.parametrize("what", ["elman", "worked-example", "cell"])
def test_a_notebook_makes_its_derivation_again(
    what: str, mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, path = mine if what == "cell" else what, tmp_path / "sheet.ipynb"
    assert main(["derive", reference, "--notebook", "--blanks", "2", "--out", str(path)]) == 0
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    *code, check = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for part in code:
        exec(part, names)
    assert list(names["answers"].values()) == ["", ""]
    names["answers"] = names["worksheet"].solutions()
    assert eval(check, names).all_right


BAD = {
    ("--blanks", "nope"): "no line 'nope' that could be blank; there are h[0], a",
    ("--blanks", "99"): "number of lines from 1 to 8",
    ("--source",): "leave out --source",
    ("--answers", "missing.txt"): "missing.txt",
    ("--out", "sheet.pdf"): "ends in none of .txt, .tex, .md, .html, .py, .ipynb",
    ("--out", "sheet.py"): "leave out --source",
    ("--solutions", "--latex"): "are text, not latex",
}


@pytest.mark.parametrize("given", BAD, ids=" ".join)
def test_what_cannot_be_is_refused(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["derive", "elman", "--worksheet", *given]) == 2
    assert BAD[given] in capsys.readouterr().err


def test_answers_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.txt"
    for text, said in (
        ("", "is empty"),
        ("# none yet\n", "has no answers"),
        ("hello\n", "is not an answer"),
        ("dL/dX = 1\n", "no line 'dL/dX'"),
    ):
        answers.write_text(text, encoding="utf-8")
        assert main(["derive", "elman", "--answers", str(answers)]) == 2
        assert said in capsys.readouterr().err
