"""How numba compiles generated source, and where what it compiled is kept.

numba keeps machine code beside the source, so the generated source is written to a file: in the user's cache folder,
readable by nobody else, under a name that is a digest of all that the machine code depends on.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba import config


def cache_folder() -> Path:
    """The folder for generated code, made if it isn't there; mode 0700.

    Where there can be none, or it isn't ours (what lies in it is run), it is one for this process alone.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinygrad_rnn"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError):  # no right to write, no space, another's folder, no home
        return Path(_temporary_folder().name)
    return folder


@functools.cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinygrad_rnn_")


HEADER = '''"""Generated: a loop over time as machine code."""

from math import erf

import numpy as np

from tinygrad_rnn.compiler.runtime.fast_functions import exp32, exp64, f32, f64, sigmoid32, sigmoid64, tanh32, tanh64
from tinygrad_rnn.compiler.runtime.cache import entry, kernel
from tinygrad_rnn.compiler.runtime.division import floor_divide32, floor_divide64, remainder
from tinygrad_rnn.compiler.runtime.tiled_product import multiply_1, multiply_2, multiply_4, pack



'''

# All that it imports, also by way of others: what is compiled into it, or decides how.
COMPILED_IN = ("cache", "division", "fast_functions", "tiled_product", "tiles")

OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def kernel(function: Any) -> Any:
    """Compile a part of a loop that calls nothing, and has every array that it writes to from one argument alone.

    To know that there are no aliases, LLVM would have to compare all pairs of ten arrays, and doesn't vectorise. numba
    has a flag that promises it, but no option to set that.
    """
    if config.DISABLE_JIT:
        return function
    compiled = numba.njit(**OPTIONS)(function)
    compiler = compiled._compiler
    customise = compiler._customize_flags

    def customised(flags: Any) -> Any:
        flags = customise(flags)
        flags.noalias = True
        return flags

    compiler._customize_flags = customised
    return compiled


def entry(function: Any) -> Any:
    """Compile what is called from Python, and keep it on disk. What can't be read there is compiled anew."""
    if config.DISABLE_JIT:
        return function
    compiled = numba.njit(cache=True, **OPTIONS)(function)
    cache = compiled._cache
    load = cache.load_overload

    def load_if_whole(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # unpickling what is damaged can raise anything
            cache.flush()
            return None

    cache.load_overload = load_if_whole
    return compiled


def compiled_function(source: str) -> Any:
    """The function ``program`` of generated source; numba compiles it when it is first called, if it hasn't before."""
    return load(HEADER + source).program


def load(source: str) -> ModuleType:
    """A module of generated source: from the cache if it was compiled before, and put there if not."""
    digest = hashlib.sha256("\n".join([source, *_depends_on()]).encode()).hexdigest()[:24]
    name = f"tinygrad_rnn_generated_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    if not path.exists() or path.read_bytes() != source.encode():
        _write_whole(path, source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


def _depends_on() -> list[str]:
    """What else compiled code depends on: the functions that are compiled into it, and who compiles."""
    sources = [Path(__file__).with_name(f"{name}.py").read_text("utf-8") for name in COMPILED_IN]
    return [numba.__version__, np.__version__, *sources]


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that another process sees all of it or none."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
