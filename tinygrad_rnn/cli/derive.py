"""``derive``: backpropagation through time of a network, written out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..derivation import derive
from ..derivation.derivation import STYLES
from ..report.networks import BY_NAME, Recorded
from . import options as o
from .places import Complaint, refuse_to_replace
from .references import found, users_code

FORMS: dict[str, Any] = {
    "text": lambda derivation, columns: derivation.text(columns=columns),
    "latex": lambda derivation, columns: derivation.latex(columns=columns),
    "markdown": lambda derivation, columns: derivation.markdown(columns=columns),
    "html": lambda derivation, columns: derivation.html(columns=columns),
    "source": lambda derivation, columns: derivation.source(),
}


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "derive",
        help="backpropagation through time, written out",
        description=f"Write out backpropagation through time of {', '.join(BY_NAME)}; or of module:name (or "
        "file.py:name): a loss that your code recorded, or a function loss(parameters, *data) beside which "
        "parameters, and data if there is any, stand in the same file.",
    )
    parser.add_argument("what", metavar="NETWORK", help=f"{', '.join(BY_NAME)}, or module:name")
    parser.add_argument("--steps", type=o.whole(1, 10_000), help="time steps (of a named network)")
    o.add_seed(parser)
    form = parser.add_mutually_exclusive_group()
    for name, about in (
        ("latex", "as LaTeX"),
        ("markdown", "as Markdown, with equations in LaTeX"),
        ("html", "as a page"),
        ("source", "as a NumPy function"),
    ):
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, default="text", help=about)
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
        help="one product over all steps for each weight, in place of one a step",
    )
    parser.add_argument("--columns", action="store_true", help="with vectors as columns, as most articles have them")
    parser.add_argument("--out", metavar="FILE", help="where to (default: standard output)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Derive it, and print or write it."""
    if options.out is not None:
        refuse_to_replace([Path(options.out)], options.overwrite)
    try:
        text = FORMS[options.form](derivation_of(options).in_style(options.style, options.products), options.columns)
    except ImportError as error:
        raise Complaint(str(error)) from None
    except (TypeError, ValueError, RuntimeError) as error:
        o.complain(error)
    if options.out is None:
        print(text.rstrip("\n"))
        return 0
    try:
        Path(options.out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Complaint(f"can't write {options.out}: {error.strerror or error}.") from None
    print(options.out)
    return 0


def derivation_of(options: argparse.Namespace) -> Any:
    """The derivation of a named network, or of what the user's code has."""
    if options.what in BY_NAME:
        fixed = options.what == "worked-example"
        if fixed and options.steps is not None:
            raise Complaint("the worked example has six steps, no more and no fewer; leave out --steps.")
        keywords = {} if options.steps is None else {"steps": options.steps}
        return derive(BY_NAME[options.what](**keywords, **({} if fixed else {"seed": options.seed})).loss)
    if ":" not in options.what:
        raise Complaint(f"there is no network {options.what!r}; there are {', '.join(BY_NAME)}, and module:name.")
    what = found(options.what)
    place = options.what.rpartition(":")[0]
    with users_code(f"{options.what} raised"):
        if not callable(what):
            return derive(what.loss if isinstance(what, Recorded) else what)
        try:
            parameters = found(f"{place}:parameters")
        except Complaint:
            return derive(what())
        try:
            data = found(f"{place}:data")
        except Complaint:
            data = ()
        return derive(what, parameters, data)
