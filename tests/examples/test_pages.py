"""Every example runs and prints what it promises; the index names them all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ELSEWHERE = {"gallery", "worked_example"}  # these have test files of their own

PROMISES = {
    "feed_forward": ["the logits are the same: True", "[0 0] -> 0", "[0 1] -> 1", "[1 0] -> 1", "[1 1] -> 0"],
    "next_word": ["please          -> stay 0.9", "please stay     -> at 0.9", "please stay at  -> home 0.9"],
    "phrase_to_colour": ["after (0, 128, 0) ", "after (0, 0, 255) ", "after (255, 165, 0) "],
    "scalar_graph": ["by backward()    -0.858167870", "by hand          -0.858167870", "by moving w      -0.858167870"],
    "vanishing_gradients": [
        "0.9^50 = 0.005154; ∂s_50/∂s_0 = 0.005154: vanishing",
        "1.9^50 = 8.663e+13; ∂s_50/∂s_0 = 8.663e+13: exploding",
        "T = 1000  GRU",
    ],
}


def page(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"page_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_prints_what_it_promises(name, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", [f"{name}.py"])
    monkeypatch.chdir(tmp_path)
    page(name).main()
    printed = capsys.readouterr().out
    for text in PROMISES[name]:
        assert text in printed, printed
    assert not list(tmp_path.iterdir()), "an example writes only where it is told to"


def test_every_example_is_run_and_in_the_index():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == set(PROMISES) | ELSEWHERE
    linked = re.findall(r"^\| \[([a-z_]+)\.py\]\(\1\.py\)", (EXAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(linked) == sorted(names)


@pytest.mark.parametrize("name", sorted(PROMISES))
def test_it_says_how_it_is_run(name):
    assert f"Run it: ``python examples/{name}.py" in page(name).__doc__


# --- what single pages claim -----------------------------------------------------------------------------------------


def test_the_scalar_graph_is_drawn_into_a_new_file_only(tmp_path, capsys):
    scalar_graph, file = page("scalar_graph"), tmp_path / "graph.svg"
    scalar_graph.main(["--out", str(file)])
    drawn = file.read_bytes()
    assert b"<svg" in drawn
    with pytest.raises(SystemExit):
        scalar_graph.main(["--out", str(file)])
    assert "is there already" in capsys.readouterr().err
    assert file.read_bytes() == drawn


def test_the_feed_forward_network_is_the_recurrent_one_at_one_step():
    feed_forward = page("feed_forward")
    params = feed_forward.initial_parameters()
    by_hand = feed_forward.by_recurrent_formulas(params)
    for name, gradient in feed_forward.by_autograd(params).items():
        assert abs(gradient - getattr(by_hand, name)).max() < 1e-15
    assert not by_hand.W.any()
