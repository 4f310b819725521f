"""Options of the TrueNorth backend."""

from __future__ import annotations

from dataclasses import dataclass

from neurocomp.backend import Options


@dataclass(frozen=True, slots=True)
class TrueNorthOptions(Options):
    """What the backend can be told."""
