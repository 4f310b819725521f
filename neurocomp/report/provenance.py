"""Where the numbers of a report come from, and whether a second report has the same ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neurocomp.errors import Diagnostic, NetworkError

DIGITS = 1e-12
"""Sums of real numbers may differ by so much of themselves between processors; counts may not differ at all."""


@dataclass(frozen=True, slots=True)
class Stimulus:
    """What was simulated."""

    origin: str
    """``declared`` samples, ``data`` in their place, or spikes that were ``given``."""
    count: int
    sha256: str
    """Of names, types, shapes and values, as the artifact names its samples."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything that a number of a report depends on."""

    neurocomp: str
    """The version that counted."""
    compiled_by: str
    """The version that compiled."""
    artifact: str
    """Digest of the artifact, as ``compile`` prints it."""
    network: str
    """SHA-256 of the network in real numbers, which names its arrays by theirs."""
    weights: str
    """SHA-256 of the digests of all arrays: weights, parameters, lists of synapses and places."""
    spec: str
    """SHA-256 of the hardware spec as read, costs and times included."""
    samples: Stimulus
    ticks: int
    timestep_s: float
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Input population -> the seed of its encoder, where it draws random numbers."""
    costs: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints under ``provenance``."""
        return asdict(self)


def read_report(path: Path) -> dict[str, Any]:
    """Return a report as ``report --json`` prints it.

    Raises:
        NetworkError: The file cannot be read (NC0101), is no JSON (NC0108), or no report with its provenance (NC0347).
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NetworkError(Diagnostic("NC0101", f"cannot read '{path.name}': {(error.strerror or '').lower()}")) from None
    except ValueError as error:
        raise NetworkError(Diagnostic("NC0108", f"'{path.name}' is not JSON: {error}")) from None
    provenance = document.get("provenance") if isinstance(document, dict) else None
    samples = provenance.get("samples") if isinstance(provenance, dict) else None
    if not isinstance(document, dict) or not isinstance(samples, dict) or not isinstance(samples.get("count"), int):
        hint = "make one with 'neurocomp report net.ncz --json > report.json'"
        raise NetworkError(Diagnostic("NC0347", f"'{path.name}' is no report of neurocomp with its provenance", hint=hint))
    return document


def differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two reports differ: (place, before, now); what only one has is None in the other."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            yield from differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (a, b) in enumerate(zip(before, now, strict=True)):
            yield from differences(a, b, f"{path}[{index}]")
    elif isinstance(before, float) and isinstance(now, float):
        if abs(before - now) > DIGITS * max(abs(before), abs(now)):
            yield path, before, now
    elif before != now:
        yield path, before, now


def numbers_of(document: Any) -> int:
    """Return how many numbers a report holds."""
    if isinstance(document, Mapping):
        return sum(map(numbers_of, document.values()))
    if isinstance(document, list):
        return sum(map(numbers_of, document))
    return int(isinstance(document, (int, float)) and not isinstance(document, bool))
