"""What the fast engine counts while it runs is what is counted from the trace of the reference, on random wirings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neurocomp.energy.counts import tally_of
from neurocomp.engine import simulator as engine
from neurocomp.engine.metering import Axons, Sum, Tally, Ways, Wiring, node_key
from neurocomp.engine.simulator import FastSimulator
from neurocomp.ir.quantized import IntegerNetwork
from neurocomp.testing.golden import compartments, input_population, integer_network, max_pool, synapses
from neurocomp.testing.random_integers import EXTREME, PLAIN, IntegerVariety, random_integer_network
from neurocomp_reference import ReferenceSimulator

CORES = 7
"""More than a population is added up for core by core; small populations are on fewer."""


def drawn_wiring(network: IntegerNetwork, seed: int, chip_ticks: int) -> Wiring:
    """Draw where neurons are and who listens to them; of a maximum, only if it is heard within a sample."""
    rng = np.random.default_rng(seed)
    populations = {name: p for name, p in network.populations.items() if p.dynamics != "current"}
    nodes = {node_key(name, None): (p.size, p.is_input) for name, p in populations.items()}
    for q in network.projections:
        if q.pool is not None and q.mantissa.size and int(q.delay.min()) < chip_ticks:
            nodes[node_key(q.source, q.pool)] = math.prod(network.shapes(q)[0]), False
    axons: list[tuple[Axons, ...]] = []
    for _ in range(CORES):
        own = []
        for key, (n, is_input) in nodes.items():
            neurons = rng.permutation(n)[: rng.integers(0, n, endpoint=True)]
            counted = rng.integers(0, 50, (3, len(neurons)))
            host, message = is_input and bool(rng.integers(0, 2)), bool(rng.integers(0, 2))
            own.append(Axons(key, neurons, counted[0], counted[1], counted[2], message, host and message))
        axons.append(tuple(own))
    homes, ways = {}, {}
    for name, p in populations.items():
        if not p.is_input:
            homes[name] = rng.integers(0, CORES, p.size) if rng.integers(0, 2) else np.full(p.size, rng.integers(0, CORES))
            ways[name] = Ways(*(rng.integers(0, 4, p.size) for _ in range(4)))
    sums = [Sum(key, rng.integers(0, 4, n) if rng.integers(0, 2) else np.full(n, 3)) for key, (n, _) in nodes.items()]
    return Wiring(tuple(axons), homes, ways, sums=tuple(sums))


def assert_equal(found: Tally, wanted: Tally) -> None:
    assert list(found.per_core) == list(wanted.per_core)
    for event, values in wanted.per_core.items():
        np.testing.assert_array_equal(found.per_core[event], values, event)
    np.testing.assert_array_equal(found.ways, wanted.ways)
    np.testing.assert_array_equal(found.sums, wanted.sums)
    for key, spikes in wanted.spikes.items():
        if key in found.spikes or spikes.any():
            np.testing.assert_array_equal(found.spikes[key], spikes, str(key))
            np.testing.assert_array_equal(found.spikes_of_samples[key], wanted.spikes_of_samples[key], str(key))
    assert dict(found.active) == dict(wanted.active)


@pytest.mark.parametrize("variety", [PLAIN, EXTREME], ids=["plain", "extreme"])
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("together", [False, True])
def test_counts_of_random_networks(variety: IntegerVariety, jobs: int, together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not together:
        monkeypatch.setattr(engine, "_together", lambda plan, samples, jobs: 1)
    for seed in range(40):
        network, stimulus, lag = random_integer_network(500 + seed, variety)
        chip_ticks = next(iter(stimulus.values())).shape[1] + max(lag.values())
        wiring = drawn_wiring(network, seed, chip_ticks)
        wanted = tally_of(ReferenceSimulator().run(network, stimulus, lag=lag), network, wiring)
        trace, found = FastSimulator(jobs).count(network, stimulus, wiring, lag=lag, record=[], state=False)
        assert not trace.spikes
        assert_equal(found, wanted)


def test_a_maximum_that_is_heard_only_after_the_sample() -> None:
    pool = max_pool((2,))
    x, n = input_population("x", (1, 4)), compartments("n", 1, {"vth": 100})
    network = integer_network([x, n], [synapses("x", "n", np.ones((1, 2)), pool=pool, delay=5)])
    ones, nothing = np.ones(2, np.int64), np.zeros(1, np.int64)
    axons = Axons(node_key("x", pool), np.arange(2), ones, ones, ones)
    sums = (Sum(node_key("x", pool), ones),)
    wiring = Wiring(((axons,),), {"n": nothing}, {"n": Ways(nothing, nothing, nothing, nothing)}, sums=sums)
    stimulus = {"x": np.ones((1, 3, 4), np.int8)}
    wanted = tally_of(ReferenceSimulator().run(network, stimulus), network, wiring)
    assert wanted.per_core["sops"].sum() == 6
    assert_equal(FastSimulator(jobs=1).count(network, stimulus, wiring)[1], wanted)
