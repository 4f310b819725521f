"""The networks of the mapping benchmark as lists of synapses, made from a seed by numpy alone.

Rates are lognormal with a mean of 20 spikes per 1000 ticks, rounded to integers, at least 1. Inputs are neurons as well.

- mlp: dense 784-1200-1200-10
- lenet: 1x28x28, conv 6@5x5, 6@2x2 / 2, 16@5x5, 16@2x2 / 2, dense 120-84-10; pools are convolutions over all channels
- vgg: 3x32x32, conv 32, 32, 64 / 2, 64, 128 / 2, 128 @3x3, 128@2x2 / 2, dense 256-10; about 120,000 neurons
- lsm10k, lsm100k: neurons on a torus, 80 % of them excitatory, each with 100 targets at normal distances of 8 sites, of 4
  for the inhibitory; their numbers say nothing about their places. lsm10k_f16, lsm100k_f16: 16 targets at 4 and 2 sites
- sw20k: a ring of 20,000 neurons with 100 neighbours each, a tenth of the synapses rewired; numbered at random

The layers of mlp, lenet and vgg are in the order channels, rows, columns; a seed changes their rates alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.int32]

MEAN_RATE, RATE_SIGMA = 20.0, 0.8
SOURCES_AT_ONCE = 1 << 14
"""Random networks are made for so many sources at a time, so that large ones take little memory."""


@dataclass(frozen=True, eq=False)
class Listed:
    """A network as lists of synapses: neuron i reaches ``target[start[i]:start[i + 1]]``, ascending and each once."""

    start: IntArray
    target: IndexArray
    rate: IntArray
    """Spikes of each neuron in 1000 ticks."""
    low: IntArray
    """First neuron of each layer,"""
    high: IntArray
    """and the one after its last."""
    channels: IntArray
    """Channels of each layer, whose places follow one another; 1 where it has no places."""

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.rate)

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return len(self.target)

    def channels_last(self) -> IntArray:
        """Return the neurons place by place, all channels of a place next to each other."""
        layers = zip(self.low.tolist(), self.high.tolist(), self.channels.tolist(), strict=True)
        return np.concatenate([np.arange(low, high).reshape(channels, -1).T.reshape(-1) for low, high, channels in layers])


@dataclass(frozen=True)
class Convolution:
    """A layer with a square kernel, over all channels."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0


LENET: Sequence[Convolution | int] = (
    Convolution(6, 5, padding=2), Convolution(6, 2, 2), Convolution(16, 5), Convolution(16, 2, 2), 120, 84, 10
)  # fmt: skip
VGG: Sequence[Convolution | int] = (
    Convolution(32, 3, 1, 1), Convolution(32, 3, 1, 1), Convolution(64, 3, 2, 1), Convolution(64, 3, 1, 1),
    Convolution(128, 3, 2, 1), Convolution(128, 3, 1, 1), Convolution(128, 2, 2), 256, 10,
)  # fmt: skip


def rates(n: int, seed: int) -> IntArray:
    """Return the spikes of n neurons in 1000 ticks."""
    drawn = np.random.default_rng(seed).lognormal(0, RATE_SIGMA, n)
    return np.asarray(np.maximum(1, np.rint(drawn / drawn.mean() * MEAN_RATE)), np.int64)


def layered(shape: tuple[int, int, int], layers: Sequence[Convolution | int], seed: int) -> Listed:
    """Return a network of layers, of which each reaches the next one alone.

    Args:
        shape: Channels, rows and columns of the input.
        layers: Convolutions, and sizes of dense layers.
        seed: Of the rates.
    """
    channels, rows, columns = shape
    sizes, depths, degrees, targets = [channels * rows * columns], [channels], [], []
    for layer in layers:
        first = sum(sizes)
        if isinstance(layer, Convolution):
            degree, reached, rows, columns = _convolved(rows, columns, layer)
            targets.append(np.tile(reached + first, channels))
            degrees.append(np.tile(degree, channels))
            channels = layer.channels
        else:
            targets.append(np.tile(np.arange(first, first + layer), sizes[-1]))
            degrees.append(np.full(sizes[-1], layer))
            channels, rows, columns = layer, 1, 1
        sizes.append(channels * rows * columns)
        depths.append(channels)
    degrees.append(np.zeros(sizes[-1], np.int64))
    ends = np.cumsum([0, *sizes])
    target = np.concatenate(targets).astype(np.int32)
    start, rate = _running(np.concatenate(degrees)), rates(int(ends[-1]), seed)
    return Listed(start, target, rate, ends[:-1], ends[1:], np.array(depths))


def _convolved(rows: int, columns: int, layer: Convolution) -> tuple[IntArray, IntArray, int, int]:
    """Return how many neurons each place of a channel reaches, which, and the rows and columns of the layer."""
    down, across = ((side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in (rows, columns))
    y, x = (side.reshape(-1, 1) for side in np.indices((down, across)))
    dy, dx = (side.reshape(1, -1) for side in np.indices((layer.kernel, layer.kernel)))
    from_y, from_x = y * layer.stride - layer.padding + dy, x * layer.stride - layer.padding + dx
    inside = (from_y >= 0) & (from_y < rows) & (from_x >= 0) & (from_x < columns)
    source = (from_y * columns + from_x)[inside]
    place = np.broadcast_to(y * across + x, inside.shape)[inside]
    size = down * across
    channel = np.arange(layer.channels)[:, None] * size
    key = np.sort(((source * layer.channels * size + place)[None, :] + channel).reshape(-1))
    source, reached = np.divmod(key, layer.channels * size)
    return np.bincount(source, minlength=rows * columns), reached, down, across


def dense(sizes: Sequence[int], seed: int) -> Listed:
    """Return dense layers."""
    return layered((sizes[0], 1, 1), sizes[1:], seed)


def liquid(rows: int, columns: int, fan_out: int, reach: tuple[float, float], seed: int) -> Listed:
    """Return neurons on a torus whose targets are near them; a target that is drawn twice counts once, the own neuron never.

    Args:
        rows, columns: Of the torus.
        fan_out: Targets drawn per neuron.
        reach: Standard deviation of the distances in each direction: excitatory, inhibitory.
        seed: Of everything.
    """
    rng = np.random.default_rng(seed)
    n = rows * columns
    site = rng.permutation(n)
    neuron = np.empty(n, np.int64)
    neuron[site] = np.arange(n)
    excitatory = int(0.8 * n)
    sigma = np.where(np.arange(n) < excitatory, *reach)
    parts = [(a, min(a + SOURCES_AT_ONCE, n)) for a in range(0, n, SOURCES_AT_ONCE)]

    def drawn(first: int, last: int, position: IntArray, side: int) -> IntArray:
        away = rng.normal(0, 1, (last - first) * fan_out) * np.repeat(sigma[first:last], fan_out)
        return np.asarray(np.rint(np.repeat(position[first:last], fan_out) + away).astype(np.int64) % side)

    row = [drawn(a, b, site // columns, rows).astype(np.int32) for a, b in parts]
    degrees, targets = [], []
    for (a, b), y in zip(parts, row, strict=True):
        target = neuron[y.astype(np.int64) * columns + drawn(a, b, site % columns, columns)]
        degree, reached = _distinct(n, a, b, np.repeat(np.arange(a, b), fan_out), target)
        degrees.append(degree)
        targets.append(reached)
    low, high = np.array([0, excitatory]), np.array([excitatory, n])
    start = _running(np.concatenate(degrees))
    return Listed(start, np.concatenate(targets), rates(n, seed), low, high, np.array([1, 1]))


def small_world(n: int, neighbours: int, rewired: float, seed: int) -> Listed:
    """Return a ring in which each neuron reaches its neighbours, with a part of the synapses onto any neuron instead."""
    rng = np.random.default_rng(seed)
    number = rng.permutation(n)
    half = neighbours // 2
    source = np.repeat(np.arange(n), 2 * half)
    target = (source + np.tile(np.r_[-half:0, 1 : half + 1], n)) % n
    chosen = rng.random(len(target)) < rewired
    target[chosen] = rng.integers(0, n, np.count_nonzero(chosen))
    degree, reached = _distinct(n, 0, n, number[source], np.where(target == source, -1, number[target]))
    return Listed(_running(degree), reached, rates(n, seed), np.array([0]), np.array([n]), np.array([1]))


def _distinct(n: int, first: int, last: int, source: IntArray, target: IntArray) -> tuple[IntArray, IndexArray]:
    """Return the degrees and the lists of the sources first .. last - 1; no target is -1, none the source, none twice."""
    proper = (target >= 0) & (target != source)
    key = np.sort(source[proper] * n + target[proper])  # np.unique is slower by far where numpy hashes
    source, target = np.divmod(key[np.concatenate(([True], key[1:] != key[:-1]))] if len(key) else key, n)
    return np.bincount(source - first, minlength=last - first), target.astype(np.int32)


def _running(degree: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(degree))).astype(np.int64)


NETWORKS: Mapping[str, tuple[Callable[[int], Listed], int]] = {
    "mlp": (lambda seed: dense((784, 1200, 1200, 10), seed), 1),
    "lenet": (lambda seed: layered((1, 28, 28), LENET, seed), 1),
    "vgg": (lambda seed: layered((3, 32, 32), VGG, seed), 1),
    "lsm10k": (lambda seed: liquid(100, 100, 100, (8, 4), seed), 3),
    "lsm100k": (lambda seed: liquid(250, 400, 100, (8, 4), seed), 4),
    "sw20k": (lambda seed: small_world(20_000, 100, 0.1, seed), 6),
    "lsm10k_f16": (lambda seed: liquid(100, 100, 16, (4, 2), seed), 5),
    "lsm100k_f16": (lambda seed: liquid(250, 400, 16, (4, 2), seed), 5),
}
"""Name -> how it is made from a seed, and the seed of the table."""


def build(name: str, seed: int | None = None) -> Listed:
    """Return a network by name; None: with the seed of the table."""
    make, known = NETWORKS[name]
    return make(known if seed is None else seed)
