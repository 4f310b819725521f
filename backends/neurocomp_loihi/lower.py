"""Lowering to Loihi: lags and delays that every hop costs, exact starts, comparisons and resets that the chip does not have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.backend import Lowering, Options, Violation
from neurocomp.hardware import EXTENSIONS, HardwareSpec, NumberFormat
from neurocomp.ir.lowered import LoweredNetwork, Representative
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, QuantizedNetwork, Verdict

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LoihiOptions(Options):
    """Options of this backend."""

    compare: Literal["exact", "gt"] = "exact"
    """What becomes of ``>=`` where no threshold of the chip's ``>`` gives the same spikes: refused, or taken for ``>``."""


def lower(quantized: QuantizedNetwork, spec: HardwareSpec, options: LoihiOptions | None = None) -> Lowering:
    """Rewrite the logical network into compartments and synapses with a delay of at least one tick.

    The caller has checked the network: `neurocomp_loihi.check.check_quantized` finds nothing.
    """
    options = options or LoihiOptions()
    network, form = quantized.network, spec.number_format
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
        step = _Step()
        if p.program is not None:
            lowered = _program(p, lag[p.name], spec, step)
        else:
            lowered = _readout(p, quantized, form, step) if not p.fires else _comparison(p, quantized, options, step)
            lowered = _reset(lowered, spec, step)
            lowered = _schedule(lowered, lag[p.name])
            lowered = _start(lowered, lag[p.name], spec, step)
        notes += [f"'{p.name}'{note}" for note in step.notes]
        populations[p.name] = lowered
        representatives[p.name] = Representative(
            p.name, lag[p.name], step.lossy is not None, step.lossy or "; ".join(step.exact) or None, step.exact_ticks
        )
    projections = tuple(
        replace(
            q,
            delay=frozen(np.asarray(q.delay + lag[q.target] - lag[q.source], np.int64)),
            learning=q.learning and replace(
                q.learning, modulator_delay=max((lag[q.source] - lag[m] for m in q.learning.modulators), default=0)
            ),
        )
        for q in network.projections
    )  # fmt: skip
    used = tuple(name for name in spec.extensions if name in extensions_of(network))
    notes += [f"not on {spec.name}: {name}, {EXTENSIONS[name][2]}" for name in used]
    inputs = {p.name: Representative(p.name, 0) for p in network.populations.values() if p.is_input}
    result = LoweredNetwork(
        replace(network, populations=populations, projections=projections),
        lag,
        {**inputs, **representatives},
        tuple(notes),
        used,
    )
    return Lowering(result, tuple(notes))


def extensions_of(network: IntegerNetwork) -> dict[str, str]:
    """Return extension -> the first population or projection that needs it, of those that a network needs."""
    found: dict[str, str] = {}
    for p in network.populations.values():
        if p.dynamics in ("ternary", "programmed"):
            found.setdefault(p.dynamics, p.name)
    for q in network.projections:
        if not q.binary and network.populations[q.source].dynamics != "ternary":
            found.setdefault("graded", q.name)
    return found


@dataclass(slots=True)
class _Step:
    """What lowering did to one population."""

    notes: list[str]
    """What is printed behind the population's name."""
    exact: list[str]
    """What an exact step cost."""
    lossy: str | None = None
    """The first reason why it is not exact."""
    exact_ticks: int | None = None
    """Up to how many ticks per sample a proof reaches."""

    def __init__(self) -> None:
        self.notes, self.exact, self.lossy, self.exact_ticks = [], [], None, None

    def lose(self, reason: str) -> None:
        """Note a step that is not exact."""
        self.lossy = self.lossy or reason
        self.notes.append(f": {reason} (lossy)")

    def keep(self, reason: str) -> None:
        """Note an exact step and what it cost."""
        self.exact.append(reason)
        self.notes.append(f": {reason}")

    def until(self, verdict: Verdict) -> None:
        """Note that exactness rests on a verdict."""
        if verdict.kind == "proved for T ticks" and verdict.ticks is not None:
            self.exact_ticks = min(verdict.ticks, self.exact_ticks or verdict.ticks)


def _potential(p: IntegerPopulation, quantized: QuantizedNetwork) -> Verdict:
    """Return what is known about v of a population."""
    return next(v for v in quantized.verdicts if v.population == p.name and v.register == "v")


# Readouts, comparisons, resets


def _readout(p: IntegerPopulation, quantized: QuantizedNetwork, form: NumberFormat, step: _Step) -> IntegerPopulation:
    """Give a population that never spikes a threshold that its potential does not reach."""
    step.notes.append(f" never spikes: its threshold is the largest, {form.threshold_max}")
    potential = _potential(p, quantized)
    step.until(potential)
    if not potential.proved:
        step.lose("its potential is not proved to stay below the largest threshold, at which the chip spikes")
    parameters = {**p.parameters, "vth": frozen(np.int64(form.threshold_max))}
    return replace(p, parameters=parameters, fires=True, compare=">", reset="zero", refractory=0)


def _comparison(p: IntegerPopulation, quantized: QuantizedNetwork, options: LoihiOptions, step: _Step) -> IntegerPopulation:
    """Turn ``>=`` into the chip's ``>``."""
    if p.compare == ">":
        return p
    obstacle = comparison_obstacle(p, quantized)
    if obstacle is None:
        if quantized.network.number_format.state_shift:
            step.until(_potential(p, quantized))
        step.keep("'>=' becomes '>' with the next lower threshold, exact: its potential moves in steps of thresholds")
        return replace(p, compare=">", parameters={**p.parameters, "vth": frozen(p.parameters["vth"] - 1)})
    assert options.compare == "gt"
    step.lose(f"'>' is taken for '>=', as {obstacle}")
    return replace(p, compare=">")


def comparison_obstacle(p: IntegerPopulation, quantized: QuantizedNetwork) -> str | None:
    """Return why ``v >= vth`` is not ``v > vth - 1`` for every potential that a population can have; None: it is.

    Both agree where v is always a multiple of 2**state_shift, the step of thresholds. Weighted sums are: they are shifted by as
    much. A decay is one only if it keeps everything or nothing; starts and biases must be multiples; a clip ends elsewhere.
    """
    form = quantized.network.number_format
    unit = 1 << form.state_shift
    if (p.parameters["vth"] < 1).any():
        return "a threshold of 0 has none below"
    if p.reset == "subtract":
        return "the threshold is also what its reset takes off"
    if unit == 1:
        return None
    potential = _potential(p, quantized)
    keep_u = form.decay_one - (p.values("du") + form.current_decay_offset)
    keep_v = form.decay_one - p.values("dv")
    fed = bool(quantized.network.projections_to(p.name))
    lasting = (keep_u != 0) & (keep_u != form.decay_one) & (fed | (p.values("u_init") != 0))
    if lasting.any():
        return f"its current decays (du {_first(p.values('du')[lasting])})"
    cleared = potential.proved & (potential.bound * keep_v < form.decay_one)
    leaking = (keep_v != form.decay_one) & ~cleared
    if leaking.any():
        return f"its potential leaks (dv {_first(p.values('dv')[leaking])})"
    if p.current is not None:
        return f"the current '{p.current}' may have any value"
    bias = p.values("bias_mant") << p.values("bias_exp")
    starts = (
        ("bias", bias),
        ("start of v", np.where(cleared, 0, p.values("v_init"))),
        ("start of u", np.where(keep_u == 0, 0, p.values("u_init"))),
    )
    for what, values in starts:
        odd = values[values % unit != 0]
        if len(odd):
            return f"its {what}, {_first(odd)}, is no multiple of {unit}"
    if not potential.proved:
        return "its potential is not proved not to clip"
    return None


def _first(values: IntArray) -> int:
    return int(values[0])


def _reset(p: IntegerPopulation, spec: HardwareSpec, step: _Step) -> IntegerPopulation:
    """Give a neuron whose reset takes off the threshold a second compartment where the chip does not subtract."""
    if p.reset != "subtract" or not p.fires or spec.has("reset", "subtract"):
        return p
    price = f"{2 * p.size} compartments for {p.size} neurons"
    step.notes.append(f": reset by subtraction takes a second compartment per neuron, {price}")
    return replace(p, compartments=2)


def _schedule(p: IntegerPopulation, lag: int) -> IntegerPopulation:
    """Move periodic resets by the lag."""
    return p if p.reset_interval is None else replace(p, reset_offset=p.reset_offset + lag)


def _start(p: IntegerPopulation, lag: int, spec: HardwareSpec, step: _Step) -> IntegerPopulation:
    """Let a lagging population be in its initial state, and not have spiked, in the tick in which the user's time begins.

    It starts early, from a state that leads there. Where some neuron has no such state the processor that clears populations
    periodically writes the initial one in that tick, and the population does nothing before.
    """
    start = early_start(p, lag, spec.number_format)
    if not start.changed:
        return p
    if start.exact.all():
        step.keep(f"starts {lag} ticks early from a corrected state, exact")
    elif spec.has("periodic_reset"):
        step.exact.append(f"started by the processor in tick {lag}, exact")
        step.notes.append(f" is started by the processor in tick {lag}: {2 * p.size} values per sample")
        return replace(p, start=lag)
    else:
        step.lose(
            f"{int((~start.exact).sum())} of {p.size} neurons cannot start {lag} ticks early without a spike or a clip; "
            f"delays that add up to {lag} on the way to it need no early start"
        )
    return replace(p, parameters={**p.parameters, "u_init": frozen(start.u), "v_init": frozen(start.v)})


def _program(p: IntegerPopulation, lag: int, spec: HardwareSpec, step: _Step) -> IntegerPopulation:
    """Start a program in its lag: what it would do without input until then is its own affair."""
    if lag == 0:
        return p
    if not spec.has("periodic_reset"):
        step.lose(f"its program runs {lag} ticks before the first spike can arrive")
        return p
    step.exact.append(f"started by the processor in tick {lag}, exact")
    step.notes.append(f" is started by the processor in tick {lag}: {2 * p.size} values per sample")
    return replace(p, start=lag)


# Lags


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


def lag_violations(network: IntegerNetwork, spec: HardwareSpec, ticks_per_step: int = 1) -> list[Violation]:
    """Return cycles that are too fast for the chip, and delays that its synapses cannot store.

    ``ticks_per_step``: ticks of the network per tick of the user, for messages.
    """
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
        if ticks:
            hint += f", or compile with --ticks-per-step {-(-hops * ticks_per_step // ticks)}"
        violations.append(Violation("NC0315", first.name, message, ticks, hops, hint=hint, origin=closing.origin))
    if violations:
        return violations
    lag = lags(network)
    for q in network.projections:
        if q.delay.size == 0:
            continue
        stored = int(q.delay.max()) + lag[q.target] - lag[q.source] - 1
        if q.learning is not None and stored:
            message = f"projection '{q.name}' learns, and its synapses wait {stored} ticks; those that learn do not wait"
            hint = "lower its delay, or raise those of the other ways into its target"
            violations.append(Violation("NC0350", q.name, message, stored, 0, hint=hint, origin=q.origin))
        for name in q.learning.modulators if q.learning is not None else ():
            if not network.populations[name].is_input:
                message = f"projection '{q.name}' is modulated by neurons, those of '{name}'; on {spec.name} the host modulates"
                hint = "make the modulator an input"
                violations.append(Violation("NC0350", q.name, message, name, "an input", hint=hint, origin=q.origin))
        if stored > spec.limit("delay"):
            extra = lag[q.target] - lag[q.source]
            late = f" and {extra} for the lag" if extra else ""
            steps = f", {ticks_per_step} ticks of the chip per tick of the network" if ticks_per_step > 1 else ""
            because = f" (a delay of {int(q.delay.max())}{late}, less the tick that every hop takes{steps})"
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
    then run forward; a neuron is exact if it neither spikes nor clips on the way and arrives where it should. Where a periodic
    reset clears the state in the first tick of the user's time anyway, it may arrive anywhere, and lower starts are tried too.

    Args:
        p: A population of the lowered network: its reset schedule, if any, begins ``lag`` ticks late.
        lag: Ticks before the user's time.
        form: The arithmetic.
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
    inside = (np.abs(u) < form.u_max) & (np.abs(v) <= form.v_max)
    u, v = np.clip(u, -(form.u_max - 1), form.u_max - 1), np.clip(v, -form.v_max, form.v_max)
    cleared = p.reset_interval is not None and p.reset_offset == lag
    silent, x, y = _run_ahead(p, u, v, lag, form)
    exact = silent & (cleared | (inside & (x == u_wanted) & (y == v_wanted)))
    u, v = np.where(exact, u, u_wanted), np.where(exact, v, v_wanted)
    for low in (0, -(form.v_max >> 1)) if cleared else ():
        silent, _, _ = _run_ahead(p, np.zeros_like(u), np.full_like(v, low), lag, form)
        chosen = silent & ~exact
        u, v, exact = np.where(chosen, 0, u), np.where(chosen, low, v), exact | chosen
    return Start(u, v, exact, changed=True)


def _run_ahead(
    p: IntegerPopulation, u: IntArray, v: IntArray, lag: int, form: NumberFormat
) -> tuple[NDArray[np.bool_], IntArray, IntArray]:
    """Return which neurons run ``lag`` ticks without input, spike and clip, and the state in which they arrive."""
    bias = p.values("bias_mant") << p.values("bias_exp")
    keep_u = form.decay_one - (p.values("du") + form.current_decay_offset)
    keep_v = form.decay_one - p.values("dv")
    silent = np.ones(p.size, bool)
    for _ in range(lag):
        u = _decay(u, keep_u, form)
        v = _decay(v, keep_v, form) + u + bias
        silent &= (v <= (p.values("vth") << form.state_shift)) & (np.abs(v) <= form.v_max) & (np.abs(u) < form.u_max)
        if p.dynamics == "ternary":
            silent &= v >= (p.values("vth_low") << form.state_shift)
    return silent, u, v


def _decay(x: IntArray, keep: IntArray, form: NumberFormat) -> IntArray:
    return np.asarray(np.sign(x) * (np.abs(x) * keep >> form.decay_bits))


def _before_decay(x: IntArray, keep: IntArray, form: NumberFormat) -> IntArray:
    """Return the smallest state that decays to ``x``; where nothing does (keep 0), a state beyond every range."""
    bound = 1 << 40
    x = np.clip(x, -bound, bound)
    magnitude = -(-(np.abs(x) << form.decay_bits) // np.maximum(keep, 1))
    magnitude = np.where(keep == 0, np.where(x == 0, 0, bound), magnitude)
    return np.asarray(np.sign(x) * np.minimum(magnitude, bound))
