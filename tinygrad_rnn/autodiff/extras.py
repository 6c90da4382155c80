"""Installation hints for optional libraries: the command in error messages, for any kind of installation."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def pip_install(extra: str) -> str:
    """Return the command that installs the libraries of an extra of ``setup.cfg``.

    An installed package, from a wheel or from its repository, is named in the command: pip finds it and adds the
    libraries of the extra. A package that is only imported from its folder has to be named by that folder.
    """
    folder = Path(__file__).resolve().parents[2]
    try:
        metadata.distribution("tinygrad_rnn")
    except metadata.PackageNotFoundError:
        return f'pip install -e "{folder}[{extra}]"'
    return f'pip install "tinygrad_rnn[{extra}]"'
