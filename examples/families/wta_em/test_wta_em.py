"""The winner-take-all: causes are found without labels, in real numbers and in integers, and where that runs."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.wta_em.family import DRIVE, NEURONS, PIXELS, SAMPLES, STOCHASTIC, C, clusters, network, shown
from neurocomp.api import Run, run_network

EARLY, LATE = slice(0, 60), slice(SAMPLES // 2, SAMPLES)


@pytest.fixture(scope="module")
def learned() -> Run:
    """Return what the integers of Loihi do and learn."""
    return neurocomp.compile(network(), "loihi").run("fast", probe="all")


def test_clusters_of_digits_emerge(learned: Run) -> None:
    """By chance 0.4 of a cluster show the same digit, and 1.58 bits are missing."""
    _, labels = shown()
    spikes = learned.arrays["spikes/causes"]
    purity, entropy = clusters(spikes[LATE], labels[LATE])
    assert purity >= 0.8
    assert entropy <= 0.6
    assert entropy < clusters(spikes[EARLY], labels[EARLY])[1] - 0.2
    # Where there are spikes there is one, in most ticks: inhibition takes a tick. And all neurons win.
    together = spikes.sum(axis=2)
    assert (together[together > 0] == 1).mean() > 0.85
    winners = spikes[LATE].sum(axis=1, dtype=np.int64).argmax(axis=1)
    assert np.bincount(winners, minlength=NEURONS).min() >= 5


def test_weights_say_how_probable_inputs_are(learned: Run) -> None:
    """At rest w = 1 - 1 / sqrt(c p), with p the mean trace of the input at the neuron's spikes, here of the late samples."""
    pixels, spikes = learned.arrays["spikes/pixels"], learned.arrays["spikes/causes"]
    trace, sums, count = np.zeros((SAMPLES, 2 * PIXELS)), np.zeros((NEURONS, 2 * PIXELS)), np.zeros(NEURONS)
    for tick in range(pixels.shape[1]):
        trace = np.minimum(trace * np.exp(-0.1) + pixels[:, tick], 1.0)
        sums += spikes[LATE, tick].T.astype(np.float64) @ trace[LATE]
        count += spikes[LATE, tick].sum(axis=0)
    wanted = np.maximum(1 - 1 / np.sqrt(C * np.maximum(sums / count[:, np.newaxis], 1e-6)), 0)
    found = learned.arrays["weights/pixels->causes"].reshape(-1, NEURONS, 2 * PIXELS)[-1] / 255
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.9
    assert np.abs(found - wanted).mean() < 0.1


@pytest.mark.slow
def test_real_numbers_find_them_too() -> None:
    _, labels = shown()
    run = run_network(network(), probe="all")
    purity, entropy = clusters(run.arrays["spikes/causes"][LATE], labels[LATE])
    assert purity >= 0.65
    assert entropy <= 1.0
    weights = run.arrays["weights/pixels->causes"]
    assert 0 <= weights.min() <= weights.max() <= DRIVE


@pytest.mark.slow
def test_neurons_with_noise_of_their_own() -> None:
    _, labels = shown()
    run = neurocomp.compile(network(STOCHASTIC, 0.0), "loihi2").run("fast", probe="all")
    purity, entropy = clusters(run.arrays["spikes/causes"][LATE], labels[LATE])
    assert purity >= 0.75
    assert entropy <= 0.7


@pytest.mark.slow
def test_wta_em(measured: Measured) -> None:
    found = measured("wta_em")
    part = found.pop("parts")["stochastic"]
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert {target: entry["lowering"] for target, entry in part.items()} == {
        "reference": "exact",
        "loihi": "refused",
        "loihi2": "exact",
        "truenorth": "refused",
    }
    assert (part["loihi"]["code"], part["truenorth"]["code"], found["truenorth"]["code"]) == ("NC0318", "NC0350", "NC0350")
