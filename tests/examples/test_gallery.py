"""The committed gallery is what the code draws, and its program writes over nothing unasked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
spec = importlib.util.spec_from_file_location("gallery_page", EXAMPLES / "gallery.py")
assert spec is not None and spec.loader is not None
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)

AGAIN = "the gallery is out of date: python examples/gallery.py --out examples/gallery --overwrite"


def test_every_file_is_up_to_date():
    made = {name: content.encode() for name, content in gallery.files().items()}
    committed = {path.name: path.read_bytes().replace(b"\r\n", b"\n") for path in (EXAMPLES / "gallery").iterdir()}
    assert sorted(committed) == sorted(made)
    for name, content in made.items():
        assert committed[name] == content, f"{name}: {AGAIN}"


def test_nothing_is_written_over_unasked(tmp_path, capsys):
    gallery.main(["--out", str(tmp_path)])
    mine = tmp_path / "elman.svg"
    mine.write_text("mine")
    with pytest.raises(SystemExit):
        gallery.main(["--out", str(tmp_path)])
    assert "elman.svg" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    gallery.main(["--out", str(tmp_path), "--overwrite"])
    assert mine.read_text().startswith("<svg")
