"""The atoms of an integer network, from the geometry of its patterns: dense and convolutional layers are never expanded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import distinct, running_sum
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.mapping.atoms import ENOUGH_ATOMS, SIZES, Atoms, atoms_of, cut
from neurocomp.models.patterns import PATTERNS, Conv, Dense, size_of

IntArray = NDArray[np.int64]

MOST_PINS = 200_000_000
"""Larger networks are not partitioned by atoms."""
MOST_PINS_OF_LAYERS: Mapping[str, int] = {"fast": 2_000_000, "default": 8_000_000, "max": MOST_PINS}
"""Effort -> the same for networks of dense and convolutional layers alone, which filling in order does well by."""
RATE_UNITS = 1_000
"""Packets are counted in thousandths of one per tick."""


class TooLarge(Exception):
    """So many atoms are joined that they are not partitioned."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkAtoms:
    """Atoms, and which neurons each of them is."""

    atoms: Atoms
    populations: tuple[str, ...]
    """Those whose neurons are atoms: on cores, or on the host and sending."""
    population: IntArray
    """(n,): of each atom, index into ``populations``."""
    atom_of: Mapping[str, IntArray]
    """Population -> the atom of each neuron, (size,)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Links:
    """A projection between classes of neurons: the class of each source and target, and which classes are joined."""

    source: IntArray
    """(n_source,)"""
    target: IntArray
    """(n_target,)"""
    pairs: tuple[IntArray, IntArray]
    """Classes of sources and of targets, each pair once."""


def atoms_of_network(
    network: IntegerNetwork, *, orders: Mapping[str, IntArray], parts: Mapping[str, IntArray], family: Mapping[str, IntArray],
    memory: Mapping[str, NDArray[Any]], rate: Callable[[IntegerPopulation], NDArray[Any]],
    outside: Mapping[str, NDArray[np.bool_]],
    largest: Callable[[IntegerPopulation], int], effort: str,
) -> NetworkAtoms | None:  # fmt: skip
    """Return the atoms of a network.

    Args:
        network: A lowered network without crossbars.
        orders: Population on cores -> its neurons in the order in which they should follow each other.
        parts: Population on cores -> a number per neuron, (size,); neurons of different ones are no twins.
        family: Population on cores -> the family of each neuron, (size,).
        memory: Population on cores -> synapse memory of each neuron, (size,).
        rate: Returns the packets per tick of each neuron of a population, (size,).
        outside: Population on cores -> which of its neurons are on cores that are of no concern, (size,).
        largest: Returns how many neurons of a population an atom may have.
        effort: How large the network may be.

    Returns:
        The atoms; None where the network has patterns that they do not know.

    Raises:
        TooLarge: It has too many atoms that are joined.
    """
    routed = [q for q in network.projections if network.populations[q.source].dynamics != "current"]
    if any(q.pool is not None for q in routed):
        return None
    names = [p.name for p in network.populations.values() if p.size and (not p.is_input or _sends(p, routed))]
    links = {q.name: _links(network, q) for q in routed}
    layers = all(isinstance(PATTERNS[q.pattern.kind], Dense | Conv) for q in routed)
    if _pins_at_least(network, links, routed, largest) > (MOST_PINS_OF_LAYERS[effort] if layers else MOST_PINS):
        raise TooLarge
    labels: dict[str, list[IntArray]] = {
        name: [parts[name]] if name in parts else [np.zeros(network.populations[name].size, np.int64)] for name in names
    }
    for name, those in outside.items():
        labels[name].append(those.astype(np.int64))
    for q in routed:
        labels[q.source].append(links[q.name].source)
        labels[q.target].append(links[q.name].target)
    for size in SIZES:
        atom_of, first = _numbered(network, names, labels, orders, largest, size)
        if first[-1] >= ENOUGH_ATOMS:
            break
    count = int(first[-1])
    edges = _edges(routed, links, atom_of, count)
    away = np.zeros(count, np.bool_)
    for name, those in outside.items():
        away[atom_of[name][those]] = True
    key = edges[~away[edges % count]]
    out_start, out_index = running_sum(np.bincount(key // count, minlength=count)), (key % count).astype(np.int32)
    neurons, sent, held, kin = (np.zeros(count, np.int64) for _ in range(4))
    axons = np.zeros(count, np.int64)
    host = away.copy()
    for name in names:
        p, of = network.populations[name], atom_of[name]
        np.add.at(sent, of, np.maximum(1, np.rint(rate(p) * RATE_UNITS)).astype(np.int64))
        np.add.at(axons, of, 1)
        if p.is_input:
            host[of] = True
            continue
        np.add.at(neurons, of, p.compartments)
        held += np.ceil(np.bincount(of, weights=memory[name], minlength=count)).astype(np.int64)
        kin[of] = family[name]
    population = np.repeat(np.arange(len(names)), np.diff(first))
    atoms = atoms_of(neurons, sent, held, out_start, out_index, axons=axons, family=kin, host=host)
    return NetworkAtoms(atoms, tuple(names), population, atom_of)


def _sends(p: IntegerPopulation, routed: Sequence[IntegerProjection]) -> bool:
    return any(q.source == p.name for q in routed)


def _numbered(
    network: IntegerNetwork, names: Sequence[str], labels: Mapping[str, list[IntArray]], orders: Mapping[str, IntArray],
    largest: Callable[[IntegerPopulation], int], size: int,
) -> tuple[dict[str, IntArray], IntArray]:  # fmt: skip
    """Return the atom of every neuron, and the first atom of each population.

    Atoms of a population are numbered as their first neurons follow each other.
    """
    atom_of: dict[str, IntArray] = {}
    first = [0]
    for name in names:
        p = network.populations[name]
        most = max(1, min(size, largest(p)))
        order = orders.get(name, np.arange(p.size))
        _, kind = np.unique(np.stack(labels[name], axis=1)[order], axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        by_kind = np.argsort(kind, kind="stable")
        number = np.empty(p.size, np.int64)
        _, number[by_kind] = cut(np.bincount(kind), most)
        _, seen, rank = np.unique(number, return_index=True, return_inverse=True)
        renumber = np.empty(len(seen), np.int64)
        renumber[np.argsort(seen, kind="stable")] = np.arange(len(seen))
        of = np.empty(p.size, np.int64)
        of[order] = first[-1] + renumber[rank.reshape(-1)]
        atom_of[name] = of
        first.append(first[-1] + len(seen))
    return atom_of, np.array(first)


def _links(network: IntegerNetwork, q: IntegerProjection) -> _Links:
    """Return classes of neurons that a projection treats alike."""
    source, target = network.shapes(q)
    kind = PATTERNS[q.pattern.kind]
    one = np.zeros(1, np.int64)
    if isinstance(kind, Dense):
        return _Links(np.zeros(size_of(source), np.int64), np.zeros(size_of(target), np.int64), (one, one))
    if isinstance(kind, Conv):
        groups, n_in, n_out = q.pattern.options["groups"][0], size_of(source[1:]), size_of(target[1:])
        places = np.stack(np.unravel_index(np.arange(n_out), target[1:]), axis=1)
        flat, inside = kind.geometry(q.pattern).inputs(source[1:], places)
        place, position = np.nonzero(inside)
        group = np.arange(groups)[:, None]
        pairs = (group * n_in + flat[place, position]).reshape(-1), (group * n_out + place).reshape(-1)
        return _Links(_by_place(source, groups), _by_place(target, groups), pairs)
    found = network.synapses(q)
    n_target = size_of(target)
    pairs_once = distinct(np.asarray(found.source, np.int64) * n_target + found.target)
    return _Links(np.arange(size_of(source)), np.arange(n_target), (pairs_once // n_target, pairs_once % n_target))


def _pins_at_least(
    network: IntegerNetwork, links: Mapping[str, _Links], routed: Sequence[IntegerProjection],
    largest: Callable[[IntegerPopulation], int],
) -> int:  # fmt: skip
    """Return the pairs of atoms that would be joined if atoms were as large as they can be."""
    total = 0
    for q in routed:
        link, parts = links[q.name], []
        for label, name in ((link.source, q.source), (link.target, q.target)):
            most = max(1, min(SIZES[0], largest(network.populations[name])))
            parts.append(-(-np.bincount(label) // most))
        total += int((parts[0][link.pairs[0]] * parts[1][link.pairs[1]]).sum())
    return total


def _by_place(shape: tuple[int, ...], groups: int) -> IntArray:
    """Return the group and place of each neuron of channels first, as one number."""
    places = size_of(shape[1:])
    group = np.arange(shape[0]) * groups // shape[0]
    return np.asarray((group[:, None] * places + np.arange(places)).reshape(-1))


def _edges(
    routed: Sequence[IntegerProjection], links: Mapping[str, _Links], atom_of: Mapping[str, IntArray], count: int
) -> IntArray:
    """Return the pairs of atoms of which the first reaches the second, first x count + second."""
    keys = [np.zeros(0, np.int64)]
    total = 0
    for q in routed:
        link = links[q.name]
        sources, targets = (
            _members(label, atom_of[name]) for label, name in ((link.source, q.source), (link.target, q.target))
        )
        a, b = link.pairs
        n_a, n_b = np.diff(sources[0])[a], np.diff(targets[0])[b]
        total += int((n_a * n_b).sum())
        if total > MOST_PINS:
            raise TooLarge
        each = n_a * n_b
        pair = np.repeat(np.arange(len(a)), each)
        within = np.arange(len(pair)) - np.repeat(running_sum(each)[:-1], each)
        from_a = sources[1][sources[0][a[pair]] + within // n_b[pair]]
        to_b = targets[1][targets[0][b[pair]] + within % n_b[pair]]
        keys.append(from_a * count + to_b)
    return distinct(np.concatenate(keys))


def _members(label: IntArray, atom: IntArray) -> tuple[IntArray, IntArray]:
    """Return the atoms of each class: where its list begins, (classes + 1,), and the lists."""
    pair = distinct(label * (int(atom.max()) + 1) + atom)
    width = int(atom.max()) + 1
    return running_sum(np.bincount(pair // width, minlength=int(label.max()) + 1)), pair % width
