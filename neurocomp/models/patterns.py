"""Synapse patterns: which neuron of the source reaches which neuron of the target, never expanded unless asked.

Shapes with channels are (channels, length) in one dimension and (channels, height, width) in two; weights of convolutions are
(channels out, channels in / groups, *kernel), as torch.nn stores them, and correlate: the kernel is not flipped.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from neurocomp.fixedpoint import distinct
from neurocomp.models.registration import Table

Array = NDArray[Any]
IntArray = NDArray[np.int64]
Shape = tuple[int, ...]

BLOCK_BYTES = 32 << 20
"""Large arrays are worked through in blocks of about this size."""


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One pattern: its registered kind, its index arrays (``sparse``: sources, targets) and its whole-number options."""

    kind: str
    arrays: Mapping[str, IntArray] = field(default_factory=dict)
    options: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """As `PatternType.options` names them, one value per axis or one in all; every option is present."""


@dataclass(frozen=True, slots=True)
class PatternOption:
    """An option of a pattern in whole numbers; without ``default`` and ``like`` it is needed."""

    doc: str
    minimum: int
    default: int | None = None
    per_axis: bool = True
    like: str | None = None
    """The option whose values are the default; ``weights``: the last extents of the weights are."""


@dataclass(frozen=True, slots=True, eq=False)
class Synapses:
    """The synapses of a projection as a list sorted by source, then target; equal pairs keep the order of the weights."""

    source: IntArray
    target: IntArray
    slot: IntArray
    """Index into the raveled weights (and per-synapse delays)."""


class PatternType(Protocol):
    """What the compiler asks of a pattern. Members live in `PATTERNS`.

    ``source`` and ``target`` are always the shapes of what the pattern joins.
    """

    @property
    def kind(self) -> str:
        """The registered name."""
        ...

    @property
    def dims(self) -> int:
        """How many axes behind the channels its shapes have; 0: any shape."""
        ...

    @property
    def array_names(self) -> tuple[str, ...]:
        """The index arrays that `Pattern.arrays` holds."""
        ...

    @property
    def options(self) -> Mapping[str, PatternOption]:
        """The options that `Pattern.options` holds."""
        ...

    @property
    def weighting(self) -> Literal["array", "scalar"]:
        """Whether it has weights of its own, or one number (default 1) that scales all."""
        ...

    @property
    def linear(self) -> bool:
        """Whether its output is a weighted sum."""
        ...

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """Return why the pattern cannot join the two shapes, or None."""
        ...

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """Return the shape that the pattern makes of ``source``; None where it does not follow."""
        ...

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """Return the shape that the weights must have."""
        ...

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """Return what arrives (samples, n_target) of ``spikes`` (samples, n_source) in the weights' dtype."""
        ...

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """Return every structural synapse, or those onto some target neurons; only linear patterns have any."""
        ...

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """Return the distinct sources of some target neurons, ascending."""
        ...

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """Return how many structural synapses each target neuron has, (n_target,), without listing them."""
        ...

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """Return the sums of positive weights and of magnitudes of negative weights per target, (n_target,).

        int64 for weights of integers, exact; float64 else.
        """
        ...

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """Return pattern and weights with what arrives at target i times ``factors[i]``; None: not with this pattern."""
        ...


def size_of(shape: Shape) -> int:
    """Return the number of neurons of a shape."""
    return math.prod(shape)


def blocks_of(array: Array, row_bytes: int | None = None) -> Iterator[slice]:
    """Yield slices of the first axis of about `BLOCK_BYTES` each, measured as float64.

    Of an array in a mapped file no more than a block stays in memory: its pages are given back after each block.
    """
    if not array.ndim or not array.shape[0]:
        return
    per_row = 8 * max(1, array.size // array.shape[0]) if row_bytes is None else row_bytes
    rows = max(1, BLOCK_BYTES // per_row)
    for start in range(0, array.shape[0], rows):
        yield slice(start, min(start + rows, array.shape[0]))
        give_back(array)


def give_back(array: Array) -> None:
    """Let go of the pages that an array of a mapped file holds in memory; they are read again when they are needed."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    # Only pages of a file that nobody writes to may go; where the system has no such advice they stay.
    if isinstance(base, mmap.mmap) and not array.flags.writeable and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def exact_sums(values: Array, axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    """Return the sums of positive values and of magnitudes of negative ones along ``axis``: int64, or float64."""
    dtype = np.float64 if values.dtype.kind == "f" else np.int64
    zero = values.dtype.type(0)
    return (
        np.maximum(values, zero).sum(axis=axis, dtype=dtype),
        -np.minimum(values, zero).sum(axis=axis, dtype=dtype),
    )


@dataclass(frozen=True, slots=True)
class Dense:
    """Every source to every target; weights (n_target, n_source), as torch.nn.Linear stores them."""

    kind: str = "dense"
    dims: int = 0
    array_names: tuple[str, ...] = ()
    options: Mapping[str, PatternOption] = field(default_factory=dict)
    weighting: Literal["array", "scalar"] = "array"
    linear: bool = True

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        return None

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        return weights[:1]

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return (size_of(target), size_of(source))

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`."""
        return np.asarray(spikes @ weights.T)

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        n_source = size_of(source)
        neurons = np.arange(size_of(target)) if neurons is None else np.sort(neurons)
        sources = np.repeat(np.arange(n_source), len(neurons))
        targets = np.tile(neurons, n_source)
        return Synapses(sources, targets, targets * n_source + sources)

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`."""
        return np.arange(size_of(source) if len(neurons) else 0)

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        return np.full(size_of(target), size_of(source), np.int64)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        none = exact_sums(np.zeros((0, 1), weights.dtype), 1)
        parts = [none, *(exact_sums(np.asarray(weights[block]), 1) for block in blocks_of(weights))]
        positive, negative = (np.concatenate([part[sign] for part in parts]) for sign in (0, 1))
        return positive, negative

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        return pattern, np.asarray(weights, np.float64) * factors[:, None]


@dataclass(frozen=True, slots=True)
class OneToOne:
    """Neuron i to neuron i; weights (n,). Registered a second time as ``scale``, as which a network file names it in chains."""

    kind: str = "one_to_one"
    dims: int = 0
    array_names: tuple[str, ...] = ()
    options: Mapping[str, PatternOption] = field(default_factory=dict)
    weighting: Literal["array", "scalar"] = "array"
    linear: bool = True

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        if size_of(source) != size_of(target):
            return f"{self.kind} joins populations of one size, not {size_of(source)} and {size_of(target)} neurons"
        return None

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        return source

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return (size_of(target),)

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`."""
        return np.asarray(spikes * weights)

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        index = np.arange(size_of(source)) if neurons is None else np.sort(neurons)
        return Synapses(index, index, index)

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`."""
        return np.sort(neurons)

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        return np.ones(size_of(target), np.int64)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        return exact_sums(weights[:, None], 1)

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        return pattern, np.asarray(weights, np.float64) * factors


@dataclass(frozen=True, slots=True)
class Flatten(OneToOne):
    """Neuron i to neuron i of another shape, in C order: changes shapes alone; one weight, 1 unless given."""

    kind: str = "flatten"
    weighting: Literal["array", "scalar"] = "scalar"

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        return (size_of(source),)

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return ()

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        index = np.arange(size_of(source)) if neurons is None else np.sort(neurons)
        return Synapses(index, index, np.zeros_like(index))

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        return exact_sums(np.broadcast_to(weights, (size_of(target), 1)), 1)

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        return Pattern("one_to_one"), np.asarray(weights, np.float64) * factors


@dataclass(frozen=True, slots=True)
class Sparse:
    """A list of synapses: weights (n_synapses,), ``sources`` and ``targets`` of the same length; equal pairs add up."""

    kind: str = "sparse"
    dims: int = 0
    array_names: tuple[str, ...] = ("sources", "targets")
    options: Mapping[str, PatternOption] = field(default_factory=dict)
    weighting: Literal["array", "scalar"] = "array"
    linear: bool = True

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        if sources.shape != targets.shape or sources.ndim != 1:
            return f"sources {sources.shape} and targets {targets.shape} must be two lists of one length"
        for what, index, n in (("sources", sources, size_of(source)), ("targets", targets, size_of(target))):
            if index.size and (index.min() < 0 or index.max() >= n):
                bad = int(index.min()) if index.min() < 0 else int(index.max())
                return f"{what} holds the index {bad}, outside 0..{n - 1}"
        return None

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        return None

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return tuple(pattern.arrays["sources"].shape)

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        out = np.zeros((size_of(target), spikes.shape[0]), np.result_type(weights, spikes))
        np.add.at(out, targets, (spikes[:, sources] * weights).T)
        return np.asarray(out.T)

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        if neurons is None:
            order = np.lexsort((targets, sources))
        else:
            wanted = np.zeros(size_of(target), np.bool_)
            wanted[neurons] = True
            chosen = np.flatnonzero(wanted[targets])
            order = chosen[np.lexsort((targets[chosen], sources[chosen]))]
        return Synapses(sources[order], targets[order], order)

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`."""
        wanted = np.zeros(size_of(target), np.bool_)
        wanted[neurons] = True
        return distinct(pattern.arrays["sources"][wanted[pattern.arrays["targets"]]])

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        return np.bincount(pattern.arrays["targets"], minlength=size_of(target)).astype(np.int64)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        dtype = np.float64 if weights.dtype.kind == "f" else np.int64
        zero = weights.dtype.type(0)
        # Integers below 2**53 add exactly in float64, whatever the order.
        parts = (np.maximum(weights, zero), -np.minimum(weights, zero).astype(dtype))
        positive, negative = (np.bincount(pattern.arrays["targets"], part, size_of(target)).astype(dtype) for part in parts)
        return positive, negative

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        return pattern, np.asarray(weights, np.float64) * factors[pattern.arrays["targets"]]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Dense in blocks: the sources ``indices[b]`` of (blocks, k) reach targets b m .. (b + 1) m - 1; weights (blocks, m, k)."""

    kind: str = "block"
    dims: int = 0
    array_names: tuple[str, ...] = ("indices",)
    options: Mapping[str, PatternOption] = field(default_factory=dict)
    weighting: Literal["array", "scalar"] = "array"
    linear: bool = True

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        indices = pattern.arrays["indices"]
        if indices.ndim != 2 or not indices.size:
            return f"indices {indices.shape} must have the shape (blocks, sources per block)"
        if size_of(target) % len(indices):
            return f"{len(indices)} blocks do not divide {size_of(target)} targets"
        if indices.min() < 0 or indices.max() >= size_of(source):
            bad = int(indices.min()) if indices.min() < 0 else int(indices.max())
            return f"indices holds the index {bad}, outside 0..{size_of(source) - 1}"
        return None

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        return (weights[0] * weights[1],) if len(weights) == 3 else None

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        blocks, k = pattern.arrays["indices"].shape
        return (blocks, size_of(target) // blocks, k)

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`."""
        gathered = spikes[:, pattern.arrays["indices"]]
        return np.asarray(np.einsum("sbk,bmk->sbm", gathered, weights).reshape(len(spikes), size_of(target)))

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        indices = pattern.arrays["indices"]
        blocks, k = indices.shape
        m = size_of(target) // blocks
        neurons = np.arange(size_of(target)) if neurons is None else np.sort(neurons)
        sources = indices[neurons // m].reshape(-1)
        targets = np.repeat(neurons, k)
        slot = (neurons[:, None] * k + np.arange(k)).reshape(-1)
        order = np.lexsort((slot, targets, sources))
        return Synapses(sources[order], targets[order], slot[order])

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`."""
        indices = pattern.arrays["indices"]
        m = size_of(target) // len(indices)
        return distinct(indices[distinct(neurons // m)])

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        return np.full(size_of(target), pattern.arrays["indices"].shape[1], np.int64)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        none = exact_sums(np.zeros((0, 1, 1), weights.dtype), 2)
        parts = [none, *(exact_sums(np.asarray(weights[block]), 2) for block in blocks_of(weights))]
        positive, negative = (np.concatenate([part[sign].reshape(-1) for part in parts]) for sign in (0, 1))
        return positive, negative

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        return pattern, np.asarray(weights, np.float64) * factors.reshape(weights.shape[0], weights.shape[1], 1)


@dataclass(frozen=True, slots=True)
class Geometry:
    """A window that moves over the axes behind the channels: kernel, stride, padding and dilation per axis."""

    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def output(self, source: Shape) -> Shape:
        """Return the extents of the output, 0 or less where the window does not fit."""
        extents = zip(source, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in extents)

    def inputs(self, source: Shape, places: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """Return for output places (m, axes) the flat input place of each kernel position, (m, kernel), and which exist."""
        flat: IntArray = np.zeros((len(places), 1), np.int64)
        inside: NDArray[np.bool_] = np.ones((len(places), 1), np.bool_)
        for axis, n in enumerate(source):
            offsets = np.arange(self.kernel[axis]) * self.dilation[axis] - self.padding[axis]
            at = places[:, axis, None] * self.stride[axis] + offsets
            shape = len(places), flat.shape[1] * self.kernel[axis]
            flat = (flat[:, :, None] * n + at[:, None, :]).reshape(shape)
            inside = (inside[:, :, None] & ((at >= 0) & (at < n))[:, None, :]).reshape(shape)
        return flat, inside

    def windows(self, values: Array, fill: float = 0.0) -> Array:
        """Return the windows of values (samples, channels, *source) as a view (samples, channels, *output, *kernel)."""
        padding = [(0, 0), (0, 0), *((p, p) for p in self.padding)]
        padded = np.pad(values, padding, constant_values=fill) if any(self.padding) else values
        reach = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        axes = tuple(range(2, 2 + len(reach)))
        view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=axes)
        steps = [slice(None), slice(None), *(slice(None, None, s) for s in self.stride)]
        steps += [slice(None, None, d) for d in self.dilation]
        return np.asarray(view[tuple(steps)])


_CONV_OPTIONS = {
    "kernel": PatternOption("extent of the window; that of the weights unless given", 1, like="weights"),
    "stride": PatternOption("step of the window", 1, 1),
    "padding": PatternOption("zeros around the input", 0, 0),
    "dilation": PatternOption("step within the kernel", 1, 1),
    "groups": PatternOption("groups of channels that do not mix", 1, 1, per_axis=False),
}
_POOL_OPTIONS = {
    "kernel": PatternOption("extent of the window", 1),
    "stride": PatternOption("step of the window; the kernel unless given", 1, like="kernel"),
    "padding": PatternOption("zeros around the input", 0, 0),
}


def _shape_problem(kind: str, dims: int, source: Shape, target: Shape) -> str | None:
    for what, shape in (("source", source), ("target", target)):
        if len(shape) != dims + 1:
            axes = "(channels, length)" if dims == 1 else "(channels, height, width)"
            return f"{kind} joins shapes {axes}; its {what} has the shape {shape}"
    return None


def _extent_problem(kind: str, geometry: Geometry, source: Shape, target: Shape) -> str | None:
    extents = geometry.output(source[1:])
    if min(extents) < 1:
        wide = "" if set(geometry.dilation) == {1} else f" with a dilation of {geometry.dilation}"
        padded = "" if not any(geometry.padding) else f" with a padding of {geometry.padding}"
        return f"{kind}: a window of {geometry.kernel}{wide} does not fit into {source[1:]}{padded}"
    if extents != target[1:]:
        return f"{kind} makes {extents} of {source[1:]}; the target has {target[1:]} behind its channels"
    return None


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution (as networks use the word: a correlation) over ``dims`` axes; weights (out, in / groups, *kernel)."""

    kind: str
    dims: int
    array_names: tuple[str, ...] = ()
    options: Mapping[str, PatternOption] = field(default_factory=lambda: _CONV_OPTIONS)
    weighting: Literal["array", "scalar"] = "array"
    linear: bool = True

    def geometry(self, pattern: Pattern) -> Geometry:
        """Return the window of a pattern."""
        o = pattern.options
        return Geometry(o["kernel"], o["stride"], o["padding"], o["dilation"])

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        problem = _shape_problem(self.kind, self.dims, source, target)
        groups = pattern.options["groups"][0]
        if problem is None and (source[0] % groups or target[0] % groups):
            ends = f"{source[0]} channels of the source and {target[0]} of the target"
            problem = f"{self.kind}: {groups} groups do not divide both {ends}"
        return problem or _extent_problem(self.kind, self.geometry(pattern), source, target)

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        if len(weights) != self.dims + 2 or len(source) != self.dims + 1:
            return None
        return (weights[0], *self.geometry(pattern).output(source[1:]))

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return (target[0], source[0] // pattern.options["groups"][0], *pattern.options["kernel"])

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`."""
        groups, per_group = pattern.options["groups"][0], weights.shape[0] // pattern.options["groups"][0]
        window = self.geometry(pattern)
        places, terms = size_of(target[1:]), size_of(weights.shape[1:])
        out = np.zeros((len(spikes), *target), np.result_type(weights, spikes))
        step = max(1, BLOCK_BYTES // max(1, 8 * places * terms))
        for start in range(0, len(spikes), step):
            part = spikes[start : start + step].reshape(-1, *source)
            for g in range(groups):
                channels = slice(g * weights.shape[1], (g + 1) * weights.shape[1])
                view = window.windows(part[:, channels])
                order = (0, 1, *range(2 + self.dims, 2 + 2 * self.dims), *range(2, 2 + self.dims))
                columns = view.transpose(order).reshape(len(part), terms, places)
                rows = weights[g * per_group : (g + 1) * per_group].reshape(per_group, terms)
                found = np.matmul(rows, columns).reshape(len(part), per_group, *target[1:])
                out[start : start + step, g * per_group : (g + 1) * per_group] = found
        return out.reshape(len(spikes), size_of(target))

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        kernel = pattern.options["kernel"]
        groups = pattern.options["groups"][0]
        neurons = np.arange(size_of(target)) if neurons is None else np.sort(neurons)
        channel, place = np.divmod(neurons, size_of(target[1:]))
        places = np.stack(np.unravel_index(place, target[1:]), axis=1)
        flat, inside = self.geometry(pattern).inputs(source[1:], places)
        per_group, n_in, positions = target[0] // groups, source[0] // groups, size_of(kernel)
        inner = np.arange(n_in)
        first = channel // per_group * n_in
        sources = (first[:, None] + inner)[:, :, None] * size_of(source[1:]) + flat[:, None, :]
        slots = (channel[:, None] * n_in + inner)[:, :, None] * positions + np.arange(positions)
        here = np.broadcast_to(inside[:, None, :], sources.shape)
        targets = np.broadcast_to(neurons[:, None, None], sources.shape)[here]
        found, slot = sources[here], slots[here]
        order = np.lexsort((targets, found))
        return Synapses(found[order], targets[order], slot[order])

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`; memory follows from what is reached, not from the extents of the source."""
        groups, window = pattern.options["groups"][0], self.geometry(pattern)
        n_in, n_place, n_out = source[0] // groups, size_of(source[1:]), size_of(target[1:])
        channel, place = np.divmod(distinct(neurons), n_out)
        pairs = distinct(channel // (target[0] // groups) * n_out + place)
        step = max(1, BLOCK_BYTES // (32 * size_of(window.kernel)))
        few = groups * n_place <= len(pairs) * size_of(window.kernel)
        reached, parts = np.zeros(groups * n_place if few else 0, np.bool_), [np.zeros(0, np.int64)]
        for start in range(0, len(pairs), step):
            group, place = np.divmod(pairs[start : start + step], n_out)
            flat, inside = window.inputs(source[1:], np.stack(np.unravel_index(place, target[1:]), axis=1))
            found = (group[:, None] * n_place + flat)[inside]
            if few:
                reached[found] = True
            else:
                parts.append(distinct(found))
        group, place = np.divmod(np.flatnonzero(reached) if few else distinct(np.concatenate(parts)), n_place)
        sources = ((group * n_in + np.arange(n_in)[:, None]) * n_place + place).reshape(-1)
        return np.sort(sources) if groups > 1 and n_in > 1 else sources

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        places = np.stack(np.unravel_index(np.arange(size_of(target[1:])), target[1:]), axis=1)
        _, inside = self.geometry(pattern).inputs(source[1:], places)
        per_place = inside.sum(axis=1) * (source[0] // pattern.options["groups"][0])
        return np.tile(per_place, target[0]).astype(np.int64)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        whole = weights.dtype.kind != "f"
        parts = [exact_sums(np.asarray(weights[block]), 1) for block in blocks_of(weights)]
        per_channel = [np.concatenate([part[sign] for part in parts]) for sign in (0, 1)]
        places = np.stack(np.unravel_index(np.arange(size_of(target[1:])), target[1:]), axis=1)
        _, inside = self.geometry(pattern).inputs(source[1:], places)
        # (channels out, kernel) times (places, kernel): sums of integers below 2**53 are exact in float64.
        positive, negative = (
            np.asarray(part.reshape(len(weights), -1).astype(np.float64) @ inside.T.astype(np.float64)).reshape(-1)
            for part in per_channel
        )
        return (positive.astype(np.int64), negative.astype(np.int64)) if whole else (positive, negative)

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`: where all places of a channel share a factor."""
        per_channel = factors.reshape(target[0], -1)
        if (per_channel != per_channel[:, :1]).any():
            return None
        return pattern, np.asarray(weights, np.float64) * per_channel[:, 0].reshape(-1, *(1,) * (weights.ndim - 1))


@dataclass(frozen=True, slots=True)
class Pool:
    """A window per channel over ``dims`` axes: its sum, its average (zeros of the padding count) or its maximum; one weight."""

    kind: str
    dims: int
    operation: Literal["sum", "average", "max"]
    array_names: tuple[str, ...] = ()
    options: Mapping[str, PatternOption] = field(default_factory=lambda: _POOL_OPTIONS)
    weighting: Literal["array", "scalar"] = "scalar"

    @property
    def linear(self) -> bool:
        """See `PatternType.linear`."""
        return self.operation != "max"

    def geometry(self, pattern: Pattern) -> Geometry:
        """Return the window of a pattern."""
        o = pattern.options
        return Geometry(o["kernel"], o["stride"], o["padding"], (1,) * self.dims)

    def problem(self, pattern: Pattern, source: Shape, target: Shape) -> str | None:
        """See `PatternType.problem`."""
        problem = _shape_problem(self.kind, self.dims, source, target)
        padding, kernel = pattern.options["padding"], pattern.options["kernel"]
        if problem is None and any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
            problem = f"{self.kind}: the padding {padding} is more than half of the kernel {kernel}"
        if problem is None and source[0] != target[0]:
            problem = f"{self.kind} keeps the {source[0]} channels of the source; the target has {target[0]}"
        return problem or _extent_problem(self.kind, self.geometry(pattern), source, target)

    def output_shape(self, pattern: Pattern, source: Shape, weights: Shape) -> Shape | None:
        """See `PatternType.output_shape`."""
        if len(source) != self.dims + 1:
            return None
        return (source[0], *self.geometry(pattern).output(source[1:]))

    def weight_shape(self, pattern: Pattern, source: Shape, target: Shape) -> Shape:
        """See `PatternType.weight_shape`."""
        return ()

    def factor(self, pattern: Pattern) -> float:
        """Return what each value of the window counts in a sum."""
        return 1.0 / size_of(pattern.options["kernel"]) if self.operation == "average" else 1.0

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, source: Shape, target: Shape) -> Array:
        """See `PatternType.forward`; values of a maximum are not negative, so that the padding never wins."""
        view = self.geometry(pattern).windows(spikes.reshape(len(spikes), *source))
        # One pass per place of the window: numpy reduces many short axes far slower.
        front = (slice(None),) * (2 + self.dims)
        places = (view[front + at] for at in np.ndindex(*pattern.options["kernel"]))
        pooled = next(places).copy()
        for values in places:
            if self.operation == "max":
                np.maximum(pooled, values, out=pooled)
            else:
                pooled += values
        return np.asarray(pooled.reshape(len(spikes), size_of(target)) * (weights * self.factor(pattern)))

    def as_conv(self, pattern: Pattern, weights: Array, channels: int) -> tuple[Pattern, Array]:
        """Return the same sum as a convolution of one group per channel."""
        value = np.asarray(weights)
        if self.operation == "average":
            value = np.asarray(value, np.float64) * self.factor(pattern)
        return self._window(pattern, channels), np.full((channels, 1, *pattern.options["kernel"]), value)

    def _window(self, pattern: Pattern, channels: int) -> Pattern:
        """Return the pattern of `as_conv`."""
        options = {
            "kernel": pattern.options["kernel"], "stride": pattern.options["stride"], "padding": pattern.options["padding"],
            "dilation": (1,) * self.dims, "groups": (channels,),
        }  # fmt: skip
        return Pattern(f"conv{self.dims}d", {}, options)

    def _conv(self, pattern: Pattern, source: Shape) -> tuple[Conv, Pattern]:
        conv = PATTERNS[f"conv{self.dims}d"]
        assert isinstance(conv, Conv)
        return conv, self._window(pattern, source[0])

    def synapses(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray | None = None) -> Synapses:
        """See `PatternType.synapses`."""
        conv, same = self._conv(pattern, source)
        found = conv.synapses(same, source, target, neurons)
        return Synapses(found.source, found.target, np.zeros_like(found.slot))

    def sources(self, pattern: Pattern, source: Shape, target: Shape, neurons: IntArray) -> IntArray:
        """See `PatternType.sources`."""
        conv, same = self._conv(pattern, source)
        return conv.sources(same, source, target, neurons)

    def count(self, pattern: Pattern, source: Shape, target: Shape) -> IntArray:
        """See `PatternType.count`."""
        conv, same = self._conv(pattern, source)
        return conv.count(same, source, target)

    def sums(self, pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Array, Array]:
        """See `PatternType.sums`."""
        conv = self._conv(pattern, source)[0]
        same, values = self.as_conv(pattern, weights, source[0])
        return conv.sums(same, values, source, target)

    def scaled(
        self, pattern: Pattern, weights: Array, factors: Array, source: Shape, target: Shape
    ) -> tuple[Pattern, Array] | None:
        """See `PatternType.scaled`."""
        conv = self._conv(pattern, source)[0]
        same, values = self.as_conv(pattern, weights, source[0])
        return conv.scaled(same, values, factors, source, target)


def form_problem(pattern: Pattern) -> str | None:
    """Return why a pattern does not hold the arrays and options of its kind, or None; to ask before `PatternType.problem`."""
    kind = PATTERNS[pattern.kind]
    for what, found, named in (("arrays", pattern.arrays, kind.array_names), ("options", pattern.options, kind.options)):
        if set(found) != set(named):
            return f"{kind.kind} has the {what} {', '.join(named) or 'none'}, not {', '.join(found) or 'none'}"
    for name, option in kind.options.items():
        count, values = kind.dims if option.per_axis else 1, pattern.options[name]
        if len(values) != count or min(values) < option.minimum:
            return f"{kind.kind}: '{name}' is {count} x a number >= {option.minimum}, not {values}"
    return None


def expanded(pattern: Pattern, weights: Array, source: Shape, target: Shape) -> tuple[Pattern, Array]:
    """Return a linear pattern as ``sparse`` with its weights, those of 0 left out."""
    kind = PATTERNS[pattern.kind]
    if isinstance(kind, Pool):
        pattern, weights = kind.as_conv(pattern, weights, source[0])
    found = PATTERNS[pattern.kind].synapses(pattern, source, target)
    values = np.asarray(weights).ravel()[found.slot]
    kept = values != 0
    return Pattern("sparse", {"sources": found.source[kept], "targets": found.target[kept]}), values[kept]


PATTERNS: Table[PatternType] = Table("pattern")
_patterns: tuple[PatternType, ...] = (
    Dense(),
    OneToOne(),
    Sparse(),
    Blocks(),
    Conv("conv1d", 1),
    Conv("conv2d", 2),
    Pool("sumpool1d", 1, "sum"),
    Pool("sumpool2d", 2, "sum"),
    Pool("avgpool1d", 1, "average"),
    Pool("avgpool2d", 2, "average"),
    Pool("maxpool1d", 1, "max"),
    Pool("maxpool2d", 2, "max"),
    Flatten(),
    OneToOne("scale"),
)
for _pattern in _patterns:
    PATTERNS.register(_pattern.kind, _pattern)
