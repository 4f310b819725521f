"""``neurocomp verify`` says whose neuron models Lava ran, and what the chip does not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from neurocomp.api import Compiled
from neurocomp.backend import Stimulus
from neurocomp.ir.lowered import LoweredNetwork
from neurocomp.ir.trace import Trace
from neurocomp_loihi.lava import LavaWitness
from neurocomp_reference import ReferenceSimulator

Cli = Callable[..., Any]


@pytest.fixture
def lava_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reference stand in for Lava, which need not be installed here and would take its time."""

    def run(self: LavaWitness, lowered: LoweredNetwork, stimulus: Stimulus, **_: Any) -> Trace:
        return replace(ReferenceSimulator().run(lowered.network, stimulus, lag=lowered.lag), engine="lava")

    monkeypatch.setattr(LavaWitness, "unavailable", lambda self, lowered=None: None)
    monkeypatch.setattr(LavaWitness, "run", run)


@pytest.mark.usefixtures("lava_is_here")
def test_stock_models(cli: Cli) -> None:
    result = cli("verify", "net.ncz", "--samples", "2")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[:-1] == [
        "net.ncz: 2 samples of 10 ticks through reference, fast, chip, lava",
        "population  witnesses    lowering  models",
        "a           independent  exact",
        "b           independent  exact     lava stock",
        "c           independent  exact     lava stock",
    ]
    document = cli("verify", "net.ncz", "--samples", "2", "--json").document
    assert document["witness_models"] == {"lava": {"b": "stock", "c": "stock"}}
    assert document["not_on_this_chip"] == []


@pytest.mark.usefixtures("lava_is_here")
def test_own_models_and_extensions(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LavaWitness, "models", lambda self, lowered: {"b": "own", "c": "stock"})
    verify = Compiled.verify
    monkeypatch.setattr(
        Compiled,
        "verify",
        lambda self, *given, **options: replace(verify(self, *given, **options), not_on_this_chip=("ternary",)),
    )
    result = cli("verify", "net.ncz", "--samples", "2")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[:-1] == [
        "not on this chip: ternary",
        "net.ncz: 2 samples of 10 ticks through reference, fast, chip, lava",
        "population  witnesses    lowering  models",
        "a           independent  exact",
        "b           independent  exact     lava own",
        "c           independent  exact     lava stock",
        "witness: own for b (lava has no such neurons; models of neurocomp ran inside it)",
    ]
