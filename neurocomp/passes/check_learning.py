"""What a target does not have of learning: rules that every backend's check applies."""

from __future__ import annotations

from neurocomp.backend import Violation
from neurocomp.encoding import carries_values
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.network import Network
from neurocomp.passes.host_currents import analog_inputs

MOST_RULES = 15
"""Rules that the synapse formats of a core can name."""


def check_learning(network: Network, spec: HardwareSpec) -> list[Violation]:
    """Return the projections that learn and cannot on the target (NC0350)."""
    violations = []
    learning = [q for q in network.projections if q.learning is not None]
    if spec.stores_rows and len(learning) > MOST_RULES:
        message = f"{len(learning)} projections learn; a program of {spec.name} has rules for {MOST_RULES}"
        hint = "join projections, or let some keep their weights"
        last = learning[-1]
        violations.append(Violation("NC0350", last.name, message, len(learning), MOST_RULES, hint=hint, origin=last.origin))
    analog = set(analog_inputs(network))
    for q in learning:
        assert q.learning is not None
        if not spec.has("learning", "yes"):
            message = f"projection '{q.name}' learns; {spec.name} has no synapses that do"
            hint = "train before compiling and leave 'learn' out, or use a target that learns, such as loihi"
            violations.append(Violation("NC0350", q.name, message, q.learning.rule, "none", hint=hint, origin=q.origin))
        elif q.source in analog or carries_values(network, q.source):
            message = f"projection '{q.name}' learns from '{q.source}', whose messages carry values"
            hint = f"give '{q.source}' an encoder of spikes"
            violations.append(Violation("NC0350", q.name, message, "values", "spikes", hint=hint, origin=q.origin))
    return violations
