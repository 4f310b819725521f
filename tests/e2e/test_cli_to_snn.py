"""``neurocomp import --to-snn``: from an ONNX file to a network that compiles, and what is printed of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from neurocomp import api

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _ann(cli: Cli) -> None:
    """Write a small network with two classes and data in the current folder."""
    random = np.random.default_rng(0)
    w1 = (random.standard_normal((8, 6)) * 0.5).astype(np.float32)
    w2 = random.standard_normal((2, 8)).astype(np.float32)
    helper, to_proto = onnx.helper, onnx.numpy_helper.from_array
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"], name="hidden"),
        helper.make_node("Gemm", ["a", "w2"], ["y"], name="classes", transB=1),
    ]
    arrays = [to_proto(w1, "w1"), to_proto(np.full(8, 0.1, np.float32), "b1"), to_proto(w2, "w2")]
    ends = [info("x", 1, ["n", 6])], [info("y", 1, ["n", 2])]
    model = helper.make_model(helper.make_graph(nodes, "g", *ends, arrays), opset_imports=[helper.make_opsetid("", 17)])
    Path("ann.onnx").write_bytes(model.SerializeToString())
    data = random.random((60, 6)).astype(np.float32)
    labels = (np.maximum(data @ w1.T + np.float32(0.1), 0) @ w2.T).argmax(axis=1)
    np.savez("d.npz", x=data, y=labels, negative=data - 1, other=data[:, :5])


def convert(cli: Cli, *options: str) -> Any:
    """Run the command."""
    return cli("import", "ann.onnx", "--to-snn", "--calibration", "d.npz#x", "-o", "net", *options)


def test_waterfall(cli: Cli) -> None:
    """Accuracies step by step, losses per layer, and a network that compiles and evaluates."""
    result = convert(cli, "--labels", "d.npz#y", "--integers", "20", "--json")
    assert result.code == 0, result.err
    found = result.document["waterfall"]
    assert [stage["name"] for stage in found["stages"]] == ["ANN", "clipped", "ticks", "quantized", "mapped"]
    assert [stage["samples"] for stage in found["stages"]] == [60, 60, 60, 20, 16]
    assert found["stages"][0]["accuracy"] == 1.0
    assert all(stage["accuracy"] > 0.9 for stage in found["stages"])
    assert {loss["layer"] for loss in found["layers"]} == {"hidden"}
    assert all(loss["error"] < 0.05 for loss in found["layers"])
    assert next(loss for loss in found["layers"] if loss["stage"] == "mapped")["error"] == 0
    assert found["largest"]["layer"] == "hidden"
    assert found["curve"]["64"] == found["stages"][2]["accuracy"]
    assert cli("compile", "net/net.yaml", "--target", "loihi", "-o", "net.ncz").code == 0
    evaluation = cli("evaluate", "net.ncz", "--json").document
    assert evaluation["accuracy"]["float"] == found["stages"][2]["accuracy"]


def test_text(cli: Cli) -> None:
    """People get the choices, the steps and the largest loss."""
    result = convert(cli, "--labels", "d.npz#y", "--target", "none", "--normalize", "data", "--ticks", "16")
    assert result.code == 0, result.err
    for text in ("lambda", "16 ticks", "clipped at lambda", "largest loss", "'hidden'"):
        assert text in result.out
    assert "quantized" not in result.out
    network = api.load("net/net.yaml")
    assert not isinstance(network, api.Compiled)
    assert network.ticks == 16


def test_automatic_ticks(cli: Cli) -> None:
    """The fewest ticks that reach the accuracy, and no fewer."""
    options = ("--labels", "d.npz#y", "--timesteps", "auto", "--accuracy", "0.95", "--target", "none", "--json")
    result = convert(cli, *options)
    assert result.code == 0, result.err
    ticks = result.document["ticks"]
    assert result.document["waterfall"]["stages"][-1]["accuracy"] >= 0.95
    if ticks > 1:
        fewer = convert(cli, "--labels", "d.npz#y", "--timesteps", str(ticks - 1), "--target", "none", "--json")
        assert fewer.document["waterfall"]["stages"][-1]["accuracy"] < 0.95


def test_first_spikes(cli: Cli) -> None:
    """Values in times: the same table, a window per layer, and integers and program as exact as with rates."""
    options = (
        "--labels",
        "d.npz#y",
        "--code",
        "ttfs",
        "--timesteps",
        "auto",
        "--accuracy",
        "0.95",
        "--integers",
        "8",
        "--json",
    )
    result = convert(cli, *options)
    assert result.code == 0, result.err
    found = result.document["waterfall"]
    assert found["ticks"] == 2 * found["window"]
    assert [stage["name"] for stage in found["stages"]] == ["ANN", "clipped", "ticks", "quantized", "mapped"]
    assert found["stages"][2]["accuracy"] >= 0.95
    assert [stage["agreement"] for stage in found["stages"][3:]] == [1.0, 1.0]
    assert list(result.document["populations"]) == ["clock", "x", "x_stop", "hidden", "classes"]
    assert convert(cli, *options[:-1]).out.count("times in steps of 1/T") == 1
    assert cli("check", "net/net.yaml", "--target", "loihi").code == 0
    refused = cli("check", "net/net.yaml", "--target", "truenorth")
    assert (refused.code, "NC0313" in refused.out + refused.err) == (4, True)
    result = convert(cli, *options[:3], "ttfs", "--timesteps", "auto", "--accuracy", "1", "--percentile", "5")
    assert (result.code, "no number of ticks up to 62 per layer" in result.err) == (3, True)


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--timesteps", "auto"), 2, "needs labels"),
        (("--timesteps", "soon"), 2, "'soon'"),
        (("--timesteps", "8", "--ticks", "8"), 2, "say the same"),
        (("--accuracy", "0.9"), 2, "add --timesteps auto"),
        (("--scale", "0"), 2, "--scale"),
        (("--reset", "none"), 2, "'subtract' or to 'zero'"),
        (("--dt", "1ms"), 2, "--dt"),
        (("--calibration", "d.npz#other"), 3, "takes [6] per sample"),
        (("--calibration", "d.npz#none"), 3, "none"),
        (("--calibration", "d.npz#negative", "--input", "rate"), 3, "--input current"),
        (("--test", "d.npz#other"), 3, "takes [6] per sample"),
        (("--test", "d.npz#x", "--labels", "d.npz#x"), 3, "one whole number per sample"),
        (("--labels", "d.npz#y", "--scale", "-1"), 2, "above 0"),
        (("--code", "ttfs", "--input", "rate", "--readout", "count"), 2, "--input, --readout: --code ttfs decides this"),
        (("--code", "ttfs", "--reset", "zero"), 2, "--reset: --code ttfs decides this"),
        (("--code", "ttfs", "--normalize", "spikes"), 2, "needs rates"),
        (("--calibration", "d.npz#negative", "--code", "ttfs"), 3, "--input current and --code rate"),
        (("--code", "ttfs", "--timesteps", "80"), 4, "NC0303"),
    ],
)
def test_refused(cli: Cli, options: tuple[str, ...], code: int, text: str) -> None:
    """What does not belong together is said."""
    result = convert(cli, *options)
    assert (result.code, text in result.err) == (code, True), result.err


def test_without_conversion(cli: Cli) -> None:
    """A file of an artificial network says that it needs one; options of conversions need it too."""
    result = cli("import", "ann.onnx", "-o", "net")
    assert (result.code, "--to-snn" in result.err) == (3, True)
    result = cli("import", "ann.onnx", "--normalize", "data", "-o", "net")
    assert (result.code, "add --to-snn" in result.err) == (2, True)
    result = cli("import", "ann.onnx", "--to-snn", "-o", "net")
    assert (result.code, "--calibration" in result.err) == (2, True)
    result = cli("check", "ann.onnx", "--target", "loihi")
    assert (result.code, "--to-snn" in result.err) == (3, True)
