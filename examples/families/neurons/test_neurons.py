"""The family of neuron models: what becomes of each on each chip, and that each of them spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
from examples.families import Measured, families
from examples.families.neurons.patterns import ACCOMMODATING, PATTERNS, network
from examples.families.neurons.plots import Kernel, kernels, run, run_patterns
from examples.families.neurons.plots import network as one_neuron
from neurocomp.api import Compiled, run_network
from neurocomp.models.neurons import NEURON_MODELS

PROGRAMS = ("adaptive_lif", "izhikevich", "resonate_fire", "sigma_delta", "stochastic_if")
LINEAR = ("lif_zero", "lif_subtract", "alpha")


@pytest.mark.parametrize("part", ["", *LINEAR, *PROGRAMS, "ternary", "graded", "hodgkin_huxley"])
def test_every_model_spikes_and_none_in_every_tick(part: str) -> None:
    network = families()["neurons"].parts[part].load()
    spikes = run_network(network, None, count=2, probe="all").arrays["spikes/cells"]
    assert 0.002 < np.count_nonzero(spikes) / spikes.size < 0.8


@pytest.mark.slow
def test_neurons(measured: Measured, tmp_path: Path) -> None:
    found = measured("neurons")
    parts = found.pop("parts")
    assert {target: entry["lowering"] for target, entry in found.items()} == dict.fromkeys(found, "exact")
    for name in LINEAR:
        assert {entry["lowering"] for entry in parts[name].values()} == {"exact"}
    for name in PROGRAMS:
        entry = parts[name]
        assert [entry[target]["lowering"] for target in ("reference", "loihi2", "loihi")] == ["exact", "exact", "refused"]
        assert entry["loihi"]["code"] == "NC0318"
        assert entry["loihi2"]["witnesses"] == ["independent", "shared"]
        assert entry["loihi2"]["float_distance"] < 0.1
    assert parts["stochastic_if"]["truenorth"]["lowering"] == "exact"
    assert parts["stochastic_if"]["truenorth"]["witnesses"] == ["independent"]
    assert {parts[name]["truenorth"]["code"] for name in PROGRAMS[:4]} == {"NC0318"}
    assert {entry["code"] for entry in parts["hodgkin_huxley"].values()} == {"NC0313"}
    assert parts["ternary"]["loihi"]["code"] == parts["graded"]["loihi"]["code"] == "NC0318"
    assert (tmp_path / "neurons" / "izhikevich" / "loihi2.ncz").exists()
    patterns = parts["firing_patterns"]
    assert [patterns[target]["lowering"] for target in ("reference", "loihi2", "loihi")] == ["exact", "exact", "refused"]


@pytest.mark.parametrize(("part", "least"), [("ternary", -1), ("sigma_delta", -2)])
def test_signed_spikes_are_sent(part: str, least: int) -> None:
    spikes = run_network(families()["neurons"].parts[part].load(), None, count=2, probe="all").arrays["spikes/cells"]
    assert spikes.min() <= least < 0 < spikes.max()


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    return dict(zip(("real", "whole"), run_patterns(), strict=True))


@pytest.mark.parametrize("numbers", ["real", "whole"])
@pytest.mark.parametrize("letter", PATTERNS)
def test_each_firing_pattern_is_what_its_name_demands(runs: dict[str, Any], letter: str, numbers: str) -> None:
    spikes, v = runs[numbers][letter]
    assert PATTERNS[letter].meets(spikes, v), f"{PATTERNS[letter].demand}: {spikes}"


def test_no_pattern_passes_for_all(runs: dict[str, Any]) -> None:
    """Demands tell patterns apart: each is missed by at least half of the other ones."""
    for letter, pattern in PATTERNS.items():
        others = [runs["whole"][other] for other in PATTERNS if other != letter]
        met = sum(_met(pattern.meets, *found) for found in others)
        assert met <= 9, f"{letter}: {met} others meet '{pattern.demand}'"


def _met(meets: Callable[..., bool], *found: Any) -> bool:
    try:
        return bool(meets(*found))
    except IndexError:  # it spikes too seldom to be asked
        return False


def test_firing_patterns_have_verdicts_and_one_needs_a_program_of_its_own() -> None:
    assert {p.model for letter, p in PATTERNS.items() if letter != "R"} == {"izhikevich"}
    assert PATTERNS["R"].model == ACCOMMODATING.name
    assert ACCOMMODATING.name in NEURON_MODELS
    made = neurocomp.compile(network(), target="loihi2")
    assert isinstance(made, Compiled)
    assert made.artifact.quantized is not None
    verdicts = {(v.population, v.register): v for v in made.artifact.quantized.verdicts}
    assert {name for name, _ in verdicts} == {"izhikevich", ACCOMMODATING.name}
    assert all(v.bound < v.limit for v in verdicts.values())


@pytest.fixture(scope="module")
def curves() -> dict[str, Kernel]:
    return kernels()


@pytest.mark.parametrize(
    ("name", "most"),
    # In integers of 1.0: 16384, 1024 and 8192. A register of a program loses up to 1 per tick and multiplication, by rounding
    # to minus infinity, and forgets that at its decay: 1 / (1 - exp(-1 / 100)) = 100. Loihi's decays have 12 bits.
    [("adaptive_lif", 100), ("alpha", 40), ("resonate_and_fire", 4)],
)
def test_integers_follow_the_closed_form(curves: dict[str, Kernel], name: str, most: int) -> None:
    kernel = curves[name]
    assert np.abs(kernel.form).max() * kernel.one > 20 * most
    assert np.abs(kernel.whole - kernel.form).max() * kernel.one <= most


@pytest.mark.parametrize("tau_syn", [8, 3])
def test_kernels_are_the_closed_forms(tau_syn: int) -> None:
    """Alpha, and the difference of exponentials of the spike response model: in real numbers, and rounded in integers."""
    spike = np.zeros((1, 80, 1), np.int8)
    spike[0, 0] = 1
    neuron = f"model: cuba_lif, tau_mem: 8 ms, tau_syn: {tau_syn} ms, v_threshold: 30.0"
    real, whole, _ = run(one_neuron(neuron, 0.0, 80), spike)
    n, a, b = np.arange(80), np.exp(-1 / 8), np.exp(-1 / tau_syn)
    form = (n + 1) * a**n if tau_syn == 8 else (a ** (n + 1) - b ** (n + 1)) / (a - b)
    assert np.allclose(real["v"], form)
    assert np.abs(whole["v"] - form).max() < 0.03 * form.max()
