"""Weights as quantize sees them: read in blocks, counted once, rounded to the steps of a number format.

No array is ever copied as a whole. What the search for a scale needs of a projection is the distribution of its magnitudes
(`Distribution`), from which the error of any step follows without another look at the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.data.arrays import ArrayWriter
from neurocomp.ir.quantized import SignMode
from neurocomp.models.patterns import Pattern, Shape, blocks_of, size_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EXACT_VALUES = 1 << 22
"""Up to so many floats of one population are kept, sorted; of more, a histogram in bins of relative width 2**-BIN_BITS."""
BIN_BITS = 12
"""Bits of the mantissa that tell the bins of a histogram of floats apart: 32 bins to the largest of 127 steps."""
DIRECT_VALUES = 1 << 12
"""Up to so many different values, errors are added value by value; beyond, as differences of running sums."""
NOISE = 1e-12
"""Of the sum of all squares: a smaller difference of running sums is rounding and counts as 0."""
VANISHING = 1e-200
"""Weights of which none is larger are taken for 0."""
ERROR_RESOLUTION = 1 << 16
"""Squared errors of rounding are added in fractions of 1 / ERROR_RESOLUTION of a squared step."""
LARGEST_ERROR = 2.0**20
"""Squared steps by which a clipped weight counts at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights in real numbers, ``stored * factor``, read a block at a time."""

    stored: Array
    factor: Array = field(default_factory=lambda: np.asarray(1.0))
    """0-d, or of the stored array's number of axes and first extent."""

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.stored.size

    @property
    def is_small_integer(self) -> bool:
        """Whether there are so few different values that tables of them do all the work."""
        return self.stored.dtype.kind in "iu" and self.stored.dtype.itemsize <= 2 and not self.factor.ndim

    def blocks(self) -> Iterator[tuple[Any, FloatArray]]:
        """Yield (index of a block, its real values as float64)."""
        for block in blocks_of(self.stored) if self.stored.ndim else ((),):
            values = np.asarray(self.stored[block], np.float64)
            factor = self.factor[block] if self.factor.ndim else self.factor
            yield block, values if not factor.ndim and float(factor) == 1.0 else values * factor

    def scaled(self, factor: Array) -> Weights:
        """Return the weights times a factor that broadcasts like `factor`."""
        return Weights(self.stored, np.asarray(self.factor * factor))


def small_integers(dtype: Any) -> IntArray:
    """Return all values of an integer type of up to 16 bits, in the order of their bits as an unsigned number."""
    bits = 8 * np.dtype(dtype).itemsize
    values = np.arange(1 << bits)
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values) if np.dtype(dtype).kind == "i" else values


def as_unsigned(block: Array) -> Array:
    """Return the bits of integers of up to 16 bits as unsigned numbers: indices into `small_integers`."""
    native = np.ascontiguousarray(block, block.dtype.newbyteorder("="))
    return native.view(f"u{native.dtype.itemsize}")


@dataclass(frozen=True, slots=True)
class Levels:
    """The magnitudes that a step can make: all whole counts of it up to a limit, with exponent groups a larger one.

    A group counts in steps that are larger by a power of two; a weight is the sum of its counts in all groups.
    """

    top: int
    """The largest count of a group."""
    groups: tuple[int, ...] = (0,)
    """Exponent of each group above the first one's, which is 0."""

    @property
    def reach(self) -> tuple[int, ...]:
        """Up to which magnitude, in steps, weights do without the groups behind the first, the second, ...; then the limit."""
        return tuple(accumulate(self.top << group for group in self.groups))

    @property
    def limit(self) -> int:
        """The largest magnitude, in steps."""
        return self.reach[-1]

    def split(self, magnitudes: IntArray) -> list[IntArray]:
        """Return the counts of each group that add up to magnitudes: as little in a coarser group as the finer ones allow.

        >>> [part.tolist() for part in Levels(3, (0, 2)).split(np.array([3, 4, 7, 8, 15]))]
        [[3, 0, 3, 0, 3], [0, 1, 1, 2, 3]]
        """
        parts: list[IntArray] = []
        for group, finer in zip(self.groups[:0:-1], self.reach[-2::-1], strict=True):
            part = (np.maximum(magnitudes - finer, 0) + (1 << group) - 1) >> group
            magnitudes = magnitudes - (part << group)
            parts.append(part)
        return [magnitudes, *reversed(parts)]


def group_sets(top: int) -> tuple[tuple[int, ...], ...]:
    """Return the exponents that groups of counts up to ``top`` may have, without, with one and with two further groups.

    Groups overlap so that together they make every magnitude: 2**exponent - 1 is at most ``top``.

    >>> group_sets(127), group_sets(7), group_sets(1)
    (((0,), (0, 4), (0, 3, 6)), ((0,), (0, 3), (0, 3, 6)), ((0,), (0, 1), (0, 1, 2)))
    """
    widest = (top + 1).bit_length() - 1
    one, two = min(widest, 4), min(widest, 3)
    return (0,), (0, one), (0, two, 2 * two)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """How often which magnitude occurs among the weights of a projection."""

    size: int
    low: float
    """The smallest weight."""
    high: float
    """The largest weight."""
    values: FloatArray
    """The magnitudes that occur, or the bins' means, ascending, without 0, (k,)."""
    count: FloatArray
    """How many weights lie at or below the first 0, 1, ... of them, (k + 1,)."""
    first: FloatArray
    """Their running sum."""
    second: FloatArray
    """The running sum of their squares."""
    occurs: IntArray | None = None
    """Of stored integers of up to 16 bits: how often each of `small_integers` occurs."""

    @staticmethod
    def of(weights: Weights, *, exact: bool) -> Distribution:
        """Look at all weights once (twice where floats go into a histogram).

        Args:
            weights: Real numbers.
            exact: Keep all floats; else only a histogram. Integers of up to 16 bits are always counted exactly.
        """
        if weights.is_small_integer:
            return _counted(weights)
        return _sorted(weights) if exact else _binned(weights)

    @property
    def sign_mode(self) -> SignMode:
        """The signs that occur."""
        return "excitatory" if self.low >= 0 else "inhibitory" if self.high <= 0 else "mixed"

    @property
    def largest(self) -> float:
        """The largest magnitude; 0 also where it is `VANISHING`."""
        largest = max(-self.low, self.high)
        return largest if largest > VANISHING else 0.0

    @property
    def median(self) -> float:
        """The median magnitude of the weights that are not 0."""
        if not len(self.values):
            return 0.0
        return float(self.values[min(np.searchsorted(self.count[1:], self.count[-1] / 2), len(self.values) - 1)])

    def error(self, unit: float, steps: Levels) -> float:
        """Return the sum of squared errors of all weights when a step is worth ``unit``; inf where no float holds it."""
        with np.errstate(over="ignore", invalid="ignore"):
            if len(self.values) <= DIRECT_VALUES:
                nearest = np.minimum(np.rint(self.values / unit), steps.limit) * unit
                terms = np.square(self.values - nearest) * np.diff(self.count)
            else:
                worth = np.arange(int(min(steps.limit, self.values[-1] / unit + 1)) + 1) * unit
                inner = np.searchsorted(self.values, (worth[1:] + worth[:-1]) / 2, side="right")
                edges = np.concatenate(([0], inner, [len(self.values)]))
                count, first, second = (np.diff(sums[edges]) for sums in (self.count, self.first, self.second))
                terms = second - 2.0 * worth * first + np.square(worth) * count
            if not np.isfinite(terms).all():
                return math.inf
        # Correctly rounded, so that no order of summation, thread or CPU can change a scale.
        total = math.fsum(terms.tolist())
        return total if total > NOISE * float(self.second[-1]) or len(self.values) <= DIRECT_VALUES else 0.0

    def beyond(self, magnitude: float) -> int:
        """Return how many weights are larger in magnitude."""
        return int(self.count[-1] - self.count[np.searchsorted(self.values, magnitude, side="right")])

    def zeroed(self, unit: float) -> int:
        """Return how many weights that are not 0 round to 0 when a step is worth ``unit``."""
        return int(self.count[np.searchsorted(self.values, unit / 2, side="right")])


@dataclass(slots=True)
class _Ends:
    """The smallest and the largest of all values seen, 0 before the first."""

    low: float = 0.0
    high: float = 0.0
    seen: bool = False

    def add(self, values: FloatArray) -> None:
        if values.size:
            low, high = float(values.min()), float(values.max())
            self.low, self.high = (min(self.low, low), max(self.high, high)) if self.seen else (low, high)
            self.seen = True


def _distribution(size: int, low: float, high: float, values: FloatArray, sums: Sequence[FloatArray]) -> Distribution:
    """Return the distribution of magnitudes ``values`` with their (count, sum, sum of squares)."""
    running = []
    with np.errstate(over="ignore", invalid="ignore"):
        for part in sums:
            total = np.zeros(len(values) + 1)
            np.cumsum(part, out=total[1:])
            running.append(total)
    count, first, second = running
    return Distribution(size, low, high, values, count, first, second)


def _of_values(size: int, low: float, high: float, values: FloatArray, count: Array) -> Distribution:
    with np.errstate(over="ignore"):
        return _distribution(size, low, high, values, (count.astype(np.float64), values * count, values * values * count))


def _counted(weights: Weights) -> Distribution:
    dtype = weights.stored.dtype
    integers = small_integers(dtype)
    count = np.zeros(len(integers), np.int64)
    for block in blocks_of(weights.stored) if weights.stored.ndim else ((),):
        count += np.bincount(as_unsigned(weights.stored[block]).reshape(-1), minlength=len(integers))
    real = (integers * float(weights.factor))[count > 0]
    magnitudes, place = np.unique(np.abs(real), return_inverse=True)
    joined = np.bincount(place.reshape(-1), count[count > 0], len(magnitudes))
    some = magnitudes > 0
    low, high = (float(real.min()), float(real.max())) if real.size else (0.0, 0.0)
    return replace(_of_values(weights.size, low, high, magnitudes[some], joined[some]), occurs=count)


def _sorted(weights: Weights) -> Distribution:
    magnitudes, filled, ends = np.empty(weights.size), 0, _Ends()
    for _, real in weights.blocks():
        ends.add(real)
        magnitudes[filled : filled + real.size] = np.abs(real).reshape(-1)
        filled += real.size
    values, count = np.unique(magnitudes[magnitudes > 0], return_counts=True)
    return _of_values(weights.size, ends.low, ends.high, values, count)


def _binned(weights: Weights) -> Distribution:
    ends = _Ends()
    for _, real in weights.blocks():
        ends.add(real)
    down = math.frexp(max(-ends.low, ends.high))[1]
    # The bits of a float32 below 1 in ascending order are exponent and mantissa; bins are cut at BIN_BITS of the mantissa.
    drop = 23 - BIN_BITS
    n_bins = (0x3F800000 >> drop) + 1
    sums = [np.zeros(n_bins) for _ in range(3)]
    for _, real in weights.blocks():
        magnitudes = np.abs(real).reshape(-1)
        bins = np.ldexp(magnitudes, -down).astype(np.float32).view(np.uint32) >> drop
        sums[0] += np.bincount(bins, minlength=n_bins)
        with np.errstate(over="ignore", invalid="ignore"):
            sums[1] += np.bincount(bins, magnitudes, n_bins)
            sums[2] += np.bincount(bins, magnitudes * magnitudes, n_bins)
    some = np.flatnonzero(sums[1] > 0)
    count, first, second = (part[some] for part in sums)
    return _distribution(weights.size, ends.low, ends.high, first / count, (count, first, second))


# Rounding


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """Weights as counts of steps."""

    base: Array
    """Of the stored array's shape: int8 for mixed signs, uint8 magnitudes for one."""
    members: tuple[tuple[IntArray, Array], ...]
    """Of each further group: which weights have a part there, as flat indices, ascending, and that part."""
    squared: float
    """The sum of squared errors, in squares of the real unit."""
    clipped: int
    zeroed: int
    """Weights that are not 0 and became 0."""


def rounded(weights: Weights, known: Distribution, unit: float, steps: Levels, scales: Array) -> Rounded:
    """Return the nearest counts of steps.

    Args:
        weights: Real numbers.
        known: Their distribution, with their signs.
        unit: What a step is worth.
        steps: The counts there are, and their groups.
        scales: Powers of two by which neurons are larger, like `Weights.factor`, or 0-d 1; errors are given without them.
    """
    sign_mode = known.sign_mode
    if known.occurs is not None and not scales.ndim:
        return _rounded_by_table(weights, known.occurs, unit, steps, sign_mode)
    writer = ArrayWriter(weights.stored.shape, _dtype(sign_mode))
    found: list[list[tuple[IntArray, Array]]] = [[] for _ in steps.groups[1:]]
    total, clipped, zeroed, at = 0, 0, 0, 0
    for block, real in weights.blocks():
        larger = scales[block] if scales.ndim else scales
        whole, errors, over = _round(real * larger / unit, steps, sign_mode)
        base, further = _split(whole, steps, sign_mode)
        writer.append(base)
        for part, list_of in zip(further, found, strict=True):
            index = np.flatnonzero(part)
            list_of.append((index + at, part.reshape(-1)[index]))
        with np.errstate(over="ignore"):
            squares = np.minimum(np.square(errors / larger), LARGEST_ERROR)
        total += int(np.rint(squares * ERROR_RESOLUTION).astype(np.int64).sum())
        clipped += int(over.sum())
        zeroed += int(((whole == 0) & (real != 0)).sum())
        at += real.size
    members = tuple(_joined(parts, sign_mode) for parts in found)
    return Rounded(writer.finish(), members, total / ERROR_RESOLUTION * unit * unit, clipped, zeroed)


def _joined(parts: Sequence[tuple[IntArray, Array]], sign_mode: SignMode) -> tuple[IntArray, Array]:
    index, counts = np.zeros(0, np.int64), np.zeros(0, _dtype(sign_mode))
    return np.concatenate([index, *(i for i, _ in parts)]), np.concatenate([counts, *(c for _, c in parts)])


def _dtype(sign_mode: SignMode) -> type[np.generic]:
    return np.int8 if sign_mode == "mixed" else np.uint8


def _round(x: Array, steps: Levels, sign_mode: SignMode) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return (whole numbers, error in steps, whether it clipped) of weights in units of a step."""
    signed = -x if sign_mode == "inhibitory" else x
    wanted = np.rint(signed)
    whole = np.clip(wanted, -steps.limit if sign_mode == "mixed" else 0, steps.limit)
    return whole, signed - whole, np.abs(wanted) > steps.limit


def _split(whole: Array, steps: Levels, sign_mode: SignMode) -> tuple[Array, list[Array]]:
    """Return the counts of the first and of each further group, as they are stored."""
    sign = np.sign(whole).astype(np.int64)
    base, *further = ((part * sign).astype(_dtype(sign_mode)) for part in steps.split(np.abs(whole).astype(np.int64)))
    return base, further


def _rounded_by_table(weights: Weights, occurs: IntArray, unit: float, steps: Levels, sign_mode: SignMode) -> Rounded:
    """Round every value that the type has once, and look the weights up."""
    stored = weights.stored
    integers = small_integers(stored.dtype)
    real = integers * float(weights.factor)
    whole, errors, over = _round(real / unit, steps, sign_mode)
    table, further = _split(whole, steps, sign_mode)
    present = occurs > 0
    found: list[list[tuple[IntArray, Array]]] = [[] for _ in further]
    at = 0
    grouped = any(part[present].any() for part in further)
    for block in blocks_of(stored) if grouped else ():
        bits = as_unsigned(stored[block]).reshape(-1)
        for part, list_of in zip(further, found, strict=True):
            index = np.flatnonzero(part[bits])
            list_of.append((index + at, part[bits[index]]))
        at += bits.size
    equal = stored.dtype == table.dtype and bool((table == integers)[present].all())
    if equal and not grouped and not stored.flags.writeable:
        base = stored  # the file's own bytes
    else:
        writer = ArrayWriter(stored.shape, table.dtype)
        for place in blocks_of(stored) if stored.ndim else ((),):
            writer.append(table[as_unsigned(stored[place])])
        base = writer.finish()
    members = tuple(_joined(parts, sign_mode) for parts in found)
    squared = math.fsum((np.square(errors) * occurs)[present].tolist()) * unit * unit
    lost = (whole == 0) & (real != 0)
    return Rounded(base, members, squared, int(occurs[over].sum()), int(occurs[lost].sum()))


# Which weight belongs to which neuron, for the patterns that legalize leaves


def along(pattern: Pattern, values: Array, stored: Array, target: Shape) -> Array | None:
    """Return one value per target neuron (n_target,) in a shape that broadcasts against the weights, of their first extent.

    None: not with this pattern, or not with these values (a convolution needs one for all places of a channel).
    """
    match pattern.kind:
        case "dense":
            return values[:, None]
        case "one_to_one" | "scale":
            return values
        case "sparse":
            return np.asarray(values[pattern.arrays["targets"]])
        case "block":
            return values.reshape(stored.shape[0], stored.shape[1], 1)
        case "conv1d" | "conv2d":
            per_channel = values.reshape(target[0], -1)
            if (per_channel != per_channel[:, :1]).any():
                return None
            return per_channel[:, 0].reshape(-1, *(1,) * (stored.ndim - 1))
    return None


def group_pattern(
    pattern: Pattern, index: IntArray, counts: Array, shape: Shape, source: Shape
) -> tuple[Pattern, Array] | None:
    """Return pattern and mantissas of an exponent group: parts of some weights of a projection, the others absent.

    Args:
        pattern: The projection's.
        index: Flat indices of the weights that have a part in the group, ascending.
        counts: The mantissas of these parts.
        shape: Of all weights of the projection.
        source: Shape that the pattern starts from.

    Returns:
        For convolutions the same window with the other weights 0; else a list of synapses; None: not with this pattern.
    """
    kind = pattern.kind
    if kind in ("conv1d", "conv2d"):
        mantissa = np.zeros(shape, counts.dtype)
        mantissa.reshape(-1)[index] = counts
        return pattern, mantissa
    if kind == "dense":
        targets, sources = np.divmod(index, size_of(source))
    elif kind in ("one_to_one", "scale"):
        targets = sources = index
    elif kind == "sparse":
        sources, targets = pattern.arrays["sources"][index], pattern.arrays["targets"][index]
    elif kind == "block":
        targets, within = np.divmod(index, shape[2])
        sources = pattern.arrays["indices"][targets // shape[1], within]
    else:
        return None
    return Pattern("sparse", {"sources": np.asarray(sources, np.int64), "targets": np.asarray(targets, np.int64)}), counts


GROUPED = ("dense", "one_to_one", "scale", "sparse", "block", "conv1d", "conv2d")
"""The patterns that `group_pattern` knows."""
