"""Ctrl-C in tests, also in those that run in the background: a shell has such processes ignore it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def listens_to_ctrl_c() -> Iterator[None]:
    """This process, and those that it starts, take the signal as one that was started from a terminal does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
