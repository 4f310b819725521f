"""Tempotrons decide on latencies; which sub-synapses and kernels that takes."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured
from examples.families.tempotron.family import DELAYS, HERE, TICKS, WINDOW, learned, network, patterns, potentials, right
from neurocomp.api import run_network


def shipped(kernel: str) -> np.ndarray:
    """Return the weights (2, 60)."""
    arrays = np.load(HERE / "tempotron.npz")
    return np.concatenate([arrays[f"{kernel}_{delay}"] for delay in DELAYS], axis=1)


def test_each_afferent_fires_once() -> None:
    spikes = np.load(HERE / "tempotron.npz")["test"]
    assert (spikes.sum(axis=1) == 1).all()
    assert not spikes[:, WINDOW:].any()


def test_the_kernel_is_the_difference_of_exponentials() -> None:
    spike = np.zeros((1, TICKS, 20), np.uint8)
    spike[0, 7, 3] = 1
    n = np.arange(TICKS)
    a, b = np.exp(-1 / 4), np.exp(-1 / 15)
    for k, delay in enumerate(DELAYS):
        form = np.where(n >= 7 + delay, (b ** (n - 6.0 - delay) - a ** (n - 6.0 - delay)) / (b - a), 0.0)
        assert np.allclose(potentials(spike, "exponential")[0, :, 20 * k + 3], form)
        assert np.array_equal(potentials(spike, "step")[0, :, 20 * k + 3], n >= 7 + delay)


@pytest.mark.parametrize("kernel", ["exponential", "step"])
def test_the_right_neuron_fires_and_no_other(kernel: str) -> None:
    """In numpy and in the network, for all 240 patterns."""
    data, weights = np.load(HERE / "tempotron.npz"), shipped(kernel)
    assert right(weights, data["test"], data["labels"], kernel) == 1.0
    fired = run_network(network(kernel), None, count=240).arrays["spikes/tempotrons"].any(axis=1)
    assert np.array_equal(fired, data["labels"][:, np.newaxis] == np.arange(2))


def test_sub_synapses_are_what_steps_need() -> None:
    """Without the later two synapses of each pair the answers become worse; 4-bit weights are whole steps."""
    data, weights = np.load(HERE / "tempotron.npz"), shipped("step")
    at_once = np.where(np.arange(60) < 20, weights, 0.0)
    assert right(at_once, data["test"], data["labels"], "step") < 0.7
    for row in weights:
        step = np.abs(row[row != 0]).min()
        assert np.array_equal(row, np.rint(row / step) * step)
        assert np.abs(row / step).max() <= 7


def test_the_rule_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.families.tempotron.family.EPOCHS", 150)
    spikes, labels = patterns(6, 60)
    assert right(learned(spikes, labels, "exponential"), spikes, labels, "exponential") > 0.95


@pytest.mark.slow
def test_tempotron(measured: Measured) -> None:
    found = measured("tempotron")
    steps = found.pop("parts")["steps"]
    for entry in (found, steps):
        assert {target: of["lowering"] for target, of in entry.items()} == dict.fromkeys(entry, "exact")
        assert entry["loihi"]["accuracy_float"] == entry["loihi"]["accuracy_fixed"] == 1.0
    assert steps["truenorth"]["accuracy_fixed"] == 1.0
    # A linear leak and no current in the place of the kernel that was learned with.
    assert found["truenorth"]["accuracy_fixed"] == pytest.approx(0.8542, abs=0.0001)
