"""Philox-4x32-10: random numbers that are a function of what they are for, not of the order in which they are drawn.

J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]
"""32-bit words, in 64 bits so that products fit."""

ENCODER = 1
"""The purpose of draws that turn data into spikes."""

_MULTIPLIER = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEP = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_BLOCK = 1 << 14
"""Draws at a time: few enough for the cache."""


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Return the four random words of each counter.

    Args:
        counter: Four arrays of one shape, values below 2**32.
        key: Two words below 2**32.

    >>> [hex(int(word)) for word in philox((np.uint64(0),) * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _MULTIPLIER[0], c2 * _MULTIPLIER[1]
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _KEY_STEP[0]) & 0xFFFFFFFF, (k1 + _KEY_STEP[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def draw(seed: int, *, purpose: int, sample: ArrayLike, neuron: ArrayLike, tick: ArrayLike, slot: int = 0) -> Words:
    """Return one uniform 32-bit number for each (sample, neuron, tick), which broadcast against each other.

    It is the first word of Philox-4x32-10 with the key (seed mod 2**32, seed div 2**32) and the counter (neuron, tick,
    sample, purpose * 2**24 + slot).

    Args:
        seed: 0 .. 2**64 - 1.
        purpose: What the number is for, 0 .. 255.
        sample: Index of the sample in the whole data set.
        neuron: Index in C order of the population's shape.
        tick: In the user's time, from 0.
        slot: Tells several numbers of one purpose apart, 0 .. 2**24 - 1.
    """
    words = [np.asarray(part, np.uint64) for part in (neuron, tick, sample)]
    shape = np.broadcast_shapes(*(word.shape for word in words))
    flat = [np.broadcast_to(word, shape).reshape(-1) for word in words]
    key = (seed & 0xFFFFFFFF, seed >> 32)
    result = np.empty(flat[0].size, np.uint64)
    for start in range(0, result.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        last = np.full(result[block].size, (purpose << 24) | slot, np.uint64)
        result[block] = philox((flat[0][block], flat[1][block], flat[2][block], last), key)[0]
    return result.reshape(shape)
