"""What balancing does to one artificial network, and what its chips make of it."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured, ann
from examples.families.cnn_cao.family import WEIGHTS, build
from examples.families.cnn_diehl.family import network

DIGITS = 100


def test_balanced_by_data() -> None:
    """The accuracy grows with the ticks, up to that of the artificial network."""
    digits, labels = (values[:DIGITS] for values in ann.images("test"))
    exact = (ann.answers(build(ann.read_weights(WEIGHTS)), digits) == labels).mean()
    right = ann.curve(network(), DIGITS)
    assert (np.diff(right[[1, 3, 7, 31]]) > 0).all()
    assert right[-1] >= exact - 0.01


def test_without_balancing_outputs_saturate() -> None:
    """It answers earlier, and is never as good: outputs that fire in every tick are equal."""
    balanced, plain = (ann.curve(network(law), DIGITS) for law in ("data", "none"))
    assert plain[1] > balanced[1]
    assert plain[-1] <= balanced[-1] - 0.03


def test_balanced_by_the_model_takes_many_times_the_ticks() -> None:
    """Nothing saturates, and rates are low: no output has fired when the data-based one is done."""
    right = ann.curve(network("model", 256), 50)
    assert right[31] < 0.2
    assert right[-1] >= 0.9


@pytest.mark.slow
def test_cnn_diehl(measured: Measured) -> None:
    found = measured("cnn_diehl")
    assert {target: entry["lowering"] for target, entry in found.items()} == dict.fromkeys(found, "exact")
    assert set(found) == {"reference", "loihi", "truenorth"}
    assert min(entry["accuracy_fixed"] for entry in found.values()) >= 0.98
    assert found["loihi"]["accuracy_float"] >= 0.98
