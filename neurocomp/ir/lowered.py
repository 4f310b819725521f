"""The lowered network: the chip's own neurons and synapses in integer form, and the way back to the user's neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.ir.trace import Trace
from neurocomp.models.patterns import Pattern

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Representative:
    """Where a logical population lives after lowering: same size and order of neurons, ``lag`` ticks later."""

    population: str
    lag: int
    lossy: bool = False
    reason: str | None = None
    """Why the population is lossy, or what its exact start cost."""
    exact_ticks: int | None = None
    """Up to how many ticks per sample it is exact; None: however many."""
    neurons: IntArray | None = None
    """Which neuron of the population stands for each logical one, (n,); None: they are the same, in the same order."""

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the columns (samples, ticks, n) of the logical neurons from an array of the population."""
        return values if self.neurons is None else values[:, :, self.neurons]


Role = Literal["neuron", "relay", "channel"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a population of a crossbar chip is made of.

    ``neuron``: copies of logical neurons. ``relay``: repeats their spikes, some ticks later. ``channel``: rate-codes a part of
    what logical neurons receive, positive or negative; each of its spikes counts ``unit`` there.
    """

    logical: str
    """The user's population."""
    role: Role
    neurons: IntArray
    """Which logical neuron each one belongs to, (n,)."""
    unit: IntArray | None = None
    """Of channels: what a spike is worth at the logical neuron, with its sign, (n,)."""
    pool: Pattern | None = None
    """Of relays: the maximum that they repeat; ``neurons`` are then its windows, in the order of what it makes."""


@dataclass(frozen=True, slots=True, eq=False)
class LoweredNetwork:
    """Every projection has the delay that a hop takes at least; ``lag[population]`` says how late each population runs.

    Traces and counts are in chip ticks: ``ticks + largest lag``. Population p's tick k of the user is chip tick ``k + lag[p]``.
    """

    network: IntegerNetwork
    lag: Mapping[str, int]
    map: Mapping[str, Representative]
    """Logical population -> its representative."""
    notes: tuple[str, ...] = field(default=())
    extensions: tuple[str, ...] = field(default=())
    """What the chip does not do and was allowed nevertheless; every output says so."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """On chips of crossbar cores: population with neurons -> what they are made of."""
    declared_merges: Mapping[str, IntArray] = field(default_factory=dict)
    """Bank of axons -> those at which spikes of several sources become one, (n,), because the network says so."""

    @property
    def largest_lag(self) -> int:
        """The lag of the last population."""
        return max(self.lag.values(), default=0)

    def reached_by_loss(self, ticks: int) -> dict[str, str]:
        """Return the logical populations that a lossy step reaches in samples of ``ticks`` ticks, with the step's reason.

        A population that hears from one with a lossy step, and has none of its own, names that one in front of the reason.
        """
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.network.populations)
        graph.add_edges_from((q.source, q.target) for q in self.network.projections)
        graph.add_edges_from((c.axons, c.neurons) for c in self.network.crossbars)
        own: dict[str, str] = {}
        for name, representative in self.map.items():
            too_long = representative.exact_ticks is not None and ticks > representative.exact_ticks
            if representative.lossy or too_long:
                reason = representative.reason if representative.lossy else None
                own[name] = reason or f"'{name}' is proved exact for {representative.exact_ticks} ticks only"
        result = dict(own)
        for name, reason in own.items():
            origin = self.map[name].population
            reached = {origin, *nx.descendants(graph, origin)}
            for logical, other in self.map.items():
                if other.population in reached:
                    result.setdefault(logical, reason if other.population == origin else f"behind '{name}': {reason}")
        return result

    def in_user_time(self, trace: Trace) -> Trace:
        """Return a trace of this network as one of the user's populations, without lags."""
        currents = [name for name, p in self.network.populations.items() if p.dynamics == "current"]

        def cut(table: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            found = {
                name: r.of(trace.window(table[r.population], r.population))
                for name, r in self.map.items()
                if r.population in table
            }
            return found | {name: trace.window(table[name], name) for name in currents if name in table}

        return Trace(
            trace.engine, trace.ticks, dict.fromkeys(self.map, 0), cut(trace.spikes), cut(trace.u), cut(trace.v),
            True, trace.events, trace.weights, trace.counters,
        )  # fmt: skip

    def verify(self, delays: Mapping[str, np.ndarray], max_delay: int, least: int = 1) -> LoweredNetwork:
        """Re-derive the lag equation on every projection, and that nothing arrives at a population before it starts.

        A spike is sent no earlier than in the lag of its source: lowering sees to it that what runs ahead of its lag is silent.
        So it arrives no earlier than in the lag of its target if a hop takes at least the difference of both.

        Args:
            delays: The delay of each projection of the quantized network, by name.
            max_delay: Largest delay that a synapse of the chip stores, beyond the ticks that every hop takes.
            least: Ticks that every hop takes.

        A network with crossbars has its own rules: `neurocomp.ir.crossbars.verify_crossbars`.
        """
        self.network.verify("lower")
        if set(self.lag) != set(self.network.populations):
            raise broken_invariant("lower", "every population has a lag")
        for name, population in self.network.populations.items():
            if population.is_input and self.lag[name] != 0:
                raise broken_invariant("lower", f"input '{name}' has no lag")
            if population.start not in (0, self.lag[name]):
                raise broken_invariant("lower", f"'{name}' starts in tick 0 or in its lag")
        for q in () if self.network.crossbars else self.network.projections:
            if q.delay.size == 0:
                continue
            if int(q.delay.min()) < least or int(q.delay.max()) - least > max_delay:
                raise broken_invariant("lower", f"delays of '{q.name}' lie in {least}..{max_delay + least}")
            if self.network.populations[q.target].start and int(q.delay.min()) < self.lag[q.target] - self.lag[q.source]:
                raise broken_invariant("lower", f"no spike of '{q.name}' arrives before '{q.target}' starts")
            if q.name in delays:
                expected = delays[q.name] + self.lag[q.target] - self.lag[q.source]
                if not np.array_equal(np.broadcast_to(expected, q.delay.shape), q.delay):
                    raise broken_invariant("lower", f"hop delay of '{q.name}' = delay + lag of target - lag of source")
        for logical, representative in self.map.items():
            if self.lag[representative.population] != representative.lag:
                raise broken_invariant("lower", f"the representative of '{logical}' has the lag of the map")
        return self
