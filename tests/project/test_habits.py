"""What outsiders see of the project agrees with what it claims."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SLOW_FILES

ROOT = Path(__file__).parents[2]
SYSTEMS = {"MacOS": "macos", "Microsoft :: Windows": "windows", "POSIX :: Linux": "ubuntu"}


def workflow(name: str) -> Any:
    yaml = pytest.importorskip("yaml", reason="comes with the extra docs")
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def classifiers() -> str:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return settings["metadata"]["classifiers"]


def test_what_is_claimed_is_what_the_matrix_runs() -> None:
    matrix = workflow("tests.yml")["jobs"]["suite"]["strategy"]["matrix"]
    assert re.findall(r":: (3\.\d+)$", classifiers(), re.MULTILINE) == matrix["python"]
    claimed = [SYSTEMS[name] for name in re.findall(r"Operating System :: (.+)$", classifiers(), re.MULTILINE)]
    assert sorted(claimed) == sorted(system.partition("-")[0] for system in matrix["os"])


def test_a_workflow_runs_the_script_that_decides() -> None:
    steps = workflow("tests.yml")["jobs"]["everything"]["steps"]
    assert any(step.get("run") == "bash .ci/run" for step in steps)


def test_the_files_that_are_called_slow_are_there() -> None:
    assert not [str(path) for path in SLOW_FILES if not path.is_file()]
