"""Random numbers that are a function of what they are for, not of the order in which they are drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neurocomp.fixedpoint import ENCODER, Words, philox

__all__ = ["ENCODER", "draw", "philox"]

_BLOCK = 1 << 14
"""Draws at a time: few enough for the cache."""


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
