"""The page, driven in a real browser as a reader would: playing, hovering, following paths, folding, by keyboard."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.chromium import watched
from tests.viz.networks import elman, elman_at_once
from tinygrad_rnn.viz import draw

T = 5


@pytest.fixture
def visit(browser, tmp_path):
    """Opens the page of a picture; fails on anything that the page complains about or asks the network for."""
    pages, complaints = [], []

    def opened(picture, **options):
        page = watched(browser, complaints, viewport={"width": 1600, "height": 900}, **options)
        page.goto(picture.save(tmp_path / f"page{len(pages)}.html").as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []


def go_to(page, phase):
    """Press "one step on" until the page says that it is there."""
    page.locator("#slider").fill("0")
    for _ in range(3 * T + 5):
        if page.locator("#phase").inner_text() == phase:
            return
        page.locator("#next").click()
    raise AssertionError(f"the page never said {phase!r}")


def shown_sum(page, name):
    return np.array(json.loads(page.locator(f'td[data-parameter="{name}"]').get_attribute("data-value")))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("make", [elman, elman_at_once])
def test_each_backward_step_adds_its_term_to_the_gradient(visit, make):
    loss, leaves = make(T)
    picture = draw(loss, gradients=True)
    contributions = {}
    for n, edge in enumerate(picture.graph.edges):
        name = picture.graph.vertices[edge.source].title
        if name in leaves:
            contributions.setdefault(name, []).append(
                (picture.graph.vertices[edge.target].step, picture.measured.contribution[n])
            )
    page = visit(picture)
    for k in range(T, 0, -1):
        go_to(page, f"backward: step {k}")
        for name, found in contributions.items():
            expected = sum(c for step, c in found if step is None or step >= k)
            np.testing.assert_allclose(
                shown_sum(page, name), np.ravel(expected + np.zeros(leaves[name].shape)), atol=1e-10
            )
    loss.backward()
    np.testing.assert_allclose(shown_sum(page, "W"), leaves["W"].grad.ravel(), atol=1e-10)
    first = f"{leaves['W'].grad[0, 0]:.4g}".replace("-", "−")
    assert page.locator('td[data-parameter="W"]').inner_text().startswith(first)


@pytest.mark.sweep
def test_the_forward_pass_grows_step_by_step(visit):
    page = visit(draw(elman(T)[0]))
    later = []
    for k in range(1, T + 1):
        go_to(page, f"forward: step {k}")
        later.append(page.locator("g[data-v].later").count())
    assert later == sorted(later, reverse=True) and later[0] > later[-1] == 0
    go_to(page, "backward: step 2")
    assert page.locator("path.flows[data-t='2']").count() > 5
    assert page.locator("path.flows[data-t='1']").count() == 0


def test_play_goes_through_all_frames_and_stops(visit):
    page = visit(draw(elman(2)[0]))
    page.locator("#play").click()
    page.wait_for_function("document.getElementById('phase').textContent === 'backward: step 1'", timeout=20_000)
    page.wait_for_function("document.getElementById('play').textContent.includes('play')")


def test_pointing_at_a_node_tells_of_it(visit):
    page = visit(draw(elman(T)[0]))
    page.locator("g.state[data-t='3']").hover()
    told = page.locator("#details").inner_text()
    equation = "h_t = tanh(x_t U + h_{t-1} W + b)"
    for part in ("h₃ = tanh", equation, "value: ", "gradient: ", "local derivative: ∂y/∂a = 1 − y²"):
        assert part in told


def test_a_loss_term_and_a_parameter_show_their_paths_and_terms(visit):
    loss, _ = elman(T)
    picture = draw(loss, highlight=(3, "W"))
    page = visit(picture)
    page.locator("#clear").click()
    page.locator("#loss").select_option("3")
    page.locator("#parameter").select_option("W")
    dimmed = page.locator("g[data-v].dim").evaluate_all("(boxes) => boxes.map((box) => Number(box.dataset.v))")
    assert sorted(dimmed) == [i for i, vertex in enumerate(picture.graph.vertices) if not vertex.lit]
    terms = page.locator("#terms li").all_inner_texts()
    assert [re.split(r"\s*\n", term)[0] for term in terms] == [term.formula for term in picture.terms]
    page.locator("#clear").click()
    assert page.locator(".dim").count() == 0


def test_a_highlight_is_chosen_from_the_start(visit):
    page = visit(draw(elman(T)[0], highlight=(2, "U")))
    assert page.locator("#loss").input_value() == "2"
    assert page.locator("#terms li").count() == 2
    assert page.locator("g[data-v].dim").count() > 0


def test_clicking_chooses_them_too(visit):
    page = visit(draw(elman(T)[0]))
    page.locator("g.parameter[data-v]").filter(has_text="W").click()
    assert page.locator("#parameter").input_value() == "W"
    page.locator("g.operation[data-t='4']").filter(has_text=re.compile("^Σ")).click()
    assert page.locator("#loss").input_value() == "4"
    assert page.locator("#terms li").count() == 4


def test_steps_fold_and_unfold(visit):
    page = visit(draw(elman(20)[0]))

    def width(t):
        column = page.locator(f"rect.column[data-t='{t}']")
        return round(column.evaluate("(rect) => Number(rect.getAttribute('width'))"), 3)

    assert width(10) < 40 < width(1)
    page.locator("#unfold").click()
    assert width(10) == width(1)
    page.locator("text.heading[data-t='1']").click()
    assert width(1) < 40
    page.locator("text.heading[data-t='1']").press("Enter")
    assert width(1) > 40
    page.locator("#fold").click()
    assert width(10) < 40


def test_the_keyboard_is_enough(visit):
    page = visit(draw(elman(T)[0]))
    page.locator("#stage").focus()
    box = lambda: page.locator("#stage svg").get_attribute("viewBox")  # noqa: E731
    start = box()
    page.keyboard.press("+")
    assert box() != start
    page.keyboard.press("0")
    assert box() == start
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("g.chosen").count() == 1
    assert "value: " in page.locator("#details").inner_text()
    page.keyboard.press(".")
    assert page.locator("#phase").inner_text() == "forward: step 1"
    page.keyboard.press(",")
    assert page.locator("#phase").inner_text() == "the whole graph"
    focused = page.evaluate("getComputedStyle(document.getElementById('stage')).outlineStyle")
    assert focused != "none"


def test_the_wheel_zooms_and_dragging_pans(visit):
    page = visit(draw(elman(T)[0]))
    view = lambda: [float(n) for n in page.locator("#stage svg").get_attribute("viewBox").split()]  # noqa: E731
    page.mouse.move(500, 450)
    before = view()
    page.mouse.wheel(0, -300)
    page.wait_for_function(
        f"document.querySelector('#stage svg').getAttribute('viewBox') !== '{' '.join(f'{n:g}' for n in before)}'"
    )
    after = view()
    assert after[2] < before[2]
    page.mouse.down()
    page.mouse.move(400, 450)
    page.mouse.up()
    assert view()[0] > after[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_reader(visit, scheme):
    page = visit(draw(elman(2)[0]), color_scheme=scheme)
    paper = "getComputedStyle(document.querySelector('#stage svg')).backgroundColor"
    colors = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 24, 31)"}
    assert page.evaluate(paper) == colors.pop(scheme)
    page.locator("#theme").click()
    assert page.evaluate(paper) == colors.popitem()[1]


def test_a_page_of_twenty_steps_is_small(tmp_path):
    assert draw(elman(20)[0]).save(tmp_path / "page.html").stat().st_size <= 300 * 1024
    assert draw(elman(20)[0], values=True, gradients=True).save(tmp_path / "page.html").stat().st_size <= 300 * 1024


def test_a_page_loads_nothing():
    page = draw(elman(2)[0]).html
    assert not re.findall(r"""(?:src|href)\s*=|@import|url\((?!#)""", page)
