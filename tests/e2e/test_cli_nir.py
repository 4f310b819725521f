"""NIR files through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurocomp.testing.nir_files import affine, chain, cuba, lif, linear, sink, source, spikes, write

Cli = Callable[..., Any]


@pytest.fixture
def net(cli: Cli) -> Path:
    """Return a file whose neurons tell the length of a tick, beside labelled data."""
    x = spikes(6, 10, 4, 0.5)
    np.savez("data.npz", x=x, y=np.array([0, 1, 0, 1, 0, 1]))
    np.savez("spikes.npz", **{"in": x})  # type: ignore[arg-type]
    return write(Path("two.nir"), *chain(
        ("in", source(4)), ("fc", affine(5, 4)), ("a", cuba(5)), ("w", linear(2, 5)), ("b", lif(2)), ("out", sink(2))
    ))  # fmt: skip


SAID = ("--trained-in", "snntorch", "--reset", "subtract", "--ticks", "10")


def test_compile_says_what_was_chosen(cli: Cli, net: Path) -> None:
    """The summary has the choices with their origin, JSON lists them, and the artifact keeps them."""
    result = cli("compile", str(net), "-t", "loihi", *SAID, "--compare", ">")
    assert result.code == 0, result.err
    text = " ".join(result.out.split())
    assert "timestep 0.0001 s (inferred from r = tau/dt)" in text
    assert "reset subtract" in text
    document = cli("compile", str(net), "-t", "loihi", *SAID, "--json").document
    assert {"subject": "a", "axis": "reset", "value": "subtract", "origin": "given"} in document["choices"]
    assert document["ticks"] == 10
    verified = cli("verify", "two.ncz", "--input", "spikes.npz", "--engines", "reference,chip", "--json")
    assert verified.document["bit_exact"] is True


def test_import_compiles_to_the_same_integers(cli: Cli, net: Path) -> None:
    """The folder that import writes is the file's network, to the last integer."""
    result = cli("import", str(net), *SAID, "-o", "folder", "--json")
    assert result.document["files"] == ["folder/net.yaml", "folder/weights.npz"]
    assert {c["axis"] for c in result.document["choices"]} >= {"timestep", "reset", "compare", "integration", "ticks"}
    text = Path("folder/net.yaml").read_text()
    assert "#   a: reset subtract (given)" in text
    assert cli("compile", "folder/net.yaml", "-t", "loihi", "-o", "one.ncz").code == 0
    assert cli("compile", str(net), *SAID, "-t", "loihi", "-o", "two.ncz").code == 0
    for name in ("one", "two"):
        assert cli("export", f"{name}.ncz", "--format", "integers", "-o", f"{name}.npz").code == 0
    with np.load("one.npz") as one, np.load("two.npz") as two:
        assert set(one) == set(two)
        assert all(np.array_equal(one[key], two[key]) for key in one if key != "meta")


def test_import_prints_choices(cli: Cli, net: Path) -> None:
    """What was left open stands with what it was taken for, and why."""
    result = cli("import", str(net), *SAID)
    assert result.code == 0, result.err
    assert "written  two/net.yaml, two/weights.npz" in result.out
    rows = [line.split() for line in result.out.splitlines()]
    assert ["a,", "b", "reset", "subtract", "given"] in rows
    assert cli("import", str(net), *SAID).code == 0  # an import may be done again
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("x")
    refused = cli("import", str(net), *SAID, "-o", "mine")
    assert refused.code == 2
    assert "nothing of an import is in it" in refused.err


def test_run_and_evaluate(cli: Cli, net: Path) -> None:
    """A NIR file runs and evaluates as it stands."""
    assert cli("run", str(net), *SAID, "--input", "spikes.npz", "-o", "trace.npz").code == 0
    with np.load("trace.npz") as trace:
        assert trace["spikes/b"].shape == (6, 10, 2)
        assert trace["spikes/b"].any()
    found = cli("evaluate", str(net), *SAID, "--data", "in=data.npz#x", "--labels", "data.npz#y", "--json").document
    assert found["samples"] == 6
    assert found["accuracy"]["fixed"] is None


def test_export_and_back(cli: Cli, net: Path) -> None:
    """A network and an artifact are written as NIR, with a list of what NIR cannot say, and are read again."""
    said = cli("export", str(net), *SAID, "--format", "nir", "-o", "again.nir", "--json").document
    assert said["nodes"] == 6
    assert any("reset subtract" in line for line in said["not_in_nir"])
    assert cli("compile", str(net), *SAID, "-t", "reference", "-o", "two.ncz").code == 0
    assert "not in NIR: the chip's integers" in cli("export", "two.ncz", "--format", "nir", "-o", "third.nir").out
    for name in ("again", "third"):
        document = cli("compile", f"{name}.nir", "-t", "reference", "--json").document
        assert {"subject": "a", "axis": "reset", "value": "subtract", "origin": "metadata"} in document["choices"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("check", "two.nir", "-t", "loihi", "--dt", "1 hour"), 2, "dt is '1 hour'; a time above 0 is needed"),
        (("check", "two.nir", "-t", "loihi", "--compare", ">", "--compare", ">="), 2, "--compare says both > and >="),
        (("check", "two.nir", "-t", "loihi", "--compare", "gt", "--compare", "ge"), 2, "--compare says both gt and ge"),
        (("check", "two.nir", "-t", "loihi", "--compare", "=>"), 2, "=>"),
        (("check", "net.yaml", "-t", "loihi", "--dt", "1ms"), 2, "--dt: 'net.yaml' says this itself"),
        (("check", "some.onnx", "-t", "loihi"), 3, "there is no file 'some.onnx'"),
        (("import", "net.yaml", "-o", "x"), 2, "'net.yaml' does not say what it is"),
        (("import", "folder", "--format", "ranc", "--dt", "1ms"), 2, "--dt: files of 'ranc' say this themselves"),
        (("import", "folder", "--format", "ranc", "-o", "x"), 2, "'x' must end with .ncz"),
        (("check", "two.nir", "-t", "loihi", "--integration", "exact", "--compare", ">=", "--compare", "gt"), 0, ""),
        (("check", "missing.nir", "-t", "loihi"), 3, "there is no file 'missing.nir'"),
    ],
)
def test_options(cli: Cli, net: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    """Options that make no sense are refused; a comparison that the file means stands beside one that the chip gets."""
    result = cli(*arguments)
    assert (result.code, message in result.err) == (code, True), result.err
    assert "Traceback" not in result.err
