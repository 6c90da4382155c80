"""What a notebook shows: pictures as a page to explore, with the still picture under it, and all tables as tables."""

from __future__ import annotations

import base64
import html
import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.chromium import watched
from tests.viz.networks import elman
from tinygrad_rnn import explanation
from tinygrad_rnn.viz import draw


class Outline(HTMLParser):
    """Which tags there are, and the frame's content."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.frame, self.image = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        self.frame = found.get("srcdoc", self.frame)
        self.image = found.get("src", self.image) if tag == "img" else self.image


def test_a_picture_is_the_page_in_a_frame_over_the_still_picture():
    picture = draw(elman(3)[0], gradients=True)
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
    outline = Outline(bundle["text/html"])
    assert outline.tags == ["div", "img", "iframe"]  # all of the page is inside the frame's attribute
    assert outline.frame == picture.html
    kind, still = outline.image.split(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(still).decode() == bundle["image/svg+xml"] == picture.svg


def test_hostile_names_stay_inside_the_frame():
    w = tr.tensor(1.0, requires_grad=True, name='"></iframe><script>alert(1)</script>&quot;')
    outline = Outline(draw(w * w, title='"><script>x</script>')._repr_mimebundle_()["text/html"])
    assert outline.tags == ["div", "img", "iframe"]


def test_a_large_graph_is_a_still_picture():
    x = tr.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(2_001):
        y = y + 1.0
    assert set(draw(y)._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def recorded():
    W = tr.tensor(np.array([[0.5, -0.2], [0.3, 0.8]]), requires_grad=True, name="W<b>")
    hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((12, 2)), state=np.zeros(2))
    return W, hs, np.mean(hs**2)


def history():
    found = tr.training.History()
    for step in range(25):
        found.record(1 / (step + 1), symbols=10)
        if step % 10 == 9:
            found.validation.append((step + 1, 0.5))
    return found


def plan():
    W = tr.tensor(np.eye(2), requires_grad=True)
    cell = tr.compile(lambda x, h: np.tanh(x + h @ W))
    tr.unroll(cell, np.ones((3, 2)), state=np.zeros(2))
    return cell.plans[0]


SHOWN = {
    "terms": lambda: explanation.bptt_terms([np.sum(h) for h in recorded()[1]], recorded()[0]),
    "flow": lambda: explanation.gradient_flow(recorded()[2]),
    "one flow": lambda: explanation.gradient_flow(recorded()[2])["h"],
    "jacobians": lambda: explanation.state_jacobians(recorded()[2]),
    "saturation": lambda: explanation.saturation(recorded()[2]),
    "a table": lambda: explanation.state_jacobians(recorded()[2]).table("bound"),
    "report": lambda: tr.compare(recorded()[2], {"W<b>": np.zeros((2, 2))}),
    "history": history,
    "no history": tr.training.History,
    "plan": plan,
    "program": lambda: plan().program,
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_prints_a_table_shows_one(name):
    """Well-formed, every cell of the printed table in it, and nothing of a name taken for a tag."""
    found = SHOWN[name]()
    root = ET.fromstring(f"<div>{found._repr_html_()}</div>")
    assert root.find(".//table") is not None or root.find(".//pre") is not None
    assert root.find(".//b") is None
    text = " ".join(root.itertext())
    if hasattr(found, "table"):
        table = found.table() if callable(found.table) else found
        assert all(cell in text for row in table.rows for cell in row) and table.header
    assert "array(" not in text and "array(" not in repr(found)


def test_a_notebook_that_is_run_holds_all_of_it(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    sources = [
        "import numpy as np, tinygrad_rnn as tr\n"
        "W = tr.tensor(np.eye(2) / 2, requires_grad=True, name='W')\n"
        "hs, _ = tr.unroll(lambda x, h: np.tanh(x + h @ W), np.ones((4, 2)), np.zeros(2))\n"
        "loss = np.mean(hs ** 2); loss.backward(); tr.draw(loss, gradients=True)",
        "tr.explanation.gradient_flow(loss)",
        "tr.compare(loss, {'W': W.grad})",
        "h = tr.fit(tr.nn.Linear(2, 1), (np.ones((4, 2)), np.ones((4, 1))), 'mse', epochs=1)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert "training: 100%" in str(notebook.cells[-1].outputs)  # a bar, although there is no terminal
    shown = [cell.outputs[-1]["data"]["text/html"] for cell in notebook.cells[:-1]]
    assert "<iframe" in shown[0] and all("<table>" in text for text in shown[1:])


def test_the_frame_covers_the_picture_and_can_be_explored(browser, tmp_path):
    inline = draw(elman(4)[0], gradients=True)._repr_mimebundle_()["text/html"]
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'><p>cell</p>{inline}", "utf-8")
    complaints = []
    page = watched(browser, complaints, viewport={"width": 1100, "height": 900})
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("#next").click()
    assert frame.locator("#phase").inner_text() != "the whole graph"
    outer, picture = page.locator("iframe").bounding_box(), page.locator("img").bounding_box()
    assert outer["height"] >= 500 and outer["height"] >= picture["height"] and outer["width"] >= picture["width"]
    page.close()
    assert [text for text in complaints if not text.startswith("data:image")] == []


def test_without_frames_the_still_picture_is_there(browser, tmp_path):
    inline = draw(elman(4)[0])._repr_mimebundle_()["text/html"]
    sanitised = re.sub(r"<iframe.*</iframe>", "", inline, flags=re.S)
    assert html.unescape(sanitised).count("<script") == 0
    (tmp_path / "static.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{sanitised}", "utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "static.html").as_uri())
    assert page.locator("img").evaluate("image => image.complete && image.naturalWidth > 300")
    page.close()
