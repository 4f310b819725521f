"""Files that appear as a whole or not at all, whatever ends the program while it writes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from neurocomp.errors import Diagnostic, UsageError


@contextmanager
def whole_file(path: Path, option: str = "-o") -> Iterator[IO[bytes]]:
    """Give a file to write; at the end of the block it replaces ``path``, after an error ``path`` is as it was.

    Where the system can, the bytes go to a file without a name, so that even a killed process leaves nothing behind.

    Args:
        path: The file.
        option: What named it on the command line, for messages.

    Raises:
        UsageError: The file cannot be written there (NC0801).
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(6)}.tmp"
    try:
        try:
            with _open(temporary) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if not temporary.exists():
                    _name(file, temporary)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        check_folder(path, option)
        reason, hint = (error.strerror or "unknown reason").lower(), f"choose another place with {option}"
        raise UsageError(Diagnostic("NC0801", f"cannot write '{path}': {reason}", hint=hint)) from None


def check_folder(path: Path, option: str = "-o") -> None:
    """Refuse a file whose folder is not there, before anything is computed for it.

    Raises:
        UsageError: There is no such folder (NC0801).
    """
    if not path.parent.is_dir():
        message = f"cannot write '{path}': the folder '{path.parent}' does not exist"
        raise UsageError(Diagnostic("NC0801", message, hint=f"make it, or choose another place with {option}"))


def made_folder(path: Path) -> None:
    """Make a folder, and those above it, where it is not there yet.

    Raises:
        UsageError: It cannot be made (NC0801).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageError(Diagnostic("NC0801", f"cannot write the folder '{path}': {reason}")) from None


def _open(temporary: Path) -> IO[bytes]:
    """Open a file without a name in the folder of ``temporary``, or where the system has none, ``temporary`` itself."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):
            descriptor = os.open(temporary.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
            if os.path.exists(f"/proc/self/fd/{descriptor}"):
                return os.fdopen(descriptor, "w+b")
            os.close(descriptor)
    return temporary.open("xb")


def _name(file: IO[bytes], temporary: Path) -> None:
    folder = os.open("/proc/self/fd", os.O_RDONLY)
    try:
        os.link(str(file.fileno()), temporary, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _sync_folder(folder: Path) -> None:
    """Make the rename outlive a power cut, where the system can open folders."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # some network file systems cannot; the file itself is safe
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
