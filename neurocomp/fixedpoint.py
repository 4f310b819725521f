"""Integer arithmetic that passes, mapping, backends and engine share; all in int64, exact on every platform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntArray = NDArray[np.int64]
Words = NDArray[np.uint64]
"""32-bit words, in 64 bits so that products fit."""

ENCODER, PROGRAM = 1, 5
"""What a random number is for: to turn data into spikes; drawn by neurons that are programs."""


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


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[Any, Any]) -> tuple[Words, Words, Words, Words]:
    """Return the four random words of each counter by Philox-4x32-10.

    J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011.

    Args:
        counter: Four arrays of one shape, values below 2**32.
        key: Two words below 2**32, or arrays of them.

    >>> [hex(int(word)) for word in philox((np.uint64(0),) * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = counter
    k0, k1 = (np.asarray(word, np.uint64) for word in key)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


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
