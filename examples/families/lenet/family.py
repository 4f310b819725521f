"""LeNet-like: convolution, pooling, convolution, pooling, dense; the trained network of examples/mnist_conv."""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

EXAMPLES = Path(__file__).parents[2]

FAMILY = Family(
    "LeNet: convolutions and average pooling, trained by surrogate gradient",
    "LeCun et al. 1998; Eshraghian et al. 2023",
    {
        "": Part(EXAMPLES / "mnist_conv" / "net.yaml"),
        "if": Part(EXAMPLES / "mnist_conv" / "net_if.yaml", {"loihi": {"compare": "gt"}, "truenorth": {"partial_sums": True}}),
    },
)
