"""Pages of the site that the package itself makes while the site is built: to explore, and the tour's report."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS = os.environ.get("SITE_TRAINING_SECONDS", "8")  # how long the report's model learns


def pages() -> dict[str, str]:
    """Each page, whole, by its place in the site."""
    import tinygrad_rnn as tr

    gallery = _gallery()
    lstm = gallery.last_output(tr.nn.LSTMCell(3, 4, seed=0), 6)
    elman = gallery.elman_loss(5)
    with tempfile.TemporaryDirectory() as folder:
        film = tr.animate(elman, Path(folder) / "film.html", gradients=True, title="The two passes of an Elman network")
        playing = film.read_text("utf-8")
    return {
        "live/elman.html": tr.draw(elman, gradients=True, title="An Elman network over five steps").html,
        "live/lstm.html": tr.draw(lstm, gradients=True, formulas=True, title="An LSTM over six steps").html,
        "live/paths.html": gallery.paths().html,
        "live/film.html": playing,
        "live/derivation.html": tr.derive(elman).html(),
        "live/report.html": _report(),
    }


def _gallery() -> Any:
    """The program that makes the gallery, as a module."""
    spec = importlib.util.spec_from_file_location("gallery_of_the_site", ROOT / "examples" / "gallery.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _report() -> str:
    """The report of the tour, which is really taken."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tour"
        command = [sys.executable, "-m", "tinygrad_rnn", "tour", "--quiet", "--no-open", f"--seconds={SECONDS}"]
        subprocess.run([*command, f"--out={out}"], check=True, capture_output=True, cwd=ROOT)
        return (out / "report.html").read_text("utf-8")
