"""What a conversion is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NORMALIZATIONS = ("none", "model", "data", "percentile", "spikes")
RESETS = ("subtract", "zero")
INPUTS = ("current", "rate", "bernoulli", "poisson")
MAXIMA = ("refuse", "average", "spikes", "neurons")
CODES = ("rate", "ttfs")
STARTS = ("half", "zero")
READOUTS = ("potential", "count")


@dataclass(frozen=True, slots=True)
class Options:
    """How an artificial network becomes a spiking one."""

    normalize: Literal["none", "model", "data", "percentile", "spikes"] = "percentile"
    percentile: float = 99.9
    reset: Literal["subtract", "zero"] = "subtract"
    input: Literal["current", "rate", "bernoulli", "poisson"] = "current"
    max_pool: Literal["refuse", "average", "spikes", "neurons"] = "refuse"
    """``average``: of the window; ``spikes``: the maximum of the spikes of a tick; ``neurons``: neurons compute it."""
    start: Literal["half", "zero"] = "half"
    """The potential at the start, of the threshold."""
    readout: Literal["potential", "count"] = "potential"
    """What is read of outputs that have no ReLU of their own."""
    code: Literal["rate", "ttfs"] = "rate"
    """What stands for a value: spikes per tick, or the time of the only spike (`neurocomp.conversion.first_spike`)."""
    ticks: int = 64
    """Per sample; of ``ttfs`` per layer."""
    timestep: float = 1e-3
    """Length of a tick, in seconds."""

    @property
    def encoder(self) -> str:
        """The scheme by which data enter."""
        return "latency" if self.code == "ttfs" else self.input
