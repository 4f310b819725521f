"""Where everything is on the chips, as a picture: cells of cores on the mesh, colored by population or by load.

The geometry and the colors are also those of the text on terminals. Colors differ in lightness and hatches come on top of some,
so that a print in grey tells them apart; letters name populations wherever there is room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.mapping.usage import Usage
from neurocomp.report.mapping import MappingReport
from neurocomp.report.terminal import counted, label, percent

IntArray = NDArray[np.int64]
Color = Literal["population", "load"]
RGB = tuple[int, int, int]
Attributes = dict[str, str | float]

WHOLE, LEAST = 16, 8
"""Chips of up to so many columns, or rows, of cores are drawn whole; of larger ones what is in use, and at least so many."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OTHERS = "*"
"""The sign of all populations beyond the 26 largest."""

FILLS: tuple[RGB, ...] = (
    (31, 78, 140),
    (244, 201, 93),
    (196, 83, 59),
    (132, 190, 218),
    (42, 26, 74),
    (247, 221, 229),
    (95, 181, 138),
    (140, 140, 140),
)
"""Colors of populations: they differ in lightness, most of all neighbours, and stay apart without red, green or blue cones."""
HATCHES = (
    *("", "", "/", "", "", ".", "-", "\\"),
    *("|", "x", "x", "|", "/", "/", "x", "|"),
    *("-", ".", ".", "\\", "-", "x", "\\", "."),
    *("x", "-"),
)
"""What lies on the color of each of the 26 populations that have a letter: lines, dots, nothing."""
SHADES: tuple[RGB, ...] = (
    (237, 248, 177),
    (199, 233, 180),
    (127, 205, 187),
    (65, 182, 196),
    (29, 145, 192),
    (34, 94, 168),
    (12, 44, 132),
)
"""Colors of loads from 0 to 1, darker and darker (YlGnBu of ColorBrewer)."""
GREY: RGB = (200, 200, 200)
"""Of the populations beyond the 26 largest, and of cores that hold none."""

WIDTH = 360.0
"""Units of the picture; at a column's 88 mm the text has 6 to 7 points."""
MARGIN = 12.0
GAP = 8.0
MOST_HEIGHT = 400.0
MOST_CELL = 21.0
TITLE, TEXT, SMALL = 12.0, 10.0, 9.0
LETTER_CELL = 9.0
"""Cells of this size have a letter in them."""
LETTER_AREA = 250.0
"""Where cells are smaller, the cores of a population on a chip have one letter if they cover as much."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A population in the key of a floorplan."""

    name: str
    letter: str
    fill: RGB
    hatch: str


@dataclass(frozen=True, slots=True, eq=False)
class Floorplan:
    """Cells of cores: a panel per chip in use, the same window of columns and rows on each."""

    chips: tuple[int, ...]
    columns: range
    rows: range
    size: tuple[int, int]
    """Columns and rows of cores of a whole chip."""
    panel: IntArray
    """(cores,): index of the chip in ``chips``."""
    column: IntArray
    """(cores,): within the window."""
    row: IntArray
    key: tuple[Entry, ...]
    """Populations with neurons in the order of the network."""
    parts: tuple[tuple[tuple[int, float], ...], ...]
    """Per core its populations in the order of the key: (index in ``key``, share of the compartments in use)."""

    def main(self, core: int) -> Entry | None:
        """Return the population that has most of a core; None where it holds no neurons."""
        parts = self.parts[core]
        return self.key[max(parts, key=lambda part: part[1])[0]] if parts else None

    @property
    def window(self) -> str:
        """Which part of the chips the window is, in words."""
        parts = [
            f"{what} {places.start} to {places.stop - 1}"
            for what, places, size in zip(("columns", "rows"), (self.columns, self.rows), self.size, strict=True)
            if len(places) < size
        ]
        return f"{' and '.join(parts)} of {self.size[0]} x {self.size[1]} cores; all others are free"

    @property
    def is_whole(self) -> bool:
        """Whether the window is the chip."""
        return (len(self.columns), len(self.rows)) == self.size


def floorplan_of(mapped: MappedNetwork, spec: HardwareSpec, usage: Usage) -> Floorplan:
    """Return where cores are and what is on them: tiles in their places, the cores of a tile side by side."""
    mesh = spec.mesh
    wide = math.isqrt(mesh.cores_per_tile - 1) + 1
    high = -(-mesh.cores_per_tile // wide)
    chip = np.array([core.chip for core in mapped.cores], np.int64)
    tile = np.array([core.tile for core in mapped.cores], np.int64).reshape(-1, 2)
    in_tile = np.array([core.core for core in mapped.cores], np.int64) % mesh.cores_per_tile
    column, row = tile[:, 0] * wide + in_tile % wide, tile[:, 1] * high + in_tile // wide
    size = mesh.tiles_x * wide, mesh.tiles_y * high
    columns, rows = _window(column, size[0]), _window(row, size[1])
    chips, panel = np.unique(chip, return_inverse=True)
    shares: list[list[tuple[int, int]]] = [[] for _ in mapped.cores]
    for index, here in enumerate(usage.residents.values()):
        for core, compartments in zip(here.core.tolist(), here.compartments.tolist(), strict=True):
            shares[core].append((index, compartments))
    return Floorplan(
        tuple(chips.tolist()), columns, rows, size, panel.reshape(-1), column - columns.start, row - rows.start, _key(usage),
        tuple(_parts(shared) for shared in shares),
    )  # fmt: skip


def _window(places: IntArray, size: int) -> range:
    """Return the columns, or rows, to draw."""
    if size <= WHOLE or not len(places):
        return range(size)
    first, last = int(places.min()), int(places.max())
    length = max(LEAST, last - first + 1)
    start = min(first, size - length)
    return range(start, start + length)


def _key(usage: Usage) -> tuple[Entry, ...]:
    sizes = [int(here.compartments.sum()) for here in usage.residents.values()]
    largest = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))[: len(LETTERS)]
    rank = {index: place for place, index in enumerate(sorted(largest))}
    return tuple(
        Entry(name, LETTERS[rank[index]], FILLS[rank[index] % len(FILLS)], HATCHES[rank[index]])
        if index in rank
        else Entry(name, OTHERS, GREY, "")
        for index, name in enumerate(usage.residents)
    )


def _parts(held: Sequence[tuple[int, int]]) -> tuple[tuple[int, float], ...]:
    total = sum(compartments for _, compartments in held)
    return tuple((index, compartments / total) for index, compartments in held)


def shade(load: float) -> RGB:
    """Return the color of a load; beyond 0 and 1 that of 0 and 1.

    >>> shade(0), shade(1)
    ((237, 248, 177), (12, 44, 132))
    """
    place = min(max(load, 0.0), 1.0) * (len(SHADES) - 1)
    index = min(int(place), len(SHADES) - 2)
    low, high, part = SHADES[index], SHADES[index + 1], place - index
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return red, green, blue


def lightness(color: RGB) -> float:
    """Return the CIE lightness of a color, 0 (black) to 100 (white): what is left of it in grey."""
    parts = [value / 255 for value in color]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 116 * y ** (1 / 3) - 16 if y > 216 / 24389 else y * 24389 / 27


def ink(color: RGB) -> str:
    """Return ``black`` or ``white``, what can be read on a color."""
    return "black" if lightness(color) > 55 else "white"


# --- SVG


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Something of cores that the colors of loads show."""

    name: str
    shares: NDArray[np.float64]
    """(cores,), 0..1."""
    scale: str
    """What 100 % is, beside the scale of the colors."""
    titles: Sequence[str]
    """What the title of each core says of it."""


def load_of(report: MappingReport) -> Heat:
    """Return how full the cores are of what they are fullest of."""
    load = report.usage.load
    scale = f"of what a core is fullest of: {', '.join(label(name) for name in report.usage.used)}"
    return Heat("load", load, scale, [f"load {percent(share)}" for share in load.tolist()])


def svg(report: MappingReport, color: Color, heat: Heat | None = None) -> str:
    """Return the floorplan as SVG; the same mapping gives the same text.

    Every core in use is a group of class ``core`` with a title, which viewers show under the pointer; one that several
    populations share is striped by their shares. ``heat`` stands in for the load.
    """
    plan = floorplan_of(report.mapped, report.spec, report.usage)
    return _Drawing(report, plan, color, heat or load_of(report)).text()


@dataclass(frozen=True, slots=True)
class _Grid:
    """How panels are laid out: so many side by side, cells of a size."""

    across: int
    cell: float
    width: float
    height: float
    """Of a panel, without its title."""

    @classmethod
    def of(cls, plan: Floorplan) -> _Grid:
        """Return the grid with the largest cells that is not too high; with many chips the lowest one."""
        columns, rows, panels = len(plan.columns), len(plan.rows), len(plan.chips)
        best: _Grid | None = None
        for across in range(1, max(1, panels) + 1):
            cell = min(MOST_CELL, (WIDTH - 2 * MARGIN - (across - 1) * GAP) / (across * columns))
            grid = cls(across, cell, cell * columns, cell * rows)
            if grid.total(panels) <= MOST_HEIGHT:
                return grid
            if cell > 0 and (best is None or grid.total(panels) < best.total(panels)):
                best = grid
        assert best is not None
        return best

    def total(self, panels: int) -> float:
        """Return the height of all panels."""
        return -(-panels // self.across) * (self.height + SMALL + GAP)

    def corner(self, panel: int) -> tuple[float, float]:
        """Return the upper left corner of a panel, below its title, from that of all."""
        down, right = divmod(panel, self.across)
        return right * (self.width + GAP), down * (self.height + SMALL + GAP) + SMALL + 2


class _Drawing:
    """Draws one floorplan."""

    def __init__(self, report: MappingReport, plan: Floorplan, color: Color, heat: Heat) -> None:
        self.report, self.plan, self.color, self.heat = report, plan, color, heat
        self.grid = _Grid.of(plan)

    def text(self) -> str:
        """Return the whole document."""
        head, top = self.head()
        panels = [self.panel(index, top) for index in range(len(self.plan.chips))]
        below = top + self.grid.total(len(self.plan.chips)) + 4
        legend, bottom = self.legend(below) if self.color == "population" else self.scale(below)
        height = bottom + MARGIN / 2
        view = f"0 0 {_number(WIDTH)} {_number(height)}"
        size: Attributes = {"xmlns": "http://www.w3.org/2000/svg", "width": WIDTH, "height": height, "viewBox": view}
        font: Attributes = {"font_family": "Helvetica, Arial, sans-serif", "font_size": TEXT}
        paper = tag("rect", width=WIDTH, height=height, fill="white")
        return tag("svg", self.hatches(), paper, *head, *panels, *legend, **size, **font)

    def head(self) -> tuple[list[str], float]:
        """Return title and subtitle, and where they end."""
        mapped, spec, plan = self.report.mapped, self.report.spec, self.plan
        title = f"{mapped.lowered.network.name} on {spec.name}"
        colored_by = self.heat.name if self.color == "load" else self.color
        lines = [f"{counted(len(mapped.cores), 'core')} on {counted(mapped.chips, 'chip')}, colored by {colored_by}"]
        if not plan.is_whole:
            lines.append(plan.window)
        y = MARGIN + TITLE - 2
        parts = [_text(_fitted(title, WIDTH - 2 * MARGIN, TITLE), MARGIN, y, font_size=TITLE, font_weight="bold")]
        for line in lines:
            y += TEXT + 3
            parts.append(_text(line, MARGIN, y, font_size=SMALL, fill="#444444"))
        return parts, y + 7

    def panel(self, index: int, top: float) -> str:
        """Return a chip: its title, the grid of its cores, the cores in use, a frame."""
        plan, cell = self.plan, self.grid.cell
        x, y = self.grid.corner(index)
        x, y = x + MARGIN, y + top
        title = _text(f"chip {plan.chips[index]}", x, y - 3, font_size=SMALL, fill="#444444")
        cores = np.flatnonzero(plan.panel == index).tolist()
        drawn = [self.core(core, x + plan.column[core] * cell, y + plan.row[core] * cell) for core in cores]
        letters = self.letters(cores, x, y) if self.color == "population" and cell < LETTER_CELL else []
        frame = tag(
            "rect", x=x, y=y, width=self.grid.width, height=self.grid.height, fill="none", stroke="#333333", stroke_width=1
        )
        return tag("g", title, self.lines(x, y), *drawn, frame, *letters, class_="chip")

    def lines(self, x: float, y: float) -> str:
        """Return the lines between cores, in the background, where cells are large enough for them."""
        if self.grid.cell < 4:
            return ""
        across = [f"M{_number(x + self.grid.cell * i)} {_number(y)}v{_number(self.grid.height)}" for i in self.inner(0)]
        down = [f"M{_number(x)} {_number(y + self.grid.cell * i)}h{_number(self.grid.width)}" for i in self.inner(1)]
        return tag("path", d="".join((*across, *down)), stroke="#dddddd", stroke_width=0.5, fill="none")

    def inner(self, axis: int) -> range:
        """Return the numbers of the lines between columns (0) or rows (1)."""
        return range(1, len(self.plan.columns if axis == 0 else self.plan.rows))

    def core(self, core: int, x: float, y: float) -> str:
        """Return one cell with its title."""
        cell, mapped, load = self.grid.cell, self.report.mapped.cores[core], float(self.heat.shares[core])
        parts, key = self.plan.parts[core], self.plan.key
        inset = min(0.5, cell * 0.06)
        size = cell - 2 * inset
        x, y = x + inset, y + inset
        shown: list[str] = []
        if self.color == "load":
            fill = shade(load)
            shown.append(tag("rect", x=x, y=y, width=size, height=size, fill=_rgb(fill)))
            if cell >= 13:
                shown.append(_centered(f"{math.floor(100 * load)}", x + size / 2, y + size / 2, 0.45 * cell, ink(fill)))
        else:
            at = x
            for index, share in parts or ((None, 1.0),):
                entry = Entry("", "", GREY, "") if index is None else key[index]
                shown.append(tag("rect", x=at, y=y, width=size * share, height=size, fill=_rgb(entry.fill)))
                if entry.hatch:
                    pattern = self.pattern(entry)
                    shown.append(tag("rect", x=at, y=y, width=size * share, height=size, fill=f"url(#{pattern})"))
                if cell >= LETTER_CELL and size * share >= 0.4 * cell:
                    font = 0.62 * cell if share == 1 else min(0.62 * cell, 0.9 * size * share)
                    shown.append(self.letter(entry, at + size * share / 2, y + size / 2, font))
                at += size * share
        held = ", ".join(f"{key[index].name} {percent(share)}" for index, share in parts)
        what = f"chip {mapped.chip}, core {mapped.core}: {held or 'no neurons'}; {self.heat.titles[core]}"
        return tag("g", tag("title", escape(what)), *shown, class_="core")

    def letters(self, cores: Sequence[int], x: float, y: float) -> list[str]:
        """Return a letter for each population that covers enough of a chip: on the core of it in the middle of all."""
        plan, cell = self.plan, self.grid.cell
        by_population: dict[Entry, list[int]] = {}
        for core in cores:
            if (entry := plan.main(core)) is not None:
                by_population.setdefault(entry, []).append(core)
        found = []
        for entry, own in by_population.items():
            if len(own) * cell * cell < LETTER_AREA:
                continue
            places = np.stack([plan.column[own], plan.row[own]], axis=1)
            middle = places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]
            at_x, at_y = (float(value) for value in (middle + 0.5) * cell)
            halo: Attributes = {"stroke": "white", "stroke_width": 2.5, "paint_order": "stroke", "stroke_linejoin": "round"}
            found.append(_centered(entry.letter, x + at_x, y + at_y, TEXT, "black", font_weight="bold", **halo))
        return found

    def letter(self, entry: Entry, x: float, y: float, size: float) -> str:
        """Return the letter of a population on its color."""
        halo: Attributes = (
            {"stroke": _rgb(entry.fill), "stroke_width": size / 4, "paint_order": "stroke"} if entry.hatch else {}
        )
        return _centered(entry.letter, x, y, size, ink(entry.fill), **halo)

    def pattern(self, entry: Entry) -> str:
        """Return the id of a hatch in the ink of a color."""
        return f"hatch{HATCH_NAMES[entry.hatch]}-{ink(entry.fill)}"

    def hatches(self) -> str:
        """Return the definitions of the hatches in use."""
        if self.color == "load":
            return ""
        entries = {self.pattern(entry): entry for entry in self.plan.key if entry.hatch}
        return tag("defs", *(_hatch(name, entry.hatch, ink(entry.fill)) for name, entry in sorted(entries.items())))

    def legend(self, y: float) -> tuple[list[str], float]:
        """Return swatches with the letters and names of populations, and where they end."""
        named = [entry for entry in self.plan.key if entry.letter != OTHERS]
        others = len(self.plan.key) - len(named)
        if others:
            named.append(Entry(f"{others} more", OTHERS, GREY, ""))
        columns = 1 if len(named) == 1 else 2 if len(named) <= 4 else 3
        width = (WIDTH - 2 * MARGIN) / columns
        down = -(-len(named) // columns)
        parts = []
        for index, entry in enumerate(named):
            at_x, at_y = MARGIN + index // down * width, y + index % down * (TEXT + 6)
            box = {"x": at_x, "y": at_y, "width": 14.0, "height": 12.0}
            parts.append(tag("rect", fill=_rgb(entry.fill), stroke="#333333", stroke_width=0.5, **box))
            if entry.hatch:
                parts.append(tag("rect", fill=f"url(#{self.pattern(entry)})", **box))
            parts.append(self.letter(entry, at_x + 7, at_y + 6, SMALL))
            parts.append(_text(_fitted(entry.name, width - 24, TEXT), at_x + 19, at_y + 10))
        return parts, y + down * (TEXT + 6)

    def scale(self, y: float) -> tuple[list[str], float]:
        """Return the bar of colors for loads, and where it ends."""
        width, steps = 160.0, 32
        step = width / steps
        parts = [
            tag("rect", x=MARGIN + i * step, y=y, width=step + 0.2, height=10.0, fill=_rgb(shade((i + 0.5) / steps)))
            for i in range(steps)
        ]
        parts.append(tag("rect", x=MARGIN, y=y, width=width, height=10.0, fill="none", stroke="#333333", stroke_width=0.5))
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
            parts.append(
                _text(percent(share), MARGIN + width * share, y + 20, font_size=SMALL, text_anchor=anchor, fill="#444444")
            )
        lines = _wrapped(self.heat.scale, WIDTH - 2 * MARGIN - width - 10, SMALL)
        for index, line in enumerate(lines):
            parts.append(_text(line, MARGIN + width + 10, y + 8 + index * (SMALL + 2), font_size=SMALL, fill="#444444"))
        return parts, y + max(22.0, len(lines) * (SMALL + 2))


HATCH_NAMES = {"/": "-up", "\\": "-down", "-": "-level", "|": "-upright", "x": "-cross", ".": "-dots"}
_HATCH_PATHS = {
    "/": "M-1 1l2 -2M0 4l4 -4M3 5l2 -2",
    "\\": "M-1 3l2 2M0 0l4 4M3 -1l2 2",
    "-": "M0 2h4",
    "|": "M2 0v4",
    "x": "M0 0l4 4M0 4l4 -4",
    ".": "",
}


def _hatch(name: str, hatch: str, color: str) -> str:
    inside = (
        tag("path", d=_HATCH_PATHS[hatch], stroke=color, stroke_width=0.6, stroke_opacity=0.75, fill="none")
        if _HATCH_PATHS[hatch]
        else tag("circle", cx=2.0, cy=2.0, r=0.5, fill=color)
    )
    return tag("pattern", inside, id=name, width=4.0, height=4.0, patternUnits="userSpaceOnUse")


def _centered(what: str, x: float, y: float, size: float, fill: str, **attributes: str | float) -> str:
    """Return text whose capitals have their middle at a point."""
    return _text(what, x, y + 0.36 * size, font_size=size, fill=fill, text_anchor="middle", **attributes)


def _text(what: str, x: float, y: float, **attributes: str | float) -> str:
    return tag("text", escape(what), x=x, y=y, **attributes)


def _fitted(what: str, width: float, size: float) -> str:
    """Return text cut to about a width."""
    room = int(width / (0.56 * size))
    return what if len(what) <= room else what[: max(1, room - 1)] + "…"


def _wrapped(what: str, width: float, size: float) -> list[str]:
    """Return text in lines of about a width."""
    lines: list[str] = []
    for word in what.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width / (0.5 * size):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def tag(name: str, *inside: str, **attributes: str | float) -> str:
    """Return an element of XML; underscores in names of attributes are hyphens."""
    pairs = "".join(f" {key.rstrip('_').replace('_', '-')}={quoteattr(_number(value))}" for key, value in attributes.items())
    content = _joined(inside)
    return f"<{name}{pairs}>{content}</{name}>\n" if content else f"<{name}{pairs}/>\n"


def _joined(parts: Iterable[str]) -> str:
    return "".join(parts)


def _number(value: str | float) -> str:
    """Return a number with two digits after the point at most; text as it is."""
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def _rgb(color: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
