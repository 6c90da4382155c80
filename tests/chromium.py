"""A real browser for the tests of what is written as HTML."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless Chromium: the system's where there is one, else the one that Playwright brought; else a skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    system = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with playwright.sync_playwright() as running:
        try:
            started = running.chromium.launch(executable_path=system, args=options)
        except playwright.Error as error:
            pytest.skip(f"no Chromium to start: {str(error).splitlines()[0]}")
        yield started
        started.close()


def watched(browser: Any, complaints: list[str], **options: Any) -> Any:
    """A new page; what it complains about, and what it asks the network for, is put down."""
    page = browser.new_page(**options)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if request.url[:5] != "file:" else None)
    return page
