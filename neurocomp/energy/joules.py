"""Energy: counts times sourced costs, each with its interval; what has no published cost is named as unpriced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurocomp.energy.counts import Counts
from neurocomp.errors import Diagnostic, UsageError, did_you_mean
from neurocomp.hardware import HardwareSpec, Sourced

BADGE = "SIMULATED COUNTS · ESTIMATED ENERGY · NOT MEASURED"

UNPRICED = "none published"
"""What `Energy.costs` names where a spec states no costs."""

EVENTS: dict[str, tuple[str, str]] = {
    "synaptic_event": ("core dynamic", "synaptic_events"),
    "neuron_update_active": ("core dynamic", "updates_active"),
    "neuron_update_inactive": ("core dynamic", "updates_inactive"),
    "spike": ("core dynamic", "spikes"),
    "packet": ("network on chip", "packets"),
    "hop_x": ("network on chip", "hops_x"),
    "hop_y": ("network on chip", "hops_y"),
    "chip_crossing": ("network on chip", "chip_crossings"),
}
"""Cost of a spec -> (part of the energy, count that it multiplies)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Joules with their range."""

    low: float = 0.0
    nominal: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def as_json(self) -> dict[str, float]:
        """Return the three numbers by name."""
        return {"low": self.low, "nominal": self.nominal, "high": self.high}


@dataclass(frozen=True, slots=True)
class Line:
    """One product of the sum."""

    event: str
    part: str
    count: float
    cost: Sourced
    energy: Interval


@dataclass(frozen=True, slots=True)
class Energy:
    """The estimate over all counted samples. ``total`` is dynamic: cores and network on chip; static power stands apart."""

    costs: str
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    """Events that were counted and for which the cost source states no cost."""
    total: Interval
    parts: Mapping[str, Interval | None]
    """core dynamic, network on chip, static, host; None: unpriced."""
    static_note: str

    @property
    def is_priced(self) -> bool:
        """Whether any event has a cost; else ``total`` says nothing."""
        return bool(self.lines)

    def as_json(self) -> dict[str, Any]:
        """Return what ``report --json`` prints under ``energy``."""
        return {
            "costs": self.costs,
            "badge": BADGE,
            "includes": "core dynamic + network on chip",
            "parts_j": {name: part.as_json() if part else None for name, part in self.parts.items()},
            "unpriced": list(self.unpriced),
            "static": self.static_note,
            "lines": [
                {
                    "event": line.event, "part": line.part, "count": line.count,
                    "cost_j": {"low": line.cost.low, "nominal": line.cost.value, "high": line.cost.high},
                    "energy_j": line.energy.as_json(), "source": line.cost.source, "kind": line.cost.kind,
                }
                for line in self.lines
            ],
        }  # fmt: skip


def estimate(counts: Counts, spec: HardwareSpec, timestep: float, costs: str | None = None) -> Energy:
    """Estimate the energy of all counted samples.

    Args:
        counts: What happened.
        spec: Whose costs are used.
        timestep: Seconds per tick, for static power: the chip is taken to run in real time.
        costs: One of the spec's cost sources; None: its default, or none where it states no costs: all is then unpriced.

    Raises:
        UsageError: The spec has no such cost source (NC0801).
    """
    name = costs or spec.default_costs or UNPRICED
    if name not in spec.costs and (costs is not None or spec.costs):
        message = f"{spec.name} has no cost source '{name}'"
        hint = did_you_mean(name, list(spec.costs)) or f"{spec.file} states no costs"
        raise UsageError(Diagnostic("NC0801", message, hint=hint))
    table, totals = spec.costs.get(name, {}), counts.totals()
    lines, unpriced = [], []
    for event, (part, key) in EVENTS.items():
        number = float(totals[key])
        if event not in table:
            if number:
                unpriced.append(event)
            continue
        cost = table[event]
        lines.append(Line(event, part, number, cost, Interval(number * cost.low, number * cost.value, number * cost.high)))
    parts: dict[str, Interval | None] = {}
    for part in ("core dynamic", "network on chip"):
        own = [line.energy for line in lines if line.part == part]
        parts[part] = sum(own, Interval()) if own else None
    total = sum((line.energy for line in lines), Interval())
    static_note = "unpriced"
    parts["static"] = None
    if "static_power_per_chip" in table:
        power, seconds = table["static_power_per_chip"], counts.ticks * counts.samples * timestep
        parts["static"] = Interval(*(counts.chips * seconds * watts for watts in (power.low, power.value, power.high)))
        chips = "one whole chip" if counts.chips == 1 else f"{counts.chips} whole chips"
        static_note = (
            f"{chips} at {power.low:g} to {power.high:g} W for {counts.ticks} ticks of {timestep:g} s per sample, "
            f"as if in real time ({power.source})"
        )
    parts["host"] = None
    return Energy(name, tuple(lines), tuple(unpriced), total, parts, static_note)
