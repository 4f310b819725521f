"""How late each population runs, and how the ticks before its own time leave it as it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.errors import broken_invariant
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation
from neurocomp_truenorth.lines import is_stochastic

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def least_delay(p: IntegerPopulation) -> int:
    """Return how many ticks a spike of a population takes at least: the host sends in time, a neuron a tick ahead."""
    return 0 if p.is_input else 1


def delays_between(network: IntegerNetwork) -> dict[tuple[str, str], tuple[int, int]]:
    """Return (source, target) -> smallest and largest delay of the synapses that weigh something."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for q in network.projections:
        weighs = q.mantissa != 0
        if not weighs.any():
            continue
        delay = q.delay[weighs] if q.delay.ndim else q.delay
        low, high = int(np.min(delay)), int(np.max(delay))
        known = found.get((q.source, q.target), (low, high))
        found[q.source, q.target] = min(low, known[0]), max(high, known[1])
    return found


def lags(network: IntegerNetwork) -> tuple[dict[str, int], list[str] | None]:
    """Return the smallest lag of each population, and a cycle with less delay than its hops take (None: there is none)."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(network.populations)
    for (source, target), (low, _) in delays_between(network).items():
        graph.add_edge(source, target, late=least_delay(network.populations[source]) - low)
    lag = dict.fromkeys(network.populations, 0)
    for _ in range(len(lag) + 1):
        changed = None
        for source, target, data in graph.edges(data=True):
            if lag[source] + data["late"] > lag[target]:
                lag[target] = lag[source] + data["late"]
                changed = target
        if changed is None:
            return lag, None
    for _, _, data in graph.edges(data=True):
        data["weight"] = -data["late"]
    for component in sorted(nx.strongly_connected_components(graph), key=min):
        part = nx.DiGraph(graph.subgraph(component))
        if part.number_of_edges() and nx.negative_edge_cycle(part):
            return lag, list(nx.find_negative_cycle(part, min(component)))
    raise broken_invariant("lower", "lags that grow without end go round a cycle")


# Starts


@dataclass(slots=True)
class Start:
    """How a population gets through the ticks before its own time."""

    v: IntArray
    """Its potential before the first tick of the chip, (n,)."""
    corrected: bool = False
    hold: IntArray | None = None
    """What an axon of the host adds in each of these ticks, (n,); None: there is none."""
    noisy: bool = False
    """Whether neurons spike in these ticks."""
    inexact: str | None = None
    """Why some neuron is in another state than its initial one when its time begins."""


def starts(network: IntegerNetwork, lag: Mapping[str, int], may_hold: Mapping[str, bool]) -> dict[str, Start]:
    """Return how each population with neurons starts.

    What runs ahead of its time gets no input: real spikes of lagging sources arrive in its time. A start is exact if the
    neurons end where they are to begin, and their spikes until then, if any, meet nothing that remembers them. Where a leak
    moves them, a start moved against the leak may lead there; else an axon that the host drives until then takes the leak
    back.

    Args:
        network: The network as it is placed, in the user's time.
        lag: Of each population.
        may_hold: Populations whose cores have an axon type left for a hold axon.
    """
    form = network.number_format
    found = {p.name: _own_start(p, lag[p.name], form.v_max) for p in network.populations.values() if p.has_neurons}
    for _ in range(len(found) + 1):
        _spread(network, found)
        free = (name for name in found if found[name].hold is None and may_hold.get(name))
        wanted = [name for name in free if _disturbs(network, found, name)]
        if not wanted:
            break
        for name in wanted:
            p = network.populations[name]
            hold = np.where(p.values("alpha") == 0, -p.values("lambda") - 1, -p.values("lambda"))
            held = _judged(p, p.values("V").copy(), lag[name], form.v_max, hold)
            if held.inexact is None and not held.noisy and int(np.abs(hold).max(initial=0)) <= form.weight_max_type:
                held.hold = hold
                found[name] = held
            else:
                may_hold = {**may_hold, name: False}
        for name, start in found.items():
            if start.hold is None:
                found[name] = _own_start(network.populations[name], lag[name], form.v_max)
    return found


def _disturbs(network: IntegerNetwork, found: Mapping[str, Start], name: str) -> bool:
    """Return whether a population starts wrongly on its own account, or its early spikes do harm."""
    own = found[name]
    if own.inexact is not None:
        return own.inexact.startswith("its leak")
    if not own.noisy:
        return False
    targets = [(q.target, int(q.delay.max(initial=0))) for q in network.projections if q.source == name]
    return any(delay > 0 or not is_memoryless(network.populations[target]) for target, delay in targets)


def _spread(network: IntegerNetwork, found: dict[str, Start]) -> None:
    """Note what early spikes do to the populations that they reach."""
    for _ in range(len(found)):
        changed = False
        for (source, target), (_, high) in delays_between(network).items():
            if source not in found or not found[source].noisy:
                continue
            own = found[target]
            if own.inexact is None and (high > 0 or not is_memoryless(network.populations[target])):
                own.inexact, changed = f"early spikes of '{source}' reach it", True
            if not own.noisy:
                own.noisy, changed = True, True
        if not changed:
            return


def is_memoryless(p: IntegerPopulation) -> bool:
    """Return whether every tick leaves the same potential, 0, whatever arrives."""
    zero = all(not p.values(name).any() for name in ("alpha", "beta", "R", "gamma", "kappa", "V", "TM"))
    return p.dynamics == "truenorth" and zero


def _own_start(p: IntegerPopulation, lag: int, v_max: int) -> Start:
    """Return the start of a population that nothing reaches before its time."""
    initial = p.values("V")
    plain = _judged(p, initial.copy(), lag, v_max)
    if plain.inexact is None and not plain.noisy:
        return plain
    against = initial - lag * np.where(p.values("epsilon") == 1, 0, p.values("lambda"))
    fine = _fine(p, initial, lag)
    moved = _judged(p, np.where(~fine & _fine(p, against, lag), against, initial), lag, v_max)
    moved.corrected = True
    return moved if moved.inexact is None and not moved.noisy else plain


def _fine(p: IntegerPopulation, v: IntArray, lag: int) -> BoolArray:
    """Return which neurons, started at v, are silent until their time and begin it as they should, (n,)."""
    now, silent = v.copy(), np.ones(p.size, np.bool_)
    for _ in range(lag):
        now, spikes, certain = quiet_tick(p, now)
        silent &= ~spikes & certain
    return np.asarray(silent & (now == p.values("V")))


def _judged(p: IntegerPopulation, v: IntArray, lag: int, v_max: int, added: IntArray | None = None) -> Start:
    """Run a population ahead of its time, from v (n,), and say how it arrives; ``added`` (n,) reaches it in every tick."""
    if lag == 0:
        return Start(v)
    if is_stochastic(p) and bool((p.values("c_lambda") * np.abs(p.values("lambda"))).any()):
        return Start(v, inexact="its leak is stochastic and acts before its time")
    if np.abs(v).max(initial=0) > v_max:
        return Start(v, inexact="its leak moves it before its time, and no start makes up for that")
    now, noisy, certain = v.copy(), np.zeros(p.size, np.bool_), np.ones(p.size, np.bool_)
    for _ in range(lag):
        now, spikes, known = quiet_tick(p, now if added is None else now + added)
        noisy |= spikes
        certain &= known
    if not certain.all():
        return Start(v, noisy=True, inexact="its leak takes it to a stochastic threshold before its time")
    wrong = now != p.values("V")
    reason = None
    if wrong.any():
        reason = f"its leak moves {int(wrong.sum())} of {p.size} neurons in the {lag} ticks before its time"
    return Start(v, noisy=bool(noisy.any()), inexact=reason)


def quiet_tick(p: IntegerPopulation, v: IntArray) -> tuple[IntArray, BoolArray, BoolArray]:
    """Return potential and spikes after a tick that begins with v, and for which neurons no random threshold changes that.

    Where one does, they are those of a draw of 0.
    """
    of = p.values
    v = v + np.where(of("epsilon") == 1, np.sign(v), 1) * of("lambda")
    spikes = v >= of("alpha")
    beyond = np.where(of("symmetric") == 1, v <= -of("beta"), v < -of("beta"))
    certain = (of("TM") == 0) | (~spikes & (~beyond | (of("kappa") == 1)))
    below = ~spikes & ((v < -of("beta")) | ((v == -of("beta")) & (of("symmetric") == 1)))
    up = np.where(of("gamma") == 0, of("R"), np.where(of("gamma") == 1, v - of("alpha"), v))
    down = np.where(of("gamma") == 0, -of("R"), np.where(of("gamma") == 1, v + of("beta"), v))
    down = np.where(of("kappa") == 1, -of("beta"), down)
    return np.where(spikes, up, np.where(below, down, v)), spikes, np.asarray(certain)
