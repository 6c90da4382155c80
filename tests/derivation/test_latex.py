"""LaTeX that a renderer understands, of every kind of line; a page of MathML; names that LaTeX would obey."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn
from tinygrad_rnn.cli import main
from tinygrad_rnn.report.networks import BY_NAME

RNG = np.random.default_rng(0)
XS = RNG.normal(size=(4, 2, 3))
RENDER = """
const katex = require(process.argv[1]);
require('readline').createInterface({input: process.stdin}).on('line', (line) => {
  const failed = [];
  for (const text of JSON.parse(line)) {
    try { katex.renderToString(text, {displayMode: true, throwOnError: true, strict: 'ignore'}); }
    catch (error) { failed.push([text, error.message]); }
  }
  console.log(JSON.stringify(failed));
});
"""


@pytest.fixture(scope="session")
def katex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The renderer, which npm brings: a process that answers a line of texts with a line of those that failed."""
    if shutil.which("npm") is None:
        pytest.skip("KaTeX comes by npm")
    folder = tmp_path_factory.mktemp("katex")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "katex@0.16"]
    done = subprocess.run(command, capture_output=True, timeout=120)
    if done.returncode:
        pytest.skip("npm can't bring KaTeX here")
    command, pipe = ["node", "-e", RENDER, str(folder / "node_modules" / "katex")], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


def rendered_without_error(katex: Any, texts: list[str]) -> None:
    katex.stdin.write(json.dumps(texts) + "\n")
    katex.stdin.flush()
    assert json.loads(katex.stdout.readline()) == []


def equations(written: Any, **form: Any) -> list[str]:
    """All LaTeX of a derivation, or of a worksheet."""
    blocks = [re.sub(r"^%.*\n", "", block) for block in written.latex(**form).split("\n\n")]
    return blocks + re.findall(r"\$\$\n(.*?)\n\$\$", written.markdown(**form), re.DOTALL)


def odd(p: Any) -> Any:
    def cell(x: Any, h: Any) -> Any:
        a = np.concatenate([x, h], axis=-1) @ p["W_{x}%"]
        gate = tr.named("f'", tr.sigmoid(a))
        new = np.where(a > 0, np.maximum(a, 0.1 * h), np.sqrt(np.abs(a) + 1e-9) / (2 + gate))
        return np.einsum("bi,ij->bj", new, p["γ²"]) ** 3 * np.exp(-gate) - 0.5 * h[:, ::-1]

    hs, _ = tr.unroll(cell, XS, np.zeros((2, 3)))
    return np.mean(hs[1:] ** 2) + 1e-3 * np.sum(p["γ²"] ** 2) + tr.logsumexp(hs[-1])


def layer(cell: Any) -> Any:
    return tr.derive(cell, XS, cell.initial_state(XS[0]))


F64: dict[str, Any] = {"dtype": np.float64, "seed": 0}
DERIVATIONS: dict[str, Any] = {
    **{name: lambda make=make: tr.derive(make().loss) for name, make in BY_NAME.items()},
    "LSTM layer": lambda: layer(nn.LSTMCell(3, 4, peepholes=True, **F64)),
    "GRU layer": lambda: layer(nn.GRUCell(3, 4, reset="before", **F64)),
    "minimal gated unit": lambda: layer(nn.MGUCell(3, 4, **F64)),
    "sums over paths": lambda: layer(nn.LSTMCell(3, 4, **F64)).in_style("sums"),
    "real-time": lambda: layer(nn.GRUCell(3, 4, **F64)).in_style("rtrl"),
    "odd": lambda: tr.derive(odd, {"W_{x}%": RNG.normal(size=(6, 3)), "γ²": RNG.normal(size=(3, 3))}),
}


@pytest.mark.parametrize("make", DERIVATIONS.values(), ids=DERIVATIONS)
def test_every_line_is_rendered(make: Any, katex: Any) -> None:
    derivation = make()
    texts = equations(derivation)
    assert len(texts) == len({line.kind for line in derivation.lines}) + len(derivation.lines)
    rendered_without_error(katex, [*texts, *equations(derivation, columns=True)])


@pytest.mark.parametrize("style", ["recursion", "sums", "rtrl"])
@pytest.mark.parametrize("name", ["elman", "lstm", "gru"])
def test_every_style_is_rendered(name: str, style: str, katex: Any) -> None:
    derivation = tr.derive(BY_NAME[name]().loss)
    products = ["by step", "over all steps"] if style == "recursion" else ["by step"]
    for form in [{"style": style, "products": p, "columns": c} for p in products for c in (False, True)]:
        rendered_without_error(katex, equations(derivation, **form))


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "worked-example"])
def test_every_blank_is_rendered(name: str, katex: Any) -> None:
    for blanks in (1, 1.0):
        rendered_without_error(katex, equations(tr.derive(BY_NAME[name]().loss).worksheet(blanks, hints=True)))


def test_elman_reads_as_in_a_textbook() -> None:
    text = tr.derive(BY_NAME["elman"]().loss).latex()
    assert r"\Delta_{t} &= \frac{\partial L}{\partial h_{t}} \odot \left(1 - {h_{t}}^{2}\right) && t = T, \dots" in text
    assert r"\frac{\partial L}{\partial W} &= \sum_{t=1}^{T} h_{t-1} \otimes \Delta_{t}" in text


NAMES = ["W", "W_hh", "W'", "a^b", "$x$", r"\input{x}", "%", "100%", "<b>", "hₜ", "权重"]
NAMES += ["a\nb", "{", "}", '"""', "\r#"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_obeyed(name: str, katex: Any) -> None:
    derivation = tr.derive(lambda p: np.sum(np.tanh(p[name])), {name: np.ones(2)})
    assert r"\input" not in derivation.latex()
    rendered_without_error(katex, equations(derivation))


@pytest.mark.parametrize("make", DERIVATIONS.values(), ids=DERIVATIONS)
def test_a_page_is_well_formed_and_needs_no_script(make: Any) -> None:
    derivation = make()
    page = derivation.html()
    root = ET.fromstring(re.sub(r"<meta[^>]*>|<!DOCTYPE html>", "", page).replace("&nbsp;", " "))
    equations = [e for e in root.iter() if e.tag.endswith("math")]
    assert len(equations) >= len(derivation.lines)
    assert "<script" not in page
    elements = [e for equation in equations for e in equation.iter()]
    rows = [e for e in elements if e.tag.rpartition("}")[2] not in ("mi", "mn", "mo", "mtext")]
    assert not any((e.text or "").strip() for e in rows)  # a browser shows letters in rows of elements nowhere
    assert not any((e.tail or "").strip() for e in elements if not e.tag.endswith("math"))


def test_a_page_has_the_steps_once_and_lets_long_lines_go_on_below() -> None:
    def loss(p: Any, xs: Any) -> Any:
        h = np.zeros(3)
        for x in xs:
            c_hat = np.tanh(np.concatenate([x @ p["U"], h @ p["W"] + p["gamma"]]))
            h = c_hat[:3] - c_hat[3:] + x @ p["U"]
        return np.sum(h)

    rng = np.random.default_rng(0)
    p = {"U": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 3)), "gamma": rng.normal(size=3)}
    derivation = tr.derive(loss, p, [rng.normal(size=(4, 2))])
    page = derivation.html()
    assert page.count("<th ") == len(re.findall("^  (?:for|once)", str(derivation), re.MULTILINE))
    (of_h,) = (row for row in page.split("<tr>") if '<mo form="infix">−</mo>' in row)
    assert of_h.count("<wbr/>") == 2 and '<mo form="infix">+</mo>' in of_h.split("<wbr/>")[2]
    assert page.count('<mover accent="true"><mi>c</mi><mo>^</mo></mover>') > 3 and "<mi>γ</mi>" in page
    assert r"\gamma" in derivation.latex() and r"\hat{c}_{t}" in derivation.latex()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "elman", "--steps", "3"]) == 0
    assert "Δ_t = ∂L/∂h_t ∘ (1 - h_t²)" in capsys.readouterr().out
    assert main(["derive", "elman", "--steps", "3", "--style", "rtrl"]) == 0
    assert "∂h_t/∂W_{ij} = (" in capsys.readouterr().out
    assert main(["derive", "gru", "--latex"]) == 0
    assert r"\begin{align*}" in capsys.readouterr().out
    assert main(["derive", "lstm", "--source"]) == 0
    names: dict[str, Any] = {}
    exec(capsys.readouterr().out, names)
    assert callable(names["derivative"])
    (tmp_path / "mine.py").write_text(
        "import numpy as np, tinygrad_rnn as tr\n"
        "parameters = {'w': np.array([0.5, -0.2])}\n"
        "def loss(p):\n"
        "    return np.sum(tr.unroll(lambda x, h: np.tanh(p['w'] * h + x), np.ones((3, 2)), np.zeros(2))[0])\n"
    )
    assert main(["derive", f"{tmp_path / 'mine.py'}:loss", "--markdown", "--out", str(tmp_path / "mine.md")]) == 0
    assert r"\frac{\partial L}{\partial w} = \sum_{t=1}^{T}" in (tmp_path / "mine.md").read_text(encoding="utf-8")
    assert main(["derive", "nothing"]) == 2


CODE = ["a\n    raise SystemExit", "a\r    raise SystemExit", 'a": raise SystemExit #', "a\u2028", '"""']


@pytest.mark.parametrize("name", CODE)
def test_no_name_becomes_code(name: str) -> None:
    derivation = tr.derive(lambda p: np.sum(np.tanh(tr.named(name, p[name] * 2) * p[name])), {name: np.ones(2)})
    assert list(derivation.run().gradients) == [name]
    assert not any(isinstance(part, ast.Raise) for part in ast.walk(ast.parse(derivation.source())))


def test_columns_put_matrices_before_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    derivation = tr.derive(nn.RNNCell(3, 4, **F64), XS[:, 0], np.zeros(4))
    text = derivation.text(columns=True)
    for line in ("a_t = U x_t + W h_{t-1} + b", "∂L/∂h_t = ∂L/∂y_t + Wᵀ Δ_{t+1}", "∂L/∂W = Σ_t Δ_t ⊗ h_{t-1}"):
        assert line in text
    assert re.search(r"∂L/∂U = Σ_t Δ_t ⊗ x_t *\(4, 3\)", text)
    assert r"W\, h_{t-1}" in derivation.latex(columns=True) and str(derivation) == derivation.text()
    assert main(["derive", "elman", "--columns"]) == 0
    assert "V h_t" in capsys.readouterr().out
