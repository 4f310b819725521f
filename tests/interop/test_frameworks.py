"""Networks go from other frameworks to neurocomp and back, and spike where they did, neuron for neuron and tick for tick.

The other side of each comparison is the framework itself, in its own environment (`benchmarks.peers`): it builds networks of
seeded weights, runs them, exports them, and runs what its importer makes of our files. docs/nir.md has the verdicts as a table.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from benchmarks import peers
from benchmarks.peers.interop.ours import NETWORKS, spikes_of, stimulus
from neurocomp import api
from neurocomp.errors import NetworkError
from neurocomp.ir.network import Network

Array = NDArray[Any]

pytestmark = pytest.mark.interop

SHARED = Path(__file__).parents[3] / "shared" / "models" / "nir"
CNN = SHARED / "cnn_sinabs.nir"
with_cnn = pytest.mark.skipif(not CNN.is_file(), reason=f"too large to ship, and not beside the repository: {CNN}")
LIMIT = 600.0
"""Seconds for all networks of a framework."""
VERSIONS = {"snntorch": "1.0.0", "norse": "1.1.0", "sinabs": "3.1.3", "spikingjelly": "2.0.0"}


@dataclass(frozen=True)
class Case:
    """One network of a framework, and what becomes of it; without more, its spikes are equal by file and in one process."""

    reading: Mapping[str, Any] = field(default_factory=dict)
    """What a user says of the file beside ``--trained-in``."""
    not_exported: str | None = None
    """How the framework's exporter, or nir, refuses it."""
    not_read: str | None = None
    """What neurocomp says of the file."""
    not_taken: str | None = None
    """What ``neurocomp.from_...`` says of the model."""
    lost: str | None = None
    """Why the file has other spikes: what it does not hold."""
    inexpressible: str | None = None
    """Why the network of ``neurocomp.from_...`` has other spikes too."""


LATE = {"reset_when": "next_update"}
SUBTRACT, NONE = {"reset": "subtract"}, {"reset": "none"}
QUIRK = "with reset_delay=False a potential that stays above the threshold is handled in a way of snnTorch's own"
UNKNOWN = "AttributeError: 'NoneType' object has no attribute 'input_type'"
FORM = "exporter has no form for it"
FLOOR = "no file says whether min_v_mem is None"
NO_INPUT_SHAPE = "TypeError: One of data, shape or dtype must be specified"
SOFT = "NotImplementedError: NIR does not distinguish soft reset."
DT = {"dt": 2.0**-10}
TIMES = "norse writes dt times its times"

CASES: Mapping[str, Mapping[str, Case]] = {
    "snntorch": {
        "leaky_zero": Case(),
        "leaky_zero_delayed": Case(),
        "leaky_subtract": Case(SUBTRACT, inexpressible=QUIRK),
        "leaky_subtract_delayed": Case({**SUBTRACT, **LATE}),
        "leaky_none": Case(NONE),
        "leaky_none_delayed": Case(NONE),
        "synaptic_zero": Case(),
        "synaptic_zero_delayed": Case(LATE),
        "synaptic_subtract": Case(SUBTRACT, inexpressible=QUIRK),
        "synaptic_subtract_delayed": Case({**SUBTRACT, **LATE}),
        "synaptic_none": Case(NONE),
        "synaptic_none_delayed": Case(NONE),
        "rleaky_zero": Case(),
        "rleaky_zero_delayed": Case(LATE),
        "rleaky_subtract": Case(SUBTRACT, inexpressible=QUIRK),
        "rleaky_subtract_delayed": Case({**SUBTRACT, **LATE}),
        "rleaky_none": Case(NONE),
        "rleaky_none_delayed": Case(NONE),
        "rleaky_one_to_one": Case(),
        "rsynaptic_zero_delayed": Case(LATE),
        "rsynaptic_subtract_delayed": Case({**SUBTRACT, **LATE}),
        "rsynaptic_none_delayed": Case(NONE),
        "conv": Case(),
        "leaky_own": Case(),
        "leaky_scalar": Case(not_exported="ValueError: Type inference error: type mismatch: 0.output: [[10]] -> 1.input: []"),
        "lapicque": Case(not_exported=UNKNOWN, not_taken=FORM),
        "alpha": Case(not_exported=UNKNOWN, not_taken=FORM),
        "inhibition": Case(not_exported="Type inference error", not_taken="NIR has no word for inhibition"),
    },
    "norse": {
        "box": Case(DT),
        "box_leak": Case(DT),
        "box_reset": Case(DT, lost="its exporter leaves v_reset out"),
        "box_subtract": Case({**DT, **SUBTRACT}),
        "box_li": Case(DT),
        "lif": Case(DT),
        "iaf": Case(DT),
        "iaf_default_dt": Case(DT),
        "box_default_dt": Case(DT, not_read=TIMES),
        "lif_default_dt": Case(DT, not_read=TIMES),
        "box_li_default_dt": Case(DT, not_read=TIMES),
        "box_default": Case(not_exported="TypeError: Scalar datasets don't support chunk/filter options"),
        "conv": Case(not_exported=NO_INPUT_SHAPE),
        "recurrent": Case(not_exported="AttributeError: 'NoneType' object has no attribute 'to_dict'", not_taken=FORM),
    },
    "sinabs": {
        "iaf": Case(lost=FLOOR),
        "iaf_floor": Case(),
        "iaf_single": Case(lost="no file says SingleSpike"),
        "iaf_reset": Case({"reset": "zero"}),
        "iaf_syn": Case(not_taken="exporter leaves its synaptic current out", lost="its exporter leaves tau_syn out"),
        "iaf_with_time": Case(),
        "lif": Case(),
        "lif_own": Case(),
        "lif_floor": Case(lost=FLOOR),
        "lif_norm_input": Case(lost="no file says norm_input"),
        "lif_syn": Case(not_taken="exporter leaves its synaptic current out", lost="its exporter leaves tau_syn out"),
        "exp_leak": Case(),
        "conv": Case(not_exported=NO_INPUT_SHAPE),
        "alif": Case(not_exported="NotImplementedError: Module", not_taken=FORM),
        "lif_recurrent": Case(not_exported="NotImplementedError: Module", not_taken=FORM),
    },
    "spikingjelly": {
        **{
            f"{kind}_{reset}{decay}": Case(not_exported=SOFT if reset == "soft" else None)
            for reset in ("hard", "hard_value", "soft")
            for kind, decays in (("if", ("",)), ("lif", ("", "_decay_input")), ("plif", ("", "_decay_input")), ("cuba", ("",)))
            for decay in decays
        },
        "conv": Case(),
    },
}


@dataclass(frozen=True)
class Back:
    """A file of ours that the framework's importer reads; without more, it has the same spikes there."""

    refused: str | None = None
    other: str | None = None


WIRES = "its importer wires a recurrent layer otherwise"
IN_TICKS = "its importer takes times for ticks"
IGNORES_R = "its importer ignores r"
BACK: Mapping[str, Mapping[str, Back]] = {
    "snntorch": {
        "lif": Back(),
        "lif_current": Back(),
        "cuba": Back(),
        "conv": Back(),
        "recurrent": Back(other=WIRES),
        "if": Back(refused="AssertionError: r != 1 not supported"),
    },
    "norse": {
        "lif_current": Back(),
        "recurrent_current": Back(),
        "cuba": Back(),
        "if": Back(),
        "conv_if": Back(),
        "lif": Back(other=IGNORES_R),
        "conv": Back(other=IGNORES_R),
    },
    "sinabs": {
        "if_many": Back(),
        "conv_many": Back(),
        "lif": Back(other=IN_TICKS),
        "cuba": Back(refused="KeyError"),
    },
    "spikingjelly": {
        name: Back()
        for name in (
            "lif_at_least",
            "lif_current_at_least",
            "cuba_at_least",
            "if_at_least",
            "recurrent_at_least",
            "conv_at_least",
        )
    },
}


@dataclass(frozen=True)
class Report:
    """What a framework did, in a folder."""

    folder: Path
    cases: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]

    def layers(self, name: str, prefix: str = "layer") -> list[Array]:
        """Return what neurons gave, each layer (samples, ticks, n)."""
        with np.load(self.folder / f"{name}.npz") as arrays:
            count = sum(key.startswith(f"{prefix}_") for key in arrays)
            return [arrays[f"{prefix}_{at}"] for at in range(count)]

    def x(self, name: str) -> Array:
        """Return the input, (samples, ticks, n)."""
        with np.load(self.folder / f"{name}.npz") as arrays:
            return np.asarray(arrays["x"])


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Report]:
    """Return what a framework did, which runs once."""

    @cache
    def of(framework: str) -> Report:
        folder = tmp_path_factory.mktemp(framework)
        ours = folder / "ours"
        ours.mkdir()
        for name in BACK[framework]:
            network = NETWORKS[name]()
            api.export_network(network, ours / f"{name}.nir")
            np.savez(ours / f"{name}.npz", x=stimulus(network))
        if CNN.is_file() and framework != "spikingjelly":
            (ours / "cnn_sinabs.nir").write_bytes(CNN.read_bytes())
            np.savez(ours / "cnn_sinabs.npz", x=events())
        peers.run(f"interop-{framework}", f"benchmarks.peers.interop.{framework}_nets", [str(folder)], LIMIT, threads=2)
        found = json.loads((folder / "report.json").read_text())
        return Report(folder, found["cases"], found["versions"])

    return of


def events() -> Array:
    """Return events of a small camera, (samples, ticks, 2, 34, 34)."""
    return (np.random.default_rng(1).random((4, 16, 2, 34, 34)) < 0.12).astype(np.int8)


def same(theirs: list[Array], ours: list[Array]) -> bool:
    """Return whether layers are equal: spikes exactly, potentials of neurons that never spike to the accuracy of float32."""
    assert [layer.shape for layer in theirs] == [layer.shape for layer in ours]
    assert all(a.any() or b.any() for a, b in zip(theirs, ours, strict=True))
    whole = [(np.mod(layer, 1) == 0).all() for layer in theirs]
    assert whole[0]
    return all(
        bool((a == b).all()) if spikes else bool(np.abs(a - b).max() < 1e-6)
        for a, b, spikes in zip(theirs, ours, whole, strict=True)
    )


def every(what: Callable[[Case], bool]) -> list[Any]:
    """Return the cases of all frameworks of which something holds."""
    return [
        pytest.param(framework, name, case, id=f"{framework}-{name}")
        for framework, cases in CASES.items()
        for name, case in cases.items()
        if what(case)
    ]


@pytest.mark.parametrize("framework", CASES)
def test_every_network_has_a_verdict(framework: str, report: Callable[[str], Report]) -> None:
    """Nothing that the framework ran is left out here, and it is the version that the page names."""
    names = {name for name in report(framework).cases if not name.startswith("read_")}
    assert names == set(CASES[framework])
    assert report(framework).versions[framework] == VERSIONS[framework]


@pytest.mark.parametrize(("framework", "name", "case"), every(lambda case: not case.not_exported and not case.not_read))
def test_a_file_spikes_as_its_network(framework: str, name: str, case: Case, report: Callable[[str], Report]) -> None:
    """The file that the exporter wrote has the spikes that the framework recorded; where it cannot, it has others."""
    network = neurocomp.load(report(framework).folder / f"{name}.nir", trained_in=framework, **case.reading)
    assert isinstance(network, Network)
    equal = same(report(framework).layers(name), spikes_of(network, report(framework).x(name)))
    assert equal == (case.lost is None and case.inexpressible is None)


@pytest.mark.parametrize(("framework", "name", "case"), every(lambda case: case.not_exported is not None))
def test_the_exporter_refuses(framework: str, name: str, case: Case, report: Callable[[str], Report]) -> None:
    """The framework does not export the network, and says why."""
    assert str(case.not_exported) in report(framework).cases[name]["export"]


@pytest.mark.parametrize(("framework", "name", "case"), every(lambda case: case.not_read is not None))
def test_a_file_is_refused(framework: str, name: str, case: Case, report: Callable[[str], Report]) -> None:
    """A file that means something else than its network is refused with a way out."""
    with pytest.raises(NetworkError, match=case.not_read) as caught:
        neurocomp.load(report(framework).folder / f"{name}.nir", trained_in=framework, **case.reading)
    assert {problem.code for problem in caught.value.diagnostics} == {"NC0209"}


@pytest.mark.parametrize(("framework", "name", "case"), every(lambda case: not case.not_taken))
def test_a_model_spikes_as_itself(framework: str, name: str, case: Case, report: Callable[[str], Report]) -> None:
    """``neurocomp.from_...``, beside the framework, gives a network with the spikes that the model has."""
    found = report(framework)
    assert "take" not in found.cases[name]
    assert same(found.layers(name), found.layers(name, "taken")) == (case.inexpressible is None)


@pytest.mark.parametrize(("framework", "name", "case"), every(lambda case: case.not_taken is not None))
def test_a_model_is_refused(framework: str, name: str, case: Case, report: Callable[[str], Report]) -> None:
    """``neurocomp.from_...`` refuses what it cannot say, by the name of the module."""
    said = report(framework).cases[name]["take"]
    assert said.startswith("UnsupportedError: error[NC0345 nir-node]: module '")
    assert str(case.not_taken) in said


@pytest.mark.parametrize(("framework", "name"), [(framework, name) for framework, names in BACK.items() for name in names])
def test_our_file_spikes_there(framework: str, name: str, report: Callable[[str], Report]) -> None:
    """Our file has our spikes in the framework, where its importer can read it."""
    verdict, found = BACK[framework][name], report(framework)
    refusal = found.cases[f"read_{name}"].get("read")
    if verdict.refused is not None:
        assert verdict.refused in str(refusal)
        return
    assert refusal is None
    network = NETWORKS[name]()
    x = stimulus(network)
    ours = {layer.shape[2]: layer for layer in spikes_of(network, x.reshape(*x.shape[:2], -1))}
    theirs = {layer.shape[2]: layer for layer in found.layers(f"read_{name}")}
    sizes = sorted(ours)
    assert sorted(theirs) == sizes
    assert same([theirs[n] for n in sizes], [ours[n] for n in sizes]) == (verdict.other is None)


def test_the_snippet_of_the_page() -> None:
    """The lines of docs/nir.md run where snnTorch is installed."""
    text = (Path(__file__).parents[2] / "docs" / "nir.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```py\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    command = [str(peers.prepare("interop-snntorch")), "-c", f"{snippet}\nprint(compiled.network.populations)"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
    assert result.returncode == 0, result.stderr
    assert "'n1'" in result.stdout


@with_cnn
@pytest.mark.parametrize(
    ("framework", "run", "reading"),
    [
        ("sinabs", "read_cnn_sinabs", {}),
        ("norse", "read_cnn_sinabs", {}),
        ("snntorch", "read_cnn_sinabs_zero", {"reset": "zero"}),
        ("snntorch", "read_cnn_sinabs_subtract", {"reset": "subtract", "reset_when": "next_update"}),
    ],
)
def test_the_convolutional_net(framework: str, run: str, reading: Mapping[str, Any], report: Callable[[str], Report]) -> None:
    """The net for N-MNIST spikes as in sinabs, many times in a tick, and once as Norse and snnTorch have it."""
    network = neurocomp.load(CNN, trained_in=framework, **reading)
    assert isinstance(network, Network)
    x = events()
    ours = spikes_of(network, x.reshape(*x.shape[:2], -1))
    theirs = report(framework).layers(run)
    if framework == "norse":  # in the order of its modules, by name
        theirs = [theirs[at] for at in (0, 3, 4, 1, 2)]
    assert same(theirs, ours)
    assert (max(layer.max() for layer in ours) > 1) == (framework == "sinabs")
