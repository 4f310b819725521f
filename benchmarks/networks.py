"""The networks of the engine benchmark, made from a seed, and exact simulations of them in plain numpy.

Every neuron is the same integer LIF, per tick: ``v = toward_zero(v * (4096 - decay) / 4096) + sum of weights``; it spikes
where ``v > threshold``, then ``v = 0``. A synaptic operation is one connection of a source that spikes.

- N1: dense 784-1200-1200-10, T = 100
- N2: 1x28x28, conv 16@5x5, pool 2, conv 32@3x3, pool 2, dense 10, T = 50; a pool sums its 2x2 window
- N3: 100,000 recurrent neurons with 100 random targets each, 1,000 inputs with 1,000 targets each, T = 100
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DECAY = 128
N1_OPERATIONS = 21_253_420
N1_SPIKES = (7317, 7342, 106)


@dataclass(frozen=True)
class Layered:
    """A feedforward network without delays between its layers.

    A layer's `weights` are int8, dense (inputs, neurons) or a kernel (channels, input channels, height, width) that is
    applied without padding. `pools` is the side of the window over which a layer's input spikes are summed first, 1 for
    none. A dense layer reads channels, rows, columns in C order. `stimulus` is bool (samples, ticks, shape of the input).
    """

    name: str
    weights: tuple[Array, ...]
    pools: tuple[int, ...]
    thresholds: tuple[int, ...]
    stimulus: Array
    decay: int = DECAY


@dataclass(frozen=True)
class Recurrent:
    """One recurrent population and its inputs.

    Row i of `targets` and `weights` (neurons, fan-out) are neuron i's connections, with a delay of one tick: a spike of
    tick t arrives at t + 1. `input_targets` and `input_weights` (inputs, fan-out) arrive in the tick of the input's
    spike. A pair may be connected more than once. `stimulus` is bool (samples, ticks, inputs).
    """

    name: str
    targets: Array
    weights: Array
    input_targets: Array
    input_weights: Array
    threshold: int
    stimulus: Array
    decay: int = DECAY


@dataclass(frozen=True)
class Activity:
    """What a simulation did: spikes (layers, samples) and synaptic operations (samples)."""

    spikes: Array
    operations: Array


def n1(samples: int = 20) -> Layered:
    """Return N1, its layers fire at about 6, 6 and 10 % per tick."""
    rng = np.random.default_rng(0)
    weights = tuple(_normal(rng, shape) for shape in ((784, 1200), (1200, 1200), (1200, 10)))
    stimulus = np.empty((samples, 100, 784), bool)
    for sample in stimulus:
        probability = np.where(rng.random(784) < 0.2, rng.uniform(0.3, 1.0, 784), 0.0)
        sample[:] = rng.random((100, 784)) < probability
    return Layered("n1", weights, (1, 1, 1), (1437, 579, 555), stimulus)


def n2(samples: int = 20) -> Layered:
    """Return N2, its layers fire at about 7 % per tick; the input shows strokes, about 15 % of it are spikes."""
    rng = np.random.default_rng(2)
    weights = tuple(_normal(rng, shape) for shape in ((16, 1, 5, 5), (32, 16, 3, 3), (800, 10)))
    stimulus = np.stack([rng.random((50, 1, 28, 28)) < _strokes(rng) for _ in range(samples)])
    return Layered("n2", weights, (1, 2, 2), (116, 1144, 1656), stimulus)


def n3(neurons: int = 100_000, samples: int = 1) -> Recurrent:
    """Return N3, or the same with fewer neurons: about 3 % of them fire per tick, from the fifth tick on.

    Four fifths of the neurons excite, the others inhibit more strongly than those excite, so that the activity which the
    inputs drive neither dies nor runs away.
    """
    rng = np.random.default_rng(3)
    inputs, fan_out = 1000, 100
    targets = rng.integers(0, neurons, (neurons, fan_out), np.int32)
    weights = rng.integers(1, 20, (neurons, fan_out), np.int8)
    inhibit = slice(neurons * 4 // 5, None)
    weights[inhibit] = -rng.integers(100, 128, weights[inhibit].shape, np.int8)
    input_targets = rng.integers(0, neurons, (inputs, neurons * 10 // inputs), np.int32)
    input_weights = rng.integers(64, 128, input_targets.shape, np.int8)
    stimulus = rng.random((samples, 100, inputs)) < 0.1
    return Recurrent("n3", targets, weights, input_targets, input_weights, 1000, stimulus)


def fan_outs(network: Layered | Recurrent) -> tuple[Array, ...]:
    """Return the connections that each source has, an int array per layer of sources, the input first."""
    if isinstance(network, Recurrent):
        return tuple(np.full(len(targets), targets.shape[1]) for targets in (network.input_targets, network.targets))
    result: list[Array] = []
    shape = network.stimulus.shape[2:]
    for weights, pool in zip(network.weights, network.pools, strict=True):
        if weights.ndim == 2:
            result.append(np.full(shape, weights.shape[1]))
            shape = weights.shape[1:]
        else:
            reached = [_reached(n, pool, k) for n, k in zip(shape[1:], weights.shape[2:], strict=True)]
            result.append(np.broadcast_to(len(weights) * np.outer(*(r.sum(axis=1) for r in reached)), shape))
            shape = (len(weights), *(r.shape[1] for r in reached))
    return tuple(result)


def save(network: Layered | Recurrent, path: Path) -> None:
    """Write the network and its `fan_outs` as an .npz, an entry per field, ``weights_0`` and so on where layers have shapes."""
    arrays: dict[str, Any] = {field.name: getattr(network, field.name) for field in fields(network)}
    if isinstance(network, Layered):
        arrays |= {f"weights_{i}": weights for i, weights in enumerate(arrays.pop("weights"))}
    arrays |= {f"fan_out_{i}": fan_out for i, fan_out in enumerate(fan_outs(network))}
    np.savez(path, **arrays)


def simulate_layered(network: Layered, samples: int) -> Activity:
    """Simulate the first samples."""
    signal = network.stimulus[:samples]
    ticks = signal.shape[1]
    spikes, operations = [], np.zeros(samples, np.int64)
    layers = zip(network.weights, network.pools, network.thresholds, fan_outs(network), strict=True)
    for weights, pool, threshold, fan_out in layers:
        operations += (signal * fan_out).reshape(samples, -1).sum(axis=1)
        sums = _project(signal.reshape(-1, *signal.shape[2:]), weights, pool)
        sums = sums.reshape(samples, ticks, *sums.shape[1:]).astype(np.int64)
        signal = np.empty(sums.shape, bool)
        v = np.zeros_like(sums[:, 0])
        for t in range(ticks):
            signal[:, t] = lif(v, sums[:, t], network.decay, threshold)
        spikes.append(signal.reshape(samples, -1).sum(axis=1))
    return Activity(np.array(spikes), operations)


def simulate_recurrent(network: Recurrent, sample: int = 0) -> Activity:
    """Simulate one sample; `spikes` is (1, ticks) and `operations` (ticks) here."""
    neurons = len(network.targets)
    v, fired = np.zeros(neurons, np.int64), np.zeros(neurons, bool)
    spikes, operations = [], []
    for arrived in network.stimulus[sample]:
        targets = np.concatenate([network.targets[fired].ravel(), network.input_targets[arrived].ravel()])
        weights = np.concatenate([network.weights[fired].ravel(), network.input_weights[arrived].ravel()])
        sums = np.rint(np.bincount(targets, weights, neurons)).astype(np.int64)
        fired = lif(v, sums, network.decay, network.threshold)
        spikes.append(np.count_nonzero(fired))
        operations.append(len(targets))
    return Activity(np.array([spikes]), np.array(operations))


def lif(v: Array, sums: Array, decay: int, threshold: int) -> Array:
    """Advance the potentials in place by one tick and return where they spike."""
    decayed = v * (4096 - decay)
    v[...] = np.sign(decayed) * (np.abs(decayed) >> 12) + sums
    spikes: Array = v > threshold
    v[spikes] = 0
    return spikes


def _reached(size: int, pool: int, kernel: int) -> Array:
    """Return whether position i of a row reaches output position o, bool (inputs, outputs)."""
    within = np.arange(size)[:, None] // pool - np.arange(size // pool - kernel + 1)
    return np.asarray((within >= 0) & (within < kernel))


def _project(signal: Array, weights: Array, pool: int) -> Array:
    """Return the weighted sums of a batch of spikes as float32, in which sums below 2**24 are exact."""
    x, w = signal.astype(np.float32), weights.astype(np.float32)
    if pool > 1:
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // pool, pool, width // pool, pool).sum(axis=(3, 5))
    if w.ndim == 2:
        return np.asarray(x.reshape(len(x), -1) @ w)
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.moveaxis(np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))), -1, 1)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.clip(np.rint(rng.normal(0, 32, shape)), -127, 127).astype(np.int8)


def _strokes(rng: np.random.Generator) -> Array:
    """Return firing probabilities (28, 28): two smooth curves as a thick pen draws them."""
    y, x = np.mgrid[:28, :28]
    t = np.linspace(0, 1, 40)[:, None]
    image = np.zeros((28, 28))
    for _ in range(2):
        a, b, c = rng.uniform(5, 23, (3, 2))
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        distance = np.min([(y - i) ** 2 + (x - j) ** 2 for i, j in curve], axis=0)
        image = np.maximum(image, np.exp(-distance / 8))
    return image
