"""Files for SANA-FE: what stands in them, read back, against the mapped network; what is refused; nothing half-written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import neurocomp
import neurocomp_hwspecs
from benchmarks import sanafe_export as benchmark
from neurocomp import pipeline, registry
from neurocomp.api import Compiled
from neurocomp.artifact import Artifact
from neurocomp.backend import Backend, Options, Stimulus
from neurocomp.energy.counts import count
from neurocomp.errors import UnsupportedError, UsageError
from neurocomp.fixedpoint import shifted
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.network import NativeWeights, Network, Neuron, Population, Projection, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.testing.random_networks import random_network
from neurocomp_loihi import sanafe_export
from neurocomp_loihi.sanafe_export import export_sanafe, group_names

Array = NDArray[Any]
LOIHI = (Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").read_text(encoding="utf-8")
HOPS = {f"{what}_{way}_hop" for what in ("energy", "latency") for way in ("north", "south", "east", "west")}

CONTENTS = ("tiles", "cores", "neurons", "input_neurons", "synapses", "ticks")
"""What a summary has beside the numbers of what SANA-FE does otherwise."""


def small_cores(neurons: int = 8) -> HardwareSpec:
    """Return Loihi with fewer neurons per core, so that small networks take several cores and tiles."""
    return load_spec(LOIHI.replace("neurons: {value: 1024", f"neurons: {{value: {neurons}"), "loihi.yaml")


def backend_of(made: Artifact) -> Backend:
    return registry.backend(made.spec.backend)


def compiled(network: Network, spec: HardwareSpec) -> Artifact:
    backend = registry.backend(spec.backend)
    return pipeline.compile_network(network, spec, backend, registry.simulator("reference"), Options())


def exported(folder: Path, made: Artifact, stimulus: Stimulus) -> tuple[Any, Any, Mapping[str, int]]:
    """Return what a YAML reader makes of both files, and the summary."""
    summary = export_sanafe(folder, made.mapped, made.program, made.spec, stimulus)
    architecture, network = (yaml.safe_load((folder / name).read_text()) for name in ("arch.yaml", "net.yaml"))
    return architecture["architecture"], network, summary


def native(model: str = "if", semantics: Semantics | None = None, **parameters: Any) -> Neuron:
    values = {"du": 4095, "dv": 0, "vth": 10, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0} | parameters
    numbers = {key: frozen(np.asarray(value, np.int64)) for key, value in values.items()}
    return Neuron(model, numbers, semantics or Semantics(), "loihi")


def projection(source: str, target: str, weights: Array, delay: int) -> Projection:
    return Projection(
        f"{source}->{target}", source, target, Pattern("dense"), frozen(weights.astype(np.int16)),
        delay=frozen(np.int64(delay)), native=NativeWeights(0, 8, "mixed"),
    )  # fmt: skip


def exact_network(seed: int) -> tuple[Network, Stimulus]:
    """Return a recurrent network that SANA-FE's models express: IF with each reset, biases, a refractory period, a readout."""
    rng = np.random.default_rng(seed)

    def weights(targets: int, sources: int) -> Array:
        return np.asarray(rng.integers(-40, 60, (targets, sources)) * 2)

    populations = {
        "x": Population("x", (12,)),
        "a": Population("a", (20,), native(vth=rng.integers(100, 107, 20), bias_mant=rng.integers(-300, 900, 20))),
        "b": Population("b", (15,), native(vth=90, semantics=Semantics(reset="subtract", refractory=2))),
        "readout": Population("readout", (3,), native("i", vth=(1 << 17) - 1)),
    }
    edges = (
        projection("x", "a", weights(20, 12), 1), projection("a", "a", weights(20, 20), 1),
        projection("a", "b", weights(15, 20), 0), projection("b", "a", weights(20, 15), 2),
        projection("b", "readout", weights(3, 15), 0),
    )  # fmt: skip
    network = Network("exact", 1e-3, 25, populations, edges).verify()
    return network, {"x": (rng.random((1, 25, 12)) < 0.3).astype(np.uint8)}


def span(name: str) -> range:
    """Return the neurons of ``3`` or ``3..5``."""
    first, _, last = str(name).partition("..")
    return range(int(first), int(last or first) + 1)


def only(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    (item,) = entry.items()
    return item


def neurons_of(document: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the attributes of each neuron of each group."""
    found: dict[str, list[dict[str, Any]]] = {}
    for group in document["network"]["groups"]:
        own = found.setdefault(group["name"], [])
        for entry in group["neurons"]:
            numbers, attributes = only(entry)
            assert span(numbers)[0] == len(own)
            own += [group["attributes"] | attributes for _ in span(numbers)]
    return found


def edges_of(document: Any) -> Iterator[tuple[str, str, int, int]]:
    """Yield source, target, weight and delay."""
    for entry in document["network"]["edges"]:
        ends, attributes = only(entry)
        source, target = ends.split(" -> ")
        assert set(attributes) <= {"weight", "delay"}
        yield source, target, attributes["weight"], attributes.get("delay", 0)


def places_of(document: Any) -> dict[str, tuple[str, str]]:
    """Return the core and the soma of each neuron."""
    found: dict[str, tuple[str, str]] = {}
    for entry in document["mappings"]:
        name, place = only(entry)
        group, _, numbers = name.partition(".")
        for neuron in span(numbers):
            assert f"{group}.{neuron}" not in found
            found[f"{group}.{neuron}"] = place["core"], place["soma"]
    return found


def synapses_of(made: Artifact) -> Counter[tuple[str, str, int, int]]:
    """Return the synapses of the network whose weight is not 0, as edges say them."""
    network = made.lowered.network
    found: Counter[tuple[str, str, int, int]] = Counter()
    for q in network.projections:
        s = network.synapses(q)
        weights = shifted(q.weights.ravel(), q.exponent)[s.slot] << network.number_format.state_shift
        delays = np.broadcast_to(q.delay, q.mantissa.shape).ravel()[s.slot] - 1
        for source, target, weight, delay in zip(s.source, s.target, weights, delays, strict=True):
            if weight:
                found[f"{q.source}.{source}", f"{q.target}.{target}", int(weight), int(delay)] += 1
    return found


def simulated(document: Any, ticks: int) -> dict[str, Array]:
    """Return the spikes of each group, (ticks, n), by the equations that SANA-FE documents; messages take a tick."""
    neurons = neurons_of(document)
    number = {f"{group}.{i}": n for n, (group, i) in enumerate((g, i) for g in neurons for i in range(len(neurons[g])))}
    flat = [attributes for own in neurons.values() for attributes in own]
    weights = np.zeros((len(flat), len(flat)))
    for source, target, weight, delay in edges_of(document):
        assert delay == 0
        weights[number[target], number[source]] += weight
    u, v, rest = np.zeros(len(flat)), np.zeros(len(flat)), np.zeros(len(flat), int)
    keep = np.array([own["dendrite"]["time_constants"][0] if "dendrite" in own else 0.0 for own in flat])
    spikes = np.zeros((ticks + 1, len(flat)), bool)
    for t in range(ticks):
        u = keep * u + weights @ spikes[t - 1]
        for n, own in enumerate(flat):
            if "spikes" in own:
                spikes[t, n] = t < len(own["spikes"]) and own["spikes"][t]
            elif rest[n] > 1:
                rest[n] -= 1
            else:
                v[n] = own.get("bias", 0) + v[n] * own["leak_decay"] + u[n]
                spikes[t, n] = v[n] > own["threshold"]
                if spikes[t, n]:
                    v[n] = {"hard": 0, "soft": v[n] - own["threshold"], "none": v[n]}[own["reset_mode"]]
                    rest[n] = own.get("refractory_delay", 0)
    cut = np.cumsum([len(own) for own in neurons.values()])[:-1]
    return dict(zip(neurons, np.split(spikes[:ticks], cut, axis=1), strict=True))


# What stands in the files


@pytest.mark.parametrize("seed", range(15))
def test_random_networks_can_be_read_back(seed: int, tmp_path: Path) -> None:
    network, stimulus = random_network(seed)
    made = compiled(network, small_cores())
    one = {name: values[:1] for name, values in stimulus.items()}
    architecture, document, summary = exported(tmp_path, made, one)
    populations, form = made.lowered.network.populations, made.lowered.network.number_format

    neurons = neurons_of(document)
    assert {name: len(own) for name, own in neurons.items()} == {name: p.size for name, p in populations.items()}
    for name, own in neurons.items():
        p = populations[name]
        assert all(attributes["log_spikes"] == 1 for attributes in own)
        if p.is_input:
            trains = np.zeros_like(one[name][0])
            for i, attributes in enumerate(own):
                trains[: len(attributes["spikes"]), i] = attributes["spikes"]
            assert np.array_equal(trains, one[name][0])
            continue
        threshold = p.values("vth") << form.state_shift if p.fires else np.full(p.size, 1 << 30)
        assert [attributes["threshold"] for attributes in own] == threshold.tolist()
        assert [4096 * (1 - attributes["leak_decay"]) for attributes in own] == p.values("dv").tolist()
        assert [attributes.get("bias", 0) for attributes in own] == (p.values("bias_mant") << p.values("bias_exp")).tolist()
        kept = 4095 - p.values("du")
        slots = made.mapped.placements[name].slot.tolist()
        dendrites = [f"current[{slot}]" for slot in slots] if kept.any() else ["sum"] * p.size
        assert [attributes["dendrite_hw_name"] for attributes in own] == dendrites
        if kept.any():
            assert [4096 * attributes["dendrite"]["time_constants"][0] for attributes in own] == kept.tolist()
        assert {attributes["reset_mode"] for attributes in own} == {{"zero": "hard", "subtract": "soft"}.get(p.reset, "none")}
        assert {attributes.get("refractory_delay", 1) for attributes in own} == {p.refractory + 1}

    edges = list(edges_of(document))
    assert Counter(edge for edge in edges if edge[2]) == synapses_of(made)
    assert len(edges) == summary["synapses"] + summary.get("axons_without_synapses", 0)
    places = places_of(document)
    messages = {(source, places[target][0]) for source, target, _, _ in edges}
    assert len(messages) == sum(len(core.axon_neuron) for core in made.mapped.cores), "one for each axon"

    mesh = made.spec.mesh
    assert set(places) == {f"{name}.{i}" for name, p in populations.items() for i in range(p.size)}
    for name, place in made.mapped.placements.items():
        for i, index in enumerate(place.core.tolist()):
            core = made.mapped.cores[index]
            tile = core.tile[0] * mesh.tiles_y + core.tile[1]
            assert places[f"{name}.{i}"] == (f"{tile}.{core.core % mesh.cores_per_tile}", "lif")
    somas = [place for name, place in places.items() if populations[name.split(".")[0]].is_input]
    assert somas == [("32.0", f"input[{number}]") for number in range(summary["input_neurons"])]
    assert architecture["tile"][1]["core"][0]["soma"][0]["name"] == f"input[0..{len(somas) - 1}]"

    assert summary["cores"] == len(made.mapped.cores)
    assert summary["neurons"] == sum(p.size for p in populations.values() if not p.is_input)
    assert summary["ticks"] == next(iter(one.values())).shape[1] + made.lowered.largest_lag
    stated = (tmp_path / "net.yaml").read_text()
    for what, number in summary.items():
        assert what in CONTENTS or f"# - {number:,} {what.replace('_', ' ')}\n" in stated


def test_the_architecture_is_the_chip_with_its_mesh_and_the_costs_of_its_spec(tmp_path: Path) -> None:
    architecture, _, summary = exported(tmp_path, compiled(exact_network(0)[0], small_cores()), exact_network(0)[1])
    assert summary["tiles"] == 2
    attributes = architecture["attributes"]
    assert attributes == {"topology": "mesh", "width": 9, "height": 4, "link_buffer_size": 16, "latency_sync": 1e-6}
    chip, host = architecture["tile"]
    assert (chip["name"], host["name"], chip["core"][0]["name"]) == ("tile[0..31]", "host", "core[0..3]")
    assert set(chip["attributes"]) == HOPS
    assert (chip["attributes"]["energy_east_hop"], chip["attributes"]["energy_north_hop"]) == (3.0e-12, 4.2e-12)
    core = chip["core"][0]
    assert core["attributes"] == {"buffer_position": "soma", "max_neurons_supported": 8}
    units = {kind: core[kind][0] for kind in ("axon_in", "synapse", "dendrite", "soma", "axon_out")}
    assert units["synapse"]["attributes"]["energy_process_spike"] == 35.5e-12
    assert units["axon_out"]["attributes"]["energy_message_out"] == 111e-12
    assert units["soma"]["attributes"] == {
        "model": "leaky_integrate_fire", "energy_access_neuron": 51.2e-12, "latency_access_neuron": 6.0e-9,
        "energy_update_neuron": 21.6e-12, "latency_update_neuron": 3.7e-9,
        "energy_spike_out": 69.3e-12, "latency_spike_out": 30e-9,
    }  # fmt: skip
    free = [value for key, value in host["core"][0]["soma"][0]["attributes"].items() if key != "model"]
    assert free == [0.0] * 6


def test_a_chip_without_costs_gets_none(tmp_path: Path) -> None:
    network, stimulus = exact_network(0)
    architecture, _, _ = exported(tmp_path, compiled(network, registry.find_spec("loihi2")), stimulus)
    assert "# loihi2.yaml states no costs: energies and latencies are 0.\n" in (tmp_path / "arch.yaml").read_text()
    assert set(architecture["tile"][0]["attributes"].values()) == {0.0}
    assert architecture["attributes"]["latency_sync"] == 0.0


def test_chips_lie_side_by_side(tmp_path: Path) -> None:
    text = LOIHI.replace("cores_per_chip: {value: 128", "cores_per_chip: {value: 2")
    spec = load_spec(text.replace("neurons: {value: 1024", "neurons: {value: 8"), "loihi.yaml")
    network, stimulus = exact_network(1)
    made = compiled(network, spec)
    assert made.mapped.chips > 1
    architecture, document, _ = exported(tmp_path, made, stimulus)
    assert architecture["attributes"]["width"] == 8 * made.mapped.chips + 1
    places = places_of(document)
    first, last = (places[f"a.{i}"][0].split(".")[0] for i in (0, 19))
    chips = [made.mapped.cores[made.mapped.placements["a"].core[i]].chip for i in (0, 19)]
    assert [int(first), int(last)] == [8 * 4 * chip for chip in chips]


@pytest.mark.parametrize("seed", range(6))
def test_integrate_and_fire_networks_spike_as_on_the_chip_by_the_documented_equations(seed: int, tmp_path: Path) -> None:
    network, stimulus = exact_network(seed)
    made = compiled(network, small_cores())
    _, document, summary = exported(tmp_path, made, stimulus)
    assert set(summary) - set(CONTENTS) <= {"axons_without_synapses"}
    trace = backend_of(made).chip_simulator().run(made.program, stimulus)
    found = simulated(document, summary["ticks"])
    for name, spikes in found.items():
        assert np.array_equal(spikes, trace.spikes[name][0] != 0), name
    assert trace.spikes["b"].any()


def test_currents_that_decay_are_those_of_a_dendrite(tmp_path: Path) -> None:
    network, stimulus = exact_network(0)
    neuron = network.populations["a"].neuron
    assert neuron is not None
    keeping = Neuron("cuba_lif", {**neuron.parameters, "du": frozen(np.array([4095, 2047] * 10))}, neuron.semantics, "loihi")
    populations = {**network.populations, "a": Population("a", (20,), keeping)}
    made = compiled(replace(network, populations=populations), small_cores())
    architecture, document, summary = exported(tmp_path, made, stimulus)
    core = architecture["tile"][0]["core"][0]
    assert [unit["attributes"]["model"] for unit in core["dendrite"]] == ["accumulator", "taps"]
    most = int(made.mapped.placements["a"].slot.max()) + 1
    assert [unit["name"] for unit in core["dendrite"]] == ["sum", f"current[0..{most - 1}]"]
    assert summary["neurons_whose_current_waits_for_messages"] == summary["neurons_without_rounding"] == 10
    trace = backend_of(made).chip_simulator().run(made.program, stimulus)
    found, expected = simulated(document, summary["ticks"])["a"], trace.spikes["a"][0] != 0
    assert (found != expected).sum() <= 0.1 * expected.sum(), "halves are rounded on the chip"


def test_a_network_without_inputs_or_synapses_has_no_host(tmp_path: Path) -> None:
    network = Network("alone", 1e-3, 5, {"a": Population("a", (3,), native(bias_mant=[5, 6, 7]))}, ()).verify()
    architecture, document, summary = exported(tmp_path, compiled(network, small_cores()), {})
    assert document["network"]["edges"] == []
    assert (len(architecture["tile"]), architecture["attributes"]["width"], summary["input_neurons"]) == (1, 8, 0)


def test_inputs_without_a_sample_are_silent(tmp_path: Path) -> None:
    made = compiled(exact_network(0)[0], small_cores())
    _, document, summary = exported(tmp_path, made, {})
    assert all(attributes["spikes"] == [0] for attributes in neurons_of(document)["x"])
    assert summary["ticks"] == 25 + made.lowered.largest_lag


VALUES = """\
neurocomp: 1
name: values
timestep: 1 ms
ticks: 9
populations:
  x: {kind: input, shape: [4]}
  a: {shape: [3], neuron: {model: if, format: loihi, du: 4095, dv: 0, vth: 60}}
projections:
  - {from: x, to: a, weights: w.npz#w, delay: 1}
data: {inputs: {x: d.npz#x}}
"""


def values(folder: Path, x: Array, *, scheme: str, text: str = VALUES, **options: Any) -> Compiled:
    np.savez(folder / "w.npz", w=2 * np.arange(12).reshape(3, 4))
    np.savez(folder / "d.npz", x=x)
    (folder / "net.yaml").write_text(f"{text}encode: {{x: {{scheme: {scheme}}}}}\n")
    found = neurocomp.compile(folder / "net.yaml", target="loihi", **options)
    assert isinstance(found, Compiled)
    return found


def test_currents_of_the_host_are_biases(tmp_path: Path) -> None:
    text = VALUES.replace("model: if, format: loihi, du: 4095, dv: 0, vth: 60", "model: if").replace(", delay: 1", "")
    one = values(tmp_path, np.array([[0.005, -0.01, 0.0025, 0.02]] * 3), scheme="current", text=text)
    one.export("sanafe", tmp_path / "out")
    document = yaml.safe_load((tmp_path / "out" / "net.yaml").read_text())
    trace = one.run("chip", count=1, probe="all", state=True).arrays
    assert [attributes["bias"] for attributes in neurons_of(document)["a"]] == trace["v/a"][0, 0].tolist()
    assert trace["spikes/a"].any()
    assert simulated(document, 9)["a"].tolist() == (trace["spikes/a"][0] != 0).tolist()


# Names


def test_names_that_sanafe_would_read_otherwise_are_changed_and_listed(tmp_path: Path) -> None:
    assert group_names(["a b", "a.b", "a_b", "1", "é"]) == {"a b": "a_b_2", "a.b": "a_b_3", "a_b": "a_b", "1": "p1", "é": "_"}
    populations = {"in.0": Population("in.0", (2,)), "out": Population("out", (1,), native())}
    edge = projection("in.0", "out", np.array([[20, 40]]), 1)
    network = Network("dots", 1e-3, 3, populations, (edge,)).verify()
    _, document, _ = exported(tmp_path, compiled(network, small_cores()), {})
    assert list(edges_of(document)) == [("in_0.0", "out.0", 1280, 0), ("in_0.1", "out.0", 2560, 0)]
    assert "# 'in_0' is 'in.0'.\n" in (tmp_path / "net.yaml").read_text()


# Refused


def test_more_synapses_than_a_file_may_list_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, stimulus = exact_network(0)
    made = compiled(network, small_cores())
    monkeypatch.setattr(sanafe_export, "MOST_SYNAPSES", 1000)
    with pytest.raises(UnsupportedError) as raised:
        exported(tmp_path / "net", made, stimulus)
    assert re.fullmatch(
        r"error\[NC0343 export-size\]: the cores store 1,2\d\d synapses; files for SANA-FE hold at most 1,000\n"
        r"hint:  export a smaller network, or use --format integers, which keeps the patterns of connections",
        str(raised.value).strip(),
    )
    assert not (tmp_path / "net").exists()


def test_spikes_that_carry_values_are_refused(tmp_path: Path) -> None:
    ones = values(tmp_path, np.ones((1, 9, 4), np.int64), scheme="graded, largest: 20", extensions=("graded",))
    assert ones.export("sanafe", tmp_path / "ones")["input_neurons"] == 4
    graded = values(tmp_path, np.full((1, 9, 4), 3), scheme="graded, largest: 20", extensions=("graded",))
    message = "the input 'x' has spikes of other values than 1; those of SANA-FE carry none"
    with pytest.raises(UnsupportedError, match=f"NC0342(.|\n)*{message}"):
        graded.export("sanafe", tmp_path / "out")
    ternary = VALUES.replace("vth: 60", "vth: 60, vth_low: -60").replace("model: if", "model: ternary_lif")
    signed = values(tmp_path, np.ones((1, 9, 4), np.int64), scheme="direct", text=ternary, extensions=("ternary",))
    with pytest.raises(UnsupportedError, match=r"NC0342(.|\n)*'a' sends \+1 and -1; spikes of SANA-FE have no sign"):
        signed.export("sanafe", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Whole files


def test_what_goes_wrong_while_writing_leaves_both_files_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, stimulus = exact_network(0)
    made = compiled(network, small_cores())
    exported(tmp_path, made, stimulus)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_: Any) -> Iterator[str]:
        yield "half of it"
        raise KeyboardInterrupt

    monkeypatch.setattr(sanafe_export._Writer, "_mappings", fail)
    with pytest.raises(KeyboardInterrupt):
        export_sanafe(tmp_path, made.mapped, made.program, made.spec, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network, stimulus = exact_network(0)
    made = compiled(network, small_cores())
    with pytest.raises(UsageError, match=r"NC0801(.|\n)*cannot write the folder '.*file/net': not a directory"):
        exported(tmp_path / "file" / "net", made, stimulus)


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    network, stimulus = exact_network(3)
    for name in ("one", "two"):
        exported(tmp_path / name, compiled(network, small_cores()), stimulus)
    for name in ("arch.yaml", "net.yaml"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# The benchmark


def test_the_benchmark_finds_what_differs() -> None:
    network, stimulus = exact_network(0)
    made = compiled(network, small_cores())
    trace = backend_of(made).chip_simulator().run(made.program, stimulus)
    totals = count(trace, made.mapped, made.spec).totals()
    report: dict[str, Any] = {
        "spikes": {name: np.argwhere(spikes[0]).tolist() for name, spikes in trace.spikes.items()},
        "neurons": {name: p.size for name, p in made.lowered.network.populations.items()},
        "neurons_per_core": benchmark.neurons_per_core(made),
        "packets_between": benchmark.packets_between(made, trace.spikes),
        "counts": {what: totals[what] for what in benchmark.COUNTED} | {"host_hops_x": 5, "host_hops_y": 0},
        "energy": {"network": 1.0, "soma": 1.0, "synapse": 1.0},
        "updated": 0, "sim_time": 0.0, "load_seconds": 0.0, "seconds": 0.0, "version": "",
    }  # fmt: skip
    assert sum(report["packets_between"].values()) == totals["packets"] > 0
    same = benchmark.compared(made, trace, report, visited=True)
    assert (same["differences"], same["every spike agrees"]) == ({}, True)
    held = report["neurons_per_core"]["0.0"]
    report["neurons_per_core"] |= {"0.0": held + 3}
    report["spikes"]["b"] = report["spikes"]["b"][1:]
    found = benchmark.compared(made, trace, report, visited=True)
    assert not found["every spike agrees"]
    assert found["differences"]["neurons per core"] == {"0.0": {"chip": held, "sanafe": held + 3}}
    assert {"packets between cores", "of sanafe's spikes"} <= set(found["differences"])
