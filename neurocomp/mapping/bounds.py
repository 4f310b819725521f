"""What no mapping of a lowered network can do without: lower bounds on cores, axons, packets and hops.

Each bound counts what is there whatever the mapping, so that "reached / bound" never flatters:

- **cores**: what has to be somewhere, over what a core has of it. A compartment, and an axon of a crossbar, is on one core. A
  source with a synapse needs an input axon, and one that is a neuron an output axon, at least once. A core has a limited number
  of different thresholds and decays, and each different one is somewhere. Blocks that fill more than half a core share none.
- **synapse words** bound nothing: cores store equal rows once and axons shift them, so that the words of a core are not the sum
  of what its neurons need alone, and neurons may be put together such that next to none are stored.
- **packets**: a neuron whose targets have T compartments sends to ceil(T / compartments of a core) cores at least, of which its
  own may be one; there its own compartments take room as well, unless it may be a target itself. On crossbars a neuron sends to
  the one block of its axon, which is elsewhere if the two blocks together exceed a core.
- **hops**: of k other cores, those that are nearest. As many as a tile has, on all chips where each has a mesh of its own, cost
  none.

Synapses of weight 0 count, as their sources have input axons in every mapping (`MappedNetwork.verify`); on crossbars they do
not, as schedulers drop those packets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import running_sum
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import RESET_DECAY_PROFILE, crossbar_messages, decay_profiles
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection
from neurocomp.mapping.traffic import Rates
from neurocomp.models.patterns import PATTERNS, Conv, Dense, size_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """What every mapping has at least. ``cores``: reason -> cores that it asks for."""

    cores_for: Mapping[str, int]
    input_axons: int
    """Of all cores together."""
    packets_from: Mapping[str, float]
    """Population -> packets per tick from core to core, one per spike and core that listens; those with none are left out."""
    hops: float
    """Hops per tick of those packets."""

    @property
    def cores(self) -> int:
        """Cores."""
        return max(self.cores_for.values())

    @property
    def packets(self) -> float:
        """Packets per tick between cores."""
        return sum(self.packets_from.values())


def bounds_of(lowered: LoweredNetwork, spec: HardwareSpec, rates: Rates | None = None) -> Bounds:
    """Return the lower bounds of all mappings of a network.

    Args:
        lowered: The network.
        spec: The limits of its cores.
        rates: Population -> spikes per tick of each neuron, (n,); None: one spike per neuron and tick.
    """
    bounds = _of_crossbars if lowered.network.crossbars else _of_compartments
    return bounds(lowered.network, spec, rates)


def _of_compartments(network: IntegerNetwork, spec: HardwareSpec, rates: Rates | None) -> Bounds:
    neurons = [p for p in network.populations.values() if not p.is_input]
    room, own = spec.limit("neurons"), {p.name: p.compartments for p in neurons}
    reached = _target_compartments(network)
    sources = {name: int(np.count_nonzero(found)) for name, found in reached.items()}
    needed = {"neurons": sum(p.size * p.compartments for p in neurons)}
    if spec.stores_rows:
        needed |= {
            "input_axons": sum(sources.values()),
            "output_axons": sum(count for name, count in sources.items() if name in own),
            "threshold_profiles": len({int(value) for p in neurons for value in np.unique(p.profile[2])}),
            "decay_profiles": len(_decays(network)),
        }
    cores = {name: max(1, _ceil(count, spec.limit(name))) for name, count in needed.items()}
    axons, packets, hops = 0, {}, 0.0
    nearest = _Nearest(spec)
    for name, compartments in reached.items():
        axons += int(_ceil_all(compartments, room).sum())
        if name not in own:
            continue
        beside = 0 if any(q.target == name for q in network.projections if q.source == name) else own[name]
        elsewhere = np.maximum(_ceil_all(compartments + np.where(compartments > 0, beside, 0), room) - 1, 0)
        rate = np.ones(len(elsewhere)) if rates is None else rates[name]
        if elsewhere.any():
            packets[name] = float(rate @ elsewhere)
            hops += float(rate @ nearest.hops(elsewhere))
    return Bounds(cores, axons, packets, hops)


def _target_compartments(network: IntegerNetwork) -> dict[str, IntArray]:
    """Return population -> compartments of at least as many different neurons as hear from each of its neurons, (n,).

    Of several projections to one population the largest counts, as they may reach the same neurons; a maximum over windows
    counts for nothing.
    """
    found: dict[tuple[str, str], IntArray] = {}
    for q in network.projections:
        if q.pool is None:
            targets = _targets(network, q)
            key = q.source, q.target
            found[key] = np.maximum(found[key], targets) if key in found else targets
    result: dict[str, IntArray] = {}
    for (source, target), targets in found.items():
        compartments = targets * network.populations[target].compartments
        result[source] = result[source] + compartments if source in result else compartments
    return result


def _targets(network: IntegerNetwork, q: IntegerProjection) -> IntArray:
    """Return how many neurons each source of a projection without a pool has synapses onto, (n_source,)."""
    source, target = network.shapes(q)
    kind = PATTERNS[q.pattern.kind]
    if isinstance(kind, Dense):
        return np.full(size_of(source), size_of(target), np.int64)
    if isinstance(kind, Conv):
        places = np.stack(np.unravel_index(np.arange(size_of(target[1:])), target[1:]), axis=1)
        flat, inside = kind.geometry(q.pattern).inputs(source[1:], places)
        per_place = np.bincount(flat[inside], minlength=size_of(source[1:]))
        return np.tile(per_place * (target[0] // q.pattern.options["groups"][0]), source[0])
    synapses = network.synapses(q)  # a list may name a pair of neurons twice
    pairs = np.unique(synapses.source * size_of(target) + synapses.target)
    return np.bincount(pairs // size_of(target), minlength=size_of(source))


def _decays(network: IntegerNetwork) -> set[int]:
    """Return all decay profiles, with that of reset compartments where there are some."""
    found: set[int] = set()
    for p in network.populations.values():
        if not p.is_input:
            found.update(np.unique(decay_profiles(p)).tolist())
            if p.compartments > 1:
                found.add(RESET_DECAY_PROFILE)
    return found


def _of_crossbars(network: IntegerNetwork, spec: HardwareSpec, rates: Rates | None) -> Bounds:
    room = np.array([spec.limit("input_axons"), spec.limit("neurons")])
    sizes, axon_block, neuron_block = _blocks(network)
    cores = {
        name: max(1, _ceil(int(sizes[:, index].sum()), limit), int(np.count_nonzero(2 * sizes[:, index] > limit)))
        for index, (name, limit) in enumerate(zip(("input_axons", "neurons"), room.tolist(), strict=True))
    }
    packets: dict[str, float] = {}
    for q, source, target in crossbar_messages(network):
        sends, hears = neuron_block[q.source][source], axon_block[q.target][target]
        apart = (sends != hears) & (sizes[sends] + sizes[hears] > room).any(axis=1)
        rate = np.ones(len(source)) if rates is None else rates[q.source][source]
        if apart.any():
            packets[q.source] = packets.get(q.source, 0.0) + float(rate[apart].sum())
    # A neuron sends one packet, to another tile: cores of crossbars do not share one.
    hops = sum(packets.values()) if spec.mesh.cores_per_tile == 1 else 0.0
    return Bounds(cores, int(sizes[:, 0].sum()), packets, hops)


def _blocks(network: IntegerNetwork) -> tuple[IntArray, dict[str, IntArray], dict[str, IntArray]]:
    """Return the axons and neurons of each block, (blocks, 2), and the block of each axon and of each neuron.

    The crossbars of one bank of axons are on the same cores: their blocks are the same.
    """
    sizes: list[IntArray] = []
    first: dict[str, int] = {}
    axon_block: dict[str, IntArray] = {}
    neuron_block: dict[str, IntArray] = {}
    count = 0
    for c in network.crossbars:
        if c.axons not in first:
            first[c.axons], count = count, count + c.blocks
            sizes.append(np.stack([np.diff(c.axon_start), np.zeros(c.blocks, np.int64)], axis=1))
            axon_block[c.axons] = first[c.axons] + np.repeat(np.arange(c.blocks), np.diff(c.axon_start))
        neuron_block[c.neurons] = first[c.axons] + np.repeat(np.arange(c.blocks), np.diff(c.neuron_start))
        sizes[list(first).index(c.axons)][:, 1] += np.diff(c.neuron_start)
    return np.concatenate(sizes), axon_block, neuron_block


class _Nearest:
    """How many hops the nearest cores are away, at least."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.per_tile = spec.mesh.cores_per_tile * spec.limit("chips")

    def hops(self, others: IntArray) -> IntArray:
        """Return the hops to so many other cores together, wherever they are, (n,)."""
        most, away = int(others.max(initial=0)), [np.zeros(self.per_tile - 1, np.int64)]
        distance, known = 0, self.per_tile - 1
        while known < most:  # 4 d tiles are d hops away
            distance += 1
            away.append(np.full(min(4 * distance * self.per_tile, most), distance))
            known += len(away[-1])
        return running_sum(np.concatenate(away))[others]


def _ceil(count: int, limit: int) -> int:
    return -(-count // limit)


def _ceil_all(counts: IntArray, limit: int) -> IntArray:
    return np.asarray(-(-counts // limit))
