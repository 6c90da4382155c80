"""What errors say of optional libraries: a command that works however the package was installed."""

from __future__ import annotations

import configparser
import re
from importlib import metadata
from pathlib import Path

import pytest

from tinygrad_rnn.autodiff.extras import pip_install

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "tinygrad_rnn").rglob("*.py"))


def test_each_extra_that_is_named_is_there() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {
        name
        for path in SOURCES
        for name in re.findall(r"(?:pip_install|optional)\(['\"](\w+)", path.read_text("utf-8"))
    }
    assert {"plot", "jit", "io", "mpi", "onnx", "render", "pandas"} <= named
    assert named <= set(config["options.extras_require"])


def test_the_command_is_written_in_one_place() -> None:
    written = [path.name for path in SOURCES if "pip install" in path.read_text("utf-8")]
    assert sorted(written) == ["dot.py", "extras.py"]  # the Python package graphviz is no extra


def test_an_installed_package_is_asked_for_by_name() -> None:
    assert pip_install("plot") == 'pip install "tinygrad_rnn[plot]"'


def test_one_that_is_only_imported_is_named_by_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    pip_install.cache_clear()
    try:
        assert pip_install("plot") == f'pip install -e "{ROOT}[plot]"'
    finally:
        pip_install.cache_clear()
