"""Events of cameras from files: arrays t, x, y, p of numpy, and AEDAT 2.0, 3.1 and 4."""

from __future__ import annotations

import importlib
import importlib.util
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data.arrays import UNREADABLE, closest, missing_file, reason_of
from neurocomp.errors import Diagnostic, Location, NetworkError
from neurocomp.ir.network import NO_EVENT

Array = NDArray[Any]
Events = NDArray[np.int64]
"""(events, 4): t, x, y, p."""

EVENT_FILE = r"^.+\.(npy|npz|npz#.+|aedat|aedat4)$"
FIELDS = ("t", "x", "y", "p")

_READABLE = "write FILE.npz with arrays t, x, y, p, FILE.npz#key or FILE.npy with a structured array, FILE.aedat or FILE.aedat4"
_LARGEST = np.iinfo(np.int64).max
_MOST_SAMPLES = 1 << 20
"""Of one file; larger numbers are rather something else than those of samples."""
_HEADER_2 = b"#!AER-DAT2.0"
_HEADER_3 = b"#!AER-DAT3.1"
_HEADER_4 = b"#!AER-DAT4.0"
_END_OF_HEADER = b"#!END-HEADER\r\n"
_POLARITY_EVENTS = 1


class _Unreadable(Exception):
    """What is wrong with a file, and the next step."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


def is_event_file(text: str) -> bool:
    """Return whether ``text`` names a file of events.

    >>> is_event_file("hand.aedat4"), is_event_file("events.npz"), is_event_file("events.csv")
    (True, True, False)
    """
    return re.match(EVENT_FILE, text) is not None


def load_events(files: Sequence[str], folder: Path, location: Location | None = None) -> Events:
    """Read the events of samples.

    Args:
        files: Relative to ``folder``. An ``.npz`` holds arrays t, x, y, p of one length, and may hold ``sample``, which
            numbers the sample of each event from 0; ``.npz#key`` and ``.npy`` hold a structured array with these fields;
            without ``sample``
            a file is one sample, as each ``.aedat`` and ``.aedat4`` is. Samples of several files follow one another.
        folder: The folder of the network file.
        location: Where the files are named, for messages.

    Returns:
        (samples, events of the longest, 4): t (time stamps of the file, microseconds in AEDAT), x, y, p (0 or 1), in the order
        of t; shorter samples end in rows of t = -1. Read-only.

    Raises:
        NetworkError: There is no such file, it is damaged, or a package is needed to read it (NC0101); an array is missing
            (NC0203); arrays differ in length (NC0210); elements are no whole numbers (NC0207), or negative (NC0209).
    """
    samples: list[Events] = []
    for file in files:
        try:
            samples += _samples(file, folder, location)
        except _Unreadable as problem:
            raise NetworkError(Diagnostic(problem.code, f"'{file}' {problem}", location, hint=problem.hint)) from None
    padded = np.full((len(samples), max((len(sample) for sample in samples), default=0), len(FIELDS)), 0, np.int64)
    padded[:, :, 0] = NO_EVENT
    for row, sample in zip(padded, samples, strict=True):
        row[: len(sample)] = sample[np.argsort(sample[:, 0], kind="stable")]
    padded.flags.writeable = False
    return padded


def _samples(file: str, folder: Path, location: Location | None) -> list[Events]:
    name, _, key = file.partition("#")
    path = folder / name
    if not is_event_file(file):
        raise _Unreadable("NC0104", "does not name events", _READABLE)
    if not path.is_file():
        message, hint = missing_file(path, name)
        raise NetworkError(Diagnostic("NC0101", message, location, hint=hint))
    if path.suffix in (".aedat", ".aedat4"):
        return [_aedat(path)]
    try:
        if path.suffix == ".npy":
            fields = _fields(np.load(path, allow_pickle=False), key)
        else:
            zipfile.ZipFile(path).close()  # numpy takes what is no archive for pickled objects
            with np.load(path, allow_pickle=False) as found:
                fields = _fields(found, key)
    except UNREADABLE as problem:
        raise _Unreadable("NC0101", f"cannot be read: {reason_of(problem)}") from None
    return _split(fields)


def _fields(found: Any, key: str) -> dict[str, Array]:
    """Return the arrays by name."""
    if isinstance(found, np.ndarray):
        names: Sequence[str] = found.dtype.names or ()
        table: Any = found
    elif key:
        if key not in found:
            raise _Unreadable("NC0203", f"holds no array '{key}'; its keys: {', '.join(found)}", closest(key, found))
        table = found[key]
        names = table.dtype.names or ()
    else:
        table, names = found, list(found)
    missing = [field for field in FIELDS if field not in names]
    if missing:
        held = ", ".join(names) or "numbers without names"
        raise _Unreadable("NC0203", f"holds no {', '.join(missing)} of events; it holds: {held}", _READABLE)
    return {field: np.asarray(table[field]) for field in (*FIELDS, *(["sample"] if "sample" in names else []))}


def _split(fields: dict[str, Array]) -> list[Events]:
    for name, values in fields.items():
        whole = values.dtype.kind in "biu"
        if not whole and (values.dtype.kind != "f" or not np.isfinite(values).all() or (values != np.rint(values)).any()):
            raise _Unreadable("NC0207", f"has '{name}' of the dtype {values.dtype}; whole numbers are needed")
        if values.ndim != 1 or len(values) != len(fields["t"]):
            shapes = ", ".join(f"{key} {array.shape}" for key, array in fields.items())
            raise _Unreadable("NC0210", f"has arrays that differ: {shapes}; one value per event is needed")
        if values.size and values.min() < 0:
            raise _Unreadable("NC0209", f"has '{name}' {values.min()}; it is not negative")
        if values.size and int(values.max()) > _LARGEST:
            raise _Unreadable("NC0209", f"has '{name}' {values.max()}; the largest that can be read is {_LARGEST}")
    events: Events = np.stack([fields[name].astype(np.int64) for name in FIELDS], axis=1)
    if "sample" not in fields:
        return [events]
    number = fields["sample"].astype(np.int64)
    if number.size and number.max() >= _MOST_SAMPLES:
        hint = "number the samples one by one, or write several files"
        raise _Unreadable("NC0209", f"has the sample {number.max()}; samples are numbered 0..{_MOST_SAMPLES - 1}", hint)
    order = np.argsort(number, kind="stable")
    counts = np.bincount(number, minlength=1)
    return np.split(events[order], np.cumsum(counts)[:-1])


# --- AEDAT


def _aedat(path: Path) -> Events:
    with path.open("rb") as stream:
        start = stream.read(len(_HEADER_2))
    if start == _HEADER_4:
        return _aedat4(path)
    content = path.read_bytes()
    if start == _HEADER_3:
        return _aedat3(content)
    if start == _HEADER_2:
        return _aedat2(content)
    known = ", ".join(header[2:].decode("ascii") for header in (_HEADER_2, _HEADER_3, _HEADER_4))
    raise _Unreadable("NC0101", f"begins with {start[:12]!r}; files of {known} can be read")


def _aedat2(content: bytes) -> Events:
    """Read AEDAT 2.0: lines that begin with #, then per event a big-endian address and time stamp in us, 32 bits each.

    Addresses of DVS128: bit 0 is 0 for on, x bits 1-7, y bits 8-14, bit 15 marks what is no pixel. Of DAVIS: bit 11 is 1 for
    on, x bits 12-21, y bits 22-30; bits 31 and 10 mark frames, inertia and triggers. x and y are taken as stored; jAER's own
    viewer counts y from the bottom, and x of DVS128 from the right.

    iniVation: AEDAT file formats, 2.0; jAER, `DVS128.Extractor`, `DavisBaseCamera`.
    """
    start, chip = 0, "DVS128"
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start) + 1
        if not end:
            raise _Unreadable("NC0101", "ends within its header")
        found = re.search(rb"AEChip:\s*(\S+)", content[start:end])
        chip = found[1].decode("ascii", "replace").rpartition(".")[2] if found else chip
        start = end
    words = np.frombuffer(content, ">u4", (len(content) - start) // 8 * 2, start).reshape(-1, 2).astype(np.int64)
    address, t = words[:, 0], words[:, 1]
    if "davis" in chip.lower():
        pixel = (address & (1 << 31 | 1 << 10)) == 0
        x, y, p = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
    elif chip.lower().startswith(("dvs128", "tmpdiff128")):
        pixel = address & 0x8000 == 0
        x, y, p = address >> 1 & 0x7F, address >> 8 & 0x7F, 1 - (address & 1)
    else:
        hint = "convert it to .npz with arrays t, x, y, p"
        raise _Unreadable("NC0101", f"is of the chip {chip}; of AEDAT 2.0, addresses of DVS128 and DAVIS are known", hint)
    events: Events = np.stack([t, x, y, p], axis=1)[pixel]
    return events


def _aedat3(content: bytes) -> Events:
    """Read AEDAT 3.1: lines that begin with #, then packets, little-endian: a header of 28 bytes, and events.

    A polarity event has bits 0 (valid), 1 (on), 2-16 (y) and 17-31 (x), and a time stamp in us below 2**31, whose overflows the
    packet counts.

    iniVation: AEDAT file formats, 3.1.
    """
    at = content.find(_END_OF_HEADER)
    if at < 0:
        raise _Unreadable("NC0101", "has no end of its header")
    at += len(_END_OF_HEADER)
    parts = [np.zeros((0, len(FIELDS)), np.int64)]
    while at < len(content):
        if at + 28 > len(content):
            raise _Unreadable("NC0101", f"is truncated at byte {at}")
        kind = int(np.frombuffer(content, "<i2", 1, at)[0])
        size, _, overflow, _, number, _ = (int(value) for value in np.frombuffer(content, "<i4", 6, at + 4))
        at += 28
        if size < 8 or number < 0 or at + size * number > len(content):
            raise _Unreadable("NC0101", f"is truncated or damaged at byte {at - 28}")
        if kind == _POLARITY_EVENTS:
            if size != 8:
                raise _Unreadable("NC0101", f"has polarity events of {size} bytes at byte {at - 28}, not 8")
            words = np.frombuffer(content, "<u4", 2 * number, at).reshape(-1, 2).astype(np.int64)
            data, t = words[:, 0], words[:, 1] + (overflow << 31)
            events = np.stack([t, data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, data >> 1 & 1], axis=1)
            parts.append(events[data & 1 == 1])
        at += size * number
    return np.concatenate(parts)


def _aedat4(path: Path) -> Events:
    """Read AEDAT 4 by the package ``aedat``."""
    if importlib.util.find_spec("aedat") is None:
        raise _Unreadable("NC0101", "is AEDAT 4, which the package 'aedat' reads, and it is not installed", "pip install aedat")
    module: Any = importlib.import_module("aedat")
    parts = [np.zeros((0, len(FIELDS)), np.int64)]
    try:
        for packet in module.Decoder(str(path)):
            if "events" in packet:
                events = packet["events"]
                on = "on" if "on" in (events.dtype.names or ()) else "p"
                parts.append(np.stack([events[name].astype(np.int64) for name in ("t", "x", "y", on)], axis=1))
    except Exception as problem:  # the package raises what its parser finds, of several types
        raise _Unreadable("NC0101", f"cannot be read: {problem}") from None
    return np.concatenate(parts)
