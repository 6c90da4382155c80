"""``cache``: the folder in which machine code is kept, and its size; ``--clear`` deletes it."""

from __future__ import annotations

import argparse

from ..compiler.runtime import code_folder
from . import options as o

DESCRIPTION = "Print the folder in which machine code is kept, its size, its limit, and the number of entries."


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        f"The environment variable {code_folder.LIMIT_VARIABLE} sets the limit in MiB "
        f"({code_folder.LIMIT_MIB:g} by default). Beyond it, the entries used longest ago are deleted first."
    )
    parser.add_argument("--clear", action="store_true", help="delete all of it; it is made again when it is needed")
    o.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the facts, and delete the machine code if that is asked for."""
    folder = code_folder.cache_folder()
    entries = code_folder.entries(folder)
    size = sum(entry.size for entry in entries)
    if options.clear:
        for entry in entries:
            code_folder.delete(entry)
    if options.json:
        facts = {"folder": str(folder), "entries": len(entries), "bytes": size, "limit": code_folder.limit()}
        o.print_json({**facts, "cleared": options.clear})
        return 0
    print(f"folder: {folder}")
    did = "deleted" if options.clear else "kept"
    print(f"{did}: {len(entries)} entries, {_mebibytes(size)} (limit {_mebibytes(code_folder.limit())})")
    return 0


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
