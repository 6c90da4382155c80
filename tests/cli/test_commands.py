"""``draw``, ``compare``, ``bench`` and ``info``, and how every command refuses what it can't do."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.cli import COMMANDS, main
from tinygrad_rnn.cli.info import EXTRAS
from tinygrad_rnn.compiler.runtime import code_folder
from tinygrad_rnn.report.networks import BY_NAME

DERIVATION = """
import numpy as np

xs, target = np.array([[1.0, 2.0], [0.5, -1.0], [0.3, 0.1]]), 0.5
parameters = {"u": np.array([0.3, -0.2]), "w": np.array(0.7)}
data = (xs, target)

def states(p, xs):
    s = [0.0]
    for x in xs:
        s.append(np.tanh(x @ p["u"] + s[-1] * p["w"]))
    return s

def loss(p, xs, target):
    return (states(p, xs)[-1] - target) ** 2

def by_hand(p, xs, target):
    s = states(p, xs)
    d_u, d_w, d_s = np.zeros(2), 0.0, 2 * (s[-1] - target)
    for t in range(len(xs), 0, -1):
        delta = d_s * (1 - s[t] ** 2)
        d_u, d_w, d_s = d_u + delta * xs[t - 1], d_w + delta * s[t - 1], delta * p["w"]
    return {"u": d_u, "w": np.array(d_w)}

def wrong(p, xs, target):
    return {name: -g for name, g in by_hand(p, xs, target).items()}
"""

ARTICLE = """
from tinygrad_rnn.manual import elman, worked_example

def by_hand(p, xs, targets):
    return worked_example.run(elman.ElmanParams(**p))[1].gradients._asdict()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # that of another test
    return tmp_path


# --- draw -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_NAME)
def test_every_named_network_is_drawn(here, capsys, name):
    assert main(["draw", name, "--out", "a.svg"]) == 0
    assert capsys.readouterr().out == "a.svg\n"
    assert "<svg" in Path("a.svg").read_text(encoding="utf-8")


def test_the_default_file_is_never_replaced_unasked(here, capsys):
    assert main(["draw", "elman", "--steps", "2"]) == 0
    before = Path("elman.svg").read_bytes()
    assert main(["draw", "elman", "--steps", "3"]) == 2
    assert "elman.svg is there already" in capsys.readouterr().err
    assert Path("elman.svg").read_bytes() == before
    assert main(["draw", "elman", "--steps", "3", "--overwrite", "--quiet"]) == 0
    assert Path("elman.svg").read_bytes() != before


def test_what_the_users_code_records_is_drawn(here):
    Path("mine.py").write_text(
        "import numpy as np\nimport tinygrad_rnn as tr\n"
        "def loss():\n    w = tr.tensor(np.ones(2), requires_grad=True, name='w')\n    return np.sum(w * w)\n"
        "def text():\n    return 'no loss'\n",
        encoding="utf-8",
    )
    assert main(["draw", "mine.py:loss", "--out", "by_file.json"]) == 0
    assert main(["draw", "mine:loss", "--out", "by_module.json"]) == 0
    by_file, by_module = (Path(f"by_{how}.json").read_bytes() for how in ("file", "module"))
    assert by_file == by_module and b'"w"' in by_file


def test_a_picture_that_the_users_code_drew_is_saved_as_it_is(here):
    Path("mine.py").write_text(
        "import numpy as np\nimport tinygrad_rnn as tr\n"
        "w = tr.tensor(np.ones(2), requires_grad=True, name='w')\n"
        "picture = tr.draw(np.sum(w * w), title='as I like it')\n",
        encoding="utf-8",
    )
    assert main(["draw", "mine.py:picture", "--out", "a.txt", "--title", "not asked"]) == 0
    assert Path("a.txt").read_text(encoding="utf-8").startswith("as I like it\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nonsense"], "there are worked-example"),
        (["mine.py:loss"], "there is no file"),
        (["nothing_here:loss"], "there is no module 'nothing_here'"),
        (["json:nothing"], "no 'nothing'"),
        (["json:dumps"], "dumps"),
        (["math:pi"], "has no graph"),
        (["elman", "--out", "a.gif"], "ends in none of"),
        (["elman", "--highlight", "W"], "such as 4,W"),
        (["elman", "--highlight", "4,nothing"], "nothing"),
        (["worked-example", "--steps", "3"], "six steps"),
        (["elman:"], "module:function"),
    ],
)
def test_what_cannot_be_drawn(here, capsys, words, complaint):
    assert main(["draw", *words]) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1
    assert not list(here.iterdir())


# --- compare ----------------------------------------------------------------------------------------------------------


def test_a_right_derivation(here, capsys):
    Path("mine.py").write_text(DERIVATION, encoding="utf-8")
    assert main(["compare", "mine.py:by_hand"]) == 0
    assert "All 2 gradients agree" in capsys.readouterr().out
    assert main(["compare", "mine:by_hand", "--loss", "mine:loss", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agrees"] is True


def test_a_wrong_derivation_fails_the_check(here, capsys):
    Path("mine.py").write_text(DERIVATION, encoding="utf-8")
    assert main(["compare", "mine.py:wrong", "--quiet", "--out", "report.html"]) == 1
    assert capsys.readouterr().out == "0 of 2 gradients agree; look at u, w.\n"
    assert "<table>" in Path("report.html").read_text(encoding="utf-8")
    assert main(["compare", "mine.py:wrong", "--out", "report.html"]) == 2
    assert "report.html is there already" in capsys.readouterr().err
    assert main(["compare", "mine.py:wrong", "--out", "report.pdf"]) == 2
    assert "--out report.pdf ends in none of .md, .html, .txt" in capsys.readouterr().err


def test_without_a_loss_it_is_held_against_the_worked_example(here, capsys):
    Path("mine.py").write_text(ARTICLE, encoding="utf-8")
    assert main(["compare", "mine.py:by_hand"]) == 0
    assert "All 5 gradients agree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "status", "complaint"),
    [
        ("by_hand = 3", 2, "is a int, not a function"),
        ("import nothing_here", 2, "importing mine.py failed: ModuleNotFoundError"),
        ("def by_hand(p, xs, y): raise ValueError('oh')", 1, "the manual function raised ValueError: oh"),
        ("def by_hand(p): ...", 2, "too many positional arguments). If it derives a network of yours, add its loss"),
        ("def by_hand(p): ...\ndef loss(p): ...", 2, "no 'parameters'"),
        ("def by_hand(p): ...\ndef loss(p): return 'x'\nparameters = {'w': 1.0}", 2, "depends on nothing"),
    ],
)
def test_what_cannot_be_compared(here, capsys, source, status, complaint):
    Path("mine.py").write_text(source, encoding="utf-8")
    assert main(["compare", "mine.py:by_hand"]) == status
    captured = capsys.readouterr()
    assert complaint in captured.out + captured.err


# --- bench, info ------------------------------------------------------------------------------------------------------


def test_bench_times_every_contender(monkeypatch, capsys):
    monkeypatch.setattr("tinygrad_rnn.cli.bench.LEAST_SECONDS", 0.0)
    small = ["--units", "3", "--inputs", "2", "--batch", "2", "--steps", "3"]
    assert main(["bench", "--cell", "GRU", "--json", *small]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["by"] for row in found["results"]][:2] == ["eager", "compiled"]
    assert all(0 < row["low"] <= row["median"] <= row["high"] for row in found["results"])
    assert main(["bench", "--cell", "GRU", *small]) == 0
    assert "T=3, B=2, n=2, d=3" in capsys.readouterr().out


def test_bench_is_of_two_where_there_is_no_pytorch(monkeypatch, capsys):
    monkeypatch.setattr("tinygrad_rnn.cli.bench.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("tinygrad_rnn.cli.bench.torch_is_there", lambda: False)
    small = ["--units", "3", "--inputs", "2", "--batch", "2", "--steps", "3"]
    assert main(["bench", "--cell", "RNN", "--json", *small]) == 0
    assert [row["by"] for row in json.loads(capsys.readouterr().out)["results"]] == ["eager", "compiled"]


def test_info_names_the_extra_that_would_bring_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(EXTRAS, "a_library_that_nobody_wrote", ("plot", "nothing"))
    assert main(["info"]) == 0
    said = 'a_library_that_nobody_wrote, for nothing: not installed; pip install "tinygrad_rnn[plot]"'
    assert said in capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["optional"]["a_library_that_nobody_wrote"] is None


def test_info_says_what_is_there(capsys):
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tinygrad_rnn"] == tr.__version__
    assert main(["info"]) == 0
    assert f"tinygrad_rnn {tr.__version__}" in capsys.readouterr().out


def test_cache_says_what_is_kept_and_deletes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = code_folder.cache_folder()
    for name in "ab":
        (folder / f"program_{name * 24}.machine_code").write_bytes(bytes(2**20))
    (folder / "notes.txt").touch()
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"folder: {folder}\nkept: 2 entries, 2.0 MiB (limit 256.0 MiB)\n"
    assert main(["cache", "--clear", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"folder": str(folder), "entries": 2, "bytes": 2**21, "limit": 2**28, "cleared": True}
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["notes.txt"]
    assert main(["cache"]) == 0
    assert "kept: 0 entries" in capsys.readouterr().out


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["eval" if name == "evaluate" else name for name in COMMANDS])
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0 and f"tinygrad-rnn {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["train", "--units", "zero"],
        ["train", "--units", "0"],
        ["train", "--seconds", "nan"],
        ["train", "--validation", "1"],
        ["train", "--seed", "-1"],
        ["train", "--seconds", "soon"],
        ["sample"],
        ["sample", "x", "--temperature", "-1"],
        ["draw", "elman", "--level", "nonsense"],
        ["bench", "--cell", "nonsense"],
    ],
)
def test_a_bad_argument_gets_one_line(capsys, words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.count("\n") == 1 and "--help" in said


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (BrokenPipeError(), 0, ""),
        (OSError(28, "No space left on device", "file"), 2, "tinygrad-rnn: file: No space left on device\n"),
        (KeyboardInterrupt(), 130, "tinygrad-rnn: stopped\n"),
    ],
)
def test_what_ends_a_command(monkeypatch, capfd, raised, status, said):
    def ends(*_):
        raise raised

    monkeypatch.setattr("tinygrad_rnn.cli.info.gathered", ends)
    assert main(["info"]) == status
    assert capfd.readouterr().err == said


def test_a_warning_takes_one_line(monkeypatch, capsys):
    monkeypatch.setattr(
        "tinygrad_rnn.cli.info.gathered", lambda: warnings.warn("the disk\nis full", stacklevel=1) or {}
    )
    assert main(["info", "--json"]) == 0
    assert capsys.readouterr().err == "tinygrad-rnn: the disk is full\n"


def test_a_folder_below_a_file_cannot_be_made(here, capsys):
    Path("file").touch()
    Path("text.txt").write_text("the quick brown fox\n" * 400, encoding="utf-8")
    assert main(["train", "text.txt", "--out", "file/below"]) == 2
    assert "can't make the folder" in capsys.readouterr().err


def test_where_there_is_no_graphviz(here, monkeypatch, capsys):
    monkeypatch.setattr("tinygrad_rnn.viz.formats.graphviz.renderers", list)
    monkeypatch.setattr("tinygrad_rnn.cli.info.renderers", list)
    assert main(["draw", "elman", "--out", "a.png"]) == 2
    assert "pip install" in capsys.readouterr().err and not Path("a.png").exists()
    assert main(["info"]) == 0
    assert "none; pip install" in capsys.readouterr().out
