"""What a mapping sends over the network on chip: packets between cores, their hops, and the load of every link.

Messages go from tile to tile in dimension order, x before y. Chips whose cores hold crossbars lie side by side in the direction
of x and share one mesh (`neurocomp.ir.mapped.mesh_place`). Other chips have a mesh each: a message goes along x and y on the
chip of its source and then from chip to chip, so that its hops are those of `Route`.

Counts are of single spikes, so that they are exact; times per tick they are as exact as the rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import running_sum
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork, mesh_place
from neurocomp.ir.network import frozen

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Rates = Mapping[str, FloatArray]
"""Population -> spikes per tick of each neuron, (n,)."""

HOST = -1
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Where the links of a tile lead, as (x, y); the first axis of `Links.load`."""


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """Who sends to which core: an entry per neuron and core that listens to it, on crossbars per packet."""

    sender: IntArray
    """(messages,): the neuron, counted over all populations in the order of the network."""
    target: IntArray
    """(messages,): index of the core."""
    home: IntArray
    """(neurons,): index of the core of each neuron, `HOST` for inputs."""
    rate: FloatArray
    """(neurons,): spikes per tick."""

    @property
    def source(self) -> IntArray:
        """Index of the core that sends, `HOST` where none does, (messages,)."""
        return self.home[self.sender]


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """The load of the directed links of the mesh."""

    load: FloatArray
    """(directions, chips, tiles_y, tiles_x): packets per tick that leave tile (x, y) of a chip towards a neighbour.

    Crossbars: one mesh for all chips. A link at the edge, which leads nowhere, has no load.
    """
    count: int
    """Links of the chips in use."""

    @property
    def used(self) -> int:
        """Links that carry packets."""
        return int(np.count_nonzero(self.load))

    @property
    def largest(self) -> float:
        """Packets per tick on the busiest link."""
        return float(self.load.max(initial=0.0))

    @property
    def mean(self) -> float:
        """Packets per tick, the mean over the links that carry some; 0 where none does."""
        return float(self.load.sum()) / self.used if self.used else 0.0

    @property
    def congestion(self) -> float:
        """The load of the busiest link over the mean; 1: all alike; 0 where no link carries packets."""
        return self.largest / self.mean if self.used else 0.0

    def busiest(self) -> tuple[int, tuple[int, int], tuple[int, int]] | None:
        """Return the first of the busiest links: index of the mesh, tile that it leaves, tile that it leads to."""
        if not self.used:
            return None
        direction, mesh, y, x = (int(index) for index in np.unravel_index(int(self.load.argmax()), self.load.shape))
        dx, dy = DIRECTIONS[direction]
        return mesh, (x, y), (x + dx, y + dy)


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What the network on chip carries per tick under one cost model."""

    packets: float
    """Packets that cores send to other cores."""
    hops: float
    """Links of the mesh that packets cross, each crossing counted."""
    crossings: float
    """Chip boundaries that packets cross."""
    links: Links


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """The packets per tick of a mapping. ``pairs``: ordered pairs of different cores, sorted, (pairs, 2)."""

    pairs: IntArray
    packets: FloatArray
    """(pairs,): packets per tick, one per spike and core that listens."""
    hops: IntArray
    """(pairs,): tile boundaries between the cores."""
    unicast: Flow
    """A packet to each core that listens."""
    multicast: Flow
    """One packet per spike, copied where the ways to the cores part: what they share is crossed once."""
    local: float
    """Messages per tick from a core to itself."""
    host: float
    """Messages per tick from the host."""

    @property
    def off_core_share(self) -> float:
        """Messages to other cores as a share of all that cores send to cores, 0..1; 0 where there are none."""
        every = self.unicast.packets + self.local
        return self.unicast.packets / every if every else 0.0

    @property
    def average_hops(self) -> float:
        """Hops of a packet between cores, the mean; 0 where there are none."""
        return self.unicast.hops / self.unicast.packets if self.unicast.packets else 0.0

    @property
    def histogram(self) -> FloatArray:
        """Packets per tick by their hops, (most hops + 1,)."""
        return np.bincount(self.hops, self.packets).astype(np.float64)


def messages_of(mapped: MappedNetwork, rates: Rates | None = None) -> Messages:
    """Return every message of a mapping.

    Args:
        mapped: Where neurons and axons are.
        rates: Population -> spikes per tick, (n,), of all that send; None: one spike per neuron and tick.
    """
    network = mapped.lowered.network
    sizes = [p.size for p in network.populations.values()]
    first = running_sum(np.array(sizes, np.int64))
    number = {name: index for index, name in enumerate(network.populations)}
    home, rate = np.full(first[-1], HOST), np.ones(first[-1])
    for name, place in mapped.placements.items():
        home[first[number[name]] : first[number[name] + 1]] = place.core
    for name, values in (rates or {}).items():
        rate[first[number[name]] : first[number[name] + 1]] = values
    senders, targets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    if network.crossbars:
        for q in network.projections:
            if q.target in mapped.axons:
                sent = q.mantissa != 0  # schedulers drop the others
                senders.append(first[number[q.source]] + q.pattern.arrays["sources"][sent])
                targets.append(mapped.axons[q.target].core[q.pattern.arrays["targets"][sent]])
    else:
        for index, core in enumerate(mapped.cores):
            senders.append(first[core.axon_population] + core.axon_neuron)
            targets.append(np.full(len(core.axon_neuron), index))
    return Messages(np.concatenate(senders), np.concatenate(targets), home, rate)


def places_of(mapped: MappedNetwork, spec: HardwareSpec) -> IntArray:
    """Return (mesh, x, y) of every core, (cores, 3): the chip, or 0 where all chips are one mesh, and the tile."""
    if spec.has_crossbars:
        places = [(0, *mesh_place(core, spec)) for core in mapped.cores]
    else:
        places = [(core.chip, *core.tile) for core in mapped.cores]
    return np.array(places, np.int64).reshape(-1, 3)


def traffic_of(mapped: MappedNetwork, spec: HardwareSpec, rates: Rates | None = None) -> Traffic:
    """Return what a mapping sends over the network on chip.

    Args:
        mapped: Where neurons and axons are.
        spec: Its mesh.
        rates: As `messages_of` takes them.
    """
    messages = messages_of(mapped, rates)
    source, rate = messages.source, messages.rate[messages.sender]
    from_host, local = source == HOST, source == messages.target
    between = ~from_host & ~local & (rate > 0)
    sender, target, cores = messages.sender[between], messages.target[between], max(1, len(mapped.cores))
    keys = source[between] * cores + target
    order = np.argsort(keys, kind="stable")
    first = _first_of_each(keys[order])
    packets = np.add.reduceat(rate[between][order], first) if len(first) else np.zeros(0)
    pairs = np.stack(np.divmod(keys[order[first]], cores), axis=1)
    mesh = _Mesh.of(mapped, spec)
    return Traffic(
        frozen(pairs),
        frozen(packets),
        frozen(mesh.hops(pairs)),
        mesh.unicast(pairs, packets),
        mesh.multicast(sender, target, messages),
        float(rate[local].sum()),
        float(rate[from_host].sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """The meshes of a target, and the cores on them."""

    place: IntArray
    """(cores, 3), of `places_of`."""
    chip: IntArray
    """(cores,)"""
    shape: tuple[int, int, int]
    """Meshes, tiles in y and in x."""
    chip_x: int
    """Tiles of a chip in x."""
    one_mesh: bool
    """Whether all chips are on one."""
    links: int
    """Directed links of the chips in use."""

    @classmethod
    def of(cls, mapped: MappedNetwork, spec: HardwareSpec) -> _Mesh:
        chip = np.array([core.chip for core in mapped.cores], np.int64)
        last, tiles_x, tiles_y = int(chip.max(initial=0)) + 1, spec.mesh.tiles_x, spec.mesh.tiles_y
        meshes, used = last, mapped.chips
        if spec.has_crossbars:
            meshes, used, tiles_x = 1, 1, tiles_x * last
        links = 2 * used * ((tiles_x - 1) * tiles_y + tiles_x * (tiles_y - 1))
        shape = meshes, tiles_y, tiles_x
        return cls(places_of(mapped, spec), chip, shape, spec.mesh.tiles_x, spec.has_crossbars, links)

    def hops(self, pairs: IntArray) -> IntArray:
        """Return the tile boundaries between the cores of each pair, (pairs,)."""
        return np.asarray(np.abs(self.place[pairs[:, 0], 1:] - self.place[pairs[:, 1], 1:]).sum(axis=1))

    def unicast(self, pairs: IntArray, packets: FloatArray) -> Flow:
        """Return the flow of packets that each go their own way."""
        source, target = self.place[pairs[:, 0]], self.place[pairs[:, 1]]
        line_x, line_y = source[:, 0] * self.shape[1] + source[:, 2], source[:, 0] * self.shape[2] + target[:, 1]
        along_x = _runs(line_x, source[:, 1], target[:, 1], target[:, 1], packets)
        along_y = _runs(line_y, source[:, 2], target[:, 2], target[:, 2], packets)
        crossings = float(packets @ np.abs(self.chip[pairs[:, 0]] - self.chip[pairs[:, 1]]))
        return self._flow(float(packets.sum()), along_x, along_y, crossings)

    def multicast(self, sender: IntArray, target: IntArray, messages: Messages) -> Flow:
        """Return the flow of packets that are copied where the ways to the cores that listen part.

        The union of the ways of a spike is a run along x in each direction, as far as the farthest column, and a run along y in
        each direction in every column where a core listens. From the tiles of the own chip, where chips have meshes of their
        own, copies go on to the farthest chip in each direction.

        Args:
            sender: The neuron of each message between different cores, (n,).
            target: The core that listens, (n,).
            messages: Where the neurons are and how often they spike.
        """
        meshes, tiles_y, tiles_x = self.shape
        to_mesh, to_x, to_y = np.ascontiguousarray(self.place.T)
        # Sorted, what runs along y, and what along x, are neighbours, with the nearest and the farthest at the ends.
        keys = np.sort(((sender * tiles_x + to_x[target]) * tiles_y + to_y[target]) * meshes + to_mesh[target])
        tiles, mesh = _divided(keys, meshes)
        columns, y = _divided(tiles, tiles_y)
        sender, x = _divided(columns, tiles_x)

        first, last = _ends(columns)
        home, rate = messages.home[sender[first]], messages.rate[sender[first]]
        along_y = _runs(to_mesh[home] * tiles_x + x[first], to_y[home], y[first], y[last], rate)

        first, last = _ends(sender)
        home, rate = messages.home[sender[first]], messages.rate[sender[first]]
        along_x = _runs(to_mesh[home] * tiles_y + to_y[home], to_x[home], x[first], x[last], rate)
        packets = float(rate.sum())

        if self.one_mesh:
            low, high, chip = x[first] // self.chip_x, x[last] // self.chip_x, to_x[home] // self.chip_x
        else:
            first, last = _ends(tiles)
            home, rate = messages.home[sender[first]], messages.rate[sender[first]]
            low, high, chip = mesh[first], mesh[last], to_mesh[home]
        crossings = float(rate @ (np.maximum(high - chip, 0) + np.maximum(chip - low, 0)))
        return self._flow(packets, along_x, along_y, crossings)

    def _flow(self, packets: float, along_x: tuple[_Runs, _Runs], along_y: tuple[_Runs, _Runs], crossings: float) -> Flow:
        meshes, tiles_y, tiles_x = self.shape
        in_x = [runs.load(meshes * tiles_y, tiles_x).reshape(self.shape) for runs in along_x]
        in_y = [runs.load(meshes * tiles_x, tiles_y).reshape(meshes, tiles_x, tiles_y).swapaxes(1, 2) for runs in along_y]
        load = np.stack([*in_x, *in_y])
        return Flow(packets, float(load.sum()), crossings, Links(frozen(load), self.links))


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Straight ways along lines of tiles, all in one direction; arrays (n,)."""

    line: IntArray
    low: IntArray
    high: IntArray
    """The ends; the same where there is nothing to cross."""
    rate: FloatArray
    up: bool
    """Whether they lead from the low end to the high one."""

    def load(self, lines: int, length: int) -> FloatArray:
        """Return the load of the links that leave each tile in the direction of the runs, (lines, length).

        Sums of rates rise and fall along a line, and floats leave something behind; where no run is the load is exactly 0.
        """
        size = lines * (length + 1)
        first = self.line * (length + 1) + (0 if self.up else 1)
        begin, end = first + self.low, first + self.high
        change = np.bincount(begin, self.rate, size) - np.bincount(end, self.rate, size)
        count = np.bincount(begin, minlength=size) - np.bincount(end, minlength=size)
        covered = np.cumsum(count.reshape(lines, -1), axis=1) > 0
        return np.where(covered, np.cumsum(change.reshape(lines, -1), axis=1), 0.0)[:, :length]


def _runs(line: IntArray, start: IntArray, lowest: IntArray, highest: IntArray, rate: FloatArray) -> tuple[_Runs, _Runs]:
    """Return the runs that lead from places on lines up and down to the farthest of others."""
    up = _Runs(line, start, np.maximum(highest, start), rate, up=True)
    return up, _Runs(line, np.minimum(lowest, start), start, rate, up=False)


def _divided(values: IntArray, by: int) -> tuple[IntArray, IntArray]:
    """Return quotient and remainder; several times as fast as `numpy.divmod` by one number."""
    quotient = values // by
    return quotient, values - quotient * by


def _first_of_each(keys: IntArray) -> IntArray:
    """Return where each run of equal keys begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(1, len(keys)), np.bool_), keys[1:] != keys[:-1]]))


def _ends(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Return where each run of equal keys begins, and its last element."""
    first = _first_of_each(keys)
    return first, np.append(first[1:], len(keys))[: len(first)] - 1
