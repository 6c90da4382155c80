"""Whatever a command is handed, random or made to do harm: a right answer, or one line that says what to do.

What must never happen needs no assertion of its own: an exception that a command lets through fails the test.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.any_text import any_text
from tests.training.runs import leaves_of, replaced
from tinygrad_rnn.cli import main
from tinygrad_rnn.cli.train import SETTINGS
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel
from tinygrad_rnn.language.model_file import load_language_model, save_language_model
from tinygrad_rnn.training import load_tree, save_tree

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 8
TINY = ["--units", "3", "--embedding", "2", "--batch", "2", "--steps-per-batch", "5", "--validation", "0.1"]


class Answer(NamedTuple):
    status: int
    out: str
    err: str


def ask(*words: str) -> Answer:
    """Run a command. If it refuses, it does so in one line, and has printed nothing else."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(words)
        except SystemExit as stopped:
            status = stopped.code
    answer = Answer(status, out.getvalue(), err.getvalue())
    assert status in (0, 1, 2), answer
    if status == 2:
        assert answer.out == "", answer
        assert answer.err.startswith("tinygrad-rnn") and answer.err.endswith("\n"), answer
        assert answer.err.count("\n") == 1 and answer.err[:-1].isprintable(), answer
    return answer


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("trained")
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    assert ask("train", str(text), "--out", str(folder / "run"), "--steps", "3", *TINY).status == 0
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def examples(count: int) -> Any:
    """Hypothesis, in a folder that one test's examples share."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# --- words ------------------------------------------------------------------------------------------------------------

NASTY = [
    *["", " ", "0", "-1", "1", "2", "3", "1.5", "nan", "inf", "1e-310", "1e400", "9" * 30, "9" * 5000, "²", "٣"],
    *["²,W", "4,W", "9" * 5000 + ",W", "a\nb", "\x1b[2J", "\udcff", "\U0001f600", ".", "/", "/dev/null", "a" * 300],
    *["json:dumps", "json:", ":x", ".x:y", "json.nothing:x", "elman", "worked-example", "--", "LSTM", "a.svg", "a.md"],
]
OPTIONS = {
    "train": "epochs steps seconds words max-size cell units embedding batch steps-per-batch learning-rate clip-norm "
    "validation threads seed json quiet resume",
    "sample": "length prime temperature seed json",
    "eval": "json",
    "export": "json",
    "derive": "steps seed columns latex markdown html source out overwrite",
    "draw": "steps seed level view direction shapes values gradients color formulas highlight title "
    "out overwrite quiet",
    "compare": "loss tolerance referee out overwrite quiet json",
    "bench": "cell units inputs batch steps threads seed json",
    "info": "json",
}


@pytest.mark.one_in(6)
@pytest.mark.parametrize("command", OPTIONS)
def test_any_words(here: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("tinygrad_rnn.cli.bench.LEAST_SECONDS", 0.0)
    word = st.sampled_from(NASTY) | any_text(max_size=6)
    of_files = st.sampled_from([str(trained), str(trained / "model.tree"), str(trained.parent / "text.txt")])
    option = st.sampled_from([f"--{name}" for name in OPTIONS[command].split()])
    # What is small comes last, and holds: sizes that merely take long are no fault.
    limits = {"train": ["--steps", "2", *TINY], "bench": ["--cell", "GRU", "--units", "2", "--batch", "2"]}

    @examples(60)
    @given(st.lists(of_files | word, max_size=2), st.lists(st.tuples(option, word) | st.tuples(option), max_size=3))
    def check(places: list[str], options: list[tuple[str, ...]]) -> None:
        out = ["--out", str(here / "out")] if command == "train" else []
        answer = ask(command, *places, *(part for pair in options for part in pair), *limits.get(command, []), *out)
        if answer.status == 0 and ("--json",) in options:
            json.loads(answer.out)
        shutil.rmtree(here / "out", ignore_errors=True)

    check()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--units", "1000001"], "1000001 is too large; give 1,000,000 or less"),
        (["bench", "--threads", "2000"], "2000 is too large; give 1,024 or less"),
        (["train", "--epochs", str(10**16)], "give 1,000,000,000,000,000 or less"),
        (["draw", "elman", "--steps", "10001"], "10001 is too large; give 10,000 or less"),
        (["train", "--validation", "1e-310"], "1e-310 makes no sense as a part"),
        (["train", "--validation", "0.9999999999"], "0.9999999999 makes no sense as a part"),
        (["draw", "elman", "--highlight", "²,W"], "--highlight ²,W: give a step and a parameter"),
        (["draw", "a\nb\x1b[2J"], r"there is no network 'a\nb\x1b[2J'"),
        (["sample", "a\nb\udcff"], r"there is no model at a\nb\udcff"),
        (["sample", "x", "a\nb"], r"unrecognized arguments: a\nb"),
    ],
)
def test_what_is_said_of_words(here: Path, words: list[str], said: str) -> None:
    answer = ask(*words)
    assert answer.status == 2 and said in answer.err


def test_sizes_that_no_memory_holds(here: Path) -> None:
    answer = ask("bench", "--cell", "RNN", "--units", "1000000", "--inputs", "1")
    assert answer.status == 2
    assert "there is not enough memory" in answer.err and "ask for smaller sizes" in answer.err


def test_more_batches_than_anyone_will_see(here: Path, trained: Path) -> None:
    """A limit that is far away is a limit all the same."""
    words = ["--epochs", str(10**15), "--steps", "2", "--json"]
    answer = ask("train", str(trained.parent / "text.txt"), "--out", "out", *TINY, *words)
    assert answer.status == 0 and json.loads(answer.out)["steps"] == 2


# --- texts ------------------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=150) | st.text(
    "ab \n\r\x00\u0301\ufeff", max_size=150
)


@examples(30)
@given(ANY_TEXT.map(str.encode) | st.binary(max_size=150))
def test_training_on_any_text(tmp_path: Path, content: bytes) -> None:
    text, out = tmp_path / "text", tmp_path / "out"
    text.write_bytes(content)
    answer = ask("train", str(text), "--out", str(out), "--steps", "1", *TINY)
    assert out.exists() == (answer.status == 0)
    if answer.status == 0:
        assert ask("sample", str(out), "--length", "3").status == 0
        shutil.rmtree(out)
    else:
        assert any(reason in answer.err for reason in ("too short", "is empty", "is not UTF-8 text")), answer


@examples(60)
@given(ANY_TEXT)
def test_evaluating_any_text(trained: Path, tmp_path: Path, content: str) -> None:
    """How long it is, and how much of it the model doesn't know, is counted here without a vocabulary."""
    text = tmp_path / "text"
    text.write_bytes(content.encode())
    answer = ask("eval", str(trained), str(text), "--json")
    read = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(read) < 2:
        assert answer.status == 2
        return
    found = json.loads(answer.out)
    assert found["length"] == len(read)
    assert found["unknown"] == sum(letter not in TEXT for letter in read)
    assert 0 < found["bits_per_symbol"] < 20


@pytest.mark.parametrize("command", [["train"], ["eval", "MODEL"], ["tour"]])
@pytest.mark.parametrize(
    ("place", "said"),
    [("folder", "is a folder"), ("empty", "is empty"), ("nothing", "No such file"), ("pipe", "a pipe or a device")],
)
def test_what_is_no_text(trained: Path, here: Path, command: list[str], place: str, said: str) -> None:
    Path("folder").mkdir()
    Path("empty").touch()
    if place == "pipe":
        if not Path("/dev/zero").exists():
            pytest.skip("no devices here")
        place = "/dev/zero"  # which would run on for ever
    words = [str(trained) if word == "MODEL" else word for word in command]
    answer = ask(*words, place)
    assert answer.status == 2 and said in answer.err
    assert sorted(path.name for path in here.iterdir()) == ["empty", "folder"]


# --- the folder of a run ----------------------------------------------------------------------------------------------

ODD = [None, True, -1, 0, 10**30, 0.5, -0.0, math.nan, math.inf, "", "LSTM", "8", [], [1], {}]


def resumed(run: Path, steps: int = 4) -> Answer:
    return ask("train", "--resume", "--out", str(run), "--steps", str(steps))


@pytest.mark.one_in(5)
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_another_kind(run: Path, name: str) -> None:
    """Another valid value goes on, or doesn't fit the checkpoint; one of another kind is refused as damage."""
    path = run / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    kinds = {
        "words": bool,
        "cell": str,
        "learning_rate": float,
        "dropout": (float, int),
        "clip_norm": (float, int, type(None)),
        "validation": float,
    }
    for odd in ODD:
        path.write_text(json.dumps(before | {name: odd}), encoding="utf-8")
        answer = resumed(run)
        if not isinstance(odd, kinds.get(name, int)) or (odd is True and name != "words"):
            assert answer.status == 2 and "settings.json is damaged" in answer.err, odd
        ask("eval", str(run))


@examples(40)
@given(st.binary(max_size=40) | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"[]", b"null"]))
def test_settings_that_are_none(trained: Path, tmp_path: Path, content: bytes) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run, dirs_exist_ok=True)
    (run / "settings.json").write_bytes(content)
    assert resumed(run).status == 2
    assert ask("eval", str(run)).status == 2


ODD_ARRAYS = [np.zeros(0), np.full(3, np.nan), np.array(7), np.zeros((3, 3), int)]
LEAVES = st.sampled_from([*ODD[:-1], 10**400, *ODD_ARRAYS])


@examples(40)
@given(st.data())
def test_a_checkpoint_made_by_someone_else(trained: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Its checksum is right, so only what it says can give it away: the run goes on, or nothing has changed."""
    run = tmp_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(trained, run)
    *_, path = sorted((run / "checkpoints").glob("*.checkpoint"))
    tree = load_tree(path)
    save_tree(replaced(tree, data.draw(st.sampled_from(leaves_of(tree))), data.draw(LEAVES)), path)
    before = (run / "model.tree").read_bytes()
    answer = resumed(run)
    if answer.status == 2:
        assert (run / "model.tree").read_bytes() == before


@examples(60)
@given(st.data())
def test_a_model_made_by_someone_else(trained: Path, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "model.tree"
    tree = load_tree(trained / "model.tree")
    save_tree(replaced(tree, data.draw(st.sampled_from(leaves_of(tree))), data.draw(LEAVES)), path)
    text = str(trained.parent / "text.txt")
    statuses = {ask("sample", str(path), "--length", "2").status, ask("eval", str(path), text).status}
    assert statuses <= {0, 2}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_whose_weights_are_no_numbers(trained: Path, tmp_path: Path, value: float) -> None:
    model = load_language_model(trained / "model.tree")
    model.output.b.data = np.full_like(model.output.b.data, value)
    path = tmp_path / "model.tree"
    save_language_model(model, path)
    assert "weights; train it anew" in ask("sample", str(path)).err
    found = json.loads(ask("eval", str(path), str(trained.parent / "text.txt"), "--json").out)
    assert found["bits_per_symbol"] is None and found["perplexity"] is None  # JSON has no NaN


def test_a_model_that_is_sure_of_what_is_wrong(trained: Path, tmp_path: Path) -> None:
    """Thousands of bits a character are a perplexity beyond what a float holds."""
    model = load_language_model(trained / "model.tree")
    weights = model.output.b.data.copy()
    weights[0] = 1e6
    model.output.b.data = weights
    path = tmp_path / "model.tree"
    save_language_model(model, path)
    text = str(trained.parent / "text.txt")
    assert "(perplexity inf)" in ask("eval", str(path), text).out
    found = json.loads(ask("eval", str(path), text, "--json").out)
    assert found["bits_per_symbol"] > 1e5 and found["perplexity"] is None


def test_a_prime_of_letters_that_a_model_has_no_number_for(tmp_path: Path) -> None:
    path = tmp_path / "model.tree"
    save_language_model(LanguageModel(CharacterVocabulary.from_text("abc"), units=3, embedding_size=2), path)
    answer = ask("sample", str(path), "--prime", "x")
    assert answer.status == 2 and "'x'" in answer.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999999,), }"),
        ("model.tree", b"PK\x05\x06" + bytes(6) + b"\xff" * 10 + bytes(2)),
        ("vocabulary", b"\xff" * 100),
        ("checkpoints/step-00000003.checkpoint", b"PK\x03\x04" + bytes(7)),
    ],
)
def test_sizes_that_are_only_claimed(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    words = ["sample", str(run)] if name == "model.tree" else ["train", "--resume", "--out", str(run), "--steps", "9"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main(words) == 2
    assert out.getvalue() == "" and "Traceback" not in err.getvalue()
    assert Path(name).name in err.getvalue() and all(
        line.startswith("tinygrad-rnn: ") for line in err.getvalue().splitlines()
    )


# --- the user's own code ----------------------------------------------------------------------------------------------

GIVEN = "parameters = {'w': 1.0}\ndef loss(p):\n    return p['w'] * 2\ndef f(p):\n    return {'w': 2.0}\n"


@pytest.mark.parametrize(
    ("command", "source", "said"),
    [
        # A program that leaves with status 0 must not look like a derivation that agrees.
        ("compare", "import sys\nsys.exit(0)", "importing mine.py failed: SystemExit: 0 (mine.py, line 2)"),
        ("compare", GIVEN + "def f(p):\n    raise SystemExit(0)", "SystemExit: 0 (mine.py, line 7)"),
        ("draw", "def f():\n    raise SystemExit", "mine.py:f raised SystemExit: SystemExit (mine.py, line 2)"),
        ("compare", "def f(p, x, y):\n    return 3", "the manual gradients are a int; give a dict"),
        ("compare", GIVEN + "def loss(p): return p['u']", "KeyError: 'u' (mine.py, line 6)"),
        ("compare", GIVEN + "def loss(p): return p['w'].nothing", "(mine.py, line 6)"),
        ("compare", GIVEN + "def loss(p): return 1 / 0", "ZeroDivisionError: division by zero (mine.py, line 6)"),
        ("compare", GIVEN + "loss = 3", "pass a recorded loss"),
        ("compare", GIVEN + "parameters = 3", "mine.py:f failed"),
        ("compare", GIVEN + "parameters = {'w': 'abc'}", "mine.py:f failed"),
        ("compare", GIVEN + "parameters = None", "mine.py:f failed"),
        ("compare", GIVEN + "def parameters(): return 1 / 0", "ZeroDivisionError: division by zero (mine.py, line 6)"),
        ("compare", GIVEN + "data = 3", "mine.py:f failed"),
        ("compare", GIVEN + "data = (1, 2, 3)", "mine.py:f failed"),
        (
            "compare",
            "import email.nothing",
            "importing mine.py failed: ModuleNotFoundError: No module named 'email.nothing'",
        ),
        ("compare", "def f(:", "importing mine.py failed: SyntaxError"),
        ("compare", "\x00", "importing mine.py failed:"),
        ("draw", "def f(x): return x", "mine.py:f raised TypeError"),
        ("draw", "def f(): return f", "an object of type function has no graph"),
        ("draw", "import tinygrad_rnn as tr\nf = tr.nn.RNNCell(2, 2)", "mine.py:f raised TypeError"),
        ("draw", "def f():\n    return f()", "RecursionError"),
    ],
)
def test_what_users_code_does(here: Path, command: str, source: str, said: str) -> None:
    Path("mine.py").write_text(source, encoding="utf-8")
    answer = ask(command, "mine.py:f")
    assert answer.status == 2 and said in answer.err
    assert [path.name for path in here.iterdir() if path.name != "__pycache__"] == ["mine.py"]


def test_a_module_that_imports_what_is_not_there(here: Path) -> None:
    """The module is found; what it lacks is another."""
    Path("a_module_of_mine.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    answer = ask("draw", "a_module_of_mine:f")
    assert (
        "importing a_module_of_mine failed: ModuleNotFoundError: No module named 'nothing_of_this_name'" in answer.err
    )
    assert "(a_module_of_mine.py, line 1)" in answer.err
