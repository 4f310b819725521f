"""The conversion of Cao et al.: what its constant and its missing normalization do, and its chips."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured, ann
from examples.families.cnn_cao.family import SHAPES, WEIGHTS, build, network


def test_rates_come_near_the_artificial_network() -> None:
    graph = build(ann.read_weights(WEIGHTS))
    digits, labels = ann.images("test")
    exact = (ann.answers(graph, digits) == labels).mean()
    assert exact >= 0.98
    right = ann.curve(network(), 200)
    assert (np.diff(right[[3, 7, 15, 31]]) > 0).all()
    assert right[-1] >= exact - 0.02


def test_a_smaller_constant_takes_longer() -> None:
    """The constant c scales the rates of the input: fewer spikes per tick, and answers that come later."""
    slow, fast = (ann.curve(network(c), 100) for c in (0.3, 1.0))
    assert slow[7] < fast[7] - 0.2


def test_weights_fit_a_core_of_truenorth() -> None:
    """All layers behind the first have levels -1, 0, 1, for which an input takes two axons of 256."""
    with np.load(WEIGHTS) as stored:
        assert {name: int(np.abs(stored[name]).max()) for name in SHAPES} == {"conv1": 7, "conv2": 1, "digits": 1}
    assert all(2 * np.prod(shape[1:]) <= 256 for shape in SHAPES.values())


@pytest.mark.slow
def test_cnn_cao(measured: Measured) -> None:
    found = measured("cnn_cao")
    assert {target: entry["lowering"] for target, entry in found.items()} == dict.fromkeys(found, "exact")
    assert set(found) == {"reference", "loihi", "truenorth"}
    assert min(entry["accuracy_fixed"] for entry in found.values()) >= 0.97
    assert found["loihi"]["accuracy_float"] >= 0.97
