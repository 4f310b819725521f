"""The target ``reference``: networks that no chip takes are compiled, run and reported, and nothing pretends to check them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api, pipeline, registry
from neurocomp.backend import Options
from neurocomp.energy.counts import count
from neurocomp.errors import CapacityError, EngineUnavailable, NeurocompError, SpecError, UsageError
from neurocomp.frontends import from_yaml
from neurocomp.hardware import HardwareSpec, NumberFormat, read_spec
from neurocomp.ir.network import Decoder, Network, Neuron, Population, Projection, Stage, frozen
from neurocomp.ir.program import Program
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.testing.golden import conv, max_pool
from neurocomp.testing.random_networks import random_network, random_real_network
from neurocomp_loihi import LoihiBackend
from neurocomp_reference import ReferenceSimulator
from neurocomp_reference.backend import ReferenceBackend

Array = NDArray[Any]
SPECS = Path(__file__).parents[2] / "hwspecs" / "neurocomp_hwspecs"
SPEC = read_spec(SPECS / "reference.yaml")

LIF = {"tau_mem": 20e-3, "r": 1.0, "v_threshold": 0.5, "v_init": 0.0}
CUBA_LIF = {**LIF, "tau_syn": 3e-3, "v_threshold": 1.0, "u_init": 0.0}
SUBTRACT = Semantics(reset="subtract", refractory=2)
CLOCKED = Semantics(reset="none", compare=">=", reset_interval=4, reset_offset=1)


def neuron(model: str, parameters: dict[str, float], semantics: Semantics = SUBTRACT) -> Neuron:
    return Neuron(model, {key: frozen(np.float64(value)) for key, value in parameters.items()}, semantics)


def wide(seen: Neuron | None = None) -> Network:
    """Return a convolution with delays of its own, a maximum over spikes, recurrence, and neurons of several kinds."""
    rng = np.random.default_rng(2)
    shapes = {"conv": (4, 2, 3, 3), "dense": (5, 36), "back": (5, 5), "out": (3, 5)}
    weights = {name: frozen(rng.normal(0.15, 0.3, shape)) for name, shape in shapes.items()}
    one = frozen(np.float64(1.0))
    pooled = (Stage(max_pool((2, 2)), one, (4, 3, 3)), Stage(Pattern("flatten"), one, (36,)))
    populations = [
        Population("image", (2, 8, 6)),
        Population("seen", (4, 6, 6), seen or neuron("lif", LIF)),
        Population("fast", (5,), neuron("cuba_lif", CUBA_LIF, CLOCKED)),
        Population("out", (3,), neuron("li", {"tau_mem": 50e-3, "r": 1.0, "v_init": 0.0}, Semantics())),
    ]
    projections = (
        Projection(
            "image->seen", "image", "seen", conv((3, 3), padding=(0, 1)), weights["conv"],
            delay=frozen(rng.integers(0, 3, shapes["conv"])),
        ),
        Projection("seen->fast", "seen", "fast", Pattern("dense"), weights["dense"], before=pooled),
        Projection("fast->fast", "fast", "fast", Pattern("dense"), weights["back"], delay=frozen(np.int64(1))),
        Projection("fast->out", "fast", "out", Pattern("dense"), weights["out"]),
    )  # fmt: skip
    decoders = {"out": Decoder("potential", {})}
    return Network("wide", 1e-3, 8, {p.name: p for p in populations}, projections, decoders=decoders).verify()


@pytest.fixture(scope="module")
def compiled() -> api.Compiled:
    return api.compile(wide(), "reference")


def stimulus(samples: int = 3) -> dict[str, Array]:
    return {"image": (np.random.default_rng(5).random((samples, 8, 2, 8, 6)) < 0.3).astype(np.uint8)}


def decoded(program: Program) -> IntegerNetwork:
    """Read a program as docs/reference-program.md says it."""
    (core,) = program.cores
    document = json.loads(core.tables["network"].tobytes())

    def array(entry: dict[str, Any]) -> Array:
        elements: Array = np.frombuffer(core.tables[entry["table"]].tobytes(), entry["dtype"])
        return np.asarray(elements.reshape(entry["shape"]))

    def pattern(entry: dict[str, Any] | None) -> Any:
        if entry is None:
            return None
        options = {key: tuple(values) for key, values in entry["options"].items()}
        return Pattern(entry["kind"], {key: array(values) for key, values in entry["arrays"].items()}, options)

    populations = {}
    for p in document["populations"]:
        parameters = {key: array(values) for key, values in p.pop("parameters").items()}
        populations[p["name"]] = IntegerPopulation(shape=tuple(p.pop("shape")), parameters=parameters, **p)
    projections = []
    for q in document["projections"]:
        arrays: dict[str, Any] = {key: array(q.pop(key)) for key in ("mantissa", "delay")}
        projections.append(IntegerProjection(pattern=pattern(q.pop("pattern")), pool=pattern(q.pop("pool")), **arrays, **q))
    return IntegerNetwork(
        document["name"], document["timestep"], document["ticks"], NumberFormat(**document["number_format"]), populations,
        tuple(projections),
    )  # fmt: skip


def assert_same_run(a: IntegerNetwork, b: IntegerNetwork, spikes: dict[str, Array]) -> None:
    b.verify("the test")
    first, second = (ReferenceSimulator().run(net, spikes) for net in (a, b))
    for register in ("spikes", "u", "v"):
        for name, values in getattr(first, register).items():
            np.testing.assert_array_equal(values, getattr(second, register)[name])
    assert first.events == second.events


def test_lowering_is_the_identity(compiled: api.Compiled) -> None:
    made = compiled.artifact
    assert made.lowered.network is made.integers.network
    assert set(made.lowered.lag.values()) == {0}
    assert {q.pool.kind for q in made.lowered.network.projections if q.pool} == {"maxpool2d"}
    assert min(int(q.delay.min()) for q in made.lowered.network.projections) == 0


def test_the_program_holds_the_whole_network(compiled: api.Compiled) -> None:
    flat = {"image": stimulus()["image"].reshape(3, 8, 96)}
    assert_same_run(compiled.artifact.lowered.network, decoded(compiled.artifact.program), flat)
    for seed in range(20):
        net, spikes = random_network(seed) if seed % 2 else random_real_network(seed)
        made = pipeline.compile_network(net, SPEC, ReferenceBackend(), ReferenceSimulator(), Options())
        assert_same_run(made.lowered.network, decoded(made.program), dict(spikes))


def test_an_artifact_is_read_back(compiled: api.Compiled, tmp_path: Path) -> None:
    compiled.save(tmp_path / "net.ncz")
    again = api.load(tmp_path / "net.ncz")
    assert isinstance(again, api.Compiled)
    one, other = (c.run("reference", stimulus(), state=True, probe="all").arrays for c in (compiled, again))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[key], other[key]) for key in one)
    assert one["spikes/seen"].any()
    assert one["spikes/fast"].any()
    assert compiled.artifact.program.digest() == again.artifact.program.digest()


def test_integers_follow_the_real_numbers(compiled: api.Compiled) -> None:
    """Float and integers agree on nearly all spikes of the first population, so the features mean the same."""
    float_run, fixed = (compiled.run(engine, stimulus(8), probe="all") for engine in ("float", "reference"))
    spikes = [run.arrays["spikes/seen"] != 0 for run in (float_run, fixed)]
    assert (spikes[0] != spikes[1]).sum() < 0.02 * spikes[0].sum()


def test_one_core_of_all(compiled: api.Compiled) -> None:
    mapped = compiled.artifact.mapped
    assert len(mapped.cores) == 1
    assert compiled.utilization()["neurons"]["used"] == 4 * 36 + 5 + 3
    words = sum(-(-q.mantissa.size // 8) for q in mapped.lowered.network.projections)
    assert compiled.utilization()["synapse_words"]["used"] == compiled.synapse_words()["weights"] == words
    axons = {name: set() for name in mapped.population_names}  # type: dict[str, set[int]]
    for population, neuron in zip(mapped.cores[0].axon_population, mapped.cores[0].axon_neuron, strict=True):
        axons[mapped.population_names[population]].add(int(neuron))
    assert axons == {"image": set(range(96)), "seen": set(range(144)), "fast": set(range(5)), "out": set()}


def test_counts_see_what_a_maximum_makes(compiled: api.Compiled) -> None:
    lowered = compiled.artifact.lowered
    trace = ReferenceSimulator().run(lowered.network, {"image": stimulus()["image"].reshape(3, 8, 96)})
    counts = count(trace, compiled.artifact.mapped, SPEC)
    seen = trace.spikes["seen"].reshape(3, 8, 4, 3, 2, 3, 2).max(axis=(4, 6)).reshape(3, 8, 36)
    dense = next(q for q in lowered.network.projections if q.pool)
    expected = int(seen.sum(axis=(0, 1)) @ (dense.weights != 0).sum(axis=0))
    assert expected > 0
    assert counts.per_projection[dense.name]["sops"] == expected
    assert counts.per_projection[dense.name]["source_spikes"] == int(trace.spikes["seen"].sum())
    assert int(counts.per_core["sops"].sum()) == sum(entry["sops"] for entry in counts.per_projection.values())
    assert int(counts.per_core["synaptic_events"].sum()) >= int(counts.per_core["sops"].sum())
    per_tick = (seen @ (dense.weights != 0).sum(axis=0)).sum()
    assert per_tick == expected


def test_a_report_prices_nothing(compiled: api.Compiled) -> None:
    report = compiled.report(inputs=stimulus())
    document = report.as_json()
    assert document["energy_j"] is None
    assert document["per_sample"]["energy_j"] is None
    assert document["energy"]["costs"] == "none published"
    assert document["energy"]["parts_j"] == {"core dynamic": None, "network on chip": None, "static": None, "host": None}
    assert "synaptic_event" in document["energy"]["unpriced"]
    assert document["counts"]["sops"] > 0
    with pytest.raises(UsageError, match=r"reference has no cost source 'loihi'\nhint:  reference.yaml states no costs"):
        compiled.report(inputs=stimulus(), costs="loihi")


def test_the_fast_engine_is_the_second_one(compiled: api.Compiled) -> None:
    report = compiled.verify(inputs=stimulus())
    assert report.bit_exact
    assert report.engines == ("reference", "fast")
    assert set(report.witnesses.values()) == {"independent"}
    assert report.skipped == {
        "chip": "the target 'reference' is no chip: its program is the integers that the engine 'reference' executes"
    }
    with pytest.raises(UsageError, match="verify needs an engine to compare the reference with"):
        compiled.verify(["reference"], inputs=stimulus())


def test_there_is_no_chip(compiled: api.Compiled) -> None:
    for call in (
        lambda: compiled.verify(["chip"], inputs=stimulus()),
        lambda: compiled.verify(["chip"], inputs=stimulus(), inject=("weight", 1)),
        lambda: compiled.run("chip", stimulus()),
        lambda: ReferenceBackend().inject(compiled.artifact.program, None, "weight", 1),  # type: ignore[arg-type]
    ):
        with pytest.raises(EngineUnavailable, match="engine 'chip' is not available: the target 'reference' is no chip"):
            call()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"reset": "value"}, "NC0301", "resets by 'value'; reference has 'zero or subtract or none'"),
        ({"reset_when": "next_tick"}, "NC0304", "resets in the 'next_tick'; reference has 'same_tick'"),
        ({"v_floor": -1.0}, "NC0306", "has the floor -1.0 of its potential; reference has none"),
        ({"spikes_per_tick": "many"}, "NC0305", "sends, of spikes per tick, 'many'; reference has 'one'"),
        (
            {"threshold_on": "old"},
            "NC0304",
            "compares with the threshold the potential that is 'old'; reference has 'new'",
        ),
    ],
)
def test_what_the_semantics_do_not_have_is_refused(changes: dict[str, Any], code: str, message: str) -> None:
    (found,) = api.check(wide(neuron("lif", LIF, replace(SUBTRACT, **changes))), "reference")
    assert (found.code, found.message) == (code, f"population 'seen' {message}")


def test_real_numbers_that_have_no_integers_are_refused() -> None:
    (found,) = api.check(wide(neuron("lif", {**LIF, "v_threshold": -1.0})), "reference")
    assert (found.code, found.message) == (
        "NC0312",
        "population 'seen' has a negative threshold; reference has thresholds >= 0",
    )


def test_a_smaller_spec_is_kept() -> None:
    net = wide()
    native = {**SPEC.native, "patterns": ("dense", "conv2d"), "refractory": (), "periodic_reset": (), "neuron_models": ("lif",)}

    def violations(**changes: Any) -> list[str]:
        checked = pipeline.check_network(net, replace(SPEC, **changes), ReferenceBackend(), ReferenceSimulator(), Options())
        return [f"{v.code} {v.message}" for v in checked.violations]

    assert violations(native=native) == [
        "NC0303 population 'seen' is refractory for 2 ticks; reference has no such periods",
        "NC0313 population 'fast' has the model cuba_lif; reference has lif",
        "NC0307 population 'fast' is reset every 4 ticks; reference has no such schedule",
        "NC0313 population 'out' has the model li; reference has lif",
        "NC0308 projection 'seen->fast' is maxpool2d; reference has dense or conv2d",
    ]
    limits = {**SPEC.limits, "delay": replace(SPEC.limits["delay"], value=1)}
    assert violations(limits=limits) == ["NC0309 projection 'image->seen' has a delay of 2 ticks; reference has at most 1"]
    limits = {**SPEC.limits, "neurons": replace(SPEC.limits["neurons"], value=151)}
    assert violations(limits=limits) == ["NC0401 'wide' has 152 neurons; reference has one core of 151"]
    with pytest.raises(CapacityError):
        pipeline.compile_network(
            net, replace(SPEC, limits=limits), ReferenceBackend(), ReferenceSimulator(), Options()
        )  # fmt: skip


def test_specs_and_backends_belong_together() -> None:
    loihi = read_spec(SPECS / "loihi.yaml")
    pairs: list[tuple[HardwareSpec, Any]] = [(SPEC, LoihiBackend()), (loihi, ReferenceBackend())]
    for spec, backend in pairs:
        with pytest.raises(SpecError) as caught:
            pipeline.check_network(wide(), spec, backend, ReferenceSimulator(), Options())
        assert [d.code for d in caught.value.diagnostics] == ["NC0502"]


def test_native_integers_are_checked(tmp_path: Path) -> None:
    text = """\
neurocomp: 1
name: native
timestep: 1 ms
ticks: 4
populations:
  x: {kind: input, shape: [2]}
  n: {shape: [2], neuron: {model: lif, format: loihi, du: 4095, dv: 4096, vth: 100}}
projections:
  - {from: x, to: n, weights: [[1, 2], [4, -300]]}
"""
    found = api.check(from_yaml.loads(text, tmp_path, "net.yaml"), "reference")
    assert [v.message for v in found] == [
        "population 'n': dv is 4096; reference holds 0..4095",
        "projection 'x->n': weight -300 lies outside -256..254 of 8 bits, mixed",
        "projection 'x->n': weight 1 is no multiple of 2, which 8 bits of mixed sign store",
    ]


def test_registered() -> None:
    assert isinstance(registry.backend("reference"), ReferenceBackend)
    assert registry.find_spec("reference").hop_ticks == 0
    with pytest.raises(NeurocompError):
        registry.backend("reference").chip_simulator()
