"""Weights and thresholds are balanced, so that no neuron has more to send than a spike per tick (Diehl et al. 2015).

The artificial network is that of ``cnn_cao``, unchanged; the conversion alone differs. Data-based normalization takes the
largest activation of each layer over 256 calibration digits; the outputs are a layer like any other. The model-based one takes
what the weights allow at most: it never saturates, and needs many times the ticks. Without normalization several outputs fire
in every tick, and which is largest is lost. `test_cnn_diehl.py` measures all three.

Diehl et al. report 99.1 % for 28x28-12c5-2s-64c5-2s-10o. This one has 5 and 8 channels and weights of 3 and 15 levels: 98.5 %
of the 10,000 test digits as an artificial network.
"""

from __future__ import annotations

from typing import Any, cast

from examples.families import Family, Part, ann
from examples.families.cnn_cao.family import WEIGHTS, build
from neurocomp.conversion import Options
from neurocomp.ir.network import Network


def network(normalize: str = "data", ticks: int = 32) -> Network:
    """Return the spiking network, normalized by a law of `neurocomp.conversion.options.NORMALIZATIONS`."""
    options = Options(normalize=cast("Any", normalize), input="rate", readout="count", ticks=ticks)
    return ann.spiking(build(ann.read_weights(WEIGHTS)), options)


FAMILY = Family(
    "Convolutions and average pooling, converted with weight and threshold balancing",
    "Diehl et al., Fast-classifying, high-accuracy spiking deep networks through weight and threshold balancing, IJCNN 2015",
    {"": Part(network, {"truenorth": {"compare": "ge"}}, samples=3, evaluated=200)},
)
