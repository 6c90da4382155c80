"""``train``, ``sample`` and ``eval``: a model of a text from the shell, also after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.ctrl_c import listens_to_ctrl_c  # noqa: F401
from tinygrad_rnn.cli import main
from tinygrad_rnn.language import python_documentation
from tinygrad_rnn.language.model_file import load_language_model

pytestmark = pytest.mark.usefixtures("listens_to_ctrl_c")

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 100
SMALL = ["--units", "8", "--embedding", "4", "--batch", "4", "--steps-per-batch", "20"]


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_language_model(folder / "model.tree").state_dict()


def test_train_sample_eval(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "60", "--json", *SMALL]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert found["steps"] == 60 and found["symbols"] == "characters"
    assert found["bits_per_symbol"] < np.log2(found["different_symbols"])

    assert main(["eval", str(out), "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)
    assert kept["bits_per_symbol"] == pytest.approx(found["bits_per_symbol"])
    assert kept["length"] == round(0.05 * len(TEXT)) and kept["unknown"] == 0

    assert main(["sample", str(out), "--length", "30", "--prime", "the ", "--seed", "3"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("the ") and len(first) == 4 + 30 + 1
    assert main(["sample", str(out / "model.tree"), "--length", "30", "--prime", "the ", "--seed", "3"]) == 0
    assert capsys.readouterr().out == first
    assert main(["sample", str(out), "--length", "30", "--prime", "the ", "--seed", "4"]) == 0
    assert capsys.readouterr().out != first


def test_eval_on_another_text_counts_what_the_model_does_not_know(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "5", "--quiet", *SMALL]) == 0
    other = tmp_path / "other.txt"
    other.write_text("the fox über the dog ÜÜ", encoding="utf-8")
    capsys.readouterr()
    assert main(["eval", str(out), str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unknown"] == 3


def test_eval_in_words(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "5", *SMALL]) == 0
    assert "Let it write: tinygrad-rnn sample" in capsys.readouterr().out
    assert main(["eval", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "bits per character (perplexity" in printed and "without a model" in printed
    other = tmp_path / "other.txt"
    other.write_text("Ü the fox", encoding="utf-8")
    assert main(["eval", str(out), str(other)]) == 0
    assert "1 of the characters are not among them" in capsys.readouterr().out
    assert main(["sample", str(out), "--length", "5", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["text"]) == 5


def test_eval_needs_a_text(tmp_path, text_file, capsys):
    out, alone = tmp_path / "run", tmp_path / "alone"
    assert main(["train", text_file, "--out", str(out), "--steps", "1", *SMALL]) == 0
    alone.mkdir()
    (alone / "model.tree").write_bytes((out / "model.tree").read_bytes())
    other = tmp_path / "other"
    Path(text_file).write_text("another text, of other letters.\n" * 100, encoding="utf-8")
    assert main(["train", text_file, "--out", str(other), "--steps", "1", *SMALL]) == 0
    (other / "model.tree").write_bytes((out / "model.tree").read_bytes())
    (out / "settings.json").write_text("{}", encoding="utf-8")
    short = tmp_path / "short.txt"
    short.write_text("x", encoding="utf-8")
    capsys.readouterr()
    for words, complaint in (
        ([str(alone)], "doesn't hold the text"),
        ([str(other)], "isn't the one that this model was trained on"),
        ([str(out)], "settings.json is damaged"),
        ([str(alone), str(short)], "too short"),
    ):
        assert main(["eval", *words]) == 2
        said = capsys.readouterr().err
        assert complaint in said and said.count("\n") == 1


def test_training_that_diverges_fails_and_keeps_the_last_good_model(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    words = ["train", text_file, "--out", str(out), "--steps", "50", "--learning-rate", "1e38", "--quiet", *SMALL]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "training has diverged" in said and said.count("\n") == 1
    assert all(np.isfinite(array).all() for array in weights(out).values())


def test_words(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "5", "--words", "--max-size", "6", *SMALL]) == 0
    assert "bits for each of its words" in capsys.readouterr().out
    assert main(["sample", str(out), "--length", "4", "--temperature", "0"]) == 0
    assert len(capsys.readouterr().out.split()) == 4


def test_without_a_file_it_reads_the_documentation_inside_python(tmp_path, capsys):
    words = ["train", "--out", str(tmp_path / "run"), "--steps", "1", "--json", "--max-size", "40", *SMALL]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["different_symbols"] == 40
    assert len(np.load(tmp_path / "run" / "text.npy", mmap_mode="r")) == len(python_documentation())


def test_a_run_that_goes_on_is_the_run_that_never_stopped(tmp_path, text_file, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(["train", text_file, "--out", str(whole), "--steps", "12", *SMALL]) == 0
    assert main(["train", text_file, "--out", str(parts), "--steps", "5", *SMALL]) == 0
    Path(text_file).unlink()  # the folder holds the text
    assert main(["train", "--resume", "--out", str(parts), "--steps", "12"]) == 0
    found, expected = weights(parts), weights(whole)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send Ctrl-C to one process alone")
def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path, text_file):
    out = tmp_path / "run"
    words = ["train", text_file, "--out", str(out), "--steps", "1000000", *SMALL]
    process = subprocess.Popen([sys.executable, "-m", "tinygrad_rnn", *words], stderr=subprocess.PIPE, text=True)
    try:
        while not (out / "checkpoints" / "lock").exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert said.startswith("tinygrad-rnn: stopped after step ") and said.count("\n") == 1
    assert f"train --resume --out {out}" in said
    step = int(said.split("step ")[1].split(";")[0].replace(",", ""))
    assert len((out / "losses.csv").read_text(encoding="utf-8").splitlines()) == 1 + step
    assert main(["sample", str(out), "--length", "3"]) == 0
    assert main(["train", "--resume", "--out", str(out), "--steps", str(step + 2)]) == 0


def test_ctrl_c_here(tmp_path, text_file, capsys):
    """The same in this process, where nothing but the signal is sent."""
    out = tmp_path / "run"
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    assert main(["train", text_file, "--out", str(out), "--steps", "1000000", "--quiet", *SMALL]) == 130
    assert "go on: tinygrad-rnn train --resume --out" in capsys.readouterr().err
    assert (out / "model.tree").exists()


def test_what_a_run_was_begun_with_stays(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "2", *SMALL]) == 0
    resume = ["train", "--resume", "--out", str(out), "--steps", "3"]
    for more, named in ((["--units", "9"], "--units"), ([text_file], "the text"), (["--words"], "--words")):
        capsys.readouterr()
        assert main([*resume, *more]) == 2
        assert named in capsys.readouterr().err
    assert main([*resume, "--units", "8"]) == 0  # the same again is no change
    assert main(["train", text_file, "--out", str(out)]) == 2
    assert "holds a training run already" in capsys.readouterr().err
    settings = out / "settings.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace("units", "unit"), encoding="utf-8")
    assert main(resume) == 2
    assert "damaged, or of another version" in capsys.readouterr().err
    settings.unlink()
    assert main(resume) == 2
    (out / "model.tree").unlink()
    settings.write_text("{}", encoding="utf-8")
    assert main(["sample", str(out)]) == 2
    assert "hasn't come to an end" in capsys.readouterr().err


def test_resume_needs_a_run(tmp_path, capsys):
    assert main(["train", "--resume"]) == 2
    assert "--out FOLDER" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 2
    assert "holds no training run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["settings.json", "vocabulary", "text.npy"])
def test_a_damaged_part_is_refused_by_name(tmp_path, text_file, capsys, name):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "2", *SMALL]) == 0
    (out / name).write_bytes(b"[1, 2")
    capsys.readouterr()
    assert main(["train", "--resume", "--out", str(out), "--steps", "3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-rnn: ") and said.count("\n") == 1


def test_a_damaged_model_is_refused(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "2", *SMALL]) == 0
    model = out / "model.tree"
    model.write_bytes(model.read_bytes()[:-40] + b"x" * 40)
    capsys.readouterr()
    for command in ("sample", "eval"):
        assert main([command, str(out)]) == 2
        assert "damaged" in capsys.readouterr().err


def test_a_text_that_is_too_short_leaves_nothing_behind(tmp_path, capsys):
    path = tmp_path / "short.txt"
    path.write_text("short", encoding="utf-8")
    out = tmp_path / "run"
    assert main(["train", str(path), "--out", str(out)]) == 2
    assert "too short to learn from: 5 characters" in capsys.readouterr().err
    assert not out.exists()
    path.write_text(TEXT[:100], encoding="utf-8")  # 4 * 20 symbols and one more, and 5% of it
    assert main(["train", str(path), "--out", str(out), "--steps", "1", *SMALL]) == 0


@pytest.mark.parametrize("command", [["train"], ["eval", "MODEL"]])
def test_a_text_that_is_not_there(tmp_path, text_file, capsys, command):
    out = tmp_path / "run"
    main(["train", text_file, "--out", str(out), "--steps", "1", *SMALL])
    capsys.readouterr()
    words = [str(out) if word == "MODEL" else word for word in command]
    assert main([*words, str(tmp_path / "nothing")]) == 2
    said = capsys.readouterr().err
    assert "nothing: No such file" in said and "Give the path of a text file" in said and said.count("\n") == 1


def test_a_model_that_is_not_there(tmp_path, capsys):
    assert main(["sample", str(tmp_path)]) == 2
    assert "there is no model" in capsys.readouterr().err


def test_a_prime_that_the_model_does_not_know(tmp_path, text_file, capsys):
    out = tmp_path / "run"
    assert main(["train", text_file, "--out", str(out), "--steps", "1", *SMALL]) == 0
    assert main(["sample", str(out), "--prime", "Ü", "--length", "1"]) == 0  # it stands for what is unknown


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a folder that can't be written to")
def test_a_folder_that_cannot_be_written_to(tmp_path, text_file, capsys):
    tmp_path.chmod(0o500)
    assert main(["train", text_file, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
