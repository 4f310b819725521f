"""Maxima of rates by neurons, and what stands in for them; and their chips."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured, ann
from examples.families.cnn_maxpool.family import WEIGHTS, build, network


def test_accuracy_grows_up_to_that_of_the_artificial_network() -> None:
    digits, labels = (values[:100] for values in ann.images("test"))
    exact = (ann.answers(build(ann.read_weights(WEIGHTS)), digits) == labels).mean()
    right = ann.curve(network(), 100)
    assert (np.diff(right[[1, 3, 7]]) > 0).all()
    assert right[-1] >= exact - 0.01


def test_neurons_compute_the_maximum_of_rates() -> None:
    """The maximum of the spikes of a tick is more than that of the rates, an average is less."""
    graph = build(ann.read_weights(WEIGHTS))
    off = {how: ann.rate_error(graph, network(how), "relu2") for how in ("neurons", "spikes", "average")}
    assert off["neurons"] < 0.15
    assert off["spikes"] > 2 * off["neurons"]
    assert off["average"] > 2 * off["neurons"]


@pytest.mark.slow
def test_cnn_maxpool(measured: Measured) -> None:
    found = measured("cnn_maxpool")
    spikes = found["parts"]["spikes"]
    assert (found["loihi"]["lowering"], found["truenorth"]["code"]) == ("exact", "NC0412")
    assert (spikes["loihi"]["code"], spikes["truenorth"]["lowering"]) == ("NC0316", "exact")
    assert found["loihi"]["accuracy_float"] >= 0.98
    assert found["loihi"]["accuracy_fixed"] >= 0.98
    assert spikes["truenorth"]["accuracy_fixed"] >= 0.98
