"""HDF5 from anywhere: what is read lies in the file itself, and is there.

HDF5 files can name other files, by links, as the place of an array, or part by part; declare arrays without storing them; and
hold texts that the library follows to wrong places until it crashes. What lies further within the library is its own: a heap of
texts that is damaged on purpose can hold it up.
"""

from __future__ import annotations

from typing import Any

import h5py

UNREADABLE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What h5py raises for content that it cannot read."""
DAMAGED = "the file is damaged, or was cut off while it was written: copy or export it again"
_HERE = "store the values in this one"
_SMALL = 1 << 20
"""Bytes that an array may take without being stored."""


class UnreadableError(Exception):
    """What is wrong with a member of a file, to stand behind its name, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def member(group: h5py.Group, key: str) -> Any:
    """Return a member of a group: a group, a data set or a type.

    Raises:
        UnreadableError: It is not there, lies in another file or is damaged.
    """
    try:
        if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
            raise UnreadableError("is a link to another file", _HERE)
        found = group[key]
        if found.file.filename != group.file.filename:  # a link within the file to such a link
            raise UnreadableError("is a link to another file", _HERE)
    except UNREADABLE as error:
        raise UnreadableError(f"cannot be read: {reason(error)}", DAMAGED) from None
    return found


def values(found: h5py.Dataset) -> Any:
    """Return what a data set holds, as h5py gives it.

    Raises:
        UnreadableError: It is stored in another file or not at all, or is damaged.
    """
    try:
        if found.external or found.is_virtual:
            raise UnreadableError("is stored in another file", _HERE)
        if found.shape is not None and found.nbytes > _SMALL and found.id.get_storage_size() == 0:
            raise UnreadableError(f"has the shape {found.shape}, but the file holds no values of it", "write the file again")
        if found.dtype.kind == "O" and not _is_sound_text(found):
            raise UnreadableError("cannot be read: its text lies outside of the file", DAMAGED)
        return found[()]
    except UNREADABLE as error:
        raise UnreadableError(f"cannot be read: {reason(error)}", DAMAGED) from None


def reason(error: BaseException) -> str:
    """Return the first line of what a library says, in ASCII."""
    lines = str(error.args[0] if error.args else error).strip("'\" \n").splitlines()
    return ascii(lines[0][:160])[1:-1] if lines else type(error).__name__


def _is_sound_text(found: h5py.Dataset) -> bool:
    """Return whether texts of variable length lie where the file says; HDF5 follows wrong places until it crashes.

    A text is stored as its length (4 bytes), the address of a heap (8) and its number in it (4); a heap as "GCOL", version
    (4), size (8), and objects: number (2), uses (2), nothing (4), size (8), the bytes, filled up to 8. What is laid out in
    another way is left to HDF5.
    """
    start = found.id.get_offset()
    if start is None or found.file.id.get_create_plist().get_sizes() != (8, 8):
        return True
    base = found.file.userblock_size
    heaps: dict[int, dict[int, int]] = {}
    with open(found.file.filename, "rb") as file:
        end = file.seek(0, 2)
        count = int(found.size)
        file.seek(start)
        stored = file.read(min(16 * count, end))
        for at in range(0, len(stored), 16):
            length, address, number = (int.from_bytes(stored[a:b], "little") for a, b in _split(at, 4, 8, 4))
            if not length and not address:
                continue
            if address not in heaps:
                if base + address + 16 > end:
                    return False
                file.seek(base + address)
                head = file.read(16)
                size = int.from_bytes(head[8:], "little")
                if head[:4] != b"GCOL" or size > end - base - address:
                    return False
                heaps[address] = _sizes(file.read(max(0, size - 16)))
            if length > heaps[address].get(number, -1):
                return False
    return len(stored) == 16 * count


def _sizes(heap: bytes) -> dict[int, int]:
    """Return number -> size of the objects of a heap, as far as they lie within it."""
    sizes: dict[int, int] = {}
    at = 0
    while at + 16 <= len(heap):
        number, _, _, size = (int.from_bytes(heap[a:b], "little") for a, b in _split(at, 2, 2, 4, 8))
        if number == 0 or at + 16 + size > len(heap):
            break
        sizes[number] = size
        at += 16 + -(-size // 8) * 8
    return sizes


def _split(start: int, *lengths: int) -> list[tuple[int, int]]:
    """Return where each of some fields begins and ends that lie one behind the other."""
    ends = [start + sum(lengths[: number + 1]) for number in range(len(lengths))]
    return list(zip([start, *ends[:-1]], ends, strict=True))
