"""The notebooks run from top to bottom, show what they tell of, and are committed without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "examples" / "notebooks"
SHOWS = {
    "bptt_by_hand_and_by_machine": [
        "L = 3.30; the article prints 3.30",
        "All 5 gradients agree",
        "All 12 lines of the derivation agree",
        "4 of 5 gradients agree; look at W.",
        "Its sum is the gradient: True",
        "L = 1.36",
    ],
    "derive_your_own_cell": [
        "∂L/∂h_t = ∂L/∂e [t = T] + 0.7 ∂L/∂h_{t+1} + (Δ_{t+1} Wᵀ)[:3]",
        "def derivative(W, b",
        "<math",
        "✗ ∂L/∂h_t = ",
        "the term 0.7 ∂L/∂h_{t+1} was left out",
        "only the last step in the sum of Δ_t",
        "2 of 4 right.",
    ],
    "why_gradients_vanish": [
        "w = 0.9: ∂s_50/∂s_0 = 0.005154",
        "w = 1.9: ∂s_50/∂s_0 = 8.663e+13",
        "Elman | h:",
        "LSTM, f open: loss 0.",
    ],
}


def cells(name):
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]


def test_all_notebooks_are_run():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_is_committed_without_outputs(name):
    code = [cell for cell in cells(name) if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize("name", SHOWS)
@pytest.mark.one_in(3)
def test_runs_and_shows_what_it_tells_of(name, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the kernel is a process of its own
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # arrays as small as these only lose by a second one
    monkeypatch.delenv("MPLBACKEND", raising=False)  # plots are shown in the notebook
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.get("name") == "stderr" for output in outputs), outputs
    shown = [output.get("data", {}) for output in outputs]
    texts = [output.get("text", "") for output in outputs] + [data.get("text/html", "") for data in shown]
    for text in SHOWS[name]:
        assert any(text in part for part in texts), "\n".join(texts)
    assert any("image/svg+xml" in data for data in shown), "no picture"
