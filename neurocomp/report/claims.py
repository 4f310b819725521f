"""A linter for claims about energy: what reviewers find in tables and texts about spiking networks, found before they do.

It reads claims written down as YAML or JSON (docs/energy.md has the fields), reports of neurocomp, and texts (LaTeX, Markdown,
plain). Of a claim and a report numbers are recomputed; a text is searched for numbers and what stands beside them, so that what
is found there is a question to the author.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocomp.errors import Diagnostic, Location, NetworkError, did_you_mean
from neurocomp.located import LocatedYaml, parse

TEXTS = (".tex", ".md", ".txt", ".rst")
NEAR = 0.05
"""Two numbers that differ by no more than this share are taken for the same: papers print two or three digits."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which such claims go wrong."""

    name: str
    what: str
    """What is wrong with it."""
    source: str
    hint: str


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "rate-counted-twice",
            "the spike rate is in the operations and multiplies their energy again",
            "the formula SOP = T x rate x FLOPs, E = 0.9 pJ x SOP; found in Front. Neurosci. 17:1091097, Table 3",
            "multiply by the rate once: either operations of the ANN x rate, or counted operations",
        ),
        Rule(
            "constants-of-another-node",
            "0.9 pJ and 4.6 pJ are an addition and a multiply-add of 32-bit floating point at 45 nm",
            "Horowitz, ISSCC 2014",
            "name the node and the precision, or take constants of the chip and the width that is used",
        ),
        Rule(
            "average-as-marginal-cost",
            "26 pJ is TrueNorth's total power over its events at one operating point, static power included",
            "Merolla et al. 2014; Akopyan et al. 2015, Fig. 17: 64.4 mW + 2.3 pJ per event at 0.8 V",
            "charge the static power and 2.3 pJ per event, or quote 26 pJ with 20 Hz, 128 synapses and 0.775 V",
        ),
        Rule(
            "number-of-another-chip",
            "this energy is Loihi 1's; none per operation is published for Loihi 2",
            "Davies et al. 2018, Table 2 (pre-silicon)",
            "say Loihi 1, or leave the energy unpriced",
        ),
        Rule(
            "energy-without-ticks",
            "an energy of a spiking network without its number of ticks: neither static energy nor rates can be checked",
            "Eshraghian et al. 2023; NeuroBench (Yik et al. 2025)",
            "state T and the length of a tick",
        ),
        Rule(
            "single-sample",
            "one sample, or no word on how many: spikes depend on the input",
            "NeuroBench (Yik et al. 2025)",
            "give a mean with its spread over many samples",
        ),
        Rule(
            "no-static-power",
            "no static or idle power, which outweighs small networks: 104 mW per chip of Loihi, 64 mW of TrueNorth",
            "Frady et al. 2020; Akopyan et al. 2015, Fig. 17",
            "state it, or say that the number is dynamic energy alone",
        ),
        Rule(
            "not-measured",
            "counts of a simulation times costs are called a measurement",
            "NeuroBench (Yik et al. 2025), system track",
            "say: simulated counts, estimated energy",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt about a claim."""

    rule: Rule
    where: Location
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return what ``report lint --json`` prints."""
        return {
            "rule": self.rule.name, "file": self.where.file, "line": self.where.line, "message": self.message,
            "why": self.rule.what, "source": self.rule.source, "hint": self.rule.hint,
        }  # fmt: skip


def lint(path: Path) -> list[Finding]:
    """Return the doubts about what a file claims, in its order.

    Raises:
        NetworkError: The file cannot be read (NC0101, NC0102), or a claim has wrong fields (NC0346).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NetworkError(Diagnostic("NC0101", f"there is no file '{path.name}'")) from None
    except UnicodeDecodeError:
        raise NetworkError(Diagnostic("NC0102", "the file is not text in UTF-8", Location(path.name))) from None
    except OSError as error:
        raise NetworkError(Diagnostic("NC0101", f"cannot read '{path.name}': {error.strerror}")) from None
    if path.suffix.lower() in TEXTS:
        found = list(_of_text(text, path.name))
        return sorted(found, key=lambda finding: finding.where.line or 0)
    report = _report(text)
    if report is not None:
        return list(_of_report(report, path.name))
    return [finding for claim in _claims(parse(text, path.name), path.name) for finding in _of_claim(claim)]


def _report(text: str) -> Mapping[str, Any] | None:
    """Return a report of neurocomp; None: it is something else."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) and "badge" in document else None


# --- claims that are written down

NUMBERS = (
    "ann_ops",
    "snn_ops",
    "rate",
    "ticks",
    "samples",
    "ac_j",
    "mac_j",
    "synaptic_event_j",
    "snn_energy_j",
    "ann_energy_j",
    "static_power_w",
    "node_nm",
    "weight_bits",
)
WORDS = ("name", "chip", "precision")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a table or a sentence states; None where it does not."""

    values: Mapping[str, float]
    words: Mapping[str, str]
    where: Location

    def __getitem__(self, key: str) -> float | None:
        return self.values.get(key)


def _claims(document: LocatedYaml, file: str) -> Iterator[Claim]:
    root: Any = document.value
    listed = root.get("claims") if isinstance(root, dict) else root
    if not isinstance(listed, list):
        message = "a file of claims is a mapping with the list 'claims'"
        hint = f"a text ends in {', '.join(TEXTS)}; a report is what 'neurocomp report --json' prints"
        raise NetworkError(Diagnostic("NC0346", message, Location(file, 1, 1), hint=hint))
    head: tuple[str | int, ...] = ("claims",) if isinstance(root, dict) else ()
    problems: list[Diagnostic] = []
    found = []
    for index, entry in enumerate(listed):
        path = (*head, index)
        if not isinstance(entry, dict):
            problems.append(Diagnostic("NC0346", "a claim is a mapping of fields", document.at(path)))
            continue
        values, words = {}, {}
        for key, value in entry.items():
            if key in WORDS and isinstance(value, str):
                words[key] = value
            elif key in NUMBERS and _is_number(value):
                values[key] = float(value)
            elif key not in (*NUMBERS, *WORDS):
                meant = did_you_mean(str(key), [*NUMBERS, *WORDS])
                where = document.key_at((*path, key))
                problems.append(Diagnostic("NC0346", f"a claim has no field '{key}'", where, hint=meant))
            else:
                allowed = "a number >= 0" if key in NUMBERS else "a text"
                problems.append(Diagnostic("NC0346", f"'{key}' is {value!r}, not {allowed}", document.at((*path, key))))
        found.append(Claim(values, words, document.at(path)))
    if problems:
        raise NetworkError(problems)
    yield from found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _near(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and b != 0 and abs(a / b - 1) <= NEAR


def _of_claim(claim: Claim) -> Iterator[Finding]:
    chip, name = claim.words.get("chip", ""), claim.words.get("name", "a claim")

    def found(rule: str, message: str) -> Finding:
        return Finding(RULES[rule], claim.where, f"{name}: {message}")

    ops, rate, energy, ac = claim["snn_ops"], claim["rate"], claim["snn_energy_j"], claim["ac_j"]
    ann, ticks = claim["ann_ops"], claim["ticks"]
    if ops and rate and rate < 1 - NEAR and energy and ac and _near(energy, ops * ac * rate):
        has_rate = ann is None or _near(ops, ann * rate) or _near(ops, ann * rate * (ticks or 1))
        if has_rate:
            more = f", 1/{rate:g} = {1 / rate:.3g} times what is stated"
            yield found("rate-counted-twice", f"{energy:.3g} J = operations x {ac:g} J x rate; once is {ops * ac:.3g} J{more}")
    if _near(ac, 0.9e-12) or _near(claim["mac_j"], 4.6e-12):
        wrong = _another_node(chip, claim["node_nm"], claim["weight_bits"], claim.words.get("precision", ""))
        if wrong:
            yield found("constants-of-another-node", f"used for {wrong}")
    if "truenorth" in _plain(chip) and _near(claim["synaptic_event_j"], 26e-12):
        yield found("average-as-marginal-cost", "26 pJ per synaptic event of TrueNorth")
    if "loihi2" in _plain(chip):
        for key in ("synaptic_event_j", "ac_j"):
            match = next((name for value, name in LOIHI_1.items() if _near(claim[key], value * 1e-12)), None)
            if match:
                yield found("number-of-another-chip", f"{claim[key]:.3g} J is Loihi 1's {match}")
    if energy is not None:
        if ticks is None:
            yield found("energy-without-ticks", f"{energy:.3g} J, and no 'ticks'")
        if (claim["samples"] or 1) < 2:
            yield found("single-sample", "'samples' is 1" if claim["samples"] else "no 'samples'")
        if claim["static_power_w"] is None:
            yield found("no-static-power", "no 'static_power_w'")


LOIHI_1: Mapping[float, str] = {
    23.6: "synaptic operation",
    81.0: "neuron update",
    52.0: "inactive neuron update",
    120.0: "synaptic update",
}
"""pJ -> event, of Davies et al. 2018, Table 2."""


def _plain(chip: str) -> str:
    return re.sub(r"[^a-z0-9]", "", chip.lower())


def _another_node(chip: str, node: float | None, bits: float | None, precision: str) -> str | None:
    """Return what the constants of 45 nm and FP32 were used for instead."""
    if node is not None and node != 45:
        return f"{node:g} nm"
    if bits is not None and bits < 32:
        return f"weights of {bits:g} bits"
    if precision and not re.search(r"fp\s?32|float\s?32|single", precision.lower()):
        return precision
    nodes = {"loihi2": "Intel 4", "loihi": "14 nm", "truenorth": "28 nm", "spinnaker": "130 nm"}
    return next((f"{chip} ({node})" for key, node in nodes.items() if _plain(chip).startswith(key)), None)


# --- reports of neurocomp


def _of_report(report: Mapping[str, Any], file: str) -> Iterator[Finding]:
    where = Location(file, 1, 1)
    energy = report.get("energy") or {}
    if report.get("samples", 0) < 2:
        yield Finding(RULES["single-sample"], where, f"'samples' is {report.get('samples')}")
    if report.get("energy_j") is not None and (energy.get("parts_j") or {}).get("static") is None:
        yield Finding(RULES["no-static-power"], where, f"the costs '{energy.get('costs')}' state no static power")
    if not report.get("ticks"):
        yield Finding(RULES["energy-without-ticks"], where, "no 'ticks'")
    if "NOT MEASURED" not in str(report.get("badge", "")):
        yield Finding(RULES["not-measured"], where, f"the badge says '{report.get('badge')}'")


# --- texts

_NUMBER = r"(?<![\d.])(?:{})(?![\d])"
_UNIT = r"\s*(?:\\,|~|\\;|\s)*(?:\\?(?:pico)\\?joules?|\\?pJ\b|\\si\{{\\pico\\joule\}}|\}}\s*\{{\\pico\\joule\}})"


def _pico(*numbers: str) -> str:
    """Return a pattern of such picojoules, also in siunitx's macros."""
    return (_NUMBER + _UNIT).format("|".join(re.escape(number) for number in numbers))


_ENERGY = re.compile(
    r"(?<![\w.])\d+(?:\.\d+)?\s*(?:\\,|~|\\;|\s)*(?:[pnuµm]|\$\\mu\$|\\mu\s?|\\micro|\\milli|\\nano|\\pico)\\?(?:J\b|joule)"
)
_SPIKING = re.compile(r"\b(?:SNNs?|spik\w+|neuromorphic)\b", re.IGNORECASE)
_TICKS = re.compile(
    r"\bT\s*(?:=|\\in|is)\s*\$?\s*\d|\d+\s*(?:time[- ]?steps?|ticks)\b"
    r"|(?:time[- ]?steps?|ticks)\s*(?:of|=|is|:)?\s*\$?\s*\d",
    re.IGNORECASE,
)
_STATIC = re.compile(r"\b(?:static|idle|leakage|stand-?by)\b", re.IGNORECASE)
_NODE = re.compile(r"45[\s~\\,-]*(?:nm|nanomet)", re.IGNORECASE)
_OTHER_NUMBERS = re.compile(
    r"\b(?:int-?\s?(?:4|8|16)|(?:4|8|16|four|eight|sixteen)[- ~]?bits?|fixed[- ]point|(?:7|14|22|28)[\s~\\,-]*nm)\b",
    re.IGNORECASE,
)  # fmt: skip
_ONE_SAMPLE = re.compile(r"\b(?:a|one|1|single)\s+(?:single\s+)?(?:sample|image|input|example|inference run)\b", re.IGNORECASE)
_MANY = re.compile(
    r"\b(?:averag\w*|mean)\s+(?:\w+\s+){0,3}(?:over|across|of)\b|\b[1-9]\d+(?:,\d{3})*\s+(?:test\s+)?(?:samples|images|inputs)\b",
    re.IGNORECASE,
)  # fmt: skip
_RATE = r"(?:\b(?:spike|firing|spiking)?\s*rate\b|\\?\bfr\b|f_?\{?r\}?|\br_?\{?l?\}?\b|\\rho)"
_OPERATIONS = re.compile(
    r"(?:\bSOPs?|\\?#\s?OP|\bOPs?|\bN_\{?\\?(?:text|mathrm)?\{?(?:AC|SOP)\}?)[^=\n]{0,40}=[^=\n]{0,80}?" + _RATE, re.IGNORECASE
)
_ENERGY_OF_OPERATIONS = re.compile(
    r"\bE(?:nergy)?[^=\n]{0,40}=[^=\n]{0,80}?(?:SOPs?|#\s?OP|\bOPs?)[^=\n]{0,80}?" + _RATE, re.IGNORECASE
)
_MEASURED = re.compile(r"\bmeasur(?:ed|ement)\w*\b", re.IGNORECASE)
_SIMULATED = re.compile(r"\b(?:simulat\w+|estimat\w+)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Paragraph:
    text: str
    line: int


def _paragraphs(text: str) -> Iterator[_Paragraph]:
    """Yield the paragraphs with their first lines; comments of LaTeX are left out, rows of tables stay together."""
    start = 1
    lines: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        shown = re.sub(r"(?<!\\)%.*", "", line)
        if shown.strip():
            start = start if lines else number
            lines.append(shown)
        elif lines:
            yield _Paragraph("\n".join(lines), start)
            lines = []


def _of_text(text: str, file: str) -> Iterator[Finding]:
    paragraphs = list(_paragraphs(text))
    whole = "\n\n".join(p.text for p in paragraphs)

    def at(paragraph: _Paragraph, position: int) -> Location:
        return Location(file, paragraph.line + paragraph.text.count("\n", 0, position), 1)

    def each(pattern: str, when: Callable[[str], bool]) -> Iterator[tuple[_Paragraph, re.Match[str]]]:
        for p in paragraphs:
            match = re.search(pattern, p.text)
            if match and when(p.text):
                yield p, match

    for p, match in each(_pico("23.6", "81", "52", "120"), lambda t: "loihi2" in _plain(t)):
        yield Finding(RULES["number-of-another-chip"], at(p, match.start()), f"'{_shown(match)}' beside 'Loihi 2'")
    for p, match in each(_pico("26"), lambda t: "truenorth" in _plain(t)):
        if not re.search(r"20[\s~\\,-]*Hz|operating point|\bstatic\b|\baverage\b", p.text, re.IGNORECASE):
            yield Finding(RULES["average-as-marginal-cost"], at(p, match.start()), f"'{_shown(match)}' beside 'TrueNorth'")
    for p, match in each(_pico("0.9", "4.6"), lambda t: True):
        other = _OTHER_NUMBERS.search(p.text)
        if other or not _NODE.search(whole):
            beside = f"beside '{' '.join(other.group().split())}'" if other else "and the text names no 45 nm"
            yield Finding(RULES["constants-of-another-node"], at(p, match.start()), f"'{_shown(match)}' {beside}")
    operations, energy = _OPERATIONS.search(whole), _ENERGY_OF_OPERATIONS.search(whole)
    if operations and energy:
        for p, match in each(_ENERGY_OF_OPERATIONS.pattern, lambda t: True):
            shown = f"'{_shown(match)}', where the operations have it already: '{_shown(operations)}'"
            yield Finding(RULES["rate-counted-twice"], at(p, match.start()), shown)
            break
    if not _SPIKING.search(whole):
        return
    first = next(((p, match) for p in paragraphs for match in _ENERGY.finditer(p.text)), None)
    if first is None:
        return
    p, match = first
    for rule, said in (("energy-without-ticks", _TICKS), ("no-static-power", _STATIC)):
        if not said.search(whole):
            yield Finding(RULES[rule], at(p, match.start()), f"'{_shown(match)}', and no word on it in the text")
    for q in paragraphs:
        one = _ONE_SAMPLE.search(q.text)
        if one and _ENERGY.search(q.text) and not _MANY.search(q.text):
            yield Finding(RULES["single-sample"], at(q, one.start()), f"'{_shown(one)}'")
            break
    else:
        if not _MANY.search(whole):
            yield Finding(RULES["single-sample"], at(p, match.start()), f"'{_shown(match)}', and no word on how many samples")
    for q in paragraphs:
        measured = _MEASURED.search(q.text)
        if measured and _SIMULATED.search(q.text) and _ENERGY.search(q.text):
            yield Finding(
                RULES["not-measured"], at(q, measured.start()), f"'{_shown(measured)}' beside a simulation or an estimate"
            )


def _shown(match: re.Match[str]) -> str:
    """Return what was found, in one line and without the marks of LaTeX."""
    return re.sub(r"\s+", " ", re.sub(r"\\[,;]|~", " ", match.group())).strip()[:80]
