"""Directions are told from events, by delays, and from files that cameras write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.families import Measured, families
from examples.families.dvs.family import HERE, bars, synapses
from neurocomp.api import evaluate_network, run_network
from neurocomp.cli import run
from neurocomp.ir.network import frozen


def test_the_shipped_files_are_what_the_script_makes() -> None:
    shipped = np.load(HERE / "bars.npz")
    events, directions = bars(1, 240)
    assert np.array_equal(directions, np.load(HERE / "labels.npy"))
    for key in ("x", "y", "p", "sample"):
        assert np.array_equal(events[key], shipped[key])
    assert np.abs(events["t"].astype(int) - shipped["t"]).max() <= 1
    assert all(np.array_equal(value, np.load(HERE / "synapses.npz")[key]) for key, value in synapses().items())


def test_cells_fire_for_their_direction_and_only_delays_make_them() -> None:
    network = families()["dvs"].parts[""].load()
    assert network.data.samples is not None
    labels = network.data.samples.labels
    spikes = run_network(network, None, count=240).arrays["spikes/cells"].reshape(240, 36, 4, 9).sum(axis=(1, 3))
    counts = np.stack([spikes[labels == direction].mean(axis=0) for direction in range(4)])
    assert counts.diagonal().min() > 8
    assert counts[~np.eye(4, dtype=bool)].max() < 1.5
    (joined,) = network.projections
    at_once = replace(network, projections=(replace(joined, delay=frozen(np.zeros_like(joined.delay))),))
    assert evaluate_network(at_once).accuracy["float"] == 0.25


def test_the_command_line_reads_what_a_camera_wrote(tmp_path: Path) -> None:
    trace = tmp_path / "trace.npz"
    arguments = ["run", str(HERE / "net.yaml"), "--data", f"camera={HERE / 'up.aedat'}", "-o", str(trace)]
    assert run(arguments) == 0
    spikes = np.load(trace)["spikes/cells"]
    assert spikes.shape[:2] == (1, 36)
    assert spikes.reshape(36, 4, 9).sum(axis=(0, 2)).argmax() == 3


@pytest.mark.slow
def test_dvs(measured: Measured) -> None:
    found = measured("dvs")
    assert {target: entry["lowering"] for target, entry in found.items()} == dict.fromkeys(found, "exact")
    assert found["loihi"]["accuracy_float"] == found["loihi"]["accuracy_fixed"] == 1.0
    # Linear leaks stand for exponential ones.
    assert found["truenorth"]["accuracy_fixed"] >= 0.99
    assert 0 < found["truenorth"]["float_distance"] < 0.01
