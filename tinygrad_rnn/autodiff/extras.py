"""Optional libraries: imported where they are used, with the command that installs them in the error message."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any


class MissingLibrary(ImportError):
    """The error for an optional library that isn't installed."""


def optional(extra: str, name: str, what: str) -> Any:
    """Return a module of an optional library.

    Args:
        extra: the extra of ``setup.cfg`` to which the library belongs.
        name: the name of the module.
        what: the thing that needs it, for the error message.

    Raises:
        MissingLibrary: it isn't installed.
    """
    try:
        importlib.import_module(name.partition(".")[0])
        return importlib.import_module(name)
    except ImportError:
        raise MissingLibrary(f"{what}: {pip_install(extra)}") from None


def axes_for(ax: Any, what: str = "plots need matplotlib") -> Any:
    """Return the ``ax``; for None, that of a new figure, made by pyplot so that notebooks and ``plt.show()`` show it.

    Raises:
        MissingLibrary: matplotlib isn't installed.
    """
    if ax is not None:
        return ax
    return optional("plot", "matplotlib.pyplot", what).subplots(layout="constrained")[1]


@cache
def pip_install(extra: str) -> str:
    """Return the command that installs the libraries of an extra of ``setup.cfg``.

    An installed package, from a wheel or from its repository, is named in the command: pip finds it and adds the
    libraries of the extra. A package that is only imported from its folder has to be named by that folder.
    """
    from importlib import metadata  # which takes a while, and only an error needs it

    folder = Path(__file__).resolve().parents[2]
    try:
        metadata.distribution("tinygrad_rnn")
    except metadata.PackageNotFoundError:
        return f'pip install -e "{folder}[{extra}]"'
    return f'pip install "tinygrad_rnn[{extra}]"'
