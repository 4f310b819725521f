"""A phased LSTM is refused, as its gates multiply real numbers."""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

FAMILY = Family(
    "Phased LSTM: memory that opens to change in a phase of an oscillation",
    "Neil, Pfeiffer and Liu, Phased LSTM, NeurIPS 2016",
    {"": Part(Path(__file__).parent / "net.yaml", targets=("reference", "loihi", "loihi2", "truenorth"))},
)
"""What becomes of phased_lstm on each chip."""
