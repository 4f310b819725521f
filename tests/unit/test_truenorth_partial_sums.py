"""Partial sums: the rewritten network carries the same weights, and its thresholds do what calibration says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import TRUENORTH, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern
from neurocomp_reference import ReferenceSimulator
from neurocomp_truenorth.lines import lines_of, synapses_of
from neurocomp_truenorth.partial_sums import PERCENTILES, PartialSums, axons_per_line, partial_sums

Array = NDArray[Any]
SPEC = registry.find_spec("truenorth")
FORM = SPEC.number_format
TICKS = 20


def network(seed: int, n_source: int = 60, n: int = 5, **given: Any) -> IntegerNetwork:
    """Two projections from one input, one with delays per synapse and a pair that cancels, and one through a maximum."""
    rng = np.random.default_rng(seed)
    values = {key: np.zeros(n, np.int64) for key in TRUENORTH}
    values |= {
        "alpha": rng.integers(20, 60, n),
        "beta": np.full(n, (1 << 18) - 1),
        "kappa": np.ones(n, np.int64),
        "gamma": np.ones(n, np.int64),
    }
    values |= {key.rstrip("_"): np.resize(np.asarray(value, np.int64), n) for key, value in given.items()}
    p = IntegerPopulation("p", (n,), "truenorth", {key: frozen(value, np.int64) for key, value in values.items()})
    dense = rng.integers(-7, 8, (n, n_source))
    sources, targets = rng.integers(0, n_source, 40), rng.integers(0, n, 40)
    weights = rng.integers(-7, 8, 40)
    sources[0], targets[0], weights[0] = 3, 2, -dense[2, 3]
    delay = rng.integers(0, 3, 40)
    delay[0] = 0
    pool = Pattern("maxpool1d", {}, {"kernel": (2,), "stride": (2,), "padding": (0,)})

    def projection(name: str, pattern: Pattern, weights: Any, delay: Any, pool: Pattern | None = None) -> IntegerProjection:
        values, ticks = frozen(weights, np.int16), frozen(delay, np.int64)
        return IntegerProjection(name, "i", "p", pattern, values, 0, "mixed", 8, 0, ticks, pool=pool)

    projections = (
        projection("a", Pattern("dense"), dense, 0),
        projection("b", Pattern("sparse", {"sources": frozen(sources), "targets": frozen(targets)}), weights, delay),
        projection("c", Pattern("dense"), rng.integers(-3, 4, (n, n_source // 2)), 1, pool),
    )
    found = IntegerNetwork(
        "n", 1e-3, TICKS, FORM, {"i": IntegerPopulation("i", (1, n_source), "input", {}), "p": p}, projections, outputs=("p",)
    )
    found.verify("test")
    return found


def stimulus(seed: int, n_source: int = 60, rate: float = 0.1) -> dict[str, Array]:
    return {"i": (np.random.default_rng(seed).random((6, TICKS, n_source)) < rate).astype(np.uint8)}


def synapses(made: IntegerNetwork, name: str, owner: Array, sign: Array) -> dict[tuple[Any, ...], int]:
    """Return (source, whether pooled, delay, logical neuron) -> weight; what cancels is left out."""
    found: dict[tuple[Any, ...], int] = {}
    for q in made.projections:
        if q.target == name and q.source == "i":
            for source, neuron, weight, delay in zip(*synapses_of(made, q), strict=True):
                key = int(source), q.pool is not None, int(delay), int(owner[neuron])
                found[key] = found.get(key, 0) + int(weight * sign[neuron])
    return {key: weight for key, weight in found.items() if weight}


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_channels_hold_the_weights(seed: int, parts: int) -> None:
    """Summed over parts and signs; each part sees every ``parts``-th line; channels hear one sign only."""
    before = network(seed)
    made = partial_sums(before, "p", FORM, None, parts)
    made.network.verify("test")
    partial, part = made.network.populations["p.partial"], made.part
    assert part.unit is not None
    assert part.logical == "p"
    assert part.role == "channel"
    same = np.arange(before.populations["p"].size)
    assert synapses(made.network, "p.partial", part.neurons, np.sign(part.unit)) == synapses(
        before, "p", same, np.ones(len(same), np.int64)
    )
    lines = lines_of(made.network, "p.partial")
    # Every line goes to one part alone, and channels share them out evenly.
    parts_of_line = [np.unique(made.part_of[lines.neuron[lines.line == line]]) for line in range(lines.count)]
    assert all(len(found) == 1 for found in parts_of_line)
    per_part = np.bincount(np.concatenate(parts_of_line), minlength=parts)
    assert per_part.max() - per_part.min() <= 2
    # A spike counts as much as the channel takes off, alike on all channels of a neuron.
    assert np.array_equal(np.abs(part.unit), partial.values("alpha"))
    for neuron in range(before.populations["p"].size):
        assert len(np.unique(np.abs(part.unit[part.neurons == neuron]))) == 1
    final = next(q for q in made.network.projections if q.source == "p.partial")
    assert np.array_equal(final.weights, part.unit)
    assert np.array_equal(final.pattern.arrays["targets"], part.neurons)
    assert (partial.values("gamma") == 1).all()
    assert not partial.values("lambda").any()
    assert [q.name for q in made.network.projections] == ["a", "b", "c", "p.partial->p"]


def run_counts(made: PartialSums, inputs: dict[str, Array]) -> Array:
    return np.asarray(ReferenceSimulator().run(made.network, inputs).spikes["p"].sum(axis=1))


@pytest.mark.parametrize("seed", range(6))
def test_calibration_predicts_the_error(seed: int) -> None:
    """The mean difference of spike counts that is noted is what the reference finds in the rewritten network."""
    given = [{}, {"lambda_": 1}, {"epsilon": 1, "lambda_": -1}, {"gamma": 0}, {"V": 7}, {"beta": 5}][seed]
    before, inputs = network(seed, **given), stimulus(seed)
    trace = ReferenceSimulator().run(before, inputs)
    made = partial_sums(before, "p", FORM, trace, 2)
    wanted = trace.spikes["p"].sum(axis=1)
    assert wanted.mean() > 0.5
    error = np.abs(run_counts(made, inputs) - wanted).mean() / wanted.mean()
    assert made.count_error == pytest.approx(error)
    # No worse than without calibration.
    blind = partial_sums(before, "p", FORM, None, 2)
    assert blind.count_error is None
    assert error <= np.abs(run_counts(blind, inputs) - wanted).mean() / wanted.mean() + 0.05
    assert error < 0.6


def test_what_thresholds_carry() -> None:
    """A channel sends, spike by spike, all that it adds up but for less than its threshold, unless it saturates."""
    before, inputs = network(1), stimulus(1)
    trace = ReferenceSimulator().run(before, inputs)
    made = partial_sums(before, "p", FORM, trace, 3)
    partial = made.network.populations["p.partial"]
    run = ReferenceSimulator().run(made.network, inputs)
    assert made.part.unit is not None
    activity = np.zeros((6, TICKS, partial.size), np.int64)
    for q in made.network.projections:
        if q.target != "p.partial":
            continue
        spikes = inputs["i"].astype(np.int64)
        if q.pool is not None:
            spikes = spikes.reshape(6, TICKS, -1, 2).max(axis=3)
        for source, channel, weight, delay in zip(*synapses_of(made.network, q), strict=True):
            activity[:, delay:, channel] += weight * spikes[:, : TICKS - delay, source]
    sent = run.spikes["p.partial"].cumsum(axis=1) * np.abs(made.part.unit)
    left = activity.cumsum(axis=1) + partial.values("V") - sent
    assert np.array_equal(left, run.v["p.partial"])
    assert (left >= 0).all()


def test_a_weaker_synapse_of_the_other_sign() -> None:
    """It lowers what its line carries, where no channel has its sign."""
    before = network(0)
    rng = np.random.default_rng(0)

    def projection(name: str, pattern: Pattern, weights: Any) -> IntegerProjection:
        return IntegerProjection(
            name, "i", "p", pattern, frozen(weights, np.int16), 0, "mixed", 8, 0, frozen(np.int64(0))
        )  # fmt: skip

    dense = rng.integers(3, 8, (5, 60))
    pair = Pattern("sparse", {"sources": frozen(np.array([7])), "targets": frozen(np.array([1]))})
    projections = (projection("a", Pattern("dense"), dense), projection("b", pair, [-2]))
    both = IntegerNetwork("n", 1e-3, TICKS, FORM, before.populations, projections, outputs=("p",))
    made = partial_sums(both, "p", FORM, None, 2)
    assert made.part.unit is not None
    found = synapses(made.network, "p.partial", made.part.neurons, np.sign(made.part.unit))
    assert found == synapses(both, "p", np.arange(5), np.ones(5, np.int64))


def test_a_silent_neuron_and_percentiles() -> None:
    """Neurons that hear nothing keep a threshold of 1; percentiles are ascending."""
    assert list(PERCENTILES) == sorted(PERCENTILES)
    before, inputs = network(2), {"i": np.zeros((1, TICKS, 60), np.uint8)}
    trace = ReferenceSimulator().run(before, inputs)
    made = partial_sums(before, "p", FORM, trace, 2)
    assert (made.network.populations["p.partial"].values("alpha") == 1).all()
    assert not run_counts(made, inputs).any()


def test_axons_per_line() -> None:
    """The sign lies in the channel: weights of 4 bits take three axons, trinary ones one."""
    before = network(0)
    assert axons_per_line(lines_of(before, "p"), before.populations["p"], SPEC) in (3, 4)
    rng = np.random.default_rng(0)
    trinary = IntegerProjection(
        "t", "i", "p", Pattern("dense"), frozen(rng.integers(-1, 2, (5, 60)), np.int16), 0, "mixed", 8, 0, frozen(np.int64(0))
    )
    only = IntegerNetwork("n", 1e-3, TICKS, FORM, before.populations, (trinary,), outputs=("p",))
    assert axons_per_line(lines_of(only, "p"), before.populations["p"], SPEC) == 1
