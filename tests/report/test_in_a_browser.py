"""The report in a real browser: it complains of nothing, asks nobody, and goes dark together with the graph in it."""

from __future__ import annotations

import shutil

import pytest

from tinygrad_rnn.report import learn, page, study_example, study_flows

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 100


def test_it_opens_and_goes_dark(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    path = tmp_path / "report.html"
    learned = learn(TEXT, "a text", seed=0, seconds=0.2, progress=False)
    path.write_text(page(study_example(), study_flows(), learned), encoding="utf-8")
    complaints: list[str] = []
    with playwright.sync_playwright() as running:
        try:
            browser = running.chromium.launch(executable_path=system, args=["--no-sandbox", "--disable-gpu"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium to start: {str(error).splitlines()[0]}")
        shown = browser.new_page(viewport={"width": 500, "height": 900}, color_scheme="light")
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        shown.on("request", lambda request: complaints.append(request.url) if request.url[:5] != "file:" else None)
        shown.goto(path.as_uri())
        inside = shown.frame_locator("iframe").locator("html")
        assert inside.get_attribute("data-theme") == "light"
        light = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        shown.locator("#theme").first.click()
        assert inside.get_attribute("data-theme") == "dark"
        assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != light
        assert shown.evaluate("document.documentElement.scrollWidth") <= 500  # nothing hangs over, on a phone either
        browser.close()
    assert complaints == []
