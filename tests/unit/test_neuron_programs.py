"""Neuron models that are programs: closed forms, published behaviour, and one step that every engine executes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import registry
from neurocomp.api import Compiled, run_network
from neurocomp.errors import ArtifactError, EngineUnavailable, NetworkError, UnsupportedError, UsageError
from neurocomp.frontends import from_yaml
from neurocomp.hardware import NumberFormat
from neurocomp.ir.network import Network
from neurocomp.ir.quantized import IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models import programmed
from neurocomp.models.neuron import Parameter
from neurocomp.models.neurons import NEURON_MODELS, register_model
from neurocomp.models.patterns import Pattern
from neurocomp.models.programs import ProgrammedModel, Register
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]

NEURONS = {
    "adaptive_lif": "{model: adaptive_lif, tau_mem: 20 ms, tau_adapt: 50 ms, beta: 3.0}",
    "izhikevich": "{model: izhikevich, c: -55, d: 4}",
    "resonate_and_fire": "{model: resonate_and_fire, tau_mem: 20 ms, period: 8 ms}",
    "sigma_delta": "{model: sigma_delta, v_threshold: 0.25}",
    "stochastic_if": "{model: stochastic_if, noise: 2.0, seed: 3}",
}
"""The models with an integer program, with parameters under which random input makes them spike."""
DRIVE = {"izhikevich": 12.0}
"""What weights are multiplied with, where it is not 1."""


def network(neuron: str, folder: Path, *, drive: float = 1.0, n: int = 5, ticks: int = 30, delay: int = 0) -> Network:
    """Return input -> neurons of a model -> a plain LIF readout."""
    rng = np.random.default_rng(1)
    np.savez(folder / "w.npz", a=drive * rng.normal(0.2, 0.6, (n, 8)), b=rng.normal(size=(3, n)), bias=np.full(n, 0.05 * drive))
    text = f"""
        neurocomp: 1
        name: programs
        timestep: 1 ms
        ticks: {ticks}
        populations:
          x: {{kind: input, shape: [8]}}
          y: {{shape: [{n}], neuron: {neuron}}}
          z: {{shape: [3], neuron: {{model: lif, tau_mem: 10 ms}}}}
        projections:
          - {{from: x, to: y, pattern: dense, weights: w.npz#a, bias: w.npz#bias}}
          - {{from: y, to: z, pattern: dense, weights: w.npz#b, delay: {delay}}}
        encode: {{x: {{scheme: bernoulli, seed: 7}}}}
    """
    return from_yaml.loads(text, folder)


def alone(neuron: str, current: float, ticks: int, *, timestep: str = "1 ms", n: int = 1, weight: float = 1.0) -> Network:
    """Return neurons that only a constant current drives."""
    text = f"""
        neurocomp: 1
        name: alone
        timestep: {timestep}
        ticks: {ticks}
        populations:
          x: {{kind: input, shape: [1]}}
          y: {{shape: [{n}], neuron: {neuron}}}
        projections:
          - {{from: x, to: y, pattern: {{sparse: {{sources: [0], targets: [0]}}}}, weights: [{weight}], bias: {[current] * n}}}
    """
    return from_yaml.loads(text, Path())


def compiled(net: Network, target: str = "reference", **options: Any) -> Compiled:
    found = neurocomp.compile(net, target=target, **options)
    assert isinstance(found, Compiled)
    return found


def real(net: Network, x: Mapping[str, Array]) -> Mapping[str, Array]:
    return run_network(net, dict(x), probe="all", state=True).arrays


def fixed(net: Network, x: Mapping[str, Array]) -> tuple[Mapping[str, Array], float]:
    """Return what the reference makes of a network, and what 1.0 of the potential is in its integers."""
    made = compiled(net)
    scale = made.artifact.quantized.scales["y"].scale * 64  # type: ignore[union-attr]
    return made.run("reference", inputs=dict(x), probe="all", state=True).arrays, scale


def impulse(ticks: int, tick: int = 0, n: int = 1) -> dict[str, Array]:
    x = np.zeros((1, ticks, n), np.int8)
    x[0, tick] = 1
    return {"x": x}


# Closed forms


def test_the_threshold_of_an_adaptive_neuron_is_the_closed_form_of_its_spikes() -> None:
    neuron = "{model: adaptive_lif, tau_mem: 20 ms, tau_adapt: 100 ms, beta: 1.8}"
    net = alone(neuron, 0.2, 300)
    rho = np.exp(-1 / 100)

    def expected(spikes: Array) -> Array:
        """a(t) = beta (1 - rho) sum of rho**(t - s) over the spikes at ticks s <= t."""
        age = np.arange(300)[:, None] - np.flatnonzero(spikes)
        return np.asarray((1.8 * (1 - rho) * np.where(age >= 0, rho ** np.maximum(age, 0), 0.0)).sum(axis=1))

    found = real(net, impulse(300))
    spikes = found["spikes/y"][0, :, 0]
    assert 10 < spikes.sum() < 60
    np.testing.assert_allclose(found["u/y"][0, :, 0], expected(spikes), rtol=1e-12)
    gaps = np.diff(np.flatnonzero(spikes))
    assert gaps[-1] > gaps[0]  # it adapts
    assert (np.diff(gaps) >= -1).all()

    integers, one = fixed(net, impulse(300))
    a, own = integers["u/y"][0, :, 0], expected(integers["spikes/y"][0, :, 0])
    # Every tick rounds down by less than 1, and what is lost decays as the threshold does; factors have 16 bits.
    assert np.abs(a - own * one).max() <= 1 / (1 - rho) + own.max() * one * 300 / 65536


def test_a_spike_makes_a_resonator_ring_as_a_damped_sine() -> None:
    net = alone("{model: resonate_and_fire, tau_mem: 30 ms, period: 10 ms, v_threshold: 2.0}", 0.0, 60)
    ticks = np.arange(60)
    sine = np.exp(-ticks / 30) * np.sin(2 * np.pi * ticks / 10)
    np.testing.assert_allclose(real(net, impulse(60))["v/y"][0, :, 0], sine, atol=1e-12)
    integers, one = fixed(net, impulse(60))
    assert np.abs(integers["v/y"][0, :, 0] - one * sine).max() <= 60 + one * 60 / 65536


@pytest.mark.parametrize(("gap", "fires"), [(10, True), (5, False)])
def test_a_resonator_fires_for_two_spikes_a_period_apart_and_not_for_half_of_it(gap: int, fires: bool) -> None:
    net = alone("{model: resonate_and_fire, tau_mem: 30 ms, period: 10 ms, v_threshold: 1.2}", 0.0, 40)
    x = impulse(40)
    x["x"][0, gap] = 1
    assert bool(real(net, x)["spikes/y"].any()) == fires
    assert bool(fixed(net, x)[0]["spikes/y"].any()) == fires


def test_equal_time_constants_make_the_alpha_kernel() -> None:
    net = alone("{model: cuba_lif, tau_mem: 8 ms, tau_syn: 8 ms, v_threshold: 100.0}", 0.0, 60)
    alpha = (np.arange(60) + 1) * np.exp(-np.arange(60) / 8)  # the discrete t exp(-t / tau)
    np.testing.assert_allclose(real(net, impulse(60))["v/y"][0, :, 0], alpha, rtol=1e-12)


def test_what_sigma_delta_sends_adds_up_to_the_rectified_sum_of_its_input(tmp_path: Path) -> None:
    net = network(NEURONS["sigma_delta"], tmp_path)
    made = compiled(net)
    found = made.run("reference", inputs=made.random_stimulus(2), probe="all", state=True).arrays
    threshold = made.artifact.quantized.network.populations["y"].values("threshold")  # type: ignore[union-attr]
    sent = found["spikes/y"].cumsum(axis=1) * threshold
    assert np.array_equal(sent, found["u/y"])
    assert (np.abs(np.maximum(found["v/y"], 0) - sent) < threshold).all()
    assert np.abs(found["spikes/y"]).max() > 1


def test_a_stochastic_neuron_spikes_as_often_as_its_potential_says() -> None:
    n, noise = 4000, 2.0
    for level in (1.0, 1.5, 2.5):
        net = alone(f"{{model: stochastic_if, noise: {noise}, seed: 11}}", level, 1, n=n)
        p = min(max(level - 1.0, 0.0) / noise, 1.0)
        for found in (real(net, impulse(1)), fixed(net, impulse(1))[0]):
            assert abs(found["spikes/y"].sum() - n * p) <= 4 * np.sqrt(n * p * (1 - p)) + 1


def test_random_numbers_belong_to_sample_and_neuron_and_tick(tmp_path: Path) -> None:
    made = compiled(network(NEURONS["stochastic_if"], tmp_path))
    x = made.random_stimulus(4)
    whole = made.run("fast", inputs=x, probe="all").arrays["spikes/y"]
    quantized, stimulus = made.artifact.quantized, {"x": x["x"][2:].reshape(2, 30, 8)}
    assert quantized is not None
    later = ReferenceSimulator().run(quantized.network, stimulus, first_sample=2)
    assert np.array_equal(later.spikes["y"], whole[2:])
    assert not np.array_equal(ReferenceSimulator().run(quantized.network, stimulus).spikes["y"], whole[2:])


# Published behaviour

IZHIKEVICH = {
    "RS": ("{model: izhikevich, a: 0.02, b: 0.2, c: -65, d: 8}", 10.0),
    "IB": ("{model: izhikevich, a: 0.02, b: 0.2, c: -55, d: 4}", 10.0),
    "CH": ("{model: izhikevich, a: 0.02, b: 0.2, c: -50, d: 2}", 10.0),
    "FS": ("{model: izhikevich, a: 0.1, b: 0.2, c: -65, d: 2}", 10.0),
    "LTS": ("{model: izhikevich, a: 0.02, b: 0.25, c: -65, d: 2, u_init: -16.25}", 10.0),
}


@pytest.mark.parametrize("engine", ["float", "reference"])
def test_cortical_firing_patterns_of_izhikevich(engine: str) -> None:
    ticks, found = 1000, {}
    for name, (neuron, current) in IZHIKEVICH.items():
        net = alone(neuron, current, ticks, timestep="0.5 ms")
        arrays = real(net, impulse(ticks)) if engine == "float" else fixed(net, impulse(ticks))[0]
        found[name] = np.diff(np.flatnonzero(arrays["spikes/y"][0, :, 0])) / 2  # ms
    regular, bursting, chattering, fast, low = (found[name] for name in IZHIKEVICH)
    assert regular[0] < 0.6 * regular[-1]  # adapts, then is regular
    assert np.ptp(regular[3:]) <= 2.0
    assert (bursting[:2] < 10).all()  # a burst, then single spikes
    assert (bursting[-3:] > 20).all()
    assert (chattering < 6).sum() >= 10  # bursts again and again
    assert (chattering > 20).sum() >= 3
    assert len(fast) > 3 * len(regular)  # fast, without adaptation
    assert abs(fast[2:26].mean() / fast[26:].mean() - 1) < 0.05
    assert len(low) > len(regular)  # fast, and adapts
    assert low[0] < low[-1]


def test_a_thalamic_neuron_bursts_when_it_is_released() -> None:
    neuron = "{model: izhikevich, a: 0.02, b: 0.25, c: -65, d: 0.05, v_init: -87, u_init: -21.75}"
    arrays, _ = fixed(alone(neuron, 0.0, 400, timestep="0.5 ms"), impulse(400))
    spikes = np.flatnonzero(arrays["spikes/y"][0, :, 0])
    assert len(spikes) >= 3  # a rebound burst, then rest
    assert spikes[-1] < 150


@pytest.mark.parametrize("pulse", [True, False])
def test_a_resonator_cell_rests_until_a_pulse_makes_it_fire_for_good(pulse: bool) -> None:
    neuron = "{model: izhikevich, a: 0.1, b: 0.26, c: -65, d: 2, v_init: -61.6, u_init: -16.02}"
    net = alone(neuron, 0.2, 800, timestep="0.5 ms", weight=10.0)
    x = np.zeros((1, 800, 1), np.int8)
    x[0, 300:304] = int(pulse)
    for arrays in (real(net, {"x": x}), fixed(net, {"x": x})[0]):
        spikes = np.flatnonzero(arrays["spikes/y"][0, :, 0])
        assert (len(spikes) >= 5 and spikes[0] >= 300 and spikes[-1] > 700) if pulse else not len(spikes)


def test_hodgkin_and_huxley_rest_and_fire() -> None:
    quiet = real(alone("{model: hodgkin_huxley}", 0.0, 100), impulse(100, 99))
    assert not quiet["spikes/y"].any()
    assert np.abs(quiet["v/y"][0, :-1] + 65.0).max() < 0.1
    firing = real(alone("{model: hodgkin_huxley}", 10.0, 2000, timestep="0.1 ms"), impulse(2000, 1999))
    gaps = np.diff(np.flatnonzero(firing["spikes/y"][0, :, 0])) / 10  # ms
    assert 13 <= gaps[3:].mean() <= 16  # 68 Hz, as the squid axon at 10 uA/cm2
    assert 35 < firing["v/y"].max() < 50


# One step that every engine executes


@pytest.mark.parametrize("name", NEURONS)
def test_engines_agree_and_say_that_they_share_the_step(name: str, tmp_path: Path) -> None:
    net = network(NEURONS[name], tmp_path, drive=DRIVE.get(name, 1.0))
    made = compiled(net)
    report = made.verify(["reference", "fast"], inputs=made.random_stimulus(3))
    assert report.bit_exact
    assert report.witnesses == {"x": "independent", "y": "shared", "z": "independent"}
    spikes = made.run("fast", inputs=made.random_stimulus(3), probe="all").arrays
    assert spikes["spikes/y"].any()


@pytest.mark.parametrize("name", NEURONS)
def test_the_chip_executes_the_program_that_its_tables_name(name: str, tmp_path: Path) -> None:
    made = compiled(network(NEURONS[name], tmp_path, drive=DRIVE.get(name, 1.0), delay=2), "loihi2")
    x = made.random_stimulus(3)
    report = made.verify(["reference", "fast", "chip"], inputs=x)
    assert report.bit_exact, report.first_divergence
    assert report.witnesses["y"] == "shared"
    assert not report.not_on_this_chip
    injected = made.verify(["reference", "chip"], inputs=x, inject=("weight", 1))
    assert not injected.bit_exact


def test_the_reference_does_what_the_equations_say_by_hand() -> None:
    neuron = IntegerPopulation(
        "y", (1,), "programmed",
        {k: np.asarray(v, np.int64) for k, v in {
            "bias": 0, "v_init": 0, "u_init": 0, "keep_v": 32768, "keep_a": 49152, "threshold": 100, "jump": 40,
        }.items()}, program="adaptive_lif",
    )  # fmt: skip
    one = np.ones((1,), np.int8)
    x = IntegerProjection("q", "x", "y", Pattern("one_to_one"), one, 0, "mixed", 8, 0, np.asarray(0, np.int64))
    form = NumberFormat("unchecked", checked=False)
    net = IntegerNetwork("n", 1e-3, 6, form, {"x": IntegerPopulation("x", (1,), "input", {}), "y": neuron}, (x,))
    trace = ReferenceSimulator().run(net, {"x": np.ones((1, 6, 1), np.int8)})
    v, a, expected = 0, 0, []
    for _ in range(6):
        v, spike = v // 2 + 64, 0
        after = a * 3 // 4
        if v > 100 + a:
            v, after, spike = v - 100 - a, after + 40, 1
        a = after
        expected.append((spike, v, a))
    found = [(int(trace.spikes["y"][0, t, 0]), int(trace.v["y"][0, t, 0]), int(trace.u["y"][0, t, 0])) for t in range(6)]
    assert found == expected
    assert sum(spike for spike, _, _ in found) >= 1


def test_a_register_that_is_too_narrow_is_reported_by_all_in_the_same_place(tmp_path: Path) -> None:
    rising = ProgrammedModel(
        name="rising", doc="adds 1.0 in every tick", parameters={"v_threshold": Parameter("1", "unused", 1.0)},
        registers=(Register("v", bits=12), Register("w", bits=10, overflow="wrap")),
        real=lambda state, x, p, dt: np.zeros_like(x),
        program=_rise, words={"step": (1, 1 << 20)}, integers=lambda p, one, dt: {"step": p["v_threshold"] * one / 8},
        headroom=0.0,
    )  # fmt: skip
    if "rising" not in NEURON_MODELS:
        register_model(rising)
    for target in ("reference", "loihi2"):
        made = compiled(network("{model: rising}", tmp_path), target)
        report = made.verify([e for e in ("reference", "fast", "chip") if e != "chip" or target == "loihi2"],
                             inputs=made.random_stimulus(2))  # fmt: skip
        assert report.bit_exact, report.first_divergence
        # One event each: the same count, sample, tick and neuron in every engine. The input is too wide for 12 bits as well.
        assert [(e.population, e.register) for e in report.events] == [("y", "accumulator"), ("y", "u"), ("y", "v")]


def _rise(x: int, registers: tuple[int, int], words: tuple[int]) -> tuple[int, tuple[int, int]]:
    return 0, (registers[0] + words[0], registers[1] + words[0])


def test_energy_counts_a_program_as_active_where_it_changed(tmp_path: Path) -> None:
    made = compiled(network(NEURONS["izhikevich"], tmp_path, drive=0.0), "loihi2")
    trace = made.run("chip", inputs=made.random_stimulus(1), probe="all", state=True).arrays
    steps = np.concatenate([trace["v/y"], trace["u/y"]], axis=2)
    moved = (np.diff(steps, axis=1) != 0).sum()
    assert moved  # the start relaxes towards rest
    assert (steps[:, -1] != 0).all()  # and rest is not 0


# Refused


def refused(neuron: str, folder: Path, target: str) -> str:
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(network(neuron, folder), target=target)
    return str(caught.value).replace("\n", " ")


def test_chips_without_programs_refuse_them(tmp_path: Path) -> None:
    text = refused(NEURONS["izhikevich"], tmp_path, "loihi")
    assert "error[NC0318 not-on-this-chip]: population 'y' has the model izhikevich, a program; neurons of loihi are" in text
    assert "a target whose neurons are programs, such as loihi2; --allow-extension programmed simulates it" in text
    text = refused(NEURONS["adaptive_lif"], tmp_path, "truenorth")
    assert "error[NC0318 not-on-this-chip]: population 'y' has the model adaptive_lif, a program; neurons of truenorth" in text
    assert "--allow-extension" not in text


def test_an_extension_simulates_them_and_says_so(tmp_path: Path) -> None:
    made = compiled(network(NEURONS["adaptive_lif"], tmp_path), "loihi", extensions=("programmed",))
    report = made.verify(["reference", "chip"], inputs=made.random_stimulus(1))
    assert report.bit_exact
    assert report.not_on_this_chip == ("programmed",)


@pytest.mark.parametrize("target", ["reference", "loihi", "loihi2", "truenorth"])
def test_a_model_of_real_numbers_alone_is_refused_everywhere(target: str, tmp_path: Path) -> None:
    text = refused("{model: hodgkin_huxley}", tmp_path, target)
    assert "error[NC0313 neuron-model]: population 'y' has the model hodgkin_huxley, which exists in real numbers alone" in text
    assert "simulate it with the engine 'float', or take a model that has an integer program, such as izhikevich" in text


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        ("{model: izhikevich, refractory: 2}", "the model 'izhikevich' is a program of its own and has no 'refractory'"),
        ("{model: izhikevich, reset: subtract}", "the model 'izhikevich' has no 'reset: subtract'"),
        ("{model: izhikevich, format: loihi}", "the model 'izhikevich' has no integers that a file could state"),
    ],
)
def test_a_program_has_no_axes(neuron: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        network(neuron, tmp_path)
    assert message in str(caught.value)


# Registration


def test_a_registration_that_cannot_be_is_refused() -> None:
    def made(**changed: Any) -> ProgrammedModel:
        given: dict[str, Any] = {
            "name": "m", "doc": "", "parameters": {"v_threshold": Parameter("1", "")}, "registers": (Register("v"),),
            "real": lambda state, x, p, dt: x, "program": _rise, "integers": lambda p, one, dt: {},
        }  # fmt: skip
        return ProgrammedModel(**(given | changed))

    made()
    for changed, message in (
        ({"registers": (Register("a"), Register("b"), Register("c"))}, "has 3 registers; a program has 1 or 2"),
        ({"registers": (Register("v", bits=33),)}, "has a register of other than 2 to 32 bits"),
        ({"registers": (Register("v", init="start"),)}, "starts a register from no parameter of its own"),
        ({"words": {"bias": (0, 1)}}, "names a word as every program does"),
        ({"integers": None}, "nothing says what its words are"),
        ({"threshold": "theta"}, "has no parameter 'theta', its threshold"),
    ):
        with pytest.raises(ValueError, match="neuron model 'm'") as caught:
            made(**changed)
        assert message in str(caught.value)
    with pytest.raises(ValueError, match="neuron model 'izhikevich' is registered twice"):
        neurocomp.register_model(programmed.IZHIKEVICH)


def test_models_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from importlib.metadata import EntryPoint

    (tmp_path / "their_models.py").write_text(
        "from dataclasses import replace\nfrom neurocomp.models.programmed import ADAPTIVE_LIF\n"
        "THEIRS = replace(ADAPTIVE_LIF, name='theirs')\nTAKEN = replace(ADAPTIVE_LIF, name='lif')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def only(*names: str) -> None:
        entries = tuple(EntryPoint(name, f"their_models:{name}", registry.MODELS) for name in names)
        monkeypatch.setattr(registry, "_installed", lambda group, find: entries if group == registry.MODELS else ())

    only("THEIRS")
    registry.load_plugins()
    registry.load_plugins()
    assert NEURON_MODELS["theirs"].dynamics == "programmed"
    only("TAKEN")
    with pytest.raises(UsageError, match="the neuron model 'lif' of their_models:TAKEN"):
        registry.load_plugins()
    sys.modules.pop("their_models")


def test_a_program_that_fails_is_named(tmp_path: Path) -> None:
    def broken(x: int, registers: tuple[int], words: tuple[()]) -> tuple[int, tuple[int]]:
        return 0, (registers[0] + int(complex("x").real),)

    model = ProgrammedModel(
        name="broken", doc="", parameters={"v_threshold": Parameter("1", "", 1.0)}, registers=(Register("v"),),
        real=lambda state, x, p, dt: np.zeros_like(x), program=broken, integers=lambda p, one, dt: {},
    )  # fmt: skip
    if "broken" not in NEURON_MODELS:
        register_model(model)
    made = compiled(network("{model: broken}", tmp_path))
    with pytest.raises(EngineUnavailable) as caught:
        made.run("reference", inputs=made.random_stimulus(1))
    message = "the program of the neuron model 'broken' fails in 'y[0]': ValueError"
    assert message in str(caught.value)
    with pytest.raises(EngineUnavailable, match="engine 'fast' is not available: the program of 'broken' cannot be compiled"):
        made.run("fast", inputs=made.random_stimulus(1))


def test_words_without_a_rule_are_named(tmp_path: Path) -> None:
    model = ProgrammedModel(
        name="broken_words", doc="", parameters={"v_threshold": Parameter("1", "", 1.0)}, registers=(Register("v"),),
        real=lambda state, x, p, dt: np.zeros_like(x), program=_rise, words={"step": (0, 9), "other": (0, 9)},
        integers=lambda p, one, dt: {"step": 1},
    )  # fmt: skip
    if "broken_words" not in NEURON_MODELS:
        register_model(model)
    message = "the neuron model 'broken_words' has words that its 'integers' does not return: other"
    with pytest.raises(EngineUnavailable, match=message):
        compiled(network("{model: broken_words}", tmp_path))


def test_an_artifact_whose_program_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(network(NEURONS["izhikevich"], tmp_path), "loihi2")
    made.save(tmp_path / "x.ncz")
    monkeypatch.delitem(NEURON_MODELS._members, "izhikevich")
    with pytest.raises(ArtifactError) as caught:
        neurocomp.load(tmp_path / "x.ncz")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message) == (
        "NC0208",
        f"'{tmp_path / 'x.ncz'}' needs more than is here: there is no neuron model 'izhikevich'",
    )
    assert problem.hint is not None
    assert problem.hint.startswith("install the package that registers it")
