"""How much wider a network could be before the target refuses it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork


@dataclass(frozen=True, slots=True)
class Headroom:
    """The resource that runs out first if every population became ``factor`` times as wide."""

    resource: str
    factor: float
    reason: str


def first_to_run_out(mapped: MappedNetwork, spec: HardwareSpec, utilization: Mapping[str, Mapping[str, int]]) -> Headroom:
    """Estimate which resource ends the growth of a network.

    If all populations become k times as wide, a neuron has up to k times as many sources, the network k times as many neurons
    and k**2 times as many synapses. A neuron is never split, so its sources must fit the input axons of one core; everything
    else spreads over as many cores as the target has. Where bits of crossbars hold the synapses it needs k**2 times the cores.

    Args:
        mapped: What was compiled.
        spec: Of its target.
        utilization: Resource -> used and per_core.
    """
    cores = spec.limit("cores_per_chip") * spec.limit("chips")
    if mapped.lowered.network.crossbars:
        return Headroom(
            "cores", math.sqrt(cores / max(1, len(mapped.cores))), f"all {cores:,} cores of the target would be full"
        )
    found: list[Headroom] = []
    name, fan_in = _largest_fan_in(mapped.lowered.network)
    if fan_in:
        limit = spec.limit("input_axons")
        reason = f"a neuron of '{name}' has {fan_in:,} sources, a core has {limit:,} input axons"
        found.append(Headroom("input_axons", limit / fan_in, reason))
    for resource, power in (("neurons", 1), ("synapse_words", 2)):
        entry = utilization.get(resource)
        if entry and entry["used"]:
            factor = (cores * entry["per_core"] / entry["used"]) ** (1 / power)
            found.append(Headroom(resource, factor, f"all {cores:,} cores of the target would be full"))
    return min(found, key=lambda h: h.factor, default=Headroom("cores", math.inf, "the network is empty"))


def _largest_fan_in(network: IntegerNetwork) -> tuple[str, int]:
    """Return the most distinct sources that one neuron has, and its population."""
    largest = ((name, int(network.fan_in(name).max(initial=0))) for name in network.populations)
    return max(largest, key=lambda entry: entry[1], default=("", 0))
