"""The reference simulator: runs an integer network tick by tick, exactly as docs/semantics.md says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.ir.quantized import REGISTERS, IntegerNetwork, IntegerProjection, synapse_slot
from neurocomp.ir.stimulus import recorded_populations, samples_and_ticks
from neurocomp.ir.trace import Event, Trace
from neurocomp_reference.learning import Synapses
from neurocomp_reference.steps import (
    DYNAMICS,
    PATTERNS,
    Clock,
    CrossbarSums,
    DelayGroup,
    Neurons,
    StochasticSynapses,
    maximum,
)

Array = NDArray[Any]
Int32Array = NDArray[np.int32]
IntArray = NDArray[np.int64]

CHUNK_BYTES = 128 << 20
"""Samples run together as long as their spikes and sums need no more memory than about this."""


class ReferenceSimulator:
    """Executes an integer network in plain numpy; see `neurocomp.backend.IntegerSimulator`."""

    name = "reference"

    def run(
        self,
        network: IntegerNetwork,
        stimulus: Mapping[str, Array],
        *,
        lag: Mapping[str, int] | None = None,
        record: Sequence[str] | None = None,
        state: bool = True,
        first_sample: int = 0,
    ) -> Trace:
        """Run all samples from the initial state for (ticks of the stimulus + largest lag) ticks.

        Args:
            network: The network; a quantized one has no lags.
            stimulus: One array of integers (samples, ticks, n) per input population; 0 beyond its ticks. The values of a
                ``current`` population are constant over the ticks of a sample. For a network without inputs the stimulus is
                empty: one sample runs for the ticks of the network.
            lag: Of each population of a lowered network. It says how long to run, when a current acts, and is handed on to
                the trace.
            record: Populations whose spikes (and state) the trace holds; None: all.
            state: Whether u and v are recorded, of the populations that have them.
            first_sample: The number of the first sample, which keys random numbers.

        Returns:
            Spikes, u and v as int32 (samples, chip ticks, n), not windowed; an input's spikes are its stimulus. Events tell the
            first place (by sample, then tick, then neuron) and the number of overflows per population and register.

        Raises:
            NetworkError: The stimulus does not belong to the network (NC0211), or ``record`` names no population (NC0201).
        """
        samples, ticks = samples_and_ticks(network, stimulus)
        lags = dict.fromkeys(network.populations, 0) | dict(lag or {})
        recorded = recorded_populations(network, record)
        machine = _Machine.of(network, ticks, lags)

        def empty(names: Iterable[str]) -> dict[str, Int32Array]:
            sizes = ((name, network.populations[name].size) for name in names)
            return {name: np.zeros((samples, machine.chip_ticks, size), np.int32) for name, size in sizes}

        def having(register: str) -> Iterator[str]:
            return (name for name in recorded if state and register in REGISTERS.get(network.populations[name].dynamics, ()))

        results = _Results(empty(recorded), empty(having("u")), empty(having("v")))
        # Samples that learn run one by one, as one may go on from the other.
        for chunk in _chunks(samples, CHUNK_BYTES if machine.learning else machine.bytes_per_sample):
            machine.run({name: values[chunk] for name, values in stimulus.items()}, chunk, results, first_sample)
            for name, synapses in machine.learning.items():
                if state or not synapses.learning.across_samples or chunk.stop == samples:
                    results.weights.setdefault(name, []).append(synapses.stored())
        weights = {name: np.stack(values) for name, values in results.weights.items()}
        events = results.overflows.events(network)
        return Trace(self.name, ticks, lags, results.spikes, results.u, results.v, events=events, weights=weights)


@dataclass(frozen=True, slots=True)
class _Machine:
    """A network made ready to run: what follows from its integers is computed once."""

    network: IntegerNetwork
    order: tuple[str, ...]
    """Populations in the order in which they are updated within a tick."""
    groups: Mapping[str, tuple[DelayGroup | StochasticSynapses | CrossbarSums, ...]]
    """Population -> what all projections and crossbars into it add."""
    compartments: Mapping[str, Neurons]
    learning: Mapping[str, Synapses]
    """Projections that learn; what they add is not among ``groups``."""
    ticks: int
    lag: Mapping[str, int]

    @classmethod
    def of(cls, network: IntegerNetwork, ticks: int, lag: Mapping[str, int]) -> _Machine:
        """Prepare a network for a stimulus of ``ticks`` ticks."""
        order = update_order(network)
        groups: dict[str, list[DelayGroup | StochasticSynapses | CrossbarSums]] = {name: [] for name in order}
        for number, projection in enumerate(network.projections):
            if projection.learning is None:
                groups[projection.target] += _delay_groups(network, projection, number)
        learning = {q.name: Synapses.of(network, q) for q in network.projections if q.learning is not None}
        for crossbar in network.crossbars:
            groups[crossbar.neurons].append(CrossbarSums(crossbar, network.populations[crossbar.neurons]))
        compartments: dict[str, Neurons] = {}
        for name, population in network.populations.items():
            if population.is_input or population.dynamics == "axons":
                continue
            if population.dynamics not in DYNAMICS:
                raise broken_invariant("the reference", f"the dynamics '{population.dynamics}' of '{name}' are known")
            compartments[name] = DYNAMICS[population.dynamics](population, network.number_format)
        found = {name: tuple(groups[name]) for name in order}
        return cls(network, order, found, compartments, learning, ticks, lag)

    @property
    def chip_ticks(self) -> int:
        """For how many ticks all populations run."""
        return self.ticks + max(self.lag.values(), default=0)

    @property
    def bytes_per_sample(self) -> int:
        """Memory that one sample needs: its spikes of all ticks, the state, and the arrays of the largest sum of one tick."""
        neurons = sum(p.size for p in self.network.populations.values())
        terms = max((group.terms for groups in self.groups.values() for group in groups), default=0)
        return 4 * self.chip_ticks * neurons + 32 * terms + 96 * neurons

    def run(self, stimulus: Mapping[str, Array], chunk: slice, results: _Results, first_sample: int) -> None:
        """Run some samples together and write what they did into the rows ``chunk`` of the results."""
        populations = self.network.populations
        samples = chunk.stop - chunk.start
        spikes: dict[str, Int32Array] = {
            name: np.zeros((samples, self.chip_ticks, population.size), np.int32) for name, population in populations.items()
        }
        for name, values in stimulus.items():
            spikes[name][:, : self.ticks] = values
        for name, population in populations.items():
            if population.dynamics == "pulse":
                since = np.arange(self.chip_ticks)[:, None] - population.values("first")
                spikes[name][:] = (since >= 0) & (since < population.values("count"))
        state = {name: machine.first(populations[name], samples) for name, machine in self.compartments.items()}
        numbers = first_sample + np.arange(chunk.start, chunk.stop)
        for synapses in self.learning.values():
            synapses.begin()

        for t in range(self.chip_ticks):
            for name in self.order:
                # What arrives before a population starts is lost; until then its state is the one that it starts from.
                if populations[name].is_input or t < populations[name].start:
                    continue
                activation = np.zeros((samples, populations[name].size), np.int64)
                clock = Clock(numbers, t - self.lag[name])
                for group in self.groups[name]:
                    if t >= group.delay:
                        activation += group.activation(spikes[group.source][:, t - group.delay], clock)
                for synapses in self.learning.values():
                    q = synapses.projection
                    if q.target == name and t >= int(q.delay):
                        activation += synapses.activation(spikes[q.source][:, t - int(q.delay)])
                if populations[name].dynamics == "axons":
                    spikes[name][:, t] = activation > 0
                    continue
                if self.compartments[name].is_cleared(t):
                    state[name] = state[name].cleared()

                tick = self.compartments[name].step(state[name], activation, self.current(name, stimulus, t), clock)
                state[name], spikes[name][:, t] = tick.state, tick.spikes

                if name in results.u:
                    results.u[name][chunk, t] = tick.state.u
                if name in results.v:
                    results.v[name][chunk, t] = tick.state.v
                for register, where in tick.overflows.items():
                    results.overflows.add(name, register, where, chunk.start, t)
            for synapses in self.learning.values():
                self.learn(synapses, spikes, t)
        for name in results.spikes:
            results.spikes[name][chunk] = spikes[name]

    def learn(self, synapses: Synapses, spikes: Mapping[str, Int32Array], t: int) -> None:
        """Let a projection take its step of tick ``t`` of its target, if the tick lies in the window of both ends.

        It sees the spikes that have just arrived, and those with which the target answered the ones before.
        """
        q, delay = synapses.projection, int(synapses.projection.delay)
        if not self.lag[q.source] + delay <= t < self.lag[q.target] + self.ticks:
            return
        pre = spikes[q.source][0, t - delay] != 0
        post = spikes[q.target][0, t - 1] != 0 if t else np.zeros(synapses.sizes[1], np.bool_)
        modulators: dict[str, IntArray] = {}
        for trace, name in zip(("y2", "y3"), synapses.learning.modulators, strict=False):
            at = t - delay - synapses.learning.modulator_delay
            values = spikes[name][0, at] if at >= 0 else np.zeros(1, np.int32)
            modulators[trace] = np.broadcast_to(values, (synapses.sizes[1],)).astype(np.int64)
        synapses.learn(pre, post, modulators)

    def current(self, name: str, stimulus: Mapping[str, Array], t: int) -> IntArray | None:
        """Return what the stimulus adds to the potential of a population in tick ``t``: (samples, n), in its window alone."""
        source = self.network.populations[name].current
        if source is None or not self.lag[name] <= t < self.lag[name] + self.ticks:
            return None
        return stimulus[source][:, t - self.lag[name]].astype(np.int64)


def update_order(network: IntegerNetwork) -> tuple[str, ...]:
    """Return the populations so that each follows those whose spikes reach it within the same tick (delay 0).

    Where that leaves a choice, the order of the network holds; no result depends on it.
    """
    place = {name: index for index, name in enumerate(network.populations)}
    graph = nx.DiGraph()
    graph.add_nodes_from(network.populations)
    graph.add_edges_from((q.source, q.target) for q in network.projections if q.delay.size and q.delay.min() == 0)
    graph.add_edges_from((c.axons, c.neurons) for c in network.crossbars)
    if not nx.is_directed_acyclic_graph(graph):
        raise broken_invariant("the reference", f"'{network.name}' has no cycle of projections without delay")
    return tuple(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def _delay_groups(
    network: IntegerNetwork, projection: IntegerProjection, number: int
) -> Iterator[DelayGroup | StochasticSynapses]:
    """Split a projection by delay: the exponent shifts, and so rounds, the sum of each delay on its own."""
    if projection.pattern.kind not in PATTERNS:
        raise broken_invariant("the reference", f"the pattern '{projection.pattern.kind}' of '{projection.name}' is known")
    source, target = network.populations[projection.source], network.populations[projection.target]
    stochastic = target.dynamics == "truenorth" and bool(target.values("b").any())
    for delay in np.unique(projection.delay):
        if stochastic:
            yield _stochastic(network, projection, int(delay), number)
        else:
            yield DelayGroup.of(projection, int(delay), source.shape, target.shape)


def _stochastic(network: IntegerNetwork, projection: IntegerProjection, delay: int, number: int) -> StochasticSynapses:
    """List the synapses of one delay."""
    found, weights = network.synapses(projection), projection.weights.ravel()
    here = (weights != 0) & (np.broadcast_to(projection.delay, projection.mantissa.shape).ravel() == delay)
    kept = here[found.slot]
    # Synapses of one source and target are one, whose weights add up before the draw.
    size = network.populations[projection.target].size
    pairs, inverse = np.unique(found.source[kept] * size + found.target[kept], return_inverse=True)
    total = np.zeros(len(pairs), np.int64)
    np.add.at(total, inverse.reshape(-1), weights[found.slot[kept]])
    sources, targets = np.divmod(pairs[total != 0], size)
    pool = None
    if projection.pool is not None:
        pool = maximum(projection.pool.options, network.populations[projection.source].shape)[0]
    return StochasticSynapses(
        network.populations[projection.target], delay, projection.source, sources, targets, total[total != 0],
        synapse_slot(number, sources), pool,
    )  # fmt: skip


@dataclass(slots=True)
class _Overflows:
    """Counts registers that left their width."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    """(population, register) -> the smallest (sample, tick, neuron)."""

    def add(self, population: str, register: str, where: NDArray[np.bool_], first_sample: int, tick: int) -> None:
        """Note the overflows of one tick; ``where`` is (samples of the chunk, n)."""
        if not where.any():
            return
        key = (population, register)
        sample, neuron = np.argwhere(where)[0]
        place = (first_sample + int(sample), tick, int(neuron))
        self.first[key] = min(self.first.get(key, place), place)
        self.counts[key] = self.counts.get(key, 0) + int(np.count_nonzero(where))

    def events(self, network: IntegerNetwork) -> tuple[Event, ...]:
        """Return one event per population and register, in the order of the network."""
        keys = [(name, register) for name in network.populations for register in ("accumulator", "u", "v")]
        return tuple(Event(*key, self.counts[key], *self.first[key]) for key in keys if key in self.counts)


@dataclass(frozen=True, slots=True)
class _Results:
    """What a run has found out: arrays (samples, chip ticks, n) of the recorded populations, and the overflows of all."""

    spikes: dict[str, Int32Array]
    u: dict[str, Int32Array]
    v: dict[str, Int32Array]
    weights: dict[str, list[NDArray[np.int16]]] = field(default_factory=dict)
    overflows: _Overflows = field(default_factory=_Overflows)


def _chunks(samples: int, bytes_per_sample: int) -> Iterator[slice]:
    size = max(1, CHUNK_BYTES // max(1, bytes_per_sample))
    for begin in range(0, samples, size):
        yield slice(begin, min(begin + size, samples))
