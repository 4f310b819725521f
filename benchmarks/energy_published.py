"""Published measurements of chips, and what our estimates say to the events that are published with them.

Only measurements with a census of events: what a network did has to be known to price it. The census goes through
`neurocomp.energy.joules.estimate` with the costs of the specs, as the counts of a simulation do. Where a census is an interval,
``low`` has its smallest numbers and ``high`` its largest. Both take in half a unit of the last digit to which the measurement
is printed; ``cost_low`` and ``cost_high`` are without that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurocomp.energy.counts import PER_CORE, Counts
from neurocomp.energy.joules import Energy, Interval, estimate
from neurocomp.hardware import HardwareSpec, Sourced
from neurocomp.registry import find_spec


@dataclass(frozen=True)
class Row:
    """One measurement beside its estimate; all in ``unit``."""

    measured: float
    printed: float
    """Half a unit of the last digit of the measurement."""
    unit: str
    estimated: Interval
    costs: str
    source: str
    note: str

    def as_json(self) -> dict[str, Any]:
        """Return what the benchmark prints."""
        low, high = self.estimated.low - self.printed, self.estimated.high + self.printed
        return {
            "measured": self.measured, "estimated": self.estimated.nominal, "low": low, "high": high, "unit": self.unit,
            "misfit_percent": 100 * (self.estimated.nominal / self.measured - 1), "covers": low <= self.measured <= high,
            "cost_low": self.estimated.low, "cost_high": self.estimated.high, "costs": self.costs, "source": self.source,
            "note": self.note,
        }  # fmt: skip


def census(**events: float) -> Counts:
    """Return counts of a chip of which nothing else is known: so many events in one long tick."""
    none = np.zeros((1, 1, 1), np.int64)
    per_core = dict.fromkeys(PER_CORE, none) | {name: np.full((1, 1, 1), round(number)) for name, number in events.items()}
    zero = np.zeros(1, np.int64)
    return Counts(1, 1, per_core, {}, {}, {}, {}, {}, zero, zero, zero, 1)


def power(energy: Energy) -> Interval:
    """Return static and dynamic watts of counts that took a second."""
    static = energy.parts["static"]
    assert static is not None
    return energy.total + static


# TrueNorth: power over rate

TRUENORTH_SWEEP = {11.58: 68e-3, 20.07: 71e-3, 95.93: 94e-3}
"""Hz -> watts at 0.8 V (Akopyan 2015, Fig. 17): three networks on the whole chip, 128 synapses per neuron."""
TRUENORTH_SYNAPSES = 128


def truenorth() -> Iterator[tuple[str, Row]]:
    """Yield the sweep: every neuron of a full chip spikes at the rate, and every spike meets 128 synapses."""
    spec = find_spec("truenorth")
    neurons = spec.limit("cores_per_chip") * spec.limit("neurons")
    for rate, watts in TRUENORTH_SWEEP.items():
        # In one second, so that joules are watts.
        counts = census(synaptic_events=neurons * rate * TRUENORTH_SYNAPSES, spikes=neurons * rate, updates=neurons * 1000)
        note = (
            "held out of the fit of the costs" if rate == 20.07 else "one of the two points of the fit: its misfit says nothing"
        )
        yield (
            f"truenorth, {rate:g} Hz",
            Row(
                1e3 * watts,
                0.5,
                "mW",
                power(estimate(counts, spec, 1.0)) * 1e3,
                spec.default_costs,
                "akopyan2015, Fig. 17",
                note,
            ),
        )


# Loihi: nearest neighbours

PATTERNS, STEPS = 76_800, 60
SPIKES = (667, 708.5, 750)
"""Input spikes of a query, each sent to all patterns: a quarter to a third of 1000 components is removed; the middle of it."""
K_NN_JOULES = 1.33e-3
K_NN_NOTES = {
    "loihi": "its low end for a synaptic event was set by this measurement: that it covers it is no test",
    "davies2018": "minima and maxima before silicon, without an interval: only the census has one here",
    "sanafe": "fitted to other networks on another board, without an interval: only the census has one here",
}


def k_nn() -> Iterator[tuple[str, Row]]:
    """Yield the dynamic energy of the cores for a query.

    Which updates were active is not published. Every input spike goes to all patterns and there are eleven and more in a
    tick, so nearly all are; the low end takes them all as inactive. Messages and hops are not published and left out.
    """
    spec = find_spec("loihi")
    for costs in ("loihi", "davies2018", "sanafe"):
        few, mean, many = (spikes * PATTERNS for spikes in SPIKES)
        updates = PATTERNS * STEPS
        quiet = estimate(census(synaptic_events=few, updates=updates), spec, 1.0, costs).total
        usual = estimate(census(synaptic_events=mean, updates=updates, updates_active=updates), spec, 1.0, costs).total
        busy = estimate(census(synaptic_events=many, updates=updates, updates_active=updates), spec, 1.0, costs).total
        yield f"loihi k-nn, costs {costs}", Row(
            1e3 * K_NN_JOULES, 0.005, "mJ", Interval(quiet.low, usual.nominal, busy.high) * 1e3, costs,
            "frady2020, Tables 1 and 2: 76,800 patterns, neuro dynamic", K_NN_NOTES[costs],
        )  # fmt: skip


# ODIN

ODIN_SOURCE = "C. Frenkel et al., IEEE TBioCAS 13(1), 2019, Fig. 8b, at 0.55 V"
ODIN_POINTS = {"75 MHz": (75.0, 37.5e6, 477e-6), "1.3 MHz": (1.3, 650e3, 35e-6)}
"""Clock in MHz, synaptic operations per second, watts: at the faster one an operation every second cycle, which is the most;
at the slower one 256 neurons at 10 Hz with 256 synapses each."""


def odin_spec(clock: float) -> HardwareSpec:
    """Return the costs of ODIN at a clock in MHz: no spec of the chip, only what `estimate` reads.

    Its cores have weights of 3 bits at each crossing, which no family of the specs has. Constants are printed with three
    digits; low and high are half a unit of the last one away.
    """

    def printed(value: float, half: float) -> Sourced:
        return Sourced(value, ODIN_SOURCE, "measured", value - half, value + half, "")

    static = printed(27.3e-6 + 1.78e-6 * clock, 0.05e-6 + 0.005e-6 * clock)
    table = {"synaptic_event": printed(8.43e-12, 0.005e-12), "static_power_per_chip": static}
    return replace(find_spec("truenorth"), name="odin", costs={"frenkel2019": table}, default_costs="frenkel2019")


def odin() -> Iterator[tuple[str, Row]]:
    """Yield both operating points that are published."""
    for name, (clock, rate, watts) in ODIN_POINTS.items():
        found = power(estimate(census(synaptic_events=rate), odin_spec(clock), 1.0))
        note = "costs alone, in the benchmark: no spec of the chip is shipped"
        yield f"odin, {name}", Row(1e6 * watts, 0.5, "uW", found * 1e6, "frenkel2019", "frenkel2019, section IV-A", note)


def measure() -> Mapping[str, dict[str, Any]]:
    """Return all rows."""
    return {name: row.as_json() for rows in (truenorth(), k_nn(), odin()) for name, row in rows}
