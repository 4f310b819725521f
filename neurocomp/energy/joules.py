"""Energy: counts times sourced costs, each with its interval; what has no published cost is named as unpriced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    "word_read": ("core dynamic", "words_read"),
    "packet": ("network on chip", "packets"),
    "packet_received": ("network on chip", "packets_received"),
    "hop_x": ("network on chip", "hops_x"),
    "hop_y": ("network on chip", "hops_y"),
    "chip_crossing": ("network on chip", "chip_crossings"),
}
"""Cost of a spec -> (part of the energy, count that it multiplies)."""

PART_OF_ANOTHER = ("packet_received", "word_read")
"""Events that no source prices yet whose energy is taken to lie within that of others: no price of them is missed."""

POWERS = {"static": "static_power_per_chip", "host": "host_power_per_chip"}
"""Part of the energy -> watts per chip that a spec states."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A quantity, joules unless it says otherwise, with its range."""

    low: float = 0.0
    nominal: float = 0.0
    high: float = 0.0

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def __mul__(self, factor: float) -> Interval:
        return Interval(self.low * factor, self.nominal * factor, self.high * factor)

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
class Power:
    """What is drawn all the time."""

    part: str
    """``static`` or ``host``."""
    watts: Sourced
    """Of a chip."""


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """The estimate over all counted samples. ``total`` is dynamic: cores and network on chip; the powers stand apart."""

    costs: str
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    """Events that were counted and for which the cost source states no cost."""
    total: Interval
    of_samples: NDArray[np.float64]
    """Nominal dynamic joules of each sample, (samples,)."""
    powers: tuple[Power, ...]
    chips: int
    ticks: int
    """Chip ticks of all samples together."""
    timestep: float
    """Seconds of a chip tick in real time."""

    @property
    def is_priced(self) -> bool:
        """Whether any event has a cost; else ``total`` says nothing."""
        return bool(self.lines)

    @property
    def parts(self) -> dict[str, Interval | None]:
        """Return core dynamic, network on chip, and static and host in real time; None: unpriced."""
        parts: dict[str, Interval | None] = {}
        for part in ("core dynamic", "network on chip"):
            own = [line.energy for line in self.lines if line.part == part]
            parts[part] = sum(own, Interval()) if own else None
        seconds = self.ticks * self.timestep
        return parts | self.drawn(Interval(seconds, seconds, seconds))

    def drawn(self, seconds: Interval) -> dict[str, Interval | None]:
        """Return the joules of the powers over some time, part by part; None: unpriced."""
        found: dict[str, Interval | None] = dict.fromkeys(POWERS)
        for power in self.powers:
            w = power.watts
            found[power.part] = Interval(w.low * seconds.low, w.value * seconds.nominal, w.high * seconds.high) * self.chips
        return found

    @property
    def static_note(self) -> str:
        """What static energy is for, or ``unpriced``."""
        power = next((power.watts for power in self.powers if power.part == "static"), None)
        if power is None:
            return "unpriced"
        chips = "one whole chip" if self.chips == 1 else f"{self.chips} whole chips"
        ticks = self.ticks // max(1, len(self.of_samples))
        return (
            f"{chips} at {power.low:g} to {power.high:g} W for {ticks} ticks of {self.timestep:g} s per sample, "
            f"as if in real time ({power.source})"
        )

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
            "powers": [
                {
                    "part": power.part, "per_chip_w": {
                        "low": power.watts.low, "nominal": power.watts.value, "high": power.watts.high
                    }, "chips": self.chips, "source": power.watts.source, "kind": power.watts.kind,
                }
                for power in self.powers
            ],
        }  # fmt: skip


def table_of(spec: HardwareSpec, costs: str | None) -> tuple[str, Mapping[str, Sourced]]:
    """Return the name and the costs of one of a spec's cost sources; None: of its default, or none where it states no costs.

    Raises:
        UsageError: The spec has no such cost source (NC0801).
    """
    name = costs or spec.default_costs or UNPRICED
    if name not in spec.costs and (costs is not None or spec.costs):
        message = f"{spec.name} has no cost source '{name}'"
        hint = did_you_mean(name, list(spec.costs)) or f"{spec.file} states no costs"
        raise UsageError(Diagnostic("NC0801", message, hint=hint))
    return name, spec.costs.get(name, {})


def estimate(counts: Counts, spec: HardwareSpec, timestep: float, costs: str | None = None) -> Energy:
    """Estimate the energy of all counted samples.

    Args:
        counts: What happened.
        spec: Whose costs are used.
        timestep: Seconds per chip tick, for the powers: the chip is taken to run in real time.
        costs: One of the spec's cost sources; None: its default, or none where it states no costs: all is then unpriced.

    Raises:
        UsageError: The spec has no such cost source (NC0801).
    """
    name, table = table_of(spec, costs)
    totals, per_sample = counts.totals(), counts.per_sample()
    of_samples = np.zeros(counts.samples)
    lines, unpriced = [], []
    for event, (part, key) in EVENTS.items():
        number = float(totals[key])
        if event not in table:
            if number and event not in PART_OF_ANOTHER:
                unpriced.append(event)
            continue
        cost = table[event]
        lines.append(Line(event, part, number, cost, Interval(cost.low, cost.value, cost.high) * number))
        of_samples += per_sample[key] * cost.value
    total = sum((line.energy for line in lines), Interval())
    powers = tuple(Power(part, table[event]) for part, event in POWERS.items() if event in table)
    ticks = counts.ticks * counts.samples
    return Energy(name, tuple(lines), tuple(unpriced), total, of_samples, powers, counts.chips, ticks, timestep)
