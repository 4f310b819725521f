"""What a target does not have of learning: rules that every backend's check applies."""

from __future__ import annotations

from neurocomp.backend import Violation
from neurocomp.encoding import carries_values
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network
from neurocomp.passes.host_currents import analog_inputs


def check_learning(network: Network, spec: HardwareSpec) -> list[Violation]:
    """Return the projections that learn and cannot on the target (NC0350)."""
    violations = []
    analog = set(analog_inputs(network))
    for q in network.projections:
        if q.learning is None:
            continue
        if not spec.has("learning", "yes"):
            message = f"projection '{q.name}' learns; {spec.name} has no synapses that do"
            hint = "train before compiling and leave 'learn' out, or use a target that learns, such as loihi"
            violations.append(Violation("NC0350", q.name, message, q.learning.rule, "none", hint=hint, origin=q.origin))
        elif q.source in analog or carries_values(network, q.source):
            message = f"projection '{q.name}' learns from '{q.source}', whose messages carry values"
            hint = f"give '{q.source}' an encoder of spikes"
            violations.append(Violation("NC0350", q.name, message, "values", "spikes", hint=hint, origin=q.origin))
    return violations
