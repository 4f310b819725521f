"""Lava executes lowered networks: patterns, resets, refractory periods, schedules, currents; compared with plain loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.hardware import NumberFormat
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.testing.golden import synapses
from neurocomp_loihi.lava import LavaWitness, runs_as_conv, samples_stay_apart

Array = NDArray[Any]
Link = tuple[int, int, int, int]
"""Source neuron, target neuron, weight, delay."""

FORM = NumberFormat("lava-test")
TOP = (1 << 23) - 1
REGISTERS = ("spikes", "u", "v")


# The oracle: whole numbers and loops, from the text of the semantics alone


def links(network: IntegerNetwork, q: IntegerProjection) -> Iterator[Link]:
    """List the synapses of a projection."""
    source, target = network.populations[q.source].shape, network.populations[q.target].shape
    weights, delay = q.weights, np.broadcast_to(q.delay, q.mantissa.shape)
    if q.pattern.kind.startswith("conv"):
        yield from conv_links(q, source, target)
        return
    for place in np.ndindex(*weights.shape):
        if q.pattern.kind == "dense":
            ends = place[1], place[0]
        elif q.pattern.kind == "one_to_one":
            ends = place[0], place[0]
        elif q.pattern.kind == "sparse":
            ends = int(q.pattern.arrays["sources"][place]), int(q.pattern.arrays["targets"][place])
        else:
            b, i, k = place
            ends = int(q.pattern.arrays["indices"][b, k]), b * weights.shape[1] + i
        yield *ends, int(weights[place]), int(delay[place])


def conv_links(q: IntegerProjection, source: tuple[int, ...], target: tuple[int, ...]) -> Iterator[Link]:
    options = q.pattern.options
    n_out, n_in = q.mantissa.shape[:2]
    per_group = n_out // options["groups"][0]
    delay = np.broadcast_to(q.delay, q.mantissa.shape)
    for to in np.ndindex(*target):
        for c, *offset in np.ndindex(*q.mantissa.shape[1:]):
            at = [
                o * s + k * d - p
                for o, k, s, d, p in zip(
                    to[1:], offset, options["stride"], options["dilation"], options["padding"], strict=True
                )
            ]
            if all(0 <= i < n for i, n in zip(at, source[1:], strict=True)):
                slot = (to[0], c, *offset)
                begin = int(np.ravel_multi_index((to[0] // per_group * n_in + c, *at), source))
                yield begin, int(np.ravel_multi_index(to, target)), int(q.weights[slot]), int(delay[slot])


def toward_zero(product: int) -> int:
    return product >> 12 if product >= 0 else -(-product >> 12)


def oracle(
    lowered: LoweredNetwork, stimulus: Mapping[str, Array], given: Mapping[str, Array] | None = None
) -> dict[str, dict[str, Array]]:
    """Return register -> population -> (samples, chip ticks, n); populations whose spikes are ``given`` do not run."""
    network, given = lowered.network, given or {}
    samples, ticks = next(iter(stimulus.values())).shape[:2]
    length = ticks + lowered.largest_lag
    neurons = [p for p in network.populations.values() if not p.is_input and p.name not in given]
    found: dict[str, dict[str, Array]] = {
        register: {p.name: np.zeros((samples, length, p.size), np.int64) for p in network.populations.values()}
        for register in REGISTERS
    }
    for name, values in stimulus.items():
        found["spikes"][name][:, :ticks] = values
    found["spikes"].update(given)
    of = {p.name: [{key: int(p.values(key)[i]) for key in p.parameters} for i in range(p.size)] for p in neurons}
    into = {p.name: [(q, list(links(network, q))) for q in network.projections_to(p.name)] for p in neurons}
    for sample in range(samples):
        state = {p.name: [[int(v) for v in p.values(key)] for key in ("u_init", "v_init")] for p in neurons}
        waiting = {p.name: [0] * p.size for p in neurons}
        for t in range(length):
            for p in neurons:
                if t < p.start:
                    continue
                a = [0] * p.size
                for q, synapses_of_q in into[p.name]:
                    sums: dict[tuple[int, int], int] = {}
                    sent = found["spikes"][q.source][sample].tolist()
                    for source, target, weight, delay in synapses_of_q:
                        if t >= delay and sent[t - delay][source]:
                            value = 1 if q.binary else sent[t - delay][source]
                            sums[target, delay] = sums.get((target, delay), 0) + weight * value
                    for (target, _), total in sums.items():
                        a[target] += total << q.exponent if q.exponent >= 0 else total >> -q.exponent
                u, v = state[p.name]
                due = p.reset_interval is not None and t >= p.reset_offset
                if due and (t - p.reset_offset) % (p.reset_interval or 1) == 0:
                    u[:], v[:], waiting[p.name][:] = [0] * p.size, [0] * p.size, [0] * p.size
                drive = [0] * p.size
                if p.current is not None and lowered.lag[p.name] <= t < lowered.lag[p.name] + ticks:
                    drive = [int(c) for c in stimulus[p.current][sample, t - lowered.lag[p.name]]]
                for i, value in enumerate(of[p.name]):
                    u[i] = toward_zero(u[i] * (4096 - value["du"] - 1)) + (a[i] << 6)
                    if waiting[p.name][i]:
                        waiting[p.name][i] -= 1
                    else:
                        bias = (value["bias_mant"] << value["bias_exp"]) + drive[i]
                        v[i] = toward_zero(v[i] * (4096 - value["dv"])) + u[i] + bias
                        v[i] = max(-TOP, min(TOP, v[i]))
                        high, low = value["vth"] << 6, value.get("vth_low", 0) << 6
                        spike = 1 if v[i] > high else -1 if "vth_low" in value and v[i] < low else 0
                        if spike and p.fires:
                            found["spikes"][p.name][sample, t, i] = spike
                            v[i] = {"zero": 0, "none": v[i], "subtract": v[i] - (high if spike > 0 else low)}[p.reset]
                            waiting[p.name][i] = p.refractory
                    found["u"][p.name][sample, t, i], found["v"][p.name][sample, t, i] = u[i], v[i]
    return found


# Networks by hand


def neurons(name: str, *shape: int, **options: Any) -> IntegerPopulation:
    """Return a population; what is no field of it is a parameter."""
    ternary = "vth_low" in options
    values = {"du": 4095, "dv": 300, "vth": 60, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
    fields = {k: options.pop(k) for k in list(options) if k not in values and k != "vth_low"}
    parameters = {key: np.asarray(value, np.int64) for key, value in (values | options).items()}
    return IntegerPopulation(name, shape, "ternary" if ternary else "compartment", parameters, **fields)


def spikes(name: str, *shape: int) -> IntegerPopulation:
    return IntegerPopulation(name, shape, "input", {})


def current(name: str, n: int) -> IntegerPopulation:
    return IntegerPopulation(name, (n,), "current", {})


def conv(kernel: tuple[int, ...], **options: tuple[int, ...]) -> Pattern:
    one = (1,) * len(kernel)
    defaults = {"kernel": kernel, "stride": one, "padding": (0,) * len(kernel), "dilation": one, "groups": (1,)}
    return Pattern(f"conv{len(kernel)}d", {}, defaults | options)


def sparse(*pairs: tuple[int, int]) -> Pattern:
    return Pattern("sparse", {"sources": np.array([s for s, _ in pairs]), "targets": np.array([t for _, t in pairs])})


def lowered(
    populations: list[IntegerPopulation], projections: list[IntegerProjection], lag: Mapping[str, int], ticks: int = 8
) -> LoweredNetwork:
    """Return a lowered network that passes its own checks; populations that ``lag`` does not name run 1 tick late."""
    network = IntegerNetwork("lava", 1e-3, ticks, FORM, {p.name: p for p in populations}, tuple(projections))
    lags = {p.name: lag.get(p.name, 0 if p.is_input else 1) for p in populations}
    made = LoweredNetwork(network, lags, {p.name: Representative(p.name, lags[p.name]) for p in populations})
    return made.verify({}, 62)


RANDOM = np.random.default_rng(3)


def drawn(*shape: int, low: int = -100, high: int = 160) -> Array:
    return np.asarray(RANDOM.integers(low, high, shape), np.int64)


def project(source: str, target: str, weights: Array, pattern: Pattern | None = None, **options: Any) -> IntegerProjection:
    defaults: dict[str, Any] = {"sign_mode": "mixed", "delay": 1}
    return synapses(source, target, weights, pattern=pattern, **(defaults | options))


def in_step() -> LoweredNetwork:
    """Everything that can run sample after sample without a gap: 8 ticks each."""
    populations = [
        spikes("x", 2, 5, 4), spikes("line", 3, 9), spikes("graded", 4), current("drive", 6), current("drive3", 6),
        neurons("conv", 4, 3, 4, du=500),
        neurons("grouped", 4, 2, 2),
        neurons("depthwise", 2, 2, 2, vth=20),
        neurons("conv1", 2, 5),
        neurons("refractory", 8, refractory=2, vth=30),
        neurons("subtract", 8, reset="subtract", compartments=2, vth=35),
        neurons("both", 8, reset="subtract", refractory=3, vth=np.arange(20, 36, 2)),
        neurons("never", 8, reset="none", vth=45),
        neurons("signs", 8, vth_low=np.arange(-40, 0, 5), vth=50),
        neurons("signs2", 8, vth_low=-30, vth=40, reset="subtract", refractory=1),
        neurons("kept", 8, vth_low=-35, reset="none"),
        neurons("phase", 8, dv=0, reset_interval=4, reset_offset=1, vth=90),
        neurons("out_of_phase", 8, dv=0, reset_interval=3, reset_offset=7, vth=90),
        neurons("mixed_up", 8, reset="subtract", refractory=2, reset_interval=3, reset_offset=2, vth=25),
        neurons("driven", 6, vth=70, current="drive", dv=0),
        neurons("driven_signs", 6, vth_low=-50, current="drive3", refractory=1),
        neurons("readout", 5, fires=False, dv=0, vth=10),
        neurons("weighted", 4, vth=3000),
        neurons("last", 6, vth=80),
    ]  # fmt: skip
    n = {p.name: p.size for p in populations}
    first = [
        project("x", "conv", drawn(4, 2, 3, 2), conv((3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2))),
        project("x", "grouped", drawn(4, 1, 2, 2), conv((2, 2), stride=(2, 2), groups=(2,)), exponent=1),
        project("x", "depthwise", drawn(2, 1, 2, 2, low=0, high=30), conv((2, 2), stride=(2, 2), groups=(2,)),
                sign_mode="excitatory"),
        project("line", "conv1", drawn(2, 3, 3, low=-25, high=40) * 4, conv((3,), stride=(2,), padding=(1,), dilation=(1,)),
                exponent=-2),
        *(project("x", name, drawn(8, 40, low=-90, high=120)) for name in (
            "refractory", "subtract", "both", "never", "signs", "signs2", "kept", "phase", "out_of_phase", "mixed_up")),
        project("line", "driven", drawn(6, 27, low=-40, high=45)),
        project("graded", "weighted", drawn(4, 4), binary=False),
    ]  # fmt: skip
    pairs = [(i % n["both"], i % 5) for i in range(30)]
    second = [
        project("both", "readout", drawn(30), sparse(*pairs)),
        project("signs", "readout", drawn(5, 8), binary=False),
        project("x", "readout", drawn(5, 40), delay=2),
        *(project(name, "last", drawn(6, n[name]), binary=name not in ("signs2", "driven_signs")) for name in (
            "refractory", "subtract", "never", "signs2", "kept", "phase", "out_of_phase", "mixed_up", "driven",
            "driven_signs", "weighted", "conv1", "depthwise")),
        project("conv", "last", drawn(2, 3, 16), Pattern("block", {"indices": np.array([[*range(15), 3], [*range(20, 36)]])})),
        project("grouped", "last", drawn(6, 16), exponent=2),
    ]  # fmt: skip
    return lowered(populations, first + second, {"readout": 2, "last": 2})


def apart() -> LoweredNetwork:
    """What needs each sample by itself: cycles, delays, initial states, biases before the window."""
    start = np.arange(-3000, 3000, 1000)
    populations = [
        spikes("x", 6), spikes("image", 2, 4, 3), spikes("wide", 128, 2), spikes("fits", 127, 1), current("drive", 6),
        current("drive2", 6),
        neurons("ring", 6, refractory=2, bias_mant=30, bias_exp=5, u_init=start, v_init=-start),
        neurons("residue", 6, reset="subtract", bias_mant=50, bias_exp=6, v_init=start, vth=70),
        neurons("signs", 6, vth_low=-40, v_init=start, u_init=640),
        neurons("late", 6, dv=0, reset_interval=4, reset_offset=6, v_init=start, bias_mant=9, bias_exp=6),
        neurons("twelve", 6, dv=0, reset_interval=6, reset_offset=1, v_init=start, bias_mant=3, bias_exp=6),
        neurons("driven", 6, vth_low=-90, dv=0, current="drive", v_init=start, bias_mant=2, bias_exp=7, reset_interval=5),
        neurons("started", 6, v_init=6000, u_init=start, bias_mant=40, bias_exp=6, dv=0, start=2, vth=80),
        neurons("started_own", 6, reset="subtract", refractory=2, v_init=-start, bias_mant=30, bias_exp=6, start=3, vth=40),
        neurons("started_signs", 6, vth_low=-80, current="drive2", v_init=2 * start, dv=0, start=2),
        neurons("started_clock", 6, dv=0, v_init=9000, bias_mant=9, bias_exp=6, reset_interval=4, reset_offset=3, start=2),
        neurons("conv", 3, 3, 2), neurons("delayed", 3, 3, 2),
        neurons("pieces", 128, 1, vth=100), neurons("whole", 127, 1, vth=40),
        neurons("sink", 4, vth=20),
    ]  # fmt: skip
    projections = [
        project("x", "ring", drawn(6, 6)),
        project("ring", "ring", drawn(6, 6), delay=drawn(6, 6, low=1, high=5)),
        project("ring", "residue", drawn(6), Pattern("one_to_one"), delay=2),
        project("residue", "signs", drawn(6, 6, low=-160)),
        project("signs", "ring", drawn(9), sparse(*((i % 6, i * i % 6) for i in range(9))), binary=False, delay=3),
        project("signs", "late", drawn(6, 6), binary=False),
        project("signs", "twelve", drawn(6, 6), binary=False, delay=drawn(6, 6, low=1, high=4)),
        project("x", "driven", drawn(6, 6)),
        project("x", "started", drawn(6, 6), delay=2),
        project("ring", "started_own", drawn(6, 6), delay=drawn(6, 6, low=2, high=4)),
        project("started", "started_signs", drawn(6, 6)),
        project("started_signs", "started_clock", drawn(6, 6), binary=False),
        project("image", "conv", drawn(3, 2, 2, 2), conv((2, 2))),
        project("image", "delayed", drawn(3, 2, 2, 2), conv((2, 2)), delay=drawn(3, 2, 2, 2, low=1, high=5)),
        project("conv", "conv", drawn(3, 3, 3, 1, low=-60, high=60), conv((3, 1), padding=(1, 0))),
        project("conv", "delayed", drawn(3, 3, 1, 1), conv((1, 1)), delay=2),
        project("wide", "pieces", drawn(128, 1, 2, low=0), conv((2,), groups=(128,))),
        project("fits", "whole", drawn(127, 1, 1, low=0), conv((1,), groups=(127,))),
        *(
            project(name, "sink", drawn(4, n, low=-20, high=30))
            for name, n in (
                ("late", 6),
                ("twelve", 6),
                ("driven", 6),
                ("started", 6),
                ("started_own", 6),
                ("started_clock", 6),
                ("delayed", 18),
                ("pieces", 128),
                ("whole", 127),
            )
        ),
    ]
    late = {"signs": 2, "sink": 2, "started": 2, "started_own": 3, "started_signs": 2, "started_clock": 2}
    return lowered(populations, projections, late, ticks=10)


def stimulus_of(net: LoweredNetwork, samples: int, ticks: int) -> dict[str, Array]:
    rng = np.random.default_rng(17)
    stimulus: dict[str, Array] = {}
    for p in net.network.populations.values():
        if p.dynamics == "current":
            values = rng.integers(-6000, 9000, (samples, 1, p.size))
            stimulus[p.name] = np.repeat(values, ticks, axis=1)
        elif p.name == "graded":
            stimulus[p.name] = rng.integers(-90, 200, (samples, ticks, p.size))
        elif p.is_input:
            stimulus[p.name] = (rng.random((samples, ticks, p.size)) < 0.3).astype(np.int8)
    return stimulus


def difference(trace: Trace, expected: Mapping[str, Mapping[str, Array]], net: LoweredNetwork) -> list[str]:
    """Return the registers of the populations in which a trace is not what is expected."""
    found = []
    for p in net.network.populations.values():
        for register in ("spikes",) if p.is_input else REGISTERS:
            wanted, actual = expected[register][p.name], getattr(trace, register)[p.name]
            if trace.windowed:
                lag = net.lag[p.name]
                wanted = wanted[:, lag : lag + trace.ticks]
            if not np.array_equal(wanted, actual):
                found.append(f"{p.name}.{register}")
    return found


def without(net: LoweredNetwork, name: str, **fields: Any) -> LoweredNetwork:
    network = net.network
    changed = replace(network.populations[name], **fields)
    return replace(net, network=replace(network, populations={**network.populations, name: changed}))


@pytest.mark.lava
@pytest.mark.parametrize(
    ("build", "samples", "ticks", "windowed"), [(in_step, 3, 8, True), (apart, 2, 10, False)], ids=["in step", "apart"]
)
def test_lava_equals_plain_loops(build: Any, samples: int, ticks: int, windowed: bool) -> None:
    net = build()
    stimulus = stimulus_of(net, samples, ticks)
    assert LavaWitness().unavailable(net) is None
    assert samples_stay_apart(net) is windowed
    trace = LavaWitness().run(net, stimulus).verify()
    assert trace.windowed is windowed
    expected = oracle(net, stimulus)
    assert difference(trace, expected, net) == []
    # Each feature is exercised: without it, the population does something else.
    plain: list[tuple[str, dict[str, Any]]] = []
    for p in net.network.populations.values():
        if p.is_input:
            continue
        assert expected["spikes"][p.name].any() or not p.fires, f"{p.name} never spikes"
        if p.dynamics == "ternary":
            assert (expected["spikes"][p.name] < 0).any(), f"{p.name} never sends -1"
        plain += [(p.name, {"refractory": 0})] if p.refractory else []
        plain += [(p.name, {"reset": "zero"})] if p.reset != "zero" else []
        plain += [(p.name, {"reset_interval": None})] if p.reset_interval else []
        plain += [(p.name, {"current": None})] if p.current else []
        plain += [(p.name, {"start": 0})] if p.start else []
        plain += [] if p.fires else [(p.name, {"fires": True})]
    for name, fields in plain:
        given = {other: sent for other, sent in expected["spikes"].items() if other != name}
        other = oracle(without(net, name, **fields), stimulus, given)["v"][name]
        assert not np.array_equal(other, expected["v"][name]), f"{name} does not need {fields}"


# Which process executes what


def test_convolutions_run_as_conv_where_it_is_exact() -> None:
    expected = {
        in_step: {"x->conv", "x->grouped", "x->depthwise", "line->conv1"},
        apart: {"image->conv", "conv->conv", "fits->whole"},
    }
    for build, names in expected.items():
        network = build().network
        assert {q.name for q in network.projections if runs_as_conv(network, q)} == names


def one_convolution(
    source: tuple[int, ...], target: tuple[int, ...], pattern: Pattern, weight: int = 2, **options: Any
) -> tuple[IntegerNetwork, IntegerProjection]:
    kernel, groups = pattern.options["kernel"], pattern.options["groups"][0]
    weights = np.full((target[0], source[0] // groups, *kernel), weight)
    made = lowered([spikes("x", *source), neurons("y", *target)], [project("x", "y", weights, pattern, **options)], {})
    return made.network, made.network.projections[0]


@pytest.mark.parametrize(
    ("source", "target", "pattern", "exact"),
    [
        ((1, 127), (1, 125), conv((3,)), True),
        ((1, 128), (1, 126), conv((3,)), False),
        ((1, 125), (1, 125), conv((3,), padding=(1,)), True),
        ((1, 126), (1, 126), conv((3,), padding=(1,)), False),
        ((127, 1), (1, 1), conv((1,)), True),
        ((128, 1), (1, 1), conv((1,)), False),
        ((1, 1), (127, 1), conv((1,)), True),
        ((1, 1), (128, 1), conv((1,)), False),
        ((127, 1), (127, 1), conv((1,), groups=(127,)), True),
        ((128, 1), (128, 1), conv((1,), groups=(128,)), False),
        ((1, 2, 3), (1, 1, 1), conv((1, 1), stride=(127, 127)), True),
        ((1, 2, 3), (1, 1, 1), conv((1, 1), stride=(2, 128)), False),
        ((1, 2, 3), (1, 2, 3), conv((1, 1), dilation=(1, 128)), False),
        ((1, 127, 1), (1, 1, 1), conv((2, 1), dilation=(126, 1)), True),
    ],
)
def test_conv_computes_its_geometry_in_8_bits(
    source: tuple[int, ...], target: tuple[int, ...], pattern: Pattern, exact: bool
) -> None:
    assert runs_as_conv(*one_convolution(source, target, pattern)) is exact


def test_conv_has_no_delays_no_values_and_24_bits() -> None:
    image, place, whole = (100, 5, 5), (1, 1, 1), conv((5, 5))
    assert runs_as_conv(*one_convolution(image, place, whole))
    assert not runs_as_conv(*one_convolution(image, place, whole, delay=2))
    assert not runs_as_conv(*one_convolution(image, place, whole, delay=np.ones((1, 100, 5, 5), np.int64)))
    assert not runs_as_conv(*one_convolution(image, place, whole, binary=False))
    # 2500 weights of 26 << 7 add up to less than 2**23, of 28 << 7 to more.
    assert runs_as_conv(*one_convolution(image, place, whole, 26, exponent=7))
    assert not runs_as_conv(*one_convolution(image, place, whole, 28, exponent=7))
    assert not runs_as_conv(*one_convolution(image, place, whole, -28, exponent=7))
    assert runs_as_conv(*one_convolution(image, place, whole, 8, exponent=-3))
    network, q = one_convolution(image, place, whole, 8, exponent=-3)
    assert not runs_as_conv(network, replace(q, exponent=-4))


def test_models_say_who_wrote_them() -> None:
    own = {"refractory", "subtract", "both", "never", "signs2", "kept", "mixed_up", "driven_signs"}
    net = in_step()
    inputs = {p.name for p in net.network.populations.values() if p.is_input}
    models = LavaWitness().models(net)
    assert {name for name, model in models.items() if model == "own"} == own
    assert {name for name, model in models.items() if model == "stock"} == net.network.populations.keys() - inputs - own
    assert {name for name, model in LavaWitness().models(apart()).items() if model == "own"} == {
        "ring",
        "residue",
        "started_own",
    }


# Whether samples can run without a gap


def chain(**options: Any) -> LoweredNetwork:
    """x -> a -> b, and x -> b with the delay that the lags ask for."""
    populations = [spikes("x", 2), neurons("a", 2), neurons("b", 2, **options)]
    hops = [project("x", "a", drawn(2, 2)), project("a", "b", drawn(2, 2)), project("x", "b", drawn(2, 2), delay=2)]
    return lowered(populations, hops, {"b": 2})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reset": "subtract"},
        {"refractory": 9},
        {"vth_low": -3},
        {"reset_interval": 5, "reset_offset": 1},
        {"bias_exp": 3},
    ],
)
def test_samples_stay_apart(options: dict[str, Any]) -> None:
    assert samples_stay_apart(chain(**options))


@pytest.mark.parametrize("options", [{"v_init": [0, 1]}, {"u_init": -1}, {"bias_mant": [3, 0]}, {"start": 2}])
def test_samples_that_need_time_of_their_own(options: dict[str, Any]) -> None:
    assert not samples_stay_apart(chain(**options))


def test_a_bias_moves_only_what_begins_before_its_window() -> None:
    populations = [neurons("clock", 1, bias_mant=90, bias_exp=5), neurons("a", 1)]
    made = lowered(populations, [project("clock", "a", drawn(1, 1))], {"clock": 0})
    assert samples_stay_apart(made)
    assert not samples_stay_apart(without(made, "a", parameters=populations[0].parameters))


@pytest.mark.parametrize("delay", [1, 3])
def test_delays_that_are_not_the_lags_cross_samples(delay: int) -> None:
    """Longer ones bring a spike to the next sample; shorter ones bring the next sample's first spikes to this one's end."""
    made = chain()
    first, second, skip = made.network.projections
    other = replace(skip, delay=np.asarray(delay))
    assert not samples_stay_apart(replace(made, network=replace(made.network, projections=(first, second, other))))


def test_cycles_keep_spikes_under_way() -> None:
    made = chain()
    back = project("b", "a", drawn(2, 2))
    assert not samples_stay_apart(replace(made, network=replace(made.network, projections=(*made.network.projections, back))))


# What Lava cannot do


@pytest.mark.lava
def test_what_lava_cannot_do_is_said() -> None:
    witness = LavaWitness()
    made = chain()
    assert witness.unavailable(made) is None
    assert witness.unavailable(without(made, "b", compare=">=")) == "'b' spikes where v >= threshold; Lava compares by >"
    first, second, skip = made.network.projections
    late = replace(made, network=replace(made.network, projections=(first, second, replace(skip, delay=np.asarray(65)))))
    assert witness.unavailable(late) == "'x->b' has a delay of 65 ticks; Lava's longest is 64"
    pool = Pattern("maxpool2d", {}, {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)})
    projection = replace(project("x", "a", drawn(3, 4)), pool=pool)
    pooled = lowered([spikes("x", 1, 4, 4), neurons("a", 3)], [projection], {})
    assert witness.unavailable(pooled) == "'x->a' has a max pool, which no process of Lava computes"
    wide = replace(FORM, name="wide", v_bits=32, u_overflow="wrap")
    other = replace(made, network=replace(made.network, number_format=wide))
    assert witness.unavailable(other) == "Lava's arithmetic is not that of 'wide': u_overflow wrap, not fold; v_bits 32, not 24"
