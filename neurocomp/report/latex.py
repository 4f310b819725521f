"""A report as LaTeX: tables with booktabs and siunitx, a paragraph on methods, and the .bib that they cite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from neurocomp.energy.joules import BADGE
from neurocomp.report import Report
from neurocomp.report.beside import CONVENTIONS, Row, verdict, works
from neurocomp.report.beside import rows as rows_beside
from neurocomp.report.bibliography import Sources, cited, replaced
from neurocomp.report.digits import fixed, of_spread, place, prefix, significant
from neurocomp.report.escape import latex
from neurocomp.report.methods import methods
from neurocomp.report.quantities import texts
from neurocomp.report.terminal import WORK

PREAMBLE = r"""\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{array}
\usepackage{booktabs}
\usepackage{siunitx} % version 3
"""
_UNITS = {"1": "", "J": r"\joule", "s": r"\second", "W": r"\watt", "1/s": r"\per\second", "bit": r"\bit", "B": r"\byte"}
_PREFIXED = ("J", "s", "W")
_PREFIXES = {"": "", "m": r"\milli", "µ": r"\micro", "n": r"\nano", "p": r"\pico", "f": r"\femto"}

COUNTED = {
    "spikes": "Spikes of neurons",
    "input_spikes": "Spikes of inputs",
    "sops": "SOPs",
    "sops_per_spike": "SOPs per spike",
    "synaptic_events": "Synaptic events",
    "words_read": "Words of synapse memory read",
    "updates": "Neuron updates",
    "updates_active": r"\quad of them active",
    "packets": "Packets between cores",
    "hops": "Hops of packets",
    "host_packets": "Packets from the host",
}
"""Events of the first table, in its order."""


@dataclass(frozen=True, slots=True)
class Files:
    """What stands in the files of a report in LaTeX."""

    tables: str
    """To be read with ``\\input``."""
    bib: str
    document: str
    """A document of the tables alone."""


def latex_files(report: Report, sources: Sources, stem: str) -> Files:
    """Return the files of a report.

    Args:
        report: The report.
        sources: What it may cite.
        stem: The name of the files without their endings.
    """
    text = _Writer(report, sources).text()
    used = sorted({key for keys in re.findall(r"\\cite\{([^}]+)\}", text) for key in keys.split(",")})
    document = (
        f"\\documentclass{{article}}\n\\usepackage[margin=25mm]{{geometry}}\n{PREAMBLE}\\begin{{document}}\n\\input{{{stem}}}\n"
        f"\\bibliographystyle{{plain}}\n\\bibliography{{{stem}}}\n\\end{{document}}\n"
    )
    return Files(text, sources.bib(used), document)


def marked(text: str) -> str:
    """Return text with marked citations as LaTeX."""
    found = replaced(text, latex, lambda key: rf"\cite{{{key}}}")
    return re.sub(r"\} \\cite\{", ",", found)


DAGGER = r"\textsuperscript{\textdagger}"
"""Marks where the spiking network costs more."""


class _Writer:
    """Writes the tables of one report."""

    def __init__(self, report: Report, sources: Sources) -> None:
        self.report, self.sources, self.document = report, sources, report.as_json()
        self.stem = re.sub(r"[^a-z0-9]+", "-", f"{report.network.name}-{report.spec.name}".lower()).strip("-")

    def text(self) -> str:
        """Return everything."""
        parts = [self.head(), self.methods(), self.counts(), self.populations(), self.projections()]
        parts += [self.energy(), self.costs()] if self.report.energy.is_priced else []
        parts += [self.latency()] if self.document["latency"]["forms"] else []
        parts += [self.conventions(self.document["baselines"])] if self.document.get("baselines") else []
        parts += [self.neurobench(self.document["neurobench"])] if self.document.get("neurobench") else []
        return "\n".join(parts)

    def head(self) -> str:
        """Return the comment at the top: what the file needs, and where its numbers come from."""
        lines = [self.document["badge"], "Read it with \\input. It needs in the preamble:", *PREAMBLE.splitlines()]
        lines += [f"{where}: {what}" for where, what in texts(self.document.get("provenance"))]
        return "".join(f"% {line}\n" for line in " \n".join(lines).splitlines())

    def methods(self) -> str:
        return f"\\paragraph{{Methods.}} {marked(methods(self.report, self.sources))}\n"

    def basis(self, spread: bool) -> str:
        """Return the end of a caption: network, target, n, T, tick, what brackets mean, and what the numbers are."""
        report = self.report
        size, name = prefix(report.network.timestep)
        tick = rf"\qty{{{report.network.timestep / size:g}}}{{{_PREFIXES[name]}\second}}"
        means = r"; means, in brackets the \qty{95}{\percent} bootstrap interval of the mean" if spread else ""
        samples = report.counts.samples
        extensions = f", not on this chip: {', '.join(report.not_on_this_chip)}" if report.not_on_this_chip else ""
        return (
            f"{latex(report.network.name)} on {latex(report.spec.title)}; $n = {samples}$, $T = {report.ticks}$, "
            rf"$\Delta t = {tick}${means if samples > 1 else ''}. {latex(BADGE + extensions)}."
        )

    def counts(self) -> str:
        """Return the table of events per sample with their spread."""
        spreads, rows = self.document["statistics"]["events"], []
        for name, title in COUNTED.items():
            if name in spreads:
                rows.append([title, *self.spread(spreads[name])])
        dense = self.document["per_sample"]["counts"]["sops_dense"]
        rows.append(["SOPs if every synapse worked", significant(dense), *[""] * 4])
        titles = ("Event", "Mean", r"\qty{95}{\percent} interval", "s.d.", "p95", "Largest")
        return self.table("counts", "Events per sample.", titles, "lSrSSS", rows)

    def spread(self, entry: Mapping[str, Any]) -> list[str]:
        """Return mean, interval, deviation, 95th percentile and largest value."""
        shown = of_spread(entry)
        interval = "" if shown.low is None or shown.low == shown.high else _interval(shown.low, shown.high or "")
        sd, p95 = ("" if value is None else shown.like(value) for value in (entry["sd"], entry["p95"]))
        return [shown.mean, interval, sd, p95, significant(entry["worst"])]

    def populations(self) -> str:
        spreads, samples, rows = self.document["statistics"]["populations"], self.document["samples"], []
        for name, entry in self.document["per_population"].items():
            shown = self.spread(spreads[name])
            active = "" if not entry["updates"] else significant(100 * entry["updates_active"] / entry["updates"])
            updates = "" if entry["is_input"] else significant(entry["updates"] / samples)
            rows.append(
                [latex(name), str(entry["neurons"]), *shown[:2], significant(100 * entry["rate"]), updates, active]
            )  # fmt: skip
        titles = ("Layer", "Neurons", "Spikes", r"\qty{95}{\percent} interval", r"Rate (\%)", "Updates", r"Active (\%)")
        what = (
            "Layers, per sample. Rate: spikes per neuron and tick. Active: share of updates with a state other than zero after."
        )
        return self.table("layers", what, titles, "lSSrSSS", rows)

    def projections(self) -> str:
        spreads, samples, rows = self.document["statistics"]["projections"], self.document["samples"], []
        for name, entry in self.document["per_projection"].items():
            share = 100 * entry["sops"] / entry["sops_dense"] if entry["sops_dense"] else 0.0
            kind = "MAC" if entry["is_mac"] else "AC"
            spikes = significant(entry["source_spikes"] / samples)
            cells = [str(entry["synapses"]), spikes, *self.spread(spreads[name])[:2], significant(share)]
            rows.append([latex(name), kind, *cells])
        titles = ("Projection", "Op", "Synapses", "Spikes in", "SOPs", r"\qty{95}{\percent} interval", r"of dense (\%)")
        what = "Operations of each projection, per sample. Of dense: share of the SOPs if every synapse worked in every tick."
        return self.table("projections", what, titles, "llSSSrS", rows)

    def energy(self) -> str:
        """Return the table of joules: low, nominal and high of each event, then the parts and totals."""
        energy, samples = self.document["energy"], self.document["samples"]
        total = {name: value / samples for name, value in self.document["energy_j"].items()}
        size, name = prefix(total["nominal"])
        finest = place(total["nominal"] / size, 3) + 2

        def cells(bounds: Mapping[str, float], per: int = samples) -> list[str]:
            return [_few(bounds[key] / per / size, finest) for key in ("low", "nominal", "high")]

        rows = [
            [_event(line["event"]), significant(line["count"] / samples), *cells(line["energy_j"])] for line in energy["lines"]
        ]
        rows.append([])
        for part in ("core dynamic", "network on chip"):
            if energy["parts_j"][part] is not None:
                rows.append([_event(part), "", *cells(energy["parts_j"][part])])
        rows.append([r"\textbf{Dynamic, in all}", "", *cells(total, 1)])
        spread = of_spread(self.document["statistics"]["energy_j"]["dynamic"], size)
        if spread.low is not None and spread.high is not None:
            title = r"\quad \qty{95}{\percent} interval over samples"
            rows.append([title, "", *(f"{{{value}}}" for value in (spread.low, spread.mean, spread.high))])
        for speed, title in (("full_speed", "at full speed"), ("real_time", "in real time")):
            parts = self.document["energy_of"].get(speed)
            if parts is not None:
                rows.append([])
                for part in ("static", "host"):
                    if parts[part] is not None:
                        rows.append([f"{part.capitalize()}, {title}", "", *cells(parts[part])])
                rows.append([f"With these, {title}", "", *cells(parts["total"])])
        unit = rf"\unit{{{_PREFIXES[name]}\joule}}"
        titles = ("", "Count", f"Low ({unit})", f"Nominal ({unit})", f"High ({unit})")
        what = f"Energy per sample, by the cost source {energy['costs']}. Low and high are those of the costs."
        if energy["unpriced"]:
            names = ", ".join(event.replace("_", " ") for event in energy["unpriced"])
            what += f" Not included, as no cost is stated: {names}."
        return self.table("energy", what, titles, "lSSSS", rows)

    def costs(self) -> str:
        """Return the table of costs, with their sources in notes."""
        energy, rows = self.document["energy"], []
        notes: list[str] = []
        for line in energy["lines"]:
            rows.append(self.cost(_event(line["event"]), line, line["cost_j"], 1e-12, r"\pico\joule", notes))
        for power in energy["powers"]:
            title = f"{power['part'].capitalize()} power of a chip"
            rows.append(self.cost(title, power, power["per_chip_w"], 1e-3, r"\milli\watt", notes))
        titles = ("Constant", "Low", "Nominal", "High", "Unit", "Kind", "Source")
        under = [rf"\textsuperscript{{{_letter(index)}}}~{marked(note)}" for index, note in enumerate(notes)]
        return self.table(
            "costs", "The constants and their sources.", titles, "lSSSlll", rows, ". ".join(under) + ".", spread=False
        )

    def cost(
        self, title: str, entry: Mapping[str, Any], bounds: Mapping[str, float], size: float, unit: str, notes: list[str]
    ) -> list[str]:
        note = self.sources.marked(entry["source"])
        if note not in notes:
            notes.append(note)
        values = [f"{bounds[key] / size:.4g}" for key in ("low", "nominal", "high")]
        cites = "".join(rf"\cite{{{key}}}" for key in cited(note)[:1])
        source = rf"{cites}\,\textsuperscript{{{_letter(notes.index(note))}}}"
        return [title, *values, rf"\unit{{{unit}}}", latex(entry["kind"]), source]

    def latency(self) -> str:
        forms = {"sum": "Sum of a core's work", "max": "Busiest resource", "tick": "Clock"}
        rows = []
        for name, entry in self.document["latency"]["forms"].items():
            limit = entry["limits"][0]
            core = limit["core"]
            where = f", core {core['chip']}/{core['core']}" if core else ""
            limits = latex(f"{WORK.get(limit['resource'], limit['resource'])}{where}: {100 * limit['share']:.0f} % of ticks")
            columns = (("tick_s", "s"), ("inference_s", "s"), ("inferences_per_s", "1"))
            cells = [_quantity(entry[key], unit) for key, unit in columns]
            rows.append([forms.get(name, name), *cells, limits])
        titles = ("Form", "Tick", "Inference", r"Inferences (\unit{\per\second})", "Set by")
        real = self.document["latency"]["real_time_s"]
        what = f"Time at full speed, in brackets with the low and high times. In real time a sample takes {real:g} s."
        return self.table("latency", what, titles, r"llll>{\raggedright\arraybackslash}p{34mm}", rows, spread=False)

    def conventions(self, baselines: Mapping[str, Any]) -> str:
        """Return the table of the conventions of papers, layer by layer."""
        cells: list[list[str]] = []
        last = ""
        for row in rows_beside(baselines):
            if row.convention != last:
                cells += [[]] if last else []
                cells.append([rf"\emph{{{CONVENTIONS.get(row.convention, latex(row.convention))}}}", *[""] * 6])
                last = row.convention
            joules = ["" if own is None else f"{1e9 * own['nominal']:.3g}" for own in row.joules.values()]
            joules = [value if "e" not in value else f"{float(value):.0f}" for value in joules]
            spikes = "" if row.spikes_per_synapse is None else f"{row.spikes_per_synapse:.3g}"
            below = [
                "" if row.below.get(other) is None else f"{(row.below[other] or {})['nominal']:.3g}{self.loses(row, other)}"
                for other in ("ann", "qann")
            ]
            name = r"\textbf{Total}" if row.is_total else latex(row.name)
            cells.append([name, *joules, spikes, *below])
        titles = (
            "Layer", r"SNN (\unit{\nano\joule})", r"ANN (\unit{\nano\joule})", r"QANN (\unit{\nano\joule})",
            "Spikes/synapse", "Below ANN", "Below QANN",
        )  # fmt: skip
        notes = (
            "Spikes per synapse and inference; below the last two the spiking network costs less than the ANN and the "
            f"bit-matched QANN. {DAGGER}: it costs more. {marked(verdict(baselines))} {marked(works(baselines))}"
        )
        what = "Conventions of papers beside the chip, 45 nm, nominal values; the same graph as SNN, ANN and QANN."
        return self.table("conventions", what, titles, "lrrrrll", cells, notes, spread=False)

    def loses(self, row: Row, other: str) -> str:
        return rf"\,{DAGGER}" if other in row.loses_to else ""

    def neurobench(self, metrics: Mapping[str, float]) -> str:
        """Return the table of NeuroBench's metrics."""
        units = {"footprint": r"\byte"}
        cells = [
            [latex(name.replace("_", " ")), rf"\num{{{value:.4g}}}" if "e" not in f"{value:.4g}" else rf"\num{{{value:.0f}}}",
             rf"\unit{{{units[name]}}}" if name in units else ""]
            for name, value in metrics.items()
        ]  # fmt: skip
        what = "Metrics of NeuroBench, per sample where they are operations."
        notes = r"By the rules of~\cite{yik2025}."
        return self.table("neurobench", what, ("Metric", "Value", "Unit"), "lrl", cells, notes, spread=False)

    def table(
        self, label: str, what: str, titles: Sequence[str], columns: str, rows: Sequence[Sequence[str]], notes: str = "",
        *, spread: bool = True,
    ) -> str:  # fmt: skip
        """Return a table; an empty row is a rule."""
        spec = "".join(_columns(columns, [row for row in rows if row]))
        heads = " & ".join(
            f"{{{title}}}" if kind == "S" else title for kind, title in zip(_kinds(columns), titles, strict=True)
        )
        lines = [r"\midrule" if not row else " & ".join(row) + r" \\" for row in rows]
        under = f"\n\\par\\smallskip\\parbox{{0.95\\linewidth}}{{\\scriptsize {notes}}}" if notes else ""
        return (
            "\\begin{table*}\n\\centering\\footnotesize\\setlength{\\belowcaptionskip}{4pt}\n"
            f"\\caption{{{latex(what)} {self.basis(spread)}}}\n\\label{{tab:{self.stem}-{label}}}\n"
            f"\\begin{{tabular}}{{{spec}}}\n\\toprule\n{heads} \\\\\n\\midrule\n"
            + "\n".join(lines)
            + f"\n\\bottomrule\n\\end{{tabular}}{under}\n\\end{{table*}}\n"
        )


def _kinds(columns: str) -> list[str]:
    return re.findall(r"(?:>\{[^}]*\})?p\{[^}]*\}|\w", columns)


def _columns(columns: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the columns, those of numbers with as many digits as their longest numbers have."""
    for index, kind in enumerate(_kinds(columns)):
        if kind != "S":
            yield kind
            continue
        numbers = [row[index].strip("{}") for row in rows if re.fullmatch(r"\{?-?\d+(\.\d+)?\}?", row[index])]
        whole = max((len(number.partition(".")[0]) for number in numbers), default=1)
        part = max((len(number.partition(".")[2]) for number in numbers), default=0)
        yield f"S[table-format={whole}.{part}]"


def _interval(low: str, high: str) -> str:
    return rf"[\num{{{low}}}, \num{{{high}}}]"


def _few(value: float, finest: int) -> str:
    """Return a number with three digits, but with no more decimals than a table can use."""
    return fixed(value, min(max(0, place(value, 3)), max(0, finest)))


def _quantity(bounds: Mapping[str, float], unit: str) -> str:
    size, name = prefix(bounds["nominal"]) if unit in _PREFIXED else (1.0, "")
    values = [bounds[key] / size for key in ("low", "nominal", "high")]
    shown = [fixed(value, place(value, 3)) for value in values]
    interval = "" if shown[0] == shown[2] else f" {_interval(shown[0], shown[2])}"
    return rf"\num{{{shown[1]}}}{interval}{_unit(name, unit)}"


def _unit(prefixed: str, unit: str) -> str:
    """Return a unit behind a space; nothing for numbers that have none, or one of no known form."""
    return rf" \unit{{{_PREFIXES[prefixed]}{_UNITS[unit]}}}" if _UNITS.get(unit) else ""


def _event(name: str) -> str:
    words = name.replace("_", " ")
    return latex(words[0].upper() + words[1:])


def _letter(index: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    index, last = divmod(index, len(ascii_lowercase))
    return (_letter(index - 1) if index else "") + ascii_lowercase[last]
