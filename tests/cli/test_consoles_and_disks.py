"""What commands do where the world is not as they would like it.

Consoles lack letters, names are no text, readers leave, disks are full, folders may not be written to, and two runs
want the same one.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn.cli import main
from tinygrad_rnn.training import load_tree
from tinygrad_rnn.training.folder_lock import FolderLock

LETTERS = "Füße und Größe, 名前 und Ω: ça ira 🙂.\n"
TINY = ["--units", "3", "--embedding", "2", "--batch", "2", "--steps-per-batch", "5", "--quiet"]
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="plays on what Linux has")


def shell(*words: Any, **keywords: Any) -> subprocess.CompletedProcess[bytes]:
    """A command as a shell starts it, its output held back until it ends, as it is in a pipe."""
    changed = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": None, **keywords.pop("env", {})}
    environment = {name: value for name, value in (os.environ | changed).items() if value is not None}
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120} | keywords
    return subprocess.run([sys.executable, "-m", "tinygrad_rnn", *words], env=environment, **keywords)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that ended, of a text in many alphabets."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(LETTERS * 10, encoding="utf-8")
    assert main(["train", str(folder / "text.txt"), "--out", str(folder / "run"), "--steps", "3", *TINY]) == 0
    return folder / "run"


# --- consoles ---------------------------------------------------------------------------------------------------------


@pytest.mark.one_in(4)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8", "utf-16"])
def test_a_console_that_lacks_letters(trained: Path, encoding: str) -> None:
    """What it can't show is printed as a number; and JSON stays JSON."""
    sampled = ["sample", str(trained), "--prime", "名前 Ω 🙂 ß", "--length", "0"]
    there = shell(*sampled, env={"PYTHONIOENCODING": encoding})
    assert (there.returncode, there.stderr) == (0, b"")
    shown = "名前 Ω 🙂 ß".encode(encoding, "backslashreplace").decode(encoding)
    assert there.stdout.decode(encoding).strip() == shown
    as_json = shell(*sampled, "--json", env={"PYTHONIOENCODING": encoding})
    assert json.loads(as_json.stdout.decode(encoding))["text"] == "名前 Ω 🙂 ß"


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    "words",
    [["info"], ["--help"], ["compare", "--help"], ["compare", "名前.py:f"], ["train", "名前"], ["tour", "名前"],
     ["draw", "名前"], ["draw", "elman", "--title", "名前", "--out", "名前.svg"], ["sample", "名前"], ["名前"]],
)  # fmt: skip
def test_whatever_is_said_can_be_said_in_ascii(tmp_path: Path, words: list[str]) -> None:
    done = shell(*words, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"})
    assert done.returncode in (0, 2) and b"Traceback" not in done.stderr
    assert (done.stdout + done.stderr).isascii()
    if "名前" in words[-1]:
        assert rb"\u540d\u524d" in done.stdout + done.stderr


@ON_LINUX
def test_names_that_are_no_text(tmp_path: Path) -> None:
    """On Linux a file's name is bytes, which need not be letters in any encoding."""
    text, out = tmp_path / os.fsdecode(b"caf\xe9.txt"), tmp_path / os.fsdecode(b"r\xfan")
    text.write_text(LETTERS * 10, encoding="utf-8")
    done = shell("train", bytes(text), "--out", bytes(out), "--steps", "1", *TINY)
    assert (done.returncode, done.stderr) == (0, b"") and rb"r\udcfan" in done.stdout
    done = shell("sample", bytes(out), "--prime", b"\xff\xfe", "--length", "2", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["prime"] == "\udcff\udcfe"
    assert (
        shell("draw", "elman", "--title", b"\xe9", "--out", bytes(tmp_path / os.fsdecode(b"\xe9.svg"))).returncode == 0
    )
    assert rb"<title>\udce9</title>" in (tmp_path / os.fsdecode(b"\xe9.svg")).read_bytes()
    missing = shell("train", bytes(tmp_path / os.fsdecode(b"\xe9")))
    assert missing.returncode == 2 and missing.stderr.count(b"\n") == 1 and rb"\udce9: No such file" in missing.stderr


@pytest.mark.parametrize("words", [["info"], ["sample", "--help"], ["draw", "elman", "--out", "a.svg", "--overwrite"]])
@pytest.mark.one_in(3)
def test_a_reader_that_stops_is_no_error(tmp_path: Path, words: list[str]) -> None:
    """As in ``tinygrad-rnn info | true``."""
    reader, writer = os.pipe()
    os.close(reader)
    for buffered in ({}, {"PYTHONUNBUFFERED": "1"}):
        done = shell(*words, cwd=tmp_path, stdout=writer, env=buffered)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(writer)


@ON_LINUX
@pytest.mark.parametrize("words", [["info", "--json"], ["draw", "elman", "--out", "a.svg"]])
@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.one_in(2)
def test_output_for_which_there_is_no_room(tmp_path: Path, words: list[str], buffered: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        done = shell(*words, cwd=tmp_path, stdout=full, env=buffered)
    assert (done.returncode, done.stderr) == (2, b"tinygrad-rnn: No space left on device\n")


# --- disks ------------------------------------------------------------------------------------------------------------


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.one_in(3)
@ON_LINUX
@pytest.mark.parametrize("room", [0, 300, 1_000, 2_000])
def test_a_disk_that_fills_up_while_a_run_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """Played by the system's limit to the size of a file: whatever was written is whole, and nothing else is there."""
    import resource

    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(LETTERS * 10, encoding="utf-8")
    done = shell(
        "train", str(text), "--out", str(out), "--steps", "3", *TINY,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        env={"COVERAGE_PROCESS_CONFIG": None},  # whoever measures the tests would run out of room as well
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done
    assert b"File too large" in done.stderr and str(out).encode() in done.stderr
    assert not [name for name in files_below(out) if name.endswith(".tmp")]
    if main(["train", str(text), "--out", str(out), "--steps", "3", *TINY]):
        assert "holds a training run already" in capsys.readouterr().err
        assert main(["train", "--resume", "--out", str(out), "--steps", "3", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "words",
    [["draw", "elman", "--out", "out/a.svg"], ["compare", "mine.py:f", "--out", "out/a.md"], ["tour", "--out", "out"],
     ["train", "text.txt", "--out", "out", *TINY], ["train", "text.txt", "--out", "out/new", *TINY]],
)  # fmt: skip
def test_a_folder_that_may_not_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """As an administrator may write everywhere, the refusal is the system's answer played back."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("text.txt").write_text(LETTERS * 10, encoding="utf-8")
    Path("mine.py").write_text("def f(p, x, y): return {}\n", encoding="utf-8")

    def refuse(path: Any, mode: str = "w", **_: Any) -> Any:
        if mode == "rb":
            return open(path, mode)
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr("tinygrad_rnn.data.files.open", refuse, raising=False)
    monkeypatch.setattr("tinygrad_rnn.training.folder_lock.open", refuse, raising=False)
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: self.is_dir() or refuse(self))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-rnn: ") and "Read-only file system" in said and said.count("\n") == 1
    assert "out" in said and list(Path("out").iterdir()) == []


# --- two runs at once, and what a run leaves --------------------------------------------------------------------------


def test_two_runs_in_one_folder(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, held = trained.parent / "text.txt", trained.parent / "held"
    held.mkdir()
    before = files_below(trained)
    for words, folder in ((["train", "--resume"], trained), (["train", str(text)], held)):
        lock = FolderLock(folder)
        try:
            assert main([*words, "--out", str(folder), "--steps", "9", "--quiet"]) == 2
        finally:
            lock.release()
        said = capsys.readouterr().err
        assert f"another training run (process {os.getpid()})" in said and said.count("\n") == 1
    assert files_below(held) == ["lock"] and files_below(trained) == before


def test_two_runs_begun_at_the_same_moment(tmp_path: Path) -> None:
    """One of them trains, from its beginning to its end; the other leaves without having touched anything."""
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(LETTERS * 20_000, encoding="utf-8")
    words = ["train", str(text), "--out", str(out), "--steps", "2", *TINY, "--seed"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    both = [
        subprocess.Popen([sys.executable, "-m", "tinygrad_rnn", *words, seed], env=environment, stderr=subprocess.PIPE)
        for seed in ("1", "2")
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], said
    winner = 0 if both[0].returncode == 0 else 1
    assert json.loads((out / "settings.json").read_text(encoding="utf-8"))["seed"] == winner + 1
    assert b"another training run" in said[1 - winner] or b"holds a training run already" in said[1 - winner]


def losses(folder: Path) -> list[tuple[int, float]]:
    with open(folder / "losses.csv", encoding="utf-8", newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


def test_the_losses_of_all_steps_are_there_to_be_plotted(tmp_path: Path) -> None:
    """Also those of before an interruption, in every digit."""
    text, whole, parts = tmp_path / "text.txt", tmp_path / "whole", tmp_path / "parts"
    text.write_text(LETTERS * 10, encoding="utf-8")
    assert main(["train", str(text), "--out", str(whole), "--steps", "7", *TINY]) == 0
    assert main(["train", str(text), "--out", str(parts), "--steps", "4", *TINY]) == 0
    assert len(losses(parts)) == 4
    assert main(["train", "--resume", "--out", str(parts), "--steps", "7", "--quiet"]) == 0
    found = losses(parts)
    assert [step for step, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    assert found == losses(whole)
    saved = load_tree(parts / "checkpoints" / "step-00000007.checkpoint")["history"]["losses"]
    np.testing.assert_array_equal([loss for _, loss in found], saved)


def test_the_losses_of_a_run_that_diverged_are_there_too(tmp_path: Path) -> None:
    text, out = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(LETTERS * 10, encoding="utf-8")
    words = ["train", str(text), "--out", str(out), "--steps", "50", "--learning-rate", "1e38", *TINY]
    assert main(words) == 1
    assert 1 <= len(losses(out)) < 50
