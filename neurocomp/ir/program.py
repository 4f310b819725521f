"""What a core is loaded with: tables of bytes, and the symbols that feed inputs and name results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import Diagnostic, NetworkError, broken_invariant, did_you_mean
from neurocomp.models.patterns import size_of

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PopulationSymbol:
    """Where to read a lowered population: (n,) index of the core among the program's cores, and compartment on it."""

    shape: tuple[int, ...]
    lag: int
    core: IntArray
    compartment: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class InputSymbol:
    """Where the host sends the spikes of an input population: triples (neuron, index of the core, input axon)."""

    shape: tuple[int, ...]
    neuron: IntArray
    core: IntArray
    axon: IntArray
    graded: bool = False
    """Messages carry the value of the stimulus; else each value that is not 0 sends a 1."""
    delay: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Ticks from the stimulus to the tick in which the axon is active, one per triple; empty: as soon as a message can be."""


@dataclass(frozen=True, slots=True, eq=False)
class PulseSymbol:
    """Spikes that the host sends in every sample beside the stimulus.

    Unit i spikes in the chip ticks ``first[i] .. first[i] + count[i] - 1``; triples (unit, index of the core, input axon) say
    which axons are active in the same ticks, ``delay`` later.
    """

    shape: tuple[int, ...]
    first: IntArray
    count: IntArray
    unit: IntArray
    core: IntArray
    axon: IntArray
    delay: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class OutputSymbol:
    """Lines on which spikes leave the chip: unit i of the population spikes a tick after a neuron sent to line ``line[i]``."""

    shape: tuple[int, ...]
    line: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CurrentSymbol:
    """A stimulus of currents, one value per neuron, that the host writes beside the biases of populations of its size.

    A population of lag L takes it in the chip ticks ``L .. L + ticks of the stimulus - 1``, neuron i of it value i.
    """

    shape: tuple[int, ...]
    populations: tuple[str, ...]
    """Keys of `Program.populations`."""


@dataclass(frozen=True, slots=True, eq=False)
class LearnedSymbol:
    """A projection whose weights move: where each stands follows from the axons of its source and its target's compartments."""

    source: str
    """Key of `Program.inputs` or `Program.populations`."""
    target: str
    rule: int
    """Number of its rule in the cores' tables."""
    shape: tuple[int, ...]
    """Of its weights."""
    source_neuron: IntArray
    """Of each weight, in C order."""
    target_neuron: IntArray
    modulators: tuple[str, ...] = ()
    """Keys of `Program.inputs`, whose values the host writes to the cores."""


@dataclass(frozen=True, slots=True, eq=False)
class CoreTables:
    """The tables of one core by name, each a read-only uint8 array of the chip's own layout."""

    chip: int
    core: int
    tables: Mapping[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A target program. The chip simulation decodes ``cores`` alone; symbols only feed inputs and name results."""

    backend: str
    format: str
    """Name and version of the table layout, such as ``loihi-3``."""
    cores: tuple[CoreTables, ...]
    populations: Mapping[str, PopulationSymbol]
    inputs: Mapping[str, InputSymbol]
    ticks: int
    """Ticks per sample in the user's time."""
    currents: Mapping[str, CurrentSymbol] = field(default_factory=dict)
    pulses: Mapping[str, PulseSymbol] = field(default_factory=dict)
    outputs: Mapping[str, OutputSymbol] = field(default_factory=dict)
    axons: Mapping[str, PopulationSymbol] = field(default_factory=dict)
    """Banks of input axons: where each one is, (n,) index of the core and axon on it."""
    learned: Mapping[str, LearnedSymbol] = field(default_factory=dict)

    @property
    def largest_lag(self) -> int:
        """How many chip ticks run after the last input tick."""
        return max((symbol.lag for symbol in self.populations.values()), default=0)

    def recorded(self, record: Sequence[str] | None) -> tuple[str, ...]:
        """Return what a run records, in the program's order; ``record`` names some of it, None: all.

        Raises:
            NetworkError: There is no population, input, current, source of pulses, bank of axons or output of a name (NC0201).
        """
        known = (*self.inputs, *self.currents, *self.pulses, *self.populations, *self.axons, *self.outputs)
        for name in record or ():
            if name not in known:
                hint = did_you_mean(name, known)
                raise NetworkError(Diagnostic("NC0201", f"there is no population '{name}' to record", hint=hint))
        return tuple(name for name in known if record is None or name in record)

    def extent(self, stimulus: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        """Return the samples and ticks of a stimulus; of none, for a program without inputs, one sample of its ticks.

        Raises:
            NetworkError: It is not one array of 32-bit integers (samples, ticks, n) for each input and current, of the same
                samples and ticks, those of a current with one value in all ticks (NC0211).
        """
        known: dict[str, InputSymbol | CurrentSymbol] = {**self.inputs, **self.currents}
        missing = [name for name in known if name not in stimulus]
        problems = [Diagnostic("NC0211", f"the stimulus has no array for the input '{name}'") for name in missing]
        extents: set[tuple[int, int]] = set()
        for name, values in stimulus.items():
            if name not in known:
                hint = did_you_mean(name, tuple(known))
                problems.append(Diagnostic("NC0211", f"the stimulus names '{name}', which is no input", hint=hint))
                continue
            size = size_of(known[name].shape)
            if values.ndim != 3 or values.shape[2] != size or values.shape[1] < 1:
                expected = f"(samples, ticks >= 1, {size})"
                what = f"has the shape {values.shape}; {expected} is needed"
                problems.append(Diagnostic("NC0211", f"the stimulus of '{name}' {what}"))
            elif values.dtype.kind not in "biu":
                what = f"has the dtype {values.dtype}; integers are needed"
                problems.append(Diagnostic("NC0211", f"the stimulus of '{name}' {what}"))
            elif values.size and not -(2**31) <= int(values.min()) <= int(values.max()) < 2**31:
                problems.append(Diagnostic("NC0211", f"the stimulus of '{name}' has values beyond 32 bits"))
            elif name in self.currents and (values != values[:, :1]).any():
                what = f"the current '{name}' changes within a sample; the host writes one value per sample and neuron"
                problems.append(Diagnostic("NC0211", what, hint="give each sample the same value in all its ticks"))
            else:
                extents.add((values.shape[0], values.shape[1]))
        if len(extents) > 1:
            differing = ", ".join(map(str, sorted(extents)))
            problems.append(Diagnostic("NC0211", f"inputs differ in (samples, ticks): {differing}"))
        if problems:
            raise NetworkError(problems)
        return extents.pop() if extents else (1, self.ticks)

    def verify(self) -> Program:
        """Check that the symbols lead into the cores and the tables are bytes; backends check what the bytes mean."""

        def claim(truth: bool, what: str) -> None:
            if not truth:
                raise broken_invariant("emit", what)

        cores = [(core.chip, core.core) for core in self.cores]
        claim(len(set(cores)) == len(cores), "no core is loaded twice")
        for core in self.cores:
            for name, table in core.tables.items():
                claim(table.dtype == np.uint8 and table.ndim == 1, f"table '{name}' of core {core.core} is bytes")
                claim(not table.flags.writeable, f"table '{name}' of core {core.core} is read-only")
        used: list[IntArray] = []
        for name, symbol in self.populations.items():
            size = (size_of(symbol.shape),)
            claim(symbol.core.shape == symbol.compartment.shape == size, f"each neuron of '{name}' has one compartment")
            claim(bool(((symbol.core >= 0) & (symbol.core < len(self.cores))).all()), f"the cores of '{name}' exist")
            used.append(np.stack([symbol.core, symbol.compartment], axis=1))
        slots = np.concatenate(used) if used else np.zeros((0, 2), np.int64)
        claim(len(np.unique(slots, axis=0)) == len(slots), "no compartment stands for two neurons")
        for name, source in self.inputs.items():
            size = (size_of(source.shape),)
            claim(source.neuron.shape == source.core.shape == source.axon.shape, f"input '{name}' lists triples")
            claim(bool(((source.neuron >= 0) & (source.neuron < size[0])).all()), f"the neurons of input '{name}' exist")
            claim(bool(((source.core >= 0) & (source.core < len(self.cores))).all()), f"the cores of input '{name}' exist")
            claim(source.delay.shape in ((0,), source.neuron.shape), f"the messages of input '{name}' have delays")
        for name, pulse in self.pulses.items():
            size = (size_of(pulse.shape),)
            claim(pulse.first.shape == pulse.count.shape == size, f"each unit of '{name}' has its ticks")
            lists = {pulse.unit.shape, pulse.core.shape, pulse.axon.shape, pulse.delay.shape}
            claim(len(lists) == 1, f"the pulses '{name}' list where they go")
            claim(bool(((pulse.core >= 0) & (pulse.core < len(self.cores))).all()), f"the cores of pulses '{name}' exist")
        for name, output in self.outputs.items():
            claim(output.line.shape == (size_of(output.shape),), f"each unit of the output '{name}' has a line")
        places = [np.stack([a.core, a.compartment], axis=1) for a in self.axons.values()]
        taken = np.concatenate(places) if places else np.zeros((0, 2), np.int64)
        claim(len(np.unique(taken, axis=0)) == len(taken), "no axon stands for two")
        driven = [name for current in self.currents.values() for name in current.populations]
        claim(len(set(driven)) == len(driven), "no population has two currents")
        for name, current in self.currents.items():
            claim(name not in self.inputs and name not in self.populations, f"'{name}' is a current and nothing else")
            size = (size_of(current.shape),)
            fits = all(p in self.populations and self.populations[p].core.shape == size for p in current.populations)
            claim(fits, f"the current '{name}' has a value for each neuron that it drives")
        for name, found in self.learned.items():
            claim(found.target in self.populations, f"the target of '{name}' is a population")
            claim(found.source in self.populations or found.source in self.inputs, f"the source of '{name}' exists")
            size = (size_of(found.shape),)
            claim(found.source_neuron.shape == found.target_neuron.shape == size, f"each weight of '{name}' has two ends")
            claim(all(modulator in self.inputs for modulator in found.modulators), f"what modulates '{name}' is an input")
        return self

    def digest(self) -> str:
        """Return the SHA-256 of all tables and symbols."""
        digest = hashlib.sha256()
        head: list[Any] = [self.backend, self.format, self.ticks]
        head += [[name, list(s.shape), s.lag] for name, s in self.populations.items()]
        head += [[name, list(s.shape), s.graded] for name, s in self.inputs.items()]
        head += [[name, list(s.shape), list(s.populations)] for name, s in self.currents.items()]
        head += [[core.chip, core.core, list(core.tables)] for core in self.cores]
        head += [[name, list(s.shape)] for table in (self.pulses, self.outputs) for name, s in table.items()]
        head += [[name, list(a.shape), a.lag] for name, a in self.axons.items()]
        head += [[name, s.source, s.target, s.rule, list(s.shape), list(s.modulators)] for name, s in self.learned.items()]
        digest.update(json.dumps(head).encode())
        arrays: list[NDArray[Any]] = [table for core in self.cores for table in core.tables.values()]
        for population in self.populations.values():
            arrays += [population.core, population.compartment]
        for source in self.inputs.values():
            arrays += [source.neuron, source.core, source.axon, source.delay]
        for pulse in self.pulses.values():
            arrays += [pulse.first, pulse.count, pulse.unit, pulse.core, pulse.axon, pulse.delay]
        arrays += [output.line for output in self.outputs.values()]
        for bank in self.axons.values():
            arrays += [bank.core, bank.compartment]
        for found in self.learned.values():
            arrays += [found.source_neuron, found.target_neuron]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
