"""Networks given as lists of synapses: twins become atoms, atoms are spread over cores, and then their halves and quarters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import partitioning as kernels
from neurocomp.engine.kernels.partitioning import Limits
from neurocomp.fixedpoint import mixed, running_sum
from neurocomp.mapping.atoms import ENOUGH_ATOMS, PART_OF_CORE, SIZES, Atoms, atoms_of, cut
from neurocomp.mapping.partition import Effort, Partition, Progress, partition

Array = NDArray[Any]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.int32]

FINER = 4
"""Atoms are so much smaller when the partition is refined."""
MOST_FINE_PINS = 1_000_000
"""Beyond it there is no such refinement."""


def partition_neurons(
    start: IntArray, target: IndexArray, rate: IntArray, limits: Limits, *, effort: Effort = "default", seed: int = 0,
    jobs: int | None = None, progress: Progress | None = None,
) -> Partition:  # fmt: skip
    """Put neurons on cores; a synapse takes one unit of memory.

    Args:
        start: (n + 1,): neuron i has synapses onto ``target[start[i]:start[i + 1]]``.
        target: Neurons, each once per source.
        rate: Packets of each neuron per unit of time, (n,).
        limits: Of every core.
        effort: As in `partition`, as are the others.

    Returns:
        The core of every neuron.

    Raises:
        ValueError: A neuron fits no core.
    """
    twins = find_twins(start, target, rate)
    fan_in = np.bincount(target, minlength=len(rate))
    sizes = _atom_sizes(twins, fan_in, limits)
    atoms, atom = contracted(start, target, rate, twins, sizes)
    found = partition(atoms, limits, effort=effort, seed=seed, jobs=jobs, progress=progress)
    if found.complete and sizes.max(initial=1) > 1 and FINER**2 * atoms.pins <= MOST_FINE_PINS:
        finer, part = contracted(start, target, rate, twins, np.maximum(1, sizes // FINER))
        begin = np.empty(finer.size, np.int64)
        begin[part] = found.core[atom]
        found, atom = partition(finer, limits, effort=effort, seed=seed, jobs=jobs, start=begin), part
    return Partition(found.core[atom], found.cores, found.packets, found.complete)


def _atom_sizes(twins: Twins, fan_in: IntArray, limits: Limits) -> IntArray:
    """Return how many neurons of each class make an atom, (classes,)."""
    needed = np.maximum(1, fan_in[twins.order[twins.start[:-1]]])
    fitting = np.minimum(limits.neurons, limits.memory // needed) // PART_OF_CORE
    for size in SIZES:
        sizes = np.minimum(np.clip(fitting, 1, size), twins.sizes)
        if int((-(-twins.sizes // sizes)).sum()) >= ENOUGH_ATOMS:
            break
    return np.asarray(sizes)


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Neurons with the same sources and the same targets, side by side."""

    order: IntArray
    """(n,): the neurons, class by class."""
    start: IntArray
    """(classes + 1,): neurons ``order[start[i]:start[i + 1]]`` are of class i."""

    @property
    def sizes(self) -> IntArray:
        """Neurons of each class."""
        return np.asarray(np.diff(self.start))


def find_twins(start: IntArray, target: IndexArray, rate: IntArray) -> Twins:
    """Return the classes of neurons with the same sources and targets; in a class the most active come first.

    Sets are compared by two sums of 64-bit labels; that two different ones are equal has a chance of about n**2 / 2**128.
    """
    n = len(start) - 1
    label = mixed(np.arange(1, n + 1, dtype=np.uint64))
    from_sources, from_targets = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    kernels.hash_neighbours(start, target, label, from_sources, from_targets)
    order = np.lexsort((-rate, from_targets, from_sources))
    a, b = from_sources[order], from_targets[order]
    first = np.flatnonzero(np.concatenate(([True], (a[1:] != a[:-1]) | (b[1:] != b[:-1]))))
    return Twins(order, np.append(first, n))


def contracted(start: IntArray, target: IndexArray, rate: IntArray, twins: Twins, size: IntArray) -> tuple[Atoms, IntArray]:
    """Return atoms of at most ``size`` twins, which is (classes,), and the atom of every neuron, (n,).

    The memory of an atom is one unit per synapse onto it.
    """
    n = len(rate)
    sizes = twins.sizes
    if len(sizes) == n:
        return atoms_of(np.ones(n, np.int64), rate, np.bincount(target, minlength=n), start, target), np.arange(n)
    parts, number = cut(sizes, size)
    atom = np.empty(n, np.int64)
    atom[twins.order] = number
    n_atoms = int(parts.sum())
    members = twins.order[twins.start[:-1]]
    stamp, degree = np.full(n_atoms, -1, np.int64), np.empty(len(members), np.int64)
    kernels.count_distinct(start, target, atom, members, stamp, degree)
    listed_start = running_sum(degree)
    listed = np.empty(int(listed_start[-1]), np.int32)
    stamp[:] = -1
    kernels.list_distinct(start, target, atom, members, stamp, listed_start[:-1], listed)
    class_of = np.repeat(np.arange(len(sizes)), parts)
    out_start = running_sum(degree[class_of])
    within = np.arange(int(out_start[-1])) - np.repeat(out_start[:-1], degree[class_of])
    out_index = listed[np.repeat(listed_start[:-1][class_of], degree[class_of]) + within]
    neurons = np.bincount(atom, minlength=n_atoms)
    fan_in = np.bincount(target, minlength=n)
    memory = neurons * fan_in[members][class_of]
    total = np.bincount(atom, weights=rate, minlength=n_atoms).astype(np.int64)
    return atoms_of(neurons, total, memory, out_start, out_index), atom
