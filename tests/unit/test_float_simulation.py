"""The float simulation against recurrences written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp.frontends.from_yaml import loads
from neurocomp.simulation import float_simulator, simulate

Array = NDArray[Any]

HEAD = "neurocomp: 1\nname: n\ntimestep: 1 ms\nticks: 20\n"


def network(populations: str, projections: str, folder: Path) -> Any:
    return loads(f"{HEAD}populations:\n{populations}projections:\n{projections}", folder)


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
