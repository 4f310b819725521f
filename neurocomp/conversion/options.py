"""What a conversion is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NORMALIZATIONS = ("none", "model", "data", "percentile")
RESETS = ("subtract", "zero")
INPUTS = ("current", "rate", "bernoulli", "poisson")
MAXIMA = ("refuse", "average", "spikes")
STARTS = ("half", "zero")
READOUTS = ("potential", "count")


@dataclass(frozen=True, slots=True)
class Options:
    """How an artificial network becomes a spiking one."""

    normalize: Literal["none", "model", "data", "percentile"] = "percentile"
    percentile: float = 99.9
    reset: Literal["subtract", "zero"] = "subtract"
    input: Literal["current", "rate", "bernoulli", "poisson"] = "current"
    max_pool: Literal["refuse", "average", "spikes"] = "refuse"
    """``average``: the average of the window; ``spikes``: the maximum of the spikes of a tick."""
    start: Literal["half", "zero"] = "half"
    """The potential at the start, of the threshold."""
    readout: Literal["potential", "count"] = "potential"
    """What is read of outputs that have no ReLU of their own."""
    ticks: int = 64
    timestep: float = 1e-3
    """Length of a tick, in seconds."""
