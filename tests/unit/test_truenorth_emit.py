"""Random networks of crossbars: mapped, emitted, counted and corrupted; the chip simulation against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp_hwspecs
from neurocomp.backend import CORRUPTIBLE
from neurocomp.energy.counts import counts_of, tally_of, wiring_of
from neurocomp.errors import InternalError, NetworkError, UsageError
from neurocomp.hardware import Sourced, read_spec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import MappedNetwork, Placement, Route
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import Crossbar, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp_reference import ReferenceSimulator
from neurocomp_truenorth import formats as fm
from neurocomp_truenorth.chip import ChipSimulation
from neurocomp_truenorth.emit import emit, utilization
from neurocomp_truenorth.inject import inject
from neurocomp_truenorth.mapping import map_network

Array = NDArray[Any]

TRUENORTH = read_spec(Path(neurocomp_hwspecs.__file__).parent / "truenorth.yaml")
TICKS, SAMPLES, LAG = 20, 3, 2


def limited(**limits: int) -> Any:
    """TrueNorth with other limits."""
    changed = {name: Sourced(value, "a test", "derived", value, value, "here") for name, value in limits.items()}
    return replace(TRUENORTH, limits={**TRUENORTH.limits, **changed})


def ints(values: Any) -> Array:
    return frozen(np.asarray(values, np.int64))


def messages(source: str, target: str, sources: Any, targets: Any, delay: Any, arrives: Any = None) -> IntegerProjection:
    pattern = Pattern("sparse", {"sources": ints(sources), "targets": ints(targets)})
    weight = np.ones(len(sources), np.uint8) if arrives is None else np.asarray(arrives, np.uint8)
    return IntegerProjection(f"{source}_{target}", source, target, pattern, frozen(weight), 0, "excitatory", 1, 0, ints(delay))


def neurons(name: str, size: int, rng: np.random.Generator, stochastic: bool) -> IntegerPopulation:
    """Neurons of all kinds."""
    values: Mapping[str, Any] = {
        "alpha": rng.integers(0, 40, size),
        "beta": rng.integers(0, 30, size),
        "lambda": rng.integers(-3, 4, size),
        "c_lambda": rng.integers(0, 2, size) * stochastic,
        "epsilon": rng.integers(0, 2, size),
        "TM": rng.integers(0, 4, size) * stochastic,
        "gamma": rng.integers(0, 3, size),
        "kappa": rng.integers(0, 2, size),
        "R": rng.integers(-9, 10, size),
        "V": rng.integers(-9, 10, size),
        "b": np.zeros(size),
        "symmetric": rng.integers(0, 2, size),
        "seed": 7 if stochastic else 0,
        "key": np.arange(size),
    }
    return IntegerPopulation(name, (size,), "truenorth", {key: ints(value) for key, value in values.items()})


def crossbar(
    name: str, axons: str, population: str, blocks: list[tuple[int, int]], rng: np.random.Generator, stochastic: bool
) -> Crossbar:
    """Blocks of (axons, neurons)."""
    sizes = np.array(blocks)
    n_axons, n_neurons = sizes.sum(axis=0)
    bits = [Crossbar.packed(rng.random(size) < 0.4) for size in blocks]
    return Crossbar(
        name, axons, population, ints(np.cumsum([0, *sizes[:, 0]])), ints(np.cumsum([0, *sizes[:, 1]])),
        ints(rng.integers(0, 4, n_axons)), frozen(np.concatenate(bits)), ints(rng.integers(-9, 10, (n_neurons, 4))),
        ints(rng.integers(0, 2, (n_neurons, 4)) * stochastic), ints(np.arange(n_axons)),
    )  # fmt: skip


def network(
    seed: int, stochastic: bool = False, blocks: tuple[tuple[int, int], ...] = ((30, 20), (12, 9), (50, 40))
) -> LoweredNetwork:
    """Two crossbars in a loop, the second one late; an input, pulses, two populations of lines, merges, dropped packets."""
    rng = np.random.default_rng(seed)
    first, second = list(blocks), [(8, 5), (3, 7)]
    sizes = {"a": np.sum(first, axis=0), "b": np.sum(second, axis=0)}
    populations = [
        IntegerPopulation("input", (6, 5), "input", {}),
        IntegerPopulation("pulse", (2,), "pulse", {"first": ints([1, 4]), "count": ints([3, 1])}),
    ]
    for name, (n_axons, n_neurons) in sizes.items():
        populations.append(IntegerPopulation(f"{name}.axons", (int(n_axons),), "axons", {}))
        populations.append(neurons(name, int(n_neurons), rng, stochastic and name == "b"))
    populations += [IntegerPopulation("left", (4,), "axons", {}), IntegerPopulation("right", (3,), "axons", {})]
    n_a, n_b = sizes["a"][0], sizes["b"][0]
    of_a, of_b = rng.permutation(sizes["a"][1]), rng.permutation(sizes["b"][1])
    some = rng.integers(2, size=len(of_b) - 2)
    projections = (
        messages("input", "a.axons", rng.permutation(30), rng.integers(0, n_a, 30), rng.integers(0, 4, 30)),
        messages("pulse", "a.axons", [0, 1, 1], rng.integers(0, n_a, 3), [0, 2, 5]),
        messages("pulse", "b.axons", [0], rng.integers(0, n_b, 1), [1]),
        messages("a", "b.axons", of_a[:12], rng.integers(0, n_b, 12), rng.integers(1, 16, 12)),
        messages("a", "left", of_a[12:16], [0, 1, 2, 2], np.int64(1)),
        messages("a", "a.axons", of_a[16:25], rng.integers(0, n_a, 9), np.int64(3)),
        messages(
            "b", "a.axons", of_b[2:], rng.integers(0, n_a, len(some)), np.where(some, rng.integers(1, 16, len(some)), 16), some
        ),
        messages("b", "right", of_b[:2], [2, 0], np.int64(1)),
    )
    crossbars = (
        crossbar("ca", "a.axons", "a", first, rng, False),
        crossbar("cb", "b.axons", "b", second, rng, stochastic),
    )
    table = {p.name: p for p in populations}
    integers = IntegerNetwork("random", 1e-3, TICKS, TRUENORTH.number_format, table, projections, crossbars, ("left", "right"))
    merges = {name: ints(np.arange(p.size)) for name, p in table.items() if p.dynamics == "axons"}
    lag = dict.fromkeys(table, 0) | {"b.axons": LAG, "b": LAG, "right": LAG}
    return LoweredNetwork(integers, lag, {}, declared_merges=merges)


def mapped_network(lowered: LoweredNetwork, spec: Any = TRUENORTH) -> MappedNetwork:
    mapped, violations = map_network(lowered, spec)
    assert mapped is not None, violations
    return mapped.verify(spec)


def stimulus(seed: int = 0) -> dict[str, Array]:
    return {"input": (np.random.default_rng(seed).random((SAMPLES, TICKS, 30)) < 0.3).astype(np.int8)}


def reference(lowered: LoweredNetwork) -> Trace:
    return ReferenceSimulator().run(lowered.network, stimulus(), lag=lowered.lag)


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_chip_simulation_does_what_the_reference_does(seed: int, stochastic: bool) -> None:
    lowered = network(seed, stochastic)
    lowered.network.verify("lower")
    mapped = mapped_network(lowered)
    program = emit(mapped, TRUENORTH).verify()
    assert any("keys" in core.tables for core in program.cores) == stochastic
    expected, found = reference(lowered), ChipSimulation().run(program, stimulus())
    assert sum(int(expected.spikes[name].sum()) for name in ("left", "right", "a", "b")) > 100
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes, err_msg=name)
    for name, v in expected.v.items():
        np.testing.assert_array_equal(found.v[name], v, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_the_counts_of_spikes_and_mapping_are_the_counters_of_the_chip(seed: int) -> None:
    lowered = network(seed)
    mapped = mapped_network(lowered, limited(input_axons=64, neurons=48))
    spec = limited(input_axons=64, neurons=48)
    trace, chip = reference(lowered), ChipSimulation().run(emit(mapped, spec), stimulus())
    counts = counts_of(tally_of(trace, lowered.network, wiring_of(mapped, spec)), mapped, TICKS)
    for name in set(chip.counters) & set(counts.per_core):
        np.testing.assert_array_equal(counts.per_core[name], chip.counters[name], err_msg=name)
    np.testing.assert_array_equal(counts.hops_x, chip.counters["hops_x"])
    np.testing.assert_array_equal(counts.hops_y, chip.counters["hops_y"])
    totals = counts.totals()
    assert min(totals[name] for name in ("packets", "outputs", "host_packets", "hops", "sops", "updates_active")) > 0
    assert totals["synaptic_events"] >= totals["sops"] == sum(c["sops"] for c in counts.per_projection.values())
    assert set(counts.per_projection) == {"ca", "cb"}
    assert set(counts.per_population) == {"input", "pulse", "a", "b"}


# Places


def test_small_blocks_share_a_core_and_large_ones_do_not() -> None:
    mapped = mapped_network(network(0))
    assert len(mapped.cores) == 1
    spec = limited(input_axons=64, neurons=48)
    mapped = mapped_network(network(0), spec)
    assert [len(core.axon_neuron) for core in mapped.cores] == [30 + 12 + 8 + 3, 50]
    assert mapped.placements["b"].core.tolist() == [0] * 12
    assert mapped.placements["b"].slot.tolist() == list(range(29, 41))
    assert mapped.axons["b.axons"].slot.tolist() == list(range(42, 53))


def test_cores_fill_rows_then_chips() -> None:
    spec = limited(input_axons=50, neurons=40, cores_per_chip=2, chips=3)
    spec = replace(spec, mesh=replace(spec.mesh, tiles_x=1, tiles_y=2))
    mapped = mapped_network(network(0, blocks=((50, 40),) * 5), spec)
    assert [(core.chip, core.core, core.tile) for core in mapped.cores[:3]] == [(0, 0, (0, 0)), (0, 1, (0, 1)), (1, 0, (0, 0))]
    assert mapped.chips == 3
    assert any(route.chips == 2 and route.hops_x == 2 for route in mapped.routes)
    images = [fm.unpack(core) for core in emit(mapped, spec).cores]
    assert [(image.x, image.y) for image in images] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    trace = ChipSimulation().run(emit(mapped, spec), stimulus())
    np.testing.assert_array_equal(trace.v["a"], reference(mapped.lowered).v["a"])


def test_too_many_cores_are_a_violation() -> None:
    mapped, violations = map_network(network(0), limited(input_axons=50, neurons=40, cores_per_chip=1, chips=1))
    assert mapped is None
    (violation,) = violations
    assert (violation.code, violation.actual, violation.limit) == ("NC0401", 3, 1)


def test_a_block_that_no_core_holds_is_a_fault_of_lowering() -> None:
    with pytest.raises(InternalError, match="at most 40 axons"):
        map_network(network(0), limited(input_axons=40))


def changed(place: Placement, index: int, core: int, slot: int) -> Placement:
    cores, slots = place.core.copy(), place.slot.copy()
    cores[index], slots[index] = core, slot
    return Placement(cores, slots)


def broken_mappings() -> dict[str, Any]:
    spec = limited(input_axons=64, neurons=48)
    mapped = mapped_network(network(0), spec)
    a, axons = mapped.placements["a"], mapped.axons["a.axons"]
    core = mapped.cores[0]
    return {
        "no place holds two neurons": replace(mapped, placements={**mapped.placements, "a": changed(a, 1, 0, 0)}),
        "no place holds two axons": replace(mapped, axons={**mapped.axons, "a.axons": changed(axons, 1, 0, 0)}),
        "every block of 'ca' is on one core": replace(mapped, placements={**mapped.placements, "a": changed(a, 1, 1, 47)}),
        "the places of 'a' exist": replace(mapped, placements={**mapped.placements, "a": changed(a, 1, 0, 48)}),
        "the banks and neurons of all crossbars": replace(mapped, axons={"a.axons": axons}),
        "lists its axons in their order": replace(
            mapped, cores=(replace(core, axon_neuron=core.axon_neuron[::-1].copy()), *mapped.cores[1:])
        ),
        "every packet has a route": replace(mapped, routes=mapped.routes[1:]),
        "hops follow from the tiles": replace(mapped, routes=(mapped.routes[0]._replace(hops_y=3), *mapped.routes[1:])),
        "a core's tile follows from its number": replace(mapped, cores=(replace(core, tile=(1, 1)), *mapped.cores[1:])),
        "have no words of synapses": replace(mapped, cores=(replace(core, synapse_words=1), *mapped.cores[1:])),
    }


@pytest.mark.parametrize("claim", list(broken_mappings()))
def test_what_a_mapping_claims_is_derived_anew(claim: str) -> None:
    with pytest.raises(InternalError, match=claim):
        broken_mappings()[claim].verify(limited(input_axons=64, neurons=48))


def test_routes_are_those_of_packets_that_arrive() -> None:
    lowered = network(0)
    only = messages("b", "a.axons", [0], [0], 16, [0])
    lowered = replace(lowered, network=replace(lowered.network, projections=(lowered.network.projections[0], only)))
    mapped = mapped_network(lowered, limited(input_axons=64, neurons=48))
    assert mapped.routes == ()
    assert isinstance(replace(mapped, routes=(Route(0, 0, 0, 0, 0),)), MappedNetwork)
    with pytest.raises(InternalError, match="every packet has a route"):
        replace(mapped, routes=(Route(0, 0, 0, 0, 0),)).verify(limited(input_axons=64, neurons=48))


# Bytes


def test_emission_depends_on_mapping_and_spec_alone() -> None:
    digests = {emit(mapped_network(network(3, stochastic=True)), TRUENORTH).digest() for _ in range(2)}
    assert len(digests) == 1
    assert digests != {emit(mapped_network(network(4, stochastic=True)), TRUENORTH).digest()}


def test_neurons_that_do_not_exist_are_zero_and_dropped_packets_have_a_delay_beyond_the_scheduler() -> None:
    mapped = mapped_network(network(0))
    (core,) = emit(mapped, TRUENORTH).cores
    image = fm.unpack(core)
    assert image.used.sum() == 20 + 9 + 40 + 5 + 7
    assert not image.neurons[~image.used].tobytes().strip(b"\0")
    dropped = image.neurons["delay"] == 16
    assert 0 < dropped.sum() == sum(int((q.mantissa == 0).sum()) for q in mapped.lowered.network.projections)


def test_utilization_counts_neurons_axons_and_bits() -> None:
    lowered, spec = network(0), limited(input_axons=64, neurons=48)
    program = emit(mapped_network(lowered, spec), spec)
    bits = sum(int(c.connected(block).sum()) for c in lowered.network.crossbars for block in range(c.blocks))
    found = utilization(program, spec)
    assert found["neurons"] == (81, 48, 41)
    assert found["input_axons"] == (103, 64, 53)
    assert found["crossbar_bits"][:2] == (bits, 64 * 48)


def faults() -> dict[str, LoweredNetwork]:
    lowered = network(0)
    integers = lowered.network
    late = dict(integers.populations)
    late["a"] = replace(late["a"], start=2)

    def with_projection(q: IntegerProjection) -> LoweredNetwork:
        return replace(lowered, network=replace(integers, projections=(*integers.projections, q)))

    free = max(set(range(69)) - {int(i) for q in integers.projections if q.source == "a" for i in q.pattern.arrays["sources"]})
    return {
        "each neuron of 'b' has one target": with_projection(messages("b", "left", [0], [0], 1)),
        "delays of 'a_b.axons' fit": with_projection(messages("a", "b.axons", [free], [0], 16)),
        "'a_left' leaves the chip": with_projection(messages("a", "left", [free], [0], 2)),
        "cores of crossbars do what 'a' does": replace(lowered, network=replace(integers, populations=late)),
    }


@pytest.mark.parametrize("claim", list(faults()))
def test_what_tables_cannot_say_is_a_fault_of_lowering(claim: str) -> None:
    mapped = mapped_network(faults()[claim])
    with pytest.raises(InternalError, match=claim):
        emit(mapped, TRUENORTH)


# Corruption


@pytest.mark.parametrize("kind", CORRUPTIBLE)
@pytest.mark.parametrize("seed", range(4))
def test_a_corruption_shows(kind: str, seed: int) -> None:
    lowered = network(seed, stochastic=seed % 2 == 1)
    program, trace = emit(mapped_network(lowered), TRUENORTH), reference(lowered)
    corrupted = inject(program, trace, kind, seed)
    assert corrupted.description.startswith(f"{kind} of ")
    assert corrupted.description == inject(program, trace, kind, seed).description
    assert corrupted.program.digest() != program.digest()
    changed = sum(
        not np.array_equal(table, theirs.tables[name])
        for core, theirs in zip(program.cores, corrupted.program.cores, strict=True)
        for name, table in core.tables.items()
    )
    assert changed == 1
    run = ChipSimulation().run(corrupted.program.verify(), stimulus())
    names = ("a", "b", "left", "right")
    spikes = all(np.array_equal(run.spikes[name], trace.spikes[name]) for name in names)
    assert not spikes or not all(np.array_equal(run.v[name], trace.v[name]) for name in ("a", "b"))


def test_what_does_not_happen_cannot_be_corrupted() -> None:
    lowered = network(0)
    quiet = {
        name: replace(p, parameters={**p.parameters, "alpha": ints(1000), "lambda": ints(0)})
        if p.dynamics == "truenorth"
        else p
        for name, p in lowered.network.populations.items()
    }
    lowered = replace(lowered, network=replace(lowered.network, populations=quiet))
    program, trace = emit(mapped_network(lowered), TRUENORTH), reference(lowered)
    for kind in ("delay", "target"):
        with pytest.raises(NetworkError, match="NC0702"):
            inject(program, trace, kind, 0)
    with pytest.raises(UsageError, match="weights"):
        inject(program, trace, "weights", 0)
