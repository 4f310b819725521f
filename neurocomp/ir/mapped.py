"""The mapped network: every neuron, synapse and axon on a core; every message has a route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """One used core: where it is, and which sources reach it.

    ``axon_population`` and ``axon_neuron`` list the distinct presynaptic neurons, one input axon each; the population is an
    index into `MappedNetwork.population_names`.
    """

    chip: int
    core: int
    tile: tuple[int, int]
    axon_population: IntArray
    axon_neuron: IntArray
    synapse_words: int
    """Words of synapse memory that the spec's cost formula gives; emission must produce exactly these."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where the neurons of one population are: index into `MappedNetwork.cores` and slot on that core, both (n,).

    A neuron of ``compartments == 2`` also takes the next slot, for its reset compartment.
    """

    core: IntArray
    slot: IntArray


class Route(NamedTuple):
    """The way of a message between two cores (indices into `MappedNetwork.cores`), x before y."""

    source: int
    target: int
    hops_x: int
    hops_y: int
    chips: int
    """Chip boundaries crossed."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedNetwork:
    """A lowered network with its placement. Input populations are on the host and have no placement."""

    lowered: LoweredNetwork
    cores: tuple[Core, ...]
    placements: Mapping[str, Placement]
    routes: tuple[Route, ...]
    """One per ordered pair of cores between which messages can pass, also from a core to itself."""
    axons: Mapping[str, Placement] = field(default_factory=dict)
    """Of crossbar cores: bank of axons -> where each one is; banks of lines that leave the chip are in no core."""

    @property
    def population_names(self) -> tuple[str, ...]:
        """The order behind `Core.axon_population`."""
        return tuple(self.lowered.network.populations)

    @property
    def chips(self) -> int:
        """Number of chips used."""
        return len({core.chip for core in self.cores})

    def verify(self, spec: HardwareSpec) -> MappedNetwork:
        """Re-derive placement, axons and routes from the network and the spec's limits."""

        def claim(truth: bool, what: str) -> None:
            if not truth:
                raise broken_invariant("map", what)

        places = {(c.chip, c.core) for c in self.cores}
        claim(len(places) == len(self.cores), "no core is used twice")
        claim(
            all(0 <= c.core < spec.limit("cores_per_chip") and 0 <= c.chip < spec.limit("chips") for c in self.cores),
            "cores exist",
        )
        claim(all(c.tile == spec.mesh.tile(c.core) for c in self.cores), "a core's tile follows from its number")
        if self.lowered.network.crossbars:
            self._verify_crossbars(claim, spec)
            return self
        claim(not self.axons, "only crossbars have axons of their own")
        self._verify_placement(claim, spec)
        self._verify_axons(claim)
        for core in self.cores:
            claim(len(core.axon_neuron) <= spec.limit("input_axons"), f"core {core.core} keeps its input axons")
            claim(core.synapse_words <= spec.limit("synapse_words"), f"core {core.core} keeps its synapse memory")
        for route in self.routes:
            a, b = self.cores[route.source], self.cores[route.target]
            hops = (abs(a.tile[0] - b.tile[0]), abs(a.tile[1] - b.tile[1]))
            claim((route.hops_x, route.hops_y) == hops and route.chips == abs(a.chip - b.chip), "hops follow from the tiles")
        return self

    def _verify_placement(self, claim: Any, spec: HardwareSpec) -> None:
        """Every neuron has its compartments, each compartment and profile of a core is within its limits."""
        network = self.lowered.network
        none = np.zeros(0, np.int64)
        cores, slots, decays, thresholds = [none], [none], [none], [none]
        for name, p in network.populations.items():
            if p.is_input:
                claim(name not in self.placements, f"input '{name}' is on the host")
                continue
            place = self.placements[name]
            claim(place.core.shape == place.slot.shape == (p.size,), f"each neuron of '{name}' is placed once")
            claim(bool(((place.core >= 0) & (place.core < len(self.cores))).all()), f"the cores of '{name}' exist")
            own = decay_profiles(p)
            for behind in range(p.compartments):
                cores.append(place.core)
                slots.append(place.slot + behind)
                decays.append(own if behind == 0 else np.full(p.size, RESET_DECAY_PROFILE, np.int64))
                thresholds.append(np.broadcast_to(p.profile[2], (p.size,)))
        core, slot = np.concatenate(cores), np.concatenate(slots)
        order = np.lexsort((slot, core))
        core, slot = core[order], slot[order]
        claim(not ((core[1:] == core[:-1]) & (slot[1:] == slot[:-1])).any(), "no compartment is used twice")
        used = np.bincount(core, minlength=len(self.cores))
        gap = core[slot != np.arange(len(slot)) - np.repeat(np.cumsum(used) - used, used)]
        claim(not len(gap), f"the compartments of core {int(gap[0]) if len(gap) else 0} are numbered from 0")
        for what, limit, n in (
            ("neurons", "neurons", used),
            ("decay profiles", "decay_profiles", self._distinct(core, np.concatenate(decays)[order])),
            ("threshold profiles", "threshold_profiles", self._distinct(core, np.concatenate(thresholds)[order])),
        ):
            worst = int(n.argmax()) if len(n) else 0
            claim(not len(n) or int(n[worst]) <= spec.limit(limit), f"core {worst} has at most {spec.limit(limit)} {what}")

    def _verify_crossbars(self, claim: Any, spec: HardwareSpec) -> None:
        """Every axon and neuron is placed once, every block on one core; the routes are those of the packets."""
        network = self.lowered.network
        names = {c.neurons for c in network.crossbars}, {c.axons for c in network.crossbars}
        claim((set(self.placements), set(self.axons)) == names, "the banks and neurons of all crossbars are placed, no others")
        for places, limit, what in ((self.placements, "neurons", "neuron"), (self.axons, "input_axons", "axon")):
            for name, place in places.items():
                size = network.populations[name].size
                claim(place.core.shape == place.slot.shape == (size,), f"each {what} of '{name}' is placed once")
                inside = (place.core >= 0) & (place.core < len(self.cores)) & (place.slot >= 0)
                claim(bool((inside & (place.slot < spec.limit(limit))).all()), f"the places of '{name}' exist")
            slots = np.concatenate([place.core * spec.limit(limit) + place.slot for place in places.values()])
            claim(len(np.unique(slots)) == len(slots), f"no place holds two {what}s")
        for c in network.crossbars:
            both = np.concatenate([self.axons[c.axons].core, self.placements[c.neurons].core])
            numbers = np.arange(c.blocks)
            block = np.concatenate([np.repeat(numbers, np.diff(start)) for start in (c.axon_start, c.neuron_start)])
            home = np.zeros(c.blocks, np.int64)
            home[block] = both
            claim(np.array_equal(home[block], both), f"every block of '{c.name}' is on one core")
        number = {name: index for index, name in enumerate(self.population_names)}
        listed = [np.zeros((0, 4), np.int64)]
        for name, place in self.axons.items():
            columns = [place.core, place.slot, np.full(len(place.core), number[name]), np.arange(len(place.core))]
            listed.append(np.stack(columns, axis=1))
        table = np.concatenate(listed)
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        ends = np.searchsorted(table[:, 0], np.arange(len(self.cores) + 1))
        for index, core in enumerate(self.cores):
            own = table[ends[index] : ends[index + 1]]
            same = np.array_equal(core.axon_population, own[:, 2]) and np.array_equal(core.axon_neuron, own[:, 3])
            claim(same, f"core {core.core} lists its axons in their order")
            claim(core.synapse_words == 0, "crossbars have no words of synapses")
        needed = [np.zeros((0, 2), np.int64)]
        for q, source, target in crossbar_messages(network):
            needed.append(np.stack([self.placements[q.source].core[source], self.axons[q.target].core[target]], axis=1))
        pairs = set(map(tuple, np.unique(np.concatenate(needed), axis=0).tolist()))
        routes = {(r.source, r.target) for r in self.routes}
        claim(routes == pairs and len(pairs) == len(self.routes), "every packet has a route")
        for r in self.routes:
            (x, y), (to_x, to_y) = (mesh_place(self.cores[index], spec) for index in (r.source, r.target))
            chips = abs(self.cores[r.source].chip - self.cores[r.target].chip)
            hops = (abs(to_x - x), abs(to_y - y), chips)
            claim((r.hops_x, r.hops_y, r.chips) == hops, "hops follow from the tiles")

    def _distinct(self, core: IntArray, values: IntArray) -> IntArray:
        """Return how many different values each core has, (cores,)."""
        distinct, number = np.unique(values, return_inverse=True)
        return np.bincount(np.unique(core * max(len(distinct), 1) + number) // max(len(distinct), 1), minlength=len(self.cores))

    def _verify_axons(self, claim: Any) -> None:
        """Every synapse finds its source among the input axons of its target's core, and its message a route.

        What is stored is compared with what is needed projection by projection and core by core, so that a network that needs
        far more than is stored ends at the first core.
        """
        network = self.lowered.network
        for q in network.projections:
            routed = network.populations[q.source].dynamics != "current"
            claim(routed, f"the current '{q.source}' has no synapses")
        names = self.population_names
        axons = [self._axons(claim, index, names) for index in range(len(self.cores))]
        used = [{name: np.zeros(len(neurons), np.bool_) for name, neurons in own.items()} for own in axons]
        residents = {name: by_core(place.core) for name, place in self.placements.items()}
        routes = {(r.source, r.target) for r in self.routes}
        pairs: set[tuple[int, int]] = set()
        for q in network.projections:
            for index, sources in self._sources_by_core(q, residents[q.target]):
                if not len(sources):
                    continue
                own = axons[index].get(q.source, sources[:0])
                at = np.searchsorted(own, sources)
                complete = len(sources) <= len(own) and at[-1] < len(own) and np.array_equal(own[at], sources)
                claim(complete, f"core {index} has exactly the input axons of its synapses")
                used[index][q.source][at] = True
                if not network.populations[q.source].is_input:
                    pairs |= {(int(c), index) for c in np.unique(self.placements[q.source].core[sources])}
                    claim(len(pairs) <= len(routes), "every message has a route")
        for index, needed in enumerate(used):
            claim(all(of.all() for of in needed.values()), f"core {index} has exactly the input axons of its synapses")
        claim(routes == pairs and len(pairs) == len(self.routes), "every message has a route")

    def _axons(self, claim: Any, index: int, names: tuple[str, ...]) -> dict[str, IntArray]:
        """Return the neurons of each population that have an input axon on a core, ascending."""
        population, neuron = self.cores[index].axon_population, self.cores[index].axon_neuron
        lists = population.shape == neuron.shape and population.ndim == 1
        claim(lists, f"the input axons of core {index} are two lists of one length")
        known = not len(population) or 0 <= int(population.min()) <= int(population.max()) < len(names)
        claim(known, f"the populations of the input axons of core {index} exist")
        order = np.lexsort((neuron, population))
        population, neuron = population[order], neuron[order]
        twice = (population[1:] == population[:-1]) & (neuron[1:] == neuron[:-1])
        claim(not twice.any(), f"core {index} has one input axon per source")
        found, first = np.unique(population, return_index=True)
        parts = np.split(neuron, first[1:]) if len(found) else []
        return {names[int(number)]: part for number, part in zip(found, parts, strict=True)}

    def _sources_by_core(self, q: IntegerProjection, residents: list[tuple[int, IntArray]]) -> Iterator[tuple[int, IntArray]]:
        """Yield each core that holds targets of a projection, with the distinct sources that reach it, ascending."""
        network = self.lowered.network
        if q.pattern.kind != "sparse":
            yield from ((index, network.sources(q, neurons)) for index, neurons in residents)
            return
        # The list of synapses is sorted by core once, not searched for every core.
        sources, targets = q.pattern.arrays["sources"], q.pattern.arrays["targets"]
        for index, synapses in by_core(self.placements[q.target].core[targets]):
            yield index, network.behind_pool(q, np.unique(sources[synapses]))


def mesh_place(core: Core, spec: HardwareSpec) -> tuple[int, int]:
    """Return (x, y) of a crossbar core on the mesh of all chips, which lie side by side in the direction of x."""
    return core.chip * spec.mesh.tiles_x + core.tile[0], core.tile[1]


def crossbar_messages(network: IntegerNetwork) -> Iterator[tuple[IntegerProjection, IntArray, IntArray]]:
    """Yield the projections by which neurons of crossbars send packets to cores, with the sources and targets of the packets.

    Packets that schedulers drop (weight 0) are left out.
    """
    banks = {c.axons for c in network.crossbars}
    for q in network.projections:
        if q.target in banks and not network.populations[q.source].is_input:
            sent = q.mantissa != 0
            yield q, q.pattern.arrays["sources"][sent], q.pattern.arrays["targets"][sent]


def decay_profiles(population: IntegerPopulation) -> IntArray:
    """Return what the decay profile of each neuron holds, (n,): refractory ticks, du and dv as one number."""
    du, dv, _ = population.profile
    return np.broadcast_to((population.refractory << 32) + (du << 16) + dv, (population.size,))


RESET_DECAY_PROFILE = (4095 << 16) + 4095
"""The decay profile of reset compartments: du = dv = 4095, never refractory."""


def by_core(core: IntArray) -> list[tuple[int, IntArray]]:
    """Return the neurons of each core that holds some, ascending."""
    order = np.argsort(core, kind="stable")
    cores, first = np.unique(core[order], return_index=True)
    return list(zip(cores.tolist(), np.split(order, first[1:]), strict=True)) if len(cores) else []
