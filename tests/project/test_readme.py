"""What the README shows runs, and the two commands that it promises are there to be read."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


@pytest.mark.parametrize(
    ("marker", "ends_with"), [("main job", "-m tinygrad_rnn"), ("tests", "-m pytest")]
)
def test_the_two_commands_are_marked(marker: str, ends_with: str) -> None:
    block = re.compile(rf"^<!-- run: {marker} -->\n```sh\n([^\n]+)\n```$", flags=re.MULTILINE)
    (command,) = block.findall(README)
    assert command.startswith("python3 -m venv .venv && ")
    assert command.endswith(ends_with)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_that_runs_them_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
