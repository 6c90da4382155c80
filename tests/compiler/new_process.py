"""What another process would do that finds the same cache folder, without the seconds that it takes to start one."""

import contextlib
import weakref

import pytest


@contextlib.contextmanager
def nothing_compiled_yet(folder, **environment):
    """This process, without the machine code that it has; what it makes meanwhile it forgets at the end.

    Yields:
        A list to which each text is added that is translated anew.
    """
    cache = pytest.importorskip("tinygrad_rnn.compiler.runtime.cache")
    made, make = [], cache.engine.machine_code

    def counted(source, form, name):
        made.append(source)
        return make(source, form, name)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"XDG_CACHE_HOME": str(folder), **environment}.items():
            patch.setenv(name, value)
        patch.setattr(cache, "_functions", {})
        patch.setattr(cache, "_running", weakref.WeakValueDictionary())
        patch.setattr(cache.engine, "machine_code", counted)
        yield made
