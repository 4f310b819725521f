"""What a rate of one spike per tick stands for in each layer: its scale lambda.

``none``: 1, as in Cao, Chen and Khosla 2015. ``model``: the largest activation that the weights allow (Diehl et al. 2015,
model-based: the sum of positive weights), by interval arithmetic over what lies between two layers of neurons. ``data``: the
largest activation over the calibration data (Diehl et al. 2015, data-based). ``percentile``: that percentile of the
activations that are not 0 (Rueckauer et al. 2017). ``spikes``: the largest sum of weighted spikes and bias in a tick of the
spiking network itself, layer by layer (Sengupta et al. 2019, Spike-Norm). A clipped ReLU needs no more than its own bound.
Outputs without ReLU whose spikes are counted have a scale too: else several of them fire in every tick, and which is largest
is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isinf

import numpy as np
from numpy.typing import NDArray

from neurocomp.conversion.convert import converted, names_of, output_scale
from neurocomp.conversion.graph import Array, FloatArray, Graph, Layer
from neurocomp.conversion.options import Options
from neurocomp.encoding import encode
from neurocomp.ir.network import Neuron, frozen
from neurocomp.models.patterns import PATTERNS
from neurocomp.simulation.float_simulator import simulate

_OBSERVED, _CHUNK = 64, 16
"""Calibration samples that spikes are counted on, and how many at once."""
_SAMPLED = 1 << 22
"""Activations per layer of which a percentile is taken at most."""


def scales(graph: Graph, options: Options, data: Array) -> dict[str, float]:
    """Return the scale of each ReLU, of the input where it spikes, and of an output without ReLU whose spikes are counted.

    Args:
        graph: The network.
        options: The normalization and its percentile.
        data: Calibration data (samples, n), as the network takes them.
    """
    found: dict[str, float] = {}
    if options.encoder == "current":
        found[graph.input.name] = 1.0
    else:
        found[graph.input.name] = float(np.max(data, initial=0.0)) or 1.0
    firing = _firing(graph, options)
    if options.normalize == "none":
        made = {layer.name: 1.0 if isinf(layer.high) else layer.high for layer in firing}
    elif options.normalize == "model":
        largest = float(np.max(np.abs(data), initial=0.0)) or 1.0
        made = _by_weights(graph, 0.0 if np.min(data, initial=0.0) >= 0 else -largest, largest, firing)
    else:
        made = _by_data(firing, graph, options.percentile if options.normalize == "percentile" else 100.0, data)
    for layer in firing:
        scale = min(made[layer.name], layer.high)
        found[_key(layer)] = scale if scale > 0 else 1.0  # silent: any scale does
    return found if options.normalize != "spikes" else _by_spikes(graph, options, found, data)


def _firing(graph: Graph, options: Options) -> tuple[Layer, ...]:
    """Return the layers that become neurons that fire."""
    final = graph.layers[graph.output]
    counted = options.code == "rate" and options.readout == "count" and final.kind != "relu"
    return (*graph.activations, final) if counted else graph.activations


def _key(layer: Layer) -> str:
    """Return the name of a layer's scale."""
    return layer.name if layer.kind == "relu" else output_scale(layer)


def _by_spikes(graph: Graph, options: Options, scales: dict[str, float], data: Array) -> dict[str, float]:
    """Return the largest input of a tick of each ReLU's neurons, given the scales of those in front of it."""
    found, names = dict(scales), names_of(graph)
    data = data[:: -(-len(data) // _OBSERVED)]
    entry = names[graph.input.name]
    for layer in _firing(graph, options):
        network, name = converted(graph, options, found, data), names[layer.name]
        adds = Neuron("i", {"v_init": frozen(np.float64(0.0))})
        populations = dict(network.populations)
        populations[name] = replace(populations[name], neuron=adds)
        front = list(populations)[: list(populations).index(name) + 1]
        cut = replace(network, populations={n: populations[n] for n in front}, decoders={},
                      projections=tuple(q for q in network.projections if q.target in front))  # fmt: skip
        largest = 0.0
        for start in range(0, len(data), _CHUNK):
            stimulus = encode(network.encoders[entry], data[start : start + _CHUNK], scale=1.0, ticks=options.ticks,
                              size=graph.input.size, first_sample=start, population=entry)  # fmt: skip
            v = simulate(cut, {entry: stimulus}, record=[name]).v[name]
            largest = max(largest, float(v[:, 0].max()), float(np.diff(v, axis=1).max(initial=0.0)))
        found[_key(layer)] *= largest or 1.0
    return found


def _by_data(layers: Sequence[Layer], graph: Graph, percentile: float, data: Array) -> dict[str, float]:
    """Return percentiles of the activations above 0; 100: the largest."""
    names = [layer.name for layer in layers]
    largest = dict.fromkeys(names, 0.0)
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for found in graph.forward(data, record=names):
        for name in names:
            values = found[name]
            largest[name] = max(largest[name], float(values.max(initial=0.0)))
            if percentile < 100:
                every = max(1, -(-values[0].size * len(data) // _SAMPLED))
                positive = values[values > 0]
                kept[name].append(positive[::every].astype(np.float32))
    if percentile >= 100:
        return largest
    return {name: float(np.percentile(np.concatenate(kept[name]), percentile)) if any(map(len, kept[name])) else 0.0
            for name in names}  # fmt: skip


def _by_weights(graph: Graph, low: float, high: float, layers: Sequence[Layer]) -> dict[str, float]:
    """Return the largest value that each of some layers can have where the input lies within low..high."""
    bounds: dict[str, tuple[FloatArray, FloatArray]] = {}
    for layer in graph.layers.values():
        if layer.kind == "input":
            bounds[layer.name] = np.full((1, layer.size), low), np.full((1, layer.size), high)
            continue
        lows, highs = zip(*(bounds[name] for name in layer.inputs), strict=True)
        if layer.kind == "relu":
            # All of the layer are scaled alike: a neuron may be as active as the most active one.
            most = max(min(float(highs[0].max()), layer.high), 0.0)
            bounds[layer.name] = np.zeros_like(lows[0]), np.full_like(highs[0], most)
        elif layer.kind == "linear":
            bounds[layer.name] = _interval(layer, lows[0], highs[0], graph)
        else:
            bounds[layer.name] = graph._value(layer, list(lows)), graph._value(layer, list(highs))
    return {layer.name: float(bounds[layer.name][1].max()) for layer in layers}


def _interval(layer: Layer, low: FloatArray, high: FloatArray, graph: Graph) -> tuple[FloatArray, FloatArray]:
    assert layer.pattern is not None
    assert layer.weights is not None
    kind, source = PATTERNS[layer.pattern.kind], graph.layers[layer.inputs[0]].shape
    weights = np.asarray(layer.weights, np.float64)
    plus, minus = np.maximum(weights, 0.0), np.minimum(weights, 0.0)

    def sums(ups: FloatArray, downs: FloatArray) -> FloatArray:
        made = kind.forward(layer.pattern, plus, ups, source, layer.shape)  # type: ignore[arg-type]
        made = made + kind.forward(layer.pattern, minus, downs, source, layer.shape)  # type: ignore[arg-type]
        return np.asarray(made if layer.bias is None else made + layer.bias)

    return sums(low, high), sums(high, low)
