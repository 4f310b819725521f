"""Verification: what agrees, what differs first, what is lossy, and what nobody compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp import pipeline, registry
from neurocomp.artifact import Artifact
from neurocomp.backend import Options, Stimulus
from neurocomp.errors import InternalError
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern
from neurocomp.verify import Divergence, VerifyReport, verify
from neurocomp_reference import ReferenceSimulator

TICKS = 6
STIMULUS: Stimulus = {"x": (np.random.default_rng(0).random((3, TICKS, 2)) < 0.6).astype(np.int8)}


def chip_neuron(**parameters: int) -> Neuron:
    values = {"du": 4095, "dv": 128, "vth": 30, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    return Neuron("lif", {key: np.asarray(value) for key, value in values.items()}, number_format="loihi")


def compiled(**parameters: int) -> Artifact:
    """x (2) -> a (3) -> b (2), each hop without delay, so that a runs 1 and b 2 ticks late."""
    populations = {
        "x": Population("x", (2,)),
        "a": Population("a", (3,), chip_neuron()),
        "b": Population("b", (2,), chip_neuron(**parameters)),
    }
    projections = (
        Projection("x->a", "x", "a", Pattern("dense"), np.array([[40, 20], [20, -10], [32, 32]]), native=NativeWeights()),
        Projection("a->b", "a", "b", Pattern("dense"), np.array([[20, 20, -4], [2, 6, 30]]), native=NativeWeights()),
    )
    net = Network("net", 1e-3, TICKS, populations, projections)
    spec = registry.find_spec("loihi")
    backend = registry.backend("loihi")
    return pipeline.compile_network(net, spec, backend, registry.simulator("reference"), Options())


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return compiled()


class FakeWitness:
    """The reference once more, with faults; ``windowed`` as Lava's runs of many samples are."""

    name = "fake"

    def __init__(self, *faults: tuple[str, str, int, int, int, int], windowed: bool = False, leaves_out: str = "") -> None:
        self.faults, self.windowed, self.leaves_out = faults, windowed, leaves_out

    def unavailable(self, lowered: LoweredNetwork | None = None) -> str | None:
        return None

    def models(self, lowered: LoweredNetwork) -> dict[str, str]:
        return {p.name: "own" if p.name == "b" else "stock" for p in lowered.network.populations.values() if not p.is_input}

    def run(
        self, lowered: LoweredNetwork, stimulus: Stimulus, *, record: Sequence[str] | None = None, state: bool = True
    ) -> Trace:
        """Faults are (register, population, sample, chip tick, neuron, added value)."""
        trace = ReferenceSimulator().run(lowered.network, stimulus, lag=lowered.lag)
        tables = {register: dict(getattr(trace, register)) for register in ("spikes", "u", "v")}
        for register, population, sample, tick, neuron, value in self.faults:
            values = tables[register][population].copy()
            values[sample, tick, neuron] += value
            tables[register][population] = values
        if self.leaves_out:
            del tables["v"][self.leaves_out]
        found = replace(trace, engine="fake", spikes=tables["spikes"], u=tables["u"], v=tables["v"])
        return replace(found.in_user_time(), windowed=True) if self.windowed else found


def compared(artifact: Artifact, *witnesses: FakeWitness, stimulus: Stimulus = STIMULUS, **arguments: Any) -> VerifyReport:
    return verify(
        artifact, stimulus, backend=registry.backend("loihi"), reference=ReferenceSimulator(), witnesses=witnesses, **arguments
    )


# Agreement


def test_agreement(artifact: Artifact) -> None:
    report = compared(artifact, FakeWitness(), skipped={"lava": "not installed"})
    trace = ReferenceSimulator().run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag)
    spikes = sum(int((values != 0).sum()) for values in trace.spikes.values())
    assert report.bit_exact
    assert report.engines == ("reference", "chip", "fake")
    assert report.skipped == {"lava": "not installed"}
    assert (report.samples, report.ticks) == (3, TICKS)
    assert report.spikes_compared == 2 * spikes > 0
    chip_values = 3 * (TICKS + 2) * (2 + 3 * 3 + 3 * 2)
    logical_values = 3 * TICKS * (2 + 3 * 3 + 3 * 2)
    assert report.values_compared == 2 * chip_values + logical_values
    assert report.witnesses == {"x": "independent", "a": "independent", "b": "independent"}
    assert (dict(report.lossy), report.first_divergence, report.injection, report.events) == ({}, None, None, ())


def test_windowed_agreement(artifact: Artifact) -> None:
    report = compared(artifact, FakeWitness(windowed=True), chip=False)
    assert report.bit_exact
    assert report.engines == ("reference", "fake")
    assert report.values_compared == 2 * 3 * TICKS * (2 + 3 * 3 + 3 * 2)


def test_nobody_to_compare_with(artifact: Artifact) -> None:
    """The reference alone proves nothing."""
    report = compared(artifact, chip=False)
    assert not report.bit_exact
    assert report.first_divergence is None
    assert set(report.witnesses.values()) == {"none"}


def test_a_stimulus_of_any_length(artifact: Artifact) -> None:
    for ticks in (1, 2, 50):
        stimulus = {"x": np.ones((1, ticks, 2), np.int8)}
        report = compared(artifact, FakeWitness(windowed=True), stimulus=stimulus)
        assert (report.bit_exact, report.ticks) == (True, ticks)


# Differences


def test_a_divergence_is_named(artifact: Artifact) -> None:
    """Chip tick 4 of a, which runs 1 late, is tick 3 of the user."""
    trace = ReferenceSimulator().run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag)
    value = int(trace.v["a"][2, 4, 1])
    report = compared(artifact, FakeWitness(("v", "a", 2, 4, 1, 7)))
    assert not report.bit_exact
    assert report.first_divergence == Divergence(("reference", "fake"), "a", 1, 2, 3, "v", (value, value + 7))
    assert str(report.first_divergence) == (
        f"reference and fake differ first in v of a[1] at tick 3 of sample 2: {value} and {value + 7}"
    )
    assert report.as_json()["first_divergence"] == {
        "engines": ["reference", "fake"],
        "population": "a",
        "neuron": 1,
        "sample": 2,
        "tick": 3,
        "register": "v",
        "values": [value, value + 7],
    }


@pytest.mark.parametrize(
    ("faults", "place"),
    [
        pytest.param([("v", "b", 0, 5, 0, 1), ("v", "b", 2, 4, 1, 1)], ("b", 1, 2, 2, "v"), id="the earlier tick"),
        pytest.param([("u", "a", 2, 3, 0, 1), ("u", "a", 1, 3, 2, 1)], ("a", 2, 1, 2, "u"), id="then the sample"),
        pytest.param([("u", "b", 1, 4, 0, 1), ("u", "a", 1, 3, 0, 1)], ("a", 0, 1, 2, "u"), id="then the order of layers"),
        pytest.param([("v", "a", 1, 3, 0, 1), ("u", "a", 1, 3, 2, 1)], ("a", 2, 1, 2, "u"), id="then the register"),
        pytest.param([("spikes", "a", 1, 3, 2, 1), ("u", "a", 1, 3, 0, 1)], ("a", 2, 1, 2, "spikes"), id="spikes before u"),
        pytest.param([("u", "a", 1, 3, 2, 1), ("u", "a", 1, 3, 1, 1)], ("a", 1, 1, 2, "u"), id="then the neuron"),
    ],
)
def test_the_first_difference(artifact: Artifact, faults: list[Any], place: tuple[str, int, int, int, str]) -> None:
    for windowed in (False, True):
        d = compared(artifact, FakeWitness(*faults, windowed=windowed), chip=False).first_divergence
        assert d is not None
        assert (d.population, d.neuron, d.sample, d.tick, d.register) == place


def test_a_difference_outside_the_window(artifact: Artifact) -> None:
    """Engines that run one sample at a time are compared in all chip ticks, windowed ones in the window alone."""
    before, after = ("v", "b", 0, 1, 0, 5), ("v", "b", 1, TICKS + 1, 1, 5)
    assert compared(artifact, FakeWitness(before, windowed=True)).bit_exact
    d = compared(artifact, FakeWitness(before)).first_divergence
    assert d is not None
    assert (d.population, d.tick) == ("b", -1)
    late = ("v", "a", 1, TICKS + 1, 1, 5)
    assert compared(artifact, FakeWitness(late, windowed=True)).bit_exact
    d = compared(artifact, FakeWitness(late)).first_divergence
    assert d is not None
    assert (d.population, d.tick) == ("a", TICKS)
    assert not compared(artifact, FakeWitness(after, windowed=True)).bit_exact


def test_one_of_two_witnesses_differs(artifact: Artifact) -> None:
    report = compared(artifact, FakeWitness(), FakeWitness(("spikes", "b", 0, 3, 0, 1)))
    assert report.engines == ("reference", "chip", "fake", "fake")
    assert not report.bit_exact


def test_a_register_that_an_engine_leaves_out_is_no_agreement(artifact: Artifact) -> None:
    with pytest.raises(InternalError, match="verify broke an invariant: 'fake' returns v of 'b'"):
        compared(artifact, FakeWitness(leaves_out="b"))


def test_a_wrong_lowering_shows(artifact: Artifact) -> None:
    """Lowered, chip and witness agree, but the lowered network is not the quantized one."""
    q, r = artifact.quantized.network.projections
    other = replace(q, mantissa=(q.mantissa * 0).astype(q.mantissa.dtype))
    wrong = replace(
        artifact, quantized=replace(artifact.quantized, network=replace(artifact.quantized.network, projections=(other, r)))
    )
    report = compared(wrong, FakeWitness())
    assert not report.bit_exact
    assert report.first_divergence is not None
    assert report.first_divergence.engines == ("quantized", "lowered")
    assert report.first_divergence.population == "a"


def test_an_injected_fault(artifact: Artifact) -> None:
    report = compared(artifact, FakeWitness(), inject=("weight", 3))
    assert not report.bit_exact
    assert report.injection
    assert report.first_divergence is not None
    assert report.first_divergence.engines == ("reference", "chip")


# Lossy


def test_lossy_populations_are_listed_with_their_distance() -> None:
    """b starts above its threshold and spikes at once: started early, it spikes before its window, and that spike is lost."""
    report = compared(compiled(v_init=5000), FakeWitness())
    assert report.bit_exact
    assert set(report.lossy) == {"b"}
    entry = report.lossy["b"]
    assert entry["reason"] == (
        "2 of 2 neurons cannot start 2 ticks early without a spike or a clip; "
        "delays that add up to 2 on the way to it need no early start"
    )
    assert entry["spikes_moved_or_lost"] >= 3 * 2
    assert entry["spikes"] >= entry["spike_count_difference"] > 0


def test_distances_of_a_lossy_step(artifact: Artifact) -> None:
    """Planted: a is called lossy and its quantized threshold is another one; a and b behind it are reported, not compared."""
    network = artifact.quantized.network
    a = network.populations["a"]
    other = replace(a, parameters={**a.parameters, "vth": np.asarray(55)})
    mapping = {**artifact.lowered.map, "a": Representative("a", 1, True, "planted")}
    planted = replace(
        artifact,
        quantized=replace(artifact.quantized, network=replace(network, populations={**network.populations, "a": other})),
        lowered=replace(artifact.lowered, map=mapping),
    )
    report = compared(planted)
    assert report.bit_exact
    reference = ReferenceSimulator()
    logical = reference.run(planted.quantized.network, STIMULUS)
    lowered = reference.run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag).in_user_time()
    assert set(report.lossy) == {"a", "b"}
    for name, entry in report.lossy.items():
        left, right = logical.spikes[name], lowered.spikes[name]
        assert entry == {
            "reason": "planted",
            "spike_count_difference": int(np.abs(left.sum(axis=1) - right.sum(axis=1)).sum()),
            "spikes_moved_or_lost": int((left != right).sum()),
            "spikes": int((left != 0).sum()),
        }
    assert report.lossy["a"]["spike_count_difference"] > 0


# The document


def test_json_keys(artifact: Artifact) -> None:
    document = json.loads(json.dumps(compared(artifact, FakeWitness()).as_json()))
    assert set(document) == {
        "schema", "bit_exact", "engines", "skipped", "samples", "ticks", "spikes_compared", "values_compared",
        "witnesses", "lossy", "first_divergence", "injection", "events",
    }  # fmt: skip
    assert (document["schema"], document["bit_exact"], document["first_divergence"]) == (1, True, None)


def test_overflows_are_events() -> None:
    """A potential that saturates is no difference; the report says where it happened, for each engine that saw it."""
    artifact = compiled(bias_mant=-4095, bias_exp=7, dv=0, v_init=-8388607)
    seen = ReferenceSimulator().run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag).events
    assert [(event.population, event.register) for event in seen] == [("b", "v")]
    report = compared(artifact, FakeWitness())
    assert report.bit_exact
    assert report.events[0] == report.events[-1] == seen[0]
    assert report.as_json()["events"][0] == asdict(seen[0])


def test_a_path_is_not_needed(artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification reads and writes no file."""
    monkeypatch.chdir(tmp_path)
    assert compared(artifact).bit_exact
    assert list(tmp_path.iterdir()) == []


def test_a_stimulus_that_outlasts_the_proof_of_a_readout() -> None:
    """An integrator is proved to stay below the largest threshold for the 6 ticks that are declared, and then it is not."""
    readout = chip_neuron(dv=0, vth=131071)
    net = Network(
        "net",
        1e-3,
        TICKS,
        {"x": Population("x", (1,)), "r": Population("r", (1,), replace(readout, model="i"))},
        (Projection("x->r", "x", "r", Pattern("dense"), np.array([[254]]), native=NativeWeights(2)),),
    )
    spec, backend = registry.find_spec("loihi"), registry.backend("loihi")
    artifact = pipeline.compile_network(net, spec, backend, registry.simulator("reference"), Options())
    short = compared(artifact, stimulus={"x": np.ones((1, TICKS, 1), np.int8)})
    assert short.bit_exact
    assert dict(short.lossy) == {}
    long = compared(artifact, stimulus={"x": np.ones((1, 200, 1), np.int8)})
    assert long.bit_exact
    assert long.lossy["r"] == {
        "reason": "'r' is proved exact for 6 ticks only",
        "spike_count_difference": 1,
        "spikes_moved_or_lost": 1,
        "spikes": 0,
    }
