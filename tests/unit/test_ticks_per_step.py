"""Several ticks of the chip per tick of the network: what stays exact, what is refused, and cycles that need it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api
from neurocomp.errors import UnsupportedError
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Network
from neurocomp.passes.ticks_per_step import spikes_per_step, state_per_step, stretched, ticks_per_step
from neurocomp.simulation import simulate

Array = NDArray[Any]
NET = """neurocomp: 1
name: net
timestep: 1 ms
ticks: 20
populations:
  x: {kind: input, shape: [3]}
  a: {shape: [4], neuron: {MODEL}}
projections:
  - {from: x, to: a, weights: [[0.9, -0.4, 0.3], [0.2, 0.8, 0.6], [-0.5, 1.3, 0.4], [0.7, 0.1, 0.5]], BIAS}
  - {from: a, to: a, weights: [[0, 0.6, 0, 0], [0, 0, -0.7, 0.3], [0.5, 0, 0, 0], [0, 0.4, 0.2, 0]], delay: 1}
"""
LIF = "model: lif, tau_mem: 8 ms, v_threshold: 1.013, reset: zero"  # no sum of these weights meets it: roundings decide nothing


def network(model: str = LIF, bias: str = "delay: 0") -> Network:
    return loads(NET.replace("{MODEL}", f"{{{model}}}").replace("BIAS", bias), Path())


def stimulus(ticks: int = 20, samples: int = 8) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {"x": (rng.random((samples, ticks, 3)) < 0.4).astype(np.int8)}


def both(net: Network, k: int) -> tuple[Any, Any]:
    """Return the traces of a network and of its stepped one, in real numbers."""
    given = stimulus()
    stepped, notes = ticks_per_step(net, k)
    assert len(notes) == 1
    assert (stepped.ticks, stepped.timestep) == (20 * k, net.timestep / k)
    return simulate(net, given), simulate(stepped, {name: stretched(values, k) for name, values in given.items()})


def test_one_tick_per_step_changes_nothing() -> None:
    net = network()
    assert ticks_per_step(net, 1) == (net, ())


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize(
    "model",
    [
        LIF,
        LIF + ", refractory: 2",
        LIF + ", integration: euler",
        LIF + ", input: current, r: 9.0",
        LIF + ", v_init: 0.6",
        LIF + ", reset_every: {interval: 4, offset: 1}",
        "model: if, v_threshold: 1.513, reset: zero",
        "model: lif, tau_mem: 1 ms, integration: euler, v_threshold: 0.513, reset: zero",
    ],
)
def test_without_current_and_bias_the_first_tick_of_a_step_is_the_step(model: str, k: int) -> None:
    """Same spikes, and the same potential in the tick in which the input arrives."""
    whole, stepped = both(network(model), k)
    assert whole.spikes["a"].sum() > 20
    assert np.array_equal(spikes_per_step(stepped.spikes["a"], k), whole.spikes["a"])
    assert not np.delete(stepped.spikes["a"], slice(None, None, k), axis=1).any()
    assert np.allclose(state_per_step(stepped.v["a"], k, False), whole.v["a"], atol=1e-12)


@pytest.mark.parametrize("k", [2, 5])
def test_a_bias_keeps_its_sum_over_a_step(k: int) -> None:
    for model in ("model: li, tau_mem: 8 ms", "model: li, tau_mem: 8 ms, v_init: 0.5", "model: i"):
        whole, stepped = both(network(model, "bias: [0.3, -0.2, 0.1, 0.0]"), k)
        assert np.allclose(state_per_step(stepped.v["a"], k, False), whole.v["a"], atol=1e-12), model


@pytest.mark.parametrize("k", [2, 5])
def test_a_current_adds_over_a_step_what_it_added_in_a_tick(k: int) -> None:
    """The potential of a readout at the end of each step; the steady state with a bias."""
    model = "model: cuba_li, tau_syn: 3 ms, tau_mem: 8 ms"
    for more in ("", ", u_init: 0.7", ", v_init: 0.7"):
        whole, stepped = both(network(model + more), k)
        assert np.allclose(state_per_step(stepped.v["a"], k, True), whole.v["a"], atol=1e-12), more
    net = replace(network(model, "bias: [0.3, -0.2, 0.1, 0.0]"), ticks=200)
    silent = {"x": np.zeros((1, 200, 3), np.int8)}
    stepped, _ = ticks_per_step(net, k)
    steady = simulate(net, silent).v["a"][0, -1]
    assert abs(steady[0]) > 1
    assert np.allclose(simulate(stepped, {"x": stretched(silent["x"], k)}).v["a"][0, -1], steady, rtol=1e-9)


@pytest.mark.parametrize("model", ["cuba_lif, tau_syn: 3 ms", "lif"])
def test_a_neuron_spikes_once_per_step(model: str) -> None:
    """A strong drive makes a spike per step, not one per tick of the chip."""
    reset = "subtract" if model == "lif" else "zero"
    net = network(f"model: {model}, tau_mem: 8 ms, v_threshold: 0.05, reset: {reset}")
    whole, stepped = both(net, 4)
    assert spikes_per_step(stepped.spikes["a"], 4).max() == 1
    assert stepped.spikes["a"].sum() > 0.8 * whole.spikes["a"].sum()


def test_periods_and_delays_are_longer() -> None:
    periodic = ", refractory: 2, reset_every: {interval: 4, offset: 1}"
    stepped, _ = ticks_per_step(network(LIF + periodic), 3)
    neuron = stepped.populations["a"].neuron
    assert neuron is not None
    semantics = neuron.semantics
    assert (semantics.refractory, semantics.reset_interval, semantics.reset_offset) == (6, 12, 3)
    assert [int(q.delay) for q in stepped.projections] == [0, 3]
    stepped, _ = ticks_per_step(network(LIF.replace("zero", "subtract") + periodic), 3)
    neuron = stepped.populations["a"].neuron
    assert neuron is not None
    assert neuron.semantics.refractory == 8


def test_what_cannot_be_re_derived() -> None:
    net = network(LIF + ", threshold_on: old")
    integers = replace(net.populations["a"].neuron, number_format="loihi")  # type: ignore[type-var]
    net = replace(net, populations={**net.populations, "b": replace(net.populations["a"], name="b", neuron=integers)})
    with pytest.raises(UnsupportedError) as caught:
        ticks_per_step(net, 2)
    assert [d.message for d in caught.value.diagnostics] == [
        "population 'a' spreads its update over ticks in a way that has no counterpart within a step",
        "population 'b' holds integers of 'loihi', which stand for whole ticks of the chip",
        "population 'b' spreads its update over ticks in a way that has no counterpart within a step",
    ]
    assert {d.code for d in caught.value.diagnostics} == {"NC0321"}


CYCLE = """neurocomp: 1
name: cycle
timestep: 1 ms
ticks: 20
populations:
  x: {kind: input, shape: [3]}
  a: {shape: [3], neuron: {model: lif, tau_mem: 8 ms, v_threshold: 1.0, reset: zero}}
  b: {shape: [3], neuron: {model: lif, tau_mem: 8 ms, v_threshold: 0.7, reset: zero}}
projections:
  - {from: x, to: a, weights: [[0.93, -0.41, 0.32], [0.19, 0.83, 0.58], [-0.53, 1.31, 0.43]]}
  - {from: a, to: b, weights: [[0.94, 0.42, 0.36], [0.21, 0.87, -0.61], [0.53, -0.29, 0.41]]}
  - {from: b, to: a, weights: [[0.47, -0.42, 0.33], [-0.17, 0.44, 0.61], [0.52, 0.29, -0.37]], delay: 1}
decode: {b: {scheme: count}}
"""


def test_a_cycle_that_is_too_short_runs_with_two_ticks_per_step() -> None:
    net = loads(CYCLE, Path())
    (violation,) = api.check(net)
    assert violation.hint == (
        "raise the delays along the cycle by 1 in total, for instance of 'b->a', or compile with --ticks-per-step 2"
    )
    compiled = api.compile(net, ticks_per_step=2)
    assert compiled.artifact.options["ticks_per_step"] == 2
    assert dict(compiled.artifact.lowered.lag) == {"x": 0, "a": 1, "b": 2}
    given = stimulus(ticks=20)
    report = compiled.verify(["reference", "chip"], inputs=given)
    assert (report.bit_exact, report.ticks, report.spikes_compared > 100) == (True, 40, True)
    assert report.lossy == {}
    # In the user's time: 20 ticks, the stimulus as it was given, and nearly the spikes of the real numbers.
    run = compiled.run("chip", given, probe="all", state=True)
    exact = compiled.run("float", given, probe="all", state=True)
    assert {key: values.shape for key, values in run.arrays.items()} == {key: v.shape for key, v in exact.arrays.items()}
    assert np.array_equal(run.arrays["spikes/x"], given["x"])
    for name in "ab":
        wanted, found = exact.arrays[f"spikes/{name}"], run.arrays[f"spikes/{name}"]
        assert wanted.sum() > 50
        assert np.abs(wanted - found).sum() <= 0.03 * wanted.sum()


def test_counts_and_time_of_a_report() -> None:
    compiled = api.compile(loads(CYCLE, Path()), ticks_per_step=3)
    report = compiled.report(inputs=stimulus(ticks=20))
    assert (report.ticks, report.counts.ticks) == (20, 62)
    assert "62 ticks of 0.000333333 s" in report.energy.static_note


@pytest.mark.parametrize(("ticks", "k", "most"), [(20, 1025, 1024), (20, 10**12, 1024), (2**31 - 1, 2, 1), (2**22, 1024, 511)])
def test_more_ticks_than_any_cycle_needs_are_refused_at_once(ticks: int, k: int, most: int) -> None:
    net = replace(loads(CYCLE, Path()), ticks=ticks)
    with pytest.raises(UnsupportedError, match=f"NC0321.*: {k} ticks per step for {ticks} ticks per sample: at most {most}"):
        ticks_per_step(net, k)
