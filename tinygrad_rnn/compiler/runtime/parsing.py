"""Parsing of generated Python text, by one thread at a time."""

from __future__ import annotations

import ast
import os
import threading
from typing import Any

_TURN = threading.RLock()  # Python 3.11 counts the depth of all trees in hand together: SystemError
if hasattr(os, "register_at_fork"):  # a child whose parent was parsing would wait for ever
    os.register_at_fork(before=_TURN.acquire, after_in_parent=_TURN.release, after_in_child=_TURN.release)


def parsed(text: str, mode: str = "exec") -> Any:
    """The syntax tree of some text, as ``ast.parse`` gives it."""
    with _TURN:
        return ast.parse(text, mode=mode)
