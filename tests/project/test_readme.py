"""What the README shows runs, and the two commands that it promises are there to be read."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def run_blocks(*blocks: str) -> dict[str, Any]:
    """The names that the blocks define, run one after another."""
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the blocks may write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_blocks_run(in_an_empty_folder: Path) -> None:
    assert BLOCKS
    run_blocks(*BLOCKS)
    (written,) = in_an_empty_folder.iterdir()
    shown = ROOT / "examples" / "gallery" / written.name  # the picture at the top is the one that the code draws
    assert f'<img src="examples/gallery/{written.name}"' in README
    assert written.read_text(encoding="utf-8") == shown.read_text(encoding="utf-8")


def test_the_table_is_what_compare_prints() -> None:
    """But for the last digits, which another BLAS may round otherwise."""
    network, derivation = BLOCKS[:2]
    report = run_blocks(network, derivation)["report"]
    printed = README.split("<!-- comparison-table -->\n")[1].split("\n\nHad you written")[0]
    figures = re.compile(r"\d\.\de[+-]\d\d|(?<=\| )0(?= \|)")
    assert figures.sub("#", printed) == figures.sub("#", report.markdown())
    assert max(float(number) for number in figures.findall(printed)) < 1e-9


def test_the_derivation_is_what_derive_prints() -> None:
    shown = re.findall(r"^<!-- derivation -->\n```text\n(.*?)\n```$", README, flags=re.MULTILINE | re.DOTALL)
    assert shown == [str(run_blocks(*BLOCKS[:3])["derivation"])]


def test_the_slip_that_it_tells_of_is_found() -> None:
    network, derivation = BLOCKS[:2]
    line = "np.outer(h[t - 1], delta)"
    assert line in derivation
    report = run_blocks(network, derivation.replace(line, "np.outer(h[t], delta)"))["report"]
    (told,) = re.findall(r"^> (.*)$", README, flags=re.MULTILINE)
    assert not report.agrees and told in report.sentences()
    number = 1 + derivation[: derivation.index("np.outer(h[t - 1], delta)")].count("\n")
    assert any(f"line {number} of by_hand" in note for note in report.notes)


def test_the_pictures_are_there() -> None:
    paths = re.findall(r'<img src="([^"]+)"', README)
    assert paths and all((ROOT / path).is_file() for path in paths)


def test_the_film_of_the_tour_is_small_whole_and_loads_nothing() -> None:
    film = (ROOT / "docs" / "tour.svg").read_bytes()
    assert len(film) < 2_000_000
    root = ET.fromstring(film)
    words = re.sub(r"\s", "", "".join(root.itertext()))  # a terminal's film places word by word
    assert "All5gradientsagree" in words and "report.html" in words  # from the first lines to the last
    links = {value for part in root.iter() for name, value in part.attrib.items() if name.endswith("href")}
    assert all(link.startswith("#") for link in links) and b"url(http" not in film and b"@import" not in film


@pytest.mark.parametrize(("marker", "ends_with"), [("main job", "-m tinygrad_rnn"), ("tests", "-m pytest -n auto")])
def test_the_two_commands_are_marked(marker: str, ends_with: str) -> None:
    block = re.compile(rf"^<!-- run: {marker} -->\n```sh\n([^\n]+)\n```$", flags=re.MULTILINE)
    (command,) = block.findall(README)
    assert command.startswith("python3 -m venv .venv && ")
    assert command.endswith(ends_with)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_that_runs_them_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
