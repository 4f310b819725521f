"""Synapse patterns: which neuron of the source reaches which neuron of the target, never expanded unless asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurocomp.models.registration import Table

Array = NDArray[Any]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One linear pattern: its registered kind, and the index arrays that belong to it (``sparse``: sources, targets)."""

    kind: str
    arrays: Mapping[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Synapses:
    """The synapses of a projection as a list sorted by source, then target; equal pairs keep the order of the weights."""

    source: IntArray
    target: IntArray
    slot: IntArray
    """Index into the raveled weights (and per-synapse delays)."""


class PatternType(Protocol):
    """What the compiler asks of a pattern. Members live in `PATTERNS`."""

    @property
    def kind(self) -> str:
        """The registered name."""
        ...

    @property
    def array_names(self) -> tuple[str, ...]:
        """The index arrays that `Pattern.arrays` holds."""
        ...

    def weight_shape(self, pattern: Pattern, n_source: int, n_target: int) -> tuple[int, ...]:
        """Return the shape that the weights must have."""
        ...

    def problem(self, pattern: Pattern, n_source: int, n_target: int) -> str | None:
        """Return why the pattern cannot join the two populations, or None."""
        ...

    def targets(self, pattern: Pattern, n_target: int) -> IntArray:
        """Return the target neuron of each weight, in an array that broadcasts to the weights' shape."""
        ...

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, n_target: int) -> Array:
        """Return the weighted sums (samples, n_target) of ``spikes`` (samples, n_source) in the weights' dtype."""
        ...

    def synapses(self, pattern: Pattern, n_source: int, n_target: int) -> Synapses:
        """Return every structural synapse."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """Every source to every target; weights (n_target, n_source), as torch.nn.Linear stores them."""

    kind: str = "dense"
    array_names: tuple[str, ...] = ()

    def weight_shape(self, pattern: Pattern, n_source: int, n_target: int) -> tuple[int, ...]:
        """See `PatternType.weight_shape`."""
        return (n_target, n_source)

    def problem(self, pattern: Pattern, n_source: int, n_target: int) -> str | None:
        """See `PatternType.problem`."""
        return None

    def targets(self, pattern: Pattern, n_target: int) -> IntArray:
        """See `PatternType.targets`."""
        return np.arange(n_target)[:, None]

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, n_target: int) -> Array:
        """See `PatternType.forward`."""
        return np.asarray(spikes @ weights.T)

    def synapses(self, pattern: Pattern, n_source: int, n_target: int) -> Synapses:
        """See `PatternType.synapses`."""
        source = np.repeat(np.arange(n_source), n_target)
        target = np.tile(np.arange(n_target), n_source)
        return Synapses(source, target, target * n_source + source)


@dataclass(frozen=True, slots=True)
class OneToOne:
    """Neuron i to neuron i; weights (n,)."""

    kind: str = "one_to_one"
    array_names: tuple[str, ...] = ()

    def weight_shape(self, pattern: Pattern, n_source: int, n_target: int) -> tuple[int, ...]:
        """See `PatternType.weight_shape`."""
        return (n_target,)

    def problem(self, pattern: Pattern, n_source: int, n_target: int) -> str | None:
        """See `PatternType.problem`."""
        if n_source != n_target:
            return f"one_to_one joins populations of one size, not {n_source} and {n_target} neurons"
        return None

    def targets(self, pattern: Pattern, n_target: int) -> IntArray:
        """See `PatternType.targets`."""
        return np.arange(n_target)

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, n_target: int) -> Array:
        """See `PatternType.forward`."""
        return np.asarray(spikes * weights)

    def synapses(self, pattern: Pattern, n_source: int, n_target: int) -> Synapses:
        """See `PatternType.synapses`."""
        index = np.arange(n_source)
        return Synapses(index, index, index)


@dataclass(frozen=True, slots=True)
class Sparse:
    """A list of synapses: weights (n_synapses,), ``sources`` and ``targets`` of the same length; equal pairs add up."""

    kind: str = "sparse"
    array_names: tuple[str, ...] = ("sources", "targets")

    def weight_shape(self, pattern: Pattern, n_source: int, n_target: int) -> tuple[int, ...]:
        """See `PatternType.weight_shape`."""
        return tuple(pattern.arrays["sources"].shape)

    def problem(self, pattern: Pattern, n_source: int, n_target: int) -> str | None:
        """See `PatternType.problem`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        if sources.shape != targets.shape or sources.ndim != 1:
            return f"sources {sources.shape} and targets {targets.shape} must be two lists of one length"
        for what, index, n in (("sources", sources, n_source), ("targets", targets, n_target)):
            if index.size and (index.min() < 0 or index.max() >= n):
                bad = int(index.min()) if index.min() < 0 else int(index.max())
                return f"{what} holds the index {bad}, outside 0..{n - 1}"
        return None

    def targets(self, pattern: Pattern, n_target: int) -> IntArray:
        """See `PatternType.targets`."""
        return pattern.arrays["targets"]

    def forward(self, pattern: Pattern, weights: Array, spikes: Array, n_target: int) -> Array:
        """See `PatternType.forward`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        out = np.zeros((n_target, spikes.shape[0]), np.result_type(weights, spikes))
        np.add.at(out, targets, (spikes[:, sources] * weights).T)
        return np.asarray(out.T)

    def synapses(self, pattern: Pattern, n_source: int, n_target: int) -> Synapses:
        """See `PatternType.synapses`."""
        sources, targets = pattern.arrays["sources"], pattern.arrays["targets"]
        order = np.lexsort((targets, sources))
        return Synapses(sources[order], targets[order], order)


PATTERNS: Table[PatternType] = Table("pattern")
for _pattern in (Dense(), OneToOne(), Sparse()):
    PATTERNS.register(_pattern.kind, _pattern)
