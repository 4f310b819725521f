"""A report as figures for papers: of the width of a column or of a page, as SVG, PDF and PNG, the same bytes each time.

Colors are those of Okabe and Ito, which stay apart without red, green or blue cones; loads have the colors of the floorplan.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from neurocomp.energy.joules import BADGE
from neurocomp.mapping.usage import usage_of
from neurocomp.report import Report
from neurocomp.report.digits import prefix, significant
from neurocomp.report.floorplan import SHADES, floorplan_of
from neurocomp.report.selection import picked_neurons, sensitivity
from neurocomp.report.terminal import percent, si

WIDTHS = {"single": 3.3, "double": 7.0}
"""Inches of a column, and of both."""
FORMATS = ("svg", "pdf", "png")
DPI = 300
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
GREY = "#666666"
MOST_ROWS = 40
"""Layers and events that a figure has room for; the largest are shown."""
RASTER_ROWS = 50
"""Neurons of a population that a raster shows, drawn from all."""
MANY_SPIKES = 20_000
"""Beyond so many spikes a raster holds them as pixels in vector formats too."""
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "axes.prop_cycle": cycler(color=COLORS),
    "svg.fonttype": "path",
    "svg.hashsalt": "neurocomp",
    "pdf.fonttype": 42,
    "savefig.dpi": DPI,
}


def missing_figures(report: Report) -> dict[str, str]:
    """Return the figures that this report has nothing for, and why."""
    return {name: why for name, (_, reason) in FIGURES.items() if (why := reason(report))}


def figures(report: Report, names: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each figure in all widths and formats.

    Args:
        report: The report; rasters need its ``raster``.
        names: Of `FIGURES`; None: all of which `missing_figures` says nothing.
    """
    document, missing = report.as_json(), missing_figures(report)
    asked = [name for name in FIGURES if name not in missing and (names is None or name in names)]
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        for name in asked:
            for width, inches in WIDTHS.items():
                figure = FIGURES[name][0](report, document, inches)
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # one layout serves all formats
                for form in FORMATS:
                    yield f"{name}-{width}.{form}", _saved(figure, form)


def _saved(figure: Figure, form: str) -> bytes:
    nothing = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}
    file = io.BytesIO()
    figure.savefig(file, format=form, metadata=dict.fromkeys(nothing[form]))
    return file.getvalue()


def _figure(report: Report, width: float, height: float, title: str) -> Figure:
    """Return an empty figure with its title, and below it which run it is of and what its numbers are."""
    run = f"{report.network.name} on {report.spec.name}, n = {report.counts.samples}, T = {report.ticks}"
    lines = [_cut(run, int(width * 17)), BADGE]
    if report.not_on_this_chip:
        lines.append(_cut(f"not on this chip: {', '.join(report.not_on_this_chip)}", int(width * 17)))
    foot = 0.1 * len(lines) / height
    rest = (0, foot + 0.02 / height, 1, 1 - foot - 0.02 / height)
    figure = Figure((width, height), layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04, rect=rest))
    figure.text(0.5, 0.03 / height, "\n".join(lines), fontsize=5.5, color=GREY, ha="center", va="bottom", linespacing=1.15)
    figure.suptitle(title, fontsize=8)
    return figure


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _label(name: str, width: float) -> str:
    return _cut(name.replace("_", " "), 17 if width < 5 else 36)


# --- breakdown


def _breakdown(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw the dynamic energy by event, and what share it has once static and host power are added."""
    samples = document["samples"]
    lines = [line for line in document["energy"]["lines"] if line["energy_j"]["high"] > 0]
    total = document["per_sample"]["energy_j"]
    size, name = prefix(total["high"])
    speeds = {"full_speed": "full speed", "real_time": "real time"}
    whole = {speeds[key]: parts for key, parts in document["energy_of"].items() if parts["static"] or parts["host"]}
    height = 1.75 + 0.36 * len(whole) + 0.13 * (len(lines) if width < 5 else len(lines) / 2)
    figure = _figure(report, width, height, "Energy per sample")
    ratios = [1, 0.55 * len(whole)] if whole else [1]
    above, *below = figure.subplots(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
    left = 0.0
    for index, line in enumerate(lines):
        joules = line["energy_j"]["nominal"] / samples / size
        share = percent(joules * size / total["nominal"]) if total["nominal"] else ""
        label = f"{line['event'].replace('_', ' ')}, {share}"
        above.barh(0, joules, left=left, height=0.5, color=COLORS[index % len(COLORS)], label=label)
        left += joules
    errors = [[(total["nominal"] - total["low"]) / size], [(total["high"] - total["nominal"]) / size]]
    whiskers: dict[str, Any] = {"fmt": "none", "ecolor": "black", "elinewidth": 0.8, "capsize": 3, "capthick": 0.8}
    above.errorbar([total["nominal"] / size], [0], xerr=errors, **whiskers)
    above.set_yticks([0], ["dynamic"])
    above.set_ylim(-0.5, 0.5)
    above.set_xlim(0, total["high"] / size * 1.05)
    above.set_xlabel(f"{name}J; bar: nominal costs, whiskers: low to high", labelpad=2)
    _legend_below(above, 1 if width < 5 else 2, 3.6)
    if below:
        _shares(below[0], whole, samples)
    return figure


def _shares(axes: Axes, whole: Mapping[str, Mapping[str, Any]], samples: int) -> None:
    """Draw the parts of the energy in a run at full speed, and in real time, as shares of its nominal sum."""
    parts = ("core dynamic", "network on chip", "static", "host")
    for row, speed in enumerate(whole):
        left, total = 0.0, whole[speed]["total"]["nominal"]
        for index, part in enumerate(parts):
            if whole[speed][part] is None:
                continue
            share = 100 * whole[speed][part]["nominal"] / total if total else 0.0
            color = (COLORS[0], COLORS[4], "#999999", "#DDDDDD")[index]
            axes.barh(row, share, left=left, height=0.5, color=color, label=part if not row else None)
            left += share
        low, nominal, high = (whole[speed]["total"][key] / samples for key in ("low", "nominal", "high"))
        text = f"{si(nominal, 'J')} ({si(low, 'J')} to {si(high, 'J')})"
        axes.text(50, row - 0.3, text, fontsize=6, ha="center", va="bottom")
    axes.set_yticks(range(len(whole)), list(whole))
    axes.set_ylim(len(whole) - 0.6, -0.75)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the sum with static and host power", labelpad=2)
    _legend_below(axes, 4, 3.6)


def _legend_below(axes: Axes, columns: int, lines: float) -> None:
    """Put the legend so many lines of text below the axes."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=lines, ncols=columns, handlelength=0.8, columnspacing=0.8,
        labelspacing=0.3,
    )  # fmt: skip


# --- rates


def _rates(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw the rate of each layer with the interval of its mean."""
    entries = document["per_population"]
    names = sorted(sorted(entries, key=lambda name: -entries[name]["neurons"])[:MOST_ROWS], key=list(entries).index)
    figure = _figure(report, width, 0.85 + 0.17 * len(names), "Rates of layers")
    axes = figure.subplots()
    for row, name in enumerate(names):
        spread, rate = document["statistics"]["populations"][name], 100 * entries[name]["rate"]
        axes.barh(row, rate, height=0.65, color=COLORS[4] if entries[name]["is_input"] else COLORS[0])
        if spread["ci_low"] is not None and spread["mean"]:
            errors = [[rate * (1 - spread["ci_low"] / spread["mean"])], [rate * (spread["ci_high"] / spread["mean"] - 1)]]
            axes.errorbar([rate], [row], xerr=errors, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5, capthick=0.7)
    axes.set_yticks(range(len(names)), [_label(name, width) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    few = f"; the {len(names)} largest of {len(entries)}" if len(names) < len(entries) else ""
    axes.set_xlabel(f"spikes per 100 neurons and tick; whiskers: 95 %{few}", labelpad=2)
    return figure


# --- cores


def _cores(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw the cores in their places, colored by their synaptic events."""
    plan = floorplan_of(report.mapped, report.spec, usage_of(report.mapped, report.spec))
    events = report.counts.per_core["synaptic_events"].sum(axis=(1, 2)) / report.counts.samples
    columns, rows, panels = len(plan.columns), len(plan.rows), len(plan.chips)
    room = width - 0.4
    # As many chips side by side as make the picture about as high as it is wide.
    across = max(1, min(panels, round((panels * rows / columns) ** 0.5)))
    cell = min(0.22, room / (across * (columns + 1)))
    down = -(-panels // across)
    high = down * (rows * cell + 0.16)
    figure = _figure(report, width, high + 0.95 + 0.2 * (not plan.is_whole), "Synaptic events of cores, per sample")
    axes = figure.subplots()
    most = max(float(events.max(initial=0)), 1e-9)
    scale, colors = Normalize(0, most), _loads()
    step_y = rows + 0.16 / cell
    for panel, chip in enumerate(plan.chips):
        y, x = divmod(panel, across)
        x, y = x * (columns + 1), y * step_y
        axes.add_patch(Rectangle((x, y), columns, rows, facecolor="#f4f4f4"))
        axes.text(x, y - 0.25, f"chip {chip}", fontsize=6, va="bottom")
        for core in np.flatnonzero(plan.panel == panel).tolist():
            place = x + int(plan.column[core]), y + int(plan.row[core])
            axes.add_patch(Rectangle(place, 1, 1, facecolor=colors(scale(events[core])), edgecolor="white", linewidth=0.2))
        axes.add_patch(Rectangle((x, y), columns, rows, fill=False, edgecolor="#333333", linewidth=0.6))
    axes.set_xlim(-0.1, across * (columns + 1) - 0.9)
    axes.set_ylim(down * step_y, -0.16 / cell)
    axes.set_aspect("equal")
    axes.set_axis_off()
    if not plan.is_whole:
        axes.set_title(plan.window.replace("; ", "\n"), fontsize=6, color=GREY)
    mappable = mpl.cm.ScalarMappable(scale, colors)
    bar = figure.colorbar(mappable, ax=axes, location="bottom", shrink=0.8, aspect=30, pad=0.02)
    bar.outline.set_linewidth(0.5)
    bar.ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    bar.ax.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}" if most > 4 else f"{value:g}"))
    return figure


def _loads() -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("loads", [tuple(part / 255 for part in color) for color in SHADES])


# --- raster


def _raster(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw the spikes of the first sample, a band for each population."""
    shown = {name: spikes for name, spikes in report.raster.items() if spikes.shape[1]}
    picked = {name: picked_neurons(spikes.shape[1], RASTER_ROWS) for name, spikes in shown.items()}
    rows = {name: max(len(picked[name]), 8) for name in shown}
    figure = _figure(report, width, min(8.0, 0.9 + 0.014 * sum(rows.values()) + 0.12 * len(rows)), "Spikes of the first sample")
    axes = figure.subplots()
    top, ticks, labels = 0.0, [], []
    spikes_in_all = sum(int((spikes[:, picked[name]] != 0).sum()) for name, spikes in shown.items())
    length = max(spikes.shape[0] for spikes in shown.values())
    for index, (name, spikes) in enumerate(shown.items()):
        when, row = np.nonzero(spikes[:, picked[name]])
        step = rows[name] / len(picked[name])
        axes.vlines(
            when, top + row * step, top + (row + 0.9) * step, colors=COLORS[index % len(COLORS)],
            linewidth=max(0.4, min(4.0, 36 * (width - 0.9) / length)), rasterized=spikes_in_all > MANY_SPIKES,
        )  # fmt: skip
        some = "" if len(picked[name]) == spikes.shape[1] else f"\n{len(picked[name])} of {spikes.shape[1]:,}"
        ticks.append(top + rows[name] / 2)
        labels.append(_label(name, width) + some)
        top += rows[name] + 4
        if index < len(shown) - 1:
            axes.axhline(top - 2, color="#cccccc", linewidth=0.5)
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(top - 3, -2)
    axes.set_xlim(-0.7, length - 0.3)
    axes.set_xticks([0]) if length == 1 else axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    axes.set_xlabel("tick", labelpad=2)
    return figure


# --- sensitivity


def _sensitivity(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw how far each cost alone moves the dynamic energy from its nominal value."""
    total = document["per_sample"]["energy_j"]["nominal"]
    spans = sensitivity(document)
    names = list(spans)[:MOST_ROWS]
    size, name = prefix(max(high for _, high in spans.values()))
    figure = _figure(report, width, 0.95 + 0.24 * len(names), "Dynamic energy, one cost at a time")
    axes = figure.subplots()
    lines = {line["event"]: line for line in document["energy"]["lines"]}
    for row, event in enumerate(names):
        low, high = (end / size for end in spans[event])
        axes.barh(row, total / size - low, left=low, height=0.55, color=COLORS[0])
        axes.barh(row, high - total / size, left=total / size, height=0.55, color=COLORS[1])
    axes.axvline(total / size, color="black", linewidth=0.7)
    labels = []
    for event in names:
        cost = lines[event]["cost_j"]
        unit, unit_name = prefix(cost["high"])
        bounds = [significant(cost[key] / unit) for key in ("low", "high")]
        labels.append(f"{_label(event, 9)}\n{bounds[0]} to {bounds[1]} {unit_name}J")
    axes.set_yticks(range(len(names)), labels, linespacing=1.05)
    axes.set_ylim(len(names) - 0.4, -0.6)
    edges = [end / size for span in spans.values() for end in span]
    margin = 0.05 * (max(edges) - min(edges))
    axes.set_xlim(min(edges) - margin, max(edges) + margin)
    axes.set_xlabel(f"{name}J per sample; line: all costs nominal", labelpad=2)
    return figure


# --- early answers


def _early(report: Report, document: Mapping[str, Any], width: float) -> Figure:
    """Draw the accuracy of answers that are read early over the energy that is spent until then."""
    entries = document["early"]
    priced = entries[-1]["energy_j"] is not None
    figure = _figure(report, width, 2.3, "Accuracy and energy of early answers" if priced else "Accuracy of early answers")
    axes = figure.subplots()
    accuracy = [100 * entry["accuracy"] for entry in entries]
    if priced:
        size, name = prefix(entries[-1]["energy_j"]["high"])
        low, spent, high = ([entry["energy_j"][key] / size for entry in entries] for key in ("low", "nominal", "high"))
        for ends, label in ((low, None), (high, "low and high costs")):
            axes.plot(ends, accuracy, color=COLORS[5], linewidth=0.8, linestyle="--", label=label)
        axes.set_xlabel(f"dynamic energy until the answer is read ({name}J per sample)", labelpad=2)
    else:
        spent = [entry["synaptic_events"] for entry in entries]
        axes.set_xlabel("synaptic events until the answer is read (no costs)", labelpad=2)
        axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4 if width < 5 else 8))
    axes.plot(spent, accuracy, marker="o", markersize=2.5, color=COLORS[0], label="nominal costs" if priced else None)
    few = 3 if width < 5 else 6
    marked = sorted({round(index * (len(entries) - 1) / (few - 1)) for index in range(few)})
    for index in marked:
        last = index == len(entries) - 1
        axes.annotate(
            f"T = {entries[index]['ticks']}", (spent[index], accuracy[index]), (0 if last else 3, 4 if last else -4),
            textcoords="offset points", fontsize=6, va="bottom" if last else "top", ha="center" if last else "left",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )  # fmt: skip
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 114)
    axes.set_yticks(range(0, 101, 20))
    axes.set_xlim(left=0)
    if priced:
        axes.legend(loc="lower right", handlelength=1.2)
    return figure


def _needs_costs(report: Report) -> str:
    return "" if report.energy.is_priced else f"no cost of an event of {report.spec.name} is published"


def _needs_range(report: Report) -> str:
    if not report.energy.is_priced:
        return _needs_costs(report)
    has_range = any(line.energy.low != line.energy.high for line in report.energy.lines)
    return "" if has_range else "no cost has a low and a high value"


def _needs_ticks(report: Report) -> str:
    if not report.early:
        return "there are no labels, or not exactly one decoder"
    return "" if len(report.early) > 1 else "a sample has a single tick"


Draw = Callable[[Report, Mapping[str, Any], float], Figure]
FIGURES: Mapping[str, tuple[Draw, Callable[[Report], str]]] = {
    "breakdown": (_breakdown, _needs_costs),
    "rates": (_rates, lambda report: ""),
    "cores": (_cores, lambda report: ""),
    "raster": (_raster, lambda report: "" if report.raster else "the report holds no spikes of a sample"),
    "sensitivity": (_sensitivity, _needs_range),
    "early": (_early, _needs_ticks),
}
"""Name -> what draws it, and what says why it cannot be drawn, or nothing."""
