"""``neurocomp report --replay`` and ``report lint`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def report(cli: Cli, folder: Path) -> Path:
    """A report of five samples beside its artifact."""
    path = folder / "report.json"
    path.write_text(cli("report", "net.ncz", "--samples", "5", "--json").out)
    return path


def changed(report: Path, **numbers: Any) -> None:
    document = json.loads(report.read_text())
    document["counts"] |= numbers
    report.write_text(json.dumps(document))


def test_the_same_numbers(cli: Cli, report: Path) -> None:
    for arguments in ((), ("net.ncz",), ("--engine", "chip")):
        result = cli("report", *arguments, "--replay", report.name)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("replayed: all ")
    document = cli("report", "--replay", report.name, "--json").document
    assert document["differences"] == []
    assert document["replayed"] > 200


def test_what_a_report_depends_on(cli: Cli, folder: Path, report: Path) -> None:
    found = json.loads(report.read_text())["provenance"]
    assert found["artifact"] == json.loads(_manifest(folder / "net.ncz"))["digest"]
    assert (found["samples"]["origin"], found["samples"]["count"]) == ("declared", 5)
    assert (found["ticks"], found["timestep_s"], found["seeds"], found["costs"]) == (10, 1e-3, {"a": 3}, "loihi")
    other = cli("report", "net.ncz", "--samples", "6", "--json").document["provenance"]
    assert {key for key in found if found[key] != other[key]} == {"samples"}


def _manifest(artifact: Path) -> bytes:
    import zipfile

    with zipfile.ZipFile(artifact) as file:
        return file.read("manifest.json")


def test_another_number_is_named(cli: Cli, report: Path) -> None:
    before = json.loads(report.read_text())["counts"]["sops"]
    changed(report, sops=before + 1)
    result = cli("report", "--replay", report.name)
    assert result.code == 6
    assert result.out.splitlines()[1:] == [f"counts.sops: {before + 1} before, {before} now"]
    assert cli("report", "--replay", report.name, "--json").document["differences"] == [
        {"where": "counts.sops", "before": before + 1, "now": before}
    ]


def test_another_artifact_is_refused(cli: Cli, folder: Path, report: Path) -> None:
    cli("compile", "net.yaml", "--target", "loihi2", "-o", "other.ncz", "--quiet")
    result = cli("report", "other.ncz", "--replay", report.name)
    assert result.code == 3
    assert result.err.startswith("error[NC0347 replay]: 'other.ncz' has the digest ")
    (folder / "net.ncz").unlink()
    result = cli("report", "--replay", report.name)
    assert result.code == 3
    assert "lies beside 'report.json' or here" in result.err


def test_a_chip_without_costs_replays(cli: Cli, folder: Path) -> None:
    cli("compile", "net.yaml", "--target", "loihi2", "-o", "other.ncz", "--quiet")
    (folder / "r.json").write_text(cli("report", "other.ncz", "--samples", "3", "--json").out)
    assert cli("report", "--replay", "r.json").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--replay", "net.yaml"), 3, "error[NC0108 json-syntax]: 'net.yaml' is not JSON"),
        (("--replay", "empty.json"), 3, "error[NC0347 replay]: 'empty.json' is no report of neurocomp with its provenance"),
        (("--replay", "none.json"), 3, "error[NC0101 file-not-found]: cannot read 'none.json': no such file or directory"),
        (
            ("--replay", "report.json", "--samples", "3"),
            2,
            "error[NC0801 usage]: --replay takes the samples and costs of its report",
        ),
        ((), 2, "error[NC0801 usage]: report takes an artifact"),
    ],
)
def test_bad_input(cli: Cli, folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (folder / "empty.json").write_text("{}")
    result = cli("report", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(message)


def test_lint(cli: Cli, folder: Path) -> None:
    (folder / "paper.tex").write_text("On Loihi 2 a synaptic operation takes 23.6 pJ.\n")
    result = cli("report", "lint", "paper.tex")
    assert (result.code, result.err) == (0, "1 doubt in 1 file\n")
    assert result.out.splitlines()[0] == "paper.tex:1: warning[number-of-another-chip]: '23.6 pJ' beside 'Loihi 2'"
    assert cli("report", "lint", "paper.tex", "--strict").code == 7
    (finding,) = cli("report", "lint", "paper.tex", "--json").document["findings"]
    assert (finding["rule"], finding["file"], finding["line"]) == ("number-of-another-chip", "paper.tex", 1)
    (folder / "paper.tex").write_text("Nothing.\n")
    result = cli("report", "lint", "paper.tex", "--strict")
    assert (result.code, result.out, result.err) == (0, "", "nothing found in 1 file\n")


def test_cite(cli: Cli) -> None:
    result = cli("cite")
    assert (result.code, result.out.startswith("The neurocomp developers, neurocomp: a compiler")) == (0, True)
    works = cli("cite", "net.ncz", "--json").document["works"]
    assert [work["key"] for work in works] == ["neurocomp", "davies2018", "frady2020", "sanafe"]
    bib = cli("cite", "net.ncz", "--format", "bibtex").out
    assert [line.partition("{")[2] for line in bib.splitlines() if line.startswith("@")] == [f"{w['key']}," for w in works]
    assert "sanafe" not in cli("cite", "net.ncz", "--costs", "davies2018").out
    result = cli("cite", "net.ncz", "--costs", "none")
    assert (result.code, result.err.splitlines()[0]) == (2, "error[NC0801 usage]: loihi has no cost source 'none'")
