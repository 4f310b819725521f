"""Mappings that no mapper would make: neurons and blocks on cores at random, within every limit.

What holds for every mapping, such as a lower bound or the count of packets, can be tried on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route, by_core, crossbar_messages, mesh_place
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import COMPARTMENT, TRUENORTH, Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern

IntArray = NDArray[np.int64]


def scattered_neurons(seed: int, spec: HardwareSpec, sizes: Sequence[int], synapses: int, numbers: IntArray) -> MappedNetwork:
    """Return a mapping of random lists of synapses between populations, of which the first is an input.

    Args:
        seed: The same gives the same.
        spec: A chip whose cores store rows of synapses.
        sizes: Neurons of each population.
        synapses: In all; some have the weight 0.
        numbers: The cores, counted over all chips; together they have room for all neurons.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{index}" for index in range(len(sizes))]
    populations = {
        name: IntegerPopulation(name, (size,), "compartment", dict.fromkeys(COMPARTMENT, frozen(0, np.int64)))
        for name, size in zip(names, sizes, strict=True)
    } | {names[0]: IntegerPopulation(names[0], (sizes[0],), "input", {})}
    ends = [(source, target) for source in range(len(sizes)) for target in range(1, len(sizes))]
    chosen = rng.integers(0, len(ends), synapses)
    projections = []
    for index, (source, target) in enumerate(ends):
        count = int(np.count_nonzero(chosen == index))
        lists = {
            "sources": frozen(rng.integers(0, sizes[source], count)),
            "targets": frozen(rng.integers(0, sizes[target], count)),
        }
        weights = frozen(rng.integers(-3, 4, count).astype(np.int8))
        ends_of = names[source], names[target]
        pattern, delay = Pattern("sparse", lists), frozen(1, np.int64)
        projections.append(IntegerProjection("->".join(ends_of), *ends_of, pattern, weights, 1, "mixed", 8, 0, delay))
    network = IntegerNetwork("scattered", 1e-3, 4, spec.number_format, populations, tuple(projections))

    core = rng.permutation(np.repeat(np.arange(len(numbers)), spec.limit("neurons")))[: sum(sizes[1:])]
    used, core = np.unique(core, return_inverse=True)
    slot = np.zeros(len(core), np.int64)
    for _, neurons in by_core(core):
        slot[neurons] = np.arange(len(neurons))
    first = np.cumsum([0, *sizes[1:]])
    placements = {
        name: Placement(frozen(core[start:stop]), frozen(slot[start:stop]))
        for name, (start, stop) in zip(names[1:], pairwise(first.tolist()), strict=True)
    }
    heard: list[set[tuple[int, int]]] = [set() for _ in used]
    for q in projections:
        homes = placements[q.target].core[q.pattern.arrays["targets"]]
        for home, neuron in zip(homes.tolist(), q.pattern.arrays["sources"].tolist(), strict=True):
            heard[home].add((names.index(q.source), neuron))
    cores = []
    for index, number in enumerate(numbers[used].tolist()):
        axons = np.array(sorted(heard[index]), np.int64).reshape(-1, 2)
        chip, on_chip = divmod(number, spec.limit("cores_per_chip"))
        cores.append(Core(chip, on_chip, spec.mesh.tile(on_chip), frozen(axons[:, 0]), frozen(axons[:, 1]), len(axons)))
    pairs = {
        (int(placements[names[population]].core[neuron]), index)
        for index, axons in enumerate(heard)
        for population, neuron in axons
        if population
    }
    routes = tuple(_route(a, b, cores, [c.tile for c in cores]) for a, b in sorted(pairs))
    return MappedNetwork(_lowered(network), tuple(cores), placements, routes).verify(spec)


def scattered_blocks(seed: int, spec: HardwareSpec, blocks: int, numbers: IntArray) -> MappedNetwork:
    """Return a mapping of two random crossbars with some inputs; a neuron sends to an axon of one, of both, or to none.

    Args:
        seed: The same gives the same.
        spec: A chip whose cores hold crossbars.
        blocks: Of all crossbars together, at least 2.
        numbers: The cores, counted over all chips; at least as many as there are blocks.
    """
    rng = np.random.default_rng(seed)
    halves = (blocks // 2, blocks - blocks // 2)
    populations = {"in": IntegerPopulation("in", (7,), "input", {})}
    crossbars = []
    for index, count in enumerate(halves):
        axon_start, neuron_start = (
            frozen(np.cumsum([0, *rng.integers(1, spec.limit(limit) + 1, count)])) for limit in ("input_axons", "neurons")
        )
        axons, neurons, n_axons, n_neurons = f"b{index}.axons", f"b{index}", int(axon_start[-1]), int(neuron_start[-1])
        populations[axons] = IntegerPopulation(axons, (n_axons,), "axons", {})
        values = dict.fromkeys(TRUENORTH, frozen(0, np.int64))
        populations[neurons] = IntegerPopulation(neurons, (n_neurons,), "truenorth", values, compare=">=")
        nothing, weights = frozen(np.zeros(n_axons, np.int64)), frozen(np.zeros((n_neurons, 4), np.int64))
        bits = frozen(np.zeros((n_axons, 32), np.uint8))
        crossbars.append(
            Crossbar(f"c{index}", axons, neurons, axon_start, neuron_start, nothing, bits, weights, weights, nothing)
        )
    projections = []
    for source in ("in", "b0", "b1"):
        n_source = populations[source].size
        bank = rng.integers(0, 3, n_source)  # 2: both
        for index in range(2):
            sources = np.flatnonzero((bank != 1 - index) & (rng.random(n_source) < 0.9))
            target = f"b{index}.axons"
            lists = {
                "sources": frozen(sources),
                "targets": frozen(rng.integers(0, populations[target].size, len(sources))),
            }
            sent = frozen((rng.random(len(sources)) < 0.8).astype(np.uint8))
            pattern, delay = Pattern("sparse", lists), frozen(1, np.int64)
            projections.append(
                IntegerProjection(f"{source}->{target}", source, target, pattern, sent, 0, "excitatory", 1, 0, delay)
            )
    network = IntegerNetwork("blocks", 1e-3, 4, spec.number_format, populations, tuple(projections), tuple(crossbars))

    order = rng.permutation(len(numbers))[:blocks]
    used, home = np.unique(numbers[order], return_inverse=True)
    placements: dict[str, Placement] = {}
    axons_at: dict[str, Placement] = {}
    first = 0
    for c in crossbars:
        for places, name, start in ((axons_at, c.axons, c.axon_start), (placements, c.neurons, c.neuron_start)):
            size = np.diff(start)
            slot = np.arange(int(start[-1])) - np.repeat(start[:-1], size)
            places[name] = Placement(frozen(np.repeat(home[first : first + c.blocks], size)), frozen(slot))
        first += c.blocks
    cores = []
    names_of = list(populations)
    for index, number in enumerate(used.tolist()):
        chip, on_chip = divmod(number, spec.limit("cores_per_chip"))
        here = [(names_of.index(name), np.flatnonzero(at.core == index)) for name, at in axons_at.items()]
        listed = np.concatenate([np.stack([np.full(len(found), bank), found], axis=1) for bank, found in here])
        cores.append(Core(chip, on_chip, spec.mesh.tile(on_chip), frozen(listed[:, 0]), frozen(listed[:, 1]), 0))
    pairs = {
        (int(a), int(b))
        for q, sources, targets in crossbar_messages(network)
        for a, b in zip(placements[q.source].core[sources], axons_at[q.target].core[targets], strict=True)
    }
    routes = tuple(_route(a, b, cores, [mesh_place(core, spec) for core in cores]) for a, b in sorted(pairs))
    return MappedNetwork(_lowered(network), tuple(cores), placements, routes, axons_at).verify(spec)


def _lowered(network: IntegerNetwork) -> LoweredNetwork:
    names = [name for name, p in network.populations.items() if p.dynamics != "axons"]
    return LoweredNetwork(network, dict.fromkeys(network.populations, 0), {name: Representative(name, 0) for name in names})


def _route(source: int, target: int, cores: Sequence[Core], places: Sequence[tuple[int, int]]) -> Route:
    (x, y), (to_x, to_y) = places[source], places[target]
    return Route(source, target, abs(to_x - x), abs(to_y - y), abs(cores[source].chip - cores[target].chip))
