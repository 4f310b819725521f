"""Exclusive or in spike times: learned, shipped, and on each chip."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.spikeprop.family import HERE, LABELS, TICKS, TIMES, WANTED, fired, network, spikeprop
from neurocomp.api import run_network


def times(spikes: np.ndarray) -> np.ndarray:
    """Return the first tick in which each neuron fires, of spikes (samples, ticks, n)."""
    return np.where(spikes.any(axis=1), spikes.argmax(axis=1), TICKS)


def test_xor_is_not_linear_in_the_times() -> None:
    assert np.array_equal(LABELS, (TIMES[:, 0] != TIMES[:, 1]).astype(int))
    assert np.array_equal(WANTED, [[10, 16], [16, 10], [16, 10], [10, 16]])


def test_spikeprop_learns_the_times() -> None:
    """From the seed that is shipped, and from another one, to the tick."""
    for seed in (1, 4):
        first, second = spikeprop(seed)
        assert np.array_equal(fired(fired(TIMES, first)[0], second)[0], WANTED)
        # The last hidden neuron is inhibitory, and the only one.
        assert (second[:, :-1] >= 0).all()
        assert (second[:, -1] <= 0).all()


@pytest.mark.parametrize("kind", ["smooth", "steps"])
def test_the_network_answers_at_10_and_16_ms(kind: str) -> None:
    """In real numbers and in integers; a smooth neuron fires once."""
    made = network(kind)
    real = run_network(made, None, count=4, probe="all").arrays
    assert np.array_equal(times(real["spikes/answers"]), WANTED)
    whole = neurocomp.compile(made, "loihi").run("reference", count=4).arrays["spikes/answers"]
    assert np.abs(times(whole) - WANTED).max() <= (1 if kind == "smooth" else 0)
    if kind == "smooth":
        assert real["spikes/hidden"].sum(axis=1).max() == 1


def test_every_connection_has_its_terminals() -> None:
    arrays = np.load(HERE / "spikeprop.npz")
    for kind, count in (("smooth", 16), ("steps", 8)):
        for name, ends in (("hidden", 3 * 5), ("answers", 5 * 2)):
            pairs = np.stack([arrays[f"{kind}_{name}_from"], arrays[f"{kind}_{name}_to"]])
            assert (np.unique(pairs, axis=1, return_counts=True)[1] == count).all()
            assert pairs.shape[1] == ends * count
            assert len(np.unique(arrays[f"{kind}_{name}_delay"])) == count


@pytest.mark.slow
def test_spikeprop(measured: Measured) -> None:
    found = measured("spikeprop")
    steps = found.pop("parts")["steps"]
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["truenorth"]["code"] == "NC0313"
    assert {entry["lowering"] for entry in steps.values()} == {"exact"}
    for entry in (found["loihi"], *steps.values()):
        assert entry["accuracy_float"] == entry["accuracy_fixed"] == 1.0
    assert {entry["float_distance"] for entry in steps.values()} == {0.0}
