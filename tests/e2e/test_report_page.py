"""The page of a report: its numbers, and in a browser that it sorts, shows what is under the pointer and asks for nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
BADGE = "SIMULATED COUNTS · ESTIMATED ENERGY · NOT MEASURED"

PROBE = """
<script>
const found = {errors: [], sorted: {}, hover: {}};
addEventListener("error", event => found.errors.push(event.message));
const values = (table, column) => [...table.tBodies[0].rows].map(row => Number(row.cells[column].dataset.value));
const counted = [...document.querySelectorAll("table")].find(one => one.tHead.textContent.includes("worst sample"));
const heads = [...counted.tHead.rows[0].cells];
heads[1].querySelector("button").click();
found.sorted.down = values(counted, 1);
heads[1].querySelector("button").click();
found.sorted.up = values(counted, 1);
found.sorted.mark = heads[1].getAttribute("aria-sort");
heads[0].querySelector("button").click();
found.sorted.names = [...counted.tBodies[0].rows].map(row => row.cells[0].textContent);
const shown = document.getElementById("tip");
for (const [name, where] of Object.entries({core: ".core rect", spikes: ".raster path[class^=c]"})) {
  const place = document.querySelector(where);
  place.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 90, clientY: 90}));
  found.hover[name] = shown.hidden ? null : shown.textContent;
}
document.body.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 1, clientY: 1}));
found.hover.nothing = shown.hidden;
found.requests = performance.getEntriesByType("resource").map(entry => entry.name);
found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const pre = document.createElement("pre");
pre.id = "found";
pre.textContent = JSON.stringify(found);
document.body.append(pre);
</script>
"""


class Page(HTMLParser):
    """Collects what a page refers to, its numbers and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.values: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "srcset", "data") and value:
                self.references.append(value)
            if name == "data-value" and value:
                self.values.append(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(cli: Cli, folder: Path) -> Path:
    """Return the page of the small network."""
    result = cli("report", "net.ncz", "--samples", "6", "-o", "net.html")
    assert (result.code, result.err) == (0, "")
    return folder / "net.html"


def test_it_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert all(reference.startswith("#") or reference == "data:," for reference in found.references), found.references
    assert {reference[1:] for reference in found.references if reference.startswith("#")} <= set(found.ids)
    assert not re.search(r"@import|url\((?!#)|https?://(?!www\.w3\.org/)", text)
    assert BADGE in found.text
    assert len(text) < 2_000_000


def test_its_numbers_are_those_of_the_json(cli: Cli, page: Path) -> None:
    values = set(Page(page.read_text(encoding="utf-8")).values)
    document = cli("report", "net.ncz", "--samples", "6", "--json").document
    for kind in ("events", "populations", "projections"):
        for spread in document["statistics"][kind].values():
            assert {str(spread[key]) for key in ("mean", "ci_low", "sd") if spread[key] is not None} <= values
    for line in document["energy"]["lines"]:
        assert {str(line["energy_j"][key] / 6) for key in ("low", "nominal", "high")} <= values
        assert {str(line["cost_j"][key]) for key in ("low", "nominal", "high")} <= values
    for entry in document["latency"]["forms"].values():
        assert {str(entry[key]["nominal"]) for key in ("tick_s", "inference_s", "inferences_per_s")} <= values
    for entry in document["early"]:
        assert {str(entry["accuracy"]), str(entry["energy_j"]["nominal"])} <= values


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium (Debian: apt-get install chromium)")
def test_in_a_browser(page: Path, tmp_path: Path) -> None:
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
    )
    done = subprocess.run([str(BROWSER), *options, "--dump-dom", probed.as_uri()], capture_output=True, text=True, timeout=300)
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr[-2000:]
    found = json.loads(match.group(1).replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    assert found["errors"] == []
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert found["requests"] == []
    assert found["sorted"]["down"] == sorted(found["sorted"]["down"], reverse=True)
    assert found["sorted"]["up"] == sorted(found["sorted"]["up"])
    assert len(set(found["sorted"]["up"])) > 5
    assert found["sorted"]["mark"] == "ascending"
    assert found["sorted"]["names"] == sorted(found["sorted"]["names"])
    assert "synaptic events per sample" in found["hover"]["core"]
    assert re.match(r"[abc]\[\d+\]: \d+ spikes?, in tick \d", found["hover"]["spikes"])
    assert found["hover"]["nothing"] is True
    assert found["wide"] <= 0
