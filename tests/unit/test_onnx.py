"""ONNX files: what is read of them, compared with onnx's own evaluator, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from neurocomp.errors import NetworkError, UsageError
from neurocomp.frontends import from_onnx

Array = NDArray[Any]
RANDOM = np.random.default_rng(0)


def floats(*shape: int, scale: float = 1.0) -> Array:
    """Return random weights."""
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


class Model:
    """Writes a small ONNX model node by node."""

    def __init__(self, shape: Sequence[int | str], opset: int = 17) -> None:
        self.nodes: list[Any] = []
        self.arrays: dict[str, Array] = {}
        self.opset = opset
        self.inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
        self.outputs = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
        self.last = "x"

    def add(self, kind: str, *arrays: Array | str, source: str | None = None, out: str | None = None, **options: Any) -> str:
        """Add a node on the last one (or ``source``), with constants or values behind it; return what it makes."""
        names = [self.last if source is None else source]
        for array in arrays:
            if isinstance(array, str):
                names.append(array)
            else:
                name = f"w{len(self.arrays)}"
                self.arrays[name] = np.asarray(array)
                names.append(name)
        self.last = out or f"v{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, names, [self.last], name=f"{kind.lower()}{len(self.nodes)}", **options))
        return self.last

    def proto(self) -> Any:
        """Return the model; the last value is its output."""
        self.nodes.append(onnx.helper.make_node("Identity", [self.last], ["y"], name="end"))
        initializers = [onnx.numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        graph = onnx.helper.make_graph(self.nodes, "g", self.inputs, self.outputs, initializers)
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)])

    def save(self, folder: Path) -> Path:
        """Write the file."""
        path = folder / "ann.onnx"
        path.write_bytes(self.proto().SerializeToString())
        return path


def normalization(channels: int) -> tuple[Array, Array, Array, Array]:
    """Return scale, bias, mean and variance."""
    return floats(channels) + 1, floats(channels), floats(channels), np.abs(floats(channels)) + np.float32(0.5)


def residual() -> Model:
    """Return a net like those of CIFAR-10: two skip connections, one with a convolution, and batch normalization."""
    m = Model(["batch", 3, 8, 8])
    m.add("Conv", floats(4, 3, 3, 3, scale=0.3), pads=[1, 1, 1, 1])
    m.add("BatchNormalization", *normalization(4))
    first = m.add("Relu")
    m.add("Conv", floats(4, 4, 3, 3, scale=0.3), floats(4), pads=[1, 1, 1, 1])
    m.add("BatchNormalization", *normalization(4))
    m.add("Relu")
    m.add("Conv", floats(4, 4, 3, 3, scale=0.3), pads=[1, 1, 1, 1])
    m.add("BatchNormalization", *normalization(4))
    m.add("Add", first)
    second = m.add("Relu")
    m.add("Conv", floats(8, 4, 3, 3, scale=0.3), strides=[2, 2], pads=[1, 1, 1, 1])
    branch = m.add("BatchNormalization", *normalization(8))
    m.add("Conv", floats(8, 4, 1, 1, scale=0.3), source=second, strides=[2, 2])
    m.add("BatchNormalization", *normalization(8))
    m.add("Add", branch)
    m.add("Relu")
    m.add("GlobalAveragePool")
    m.add("Flatten")
    m.add("Gemm", floats(10, 8), floats(10), transB=1)
    m.add("Softmax", axis=1)
    return m


def branches() -> Model:
    """Return branches that are joined, dropout, clips, pools with padding and constants beside layers."""
    m = Model(["batch", 2, 6, 6])
    start = m.add("Relu")
    a = m.add("Conv", floats(3, 2, 3, 3), floats(3), auto_pad="SAME_UPPER")
    m.add("Conv", floats(2, 1, 3, 3), source=start, group=2, pads=[1, 1, 1, 1], dilations=[1, 1])
    b = m.add("Mul", floats(2, 1, 1))
    m.add("Concat", b, source=a, axis=1)
    m.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=0)
    m.add("Conv", floats(4, 5, 3, 3, scale=0.3), pads=[1, 1, 1, 1])
    m.add("Clip", np.float32(0), np.float32(1.5))
    joined = m.add("AveragePool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1)
    m.add("Concat", joined, axis=-3)
    m.add("Dropout")
    m.add("Reshape", np.array([0, -1], np.int64))
    m.add("MatMul", floats(8 * 4 * 4, 7, scale=0.2))
    m.add("Add", floats(7))
    m.add("Relu")
    m.add("Sub", floats(7))
    m.add("Div", np.float32(2))
    m.add("Gemm", floats(7, 5), floats(1, 5), alpha=0.5, beta=2.0)
    return m


def shaped() -> Model:
    """Return a network whose reshape is computed as exporters write it, in one dimension."""
    m = Model([1, 2, 12])
    m.add("Conv", floats(3, 2, 3), floats(3), strides=[2])
    m.add("Relu")
    last = m.add("MaxPool", kernel_shape=[2], strides=[2])
    m.add("Shape")
    m.add("Gather", np.array(0, np.int64), axis=0)
    m.add("Unsqueeze", np.array([0], np.int64))
    shape = m.add("Concat", np.array([-1], np.int64), axis=0)
    m.add("Reshape", shape, source=last)
    m.add("Unsqueeze", np.array([2], np.int64))
    m.add("Squeeze", np.array([2], np.int64))
    m.add("Gemm", floats(6, 4), floats(4))
    return m


@pytest.mark.parametrize("make", [residual, branches, shaped])
def test_forward_agrees_with_onnx(make: Callable[[], Model], tmp_path: Path) -> None:
    """The layers compute what the evaluator of onnx computes, up to the order of float32 sums."""
    from onnx.reference import ReferenceEvaluator

    model = make()
    path = model.save(tmp_path)
    graph = from_onnx.read(path)
    samples = 1 if make is shaped else 3
    x = floats(samples, *graph.input.shape)
    expected: Any = ReferenceEvaluator(str(path)).run(None, {"x": x})
    expected = expected[0]
    found = next(graph.forward(x.reshape(samples, -1), record=(graph.output,)))[graph.output]
    if make is residual:  # the Softmax is removed
        shown = np.exp(found - found.max(axis=1, keepdims=True))
        found = shown / shown.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected.reshape(samples, -1), rtol=1e-4, atol=1e-4)


def test_batch_normalization_is_folded(tmp_path: Path) -> None:
    """A normalization behind a convolution leaves no layer."""
    graph = from_onnx.read(residual().save(tmp_path))
    assert not [layer for layer in graph.layers.values() if layer.pattern is not None and layer.pattern.kind == "scale"]
    assert any("batch normalization" in what for _, what, _ in graph.notes)


def conv(m: Model) -> None:
    """Add a convolution that fits."""
    m.add("Conv", floats(2, 3, 3, 3))


def nan_weights() -> Model:
    m = image()
    w = floats(2, 3, 3, 3)
    w[0, 1, 2, 0] = np.nan
    m.add("Conv", w)
    return m


def image() -> Model:
    return Model([1, 3, 8, 8])


def with_nodes(*nodes: tuple[str, tuple[Any, ...], dict[str, Any]], shape: Sequence[int | str] = (1, 3, 8, 8)) -> Model:
    """Return a model of a chain of nodes."""
    m = Model(shape)
    for kind, arrays, options in nodes:
        m.add(kind, *arrays, **options)
    return m


def two_inputs() -> Model:
    m = image()
    m.inputs.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 3]))
    m.add("Relu")
    return m


def two_outputs() -> Model:
    m = image()
    m.outputs.append(onnx.helper.make_tensor_value_info("v0", onnx.TensorProto.FLOAT, None))
    m.add("Relu")
    return m


def no_maker() -> Model:
    m = image()
    m.add("Relu", source="nowhere")
    return m


def whole_input() -> Model:
    m = image()
    m.inputs[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    m.add("Relu")
    return m


def without_shape() -> Model:
    m = image()
    m.inputs[0].type.tensor_type.ClearField("shape")
    m.add("Relu")
    return m


def missing_weights() -> Model:
    m = image()
    m.add("Conv", "nothing")
    return m


def computed_weights() -> Model:
    m = Model([1, 4])
    first = m.add("Relu")
    m.add("MatMul", first)
    return m


def other_domain() -> Model:
    m = image()
    m.add("Relu")
    m.nodes[-1].domain = "com.example"
    return m


def only_identity() -> Model:
    return image()


ODD: dict[str, tuple[Callable[[], Model], str, str]] = {
    "sigmoid": (lambda: with_nodes(("Sigmoid", (), {}), ("Relu", (), {})), "NC0349", "use ReLU"),
    "leaky": (lambda: with_nodes(("LeakyRelu", (), {})), "NC0349", "use ReLU"),
    "softmax within": (lambda: with_nodes(("Softmax", (), {}), ("Relu", (), {})), "NC0349", "within a network"),
    "unknown operator": (lambda: with_nodes(("FooBar", (), {})), "NC0349", "docs/ann-to-snn.md"),
    "lstm": (lambda: with_nodes(("LSTM", (floats(1, 4, 3), floats(1, 4, 1)), {"hidden_size": 1})), "NC0349", "feed-forward"),
    "other domain": (other_domain, "NC0349", "com.example"),
    "nan": (nan_weights, "NC0204", "the kernel[0, 1, 2, 0] is nan"),
    "infinite bias": (
        lambda: with_nodes(("Conv", (floats(2, 3, 3, 3), np.array([0, np.inf], np.float32)), {})), "NC0204", "[1] is inf",
    ),
    "channels": (lambda: with_nodes(("Conv", (floats(2, 4, 3, 3),), {})), "NC0202", "takes 4 channels, 'x' has 3"),
    "groups": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3),), {"group": 2})), "NC0202", "2 groups"),
    "conv bias": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3), floats(3)), {})), "NC0202", "the bias has the shape [3]"),
    "window too large": (lambda: with_nodes(("Conv", (floats(2, 3, 9, 9),), {})), "NC0202", "conv2d"),
    "kernel_shape": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3),), {"kernel_shape": [5, 5]})), "NC0202", "kernel_shape"),
    "uneven padding": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3),), {"pads": [0, 0, 1, 1]})), "NC0349", "both ends"),
    "conv3d": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3, 3),), {})), "NC0202", "3 axes"),
    "dense on image": (lambda: with_nodes(("Gemm", (floats(8, 4),), {})), "NC0202", "put a Flatten in front"),
    "dense size": (lambda: with_nodes(("Flatten", (), {}), ("Gemm", (floats(7, 4),), {})), "NC0202", "takes 7 values"),
    "transA": (lambda: with_nodes(("Flatten", (), {}), ("Gemm", (floats(192, 4),), {"transA": 1})), "NC0349", "transA"),
    "missing weights": (missing_weights, "NC0203", "'nothing', is no array of the file"),
    "computed weights": (computed_weights, "NC0349", "is computed by the network"),
    "product of layers": (lambda: with_nodes(("Relu", (), {}), ("Mul", ("x",), {})), "NC0349", "product of two layers"),
    "add of other shapes": (
        lambda: with_nodes(("Conv", (floats(3, 3, 3, 3),), {}), ("Add", ("x",), {})), "NC0202", "layers of the shapes",
    ),
    "constant of another shape": (lambda: with_nodes(("Add", (floats(5),), {})), "NC0202", "the constant has the shape [5]"),
    "negative clip": (
        lambda: with_nodes(("Clip", (np.float32(-1), np.float32(1)), {})), "NC0349", "its lower bound is -1",
    ),
    "clip to nothing": (lambda: with_nodes(("Clip", (np.float32(0), np.float32(0)), {})), "NC0209", "its upper bound is 0"),
    "variance": (
        lambda: with_nodes(("BatchNormalization", (floats(3), floats(3), floats(3), np.full(3, -1, np.float32)), {})),
        "NC0209", "variance is -1",
    ),
    "normalization of other channels": (
        lambda: with_nodes(("BatchNormalization", normalization(4), {})), "NC0202", "the layer 3 channels",
    ),
    "reshape of the batch": (
        lambda: with_nodes(("Reshape", (np.array([3, 64], np.int64),), {})), "NC0202", "does not keep the samples",
    ),
    "reshape to another size": (
        lambda: with_nodes(("Reshape", (np.array([1, 100], np.int64),), {})), "NC0202", "does not keep the samples",
    ),
    "transpose": (lambda: with_nodes(("Transpose", (), {"perm": [0, 2, 3, 1]})), "NC0349", "it moves values"),
    "flatten of the batch": (lambda: with_nodes(("Flatten", (), {"axis": 0})), "NC0349", "axis 0"),
    "concat of samples": (lambda: with_nodes(("Relu", (), {}), ("Concat", ("x",), {"axis": 0})), "NC0349", "joins samples"),
    "dilated pool": (
        lambda: with_nodes(("MaxPool", (), {"kernel_shape": [2, 2], "dilations": [2, 2]})), "NC0349", "dilated",
    ),
    "ceil": (
        lambda: with_nodes(("AveragePool", (), {"kernel_shape": [3, 3], "strides": [3, 3], "ceil_mode": 1})),
        "NC0349", "ceil_mode",
    ),
    "two inputs": (two_inputs, "NC0119", "2 inputs: x, z"),
    "two outputs": (two_outputs, "NC0119", "2 outputs"),
    "input from nowhere": (no_maker, "NC0218", "nothing makes its input 'nowhere'"),
    "dynamic shape": (lambda: with_nodes(("Relu", (), {}), shape=["n", 3, "h", "w"]), "NC0202", "leaves the extents h, w open"),
    "rank": (lambda: with_nodes(("Relu", (), {}), shape=[1, 2, 3, 4, 5]), "NC0202", "rank 5"),
    "no shape": (without_shape, "NC0202", "has no shape"),
    "whole numbers": (whole_input, "NC0207", "int64"),
    "a word for a number": (lambda: with_nodes(("Flatten", (), {"axis": "one"})), "NC0104", "axis is 'one'"),
    "a word for strides": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3),), {"strides": "ab"})), "NC0104", "strides is 'ab'"),
    "one stride": (lambda: with_nodes(("Conv", (floats(2, 3, 3, 3),), {"strides": 2})), "NC0104", "strides is 2; a list"),
    "alpha": (
        lambda: with_nodes(("Flatten", (), {}), ("Gemm", (floats(192, 4),), {"alpha": float("nan")})), "NC0104", "alpha is nan",
    ),
    "a shape of real numbers": (
        lambda: with_nodes(("Reshape", (np.array([1, np.nan]),), {})), "NC0207", "the shape has the dtype float64",
    ),
    "no stride": (
        lambda: with_nodes(("MaxPool", (), {"kernel_shape": [2, 2], "strides": [0, 0], "ceil_mode": 1})), "NC0209", "1 or more",
    ),
    "an axis beyond": (lambda: with_nodes(("Squeeze", (np.array([7]),), {})), "NC0202", "the axes [7]"),
    "nothing": (only_identity, "NC0218", "is the input"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_files(name: str, tmp_path: Path) -> None:
    """Each problem names the file, says what is wrong, and has a hint."""
    make, code, text = ODD[name]
    with pytest.raises(NetworkError) as caught:
        from_onnx.read(make().save(tmp_path))
    found = caught.value.diagnostics
    assert len(found) == 1
    assert found[0].code == code
    assert "ann.onnx" in found[0].render()
    assert text in found[0].render()
    assert found[0].hint


@pytest.mark.parametrize("kind", ["Shape", "Sigmoid", "Relu", "Constant"])
def test_nodes_without_an_output(kind: str, tmp_path: Path) -> None:
    """A node that makes nothing is named."""
    m = image()
    conv(m)
    m.add(kind)
    m.nodes[-1].ClearField("output")
    m.last = "v0"
    with pytest.raises(NetworkError, match="it has no output"):
        from_onnx.read(m.save(tmp_path))


def test_windows_that_end_with_the_layer(tmp_path: Path) -> None:
    """ceil_mode changes nothing where windows fit; without strides they move by 1, as ONNX has it."""
    m = with_nodes(("Relu", (), {}), ("AveragePool", (), {"kernel_shape": [3, 3], "ceil_mode": 1}))
    graph = from_onnx.read(m.save(tmp_path))
    assert graph.layers[graph.output].shape == (3, 6, 6)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every node with a problem of its own is named, those behind it are not."""
    m = image()
    first = m.add("Conv", floats(2, 4, 3, 3))
    m.add("Relu")
    m.add("Sigmoid", source="x")
    m.add("Add", first)
    with pytest.raises(NetworkError) as caught:
        from_onnx.read(m.save(tmp_path))
    assert [d.message.split("'")[1] for d in caught.value.diagnostics] == ["conv0", "sigmoid2"]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    """A file of something else is said to be none."""
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(NetworkError) as caught:
        from_onnx.read(path)
    assert caught.value.diagnostics[0].code == "NC0119"


def test_truncated_file(tmp_path: Path) -> None:
    """Half of a file is refused, whatever is lost."""
    path = residual().save(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NetworkError):
        from_onnx.read(path)


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a folder."""
    for path in (tmp_path / "no.onnx", tmp_path):
        with pytest.raises(NetworkError) as caught:
            from_onnx.read(path)
        assert caught.value.diagnostics[0].code == "NC0101"


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error names the extra."""
    path = residual().save(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match=r"neurocomp\[onnx\]"):
        from_onnx.read(path)


def test_load_asks_for_a_conversion(tmp_path: Path) -> None:
    """An artificial network is not compiled as it is."""
    with pytest.raises(NetworkError, match="--to-snn"):
        from_onnx.load(residual().save(tmp_path))
