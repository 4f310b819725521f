"""What a Loihi cannot do: each rule with its code and its whole message, all of a network at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.errors import Location, UnsupportedError
from neurocomp.hardware import LAVA_UNCHECKED, read_spec
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.pipeline import violation_error
from neurocomp_loihi.check import check_network
from neurocomp_loihi.lower import LoihiOptions

SPEC = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
PLACE = Location("net.yaml", 7, 3)


def real(model: str = "lif", **parameters: Any) -> Neuron:
    defaults = {"tau_mem": 0.02, "tau_syn": 0.005} | {
        k: p.default for k, p in NEURON_MODELS[model].parameters.items() if p.default
    }
    values = {key: np.asarray((defaults | parameters).get(key, 0.0)) for key in NEURON_MODELS[model].parameters}
    return Neuron(model, values)


def native(**parameters: Any) -> Neuron:
    values = {"du": 4095, "dv": 128, "vth": 10, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    return Neuron("lif", {k: np.asarray(v, np.int64) for k, v in values.items()}, number_format="loihi")


def network(neuron: Neuron, weights: Any = ((0.5, -0.5),), *, bias: Any = None, kind: str = "dense", n: int = 1,
            numbers: NativeWeights | None = None) -> Network:  # fmt: skip
    q = Projection(
        "x->a", "x", "a", Pattern(kind), np.asarray(weights), None if bias is None else frozen(np.asarray(bias)),
        native=numbers, origin=Location("net.yaml", 9, 5),
    )  # fmt: skip
    return Network("net", 1e-3, 4, {"x": Population("x", (2,)), "a": Population("a", (n,), neuron, PLACE)}, (q,))


def printed(net: Network) -> list[str]:
    return [v.diagnostic().render() for v in check_network(net, SPEC)]


# Semantics


@pytest.mark.parametrize(
    ("axis", "value", "message"),
    [
        (
            "reset",
            "none",
            "error[NC0301 reset]: population 'a' resets by 'none'; loihi natively has 'zero'\n"
            "hint:  write 'reset: zero' or 'reset: subtract' and retrain, or use a target that resets in this way",
        ),
        (
            "reset",
            "value",
            "error[NC0301 reset]: population 'a' resets by 'value'; loihi natively has 'zero'\n"
            "hint:  write 'reset: zero' or 'reset: subtract' and retrain, or use a target that resets in this way",
        ),
        (
            "refractory",
            63,
            "error[NC0303 refractory]: population 'a' is refractory for 63 ticks; loihi has at most 62\n"
            f"limit: {SPEC.limit_text('refractory')}\n"
            "hint:  shorten 'refractory' to 62, or lengthen the timestep",
        ),
        (
            "threshold_on",
            "old",
            "error[NC0304 update-order]: population 'a' compares with the threshold the potential that is 'old'; "
            "loihi natively has 'new'\n"
            "hint:  write 'threshold_on: new'",
        ),
        (
            "reset_when",
            "next_tick",
            "error[NC0304 update-order]: population 'a' resets in the 'next_tick'; loihi natively has 'same_tick'\n"
            "hint:  write 'reset_when: same_tick'",
        ),
        (
            "spikes_per_tick",
            "many",
            "error[NC0305 many-spikes]: population 'a' sends, of spikes per tick, 'many'; loihi natively has 'one'\n"
            "hint:  write 'spikes_per_tick: one'",
        ),
        (
            "v_floor",
            0.0,
            "error[NC0306 potential-floor]: population 'a' has the floor 0.0 of its potential\nhint:  remove 'v_floor'",
        ),
    ],
)
def test_each_axis(axis: str, value: Any, message: str) -> None:
    neuron = real()
    net = network(replace(neuron, semantics=replace(Semantics(), **{axis: value})))
    assert printed(net) == [f"net.yaml:7:3: {message}"]


def test_native_semantics_pass() -> None:
    for model in SPEC.native["neuron_models"]:
        for semantics in (Semantics(), Semantics(integration="euler"), Semantics(input="current")):
            assert printed(network(replace(real(model), semantics=semantics))) == [], model


def test_axes_of_the_spike_do_not_matter_to_readouts() -> None:
    semantics = Semantics(reset="subtract", compare=">=", threshold_on="old", refractory=3, reset_when="next_tick")
    assert printed(network(replace(real("li"), semantics=semantics))) == []


@pytest.mark.parametrize(
    "semantics",
    [
        Semantics(reset="subtract"),
        Semantics(compare=">="),
        Semantics(refractory=62),
        Semantics(reset_interval=4, reset_offset=1),
    ],
)
def test_what_is_lowered_or_native_passes(semantics: Semantics) -> None:
    assert printed(network(replace(real(), semantics=semantics))) == []


def test_ternary_neurons_are_an_extension_of_loihi_1() -> None:
    net = network(real("ternary_lif"))
    assert printed(net) == [
        "net.yaml:7:3: error[NC0318 not-on-this-chip]: population 'a' has the model ternary_lif; "
        "loihi has no neurons that send +1 and -1\n"
        "hint:  --allow-extension ternary simulates it; every result is then marked as not on this chip"
    ]
    assert check_network(net, SPEC, LoihiOptions(extensions=("ternary",))) == []
    assert check_network(net, read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi2.yaml")) == []


def test_a_chip_without_refractory_periods_or_periodic_resets() -> None:
    native = {axis: words for axis, words in SPEC.native.items() if axis not in ("refractory", "periodic_reset")}
    semantics = Semantics(refractory=2, reset_interval=4)
    found = check_network(network(replace(real(), semantics=semantics)), replace(SPEC, native=native))
    assert [v.diagnostic().render() for v in found] == [
        "net.yaml:7:3: error[NC0303 refractory]: population 'a' is refractory for 2 ticks; loihi has no such periods\n"
        "hint:  remove 'refractory'",
        "net.yaml:7:3: error[NC0307 reset-schedule]: population 'a' is reset every 4 ticks; loihi has no periodic resets\n"
        "hint:  remove 'reset_every': the state is reset at the start of every sample anyway",
    ]


def test_refractory_periods_in_ticks_of_the_chip() -> None:
    net = network(replace(real(), semantics=Semantics(refractory=64)))
    (violation,) = check_network(net, SPEC, LoihiOptions(ticks_per_step=2))
    assert (violation.message, violation.hint) == (
        "population 'a' is refractory for 64 ticks of the chip, 2 of which are one of the network; loihi has at most 62",
        "lower --ticks-per-step",
    )


def test_a_violation_carries_its_numbers() -> None:
    (violation,) = check_network(network(replace(real(), semantics=Semantics(refractory=63))), SPEC)
    assert violation.as_json() == {
        "code": "NC0303",
        "subject": "a",
        "message": "population 'a' is refractory for 63 ticks; loihi has at most 62",
        "actual": 63,
        "limit": 62,
        "source": SPEC.limit_text("refractory"),
        "hint": "shorten 'refractory' to 62, or lengthen the timestep",
        "also": None,
        "location": "net.yaml:7:3",
    }


def test_all_at_once() -> None:
    """Every rule of every population and projection, in one error."""
    bad = Semantics(
        threshold_on="old", spikes_per_tick="many", reset="none", reset_when="next_tick", refractory=63, v_floor=-1.0,
    )  # fmt: skip
    net = network(replace(real(), semantics=bad))
    before = (Stage(Pattern("maxpool1d", {}, {"kernel": (1,), "stride": (1,), "padding": (0,)}), frozen(np.float64(1)), (2,)),)
    projections = (replace(net.projections[0], before=before, pattern=Pattern("scale")),)
    net = replace(net, populations={**net.populations, "b": Population("b", (1,), native(vth=-1))}, projections=projections)
    codes = [v.code for v in check_network(net, SPEC)]
    assert codes == ["NC0304", "NC0305", "NC0301", "NC0304", "NC0303", "NC0306", "NC0310", "NC0316", "NC0308"]
    error = violation_error(check_network(net, SPEC))
    assert isinstance(error, UnsupportedError)
    assert (error.exit_code, len(error.diagnostics)) == (4, 9)


def test_a_maximum_of_spikes() -> None:
    pool = Pattern("maxpool2d", {}, {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)})
    net = network(real())
    q = replace(net.projections[0], before=(Stage(pool, frozen(np.float64(1.0)), (1, 1, 2)),))
    assert printed(replace(net, projections=(q,))) == [
        "net.yaml:9:5: error[NC0316 max-pool]: projection 'x->a' takes a maximum of spikes (maxpool2d); "
        "loihi only adds weighted spikes up\n"
        "hint:  use average or sum pooling in its place, and retrain"
    ]


def test_a_chip_without_a_model_or_pattern() -> None:
    spec = replace(SPEC, native={**SPEC.native, "neuron_models": ("if", "lif"), "patterns": ("sparse", "one_to_one")})
    assert [v.diagnostic().render() for v in check_network(network(real("cuba_lif")), spec)] == [
        "net.yaml:7:3: error[NC0313 neuron-model]: population 'a' has the model cuba_lif; loihi has if or lif\n"
        "hint:  write one of these models and train with it",
        "net.yaml:9:5: error[NC0308 pattern]: projection 'x->a' is dense; loihi has sparse or one_to_one\n"
        "hint:  write its synapses as one of these patterns",
    ]


# Real numbers that no integer can stand for


@pytest.mark.parametrize(
    ("neuron", "bias", "message"),
    [
        (
            replace(real(tau_mem=0.0005), semantics=Semantics(integration="euler")),
            None,
            "population 'a': tau_mem is shorter than the timestep, so its Euler decay is negative\n"
            "hint:  write 'integration: exact', or shorten the timestep",
        ),
        (
            replace(real("cuba_lif", tau_syn=0.0005), semantics=Semantics(integration="euler")),
            None,
            "population 'a': tau_syn is shorter than the timestep, so its Euler decay is negative\n"
            "hint:  write 'integration: exact', or shorten the timestep",
        ),
        (
            real(v_threshold=-0.5),
            None,
            "population 'a' has a negative threshold; loihi has thresholds >= 0\nhint:  shift threshold and potential",
        ),
        (
            real("cuba_lif", tau_syn=np.inf),
            [0.5],
            "population 'a' integrates its bias without leak in the current (tau_syn is infinite)\n"
            "hint:  give tau_syn a finite value, or remove the bias",
        ),
    ],
    ids=["tau_mem", "tau_syn", "threshold", "bias"],
)
def test_real_numbers(neuron: Neuron, bias: Any, message: str) -> None:
    assert printed(network(neuron, bias=bias)) == [f"net.yaml:7:3: error[NC0312 precision]: {message}"]


def test_real_numbers_at_the_border() -> None:
    """A time constant of one tick, a threshold of 0 and an endless current without bias are fine."""
    assert printed(network(replace(real(tau_mem=0.001), semantics=Semantics(integration="euler")))) == []
    assert printed(network(real(v_threshold=0.0))) == []
    assert printed(network(real("cuba_lif", tau_syn=np.inf), bias=[0.0])) == []


# Integers of the chip

RANGES = {
    "du": (0, 4095),
    "dv": (0, 4095),
    "vth": (0, 131071),
    "bias_mant": (-4095, 4095),
    "bias_exp": (0, 7),
    "u_init": (-8388607, 8388607),
    "v_init": (-8388607, 8388607),
}
BOUNDS = {"vth": "threshold_bits", "bias_mant": "bias_bits", "bias_exp": "bias_exp_max", "u_init": "u_bits", "v_init": "v_bits"}
GOOD = NativeWeights()
BEYOND = "\nhint:  bring it into the range, or drop 'format' so that real values are quantized"


@pytest.mark.parametrize("key", RANGES)
def test_native_ranges(key: str) -> None:
    low, high = RANGES[key]
    weights = [[2, -4]]
    for inside in (low, high):
        assert printed(network(native(**{key: inside}), weights, numbers=GOOD)) == []
    for outside, limit in ((low - 1, low), (high + 1, high)):
        net = network(native(**{key: outside}), weights, numbers=GOOD)
        assert printed(net) == [
            f"net.yaml:7:3: error[NC0310 native-integers]: population 'a': {key} is {outside}; loihi holds {low}..{high}"
            + f"\nlimit: {SPEC.format_text(BOUNDS.get(key, 'decay_bits'))}"
            + BEYOND
        ]
        assert (check_network(net, SPEC)[0].actual, check_network(net, SPEC)[0].limit) == (outside, limit)


@pytest.mark.parametrize(("value", "refused"), [(-131071, False), (-131072, True), (1, True)])
def test_native_range_of_the_lower_threshold(value: int, refused: bool) -> None:
    values = dict(native().parameters) | {"vth_low": frozen(np.int64(value))}
    net = network(Neuron("ternary_lif", values, number_format="loihi"), [[2, -4]], numbers=GOOD)
    found = [v.diagnostic().message for v in check_network(net, SPEC, LoihiOptions(extensions=("ternary",)))]
    assert found == [f"population 'a': vth_low is {value}; loihi holds -131071..0"] * refused


def test_native_ranges_say_how_many_neurons() -> None:
    net = network(native(vth=[10, 200000, -3]), [[2, -4]] * 3, n=3, numbers=GOOD)
    assert printed(net) == [
        "net.yaml:7:3: error[NC0310 native-integers]: population 'a': vth is 200000; loihi holds 0..131071\n"
        f"limit: {SPEC.format_text('threshold_bits')}\nalso:  1 more" + BEYOND
    ]


def test_another_format() -> None:
    net = network(replace(native(), number_format=LAVA_UNCHECKED.name), [[2, -4]], numbers=GOOD)
    assert printed(net) == [
        "net.yaml:7:3: error[NC0310 native-integers]: population 'a' holds integers of 'lava-unchecked'; "
        "loihi computes in 'loihi'\n"
        "hint:  write 'format: loihi' if the integers are in its range"
    ]


ODD = "\nhint:  emulators round such weights in different ways; write the value that you mean"
LOST = "\nhint:  emulators round such weights in different ways; write weights that are multiples of 2**-weight_exp"


@pytest.mark.parametrize(
    ("weights", "numbers", "message"),
    [
        ([[-256, 254]], NativeWeights(7), None),
        ([[256, -2]], NativeWeights(), "weight 256 lies outside -256..254 of 8 bits, mixed"),
        ([[2, -258]], NativeWeights(), "weight -258 lies outside -256..254 of 8 bits, mixed"),
        ([[3, -2]], NativeWeights(), f"weight 3 is no multiple of 2, which 8 bits of mixed sign store{ODD}"),
        ([[3, 255]], NativeWeights(), None),
        ([[-3, -255]], NativeWeights(), None),
        ([[3, 253]], NativeWeights(sign_mode="mixed"), f"weight 3 is no multiple of 2, which 8 bits of mixed sign store{ODD}"),
        ([[3, 256]], NativeWeights(), "weight 256 lies outside 0..255 of 8 bits, excitatory"),
        ([[-3, -256]], NativeWeights(), "weight -256 lies outside -255..0 of 8 bits, inhibitory"),
        ([[8, -16]], NativeWeights(weight_bits=6), None),
        ([[4, -8]], NativeWeights(weight_bits=6), f"weight 4 is no multiple of 8, which 6 bits of mixed sign store{ODD}"),
        ([[4, -8]], NativeWeights(-2), None),
        ([[8, 6]], NativeWeights(-2), f"weight 6 loses bits by weight_exp -2{LOST}"),
        ([[2, -4]], NativeWeights(8), f"weight_exp 8 lies outside -8..7\nlimit: {SPEC.format_text('weight_exp_max')}"),
        ([[0, 0]], NativeWeights(-9), f"weight_exp -9 lies outside -8..7\nlimit: {SPEC.format_text('weight_exp_min')}"),
        ([[2, -4]], NativeWeights(weight_bits=9), f"weight_bits 9; loihi has 8\nlimit: {SPEC.format_text('weight_bits')}"),
    ],
)  # fmt: skip
def test_native_weights(weights: Any, numbers: NativeWeights, message: str | None) -> None:
    expected = [] if message is None else [f"net.yaml:9:5: error[NC0310 native-integers]: projection 'x->a': {message}"]
    assert printed(network(native(), weights, numbers=numbers)) == expected


def test_native_weights_all_problems() -> None:
    """Exponent, range and oddness of one projection."""
    net = network(native(), [[301, -3]], numbers=NativeWeights(9))
    assert [v.message for v in check_network(net, SPEC)] == [
        "projection 'x->a': weight_exp 9 lies outside -8..7",
        "projection 'x->a': weight 301 lies outside -256..254 of 8 bits, mixed",
        "projection 'x->a': weight 301 is no multiple of 2, which 8 bits of mixed sign store",
    ]
