"""What a simulation counts for the energy model, and what it counted. Needs no compiled kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.patterns import Pattern

IntArray = NDArray[np.int64]
NodeKey = tuple[str, Any]

DYNAMIC = (
    "synaptic_events",
    "sops",
    "updates_active",
    "spikes",
    "packets",
    "host_packets",
    "packets_received",
    "words_read",
)
"""The events per core that depend on what the neurons do."""


def node_key(population: str, pool: Pattern | None) -> NodeKey:
    """Return what tells apart where spikes come from: a population, or a maximum over windows of one."""
    return population, None if pool is None else (pool.kind, *sorted(pool.options.items()))


@dataclass(frozen=True, slots=True, eq=False)
class Axons:
    """Sources of one node that a core listens to, and what a spike of each does there; all (axons,)."""

    node: NodeKey
    neurons: IntArray
    synaptic_events: IntArray
    """Stored synapses visited."""
    sops: IntArray
    """Those of them whose weight is not zero."""
    words: IntArray
    """64-bit words of synapse memory that are read."""
    is_message: bool = True
    """Whether a spike is a message to the core; banks of axons of crossbars are where messages have arrived already."""
    from_host: bool = False
    """Whether that message comes from the host."""


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """What one spike of each neuron of a population causes between cores; each (n,)."""

    cores: IntArray
    """Messages, one per core that listens."""
    hops_x: IntArray
    hops_y: IntArray
    chips: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Something that spikes of a node add up to in a sample, wherever it happens."""

    node: NodeKey
    amounts: IntArray
    """What a spike of each neuron adds, (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """Where neurons are and where their spikes go."""

    axons: tuple[tuple[Axons, ...], ...]
    """Per core."""
    homes: Mapping[str, IntArray]
    """Population with neurons -> the core of each, (n,)."""
    ways: Mapping[str, Ways]
    """Population with neurons -> where their spikes go."""
    leaves: Mapping[str, IntArray] = field(default_factory=dict)
    """Population with neurons -> 1 for those whose spikes leave the chip, (n,); those that are not named send none there."""
    sums: tuple[Sum, ...] = ()

    @property
    def cores(self) -> int:
        """Number of cores."""
        return len(self.axons)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What was counted."""

    per_core: Mapping[str, IntArray]
    """Event of `DYNAMIC` -> (cores, samples, chip ticks)."""
    ways: IntArray
    """Tile boundaries crossed in x, in y, and chip boundaries crossed, (3, samples)."""
    sums: IntArray
    """What each of `Wiring.sums` came to, (sums, samples)."""
    spikes: Mapping[NodeKey, IntArray]
    """Node -> spikes of each of its neurons in all samples, (n,)."""
    spikes_of_samples: Mapping[NodeKey, IntArray]
    """Node -> spikes of all its neurons in each sample, (samples,)."""
    active: Mapping[str, int]
    """Population with neurons -> updates after which u or v is not zero, or in which the neuron spiked."""

    @classmethod
    def merged(cls, parts: Sequence[Tally]) -> Tally:
        """Return what was counted of samples that ran part by part, in their order."""
        first = parts[0]
        return cls(
            {name: np.concatenate([part.per_core[name] for part in parts], axis=1) for name in first.per_core},
            np.concatenate([part.ways for part in parts], axis=1),
            np.concatenate([part.sums for part in parts], axis=1),
            {key: np.sum([part.spikes[key] for part in parts], axis=0) for key in first.spikes},
            {key: np.concatenate([part.spikes_of_samples[key] for part in parts]) for key in first.spikes_of_samples},
            {name: sum(part.active[name] for part in parts) for name in first.active},
        )
