"""Lowering to Loihi: lags, exact starts, what is lossy, and what the chip's timing refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.errors import InternalError, Location
from neurocomp.hardware import read_spec
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, QuantizedNetwork
from neurocomp.models.patterns import Pattern
from neurocomp.passes.ranges import verdicts
from neurocomp_loihi.check import check_quantized
from neurocomp_loihi.lower import LoihiOptions, comparison_obstacle, early_start, lag_violations, lags, lower
from neurocomp_reference import ReferenceSimulator

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
LOIHI2 = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi2.yaml")
FORM = SPEC.number_format
INPUT = IntegerPopulation("x", (1,), "input", {})
LIMITS = {"accumulator": (1 << 15) - 1, "u": FORM.u_max - 1, "v": FORM.v_max}


def population(name: str, size: int = 1, *, fires: bool = True, **parameters: Any) -> IntegerPopulation:
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    arrays = {key: np.asarray(value, np.int64) for key, value in values.items()}
    return IntegerPopulation(name, (size,), "compartment", arrays, fires)


def dense(a: str, b: str, delay: Any = 0, weights: Any = ((20,),), exponent: int = 0) -> IntegerProjection:
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    return IntegerProjection(
        f"{a}->{b}", a, b, Pattern("dense"), mantissa, 1, "mixed", 8, exponent, np.asarray(delay, np.int64),
        origin=Location("net.yaml", 12, 5),
    )  # fmt: skip


def network(*projections: IntegerProjection, populations: Sequence[IntegerPopulation] = ()) -> IntegerNetwork:
    """Populations that only projections name have one neuron; x and y are inputs."""
    table = {p.name: p for p in populations}
    for q in projections:
        for name in (q.source, q.target):
            if name not in table:
                table[name] = IntegerPopulation(name, (1,), "input", {}) if name in "xy" else population(name)
    return IntegerNetwork("net", 1e-3, 8, FORM, table, projections)


def quantized(net: IntegerNetwork) -> QuantizedNetwork:
    return QuantizedNetwork(net, {}, verdicts(net, net.ticks, None, LIMITS)).verify()


# Lags


@pytest.mark.parametrize(
    ("projections", "expected"),
    [
        pytest.param([dense("x", "a")], {"x": 0, "a": 1}, id="one hop"),
        pytest.param([dense("x", "a"), dense("a", "b"), dense("b", "c")], {"x": 0, "a": 1, "b": 2, "c": 3}, id="chain"),
        pytest.param([dense("x", "a", 1), dense("a", "b", 1)], {"x": 0, "a": 0, "b": 0}, id="the user's delays suffice"),
        pytest.param([dense("x", "a"), dense("a", "b", 5)], {"x": 0, "a": 1, "b": 0}, id="a long delay needs no lag"),
        pytest.param([dense("x", "a"), dense("a", "b", 1)], {"x": 0, "a": 1, "b": 1}, id="a delay keeps the lag"),
        pytest.param(
            [dense("x", "a"), dense("a", "b"), dense("b", "c"), dense("x", "c")],
            {"x": 0, "a": 1, "b": 2, "c": 3},
            id="skip: the longest way counts",
        ),
        pytest.param([dense("x", "a"), dense("a", "a", 1)], {"x": 0, "a": 1}, id="recurrence"),
        pytest.param(
            [dense("x", "a"), dense("a", "b"), dense("b", "a", 2)], {"x": 0, "a": 1, "b": 2}, id="a cycle with just enough"
        ),
        pytest.param([dense("x", "a"), dense("y", "b"), dense("a", "b")], {"x": 0, "a": 1, "y": 0, "b": 2}, id="two inputs"),
    ],
)
def test_lags(projections: list[IntegerProjection], expected: dict[str, int]) -> None:
    net = network(*projections)
    assert lag_violations(net, SPEC) == []
    assert lags(net) == expected

    lowering = lower(quantized(net), SPEC)
    lowered = lowering.network.verify({q.name: q.delay for q in projections}, SPEC.limit("delay"))
    assert dict(lowered.lag) == expected
    for before, after in zip(projections, lowered.network.projections, strict=True):
        assert int(after.delay) == int(before.delay) + expected[before.target] - expected[before.source] >= 1


def test_the_smallest_delay_of_a_projection_decides() -> None:
    net = network(dense("x", "a", [[3], [0]], [[20], [20]]), populations=[INPUT, population("a", 2)])
    assert lags(net)["a"] == 1
    assert lower(quantized(net), SPEC).network.network.projections[0].delay.tolist() == [[4], [1]]


def test_a_projection_without_synapses_asks_for_no_lag() -> None:
    none = Pattern("sparse", {"sources": np.zeros(0, np.int64), "targets": np.zeros(0, np.int64)})
    empty = IntegerProjection("e", "a", "b", none, np.zeros(0, np.int8), 1, "mixed", 8, 0, np.zeros(0, np.int64))
    net = network(dense("x", "a"), dense("x", "b"), empty)
    assert lags(net) == {"x": 0, "a": 1, "b": 1}
    assert lag_violations(net, SPEC) == []


def test_notes_say_how_late() -> None:
    lowering = lower(quantized(network(dense("x", "a"), dense("a", "b"))), SPEC)
    assert lowering.notes == ("every hop takes a tick on the chip, so populations run late, in ticks: a +1, b +2",)


# What timing refuses


def test_a_cycle_that_is_too_short() -> None:
    violations = check_quantized(quantized(network(dense("x", "a"), dense("a", "b"), dense("b", "a", 1))), SPEC)
    assert [v.diagnostic().render() for v in violations] == [
        "net.yaml:12:5: error[NC0315 cycle-too-short]: the cycle a -> b -> a has 1 delay ticks for 2 hops; "
        "a hop takes 1 tick on loihi\n"
        "hint:  raise the delays along the cycle by 1 in total, for instance of 'b->a', "
        "or compile with --ticks-per-step 2"
    ]
    assert (violations[0].subject, violations[0].actual, violations[0].limit) == ("a", 1, 2)


def test_every_cycle_that_is_too_short() -> None:
    """Two parts of the network, each with such a cycle: both are named."""
    cycles = [dense("x", "a"), dense("a", "b"), dense("b", "a", 1), dense("y", "c"), dense("c", "d", 1), dense("d", "c", 0)]
    paths = [v.message.split(" has ")[0] for v in lag_violations(network(*cycles), SPEC)]
    assert paths == ["the cycle a -> b -> a", "the cycle c -> d -> c"]


def test_the_fastest_of_parallel_projections_is_named() -> None:
    slow, fast = dense("b", "a", 9), replace(dense("b", "a", 1), name="fast")
    (violation,) = lag_violations(network(dense("x", "a"), dense("a", "b"), slow, fast), SPEC)
    assert (
        violation.hint
        == "raise the delays along the cycle by 1 in total, for instance of 'fast', or compile with --ticks-per-step 2"
    )


def test_delays_that_a_synapse_cannot_store() -> None:
    """A synapse waits 62 ticks at most, and every hop takes one more."""
    assert lag_violations(network(dense("x", "a", 63)), SPEC) == []
    (violation,) = lag_violations(network(dense("x", "a", 64)), SPEC)
    assert violation.diagnostic().render() == (
        "net.yaml:12:5: error[NC0309 delay-limit]: projection 'x->a' needs synapses that wait 63 ticks "
        "(a delay of 64, less the tick that every hop takes); loihi stores 62\n"
        f"limit: {SPEC.limit_text('delay')}\n"
        "hint:  shorten the delay, or insert a relay population"
    )


def test_delays_that_the_lag_makes_too_long() -> None:
    chain = [dense("x", "a"), dense("a", "b"), dense("b", "c")]
    assert lag_violations(network(*chain, dense("x", "c", 60)), SPEC) == []
    (violation,) = lag_violations(network(*chain, dense("x", "c", 61)), SPEC)
    assert violation.message == (
        "projection 'x->c' needs synapses that wait 63 ticks "
        "(a delay of 61 and 3 for the lag, less the tick that every hop takes); loihi stores 62"
    )
    assert (violation.actual, violation.limit) == (63, 62)


# Early starts


def forward(p: IntegerPopulation, u: Any, v: Any, ticks: int) -> tuple[Any, Any, Any, bool]:
    """Run a population alone in the reference from (u, v); return its last state, spikes and whether it overflowed."""
    there = replace(p, parameters={**p.parameters, "u_init": np.asarray(u), "v_init": np.asarray(v)})
    trace = ReferenceSimulator().run(IntegerNetwork("n", 1e-3, ticks, FORM, {p.name: there}, ()), {})
    return trace.u[p.name][0, -1], trace.v[p.name][0, -1], trace.spikes[p.name][0], bool(trace.events)


@pytest.mark.parametrize("seed", range(60))
def test_early_start_is_exact(seed: int) -> None:
    """From the corrected state, exactly the neurons called exact arrive at the initial state without spike or overflow."""
    rng = np.random.default_rng(seed)
    n, lag = 12, int(rng.integers(1, 6))
    state = 10 ** int(rng.integers(1, 7))
    p = population(
        "a", n, du=rng.choice([0, 1, 400, 2000, 4095], n), dv=rng.choice([0, 1, 128, 2000, 4095], n),
        vth=rng.integers(0, 5000, n), bias_mant=rng.integers(-300, 300, n), bias_exp=rng.integers(0, 8, n),
        u_init=rng.integers(-state, state, n) * rng.integers(0, 2, n),
        v_init=rng.integers(-state, state, n) * rng.integers(0, 2),
    )  # fmt: skip
    start = early_start(p, lag, FORM)
    assert start.changed
    for neuron in np.flatnonzero(start.exact):
        one = replace(p, shape=(1,), parameters={key: p.values(key)[neuron : neuron + 1] for key in p.parameters})
        u, v, spikes, overflow = forward(one, start.u[neuron : neuron + 1], start.v[neuron : neuron + 1], lag)
        assert (u[0], v[0]) == (p.values("u_init")[neuron], p.values("v_init")[neuron])
        assert not spikes.any()
        assert not overflow


def test_early_start_by_hand() -> None:
    """Without leak a bias is taken off once per tick; with leak the smallest state that decays to it is found."""
    start = early_start(population("a", bias_mant=10, v_init=100), 3, FORM)
    assert (start.u.tolist(), start.v.tolist(), start.exact.tolist()) == ([0], [70], [True])
    # 90 * 2048 >> 12 = 45 needs 90; 90 needs 180.
    start = early_start(population("a", dv=2048, v_init=45), 2, FORM)
    assert start.v.tolist() == [180]


def test_early_start_that_cannot_be() -> None:
    """dv = 4095 keeps 1/4096, so 3000 would need a state beyond the range; a strong bias spikes on the way from anywhere."""
    assert early_start(population("a", dv=4095, v_init=3000), 1, FORM).exact.tolist() == [False]
    above = population("a", 2, vth=[1, 2], v_init=100)
    assert early_start(above, 1, FORM).exact.tolist() == [False, True]


def test_nothing_to_correct() -> None:
    assert not early_start(population("a"), 3, FORM).changed
    assert not early_start(population("a", bias_mant=5), 0, FORM).changed


def run_both(net: IntegerNetwork, ticks: int = 8) -> tuple[Any, Any, Any]:
    """Return the traces of the quantized and of the lowered network, and the lowered network."""
    rng = np.random.default_rng(1)
    stimulus = {p.name: (rng.random((2, ticks, p.size)) < 0.5).astype(np.int8) for p in net.populations.values() if p.is_input}
    lowered = lower(quantized(net), SPEC).network
    reference = ReferenceSimulator()
    return reference.run(net, stimulus), reference.run(lowered.network, stimulus, lag=lowered.lag).in_user_time(), lowered


def test_a_bias_starts_at_the_lag() -> None:
    net = network(dense("x", "a"), dense("a", "b"), populations=[INPUT, population("b", bias_mant=1500, dv=100)])
    logical, physical, lowered = run_both(net)
    assert not lowered.map["b"].lossy
    assert lowered.map["b"].reason == "starts 2 ticks early from a corrected state, exact"
    assert logical.spikes["b"].any()
    for register in ("spikes", "u", "v"):
        for name in ("a", "b"):
            tables = [getattr(trace, register)[name] for trace in (logical, physical)]
            assert np.array_equal(*tables), (register, name)


def cannot_start_early() -> IntegerNetwork:
    """The bias of one neuron of three of b alone passes its threshold in each tick, so it spikes before its time."""
    b = population("b", 3, bias_mant=[0, 4000, 10], vth=[10, 10, 10])
    net = network(dense("x", "b", 0, [[20]] * 3), dense("b", "c", 0, [[2, 2, 2]]), dense("x", "d"),
                  populations=[INPUT, b])  # fmt: skip
    return replace(net, populations={**net.populations, "b": replace(b, parameters={**b.parameters, "dv": np.array(4095)})})


def test_neurons_that_cannot_start_early_are_started_by_the_processor() -> None:
    """In the tick of their lag, from the state of the quantized network; nothing arrives before."""
    net = cannot_start_early()
    logical, physical, lowered = run_both(net)
    b = lowered.network.populations["b"]
    assert (b.start, lowered.lag["b"]) == (1, 1)
    assert b.parameters == net.populations["b"].parameters
    assert {name: p.start for name, p in lowered.network.populations.items()} == {"x": 0, "b": 1, "c": 0, "d": 0}
    assert "'b' is started by the processor in tick 1: 6 values per sample" in lowered.notes
    assert lowered.map["b"].reason == "started by the processor in tick 1, exact"
    assert lowered.reached_by_loss(8) == {}
    assert lowered.verify({q.name: q.delay for q in net.projections}, 62) is lowered
    assert logical.spikes["b"].all(axis=(0, 1)).tolist() == [False, True, False]
    for register in ("spikes", "u", "v"):
        for name in ("b", "c", "d"):
            tables = [getattr(trace, register)[name] for trace in (logical, physical)]
            assert np.array_equal(*tables), (register, name)


def test_what_starts_late_keeps_its_reset_schedule_and_current() -> None:
    current = IntegerPopulation("c", (2,), "current", {})
    b = replace(population("b", 2, bias_mant=4000, v_init=[9000, -500], vth=30), current="c", reset_interval=3, reset_offset=1)
    net = network(dense("x", "a"), dense("a", "b", 0, [[20]] * 2), populations=[INPUT, current, b])
    stimulus = {"x": np.ones((1, 8, 1), np.int64), "c": np.full((1, 8, 2), [300, -4100])}
    lowered = lower(quantized(net), SPEC).network
    assert (lowered.network.populations["b"].start, lowered.network.populations["b"].reset_offset) == (2, 3)
    logical = ReferenceSimulator().run(net, stimulus)
    physical = ReferenceSimulator().run(lowered.network, stimulus, lag=lowered.lag).in_user_time()
    assert logical.spikes["b"].any()
    for register in ("spikes", "u", "v"):
        assert np.array_equal(getattr(logical, register)["b"], getattr(physical, register)["b"])


def test_what_a_lowered_network_claims_of_starts() -> None:
    lowered = lower(quantized(cannot_start_early()), SPEC).network
    net = lowered.network
    early = replace(net, populations={**net.populations, "b": replace(net.populations["b"], start=2)})
    with pytest.raises(InternalError, match="'b' starts in tick 0 or in its lag"):
        replace(lowered, network=early).verify({}, 62)
    later = {**lowered.lag, "b": 2}
    started = replace(net.populations["b"], start=2)
    late = replace(net, populations={**net.populations, "b": started})
    with pytest.raises(InternalError, match="no spike of 'x->b' arrives before 'b' starts"):
        replace(lowered, network=late, lag=later).verify({}, 62)


def test_neurons_that_cannot_start_early_are_lossy_without_such_a_processor() -> None:
    net = cannot_start_early()
    without = replace(SPEC, native={axis: words for axis, words in SPEC.native.items() if axis != "periodic_reset"})
    lowering = lower(quantized(net), without)
    lowered = lowering.network
    reason = (
        "1 of 3 neurons cannot start 1 ticks early without a spike or a clip; "
        "delays that add up to 1 on the way to it need no early start"
    )
    assert {name: r.lossy for name, r in lowered.map.items()} == {"x": False, "b": True, "c": False, "d": False}
    assert lowered.reached_by_loss(8) == {"b": reason, "c": f"behind 'b': {reason}"}
    assert f"'b': {reason} (lossy)" in lowering.notes


# Readouts


def test_readouts_get_the_largest_threshold() -> None:
    net = network(
        dense("x", "r", 0, [[200]]),
        populations=[INPUT, population("r", fires=False, dv=100)],
    )
    logical, physical, lowered = run_both(net)
    r = lowered.network.populations["r"]
    assert r.fires
    assert r.values("vth").tolist() == [131071]
    assert not lowered.map["r"].lossy
    assert "'r' never spikes: its threshold is the largest, 131071" in lowered.notes
    assert np.array_equal(logical.v["r"], physical.v["r"])
    assert not physical.spikes["r"].any()


def test_readouts_that_may_reach_the_largest_threshold_are_lossy() -> None:
    """An integrator that 127 << 7 can drive past the threshold within the declared ticks."""

    def net(exponent: int) -> IntegerNetwork:
        readout = population("r", fires=False, dv=0, du=0)
        return network(dense("x", "r", 0, [[254]], exponent), populations=[INPUT, readout])

    proved = lower(quantized(net(0)), SPEC).network
    assert (proved.map["r"].lossy, proved.map["r"].exact_ticks) == (False, 8)
    assert proved.reached_by_loss(8) == {}
    assert proved.reached_by_loss(9) == {"r": "'r' is proved exact for 8 ticks only"}
    lossy = lower(quantized(net(7)), SPEC).network.map["r"]
    assert lossy.lossy
    assert lossy.reason == "its potential is not proved to stay below the largest threshold, at which the chip spikes"


def test_the_threshold_of_a_native_readout_does_not_matter_to_its_start() -> None:
    """A readout never spikes, so a low threshold in the file cannot make its early start lossy."""
    readout = population("r", fires=False, vth=0, dv=100, bias_mant=50, v_init=2000)
    net = network(dense("x", "r"), populations=[INPUT, readout])
    logical, physical, lowered = run_both(net)
    assert not lowered.map["r"].lossy
    assert np.array_equal(logical.v["r"], physical.v["r"])


# Comparisons


def at_least(**parameters: Any) -> IntegerPopulation:
    """Two neurons that compare with ``>=``; their input is not leaky."""
    return replace(population("a", 2, **({"vth": [40, 60]} | parameters)), compare=">=")


def fed(a: IntegerPopulation, exponent: int = 0) -> QuantizedNetwork:
    return quantized(network(dense("x", "a", 0, [[20], [-20]], exponent), populations=[INPUT, a]))


def test_at_least_is_above_the_next_lower_threshold() -> None:
    """Potentials on the threshold itself decide: 20 << 6 per spike, thresholds 40 << 6 and 20 << 6 with a bias of -20 << 6."""
    net = fed(at_least(vth=[40, 20], bias_mant=[0, 20], bias_exp=[0, 6]))
    lowered = lower(net, SPEC).network
    a = lowered.network.populations["a"]
    assert (a.compare, a.values("vth").tolist()) == (">", [39, 19])
    assert (lowered.map["a"].lossy, lowered.map["a"].exact_ticks) == (False, 8)
    kept = "'>=' becomes '>' with the next lower threshold, exact: its potential moves in steps of thresholds"
    assert f"'a': {kept}" in lowered.notes

    spikes = np.array([[[1], [1], [0], [1], [1], [0], [1], [1]]], np.int8)
    trace = ReferenceSimulator().run(lowered.network, {"x": spikes}, lag=lowered.lag).in_user_time()
    v, expected = np.zeros(2, np.int64), []
    for x in spikes[0, :, 0]:
        v = v + 64 * (np.array([20, -20]) * x + [0, 20])
        fires = v >= 64 * np.array([40, 20])
        v = np.where(fires, 0, v)
        expected.append(fires)
    assert np.array_equal(trace.spikes["a"][0], expected)
    assert (v == 0).any()  # the potential met the threshold exactly, where the two comparisons differ
    assert np.array(expected).sum() == 5


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"vth": [0, 1]}, "a threshold of 0 has none below"),
        ({"vth": 1}, None),
        ({"du": 4094}, "its current decays (du 4094)"),
        ({"du": [4095, 0]}, "its current decays (du 0)"),
        ({"dv": [0, 1]}, "its potential leaks (dv 1)"),
        ({"bias_mant": [64, -128]}, None),
        ({"bias_mant": [64, 96]}, "its bias, 96, is no multiple of 64"),
        ({"bias_mant": 3, "bias_exp": 6}, None),
        ({"bias_mant": 3, "bias_exp": 5}, "its bias, 96, is no multiple of 64"),
        ({"v_init": [-64, 640]}, None),
        ({"v_init": [64, 1]}, "its start of v, 1, is no multiple of 64"),
        ({"u_init": 1}, None),  # a current without memory is gone in the first tick
        ({"reset": "subtract"}, "the threshold is also what its reset takes off"),
        ({"current": "c"}, "the current 'c' may have any value"),
        ({"v_init": 8388544}, "its potential is not proved not to clip"),
    ],
)
def test_where_at_least_has_no_counterpart(changes: dict[str, Any], obstacle: str | None) -> None:
    fields = {key: changes.pop(key) for key in ("reset", "current") if key in changes}
    a = replace(at_least(**changes), **fields)
    populations = [INPUT, a, IntegerPopulation("c", (2,), "current", {})]
    weights = dense("x", "a", 0, [[20], [-20]], 7 if "v_init" in changes and np.max(changes["v_init"]) > 8e6 else 0)
    net = quantized(network(weights, populations=populations))
    assert comparison_obstacle(a, net) == obstacle
    found = check_quantized(net, SPEC)
    if obstacle is None:
        assert found == []
        assert lower(net, SPEC).network.network.populations["a"].compare == ">"
        return
    assert [v.diagnostic().render() for v in found] == [
        "error[NC0302 comparison]: population 'a' compares with '>=', and no threshold of '>' gives the same spikes: "
        f"{obstacle}\n"
        "hint:  --compare gt takes '>' in its place and measures what that changes"
    ]
    taken = LoihiOptions(compare="gt")
    assert check_quantized(net, SPEC, taken) == []
    lowered = lower(net, SPEC, taken).network
    assert (lowered.map["a"].lossy, lowered.map["a"].reason) == (True, f"'>' is taken for '>=', as {obstacle}")
    after = lowered.network.populations["a"]
    assert (after.compare, after.values("vth").tolist()) == (">", a.values("vth").tolist())


def test_a_leak_that_clears_the_potential() -> None:
    """With dv 4095 a potential below 4096 is gone within a tick, so it moves in steps of thresholds after all."""
    small = replace(population("a", vth=10, dv=4095), compare=">=")
    assert comparison_obstacle(small, quantized(network(dense("x", "a"), populations=[INPUT, small]))) is None
    large = quantized(network(dense("x", "a", 0, [[64]]), populations=[INPUT, small]))
    assert comparison_obstacle(small, large) == "its potential leaks (dv 4095)"


def test_a_format_without_shift_has_no_potential_between_thresholds() -> None:
    form = replace(FORM, state_shift=0)
    a = replace(population("a", dv=100, du=100, bias_mant=3), compare=">=")
    net = replace(network(dense("x", "a"), populations=[INPUT, a]), number_format=form)
    assert comparison_obstacle(a, quantized(net)) is None


# Resets, refractory periods, currents, values of spikes


def test_subtraction_takes_a_second_compartment() -> None:
    a = replace(population("a", 3), reset="subtract")
    net = quantized(network(dense("x", "a", 0, [[20]] * 3), populations=[INPUT, a]))
    lowering = lower(net, SPEC)
    assert (lowering.network.network.populations["a"].compartments, lowering.network.map["a"].lossy) == (2, False)
    price = "'a': reset by subtraction takes a second compartment per neuron, 6 compartments for 3 neurons"
    assert lowering.notes[1] == price
    native = lower(net, LOIHI2)
    assert native.network.network.populations["a"].compartments == 1
    assert len(native.notes) == 1


def test_refractory_periods_pass_through() -> None:
    a = replace(population("a"), refractory=5)
    lowered = lower(quantized(network(dense("x", "a"), populations=[INPUT, a])), SPEC).network
    assert lowered.network.populations["a"].refractory == 5


def test_a_periodic_reset_moves_by_the_lag() -> None:
    b = replace(population("b", bias_mant=700, dv=100, vth=40), reset_interval=5, reset_offset=1)
    net = network(dense("x", "a"), dense("a", "b"), populations=[INPUT, b])
    logical, physical, lowered = run_both(net)
    after = lowered.network.populations["b"]
    assert (after.reset_interval, after.reset_offset, lowered.lag["b"]) == (5, 3, 2)
    assert not lowered.map["b"].lossy
    for register in ("spikes", "u", "v"):
        assert np.array_equal(getattr(logical, register)["b"], getattr(physical, register)["b"]), register


def test_a_reset_in_the_first_tick_forgives_the_start() -> None:
    """The state before the reset does not matter as long as nothing spikes: no inverse is needed."""
    strong: dict[str, Any] = {"bias_mant": 4000, "vth": 100, "dv": 1, "v_init": 6000}
    assert early_start(population("b", **strong), 2, FORM).exact.tolist() == [True]
    lossy: dict[str, Any] = {"bias_mant": 0, "vth": 100, "dv": 2048, "v_init": 6000}
    assert early_start(population("b", **lossy), 2, FORM).exact.tolist() == [False]
    cleared = replace(population("b", **lossy), reset_interval=9, reset_offset=2)
    start = early_start(cleared, 2, FORM)
    assert start.exact.tolist() == [True]
    _, _, spikes, overflow = forward(replace(cleared, reset_interval=None), start.u, start.v, 2)
    assert not spikes.any()
    assert not overflow


def test_a_current_needs_no_lag() -> None:
    """Chip ticks lag .. lag + ticks - 1 are the user's, so a population that only a current drives begins at once."""
    current = IntegerPopulation("c", (1,), "current", {})
    a = replace(population("a"), current="c")
    net = network(dense("a", "b"), populations=[current, a])
    lowered = lower(quantized(net), SPEC).network
    assert dict(lowered.lag) == {"c": 0, "a": 0, "b": 1}
    assert lowered.network.populations["c"] is current
    assert lowered.network.populations["a"].current == "c"


def test_a_current_that_the_chip_cannot_take() -> None:
    current = IntegerPopulation("c", (1,), "current", {})
    a = replace(population("a"), current="c", has_current=True)
    net = quantized(network(dense("a", "b"), populations=[current, a]))
    (violation,) = check_quantized(net, SPEC)
    assert violation.diagnostic().render() == (
        "error[NC0319 current]: population 'a' has a synaptic current of its own, into which 'c' cannot flow\n"
        "hint:  give it a model without synaptic current, such as lif; the host writes such currents beside the bias"
    )
    codes = [v.code for v in check_quantized(net, SPEC, LoihiOptions(ticks_per_step=2))]
    assert codes == ["NC0321", "NC0319"]


def ternary() -> QuantizedNetwork:
    a = population("a")
    a = replace(a, dynamics="ternary", parameters={**a.parameters, "vth_low": np.asarray(-100, np.int64)})
    sent = replace(dense("a", "b"), binary=False)
    return quantized(network(dense("x", "a"), sent, replace(dense("y", "b"), binary=False), populations=[INPUT, a]))


def test_extensions_are_refused_until_they_are_allowed() -> None:
    net = ternary()
    assert [v.diagnostic().render() for v in check_quantized(net, SPEC)] == [
        "error[NC0318 not-on-this-chip]: 'a' has spikes of -1; loihi has no neurons that send +1 and -1\n"
        "hint:  --allow-extension ternary simulates it; every result is then marked as not on this chip",
        "net.yaml:12:5: error[NC0318 not-on-this-chip]: the spikes of 'y->b' carry a value; "
        "loihi has no spikes that carry a value\n"
        "hint:  --allow-extension graded simulates it; every result is then marked as not on this chip",
    ]
    allowed = LoihiOptions(extensions=("graded", "ternary"))
    assert check_quantized(net, SPEC, allowed) == []
    lowered = lower(net, SPEC, allowed).network
    assert lowered.extensions == ("graded", "ternary")
    assert lowered.notes[-2:] == (
        "not on loihi: graded, spikes that carry a value",
        "not on loihi: ternary, neurons that send +1 and -1",
    )
    assert check_quantized(net, LOIHI2) == []
    assert lower(net, LOIHI2).network.extensions == ()
    none = replace(SPEC, extensions=())
    assert {v.hint for v in check_quantized(net, none)} == {"use a target that has them ('neurocomp targets')"}


def test_an_allowed_extension_that_is_not_used_is_not_named() -> None:
    allowed = LoihiOptions(extensions=("graded", "ternary"))
    assert lower(quantized(network(dense("x", "a"))), SPEC, allowed).network.extensions == ()


def test_a_ternary_start_must_not_send_minus_one() -> None:
    a = population("a", bias_mant=0, dv=2048, v_init=-90 << 6)
    below = replace(a, dynamics="ternary", parameters={**a.parameters, "vth_low": np.asarray(-100, np.int64)})
    assert early_start(a, 2, FORM).exact.tolist() == [True]
    assert early_start(below, 2, FORM).exact.tolist() == [False]


def test_everything_that_timing_and_comparison_refuse_comes_together() -> None:
    a = replace(population("a", dv=3), compare=">=")
    net = network(dense("x", "a"), dense("a", "b"), replace(dense("b", "a", 1), binary=False), populations=[INPUT, a])
    assert [v.code for v in check_quantized(quantized(net), SPEC)] == ["NC0315", "NC0302", "NC0318"]
