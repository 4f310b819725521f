"""Weights as axon types: each input takes some axons of up to four types, and each neuron gives every type a weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.quantized import AXON_TYPES

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Slices:
    """A way to write counts as sums: ``multiplicity[g]`` axons of type g, each worth ``steps[g]``; complete in low..high."""

    multiplicity: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def low(self) -> int:
        """The smallest count."""
        return sum(min(m * s, 0) for m, s in zip(self.multiplicity, self.steps, strict=True))

    @property
    def high(self) -> int:
        """The largest count."""
        return sum(max(m * s, 0) for m, s in zip(self.multiplicity, self.steps, strict=True))

    def digits(self, counts: IntArray) -> IntArray:
        """Return how many axons of each type make up counts, (n, 4)."""
        rest, found = counts.copy(), np.zeros((len(counts), AXON_TYPES), np.int64)
        order = sorted(range(len(self.steps)), key=lambda g: (self.steps[g] > 0, -abs(self.steps[g])))
        for g in order:
            step, most = self.steps[g], self.multiplicity[g]
            used = (rest < 0).astype(np.int64) if step < 0 else np.minimum(np.maximum(rest, 0) // step, most)
            found[:, g] = used
            rest -= used * step
        return found


SLICES: tuple[Slices, ...] = (
    Slices((1,), (1,)),
    Slices((1, 1), (1, -1)),
    Slices((1, 1), (1, 2)),
    Slices((1, 1, 1), (1, 2, 4)),
    Slices((1, 1, 1), (1, 2, -4)),
    Slices((1, 1, 1, 1), (1, 2, 4, -8)),
    Slices((1, 1, 1, 1), (1, 2, 4, 8)),
    Slices((1, 1, 3, 1), (1, 2, 4, -16)),
    Slices((1, 1, 3, 1), (1, 2, 4, 16)),
    Slices((1, 3, 3, 1), (1, 2, 8, -32)),
    Slices((1, 3, 3, 1), (1, 2, 8, 32)),
    Slices((3, 3, 3, 1), (1, 4, 16, -64)),
    Slices((3, 3, 3, 1), (1, 4, 16, 64)),
    Slices((3, 3, 7, 1), (1, 4, 16, -128)),
)
"""From few axons per input to many."""
MOST_COMBINATIONS = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """The axons that an input takes, and what they are worth.

    ``digits`` (n_synapses, 4) says how many axons of each type a synapse uses; its weight is their sum of ``s`` of the neuron.
    """

    multiplicity: tuple[int, ...]
    s: IntArray
    """(n_neurons, 4)."""
    digits: IntArray

    @property
    def axons(self) -> int:
        """Axons per input, where all types are in use."""
        return sum(self.multiplicity)


def find_codebook(
    neuron: IntArray, weight: IntArray, neurons: int, largest: int, *, one_hot: bool = False, types: int = AXON_TYPES
) -> Codebook | None:
    """Return the codebook with the fewest axons per input that represents all weights exactly; None: there is none.

    Args:
        neuron: Of each synapse, the target.
        weight: Of each synapse, not 0.
        neurons: Number of targets.
        largest: Magnitude of the largest weight of a type.
        one_hot: Every weight must be that of a single axon (stochastic synapses do not add up).
        types: Axon types that a core has.
    """
    unit, low, high = np.zeros(neurons, np.int64), np.zeros(neurons, np.int64), np.zeros(neurons, np.int64)
    np.gcd.at(unit, neuron, np.abs(weight))
    unit = np.maximum(unit, 1)
    counts = weight // unit[neuron]
    np.minimum.at(low, neuron, counts)
    np.maximum.at(high, neuron, counts)
    order = np.argsort(neuron, kind="stable")
    bounds = np.searchsorted(neuron[order], np.arange(neurons + 1))
    for multiplicity, family in _families():
        if one_hot and max(multiplicity) > 1:
            break
        if len(multiplicity) > types:
            continue
        s, digits = np.zeros((neurons, AXON_TYPES), np.int64), np.zeros((len(weight), AXON_TYPES), np.int64)
        missing = np.zeros(neurons, np.bool_)
        missing[neuron] = True
        for slices in () if one_hot else family:
            for sign in (1, -1):
                inside = np.where(sign == 1, (low >= slices.low) & (high <= slices.high),
                                  (-high >= slices.low) & (-low <= slices.high))  # fmt: skip
                fits = missing & inside & (unit * max(abs(step) for step in slices.steps) <= largest)
                if not fits.any():
                    continue
                s[fits, : len(slices.steps)] = sign * unit[fits, None] * np.array(slices.steps)
                here = fits[neuron]
                digits[here] = slices.digits(sign * counts[here])
                missing &= ~fits
        if max(multiplicity) == 1:
            for j in np.flatnonzero(missing):
                own = order[bounds[j] : bounds[j + 1]]
                book = _book(weight[own], len(multiplicity), largest, one_hot)
                if book is None:
                    break
                s[j, : len(book[0])], digits[own] = book
                missing[j] = False
        if not missing.any():
            return Codebook(multiplicity, s, digits)
    return None


def known_codebook(neuron: IntArray, weight: IntArray, books: IntArray, largest: int) -> Codebook | None:
    """Return the codebook of values (n_neurons, m) that weights were made of; None: they are too large, or no such sums."""
    size = books.shape[1]
    if size > AXON_TYPES or np.abs(books).max(initial=0) > largest:
        return None
    masks = np.array(list(product((0, 1), repeat=size)), np.int64)
    sums = books @ masks.T
    digits = np.zeros((len(weight), AXON_TYPES), np.int64)
    for start in range(0, len(weight), 1 << 16):
        part = slice(start, start + (1 << 16))
        same = sums[neuron[part]] == weight[part, None]
        if not same.any(axis=1).all():
            return None
        digits[part, :size] = masks[same.argmax(axis=1)]
    s = np.zeros((len(books), AXON_TYPES), np.int64)
    s[:, :size] = books
    return Codebook((1,) * size, s, digits)


def _families() -> Iterator[tuple[tuple[int, ...], Sequence[Slices]]]:
    """Yield the multiplicities, from few axons to many, with the slices of each."""
    known = list(dict.fromkeys(slices.multiplicity for slices in SLICES))
    for multiplicity in sorted(known, key=sum):
        yield multiplicity, [slices for slices in SLICES if slices.multiplicity == multiplicity]


def _book(weights: IntArray, size: int, largest: int, one_hot: bool) -> tuple[IntArray, IntArray] | None:
    """Return ``size`` values whose subset sums hold all weights of a neuron, and the digits (n, 4); None: there are none."""
    values, number = np.unique(weights, return_inverse=True)
    if len(values) <= size and np.abs(values).max(initial=0) <= largest:
        digits = np.zeros((len(weights), AXON_TYPES), np.int64)
        digits[np.arange(len(weights)), number.reshape(-1)] = 1
        return values, digits
    if one_hot or len(values) >= 1 << size:
        return None
    masks = np.array(list(product((0, 1), repeat=size)), np.int64)
    # A value of the book most often stands alone somewhere; where it does not, it is what two weights differ by.
    differences = (values[:, None] - values[None]).ravel()
    groups = (values, np.unique(np.concatenate([values, differences])))
    pools = [found[(np.abs(found) <= largest) & (found != 0)] for found in groups]
    tried = (
        c
        for found in pools
        if math.comb(len(found) + size - 1, size) <= MOST_COMBINATIONS
        for c in combinations_with_replacement(found.tolist(), size)
    )
    for chosen in tried:
        book = np.array(chosen, np.int64)
        sums = masks @ book
        order = np.argsort(sums, kind="stable")
        at = np.minimum(np.searchsorted(sums[order], values), len(sums) - 1)
        if np.array_equal(sums[order][at], values):
            digits = np.zeros((len(weights), AXON_TYPES), np.int64)
            digits[:, :size] = masks[order[at]][number.reshape(-1)]
            return book, digits
    return None
