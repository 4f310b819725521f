"""A report as one page that needs nothing else: no network, no files, and no scripts to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from xml.sax.saxutils import escape

import jinja2
import numpy as np
from markupsafe import Markup

from neurocomp.report import Report
from neurocomp.report.beside import rows as rows_beside
from neurocomp.report.beside import verdict, works
from neurocomp.report.bibliography import Sources, cited, replaced
from neurocomp.report.digits import prefix, rounded
from neurocomp.report.floorplan import Heat, svg, tag
from neurocomp.report.mapping import mapping_report
from neurocomp.report.methods import methods
from neurocomp.report.quantities import BESIDE, Number, texts
from neurocomp.report.selection import picked_neurons, sensitivity
from neurocomp.report.terminal import WORK, counted, limited_by, number, percent, si

TEMPLATE = "page.html.jinja"
MOST_CORES = 4096
"""Cores that a page draws; it lists `LISTED_CORES` of them."""
LISTED_CORES = 500
RASTER_ROWS = 80
RASTER_WIDTH, ROW, LEFT = 680.0, 3.0, 110.0
MOST_MARKS = 40_000
"""Spikes of a raster; beyond them fewer neurons are drawn."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str | Markup
    value: Number | str = None
    """What it is sorted by: a number of the report, as it is there."""
    bar: float | None = None
    """A share of 1, drawn behind the text."""


TITLES = {"baselines": "Conventions beside the chip", "neurobench": "NeuroBench"}


@dataclass(frozen=True, slots=True)
class Grid:
    """A table that a click on its titles sorts."""

    title: str
    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str | Markup = ""
    left: int = 1
    """So many columns hold text."""
    foot: Sequence[Cell] = ()
    """A last row, which stays last."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing with its caption."""

    title: str
    svg: Markup
    note: str = ""
    on_paper: bool = False
    """Whether it needs a white ground."""


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page."""

    name: str
    title: str
    parts: Sequence[Grid | Picture | Markup]


def html(report: Report, sources: Sources) -> str:
    """Return the page.

    Args:
        report: The report; the page shows spikes if it has a ``raster``.
        sources: What it may cite.
    """
    return _Page(report, sources).text()


class _Page:
    """Makes the page of one report."""

    def __init__(self, report: Report, sources: Sources) -> None:
        self.report, self.sources, self.document = report, sources, report.as_json()
        self.samples = report.counts.samples
        self.cited: list[str] = []

    def text(self) -> str:
        """Return the whole page."""
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        template = environment.from_string(resources.files("neurocomp.report").joinpath(TEMPLATE).read_text(encoding="utf-8"))
        sections = [section for section in self.sections() if section.parts]
        return template.render(
            report=self.report, document=self.document, facts=list(self.facts()), tiles=list(self.tiles()), sections=sections,
            references=[(key, self.sources.plain(key)) for key in self.cited], is_grid=lambda part: isinstance(part, Grid),
            is_picture=lambda part: isinstance(part, Picture),
        )  # fmt: skip

    def sections(self) -> Iterator[Section]:
        yield Section("energy", "Energy", list(self.energy()))
        yield Section("latency", "Latency and throughput", list(self.latency()))
        yield Section("counts", "Counts", [self.events(), self.populations(), self.projections(), *self.lossy()])
        yield Section("cores", "Cores", list(self.cores()))
        yield Section("spikes", "Spikes of the first sample", list(self.raster()))
        yield Section("early", "Early answers", list(self.early()))
        for kind in BESIDE:
            if self.document.get(kind):
                yield Section(kind, TITLES.get(kind, kind.capitalize()), list(self.beside(kind)))
        yield Section("methods", "Methods", [Markup("<p>{}</p>").format(self.marked(methods(self.report, self.sources)))])

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield what the page is about."""
        report = self.report
        yield "network", report.network.name
        yield "target", f"{report.spec.name}: {report.spec.title}"
        yield "samples", f"{self.samples:,}" + (" (interrupted)" if report.interrupted else "")
        yield (
            "per sample",
            f"{counted(report.ticks, 'tick')} of {si(report.network.timestep, 's')}, {report.counts.ticks} on the chip",
        )
        yield "cores", f"{len(report.mapped.cores):,} on {counted(report.mapped.chips, 'chip')}"
        yield "engine", report.engine
        if report.accuracy is not None:
            yield "accuracy", f"{report.accuracy:.2%} of the integers on these samples"

    def tiles(self) -> Iterator[tuple[str, str, str]]:
        """Yield title, number and what stands under it, of what people look for first."""
        if self.report.energy.is_priced:
            spread, bounds = self.document["statistics"]["energy_j"]["dynamic"], self.document["per_sample"]["energy_j"]
            size, name = prefix(spread["mean"])
            shown = rounded(
                spread["mean"] / size, *(None if spread[k] is None else spread[k] / size for k in ("ci_low", "ci_high"))
            )
            interval = f"95 % of the mean: {shown.low} to {shown.high} {name}J; " if shown.low is not None else ""
            yield (
                "dynamic energy per sample",
                f"{shown.mean} {name}J",
                f"{interval}costs: {si(bounds['low'], 'J')} to {si(bounds['high'], 'J')}",
            )
            for speed, title in (("full_speed", "at full speed"), ("real_time", "in real time")):
                total = (self.document["energy_of"].get(speed) or {}).get("total")
                if total is not None:
                    low, nominal, high = (si(total[key] / self.samples, "J") for key in ("low", "nominal", "high"))
                    yield f"with static and host power, {title}", nominal, f"{low} to {high}"
        else:
            yield "energy", "unpriced", "no cost of an event of this chip is published"
        inference = self.report.latency.inference
        if inference is not None:
            low, nominal, high = (si(value, "s") for value in inference)
            limit = limited_by(self.report.latency.timings[0].limits[0])
            yield "time per inference", nominal, f"{low} to {high}; set by {limit}"
        counts = self.document["per_sample"]["counts"]
        yield "SOPs per sample", number(counts["sops"]), f"{number(counts['sops_per_spike'])} per spike"

    # --- energy and time

    def energy(self) -> Iterator[Grid]:
        energy = self.document["energy"]
        if not self.report.energy.is_priced:
            return
        total = self.document["energy_j"]["nominal"]
        rows = [
            [
                Cell(line["event"].replace("_", " ")), Cell(line["part"]), self.count(line["count"] / self.samples),
                *(self.joules(line["energy_j"][key]) for key in ("low", "nominal", "high")),
                self.share(line["energy_j"]["nominal"], total),
            ]
            for line in energy["lines"]
        ]  # fmt: skip
        bounds = self.document["energy_j"]
        foot = [Cell("in all"), Cell(""), Cell(""), *(self.joules(bounds[key]) for key in ("low", "nominal", "high")), Cell("")]
        note = f"By the cost source {energy['costs']}. Low and high are those of the costs, no confidence interval."
        if energy["unpriced"]:
            note += f" Counted, but without a stated cost: {', '.join(e.replace('_', ' ') for e in energy['unpriced'])}."
        yield Grid(
            "Dynamic energy per sample", ("event", "part", "count", "low", "nominal", "high", "share"), rows, note, 2, foot
        )
        speeds = {"full_speed": "at full speed", "real_time": "in real time"}
        rows = [
            [Cell(speeds[speed]), Cell(part), *(self.joules(bounds[key]) for key in ("low", "nominal", "high"))]
            for speed, parts in self.document["energy_of"].items()
            for part, bounds in parts.items()
            if bounds is not None
        ]
        note = f"Static: {self.document['energy']['static']}."
        yield Grid("With static and host power, per sample", ("run", "part", "low", "nominal", "high"), rows, note, 2)
        yield self.tornado()
        rows = [
            [
                Cell(event.replace("_", " ")), Cell(entry["kind"]), Cell(self.marked(self.sources.marked(entry["source"]))),
                *(Cell(si(bounds[key], unit), bounds[key]) for key in ("low", "nominal", "high")),
            ]
            for event, entry, bounds, unit in (
                *((line["event"], line, line["cost_j"], "J") for line in energy["lines"]),
                *((f"{power['part']} power of a chip", power, power["per_chip_w"], "W") for power in energy["powers"]),
            )
        ]  # fmt: skip
        yield Grid("Costs and their sources", ("constant", "kind", "source", "low", "nominal", "high"), rows, left=3)

    def tornado(self) -> Grid:
        spans = sensitivity(self.document)
        widest = max((high - low for low, high in spans.values()), default=0.0)
        rows = [
            [
                Cell(event.replace("_", " ")), Cell(si(low, "J"), low), Cell(si(high, "J"), high),
                Cell(si(high - low, "J"), high - low, (high - low) / widest if widest else 0.0),
            ]
            for event, (low, high) in spans.items()
        ]  # fmt: skip
        note = "Dynamic energy per sample when one cost alone takes its low or its high value."
        return Grid("Sensitivity", ("cost", "with its low value", "with its high value", "span"), rows, note)

    def latency(self) -> Iterator[Grid]:
        forms = {"sum": "sum of the work of a core", "max": "busiest resource", "tick": "clock"}
        rows, limits = [], []
        for form, entry in self.document["latency"]["forms"].items():
            cells = [self.bounded(entry[key], "s") for key in ("tick_s", "longest_tick_s", "inference_s")]
            speed = [entry[key] for key in ("inferences_per_s", "inferences_per_s_pipelined")]
            cells += [Cell("") if s is None else Cell(f"{s['nominal']:,.0f}", s["nominal"]) for s in speed]
            rows.append([Cell(forms.get(form, form)), *cells, Cell(si(entry["slack_s"], "s"), entry["slack_s"])])
            for limit in entry["limits"]:
                core = f"{limit['core']['chip']}/{limit['core']['core']}" if limit["core"] else ""
                limits.append(
                    [
                        Cell(forms.get(form, form)),
                        Cell(WORK.get(limit["resource"], limit["resource"])),
                        Cell(core),
                        Cell(percent(limit["share"]), limit["share"], limit["share"]),
                    ]
                )
        real_time = si(self.document["latency"]["real_time_s"], "s")
        real = f"In real time a sample takes {real_time}; slack is what is left of a tick of real time."
        if not rows:
            yield Grid(
                "Times",
                ("form", "time per sample"),
                [[Cell("real time"), Cell(si(self.document["latency"]["real_time_s"], "s"))]],
                "No times of this chip are stated.",
            )
            return
        titles = ("form", "tick", "longest tick", "inference", "inferences per s", "pipelined", "slack")
        yield Grid("Times at full speed, with the low and high ones", titles, rows, real)
        yield Grid("What sets the length of ticks", ("form", "resource", "core", "of ticks"), limits[:200], left=3)

    def early(self) -> Iterator[Grid]:
        if len(self.document["early"]) < 2:
            return
        rows = []
        for entry in self.document["early"]:
            joules = entry["energy_j"]
            spent = (
                [Cell("")] * 3
                if joules is None
                else [Cell(si(joules[key], "J"), joules[key]) for key in ("low", "nominal", "high")]
            )
            events = Cell(number(entry["synaptic_events"]), entry["synaptic_events"])
            accuracy = Cell(f"{entry['accuracy']:.2%}", entry["accuracy"], entry["accuracy"])
            rows.append([Cell(str(entry["ticks"]), entry["ticks"]), accuracy, events, *spent])
        titles = ("ticks", "accuracy", "synaptic events", "low", "nominal", "high")
        note = "Answers that are read before the sample ends, and the dynamic energy per sample until then."
        yield Grid("Accuracy and energy over ticks", titles, rows, note, 0)

    # --- counts

    def events(self) -> Grid:
        spreads = self.document["statistics"]["events"]
        rows = []
        for name, mean in self.document["per_sample"]["counts"].items():
            if name in spreads:
                rows.append([Cell(name.replace("_", " ")), *self.spread(spreads[name])])
            else:
                rows.append([Cell(name.replace("_", " ")), self.count(mean), *[Cell("")] * 5])
        for kind in ("encoders", "decoders"):
            for name, operations in self.document[kind].items():
                for key, value in operations.items():
                    if value:
                        rows.append(
                            [
                                Cell(f"{key.replace('_', ' ')} of the {kind[:-1]} of {name}"),
                                self.count(value / self.samples),
                                *[Cell("")] * 5,
                            ]
                        )
        note = "Per sample. The interval is that of the mean; the worst sample is counted from 0."
        return Grid("Events", ("event", "mean", "95 % interval", "s.d.", "p95", "largest", "worst sample"), rows, note)

    def spread(self, entry: Mapping[str, Any]) -> list[Cell]:
        shown = rounded(entry["mean"], entry["ci_low"], entry["ci_high"])
        interval = ""
        if shown.low is not None and shown.high is not None and shown.low != shown.high:
            interval = " to ".join(f"{float(end):,.{max(0, shown.decimals or 0)}f}" for end in (shown.low, shown.high))
        return [
            Cell(number(entry["mean"]), entry["mean"]),
            Cell(interval, entry["ci_low"]),
            *(
                Cell("" if entry[key] is None else number(entry[key]), entry[key])
                for key in ("sd", "p95", "worst", "worst_sample")
            ),
        ]

    def populations(self) -> Grid:
        rows, entries = [], self.document["per_population"]
        most = max((entry["rate"] for entry in entries.values()), default=0.0)
        for name, entry in entries.items():
            spread = self.spread(self.document["statistics"]["populations"][name])
            active = entry["updates_active"] / entry["updates"] if entry["updates"] else None
            rows.append(
                [
                    Cell(name), self.count(entry["neurons"]), *spread[:3],
                    Cell(percent(entry["rate"]), entry["rate"], entry["rate"] / most if most else 0.0),
                    Cell(f"{entry['spikes_per_synapse']:.3g}", entry["spikes_per_synapse"]),
                    Cell("host" if active is None else percent(active), active),
                ]
            )  # fmt: skip
        titles = ("layer", "neurons", "spikes", "95 % interval", "s.d.", "rate", "spikes per synapse", "active")
        note = "Per sample. Rate: spikes per neuron and tick. Active: share of updates that leave a state other than zero."
        return Grid("Layers", titles, rows, note)

    def projections(self) -> Grid:
        rows = []
        for name, entry in self.document["per_projection"].items():
            share = entry["sops"] / entry["sops_dense"] if entry["sops_dense"] else 0.0
            rows.append(
                [
                    Cell(name), Cell("MAC" if entry["is_mac"] else "AC"), self.count(entry["synapses"]),
                    self.count(entry["source_spikes"] / self.samples),
                    *self.spread(self.document["statistics"]["projections"][name])[:3], Cell(percent(share), share, share),
                ]
            )  # fmt: skip
        titles = ("projection", "operation", "synapses", "spikes in", "SOPs", "95 % interval", "s.d.", "of dense")
        note = "Per sample. Of dense: share of the SOPs if every synapse worked in every tick."
        return Grid("Projections", titles, rows, note, 2)

    def lossy(self) -> Iterator[Grid]:
        rows = []
        for name, entry in self.document["lossy"].items():
            error = entry["spike_count_error"]
            cells = [
                Cell("of none" if error is None else percent(error), error),
                Cell(f"{entry['van_rossum']:.3g}", entry["van_rossum"]),
            ]
            rows.append(
                [Cell(name), Cell(str(entry["reason"])), *cells, Cell(percent(entry["same_ticks"]), entry["same_ticks"])]
            )
        if rows:
            yield Grid(
                "Quantized against lowered",
                ("population", "why it is lossy", "count error", "van Rossum", "same ticks"),
                rows,
                left=2,
            )

    # --- cores and spikes

    def cores(self) -> Iterator[Grid | Picture]:
        report, cores = self.report, self.document["per_core"]
        events = report.counts.per_core["synaptic_events"].sum(axis=(1, 2)) / self.samples
        if len(cores) <= MOST_CORES:
            most = float(events.max(initial=0))
            heat = Heat(
                "synaptic events", events / most if most else events * 0.0,
                f"of {number(most)} synaptic events per sample, those of the busiest core",
                [f"{number(value)} synaptic events per sample" for value in events.tolist()],
            )  # fmt: skip
            mapping = mapping_report(report.mapped, report.spec, report.utilization)
            for color, title in (("load", "Synaptic events"), ("population", "Layers")):
                drawing = svg(mapping, "load" if color == "load" else "population", heat)
                yield Picture(title, Markup(drawing), on_paper=True)
        names = ("updates", "spikes", "synaptic_events", "sops", "packets", "packets_received")
        order = sorted(range(len(cores)), key=lambda index: (-float(events[index]), index))[:LISTED_CORES]
        most = max((cores[index]["busiest_tick"]["synaptic_events"] for index in order), default=0)
        rows = []
        for index in order:
            core = cores[index]
            busiest = core["busiest_tick"]["synaptic_events"]
            own = [self.count(core[name] / self.samples) for name in names]
            rows.append(
                [Cell(f"{core['chip']}/{core['core']}"), *own, Cell(number(busiest), busiest, busiest / most if most else 0.0)]
            )
        hidden = len(cores) - len(rows)
        note = "Per sample; the busiest tick is that with the most synaptic events."
        note += f" {counted(hidden, 'core')} with fewer events are in the CSV and JSON." if hidden else ""
        yield Grid("Cores", ("chip/core", *(name.replace("_", " ") for name in names), "busiest tick"), rows, note)

    def raster(self) -> Iterator[Picture]:
        shown = {name: spikes for name, spikes in self.report.raster.items() if spikes.shape[1]}
        if not shown:
            return
        rows = RASTER_ROWS
        while rows > 8 and sum(int((s[:, picked_neurons(s.shape[1], rows)] != 0).sum()) for s in shown.values()) > MOST_MARKS:
            rows //= 2
        length = max(spikes.shape[0] for spikes in shown.values())
        step, y, parts = (RASTER_WIDTH - LEFT - 10) / length, 6.0, []
        for index, (name, spikes) in enumerate(shown.items()):
            picked = picked_neurons(spikes.shape[1], rows)
            few = "" if len(picked) == spikes.shape[1] else f"{len(picked)} of {spikes.shape[1]:,}"
            high = max(len(picked) * ROW, 26.0)
            parts.append(
                tag(
                    "text",
                    escape(name if len(name) < 18 else f"{name[:16]}…"),
                    x=LEFT - 8,
                    y=y + high / 2,
                    text_anchor="end",
                    class_="name",
                )
            )
            parts.append(tag("text", few, x=LEFT - 8, y=y + high / 2 + 12, text_anchor="end", class_="few"))
            for row, neuron in enumerate(picked.tolist()):
                when = np.flatnonzero(spikes[:, neuron]).tolist()
                if not when:
                    continue
                at = y + row * high / len(picked)
                path = "".join(f"M{LEFT + tick * step:.1f} {at:.1f}h{max(step * 0.8, 0.6):.1f}" for tick in when)
                listed = ", ".join(map(str, when[:30])) + (f" and {len(when) - 30} more" if len(when) > 30 else "")
                title = escape(f"{name}[{neuron}]: {counted(len(when), 'spike')}, in tick {listed}")
                parts.append(tag("path", tag("title", title), d=path, class_=f"c{index % 8}"))
            y += high + 10
            parts.append(tag("path", d=f"M0 {y - 5:.0f}H{RASTER_WIDTH:.0f}", class_="rule"))
        for tick in sorted({round(i * (length - 1) / 6) for i in range(7)}):
            parts.append(tag("text", str(tick), x=LEFT + (tick + 0.4) * step, y=y + 12, text_anchor="middle", class_="few"))
        parts.append(tag("text", "tick", x=LEFT - 8, y=y + 12, text_anchor="end", class_="few"))
        size = f"0 0 {RASTER_WIDTH:.0f} {y + 20:.0f}"
        drawing = tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=size, class_="raster", role="img")
        yield Picture(
            "", Markup(drawing), "Rows are neurons; where a layer has many, some are drawn. Point at a row for its ticks."
        )

    # --- the rest

    def beside(self, kind: str) -> Iterator[Grid]:
        """Yield the grids of a part of the document that stands beside the chip's estimate."""
        part = self.document[kind]
        if kind == "baselines":
            yield self.conventions(part)
            return
        if kind == "neurobench":
            note = self.marked("By the rules of [@yik2025]; operations are per sample, the footprint is in bytes.")
            yield Grid("", ("metric", "value"), [[Cell(name), self.count(value)] for name, value in part.items()], note)
            return
        yield Grid("", ("what", "is"), [[Cell(where), Cell(what)] for where, what in texts(part)], left=2)

    def conventions(self, baselines: Mapping[str, Any]) -> Grid:
        """Return the conventions of papers, layer by layer."""
        shown = []
        for row in rows_beside(baselines):
            limits = (row.below.get(other) for other in ("ann", "qann"))
            shown.append([
                Cell(row.convention), Cell(row.name),
                *(Cell("") if own is None else Cell(si(own["nominal"], "J"), own["nominal"]) for own in row.joules.values()),
                Cell("") if row.spikes_per_synapse is None else Cell(f"{row.spikes_per_synapse:.3g}", row.spikes_per_synapse),
                *(Cell("") if own is None else Cell(f"{own['nominal']:.3g}", own["nominal"]) for own in limits),
                Cell(" and ".join(other.upper() for other in row.loses_to)),
            ])  # fmt: skip
        titles = ("convention", "layer", "SNN", "ANN", "QANN", "spikes/synapse", "below ANN", "below QANN", "costs more than")
        below = "Below so many spikes per synapse and inference the spiking network costs less."
        note = self.marked(f"{verdict(baselines)} {below} {works(baselines)}")
        return Grid("", titles, shown, note, left=2)

    def marked(self, text: str) -> Markup:
        """Return text with citations as links to the references, which it adds to."""
        for key in cited(text):
            if key not in self.cited:
                self.cited.append(key)
        links = replaced(text, lambda part: str(Markup.escape(part)), lambda key: f'<a href="#ref-{key}">[{key}]</a>')
        return Markup(links)

    def count(self, value: float) -> Cell:
        return Cell(number(value), value)

    def share(self, part: float, whole: float) -> Cell:
        share = part / whole if whole else 0.0
        return Cell(percent(share), part, share)

    def joules(self, value: float) -> Cell:
        return Cell(si(value / self.samples, "J"), value / self.samples)

    def bounded(self, bounds: Mapping[str, float], unit: str) -> Cell:
        low, nominal, high = (si(bounds[key], unit) for key in ("low", "nominal", "high"))
        span = "" if low == high else Markup("<br><small>{} to {}</small>").format(low, high)
        return Cell(Markup("{}{}").format(nominal, span), bounds["nominal"])
