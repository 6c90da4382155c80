"""Training where it is rarely done: in a thread, under handlers of others, by functions that tell nothing."""

from __future__ import annotations

import errno
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn.data import Batches
from tinygrad_rnn.language import train_on_text
from tinygrad_rnn.nn import mse
from tinygrad_rnn.nn.calling import parameters_of
from tinygrad_rnn.training.folder_lock import FolderLock
from tinygrad_rnn.training.interrupts import DelayedInterrupt
from tinygrad_rnn.training.sharing import Sharing


def test_a_process_makes_no_columns_of_others() -> None:
    """Unless the weight of a part depends on more than on the number of its targets."""
    data = Batches(np.ones((9, 4, 3)), np.ones((9, 4, 3)), batch_size=9, target_sequences=True)
    own, every = slice(3, 6), [slice(0, 3), slice(3, 6), slice(6, 9)]
    (draft,) = data.drafts()
    for weight, expected in ((None, [own]), (lambda batch: 1.0, [*every, own])):
        made: list[slice] = []

        def inputs(part: slice, made: list[slice] = made) -> Any:
            made.append(part)
            return draft.inputs(part)

        (part,) = Sharing(data, 1, 3, 1, weight, mse).of(draft._replace(inputs=inputs))
        assert part.batch.inputs.shape == (4, 3, 3) and part.share == pytest.approx(1 / 3)
        assert [cut for cut in made if cut != slice(0)] == expected


def test_in_a_thread_ctrl_c_is_left_to_the_main_one() -> None:
    """Only the main thread may have handlers; another would raise as soon as it asked for one."""
    found = []

    def work() -> None:
        with DelayedInterrupt() as interrupt:
            found.append((signal.getsignal(signal.SIGINT), interrupt.requested))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, it would be left alone in any case
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [(signal.default_int_handler, False)]


def test_a_handler_of_someone_else_is_left_alone() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with DelayedInterrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGINT] and not interrupt.requested
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_function_that_tells_nothing_of_its_parameters_has_none() -> None:
    class Mute:
        """As some functions written in C are."""

        __signature__ = "none"

        def __call__(self, logits: object) -> object:
            return logits

    assert parameters_of(lambda prediction, targets: 0) == {"prediction", "targets"}
    assert parameters_of(Mute()) == frozenset()


def test_numbers_are_of_a_vocabulary() -> None:
    with pytest.raises(TypeError, match="pass vocabulary= too"):
        train_on_text(np.zeros(100, np.uint8), steps=1)


def test_a_lock_that_the_system_does_not_grant_for_another_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without locks, say: that no other run has the folder is then not claimed."""

    def no_locks(file: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("tinygrad_rnn.training.folder_lock._lock", no_locks)
    with pytest.raises(OSError, match="No locks available") as caught:
        FolderLock(tmp_path)
    assert not isinstance(caught.value, BlockingIOError)
