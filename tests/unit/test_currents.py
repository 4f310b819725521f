"""Constant analog inputs, from the file to the proof: the host computes the first layer, the chip adds it like a bias."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp.api import Compiled
from neurocomp.errors import NetworkError, UnsupportedError
from neurocomp.ir.host import HostCurrent, HostProjection
from neurocomp.ir.network import Network
from neurocomp.models.patterns import Pattern
from neurocomp.passes.host_currents import split_currents
from neurocomp.passes.legalize import legalize

Array = NDArray[Any]

TEXT = """\
neurocomp: 1
name: analog
timestep: 1 ms
ticks: 20
populations:
  image: {kind: input, shape: [1, 4, 4]}
  events: {kind: input, shape: [5]}
  conv: {shape: [2, 3, 3], neuron: {model: lif, tau_mem: 20 ms, reset: subtract}}
  out: {shape: [3], neuron: {model: lif, tau_mem: 10 ms, refractory: 1}}
projections:
  - {from: image, to: conv, pattern: {conv2d: {}}, weights: w.npz#conv, bias: w.npz#bias}
  - {from: events, to: conv, weights: w.npz#events, delay: 1}
  - {from: conv, to: out, weights: w.npz#out}
encode: {image: {scheme: current, gain: 0.5}, events: {scheme: bernoulli, gain: 0.3}}
decode: {out: {scheme: count}}
data: {inputs: {image: d.npz#image, events: d.npz#events}, labels: d.npz#labels}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "w.npz", conv=rng.normal(0.1, 0.4, (2, 1, 2, 2)), bias=np.array([0.05, -0.02]),
        events=rng.normal(0.2, 0.3, (18, 5)), out=rng.normal(0.2, 0.4, (3, 18)),
    )  # fmt: skip
    np.savez(
        tmp_path / "d.npz", image=rng.random((12, 1, 4, 4)), events=rng.random((12, 5)), labels=rng.integers(0, 3, 12)
    )  # fmt: skip
    return tmp_path


def load(folder: Path, text: str = TEXT) -> Network:
    (folder / "net.yaml").write_text(text)
    network = neurocomp.load(folder / "net.yaml")
    assert isinstance(network, Network)
    return network


def compiled(folder: Path, text: str = TEXT, **options: Any) -> Compiled:
    return neurocomp.compile(load(folder, text), target="loihi", **options)


def test_all_engines_agree_and_the_accuracy_is_that_of_real_numbers(folder: Path) -> None:
    one = compiled(folder)
    report = one.verify(["reference", "chip"], count=12)
    assert report.bit_exact
    assert report.spikes_compared > 100
    assert not report.lossy
    spikes = {name: one.run(name, probe="all").arrays for name in ("float", "reference", "chip")}
    for name in ("spikes/conv", "spikes/out"):
        assert np.array_equal(spikes["reference"][name], spikes["chip"][name])
        assert np.abs(spikes["float"][name].sum((1, 2)) - spikes["chip"][name].sum((1, 2))).max() <= 12
    assert "spikes/image" not in spikes["chip"]
    assert one.evaluate().samples == 12


def test_the_potential_gets_what_the_host_computed(folder: Path) -> None:
    """By hand: in the first tick of its window, v is the rounded weighted sum of the sample."""
    text = TEXT.replace("  - {from: events, to: conv, weights: w.npz#events, delay: 1}\n", "").replace(
        "  events: {kind: input, shape: [5]}\n", ""
    )
    text = text.replace(", events: {scheme: bernoulli, gain: 0.3}", "").replace(", events: d.npz#events", "")
    one = compiled(folder, text)
    weights, image = np.load(folder / "w.npz"), np.load(folder / "d.npz")["image"]
    windows = np.lib.stride_tricks.sliding_window_view(image[:, 0], (2, 2), axis=(1, 2))
    sums = np.einsum("nyxij,oij->noyx", windows, weights["conv"][:, 0]) * 0.5 + weights["bias"][:, None, None]
    run = one.run("chip", probe="all", state=True)
    scale = one.artifact.integers.scales["conv"].scale * 64
    quiet = run.arrays["spikes/conv"][:, 0] == 0
    expected = np.rint(sums * scale)
    found = run.arrays["v/conv"][:, 0]
    assert quiet.sum() > 50
    assert np.abs(found - expected)[quiet].max() <= 2**7  # at most half a step of the largest exponent, here far less
    assert np.abs(found - expected)[quiet & (np.abs(expected) < 4096)].max() == 0


def test_an_artifact_keeps_the_host_layer(folder: Path) -> None:
    one = compiled(folder)
    one.save(folder / "net.ncz")
    again = neurocomp.load(folder / "net.ncz")
    assert isinstance(again, Compiled)
    for key, values in one.run("chip", probe="all", state=True).arrays.items():
        assert np.array_equal(again.run("chip", probe="all", state=True).arrays[key], values)


def test_the_host_is_counted(folder: Path) -> None:
    report = compiled(folder).report(count=3).as_json()
    assert report["host_macs"] == 3 * 18 * 4
    assert report["counts"]["host_writes"] == 3 * 18


def test_the_stimulus_may_be_given(folder: Path) -> None:
    one = compiled(folder)
    values = np.broadcast_to(np.linspace(0, 1, 16).reshape(1, 1, 1, 4, 4), (2, 20, 1, 4, 4))
    events = np.zeros((2, 20, 5), np.uint8)
    np.savez(folder / "x.npz", image=values, events=events)
    from_file, from_python = one.run("chip", folder / "x.npz"), one.run("chip", {"image": values, "events": events})
    assert np.array_equal(from_file.arrays["spikes/out"], from_python.arrays["spikes/out"])
    changing = values.copy()
    changing[:, 7] += 0.1
    with pytest.raises(UnsupportedError, match="the current of 'image' changes within a sample, first in tick 7"):
        one.run("chip", {"image": changing, "events": events})


def test_a_value_beyond_the_register_is_refused(folder: Path) -> None:
    one = compiled(folder)
    values, events = np.full((1, 20, 1, 4, 4), 1e5), np.zeros((1, 20, 5), np.uint8)
    with pytest.raises(NetworkError) as caught:
        one.run("chip", {"image": values, "events": events})
    assert caught.value.diagnostics[0].code == "NC0332"
    assert "the constant current of 'conv[" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "model: lif, tau_mem: 20 ms, reset: subtract",
            "model: cuba_lif, tau_mem: 20 ms, tau_syn: 5 ms",
            "projection 'image->conv': the constant current of 'image' enters 'conv', which has a synaptic current of its own",
        ),
        (
            "weights: w.npz#conv,",
            "weights: w.npz#conv, delay: 2,",
            "projection 'image->conv': the constant current of 'image' has a delay, and a bias has none",
        ),
        (
            "pattern: {conv2d: {}}, weights: w.npz#conv, bias: w.npz#bias",
            "pattern: [{maxpool2d: 2}, dense], weights: w.npz#pooled",
            "projection 'image->conv': the constant current of 'image' passes a maximum",
        ),
    ],
)
def test_what_a_bias_cannot_stand_for(folder: Path, old: str, new: str, message: str) -> None:
    arrays = dict(np.load(folder / "w.npz"))
    np.savez(folder / "w.npz", pooled=np.ones((18, 4)), **arrays)
    network = load(folder, TEXT.replace(old, new))
    with pytest.raises(UnsupportedError) as caught:
        split_currents(legalize(network)[0])
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message) == ("NC0330", message)
    assert problem.hint


def test_integers_are_what_a_bias_register_holds() -> None:
    weights = np.array([[1.0], [2.0]])
    q = HostProjection("a->b", "a", (1,), Pattern("dense"), weights, np.array([0.0, 1.0]))
    current = HostCurrent("b.current", "b", (2,), (q,), np.asarray(10.0), 4, 2)
    values = np.array([[0.04], [0.75], [-1.5], [2.45]])
    assert current.integers({"a": values}).tolist() == [[0, 11], [8, 26], [-15, -20], [24, 60]]
    assert current.macs == 2
    with pytest.raises(NetworkError):
        current.integers({"a": np.array([[6.1]])})


def test_the_exported_host_layer_is_enough_to_make_its_integers(folder: Path) -> None:
    """By docs/integers.md alone: a convolution in loops, rounded as the page says, is what the chip's trace shows."""
    one = compiled(folder)
    arrays = one.export_integers(folder / "x.npz")
    with np.load(folder / "x.npz", allow_pickle=False) as stored:
        (layer,) = json.loads(str(stored["host"]))
        name = layer["population"]
        weights, bias = stored[f"host/{name}/image->conv/weights"], stored[f"host/{name}/image->conv/bias"]
        scale = stored[f"host/{name}/scale"]
    assert set(arrays) >= {"host", f"host/{name}/scale"}
    x = np.load(folder / "d.npz")["image"] * 0.5
    sums = np.zeros((len(x), 2, 3, 3))
    for o in range(2):
        for i in range(3):
            for j in range(3):
                sums[:, o, i, j] = (x[:, 0, i : i + 2, j : j + 2] * weights[o, 0]).sum(axis=(1, 2))
    real = (sums.reshape(len(x), -1) + bias) * scale
    expected = []
    for r in np.rint(real).astype(int).ravel().tolist():
        top, e = (1 << layer["mantissa_bits"]) - 1, 0
        while abs(r) > top << e:
            e += 1
        magnitude = min((abs(r) + ((1 << e) >> 1)) >> e, top) << e
        expected.append(magnitude if r >= 0 else -magnitude)
    made = one.artifact.integers.currents[name].integers({"image": x.reshape(len(x), -1)})
    assert made.ravel().tolist() == expected
