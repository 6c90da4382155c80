"""How the page opens, and how one gets about in it: readable and at the loss, on a desk, a phone and in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.chromium import watched
from tests.viz.networks import attending, built_in, elman, elman_at_once, language, stacked, without_time
from tinygrad_rnn.viz import draw

SCREENS = {"desk": (1600, 900), "laptop": (1100, 700), "phone": (390, 844)}
PICTURES = {
    "elman": lambda: draw(elman(5)[0]),
    "gradients": lambda: draw(elman(8)[0], gradients=True, formulas=True),
    "long": lambda: draw(elman(40)[0]),
    "loss_of_folded_steps": lambda: draw(elman_at_once(30)[0]),
    "lstm": lambda: draw(built_in(tr.nn.LSTMCell(3, 2), T=20), elide=False),
    "attention": lambda: draw(attending(6)),
    "rolled": lambda: draw(stacked(), view="rolled"),
    "scalar": lambda: draw(elman(2)[0], level="scalar"),
    "without_time": lambda: draw(without_time()),
}
# The least size of any text that is to be seen, and whether the loss is, both in pixels of the screen.
LEAST_TEXT = """() => Math.min(...[...document.querySelectorAll('#stage svg text, #stage svg tspan')]
    .filter((text) => text.textContent && getComputedStyle(text).display !== 'none')
    .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))"""
SEEN = """(box) => {
    const [b, s] = [box, document.querySelector('#stage')].map((element) => element.getBoundingClientRect());
    return b.left >= s.left && b.right <= s.right && b.top >= s.top && b.bottom <= Math.min(s.bottom, innerHeight); }"""

HOLDS_ITS_TEXT = """(box) => [...box.querySelectorAll('text')].map((text) => text.getBoundingClientRect().width).every(
    (width) => width > 0 && width <= box.querySelector('rect').getBoundingClientRect().width)"""


@pytest.fixture
def visit(browser, tmp_path):
    pages, complaints = [], []

    def opened(picture, screen="desk", **options):
        width, height = SCREENS[screen]
        page = watched(browser, complaints, viewport={"width": width, "height": height}, **options)
        page.goto(picture.save(tmp_path / f"page{len(pages)}.html").as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def view(page):
    return [float(n) for n in page.locator("#stage > svg").get_attribute("viewBox").split()]


def wait_until_moved(page, before):
    page.wait_for_function(
        "(before) => document.querySelector('#stage > svg').getAttribute('viewBox') !== before",
        arg=" ".join(f"{n:.15g}" for n in before),
    )


@pytest.mark.one_in(5)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PICTURES)
def test_the_page_opens_readable_and_at_the_loss(visit, name, screen):
    picture = PICTURES[name]()
    page = visit(picture, screen)
    assert page.evaluate(LEAST_TEXT) >= 10.99
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    root = picture.graph.vertices[picture.graph.roots[0]]
    named = page.locator("g.loss[data-v]").last if root.kind == "loss" else None
    assert named is None or (named.evaluate(SEEN) and named.evaluate(HOLDS_ITS_TEXT))


def test_all_of_it_can_be_reached_by_scrolling(visit):
    page = visit(draw(elman(40)[0]), "phone")
    stage = page.locator("#stage")
    assert stage.evaluate("(s) => s.scrollWidth > s.clientWidth && s.scrollHeight > s.clientHeight")
    for corner, box in ((0, page.locator("g.parameter[data-v]").first), (1, page.locator("g.loss[data-v]").last)):
        before = view(page)
        stage.evaluate("(s, c) => s.scrollTo(c * s.scrollWidth, (1 - c) * s.scrollHeight)", corner)
        wait_until_moved(page, before)
        if corner:
            stage.evaluate("(s) => s.scrollTo(s.scrollWidth, 0)")
        page.wait_for_timeout(100)
        assert box.evaluate(SEEN)


def test_a_wheel_to_the_side_scrolls(visit):
    page = visit(draw(elman(40)[0]), "laptop")
    page.mouse.move(400, 400)
    before = view(page)
    page.mouse.wheel(-300, 0)
    wait_until_moved(page, before)
    after = view(page)
    assert after[0] < before[0] and after[1:] == pytest.approx(before[1:], abs=1)


def test_the_minimap_shows_where_one_is_and_leads_elsewhere(visit):
    page = visit(draw(elman(40)[0]), "laptop")
    frame = page.locator("#map div")
    start = frame.bounding_box()
    whole = page.locator("#map").bounding_box()
    assert start["x"] > whole["x"] + whole["width"] / 2  # at the loss, on the right
    before = view(page)
    page.mouse.click(whole["x"] + 5, whole["y"] + whole["height"] - 5)
    assert view(page)[0] < before[0] and view(page)[1] > before[1]
    assert frame.bounding_box()["x"] < start["x"]
    page.locator("#fit").click()
    assert not page.locator("#map").is_visible()  # all is in sight: nowhere to go
    page.keyboard.press("Escape")
    page.locator("#stage").focus()
    page.keyboard.press("0")
    assert view(page) == pytest.approx(before, abs=0.5)


def test_fit_shows_all_of_it(visit):
    page = visit(draw(elman(8)[0], gradients=True), "laptop")
    page.locator("#fit").click()
    for box in (page.locator("g.parameter[data-v]").first, page.locator("g.loss[data-v]").last):
        assert box.evaluate(SEEN)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("T", "words"), [(1, "there is one step"), (5, "only 5 steps"), (8, "only 8 steps")])
def test_fold_says_when_there_is_nothing_to_fold(visit, T, words):
    page = visit(draw(elman(T)[0]))
    page.locator("#fold").click()
    said = page.locator("#said")
    assert said.is_visible() and "Nothing to fold" in said.inner_text() and words in said.inner_text()
    page.locator("#unfold").click()
    assert said.inner_text() == "Nothing is folded."


def test_fold_says_what_it_folded_or_that_it_has(visit):
    page = visit(draw(elman(12)[0], elide=False))
    page.locator("#fold").click()
    assert page.locator("#said").inner_text() == "Folded: steps 3 to 9."
    page.locator("#fold").click()
    assert page.locator("#said").inner_text() == "Folded already: steps 3 to 9."
    page.locator("#unfold").click()
    assert not page.locator("#said").is_visible()


def test_fold_of_a_rolled_picture_says_why_not(visit):
    page = visit(draw(elman(12)[0], view="rolled"))
    page.locator("#fold").click()
    assert "one step stands for all" in page.locator("#said").inner_text()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("screen", SCREENS)
def test_the_name_of_a_wide_bar_and_of_a_layer_stay_in_sight(visit, screen):
    page = visit(draw(language(), elide=False, values=True), screen)
    stage = page.locator("#stage")
    for share in (0, 0.3, 0.6, 1):
        stage.evaluate("(s, share) => s.scrollTo(share * (s.scrollWidth - s.clientWidth), 0)", share)
        page.wait_for_timeout(100)
        name = page.locator("g.operation[data-v] text", has_text=re.compile("^stack$"))
        assert name.count() == 1
        inside = "(t) => { const b = t.getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth; }"
        assert name.evaluate(inside)
        assert page.locator("text.lane-title").first.evaluate(inside)


def test_playing_keeps_the_step_in_sight(visit):
    page = visit(draw(elman(12)[0], elide=False), "phone")
    page.locator("#next").click()
    assert page.locator("#phase").inner_text() == "forward: step 1"
    seen = "(h) => { const b = h.getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth; }"
    assert page.locator("text.heading[data-t='1']").evaluate(seen)
    for _ in range(11):
        page.locator("#next").click()
    assert page.locator("text.heading[data-t='12']").evaluate(seen)


def test_arrow_keys_bring_the_node_into_sight(visit):
    page = visit(draw(elman(40)[0]), "phone")
    page.locator("#stage").focus()
    for _ in range(6):
        page.keyboard.press("ArrowUp")
        assert page.locator("g.chosen").evaluate("(b) => b.getBoundingClientRect().right > 0")


@pytest.mark.sweep
def test_in_a_notebook_it_opens_readable_and_the_wheel_scrolls_the_notebook(browser, tmp_path):
    inline = draw(built_in(tr.nn.LSTMCell(3, 2), T=6), gradients=True)._repr_mimebundle_()["text/html"]
    text = f"<!DOCTYPE html><meta charset='utf-8'><body>{inline}<div style='height:3000px'>more</div>"
    (tmp_path / "notebook.html").write_text(text, "utf-8")
    page = browser.new_page(viewport={"width": 900, "height": 700})
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("g.loss[data-v]").wait_for()
    page.wait_for_timeout(200)
    inside = page.frames[1]
    assert inside.evaluate(LEAST_TEXT) >= 10.99
    assert frame.locator("g.loss[data-v]").evaluate(SEEN)
    scale = "document.querySelector('#stage > svg').getScreenCTM().a"
    before = inside.evaluate(scale)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 200)
    page.wait_for_timeout(200)
    assert inside.evaluate(scale) == before
    frame.locator("#stage").click(position={"x": 20, "y": 20})
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(200)
    assert inside.evaluate(scale) > before
    page.close()
    assert np.isfinite(before)
