"""Arrays in ``.npy`` and ``.npz`` files, named as ``FILE.npy`` or ``FILE.npz#key``."""

from __future__ import annotations

import difflib
import math
import re
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, NetworkError, UsageError

Array = NDArray[Any]

_REFERENCE = re.compile(r"(?P<file>.+\.(?P<kind>npy|npz))(?:#(?P<key>.*))?")
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise where a file is damaged."""
_LOCAL_HEADER = 30
_CRC_BLOCK = 1 << 24
_MAX_LISTED = 12
IN_MEMORY = 32 << 20
"""Arrays of more bytes that the compiler makes lie in files without a name, not in memory."""


_SPIKES = "spikes/"
"""What the names of arrays of spikes begin with in a trace."""


class _WrongDtype(Exception):
    """An array whose elements are not numbers."""


class _Damaged(Exception):
    """A file that is not what its name or its header says."""


def is_reference(text: str) -> bool:
    """Return whether ``text`` names an array in a file.

    >>> is_reference("weights.npz#w1"), is_reference("20 ms")
    (True, False)
    """
    return _REFERENCE.fullmatch(text) is not None


def load_array(reference: str, folder: Path, location: Location | None = None) -> Array:
    """Open the array that ``reference`` names.

    ``.npy`` files and members of uncompressed ``.npz`` files are memory-mapped; nothing is ever unpickled.

    Args:
        reference: ``FILE.npy`` or ``FILE.npz#key``, relative to ``folder``.
        folder: The folder of the network file.
        location: Where the reference stands, for messages.

    Returns:
        A read-only array of the file's shape and dtype.

    Raises:
        NetworkError: The reference has another form (NC0104), there is no such file or it is damaged (NC0101), the file
            holds no array of that key (NC0203), or its elements are not numbers (NC0207).
    """

    def error(code: str, message: str, hint: str | None = None) -> NetworkError:
        return NetworkError(Diagnostic(code, message, location, hint=hint))

    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise error("NC0104", f"'{reference}' does not name an array", "write 'FILE.npz#key' or 'FILE.npy'")
    file, kind, key = match["file"], match["kind"], match["key"]
    if kind == "npy" and key is not None:
        raise error("NC0104", f"'{file}' holds one array and takes no '#{key}'", f"write '{file}'")
    path = folder / file
    if not path.is_file():
        raise error("NC0101", *missing_file(path, file))
    try:
        if kind == "npy":
            with path.open("rb") as stream:
                return _open_npy(stream, path.stat().st_size, path, 0)
        with zipfile.ZipFile(path) as archive:
            keys = _keys(archive)
            if key not in keys:
                wanted = f"no array '{key}'" if key else "several arrays" if len(keys) > 1 else "an array with a key"
                hint = closest(key, keys) if key else f"write '{file}#{keys[0]}'" if keys else None
                raise error("NC0203", f"'{file}' holds {wanted}; its keys: {_listed(keys)}", hint)
            return _open_member(archive, key, path)
    except NetworkError:
        raise
    except _WrongDtype as problem:
        raise error("NC0207", f"'{reference}' has the dtype {problem}; integers, floats or booleans are needed") from None
    except (_Damaged, *UNREADABLE) as problem:
        raise error("NC0101", f"'{file}' cannot be read: {reason_of(problem)}") from None


def load_stimulus(path: Path, inputs: Mapping[str, tuple[int, ...]], *, analog: Collection[str] = ()) -> dict[str, Array]:
    """Read what comes out of the encoders from an ``.npz`` file.

    Args:
        path: A file with one array per input population, named as it, of shape (samples, ticks, *shape): integers or
            booleans, with the same samples >= 1 and ticks >= 1 in all of them.
        inputs: Input population -> shape.
        analog: Those of them that take constant real values; theirs may be floats.

    Returns:
        Input population -> (samples, ticks, n), integers, in the order of ``inputs``.

    Raises:
        NetworkError: There is no such file (NC0101); with every other problem at once (NC0211).
    """
    where = Location(path.name or str(path))
    if not path.is_file():
        message, hint = missing_file(path, path.name or str(path))
        raise NetworkError(Diagnostic("NC0101", message, where, hint=hint))
    problems: list[Diagnostic] = []

    def bad(message: str, hint: str | None = None) -> None:
        problems.append(Diagnostic("NC0211", message, where, hint=hint))

    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            keys = _keys(archive)
            for name in keys:
                if name not in inputs:
                    bad(f"'{name}' is no input population; the inputs: {_listed(inputs)}", closest(name, inputs))
            for name, shape in inputs.items():
                if name not in keys:
                    bad(f"there is no array for the input population '{name}'; the file holds: {_listed(keys)}")
                    continue
                try:
                    array = _open_member(archive, name, path)
                except _WrongDtype as problem:
                    bad(f"'{name}' has the dtype {problem}; integers (or booleans) are needed")
                    continue
                if array.dtype.kind == "f" and name not in analog:
                    hint = "these look like data; '--raw' sends them through the encoder"
                    bad(f"'{name}' has the dtype {array.dtype}; integers (or booleans) are needed", hint)
                elif array.shape[2:] != shape or array.ndim != 2 + len(shape):
                    wanted = ", ".join(["samples", "ticks", *map(str, shape)])
                    bad(f"'{name}' has the shape {array.shape}; ({wanted}) is needed")
                elif 0 in array.shape[:2]:
                    bad(f"'{name}' has {array.shape[0]} samples of {array.shape[1]} ticks; at least 1 of 1 is needed")
                else:
                    flat = array.reshape(*array.shape[:2], math.prod(shape))
                    arrays[name] = flat.astype(np.int8) if array.dtype.kind == "b" else flat
    except (_Damaged, *UNREADABLE) as problem:
        bad(f"the file cannot be read as .npz: {reason_of(problem)}")
    lengths = {name: array.shape[:2] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        parts = ", ".join(f"'{name}' has {samples} x {ticks}" for name, (samples, ticks) in lengths.items())
        bad(f"all inputs need the same samples and ticks; {parts}")
    if problems:
        raise NetworkError(problems)
    return arrays


def load_trace(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Read the spikes of a trace, an ``.npz`` file that ``run`` wrote.

    Args:
        path: A file with arrays ``spikes/POP`` (samples, ticks, *shape) of integers; arrays of other names are left alone.
        shapes: Population -> shape.

    Returns:
        Population -> what it sent, (samples, ticks, *shape), in the order of ``shapes``; those that were recorded.

    Raises:
        NetworkError: There is no such file, or it is damaged (NC0101); it holds no spikes (NC0203), or spikes of no population
            (NC0201), of another shape (NC0202) or type (NC0207).
    """
    where = Location(path.name or str(path))
    if not path.is_file():
        message, hint = missing_file(path, path.name or str(path))
        raise NetworkError(Diagnostic("NC0101", message, where, hint=hint))
    problems: list[Diagnostic] = []
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            recorded = [key.removeprefix(_SPIKES) for key in _keys(archive) if key.startswith(_SPIKES)]
            if not recorded:
                message = f"the file holds no arrays 'spikes/POP'; it holds: {_listed(_keys(archive))}"
                hint = "write a trace: neurocomp run ART --probe all -o TRACE.npz"
                problems.append(Diagnostic("NC0203", message, where, hint=hint))
            for name in recorded:
                if name not in shapes:
                    message = f"'{_SPIKES}{name}': there is no population '{name}'; the network has: {_listed(shapes)}"
                    problems.append(Diagnostic("NC0201", message, where, hint=closest(name, shapes)))
            for name, shape in shapes.items():
                if name not in recorded:
                    continue
                try:
                    array = _open_member(archive, _SPIKES + name, path)
                except _WrongDtype as problem:
                    problems.append(
                        Diagnostic("NC0207", f"'{_SPIKES}{name}' has the dtype {problem}; spikes are integers", where)
                    )
                    continue
                if array.dtype.kind == "f":
                    message = f"'{_SPIKES}{name}' has the dtype {array.dtype}; spikes are integers"
                    problems.append(Diagnostic("NC0207", message, where))
                elif array.shape[2:] != shape or array.ndim != 2 + len(shape) or 0 in array.shape[:2]:
                    wanted = ", ".join(["samples", "ticks", *map(str, shape)])
                    message = (
                        f"'{_SPIKES}{name}' has the shape {array.shape}; ({wanted}) is needed, at least 1 sample of 1 tick"
                    )
                    problems.append(Diagnostic("NC0202", message, where))
                else:
                    arrays[name] = array
    except (_Damaged, *UNREADABLE) as problem:
        raise NetworkError(Diagnostic("NC0101", f"the file cannot be read as .npz: {reason_of(problem)}", where)) from None
    if len({array.shape[:2] for array in arrays.values()}) > 1:
        parts = ", ".join(f"'{name}' has {array.shape[0]} x {array.shape[1]}" for name, array in arrays.items())
        problems.append(Diagnostic("NC0202", f"all populations need the same samples and ticks; {parts}", where))
    if problems:
        raise NetworkError(problems)
    return arrays


class ArrayWriter:
    """An array made from its first element to its last: in memory, or where it is large in a file without a name."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        size = math.prod(shape)
        self._filled = 0
        self._memory: Array | None = None
        self._file: IO[bytes] | None = None
        if size * self.dtype.itemsize <= IN_MEMORY:
            self._memory = np.zeros(size, self.dtype)
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115, as finish closes it

    def append(self, values: Array) -> None:
        """Add the next elements, in C order.

        Raises:
            UsageError: The folder for temporary files is full (NC0801).
        """
        flat = np.ascontiguousarray(values, self.dtype).reshape(-1)
        if self._memory is not None:
            self._memory[self._filled : self._filled + flat.size] = flat
        else:
            assert self._file is not None
            try:
                self._file.write(flat.data)
                self._file.flush()
            except OSError as problem:
                size = math.prod(self.shape) * self.dtype.itemsize
                folder = tempfile.gettempdir()
                message = f"a temporary file of {size} bytes cannot be written to '{folder}': {reason_of(problem)}"
                hint = "name a folder with more room in the environment variable TMPDIR"
                raise UsageError(Diagnostic("NC0801", message, hint=hint)) from None
        self._filled += flat.size

    def finish(self) -> Array:
        """Return the array, read-only; a large one is memory-mapped, and its file is gone when it is."""
        if self._memory is not None:
            self._memory.flags.writeable = False
            return self._memory.reshape(self.shape)
        assert self._file is not None
        try:
            return np.asarray(np.memmap(self._file, self.dtype, "r", 0, self.shape))
        finally:
            self._file.close()


def _open_member(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    """Open one member of an ``.npz``; stored members are mapped, after their checksum was compared."""
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as stream:
        if member.compress_type != zipfile.ZIP_STORED:
            return _open_npy(stream, member.file_size, path, None)
        with path.open("rb") as raw:
            raw.seek(member.header_offset)
            header = raw.read(_LOCAL_HEADER)
            names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
            start = member.header_offset + _LOCAL_HEADER + names
            raw.seek(start)
            checksum, left = 0, member.file_size
            while left > 0 and (block := raw.read(min(left, _CRC_BLOCK))):
                checksum, left = zlib.crc32(block, checksum), left - len(block)
        if left or checksum != member.CRC:
            raise _Damaged(f"the checksum of '{key}' is wrong")
        return _open_npy(stream, member.file_size, path, start)


def _open_npy(stream: IO[bytes], size: int, path: Path, start: int | None) -> Array:
    """Open the ``.npy`` of ``size`` bytes at the head of ``stream``; mapped where it begins at ``start`` of ``path``."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise _WrongDtype("of a structure")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(stream)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise _WrongDtype(str(dtype))
    n_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + n_bytes > size:
        raise _Damaged(f"it is truncated; its header announces the shape {shape} of {dtype}")
    order: Any = "F" if fortran_order else "C"
    if start is not None and n_bytes:
        return np.asarray(np.memmap(path, dtype, "r", start + stream.tell(), shape, order))
    return np.frombuffer(stream.read(n_bytes), dtype).reshape(shape, order=order)


def _keys(archive: zipfile.ZipFile) -> list[str]:
    return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def missing_file(path: Path, name: str) -> tuple[str, str | None]:
    """Return message and hint about a file that is not there."""
    if path.is_dir():
        return f"'{name}' is a folder, not a file", None
    if not path.parent.is_dir():
        return f"there is no file '{name}', nor its folder", None
    return f"there is no file '{name}'", closest(path.name, sorted(entry.name for entry in path.parent.iterdir()))


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return a hint that names what is written most alike."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else None


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more if names else "none"


def reason_of(problem: BaseException) -> str:
    """Return why a file cannot be read or written."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem) or "it is damaged"
