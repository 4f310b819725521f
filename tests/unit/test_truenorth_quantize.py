"""Quantization for crossbars: levels that are there already stay exact, thresholds, biases and floors follow the weights."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import registry
from neurocomp.errors import UnsupportedError
from neurocomp.ir.network import Data, Encoder, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.ir.quantized import IntegerPopulation
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern
from neurocomp.passes.quantize import Quantization
from neurocomp.passes.quantize_plain import WEIGHT_FORMATS, quantize_plain
from neurocomp.simulation import simulate
from neurocomp_reference import ReferenceSimulator
from neurocomp_truenorth.legalize import approximate_leaks, forgetful, inclusive

Array = NDArray[Any]
SPEC = registry.find_spec("truenorth")
FORM = SPEC.number_format
N = 8


def network(weights: Array, threshold: Any = 1.0, model: str = "if", bias: Any = None, **given: Any) -> Network:
    """One population behind an input; ``given`` are more parameters or semantic axes."""
    axes = {key: given.pop(key) for key in list(given) if key in ("reset", "compare", "v_floor", "refractory")}
    parameters = {"v_threshold": threshold, **({} if model == "binary" else {"v_init": 0.0}), **given}
    neuron = Neuron(
        model, {key: frozen(np.asarray(value, np.float64)) for key, value in parameters.items()},
        Semantics(**({"compare": ">="} | axes)),
    )  # fmt: skip
    n, n_source = weights.shape
    populations = {"i": Population("i", (n_source,)), "p": Population("p", (n,), neuron)}
    biases = None if bias is None else frozen(np.broadcast_to(np.asarray(bias, np.float64), (n,)))
    return Network("n", 1e-3, 30, populations, (Projection("q", "i", "p", Pattern("dense"), frozen(weights), biases),)).verify()


def quantized(net: Network, weights: str = "auto", calibration: Any = None) -> Quantization:
    return quantize_plain(net, FORM, ReferenceSimulator(), calibration, weights, max_axons=SPEC.limit("input_axons"))


def population(net: Network, weights: str = "auto") -> tuple[IntegerPopulation, Array]:
    """Return the integers of ``p`` and its weights."""
    made = quantized(net, weights).network.network
    return made.populations["p"], made.projections[0].weights


def levels(top: int, seed: int = 0, n_source: int = 40) -> tuple[Array, Array]:
    """Return weights (N, n_source) on all whole multiples up to ``top`` of a step per neuron, and the steps."""
    rng = np.random.default_rng(seed)
    step = rng.uniform(0.01, 3.0, N)
    counts = rng.integers(-top, top + 1, (N, n_source))
    counts[:, 0], counts[:, 1] = top, -1
    return counts * step[:, None], step


@pytest.mark.parametrize(("name", "top"), [("trinary", 1), ("int4", 7), ("int5", 15), ("int6", 31), ("int8", 127)])
@pytest.mark.parametrize("seed", range(3))
def test_levels_are_kept(name: str, top: int, seed: int) -> None:
    """Weights on the levels of a format are whole multiples of one integer per neuron, thresholds in the same scale."""
    weights, step = levels(top, seed)
    threshold = 12 * step
    p, made = population(network(weights, threshold), name)
    scale = made[:, 0] / weights[:, 0]
    assert np.allclose(made, weights * scale[:, None], atol=1e-6)
    assert np.allclose(p.values("alpha"), threshold * scale)
    assert np.array_equal(np.rint(scale * step), np.maximum(np.rint(scale * step), 1))


@pytest.mark.parametrize(("name", "top"), [("trinary", 1), ("int4", 7), ("int5", 15), ("int6", 31)])
def test_auto_takes_the_cheapest_that_is_exact(name: str, top: int) -> None:
    """The same integers as when it is named; what is on no levels becomes int4."""
    net = network(levels(top)[0], levels(top)[1] * 9)
    assert np.array_equal(population(net)[1], population(net, name)[1])
    rough = network(np.random.default_rng(0).normal(0, 1, (N, 40)))
    assert np.array_equal(population(rough)[1], population(rough, "int4")[1])


@pytest.mark.parametrize("name", list(WEIGHT_FORMATS))
def test_every_format_gives_few_values(name: str) -> None:
    """No more levels than the format has, and errors shrink with their number."""
    net = network(np.random.default_rng(1).normal(0, 1, (N, 60)), 3.0)
    _, made = population(net, name)
    known = WEIGHT_FORMATS[name]
    most = 2**known.codebook if known.codebook else 2 * known.top + 1
    assert all(len(np.unique(row)) <= most for row in made)


def test_finer_is_closer() -> None:
    """The error of the weights, in real units, from trinary to int8."""
    weights = np.random.default_rng(2).normal(0, 1, (N, 60))
    errors = []
    for name in ("trinary", "int4", "int5", "int6", "int8"):
        _, made = population(network(weights, 3.0), name)
        scale = (made * weights).sum(axis=1) / (weights**2).sum(axis=1)
        errors.append(float(((made / scale[:, None] - weights) ** 2).mean()))
    assert errors == sorted(errors, reverse=True)


def test_thresholds_round_to_the_same_comparison() -> None:
    """``>=``: up to the next whole number; ``>``: to the first beyond; where v is added a bias, or reset by it, the nearest."""
    weights, step = np.full((4, 3), 0.5), 0.5
    values = np.array([2.0, 2.2, 2.5, 2.9]) * step
    cases = {"zero": ">=", "none": ">="}
    for reset, compare in cases.items():
        p, made = population(network(weights, values, reset=reset, compare=compare))
        scale = made[:, 0] / 0.5
        assert np.array_equal(p.values("alpha"), np.ceil(values * scale - 1e-5))
    p, made = population(network(weights, values, compare=">"))
    assert np.array_equal(p.values("alpha"), np.floor(values * made[:, 0] / 0.5 + 1e-5) + 1)
    p, made = population(network(weights, values, reset="subtract"))
    assert np.array_equal(p.values("alpha"), np.rint(values * made[:, 0] / 0.5))


@pytest.mark.parametrize(("reset", "gamma"), [("zero", 0), ("subtract", 1), ("none", 2)])
def test_resets(reset: str, gamma: int) -> None:
    """R is 0 and the negative threshold is a floor, as low as the register goes where there is none."""
    p, _ = population(network(np.ones((2, 3)), 4.0, reset=reset))
    assert set(p.values("gamma").tolist()) == {gamma}
    assert not p.values("R").any()
    assert (p.values("kappa") == 1).all()
    assert (p.values("beta") == FORM.threshold_max).all()


def test_floor_start_and_bias() -> None:
    """They have the scale of the weights."""
    p, made = population(network(np.full((3, 4), 0.25), 2.0, v_floor=-1.5, v_init=[0.0, 0.5, -0.75], bias=[0.25, 0.5, -0.5]))
    scale = made[:, 0] / 0.25
    assert np.array_equal(p.values("beta"), 1.5 * scale)
    assert np.array_equal(p.values("V"), np.array([0.0, 0.5, -0.75]) * scale)
    assert np.array_equal(p.values("lambda"), np.array([0.25, 0.5, -0.5]) * scale)


def test_binary_neurons_have_no_memory() -> None:
    """The leak is the threshold; everything else is 0, so that each tick begins at 0."""
    weights, step = levels(1)
    threshold = np.array([3.0, 2.5, 0.0, -1.0, 1.0, 2.0, -2.5, 0.5]) * step
    p, made = population(network(weights, threshold, "binary"))
    scale = made[:, 0] / weights[:, 0]
    assert np.array_equal(p.values("lambda"), -np.ceil(threshold * scale - 1e-5))
    assert not any(p.values(key).any() for key in ("alpha", "beta", "R", "gamma", "kappa", "V", "epsilon"))


def test_linear_leaks_and_their_biases() -> None:
    """The leak is toward 0 and at least 1; a bias beside it comes from lines that the host drives in every tick."""
    p, made = population(network(np.full((3, 4), 0.5), 4.0, "linear_lif", leak=[0.5, 1.0, 0.001]))
    scale = made[:, 0] / 0.5
    assert np.array_equal(p.values("lambda"), -np.maximum(np.rint(np.array([0.5, 1.0, 0.001]) * scale), 1))
    assert (p.values("epsilon") == 1).all()
    net = network(np.full((3, 4), 0.5), 4.0, "linear_lif", bias=[0.5, -1.0, 0.0], leak=0.5)
    integers = quantized(net).network.network
    q = next(q for q in integers.projections if q.source == "p.bias")
    scale = integers.projections[0].weights[:, 0] / 0.5
    assert np.array_equal(q.weights.sum(axis=1), np.array([0.5, -1.0, 0.0]) * scale)
    assert integers.populations["p.bias"].dynamics == "pulse"


def test_a_leak_below_a_step_makes_weights_finer() -> None:
    """Weights of 1 and 2 steps and a threshold of 5 are whole at once; a leak of a quarter of a step would become one."""
    p, made = population(network(np.tile([0.2, 0.4, -0.4, 0.2], (3, 1)), 1.0, "linear_lif", leak=0.05))
    assert np.array_equal(p.values("alpha"), 20 * np.abs(p.values("lambda")))
    assert np.array_equal(made, np.tile([1, 2, -2, 1], (3, 1)) * made[:, :1])
    whole, _ = population(network(np.tile([0.2, 0.4, -0.4, 0.2], (3, 1)), 1.0, "linear_lif", leak=0.2))
    assert (whole.values("alpha") == 5).all()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("model", "reset", "compare"),
    [
        *product(("if", "linear_lif"), ("zero", "subtract", "none"), (">=",)),
        *product(("if", "linear_lif"), ("zero", "none"), (">",)),
        ("binary", "zero", ">="),
    ],
)  # fmt: skip
def test_networks_on_levels_are_exact(model: str, reset: str, compare: str, bias: bool) -> None:
    """Every spike of the network in real numbers, where steps are powers of two, which float64 adds exactly."""
    rng = np.random.default_rng(7)
    step = 2.0 ** rng.integers(-3, 3, N)
    weights = rng.integers(-3, 5, (N, 20)) * step[:, None]
    weights[:, 0] = 7 * step
    given: dict[str, Any] = {} if model == "binary" else {"v_floor": -float(step.min())}
    given |= {"leak": step * rng.integers(1, 3, N)} if model == "linear_lif" else {}
    net = network(
        weights, step * rng.integers(2, 20, N), model, rng.integers(-2, 3, N) * step if bias else None, reset=reset,
        compare=compare, **given,
    )  # fmt: skip
    if "v_floor" in given and (step != step.min()).any():
        # A floor is one number; on the levels of every neuron it is a multiple of the largest step.
        floor = -4 * float(step.max())
        neuron = net.populations["p"].neuron
        assert neuron is not None
        net = network(weights, neuron.parameters["v_threshold"], model, net.projections[0].bias,
                      reset=reset, compare=compare, **{**given, "v_floor": floor})  # fmt: skip
    stimulus = {"i": (rng.random((4, 30, 20)) < 0.3).astype(np.uint8)}
    wanted = simulate(net, stimulus, state=False).spikes["p"]
    found = ReferenceSimulator().run(quantized(net).network.network, stimulus).spikes["p"]
    assert wanted.any()
    assert np.array_equal(found != 0, wanted != 0)


def test_what_no_scale_represents() -> None:
    """A threshold beyond 18 bits, a leak beyond 8, a bias of many weights: NC0312, and which neuron."""
    for net in (
        network(np.full((2, 3), 1e-3), 1e4), network(np.full((2, 3), 0.01), 5.0, "linear_lif", leak=4.0),
        network(np.full((2, 3), 0.01), 50.0, bias=4.0),
        network(np.full((2, 3), 0.001), 5.0, "linear_lif", bias=3.0, leak=0.001),
    ):  # fmt: skip
        with pytest.raises(UnsupportedError) as caught:
            quantized(net)
        assert [d.code for d in caught.value.diagnostics] == ["NC0312"]


# What is replaced before


def leaky(**given: Any) -> Network:
    """A population with an exponential leak, and data to measure on."""
    rng = np.random.default_rng(0)
    net = network(rng.normal(0.1, 0.4, (N, 20)), 1.0, "lif", tau_mem=0.02, r=1.0, **given)
    pixels = frozen(rng.random((12, 20)))
    samples = Samples({"i": pixels}, frozen(rng.integers(0, N, 12)))
    return Network(
        net.name, net.timestep, net.ticks, net.populations, net.projections,
        {"i": Encoder("bernoulli", {"seed": 0, "gain": 1.0})}, {}, Data(samples=samples, calibration=samples),
    )  # fmt: skip


def test_approximate_leaks_are_the_closest_that_are_tried() -> None:
    """The noted error is that of the replaced network, and no leak at all is worse."""
    net = leaky()
    stimulus = {"i": (np.random.default_rng(1).random((10, 30, 20)) < 0.3).astype(np.uint8)}
    changed, notes = approximate_leaks(net, stimulus)
    neuron = changed.populations["p"].neuron
    assert neuron is not None
    assert neuron.model in ("if", "linear_lif")
    assert any("lossy" in note and "'p' (lif)" in note for note in notes)
    wanted = simulate(net, stimulus, state=False).spikes["p"].sum(axis=1)

    def error(other: Network) -> float:
        return float(np.abs(simulate(other, stimulus, state=False).spikes["p"].sum(axis=1) - wanted).mean())

    plain = network(np.asarray(net.projections[0].weights), 1.0)
    assert error(changed) <= error(plain)


def test_without_data_the_leak_at_half_the_threshold_is_taken() -> None:
    """As a linear leak per tick, and the note says that nothing was measured."""
    changed, notes = approximate_leaks(leaky(), None)
    neuron = changed.populations["p"].neuron
    assert neuron is not None
    assert neuron.model == "linear_lif"
    assert neuron.parameters["leak"] == pytest.approx((1 - np.exp(-1 / 20)) / 2)
    assert len(notes) == 1
    assert "not measured" in notes[0]


def test_nothing_to_approximate() -> None:
    """A network without leaky neurons is returned itself."""
    net = network(np.ones((2, 3)))
    assert approximate_leaks(net, None) == (net, ())


def test_lif_needs_the_option() -> None:
    """NC0313 without it; with it the network compiles and its chip is exact about what it became."""
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(leaky(), "truenorth")
    assert {d.code for d in caught.value.diagnostics} == {"NC0313"}
    made = neurocomp.compile(leaky(), "truenorth", approximate_leak=True)
    assert any(note.startswith("approximate leak") for note in made.artifact.notes)
    assert made.verify(["reference", "chip"], count=4).bit_exact


@pytest.mark.parametrize("compare", [">", ">="])
def test_lif_that_forgets_is_binary(compare: str) -> None:
    """Whole weights, biases and thresholds: the chip's spikes are those of real numbers, where both meet exactly as well."""
    w = np.random.default_rng(3).integers(-3, 4, (N, 12)).astype(np.float64)
    net = network(w, 2.0, "lif", np.arange(N) - 3.0, tau_mem=1e-6, r=1.0, compare=compare)
    changed, notes = forgetful(net)
    assert changed.populations["p"].neuron is not None
    assert changed.populations["p"].neuron.model == "binary"
    assert len(notes) == 1
    stimulus = {"i": (np.random.default_rng(1).random((10, 30, 12)) < 0.4).astype(np.uint8)}
    wanted = simulate(net, stimulus, state=False).spikes["p"]
    sums = stimulus["i"].astype(np.float64) @ w.T + np.arange(N) - 3.0
    assert (sums == 2.0).any()
    assert np.array_equal(simulate(changed, stimulus, state=False).spikes["p"], wanted)
    made = neurocomp.compile(net, "truenorth")
    assert np.array_equal(made.run("chip", inputs=stimulus, probe="all").arrays["spikes/p"], wanted)


@pytest.mark.parametrize("given", [{"tau_mem": 1e-3}, {"v_init": 0.5}, {"refractory": 2}, {"v_floor": 0.0}])
def test_lif_that_remembers_is_not_binary(given: dict[str, Any]) -> None:
    """A leak that leaves something, a start, a refractory period, a floor."""
    net = network(np.ones((2, 3)), 1.0, "lif", **{"tau_mem": 1e-6, "r": 1.0} | given)
    assert forgetful(net) == (net, [])


def test_inclusive() -> None:
    """``>`` with a reset by subtraction becomes ``>=``; all others stay."""
    net = network(np.ones((2, 3)), 3.0, reset="subtract", compare=">")
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(net, "truenorth")
    assert [d.code for d in caught.value.diagnostics] == ["NC0302"]
    changed, notes = inclusive(net)
    neuron = changed.populations["p"].neuron
    assert neuron is not None
    assert neuron.semantics.compare == ">="
    assert len(notes) == 1
    other = network(np.ones((2, 3)), 3.0, compare=">")
    assert inclusive(other)[1] == []
    assert neurocomp.compile(net, "truenorth", compare="ge").verify(["reference", "chip"]).bit_exact


@pytest.mark.parametrize(
    ("weights", "threshold", "leak", "alpha"),
    [
        ([[7.0, -7.0]], 5.0, 2.0, 5),  # one step of 7 holds the weights, and neither threshold nor leak
        ([[31.0, -31.0], [17.0, 3.0]], 20.0, 1.0, 20),  # multiples of 31 stay on the levels that the other row needs
        ([[0.3, -0.3]], 0.5, 0.2, 5),
    ],
)
def test_leaks_and_thresholds_stay_exact_with_the_weights(
    weights: list[list[float]], threshold: float, leak: float, alpha: int
) -> None:
    found, whole = population(network(np.array(weights), threshold, "linear_lif", leak=leak))
    unit = alpha / threshold
    assert np.array_equal(found.parameters["alpha"], np.full(len(weights), alpha))
    assert np.array_equal(found.parameters["lambda"], np.full(len(weights), -round(leak * unit)))
    assert np.allclose(whole, np.array(weights) * unit, atol=1e-9)
