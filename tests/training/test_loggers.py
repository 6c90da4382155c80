"""What the loggers write is what the history says, also through interruptions."""

from __future__ import annotations

import csv
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn import nn, optim
from tinygrad_rnn.training import CSVLogger, History, TensorBoardLogger

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X.sum(1) > 0).astype(int)


def trained(log: Any, **how: Any) -> History:
    tr.manual_seed(0)
    options: dict[str, Any] = {
        "epochs": 4,
        "validation": (X[:7], Y[:7]),
        "metrics": "accuracy",
        "batch_size": 10,
        **how,
    }
    return tr.fit(nn.Linear(3, 2, seed=0), (X, Y), "cross_entropy", "sgd", lr=0.5, callbacks=[log], **options)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of all event files: records of a length, its checksum, a protocol buffer and its checksum."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.iterdir()):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = event_pb2.Event.FromString(content[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_a_row_for_each_epoch(tmp_path: Path) -> None:
    history = trained(CSVLogger(tmp_path / "run.csv"))
    rows = rows_of(tmp_path / "run.csv")
    assert [(row["step"], row["epoch"]) for row in rows] == [("4", "1"), ("8", "2"), ("12", "3"), ("16", "4")]
    assert [float(row["loss"]) for row in rows] == pytest.approx(history.epoch_losses)
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(history.epoch_metrics["accuracy"])
    assert [float(row["validation_loss"]) for row in rows] == [loss for _, loss in history.validation]
    assert [float(row["validation_accuracy"]) for row in rows] == [v for _, v in history.validation_metrics["accuracy"]]
    assert {row["learning_rate"] for row in rows} == {"0.5"}


def test_a_row_for_so_many_steps_and_for_the_last(tmp_path: Path) -> None:
    history = trained(CSVLogger(tmp_path / "run.csv", every=3), epochs=2, validation=None, metrics=None)
    rows = rows_of(tmp_path / "run.csv")
    assert [row["step"] for row in rows] == ["3", "6"]  # 8 steps are done; the limit is seen after the callbacks
    assert [float(row["loss"]) for row in rows] == pytest.approx(
        [history.losses[:3].mean(), history.losses[3:6].mean()]
    )
    assert "validation_loss" not in rows[0]


def test_a_run_that_goes_on_goes_on_in_its_file(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    trained(CSVLogger(whole))
    parts.write_text("of another run\n")
    trained(CSVLogger(parts), epochs=2, checkpoints=tmp_path / "run")
    with open(parts, "a", encoding="utf-8") as file:
        file.write("99,9,9,9,9,9,9,9\n")  # of steps after the checkpoint, which were lost
    trained(CSVLogger(parts), checkpoints=tmp_path / "run", resume=True)
    without_time = [[{**row, "seconds": ""} for row in rows_of(path)] for path in (whole, parts)]
    assert without_time[0] == without_time[1]


def test_curves_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    history = trained(TensorBoardLogger(tmp_path / "board"))
    curves = events_of(tmp_path / "board")
    assert curves.keys() == {
        "loss/training", "loss/validation", "accuracy/training", "accuracy/validation", "learning_rate"
    }  # fmt: skip
    np.testing.assert_allclose(curves["loss/training"], list(zip(history.epochs, history.epoch_losses)), rtol=1e-6)
    np.testing.assert_allclose(curves["loss/validation"], history.validation, rtol=1e-6)
    np.testing.assert_allclose(curves["accuracy/validation"], history.validation_metrics["accuracy"], rtol=1e-6)


def test_a_writer_that_there_is(tmp_path: Path) -> None:
    class Writer:
        def __init__(self) -> None:
            self.points: list[tuple[str, float, int]] = []

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            self.points.append((tag, value, step))

        def flush(self) -> None:
            pass

    writer = Writer()
    schedule = lambda optimizer: optim.StepLR(optimizer, 1, 0.5)  # noqa: E731
    history = trained(TensorBoardLogger(writer, every=1), steps=2, epochs=None, schedule=schedule)
    rates = [value for tag, value, _ in writer.points if tag == "learning_rate"]
    losses = [value for tag, value, _ in writer.points if tag == "loss/training"]
    assert rates == [0.25, 0.125] and losses == pytest.approx(history.losses.tolist())


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'tensorboardX: pip install .*\[tensorboard\]"'):
        TensorBoardLogger("board")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pandas: pip install .*\[pandas\]"'):
        History().to_frame()


def test_a_logger_that_never_logs_is_refused() -> None:
    with pytest.raises(ValueError, match="CSVLogger: every=0"):
        CSVLogger("run.csv", every=0)


def test_a_frame_has_a_row_for_each_step() -> None:
    pytest.importorskip("pandas")
    history = trained(lambda run: None, epochs=2)
    frame = history.to_frame()
    assert list(frame.columns) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"]
    assert frame.index.name == "step" and frame.index.tolist() == list(range(1, 9))
    assert frame["epoch"].tolist() == [1] * 4 + [2] * 4
    np.testing.assert_array_equal(frame["loss"], history.losses)
    np.testing.assert_array_equal(frame["accuracy"], history.metrics["accuracy"])
    assert list(frame["validation_loss"].dropna().items()) == history.validation
    assert len(History().to_frame()) == 0


def test_a_name_with_half_a_character(tmp_path: Path) -> None:
    pair = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    metrics = {"\udcff": lambda p, y: np.mean(p)}
    tr.fit(nn.Linear(2, 1, seed=0), pair, "mse", metrics=metrics, epochs=2, callbacks=CSVLogger(tmp_path / "run.csv"))
    header = (tmp_path / "run.csv").read_text("utf-8").split("\n")[0]
    assert header.split(",")[5:] == ["\\udcff"]
