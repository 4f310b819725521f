"""Counts: facts of a simulation, from spikes and the mapping alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.metering import DYNAMIC, Axons, Sum, Tally, Ways, Wiring, node_key
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork, by_core, crossbar_messages
from neurocomp.ir.quantized import Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.mapping.synapse_words import WORD, axon_counts, members_by_core, nonzero_fan_out
from neurocomp.models.patterns import BLOCK_BYTES, PATTERNS, size_of

IntArray = NDArray[np.int64]

PER_CORE = (
    "synaptic_events",
    "sops",
    "words_read",
    "updates",
    "updates_active",
    "spikes",
    "packets",
    "packets_received",
    "host_packets",
    "resets",
    "host_writes",
    "starts",
)
"""Events counted per core, sample and chip tick. All belong to the tick in which the spike is sent, the neuron updated,
cleared or started, or the current first acts. On crossbar cores ``outputs`` is one more."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened on the chip while the declared samples ran, all chip ticks included.

    ``sops``: a spike at a synapse whose integer weight is not zero. ``synaptic_events``: a spike at a stored synapse, zero
    weights of dense rows included. ``words_read``: 64-bit words of synapse memory that these take, whole rows; of a crossbar
    the bits of a row. ``sops_dense``: every synapse of the projections in every tick of the user. ``macs``: those sops whose
    spikes carry values, which multiply the weights; ``acs``: all others, which only add them.
    ``updates``: compartments updated, those that hold what a reset takes off included. ``updates_active``: u or v is not zero
    after the update, or the neuron spiked. ``packets``: messages from core to core, one per spike (whatever its value) and
    target core; ``outputs``: spikes that leave the chip on a line of their own; ``packets_received``: messages that arrive at a
    core, ``host_packets`` of them from the host.
    ``hops_x``, ``hops_y``: tile boundaries that packets between cores cross. ``resets``: neurons that a clock cleared.
    ``host_writes``: currents written, one per neuron. ``starts``: neurons whose u and v the processor wrote because they start
    after tick 0; until then they are updates, never active ones.
    """

    samples: int
    ticks: int
    """Chip ticks per sample."""
    per_core: Mapping[str, IntArray]
    """Event of `PER_CORE` -> (cores, samples, chip ticks)."""
    per_population: Mapping[str, Mapping[str, int]]
    """Population -> neurons, spikes, updates, updates_active."""
    per_projection: Mapping[str, Mapping[str, int]]
    """Projection -> synapses, sops, sops_dense, source_spikes, is_mac."""
    spikes_of_samples: Mapping[str, IntArray]
    """Population -> spikes, (samples,)."""
    sops_of_samples: Mapping[str, IntArray]
    """Projection -> sops, (samples,)."""
    spikes_of_neurons: Mapping[str, IntArray]
    """Population -> spikes of each neuron in all samples, (n,)."""
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
        inputs = [spikes for name, spikes in self.spikes_of_samples.items() if self.per_population[name]["is_input"]]
        result["input_spikes"] = np.sum(inputs, axis=0, dtype=np.float64) if inputs else np.zeros(self.samples)
        result["hops"] = result["hops_x"] + result["hops_y"]
        result["updates_inactive"] = result["updates"] - result["updates_active"]
        return result

    def totals(self) -> dict[str, int | float]:
        """Return the sums over all samples, as ``report --json`` prints them."""
        totals: dict[str, int | float] = {name: int(values.sum()) for name, values in self.per_core.items()}
        totals["updates_inactive"] = int(totals["updates"] - totals["updates_active"])
        totals["input_spikes"] = sum(counts["spikes"] for counts in self.per_population.values() if counts["is_input"])
        totals["sops_dense"] = sum(counts["sops_dense"] for counts in self.per_projection.values())
        totals["macs"] = sum(counts["sops"] for counts in self.per_projection.values() if counts["is_mac"])
        totals["acs"] = int(totals["sops"] - totals["macs"])
        totals["hops_x"], totals["hops_y"] = int(self.hops_x.sum()), int(self.hops_y.sum())
        totals["hops"] = totals["hops_x"] + totals["hops_y"]
        totals["chip_crossings"] = int(self.chip_crossings.sum())
        spikes = totals["spikes"] + totals["input_spikes"]
        totals["sops_per_spike"] = totals["sops"] / spikes if spikes else 0.0
        return totals


def count(
    trace: Trace, mapped: MappedNetwork, spec: HardwareSpec, active: Mapping[str, NDArray[np.bool_]] | None = None
) -> Counts:
    """Count events of a trace.

    Args:
        trace: Of the lowered network, all chip ticks, with spikes of all populations but currents, u and v.
        mapped: Where each neuron and axon is.
        spec: Whose synapse memory decides which synapses are stored.
        active: Which updates of each population are active, (samples, ticks, n), where another rule than that of `Counts` is
            asked for; u and v are not needed then.
    """
    return counts_of(tally_of(trace, mapped.lowered.network, wiring_of(mapped, spec), active), mapped, trace.ticks)


def wiring_of(mapped: MappedNetwork, spec: HardwareSpec) -> Wiring:
    """Return where neurons are, where their spikes go, and the synapses that a spike meets there."""
    network = mapped.lowered.network
    homes = {name: place.core for name, place in mapped.placements.items()}
    sums = tuple(_sum_of(network, one) for one in _summed(network).values())
    if network.crossbars:
        words = -(-spec.limit("neurons") // WORD)
        return Wiring(_axons_of_crossbars(mapped, words), homes, _ways_of_packets(mapped), _leaving(mapped), sums)
    axons: list[tuple[Axons, ...]] = []
    for index, members in enumerate(members_by_core(mapped)):
        if not spec.stores_rows:
            axons.append(tuple(_axons_of_weights(mapped, index)))
            continue
        core, every, own = mapped.cores[index], axon_counts(network, members, spec), []
        for population in np.unique(core.axon_population):
            name, here = mapped.population_names[population], core.axon_population == population
            counted = every.synapses[here], every.sops[here], every.words[here]
            is_input = network.populations[name].is_input
            own.append(Axons(node_key(name, None), core.axon_neuron[here], *counted, from_host=is_input))
        axons.append(tuple(own))
    return Wiring(tuple(axons), homes, _ways(mapped), sums=sums)


def _summed(network: IntegerNetwork) -> dict[str, IntegerProjection | Crossbar]:
    """Return what has sops: crossbars, or projections and their exponent groups, in their order."""
    return {c.name: c for c in network.crossbars} or {q.name: q for q in network.projections}


def _sum_of(network: IntegerNetwork, one: IntegerProjection | Crossbar) -> Sum:
    """Return the sops of a crossbar or projection as a sum over the spikes of its sources."""
    if isinstance(one, Crossbar):
        return Sum(node_key(one.axons, None), synapses_of(one)[1])
    return Sum(node_key(one.source, one.pool), nonzero_fan_out(network, one))


def _axons_of_weights(mapped: MappedNetwork, core: int) -> Iterator[Axons]:
    """Yield the sources of a core that stores no rows: every synapse of a pattern is one that is stored.

    A neuron that is the source of several patterns, or of a maximum, is listed once for each, and once more for its messages.
    """
    network = mapped.lowered.network
    listed = mapped.cores[core]
    for population in np.unique(listed.axon_population):
        name = mapped.population_names[population]
        neurons = listed.axon_neuron[listed.axon_population == population]
        yield _messages(name, neurons, from_host=network.populations[name].is_input)
    for q in network.projections:
        here = np.flatnonzero(mapped.placements[q.target].core == core)
        every, nonzero = _fan_out(network, q, here)
        words = -(-every * q.weight_bits // WORD)
        yield Axons(node_key(q.source, q.pool), np.arange(len(every)), every, nonzero, words, is_message=False)


def _messages(population: str, neurons: IntArray, *, from_host: bool) -> Axons:
    """Return messages that meet no synapses by themselves."""
    nothing = np.zeros(len(neurons), np.int64)
    return Axons(node_key(population, None), neurons, nothing, nothing, nothing, from_host=from_host)


def _axons_of_crossbars(mapped: MappedNetwork, words: int) -> tuple[tuple[Axons, ...], ...]:
    """Return per core the axons, which are active in ticks of their own and read so many words, and the messages."""
    network = mapped.lowered.network
    found: list[list[Axons]] = [[] for _ in mapped.cores]
    for c in network.crossbars:
        every, nonzero = synapses_of(c)
        for core, axons in by_core(mapped.axons[c.axons].core):
            read = np.full(len(axons), words)
            found[core].append(Axons(node_key(c.axons, None), axons, every[axons], nonzero[axons], read, is_message=False))
    for q in network.projections:
        if q.target in mapped.axons:
            sent = q.mantissa != 0
            source, target = q.pattern.arrays["sources"][sent], q.pattern.arrays["targets"][sent]
            for core, messages in by_core(mapped.axons[q.target].core[target]):
                found[core].append(_messages(q.source, source[messages], from_host=network.populations[q.source].is_input))
    return tuple(map(tuple, found))


def synapses_of(c: Crossbar) -> tuple[IntArray, IntArray]:
    """Return of each axon the set bits, and those of them whose weight is not 0; both (axons,)."""
    every, nonzero = np.zeros((2, len(c.types)), np.int64)
    for block in range(c.blocks):
        axons, neurons = c.of(block)
        connected = c.connected(block)
        every[axons] = connected.sum(axis=1)
        nonzero[axons] = (connected & (c.s[neurons] != 0)[:, c.types[axons]].T).sum(axis=1)
    return every, nonzero


def _ways_of_packets(mapped: MappedNetwork) -> dict[str, Ways]:
    """Return the ways of the spikes of crossbar neurons, each to one core at most."""
    ways = {name: Ways(*np.zeros((4, len(place.core)), np.int64)) for name, place in mapped.placements.items()}
    lengths = {(r.source, r.target): (1, r.hops_x, r.hops_y, r.chips) for r in mapped.routes}
    for q, source, target in crossbar_messages(mapped.lowered.network):
        way = ways[q.source]
        cores = np.stack([mapped.placements[q.source].core[source], mapped.axons[q.target].core[target]], axis=1)
        pairs, index = np.unique(cores, axis=0, return_inverse=True)
        of_pair = np.array([lengths[a, b] for a, b in pairs.tolist()], np.int64).reshape(-1, 4)
        for column, total in enumerate((way.cores, way.hops_x, way.hops_y, way.chips)):
            np.add.at(total, source, of_pair[index.reshape(-1), column])
    return ways


def _leaving(mapped: MappedNetwork) -> dict[str, IntArray]:
    """Return which neurons of crossbars send to lines that leave the chip."""
    network = mapped.lowered.network
    result = {name: np.zeros(len(place.core), np.int64) for name, place in mapped.placements.items()}
    for q in network.projections:
        if q.source in result and q.target not in mapped.axons:
            result[q.source][q.pattern.arrays["sources"][q.mantissa != 0]] = 1
    return result


def tally_of(
    trace: Trace, network: IntegerNetwork, wiring: Wiring, active: Mapping[str, NDArray[np.bool_]] | None = None
) -> Tally:
    """Count what depends on the neurons from the arrays of a trace; ``active`` as in `count`."""
    fired = {name: trace.spikes[name] != 0 for name, p in network.populations.items() if p.dynamics != "current"}
    sent = {node_key(name, None): spikes for name, spikes in fired.items()}
    for q in network.projections:
        if node_key(q.source, q.pool) not in sent:
            sent[node_key(q.source, q.pool)] = fired_sources(network, q, fired)
    if active is None:
        active = {name: fired[name] | (trace.v[name] != 0) for name in wiring.homes}
        active |= {name: active[name] | (trace.u[name] != 0) for name in wiring.homes if name in trace.u}
    samples, ticks, _ = next(iter(fired.values())).shape
    counted = (*DYNAMIC, *(("outputs",) if wiring.leaves else ()))
    per_core = {name: np.zeros((wiring.cores, samples, ticks), np.int64) for name in counted}
    for index, axons in enumerate(wiring.axons):
        for a in axons:
            spikes = sent[a.node][:, :, a.neurons]
            visited, worked, read = _weighted(spikes, np.stack([a.synaptic_events, a.sops, a.words], axis=1))
            per_core["synaptic_events"][index] += visited
            per_core["sops"][index] += worked
            per_core["words_read"][index] += read
            if a.is_message:
                messages = spikes.sum(axis=2)
                per_core["packets_received"][index] += messages
                per_core["host_packets"][index] += messages if a.from_host else 0
    for name, homes in wiring.homes.items():
        for index, neurons in by_core(homes):
            here = fired[name][:, :, neurons]
            per_core["updates_active"][index] += active[name][:, :, neurons].sum(axis=2)
            per_core["spikes"][index] += here.sum(axis=2)
            per_core["packets"][index] += _weighted(here, wiring.ways[name].cores[neurons, None])[0]
            if name in wiring.leaves:
                per_core["outputs"][index] += _weighted(here, wiring.leaves[name][neurons, None])[0]
    crossed = np.zeros((3, samples), np.int64)
    for name, way in wiring.ways.items():
        spikes = fired[name].sum(axis=1, dtype=np.int64)
        crossed += np.stack([spikes @ way.hops_x, spikes @ way.hops_y, spikes @ way.chips])
    totals = {key: spikes.sum(axis=(0, 1), dtype=np.int64) for key, spikes in sent.items()}
    of_samples = {key: spikes.sum(axis=(1, 2), dtype=np.int64) for key, spikes in sent.items()}
    sums = np.zeros((len(wiring.sums), samples), np.int64)
    for row, asked in zip(sums, wiring.sums, strict=True):
        row += sent[asked.node].sum(axis=1, dtype=np.int64) @ asked.amounts
    return Tally(
        per_core, crossed, sums, totals, of_samples, {name: int(values.sum()) for name, values in active.items()}
    )  # fmt: skip


def counts_of(tally: Tally, mapped: MappedNetwork, user_ticks: int) -> Counts:
    """Complete what depends on the neurons by what does not.

    Args:
        tally: What a simulation counted with the wiring of ``mapped``.
        mapped: Where each neuron and axon is.
        user_ticks: Ticks of a sample in the user's time.
    """
    network = mapped.lowered.network
    _, samples, ticks = tally.per_core["spikes"].shape
    per_core = {name: np.zeros((len(mapped.cores), samples, ticks), np.int64) for name in PER_CORE} | dict(tally.per_core)
    for index, members in enumerate(members_by_core(mapped)):
        for name, neurons, _ in members:
            p = network.populations[name]
            per_core["updates"][index] += len(neurons) * p.compartments
            per_core["resets"][index] += len(neurons) * _resets(p, ticks)
            if p.start:
                per_core["starts"][index][:, p.start : p.start + 1] += len(neurons)
            if p.current is not None:
                per_core["host_writes"][index][:, mapped.lowered.lag[name]] += len(neurons)
    hops_x, hops_y, crossings = tally.ways
    sops = _sops_of_samples(tally, network)
    counted = [name for name, p in network.populations.items() if p.dynamics != "axons"]
    none = np.zeros(samples, np.int64)
    return Counts(
        samples, ticks, per_core, _per_population(tally, mapped, samples, ticks),
        _per_projection(tally, mapped, sops, user_ticks),
        {name: tally.spikes_of_samples.get(node_key(name, None), none) for name in counted}, sops,
        {name: tally.spikes[node_key(name, None)] for name in counted if node_key(name, None) in tally.spikes},
        hops_x, hops_y, crossings, mapped.chips,
    )  # fmt: skip


def fired_sources(network: IntegerNetwork, q: IntegerProjection, fired: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return whether each source of a projection's pattern sends, (samples, ticks, n): the neurons, or what a maximum makes."""
    spikes = fired[q.source]
    if q.pool is None:
        return spikes
    source, pooled = network.populations[q.source].shape, network.shapes(q)[0]
    flat = spikes.reshape(-1, spikes.shape[2]).astype(np.float32)
    found = PATTERNS[q.pool.kind].forward(q.pool, np.float32(1.0), flat, source, pooled)
    return np.asarray(found.reshape(*spikes.shape[:2], -1) != 0)


def _fan_out(network: IntegerNetwork, q: IntegerProjection, neurons: IntArray) -> tuple[IntArray, IntArray]:
    """Return how many synapses, and how many of weight other than 0, each source of the pattern has onto some neurons."""
    synapses = network.synapses(q, neurons)
    n_source = size_of(network.shapes(q)[0])
    every = np.bincount(synapses.source, minlength=n_source)
    return every, np.bincount(synapses.source, q.mantissa.ravel()[synapses.slot] != 0, n_source).astype(np.int64)


def _ways(mapped: MappedNetwork) -> dict[str, Ways]:
    """Return the ways of the spikes of every placed population: one message to each core with an axon of the neuron."""
    names = mapped.population_names
    ways = {name: Ways(*np.zeros((4, len(place.core)), np.int64)) for name, place in mapped.placements.items()}
    lengths = np.array([(r.hops_x, r.hops_y, r.chips) for r in mapped.routes], np.int64).reshape(-1, 3)
    order = np.array([r.source * len(mapped.cores) + r.target for r in mapped.routes], np.int64)
    by_key = np.argsort(order)
    for index, core in enumerate(mapped.cores):
        for population in np.unique(core.axon_population):
            name = names[population]
            if name not in ways:
                continue
            neurons = core.axon_neuron[core.axon_population == population]
            route = by_key[np.searchsorted(order[by_key], mapped.placements[name].core[neurons] * len(mapped.cores) + index)]
            way = ways[name]
            way.cores[neurons] += 1
            for column, total in enumerate((way.hops_x, way.hops_y, way.chips)):
                total[neurons] += lengths[route, column]
    return ways


def _weighted(fired: NDArray[np.bool_], weights: IntArray) -> IntArray:
    """Return the sums of the weights (n, columns) of the neurons that spiked in ``fired`` (samples, ticks, n).

    The result has the shape (columns, samples, ticks); sums of integers far below 2**53 are exact in float64.
    """
    samples, ticks, n = fired.shape
    result = np.zeros((weights.shape[1], samples, ticks), np.int64)
    step = max(1, BLOCK_BYTES // max(1, 8 * ticks * n))
    for start in range(0, samples, step):
        part = slice(start, start + step)
        sums = np.rint(fired[part].astype(np.float64) @ weights.astype(np.float64))
        result[:, part] = np.moveaxis(sums, -1, 0)
    return result


def _resets(p: IntegerPopulation, ticks: int) -> IntArray:
    """Return in which ticks a clock clears the population: 1 or 0, (ticks,)."""
    if p.reset_interval is None:
        return np.zeros(ticks, np.int64)
    since = np.arange(ticks) - p.reset_offset
    return np.asarray((since >= 0) & (since % p.reset_interval == 0), np.int64)


def _per_population(tally: Tally, mapped: MappedNetwork, samples: int, ticks: int) -> dict[str, dict[str, int]]:
    result: dict[str, dict[str, int]] = {}
    for name, p in mapped.lowered.network.populations.items():
        if p.dynamics == "axons":
            continue
        spikes = tally.spikes.get(node_key(name, None))
        result[name] = {
            "neurons": p.size,
            "is_input": int(p.is_input),
            "spikes": int(spikes.sum()) if spikes is not None else 0,
            "updates": 0 if p.is_input else samples * ticks * p.size * p.compartments,
            "updates_active": tally.active.get(name, 0),
        }
    return result


def _sops_of_samples(tally: Tally, network: IntegerNetwork) -> dict[str, IntArray]:
    """Return user's projection or crossbar -> sops, (samples,); exponent groups work for the projection that they are of."""
    owner = {q.name: q.group_of or q.name for q in network.projections}
    result: dict[str, IntArray] = {}
    for name, sops in zip(_summed(network), tally.sums, strict=True):
        own = owner.get(name, name)
        result[own] = result[own] + sops if own in result else sops
    return result


def _per_projection(
    tally: Tally, mapped: MappedNetwork, sops: Mapping[str, IntArray], user_ticks: int
) -> dict[str, dict[str, int]]:
    """Return the counts of the user's projections, or of crossbars, whose synapses are set bits."""
    network = mapped.lowered.network
    samples = len(tally.ways[0])
    result: dict[str, dict[str, int]] = {}
    for c in network.crossbars:
        every, nonzero = synapses_of(c)
        result[c.name] = {
            "synapses": int(every.sum()),
            "sops": int(sops[c.name].sum()),
            "sops_dense": int(nonzero.sum()) * user_ticks * samples,
            "source_spikes": int(tally.spikes[node_key(c.axons, None)].sum()),
            "is_mac": 0,
        }
    for q in () if network.crossbars else network.projections:
        if q.group_of is None:
            synapses = int(network.synapse_counts(q).sum())
            result[q.name] = {
                "synapses": synapses,
                "sops": int(sops[q.name].sum()),
                "sops_dense": synapses * user_ticks * samples,
                "source_spikes": int(tally.spikes[node_key(q.source, None)].sum()),
                "is_mac": int(not q.binary),
            }
    return result
