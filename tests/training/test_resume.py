"""A run that was interrupted goes on as if it hadn't been, bit for bit."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ctrl_c import listens_to_ctrl_c  # noqa: F401
from tests.training.runs import (
    SYMBOLS,
    VOCABULARY,
    NoisyModel,
    Recorder,
    batches,
    differences,
    leaves_of,
    replaced,
    run,
    without_times,
)
from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.language import CharacterVocabulary
from tinygrad_rnn.training import TrainingDiverged, TrainingInterrupted, fit, load_tree, save_tree

pytestmark = pytest.mark.usefixtures("listens_to_ctrl_c")

STEPS = 25


class LargerModel(NoisyModel):
    """One output too many."""

    def __init__(self, vocabulary: CharacterVocabulary) -> None:
        super().__init__(vocabulary)
        self.output = nn.Linear(6, len(vocabulary) + 1, seed=0)


def last_checkpoint(folder: Path) -> dict:
    return without_times(load_tree(max(folder.glob("*.checkpoint"))))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("alone")
    run(folder, steps=STEPS)
    return last_checkpoint(folder)


# Steps 11 and 22 end an epoch; 7, 14 and 21 are validated: just before, there, and just after.
@pytest.mark.one_in(5)
@pytest.mark.parametrize("stop", [0, 1, 6, 7, 8, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25])
def test_a_resumed_run_is_bit_for_bit_the_same(stop: int, tmp_path: Path, uninterrupted: dict) -> None:
    run(tmp_path, steps=stop)
    model, history = run(tmp_path, steps=STEPS, resume=True)
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []
    assert history.step == STEPS
    best = uninterrupted["validation"]["best_weights"]
    assert differences(model.state_dict(), best) == []


@pytest.mark.parametrize("stop", [7, 11, 23])
@pytest.mark.one_in(3)
def test_a_resumed_run_that_is_compiled_is_bit_for_bit_the_same(stop: int, tmp_path: Path) -> None:
    alone, pieces = tmp_path / "alone", tmp_path / "pieces"
    run(alone, steps=STEPS, executor="numpy")
    run(pieces, steps=stop, executor="numpy")
    run(pieces, steps=STEPS, executor="numpy", resume=True)
    assert differences(last_checkpoint(pieces), last_checkpoint(alone)) == []


class Reader(nn.Module):
    """A stack whose state has the sequences along its second axis."""

    def __init__(self) -> None:
        self.embedding = nn.Embedding(len(VOCABULARY), 3, seed=0)
        self.lstm, self.output = nn.LSTM(3, 4, num_layers=2, seed=1), nn.Linear(4, len(VOCABULARY), seed=2)

    def forward(self, symbols: Any, state: Any = None) -> tuple[Any, Any]:
        ys, state = self.lstm(self.embedding(symbols), state)
        return self.output(ys), state


@pytest.mark.parametrize("streams", [1, 2])
def test_a_resumed_run_of_streams_in_parts_carries_their_state(streams: int, tmp_path: Path) -> None:
    def run_to(steps: int, folder: Path) -> dict[str, Any]:
        model = Reader()
        fit(model, StreamBatches(SYMBOLS[:60], batch_size=streams, steps=5), "cross_entropy", steps=steps, accumulate=2,
            checkpoints=folder, resume=True, executor=None)  # fmt: skip
        return model.state_dict()

    run_to(2, tmp_path / "pieces")
    assert differences(run_to(4, tmp_path / "pieces"), run_to(4, tmp_path / "alone")) == []


def test_the_run_has_in_it_what_it_should(uninterrupted: dict) -> None:
    """Else the tests above would say nothing."""
    assert len(uninterrupted["history"]["epochs"]) == 2
    assert uninterrupted["data"]["position"] > 0 and uninterrupted["data"]["seed"] is not None
    assert len(uninterrupted["carried"]) == 2
    assert len(uninterrupted["generators"]) == 1
    assert len(uninterrupted["callbacks"][0]["seen"]) == STEPS
    assert uninterrupted["schedule"] is not None
    weights, best = uninterrupted["model"], uninterrupted["validation"]["best_weights"]
    assert differences(weights, best)


def test_to_resume_nothing_is_to_begin(tmp_path: Path, uninterrupted: dict) -> None:
    run(tmp_path, steps=STEPS, resume=True)
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []


def test_a_finished_run_is_left_as_it_is(tmp_path: Path, uninterrupted: dict) -> None:
    run(tmp_path, steps=STEPS)
    _, history = run(tmp_path, steps=STEPS, resume=True)
    assert history.stopped == f"{STEPS} steps are done"
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []


def test_an_older_run_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    run(tmp_path, steps=2)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="resume=True"):
        run(tmp_path, steps=2)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.name != "lock"}.items() <= before.items()


def test_after_a_damaged_checkpoint_the_one_before_leads_to_the_same_end(tmp_path: Path, uninterrupted: dict) -> None:
    run(tmp_path, steps=9, every=3)
    newest = max(tmp_path.glob("*.checkpoint"))
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(RuntimeWarning, match="step-00000009.checkpoint is damaged"):
        run(tmp_path, steps=STEPS, resume=True)
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []


def test_ctrl_c_leaves_a_checkpoint(tmp_path: Path, uninterrupted: dict) -> None:
    def press(run) -> None:
        if run.step == 10:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match="after step 10; its checkpoint is in"):
        run(tmp_path, steps=STEPS, callbacks=(press,))
    assert [path.name for path in tmp_path.glob("*.checkpoint")] == ["step-00000010.checkpoint"]
    run(tmp_path, steps=STEPS, resume=True)
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)


def test_a_full_disk_on_the_way_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: dict
) -> None:
    def use_the_disk(run) -> None:
        if run.step == 5:
            fill_the_disk(monkeypatch)
        if run.step == 15:
            monkeypatch.undo()

    with pytest.warns(RuntimeWarning, match=r"no checkpoint of step (6|8|10|12|14) .*No space left") as warned:
        run(tmp_path, steps=STEPS, every=2, callbacks=(use_the_disk,))
    assert len(warned) == 5
    assert differences(last_checkpoint(tmp_path), uninterrupted) == []


def test_a_disk_that_is_full_at_the_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def use_the_disk(run) -> None:
        if run.step == 5:
            fill_the_disk(monkeypatch)

    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, steps=5, every=2, callbacks=(use_the_disk,))
    monkeypatch.undo()
    assert load_tree(tmp_path / "step-00000004.checkpoint")["history"]["losses"].shape == (4,)


def test_ctrl_c_with_a_full_disk_says_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(run) -> None:
        fill_the_disk(monkeypatch)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingInterrupted, match=r"after step 1; a checkpoint could not be written: .*No space left"):
        run(tmp_path, steps=STEPS, callbacks=(press,))


def test_a_run_that_diverged_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    def spoil(run) -> None:
        if run.step == 6:
            run.model.output.b.data = np.full(run.model.output.b.shape, np.nan)

    with pytest.raises(TrainingDiverged, match="at step 7"):
        run(tmp_path, steps=STEPS, every=5, callbacks=(spoil,))
    assert [path.name for path in tmp_path.glob("*.checkpoint")] == ["step-00000005.checkpoint"]


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    def start_another(first) -> None:
        with pytest.raises(BlockingIOError, match="another training run"):
            run(tmp_path, steps=1, resume=True)

    _, history = run(tmp_path, steps=1, callbacks=(start_another,))
    assert history.step == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": optim.SGD}, "optimiser is Adam, not SGD"),
        ({"generators": [np.random.default_rng(0)]}, "1 random generators, where this run has 2"),
        ({"schedule": None}, "1 schedules, where this run has 0"),
        ({"validation": None}, "1 validations, where this run has 0"),
        ({"callbacks": (Recorder(),)}, "1 callbacks with a state, where this run has 2"),
        ({"data": StreamBatches(SYMBOLS, batch_size=2, steps=8, rng=3)}, "saved with other data"),
        ({"model": LargerModel(VOCABULARY)}, r"output\.W"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_nothing_changes(
    changes: dict, message: str, tmp_path: Path
) -> None:
    run(tmp_path, steps=3)
    model, data = NoisyModel(VOCABULARY), batches(seed=9)
    given = {"model": model, "data": data, **changes}
    weights, place = given["model"].state_dict(), given["data"].state_dict()
    with pytest.raises(ValueError, match=f"not one of this run: .*{message}"):
        run(tmp_path, steps=9, resume=True, **given)
    assert differences(given["model"].state_dict(), weights) == []
    assert given["data"].state_dict() == place


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("whole")
    run(folder, steps=9)
    return load_tree(folder / "step-00000009.checkpoint")


STRANGE = st.sampled_from(
    [None, "text", -1, 10**30, 10**400, [], {}, (1, 2), np.zeros((2, 2)), np.array(1), float("nan"), float("inf")]
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_checkpoint_made_to_mislead_is_refused_or_runs(
    data: st.DataObject, whole: dict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its checksum is right, but one thing in it is strange."""
    folder = tmp_path_factory.mktemp("strange")
    place = data.draw(st.sampled_from(leaves_of(whole)))
    save_tree(replaced(whole, place, data.draw(STRANGE)), folder / "step-00000009.checkpoint")
    model, stream = NoisyModel(VOCABULARY, executor=None), batches(seed=9)
    weights, start = model.state_dict(), stream.state_dict()
    try:
        run(folder, steps=11, resume=True, model=model, data=stream)
    except ValueError as error:
        if "not one of this run" in str(error):
            assert differences(model.state_dict(), weights) == []
            assert stream.state_dict() == start
        else:
            assert place[0] == "carried"  # which is seen to be wrong when it is used
    except TrainingDiverged:
        assert place[0] == "optimizer"  # infinite numbers are numbers


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("history", "symbols"), float("inf")),
        (("history", "smoothed"), 10**400),
        (("optimizer", 1, "state", 0, "step"), None),
        (("optimizer", 1, "param_groups", 0, "initial_lr"), np.zeros((2, 2))),
    ],
)
def test_numbers_that_no_run_can_have_come_to_are_refused(
    place: tuple, value: Any, whole: dict, tmp_path: Path
) -> None:
    save_tree(replaced(whole, place, value), tmp_path / "step-00000009.checkpoint")
    with pytest.raises(ValueError, match="not one of this run"):
        run(tmp_path, steps=11, resume=True)


def test_resume_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="checkpoints="):
        run(steps=9, resume=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_at_random_moments() -> None:
    """See kill_and_resume.py, which takes more kills on the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.kill_and_resume", "--kills", "20"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("killed 20 times")
