"""What the integer semantics of docs/semantics.md do not have: every rule that a network breaks on the target ``reference``."""

from __future__ import annotations

from collections.abc import Sequence

from neurocomp.backend import Violation
from neurocomp.errors import Diagnostic, SpecError
from neurocomp.hardware import WEIGHTS_ALONE, HardwareSpec
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.quantized import QuantizedNetwork
from neurocomp.models.neurons import NEURON_MODELS, ProgrammedModel
from neurocomp.passes.check_integers import (
    AXES_IN_WORDS,
    check_decays,
    check_native_population,
    check_native_projection,
    check_program,
)
from neurocomp.passes.check_learning import check_learning

# What the integer semantics have; a spec may list less.
_KNOWN = {
    "neuron_models": ("if", "lif", "cuba_lif", "i", "li", "cuba_li", "ternary_lif"),
    "patterns": ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d", "maxpool1d", "maxpool2d"),
    "input": ("delta", "current"),
    "threshold_on": ("new",),
    "compare": (">", ">="),
    "spikes_per_tick": ("one",),
    "reset": ("zero", "subtract", "none"),
    "reset_when": ("same_tick",),
    "refractory": ("yes",),
    "periodic_reset": ("yes",),
}


def check_network(network: Network, spec: HardwareSpec) -> Sequence[Violation]:
    """Return the semantics, patterns and native integers of a network that the target does not have.

    Raises:
        SpecError: The spec describes a chip (NC0502).
    """
    if spec.stores_rows:
        message = f"{spec.file}: the backend 'reference' is no chip and stores no rows of synapses"
        hint = f"write 'synapse_cost: {WEIGHTS_ALONE}' and 'hop_ticks: 0', or name the backend of the chip"
        raise SpecError(Diagnostic("NC0502", message, hint=hint))
    violations: list[Violation] = []
    for p in network.populations.values():
        if p.neuron is not None:
            violations += _check_semantics(p, spec)
            violations += check_native_population(p, spec) if p.neuron.number_format else check_decays(p, network, spec)
    violations += check_learning(network, spec)
    for q in network.projections:
        violations += _check_patterns(q, spec)
        violations += check_native_projection(q, spec) if q.native is not None else []
    return violations


def check_quantized(quantized: QuantizedNetwork, spec: HardwareSpec) -> Sequence[Violation]:
    """Return delays beyond the limit of the spec."""
    limit, source = spec.limit("delay"), spec.limit_text("delay")
    violations = []
    for q in quantized.network.projections:
        longest = int(q.delay.max(initial=0))
        if longest > limit:
            message = f"projection '{q.name}' has a delay of {longest} ticks; {spec.name} has at most {limit}"
            violations.append(
                Violation("NC0309", q.name, message, longest, limit, source, "shorten the delay", origin=q.origin)
            )
    return violations


def _native(spec: HardwareSpec, axis: str) -> tuple[str, ...]:
    return tuple(value for value in spec.native.get(axis, ()) if value in _KNOWN[axis])


def _words(values: Sequence[str]) -> str:
    return " or ".join(values) or "nothing of the kind"


def _check_patterns(q: Projection, spec: HardwareSpec) -> list[Violation]:
    has = _native(spec, "patterns")
    violations = []
    for kind in (*(stage.pattern.kind for stage in q.before), q.pattern.kind):
        if kind not in has:
            message = f"projection '{q.name}' is {kind}; {spec.name} has {_words(has)}"
            hint = "write its synapses as one of these patterns"
            violations.append(Violation("NC0308", q.name, message, kind, _words(has), hint=hint, origin=q.origin))
    return violations


def _check_semantics(p: Population, spec: HardwareSpec) -> list[Violation]:
    assert p.neuron is not None
    violations: list[Violation] = []

    def refuse(code: str, message: str, actual: int | float | str, limit: str, hint: str) -> None:
        text = f"population '{p.name}' {message}"
        violations.append(Violation(code, p.name, text, actual, limit, hint=hint, origin=p.origin))

    model, semantics = NEURON_MODELS[p.neuron.model], p.neuron.semantics
    models = _words(_native(spec, "neuron_models"))
    if isinstance(model, ProgrammedModel):
        violations += check_program(p, spec)
        return violations
    if model.name not in _native(spec, "neuron_models"):
        hint = "write one of these models and train with it"
        refuse("NC0313", f"has the model {model.name}; {spec.name} has {models}", model.name, models, hint)
    for axis, (code, does) in AXES_IN_WORDS.items():
        value, has = str(getattr(semantics, axis)), _native(spec, axis)
        if value not in has and (model.fires or axis == "input"):
            hint = f"write '{axis}' as it has it, and retrain if need be"
            refuse(code, f"{does} '{value}'; {spec.name} has '{_words(has)}'", value, _words(has), hint)
    if semantics.refractory and model.fires and not _native(spec, "refractory"):
        message = f"is refractory for {semantics.refractory} ticks; {spec.name} has no such periods"
        refuse("NC0303", message, semantics.refractory, "0", "remove 'refractory'")
    if semantics.v_floor is not None:
        message = f"has the floor {semantics.v_floor} of its potential; {spec.name} has none"
        refuse("NC0306", message, semantics.v_floor, "none", "remove 'v_floor'")
    if semantics.reset_interval is not None and not _native(spec, "periodic_reset"):
        message = f"is reset every {semantics.reset_interval} ticks; {spec.name} has no such schedule"
        refuse("NC0307", message, semantics.reset_interval, "per sample", "remove 'reset_every'")
    return violations
