"""How long ticks take: counts of the busiest cores and links times sourced times per event, in the two published forms.

``sum``: a core sends what its neurons produce, one after another, and works through what arrives, one after another; a tick
takes as long as the slowest of either on any core, and then the barrier (the ``simple`` form of SANA-FE, Boyle et al. 2025).
``max``: every resource of a core works beside the others; a tick takes as long as the busiest resource of any core, link or the
barrier (Timcheck et al. 2026, arXiv:2601.10035).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from neurocomp.energy.counts import Counts
from neurocomp.hardware import HardwareSpec, Sourced, Times
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.mapping.traffic import traffic_of

FloatArray = NDArray[np.float64]
Form = Literal["sum", "max", "tick"]
Bound = Literal["low", "value", "high"]

GENERATED = (
    ("neuron_update_inactive", "updates_inactive"),
    ("neuron_update_active", "updates_active"),
    ("spike", "spikes"),
    ("packet", "packets"),
)
"""Time of a spec -> the count per core that it multiplies, of what a core produces in a tick."""
RECEIVED = (("packet_received", "packets_received"), ("synaptic_event", "synaptic_events"), ("word_read", "words_read"))
"""The same of what arrives."""
RESOURCES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "neuron updates": GENERATED[:2],
    "spikes and messages sent": GENERATED[2:],
    "messages received": RECEIVED[:1],
    "synaptic operations": RECEIVED[1:2],
    "synapse memory": RECEIVED[2:],
}
"""What works side by side in the form ``max``."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What made a tick as long as it was, and how often."""

    resource: str
    """``generate``, ``receive``, one of `RESOURCES`, ``links``, ``barrier`` or ``clock``."""
    core: tuple[int, int] | None
    """Chip and core; None where no core is to blame."""
    share: float
    """Of all ticks."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long ticks take in one form; seconds, as (low, nominal, high)."""

    form: Form
    mean: tuple[float, float, float]
    """The mean tick."""
    longest: tuple[float, float, float]
    """The longest tick of any sample."""
    limits: tuple[Limit, ...]
    """By the nominal times, the most frequent first."""
    unpriced: tuple[str, ...]
    """Events that happened and for which no time is stated."""
    sources: tuple[Sourced, ...]

    def slack(self, timestep: float) -> float:
        """Return the seconds of a timestep that are left after the longest nominal tick; negative: too slow for real time."""
        return timestep - self.longest[1]


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of an inference. Without a source of times ``timings`` is empty: nothing is stated, so nothing is said."""

    costs: str
    timings: tuple[Timing, ...]
    chip_ticks: int
    """Ticks of a sample on the chip, the largest lag included."""
    ticks: int
    """Ticks of a sample; a pipelined chip takes a new one after so many."""
    timestep: float
    """Seconds of a tick in real time."""
    pipelined: bool
    """Whether samples may follow one another without a gap: no population feeds back into itself."""

    @property
    def inference(self) -> tuple[float, float, float] | None:
        """Seconds of a sample at full speed over all forms, as (low, nominal, high); nominal is that of the form ``sum``."""
        if not self.timings:
            return None
        low, high = (pick(t.mean[i] for t in self.timings) * self.chip_ticks for pick, i in ((min, 0), (max, 2)))
        return low, self.timings[0].mean[1] * self.chip_ticks, high

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints under ``latency``."""
        return {
            "costs": self.costs,
            "real_time_s": self.chip_ticks * self.timestep,
            "forms": {t.form: self._form(t) for t in self.timings},
        }

    def _form(self, t: Timing) -> dict[str, Any]:
        def bounds(values: tuple[float, ...]) -> dict[str, float]:
            return dict(zip(("low", "nominal", "high"), values, strict=True))

        per_second = tuple(1 / (s * self.chip_ticks) if s else 0.0 for s in reversed(t.mean))
        pipelined = tuple(1 / (s * self.ticks) if s else 0.0 for s in reversed(t.mean))
        return {
            "tick_s": bounds(t.mean),
            "longest_tick_s": bounds(t.longest),
            "inference_s": bounds(tuple(s * self.chip_ticks for s in t.mean)),
            "inferences_per_s": bounds(per_second),
            "inferences_per_s_pipelined": bounds(pipelined) if self.pipelined else None,
            "slack_s": t.slack(self.timestep),
            "limits": [
                {"resource": x.resource, "core": x.core and {"chip": x.core[0], "core": x.core[1]}, "share": x.share}
                for x in t.limits
            ],
            "unpriced": list(t.unpriced),
            "sources": [{"source": x.source, "kind": x.kind} for x in t.sources],
        }


def latency_of(counts: Counts, mapped: MappedNetwork, spec: HardwareSpec, timestep: float, costs: str) -> Latency:
    """Estimate how long the ticks of the counted samples took.

    Args:
        counts: What happened.
        mapped: Where it happened.
        spec: Whose times are used.
        timestep: Seconds of a chip tick in real time.
        costs: The cost source, which may state times.
    """
    times, ticks = spec.times.get(costs), counts.ticks - mapped.lowered.largest_lag
    timings: tuple[Timing, ...] = ()
    if times is not None and "tick" in times.events:
        tick = times.events["tick"]
        bounds = (tick.low, tick.value, tick.high)
        timings = (Timing("tick", bounds, bounds, (Limit("clock", None, 1.0),), (), (tick,)),)
    elif times is not None and times.events:
        timings = tuple(_timing(form, counts, mapped, spec, times) for form in ("sum", "max"))
    return Latency(costs, timings, counts.ticks, ticks, timestep, _is_acyclic(mapped.lowered.network))


def _is_acyclic(network: IntegerNetwork) -> bool:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((q.source, q.target) for q in network.projections)
    graph.add_edges_from((c.axons, c.neurons) for c in network.crossbars)
    return bool(nx.is_directed_acyclic_graph(graph))


def tick_seconds(
    form: Literal["sum", "max"], counts: Counts, mapped: MappedNetwork, spec: HardwareSpec, times: Times, bound: Bound = "value"
) -> FloatArray:
    """Return how long each tick took, (samples, ticks), by the nominal times or an end of their intervals."""
    total = None
    for _, seconds in _parts(form, counts, mapped, spec, times, bound):
        longest = seconds.max(axis=0)
        total = longest if total is None else np.maximum(total, longest)
    assert total is not None, "a form has parts"
    return np.asarray(total + _barrier(mapped, times, bound)) if form == "sum" else np.asarray(total)


def _timing(form: Literal["sum", "max"], counts: Counts, mapped: MappedNetwork, spec: HardwareSpec, times: Times) -> Timing:
    bounds: tuple[Bound, ...] = ("low", "value", "high")
    each = [tick_seconds(form, counts, mapped, spec, times, bound) for bound in bounds]
    totals = counts.totals()
    unpriced = [name for name, key in (*GENERATED, *RECEIVED[:2]) if totals[key] and name not in times.events]
    used = [name for name, _ in (*GENERATED, *RECEIVED) if name in times.events]
    used += ["link"] if form == "max" and "link" in times.events else []
    sources = [times.events[name] for name in used]
    barrier = times.barrier_of(_tiles(mapped))
    mean, longest = (tuple(float(f(seconds)) for seconds in each) for f in (np.mean, np.max))
    return Timing(
        form, (mean[0], mean[1], mean[2]), (longest[0], longest[1], longest[2]),
        tuple(_limits(form, counts, mapped, spec, times)), tuple(unpriced), (*sources, *([barrier] if barrier else [])),
    )  # fmt: skip


def _parts(
    form: Literal["sum", "max"], counts: Counts, mapped: MappedNetwork, spec: HardwareSpec, times: Times, bound: Bound
) -> Iterator[tuple[str, FloatArray]]:
    """Yield what may be the longest: its name and its seconds, (cores or 1, samples, ticks)."""

    def work(products: tuple[tuple[str, str], ...]) -> FloatArray:
        total = np.zeros(counts.per_core["updates"].shape)
        for event, key in products:
            if event in times.events:
                own = counts.per_core
                number = own["updates"] - own["updates_active"] if key == "updates_inactive" else own[key]
                total += number * getattr(times.events[event], bound)
        return total

    if form == "sum":
        yield "generate", work(GENERATED)
        yield "receive", work(RECEIVED)
        return
    for resource, products in RESOURCES.items():
        if any(event in times.events for event, _ in products):
            yield resource, work(products)
    if "link" in times.events:
        yield "links", _link_load(counts, mapped, spec)[None] * getattr(times.events["link"], bound)
    yield "barrier", np.full((1, counts.samples, counts.ticks), _barrier(mapped, times, bound))


def _link_load(counts: Counts, mapped: MappedNetwork, spec: HardwareSpec) -> FloatArray:
    """Return how many messages the busiest link of the run carried in each tick, (samples, ticks).

    The messages of the tick times the share of all messages that crossed that link: exact where only their number changes.
    """
    packets: FloatArray = counts.per_core["packets"].sum(axis=0).astype(np.float64)
    if not packets.any():
        return packets
    ticks = counts.samples * counts.ticks
    rates = {name: spikes / ticks for name, spikes in counts.spikes_of_neurons.items()}
    return np.asarray(packets * (traffic_of(mapped, spec, rates).unicast.links.largest * ticks / packets.sum()))


def _tiles(mapped: MappedNetwork) -> int:
    return len({(core.chip, core.tile) for core in mapped.cores})


def _barrier(mapped: MappedNetwork, times: Times, bound: Bound) -> float:
    barrier = times.barrier_of(_tiles(mapped))
    return float(getattr(barrier, bound)) if barrier is not None else 0.0


def _limits(
    form: Literal["sum", "max"], counts: Counts, mapped: MappedNetwork, spec: HardwareSpec, times: Times
) -> Iterator[Limit]:
    """Yield what made the ticks as long as they were, the most frequent first; of equals the part that is named first."""
    parts = list(_parts(form, counts, mapped, spec, times, "value"))
    longest = np.stack([seconds.max(axis=0) for _, seconds in parts]).reshape(len(parts), -1)
    found: Counter[tuple[str, tuple[int, int] | None]] = Counter()
    part_of = longest.argmax(axis=0)
    for index, (name, seconds) in enumerate(parts):
        here = np.flatnonzero(part_of == index)
        if len(seconds) == 1 and name in ("links", "barrier"):
            found[name, None] += len(here)
            continue
        cores, often = np.unique(seconds.reshape(len(seconds), -1)[:, here].argmax(axis=0), return_counts=True)
        for core, times_seen in zip(cores.tolist(), often.tolist(), strict=True):
            found[name, (mapped.cores[core].chip, mapped.cores[core].core)] += times_seen
    for (resource, at), number in found.most_common():
        if number:
            yield Limit(resource, at, number / longest.shape[1])
