"""Machine code for generated text, made once for each form of arguments and kept on disk.

The name of a file is a digest of everything that the machine code depends on: the text, which has the structure of a
program but not the numbers of its steps and rows; the types of its arguments; the processor; and the translator. Files
are executed, so one is used only if nobody else could have written it (see ``code_folder``), and a damaged one is made
anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite.binding import llvm_version_info

from . import as_python
from .code_folder import cache_folder, is_trusted_file, keep_within_limit, write_whole
from .failures import MachineCodeFailed
from .llvm_code import engine
from .llvm_code.entry import HEAD, OTHER_FORM, OUT_OF_BOUNDS, form_of, with_own_dtype
from .llvm_code.translator import LIBRARY
from .tiles import processor

SUFFIX = ".machine_code"
DIGEST_BYTES = 32

_functions: dict[str, Callable[..., Any]] = {}  # of this process, by digest
_running: weakref.WeakValueDictionary[str, Callable[..., None]] = weakref.WeakValueDictionary()  # by their text
_lock = threading.RLock()


def compiled_function(source: str) -> Callable[..., None]:
    """The function ``program`` of generated text; it becomes machine code when it is first called.

    Returns:
        The function, the same one for the same text as long as somebody holds it: that is how programs of several sizes
        are found to call one function. It raises ``MachineCodeFailed`` if there can be no machine code.
    """
    with _lock:
        run = _running.get(source)
        if run is None:
            run = as_python.program_of(source) if as_python.is_asked_for() else _running_in_any_form(source)
            _running[source] = run
        return run


def _running_in_any_form(source: str) -> Callable[..., None]:
    current: Callable[..., Any] = _unknown
    made: dict[Any, Callable[..., Any]] = {}

    def run(*arguments: Any) -> None:
        result = current(*arguments)
        if result == OTHER_FORM:
            result = run_in_another_form(*map(with_own_dtype, arguments))
        if result == OUT_OF_BOUNDS:
            raise IndexError("an index inside of a compiled loop is out of bounds for its axis")

    def run_in_another_form(*arguments: Any) -> Any:
        nonlocal current
        try:
            form = form_of(arguments)
            if form not in made:
                made[form] = _function(source, form)
        except Exception as error:  # also unforeseen ones: llvmlite changes
            raise MachineCodeFailed(error) from error
        current = function = made[form]  # another thread may change the one, while this calls the other
        return function(*arguments)

    return run


def _unknown(*arguments: Any) -> int:
    return OTHER_FORM


def _function(source: str, form: Any) -> Callable[..., Any]:
    """The function for arguments of one form: known in this process, read from disk, or new."""
    digest = hashlib.sha256("\n".join([source, repr(form), _depends_on()]).encode()).hexdigest()
    name = f"program_{digest[:24]}"
    with _lock:
        if name not in _functions:
            path = cache_folder() / (name + SUFFIX)
            code = _kept(path)
            if code is None:
                code = engine.machine_code(source, form, name)
                _keep(path, code)
            _functions[name] = engine.loaded(code, form, name)
        return _functions[name]


def _kept(path: Path) -> bytes | None:
    """The machine code in a file; None if there is none, it is damaged, or somebody else could have written it."""
    try:
        content = path.read_bytes() if is_trusted_file(path) else b""
    except OSError:
        return None
    digest, code = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if not code or hashlib.sha256(code).digest() != digest:
        return None
    with contextlib.suppress(OSError):  # a disk that can only be read
        os.utime(path)  # files used last stay longest
    return code


def _keep(path: Path, code: bytes) -> None:
    with contextlib.suppress(OSError):  # a full disk, a folder that can only be read
        write_whole(path, hashlib.sha256(code).digest() + code)
        keep_within_limit(path.parent)


@cache
def _depends_on() -> str:
    """The other things on which machine code depends: the processor, LLVM, Python, the translator."""
    here = Path(__file__).parent
    sources = [here / f"{name}.py" for name in (*LIBRARY, "tiles")] + sorted((here / "llvm_code").glob("*.py"))
    others = [*processor(), str(llvm_version_info), str(engine.EFFORT), str(HEAD)]
    return "\n".join([*others, *(path.read_text("utf-8") for path in sources)])


if hasattr(os, "register_at_fork"):  # a child process would wait forever for a thread that it doesn't have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
