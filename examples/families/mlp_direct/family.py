"""784-256-10 of LIF neurons, trained by surrogate gradient: the trained network of examples/mnist_mlp."""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

EXAMPLES = Path(__file__).parents[2]

FAMILY = Family(
    "Fully connected, trained by surrogate gradient",
    "Eshraghian et al. 2023; Neftci, Mostafa, Zenke 2019",
    {
        "": Part(EXAMPLES / "mnist_mlp" / "net.yaml", {"truenorth": {"approximate_leak": True, "partial_sums": True}}),
        "if": Part(EXAMPLES / "mnist_mlp" / "net_if.yaml", {"loihi": {"compare": "gt"}, "truenorth": {"partial_sums": True}}),
        "trinary": Part(EXAMPLES / "mnist_truenorth" / "net.yaml"),
    },
)
