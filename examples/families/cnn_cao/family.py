"""A convolutional network without biases and with average pooling becomes spikes, as Cao, Chen and Khosla (2015) do it.

Weights stay as they are, no layer is normalized: a pixel of brightness x spikes in a tick with the probability c x, neurons
reset to 0, which loses what lies above the threshold, averages are neurons of their own, and the output with the most spikes is
the answer.

28x28-5c5-2s-8c5-2s-10o reads 98.5 % of the 10,000 test digits as an artificial network. Weights of the first layer have 4 bits,
all others are -1, 0, 1 times a step per channel, so that each neuron's inputs fit a core of TrueNorth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from examples.families import Family, Part, ann
from neurocomp.conversion import Graph, Options
from neurocomp.ir.network import Network

WEIGHTS = Path(__file__).with_name("weights.npz")
SHAPES = {"conv1": (5, 1, 5, 5), "conv2": (8, 5, 5, 5), "digits": (10, 128)}
OPTIONS = Options(normalize="none", reset="zero", input="bernoulli", start="zero", readout="count", ticks=32)


def build(weights: Mapping[str, NDArray[Any]]) -> Graph:
    """Return the artificial network; averages of what is not negative pass a ReLU unchanged, which makes them neurons."""
    b = ann.Builder("cnn_cao", (1, 28, 28), weights)
    x = b.relu("relu1", b.conv("conv1", "pixels"))
    x = b.relu("pool1", b.pool("average1", x))
    x = b.relu("relu2", b.conv("conv2", x))
    x = b.relu("pool2", b.pool("average2", x))
    return b.graph(b.dense("digits", x))


def network(c: float = 1.0, options: Options = OPTIONS) -> Network:
    """Return the spiking network with the constant ``c`` of its input."""
    made = ann.spiking(build(ann.read_weights(WEIGHTS)), options)
    encoder = made.encoders["pixels"]
    return replace(made, encoders={"pixels": replace(encoder, options={**encoder.options, "gain": c})})


def train() -> None:
    """Train the artificial network: about 3 minutes."""
    ann.train(build, SHAPES, WEIGHTS, epochs=12, whole=8, levels={"conv2": 1, "digits": 1}, rate=8e-3)


FAMILY = Family(
    "Convolutions and average pooling, converted without normalization",
    "Cao, Chen, Khosla, Spiking deep convolutional neural networks for energy-efficient object recognition, IJCV 2015",
    {"": Part(network, {"truenorth": {"compare": "ge"}}, samples=3, evaluated=200)},
    train,
)
