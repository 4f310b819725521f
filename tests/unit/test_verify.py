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
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.distance import spike_distance
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection
from neurocomp.ir.quantized import IntegerPopulation
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
    return compiled_for(registry.find_spec("loihi"), **parameters)


def compiled_for(spec: HardwareSpec, **parameters: int) -> Artifact:
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
    backend = registry.backend("loihi")
    return pipeline.compile_network(net, spec, backend, registry.simulator("reference"), Options())


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return compiled()


class FakeWitness:
    """The reference once more, with faults; ``windowed`` as Lava's runs of many samples are."""

    name = "fake"

    def __init__(
        self, *faults: tuple[str, str, int, int, int, int], windowed: bool = False, leaves_out: tuple[str, str] | None = None
    ) -> None:
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
        if self.leaves_out is not None:
            register, population = self.leaves_out
            del tables[register][population]
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
    assert report.witness_models == {"fake": {"a": "stock", "b": "own"}}
    assert report.not_on_this_chip == ()


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
    assert report.witness_models == {}


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
        compared(artifact, FakeWitness(leaves_out=("v", "b")))


@pytest.mark.parametrize("register", ["spikes", "u", "v"])
def test_a_register_that_the_reference_leaves_out_is_no_agreement(artifact: Artifact, register: str) -> None:
    """A population with neurons is compared in everything, or verification ends: it is never passed over in silence."""

    class Forgetful(ReferenceSimulator):
        def run(self, *arguments: Any, **options: Any) -> Trace:
            trace = super().run(*arguments, **options)
            tables: dict[str, Any] = {register: dict(getattr(trace, register))}
            del tables[register]["a"]
            return replace(trace, **tables)

    with pytest.raises(InternalError, match=f"'reference' returns {register} of 'a'"):
        verify(artifact, STIMULUS, backend=registry.backend("loihi"), reference=Forgetful(), witnesses=[FakeWitness()])


def test_a_wrong_lowering_shows(artifact: Artifact) -> None:
    """Lowered, chip and witness agree, but the lowered network is not the quantized one."""
    q, r = artifact.integers.network.projections
    other = replace(q, mantissa=(q.mantissa * 0).astype(q.mantissa.dtype))
    wrong = replace(
        artifact, quantized=replace(artifact.integers, network=replace(artifact.integers.network, projections=(other, r)))
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
    spec = registry.find_spec("loihi")
    without = replace(spec, native={axis: words for axis, words in spec.native.items() if axis != "periodic_reset"})
    report = compared(compiled_for(without, v_init=5000), FakeWitness())
    assert report.bit_exact
    assert set(report.lossy) == {"b"}
    entry = report.lossy["b"]
    assert entry["reason"] == (
        "2 of 2 neurons cannot start 2 ticks early without a spike or a clip; "
        "delays that add up to 2 on the way to it need no early start"
    )
    assert entry["spikes_moved_or_lost"] >= 3 * 2
    assert entry["spikes"] >= entry["spike_count_difference"] > 0


def test_a_start_by_the_processor_is_exact() -> None:
    """The same on a chip whose processor writes states: b does nothing before its time, and is compared like all others."""
    made = compiled(v_init=5000)
    report = compared(made, FakeWitness())
    assert made.lowered.network.populations["b"].start == 2
    assert (report.bit_exact, dict(report.lossy)) == (True, {})
    spikes = ReferenceSimulator().run(made.lowered.network, STIMULUS, lag=made.lowered.lag).spikes["b"]
    assert spikes[:, :3].any(axis=0).tolist() == [[False] * 2, [False] * 2, [True] * 2]


def test_distances_of_a_lossy_step(artifact: Artifact) -> None:
    """Planted: a is called lossy and its quantized threshold is another one; a and b behind it are reported, not compared."""
    network = artifact.integers.network
    a = network.populations["a"]
    other = replace(a, parameters={**a.parameters, "vth": np.asarray(55)})
    mapping = {**artifact.lowered.map, "a": Representative("a", 1, True, "planted")}
    planted = replace(
        artifact,
        quantized=replace(artifact.integers, network=replace(network, populations={**network.populations, "a": other})),
        lowered=replace(artifact.lowered, map=mapping),
    )
    report = compared(planted)
    assert report.bit_exact
    reference = ReferenceSimulator()
    logical = reference.run(planted.integers.network, STIMULUS)
    lowered = reference.run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag).in_user_time()
    assert set(report.lossy) == {"a", "b"}
    for name, entry in report.lossy.items():
        left, right = logical.spikes[name], lowered.spikes[name]
        assert entry == {
            "reason": "planted" if name == "a" else "behind 'a': planted",
            "spike_count_difference": int(np.abs(left.sum(axis=1) - right.sum(axis=1)).sum()),
            "spikes_moved_or_lost": int((left != right).sum()),
            "spikes": int((left != 0).sum()),
            **spike_distance(left, right),
        }
    assert report.lossy["a"]["spike_count_difference"] > 0


def test_spikes_are_counted_whatever_their_sign(artifact: Artifact) -> None:
    """Ternary spikes of both signs do not cancel: a lost +1 and a lost -1 are two spikes."""

    class Ternary(ReferenceSimulator):
        """Turns every second spike of a, as the lowered network has it, into -1; the quantized network has none."""

        def run(self, network: Any, *arguments: Any, **options: Any) -> Trace:
            trace = super().run(network, *arguments, **options)
            found = trace.spikes["a"].copy()
            if network is artifact.integers.network:
                found[:] = 0
            places = np.flatnonzero(found)
            found.reshape(-1)[places[::2]] = -1
            return replace(trace, spikes={**trace.spikes, "a": found})

    mapping = {**artifact.lowered.map, "a": Representative("a", 1, True, "planted")}
    planted = replace(artifact, lowered=replace(artifact.lowered, map=mapping))
    report = verify(planted, STIMULUS, backend=registry.backend("loihi"), reference=Ternary(), chip=False)
    spikes = ReferenceSimulator().run(artifact.lowered.network, STIMULUS, lag=artifact.lowered.lag).in_user_time().spikes["a"]
    lost = int((spikes != 0).sum())
    assert lost > 3
    assert report.lossy["a"]["spike_count_difference"] == report.lossy["a"]["spikes_moved_or_lost"] == lost


# Currents, extensions, parts of the chip


class Silent(ReferenceSimulator):
    """The reference without the values of the current in its traces."""

    def run(self, *arguments: Any, **options: Any) -> Trace:
        trace = super().run(*arguments, **options)
        return replace(trace, spikes={name: values for name, values in trace.spikes.items() if name != "i"})


def with_current(artifact: Artifact, witness: FakeWitness, reference: ReferenceSimulator) -> VerifyReport:
    """Verify the artifact with a current beside its populations, which no population adds to its bias."""
    populations = {"i": IntegerPopulation("i", (3,), "current", {}), **artifact.lowered.network.populations}
    quantized, low = artifact.integers, artifact.lowered
    low = replace(
        low,
        network=replace(low.network, populations=populations),
        lag={"i": 0, **low.lag},
        map={"i": Representative("i", 0), **low.map},
        extensions=("graded_spikes",),
    )
    logical = {"i": populations["i"], **quantized.network.populations}
    quantized = replace(quantized, network=replace(quantized.network, populations=logical))
    stimulus = {**STIMULUS, "i": np.repeat(np.arange(9).reshape(3, 1, 3), TICKS, axis=1)}
    return verify(
        replace(artifact, quantized=quantized, lowered=low), stimulus, backend=registry.backend("loihi"), reference=reference,
        witnesses=[witness], chip=False,
    )  # fmt: skip


@pytest.mark.parametrize("windowed", [False, True])
def test_currents_are_compared_where_engines_repeat_them(artifact: Artifact, windowed: bool) -> None:
    """What an engine lists beyond the ticks of the user, where the host writes nothing, does not matter."""
    beyond = () if windowed else (("spikes", "i", 0, TICKS, 1, 7),)
    report = with_current(artifact, FakeWitness(*beyond, windowed=windowed), ReferenceSimulator())
    assert report.bit_exact
    bare = compared(artifact, FakeWitness(windowed=windowed), chip=False)
    assert report.values_compared == bare.values_compared + 2 * 3 * TICKS * 3
    assert report.spikes_compared == bare.spikes_compared
    wrong = with_current(artifact, FakeWitness(("spikes", "i", 1, 3, 2, 5), windowed=windowed), ReferenceSimulator())
    assert wrong.first_divergence == Divergence(("reference", "fake"), "i", 2, 1, 3, "spikes", (5, 10))


def test_currents_that_an_engine_does_not_repeat(artifact: Artifact) -> None:
    bare = compared(artifact, FakeWitness(), chip=False)
    report = with_current(artifact, FakeWitness(leaves_out=("spikes", "i")), ReferenceSimulator())
    assert report.bit_exact
    assert report.values_compared == bare.values_compared + 3 * TICKS * 3  # between quantized and lowered
    report = with_current(artifact, FakeWitness(), Silent())
    assert report.bit_exact
    assert report.values_compared == bare.values_compared
    with pytest.raises(InternalError, match="'fake' returns spikes of 'x'"):
        with_current(artifact, FakeWitness(leaves_out=("spikes", "x")), Silent())


def test_extensions_are_reported(artifact: Artifact) -> None:
    report = with_current(artifact, FakeWitness(), ReferenceSimulator())
    assert report.not_on_this_chip == ("graded_spikes",)
    assert report.as_json()["not_on_this_chip"] == ["graded_spikes"]


def test_models_are_named_by_the_users_populations(artifact: Artifact) -> None:
    """A population of the chip that represents none of the user's keeps its name, so that no model of ours stays unsaid."""
    network = artifact.integers.network
    mapping = {"x": artifact.lowered.map["x"], "mine": Representative("b", 2, True, "planted")}
    logical = {"x": network.populations["x"], "mine": replace(network.populations["b"], name="mine")}
    quantized = replace(artifact.integers, network=replace(network, populations=logical, projections=()))
    planted = replace(artifact, quantized=quantized, lowered=replace(artifact.lowered, map=mapping))
    assert compared(planted, FakeWitness()).witness_models == {"fake": {"mine": "own", "a": "stock"}}


# The document


def test_json_keys(artifact: Artifact) -> None:
    document = json.loads(json.dumps(compared(artifact, FakeWitness()).as_json()))
    assert set(document) == {
        "schema", "bit_exact", "engines", "skipped", "samples", "ticks", "spikes_compared", "values_compared",
        "witnesses", "lossy", "first_divergence", "injection", "events", "witness_models", "not_on_this_chip",
    }  # fmt: skip
    assert document["witness_models"] == {"fake": {"a": "stock", "b": "own"}}
    assert document["not_on_this_chip"] == []
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
        "spike_count_error": None,
        "van_rossum": pytest.approx(1.0, abs=1e-12),
        "same_ticks": 0.995,
    }
