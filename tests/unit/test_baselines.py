"""Conventions beside the chip and NeuroBench's metrics, on networks whose numbers are written down here."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
import neurocomp_hwspecs
from neurocomp.encoding import Operations
from neurocomp.energy.baselines import Baselines, Convention, Layer, Prices, Row, baselines_of, bits_for
from neurocomp.energy.conventions import CONSTANTS, PJ, THRESHOLDS
from neurocomp.energy.joules import Interval
from neurocomp.energy.neurobench import neurobench_of
from neurocomp.energy.workload import Work, Worked
from neurocomp.hardware import read_spec
from neurocomp.ir.host import HostCurrent, HostProjection
from neurocomp.ir.network import Network, Neuron, Population, Projection, frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern, expanded

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
Spikes = dict[str, NDArray[Any]]


def population(name: str, shape: tuple[int, ...], dynamics: str = "compartment") -> IntegerPopulation:
    keys = ("du", "dv", "vth", "bias_mant", "bias_exp", "u_init", "v_init", *(("vth_low",) if dynamics == "ternary" else ()))
    return IntegerPopulation(name, shape, dynamics, {key: np.array(1) for key in keys} if dynamics != "input" else {})


def dense(a: str, b: str, weights: Any, **options: Any) -> IntegerProjection:
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    return IntegerProjection(f"{a}->{b}", a, b, Pattern("dense"), mantissa, 1, "mixed", 8, 0, np.array(0), **options)


def network(populations: list[IntegerPopulation], *projections: IntegerProjection, ticks: int = 3) -> IntegerNetwork:
    return IntegerNetwork("n", 1e-3, ticks, SPEC.number_format, {p.name: p for p in populations}, projections)


def chain() -> IntegerNetwork:
    """x (2) -> a (2) -> b (1): three connections (and a weight of 0), then one (and a weight of 0)."""
    populations = [population("x", (2,), "input"), population("a", (2,)), population("b", (1,))]
    return network(populations, dense("x", "a", [[20, 0], [6, 20]]), dense("a", "b", [[4, 0]]))


TRAIN = np.array([[[1, 1], [1, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]])
"""Two samples of three ticks of two neurons; the second is silent."""
SPIKES = {"x": TRAIN, "a": TRAIN, "b": np.zeros((2, 3, 1), int)}


def priced(net: IntegerNetwork, spikes: Spikes, **options: Any) -> Baselines:
    return baselines_of(net, Worked(net).of(spikes), options.pop("currents", {}), options.pop("encoders", {}), **options)


def convention(found: Baselines, name: str) -> Convention:
    return next(c for c in found.conventions if c.name == name)


def pj(interval: Interval | None) -> list[float]:
    assert interval is not None
    return [value / PJ for value in (interval.low, interval.nominal, interval.high)]


def test_work_by_hand() -> None:
    """x[0] reaches both neurons and spikes twice, x[1] one, once: 5; a[0] reaches b and spikes twice: 2."""
    work = Worked(chain()).of(SPIKES)
    first, second = work.layers["x->a"], work.layers["a->b"]
    assert (first.events.tolist(), first.sops.tolist(), first.macs.tolist(), first.connections) == ([3, 0], [5, 0], [0, 0], 3)
    assert (second.events.tolist(), second.sops.tolist(), second.connections) == ([3, 0], [2, 0], 1)
    assert {name: spikes.tolist() for name, spikes in work.spikes.items()} == {"x": [3, 0], "a": [3, 0], "b": [0, 0]}


def test_work_of_parts_is_the_work_of_all() -> None:
    rng = np.random.default_rng(1)
    spikes = {"x": rng.integers(-1, 3, (5, 3, 2)), "a": rng.integers(0, 2, (5, 3, 2)), "b": rng.integers(0, 2, (5, 3, 1))}
    worked = Worked(chain())
    whole = worked.of(spikes)
    parts = Work.merged([worked.of({name: v[part] for name, v in spikes.items()}) for part in (slice(2), slice(2, 5))])
    assert parts.samples == whole.samples == 5
    for name, layer in whole.layers.items():
        for key in ("events", "sops", "macs"):
            assert np.array_equal(getattr(parts.layers[name], key), getattr(layer, key))
        assert (parts.layers[name].smallest, parts.layers[name].largest) == (layer.smallest, layer.largest)
    assert whole.layers["x->a"].macs.sum() > 0


def test_what_arrives_after_the_last_tick_is_no_operation() -> None:
    """x[0] spikes in ticks 0 and 1, x[1] in tick 0; x[0] -> a[0] takes no tick, x[0] -> a[1] two, x[1] -> a[1] three of 3."""
    net = chain()
    late = replace(net.projections[0], delay=np.array([[0, 0], [2, 3]]))
    work = Worked(replace(net, projections=(late, net.projections[1]))).of(SPIKES)
    layer = work.layers["x->a"]
    assert (layer.events.tolist(), layer.sops.tolist(), layer.connections) == ([3, 0], [2 + 1, 0], 3)
    late = replace(net.projections[0], delay=np.array(2))
    assert Worked(replace(net, projections=(late,))).of(SPIKES).layers["x->a"].sops.tolist() == [2 + 1, 0]


def test_papers_by_hand() -> None:
    """3.5 ACs of 0.9 pJ on average of both samples; 4 MACs of 4.6 pJ; both cost the same at 4.6 / 0.9 spikes per synapse."""
    found = convention(priced(chain(), SPIKES), "papers")
    assert [pj(row.snn) for row in found.rows] == [pytest.approx([2.5 * 0.9] * 3), pytest.approx([1.0 * 0.9] * 3)]
    assert pj(found.total.snn) == pytest.approx([3.5 * 0.9] * 3)
    assert pj(found.total.others["ann"]) == pytest.approx([4 * 4.6] * 3)
    assert found.total.others["qann"] is None
    assert (found.rows[0].spikes_per_synapse, found.total.spikes_per_synapse) == (2.5 / 3, 3.5 / 4)
    for row in (*found.rows, found.total):
        crossover = row.crossover("ann")
        assert crossover is not None
        assert crossover.nominal == pytest.approx(4.6 / 0.9)
        assert (row.wins("ann"), row.wins("qann"), row.crossover("qann")) == (True, None, None)


def test_integers_by_hand() -> None:
    """AC 0.03 to 0.1 pJ; int8 MAC 0.2 more; three ticks are two bits: 0.2 x 16 / 64 = 0.05 more, at most 0.2."""
    baselines = priced(chain(), SPIKES)
    assert [x.activation_bits for x in baselines.layers] == [2, 2]
    found = convention(baselines, "integer")
    assert pj(found.total.snn) == pytest.approx([3.5 * 0.03, 3.5 * 0.1, 3.5 * 0.1])
    assert pj(found.total.others["ann"]) == pytest.approx([4 * 0.23, 4 * 0.3, 4 * 0.3])
    assert pj(found.total.others["qann"]) == pytest.approx([4 * 0.08, 4 * 0.15, 4 * 0.3])
    crossover = found.total.crossover("qann")
    assert crossover is not None
    assert (crossover.low, crossover.nominal, crossover.high) == pytest.approx((1.5, 1.5, 3.0))


def test_memory_by_hand() -> None:
    """All memories are small: 10 pJ an access; low: its share of 64 bits, of weights 8, potentials 24, events 1, bits 2."""
    first, second = convention(priced(chain(), SPIKES), "memory").rows
    # A sop: an addition, a weight, a potential read and written, two additions of addresses.
    sop = np.array([0.03 + 1.25 + 2 * 3.75 + 0.2, 0.1 + 10 + 20 + 0.2, 0.1 + 10 + 20 + 0.2])
    event = np.array([2 * 10 / 64 + 3.2, 20 + 3.2, 20 + 3.2])
    update = np.array([2 * 3.75 + 0.3, 20 + 3.1 + 0.3, 20 + 3.1 + 0.3])
    assert pj(first.fixed) == pytest.approx(list(2 * 3 * update))
    assert pj(first.variable) == pytest.approx(list(2.5 * sop + 1.5 * event))
    assert pj(second.snn) == pytest.approx(list(3 * update + 1.0 * sop + 1.5 * event))
    # A MAC: weight, activation, two addresses; two activations written; two neurons with 3 additions and a multiplication.
    mac = np.array([0.08 + 1.25 + 10 * 2 / 64 + 0.2, 0.15 + 20.2, 0.3 + 20.2])
    written = np.array([2 * 10 * 2 / 64, 20, 20])
    assert pj(first.others["qann"]) == pytest.approx(list(3 * mac + written + 2 * 3.4))
    assert pj(first.others["ann"])[1] == pytest.approx(3 * (0.3 + 20.2) + 20 + 2 * 3.4)
    assert (first.wins("ann"), first.crossover("ann")) == (False, Interval())


def test_a_loss_is_shown() -> None:
    """Every neuron spikes in every one of 16 ticks: 16 spikes per synapse, three times beyond the crossover of papers."""
    busy = {name: np.ones((1, 16, values.shape[2]), int) for name, values in SPIKES.items()}
    found = priced(replace(chain(), ticks=16), busy)
    assert [c.total.wins("ann") for c in found.conventions] == [False, False, False]
    document = found.as_json()
    assert document["conventions"]["papers"]["total"]["snn_costs_less_than"] == {"ann": False, "qann": None}
    assert document["layers"][0]["published"] == dict.fromkeys(THRESHOLDS, "above")
    assert document["conventions"]["papers"]["total"]["spikes_per_synapse"] == 16.0


@pytest.mark.parametrize("other", ["ann", "qann"])
def test_at_the_crossover_both_cost_the_same(other: str) -> None:
    """Spikes scaled to the crossover cost what the other network costs, where neurons do not cost more already."""
    rng = np.random.default_rng(5)
    net = network([population("x", (40,), "input"), population("a", (30,))], dense("x", "a", rng.integers(-9, 9, (30, 40)) * 2))
    found = priced(net, {"x": rng.random((4, 3, 40)) < 0.1, "a": np.zeros((4, 3, 30), int)})
    for c in found.conventions:
        row = c.rows[0]
        crossover = row.crossover(other)
        if crossover is None:
            assert (c.name, other) == ("papers", "qann")
            continue
        assert row.spikes_per_synapse is not None
        assert crossover.nominal > 0
        scaled = row.fixed.nominal + row.variable.nominal * crossover.nominal / row.spikes_per_synapse
        cost = row.others[other]
        assert cost is not None
        assert scaled == pytest.approx(cost.nominal)
        assert row.wins(other) == (row.spikes_per_synapse < crossover.nominal)


def test_silent_layers_have_a_crossover_too() -> None:
    quiet = {name: values * 0 for name, values in SPIKES.items()}
    row = convention(priced(chain(), quiet), "papers").rows[0]
    assert (row.spikes_per_synapse, row.snn, row.wins("ann")) == (0.0, Interval(), True)
    crossover = row.crossover("ann")
    assert crossover is not None
    assert crossover.nominal == pytest.approx(4.6 / 0.9)


def test_sums_over_rows_are_the_totals() -> None:
    found = priced(chain(), SPIKES, encoders={"x": Operations(macs=7)})
    for c in found.conventions:
        for end in ("low", "nominal", "high"):
            assert getattr(c.total.snn, end) == pytest.approx(sum(getattr(row.snn, end) for row in c.rows))
            costs = [cost for row in c.rows if (cost := row.others["ann"]) is not None]
            assert len(costs) == len(c.rows)
            total = c.total.others["ann"]
            assert total is not None
            assert getattr(total, end) == pytest.approx(sum(getattr(cost, end) for cost in costs))


def test_encoders_multiply_in_fp32_and_for_the_spiking_network_alone() -> None:
    for c in priced(chain(), SPIKES, encoders={"x": Operations(macs=7)}).conventions:
        row = c.rows[-1]
        assert (row.name, row.kind, row.spikes_per_synapse) == ("x", "encoder", None)
        assert pj(row.snn) == pytest.approx([7 * 4.6] * 3)
        assert row.others["ann"] == Interval()


def test_a_convolution_costs_what_the_same_connections_cost() -> None:
    """Apart from its weights' memory, which holds the kernel alone; here both are as small as memories get."""
    options = {"kernel": (3,), "stride": (1,), "padding": (1,), "dilation": (1,), "groups": (1,)}
    kernel = np.array([[[3, 0, -2]], [[1, 4, 1]]], np.int8)
    x, a = population("x", (1, 6), "input"), population("a", (2, 6))
    conv = IntegerProjection("x->a", "x", "a", Pattern("conv1d", {}, options), kernel, 1, "mixed", 8, 0, np.array(1))
    pattern, weights = expanded(conv.pattern, kernel, x.shape, a.shape)
    full = np.zeros((12, 6), np.int8)
    full[pattern.arrays["targets"], pattern.arrays["sources"]] = weights
    rng = np.random.default_rng(2)
    spikes = {"x": rng.integers(0, 2, (3, 5, 6)), "a": rng.integers(0, 2, (3, 5, 12))}
    by_kernel, by_matrix = (
        priced(network([x, a], q, ticks=5), spikes) for q in (conv, replace(conv, pattern=Pattern("dense"), mantissa=full))
    )
    assert by_kernel.layers[0].connections == by_matrix.layers[0].connections == np.count_nonzero(full)
    assert by_kernel.layers[0].sops > 0
    for one, other in zip(by_kernel.conventions, by_matrix.conventions, strict=True):
        assert (one.rows, one.total) == (other.rows, other.total)
    net = network([x, a], conv, ticks=5)
    bench = neurobench_of(net, Worked(net).of(spikes))
    assert (bench.Dense, bench.connection_sparsity) == (5 * 2 * (3 * 6 - 2), round(1 / 6, 4))


def test_values_are_multiplied() -> None:
    """A 2 in the first tick of the first sample: a layer of MACs in papers; for NeuroBench that tick alone."""
    net = chain()
    net = replace(net, projections=(replace(net.projections[0], binary=False), net.projections[1]))
    graded = SPIKES | {"x": TRAIN * np.array([2, 1])}
    work = Worked(net).of(graded)
    assert (work.layers["x->a"].sops.tolist(), work.layers["x->a"].macs.tolist()) == ([5, 0], [5, 0])
    once = SPIKES | {"x": TRAIN + np.array([[[1, 0], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]])}
    assert Worked(net).of(once).layers["x->a"].macs.tolist() == [3, 0]
    bench = neurobench_of(net, Worked(net).of(once))
    assert (bench.Effective_MACs, bench.Effective_ACs) == (1.5, 2.0)
    found = priced(net, once)
    assert pj(convention(found, "papers").rows[0].snn) == pytest.approx([2.5 * 4.6] * 3)
    # Values 0, 1, 2 have two bits, three ticks of them 0 to 6, so three.
    assert (found.layers[0].value_bits, found.layers[0].activation_bits) == (2, 3)
    assert pj(convention(found, "integer").rows[0].snn)[1] == pytest.approx(2.5 * (0.2 * 16 / 64 + 0.1))


def test_signs_are_added() -> None:
    """-1, 0 and 1 are ACs, and three ticks of them tell 7 numbers apart: three bits."""
    net = network([population("t", (2,), "ternary"), population("b", (1,))], dense("t", "b", [[2, 4]], binary=False))
    found = priced(net, {"t": TRAIN * np.array([-1, 1]), "b": np.zeros((2, 3, 1), int)})
    assert (found.layers[0].is_mac, found.layers[0].activation_bits) == (False, 3)
    assert pj(convention(found, "papers").total.snn) == pytest.approx([1.5 * 0.9] * 3)


def test_a_cycle_is_repeated_in_every_tick() -> None:
    """a -> a is computed 3 times by the artificial network, of one bit each; x -> a and a -> b once."""
    net = chain()
    net = replace(net, projections=(*net.projections, dense("a", "a", [[2, 0], [0, 2]])))
    found = priced(net, SPIKES)
    assert {x.name: (x.passes, x.activation_bits) for x in found.layers} == {"x->a": (1, 2), "a->b": (1, 2), "a->a": (3, 1)}
    row = convention(found, "papers").rows[2]
    assert pj(row.others["ann"]) == pytest.approx([3 * 2 * 4.6] * 3)
    crossover = row.crossover("ann")
    assert crossover is not None
    assert crossover.nominal == pytest.approx(3 * 4.6 / 0.9)
    # The neurons of a are shared out: x -> a has 3 of their 5 connections.
    assert [x.share for x in found.layers] == [0.6, 1.0, 0.4]


def test_layers_of_the_host_are_dense_macs() -> None:
    current = HostCurrent(
        "i", "a", (2,), (HostProjection("analog->a", "analog", (5,), Pattern("dense"), np.ones((2, 5))),), np.array(1.0), 12, 7
    )
    net = chain()
    i = IntegerPopulation("i", (2,), "current", {})
    populations = [i, replace(net.populations["a"], current="i"), net.populations["b"]]
    net = network(populations, net.projections[1])
    found = priced(net, {"a": TRAIN, "b": np.zeros((2, 3, 1), int)}, currents={"i": current})
    host = found.layers[0]
    assert (host.name, host.on_host, host.connections, host.spikes_per_synapse, host.share) == (
        "analog->a",
        True,
        10,
        None,
        1.0,
    )
    for name in ("papers", "integer"):
        row = convention(found, name).rows[0]
        assert row.kind == "host layer"
        assert pj(row.snn) == pytest.approx([46.0] * 3)
    assert pj(convention(found, "integer").rows[0].others["qann"]) == pytest.approx([2.3, 3.0, 3.0])
    memory = convention(found, "memory").rows[0]
    # 10 MACs with two accesses and addresses, 5 activations written, 2 neurons; then 2 neurons updated in 3 ticks on the chip.
    assert pj(memory.snn)[1] == pytest.approx(10 * (4.6 + 20.2) + 50 + 2 * 3.4 + 6 * 23.4)
    assert found.as_json()["layers"][0]["published"] is None


def test_neurons_that_nothing_feeds_have_a_row() -> None:
    net = network([population("x", (2,), "input"), population("a", (2,))], dense("x", "a", [[0, 0], [0, 0]]))
    found = priced(net, {"x": TRAIN, "a": TRAIN})
    row = convention(found, "memory").rows[-1]
    assert row.kind == "neurons"
    assert pj(row.snn)[1] == pytest.approx(6 * 23.4)
    assert found.conventions[0].total.spikes_per_synapse is None
    assert found.as_json()["published"] is None


def test_memories() -> None:
    """Published at three sizes; between them a straight line in log-log; beyond them as at the ends."""
    prices = Prices(CONSTANTS)
    whole = [prices.access(size, 8).nominal / PJ for size in (1, 8 << 10, 16 << 10, 32 << 10, 1 << 20, 1 << 30)]
    assert whole == pytest.approx([10, 10, 10 * math.sqrt(2), 20, 100, 100])
    narrow = prices.access(1 << 20, 8)
    assert (narrow.low, narrow.high) == pytest.approx((narrow.nominal / 8, narrow.nominal))


def test_products_of_other_widths() -> None:
    """The rule gives what is published at 8 bits, and 3 % more than that at 32."""
    prices = Prices(CONSTANTS)
    assert pj(prices.mac(8, 8)) == pytest.approx([0.23, 0.3, 0.3])
    assert pytest.approx(CONSTANTS["int32_mul"].value / PJ, rel=0.05) == 0.2 * 32 * 32 / 64
    assert pj(prices.mac(8, 5)) == pytest.approx([0.2 * 40 / 64 + 0.03, 0.2 * 40 / 64 + 0.1, 0.3])


@pytest.mark.parametrize(("ticks", "bits"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (31, 5), (32, 6)])
def test_bits_that_tell_spike_counts_apart(ticks: int, bits: int) -> None:
    assert bits_for(ticks) == bits == math.ceil(math.log2(ticks + 1))


def rows_of(constants: Any) -> list[Row]:
    """Return rows in which every constant has a part."""
    prices = Prices(constants)
    layer = Layer(
        name="l", target="a", sources=9, targets=9, synapses=9, connections=9, weight_bits=8, stored_weights=200 << 10,
        passes=1, activation_bits=4, share=1.0, potential_bits=24, ticks=2, sops=5.0, events=2.0, smallest=0, largest=1,
    )  # fmt: skip
    return [make(x) for x in (layer, replace(layer, largest=3)) for make in (prices.papers, prices.integer, prices.memory)]


@pytest.mark.parametrize("name", CONSTANTS)
def test_every_constant_counts(name: str) -> None:
    changed = rows_of({**CONSTANTS, name: replace(CONSTANTS[name], value=CONSTANTS[name].value * 2)})
    assert any(a != b for a, b in zip(changed, rows_of(CONSTANTS), strict=True))


def test_constants_as_they_are_printed_in_papers() -> None:
    expected = {
        "fp32_add": 0.9, "fp32_mul": 3.7, "int8_add": 0.03, "int32_add": 0.1, "int8_mul": 0.2, "int32_mul": 3.1,
        "sram_8KB": 10, "sram_32KB": 20, "sram_1MB": 100,
    }  # fmt: skip
    assert {name: constant.value / PJ for name, constant in CONSTANTS.items()} == pytest.approx(expected)
    assert all((c.source, c.key, c.node) for c in CONSTANTS.values())


def test_published_thresholds() -> None:
    place = {name: [t.place(s, 10) for s in (0.1, 0.5, 0.6, 1.5, 2.0)] for name, t in THRESHOLDS.items()}
    assert place == {
        "dampfhoffer2023": ["below", "between", "between", "above", "above"],
        "davidson2021": ["below", "below", "below", "below", "above"],
        "yan2024": ["below", "below", "between", "above", "above"],
    }


# NeuroBench


def test_neurobench_by_hand() -> None:
    """7 ACs in two samples; 4 + 2 synapses in 3 ticks; 3 spikes in 18 places; 2 of 6 weights are 0."""
    net = chain()
    assert neurobench_of(net, Worked(net).of(SPIKES)).as_json() == {
        "Effective_MACs": 0.0,
        "Effective_ACs": 3.5,
        "Dense": 18.0,
        "activation_sparsity": 15 / 18,
        "connection_sparsity": 0.3333,
        "footprint": 6 + 2 * 7 * 4,
    }


def test_pools_are_no_layers_for_neurobench() -> None:
    options = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}
    one = np.array(1, np.int8)
    pool = IntegerProjection("x->a", "x", "a", Pattern("sumpool2d", {}, options), one, 1, "mixed", 8, 0, np.array(0))
    populations = [population("x", (1, 2, 2), "input"), population("a", (1, 1, 1)), population("b", (1,))]
    net = network(populations, pool, dense("a", "b", [[2]]))
    spikes = {"x": np.ones((1, 3, 4), int), "a": np.ones((1, 3, 1), int), "b": np.zeros((1, 3, 1), int)}
    bench = neurobench_of(net, Worked(net).of(spikes))
    assert (bench.Effective_ACs, bench.Dense, bench.connection_sparsity) == (3.0, 3.0, 0.0)
    assert priced(net, spikes).layers[0].sops == 12


def test_readouts_that_never_spike_are_no_activations() -> None:
    net = chain()
    net = replace(net, populations={**net.populations, "b": replace(net.populations["b"], fires=False)})
    assert neurobench_of(net, Worked(net).of(SPIKES)).activation_sparsity == 9 / 12


# Through the compiler


def outliers() -> tuple[Network, NDArray[Any]]:
    """Weights that need an exponent group, in front of a second layer, and a stimulus."""
    rng = np.random.default_rng(3)
    weights = rng.normal(0, 0.1, (20, 30))
    weights[rng.random(weights.shape) < 0.02] = 6.0
    weights[rng.random(weights.shape) < 0.3] = 0.0
    values = {"tau_mem": 0.01, "r": 1.0, "v_threshold": 1.0, "v_init": 0.0}
    neuron = Neuron("lif", {key: frozen(value, np.float64) for key, value in values.items()})
    populations = {
        "in": Population("in", (30,)),
        "mid": Population("mid", (20,), neuron),
        "out": Population("out", (4,), neuron),
    }
    projections = (
        Projection("in->mid", "in", "mid", Pattern("dense"), frozen(weights)),
        Projection("mid->out", "mid", "out", Pattern("dense"), frozen(rng.normal(0, 0.3, (4, 20)))),
    )
    return Network("outliers", 1e-3, 12, populations, projections), (rng.random((5, 12, 30)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize("engine", ["reference", "fast", "chip"])
def test_a_report_counts_in_the_time_of_the_user(engine: str) -> None:
    """What chips do after a sample's ticks is not in it; each operation is counted here one by one."""
    net, stimulus = outliers()
    compiled = neurocomp.compile(net, target="loihi")
    quantized = compiled.artifact.quantized
    assert quantized is not None
    integers = quantized.network
    assert any(q.group_of for q in integers.projections)
    report = compiled.report(inputs={"in": stimulus}, engine=engine)
    run = compiled.run("reference", inputs={"in": stimulus}, probe="all")
    expected = 0
    for source, target in (("in", "mid"), ("mid", "out")):
        connected = np.zeros((integers.populations[target].size, integers.populations[source].size), bool)
        for q in integers.projections:
            if (q.source, q.target) == (source, target):
                s = integers.synapses(q)
                connected[s.target, s.source] |= q.mantissa.ravel()[s.slot] != 0
        spikes = stimulus if source == "in" else run.arrays[f"spikes/{source}"]
        for sample, tick, neuron in np.argwhere(spikes):
            assert sample < 5
            assert tick < 12
            expected += int(connected[:, neuron].sum())
    document = report.as_json()
    assert document["neurobench"]["Effective_ACs"] == expected / 5
    assert document["neurobench"]["Dense"] == 12 * (600 + 80)
    assert sum(x["acs"] for x in document["baselines"]["layers"]) == pytest.approx(expected / 5)
    assert document["baselines"]["ticks"] == 12
    fired = sum(int(np.count_nonzero(run.arrays[f"spikes/{name}"])) for name in ("mid", "out"))
    assert document["neurobench"]["activation_sparsity"] == 1 - fired / (5 * 12 * 24)
