"""The cube learns by STDP to be sparse and telling, and what becomes of it on each chip."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured
from examples.families.neucube.family import HERE, NEURONS, TICKS, W_MAX, classifier, counts, cube, network, right, signals


def test_the_cube_is_a_small_world() -> None:
    """Most synapses are short, some are not; a fifth of the neurons is inhibitory."""
    joined, shipped = cube(), np.load(HERE / "neucube.npz")
    assert all(np.array_equal(value, shipped[key]) for key, value in joined.items())
    places = np.indices((5, 5, 5)).reshape(3, -1).T
    far = np.sqrt(((places[joined["excite_from"]] - places[joined["excite_to"]]) ** 2).sum(axis=1))
    assert (far < 2).mean() > 0.6
    assert 0.02 < (far > 3).mean() < 0.2
    assert not set(joined["excite_from"]) & set(joined["inhibit_from"])
    assert len(np.unique(joined["inhibit_from"])) == NEURONS // 5


def test_stdp_drove_the_weights_to_both_ends() -> None:
    """As Song, Miller and Abbott (2000) describe it of pair STDP without dependence on the weight."""
    shipped = np.load(HERE / "neucube.npz")
    start, learned = shipped["start"], shipped["learned"]
    assert 0.1 <= start.min() < start.max() <= 0.4
    assert 0 <= learned.min() < learned.max() <= W_MAX
    assert ((learned < 0.1) | (learned > 0.4)).mean() > 0.75


def test_learning_makes_the_cube_sparse_and_its_counts_telling() -> None:
    (values, labels), (test, wanted) = signals(6, 240), signals(4, 80)
    shares, rates = {}, {}
    for weights in ("start", "learned"):
        made = network(learns=False, weights=weights)
        x = counts(made, values)
        rates[weights] = x.mean() / TICKS
        shares[weights] = right(classifier(x, labels), counts(made, test), wanted)
    assert rates["start"] > 5 * rates["learned"] > 0.2
    assert shares["start"] < 0.75
    assert shares["learned"] > 0.9


@pytest.mark.slow
def test_neucube(measured: Measured) -> None:
    found = measured("neucube")
    still = found.pop("parts")["frozen"]
    assert [found[target]["lowering"] for target in ("reference", "loihi", "truenorth")] == ["exact", "exact", "refused"]
    assert found["truenorth"]["code"] == "NC0350"
    assert found["loihi"]["accuracy_float"] >= 0.96
    assert found["loihi"]["accuracy_fixed"] >= 0.96
    assert {entry["lowering"] for entry in still.values()} == {"exact"}
    assert still["loihi"]["accuracy_float"] == pytest.approx(0.98)
    assert still["loihi"]["accuracy_fixed"] >= 0.97
    # A linear leak in the place of the exponential one that the classifier learned with.
    assert still["truenorth"]["accuracy_fixed"] >= 0.78
