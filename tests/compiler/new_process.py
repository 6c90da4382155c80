"""What another process would do that finds the same cache folder, without the seconds that it takes to start one."""

import contextlib
import sys

import pytest


def generated():
    """The modules of generated code that this process has, by name."""
    return {name: module for name, module in sys.modules.items() if name.startswith("tinygrad_rnn_generated")}


@contextlib.contextmanager
def nothing_compiled_yet(cache, **environment):
    """This process, without the machine code that it has; what it makes meanwhile it forgets at the end."""
    known = generated()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"XDG_CACHE_HOME": str(cache), **environment}.items():
            patch.setenv(name, value)
        for name in known:
            del sys.modules[name]
        try:
            yield
        finally:
            for name in generated():
                del sys.modules[name]
            sys.modules.update(known)
