"""Subtractive gating: a long short-term memory whose gates inhibit, made of leaky neurons, reads digits row by row.

In the subLSTM gates are subtracted where an LSTM multiplies, c = f c + z - i and h = sigmoid(c) - o, as inhibitory neurons do;
where the forget gate is fixed, f is the leak of a membrane. Here z, i, o, c and h are populations of 36 spiking neurons. They
read the 28 rows of a digit, one per tick. The digits begin low and rise by a bias, so that their spikes, which nothing takes
back, come after most of the evidence. Costa et al. read MNIST pixel by pixel, with sigmoids in real numbers.

Of all 10,000 test digits the network answers 91.9 % in real numbers (94.7 % of the 300 that are shipped). Trained for an
exponential leak it loses much on TrueNorth, whose leak is linear: 56 % of the 300. `linear` is the same circuit trained with
that leak and weights of -7 to 7, for 10 epochs: 80.3 % of the 10,000, and the chip answers as real numbers do.
"""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

HERE = Path(__file__).parent
LINEAR = {"truenorth": {"approximate_leak": True, "compare": "ge"}}
"""TrueNorth has no exponential leak; a linear one takes its place, with a measured loss."""


def train() -> None:
    """Make weights and samples anew; needs torch, and MNIST in ``package/data``."""
    from examples.families.sublstm import train as training

    training.sample(Path("package/data"))
    for linear in (False, True):
        training.train(Path("package/data"), linear)


FAMILY = Family(
    "subLSTM: gates that inhibit where those of an LSTM multiply; digits read row by row",
    "Costa et al., Cortical microcircuits as gated-recurrent neural networks, NeurIPS 2017",
    {"": Part(HERE / "net.yaml", LINEAR, samples=3), "linear": Part(HERE / "linear.yaml", samples=3)},
    train,
)
"""What becomes of it on each chip."""
