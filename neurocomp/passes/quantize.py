"""Quantize: real numbers become the integers of a chip's number format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import IntegerSimulator, Stimulus
from neurocomp.data.arrays import ArrayWriter
from neurocomp.encoding import carries_values
from neurocomp.errors import Diagnostic, UnsupportedError
from neurocomp.hardware import NumberFormat
from neurocomp.ir.host import HostCurrent, HostProjection
from neurocomp.ir.network import Network, Population, Projection, frozen
from neurocomp.ir.quantized import (
    IntegerNetwork,
    IntegerPopulation,
    IntegerProjection,
    QuantizedNetwork,
    Scale,
    SignMode,
    Verdict,
    weight_range,
    weight_shift,
)
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import Pattern, blocks_of
from neurocomp.passes.quantize_learning import integers_of
from neurocomp.passes.quantize_plan import (
    CLIP_OCTAVES,
    HEADROOM,
    LEARNED_HIGH,
    MIN_THRESHOLD,
    WORD,
    Choice,
    Incoming,
    PopulationPlan,
    dynamics_of,
    span,
)
from neurocomp.passes.quantize_programs import programmed_population
from neurocomp.passes.quantize_weights import along, group_pattern, rounded
from neurocomp.passes.ranges import verdicts

__all__ = [
    "CLIP_OCTAVES",
    "MIN_THRESHOLD",
    "Quantization",
    "native_sign_mode",
    "pool_of",
    "quantize",
    "sign_mode_of",
    "with_currents",
]

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

SMALLEST_SCALE = 2.0**-20
"""Scales are not lowered beyond this: a population that still overflows is reported."""
PROFILES = 7
"""Threshold profiles of a core, unless the caller knows better."""
FORMATS = 7
"""Synapse formats of a core, unless the caller knows better."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """The quantized network, and the trace of its calibration (None without calibration data)."""

    network: QuantizedNetwork
    calibration: Trace | None


def quantize(
    network: Network,
    form: NumberFormat,
    simulator: IntegerSimulator,
    calibration: Stimulus | None = None,
    *,
    profiles: int = PROFILES,
    formats: int = FORMATS,
    currents: Mapping[str, Sequence[HostProjection]] | None = None,
) -> Quantization:
    """Quantize a network.

    One scale per population is shared by its weights, thresholds, biases and state; each projection has its own power-of-two
    exponent. The scale minimises the squared error of the weights, keeps thresholds at or above `MIN_THRESHOLD` where the
    format allows, and is lowered until nothing overflows on the calibration stimulus. Where a few large weights would ruin the
    rest, the largest part of each goes into exponent groups: further projections of the same ends, so that sums stay exact and
    the steps of all weights are equally fine; where it pays, single neurons are larger by a power of two. All sums are integer,
    correctly rounded or over fixed orders, so that results do not depend on threads or CPU.

    Weights are read in blocks; mantissas that are large lie in temporary files (`ArrayWriter`), or are the file's own bytes.

    Args:
        network: A network whose semantics the target has natively.
        form: The target's number format. Populations that declare it hold its integers already and pass unchanged.
        simulator: Executes the quantized network on the calibration stimulus.
        calibration: Encoded spikes per input, (samples, ticks, n).
        profiles: Distinct thresholds that a core holds; scales of single neurons make no more of them.
        formats: Synapse formats that a core holds; exponent groups make no more of them.
        currents: Population -> the projections from constant analog inputs that the host computes for it. ``calibration`` then
            holds the values of those inputs too, float64.

    Raises:
        UnsupportedError: No scale represents a population (NC0312).
        UsageError: There is no room for temporary files (NC0801).
    """
    trace: Trace | None = None
    currents = currents or {}
    builder = _Builder(network, form, calibration is not None, profiles, formats, {}, currents, calibration or {})
    if calibration is None:
        integer, scales, warnings = builder.build({})
        found = verdicts(integer, network.ticks, None, _limits(form))
    else:
        integer, scales, warnings, trace, found = _calibrate(network, form, builder, simulator, calibration)
    if trace is not None:
        warnings += activity_warnings(network, trace)
    for verdict in found:
        if not verdict.proved and verdict.bound > verdict.limit:
            warnings.append(
                f"'{verdict.population}': {verdict.register} reaches {verdict.bound} of {verdict.limit} "
                "on the calibration data; it will clip or wrap"
            )
    quantized = QuantizedNetwork(integer, scales, found, tuple(warnings), builder.host_currents()).verify()
    return Quantization(quantized, trace)


_Built = tuple[IntegerNetwork, dict[str, Scale], list[str]]


def _limits(form: NumberFormat) -> dict[str, int]:
    return {"accumulator": form.accumulator_max, "u": form.u_max - 1, "v": form.v_max}


def _calibrate(
    network: Network, form: NumberFormat, builder: _Builder, simulator: IntegerSimulator, calibration: Stimulus
) -> tuple[IntegerNetwork, dict[str, Scale], list[str], Trace, tuple[Verdict, ...]]:
    """Lower the scales of populations that overflow on the calibration stimulus, or fill more than `HEADROOM` of a register.

    Before that, neurons that are larger by a power of two become smaller again. What `HEADROOM` allows of a scale that was
    lowered too far is given back.
    """
    caps: dict[str, float] = {}
    ceilings: dict[str, FloatArray] = {}
    settled: set[str] = set()
    while True:
        integer, scales, warnings = builder.build(caps, ceilings)
        trace = simulator.run(integer, with_currents(calibration, builder.host_currents().values()))
        if lowered := _ceilings(builder, trace, form):
            ceilings |= lowered
            continue
        learning = {q.target for q in network.projections if q.learning is not None}  # their bounds fix the scale
        movable = {name for name in scales if scales[name].scale > SMALLEST_SCALE} - learning
        if overflowing := {event.population for event in trace.events} & movable:
            caps |= {name: scales[name].scale / 2 for name in overflowing}
            continue
        found = verdicts(integer, network.ticks, trace, _limits(form))
        moved = False
        for name in movable - settled:
            used = max((v.bound / v.limit for v in found if v.population == name and not v.proved), default=0.0)
            if name in caps or used > HEADROOM:
                # At twice the cap it was too much.
                caps[name] = min(caps.get(name, np.inf) * 1.9, scales[name].scale * HEADROOM / max(used, 1e-9))
                moved = True
                settled.add(name)
        if not moved:
            return integer, scales, warnings, trace, found


def _ceilings(builder: _Builder, trace: Trace, form: NumberFormat) -> dict[str, FloatArray]:
    """Return the largest scales, (n,), of populations in which a power of two takes a potential beyond `HEADROOM`."""
    result: dict[str, FloatArray] = {}
    for name, (_, part) in builder.kept.items():
        if not part.factors.ndim:
            continue
        used = np.abs(trace.v[name].astype(np.int64)).max(axis=(0, 1), initial=0) / form.v_max
        if ((used > HEADROOM) & (part.factors > 1)).any():
            result[name] = part.scale.scale * part.factors * np.minimum(HEADROOM / np.maximum(used, 1e-9), 1.0)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """What became of one population and the projections into it."""

    population: IntegerPopulation
    projections: Mapping[str, Sequence[IntegerProjection]]
    """User's projection -> itself and its exponent groups."""
    scale: Scale
    warnings: Sequence[str]
    current: HostCurrent | None = None
    factors: Array = field(default_factory=lambda: np.asarray(1.0))
    """By which power of two each neuron is larger, (n,), or 0-d 1."""


def with_currents(stimulus: Stimulus, currents: Iterable[HostCurrent], first_sample: int = 0) -> Stimulus:
    """Return a stimulus with the integers of the currents in place of the values of the analog inputs that they are made of.

    ``first_sample`` is the number of its first sample, for messages.
    """
    currents = list(currents)
    sources = {q.source for current in currents for q in current.projections}
    result = {name: values for name, values in stimulus.items() if name not in sources}
    for current in currents:
        values = constant_values(stimulus, [current])
        ticks = next(iter(stimulus.values())).shape[1]
        made = current.integers(values, first_sample)
        result[current.population] = np.broadcast_to(made[:, None], (len(made), ticks, made.shape[1]))
    return result


def constant_values(stimulus: Stimulus, currents: Iterable[HostCurrent]) -> dict[str, Array]:
    """Return the values (samples, n) of the analog inputs that some currents are made of."""
    return {q.source: stimulus[q.source][:, 0] for current in currents for q in current.projections}


@dataclass(frozen=True, slots=True, eq=False)
class _Builder:
    """Makes integer networks of one network; a population whose cap did not change is kept."""

    network: Network
    form: NumberFormat
    calibrated: bool
    profiles: int
    formats: int
    kept: MutableMapping[str, tuple[tuple[float, FloatArray | None], _Part]]
    currents: Mapping[str, Sequence[HostProjection]]
    calibration: Stimulus

    def host_currents(self) -> dict[str, HostCurrent]:
        """Return how the host makes the currents of the populations as they were last built."""
        parts = (self.kept[name][1] for name in self.currents)
        return {part.current.population: part.current for part in parts if part.current is not None}

    def _drive(self, p: Population) -> Array:
        """Return the largest magnitude of each neuron's constant input on the calibration data, (n,)."""
        current = HostCurrent("", p.name, p.shape, tuple(self.currents[p.name]), np.asarray(1.0), 0, 0)
        if not self.calibration:
            return np.zeros(p.size)
        return np.asarray(np.abs(current.sums(constant_values(self.calibration, [current]))).max(axis=0), np.float64)

    def build(self, caps: Mapping[str, float], ceilings: Mapping[str, FloatArray] | None = None) -> _Built:
        """Return the integer network with every scale at most its cap, and made no larger than its ceilings by powers of two.

        Raises:
            UnsupportedError: All populations that no scale represents.
        """
        network = self.network
        populations: dict[str, IntegerPopulation] = {}
        scales: dict[str, Scale] = {}
        projections: dict[str, Sequence[IntegerProjection]] = {}
        warnings: list[str] = []
        problems: list[Diagnostic] = []
        for p in network.populations.values():
            if p.neuron is None:
                populations[p.name] = IntegerPopulation(p.name, p.shape, "input", {}, origin=p.origin)
                continue
            cap, ceiling = caps.get(p.name, np.inf), (ceilings or {}).get(p.name)
            if p.name not in self.kept or self.kept[p.name][0][0] != cap or self.kept[p.name][0][1] is not ceiling:
                try:
                    self.kept[p.name] = (cap, ceiling), self._part(p, cap, ceiling)
                except UnsupportedError as error:
                    problems += error.diagnostics
                    continue
            part = self.kept[p.name][1]
            populations[p.name], scales[p.name] = part.population, part.scale
            if part.current is not None:
                name = part.current.population
                populations[name] = IntegerPopulation(name, p.shape, "current", {}, origin=p.origin)
            projections |= part.projections
            warnings += part.warnings
        if problems:
            raise UnsupportedError(problems)
        ordered = tuple(made for q in network.projections for made in projections[q.name])
        integer = IntegerNetwork(network.name, network.timestep, network.ticks, self.form, populations, ordered)
        return integer, scales, warnings

    def _part(self, p: Population, cap: float, ceilings: FloatArray | None) -> _Part:
        assert p.neuron is not None
        incoming = [q for q in self.network.projections if q.target == p.name]
        if p.neuron.number_format is not None:
            native = {q.name: [_native_projection(self.network, q, self.form)] for q in incoming}
            return _Part(_native_population(p), native, Scale(p.name, 0.0, ()), ())
        drive = self._drive(p) if p.name in self.currents else None
        plan = PopulationPlan.of(
            self.network, p, incoming, self.form, profiles=self.profiles, formats=self.formats, drive=drive
        )
        scale, choices, factors = plan.choose(cap, self.calibrated, ceilings)
        warnings: list[str] = []
        if any(q.learning is not None for q in incoming):
            scale, choices = plan.pinned(scale)
            factors = np.asarray(1.0)
        if plan.program is None:
            population, rows = plan.integers(scale, factors, _integer_semantics(p), warnings)
        else:
            one = np.asarray(scale * factors * (1 << self.form.state_shift))
            keys = _first_key(self.network, p)
            population, rows = programmed_population(p, one, plan.bias, keys, self.network.timestep, warnings)
        current: HostCurrent | None = None
        if drive is not None:
            current = self._current(p, plan.gain * scale * factors * (1 << self.form.state_shift))
            population = replace(population, current=current.population)
            text = f"by the host: rint(sum x scale) of {self.form.bias_bits} bits << 0..{self.form.bias_exp_max}"
            rows.append((f"constant input of {', '.join(q.source for q in current.projections)}", span(plan.drive), text))
        if factors.ndim:
            rows.append(("neuron scales", "1", _factors_text(factors)))
            warnings.append(f"'{p.name}': single neurons have larger weights and thresholds: {_factors_text(factors)}")
        taken = {q.name for q in self.network.projections}
        results = [
            _projections(i, c, scale, factors, taken) if i.projection.learning is None else _learned(self.network, i, c)
            for i, c in zip(plan.incoming, choices, strict=True)
        ]
        if any(i.distribution.largest for i in plan.incoming):
            rows.append(_plain_maximum(plan.incoming, results))
        for result in results:
            rows += result.rows
            warnings += result.warnings
        projections = {i.projection.name: r.projections for i, r in zip(plan.incoming, results, strict=True)}
        return _Part(population, projections, Scale(p.name, scale, tuple(rows)), warnings, current, factors)

    def _current(self, p: Population, scale: Array) -> HostCurrent:
        name, number = f"{p.name}.current", 2
        while name in self.network.populations:
            name, number = f"{p.name}.current{number}", number + 1
        form = self.form
        projections = tuple(self.currents[p.name])
        return HostCurrent(name, p.name, p.shape, projections, frozen(scale), form.bias_bits, form.bias_exp_max)


def _first_key(network: Network, p: Population) -> int:
    """Return the number of the first neuron of a population among those of all."""
    names = list(network.populations)
    return sum(network.populations[name].size for name in names[: names.index(p.name)])


# -- projections of real numbers


@dataclass(frozen=True, slots=True, eq=False)
class _Projections:
    """A projection with its exponent groups, what is said about it, and how far it is off."""

    projections: Sequence[IntegerProjection]
    rows: Sequence[tuple[str, str, str]]
    warnings: Sequence[str]
    squared: float
    zeroed: int


def _projections(i: Incoming, choice: Choice, scale: float, factors: Array, taken: set[str]) -> _Projections:
    q, form, known = i.projection, i.form, i.distribution
    sign_mode, unit = known.sign_mode, i.unit(scale, choice.exponent)
    shift = weight_shift(sign_mode, form.weight_bits)
    scales = np.asarray(1.0)
    if factors.ndim:
        aligned = along(i.pattern, factors, i.weights.stored, i.target)
        assert aligned is not None
        scales = aligned
    steps = i.steps(choice.groups)
    found = rounded(i.weights, known, unit, steps, scales)
    base = IntegerProjection(
        q.name, q.source, q.target, i.pattern, found.base, shift, sign_mode, form.weight_bits, choice.exponent, q.delay,
        binary=not i.graded, pool=pool_of(q), origin=q.origin,
    )  # fmt: skip
    made, names = [base], []
    group_rows: list[tuple[str, str, str]] = []
    for group, (index, counts) in zip(choice.groups[1:], found.members, strict=True):
        if not len(index):
            continue
        grouped = group_pattern(i.pattern, index, counts, i.weights.stored.shape, i.source)
        assert grouped is not None
        name = _free_name(f"{q.name}^{1 << group}", taken)
        pattern, mantissa = grouped
        delay = q.delay
        if delay.ndim and mantissa.shape != delay.shape:
            delay = delay.reshape(-1)[index]
        made.append(
            replace(
                base, name=name, pattern=pattern, mantissa=frozen(mantissa), exponent=choice.exponent + group,
                delay=frozen(delay), group_of=q.name,
            )
        )  # fmt: skip
        names.append(f"'{name}'")
        text = f"step {unit * (1 << group):.6g} ({1 << shift} << {choice.exponent + group}), {len(index)} weights"
        group_rows.append((f"weights {name}", "", text))
    rms = math.sqrt(found.squared / known.size) if known.size else 0.0
    text = (
        f"{sign_mode} {form.weight_bits} bit, step {unit:.6g} ({1 << shift} << {choice.exponent}), rms error {rms:.3g}, "
        f"{found.clipped} clipped, {found.zeroed} of {known.size} rounded to 0"
    )
    rows = [*group_rows, (f"weights {q.name}", _weights_text(i), text)]
    warnings = []
    if names:
        single = min(option.error for option in i.options(scale, ((0,),)))
        extra, own = i.memory([len(index) for index, _ in found.members])
        many = len(np.unique(np.concatenate([index for index, _ in found.members])))
        what = (
            f"{many} of {known.size} weights are partly in exponent groups, as one exponent would round the others too much: "
            f"rms error {rms:.3g}, not {math.sqrt(single / known.size):.3g}, of a median weight of {known.median:.3g}; "
            f"about {-(-extra // WORD)} more words of synapse memory ({extra / own:+.0%})"
        )
        rows.insert(0, (f"groups of {q.name}", "", what))
        warnings.append(f"'{q.name}': {what} ({', '.join(names)})")
    if known.values.size and found.zeroed == int(known.count[-1]):
        warnings.append(f"all weights of '{q.name}' round to 0: they are too small beside the rest of '{q.target}'")
    return _Projections(made, rows, warnings, found.squared, found.zeroed)


def _learned(network: Network, i: Incoming, choice: Choice) -> _Projections:
    """Return a projection that learns: its bounds are those of the weight's 9 bits."""
    q, learning = i.projection, i.projection.learning
    assert learning is not None
    low, high = learning.bounds
    unit = high / LEARNED_HIGH
    mode: SignMode = "mixed" if low < 0 else "excitatory"
    step, (least, most) = 1 << weight_shift(mode, i.form.weight_bits), weight_range(mode, i.form.weight_bits)
    real = np.asarray(q.weights, np.float64)
    whole = np.clip(np.rint(real / (unit * step)).astype(np.int64) * step, least, most)
    mantissa = frozen((whole // step).astype(np.int8 if mode == "mixed" else np.uint8))
    warnings: list[str] = []
    integers, rows = integers_of(q, 1 / unit, network.timestep, warnings)
    squared = float(np.square(whole * unit - real).sum())
    text = (
        f"{mode} 9 bit, {low:g}..{high:g} is {'-256' if low < 0 else '0'}..{LEARNED_HIGH}, start in steps of {step * unit:.6g}"
    )
    made = IntegerProjection(
        q.name, q.source, q.target, q.pattern, mantissa, weight_shift(mode, i.form.weight_bits), mode, i.form.weight_bits,
        choice.exponent, q.delay, origin=q.origin, learning=integers,
    )  # fmt: skip
    zeroed = int(np.count_nonzero((whole == 0) & (real != 0)))
    return _Projections([made], [(f"weights {q.name}", _weights_text(i), text), *rows], warnings, squared, zeroed)


def _weights_text(i: Incoming) -> str:
    """Return the range of the weights as printed."""
    return span(np.array([i.distribution.low, i.distribution.high])) if i.distribution.size else "none"


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that no projection has, and take it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    taken.add(free)
    return free


def _factors_text(factors: Array) -> str:
    return ", ".join(f"x{int(f)}: {int(n)} neurons" for f, n in zip(*np.unique(factors, return_counts=True), strict=True))


def _plain_maximum(incoming: Sequence[Incoming], results: Sequence[_Projections]) -> tuple[str, str, str]:
    """Return the row of what a plain maximum would have cost: one step for all weights, which the largest weight sets."""
    unit = max(i.unit_of_largest for i in incoming)
    size = sum(i.distribution.size for i in incoming)
    squared = math.fsum(i.distribution.error(unit, i.steps()) for i in incoming)
    zeroed = sum(i.distribution.zeroed(unit) for i in incoming)
    chosen, lost = math.fsum(r.squared for r in results), sum(r.zeroed for r in results)
    text = (
        f"rms error {math.sqrt(squared / size):.3g}, {zeroed} of {size} weights rounded to 0 "
        f"(chosen: {math.sqrt(chosen / size):.3g}, {lost})"
    )
    return "plain maximum", f"step {unit:.6g}", text


# -- integers that the file already holds ---------------------------------------------------------------------------------


def _native_population(p: Population) -> IntegerPopulation:
    assert p.neuron is not None
    model = NEURON_MODELS[p.neuron.model]
    parameters = {key: frozen(value, np.int64) for key, value in p.neuron.parameters.items()}
    return IntegerPopulation(
        p.name, p.shape, dynamics_of(p), parameters, model.fires, has_current=model.has_current, origin=p.origin,
        **_integer_semantics(p),
    )  # fmt: skip


def _integer_semantics(p: Population) -> dict[str, Any]:
    """Return the axes of a population that its integers keep as they are; the targets refuse those that they have not."""
    assert p.neuron is not None
    semantics = p.neuron.semantics
    if not NEURON_MODELS[p.neuron.model].fires:
        return {"reset_interval": semantics.reset_interval, "reset_offset": semantics.reset_offset}
    return {
        "reset": semantics.reset,
        "compare": semantics.compare,
        "refractory": semantics.refractory,
        "reset_interval": semantics.reset_interval,
        "reset_offset": semantics.reset_offset,
    }


def _native_projection(network: Network, q: Projection, form: NumberFormat) -> IntegerProjection:
    assert q.native is not None
    sign_mode = native_sign_mode(q)
    shift = weight_shift(sign_mode, q.native.weight_bits)
    stored: type[np.generic] = np.int8 if sign_mode == "mixed" else np.uint8
    if not form.checked:
        shift, stored = 0, np.int16
    writer = ArrayWriter(q.weights.shape, stored)
    for block in blocks_of(q.weights) if q.weights.ndim else ((),):
        weights = np.asarray(q.weights[block], np.int64)
        writer.append(((-weights if sign_mode == "inhibitory" else weights) >> shift).astype(stored))
    learning = None if q.learning is None else integers_of(q, 1.0, network.timestep, [])[0]
    return IntegerProjection(
        q.name, q.source, q.target, q.pattern, writer.finish(), shift, sign_mode, q.native.weight_bits, q.native.weight_exp,
        q.delay, binary=not carries_values(network, q.source), pool=pool_of(q), origin=q.origin, learning=learning,
    )  # fmt: skip


def native_sign_mode(q: Projection) -> SignMode:
    """Return the sign mode of a projection of a chip's integers: as declared, else by the content, as Lava does it."""
    assert q.native is not None
    match q.native.sign_mode:
        case "mixed":
            return "mixed"
        case "excitatory":
            return "excitatory"
        case "inhibitory":
            return "inhibitory"
    return sign_mode_of(q.weights)


def sign_mode_of(weights: Array) -> SignMode:
    """Return ``excitatory`` where no weight is negative, ``inhibitory`` where none is positive, else ``mixed``."""
    positive = negative = False
    for block in blocks_of(weights) if weights.ndim else ((),):
        part = np.asarray(weights[block])
        positive = positive or bool(part.max(initial=0) > 0)
        negative = negative or bool(part.min(initial=0) < 0)
        if positive and negative:
            return "mixed"
    return "inhibitory" if negative else "excitatory"


def pool_of(q: Projection) -> Pattern | None:
    """Return the maximum that a legal projection takes before its pattern, if any."""
    return q.before[0].pattern if q.before else None


def activity_warnings(network: Network, trace: Trace) -> list[str]:
    """Name populations that never spike, or neurons that spike in every tick, on the calibration data."""
    warnings = []
    for p in network.populations.values():
        if p.neuron is None or not NEURON_MODELS[p.neuron.model].fires:
            continue
        spikes = trace.spikes[p.name] != 0
        if not spikes.any():
            warnings.append(f"'{p.name}' never spikes on the calibration data (dead)")
        elif always := int(spikes.all(axis=(0, 1)).sum()):
            warnings.append(
                f"{always} of {p.size} neurons of '{p.name}' spike in every tick of the calibration data (saturated)"
            )
    return warnings
