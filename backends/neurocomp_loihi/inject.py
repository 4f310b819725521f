"""Corrupt one table entry of a program, so that a comparison which proves something must find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Corruption, Injection, first_that_shows
from neurocomp.fixedpoint import to_field
from neurocomp.ir.program import CoreTables, Program
from neurocomp.ir.trace import Trace
from neurocomp_loihi import formats as fm
from neurocomp_loihi.chip import ChipSimulation

Array = NDArray[Any]
IntArray = NDArray[np.int64]

SMALLEST_DELAY_BITS = 3


def inject(program: Program, trace: Trace, kind: str, seed: int) -> Injection:
    """Corrupt one table entry that a run exercises, chosen by ``seed``.

    The corrupted program is run on the trace's own stimulus before it is returned: spikes, u or v differ from the trace in
    some population's window. ``program`` is not modified.

    Args:
        program: A program of the format ``loihi-3``.
        trace: A run of it in chip ticks, with the spikes and the state of all populations and the spikes of all inputs and
            currents (their stimulus).
        kind: ``weight``, ``delay``, ``target`` (the compartment of a synapse) or ``threshold``.
        seed: Same seed, same entry.

    Raises:
        UsageError: There is no such kind (NC0801).
        NetworkError: The run exercises no entry of the kind (NC0702).
    """
    scene = _Scene.of(program, trace)
    rng = np.random.default_rng(seed)
    return first_that_shows(
        kind, lambda: _thresholds(scene, rng) if kind == "threshold" else _synapses(scene, rng, kind), scene.shows
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """A program, decoded, and what happened in it."""

    program: Program
    trace: Trace
    cores: Sequence[fm.DecodedCore]
    names: Mapping[tuple[int, int], tuple[str, int]]
    """(index of the core, compartment) -> (population, neuron)."""

    @classmethod
    def of(cls, program: Program, trace: Trace) -> _Scene:
        """Decode a program."""
        fm.check_format(program)
        names = {
            (int(core), int(compartment)): (name, neuron)
            for name, symbol in program.populations.items()
            for neuron, (core, compartment) in enumerate(zip(symbol.core, symbol.compartment, strict=True))
        }
        return cls(program, trace, [fm.decode_core(core) for core in program.cores], names)

    def shows(self, candidate: Corruption) -> bool:
        """Return whether a run of the corrupted program differs from the trace."""
        sample = slice(candidate.sample, candidate.sample + 1)
        fed = (*self.program.inputs, *self.program.currents)
        stimulus = {name: self.trace.spikes[name][sample, : self.trace.ticks] for name in fed}
        run = ChipSimulation().run(candidate.program, stimulus)
        return any(
            not np.array_equal(run.window(mine[name], name), self.trace.window(values, name)[sample])
            for mine, theirs in ((run.spikes, self.trace.spikes), (run.u, self.trace.u), (run.v, self.trace.v))
            for name, values in theirs.items()
        )

    def name(self, core: int, compartment: int) -> str:
        """Return the neuron of a compartment as the user knows it."""
        if (core, compartment) not in self.names:
            if (core, compartment - 1) in self.names and compartment < self.cores[core].header["compartments"]:
                return f"the reset compartment of {self.name(core, compartment - 1)}"
            return f"compartment {compartment} of core {core}, which does not exist"
        population, neuron = self.names[core, compartment]
        return f"{population}[{neuron}]"


# Synapses


@dataclass(frozen=True, slots=True)
class _Sender:
    """A neuron that spikes, one input axon that it reaches, and when it spikes first."""

    population: str
    neuron: int
    core: int
    axon: int
    sample: int
    tick: int


def _senders(scene: _Scene) -> list[_Sender]:
    """Return every axon that a spike reaches, with the sample in which its source spikes earliest."""
    found = []
    index_of = {(core.chip, core.core): index for index, core in enumerate(scene.program.cores)}
    reached: dict[str, list[tuple[int, int, int]]] = {name: [] for name in scene.trace.spikes}
    for name, symbol in scene.program.inputs.items():
        reached[name] += zip(symbol.neuron.tolist(), symbol.core.tolist(), symbol.axon.tolist(), strict=True)
    for number, core in enumerate(scene.cores):
        messages = (core.output_source, core.output_chip, core.output_core, core.output_axon)
        for source, chip, place, axon in zip(*(m.tolist() for m in messages), strict=True):
            name, neuron = scene.names.get((number, source), ("", 0))
            if name in reached and (chip, place) in index_of:
                reached[name].append((neuron, index_of[chip, place], axon))
    for name, triples in reached.items():
        spikes = scene.trace.spikes[name] != 0
        ticks = np.where(spikes.any(axis=1), spikes.argmax(axis=1), spikes.shape[1])  # (samples, n)
        for neuron, target, axon in triples:
            sample = int(ticks[:, neuron].argmin())
            if ticks[sample, neuron] < spikes.shape[1]:
                offset = scene.trace.lag[name] if scene.trace.windowed else 0
                found.append(_Sender(name, neuron, target, axon, sample, int(ticks[sample, neuron]) + offset))
    return found


def _synapses(scene: _Scene, rng: np.random.Generator, kind: str) -> Iterator[Corruption]:
    """Yield corruptions of synapses that the first spike of their source reaches: until then nothing else can differ.

    When that spike acts, the target's u differs, as u is never held once the target has started and schedules clear it before
    anything arrives. Those come first that act inside the window of their target, then those that act before it.
    """
    senders = _senders(scene)
    order = rng.permutation(len(senders))
    for inside in (True, False):
        for sender in (senders[i] for i in order):
            core = scene.cores[sender.core]
            if sender.axon >= len(core.axon_row):
                continue
            row = core.rows.row(int(core.axon_row[sender.axon]))
            weights = core.formats.contributions(row.item_format, row.weight)
            target = row.index + int(core.axon_base[sender.axon])
            lags = np.array([_lag(scene, sender.core, int(i)) for i in target], np.int64)
            acts = sender.tick + 1 + row.delay - lags
            started = acts + lags >= np.append(core.start, 0)[np.minimum(target, len(core.start))]
            in_time = (acts < scene.trace.ticks) & ((acts >= 0) == inside) & started
            there = (weights != 0) & np.array([(sender.core, int(i)) in scene.names for i in target], np.bool_) & in_time
            for item in rng.permutation(np.flatnonzero(there)):
                candidate = _corrupt(scene, rng, kind, sender, row, int(item))
                if candidate is not None:
                    yield candidate


def _lag(scene: _Scene, core: int, compartment: int) -> int:
    name, _ = scene.names.get((core, compartment), ("", 0))
    return scene.program.populations[name].lag if name else 0


def _corrupt(
    scene: _Scene, rng: np.random.Generator, kind: str, sender: _Sender, row: fm.Blocks, item: int
) -> Corruption | None:
    """Return the program with one synapse of a row changed, or None where the format cannot tell the change."""
    formats, base = scene.cores[sender.core].formats, int(scene.cores[sender.core].axon_base[sender.axon])
    block = int(np.searchsorted(row.block_start, item, side="right")) - 1
    edits: dict[str, Callable[[], _Edit | None]] = {
        "weight": lambda: _edit_weight(formats, row, base, block, item),
        "delay": lambda: _edit_delay(formats, row, base, block, item),
        "target": lambda: _edit_target(scene, rng, sender.core, formats, row, base, block, item),
    }
    edit = edits[kind]()
    if edit is None or len(edit.formats.sign_mode) > fm.LAST_FORMAT_ID:
        return None
    program = _with_row(scene, sender, edit)
    target = scene.name(sender.core, base + int(row.index[item]))
    description = f"{kind} of {sender.population}[{sender.neuron}] -> {target} {edit.change}"
    return Corruption(program, description, sender.sample)


@dataclass(frozen=True, slots=True, eq=False)
class _Edit:
    """A changed row, the base of its axon, the formats that it needs, and the change in words."""

    row: fm.Blocks
    base: int
    formats: fm.Formats
    change: str


def _edit_weight(formats: fm.Formats, row: fm.Blocks, base: int, block: int, item: int) -> _Edit | None:
    """Change a weight by one step, or by as many as the exponent needs to tell it."""
    form = int(row.block_format[block])
    one = formats.one(form)
    shift, bits = int(formats.shift[form]), one["weight_bits"]
    old = int(formats.weights(np.array([form]), row.weight[item : item + 1])[0])
    step = max(1 << shift, 1 << max(-one["exponent"], 0))
    top = ((1 << bits) - 1) << shift
    low, high = {
        fm.MIXED: (-(1 << bits >> 1) << shift, ((1 << bits >> 1) - 1) << shift),
        fm.EXCITATORY: (0, top),
        fm.INHIBITORY: (-top, 0),
    }[one["sign_mode"]]
    choices = [new for new in (old + step, old - step) if low <= new <= high]
    if not choices:
        return None
    new = next((choice for choice in choices if choice), choices[0])
    magnitude = -new if one["sign_mode"] == fm.INHIBITORY else new
    field = to_field(np.array([magnitude >> shift]), bits)
    return _Edit(replace(row, weight=_changed(row.weight, item, int(field[0]))), base, formats, f"{old} -> {new}")


def _edit_delay(formats: fm.Formats, row: fm.Blocks, base: int, block: int, item: int) -> _Edit | None:
    """Change a delay by one tick."""
    old = int(row.delay[item])
    one = formats.one(int(row.block_format[block]))
    if not one["delay_bits"]:
        formats, row = _with_format(formats, row, block, {**one, "delay_bits": SMALLEST_DELAY_BITS})
        new = old + 1
    else:
        new = old + 1 if old + 1 < 1 << one["delay_bits"] else old - 1
    return _Edit(replace(row, delay=_changed(row.delay, item, new)), base, formats, f"{old + 1} -> {new + 1} ticks")


def _edit_target(
    scene: _Scene, rng: np.random.Generator, core: int, formats: fm.Formats, row: fm.Blocks, base: int, block: int, item: int
) -> _Edit | None:
    """Send a synapse to another compartment of the core, or to none where there is no other one.

    Where that lies before the base of the axon, the base moves there and all other indices of the row grow by as much.
    """
    n = scene.cores[core].header["compartments"]
    old = base + int(row.index[item])
    new = (old + 1 + int(rng.integers(n - 1))) % n if n > 1 else n
    moved = base - min(base, new)
    index = _changed(row.index + moved, item, new - base + moved)
    for entry in range(len(row.block_format)):
        own = index[row.block_start[entry] : row.block_start[entry + 1]]
        one = formats.one(int(row.block_format[entry]))
        sparse = entry == block or one["compression"] == fm.SPARSE
        largest = int(own.max()) if sparse else int(own[0])
        wanted = {
            **one,
            "compression": fm.SPARSE if sparse else fm.DENSE,
            "index_bits": max(one["index_bits"], _index_bits(largest, at_least=1 if entry == block else 0)),
        }
        if wanted != one:
            formats, row = _with_format(formats, row, entry, wanted)
    return _Edit(replace(row, index=index), base - moved, formats, f"becomes {scene.name(core, new)}")


def _index_bits(largest: int, at_least: int) -> int:
    """Return the narrowest field that holds an index; ``at_least``: bits that it must have."""
    widths, needed = fm.INDEX_BITS, max(largest.bit_length(), at_least)
    return int(widths[widths >= needed].min())


def _changed(values: IntArray, item: int, value: int) -> IntArray:
    result: IntArray = values.copy()
    result[item] = value
    return result


def _with_format(formats: fm.Formats, row: fm.Blocks, block: int, wanted: Mapping[str, int]) -> tuple[fm.Formats, fm.Blocks]:
    """Give one entry of a row another format, made if there is none such."""
    existing = [index for index in range(len(formats.sign_mode)) if formats.one(index) == wanted]
    if not existing:
        existing, formats = [len(formats.sign_mode)], formats.with_format(**wanted)
    return formats, replace(row, block_format=_changed(row.block_format, block, existing[0]))


def _with_row(scene: _Scene, sender: _Sender, edit: _Edit) -> Program:
    """Return the program with another row behind one axon: in its place if it fits and is not shared, else at the end."""
    core, header = scene.program.cores[sender.core], scene.cores[sender.core].header
    axons, words = fm.records_of(core, "input_axons").copy(), fm.records_of(core, "synapse_words").copy()
    new, _ = fm.encode_rows(edit.row, edit.formats, header["cost_formula"], header["synapses_per_entry"])
    axon = axons[sender.axon]
    if (axons["pointer"] == axon["pointer"]).sum() == 1 and len(new) == axon["length"]:
        words[int(axon["pointer"]) : int(axon["pointer"]) + len(new)] = new
    else:
        axons["pointer"][sender.axon], axons["length"][sender.axon] = len(words), len(new)
        words = np.append(words, new.astype(fm.SYNAPSE_WORD))
    axons["base"][sender.axon] = edit.base
    tables = {"input_axons": axons, "synapse_words": words, "synapse_formats": fm.encode_formats(edit.formats)}
    return _with_tables(scene.program, sender.core, tables)


def _with_tables(program: Program, index: int, records: Mapping[str, Array]) -> Program:
    core = program.cores[index]
    tables = {name: fm.to_bytes(records[name]) if name in records else table for name, table in core.tables.items()}
    cores = (*program.cores[:index], CoreTables(core.chip, core.core, tables), *program.cores[index + 1 :])
    return replace(program, cores=cores)


# Thresholds


def _thresholds(scene: _Scene, rng: np.random.Generator) -> Iterator[Corruption]:
    """Yield thresholds that are certain to change a spike.

    Lowered below the largest potential that was compared and did not spike, a threshold makes it spike there, unless its
    profile has changed something before: another spike, or what a spike took off a potential. Potentials that a refractory
    neuron held were compared with nothing. Where a neuron spiked whenever its potential was positive, the threshold is raised
    as far as the potential can reach.
    """
    recorded = [(name, scene.trace.v[name].shape[2]) for name in scene.program.populations if name in scene.trace.v]
    neurons = [(name, neuron) for name, n in recorded for neuron in range(n)]
    for at in rng.permutation(len(neurons)):
        name, neuron = neurons[at]
        symbol = scene.program.populations[name]
        core = int(symbol.core[neuron])
        records = fm.records_of(scene.program.cores[core], "compartments")
        profile = int(records["threshold_profile"][symbol.compartment[neuron]])
        thresholds = fm.records_of(scene.program.cores[core], "threshold_profiles").copy()
        old = int(thresholds["mantissa"][profile])
        spikes = scene.trace.window(scene.trace.spikes[name], name)[:, :, neuron]
        compared = ~_held(scene, name, neuron) & (spikes == 0)
        quiet = np.where(compared, scene.trace.window(scene.trace.v[name], name)[:, :, neuron], 0)
        sample = int(quiet.max(axis=1).argmax())
        largest = int(quiet[sample].max())
        if largest > 0:
            new = (largest - 1) >> scene.cores[core].header["state_shift"]
        else:
            sample, new = int((spikes > 0).any(axis=1).argmax()), _largest_threshold(scene.cores[core])
            if not (spikes > 0).any() or old >= new:
                continue
        if new == old:
            continue
        thresholds["mantissa"][profile] = new
        shared = int((records["threshold_profile"] == profile).sum()) - 1
        also = f", a profile shared with {shared} more compartments" if shared else ""
        description = f"threshold of {name}[{neuron}] {old} -> {new}{also}"
        yield Corruption(_with_tables(scene.program, core, {"threshold_profiles": thresholds}), description, sample)


def _held(scene: _Scene, name: str, neuron: int) -> NDArray[np.bool_]:
    """Return in which ticks of its window a neuron may have been refractory, (samples, ticks).

    A clock can end a period early and spikes before a window are not in every trace: then it says more often so than it was.
    """
    symbol, trace = scene.program.populations[name], scene.trace
    refractory = int(scene.cores[int(symbol.core[neuron])].compartments["refractory"][symbol.compartment[neuron]])
    spiked = trace.spikes[name][:, :, neuron] != 0
    held = np.zeros_like(spiked)
    for after in range(1, min(refractory, spiked.shape[1] - 1) + 1):
        held[:, after:] |= spiked[:, :-after]
    if trace.windowed and symbol.lag:
        held[:, :refractory] = True
    return np.asarray(trace.window(held, name))


def _largest_threshold(core: fm.DecodedCore) -> int:
    """Return the mantissa of the value at which the potential saturates, by the widths that the core's header states."""
    return ((1 << (core.header["v_bits"] - 1)) - 1) >> core.header["state_shift"]
