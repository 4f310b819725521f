"""The mapped network: every neuron, synapse and axon on a core; every message has a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork

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
    """Where the neurons of one population are: index into `MappedNetwork.cores` and slot on that core, both (n,)."""

    core: IntArray
    slot: IntArray


@dataclass(frozen=True, slots=True)
class Route:
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

        network = self.lowered.network
        places = {(c.chip, c.core) for c in self.cores}
        claim(len(places) == len(self.cores), "no core is used twice")
        claim(
            all(0 <= c.core < spec.limit("cores_per_chip") and 0 <= c.chip < spec.limit("chips") for c in self.cores),
            "cores exist",
        )
        claim(all(c.tile == spec.mesh.tile(c.core) for c in self.cores), "a core's tile follows from its number")
        taken: list[NDArray[Any]] = []
        for name, population in network.populations.items():
            if population.is_input:
                claim(name not in self.placements, f"input '{name}' is on the host")
                continue
            placement = self.placements[name]
            claim(placement.core.shape == placement.slot.shape == (population.size,), f"each neuron of '{name}' is placed once")
            taken.append(np.stack([placement.core, placement.slot], axis=1))
        slots = np.concatenate(taken) if taken else np.zeros((0, 2), np.int64)
        claim(len(np.unique(slots, axis=0)) == len(slots), "no compartment is used twice")
        for index in range(len(self.cores)):
            used = np.sort(slots[slots[:, 0] == index][:, 1])
            claim(np.array_equal(used, np.arange(len(used))), f"the compartments of core {index} are numbered from 0")
            claim(len(used) <= spec.limit("neurons"), f"core {index} has at most {spec.limit('neurons')} neurons")
        self._verify_axons(claim)
        for core in self.cores:
            claim(len(core.axon_neuron) <= spec.limit("input_axons"), f"core {core.core} keeps its input axons")
            claim(core.synapse_words <= spec.limit("synapse_words"), f"core {core.core} keeps its synapse memory")
        for route in self.routes:
            a, b = self.cores[route.source], self.cores[route.target]
            hops = (abs(a.tile[0] - b.tile[0]), abs(a.tile[1] - b.tile[1]))
            claim((route.hops_x, route.hops_y) == hops and route.chips == abs(a.chip - b.chip), "hops follow from the tiles")
        return self

    def _verify_axons(self, claim: Any) -> None:
        """Every synapse finds its source among the input axons of its target's core, and its message a route."""
        network = self.lowered.network
        names = {name: index for index, name in enumerate(self.population_names)}
        largest = max((p.size for p in network.populations.values()), default=1)
        needed: dict[int, list[IntArray]] = {index: [] for index in range(len(self.cores))}
        pairs: set[tuple[int, int]] = set()
        for q in network.projections:
            cores = self.placements[q.target].core
            for index in np.unique(cores):
                sources = network.sources(q, np.flatnonzero(cores == index))
                needed[int(index)].append(names[q.source] * largest + sources)
                if not network.populations[q.source].is_input:
                    pairs |= {(int(c), int(index)) for c in np.unique(self.placements[q.source].core[sources])}
        for index, core in enumerate(self.cores):
            keys = core.axon_population * largest + core.axon_neuron
            wanted = np.unique(np.concatenate(needed[index])) if needed[index] else np.zeros(0, np.int64)
            claim(len(np.unique(keys)) == len(keys), f"core {index} has one input axon per source")
            claim(np.array_equal(np.sort(keys), wanted), f"core {index} has exactly the input axons of its synapses")
        claim(
            {(r.source, r.target) for r in self.routes} == pairs and len(pairs) == len(self.routes), "every message has a route"
        )
