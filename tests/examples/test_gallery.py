"""The committed gallery is what the code draws, and its program writes over nothing unasked."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
spec = importlib.util.spec_from_file_location("gallery_page", EXAMPLES / "gallery.py")
assert spec is not None and spec.loader is not None
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)

AGAIN = "the gallery is out of date: python examples/gallery.py --out examples/gallery --overwrite"


@functools.cache
def files():
    """What the program draws, drawn once."""
    pytest.importorskip("matplotlib")
    return gallery.files()


def drawing(svg):
    """What a plot shows, without coordinates: Matplotlib's versions and processors differ in their last digits."""
    return re.sub(rb"<metadata>.*?</metadata>|<image .*?/>|[-+\d.]+|\s+|id=\S+|#\w+", b"", svg, flags=re.DOTALL)


def version(svg):
    return re.search(rb"Matplotlib v[\d.]+", svg).group()


def test_every_file_is_up_to_date():
    made = {name: content.encode() for name, content in files().items()}
    committed = {path.name: path.read_bytes().replace(b"\r\n", b"\n") for path in (EXAMPLES / "gallery").iterdir()}
    assert sorted(committed) == sorted(made)
    plots = {f"{make.__name__}.svg" for make in gallery.PLOTS}
    for name, content in made.items():
        if name not in plots:
            assert committed[name] == content, f"{name}: {AGAIN}"
        elif version(content) == version(committed[name]):
            assert drawing(committed[name]) == drawing(content), f"{name}: {AGAIN}"


@pytest.mark.parametrize("make", gallery.PLOTS, ids=lambda make: make.__name__)
def test_plots_are_small_and_the_same_every_time(make):
    svg = files()[f"{make.__name__}.svg"]
    assert svg == gallery.plotted(make)
    assert len(svg) < 50_000
    assert "<dc:date>" not in svg


def test_nothing_is_written_over_unasked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gallery, "files", files)
    gallery.main(["--out", str(tmp_path)])
    mine = tmp_path / "elman.svg"
    mine.write_text("mine")
    with pytest.raises(SystemExit):
        gallery.main(["--out", str(tmp_path)])
    assert "elman.svg" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    gallery.main(["--out", str(tmp_path), "--overwrite"])
    assert mine.read_text().startswith("<svg")
