"""The actions that cues ask for are learned on each chip that learns."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.rl_rstdp.family import network
from examples.families.rl_rstdp.plots import panels
from neurocomp.api import run_network


def test_early_trials_are_guesses_and_late_ones_are_right() -> None:
    made = network()
    assert made.data.samples is not None
    run = neurocomp.compile(made, "loihi").run("reference", probe="outputs")
    spikes = run.arrays["spikes/action"][:, 26:].sum(axis=1)
    right = spikes.argmax(axis=1) == made.data.samples.labels
    assert right[30:].all()
    assert right[:10].mean() < 0.9
    weights = run.arrays["weights/cue->action"].reshape(2, 2, 4).mean(axis=2)
    assert weights[0, 1] > 1.5 * weights[0, 0]
    assert weights[1, 0] > 1.5 * weights[1, 1]
    real = run_network(made).arrays["weights/cue->action"].reshape(2, 2, 4).mean(axis=2)
    assert np.array_equal(real.argmax(axis=1), weights.argmax(axis=1))


@pytest.mark.slow
def test_rl_rstdp(measured: Measured) -> None:
    found = measured("rl_rstdp")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["loihi"]["accuracy_float"] == 0.96
    assert found["loihi"]["accuracy_fixed"] >= 0.94
    assert found["truenorth"]["code"] == "NC0350"


def test_windows_are_the_closed_forms() -> None:
    """What docs/learning-windows.svg shows, of every rule that pairs of spikes move."""
    for title, (_, curves) in panels().items():
        for label, _, whole, real, form in curves:
            assert np.abs(real - form).max() < 1e-12, (title, label)
            assert np.abs(whole.mean(axis=1) - form).max() < 0.1 * np.abs(form).max() + 0.001, (title, label)
