"""What a shell user meets first: words that are almost right, other encodings, pipes, curves, completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_rnn.cli import COMMANDS, main
from tinygrad_rnn.language import CharacterVocabulary, LanguageModel, WordVocabulary
from tinygrad_rnn.language.model_file import load_language_model, save_language_model
from tinygrad_rnn.training import History, progress
from tinygrad_rnn.training.limits import Limits
from tinygrad_rnn.training.progress import Progress

COMPLETED = {
    "tr": "train",
    "train --lay": "--layers",
    "train --cell L": "LSTM",
    "train boo": "book.txt",
    "train --out x boo": "book.txt",
    "draw ls": "lstm",
}
GREETING = "Grüße aus Köln. " * 200
SMALL = ["--units", "8", "--embedding", "4", "--batch", "4", "--steps-per-batch", "20"]


@pytest.fixture
def latin(tmp_path: Path) -> str:
    path = tmp_path / "latin.txt"
    path.write_bytes(GREETING.encode("latin-1"))
    return str(path)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["trian", "book.txt"], "did you mean train?"),
        (["smaple"], "did you mean sample?"),
        (["train", "--epohcs", "3"], "did you mean --epochs for --epohcs?"),
        (["train", "--learning_rate=0.1"], "did you mean --learning-rate for --learning_rate=0.1?"),
        (["sample", "run", "--temprature", "1"], "did you mean --temperature for --temprature?"),
        (["train", "--cell", "lstm"], "did you mean LSTM?"),
        (["train", "--encoding", "latin-11", "x"], "did you mean latin"),
    ],
)
def test_a_word_that_is_almost_right(words, meant, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert meant in said and said.count("\n") == 1


def test_a_network_that_is_almost_right(capsys):
    assert main(["draw", "lstmm"]) == 2
    assert capsys.readouterr().err.endswith("Did you mean lstm?\n")


def test_a_word_that_is_far_off_is_refused_without_a_guess(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--xyzzy"])
    assert "did you mean" not in capsys.readouterr().err


def test_a_text_in_another_encoding(tmp_path, latin, capsys):
    assert main(["train", latin, "--out", str(tmp_path / "a"), "--steps", "2", *SMALL]) == 2
    assert "for example --encoding cp1252" in capsys.readouterr().err
    out = str(tmp_path / "run")
    assert main(["train", latin, "--encoding", "latin-1", "--out", out, "--steps", "2", "--quiet", *SMALL]) == 0
    assert set(load_language_model(Path(out) / "model.tree").vocabulary) >= set(GREETING)
    assert main(["eval", out, latin, "--encoding", "latin-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))["unknown"] == 0
    assert main(["eval", out, latin]) == 2
    assert main(["train", "--encoding", "latin-1"]) == 2
    assert "--encoding is for a text FILE" in capsys.readouterr().err


def test_layers_and_dropout_are_kept_through_an_interruption(tmp_path, latin, capsys):
    begin = ["train", latin, "--encoding", "latin-1", "--layers", "2", "--dropout", "0.3", "--quiet", *SMALL]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main([*begin, "--out", str(whole), "--steps", "9"]) == 0
    assert main([*begin, "--out", str(parts), "--steps", "4"]) == 0
    assert main(["train", "--resume", "--out", str(parts), "--steps", "9", "--quiet"]) == 0
    one, other = (load_language_model(folder / "model.tree").state_dict() for folder in (whole, parts))
    assert "cell.cells.1.W" in one and one.keys() == other.keys()
    for path in one:
        np.testing.assert_array_equal(one[path], other[path])
    capsys.readouterr()
    assert main(["sample", str(whole), "--length", "5", "--prime", "Gr"]) == 0
    assert len(capsys.readouterr().out) == 8
    assert main(["train", "--resume", "--out", str(parts), "--steps", "10", "--layers", "3"]) == 2
    assert "leave out --layers" in capsys.readouterr().err


def test_a_run_of_before_there_were_layers_goes_on(tmp_path, latin):
    out = tmp_path / "run"
    assert main(["train", latin, "--encoding", "latin-1", "--out", str(out), "--steps", "2", "--quiet", *SMALL]) == 0
    settings = json.loads((out / "settings.json").read_text("utf-8"))
    del settings["layers"], settings["dropout"]
    (out / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    assert main(["train", "--resume", "--out", str(out), "--steps", "3", "--quiet"]) == 0


def test_the_curves_of_a_run(tmp_path, latin, capsys):
    out = tmp_path / "run"
    words = [
        "train",
        latin,
        "--encoding",
        "latin-1",
        "--out",
        str(out),
        "--steps",
        "9",
        "--validate-every",
        "3",
        "--json",
    ]
    assert main([*words, *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = (out / "validation.csv").read_text("utf-8").splitlines()
    assert rows[0] == "step,loss" and [row.split(",")[0] for row in rows[1:]] == ["3", "6", "9"]
    bits = [float(row.split(",")[1]) / np.log(2) for row in rows[1:]]
    assert found["validation"] == [[step, pytest.approx(value)] for step, value in zip((3, 6, 9), bits)]
    assert found["bits_per_symbol"] == pytest.approx(min(bits), rel=0.2)  # the model has the best weights
    page = (out / "losses.html").read_text("utf-8")
    assert "bits per character" in page and "validation" in page and page.count('class="curve') >= 3


def test_unknown_characters_of_prime_are_said(tmp_path, capsys):
    path = str(tmp_path / "model.tree")
    save_language_model(LanguageModel(CharacterVocabulary("abc?", unknown="?"), units=4, seed=0), path)
    assert main(["sample", path, "--prime", "axbüx", "--length", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.endswith("as unknown ones: 'x' 'ü'\n")
    assert captured.out.startswith("a?b??")
    assert main(["sample", path, "--prime", "axb", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unknown"] == ["x"]
    assert main(["sample", path, "--prime", "abc", "--length", "3"]) == 0
    assert capsys.readouterr().err == ""
    save_language_model(LanguageModel(WordVocabulary(["the", "<unknown>"], "<unknown>"), units=4, seed=0), path)
    assert main(["sample", path, "--prime", "the fox", "--length", "3"]) == 0
    assert capsys.readouterr().err.endswith("these words of --prime, and reads them as unknown ones: 'fox'\n")


def test_lines_where_there_is_no_terminal(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    history = History()
    with Progress(history, Limits(steps=20), 10, "steps", "lines") as shown:
        for _ in range(20):
            clock[0] += 0.9
            history.record(1.0, 1)
            shown.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5 and all(line.startswith("training: ") for line in lines)  # 18 seconds; one each 3.6
    assert lines[0].startswith("training: 20%, step 4, loss 1.0000")


def test_a_pipe_gets_lines_and_a_terminal_a_bar(tmp_path, latin, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    words = ["train", latin, "--encoding", "latin-1", "--steps", "5", *SMALL]
    assert main([*words, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= 5 and all(line.startswith("training: ") for line in said)
    assert main([*words, "--out", str(tmp_path / "b"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(("eval" if name == "evaluate" else name) in script for name in COMMANDS)
    assert "layers" in script and "temperature" in script


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_bash_completes(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out, encoding="utf-8")
    ask = (
        f"source {tmp_path / 'script'}; COMP_WORDS=(tinygrad-rnn %s); COMP_CWORD=%d; "
        "$(complete -p tinygrad-rnn | sed 's/.*-F \\([^ ]*\\).*/\\1/') tinygrad-rnn; echo ${COMPREPLY[@]}"
    )
    (tmp_path / "book.txt").touch()
    for words, completed in COMPLETED.items():
        asked = ["bash", "-c", ask % (words, len(words.split()))]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        assert completed in done.stdout.split(), (words, done)


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "fish"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out, encoding="utf-8")
    environment = {**os.environ, "HOME": str(tmp_path)}
    (tmp_path / "book.txt").touch()
    for words, completed in COMPLETED.items():
        ask = ["fish", "-c", f"source {tmp_path / 'script'}; complete -C 'tinygrad-rnn {words}'"]
        options = {"cwd": tmp_path, "env": environment}
        done = subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True, **options)
        assert completed in done.stdout.split(), (words, done)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_takes_its_script(capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "zsh"]) == 0
    script = capsys.readouterr().out
    done = subprocess.run(["zsh", "-n", "-f"], input=script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and script.startswith("#compdef tinygrad-rnn\n")


def test_completion_names_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "tinygrad_rnn[completion]"' in capsys.readouterr().err


def test_layers_one_after_the_other_are_the_stack_step_by_step():
    from tinygrad_rnn import nn

    symbols = np.array([[0, 1], [2, 0], [1, 1]])
    model = LanguageModel(CharacterVocabulary("abc"), "GRU", units=5, layers=3, seed=0)
    logits, state = model(symbols)
    ys, final = nn.unroll(model.cell, model.embedding[symbols])
    np.testing.assert_allclose(logits.numpy(), model.output(ys).numpy(), rtol=1e-5)
    for one, other in zip(state, final, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5)
    first, state = model(symbols[:1])
    rest, _ = model(symbols[1:], state)
    np.testing.assert_allclose(np.concatenate([first.numpy(), rest.numpy()]), logits.numpy(), rtol=1e-5)


def test_dropout_is_for_learning_alone():
    model = LanguageModel(CharacterVocabulary("abc"), units=8, dropout=0.5, seed=0)
    symbols = np.array([[0], [1]])
    assert not np.array_equal(model(symbols)[0].numpy(), model(symbols)[0].numpy())
    model.eval()
    np.testing.assert_array_equal(model(symbols)[0].numpy(), model(symbols)[0].numpy())
