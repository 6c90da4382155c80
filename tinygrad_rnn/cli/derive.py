"""``derive``: backpropagation through time of a network, written out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..derivation import derive
from ..derivation.derivation import STYLES
from ..report.networks import Recorded
from . import options as o
from . import worksheet
from .networks import NAMES, add_network, named_loss
from .places import Complaint, refuse_to_replace, write_text
from .references import found, module_and_name, users_code

FORMS: dict[str, Any] = {
    "text": lambda derivation, columns: derivation.text(columns=columns),
    "latex": lambda derivation, columns: derivation.latex(columns=columns),
    "markdown": lambda derivation, columns: derivation.markdown(columns=columns),
    "html": lambda derivation, columns: derivation.html(columns=columns),
    "source": lambda derivation, columns: derivation.source(),
}
ENDINGS = {"": "text", ".txt": "text", ".tex": "latex", ".md": "markdown", ".html": "html", ".py": "source",
           ".ipynb": "notebook"}  # fmt: skip

DESCRIPTION = (
    f"Write out backpropagation through time of {NAMES}; or of module:name (or "
    "file.py:name): a loss that your code recorded; a function loss(parameters, *data), with "
    "parameters, and data if there is any, in the same file; or a cell, with xs and, if it has no initial "
    "state, state in the same file."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_network(parser)
    form = parser.add_mutually_exclusive_group()
    for name, about in (
        ("latex", "as LaTeX"),
        ("markdown", "as Markdown, with equations in LaTeX"),
        ("html", "as a page"),
        ("source", "as a NumPy function"),
        ("notebook", "a worksheet as a notebook"),
    ):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=about)
    parser.add_argument(
        "--style",
        choices=STYLES,
        default="recursion",
        help="how gradients are written: by the backward recursion, as sums over paths, or by real-time recurrent "
        "learning (default: recursion)",
    )
    parser.add_argument(
        "--at-once",
        dest="products",
        action="store_const",
        const="over all steps",
        help="one product over all steps for each weight, instead of one for each step",
    )
    parser.add_argument("--columns", action="store_true", help="with vectors as columns, as most articles have them")
    worksheet.add_options(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where to (default: standard output); its ending says in which form, unless an option does: "
        f"{', '.join(filter(None, ENDINGS))}",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")


def run(options: argparse.Namespace) -> int:
    """Derive it, and print or write it; return 1 if answers are marked and some are wrong."""
    if options.out is not None:
        refuse_to_replace([Path(options.out)], options.overwrite)
    options.form = options.form or form_of(options.out)
    answers = worksheet.answers_in(options.answers) if options.answers else None
    status = 0
    try:
        derivation = derivation_of(options).in_style(options.style, options.products)
        if answers is not None:
            marks = worksheet.sheet_of(derivation, options, answers).check(answers)
            text, status = str(marks), 0 if marks.all_right else 1
        elif worksheet.is_wanted(options):
            text = worksheet.written(worksheet.sheet_of(derivation, options), options)
        else:
            text = FORMS[options.form](derivation, options.columns)
    except ImportError as error:
        raise Complaint(str(error)) from None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        o.complain(ValueError(*error.args) if isinstance(error, KeyError) else error)
    if options.out is None:
        print(text.rstrip("\n"))
    else:
        write_text(Path(options.out), text)
        print(options.out)
    return status


def form_of(out: str | None) -> str:
    """The form that the ending of a file asks for; text on standard output."""
    ending = Path(out or "").suffix.lower()
    if ending not in ENDINGS:
        raise Complaint(f"--out {out} ends in none of {', '.join(filter(None, ENDINGS))}; or say which form: --latex.")
    return ENDINGS[ending]


def derivation_of(options: argparse.Namespace) -> Any:
    """The derivation of a named network, or of an object in the user's code."""
    loss = named_loss(options)
    return derive(loss) if loss is not None else derived(options.what)


def derived(reference: str) -> Any:
    """The derivation of a referenced object: a recorded loss, a loss with its parameters, or a cell with its inputs."""
    what = found(reference)
    module, _ = module_and_name(reference)
    with users_code(f"{reference} raised"):
        if not callable(what):
            return derive(what.loss if isinstance(what, Recorded) else what)
        if hasattr(module, "parameters"):
            return derive(what, module.parameters, getattr(module, "data", ()))
        if hasattr(module, "xs"):
            return derive(what, module.xs, getattr(module, "state", None))
        return derive(what())
