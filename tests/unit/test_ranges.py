"""Verdicts are true: no stimulus, however bad, leaves a proved bound."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.hardware import read_spec
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, Verdict
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.passes.ranges import input_bounds, verdicts
from neurocomp_reference import ReferenceSimulator

FORM = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").number_format
LIMITS = {"accumulator": (1 << 15) - 1, "u": FORM.u_max - 1, "v": FORM.v_max}


def population(name: str, size: int = 1, *, fires: bool = True, **parameters: Any) -> IntegerPopulation:
    values = {"du": 4095, "dv": 0, "vth": 100, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    arrays = {key: np.asarray(value, np.int64) for key, value in values.items()}
    return IntegerPopulation(name, (size,), "compartment", arrays, fires)


def dense(a: str, b: str, weights: Any, exponent: int = 0, delay: Any = 0, name: str = "") -> IntegerProjection:
    mantissa = (np.asarray(weights) >> 1).astype(np.int8)
    delays = np.asarray(delay, np.int64)
    return IntegerProjection(name or f"{a}->{b}", a, b, Pattern("dense"), mantissa, 1, "mixed", 8, exponent, delays)


def network(n_inputs: int, p: IntegerPopulation, *projections: IntegerProjection, ticks: int = 8) -> IntegerNetwork:
    populations = {"x": IntegerPopulation("x", (n_inputs,), "input", {}), p.name: p}
    return IntegerNetwork("n", 1e-3, ticks, FORM, populations, projections)


def of(net: IntegerNetwork, observed: Trace | None = None) -> dict[str, Verdict]:
    return {v.register: v for v in verdicts(net, net.ticks, observed, LIMITS)}


def before_reset(net: IntegerNetwork, trace: Trace) -> Any:
    """The potential as it was compared with the threshold: traces hold it after the reset."""
    p = net.populations["a"]
    v, u = trace.v["a"].astype(np.int64), trace.u["a"].astype(np.int64)
    start = np.broadcast_to(p.values("v_init"), v[:, :1].shape)
    last = np.concatenate([start, v[:, :-1]], axis=1)
    kept = np.sign(last) * (np.abs(last) * (4096 - p.values("dv")) >> 12)
    return kept + u + (p.values("bias_mant") << p.values("bias_exp"))


def test_fan_in_counts_distinct_sources() -> None:
    """Two projections from one population bring each of its neurons once; synapses of weight 0 are there too."""
    pairs = Pattern("sparse", {"sources": np.array([0, 0, 3]), "targets": np.array([1, 1, 1])})
    sparse = IntegerProjection("s", "x", "a", pairs, np.zeros(3, np.int8), 1, "mixed", 8, 0, np.asarray(0))
    p = population("a", 2)
    assert network(4, p).fan_in("a").tolist() == [0, 0]
    assert network(4, p, sparse).fan_in("a").tolist() == [0, 2]
    loop = dense("a", "a", [[2, 2], [2, 2]], delay=1)
    assert network(4, p, sparse, dense("x", "a", np.zeros((2, 4), int)), loop).fan_in("a").tolist() == [6, 6]


def test_an_observed_potential_counts_its_start() -> None:
    """A spike of tick 0 hides the potential that made it; the bound still covers it."""
    p = population("a", dv=0, vth=0, v_init=[5000])
    net = network(1, p, dense("x", "a", [[2]]))
    trace = ReferenceSimulator().run(net, {"x": np.ones((1, 1, 1), np.int64)})
    assert trace.spikes["a"][0, 0, 0]
    limits = {**LIMITS, "v": 1}  # nothing is proved below it
    seen = {v.register: v for v in verdicts(net, 1, trace, limits)}["v"]
    assert (seen.kind, seen.bound) == ("observed", 5000 + 2 * 64)


# Bounds of the accumulator


def test_the_bound_is_the_larger_of_both_signs() -> None:
    """Not the sum of magnitudes: positive and negative weights cannot add up in one direction."""
    net = network(4, population("a", 2), dense("x", "a", [[10, -20, 30, -4], [2, 2, 0, -100]]))
    positive, negative = input_bounds(net, "a")
    assert (positive.tolist(), negative.tolist()) == ([40, 4], [24, 100])
    assert of(net)["accumulator"] == Verdict("a", "accumulator", "proved always", 100, 32767)


def test_projections_and_exponents_add_up() -> None:
    net = network(
        2, population("a"), dense("x", "a", [[6, -2]], 3), dense("x", "a", [[10, -8]], -1, 4, "late"),
        dense("a", "a", [[4]], 0, 1),
    )  # fmt: skip
    positive, negative = input_bounds(net, "a")
    assert (positive.tolist(), negative.tolist()) == ([48 + 5 + 4], [16 + 4])


def test_synapses_of_one_pair_count_each() -> None:
    pattern = Pattern("sparse", {"sources": np.array([0, 0, 1]), "targets": np.array([1, 1, 0])})
    sparse = IntegerProjection("p", "x", "a", pattern, np.array([5, 7, -9], np.int8), 1, "mixed", 8, 0, np.array(0))
    positive, negative = input_bounds(network(2, population("a", 2), sparse), "a")
    assert (positive.tolist(), negative.tolist()) == ([0, 24], [18, 0])


def test_a_population_without_synapses_stays_at_rest() -> None:
    found = of(network(1, population("a", v_init=-500)))
    assert {key: (v.kind, v.bound) for key, v in found.items()} == {
        "accumulator": ("proved always", 0),
        "u": ("proved always", 0),
        "v": ("proved always", 6400),
    }


# By brute force


@pytest.mark.parametrize("seed", range(25))
def test_no_stimulus_of_four_ticks_leaves_the_bounds(seed: int) -> None:
    """Every one of the 2**(2 inputs x 4 ticks) stimuli: nothing exceeds a bound, and the accumulator's is reached."""
    rng = np.random.default_rng(seed)
    ticks, fires = 4, bool(seed % 3)
    p = population(
        "a", 3, fires=fires, du=rng.choice([0, 1, 409, 4095], 3), dv=rng.choice([0, 1, 128, 4095], 3),
        vth=rng.integers(0, 400, 3) if fires else FORM.threshold_max, bias_mant=rng.integers(-200, 200, 3),
        bias_exp=rng.integers(0, 4, 3), u_init=rng.integers(-900, 900, 3), v_init=rng.integers(-900, 900, 3),
    )  # fmt: skip
    q = dense("x", "a", rng.integers(-100, 100, (3, 2)) * 2, int(rng.integers(0, 3)))
    net = network(2, p, q, ticks=ticks)
    stimuli = np.array(list(product((0, 1), repeat=2 * ticks)), np.int8).reshape(-1, ticks, 2)
    trace = ReferenceSimulator().run(net, {"x": stimuli})
    found = of(net)
    assert all(v.proved for v in found.values())
    assert int(np.abs(trace.u["a"]).max()) <= found["u"].bound
    assert int(np.abs(before_reset(net, trace)).max()) <= found["v"].bound
    sums = (stimuli.astype(np.int64) @ q.weights.T) << q.exponent
    assert int(np.abs(sums).max()) == found["accumulator"].bound


@pytest.mark.parametrize("seed", range(20))
def test_proved_always_holds_for_2000_ticks(seed: int) -> None:
    """Adversaries: always the inputs that push up, those that push down, both in turns, and noise."""
    rng = np.random.default_rng(seed)
    ticks, n = 2000, 6
    p = population(
        "a", 4, fires=bool(seed % 2), du=rng.choice([1, 40, 409, 4095], 4), dv=rng.choice([1, 12, 409, 4095], 4),
        vth=rng.integers(0, 5000, 4) if seed % 2 else FORM.threshold_max, bias_mant=rng.integers(-100, 100, 4),
        u_init=rng.integers(-9000, 9000, 4), v_init=rng.integers(-9000, 9000, 4),
    )  # fmt: skip
    q = dense("x", "a", rng.integers(-12, 12, (4, n)) * 2)
    net = network(n, p, q, ticks=3)
    found = {register: v for register, v in of(net).items() if v.kind == "proved always"}
    assert "accumulator" in found
    patterns = []
    for neuron in range(4):
        up, down = q.weights[neuron] > 0, q.weights[neuron] < 0
        turns = np.where((np.arange(ticks) // 100 % 2 == 0)[:, None], up, down)
        patterns += [np.tile(up, (ticks, 1)), np.tile(down, (ticks, 1)), turns]
    patterns.append(rng.random((ticks, n)) < 0.5)
    trace = ReferenceSimulator().run(net, {"x": np.array(patterns).astype(np.int8)})
    if "u" in found:
        assert int(np.abs(trace.u["a"]).max()) <= found["u"].bound
    if "v" in found:
        assert int(np.abs(before_reset(net, trace)).max()) <= found["v"].bound
        assert trace.events == ()


def test_proved_always_is_not_far_from_what_can_happen() -> None:
    """The bound of a leaky state under a constant push: floor rounding leaves it a little below."""
    net = network(1, population("a", fires=False, vth=FORM.threshold_max, du=409, dv=409), dense("x", "a", [[20]]))
    found = of(net)
    trace = ReferenceSimulator().run(net, {"x": np.ones((1, 500, 1), np.int8)})
    for register in ("u", "v"):
        reached = int(np.abs(getattr(trace, register)["a"]).max())
        assert found[register].kind == "proved always"
        assert 0.97 * found[register].bound <= reached <= found[register].bound


# Kinds of verdicts


def test_an_integrator_is_proved_for_its_ticks_alone() -> None:
    """v grows by 20 << 6 each tick: 8 ticks are proved, exactly."""
    readout = population("a", fires=False, vth=FORM.threshold_max)
    found = of(network(1, readout, dense("x", "a", [[20]]), ticks=8))
    assert found["v"] == Verdict("a", "v", "proved for T ticks", 8 * 20 * 64, FORM.threshold_max << 6, 8)
    assert found["u"] == Verdict("a", "u", "proved always", 20 * 64, FORM.u_max - 1)


def test_an_integrator_that_can_reach_its_limit_is_observed() -> None:
    """131071 << 6 is reached after 6554 ticks of 20 << 6."""
    readout = population("a", fires=False, vth=FORM.threshold_max)
    assert of(network(1, readout, dense("x", "a", [[20]]), ticks=6553))["v"].kind == "proved for T ticks"
    net = network(1, readout, dense("x", "a", [[20]]), ticks=6554)
    assert of(net)["v"] == Verdict("a", "v", "observed", 0, FORM.threshold_max << 6)
    trace = ReferenceSimulator().run(net, {"x": np.ones((3, 10, 1), np.int8)})
    assert of(net, trace)["v"] == Verdict("a", "v", "observed", 10 * 20 * 64, FORM.threshold_max << 6, samples=3)


def test_spiking_neurons_are_bounded_by_their_threshold() -> None:
    """Without leak an input pushes up for ever, but the reset comes: threshold + one input."""
    net = network(1, population("a", vth=100), dense("x", "a", [[20]]))
    assert of(net)["v"] == Verdict("a", "v", "proved always", 100 * 64 + 20 * 64, FORM.v_max)


def test_inhibition_without_leak_is_not_proved_always() -> None:
    found = of(network(1, population("a", vth=100), dense("x", "a", [[-20]]), ticks=10))
    assert found["v"] == Verdict("a", "v", "proved for T ticks", 10 * 20 * 64, FORM.v_max, 10)


def test_an_accumulator_that_can_overflow_is_observed() -> None:
    """130 synapses of 254: 33020 is more than 16 bits hold; on the data only 3 of them spike together."""
    net = network(130, population("a"), dense("x", "a", [[254] * 130]))
    stimulus = np.zeros((2, 5, 130), np.int8)
    stimulus[1, 2, :3] = 1
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert of(net, trace)["accumulator"] == Verdict("a", "accumulator", "observed", 3 * 254, 32767, samples=2)
    assert of(network(129, population("a"), dense("x", "a", [[254] * 129])))["accumulator"].kind == "proved always"


def test_the_observed_accumulator_counts_delays() -> None:
    """Spikes of tick 0 and 1 meet where delays of 1 and 0 bring them together."""
    weights = [[254, 254, *[254] * 128]]
    net = network(130, population("a"), dense("x", "a", weights, 0, [[1, 0, *[0] * 128]]))
    stimulus = np.zeros((1, 4, 130), np.int8)
    stimulus[0, 0, 0] = stimulus[0, 1, 1] = 1
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert of(net, trace)["accumulator"].bound == 508
    stimulus[0, 0, 0], stimulus[0, 1, 0] = 0, 1
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert of(net, trace)["accumulator"].bound == 254


def test_the_observed_potential_counts_what_the_reset_hides() -> None:
    """v is 0 in the trace after a spike; what the neuron held before is bounded by last v + u + bias."""
    net = network(
        150, population("a", vth=20, v_init=0, dv=0, du=0), dense("x", "a", [[254] * 130 + [-254] * 20], 7), ticks=4000
    )
    stimulus = np.zeros((1, 3, 150), np.int8)
    stimulus[0, 1, :2] = 1
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert trace.spikes["a"][0, :, 0].tolist() == [0, 1, 1]
    found = of(net, trace)["v"]
    assert found.kind == "observed"
    assert found.bound >= int(np.abs(before_reset(net, trace)).max()) > int(np.abs(trace.v["a"]).max())


# Resets, pauses, signs and values, by brute force


def dynamic(seed: int, ticks: int) -> tuple[IntegerNetwork, Any]:
    """A network of every kind of reset, with pauses, periodic resets, both signs, pools; and stimuli that push hard."""
    rng = np.random.default_rng(seed)
    ternary = seed % 3 == 0
    values: dict[str, Any] = {
        "du": rng.choice([0, 409, 4095], 3), "dv": rng.choice([0, 1, 409, 4095], 3), "vth": rng.integers(0, 300, 3),
        "bias_mant": rng.integers(-300, 300, 3), "u_init": rng.integers(-900, 900, 3), "v_init": rng.integers(-9000, 9000, 3),
    }  # fmt: skip
    if ternary:
        values["vth_low"] = -rng.integers(0, 300, 3)
    p = replace(
        population("a", 3, **values),
        dynamics="ternary" if ternary else "compartment",
        reset=("zero", "subtract", "none")[int(rng.integers(3))],
        compare=">" if ternary else (">", ">=")[int(rng.integers(2))],
        refractory=int(rng.choice([0, 0, 1, 3])),
        reset_interval=[None, 5][int(rng.integers(2))],
    )
    into = dense("x", "a", rng.integers(-60, 60, (3, 2)) * 2, int(rng.integers(0, 3)))
    loop = replace(dense("a", "a", rng.integers(-60, 60, (3, 3)) * 2, 0, 1), binary=not ternary)
    net = network(2, p, into, loop, ticks=ticks)
    steady = [np.broadcast_to(pattern, (ticks, 2)) for pattern in product((0, 1), repeat=2)]
    stimuli = np.array([*steady, *(rng.random((40, ticks, 2)) < rng.random((40, 1, 1)))]).astype(np.int8)
    return net, stimuli


@pytest.mark.parametrize("seed", range(60))
def test_no_reset_leaves_the_bounds(seed: int) -> None:
    """What a neuron held before its reset is found again from what the reset did; the bounds hold for it."""
    ticks = 12
    net, stimuli = dynamic(seed, ticks)
    trace = ReferenceSimulator().run(net, {"x": stimuli})
    found = of(net)
    assert all(v.proved for v in found.values())
    p, spikes = net.populations["a"], trace.spikes["a"].astype(np.int64)
    assert int(np.abs(trace.u["a"]).max()) <= found["u"].bound
    v = trace.v["a"].astype(np.int64)
    if p.reset == "subtract":
        low = p.values("vth_low") if p.dynamics == "ternary" else 0
        v = v + (np.where(spikes > 0, p.values("vth"), np.where(spikes < 0, low, 0)) << 6)
    assert int(np.abs(v).max()) <= found["v"].bound
    if p.reset == "zero" and not p.refractory and p.reset_interval is None:
        assert int(np.abs(before_reset(net, trace)).max()) <= found["v"].bound
    sent = np.concatenate([np.zeros_like(spikes[:, :1]), spikes[:, :-1]], axis=1)
    sent = sent if p.dynamics == "ternary" else (sent != 0).astype(np.int64)
    sums = [
        (values @ q.weights.T) << q.exponent
        for q, values in zip(net.projections, (stimuli.astype(np.int64), sent), strict=True)
    ]
    assert int(np.abs(sum(sums)).max()) <= found["accumulator"].bound


def test_both_signs_count_both_ways() -> None:
    """A source that sends -1 too can add the magnitudes of all weights in either direction."""
    source = replace(population("s", 2, vth_low=-100), dynamics="ternary")
    target = population("a")
    q = replace(dense("s", "a", [[10, -4]]), binary=False)
    net = IntegerNetwork("n", 1e-3, 8, FORM, {"s": source, "a": target}, (q,))
    positive, negative = input_bounds(net, "a")
    assert (positive.tolist(), negative.tolist()) == ([14], [14])


def test_values_of_an_input_are_not_bounded() -> None:
    """How large a graded input is, nothing says: what arrives is observed; without weights there is nothing to see."""
    net = network(2, population("a"), replace(dense("x", "a", [[10, -4]]), binary=False))
    found = of(net)
    assert {register: v.kind for register, v in found.items()} == dict.fromkeys(("accumulator", "u", "v"), "observed")
    stimulus = np.zeros((1, 4, 2), np.int64)
    stimulus[0, 1] = [7, 3]
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert of(net, trace)["accumulator"] == Verdict("a", "accumulator", "observed", 58, 32767, samples=1)
    silent = network(2, population("a"), replace(dense("x", "a", [[0, 0]]), binary=False))
    assert of(silent)["accumulator"] == Verdict("a", "accumulator", "proved always", 0, 32767)


def test_the_observed_accumulator_counts_a_value_once_where_sources_are_binary() -> None:
    net = network(130, population("a"), dense("x", "a", [[254] * 130]))
    stimulus = np.zeros((1, 3, 130), np.int8)
    stimulus[0, 1, :2] = 5
    trace = ReferenceSimulator().run(net, {"x": stimulus})
    assert of(net, trace)["accumulator"].bound == 2 * 254


def test_a_current_of_each_sample_is_observed() -> None:
    """Its values are the data's: the potential is as far as the data shows."""
    p = replace(population("a", 1, vth=10, dv=0), current="i")
    populations = {"x": IntegerPopulation("x", (1,), "input", {}), "i": IntegerPopulation("i", (1,), "current", {}), "a": p}
    net = IntegerNetwork("n", 1e-3, 4, FORM, populations, (dense("x", "a", [[2]]),))
    stimulus = {"x": np.zeros((2, 4, 1), np.int64), "i": np.broadcast_to(np.array([[[900]], [[-500]]]), (2, 4, 1))}
    trace = ReferenceSimulator().run(net, stimulus)
    found = of(net, trace)
    assert (found["accumulator"].kind, found["u"].kind) == ("proved always", "proved always")
    assert found["v"].kind == "observed"
    assert found["v"].bound == 2000  # of the second sample; the first spikes at 900 in every tick
    assert of(net)["v"].kind == "observed"


def test_subtraction_leaves_a_residue() -> None:
    """Each tick adds 100 << 6 and a spike takes 10 << 6 off: 8 ticks are proved, with the residue of one more as margin."""
    net = network(1, replace(population("a", vth=10), reset="subtract"), dense("x", "a", [[100]]), ticks=8)
    found = of(net)["v"]
    assert found == Verdict("a", "v", "proved for T ticks", 640 + 8 * (6400 - 640) + 6400, FORM.v_max, 8)
    trace = ReferenceSimulator().run(net, {"x": np.ones((1, 8, 1), np.int8)})
    assert int(trace.v["a"][0, -1, 0]) + 640 == 8 * 6400 - 7 * 640
    assert of(network(1, replace(population("a", vth=100), reset="subtract"), dense("x", "a", [[100]])))["v"] == Verdict(
        "a", "v", "proved always", 2 * 6400, FORM.v_max
    )


def test_a_lower_threshold_bounds_from_below() -> None:
    """Inhibition without leak ends at the lower threshold, where -1 is sent."""
    p = replace(population("a", vth=100, vth_low=-30), dynamics="ternary")
    assert of(network(1, p, dense("x", "a", [[-200]])))["v"] == Verdict("a", "v", "proved always", 230 * 64, FORM.v_max)
