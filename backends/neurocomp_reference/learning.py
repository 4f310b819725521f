"""Learning: the traces, tags and weights of the projections that learn, every formula of docs/semantics.md once.

The arithmetic and its random numbers are those of lava-nc 0.10.0's fixed-point LearningDense, with 7-bit traces, 9-bit weights
and tags, and 16-bit sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.quantized import IntegerLearning, IntegerNetwork, IntegerProduct, IntegerProjection

IntArray = NDArray[np.int64]

LARGEST_TRACE = 127
LARGEST_SUM = 1 << 15
"""Sums saturate at -2**15 - 1 and 2**15 - 1, in steps of 1/128 of a weight or tag."""
STEPS = 128
NEURON_KEEP = float(np.exp(-1 / 65535))
"""What traces that neurons send keep per tick within an epoch."""
ROUNDING_SEED = 2
"""Of the rounding of weights and tags, whatever the seed of the rule."""


class Random:
    """The random numbers of a projection, in the order in which Lava draws them."""

    def __init__(self, seed: int) -> None:
        self._generators = [np.random.default_rng(seed + k) for k in range(4)]
        self._rounding = np.random.default_rng(ROUNDING_SEED)
        self.advance()
        self.rounding = float(self._rounding.random())

    def advance(self) -> None:
        """Draw the next numbers for the traces."""
        decays = [float(g.random()) for g in self._generators[::2]]
        impulses = [int(g.integers(0, 128)) for g in self._generators[1::2]]
        self.decay = dict(zip("xy", decays, strict=True))
        self.impulse = dict(zip("xy", impulses, strict=True))

    def round(self) -> float:
        """Draw and return the next number for weights and tags."""
        self.rounding = float(self._rounding.random())
        return self.rounding


@dataclass(slots=True)
class Synapses:
    """A projection that learns: what a sample begins with, and what moves."""

    projection: IntegerProjection
    learning: IntegerLearning
    sources: IntArray
    targets: IntArray
    slots: IntArray
    """Where the weight of each synapse stands in the flat array."""
    sizes: tuple[int, int]
    low: int
    high: int
    weights: IntArray = field(init=False)
    tags: IntArray = field(init=False)
    traces: dict[str, IntArray] = field(init=False)
    times: dict[str, IntArray] = field(init=False)
    """``x`` and ``y``: the tick of the epoch, from 1 on, of each neuron's last spike; 0: none."""
    step: int = field(init=False)
    random: Random = field(init=False)

    @classmethod
    def of(cls, network: IntegerNetwork, projection: IntegerProjection) -> Synapses:
        """Prepare a projection."""
        assert projection.learning is not None
        found = network.synapses(projection)
        sizes = network.populations[projection.source].size, network.populations[projection.target].size
        low, high = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[projection.sign_mode]
        result = cls(projection, projection.learning, found.source, found.target, found.slot, sizes, low, high)
        result.load()
        return result

    def load(self) -> None:
        """Take the stored weights, and the random numbers from their beginning."""
        self.weights = self.projection.weights.ravel()[self.slots].astype(np.int64)
        self.random = Random(self.learning.seed)

    def begin(self) -> None:
        """Begin a sample: traces and tags are 0."""
        if not self.learning.across_samples:
            self.load()
        self.tags = np.zeros_like(self.weights)
        self.traces = {name: np.zeros(self.sizes[name[0] == "y"], np.int64) for name in ("x1", "x2", "y1", "y2", "y3")}
        self.times = {"x": np.zeros(self.sizes[0], np.int64), "y": np.zeros(self.sizes[1], np.int64)}
        self.step = 0

    def stored(self) -> NDArray[np.int16]:
        """Return the weights as they stand, of the pattern's shape."""
        result = self.projection.weights.copy()
        result.reshape(-1)[self.slots] = self.weights
        return np.asarray(result, np.int16)

    def activation(self, spikes: NDArray[np.int32]) -> IntArray:
        """Return what spikes (1, n_source) add to the targets."""
        sent = np.where(spikes[0, self.sources] != 0, self.weights, 0)
        total = np.zeros((1, self.sizes[1]), np.int64)
        np.add.at(total[0], self.targets, sent)
        exponent = self.projection.exponent
        return total << exponent if exponent > 0 else total >> -exponent

    def learn(self, pre: NDArray[np.bool_], post: NDArray[np.bool_], modulators: Mapping[str, IntArray]) -> None:
        """Take one step: the spikes of a tick enter, and at the end of an epoch weights and tags move.

        Args:
            pre: Which sources spiked, (n_source,).
            post: Which targets spiked, (n_target,).
            modulators: ``y2`` and ``y3`` where populations send them, (n_target,).
        """
        epoch = self.learning.epoch
        place = self.step % epoch + 1
        self.step += 1
        self._spikes("x", pre, place)
        self.random.advance()
        self._spikes("y", post, place)
        self.random.advance()
        if modulators:
            for name in ("y1", "y2", "y3"):
                if name in modulators:
                    self.traces[name] = np.clip(modulators[name], 0, LARGEST_TRACE)
                else:
                    self.traces[name] = self._struck(name, self._decayed(name, self.traces[name]), post)
        if place < epoch:
            return
        history = self._history("x", None) | self._history("y", NEURON_KEEP if modulators else None)
        rounding = self.random.round()
        moved, tags = (
            self._sum(products, values, history)
            for products, values in ((self.learning.weights, self.weights), (self.learning.tags, self.tags))
        )
        if self.learning.weights:
            moved = np.maximum(moved, 0) if self.low == 0 else np.minimum(moved, 0) if self.high == 0 else moved
            self.weights = np.clip(_rounded(moved, rounding), self.low, self.high)
        if self.learning.tags:
            self.tags = np.clip(_rounded(tags, rounding), -257, 255)
        for name, values in history.items():
            if name[0] == "x" or not modulators:
                self.traces[name] = values[-1]
        self.times = {side: np.zeros_like(times) for side, times in self.times.items()}

    def _spikes(self, side: str, spikes: NDArray[np.bool_], place: int) -> None:
        """Note the spikes of a tick; where a neuron spiked before in the epoch its traces take the impulse at once."""
        again = spikes & (self.times[side] > 0)
        # Where a population modulates, it is the neurons that send their traces.
        for name in [name for name in self.traces if name[0] == side and (side == "x" or not self.learning.modulators)]:
            self.traces[name] = self._struck(name, self.traces[name], again, None if side == "x" else self.random.impulse["y"])
        self.times[side] = np.where(spikes, place, self.times[side])

    def _struck(self, name: str, values: IntArray, where: NDArray[np.bool_], random: int | None = -1) -> IntArray:
        """Return a trace with its impulse added; ``random``: the number that rounds it, None: 0, -1: the current one."""
        trace = self.learning.traces.get(name)
        impulse = trace.impulse if trace is not None else 0
        number = self.random.impulse[name[0]] if random == -1 else random or 0
        whole = (impulse >> 8) + (number < (impulse & 255))
        return np.where(where, np.clip(values + whole, 0, LARGEST_TRACE), values)

    def _decayed(self, name: str, values: IntArray, keep: float | None = None) -> IntArray:
        """Return a trace one tick later, rounded up where its fraction exceeds the random number of the tick."""
        if keep is None:
            trace = self.learning.traces.get(name)
            keep = trace.keep if trace is not None else 0.0
        exact = keep * values
        return np.asarray(np.floor(exact) + (self.random.decay[name[0]] < exact % 1), np.int64)

    def _history(self, side: str, keep: float | None) -> dict[str, IntArray]:
        """Return each trace of a side in the ticks of the epoch, (epoch + 1, n); ``keep``: it is the neuron that strikes it."""
        result = {}
        for name in [name for name in self.traces if name[0] == side]:
            values = [self.traces[name]]
            for place in range(1, self.learning.epoch + 1):
                now, struck = self._decayed(name, values[-1], keep), self.times[side] == place
                values.append(self._struck(name, now, struck) if keep is None else np.where(struck, np.clip(now, 0, 127), now))
            result[name] = np.stack(values)
        return result

    def _sum(self, products: tuple[IntegerProduct, ...], values: IntArray, history: Mapping[str, IntArray]) -> IntArray:
        """Return values plus their products, in steps of 1/128, saturated after each."""
        total = values * STEPS
        for product in products:
            total = np.clip(total + self._product(product, history), -LARGEST_SUM - 1, LARGEST_SUM - 1)
        return total

    def _product(self, product: IntegerProduct, history: Mapping[str, IntArray]) -> IntArray:
        """Return a product of every synapse: its factors as they were in the tick of its condition."""
        if product.condition == "u":
            epochs = self.step // self.learning.epoch
            at = np.full(len(self.weights), self.learning.epoch)
            holds = np.full(len(self.weights), epochs % (1 << product.decimation) == 0)
        else:
            neurons = self.sources if product.condition == "x0" else self.targets
            at = self.times[product.condition[0]][neurons]
            holds = at > 0
        result = holds.astype(np.int64)
        for factor in product.factors:
            if factor.variable in ("w", "t"):
                value = self.weights if factor.variable == "w" else self.tags
            else:
                neurons = self.sources if factor.variable[0] == "x" else self.targets
                value = history[factor.variable][at, neurons]
            value = value + factor.constant
            value = np.sign(value) if factor.sign else value
            result = result * np.clip(value, -(1 << factor.bits), (1 << factor.bits) - 1)
        result = (result * product.mantissa >> product.shift) << product.exponent
        return np.clip(result, -LARGEST_SUM - 1, LARGEST_SUM - 1)


def _rounded(steps: IntArray, random: float) -> IntArray:
    """Return steps of 1/128 as whole numbers: up where the fraction exceeds the random number, else down."""
    return np.asarray((steps >> 7) + (random < (steps & 127) / STEPS), np.int64)
