"""Neurons on cores and cores on the mesh, for chips whose cores store rows of synapses.

Cores are filled in the order of the layers; what fits so is then spread anew by the partition of atoms, whose estimate of the
synapse memory is corrected until every core holds its share by the exact formulas. The better of the two is placed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import MappingPlan, Violation
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.mapping.filling import (
    Assignment,
    cores_of,
    cores_violation,
    fan_outs,
    fill_in_order,
    senders,
)
from neurocomp.mapping.pins import Pinned, pinned_cores, too_much

IntArray = NDArray[np.int64]

SPREAD_FROM = 3
"""Neurons of so many cores or more are spread anew: fewer have next to nothing to gain."""


def map_network(
    lowered: LoweredNetwork, spec: HardwareSpec, plan: MappingPlan | None = None
) -> tuple[MappedNetwork | None, Sequence[Violation]]:
    """Place every neuron.

    Returns:
        The mapped network and no violation, or None and what does not fit.
    """
    plan, network = plan or MappingPlan(), lowered.network
    if plan.mapper == "quality":
        from neurocomp.mapping import kahypar

        kahypar.require()
    pinned, violations = pinned_cores(lowered, spec, plan.pins)
    if violations:
        return None, violations
    filled, violations = fill_in_order(network, spec, pinned.without)
    if filled is None:
        return None, violations
    if len(filled.held) >= SPREAD_FROM:
        # numba takes its time, which fewer cores are not worth.
        from neurocomp.mapping.spreading import best_assignment

        filled = best_assignment(network, spec, filled, pinned.without, plan)
    every = Assignment((*filled.held, *pinned.cores.held), (*filled.uses, *pinned.cores.uses))
    if violations := _violations_of_all(network, spec, every, pinned):
        return None, violations
    fixed = np.concatenate([np.full(len(filled.held), -1), pinned.places])
    free = fixed < 0
    if free.all() and len(fixed) <= spec.mesh.cores_per_tile:
        fixed = np.arange(len(fixed))
    elif free.any():
        from neurocomp.mapping.spreading import placed

        fixed = placed(network, spec, every, fixed, plan)
    return assembled(lowered, spec, every, fixed), ()


def _violations_of_all(network: IntegerNetwork, spec: HardwareSpec, every: Assignment, pinned: Pinned) -> Sequence[Violation]:
    """Return whether the cores are too many, and pinned cores that send to too many others."""
    if not len(pinned.places):
        return ()
    limit = spec.limit("chips") * spec.limit("cores_per_chip")
    if len(every.held) > limit:
        return [cores_violation(network, spec, len(every.held), limit)]
    fan_out, most = fan_outs(network, every.uses), spec.limit("output_axons")
    violations = []
    for place, held in zip(pinned.places.tolist(), pinned.cores.held, strict=True):
        sent = sum(int(fan_out[name][neurons].sum()) for name, neurons in held)
        if sent > most:
            violations.append(too_much(spec, place, "output_axons", sent, most, pinned.origins[place]))
    return violations


def map_in_order(lowered: LoweredNetwork, spec: HardwareSpec) -> tuple[MappedNetwork | None, Sequence[Violation]]:
    """Place every neuron in the order of the layers, core after core and row after row: what `map_network` begins with."""
    filled, violations = fill_in_order(lowered.network, spec)
    if filled is None:
        return None, violations
    return assembled(lowered, spec, filled, np.arange(len(filled.held))), ()


def assembled(lowered: LoweredNetwork, spec: HardwareSpec, found: Assignment, places: IntArray) -> MappedNetwork:
    """Return the mapped network; ``places`` are the numbers of the cores, counted over all chips."""
    network = lowered.network
    order = np.argsort(places, kind="stable")
    held, uses = [found.held[i] for i in order.tolist()], [found.uses[i] for i in order.tolist()]
    core_of = cores_of(network, held)
    slot_of = {name: np.zeros(len(cores), np.int64) for name, cores in core_of.items()}
    per_chip = spec.limit("cores_per_chip")
    cores: list[Core] = []
    for place, of, use in zip(places[order].tolist(), held, uses, strict=True):
        slot = 0
        for name, neurons in of:
            width = network.populations[name].compartments
            slot_of[name][neurons] = slot + np.arange(len(neurons)) * width
            slot += len(neurons) * width
        chip, number = divmod(place, per_chip)
        words = use.needs["synapse_words"]
        cores.append(Core(chip, number, spec.mesh.tile(number), use.axon_population, use.axon_neuron, words))
    messages = {
        (sender, index)
        for index, name, neurons in senders(network, uses)
        for sender in np.unique(core_of[name][neurons]).tolist()
    }
    routes = tuple(_route(a, b, cores) for a, b in sorted(messages))
    placed = {name: Placement(frozen(core_of[name]), frozen(slot_of[name])) for name in core_of}
    return MappedNetwork(lowered, tuple(cores), placed, routes)


def _route(source: int, target: int, cores: Sequence[Core]) -> Route:
    a, b = cores[source], cores[target]
    return Route(source, target, abs(a.tile[0] - b.tile[0]), abs(a.tile[1] - b.tile[1]), abs(a.chip - b.chip))
