"""What the TrueNorth backend can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neurocomp.backend import Options

Weights = Literal["auto", "trinary", "int4", "int5", "int6", "int8", "codebook2", "codebook3", "codebook4"]


@dataclass(frozen=True, slots=True)
class TrueNorthOptions(Options):
    """Options of this backend."""

    weights: Weights = "auto"
    """The levels of weights; ``auto``: the cheapest that represents a population's weights exactly, or else ``int4``."""
    partial_sums: bool = False
    """Whether fan-in beyond a core's axons is cut into rate-coded partial sums, which is lossy."""
    approximate_leak: bool = False
    """Whether exponential leaks become the linear leak that changes the least, which is lossy."""
    fan_out: Literal["auto", "duplicate", "split"] = "auto"
    """How a neuron reaches several axons: copies of it, relays on splitter cores, or what takes fewer cores."""
    compare: Literal["exact", "ge"] = "exact"
    """What becomes of ``>`` where no threshold of ``>=`` gives the same spikes: refused, or taken for ``>=``."""
