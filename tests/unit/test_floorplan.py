"""Floorplans: every core is one cell in its place; the text and the picture can be read without color."""

from __future__ import annotations

import doctest
import re
from io import StringIO
from itertools import pairwise
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from neurocomp import api, registry
from neurocomp.hardware import HardwareSpec
from neurocomp.ir.mapped import MappedNetwork
from neurocomp.mapping.usage import Residents, Usage, usage_of
from neurocomp.report import floorplan, mapping_terminal
from neurocomp.report.floorplan import FILLS, HATCHES, LETTERS, SHADES, Color, floorplan_of, lightness, shade, svg
from neurocomp.report.mapping import MappingReport, mapping_report
from neurocomp.report.mapping_terminal import FloorplanText
from neurocomp.testing.mappings import scattered_blocks, scattered_neurons
from neurocomp.testing.random_networks import random_real_network

SVG = "{http://www.w3.org/2000/svg}"
COLORS: tuple[Color, ...] = get_args(Color)


def loihi(cores: int, chips: int = 3) -> tuple[MappedNetwork, HardwareSpec]:
    """Three populations, some of them on the same cores, on cores anywhere on some chips."""
    spec = registry.find_spec("loihi")
    numbers = np.random.default_rng(cores).permutation(128 * chips)[:cores]
    return scattered_neurons(cores, spec, (4, 3 * cores, 2 * cores, cores), 50, numbers), spec


def truenorth(cores: int) -> tuple[MappedNetwork, HardwareSpec]:
    spec = registry.find_spec("truenorth")
    return scattered_blocks(cores, spec, cores, 64 * 10 + 5 + np.arange(cores)), spec


def report_of(mapped: MappedNetwork, spec: HardwareSpec) -> MappingReport:
    usage = usage_of(mapped, spec)
    utilization = {
        name: {"used": int(used.sum()), "available": 1, "worst_core": int(used.max()), "per_core": usage.limits[name]}
        for name, used in usage.used.items()
    }
    return mapping_report(mapped, spec, utilization)


CASES: list[Any] = [
    pytest.param(loihi(1), id="loihi1"),
    pytest.param(loihi(20), id="loihi20"),
    pytest.param(loihi(330), id="loihi330"),
    pytest.param(loihi(3000, 24), id="loihi3000"),
    pytest.param(truenorth(2), id="truenorth2"),
    pytest.param(truenorth(30), id="truenorth30"),
]


def groups(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [g for g in root.iter(f"{SVG}g") if g.get("class") == name]


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("case", CASES)
def test_a_cell_for_each_core(case: Any, color: Color) -> None:
    """Cells do not overlap, lie inside the picture, and say which core they are."""
    mapped, spec = case
    text = svg(report_of(mapped, spec), color)
    root = ElementTree.fromstring(text)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert (width, height <= 600) == (360, True)
    cells = groups(root, "core")
    titles = [cell.findtext(f"{SVG}title", "") for cell in cells]
    found = [tuple(map(int, match.groups())) for title in titles if (match := re.match(r"chip (\d+), core (\d+): ", title))]
    assert sorted(found) == sorted((core.chip, core.core) for core in mapped.cores)
    assert len(groups(root, "chip")) == mapped.chips
    corners = set()
    for cell in cells:
        boxes = [{key: float(box.get(key, 0)) for key in ("x", "y", "width", "height")} for box in cell.iter(f"{SVG}rect")]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes)
        corners.add((boxes[0]["x"], boxes[0]["y"]))
    assert len(corners) == len(cells)


def test_same_bytes_and_nothing_of_today() -> None:
    report = report_of(*loihi(20))
    for color in COLORS:
        text = svg(report, color)
        assert text == svg(report_of(*loihi(20)), color)
        assert not re.search(r"20\d\d-\d\d|href|<script|matplotlib", text)


def test_stripes_are_shares() -> None:
    """The stripes of a shared core are as wide as the populations are large there, and fill it."""
    report = report_of(*loihi(20))
    plan = floorplan_of(report.mapped, report.spec, report.usage)
    cells = groups(ElementTree.fromstring(svg(report, "population")), "core")
    by_title = {cell.findtext(f"{SVG}title", ""): cell for cell in cells}
    shared = 0
    for index, core in enumerate(report.mapped.cores):
        (cell,) = (cell for title, cell in by_title.items() if title.startswith(f"chip {core.chip}, core {core.core}: "))
        rects = [box for box in cell.iter(f"{SVG}rect") if not box.get("fill", "").startswith("url")]
        widths = [float(box.get("width", 0)) for box in rects]
        assert len(widths) == len(plan.parts[index])
        for width, (_, share) in zip(widths, plan.parts[index], strict=True):
            assert width / sum(widths) == pytest.approx(share, abs=0.002)
        placed = [np.count_nonzero(place.core == index) for place in report.mapped.placements.values()]
        expected = [count / sum(placed) for count in placed if count]
        assert [share for _, share in plan.parts[index]] == pytest.approx(expected)
        shared += len(widths) > 1
    assert shared


def test_cells_follow_the_tiles() -> None:
    """Four cores of a Loihi tile are a square; a TrueNorth tile is a core; no two cores are in one place."""
    mapped, spec = loihi(330)
    plan = floorplan_of(mapped, spec, usage_of(mapped, spec))
    assert (plan.size, plan.is_whole) == ((16, 8), True)
    for index, core in enumerate(mapped.cores):
        within = core.core % 4
        expected = (2 * core.tile[0] + within % 2, 2 * core.tile[1] + within // 2)
        assert (plan.column[index], plan.row[index], plan.chips[plan.panel[index]]) == (*expected, core.chip)
    mapped, spec = truenorth(30)
    plan = floorplan_of(mapped, spec, usage_of(mapped, spec))
    assert (plan.columns, plan.rows) == (range(5, 35), range(10, 18))
    assert plan.window == "columns 5 to 34 and rows 10 to 17 of 64 x 64 cores; all others are free"


def test_key_of_many_populations() -> None:
    """The 26 largest populations have a letter of their own, the others one sign."""
    one = np.ones(1, np.int64)
    residents = {f"p{index}": Residents(one - 1, (one * (index % 9)) + 1, 1) for index in range(30)}
    usage = Usage({"neurons": one}, {"neurons": 1000}, residents, np.array([True]))
    mapped, spec = loihi(1)
    plan = floorplan_of(mapped, spec, usage)
    letters = [entry.letter for entry in plan.key]
    assert [letter for letter in letters if letter != "*"] == list(LETTERS)
    assert [index for index, letter in enumerate(letters) if letter == "*"] == [0, 9, 18, 27]
    looks = {(entry.fill, entry.hatch) for entry in plan.key if entry.letter != "*"}
    assert len(looks) == len(LETTERS)


def test_colors_in_grey() -> None:
    """Shades get darker and darker; populations without a hatch differ in lightness from all others without one."""
    loads = [lightness(shade(load)) for load in np.linspace(0, 1, 101)]
    assert all(a > b for a, b in pairwise(loads))
    assert (shade(-1), shade(2)) == (SHADES[0], SHADES[-1])
    plain = sorted(lightness(FILLS[index % len(FILLS)]) for index, hatch in enumerate(HATCHES) if not hatch)
    assert all(b - a > 8 for a, b in pairwise(plain))
    assert len(HATCHES) == len(LETTERS)
    assert len({(FILLS[index % len(FILLS)], hatch) for index, hatch in enumerate(HATCHES)}) == len(LETTERS)
    assert (lightness((0, 0, 0)), round(lightness((255, 255, 255)))) == (0, 100)


def lines_of(part: Any, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(part)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("case", CASES)
def test_text_has_a_sign_for_each_core(case: Any) -> None:
    mapped, spec = case
    report = report_of(mapped, spec)
    plan = floorplan_of(mapped, spec, report.usage)
    for color, signs in zip(COLORS, ("ABCabc", "0123456789"), strict=True):
        lines = lines_of(FloorplanText(plan, report, color))
        panels = [line for line in lines if re.fullmatch(rf"[{signs}·+]+(  [{signs}·+]+)*", line)]
        assert sum(sign in signs for line in panels for sign in line) == len(mapped.cores)
        assert sum(sign != " " for line in panels for sign in line) == mapped.chips * len(plan.columns) * len(plan.rows)
        assert max(map(len, lines)) <= 80


def test_text_of_a_mapping() -> None:
    mapped, spec = loihi(1)
    report = report_of(mapped, spec)
    lines = lines_of(FloorplanText(floorplan_of(mapped, spec, report.usage), report, "population"))
    row = report.mapped.cores[0].tile
    assert lines[0].startswith("chip ")
    assert sum("a" in line for line in lines[1:9]) == 1
    assert "a" in lines[1 + 2 * row[1]] + lines[2 + 2 * row[1]]
    assert lines[-1] == "A p1; B p2; C p3; small letter: the largest part of a shared core; · free core"


@pytest.mark.parametrize("case", CASES)
def test_everything_fits_80_columns(case: Any) -> None:
    mapped, spec = case
    lines = lines_of(mapping_terminal.mapping(report_of(mapped, spec), "population", all_cores=True))
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    listed = [line for line in lines if re.match(r"  \d+/\d+ ", line)]
    assert len(listed) == len(mapped.cores)


def test_target_without_chips() -> None:
    made = api.compile(random_real_network(0)[0], "reference")
    report = made.mapping()
    assert len(groups(ElementTree.fromstring(svg(report, "population")), "core")) == 1
    assert report.traffic.unicast.packets == 0
    assert any("none of 0 carries packets" in line for line in lines_of(mapping_terminal.mapping(report, "load")))


def test_examples() -> None:
    for module in (floorplan, mapping_terminal):
        failed, tried = doctest.testmod(module)
        assert (failed, tried > 0) == (0, True)
