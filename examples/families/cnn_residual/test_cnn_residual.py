"""Skip connections as projections: what they carry, what normalization does, and their chips."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured, ann
from examples.families.cnn_residual.family import WEIGHTS, build, network

DIGITS = 100


def test_a_skip_is_a_projection() -> None:
    """No neurons stand for sums; each block ends in neurons with two projections into them."""
    net = network()
    assert list(net.populations) == ["pixels", "stem_relu", "relu1a", "relu1", "relu2a", "relu2", "digits"]
    sources = {name: {q.source for q in net.projections if q.target == name} for name in ("relu1", "relu2")}
    assert sources == {"relu1": {"relu1a", "stem_relu"}, "relu2": {"relu2a", "relu1"}}


def test_accuracy_grows_up_to_that_of_the_artificial_network() -> None:
    digits, labels = (values[:DIGITS] for values in ann.images("test"))
    exact = (ann.answers(build(ann.read_weights(WEIGHTS)), digits) == labels).mean()
    right = ann.curve(network(), DIGITS)
    assert (np.diff(right[[1, 3, 7]]) > 0).all()
    assert right[-1] >= exact - 0.02


def test_skips_arrive() -> None:
    """Rates behind two blocks are the activations of the artificial network; without its skips they are not."""
    graph = build(ann.read_weights(WEIGHTS))
    whole, cut = (ann.rate_error(graph, network(skips=skips), "relu2") for skips in (True, False))
    assert whole < 0.2
    assert cut > 2 * whole


def test_without_normalization_outputs_saturate() -> None:
    assert ann.curve(network("none"), DIGITS)[-1] < 0.75


@pytest.mark.slow
def test_cnn_residual(measured: Measured) -> None:
    found = measured("cnn_residual")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "refused",
    }
    assert found["loihi"]["accuracy_float"] >= 0.975
    assert found["loihi"]["accuracy_fixed"] >= 0.975
    assert found["truenorth"]["code"] == "NC0412"
    assert "--partial-sums" in found["truenorth"]["hint"]
