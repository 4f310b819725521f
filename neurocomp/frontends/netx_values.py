"""Reads typed values out of the groups of a netx file and collects every problem on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, Location, did_you_mean
from neurocomp.frontends import hdf5

Array = NDArray[Any]
IntArray = NDArray[np.int64]

LARGEST_ARRAY = 1 << 28
"""Values of the largest array that is read; HDF5 can declare far more without storing them."""
_WHOLE: tuple[tuple[str, Callable[[Array], Array], str], ...] = (
    ("NC0204", np.isfinite, "finite"),
    ("NC0207", lambda array: np.asarray(np.floor(array) == array), "whole numbers, as a quantized network has them"),
    ("NC0209", lambda array: np.asarray(np.abs(array) <= 2.0**53), "below 2**53"),
)
"""What makes whole numbers of a float type: (code of its lack, test, in words), to be asked in this order."""
_HINTS = {
    "NC0104": "write it as export_hdf5 of lava-dl does",
    "NC0202": "make the arrays, 'shape' and the layer before agree; docs/netx.md has the shapes",
    "NC0204": "find out in training where it comes from",
    "NC0207": "write it as export_hdf5 of lava-dl does",
    "NC0209": "bring it into the range, and export the network again",
}


class Values:
    """One group of a file; every method that reads a value returns None after it noted a problem, or if it is not there."""

    def __init__(self, group: h5py.Group, what: str, where: Location, problems: list[Diagnostic]) -> None:
        self.group, self.what, self.where, self.problems = group, what, where, problems
        self.names = self._names()
        """The names of what the group holds, sorted."""

    def bad(self, code: str, message: str, hint: str | None = None) -> None:
        """Note a problem with the group; without a hint of its own it gets the one of its code."""
        self.problems.append(Diagnostic(code, f"{self.what}: {message}", self.where, hint=hint or _HINTS.get(code)))

    def __contains__(self, key: str) -> bool:
        return key in self.names

    def need(self, keys: Iterable[str]) -> bool:
        """Note keys that are missing and return whether all are there."""
        missing = [key for key in keys if key not in self.names]
        for key in missing:
            self.bad("NC0105", f"'{key}' is missing", did_you_mean(key, self.names) or "export the network again with lava-dl")
        return not missing

    def inner(self, key: str, what: str | None = None) -> Values | None:
        """Return a group within the group; messages call it ``what``, or as they call this one."""
        found = self._item(key)
        if found is None or isinstance(found, h5py.Group):
            return None if found is None else Values(found, what or self.what, self.where, self.problems)
        self.bad("NC0104", f"'{key}' must be a group of values, not one value")
        return None

    def is_group(self, key: str) -> bool:
        """Return whether a name stands for a group."""
        return key in self and isinstance(self._item(key), h5py.Group)

    def text(self, key: str) -> str | None:
        """Read a text, stored as bytes or characters, alone or as an array of one."""
        value = self._value(key)
        if value is None:
            return None
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1)[0]
        if isinstance(value, bytes):
            try:
                value = value.rstrip(b"\0").decode("ascii")
            except UnicodeDecodeError:
                self.bad("NC0104", f"'{key}' is no text in ASCII")
                return None
        if isinstance(value, str) and value.isprintable() and value.isascii():
            return str(value)
        self.bad("NC0104", f"'{key}' must be a text, not {_described(value)}")
        return None

    def whole(self, key: str) -> IntArray | None:
        """Read finite whole numbers of any shape, whatever type stores them."""
        value = self._value(key)
        if value is None:
            return None
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            self.bad("NC0207", f"'{key}' must be whole numbers, not {_described(value)}")
            return None
        if array.dtype.kind == "f":
            for code, holds, needed in _WHOLE:
                right = holds(array)
                if not right.all():
                    index = np.argwhere(~right)[0]
                    at = f"[{', '.join(map(str, index))}]" if array.ndim else ""
                    others = int((~right).sum()) - 1
                    also = f" ({others} more)" if others else ""
                    hint = "quantize it: export with the quantizing pre-hook of lava-dl's blocks" if code == "NC0207" else None
                    self.bad(code, f"'{key}'{at} is {array[tuple(index)]}{also}; it must be {needed}", hint)
                    return None
        elif array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
            self.bad("NC0209", f"'{key}' holds {array.max()}, which does not fit 64 bits")
            return None
        return array.astype(np.int64)

    def one(self, key: str, low: int, high: int, default: int | None = None) -> int | None:
        """Read one whole number in ``low`` .. ``high``, alone or as an array of one; ``default`` if it is not there."""
        if key not in self and default is not None:
            return default
        array = self.whole(key)
        if array is None:
            return None
        if array.size != 1:
            self.bad("NC0202", f"'{key}' must be one number, not an array of the shape {array.shape}")
            return None
        number = int(array.reshape(-1)[0])
        if not low <= number <= high:
            self.bad("NC0209", f"'{key}' is {number}; it must lie in {low}..{high}")
            return None
        return number

    def real(self, key: str) -> float | None:
        """Read one finite positive number."""
        value = self._value(key)
        array = np.asarray(value)
        if value is None:
            return None
        if array.size != 1 or array.dtype.kind not in "iuf":
            self.bad("NC0104", f"'{key}' must be one number, not {_described(value)}")
            return None
        number = float(array.reshape(-1)[0])
        if not (math.isfinite(number) and number > 0):
            self.bad("NC0209", f"'{key}' is {number}; it must be positive and finite")
            return None
        return number

    def pair(self, key: str, low: int, default: tuple[int, int] | None = None) -> tuple[int, int] | None:
        """Read two whole numbers from ``low`` on, of height and width, or one for both; ``default`` if it is not there."""
        if key not in self and default is not None:
            return default
        array = self.whole(key)
        if array is None:
            return None
        if array.size not in (1, 2):
            self.bad("NC0202", f"'{key}' must be one or two numbers, not an array of the shape {array.shape}")
            return None
        first, last = int(array.reshape(-1)[0]), int(array.reshape(-1)[-1])
        if min(first, last) < low or max(first, last) > 1 << 20:
            self.bad("NC0209", f"'{key}' is {(first, last)}; it must lie in {low}..{1 << 20}")
            return None
        return first, last

    def _names(self) -> list[str]:
        try:
            names = sorted(str(key) for key in self.group)
        except hdf5.UNREADABLE as error:
            self.bad("NC0101", f"its content cannot be listed: {hdf5.reason(error)}", hdf5.DAMAGED)
            return []
        odd = [name for name in names if not (name.isascii() and name.isprintable())]
        if odd:
            self.bad("NC0103", f"it holds {odd[0]!a}, which is no name of the format", "remove it")
        return [name for name in names if name not in odd]

    def _item(self, key: str) -> h5py.Group | h5py.Dataset | None:
        """Return a member of the group that lies in this file."""
        try:
            found = hdf5.member(self.group, key)
        except hdf5.UnreadableError as error:
            self.bad("NC0101", f"'{key}' {error}", error.hint)
            return None
        if isinstance(found, (h5py.Group, h5py.Dataset)):
            return found
        self.bad("NC0104", f"'{key}' must be values, not a type")
        return None

    def _value(self, key: str) -> Any:
        """Return what a data set holds, as h5py gives it; None with a problem noted where that is not possible."""
        found = self._item(key)
        if found is None:
            return None
        if isinstance(found, h5py.Group):
            self.bad("NC0104", f"'{key}' must be values, not a group")
            return None
        try:
            if found.shape is None:
                self.bad("NC0104", f"'{key}' is empty")
                return None
            size = math.prod(found.shape)
            if not 1 <= size <= LARGEST_ARRAY:
                self.bad("NC0209", f"'{key}' has the shape {found.shape}, {size} values; 1 to {LARGEST_ARRAY} are possible")
                return None
            if found.dtype.kind in "OV" and h5py.check_string_dtype(found.dtype) is None:
                self.bad("NC0207", f"'{key}' must be numbers or a text, not values of the type {found.dtype}")
                return None
            return hdf5.values(found)
        except hdf5.UnreadableError as error:
            self.bad("NC0101", f"'{key}' {error}", error.hint)
        except hdf5.UNREADABLE as error:  # a shape or type that is damaged
            self.bad("NC0101", f"'{key}' cannot be read: {hdf5.reason(error)}", hdf5.DAMAGED)
        return None


def _described(value: Any) -> str:
    """Return what a value is, for messages."""
    array = np.asarray(value)
    kind = {"b": "true or false", "i": "whole numbers", "u": "whole numbers", "f": "numbers", "c": "complex numbers"}
    named = kind.get(array.dtype.kind, "text" if array.dtype.kind in "SU" else "other objects")
    return f"{named} of the shape {array.shape}" if array.ndim else named
