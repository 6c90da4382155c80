"""The pages in a real browser: they complain of nothing, ask nobody, and go dark together with the graph in them."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from tests.chromium import watched
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.derivation import derive
from tinygrad_rnn.derivation.writing.page import FONTS
from tinygrad_rnn.report.findings import learn, study_example, study_flows
from tinygrad_rnn.report.networks import BY_NAME
from tinygrad_rnn.report.pages import comparison_page, page

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 100
NARROW = {"width": 500, "height": 900}  # as on a phone


def tour() -> str:
    return page(study_example(), study_flows(), learn(TEXT, "a text", seed=0, seconds=0.2, progress=False))


def _fonts() -> list[str]:
    return subprocess.run(["fc-list", ":", "family"], capture_output=True, text=True, check=True).stdout.splitlines()


def comparison() -> str:
    w = {"w": np.ones((6, 6))}
    return comparison_page(compare(lambda p: np.sum(p["w"] ** 2), lambda p: {"w": 3 * p["w"]}, w))


def test_subscripts_of_a_derivation_stand_below_the_line(browser, tmp_path):
    if shutil.which("fc-list") is None or not any(f'"{font}"' in FONTS for font in _fonts()):
        pytest.skip("needs a font for mathematics")
    path = tmp_path / "derivation.html"
    path.write_text(derive(BY_NAME["elman"](3).loss).html(), encoding="utf-8")
    below = """[...document.querySelectorAll("msub")].map(({ children: [base, index] }) =>
        index.getBoundingClientRect().bottom - base.getBoundingClientRect().bottom)"""
    shown = watched(browser, [])
    shown.goto(path.as_uri())
    assert min(shown.evaluate(below)) > 2


@pytest.mark.one_in(2)
@pytest.mark.parametrize("html", [tour, comparison])
def test_it_opens_and_goes_dark(html, browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html(), encoding="utf-8")
    complaints: list[str] = []
    shown = watched(browser, complaints, viewport=NARROW, color_scheme="light")
    shown.goto(path.as_uri())
    light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    graphs = [frame.locator("html") for frame in shown.frames[1:]]
    assert [graph.get_attribute("data-theme") for graph in graphs] == ["light"] * len(graphs)
    shown.locator("#theme").first.click()
    assert [graph.get_attribute("data-theme") for graph in graphs] == ["dark"] * len(graphs)
    assert len(graphs) == (html is tour)
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert shown.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]  # nothing hangs over
    assert complaints == []
