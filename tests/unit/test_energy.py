"""Counts on a network computed by hand, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
import neurocomp_hwspecs
from neurocomp.energy.counts import PER_CORE, Counts, count
from neurocomp.energy.joules import BADGE, EVENTS, WITHIN, Energy, Interval, estimate
from neurocomp.errors import UsageError
from neurocomp.hardware import HardwareSpec, read_spec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.network import Network, Neuron, Population, Projection, frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.mapping.mapper import map_in_order
from neurocomp.mapping.synapse_words import rows_of_core
from neurocomp.models.patterns import Pattern
from neurocomp_loihi import LoihiBackend
from neurocomp_reference import ReferenceSimulator

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")


def population(name: str, size: int, **parameters: int) -> IntegerPopulation:
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    return IntegerPopulation(name, (size,), "compartment", {key: np.array(value) for key, value in values.items()})


def dense(a: str, b: str, weights: Any) -> IntegerProjection:
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    return IntegerProjection(f"{a}->{b}", a, b, Pattern("dense"), mantissa, 1, "mixed", 8, 0, np.array(1))


def three_neurons() -> tuple[MappedNetwork, Trace]:
    """x (2) -> a (2) on core 0 of chip 0 -> b (1) on core 37 of chip 1: one tile in x, one in y, one chip further.

    x[0] spikes in ticks 0 and 1, x[1] in tick 0. a[0] takes 20 from x[0] and nothing (a stored 0) from x[1], a[1] takes 6
    from x[0] and 20 from x[1]; both spike above 10. b takes 4 from a[0] and nothing from a[1], and never spikes.
    """
    x = IntegerPopulation("x", (2,), "input", {})
    populations = {"x": x, "a": population("a", 2, vth=10), "b": population("b", 1, vth=1000)}
    projections = (dense("x", "a", [[20, 0], [6, 20]]), dense("a", "b", [[4, 0]]))
    net = IntegerNetwork("n", 1e-3, 3, SPEC.number_format, populations, projections)
    lag = {"x": 0, "a": 1, "b": 2}
    placements = {"a": Placement(np.zeros(2, int), np.arange(2)), "b": Placement(np.ones(1, int), np.zeros(1, int))}
    cores = []
    for index, (name, number) in enumerate((("a", 0), ("b", 37))):
        rows = rows_of_core(net, [(name, np.arange(populations[name].size), placements[name].slot)], SPEC)
        cores.append(Core(index, number, SPEC.mesh.tile(number), rows.axon_population, rows.axon_neuron, rows.words))
    assert cores[1].tile == (1, 1)
    mapped = MappedNetwork(LoweredNetwork(net, lag, {}), tuple(cores), placements, (Route(0, 1, 1, 1, 1),)).verify(SPEC)
    stimulus = {"x": np.array([[[1, 1], [1, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]], np.int8)}
    return mapped, ReferenceSimulator().run(net, stimulus, lag=lag)


def counted() -> Counts:
    mapped, trace = three_neurons()
    return count(trace, mapped, SPEC)


def test_counts_by_hand() -> None:
    mapped, trace = three_neurons()
    # Tick 1: a[0] 20 > 10, a[1] 26 > 10: both spike. Tick 2: a[0] 20 > 10 spikes, a[1] keeps 6. Ticks 3, 4: a[1] keeps its 6.
    assert trace.spikes["a"][0].tolist() == [[0, 0], [1, 1], [1, 0], [0, 0], [0, 0]]
    assert trace.v["b"][0, :, 0].tolist() == [0, 0, 256, 512, 512]
    counts = count(trace, mapped, SPEC)
    assert (counts.samples, counts.ticks, counts.chips) == (2, 5, 2)
    assert {name: values[:, 0].tolist() for name, values in counts.per_core.items()} == {
        # The row of x[1] holds a[1] alone (its 0 lies outside the run); a[1] -> b is no synapse that is stored.
        "synaptic_events": [[3, 2, 0, 0, 0], [0, 1, 1, 0, 0]],
        "sops": [[3, 2, 0, 0, 0], [0, 1, 1, 0, 0]],
        "words_read": [[2, 1, 0, 0, 0], [0, 2, 1, 0, 0]],  # every row takes one word
        "updates": [[2] * 5, [1] * 5],
        "updates_active": [[0, 2, 2, 1, 1], [0, 0, 1, 1, 1]],
        "spikes": [[0, 2, 1, 0, 0], [0, 0, 0, 0, 0]],
        "packets": [[0, 2, 1, 0, 0], [0, 0, 0, 0, 0]],
        "packets_received": [[2, 1, 0, 0, 0], [0, 2, 1, 0, 0]],
        "host_packets": [[2, 1, 0, 0, 0], [0, 0, 0, 0, 0]],
        "resets": [[0] * 5, [0] * 5],
        "host_writes": [[0] * 5, [0] * 5],
        "starts": [[0] * 5, [0] * 5],
    }
    silent = {name: int(values[:, 1].sum()) for name, values in counts.per_core.items()}
    assert silent == dict.fromkeys(PER_CORE, 0) | {"updates": 15}
    assert (counts.hops_x.tolist(), counts.hops_y.tolist(), counts.chip_crossings.tolist()) == ([3, 0], [3, 0], [3, 0])


def test_counts_equal_the_counters_of_the_chip() -> None:
    mapped, trace = three_neurons()
    backend = LoihiBackend()
    stimulus = {"x": trace.spikes["x"][:, :3]}
    counters = backend.chip_simulator().run(backend.emit(mapped, SPEC), stimulus).counters
    counts = count(trace, mapped, SPEC)
    for event in PER_CORE:
        assert np.array_equal(counts.per_core[event], counters[event]), event


def test_totals_by_hand() -> None:
    counts = counted()
    assert counts.totals() == {
        "synaptic_events": 7,
        "sops": 7,
        "words_read": 6,
        "updates": 30,
        "updates_active": 9,
        "spikes": 3,
        "packets": 3,
        "packets_received": 6,
        "host_packets": 3,
        "resets": 0,
        "host_writes": 0,
        "starts": 0,
        "updates_inactive": 21,
        "input_spikes": 3,
        "sops_dense": 2 * 3 * (4 + 2),
        "macs": 0,
        "acs": 7,
        "hops_x": 3,
        "hops_y": 3,
        "hops": 6,
        "chip_crossings": 3,
        "sops_per_spike": 7 / 6,
    }
    assert counts.per_population == {
        "x": {"neurons": 2, "is_input": 1, "spikes": 3, "updates": 0, "updates_active": 0},
        "a": {"neurons": 2, "is_input": 0, "spikes": 3, "updates": 20, "updates_active": 6},
        "b": {"neurons": 1, "is_input": 0, "spikes": 0, "updates": 10, "updates_active": 3},
    }
    assert counts.per_projection == {
        "x->a": {"synapses": 4, "sops": 5, "sops_dense": 24, "source_spikes": 3, "is_mac": 0},
        "a->b": {"synapses": 2, "sops": 2, "sops_dense": 12, "source_spikes": 3, "is_mac": 0},
    }
    of_samples = {name: spikes.tolist() for name, spikes in counts.spikes_of_samples.items()}
    assert of_samples == {"x": [3, 0], "a": [3, 0], "b": [0, 0]}
    assert {name: sops.tolist() for name, sops in counts.sops_of_samples.items()} == {"x->a": [5, 0], "a->b": [2, 0]}
    assert {name: spikes.tolist() for name, spikes in counts.spikes_of_neurons.items()} == {"x": [2, 1], "a": [2, 1], "b": [0]}
    assert counts.per_sample()["sops"].tolist() == [7, 0]
    assert counts.per_sample()["spikes"].tolist() == [3, 0]


def test_zero_weights_of_a_dense_row_are_visited() -> None:
    """10 0 10 10 is cheaper as a run: four synapses are visited, three operations done."""
    mapped, _ = three_neurons()
    net = mapped.lowered.network
    a = population("a", 4)
    net = replace(
        net,
        populations={"x": IntegerPopulation("x", (1,), "input", {}), "a": a},
        projections=(dense("x", "a", [[10], [0], [10], [10]]),),
    )
    rows = rows_of_core(net, [("a", np.arange(4), np.arange(4))], SPEC)
    core = Core(0, 0, (0, 0), rows.axon_population, rows.axon_neuron, rows.words)
    lag = {"x": 0, "a": 1}
    mapped = MappedNetwork(LoweredNetwork(net, lag, {}), (core,), {"a": Placement(np.zeros(4, int), np.arange(4))}, ())
    trace = ReferenceSimulator().run(net, {"x": np.ones((1, 2, 1), np.int8)}, lag=lag)
    totals = count(trace, mapped.verify(SPEC), SPEC).totals()
    assert (totals["synaptic_events"], totals["sops"], totals["sops_dense"]) == (8, 6, 8)


def all_features() -> MappedNetwork:
    """x -> a by a convolution, x -> b, both with a second compartment, a clock on b, a current into b; a -> b, on small cores.

    Three cores of 16 compartments: two places of three channels of a; the other two, and two neurons of b; the third of b.
    """
    options = {"kernel": (3,), "stride": (1,), "padding": (1,), "dilation": (1,), "groups": (1,)}
    weights = np.array([[[3, 0, -2]], [[0, 4, 1]], [[5, 5, 5]]], np.int8)
    conv = IntegerProjection("conv", "x", "a", Pattern("conv1d", {}, options), weights, 1, "mixed", 8, 0, np.array(1))
    a = replace(population("a", 12, vth=8), shape=(3, 4), reset="subtract", compartments=2)
    b = replace(
        population("b", 3, vth=20),
        reset="subtract",
        compartments=2,
        reset_interval=2,
        reset_offset=3,
        current="i",
        refractory=1,
        start=2,
    )
    populations = {
        "i": IntegerPopulation("i", (3,), "current", {}), "x": IntegerPopulation("x", (1, 4), "input", {}), "a": a, "b": b,
    }  # fmt: skip
    random = np.random.default_rng(3).integers(-3, 9, (3, 12)) * 2
    net = IntegerNetwork("n", 1e-3, 4, SPEC.number_format, populations, (conv, dense("a", "b", random)))
    spec = replace(SPEC, limits={**SPEC.limits, "neurons": replace(SPEC.limits["neurons"], value=16)})
    mapped, violations = map_in_order(LoweredNetwork(net, {"i": 0, "x": 0, "a": 1, "b": 2}, {}), spec)
    assert mapped is not None, violations
    return mapped.verify(spec)


def test_counts_of_second_compartments_clocks_and_currents() -> None:
    """Reset compartments are updated and never active; a clock clears neurons; a current and a start are one write each."""
    mapped = all_features()
    rng = np.random.default_rng(4)
    shape = {"x": 4, "a": 12, "b": 3}
    spikes = {name: rng.integers(0, 2, (2, 6, n)).astype(np.int8) for name, n in shape.items()}
    state = {name: rng.integers(0, 2, (2, 6, n)) for name, n in shape.items() if name != "x"}
    trace = Trace("any", 4, mapped.lowered.lag, spikes, state, state)
    counts = count(trace, mapped, SPEC)
    of_a = mapped.placements["a"].core
    assert (of_a.tolist().count(0), of_a.tolist().count(1), mapped.placements["b"].core.tolist()) == (6, 6, [1, 1, 2])
    assert counts.per_core["updates"].tolist() == [[[12] * 6] * 2, [[16] * 6] * 2, [[2] * 6] * 2]
    active = {name: (spikes[name] != 0) | (state[name] != 0) for name in ("a", "b")}
    for core in range(3):
        expected = sum(active[name][:, :, mapped.placements[name].core == core].sum(axis=2) for name in ("a", "b"))
        assert np.array_equal(counts.per_core["updates_active"][core], expected)
    assert counts.per_core["resets"].tolist() == [[[0] * 6] * 2, [[0, 0, 0, 2, 0, 2]] * 2, [[0, 0, 0, 1, 0, 1]] * 2]
    assert counts.per_core["host_writes"].tolist() == [[[0] * 6] * 2, [[0, 0, 2, 0, 0, 0]] * 2, [[0, 0, 1, 0, 0, 0]] * 2]
    assert counts.per_core["starts"].tolist() == counts.per_core["host_writes"].tolist()
    assert counts.per_population["b"] == {
        "neurons": 3, "is_input": 0, "spikes": int(spikes["b"].sum()), "updates": 2 * 6 * 6,
        "updates_active": int(active["b"].sum()),
    }  # fmt: skip
    assert counts.per_population["i"] == {"neurons": 3, "is_input": 1, "spikes": 0, "updates": 0, "updates_active": 0}
    assert counts.totals()["input_spikes"] == spikes["x"].sum()
    assert counts.totals()["sops"] == sum(entry["sops"] for entry in counts.per_projection.values())
    assert counts.totals()["sops_dense"] == 2 * 4 * (3 * 10 + 36)


def test_messages_are_counted_on_their_ways() -> None:
    """Packets and hops from per-neuron ways equal those that a loop over spikes and routes counts."""
    mapped, spec = all_features(), SPEC
    numbers = zip(mapped.cores, (0, 9, 40), strict=True)
    cores = tuple(replace(core, core=number, tile=spec.mesh.tile(number)) for core, number in numbers)
    hops_of = {}
    for r in mapped.routes:
        (ax, ay), (bx, by) = cores[r.source].tile, cores[r.target].tile
        hops_of[r.source, r.target] = abs(ax - bx), abs(ay - by)
    routes = tuple(Route(*pair, *hops_of[pair], 0) for pair in hops_of)
    mapped = replace(mapped, cores=cores, routes=routes).verify(spec)
    rng = np.random.default_rng(6)
    spikes = {name: rng.integers(-1, 2, (2, 6, n)).astype(np.int8) for name, n in (("x", 4), ("a", 12), ("b", 3))}
    state = {name: spikes[name] * 0 for name in ("a", "b")}
    counts = count(Trace("any", 4, mapped.lowered.lag, spikes, state, state), mapped, spec)
    packets, host = np.zeros((3, 2, 6), int), np.zeros((3, 2, 6), int)
    hops = np.zeros((2, 2), int)
    for target, core in enumerate(cores):
        for population, neuron in zip(core.axon_population.tolist(), core.axon_neuron.tolist(), strict=True):
            name = mapped.population_names[population]
            for sample, tick in np.argwhere(spikes[name][:, :, neuron]).tolist():
                if name == "x":
                    host[target, sample, tick] += 1
                    continue
                sender = int(mapped.placements[name].core[neuron])
                packets[sender, sample, tick] += 1
                hops[:, sample] += hops_of[sender, target]
    assert np.array_equal(counts.per_core["packets"], packets)
    assert np.array_equal(counts.per_core["host_packets"], host)
    assert (counts.hops_x.tolist(), counts.hops_y.tolist()) == (hops[0].tolist(), hops[1].tolist())
    assert hops.min() > 0


def test_without_spikes_there_is_no_ratio() -> None:
    mapped, trace = three_neurons()
    nothing = {name: values * 0 for name, values in trace.spikes.items()}
    quiet = replace(trace, spikes=nothing, u=trace.u, v=trace.v)
    totals = count(quiet, mapped, SPEC).totals()
    assert (totals["sops"], totals["sops_per_spike"]) == (0, 0.0)


# Joules


def joules(energy: Energy, part: str) -> list[float]:
    """Low, nominal and high of a part that has a price."""
    interval = energy.parts[part]
    assert interval is not None
    return [interval.low, interval.nominal, interval.high]


@pytest.mark.parametrize("costs", [None, "loihi", "davies2018", "sanafe"])
def test_energy_is_counts_times_costs(costs: str | None) -> None:
    counts = counted()
    energy = estimate(counts, SPEC, 1e-3, costs)
    table, totals = SPEC.costs[costs or "loihi"], counts.totals()
    assert energy.costs == (costs or "loihi")
    for line in energy.lines:
        cost = table[line.event]
        assert line.count == totals[EVENTS[line.event][1]]
        assert line.energy == Interval(line.count * cost.low, line.count * cost.value, line.count * cost.high)
        assert line.energy.low <= line.energy.nominal <= line.energy.high
    assert energy.total.low <= energy.total.nominal <= energy.total.high
    for name in ("low", "nominal", "high"):
        assert getattr(energy.total, name) == pytest.approx(sum(getattr(line.energy, name) for line in energy.lines))
    parts = np.add(joules(energy, "core dynamic"), joules(energy, "network on chip"))
    assert parts.tolist() == pytest.approx(list(energy.total.as_json().values()))


def test_energy_by_hand() -> None:
    """Davies 2018: 23.6, 81, 52 pJ on the cores; 1.7, 3, 4 pJ on the way."""
    energy = estimate(counted(), SPEC, 1e-3, "davies2018")
    core = (7 * 23.6 + 9 * 81.0 + 21 * 52.0) * 1e-12
    way = (3 * 1.7 + 3 * 3.0 + 3 * 4.0) * 1e-12
    assert joules(energy, "core dynamic") == pytest.approx([core] * 3)
    assert joules(energy, "network on chip") == pytest.approx([way] * 3)
    assert energy.total.nominal == pytest.approx(core + way)
    assert energy.unpriced == ("spike", "chip_crossing")
    assert (energy.parts["static"], energy.static_note, energy.parts["host"]) == (None, "unpriced", None)
    assert energy.of_samples == pytest.approx([energy.total.nominal - 15 * 52e-12, 15 * 52e-12])


def test_static_power_stands_apart() -> None:
    """Two chips for 2 samples of 5 ticks of 1 ms."""
    energy = estimate(counted(), SPEC, 1e-3)
    assert joules(energy, "static") == pytest.approx([2 * 0.01 * watts for watts in (0.1044, 0.1044, 0.178)])
    assert energy.total.high < 1e-8
    assert energy.unpriced == ("chip_crossing",)
    assert energy.static_note == (
        "2 whole chips at 0.1044 to 0.178 W for 5 ticks of 0.001 s per sample, as if in real time "
        f"({SPEC.costs['loihi']['static_power_per_chip'].source})"
    )
    assert joules(energy, "host") == pytest.approx([2 * 0.01 * 0.065] * 3)
    longer = joules(estimate(counted(), SPEC, 2e-3), "static")
    assert longer == pytest.approx([2 * 0.02 * watts for watts in (0.1044, 0.1044, 0.178)])


def without(spec: HardwareSpec, *events: str) -> HardwareSpec:
    table = {name: cost for name, cost in spec.costs["loihi"].items() if name not in events}
    return replace(spec, costs={**spec.costs, "loihi": table})


def test_what_has_no_price_is_named_and_adds_nothing() -> None:
    energy = estimate(counted(), without(SPEC, "synaptic_event", "hop_y"), 1e-3)
    assert energy.unpriced == ("synaptic_event", "hop_y", "chip_crossing")
    assert {line.event for line in energy.lines} == set(EVENTS) - {"synaptic_event", "hop_y", "chip_crossing", *WITHIN}
    assert energy.total.nominal < estimate(counted(), SPEC, 1e-3).total.nominal
    mapped, trace = three_neurons()
    quiet = replace(trace, spikes={name: values * 0 for name, values in trace.spikes.items()})
    assert estimate(count(quiet, mapped, SPEC), without(SPEC, "hop_y"), 1e-3).unpriced == ()


def test_json() -> None:
    document = estimate(counted(), SPEC, 1e-3).as_json()
    assert document["badge"] == BADGE == "SIMULATED COUNTS · ESTIMATED ENERGY · NOT MEASURED"
    assert set(document) == {"costs", "badge", "includes", "parts_j", "unpriced", "static", "lines", "powers"}
    assert set(document["parts_j"]) == {"core dynamic", "network on chip", "static", "host"}
    first = document["lines"][0]
    assert (first["event"], first["count"], first["kind"]) == ("synaptic_event", 7.0, "pre-silicon")
    assert first["cost_j"] == {"low": 19.7e-12, "nominal": 23.6e-12, "high": 35.5e-12}
    assert all(line["source"] for line in document["lines"])


def test_unknown_costs() -> None:
    with pytest.raises(UsageError) as caught:
        estimate(counted(), SPEC, 1e-3, "sana-fe")
    assert caught.value.exit_code == 2
    assert caught.value.render() == "error[NC0801 usage]: loihi has no cost source 'sana-fe'\nhint:  did you mean 'sanafe'?"


def test_exponent_groups_count_for_their_projection() -> None:
    """A projection with outliers has the synapses of its file, and its sops are those of the group too."""
    rng = np.random.default_rng(3)
    weights = rng.normal(0, 0.1, (20, 30))
    weights[rng.random(weights.shape) < 0.02] = 6.0
    values = {"tau_mem": 0.01, "r": 1.0, "v_threshold": 1.0, "v_init": 0.0}
    neuron = Neuron("lif", {key: frozen(value, np.float64) for key, value in values.items()})
    network = Network(
        "outliers", 1e-3, 12, {"in": Population("in", (30,)), "out": Population("out", (20,), neuron)},
        (Projection("in->out", "in", "out", Pattern("dense"), frozen(weights)),),
    )  # fmt: skip
    compiled = neurocomp.compile(network, target="loihi")
    assert any(q.group_of == "in->out" for q in compiled.artifact.lowered.network.projections)
    stimulus = (rng.random((2, 12, 30)) < 0.3).astype(np.uint8)
    report = compiled.report(inputs={"in": stimulus}).as_json()
    (entry,) = report["per_projection"].values()
    assert entry["synapses"] == 600
    assert entry["sops_dense"] == 600 * 12 * 2
    assert entry["source_spikes"] == int(stimulus.sum())
    assert entry["sops"] == report["counts"]["sops"]
