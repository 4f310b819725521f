"""What stands beside the chip's estimate in every file: the conventions of papers, as rows, and the works they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Bounds = Mapping[str, float]

NETWORKS = {"snn_j": "SNN", "ann_j": "ANN", "qann_j": "QANN"}
CONVENTIONS = {"papers": "Papers", "integer": "Integer widths", "memory": "With memory"}


@dataclass(frozen=True, slots=True)
class Row:
    """One layer, encoder or total in one convention, per sample."""

    convention: str
    name: str
    is_total: bool
    joules: Mapping[str, Bounds | None]
    """Key of `NETWORKS` -> joules; None: the convention has no such network."""
    spikes_per_synapse: float | None
    """Per inference; None: it has no synapses."""
    below: Mapping[str, Bounds | None]
    """``ann``, ``qann`` -> spikes per synapse and inference below which the spiking network costs less."""
    loses_to: tuple[str, ...]
    """Which of them the spiking network costs more than."""


def rows(baselines: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of ``report --json``'s ``baselines``, convention by convention, each with its total last."""
    spikes = {layer["name"]: layer["spikes_per_synapse"] for layer in baselines["layers"]}
    for convention, entry in baselines["conventions"].items():
        for own in (*entry["rows"], entry["total"]):
            is_layer, is_total = own["kind"] == "layer", own["kind"] == "total"
            name = own["name"] if is_layer or is_total else f"{own['name']} ({own['kind']})"
            yield Row(
                convention, name, is_total, {key: own[key] for key in NETWORKS},
                spikes.get(own["name"]) if is_layer else own.get("spikes_per_synapse"), own["crossover"],
                tuple(other for other, less in own["snn_costs_less_than"].items() if less is False),
            )  # fmt: skip


def verdict(baselines: Mapping[str, Any]) -> str:
    """Return in one sentence where the spiking network as a whole costs more."""
    named = {"ann": "the ANN", "qann": "the bit-matched QANN"}
    lost = [f"{named[other]} ({row.convention})" for row in rows(baselines) if row.is_total for other in row.loses_to]
    return (
        f"The spiking network costs more than: {', '.join(lost)}."
        if lost
        else "The spiking network costs less in all of these."
    )


def works(baselines: Mapping[str, Any]) -> str:
    """Return the works behind the constants and thresholds, as text with marked citations."""
    constants = dict.fromkeys(f"{entry['source']} [@{entry['key']}]" for entry in baselines["constants"].values())
    thresholds = []
    for entry in baselines["thresholds"].values():
        span = f"{entry['low']:g}" if entry["low"] == entry["high"] else f"{entry['low']:g} to {entry['high']:g}"
        thresholds.append(f"{span} {entry['unit']} [@{entry['key']}]")
    return f"Constants: {'; '.join(constants)}. Memory after [@lemaire2022]. Published thresholds: {'; '.join(thresholds)}."
