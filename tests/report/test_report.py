"""The report: right numbers, whole HTML, nothing loaded from anywhere, nothing of the data taken for markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tinygrad_rnn.comparison import compare
from tinygrad_rnn.manual import worked_example as article
from tinygrad_rnn.report.charts import Curve, line_chart
from tinygrad_rnn.report.findings import beginning, learn, study_example, study_flows
from tinygrad_rnn.report.networks import BY_NAME
from tinygrad_rnn.report.pages import comparison_page, page

TEXT = "<script>alert('a & b')</script> the quick brown fox.\n" * 100
VOID = {"meta", "path", "br", "link", "img", "input", "rect", "circle", "line"}


class Checker(HTMLParser):
    """Follows the nesting of the tags, and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag, attributes):
        self._attributes(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._attributes(attributes)

    def _attributes(self, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "data", "action") and not value.startswith("#"):
                self.loads.append(value)
            if name == "id":
                self.ids.append(value)
            if name == "srcdoc":
                self.inside.append(value)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def checked(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert not checker.wrong and not checker.open
    return checker


@pytest.fixture(scope="module")
def example():
    return study_example()


@pytest.fixture(scope="module")
def flows():
    return study_flows()


@pytest.fixture(scope="module")
def learned():
    return learn(TEXT, "<b>a text</b>", seed=0, seconds=0.3, progress=False)


@pytest.fixture(scope="module")
def html(example, flows, learned):
    return page(example, flows, learned)


def test_it_is_whole_and_loads_nothing(html):
    found = checked(html)
    assert found.loads == [] and len(set(found.ids)) == len(found.ids)
    assert not re.search(r"@import|url\((?!#)", html)
    (graph,) = found.inside
    inside = checked(graph)
    assert inside.loads == [] and "<svg" in graph


def test_what_comes_from_the_text_is_no_markup(html, learned):
    assert "<script>alert" not in html and "<b>a text</b>" not in html
    assert "&lt;b&gt;a text&lt;/b&gt;" in html
    assert html.count("<script>") == 1


def test_the_derivation_stands_in_it_line_by_line(html, example):
    section = html[html.index('<section id="derivation"') : html.index('<section id="gradients"')]
    assert section.count("<math") >= len(example.derivation.lines)
    assert "h<sub>t</sub> is used by z<sub>t</sub> and by a<sub>t+1</sub>: two paths, added" in section


def test_every_section_can_be_gone_to(html):
    found = checked(html)
    links = re.findall(r'<a href="#([^"]+)"', html)
    assert len(links) == 8 and set(links) <= set(found.ids)


def test_the_figures_are_those_of_the_article(example, html):
    assert example.comparison.agrees and example.apart < 1e-15
    assert "3.30 → 1.36" in html
    assert np.allclose(example.terms.gradient, example.comparison["W"].manual, atol=1e-15)
    printed = {entry.name: entry.value for entry in article.PRINTED}
    for row in example.comparison.rows:
        assert article.agrees(printed[f"dL/d{row.name}"], row.autograd)
    assert html.count("<tr><td>") >= len(example.slips)


def test_gradients_vanish_and_explode_as_the_page_says(flows):
    verdicts = {(found.cell, found.setting): found.flow.verdict for found in flows}
    assert verdicts == {
        ("RNN", "as initialised"): "vanishing",
        ("RNN", "linear, spectral radius 1.1"): "exploding",
        ("LSTM", "as initialised"): "vanishing",
        ("LSTM", "forget bias 3"): "stable",
        ("GRU", "as initialised"): "vanishing",
        ("GRU", "update bias 3"): "stable",
    }


def test_the_model_before_training_is_the_one_that_was_trained(learned):
    again = learn(TEXT, "", seed=0, seconds=0.01, progress=False)
    assert again.before == learned.before and learned.before != learned.after
    assert learned.before.startswith(learned.prime)


def test_the_sample_begins_with_prose_where_there_is_some():
    assert beginning("x\n\n| a | b |\n\nThe first sentence of a paragraph. And more").startswith("The first sentence")
    assert beginning("| a | b |") == "| a | b |"


@pytest.mark.parametrize("name", BY_NAME)
def test_the_terms_of_a_network_are_its_loss(name):
    network = BY_NAME[name]()
    assert sum(term.item() for term in network.terms.values()) == pytest.approx(network.loss.item())


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(
    "y", [[], [1.0], [2.0, 2.0], [0.0, np.nan, np.inf, 1.0], [1e-30, 1e30], list(np.linspace(0.1, 9, 5000))]
)
def test_a_chart_shows_any_numbers(y, logarithmic):
    curve = Curve("<a>", np.arange(len(y)), np.array(y), "c0")
    chart = line_chart([curve], x_label="x", y_label="y", description="any", logarithmic=logarithmic)
    checked(chart)
    assert "nan" not in chart and "inf" not in chart and "<a>" not in chart


def test_a_chart_puts_points_where_they_belong():
    chart = line_chart(
        [Curve("a", np.array([0, 1]), np.array([1.0, 100.0]), "c0")],
        x_label="",
        y_label="",
        description="",
        logarithmic=True,
    )
    ((x1, y1), (x2, y2)) = [point.split() for point in re.search(r'class="curve c0" d="M([^"]+)"', chart)[1].split("L")]
    assert float(x1) < float(x2) and float(y1) > float(y2)


def test_a_comparison_is_a_page_of_its_own():
    def wrong(p):
        return {"<w>": 3 * p["<w>"]}

    parameters = {"<w>": np.array([1.0, -2.0])}
    report = compare(lambda p: np.sum(p["<w>"] ** 2), wrong, parameters)
    html = comparison_page(report, "<mine>")
    seen = checked(html)
    assert seen.loads == [] and len(seen.ids) == len(set(seen.ids))
    assert "<h1>&lt;mine&gt;</h1>" in html and "<w>" not in html and "<mine>" not in html
    assert '<td class="differs">differs</td>' in html
    assert "[2.0000 -4.0000]" in html and "[3.0000 -6.0000]" in html
