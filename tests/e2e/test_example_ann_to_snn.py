"""The example examples/ann_to_snn: a convolutional network of ReLU keeps its accuracy as spikes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Cli = Callable[..., Any]
EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGES = 50


def test_mnist(cli: Cli) -> None:
    """Within a few ticks the answers of the spiking network, and of the chip's integers, are those of the file."""
    with np.load(EXAMPLES / "mnist_conv" / "test.npz") as shipped:
        np.savez("test.npz", x=shipped["images"][:IMAGES], y=shipped["labels"][:IMAGES])
    calibration = EXAMPLES / "mnist_conv" / "calibration.npz"
    options = ("--scale", "1/255", "--timesteps", "32", "--integers", "4", "--json", "-o", "net")
    model = EXAMPLES / "ann_to_snn" / "model.onnx"
    assert model.stat().st_size <= 300_000
    result = cli("import", str(model), "--to-snn", "--calibration", f"{calibration}#images", "--test", "test.npz#x",
                 "--labels", "test.npz#y", *options)  # fmt: skip
    assert result.code == 0, result.err
    stages = {stage["name"]: stage for stage in result.document["waterfall"]["stages"]}
    assert stages["ANN"]["accuracy"] >= 0.98
    assert stages["ticks"]["accuracy"] >= stages["ANN"]["accuracy"] - 0.01
    assert stages["quantized"]["agreement"] >= 0.75
    assert stages["mapped"]["agreement"] == 1.0
    assert list(result.document["populations"]) == ["pixels", "relu1", "relu2", "digits"]
