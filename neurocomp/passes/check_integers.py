"""What backends refuse before quantization: how they name semantics, and what a number format cannot hold of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurocomp.backend import Violation
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.quantized import compartment_ranges, weight_range, weight_shift
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.passes.quantize import native_sign_mode

AXES_IN_WORDS = {
    "input": ("NC0304", "takes its input as"),
    "threshold_on": ("NC0304", "compares with the threshold the potential that is"),
    "compare": ("NC0302", "compares with"),
    "spikes_per_tick": ("NC0305", "sends, of spikes per tick,"),
    "reset": ("NC0301", "resets by"),
    "reset_when": ("NC0304", "resets in the"),
}
"""Semantic axis -> (code, what a population does, in words); a spec's `native` says what its target does."""

# Parameter of a compartment -> the field of the number format that bounds it.
_BOUNDED_BY = {
    "du": "decay_bits",
    "dv": "decay_bits",
    "vth": "threshold_bits",
    "vth_low": "threshold_bits",
    "bias_mant": "bias_bits",
    "bias_exp": "bias_exp_max",
    "u_init": "u_bits",
    "v_init": "v_bits",
}


def check_decays(p: Population, network: Network, spec: HardwareSpec) -> list[Violation]:
    """Return what the real numbers of a population ask for that the integers cannot express (NC0312)."""
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
    if model.threshold is not None and (np.asarray(p.neuron.parameters[model.threshold]) < 0).any():
        refuse(
            f" has a negative threshold; {spec.name} has thresholds >= 0",
            float(np.min(p.neuron.parameters[model.threshold])), 0, "shift threshold and potential",
        )  # fmt: skip
    biased = any(q.bias is not None and np.any(q.bias) for q in network.projections if q.target == p.name)
    if biased and model.has_current and (np.asarray(decays[0]) >= 1).any():
        refuse(
            " integrates its bias without leak in the current (tau_syn is infinite)",
            "inf", "finite", "give tau_syn a finite value, or remove the bias",
        )  # fmt: skip
    return violations


def check_program(p: Population, spec: HardwareSpec, extensions: Sequence[str] = ()) -> list[Violation]:
    """Return why neurons that are programs cannot be on a target: it has none (NC0318), or they have no integers (NC0313)."""
    assert p.neuron is not None
    model = NEURON_MODELS[p.neuron.model]
    if not isinstance(model, ProgrammedModel):
        return []
    has = " or ".join(spec.native.get("neuron_models", ()))
    if model.program is None:
        message = f"population '{p.name}' has the model {model.name}, which exists in real numbers alone; {spec.name} has {has}"
        hint = "simulate it with the engine 'float', or take a model that has an integer program, such as izhikevich"
        return [Violation("NC0313", p.name, message, model.name, has, hint=hint, origin=p.origin)]
    if spec.has_crossbars and model.crossbar is not None:
        return []
    if "programmed" in extensions or spec.does_natively("programmed"):
        return []
    message = f"population '{p.name}' has the model {model.name}, a program; neurons of {spec.name} are {has}"
    hint = "use one of these models and train with it, or a target whose neurons are programs, such as loihi2"
    if "programmed" in spec.extensions:
        hint = f"{hint}; --allow-extension programmed simulates it, and every result is marked as not on this chip"
    return [Violation("NC0318", p.name, message, model.name, has, hint=hint, origin=p.origin)]


def check_native_population(p: Population, spec: HardwareSpec) -> list[Violation]:
    """Return which integers of a population lie outside the target's number format (NC0310)."""
    assert p.neuron is not None
    form = spec.number_format
    if p.neuron.number_format != form.name:
        message = f"population '{p.name}' holds integers of '{p.neuron.number_format}'; {spec.name} computes in '{form.name}'"
        hint = f"write 'format: {form.name}' if the integers are in its range"
        return [Violation("NC0310", p.name, message, str(p.neuron.number_format), form.name, hint=hint, origin=p.origin)]
    violations = []
    dynamics = "ternary" if "vth_low" in p.neuron.parameters else "compartment"
    for key, low, high in compartment_ranges(form, dynamics):
        value = p.neuron.parameters[key]
        wrong = (value < low) | (value > high)
        if wrong.any():
            worst = int(np.asarray(value)[wrong].flat[0])
            violations.append(
                Violation(
                    "NC0310", p.name, f"population '{p.name}': {key} is {worst}; {spec.name} holds {low}..{high}",
                    worst, high if worst > high else low, spec.format_text(_BOUNDED_BY[key]),
                    hint="bring it into the range, or drop 'format' so that real values are quantized",
                    also=f"{int(wrong.sum()) - 1} more" if wrong.sum() > 1 else None, origin=p.origin,
                )
            )  # fmt: skip
    return violations


def check_native_projection(q: Projection, spec: HardwareSpec) -> list[Violation]:
    """Return which integers of a projection the target's number format cannot hold without loss (NC0310)."""
    assert q.native is not None
    form, name = spec.number_format, q.name
    violations: list[Violation] = []

    def refuse(message: str, actual: int | str, limit: int | str, hint: str | None = None, source: str | None = None) -> None:
        violations.append(
            Violation("NC0310", name, f"projection '{name}': {message}", actual, limit, source, hint, origin=q.origin)
        )

    exponent, bits = q.native.weight_exp, q.native.weight_bits
    if not form.weight_exp_min <= exponent <= form.weight_exp_max:
        field = "weight_exp_min" if exponent < form.weight_exp_min else "weight_exp_max"
        message = f"weight_exp {exponent} lies outside {form.weight_exp_min}..{form.weight_exp_max}"
        refuse(message, exponent, getattr(form, field), source=spec.format_text(field))
    if bits > form.weight_bits:
        message = f"weight_bits {bits}; {spec.name} has {form.weight_bits}"
        refuse(message, bits, form.weight_bits, source=spec.format_text("weight_bits"))
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
