"""The archive of an artifact: a zip of stored members with one possible byte sequence, and its strict reader.

Python's ``zipfile`` and every unzip tool open the archive. It is written and read here because both directions are to be exact:
the same members give the same bytes with every version of Python, and the reader accepts those bytes alone, so that no damaged
bit and no trick (overlapping members, two directories, compressed bombs) passes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

Chunk = Any
"""A buffer of bytes: ``bytes``, or the memory of an array."""

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")
_LOCAL_MARK, _CENTRAL_MARK = b"PK\x03\x04", b"PK\x01\x02"

DATE_1980 = 0x21
"""1980-01-01, the first date that a zip can hold."""
UNIX = 3 << 8
"""Made on Unix, so that the mode below holds."""
MODE = 0o100644 << 16
LARGE = 0xFFFFFFFF
"""Sizes from here on stand in zip64 fields."""
MANY = 0xFFFF


class Damaged(ValueError):
    """The bytes are not an archive that `pack` could have written."""


class Foreign(ValueError):
    """The bytes are something else altogether."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the archive's headers say about one member."""

    name: str
    crc: int
    size: int
    offset: int = 0

    def local_header(self) -> bytes:
        """Return the bytes before the member's content."""
        large = self.size >= LARGE
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if large else b""
        size = LARGE if large else self.size
        name = self.name.encode("ascii")
        version = 45 if large else 20
        head = _LOCAL.pack(_LOCAL_MARK, version, 0, 0, 0, DATE_1980, self.crc, size, size, len(name), len(extra))
        return head + name + extra

    def central_header(self) -> bytes:
        """Return the member's line in the directory."""
        large, far = self.size >= LARGE, self.offset >= LARGE
        fields = ([self.size, self.size] if large else []) + ([self.offset] if far else [])
        extra = struct.pack(f"<HH{len(fields)}Q", 1, 8 * len(fields), *fields) if fields else b""
        size, offset = LARGE if large else self.size, LARGE if far else self.offset
        name = self.name.encode("ascii")
        version = 45 if fields else 20
        head = _CENTRAL.pack(
            _CENTRAL_MARK, UNIX | version, version, 0, 0, 0, DATE_1980, self.crc, size, size,
            len(name), len(extra), 0, 0, 0, MODE, offset,
        )  # fmt: skip
        return head + name + extra


def _directory(entries: Sequence[Entry], offset: int) -> bytes:
    """Return everything after the last member's content, which ends at ``offset``."""
    lines = b"".join(entry.central_header() for entry in entries)
    count, size = len(entries), len(lines)
    zip64 = b""
    if count >= MANY or size >= LARGE or offset >= LARGE:
        zip64 = _END64.pack(b"PK\x06\x06", 44, UNIX | 45, 45, 0, 0, count, count, size, offset)
        zip64 += _LOCATOR64.pack(b"PK\x06\x07", 0, offset + size, 1)
    short = min(count, MANY)
    return lines + zip64 + _END.pack(b"PK\x05\x06", 0, 0, short, short, min(size, LARGE), min(offset, LARGE), 0)


def pack(file: IO[bytes], members: Sequence[tuple[str, Sequence[Chunk]]]) -> None:
    """Write the members, each a name and the chunks of its content, in the given order."""
    entries: list[Entry] = []
    offset = 0
    for name, chunks in members:
        crc = size = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
        entry = Entry(name, crc, size, offset)
        header = entry.local_header()
        file.write(header)
        for chunk in chunks:
            file.write(chunk)
        entries.append(entry)
        offset += len(header) + size
    file.write(_directory(entries, offset))


def unpack(file: IO[bytes], file_size: int) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every member in order, then check that the directory and nothing else follows.

    Memory is taken only for sizes that the file really has.

    Raises:
        Foreign: The first bytes are not those of a zip.
        Damaged: Any byte differs from what `pack` writes for these members.
    """
    entries: list[Entry] = []
    offset = 0
    while True:
        mark = file.read(4)
        if mark == _CENTRAL_MARK and entries:
            break
        if mark != _LOCAL_MARK:
            raise Damaged(f"no member starts at byte {offset}") if entries else Foreign()
        entry, header_size = _read_local_header(file, offset)
        if entry.size > file_size - offset - header_size:
            missing = entry.size - (file_size - offset - header_size)
            raise Damaged(f"it ends {missing} bytes before the end of its member '{entry.name}'")
        content = file.read(entry.size)
        if len(content) != entry.size or zlib.crc32(content) != entry.crc:
            raise Damaged(f"the bytes of its member '{entry.name}' do not match their checksum")
        yield entry.name, content
        entries.append(entry)
        offset += header_size + entry.size
    expected = _directory(entries, offset)
    if file_size - offset != len(expected) or mark + file.read(len(expected)) != expected:
        raise Damaged("its directory does not match its members")


def _read_local_header(file: IO[bytes], offset: int) -> tuple[Entry, int]:
    """Return the entry whose header starts at ``offset`` (its mark is already read) and the header's length."""
    rest = file.read(_LOCAL.size - 4)
    if len(rest) != _LOCAL.size - 4:
        raise Damaged("it ends inside the header of a member")
    crc, size, _, name_size, extra_size = struct.unpack_from("<IIIHH", rest, 10)
    tail = file.read(name_size + extra_size)
    if len(tail) == name_size + extra_size and size == LARGE and extra_size == 20:
        size = struct.unpack_from("<Q", tail, name_size + 4)[0]
    try:
        entry = Entry(tail[:name_size].decode("ascii"), crc, size, offset)
    except UnicodeDecodeError:
        raise Damaged(f"the member at byte {offset} has a name that no artifact holds") from None
    header = _LOCAL_MARK + rest + tail
    if header != entry.local_header():
        raise Damaged(f"the header of the member at byte {offset} is not one that neurocomp writes")
    return entry, len(header)
