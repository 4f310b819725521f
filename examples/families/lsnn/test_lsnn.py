"""The LSNN: the weights that are shipped read digits, and its chips."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured
from examples.families.lsnn.family import HERE, features


def test_the_shipped_weights_answer_in_numpy() -> None:
    """The network in numpy, apart from the compiler's: 97.34 % of all 10,000 test digits, measured when it was trained."""
    weights, data = dict(np.load(HERE / "weights.npz")), np.load(HERE / "data.npz")
    out = np.concatenate([weights["lif_out"], weights["ada_out"]], axis=1).T
    keep, ticks = np.exp(-1 / 60), data["test"].shape[1]
    answers = features(weights, data["test"]) @ out + weights["bias"] * (1 - keep**ticks) / (1 - keep)
    assert (answers.argmax(axis=1) == data["labels"]).mean() >= 0.96


@pytest.mark.slow
def test_lsnn(measured: Measured) -> None:
    found = measured("lsnn")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "refused",
        "loihi2": "exact",
        "truenorth": "refused",
    }
    assert found["loihi2"]["witnesses"] == ["independent", "shared"]
    assert found["loihi2"]["accuracy_fixed"] >= found["loihi2"]["accuracy_float"] - 0.02
    assert found["loihi2"]["accuracy_float"] >= 0.96
    assert found["loihi"]["code"] == found["truenorth"]["code"] == "NC0318"
