"""Networks of RANC give RANC's output, bit for bit: small ones of our own, and recorded ones of others."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from neurocomp import api
from neurocomp.cli import run as command_line
from neurocomp.testing.ranc import rows_of, simulated

OWN = Path(__file__).parent / "ranc"
RECORDED = OWN / "recorded.tar.xz"
"""5 MB of text in 57 kB; ranc/README.md says what."""
with tarfile.open(RECORDED) as _archive:
    _RECORDED = [member.name for member in _archive if member.isdir()]
names = pytest.mark.parametrize(
    "folder", [*sorted(path.parent.name for path in OWN.glob("*/input.json")), *_RECORDED], indirect=True
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the networks of others."""
    folder = tmp_path_factory.mktemp("ranc")
    with tarfile.open(RECORDED) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) is not None:
                (folder / member.name).parent.mkdir(exist_ok=True)
                (folder / member.name).write_bytes(file.read())
    return folder


@pytest.fixture
def folder(request: pytest.FixtureRequest, recorded: Path) -> Path:
    """Return the folder of a network."""
    name: str = request.param
    return recorded / name if name in _RECORDED else OWN / name


@names
def test_both_engines_print_the_rows_of_ranc(folder: Path) -> None:
    compiled, rows = api.import_network(folder, "ranc"), np.array(rows_of(folder))
    assert rows.any()
    for engine in ("reference", "chip"):
        run = compiled.run(engine)
        assert run.arrays["spikes/bus"].shape == (1, *rows.shape)
        np.testing.assert_array_equal(run.arrays["spikes/bus"][0], rows, err_msg=engine)
        assert run.events == ()
    assert compiled.verify(["chip"]).bit_exact


@names
def test_the_oracle_of_the_tests_prints_the_rows_of_ranc(folder: Path) -> None:
    document, config = (json.loads((folder / name).read_text("utf-8-sig")) for name in ("input.json", "config.json"))
    rows = rows_of(folder)
    assert simulated(document, config, len(rows)) == rows


@names
def test_the_command_line_plays_the_packets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line(["import", str(folder), "--format", "ranc", "-o", "net.ncz", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = np.array(rows_of(folder))
    assert (document["ticks"], document["outputs"]) == (len(rows), {"bus": [rows.shape[1]]})
    assert command_line(["run", "net.ncz", "--engine", "chip", "-o", "trace.npz", "--quiet"]) == 0
    with np.load("trace.npz") as trace:
        np.testing.assert_array_equal(trace["spikes/bus"][0], rows)
    assert command_line(["verify", "net.ncz", "--engines", "reference,chip", "--quiet"]) == 0


@names
def test_an_export_imports_as_the_same_program(folder: Path, tmp_path: Path) -> None:
    compiled = api.import_network(folder, "ranc")
    compiled.export("ranc", tmp_path / compiled.network.name)
    again = api.import_network(tmp_path / compiled.network.name, "ranc")
    assert again.artifact.program.digest() == compiled.artifact.program.digest()
    assert again.artifact.spec.text == compiled.artifact.spec.text
    before, after = compiled.stimulus(), again.stimulus()
    assert all(np.array_equal(before[name], after[name]) for name in (*before, *after))


@pytest.mark.parametrize(("name", "skip"), [("rtl_tea_256", 2), ("rtl_vmm", 4)])
def test_the_field_programmable_gate_array_agrees(name: str, skip: int, recorded: Path) -> None:
    expected = json.loads((recorded / name / "rtl_expected.json").read_text())
    bus = api.import_network(recorded / name, "ranc").run("chip").arrays["spikes/bus"][0]
    for index, row in enumerate(expected):
        assert np.flatnonzero(bus[index + skip]).tolist() == row


def test_a_product_of_a_vector_and_a_matrix(recorded: Path) -> None:
    folder = recorded / "vmm3x2_rt0_fb00"
    meta = json.loads((folder / "meta.json").read_text())
    spikes = api.import_network(folder, "ranc").run("chip").arrays["spikes/bus"][0].sum(axis=0)
    assert (spikes[::2] - spikes[1::2]).tolist() == meta["expected"]
