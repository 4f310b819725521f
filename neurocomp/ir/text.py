"""Canonical text of each stage: what ``compile --emit`` prints, golden tests compare and people diff.

The text depends on the stage alone. Arrays of at most `SMALL` values are written out; larger ones appear as dtype, shape,
smallest and largest value, and the first digits of the SHA-256 of their values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork
from neurocomp.ir.network import Data, Learning, Network, Population, Projection, Samples
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import (
    Crossbar,
    IntegerLearning,
    IntegerNetwork,
    IntegerPopulation,
    IntegerProduct,
    IntegerProjection,
    QuantizedNetwork,
    Verdict,
)
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
Lines = Iterator[str]

SMALL = 16
DIGITS = 12
"""How many hexadecimal digits of a SHA-256 are printed."""


def network_text(network: Network) -> str:
    """Return the text of a network: populations, projections, encoders, decoders, data, choices."""
    return _joined(_network_lines(network))


def quantized_text(quantized: QuantizedNetwork) -> str:
    """Return the text of a quantized network: what each float became, verdicts, warnings, and the integers."""
    return _joined(_quantized_lines(quantized))


def lowered_text(lowered: LoweredNetwork) -> str:
    """Return the text of a lowered network: where each logical population went, lags, notes, and the integers."""
    return _joined(_lowered_lines(lowered))


def mapped_text(mapped: MappedNetwork) -> str:
    """Return the text of a mapped network: per core its neurons, axons and words; a summary of the routes."""
    return _joined(_mapped_lines(mapped))


def program_text(program: Program) -> str:
    """Return the text of a program: per core its tables with length and digest; the symbols."""
    return _joined(_program_lines(program))


def array_text(array: Array) -> str:
    """Return an array as text: a 0-d one as its value, a small one written out, a large one summarised.

    >>> array_text(np.array([1, 2, 3]))
    'int64 [3] 1 2 3'
    >>> array_text(np.zeros((4, 8), np.float32))
    'float32 [4, 8] 0.0 .. 0.0, sha256 38723a2e5e8a'
    """
    if array.ndim == 0:
        return str(array[()])
    head = f"{array.dtype.name} {list(array.shape)}"
    if array.size <= SMALL:
        return " ".join([head, *(str(value) for value in array.ravel())])
    values = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return f"{head} {values.min()} .. {values.max()}, sha256 {_digest(values)}"


def ranges_text(indices: Iterable[int]) -> str:
    """Return indices in their order as half-open ranges; more than `SMALL` ranges are summarised.

    >>> ranges_text([0, 1, 2, 7, 9, 10])
    '[0:3] [7] [9:11]'
    """
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1][1] = index + 1
        else:
            runs.append([index, index + 1])
    if len(runs) > SMALL:
        digest = hashlib.sha256(str(runs).encode()).hexdigest()[:DIGITS]
        return f"[{runs[0][0]} ... {runs[-1][1] - 1}: {len(runs)} ranges, sha256 {digest}]"
    return " ".join(f"[{start}]" if stop == start + 1 else f"[{start}:{stop}]" for start, stop in runs)


def _joined(lines: Lines) -> str:
    return "\n".join(lines) + "\n"


def _digest(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:DIGITS]


def _table(rows: Sequence[Sequence[str]], indent: str = "  ") -> Lines:
    """Yield rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _section(title: str, lines: Iterable[str]) -> Lines:
    """Yield a title and its lines, or nothing where there are none."""
    body = list(lines)
    if body:
        yield title
        yield from body


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shape(shape: tuple[int, ...]) -> str:
    return str(list(shape))


def _pattern(pattern: Pattern) -> str:
    arrays = [f"{name} {array_text(array)}" for name, array in pattern.arrays.items()]
    arrays += [f"{name} {'x'.join(map(str, values))}" for name, values in pattern.options.items()]
    return f"{pattern.kind} ({'; '.join(arrays)})" if arrays else pattern.kind


# --- network


def _network_lines(network: Network) -> Lines:
    yield f"network {network.name}: {_counted(network.ticks, 'tick')} of {network.timestep} s"
    yield "populations"
    for population in network.populations.values():
        yield from _population(population)
    yield from _section("projections", (line for q in network.projections for line in _projection(q)))
    for title, table in (("encoders", network.encoders), ("decoders", network.decoders)):
        yield from _section(title, _table([_scheme(name, entry) for name, entry in table.items()]))
    yield from _section("data", _data(network.data))
    choices = [(choice.subject, choice.axis, choice.value, f"({choice.origin})") for choice in network.choices]
    yield from _section("choices", _table(choices))


def _population(population: Population) -> Lines:
    neuron = population.neuron
    if neuron is None:
        yield f"  {population.name} {_shape(population.shape)} input"
        return
    native = f", integers of {neuron.number_format}" if neuron.number_format else ""
    yield f"  {population.name} {_shape(population.shape)} {neuron.model}{native}"
    yield from _parameters(neuron.parameters)
    yield f"    {_semantics(neuron.semantics)}"


def _parameters(parameters: Mapping[str, Array]) -> Lines:
    """Yield the parameters: those with one value on one line, each of the others on its own."""
    single = [f"{name} {array_text(value)}" for name, value in parameters.items() if value.ndim == 0]
    if single:
        yield f"    {', '.join(single)}"
    for name, value in parameters.items():
        if value.ndim:
            yield f"    {name} {array_text(value)}"


def _semantics(semantics: Semantics) -> str:
    """Return the semantic axes: all that name a way, and of the numbers those that change something."""
    values = {f.name: getattr(semantics, f.name) for f in fields(semantics)}
    used = {name for name, value in values.items() if isinstance(value, str)}
    used |= {"reset_value"} if semantics.reset == "value" else set()
    used |= {"refractory"} if semantics.refractory else set()
    used |= {"v_floor"} if semantics.v_floor is not None else set()
    used |= {"reset_interval", "reset_offset"} if semantics.reset_interval is not None else set()
    return ", ".join(f"{name} {value}" for name, value in values.items() if name in used)


def _projection(q: Projection) -> Lines:
    if q.before:
        yield f"  {q.name}: {q.source} -> {q.target}, a chain of {len(q.before) + 1}, delay {array_text(q.delay)}"
        for stage in q.before:
            yield f"    {_pattern(stage.pattern)} makes {_shape(stage.shape)}, weights {array_text(stage.weights)}"
        yield f"    {_pattern(q.pattern)}"
    else:
        yield f"  {q.name}: {q.source} -> {q.target} {_pattern(q.pattern)}, delay {array_text(q.delay)}"
    yield f"    weights {array_text(q.weights)}"
    if q.bias is not None:
        yield f"    bias {array_text(q.bias)}"
    if q.native is not None:
        signs = q.native.sign_mode or "signs by content"
        yield f"    native integers: {q.native.weight_bits} bits, exponent {q.native.weight_exp}, {signs}"
    if q.learning is not None:
        values = ", ".join(f"{key} {value}" for key, value in q.learning.parameters.items())
        yield f"    learns by {q.learning.rule} ({values}), {_lesson(q.learning)}"


def _scheme(name: str, entry: Any) -> tuple[str, ...]:
    parts = [", ".join(f"{key} {value}" for key, value in entry.options.items())]
    for filtered in getattr(entry, "front", ()):
        parts.append(f"behind {filtered.kind} ({', '.join(f'{key} {value}' for key, value in filtered.options.items())})")
    return (name, entry.scheme, "; ".join(part for part in parts if part))


def _data(data: Data) -> Lines:
    if data.samples is not None:
        yield f"  scale {data.scale}"
    for title, samples in (("samples", data.samples), ("calibration", data.calibration)):
        if samples is not None:
            yield from _samples(title, samples)


def _samples(title: str, samples: Samples) -> Lines:
    for name, values in samples.inputs.items():
        yield f"  {title} {name} {array_text(values)}"
    if samples.labels is not None:
        yield f"  {title} labels {array_text(samples.labels)}"


# --- quantized and lowered


def _quantized_lines(quantized: QuantizedNetwork) -> Lines:
    network = quantized.network
    yield f"quantized {_integer_head(network)}"
    for scale in quantized.scales.values():
        title = f"scale of {scale.population}: integer = real * {scale.scale}"
        yield from _section(title, _table(scale.rows))
        if not scale.rows:
            yield title
    yield from _section("verdicts", (f"  {verdict_text(v)}" for v in quantized.verdicts))
    yield from _section("warnings", (f"  {warning}" for warning in quantized.warnings))
    yield from _integer_body(network)


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as one line.

    >>> verdict_text(Verdict("hidden", "v", "proved always", 12345, 8388606))
    'hidden.v proved always: |v| <= 12345 < 8388606'
    """
    kind: str = verdict.kind
    if verdict.ticks is not None:
        kind = kind.replace("T ticks", _counted(verdict.ticks, "tick"))
    relation = "<" if verdict.bound < verdict.limit else "=" if verdict.bound == verdict.limit else ">"
    seen = f" in {_counted(verdict.samples, 'sample')}" if not verdict.proved else ""
    bound = f"|{verdict.register}| <= {verdict.bound} {relation} {verdict.limit}"
    return f"{verdict.population}.{verdict.register} {kind}: {bound}{seen}"


def _lowered_lines(lowered: LoweredNetwork) -> Lines:
    network = lowered.network
    yield f"lowered {_integer_head(network)}, largest lag {lowered.largest_lag}"
    rows = []
    for logical, r in lowered.map.items():
        exact = "lossy" if r.lossy else "exact"
        rows.append((logical, f"-> {r.population}", f"lag {r.lag}", exact + (f": {r.reason}" if r.reason else "")))
    yield from _section("map", _table(rows))
    yield from _section("lags", _table([(name, str(lag)) for name, lag in lowered.lag.items()]))
    yield from _section("extensions (not on this chip)", (f"  {extension}" for extension in lowered.extensions))
    yield from _section("notes", (f"  {note}" for note in lowered.notes))
    merges = (f"  {name} {array_text(axons)}" for name, axons in lowered.declared_merges.items())
    yield from _section("axons at which spikes become one", merges)
    yield from _integer_body(network)


def _integer_head(network: IntegerNetwork) -> str:
    ticks = _counted(network.ticks, "tick")
    return f"{network.name}: {ticks} of {network.timestep} s, integers of {network.number_format.name}"


def _integer_body(network: IntegerNetwork) -> Lines:
    form = network.number_format
    settings = [f"{f.name} {getattr(form, f.name)}" for f in fields(form) if f.name not in ("name", "plain_weights", "checked")]
    yield f"number format {form.name}{'' if form.checked else ', unchecked'}"
    yield from (f"  {', '.join(settings[i : i + 5])}" for i in range(0, len(settings), 5))
    yield "populations"
    for population in network.populations.values():
        yield from _integer_population(population)
    yield from _section("crossbars", (line for c in network.crossbars for line in _crossbar(c)))
    yield from _section("projections", (line for q in network.projections for line in _integer_projection(q)))


def _crossbar(c: Crossbar) -> Lines:
    yield f"  {c.name}: {c.axons} -> {c.neurons}, {_counted(c.blocks, 'block')}"
    for name in ("axon_start", "neuron_start", "types", "bits", "s", "b", "slots"):
        yield f"    {name} {array_text(getattr(c, name))}"


def _integer_population(population: IntegerPopulation) -> Lines:
    words = [population.name, _shape(population.shape), population.program or population.dynamics]
    if not population.is_input:
        words += [] if population.fires else ["silent"]
        words += ["with current"] if population.has_current else []
    if population.reset_interval is not None:
        words.append(f"reset every {_counted(population.reset_interval, 'tick')} at {population.reset_offset}")
    yield "  " + " ".join(words)
    yield from _parameters(population.parameters)
    usual = IntegerPopulation("", (), "", {})
    others = {
        "reset": f"reset {population.reset}",
        "compare": f"compare {population.compare}",
        "refractory": f"refractory {_counted(population.refractory, 'tick')}",
        "current": f"current from {population.current}",
        "start": f"started in tick {population.start}",
        "compartments": f"{_counted(population.compartments, 'compartment')} per neuron",
    }
    unusual = [words for key, words in others.items() if getattr(population, key) != getattr(usual, key)]
    if unusual:
        yield f"    {', '.join(unusual)}"


def _integer_projection(q: IntegerProjection) -> Lines:
    yield f"  {q.name}: {q.source} -> {q.target} {_pattern(q.pattern)}, delay {array_text(q.delay)}"
    if q.pool is not None:
        yield f"    of {_pattern(q.pool)}"
    spikes = "" if q.binary else ", graded spikes"
    group = f", exponent group of {q.group_of}" if q.group_of is not None else ""
    yield f"    {q.sign_mode}, {q.weight_bits} bits, shift {q.shift}, exponent {q.exponent}{spikes}{group}"
    yield f"    mantissa {array_text(q.mantissa)}"
    if q.learning is not None:
        yield f"    learns, {_lesson(q.learning)}"
        for name, trace in q.learning.traces.items():
            yield f"      {name}: impulse {trace.impulse / 256:g}, keeps {trace.keep!r} per tick"
        for what, products in (("dw", q.learning.weights), ("dt", q.learning.tags)):
            for p in products:
                yield f"      {what} += {_product(p)}"


def _lesson(learning: Learning | IntegerLearning) -> str:
    modulators = f", modulated by {' and '.join(learning.modulators)}" if learning.modulators else ""
    on = "samples go on from one another" if learning.across_samples else "each sample from the stored weights"
    return f"epochs of {_counted(learning.epoch, 'tick')}, seed {learning.seed}, {on}{modulators}"


def _product(p: IntegerProduct) -> str:
    condition = f"u{p.decimation}" if p.condition == "u" else p.condition
    parts = [f"{p.mantissa} * 2^{p.exponent - 7}", condition]
    for f in p.factors:
        text = f"({f.variable} {'-' if f.constant < 0 else '+'} {abs(f.constant)})" if f.constant else f.variable
        parts.append(f"sgn {text}" if f.sign else text)
    return " * ".join(parts)


# --- mapped and program


def _mapped_lines(mapped: MappedNetwork) -> Lines:
    name = mapped.lowered.network.name
    yield f"mapped {name}: {_counted(len(mapped.cores), 'core')} on {_counted(mapped.chips, 'chip')}"
    for index, core in enumerate(mapped.cores):
        neurons = list(_neurons_on(mapped, index))
        count = sum(int((p.core == index).sum()) for p in mapped.placements.values())
        x, y = core.tile
        loads = f"{_counted(count, 'neuron')}, {_counted(len(core.axon_neuron), 'input axon')}"
        yield f"core {index} (chip {core.chip}, core {core.core}, tile {x} {y}): {loads}, {core.synapse_words} words"
        yield from neurons
        yield from _axons(mapped, core)
    yield from _routes(mapped)


def _neurons_on(mapped: MappedNetwork, index: int) -> Lines:
    for name, placement in mapped.placements.items():
        here = np.flatnonzero(placement.core == index)
        if here.size:
            yield f"  {name}{ranges_text(here.tolist())} in slots {ranges_text(placement.slot[here].tolist())}"


def _axons(mapped: MappedNetwork, core: Core) -> Lines:
    """Yield the sources of the axons, or the axons of banks, in the order of the axons."""
    if not core.axon_population.size:
        return
    changes = np.flatnonzero(np.diff(core.axon_population)) + 1
    parts: list[str] = []
    for axons in np.split(np.arange(core.axon_population.size), changes):
        name = mapped.population_names[int(core.axon_population[axons[0]])]
        parts.append(f"{name}{ranges_text(core.axon_neuron[axons].tolist())}")
    yield f"  axons from {', '.join(parts)}"


def _routes(mapped: MappedNetwork) -> Lines:
    routes = mapped.routes
    x, y, chips = (sum(getattr(route, part) for route in routes) for part in ("hops_x", "hops_y", "chips"))
    local = sum(route.source == route.target for route in routes)
    text = ";".join(f"{r.source},{r.target},{r.hops_x},{r.hops_y},{r.chips}" for r in routes)
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    yield f"routes: {len(routes)}, {local} of them from a core to itself, sha256 {digest}"
    yield f"  all: hops x {x}, y {y}; chips crossed {chips}"
    if len(routes) <= SMALL:
        yield from (f"  {r.source} -> {r.target}: hops x {r.hops_x}, y {r.hops_y}; chips crossed {r.chips}" for r in routes)


def _program_lines(program: Program) -> Lines:
    cores, ticks = _counted(len(program.cores), "core"), _counted(program.ticks, "tick")
    yield f"program for {program.backend}, format {program.format}: {cores}, {ticks}, largest lag {program.largest_lag}"
    yield f"sha256 {program.digest()}"
    for index, core in enumerate(program.cores):
        yield f"core {index} (chip {core.chip}, core {core.core})"
        rows = [(name, f"{table.size} bytes", f"sha256 {_digest(table)}") for name, table in core.tables.items()]
        yield from _table(rows)
    yield "symbols"
    for name, symbol in program.populations.items():
        cores = ranges_text(np.unique(symbol.core).tolist())
        digest = _digest(np.stack([symbol.core, symbol.compartment]))
        yield f"  {name} {_shape(symbol.shape)} lag {symbol.lag}, on cores {cores}, sha256 {digest}"
    for name, source in program.inputs.items():
        cores = ranges_text(np.unique(source.core).tolist())
        digest = _digest(np.stack([source.neuron, source.core, source.axon, *([source.delay] if source.delay.size else [])]))
        axons = _counted(source.axon.size, "input axon") + (" with values" if source.graded else "")
        yield f"  {name} {_shape(source.shape)} input to {axons} on cores {cores}, sha256 {digest}"
    for name, bank in program.axons.items():
        cores = ranges_text(np.unique(bank.core).tolist())
        digest = _digest(np.stack([bank.core, bank.compartment]))
        yield f"  {name} {_shape(bank.shape)} axons, lag {bank.lag}, on cores {cores}, sha256 {digest}"
    for name, pulse in program.pulses.items():
        digest = _digest(np.stack([pulse.unit, pulse.core, pulse.axon, pulse.delay]))
        ticks = f"first ticks {array_text(pulse.first)}, counts {array_text(pulse.count)}"
        yield f"  {name} {_shape(pulse.shape)} pulses to {_counted(pulse.axon.size, 'input axon')}, {ticks}, sha256 {digest}"
    for name, output in program.outputs.items():
        yield f"  {name} {_shape(output.shape)} output on lines {ranges_text(output.line.tolist())}"
    for name, current in program.currents.items():
        yield f"  {name} {_shape(current.shape)} current of {', '.join(current.populations) or 'no population'}"
