"""The site as it is built, in a browser: what the home page shows at once, what is live, and what a search finds."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.sweep  # building the site takes half a minute; `.ci/run` builds it and asks of that
NOTEBOOKS = sorted(path.stem for path in (ROOT / "examples" / "notebooks").glob("*.ipynb"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site, built as strictly as it is published; or of one that is built already."""
    for needed in ("mkdocs", "material", "mkdocstrings", "nbclient", "latex2mathml"):
        pytest.importorskip(needed, reason="needs the extra docs")
    folder = os.environ.get("SITE_FOLDER") or str(tmp_path_factory.mktemp("site"))
    if "SITE_FOLDER" not in os.environ:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
        quick = {**os.environ, "SITE_TRAINING_SECONDS": "1", "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
        built = subprocess.run(command, cwd=ROOT, env=quick, capture_output=True, text=True, timeout=600, check=False)
        assert built.returncode == 0, built.stderr[-3000:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture
def visit(browser, site):
    """Opens a page of the site; fails on errors, on what isn't there, and on anything loaded from elsewhere."""
    pages, complaints = [], []

    def opened(path, **options):
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        page.on("request", lambda asked: complaints.append(asked.url) if foreign(asked.url) else None)
        page.goto(site + path)
        pages.append(page)
        return page

    def foreign(url):
        return not url.startswith((site, "data:", "blob:", "about:"))

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def test_the_home_page_shows_the_ten_lines_and_a_picture_at_once(visit):
    page = visit("")
    code, picture = page.locator(".opening pre").bounding_box(), page.locator(".opening img").bounding_box()
    for seen in (code, picture):
        assert seen["y"] >= 0 and seen["y"] + seen["height"] <= 800 and seen["x"] + seen["width"] <= 1280
    assert page.locator(".opening img").evaluate("(image) => image.complete && image.naturalWidth > 300")
    lines = page.locator(".opening pre").inner_text().splitlines()
    assert any("tr.unroll" in line for line in lines) and any("loss.backward()" in line for line in lines)
    assert len([line for line in lines if line.strip()]) <= 14
    shown = "(pre) => pre.scrollWidth <= pre.clientWidth + 1"
    assert page.locator(".opening pre > code").evaluate(shown)  # no line is cut off


def test_the_home_page_fits_a_phone(visit):
    page = visit("", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".opening pre").bounding_box()["y"] < 500


@pytest.mark.parametrize("name", ["elman", "lstm", "paths"])
def test_pages_to_explore_are_on_the_site_and_play(visit, name):
    page = visit(f"live/{name}.html")
    page.locator("#next").click()
    assert page.locator("#phase").inner_text() == "forward: step 1"
    assert page.locator("g[data-v]").count() > 20


def test_the_derivation_the_report_and_the_film_are_on_the_site(visit):
    assert visit("live/derivation.html").locator("math").count() > 5
    assert "learns to write" in visit("live/report.html").locator("body").inner_text().lower()
    page = visit("live/film.html")
    page.wait_for_function("document.getElementById('phase').textContent.startsWith('forward: step 2')")


def test_all_of_them_are_linked_and_one_is_shown(visit):
    page = visit("live/")
    links = page.locator("article a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    for name in ("elman", "lstm", "paths", "film", "derivation", "report"):
        assert any(link.endswith(f"{name}.html") for link in links)
    frame = page.frame_locator("iframe.live")
    frame.locator("#next").click()
    assert frame.locator("#phase").inner_text() == "forward: step 1"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_there_with_all_that_it_shows(visit, name):
    page = visit(f"notebooks/{name}/")
    assert page.locator(".output").count() >= 5
    assert page.locator("math").count() >= 5
    text = page.locator("article").inner_text()
    assert "KEPT" not in text and "$" not in re.sub(r"`[^`]*`", "", text) and "Traceback" not in text
    assert page.locator(".output img, .output iframe").count() >= 1
    for frame in page.locator(".output iframe").all():
        frame.scroll_into_view_if_needed()
        frame.content_frame.locator("g[data-v]").first.wait_for()


@pytest.mark.parametrize(("words", "found"), [("p.grad", "p.grad"), ("unroll", "unroll"), ("GRUCell", "GRUCell")])
def test_a_search_finds_it(visit, words, found):
    page = visit("")
    for _ in range(40):  # what is typed before the search has its index is lost: type it anew
        page.locator(".md-search__input").fill("")
        page.locator(".md-search__input").press_sequentially(words)
        page.wait_for_timeout(1000)
        if page.locator(".md-search-result__item").count():
            break
    assert found.lower() in page.locator(".md-search-result__item").first.inner_text().lower()


def test_the_tutorial_leads_from_page_to_page(visit):
    page = visit("tutorial/1-article/")
    titles = [page.locator("h1").inner_text()]
    for _ in range(5):
        page.locator("article p a").last.click()
        page.wait_for_load_state()
        titles.append(page.locator("h1").inner_text())
    assert [title[:2] for title in titles] == [f"{n}." for n in range(1, 7)]


def test_the_members_of_nn_stand_on_pages_of_their_own_kind(visit):
    for kind, member in (("cells", "GRUCell"), ("layers", "LSTM"), ("losses", "cross_entropy"), ("losses", "ctc")):
        assert visit(f"api/nn/{kind}/").locator(f"h2:has-text('{member}')").count() >= 1


def test_the_changes_and_the_questions_are_on_the_site(visit):
    assert visit("whats-new/").locator("h1").inner_text().startswith("What's new")
    assert "PyTorch" in visit("faq/").locator("h2").first.inner_text()


def test_the_cheat_sheet_is_one_page_and_up_to_date():
    spec = importlib.util.spec_from_file_location("printing", ROOT / "docs" / "print_cheat_sheet.py")
    assert spec is not None and spec.loader is not None
    printing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(printing)
    pdf = (ROOT / "docs" / "cheat-sheet.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1 and len(pdf) < 100_000
    again = "out of date: python docs/print_cheat_sheet.py"
    assert printing.digest().encode() in pdf, again
