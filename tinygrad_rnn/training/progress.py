"""A bar that shows the course of training: the loss, the speed, the time left."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

from .history import History
from .limits import Limits

REFRESH_SECONDS = 0.1
LINE_SECONDS = 3.0
"""The number of seconds between lines if there is no terminal to draw a bar on."""


class Progress:
    """A progress bar on standard error, or a line there every few seconds.

    Without a number of steps as a limit, it counts the time. ``show`` and ``unit`` are as ``progress`` and ``unit`` of
    ``fit``.
    """

    def __init__(self, history: History, limits: Limits, epoch_steps: int, unit: str, show: bool | str | None) -> None:
        self.history = history
        self.unit = unit
        self.by_time = limits.total_steps(epoch_steps) is None and limits.seconds is not None
        self.total = limits.seconds if self.by_time else limits.total_steps(epoch_steps)
        self.show = sys.stderr.isatty() or _in_notebook() if show is None else show
        self.bar: Any = None
        self._next_refresh = 0.0

    def __enter__(self) -> Progress:
        self._seen_before = self._counted()
        self._seconds_before = self.history.seconds
        if self.show == "lines":
            self._next_refresh = time.monotonic() + LINE_SECONDS
        elif self.show:
            with warnings.catch_warnings():  # that a notebook without ipywidgets gets a bar of characters
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm

            self.bar = tqdm(
                total=self.total,
                initial=self._done(),
                desc="training",
                bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}",
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self._next_refresh = 0.0
            self.update()
            self.bar.close()

    def update(self) -> None:
        """Show the progress of the run, but seldom enough to cost no time."""
        now = time.monotonic()
        if not self.show or now < self._next_refresh:
            return
        if self.bar is None:
            self._next_refresh = now + LINE_SECONDS
            done = f"{self._done() / self.total:.0%}, " if self.total else ""
            print(f"training: {done}{self.text()}", file=sys.stderr, flush=True)
            return
        self._next_refresh = now + REFRESH_SECONDS
        self.bar.n = min(self._done(), self.total or sys.maxsize)
        self.bar.set_postfix_str(self.text(), refresh=False)
        self.bar.refresh()

    def text(self) -> str:
        """The loss and the rate, in words."""
        elapsed = self.history.seconds - self._seconds_before
        rate = (self._counted() - self._seen_before) / elapsed if elapsed > 0 else 0.0
        validated = f", validation {self.history.validation[-1][1]:.4f}" if self.history.validation else ""
        return f"step {self.history.step:,}, loss {self.history.smoothed:.4f}{validated}, {rate:,.0f} {self.unit}/s"

    def _done(self) -> float:
        return round(self.history.seconds, 1) if self.by_time else self.history.step

    def _counted(self) -> int:
        return self.history.step if self.unit == "steps" else self.history.symbols


def _in_notebook() -> bool:
    """Return True in a Jupyter kernel, whose standard error is no terminal but shows a bar."""
    return type(sys.stderr).__module__.partition(".")[0] == "ipykernel"
