"""The float simulation against recurrences written out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.encoding import encode
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Encoder, NativeWeights, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.simulation import float_simulator, simulate

Array = NDArray[Any]

HEAD = "neurocomp: 1\nname: n\ntimestep: 1 ms\nticks: 20\n"


def network(populations: str, projections: str, folder: Path) -> Any:
    return loads(f"{HEAD}populations:\n{populations}projections:\n{projections}", folder)


READOUT = Neuron("i", {"v_init": np.asarray(0.0)})


def spikes_of(shape: tuple[int, ...], seed: int = 0, rate: float = 0.4) -> Array:
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.int8)


def test_lif_equals_its_recurrence(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights, bias = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3) * 0.1
    np.savez(tmp_path / "w.npz", w=weights, b=bias)
    net = network(
        "  a: {kind: input, shape: [4]}\n  b: {shape: [3], neuron: {model: lif, tau_mem: 5 ms, v_threshold: 0.8}}\n",
        "  - {from: a, to: b, weights: w.npz#w, bias: w.npz#b}\n",
        tmp_path,
    )
    x = spikes_of((6, 20, 4))

    trace = simulate(net, {"a": x})

    v, decay = np.zeros((6, 3)), np.exp(-1 / 5)
    for tick in range(20):
        v = decay * v + x[:, tick] @ weights.astype(np.float64).T + bias
        fired = v > 0.8
        v = np.where(fired, 0.0, v)
        np.testing.assert_array_equal(trace.spikes["b"][:, tick], fired)
        np.testing.assert_allclose(trace.v["b"][:, tick], v, rtol=1e-12, atol=1e-12)
    assert trace.spikes["b"].dtype == np.int32
    np.testing.assert_array_equal(trace.spikes["a"], x)
    assert (trace.engine, trace.ticks, trace.windowed, dict(trace.lag)) == ("float", 20, True, {"a": 0, "b": 0})
    assert trace.u == {}


def test_current_and_subtraction(tmp_path: Path) -> None:
    net = network(
        "  a: {kind: input, shape: [1]}\n"
        "  b: {shape: [1], neuron: {model: cuba_lif, tau_mem: 10 ms, tau_syn: 4 ms, integration: euler, reset: subtract, "
        'compare: ">="}}\n',
        "  - {from: a, to: b, pattern: one_to_one, weights: 0.5}\n",
        tmp_path,
    )
    x = spikes_of((2, 20, 1))

    trace = simulate(net, {"a": x})

    u, v = np.zeros((2, 1)), np.zeros((2, 1))
    for tick in range(20):
        u = 0.75 * u + 0.5 * x[:, tick]
        v = 0.9 * v + u
        fired = v >= 1.0
        v = v - fired
        np.testing.assert_array_equal(trace.spikes["b"][:, tick], fired)
        np.testing.assert_allclose(trace.u["b"][:, tick], u, rtol=1e-12)
        np.testing.assert_allclose(trace.v["b"][:, tick], v, rtol=1e-12, atol=1e-15)
    assert trace.spikes["b"].any()


@pytest.mark.parametrize("delay", ["2", "2 ms", "[[2]]"])
def test_a_spike_acts_after_its_delay(tmp_path: Path, delay: str) -> None:
    net = network(
        "  a: {kind: input, shape: [1]}\n  b: {shape: [1], neuron: {model: i}}\n",
        f"  - {{from: a, to: b, weights: [[3]], delay: {delay}}}\n",
        tmp_path,
    )
    x = np.zeros((1, 6, 1), np.int8)
    x[0, 1] = 1

    assert simulate(net, {"a": x}).v["b"][0, :, 0].tolist() == [0, 0, 0, 3, 3, 3]


def test_every_synapse_has_its_own_delay(tmp_path: Path) -> None:
    net = network(
        "  a: {kind: input, shape: [2]}\n  b: {shape: [2], neuron: {model: i}}\n",
        "  - {from: a, to: b, weights: [[1, 10], [100, 1000]], delay: [[0, 1], [3, 99]]}\n"
        "  - {from: a, to: b, pattern: {sparse: {sources: [0, 0], targets: [1, 1]}}, weights: [0.25, 0.5], delay: [2, 1]}\n",
        tmp_path,
    )
    x = np.zeros((1, 5, 2), np.int8)
    x[0, 0] = 1

    assert simulate(net, {"a": x}).v["b"][0].tolist() == [[1, 0], [11, 0.5], [11, 0.75], [11, 100.75], [11, 100.75]]


def test_layers_run_in_the_order_of_their_projections(tmp_path: Path) -> None:
    """``last`` stands before ``middle`` in the file; without delays a spike passes both in its tick."""
    neuron = "{shape: [1], neuron: {model: if, v_threshold: 0.5}}"
    net = network(
        f"  last: {neuron}\n  middle: {neuron}\n  a: {{kind: input, shape: [1]}}\n",
        "  - {from: middle, to: last, weights: [[1]]}\n  - {from: a, to: middle, weights: [[1]]}\n"
        "  - {from: last, to: middle, weights: [[1]], delay: 1}\n",
        tmp_path,
    )
    x = np.zeros((1, 4, 1), np.int8)
    x[0, 1] = 1

    trace = simulate(net, {"a": x})

    assert trace.spikes["last"][0, :, 0].tolist() == [0, 1, 1, 1]
    assert trace.spikes["middle"][0, :, 0].tolist() == [0, 1, 1, 1]


def test_many_spikes_per_tick(tmp_path: Path) -> None:
    net = network(
        "  a: {kind: input, shape: [1]}\n  b: {shape: [1], neuron: {model: if, spikes_per_tick: many, reset: subtract}}\n",
        "  - {from: a, to: b, weights: [[2.5]]}\n",
        tmp_path,
    )

    trace = simulate(net, {"a": np.ones((1, 4, 1), np.int8)})

    assert trace.spikes["b"][0, :, 0].tolist() == [2, 3, 2, 3]
    assert trace.spikes["b"].dtype == np.int32


def test_native_integers_run_as_real_numbers(tmp_path: Path) -> None:
    net = network(
        "  a: {kind: input, shape: [2]}\n"
        "  b: {shape: [2], neuron: {model: cuba_lif, format: loihi, du: 1023, dv: [512, 0], vth: 60, "
        "bias_mant: 3, bias_exp: 2, u_init: 64, v_init: -100, reset_every: {interval: 7, offset: 6}}}\n",
        "  - {from: a, to: b, weights: [[20, -4], [6, 8]], weight_exp: 1}\n",
        tmp_path,
    )
    x = spikes_of((3, 20, 2))

    trace = simulate(net, {"a": x})

    u, v = np.full((3, 2), 64.0), np.full((3, 2), -100.0)
    decay_v = 1 - np.array([512, 0]) / 4096
    for tick in range(20):
        if tick % 7 == 6:
            u, v = u * 0, v * 0
        u = 0.75 * u + 64 * 2 * (x[:, tick] @ np.array([[20, 6], [-4, 8]]))
        v = decay_v * v + u + 12
        fired = v > 60 * 64
        v = np.where(fired, 0.0, v)
        np.testing.assert_array_equal(trace.spikes["b"][:, tick], fired)
        np.testing.assert_array_equal(trace.u["b"][:, tick], u)
        np.testing.assert_allclose(trace.v["b"][:, tick], v, rtol=1e-12)
    assert trace.spikes["b"].any()


def test_chunks_and_recording_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are small integers, so that every order of additions gives the same sums."""
    weights = np.random.default_rng(3).integers(-3, 5, (5, 4))
    np.savez(tmp_path / "w.npz", w=weights, r=np.ones((5, 5), np.int8))
    net = network(
        "  a: {kind: input, shape: [2, 2]}\n  b: {shape: [5], neuron: {model: if, v_threshold: 4, reset: subtract}}\n",
        "  - {from: a, to: b, weights: w.npz#w}\n  - {from: b, to: b, weights: w.npz#r, delay: 3}\n",
        tmp_path,
    )
    x = spikes_of((11, 20, 4))

    whole = simulate(net, {"a": x})
    monkeypatch.setattr(float_simulator, "_MAX_CHUNK", 4)
    chunked = simulate(net, {"a": x}, record=["b"], state=False)

    np.testing.assert_array_equal(chunked.spikes["b"], whole.spikes["b"])
    assert list(chunked.spikes) == ["b"]
    assert chunked.v == {}
    assert whole.spikes["b"].any()


def test_a_network_without_inputs_runs_one_sample(tmp_path: Path) -> None:
    net = network("  b: {shape: [1], neuron: {model: if, format: loihi, vth: 10, bias_mant: 320}}\n", "  []\n", tmp_path)

    assert simulate(net, {}).spikes["b"][0, :6, 0].tolist() == [0, 0, 1, 0, 0, 1]


# --- every axis, against one neuron at a time


def one_neuron(neuron: Neuron, drive: list[float], dt: float = 1e-3) -> tuple[list[int], list[float], list[float]]:
    """Return spikes, u and v of one neuron: the axes of docs/net-yaml.md in plain Python; ``drive`` is its weighted input."""
    axes, p = neuron.semantics, {key: float(value) for key, value in neuron.parameters.items()}
    native = neuron.number_format is not None
    ternary = neuron.model == "ternary_lif"
    if native:
        decay_u, decay_v = 1 - (p["du"] + 1) / 4096, 1 - p["dv"] / 4096
        high, low, bias = 64 * p["vth"], 64 * p.get("vth_low", 0.0), p["bias_mant"] * 2 ** p["bias_exp"]
    else:
        decay_u = float(np.exp(-dt / p["tau_syn"])) if "tau_syn" in p else 0.0
        decay_v = float(np.exp(-dt / p["tau_mem"])) if "tau_mem" in p else 1.0
        high, low, bias = p["v_threshold"], p.get("v_threshold_low", 0.0), 0.0
    u, v, rest, pending = p.get("u_init", 0.0), p["v_init"], 0, 0
    all_spikes, all_u, all_v = [], [], []

    def reset(v: float, spike: int) -> float:
        if spike == 0 or axes.reset == "none":
            return v
        if axes.reset == "subtract":
            return v - spike * high if spike > 0 else v - low
        return 0.0 if axes.reset == "zero" else axes.reset_value

    for tick, x in enumerate(drive):
        if axes.reset_interval is not None and tick % axes.reset_interval == axes.reset_offset:
            u, v, rest, pending = 0.0, 0.0, 0, 0
        u = decay_u * u + x
        if axes.reset_when == "next_tick":
            v = reset(v, pending)
        old = v
        if rest == 0:
            v = decay_v * v + (u + bias if native else u)
        if axes.reset_when == "next_update":
            v = reset(v, pending)
        tested = old if axes.threshold_on == "old" else v
        above = tested > high if axes.compare == ">" else tested >= high
        spike = int(above) - int(ternary and tested < low)
        if axes.spikes_per_tick == "many" and spike:
            spike = max(1, int(np.floor(tested / high)))
        spike = spike if rest == 0 else 0
        rest = axes.refractory if spike else max(rest - 1, 0)
        if axes.reset_when == "same_tick":
            v = reset(v, spike)
        pending = spike
        if axes.v_floor is not None:
            v = max(v, axes.v_floor)
        all_spikes.append(spike)
        all_u.append(u)
        all_v.append(v)
    return all_spikes, all_u, all_v


AXES: list[Semantics] = [
    Semantics(),
    Semantics(compare=">="),
    Semantics(reset="subtract"),
    Semantics(reset="subtract", refractory=3),
    Semantics(reset="none", refractory=2),
    Semantics(refractory=1),
    Semantics(reset_interval=5, reset_offset=2),
    Semantics(reset_interval=4, reset_offset=1, refractory=6),
    Semantics(reset="value", reset_value=-0.5, v_floor=-1.25),
    Semantics(reset="subtract", v_floor=0.0),
    Semantics(threshold_on="old"),
    Semantics(reset_when="next_tick"),
    Semantics(reset_when="next_update"),
    Semantics(reset="subtract", reset_when="next_update"),
    Semantics(reset="subtract", reset_when="next_tick", refractory=2, compare=">=", v_floor=-2.0),
    Semantics(reset="subtract", threshold_on="old", reset_interval=7),
    Semantics(spikes_per_tick="many", reset="subtract", refractory=2),
]


@pytest.mark.parametrize("axes", AXES, ids=range(len(AXES)))
@pytest.mark.parametrize("model", ["if", "lif", "cuba_lif", "ternary_lif"])
@pytest.mark.parametrize("native", [False, True])
def test_every_axis_equals_a_loop(axes: Semantics, model: str, native: bool) -> None:
    kind = NEURON_MODELS[model]
    if any(getattr(axes, axis) not in words for axis, words in kind.axes.items()):
        axes = replace(axes, compare=">", spikes_per_tick="one")
    if native:
        integers = {
            "du": 1023 if kind.has_current else 4095,
            "dv": 0 if model == "if" else 512,
            "vth": 3,
            "bias_mant": 5,
            "bias_exp": 2,
        }
        integers |= {"u_init": 32, "v_init": -64} | ({"vth_low": -2} if kind.signed else {})
        neuron = Neuron(model, {key: np.asarray(value) for key, value in integers.items()}, axes, "loihi")
        unit, factor = NativeWeights(1), 128.0
    else:
        times = {"tau_mem": 0.004, "tau_syn": 0.002}
        values = {key: times.get(key, p.default or 0.0) for key, p in kind.parameters.items()} | {"v_init": 0.25}
        neuron = Neuron(model, {key: np.asarray(value) for key, value in values.items()}, axes)
        unit, factor = None, 1.0
    weights = np.array([[9, -11, 7, -6]] if kind.signed else [[9, -7, 6, 3]]) / (1 if native else 8)
    weights = weights.astype(np.int64) if native else weights
    net = Network(
        "n", 1e-3, 60, {"a": Population("a", (4,)), "b": Population("b", (1,), neuron)},
        (Projection("q", "a", "b", Pattern("dense"), frozen(weights), native=unit),),
    ).verify()  # fmt: skip
    x = spikes_of((5, 60, 4), seed=2, rate=0.5)

    trace = simulate(net, {"a": x})

    for sample in range(5):
        drive = [float(value) for value in (x[sample] @ weights[0]) * factor]
        spikes, u, v = one_neuron(neuron, drive)
        assert trace.spikes["b"][sample, :, 0].tolist() == spikes
        np.testing.assert_allclose(trace.v["b"][sample, :, 0], v, rtol=1e-12, atol=1e-12)
        if kind.has_current:
            np.testing.assert_allclose(trace.u["b"][sample, :, 0], u, rtol=1e-12, atol=1e-12)
    assert trace.spikes["b"].any()
    if kind.signed:
        assert trace.spikes["b"].min() == -1


def test_spikes_of_ternary_neurons_multiply_the_weights() -> None:
    values = {key: p.default or 0.001 for key, p in NEURON_MODELS["ternary_lif"].parameters.items()}
    ternary = Neuron("ternary_lif", {key: np.asarray(value) for key, value in values.items()})
    net = Network(
        "n", 1e-3, 2, {"a": Population("a", (2,)), "t": Population("t", (2,), ternary), "b": Population("b", (1,), READOUT)},
        (Projection("p", "a", "t", Pattern("one_to_one"), frozen([9.0, -9.0])),
         Projection("q", "t", "b", Pattern("dense"), frozen([[1.0, 10.0]]))),
    ).verify()  # fmt: skip

    trace = simulate(net, {"a": np.ones((1, 1, 2), np.int8)})

    assert trace.spikes["t"].tolist() == [[[1, -1]]]
    assert trace.v["b"].tolist() == [[[-9.0]]]


# --- patterns, chains and currents


def conv2d(**options: int) -> Pattern:
    values = {"kernel": 3, "stride": 1, "padding": 0, "dilation": 1} | options
    two = {name: (values[name],) * 2 for name in ("kernel", "stride", "padding", "dilation")}
    return Pattern("conv2d", {}, {**two, "groups": (options.get("groups", 1),)})


def test_a_chain_is_computed_within_the_tick() -> None:
    """scale, average, convolution, flatten, dense, with a delay; every value is a small multiple of 1/16."""
    rng = np.random.default_rng(5)
    kernel, matrix, factors = rng.integers(-4, 5, (2, 1, 3, 3)), rng.integers(-4, 5, (3, 18)), rng.integers(1, 4, 100)
    pool = Pattern("avgpool2d", {}, {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)})
    stages = (
        Stage(Pattern("scale"), frozen(factors), (1, 10, 10)),
        Stage(pool, frozen(1), (1, 5, 5)),
        Stage(conv2d(), frozen(kernel), (2, 3, 3)),
        Stage(Pattern("flatten"), frozen(np.float64(0.5)), (18,)),
    )
    net = Network(
        "n", 1e-3, 6, {"a": Population("a", (1, 10, 10)), "b": Population("b", (3,), READOUT)},
        (Projection("q", "a", "b", Pattern("dense"), frozen(matrix), delay=frozen(np.int64(2)), before=stages),),
    ).verify()  # fmt: skip
    x = spikes_of((3, 6, 100))

    found = simulate(net, {"a": x}).v["b"]

    arrived = np.zeros((3, 6, 3))
    for sample, tick in np.ndindex(3, 4):
        image = (x[sample, tick] * factors).reshape(5, 2, 5, 2).mean(axis=(1, 3))
        middle = [[[(image[y : y + 3, z : z + 3] * kernel[c, 0]).sum() for z in range(3)] for y in range(3)] for c in range(2)]
        arrived[sample, tick + 2] = matrix @ (np.array(middle).reshape(-1) * 0.5)
    np.testing.assert_array_equal(found, arrived.cumsum(axis=1))


def test_a_maximum_of_spikes() -> None:
    pool = Pattern("maxpool1d", {}, {"kernel": (2,), "stride": (2,), "padding": (0,)})
    net = Network(
        "n", 1e-3, 4, {"a": Population("a", (1, 4)), "b": Population("b", (1, 2), READOUT)},
        (Projection("q", "a", "b", pool, frozen(np.float64(3.0)), delay=frozen(np.int64(1))),),
    ).verify()  # fmt: skip
    x = np.array([[[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]]], np.int8)

    assert simulate(net, {"a": x}).v["b"].tolist() == [[[0, 0], [3, 0], [6, 3], [6, 3]]]


def test_every_synapse_of_a_convolution_has_its_own_delay() -> None:
    rng = np.random.default_rng(6)
    weights, delays = rng.integers(-4, 5, (2, 1, 3, 3)), rng.integers(0, 3, (2, 1, 3, 3))
    net = Network(
        "n", 1e-3, 7, {"a": Population("a", (1, 5, 5)), "b": Population("b", (2, 3, 3), READOUT)},
        (Projection("q", "a", "b", conv2d(), frozen(weights), delay=frozen(delays)),),
    ).verify()  # fmt: skip
    x = spikes_of((2, 7, 25))

    found = simulate(net, {"a": x}).v["b"]

    arrived = np.zeros((2, 7 + 2, 2, 3, 3))
    for sample, tick, c, y, z, i, j in np.ndindex(2, 7, 2, 3, 3, 3, 3):
        spike = x[sample, tick].reshape(5, 5)[y + i, z + j]
        arrived[sample, tick + delays[c, 0, i, j], c, y, z] += weights[c, 0, i, j] * spike
    np.testing.assert_array_equal(found, arrived[:, :7].reshape(2, 7, 18).cumsum(axis=1))


@pytest.mark.parametrize("steady", [True, False])
def test_a_current_is_multiplied_as_it_is(steady: bool) -> None:
    """The encoder's array holds each sample once; one that holds every tick gives the same."""
    rng = np.random.default_rng(8)
    data, weights = rng.integers(-8, 9, (700, 3)) / 16, rng.integers(-4, 5, (2, 3))
    current = encode(Encoder("current", {"gain": 2.0}), data, scale=0.5, ticks=6, size=3, population="a")
    assert current.dtype == np.float64
    net = Network(
        "n", 1e-3, 6, {"a": Population("a", (3,)), "b": Population("b", (2,), READOUT)},
        (Projection("q", "a", "b", Pattern("dense"), frozen(weights), delay=frozen([[0, 1, 0], [2, 0, 0]])),),
    ).verify()  # fmt: skip

    trace = simulate(net, {"a": current if steady else current.copy()})

    arrived = np.zeros((700, 8, 2))
    for tick in range(6):
        for (target, source), delay in np.ndenumerate(np.array([[0, 1, 0], [2, 0, 0]])):
            arrived[:, tick + delay, target] += weights[target, source] * data[:, source]
    np.testing.assert_array_equal(trace.v["b"], arrived[:, :6].cumsum(axis=1))
    assert trace.spikes["a"].dtype == np.int32
    assert not trace.spikes["a"].any()
    trace.verify()
