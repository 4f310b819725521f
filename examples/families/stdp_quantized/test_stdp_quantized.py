"""Steps of one size learn kernels that read digits as well as those of stdp_cnn."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.stdp_cnn.family import MAPS, shipped
from examples.families.stdp_quantized.family import WEIGHTS, learning


def test_steps_have_two_sizes() -> None:
    """A patch moves the weights of the cells that fire by what the rule says, up or down, but for the bounds."""
    run = neurocomp.compile(learning(), "loihi").run("reference", count=40, probe="all", state=True)
    start = shipped(WEIGHTS)["kernels"].astype(np.int64)
    weights = run.arrays["weights/patch->kernels"].astype(np.int64)
    assert weights.shape == start.shape == (MAPS, 50)
    fired = run.arrays["spikes/kernels"].sum(axis=(0, 1))
    assert fired.max() >= 1
    assert (weights[fired == 0] == start[fired == 0]).all()
    once = fired == 1
    inside = once[:, None] & (weights > 0) & (weights < 255) & (start > 0) & (start < 255)
    steps = (weights - start)[inside]
    # 4 and -3 steps of 255, rounded to what coefficients there are.
    assert set(np.unique(steps)) <= {-4, -3, -2, 3, 4, 5}


@pytest.mark.slow
def test_stdp_quantized(measured: Measured) -> None:
    found = measured("stdp_quantized")
    assert {target: entry["lowering"] for target, entry in found.items() if target != "parts"} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    # 93.4 % of 2,000 test digits, as with the steps of stdp_cnn.
    assert found["loihi"]["accuracy_float"] >= 0.93
    assert found["loihi"]["accuracy_fixed"] >= 0.93
    part = found["parts"]["learning"]
    assert (part["loihi"]["lowering"], part["truenorth"]["code"]) == ("exact", "NC0350")
