"""The whole compiler as one page: a chain of typed stages, each verified before the next begins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, IntegerSimulator, MappingPlan, Options, Pin, Stimulus, Violation
from neurocomp.encoding import ENCODERS, clipping_warning, decode, encode_samples, scored_output
from neurocomp.errors import CapacityError, Diagnostic, Location, NeurocompError, UnsupportedError, UsageError, did_you_mean
from neurocomp.errors.catalogue import CATALOGUE
from neurocomp.hardware import EXTENSIONS, HardwareSpec
from neurocomp.ir.crossbars import verify_crossbars
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network, Samples
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import QuantizedNetwork
from neurocomp.mapping.feasibility import Feasibility, feasibility_of, largest_of
from neurocomp.mapping.profile import profile_of
from neurocomp.mapping.traffic import Rates
from neurocomp.passes.host_currents import analog_inputs, split_currents
from neurocomp.passes.legalize import legalize
from neurocomp.passes.quantize import Quantization, quantize
from neurocomp.passes.quantize_plain import quantize_plain
from neurocomp.passes.ticks_per_step import stretched, ticks_per_step

Array = NDArray[Any]

CALIBRATION_SAMPLES = 64
"""At most so many calibration samples are simulated; they are spread over those that are declared."""

ACCURACY_SAMPLES = 50
"""Labelled samples on which it is measured what lossy lowering does to the accuracy."""

CALIBRATION_TICKS = 4096
"""Longer samples are simulated for so many ticks."""

TOO_MANY_CORES = "NC0401"

logger = logging.getLogger("neurocomp")


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """What the mapping is told beside the options: what it rests on, and who watches it."""

    spikes: Mapping[str, Array] | None = None
    """The user's population -> spikes, (samples, ticks, n), whose means are the rates; None: those of the calibration."""
    where: Location | None = None
    """The file of these spikes."""
    pins: Sequence[Pin] = ()
    """What is where."""
    progress: Callable[[float], None] | None = None
    """Is told which share of the mapping is done; an interruption then keeps the best one so far."""
    jobs: int | None = None
    """Threads; the result does not depend on them."""


NO_WISHES = Wishes()


@dataclass(frozen=True, slots=True)
class Checked:
    """How far a network gets on a target: the stages that were reached, and all violations of the first that has some."""

    quantization: Quantization | None
    lowered: LoweredNetwork | None
    artifact: Artifact | None
    violations: tuple[Violation, ...]
    feasibility: Feasibility | None = None
    """What the limits of the cores say about each population, where cores store rows of synapses."""


def compile_network(
    network: Network, spec: HardwareSpec, backend: Backend, simulator: IntegerSimulator, options: Options,
    wishes: Wishes = NO_WISHES,
) -> Artifact:  # fmt: skip
    """Compile a network.

    Raises:
        UnsupportedError: The target cannot do what the network asks for; all violations of the stage.
        CapacityError: It does not fit; all violations of the stage.
    """
    checked = check_network(network, spec, backend, simulator, options, wishes)
    if checked.violations:
        raise violation_error(checked.violations)
    assert checked.artifact is not None
    return checked.artifact


def check_network(
    network: Network,
    spec: HardwareSpec,
    backend: Backend,
    simulator: IntegerSimulator,
    options: Options,
    wishes: Wishes = NO_WISHES,
    *,
    emits: bool = True,
) -> Checked:
    """Compile as far as the target allows; without ``emits`` up to the mapping, which is the last stage that can refuse."""
    network.verify()
    legal, folded = legalize(network)
    feasible = feasibility_of(legal, spec, analog_inputs(legal), network) if spec.stores_rows else None
    if feasible is not None and feasible.violations:
        return Checked(None, None, None, feasible.violations, feasible)
    if violations := backend.check(legal, spec, options):
        return Checked(None, None, None, tuple(violations), feasible)
    if feasible is not None and (note := feasible.estimate_note(network.name, spec)):
        logger.warning(note)
    legal, stepped = ticks_per_step(legal, options.ticks_per_step)
    if stepped and (violations := backend.check(legal, spec, options)):
        return Checked(None, None, None, tuple(violations), feasible)
    calibration, calibrated_on = calibration_stimulus(network)
    if calibration is not None and stepped:
        calibration = {name: stretched(spikes, options.ticks_per_step) for name, spikes in calibration.items()}
    clipped = _clipped(network)
    legal, changed = backend.legalize(legal, spec, options, calibration)
    split = split_currents(legal)
    if spec.has_crossbars:
        levels = backend.weight_format(options)
        axons = spec.limit("input_axons")
        quantization = quantize_plain(split.network, spec.number_format, simulator, calibration, levels, max_axons=axons)
    else:
        profiles, formats = spec.limit("threshold_profiles"), spec.limit("synapse_formats")
        quantization = quantize(
            split.network, spec.number_format, simulator, calibration,
            profiles=profiles, formats=formats, currents=split.currents,
        )  # fmt: skip
    quantized = quantization.network
    if violations := backend.check(quantized, spec, options):
        return Checked(quantization, None, None, tuple(violations), feasible)
    lowering = backend.lower(quantized, spec, options, quantization.calibration)
    lowered = verified(lowering.network, quantized, spec)
    if violations := backend.check(lowered, spec, options):
        return Checked(quantization, lowered, None, tuple(violations), feasible)
    if not spec.stores_rows:
        _refuse_wishes(spec, options, wishes)
    mapping_notes: list[str] = []
    rates = _rates(network, quantization, calibration, lowered, wishes, mapping_notes)
    plan = MappingPlan(
        options.effort, options.seed, options.mapper, rates, wishes.pins, wishes.jobs, wishes.progress, mapping_notes.append
    )
    mapped, violations = backend.map(lowered, spec, plan)
    if mapped is None:
        return Checked(quantization, lowered, None, _with_largest(violations, feasible), feasible)
    mapped.verify(spec)
    if violations := backend.check(mapped, spec, options):
        return Checked(quantization, lowered, None, tuple(violations), feasible)
    if not emits:
        return Checked(quantization, lowered, None, (), feasible)
    program = backend.emit(mapped, spec).verify()
    found = (*folded, *changed, *split.notes, *stepped, calibrated_on, *clipped)
    notes = (*found, *quantized.warnings, *lowering.notes, *mapping_notes)
    if spec.has_crossbars:
        notes = (*notes, *_accuracies(network, quantized, lowered, simulator))
    artifact = _artifact(network, quantized, lowered, notes, spec=spec, options=options, mapped=mapped, program=program)
    return Checked(quantization, lowered, artifact, (), feasible)


def _with_largest(violations: Sequence[Violation], feasible: Feasibility | None) -> tuple[Violation, ...]:
    """Return the violations of a mapping; those of too many cores name the populations that take the most."""
    if feasible is None or len(feasible.rows) < 2:
        return tuple(violations)
    also = f"the largest: {largest_of(feasible.rows)}"
    return tuple(replace(v, also=also) if v.code == TOO_MANY_CORES and v.also is None else v for v in violations)


def verified(lowered: LoweredNetwork, quantized: QuantizedNetwork | None, spec: HardwareSpec) -> LoweredNetwork:
    """Return a lowered network whose claims hold; ``quantized`` is None where it was imported as it is."""
    if spec.has_crossbars:
        axons, neurons, delay = (spec.limit(name) for name in ("input_axons", "neurons", "delay"))
        integers = None if quantized is None else quantized.network
        return verify_crossbars(lowered, integers, max_axons=axons, max_neurons=neurons, max_delay=delay)
    delays = {} if quantized is None else {q.name: q.delay for q in quantized.network.projections}
    return lowered.verify(delays, spec.limit("delay"), spec.hop_ticks)


def _refuse_wishes(spec: HardwareSpec, options: Options, wishes: Wishes) -> None:
    """Refuse what only neurons can be told that are mapped one by one.

    Raises:
        UnsupportedError: There are pins, or another mapper (NC0344).
    """
    if wishes.pins:
        message = f"neurons cannot be pinned to cores of {spec.name}"
        raise UnsupportedError(Diagnostic("NC0344", message, wishes.pins[0].origin, hint="leave --mapping out"))
    if options.mapper != "default":
        message = f"there are no single neurons to spread over cores of {spec.name}"
        raise UnsupportedError(Diagnostic("NC0344", message, hint=f"leave '--mapper {options.mapper}' out"))


def _rates(
    network: Network, quantization: Quantization, calibration: Stimulus | None, lowered: LoweredNetwork, wishes: Wishes,
    notes: list[str],
) -> Rates | None:  # fmt: skip
    """Return how often the chip's neurons spike in the user's trace, or on the calibration samples; None without either."""
    if wishes.spikes is not None and wishes.where is not None:
        notes.append(f"mapping: weighted with the spikes of {wishes.where.file}")
        shapes = {name: p.shape for name, p in network.populations.items()}
        return profile_of(wishes.spikes, shapes, lowered, wishes.where).rates
    trace = quantization.calibration
    if trace is None or calibration is None:
        return None
    populations = quantization.network.network.populations
    spikes = {name: values for name, values in {**calibration, **trace.spikes}.items() if name in populations}
    return profile_of(spikes, {name: p.shape for name, p in populations.items()}, lowered, None).rates


def _artifact(
    network: Network, quantized: QuantizedNetwork, lowered: LoweredNetwork, notes: Sequence[str], *,
    spec: HardwareSpec, options: Options, mapped: MappedNetwork, program: Program,
) -> Artifact:  # fmt: skip
    samples = network.data.samples
    stored = replace(network, data=replace(network.data, samples=None, calibration=None))
    return Artifact(
        network=stored, quantized=quantized, lowered=lowered, mapped=mapped, program=program, spec=spec,
        options={"target": spec.name, **asdict(options)}, notes=tuple(notes), samples=samples, samples_digest=None,
        version=version("neurocomp"),
    )  # fmt: skip


def _accuracies(
    network: Network, quantized: QuantizedNetwork, lowered: LoweredNetwork, simulator: IntegerSimulator
) -> list[str]:
    """Return what lossy lowering did to the accuracy on declared samples, as one line; nothing where none ran."""
    name, samples = scored_output(network), network.data.samples
    if name is None or samples is None or samples.labels is None:
        return []
    if not lowered.reached_by_loss(min(network.ticks, CALIBRATION_TICKS)):
        return []
    decoder, count = network.decoders[name], min(samples.count, ACCURACY_SAMPLES)
    taken = Samples({key: values[:count] for key, values in samples.inputs.items()})
    stimulus = encode_samples(network, taken)
    before = simulator.run(quantized.network, stimulus, record=[name], state=False)
    after = simulator.run(lowered.network, stimulus, lag=lowered.lag, record=[lowered.map[name].population], state=False)
    right = [
        float((decode(decoder, spikes=trace.spikes[name]) == samples.labels[:count]).mean())
        for trace in (before, lowered.in_user_time(after))
    ]
    return [f"lowering: accuracy {right[0]:.1%} quantized, {right[1]:.1%} lowered, on {count} declared samples"]


def options_of(backend: Backend, spec: HardwareSpec, given: Mapping[str, Any]) -> Options:
    """Return the options of a backend with the values that a user gives by name.

    Raises:
        UsageError: There is no such option, it does not take that value, or the spec lists no such extension (NC0801).
    """
    hints = get_type_hints(backend.options)
    known = [f.name for f in fields(backend.options)]
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for name, value in given.items():
        if name not in known:
            message = f"{spec.name} has no option '{name}'"
            problems.append(Diagnostic("NC0801", message, hint=did_you_mean(name, known)))
        elif name == "extensions":
            problems += [_no_extension(spec, extension) for extension in value if extension not in spec.extensions]
            values[name] = tuple(extension for extension in spec.extensions if extension in value)
        elif hints[name] is int and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            problems.append(Diagnostic("NC0801", f"option '{name}' takes a whole number from 1 on, not {value!r}"))
        elif hints[name] is bool and not isinstance(value, bool):
            problems.append(Diagnostic("NC0801", f"option '{name}' is true or false, not {value!r}"))
        elif get_origin(hints[name]) is Literal and value not in get_args(hints[name]):
            words = get_args(hints[name])
            message = f"option '{name}' takes one of {', '.join(words)}, not {value!r}"
            problems.append(Diagnostic("NC0801", message, hint=did_you_mean(str(value), words)))
        else:
            values[name] = value
    if problems:
        raise UsageError(problems)
    return backend.options(**values)


def _no_extension(spec: HardwareSpec, name: str) -> Diagnostic:
    if name in EXTENSIONS and spec.does_natively(name):
        hint: str | None = f"{spec.name} does that itself: leave the option out"
    else:
        hint = did_you_mean(name, spec.extensions) or f"{spec.name} lists none"
    return Diagnostic("NC0801", f"{spec.name} has no extension '{name}'", hint=hint)


def violation_error(violations: Sequence[Violation]) -> NeurocompError:
    """Return the error for the violations of one stage."""
    only_capacity = all(CATALOGUE[v.code].exit_code == CapacityError.exit_code for v in violations)
    kind = CapacityError if only_capacity else UnsupportedError
    return kind([v.diagnostic() for v in violations])


def calibration_stimulus(network: Network) -> tuple[Stimulus | None, str]:
    """Return encoded calibration samples, and where they come from."""
    for samples, text in (
        (network.data.calibration, "calibrated on {n} calibration samples"),
        (network.data.samples, "calibrated on {n} of the declared samples, as the file declares no calibration data"),
    ):
        if (
            samples is not None
            and samples.count
            and all(p.name in samples.inputs and p.name in network.encoders for p in network.inputs)
        ):
            chosen = np.unique(np.linspace(0, samples.count - 1, min(samples.count, CALIBRATION_SAMPLES)).astype(int))
            short = replace(network, ticks=min(network.ticks, CALIBRATION_TICKS))
            timed = {name for name, e in network.encoders.items() if ENCODERS[e.scheme].timed}
            data = {name: v[chosen][:, : short.ticks] if name in timed else v[chosen] for name, v in samples.inputs.items()}
            stimulus = encode_samples(short, Samples(data))
            cut = f", for {short.ticks} of {network.ticks} ticks" if short.ticks < network.ticks else ""
            return stimulus, text.format(n=len(chosen)) + cut
    declared = network.data.samples is not None or network.data.calibration is not None
    why = "an input has no encoder for its data" if declared else "the file declares no data"
    return None, f"not calibrated: {why}; ranges rest on proofs alone"


def _clipped(network: Network) -> list[str]:
    """Return which encoders clip values of the declared samples."""
    warnings = []
    for name, data in (network.data.samples.inputs if network.data.samples is not None else {}).items():
        if name in network.encoders:
            found = clipping_warning(
                network.encoders[name], data, scale=network.data.scale, population=name,
                shape=network.populations[name].shape, ticks=network.ticks,
            )  # fmt: skip
            warnings += [found.message] if found is not None else []
    return warnings
