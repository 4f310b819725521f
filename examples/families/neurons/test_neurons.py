"""The family of neuron models: what becomes of each on each chip, and that each of them spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.families import families, measure
from examples.families.neurons import plots
from neurocomp.api import run_network

PROGRAMS = ("adaptive_lif", "izhikevich", "resonate_fire", "sigma_delta", "stochastic_if")
LINEAR = ("lif_zero", "lif_subtract", "alpha")


@pytest.mark.parametrize("part", ["", *LINEAR, *PROGRAMS, "ternary", "graded", "hodgkin_huxley"])
def test_every_model_spikes_and_none_in_every_tick(part: str) -> None:
    network = families()["neurons"].parts[part].load()
    spikes = run_network(network, None, count=2, probe="all").arrays["spikes/cells"]
    assert 0.002 < np.count_nonzero(spikes) / spikes.size < 0.8


@pytest.mark.slow
def test_neurons(tmp_path: Path) -> None:
    found = measure("neurons", families()["neurons"], tmp_path)
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


@pytest.mark.parametrize(("part", "least"), [("ternary", -1), ("sigma_delta", -2)])
def test_signed_spikes_are_sent(part: str, least: int) -> None:
    spikes = run_network(families()["neurons"].parts[part].load(), None, count=2, probe="all").arrays["spikes/cells"]
    assert spikes.min() <= least < 0 < spikes.max()


@pytest.mark.parametrize("tau_syn", [8, 3])
def test_kernels_are_the_closed_forms(tau_syn: int) -> None:
    """Alpha, and the difference of exponentials of the spike response model: in real numbers, and rounded in integers."""
    spike = np.zeros((1, 80, 1), np.int8)
    spike[0, 0] = 1
    neuron = f"model: cuba_lif, tau_mem: 8 ms, tau_syn: {tau_syn} ms, v_threshold: 30.0"
    real, whole, _ = plots.run(plots.network(neuron, 0.0, 80), spike)
    n, a, b = np.arange(80), np.exp(-1 / 8), np.exp(-1 / tau_syn)
    form = (n + 1) * a**n if tau_syn == 8 else (a ** (n + 1) - b ** (n + 1)) / (a - b)
    assert np.allclose(real["v"], form)
    assert np.abs(whole["v"] - form).max() < 0.03 * form.max()
