"""A layer that rewards have taught tells digits apart, and only cells that fired are taught."""

from __future__ import annotations

import numpy as np
import pytest

import neurocomp
from examples.families import Measured
from examples.families.rstdp_cnn.family import CELLS, FEATURES, TAUGHT, first_spikes, learning, network, shipped


def test_weights_move_of_cells_that_fired_alone_and_as_rewards_say() -> None:
    made = learning()
    assert made.data.samples is not None
    assert made.data.samples.labels is not None
    run = neurocomp.compile(made, "loihi").run("reference", count=1, probe="all")
    fired = run.arrays["spikes/cells"][0].sum(axis=0) > 0
    assert 1 <= fired.sum() < CELLS
    shown = made.data.samples.inputs["pools"][0].sum(axis=0) > 0
    moved = run.arrays["weights/pools->cells"].reshape(CELLS, FEATURES) - shipped()["cells"].astype(np.int64)
    assert not moved[~fired].any()
    for cell in np.flatnonzero(fired):
        right = cell % 10 == made.data.samples.labels[0]
        assert (moved[cell][shown].sum() > 0) == right


def test_the_samples_of_the_layer_are_what_the_convolution_sends() -> None:
    w = shipped()
    sent = first_spikes(w["test"][:TAUGHT])
    assert np.array_equal(np.unpackbits(w["spikes"], axis=-1, count=FEATURES), sent)


def test_one_answer_per_image() -> None:
    run = neurocomp.compile(network(), "loihi").run("fast", count=40, probe="all")
    cells = run.arrays["spikes/cells"].sum(axis=1)
    assert (cells.sum(axis=1) >= 1).all()
    assert cells.max() == 1
    assert cells.sum(axis=1).mean() < 1.3


@pytest.mark.slow
def test_rstdp_cnn(measured: Measured) -> None:
    found = measured("rstdp_cnn")
    part = found.pop("parts")["learning"]
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["loihi"]["accuracy_float"] >= 0.85
    assert found["loihi"]["accuracy_fixed"] >= 0.85
    assert found["truenorth"]["code"] == "NC0303"  # its neurons rest in no tick
    assert (part["loihi"]["lowering"], part["truenorth"]["code"]) == ("exact", "NC0350")
