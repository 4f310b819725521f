"""What Loihi cannot do and nothing is lowered to it for: every rule that a network breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Violation
from neurocomp.errors import Location
from neurocomp.hardware import EXTENSIONS, HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.quantized import QuantizedNetwork
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.models.patterns import PATTERNS
from neurocomp.passes.check_integers import (
    AXES_IN_WORDS,
    check_decays,
    check_native_population,
    check_native_projection,
    check_program,
)
from neurocomp.passes.check_learning import check_learning
from neurocomp.passes.host_currents import analog_inputs
from neurocomp_loihi.lower import LoihiOptions, comparison_obstacle, extensions_of, lag_violations

# What the backend emits where a spec lists it as native; a floor of the potential is nothing that it knows.
_EMITTED = {
    "neuron_models": ("if", "lif", "cuba_lif", "i", "li", "cuba_li", "ternary_lif"),
    "patterns": ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d"),
    "input": ("delta", "current"),
    "threshold_on": ("new",),
    "compare": (">",),
    "spikes_per_tick": ("one",),
    "reset": ("zero", "subtract", "none"),
    "reset_when": ("same_tick",),
}
# What is lowered to something native: axis -> word -> the native word that it is made of.
_LOWERED = {"compare": {">=": ">"}, "reset": {"subtract": "zero"}}
_HINTS = {
    "compare": "write 'compare: \">\"'",
    "reset": "write 'reset: zero' or 'reset: subtract' and retrain, or use a target that resets in this way",
    "spikes_per_tick": "write 'spikes_per_tick: one'",
    "threshold_on": "write 'threshold_on: new'",
    "reset_when": "write 'reset_when: same_tick'",
}
_OPTIONS = LoihiOptions()


def check_network(network: Network, spec: HardwareSpec, options: LoihiOptions = _OPTIONS) -> Sequence[Violation]:
    """Return the semantics, patterns and native integers of a network that the chip does not have, and too many sources.

    The network is not beyond all cores: `neurocomp.mapping.feasibility` has counted its neurons.
    """
    violations: list[Violation] = []
    for p in network.populations.values():
        if p.neuron is not None:
            violations += _check_semantics(p, spec, options)
            violations += check_native_population(p, spec) if p.neuron.number_format else check_decays(p, network, spec)
    violations += _check_fan_in(network, spec)
    violations += check_learning(network, spec)
    for q in network.projections:
        violations += _check_pattern(q, spec)
        if q.native is not None:
            violations += check_native_projection(q, spec)
    return violations


def _check_fan_in(network: Network, spec: HardwareSpec) -> list[Violation]:
    """Return populations whose neurons have too many sources by the shapes of projections alone, before weights are read.

    Lists of synapses, chains, and what several projections from one source share count when the network is lowered.
    """
    on_host, limit = set(analog_inputs(network)), spec.limit("input_axons")
    violations = []
    for p in network.populations.values():
        into = [q for q in network.projections if q.target == p.name and q.source not in on_host]
        simple = [q for q in into if not q.before and not PATTERNS[q.pattern.kind].array_names]
        by_source: dict[str, NDArray[np.int64]] = {}
        for q in simple:
            counts = PATTERNS[q.pattern.kind].count(q.pattern, network.populations[q.source].shape, p.shape)
            by_source[q.source] = np.maximum(counts, by_source.get(q.source, 0))
        fan_in = np.sum(list(by_source.values()), axis=0) if by_source else np.zeros(p.size, np.int64)
        if fan_in.max(initial=0) > limit:
            exact = len(by_source) == len(into)
            violations.append(_fan_in_violation(p.name, fan_in, p.origin, spec, "" if exact else "at least "))
    return violations


def _fan_in_violation(
    name: str, fan_in: NDArray[np.int64], origin: Location | None, spec: HardwareSpec, at_least: str = ""
) -> Violation:
    """Return that neurons of a population, which have so many sources, (n,), fit no core."""
    limit = spec.limit("input_axons")
    over = np.flatnonzero(fan_in > limit)
    neuron, largest = int(over[0]), int(fan_in.argmax())
    also = f"{len(over) - 1} more neurons of '{name}'; the largest is {name}[{largest}] with {at_least}{int(fan_in[largest])}"
    subject, actual = f"{name}[{neuron}]", int(fan_in[neuron])
    message = f"neuron '{subject}' has {at_least}{actual} sources; {spec.name} has {limit} input axons per core"
    hint = "splitting the population does not help: put one in between, or prune inputs and list the rest as sparse"
    source = spec.limit_text("input_axons")
    return Violation("NC0412", subject, message, actual, limit, source, hint, also if len(over) > 1 else None, origin)


def _check_pattern(q: Projection, spec: HardwareSpec) -> list[Violation]:
    """Refuse maxima, and patterns that the chip does not have."""
    violations = []
    for kind in (stage.pattern.kind for stage in q.before):
        if not PATTERNS[kind].linear:
            message = f"projection '{q.name}' takes a maximum of spikes ({kind}); {spec.name} only adds weighted spikes up"
            hint = "use average or sum pooling in its place, and retrain"
            violations.append(Violation("NC0316", q.name, message, kind, "none", hint=hint, origin=q.origin))
    if q.pattern.kind not in _native(spec, "patterns"):
        known = _words(_native(spec, "patterns"))
        message = f"projection '{q.name}' is {q.pattern.kind}; {spec.name} has {known}"
        hint = "write its synapses as one of these patterns"
        violations.append(Violation("NC0308", q.name, message, q.pattern.kind, known, hint=hint, origin=q.origin))
    return violations


def _native(spec: HardwareSpec, axis: str) -> tuple[str, ...]:
    """Return what the chip has natively and this backend emits: a spec may list more than the backend knows."""
    return tuple(value for value in spec.native.get(axis, ()) if value in _EMITTED[axis])


def _accepted(spec: HardwareSpec, axis: str) -> tuple[str, ...]:
    """Return what the chip has natively, and what is lowered to that."""
    native = _native(spec, axis)
    return (*native, *(word for word, base in _LOWERED.get(axis, {}).items() if base in native))


def _not_allowed(extension: str, what: str, spec: HardwareSpec, options: LoihiOptions) -> tuple[str, str] | None:
    """Return message and hint where something needs an extension of the chip that is not allowed; None: it is."""
    if extension in options.extensions or spec.does_natively(extension):
        return None
    if extension in spec.extensions:
        hint = f"--allow-extension {extension} simulates it; every result is then marked as not on this chip"
    else:
        hint = "use a target that has them ('neurocomp targets')"
    return f"{what}; {spec.name} has no {EXTENSIONS[extension][2]}", hint


def _words(values: Sequence[str]) -> str:
    return " or ".join(values) or "nothing of the kind"


def _check_semantics(p: Population, spec: HardwareSpec, options: LoihiOptions) -> list[Violation]:
    assert p.neuron is not None
    violations: list[Violation] = []

    def refuse(
        code: str, message: str, actual: int | float | str, limit: int | str, hint: str | None, source: str | None = None
    ) -> None:
        text = f"population '{p.name}' {message}"
        violations.append(Violation(code, p.name, text, actual, limit, source, hint, origin=p.origin))

    model, semantics = NEURON_MODELS[p.neuron.model], p.neuron.semantics
    models = _native(spec, "neuron_models")
    if isinstance(model, ProgrammedModel):
        return check_program(p, spec, options.extensions)
    if model.name not in models:
        extension = next(
            (name for name, (axis, word, _) in EXTENSIONS.items() if (axis, word) == ("neuron_models", model.name)), ""
        )
        if extension in spec.extensions:
            refused = _not_allowed(extension, f"has the model {model.name}", spec, options)
            if refused is not None:
                refuse("NC0318", refused[0], model.name, "none", refused[1])
        else:
            hint = "write one of these models and train with it"
            refuse("NC0313", f"has the model {model.name}; {spec.name} has {_words(models)}", model.name, _words(models), hint)
    for axis, (code, does) in AXES_IN_WORDS.items():
        value = str(getattr(semantics, axis))
        has = _native(spec, axis)
        if value not in _accepted(spec, axis) and (model.fires or axis == "input"):
            refuse(code, f"{does} '{value}'; {spec.name} natively has '{_words(has)}'", value, _words(has), _HINTS.get(axis))
    if semantics.refractory and model.fires:
        k, ticks = options.ticks_per_step, semantics.refractory
        of_chip = f" of the chip, {k} of which are one of the network" if k > 1 else ""
        message = f"is refractory for {ticks} ticks{of_chip}; {spec.name} has"
        if not spec.has("refractory"):
            refuse("NC0303", f"{message} no such periods", ticks, 0, "remove 'refractory'")
        elif ticks > spec.limit("refractory"):
            limit, source = spec.limit("refractory"), spec.limit_text("refractory")
            hint = "lower --ticks-per-step" if k > 1 else f"shorten 'refractory' to {limit}, or lengthen the timestep"
            refuse("NC0303", f"{message} at most {limit}", ticks, limit, hint, source)
    if semantics.v_floor is not None:
        refuse("NC0306", f"has the floor {semantics.v_floor} of its potential", semantics.v_floor, "none", "remove 'v_floor'")
    if semantics.reset_interval is not None and not spec.has("periodic_reset"):
        message = f"is reset every {semantics.reset_interval} ticks; {spec.name} has no periodic resets"
        hint = "remove 'reset_every': the state is reset at the start of every sample anyway"
        refuse("NC0307", message, semantics.reset_interval, "per sample", hint)
    return violations


def check_quantized(quantized: QuantizedNetwork, spec: HardwareSpec, options: LoihiOptions = _OPTIONS) -> Sequence[Violation]:
    """Return cycles and delays that the chip's timing does not allow, and comparisons, currents and values that it lacks."""
    network = quantized.network
    violations = lag_violations(network, spec, options.ticks_per_step)
    for p in network.populations.values():
        if p.is_input or not p.fires:
            continue
        obstacle = comparison_obstacle(p, quantized) if p.compare == ">=" else None
        if obstacle is not None and options.compare != "gt":
            message = f"population '{p.name}' compares with '>=', and no threshold of '>' gives the same spikes: {obstacle}"
            hint = "--compare gt takes '>' in its place and measures what that changes"
            violations.append(Violation("NC0302", p.name, message, ">=", ">", hint=hint, origin=p.origin))
    for p in network.populations.values():
        if p.current is not None and options.ticks_per_step > 1:
            message = f"population '{p.name}' takes the direct current '{p.current}', which is one value per tick of the chip"
            hint = "encode it as spikes, or raise the delays along the cycle instead"
            violations.append(Violation("NC0321", p.name, message, options.ticks_per_step, 1, hint=hint, origin=p.origin))
        if p.current is not None and p.has_current and p.program is None:
            message = f"population '{p.name}' has a synaptic current of its own, into which '{p.current}' cannot flow"
            hint = "give it a model without synaptic current, such as lif; the host writes such currents beside the bias"
            violations.append(Violation("NC0319", p.name, message, p.current, "none", hint=hint, origin=p.origin))
    for extension, subject in extensions_of(network).items():
        if extension == "ternary":
            what, origin = f"'{subject}' has spikes of -1", network.populations[subject].origin
        elif extension == "programmed":
            what, origin = f"'{subject}' has neurons that are programs", network.populations[subject].origin
        else:
            what, origin = (
                f"the spikes of '{subject}' carry a value",
                next(q.origin for q in network.projections if q.name == subject),
            )
        refused = _not_allowed(extension, what, spec, options)
        if refused is not None:
            violations.append(Violation("NC0318", subject, refused[0], extension, "none", hint=refused[1], origin=origin))
    return violations


def check_lowered(lowered: LoweredNetwork, spec: HardwareSpec) -> Sequence[Violation]:
    """Return populations with neurons that no core can hold: more distinct sources than a core has input axons."""
    network, limit = lowered.network, spec.limit("input_axons")
    violations = []
    for p in network.populations.values():
        sources = {q.source for q in network.projections_to(p.name)}
        if sum(network.populations[name].size for name in sources) <= limit:
            continue
        counts = [network.synapse_counts(q).max(initial=0) for q in network.projections_to(p.name)]
        if sum(counts) <= limit:
            continue  # distinct sources, which take long to find in lists, are no more than synapses
        fan_in = network.fan_in(p.name)
        if fan_in.max(initial=0) > limit:
            violations.append(_fan_in_violation(p.name, fan_in, p.origin, spec))
    return violations
