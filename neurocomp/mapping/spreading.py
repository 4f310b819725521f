"""Neurons spread over cores, and cores over the mesh, by kernels that numba compiles.

The partition of atoms estimates the synapse memory; its estimate is corrected until every core holds its share by the exact
formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import MappingPlan
from neurocomp.engine.kernels.partitioning import Limits
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation
from neurocomp.mapping import kahypar
from neurocomp.mapping.atoms import PART_OF_CORE, Atoms
from neurocomp.mapping.filling import (
    Assignment,
    Filling,
    Piece,
    Without,
    cores_of,
    fan_outs,
    order_of,
    row_by_row,
    tiles_of,
)
from neurocomp.mapping.needs import Held, axons_by_population
from neurocomp.mapping.network_atoms import NetworkAtoms, TooLarge, atoms_of_network
from neurocomp.mapping.partition import Partition, compile_kernels, partition
from neurocomp.mapping.placement import places_on
from neurocomp.mapping.synapse_words import WORD

Array = NDArray[Any]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ATTEMPTS = 4
"""Partitions at most; after each the estimates are corrected by what cores really need."""
MARGIN = 1.02
"""What was too much is taken for so much more than it was."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """An assignment and its packets per tick."""

    assignment: Assignment
    packets: float

    @property
    def cores(self) -> int:
        """Number of cores."""
        return len(self.assignment.held)

    def better_than(self, other: Counted) -> bool:
        """Return whether packets and cores in parts of those of another one are fewer, together."""
        return self.packets / max(other.packets, 1e-12) + self.cores / other.cores < 2


def best_assignment(filling: Filling, filled: Assignment, plan: MappingPlan) -> Assignment:
    """Return the best of an assignment, one whose images are cut into tiles, and partitions."""
    first = best = counted(filling.network, filled, plan)
    tiles = tiles_of(filling.needs, filled)
    if tiles:
        by_tile, _ = filling.fill(tiles)
        by_tile = row_by_row(filling.needs, by_tile, tiles) if by_tile is not None else None
        if by_tile is not None and (tiled := counted(filling.network, by_tile, plan)).better_than(first):
            best = tiled
    best = _spread(filling, best, plan)
    if best is not first:
        plan.note(
            f"mapping: {best.packets:,.4g} packets per tick on {best.cores:,} cores; "
            f"{first.packets:,.4g} on {first.cores:,} where the layers fill cores row by row"
        )
    return best.assignment


def _spread(filling: Filling, start: Counted, plan: MappingPlan) -> Counted:
    """Return the best of an assignment and of partitions whose every core keeps all limits."""
    compile_kernels()
    spreading = _Spreading.of(filling, start.assignment)
    for _ in range(ATTEMPTS):
        try:
            atoms = spreading.atoms(plan)
        except TooLarge:
            plan.note(f"mapping: too large for --effort {plan.effort} to spread across layers; each layer fills cores in order")
            break
        if atoms is None or not spreading.fits(atoms):
            break
        found = _partition(atoms.atoms, spreading.limits, plan)
        if not found.complete:
            plan.note("mapping: interrupted; the best one until then is kept, which another compilation need not find")
        held = spreading.held(atoms, found.core, found.cores)
        assignment = Assignment(held, tuple(filling.needs.of(of) for of in held))
        if spreading.corrected(assignment):
            spread = counted(filling.network, assignment, plan)
            return spread if spread.better_than(start) else start
        if not found.complete or not spreading.hopeful:
            break
    return start


def _partition(atoms: Atoms, limits: Limits, plan: MappingPlan) -> Partition:
    """Return a partition, the better of two where the plan wants another partitioner to be tried."""
    options: dict[str, Any] = {"effort": plan.effort, "seed": plan.seed, "jobs": plan.jobs, "progress": plan.progress}
    found = partition(atoms, limits, **options)
    if plan.mapper == "quality" and found.complete:
        start = kahypar.partitioned(atoms, limits, found.cores, plan.seed)
        if start is not None:
            found = min(found, partition(atoms, limits, start=start, **options), key=lambda p: (p.packets, p.cores))
    return found


@dataclass(slots=True, eq=False)
class _Spreading:
    """What the partition is told of a network, and what was learnt from its results."""

    network: IntegerNetwork
    spec: HardwareSpec
    without: Without
    orders: Mapping[str, IntArray]
    parts: Mapping[str, IntArray]
    families: Mapping[str, IntArray]
    memory: dict[str, FloatArray]
    """Bits of synapse memory of each neuron, as they should be by what cores needed so far."""
    wide: dict[str, int]
    """Population -> neurons of it that a core may hold because of its output axons."""
    limits: Limits
    filled: int
    """Cores that the filling in order takes."""
    hopeful: bool = True
    """Whether another partition can do better."""

    @classmethod
    def of(cls, filling: Filling, filled: Assignment) -> _Spreading:
        """Return what the filled cores tell."""
        network, spec = filling.network, filling.spec
        pieces = [piece for p in network.populations.values() if not p.is_input for piece in filling.pieces_of(p)]
        parts = {p.name: np.zeros(p.size, np.int64) for p in network.populations.values() if p.size and not p.is_input}
        families = {name: np.zeros_like(of) for name, of in parts.items()}
        for number, (piece, family) in enumerate(zip(pieces, _families(pieces, spec), strict=True)):
            parts[piece.population.name][piece.neurons] = number
            families[piece.population.name][piece.neurons] = family
        orders = {name: order_of(network, network.populations[name])[0] for name in parts}
        bits = {name: _synapse_bits(network, network.populations[name]) for name in parts}
        needed, counted = dict.fromkeys(parts, 0.0), dict.fromkeys(parts, 0.0)
        for held, use in zip(filled.held, filled.uses, strict=True):
            own = {name: float(bits[name][neurons].sum()) for name, neurons in held}
            for name, of in own.items():
                counted[name] += of
                needed[name] += use.needs["synapse_words"] * WORD * of / max(sum(own.values()), 1.0)
        memory = {name: bits[name] * (needed[name] / counted[name] if counted[name] else 0.0) for name in parts}
        most = spec.limit("neurons")
        for use in filled.uses:
            most = min(most, use.limits.get("delay_address_bits", most))
        limits = Limits(most, spec.limit("input_axons"), spec.limit("synapse_words") * WORD)
        return cls(network, spec, filling.without, orders, parts, families, memory, {}, limits, len(filled.held))

    def atoms(self, plan: MappingPlan) -> NetworkAtoms | None:
        """Return the atoms with what each is thought to need."""
        found = atoms_of_network(
            self.network, orders=self.orders, parts=self.parts, family=self.families, memory=self.memory, rate=plan.rate,
            outside=self.without, largest=self._largest, effort=plan.effort,
        )  # fmt: skip
        if found is None:
            return None
        for number, name in enumerate(found.populations):
            if name in self.wide:
                own = found.population == number
                share = self.limits.neurons / self.wide[name]
                found.atoms.graph.neurons[own] = np.ceil(found.atoms.graph.neurons[own] * share)
        return found

    def _largest(self, p: IntegerPopulation) -> int:
        """Return how many neurons of a population an atom may have."""
        if p.is_input:
            return p.size
        by_memory = self.limits.memory / max(float(self.memory[p.name].max(initial=0.0)), 1.0)
        by_neurons = self.wide.get(p.name, self.limits.neurons // p.compartments)
        return max(1, int(min(by_memory, by_neurons)) // PART_OF_CORE)

    def fits(self, found: NetworkAtoms) -> bool:
        """Return whether each atom fits a core by the estimates."""
        g, inside = found.atoms.graph, ~found.atoms.host
        return bool((g.neurons[inside] <= self.limits.neurons).all() and (g.memory[inside] <= self.limits.memory).all())

    def held(self, found: NetworkAtoms, core: IntArray, cores: int) -> tuple[Held, ...]:
        """Return what each core holds."""
        held: list[list[tuple[str, IntArray]]] = [[] for _ in range(cores)]
        for name, order in self.orders.items():
            order = order[core[found.atom_of[name]][order] >= 0]
            if not len(order):
                continue
            own = core[found.atom_of[name]][order]
            by_core = np.argsort(own, kind="stable")
            used, first = np.unique(own[by_core], return_index=True)
            for c, neurons in zip(used.tolist(), np.split(order[by_core], first[1:]), strict=True):
                held[c].append((name, neurons))
        return tuple(held)

    def corrected(self, found: Assignment) -> bool:
        """Return whether every core keeps its limits, and learn from those that do not."""
        broken = [(held, use) for held, use in zip(found.held, found.uses, strict=True) if use.broken is not None]
        before = dict(self.memory)
        for held, use in broken:
            if use.broken == "synapse_words":
                factor = MARGIN * use.needs["synapse_words"] / use.limits["synapse_words"]
                for name, _ in held:
                    # Cores of a population are alike: what one needs, others will.
                    self.memory[name] = np.maximum(self.memory[name], before[name] * factor)
            elif use.broken == "delay_address_bits":
                self.limits = self.limits._replace(neurons=min(self.limits.neurons, use.limits["delay_address_bits"]))
            else:
                self.hopeful = False
        if broken:
            # Rows that cores share are lost where tiles are torn: no partition by these estimates beats whole tiles then.
            self.hopeful &= sum(float(of.sum()) for of in self.memory.values()) <= self.filled * self.limits.memory
            return False
        good = True
        limit = self.spec.limit("output_axons")
        fan_out = fan_outs(self.network, found.uses)
        for held in found.held:
            sent = {name: int(fan_out[name][neurons].sum()) for name, neurons in held}
            if sum(sent.values()) <= limit:
                continue
            good = False
            for name, neurons in held:
                own = max(1, int(limit / max(1.0, MARGIN * sent[name] / len(neurons))))
                own = min(own, max(1, len(neurons) - 1))
                self.wide[name] = min(own, self.wide.get(name, own))
        return good


def _families(pieces: Sequence[Piece], spec: HardwareSpec) -> list[int]:
    """Return the family of each piece: those of one have profiles that fit a core together."""
    family, decays, thresholds = 0, set[int](), set[int]()
    found: list[int] = []
    for piece in pieces:
        more_decays, more_thresholds = decays | piece.decays, thresholds | piece.thresholds
        too_many = len(more_decays) > spec.limit("decay_profiles") or len(more_thresholds) > spec.limit("threshold_profiles")
        if found and too_many:
            family, more_decays, more_thresholds = family + 1, set(piece.decays), set(piece.thresholds)
        decays, thresholds = more_decays, more_thresholds
        found.append(family)
    return found


def _synapse_bits(network: IntegerNetwork, p: IntegerPopulation) -> FloatArray:
    """Return the bits of the weights onto each neuron of a population, (n,)."""
    bits = np.zeros(p.size, np.float64)
    for q in network.projections_to(p.name):
        if network.populations[q.source].dynamics != "current":
            bits += network.synapse_counts(q) * max(1, q.weight_bits)
    return bits


# Traffic and places


def _flows(network: IntegerNetwork, found: Assignment, plan: MappingPlan) -> tuple[IntArray, IntArray, FloatArray, float]:
    """Return packets per tick between cores (source, target, packets, without those that stay), and from the host."""
    core_of = cores_of(network, found.held)
    names = list(network.populations)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    host = 0.0
    rates = {name: plan.rate(p) for name, p in network.populations.items()}
    known: dict[int, list[tuple[IntArray, FloatArray]]] = {}  # by the array of axons, which the cores of a dense layer share
    inputs: dict[int, float] = {}
    for index, use in enumerate(found.uses):
        key = id(use.axon_neuron)
        if key not in known:
            known[key], inputs[key] = [], 0.0
            for number, neurons in axons_by_population(use):
                name = names[number]
                rate = rates[name][neurons]
                if network.populations[name].is_input:
                    inputs[key] += float(rate.sum())
                    continue
                source = core_of[name][neurons]
                senders = np.flatnonzero(np.bincount(source))
                known[key].append((senders, np.bincount(source, weights=rate).astype(np.float64)[senders]))
        host += inputs[key]
        for senders, sums in known[key]:
            others = senders != index
            parts.append((senders[others], np.full(int(others.sum()), index), sums[others]))
    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0), host
    source, target, packets = (np.concatenate(x) for x in zip(*parts, strict=True))
    return source, target, packets, host


def counted(network: IntegerNetwork, found: Assignment, plan: MappingPlan) -> Counted:
    """Return an assignment with its packets per tick into cores from others and from the host."""
    _, _, packets, host = _flows(network, found, plan)
    return Counted(found, float(packets.sum()) + host)


def placed(network: IntegerNetwork, spec: HardwareSpec, found: Assignment, fixed: IntArray, plan: MappingPlan) -> IntArray:
    """Return the number of each core, counted over all chips; ``fixed`` has those of pinned ones, -1 for others."""
    source, target, packets, _ = _flows(network, found, plan)
    known = fixed if (fixed >= 0).any() else None
    return places_on(spec, plan, len(found.held), (source, target, packets), known)
