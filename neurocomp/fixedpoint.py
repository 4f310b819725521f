"""Integer arithmetic that passes, mapping, backends and engine share; all in int64, exact on every platform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntArray = NDArray[np.int64]


def shifted(values: IntArray, exponent: IntArray | int) -> IntArray:
    """Return ``values * 2**exponent``, rounding to minus infinity where the exponent is negative.

    >>> shifted(np.array([3, -3]), 2), shifted(np.array([3, -3]), -1)
    (array([ 12, -12]), array([ 1, -2]))
    """
    exponent = np.asarray(exponent, np.int64)
    return np.asarray((values << np.maximum(exponent, 0)) >> np.maximum(-exponent, 0))


def running_sum(counts: Array) -> IntArray:
    """Return the sums of the first 0, 1, … elements, (n + 1,): where the parts of a table begin, and where the last one ends.

    >>> running_sum(np.array([3, 0, 2]))
    array([0, 3, 3, 5])
    """
    result = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, dtype=np.int64, out=result[1:])
    return result


def distinct(values: Array) -> Array:
    """Return the distinct values, ascending: by sorting, which is many times faster than the table that numpy may build.

    >>> distinct(np.array([2, 0, 2]))
    array([0, 2])
    """
    values = np.sort(values, axis=None)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers that tell as much and look unrelated: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = values * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def to_field(values: IntArray, bits: IntArray | int) -> IntArray:
    """Return the lowest ``bits`` bits of each value: its two's complement as an unsigned field.

    >>> to_field(np.array([3, -1]), 4)
    array([ 3, 15])
    """
    return np.asarray(values & ((np.int64(1) << np.asarray(bits, np.int64)) - 1))


def from_field(fields: IntArray, bits: IntArray | int) -> IntArray:
    """Return the signed numbers whose two's complement `to_field` wrote; a field of 0 bits holds 0.

    >>> from_field(np.array([3, 15]), 4)
    array([ 3, -1])
    """
    one = np.int64(1) << np.asarray(bits, np.int64)
    return np.asarray(fields - np.where(2 * fields >= np.maximum(one, 2), one, 0))
