"""Times of first spikes stand for activations: against loops written from the equations, and against plain algebra."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api
from neurocomp.conversion.convert import converted
from neurocomp.conversion.graph import Graph, Layer
from neurocomp.conversion.maxima import with_differences
from neurocomp.conversion.normalize import scales
from neurocomp.conversion.options import Options
from neurocomp.errors import UnsupportedError
from neurocomp.ir.network import Network, Samples
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
RANDOM = np.random.default_rng(11)
KEEPS = 4095 / 4096
"""Of a current, per tick."""


def perceptron(ends_in_relu: bool = False) -> Graph:
    """Return three dense layers with biases."""
    w = RANDOM.standard_normal
    layers = [
        Layer("x", "input", (), (12,)),
        Layer("l1", "linear", ("x",), (20,), Pattern("dense"), w((20, 12)) * 0.4, w(20) * 0.2),
        Layer("r1", "relu", ("l1",), (20,)),
        Layer("l2", "linear", ("r1",), (15,), Pattern("dense"), w((15, 20)) * 0.3, w(15) * 0.2),
        Layer("r2", "relu", ("l2",), (15,)),
        Layer("out", "linear", ("r2",), (4,), Pattern("dense"), w((4, 15)), w(4)),
    ]
    if ends_in_relu:
        layers.append(Layer("r3", "relu", ("out",), (4,)))
    return Graph("mlp.onnx", {layer.name: layer for layer in layers}, layers[-1].name)


def made(graph: Graph, options: Options, data: Array) -> tuple[Network, dict[str, float]]:
    """Return the network, and its scales."""
    found = scales(graph, options, data.reshape(len(data), -1))
    return converted(graph, options, found, data), found


def run(network: Network, data: Array) -> tuple[dict[str, Array], Array]:
    """Return the spikes of each population, (samples, ticks, n), and the output's potentials after the last tick."""
    ran = api.run_network(network, samples=Samples({network.inputs[0].name: data}), probe="all", state=True)
    spikes = {name: ran.arrays[f"spikes/{name}"].reshape(len(data), network.ticks, -1) for name in network.populations}
    return spikes, ran.arrays[f"v/{network.outputs[0].name}"].reshape(len(data), network.ticks, -1)[:, -1]


def ramp(spikes: Array, weights: Array, bias: Array, depth: int, window: int, threshold: float) -> Array:
    """Return the first spikes of neurons whose input comes in the window before theirs: sums, then a ramp of 1 per tick."""
    u, v = np.zeros((len(spikes), len(weights))), np.tile(bias * window, (len(spikes), 1))
    fired = np.zeros(v.shape, bool)
    made = np.zeros((*spikes.shape[:2], len(weights)))
    for tick in range(spikes.shape[1]):
        u = u * KEEPS
        if tick == depth * window:
            u = u - spikes[:, :tick].sum(axis=1) @ weights.T + 1
        elif tick < depth * window:
            u = u + spikes[:, tick] @ weights.T
        elif tick == (depth + 1) * window:
            u = u - 1
        v = v + u
        now = (v > threshold) & ~fired & (tick >= depth * window)
        made[:, tick], fired = now, fired | now
    return made


@pytest.mark.parametrize(("start", "above"), [("half", 0.5), ("zero", 1.0)])
def test_spikes_by_hand(start: Literal["half", "zero"], above: float) -> None:
    """Every spike of two hidden layers is in the tick that a loop over sums and ramps finds."""
    graph, data, window = perceptron(), RANDOM.random((9, 12)), 21
    network, found = made(graph, Options(code="ttfs", ticks=window, start=start, normalize="data"), data)
    spikes, _ = run(network, data)

    for depth, (layer, name, before) in enumerate((("l1", "r1", "x"), ("l2", "r2", "r1")), 1):
        weights, bias = graph.layers[layer].weights, graph.layers[layer].bias
        assert weights is not None
        assert bias is not None
        weights = (weights * found[before] / found[name]).astype(np.float32).astype(float)
        expected = ramp(spikes[before], weights, bias / found[name], depth, window, window + above)
        np.testing.assert_array_equal(spikes[name], expected)
        assert 0 < spikes[name].sum() < spikes[name].shape[0] * spikes[name].shape[2]


@pytest.mark.parametrize("window", [16, 60])
def test_times_are_rounded_activations(window: int) -> None:
    """A time differs from the weighted sum of the times in front by the rounding to ticks; so does the output's potential."""
    graph, data = perceptron(), RANDOM.random((30, 12))
    network, found = made(graph, Options(code="ttfs", ticks=window, normalize="percentile", percentile=95.0), data)
    spikes, potentials = run(network, data)

    counts = {}
    for depth, name in enumerate(("x", "r1", "r2")):
        assert spikes[name].sum(axis=1).max() == 1
        assert not spikes[name][:, : depth * window].any()
        assert not spikes[name][:, (depth + 1) * window + 1 :].any()
        counts[name] = (spikes[name] * ((depth + 1) * window - np.arange(network.ticks))[:, np.newaxis]).sum(axis=1)
    np.testing.assert_allclose(counts["x"], data / data.max() * window, atol=0.5)
    values = {name: counts[name] * found[name] / window for name in counts}
    for layer, name, before in (("l1", "r1", "x"), ("l2", "r2", "r1"), ("out", "", "r2")):
        weights, bias = graph.layers[layer].weights, graph.layers[layer].bias
        assert weights is not None
        assert bias is not None
        reached = np.abs(weights).sum(axis=1).max() * found[before] * window / 8192  # what currents of 4095/4096 lose at most
        exact = values[before] @ weights.T + bias
        if name:
            step = found[name] / window
            np.testing.assert_allclose(
                values[name], np.clip(exact, 0, found[name]), atol=0.5 * step + reached + 0.01 * step * window / 16
            )
        else:
            np.testing.assert_allclose(potentials / window, exact, atol=reached)


def test_last_relu_is_read_by_its_first_spike() -> None:
    """A network that ends in a ReLU answers by its first spike."""
    graph, data = perceptron(ends_in_relu=True), RANDOM.random((30, 12))
    network, _ = made(graph, Options(code="ttfs", ticks=62), data)
    assert network.decoders["r3"].scheme == "first_spike"
    assert network.ticks == 4 * 62
    spikes, _ = run(network, data)
    first = np.where(spikes["r3"].any(axis=1), spikes["r3"].argmax(axis=1), network.ticks)
    values = next(graph.forward(data, record=["r3"]))["r3"]
    clear = np.sort(values)[:, -1] - np.sort(values)[:, -2] > 0.1 * values.max()
    assert clear.sum() > 5
    np.testing.assert_array_equal(first.argmin(axis=1)[clear], values.argmax(axis=1)[clear])


def square(kind: str, kernel: int, stride: int = 1, padding: int = 0) -> Pattern:
    """Return a square window."""
    options: dict[str, tuple[int, ...]] = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "padding": (padding,) * 2}
    if kind == "conv2d":
        options |= {"dilation": (1, 1), "groups": (1,)}
    return Pattern(kind, {}, options)


def pooled(kernel: int, stride: int, padding: int = 0, relu_first: bool = True) -> Graph:
    """Return a convolution, a maximum, a skip connection around it, and a dense layer."""
    w = RANDOM.standard_normal
    size = (8 + 2 * padding - kernel) // stride + 1
    first: list[Layer] = [
        Layer("x", "input", (), (1, 10, 10)),
        Layer("c", "linear", ("x",), (2, 8, 8), square("conv2d", 3), w((2, 1, 3, 3)) * 0.4),
    ]
    if relu_first:
        first.append(Layer("r", "relu", ("c",), (2, 8, 8)))
    layers = [
        *first,
        Layer("m", "max", (first[-1].name,), (2, size, size), square("maxpool2d", kernel, stride, padding), np.asarray(1.0)),
        Layer("c2", "linear", ("m",), (2, size, size), square("conv2d", 3, padding=1), w((2, 2, 3, 3)) * 0.4),
        Layer("s", "add", ("c2", "m"), (2, size, size)),
        Layer("r2", "relu", ("s",), (2, size, size)),
        Layer("both", "add", ("r2", "m"), (2, size, size)),
        Layer("flat", "linear", ("both",), (2 * size * size,), Pattern("flatten"), np.asarray(1.0)),
        Layer("out", "linear", ("flat",), (3,), Pattern("dense"), w((3, 2 * size * size))),
    ]
    return Graph("pooled.onnx", {layer.name: layer for layer in layers}, "out")


def windows(values: Array, kernel: int, stride: int, padding: int, fill: float, largest: bool = True) -> Array:
    """Return the extreme of each window of (..., h, w)."""
    wide = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(padding, padding)] * 2, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), axis=(-2, -1))[..., ::stride, ::stride, :, :]
    return np.asarray(view.max(axis=(-2, -1)) if largest else view.min(axis=(-2, -1)))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0)])
def test_the_first_spike_of_a_window_is_its_maximum(kernel: int, stride: int, padding: int) -> None:
    """A neuron per window passes on the first spike that it gets, and no other."""
    graph, data = pooled(kernel, stride, padding), RANDOM.random((5, 1, 10, 10))
    network, found = made(graph, Options(code="ttfs", ticks=60, max_pool="neurons"), data)
    spikes, potentials = run(network, data)
    never = network.ticks
    first = {n: np.where(spikes[n].any(axis=1), spikes[n].argmax(axis=1), never).reshape(5, 2, -1) for n in ("r", "m")}
    expected = windows(first["r"].reshape(5, 2, 8, 8), kernel, stride, padding, never, largest=False)
    np.testing.assert_array_equal(first["m"], expected.reshape(5, 2, -1))
    assert spikes["m"].sum(axis=1).max() == 1
    delays = {(q.source, q.target): int(q.delay.max()) for q in network.projections}
    assert (delays["r", "m"], delays["m", "r2"], delays["m", "out"], delays["r2", "out"]) == (0, 0, 60, 0)
    exact = next(graph.forward(data.reshape(5, -1), record=["out"], caps=found))["out"]
    assert np.corrcoef(potentials.ravel(), exact.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "relu_first"), [(2, 2, 0, True), (3, 2, 1, True), (3, 1, 0, True), (4, 2, 0, False)]
)
def test_differences_are_the_maximum(kernel: int, stride: int, padding: int, relu_first: bool) -> None:
    """The network with ReLUs of differences computes the same; its neurons' rates stand for it."""
    graph, data = pooled(kernel, stride, padding, relu_first), RANDOM.random((5, 1, 10, 10))
    changed = with_differences(graph)
    assert not any(layer.kind == "max" for layer in changed.layers.values())
    source = "r" if relu_first else "c"
    values = next(changed.forward(data.reshape(5, -1), record=[source, "m", "out"]))
    expected = windows(values[source].reshape(5, 2, 8, 8), kernel, stride, padding, -np.inf)
    np.testing.assert_allclose(values["m"], expected.reshape(5, -1), atol=1e-12)
    network, _ = made(changed, Options(max_pool="neurons", ticks=400), data)
    _, potentials = run(network, data)
    assert np.corrcoef(potentials.ravel(), values["out"].ravel())[0, 1] > 0.98


def test_padded_maxima_of_negative_values_are_left() -> None:
    """What is padded is 0, which must not be the largest of values below 0; and neurons' maxima are kept where asked."""
    graph = pooled(3, 1, 1, relu_first=False)
    assert with_differences(graph).layers["m"].kind == "max"
    assert with_differences(pooled(2, 2), but_of_neurons=True).layers["m"].kind == "max"


def test_chips(tmp_path: Path) -> None:
    """Loihi runs it, spike for spike; longer windows than its refractory periods and TrueNorth are refused with reasons."""
    graph, data = perceptron(), RANDOM.random((20, 12))
    network, _ = made(graph, Options(code="ttfs", ticks=16), data)
    compiled = api.compile(network, "loihi")
    result = compiled.verify(engines=("fast", "chip"), samples=Samples({"x": data[:4]}))
    assert result.bit_exact
    with pytest.raises(UnsupportedError, match="NC0303"):
        api.compile(made(graph, Options(code="ttfs", ticks=63), data)[0], "loihi")
    with pytest.raises(UnsupportedError, match="NC0313"):
        api.compile(network, "truenorth")
