"""The autoencoder: what comes back of a digit, and on which chip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from examples.families import Measured
from examples.families.autoencoder.family import HERE, network, reconstructed, transposed
from examples.families.digits import shipped_digits
from neurocomp.api import run_network

SHOWN = 8


def errors(spikes: NDArray[np.int8]) -> tuple[float, float]:
    """Return the mean square error of rates to the image, and their correlation with the artificial network's answer."""
    images = shipped_digits(SHOWN)[0] / 255.0
    rates = spikes.mean(axis=1).reshape(SHOWN, 784)
    return float(((rates - images) ** 2).mean()), float(np.corrcoef(rates.ravel(), reconstructed(images).ravel())[0, 1])


def test_a_transposed_convolution_is_the_convolutions_transpose() -> None:
    """<conv(x), y> = <x, transposed(y)>, with windows written out by hand."""
    rng = np.random.default_rng(0)
    w, x, y = rng.normal(size=(3, 2, 4, 4)), rng.normal(size=(2, 8, 8)), rng.normal(size=(3, 4, 4))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    there = sum(
        y[c, i, j] * (w[c] * padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]).sum()
        for c in range(3) for i in range(4) for j in range(4)
    )  # fmt: skip
    sources, targets, values = transposed(w, 4)
    assert there == pytest.approx((y.ravel()[sources] * values * x.ravel()[targets]).sum())


def test_rates_are_the_image_again() -> None:
    """0.00078 is the artificial network's own error on these digits; an empty answer would have 0.1."""
    images = shipped_digits(SHOWN)[0] / 255.0
    assert ((reconstructed(images) - images) ** 2).mean() < 0.001
    error, likeness = errors(run_network(network(), count=SHOWN).arrays["spikes/image"])
    assert error < 0.0012
    assert likeness > 0.998


@pytest.mark.slow
def test_autoencoder(measured: Measured, tmp_path: Path) -> None:
    found = measured("autoencoder")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "lossy",
    }
    # TrueNorth's image starts before its time, and its weights have 4 bits.
    for target, most, least in (("loihi", 0.0012, 0.998), ("truenorth", 0.003, 0.985)):
        made = neurocomp.load(tmp_path / "autoencoder" / f"{target}.ncz")
        assert isinstance(made, neurocomp.Compiled)
        error, likeness = errors(made.run(count=SHOWN).arrays["spikes/image"])
        assert error < most
        assert likeness > least


def test_what_is_shipped_is_small() -> None:
    assert (HERE / "weights.npz").stat().st_size < 20_000
