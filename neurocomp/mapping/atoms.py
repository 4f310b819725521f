"""The network as the partition sees it: groups of neurons with the same sources and targets, and who reaches whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import partitioning as kernels
from neurocomp.engine.kernels.partitioning import Graph
from neurocomp.fixedpoint import running_sum

Array = NDArray[Any]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.int32]

SIZES = (16, 8)
"""Neurons of an atom at most: the first that leaves enough atoms, else the last."""
ENOUGH_ATOMS = 4_000
PART_OF_CORE = 6
"""An atom takes this part of a core at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Atoms and who reaches whom.

    Neurons of an atom have the same sources and the same targets, so that packets and axons counted from atoms are those of the
    neurons, exactly.
    """

    graph: Graph
    host: NDArray[np.bool_]
    """(n,): atoms that are on no core and send their packets from outside."""

    @property
    def size(self) -> int:
        """Number of atoms."""
        return len(self.host)

    @property
    def pins(self) -> int:
        """Number of pairs of atoms of which one reaches the other."""
        return len(self.graph.out_index)


def atoms_of(
    neurons: IntArray, rate: IntArray, memory: IntArray, out_start: IntArray, out_index: IndexArray,
    *, axons: IntArray | None = None, family: IntArray | None = None, host: NDArray[np.bool_] | None = None,
) -> Atoms:  # fmt: skip
    """Return atoms from what each holds and whom it reaches.

    Args:
        neurons: Compartments of each atom, (n,).
        rate: Packets of each atom per unit of time, (n,).
        memory: Synapse memory of each atom's neurons, (n,).
        out_start: (n + 1,): atom i reaches ``out_index[out_start[i]:out_start[i + 1]]``.
        out_index: Distinct atoms.
        axons: Input axons that an atom takes on every core that it reaches, (n,); None: one per neuron.
        family: Atoms of two families never share a core, (n,); None: there is one.
        host: Atoms that are on no core, (n,); None: all are on cores.
    """
    n = len(neurons)
    in_start, in_index = transposed(n, out_start, out_index)
    none = np.zeros(n, np.int64)
    graph = Graph(
        np.ascontiguousarray(neurons, np.int64), np.ascontiguousarray(neurons if axons is None else axons, np.int64),
        np.ascontiguousarray(rate, np.int64), np.ascontiguousarray(memory, np.int64),
        none if family is None else np.ascontiguousarray(family, np.int64),
        np.ascontiguousarray(out_start, np.int64), np.ascontiguousarray(out_index, np.int32), in_start, in_index,
    )  # fmt: skip
    return Atoms(graph, np.zeros(n, np.bool_) if host is None else host)


def transposed(n: int, start: IntArray, target: IndexArray) -> tuple[IntArray, IndexArray]:
    """Return the lists of sources of lists of targets, ascending."""
    in_start = running_sum(np.bincount(target, minlength=n))
    sources = np.empty(len(target), np.int32)
    kernels.transpose(start, target, in_start[:-1].copy(), sources)
    return in_start, sources


def reordered(atoms: Atoms, order: IntArray) -> Atoms:
    """Return the same atoms in another order: atom ``order[i]`` becomes number i."""
    g = atoms.graph
    rank = np.empty(atoms.size, np.int64)
    rank[order] = np.arange(atoms.size)
    start = running_sum(np.diff(g.out_start)[order])
    target = np.empty(atoms.pins, np.int32)
    kernels.reorder(g.out_start, g.out_index, order, rank, start, target)
    return atoms_of(
        g.neurons[order], g.rate[order], g.memory[order], start, target,
        axons=g.axons[order], family=g.family[order], host=atoms.host[order],
    )  # fmt: skip


def cut(sizes: IntArray, most: IntArray | int) -> tuple[IntArray, IntArray]:
    """Cut classes of twins into atoms of nearly equal size.

    Args:
        sizes: Neurons of each class, (classes,).
        most: Neurons of an atom at most, of all classes or of each.

    Returns:
        The number of atoms of each class, and the atom of every neuron, class by class, (sizes.sum(),).
    """
    parts: IntArray = -(-sizes // most)
    kind = np.repeat(np.arange(len(sizes)), sizes)
    position = np.arange(len(kind)) - running_sum(sizes)[kind]
    number: IntArray = running_sum(parts)[kind] + position * parts[kind] // sizes[kind]
    return parts, number
