"""Output places of the command line, so that no file of the user is overwritten."""

from __future__ import annotations

from pathlib import Path

from ..data.files import replace_file


class Complaint(Exception):
    """An error that the user can correct. It is shown as one line, without a traceback."""


def output_folder(given: str | None, default: str, overwrite: bool) -> Path:
    """A folder to write into, made if it doesn't exist.

    Args:
        given: the folder that the user named. It may hold files already, which ``claim`` then guards.
        default: the name of the folder if none is given, in the current folder. If it exists and isn't empty, the next
            free one of ``default-2``, ``default-3``, ... is used.
        overwrite: whether existing files may be replaced; then the default folder is used again.

    Raises:
        Complaint: the folder can't be made, or it is a file.
    """
    folder = Path(given or default)
    number = 2
    while given is None and not overwrite and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        folder = Path(f"{default}-{number}")
        number += 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise Complaint(f"{folder} is a file, not a folder. Name another with --out.") from None
    except OSError as error:
        raise Complaint(f"can't make the folder {folder}: {error.strerror}. Name another with --out.") from None
    return folder


def claim(folder: Path, names: list[str], overwrite: bool) -> list[Path]:
    """The paths of the files about to be written, checked by ``refuse_to_replace``."""
    paths = [folder / name for name in names]
    refuse_to_replace(paths, overwrite)
    return paths


def refuse_to_replace(paths: list[Path], overwrite: bool) -> None:
    """Raise a Complaint for files that exist already, before any work is done, unless ``overwrite`` allows it."""
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        raise Complaint(
            f"{', '.join(map(str, taken))} {'is' if len(taken) == 1 else 'are'} there already. "
            "Name another place with --out, or allow it with --overwrite."
        )


def write_text(path: Path, text: str) -> None:
    """Write a text that ends in one line end, whole or not at all."""
    try:
        with replace_file(path) as file:
            # A file's name in it may be no valid text.
            file.write(text.rstrip("\n").encode(errors="backslashreplace") + b"\n")
    except OSError as error:
        raise Complaint(f"can't write {path}: {error.strerror or error}.") from None
