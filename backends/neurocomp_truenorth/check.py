"""What TrueNorth cannot do and nothing is lowered to it for, each with what would help and its price."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from neurocomp.backend import Violation
from neurocomp.encoding import DECODERS, ENCODERS
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.quantized import IntegerNetwork, QuantizedNetwork, compartment_ranges
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.passes.check_integers import check_program
from neurocomp.passes.check_learning import check_learning
from neurocomp_truenorth.lags import delays_between, lags, least_delay
from neurocomp_truenorth.options import TrueNorthOptions
from neurocomp_truenorth.partial_sums import axons_per_line
from neurocomp_truenorth.plan import inputs_of, no_codebook

_EMITTED = {
    "neuron_models": ("if", "linear_lif", "binary", "truenorth"),
    "patterns": ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d", "maxpool1d", "maxpool2d"),
    "input": ("delta",),
    "threshold_on": ("new",),
    "compare": (">=",),
    "spikes_per_tick": ("one",),
    "reset": ("zero", "subtract", "none"),
    "reset_when": ("same_tick",),
}
_AXES = {
    "threshold_on": ("NC0304", "compares the potential of another time with the threshold"),
    "spikes_per_tick": ("NC0305", "sends many spikes per tick"),
    "reset": ("NC0301", "resets to a value"),
    "reset_when": ("NC0304", "resets in the next tick"),
}
OWN_SUFFIXES = ("axons", "out", "relay", "partial", "hold", "bias")
"""What lowering adds to the name of a population for parts that it makes."""
LEAKY = ("lif", "cuba_lif")
"""Models whose leak `--approximate-leak` replaces."""
_OPTIONS = TrueNorthOptions()


def check(
    stage: Network | QuantizedNetwork | LoweredNetwork | MappedNetwork, spec: HardwareSpec, options: TrueNorthOptions = _OPTIONS
) -> Sequence[Violation]:
    """Return every rule that a stage breaks; what is lowered and mapped keeps all."""
    match stage:
        case Network():
            return check_network(stage, spec, options)
        case QuantizedNetwork():
            return check_quantized(stage, spec, options)
        case LoweredNetwork() | MappedNetwork():
            return ()


def check_network(network: Network, spec: HardwareSpec, options: TrueNorthOptions = _OPTIONS) -> Sequence[Violation]:
    """Return the models, semantics, patterns, delays, encoders and decoders that the chip does not have."""
    violations: list[Violation] = list(check_learning(network, spec))
    for p in network.populations.values():
        if p.neuron is not None:
            violations += _check_neurons(p, network, spec, options)
    for q in network.projections:
        violations += _check_projection(q, network, spec)
    for name, p in network.populations.items():
        base, _, suffix = name.rpartition(".")
        if base in network.populations and suffix.rstrip("0123456789") in OWN_SUFFIXES:
            message = f"population '{name}' has the name of what lowering makes for '{base}'"
            hint = f"rename it: lowering adds .{', .'.join(OWN_SUFFIXES)} to the names of populations"
            violations.append(Violation("NC0322", name, message, suffix, "reserved", hint=hint, origin=p.origin))
    for name, encoder in network.encoders.items():
        scheme = ENCODERS[encoder.scheme]
        if scheme.analog or scheme.graded:
            what = "a direct current" if scheme.analog else "spikes that carry values"
            message = f"input '{name}' is {what} (encoder '{encoder.scheme}'); {spec.name} takes spikes of 0 and 1 alone"
            hint = "encode it as spikes: rate, bernoulli, latency, threshold"
            violations.append(Violation("NC0323", name, message, encoder.scheme, "spikes", hint=hint, origin=encoder.origin))
    for name, decoder in network.decoders.items():
        if DECODERS[decoder.scheme].reads_potential:
            message = f"the decoder of '{name}' reads potentials, which no message of {spec.name} carries"
            hint = "decode spikes: count, first_spike, vote"
            violations.append(Violation("NC0323", name, message, decoder.scheme, "spikes", hint=hint, origin=decoder.origin))
    if options.ticks_per_step > 1:
        message = (
            f"'{network.name}' is stretched to {options.ticks_per_step} ticks per step; leaks of {spec.name} act every tick"
        )
        hint = "raise the delays along the cycle instead"
        violations.append(Violation("NC0315", network.name, message, options.ticks_per_step, 1, hint=hint))
    return violations


def _native(spec: HardwareSpec, axis: str) -> tuple[str, ...]:
    return tuple(value for value in spec.native.get(axis, ()) if value in _EMITTED[axis])


def forgets(p: Population, dt: float) -> bool:
    """Return whether a population is ``lif`` and keeps nothing from tick to tick, so that it is ``binary``."""
    if p.neuron is None or p.neuron.model != "lif" or p.neuron.number_format is not None:
        return False
    semantics, start = p.neuron.semantics, np.asarray(p.neuron.parameters["v_init"])
    plain = semantics.threshold_on == "new" and semantics.spikes_per_tick == "one" and not semantics.refractory
    plain = plain and semantics.v_floor is None
    kept = NEURON_MODELS["lif"].decays(p.neuron.parameters, semantics, dt)[1]
    return plain and semantics.reset_when == "same_tick" and not np.any(kept) and not start.any()


def _check_neurons(p: Population, network: Network, spec: HardwareSpec, options: TrueNorthOptions) -> list[Violation]:
    assert p.neuron is not None
    violations: list[Violation] = []

    def refuse(code: str, message: str, actual: int | float | str, limit: int | str, hint: str) -> None:
        text = f"population '{p.name}' {message}"
        violations.append(Violation(code, p.name, text, actual, limit, hint=hint, origin=p.origin))

    model, semantics = NEURON_MODELS[p.neuron.model], p.neuron.semantics
    if forgets(p, network.timestep) and "binary" in _native(spec, "neuron_models"):
        return violations
    models = " or ".join(_native(spec, "neuron_models"))
    if isinstance(model, ProgrammedModel):
        return check_program(p, spec)
    if not model.fires:
        hint = "give the readout neurons that spike, and decode by count or vote"
        refuse(
            "NC0313",
            f"has the model {model.name}, which never spikes; {spec.name} sends spikes alone",
            model.name,
            models,
            hint,
        )
        return violations
    if model.name in LEAKY and "linear_lif" in _native(spec, "neuron_models"):
        if not options.approximate_leak:
            message = f"has the model {model.name}; {spec.name} has no exponential leak"
            hint = (
                "--approximate-leak takes the linear leak that changes the least, lossy, and measures what it changes; "
                "better: retrain with 'if' or 'linear_lif'"
            )
            refuse("NC0313", message, model.name, models, hint)
    elif model.name not in _native(spec, "neuron_models"):
        refuse(
            "NC0313", f"has the model {model.name}; {spec.name} has {models}", model.name, models, "use one and train with it"
        )
        return violations
    if semantics.input == "current" and model.name not in LEAKY:
        refuse("NC0304", "integrates its input as a current", "current", "delta", "write 'input: delta', and retrain")
    for axis, (code, does) in _AXES.items():
        value = str(getattr(semantics, axis))
        if value not in _native(spec, axis):
            hint = f"write '{axis}: {_native(spec, axis)[0]}', and retrain if need be"
            refuse(code, f"{does}; {spec.name} does not", value, " or ".join(_native(spec, axis)), hint)
    if semantics.compare == ">" and semantics.reset == "subtract" and options.compare != "ge":
        message = f"compares with '>' and resets by subtraction; {spec.name} subtracts what its '>=' compares with"
        refuse("NC0302", message, ">", ">=", "write 'compare: \">=\"', or --compare ge takes it in place of '>'")
    if semantics.refractory:
        message = f"is refractory for {semantics.refractory} ticks; {spec.name} has no such periods"
        refuse("NC0303", message, semantics.refractory, 0, "remove 'refractory', and retrain")
    if semantics.reset_interval is not None:
        message = f"is reset every {semantics.reset_interval} ticks; {spec.name} has no such schedule"
        refuse("NC0307", message, semantics.reset_interval, "per sample", "remove 'reset_every', or use the model binary")
    if semantics.v_floor is not None and semantics.v_floor > 0:
        refuse("NC0306", "has a floor above 0", semantics.v_floor, 0, "give it a floor of 0 or below")
    if p.neuron.number_format is not None:
        violations += _check_integers(p, spec)
    elif (np.asarray(p.neuron.parameters["v_threshold"]) < 0).any() and model.name != "binary":
        refuse(
            "NC0312", "has a negative threshold", float(np.min(p.neuron.parameters["v_threshold"])), 0, "shift the potential"
        )
    return violations


def _check_integers(p: Population, spec: HardwareSpec) -> list[Violation]:
    """Return which of the chip's integers lie outside its registers (NC0310)."""
    assert p.neuron is not None
    form, violations = spec.number_format, []
    if p.neuron.number_format != form.name:
        message = f"population '{p.name}' holds integers of '{p.neuron.number_format}'; {spec.name} computes in '{form.name}'"
        return [Violation("NC0310", p.name, message, str(p.neuron.number_format), form.name, origin=p.origin)]
    for key, low, high in compartment_ranges(form, "truenorth"):
        value = p.neuron.parameters.get(key)
        wrong = None if value is None else (value < low) | (value > high)
        if value is not None and wrong is not None and wrong.any():
            bad = int(np.atleast_1d(value)[np.atleast_1d(wrong)][0])
            message = f"population '{p.name}': {key} is {bad}; it lies in {low}..{high}"
            violations.append(Violation("NC0310", p.name, message, bad, f"{low}..{high}", origin=p.origin))
    reset = np.abs(p.neuron.parameters["R"])
    if ((reset & (reset + 1)) != 0).any():
        bad = int(reset[(reset & (reset + 1)) != 0].flat[0])
        message = f"population '{p.name}': R is +-{bad}; {spec.name} resets to 0 or +-(2^k - 1)"
        violations.append(Violation("NC0310", p.name, message, bad, "2^k - 1", origin=p.origin))
    if p.neuron.parameters["symmetric"].any():
        message = f"population '{p.name}' has the negative threshold of RANC ('symmetric'), which {spec.name} does not have"
        violations.append(Violation("NC0310", p.name, message, 1, 0, hint="write 'symmetric: 0'", origin=p.origin))
    return violations


def _check_projection(q: Projection, network: Network, spec: HardwareSpec) -> list[Violation]:
    violations = []
    has = _native(spec, "patterns")
    for kind in (*(stage.pattern.kind for stage in q.before), q.pattern.kind):
        if kind not in has:
            message = f"projection '{q.name}' is {kind}; {spec.name} has {' or '.join(has)}"
            hint = "write its synapses as one of these patterns"
            violations.append(Violation("NC0308", q.name, message, kind, " or ".join(has), hint=hint, origin=q.origin))
    longest, limit = int(q.delay.max(initial=0)), spec.limit("delay")
    if longest > limit:
        message = f"projection '{q.name}' has a delay of {longest} ticks; {spec.name} has at most {limit}"
        hint = (
            f"shorten it, or put {-(-longest // limit) - 1} population(s) of relays ('if', weight and threshold 1) in between"
        )
        source = spec.limit_text("delay")
        violations.append(Violation("NC0309", q.name, message, longest, limit, source, hint, origin=q.origin))
    if q.native is not None and (q.native.weight_exp or q.native.sign_mode not in (None, "mixed", "excitatory", "inhibitory")):
        message = f"projection '{q.name}' has weights with the exponent {q.native.weight_exp}; those of {spec.name} have none"
        violations.append(Violation("NC0310", q.name, message, q.native.weight_exp, 0, hint="write them out", origin=q.origin))
    most = spec.number_format.weight_max
    largest = int(np.abs(np.asarray(q.weights, np.int64)).max(initial=0)) if q.native is not None else 0
    if largest > most:
        message = f"projection '{q.name}' has a weight of {largest} in size; sums of axons are represented up to {most}"
        hint = f"an axon adds at most {spec.number_format.weight_max_type} to a neuron: use smaller weights"
        violations.append(Violation("NC0310", q.name, message, largest, most, hint=hint, origin=q.origin))
    return violations


def check_quantized(
    quantized: QuantizedNetwork, spec: HardwareSpec, options: TrueNorthOptions = _OPTIONS
) -> Sequence[Violation]:
    """Return fan-in beyond a core's axons, weights that no axon types represent, and cycles and slack that time forbids."""
    network = quantized.network
    violations: list[Violation] = []
    for p in network.populations.values():
        if p.has_neurons:
            violations += _check_inputs(network, p.name, spec, options)
    return violations or _check_time(network, spec)


def _check_inputs(network: IntegerNetwork, name: str, spec: HardwareSpec, options: TrueNorthOptions) -> list[Violation]:
    p = network.populations[name]
    inputs = inputs_of(network, [(name, 0)], spec)
    if inputs is None:
        return [no_codebook(name, p, spec)]
    sizes, limit = inputs.needs.sizes, spec.limit("input_axons")
    over = np.flatnonzero(sizes > limit)
    stochastic = bool(p.values("b").any())
    if not len(over) or (options.partial_sums and not stochastic):
        return []
    neuron, lines = int(over[0]), inputs.lines
    fan_in = np.bincount(lines.neuron, minlength=p.size)
    each = axons_per_line(lines, p, spec)
    parts = -(-lines.count * each // limit)
    room = spec.limit("neurons")
    cores = parts * -(-2 * p.size // room) + -(-p.size // max(1, limit // (2 * parts))) - -(-p.size // room)
    subject = f"{name}[{neuron}]"
    message = (
        f"neuron '{subject}' has {int(fan_in[neuron])} inputs that take {int(sizes[neuron])} axons; "
        f"{spec.name} has {limit} per core"
    )
    if stochastic:
        hint = "put a layer in between: stochastic synapses have no partial sums"
    elif cores >= 0 and 2 * parts <= limit:
        hint = f"--partial-sums splits '{name}' (+{cores} cores, +1 tick, lossy), or use a layer of blocks that fit a core"
    else:
        hint = "use a layer of blocks that fit a core"
    also = f"{len(over) - 1} more neurons of '{name}'" if len(over) > 1 else None
    source = spec.limit_text("input_axons")
    return [Violation("NC0412", subject, message, int(sizes[neuron]), limit, source, hint, also, p.origin)]


def _check_time(network: IntegerNetwork, spec: HardwareSpec) -> list[Violation]:
    lag, cycle = lags(network)
    delays = delays_between(network)
    if cycle is not None:
        edges = list(pairwise(cycle))
        ticks = sum(delays[edge][0] for edge in edges if edge in delays)
        first = network.populations[cycle[0]]
        message = (
            f"the cycle {' -> '.join(cycle)} has {ticks} delay ticks for {len(edges)} hops; a hop takes 1 tick on {spec.name}"
        )
        hint = f"raise the delays along the cycle by {len(edges) - ticks} in total"
        return [Violation("NC0315", first.name, message, ticks, len(edges), hint=hint, origin=first.origin)]
    violations, limit = [], spec.limit("delay")
    for (source, target), (_, high) in delays.items():
        total = high + lag[target] - lag[source]
        if total > limit and least_delay(network.populations[source]):
            late = lag[target] - lag[source]
            message = (
                f"'{source}' -> '{target}' needs a delay of {total} ticks ({high} and {late} for the lag); "
                f"{spec.name} has at most {limit}"
            )
            hint = f"put a population of relays ('if', weight and threshold 1) between '{source}' and '{target}'"
            text = spec.limit_text("delay")
            violations.append(Violation("NC0309", f"{source}->{target}", message, total, limit, text, hint))
    return violations
