"""A mapping as text for terminals, pipes and files: 80 columns are enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.style import Style
from rich.text import Text

from neurocomp.mapping.traffic import Flow
from neurocomp.report.floorplan import RGB, Color, Floorplan, floorplan_of, ink, shade
from neurocomp.report.mapping import MappingReport
from neurocomp.report.terminal import BAR, SHOWN_CORES, counted, facts, label, number, percent, section, table

MOST_BARS = 12
"""Rows of the histogram of hops."""
UNIFORM = "uniform: one spike per neuron and tick; --profile gives real rates"
LONGEST_NAME = 12
"""Signs of a letter and a population's name in the table; the floorplan's legend has all."""
FREE, NO_NEURONS = "·", "+"
SHORT = {"synapse_words": "words", "input_axons": "axons in", "output_axons": "axons out"}
"""Titles of columns."""


def mapping(report: MappingReport, color: Color, *, all_cores: bool = False) -> Group:
    """Return tables of populations and cores, the traffic, the lower bounds, what runs out first, and the floorplan.

    Args:
        report: The mapping.
        color: What the floorplan shows.
        all_cores: List every core, not the fullest alone.
    """
    mapped, spec = report.mapped, report.spec
    plan = floorplan_of(mapped, spec, report.usage)
    cores = f"{counted(len(mapped.cores), 'core')} on {counted(mapped.chips, 'chip')}"
    several = "core" if len(mapped.cores) == 1 else "cores"
    grows = f"{label(report.headroom.resource)}, at ×{number(report.headroom.factor)} the width: {report.headroom.reason}"
    return Group(
        Text(f"{mapped.lowered.network.name} on {spec.name}: {cores}", "bold"),
        *section("Populations", _populations(report, plan), Text(_limits(report))),
        *section(f"The {several}, the fullest first", _cores(report, plan, all_cores)),
        *section("Traffic per tick", _traffic(report), *_histogram(report)),
        *section("What no mapping can do without", _bounds(report)),
        *section("Runs out first", Text(grows)),
        *section("Floorplan", FloorplanText(plan, report, color)),
    )


# --- tables


def _populations(report: MappingReport, plan: Floorplan) -> RenderableType:
    usage = report.usage
    rows = []
    for entry, (name, here) in zip(plan.key, usage.residents.items(), strict=True):
        of = usage.of(name)
        shared = int(np.count_nonzero(usage.shared[here.core]))
        cores = f"{len(here.core):,}", f"{shared:,}"
        rows.append((_cut(f"{entry.letter} {name}"), *cores, *(_used(of[resource]) for resource in usage.used)))
    used = {name: int(values.sum()) for name, values in usage.used.items()}
    worst = {name: int(values.max(initial=0)) for name, values in usage.used.items()}
    rows.append(
        (
            "  all",
            f"{len(report.mapped.cores):,}",
            f"{np.count_nonzero(usage.shared):,}",
            *(
                _used({"used": used[name], "worst_core": worst[name], "per_core": limit})
                for name, limit in usage.limits.items()
            ),
        )
    )
    found = table(("population", "cores", "shared", *(SHORT.get(name, name) for name in usage.used)), rows, left=0)
    found.columns[0].justify = "left"
    return found


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _used(entry: Mapping[str, int]) -> str:
    share = entry["worst_core"] / entry["per_core"]
    full = f"{100 * share:.0f}%" if share >= 0.01 or not share else "<1%"
    return f"{brief(entry['used'])} {full:>4}"


def brief(value: float) -> str:
    """Return a count in five signs at most, up to a billion.

    >>> brief(9999), brief(12345), brief(123456), brief(12345678), brief(0.25)
    ('9,999', '12.3k', '123k', '12.3M', '0.2')
    """
    if value < 9_999.5:
        return number(value)
    size, suffix = (1e3, "k") if value < 999_500 else (1e6, "M")
    return f"{value / size:.3g}{suffix}" if value < 999_500_000 else f"{value / size:,.0f}{suffix}"


def _limits(report: MappingReport) -> str:
    usage = report.usage
    parts = [f"{limit:,} {label(name)}" for name, limit in usage.limits.items()]
    line = f"Percent: how full the fullest of its cores is. A core has {', '.join(parts)}."
    shared = " A shared core counts in full for each of its populations, except in neurons."
    return line + (shared if usage.shared.any() else "")


def _cores(report: MappingReport, plan: Floorplan, all_cores: bool) -> RenderableType:
    usage, (sent, received) = report.usage, report.packets()
    load = usage.load
    order = np.lexsort((np.arange(len(load)), -load)).tolist()
    shown = order if all_cores else order[:SHOWN_CORES]
    rows = []
    for index in shown:
        core = report.mapped.cores[index]
        letters = "".join(plan.key[part].letter for part, _ in plan.parts[index]) or "-"
        rows.append(
            (
                f"{core.chip}/{core.core}",
                letters if len(letters) <= 8 else f"{letters[:7]}…",
                percent(float(load[index])),
                *(f"{int(values[index]):,}" for values in usage.used.values()),
                brief(float(sent[index])),
                brief(float(received[index])),
            )
        )
    titles = ("chip/core", "holds", "load", *(SHORT.get(name, name) for name in usage.used), "sends", "gets")
    found = table(titles, rows, left=2)
    hidden = len(order) - len(shown)
    return Group(found, Text(f"and {counted(hidden, 'core')} that are no fuller; --cores lists all")) if hidden else found


# --- traffic


def _traffic(report: MappingReport) -> RenderableType:
    traffic, profile = report.traffic, report.profile
    unicast, multicast = traffic.unicast, traffic.multicast
    rows: list[tuple[str, str | RenderableType]] = [("rates", UNIFORM if profile is None else "of the trace")]
    if profile is not None and profile.assumed:
        names = ", ".join(f"'{name}'" for name in profile.assumed)
        rows.append(("assumed", f"one spike per neuron and tick of {names}, as no trace has them"))
    rows += [
        (
            "packets",
            f"{number(unicast.packets)} between cores, {number(traffic.local)} from cores to themselves, "
            f"{number(traffic.host)} from the host",
        ),
        ("off-core", f"{percent(traffic.off_core_share)} of the messages of cores go to other cores"),
        ("hops", f"{number(unicast.hops)}, {traffic.average_hops:.2f} per packet"),
        (
            "multicast",
            f"{number(multicast.packets)} packets and {number(multicast.hops)} hops, if a packet is copied where its ways part",
        ),
    ]
    if report.mapped.chips > 1:
        crossings = f"{number(unicast.crossings)}, multicast {number(multicast.crossings)}"
        rows.append(("chip crossings", crossings))
    rows += [("links", _links(report, unicast)), ("  multicast", _links(report, multicast))]
    return facts(rows)


def _links(report: MappingReport, flow: Flow) -> str:
    links, busiest = flow.links, report.busiest(flow)
    if busiest is None:
        return f"none of {links.count:,} carries packets"
    chip, (x, y), (to_x, to_y) = busiest
    where = f"chip {chip}, tile {x},{y} to {to_x},{to_y}"
    return (
        f"{number(links.largest)} on the busiest ({where}), {number(links.mean)} on average over the {links.used:,} of "
        f"{links.count:,} in use; congestion {links.congestion:.2f}"
    )


def _histogram(report: MappingReport) -> Iterable[RenderableType]:
    """Yield the packets by hops as bars, several hops to a bar where there are many."""
    packets = report.traffic.histogram
    if not len(packets):
        return
    width = -(-len(packets) // MOST_BARS)
    sums = [float(packets[start : start + width].sum()) for start in range(0, len(packets), width)]
    most, every = max(sums), sum(sums)
    rows = []
    for index, found in enumerate(sums):
        first, last = index * width, min((index + 1) * width, len(packets)) - 1
        hops = f"{first}" if first == last else f"{first}-{last}"
        bar = "█" * max(round(found / most * 3 * BAR), 1 if found else 0)
        rows.append((hops, number(found), percent(found / every), bar))
    bars = table(("hops", "packets", "share", ""), rows, left=0)
    bars.columns[3].justify = "left"
    yield bars


def _bounds(report: MappingReport) -> RenderableType:
    rows = []
    for gap in report.gaps:
        ratio = "" if gap.ratio is None else f"×{gap.ratio:.2f}"
        rows.append((gap.what, number(gap.least), number(gap.reached), ratio))
    asks = max(report.bounds.cores_for, key=lambda name: report.bounds.cores_for[name])
    why = Text(f"Cores: as many as the {label(asks).replace('64-bit ', '')} of the network need.")
    return Group(table(("", "at least", "reached", ""), rows), why)


# --- floorplan


@dataclass(frozen=True, slots=True, eq=False)
class FloorplanText:
    """A floorplan of one character per core, as many chips side by side as there is room for."""

    plan: Floorplan
    report: MappingReport
    color: Color

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the panels row by row, then what the signs mean."""
        plan = self.plan
        width = max(len(plan.columns), len(f"chip {plan.chips[-1]}") if plan.chips else 0)
        across = max(1, (options.max_width + 2) // (width + 2))
        signs = self.signs()
        for start in range(0, len(plan.chips), across):
            panels = range(start, min(start + across, len(plan.chips)))
            if start:
                yield Text()
            yield Text("  ".join(f"chip {plan.chips[panel]}".ljust(width) for panel in panels))
            for row in range(len(plan.rows)):
                line = Text("", no_wrap=True, overflow="crop")
                for panel in panels:
                    for column in range(len(plan.columns)):
                        line.append_text(signs.get((panel, row, column), Text(FREE)))
                    if panel != panels[-1]:
                        line.append(" " * (width - len(plan.columns) + 2))
                yield line
        yield Text()
        yield from self.legend()

    def signs(self) -> dict[tuple[int, int, int], Text]:
        """Return (panel, row, column) -> the sign of the core there."""
        plan, load = self.plan, self.report.usage.load
        places = zip(plan.panel.tolist(), plan.row.tolist(), plan.column.tolist(), strict=True)
        sign = self.load if self.color == "load" else self.population
        return {place: sign(core, float(load[core])) for core, place in enumerate(places)}

    def population(self, core: int, load: float) -> Text:
        """Return the letter of a core's population, small where it has most of a core that others share."""
        entry = self.plan.main(core)
        if entry is None:
            return Text(NO_NEURONS)
        return _signed(entry.letter if len(self.plan.parts[core]) == 1 else entry.letter.lower(), entry.fill)

    def load(self, core: int, load: float) -> Text:
        """Return the tenths of a core's load."""
        return _signed(str(min(9, math.floor(10 * load))), shade(load))

    def legend(self) -> Iterable[Text]:
        """Yield what the signs mean, and what is left out."""
        plan = self.plan
        if self.color == "load":
            yield Text(f"digit: tenths of what a core is fullest of, 9 from 90 % on; {FREE} free core")
        else:
            named: dict[str, list[str]] = {}
            for entry in plan.key:
                named.setdefault(entry.letter, []).append(entry.name)
            meant = [f"{letter} {', '.join(names)}" for letter, names in named.items()]
            small = ["small letter: the largest part of a shared core"] if any(len(parts) > 1 for parts in plan.parts) else []
            empty = [f"{NO_NEURONS} axons alone"] if any(not parts for parts in plan.parts) else []
            yield Text("; ".join((*meant, *small, *empty, f"{FREE} free core")))
        if not plan.is_whole:
            yield Text(plan.window)


def _signed(sign: str, color: RGB) -> Text:
    # Not the names: what a terminal shows for "black" depends on its theme.
    letter = "#000000" if ink(color) == "black" else "#ffffff"
    return Text(sign, Style(color=letter, bgcolor="#{:02x}{:02x}{:02x}".format(*color)))
