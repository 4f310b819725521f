"""Lowering to Loihi: lags that every hop costs, delays between them, exact starts, readouts that never spike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Lowering, Violation
from neurocomp.hardware import HardwareSpec, NumberFormat
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, QuantizedNetwork

IntArray = NDArray[np.int64]


def lower(quantized: QuantizedNetwork, spec: HardwareSpec) -> Lowering:
    """Rewrite the logical network into compartments and synapses with a delay of at least one tick.

    The caller has checked the network: `lag_violations` is empty.
    """
    network = quantized.network
    lag = lags(network)
    populations: dict[str, IntegerPopulation] = {}
    representatives: dict[str, Representative] = {}
    notes: list[str] = []
    if max(lag.values(), default=0):
        late = ", ".join(f"{name} +{ticks}" for name, ticks in lag.items() if ticks)
        notes.append(f"every hop takes a tick on the chip, so populations run late, in ticks: {late}")
    for p in network.populations.values():
        if p.is_input:
            populations[p.name] = p
            continue
        parameters = dict(p.parameters)
        if not p.fires:
            parameters["vth"] = frozen(np.int64(spec.number_format.threshold_max))
            notes.append(f"'{p.name}' never spikes: its threshold is the largest, {spec.number_format.threshold_max}")
        potential = next(v for v in quantized.verdicts if v.population == p.name and v.register == "v")
        start = early_start(replace(p, parameters=parameters), lag[p.name], spec.number_format)
        lossy, reason = False, None
        exact_ticks = None if p.fires or potential.kind == "proved always" else potential.ticks
        if not p.fires and not potential.proved:
            lossy, reason = True, "its potential is not proved to stay below the largest threshold, at which the chip spikes"
        if start.changed:
            parameters["u_init"], parameters["v_init"] = frozen(start.u), frozen(start.v)
            reason = reason or f"starts {lag[p.name]} ticks early from a corrected state, exact"
            if not start.exact.all():
                lossy = True
                count = int((~start.exact).sum())
                reason = (
                    f"{count} of {p.size} neurons cannot start {lag[p.name]} ticks early without a spike or a clip; "
                    f"delays that add up to {lag[p.name]} on the way to it need no early start"
                )
        if reason is not None:
            notes.append(f"'{p.name}': {reason}" + (" (lossy)" if lossy else ""))
        populations[p.name] = replace(p, parameters=parameters, fires=True)
        representatives[p.name] = Representative(p.name, lag[p.name], lossy, reason, exact_ticks)
    projections = tuple(
        replace(q, delay=frozen(np.asarray(q.delay + lag[q.target] - lag[q.source], np.int64))) for q in network.projections
    )
    lowered = replace(network, populations=populations, projections=projections)
    inputs = {p.name: Representative(p.name, 0) for p in network.populations.values() if p.is_input}
    return Lowering(LoweredNetwork(lowered, lag, {**inputs, **representatives}, tuple(notes)), tuple(notes))


def _lag_graph(network: IntegerNetwork) -> nx.DiGraph[str]:
    """Edges carry how much later than its source a target must at least run: 1 - smallest delay."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(network.populations)
    for q in network.projections:
        if q.delay.size == 0:
            continue
        late = 1 - int(q.delay.min())
        if not graph.has_edge(q.source, q.target) or graph[q.source][q.target]["late"] < late:
            graph.add_edge(q.source, q.target, late=late)
    return graph


def lags(network: IntegerNetwork) -> dict[str, int]:
    """Return the smallest lag of each population such that every hop takes at least a tick: longest paths from lag 0.

    Inputs have lag 0. The caller has checked that there is no cycle with fewer delay ticks than hops.
    """
    graph = _lag_graph(network)
    lag = dict.fromkeys(network.populations, 0)
    for _ in range(len(lag)):
        changed = False
        for source, target, data in graph.edges(data=True):
            if lag[source] + data["late"] > lag[target]:
                lag[target] = lag[source] + data["late"]
                changed = True
        if not changed:
            break
    return lag


def lag_violations(network: IntegerNetwork, spec: HardwareSpec) -> list[Violation]:
    """Return cycles that are too fast for the chip, and delays that its synapses cannot store."""
    graph = _lag_graph(network)
    for _, _, data in graph.edges(data=True):
        data["weight"] = -data["late"]
    violations: list[Violation] = []
    for component in sorted(nx.strongly_connected_components(graph), key=min):
        part = nx.DiGraph(graph.subgraph(component))
        if not part.number_of_edges() or not nx.negative_edge_cycle(part):
            continue
        cycle = nx.find_negative_cycle(part, next(iter(sorted(component))))
        path = " -> ".join(cycle)
        hops = len(cycle) - 1
        ticks = sum(1 - graph[a][b]["late"] for a, b in pairwise(cycle))
        first = network.populations[cycle[0]]
        last = [q for q in network.projections if (q.source, q.target) == (cycle[-2], cycle[-1]) and q.delay.size]
        closing = min(last, key=lambda q: int(q.delay.min()))
        message = f"the cycle {path} has {ticks} delay ticks for {hops} hops; a hop takes 1 tick on {spec.name}"
        hint = f"raise the delays along the cycle by {hops - ticks} in total, for instance of '{closing.name}'"
        violations.append(Violation("NC0315", first.name, message, ticks, hops, hint=hint, origin=closing.origin))
    if violations:
        return violations
    lag = lags(network)
    for q in network.projections:
        if q.delay.size == 0:
            continue
        stored = int(q.delay.max()) + lag[q.target] - lag[q.source] - 1
        if stored > spec.limit("delay"):
            extra = lag[q.target] - lag[q.source]
            late = f" and {extra} for the lag" if extra else ""
            because = f" (a delay of {int(q.delay.max())}{late}, less the tick that every hop takes)"
            limit, source = spec.limit("delay"), spec.limit_text("delay")
            message = f"projection '{q.name}' needs synapses that wait {stored} ticks{because}; {spec.name} stores {limit}"
            hint = "shorten the delay, or insert a relay population"
            violations.append(Violation("NC0309", q.name, message, stored, limit, source, hint, origin=q.origin))
    return violations


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The state of a lagging population at chip tick 0, and for which neurons it leads exactly to the wanted one."""

    u: IntArray
    v: IntArray
    exact: NDArray[np.bool_]
    changed: bool


def early_start(p: IntegerPopulation, lag: int, form: NumberFormat) -> Start:
    """Return a state from which, without input, ``lag`` ticks lead to the population's initial state.

    Each tick is inverted: the smallest state that decays to the wanted one, after taking off current and bias. The result is
    then run forward; a neuron is exact if it neither spikes nor clips on the way and arrives where it should.
    """
    bias = p.values("bias_mant") << p.values("bias_exp")
    keep_u = form.decay_one - (p.values("du") + form.current_decay_offset)
    keep_v = form.decay_one - p.values("dv")
    u_wanted, v_wanted = p.values("u_init").copy(), p.values("v_init").copy()
    if lag == 0 or not (bias.any() or u_wanted.any() or v_wanted.any()):
        return Start(u_wanted, v_wanted, np.ones(p.size, bool), changed=False)
    u, v = u_wanted, v_wanted
    for _ in range(lag):
        v = _before_decay(v - u - bias, keep_v, form)
        u = _before_decay(u, keep_u, form)
    exact = (np.abs(u) < form.u_max) & (np.abs(v) <= form.v_max)
    u, v = np.clip(u, -(form.u_max - 1), form.u_max - 1), np.clip(v, -form.v_max, form.v_max)
    x, y = u, v
    for _ in range(lag):
        x = _decay(x, keep_u, form)
        y = _decay(y, keep_v, form) + x + bias
        exact &= (y <= (p.values("vth") << form.state_shift)) & (np.abs(y) <= form.v_max) & (np.abs(x) < form.u_max)
    exact &= (x == u_wanted) & (y == v_wanted)
    u, v = np.where(exact, u, u_wanted), np.where(exact, v, v_wanted)
    return Start(u, v, exact, changed=True)


def _decay(x: IntArray, keep: IntArray, form: NumberFormat) -> IntArray:
    return np.asarray(np.sign(x) * (np.abs(x) * keep >> form.decay_bits))


def _before_decay(x: IntArray, keep: IntArray, form: NumberFormat) -> IntArray:
    """Return the smallest state that decays to ``x``; where nothing does (keep 0), a state beyond every range."""
    bound = 1 << 40
    x = np.clip(x, -bound, bound)
    magnitude = -(-(np.abs(x) << form.decay_bits) // np.maximum(keep, 1))
    magnitude = np.where(keep == 0, np.where(x == 0, 0, bound), magnitude)
    return np.asarray(np.sign(x) * np.minimum(magnitude, bound))
