"""What the benchmark of energy compares, by hand where no peer is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import neurocomp
from benchmarks import energy, energy_published, energy_sanafe
from benchmarks.sanafe_export import changed_spec, joined, native, of_neurons
from neurocomp.artifact import Artifact
from neurocomp.energy.counts import count
from neurocomp.ir.network import Encoder, Network, Population, frozen
from neurocomp.ir.trace import Trace
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern

WEIGHTS = np.array([[5, 0, 0], [0, -7, 0], [3, 4, 0], [0, 0, 9]])
"""x (3) -> a (4)."""
TICKS = 4


@pytest.fixture(scope="module")
def made() -> Artifact:
    """x -> a on two cores of one tile; a[1] has a bias."""
    a = native(Semantics(), vth=[90] * 4, bias_mant=[0, 3, 0, 0])
    populations = {"x": Population("x", (3,)), "a": Population("a", (4,), a)}
    edge = joined("x", "a", Pattern("dense"), WEIGHTS)
    network = Network("n", 1e-3, TICKS, populations, (edge,), {"x": Encoder("direct", {})}).verify()
    with changed_spec(of_neurons(2)) as path:
        return neurocomp.compile(network, target=str(path)).artifact


def test_active_updates_by_the_rule_of_sanafe(made: Artifact) -> None:
    """A bias, a potential before the update, or a message in the tick before."""
    trace = energy_sanafe.replayed(made, {"x": [(0, 0), (1, 2)], "a": [(2, 3)]}, TICKS)
    assert trace.spikes["x"][0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    charged = {"a": np.array([[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]], np.bool_)}
    active = energy_sanafe.updated(made, trace, charged, {})
    # x[0] reaches a[0] and a[2] in tick 1; a[2] is charged after tick 1; x[2] reaches a[3] in tick 2; a[1] has a bias.
    assert active["a"][0].astype(int).tolist() == [[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 1, 0, 0]]
    totals = count(trace, made.mapped, made.spec, active).totals()
    assert (totals["updates"], totals["updates_active"], totals["updates_inactive"]) == (16, 8, 8)
    assert energy_sanafe.spikes_of_inputs(made, trace).tolist() == [1, 1, 0, 0]


def test_hops_of_the_host(made: Artifact) -> None:
    """Both cores are on tile (0, 0), eight columns from the host; x[0] may have an axon on each."""
    trace = energy_sanafe.replayed(made, {"x": [(0, 0), (3, 0)], "a": []}, TICKS)
    name = made.mapped.population_names.index("x")
    axons = sum(int(((c.axon_population == name) & (c.axon_neuron == 0)).sum()) for c in made.mapped.cores)
    assert {core.tile for core in made.mapped.cores} == {(0, 0)}
    assert axons >= 1
    assert energy_sanafe.host_hops(made, trace) == {"x": 2 * axons * 8, "y": 0}


def test_a_trace_of_other_updates_needs_no_state(made: Artifact) -> None:
    spikes = {"x": np.zeros((1, TICKS, 3), np.int8), "a": np.zeros((1, TICKS, 4), np.int8)}
    none = {"a": np.zeros((1, TICKS, 4), np.bool_)}
    counts = count(Trace("any", TICKS, made.lowered.lag, spikes), made.mapped, made.spec, none)
    assert counts.totals()["updates_inactive"] == 4 * TICKS


def test_visits_that_the_export_adds() -> None:
    """The only synapse of x[1] has the weight 0: its axon stores none."""
    lists = {"sources": frozen(np.array([0, 1])), "targets": frozen(np.array([0, 1]))}
    edge = joined("x", "a", Pattern("sparse", lists), np.array([4, 0]))
    populations = {"x": Population("x", (2,)), "a": Population("a", (2,), native(Semantics(), vth=[90, 90]))}
    network = Network("n", 1e-3, TICKS, populations, (edge,), {"x": Encoder("direct", {})}).verify()
    made = neurocomp.compile(network).artifact
    trace = energy_sanafe.replayed(made, {"x": [(0, 0), (1, 1), (3, 1)], "a": []}, TICKS)
    assert energy_sanafe.visits_added(made, trace).tolist() == [[[0, 1, 0, 1]]]
    assert count(trace, made.mapped, made.spec, {"a": np.zeros((1, TICKS, 2), np.bool_)}).totals()["synaptic_events"] == 1


# What is published


def test_published_estimates_by_hand() -> None:
    rows = energy_published.measure()
    events = 4096 * 256 * 20.07 * 128
    assert rows["truenorth, 20.07 Hz"]["estimated"] == pytest.approx(1e3 * (64.43e-3 + 2.297e-12 * events), rel=1e-9)
    knn = rows["loihi k-nn, costs davies2018"]
    assert knn["cost_low"] == pytest.approx(1e3 * (23.6e-12 * 667 * 76_800 + 52e-12 * 76_800 * 60), rel=1e-9)
    assert knn["cost_high"] == pytest.approx(1e3 * (23.6e-12 * 750 * 76_800 + 81e-12 * 76_800 * 60), rel=1e-9)
    assert rows["odin, 75 MHz"]["estimated"] == pytest.approx(27.3 + 1.78 * 75 + 8.43 * 37.5, rel=1e-9)
    assert rows["odin, 1.3 MHz"]["estimated"] == pytest.approx(27.3 + 1.78 * 1.3 + 8.43 * 0.65, rel=1e-9)
    for row in rows.values():
        assert row["low"] < row["cost_low"] <= row["estimated"] <= row["cost_high"] < row["high"]
        assert row["covers"] == (row["low"] <= row["measured"] <= row["high"])
    assert [name for name, row in rows.items() if not row["covers"]] == [
        "loihi k-nn, costs davies2018", "loihi k-nn, costs sanafe"
    ]  # fmt: skip


def result(**sanafe: float) -> Mapping[str, Any]:
    return {"sanafe": {"max_rel_energy": 0.0, "max_rel_time": 0.0} | sanafe, "published": energy_published.measure()}


def test_what_differs_is_a_failure() -> None:
    assert energy.holds(result())
    assert not energy.holds(result(max_rel_energy=2e-9))
    assert not energy.holds(result(max_rel_time=2e-6))
    worse = {name: row | {"covers": False} for name, row in energy_published.measure().items()}
    assert not energy.holds({**result(), "published": worse})


def test_without_peers_nothing_is_claimed() -> None:
    found = energy.measure(with_peers=False)
    assert set(found) == {"sanafe", "published"}
    assert (found["sanafe"]["networks"], found["sanafe"]["speedup"]) == (0, None)
