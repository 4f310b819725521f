"""Lower bounds: no mapping is below one, whoever made it; small ones are reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from neurocomp import api, registry
from neurocomp.hardware import HardwareSpec, Sourced
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.mapped import MappedNetwork, by_core
from neurocomp.ir.quantized import COMPARTMENT, TRUENORTH, Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.mapping.bounds import _targets, bounds_of
from neurocomp.mapping.traffic import traffic_of
from neurocomp.models.patterns import Pattern
from neurocomp.testing.mappings import scattered_blocks, scattered_neurons
from neurocomp.testing.random_crossbars import random_lowerable_network
from neurocomp.testing.random_networks import random_real_network


@cache
def chip(target: str, **limits: int) -> HardwareSpec:
    """A shipped chip with other limits."""
    spec = registry.find_spec(target)
    changed = {name: Sourced(value, "test", "derived", value, value, "test") for name, value in limits.items()}
    return replace(spec, limits={**spec.limits, **changed})


def keeps_bounds(mapped: MappedNetwork, spec: HardwareSpec, rates: Mapping[str, Any] | None = None) -> None:
    """Assert that a mapping is not below any bound."""
    bounds, traffic = bounds_of(mapped.lowered, spec, rates), traffic_of(mapped, spec, rates)
    assert 1 <= bounds.cores <= max(1, len(mapped.cores))
    assert bounds.input_axons <= sum(len(core.axon_neuron) for core in mapped.cores)
    assert bounds.hops <= traffic.unicast.hops * (1 + 1e-12)
    sent = dict.fromkeys(mapped.placements, 0.0)
    for name in mapped.placements:
        alone = {other: np.zeros(p.size) for other, p in mapped.lowered.network.populations.items()}
        alone[name] = np.ones(len(alone[name])) if rates is None else rates[name]
        sent[name] = traffic_of(mapped, spec, alone).unicast.packets
    for name, packets in bounds.packets_from.items():
        assert 0 < packets <= sent[name] * (1 + 1e-12) or (rates is not None and packets == 0)
    assert bounds.packets <= traffic.unicast.packets * (1 + 1e-12)


def random_rates(mapped: MappedNetwork, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(p.size) for name, p in mapped.lowered.network.populations.items()}


@pytest.mark.parametrize("seed", range(15))
def test_neurons_anywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    room = int(rng.integers(1, 8))
    spec = chip("loihi", neurons=room)
    mapped = scattered_neurons(seed, spec, (5, 9, 14), int(rng.integers(1, 300)), rng.permutation(40)[: 24 // room + 4])
    keeps_bounds(mapped, spec)
    keeps_bounds(mapped, spec, random_rates(mapped, seed))


@pytest.mark.parametrize("seed", range(15))
def test_blocks_anywhere(seed: int) -> None:
    spec = chip("truenorth")
    mapped = scattered_blocks(seed, spec, 2 + seed % 9, np.random.default_rng(seed).permutation(200)[:12])
    keeps_bounds(mapped, spec)
    keeps_bounds(mapped, spec, random_rates(mapped, seed))


@pytest.mark.parametrize("target", ["loihi", "truenorth", "reference"])
@pytest.mark.parametrize("seed", range(8))
def test_compiled_networks(target: str, seed: int) -> None:
    """Resets by subtraction, convolutions, pools, copies and relays: whatever lowering makes of a network."""
    network, _ = random_lowerable_network(seed) if target == "truenorth" else random_real_network(seed)
    made = api.compile(network, target).artifact
    keeps_bounds(made.mapped, made.spec)
    keeps_bounds(made.mapped, made.spec, random_rates(made.mapped, seed))


# Networks whose bounds are known


def compartments(name: str, size: int, **fields: Any) -> IntegerPopulation:
    parameters: dict[str, Any] = {key: np.array(0, np.int64) for key in COMPARTMENT} | fields.pop("parameters", {})
    return IntegerPopulation(name, (size,), "compartment", parameters, **fields)


def dense(source: IntegerPopulation, target: IntegerPopulation) -> IntegerProjection:
    weights = np.ones((target.size, source.size), np.int8)
    name = f"{source.name}->{target.name}"
    return IntegerProjection(name, source.name, target.name, Pattern("dense"), weights, 1, "mixed", 8, 0, np.array(1))


def lowered(populations: list[IntegerPopulation], projections: list[IntegerProjection]) -> LoweredNetwork:
    table = {p.name: p for p in populations}
    network = IntegerNetwork("net", 1e-3, 4, chip("loihi").number_format, table, tuple(projections))
    return LoweredNetwork(network, dict.fromkeys(table, 0), {name: Representative(name, 0) for name in table})


def test_targets_need_cores() -> None:
    """10 targets at 4 a core are on 3 cores; the sender's own is one of them only if there is room for it beside them."""
    spec = chip("loihi", neurons=4)
    x, a, b, c = IntegerPopulation("x", (3,), "input", {}), compartments("a", 2), compartments("b", 10), compartments("c", 12)
    found = bounds_of(lowered([x, a, b, c], [dense(x, b), dense(a, b), dense(b, c)]), spec)
    assert found.packets_from == {"a": 2 * 2, "b": 10 * 3}
    assert found.input_axons == (3 + 2) * 3 + 10 * 3
    assert found.cores_for["neurons"] == 6
    rates = {name: np.arange(n) / 10 for name, n in (("x", 3), ("a", 2), ("b", 10), ("c", 12))}
    assert bounds_of(lowered([x, a, b, c], [dense(a, b), dense(b, c)]), spec, rates).packets == pytest.approx(0.1 * 2 + 4.5 * 3)


def test_recurrent_targets_may_be_beside_themselves() -> None:
    spec, a = chip("loihi", neurons=4), compartments("a", 8)
    assert bounds_of(lowered([a], [dense(a, a)]), spec).packets == 8


def test_reset_compartments_count() -> None:
    a, b = compartments("a", 2), compartments("b", 6, compartments=2, reset="subtract")
    found = bounds_of(lowered([a, b], [dense(a, b)]), chip("loihi", neurons=4))
    assert (found.cores, found.packets) == (4, 2 * 3)


def test_profiles_need_cores() -> None:
    a = compartments("a", 30, parameters={"vth": np.arange(30), "dv": np.arange(30) // 10})
    found = bounds_of(lowered([a], []), chip("loihi", threshold_profiles=7, decay_profiles=2))
    assert dict(found.cores_for) == {
        "neurons": 1,
        "input_axons": 1,
        "output_axons": 1,
        "threshold_profiles": 5,
        "decay_profiles": 2,
    }


def test_axons_need_cores() -> None:
    x, a, b = IntegerPopulation("x", (50,), "input", {}), compartments("a", 20), compartments("b", 1)
    found = bounds_of(lowered([x, a, b], [dense(x, a), dense(a, b)]), chip("loihi", input_axons=40, output_axons=3))
    assert (found.cores_for["input_axons"], found.cores_for["output_axons"]) == (2, 7)


def test_pairs_that_are_listed_twice_count_once() -> None:
    a, b = compartments("a", 1), compartments("b", 4)
    twice = {"sources": np.zeros(6, np.int64), "targets": np.array([0, 1, 2, 0, 1, 2])}
    weights = np.array([1, 1, 1, 1, 1, 0], np.int8)
    q = IntegerProjection("a->b", "a", "b", Pattern("sparse", twice), weights, 1, "mixed", 8, 0, np.array(1))
    assert bounds_of(lowered([a, b], [q]), chip("loihi", neurons=4)).packets == 0
    assert bounds_of(lowered([a, b], [q]), chip("loihi", neurons=2)).packets == 1


def test_projections_may_reach_the_same_neurons() -> None:
    spec, a, b = chip("loihi", neurons=4), compartments("a", 1), compartments("b", 5)
    once, twice = dense(a, b), replace(dense(a, b), name="again")
    assert bounds_of(lowered([a, b], [once, twice]), spec).packets == bounds_of(lowered([a, b], [once]), spec).packets == 1


def blocks(axons: list[int], neurons: list[int], sends: list[tuple[int, int]]) -> LoweredNetwork:
    """A crossbar of blocks of these sizes; ``sends``: (neuron, axon)."""
    n_axons, n_neurons = sum(axons), sum(neurons)
    values: dict[str, Any] = dict.fromkeys(TRUENORTH, np.array(0, np.int64))
    table = {
        "axons": IntegerPopulation("axons", (n_axons,), "axons", {}),
        "n": IntegerPopulation("n", (n_neurons,), "truenorth", values, compare=">="),
    }
    starts = [np.cumsum([0, *sizes]) for sizes in (axons, neurons)]
    nothing, weights = np.zeros(n_axons, np.int64), np.zeros((n_neurons, 4), np.int64)
    crossbar = Crossbar(
        "c", "axons", "n", starts[0], starts[1], nothing, np.zeros((n_axons, 32), np.uint8), weights, weights, nothing
    )
    sources, targets = np.array(sends, np.int64).reshape(-1, 2).T
    pattern, sent = Pattern("sparse", {"sources": sources, "targets": targets}), np.ones(len(sends), np.uint8)
    q = IntegerProjection("n->axons", "n", "axons", pattern, sent, 0, "excitatory", 1, 0, np.array(1))
    network = IntegerNetwork("blocks", 1e-3, 4, chip("truenorth").number_format, table, (q,), (crossbar,))
    return LoweredNetwork(network, dict.fromkeys(table, 0), {})


def test_blocks_need_cores() -> None:
    """Two blocks of half a core share one, larger ones do not; axons and neurons are counted each for itself."""
    spec = chip("truenorth")
    assert dict(bounds_of(blocks([128] * 3, [10] * 3, []), spec).cores_for) == {"input_axons": 2, "neurons": 1}
    assert dict(bounds_of(blocks([129] * 3, [10] * 3, []), spec).cores_for) == {"input_axons": 3, "neurons": 1}
    assert dict(bounds_of(blocks([10] * 3, [256, 129, 1], []), spec).cores_for) == {"input_axons": 1, "neurons": 2}


def test_packets_between_blocks_that_fit_no_core_together() -> None:
    """Neuron 0 of the first block sends to the second one, which fits beside it, neuron 1 to the third, which does not."""
    spec, net = chip("truenorth"), blocks([200, 56, 57], [5, 5, 5], [(0, 200), (1, 256), (2, 0), (10, 255)])
    found = bounds_of(net, spec)
    assert (found.packets_from, found.hops, found.input_axons) == ({"n": 1}, 1, 313)
    assert bounds_of(net, spec, {"n": np.arange(15) / 4}).packets == 0.25


def test_hops_to_more_cores_than_are_near() -> None:
    """One core beside the own one is on the tile (of a chip alone), 8 are a hop away, 16 two hops."""
    spec = chip("loihi", neurons=1, chips=1)
    spec = replace(spec, mesh=replace(spec.mesh, cores_per_tile=2))
    a, b = compartments("a", 1), compartments("b", 12)
    assert bounds_of(lowered([a, b], [dense(a, b)]), spec).hops == 0 * 1 + 1 * 8 + 2 * 3


def test_least_of_all_mappings() -> None:
    """Of a network so small that each placement can be tried, the best one has what the bound says."""
    spec = chip("loihi", neurons=2)
    a, b = compartments("a", 2), compartments("b", 3)
    net = lowered([a, b], [dense(a, b), dense(b, a)])
    found = bounds_of(net, spec)
    least_packets, least_cores = 10**9, 10**9
    for cores in product(range(5), repeat=5):
        core = np.array(cores)
        if max(len(neurons) for _, neurons in by_core(core)) > 2:
            continue
        homes = {"a": core[:2], "b": core[2:]}
        packets = sum(
            len(set(homes[q.target].tolist()) - {own}) for q in net.network.projections for own in homes[q.source].tolist()
        )
        least_packets, least_cores = min(least_packets, packets), min(least_cores, len(set(cores)))
    assert (found.cores, least_cores) == (3, 3)
    assert 0 < found.packets <= least_packets


@pytest.mark.parametrize("seed", range(6))
def test_targets_are_those_of_the_synapses(seed: int) -> None:
    """What dense and convolutional patterns say of themselves is what their synapses say."""
    network = api.compile(random_real_network(seed)[0], "reference").artifact.lowered.network
    for q in network.projections:
        if q.pool is None:
            synapses = network.synapses(q)
            heard: dict[int, set[int]] = {source: set() for source in range(network.populations[q.source].size)}
            for source, target in zip(synapses.source.tolist(), synapses.target.tolist(), strict=True):
                heard[source].add(target)
            assert _targets(network, q).tolist() == [len(heard[source]) for source in heard]
