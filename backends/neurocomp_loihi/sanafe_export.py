"""Writes a mapped network for the simulator SANA-FE, as docs/sanafe.md describes: ``arch.yaml`` and ``net.yaml``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Stimulus
from neurocomp.data.whole_file import made_folder, whole_file
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.fixedpoint import running_sum
from neurocomp.hardware import HardwareSpec, Sourced
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import IntegerPopulation
from neurocomp_loihi import formats as fm

Array = NDArray[Any]
IntArray = NDArray[np.int64]

MOST_SYNAPSES = 4_000_000
"""What a network may have: each one is a line of some 40 bytes."""
NEVER = 1 << 30
"""The threshold of neurons that never spike: potentials stay below 2**24."""
COSTS = "sanafe"
"""The cost source of a spec whose energies and times are those of SANA-FE's own model."""
EVENTS = {
    "synapse": "synaptic_event",
    "access": "neuron_update_inactive",
    "spike": "spike",
    "axon_in": "packet_received",
    "axon_out": "packet",
    "hop_x": "hop_x",
    "hop_y": "hop_y",
}
"""Part of a core -> the event of a spec. ``update`` is what an active update takes more than an inactive one."""
LINK_BUFFER = 16
"""Messages that a link holds, of the same model."""
HOPS = {"north": "hop_y", "south": "hop_y", "east": "hop_x", "west": "hop_x"}


def export_sanafe(
    path: Path, mapped: MappedNetwork, program: Program, spec: HardwareSpec, stimulus: Stimulus
) -> Mapping[str, int]:
    """Write a folder; see `neurocomp.backend.Exporter`.

    Synapses are those of the emitted tables, so that SANA-FE visits what the cores store. What its models do not do as
    the chip does it is counted in the summary, and in the head of ``net.yaml``.

    Raises:
        UnsupportedError: Spikes carry values (NC0342), or there are more than `MOST_SYNAPSES` synapses (NC0343).
    """
    _refuse(mapped, program, stimulus)
    writer = _Writer.of(mapped, program, spec, stimulus)
    writer.note_neurons()
    synapses = writer.note_synapses()
    if synapses > MOST_SYNAPSES:
        message = f"the cores store {synapses:,} synapses; files for SANA-FE hold at most {MOST_SYNAPSES:,}"
        hint = "export a smaller network, or use --format integers, which keeps the patterns of connections"
        raise UnsupportedError(Diagnostic("NC0343", message, hint=hint))
    made_folder(path)
    with whole_file(path / "arch.yaml") as architecture, whole_file(path / "net.yaml") as network:
        architecture.writelines(part.encode() for part in writer.architecture())
        network.writelines(part.encode() for part in writer.network())
    counts = {"tiles": len(writer.tiles_in_use), "cores": len(mapped.cores)}
    counts |= {"neurons": sum(len(place.core) for place in mapped.placements.values()), "input_neurons": writer.n_inputs}
    return counts | {"synapses": synapses, "ticks": writer.ticks} | writer.differences


def _decoded(program: Program) -> Iterator[fm.DecodedCore]:
    """Yield the cores one at a time: decoded they take far more memory than as bytes."""
    return map(fm.decode_core, program.cores)


def _refuse(mapped: MappedNetwork, program: Program, stimulus: Stimulus) -> None:
    """Refuse spikes that are more than a 1: messages of SANA-FE carry none."""
    problems = [
        Diagnostic("NC0342", f"'{p.name}' sends +1 and -1; spikes of SANA-FE have no sign", p.origin)
        for p in mapped.lowered.network.populations.values()
        if p.dynamics == "ternary"
    ]
    problems += [
        Diagnostic("NC0342", f"'{p.name}' has the model {p.program}, a program of its own; SANA-FE has compartments", p.origin)
        for p in mapped.lowered.network.populations.values()
        if p.program is not None
    ]
    for name, source in program.inputs.items():
        values = stimulus.get(name, np.zeros(0, np.int64))
        if source.graded and ((values != 0) & (values != 1)).any():
            message = f"the input '{name}' has spikes of other values than 1; those of SANA-FE carry none"
            problems.append(Diagnostic("NC0342", message, mapped.lowered.network.populations[name].origin))
    for q in mapped.lowered.network.projections:
        if q.learning is not None:
            problems.append(Diagnostic("NC0342", f"'{q.name}' learns; synapses of SANA-FE keep their weights", q.origin))
    if problems:
        raise UnsupportedError(problems)


@dataclass(frozen=True, slots=True, eq=False)
class _Writer:
    """What both files say, text piece by piece."""

    mapped: MappedNetwork
    program: Program
    spec: HardwareSpec
    stimulus: Stimulus
    groups: Mapping[str, str]
    """Population with neurons, or of inputs -> its name in SANA-FE."""
    ticks: int
    """Of the chip, to run."""
    differences: dict[str, int] = field(default_factory=dict)
    """What SANA-FE does not do as the chip does it -> how often."""

    @classmethod
    def of(cls, mapped: MappedNetwork, program: Program, spec: HardwareSpec, stimulus: Stimulus) -> _Writer:
        """Take what is exported."""
        ticks = program.extent(stimulus)[1] if stimulus else program.ticks
        names = group_names([*program.inputs, *program.populations])
        return cls(mapped, program, spec, stimulus, names, ticks + program.largest_lag)

    @property
    def lowered(self) -> LoweredNetwork:
        """The network of the chip's own parts."""
        return self.mapped.lowered

    @property
    def n_inputs(self) -> int:
        """Input neurons."""
        return sum(self.lowered.network.populations[name].size for name in self.program.inputs)

    @property
    def columns(self) -> int:
        """Tiles of all chips in the direction of x; they lie side by side."""
        return self.spec.mesh.tiles_x * (1 + max((core.chip for core in self.mapped.cores), default=0))

    @property
    def host(self) -> int:
        """The tile of the host, beside the chips."""
        return self.columns * self.spec.mesh.tiles_y

    def place(self, index: int) -> tuple[int, int]:
        """Return the tile of a core, which SANA-FE numbers column by column, and its number there."""
        core, mesh = self.mapped.cores[index], self.spec.mesh
        x = core.chip * mesh.tiles_x + core.tile[0]
        return x * mesh.tiles_y + core.tile[1], core.core % mesh.cores_per_tile

    @property
    def tiles_in_use(self) -> set[int]:
        """The tiles that hold neurons."""
        return {self.place(index)[0] for index in range(len(self.mapped.cores))}

    def _kept(self, p: IntegerPopulation) -> IntArray:
        """Return what is kept of 2**decay_bits of the current of each neuron, (n,)."""
        form = self.lowered.network.number_format
        return np.asarray(form.decay_one - p.values("du") - form.current_decay_offset)

    @property
    def currents(self) -> int:
        """Dendrites with a current that each core needs: SANA-FE keeps one in each, so a compartment has one of its number."""
        populations = self.lowered.network.populations
        places = (s.compartment for name, s in self.program.populations.items() if self._kept(populations[name]).any())
        return max((int(compartment.max()) + 1 for compartment in places), default=0)

    # What differs

    def note_neurons(self) -> None:
        """Count the neurons that SANA-FE's model does not update as ours."""
        for name in self.program.populations:
            p = self.lowered.network.populations[name]
            every = np.ones(p.size, np.bool_)
            self._note("neurons_whose_current_waits_for_messages", self._kept(p) != 0)
            self._note("neurons_without_rounding", (p.values("dv") != 0) | (self._kept(p) != 0))
            self._note("neurons_without_their_first_state", (p.values("u_init") != 0) | (p.values("v_init") != 0))
            self._note("neurons_without_their_reset_schedule", every & (p.reset_interval is not None))
            self._note("neurons_without_their_late_start", every & (p.start > 0))
            self._note("neurons_with_an_early_current", every & (p.current is not None and self.lowered.lag[name] > 0))

    def note_synapses(self) -> int:
        """Return how many synapses the cores store, those of a shared row once for each of its axons.

        Those whose delay SANA-FE leaves out are counted, and the axons that have none and get one of weight 0.
        """
        synapses = 0
        for d in _decoded(self.program):
            first, last = _rows(d)
            late = running_sum(d.rows.delay > 0)
            self._note("synapses_without_their_delay", (late[last] - late[first])[d.axon_row])
            self._note("axons_without_synapses", (last == first)[d.axon_row])
            synapses += int((last - first)[d.axon_row].sum())
        return synapses

    def _note(self, what: str, of: Array) -> None:
        if count := int(of.sum()):
            self.differences[what] = self.differences.get(what, 0) + count

    def _head(self, title: str) -> Iterator[str]:
        yield _comment(f"{title}, written by neurocomp; its docs/sanafe.md says what is exact.")
        yield _comment(f"Run it for {self.ticks} ticks: one sample, and what is still on its way behind it.")

    # arch.yaml

    def architecture(self) -> Iterator[str]:
        """Yield the description of the chips, with one tile more where the host sends spikes."""
        mesh, tiles = self.spec.mesh, self.host
        yield from self._head(f"SANA-FE architecture: {self.spec.title}")
        yield _comment("Chips lie side by side: what crosses from one to the next is a hop like others.")
        costs, barrier = self._costs(), self._barrier()
        yield from map(_comment, costs.notes)
        yield f"architecture:\n  name: {json.dumps(self.spec.name)}\n  attributes:\n    topology: mesh\n"
        yield f"    width: {self.columns + (self.n_inputs > 0)}\n    height: {mesh.tiles_y}\n"
        yield f"    link_buffer_size: {LINK_BUFFER}\n    latency_sync: {barrier:.4e}\n  tile:\n"
        yield _tile(f"tile[0..{tiles - 1}]", costs)
        somas, dendrites = {"lif": "leaky_integrate_fire"}, {"sum": "accumulator"}
        with_current = {f"current[0..{self.currents - 1}]": "taps"} if self.currents else {}
        cores, neurons = f"core[0..{mesh.cores_per_tile - 1}]", self.spec.limit("neurons")
        yield _core(cores, neurons, costs, dendrites | with_current, somas)
        if self.n_inputs:
            yield _comment("The host: each input neuron has a soma of its own there. What it does is free, the hops are not.")
            yield _tile("host", costs)
            yield _core("host[0..0]", self.n_inputs, _Costs(), dendrites, {f"input[0..{self.n_inputs - 1}]": "input"})

    def _barrier(self) -> float:
        times = self.spec.times.get(COSTS)
        barrier = times.barrier_of(len(self.tiles_in_use)) if times is not None else None
        return barrier.value if barrier is not None else 0.0

    def _costs(self) -> _Costs:
        source = COSTS if COSTS in self.spec.costs else self.spec.default_costs
        if not source:
            return _Costs(notes=(f"{self.spec.file} states no costs: energies and latencies are 0.",))
        table, times = self.spec.costs[source], self.spec.times.get(COSTS)
        keys = dict.fromkeys(cost.source.split(",")[0] for cost in table.values())
        notes = [f"Energies: the costs '{source}' of {self.spec.file}."]
        notes += [self.spec.sources.get(key, key) for key in keys]
        notes.append(
            "Latencies: SANA-FE's own of Loihi (Boyle 2025)." if times is not None else "Latencies are not published: 0."
        )
        return _Costs(_by_part(table), _by_part(times.events) if times is not None else {}, tuple(notes))

    # net.yaml

    def network(self) -> Iterator[str]:
        """Yield the network and its places."""
        yield from self._head("SANA-FE network")
        if self.differences:
            yield _comment("SANA-FE's models do not do all that the chip does. What differs, and how often:")
            yield from (_comment(f"- {count:,} {what.replace('_', ' ')}") for what, count in self.differences.items())
        yield from (_comment(f"'{group}' is '{name}'.") for name, group in self.groups.items() if name != group)
        yield "network:\n  name: net\n  groups:\n"
        for name in self.program.inputs:
            yield from self._input_group(name)
        for name in self.program.populations:
            yield from self._group(self.lowered.network.populations[name])
        edges = self._edges()
        first = next(edges, None)
        if first is None:
            yield "  edges: []\n"
        else:
            yield "  edges:\n"
            yield first
            yield from edges
        yield "mappings:\n"
        yield from self._mappings()

    def _input_group(self, name: str) -> Iterator[str]:
        yield f'    - name: "{self.groups[name]}"\n      attributes: {{log_spikes: 1}}\n      neurons:\n'
        size = self.lowered.network.populations[name].size
        spikes = self.stimulus[name][0] != 0 if name in self.stimulus else np.zeros((1, size), np.bool_)
        for neuron in range(size):
            train = np.trim_zeros(spikes[:, neuron].astype(np.int64), "b").tolist() or [0]
            yield f"        - {neuron}: {{spikes: [{','.join(map(str, train))}]}}\n"

    def _group(self, p: IntegerPopulation) -> Iterator[str]:
        form = self.lowered.network.number_format
        reset = {"zero": "hard", "subtract": "soft", "none": "none"}[p.reset]
        common = f"log_spikes: 1, soma_hw_name: lif, reset_mode: {reset}"
        if p.refractory:
            common += f", refractory_delay: {p.refractory + 1}"  # SANA-FE counts the tick of the spike
        yield f'    - name: "{self.groups[p.name]}"\n      attributes: {{{common}}}\n      neurons:\n'
        bias = p.values("bias_mant") << p.values("bias_exp")
        if p.current is not None and p.current in self.stimulus:
            bias = bias + self.stimulus[p.current][0, 0]
        threshold = (p.values("vth") << form.state_shift) if p.fires else np.full(p.size, NEVER)
        kept = self._kept(p)
        unit = np.where(kept.any(), self.program.populations[p.name].compartment, -1)
        table = np.stack([threshold, form.decay_one - p.values("dv"), bias, kept, unit], axis=1)
        for first, last in _runs(table):
            values = f"threshold: {table[first, 0]}, leak_decay: {table[first, 1] / form.decay_one}"
            values += f", bias: {table[first, 2]}" if table[first, 2] else ""
            if unit[first] < 0:
                values += ", dendrite_hw_name: sum"
            else:
                values += f', dendrite_hw_name: "current[{unit[first]}]"'
                values += f", dendrite: {{taps: 1, time_constants: [{kept[first] / form.decay_one}]}}"
            yield f"        - {_span(first, last)}: {{{values}}}\n"

    def _edges(self) -> Iterator[str]:
        """Yield the synapses of one input axon after the other."""
        shift, names = self.lowered.network.number_format.state_shift, self.mapped.population_names
        for index, d in enumerate(_decoded(self.program)):
            core, targets = self.mapped.cores[index], self._compartments(index, len(d.integrates))
            weight = (d.formats.contributions(d.rows.item_format, d.rows.weight) << shift).tolist()
            compartment, delay = d.rows.index.tolist(), d.rows.delay.tolist()
            first, last = (ends.tolist() for ends in _rows(d))
            sources = zip(core.axon_population.tolist(), core.axon_neuron.tolist(), strict=True)
            for (population, neuron), row, base in zip(sources, d.axon_row.tolist(), d.axon_base.tolist(), strict=True):
                source = f"    - {self.groups[names[population]]}.{neuron} -> "
                lines = []
                if first[row] == last[row]:  # without a synapse SANA-FE sends no message
                    lines.append(f"{source}{targets[0]}: {{weight: 0}}\n")
                for i in range(first[row], last[row]):
                    late = f", delay: {delay[i]}" if delay[i] else ""
                    lines.append(f"{source}{targets[base + compartment[i]]}: {{weight: {weight[i]}{late}}}\n")
                yield "".join(lines)

    def _compartments(self, index: int, count: int) -> list[str]:
        """Return the neuron of each compartment of a core as edges name it."""
        labels = [""] * count
        for name, symbol in self.program.populations.items():
            here = np.flatnonzero(symbol.core == index)
            for neuron, compartment in zip(here.tolist(), symbol.compartment[here].tolist(), strict=True):
                labels[compartment] = f"{self.groups[name]}.{neuron}"
        return labels

    def _mappings(self) -> Iterator[str]:
        number = 0
        for name in self.program.inputs:
            for neuron in range(self.lowered.network.populations[name].size):
                yield f'  - {self.groups[name]}.{neuron}: {{core: "{self.host}.0", soma: "input[{number}]"}}\n'
                number += 1
        for name, symbol in self.program.populations.items():
            for first, last in _runs(symbol.core[:, None]):
                tile, core = self.place(int(symbol.core[first]))
                yield f'  - {self.groups[name]}.{_span(first, last)}: {{core: "{tile}.{core}", soma: lif}}\n'


@dataclass(frozen=True, slots=True)
class _Costs:
    """Joules and seconds of the parts of a core, 0 where nothing is known, and where they come from."""

    energies: Mapping[str, float] = field(default_factory=dict)
    latencies: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _by_part(table: Mapping[str, Sourced]) -> dict[str, float]:
    """Return part of a core -> what it takes, of the events of a cost source or of its times."""
    parts = {name: table[event].value for name, event in EVENTS.items() if event in table}
    if {"neuron_update_active", "neuron_update_inactive"} <= set(table):
        parts["update"] = table["neuron_update_active"].value - table["neuron_update_inactive"].value
    return parts


def _tile(name: str, costs: _Costs) -> str:
    """Return a tile up to its cores."""
    hops = "".join(
        f"        {what}_{way}_hop: {values.get(hop, 0.0):.4e}\n"
        for way, hop in HOPS.items()
        for what, values in (("energy", costs.energies), ("latency", costs.latencies))
    )
    return f"    - name: {name}\n      attributes:\n{hops}      core:\n"


def _core(name: str, neurons: int, costs: _Costs, dendrites: Mapping[str, str | None], somas: Mapping[str, str | None]) -> str:
    """Return a core for so many neurons; dendrites and somas: name -> model."""
    text = f"        - name: {name}\n          attributes:\n"
    text += f"            buffer_position: soma\n            max_neurons_supported: {neurons}\n"
    text += _units("axon_in", {"axon_in": None}, costs, {"message_in": "axon_in"})
    text += _units("synapse", {"synapse": "current_based"}, costs, {"process_spike": "synapse"})
    text += _units("dendrite", dendrites, costs, {"update": "dendrite"})
    text += _units("soma", somas, costs, {"access_neuron": "access", "update_neuron": "update", "spike_out": "spike"})
    return text + _units("axon_out", {"axon_out": None}, costs, {"message_out": "axon_out"})


def _units(kind: str, models: Mapping[str, str | None], costs: _Costs, attributes: Mapping[str, str]) -> str:
    """Return hardware units, name -> model; ``attributes``: what they are charged for -> the part that says how much."""
    text = f"          {kind}:\n"
    for name, model in models.items():
        text += f"            - name: {name}\n              attributes:\n"
        text += f"                model: {model}\n" if model else ""
        for attribute, part in attributes.items():
            text += f"                energy_{attribute}: {costs.energies.get(part, 0.0):.4e}\n"
            text += f"                latency_{attribute}: {costs.latencies.get(part, 0.0):.4e}\n"
    return text


def group_names(populations: Sequence[str]) -> dict[str, str]:
    """Return a name in SANA-FE for each population: letters, digits, ``_`` and ``-``, since it reads a dot as an index.

    >>> group_names(["hidden", "a.b", "a b", "1"])
    {'hidden': 'hidden', 'a.b': 'a_b', 'a b': 'a_b_2', '1': 'p1'}
    """
    names: dict[str, str] = {}
    for population in populations:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", population)
        wanted = name if name[:1].isalpha() or name[:1] == "_" else f"p{name}"
        name, number = wanted, 1
        while name in names.values() or (name != population and name in populations):
            number += 1
            name = f"{wanted}_{number}"
        names[population] = name
    return names


def _comment(text: str) -> str:
    """Return a line of comment, whatever spaces and line ends the names in it have."""
    return f"# {' '.join(text.split())}\n"


def _rows(core: fm.DecodedCore) -> tuple[IntArray, IntArray]:
    """Return the first synapse of each row and the one behind its last, both (rows,)."""
    ends = core.rows.block_start[core.rows.row_start]
    return ends[:-1], ends[1:]


def _runs(table: Array) -> Iterator[tuple[int, int]]:
    """Yield the first and last neuron of each run of equal rows of a table (n, k)."""
    first = np.flatnonzero(np.append(True, (table[1:] != table[:-1]).any(axis=1)))
    yield from zip(first.tolist(), np.append(first[1:], len(table)).tolist(), strict=True)


def _span(first: int, stop: int) -> str:
    """Return neurons ``first`` to ``stop`` - 1 as SANA-FE names them."""
    return str(first) if stop == first + 1 else f"{first}..{stop - 1}"
