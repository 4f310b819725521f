"""The target ``reference`` on the command line: everything but a chip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neurocomp import api
from neurocomp.errors import Diagnostic, EngineUnavailable

Cli = Callable[..., Any]

NO_CHIP = "the target 'reference' is no chip: its program is the integers that the engine 'reference' executes"


def test_targets_say_that_it_is_no_chip(cli: Cli) -> None:
    found = next(entry for entry in cli("targets", "--json").document["targets"] if entry["name"] == "reference")
    assert found["engines"] == {
        "reference": {"available": True, "reason": None},
        "fast": {"available": True, "reason": None},
        "chip": {"available": False, "reason": NO_CHIP},
    }
    assert (found["costs"], found["default_costs"]) == ([], "")
    lines = [" ".join(line.split()) for line in cli("targets").out.splitlines()]
    assert "costs none is published" in lines


def test_compile_run_evaluate_and_report(cli: Cli) -> None:
    made = cli("compile", "net.yaml", "--target", "reference", "-o", "ref.ncz", "--json")
    assert (made.code, made.document["cores"], made.document["chip_ticks"]) == (0, 1, 10)
    assert set(made.document["lags"].values()) == {0}
    assert made.document["synapse_words"] == {"weights": 4 + 4 + 2, "binds": "weights"}
    assert cli("compile", "net.yaml", "--target", "reference", "-o", "again.ncz").out.startswith("network")
    assert cli("run", "ref.ncz", "-o", "trace.npz").code == 0
    evaluation = cli("evaluate", "ref.ncz", "--json").document
    assert evaluation["samples"] == 12
    report = cli("report", "ref.ncz", "--json").document
    assert report["energy_j"] is None
    assert report["counts"]["sops"] > 0
    assert "unpriced: no cost of any event" in cli("report", "ref.ncz").out


def test_its_integers_are_those_of_the_chip_without_lags(cli: Cli) -> None:
    """Loihi runs the same integers late; in the user's time both give the same spikes."""
    assert cli("compile", "net.yaml", "--target", "reference", "-o", "ref.ncz", "--quiet").code == 0
    for name in ("ref", "net"):
        assert cli("run", f"{name}.ncz", "--probe", "all", "--state", "-o", f"{name}.npz", "--quiet").code == 0
    with np.load("ref.npz") as one, np.load("net.npz") as other:
        assert one.files == other.files
        assert all(np.array_equal(one[key], other[key]) for key in one.files)
        assert one["spikes/c"].any()
    assert cli("evaluate", "ref.ncz", "--json").document == cli("evaluate", "net.ncz", "--json").document


def test_verify_has_two_engines(cli: Cli) -> None:
    assert cli("compile", "net.yaml", "--target", "reference", "-o", "ref.ncz", "--quiet").code == 0
    found = cli("verify", "ref.ncz")
    assert (found.code, found.err) == (0, "")
    text = " ".join(found.out.split())
    head = f"ref.ncz: 12 samples of 10 ticks through reference, fast skipped: chip ({NO_CHIP})"
    assert text.startswith(f"{head} population witnesses lowering a independent exact b independent exact")
    document = cli("verify", "ref.ncz", "--engines", "fast", "--json").document
    assert (document["bit_exact"], document["engines"]) == (True, ["reference", "fast"])
    assert set(document["witnesses"].values()) == {"independent"}


def test_what_needs_a_chip(cli: Cli) -> None:
    assert cli("compile", "net.yaml", "--target", "reference", "-o", "ref.ncz", "--quiet").code == 0
    for arguments in (("--engines", "chip"), ("--inject", "weight:1")):
        found = cli("verify", "ref.ncz", *arguments)
        assert (found.code, found.err.splitlines()[0]) == (
            4,
            f"error[NC0320 engine-unavailable]: engine 'chip' is not available: {NO_CHIP}",
        )


def test_verify_needs_a_second_engine(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(jobs: int) -> None:
        raise EngineUnavailable(Diagnostic("NC0320", "engine 'fast' is not available: numba went fishing"))

    monkeypatch.setattr(api, "_fast", unavailable)
    assert cli("compile", "net.yaml", "--target", "reference", "-o", "ref.ncz", "--quiet").code == 0
    found = cli("verify", "ref.ncz")
    assert (found.code, found.out) == (4, "")
    assert found.err == (
        "error[NC0320 engine-unavailable]: verify compares simulations, and there is no second one here of what 'reference' "
        f"executes\nalso:  fast: numba went fishing; chip: {NO_CHIP}\n"
        "hint:  'neurocomp doctor' says how to get the engine 'fast', which runs for every target\n"
    )
