"""Neurons on cores and cores on the mesh, for chips whose cores store rows of synapses.

Cores are filled in the order of the layers; what fits so is then spread anew by the partition of atoms, whose estimate of the
synapse memory is corrected until every core holds its share by the exact formulas. The better of the two is placed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import MappingPlan, Violation
from neurocomp.fixedpoint import distinct
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.mapping.filling import (
    Assignment,
    Filling,
    cores_of,
    cores_violation,
    fan_outs,
    senders,
)
from neurocomp.mapping.needs import Needs, Use
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
    filling = Filling(Needs(network, spec), pinned.without)
    filled, violations = filling.fill()
    if filled is None:
        return None, violations
    if len(filled.held) >= SPREAD_FROM:
        # numba takes its time, which fewer cores are not worth.
        from neurocomp.mapping.spreading import best_assignment

        filled = best_assignment(filling, filled, plan)
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
    filled, violations = Filling(Needs(lowered.network, spec)).fill()
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
    placed = {name: Placement(frozen(core_of[name]), frozen(slot_of[name])) for name in core_of}
    return MappedNetwork(lowered, tuple(cores), placed, _routes(network, uses, core_of, cores))


def _routes(
    network: IntegerNetwork, uses: Sequence[Use], core_of: Mapping[str, IntArray], cores: Sequence[Core]
) -> tuple[Route, ...]:
    """Return the ways of all messages, one for each pair of cores that has some."""
    pairs = [np.zeros(0, np.int64)]
    known: dict[int, IntArray] = {}  # by the list of neurons, which the cores of a dense layer share
    for index, name, neurons in senders(network, uses):
        if id(neurons) not in known:
            known[id(neurons)] = np.flatnonzero(np.bincount(core_of[name][neurons])) * len(cores)
        pairs.append(known[id(neurons)] + index)
    source, target = np.divmod(distinct(np.concatenate(pairs)), max(1, len(cores)))
    place = np.array([(*core.tile, core.chip) for core in cores], np.int64).reshape(-1, 3)
    hops = np.abs(place[source] - place[target]).T.tolist()
    # As `Route._make` does, for hundreds of thousands.
    return tuple(map(partial(tuple.__new__, Route), zip(source.tolist(), target.tolist(), *hops, strict=True)))
