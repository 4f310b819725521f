"""How long ticks take, on counts that are written down here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurocomp_hwspecs
from neurocomp.energy.counts import PER_CORE, Counts
from neurocomp.energy.latency import Work, latency_of
from neurocomp.energy.statistics import spreads
from neurocomp.hardware import HardwareSpec, read_spec
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.mapped import Core, MappedNetwork, Placement, Route
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation

LOIHI = read_spec(Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml")
NONE = np.zeros(0, np.int64)
NS = 1e-9


def two_cores() -> MappedNetwork:
    """Population a of two neurons, one on each of two neighbouring tiles, and no synapses."""
    values = {key: np.array(0) for key in ("du", "dv", "bias_mant", "bias_exp", "u_init", "v_init")} | {"vth": np.array(1)}
    a = IntegerPopulation("a", (2,), "compartment", values)
    network = IntegerNetwork("n", 1e-3, 2, LOIHI.number_format, {"a": a}, ())
    cores = tuple(Core(0, number, LOIHI.mesh.tile(number), NONE, NONE, 0) for number in (0, 4))
    placements = {"a": Placement(np.array([0, 1]), np.array([0, 0]))}
    return MappedNetwork(LoweredNetwork(network, {"a": 0}, {}), cores, placements, (Route(0, 1, 1, 0, 0),))


def counts(**events: list[list[int]]) -> Counts:
    """Return counts of one sample of two ticks: event -> per core, per tick."""
    per_core = {name: np.zeros((2, 1, 2), np.int64) for name in PER_CORE}
    per_core |= {name: np.array(values, np.int64)[:, None, :] for name, values in events.items()}
    none = np.zeros(1, np.int64)
    spikes = per_core["spikes"].sum(axis=2)[:, 0]
    return Counts(1, 2, per_core, {}, {}, {}, {}, {"a": spikes}, none, none, none, 1)


BUSY = counts(
    updates=[[10, 10], [4, 4]],
    updates_active=[[2, 0], [0, 4]],
    spikes=[[1, 0], [0, 0]],
    packets=[[2, 0], [0, 0]],
    packets_received=[[0, 3], [5, 0]],
    synaptic_events=[[0, 7], [100, 0]],
    words_read=[[0, 2], [9, 0]],
)


def test_the_slower_of_what_a_core_sends_and_receives() -> None:
    """By the numbers of SANA-FE, tick 0: core 1 works through 5 messages and 100 synapses; tick 1: core 0 through 3 and 7.

    Core 0 of tick 0: 10 x 6 + 2 x 3.7 + 30 + 2 x 5.1 = 107.6 ns; of tick 1: 10 x 6 = 60 ns. Two tiles: 1 us.
    """
    found = Work(BUSY, two_cores(), LOIHI, LOIHI.times["sanafe"]).seconds("sum")
    assert found / NS == pytest.approx(np.array([[5 * 16 + 100 * 3.8 + 1000, max(60, 3 * 16 + 7 * 3.8) + 1000]]))


def test_the_busiest_resource() -> None:
    """By davies2018, tick 0: 100 synapses of 3.5 ns; tick 1: 10 updates of 5.3 ns, less than the barrier of 113 ns."""
    found = Work(BUSY, two_cores(), LOIHI, LOIHI.times["davies2018"]).seconds("max")
    assert found / NS == pytest.approx(np.array([[350.0, 113.0]]))


def test_links_are_a_resource() -> None:
    """The one message of the run, of the spike in tick 0, crossed one link."""
    times = LOIHI.times["davies2018"]
    slow = replace(times, events={**times.events, "link": replace(times.events["link"], value=1e-6)})
    one = counts(spikes=[[1, 0], [0, 0]], packets=[[1, 0], [0, 0]])
    assert Work(one, joined(), LOIHI, slow).seconds("max") / NS == pytest.approx(np.array([[1000.0, 113.0]]))


def joined() -> MappedNetwork:
    """The same cores where the second has an axon of the first's neuron."""
    mapped = two_cores()
    first, second = mapped.cores
    heard = replace(second, axon_population=np.zeros(1, np.int64), axon_neuron=np.zeros(1, np.int64))
    return replace(mapped, cores=(first, heard))


def test_latency_of_an_inference() -> None:
    found = latency_of(BUSY, two_cores(), LOIHI, 1e-3, "sanafe")
    total, largest = found.timings
    assert [t.form for t in found.timings] == ["sum", "max"]
    assert total.mean == pytest.approx([(1460 + 1074.6) / 2 * NS] * 3)
    assert total.longest[1] == pytest.approx(1460 * NS)
    assert total.slack(1e-3) == pytest.approx(1e-3 - 1460 * NS)
    # In tick 0 receiving on core 4 takes the longest, in tick 1 on core 0.
    assert [(x.resource, x.core, x.share) for x in total.limits] == [("receive", (0, 0), 0.5), ("receive", (0, 4), 0.5)]
    assert [(x.resource, x.core, x.share) for x in largest.limits] == [("barrier", None, 1.0)]
    assert found.pipelined
    document = found.as_json()["forms"]["sum"]
    assert document["inference_s"]["nominal"] == pytest.approx((1460 + 1074.6) * NS)
    assert document["inferences_per_s"]["nominal"] == pytest.approx(1 / ((1460 + 1074.6) * NS))
    assert document["unpriced"] == []


def test_what_has_no_time_is_named() -> None:
    found = latency_of(BUSY, two_cores(), LOIHI, 1e-3, "davies2018")
    assert found.timings[0].unpriced == ("spike", "packet_received")


def test_a_clock_is_as_long_as_it_is() -> None:
    spec = read_spec(Path(neurocomp_hwspecs.__file__).parent / "truenorth.yaml")
    found = latency_of(BUSY, two_cores(), spec, 1e-3, spec.default_costs)
    assert [t.form for t in found.timings] == ["tick"]
    assert found.timings[0].mean == (47.6e-6, 1e-3, 1e-3)
    assert found.inference == pytest.approx((2 * 47.6e-6, 2e-3, 2e-3))


@pytest.mark.parametrize("spec", ["loihi2", "reference"])
def test_without_times_nothing_is_said(spec: str) -> None:
    target: HardwareSpec = read_spec(Path(neurocomp_hwspecs.__file__).parent / f"{spec}.yaml")
    found = latency_of(BUSY, two_cores(), target, 1e-3, "none published")
    assert (found.timings, found.inference, found.as_json()["forms"]) == ((), None, {})


def test_spread_of_samples() -> None:
    values = np.random.default_rng(0).exponential(5.0, 400)
    found = spreads({"a": values, "b": np.full(400, 3)})
    a, b = found["a"], found["b"]
    assert (a.mean, a.sd) == pytest.approx((values.mean(), values.std(ddof=1)))
    assert (a.worst, a.worst_sample, a.p95) == (values.max(), int(values.argmax()), np.percentile(values, 95))
    # The bootstrap's interval is close to the normal one, which holds for means of 400.
    half = 1.96 * values.std(ddof=1) / 20
    assert a.ci_low == pytest.approx(a.mean - half, abs=0.15 * half)
    assert a.ci_high == pytest.approx(a.mean + half, abs=0.15 * half)
    assert (b.mean, b.sd, b.ci_low, b.ci_high, b.worst_sample) == (3.0, 0.0, 3.0, 3.0, 0)
    assert spreads({"a": values})["a"] == a


def test_one_sample_has_no_spread() -> None:
    (one,) = spreads({"a": np.array([7])}).values()
    assert (one.mean, one.sd, one.ci_low, one.ci_high, one.p95, one.worst) == (7.0, None, None, None, 7.0, 7.0)
