"""Subtractive gating: a long short-term memory whose gates inhibit, made of leaky neurons, reads digits row by row.

In the subLSTM gates are subtracted where an LSTM multiplies, c = f c + z - i and h = sigmoid(c) - o, as inhibitory neurons do;
where the forget gate is fixed, f is the leak of a membrane. Here z, i, o, c and h are populations of 36 spiking neurons. They
read the 28 rows of a digit, one per tick; the sum of the readout was right for 92.8 % of the 10,000 test digits in real numbers
when it was trained, and the digits send it as spikes, which lose about a point. Costa et al. read MNIST pixel by pixel, with
sigmoids in real numbers.
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
    training.train(Path("package/data"), linear=False)


FAMILY = Family(
    "subLSTM: gates that inhibit where those of an LSTM multiply; digits read row by row",
    "Costa et al., Cortical microcircuits as gated-recurrent neural networks, NeurIPS 2017",
    {"": Part(HERE / "net.yaml", LINEAR, samples=3)},
    train,
)
"""What becomes of it on each chip."""
