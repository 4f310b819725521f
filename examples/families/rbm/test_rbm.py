"""The Boltzmann machine: spikes are samples, digits are read and imagined, on every chip alike."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from examples.families import Measured
from examples.families.digits import shipped_digits, small
from examples.families.rbm.family import HERE, LABELS, NOISE, STEP, chances, generating, logistic, network
from neurocomp.api import evaluate_network, run_network


def weights() -> dict[str, NDArray[np.float64]]:
    """Return the shipped weights and biases in steps."""
    with np.load(HERE / "weights.npz") as data:
        return {name: values.astype(np.float64) for name, values in data.items()}


def chance_of(drive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many of the 64 states of a unit's noise inputs, which are equally probable, let it spike."""
    noise = np.array([sum(n * bit for n, bit in zip(NOISE, bits, strict=True)) for bits in product((0, 1), repeat=len(NOISE))])
    return np.asarray((noise + drive[..., np.newaxis] > sum(NOISE) / 2 - 0.5).mean(axis=-1))


def test_noise_makes_a_logistic_function() -> None:
    """Near enough: it is a staircase, as sums of six weights are few."""
    drive = np.arange(-30.0, 31.0)
    chance = chance_of(drive)
    assert np.abs(chance - logistic(STEP * drive)).max() < 0.08
    assert (np.diff(chance) >= 0).all()


def test_spikes_are_samples() -> None:
    """Hidden units spike as often as what they hear in the tick, by pixels and labels, lets their noise."""
    w = weights()
    arrays = {name: values.astype(np.float64) for name, values in run_network(network(), count=10, probe="all").arrays.items()}
    labels = np.pad(arrays["spikes/labels"], ((0, 0), (1, 0), (0, 0)))[:, :-1]
    drive = arrays["spikes/pixels"] @ w["pixels"] + labels @ w["labels"] + w["b_hidden"]
    for low in range(-12, 12, 4):
        here = (drive >= low) & (drive < low + 4)
        assert here.sum() > 500
        assert arrays["spikes/hidden"][here].mean() == pytest.approx(chance_of(drive[here]).mean(), abs=0.02)


def test_answers_are_those_of_the_exact_posterior() -> None:
    """Labels are counted over 240 ticks of a chain; P(label | pixels) can be computed, and is right for 90.7 % of 10,000."""
    scaled = {name: STEP * values for name, values in weights().items()}
    images, labels = shipped_digits(500)
    exact = chances(scaled, small(images, 4))[0].argmax(axis=1)
    assert (exact == labels).mean() >= 0.9
    counts = run_network(network(), count=60).arrays["spikes/labels"].sum(axis=1)
    assert (counts.argmax(axis=1) == exact[:60]).mean() >= 0.85


@pytest.mark.slow
def test_digits_are_read() -> None:
    """90 % of 200, 91.9 % in the paper of 784-500-10."""
    accuracy = evaluate_network(network()).accuracy["float"]
    assert accuracy is not None
    assert accuracy >= 0.89


def test_a_label_calls_up_its_digit() -> None:
    """What the pixels do while a label is held is most like the mean image of that digit, for 8 of 10 at least."""
    images, labels = shipped_digits(500)
    means = np.stack([small(images[labels == digit], 4).mean(axis=0) for digit in range(LABELS)])
    imagined = neurocomp.compile(generating(), "loihi").run("reference", probe="all").arrays["spikes/pixels"].mean(axis=1)
    alike = np.corrcoef(imagined, means)[:LABELS, LABELS:]
    assert (alike.argmax(axis=1) == np.arange(LABELS)).sum() >= 8


@pytest.mark.slow
def test_rbm(measured: Measured) -> None:
    found = measured("rbm")
    part = found.pop("parts")["generate"]
    for entry in (*found.values(), *part.values()):
        assert entry["lowering"] == "exact"
        assert entry["float_distance"] == 0
    assert set(found) == {"reference", "loihi", "truenorth"}
    assert len({entry["accuracy_fixed"] for entry in found.values()}) == 1
    assert found["loihi"]["accuracy_fixed"] == found["loihi"]["accuracy_float"] >= 0.86
