"""The converted 784-1200-1200-10: more ticks, more operations, more right answers; and its chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from examples.families import Measured, ann
from examples.families.mlp_neil.family import OPTIONS, SHAPES, WEIGHTS, build, curve, network


def test_accuracy_grows_with_operations() -> None:
    """98 % after a third of the products of the artificial network, its accuracy within half a point after as many."""
    weights = ann.read_weights(WEIGHTS)
    digits, labels = (values[:200] for values in ann.images("test"))
    exact = (ann.answers(build(weights), digits) == labels).mean()
    assert exact >= 0.985
    operations, right = curve(network(), 200)
    assert (np.diff(operations) > 0).all()
    at = right[[1, 3, 5, 11, 23]]
    assert (np.diff(at) >= 0).all()
    assert at[0] < 0.5 < 0.9 < at[1]
    assert right[-1] >= exact - 0.005
    products = sum(w.size for w in weights.values())
    assert products == sum(a * b for a, b in SHAPES.values()) == 2_392_800
    assert right[np.searchsorted(operations, products / 3)] >= 0.98


def test_without_normalization_outputs_saturate() -> None:
    _, right = curve(network(replace(OPTIONS, normalize="none")), 200)
    assert right[-1] < 0.8


def test_weights_have_four_bits() -> None:
    with np.load(WEIGHTS) as stored:
        assert {name: stored[name].dtype.str for name in SHAPES} == dict.fromkeys(SHAPES, "|i1")
        assert max(int(np.abs(stored[name]).max()) for name in SHAPES) == 7


@pytest.mark.slow
def test_mlp_neil(measured: Measured) -> None:
    found = measured("mlp_neil")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["loihi"]["accuracy_float"] >= 0.985
    assert found["loihi"]["accuracy_fixed"] >= 0.985
    assert found["truenorth"]["code"] == "NC0412"
    assert "--partial-sums" in found["truenorth"]["hint"]
