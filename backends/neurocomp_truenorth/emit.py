"""From a mapped network to the bytes that each core is loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork, mesh_place
from neurocomp.ir.network import frozen
from neurocomp.ir.program import CoreTables, InputSymbol, OutputSymbol, PopulationSymbol, Program, PulseSymbol
from neurocomp.ir.quantized import Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp_truenorth import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]


def emit(mapped: MappedNetwork, spec: HardwareSpec) -> Program:
    """Write the tables of every core.

    Raises:
        InternalError: The network is not what the stages before promise.
    """
    network, lag = mapped.lowered.network, mapped.lowered.lag
    for p in network.populations.values():
        known = p.dynamics in ("input", "pulse", "axons", "truenorth")
        _claim(known and p.start == 0 and p.current is None, f"cores of crossbars do what '{p.name}' does")
    lines = _lines(network)
    images = _Images.of(mapped, spec)
    for crossbar in network.crossbars:
        images.add_crossbar(crossbar)
    for name in mapped.placements:
        images.add_neurons(network.populations[name], lag[name])
    for q in network.projections:
        if not network.populations[q.source].is_input:
            images.add_targets(q, lines)
    cores = tuple(CoreTables(core.chip, core.core, images.tables(index)) for index, core in enumerate(mapped.cores))

    def symbols(table: Mapping[str, Any]) -> dict[str, PopulationSymbol]:
        return {
            name: PopulationSymbol(network.populations[name].shape, lag[name], frozen(place.core), frozen(place.slot))
            for name, place in table.items()
        }

    inputs = {p.name: _input(mapped, p) for p in network.populations.values() if p.dynamics == "input"}
    pulses = {p.name: _pulse(mapped, p) for p in network.populations.values() if p.dynamics == "pulse"}
    outputs = {name: OutputSymbol(network.populations[name].shape, frozen(line)) for name, line in lines.items()}
    return Program(
        "truenorth", fm.PROGRAM_FORMAT, cores, symbols(mapped.placements), inputs, network.ticks, {}, pulses, outputs,
        symbols(mapped.axons),
    )  # fmt: skip


def utilization(program: Program, spec: HardwareSpec) -> Mapping[str, tuple[int, int, int]]:
    """Return resource -> (used over all cores, available per core, used on the fullest core).

    Neurons and set bits are read from the bytes. Bytes do not say which axons exist; those of the symbols are counted.
    """
    neurons = [int(((_neurons(core)["flags"] & fm.USED) != 0).sum()) for core in program.cores]
    bits = [int(np.unpackbits(core.tables["crossbar"]).sum()) for core in program.cores]
    axons = np.zeros(len(program.cores), np.int64)
    for bank in program.axons.values():
        np.add.at(axons, bank.core, 1)
    limits = spec.limit("neurons"), spec.limit("input_axons")
    return {
        "neurons": (sum(neurons), limits[0], max(neurons, default=0)),
        "input_axons": (int(axons.sum()), limits[1], int(axons.max(initial=0))),
        "crossbar_bits": (sum(bits), limits[0] * limits[1], max(bits, default=0)),
    }


def _neurons(core: CoreTables) -> Array:
    return np.frombuffer(core.tables["neurons"].tobytes(), fm.NEURON)


def _claim(truth: bool, what: str) -> None:
    if not truth:
        raise broken_invariant("emit", what)


def _lines(network: IntegerNetwork) -> dict[str, IntArray]:
    """Return the lines on which spikes leave the chip, numbered over all populations of such lines."""
    banks = {c.axons for c in network.crossbars}
    found, first = {}, 0
    for p in network.populations.values():
        if p.dynamics == "axons" and p.name not in banks:
            found[p.name] = first + np.arange(p.size)
            first += p.size
    return found


def pairs_of(q: IntegerProjection) -> tuple[IntArray, IntArray, IntArray, NDArray[np.bool_]]:
    """Return source, target, delay and whether it arrives of each synapse of a projection."""
    _claim(q.pattern.kind == "sparse" and q.pool is None, f"'{q.name}' is a list of synapses")
    arrives = q.mantissa != 0
    _claim(bool((q.mantissa[arrives] == 1).all()) and q.shift == q.exponent == 0, f"the weights of '{q.name}' are 0 or 1")
    delay = np.broadcast_to(q.delay, q.mantissa.shape).astype(np.int64)
    return q.pattern.arrays["sources"], q.pattern.arrays["targets"], delay, np.asarray(arrives, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """All cores as arrays; the first axis is the core."""

    mapped: MappedNetwork
    places: IntArray
    """(cores, 2)."""
    types: NDArray[np.uint8]
    rows: NDArray[np.uint8]
    """The crossbars, (cores, 256 axons, 32 bytes)."""
    neurons: Array
    keys: Array
    slots: Array

    @classmethod
    def of(cls, mapped: MappedNetwork, spec: HardwareSpec) -> _Images:
        """Return cores without anything."""
        n = len(mapped.cores)
        places = np.array([mesh_place(core, spec) for core in mapped.cores], np.int64).reshape(-1, 2)
        return cls(
            mapped, places, np.zeros((n, fm.AXONS), np.uint8), np.zeros((n, fm.AXONS, fm.NEURONS // 8), np.uint8),
            np.zeros((n, fm.NEURONS), fm.NEURON), np.zeros((n, fm.NEURONS), fm.KEY), np.zeros((n, fm.AXONS), fm.SLOT),
        )  # fmt: skip

    def add_crossbar(self, c: Crossbar) -> None:
        """Write the bits and types of the axons, and the weights of the neurons."""
        axons, neurons = self.mapped.axons[c.axons], self.mapped.placements[c.neurons]
        self.types[axons.core, axons.slot] = c.types
        self.slots[axons.core, axons.slot] = c.slots
        for block in range(c.blocks):
            own, columns = c.of(block)
            bits = c.connected(block)
            if not bits.size:
                continue
            core, first = int(axons.core[own.start]), int(neurons.slot[columns.start])
            following = np.array_equal(neurons.slot[columns], first + np.arange(bits.shape[1]))
            _claim(following, f"the neurons of a block of '{c.name}' follow one another")
            wide = np.zeros((len(bits), fm.NEURONS), np.bool_)
            wide[:, first : first + bits.shape[1]] = bits
            self.rows[core, axons.slot[own]] |= np.packbits(wide, axis=1, bitorder="little")
        records = self.neurons
        records["s"][neurons.core, neurons.slot] = c.s
        records["flags"][neurons.core, neurons.slot] |= (c.b << np.arange(fm.TYPES)).sum(axis=1).astype(np.uint16)

    def add_neurons(self, p: IntegerPopulation, lag: int) -> None:
        """Write the parameters of a population's neurons."""
        place = self.mapped.placements[p.name]
        at = place.core, place.slot
        for name in ("alpha", "beta", "R", "V", "lambda", "TM"):
            self.neurons[name][at] = p.values(name)
        flags = np.where(p.values("c_lambda") != 0, fm.STOCHASTIC_LEAK, 0)
        flags |= np.where(p.values("epsilon") != 0, fm.LEAK_REVERSAL, 0)
        flags |= np.where(p.values("kappa") != 0, fm.SATURATES, 0)
        flags |= p.values("gamma") << fm.RESET_SHIFT
        flags |= np.where(p.values("symmetric") != 0, fm.SYMMETRIC, 0)
        self.neurons["flags"][at] |= (flags | fm.USED).astype(np.uint16)
        self.keys["seed"][at], self.keys["key"][at], self.keys["lag"][at] = p.values("seed"), p.values("key"), lag

    def add_targets(self, q: IntegerProjection, lines: Mapping[str, IntArray]) -> None:
        """Write where the spikes of neurons go."""
        source, target, delay, arrives = pairs_of(q)
        _claim(bool(((delay >= 1) & ((delay <= fm.LAST_DELAY) | ~arrives)).all()), f"delays of '{q.name}' fit the scheduler")
        place = self.mapped.placements[q.source]
        at = place.core[source], place.slot[source]
        once = len(np.unique(source)) == len(source) and not self.neurons["target"][at].any()
        _claim(once, f"each neuron of '{q.source}' has one target")
        if q.target in lines:
            _claim(bool((delay == 1).all() and arrives.all()), f"'{q.name}' leaves the chip")
            self.neurons["target"][at], self.neurons["axon"][at] = fm.OUTPUT, lines[q.target][target]
            return
        bank = self.mapped.axons[q.target]
        core = bank.core[target]
        distance = self.places[core] - self.places[place.core[source]]
        self.neurons["target"][at], self.neurons["axon"][at] = fm.CORE, bank.slot[target]
        self.neurons["dx"][at], self.neurons["dy"][at] = distance[:, 0], distance[:, 1]
        self.neurons["delay"][at] = np.where(arrives, delay, fm.LAST_DELAY + 1)

    def tables(self, core: int) -> dict[str, fm.ByteArray]:
        """Return the tables of a core."""
        bits = np.unpackbits(self.rows[core], axis=1, bitorder="little").astype(np.bool_)
        x, y = self.places[core].tolist()
        keys = slots = None
        if fm.is_stochastic(self.neurons[core]).any():
            keys, slots = self.keys[core], self.slots[core]
        return fm.pack(fm.CoreImage(x, y, self.types[core], bits, self.neurons[core], keys, slots))


# Symbols


def host_messages(mapped: MappedNetwork, name: str) -> IntArray:
    """Return where the spikes of a population of the host go: (messages, 4) of neuron, core, axon and delay, sorted."""
    found = [np.zeros((0, 4), np.int64)]
    for q in mapped.lowered.network.projections:
        if q.source != name:
            continue
        source, target, delay, arrives = pairs_of(q)
        _claim(q.target in mapped.axons, f"'{q.name}' leads to axons of cores")
        bank = mapped.axons[q.target]
        found.append(np.stack([source, bank.core[target], bank.slot[target], delay], axis=1)[arrives])
    table = np.concatenate(found)
    return np.asarray(table[np.lexsort(table.T[::-1])])


def _columns(table: IntArray) -> list[IntArray]:
    return [frozen(np.ascontiguousarray(column)) for column in table.T]


def _input(mapped: MappedNetwork, p: IntegerPopulation) -> InputSymbol:
    neuron, core, axon, delay = _columns(host_messages(mapped, p.name))
    return InputSymbol(p.shape, neuron, core, axon, False, delay)


def _pulse(mapped: MappedNetwork, p: IntegerPopulation) -> PulseSymbol:
    unit, core, axon, delay = _columns(host_messages(mapped, p.name))
    first, count = (frozen(p.values(name).copy()) for name in ("first", "count"))
    return PulseSymbol(p.shape, first, count, unit, core, axon, delay)
