"""Tables and numbers as reports print them."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn.autodiff.tables import Table, compact, number

TABLE = Table("A | title", ["name", "error"], [["a|b<c>", "1.0e-03"], ["W", "0"]])


def test_text_has_columns_of_equal_width():
    assert TABLE.text().splitlines() == ["A | title", "name      error", "a|b<c>  1.0e-03", "W             0"]


def test_markdown_escapes_what_would_end_a_cell():
    assert TABLE.markdown().splitlines() == [
        "**A \\| title**", "", "| name | error |", "| --- | --- |", "| a\\|b\\<c\\> | 1.0e-03 |", "| W | 0 |",
    ]  # fmt: skip


def test_html_escapes_everything():
    page = TABLE.html()
    assert "<caption>A | title</caption>" in page and "<td>a|b&lt;c&gt;</td>" in page and "<c>" not in page


def test_numbers_are_short():
    assert [number(x) for x in (0.0, -0.00123, 12345.6, None, float("nan"))] == ["0", "-1.2e-03", "1.2e+04", "-", "nan"]


def test_arrays_stand_on_one_line_and_large_ones_by_their_norm():
    assert compact(np.array([[1.0, -0.5], [0.0, 2.0]]), 2) == "[[1.00 -0.50] [0.00 2.00]]"
    assert compact(np.array([1e-9, 1.0]), 1) == "[1.0e-09 1.0e+00]"
    assert compact(np.array(-0.0), 1) == "0.0"
    assert compact(np.full((4, 4), 0.5)) == "(4, 4), norm 2"
