"""E-prop while a network runs is refused, as its traces need potentials that synapses do not see."""

from __future__ import annotations

from pathlib import Path

from examples.families import Family, Part

FAMILY = Family(
    "E-prop: recurrent weights that learn from errors and eligibility traces",
    "Bellec et al., A solution to the learning dilemma for recurrent networks of spiking neurons,"
    " Nature Communications 11, 2020",
    {"": Part(Path(__file__).parent / "net.yaml", targets=("reference", "loihi", "loihi2", "truenorth"))},
)
"""What becomes of eprop on each chip."""
