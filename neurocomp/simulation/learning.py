"""Learning in real numbers: the same sums of products, events and epochs as in integers, without any rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.network import Network, Projection
from neurocomp.models.learning import MOST_IMPULSE, TRACES, Product
from neurocomp.models.patterns import PATTERNS

Array = NDArray[Any]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TAGS = (-257.0, 255.0)


class Learner:
    """One projection that learns, sample after sample."""

    def __init__(self, network: Network, projection: Projection, factor: float, out: FloatArray) -> None:
        """Prepare a projection.

        Args:
            network: Whose projection it is.
            projection: One that learns.
            factor: On its weights where the simulation uses them.
            out: The weights that the simulation uses, times the factor; written in place.
        """
        assert projection.learning is not None
        self.projection, self.learning, self.factor, self.out = projection, projection.learning, factor, out
        source, target = network.populations[projection.source], network.populations[projection.target]
        found = PATTERNS[projection.pattern.kind].synapses(projection.pattern, source.shape, target.shape)
        self.sources, self.targets, self.slots = found.source, found.target, found.slot
        self.sizes = {"x": source.size, "y": target.size}
        self.form = self.learning.form()
        self.keep = {
            name: float(np.exp(-network.timestep / trace.tau)) if trace.tau > 0 else 0.0
            for name, trace in self.form.traces.items()
        }
        self.load()

    def load(self) -> None:
        """Take the stored weights."""
        self.weights = np.asarray(self.projection.weights, np.float64).ravel()[self.slots]
        self._write()

    def begin(self) -> None:
        """Begin a sample: traces and tags are 0."""
        if not self.learning.across_samples:
            self.load()
        self.tags = np.zeros_like(self.weights)
        self.traces = {name: np.zeros(self.sizes[name[0]]) for name in TRACES}
        self.times = {side: np.zeros(size, np.int64) for side, size in self.sizes.items()}
        self.step = 0

    def stored(self) -> FloatArray:
        """Return the weights as they stand, of the pattern's shape."""
        result = np.array(self.projection.weights, np.float64)
        result.reshape(-1)[self.slots] = self.weights
        return result

    def learn(self, pre: BoolArray, post: BoolArray, modulators: Mapping[str, FloatArray]) -> None:
        """Take the step of a tick, with the spikes of both sides; ``modulators``: y2 and y3 where populations send them."""
        epoch = self.learning.epoch
        place = self.step % epoch + 1
        self.step += 1
        for side, spikes in (("x", pre), ("y", post)):
            for name in (name for name in TRACES if name[0] == side and (side == "x" or not modulators)):
                self.traces[name] = self._struck(name, self.traces[name], spikes & (self.times[side] > 0))
            self.times[side][spikes] = place
        for name in TRACES[2:] if modulators else ():
            kept = self._struck(name, self.traces[name] * self.keep.get(name, 0.0), post)
            self.traces[name] = np.clip(modulators[name], 0, MOST_IMPULSE) if name in modulators else kept
        if place < epoch:
            return
        history = {name: self._history(name, bool(modulators) and name[0] == "y") for name in TRACES}
        low, high = self.learning.bounds
        weights = self._sum(self.weights, self.form.weights, history, high)
        self.tags = np.clip(self._sum(self.tags, self.form.tags, history, TAGS[1]), *TAGS)
        if weights is not self.weights:
            self.weights = np.clip(weights, low, high)
            self._write()
        for name, values in history.items():
            self.traces[name] = self.traces[name] if modulators and name[0] == "y" else values[-1]
        for times in self.times.values():
            times[:] = 0

    def _write(self) -> None:
        self.out.reshape(-1)[self.slots] = self.weights * self.factor

    def _struck(self, name: str, values: FloatArray, where: BoolArray) -> FloatArray:
        impulse = self.form.traces[name].impulse if name in self.form.traces else 0.0
        return np.where(where, np.minimum(values + impulse, MOST_IMPULSE), values)

    def _history(self, name: str, sent: bool) -> FloatArray:
        """Return a trace in the ticks of the epoch, (epoch + 1, n); ``sent``: the neurons keep it themselves."""
        values = [self.traces[name]]
        for place in range(1, self.learning.epoch + 1):
            kept = values[-1] if sent else values[-1] * self.keep.get(name, 0.0)
            values.append(kept if sent else self._struck(name, kept, self.times[name[0]] == place))
        return np.stack(values)

    def _sum(
        self, values: FloatArray, products: Sequence[Product], history: Mapping[str, FloatArray], limit: float
    ) -> FloatArray:
        """Return values plus their products; like the chip's sum of 16 bits, it saturates after each, at the largest value."""
        for product in products:
            step = self._product(product, history)
            if step is not None:
                values = np.clip(values + np.clip(step, -limit, limit), -limit, limit)
        return values

    def _product(self, product: Product, history: Mapping[str, FloatArray]) -> FloatArray | None:
        """Return a product per synapse; None where its condition holds nowhere."""
        if product.condition == "u":
            if self.step // self.learning.epoch % (1 << product.decimation):
                return None
            at = np.full(len(self.weights), self.learning.epoch)
        else:
            times = self.times[product.condition[0]]
            if not times.any():
                return None
            at = times[self.sources if product.condition == "x0" else self.targets]
        holds = at > 0
        if not holds.any():
            return None
        result = np.where(holds, product.coefficient, 0.0)
        for factor in product.factors:
            if factor.variable in ("w", "t"):
                value = self.weights if factor.variable == "w" else self.tags
            else:
                value = history[factor.variable][at, self.sources if factor.variable[0] == "x" else self.targets]
            value = value + factor.constant
            result = result * (np.sign(value) if factor.sign else value)
        return result
