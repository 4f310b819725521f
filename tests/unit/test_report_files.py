"""The files of a report: CSV, LaTeX with its .bib, figures; their numbers are those of the JSON."""

from __future__ import annotations

import csv
import doctest
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
from neurocomp import registry
from neurocomp.energy.joules import BADGE
from neurocomp.report import Report, bibliography, digits, escape, files
from neurocomp.report.bibliography import Sources, entries
from neurocomp.report.csv import csv_text
from neurocomp.report.latex import latex_files
from neurocomp.report.methods import methods
from neurocomp.report.quantities import leaves
from neurocomp.report.selection import picked_neurons, sensitivity

NET = """\
neurocomp: 1
name: "50%_net & {co}"
timestep: 1 ms
ticks: 12
populations:
  pixels_1: {kind: input, shape: [8]}
  "hidden_x": {shape: [6], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}
  out: {shape: [3], neuron: {model: lif, tau_mem: 10 ms, v_threshold: 0.7, reset: zero}}
projections:
  - {from: "pixels_1", to: "hidden_x", weights: weights.npz#a}
  - {from: "hidden_x", to: out, weights: weights.npz#b}
encode: {"pixels_1": {scheme: bernoulli, gain: 0.7, seed: 3}}
decode: {out: {scheme: count}}
data: {inputs: {"pixels_1": data.npz#x}, labels: data.npz#y, scale: 1/255}
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    rng = np.random.Generator(np.random.Philox(11))
    np.savez(folder / "weights.npz", a=rng.normal(0.4, 0.4, (6, 8)), b=rng.normal(0.3, 0.4, (3, 6)))
    np.savez(folder / "data.npz", x=rng.integers(0, 256, (9, 8), dtype=np.uint8), y=rng.integers(0, 3, 9))
    (folder / "net.yaml").write_text(NET, encoding="utf-8")
    return folder / "net.yaml"


@pytest.fixture(scope="module")
def report(network: Path) -> Report:
    return neurocomp.compile(network, target="loihi").report(raster=True)


@pytest.fixture(scope="module")
def sources(report: Report) -> Sources:
    return Sources(report.spec.sources, entries(registry.references()))


@pytest.fixture(scope="module")
def unpriced(network: Path) -> Report:
    return neurocomp.compile(network, target="loihi2").report(raster=True)


@pytest.mark.parametrize("module", [digits, escape, bibliography, files])
def test_examples(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)


# --- early answers


def test_early_answers_end_with_the_whole(report: Report) -> None:
    early = report.as_json()["early"]
    assert [entry["ticks"] for entry in early] == list(range(1, 13))
    last, whole = early[-1], report.as_json()
    assert last["accuracy"] == whole["accuracy"]["fixed"]
    for bound, joules in whole["per_sample"]["energy_j"].items():
        assert last["energy_j"][bound] == pytest.approx(joules, rel=1e-12)
    spent = [entry["energy_j"]["nominal"] for entry in early]
    assert spent == sorted(spent)
    assert spent[0] < spent[-1]


def test_early_answers_are_those_of_spikes_until_then(report: Report, network: Path) -> None:
    """An oracle of its own: the answer after t ticks from the recorded spikes of the output."""
    compiled = neurocomp.compile(network, target="loihi")
    spikes = compiled.run(probe="outputs").arrays["spikes/out"]
    labels = compiled.samples()
    assert labels is not None
    assert labels.labels is not None
    for entry in report.as_json()["early"]:
        answers = spikes[:, : entry["ticks"]].sum(axis=1).argmax(axis=1)
        assert entry["accuracy"] == (answers == labels.labels).mean()


def test_raster_is_the_first_sample(report: Report, network: Path) -> None:
    run = neurocomp.compile(network, target="loihi").run(probe="all", count=1)
    assert report.raster.keys() == {key.removeprefix("spikes/") for key in run.arrays}
    for name, spikes in report.raster.items():
        np.testing.assert_array_equal(spikes, run.arrays[f"spikes/{name}"][0])


# --- CSV


def rows_of(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_text(report.as_json()))))


def test_csv_has_the_numbers_of_the_json(report: Report) -> None:
    document, rows = report.as_json(), rows_of(report)
    found = {(row["kind"], row["subject"], row["name"]): row for row in rows}
    assert len(found) == len(rows)
    for name, spread in document["statistics"]["events"].items():
        row = found["event", report.network.name, name]
        for key in ("mean", "sd", "ci_low", "ci_high", "p95", "worst"):
            assert float(row[key]) == spread[key]
    for name, spread in document["statistics"]["projections"].items():
        assert float(found["projection", name, "sops"]["ci_high"]) == spread["ci_high"]
    for line in document["energy"]["lines"]:
        row = found["energy", line["event"], "energy"]
        assert float(row["mean"]) == line["energy_j"]["nominal"] / document["samples"]
        assert float(row["high"]) == line["energy_j"]["high"] / document["samples"]
        assert line["source"] in row["source"]
    assert float(found["energy", "dynamic", "energy"]["low"]) == document["per_sample"]["energy_j"]["low"]
    for form, entry in document["latency"]["forms"].items():
        assert float(found["latency", form, "tick"]["mean"]) == entry["tick_s"]["nominal"]
    assert {row["unit"] for row in rows} == {"1", "tick", "s", "J", "W", "1/s", "bit"}
    assert {row["basis"] for row in rows} == {BADGE}


def test_csv_of_what_is_unpriced(unpriced: Report) -> None:
    kinds = {row["kind"] for row in rows_of(unpriced)}
    assert {"event", "population", "projection", "core", "early"} <= kinds
    assert "energy" not in kinds


def test_csv_marks_extensions(report: Report) -> None:
    document = {**report.as_json(), "not_on_this_chip": ["graded"]}
    assert csv_text(document).splitlines()[1].endswith("NOT ON THIS CHIP: graded")


def test_other_parts_of_a_document_become_rows(report: Report) -> None:
    baselines = {
        "ann": {"energy_j": {"low": 1e-6, "nominal": 2e-6, "high": 3e-6}, "source": "horowitz2014"},
        "crossover": {"rate": {"mean": 0.05, "sd": 0.0, "ci_low": 0.04, "ci_high": 0.06}},
        "layers": [{"name": "hidden", "macs": 7, "wins": True}],
    }
    found = {(q.subject, q.name): q for q in leaves(baselines, "baselines")}
    assert (found["ann", "energy"].low, found["ann", "energy"].unit, found["ann", "energy"].source) == (
        1e-6,
        "J",
        "horowitz2014",
    )
    assert found["crossover", "rate"].ci_high == 0.06
    assert found["layers hidden", "macs"].mean == 7
    assert set(found) == {("ann", "energy"), ("crossover", "rate"), ("layers hidden", "macs")}
    assert "baselines,ann,energy,J,2e-06" in csv_text({**report.as_json(), "baselines": baselines})


# --- LaTeX


def numbers_after(text: str, title: str) -> list[float]:
    """Return the numbers of a row of a table."""
    (line,) = (line for line in text.splitlines() if line.startswith(title))
    return [float(value) for value in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", line.removeprefix(title))]


def close(shown: float, value: float) -> bool:
    """Whether a number is another one, rounded to three digits or more."""
    return shown == pytest.approx(value, rel=5.1e-3, abs=1e-12)


def test_latex_has_the_numbers_of_the_json(report: Report, sources: Sources) -> None:
    text, document = latex_files(report, sources, "net").tables, report.as_json()
    spread = document["statistics"]["events"]["sops"]
    mean, low, high, sd, p95, worst = numbers_after(text, "SOPs &")
    half = (spread["ci_high"] - spread["ci_low"]) / 2
    place = 10 ** (np.floor(np.log10(half)) - 1)
    shown = zip((mean, low, high, sd, p95), ("mean", "ci_low", "ci_high", "sd", "p95"), strict=True)
    assert all(abs(value - spread[key]) <= 0.5001 * place for value, key in shown)
    assert worst == spread["worst"]
    assert r"Nominal (\unit{\nano\joule})" in text
    first = document["energy"]["lines"][0]
    table = text.partition("-energy}")[2].partition(r"\end{table*}")[0]
    rows = (
        (r"\textbf{Dynamic, in all}", document["per_sample"]["energy_j"], 1),
        ("With these, in real time", document["energy_of"]["real_time"]["total"], 9),
        ("Synaptic event & ", first["energy_j"], 9),
    )
    for title, bounds, samples in rows:
        figures = numbers_after(table, title)[-3:]
        for value, key in zip(figures, ("low", "nominal", "high"), strict=True):
            assert close(value, 1e9 * bounds[key] / samples)


def test_every_citation_has_an_entry_and_every_entry_is_cited(report: Report, sources: Sources) -> None:
    made = latex_files(report, sources, "net")
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", made.tables) for key in keys.split(",")}
    assert cited == set(entries(made.bib))
    of_chip = {"davies2018", "frady2020", "sanafe", "efron1979", "timcheck2026"}
    assert of_chip | {"horowitz2014", "lemaire2022", "dampfhoffer2023", "davidson2021", "yan2024", "yik2025"} == cited


def test_names_are_escaped(report: Report, sources: Sources) -> None:
    text = latex_files(report, sources, "net").tables
    assert r"50\%\_net \& \{co\}" in text
    assert r"pixels\_1-{}\textgreater{}hidden\_x" in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert body.isascii()
    assert BADGE.replace(" · ", r" \textperiodcentered{} ") in text


def test_escape_leaves_no_sign_that_latex_reads() -> None:
    every = "".join(map(chr, [*range(32, 127), *range(160, 0x250), 0x3B1, 0x2192, 0x6F22, 0x1F600]))
    found = escape.latex(every)
    assert found.isascii()
    bare = re.sub(r"\\[a-zA-Z]+\{\}|\\ensuremath\{[^}]*\}|\\[&%$#_{}]|\\[`'^~=.\"a-zA-Z]\{\\?[a-zA-Z]\}|-\{\}", "", found)
    assert not set(bare) & set("\\{}$&#^_%"), bare


def test_sources_of_users(report: Report) -> None:
    """A key without an entry becomes @misc with the spec's text, and so does one that means another work."""
    stated = {"davies2018": "Our own table, 2018", "my lab_(ß)": "Lab & co, 100% ours", "frady2020": "E. P. Frady et al."}
    own = Sources(stated, entries(registry.references()))
    assert own.keys == {"davies2018": "davies2018-2", "my lab_(ß)": "my-lab", "frady2020": "frady2020"}
    shown = own.marked("davies2018, p. 1; my lab_(ß), Fig. 2; frady2020")
    assert shown == "[@davies2018-2], p. 1; [@my-lab], Fig. 2; [@frady2020]"
    text = own.bib(list(own.keys.values()))
    made = entries(text)
    assert set(made) == set(own.keys.values())
    assert made["davies2018-2"].text.startswith("@misc{davies2018-2,")
    assert r"Lab \& co, 100\% ours" in made["my-lab"].text
    assert made["frady2020"].text.startswith("@inproceedings")


def test_all_sources_of_our_specs_have_entries() -> None:
    known = entries(registry.references())
    for name, spec in registry.specs().items():
        for key, text in spec.sources.items():
            if key not in ("loihi1", "project"):  # another spec, and ourselves
                assert Sources({key: text}, known).keys[key] in known, (name, key)
    for key in ("horowitz2014", "lemaire2022", "dampfhoffer2023", "yan2024", "davidson2021", "yik2025"):
        assert known[key].plain


def test_methods_say_what_is_not_measured(report: Report, unpriced: Report, sources: Sources) -> None:
    text = methods(report, sources)
    assert "nothing was measured on Intel Loihi (2018), 14 nm" in text
    assert "9 samples of 12 ticks of 1 ms" in text
    alone = methods(unpriced, Sources(unpriced.spec.sources, entries(registry.references())))
    assert "No energy of an event of Intel Loihi 2 (2021), Intel 4 is published" in alone
    assert "no energy is stated" in alone
    assert "The chip itself does not do this: graded" in methods(replace(report, not_on_this_chip=("graded",)), sources)


# --- figures


def test_sensitivity_moves_one_cost_at_a_time(report: Report) -> None:
    energy, samples = report.energy, report.counts.samples
    for event, (low, high) in sensitivity(report.as_json()).items():
        for end, shown in (("low", low), ("high", high)):
            total = sum(
                line.count * (getattr(line.cost, end) if line.event == event else line.cost.value) for line in energy.lines
            )
            assert shown == pytest.approx(total / samples, rel=1e-12)


def test_picked_neurons() -> None:
    assert picked_neurons(5, 8).tolist() == [0, 1, 2, 3, 4]
    some = picked_neurons(1000, 50)
    assert len(set(some.tolist())) == 50
    assert (np.diff(some) > 0).all()
    assert some.max() < 1000


def test_figures(report: Report) -> None:
    from neurocomp.report.figures import FIGURES, figures

    made = dict(figures(report))
    names = {f"{name}-{width}.{form}" for name in FIGURES for width in ("single", "double") for form in ("svg", "pdf", "png")}
    assert made.keys() == names
    for name, content in made.items():
        assert content.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[name[-3:]])
        width = 3.3 if "-single" in name else 7.0
        if name.endswith("png"):
            assert int.from_bytes(content[16:20], "big") == round(width * 300)
        if name.endswith("svg"):
            assert f'width="{width * 72:g}pt"'.encode() in content
            assert b"<text" not in content  # outlines: no font is asked for
        if name.endswith("pdf"):
            assert b"/FontFile2" in content
            assert b"/Type3" not in content
    for name, content in figures(report, ("cores", "early")):
        assert content == made[name], f"{name} differs when it is drawn again"


def test_figures_of_what_is_unpriced(unpriced: Report) -> None:
    from neurocomp.report.figures import missing_figures

    assert missing_figures(unpriced) == {
        "breakdown": "no cost of an event of loihi2 is published",
        "sensitivity": "no cost of an event of loihi2 is published",
    }
    assert missing_figures(replace(unpriced, raster={}, early={})).keys() == {"breakdown", "sensitivity", "raster", "early"}


def test_what_stands_beside_the_chip_is_shown(report: Report, sources: Sources) -> None:
    from neurocomp.report.html import html

    document = report.as_json()
    made = latex_files(report, sources, "net")
    for name in ("Papers", "Integer widths", "With memory"):
        assert rf"\emph{{{name}}}" in made.tables
    totals = [line.split(" & ") for line in made.tables.splitlines() if line.startswith(r"\textbf{Total}")]
    for entry, cells in zip(document["baselines"]["conventions"].values(), totals, strict=True):
        assert float(cells[1]) == pytest.approx(1e9 * entry["total"]["snn_j"]["nominal"], rel=5e-3)
        assert float(cells[2]) == pytest.approx(1e9 * entry["total"]["ann_j"]["nominal"], rel=5e-3)
        below = cells[5].split(r"\,")
        assert float(below[0]) == pytest.approx(entry["total"]["crossover"]["ann"]["nominal"], rel=5e-3)
        assert (len(below) > 1) == (entry["total"]["snn_costs_less_than"]["ann"] is False)
    assert f"% artifact: {document['provenance']['artifact']}" in made.tables
    page = html(report, sources)
    for kind in ("baselines", "neurobench", "provenance"):
        assert f'<section id="{kind}">' in page
    assert document["provenance"]["artifact"] in page
