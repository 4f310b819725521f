"""A spiking convolutional autoencoder: digits go through 8 small maps and come back as rates of spikes (Panda and Roy 2016).

    image 28 x 28 -> edges 6 x 14 x 14 -> code 8 x 7 x 7 -> parts 6 x 14 x 14 -> image 28 x 28

The encoder has convolutions of stride 2, the decoder transposed ones, which are written out as lists of synapses. Panda and Roy
train layer by layer with spikes; here an autoencoder of units that are linear from 0 to 1 is trained by gradient descent, and
rates of neurons that integrate and fire stand for its activations (Cao et al. 2015; Rueckauer et al. 2017).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from examples.families.digits import calibration_digits, mnist, shipped_digits
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Projection, Samples, frozen
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
Floats = NDArray[np.float64]
HERE = Path(__file__).parent
EDGES, CODE, PARTS = 6, 8, 6
"""Channels of each layer."""
TICKS, TESTED, CALIBRATED = 48, 20, 16
LAYERS = ("edges", "code", "parts", "image")

IF = "{model: if, v_threshold: 1.0, v_init: 0.5, compare: '>', reset: subtract}"
CONV = "pattern: {conv2d: {stride: 2, padding: 1}}"
TEXT = f"""neurocomp: 1
name: autoencoder
timestep: 1 ms
ticks: {TICKS}
populations:
  pixels: {{kind: input, shape: [1, 28, 28]}}
  edges: {{shape: [{EDGES}, 14, 14], neuron: {IF}}}
  code: {{shape: [{CODE}, 7, 7], neuron: {IF}}}
  parts: {{shape: [{PARTS}, 14, 14], neuron: {IF}}}
  image: {{shape: [1, 28, 28], neuron: {IF}}}
projections:
  - {{from: pixels, to: edges, {CONV}, weights: weights.npz#w_edges, bias: weights.npz#b_edges}}
  - {{from: edges, to: code, {CONV}, weights: weights.npz#w_code, bias: weights.npz#b_code}}
encode: {{pixels: {{scheme: rate}}}}
"""


def transposed(weights: Array, side: int) -> tuple[Array, Array, Array]:
    """Return sources, targets and weights of a transposed convolution of stride 2, padding 1.

    Args:
        weights: (sources, targets, 4, 4), as torch.nn.ConvTranspose2d stores them.
        side: Of the source; that of the target is twice as large.
    """
    into, out, k, _ = weights.shape
    c, y, x, d, i, j = np.meshgrid(*(np.arange(n) for n in (into, side, side, out, k, k)), indexing="ij")
    row, column = 2 * y - 1 + i, 2 * x - 1 + j
    inside = (row >= 0) & (row < 2 * side) & (column >= 0) & (column < 2 * side)
    source, target = (c * side + y) * side + x, (d * 2 * side + row) * 2 * side + column
    return source[inside], target[inside], weights[c, d, i, j][inside]


def network() -> Network:
    """Return the trained network with test digits; there are no labels, as what it answers is the image."""
    made, weights = loads(TEXT, HERE), np.load(HERE / "weights.npz")
    projections = list(made.projections)
    for source, target, side in (("code", "parts", 7), ("parts", "image", 14)):
        sources, targets, values = transposed(weights[f"w_{target}"].astype(np.float64), side)
        pattern = Pattern("sparse", {"sources": frozen(sources), "targets": frozen(targets)})
        bias = np.repeat(weights[f"b_{target}"].astype(np.float64), (2 * side) ** 2)
        projections.append(Projection(f"{source}->{target}", source, target, pattern, frozen(values), frozen(bias)))
    samples, calibration = (Samples({"pixels": x / 255.0}) for x in (shipped_digits(TESTED)[0], calibration_digits(CALIBRATED)))
    return replace(made, projections=tuple(projections), data=Data(samples, calibration)).verify()


def reconstructed(images: Array) -> Floats:
    """Return what the trained artificial network makes of images (n, 784) in 0..1, (n, 784), by matrices alone."""
    weights = {name: values.astype(np.float64) for name, values in np.load(HERE / "weights.npz").items()}
    x = np.asarray(images, np.float64).reshape(-1, 1, 28, 28)
    for name in ("edges", "code"):
        kernel = weights[f"w_{name}"].shape[-1]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (kernel, kernel), (2, 3)
        )
        summed = np.einsum("ncyxij,dcij->ndyx", windows[:, :, ::2, ::2], weights[f"w_{name}"])
        x = np.clip(summed + weights[f"b_{name}"][:, None, None], 0.0, 1.0)
    for name, side in (("parts", 7), ("image", 14)):
        sources, targets, values = transposed(weights[f"w_{name}"], side)
        matrix = np.zeros((x[0].size, weights[f"b_{name}"].size * 4 * side**2))
        np.add.at(matrix, (sources, targets), values)
        summed = (x.reshape(len(x), -1) @ matrix).reshape(len(x), -1, 2 * side, 2 * side)
        x = np.clip(summed + weights[f"b_{name}"][:, None, None], 0.0, 1.0)
    return np.asarray(x.reshape(len(x), -1))


def train(folder: Path = Path("package/data")) -> None:
    """Train the artificial network on all 60,000 digits, with torch."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    torch.set_num_threads(1)
    x, test = (torch.from_numpy(mnist(part, folder)[0].copy()).float().view(-1, 1, 28, 28) / 255 for part in ("train", "t10k"))
    layers: dict[str, Any] = {
        "edges": nn.Conv2d(1, EDGES, 4, 2, 1),
        "code": nn.Conv2d(EDGES, CODE, 3, 2, 1),
        "parts": nn.ConvTranspose2d(CODE, PARTS, 4, 2, 1),
        "image": nn.ConvTranspose2d(PARTS, 1, 4, 2, 1),
    }

    def forward(x: Any) -> Any:
        for layer in layers.values():
            # A slope outside of 0..1 in training's gradient alone keeps units from dying.
            y = layer(x)
            x = 0.01 * (y - y.detach()) + y.clamp(0.0, 1.0)
        return x

    epochs, batch = 4, 100
    adam = torch.optim.Adam([p for layer in layers.values() for p in layer.parameters()], lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * len(x) // batch)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            loss = ((forward(x[rows]) - x[rows]) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
        with torch.no_grad():
            error = ((forward(test[:2000]) - test[:2000]) ** 2).mean()
        print(f"mean square error of 2,000 test digits: {float(error):.5f}", file=sys.stderr)
    arrays: dict[str, Any] = {}
    for name, layer in layers.items():
        arrays |= {f"{kind}_{name}": values.detach().numpy() for kind, values in (("w", layer.weight), ("b", layer.bias))}
    np.savez_compressed(HERE / "weights.npz", **arrays)


FAMILY = Family(
    "Spiking convolutional autoencoder, inference",
    "Panda and Roy, Unsupervised regenerative learning of hierarchical features in spiking deep networks, IJCNN 2016",
    {"": Part(network, {"truenorth": {"compare": "ge"}}, samples=2)},
    train,
)
"""What becomes of a convolutional autoencoder on each chip."""
