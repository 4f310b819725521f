"""Each feature of a neuron through the whole compiler: what is lowered equals the integers before it, and the chip's bytes it.

`verify` compares the quantized with the lowered network (in the user's time) and the lowered one with the simulation of the
emitted bytes, in spikes, u and v.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import api, registry
from neurocomp.backend import MappingPlan
from neurocomp.errors import UnsupportedError
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Network
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection, QuantizedNetwork
from neurocomp.models.patterns import Pattern
from neurocomp.passes.ranges import verdicts
from neurocomp_loihi import LoihiBackend
from neurocomp_loihi.lower import LoihiOptions
from neurocomp_reference import ReferenceSimulator

NET = """neurocomp: 1
name: features
timestep: 1 ms
ticks: 24
populations:
  x: {kind: input, shape: [6]}
  a: {shape: [9], neuron: {FIRST}}
  b: {shape: [5], neuron: {SECOND}}
projections:
  - {from: x, to: a, weights: w.npz#xa, bias: w.npz#bias}
  - {from: a, to: a, weights: w.npz#aa, delay: 2}
  - {from: a, to: b, weights: w.npz#ab}
  - {from: b, to: a, weights: w.npz#ba, delay: 3}
"""
LIF = "model: lif, tau_mem: 9 ms, v_threshold: 1.0"
CUBA = "model: cuba_lif, tau_syn: 4 ms, tau_mem: 9 ms, v_threshold: 1.0"


def network(folder: Path, first: str, second: str = LIF + ", reset: zero") -> Network:
    rng = np.random.default_rng(11)
    shapes = {"xa": (9, 6), "aa": (9, 9), "ab": (5, 9), "ba": (9, 5)}
    arrays = {name: rng.normal(0.15, 0.4, shape) for name, shape in shapes.items()}
    np.savez(folder / "w.npz", **arrays, bias=rng.normal(0.05, 0.03, 9))  # type: ignore[arg-type]
    return loads(NET.replace("{FIRST}", f"{{{first}}}").replace("{SECOND}", f"{{{second}}}"), folder)


def stimulus() -> dict[str, NDArray[Any]]:
    return {"x": (np.random.default_rng(5).random((6, 24, 6)) < 0.35).astype(np.int8)}


@pytest.mark.parametrize("target", ["loihi", "loihi2"])
@pytest.mark.parametrize(
    "first",
    [
        LIF + ", reset: subtract",
        CUBA + ", reset: subtract, refractory: 2",
        LIF + ", reset: zero, refractory: 3",
        CUBA + ", reset: zero, reset_every: {interval: 7, offset: 0}",
        CUBA + ", reset: subtract, reset_every: {interval: 5, offset: 3}, refractory: 1",
        CUBA + ", reset: zero, v_init: 0.4, u_init: 0.3",
        "model: if, v_threshold: 3.0, reset: subtract, reset_every: {interval: 11, offset: 4}",
    ],
)
def test_a_feature_is_exact(tmp_path: Path, target: str, first: str) -> None:
    compiled = api.compile(network(tmp_path, first, first), target)
    report = compiled.verify(["reference", "chip"], inputs=stimulus())
    assert (report.bit_exact, report.first_divergence, report.lossy) == (True, None, {})
    assert report.spikes_compared > 400
    compartments = {p.compartments for p in compiled.artifact.lowered.network.populations.values() if not p.is_input}
    assert compartments == {2 if target == "loihi" and "subtract" in first else 1}
    assert report.not_on_this_chip == ()


WHOLE = """neurocomp: 1
name: whole
timestep: 1 ms
ticks: 24
populations:
  x: {kind: input, shape: [6]}
  a: {shape: [9], neuron: {model: if, format: loihi, vth: THRESHOLDS, bias_mant: 1, bias_exp: 6, compare: ">=", reset: zero}}
projections:
  - {from: x, to: a, weights: w.npz#xa}
"""


def test_at_least_is_exact_on_the_chip(tmp_path: Path) -> None:
    """Potentials meet their thresholds exactly, again and again: with '>' the spikes would be others."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "w.npz", xa=rng.integers(-2, 5, (9, 6)) * 2)
    thresholds = rng.integers(3, 20, 9).tolist()
    net = loads(WHOLE.replace("THRESHOLDS", str(thresholds)), tmp_path)
    report = api.compile(net).verify(["reference", "chip"], inputs=stimulus())
    assert (report.bit_exact, report.lossy) == (True, {})
    spikes = api.compile(net).run("chip", stimulus(), probe="all").arrays["spikes/a"]
    above = loads(WHOLE.replace("THRESHOLDS", str(thresholds)).replace('">="', '">"'), tmp_path)
    assert (spikes != api.compile(above).run("chip", stimulus(), probe="all").arrays["spikes/a"]).any()


def test_taking_above_for_at_least_is_measured(tmp_path: Path) -> None:
    """What --compare gt changes stands in the report; the chip is still proved to do what was lowered."""
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "w.npz", xa=rng.integers(-2, 5, (9, 6)) * 2)
    text = WHOLE.replace("THRESHOLDS", "6").replace("reset: zero", "reset: subtract")
    net = loads(text, tmp_path)
    with pytest.raises(UnsupportedError, match="NC0302"):
        api.compile(net)
    report = api.compile(net, compare="gt").verify(["reference", "chip"], inputs=stimulus())
    assert report.bit_exact
    assert report.lossy["a"]["reason"] == "'>' is taken for '>=', as the threshold is also what its reset takes off"
    assert report.lossy["a"]["spikes_moved_or_lost"] > 20


@pytest.mark.parametrize(("target", "extensions"), [("loihi", ("graded", "ternary")), ("loihi2", ())])
def test_ternary_neurons_and_values_of_spikes(target: str, extensions: tuple[str, ...]) -> None:
    """Lowered by name on Loihi 1, natively on Loihi 2: reference and chip agree, and the quantized network with them."""
    spec = registry.find_spec(target)
    rng = np.random.default_rng(7)

    def compartments(n: int, **values: Any) -> dict[str, NDArray[Any]]:
        defaults = {"du": 4095, "dv": 200, "vth": 90, "bias_mant": 0, "bias_exp": 0, "u_init": 0, "v_init": 0}
        return {key: np.asarray(value, np.int64) for key, value in (defaults | values).items()}

    def dense(source: str, target: str, shape: tuple[int, int], delay: int = 0, binary: bool = False) -> IntegerProjection:
        mantissa = rng.integers(-40, 50, shape).astype(np.int8)
        name = f"{source}->{target}"
        return IntegerProjection(name, source, target, Pattern("dense"), mantissa, 1, "mixed", 8, 0, np.asarray(delay), binary)

    populations = {
        "x": IntegerPopulation("x", (6,), "input", {}),
        "a": IntegerPopulation("a", (9,), "ternary", compartments(9, vth_low=-60, bias_mant=200, v_init=-900)),
        "b": IntegerPopulation("b", (5,), "compartment", compartments(5), reset="subtract"),
    }
    projections = dense("x", "a", (9, 6)), dense("a", "a", (9, 9), 2), dense("a", "b", (5, 9)), dense("b", "a", (9, 5), 3, True)
    net = IntegerNetwork("net", 1e-3, 24, spec.number_format, populations, projections)
    limits = {"accumulator": (1 << 15) - 1, "u": spec.number_format.u_max - 1, "v": spec.number_format.v_max}
    quantized = QuantizedNetwork(net, {}, verdicts(net, net.ticks, None, limits)).verify()

    backend = LoihiBackend()
    options = LoihiOptions(extensions=extensions)
    assert backend.check(quantized, spec, options) == []
    lowered = backend.lower(quantized, spec, options, None).network
    assert lowered.extensions == extensions
    mapped, violations = backend.map(lowered, spec, MappingPlan())
    assert mapped is not None, violations
    given = {"x": rng.integers(-3, 4, (6, 24, 6))}
    program = backend.emit(mapped, spec)
    reference = ReferenceSimulator()
    logical = reference.run(net, given)
    physical = reference.run(lowered.network, given, lag=lowered.lag)
    chip = backend.chip_simulator().run(program, given)
    assert {-1, 1} <= set(np.unique(chip.spikes["a"]))
    assert chip.spikes["b"].any()
    for name in "ab":
        for register in ("spikes", "u", "v"):
            values = getattr(physical, register)[name]
            assert np.array_equal(values, getattr(chip, register)[name]), (name, register)
            assert np.array_equal(physical.window(values, name), getattr(logical, register)[name]), (name, register)


TERNARY = "model: ternary_lif, tau_syn: 4 ms, tau_mem: 9 ms, v_threshold: 1.0, v_threshold_low: -0.5, reset: zero"


def test_ternary_neurons_of_a_file_are_allowed_by_name(tmp_path: Path) -> None:
    net = network(tmp_path, TERNARY)
    assert [v.code for v in api.check(net)] == ["NC0318"]
    for compiled, marked in (
        (api.compile(net, extensions=("ternary",)), ("ternary",)),
        (api.compile(net, "loihi2"), ()),
    ):
        report = compiled.verify(["reference", "chip"], inputs=stimulus())
        assert (report.bit_exact, report.lossy, report.not_on_this_chip) == (True, {}, marked)
        assert compiled.run("chip", stimulus(), probe="all").arrays["spikes/a"].min() == -1


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("first", [LIF + ", reset: zero", CUBA + ", reset: zero", LIF + ", reset: subtract, refractory: 2"])
def test_several_ticks_per_step(tmp_path: Path, first: str, k: int) -> None:
    """The stepped network is proved like any other; in the user's time a neuron spikes at most once per tick."""
    compiled = api.compile(network(tmp_path, first), ticks_per_step=k)
    report = compiled.verify(["reference", "chip"], inputs=stimulus())
    assert (report.bit_exact, report.ticks) == (True, 24 * k)
    run = compiled.run("reference", stimulus(), probe="all")
    exact = compiled.run("float", stimulus(), probe="all")
    for name in "ab":
        spikes, wanted = run.arrays[f"spikes/{name}"], exact.arrays[f"spikes/{name}"]
        assert spikes.max() == 1
        assert wanted.sum() > 50
        assert 0.7 < spikes.sum() / wanted.sum() < 1.4
