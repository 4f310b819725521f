"""The traffic of a mapping, compared with a count in plain Python: message by message, link by link."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from neurocomp import registry
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.mapping.traffic import DIRECTIONS, Links, Traffic, messages_of, traffic_of
from neurocomp.testing.mappings import scattered_blocks, scattered_neurons

Tile = tuple[int, int, int]
"""(mesh, x, y)"""


@cache
def chip(target: str, **numbers: int) -> HardwareSpec:
    """A shipped chip with other numbers of what its limits and its mesh have."""
    text = registry.spec_files()[target].read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    for name, value in numbers.items():
        at = next(index for index, line in enumerate(lines) if line.startswith(f"  {name}: {{value: "))
        before, after = lines[at].split("value: ", 1)[0], lines[at].split(",", 1)[1]
        lines[at] = f"{before}value: {value},{after}"
    return load_spec("".join(lines), f"{target}.yaml")


SMALL_LOIHI = {"neurons": 4, "cores_per_chip": 24, "tiles_x": 4, "tiles_y": 3, "cores_per_tile": 2, "chips": 4}
SMALL_TRUENORTH = {"cores_per_chip": 12, "tiles_x": 4, "tiles_y": 3, "chips": 3}


def neurons(seed: int) -> tuple[MappedNetwork, HardwareSpec]:
    spec = chip("loihi", **SMALL_LOIHI)
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(96)[: int(rng.integers(8, 40))]
    return scattered_neurons(seed, spec, (5, 12, 9, 6), int(rng.integers(0, 120)), numbers), spec


def blocks(seed: int) -> tuple[MappedNetwork, HardwareSpec]:
    spec = chip("truenorth", **SMALL_TRUENORTH)
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 12))
    return scattered_blocks(seed, spec, count, rng.permutation(36)[: count + 3]), spec


CASES = [pytest.param(make, seed, id=f"{make.__name__}{seed}") for make in (neurons, blocks) for seed in range(12)]


class Counted:
    """The same by other means: dictionaries, and every step of every packet."""

    def __init__(self, mapped: MappedNetwork, spec: HardwareSpec, rates: dict[str, Any] | None) -> None:
        self.mapped, self.spec = mapped, spec
        self.local = self.host = self.hops = self.packets = self.multicast_packets = self.multicast_hops = 0.0
        self.crossings = self.multicast_crossings = 0.0
        self.pairs: dict[tuple[int, int], float] = defaultdict(float)
        self.by_hops: dict[int, float] = defaultdict(float)
        self.links: dict[tuple[Tile, Tile], float] = defaultdict(float)
        self.multicast_links: dict[tuple[Tile, Tile], float] = defaultdict(float)
        for (name, neuron), targets in self.listeners().items():
            rate = 1.0 if rates is None else float(rates[name][neuron])
            if name not in mapped.placements:
                self.host += rate * len(targets)
                continue
            home = int(mapped.placements[name].core[neuron])
            self.local += rate * targets.count(home)
            others = [target for target in targets if target != home]
            if not others or rate == 0:
                continue
            union: set[tuple[Any, Any]] = set()
            self.multicast_packets += rate
            for target in others:
                steps = list(pairwise(self.way(home, target)))
                union.update(steps)
                on_mesh = [(a, b) for a, b in steps if a[0] == b[0]]
                self.packets += rate
                self.hops += rate * len(on_mesh)
                self.crossings += rate * self.boundaries(steps)
                self.pairs[home, target] += rate
                self.by_hops[len(on_mesh)] += rate
                for link in on_mesh:
                    self.links[link] += rate
            self.multicast_crossings += rate * self.boundaries(list(union))
            for link in union:
                if link[0][0] == link[1][0]:
                    self.multicast_hops += rate
                    self.multicast_links[link] += rate

    def listeners(self) -> dict[tuple[str, int], list[int]]:
        """Return (population, neuron) -> the core of each message of a spike."""
        found: dict[tuple[str, int], list[int]] = {}
        network = self.mapped.lowered.network
        if not network.crossbars:
            names = list(network.populations)
            for index, core in enumerate(self.mapped.cores):
                for population, neuron in zip(core.axon_population, core.axon_neuron, strict=True):
                    found.setdefault((names[population], int(neuron)), []).append(index)
            return found
        for q in network.projections:
            lists = q.pattern.arrays["sources"], q.pattern.arrays["targets"], q.mantissa
            for source, target, weight in zip(*lists, strict=True):
                if weight:
                    found.setdefault((q.source, int(source)), []).append(int(self.mapped.axons[q.target].core[target]))
        return found

    def tile(self, index: int) -> Tile:
        core = self.mapped.cores[index]
        if self.spec.has_crossbars:
            return 0, core.chip * self.spec.mesh.tiles_x + core.tile[0], core.tile[1]
        return core.chip, *core.tile

    def way(self, source: int, target: int) -> list[Tile]:
        """Return the tiles that a packet passes: along x, then along y, then from chip to chip."""
        mesh, x, y = self.tile(source)
        end = self.tile(target)
        passed = [(mesh, x, y)]
        while x != end[1]:
            x += 1 if end[1] > x else -1
            passed.append((mesh, x, y))
        while y != end[2]:
            y += 1 if end[2] > y else -1
            passed.append((mesh, x, y))
        while mesh != end[0]:
            mesh += 1 if end[0] > mesh else -1
            passed.append((mesh, x, y))
        return passed

    def boundaries(self, steps: list[tuple[Tile, Tile]]) -> int:
        """Return how many steps lead to another chip."""
        width = self.spec.mesh.tiles_x
        if self.spec.has_crossbars:
            return sum(a[1] // width != b[1] // width for a, b in steps)
        return sum(a[0] != b[0] for a, b in steps)


def loads(links: Links) -> dict[tuple[Tile, Tile], float]:
    """Return link -> packets per tick, of those that carry some."""
    found = {}
    for direction, mesh, y, x in np.argwhere(links.load).tolist():
        dx, dy = DIRECTIONS[direction]
        found[(mesh, x, y), (mesh, x + dx, y + dy)] = float(links.load[direction, mesh, y, x])
    return found


def agree(found: Traffic, counted: Counted) -> None:
    close = pytest.approx
    assert dict(zip(map(tuple, found.pairs.tolist()), found.packets.tolist(), strict=True)) == close(dict(counted.pairs))
    assert found.pairs.tolist() == sorted(found.pairs.tolist())
    assert (found.local, found.host) == close((counted.local, counted.host))
    unicast, multicast = found.unicast, found.multicast
    assert (unicast.packets, unicast.hops, unicast.crossings) == close((counted.packets, counted.hops, counted.crossings))
    assert (multicast.packets, multicast.hops) == close((counted.multicast_packets, counted.multicast_hops))
    assert multicast.crossings == close(counted.multicast_crossings)
    assert loads(unicast.links) == close(dict(counted.links))
    assert loads(multicast.links) == close(dict(counted.multicast_links))
    assert {hops: packets for hops, packets in enumerate(found.histogram.tolist()) if packets} == close(dict(counted.by_hops))
    messages = counted.packets + counted.local
    assert found.off_core_share == close(counted.packets / messages if messages else 0)
    assert found.average_hops == close(counted.hops / counted.packets if counted.packets else 0)
    for links, load in ((unicast.links, counted.links), (multicast.links, counted.multicast_links)):
        assert (links.used, links.largest) == close((len(load), max(load.values(), default=0)))
        assert links.mean == close(sum(load.values()) / len(load) if load else 0)
        busiest = links.busiest()
        if busiest is not None:
            mesh, start, stop = busiest
            assert load[(mesh, *start), (mesh, *stop)] == close(links.largest)
            assert links.congestion == close(links.largest / links.mean)


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_uniform(make: Any, seed: int) -> None:
    """Every count is that of the oracle, exactly: rates of 1 add up without rounding."""
    mapped, spec = make(seed)
    agree(traffic_of(mapped, spec), Counted(mapped, spec, None))


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_rates(make: Any, seed: int) -> None:
    mapped, spec = make(seed)
    rng = np.random.default_rng(seed)
    populations = mapped.lowered.network.populations
    rates = {name: rng.random(p.size) * (rng.random(p.size) < 0.7) for name, p in populations.items() if p.dynamics != "axons"}
    agree(traffic_of(mapped, spec, rates), Counted(mapped, spec, rates))


@pytest.mark.parametrize(("make", "seed"), CASES)
def test_hops_are_those_of_the_routes(make: Any, seed: int) -> None:
    mapped, spec = make(seed)
    found = traffic_of(mapped, spec)
    routes = {(r.source, r.target): (r.hops_x + r.hops_y, r.chips) for r in mapped.routes if r.source != r.target}
    assert dict(zip(map(tuple, found.pairs.tolist()), found.hops.tolist(), strict=True)) == {
        pair: hops for pair, (hops, _) in routes.items()
    }
    crossed = sum(packets * routes[a, b][1] for (a, b), packets in zip(found.pairs.tolist(), found.packets, strict=True))
    assert found.unicast.crossings == crossed


@pytest.mark.parametrize("make", [neurons, blocks])
def test_links_of_the_mesh(make: Any) -> None:
    """4 x 3 tiles have 3 * 3 + 4 * 2 links, each in two directions; chips of crossbars are joined at their edges."""
    mapped, spec = make(3)
    last = max(core.chip for core in mapped.cores) + 1
    expected = 2 * mapped.chips * 17 if make is neurons else 2 * ((4 * last - 1) * 3 + 4 * last * 2)
    assert traffic_of(mapped, spec).unicast.links.count == expected


def test_nothing_is_sent() -> None:
    spec = chip("loihi", **SMALL_LOIHI)
    mapped = scattered_neurons(0, spec, (3, 4), 0, np.arange(3))
    found = traffic_of(mapped, spec)
    assert (found.off_core_share, found.average_hops, found.unicast.links.congestion) == (0, 0, 0)
    assert (found.unicast.links.busiest(), found.histogram.tolist()) == (None, [])
    assert len(messages_of(mapped).sender) == 0


def test_silent_neurons_send_nothing() -> None:
    mapped, spec = neurons(1)
    rates = {name: np.zeros(p.size) for name, p in mapped.lowered.network.populations.items()}
    found = traffic_of(mapped, spec, rates)
    assert (len(found.pairs), found.multicast.packets, found.host, found.local) == (0, 0, 0, 0)
    assert found.multicast.links.used == 0
