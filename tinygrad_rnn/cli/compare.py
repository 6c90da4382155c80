"""``compare``: the user's own derivation beside autograd and finite differences."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..comparison import Report, compare
from ..manual import worked_example as article
from ..report.networks import worked_example
from ..report.pages import comparison_page
from . import options as o
from .places import Complaint, refuse_to_replace, write_text
from .references import found, module_and_name, users_code

WRITERS: dict[str, Callable[[Report], str]] = {".md": Report.markdown, ".html": comparison_page, ".txt": Report.text}

DESCRIPTION = """\
Compare gradients derived by hand with autograd, with finite differences as the referee. The exit status is 0 if they
agree and 1 if they don't.

DERIVATION is module:function, or file.py:function. It is called as function(parameters, *data) and returns gradients:
a dict of arrays by parameter name; entries such as "delta[4]" are lines of the derivation, and are compared too.

The network that it differentiates is in the same module:

    parameters   the parameters' values, a dict of arrays (or a function that returns it)
    data         a tuple of the other arguments of both functions (may be left out)
    loss         loss(parameters, *data), in plain NumPy

Without a loss there, it is compared with the article's worked example: function(parameters, xs, targets), with U, W, V,
b, c in the dict, the six inputs (6, 3), and the targets (3, 3) of the steps 4, 5, 6.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("derivation", metavar="DERIVATION", help="module:function or file.py:function")
    parser.add_argument("--loss", metavar="REFERENCE", help="the loss, if it is elsewhere")
    parser.add_argument("--tolerance", type=o.positive, help="the largest relative error of equal gradients")
    parser.add_argument("--referee", choices=["auto", "always", "never"], default="auto", help="finite differences")
    parser.add_argument("--out", metavar="FILE", help=f"write the report to a file too: {', '.join(WRITERS)}")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there already")
    parser.add_argument("--quiet", action="store_true", help="print one sentence only")
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compare; return 1 if the gradients don't agree."""
    path = Path(options.out) if options.out else None
    if path is not None:
        if path.suffix not in WRITERS:
            raise Complaint(f"--out {path} ends in none of {', '.join(WRITERS)}.")
        refuse_to_replace([path], options.overwrite)
    report = compared(options)
    if path is not None:
        write_text(path, WRITERS[path.suffix](report))
    if options.json:
        o.print_json(report.to_dict())
    else:
        print(report.summary if options.quiet else report)
    return 0 if report.agrees else 1


def compared(options: argparse.Namespace) -> Report:
    """The report."""
    derivation = found(options.derivation)
    if not callable(derivation):
        raise Complaint(f"{options.derivation} is a {type(derivation).__name__}, not a function.")
    module, _ = module_and_name(options.loss or options.derivation)
    keywords = {"tolerance": options.tolerance, "referee": options.referee}
    with users_code(f"comparing {options.derivation} failed:"):
        if options.loss is None and not hasattr(module, "loss"):
            arguments = (article.PARAMS._asdict(), article.INPUTS, article.TARGETS)
            refuse_other_arguments(derivation, options.derivation, arguments)
            return compare(worked_example().loss, partial(derivation, *arguments), **keywords)
        loss = found(options.loss) if options.loss else module.loss
        home, _ = module_and_name(options.derivation)
        return compare(loss, derivation, part(home, "parameters"), part(home, "data", ()), **keywords)


def refuse_other_arguments(derivation: Callable[..., Any], reference: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a function that can't be called as a derivation of the worked example."""
    try:
        inspect.signature(derivation).bind(*arguments)
    except TypeError as error:
        raise Complaint(
            f"{reference} is called as function(parameters, xs, targets), of the article's worked example ({error}). "
            "If it derives a network of yours, add its loss(parameters, *data), parameters and data to the file."
        ) from None


def part(module: Any, name: str, otherwise: Any = None) -> Any:
    """An object beside the derivation in the user's file; a function there is called for its result."""
    if not hasattr(module, name) and otherwise is None:
        raise Complaint(f"the derivation's module has a loss but no {name!r}: add a dict of arrays of that name.")
    value = getattr(module, name, otherwise)
    return value() if callable(value) else value
