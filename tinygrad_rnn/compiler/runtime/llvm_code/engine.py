"""LLVM: it makes machine code of a translation, for the processor at hand, and loads machine code that was kept."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from ....autodiff.extras import pip_install
from ..tiles import processor
from .entry import Form, addresses, write_entry
from .functions import COSTLY
from .numbers import NotTranslated
from .translator import Translation

EFFORT = 3  # how much LLVM does to make code fast, from 0 to 3, as compilers count; most of its time goes there
METH_FASTCALL = 0x80
CALLED = {*COSTLY, "pow"}  # of LLVM's own functions: those for which it calls the C library's
_lock = threading.Lock()


class Method(ctypes.Structure):
    """A function of C as Python's ``PyMethodDef`` describes it."""

    _fields_ = (("name", ctypes.c_void_p), ("run", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_void_p))


class Machine(NamedTuple):
    """The parts of LLVM that make machine code, and that load it."""

    target: Any
    engine: Any


@cache
def machine() -> Machine:
    """LLVM for this processor."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple, name, features = processor()
    target = llvm.Target.from_triple(triple).create_target_machine(
        cpu=name,
        features=features,
        opt=EFFORT,
        reloc="static" if triple.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )
    return Machine(target, llvm.create_mcjit_compiler(llvm.parse_assembly(""), target))


def machine_code(source: str, form: Form, name: str) -> bytes:
    """Machine code for a text, as the bytes of an object file.

    Raises:
        NotTranslated: something in it has no translation.
        ImportError: llvmlite is older than 0.44.
    """
    if not hasattr(llvm, "create_pass_builder"):
        raise ImportError(f"llvmlite is too old: {pip_install('jit')}")
    module = ir.Module(name)
    module.triple = llvm.get_process_triple()
    write_entry(Translation(source, module), form, name)
    with _lock:
        target = machine().target
        module.data_layout = str(target.target_data)
        parsed = llvm.parse_assembly(str(module))
        parsed.verify()  # of what isn't well-formed LLVM would make anything
        for function in parsed.functions:
            if function.is_declaration and not _is_there(function.name):
                raise NotTranslated(function.name)
        options = llvm.create_pipeline_tuning_options(speed_level=EFFORT)
        options.loop_vectorization = options.slp_vectorization = True
        passes = llvm.create_pass_builder(target, options)
        passes.getModulePassManager().run(parsed, passes)
        made: bytes = target.emit_object(parsed)
    return made


def _is_there(name: str) -> bool:
    """Return True if this process has a function, or LLVM does without: to call a missing one ends the process."""
    own = re.fullmatch(r"llvm\.(\w+)\.f(32|64)", name)
    if own is None:
        return name.startswith("llvm.") or llvm.address_of_symbol(name) is not None
    of_c = own[1] + ("f" if own[2] == "32" else "")
    return own[1] not in CALLED or llvm.address_of_symbol(of_c) is not None


def loaded(code: bytes, form: Form, name: str) -> Callable[..., int]:
    """The function in an object file, for arguments of this form; it gives 1 for others, and has done nothing then.

    Raises:
        RuntimeError: it isn't there.
    """
    with _lock:
        engine = machine().engine
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_function_address(name)
    if not address:
        raise RuntimeError("no machine code")
    create = ctypes.pythonapi.PyCFunction_NewEx
    create.restype, create.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    bound, described_at = _bound(form, address, name)
    made: Callable[..., int] = create(described_at, bound, None)
    return made


def _bound(form: Form, address: int, name: str) -> tuple[np.ndarray, int]:
    """The array that a function is bound to, and the address of the function's description in it.

    Python reads the description once more when it frees the function. So it lies in the array that the function is
    bound to, which is freed after it: anywhere else it may be gone when the process ends.
    """
    own = addresses(form)
    text = np.frombuffer(name.encode().ljust(len(name) // 8 * 8 + 8, b"\0"), np.int64)
    bound = np.concatenate([own, np.zeros(ctypes.sizeof(Method) // own.itemsize, np.int64), text])
    description_at = bound.ctypes.data + own.nbytes
    name_at = description_at + ctypes.sizeof(Method)
    description = Method.from_address(description_at)
    description.name, description.run, description.flags = name_at, address, METH_FASTCALL
    return bound, description_at
