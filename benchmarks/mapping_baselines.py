"""What other mappers do: cores filled in a given order, and repair of partitions whose maker knows no limit of axons.

METIS and Mt-KaHyPar balance one weight per core. Cores of theirs that hold too much are split greedily with exact limits, and
atoms are moved while that saves packets: our kernel without any temperature, so that peers get what we know of limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mapping_count import Caps
from neurocomp.engine.kernels import partitioning as kernels
from neurocomp.mapping.atoms import Atoms

Array = NDArray[Any]
IntArray = NDArray[np.int64]

MOVES_PER_ATOM = 16
BEYOND_PRICE = 1e9
"""Packets that a unit beyond a limit costs while atoms are moved: more than any move saves."""


def in_order(atoms: Atoms, caps: Caps, order: IntArray, breaks: IntArray | None = None) -> IntArray:
    """Return the core of every atom; a core is filled until the next atom does not fit, or one of ``breaks`` is reached."""
    g, n = atoms.graph, atoms.size
    core, stamp = np.empty(n, np.int64), np.full(n, -1, np.int64)
    begins = np.zeros(n + 1, np.bool_)
    begins[0 if breaks is None else breaks] = True
    k, neurons, axons, synapses = -1, 0, 0, 0
    for position, v in enumerate(order.tolist()):
        sources = g.in_index[g.in_start[v] : g.in_start[v + 1]]
        fresh = sources[stamp[sources] != k]
        more = int(g.axons[fresh].sum()), int(g.neurons[v]), int(g.memory[v])
        full = axons + more[0] > caps.axons or neurons + more[1] > caps.neurons or synapses + more[2] > caps.synapses
        if k < 0 or full or begins[position]:
            k, neurons, axons, synapses, fresh = k + 1, 0, 0, 0, sources
            more = int(g.axons[fresh].sum()), more[1], more[2]
        stamp[fresh] = k
        axons, neurons, synapses = axons + more[0], neurons + more[1], synapses + more[2]
        core[v] = k
    return core


@dataclass(frozen=True, eq=False)
class _Held:
    """What cores hold, (k,) each."""

    neurons: IntArray
    axons: IntArray
    synapses: IntArray

    def too_much(self, caps: Caps) -> IntArray:
        """Return the cores beyond a limit."""
        beyond = (self.neurons > caps.neurons) | (self.axons > caps.axons) | (self.synapses > caps.synapses)
        return np.flatnonzero(beyond)


def _cores(atoms: Atoms, core: IntArray) -> kernels.Cores:
    k = int(core.max()) + 1
    cores = kernels.Cores(np.zeros((k, atoms.size), np.uint16), *(np.zeros(k, np.int64) for _ in range(4)))
    kernels.tally(atoms.graph, core, cores)
    return cores


def violating(atoms: Atoms, caps: Caps, core: IntArray) -> IntArray:
    """Return the cores that hold too much."""
    cores = _cores(atoms, core)
    return _Held(cores.neurons, cores.axons, cores.memory).too_much(caps)


def repaired(atoms: Atoms, caps: Caps, core: IntArray) -> IntArray:
    """Return a partition that keeps every limit: cores that hold too much are split."""
    core = core.copy()
    k = int(core.max()) + 1
    for full in violating(atoms, caps, core).tolist():
        members = np.flatnonzero(core == full)
        parts = _parted(atoms, caps, members)
        core[members] = np.where(parts == 0, full, k + parts - 1)
        k += int(parts.max())
    return core


def _parted(atoms: Atoms, caps: Caps, members: IntArray) -> IntArray:
    """Return the part of each of some atoms: parts grow by the atom that needs the fewest further axons."""
    g = atoms.graph
    degree = g.in_start[members + 1] - g.in_start[members]
    row = np.repeat(np.arange(len(members)), degree)
    sources = np.concatenate([g.in_index[g.in_start[v] : g.in_start[v + 1]] for v in members.tolist()])
    names, column = np.unique(sources, return_inverse=True)
    has = np.zeros((len(members), len(names)), np.int32)
    has[row, column] = g.axons[names][column]
    needs, neurons, memory = has.sum(axis=1, dtype=np.int64), g.neurons[members], g.memory[members]
    part = np.full(len(members), -1, np.int64)
    shared_before = np.zeros(len(members), np.int64)
    number = 0
    while (part < 0).any():
        shared = np.zeros(len(members), np.int64)
        held = np.zeros(len(names), np.bool_)
        total = np.zeros(3, np.int64)
        following = int(np.argmax(np.where(part < 0, shared_before, -1)))
        while following >= 0:
            part[following] = number
            fresh = np.flatnonzero((has[following] > 0) & ~held)
            held[fresh] = True
            shared += has[:, fresh].sum(axis=1)
            total += (int(neurons[following]), int(g.axons[names[fresh]].sum()), int(memory[following]))
            more = needs - shared
            fits = (part < 0) & (total[0] + neurons <= caps.neurons)
            fits &= (total[1] + more <= caps.axons) & (total[2] + memory <= caps.synapses)
            following = int(np.argmin(np.where(fits, more, np.iinfo(np.int64).max))) if fits.any() else -1
        shared_before, number = shared, number + 1
    return part


def refined(atoms: Atoms, caps: Caps, core: IntArray, seed: int = 0) -> IntArray:
    """Return the partition after moves that cost nothing, each to a core of a neighbour; every limit is kept."""
    core, cores = core.copy(), _cores(atoms, core)
    k = len(cores.neurons)
    limits = kernels.Limits(caps.neurons, caps.axons, caps.synapses)
    prices = kernels.Prices(BEYOND_PRICE, BEYOND_PRICE, BEYOND_PRICE)
    state = np.array([np.random.default_rng(seed).integers(1 << 63)], np.uint64)
    steps = MOVES_PER_ATOM * atoms.size
    nodes, group = np.arange(atoms.size), np.zeros(k, np.int64)
    kernels.anneal(atoms.graph, core, cores, limits, prices, nodes, group, 0, 1e-9, 1e-9, steps, state)
    return core


def row_major(k: int, columns: int) -> tuple[IntArray, IntArray]:
    """Return x and y of cores that fill a mesh row by row."""
    return np.arange(k) % columns, np.arange(k) // columns


def hilbert(k: int, columns: int, rows: int) -> tuple[IntArray, IntArray]:
    """Return x and y of cores that follow a Hilbert curve; what of it is beyond the mesh is left out."""
    side = 1
    while side < max(columns, rows):
        side *= 2
    x, y = np.zeros(1, np.int64), np.zeros(1, np.int64)
    size = 1
    while size < side:
        x, y = (
            np.concatenate([y, x, x + size, 2 * size - 1 - y]),
            np.concatenate([x, y + size, y + size, size - 1 - x]),
        )
        size *= 2
    inside = (x < columns) & (y < rows)
    return x[inside][:k], y[inside][:k]
