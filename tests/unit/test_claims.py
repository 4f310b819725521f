"""Every rule about claims finds what it is for, and is silent where the claim is sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neurocomp.errors import NetworkError
from neurocomp.report.claims import RULES, lint

SOUND = {"ticks": 4, "samples": 1000, "static_power_w": 0.1}


def of_claim(tmp_path: Path, **fields: object) -> list[str]:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps({"claims": [fields]}))
    return [finding.rule.name for finding in lint(path)]


def of_text(tmp_path: Path, text: str, name: str = "paper.tex") -> list[tuple[str, int | None]]:
    path = tmp_path / name
    path.write_text(text)
    return [(finding.rule.name, finding.where.line) for finding in lint(path)]


def test_the_rate_of_a_published_table(tmp_path: Path) -> None:
    """Table 3 of Front. Neurosci. 17:1091097: 18.39 M operations of the ANN, 2.51 M of the SNN, a rate of 0.1366."""
    table = {"ann_ops": 18.39e6, "snn_ops": 2.51e6, "rate": 0.1366, "ac_j": 0.9e-12} | SOUND
    assert of_claim(tmp_path, **table, snn_energy_j=2.51e6 * 0.9e-12 * 0.1366) == ["rate-counted-twice"]
    assert of_claim(tmp_path, **table, snn_energy_j=2.51e6 * 0.9e-12) == []
    # Operations without the rate: 18.39 M of which 0.1366 take place are charged once.
    assert of_claim(tmp_path, **(table | {"snn_ops": 18.39e6}), snn_energy_j=18.39e6 * 0.9e-12 * 0.1366) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"weight_bits": 8}, True),
        ({"weight_bits": 32}, False),
        ({"node_nm": 14}, True),
        ({"node_nm": 45, "precision": "fp32"}, False),
        ({"precision": "int8"}, True),
        ({"chip": "Loihi"}, True),
        ({"chip": "any ASIC"}, False),
    ],
)
def test_constants_of_45_nm(tmp_path: Path, fields: dict[str, object], found: bool) -> None:
    for constants in ({"ac_j": 0.9e-12}, {"mac_j": 4.6e-12}):
        assert of_claim(tmp_path, **fields, **constants) == ["constants-of-another-node"] * found
        assert of_claim(tmp_path, **fields, **{key: value / 3 for key, value in constants.items()}) == []


def test_numbers_of_chips(tmp_path: Path) -> None:
    assert of_claim(tmp_path, chip="TrueNorth", synaptic_event_j=26e-12) == ["average-as-marginal-cost"]
    assert of_claim(tmp_path, chip="TrueNorth", synaptic_event_j=2.297e-12) == []
    assert of_claim(tmp_path, chip="ODIN", synaptic_event_j=26e-12) == []
    assert of_claim(tmp_path, chip="Loihi 2", synaptic_event_j=23.6e-12) == ["number-of-another-chip"]
    assert of_claim(tmp_path, chip="loihi", synaptic_event_j=23.6e-12) == []


def test_what_an_energy_needs(tmp_path: Path) -> None:
    assert of_claim(tmp_path, snn_energy_j=1e-6) == ["energy-without-ticks", "single-sample", "no-static-power"]
    assert of_claim(tmp_path, snn_energy_j=1e-6, **(SOUND | {"samples": 1})) == ["single-sample"]
    assert of_claim(tmp_path, snn_energy_j=1e-6, **SOUND) == []
    assert of_claim(tmp_path, name="no energy") == []


def test_reports(tmp_path: Path) -> None:
    badge = "SIMULATED COUNTS · ESTIMATED ENERGY · NOT MEASURED"
    report = {"badge": badge, "samples": 20, "ticks": 16, "energy_j": {}, "energy": {"costs": "c", "parts_j": {"static": {}}}}
    path = tmp_path / "report.json"

    def rules(**fields: object) -> list[str]:
        path.write_text(json.dumps(report | fields))
        return [finding.rule.name for finding in lint(path)]

    assert rules() == []
    assert rules(samples=1) == ["single-sample"]
    assert rules(energy={"costs": "davies2018", "parts_j": {"static": None}}) == ["no-static-power"]
    assert rules(energy_j=None, energy={"parts_j": {}}) == []
    assert rules(badge="measured") == ["not-measured"]
    assert rules(ticks=0) == ["energy-without-ticks"]


SOUND_TEXT = "The SNN runs for $T = 16$ time steps. Static power is 0.1 W. We average over 10,000 images.\n\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (r"On Loihi 2 a synaptic operation takes 23.6 pJ.", "number-of-another-chip"),
        (r"Loihi~2 spends \SI{81}{\pico\joule} per update.", "number-of-another-chip"),
        (r"On Loihi a synaptic operation takes 23.6 pJ.", None),
        (r"TrueNorth needs 26\,pJ per synaptic event.", "average-as-marginal-cost"),
        (r"TrueNorth needs 26 pJ per synaptic event at 20 Hz, static power included.", None),
        (r"TrueNorth needs 126 pJ, or 26.5 pJ.", None),
        (r"An AC takes 0.9 pJ at 45 nm.", None),
        (r"An AC takes 0.9 pJ.", "constants-of-another-node"),
        (r"With int8 weights a MAC takes 4.6~pJ (45 nm).", "constants-of-another-node"),
        (r"% With int8 weights a MAC takes 4.6 pJ.", None),
        ("SOPs = rate x FLOPs.\n\nE = 3 x SOPs x rate.", "rate-counted-twice"),
        ("SOPs = rate x FLOPs.\n\nE = 3 x SOPs.", None),
        ("We measured 3 nJ in simulation.", "not-measured"),
        ("We measured 3 nJ on the board.", None),
    ],
)
def test_texts(tmp_path: Path, text: str, rule: str | None) -> None:
    assert [name for name, _ in of_text(tmp_path, SOUND_TEXT + text)] == ([rule] if rule else [])


def test_what_a_text_leaves_out(tmp_path: Path) -> None:
    text = "# Energy\n\nOur SNN takes\n12 nJ for one image.\n"
    assert of_text(tmp_path, text, "paper.md") == [("energy-without-ticks", 4), ("no-static-power", 4), ("single-sample", 4)]
    assert of_text(tmp_path, SOUND_TEXT + text, "paper.md") == [("single-sample", 6)]
    assert of_text(tmp_path, "A lamp takes 12 nJ.") == []


def test_every_rule_is_tried() -> None:
    text = Path(__file__).read_text()
    assert all(f'"{name}"' in text for name in RULES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("claims: [{ac: 1}]", "claims.yaml:1:11: error[NC0346 claim]: a claim has no field 'ac'"),
        ("claims: [{ac_j: much}]", "claims.yaml:1:17: error[NC0346 claim]: 'ac_j' is 'much', not a number >= 0"),
        ("claims: [{chip: 3}]", "claims.yaml:1:17: error[NC0346 claim]: 'chip' is 3, not a text"),
        ("claims: [3]", "claims.yaml:1:10: error[NC0346 claim]: a claim is a mapping of fields"),
        ("claims: 3", "claims.yaml:1:1: error[NC0346 claim]: a file of claims is a mapping with the list 'claims'"),
    ],
)
def test_wrong_claims(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(content)
    with pytest.raises(NetworkError) as caught:
        lint(path)
    assert caught.value.render().startswith(message)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"there is no file 'paper\.tex'"):
        lint(tmp_path / "paper.tex")
