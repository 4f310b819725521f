"""The counters of a run: the wiring in the order of the engine's neurons, and what the kernels count with it."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels.counting import HIGH, Counters, Meter
from neurocomp.engine.kernels.records import TILE, Chunk
from neurocomp.engine.metering import DYNAMIC, IntArray, Tally, Wiring
from neurocomp.engine.plan import Plan
from neurocomp.fixedpoint import running_sum

NO_CORE = -1
LOW = (1 << HIGH) - 1


class Counting:
    """Counts what happens on the cores in all samples of a run; chunks of samples may run in several threads."""

    def __init__(self, plan: Plan, wiring: Wiring, samples: int) -> None:
        self.plan, self.wiring = plan, wiring
        self.cores = max(1, wiring.cores)
        self.sizes = [int(n) for n in plan.tables.nodes["n"]]
        self.first = running_sum(np.array(self.sizes, np.int64))
        self.meter = self._meter()
        shape = (samples, plan.chip_ticks, self.cores)
        neurons = max(1, int(self.first[-1]))
        work, sent, host = (np.zeros(shape, np.int64) for _ in range(3))
        self.counters = Counters(work, sent, host, np.zeros((samples, neurons), np.int64))
        self.active = np.zeros(shape, np.int64)
        self.active_of = dict.fromkeys(plan.populations, 0)
        self.homes, self.tile_homes = self._homes()
        self._lock = threading.Lock()

    def _held(self, name: str, values: IntArray) -> IntArray:
        """Return values per neuron in the order in which the engine holds them."""
        order = self.plan.orders.get(name)
        return values if order is None else values[order]

    def _meter(self) -> Meter:
        """Return the wiring by neuron of the engine."""
        plan, wiring = self.plan, self.wiring
        place = {key: index for index, key in enumerate(plan.nodes)}
        empty = np.zeros(0, np.int64)
        neurons, cores, work, hosts = [empty], [empty], [empty], [empty]
        for core, axons in enumerate(wiring.axons):
            for a in axons:
                if a.node not in place:
                    continue  # nobody listens to it within the time of a sample
                held = a.neurons
                if a.node[1] is None and a.node[0] in plan.orders:
                    inverse = np.empty(len(plan.orders[a.node[0]]), np.int64)
                    inverse[plan.orders[a.node[0]]] = np.arange(len(inverse))
                    held = inverse[a.neurons]
                neurons.append(self.first[place[a.node]] + held)
                cores.append(np.full(len(held), core))
                hosts.append(np.full(len(held), int(a.from_host)))
                work.append((a.synaptic_events << HIGH) | a.sops)
        neuron = np.concatenate(neurons)
        by_neuron = np.argsort(neuron, kind="stable")
        total = int(self.first[-1])
        home, sent = np.full(max(1, total), NO_CORE, np.int32), np.zeros(max(1, total), np.int64)
        for index, (name, pool) in enumerate(plan.nodes):
            part = slice(int(self.first[index]), int(self.first[index + 1]))
            if pool is None and name in wiring.homes:
                home[part] = self._held(name, wiring.homes[name])
                sent[part] = (1 << HIGH) | self._held(name, wiring.packets[name])
        return Meter(
            np.ascontiguousarray(self.first[:-1]), running_sum(np.bincount(neuron, minlength=total)),
            np.concatenate(cores)[by_neuron].astype(np.int32), np.concatenate(work)[by_neuron],
            np.concatenate(hosts)[by_neuron], home, sent,
        )  # fmt: skip

    def _homes(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the core of each neuron by its place in the state, and of each tile whose neurons share one."""
        homes = np.zeros(max(1, self.plan.state), np.int32)
        tiles = np.full(max(1, self.plan.tiles), -1, np.int32)
        for name, p in zip(self.plan.populations, self.plan.tables.populations, strict=True):
            held = self._held(name, self.wiring.homes[name])
            homes[p["state"] : p["state"] + p["n"]] = held
            for tile, start in enumerate(range(0, int(p["n"]), TILE)):
                part = held[start : start + TILE]
                if (part == part[0]).all():
                    tiles[p["tile"] + tile] = part[0]
        return homes, tiles

    def take(self, chunk: Chunk, first: int, count: int) -> None:
        """Add what some samples counted while they ran."""
        self.active[first : first + count] = chunk.active
        with self._lock:
            for name, total in zip(self.plan.populations, chunk.active_neurons.sum(axis=0), strict=False):
                self.active_of[name] += int(total)

    def tally(self) -> Tally:
        """Return what was counted, populations in their own order."""
        c = self.counters
        values = (c.work >> HIGH, c.work & LOW, self.active, c.sent >> HIGH, c.sent & LOW, c.host)
        per_core = {name: np.moveaxis(value, -1, 0)[: self.wiring.cores] for name, value in zip(DYNAMIC, values, strict=True)}
        spikes = {}
        for index, (name, pool) in enumerate(self.plan.nodes):
            held = c.spikes[:, self.first[index] : self.first[index + 1]]
            order = self.plan.orders.get(name) if pool is None else None
            if order is not None:
                placed = np.empty_like(held)
                placed[:, order] = held
                held = placed
            spikes[name, pool] = held
        return Tally(per_core, spikes, self.active_of)
