"""What the site takes from the code when it is built, so that the two can't part.

``<!-- source: tinygrad_rnn.module.name -->`` in a page becomes the source of that function, class, method or
assignment, without its docstring, which stands in the API reference; several names of one module become one block.
``<!-- derivation: lstm -->`` becomes the derivation of that network, with equations as MathML, and
``<!-- worksheet: elman delta dL/dW -->`` one of which these lines are blank.
``<!-- functions -->`` becomes the table of functions that differentiate, with the order to which the tests check each.
Each example becomes a page, and so do the gallery, the notebooks, as they run, and the list of changes. The pages to
explore and the report of the tour are made when the site is.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCE = re.compile(r"^<!-- source: ([\w. ]+) -->$", flags=re.MULTILINE)
DERIVATION = re.compile(r"^<!-- (derivation|worksheet): ([\w-]+) ?(.*) -->$", flags=re.MULTILINE)
FUNCTIONS = "<!-- functions -->"
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
GALLERY = "examples/gallery"


def beside(name: str) -> ModuleType:
    """A module that stands beside this one, which is in no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOTEBOOKS = beside("notebooks").Notebooks()


@cache
def made_once() -> dict[str, str]:
    """What takes seconds to make, and is the same as long as the code is."""
    return {**NOTEBOOKS.pages(), **beside("live").pages()}


def on_files(files: Any, config: Any) -> Any:
    """Add the examples, the gallery and its pictures, the notebooks, what is there to explore, and the changes."""
    from mkdocs.structure.files import File

    for path in sorted((ROOT / GALLERY).glob("*.svg")):
        files.append(File.generated(config, f"gallery/{path.name}", abs_src_path=str(path)))
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("# Changelog", "# What's new", 1)
    for name, content in {**pages_of_examples(), **made_once(), "whats-new.md": changes}.items():
        files.append(File.generated(config, name, content=content))
    return files


def pages_of_examples() -> dict[str, str]:
    """What stands in ``examples``, as pages by their place in the site."""
    index = (EXAMPLES / "README.md").read_text("utf-8")
    index = index.replace("(gallery/README.md)", "(../gallery.md)").replace(".py)", ".md)")
    index = re.sub(r"\(notebooks/(\w+)\.ipynb\)", r"(../notebooks/\1.md)", index)
    gallery = (EXAMPLES / "gallery" / "README.md").read_text("utf-8")
    gallery = gallery.replace("../gallery.py", "examples/gallery.md")
    gallery = re.sub(r"\]\((\w+\.svg)\)", r"](gallery/\1)", gallery)
    examples = {f"examples/{path.stem}.md": page_of_example(path) for path in EXAMPLES.glob("*.py")}
    return {"gallery.md": gallery, "examples/index.md": index, **examples}


def page_of_example(path: Path) -> str:
    """An example as a page: its docstring as text, and then its code."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    title, _, text = (ast.get_docstring(tree) or "").partition("\n")
    code = "\n".join(source.splitlines()[tree.body[0].end_lineno :]).strip()
    return f"# {title.rstrip('.')}\n{text}\n\n```python\n# examples/{path.name}\n{code}\n```\n"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in source and tables; find examples and pictures, which a page names by their place in the repository."""
    markdown = markdown.replace("../examples/README.md", "examples/index.md")
    markdown = markdown.replace(f"../../{GALLERY}/", "../gallery/")  # from the pages of the tutorial
    markdown = markdown.replace(f"../{GALLERY}/README.md", "gallery.md").replace(f"../{GALLERY}/", "gallery/")
    return with_functions(with_derivations(with_source(markdown)))


def on_page_content(html: str, **_: Any) -> str:
    """Put in its place what Markdown was not to touch."""
    return NOTEBOOKS.finished(html)


def with_source(markdown: str) -> str:
    """The page with the source that it asks for."""
    return SOURCE.sub(lambda match: f"```python\n{source_of(match[1])}\n```", markdown)


def with_derivations(markdown: str) -> str:
    """The page with the derivations and worksheets that it asks for."""
    return DERIVATION.sub(_derivation, markdown)


def _derivation(match: re.Match[str]) -> str:
    from tinygrad_rnn import derive
    from tinygrad_rnn.derivation.writing.page import fragment
    from tinygrad_rnn.report.networks import BY_NAME

    kind, network, blanks = match.groups()
    written = derive(BY_NAME[network]().loss)
    lines = written.lines if kind == "derivation" else written.worksheet(blanks.split()).lines
    return f'<div class="derivation">\n{fragment(lines, heading="h4")}\n</div>'


def with_functions(markdown: str) -> str:
    """The page with the table of functions, if it asks for that."""
    if FUNCTIONS not in markdown:
        return markdown
    orders = orders_tested()
    _, _, without_title = importlib.import_module("docs.catalogue").markdown(orders).partition("\n")
    return markdown.replace(FUNCTIONS, without_title)


def orders_tested() -> dict[Any, int]:
    """For each function the order to which the tests check its derivatives."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))  # the tests, to which the table of samples belongs, and docs aren't installed
    module = importlib.import_module("tests.autodiff.samples")
    return {function: sample.order for sample in module.SAMPLES for function in sample.functions}


def source_of(names: str) -> str:
    """The source of a function, class, method or assignment, without docstrings.

    Args:
        names: its name, and perhaps those of others beside it: ``"tinygrad_rnn.module.this that"``.

    Raises:
        LookupError: there is no such thing.
    """
    first, *others = names.split()
    place = first.rpartition(".")[0]
    pieces = [_source(name) for name in (first, *(f"{place}.{other}" for other in others))]
    return "\n".join([f"# {pieces[0][0].replace('.', '/')}.py", *(source for _, source in pieces)])


def _source(name: str) -> tuple[str, str]:
    """The module in which something stands, and its source."""
    thing, module = _found(name)
    thing = getattr(thing, "__func__", thing)
    try:
        return module.__name__, _without_docstrings(textwrap.dedent(inspect.getsource(thing)))
    except TypeError:  # a value: what assigns it
        code = inspect.getsource(module)
    for node in ast.parse(code).body:
        targets = getattr(node, "targets", [getattr(node, "target", node)])  # of ``a = ...`` and of ``a: type = ...``
        if [ast.unparse(target) for target in targets] == [name.split(".")[-1]]:
            return module.__name__, ast.get_source_segment(code, node) or ""
    raise LookupError(f"{name} has no source of its own")


def _found(name: str) -> tuple[Any, Any]:
    parts = name.split(".")
    for split in range(len(parts), 0, -1):
        try:
            thing = module = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            if not hasattr(thing, part):
                break
            thing = inspect.getattr_static(thing, part) if inspect.isclass(thing) else getattr(thing, part)
        else:
            return thing, module
    raise LookupError(f"there is no {name}")


def _without_docstrings(source: str) -> str:
    lines = source.rstrip().splitlines()
    gone: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            assert docstring.end_lineno is not None
            gone.update(range(docstring.lineno, docstring.end_lineno + 1))
            if len(node.body) > 1 and not lines[docstring.end_lineno].strip():
                gone.add(docstring.end_lineno + 1)  # the empty line after it
    return "\n".join(line for number, line in enumerate(lines, start=1) if number not in gone)
