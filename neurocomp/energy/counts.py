"""Counts: facts of a simulation, from spikes and the mapping alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.mapping.synapse_words import members_of, rows_of_core
from neurocomp.models.patterns import PATTERNS, size_of

IntArray = NDArray[np.int64]

PER_CORE = (
    "synaptic_events",
    "sops",
    "updates",
    "updates_active",
    "spikes",
    "packets",
    "host_packets",
)
"""Events counted per core, sample and chip tick. All belong to the tick in which the spike is sent or the neuron updated."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened on the chip while the declared samples ran, all chip ticks included.

    ``sops``: a spike at a synapse whose integer weight is not zero. ``synaptic_events``: a spike at a stored synapse, zero
    weights of dense rows included. ``sops_dense``: every synapse of the projections in every tick of the user.
    ``updates_active``: u or v is not zero after the update, or the neuron spiked. ``packets``: messages from core to core, one
    per spike and target core; ``host_packets``: the same from the host's encoders. ``hops_x``, ``hops_y``: tile boundaries that
    packets between cores cross.
    """

    samples: int
    ticks: int
    """Chip ticks per sample."""
    per_core: Mapping[str, IntArray]
    """Event of `PER_CORE` -> (cores, samples, chip ticks)."""
    per_population: Mapping[str, Mapping[str, int]]
    """Population -> neurons, spikes, updates, updates_active."""
    per_projection: Mapping[str, Mapping[str, int]]
    """Projection -> synapses, sops, sops_dense, source_spikes."""
    hops_x: IntArray
    """(samples,)"""
    hops_y: IntArray
    chip_crossings: IntArray
    chips: int

    def per_sample(self) -> dict[str, NDArray[np.float64]]:
        """Return event -> (samples,)."""
        result = {name: values.sum(axis=(0, 2)).astype(np.float64) for name, values in self.per_core.items()}
        for name in ("hops_x", "hops_y", "chip_crossings"):
            result[name] = getattr(self, name).astype(np.float64)
        return result

    def totals(self) -> dict[str, int | float]:
        """Return the sums over all samples, as ``report --json`` prints them."""
        totals: dict[str, int | float] = {name: int(values.sum()) for name, values in self.per_core.items()}
        totals["updates_inactive"] = int(totals["updates"] - totals["updates_active"])
        totals["input_spikes"] = sum(counts["spikes"] for counts in self.per_population.values() if counts["is_input"])
        totals["sops_dense"] = sum(counts["sops_dense"] for counts in self.per_projection.values())
        totals["hops_x"], totals["hops_y"] = int(self.hops_x.sum()), int(self.hops_y.sum())
        totals["hops"] = totals["hops_x"] + totals["hops_y"]
        totals["chip_crossings"] = int(self.chip_crossings.sum())
        spikes = totals["spikes"] + totals["input_spikes"]
        totals["sops_per_spike"] = totals["sops"] / spikes if spikes else 0.0
        return totals


def count(trace: Trace, mapped: MappedNetwork, spec: HardwareSpec) -> Counts:
    """Count events.

    Args:
        trace: Of the lowered network, all chip ticks, with spikes of all populations, u and v.
        mapped: Where each neuron and axon is.
        spec: Whose synapse memory decides which synapses are stored.
    """
    network = mapped.lowered.network
    names = mapped.population_names
    samples, ticks, _ = trace.spikes[names[0]].shape
    fired = {name: trace.spikes[name] != 0 for name in names}
    shape = (len(mapped.cores), samples, ticks)
    per_core: dict[str, IntArray] = {name: np.zeros(shape, np.int64) for name in PER_CORE}
    hops_x, hops_y, crossings = (np.zeros(samples, np.int64) for _ in range(3))
    active = {
        name: fired[name] | (trace.u[name] != 0) | (trace.v[name] != 0)
        for name, p in network.populations.items()
        if not p.is_input
    }
    for name, placement in mapped.placements.items():
        for index in np.unique(placement.core):
            here = placement.core == index
            per_core["updates"][index] += int(here.sum())
            per_core["updates_active"][index] += active[name][:, :, here].sum(axis=2)
            per_core["spikes"][index] += fired[name][:, :, here].sum(axis=2)
    routes = {(r.source, r.target): r for r in mapped.routes}
    for index, core in enumerate(mapped.cores):
        rows = rows_of_core(network, members_of(mapped, index), spec) if spec.stores_rows else None
        if rows is None:
            _count_weights(per_core, mapped, index, fired)
        for population in np.unique(core.axon_population):
            name = names[population]
            here = core.axon_population == population
            neurons = core.axon_neuron[here]
            spikes = fired[name][:, :, neurons].astype(np.float64)
            if rows is not None:
                # Sums of integers far below 2**53: exact in float64.
                per_core["synaptic_events"][index] += np.rint(spikes @ rows.axon_synapses[here]).astype(np.int64)
                per_core["sops"][index] += np.rint(spikes @ rows.axon_sops[here]).astype(np.int64)
            if network.populations[name].is_input:
                per_core["host_packets"][index] += spikes.sum(axis=2).astype(np.int64)
                continue
            sender = mapped.placements[name].core[neurons]
            for source in np.unique(sender):
                sent = spikes[:, :, sender == source].sum(axis=2).astype(np.int64)
                route = routes[(int(source), index)]
                per_core["packets"][source] += sent
                hops_x += route.hops_x * sent.sum(axis=1)
                hops_y += route.hops_y * sent.sum(axis=1)
                crossings += route.chips * sent.sum(axis=1)
    return Counts(
        samples, ticks, per_core, _per_population(mapped, fired, active, ticks), _per_projection(trace, mapped, fired),
        hops_x, hops_y, crossings, mapped.chips,
    )  # fmt: skip


def _sent(network: IntegerNetwork, q: IntegerProjection, fired: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return whether each source of a projection's pattern sends, (samples, ticks, n): the neurons, or what a maximum makes."""
    spikes = fired[q.source]
    if q.pool is None:
        return spikes
    source, pooled = network.populations[q.source].shape, network.shapes(q)[0]
    flat = spikes.reshape(-1, spikes.shape[2]).astype(np.float32)
    found = PATTERNS[q.pool.kind].forward(q.pool, np.float32(1.0), flat, source, pooled)
    return np.asarray(found.reshape(*spikes.shape[:2], -1) != 0)


def _fan_out(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """Return how many synapses, and how many of weight other than 0, each source of the pattern has (onto some neurons)."""
    synapses = network.synapses(q, neurons)
    n_source = size_of(network.shapes(q)[0])
    every = np.bincount(synapses.source, minlength=n_source)
    return every, np.bincount(synapses.source, q.mantissa.ravel()[synapses.slot] != 0, n_source).astype(np.int64)


def _count_weights(
    per_core: Mapping[str, IntArray], mapped: MappedNetwork, core: int, fired: Mapping[str, NDArray[Any]]
) -> None:
    """Count spikes at the synapses of a core that stores no rows: every synapse of a pattern is one that is stored."""
    network = mapped.lowered.network
    for q in network.projections:
        sent = _sent(network, q, fired).astype(np.float64)
        counted = _fan_out(network, q, np.flatnonzero(mapped.placements[q.target].core == core))
        for event, fan_out in zip(("synaptic_events", "sops"), counted, strict=True):
            per_core[event][core] += np.rint(sent @ fan_out).astype(np.int64)


def _per_population(
    mapped: MappedNetwork, fired: Mapping[str, NDArray[Any]], active: Mapping[str, NDArray[Any]], ticks: int
) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for name, p in mapped.lowered.network.populations.items():
        samples = fired[name].shape[0]
        updates = 0 if p.is_input else samples * ticks * p.size
        result[name] = {
            "neurons": p.size,
            "is_input": int(p.is_input),
            "spikes": int(fired[name].sum()),
            "updates": updates,
            "updates_active": 0 if p.is_input else int(active[name].sum()),
        }
    return result


def _per_projection(trace: Trace, mapped: MappedNetwork, fired: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, int]]:
    network = mapped.lowered.network
    result: dict[str, dict[str, int]] = {}
    for q in network.projections:
        every, nonzero = _fan_out(network, q)
        synapses = int(every.sum())
        result[q.name] = {
            "synapses": synapses,
            "sops": int(_sent(network, q, fired).sum(axis=(0, 1)).astype(np.int64) @ nonzero),
            "sops_dense": synapses * trace.ticks * fired[q.source].shape[0],
            "source_spikes": int(fired[q.source].sum()),
        }
    return result
