"""Max pooling becomes spikes by neurons that compute it: max(a, b) = a + ReLU(b - a).

The main network has neurons for each difference; the part ``spikes`` takes the maximum of the spikes of a tick, which is more
than the maximum of rates, and is native to TrueNorth (an axon that several neurons reach). Gating as in Rueckauer et al.
(2017) needs a neuron that counts each synapse on its own; docs/ann-to-snn.md compares it with what is done here.

28x28-5c5-2m-8c5-2m-10o reads 98.0 % of the 10,000 test digits as an artificial network. Weights of the first layer have 4 bits,
all others are -1, 0, 1 times a step per channel.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from examples.families import Family, Part, ann
from neurocomp.conversion import Graph, Options
from neurocomp.ir.network import Network

WEIGHTS = Path(__file__).with_name("weights.npz")
SHAPES = {"conv1": (5, 1, 5, 5), "conv2": (8, 5, 5, 5), "digits": (10, 128)}


def build(weights: Mapping[str, NDArray[Any]]) -> Graph:
    """Return the artificial network."""
    b = ann.Builder("cnn_maxpool", (1, 28, 28), weights)
    x = b.pool("pool1", b.relu("relu1", b.conv("conv1", "pixels")), largest=True)
    x = b.pool("pool2", b.relu("relu2", b.conv("conv2", x)), largest=True)
    return b.graph(b.dense("digits", x))


def network(max_pool: str = "neurons", ticks: int = 32) -> Network:
    """Return the spiking network with one of `neurocomp.conversion.options.MAXIMA`."""
    options = Options(max_pool=cast("Any", max_pool), normalize="data", input="rate", readout="count", ticks=ticks)
    return ann.spiking(build(ann.read_weights(WEIGHTS)), options)


def train() -> None:
    """Train the artificial network: about 3 minutes."""
    ann.train(build, SHAPES, WEIGHTS, epochs=12, whole=8, levels={"conv2": 1, "digits": 1}, rate=8e-3)


_GE = {"truenorth": {"compare": "ge"}}

FAMILY = Family(
    "Convolutions and max pooling, converted; neurons compute the maxima",
    "Rueckauer et al., Conversion of continuous-valued deep networks to efficient event-driven networks, Front. Neurosci. 2017",
    {
        "": Part(network, _GE, samples=3, evaluated=200),
        "spikes": Part(functools.partial(network, "spikes"), _GE, ("loihi", "truenorth"), samples=3, evaluated=200),
    },
    train,
)
