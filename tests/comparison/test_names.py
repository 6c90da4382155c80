"""Names in reports, tables and messages: one line each, and nothing in them is markup or a command to the terminal."""

import html
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.names import NAMES
from tinygrad_rnn.autodiff.tables import Table
from tinygrad_rnn.autodiff.texts import printable
from tinygrad_rnn.comparison import compare
from tinygrad_rnn.report.pages import comparison_page

SOME = NAMES[2::4]  # a report takes longer than a table


def is_plain(text):
    return all(line.isprintable() for line in text.split("\n"))


def markup_in(text):
    """What Markdown would take for markup in a cell or a sentence, were it not escaped."""
    return re.findall(r"(?<!\\)(?:\\\\)*([`*<|&~$#]|\](?=[(\[:]))", text)


@pytest.mark.parametrize("name", NAMES)
def test_tables_stay_tables(name):
    table, plain = Table(name, ["name", name], [[name, "1.0"], ["b", name]]), Table("t", ["a", "b"], [["1", "2"]] * 2)
    assert is_plain(table.text()) and (table.text().count("\n") == plain.text().count("\n") or not name)
    markdown = table.markdown().split("\n")
    assert is_plain(table.markdown()) and (len(markdown) == len(plain.markdown().split("\n")) or not name)
    for row in markdown[2 if name else 0 :]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3
    for row in (row for row in markdown if "---" not in row and not row.startswith("**")):
        assert set(markup_in(row)) <= {"|"}
    shown = HTMLParser(convert_charrefs=True)
    found = []
    shown.handle_starttag = lambda tag, attributes: found.append(tag)
    shown.feed(table.html())
    assert sorted(set(found)) == ["caption", "table", "tbody", "td", "th", "thead", "tr"] or not name
    assert html.escape(name) in table.html()


@pytest.mark.parametrize("name", SOME)
def test_reports_of_comparisons(name):
    def loss(p):
        def cell(x, state):
            h = tr.named(name, np.tanh(x @ p[name] + state[name]))
            return h, {name: h}

        return np.sum(tr.unroll(cell, np.ones((3, 2)), {name: np.zeros(2)})[0] ** 2)

    p = {name: np.eye(2) / 2}
    report = compare(loss, lambda p: {name: 2 * tr.grad(loss)(p)[name]}, p)
    assert not report and report[name] and report.diagnoses
    assert is_plain(report.text()) and is_plain(repr(report))
    for sentence in report.markdown().split("\n"):
        if not sentence.startswith(("|", "**")):
            assert not markup_in(sentence), sentence
    assert json.loads(json.dumps(report.to_dict()))["parameters"][0]["name"] == name
    for page in (report.html(), comparison_page(report, name)):
        assert "<script>alert" not in page and "<img" not in page and "<!--" not in page


@pytest.mark.parametrize("name", NAMES)
def test_messages_and_plans(name):
    W = tr.tensor(np.eye(3), requires_grad=True, name=name)
    with tr.scope(layer=name), pytest.raises(ValueError, match="inner sizes 2 and 3 differ") as caught:
        np.ones((4, 2)) @ W
    assert str(caught.value).isprintable() and printable(name) in str(caught.value)
    assert repr(W).replace("\n", "").isprintable()
    compiled = tr.compile(lambda x: np.tanh(x @ W))
    compiled(np.ones((2, 3)))
    assert is_plain(str(compiled.plans[0])) and is_plain(repr(compiled.plans[0]._executables))
    with pytest.raises(ValueError) as caught:
        tr.nn.Linear(3, 2, seed=0).load_state_dict({name: np.ones(2)})
    assert is_plain(str(caught.value))
    with pytest.raises(ValueError) as caught:
        tr.optim.SGD([W, W], lr=0.1)
    assert str(caught.value).isprintable()
