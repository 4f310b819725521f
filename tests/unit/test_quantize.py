"""Quantization: what real numbers become, how far they are off, and what is said about it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.errors import UnsupportedError
from neurocomp.hardware import read_spec
from neurocomp.ir.network import Decoder, NativeWeights, Network, Neuron, Population, Projection, frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerProjection, QuantizedNetwork
from neurocomp.models.neurons import NEURON_MODELS
from neurocomp.models.patterns import Pattern
from neurocomp.passes import quantize_plan
from neurocomp.passes.legalize import legalize
from neurocomp.passes.quantize import CLIP_OCTAVES, MIN_THRESHOLD, Quantization, quantize, sign_mode_of
from neurocomp.simulation import simulate
from neurocomp.testing.random_networks import random_network, random_real_network
from neurocomp_reference import ReferenceSimulator

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
FORM = SPEC.number_format


def neuron(model: str = "lif", **parameters: Any) -> Neuron:
    defaults = {"tau_mem": 0.02, "tau_syn": 0.005, "r": 1.0, "v_threshold": 1.0, "v_init": 0.0, "u_init": 0.0}
    values = {key: np.asarray((defaults | parameters)[key], np.float64) for key in NEURON_MODELS[model].parameters}
    return Neuron(model, values)


def dense(a: str, b: str, weights: Any, bias: Any = None, name: str = "", delay: int = 0) -> Projection:
    bias = None if bias is None else frozen(np.asarray(bias, np.float64))
    return Projection(name or f"{a}->{b}", a, b, Pattern("dense"), np.asarray(weights), bias, frozen(np.int64(delay)))


def network(neurons: Mapping[str, tuple[int, Neuron | None]], projections: Sequence[Projection], ticks: int = 16) -> Network:
    populations = {name: Population(name, (n,), made) for name, (n, made) in neurons.items()}
    return Network("net", 1e-3, ticks, populations, tuple(projections)).verify()


def one_layer(weights: Any, made: Neuron | None = None, bias: Any = None) -> Network:
    weights = np.asarray(weights)
    made = made or neuron()
    return network({"x": (weights.shape[1], None), "a": (weights.shape[0], made)}, [dense("x", "a", weights, bias)])


def quantized(net: Network, calibration: Any = None) -> Quantization:
    return quantize(net, FORM, ReferenceSimulator(), calibration)


def random_weights(seed: int, shape: tuple[int, int], spread: float = 0.3) -> Any:
    return np.random.default_rng(seed).normal(0, spread, shape)


def effective(result: QuantizedNetwork, index: int = 0) -> Any:
    """The real numbers that the integer weights of a dense projection of the user stand for, with its exponent groups."""
    q = [q for q in result.network.projections if q.group_of is None][index]
    integers = q.weights * 2.0**q.exponent
    for group in result.network.projections:
        if group.group_of == q.name:
            np.add.at(
                integers,
                (group.pattern.arrays["targets"], group.pattern.arrays["sources"]),
                group.weights * 2.0**group.exponent,
            )
    scale = result.scales[q.target]
    if any(row[0] == "neuron scales" for row in scale.rows):  # of neurons that have one threshold
        vth = result.network.populations[q.target].values("vth")
        integers = integers / (vth / scale.scale)[:, None]
    return integers / scale.scale


# Integers of the chip pass unchanged


@pytest.mark.parametrize("seed", range(20))
def test_native_integers_pass_unchanged(seed: int) -> None:
    net, stimulus = random_network(seed)
    net = legalize(net)[0]
    for calibration in (None, stimulus):
        result = quantized(net, calibration).network
        for name, p in net.populations.items():
            if p.neuron is not None:
                assert set(result.network.populations[name].parameters) == set(p.neuron.parameters)
                for key, value in p.neuron.parameters.items():
                    assert np.array_equal(result.network.populations[name].parameters[key], value), (name, key)
        for before, after in zip(net.projections, result.network.projections, strict=True):
            assert before.native is not None
            assert np.array_equal(after.weights, before.weights)
            assert np.array_equal(after.delay, before.delay)
            assert (after.exponent, after.weight_bits) == (before.native.weight_exp, before.native.weight_bits)
            assert after.sign_mode == (before.native.sign_mode or sign_mode_of(before.weights))


def test_native_and_real_populations_in_one_network() -> None:
    integers = {"du": 4095, "dv": 128, "vth": 300, "bias_mant": 5, "bias_exp": 1, "u_init": 0, "v_init": 0}
    chip = Neuron("lif", {key: np.asarray(value) for key, value in integers.items()}, number_format="loihi")
    into = Projection("x->a", "x", "a", Pattern("dense"), np.array([[12, -8]]), native=NativeWeights(2))
    net = network({"x": (2, None), "a": (1, chip), "b": (1, neuron())}, [into, dense("a", "b", [[0.4]])])
    result = quantized(net).network.network
    assert {key: int(value) for key, value in result.populations["a"].parameters.items()} == integers
    assert result.projections[0].weights.tolist() == [[12, -8]]
    assert int(result.populations["b"].parameters["vth"]) >= MIN_THRESHOLD


# Real networks


@pytest.mark.parametrize("seed", range(30))
def test_weights_are_the_same_in_every_rounding_variant(seed: int) -> None:
    """Mixed weights are even and at most 254 in magnitude; exponents never shift bits away."""
    net, stimulus = random_real_network(seed)
    net = legalize(net)[0]
    for q in quantized(net, stimulus).network.network.projections:
        if not q.weights.size:
            continue
        assert 0 <= q.exponent <= FORM.weight_exp_max
        if q.sign_mode == "mixed":
            assert not (q.weights % 2).any()
            assert np.abs(q.weights).max() <= 254
        else:
            assert np.abs(q.weights).max() <= 255
            assert (q.weights >= 0).all() if q.sign_mode == "excitatory" else (q.weights <= 0).all()


def test_one_scale_for_weights_threshold_and_bias() -> None:
    weights, bias = random_weights(3, (8, 20)), np.linspace(-0.3, 0.5, 8)
    result = quantized(one_layer(weights, bias=bias)).network
    scale, a = result.scales["a"].scale, result.network.populations["a"]
    assert int(a.parameters["vth"]) == scale * 1.0  # the shared threshold is exact
    assert scale >= MIN_THRESHOLD
    effective_bias = (a.values("bias_mant") << a.values("bias_exp")) / (scale * 64)
    assert np.abs(effective_bias - bias).max() < 1e-4
    assert np.abs(effective(result) - weights).max() < 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.normal(0, 0.3, (6, 40)),
        lambda rng: rng.uniform(0, 1, (6, 40)),
        lambda rng: -rng.uniform(0, 1, (6, 40)),
        lambda rng: rng.normal(0, 0.3, (6, 40)).astype(np.float32),
        lambda rng: rng.normal(0, 12.0, (6, 40)),
    ],
    ids=["mixed", "excitatory", "inhibitory", "float32", "wide"],
)
@pytest.mark.parametrize("seed", range(4))
def test_error_of_half_a_step(make: Any, seed: int) -> None:
    """Every weight that does not clip is off by at most half a step, and so is what the report says."""
    weights = make(np.random.default_rng(seed))
    result = quantized(one_layer(weights)).network
    (q,) = result.network.projections
    unit = 2.0 ** (q.exponent + q.shift) / result.scales["a"].scale
    difference = np.abs(effective(result) - np.asarray(weights, np.float64))
    clipped = np.abs(weights) > int(np.abs(q.mantissa.astype(int)).max()) * unit
    assert difference[~clipped].max() <= unit / 2 * (1 + 1e-9)
    assert clipped.mean() < 0.05
    row = next(row for row in result.scales["a"].rows if row[0] == "weights x->a")
    rms = np.sqrt(np.square(difference).mean())
    assert f"step {unit:.6g} (" in row[2]
    assert f"rms error {rms:.3g}, " in row[2]


def test_decays_are_rounded_to_the_nearest() -> None:
    taus = np.array([0.0015, 0.005, 0.02, 1.0, np.inf])
    made = neuron("cuba_lif", tau_mem=taus, tau_syn=taus[::-1])
    a = quantized(one_layer(random_weights(1, (5, 3)), made)).network.network.populations["a"]
    keep_v, keep_u = 4096 - a.values("dv"), 4096 - (a.values("du") + 1)
    exact = np.exp(-0.001 / taus)
    assert np.abs(keep_v - 4096 * exact).max() <= 0.5
    assert np.abs(keep_u - 4096 * exact[::-1])[1:].max() <= 0.5
    assert a.values("dv").tolist()[-1] == 0


def test_an_endless_current_is_said_to_leak() -> None:
    """du = 0 still keeps only 4095 / 4096."""
    result = quantized(one_layer([[0.5]], neuron("cuba_lif", tau_syn=np.inf))).network
    assert int(result.network.populations["a"].parameters["du"]) == 0
    assert "'a': du is limited to 0..4095; a decay of the file is beyond it" in result.warnings


def test_models_without_current_clear_it() -> None:
    a = quantized(one_layer([[0.5]], neuron("if"))).network.network.populations["a"]
    assert (int(a.parameters["du"]), int(a.parameters["dv"]), a.has_current) == (4095, 0, False)


def test_input_gain_goes_into_the_weights() -> None:
    """``input: current``: weights and bias times (1 - decay) r."""
    made = replace(neuron(r=3.0), semantics=replace(neuron().semantics, input="current"))
    weights, bias = random_weights(2, (4, 6), 5.0), np.array([1.0, 0.0, -2.0, 4.0])
    result = quantized(one_layer(weights, made, bias)).network
    gain = (1 - np.exp(-1 / 20)) * 3
    assert np.abs(effective(result) - weights * gain).max() < 0.02
    a = result.network.populations["a"]
    scaled = (a.values("bias_mant") << a.values("bias_exp")) / (result.scales["a"].scale * 64)
    assert np.abs(scaled - bias * gain).max() < 1e-3


def test_bias_of_a_current_based_neuron() -> None:
    """b enters the current, the chip's bias the potential: b / (1 - decay), and u starts below by as much."""
    bias = np.array([0.02, -0.01, 0.05])
    net = one_layer(random_weights(5, (3, 4)), neuron("cuba_lif"), bias)
    result = quantized(net).network
    a, state = result.network.populations["a"], result.scales["a"].scale * 64
    moved = bias / (1 - np.exp(-1 / 5))
    assert np.abs((a.values("bias_mant") << a.values("bias_exp")) / state - moved).max() < 1e-4
    assert np.abs(a.values("u_init") / state + moved).max() < 1e-4
    silent = {"x": np.zeros((1, 16, 4), np.int8)}
    real = simulate(net, silent, record=["a"], state=True)
    integer = ReferenceSimulator().run(result.network, silent)
    quiet = np.flatnonzero(real.spikes["a"].sum(axis=(0, 1)) == 0)
    assert len(quiet)
    difference = integer.v["a"][0, :, quiet] / state - real.v["a"][0, :, quiet]
    assert np.abs(difference).max() < 2e-3


def test_a_large_bias_takes_an_exponent() -> None:
    result = quantized(one_layer(random_weights(6, (3, 4)), bias=[3.0, 0.001, -1.5])).network
    a, state = result.network.populations["a"], result.scales["a"].scale * 64
    exponents = a.values("bias_exp")
    assert exponents[0] > 0 == exponents[1]
    for real, mantissa, exponent in zip([3.0, 0.001, -1.5], a.values("bias_mant"), exponents, strict=True):
        assert abs((int(mantissa) << int(exponent)) - real * state) <= 2.0 ** int(exponent)


def test_initial_states() -> None:
    made = neuron("cuba_lif", u_init=np.array([0.3, -0.2, 0.0]), v_init=np.array([-0.5, 0.25, 0.1]))
    result = quantized(one_layer(random_weights(7, (3, 4)), made)).network
    a, state = result.network.populations["a"], result.scales["a"].scale * 64
    assert np.abs(a.values("u_init") / state - [0.3, -0.2, 0.0]).max() <= 0.5 / state * 1.001
    assert np.abs(a.values("v_init") / state - [-0.5, 0.25, 0.1]).max() <= 0.5 / state * 1.001


# Outliers and extremes


def test_one_outlier_does_not_ruin_the_rest() -> None:
    """A weight 20 times the largest: the others stay, and the whole is as close as the finest step without clipping allows."""
    weights = np.clip(random_weights(8, (10, 100), 0.1), -0.3, 0.3)
    weights[4, 50] = 6.0
    result = quantized(one_layer(weights)).network
    rest = np.ones(weights.shape, bool)
    rest[4, 50] = False
    error = np.square(effective(result) - weights)
    by_maximum = 6.0 / 127
    naive = np.square(np.rint(weights / by_maximum) * by_maximum - weights)
    assert error.sum() < 0.01 * naive.sum()
    assert error[4, 50] < 1e-3
    assert (effective(result)[rest] != 0).mean() > 0.95


def test_two_projections_have_their_own_exponents() -> None:
    """Strong and weak synapses into one population keep 7 bits each."""
    strong, weak = random_weights(9, (5, 30), 8.0), random_weights(10, (5, 30), 0.1)
    net = network({"x": (30, None), "y": (30, None), "a": (5, neuron())}, [dense("x", "a", strong), dense("y", "a", weak)])
    result = quantized(net).network
    exponents = [q.exponent for q in result.network.projections]
    assert exponents[0] >= exponents[1] + 3
    for index, weights in enumerate((strong, weak)):
        relative = np.abs(effective(result, index) - weights).max() / np.abs(weights).max()
        assert relative < 0.02, index


def test_two_targets_of_one_source_have_their_own_scales() -> None:
    strong, weak = random_weights(11, (5, 30), 3.0), random_weights(12, (5, 30), 0.01)
    net = network(
        {"x": (30, None), "a": (5, neuron()), "b": (5, neuron(v_threshold=0.02))},
        [dense("x", "a", strong), dense("x", "b", weak)],
    )
    result = quantized(net).network
    assert result.scales["b"].scale > 10 * result.scales["a"].scale
    for index, weights in enumerate((strong, weak)):
        assert np.abs(effective(result, index) - weights).max() / np.abs(weights).max() < 0.02, index


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_weights_and_threshold_scale_together(factor: float) -> None:
    """Only their ratio matters."""
    weights = random_weights(13, (6, 20))
    plain = quantized(one_layer(weights)).network.network
    scaled = quantized(one_layer(weights * factor, neuron(v_threshold=factor))).network.network

    def ratios(net: IntegerNetwork) -> Any:
        (q,) = net.projections
        return q.weights * 2.0**q.exponent / int(net.populations["a"].parameters["vth"])

    assert np.abs(ratios(plain) - ratios(scaled)).max() < 0.01
    assert np.abs(ratios(plain) - weights).max() < 0.01


def test_weights_far_below_the_threshold() -> None:
    """1e-6 of the threshold is below its last bit: the weights become 0, and that is said."""
    weights = np.abs(random_weights(14, (3, 5))) * 1e-6
    result = quantized(one_layer(weights)).network
    assert not result.network.projections[0].weights.any()
    assert 0 < int(result.network.populations["a"].parameters["vth"]) <= FORM.threshold_max
    assert result.scales["a"].rows[-1][2].endswith("15 of 15 rounded to 0")
    assert result.warnings == ("all weights of 'x->a' round to 0: they are too small beside the rest of 'a'",)


@pytest.mark.parametrize("spread", [30, 100, 300])
def test_strong_weights_do_not_clip_for_the_sake_of_the_threshold(spread: float) -> None:
    """The largest weights are many times the threshold, which gets fewer bits than preferred: that costs it nothing here."""
    weights = random_weights(19, (20, 50), spread)
    for calibration in (None, {"x": np.ones((1, 4, 50), np.int8)}):
        result = quantized(one_layer(weights), calibration).network
        assert np.sqrt(np.square(effective(result) - weights).mean()) < 0.012 * spread
        vth, scale = int(result.network.populations["a"].parameters["vth"]), result.scales["a"].scale
        assert vth == pytest.approx(scale)


def test_weights_far_above_the_threshold() -> None:
    """1e6 times the threshold: nothing overflows, and a spike still makes its targets spike."""
    weights = np.abs(random_weights(15, (3, 5))) * 1e6
    stimulus = {"x": np.ones((1, 16, 5), np.int8)}
    result = quantized(one_layer(weights), stimulus)
    assert result.calibration is not None
    assert not result.calibration.events
    assert result.calibration.spikes["a"].all()


def test_all_weights_zero() -> None:
    result = quantized(one_layer(np.zeros((3, 4)), bias=[0.5, 0.0, 2.0])).network
    assert not result.network.projections[0].weights.any()
    a, state = result.network.populations["a"], result.scales["a"].scale * 64
    assert np.abs((a.values("bias_mant") << a.values("bias_exp")) / state - [0.5, 0.0, 2.0]).max() < 1e-3
    plain = quantized(one_layer(np.zeros((3, 4)))).network
    assert int(plain.network.populations["a"].parameters["vth"]) == MIN_THRESHOLD


def test_no_projections_into_a_population() -> None:
    net = network({"x": (1, None), "a": (2, neuron(v_init=0.5)), "b": (1, neuron("li"))}, [dense("a", "b", [[1.0, 0.5]])])
    result = quantized(net).network
    scale, a = result.scales["a"].scale, result.network.populations["a"]
    assert int(a.parameters["vth"]) == scale
    assert int(a.parameters["v_init"]) == round(32 * scale)
    assert {v.register: v.bound for v in result.verdicts if v.population == "a" and v.register != "v"} == {
        "accumulator": 0,
        "u": 0,
    }


def test_a_projection_without_synapses() -> None:
    none = Pattern("sparse", {"sources": np.zeros(0, np.int64), "targets": np.zeros(0, np.int64)})
    net = network({"x": (1, None), "a": (2, neuron())}, [Projection("e", "x", "a", none, np.zeros(0))])
    (q,) = quantized(net, {"x": np.ones((1, 4, 1), np.int8)}).network.network.projections
    assert q.weights.shape == (0,)


def test_per_neuron_thresholds_and_time_constants() -> None:
    thresholds = np.array([0.5, 1.0, 2.0, 7.3])
    taus = np.array([0.002, 0.01, 0.02, 0.05])
    result = quantized(one_layer(random_weights(16, (4, 9)), neuron(v_threshold=thresholds, tau_mem=taus))).network
    a, scale = result.network.populations["a"], result.scales["a"].scale
    assert np.abs(a.values("vth") / scale - thresholds).max() <= 0.5 / scale * 1.001
    assert a.values("vth").min() >= MIN_THRESHOLD * 0.99
    assert np.abs((4096 - a.values("dv")) / 4096 - np.exp(-0.001 / taus)).max() <= 0.5 / 4096


def test_readouts_have_the_largest_threshold() -> None:
    result = quantized(one_layer(random_weights(17, (2, 5)), neuron("li"))).network
    a = result.network.populations["a"]
    assert not a.fires
    assert int(a.parameters["vth"]) == FORM.threshold_max
    assert np.abs(effective(result) - random_weights(17, (2, 5))).max() < 0.01


def test_numbers_that_no_scale_holds() -> None:
    """Weights whose squares no float holds; every such population is named."""
    net = network(
        {"x": (2, None), "a": (1, neuron()), "b": (1, neuron())},
        [dense("x", "a", [[1e200, -3e199]]), dense("x", "b", [[1e200, 2e200]])],
    )
    with pytest.raises(UnsupportedError) as caught:
        quantized(net)
    assert caught.value.exit_code == 4
    assert caught.value.render() == "\n\n".join(
        "error[NC0312 precision]: no scale of 'loihi' holds weights, threshold, bias and start "
        f"of '{name}' together\n"
        "limit: thresholds up to 131071, weights up to 254 << 7\n"
        "hint:  rescale the population so that weights and threshold are of similar size"
        for name in "ab"
    )


# Calibration


def test_scales_are_lowered_until_nothing_overflows() -> None:
    """An integrator that adds up 400 ticks of strong input would clip at the scale that its weights alone ask for."""
    net = replace(one_layer(np.full((1, 20), 3.0), neuron("i")), ticks=400)
    stimulus = {"x": np.ones((1, 400, 20), np.int8)}
    result = quantized(net, stimulus)
    assert result.calibration is not None
    assert result.calibration.events == ()
    assert int(np.abs(result.calibration.v["a"]).max()) <= FORM.v_max
    reached = int(result.calibration.v["a"][0, -1, 0]) / (result.network.scales["a"].scale * 64)
    assert abs(reached / (3.0 * 20 * 400) - 1) < 0.1


def test_strong_inhibition_is_kept_from_clipping() -> None:
    weights = np.full((2, 50), -4.0)
    weights[:, 0] = 0.5
    net = replace(one_layer(weights, neuron("if")), ticks=100)
    result = quantized(net, {"x": np.ones((2, 100, 50), np.int8)})
    assert result.calibration is not None
    assert result.calibration.events == ()
    assert result.network.warnings == ("'a' never spikes on the calibration data (dead)",)


def test_dead_and_saturated_populations_are_named() -> None:
    net = network(
        {"x": (2, None), "dead": (2, neuron()), "half": (2, neuron()), "fine": (1, neuron("if"))},
        [
            dense("x", "dead", [[-1.0, -0.5]] * 2),
            dense("x", "half", [[3.0, 2.0], [0.3, 0.1]]),
            dense("x", "fine", [[0.4, 0.0]]),
        ],
    )
    stimulus = {"x": np.ones((2, 16, 2), np.int8)}
    assert quantized(net, stimulus).network.warnings == (
        "'dead' never spikes on the calibration data (dead)",
        "1 of 2 neurons of 'half' spike in every tick of the calibration data (saturated)",
    )
    assert quantized(net).network.warnings == ()


@pytest.mark.parametrize("seed", range(12))
def test_nothing_overflows_on_the_calibration_data(seed: int) -> None:
    net, stimulus = random_real_network(seed)
    net = legalize(net)[0]
    result = quantized(net, stimulus)
    assert result.calibration is not None
    assert result.calibration.events == ()
    again = ReferenceSimulator().run(result.network.network, stimulus)
    for name in again.spikes:
        assert np.array_equal(again.spikes[name], result.calibration.spikes[name])


DIGEST = """
import hashlib, numpy as np
from pathlib import Path
import neurocomp_hwspecs
from neurocomp.hardware import read_spec
from neurocomp.ir.network import Network, Neuron, Population, Projection
from neurocomp.models.patterns import Pattern
from neurocomp.passes.quantize import quantize
from neurocomp_reference import ReferenceSimulator
rng = np.random.default_rng(0)
lif = Neuron("cuba_lif", {"tau_mem": np.array(.02), "tau_syn": np.array(.005), "r": np.array(1.), "v_threshold": np.array(1.),
                          "v_init": np.array(0.), "u_init": np.array(0.)})
sizes = {"x": 300, "a": 200, "b": 100}
populations = {n: Population(n, (k,), None if n == "x" else lif) for n, k in sizes.items()}
projections = tuple(
    Projection(s + t, s, t, Pattern("dense"), rng.normal(0.02, 0.2, (sizes[t], sizes[s])).astype(np.float32),
               rng.normal(0, .1, sizes[t]), np.array(1))
    for s, t in (("x", "a"), ("a", "a"), ("a", "b")))
net = Network("n", 1e-3, 20, populations, projections)
form = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").number_format
found = quantize(net, form, ReferenceSimulator(), {"x": (rng.random((4, 20, 300)) < .3).astype(np.int8)}).network
digest = hashlib.sha256(repr((found.verdicts, found.warnings, found.scales)).encode())
for p in found.network.populations.values():
    for value in p.parameters.values():
        digest.update(value.tobytes())
for q in found.network.projections:
    digest.update(q.mantissa.tobytes() + bytes([q.exponent]))
print(digest.hexdigest())
"""


def test_threads_and_hash_seeds_do_not_change_the_result() -> None:
    digests = set()
    for threads in ("1", "4"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads) | {"PYTHONHASHSEED": threads}
        done = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_clipping_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many small weights there are, the largest keeps at least 2**-CLIP_OCTAVES of itself even without groups."""
    weights = random_weights(18, (100, 100), 1e-3)
    weights[0, 0] = 1.0
    assert abs(effective(quantized(one_layer(weights)).network)[0, 0] - 1.0) < 0.01
    monkeypatch.setattr(quantize_plan, "group_sets", lambda top: ((0,),))
    found = effective(quantized(one_layer(weights)).network)
    assert found[0, 0] >= 2.0**-CLIP_OCTAVES * 0.98


# Exponent groups


def with_outliers(seed: int, shape: tuple[int, ...], many: int = 6) -> Any:
    """Most weights are small; a few are up to a hundred times as large."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.1, shape)
    weights.reshape(-1)[rng.choice(weights.size, many, replace=False)] = rng.uniform(2, 12, many) * rng.choice([-1, 1], many)
    return weights


def groups_of(result: QuantizedNetwork, name: str) -> list[IntegerProjection]:
    return [q for q in result.network.projections if q.group_of == name]


@pytest.mark.parametrize("bits", [8, 6, 4])
def test_outliers_go_into_exponent_groups(bits: int) -> None:
    """Base and groups add up to steps as fine for the largest weight as for the smallest; small weights are in no group."""
    weights = with_outliers(1, (20, 50))
    form = replace(FORM, weight_bits=bits)
    result = quantize(one_layer(weights), form, ReferenceSimulator(), profiles=1).network
    base = result.network.projections[0]
    groups = groups_of(result, "x->a")
    exponents = [q.exponent - base.exponent for q in groups]
    assert exponents in ([4], [3], [3, 6])
    assert [q.name for q in groups] == [f"x->a^{2**exponent}" for exponent in exponents]
    assert {(q.source, q.target, q.sign_mode, q.shift, q.weight_bits) for q in groups} == {
        ("x", "a", "mixed", base.shift, bits)
    }
    unit, top = 2.0 ** (base.exponent + base.shift) / result.scales["a"].scale, 2 ** (bits - 1) - 1
    assert np.abs(effective(result) - weights).max() <= unit / 2 * (1 + 1e-9)
    in_groups = np.zeros(weights.shape, bool)
    for q in groups:
        assert q.mantissa.all()
        in_groups[q.pattern.arrays["targets"], q.pattern.arrays["sources"]] = True
    assert np.array_equal(in_groups, np.abs(effective(result)) > (top + 0.5) * unit)
    assert in_groups.any()


def test_groups_are_exact_together() -> None:
    """The sum of base and groups is that of the levels: the network runs like one with wide integers."""
    net, stimulus = (
        one_layer(with_outliers(2, (10, 30)), neuron("cuba_lif")),
        np.random.default_rng(0).random((5, 16, 30)) < 0.3,
    )
    result = quantize(net, FORM, ReferenceSimulator(), {"x": stimulus.astype(np.int8)}, profiles=1)
    network = result.network.network
    assert groups_of(result.network, "x->a")
    trace = ReferenceSimulator().run(network, {"x": stimulus.astype(np.int8)})
    wide = np.rint(effective(result.network) * result.network.scales["a"].scale).astype(np.int64)
    a = network.populations["a"]
    u, v = np.zeros((5, 10), np.int64), np.zeros((5, 10), np.int64)
    for t in range(16):
        u = np.sign(u) * (np.abs(u) * (4095 - a.values("du")) >> 12) + ((stimulus[:, t].astype(np.int64) @ wide.T) << 6)
        v = np.sign(v) * (np.abs(v) * (4096 - a.values("dv")) >> 12) + u
        spikes = v > a.values("vth") << 6
        v = np.where(spikes, 0, v)
        assert np.array_equal(trace.v["a"][:, t], v)
        assert np.array_equal(trace.spikes["a"][:, t], spikes)


def test_groups_of_every_pattern() -> None:
    """Sparse, blocks, one to one: lists of synapses with their own delays; a convolution: the same window, other weights 0."""
    rng = np.random.default_rng(3)
    n = 64
    sources, targets = rng.integers(0, n, 300), rng.integers(0, n, 300)
    indices = rng.integers(0, n, (8, 16))
    patterns = {
        "s": (Pattern("sparse", {"sources": sources, "targets": targets}), with_outliers(4, (300,))),
        "b": (Pattern("block", {"indices": indices}), with_outliers(5, (8, 8, 16))),
        "o": (Pattern("one_to_one"), with_outliers(6, (n,), 2)),
        "c": (
            Pattern("conv1d", {}, {"kernel": (5,), "stride": (1,), "padding": (2,), "dilation": (1,), "groups": (1,)}),
            with_outliers(7, (4, 4, 5), 3),
        ),
    }
    for name, (pattern, weights) in patterns.items():
        delays = frozen(rng.integers(1, 5, weights.shape))
        projection = Projection("p", "x", "a", pattern, weights, None, delays)
        populations = {"x": Population("x", (4, 16)), "a": Population("a", (4, 16), neuron())}
        net = Network("net", 1e-3, 8, populations, (projection,)).verify()
        result = quantize(net, FORM, ReferenceSimulator(), profiles=1).network
        groups = groups_of(result, "p")
        assert groups, name
        base = result.network.projections[0]
        scale = result.scales["a"].scale

        def table(q: IntegerProjection, network: IntegerNetwork = result.network) -> dict[tuple[int, int, int], int]:
            found = network.synapses(q)
            weights, delay = q.weights.ravel()[found.slot] << q.exponent, np.broadcast_to(q.delay, q.weights.shape)
            made: dict[tuple[int, int, int], int] = {}
            for key in zip(found.source, found.target, delay.ravel()[found.slot], weights, strict=True):
                place = (int(key[0]), int(key[1]), int(key[2]))
                made[place] = made.get(place, 0) + int(key[3])
            return made

        total: dict[tuple[int, int, int], int] = {}
        for q in (base, *groups):
            for place, value in table(q).items():
                total[place] = total.get(place, 0) + value
        whole = np.rint(weights * scale).astype(np.int64)
        wanted = table(replace(base, mantissa=whole, shift=0, exponent=0, sign_mode="mixed"))
        assert set(total) == set(wanted)
        off = max(abs(total[place] - wanted[place]) for place in wanted)
        assert off <= 60 * np.abs(weights).max() * scale / 127, name
        near = [place for place in wanted if abs(wanted[place]) < 0.3 * scale]
        assert max(abs(total[place] - wanted[place]) for place in near) < 0.02 * scale, name


def test_groups_keep_their_names_and_say_what_they_cost() -> None:
    weights = with_outliers(8, (20, 50))
    taken = dense("x", "a", np.zeros((20, 50)), name="x->a^8")
    net = network({"x": (50, None), "a": (20, neuron())}, [dense("x", "a", weights), taken])
    result = quantize(net, FORM, ReferenceSimulator(), profiles=1).network
    names = [q.name for q in result.network.projections]
    assert names[:2] == ["x->a", "x->a^8#2"]
    assert names[-1] == "x->a^8"
    assert result.network.projections[-1].group_of is None
    assert "weights are partly in exponent groups" in result.warnings[0]
    assert "words of synapse memory (+" in result.warnings[0]
    assert any(row[0] == "groups of x->a" for row in result.scales["a"].rows)


def test_weights_without_outliers_have_no_groups() -> None:
    for seed in range(5):
        result = quantized(one_layer(random_weights(seed, (50, 100)))).network
        assert len(result.network.projections) == 1


def test_groups_fit_the_synapse_formats_of_a_core() -> None:
    """Four projections, each with outliers of its own size: at most 7 formats, two layouts to an exponent."""
    sizes = (1.0, 7.0, 60.0, 300.0)
    inputs: dict[str, tuple[int, Neuron | None]] = {f"x{i}": (60, None) for i in range(4)}
    projections = [dense(f"x{i}", "a", with_outliers(i, (20, 60)) * size / 30) for i, size in enumerate(sizes)]
    net = network(inputs | {"a": (20, neuron())}, projections)
    result = quantized(net).network
    used = {(q.sign_mode, q.exponent) for q in result.network.projections}
    assert any(q.group_of for q in result.network.projections)
    assert 2 * len(used) <= 7
    alone = quantize(net, FORM, ReferenceSimulator(), formats=2).network
    assert not any(q.group_of for q in alone.network.projections)


# Scales of single neurons


def test_weak_neurons_have_a_larger_scale() -> None:
    """One strong neuron among weak ones: their weights and thresholds are up to 8 times as large, biases and starts too."""
    weights = random_weights(9, (30, 40), 0.02)
    weights[0] *= 60
    net = one_layer(weights, neuron(v_init=0.25), bias=np.full(30, 0.125))
    result = quantize(net, replace(FORM, weight_bits=5), ReferenceSimulator()).network
    a, scale = result.network.populations["a"], result.scales["a"].scale
    factors = a.values("vth") / scale
    assert set(factors) <= {1.0, 2.0, 4.0, 8.0}
    assert factors[0] == 1.0
    assert (factors[1:] >= 4).all()
    assert np.array_equal(a.values("v_init"), np.rint(16 * scale * factors))
    assert np.abs((a.values("bias_mant") << a.values("bias_exp")) / (64 * scale * factors) - 0.125).max() < 1e-3
    assert any("single neurons have larger weights and thresholds" in warning for warning in result.warnings)
    error = effective(result) - weights
    one = quantize(net, replace(FORM, weight_bits=5), ReferenceSimulator(), profiles=1).network
    assert len(set(one.network.populations["a"].values("vth"))) == 1
    assert 2 * np.square(error).sum() <= np.square(effective(one) - weights).sum()


def test_neurons_whose_potential_is_read_share_a_scale() -> None:
    weights = random_weights(9, (30, 40), 0.02)
    weights[0] *= 60
    form = replace(FORM, weight_bits=5)
    for net in (
        one_layer(weights, neuron("li")),
        replace(one_layer(weights), decoders={"a": Decoder("potential", {})}),
    ):
        result = quantize(net, form, ReferenceSimulator()).network
        assert len(set(result.network.populations["a"].values("vth"))) == 1
        assert not any("single neurons" in warning for warning in result.warnings)


def test_neurons_that_calibration_shows_near_a_limit_are_no_larger() -> None:
    """Neurons that data drives far below their threshold give up their power of two; the population keeps its scale."""
    weights = random_weights(9, (30, 40), 0.02)
    weights[0] *= 60
    weights[:, :2] = 0.0
    weights[0, 0], weights[1:, 1] = -2.0, -0.4
    net = replace(one_layer(weights, neuron("if")), ticks=256)
    stimulus = np.zeros((1, 256, 40), np.int8)
    stimulus[:, :, 0] = 1
    results = []
    for driven in (0, 1):
        stimulus[:, :, 1] = driven
        results.append(quantize(net, replace(FORM, weight_bits=5), ReferenceSimulator(), {"x": stimulus.copy()}).network)
    assert results[0].scales["a"].scale == results[1].scales["a"].scale
    factors = [result.network.populations["a"].values("vth") / result.scales["a"].scale for result in results]
    assert [set(found) for found in factors] == [{1.0, 8.0}, {1.0, 4.0}]
    (verdict,) = [v for v in results[1].verdicts if v.register == "v" and v.population == "a"]
    assert verdict.kind == "observed"
    assert verdict.bound <= 0.75 * verdict.limit


# Biases


def test_a_bias_that_vanishes_is_named() -> None:
    result = quantized(one_layer(random_weights(6, (3, 4)), bias=[0.3, 1e-7, -0.2])).network
    assert result.warnings == ("'a': 1 of 3 biases per tick round by more than 10% (the most at neuron 1: 1e-07 becomes 0)",)
    assert quantized(one_layer(random_weights(6, (3, 4)), bias=[0.3, 0.0, -0.2])).network.warnings == ()


def test_at_least_keeps_whole_thresholds_units() -> None:
    """``>=`` without leak: bias and start are multiples of 64, so that v stays one and lowering can turn it into ``>``."""
    semantics = replace(neuron().semantics, compare=">=")
    made = replace(neuron("if", v_init=0.1), semantics=semantics)
    net = one_layer(random_weights(6, (3, 4)), made, bias=[0.3, 0.0, -0.2])
    result = quantized(net).network
    a, state = result.network.populations["a"], result.scales["a"].scale * 64
    bias = a.values("bias_mant") << a.values("bias_exp")
    assert not (bias % 64).any()
    assert not (a.values("v_init") % 64).any()
    assert np.abs(bias / state - [0.3, 0.0, -0.2]).max() < 1 / 256
    assert a.values("v_init")[0] / state == pytest.approx(0.1, abs=1 / 256)
    assert any("whole multiples of 64" in row[2] for row in result.scales["a"].rows)
    # Not at the price of a bias that would vanish, and not where a leak makes it useless.
    small = quantized(one_layer(random_weights(6, (3, 4)), made, bias=[0.3, 1e-4, -0.2])).network
    b = small.network.populations["a"]
    assert ((b.values("bias_mant") << b.values("bias_exp")) % 64).any()
    leaky = quantized(one_layer(random_weights(6, (3, 4)), replace(neuron(), semantics=semantics), [0.3, 0.1, -0.2])).network
    c = leaky.network.populations["a"]
    assert ((c.values("bias_mant") << c.values("bias_exp")) % 64).any()
    assert not any("multiples" in row[2] for row in leaky.scales["a"].rows)


# What a plain maximum costs


def test_the_price_of_a_plain_maximum_is_printed() -> None:
    weights = with_outliers(10, (20, 50))
    result = quantized(one_layer(weights)).network
    (row,) = [row for row in result.scales["a"].rows if row[0] == "plain maximum"]
    step = np.abs(weights).max() / 127
    counts = np.rint(weights / step)
    rms = np.sqrt(np.square(counts * step - weights).mean())
    chosen = np.sqrt(np.square(effective(result) - weights).mean())
    lost = int((counts == 0).sum())
    kept = int((effective(result) == 0).sum())
    assert row[1] == f"step {step:.6g}"
    assert row[2] == f"rms error {rms:.3g}, {lost} of 1000 weights rounded to 0 (chosen: {chosen:.3g}, {kept})"
    assert chosen < rms / 5


# Headroom


def test_calibration_leaves_headroom() -> None:
    """A potential that fills 95 % of its register on the data gets a smaller scale, so that other data finds room."""
    weights = np.full((1, 4), -5.0)
    weights[0, 0] = 0.5
    net = replace(one_layer(weights, neuron("if")), ticks=2000)
    stimulus = np.zeros((1, 2000, 4), np.int8)
    stimulus[0, :, 1] = np.arange(2000) % 5 == 0
    result = quantized(net, {"x": stimulus})
    (verdict,) = [v for v in result.network.verdicts if v.register == "v"]
    assert verdict.kind == "observed"
    assert 0.3 < verdict.bound / verdict.limit <= 0.76


# Ternary neurons


def test_ternary_neurons() -> None:
    """Both thresholds are on one scale; what it sends multiplies the weights."""
    made = neuron("ternary_lif", v_threshold_low=-0.5)
    net = network(
        {"x": (4, None), "a": (3, made), "b": (2, neuron("li"))},
        [dense("x", "a", random_weights(1, (3, 4))), dense("a", "b", [[1.0, -0.5, 0.25], [0.1, 0.2, 0.3]])],
    )
    result = quantized(net).network
    a, scale = result.network.populations["a"], result.scales["a"].scale
    assert a.dynamics == "ternary"
    assert (int(a.parameters["vth"]), int(a.parameters["vth_low"])) == (scale, -round(scale / 2))
    assert [q.binary for q in result.network.projections] == [True, False]
    sums = {v.population: v.bound for v in result.verdicts if v.register == "accumulator"}
    second = result.network.projections[1]
    assert sums["b"] == int((np.abs(second.weights).sum(axis=1) << second.exponent).max())
