"""A table of short texts, written as plain text, Markdown or HTML: the format of all reports."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .texts import printable


class Table(NamedTuple):
    """Rows of cells under a header.

    Attributes:
        title: the text above the table; empty for none.
        header: the name of each column.
        rows: the cells, as many in each row as there are columns.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Columns padded to equal width; the first to the left, numbers to the right.

        Example:
            >>> print(Table("", ["name", "error"], [["W", "1.0e-16"], ["b", "0"]]).text())
            name    error
            W     1.0e-16
            b           0
        """
        cells = [list(map(printable, row)) for row in (self.header, *self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        right = [i > 0 and all(_is_number(row[i]) for row in self.rows) for i in range(len(self.header))]
        lines = [
            "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right)).rstrip() for row in cells
        ]
        return "\n".join([printable(self.title), *lines] if self.title else lines)

    def markdown(self) -> str:
        """A pipe table, with the title above it in bold."""
        header, *rows = [list(map(in_markdown, row)) for row in (self.header, *self.rows)]
        lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
        return "\n".join([f"**{in_markdown(self.title)}**", "", *lines] if self.title else lines)

    def html(self, marked: Sequence[str] = ()) -> str:
        """A ``<table>`` with the title as its caption; every cell escaped.

        A cell that is one of the ``marked`` words gets it as its CSS class.
        """

        def opened(tag: str, cell: str) -> str:
            return f'<{tag} class="{cell}">' if cell in marked else f"<{tag}>"

        def row(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"{opened(tag, cell)}{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        body = "\n".join(row("td", cells) for cells in self.rows)
        return f"<table>{caption}\n<thead>{row('th', self.header)}</thead>\n<tbody>\n{body}\n</tbody></table>"

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_markdown_(self) -> str:
        return self.markdown()


# Characters that are markup in any place; an underscore is so only at the end of a word, a bracket only in a link.
MARKUP = re.compile(r"[\\`*<>|&~$#]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])")


def in_markdown(text: str) -> str:
    r"""Return a text on one line, in which nothing is markup.

    Example:
        >>> print(in_markdown("b_hn, <b>, a|b, [0.5 1.0]"))
        b_hn, \<b\>, a\|b, [0.5 1.0]
    """
    return MARKUP.sub(r"\\\g<0>", printable(text))


class Tabular:
    """A base for results that are shown as a table: printed, in a shell, in a notebook. Subclasses define ``table``."""

    def table(self) -> Table:
        """The table."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.table().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()

    def _repr_markdown_(self) -> str:
        return self.table().markdown()


def number(x: float | None, digits: int = 1) -> str:
    """A number for a table: ``1.2e-09``; 0 for zero, a dash for none.

    Example:
        >>> number(0.00012), number(0.0), number(None)
        ('1.2e-04', '0', '-')
    """
    return "-" if x is None else "0" if x == 0 else f"{x:.{digits}e}"


def evenly_spread(count: int, most: int = 10) -> np.ndarray:
    """The places of at most so many of ``count`` rows or columns, the first and the last among them.

    Example:
        >>> evenly_spread(21, most=5)
        array([ 0,  5, 10, 15, 20])
    """
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def compact(array: np.ndarray, digits: int = 4, limit: int = 12) -> str:
    """An array on one line, ``[[0.06 -0.15] [0.16 -0.19]]``; a large one by its shape and norm.

    Example:
        >>> compact(np.array([[0.25, -1.0]]), digits=2)
        '[[0.25 -1.00]]'
        >>> compact(np.ones((10, 10)))
        '(10, 10), norm 10'
    """
    array = np.asarray(array)
    if array.size > limit:
        return f"{array.shape}, norm {float(np.linalg.norm(array)):.{digits}g}"
    style = "f" if np.all((np.abs(array) < 1e4) & ((array == 0) | (np.abs(array) >= 10.0**-digits))) else "e"
    show = lambda x: f"{x + 0.0:.{digits}{style}}"  # noqa: E731  (adding 0 turns -0 into 0)
    return np.array2string(array, formatter={"float_kind": show}, max_line_width=10**6).replace("\n", "")


def _is_number(cell: str) -> bool:
    return cell in ("-", "") or cell.lstrip("+-")[:1].isdigit() or cell in ("nan", "inf")
