"""Nodes of NIR without neurons: what each makes of values of a shape, in patterns of the IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.frontends.nir_file import Node
from neurocomp.frontends.nir_rules import Unclear
from neurocomp.frontends.vocabulary import MAX_COUNT
from neurocomp.ir.network import Stage, frozen
from neurocomp.models.patterns import PATTERNS, Pattern, Shape, form_problem, size_of

Array = NDArray[Any]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One linear node on the way: what it makes, and how many ticks it takes."""

    stages: tuple[Stage, ...]
    shape: Shape
    bias: FloatArray | None = None
    delay: FloatArray | None = None


class LinearNodes:
    """Turns nodes without neurons into steps."""

    def __init__(self, dt: float, note: Callable[[str, str, str, str], None]) -> None:
        self.dt, self.note = dt, note
        """Length of a tick in the unit of the file; records a choice (subject, axis, value, origin)."""

    def step(self, node: Node, shape: Shape) -> Step:
        """Return what a node does to values of a shape.

        Raises:
            Unclear: It cannot be done.
        """
        return _LINEAR[node.kind](self, node, shape)

    def _identity(self, node: Node, shape: Shape) -> Step:
        return Step((), shape)

    def _affine(self, node: Node, shape: Shape) -> Step:
        weight, size = node.values["weight"], size_of(shape)
        while weight.ndim > 2 and weight.shape[0] == 1:
            weight = weight[0]
        if weight.ndim != 2:
            raise Unclear("NC0202", f"weight has the shape {weight.shape}; a matrix (out, in) is needed", "reshape it")
        if weight.shape[1] != size:
            hint = f"its input has {size} values, the matrix takes {weight.shape[1]}"
            if weight.shape[0] == size:
                hint = "the matrix looks transposed: weight.T fits"
            elif shape[-1] == weight.shape[1]:
                hint = f"a matrix for each of {shape[:-1]} rows has no words here: write it as a Conv1d with a kernel of 1"
            raise Unclear("NC0202", f"weight has the shape {weight.shape}, and what arrives {shape}", hint)
        if len(shape) > 1 and shape[-1] != size:
            self.note(
                node.name,
                "input",
                "flattened",
                f"what arrives has the shape {list(shape)}, the matrix {weight.shape[1]} columns",
            )
        out = (weight.shape[0],)
        return Step((stage_of(Pattern("dense"), weight, out),), out, self._bias(node, out))

    def _bias(self, node: Node, out: Shape) -> FloatArray | None:
        """Return the bias per value, or None where it is 0."""
        if node.kind not in ("Affine", "Conv1d", "Conv2d"):
            return None
        if "bias" not in node.values:
            if node.kind == "Affine":
                self.note(node.name, "bias", "0", "the file has none")
            return None
        bias = node.values["bias"]
        flat = bias.reshape(-1)
        if flat.size == 1 or flat.size == size_of(out):
            flat = np.broadcast_to(flat, (size_of(out),))
        elif flat.size == out[0] and bias.size == max(bias.shape):
            flat = np.repeat(flat, size_of(out[1:]))
        else:
            needed = f"{out[:1]}" if len(out) > 1 else f"{out}"
            raise Unclear("NC0202", f"bias has the shape {bias.shape}; {needed} is needed", "give one value per output")
        return np.asarray(flat) if flat.any() else None

    def _scale(self, node: Node, shape: Shape) -> Step:
        scale = node.values["scale"]
        try:
            spread = np.broadcast_to(fitted(scale, shape), shape)
        except ValueError:
            message = f"scale has the shape {scale.shape}, and what arrives {shape}"
            raise Unclear("NC0202", message, "give it one value per input") from None
        return Step((stage_of(Pattern("scale"), spread.reshape(-1), shape),), shape)

    def _convolution(self, node: Node, shape: Shape) -> Step:
        dims = int(node.kind[4])
        weight = node.values["weight"]
        axes = "length" if dims == 1 else "height, width"
        if weight.ndim != dims + 2:
            message = f"weight has the shape {weight.shape}; (channels out, channels in / groups, {axes}) is needed"
            raise Unclear("NC0202", message, "reshape it")
        while len(shape) > dims + 1 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) != dims + 1:
            message = f"what arrives has the shape {shape}; (channels, {axes}) is needed"
            raise Unclear("NC0202", message, "give what comes before it this shape")
        one = self._axes(node, dims)
        groups = int(node.values.get("groups", np.ones(1, np.int64))[0])
        if groups < 1 or weight.shape[1] * groups != shape[0] or weight.shape[0] % groups:
            message = f"weight {weight.shape} with {groups} groups takes {weight.shape[1] * groups} channels; {shape[0]} arrive"
            hint = None
            if groups >= 1 and weight.shape[1] and shape[0] % weight.shape[1] == 0:
                hint = f"groups {shape[0] // weight.shape[1]} would fit"
            if shape[-1] == weight.shape[1] * groups:
                hint = "what arrives has its channels last; NIR has them first"
            raise Unclear("NC0202", message, hint)
        inner = node.values.get("input_shape")
        if inner is not None and len(inner) == dims and inner.min() > 0 and tuple(inner) != shape[1:]:
            where = f"input_shape is {inner.tolist()}, and what arrives has the shape {list(shape)}"
            self.note(node.name, "input_shape", str(list(shape[1:])), where)
        kernel = weight.shape[2:]
        stride, dilation = one("stride", 1, None), one("dilation", 1, None)
        padding = self._padding(node, kernel, stride, dilation, one)
        options = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": (groups,)}
        pattern = Pattern(f"conv{dims}d", {}, options)
        made = self._made(pattern, shape, weight.shape)
        return Step((stage_of(pattern, weight, made),), made, self._bias(node, made))

    def _axes(self, node: Node, dims: int) -> Any:
        def one(key: str, minimum: int, otherwise: Shape | None) -> Shape:
            stated = node.values.get(key)
            if stated is None:
                return (minimum,) * dims if otherwise is None else otherwise
            if len(stated) not in (1, dims) or stated.min() < minimum:
                message = f"{key} is {stated.tolist()}; one number or {dims}, from {minimum} on, are needed"
                raise Unclear("NC0209", message, "mend the file")
            return tuple(int(value) for value in np.broadcast_to(stated, (dims,)))

        return one

    def _padding(self, node: Node, kernel: Shape, stride: Shape, dilation: Shape, one: Any) -> Shape:
        word = node.words.get("padding")
        if word is None:
            padding: Shape = one("padding", 0, None)
            return padding
        if word == "valid":
            return (0,) * len(kernel)
        if set(stride) != {1}:
            raise Unclear(
                "NC0209", f"padding 'same' goes with a stride of 1, not {list(stride)}", "write the padding as numbers"
            )
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        if any(zeros % 2 for zeros in total):
            message = (
                f"padding 'same' of a kernel {list(kernel)} puts one more zero behind than before, which has no words here"
            )
            raise Unclear("NC0345", message, "use a kernel of odd extent: put a row of zeros around it")
        return tuple(zeros // 2 for zeros in total)

    def _pool(self, node: Node, shape: Shape) -> Step:
        while len(shape) > 3 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) != 3:
            message = f"what arrives has the shape {shape}; (channels, height, width) is needed"
            raise Unclear("NC0202", message, "give what comes before it this shape")
        one = self._axes(node, 2)
        kernel = one("kernel_size", 1, None)
        options = {"kernel": kernel, "stride": one("stride", 1, kernel), "padding": one("padding", 0, None)}
        pattern = Pattern(node.kind.lower(), {}, options)
        made = self._made(pattern, shape, ())
        return Step((stage_of(pattern, np.asarray(1, np.int64), made),), made)

    def _made(self, pattern: Pattern, shape: Shape, weights: Shape) -> Shape:
        kind = PATTERNS[pattern.kind]
        problem = form_problem(pattern)
        made = kind.output_shape(pattern, shape, weights)
        if problem is None and made is not None:
            problem = kind.problem(pattern, shape, made)
        if problem is not None or made is None:
            raise Unclear("NC0202", problem or f"it makes nothing of {shape}", "check its shape, stride and padding")
        return made

    def _flatten(self, node: Node, shape: Shape) -> Step:
        stated = node.values.get("input_type")
        if stated is not None and stated.size and stated.min() > 0 and size_of(tuple(stated)) != size_of(shape):
            message = f"input_type is {stated.tolist()}, and what arrives has the shape {list(shape)}"
            raise Unclear("NC0202", message, "correct input_type, or remove it")
        start = int(node.values.get("start_dim", np.zeros(1))[0])
        end = int(node.values.get("end_dim", -np.ones(1))[0])
        axes = len(shape)
        if not -axes <= start <= axes or not -axes <= end <= axes:
            message = f"start_dim {start} and end_dim {end} lie outside what arrives, {shape}"
            raise Unclear("NC0209", message, "start_dim 0 and end_dim -1 flatten all, without batch")
        first, last = start + axes * (start < 0), min(end + axes * (end < 0), axes - 1)
        if first >= last:
            return Step((), shape)
        made = (*shape[:first], size_of(shape[first : last + 1]), *shape[last + 1 :])
        return Step((stage_of(Pattern("flatten"), np.asarray(1, np.int64), made),), made)

    def _delay(self, node: Node, shape: Shape) -> Step:
        delay = np.asarray(node.values["delay"], np.float64)
        ticks = delay / self.dt
        whole = np.rint(ticks)
        if (delay < 0).any():
            raise Unclear("NC0209", f"delay {delay.min():g} is negative", "mend the file")
        if (np.abs(ticks - whole) > 1e-4 * np.maximum(whole, 1.0)).any() or whole.max() > MAX_COUNT:
            odd = float(ticks.flat[int(np.abs(ticks - whole).argmax())])
            message = f"delay is {odd:g} ticks of {self.dt:g}; whole ticks are needed"
            raise Unclear("NC0209", message, "choose --dt so that delays are whole ticks")
        try:
            spread = np.broadcast_to(fitted(whole, shape), shape)
        except ValueError:
            message = f"delay has the shape {delay.shape}, and what arrives {shape}"
            raise Unclear("NC0202", message, "give it one value per input") from None
        return Step((), shape, None, np.asarray(spread.reshape(-1)))


_LINEAR: Mapping[str, Callable[[LinearNodes, Node, Shape], Step]] = {
    "Input": LinearNodes._identity,
    "Output": LinearNodes._identity,
    "Affine": LinearNodes._affine,
    "Linear": LinearNodes._affine,
    "Scale": LinearNodes._scale,
    "Conv1d": LinearNodes._convolution,
    "Conv2d": LinearNodes._convolution,
    "SumPool2d": LinearNodes._pool,
    "AvgPool2d": LinearNodes._pool,
    "Flatten": LinearNodes._flatten,
    "Delay": LinearNodes._delay,
}


def stage_of(pattern: Pattern, weights: Array, shape: Shape) -> Stage:
    """Return a stage that makes values of a shape."""
    weights = weights.astype(np.float32) if weights.dtype == np.float16 else weights
    return Stage(pattern, frozen(np.asarray(weights, order="C")), shape)


def without_batch(shape: Shape) -> Shape:
    """Return a shape without the ones that lead it, as batches have them."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def fitted(value: Array, shape: Shape) -> Array:
    """Return a value as 0-d where it is one for all, else in the shape, as far as it can be."""
    if value.size == 1:
        return value.reshape(())
    if value.size == size_of(shape):
        return value.reshape(shape)
    own = value.reshape(without_batch(value.shape))
    if own.shape == shape[:1] and len(shape) > 1:
        own = own.reshape(-1, *(1,) * (len(shape) - 1))
    return np.broadcast_to(own, shape) if broadcasts(own.shape, shape) else own


def broadcasts(shape: Shape, to: Shape) -> bool:
    """Return whether values of one shape can be spread over another one, which stays as it is."""
    try:
        return tuple(np.broadcast_shapes(shape, to)) == tuple(to)
    except ValueError:
        return False
