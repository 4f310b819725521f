"""Blocks: which neurons of a population share a core, so that their axons and their copies fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.tiling import fill

IntArray = NDArray[np.int64]

PATCHES = (1, 2, 3, 4, 5, 6, 8, 12, 16)
"""Sides of the patches that are tried for populations with places."""
AXON_PRICE = 1.0
"""Cores per 256 axons: what copies of the sources take."""
MOST_TRIED = 60_000
"""Larger populations are tiled in fewer ways."""


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """The axons that each neuron needs, as a list by neuron: ``axons[start[j]:start[j + 1]]``, ascending."""

    start: IntArray
    axons: IntArray
    count: int
    """Number of different axons."""

    @staticmethod
    def of(neuron: IntArray, axon: IntArray, neurons: int) -> Needs:
        """Sort pairs of neuron and axon."""
        order = np.lexsort((axon, neuron))
        start = np.searchsorted(neuron[order], np.arange(neurons + 1))
        return Needs(start, axon[order], int(axon.max(initial=-1)) + 1)

    def by_neuron(self, j: int) -> IntArray:
        """Return the axons of a neuron."""
        return self.axons[self.start[j] : self.start[j + 1]]

    @property
    def sizes(self) -> IntArray:
        """How many axons each neuron needs, (n,)."""
        return np.diff(self.start)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where neurons are beside one another."""

    shape: tuple[int, ...]
    """Of the population that they belong to."""
    places: IntArray
    """(n,): their place in it, in C order."""
    group: IntArray
    """(n,): neurons of different groups have no inputs in common."""

    @staticmethod
    def of(shape: tuple[int, ...]) -> Layout:
        """Return the layout of a population's own neurons."""
        size = int(np.prod(shape))
        return Layout(shape, np.arange(size), np.zeros(size, np.int64))

    def orders(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield orders of the neurons, and the cell of each one in that order: as they are, and by patches of places."""
        n, shape = len(self.places), self.shape
        yield np.lexsort((np.arange(n), self.group)), np.arange(n)
        if len(shape) < 2:
            return
        grid = np.unravel_index(self.places, shape)
        channels, places = grid[0], grid[1:]
        few = n > MOST_TRIED
        patches = [4] if few else [side for side in PATCHES if side <= max(shape[1:])]
        groups = [shape[0]] if few else [g for g in (1, 2, 4, 8, 16, 32) if g < shape[0]] + [shape[0]]
        for side in patches:
            for group in groups:
                rough = [channels // group, *(place // side for place in places[::-1]), self.group]
                order = np.lexsort([channels, *places[::-1], *rough])
                changes = np.any([np.diff(key[order]) != 0 for key in rough], axis=0)
                yield order, np.concatenate([[0], np.cumsum(changes)])


def tile(needs: Needs, copies: IntArray, layout: Layout, max_axons: int, max_neurons: int) -> list[IntArray]:
    """Return blocks of neurons, each with at most ``max_axons`` different axons and ``max_neurons`` copies; all neurons fit.

    Several orders are tried, which keep neighbours together, and the cheapest is taken: blocks and axons cost, as each axon is
    a copy of its source, or a message of the host. Neurons are ascending in each block.
    """
    best, cost, count = np.zeros(len(copies), np.int64), np.inf, 0
    block_of, stamp, seen = np.empty(len(copies), np.int64), np.empty(needs.count, np.int64), np.empty(needs.count, np.int64)
    sizes = np.ascontiguousarray(copies, np.int64)
    for order, cell in layout.orders():
        stamp[:], seen[:] = -1, -1
        blocks, axons = fill(needs.start, needs.axons, order, cell, sizes, max_axons, max_neurons, stamp, seen, block_of)
        # An axon is a copy of its source, which takes its share of another core.
        price = blocks + AXON_PRICE * axons / max_neurons
        if price < cost:
            best, cost, count = block_of.copy(), price, blocks
    members = np.argsort(best, kind="stable")
    return np.split(members, np.searchsorted(best[members], np.arange(1, count))) if count else []
