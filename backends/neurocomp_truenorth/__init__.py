"""The TrueNorth backend: lowering to crossbars, core tables, their simulation, and the formats of other tools."""

from __future__ import annotations

from neurocomp_truenorth.backend import TrueNorthBackend

__all__ = ["TrueNorthBackend"]
