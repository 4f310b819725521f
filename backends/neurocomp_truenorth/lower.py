"""Lowering to TrueNorth: a plan of the network, then crossbars, axons and neurons with one target each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Lowering
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork, Part, Representative
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import (
    AXON_TYPES,
    ROW_BYTES,
    Crossbar,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    QuantizedNetwork,
)
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp_truenorth.options import TrueNorthOptions
from neurocomp_truenorth.plan import Placed, Plan, Planner, hold_name

IntArray = NDArray[np.int64]


def lower(quantized: QuantizedNetwork, spec: HardwareSpec, options: TrueNorthOptions, calibration: Trace | None) -> Lowering:
    """Rewrite the logical network into blocks that fit a core.

    The caller has checked the network: `neurocomp_truenorth.check.check_quantized` finds nothing.

    Raises:
        CapacityError: Fan-out, axon types or timing do not work out (NC0412 to NC0414).
    """
    plan = Planner(quantized.network, spec, options, calibration).plan()
    network = crossbars(plan)
    return Lowering(network, network.notes)


def crossbars(plan: Plan) -> LoweredNetwork:
    """Return the network of a plan: physical neurons, axons, the crossbars between them, and where each neuron sends."""
    return _Builder(plan).build()


@dataclass(slots=True)
class _Feeds:
    """Who drives which axon of one bank: one entry per source neuron (in the user's network) and axon."""

    source: list[IntArray] = field(default_factory=list)
    axon: list[IntArray] = field(default_factory=list)
    delay: list[IntArray] = field(default_factory=list)


class _Builder:
    """Applies one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.network = plan.network
        self.populations: dict[str, IntegerPopulation] = {}
        self.projections: list[IntegerProjection] = []
        self.crossbars: list[Crossbar] = []
        self.parts: dict[str, Part] = {}
        self.merges: dict[str, IntArray] = {}
        self.first: dict[str, IntArray] = {}
        """Population -> the physical neuron of each neuron's first copy."""
        self.holds = {hold_name(name) for name, start in plan.starts.items() if start.hold is not None}
        self.used: dict[str, IntArray] = {}
        """Population -> how many copies of each neuron have a target."""

    def build(self) -> LoweredNetwork:
        """Return the lowered network."""
        plan = self.plan
        feeds: dict[tuple[str, str], _Feeds] = {}
        homes = {member: placed for name, placed in plan.placed.items() for member in plan.members[name]}
        for p in self.network.populations.values():
            if p.is_input:
                self.populations[p.name] = p
            else:
                self._neurons(p, homes[p.name], self._first(p.name))
        for name, placed in plan.placed.items():
            self._bank(name, placed, feeds)
        lag = {name: plan.lag[name] for name in self.populations if name in plan.lag}
        for name in plan.placed:
            lag[f"{name}.axons"] = plan.lag[name]
        for (source, target), found in feeds.items():
            self._route(source, target, found)
        for name, sender in plan.outputs.items():
            lag[f"{name}.out"] = plan.lag[sender]
            self._output(name, sender)
        lowered = replace(
            self.network, populations=self.populations, projections=tuple(self.projections),
            crossbars=tuple(self.crossbars), outputs=tuple(f"{name}.out" for name in plan.outputs),
        )  # fmt: skip
        return LoweredNetwork(lowered, lag, self._map(), self._notes(lag), parts=self.parts, declared_merges=self.merges)

    def _first(self, name: str) -> int:
        """Return the number of a population's first neuron among those that share its cores."""
        members = next(found for found in self.plan.members.values() if name in found)
        return sum(self.network.populations[member].size for member in members[: members.index(name)])

    def _neurons(self, p: IntegerPopulation, placed: Placed, begin: int) -> None:
        """Write the physical neurons of a population, block by block, the copies of a neuron side by side."""
        blocks = _of_member(placed, begin, p.size)
        order = np.concatenate([np.zeros(0, np.int64), *blocks])
        each = placed.copies[begin + order]
        logical = np.repeat(order, each)
        first = np.zeros(p.size, np.int64)
        first[order] = np.cumsum(each) - each
        start = self.plan.starts[p.name]
        parameters = {**{key: p.values(key) for key in p.parameters}, "V": start.v, "b": np.zeros(p.size, np.int64)}
        physical = {key: frozen(values[logical], np.int64) for key, values in parameters.items()}
        self.populations[p.name] = replace(p, shape=(len(logical),), parameters=physical)
        part = self.plan.parts[p.name]
        unit = None if part.unit is None else frozen(part.unit[logical])
        self.parts[p.name] = Part(part.logical, part.role, frozen(part.neurons[logical]), unit, part.pool)
        self.first[p.name], self.used[p.name] = first, np.zeros(p.size, np.int64)

    def _bank(self, name: str, placed: Placed, feeds: dict[tuple[str, str], _Feeds]) -> None:
        """Write the axons of a population and its guests, and a crossbar for each."""
        inputs, plan = placed.inputs, self.plan
        bank = f"{name}.axons"
        axons = list(placed.axons)
        every = np.concatenate([np.zeros(0, np.int64), *axons])
        line, slot = every // inputs.slots, every % inputs.slots
        types, slots = inputs.types[slot], inputs.lines.slot[line]
        if not len(every):
            # Neurons that hear nothing have an axon that nobody drives: a bank is never empty.
            axons[0], types, slots = np.full(1, -1), np.zeros(1, np.int64), np.zeros(1, np.int64)
        axon_start = frozen(np.cumsum([0, *map(len, axons)]), np.int64)
        origin = self.network.populations[name].origin
        self.populations[bank] = IntegerPopulation(bank, (len(types),), "axons", {}, origin=origin)
        for member in plan.members[name]:
            self._crossbar(member, bank, placed, axons, axon_start, types, slots)
        several = np.diff(inputs.line_start) > 1
        if several.any():
            self.merges[bank] = frozen(np.flatnonzero(several[line]))
        for number, sender in enumerate(inputs.lines.senders):
            own = np.flatnonzero(inputs.lines.sender[line] == number)
            if not len(own):
                continue
            found = feeds.setdefault((sender.population, name), _Feeds())
            at = line[own]
            count = inputs.line_start[at + 1] - inputs.line_start[at]
            begin = np.repeat(inputs.line_start[at] - (np.cumsum(count) - count), count)
            found.source.append(inputs.line_sources[begin + np.arange(int(count.sum()))])
            found.axon.append(np.repeat(own, count))
            late = plan.lag[name] - plan.lag[sender.population]
            found.delay.append(np.repeat(inputs.lines.delay[at] + late, count))

    def _crossbar(
        self, name: str, bank: str, placed: Placed, axons: Sequence[IntArray], axon_start: IntArray, types: IntArray,
        slots: IntArray,
    ) -> None:  # fmt: skip
        """Write the bits between a bank and the neurons of one population."""
        p, inputs, begin = self.network.populations[name], placed.inputs, self._first(name)
        neuron_start, rows, order = [0], [np.zeros((0, ROW_BYTES), np.uint8)], [np.zeros(0, np.int64)]
        for own, block in zip(axons, _of_member(placed, begin, p.size), strict=True):
            each = placed.copies[begin + block]
            needed = np.concatenate([np.zeros(0, np.int64), *(inputs.needs.by_neuron(int(begin + j)) for j in block)])
            local = np.repeat(np.arange(len(block)), np.diff(inputs.needs.start)[begin + block])
            bits = np.zeros((len(own), len(block)), np.bool_)
            bits[np.searchsorted(own, needed), local] = True
            rows.append(Crossbar.packed(np.repeat(bits, each, axis=1)))
            order.append(np.repeat(block, each))
            neuron_start.append(neuron_start[-1] + int(each.sum()))
        logical = np.concatenate(order)
        s = inputs.codebook.s[begin + logical]
        b = np.repeat(p.values("b")[logical, None], AXON_TYPES, axis=1) * (s != 0)
        self.crossbars.append(
            Crossbar(
                name, bank, name, axon_start, frozen(neuron_start, np.int64), frozen(types), frozen(np.concatenate(rows)),
                frozen(s), frozen(b), frozen(slots),
            )
        )  # fmt: skip

    def _route(self, source: str, target: str, found: _Feeds) -> None:
        """Let the copies of a population's neurons, one each, drive axons of a bank."""
        neuron, axon, delay = (np.concatenate(parts) for parts in (found.source, found.axon, found.delay))
        if source in self.first:
            neuron = self._copies(source, neuron)
        self._connect(f"{source}->{target}", source, f"{target}.axons", neuron, axon, delay)

    def _copies(self, source: str, neuron: IntArray) -> IntArray:
        """Return a physical neuron that has no target yet for each entry of logical ones."""
        order = np.argsort(neuron, kind="stable")
        ordered = neuron[order]
        starts = np.searchsorted(ordered, ordered)
        rank = np.empty(len(neuron), np.int64)
        rank[order] = np.arange(len(neuron)) - starts
        physical = self.first[source][neuron] + self.used[source][neuron] + rank
        np.add.at(self.used[source], neuron, 1)
        return np.asarray(physical)

    def _connect(self, name: str, source: str, target: str, sources: IntArray, targets: IntArray, delay: IntArray) -> None:
        arrays = {"sources": frozen(sources, np.int64), "targets": frozen(targets, np.int64)}
        ones = frozen(np.ones(len(sources)), np.uint8)
        self.projections.append(
            IntegerProjection(
                name, source, target, Pattern("sparse", arrays), ones, 0, "excitatory", 8, 0, frozen(delay, np.int64)
            )
        )

    def _output(self, name: str, sender: str) -> None:
        """Let a copy of each neuron send its spikes off the chip."""
        p, line = self.network.populations[name], f"{name}.out"
        self.populations[line] = IntegerPopulation(line, p.shape, "axons", {}, origin=p.origin)
        neurons = np.arange(p.size)
        self._connect(f"{name}->{line}", sender, line, self._copies(sender, neurons), neurons, np.ones(p.size, np.int64))

    def _map(self) -> dict[str, Representative]:
        plan = self.plan
        result: dict[str, Representative] = {}
        for p in self.network.populations.values():
            part = plan.parts.get(p.name)
            if part is None and p.name not in self.holds:
                result[p.name] = Representative(p.name, 0)
            elif part is not None and part.role == "neuron":
                reason = plan.lossy.get(p.name)
                result[p.name] = Representative(
                    p.name, plan.lag[p.name], reason is not None, reason, neurons=frozen(self.first[p.name])
                )
        return result

    def _notes(self, lag: Mapping[str, int]) -> tuple[str, ...]:
        """Return one line per technique that ran, and what each population takes."""
        plan, notes = self.plan, list(self.plan.notes)
        late = ", ".join(f"{name} +{plan.lag[name]}" for name in plan.parts if plan.lag[name])
        if late:
            notes.append(f"lags: every hop takes a tick, so populations run late, in ticks: {late}")
        for bank, merged in self.merges.items():
            notes.append(f"maxima: {len(merged)} axons of '{bank.removesuffix('.axons')}' take the OR of their sources, free")
        for name, placed in plan.placed.items():
            inputs = placed.inputs
            used = sum(map(len, placed.axons))
            size = len(placed.copies)
            names = "' and '".join(plan.members[name])
            notes.append(
                f"crossbars: '{names}', {size} neurons, {inputs.lines.count} inputs x up to {inputs.slots}: "
                f"{len(placed.blocks)} block{'s' if len(placed.blocks) > 1 else ''}, {used} axons, "
                f"{int(placed.copies.sum())} neurons on them"
            )
        return tuple(notes)


def _of_member(placed: Placed, begin: int, size: int) -> list[IntArray]:
    """Return the neurons of one population in each block, by their own numbers."""
    return [block[(block >= begin) & (block < begin + size)] - begin for block in placed.blocks]


__all__ = ["IntegerNetwork", "crossbars", "lower"]
