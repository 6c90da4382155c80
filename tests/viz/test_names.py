"""Whatever things are called: every format holds the same picture, and the names as they were given, as text."""

import functools
import json
import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.chromium import chromium, watched
from tests.names import NAMES
from tinygrad_rnn.autodiff.texts import printable
from tinygrad_rnn.viz import draw
from tinygrad_rnn.viz.formats.graphviz import NoRenderer, render

# Nothing in a page asks for more than these names; a whole page for each of all names would take minutes.
FOR_A_BROWSER = [
    "<!--<script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a\u2028b", "__proto__",
    "\x1b[31mred", "a\r\nb", " a  b ", "'\"", "W²", "&amp;", "constructor", "`${alert(1)}`", "url(#line)", "\ud800",
]  # fmt: skip


def network(name):
    """A name for a parameter, a gate, a state, an output and a layer."""
    rng = np.random.default_rng(0)
    W = tr.tensor(rng.normal(size=(2, 2)), requires_grad=True, name=name)

    def cell(x, state):
        h = tr.named(name, np.tanh(x + state[name] @ W))
        return h, {name: h}

    with tr.scope(layer=name):
        ys, _ = tr.unroll(cell, rng.normal(size=(3, 2)), state={name: np.zeros(2)})
    return np.sum(ys**2)


@functools.cache
def pictured(name):
    return draw(network(name), title=name, formulas=True, gradients=True)


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_the_same_but_for_the_text(name):
    texts = []
    for each in ("W", name):
        root = ElementTree.fromstring(pictured(each).svg.encode())
        found = [(element.tag, sorted(element.attrib.keys() - {"aria-label"})) for element in root.iter()]
        texts.append(([tag for tag, _ in found], [keys for _, keys in found], root))
    assert texts[0][:2] == texts[1][:2] or not name
    root = texts[1][2]
    assert not printable(name) or printable(name) in "".join(root.itertext())
    for element in root.iter():
        for value in element.attrib.values():
            if value.startswith("url("):
                assert root.find(f".//*[@id='{value[5:-1]}']") is not None


@pytest.mark.parametrize("name", NAMES)
def test_json_and_the_table_hold_the_name(name):
    picture = pictured(name)
    document = json.loads(picture.json)
    assert printable(name) in {node["name"] for node in document["nodes"]}
    lines = picture.text.split("\n")
    assert len(lines) == len(pictured("W").text.split("\n")) or not name
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c == "\u202e" for line in lines for c in line)


@pytest.mark.parametrize("name", NAMES)
def test_dot_has_the_same_statements(name):
    def statements(each):
        """What stands outside of strings and of labels."""
        text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', pictured(each).dot)
        return [re.sub(r"<.*>|[\d.,]+", "", line) for line in text.splitlines()]

    if name and not set(name) & set('"<'):  # labels are markup in angle brackets, which are told by a parser alone
        assert statements(name) == statements("W")


@pytest.mark.parametrize("name", [name for name in NAMES if name.strip() and len(name) < 40])
def test_graphviz_writes_the_name_as_it_is(name):
    try:
        svg = render(pictured(name).dot, "svg")
    except NoRenderer:
        pytest.skip("no Graphviz")
    texts = {" ".join("".join(text.itertext()).split()) for text in ElementTree.fromstring(svg).iter() if text.text}
    assert any(" ".join(printable(name).split()) in text.replace("\xa0", " ") for text in texts), texts


class Page(HTMLParser):
    """The elements of a page with the names of their attributes, its text, and what its scripts hold."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.data, self.inside = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, [key for key, _ in attributes]))
        self.inside = dict(attributes).get("id") if tag == "script" else None

    def handle_endtag(self, tag):
        self.elements.append(("/", tag))
        self.inside = None

    def handle_comment(self, data):
        self.elements.append(("comment", data))

    def handle_data(self, text):
        if self.inside:
            self.data[self.inside] = self.data.get(self.inside, "") + text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_same_elements(name):
    ours, plain = pictured(name).html, Page(pictured("W").html)
    page = Page(ours)
    if printable(name):
        assert page.elements == plain.elements
        assert list(json.loads(page.data["data"])["parameters"]) == [printable(name)]
    (embedded,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', ours, re.S)
    assert not set(embedded) & set("<>&\u2028\u2029")


@pytest.mark.parametrize("name", NAMES)
def test_formulas_are_one_expression_whatever_is_in_them(name):
    for found in pictured(name).equations.values():
        for equation in found:
            ElementTree.fromstring(equation.mathml())
            latex = equation.latex()
            assert "\n" not in latex and printable(equation.text()) == equation.text()
            assert not re.search(r"(?<!\\)[%#&$~]", latex)
            rest = re.sub(r"\\[\\{}_#$%& ]", "", latex)
            assert rest.count("{") == rest.count("}") and rest.count(r"\left(") == rest.count(r"\right)")
            known = {
                "mathrm",
                "left",
                "right",
                "tanh",
                "sum",
                "frac",
                "backslash",
                "hat",
                "sim",
                "cdot",
                "odot",
                "dots",
                "sigma",
            }
            assert set(re.findall(r"\\([a-z]+)", rest)) <= known | {"operatorname"}


@pytest.mark.parametrize("name", NAMES)
def test_a_highlighted_parameter_is_found_by_its_name(name):
    if printable(name):
        assert draw(network(name), highlight=(3, name)).terms


def test_a_page_works_in_a_browser_whatever_things_are_called(tmp_path):
    complaints = []
    with chromium() as browser:
        page = watched(browser, complaints)
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        for n, name in enumerate(FOR_A_BROWSER):
            picture = pictured(name)
            page.goto(picture.save(tmp_path / f"{n}.html").as_uri())
            assert page.title().split() == printable(name).split()
            assert page.locator("#phase").text_content() == "the whole graph", name
            page.locator("#loss").select_option("3")
            page.locator("#parameter").select_option(index=1)
            assert f"∂{printable(name)}" in page.locator("#followed").text_content()
            assert page.locator("#terms li").count() == 3
            page.locator("#next").click()
            assert page.locator("td[data-parameter]").count() == 1
    assert complaints == []
