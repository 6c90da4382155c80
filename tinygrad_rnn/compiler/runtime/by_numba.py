"""Compilation by numba, for generated source that ``llvm_code`` can't translate; without numba, it runs as Python.

numba keeps machine code beside the source, so the generated source is written to a file: in the user's cache folder,
under a name that is a digest of all that the machine code depends on. These files are executed, so one is used only if
nobody else could have written it (see ``code_folder``); otherwise it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba import config

from .code_folder import (
    cache_folder,
    close_to_others,
    is_kept,
    is_trusted_folder,
    remove_untrusted,
    temporary_folder,
    write_whole,
)
from .failures import MachineCodeFailed

HEADER = '''"""Generated: a loop over time as machine code."""

from math import erf

import numpy as np

from tinygrad_rnn.compiler.runtime.fast_functions import (
    exp32, exp64, f32, f64, i32, i64, log1p32, log1p64, log32, log64, logaddexp32, logaddexp64, sigmoid32, sigmoid64,
    tanh32, tanh64
)
from tinygrad_rnn.compiler.runtime.by_numba import entry, kernel, summing
from tinygrad_rnn.compiler.runtime.division import floor_divide32, floor_divide64, remainder
from tinygrad_rnn.compiler.runtime.places import place_along
from tinygrad_rnn.compiler.runtime.tiled_product import multiply_1, multiply_2, multiply_4, pack



'''

# All direct and indirect imports of generated code: they are compiled into it, or decide how it is compiled.
COMPILED_IN = (
    "by_numba",
    "code_folder",
    "division",
    "failures",
    "fast_functions",
    "places",
    "tiled_product",
    "tiles",
    "llvm_code.tiles",
)

OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
IN_ANY_ORDER = {**OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}}


def kernel(function: Any, options: Any = OPTIONS) -> Any:
    """Compile a part of a loop that calls nothing, and has every array that it writes to from one argument alone.

    To know that there are no aliases, LLVM would have to compare all pairs of ten arrays, and doesn't vectorise. numba
    has a flag that promises it, but no option to set that.
    """
    if config.DISABLE_JIT:
        return function
    compiled = numba.njit(**options)(function)
    compiler: Any = getattr(compiled, "_compiler", None)
    customise = getattr(compiler, "_customize_flags", None)
    if customise is None:  # another numba, which has another name for it: slower, but still correct
        return compiled

    def customised(flags: Any) -> Any:
        flags = customise(flags)
        with contextlib.suppress(AttributeError):
            flags.noalias = True
        return flags

    compiler._customize_flags = customised
    return compiled


def summing(function: Any) -> Any:
    """Compile a part of a loop as ``kernel`` does, in which LLVM may add up in any order, and so as vectors."""
    return kernel(function, IN_ANY_ORDER)


def entry(function: Any) -> Any:
    """Compile what is called from Python, and keep it on disk where that can be done.

    Returns:
        The function, which raises ``MachineCodeFailed`` if numba can't compile it.
    """
    if config.DISABLE_JIT:
        return function
    compiled, may_be_kept = _kept_on_disk(function), True

    def run(*arguments: Any) -> None:
        nonlocal compiled, may_be_kept
        try:
            compiled(*arguments)
        except IndexError:  # of ``place_along``
            raise
        except Exception as error:  # of numba: machine code itself raises nothing else
            if not may_be_kept:
                raise MachineCodeFailed(error) from error
            compiled, may_be_kept = numba.njit(**OPTIONS)(function), False
            run(*arguments)

    run.stats = lambda: compiled.stats  # type: ignore[attr-defined]
    return run


def _kept_on_disk(function: Any) -> Any:
    """A function that numba compiles and keeps. Unreadable files are compiled anew; failures to write are ignored.

    The hooks by which numba reads and writes files check that these are complete and nobody else's. With a numba that
    has no such hooks, nothing is kept.
    """
    uncached = numba.njit(**OPTIONS)(function)
    try:
        compiled = numba.njit(cache=True, **OPTIONS)(function)
        folder, beginning = Path(compiled.stats.cache_path), function.__module__
        if not is_trusted_folder(folder):  # it is elsewhere if NUMBA_CACHE_DIR says so
            return uncached
        remove_untrusted(folder, beginning)
        cache = compiled._cache
        load, save, forget = cache.load_overload, cache.save_overload, cache.flush
    except (OSError, RuntimeError, AttributeError):  # no folder that numba would write to, or another numba
        return uncached

    def load_if_whole(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # unpickling what is damaged can raise anything
            forget()
            return None

    def save_if_possible(*arguments: Any) -> None:
        with contextlib.suppress(OSError):  # a full disk
            save(*arguments)
            close_to_others(folder, beginning)  # the umask may let a group write

    cache.load_overload, cache.save_overload = load_if_whole, save_if_possible
    return compiled


def compiled_function(source: str) -> Any:
    """The function ``program`` of generated source; numba compiles it at its first call, unless that was done."""
    return load(HEADER + source).program


def load(source: str) -> ModuleType:
    """A module of generated source: from the cache if it was compiled before, and put there if not."""
    digest = hashlib.sha256("\n".join([source, *_depends_on()]).encode()).hexdigest()[:24]
    name = f"tinygrad_rnn_generated_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = _file(name, source.encode())
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, path, "exec"), vars(module))  # rather than the file on disk, or a .pyc beside it
    sys.modules[name] = module
    return module


def _file(name: str, source: bytes) -> Path:
    """A file with this source, by which numba's cache identifies machine code; it is kept if possible."""
    path = cache_folder() / f"{name}.py"
    try:
        if not is_kept(path, source):
            write_whole(path, source)
    except OSError:  # a full disk, a folder that can only be read
        path = temporary_folder() / path.name
        write_whole(path, source)
    return path


def _depends_on() -> list[str]:
    """The other things on which compiled code depends: the functions compiled into it, and the compiler."""
    sources = [(Path(__file__).parent / f"{name.replace('.', '/')}.py").read_text("utf-8") for name in COMPILED_IN]
    return [numba.__version__, np.__version__, *sources]
