"""Processes of their own: the environment they start in, and a talk with one in lines of JSON."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .processors import emulation

ROOT = Path(__file__).parents[1]

# What users have set for BLAS, OpenMP and malloc would decide the result: a kernel pinned by
# OPENBLAS_CORETYPE halves NumPy's speed. Nothing of it reaches a measured process.
DROPPED = ("OPENBLAS_", "GOTO_", "BLIS_", "OMP_", "GOMP_", "KMP_", "MKL_", "MALLOC_", "GLIBC_")
THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TINYGRAD_RNN_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def child_environment(threads: int, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a measured process: the parent's, with thread counts and nothing else set.

    It has to be right before the process starts, since libraries read it when they are loaded. If another processor is
    emulated, the settings for that are there as well; flags of which both it and ``extra`` have some are put together.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    environment = {**kept, **dict.fromkeys(THREAD_COUNTS, str(threads)), **emulation()}
    for name, value in (extra or {}).items():
        has_flags = name == "XLA_FLAGS" and name in emulation()
        environment[name] = f"{environment[name]} {value}" if has_flags else value
    return environment


def run_json(arguments: Sequence[str], environment: Mapping[str, str]) -> Any:
    """Run `python ARGUMENTS` to its end in a fresh process; what it printed, read as JSON."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def peak_bytes() -> int:
    """The most memory that this process has had so far.

    On Linux `ru_maxrss` begins with what the parent had when it started this process, so its own account is read there.
    """
    account = Path("/proc/self/status")
    if account.exists():
        return 1024 * int(account.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


class WorkerError(Exception):
    """A worker could not do what it was asked; the message says why in one line."""


class Worker:
    """A process that answers one request at a time and rests in between.

    Args:
        arguments: What follows `python` on its command line.
        environment: The whole environment that it starts in.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            WorkerError: The worker answered with an error, or ended without an answer.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and the missing answer says so
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"ended early: {self._last_complaint()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _last_complaint(self) -> str:
        status = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {status}"

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()
