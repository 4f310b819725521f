"""Cores on the places of a mesh: smoothing of coordinates over the traffic, and annealing by swaps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.jit import entry, kernel
from neurocomp.engine.kernels.partitioning import random_below, random_bits

Array = NDArray[Any]

FREE = -1
"""The core of a place that has none."""


class CoreGraph(NamedTuple):
    """Packets between k cores, both directions together; lists of neighbours."""

    start: NDArray[np.int64]
    other: NDArray[np.int32]
    packets: NDArray[np.float64]


class Places(NamedTuple):
    """Places of cores: where each is, and which places are near."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    chip: NDArray[np.int64]
    column: NDArray[np.int64]
    """Position in the table of the places, which lies as the chips do."""
    row: NDArray[np.int64]
    table: NDArray[np.int64]
    """(columns, rows, places of a tile): the place there, -1 beyond the mesh."""
    crossing: float
    """Hops that a way from chip to chip counts beside those of the mesh."""


@entry
def smooth(graph, rank, columns, result):
    """Replace coordinates of cores by half of their own and half of their neighbours' weighted mean, ``(k, columns)``."""
    for a in range(len(graph.start) - 1):
        total = 0.0
        for d in range(columns):
            result[a, d] = 0.0
        for i in range(graph.start[a], graph.start[a + 1]):
            b, w = graph.other[i], graph.packets[i]
            total += w
            for d in range(columns):
                result[a, d] += w * rank[b, d]
        for d in range(columns):
            mean = result[a, d] / total if total > 0 else rank[a, d]
            result[a, d] = 0.5 * (rank[a, d] + mean)


@kernel
def distance(places, p, q):
    """Return the hops between two places."""
    hops = abs(places.x[p] - places.x[q]) + abs(places.y[p] - places.y[q])
    return hops + places.crossing * abs(places.chip[p] - places.chip[q])


@entry
def hops(graph, places, place):
    """Return the sum of packets x hops over all pairs of cores."""
    total = 0.0
    for a in range(len(place)):
        for i in range(graph.start[a], graph.start[a + 1]):
            b = graph.other[i]
            if b > a:
                total += graph.packets[i] * distance(places, place[a], place[b])
    return total


@kernel
def pull(graph, places, place, a, p, q, beside):
    """Return what changes if core a moves from place p to q; the way to core ``beside`` is left out."""
    change = 0.0
    for i in range(graph.start[a], graph.start[a + 1]):
        b = graph.other[i]
        if b != beside:
            at = place[b]
            change += graph.packets[i] * (distance(places, q, at) - distance(places, p, at))
    return change


@entry
def anneal_places(graph, places, place, held, wide, hot, cold, steps, fixed, state):
    """Swap places of cores for some steps of simulated annealing.

    Args:
        place: (k,): the place of each core; is changed.
        held: (places,): the core of each place, `FREE` without one; is changed.
        wide: Swaps reach so many columns and rows at first, and 1 at the end.
        hot, cold: Temperatures, in packets x hops.
        steps: Swaps that are tried.
        fixed: (k,): cores that stay.
        state: (1,): of the random numbers.
    """
    columns, rows, deep = places.table.shape
    k = len(place)
    temperature, reach = hot, wide
    for step in range(steps):
        if step & 63 == 0:
            part = step / steps
            temperature = hot * (cold / hot) ** part
            reach = max(np.int64(1), np.int64(np.rint(wide * (1 - part))))
        a = random_below(state, k)
        if fixed[a]:
            continue
        p = place[a]
        column = places.column[p] + random_below(state, 2 * reach + 1) - reach
        row = places.row[p] + random_below(state, 2 * reach + 1) - reach
        if column < 0 or column >= columns or row < 0 or row >= rows:
            continue
        q = places.table[column, row, random_below(state, deep)]
        if q < 0 or q == p:
            continue
        b = held[q]
        if b >= 0 and fixed[b]:
            continue
        change = pull(graph, places, place, a, p, q, b)
        if b >= 0:
            change += pull(graph, places, place, b, q, p, a)
        if change > 0:
            chance = np.float64(random_bits(state) >> np.uint64(11)) * 2.0**-53
            if chance >= np.exp(-change / temperature):
                continue
        place[a], held[q] = q, a
        held[p] = b
        if b >= 0:
            place[b] = p
