"""Arrays as ``.npy`` members: one byte sequence per array, and a reader that trusts nothing.

The header is that of ``.npy`` version 1.0, so that ``numpy.load`` reads the members. It is written here because numpy's own
writer pads it differently from version to version, and read by a pattern because numpy's own reader evaluates it as Python.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DTYPES = tuple(np.dtype(name) for name in ("?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"))
_BY_DESCRIPTION = {dtype.str: dtype for dtype in DTYPES}
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z]\d)', 'fortran_order': False, 'shape': \((|\d{1,18},|\d{1,18}(?:, \d{1,18}){1,31})\), \} *\n"
)
MAX_HEADER = 1024
MOST_OF_NOTHING = 1 << 32
"""Product of the other extents of an array that has an extent of 0: a file of no size is not to hold a long axis."""


class MalformedArray(ValueError):
    """The bytes are not an array that `chunks` could have written."""


def chunks(array: Array) -> tuple[bytes, memoryview]:
    """Return header and content of an array as ``.npy``, C order and little-endian; no copy where it is so already.

    Raises:
        MalformedArray: The elements are neither booleans, integers nor floats of at most 64 bits.
    """
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _BY_DESCRIPTION:
        raise MalformedArray(f"an array of {array.dtype} cannot be stored")
    content = np.asarray(array, dtype, order="C").reshape(-1).view(np.uint8)
    return header(dtype, array.shape), content.data


def header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the ``.npy`` header, padded to a multiple of 64 bytes."""
    extents = f"{shape[0]}," if len(shape) == 1 else ", ".join(str(extent) for extent in shape)
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({extents}), }}".encode("ascii")
    size = -(-(len(_MAGIC) + 2 + len(text) + 1) // 64) * 64 - len(_MAGIC) - 2
    return _MAGIC + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n"


def parse(content: bytes) -> Array:
    """Return the array of a ``.npy`` member, read-only, on the memory of ``content``.

    Raises:
        MalformedArray: The bytes are not exactly what `chunks` writes for some array.
    """
    start = len(_MAGIC) + 2
    size = int.from_bytes(content[len(_MAGIC) : start], "little")
    match = _HEADER.fullmatch(content[start : start + size]) if size <= MAX_HEADER else None
    dtype = _BY_DESCRIPTION.get(match[1].decode("ascii")) if match else None
    if match is None or dtype is None:
        raise MalformedArray("the header is not that of an array of booleans, integers or floats")
    shape = tuple(int(extent) for extent in match[2].replace(b",", b" ").split())
    if content[: start + size] != header(dtype, shape):
        raise MalformedArray("the header is not the one that neurocomp writes")
    if len(content) - start - size != math.prod(shape) * dtype.itemsize:
        raise MalformedArray(f"shape {shape} of {dtype} does not match the {len(content) - start - size} bytes that follow")
    if 0 in shape and math.prod(filter(None, shape)) > MOST_OF_NOTHING:
        raise MalformedArray(f"shape {shape} is impossible")
    flat = np.frombuffer(content, dtype, offset=start + size)
    if dtype == np.bool_ and flat.size and flat.view(np.uint8).max() > 1:
        raise MalformedArray("a boolean is neither 0 nor 1")
    return flat.reshape(shape)
