"""Notebooks as pages: run while the site is built, with all that they show; equations as MathML."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "notebooks"
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", flags=re.DOTALL)
KEPT = re.compile(r"<p>KEPT(\d+)KEPT</p>|KEPT(\d+)KEPT")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Notebooks:
    """Makes the pages. What Markdown must not touch is kept aside, and put in its place afterwards."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def pages(self) -> dict[str, str]:
        """Each notebook as Markdown, by its place in the site."""
        return {f"notebooks/{path.stem}.md": self.page(path) for path in sorted(FOLDER.glob("*.ipynb"))}

    def page(self, path: Path) -> str:
        """One notebook, run from the beginning.

        Raises:
            CellExecutionError: a cell of it fails.
        """
        import nbformat
        from nbclient import NotebookClient

        os.environ.setdefault("PYTHONPATH", str(ROOT))
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
        parts = [part for cell in notebook.cells for part in self._cell(cell)]
        where = f"*This is the notebook `examples/notebooks/{path.name}`, as it ran when the site was built.*"
        title, _, rest = parts[0].partition("\n")
        return "\n\n".join([title, where, rest, *parts[1:]]) + "\n"

    def finished(self, html: str) -> str:
        """A page's HTML with all that was kept aside."""
        return KEPT.sub(lambda match: self.kept[int(match[1] or match[2])], html)

    def _keep(self, html: str) -> str:
        self.kept.append(html)
        return f"KEPT{len(self.kept) - 1}KEPT"

    def _cell(self, cell: Any) -> Iterator[str]:
        if cell.cell_type == "markdown":
            yield MATH.sub(self._math, cell.source)
        elif cell.cell_type == "code":
            yield f"```python\n{cell.source}\n```"
            yield from (self._keep(shown) for shown in map(_shown, cell.outputs) if shown)

    def _math(self, match: re.Match[str]) -> str:
        from latex2mathml.converter import convert

        display = "block" if match[1] else "inline"
        return self._keep(convert(match[1] or match[2], display=display))


def _shown(output: Any) -> str:
    """What a cell gave, as HTML."""
    if output.output_type == "stream":
        return f'<pre class="output">{escape(ESCAPES.sub("", output.text))}</pre>'
    data = output.get("data", {})
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    if "image/svg+xml" in data:
        still = base64.b64encode(data["image/svg+xml"].encode()).decode()
        return f'<p class="output"><img alt="A plot" src="data:image/svg+xml;base64,{still}"></p>'
    if "image/png" in data:
        return f'<p class="output"><img alt="A plot" src="data:image/png;base64,{data["image/png"].strip()}"></p>'
    return f'<pre class="output">{escape(data["text/plain"])}</pre>' if "text/plain" in data else ""
