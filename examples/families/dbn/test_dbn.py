"""The deep belief network: Siegert's rates are those of the neurons, and digits are read on each chip."""

from __future__ import annotations

import numpy as np
import pytest

from examples.families import Measured
from examples.families.dbn.family import BRIGHTEST, HERE, TAU, Layer, network
from examples.families.digits import shipped_digits, small
from neurocomp.api import run_network


def test_siegerts_rate_is_that_of_many_weak_synapses() -> None:
    """A LIF neuron in steps of a tick, 400 excitatory and 100 inhibitory synapses, which the formula does not know."""
    rng = np.random.default_rng(0)
    for p in (0.01, 0.02, 0.03):
        w, v, spikes, ticks = np.repeat([0.02, -0.02], (400, 100)), 0.0, 0, 10000
        for x in (rng.random((ticks, 500)) < p) @ w:
            v = np.exp(-1 / TAU) * v + x
            fired = v > 1
            spikes, v = spikes + fired, 0.0 if fired else v
        rate = Layer(w[np.newaxis]).forward(np.full((1, 500), p))[0, 0]
        assert spikes / ticks == pytest.approx(rate, rel=0.15)
        assert 0.02 < rate < 0.2


def test_the_gradient_is_that_of_the_rate() -> None:
    rng = np.random.default_rng(1)
    layer, x, step = Layer(rng.normal(0.1, 0.1, (3, 8))), rng.random((5, 8)), 1e-5
    layer.forward(x)
    by_w, by_x = layer.backward(np.ones((5, 3)))
    for array, gradient in ((layer.w, by_w), (x, by_x)):
        found = []
        for sign in (1, -1):
            array[1, 2] += sign * step
            found.append(layer.forward(x).sum())
            array[1, 2] -= sign * step
        assert gradient[1, 2] == pytest.approx((found[0] - found[1]) / (2 * step), rel=0.02)


def test_neurons_spike_at_the_rates_of_the_training() -> None:
    """Over the second half of a sample, when potentials no longer rise from 0."""
    weights, x = np.load(HERE / "weights.npz"), BRIGHTEST * small(shipped_digits(40)[0])
    arrays = run_network(network(), count=40, probe="all").arrays
    for number, name in enumerate(("features", "shapes", "digits"), 1):
        x = Layer(weights[f"w{number}"].astype(np.float64)).forward(x)
        found = arrays[f"spikes/{name}"][:, 30:].mean(axis=1)
        assert np.corrcoef(found.ravel(), x.ravel())[0, 1] > 0.9


@pytest.mark.slow
def test_dbn(measured: Measured) -> None:
    found = measured("dbn")
    assert {target: entry["lowering"] for target, entry in found.items()} == {
        "reference": "exact",
        "loihi": "exact",
        "truenorth": "lossy",
    }
    # 94.1 % in the paper; 98.2 % of all 10,000 test digits by Siegert's rates alone.
    assert found["loihi"]["accuracy_float"] >= 0.97
    assert found["loihi"]["accuracy_fixed"] >= 0.97
    assert found["truenorth"]["accuracy_fixed"] >= 0.96
