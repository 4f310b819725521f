"""The counters of a run: the wiring in the order of the engine's neurons, and what the kernels count with it."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from neurocomp.engine.kernels.counting import ARRIVED, COLUMN, HIGH, HOST, NOTHING, QUARTET, SENT, SUMS, WORK, Counters, Meter
from neurocomp.engine.kernels.records import TILE, Array, Chunk
from neurocomp.engine.metering import DYNAMIC, IntArray, Tally, Wiring
from neurocomp.engine.plan import Plan
from neurocomp.fixedpoint import running_sum

LOW = (1 << HIGH) - 1
WAYS = 3
"""The first sums: boundaries of tiles in x and y, and of chips; then the spikes of each node, and what the wiring asks for."""

SPARSE = 2
"""A core that fewer than one in so many neurons of a node reach is listed with those neurons alone."""
MOST_HOMES = 4
"""Cores of a node for which every spike is added up; with more, each neuron knows its own."""


def _quartets(varying: Mapping[int, list[tuple[int, int, IntArray]]]) -> tuple[Array, IntArray]:
    """Return node -> (kind, place, amount of each neuron) as rows of four, and their amounts."""
    rows: list[tuple[int, ...]] = []
    values: list[IntArray] = [np.zeros(1, np.int64)]
    for node, every in varying.items():
        for start in range(0, len(every), 4):
            four = every[start : start + 4]
            none = 4 - len(four)
            kinds, places = [kind for kind, _, _ in four] + [NOTHING] * none, [place for _, place, _ in four] + [0] * none
            rows.append((node, *kinds, *places, sum(len(v) for v in values)))
            amounts = np.zeros((len(four[0][2]), 4), np.int64)
            for i, (_, _, each) in enumerate(four):
                amounts[:, i] = each
            values.append(amounts.ravel())
    return np.array(rows, QUARTET), np.concatenate(values)


class Counting:
    """Counts what happens on the cores in all samples of a run; chunks of samples may run in several threads."""

    def __init__(self, plan: Plan, wiring: Wiring, samples: int) -> None:
        self.plan, self.wiring = plan, wiring
        self.cores = max(1, wiring.cores)
        self.first = running_sum(np.array([int(n) for n in plan.tables.nodes["n"]], np.int64))
        self.neurons = max(1, int(self.first[-1]))
        shape = (samples, plan.chip_ticks, self.cores)
        sums = WAYS + len(plan.nodes) + len(wiring.sums)
        work, sent, host, arrived = (np.zeros(shape, np.int64) for _ in range(4))
        self.counters = Counters(work, sent, host, arrived, np.zeros((samples, sums), np.int64))
        self.active = np.zeros(shape, np.int64)
        self.active_of = dict.fromkeys(plan.populations, 0)
        self.spikes = np.zeros(self.neurons, np.int64)
        kept = plan.wired.get(id(wiring))
        if kept is None or kept[0] is not wiring:
            plan.wired.clear()
            kept = plan.wired[id(wiring)] = (wiring, self._meter(), *self._segments())
        _, self.meter, self.segments, self.tile_segments = kept
        self._lock = threading.Lock()

    def _held(self, name: str, values: IntArray) -> IntArray:
        """Return values per neuron in the order in which the engine holds them."""
        order = self.plan.orders.get(name)
        return values if order is None else values[order]

    def _meter(self) -> Meter:
        """Return the wiring by neuron of the engine: a column per node and core, or lists where few neurons reach it."""
        plan, wiring = self.plan, self.wiring
        number = {key: index for index, key in enumerate(plan.nodes)}
        columns: list[tuple[int, int, int, int]] = []
        varying: dict[int, list[tuple[int, int, IntArray]]] = {}
        listed: list[tuple[IntArray, ...]] = [(np.zeros(0, np.int64),) * 5]

        def column(node: int, kind: int, place: int, each: IntArray) -> None:
            if each.any():
                if (each == each[0]).all():
                    columns.append((node, kind, place, int(each[0])))
                else:
                    varying.setdefault(node, []).append((kind, place, each))

        for core, axons in enumerate(wiring.axons):
            for a in axons:
                node, (name, pool) = number[a.node], a.node
                size = int(self.first[node + 1] - self.first[node])
                work, host = (a.synaptic_events << HIGH) | a.sops, np.full(len(a.neurons), int(a.from_host))
                arrived = (a.words << HIGH) | int(a.is_message)
                if len(a.neurons) * SPARSE < size:
                    held = a.neurons if pool is not None or name not in plan.orders else plan.place(name)[a.neurons]
                    listed.append((self.first[node] + held, np.full(len(held), core), work, host, arrived))
                    continue
                for kind, amounts in ((WORK, work), (HOST, host), (ARRIVED, arrived)):
                    each = np.zeros(size, np.int64)
                    np.add.at(each, a.neurons, amounts)
                    column(node, kind, core, each if pool is not None else self._held(name, each))
        for node in range(len(plan.nodes)):
            column(node, SUMS, WAYS + node, np.ones(int(self.first[node + 1] - self.first[node]), np.int64))
        for place, total in enumerate(wiring.sums, WAYS + len(plan.nodes)):
            name, pool = total.node
            column(number[total.node], SUMS, place, total.amounts if pool is not None else self._held(name, total.amounts))
        home_of, sent_of = np.full(self.neurons, NOTHING), np.zeros(self.neurons, np.int64)
        for node, (name, pool) in enumerate(plan.nodes):
            if pool is not None or name not in wiring.homes:
                continue
            homes, ways = self._held(name, wiring.homes[name]), wiring.ways[name]
            sent = (1 << HIGH) | self._held(name, ways.cores)
            cores = np.unique(homes)
            if len(cores) > MOST_HOMES:
                own = slice(self.first[node], self.first[node + 1])
                home_of[own], sent_of[own] = homes, sent
                cores = cores[:0]
            for core in cores:
                column(node, SENT, int(core), np.where(homes == core, sent, 0))
            for place, lengths in enumerate((ways.hops_x, ways.hops_y, ways.chips)):
                column(node, SUMS, place, self._held(name, lengths))
        neuron, *rest = (np.concatenate(part) for part in zip(*listed, strict=True))
        order = np.argsort(neuron, kind="stable")
        begins = running_sum(np.bincount(neuron, minlength=self.neurons))
        quartets, values = _quartets(varying)
        return Meter(
            np.ascontiguousarray(self.first[:-1]), np.array(columns, COLUMN), quartets, values, begins,
            np.stack(rest, axis=1)[order], home_of, sent_of,
        )  # fmt: skip

    def _segments(self) -> tuple[IntArray, IntArray]:
        """Return the runs of neurons on one core, and where those of each tile begin; see `Chunk`."""
        runs: list[IntArray] = [np.zeros((0, 3), np.int64)]
        counts: list[int] = []
        for name, p in zip(self.plan.populations, self.plan.tables.populations, strict=True):
            held = self._held(name, self.wiring.homes[name])
            for start in range(0, int(p["n"]), TILE):
                part = held[start : start + TILE]
                begins = np.concatenate([[0], np.flatnonzero(np.diff(part)) + 1])
                runs.append(np.stack([begins, [*begins[1:], len(part)], part[begins]], axis=1).astype(np.int64))
                counts.append(len(begins))
        return np.concatenate(runs), running_sum(np.array(counts, np.int64))

    def spikes_of_chunk(self) -> IntArray:
        """Return where the spikes of a chunk of samples are counted."""
        return np.zeros(self.neurons, np.int64)

    def take(self, chunk: Chunk, spikes: IntArray, first: int, count: int) -> None:
        """Add what some samples counted while they ran."""
        self.active[first : first + count] = chunk.active
        with self._lock:
            self.spikes += spikes
            for name, total in zip(self.plan.populations, chunk.active_neurons.sum(axis=0), strict=False):
                self.active_of[name] += int(total)

    def tally(self) -> Tally:
        """Return what was counted, populations in their own order."""
        c = self.counters
        values = (
            c.work >> HIGH, c.work & LOW, self.active, c.sent >> HIGH, c.sent & LOW, c.host, c.arrived & LOW, c.arrived >> HIGH,
        )  # fmt: skip
        per_core = {name: np.moveaxis(value, -1, 0)[: self.wiring.cores] for name, value in zip(DYNAMIC, values, strict=True)}
        spikes = {}
        for index, (name, pool) in enumerate(self.plan.nodes):
            held = self.spikes[self.first[index] : self.first[index + 1]]
            order = self.plan.orders.get(name) if pool is None else None
            if order is not None:
                placed = np.empty_like(held)
                placed[order] = held
                held = placed
            spikes[name, pool] = held
        sums, asked = c.sums.T, WAYS + len(self.plan.nodes)
        of_samples = {(name, pool): sums[WAYS + index] for index, (name, pool) in enumerate(self.plan.nodes)}
        return Tally(per_core, sums[:WAYS], sums[asked:], spikes, of_samples, self.active_of)
