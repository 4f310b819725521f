"""784-1200-1200-10 of ReLU becomes spikes, and answers earlier or later, with fewer or more operations (Neil et al. 2016).

The artificial network is trained with turned and shifted digits; it has no biases, its weights have 4 bits (three quarters of
them are not 0) and are 1.0 MB. It reads 99.12 % of the 10,000 test digits. Neil et al. and Diehl et al. (2015) report 98.6 to
98.8 % for this size, trained with dropout on the digits as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part, ann
from neurocomp.api import run_network
from neurocomp.conversion import Graph, Options
from neurocomp.ir.network import Network

Array = NDArray[Any]
WEIGHTS = Path(__file__).with_name("weights.npz")
SHAPES = {"hidden1": (1200, 784), "hidden2": (1200, 1200), "digits": (10, 1200)}
OPTIONS = Options(normalize="data", input="rate", readout="count", ticks=24)
RECORDED = ("pixels", "relu1", "relu2")
"""What sends spikes into the layers of `SHAPES`."""


def build(weights: Mapping[str, Array]) -> Graph:
    """Return the artificial network."""
    b = ann.Builder("mlp_neil", (784,), weights)
    x = b.relu("relu1", b.dense("hidden1", "pixels"))
    x = b.relu("relu2", b.dense("hidden2", x))
    return b.graph(b.dense("digits", x))


def network(options: Options = OPTIONS) -> Network:
    """Return the spiking network."""
    return ann.spiking(build(ann.read_weights(WEIGHTS)), options)


def curve(net: Network, count: int) -> tuple[Array, Array]:
    """Return synaptic operations per digit up to each tick, and the share of right answers after it, both (ticks,).

    An operation is a spike at a weight that is not 0.
    """
    weights = ann.read_weights(WEIGHTS)
    fan_out = {source: (weights[name] != 0).sum(axis=0) for source, name in zip(RECORDED, SHAPES, strict=True)}
    arrays = run_network(net, count=count, probe="all").arrays
    spikes = {name: arrays[f"spikes/{name}"].reshape(count, net.ticks, -1) for name in (*RECORDED, "digits")}
    operations = sum(spikes[name].sum(axis=0) @ fan_out[name] for name in RECORDED)
    samples = net.data.samples
    assert samples is not None
    assert samples.labels is not None
    given = spikes["digits"].cumsum(axis=1).argmax(axis=2)
    return np.cumsum(operations) / count, (given == samples.labels[:count, None]).mean(axis=0)


def train() -> None:
    """Train the artificial network: about 10 minutes."""
    ann.train(build, SHAPES, WEIGHTS, epochs=8, whole=4, rate=2e-3, decay=0.02)


FAMILY = Family(
    "Fully connected, converted from an artificial network: accuracy against operations",
    "Neil, Pfeiffer, Liu, Learning to be efficient, SAC 2016; Tavanaei et al. 2019, Fig. 3",
    {"": Part(network, {"truenorth": {"compare": "ge"}}, samples=2, evaluated=200)},
    train,
)
