"""ONNX files: an artificial network becomes a `neurocomp.conversion.Graph` of layers with arrays in float64.

docs/ann-to-snn.md says which operators are read. The shapes of a graph have no batch, the first axis of a file's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite, prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neurocomp.conversion.graph import Graph, Layer
from neurocomp.errors import Diagnostic, Location, NetworkError, UsageError
from neurocomp.frontends.files import content
from neurocomp.frontends.reading import NOTHING_SAID, Reading
from neurocomp.models.patterns import PATTERNS, IntArray, Pattern, Shape, size_of

Array = NDArray[Any]

BATCH = -1
"""What stands for the number of samples in shapes that the file computes."""
LARGEST_LAYER = 1 << 27
"""Values of the largest layer or array that is read."""

_HINTS: Mapping[str, str] = {
    **dict.fromkeys(("LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "HardSwish", "Mish", "Sigmoid", "Tanh", "HardSigmoid"),
                    "rates are not negative and grow in a line: use ReLU, or Clip from 0, and train again"),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Loop", "Scan", "If"), "only feed-forward networks convert"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "DynamicQuantizeLinear",
                     "ConvInteger", "MatMulInteger"), "export the network before its quantization, in float32"),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax"), "at the end it is removed; within a network it does not convert"),
    **dict.fromkeys(("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "LpNormalization",
                     "ReduceMean"), "it divides by what it measures; use BatchNormalization, which folds into weights"),
    "Pad": "let the padding be that of the convolution",
    "Transpose": "keep the order of the axes; a matrix behind it can be reordered before the export",
    "ConvTranspose": "use a convolution",
    "Mul": "only a factor that is constant converts, not the product of two layers",
    "Div": "only a divisor that is constant converts",
    "Sub": "only a constant can be subtracted",
    "Einsum": "write it as MatMul or Gemm",
    "Resize": "use a convolution or pooling",
    "Attention": "products of two layers do not convert",
}  # fmt: skip
_REMOVED = ("Identity", "Dropout", "Cast")
_AT_THE_END = ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax")


def load(path: Path, reading: Reading = NOTHING_SAID) -> NoReturn:
    """Refuse a file that is not converted.

    Raises:
        NetworkError: What `read` raises, or that a conversion is needed (NC0219).
    """
    read(path)
    message = "the file holds an artificial network, which is no network of neurons that spike"
    hint = f"convert it: neurocomp import {path.name} --to-snn --calibration DATA.npz#KEY -o {path.stem}/"
    raise NetworkError(Diagnostic("NC0219", message, Location(path.name), hint=hint))


def read(path: Path) -> Graph:
    """Read a file.

    Raises:
        UsageError: The package ``onnx`` is not installed (NC0801).
        NetworkError: The file cannot be read (NC0101), is no ONNX model (NC0119), or all that its nodes have: operators that
            do not convert (NC0349), shapes that do not fit or are not known (NC0202), missing arrays (NC0203), values that
            are not finite (NC0204), dtypes (NC0207), attributes (NC0104, NC0209), edges (NC0218).
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "onnx":
            raise
        message = f"'{path.name}' is read by the package onnx, which is not installed"
        raise UsageError(Diagnostic("NC0801", message, hint="install the extra: pip install 'neurocomp[onnx]'")) from None
    name = path.name
    stored = content(path, "*.onnx", "net.onnx")
    try:
        model = onnx.load_model_from_string(stored)
        if not model.graph.node:
            raise ValueError("it holds no nodes" if stored else "it is empty")
    except Exception as error:  # protobuf's own classes differ between its implementations
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        message = f"the file is no ONNX model: {reason}"
        hint = "write it with torch.onnx.export(...) or onnx.save(...), or copy it again"
        raise NetworkError(Diagnostic("NC0119", message, Location(name), hint=hint)) from None
    return _Reader(onnx, model, path).graph()


class _Bad(Exception):
    """What is wrong with one node: (code, message, hint)."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)


class _Skip(Exception):
    """A node takes what has a problem itself."""


class _Reader:
    """Reads one model."""

    def __init__(self, onnx: Any, model: Any, path: Path) -> None:
        self.onnx, self.model, self.path = onnx, model, path
        self.where = Location(path.name)
        self.problems: list[Diagnostic] = []
        self.layers: dict[str, Layer] = {}
        self.of: dict[str, str] = {}
        """Name of a value in the file -> the layer that makes it."""
        self.constants: dict[str, Array] = {}
        self.lost: set[str] = set()
        """Values of nodes with problems."""
        self.missing: dict[str, str] = {}
        """Arrays that could not be read -> why."""
        self.notes: list[tuple[str, str, str]] = []
        self.batch: int | None = None
        self.node: Any = None
        self.opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)

    def bad(self, code: str, message: str, hint: str | None = None) -> None:
        """Note a problem."""
        self.problems.append(Diagnostic(code, message, self.where, hint=hint))

    def graph(self) -> Graph:
        """Return the network, or raise all problems."""
        graph = self.model.graph
        self._arrays(graph)
        self._input(graph)
        users: dict[str, int] = {}
        for node in graph.node:
            for value in node.input:
                users[value] = users.get(value, 0) + 1
        self.users = users
        for number, node in enumerate(graph.node):
            self.node, self.number = node, number
            try:
                self._read(node)
            except _Skip:
                self.lost.update(filter(None, node.output))
            except _Bad as error:
                self.lost.update(filter(None, node.output))
                code, message, hint = error.args
                self.bad(code, f"{self.what}: {message}", hint)
        output = self._output(graph)
        if self.problems:
            raise NetworkError(self.problems)
        kept = self._needed(output)
        return Graph(self.path.name, MappingProxyType(kept), output, tuple(self.notes))

    @property
    def label(self) -> str:
        """The name of the node, or its number."""
        return self.node.name or f"{self.node.op_type}_{self.number}"

    @property
    def what(self) -> str:
        """The node, for messages."""
        return f"node '{self.label}' ({self.node.op_type})"

    # the ends and the arrays

    def _arrays(self, graph: Any) -> None:
        """Read the initializers."""
        for tensor in graph.initializer:
            self._tensor(tensor.name, tensor)
        if graph.sparse_initializer:
            self.bad("NC0207", "the file holds sparse arrays", "store them as dense ones")

    def _tensor(self, name: str, tensor: Any) -> None:
        """Read one array; what cannot be read is a problem of the nodes that need it."""
        try:
            if prod(tensor.dims) > LARGEST_LAYER:
                raise ValueError(f"it has {prod(tensor.dims):,} values; {LARGEST_LAYER:,} are read at most")
            if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
                self.onnx.external_data_helper.load_external_data_for_tensor(tensor, str(self.path.parent))
            array = self.onnx.numpy_helper.to_array(tensor)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            self.missing[name] = reason
            return
        if array.dtype.kind not in "fiub" and array.dtype.itemsize <= 2 and tensor.data_type == self.onnx.TensorProto.BFLOAT16:
            array = array.astype(np.float32)
        self.constants[name] = np.asarray(array)

    def _input(self, graph: Any) -> None:
        entries = [entry for entry in graph.input if entry.name not in self.constants and entry.name not in self.missing]
        if len(entries) != 1:
            names = ", ".join(entry.name for entry in entries) or "none"
            self.bad("NC0119", f"the network has {len(entries)} inputs: {names}; one is needed", "export it with one input")
            self.lost.update(entry.name for entry in entries)
            return
        entry, kind = entries[0], entries[0].type.tensor_type
        what = f"input '{entry.name}'"
        self.lost.add(entry.name)
        if not entry.type.HasField("tensor_type") or not kind.HasField("shape"):
            self.bad("NC0202", f"{what} has no shape", "export it with the shape of a sample")
            return
        dims = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]
        if len(dims) not in (2, 3, 4):
            hint = "give it (batch, features), (batch, channels, length) or (batch, channels, height, width)"
            self.bad("NC0202", f"{what} has the rank {len(dims)}; 2 to 4 are read, batch first", hint)
            return
        dynamic = [str(d) for d in dims[1:] if not isinstance(d, int)]
        if dynamic:
            hint = "export it with fixed extents; only the batch may be left open"
            self.bad("NC0202", f"{what} leaves the extents {', '.join(dynamic)} open", hint)
            return
        shape = tuple(int(d) for d in dims[1:])
        if min(shape) < 1 or prod(shape) > LARGEST_LAYER:
            self.bad("NC0209", f"{what} has the extents {list(shape)}", "extents are whole numbers from 1 on")
            return
        if kind.elem_type not in (self.onnx.TensorProto.FLOAT, self.onnx.TensorProto.DOUBLE, self.onnx.TensorProto.FLOAT16,
                                  self.onnx.TensorProto.BFLOAT16):  # fmt: skip
            word = self.onnx.TensorProto.DataType.Name(kind.elem_type)
            self.bad("NC0207", f"{what} has the dtype {word.lower()}; real numbers are needed", "export it in float32")
            return
        self.batch = dims[0] if isinstance(dims[0], int) else None
        self.lost.discard(entry.name)
        self.layers[entry.name] = Layer(entry.name, "input", (), shape)
        self.of[entry.name] = entry.name

    def _output(self, graph: Any) -> str:
        names = [entry.name for entry in graph.output]
        if len(names) != 1:
            joined = ", ".join(names) or "none"
            self.bad("NC0119", f"the network has {len(names)} outputs: {joined}; one is needed", "export it with one output")
            return ""
        if names[0] in self.of:
            found = self.of[names[0]]
            if self.layers[found].kind == "input":
                self.bad("NC0218", f"output '{names[0]}' is the input", "a layer is needed between them")
            return found
        if names[0] not in self.lost:
            self.bad("NC0218", f"no node makes the output '{names[0]}'", "export it again")
        return ""

    def _needed(self, output: str) -> dict[str, Layer]:
        """Return the layers that lead to the output."""
        needed = {output}
        for name in reversed(self.layers):
            if name in needed:
                needed.update(self.layers[name].inputs)
        unused = [name for name in self.layers if name not in needed]
        if unused:
            self.notes.append((self.path.name, f"without {', '.join(unused)}", "they do not lead to the output"))
        return {name: layer for name, layer in self.layers.items() if name in needed}

    # what nodes take

    def source(self, index: int = 0) -> Layer:
        """Return the layer that an input of the node is."""
        if index >= len(self.node.input) or not self.node.input[index]:
            raise _Bad("NC0105", f"its input {index} is missing", "export it again")
        name = self.node.input[index]
        if name in self.lost:
            raise _Skip
        if name in self.of:
            return self.layers[self.of[name]]
        if name in self.constants:
            raise _Bad("NC0349", f"its input '{name}' is a constant, not a layer", "export it with constants folded")
        if name in self.missing:
            raise _Bad("NC0203", f"the array '{name}' cannot be read: {self.missing[name]}", "store it in the file")
        raise _Bad("NC0218", f"nothing makes its input '{name}', and no array of the file has the name", "export it again")

    def is_layer(self, index: int) -> bool:
        """Return whether an input of the node is a layer, not a constant."""
        name = self.node.input[index] if index < len(self.node.input) else ""
        return name in self.of or name in self.lost

    def array(self, index: int, what: str, optional: bool = False) -> Array | None:
        """Return a constant that the node takes."""
        name = self.node.input[index] if index < len(self.node.input) else ""
        if not name:
            if optional:
                return None
            raise _Bad("NC0203", f"{what} is missing", "export it again")
        if name in self.lost:
            raise _Skip
        if name in self.of:
            hint = "only weights that are constant convert"
            raise _Bad("NC0349", f"{what}, '{name}', is computed by the network", hint)
        if name not in self.constants:
            reason = self.missing.get(name)
            message = f"{what}, '{name}', is no array of the file" if reason is None else f"{what}, '{name}': {reason}"
            raise _Bad("NC0203", message, "export it with its weights in the file")
        return self.constants[name]

    def numbers(self, index: int, what: str, optional: bool = False) -> Array | None:
        """Return a constant of finite real numbers, in float64."""
        found = self.array(index, what, optional)
        if found is None:
            return None
        if found.dtype.kind not in "fiu":
            raise _Bad("NC0207", f"{what} has the dtype {found.dtype}; numbers are needed", "store it as float32")
        values = np.asarray(found, np.float64)
        if not np.isfinite(values).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            place = f"[{', '.join(map(str, at))}]" if at else ""
            raise _Bad("NC0204", f"{what}{place} is {values[at]}", "find out in training where it comes from")
        return values

    def need(self, index: int, what: str) -> Array:
        """Return `numbers` that must be there."""
        found = self.numbers(index, what)
        assert found is not None
        return found

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the node."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = self.onnx.helper.get_attribute_value(attribute)
                return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return default

    def whole(self, name: str, default: int) -> int:
        """Return an attribute that is one whole number."""
        value = self.attribute(name, default)
        if not isinstance(value, int):
            raise _Bad("NC0104", f"{name} is {value!r}; a whole number is needed", "export it again")
        return value

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return an attribute that is a list of whole numbers; one that is not there is empty."""
        value = self.attribute(name, ())
        if not isinstance(value, Sequence) or not all(isinstance(v, int) for v in value):
            raise _Bad("NC0104", f"{name} is {value!r}; a list of whole numbers is needed", "export it again")
        return tuple(value)

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is one finite number."""
        value = self.attribute(name, default)
        if not isinstance(value, (int, float)) or not isfinite(value):
            raise _Bad("NC0104", f"{name} is {value!r}; a finite number is needed", "export it again")
        return float(value)

    def extents(self, index: int, what: str) -> list[int]:
        """Return a constant of whole numbers, such as a shape, as a list."""
        found = np.asarray(self.array(index, what))
        if found.dtype.kind not in "iu":
            raise _Bad("NC0207", f"{what} has the dtype {found.dtype}; whole numbers are needed", "store it as int64")
        return [int(v) for v in found.reshape(-1)]

    # what nodes make

    def put(self, layer: Layer) -> None:
        """Add a layer, which is the node's first output."""
        if layer.size > LARGEST_LAYER:
            raise _Bad("NC0209", f"it makes {layer.size:,} values; {LARGEST_LAYER:,} are read at most")
        self.layers[layer.name] = layer
        self.of[self.node.output[0]] = layer.name

    def same(self, layer: Layer) -> None:
        """Let the node's output be a layer as it is."""
        self.of[self.node.output[0]] = layer.name

    def fresh(self) -> str:
        """Return a name for a layer of this node."""
        name, number = self.label, 2
        while name in self.layers:
            name, number = f"{self.label}_{number}", number + 1
        return name

    def linear(self, source: Layer, pattern: Pattern, weights: Array, shape: Shape, bias: Array | None = None) -> None:
        """Add a weighted sum; the pattern is checked."""
        problem = PATTERNS[pattern.kind].problem(pattern, source.shape, shape)
        if problem is None and min(shape, default=0) < 1:
            problem = f"it makes {list(shape)} of {list(source.shape)}"
        if problem is not None:
            raise _Bad("NC0202", problem, "correct the shapes")
        flat = None if bias is None else np.ascontiguousarray(np.broadcast_to(bias, shape), np.float64).reshape(-1)
        self.put(Layer(self.fresh(), "linear", (source.name,), shape, pattern, weights, flat))

    def _read(self, node: Any) -> None:
        if not node.output or not node.output[0]:
            raise _Bad("NC0105", "it has no output", "export it again")
        if len(set(node.output)) < len(node.output) or any(value in self.of for value in node.output):
            raise _Bad("NC0206", f"'{node.output[0]}' is made twice", "export it again")
        if node.domain not in ("", "ai.onnx"):
            raise _Bad("NC0349", f"the operators of '{node.domain}' are not read", "export it with ONNX's own operators")
        kind = node.op_type
        if kind == "Constant":
            self._constant()
        elif kind in _SHAPES and not (kind in ("Concat", "Squeeze", "Unsqueeze", "Cast") and self.is_layer(0)):
            self._folded()
        elif kind in _OPERATORS:
            _OPERATORS[kind](self)
        elif kind in _AT_THE_END and self._is_last():
            self.same(self.source())
            self.notes.append((self.label, f"{kind} removed", "the answer is the same"))
        else:
            hint = _HINTS.get(kind, "docs/ann-to-snn.md lists the operators that convert")
            raise _Bad("NC0349", "the operator does not convert", hint)

    def _is_last(self) -> bool:
        """Return whether nothing but the output takes what the node makes."""
        value, ends = self.node.output[0], {entry.name for entry in self.model.graph.output}
        for node in self.model.graph.node:
            if value in node.input:
                if node.op_type not in _REMOVED or value in ends:
                    return False
                value = node.output[0]
        return value in ends

    def _constant(self) -> None:
        for attribute in self.node.attribute:
            value = self.onnx.helper.get_attribute_value(attribute)
            if attribute.name == "value":
                self._tensor(self.node.output[0], value)
            elif attribute.name.startswith("value_") and not isinstance(value, bytes):
                self.constants[self.node.output[0]] = np.asarray(value)

    def _folded(self) -> None:
        """Compute what exporters make of shapes; the batch is `BATCH`."""
        node, name = self.node, self.node.output[0]
        if node.op_type == "Shape":
            self.constants[name] = np.array([BATCH, *self.source().shape], np.int64)
            return
        values = [self.array(index, f"input {index}") for index in range(len(node.input))]
        first = np.asarray(values[0])
        try:
            match node.op_type:
                case "Gather":
                    found = np.take(first, np.asarray(values[1]), axis=self.whole("axis", 0))
                case "Concat":
                    found = np.concatenate([np.asarray(v) for v in values], axis=self.whole("axis", 0))
                case "Unsqueeze":
                    axes = self.wholes("axes") if len(values) < 2 else self.extents(1, "the axes")
                    found = np.expand_dims(first, tuple(axes))
                case "Squeeze":
                    found = np.squeeze(first)
                case _:
                    found = first
        except (ValueError, IndexError, TypeError) as error:
            raise _Bad("NC0202", f"its constants do not fit: {error}", "export it with constants folded") from None
        self.constants[name] = np.asarray(found)

    # operators

    def _gemm(self) -> None:
        source, weights = self.source(), self.need(1, "the matrix")
        if self.whole("transA", 0):
            raise _Bad("NC0349", "transA turns the samples", "export it without transA")
        if weights.ndim != 2 or len(source.shape) != 1:
            message = f"a matrix of the shape {list(weights.shape)} on {list(source.shape)}; (features,) and 2 axes are needed"
            raise _Bad("NC0202", message, "put a Flatten in front of it")
        matrix = weights if self.whole("transB", 0) else weights.T
        matrix = matrix * self.real("alpha", 1.0)
        bias = self.numbers(2, "the bias", optional=True)
        if bias is not None:
            bias = bias * self.real("beta", 1.0)
        self._dense(source, matrix, bias)

    def _matmul(self) -> None:
        if not self.is_layer(0) and self.is_layer(1):
            raise _Bad("NC0349", "its first factor is a constant", "the layer is the first factor, the matrix the second")
        source, weights = self.source(), self.need(1, "the matrix")
        if weights.ndim != 2 or len(source.shape) != 1:
            message = f"a matrix of the shape {list(weights.shape)} on {list(source.shape)}; (features,) and 2 axes are needed"
            raise _Bad("NC0202", message, "put a Flatten in front of it")
        self._dense(source, weights.T, None)

    def _dense(self, source: Layer, matrix: Array, bias: Array | None) -> None:
        if matrix.shape[1] != source.size:
            message = f"the matrix takes {matrix.shape[1]} values, '{source.name}' has {source.size}"
            raise _Bad("NC0202", message, "correct the shapes")
        shape = (matrix.shape[0],)
        self.linear(source, Pattern("dense"), np.ascontiguousarray(matrix), shape, self._fitted(bias, shape, "the bias"))

    def _fitted(self, values: Array | None, shape: Shape, what: str) -> Array | None:
        """Return a constant as it is added to or multiplied with a layer, in the layer's shape."""
        if values is None:
            return None
        if values.ndim == len(shape) + 1 and values.shape[0] == 1:
            values = values[0]
        try:
            fits = tuple(np.broadcast_shapes(values.shape, shape)) == tuple(shape)
        except ValueError:
            fits = False
        if not fits:
            raise _Bad("NC0202", f"{what} has the shape {list(values.shape)}, the layer {list(shape)}", "correct the shapes")
        return np.broadcast_to(values, shape)

    def _window(self, source: Layer, kernel: Shape, what: str) -> dict[str, tuple[int, ...]]:
        """Return stride, padding and dilation of a window."""
        dims = len(kernel)
        if len(source.shape) != dims + 1 or dims not in (1, 2):
            axes = {1: "(channels, length)", 2: "(channels, height, width)"}.get(dims, f"{dims} axes")
            message = f"a window over {dims} axes on a layer of the shape {list(source.shape)}"
            raise _Bad("NC0202", message, f"it needs {axes}" if dims in (1, 2) else "1 or 2 axes are read")

        def values(name: str, default: int, count: int) -> tuple[int, ...]:
            found = self.wholes(name) or (default,) * count
            if len(found) != count:
                raise _Bad("NC0104", f"{name} has {len(found)} values, {what} needs {count}", "export it again")
            return found

        stride, dilation = values("strides", 1, dims), values("dilations", 1, dims)
        pads = values("pads", 0, 2 * dims)
        if min((*kernel, *stride, *dilation), default=1) < 1 or min(pads) < 0:
            raise _Bad("NC0209", "kernel, strides and dilations are 1 or more, pads 0 or more", "export it again")
        mode = self.attribute("auto_pad", "NOTSET")
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            extents = zip(source.shape[1:], kernel, stride, dilation, strict=True)
            whole = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n) for n, k, s, d in extents]
            begins = [(w // 2 if mode == "SAME_UPPER" else w - w // 2) for w in whole]
            pads = (*begins, *(w - b for w, b in zip(whole, begins, strict=True)))
        elif mode == "VALID":
            pads = (0,) * (2 * dims)
        elif mode != "NOTSET":
            raise _Bad("NC0104", f"auto_pad is '{mode}'", "export it with pads")
        if pads[:dims] != pads[dims:]:
            message = f"its padding, {list(pads)}, is not the same at both ends"
            raise _Bad("NC0349", message, "use a padding of the same width at both ends, such as an odd kernel with stride 1")
        return {"stride": stride, "padding": pads[:dims], "dilation": dilation}

    def _convolution(self) -> None:
        source, weights = self.source(), self.need(1, "the kernel")
        if weights.ndim < 3:
            raise _Bad("NC0202", f"the kernel has the shape {list(weights.shape)}", "(out, in, *window) is needed")
        dims = weights.ndim - 2
        stated = self.wholes("kernel_shape")
        if stated and stated != weights.shape[2:]:
            raise _Bad("NC0202", f"kernel_shape is {list(stated)}, the kernel {list(weights.shape)}", "export it again")
        options = self._window(source, weights.shape[2:], "the convolution")
        groups = self.whole("group", 1)
        if groups < 1 or source.shape[0] % groups or weights.shape[0] % groups:
            message = f"{groups} groups do not divide {source.shape[0]} and {weights.shape[0]} channels"
            raise _Bad("NC0202", message, "correct 'group'")
        if weights.shape[1] * groups != source.shape[0]:
            message = f"the kernel takes {weights.shape[1] * groups} channels, '{source.name}' has {source.shape[0]}"
            raise _Bad("NC0202", message, "correct the shapes")
        pattern = Pattern(f"conv{dims}d", {}, {"kernel": weights.shape[2:], **options, "groups": (groups,)})
        shape = PATTERNS[pattern.kind].output_shape(pattern, source.shape, weights.shape) or ()
        bias = self.numbers(2, "the bias", optional=True)
        if bias is not None:
            if bias.shape != weights.shape[:1]:
                message = (
                    f"the bias has the shape {list(bias.shape)}; one value for each of {weights.shape[0]} channels is needed"
                )
                raise _Bad("NC0202", message, "correct the shapes")
            bias = bias.reshape(-1, *(1,) * dims)
        self.linear(source, pattern, weights, shape, bias)

    def _batch_normalization(self) -> None:
        source = self.source()
        if self.whole("training_mode", 0):
            raise _Bad("NC0349", "it is in training mode", "call model.eval() before the export")
        names = ("scale", "bias", "mean", "variance")
        gamma, beta, mean, variance = (self.need(index + 1, name) for index, name in enumerate(names))
        channels = source.shape[:1]
        for name, values in zip(names, (gamma, beta, mean, variance), strict=True):
            if values.shape != channels:
                message = f"{name} has the shape {list(values.shape)}, the layer {channels[0]} channels"
                raise _Bad("NC0202", message, "correct the shapes")
        epsilon = self.real("epsilon", 1e-5)
        if (variance + epsilon <= 0).any():
            raise _Bad("NC0209", f"the variance is {variance.min():g}", "a variance is not negative")
        factor = gamma / np.sqrt(variance + epsilon)
        tail = (1,) * (len(source.shape) - 1)
        self._affine(source, factor.reshape(-1, *tail), (beta - mean * factor).reshape(-1, *tail))

    def _affine(self, source: Layer, factor: Array, bias: Array | None) -> None:
        """Add factor x + bias; it goes into the weights of a layer that nothing else takes."""
        factors = np.broadcast_to(factor, source.shape).reshape(-1)
        added = None if bias is None else np.broadcast_to(bias, source.shape).reshape(-1)
        values = [value for value, name in self.of.items() if name == source.name]
        shown = any(entry.name in values for entry in self.model.graph.output)
        alone = sum(self.users.get(value, 0) for value in values) == 1 and not shown
        if alone and source.kind == "linear" and source.pattern is not None and source.weights is not None:
            before = self.layers[source.inputs[0]].shape
            kind = PATTERNS[source.pattern.kind]
            made = None
            if kind.weighting == "array":
                made = kind.scaled(source.pattern, source.weights, factors, before, source.shape)
            if made is not None:
                old = 0.0 if source.bias is None else source.bias * factors
                total = np.asarray(old + (0.0 if added is None else added) + np.zeros(source.size))
                self.layers[source.name] = Layer(source.name, "linear", source.inputs, source.shape, *made, total)
                self.same(self.layers[source.name])
                if self.node.op_type == "BatchNormalization":
                    self.notes.append((source.name, "batch normalization folded", f"'{self.label}' is constant"))
                return
        self.linear(source, Pattern("scale"), np.array(factors), source.shape, None if bias is None else bias)

    def _arithmetic(self) -> None:
        """Add, Sub, Mul and Div."""
        kind, layers = self.node.op_type, [self.is_layer(0), self.is_layer(1)]
        if all(layers):
            if kind != "Add":
                raise _Bad("NC0349", "two layers are joined", _HINTS[kind])
            first, second = self.source(0), self.source(1)
            if first.shape != second.shape:
                message = f"layers of the shapes {list(first.shape)} and {list(second.shape)} are added"
                raise _Bad("NC0202", message, "skip connections join layers of one shape")
            self.put(Layer(self.fresh(), "add", (first.name, second.name), first.shape))
            return
        at = 0 if layers[0] else 1
        if not any(layers):
            self.source(0)
        source, value = self.source(at), self.need(1 - at, "the constant")
        fitted = self._fitted(value, source.shape, "the constant")
        assert fitted is not None
        ones = np.ones(source.shape)
        match kind:
            case "Add":
                self._affine(source, ones, fitted)
            case "Sub":
                self._affine(source, ones if at == 0 else -ones, -fitted if at == 0 else fitted)
            case "Mul":
                self._affine(source, fitted, None)
            case _:
                if at == 1 or (fitted == 0).any():
                    raise _Bad("NC0349", "it divides by a layer or by 0", _HINTS["Div"])
                self._affine(source, 1.0 / fitted, None)

    def _sum(self) -> None:
        sources = [self.source(index) for index in range(len(self.node.input) or 1)]
        if len({source.shape for source in sources}) != 1:
            shapes = ", ".join(str(list(source.shape)) for source in sources)
            raise _Bad("NC0202", f"layers of the shapes {shapes} are added", "skip connections join layers of one shape")
        self.put(Layer(self.fresh(), "add", tuple(source.name for source in sources), sources[0].shape))

    def _relu(self) -> None:
        self._activation(inf)

    def _clip(self) -> None:
        if self.opset < 11:
            low, high = self.attribute("min", -inf), self.attribute("max", inf)
        else:
            bounds = [
                self.array(index, word, optional=True) for index, word in ((1, "the lower bound"), (2, "the upper bound"))
            ]
            if any(bound is not None and bound.size != 1 for bound in bounds):
                raise _Bad("NC0202", "a bound is not one number", "export it again")
            low, high = (fallback if bound is None else float(bound.reshape(()))
                         for bound, fallback in zip(bounds, (-inf, inf), strict=True))  # fmt: skip
        source = self.source()
        if low != 0 and not (source.kind == "relu" and low <= 0):
            raise _Bad("NC0349", f"its lower bound is {low:g}", "rates are not negative: clip from 0 on, and train again")
        if not high > 0:
            raise _Bad("NC0209", f"its upper bound is {high:g}", "it lies above 0")
        self._activation(float(high) if isfinite(high) and high < 1e30 else inf)

    def _activation(self, high: float) -> None:
        source = self.source()
        if source.kind == "relu":
            if high >= source.high:
                self.same(source)
                return
            source, high = self.layers[source.inputs[0]], min(high, source.high)
        if source.kind == "input":
            self.put(Layer(f"{self.fresh()}_input", "linear", (source.name,), source.shape, Pattern("scale"),
                           np.ones(source.size)))  # fmt: skip
            source = self.layers[self.of[self.node.output[0]]]
        self.put(Layer(self.fresh(), "relu", (source.name,), source.shape, high=high))

    def _pool(self) -> None:
        source, kernel = self.source(), self.wholes("kernel_shape")
        if not kernel:
            raise _Bad("NC0105", "kernel_shape is missing", "export it again")
        if len(self.node.output) > 1 and self.users.get(self.node.output[1]):
            raise _Bad("NC0349", "the places of the maxima are used", "use the maxima alone")
        options = self._window(source, kernel, "pooling")
        if self.whole("ceil_mode", 0):
            plain = all((n - k) % s == 0 for n, k, s in zip(source.shape[1:], kernel, options["stride"], strict=True))
            if not plain or any(options["padding"]):
                raise _Bad("NC0349", "ceil_mode lets windows reach beyond the layer", "export it with ceil_mode=False")
        if options.pop("dilation") != (1,) * len(kernel):
            raise _Bad("NC0349", "the window is dilated", "pool without dilation")
        largest = self.node.op_type == "MaxPool"
        self._windowed(source, kernel, options, largest)

    def _global_pool(self) -> None:
        source = self.source()
        kernel = source.shape[1:]
        if len(kernel) not in (1, 2):
            raise _Bad("NC0202", f"a window over the layer's axes {list(source.shape)}", "it needs (channels, height, width)")
        options = {"stride": kernel, "padding": (0,) * len(kernel)}
        self._windowed(source, kernel, options, self.node.op_type == "GlobalMaxPool")

    def _windowed(self, source: Layer, kernel: Shape, options: dict[str, tuple[int, ...]], largest: bool) -> None:
        dims = len(kernel)
        pattern = Pattern(f"{'max' if largest else 'avg'}pool{dims}d", {}, {"kernel": kernel, **options})
        kind, one = PATTERNS[pattern.kind], np.asarray(1.0)
        shape = kind.output_shape(pattern, source.shape, ()) or ()
        problem = kind.problem(pattern, source.shape, shape)
        if problem is not None or min(shape) < 1:
            raise _Bad("NC0202", problem or f"it makes {list(shape)} of {list(source.shape)}", "correct the shapes")
        if largest:
            if any(options["padding"]) and source.kind != "relu":
                raise _Bad("NC0349", "its padding takes part where values are negative", "put the ReLU in front of it")
            self.put(Layer(self.fresh(), "max", (source.name,), shape, pattern, one))
            return
        self.linear(source, pattern, one, shape)
        if any(options["padding"]) and not self.whole("count_include_pad", 0):
            inside = kind.forward(pattern, np.float64(size_of(kernel)), np.ones((1, source.size)), source.shape, shape)[0]
            counted = self.layers[self.of[self.node.output[0]]]
            factors = size_of(kernel) / np.maximum(np.rint(inside), 1)
            self.linear(counted, Pattern("scale"), factors, shape)

    def _flatten(self) -> None:
        source, axis = self.source(), self.whole("axis", 1)
        rank = len(source.shape) + 1
        if axis < 0:
            axis += rank
        if axis != 1:
            raise _Bad("NC0349", f"axis {axis} mixes samples or keeps axes", "flatten from axis 1 on")
        self._shaped(source, (source.size,))

    def _shaped(self, source: Layer, shape: Shape) -> None:
        """Let the node be a layer in another shape."""
        if shape == source.shape:
            self.same(source)
            return
        self.linear(source, Pattern("flatten"), np.asarray(1.0), shape)

    def _reshape(self) -> None:
        source = self.source()
        wanted = self.extents(1, "the shape") if self.opset >= 5 else list(self.wholes("shape"))
        text = str(wanted)
        rest = wanted[1:]
        if not self.whole("allowzero", 0):
            rest = [source.shape[at] if v == 0 and at < len(source.shape) else v for at, v in enumerate(rest)]
        first, known = (wanted or [1])[0], prod(v for v in rest if v >= 0)
        if rest.count(-1) == 1 and known > 0 and source.size % known == 0:
            rest[rest.index(-1)] = source.size // known
        keeps_batch = first in (0, BATCH) or (first == self.batch) or (first == 1 and self.batch is None)
        if not rest or not keeps_batch or min(rest) < 1 or prod(rest) != source.size:
            message = f"the shape {text} does not keep the samples of {list(source.shape)} apart"
            raise _Bad("NC0202", message, "the first axis is that of the samples")
        self._shaped(source, tuple(rest))

    def _axes(self) -> None:
        """Squeeze and Unsqueeze."""
        source, values = self.source(), [*self.wholes("axes")]
        if not values and len(self.node.input) > 1 and self.node.input[1]:
            values = self.extents(1, "the axes")
        shape = [0, *source.shape]
        squeezes = self.node.op_type == "Squeeze"
        if not values and squeezes:
            values = [at for at, extent in enumerate(shape) if extent == 1]
        rank = len(shape) if squeezes else len(shape) + len(values)
        axes = sorted({axis + rank * (axis < 0) for axis in values})
        wrong = len(axes) < len(values) or any(not 0 < axis < rank for axis in axes)
        if wrong or (squeezes and any(shape[axis] != 1 for axis in axes)):
            raise _Bad("NC0202", f"the axes {values} of {list(source.shape)}", "axes of extent 1 behind the samples are needed")
        for axis in reversed(axes) if squeezes else axes:
            if squeezes:
                shape.pop(axis)
            else:
                shape.insert(axis, 1)
        self._shaped(source, tuple(shape[1:]) or (1,))

    def _concat(self) -> None:
        sources = [self.source(index) for index in range(len(self.node.input) or 1)]
        rank = len(sources[0].shape) + 1
        axis = self.whole("axis", 1)
        axis = axis + rank if axis < 0 else axis
        if not 1 <= axis < rank:
            raise _Bad("NC0349", f"axis {axis} joins samples", "join behind the axis of the samples")
        apart = {(*s.shape[: axis - 1], *s.shape[axis:]) for s in sources}
        if len(apart) != 1 or len({len(s.shape) for s in sources}) != 1:
            shapes = ", ".join(str(list(s.shape)) for s in sources)
            raise _Bad("NC0202", f"layers of the shapes {shapes} are joined along axis {axis}", "correct the shapes")
        shape = list(sources[0].shape)
        shape[axis - 1] = sum(s.shape[axis - 1] for s in sources)
        self.put(Layer(self.fresh(), "concat", tuple(s.name for s in sources), tuple(shape), axis=axis - 1))

    def _transpose(self) -> None:
        source = self.source()
        rank = len(source.shape) + 1
        order = list(self.wholes("perm") or range(rank - 1, -1, -1))
        if sorted(order) != list(range(rank)) or order[0] != 0:
            raise _Bad("NC0349", f"the order {order} moves the samples", _HINTS["Transpose"])
        moved: IntArray = np.arange(source.size).reshape(source.shape).transpose([at - 1 for at in order[1:]])
        if (moved.ravel() != np.arange(source.size)).any():
            raise _Bad("NC0349", f"it moves values, in the order {order}", _HINTS["Transpose"])
        self._shaped(source, moved.shape)

    def _removed(self) -> None:
        source = self.source()
        if self.node.op_type == "Cast" and self.whole("to", 1) not in (1, 10, 11, 16):
            raise _Bad("NC0349", "it makes whole numbers of a layer", "only casts between real numbers are removed")
        if len(self.node.output) > 1 and self.users.get(self.node.output[1]):
            raise _Bad("NC0349", "its mask is used", "use the values alone")
        self.same(source)
        if self.node.op_type == "Dropout":
            self.notes.append((self.label, "Dropout removed", "it acts in training alone"))


_SHAPES = ("Shape", "Gather", "Concat", "Squeeze", "Unsqueeze", "Cast")
_OPERATORS: Mapping[str, Callable[[_Reader], None]] = {
    "Gemm": _Reader._gemm,
    "MatMul": _Reader._matmul,
    "Conv": _Reader._convolution,
    "BatchNormalization": _Reader._batch_normalization,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _Reader._arithmetic),
    "Sum": _Reader._sum,
    "Relu": _Reader._relu,
    "Clip": _Reader._clip,
    "MaxPool": _Reader._pool,
    "AveragePool": _Reader._pool,
    "GlobalAveragePool": _Reader._global_pool,
    "GlobalMaxPool": _Reader._global_pool,
    "Flatten": _Reader._flatten,
    "Reshape": _Reader._reshape,
    "Squeeze": _Reader._axes,
    "Unsqueeze": _Reader._axes,
    "Concat": _Reader._concat,
    "Transpose": _Reader._transpose,
    **dict.fromkeys(_REMOVED, _Reader._removed),
}
