"""The Python interface: from a file to every result, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
from neurocomp import api
from neurocomp.api import Compiled
from neurocomp.errors import CapacityError, NetworkError, UnsupportedError, UsageError
from neurocomp.ir.network import Network

NET = """\
neurocomp: 1
name: small
timestep: 1 ms
ticks: 8
populations:
  x: {kind: input, shape: [2, 2]}
  a: {shape: [2, 3], neuron: {model: cuba_lif, tau_syn: 4 ms, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}
  b: {shape: [3], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 0.6, reset: zero}}
  r: {shape: [2], neuron: {model: li, tau_mem: 10 ms}}
projections:
  - {from: x, to: a, weights: weights.npz#xa, bias: weights.npz#bias}
  - {from: a, to: a, weights: weights.npz#aa, delay: 2}
  - {from: a, to: b, weights: weights.npz#ab}
  - {from: b, to: r, weights: weights.npz#br}
encode: {x: {scheme: bernoulli, gain: 0.8, seed: 3}}
decode: {b: {scheme: count}}
data: {inputs: {x: data.npz#images}, labels: data.npz#labels, scale: 1/255}
"""
INTEGER_ENGINES = ["reference", "fast", "chip"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with net.yaml, its weights and 9 labelled samples."""
    path = tmp_path_factory.mktemp("net")
    rng = np.random.default_rng(1)
    shapes = {"xa": (6, 4), "aa": (6, 6), "ab": (3, 6), "br": (2, 3)}
    weights = {name: rng.normal(0.2, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(path / "weights.npz", bias=np.linspace(-0.05, 0.1, 6).astype(np.float32), **weights)  # type: ignore[arg-type]
    np.savez(path / "data.npz", images=rng.integers(0, 256, (9, 2, 2), dtype=np.uint8), labels=rng.integers(0, 3, 9))
    (path / "net.yaml").write_text(NET)
    return path


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    loaded = neurocomp.load(folder / "net.yaml")
    assert isinstance(loaded, Network)
    return loaded


@pytest.fixture(scope="module")
def compiled(network: Network) -> Compiled:
    return neurocomp.compile(network, target="loihi")


def spikes(samples: int, ticks: int, seed: int = 0) -> dict[str, Any]:
    return {"x": (np.random.default_rng(seed).random((samples, ticks, 2, 2)) < 0.5).astype(np.uint8)}


def edited(folder: Path, tmp_path: Path, old: str, new: str) -> Path:
    """The network with one line changed, beside links to its arrays."""
    assert old in NET
    for name in ("weights.npz", "data.npz"):
        (tmp_path / name).symlink_to(folder / name)
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace(old, new))
    return path


# The whole way


def test_round_trip(folder: Path, compiled: Compiled, tmp_path: Path) -> None:
    digest = compiled.save(tmp_path / "net.ncz")
    loaded = neurocomp.load(str(tmp_path / "net.ncz"))
    assert isinstance(loaded, Compiled)
    assert loaded.save(tmp_path / "again.ncz") == digest
    assert (tmp_path / "again.ncz").read_bytes() == (tmp_path / "net.ncz").read_bytes()
    for engine in INTEGER_ENGINES:
        before, after = (c.run(engine, probe="all", state=True) for c in (compiled, loaded))
        assert list(before.arrays) == list(after.arrays)
        for key in before.arrays:
            assert np.array_equal(before.arrays[key], after.arrays[key]), key
    assert loaded.evaluate().as_json() == compiled.evaluate().as_json()
    assert loaded.report().as_json() == compiled.report().as_json()


def test_compile_takes_a_network_or_its_path(folder: Path, compiled: Compiled, tmp_path: Path) -> None:
    digest = compiled.save(tmp_path / "a.ncz")
    assert neurocomp.compile(folder / "net.yaml").save(tmp_path / "b.ncz") == digest
    assert neurocomp.compile(str(folder / "net.yaml"), target="loihi").save(tmp_path / "c.ncz") == digest


def test_check_finds_nothing_where_compile_succeeds(network: Network) -> None:
    assert api.check(network) == ()


# Runs


@pytest.mark.parametrize("ticks", [1, 5, 8, 40])
@pytest.mark.parametrize("probe", ["outputs", "all"])
@pytest.mark.parametrize("state", [False, True])
def test_engines_return_the_same_keys_shapes_and_values(compiled: Compiled, ticks: int, probe: str, state: bool) -> None:
    """The tick axis of a stimulus may have any length."""
    stimulus = spikes(3, ticks)
    runs = {engine: compiled.run(engine, stimulus, probe=probe, state=state).arrays for engine in INTEGER_ENGINES}
    shapes = {"x": (2, 2), "a": (2, 3), "b": (3,), "r": (2,)}
    names = ("x", "a", "b", "r") if probe == "all" else ("b",)
    expected = []
    for name in names:
        expected.append(f"spikes/{name}")
        if state and name != "x":
            expected += [f"u/{name}", f"v/{name}"] if name == "a" else [f"v/{name}"]
    for arrays in runs.values():
        assert list(arrays) == expected
        for key, array in arrays.items():
            assert array.dtype == np.int32, key
            assert array.shape == (3, ticks, *shapes[key.split("/")[1]])
    for key in expected:
        assert np.array_equal(runs["reference"][key], runs["chip"][key]), key
        assert np.array_equal(runs["reference"][key], runs["fast"][key]), key
    if probe == "all":
        assert np.array_equal(runs["chip"]["spikes/x"], stimulus["x"])


@pytest.mark.lava
def test_lava_returns_the_same(compiled: Compiled) -> None:
    stimulus = spikes(2, 6)
    runs = [compiled.run(engine, stimulus, probe="all", state=True).arrays for engine in ("reference", "lava")]
    assert list(runs[0]) == list(runs[1])
    for key in runs[0]:
        assert runs[0][key].dtype == runs[1][key].dtype == np.int32
        assert np.array_equal(runs[0][key], runs[1][key]), key


def test_the_quantized_network_gives_the_same_in_the_time_of_the_user(compiled: Compiled) -> None:
    stimulus = spikes(4, 12)
    lowered = compiled.run("reference", stimulus, probe="all", state=True).arrays
    quantized = compiled.run("reference", stimulus, probe="all", state=True, stage="quantized").arrays
    assert list(lowered) == list(quantized)
    assert max(compiled.artifact.lowered.lag.values()) == 3
    assert lowered["spikes/b"].any()
    for key in lowered:
        assert np.array_equal(lowered[key], quantized[key]), key


def test_the_float_network_is_close(compiled: Compiled, network: Network) -> None:
    """Each potential of the first tick within 2 % of the threshold."""
    stimulus = spikes(20, 1)
    real = compiled.run("float", stimulus, probe="all", state=True).arrays
    fixed = compiled.run("reference", stimulus, probe="all", state=True).arrays
    assert list(real) == list(fixed)
    scale = compiled.artifact.integers.scales["a"].scale * 64
    quiet = (real["spikes/a"] == 0) & (fixed["spikes/a"] == 0)
    assert quiet.any()
    assert np.abs(real["v/a"] - fixed["v/a"] / scale)[quiet].max() < 0.02
    alone = api.run_float(network, compiled.stimulus(stimulus), probe="all", state=True).arrays
    assert all(np.array_equal(alone[key], real[key]) for key in real)


def test_declared_data_go_through_the_encoder(compiled: Compiled) -> None:
    run = compiled.run("chip", probe="all", count=4)
    assert run.arrays["spikes/x"].shape == (4, 8, 2, 2)
    assert 0 < run.arrays["spikes/x"].mean() < 1
    whole = compiled.run("chip", probe="all")
    assert whole.arrays["spikes/x"].shape == (9, 8, 2, 2)
    assert np.array_equal(whole.arrays["spikes/x"][:4], run.arrays["spikes/x"])


def test_a_stimulus_from_a_file(compiled: Compiled, tmp_path: Path) -> None:
    stimulus = spikes(2, 7)
    np.savez(tmp_path / "x.npz", **stimulus)
    run = compiled.run("chip", tmp_path / "x.npz")
    assert np.array_equal(run.arrays["spikes/b"], compiled.run("reference", stimulus).arrays["spikes/b"])
    run.save(tmp_path / "trace.npz")
    with np.load(tmp_path / "trace.npz") as file:
        assert list(file) == ["spikes/b"]
        assert np.array_equal(file["spikes/b"], run.arrays["spikes/b"])


# Verify, evaluate, report, export


def test_verify(compiled: Compiled) -> None:
    report = compiled.verify(["chip"], inputs=spikes(5, 9))
    assert (report.bit_exact, report.engines, report.samples, report.ticks) == (True, ("reference", "chip"), 5, 9)
    assert compiled.verify(["reference", "chip"], count=3).samples == 3
    assert compiled.verify(["chip"]).samples == 9
    assert compiled.verify(["fast"], count=3).engines == ("reference", "fast")
    injected = compiled.verify(["chip"], inject=("threshold", 1))
    assert not injected.bit_exact
    assert injected.injection


def test_evaluate(compiled: Compiled, network: Network) -> None:
    found = compiled.evaluate(count=6)
    assert found.samples == 6
    real, fixed = found.accuracy["float"], found.accuracy["fixed"]
    assert real is not None
    assert fixed is not None
    samples = network.data.samples
    assert samples is not None
    assert samples.labels is not None
    counts = compiled.run("reference", count=6).arrays["spikes/b"].sum(axis=1)
    assert fixed == float((counts.argmax(axis=1) == samples.labels[:6]).mean())
    assert found.predictions["fixed"].tolist() == counts.argmax(axis=1).tolist()
    alone = api.evaluate_network(network, count=6)
    assert alone.accuracy == {"float": real, "fixed": None}


def test_report(compiled: Compiled) -> None:
    document = compiled.report(count=5).as_json()
    assert (document["samples"], document["ticks"], document["chip_ticks"]) == (5, 8, 11)
    energy = document["energy_j"]
    assert 0 < energy["low"] <= energy["nominal"] <= energy["high"]
    run = compiled.run("reference", probe="all", count=5).arrays
    assert document["per_population"]["x"]["spikes"] == int(run["spikes/x"].sum())
    assert compiled.report(count=5, costs="sanafe").as_json()["energy"]["costs"] == "sanafe"


def test_utilization_is_what_the_mapping_says(compiled: Compiled) -> None:
    cores = compiled.artifact.mapped.cores
    table = compiled.utilization()
    assert table["neurons"] == {"used": 11, "available": 1024 * len(cores), "worst_core": 11, "per_core": 1024}
    assert table["synapse_words"]["used"] == sum(core.synapse_words for core in cores)
    assert table["input_axons"]["used"] == sum(len(core.axon_neuron) for core in cores)


def test_export(compiled: Compiled, tmp_path: Path) -> None:
    arrays = compiled.export_integers(tmp_path / "integers.npz")
    with np.load(tmp_path / "integers.npz") as file:
        assert set(file) == set(arrays)
    again = compiled.export_integers(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "integers.npz").read_bytes()
    assert set(again) == set(arrays)
    logical = compiled.export_integers(tmp_path / "quantized.npz", stage="quantized")
    assert set(logical) != set(arrays)


# Errors


def message_of(error: pytest.ExceptionInfo[Any]) -> str:
    text: str = error.value.render()
    return text


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        ({}, "error[NC0211 bad-stimulus]: the stimulus has no array 'x'"),
        (
            {"x": np.zeros((1, 4, 2, 2))},
            "error[NC0211 bad-stimulus]: the stimulus of 'x' is float64 (1, 4, 2, 2); "
            "integers (samples, ticks, 2, 2) are needed",
        ),
        (
            {"x": np.zeros((1, 4, 3), np.int8)},
            "error[NC0211 bad-stimulus]: the stimulus of 'x' is int8 (1, 4, 3); integers (samples, ticks, 2, 2) are needed",
        ),
        (
            {"x": np.zeros((1, 4, 4), np.int8), "xx": np.zeros((1, 4, 4), np.int8)},
            "error[NC0211 bad-stimulus]: the stimulus names 'xx', which is no input\nhint:  did you mean 'x'?",
        ),
        (
            {"x": np.full((1, 4, 2, 2), 2)},
            "error[NC0314 graded-input]: the stimulus of 'x' holds the value 2; a spike of an input carries no value\n"
            "hint:  write 0 or 1 per neuron and tick",
        ),
    ],
)
def test_bad_stimuli(compiled: Compiled, stimulus: dict[str, Any], message: str) -> None:
    with pytest.raises((NetworkError, UnsupportedError)) as caught:
        compiled.run("chip", stimulus)
    assert message_of(caught) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "chop"}, "error[NC0801 usage]: there is no engine 'chop'\nhint:  did you mean 'chip'?"),
        ({"stage": "lowerd"}, "error[NC0801 usage]: there is no stage 'lowerd'\nhint:  did you mean 'lowered'?"),
        ({"probe": "everything"}, "error[NC0801 usage]: there is no probe 'everything'\nhint:  known: all, outputs"),
        (
            {"engine": "chip", "stage": "quantized"},
            "error[NC0801 usage]: engine 'chip' does not execute the quantized network\n"
            "hint:  use --engine reference or fast, or --stage lowered",
        ),
    ],
)
def test_bad_arguments(compiled: Compiled, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled.run(**{"inputs": spikes(1, 2), **arguments})  # type: ignore[arg-type]
    assert message_of(caught) == message


def test_engines_that_are_not_there(compiled: Compiled) -> None:
    with pytest.raises(UsageError, match="verify needs an engine to compare the reference with"):
        compiled.verify(["reference"])
    with pytest.raises(UsageError, match="computes in real numbers and cannot agree bit for bit"):
        compiled.verify(["float"])


def test_an_artifact_is_not_compiled_again(compiled: Compiled, tmp_path: Path) -> None:
    compiled.save(tmp_path / "net.ncz")
    with pytest.raises(UsageError) as caught:
        neurocomp.compile(tmp_path / "net.ncz")
    assert message_of(caught) == "error[NC0801 usage]: this is an artifact, already compiled\nhint:  give the network file"


def test_unknown_target(network: Network) -> None:
    with pytest.raises(UsageError, match="there is no target 'lohi'"):
        neurocomp.compile(network, target="lohi")


def test_what_the_target_cannot_do(folder: Path, tmp_path: Path) -> None:
    path = edited(folder, tmp_path, "v_threshold: 0.6, reset: zero", "v_threshold: 0.6, reset: none")
    with pytest.raises(UnsupportedError, match="NC0301"):
        neurocomp.compile(path)
    assert [v.code for v in api.check(path)] == ["NC0301"]


def test_what_does_not_fit(network: Network, tmp_path: Path) -> None:
    """A chip with one core of one neuron."""
    import neurocomp_hwspecs

    text = (Path(neurocomp_hwspecs.__file__).parent / "loihi.yaml").read_text()
    for old, new in (("chips: {value: 768", "chips: {value: 1"), ("cores_per_chip: {value: 128", "cores_per_chip: {value: 1"),
                     ("neurons: {value: 1024", "neurons: {value: 1")):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "tiny.yaml").write_text(text)
    with pytest.raises(CapacityError) as caught:
        neurocomp.compile(network, target=str(tmp_path / "tiny.yaml"))
    expected = "error[NC0401 cores]: 'small' has 11 neurons and needs at least 11 cores; loihi has 1\n"
    assert message_of(caught).startswith(expected)


def test_no_data(folder: Path, tmp_path: Path) -> None:
    path = edited(folder, tmp_path, "data: {inputs: {x: data.npz#images}, labels: data.npz#labels, scale: 1/255}\n", "")
    compiled = neurocomp.compile(path)
    with pytest.raises(NetworkError) as caught:
        compiled.run("chip")
    assert message_of(caught) == (
        "error[NC0212 no-data]: run needs data, and the network declares none\n"
        "hint:  declare 'data' in the network file, or pass --data POP=FILE.npz#key, or encoded spikes with --input X.npz"
    )
    report = compiled.verify(["chip"], count=4)  # random spikes
    assert report.bit_exact
    assert (report.samples, report.ticks) == (4, 8)
    assert report.spikes_compared > 0


def test_no_decoder(folder: Path, tmp_path: Path) -> None:
    path = edited(folder, tmp_path, "decode: {b: {scheme: count}}\n", "")
    with pytest.raises(NetworkError) as caught:
        neurocomp.compile(path).evaluate()
    assert message_of(caught) == (
        "error[NC0212 no-data]: evaluate needs one decoder; the network declares none\n"
        "hint:  declare 'decode: {POPULATION: {scheme: count}}' for one population"
    )


def test_a_network_without_inputs(tmp_path: Path) -> None:
    """Neurons that their bias drives need no stimulus: one sample runs for the declared ticks, in every engine."""
    path = tmp_path / "net.yaml"
    path.write_text(
        """neurocomp: 1
name: driven
timestep: 1 ms
ticks: 20
populations:
  a: {shape: [2], neuron: {model: lif, format: loihi, dv: 100, vth: 10, bias_mant: [300, 100]}}
  b: {shape: [1], neuron: {model: lif, format: loihi, dv: 100, vth: 10}}
projections:
  - {from: a, to: b, weights: [[10, 20]]}
"""
    )
    compiled = neurocomp.compile(path)
    report = compiled.verify()
    assert report.bit_exact
    assert (report.samples, report.ticks) == (1, 20)
    assert compiled.report().counts.totals()["spikes"] > 0
    runs = [compiled.run(engine, probe="all", state=True) for engine in ("reference", "chip")]
    assert runs[0].arrays["spikes/a"].shape == (1, 20, 2)
    for key in runs[0].arrays:
        assert np.array_equal(runs[0].arrays[key], runs[1].arrays[key])


# Options, extensions, direct currents


def test_options_that_a_target_does_not_have(network: Network) -> None:
    for call in (neurocomp.compile, api.check):
        with pytest.raises(UsageError) as caught:
            call(network, ticks_per_stp=2, compare="ge", extensions=("tenary",), ticks_per_step=True)
        assert [d.message + (f" | {d.hint}" if d.hint else "") for d in caught.value.diagnostics] == [
            "loihi has no option 'ticks_per_stp' | did you mean 'ticks_per_step'?",
            "option 'compare' takes one of exact, gt, not 'ge' | known: exact, gt",
            "loihi has no extension 'tenary' | did you mean 'ternary'?",
            "option 'ticks_per_step' takes a whole number from 1 on, not True",
        ]


def test_options_are_stored(network: Network) -> None:
    compiled = neurocomp.compile(network, compare="gt", extensions=["ternary", "graded"])
    assert compiled.artifact.options == {
        "target": "loihi", "ticks_per_step": 1, "extensions": ("graded", "ternary"), "compare": "gt",
        "effort": "default", "seed": 1, "mapper": "default",
    }  # fmt: skip
    assert (compiled.extensions, compiled.ticks_per_step) == ((), 1)  # allowed, and not used


def with_lowered(compiled: Compiled, **populations: Any) -> Compiled:
    """Return a compilation whose lowered network has other values in its input and the projections from it."""
    lowered = compiled.artifact.lowered
    net, dynamics = lowered.network, populations["dynamics"]
    table = {name: replace(p, dynamics=dynamics) if p.is_input else p for name, p in net.populations.items()}
    projections = tuple(replace(q, binary=populations["binary"]) for q in net.projections)
    net = replace(net, populations=table, projections=projections)
    return Compiled(replace(compiled.artifact, lowered=replace(lowered, network=net)))


def test_values_of_a_stimulus(network: Network) -> None:
    """Spikes are 0 or 1 unless the network reads their values; currents have any value, the same in each tick."""
    compiled = neurocomp.compile(network)
    name, size = compiled.network.inputs[0].name, compiled.network.inputs[0].size
    values = np.full((2, 4, size), 3)
    with pytest.raises(NetworkError, match="NC0314"):
        compiled.stimulus({name: values})
    graded = with_lowered(compiled, dynamics="input", binary=False)
    assert np.array_equal(graded.stimulus({name: values})[name], values)

    current = with_lowered(compiled, dynamics="current", binary=True)
    assert np.array_equal(current.stimulus({name: values})[name], values)
    values[1, 2] = 4
    with pytest.raises(UnsupportedError) as caught:
        current.stimulus({name: values})
    assert str(caught.value) == (
        f"error[NC0319 current]: the current of '{name}' changes within a sample, first in tick 2\n"
        "hint:  give one value per sample and neuron, or encode it as spikes"
    )
    random = current.random_stimulus(5)[name]
    assert (random == random[:, :1]).all()
    assert len(np.unique(random)) > 2
