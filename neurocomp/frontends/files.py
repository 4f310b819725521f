"""Files that a user names, as all readers open them."""

from __future__ import annotations

from pathlib import Path

from neurocomp.errors import Diagnostic, NetworkError, did_you_mean


def content(path: Path, beside: str, example: str, count: int = -1) -> bytes:
    """Return what a file holds.

    Args:
        path: The file.
        beside: Pattern of the names that may be meant, such as ``*.nir``.
        example: A name as files of this kind have it.
        count: How many bytes are read at most; -1: all.

    Raises:
        NetworkError: It is a folder, is not there or cannot be read (NC0101).
    """
    name = path.name
    if path.is_dir():
        hint = f"give the network file itself, such as {example}"
        raise NetworkError(Diagnostic("NC0101", f"'{name or path}' is a folder, not a network file", hint=hint))
    try:
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        known = sorted(p.name for p in path.parent.glob(beside)) if path.parent.is_dir() else []
        raise NetworkError(Diagnostic("NC0101", f"there is no file '{name}'", hint=did_you_mean(name, known))) from None
    except OSError as error:
        raise NetworkError(Diagnostic("NC0101", f"cannot read '{name}': {error.strerror}")) from None
