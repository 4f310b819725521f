"""Places the blocks of crossbars on cores, in network order on the first one with room, and the cores on the mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import MappingPlan, Violation
from neurocomp.errors import broken_invariant
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route, crossbar_messages, mesh_place
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import Crossbar, IntegerNetwork
from neurocomp.mapping.placement import places_on

IntArray = NDArray[np.int64]


def map_network(
    lowered: LoweredNetwork, spec: HardwareSpec, cores: Sequence[int] | None = None, *, plan: MappingPlan | None = None
) -> tuple[MappedNetwork | None, Sequence[Violation]]:
    """Place every block.

    Args:
        lowered: A network of crossbars.
        spec: Its cores and mesh; cores fill a row, rows a chip, chips follow one another.
        cores: The number of the core of each block, counted over the blocks of all banks, none twice; None: blocks share
            cores as long as axons and neurons fit, and cores that send each other many packets are near.
        plan: How much work that may be, and how many packets there are.

    Returns:
        The mapped network and no violation, or None and what does not fit.
    """
    network = lowered.network
    sizes = _sizes(network)
    if cores is None:
        room = spec.limit("input_axons"), spec.limit("neurons")
        if (sizes > room).any():
            raise broken_invariant("lower", f"a block has at most {room[0]} axons and {room[1]} neurons")
        home, first_axon, first_neuron = first_fit(sizes, room)
        numbers = np.arange(int(home.max(initial=-1)) + 1)
    else:
        numbers, home = np.unique(np.asarray(cores, np.int64), return_inverse=True)
        home = home.reshape(-1)
        first_axon = first_neuron = np.zeros(len(sizes), np.int64)
    limit = spec.limit("chips") * spec.limit("cores_per_chip")
    if len(numbers) > limit or int(numbers.max(initial=0)) >= limit:
        return None, [_cores_violation(network, spec, max(len(numbers), int(numbers.max(initial=0)) + 1), limit)]
    axons: dict[str, Placement] = {}
    neurons: dict[str, Placement] = {}
    start = 0
    for sharing in _banks(network):
        own = slice(start, start := start + sharing[0].blocks)
        axons[sharing[0].axons] = _placed(sharing[0].axon_start, home[own], first_axon[own])
        first = first_neuron[own].copy()
        for crossbar in sharing:
            neurons[crossbar.neurons] = _placed(crossbar.neuron_start, home[own], first)
            first += np.diff(crossbar.neuron_start)
    placements = {name: neurons[name] for name in network.populations if name in neurons}
    banks = {name: axons[name] for name in network.populations if name in axons}
    if cores is None:
        numbers, renumbered = _near(network, len(numbers), neurons, banks, spec, plan or MappingPlan())
        placements = {name: Placement(frozen(renumbered[place.core]), place.slot) for name, place in placements.items()}
        banks = {name: Placement(frozen(renumbered[place.core]), place.slot) for name, place in banks.items()}
    found = _cores(network, numbers, banks, spec)
    return MappedNetwork(lowered, found, placements, _routes(lowered, found, placements, banks, spec), banks), ()


def _sizes(network: IntegerNetwork) -> IntArray:
    """Return the axons and neurons of each block, (blocks, 2)."""
    parts = [np.zeros((0, 2), np.int64)]
    for sharing in _banks(network):
        neurons = np.sum([np.diff(c.neuron_start) for c in sharing], axis=0)
        parts.append(np.stack([np.diff(sharing[0].axon_start), neurons], axis=1))
    return np.concatenate(parts)


def _banks(network: IntegerNetwork) -> list[list[Crossbar]]:
    """Return the crossbars of each bank of axons: those that share one are on the same cores."""
    found: dict[str, list[Crossbar]] = {}
    for c in network.crossbars:
        found.setdefault(c.axons, []).append(c)
    return list(found.values())


def first_fit(sizes: IntArray, room: tuple[int, int]) -> tuple[IntArray, IntArray, IntArray]:
    """Return for each block its core, its first axon and its first neuron there; one that is too large has a core alone.

    Args:
        sizes: Axons and neurons of each block, (blocks, 2).
        room: Axons and neurons of a core.
    """
    free = np.zeros((len(sizes), 2), np.int64)
    place = np.zeros((len(sizes), 3), np.int64)
    used = 0
    for block, size in enumerate(sizes):
        fits = (free[:used] >= size).all(axis=1)
        core = int(fits.argmax()) if fits.any() else used
        if core == used:
            free[core], used = room, used + 1
        place[block] = core, *(np.array(room) - free[core])
        free[core] -= size
    return place[:, 0], place[:, 1], place[:, 2]


def _near(
    network: IntegerNetwork, k: int, neurons: Mapping[str, Placement], banks: Mapping[str, Placement], spec: HardwareSpec,
    plan: MappingPlan,
) -> tuple[IntArray, IntArray]:  # fmt: skip
    """Return the numbers of k cores, ascending, such that packets have short ways, and which of them each core becomes."""
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for q, source, target in crossbar_messages(network):
        rate = plan.rate(network.populations[q.source])[source]
        parts.append((neurons[q.source].core[source], banks[q.target].core[target], rate))
    source, target, packets = (np.concatenate(x) for x in zip(*parts, strict=True))
    places = places_on(spec, plan, k, (source, target, packets))
    numbers = np.sort(places)
    return numbers, np.searchsorted(numbers, places)


def _placed(start: IntArray, home: IntArray, first: IntArray) -> Placement:
    """Return where the axons or neurons of blocks are; those of block k are ``start[k] .. start[k + 1] - 1``."""
    size = np.diff(start)
    slot = np.arange(int(start[-1])) - np.repeat(start[:-1] - first, size)
    return Placement(frozen(np.repeat(home, size)), frozen(slot))


def _cores(network: IntegerNetwork, numbers: IntArray, banks: Mapping[str, Placement], spec: HardwareSpec) -> tuple[Core, ...]:
    """Return the used cores with their axons in the order of the axons."""
    index = {name: number for number, name in enumerate(network.populations)}
    table = np.concatenate([np.zeros((0, 4), np.int64), *(
        np.stack([place.core, place.slot, np.full(len(place.core), index[name]), np.arange(len(place.core))], axis=1)
        for name, place in banks.items()
    )])  # fmt: skip
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    ends = np.searchsorted(table[:, 0], np.arange(len(numbers) + 1))
    found = []
    for core, number in enumerate(numbers.tolist()):
        chip, on_chip = divmod(number, spec.limit("cores_per_chip"))
        own = table[ends[core] : ends[core + 1]]
        population, neuron = frozen(own[:, 2].copy()), frozen(own[:, 3].copy())
        found.append(Core(chip, on_chip, spec.mesh.tile(on_chip), population, neuron, 0))
    return tuple(found)


def _routes(
    lowered: LoweredNetwork, cores: tuple[Core, ...], neurons: Mapping[str, Placement], banks: Mapping[str, Placement],
    spec: HardwareSpec,
) -> tuple[Route, ...]:  # fmt: skip
    """Return one route for each pair of cores between which packets can pass, sorted."""
    pairs = [np.zeros((0, 2), np.int64)]
    for q, source, target in crossbar_messages(lowered.network):
        pairs.append(np.stack([neurons[q.source].core[source], banks[q.target].core[target]], axis=1))
    routes = []
    places = [mesh_place(core, spec) for core in cores]
    for a, b in np.unique(np.concatenate(pairs), axis=0).tolist():
        (x, y), (to_x, to_y) = places[a], places[b]
        routes.append(Route(a, b, abs(to_x - x), abs(to_y - y), abs(cores[a].chip - cores[b].chip)))
    return tuple(routes)


def _cores_violation(network: IntegerNetwork, spec: HardwareSpec, cores: int, limit: int) -> Violation:
    message = f"'{network.name}' needs {cores} cores; {spec.name} has {limit}"
    source = f"{spec.limit_text('cores_per_chip')}; {spec.limit_text('chips')}"
    hint = "use a target with more chips or cores, or a smaller network"
    return Violation("NC0401", network.name, message, cores, limit, source, hint)
