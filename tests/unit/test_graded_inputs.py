"""Inputs whose spikes carry a value: native on Loihi 2, an extension on Loihi 1, exact in every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
from neurocomp.api import Compiled
from neurocomp.errors import NetworkError, UnsupportedError
from neurocomp.ir.network import Network

TEXT = """\
neurocomp: 1
name: graded
timestep: 1 ms
ticks: 9
populations:
  x: {kind: input, shape: [1, 4, 4]}
  a: {shape: [2, 3, 3], neuron: {model: cuba_lif, tau_mem: 10 ms, tau_syn: 4 ms}}
  b: {shape: [3], neuron: {model: cuba_lif, format: loihi, du: 409, dv: 128, vth: 900}}
projections:
  - {from: x, to: a, pattern: {conv2d: {}}, weights: w.npz#conv}
  - {from: x, to: b, weights: w.npz#native, weight_bits: 8, delay: 2}
  - {from: a, to: b, weights: w.npz#out}
encode: {x: {scheme: graded, largest: 20}}
data: {inputs: {x: d.npz#x}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    np.savez(
        tmp_path / "w.npz", conv=rng.normal(0.03, 0.05, (2, 1, 2, 2)), native=2 * rng.integers(-8, 14, (3, 16)),
        out=2 * rng.integers(-20, 60, (3, 18)),
    )  # fmt: skip
    np.savez(tmp_path / "d.npz", x=rng.integers(-20, 21, (7, 9, 1, 4, 4)))
    return tmp_path


def load(folder: Path, text: str = TEXT) -> Network:
    (folder / "net.yaml").write_text(text)
    network = neurocomp.load(folder / "net.yaml")
    assert isinstance(network, Network)
    return network


@pytest.mark.parametrize("target", ["loihi", "loihi2"])
def test_values_multiply_weights_in_every_engine(folder: Path, target: str) -> None:
    options: dict[str, Any] = {"extensions": ("graded",)} if target == "loihi" else {}
    one: Compiled = neurocomp.compile(load(folder), target=target, **options)
    report = one.verify(["reference", "chip"], count=7)
    assert report.bit_exact
    assert not report.lossy
    assert report.spikes_compared > 100
    assert one.artifact.lowered.extensions == (("graded",) if target == "loihi" else ())
    v = {engine: one.run(engine, probe="all", state=True).arrays["v/a"][:, 0] for engine in ("float", "chip")}
    scale = one.artifact.integers.scales["a"].scale * 64
    quiet = np.abs(v["float"]) < 0.9  # the first tick, before any reset: the value times the weights, rounded as those are
    assert quiet.sum() > 50
    assert np.abs(v["chip"] / scale - v["float"])[quiet].max() < 0.05


def test_loihi_1_asks_for_the_extension(folder: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(load(folder), target="loihi")
    assert {d.code for d in caught.value.diagnostics} == {"NC0318"}
    assert "--allow-extension graded" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (21, "encoder of 'x': sample 3, tick 2, neuron 5 is 21; values are whole numbers in -20..20"),
        (-21, "encoder of 'x': sample 3, tick 2, neuron 5 is -21; values are whole numbers in -20..20"),
        (0.5, "encoder of 'x': sample 3, tick 2, neuron 5 is 0.5; values are whole numbers in -20..20"),
    ],
)
def test_values_are_whole_and_bounded(folder: Path, value: float, message: str) -> None:
    with np.load(folder / "d.npz") as stored:
        x = stored["x"].astype(np.float64 if value == 0.5 else np.int64)
    x.reshape(7, 9, 16)[3, 2, 5] = value
    np.savez(folder / "d.npz", x=x)
    with pytest.raises(NetworkError) as caught:
        neurocomp.compile(load(folder), target="loihi2")
    assert caught.value.diagnostics[0].message == message


def test_no_maximum_of_values(folder: Path) -> None:
    text = TEXT.replace("pattern: {conv2d: {}}, weights: w.npz#conv", "pattern: {maxpool2d: {kernel: 2, stride: 1}}")
    text = text.replace("  - {from: x, to: b,", "  - {from: x, to: b,").replace("shape: [2, 3, 3]", "shape: [1, 3, 3]")
    np.savez(folder / "w.npz", native=np.ones((3, 16), np.int64), out=np.full((3, 9), 2))
    with pytest.raises(UnsupportedError, match="takes a maximum of the spikes of 'x', which carry values"):
        neurocomp.compile(load(folder, text), target="reference")
