"""Frozen dataclasses and named tuples to JSON and back, led by their annotations; arrays leave and return through callbacks.

Only the types that the annotations name are ever made, so decoding runs no code of the file's making.
"""

from __future__ import annotations

import collections.abc
import functools
import math
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Location

Array = NDArray[Any]
Json = Any
NOT_FINITE = ("inf", "-inf", "nan")
MOST_EXTENTS = 32
"""Numbers in a shape and the like: numpy 1 has no more axes."""
_INT64 = range(-(1 << 63), 1 << 63)

Place = Any
"""Where a value stands: a word, or a pair of the place around it and what leads on. Only an error writes it out: names may be
long, and what they hold many."""


class Malformed(ValueError):
    """A value is not what the annotation at its place says."""

    def __init__(self, place: Place, expected: str) -> None:
        parts: list[str] = []
        while isinstance(place, tuple):
            place, part = place
            parts.append(part)
        super().__init__(f"{place}{''.join(reversed(parts))} is not {expected}")


@functools.cache
def hints_of(cls: type) -> dict[str, Any]:
    """Return field -> annotation of a dataclass or a named tuple, in order."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls) if f.init} if is_dataclass(cls) else hints


def is_record(hint: Any) -> bool:
    """Return whether an annotation is a dataclass or a named tuple."""
    return is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"))


def options_of(hint: Any) -> tuple[Any, ...] | None:
    """Return the alternatives of a union, or None."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else None


def has_dtype(array: Array, hint: Any) -> bool:
    """Return whether an array has the dtype that its annotation, such as ``NDArray[np.int64]``, names."""
    scalar = get_args(hint)[-1]
    if get_origin(scalar) is np.dtype:  # before numpy 2.5, NDArray[T] is ndarray[shape, dtype[T]]
        scalar = get_args(scalar)[0]
    return scalar is Any or array.dtype == np.dtype(scalar)


def is_array(origin: Any) -> bool:
    """Return whether the origin of an annotation is that of ``NDArray``: a class, from numpy 2.5 on an alias of its own."""
    return origin is np.ndarray or origin is NDArray


@dataclass(frozen=True, slots=True)
class Codec:
    """Translates values of annotated types.

    ``shared`` holds objects that are stored by themselves: where a value of such a type occurs, a reference is written.
    """

    store: Callable[[Array], str]
    """Takes an array and returns the name under which `fetch` finds it again."""
    fetch: Callable[[str], Array | None]
    shared: Mapping[type, Any] = field(default_factory=dict)

    def encode(self, value: Any, hint: Any, place: Place) -> Json:
        """Return ``value`` as JSON.

        Raises:
            Malformed: It is not of the type ``hint``; ``place`` says where.
        """
        alternatives = options_of(hint)
        if alternatives is not None:
            return None if value is None and type(None) in alternatives else self._encode_any_of(value, alternatives, place)
        if hint is Any:
            return self._encode_plain(value, place)
        if hint is Location:
            return self._encode_location(value, place)
        if hint in self.shared:
            if value is not self.shared[hint]:
                raise Malformed(place, f"the {hint.__name__} of the artifact")
            return {"shared": hint.__name__}
        if is_record(hint):
            if type(value) is not hint:
                raise Malformed(place, f"a {getattr(hint, '__name__', hint)}")
            hints = hints_of(typing.cast(type, hint))
            return {name: self.encode(getattr(value, name), h, (place, f".{name}")) for name, h in hints.items()}
        origin, arguments = get_origin(hint), get_args(hint)
        if is_array(origin):
            if not isinstance(value, (np.ndarray, np.generic)) or not has_dtype(np.asarray(value), hint):
                raise Malformed(place, "an array of the annotated dtype")
            return self.store(np.asarray(value))
        if origin is tuple:
            if not isinstance(value, tuple):
                raise Malformed(place, "a tuple")
            return [self.encode(v, h, (place, f"[{i}]")) for i, (v, h) in enumerate(self._items(value, arguments, place))]
        if origin is collections.abc.Mapping:
            if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
                raise Malformed(place, "a mapping of names")
            return {key: self.encode(v, arguments[1], (place, f".{key}")) for key, v in value.items()}
        if origin is Literal:
            return self._literal(value, arguments, place)
        return self._encode_scalar(value, hint, place)

    def decode(self, value: Json, hint: Any, place: Place) -> Any:
        """Return the value of the type ``hint`` that JSON describes.

        Raises:
            Malformed: The JSON has another form than `encode` writes for that type.
        """
        alternatives = options_of(hint)
        if alternatives is not None:
            return None if value is None and type(None) in alternatives else self._decode_any_of(value, alternatives, place)
        if hint is Any:
            return self._decode_plain(value, place)
        if hint is Location:
            file, line, column = self.decode(value, tuple[str, int | None, int | None], place)
            return Location(file, line, column)
        if hint in self.shared:
            if value != {"shared": hint.__name__}:
                raise Malformed(place, f"a reference to the {hint.__name__}")
            return self.shared[hint]
        if is_record(hint):
            hints = hints_of(typing.cast(type, hint))
            if not isinstance(value, dict) or list(value) != list(hints):
                raise Malformed(place, f"a {getattr(hint, '__name__', hint)} with the fields {', '.join(hints)}")
            return typing.cast(type, hint)(**{n: self.decode(value[n], h, (place, f".{n}")) for n, h in hints.items()})
        origin, arguments = get_origin(hint), get_args(hint)
        if is_array(origin):
            array = self.fetch(value) if isinstance(value, str) else None
            if array is None or not has_dtype(array, hint):
                raise Malformed(place, "the name of a stored array of its dtype")
            return array
        if origin is tuple:
            if not isinstance(value, list):
                raise Malformed(place, "a list")
            return tuple(self.decode(v, h, (place, f"[{i}]")) for i, (v, h) in enumerate(self._items(value, arguments, place)))
        if origin is collections.abc.Mapping:
            if not isinstance(value, dict):
                raise Malformed(place, "a mapping")
            return {key: self.decode(v, arguments[1], (place, f".{key}")) for key, v in value.items()}
        if origin is Literal:
            return self._literal(value, arguments, place)
        return self._decode_scalar(value, hint, place)

    @staticmethod
    def _items(values: Any, arguments: tuple[Any, ...], place: Place) -> list[tuple[Any, Any]]:
        """Pair the items of a tuple with their annotations."""
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            if arguments[0] is int and len(values) > MOST_EXTENTS:
                raise Malformed(place, f"a list of at most {MOST_EXTENTS} numbers")
            return [(value, arguments[0]) for value in values]
        if len(values) != len(arguments):
            raise Malformed(place, f"a list of {len(arguments)}")
        return list(zip(values, arguments, strict=True))

    def _encode_any_of(self, value: Any, alternatives: tuple[Any, ...], place: Place) -> Json:
        kinds = [hint for hint in alternatives if hint is not type(None)]
        if len(kinds) == 1:
            return self.encode(value, kinds[0], place)
        if not isinstance(value, (str, bool, int, float, np.number, np.bool_)):
            raise Malformed(place, "a number or a word")
        return self._encode_plain(value, place)

    def _decode_any_of(self, value: Json, alternatives: tuple[Any, ...], place: Place) -> Any:
        kinds = [hint for hint in alternatives if hint is not type(None)]
        if len(kinds) == 1:
            return self.decode(value, kinds[0], place)
        result = self._decode_plain(value, place)
        if not isinstance(result, (str, int, float)):
            raise Malformed(place, "a number or a word")
        return result

    @staticmethod
    def _literal(value: Any, allowed: tuple[Any, ...], place: Place) -> Any:
        if not isinstance(value, str) or value not in allowed:
            raise Malformed(place, f"one of {', '.join(allowed)}")
        return value

    @staticmethod
    def _encode_location(value: Any, place: Place) -> Json:
        if not isinstance(value, Location):
            raise Malformed(place, "a location")
        file = os.path.basename(value.file) if os.path.isabs(value.file) else value.file
        return [file, value.line, value.column]

    def _encode_scalar(self, value: Any, hint: Any, place: Place) -> Json:
        if isinstance(value, (np.number, np.bool_)):
            value = value.item()
        if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._encode_plain(float(value), place)
        if hint not in (str, int, bool) or type(value) is not hint:
            raise Malformed(place, f"a {getattr(hint, '__name__', hint)}")
        return self._of_64_bits(value, place)

    def _decode_scalar(self, value: Json, hint: Any, place: Place) -> Any:
        result = self._decode_plain(value, place) if hint is float else value
        if type(result) is not hint:
            raise Malformed(place, f"a {getattr(hint, '__name__', hint)}")
        return self._of_64_bits(result, place)

    @staticmethod
    def _of_64_bits(value: Any, place: Place) -> Any:
        """Return a scalar; what is computed with an integer of thousands of digits would take for ever."""
        if type(value) is int and value not in _INT64:
            raise Malformed(place, "a int of 64 bits")
        return value

    def _encode_plain(self, value: Any, place: Place) -> Json:
        """Return options and the like: numbers, words, lists and mappings of them."""
        if isinstance(value, (np.number, np.bool_)):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        if isinstance(value, (list, tuple)):
            return [self._encode_plain(item, (place, f"[{i}]")) for i, item in enumerate(value)]
        if isinstance(value, Mapping) and "float" not in value and all(isinstance(key, str) for key in value):
            return {key: self._encode_plain(item, (place, f".{key}")) for key, item in value.items()}
        raise Malformed(place, "a number, a word, a list or a mapping")

    def _decode_plain(self, value: Json, place: Place) -> Any:
        if isinstance(value, dict):
            if "float" in value:
                if len(value) != 1 or value["float"] not in NOT_FINITE:
                    raise Malformed(place, "a number")
                return float(value["float"])
            return {key: self._decode_plain(item, (place, f".{key}")) for key, item in value.items()}
        if isinstance(value, list):
            return [self._decode_plain(item, (place, f"[{i}]")) for i, item in enumerate(value)]
        return value
