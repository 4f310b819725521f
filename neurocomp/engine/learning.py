"""Learning in the fast engine: what moves while samples run one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.engine.kernels import learning
from neurocomp.engine.kernels.records import Chunk
from neurocomp.engine.plan import Learned, Plan

Array = NDArray[Any]
IntArray = NDArray[np.int64]


class Learner:
    """One projection that learns, in one run."""

    def __init__(self, plan: Plan, learned: Learned) -> None:
        assert learned.projection.learning is not None
        self.plan, self.learned, self.integers = plan, learned, learned.projection.learning
        place = learned.place
        self.weight = plan.tables.words[place : place + len(learned.slots)]
        self.state = learning.state_of(learned.rule, learned.synapses, self.weight)
        self.steps = max(0, learned.end - learned.start)
        self.values = [np.zeros(len(learned.synapses.back_start) - 1, np.int64) for _ in range(2)]
        self.load()

    def load(self) -> None:
        """Take the stored weights, and the random numbers from their beginning."""
        self.weight[:] = self.learned.projection.weights.ravel()[self.learned.slots]
        self.generators = learning.generators_of(self.integers.seed)

    def begin(self) -> None:
        """Begin a sample."""
        if not self.integers.across_samples:
            self.load()
        learning.begin(self.state)
        self.numbers = learning.numbers_of(self.generators, self.steps, self.integers.epoch)

    def stored(self) -> NDArray[np.int16]:
        """Return the weights as they stand, of the pattern's shape."""
        result = self.learned.projection.weights.astype(np.int16)
        result.reshape(-1)[self.learned.slots] = self.weight
        return result

    def step(self, chunk: Chunk, stimulus: Mapping[str, Array], sample: int, b0: int, t: int) -> None:
        """Take the step of tick t of the target, which has just run; b0 is where the block began."""
        q, learned = self.learned.projection, self.learned
        if not learned.start <= t < learned.end:
            return
        delay = int(q.delay)
        pre = self.spikes(chunk, learned.source, b0, t - delay)
        post = self.spikes(chunk, learned.target, b0, t - 1)
        for values, name in zip(self.values, self.integers.modulators, strict=False):
            given = self.modulator(chunk, stimulus, name, sample, b0, t - delay - self.integers.modulator_delay)
            order = self.plan.orders.get(q.target)
            values[:] = given if order is None or len(given) == 1 else given[order]
        learning.step(learned.rule, learned.synapses, self.state, self.numbers, pre, post, *self.values)

    def spikes(self, chunk: Chunk, number: int, b0: int, t: int) -> Array:
        """Return which neurons of a node spiked in a tick, as the engine holds them."""
        node = self.plan.tables.nodes[number]
        place = int(node["ptr"] + node["history"] - b0 + t)
        first, last = (int(node["events"] + chunk.ptr[0, at]) for at in (place, place + 1))
        return chunk.events[0, first:last]

    def modulator(self, chunk: Chunk, stimulus: Mapping[str, Array], name: str, sample: int, b0: int, t: int) -> Array:
        """Return what a population sends in a tick, (n,) in its own order."""
        values = np.zeros(self.plan.network.populations[name].size, np.int64)
        if name not in self.plan.inputs:
            spiking = self.spikes(chunk, self.plan.nodes.index((name, None)), b0, t)
            values[spiking if name not in self.plan.orders else self.plan.orders[name][spiking]] = 1
        elif 0 <= t < stimulus[name].shape[1]:
            values[:] = stimulus[name][sample, t]
        return values
