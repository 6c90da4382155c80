"""Kill a training run at random moments, resume it each time, and compare it with one that was left alone.

    python -m tests.training.kill_and_resume --kills 100

A killed run has no say in it (SIGKILL can't be caught), and it saves itself after every step, so many kills hit it
while it writes. Whenever a run comes to its end, everything in its last checkpoint (weights, optimiser, schedule,
generators, place in the data, history, best weights) must be, bit for bit, what it is in a run that was never
interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.training.runs import differences, run, without_times
from tinygrad_rnn.training import Checkpoints, load_tree

STEPS = 40


def last_checkpoint(folder: Path) -> dict:
    """What the newest checkpoint of a finished run holds."""
    return without_times(load_tree(max(folder.glob("*.checkpoint"))))


def attempt(folder: Path, delay: float | None) -> bool:
    """Start or resume the run in a process of its own, and kill it after a delay, if there is one.

    Returns:
        Whether it came to its end.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(folder, steps=STEPS, every=1, resume=True)
            status = 0
        finally:
            os._exit(status)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit("a resumed run failed")
    return os.WIFEXITED(status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    kills = while_writing = finished = 0
    with tempfile.TemporaryDirectory() as place:
        alone, folder = Path(place) / "alone", Path(place) / "killed"
        began = time.perf_counter()
        run(alone, steps=STEPS, every=1)
        longest = (time.perf_counter() - began) / 5
        expected = last_checkpoint(alone)
        while kills < arguments.kills or folder.exists():
            delay = rng.uniform(0, longest) if kills < arguments.kills else None
            if attempt(folder, delay):
                finished += 1
                wrong = differences(last_checkpoint(folder), expected)
                if wrong:
                    sys.exit(f"after {kills} kills the run differs in {', '.join(wrong)}")
                shutil.rmtree(folder)
            else:
                kills += 1
                while_writing += any(folder.glob(".*.tmp"))
                with Checkpoints(folder) as checkpoints:
                    checkpoints.newest()  # there may be none yet, but what is there is whole
    print(f"killed {kills} times, {while_writing} of them while it wrote; {finished} runs came to the same end")


if __name__ == "__main__":
    main()
