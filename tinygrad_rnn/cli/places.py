"""Output places of the command line, which never writes over a file of the user's."""

from __future__ import annotations

from pathlib import Path


class Complaint(Exception):
    """Something that the user can mend. Shown as one line, without a traceback."""


def output_folder(given: str | None, default: str, overwrite: bool) -> Path:
    """A folder to write into, made if it isn't there.

    Args:
        given: the folder that the user named. It may hold files already, which ``claim`` then guards.
        default: otherwise a folder of this name in the current one; if that is there already and not empty, the next
            free of ``default-2``, ``default-3``, ...
        overwrite: whether files that are there may be replaced; then the default folder is used again.

    Raises:
        Complaint: it can't be made, or it is a file.
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
    """The paths of the files about to be written, checked before any work is done.

    Raises:
        Complaint: one of them is there already and ``overwrite`` wasn't asked for.
    """
    paths = [folder / name for name in names]
    refuse_to_replace(paths, overwrite)
    return paths


def refuse_to_replace(paths: list[Path], overwrite: bool) -> None:
    """Turn away files that are there already, before any work is done.

    Raises:
        Complaint: one of them is there and ``overwrite`` wasn't asked for.
    """
    taken = [path for path in paths if path.exists()]
    if taken and not overwrite:
        raise Complaint(
            f"{', '.join(map(str, taken))} {'is' if len(taken) == 1 else 'are'} there already. "
            "Name another place with --out, or allow it with --overwrite."
        )
