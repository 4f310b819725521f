"""Every command on a network that is right: text, JSON, files, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import registry
from neurocomp.cli import COMMANDS
from neurocomp.errors.catalogue import CATALOGUE
from neurocomp.ir.trace import Event

Cli = Callable[..., Any]
Array = NDArray[Any]
MNIST = Path(__file__).parents[2] / "examples" / "mnist_mlp" / "net.yaml"


def arrays_of(file: str) -> dict[str, Array]:
    with np.load(file) as archive:
        return dict(archive)


# --- compile


SUMMARY = """\
network       small: 6 inputs, 8 neurons, 70 synapses
target        loihi: Intel Loihi (2018), 14 nm
cores         1 on 1 chip (128 per chip, up to 768 chips)
fullest core  neurons                0.8 %  █░░░░░░░░░    8 of 1,024
              input axons            0.3 %  █░░░░░░░░░   11 of 4,096
              output axons           0.1 %  █░░░░░░░░░    5 of 4,096
              64-bit synapse words  <0.1 %  █░░░░░░░░░  16 of 16,384
room to grow  input axons run out first, at ×372 the width: a neuron of 'b' has 11 sources, a core
              has 4,096 input axons
time          10 ticks of 1 ms per sample, 11 on the chip (largest lag 1)
ranges        all 6 registers are proved never to clip or wrap
left open     b, c: integration exact, input delta, threshold_on new, compare >, spikes_per_tick
              one, reset_when same_tick (default)
note          calibrated on 12 of the declared samples, as the file declares no calibration data
note          every hop takes a tick on the chip, so populations run late, in ticks: b +1, c +1
"""


def test_compile_prints_a_summary(cli: Cli) -> None:
    result = cli("compile", "net.yaml", "--target", "loihi", "-o", "new.ncz")
    assert (result.code, result.err) == (0, "")
    summary, written = result.out[: len(SUMMARY)], result.out[len(SUMMARY) :]
    assert summary == SUMMARY
    assert written.startswith("written       new.ncz (")
    assert Path("new.ncz").read_bytes() == Path("net.ncz").read_bytes()


def test_compile_json(cli: Cli) -> None:
    result = cli("compile", "net.yaml", "--target", "loihi", "-o", "new.ncz", "--json")
    assert (result.code, result.err) == (0, "")
    found = result.document
    compiled = neurocomp.load("net.ncz")
    assert isinstance(compiled, neurocomp.Compiled)
    digest = compiled.save("again.ncz")
    expected = {
        "schema": 1,
        "artifact": "new.ncz",
        "target": "loihi",
        "cores": 1,
        "chips": 1,
        "inputs": {"a": [2, 3]},
        "outputs": {"c": [3]},
        "ticks": 10,
        "ticks_per_step": 1,
        "chip_ticks": 11,
        "not_on_this_chip": [],
        "digest": digest,
        "folded": [],
        "lags": {"a": 0, "b": 1, "c": 1},
        "warnings": [],
        "notes": [
            "calibrated on 12 of the declared samples, as the file declares no calibration data",
            "every hop takes a tick on the chip, so populations run late, in ticks: b +1, c +1",
        ],
    }
    assert {key: found[key] for key in expected} == expected
    assert found["utilization"]["neurons"] == {"used": 8, "available": 1024, "worst_core": 8, "per_core": 1024}
    assert {"subject": "b", "axis": "compare", "value": ">", "origin": "default"} in found["choices"]
    assert [(v["population"], v["register"]) for v in found["verdicts"]] == [
        (population, register) for population in "bc" for register in ("accumulator", "u", "v")
    ]
    assert found["synapse_words"]["binds"] == "nxtf"
    assert found["synapse_words"]["nxtf"] == found["utilization"]["synapse_words"]["used"]
    assert found["synapse_words"]["nengo_loihi"] > 0
    room = found["first_to_run_out"]
    assert (room["resource"], round(room["factor"], 3)) == ("input_axons", 372.364)
    assert found.keys() == {*expected, "utilization", "synapse_words", "choices", "verdicts", "first_to_run_out"}


def test_compile_quietly_into_the_current_folder(cli: Cli, folder: Path) -> None:
    (folder / "below").mkdir()
    Path("net.ncz").unlink()
    (folder / "net.yaml").rename(folder / "other.yaml")
    result = cli("compile", str(folder / "other.yaml"), "--target", "loihi", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (folder / "other.ncz").exists()


def test_emit(cli: Cli) -> None:
    result = cli("compile", "net.yaml", "--target", "loihi", "--emit", "program,network", "--emit", "lowered")
    assert result.code == 0
    assert result.err.startswith("network       small: 6 inputs")
    lines = result.out.splitlines()
    assert [line for line in lines if line.startswith("--- ")] == ["--- network", "--- lowered", "--- program"]
    assert lines[1] == "network small: 10 ticks of 0.001 s"
    found = cli("compile", "net.yaml", "--target", "loihi", "--emit", "network,lowered,program", "--json").document
    assert result.out == "".join(f"--- {stage}\n{text}" for stage, text in found["emit"].items())


# --- check

FEASIBLE = """\
small on loihi, by its shapes: at least 1 core of 98,304

What binds each population
  population  binds    proof   neurons  at least  about  needs     of  share
  b           neurons  proved        5         1      1      5  1,024  0.5 %
  c           neurons  proved        3         1      1      3  1,024  0.3 %

  Cores at least: proved for every mapping. About: estimated, where weights decide, which are not
  read yet. Needs: what as many neurons as a core has compartments for take of the limit that asks
  for the most cores.
"""


def test_check(cli: Cli) -> None:
    result = cli("check", "net.yaml", "--target", "loihi")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{FEASIBLE}\n'small' compiles for loihi\n"
    assert cli("check", "net.yaml", "--target", "loihi", "--quiet").out == ""
    document = cli("check", "net.yaml", "--target", "loihi", "--json").document
    feasible = document.pop("feasibility")
    assert [row["population"] for row in feasible] == ["b", "c"]
    assert set(feasible[0]) == {
        "population", "neurons", "cores_at_least", "cores_about", "binds", "proof", "share", "helps", "limits",
    }  # fmt: skip
    assert set(feasible[0]["limits"][0]) == {"resource", "proof", "needs", "has", "neurons_per_core", "cores"}
    assert document == {
        "schema": 1,
        "target": "loihi",
        "inputs": {"a": [2, 3]},
        "outputs": {"c": [3]},
        "ok": True,
        "violations": [],
        "not_on_this_chip": [],
    }


def test_check_of_what_no_target_has(cli: Cli) -> None:
    path = Path("net.yaml")
    path.write_text(path.read_text().replace("model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero", "model: phased_lstm"))
    result = cli("check", "net.yaml", "--target", "loihi")
    assert (result.code, result.err) == (4, "")
    assert "error[NC0324 not-expressible]: population 'b': model: 'phased_lstm'" in result.out
    assert result.out.endswith("'net.yaml' has 1 violation on loihi\n")
    document = cli("check", "net.yaml", "--target", "loihi", "--json").document
    assert (document["ok"], document["inputs"]) == (False, {})
    (violation,) = document["violations"]
    assert (violation["code"], violation["location"]) == ("NC0324", "net.yaml:7:35")
    assert violation["hint"].startswith("gate by subtraction")


def test_an_estimate_beyond_the_chip_is_said_early(cli: Cli) -> None:
    """Before what is known of the weights; not with --quiet."""
    text = registry.spec_files()["loihi"].read_text(encoding="utf-8")
    for name, old, new in (("chips", 768, 1), ("cores_per_chip", 128, 1), ("synapse_words", 16384, 14)):
        assert f"  {name}: {{value: {old}," in text
        text = text.replace(f"  {name}: {{value: {old},", f"  {name}: {{value: {new},")
    Path("chip.yaml").write_text(text)
    warning = (
        "warning: 'small' seems to need 3 cores, and loihi has 1: 'b' about 2 by its synapse memory, "
        "'c' about 1 by its synapse memory. This is an estimate; what is proved is at least 1\n"
    )
    result = cli("compile", "net.yaml", "--target", "./chip.yaml")
    assert result.code == 5
    assert result.err.startswith(warning)
    assert "error[NC0401 cores]: 'small' needs 3 cores; loihi has 1\n" in result.err
    assert "also:  the largest: 'b' about 2 by its synapse memory, 'c' about 1 by its synapse memory\n" in result.err
    assert "seems to need" not in cli("compile", "net.yaml", "--target", "./chip.yaml", "--quiet").err


# --- run


def test_run_writes_the_outputs(cli: Cli) -> None:
    result = cli("run", "net.ncz", "-o", "trace.npz", "--samples", "4", "--json")
    assert result.code == 0
    assert result.document == {
        "schema": 1,
        "engine": "reference",
        "samples": 4,
        "ticks": 10,
        "output": "trace.npz",
        "arrays": {"spikes/c": {"shape": [4, 10, 3], "dtype": result.document["arrays"]["spikes/c"]["dtype"]}},
        "events": [],
        "interrupted": False,
        "not_on_this_chip": [],
    }
    trace = arrays_of("trace.npz")
    assert {key: array.shape for key, array in trace.items()} == {"spikes/c": (4, 10, 3)}
    assert trace["spikes/c"].dtype.kind in "iu"
    assert trace["spikes/c"].any()


@pytest.mark.parametrize("engine", ["float", "reference", "fast", "chip"])
def test_run_writes_everything(cli: Cli, engine: str) -> None:
    result = cli("run", "net.ncz", "--engine", engine, "--probe", "all", "--state", "-o", "trace.npz")
    assert (result.code, result.err) == (0, "")
    shapes = {key: array.shape for key, array in arrays_of("trace.npz").items()}
    assert shapes == {
        "spikes/a": (12, 10, 2, 3),
        "spikes/b": (12, 10, 5),
        "v/b": (12, 10, 5),
        "spikes/c": (12, 10, 3),
        "u/c": (12, 10, 3),
        "v/c": (12, 10, 3),
    }
    head, titles, *rows, written = result.out.splitlines()
    assert head == f"small on {engine}: 12 samples of 10 ticks"
    assert " ".join(titles.split()) == "population neurons spikes per sample per neuron and tick rate"
    assert [row.split()[:2] for row in rows] == [["a", "6"], ["b", "5"], ["c", "3"]]
    assert written == "written: trace.npz (spikes/a, spikes/b, v/b, spikes/c, u/c, v/c)"


def test_engines_write_the_same_arrays(cli: Cli) -> None:
    traces = []
    for engine, stage in (
        ("reference", "lowered"),
        ("fast", "lowered"),
        ("chip", "lowered"),
        ("reference", "quantized"),
        ("fast", "quantized"),
    ):
        arguments = ("--engine", engine, "--stage", stage, "--probe", "all", "--state", "-o", "trace.npz", "--quiet")
        result = cli("run", "net.ncz", *arguments)
        assert (result.code, result.out, result.err) == (0, "", "")
        traces.append(arrays_of("trace.npz"))
    for other in traces[1:]:
        assert list(other) == list(traces[0])
        for key, array in traces[0].items():
            assert array.dtype == other[key].dtype
            np.testing.assert_array_equal(array, other[key])


def test_encoded_raw_and_declared_data_are_the_same(cli: Cli) -> None:
    assert cli("run", "net.ncz", "--probe", "all", "-o", "declared.npz").code == 0
    declared = arrays_of("declared.npz")
    np.savez("spikes.npz", a=declared["spikes/a"])
    np.savez("raw.npz", a=arrays_of("data.npz")["images"])
    for arguments in (
        ("--input", "spikes.npz"),
        ("--input", "raw.npz", "--raw"),
        ("--data", "a=data.npz#images"),
    ):
        assert cli("run", "net.ncz", "--probe", "all", "-o", "trace.npz", *arguments).code == 0
        np.testing.assert_array_equal(arrays_of("trace.npz")["spikes/c"], declared["spikes/c"])
    assert cli("run", "net.yaml", "--probe", "all", "-o", "float.npz", "--raw", "--input", "raw.npz").code == 0
    np.testing.assert_array_equal(arrays_of("float.npz")["spikes/a"], declared["spikes/a"])


def test_the_stimulus_says_how_many_ticks_run(cli: Cli) -> None:
    np.savez("spikes.npz", a=np.ones((2, 37, 2, 3), bool))
    for path in ("net.ncz", "net.yaml"):
        assert cli("run", path, "--input", "spikes.npz", "-o", "trace.npz").code == 0
        assert arrays_of("trace.npz")["spikes/c"].shape == (2, 37, 3)


def test_a_register_that_clips_is_a_warning(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp import api

    original = api.Compiled.run
    events = (Event("b", "v", 3, 1, 4, 2), Event("c", "u", 1, 0, 0, 0))

    def run(self: api.Compiled, *arguments: Any, **options: Any) -> api.Run:
        return api.Run("reference", original(self, *arguments, **options).arrays, events)

    monkeypatch.setattr(api.Compiled, "run", run)
    result = cli("run", "net.ncz", "--json")
    assert result.code == 0
    assert result.err == (
        "warning: v of 'b' left its range 3 times, first in sample 1, tick 4, neuron 2\n"
        "warning: u of 'c' left its range once, first in sample 0, tick 0, neuron 0\n"
    )
    assert result.document["events"][0] == {
        "population": "b",
        "register": "v",
        "count": 3,
        "sample": 1,
        "tick": 4,
        "neuron": 2,
    }
    assert cli("run", "net.ncz", "--quiet").err == ""


# --- verify


def test_verify(cli: Cli) -> None:
    result = cli("verify", "net.ncz", "--engines", "chip", "--samples", "5")
    assert (result.code, result.err) == (0, "")
    *lines, last = result.out.splitlines()
    assert lines == [
        "net.ncz: 5 samples of 10 ticks through reference, chip",
        "population  witnesses    lowering",
        "a           independent  exact",
        "b           independent  exact",
        "c           independent  exact",
    ]
    found = cli("verify", "net.ncz", "--engines", "chip", "--samples", "5", "--json").document
    assert (found["schema"], found["bit_exact"], found["first_divergence"]) == (1, True, None)
    assert (found["engines"], found["skipped"], found["lossy"]) == (["reference", "chip"], {}, {})
    assert (found["samples"], found["ticks"]) == (5, 10)
    assert found["witnesses"] == dict.fromkeys("abc", "independent")
    spikes, values = found["spikes_compared"], found["values_compared"]
    assert last == f"BIT-EXACT: {spikes:,} spikes, {values:,} values compared over 5 samples"
    assert spikes > 100


def test_an_engine_that_is_missing_is_skipped_unless_it_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp_loihi.lava import LavaWitness

    monkeypatch.setattr(LavaWitness, "unavailable", lambda self, lowered=None: "it is out for lunch")
    result = cli("verify", "net.ncz")
    assert result.code == 0
    assert result.out.splitlines()[:2] == [
        "net.ncz: 12 samples of 10 ticks through reference, fast, chip",
        "skipped: lava (it is out for lunch)",
    ]
    assert cli("verify", "net.ncz", "--json").document["skipped"] == {"lava": "it is out for lunch"}
    result = cli("verify", "net.ncz", "--engines", "chip,lava")
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith("error[NC0320 engine-unavailable]: engine 'lava' is not available: it is out for lunch\n")


@pytest.mark.parametrize("kind", ["weight", "delay", "target", "threshold"])
def test_inject(cli: Cli, kind: str) -> None:
    arguments = ("verify", "net.ncz", "--engines", "chip", "--inject", f"{kind}:1")
    result = cli(*arguments)
    assert result.code == 6
    injected = result.out.splitlines()[1]
    assert injected.startswith(f"injected: {kind} of ")
    assert result.out.endswith("NOT BIT-EXACT (as it must be: the corruption was found)\n")
    head, also = result.err.splitlines()
    assert head.startswith("error[NC0701 mismatch]: reference and chip differ first in ")
    assert also == f"also:  {injected}"
    result = cli(*arguments, "--json")
    assert (result.code, result.err) == (6, "")
    assert result.document["bit_exact"] is False
    assert f"injected: {result.document['injection']}" == injected
    assert result.document["first_divergence"]["engines"] == ["reference", "chip"]


def test_a_corruption_that_nobody_notices_is_our_bug(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp import api

    original = api.Compiled.verify

    def verify(self: api.Compiled, *arguments: Any, inject: Any, **options: Any) -> Any:
        return replace(original(self, *arguments, **options), injection="a weight of a[0] -> b[0]")

    monkeypatch.setattr(api.Compiled, "verify", verify)
    arguments = ("verify", "net.ncz", "--engines", "chip", "--inject", "weight:1")
    result = cli(*arguments)
    assert result.code == 1
    assert result.err == (
        "error[NC0901 internal]: no engine noticed: a weight of a[0] -> b[0]\nhint:  please report it with the artifact\n"
    )
    result = cli(*arguments, "--json")
    assert (result.code, result.document["bit_exact"]) == (1, True)


# --- evaluate


def test_evaluate(cli: Cli) -> None:
    found = cli("evaluate", "net.ncz", "--samples", "10", "--json").document
    assert found.keys() == {"schema", "accuracy", "samples", "engine", "interrupted", "not_on_this_chip"}
    assert (found["engine"], found["interrupted"]) == ("reference", False)
    assert found["samples"] == 10
    exact, fixed = found["accuracy"]["float"], found["accuracy"]["fixed"]
    result = cli("evaluate", "net.ncz", "--samples", "10")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "net.ncz: accuracy over 10 samples",
        f"float       {100 * exact:.2f} %",
        f"fixed       {100 * fixed:.2f} %",
        f"difference  {100 * (fixed - exact):+.2f} points",
    ]
    network = cli("evaluate", "net.yaml", "--samples", "10", "--json").document
    assert network["accuracy"] == {"float": exact, "fixed": None}
    result = cli("evaluate", "net.yaml", "--samples", "10")
    assert result.out.splitlines()[1:] == [f"float  {100 * exact:.2f} %", "fixed  not compiled yet"]


def test_evaluate_other_data(cli: Cli) -> None:
    assert cli("run", "net.yaml", "-o", "trace.npz", "--quiet").code == 0
    answers = arrays_of("trace.npz")["spikes/c"].sum(axis=1).argmax(axis=1)
    np.savez("other.npz", images=arrays_of("data.npz")["images"], labels=answers)
    for path in ("net.yaml", "net.ncz"):
        for data in ((), ("--data", "a=other.npz#images")):
            found = cli("evaluate", path, "--labels", "other.npz#labels", *data, "--json").document
            assert (found["accuracy"]["float"], found["samples"]) == (1.0, 12)


# --- report


def test_report(cli: Cli) -> None:
    result = cli("report", "net.ncz", "--samples", "6")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "small on loihi: 6 samples of 10 ticks of 1 ms (11 on the chip)"
    assert lines[1] == "SIMULATED COUNTS · ESTIMATED ENERGY · NOT MEASURED"
    sections = [lines[index + 1] for index, line in enumerate(lines) if not line and lines[index + 1][:1] not in (" ", "")]
    assert sections == [
        "Counts, per sample",
        "The core, per sample",
        "Time, at full speed",
        "Energy, per sample (costs: loihi)",
        "Conventions beside the chip, per sample",
        "NeuroBench",
        "How to read this",
    ]
    for word in ("sops per spike", "synaptic_event", "total, dynamic", "static", "pre-silicon: davies2018, Table 2"):
        assert word in result.out
    found = cli("report", "net.ncz", "--samples", "6", "--json")
    assert found.document["energy_j"]["low"] <= found.document["energy_j"]["nominal"] <= found.document["energy_j"]["high"]
    assert {"sops", "synaptic_events"} <= found.document["counts"].keys()
    assert cli("report", "net.ncz", "--samples", "6", "--format", "json").out == found.out
    other = cli("report", "net.ncz", "--samples", "6", "--costs", "sanafe").out
    assert "Energy, per sample (costs: sanafe)" in other


# --- export


def test_export(cli: Cli) -> None:
    result = cli("export", "net.ncz", "--format", "integers", "-o", "x.npz")
    arrays = arrays_of("x.npz")
    assert (result.code, result.out) == (0, f"x.npz: {len(arrays)} arrays of the lowered network\n")
    found = cli("export", "net.ncz", "--format", "integers", "-o", "x.npz", "--json").document
    assert (found["format"], found["stage"], found["output"]) == ("integers", "lowered", "x.npz")
    assert list(found["arrays"]) == list(arrays)


def simulate(exported: dict[str, Array], stimulus: dict[str, Array]) -> dict[str, Array]:
    """Simulate an exported network as docs/integers.md says, in chip ticks: a simulator of someone else."""
    meta = json.loads(str(exported["meta"]))
    form, chip_ticks = meta["number_format"], meta["chip_ticks"]
    n_samples = len(next(iter(stimulus.values())))
    result: dict[str, Array] = {}
    state: dict[str, Array] = {}
    for p in meta["populations"]:
        name, size = p["name"], int(np.prod(p["shape"]))
        result[f"spikes/{name}"] = np.zeros((n_samples, chip_ticks, size), np.int64)
        if p["dynamics"] == "input":
            result[f"spikes/{name}"][:, : meta["ticks"]] = stimulus[name].reshape(n_samples, meta["ticks"], size)
            continue
        for key in "uv":
            result[f"{key}/{name}"] = np.zeros((n_samples, chip_ticks, size), np.int64)
            state[f"{key}/{name}"] = np.tile(exported[f"population/{name}/{key}_init"], (n_samples, 1))
    for tick in range(chip_ticks):
        for p in meta["populations"]:
            if p["dynamics"] == "input":
                continue
            name, values = (
                p["name"],
                {key.split("/")[2]: a for key, a in exported.items() if key.startswith(f"population/{p['name']}/")},
            )
            drive = np.zeros_like(state[f"u/{name}"])
            for q in (q for q in meta["projections"] if q["target"] == name):
                source, target, weight, delay = (
                    exported[f"projection/{q['name']}/{k}"] for k in ("source", "target", "weight", "delay")
                )
                for d in np.unique(delay[delay <= tick]):
                    here, total = delay == d, np.zeros_like(drive)
                    sent = result[f"spikes/{q['source']}"][:, tick - d][:, source[here]]
                    np.add.at(total.T, target[here], (sent * weight[here]).T)
                    drive += total << q["exponent"] if q["exponent"] >= 0 else total >> -q["exponent"]
            one = 1 << form["decay_bits"]
            u, v = state[f"u/{name}"], state[f"v/{name}"]
            u = np.sign(u) * (abs(u) * (one - values["du"] - form["current_decay_offset"]) >> form["decay_bits"])
            u = u + (drive << form["state_shift"])
            v = (
                np.sign(v) * (abs(v) * (one - values["dv"]) >> form["decay_bits"])
                + u
                + (values["bias_mant"] << values["bias_exp"])
            )
            spikes = (v > values["vth"] << form["state_shift"]) & (values["fires"] != 0)
            state[f"u/{name}"], state[f"v/{name}"] = u, np.where(spikes, 0, v)
            for key, found in (("spikes", spikes), ("u", u), ("v", state[f"v/{name}"])):
                result[f"{key}/{name}"][:, tick] = found
    return result


@pytest.mark.parametrize("stage", ["lowered", "quantized"])
def test_the_exported_integers_are_enough_for_another_simulator(cli: Cli, stage: str) -> None:
    assert cli("export", "net.ncz", "--format", "integers", "--stage", stage, "-o", "x.npz").code == 0
    assert cli("run", "net.ncz", "--stage", stage, "--probe", "all", "--state", "-o", "trace.npz").code == 0
    exported, expected = arrays_of("x.npz"), arrays_of("trace.npz")
    meta = json.loads(str(exported["meta"]))
    found = simulate(exported, {"a": expected["spikes/a"]})
    assert expected["spikes/c"].any()
    for key, array in expected.items():
        where = meta["logical"][key.split("/")[1]]
        lag = int(exported[f"lag/{where['population']}"])
        window = found[key.replace(key.split("/")[1], where["population"])][:, lag : lag + meta["ticks"]]
        np.testing.assert_array_equal(window.reshape(array.shape), array, err_msg=key)


def test_the_exported_places(cli: Cli) -> None:
    assert cli("export", "net.ncz", "--format", "integers", "-o", "x.npz").code == 0
    exported = arrays_of("x.npz")
    places = np.concatenate([np.stack([exported[f"population/{p}/core"], exported[f"population/{p}/slot"]], 1) for p in "bc"])
    assert sorted(map(tuple, places.tolist())) == [(0, slot) for slot in range(8)]
    assert [exported[f"cores/{key}"].tolist() for key in ("chip", "core", "tile_x", "tile_y")] == [[0]] * 4


# --- targets, explain, doctor


def test_targets(cli: Cli) -> None:
    found = {entry["name"]: entry for entry in cli("targets", "--json").document["targets"]}
    assert list(found) == ["loihi", "loihi2", "reference", "truenorth"]
    expected = {
        "name": "loihi",
        "title": "Intel Loihi (2018), 14 nm",
        "backend": "loihi",
        "chips": 768,
        "cores_per_chip": 128,
        "neurons_per_core": 1024,
        "synapse_memory_bytes_per_core": 131072,
        "extensions": ["graded", "ternary", "programmed"],
        "default_costs": "loihi",
    }
    assert {key: found["loihi"][key] for key in expected} == expected
    assert found["loihi"]["engines"]["chip"] == {"available": True, "reason": None}
    truenorth = found["truenorth"]
    assert (truenorth["synapse_memory_bytes_per_core"], truenorth["engines"]["fast"]["available"]) == (8192, False)
    assert (found["loihi2"]["extensions"], found["loihi2"]["costs"], found["loihi2"]["default_costs"]) == ([], [], "")
    lines = [" ".join(line.split()) for line in cli("targets").out.splitlines()]
    assert lines[:2] == ["loihi", "chip Intel Loihi (2018), 14 nm"]
    assert "per core 1,024 neurons, 128 KiB of synapse memory" in lines
    assert "costs none is published" in lines
    graded, ternary = "graded (spikes that carry a value)", "ternary (neurons that send +1 and -1)"
    allowed = f"extensions {graded}, {ternary}, programmed (neurons that are programs of a core); --allow-extension"
    assert allowed in " ".join(lines)


def test_explain(cli: Cli) -> None:
    expected = (
        "code       NC0205 zero-delay-cycle\n"
        "cause      A cycle of projections has a total delay of 0 ticks: a spike would depend on itself\n"
        "           within one tick.\n"
        "way out    Give at least one projection of the cycle 'delay: 1'.\n"
        "exit code  3\n"
    )
    for name in ("NC0205", "nc0205", "zero-delay-cycle"):
        assert cli("explain", name).out == expected
    assert len(cli("explain").out.splitlines()) == len(CATALOGUE)
    (found,) = cli("explain", "NC0205", "--json").document["codes"]
    assert (found["name"], found["exit_code"]) == ("zero-delay-cycle", 3)


def test_doctor(cli: Cli) -> None:
    result = cli("doctor")
    assert (result.code, result.err) == (0, "")
    *_, self_test, verdict = result.out.splitlines()
    assert self_test.split()[:3] == ["self", "test", "ok"]
    assert verdict == "everything that is needed works"
    found = cli("doctor", "--json").document
    assert found["ok"] is True
    assert {"python", "platform", "numpy", "lava", "hardware specs", "self test"} <= {f["name"] for f in found["findings"]}


def test_doctor_finds_what_is_broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurocomp import registry

    monkeypatch.setattr(registry, "specs", dict)
    result = cli("doctor")
    assert result.code == 1
    assert "hardware specs   error RuntimeError: no hardware spec is installed; reinstall neurocomp\n" in result.out
    assert result.out.endswith("this installation is broken\n")


# --- help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert (result.code, result.err) == (0, "")
    purpose, blank, title, example, *_ = result.out.splitlines()
    assert purpose.rstrip().endswith(".")
    assert (blank, title) == ("", "Examples:")
    assert example.startswith(f"  neurocomp {command}")
    assert f"Usage: neurocomp {command} [OPTIONS]" in result.out
    assert "--json" in result.out
    assert "--quiet" in result.out


def test_help_lists_the_commands(cli: Cli) -> None:
    result = cli("--help")
    assert (result.code, result.out) == (0, cli().out)
    width = max(map(len, COMMANDS))
    for name, purpose in COMMANDS.items():
        assert f"  {name:<{width}}  {purpose}\n" in result.out
    assert cli("--version").out == f"neurocomp {neurocomp.__version__}\n"


# --- the example


def test_mnist(cli: Cli) -> None:
    found = cli("compile", str(MNIST), "--target", "loihi", "-o", "mnist.ncz", "--json").document
    assert (found["inputs"], found["outputs"]) == ({"pixels": [784]}, {"digits": [10]})
    assert found["utilization"]["synapse_words"]["worst_core"] <= 16384
    found = cli("verify", "mnist.ncz", "--engines", "chip", "--json").document
    assert (found["bit_exact"], found["samples"]) == (True, 20)
    found = cli("evaluate", "mnist.ncz", "--json").document
    assert found["samples"] == 500
    assert found["accuracy"]["float"] >= 0.975
    assert found["accuracy"]["fixed"] >= found["accuracy"]["float"] - 0.01


# --- options of a compilation

CYCLE = ("from: b, to: b, weights: weights.npz#bb, delay: 2", "from: c, to: b, weights: weights.npz#cb, delay: 1")


def edited(old: str, new: str) -> None:
    text = Path("net.yaml").read_text()
    assert old in text
    Path("net.yaml").write_text(text.replace(old, new))


def test_ticks_per_step(cli: Cli) -> None:
    """A cycle of two hops and one tick compiles with two ticks per step, and stays in the user's time."""
    edited(*CYCLE)
    edited("weights.npz#bc, delay: 1", "weights.npz#bc")
    arrays = arrays_of("weights.npz")
    np.savez("weights.npz", **arrays, cb=0.2 * arrays["bc"].T)  # type: ignore[arg-type]
    refused = cli("check", "net.yaml", "-t", "loihi")
    assert refused.code == 4
    assert "or compile with --ticks-per-step 2" in " ".join(refused.out.split())
    assert cli("check", "net.yaml", "-t", "loihi", "--ticks-per-step", "2").code == 0
    found = cli("compile", "net.yaml", "-t", "loihi", "-o", "two.ncz", "--ticks-per-step", "2", "--json").document
    assert (found["ticks"], found["ticks_per_step"], found["chip_ticks"]) == (10, 2, 22)
    assert found["notes"][0].startswith("2 ticks of the chip per tick of the network: decays are their roots")
    summary = " ".join(cli("compile", "net.yaml", "-t", "loihi", "-o", "two.ncz", "--ticks-per-step", "2").out.split())
    assert "10 ticks of 1 ms per sample, 22 on the chip (2 per tick, largest lag 2)" in summary
    trace = cli("run", "two.ncz", "--probe", "all", "--state", "-o", "trace.npz", "--json").document
    assert (trace["ticks"], trace["arrays"]["v/c"]["shape"]) == (10, [12, 10, 3])
    evaluated = cli("evaluate", "two.ncz", "--json").document
    assert evaluated["samples"] == 12
    reported = cli("report", "two.ncz", "--json").document
    assert (reported["ticks"], reported["chip_ticks"], reported["timestep_s"]) == (10, 22, 0.001)
    assert reported["accuracy"]["fixed"] == evaluated["accuracy"]["fixed"]


def test_options_that_make_no_sense(cli: Cli) -> None:
    for arguments, message in (
        (("--ticks-per-step", "0"), "invalid value for '--ticks-per-step': 0 is not in the range x>=1"),
        (("--compare", "ge"), "option 'compare' takes one of exact, gt, not 'ge'"),
        (("--allow-extension", "tenary"), "loihi has no extension 'tenary'\nhint:  did you mean 'ternary'?"),
    ):
        for command in ("compile", "check"):
            result = cli(command, "net.yaml", "-t", "loihi", *arguments)
            assert (result.code, result.out) == (2, "")
            assert result.err.startswith(f"error[NC0801 usage]: {message}")
    native = cli("check", "net.yaml", "-t", "loihi2", "--allow-extension", "ternary")
    assert (native.code, native.err) == (
        2,
        "error[NC0801 usage]: loihi2 has no extension 'ternary'\nhint:  loihi2 does that itself: leave the option out\n",
    )


def test_at_least(cli: Cli) -> None:
    """'>=' of a leaky neuron is refused with a way out, which works, and verify lists what it reaches."""
    edited("v_threshold: 1.0, reset: zero", "v_threshold: 1.0, reset: zero, compare: '>='")
    refused = cli("compile", "net.yaml", "-t", "loihi", "-o", "gt.ncz")
    assert refused.code == 4
    assert "error[NC0302 comparison]: population 'b' compares with '>=', and no threshold of '>' gives" in refused.err
    assert "hint:  --compare gt takes '>' in its place and measures what that changes" in refused.err
    made = cli("compile", "net.yaml", "-t", "loihi", "-o", "gt.ncz", "--compare", "gt", "--json").document
    assert [note for note in made["notes"] if "(lossy)" in note] == [
        "'b': '>' is taken for '>=', as its potential leaks (dv 390) (lossy)"
    ]
    lossy = cli("verify", "gt.ncz", "--engines", "chip", "--json").document["lossy"]
    reason = "'>' is taken for '>=', as its potential leaks (dv 390)"
    assert {name: entry["reason"] for name, entry in lossy.items()} == {"b": reason, "c": f"behind 'b': {reason}"}


def test_every_output_says_what_is_not_on_this_chip(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact whose lowered network used extensions; here the list alone is put into it."""
    from neurocomp import api

    plain = neurocomp.load("net.ncz")
    assert isinstance(plain, neurocomp.Compiled)
    lowered = replace(plain.artifact.lowered, extensions=("graded", "ternary"))
    mapped = replace(plain.artifact.mapped, lowered=lowered)
    marked = neurocomp.Compiled(replace(plain.artifact, lowered=lowered, mapped=mapped))
    marked.save("marked.ncz")
    monkeypatch.setattr(api, "compile", lambda *_, **__: marked)
    line = "not on this chip: graded, ternary"
    for command in (
        ("compile", "net.yaml", "-t", "loihi", "-o", "again.ncz"),
        ("run", "marked.ncz", "-o", "trace.npz"),
        ("verify", "marked.ncz", "--engines", "chip"),
        ("evaluate", "marked.ncz"),
        ("report", "marked.ncz"),
        ("export", "marked.ncz", "--format", "integers", "-o", "integers.npz"),
    ):
        result = cli(*command)
        assert (result.code, result.out.splitlines()[0]) == (0, line), command
        assert cli(*command, "--json").document["not_on_this_chip"] == ["graded", "ternary"]
        assert line in cli(*command, "--quiet").out
    assert "not on this chip" not in cli("run", "net.ncz").out


def test_a_chip_without_published_costs(cli: Cli) -> None:
    assert cli("compile", "net.yaml", "-t", "loihi2", "-o", "two.ncz", "--quiet").code == 0
    found = cli("report", "two.ncz", "--json").document
    assert (found["energy_j"], found["per_sample"]["energy_j"], found["counts"]["spikes"] > 0) == (None, None, True)
    assert "synaptic_event" in found["energy"]["unpriced"]
    text = " ".join(cli("report", "two.ncz").out.split())
    assert "unpriced: no cost of any event of this chip is published, so that no energy can be stated" in text
    assert cli("report", "two.ncz", "--costs", "loihi").code == 2
