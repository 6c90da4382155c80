"""``completion``: a script that lets a shell complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ..autodiff.extras import optional

SHELLS = ("bash", "zsh", "fish")
WHERE = {
    "bash": "tinygrad-rnn completion bash > ~/.local/share/bash-completion/completions/tinygrad-rnn",
    "zsh": "tinygrad-rnn completion zsh > ~/.zfunc/_tinygrad-rnn, with fpath+=~/.zfunc before compinit in ~/.zshrc",
    "fish": "tinygrad-rnn completion fish > ~/.config/fish/completions/tinygrad-rnn.fish",
}

DESCRIPTION = (
    "Print a script by which a shell completes commands and options. Keep it where the shell looks: "
    + "; ".join(WHERE.values())
    + "."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that it is for")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    shtab = optional("completion", "shtab", "the script is written by shtab")
    from ..report.networks import BY_NAME
    from . import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.metavar in ("FILE", "MODEL", "DERIVATION", "REFERENCE"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "NETWORK":
            action.choices = list(BY_NAME)  # the names, to this parser alone: others are taken, too
    print(shtab.complete(parser, options.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                yield from _actions(part)
