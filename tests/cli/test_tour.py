"""The tour, started as a user starts it: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinygrad_rnn.cli import main
from tinygrad_rnn.cli.places import Complaint, output_folder
from tinygrad_rnn.language import python_documentation
from tinygrad_rnn.training.limits import Limits

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 400


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def tour(*words: str) -> int:
    return main([*words, "--seconds", "0.1", "--quiet"])  # no terminal here, so that no browser opens


def test_it_draws_compares_trains_and_says_where(tmp_path, text_file, capsys, monkeypatch):
    """By a clock that goes with the updates, 20 of them in the tenth of a second, on whatever machine."""
    reached, out = Limits.reached, tmp_path / "out"
    monkeypatch.setattr(Limits, "reached", lambda self, history, _: reached(self, history, history.step / 200))
    assert tour("tour", text_file, "--out", str(out)) == 0
    printed = capsys.readouterr().out
    losses = [float(line.split()[-1]) for line in printed.splitlines() if line.startswith("  step ")]
    assert len(losses) >= 2 and losses[-1] < losses[0] - 0.5
    assert "All 5 gradients agree" in printed
    assert "autograd - numeric" in printed and "manual - numeric" in printed
    assert "Loss 3.30" in printed and "loss 1.36" in printed
    assert str(out.resolve()) in printed
    assert sorted(p.name for p in out.iterdir()) == ["comparison.md", "report.html", "sample.txt", "unrolled.svg"]
    assert "<svg" in (out / "unrolled.svg").read_text(encoding="utf-8")
    assert "| U" in (out / "comparison.md").read_text(encoding="utf-8")
    assert len((out / "sample.txt").read_text(encoding="utf-8")) > 400


@pytest.fixture
def opened(monkeypatch):
    """What is opened in a browser, on a desktop."""
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    return opened


def test_without_a_file_it_reads_the_documentation_inside_python(tmp_path, capsys, opened, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.cli.tour.someone_is_watching", lambda: True)
    assert tour("tour", "--out", str(tmp_path / "out"), "--no-open") == 0
    assert (
        f"from the documentation inside Python ({len(python_documentation()):,} characters)" in capsys.readouterr().out
    )
    assert opened == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the names of files are text")
def test_a_file_whose_name_is_no_text_is_named_in_the_report(tmp_path, opened, monkeypatch):
    path = tmp_path / "t\udce9xt"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    path.write_text(TEXT, encoding="utf-8")
    assert tour("tour", str(path), "--out", str(tmp_path / "out")) == 0
    assert r"t\udce9xt" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert opened == [(tmp_path / "out" / "report.html").as_uri()]


def test_no_arguments_mean_the_tour():
    shown = subprocess.run(
        [sys.executable, "-m", "tinygrad_rnn", "tour", "--help"], capture_output=True, text=True, check=True
    )
    assert "--seconds" in shown.stdout
    without = subprocess.run([sys.executable, "-m", "tinygrad_rnn", "--seconds", "-1"], capture_output=True, text=True)
    assert without.returncode == 2 and "give a number above 0" in without.stderr


def test_a_file_of_the_users_is_never_overwritten(tmp_path, text_file, capsys, opened, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sample.txt").write_text("mine", encoding="utf-8")
    assert tour("tour", text_file, "--out", str(out)) == 2
    assert "sample.txt is there already" in capsys.readouterr().err
    assert (out / "sample.txt").read_text(encoding="utf-8") == "mine"
    assert [p.name for p in out.iterdir()] == ["sample.txt"]
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert tour("tour", text_file, "--out", str(out), "--overwrite") == 0
    assert opened == []  # nobody watches
    assert (out / "sample.txt").read_text(encoding="utf-8") != "mine"


def test_the_default_folder_moves_on_when_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = output_folder(None, "tour", overwrite=False)
    assert first == Path("tour") and output_folder(None, "tour", overwrite=False) == Path("tour")  # still empty
    (first / "a").touch()
    assert output_folder(None, "tour", overwrite=False) == Path("tour-2")
    assert output_folder(None, "tour", overwrite=True) == Path("tour")
    (tmp_path / "plain").touch()
    with pytest.raises(Complaint, match="is a file, not a folder"):
        output_folder("plain", "tour", overwrite=False)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "no such file"), (b"", "empty"), (b"\xff\xfe\x00bad", "UTF-8"), (b"too short", "short")],
)
def test_a_text_that_cannot_be_used(tmp_path, capsys, content, complaint):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    assert tour("tour", str(path), "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert complaint.lower() in error.lower()
    assert error.startswith("tinygrad-rnn: ") and error.count("\n") == 1


def test_an_option_that_is_not_there(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--nonsense"])
    assert stopped.value.code == 2 and "--nonsense" in capsys.readouterr().err
