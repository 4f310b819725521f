"""Corrupt one table entry of a program, so that a comparison which proves something must find it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Corruption, Injection, first_that_shows
from neurocomp.ir.program import CoreTables, Program
from neurocomp.ir.trace import Trace
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.chip import ChipSimulation

Array = NDArray[Any]
IntArray = NDArray[np.int64]


def inject(program: Program, trace: Trace, kind: str, seed: int) -> Injection:
    """Corrupt one table entry that a run exercises, chosen by ``seed``.

    The corrupted program is run on the trace's own stimulus before it is returned: spikes or v of some population differ from
    the trace. ``program`` is not modified.

    Args:
        program: A program of the format ``truenorth-1``.
        trace: A run of it in chip ticks, with the spikes and v of all populations, and the spikes of all inputs and axons.
        kind: ``weight`` (a bit of a crossbar, or what a neuron adds for an axon type), ``delay``, ``target`` (the axon of a
            neuron's packets) or ``threshold``.
        seed: Same seed, same entry.

    Raises:
        UsageError: There is no such kind (NC0801).
        NetworkError: The run exercises no entry of the kind (NC0702).
    """
    scene = _Scene.of(program, trace)
    rng = np.random.default_rng(seed)
    corrupting = {"weight": _weights, "delay": _delays, "target": _targets, "threshold": _thresholds}
    return first_that_shows(kind, lambda: corrupting[kind](scene, rng), scene.shows)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A program, decoded, and what happened in it."""

    program: Program
    trace: Trace
    images: Sequence[fm.CoreImage]
    names: Mapping[tuple[int, int], tuple[str, int]]
    """(index of the core, slot) -> (population, neuron)."""
    axons: Mapping[tuple[int, int], tuple[str, int]]
    """(index of the core, axon) -> (bank, axon of the bank)."""

    @classmethod
    def of(cls, program: Program, trace: Trace) -> _Scene:
        """Decode a program."""
        fm.check_format(program)

        def places(table: Mapping[str, Any]) -> dict[tuple[int, int], tuple[str, int]]:
            return {
                (int(core), int(slot)): (name, number)
                for name, symbol in table.items()
                for number, (core, slot) in enumerate(zip(symbol.core, symbol.compartment, strict=True))
            }

        images = [fm.unpack(core) for core in program.cores]
        return cls(program, trace, images, places(program.populations), places(program.axons))

    def shows(self, candidate: Corruption) -> bool:
        """Return whether a run of the corrupted program differs from the trace."""
        sample = slice(candidate.sample, candidate.sample + 1)
        stimulus = {name: self.trace.spikes[name][sample, : self.trace.ticks] for name in self.program.inputs}
        run = ChipSimulation().run(candidate.program, stimulus, record=[*self.program.populations, *self.program.outputs])
        if not self.trace.windowed and any(
            not np.array_equal(run.spikes[name], self.trace.spikes[name][sample]) for name in self.program.outputs
        ):
            return True
        return any(
            not np.array_equal(run.window(mine[name], name), self.trace.window(theirs[name], name)[sample])
            for mine, theirs in ((run.spikes, self.trace.spikes), (run.v, self.trace.v))
            for name in self.program.populations
        )

    def name(self, core: int, slot: int) -> str:
        """Return the neuron in a place."""
        population, neuron = self.names[core, slot]
        return f"{population}[{neuron}]"

    def axon(self, core: int, axon: int) -> str:
        """Return the axon in a place."""
        bank, number = self.axons.get((core, axon), ("", -1))
        return f"{bank}[{number}]" if bank else f"axon {axon} of core {core}"

    def with_core(self, index: int, **changed: Any) -> Program:
        """Return the program with other arrays in one core."""
        core = self.program.cores[index]
        tables = fm.pack(replace(self.images[index], **changed))
        cores = list(self.program.cores)
        cores[index] = CoreTables(core.chip, core.core, tables)
        return replace(self.program, cores=tuple(cores))

    def with_neuron(self, core: int, slot: int, field: str, value: Any) -> Program:
        """Return the program with another value in a field of one neuron."""
        neurons = self.images[core].neurons.copy()
        neurons[field][slot] = value
        return self.with_core(core, neurons=neurons)


def _busiest(spikes: Array) -> IntArray:
    """Return for each column of spikes (samples, ticks, n) the sample with most of them, -1 where there are none."""
    counts = (spikes != 0).sum(axis=1)
    return np.where(counts.any(axis=0), counts.argmax(axis=0), -1)


def _weights(scene: _Scene, rng: np.random.Generator) -> Iterator[Corruption]:
    """Yield corruptions of synapses of axons that are active: the bit, or what the neuron adds for the axon's type."""
    active = []
    for bank, symbol in scene.program.axons.items():
        sample = _busiest(scene.trace.spikes[bank])
        active += [(int(symbol.core[i]), int(symbol.compartment[i]), int(sample[i])) for i in np.flatnonzero(sample >= 0)]
    for at in rng.permutation(len(active)):
        core, axon, sample = active[at]
        image = scene.images[core]
        kind = int(image.types[axon])
        reached = np.flatnonzero(image.bits[axon] & (image.neurons["s"][:, kind] != 0) & image.used)
        if not len(reached):
            continue
        slot = int(rng.choice(reached))
        where = f"weight of {scene.axon(core, axon)} -> {scene.name(core, slot)}"
        if rng.integers(2):
            bits = image.bits.copy()
            bits[axon, slot] = False
            yield Corruption(scene.with_core(core, bits=bits), f"{where} is cleared in the crossbar", sample)
            continue
        old = int(image.neurons["s"][slot, kind])
        new = old + 1 if old < fm.LARGEST_WEIGHT else old - 1
        weights = image.neurons["s"][slot].copy()
        weights[kind] = new
        text = f"{where}, as of all axons of its type, {old} -> {new}"
        yield Corruption(scene.with_neuron(core, slot, "s", weights), text, sample)


def _senders(scene: _Scene, rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """Yield (core, slot, sample) of neurons that spike and send somewhere."""
    found = []
    for name, symbol in scene.program.populations.items():
        sample = _busiest(scene.trace.spikes[name])
        found += [(int(symbol.core[i]), int(symbol.compartment[i]), int(sample[i])) for i in np.flatnonzero(sample >= 0)]
    for at in rng.permutation(len(found)):
        core, slot, sample = found[at]
        if scene.images[core].neurons["target"][slot] != fm.NOWHERE:
            yield core, slot, sample


def _delays(scene: _Scene, rng: np.random.Generator) -> Iterator[Corruption]:
    """Yield corruptions of delays by one tick."""
    for core, slot, sample in _senders(scene, rng):
        if scene.images[core].neurons["target"][slot] != fm.CORE:
            continue
        old = int(scene.images[core].neurons["delay"][slot])
        new = old + 1 if old < fm.LAST_DELAY else old - 1
        text = f"delay of {scene.name(core, slot)} {old} -> {new} ticks"
        yield Corruption(scene.with_neuron(core, slot, "delay", new), text, sample)


def _targets(scene: _Scene, rng: np.random.Generator) -> Iterator[Corruption]:
    """Yield neurons that send to another axon of the core, or on another line."""
    places = {(image.x, image.y): index for index, image in enumerate(scene.images)}
    for core, slot, sample in _senders(scene, rng):
        record = scene.images[core].neurons[slot]
        if record["target"] == fm.OUTPUT:
            old, lines = int(record["axon"]), sum(len(output.line) for output in scene.program.outputs.values())
            new = (old + 1 + int(rng.integers(lines - 1))) % lines if lines > 1 else old + 1
            text = f"target of {scene.name(core, slot)}, line {old}, becomes line {new}"
            yield Corruption(scene.with_neuron(core, slot, "axon", new), text, sample)
            continue
        there = places.get((scene.images[core].x + int(record["dx"]), scene.images[core].y + int(record["dy"])))
        if there is None:
            continue
        old = int(record["axon"])
        new = (old + 1 + int(rng.integers(fm.AXONS - 1))) % fm.AXONS
        text = f"target of {scene.name(core, slot)}, {scene.axon(there, old)}, becomes {scene.axon(there, new)}"
        yield Corruption(scene.with_neuron(core, slot, "axon", new), text, sample)


def _thresholds(scene: _Scene, rng: np.random.Generator) -> Iterator[Corruption]:
    """Yield thresholds that make a neuron spike at its largest potential, or keep it from spiking."""
    neurons = [(name, i) for name, symbol in scene.program.populations.items() for i in range(len(symbol.core))]
    for at in rng.permutation(len(neurons)):
        name, neuron = neurons[at]
        symbol = scene.program.populations[name]
        core, slot = int(symbol.core[neuron]), int(symbol.compartment[neuron])
        old = int(scene.images[core].neurons["alpha"][slot])
        spikes = scene.trace.window(scene.trace.spikes[name], name)[:, :, neuron] != 0
        quiet = np.where(spikes, -1, scene.trace.window(scene.trace.v[name], name)[:, :, neuron])
        sample, new = int(quiet.max(axis=1).argmax()), int(quiet.max())
        if not 0 <= new < old:
            if not spikes.any():
                continue
            sample, new = int(spikes.any(axis=1).argmax()), (1 << fm.THRESHOLD_BITS) - 1
        if new != old:
            text = f"threshold of {name}[{neuron}] {old} -> {new}"
            yield Corruption(scene.with_neuron(core, slot, "alpha", new), text, sample)
