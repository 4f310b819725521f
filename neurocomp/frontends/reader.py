"""Reads typed values out of a located document and collects every problem on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data import is_reference, load_array
from neurocomp.errors import Diagnostic, Location, NetworkError, did_you_mean
from neurocomp.frontends.vocabulary import IDENTIFIER, LATER_KEYS, UNITS
from neurocomp.located import LocatedYaml
from neurocomp.located import Path as Place
from neurocomp.models.inexpressible import inexpressible

Array = NDArray[Any]

_QUANTITY = re.compile(r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\.?inf)\s*(?P<unit>[^\s\d.]*)\s*")
_UNIT_HINT = "write a number and one of s, ms, us, ns, such as '20 ms'"
_INT64 = (-(2**63), 2**63 - 1)


class Reader:
    """One document; every method that reads a value returns None after it noted a problem."""

    def __init__(self, document: LocatedYaml, folder: Path) -> None:
        self.document, self.folder = document, folder
        self.problems: list[Diagnostic] = []

    def bad(self, code: str, place: Place, message: str, hint: str | None = None) -> None:
        """Note a problem with the value at ``place``."""
        self.problems.append(Diagnostic(code, message, self.document.at(place), hint=hint))

    def entry_at(self, place: Place) -> Location:
        """Return where a key with its value stands, as far as both are on one line."""
        key, value = self.document.key_at(place), self.document.at(place)
        if key.line != value.line or key.column is None or value.column is None:
            return key
        return Location(key.file, key.line, key.column, key.text, value.column + value.length - key.column)

    def mapping(self, place: Place, value: Any, what: str) -> Mapping[str, Any] | None:
        """Read a mapping."""
        if isinstance(value, dict):
            return value
        self.bad("NC0104", place, f"{what} must be a mapping, not {described(value)}")
        return None

    def fields(
        self, place: Place, what: str, table: Mapping[str, Any], known: Sequence[str], needed: Iterable[str] = ()
    ) -> None:
        """Note keys that are not known and keys that are missing."""
        for key in table:
            if key in LATER_KEYS and key not in known:
                message = f"{what}: '{key}' is not understood yet"
                hint = "a program holds fixed weights: remove it, and freeze what was learned into weights"
                self.problems.append(Diagnostic("NC0311", message, self.document.key_at((*place, key)), hint=hint))
            elif key not in known:
                self.unknown_key((*place, key), what, did_you_mean(key, known))
        for key in needed:
            if key not in table:
                self.bad("NC0105", place, f"{what}: the key '{key}' is missing")

    def unknown_key(self, place: Place, what: str, hint: str | None) -> None:
        """Note a key that does not belong where it stands."""
        message = f"{what}: unknown key '{place[-1]}'"
        self.problems.append(Diagnostic("NC0103", message, self.document.key_at(place), hint=hint))

    def identifier(self, place: Place, value: Any, what: str) -> str | None:
        """Read a name."""
        if isinstance(value, str) and re.fullmatch(IDENTIFIER, value):
            return value
        message = f"{what} must be a name, not {described(value)}"
        self.bad("NC0104", place, message, "names begin with a letter or _ and go on with letters, digits, _ . and -")
        return None

    def text(self, place: Place, value: Any, what: str) -> str | None:
        """Read a text that is not empty."""
        if isinstance(value, str) and value.strip():
            return value
        self.bad("NC0104", place, f"{what} must be a text, not {described(value)}")
        return None

    def flag(self, place: Place, value: Any, what: str) -> bool | None:
        """Read true or false."""
        if isinstance(value, bool):
            return value
        self.bad("NC0104", place, f"{what} must be true or false, not {described(value)}")
        return None

    def word(self, place: Place, value: Any, what: str, words: Sequence[str]) -> str | None:
        """Read one of ``words``."""
        if isinstance(value, str) and value in words:
            return value
        hint = did_you_mean(value, words) if isinstance(value, str) else None
        self.bad("NC0104", place, f"{what} must be {' or '.join(words)}, not {described(value)}", hint)
        return None

    def member(self, place: Place, value: Any, what: str, kind: str, known: Iterable[str]) -> str | None:
        """Read the name of a registered member of an open set."""
        known = list(known)
        if not isinstance(value, str):
            self.bad("NC0104", place, f"{what} must be the name of one, not {described(value)}", did_you_mean("", known))
            return None
        if value not in known and (refused := inexpressible(kind, value)) is not None:
            message = f"{what}: '{value}' is no {kind} that synapses and neurons of spikes can be: {refused.what}"
            self.problems.append(Diagnostic("NC0324", message, self.document.at(place), refused.limit, hint=refused.hint))
            return None
        if value not in known:
            self.bad("NC0208", place, f"{what}: there is no {kind} '{value}'", did_you_mean(value, known))
            return None
        return value

    def integer(
        self, place: Place, value: Any, what: str, minimum: int | float | None = None, maximum: int | float | None = None
    ) -> int | None:
        """Read a whole number."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.bad("NC0104", place, f"{what} must be a whole number, not {described(value)}")
            return None
        return value if self._in_range(place, value, what, minimum, maximum) else None

    def number(
        self, place: Place, value: Any, what: str, minimum: int | float | None = None, maximum: int | float | None = None
    ) -> float | None:
        """Read a finite number without unit."""
        if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) and match["unit"]:
            self.bad("NC0106", place, f"{what} has no unit; it is '{value}'", f"write {match['number']}")
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.bad("NC0104", place, f"{what} must be a number, not {described(value)}")
            return None
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            code = "NC0204" if isinstance(value, float) else "NC0209"
            self.bad(code, place, f"{what} must be finite, not {described(value)}")
            return None
        return number if self._in_range(place, number, what, minimum, maximum) else None

    def time(self, place: Place, value: Any, what: str, *, endless: bool = False) -> Fraction | float | None:
        """Read a positive time in seconds, exactly; ``endless``: also infinity."""
        match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
        infinite = (isinstance(value, float) and math.isinf(value)) or (match is not None and "inf" in match["number"])
        if endless and infinite and (match is None or match["unit"] in ("", *UNITS)):
            if str(value).strip().startswith("-"):
                self.bad("NC0209", place, f"{what} must be positive, not {value}")
                return None
            return math.inf
        if infinite:
            self.bad("NC0209", place, f"{what} must be finite")
            return None
        if match is None:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.bad("NC0106", place, f"{what} is a time and needs a unit; it is {value}", _UNIT_HINT)
            else:
                self.bad("NC0104", place, f"{what} must be a time, not {described(value)}", _UNIT_HINT)
            return None
        if match["unit"] not in UNITS:
            unit = f"the unit '{match['unit']}' is none of time" if match["unit"] else "it needs a unit"
            self.bad("NC0106", place, f"{what} is a time; in '{value}' {unit}", _UNIT_HINT)
            return None
        number = float(match["number"])
        if not 0 < number < math.inf:
            self.bad("NC0209", place, f"{what} must be positive, not '{value}'")
            return None
        return Fraction(Decimal(match["number"])) * Fraction(10) ** UNITS[match["unit"]]

    def ticks(self, place: Place, value: Any, what: str, timestep: Fraction | None, maximum: int) -> int | None:
        """Read a number of ticks >= 0, or a time that is a multiple of the timestep."""
        if not isinstance(value, str):
            return self.integer(place, value, what, 0, maximum)
        seconds = Fraction(0) if re.fullmatch(r"\s*0+(\.0*)?\s*(s|ms|us|µs|ns)\s*", value) else self.time(place, value, what)
        if seconds is None or timestep is None:
            return None
        ticks = Fraction(seconds) / timestep
        if ticks.denominator != 1:
            message = f"{what} is '{value}', {float(ticks):g} ticks; a whole number of ticks is needed"
            self.bad("NC0209", place, message, f"a tick is {float(timestep):g} s")
            return None
        return int(ticks) if self._in_range(place, int(ticks), what, 0, maximum) else None

    def reference(self, place: Place, value: Any, what: str) -> Array | None:
        """Open the array that a reference names."""
        if not isinstance(value, str) or not is_reference(value):
            hint = "write 'FILE.npz#key' or 'FILE.npy'"
            self.bad("NC0104", place, f"{what} must name an array in a file, not {described(value)}", hint)
            return None
        try:
            return load_array(value, self.folder, self.document.at(place))
        except NetworkError as error:
            self.problems += error.diagnostics
            return None

    def array(self, place: Place, value: Any, what: str) -> Array | None:
        """Open a referenced array, or read a rectangular nested list of numbers: int64, or float64 if one has a point."""
        if not isinstance(value, list):
            if isinstance(value, str) and is_reference(value):
                return self.reference(place, value, what)
            message = f"{what} must be a list of numbers or name an array in a file, not {described(value)}"
            self.bad("NC0104", place, message, "write 'FILE.npz#key', 'FILE.npy' or a list")
            return None
        leaves: list[int | float] = []
        shape = self._rectangle(place, value, what, leaves)
        if shape is None:
            return None
        whole = all(isinstance(leaf, int) for leaf in leaves)
        if whole and any(not _INT64[0] <= leaf <= _INT64[1] for leaf in leaves):
            self.bad("NC0209", place, f"{what} holds a whole number that does not fit 64 bits")
            return None
        try:
            return np.array(leaves, np.int64 if whole else np.float64).reshape(shape)
        except OverflowError:
            self.bad("NC0209", place, f"{what} holds a number that does not fit 64 bits")
            return None

    def _rectangle(self, place: Place, value: list[Any], what: str, leaves: list[int | float]) -> tuple[int, ...] | None:
        """Append the numbers of a nested list to ``leaves`` and return its shape."""
        nested = [isinstance(item, list) for item in value]
        if any(nested):
            shapes: list[tuple[int, ...]] = []
            for index, item in enumerate(value):
                if not isinstance(item, list):
                    self.bad("NC0104", (*place, index), f"{what} must be lists of numbers, not {described(item)}")
                    return None
                shape = self._rectangle((*place, index), item, what, leaves)
                if shape is None:
                    return None
                if shapes and shape != shapes[0]:
                    message = f"{what}: row {index} has the shape {shape}, row 0 {shapes[0]}"
                    self.bad("NC0202", (*place, index), message, "all rows need the same length")
                    return None
                shapes.append(shape)
            return (len(value), *shapes[0])
        for index, item in enumerate(value):
            if isinstance(item, bool) or not isinstance(item, (int, float)):
                self.bad("NC0104", (*place, index), f"{what} must be numbers, not {described(item)}")
                return None
            leaves.append(item)
        return (len(value),)

    def whole(self, place: Place, array: Array, what: str) -> Array | None:
        """Return an array as int64 if every value is a whole number."""
        if array.dtype.kind in "iu":
            return np.asarray(array, np.int64)
        if array.dtype.kind != "f":
            self.bad("NC0207", place, f"{what} has the dtype {array.dtype}; whole numbers are needed")
            return None
        odd = np.argwhere(~(np.isfinite(array) & (np.floor(array) == array)))
        if len(odd):
            index = ", ".join(map(str, odd[0]))
            self.bad("NC0207", place, f"{what}[{index}] is {array[tuple(odd[0])]}; whole numbers are needed")
            return None
        return np.asarray(array, np.int64)

    def _in_range(
        self, place: Place, value: int | float, what: str, minimum: int | float | None, maximum: int | float | None
    ) -> bool:
        if (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
            return True
        if minimum is not None and maximum is not None:
            limits = f"lie in {minimum:g}..{maximum}"
        else:
            limits = f"be at least {minimum:g}" if minimum is not None else f"be at most {maximum}"
        self.bad("NC0209", place, f"{what} is {value}; it must {limits}")
        return False


def described(value: Any) -> str:
    """Return what a value is, for messages."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, (int, float)):
        return f"the number {value}" if len(repr(value)) < 40 else "a huge number"
    text = str(value)
    return f"'{text if len(text) <= 40 else text[:37] + '...'}'"
