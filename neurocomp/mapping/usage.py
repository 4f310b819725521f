"""What each core of a mapping uses of its limits, and which populations are on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import frozen
from neurocomp.mapping.traffic import HOST, messages_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Residents:
    """Where one population is: the cores that hold some of it, ascending, and the compartments on each; both (cores of it,)."""

    core: IntArray
    compartments: IntArray
    neurons: int
    """In all."""


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """What cores use. ``used``: resource -> (cores,), for the resources that a core of the target counts."""

    used: Mapping[str, IntArray]
    limits: Mapping[str, int]
    """Resource -> what a core has."""
    residents: Mapping[str, Residents]
    """Population with neurons, in the order of the network -> where it is."""
    shared: NDArray[np.bool_]
    """(cores,): whether several populations are on a core."""

    @property
    def load(self) -> FloatArray:
        """The share of its limit that each core uses of what it is fullest of, 0..1, (cores,)."""
        shares = [used / self.limits[name] for name, used in self.used.items()]
        return np.asarray(np.max(shares, axis=0))

    def fullest(self) -> list[str]:
        """Return the resource that each core is fullest of."""
        shares = np.array([used / self.limits[name] for name, used in self.used.items()])
        names = list(self.used)
        return [names[index] for index in shares.argmax(axis=0).tolist()]

    def of(self, population: str) -> dict[str, dict[str, int]]:
        """Return resource -> used, available, worst_core and per_core of the cores that hold a population.

        ``neurons`` are its own compartments; of all else a core that others share counts in full.
        """
        here, result = self.residents[population], {}
        for name, limit in self.limits.items():
            used = here.compartments if name == "neurons" else self.used[name][here.core]
            worst = int(self.used[name][here.core].max(initial=0))
            result[name] = {
                "used": int(used.sum()),
                "available": limit * len(here.core),
                "worst_core": worst,
                "per_core": limit,
            }
        return result


def usage_of(mapped: MappedNetwork, spec: HardwareSpec) -> Usage:
    """Return what each core uses: compartments, words of synapses, input axons, and output axons where cores list them."""
    network, cores = mapped.lowered.network, len(mapped.cores)
    residents: dict[str, Residents] = {}
    neurons, populations = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    for name, place in mapped.placements.items():
        core, count = np.unique(place.core, return_counts=True)
        compartments = count * network.populations[name].compartments
        residents[name] = Residents(frozen(core), frozen(compartments), len(place.core))
        neurons[core] += compartments
        populations[core] += 1
    used = {"neurons": neurons}
    if not spec.has_crossbars:
        used["synapse_words"] = np.array([core.synapse_words for core in mapped.cores], np.int64)
    if spec.stores_rows or spec.has_crossbars:
        used["input_axons"] = np.array([len(core.axon_neuron) for core in mapped.cores], np.int64)
    if spec.stores_rows:
        source = messages_of(mapped).source
        used["output_axons"] = np.bincount(source[source != HOST], minlength=cores)
    limits = {name: spec.limit(name) for name in used}
    return Usage({name: frozen(values) for name, values in used.items()}, limits, residents, frozen(populations > 1))
