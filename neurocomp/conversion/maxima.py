"""Maxima of windows in other terms: averages, sums of which the first spike counts, or ReLUs of differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from neurocomp.conversion.graph import Graph, Layer
from neurocomp.models.patterns import Pattern, Shape, size_of


def pooled_as(layer: Layer, how: str) -> Layer:
    """Return pooling with the window of a maximum: ``avg``, the average, or ``sum``."""
    assert layer.pattern is not None
    return replace(layer, kind="linear", pattern=replace(layer.pattern, kind=layer.pattern.kind.replace("max", how)))


def with_averages(graph: Graph) -> Graph:
    """Return the network with average pooling in place of every maximum."""
    layers = {name: pooled_as(layer, "avg") if layer.kind == "max" else layer for name, layer in graph.layers.items()}
    return replace(graph, layers=layers)


def with_differences(graph: Graph, but_of_neurons: bool = False) -> Graph:
    """Return the same network without maxima: max(a, b) = a + ReLU(b - a), along one axis of the window after the other.

    With x_0 .. x_n the values of a window along an axis, d_i = ReLU(x_i - x_0 - d_1 - .. - d_(i - 1)), and the maximum is
    x_0 + d_1 + .. + d_n. Values of the padding are 0, so a window that has any must be of values that are not negative; others
    keep their maximum.

    Args:
        graph: The network.
        but_of_neurons: Keep the maxima of what neurons send.
    """
    layers: dict[str, Layer] = {}
    for layer in graph.layers.values():
        source = graph.layers[layer.inputs[0]] if layer.inputs else layer
        padded = layer.pattern is not None and any(layer.pattern.options.get("padding", ()))
        kept = (padded and source.kind != "relu") or (but_of_neurons and source.kind in ("input", "relu", "max"))
        if layer.kind == "max" and not kept:
            layers |= {made.name: made for made in _differences(layer, source)}
        else:
            layers[layer.name] = layer
    return replace(graph, layers=layers)


def _differences(layer: Layer, source: Layer) -> Iterator[Layer]:
    """Yield the layers in place of a maximum, one axis after the other; the last one has its name."""
    assert layer.pattern is not None
    for axis, kernel in enumerate(layer.pattern.options["kernel"]):
        shape = (*layer.shape[: axis + 2], *source.shape[axis + 2 :])
        grown: list[str] = []
        for place in range(1, kernel):
            stem = f"{layer.name}/{axis}/{place}"
            yield _taps(f"{stem}/difference", layer.pattern, source, shape, axis, {place: 1.0, 0: -1.0})
            for number, name in enumerate(grown):
                yield Layer(f"{stem}/less/{number}", "linear", (name,), shape, Pattern("scale"), np.full(size_of(shape), -1.0))
            terms = (f"{stem}/difference", *(f"{stem}/less/{number}" for number in range(len(grown))))
            yield Layer(f"{stem}/sum", "add", terms, shape)
            yield Layer(f"{stem}/larger", "relu", (f"{stem}/sum",), shape)
            grown.append(f"{stem}/larger")
        yield _taps(f"{layer.name}/{axis}/0", layer.pattern, source, shape, axis, {0: 1.0})
        done = axis == len(layer.pattern.options["kernel"]) - 1
        source = Layer(layer.name if done else f"{layer.name}/{axis}", "add", (f"{layer.name}/{axis}/0", *grown), shape)
        yield source


def _taps(name: str, window: Pattern, source: Layer, shape: Shape, axis: int, taps: Mapping[int, float]) -> Layer:
    """Return weighted sums over a window's places along one axis, per channel."""
    dims, channels = len(shape) - 1, shape[0]
    along = {key: tuple(window.options[key][axis] if n == axis else rest for n in range(dims))
             for key, rest in (("kernel", 1), ("stride", 1), ("padding", 0))}  # fmt: skip
    weights = np.zeros((channels, window.options["kernel"][axis]))
    weights[:, list(taps)] = list(taps.values())
    pattern = Pattern(f"conv{dims}d", {}, {**along, "dilation": (1,) * dims, "groups": (channels,)})
    return Layer(name, "linear", (source.name,), shape, pattern, weights.reshape(channels, 1, *along["kernel"]))
