"""Artificial networks become spiking ones: rates are activations, scales are those of the literature, losses have a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api
from neurocomp.conversion.convert import converted
from neurocomp.conversion.graph import Graph, Layer
from neurocomp.conversion.normalize import scales
from neurocomp.conversion.options import Options
from neurocomp.errors import NetworkError
from neurocomp.ir.network import Network, Samples
from neurocomp.models.patterns import Pattern

Array = NDArray[Any]
ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(3)


def window(kind: str, kernel: int, stride: int = 1, padding: int = 0) -> Pattern:
    """Return a square window."""
    options: dict[str, tuple[int, ...]] = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "padding": (padding,) * 2}
    if kind == "conv2d":
        options |= {"dilation": (1, 1), "groups": (1,)}
    return Pattern(kind, {}, options)


def skip() -> Graph:
    """Return a convolution, a skip connection, branches that are joined, an average and a dense layer."""
    w = RANDOM.standard_normal
    one = np.asarray(1.0)
    layers = (
        Layer("x", "input", (), (2, 6, 6)),
        Layer("c1", "linear", ("x",), (3, 6, 6), window("conv2d", 3, padding=1), w((3, 2, 3, 3)) * 0.4, w(108) * 0.1),
        Layer("r1", "relu", ("c1",), (3, 6, 6)),
        Layer("c2", "linear", ("r1",), (3, 6, 6), window("conv2d", 3, padding=1), w((3, 3, 3, 3)) * 0.3),
        Layer("sum", "add", ("c2", "r1"), (3, 6, 6)),
        Layer("r2", "relu", ("sum",), (3, 6, 6)),
        Layer("both", "concat", ("r1", "r2"), (6, 6, 6)),
        Layer("pool", "linear", ("both",), (6, 3, 3), window("avgpool2d", 2, 2), one),
        Layer("c3", "linear", ("pool",), (4, 1, 1), window("conv2d", 3), w((4, 6, 3, 3)) * 0.3, w(4) * 0.1),
        Layer("r3", "relu", ("c3",), (4, 1, 1), high=2.0),
        Layer("flat", "linear", ("r3",), (4,), Pattern("flatten"), one),
        Layer("out", "linear", ("flat",), (3,), Pattern("dense"), w((3, 4)), w(3)),
    )
    return Graph("skip.onnx", {layer.name: layer for layer in layers}, "out")


def pooled(kind: str = "relu") -> Graph:
    """Return a convolution, a maximum and a dense layer."""
    w = RANDOM.standard_normal
    layers = [
        Layer("x", "input", (), (1, 6, 6)),
        Layer("c", "linear", ("x",), (2, 4, 4), window("conv2d", 3), w((2, 1, 3, 3)) * 0.4),
        Layer("r", "relu", ("c",), (2, 4, 4)),
        Layer("m", "max", ("r",), (2, 2, 2), window("maxpool2d", 2, 2), np.asarray(1.0)),
        Layer("out", "linear", ("m",), (3,), Pattern("dense"), w((3, 8))),
    ]
    return Graph("pooled.onnx", {layer.name: layer for layer in layers}, "out")


def made(graph: Graph, options: Options, data: Array) -> tuple[Network, dict[str, float]]:
    """Return the network, and its scales."""
    found = scales(graph, options, data.reshape(len(data), -1))
    return converted(graph, options, found, data), found


def rates(network: Network, data: Array) -> tuple[dict[str, Array], Array]:
    """Return the spikes per tick of each population, and the last potentials of the output."""
    run = api.run_network(network, samples=Samples({network.inputs[0].name: data}), probe="all", state=True)
    found = {p.name: run.arrays[f"spikes/{p.name}"].reshape(len(data), network.ticks, -1).mean(axis=1)
             for p in network.populations.values()}  # fmt: skip
    return found, run.arrays[f"v/{network.outputs[0].name}"].reshape(len(data), network.ticks, -1)[:, -1]


@pytest.mark.parametrize("normalize", ["none", "model", "data"])
def test_rates_are_activations(normalize: Any) -> None:
    """With many ticks a rate times its scale is the clipped activation; biases, skips, joined branches and pools included."""
    graph, data = skip(), RANDOM.random((6, 2, 6, 6))
    ticks = 400
    network, found = made(graph, Options(normalize=normalize, ticks=ticks), data)
    shown, potentials = rates(network, data)
    names = [layer.name for layer in graph.activations]
    values = next(graph.forward(data.reshape(6, -1), record=[*names, "out"], caps=found))
    for name in names:
        # A spike more or less of a neuron, and what the layers in front owe.
        np.testing.assert_allclose(shown[name] * found[name], values[name], atol=12 * found[name] / ticks**0.75)
    np.testing.assert_allclose(potentials / ticks, values["out"], atol=0.1 * np.abs(values["out"]).max() + 0.02)


def test_one_projection_per_way() -> None:
    """A skip connection is a second projection into the population; joined branches are two; nothing relays."""
    network, _ = made(skip(), Options(), RANDOM.random((6, 2, 6, 6)))
    assert list(network.populations) == ["x", "r1", "r2", "r3", "out"]
    ends = [(q.source, q.target, len(q.before)) for q in network.projections]
    assert ends == [("x", "r1", 0), ("r1", "r2", 0), ("r1", "r2", 0), ("r1", "r3", 1), ("r2", "r3", 1), ("r3", "out", 0)]
    assert network.projections[2].pattern.kind == "one_to_one"


def test_scales() -> None:
    """Diehl's model-based scale bounds the largest activation, and a percentile lies below it."""
    graph, data = skip(), RANDOM.random((40, 72))
    by = {kind: scales(graph, Options(normalize=kind, percentile=90.0), data)
          for kind in ("none", "model", "data", "percentile")}  # fmt: skip
    values = next(graph.forward(data, record=["r1", "r2", "r3"]))
    for name in ("r1", "r2", "r3"):
        assert by["data"][name] == pytest.approx(values[name].max())
        assert by["data"][name] <= by["model"][name] * (1 + 1e-12)
        positive = values[name][values[name] > 0]
        assert by["percentile"][name] == pytest.approx(np.percentile(positive, 90), rel=1e-5)
    assert by["none"] == {"x": 1.0, "r1": 1.0, "r2": 1.0, "r3": 2.0}
    weights = graph.layers["c1"].weights
    bias = graph.layers["c1"].bias
    assert weights is not None
    assert bias is not None
    bound = (np.maximum(weights, 0).sum(axis=(1, 2, 3))[:, np.newaxis] * data.max() + bias.reshape(3, 36)).max()
    assert by["model"]["r1"] == pytest.approx(bound)


def test_maxima() -> None:
    """A maximum is refused, averaged, or taken of spikes."""
    data = RANDOM.random((6, 1, 6, 6))
    with pytest.raises(NetworkError, match="--max-pool neurons"):
        made(pooled(), Options(), data)
    network, _ = made(pooled(), Options(max_pool="average"), data)
    assert network.projections[1].before[0].pattern.kind == "avgpool2d"
    network, _ = made(pooled(), Options(max_pool="spikes"), data)
    assert network.projections[1].before[0].pattern.kind == "maxpool2d"
    assert any(choice.axis == "max pooling" for choice in network.choices)


@pytest.mark.parametrize("scheme", ["rate", "bernoulli", "poisson"])
def test_spiking_input(scheme: Any) -> None:
    """Input that spikes has a gain, which brings the largest value to a spike per tick."""
    data = RANDOM.random((6, 2, 6, 6)) * 4
    network, found = made(skip(), Options(input=scheme, ticks=8), data)
    assert network.encoders["x"].scheme == scheme
    assert network.encoders["x"].options["gain"] == pytest.approx(1 / data.max())
    assert found["x"] == pytest.approx(data.max())


def test_reset_and_start() -> None:
    """Options reach the neurons, and the choices say so."""
    network, _ = made(skip(), Options(reset="zero", start="zero", readout="count"), RANDOM.random((6, 2, 6, 6)))
    neuron = network.populations["r1"].neuron
    assert neuron is not None
    assert neuron.semantics.reset == "zero"
    assert neuron.parameters["v_init"] == 0
    assert network.decoders["out"].scheme == "count"


@pytest.mark.parametrize("law", ["data", "percentile", "model", "spikes"])
def test_outputs_that_are_counted_have_a_scale(law: Any) -> None:
    """Without one, every output above 1 fires in every tick; with it, rates are the answers, as far as those are above 0."""
    graph, data = skip(), RANDOM.random((6, 2, 6, 6))
    factor = 50.0  # outputs far above 1, which none of the layers in front of it shows
    last = graph.layers["out"]
    assert last.weights is not None
    assert last.bias is not None
    big = replace(last, weights=last.weights * factor, bias=last.bias * factor)
    graph = replace(graph, layers={**graph.layers, "out": big})
    options = Options(normalize=law, readout="count", percentile=100.0, ticks=400)
    network, found = made(graph, options, data)
    exact = next(graph.forward(data.reshape(6, -1), record=["out"]))["out"]
    assert exact.max() > 5
    run = api.run_network(network, samples=Samples({"x": data}), probe="all")
    spikes = run.arrays["spikes/out"].reshape(6, 400, -1).mean(axis=1)
    assert np.abs(spikes * found["output out"] - np.maximum(exact, 0)).max() < 0.06 * exact.max()
    assert ("out", "lambda", law) in {(choice.subject, choice.axis, choice.origin) for choice in network.choices}


def test_no_activation() -> None:
    """A linear network does not spike."""
    layers = (Layer("x", "input", (), (3,)), Layer("y", "linear", ("x",), (2,), Pattern("dense"), np.ones((2, 3))))
    with pytest.raises(NetworkError, match="no ReLU"):
        made(Graph("n.onnx", {layer.name: layer for layer in layers}, "y"), Options(), np.ones((2, 3)))


def test_thresholds_may_be_balanced_instead() -> None:
    """Weights over lambda with a threshold of 1 are weights with a threshold of lambda (Diehl et al. 2015), spike for spike."""
    graph, data = skip(), RANDOM.random((4, 2, 6, 6))
    options = Options(ticks=24, input="rate")
    # Powers of two, so that both are the same numbers in binary.
    found = {name: 2.0 ** np.round(np.log2(scale)) for name, scale in scales(graph, options, data.reshape(4, -1)).items()}
    network = converted(graph, options, found, data)
    populations = dict(network.populations)
    for name in ("r1", "r2", "r3"):
        neuron = populations[name].neuron
        assert neuron is not None
        larger = {key: value * found[name] for key, value in neuron.parameters.items()}
        populations[name] = replace(populations[name], neuron=replace(neuron, parameters=larger))
    # A spike of a neuron with the threshold lambda is worth lambda, of which the next weights have their part already.
    factors = {q.name: np.float32(found.get(q.target, 1.0)) for q in network.projections}
    projections = tuple(
        replace(q, weights=q.weights * factors[q.name], bias=None if q.bias is None else q.bias * factors[q.name])
        for q in network.projections
    )
    balanced = replace(network, populations=populations, projections=projections)
    shown, expected = rates(balanced, data)[0], rates(network, data)[0]
    for name in ("r1", "r2", "r3"):
        assert 0 < expected[name].mean() < 1
        np.testing.assert_array_equal(shown[name], expected[name])


def test_scale_of_the_largest_input_of_a_tick() -> None:
    """Spike-Norm: with W s of every tick at most lambda, and the largest of them lambda."""
    w = RANDOM.standard_normal
    layers = [
        Layer("x", "input", (), (9,)),
        Layer("l1", "linear", ("x",), (8,), Pattern("dense"), w((8, 9)), w(8) * 0.1),
        Layer("r1", "relu", ("l1",), (8,)),
        Layer("l2", "linear", ("r1",), (6,), Pattern("dense"), w((6, 8)), w(6) * 0.1),
        Layer("r2", "relu", ("l2",), (6,)),
        Layer("out", "linear", ("r2",), (2,), Pattern("dense"), w((2, 6))),
    ]
    graph = Graph("n.onnx", {layer.name: layer for layer in layers}, "out")
    data = RANDOM.random((10, 9))
    options = Options(normalize="spikes", input="bernoulli", ticks=40)
    network, found = made(graph, options, data)
    run = api.run_network(network, samples=Samples({"x": data}), probe="all", state=True)
    for layer, name, before in (("l1", "r1", "x"), ("l2", "r2", "r1")):
        weights, bias = graph.layers[layer].weights, graph.layers[layer].bias
        assert weights is not None
        assert bias is not None
        sent = run.arrays[f"spikes/{before}"].reshape(10, 40, -1) * found[before]
        assert found[name] == pytest.approx((sent @ weights.T + bias).max(), rel=1e-6)
        assert found[name] > scales(graph, Options(normalize="data", input="bernoulli"), data)[name]
