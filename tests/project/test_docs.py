"""What the pages of the site show runs, and what they take from the code is there.

The ``python`` blocks of a page run one after another, in one namespace and an empty folder. In a ``pycon`` block what
Python answers is compared, as in a docstring.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for folder in ("docs", "docs/tutorial") for path in (ROOT / folder).glob("*.md"))
# Pages that are made while the site is built.
MADE = {"examples/index.md", "gallery.md", "whats-new.md"} | {
    f"notebooks/{path.stem}.md" for path in (ROOT / "examples" / "notebooks").glob("*.ipynb")
}
NEEDS = {"scale": ("mpi4py", "onnx", "jax", "joblib", "matplotlib")}  # extras that a page shows
LONG = {"scale", "training"}  # they train, on several processes too; the sweep runs them
BLOCK = re.compile(r"^( *)```(python|pycon)\n(.*?)^\1```", flags=re.MULTILINE | re.DOTALL)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of each block of code."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        indent, kind, code = match.groups()
        line = text[: match.start()].count("\n") + 1
        yield line, kind, re.sub(f"^{indent}", "", code, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.sweep if page.stem in LONG else (), id=page.stem) for page in PAGES]
)
def test_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in NEEDS.get(page.stem, ()):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, kind, code in blocks(page):
        place = f"{page.name}:{line}"
        if kind == "python":
            exec(compile("\n" * line + code, str(page), "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(code, names, place, str(page), line)
        said: list[str] = []
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner = doctest.DocTestRunner(optionflags=flags)
        runner.run(example, out=said.append, clear_globs=False)
        assert not said, "".join(said)
        names.update(example.globs)


def test_pages_ask_for_source_that_is_there() -> None:
    hooks = load("hooks")
    asked = [name for page in PAGES for name in hooks.SOURCE.findall(page.read_text(encoding="utf-8"))]
    assert len(asked) > 10
    for name in asked:
        assert '"""' not in hooks.source_of(name), name
    with pytest.raises(LookupError):
        hooks.source_of("tinygrad_rnn.nothing_of_this_name")


def test_pages_show_pictures_that_are_there() -> None:
    shown = [
        page.parent / path
        for page in PAGES
        for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    ]
    assert len(shown) > 3
    assert all(path.resolve().is_file() for path in shown)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    listed = set(re.findall(r"([\w/-]+\.md)", navigation))
    written = {str(path.relative_to(ROOT / "docs").as_posix()) for path in (ROOT / "docs").rglob("*.md")}
    assert listed == written | MADE


def test_derivations_on_pages_have_equations():
    """Each is one block of HTML, which Markdown doesn't touch; a worksheet has the blanks that it asks for."""
    hooks = load("hooks")
    asked = [found[0] for page in PAGES for found in hooks.DERIVATION.finditer(page.read_text(encoding="utf-8"))]
    assert len(asked) >= 2
    for text in asked:
        html = hooks.with_derivations(text)
        assert html.startswith("<div") and "\n\n" not in html
        assert html.count("<math") > 10
    assert "(2)</mtext>" in hooks.with_derivations("<!-- worksheet: elman delta dL/dW -->")


def test_every_example_becomes_a_page() -> None:
    pages = load("hooks").pages_of_examples()
    index = pages.pop("examples/index.md")
    assert ".py)" not in index and ".ipynb)" not in index
    assert {f"examples/{name}" for name in re.findall(r"\((\w+\.md)\)", index)} == pages.keys() - {"gallery.md"}
    for path in (ROOT / "examples").glob("*.py"):
        text, code = pages.pop(f"examples/{path.stem}.md").split("```python\n")
        assert text.startswith("# ") and '"""' not in text
        shown, written = ast.parse(code.rstrip("`\n")).body, ast.parse(path.read_text("utf-8")).body
        assert [ast.dump(node) for node in shown] == [ast.dump(node) for node in written[1:]]  # all but the docstring
    (gallery,) = pages.values()
    shown = re.findall(r"\]\(gallery/(\w+\.svg)\)", gallery)
    assert {path.name for path in (ROOT / "examples" / "gallery").glob("*.svg")} == set(shown)


def test_the_api_pages_cover_every_room_and_every_derivation() -> None:
    import tinygrad_rnn

    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").rglob("*.md"))
    every = re.findall(r"^::: tinygrad_rnn\.([\w.]+)$", pages, flags=re.MULTILINE)
    assert len(every) == len(set(every))
    members = {f"nn.{name}" for name in tinygrad_rnn.nn.__all__}  # these stand one by one, on a page for each kind
    named = set(every) - (members - {"nn.init"})
    of_nn = {name.split(".")[1] for name in every if name.startswith("nn.")} | {"Module", "Parameter"}
    assert of_nn == set(tinygrad_rnn.nn.__all__)
    rooms = {path.parent.name for path in (ROOT / "tinygrad_rnn").glob("*/__init__.py")} - {"cli", "recorded", "report"}
    hidden = set()  # a name that is also that of a module: the page of the room would leave it out
    for room in rooms - {"manual"}:
        package = importlib.import_module(f"tinygrad_rnn.{room}")
        for module in {module.name for module in pkgutil.iter_modules(package.__path__)} & set(package.__all__):
            is_module = isinstance(getattr(package, module), ModuleType)
            hidden.add(f"{room}.{module}" if is_module else f"{room}.{module}.{module}")
    assert named == rooms | hidden | {f"manual.{name}" for name in tinygrad_rnn.manual.__all__}


def test_docstrings_become_markdown() -> None:
    if importlib.util.find_spec("griffe") is None:
        pytest.skip("needs the extra docs")
    rewritten = load("docstrings").rewritten
    assert rewritten("Say it.\n\nExample:\n    >>> 1\n    1") == "Say it.\n\nExamples:\n    >>> 1\n    1"
    table = "====  ====\na     b\n====  ====\n1     2\n====  ===="
    assert rewritten(f"A table:\n\n{table}\n\nand on") == f"A table:\n\n```text\n{table}\n```\n\nand on"
