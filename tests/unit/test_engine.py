"""The fast engine gives the trace of the reference, bit for bit: spikes, u, v and events, on whatever a network can hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.engine import simulator as engine
from neurocomp.engine.kernels import records
from neurocomp.engine.simulator import FastSimulator
from neurocomp.errors import EngineUnavailable, NetworkError
from neurocomp.hardware import LAVA_UNCHECKED, NumberFormat
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, SignMode
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import PATTERNS, Pattern
from neurocomp.passes.legalize import legalize
from neurocomp.testing.golden import (
    compartments,
    conv,
    current_population,
    driven,
    input_population,
    integer_network,
    integers_of,
    max_pool,
    raw_synapses,
    synapses,
)
from neurocomp.testing.random_integers import EXTREME, PLAIN, Case, IntegerVariety, random_integer_network
from neurocomp.testing.random_networks import random_network
from neurocomp.testing.traces import trace_difference
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]
Shape = tuple[int, ...]
FORMATS = {overflow: dataclasses.replace(LAVA_UNCHECKED, name=overflow, u_overflow=overflow) for overflow in ("fold", "wrap")}
WORD = 1 << 31


@pytest.fixture(autouse=True, params=["alone", "together"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run samples one by one, as large networks do, and all at once, as small ones do."""
    alone = request.param == "alone"
    monkeypatch.setattr(engine, "_together", lambda plan, samples, jobs: 1 if alone else max(1, -(-samples // jobs)))
    return str(request.param)


def same(
    network: IntegerNetwork,
    stimulus: Mapping[str, Array],
    lag: dict[str, int] | None = None,
    fast: FastSimulator | None = None,
    **options: Any,
) -> Trace:
    """Run both simulators, compare, and return the trace of the reference."""
    wanted = ReferenceSimulator().run(network, stimulus, lag=lag, **options)
    found = (fast or FastSimulator(jobs=1)).run(network, stimulus, lag=lag, **options)
    difference = trace_difference(found, wanted)
    assert difference is None, difference
    found.verify()
    return wanted


def registers(trace: Trace, population: str = "n") -> set[str]:
    """Return the registers of a population that overflowed."""
    return {event.register for event in trace.events if event.population == population}


def spikes(shape: Shape, density: float = 0.3, seed: int = 0) -> Array:
    """Draw zeros and ones, (samples, ticks, n)."""
    return (np.random.default_rng(seed).random(shape) < density).astype(np.uint8)


def weights(shape: Shape, low: int = -60, high: int = 60, seed: int = 1) -> Array:
    """Draw integers."""
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True)


def neurons(name: str, n: int | Shape, vth: Any = 60, **options: Any) -> IntegerPopulation:
    """Return compartments that leak and now and then spike."""
    own = {key: options.pop(key) for key in tuple(options) if key in ("du", "dv", "bias_mant", "bias_exp", "vth_low")}
    return compartments(name, n, {"du": 2000, "dv": 300, "vth": vth, **own}, **options)


def joined(
    source: IntegerPopulation, target: IntegerPopulation, pattern: Pattern, *, seed: int = 1, raw: bool = False, **options: Any
) -> IntegerProjection:
    """Return a projection with drawn weights."""
    start = source.shape
    if options.get("pool") is not None:
        pooled = PATTERNS[options["pool"].kind].output_shape(options["pool"], start, ())
        assert pooled is not None
        start = pooled
    shape = PATTERNS[pattern.kind].weight_shape(pattern, start, target.shape)
    if callable(options.get("delay")):
        options["delay"] = options["delay"](shape)
    if raw:
        return raw_synapses(source.name, target.name, weights(shape, seed=seed), pattern=pattern, **options)
    return synapses(source.name, target.name, weights(shape, seed=seed), pattern=pattern, **options)


def sparse(n_source: int, n_target: int, count: int, seed: int = 2) -> Pattern:
    """Draw pairs, at times the same one twice."""
    rng = np.random.default_rng(seed)
    ends = {"sources": rng.integers(0, n_source, count), "targets": rng.integers(0, n_target, count)}
    return Pattern("sparse", {key: frozen(values) for key, values in ends.items()})


def block(n_source: int, blocks: int, fan_in: int, seed: int = 3) -> Pattern:
    """Draw which sources the blocks see."""
    return Pattern("block", {"indices": frozen(np.random.default_rng(seed).integers(0, n_source, (blocks, fan_in)))})


def pattern_of(kind: str, source: Shape, target: Shape) -> Pattern:
    """Return a pattern of a kind between two shapes (4, 6, 6) -> (4, 6, 6), or between any for the others."""
    n, m = int(np.prod(source)), int(np.prod(target))
    made = {
        "dense": lambda: Pattern("dense"),
        "one_to_one": lambda: Pattern("one_to_one"),
        "sparse": lambda: sparse(n, m, 3 * m),
        "block": lambda: block(n, m // 4, 5),
        "conv1d": lambda: conv((3,), padding=1),
        "conv2d": lambda: conv((3, 3), padding=1, groups=2),
    }
    return made[kind]()


KINDS = ("dense", "one_to_one", "sparse", "block", "conv1d", "conv2d")


# Random networks


@pytest.mark.parametrize("variety", [PLAIN, EXTREME], ids=["plain", "extreme"])
@pytest.mark.parametrize("first", range(0, 100, 50))
def test_random_integer_networks(first: int, variety: IntegerVariety, chunks: str) -> None:
    fast, offset = FastSimulator(jobs=1), 1000 if chunks == "together" else 0
    for seed in range(first + offset, first + offset + 50):
        network, stimulus, lag = random_integer_network(seed, variety)
        same(network, stimulus, lag, fast)


def test_random_native_networks(chunks: str) -> None:
    offset = 1000 if chunks == "together" else 0
    for seed in range(offset, offset + 70):
        network, stimulus = random_network(seed)
        same(integers_of(legalize(network)[0]), stimulus)


def test_extreme_networks_are_extreme() -> None:
    """Every register overflows in many networks, and yet neurons spike and stay silent."""
    overflows = dict.fromkeys(("accumulator", "u", "v"), 0)
    spiking = active = 0
    for seed in range(100):
        network, stimulus, lag = random_integer_network(seed, EXTREME)
        trace = ReferenceSimulator().run(network, stimulus, lag=lag)
        for register in overflows:
            overflows[register] += any(event.register == register for event in trace.events)
        for name in trace.u:
            share = float((trace.spikes[name] != 0).mean())
            spiking, active = spiking + (share > 0), active + (0 < share < 0.5)
    assert min(overflows.values()) > 30
    assert spiking > 100
    assert active > 50


# Registers


@pytest.mark.parametrize("overflow", ["fold", "wrap"])
@pytest.mark.parametrize("u_bits", [24, 16, 8])
@pytest.mark.parametrize("state_shift", [6, 0])
def test_currents_at_every_edge(overflow: str, u_bits: int, state_shift: int) -> None:
    """The input drives one neuron by each number around the ends of the registers."""
    form = dataclasses.replace(FORMATS[overflow], u_bits=u_bits, state_shift=state_shift)
    ends = [0, *(1 << bits for bits in (7, 8, 9, 15, 16, 17, 19, 23, 24, 25, 26, 30))]
    drive = sorted({sign * end + step for end in ends for sign in (-1, 1) for step in (-1, 0, 1)} | {-WORD, WORD - 1})
    n = len(drive)
    stimulus = np.array([[drive, np.roll(drive, 7), np.zeros(n), drive[::-1], np.roll(drive, 3)]]).astype(np.int64)
    for du in (0, 4095, 4094):
        trace = same(driven(compartments("n", n, {"du": du, "dv": 100, "vth": 1 << 12}), form=form), {"a_in": stimulus})
        assert {"accumulator", "u"} <= registers(trace)
        assert trace.v["n"].any()
        # Each number in a sample of its own: elsewhere an overflow beside it takes the whole tile to the wide update.
        alone = driven(compartments("n", 1, {"du": du, "dv": 100, "vth": 1 << 12}), form=form)
        same(alone, {"a_in": stimulus.transpose(2, 1, 0)})


@pytest.mark.parametrize("v_bits", [24, 13, 8])
def test_potentials_saturate(v_bits: int) -> None:
    form = dataclasses.replace(LAVA_UNCHECKED, v_bits=v_bits)
    bias = np.array([32767, -32768, 4095, -4095, 1, -1, 0])
    n = compartments("n", 7, {"du": 4095, "vth": 1 << 20, "bias_mant": bias, "bias_exp": 7})
    trace = same(integer_network([n], [], form=form, ticks=40), {})
    top = (1 << (v_bits - 1)) - 1
    assert (trace.v["n"].min(), trace.v["n"].max()) == (-top, top)
    assert registers(trace) == {"v"}

    # Each in a sample of its own: potentials that end one below, at and one above the ends, at once and after some ticks.
    ends = [sign * (top // share) + step for sign in (1, -1) for share in (1, 2, 3) for step in range(-2, 3)]
    current, n = current_population("i", 1), compartments("n", 1, {"du": 4095, "vth": 1 << 20}, current="i")
    values = np.broadcast_to(np.array(ends)[:, None, None], (len(ends), 5, 1))
    for refractory in (0, 2):
        network = integer_network([current, dataclasses.replace(n, refractory=refractory)], [], form=form)
        events = same(network, {"i": values}).events
        assert [event.register for event in events] == ["v"]


@pytest.mark.parametrize("overflow", ["fold", "wrap"])
def test_decays(overflow: str) -> None:
    """Every pair of decays within the range and beyond it, one per neuron and one for all."""
    decays = [0, 1, 2, 2048, 4094, 4095, 4096, 4097, 5000, 8192, -1]
    du, dv = (values.ravel() for values in np.meshgrid(decays, decays))
    start = {"u_init": weights(du.shape, -(1 << 23), 1 << 23), "v_init": weights(du.shape, -(1 << 23), 1 << 23, seed=2)}
    stimulus = {"a_in": weights((2, 12, len(du)), -3000, 3000) * spikes((2, 12, len(du)), 0.4)}
    same(driven(compartments("n", len(du), {"du": du, "dv": dv, "vth": 1 << 16, **start}), form=FORMATS[overflow]), stimulus)
    for one_du, one_dv in zip(du, dv, strict=True):
        n = compartments("n", len(du), {"du": one_du, "dv": one_dv, "vth": 1 << 16, **start})
        same(driven(n, form=FORMATS[overflow]), stimulus)


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("compare", [">", ">="])
@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("kind", ["fires", "readout", "ternary"])
def test_thresholds(reset: Any, compare: Any, refractory: int, kind: str) -> None:
    """Potentials start one below, at and one above thresholds of every size and sign."""
    vth = np.array([0, 1, -1, 5, -5, 131071, -131072, 1 << 18, 1 << 24, -(1 << 24), (1 << 24) - 1])
    vth, step = (values.ravel() for values in np.meshgrid(vth, [-2, -1, 0, 1, 2]))
    parameters: dict[str, Any] = {"du": 4095, "vth": vth, "v_init": (vth << 6) + step, "bias_mant": np.sign(step) // 2}
    if kind == "ternary":
        parameters["vth_low"] = np.roll(vth, 3)
    options: dict[str, Any] = {"reset": reset, "compare": compare, "refractory": refractory, "fires": kind != "readout"}
    each = compartments("n", len(vth), parameters, **options)
    all_one = [
        compartments(f"n{i}", len(vth), {**parameters, "vth": int(vth[i]), "vth_low": int(vth[i - 9])}, **options)
        if kind == "ternary"
        else compartments(f"n{i}", len(vth), {**parameters, "vth": int(vth[i])}, **options)
        for i in range(0, len(vth), 4)
    ]
    alone = [
        compartments(f"alone {i}", 1, {key: v[i] if np.ndim(v) else v for key, v in parameters.items()}, **options)
        for i in range(len(vth))
    ]
    trace = same(integer_network([each, *all_one, *alone], [], ticks=6), {})
    assert trace.spikes["n"].any() == (kind != "readout")
    assert (trace.spikes["n"] < 0).any() == (kind == "ternary")


def test_potentials_beyond_32_bits_are_refused() -> None:
    n = compartments("n", 1, {"vth": 1 << 25}, reset="subtract")
    with pytest.raises(EngineUnavailable) as raised:
        FastSimulator(jobs=1).run(integer_network([n], []), {})
    assert [d.code for d in raised.value.diagnostics] == ["NC0320"]


def test_biases() -> None:
    mantissas = [0, 1, -1, 4095, -4095, 32767, -32768, 40000, -40000, 65536]
    exponents = [0, 7, -1, -7, -15, -16, -40, 8, 13, 16, 17, 20, 31, 32, 40, 32768, 65535, -32768]
    mantissa, exponent = (values.ravel() for values in np.meshgrid(mantissas, exponents))
    each = compartments("n", len(mantissa), {"du": 4095, "dv": 900, "vth": 3000, "bias_mant": mantissa, "bias_exp": exponent})
    ones = [
        compartments(f"n{i}", 3, {"du": 4095, "dv": 900, "vth": 3000, "bias_mant": int(m), "bias_exp": int(e)})
        for i, (m, e) in enumerate(zip(mantissa, exponent, strict=True))
    ]
    trace = same(integer_network([each, *ones], [], ticks=9), {})
    assert registers(trace) == {"v"}
    assert trace.spikes["n"].any()


@pytest.mark.parametrize("refractory", [1, 2, 3, 5, 63, 32767, 40000, 1_000_000, WORD - 1])
@pytest.mark.parametrize("clock", [None, 7])
def test_refractory_periods(refractory: int, clock: int | None) -> None:
    x = input_population("x", 20)
    for reset in ("zero", "subtract", "none"):
        n = neurons("n", 20, refractory=refractory, reset=reset, reset_interval=clock, reset_offset=2)
        trace = same(integer_network([x, n], [joined(x, n, Pattern("dense"))]), {"x": spikes((2, 30, 20))})
        assert trace.spikes["n"].any()


@pytest.mark.parametrize("interval", [1, 2, 5, 200])
@pytest.mark.parametrize("offset", [0, 1, 4, 11, 90])
def test_reset_schedules(interval: int, offset: int) -> None:
    """With and without a start, a current window and refractory neurons; the stimulus ends and the clock goes on."""
    x, current = input_population("x", 9), current_population("i", 9)
    n = neurons("n", 9, refractory=3, current="i", reset_interval=interval, reset_offset=offset, bias_mant=90)
    for start in (0, 1, 6):
        late = dataclasses.replace(
            n, start=start, parameters={**n.parameters, "v_init": np.array(500), "u_init": np.array(-99)}
        )
        network = integer_network([x, current, late], [joined(x, late, Pattern("dense"))])
        values = np.broadcast_to(weights((2, 1, 9), -500, 900), (2, 20, 9))
        same(network, {"x": spikes((2, 20, 9)), "i": values}, {"x": 0, "i": 0, "n": start})
        same(network, {"x": spikes((2, 20, 9)), "i": values}, {"x": 11, "i": 0, "n": 4})


# Sums


def test_sums_beyond_16_bits_and_words() -> None:
    """Weights of 16 bits, values and fan-ins so large that sums of one group wrap, and those of several leave 32 bits."""
    x, n = input_population("x", 40), compartments("n", 12, {"du": 4000, "dv": 10, "vth": 1 << 16}, reset="subtract")
    values = np.random.default_rng(0).choice(np.array([0, 1, -1, 32767, -32768, WORD - 1, -WORD]), (2, 10, 40))
    for exponent in (-8, -1, 0, 7):
        for binary in (True, False):
            options: dict[str, Any] = {"exponent": exponent, "binary": binary}
            large = weights((12, 40), -32768, 32767)
            each = weights((12, 40), 0, 3, seed=5)
            projections = [
                dataclasses.replace(raw_synapses("x", "n", large, delay=each, **options), name="raw"),
                dataclasses.replace(raw_synapses("x", "n", abs(large) // 2, **options), name="raw positive"),
                synapses("x", "n", weights((12, 40), 200, 255), name="excitatory", **options),
                synapses("x", "n", weights((12, 40), -255, -200), name="inhibitory", **options),
                synapses("x", "n", weights((12, 40), -256, 255), name="mixed", delay=each, **options),
            ]
            trace = same(integer_network([x, n], projections), {"x": values})
            assert exponent < 0 or {"accumulator", "u"} <= registers(trace)
            for projection in projections:
                same(integer_network([x, n], [projection]), {"x": values})


@pytest.mark.parametrize("width", ["uint8", "int8", "int16"])
def test_fan_in_beyond_a_word(width: str) -> None:
    """So many spikes that 16-bit sums need many passes, and weights of 16 bits or large exponents leave 32 bits."""
    sources = 70000
    x, n = input_population("x", sources), compartments("n", 2, {"du": 4095, "dv": 0, "vth": 1 << 16})
    stimulus = {"x": np.stack([np.ones((4, sources)), spikes((4, sources), 0.5)]).astype(np.uint8)}
    for sign in (1, -1):
        for exponent in (7, 0):
            if width == "int16":
                matrix = np.full((2, sources), 32767 if sign > 0 else -32768)
                projection = raw_synapses("x", "n", matrix, exponent=exponent)
            else:
                matrix = np.full((2, sources), 254 * sign if width == "int8" else 255 * sign)
                projection = synapses("x", "n", matrix, sign_mode="mixed" if width == "int8" else None, exponent=exponent)
                assert projection.mantissa.dtype == width
            trace = same(integer_network([x, n], [projection]), stimulus)
            assert "accumulator" in registers(trace)


def test_sums_that_wrap_to_almost_nothing() -> None:
    """2**25 stored weights << 7 are 2**32: as 64-bit numbers they overflow, as 32-bit words they would be small."""
    n, half = compartments("n", 1, {"du": 4095, "vth": 1 << 16}), 65793
    x, y = input_population("x", 2 * half), input_population("y", half)
    for sign in (1, -1):
        one = synapses("x", "n", np.full((1, 2 * half), 255 * sign), exponent=7)
        network = integer_network([x, n], [one])
        trace = same(network, {"x": np.ones((1, 2, 2 * half), np.uint8)})
        assert {"accumulator", "u"} <= registers(trace)
        two = [synapses("y", "n", np.full((1, half), 255 * sign), name=name, exponent=7) for name in "ab"]
        trace = same(integer_network([y, n], two), {"y": np.ones((1, 2, half), np.uint8)})
        assert {"accumulator", "u"} <= registers(trace)


@pytest.mark.parametrize("exponent", range(-8, 8))
def test_exponents(exponent: int) -> None:
    """A negative exponent rounds the sum of each delay of each projection; every sign and width of weights."""
    x, n = input_population("x", 25), neurons("n", (4, 5), vth=200, dv=20)
    signs: list[SignMode] = ["mixed", "excitatory", "inhibitory"]
    ranges: dict[SignMode, tuple[int, int]] = {"mixed": (-255, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}
    projections: list[IntegerProjection] = []
    for sign in signs:
        for bits in (8, 5, 1):
            for delay in (0, 2, weights((20, 25), 0, 4, seed=bits)):
                projections.append(
                    synapses(
                        "x", "n", weights((20, 25), *ranges[sign], seed=bits), name=f"{sign} {len(projections)}",
                        sign_mode=sign, weight_bits=bits, exponent=exponent, delay=delay,
                    )
                )  # fmt: skip
    trace = same(integer_network([x, n], projections), {"x": spikes((2, 12, 25))})
    assert trace.u["n"].any()
    for projection in projections:
        same(integer_network([x, n], [projection]), {"x": spikes((2, 7, 25))})


def test_negative_exponents_where_every_weight_is_divisible() -> None:
    """Stored weights then do without their low bits."""
    x, n = input_population("x", 25), neurons("n", 20)
    for exponent in range(-8, 0):
        for sign in (1, -1, 0):
            values = weights((20, 25), -7, 7) if sign == 0 else sign * weights((20, 25), 0, 7)
            multiples = values << min(7, -exponent)
            pairs = {"sources": np.tile(np.arange(25), 20), "targets": np.repeat(np.arange(20), 25)}
            for pattern in (Pattern("dense"), Pattern("sparse", pairs)):
                made = multiples if pattern.kind == "dense" else multiples.ravel()
                q = synapses("x", "n", made, pattern=pattern, exponent=exponent, delay=1)
                same(integer_network([x, n], [q]), {"x": spikes((1, 9, 25))})


def test_many_projections_into_one_population() -> None:
    """Signs, shifts, exponents, delays, patterns and graded spikes that end in the same sums, near the end of a word."""
    x, y, n = input_population("x", 64), input_population("y", 64), neurons("n", 64, vth=1000)
    projections: list[IntegerProjection] = []
    for index, kind in enumerate(("dense", "one_to_one", "sparse", "block", "dense", "sparse")):
        for exponent in (0, 3, 7, -2):
            pattern = pattern_of(kind, (64,), (64,))
            shape = PATTERNS[kind].weight_shape(pattern, (64,), (64,))
            values = weights(shape, *((-255, 0), (0, 255), (-255, 255))[index % 3])
            q = synapses(
                "xy"[index % 2], "n", values, name=f"{kind} {len(projections)}", pattern=pattern, exponent=exponent,
                weight_bits=8 - index, delay=index % 3, binary=index != 4,
            )  # fmt: skip
            projections.append(q)
    stimulus = {"x": spikes((2, 15, 64)), "y": weights((2, 15, 64), -3, 3)}
    trace = same(integer_network([x, y, n], projections), stimulus)
    assert trace.spikes["n"].any()


# Delays


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [0, -3])
def test_delays_of_every_synapse(kind: str, exponent: int) -> None:
    """0 to 62 ticks, mixed within each pattern, in samples shorter and longer than the delays and than a block."""
    shape = (4, 36) if kind == "conv1d" else (4, 6, 6)
    x, n = input_population("x", shape), neurons("n", shape, dv=100)
    q = joined(
        x, n, pattern_of(kind, shape, shape), exponent=exponent, delay=lambda s: weights(s, 0, 62, seed=9), seed=4
    )  # fmt: skip
    for ticks in (2, 63, 140) if exponent == 0 else (63,):
        same(integer_network([x, n], [q]), {"x": spikes((2, ticks, 144), 0.2, seed=ticks)})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", [False, True])
def test_one_delay(kind: str, raw: bool) -> None:
    shape = (4, 36) if kind == "conv1d" else (4, 6, 6)
    x, n = input_population("x", shape), neurons("n", shape, dv=100)
    for delay in (0, 1, 31, 62, 5000):
        q = joined(x, n, pattern_of(kind, shape, shape), delay=delay, raw=raw)
        for binary in (True, False):
            network = integer_network([x, n], [dataclasses.replace(q, binary=binary)])
            trace = same(network, {"x": spikes((2, 70, 144)) * weights((2, 70, 144), -2, 3)})
            assert trace.u["n"].any() == (delay < 70)


def test_delays_across_short_blocks() -> None:
    """A population so large that few ticks make a block; delays reach across several of them."""
    wide = input_population("x", 40000)
    n, m = neurons("n", 40000, vth=20), neurons("m", 30, vth=300)
    projections = [
        joined(wide, n, Pattern("one_to_one"), delay=lambda s: weights(s, 0, 20, seed=3)),
        joined(n, m, sparse(40000, 30, 9000), delay=lambda s: weights(s, 0, 30, seed=4)),
        joined(m, n, sparse(30, 40000, 9000), delay=lambda s: weights(s, 1, 30, seed=5)),
    ]
    trace = same(integer_network([wide, n, m], projections), {"x": spikes((1, 45, 40000), 0.02)})
    assert trace.spikes["m"].any()
    trace = same(integer_network([wide, n, m], projections[:2]), {"x": spikes((2, 45, 40000), 0.02)})
    assert trace.spikes["m"].any()


# Who hears whom


def test_cycles() -> None:
    """Self loops, pairs and rings; a projection without delay inside a cycle that has delays elsewhere."""
    x = input_population("x", 12)
    a, b, c, d = (neurons(name, 12, vth=80) for name in "abcd")
    into = [joined(x, a, Pattern("dense"))]
    loops = [joined(a, a, Pattern("dense"), delay=1), joined(a, a, sparse(12, 12, 30), delay=lambda s: weights(s, 1, 5))]
    ring = [
        joined(a, b, Pattern("dense"), delay=0),
        joined(b, c, Pattern("one_to_one"), delay=lambda s: weights(s, 0, 3)),
        joined(c, a, Pattern("dense"), delay=2),
    ]
    out = [joined(c, d, Pattern("dense")), joined(x, d, Pattern("dense"), delay=7)]
    for projections, used in (
        ([*into, *loops], [a]),
        ([*into, *ring], [a, b, c]),
        ([*into, *loops, *ring, *out], [a, b, c, d]),
    ):
        for order in ([x, *used], [*used[::-1], x]):
            renamed = [dataclasses.replace(q, name=str(i)) for i, q in enumerate(projections)]
            trace = same(integer_network(order, renamed), {"x": spikes((3, 140, 12))})
            assert all(trace.spikes[p.name].any() for p in used)


def test_a_cycle_of_convolutions() -> None:
    x, a, b = input_population("x", (2, 8, 9)), neurons("a", (3, 8, 9)), neurons("b", (2, 8, 9))
    projections = [
        joined(x, a, conv((3, 3), padding=1)),
        joined(a, b, conv((3, 3), padding=1), delay=0),
        joined(b, a, conv((1, 3), padding=(0, 1)), delay=1),
        dataclasses.replace(joined(a, a, Pattern("one_to_one"), delay=3), name="self"),
        dataclasses.replace(joined(b, a, Pattern("dense"), delay=2, pool=max_pool((2, 2))), name="pooled"),
    ]
    trace = same(integer_network([b, a, x], projections), {"x": spikes((2, 30, 144))})
    assert trace.spikes["b"].any()


def test_layers_with_starts_and_lags() -> None:
    """As lowering makes them: every hop takes a tick, and a population starts when its lag is over."""
    x = input_population("x", 10)
    layers = [
        dataclasses.replace(
            compartments(f"p{i}", 10, {"du": 3000, "dv": 200, "vth": 50, "u_init": 900 * i, "v_init": -700 * i}, refractory=i),
            start=i,
        )
        for i in range(1, 5)
    ]
    chain = [x, *layers]
    projections = [joined(chain[i], chain[i + 1], Pattern("dense"), delay=1, seed=i) for i in range(4)]
    projections += [joined(layers[3], layers[0], Pattern("dense"), delay=5), joined(x, layers[2], Pattern("dense"), delay=4)]
    for count in (4, 6):
        lag = {"x": 0, "p1": 1, "p2": 2, "p3": 3, "p4": 4}
        for ticks in (1, 3, 140):
            trace = same(integer_network(chain, projections[:count]), {"x": spikes((2, ticks, 10))}, lag)
            assert trace.spikes["x"].shape[1] == ticks + 4


def test_what_arrives_before_the_start_is_lost() -> None:
    x, n = input_population("x", 10), neurons("n", 10, refractory=2)
    for start in (1, 7, 8, 9, 129, 500):
        late = dataclasses.replace(n, start=start)
        for recurrent in (False, True):
            projections = [joined(x, late, Pattern("dense"), delay=lambda s: weights(s, 0, 3))]
            projections += [joined(late, late, Pattern("dense"), delay=1)] if recurrent else []
            trace = same(integer_network([x, late], projections), {"x": spikes((2, 140, 10))})
            assert trace.spikes["n"].any() == (start < 140)


# Space

CONVOLUTIONS: dict[str, tuple[Shape, Pattern, int]] = {
    "plain": ((3, 7, 9), conv((3, 3)), 5),
    "padding": ((3, 7, 9), conv((3, 3), padding=(1, 2)), 5),
    "wide padding": ((2, 4, 5), conv((3, 3), padding=(4, 5)), 3),
    "stride": ((3, 7, 9), conv((3, 3), stride=(2, 3)), 5),
    "stride beyond the kernel": ((2, 9, 11), conv((2, 2), stride=(3, 4), padding=1), 3),
    "dilation": ((3, 9, 11), conv((3, 3), dilation=(2, 3)), 5),
    "dilation and stride": ((3, 9, 12), conv((3, 4), dilation=(2, 3), stride=(2, 3), padding=(2, 3)), 5),
    "dilation and even stride": ((2, 11, 13), conv((3, 3), dilation=(3, 2), stride=(2, 4), padding=(3, 1)), 4),
    "groups": ((4, 6, 5), conv((3, 2), groups=2, padding=1), 6),
    "depthwise": ((4, 6, 5), conv((3, 3), groups=4, padding=1, stride=2), 4),
    "depthwise, two each": ((4, 6, 5), conv((2, 3), groups=4, padding=1, dilation=2), 8),
    "one by one": ((5, 4, 4), conv((1, 1)), 7),
    "one channel": ((1, 8, 8), conv((5, 5), padding=2), 1),
    "out to a place": ((3, 5, 6), conv((5, 6)), 9),
    "rectangle": ((2, 3, 17), conv((1, 9), stride=(1, 2), padding=(0, 4)), 3),
    "axis": ((3, 21), conv((4,), padding=2), 5),
    "axis, stride and dilation": ((4, 30), conv((5,), stride=3, dilation=2, padding=4, groups=2), 6),
}


def convolved(source: IntegerPopulation, name: str, pattern: Pattern, channels: int, **options: Any) -> IntegerPopulation:
    """Return neurons of the shape that a convolution with so many channels makes."""
    weight_shape = (channels, source.shape[0] // pattern.options["groups"][0], *pattern.options["kernel"])
    shape = PATTERNS[pattern.kind].output_shape(pattern, source.shape, weight_shape)
    assert shape is not None
    return neurons(name, shape, **options)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str) -> None:
    """Of binary and graded spikes, with one delay and with one per weight, 8 bits and 16; and one behind the other."""
    shape, pattern, channels = CONVOLUTIONS[case]
    x = input_population("x", shape)
    n = convolved(x, "n", pattern, channels)
    size = int(np.prod(shape))
    for options in (
        {}, {"delay": 3}, {"delay": lambda s: weights(s, 0, 6)}, {"exponent": -2}, {"raw": True}, {"binary": False},
        {"binary": False, "delay": lambda s: weights(s, 0, 2)},
    ):  # fmt: skip
        trace = same(integer_network([x, n], [joined(x, n, pattern, **options)]), {"x": weights((2, 9, size), -1, 2)})
        assert trace.u["n"].any()
    before = conv((1,) * (len(shape) - 1))
    m = convolved(x, "m", before, shape[0], vth=20)  # its neurons are held channels last
    strong = synapses("x", "m", np.full((*shape[:1] * 2, *(1 for _ in shape[1:])), 50), pattern=before)
    network = integer_network([x, m, n], [strong, joined(m, n, pattern, delay=lambda s: weights(s, 0, 1))])
    trace = same(network, {"x": spikes((2, 9, size), 0.5)})
    assert trace.spikes["m"].any()
    assert trace.spikes["n"].any()


@pytest.mark.parametrize("kind", ["dense", "sparse", "block", "one_to_one", "conv2d"])
@pytest.mark.parametrize("mixed", [False, True], ids=["one delay", "delays"])
def test_convolutions_into_everything(kind: str, mixed: bool) -> None:
    """From and to populations whose neurons the engine holds channels last, with parameters per neuron, in both directions."""
    x = input_population("x", (4, 6, 6))
    first = conv((3, 3), padding=1)
    own = {"vth": weights((144,), 20, 120), "du": weights((144,), 0, 4095), "dv": weights((144,), 0, 900)}
    own |= {"bias_mant": weights((144,), -90, 90), "u_init": weights((144,), -999, 999), "v_init": weights((144,), -999, 999)}
    current = current_population("i", (4, 6, 6))
    options: dict[str, Any] = {"refractory": 2, "reset": "subtract"}
    a, b, c = (compartments(name, (4, 6, 6), own, **options, current="i") for name in "abc")
    flat = compartments("flat", (36, 4), own, **options)
    delay: Any = (lambda s: weights(s, 0, 4)) if mixed else 1
    projections = [
        joined(x, a, first),
        joined(x, b, first, seed=8),
        joined(a, c, pattern_of(kind, (4, 6, 6), (4, 6, 6)), delay=delay),
    ]
    if kind != "conv2d":
        pattern = pattern_of(kind, (4, 6, 6), (36, 4))
        projections.append(joined(a, flat, pattern, delay=delay))
        projections.append(joined(flat, b, pattern, delay=delay))
        projections.append(dataclasses.replace(joined(a, b, pattern, delay=delay, binary=False), name="graded"))
    projections.append(dataclasses.replace(joined(x, b, pattern_of(kind, (4, 6, 6), (4, 6, 6))), name="again"))
    values = np.broadcast_to(weights((3, 1, 144), -900, 900), (3, 12, 144))
    network = integer_network([x, current, flat, a, b, c], projections)
    trace = same(network, {"x": spikes((3, 12, 144)), "i": values})
    assert all(trace.spikes[name].any() for name in "abc")


POOLS: dict[str, tuple[Shape, Pattern]] = {
    "2d": ((3, 6, 8), max_pool((2, 2))),
    "not square": ((3, 7, 9), max_pool((3, 2), stride=(2, 3))),
    "overlapping": ((3, 7, 9), max_pool((3, 3), stride=(1, 2))),
    "padding": ((2, 6, 7), max_pool((3, 3), stride=(2, 2), padding=(1, 1))),
    "gaps": ((2, 9, 9), max_pool((2, 2), stride=(4, 3), padding=(1, 0))),
    "whole": ((5, 4, 4), max_pool((4, 4))),
    "1d": ((3, 11), max_pool((3,), stride=(2,), padding=1)),
}


@pytest.mark.parametrize("case", POOLS)
def test_maxima(case: str) -> None:
    """Of an input, of neurons held channels last, of graded and ternary spikes, of one source twice, with delays."""
    shape, pool = POOLS[case]
    pooled = PATTERNS[pool.kind].output_shape(pool, shape, ())
    assert pooled is not None
    x = input_population("x", shape)
    axes = len(shape) - 1
    hidden = convolved(x, "hidden", conv((1,) * axes), shape[0], vth=30, vth_low=-30)
    plain = neurons("plain", shape, vth=30)
    out, image = neurons("out", 8, vth=50), neurons("image", pooled, vth=50)
    n = int(np.prod(pooled))
    projections = [joined(x, hidden, conv((1,) * axes)), joined(x, plain, Pattern("one_to_one"))]
    for source in (x, hidden, plain):
        projections += [
            joined(source, out, Pattern("dense"), pool=pool),
            dataclasses.replace(
                joined(source, out, sparse(n, 8, 40), pool=pool, delay=lambda s: weights(s, 0, 5)), name=source.name
            ),
            joined(source, image, conv((1,) * axes), pool=pool, delay=2),
            dataclasses.replace(joined(source, image, Pattern("one_to_one"), pool=pool), name=f"{source.name} one"),
            dataclasses.replace(joined(source, out, Pattern("dense"), delay=1, seed=7), name=f"{source.name} whole"),
        ]
    network = integer_network([x, hidden, plain, out, image], projections)
    trace = same(network, {"x": weights((2, 12, int(np.prod(shape))), -1, 1) * spikes((2, 12, int(np.prod(shape))), 0.4)})
    assert (trace.spikes["hidden"] < 0).any()
    assert trace.spikes["out"].any()
    assert trace.spikes["image"].any()


# Sizes


@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 2049, 3001])
def test_populations_of_every_size(n: int) -> None:
    """Smaller than a word and a line, larger than a tile, with a remainder; overflows in the last neuron alone are noted."""
    assert records.TILE == 1024
    x, a, b = input_population("x", n), neurons("a", n, vth=weights((n,), 20, 90), refractory=1), neurons("b", n, vth=90)
    c = compartments("c", n, {"du": 4095, "vth": 1 << 20, "bias_mant": np.arange(n) == n - 1, "bias_exp": 22})
    projections = [
        joined(x, a, sparse(n, n, 4 * n)),
        joined(a, b, sparse(n, n, 4 * n), delay=lambda s: weights(s, 0, 3)),
        joined(b, a, Pattern("one_to_one"), delay=1),
        joined(b, c, Pattern("one_to_one")),
    ]
    trace = same(integer_network([x, a, b, c], projections), {"x": spikes((3, 20, n))})
    assert n < 8 or trace.spikes["b"].any()
    first = next(event for event in trace.events if event.population == "c")
    assert first.neuron == n - 1


@pytest.mark.parametrize("n", [1025, 9000])
def test_rows_longer_than_a_tile(n: int) -> None:
    """A dense matrix with more targets than are summed in one go, and a convolution of several tiles."""
    x, a = input_population("x", 40), neurons("a", n, vth=300)
    trace = same(integer_network([x, a], [joined(x, a, Pattern("dense"))]), {"x": spikes((2, 12, 40))})
    assert trace.spikes["a"].any()
    image = input_population("x", (2, 20, 30))
    side = convolved(image, "a", conv((3, 3), padding=1), -(-n // 600))
    b = neurons("b", 12)
    projections = [
        joined(image, side, conv((3, 3), padding=1)),
        joined(side, b, Pattern("dense"), delay=lambda s: weights(s, 0, 2)),
    ]
    trace = same(integer_network([image, side, b], projections), {"x": spikes((2, 12, 1200))})
    assert trace.spikes["a"].any()
    assert trace.u["b"].any()


@pytest.mark.parametrize("signs", ["mixed", "inhibitory"])
def test_a_matrix_that_no_cache_holds(signs: SignMode) -> None:
    """More than 8 MiB of weights are taken in blocks of rows and columns for all samples and ticks."""
    x, n = input_population("x", 3100), neurons("n", 3000, vth=2000)
    low, high = (-60, 60) if signs == "mixed" else (-3, 0)
    q = synapses("x", "n", weights((3000, 3100), low, high), sign_mode=signs)
    trace = same(integer_network([x, n], [q]), {"x": spikes((2, 7, 3100), 0.3)})
    assert trace.u["n"].any()
    assert trace.spikes["n"].any() == (signs == "mixed")
    assert FastSimulator(jobs=1).plan(integer_network([x, n], [q]), 7, {"x": 0, "n": 0}).bytes_of_weights > 1 << 23


# Neurons that rest


def test_silent_networks() -> None:
    x, n = input_population("x", 2000), neurons("n", 2000)
    trace = same(integer_network([x, n], [joined(x, n, Pattern("one_to_one"))]), {"x": np.zeros((2, 300, 2000), np.uint8)})
    assert not trace.spikes["n"].any()


def test_settled_neurons_wake() -> None:
    """After a long silence: by a spike, by a spike in another tile alone, by spikes that cancel, by a clock, by a current."""
    n = 1100
    x, current = input_population("x", n), current_population("i", n)
    stimulus = np.zeros((2, 300, n), np.uint8)
    stimulus[:, 0, :30] = stimulus[0, 150, 3] = stimulus[1, 151, 1090] = stimulus[:, 266] = 1
    values = np.broadcast_to(weights((2, 1, n), -60, 400), (2, 300, n))
    for bias, clock, refractory in ((0, None, 0), (5, None, 0), (0, 97, 2), (5, 97, 300)):
        own: dict[str, Any] = {"refractory": refractory, "reset_interval": clock, "reset_offset": 60}
        a = neurons("a", n, dv=1000, bias_mant=bias, **own)
        b = neurons("b", n, dv=1000, current="i", **own)
        one = Pattern("one_to_one")
        plus = synapses("x", "a", np.full(n, 100), pattern=one)
        minus = synapses("x", "a", np.full(n, -100), pattern=one, name="minus", delay=np.where(np.arange(n) % 3, 0, 9))
        network = integer_network([x, current, a, b], [plus, minus, synapses("a", "b", np.full(n, 90), pattern=one)])
        trace = same(network, {"x": stimulus, "i": values}, {"x": 0, "i": 0, "a": 0, "b": 0}, state=True)
        assert trace.spikes["a"].any()
        same(network, {"x": stimulus[:, :200], "i": values[:, :200]}, {"x": 150, "i": 0, "a": 150, "b": 70})


def test_an_overflow_in_every_tick_counts_in_every_tick() -> None:
    """Also where nothing else changes: v rests at its end, u at the fixed point of a fold."""
    n = compartments("n", 3, {"du": 4095, "vth": 1 << 24, "bias_mant": [32767, 0, -32768], "bias_exp": 9})
    trace = same(integer_network([n], [], ticks=300), {})
    assert trace.events[0].count == 600
    folding = compartments("n", 1, {"du": 0, "dv": 4095, "vth": 1 << 24})
    strong = np.full((1, 300, 1), 1 << 18)
    trace = same(driven(folding), {"a_in": strong})
    assert next(event.count for event in trace.events if event.register == "u") > 290


@pytest.mark.parametrize("shape", [(2500,), (20, 5, 25)], ids=["flat", "channels"])
def test_the_first_overflow_is_the_earliest(shape: Shape) -> None:
    """Of the first sample, the earliest tick, the smallest number, whatever the order in which neurons are held and updated."""
    x, n = input_population("x", shape), compartments("n", shape, {"du": 4095, "vth": 1 << 20})
    pattern = Pattern("one_to_one") if len(shape) == 1 else conv((1, 1), groups=20)
    weights_shape = PATTERNS[pattern.kind].weight_shape(pattern, shape, shape)
    network = integer_network([x, n], [synapses("x", "n", np.full(weights_shape, 255), pattern=pattern, binary=False)])
    for early, late in (([2400, 1300, 1127], [3, 130]), ([3], [2400]), ([1290, 2, 126], [1]), ([1024, 1023], [0, 2499])):
        stimulus = np.zeros((3, 40, 2500), np.int32)
        stimulus[1:, 7, early] = stimulus[1:, 20, late] = stimulus[2, 2, 2000] = 1000
        events = same(network, {"x": stimulus}).events
        assert {(event.sample, event.tick, event.neuron) for event in events} == {(1, 7, min(early))}


@pytest.mark.parametrize("low_high", [(-2000, 5000), (-WORD, WORD - 1), ((1 << 29) - 2, (1 << 29) + 2), (-WORD, -WORD + 1)])
def test_currents_of_every_size(low_high: tuple[int, int]) -> None:
    n = 1100
    current = current_population("i", n)
    for refractory in (0, 2):
        p = neurons("n", n, current="i", bias_mant=weights((n,), -4095, 4095), bias_exp=7, refractory=refractory)
        values = np.broadcast_to(weights((3, 1, n), *low_high), (3, 20, n))
        trace = same(integer_network([current, p], []), {"i": values}, {"i": 0, "n": 2})
        assert trace.v["n"].any()


# What a run is asked for


@pytest.mark.parametrize("ticks", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("samples", [0, 1, 3])
def test_samples_and_ticks(samples: int, ticks: int) -> None:
    x, a, b = input_population("x", 12), neurons("a", 12), neurons("b", 5)
    projections = [
        joined(x, a, Pattern("dense"), delay=lambda s: 20 * weights(s, 0, 3)),
        joined(a, b, Pattern("dense"), delay=1),
    ]
    projections.append(joined(b, b, Pattern("dense"), delay=3))
    stimulus = {"x": spikes((samples, ticks, 12))}
    trace = same(integer_network([x, a, b], projections), stimulus)
    assert trace.spikes["b"].shape == (samples, ticks, 5)
    same(integer_network([x, a, b], projections), stimulus, {"x": 0, "a": 3, "b": 131})


def test_networks_without_inputs() -> None:
    a, b = neurons("a", 9, bias_mant=weights((9,), 0, 500), bias_exp=2), neurons("b", 4)
    projections = [joined(a, b, Pattern("dense"), delay=2), joined(b, a, Pattern("dense"), delay=1)]
    for ticks in (1, 200):
        trace = same(integer_network([a, b], projections, ticks=ticks), {})
        assert trace.spikes["a"].shape == (1, ticks, 9)
    assert trace.spikes["b"].any()


def test_parts_that_do_nothing() -> None:
    """Inputs that nobody hears, neurons that hear nobody, projections without synapses or with weights of 0 alone."""
    x, unheard = input_population("x", 6), input_population("y", 3)
    deaf, n = neurons("deaf", 4, bias_mant=300, bias_exp=3), neurons("n", 6)
    none = Pattern("sparse", {"sources": np.zeros(0, np.int64), "targets": np.zeros(0, np.int64)})
    projections = [
        synapses("x", "n", np.zeros(0, np.int64), pattern=none, name="empty", delay=np.zeros(0, np.int64)),
        synapses("x", "n", np.zeros((6, 6)), name="zeros"),
        joined(x, n, Pattern("dense")),
    ]
    stimulus = {"x": spikes((2, 9, 6)), "y": spikes((2, 9, 3))}
    for count in (0, 1, 2, 3):
        same(integer_network([unheard, x, n, deaf], projections[:count]), stimulus)
    same(integer_network([x, unheard], []), stimulus)


DTYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i2", ">i4")


@pytest.mark.parametrize("dtype", DTYPES)
def test_stimuli_of_every_dtype(dtype: str) -> None:
    """Whole ranges, graded and binary; contiguous or not, writable or not."""
    low, high = (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    low, high = max(low, -WORD), min(high, WORD - 1)
    x, n = input_population("x", 10), neurons("n", 7)
    drawn = np.random.default_rng(0).choice(np.array([low, high, 0, 1, high // 2 + 1]), (3, 8, 10)).astype(dtype)
    large = np.zeros((6, 8, 20), dtype)
    large[::2, :, ::2] = drawn
    by_tick = np.ascontiguousarray(drawn.transpose(1, 0, 2)).transpose(1, 0, 2)
    views = [
        drawn,
        large[::2, :, ::2],
        by_tick,
        np.asfortranarray(drawn),
        frozen(drawn),
        np.broadcast_to(drawn[:1], (3, 8, 10)),
    ]
    views.append(drawn[::-1])
    for binary in (True, False):
        network = integer_network([x, n], [joined(x, n, Pattern("dense"), binary=binary, delay=1)])
        for values in views:
            same(network, {"x": values})
    current = current_population("i", 7)
    p = neurons("n", 7, current="i")
    same(integer_network([current, p], []), {"i": np.broadcast_to(drawn[:, :1, :7], (3, 8, 7))})


@pytest.mark.parametrize("record", [None, [], ["x"], ["b"], ["b", "x"], ["a", "b", "a"]])
@pytest.mark.parametrize("state", [True, False])
def test_what_is_recorded(record: list[str] | None, state: bool) -> None:
    x, a, b = input_population("x", 12), neurons("a", (3, 2, 2)), neurons("b", 5)
    image = dataclasses.replace(x, shape=(3, 2, 2))
    projections = [joined(image, a, conv((1, 2), padding=(0, 1), stride=(1, 2))), joined(a, b, Pattern("dense"))]
    network = integer_network([image, a, b], projections)
    trace = same(network, {"x": spikes((3, 9, 12))}, record=record, state=state)
    assert list(trace.u) == ([name for name in trace.spikes if name != "x"] if state else [])


# Threads


@pytest.fixture
def busy() -> Case:
    """Return a network with every kind of node, whose registers overflow in some samples, for 23 samples."""
    x, a, b = input_population("x", (2, 6, 6)), neurons("a", (3, 6, 6), refractory=1), neurons("b", 40, vth=150)
    c = dataclasses.replace(compartments("c", 40, {"du": 1, "dv": 1, "vth": 1 << 20}), start=2)
    projections = [
        joined(x, a, conv((3, 3), padding=1), binary=False),
        joined(a, b, Pattern("dense"), pool=max_pool((2, 2)), delay=lambda s: weights(s, 0, 4)),
        joined(b, b, Pattern("dense"), delay=1),
        joined(b, c, Pattern("one_to_one"), exponent=7, delay=2),
    ]
    stimulus = spikes((23, 50, 72), 0.2) * weights((23, 50, 72), 0, 3)
    stimulus[:7] //= 3
    return integer_network([x, a, b, c], projections), {"x": stimulus}, {"x": 0, "a": 0, "b": 0, "c": 2}


def test_the_number_of_threads_changes_nothing(busy: Case) -> None:
    network, stimulus, lag = busy
    wanted = same(network, stimulus, lag)
    assert registers(wanted, "c")
    for jobs in (1, 2, 3, 8, 50, None):
        for _ in range(3):
            found = FastSimulator(jobs=jobs).run(network, stimulus, lag=lag)
            assert trace_difference(found, wanted) is None


@pytest.mark.parametrize("size", [1, 2, 5, 8, 100])
def test_how_samples_are_grouped_changes_nothing(size: int, busy: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    network, stimulus, lag = busy
    wanted = ReferenceSimulator().run(network, stimulus, lag=lag)
    monkeypatch.setattr(engine, "_together", lambda plan, samples, jobs: size)
    for jobs in (1, 3):
        assert trace_difference(FastSimulator(jobs=jobs).run(network, stimulus, lag=lag), wanted) is None


def test_little_memory_changes_nothing(busy: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    network, stimulus, lag = busy
    wanted = ReferenceSimulator().run(network, stimulus, lag=lag)
    monkeypatch.undo()  # the engine's own choice
    assert trace_difference(FastSimulator(jobs=2).run(network, stimulus, lag=lag), wanted) is None
    monkeypatch.setattr(engine, "CHUNK_BYTES", 1)
    assert trace_difference(FastSimulator(jobs=2).run(network, stimulus, lag=lag), wanted) is None


def test_samples_do_not_touch_one_another(busy: Case) -> None:
    network, stimulus, lag = busy
    fast = FastSimulator(jobs=1)
    together = fast.run(network, stimulus, lag=lag)
    for sample in (0, 5, 22):
        alone = fast.run(network, {"x": stimulus["x"][sample : sample + 1]}, lag=lag)
        for register in ("spikes", "u", "v"):
            for name, values in getattr(alone, register).items():
                assert np.array_equal(values[0], getattr(together, register)[name][sample])


def test_one_simulator_for_many_runs() -> None:
    """Other networks, ticks, lags, samples and recordings, in turn; what was planned for one is not taken for another."""
    fast = FastSimulator(jobs=2)
    cases = [random_integer_network(seed, EXTREME) for seed in range(4)]
    for _ in range(2):
        for network, stimulus, lag in cases:
            same(network, stimulus, lag, fast)
            same(network, stimulus, None, fast)
            same(network, stimulus, dict.fromkeys(lag, 2), fast)
            same(network, {name: values[:, :1] for name, values in stimulus.items()}, lag, fast)
            same(network, stimulus, lag, fast, record=[next(iter(network.populations))])
            same(network, {name: np.repeat(values, 2, axis=0) for name, values in stimulus.items()}, lag, fast)


def test_a_stimulus_is_left_alone(busy: Case) -> None:
    network, stimulus, lag = busy
    before = {name: values.copy() for name, values in stimulus.items()}
    trace = FastSimulator(jobs=2).run(network, stimulus, lag=lag)
    trace.spikes["x"][...] = 7
    assert all(np.array_equal(stimulus[name], values) for name, values in before.items())


def test_one_simulator_for_many_threads() -> None:
    cases = [random_integer_network(seed, EXTREME) for seed in range(12)]
    wanted = [ReferenceSimulator().run(network, stimulus, lag=lag) for network, stimulus, lag in cases]
    fast = FastSimulator(jobs=2)

    def run(index: int) -> str | None:
        network, stimulus, lag = cases[index]
        return trace_difference(fast.run(network, stimulus, lag=lag), wanted[index])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, [*range(12), *range(11, -1, -1), *[3] * 12])) == [None] * 36


# Errors

BAD: dict[str, dict[str, Array]] = {
    "missing": {},
    "unknown": {"x": np.zeros((1, 2, 3), np.int8), "z": np.zeros((1, 2, 3), np.int8)},
    "two axes": {"x": np.zeros((2, 3), np.int8)},
    "another size": {"x": np.zeros((1, 2, 4), np.int8)},
    "no ticks": {"x": np.zeros((1, 0, 3), np.int8)},
    "float": {"x": np.zeros((1, 2, 3))},
    "too large": {"x": np.full((1, 2, 3), 1 << 31)},
    "too small": {"x": np.full((1, 2, 3), -(1 << 31) - 1)},
    "a current that changes": {"x": np.zeros((1, 2, 3), np.int8), "i": np.array([[[1, 1], [1, 2]]])},
    "other ticks": {"x": np.zeros((1, 2, 3), np.int8), "i": np.zeros((1, 3, 2), np.int8)},
    "other samples": {"x": np.zeros((1, 2, 3), np.int8), "i": np.zeros((2, 2, 2), np.int8)},
}


@pytest.mark.parametrize("case", BAD)
def test_bad_stimuli_raise_what_the_reference_raises(case: str) -> None:
    x, current = input_population("x", 3), current_population("i", 2)
    n = neurons("n", 2, current="i" if "i" in BAD[case] else None)
    network = integer_network([x, *([current] if "i" in BAD[case] else []), n], [joined(x, n, Pattern("dense"))])
    found = []
    for simulator in (ReferenceSimulator(), FastSimulator(jobs=1)):
        with pytest.raises(NetworkError) as raised:
            simulator.run(network, BAD[case])
        found.append([(d.code, d.message) for d in raised.value.diagnostics])
    assert found[0] == found[1]
    assert found[0][0][0] == "NC0211"


def test_an_unknown_population_to_record_is_refused() -> None:
    x = input_population("x", 3)
    for simulator in (ReferenceSimulator(), FastSimulator(jobs=1)):
        with pytest.raises(NetworkError) as raised:
            simulator.run(integer_network([x], []), {"x": np.zeros((1, 2, 3), np.int8)}, record=["y"])
        assert [d.code for d in raised.value.diagnostics] == ["NC0201"]


def test_a_checked_format_without_events() -> None:
    """What the compiler emits: the reference and the engine say alike that nothing overflowed."""
    x, n = input_population("x", 20), neurons("n", 20)
    network = integer_network([x, n], [joined(x, n, Pattern("dense"))], form=NumberFormat("loihi"))
    trace = same(network, {"x": spikes((2, 20, 20))})
    assert trace.events == ()
    assert trace.spikes["n"].any()
