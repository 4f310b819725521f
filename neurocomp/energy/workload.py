"""What the user's network does in its own ticks: the counts that conventions and NeuroBench multiply.

`neurocomp.energy.counts` says what happened on the chip, in all its ticks; here no chip is left. What counts is the quantized
network: its populations, its projections, the ticks of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.energy.counts import fired_sources
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection
from neurocomp.mapping.synapse_words import nonzero_fan_out

Array = NDArray[Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerWork:
    """What one projection did in each sample; arrays are (samples,)."""

    events: IntArray
    """Values other than 0 that its pattern starts from: spikes of the source, or what a maximum makes of them."""
    sops: IntArray
    """An event at a connection whose integer weight is not 0, where it arrives within the ticks of the sample."""
    macs: IntArray
    """Those sops that happened in ticks in which any value of the sample was beyond -1, 0 and 1: weights are multiplied."""
    smallest: int
    """Of all values, and 0."""
    largest: int
    connections: int
    """Synapses whose integer weight is not 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What all samples made a network do."""

    samples: int
    ticks: int
    """Of a sample, without lags."""
    spikes: Mapping[str, IntArray]
    """Population -> spikes, (samples,)."""
    layers: Mapping[str, LayerWork]
    """The user's projection -> its work; that of exponent groups is in it, for connections that it has not itself."""

    @classmethod
    def merged(cls, parts: Sequence[Work]) -> Work:
        """Return the work of samples that ran part by part, in their order."""
        first = parts[0]
        layers = {}
        for name in first.layers:
            own = [part.layers[name] for part in parts]
            layers[name] = LayerWork(
                np.concatenate([w.events for w in own]), np.concatenate([w.sops for w in own]),
                np.concatenate([w.macs for w in own]), min(w.smallest for w in own), max(w.largest for w in own),
                own[0].connections,
            )  # fmt: skip
        spikes = {name: np.concatenate([part.spikes[name] for part in parts]) for name in first.spikes}
        return cls(sum(part.samples for part in parts), first.ticks, spikes, layers)


class Worked:
    """Counts the work of a quantized network from the spikes of its populations."""

    def __init__(self, network: IntegerNetwork) -> None:
        """Find the connections of each neuron, once for all samples."""
        self.network = network
        self.populations = [name for name, p in network.populations.items() if p.dynamics != "current"]
        self.fan_out = {q.name: _by_delay(network, _own(network, q)) for q in network.projections}

    def of(self, spikes: Mapping[str, Array]) -> Work:
        """Return the work of some samples.

        Args:
            spikes: Population -> values (samples, ticks, n) in the user's time, of all `populations`.
        """
        samples, ticks, _ = spikes[self.populations[0]].shape
        counts = {name: np.count_nonzero(spikes[name], axis=(1, 2)) for name in self.populations}
        layers: dict[str, LayerWork] = {}
        for q in self.network.projections:
            own = self._layer(q, spikes[q.source])
            whole = layers.get(q.group_of or q.name)
            if whole is not None:
                own = replace(
                    whole, sops=whole.sops + own.sops, macs=whole.macs + own.macs,
                    connections=whole.connections + own.connections,
                )  # fmt: skip
            layers[q.group_of or q.name] = own
        return Work(samples, ticks, counts, layers)

    def _layer(self, q: IntegerProjection, values: Array) -> LayerWork:
        if q.pool is not None:
            values = fired_sources(self.network, q, {q.source: values != 0}).astype(np.int8)
        smallest, largest = int(values.min(initial=0)), int(values.max(initial=0))
        samples, ticks, _ = values.shape
        sops, macs = np.zeros((2, samples), np.int64)
        for delay, fan_out in self.fan_out[q.name]:
            arriving = values[:, : max(0, ticks - delay)]
            sops += np.count_nonzero(arriving, axis=1) @ fan_out
            if smallest < -1 or largest > 1:
                for sample, own in enumerate(arriving):
                    graded = ((own < -1) | (own > 1)).any(axis=1)
                    macs[sample] += np.count_nonzero(own[graded], axis=0) @ fan_out
        connections = sum(int(fan_out.sum()) for _, fan_out in self.fan_out[q.name])
        return LayerWork(np.count_nonzero(values, axis=(1, 2)), sops, macs, smallest, largest, connections)


def _own(network: IntegerNetwork, q: IntegerProjection) -> IntegerProjection:
    """Return an exponent group without the synapses that its projection has too: their sum is the weight of one connection."""
    if q.group_of is None:
        return q
    base = next(other for other in network.projections if other.name == q.group_of)
    group = network.synapses(q)
    shared = network.synapses(base, np.unique(group.target))
    has_weight = base.mantissa.ravel()[shared.slot] != 0
    n_source = network.populations[q.source].size
    of_base = shared.target[has_weight] * n_source + shared.source[has_weight]
    mantissa = q.mantissa.copy()
    mantissa.ravel()[group.slot[np.isin(group.target * n_source + group.source, of_base)]] = 0
    return replace(q, mantissa=mantissa)


def _by_delay(network: IntegerNetwork, q: IntegerProjection) -> list[tuple[int, IntArray]]:
    """Return each delay of a projection and how many connections of it each source has."""
    if q.delay.size == 1:
        return [(int(q.delay.ravel()[0]), nonzero_fan_out(network, q))]
    delays = [int(delay) for delay in np.unique(q.delay)]
    return [(d, nonzero_fan_out(network, replace(q, mantissa=np.where(q.delay == d, q.mantissa, 0)))) for d in delays]
