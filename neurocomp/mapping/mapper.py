"""A simple and complete mapper: neurons in layer order fill one core after the other, within every limit of the spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Violation
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation
from neurocomp.mapping.synapse_words import CoreRows, rows_of_core

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Slice:
    """Neurons ``start .. stop - 1`` of a population."""

    population: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return self.stop - self.start


@dataclass(slots=True)
class _OpenCore:
    """A core that is being filled."""

    slices: list[Slice] = field(default_factory=list)

    @property
    def neurons(self) -> int:
        return sum(s.size for s in self.slices)


def map_network(lowered: LoweredNetwork, spec: HardwareSpec) -> tuple[MappedNetwork | None, Sequence[Violation]]:
    """Place every neuron.

    Returns:
        The mapped network and no violation, or None and what does not fit.
    """
    network = lowered.network
    caps: dict[str, int] = {}
    apart: set[str] = set()
    while True:
        cores, violations = _fill(network, spec, caps, apart)
        if violations:
            return None, violations
        too_wide = _output_overflow(network, spec, cores)
        if not too_wide:
            break
        for name, (cap, fan_out) in too_wide.items():
            if fan_out > spec.limit("output_axons"):
                return None, [_fan_out_violation(network.populations[name], fan_out, spec)]
            if cap < 1:
                apart.add(name)
            else:
                caps[name] = min(cap, caps.get(name, cap))
    return _assemble(lowered, spec, cores), ()


def _problem(network: IntegerNetwork, spec: HardwareSpec, slices: Sequence[Slice]) -> tuple[str, int] | None:
    """Return (limit, what these slices would need of it) for the first limit of a core that they break, or None."""
    neurons = sum(s.size for s in slices)
    if neurons > spec.limit("neurons"):
        return "neurons", neurons
    decays, thresholds = set(), set()
    for s in slices:
        p = network.populations[s.population]
        decays |= set(zip(p.values("du")[s.start : s.stop].tolist(), p.values("dv")[s.start : s.stop].tolist(), strict=True))
        thresholds |= set(p.values("vth")[s.start : s.stop].tolist())
    if len(decays) > spec.limit("decay_profiles"):
        return "decay_profiles", len(decays)
    if len(thresholds) > spec.limit("threshold_profiles"):
        return "threshold_profiles", len(thresholds)
    rows = _rows(network, spec, slices)
    if len(rows.axon_neuron) > spec.limit("input_axons"):
        return "input_axons", len(rows.axon_neuron)
    if rows.words > spec.limit("synapse_words"):
        return "synapse_words", rows.words
    if len(rows.formats) > spec.limit("synapse_formats"):
        return "synapse_formats", len(rows.formats)
    delay_bits = max((f.delay_bits for f in rows.formats), default=0)
    if delay_bits and neurons > 1 << (spec.limit("delay_address_bits") - delay_bits):
        return "delay_address_bits", neurons
    return None


def _rows(network: IntegerNetwork, spec: HardwareSpec, slices: Sequence[Slice]) -> CoreRows:
    members, slot = [], 0
    for s in slices:
        members.append((s.population, np.arange(s.start, s.stop), np.arange(slot, slot + s.size)))
        slot += s.size
    return rows_of_core(network, members, spec)


def _fill(
    network: IntegerNetwork, spec: HardwareSpec, caps: Mapping[str, int], apart: Set[str]
) -> tuple[list[_OpenCore], list[Violation]]:
    """Fill cores; a population has at most ``caps`` neurons on each, and begins on a new one if it is in ``apart``."""
    cores: list[_OpenCore] = []
    violations: list[Violation] = []
    for p in network.populations.values():
        if p.is_input:
            continue
        start = guess = 0
        while start < p.size:
            if not cores or (p.name in apart and start == 0 and cores[-1].slices):
                cores.append(_OpenCore())
            room = min(p.size - start, spec.limit("neurons") - cores[-1].neurons)
            if p.name in caps:
                room = min(room, caps[p.name] - sum(s.size for s in cores[-1].slices if s.population == p.name))
            count = _largest(network, spec, cores[-1].slices, p.name, start, room, guess)
            if count == 0 and not cores[-1].slices:
                violations.append(_single_violation(network, spec, p, start))
                break
            if count:
                cores[-1].slices.append(Slice(p.name, start, start + count))
                start += count
                guess = count
            if start < p.size:
                cores.append(_OpenCore())
    limit = spec.limit("chips") * spec.limit("cores_per_chip")
    if not violations and len(cores) > limit:
        message = f"'{network.name}' needs {len(cores)} cores; {spec.name} has {limit}"
        source = f"{spec.limit_text('cores_per_chip')}; {spec.limit_text('chips')}"
        hint = "use a target with more chips or cores, or a smaller network"
        violations.append(Violation("NC0401", network.name, message, len(cores), limit, source, hint))
    return [core for core in cores if core.slices], violations


def _largest(
    network: IntegerNetwork, spec: HardwareSpec, slices: list[Slice], name: str, start: int, room: int, guess: int
) -> int:
    """Return how many further neurons of a population the core can take.

    What a slice needs grows with its size, so the answer lies between one that fits and one that does not. The first trial is
    ``guess`` (the last slice: cores of a large population are alike) or all of ``room``; a trial that fails says by how much.
    """
    fits, fails, step = 0, max(room, 0) + 1, 1
    count = min(guess or room, room)
    while fails - fits > 1:
        problem = _problem(network, spec, [*slices, Slice(name, start, start + count)])
        if problem is None:
            fits, count = count, count + step
            step *= 2
        else:
            limit, needed = problem
            fails, count, step = count, count * spec.limit(limit) // max(needed, 1), 1
            if not fits < count < fails:
                count = (fits + fails) // 2
        count = min(max(count, fits + 1), fails - 1)
    return fits


def _single_violation(network: IntegerNetwork, spec: HardwareSpec, p: IntegerPopulation, neuron: int) -> Violation:
    """Explain why one neuron alone does not fit an empty core."""
    problem = _problem(network, spec, [Slice(p.name, neuron, neuron + 1)])
    assert problem is not None
    name, actual = problem
    code = {"input_axons": "NC0412", "synapse_words": "NC0402"}.get(name, "NC0406")
    subject, limit, what = f"{p.name}[{neuron}]", spec.limit(name), name.replace("_", " ")
    message = f"neuron '{subject}' alone needs {actual} of {limit} {what} of a {spec.name} core"
    hint = "lower its fan-in, or use a target with a larger core"
    return Violation(code, subject, message, actual, limit, spec.limit_text(name), hint, origin=p.origin)


def _fan_out_violation(p: IntegerPopulation, fan_out: int, spec: HardwareSpec) -> Violation:
    limit, source = spec.limit("output_axons"), spec.limit_text("output_axons")
    message = f"a neuron of '{p.name}' sends to {fan_out} cores; {spec.name} has {limit} output axons per core"
    return Violation("NC0405", p.name, message, fan_out, limit, source, "lower its fan-out", origin=p.origin)


def _target_cores(
    network: IntegerNetwork, cores: Sequence[_OpenCore]
) -> tuple[dict[str, IntArray], dict[str, tuple[IntArray, IntArray]]]:
    """Return the core of every neuron, (n,), and per source population the distinct pairs of neuron and target core."""
    core_of = {p.name: np.full(p.size, -1, np.int64) for p in network.populations.values() if not p.is_input}
    for index, core in enumerate(cores):
        for s in core.slices:
            core_of[s.population][s.start : s.stop] = index
    collected: dict[str, list[IntArray]] = {name: [np.zeros(0, np.int64)] for name in network.populations}
    for q in network.projections:
        for index in np.unique(core_of[q.target]):
            sources = network.sources(q, np.flatnonzero(core_of[q.target] == index))
            collected[q.source].append(sources * len(cores) + index)
    distinct = {name: np.unique(np.concatenate(keys)) for name, keys in collected.items()}
    return core_of, {name: (keys // max(len(cores), 1), keys % max(len(cores), 1)) for name, keys in distinct.items()}


def _output_overflow(network: IntegerNetwork, spec: HardwareSpec, cores: Sequence[_OpenCore]) -> dict[str, tuple[int, int]]:
    """Return population -> (neurons per core that keep its output axons, largest fan-out) where a core has too many.

    0 neurons: the population, the last one of a core that several share, has to begin on another core.
    """
    core_of, pairs = _target_cores(network, cores)
    used = np.zeros(len(cores), np.int64)
    for name, (neurons, _) in pairs.items():
        if name in core_of:
            used += np.bincount(core_of[name][neurons], minlength=len(cores))
    result: dict[str, tuple[int, int]] = {}
    limit = spec.limit("output_axons")
    for index in np.flatnonzero(used > limit).tolist():
        worst, worst_out = "", 0
        for s in cores[index].slices:
            neurons, _ = pairs[s.population]
            fan_out = int(np.bincount(neurons).max(initial=0))
            if fan_out > worst_out:
                worst, worst_out = s.population, fan_out
        slices = cores[index].slices
        if len(slices) > 1 and worst_out <= limit:
            result.setdefault(slices[-1].population, (0, worst_out))
        else:
            result[worst] = (min(limit // worst_out, slices[0].size - 1), worst_out)
    return result


def _assemble(lowered: LoweredNetwork, spec: HardwareSpec, open_cores: Sequence[_OpenCore]) -> MappedNetwork:
    network = lowered.network
    placements = {
        p.name: (np.zeros(p.size, np.int64), np.zeros(p.size, np.int64)) for p in network.populations.values() if not p.is_input
    }
    per_chip = spec.limit("cores_per_chip")
    cores: list[Core] = []
    for index, open_core in enumerate(open_cores):
        slot = 0
        for s in open_core.slices:
            core_of, slot_of = placements[s.population]
            core_of[s.start : s.stop] = index
            slot_of[s.start : s.stop] = np.arange(slot, slot + s.size)
            slot += s.size
        rows = _rows(network, spec, open_core.slices)
        number = index % per_chip
        axons = frozen(rows.axon_population), frozen(rows.axon_neuron)
        cores.append(Core(index // per_chip, number, spec.mesh.tile(number), *axons, rows.words))
    core_of_all, pairs = _target_cores(network, open_cores)
    messages: set[tuple[int, int]] = set()
    for name, (neurons, targets) in pairs.items():
        if name in core_of_all:
            messages |= set(zip(core_of_all[name][neurons].tolist(), targets.tolist(), strict=True))
    routes = tuple(_route(a, b, cores) for a, b in sorted(messages))
    placed = {name: Placement(frozen(core_of), frozen(slot_of)) for name, (core_of, slot_of) in placements.items()}
    return MappedNetwork(lowered, tuple(cores), placed, routes)


def _route(source: int, target: int, cores: Sequence[Core]) -> Route:
    a, b = cores[source], cores[target]
    return Route(source, target, abs(a.tile[0] - b.tile[0]), abs(a.tile[1] - b.tile[1]), abs(a.chip - b.chip))
