"""What Loihi cannot do, or this version does not lower to it yet: every rule that a network breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurocomp.backend import Violation
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.quantized import QuantizedNetwork, compartment_ranges, weight_range, weight_shift
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.passes.quantize import native_sign_mode
from neurocomp_loihi.lower import lag_violations

# Semantic axis -> (code, what the population does, in words); the spec's `native` says what the chip does.
_AXES = {
    "input": ("NC0304", "takes its input as"),
    "threshold_on": ("NC0304", "compares with the threshold the potential that is"),
    "compare": ("NC0302", "compares with"),
    "spikes_per_tick": ("NC0305", "sends, of spikes per tick,"),
    "reset": ("NC0301", "resets by"),
    "reset_when": ("NC0304", "resets in the"),
}
# What this version of the backend lowers and emits; no refractory periods, floors or periodic resets.
_LOWERED = {
    "neuron_models": ("if", "lif", "cuba_lif", "i", "li", "cuba_li"),
    "patterns": ("dense", "one_to_one", "sparse"),
    "input": ("delta", "current"),
    "threshold_on": ("new",),
    "compare": (">",),
    "spikes_per_tick": ("one",),
    "reset": ("zero",),
    "reset_when": ("same_tick",),
}
_HINTS = {
    "compare": "write 'compare: \">\"'; the next threshold below gives the same spikes where potentials are whole numbers",
    "reset": "write 'reset: zero' and retrain, or use a target that resets in this way",
    "spikes_per_tick": "write 'spikes_per_tick: one'",
    "threshold_on": "write 'threshold_on: new'",
    "reset_when": "write 'reset_when: same_tick'",
}


def check_network(network: Network, spec: HardwareSpec) -> Sequence[Violation]:
    """Return the semantics, patterns and native integers of a network that the chip does not have."""
    violations: list[Violation] = []
    for p in network.populations.values():
        if p.neuron is not None:
            violations += _check_semantics(p, spec)
            violations += _check_native_population(p, spec) if p.neuron.number_format else _check_decays(p, network, spec)
    for q in network.projections:
        if q.pattern.kind not in _native(spec, "patterns"):
            known = _words(_native(spec, "patterns"))
            message = f"projection '{q.name}' is {q.pattern.kind}; {spec.name} has {known}"
            hint = "write its synapses as one of these patterns"
            violations.append(Violation("NC0308", q.name, message, q.pattern.kind, known, hint=hint, origin=q.origin))
        if q.native is not None:
            violations += _check_native_projection(q, spec)
    return violations


def _native(spec: HardwareSpec, axis: str) -> tuple[str, ...]:
    """Return what the chip has natively and this backend lowers to it: a spec may list more than the backend knows."""
    return tuple(value for value in spec.native.get(axis, ()) if value in _LOWERED[axis])


def _words(values: Sequence[str]) -> str:
    return " or ".join(values)


def _check_semantics(p: Population, spec: HardwareSpec) -> list[Violation]:
    assert p.neuron is not None
    violations: list[Violation] = []

    def refuse(code: str, message: str, actual: int | float | str, limit: str, hint: str | None) -> None:
        text = f"population '{p.name}' {message}"
        violations.append(Violation(code, p.name, text, actual, limit, hint=hint, origin=p.origin))

    model, semantics = NEURON_MODELS[p.neuron.model], p.neuron.semantics
    models = _native(spec, "neuron_models")
    if model.name not in models:
        hint = "write one of these models and train with it"
        refuse("NC0313", f"has the model {model.name}; {spec.name} has {_words(models)}", model.name, _words(models), hint)
    for axis, (code, does) in _AXES.items():
        value = str(getattr(semantics, axis))
        has = _native(spec, axis)
        if value not in has and (model.fires or axis == "input"):
            refuse(code, f"{does} '{value}'; {spec.name} natively has '{_words(has)}'", value, _words(has), _HINTS.get(axis))
    if semantics.refractory and model.fires:
        hint = "remove 'refractory'; this version does not lower it yet"
        refuse("NC0303", f"is refractory for {semantics.refractory} ticks", semantics.refractory, "0", hint)
    if semantics.v_floor is not None:
        refuse("NC0306", f"has the floor {semantics.v_floor} of its potential", semantics.v_floor, "none", "remove 'v_floor'")
    if semantics.reset_interval is not None:
        hint = "remove 'reset_every': the state is reset at the start of every sample anyway"
        refuse("NC0307", f"is reset every {semantics.reset_interval} ticks", semantics.reset_interval, "per sample", hint)
    return violations


def _check_decays(p: Population, network: Network, spec: HardwareSpec) -> list[Violation]:
    assert p.neuron is not None
    model = NEURON_MODELS[p.neuron.model]
    violations: list[Violation] = []

    def refuse(message: str, actual: float | str, limit: int | str, hint: str) -> None:
        text = f"population '{p.name}'{message}"
        violations.append(Violation("NC0312", p.name, text, actual, limit, hint=hint, origin=p.origin))

    decays = model.decays(p.neuron.parameters, p.neuron.semantics, network.timestep)
    for what, decay in zip(("tau_syn", "tau_mem"), decays, strict=True):
        if (np.asarray(decay) < 0).any():
            refuse(
                f": {what} is shorter than the timestep, so its Euler decay is negative",
                float(np.min(decay)), 0, "write 'integration: exact', or shorten the timestep",
            )  # fmt: skip
    if model.fires and (np.asarray(p.neuron.parameters["v_threshold"]) < 0).any():
        refuse(
            f" has a negative threshold; {spec.name} has thresholds >= 0",
            float(np.min(p.neuron.parameters["v_threshold"])), 0, "shift threshold and potential",
        )  # fmt: skip
    biased = any(q.bias is not None and np.any(q.bias) for q in network.projections if q.target == p.name)
    if biased and model.has_current and (np.asarray(decays[0]) >= 1).any():
        refuse(
            " integrates its bias without leak in the current (tau_syn is infinite)",
            "inf", "finite", "give tau_syn a finite value, or remove the bias",
        )  # fmt: skip
    return violations


def _check_native_population(p: Population, spec: HardwareSpec) -> list[Violation]:
    assert p.neuron is not None
    form = spec.number_format
    if p.neuron.number_format != form.name:
        message = f"population '{p.name}' holds integers of '{p.neuron.number_format}'; {spec.name} computes in '{form.name}'"
        hint = f"write 'format: {form.name}' if the integers are in its range"
        return [Violation("NC0310", p.name, message, str(p.neuron.number_format), form.name, hint=hint, origin=p.origin)]
    violations = []
    for key, low, high in compartment_ranges(form):
        value = p.neuron.parameters[key]
        wrong = (value < low) | (value > high)
        if wrong.any():
            worst = int(np.asarray(value)[wrong].flat[0])
            violations.append(
                Violation(
                    "NC0310", p.name, f"population '{p.name}': {key} is {worst}; {spec.name} holds {low}..{high}",
                    worst, high if worst > high else low,
                    hint="bring it into the range, or drop 'format' so that real values are quantized",
                    also=f"{int(wrong.sum()) - 1} more" if wrong.sum() > 1 else None, origin=p.origin,
                )
            )  # fmt: skip
    return violations


def _check_native_projection(q: Projection, spec: HardwareSpec) -> list[Violation]:
    assert q.native is not None
    form, name = spec.number_format, q.name
    violations: list[Violation] = []

    def refuse(message: str, actual: int | str, limit: int | str, hint: str | None = None) -> None:
        violations.append(
            Violation("NC0310", name, f"projection '{name}': {message}", actual, limit, hint=hint, origin=q.origin)
        )

    exponent, bits = q.native.weight_exp, q.native.weight_bits
    if not form.weight_exp_min <= exponent <= form.weight_exp_max:
        refuse(
            f"weight_exp {exponent} lies outside {form.weight_exp_min}..{form.weight_exp_max}", exponent, form.weight_exp_max
        )
    if bits > form.weight_bits:
        refuse(f"weight_bits {bits}; {spec.name} has {form.weight_bits}", bits, form.weight_bits)
        return violations
    sign_mode = native_sign_mode(q)
    weights = np.asarray(q.weights, np.int64)
    if weights.size == 0:
        return violations
    low, high = weight_range(sign_mode, bits)
    if weights.min() < low or weights.max() > high:
        worst = int(weights.min()) if weights.min() < low else int(weights.max())
        refuse(f"weight {worst} lies outside {low}..{high} of {bits} bits, {sign_mode}", worst, high if worst > high else low)
    step = 1 << weight_shift(sign_mode, bits)
    if (weights % step).any():
        odd = int(weights[weights % step != 0].flat[0])
        refuse(
            f"weight {odd} is no multiple of {step}, which {bits} bits of {sign_mode} sign store", odd, step,
            "emulators round such weights in different ways; write the value that you mean",
        )  # fmt: skip
    elif exponent < 0 and (weights % (1 << -exponent)).any():
        odd = int(weights[weights % (1 << -exponent) != 0].flat[0])
        refuse(
            f"weight {odd} loses bits by weight_exp {exponent}", odd, 1 << -exponent,
            "emulators round such weights in different ways; write weights that are multiples of 2**-weight_exp",
        )  # fmt: skip
    return violations


def check_quantized(quantized: QuantizedNetwork, spec: HardwareSpec) -> Sequence[Violation]:
    """Return cycles and delays that the chip's timing does not allow."""
    return lag_violations(quantized.network, spec)


def check_lowered(lowered: LoweredNetwork, spec: HardwareSpec) -> Sequence[Violation]:
    """Return populations with neurons that no core can hold: more distinct sources than a core has input axons."""
    network, limit = lowered.network, spec.limit("input_axons")
    violations = []
    for p in network.populations.values():
        sources = {q.source for q in network.projections_to(p.name)}
        if sum(network.populations[name].size for name in sources) <= limit:
            continue
        fan_in = network.fan_in(p.name)
        over = np.flatnonzero(fan_in > limit)
        if len(over):
            neuron, largest = int(over[0]), int(fan_in.argmax())
            also = f"{len(over) - 1} more neurons of '{p.name}'; the largest is {p.name}[{largest}] with {int(fan_in[largest])}"
            subject, actual = f"{p.name}[{neuron}]", int(fan_in[neuron])
            violations.append(
                Violation(
                    "NC0412", subject, f"neuron '{subject}' has {actual} sources; {spec.name} has {limit} input axons per core",
                    actual, limit, spec.limit_text("input_axons"),
                    "splitting the population does not lower its fan-in: put a population in between, or prune its inputs",
                    also if len(over) > 1 else None, p.origin,
                )
            )  # fmt: skip
    return violations
