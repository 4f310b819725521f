"""An artificial network: layers of weighted sums, ReLU, maxima, sums and concatenations, in the order of their computation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.patterns import PATTERNS, Pattern, Shape, size_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

BATCH = 128
"""Samples that are computed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer.

    ``linear``: ``pattern`` with ``weights``, then ``bias`` (n,); ``relu``: min(max(x, 0), ``high``); ``max``: the maximum
    of a window, ``pattern``; ``add``: the sum of its inputs; ``concat``: its inputs one after the other along the axis
    ``axis`` of the shape, which has no batch.
    """

    name: str
    kind: Literal["input", "linear", "relu", "max", "add", "concat"]
    inputs: tuple[str, ...]
    shape: Shape
    pattern: Pattern | None = None
    weights: Array | None = None
    bias: FloatArray | None = None
    high: float = inf
    axis: int = 0

    @property
    def size(self) -> int:
        """Number of values per sample."""
        return size_of(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The layers by name, each behind those that it takes, and the one that is the answer."""

    name: str
    layers: Mapping[str, Layer]
    output: str
    notes: tuple[tuple[str, str, str], ...] = field(default=())
    """(subject, what, why): what was read in another way than it stands in the file."""

    @property
    def input(self) -> Layer:
        """The layer that takes the data."""
        return next(layer for layer in self.layers.values() if layer.kind == "input")

    @property
    def activations(self) -> tuple[Layer, ...]:
        """The layers that become neurons, without the output."""
        return tuple(layer for layer in self.layers.values() if layer.kind == "relu")

    def forward(
        self, data: Array, *, record: Collection[str], caps: Mapping[str, float] | None = None
    ) -> Iterator[dict[str, FloatArray]]:
        """Yield the values (samples, n) of some layers, `BATCH` samples at a time, in float64.

        Args:
            data: (samples, n), what the input layer holds.
            record: Names of layers.
            caps: Layer -> the value at which it is clipped.
        """
        last = {name: number for number, layer in enumerate(self.layers.values()) for name in layer.inputs}
        for start in range(0, len(data), BATCH):
            values: dict[str, FloatArray] = {}
            found: dict[str, FloatArray] = {}
            for number, layer in enumerate(self.layers.values()):
                if layer.kind == "input":
                    x = np.asarray(data[start : start + BATCH], np.float64)
                else:
                    x = self._value(layer, [values[name] for name in layer.inputs])
                if caps and layer.name in caps:
                    x = np.minimum(x, caps[layer.name])
                values[layer.name] = x
                if layer.name in record:
                    found[layer.name] = x
                for name in layer.inputs:
                    if last[name] == number:
                        values.pop(name, None)
            yield found

    def _value(self, layer: Layer, inputs: list[FloatArray]) -> FloatArray:
        """Return what a layer makes of its inputs (samples, n)."""
        x = inputs[0]
        match layer.kind:
            case "relu":
                return np.clip(x, 0.0, layer.high)
            case "add":
                return np.asarray(sum(inputs[1:], x))
            case "concat":
                parts = [
                    value.reshape(len(x), *self.layers[name].shape) for name, value in zip(layer.inputs, inputs, strict=True)
                ]
                return np.concatenate(parts, axis=1 + layer.axis).reshape(len(x), -1)
            case _:
                source = self.layers[layer.inputs[0]].shape
                return carried(layer, x, source)


def carried(layer: Layer, x: FloatArray, source: Shape) -> FloatArray:
    """Return what a linear layer or a maximum makes of values (samples, n_source)."""
    assert layer.pattern is not None
    assert layer.weights is not None
    kind, weights = PATTERNS[layer.pattern.kind], np.asarray(layer.weights, np.float64)
    if layer.kind == "max" and x.min(initial=0.0) < 0:  # the padding, 0, must not win
        lowest = x.min()
        return np.asarray(kind.forward(layer.pattern, weights, x - lowest, source, layer.shape) + lowest)
    made = kind.forward(layer.pattern, weights, x, source, layer.shape)
    return np.asarray(made if layer.bias is None else made + layer.bias)
