"""Edges that an outside reader found: each was once accepted in silence, or ended in an internal error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp
from neurocomp import api, registry
from neurocomp.api import Compiled
from neurocomp.errors import EngineUnavailable, NetworkError, UnsupportedError, UsageError
from neurocomp.frontends.from_yaml import loads
from neurocomp.hardware import HardwareSpec, load_spec
from neurocomp.ir.network import Network
from neurocomp.report import terminal

NET = """neurocomp: 1
name: edge
timestep: 1 ms
ticks: {ticks}
populations:
  x: {{kind: input, shape: [2]}}
  a: {{shape: [2], neuron: {{model: {model}{more}}}}}
projections:
  - {{from: x, to: a, weights: {weights}}}
{tail}"""


def network(
    folder: Path, ticks: int = 6, model: str = "if", more: str = "", weights: str = "[[1, 2], [3, -1]]", tail: str = ""
) -> Network:
    """Return a network of two inputs and two neurons."""
    return loads(NET.format(ticks=ticks, model=model, more=more, weights=weights, tail=tail), folder)


def changed(old: str, new: str) -> HardwareSpec:
    """Return Loihi's spec with other text."""
    text = registry.find_spec("loihi").text
    assert old in text
    return load_spec(text.replace(old, new), "my.yaml")


def compiled(net: Network, spec: HardwareSpec, tmp_path: Path) -> Compiled:
    """Compile for a spec of the user's own."""
    path = tmp_path / "my.yaml"
    path.write_text(spec.text)
    return api.compile(net, str(path))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (", reset: {value: 0.5}", "NC0301"),
        (", threshold_on: old", "NC0304"),
        (", reset_when: next_tick", "NC0304"),
        (", spikes_per_tick: many", "NC0305"),
        (", v_floor: 0", "NC0306"),
    ],
)
def test_a_spec_cannot_promise_what_the_backend_does_not_lower(tmp_path: Path, more: str, code: str) -> None:
    """Words under `native` that the backend does not know are not compiled into something else."""
    spec = changed("reset: [zero]", 'reset: [zero, value]\n  v_floor: ["yes"]')
    for old, new in (("[new]", "[new, old]"), ("[one]", "[one, many]"), ("[same_tick]", "[same_tick, next_tick]")):
        assert old in spec.text
        spec = load_spec(spec.text.replace(old, new), "my.yaml")
    with pytest.raises(UnsupportedError) as caught:
        compiled(network(tmp_path, more=more), spec, tmp_path)
    assert [d.code for d in caught.value.diagnostics] == [code]


@pytest.mark.lava
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("state_shift: 6", "state_shift: 4", "state_shift 4, not 6"),
        ("current_decay_offset: 1", "current_decay_offset: 0", "current_decay_offset 0, not 1"),
        ("u_overflow: fold", "u_overflow: wrap", "u_overflow wrap, not fold"),
        ("v_bits: 24", "v_bits: 20", "v_bits 20, not 24"),
    ],
)
def test_lava_only_computes_its_own_arithmetic(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """A chip of other widths is verified without Lava, which says why; asked for by name it is refused."""
    made = compiled(network(tmp_path), changed(old, new), tmp_path)
    report = made.verify(count=2)
    assert report.bit_exact
    assert report.engines == ("reference", "fast", "chip")
    assert report.skipped["lava"] == f"Lava's arithmetic is not that of 'loihi': {reason}"
    with pytest.raises(EngineUnavailable, match="is not available: Lava's arithmetic"):
        made.run("lava", made.random_stimulus(1))


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    """A trace does not overwrite weights; it does overwrite another trace."""
    weights = tmp_path / "w.npz"
    np.savez(weights, w1=np.ones(3))
    before = weights.read_bytes()
    made = neurocomp.compile(network(tmp_path))
    run = made.run("chip", made.random_stimulus(1))
    with pytest.raises(UsageError, match=r"holds w1, which are not results of neurocomp; it is not replaced"):
        run.save(weights)
    assert weights.read_bytes() == before
    run.save(tmp_path / "t.npz")
    run.save(tmp_path / "t.npz")
    made.export_integers(tmp_path / "t.npz")
    made.export_integers(tmp_path / "t.npz")


def test_a_network_needs_neurons(tmp_path: Path) -> None:
    """Inputs alone are no network."""
    text = "neurocomp: 1\nname: empty\ntimestep: 1 ms\nticks: 1\npopulations:\n  x: {kind: input, shape: [3]}\n"
    with pytest.raises(NetworkError, match="the network 'empty' has no neurons, only inputs"):
        loads(text, tmp_path)


@pytest.mark.parametrize("scheme", ["count", "first_spike"])
def test_readouts_have_no_spikes_to_decode(tmp_path: Path, scheme: str) -> None:
    """A decoder of spikes on a population that never spikes would answer 0 for ever."""
    with pytest.raises(NetworkError) as caught:
        network(tmp_path, model="i", tail=f"decode: {{a: {{scheme: {scheme}}}}}\n")
    expected = f"decoder of 'a': '{scheme}' reads spikes, and the model 'i' never spikes"
    assert caught.value.diagnostics[0].message == expected


def test_labels_are_neurons(tmp_path: Path) -> None:
    """A label beyond the decoded population is a mistake, not a wrong answer."""
    np.savez(tmp_path / "d.npz", x=np.ones((3, 2)), y=np.array([0, 1, 7]))
    tail = "encode: {x: {scheme: rate}}\ndecode: {a: {scheme: count}}\ndata: {inputs: {x: d.npz#x}, labels: d.npz#y}\n"
    with pytest.raises(NetworkError, match=r"label 7 lies outside 0\.\.1, the neurons of 'a'"):
        api.evaluate_network(network(tmp_path, tail=tail))


def test_numbers_wider_than_64_bits(tmp_path: Path) -> None:
    """A long double fits no artifact."""
    np.save(tmp_path / "w.npy", np.ones((2, 2), np.longdouble))
    with pytest.raises(NetworkError) as caught:
        network(tmp_path, weights="w.npy")
    assert caught.value.diagnostics[0].code == "NC0207"


def test_vanishing_weights_are_a_warning(tmp_path: Path) -> None:
    """Weights far below every scale become 0, and it is said."""
    made = neurocomp.compile(network(tmp_path, weights="[[1.0e-320, 1.0e-320], [1.0e-320, 1.0e-320]]"))
    assert made.artifact.integers.network.projections[0].mantissa.any() == np.False_
    assert any("round" in warning for warning in made.artifact.integers.warnings)


def test_a_chip_without_bias_refuses_one(tmp_path: Path) -> None:
    """A spec with no bias bits takes networks without bias; another one is told which population has one."""
    spec = changed("bias_bits: 12", "bias_bits: 0")
    made = compiled(network(tmp_path), spec, tmp_path)
    assert made.verify(["chip"], count=3).bit_exact
    biased = network(tmp_path, weights="[[1, 2], [3, -1]], bias: [0.25, 0]")
    with pytest.raises(UnsupportedError, match="population 'a' has a bias; 'loihi' has none"):
        compiled(biased, spec, tmp_path)


def test_one_bit_holds_no_two_signs(tmp_path: Path) -> None:
    """A spec with one weight bit takes weights of one sign alone."""
    spec = changed("weight_bits: 8", "weight_bits: 1")
    with pytest.raises(UnsupportedError) as caught:
        compiled(network(tmp_path), spec, tmp_path)
    for diagnostic in caught.value.diagnostics:
        assert re.fullmatch(r"projection '\S+': weights of both signs need at least 2 bits; 'loihi' has 1", diagnostic.message)
        assert diagnostic.location is not None
    made = compiled(network(tmp_path, weights="[[1, 1], [1, 1]]"), spec, tmp_path)
    assert made.verify(["chip"], count=3).bit_exact


def test_the_report_counts_the_ticks_that_ran(tmp_path: Path) -> None:
    """A stimulus of another length is reported with its own ticks."""
    made = neurocomp.compile(network(tmp_path))
    document: dict[str, Any] = made.report(inputs={"x": np.ones((1, 3, 2), np.int8)}).as_json()
    assert (document["ticks"], document["chip_ticks"]) == (3, 4)


def test_long_samples_compile_at_once(tmp_path: Path) -> None:
    """Proofs and calibration do not walk through a billion ticks; a leak is proved, an integrator is not."""
    made = neurocomp.compile(network(tmp_path, ticks=1_000_000_000, model="lif", more=", tau_mem: 20 ms"))
    kinds = {v.register: v.kind for v in made.artifact.integers.verdicts}
    assert kinds == dict.fromkeys(("accumulator", "u", "v"), "proved always")
    made = neurocomp.compile(network(tmp_path, ticks=1_000_000_000))
    assert {v.register: v.kind for v in made.artifact.integers.verdicts}["v"] == "observed"


def test_data_without_an_encoder(tmp_path: Path) -> None:
    """Data that nothing encodes cannot calibrate; the network compiles, and running them says what is missing."""
    np.savez(tmp_path / "d.npz", x=np.ones((3, 2)))
    made = neurocomp.compile(network(tmp_path, tail="data: {inputs: {x: d.npz#x}}\n"))
    assert made.artifact.notes[0] == "not calibrated: an input has no encoder for its data; ranges rest on proofs alone"
    with pytest.raises(NetworkError, match="input 'x' has data but no encoder"):
        made.run("chip")


def test_proofs_say_for_how_long(tmp_path: Path) -> None:
    """An integrator with small weights is proved for its samples, not for ever."""
    made = neurocomp.compile(network(tmp_path))
    kinds = {v.register: v.kind for v in made.artifact.integers.verdicts}
    assert kinds["v"] == "proved for T ticks"
    text = terminal.verdicts(made.artifact.integers.verdicts)
    assert text == "all 3 registers are proved never to clip or wrap in samples of up to 6 ticks"
