"""What a simulation did, tick by tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from neurocomp.errors import broken_invariant

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A register that clipped or wrapped: how often, and where first."""

    population: str
    register: str
    count: int
    sample: int
    tick: int
    neuron: int


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Spikes and state of a run.

    Arrays have the shape (samples, ticks, n) with neurons in C order of the population's shape; u and v are read after the
    tick, so after the reset. ``windowed``: the run gives only each population's own window (ticks of the user); otherwise all
    chip ticks, of which the window is ``lag .. lag + ticks - 1``.
    """

    engine: str
    ticks: int
    """Ticks per sample in the user's time."""
    lag: Mapping[str, int]
    spikes: Mapping[str, Array]
    u: Mapping[str, Array] = field(default_factory=dict)
    v: Mapping[str, Array] = field(default_factory=dict)
    windowed: bool = False
    events: tuple[Event, ...] = ()
    weights: Mapping[str, Array] = field(default_factory=dict)
    """Projection that learns -> its weights after each sample, (samples, *shape of the weights), at 8-bit scale; without state,
    and where samples go on from one another, after the last one alone."""
    counters: Mapping[str, Array] = field(default_factory=dict)
    """A chip simulation's own counters: event -> (cores, samples) or (cores, samples, ticks)."""

    def verify(self) -> Trace:
        """Check that all arrays are of one run: (samples, ticks, n), as many ticks as the window or the chip needs."""
        longest = self.ticks if self.windowed else self.ticks + max(self.lag.values(), default=0)
        samples = {values.shape[0] for table in (self.spikes, self.u, self.v) for values in table.values()}
        lengths = {values.shape[1] for table in (self.spikes, self.u, self.v) for values in table.values()}
        if len(samples) > 1 or lengths - {longest}:
            raise broken_invariant(
                f"the simulation '{self.engine}'", f"every array has one number of samples and {longest} ticks"
            )
        for table in (self.u, self.v):
            for name, values in table.items():
                if name in self.spikes and self.spikes[name].shape != values.shape:
                    raise broken_invariant(f"the simulation '{self.engine}'", f"state and spikes of '{name}' have one shape")
        return self

    def window(self, values: Array, population: str) -> Array:
        """Return the ticks of the user of one population's array."""
        if self.windowed:
            return values
        lag = self.lag[population]
        return values[:, lag : lag + self.ticks]

    def in_user_time(self) -> Trace:
        """Return the trace without lags."""
        if self.windowed:
            return self

        def cut(table: Mapping[str, Array]) -> dict[str, Array]:
            return {name: self.window(values, name) for name, values in table.items()}

        return Trace(
            self.engine, self.ticks, dict.fromkeys(self.lag, 0), cut(self.spikes), cut(self.u), cut(self.v),
            True, self.events, self.weights, self.counters,
        )  # fmt: skip
