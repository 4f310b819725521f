"""Reads the pattern of a projection: one, or a chain of them, with the weights of each and the shapes between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import did_you_mean
from neurocomp.frontends.reader import Reader, described
from neurocomp.frontends.vocabulary import MAX_COUNT, TRANSPOSABLE, options_of
from neurocomp.ir.network import Population, Stage, frozen, shape_hint
from neurocomp.located import Path as Place
from neurocomp.models.patterns import PATTERNS, Pattern, PatternOption, PatternType, Shape, size_of

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The patterns of a projection: the stages before the last one, and it with its weights."""

    before: tuple[Stage, ...]
    pattern: Pattern
    weights: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """One pattern as the file writes it: the options that it states, its arrays, and where its weights stand."""

    place: Place
    kind: PatternType
    options: Mapping[str, tuple[int, ...]]
    arrays: Mapping[str, Array]
    weights: Any
    """What the entry itself states; None: nothing."""

    @property
    def name(self) -> str:
        """The name of the pattern."""
        return self.kind.kind

    @property
    def needs_weights(self) -> bool:
        """Whether it has to take those of the projection."""
        return self.kind.weighting == "array" and self.weights is None


class ChainReader(Reader):
    """Reads patterns."""

    def chain(
        self,
        place: Place,
        what: str,
        table: Mapping[str, Any],
        source: Population | None,
        target: Population | None,
        *,
        whole: bool,
    ) -> Chain | None:
        """Read the keys ``pattern``, ``weights`` and ``transpose`` of a projection.

        Args:
            place: Of the projection.
            what: Its name, for messages.
            table: Its keys.
            source: Where it starts; None if that population has problems.
            target: Where it ends.
            whole: Whether weights are a chip's integers.
        """
        transposed = False
        if "transpose" in table:
            transposed = self.flag((*place, "transpose"), table["transpose"], f"{what}: transpose") or False
        entries = self._entries((*place, "pattern"), what, table.get("pattern", "dense"))
        if entries is None or None in entries:
            if isinstance(table.get("weights"), str):
                self.array((*place, "weights"), table["weights"], f"{what}: weights")
            return None
        known = [entry for entry in entries if entry is not None]
        taker = self._taker(place, what, table, known)
        if taker is not None and transposed and known[taker].name not in TRANSPOSABLE:
            message = f"{what}: 'transpose' turns the matrix of dense; '{known[taker].name}' has none"
            self.bad("NC0104", (*place, "transpose"), message)
            return None
        shape = source.shape if source is not None else None
        stages: list[Stage] = []
        for number, entry in enumerate(known):
            in_chain = what if len(known) == 1 else f"{what} (pattern {number + 1} of its chain)"
            is_last = number == len(known) - 1
            at, value = (*entry.place, "weights"), entry.weights
            if number == taker:
                at, value = (*place, "weights"), table["weights"]
            array = self._stated(at, in_chain, value, entry, transposed=transposed and number == taker)
            if whole and array is not None and array.dtype.kind not in "iu":
                array = self.whole(at, array, f"{in_chain}: weights")
            pattern = self._resolved(at, in_chain, entry, array) if array is not None else None
            if array is None or pattern is None or shape is None:
                shape = None
                continue
            if not is_last:
                after = self._made(in_chain, entry, pattern, array, shape, source)
            else:
                after = target.shape if target is not None else None
            if after is None:
                shape = None
                continue
            weights = self._spread(at, in_chain, value, entry, array, pattern, shape, after)
            shape = after if weights is not None else None
            if weights is not None:
                stages.append(Stage(pattern, frozen(weights), after))
        if len(stages) < len(known):
            return None
        return Chain(tuple(stages[:-1]), stages[-1].pattern, stages[-1].weights)

    # the patterns themselves

    def _entries(self, place: Place, what: str, value: Any) -> list[_Entry | None] | None:
        if not isinstance(value, list):
            return [self._entry(place, what, value)]
        if not value:
            self.bad("NC0104", place, f"{what}: pattern must name one, not an empty list")
            return None
        return [self._entry((*place, index), what, entry) for index, entry in enumerate(value)]

    def _entry(self, place: Place, what: str, value: Any) -> _Entry | None:
        stated: Any = {}
        if isinstance(value, dict):
            if len(value) != 1:
                message = f"{what}: pattern must be one name with its options, not {len(value)}"
                self.bad("NC0104", place, message, "write such as {conv2d: {stride: 2}}; a chain is a list of such")
                return None
            ((value, stated),) = value.items()
            place = (*place, value)
        name = self.member(place, value, f"{what}: pattern", "pattern", PATTERNS)
        if name is None:
            return None
        kind, before = PATTERNS[name], len(self.problems)
        what = f"{what}: pattern '{name}'"
        needed = [key for key, option in kind.options.items() if option.default is None and option.like is None]
        short = len(needed) == 1 and not isinstance(stated, dict)
        if short:
            options = {needed[0]: self._option_value(place, f"{what}: {needed[0]}", stated, kind.options[needed[0]], kind)}
            table: Mapping[str, Any] = {}
        else:
            read = self.mapping(place, stated, what)
            if read is None:
                return None
            table = read
            self._keys(place, what, table, kind, needed)
            options = {
                key: self._option_value((*place, key), f"{what}: {key}", table[key], option, kind)
                for key, option in kind.options.items()
                if key in table
            }
        arrays = {key: self._index((*place, key), what, key, table[key]) for key in kind.array_names if key in table}
        if len(self.problems) > before:
            return None
        stated_options = {key: values for key, values in options.items() if values is not None}
        indices = {key: array for key, array in arrays.items() if array is not None}
        return _Entry(place, kind, stated_options, indices, table.get("weights"))

    def _keys(self, place: Place, what: str, table: Mapping[str, Any], kind: PatternType, needed: list[str]) -> None:
        known = options_of(kind)
        for key in table:
            if key not in known:
                self.unknown_key((*place, key), what, did_you_mean(key, known))
        for key in (*kind.array_names, *needed):
            if key not in table:
                hint = f"write {{{kind.kind}: 2}}" if key in needed and len(needed) == 1 else None
                self.bad("NC0105", place, f"{what}: the key '{key}' is missing", hint)

    def _option_value(
        self, place: Place, what: str, value: Any, option: PatternOption, kind: PatternType
    ) -> tuple[int, ...] | None:
        """Read one whole number for all axes, or a list with one per axis."""
        count = kind.dims if option.per_axis else 1
        if not isinstance(value, list):
            if isinstance(value, bool) or not isinstance(value, int):
                one = "a whole number" if count == 1 else f"a whole number or a list of {count}, one per axis"
                self.bad("NC0104", place, f"{what} must be {one}, not {described(value)}")
                return None
            number = self.integer(place, value, what, option.minimum, MAX_COUNT)
            return None if number is None else (number,) * count
        if not option.per_axis or len(value) != count:
            one = "one whole number" if not option.per_axis else f"one whole number or a list of {count}"
            self.bad("NC0104", place, f"{what} must be {one}, not a list of {len(value)}")
            return None
        numbers = [self.integer((*place, i), item, what, option.minimum, MAX_COUNT) for i, item in enumerate(value)]
        return None if None in numbers else tuple(number for number in numbers if number is not None)

    def _index(self, place: Place, what: str, name: str, value: Any) -> Array | None:
        array = self.array(place, value, f"{what}: {name}")
        if array is None:
            return None
        if array.dtype.kind not in "iu" and array.size:
            self.bad("NC0207", place, f"{what}: {name} have the dtype {array.dtype}; whole numbers are needed")
            return None
        return frozen(array, np.int64)

    # their weights

    def _taker(self, place: Place, what: str, table: Mapping[str, Any], entries: list[_Entry]) -> int | None:
        """Return which pattern takes the projection's weights."""
        open_ones = [number for number, entry in enumerate(entries) if entry.needs_weights]
        if len(open_ones) > 1:
            names = ", ".join(f"'{entries[number].name}'" for number in open_ones)
            message = f"{what}: {names} have no weights of their own; the projection's 'weights' are for one pattern"
            hint = f"state the others' with them, such as {{{entries[open_ones[0]].name}: {{weights: F.npz#w}}}}"
            self.bad("NC0216", (*place, "pattern"), message, hint)
            return None
        if "weights" not in table:
            if open_ones:
                self.bad("NC0105", place, f"{what}: the key 'weights' is missing")
            return None
        if open_ones:
            return open_ones[0]
        if entries[-1].weights is None and all(entry.kind.weighting == "scalar" for entry in entries):
            return len(entries) - 1
        message = f"{what}: 'weights' belong to no pattern; those that need some state their own"
        self.bad("NC0216", (*place, "weights"), message, "remove one of them")
        return None

    def _stated(self, place: Place, what: str, value: Any, entry: _Entry, *, transposed: bool) -> Array | None:
        """Read weights: one number as a 0-d array, 1 where nothing is stated, an array otherwise."""
        if value is None and entry.kind.weighting == "scalar":
            return np.asarray(1, np.int64)
        if value is None:
            return None  # it is missing, which `_taker` has noted
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return None if self.number(place, value, f"{what}: weights") is None else np.asarray(value)
        array = self.array(place, value, f"{what}: weights")
        if array is not None and array.ndim and entry.kind.weighting == "scalar":
            message = f"{what}: the weights of '{entry.name}' are one number, not an array of the shape {array.shape}"
            self.bad("NC0202", place, message, "put 'scale' into the chain for one per channel or per neuron")
            return None
        if array is None or not transposed:
            return array
        if array.ndim != 2:
            self.bad("NC0202", place, f"{what}: 'transpose' turns a matrix, the weights have the shape {array.shape}")
            return None
        return np.asarray(array.T)

    def _resolved(self, place: Place, what: str, entry: _Entry, weights: Array) -> Pattern | None:
        """Return the pattern with every option: as stated, by its weights, as another option, or the default."""
        options: dict[str, tuple[int, ...]] = {}
        for key, option in entry.kind.options.items():
            count = entry.kind.dims if option.per_axis else 1
            if option.like == "weights":
                if not self._has_window(place, what, entry, weights):
                    return None
                extents = weights.shape[-count:]
                if entry.options.get(key, extents) != extents:
                    message = f"{what}: {key} {entry.options[key]} and the weights, of the shape {weights.shape}, do not agree"
                    self.bad("NC0202", (*entry.place, key), message, f"leave '{key}' out; it follows from the weights")
                    return None
                options[key] = extents
            elif key in entry.options:
                options[key] = entry.options[key]
            elif option.like is not None:
                options[key] = options[option.like]
            else:
                assert option.default is not None
                options[key] = (option.default,) * count
        return Pattern(entry.name, entry.arrays, options)

    def _has_window(self, place: Place, what: str, entry: _Entry, weights: Array) -> bool:
        if weights.ndim == entry.kind.dims + 2 and min(weights.shape) > 0:
            return True
        if not weights.ndim:
            self._not_an_array(place, what, entry, weights)
            return False
        axes = "length" if entry.kind.dims == 1 else "height, width"
        message = (
            f"{what}: weights have the shape {weights.shape}; {entry.name} needs (channels out, channels in / groups, {axes})"
        )
        self.bad("NC0202", place, message)
        return False

    def _spread(
        self, place: Place, what: str, value: Any, entry: _Entry, weights: Array, pattern: Pattern, source: Shape, target: Shape
    ) -> Array | None:
        """Return weights in their pattern's shape: one number for all, one per channel or in the target's shape."""
        needed = entry.kind.weight_shape(pattern, source, target)
        if not weights.ndim and isinstance(value, (int, float)):
            if len(needed) > 1:
                self._not_an_array(place, what, entry, weights)
                return None
            return np.full(needed, weights) if needed else weights
        if needed == (size_of(target),) and not pattern.arrays:
            return per_neuron(weights, target)
        return weights

    def _not_an_array(self, place: Place, what: str, entry: _Entry, weights: Array) -> None:
        message = f"{what}: weights of the pattern '{entry.name}' must be an array, not the number {weights}"
        self.bad("NC0104", place, message, "write 'FILE.npz#key', 'FILE.npy' or a list of rows")

    # the shapes between them

    def _made(
        self, what: str, entry: _Entry, pattern: Pattern, weights: Array, shape: Shape, source: Population | None
    ) -> Shape | None:
        """Return what a pattern that is not the last one makes of ``shape``."""
        made = entry.kind.output_shape(pattern, shape, weights.shape)
        problem = entry.kind.problem(pattern, shape, shape if made is None else made)
        if problem is not None and (made is not None or entry.kind.dims):
            hint = shape_hint(pattern, weights.shape, shape, source, None) if source is not None else None
            self.bad("NC0202", entry.place, f"{what}: {problem}", hint)
            return None
        if made is None:
            message = f"{what}: the shape that '{entry.name}' makes of {shape} does not follow"
            hint = "put it last, where the target's shape is taken, or put a population of neurons behind it"
            self.bad("NC0217", entry.place, message, hint)
            return None
        if not 0 < size_of(made) <= MAX_COUNT:
            message = f"{what}: '{entry.name}' makes {made}, {size_of(made)} values; 1 to {MAX_COUNT} are possible"
            self.bad("NC0209", entry.place, message)
            return None
        return made


def per_neuron(array: Array, shape: Shape | None) -> Array:
    """Return an array of the population's shape, or with one value per channel, as one value per neuron.

    Others stay as they are, for `Network.verify` to judge.
    """
    if shape is None:
        return array
    if len(shape) > 1 and array.shape == shape[:1] and array.size != size_of(shape):
        return np.repeat(array, size_of(shape[1:]))
    return array.reshape(-1) if array.shape == shape else array
