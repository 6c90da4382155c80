"""``derive --worksheet``: a derivation with blanks, and the marking of answers in a file."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from ..language import read_text
from . import options as o
from .places import Complaint

ANSWER = re.compile(r"\s*(?P<name>[^=]*[^=\s])\s*=(?!=)(?P<answer>.*)", re.DOTALL)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--worksheet", action="store_true", help="with some right-hand sides blank, as an exercise")
    parser.add_argument(
        "--blanks",
        metavar="WHICH",
        type=_blanks,
        default=0.5,
        help="how many lines of the backward pass are blank: a number (3), a share (0.5); or their names, "
        "delta,dL/dW (default: 0.5). --seed says which",
    )
    parser.add_argument("--answers", metavar="FILE", help="mark the answers in a file: a line each, delta = ...")
    parser.add_argument("--solutions", action="store_true", help="print the right answers, in that form")


def is_wanted(options: argparse.Namespace) -> bool:
    """Return True if the options ask for a worksheet."""
    return bool(options.worksheet or options.answers or options.solutions or options.form == "notebook")


def sheet_of(derivation: Any, options: argparse.Namespace, answers: Any = None) -> Any:
    """The worksheet; if answers are given and no blanks are named, the answered lines are the blanks."""
    if options.form == "source":
        raise Complaint("a worksheet is text, --latex, --markdown, --html or --notebook; leave out --source.")
    if options.form != "text" and (options.answers or options.solutions):
        raise Complaint(
            f"marks and solutions are text, not {options.form}; as a key in that form, take the derivation itself: "
            "leave out --worksheet and --solutions."
        )
    blanks = list(answers) if answers is not None and options.blanks == 0.5 else options.blanks
    return derivation.worksheet(blanks, options.seed, columns=options.columns)


def written(sheet: Any, options: argparse.Namespace) -> str:
    """The worksheet, or its solutions, in the requested form."""
    if options.solutions:
        return "\n".join(f"{name} = {answer}" for name, answer in sheet.solutions().items())
    if options.form == "notebook":
        return json.dumps(sheet.notebook(_setup(options)), indent=1, ensure_ascii=False)
    forms = {"text": sheet.text, "latex": sheet.latex, "markdown": sheet.markdown, "html": sheet.html}
    return str(forms[options.form]())


def answers_in(path: str) -> dict[str, str]:
    """The answers in a file, by the names of the lines; a row that begins with a space continues the one before."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        o.unreadable(path, error)
    found: dict[str, str] = {}
    rows = [row for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#")]
    for row in re.split(r"\n(?=\S)", "\n".join(rows)) if rows else []:
        match = ANSWER.fullmatch(row)
        if match is None:
            raise Complaint(f"{path}: {row.strip()!r} is not an answer; an answer is a line such as delta = ...")
        found[match["name"]] = match["answer"].strip()
    if not found:
        raise Complaint(f"{path} has no answers; an answer is a line such as delta = dL_dh[t] * (1 - h[t]**2)")
    return found


def _blanks(text: str) -> Any:
    """A number, a share, or names."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return [name.strip() for name in text.split(",") if name.strip()]


def _setup(options: argparse.Namespace) -> str:
    """The code that repeats the derivation in a notebook."""
    if ":" not in options.what:
        name = options.what.replace("-", "_")
        settings = {} if name == "worked_example" else {"steps": options.steps, "seed": options.seed}
        given = ", ".join(f"{k}={v!r}" for k, v in settings.items() if v is not None)
        imports = f"import tinygrad_rnn as tr\nfrom tinygrad_rnn.report.networks import {name}"
        return f"{imports}\n\nderivation = tr.derive({name}({given}).loss)"
    return f"from tinygrad_rnn.cli.derive import derived\n\nderivation = derived({options.what!r})"
