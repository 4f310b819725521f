"""Learning: rules become sums of products, engines agree bit for bit, windows are exponential, bad input is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurocomp
from neurocomp import api
from neurocomp.engine.simulator import FastSimulator
from neurocomp.errors import NetworkError, UnsupportedError
from neurocomp.frontends.from_yaml import loads
from neurocomp.frontends.to_yaml import write
from neurocomp.ir.network import Network
from neurocomp.models.learning import LEARNING_RULES, products_of
from neurocomp.simulation import simulate
from neurocomp.testing.random_learning import learning_network
from neurocomp.testing.traces import trace_difference
from neurocomp_reference import ReferenceSimulator

Array = NDArray[Any]

HEAD = """neurocomp: 1
name: pairs
timestep: 1 ms
ticks: 40
populations:
  pixels: {kind: input, shape: [5]}
  teacher: {kind: input, shape: [4]}
  reward: {kind: input, shape: [1]}
  cells: {shape: [4], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero, refractory: 1}}
  out: {shape: [3], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - from: pixels
    to: cells
    weights: [[0.1, 0.2, 0.3, 0.0, 0.5], [0.4, 0.3, 0.2, 0.1, 0.0], [0.5, 0.5, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0, 0.4]]
    learn: {LEARN}
  - {from: teacher, to: cells, pattern: one_to_one, weights: 0.6}
  - {from: cells, to: out, weights: [[0.5, 0.2, 0.9, 0.4], [0.1, 0.9, 0.3, 0.6], [0.7, 0.7, 0.2, 0.5]]MORE}
  - {from: cells, to: cells, weights: [[0, -1, -1, -1], [-1, 0, -1, -1], [-1, -1, 0, -1], [-1, -1, -1, 0]], delay: 1}
"""
STDP = "{rule: stdp, a_plus: 0.04, a_minus: 0.03, tau_plus: 10 ms, w_max: 0.5, seed: 3}"


def network(learn: str = STDP, more: str = "", text: str = HEAD) -> Network:
    return loads(text.replace("{LEARN}", learn).replace("MORE", more), Path())


def stimulus(samples: int = 3, ticks: int = 40) -> dict[str, Array]:
    r = np.random.default_rng(5)
    sizes = {"pixels": 5, "teacher": 4, "reward": 1}
    return {name: (r.random((samples, ticks, n)) < 0.3).astype(np.int32) for name, n in sizes.items()}


# Rules


def test_a_sum_of_products_is_read() -> None:
    found = products_of("2^-2 * y0*x1 - 0.5*x0*y1*(w + 4) + (-3)*u2*sgn(t - 1)")
    assert [(p.coefficient, p.condition, p.decimation) for p in found] == [(0.25, "y0", 0), (-0.5, "x0", 0), (-3.0, "u", 2)]
    assert [[(f.variable, f.constant, f.sign) for f in p.factors] for p in found] == [
        [("x1", 0.0, False)], [("y1", 0.0, False), ("w", 4.0, False)], [("t", -1.0, True)],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x1*y1", "'x1*y1' needs a condition: x0, y0 or u"),
        ("x0*y0*x1", "'x0*y0*x1' has two conditions; x0 and y0 together are no condition"),
        ("x0*x3", "there is no variable 'x3'; there are x1, x2, y1, y2, y3, w, t"),
        ("x0*sgn(x1)", "'sgn(x1)': only w and t have a sign"),
        ("x0*q", "'q' is neither a number, a condition (x0, y0, u), nor a variable (x1, x2, y1, y2, y3, w, t)"),
        ("x0*(y1", "'x0*(y1' is no sum of products"),
    ],
)
def test_what_is_no_sum_of_products_is_told(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        products_of(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("gap", [1, 3, 8, 20, 0, -1, -4, -15])
def test_the_window_of_stdp_is_exponential_in_real_numbers(gap: int) -> None:
    """One pair: dw = a_plus exp(-gap / tau_plus) where the target spikes ``gap`` ticks after the source has reached it."""
    text = HEAD.replace("    weights: [[0.1, 0.2, 0.3, 0.0, 0.5]", "    weights: [[0.2, 0.2, 0.3, 0.0, 0.5]").replace(
        "0.6}", "3.0}"
    )
    made = network("{rule: stdp, a_plus: 0.04, a_minus: 0.03, tau_plus: 10 ms, tau_minus: 25 ms, w_max: 0.5}", text=text)
    given = {name: np.zeros_like(values[:1]) for name, values in stimulus().items()}
    given["pixels"][0, 18, 0] = given["teacher"][0, 18 + gap - 1, 0] = 1
    before = np.asarray(made.projections[0].weights)[0, 0]
    trace = simulate(made, given)
    assert trace.spikes["cells"][0].sum() == 1
    after = trace.weights["pixels->cells"][0][0, 0]
    wanted = 0.04 * np.exp(-gap / 10) * (gap >= 0) - 0.03 * np.exp(gap / 25) * (gap <= 0)
    assert after - before == pytest.approx(wanted, rel=1e-9)


def test_integers_follow_the_real_numbers_on_average() -> None:
    """Stochastic rounding has no bias: over many seeds, the mean step is the real one within the noise of rounding."""
    given = {name: np.zeros((1, 40, n), np.int32) for name, n in (("pixels", 5), ("teacher", 4), ("reward", 1))}
    given["pixels"][0, [5, 15], 0] = given["teacher"][0, [9, 19], 0] = 1
    text = HEAD.replace("0.6}", "3.0}")
    steps = []
    for seed in range(40):
        learn = f"{{rule: stdp, a_plus: 0.05, a_minus: 0.01, tau_plus: 10 ms, w_max: 0.5, seed: {seed}}}"
        made = network(learn, text=text)
        integers = neurocomp.compile(made, "reference").artifact.quantized
        assert integers is not None
        trace = ReferenceSimulator().run(integers.network, given)
        steps.append(int(trace.weights["pixels->cells"][0][0, 0]) - int(integers.network.projections[0].weights[0, 0]))
    real = simulate(made, given).weights["pixels->cells"][0][0, 0] - 0.1
    assert np.mean(steps) * 0.5 / 255 == pytest.approx(real, abs=0.006)
    assert real > 0.02


RULES = [
    STDP,
    "{rule: stdp, a_plus: 0.04, a_minus: 0.03, w_max: 0.5, w_min: -0.5, epoch: 4, across_samples: false}",
    "{rule: stdp_soft, a_plus: 0.2, a_minus: 0.2, w_max: 0.5, epoch: 2}",
    "{rule: stdp_sign, a_plus: 0.02, a_minus: 0.01, w_max: 0.5}",
    "{rule: stdp_multiplicative, a_plus: 0.4, a_minus: 0.3, w_max: 0.5}",
    "{rule: rstdp, rate: 0.01, w_max: 0.5, modulator: reward}",
    "{rule: rstdp, rate: 0.01, w_max: 0.5, modulator: [reward, teacher], epoch: 3}",
    "{rule: homeostasis, rate: 0.03, target_rate: 0.2, every: 2, w_max: 0.5, w_min: -0.5}",
    "{rule: products, dw: 2^-6*y0*x1 - 2^-7*x0*y1*(w + 0.1) + 0.001*u1*sgn(w - 0.2), x1_impulse: 20.5, x1_tau: 8 ms, "
    "y1_impulse: 16, y1_tau: 12 ms, w_max: 0.5, epoch: 5}",
]


def test_every_rule_is_tried() -> None:
    assert {rule.split(",")[0].removeprefix("{rule: ") for rule in RULES} == set(LEARNING_RULES)


@pytest.mark.parametrize("learn", RULES)
def test_loihi_learns_bit_for_bit(learn: str) -> None:
    """Quantized and lowered network, reference, fast engine and chip simulation; float comes close."""
    made = neurocomp.compile(network(learn), "loihi")
    given = stimulus()
    report = made.verify(["reference", "fast", "chip"], inputs=given)
    assert report.bit_exact, str(report.first_divergence)
    run = made.run("chip", given)
    learned = run.arrays["weights/pixels->cells"]
    across = "across_samples: false" not in learn
    assert learned.shape == ((4, 5) if across else (3, 4, 5))
    start = made.artifact.lowered.network.projections[0].weights
    moved = learned - start
    assert np.count_nonzero(moved) > 5
    real = made.run("float", given).arrays["weights/pixels->cells"]
    assert real.shape == learned.shape
    assert np.abs(learned * 0.5 / 255 - real).mean() < 0.12


HOMEOSTASIS = """neurocomp: 1
name: even
timestep: 1 ms
ticks: 200
populations:
  tonic: {kind: input, shape: [1]}
  drive: {kind: input, shape: [4]}
  cells: {shape: [4], neuron: {model: NEURON}}
  out: {shape: [2], neuron: {model: lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero}}
projections:
  - {from: drive, to: cells, pattern: one_to_one, weights: [0.1, 0.25, 0.5, 1.0]}
  - from: tonic
    to: cells
    weights: [[0], [0], [0], [0]]
    learn: {rule: homeostasis, rate: RATE, target_rate: 0.05, every: 4, w_min: -0.5, w_max: 0.5}
  - {from: cells, to: out, weights: [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]LEARN}
"""
LIF = "lif, tau_mem: 20 ms, v_threshold: 1.0, reset: zero"
ADAPTIVE = "adaptive_lif, tau_mem: 20 ms, tau_adapt: 50 ms, beta: 1.0"


def homeostasis(neuron: str = LIF, rate: float = 0.01, learn: str = "") -> Network:
    return loads(HOMEOSTASIS.replace("NEURON", neuron).replace("RATE", str(rate)).replace("LEARN", learn), Path())


def tonic(samples: int) -> dict[str, Array]:
    drive = np.random.default_rng(1).random((samples, 200, 4)) < 0.5
    return {"tonic": np.ones((samples, 200, 1), np.int8), "drive": drive.astype(np.int8)}


def test_homeostasis_brings_neurons_to_the_rate_asked_for() -> None:
    """Neurons driven weakly and strongly start from 0.04 to 0.15 spikes per tick; all come to 0.05, and stay."""
    made, given = neurocomp.compile(homeostasis(), "loihi"), tonic(40)
    for engine in ("float", "fast"):
        rates = made.run(engine, given, probe="all").arrays["spikes/cells"].mean(axis=1)
        assert rates[0].min() < 0.045
        assert rates[0].max() > 0.14
        assert np.abs(rates[-10:].mean(axis=0) - 0.05).max() < 0.003
    assert made.verify(["reference", "fast", "chip"], inputs=tonic(2)).bit_exact


def test_homeostasis_too_slow_for_a_weight_is_refused() -> None:
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(homeostasis(rate=2e-5), "loihi")
    assert caught.value.diagnostics[0].code == "NC0351"
    assert caught.value.diagnostics[0].message == (
        "projection 'tonic->cells': 4e-06 * u2 moves weights by 0.00204 steps for factors of 1"
    )


# Neuron programs


@pytest.mark.parametrize("target", ["reference", "loihi2"])
def test_programs_are_targets_and_sources_of_what_learns(target: str) -> None:
    """A neuron program learns what drives it, and what it drives learns from it."""
    learn = ", learn: {rule: stdp, a_plus: 0.05, a_minus: 0.02, w_max: 0.5}"
    made, given = neurocomp.compile(homeostasis(ADAPTIVE, learn=learn), target), tonic(2)
    engines = ["reference", "fast", *(["chip"] if target == "loihi2" else [])]
    report = made.verify(engines, inputs=given)
    assert report.bit_exact, str(report.first_divergence)
    assert report.engines == tuple(engines)
    assert report.witnesses["cells"] == "shared"
    whole, real = made.run("fast", given).arrays, made.run("float", given).arrays
    for name, limit in (("weights/tonic->cells", 0.05), ("weights/cells->out", 0.15)):
        assert np.abs(real[name]).max() > 0.1
        assert np.abs(whole[name] * 0.5 / 255 - real[name]).max() < limit


def test_what_a_program_sends_beside_spikes_does_not_teach() -> None:
    learn = ", learn: {rule: stdp, a_plus: 0.05, a_minus: 0.02, w_max: 0.5}"
    text = HOMEOSTASIS.replace("NEURON", "sigma_delta, v_threshold: 1.0").replace("RATE", "0.01").replace("LEARN", learn)
    with pytest.raises(NetworkError) as caught:
        loads(text, Path())
    assert caught.value.diagnostics[0].code == "NC0220"
    assert caught.value.diagnostics[0].message == ("projection 'cells->out': 'cells' also sends -1; learning counts spikes")


def test_rows_that_learn_are_not_shared_and_zeros_are_stored() -> None:
    """All rows begin alike, with zeros, and end apart."""
    first, last = HEAD.index("    weights: [[0.1"), HEAD.index("    learn:")
    made = network(text=HEAD[:first] + f"    weights: {[[0.0] * 5] * 4}\n" + HEAD[last:])
    compiled = neurocomp.compile(made, "loihi")
    report = compiled.verify(["reference", "chip"], inputs=stimulus())
    assert report.bit_exact, str(report.first_divergence)
    assert np.count_nonzero(compiled.run("chip", stimulus()).arrays["weights/pixels->cells"]) > 0


def test_a_projection_of_neurons_learns_on_the_chip() -> None:
    made = neurocomp.compile(network(more=", learn: {rule: stdp, a_plus: 0.05, a_minus: 0.02, w_max: 1.0, seed: 9}"), "loihi")
    report = made.verify(["reference", "fast", "chip"], inputs=stimulus())
    assert report.bit_exact, str(report.first_divergence)
    weights = made.run("chip", stimulus()).arrays
    assert not np.array_equal(weights["weights/cells->out"], made.artifact.lowered.network.projections[2].weights)


def test_cells_on_several_cores_learn() -> None:
    text = f"""neurocomp: 1
name: wide
timestep: 1 ms
ticks: 20
populations:
  x: {{kind: input, shape: [3]}}
  y: {{shape: [1500], neuron: {{model: lif, tau_mem: 20 ms, v_threshold: 1.0}}}}
projections:
  - {{from: x, to: y, weights: {np.random.default_rng(0).uniform(0, 1, (1500, 3)).round(3).tolist()},
     learn: {{rule: stdp, a_plus: 0.05, a_minus: 0.04}}}}
"""
    made = neurocomp.compile(loads(text, Path()), "loihi")
    assert len(made.artifact.mapped.cores) > 1
    given = {"x": (np.random.default_rng(1).random((2, 20, 3)) < 0.4).astype(np.int32)}
    report = made.verify(["reference", "chip"], inputs=given)
    assert report.bit_exact, str(report.first_divergence)


def test_inject_is_found() -> None:
    made = neurocomp.compile(network(), "loihi")
    assert not made.verify(["reference", "chip"], inputs=stimulus(), inject=("weight", 3)).bit_exact


# Engines


@pytest.mark.parametrize("seed", range(40))
def test_the_fast_engine_learns_as_the_reference_does(seed: int) -> None:
    integers, given = learning_network(seed)
    wanted = ReferenceSimulator().run(integers, given)
    assert trace_difference(FastSimulator(jobs=1 + seed % 2).run(integers, given), wanted) is None


def test_random_networks_do_learn() -> None:
    moved = 0
    for seed in range(20):
        integers, given = learning_network(seed)
        trace = ReferenceSimulator().run(integers, given)
        moved += bool((trace.weights["learned"][-1] != integers.projections[0].weights).any())
    assert moved > 10


def test_samples_go_on_from_one_another_or_not() -> None:
    given = stimulus(samples=3)
    alone = {name: values[2:] for name, values in given.items()}
    apart = neurocomp.compile(network(STDP[:-1] + ", across_samples: false}"), "loihi")
    learned = apart.run("reference", given).arrays["weights/pixels->cells"]
    assert np.array_equal(learned[2], apart.run("reference", alone).arrays["weights/pixels->cells"][0])
    together = neurocomp.compile(network(), "loihi")
    last = together.run("reference", given).arrays["weights/pixels->cells"]
    assert not np.array_equal(last, together.run("reference", alone).arrays["weights/pixels->cells"])
    for jobs in (1, 2):
        assert np.array_equal(last, together.run("fast", given, jobs=jobs).arrays["weights/pixels->cells"])


def test_artifacts_keep_the_rule(tmp_path: Path) -> None:
    made = neurocomp.compile(network(RULES[-1]), "loihi")
    made.save(tmp_path / "net.ncz")
    again = neurocomp.load(tmp_path / "net.ncz")
    assert isinstance(again, neurocomp.Compiled)
    assert again.artifact.program.digest() == made.artifact.program.digest()
    assert again.verify(["reference", "chip"], inputs=stimulus()).bit_exact


# The file and its errors


@pytest.mark.parametrize("learn", RULES)
def test_the_file_comes_back(learn: str, tmp_path: Path) -> None:
    made = network(learn)
    write(made, tmp_path, "a test")
    again = neurocomp.load(tmp_path / "net.yaml")
    assert isinstance(again, Network)
    assert again.projections[0].learning == made.projections[0].learning


@pytest.mark.parametrize(
    ("learn", "code", "message"),
    [
        (
            "{rule: stpd, a_plus: 1, a_minus: 1}",
            "NC0208",
            "projection 'pixels->cells': learn: rule: there is no learning rule 'stpd'",
        ),
        ("{rule: stdp, a_plus: 0.1}", "NC0105", "the rule 'stdp' needs 'a_minus', the step, downwards, where it does not"),
        (
            "{rule: stdp, a_plus: 0.1, a_minus: 0.1, tau: 3 ms}",
            "NC0103",
            "projection 'pixels->cells': learn: unknown key 'tau'",
        ),
        ("{rule: stdp, a_plus: 0.1, a_minus: 0.1, epoch: 64}", "NC0209", "epoch"),
        ("{rule: stdp, a_plus: 0.1, a_minus: 0.1, modulator: reward}", "NC0220", "the rule 'stdp' has 0 modulators, 1 given"),
        ("{rule: rstdp, rate: 0.1}", "NC0220", "the rule 'rstdp' has 1 to 2 modulators, 0 given"),
        ("{rule: rstdp, rate: 0.1, modulator: pixels}", "NC0220", "the modulator 'pixels' has 5 neurons; 1 or 4"),
        ("{rule: stdp, a_plus: 0.1, a_minus: 0.1, w_max: 0.3}", "NC0209", "a weight is 0.5; it learns within 0..0.3"),
        (
            "{rule: homeostasis, rate: 0.1, target_rate: 1}",
            "NC0220",
            "target_rate is 1; it is a share of epochs between 0 and 1",
        ),
        (
            "{rule: homeostasis, rate: 0.1, target_rate: 0.1, every: 3}",
            "NC0220",
            "every is 3; it is a power of two between 1 and 512",
        ),
        ("{rule: products, dw: x1*w}", "NC0220", "'x1*w' needs a condition: x0, y0 or u"),
        ("{rule: products}", "NC0220", "the rule 'products' needs 'dw', the sum by which weights move"),
    ],
)
def test_a_wrong_rule_is_told(learn: str, code: str, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        network(learn)
    assert caught.value.diagnostics[0].code == code
    assert message in caught.value.diagnostics[0].message


def test_convolutions_do_not_learn() -> None:
    text = """neurocomp: 1
name: shared
timestep: 1 ms
ticks: 5
populations:
  x: {kind: input, shape: [1, 4, 4]}
  y: {shape: [2, 2, 2], neuron: {model: if}}
projections:
  - {from: x, to: y, pattern: conv2d, weights: [[[[1, 0, 0], [0, 1, 0], [0, 0, 1]]], [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]],
     learn: {rule: stdp, a_plus: 0.1, a_minus: 0.1}}
"""
    with pytest.raises(NetworkError) as caught:
        loads(text, Path())
    assert caught.value.diagnostics[0].message == (
        "projection 'x->y': 'conv2d' shares weights or is a chain; dense, sparse, one_to_one can learn"
    )


def test_truenorth_refuses_to_learn() -> None:
    codes = {v.code: v for v in api.check(network(), "truenorth")}
    assert codes["NC0350"].message == "projection 'pixels->cells' learns; truenorth has no synapses that do"
    assert codes["NC0350"].hint == "train before compiling and leave 'learn' out, or use a target that learns, such as loihi"


def test_what_the_chip_cannot_learn_is_refused() -> None:
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(network("{rule: stdp, a_plus: 1.0e-7, a_minus: 0.1, w_max: 0.5}"), "loihi")
    assert caught.value.diagnostics[0].code == "NC0351"
    assert "moves weights by" in caught.value.diagnostics[0].message
    late = HEAD.replace("    learn:", "    delay: 2\n    learn:")
    violations = api.check(network(text=late), "loihi")
    assert [v.code for v in violations] == ["NC0350"]
    assert (
        violations[0].message
        == "projection 'pixels->cells' learns, and its synapses wait 2 ticks; those that learn do not wait"
    )
    inner = network("{rule: rstdp, rate: 0.05, w_max: 0.5, modulator: cells}")
    assert [v.code for v in api.check(inner, "loihi")] == ["NC0350"]
    assert neurocomp.compile(inner, "reference").verify(["reference", "fast"], inputs=stimulus()).bit_exact


def test_bounds_that_fit_no_scale_are_refused() -> None:
    """Bounds far below the threshold, or of two projections that do not go together."""
    weak = HEAD.replace("v_threshold: 1.0, reset: zero, refractory: 1", "v_threshold: 500.0, reset: zero")
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(network(text=weak), "loihi")
    assert [d.code for d in caught.value.diagnostics] == ["NC0351"]
    assert "'cells' learns weights up to 0.5, far below its threshold or other weights" in caught.value.diagnostics[0].message
    second = HEAD.replace("weights: 0.6}", "weights: 0.6, learn: {rule: stdp, a_plus: 0.1, a_minus: 0.1, w_max: 0.7}}")
    with pytest.raises(UnsupportedError) as caught:
        neurocomp.compile(network(text=second), "loihi")
    assert caught.value.diagnostics[0].message == (
        "population 'cells' learns within bounds that are no powers of two apart"
    )  # fmt: skip
    halves = second.replace("w_max: 0.7", "w_max: 1.0")
    assert neurocomp.compile(network(text=halves), "loihi").verify(["reference", "chip"], inputs=stimulus()).bit_exact


def test_rewards_have_sizes() -> None:
    """A modulator that is an input sends 0 to 127: a reward of 6 moves weights as six times its rate does."""
    given = stimulus()
    moved = []
    for rate, size in ((0.0006, 6), (0.0036, 1)):
        rule = f"{{rule: rstdp, a_plus: 16, a_minus: 16, rate: {rate}, w_max: 0.5, modulator: reward, tag_leak: 0.1, seed: 2}}"
        sent = given | {"reward": size * given["reward"]}
        compiled = neurocomp.compile(network(rule), "loihi")
        assert compiled.verify(["reference", "fast", "chip"], inputs=sent).bit_exact
        real = api.run_network(network(rule), sent).arrays["weights/pixels->cells"]
        moved.append(real[-1] - network(rule).projections[0].weights)
    assert np.abs(moved[0]).max() > 0.01
    assert np.allclose(moved[0], moved[1])
    for wrong in (128, -1):
        with pytest.raises(NetworkError) as caught:
            compiled.run("fast", inputs=given | {"reward": wrong * given["reward"]})
        assert f"holds the value {wrong}; what modulates is 0 to 127" in str(caught.value)
    with pytest.raises(NetworkError):
        compiled.run("fast", inputs=given | {"pixels": 2 * given["pixels"]})
