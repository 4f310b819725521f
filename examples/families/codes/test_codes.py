"""Every encoder and decoder that is registered is in the family, and what each code keeps of the order of eight values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.families import Measured
from examples.families.codes.family import CODES, TICKS, events, own_spikes, values, waves
from neurocomp.api import evaluate_network
from neurocomp.encoding import DECODERS, ENCODERS

RANDOM = {"bernoulli": 0.8, "poisson": 0.6, "events": 0.59, "event_counts": 0.63}
"""Codes that draw: 32 ticks tell 0.8 from 0.7 so often."""
TIED = {"latency_count": 0.16, "phase": 0.42}
"""A spike each is a tie for a count; 0.8, 0.7, 0.6 and 0.5 all have the first bit, so that the first of them fires first."""


def test_no_code_is_left_out() -> None:
    networks = [code.network() for code in CODES.values()]
    assert {network.encoders["input"].scheme for network in networks} == set(ENCODERS)
    assert {network.decoders["cells"].scheme for network in networks} == set(DECODERS)


def test_the_data_are_what_the_codes_say() -> None:
    """A camera sends 1.5 events of a pixel per tick and value; a user's own encoder as many spikes as its waves have area."""
    sent = events()
    counts = np.stack([np.bincount(row[row[:, 0] >= 0, 1], minlength=8) for row in sent])
    assert np.abs(counts.mean(axis=0) / (1.5 * TICKS * values().mean(axis=0)) - 1).max() < 0.05
    assert np.array_equal(own_spikes().sum(axis=1), np.floor(waves().sum(axis=1)))
    assert own_spikes().max() == 1


@pytest.mark.parametrize("part", CODES)
def test_how_often_a_code_shows_the_largest_value(part: str) -> None:
    found = evaluate_network(CODES[part].network()).accuracy["float"]
    assert found == (RANDOM | TIED).get(part, 1.0)


@pytest.mark.slow
def test_codes(measured: Measured, tmp_path: Path) -> None:
    found = measured("codes")
    parts = {"": found, **found.pop("parts")}
    for name, entry in parts.items():
        for target in ("reference", "loihi", "truenorth"):
            refused = {
                ("rate_potential", "truenorth"): "NC0313",
                ("current", "truenorth"): "NC0323",
                ("graded", "truenorth"): "NC0323",
                ("event_counts", "truenorth"): "NC0323",
                ("graded", "loihi"): "NC0318",
                ("event_counts", "loihi"): "NC0318",
            }.get((name, target))
            assert entry[target]["code"] == refused
            if refused is None:
                assert entry[target]["lowering"] == "exact"
                assert entry[target]["accuracy_fixed"] == entry[target]["accuracy_float"]
            else:
                assert entry[target]["hint"]
    assert {parts[name]["loihi2"]["lowering"] for name in ("graded", "event_counts")} == {"exact"}
    assert "lava" not in parts["latency"]["loihi"]["witness"]
    assert (tmp_path / "codes" / "latency_rank" / "truenorth.ncz").exists()
