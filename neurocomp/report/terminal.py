"""Compilations and reports as text for terminals, pipes and files: 80 columns are enough."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from neurocomp.energy.baselines import FORMULAS, Baselines, Row, published
from neurocomp.energy.conventions import THRESHOLDS
from neurocomp.energy.counts import Counts
from neurocomp.energy.joules import BADGE, Energy, Interval, Line
from neurocomp.energy.latency import Limit
from neurocomp.energy.neurobench import NeuroBench
from neurocomp.energy.statistics import Spread
from neurocomp.hardware import LIMITS, HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.ir.network import Choice, Network
from neurocomp.ir.quantized import IntegerNetwork, QuantizedNetwork, Verdict
from neurocomp.report import Report
from neurocomp.report.beside import verdict
from neurocomp.report.digits import prefix, rounded
from neurocomp.report.headroom import Headroom

Justify = Literal["left", "right"]

BAR = 10
"""Signs of a full bar."""
SHOWN_RESOURCES = 4
"""So many resources are shown, the first that the backend names; all others only from half of what a core has."""
SHOWN_CORES = 12
SHOWN_LIMITS = 3
WORK = {"generate": "sending", "receive": "receiving"}
"""What the two sides of a core's work are called."""


def si(value: float, unit: str) -> str:
    """Return a quantity with three digits and a prefix.

    >>> si(2.36e-11, "J"), si(0.001, "s"), si(0, "J")
    ('23.6 pJ', '1 ms', '0 J')
    """
    if value == 0:
        return f"0 {unit}"
    size, name = prefix(value)
    return f"{value / size:.3g} {name}{unit}" if abs(value) < 999.5 else f"{value:,.0f} {unit}"


def percent(share: float) -> str:
    """Return a share of 1 with as many digits as it needs.

    >>> percent(0.957), percent(0.0123), percent(0.00004), percent(0)
    ('96 %', '1.2 %', '<0.1 %', '0 %')
    """
    if share == 0:
        return "0 %"
    if share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def number(value: float) -> str:
    """Return a count, or a mean of counts, for people.

    >>> number(12345), number(12.25), number(0.5)
    ('12,345', '12.2', '0.5')
    """
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"


def counted(count: int, noun: str) -> str:
    """Return such as ``1 core`` or ``1,024 cores``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Table:
    """Return rows under titles; the first ``left`` columns are text, the others numbers."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, title in enumerate(titles):
        justify: Justify = "left" if index < left else "right"
        result.add_column(title, justify=justify, overflow="fold", no_wrap=index >= left)
    for row in rows:
        result.add_row(*map(Text, row))
    return result


def facts(rows: Iterable[tuple[str, str | RenderableType]]) -> Table:
    """Return rows of a word and what there is to say about it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), Text(value) if isinstance(value, str) else value)
    return grid


# --- compile


def compilation(
    network: Network,
    quantized: QuantizedNetwork,
    mapped: MappedNetwork,
    spec: HardwareSpec,
    *,
    notes: Sequence[str],
    utilization: Mapping[str, Mapping[str, int]],
    headroom: Headroom,
    written: str,
    ticks_per_step: int = 1,
) -> Group:
    """Return what was compiled in about 12 lines.

    Args:
        network: The user's network.
        quantized: Its integers.
        mapped: Where they are on the chip.
        spec: The chip.
        notes: What the passes did; the warnings of ``quantized`` among them.
        utilization: Resource -> used, worst_core, per_core.
        headroom: Of `neurocomp.report.headroom`.
        written: Where the artifact is, as printed.
        ticks_per_step: Ticks of the chip per tick of the network.
    """
    warnings = quantized.warnings
    grows = f"{label(headroom.resource)} run out first, at ×{number(headroom.factor)} the width: {headroom.reason}"
    rows: list[tuple[str, str | RenderableType]] = [
        ("network", f"{network.name}: {_size(network, mapped.lowered.network)}"),
        ("target", f"{spec.name}: {spec.title}"),
        ("cores", _cores(mapped, spec)),
        ("fullest core", _bars(utilization)),
        ("room to grow", grows),
        ("time", _time(network.ticks, network.timestep, mapped.lowered.largest_lag, ticks_per_step)),
        ("ranges", verdicts(quantized.verdicts)),
    ]
    if network.choices:
        rows.append(("left open", choices(network.choices)))
    rows += [("note", note) for note in notes if note not in warnings]
    rows += [("warning", Text(warning, "yellow")) for warning in warnings]
    return Group(facts([*rows, ("written", written)]))


def verdicts(found: Sequence[Verdict]) -> str:
    """Return which registers are proved to stay inside their widths, in one sentence."""
    observed = [v for v in found if not v.proved]
    if not observed:
        ticks = min((v.ticks for v in found if v.ticks is not None), default=None)
        until = "" if ticks is None else f" in samples of up to {counted(ticks, 'tick')}"
        return f"all {len(found)} registers are proved never to clip or wrap{until}"
    seen = ", ".join(f"{v.population}.{v.register} up to {percent(v.bound / v.limit)}" for v in observed[:3])
    more = f" and {len(observed) - 3} more" if len(observed) > 3 else ""
    samples = max(v.samples for v in observed)
    proved = f"{len(found) - len(observed)} of {len(found)} registers proved not to clip or wrap"
    if not samples:
        names = ", ".join(f"{v.population}.{v.register}" for v in observed[:3])
        return f"{proved}; neither proved nor observed, as there are no data: {names}{more}"
    return f"{proved}; observed: {seen}{more} in {counted(samples, 'sample')}"


def choices(left_open: Sequence[Choice]) -> str:
    """Return what the file left open and what it was taken for; equal choices of several populations once."""
    by_value: dict[tuple[str, str, str], list[str]] = {}
    for choice in left_open:
        by_value.setdefault((choice.axis, choice.value, choice.origin), []).append(choice.subject)
    by_subjects: dict[tuple[str, ...], list[str]] = {}
    for (axis, value, origin), subjects in by_value.items():
        by_subjects.setdefault((*subjects, origin), []).append(f"{axis} {value}")
    parts = [f"{', '.join(subjects)}: {', '.join(axes)} ({origin})" for (*subjects, origin), axes in by_subjects.items()]
    return "; ".join(parts)


def _size(network: Network, integers: IntegerNetwork) -> str:
    """Return how large a network is: the inputs of its file, the neurons and synapses that the chip has of it."""
    inputs = sum(p.size for p in network.inputs)
    neurons = sum(p.size for p in integers.populations.values() if p.has_neurons)
    listed = () if integers.crossbars else integers.projections
    synapses = sum(int(integers.synapse_counts(q).sum()) for q in listed if q.group_of is None)
    synapses += sum(int(np.unpackbits(c.bits).sum()) for c in integers.crossbars)
    if integers.crossbars:
        return ", ".join((counted(inputs, "input"), counted(neurons, "physical neuron"), f"{synapses:,} set bits of crossbars"))
    return ", ".join((counted(inputs, "input"), counted(neurons, "neuron"), counted(synapses, "synapse")))


def _cores(mapped: MappedNetwork, spec: HardwareSpec) -> str:
    per_chip, chips = spec.limit("cores_per_chip"), spec.limit("chips")
    return f"{len(mapped.cores):,} on {counted(mapped.chips, 'chip')} ({per_chip:,} per chip, up to {counted(chips, 'chip')})"


def _time(ticks: int, timestep: float, lag: int, ticks_per_step: int) -> str:
    per_step = f"{ticks_per_step} per tick, " if ticks_per_step > 1 else ""
    on_chip = ticks * ticks_per_step + lag
    late = f", {on_chip:,} on the chip ({per_step}largest lag {lag})" if on_chip > ticks else ""
    return f"{counted(ticks, 'tick')} of {si(timestep, 's')} per sample{late}"


def _bars(utilization: Mapping[str, Mapping[str, int]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left", "right"):
        grid.add_column(justify=justify, no_wrap=True)
    for index, (name, entry) in enumerate(utilization.items()):
        part = entry["worst_core"] / entry["per_core"]
        if index < SHOWN_RESOURCES or part >= 0.5:
            used = f"{entry['worst_core']:,} of {entry['per_core']:,}"
            grid.add_row(label(name), percent(part), _bar(part), used)
    return grid


def _bar(share: float) -> Text:
    full = max(round(share * BAR), 1 if share else 0)
    return Text("█" * full + "░" * (BAR - full), "red" if share > 1 else "yellow" if share > 0.8 else "green")


def label(resource: str) -> str:
    """Return the name of a resource of a core, such as ``input axons``."""
    return LIMITS.get(resource, resource).removesuffix(" per core")


# --- report


def report(result: Report) -> Group:
    """Return counts, times and energy with everything that is needed to read them: the summary, then tables."""
    latency = [section("Time, at full speed", *_times(result))] if result.latency.timings else []
    return Group(
        summary(result),
        *section(
            "Counts, per sample",
            _totals(result),
            _populations(result.counts, _currents(result.mapped)),
            _projections(result.counts),
        ),
        *(section("Quantized against lowered", *_lossy(result)) if result.lossy else ()),
        *section(f"The {'core' if len(result.mapped.cores) == 1 else 'cores'}, per sample", _core_table(result)),
        *(part for parts in latency for part in parts),
        *section(f"Energy, per sample (costs: {result.energy.costs})", *_energy(result.energy, result.counts.samples)),
        *(section("Conventions beside the chip, per sample", _baselines(result.baselines)) if result.baselines else ()),
        *(section("NeuroBench", _neurobench(result.neurobench)) if result.neurobench else ()),
        *section("How to read this", *_how_to_read(result)),
    )


def summary(result: Report) -> Group:
    """Return what fits a screen: which run it is, and its totals, energy, time and limits."""
    counts, network = result.counts, result.network
    ticks = f"{counted(result.ticks, 'tick')} of {si(network.timestep, 's')}"
    head = f"{network.name} on {result.spec.name}: {counted(counts.samples, 'sample')} of {ticks} ({counts.ticks} on the chip)"
    rows: list[tuple[str, str]] = []
    if result.accuracy is not None:
        rows.append(("accuracy", f"{result.accuracy:.2%} of the integers on these samples"))
    rows += _summed_up(result)
    return Group(Text(head, "bold"), Text(BADGE, "bold yellow"), facts(rows))


def _summed_up(result: Report) -> Iterable[tuple[str, str]]:
    """Yield spikes, sops, energy and time of a sample, each with what is known of its spread."""
    events, energy, samples = result.spread["events"], result.energy, result.counts.samples
    totals = result.counts.totals()
    yield "spikes", f"{_with_interval(events['spikes'])} of neurons, {_with_interval(events['input_spikes'])} of inputs"
    dense = f"; {_share(totals['sops'], totals['sops_dense'])} of dense"
    yield "sops", f"{_with_interval(events['sops'])}, {number(totals['sops_per_spike'])} per spike{dense}"
    if energy.is_priced:
        spread = result.spread["energy_j"]["dynamic"]
        total = energy.total * (1 / samples)
        yield "energy", f"{_with_interval(spread, 'J')} dynamic; {_range(total)} by the costs ({energy.costs})"
    else:
        yield "energy", "unpriced: no cost of an event of this chip is published"
    speeds = {"full_speed": "at full speed", "real_time": "in real time"}
    for speed, parts in result.joules().items():
        total_of = parts["total"]
        apart = [name for name in ("static", "host") if parts[name] is not None]
        if total_of is not None and apart:
            sample = total_of * (1 / samples)
            yield "", f"{si(sample.nominal, 'J')} with {' and '.join(apart)} power {speeds[speed]} ({_range(sample)})"
    yield from _time_limits(result)
    if result.baselines is not None:
        yield "beside", verdict(result.baselines.as_json())


def _time_limits(result: Report) -> Iterable[tuple[str, str]]:
    latency = result.latency
    inference, real = latency.inference, f"{si(latency.chip_ticks * latency.timestep, 's')} in real time"
    if inference is None:
        yield "time", f"{real}; no times of events of this chip are stated"
        return
    low, nominal, high = inference
    yield "time", f"{si(nominal, 's')} per inference at full speed ({si(low, 's')} .. {si(high, 's')}), {real}"
    limits = [f"{limited_by(t.limits[0])} ({t.form})" for t in latency.timings if t.limits]
    yield "set by", "; ".join(limits)


def limited_by(limit: Limit) -> str:
    """Return what made ticks as long as they were, and how many of them."""
    where = f" of core {limit.core[0]}/{limit.core[1]}" if limit.core else ""
    return f"{WORK.get(limit.resource, limit.resource)}{where} in {percent(limit.share)} of ticks"


def _with_interval(spread: Spread, unit: str = "") -> str:
    """Return a mean, and in brackets the 95 % interval of it, with as many digits as that leaves."""
    size, name = prefix(spread.mean) if unit else (1.0, "")
    bounds = [None if bound is None else bound / size for bound in (spread.ci_low, spread.ci_high)]
    shown = rounded(spread.mean / size, *bounds)
    if shown.low is None or shown.low == shown.high:
        return si(spread.mean, unit) if unit else number(spread.mean)
    mean, low, high = (f"{float(part):,.{max(0, shown.decimals or 0)}f}" for part in (shown.mean, shown.low, shown.high or ""))
    return f"{mean}{f' {name}{unit}' if unit else ''} [{low} .. {high}]"


def _range(interval: Interval) -> str:
    return f"{si(interval.low, 'J')} .. {si(interval.high, 'J')}"


def _times(result: Report) -> Iterable[RenderableType]:
    """Yield how long ticks and samples take in each form, and what sets that."""

    def span(values: tuple[float, float, float]) -> str:
        low, nominal, high = (si(value, "s") for value in values)
        return nominal if low == high else f"{nominal} ({low} .. {high})"

    latency = result.latency
    rows = []
    for t in latency.timings:
        per_second = 1 / (t.mean[1] * latency.chip_ticks) if t.mean[1] else 0.0
        rows.append((t.form, span(t.mean), si(t.longest[1], "s"), number(per_second), si(t.slack(latency.timestep), "s")))
    yield table(("form", "tick", "longest", "inferences/s", "slack"), rows)
    shown = [(t.form, "; ".join(limited_by(limit) for limit in t.limits[:SHOWN_LIMITS])) for t in latency.timings]
    yield facts((f"{form} is set by", limits) for form, limits in shown)


def _lossy(result: Report) -> Iterable[RenderableType]:
    """Yield how far lossy steps of lowering moved the spikes, and what that did to the accuracy."""
    rows = []
    for name, entry in result.lossy.items():
        error = entry["spike_count_error"]
        counts = "of none" if error is None else percent(error)
        rows.append((name, str(entry["reason"]), counts, f"{entry['van_rossum']:.3g}", percent(entry["same_ticks"])))
    yield table(("population", "why it is lossy", "count error", "van Rossum", "same ticks"), rows, left=2)
    if result.accuracy is not None and result.accuracy_quantized is not None:
        points = 100 * (result.accuracy - result.accuracy_quantized)
        yield Text(f"accuracy {result.accuracy_quantized:.2%} quantized, {result.accuracy:.2%} lowered ({points:+.2f} points)")


def section(title: str, *parts: RenderableType) -> Iterable[RenderableType]:
    """Yield a heading and what stands under it, empty lines between."""
    yield Text(f"\n{title}", "bold underline")
    for index, part in enumerate(parts):
        if index:
            yield Text()
        yield Padding(part, (0, 0, 0, 2))


def _host(counts: Counts, macs: int) -> list[tuple[str, str]]:
    """Return what the host and the embedded processor do beside sending spikes, where they do something."""
    totals = counts.totals()
    rows = []
    if macs:
        rows.append(
            ("host layer", f"{macs:,} MACs for constant inputs, {number(totals['host_writes'] / counts.samples)} writes")
        )
    if totals["starts"]:
        rows.append(("starts", f"{number(totals['starts'] / counts.samples)} neurons started in the tick of their lag"))
    if totals["resets"]:
        rows.append(("resets", f"{number(totals['resets'] / counts.samples)} neurons cleared by the schedule"))
    return rows


def _operations(result: Report) -> list[tuple[str, str]]:
    """Return what encoders and decoders compute on the host for a sample, those that compute something."""
    rows = []
    for kind, table in (("encoder", result.encoders), ("decoder", result.decoders)):
        for name, own in table.items():
            words = {"MACs": own.macs, "comparisons": own.comparisons, "random numbers": own.random_numbers}
            parts = [f"{value:,} {word}" for word, value in words.items() if value]
            rows += [(f"{kind} of {name}", f"{', '.join(parts)} of the host")] if parts else []
    return rows


def _totals(result: Report) -> Table:
    counts = result.counts
    totals = counts.totals()

    def mean(name: str) -> str:
        return number(totals[name] / counts.samples)

    leaving = f", {mean('outputs')} off the chip" if "outputs" in totals else ""
    spread = counts.per_sample()["sops"]
    dense = totals["sops_dense"]
    return facts(
        [
            ("spikes", f"{mean('spikes')} of neurons, {mean('input_spikes')} of inputs"),
            ("sops", f"{mean('sops')} (samples: {number(spread.min())} .. {number(spread.max())})"),
            ("sops per spike", number(totals["sops_per_spike"])),
            (
                "dense",
                f"{mean('sops_dense')} if every synapse worked in every tick; {_share(totals['sops'], dense)} of them did",
            ),
            ("synaptic events", f"{mean('synaptic_events')} stored synapses visited, zero weights of dense rows included"),
            ("updates", f"{mean('updates')} of neurons, {mean('updates_active')} of them active"),
            (
                "packets",
                f"{mean('packets')} between cores over {mean('hops')} hops, {mean('host_packets')} from the host{leaving}",
            ),
            *_host(counts, result.host_macs),
            *_operations(result),
        ]
    )


def _share(part: float, whole: float) -> str:
    return percent(part / whole) if whole else "none"


def _populations(counts: Counts, currents: Collection[str]) -> Table:
    rows = []
    for name, entry in counts.per_population.items():
        if name in currents:
            continue  # values that the host writes, no spikes
        possible = entry["neurons"] * counts.samples * counts.ticks
        is_input = bool(entry["is_input"])
        rows.append(
            (
                name,
                f"{entry['neurons']:,}",
                number(entry["spikes"] / counts.samples),
                _share(entry["spikes"], possible),
                "host" if is_input else number(entry["updates"] / counts.samples),
                "" if is_input else _share(entry["updates_active"], entry["updates"]),
            )
        )
    return table(("population", "neurons", "spikes", "rate", "updates", "active"), rows)


def _currents(mapped: MappedNetwork) -> set[str]:
    return {p.name for p in mapped.lowered.network.populations.values() if p.dynamics == "current"}


def _projections(counts: Counts) -> Table:
    rows = [
        (
            name,
            f"{entry['synapses']:,}",
            number(entry["source_spikes"] / counts.samples),
            number(entry["sops"] / counts.samples),
            _share(entry["sops"], entry["sops_dense"]),
        )
        for name, entry in counts.per_projection.items()
    ]
    return table(("projection", "synapses", "spikes in", "sops", "of dense"), rows)


def _core_table(result: Report) -> RenderableType:
    counts, cores = result.counts, result.mapped.cores
    events = counts.per_core["synaptic_events"].sum(axis=(1, 2))
    order = sorted(range(len(cores)), key=lambda index: (-int(events[index]), index))
    rows = []
    for index in order[:SHOWN_CORES]:
        core = cores[index]
        sums = {name: counts.per_core[name][index].sum() / counts.samples for name in ("updates", "spikes", "packets")}
        busiest = int(counts.per_core["synaptic_events"][index].max(initial=0))
        rows.append(
            (
                f"{core.chip}/{core.core}",
                number(sums["updates"]),
                number(sums["spikes"]),
                number(events[index] / counts.samples),
                f"{busiest:,}",
                number(sums["packets"]),
            )
        )
    found = table(("chip/core", "updates", "spikes", "syn. events", "busiest tick", "packets out"), rows)
    hidden = len(cores) - len(rows)
    return Group(found, Text(f"and {counted(hidden, 'core')} with fewer events; --json has all")) if hidden else found


def _energy(energy: Energy, samples: int) -> Iterable[RenderableType]:
    def joules(interval: Interval) -> tuple[str, ...]:
        return tuple(si(value / samples, "J") for value in (interval.low, interval.nominal, interval.high))

    if not energy.is_priced:
        yield Text("unpriced: no cost of any event of this chip is published, so that no energy can be stated")
        yield facts(_apart(energy, samples))
        return
    rows = [(line.event, number(line.count / samples), *joules(line.energy)) for line in energy.lines]
    parts = [(name, "", *joules(part)) for name, part in energy.parts.items() if part is not None and name != "static"]
    found = table(("event", "count", "low", "nominal", "high"), [*rows, [""] * 5, *parts])
    found.add_row(*(Text(cell, "bold") for cell in ("total, dynamic", "", *joules(energy.total))))
    yield found
    yield facts(_apart(energy, samples))
    yield Group(Text("Each cost, its kind and its source", "bold"), facts(_source(line) for line in energy.lines))


def _apart(energy: Energy, samples: int) -> list[tuple[str, str]]:
    """Return what is not in the total, and why."""
    rows = [("not in the total" if energy.is_priced else "without a cost", "")]
    host = "the processors on the chip, as if in real time; what they do is not counted"
    notes = {"static": energy.static_note, "host": host}
    for name, note in notes.items():
        part = energy.parts[name]
        joules = "" if part is None else f"{si(part.low / samples, 'J')} .. {si(part.high / samples, 'J')} per sample; "
        rows.append((f"  {name}", joules + note if part is not None else "unpriced"))
    rows.append(("  encoders", "counted above; priced by the conventions of papers alone, as they run beside the chip"))
    if energy.unpriced:
        rows.append(("  unpriced", f"{', '.join(energy.unpriced)}: counted, but this source states no cost"))
    return rows


def _source(line: Line) -> tuple[str, str]:
    cost = line.cost
    span = "" if cost.low == cost.value == cost.high else f" ({si(cost.low, 'J')} .. {si(cost.high, 'J')})"
    return f"  {line.event}", f"{si(cost.value, 'J')}{span}, {cost.kind}: {cost.source}"


def _baselines(found: Baselines) -> Group:
    """Return what the conventions say of the whole network and of its layers, and where the spiking network loses."""

    def joules(value: Interval | None) -> str:
        return "-" if value is None else si(value.nominal, "J")

    def against(row: Row, other: str) -> str:
        crossover, s = row.crossover(other), row.spikes_per_synapse
        if crossover is None or s is None:
            return "-"
        return f"{s:.3g} {'<' if row.wins(other) else '≥'} {crossover.nominal:.3g}"

    totals = [
        (
            c.name,
            *(joules(cost) for cost in (c.total.snn, *c.total.others.values())),
            against(c.total, "ann"),
            against(c.total, "qann"),
        )
        for c in found.conventions
    ]
    order = sorted(found.layers, key=lambda x: -x.sops)[:SHOWN_CORES]
    rows = {c.name: {row.name: row for row in c.rows} for c in found.conventions}
    layers = [
        (x.name, "-" if x.on_host else f"{x.activation_bits}", *(against(rows[name][x.name], other) for name, other in _SHOWN))
        for x in order
    ]
    costs_more = any(c.total.wins(other) is False for c in found.conventions for other in _OTHERS)
    host = sum((row.snn.nominal for row in found.conventions[0].rows if row.kind in ("encoder", "host layer")), 0.0)
    by_host = [Text(f"Each SNN has {si(host, 'J')} of encoders and layers on the host in it, in FP32.")] if host else []
    s = found.conventions[0].total.spikes_per_synapse
    places = published(s, found.ticks) or {}
    thresholds = [
        (key, f"{places[key]} {_span(t.low, t.high)} {t.unit}: {t.source}") for key, t in THRESHOLDS.items() if key in places
    ]
    hidden = len(found.layers) - len(order)
    more = [Text(f"and {counted(hidden, 'layer')} with fewer operations; --json has all")] if hidden else []
    return Group(
        table(("convention", "SNN", "ANN", "QANN", "vs ANN", "vs QANN"), totals),
        *by_host,
        Text(verdict(found.as_json()), "bold yellow" if costs_more else "bold"),
        Text(),
        table(("layer", "bits", *(f"{name}, {_OTHERS[other].split()[-1]}" for name, other in _SHOWN)), layers),
        *more,
        Text("Spikes per synapse and inference: the layer's, and those below which the SNN costs less."),
        Text(),
        facts([(name, formula) for name, formula in FORMULAS.items()]),
        facts(thresholds),
    )


_OTHERS = {"ann": "the ANN", "qann": "the bit-matched QANN"}
_SHOWN = (("papers", "ann"), ("integer", "qann"), ("memory", "qann"))


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _neurobench(found: NeuroBench) -> Table:
    def shown(value: float) -> str:
        return f"{value:.4f}" if 0 < value < 1 else number(value)

    units = {"Effective_MACs": " per sample", "Effective_ACs": " per sample", "Dense": " per sample", "footprint": " bytes"}
    return facts((name, shown(value) + units.get(name, "")) for name, value in found.as_json().items())


def _how_to_read(result: Report) -> Iterable[RenderableType]:
    if result.counts.samples > 1:
        yield Text("Numbers are means over the samples; brackets hold the 95 % bootstrap interval of the mean.")
    yield Text(
        "A sop is one spike at one synapse whose weight is not zero. Rates are spikes per neuron and chip tick. "
        "Counts are facts of the simulation. Joules are these counts times published costs of the chip or of models of it: "
        "an estimate with an interval, no measurement. Static power and that of the processors on the chip stand apart."
    )
    if result.latency.timings:
        yield Text(
            "Times: in the form 'sum' a tick lasts as long as the slowest core needs to send or to receive, and the barrier; "
            "in 'max' as the busiest resource of any core, link or the barrier; 'tick' is the chip's clock. Slack is what is "
            "left of a tick of real time after the longest one."
        )
