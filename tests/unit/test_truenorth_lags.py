"""Lags: the longest path, cycles without enough delay; and starts that end where a population is to begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import TRUENORTH, IntegerNetwork, IntegerPopulation, IntegerProjection
from neurocomp.models.patterns import Pattern
from neurocomp_reference.steps import Clock, State, TrueNorthNeuron
from neurocomp_truenorth.lags import Start, delays_between, is_memoryless, lags, quiet_tick, starts

IntArray = NDArray[np.int64]
FORM = registry.find_spec("truenorth").number_format


def neurons(name: str, n: int = 1, **given: Any) -> IntegerPopulation:
    """Neurons that spike at 10 and never from below, unless given."""
    values = {key: np.zeros(n, np.int64) for key in TRUENORTH} | {"alpha": np.full(n, 10), "beta": np.full(n, 1000)}
    values |= {key.rstrip("_"): np.resize(np.asarray(value, np.int64), n) for key, value in given.items()}
    return IntegerPopulation(name, (n,), "truenorth", {key: frozen(value, np.int64) for key, value in values.items()})


def edge(source: str, target: str, delay: Any = 0, weights: Any = ((1,),)) -> IntegerProjection:
    """A dense projection."""
    return IntegerProjection(
        f"{source}->{target}", source, target, Pattern("dense"), frozen(weights, np.int16), 0, "mixed", 8, 0,
        frozen(delay, np.int64),
    )  # fmt: skip


def network(*projections: IntegerProjection, **populations: IntegerPopulation) -> IntegerNetwork:
    """An input ``i``, and populations; those that are not given have plain neurons."""
    names = dict.fromkeys(name for q in projections for name in (q.source, q.target))
    found = {name: populations.get(name) or neurons(name) for name in names if name != "i"}
    return IntegerNetwork("n", 1e-3, 10, FORM, {"i": IntegerPopulation("i", (1,), "input", {}), **found}, projections)


class TestLags:
    """A spike takes at least a tick from neuron to neuron, and none from the host."""

    def test_a_chain(self) -> None:
        """Inputs are in time; each hop without delay costs a tick."""
        assert lags(network(edge("i", "a"), edge("a", "b"), edge("b", "c", 1), edge("c", "d"))) == (
            {"i": 0, "a": 0, "b": 1, "c": 1, "d": 2}, None,
        )  # fmt: skip

    def test_the_longest_path_counts(self) -> None:
        """A skip waits for the way through others; a delay that is left over makes nobody early."""
        lag, cycle = lags(network(edge("i", "a"), edge("a", "b"), edge("b", "c"), edge("a", "c", 1), edge("i", "c", 7)))
        assert cycle is None
        assert lag == {"i": 0, "a": 0, "b": 1, "c": 2}

    def test_the_smallest_delay_counts(self) -> None:
        """Of delays per synapse, among synapses that weigh something."""
        few = edge("a", "b", ((5, 0, 3),), ((1, 0, 1),))
        net = network(edge("i", "a", 0, ((1,), (1,), (1,))), few, a=neurons("a", 3))
        assert delays_between(net) == {("i", "a"): (0, 0), ("a", "b"): (3, 5)}
        assert lags(net)[0]["b"] == 0
        silent = network(edge("i", "a"), edge("a", "b", 0, ((0,),)))
        assert lags(silent)[0]["b"] == 0

    def test_cycles(self) -> None:
        """As much delay as hops is enough; one tick less is not, and the cycle is named."""
        assert lags(network(edge("i", "a"), edge("a", "b"), edge("b", "a", 2))) == ({"i": 0, "a": 0, "b": 1}, None)
        _, cycle = lags(network(edge("i", "a"), edge("a", "b"), edge("b", "c"), edge("c", "a", 2)))
        assert cycle is not None
        assert cycle[0] == cycle[-1]
        assert set(cycle) == {"a", "b", "c"}
        assert lags(network(edge("i", "a"), edge("a", "a", 1)))[1] is None

    def test_random_graphs(self) -> None:
        """The lag equation holds on every edge, and each lag is needed by one of them."""
        rng = np.random.default_rng(0)
        for _ in range(200):
            names = [f"p{i}" for i in range(rng.integers(2, 8))]
            edges = [edge("i", names[0])]
            for target in range(1, len(names)):
                for source in rng.choice(target, rng.integers(1, target + 1), False):
                    edges.append(edge(names[source], names[target], int(rng.integers(0, 3))))
            net = network(*edges)
            lag, cycle = lags(net)
            assert cycle is None
            for (sender, receiver), (low, _) in delays_between(net).items():
                assert low + lag[receiver] - lag[sender] >= (sender != "i")
            for name in names[1:]:
                tight = [low + lag[name] - lag[s] == 1 for (s, t), (low, _) in delays_between(net).items() if t == name]
                assert lag[name] == 0 or any(tight)


def run_quietly(p: IntegerPopulation, start: Start, lag: int) -> tuple[IntArray, bool]:
    """Return v after the ticks ahead of a population's time, in the reference, and whether it spiked."""
    neuron, v, spiked = TrueNorthNeuron.of(p, FORM), start.v[None].copy(), False
    for t in range(lag):
        added = np.zeros_like(v) if start.hold is None else start.hold[None]
        out = neuron.step(State(np.zeros_like(v), v, np.zeros_like(v)), added, None, Clock(np.zeros(1, np.int64), t - lag))
        v, spiked = out.state.v, spiked or bool(out.spikes.any())
    return v[0], spiked


class TestStarts:
    """What runs ahead of its time begins it as it is to begin."""

    def start(self, p: IntegerPopulation, lag: int, may_hold: bool = True) -> Start:
        """Return the start of a population that hears a silent one."""
        net = network(edge("i", "a"), edge("a", "p", 0, np.ones((p.size, 1))), p=p)
        return starts(net, {"i": 0, "a": 0, "p": lag}, {"a": True, "p": may_hold})["p"]

    def test_no_leak_needs_nothing(self) -> None:
        """The neuron stays as it is."""
        found = self.start(neurons("p", V=4), 5)
        assert found == Start(found.v)
        assert found.v.tolist() == [4]

    def test_a_corrected_potential(self) -> None:
        """It begins so much lower or higher that the leak leads it to V."""
        found = self.start(neurons("p", 2, V=[0, 3], lambda_=[2, -1]), 4)
        assert found.corrected
        assert found.v.tolist() == [-8, 7]
        assert found.inexact is None

    def test_a_hold_axon(self) -> None:
        """A floor at 0 leaves no lower start: the host takes the leak back."""
        p = neurons("p", lambda_=2, beta=0, kappa=1)
        found = self.start(p, 4)
        assert found.hold is not None
        assert found.hold.tolist() == [-2]
        assert run_quietly(p, found, 4)[0].tolist() == [0]
        assert self.start(p, 4, may_hold=False).inexact is not None

    def test_alpha_0_is_held_below(self) -> None:
        """A neuron that fires at 0 is held at -1, from where it is reset."""
        p = neurons("p", alpha=0, beta=0, lambda_=0)
        net = network(edge("i", "a"), edge("a", "p"), edge("p", "z", 1), p=p)
        found = starts(net, dict.fromkeys("iapz", 0) | {"p": 1, "z": 1}, dict.fromkeys("apz", True))
        assert found["p"].hold is not None
        assert found["p"].hold.tolist() == [-1]
        assert found["z"].inexact is None

    def test_early_spikes_into_the_memoryless_do_no_harm(self) -> None:
        """They are noisy too, but begin as they should; what has a memory behind them is not exact."""
        p, z = (neurons(name, alpha=0, beta=0) for name in "pz")
        assert is_memoryless(p)
        net = network(edge("i", "a"), edge("a", "p"), edge("p", "z"), edge("z", "y"), p=p, z=z)
        lag = {"i": 0, "a": 0, "p": 1, "z": 2, "y": 3}
        found = starts(net, lag, dict.fromkeys("apzy", False))
        assert found["p"].noisy
        assert found["z"].noisy
        assert found["z"].inexact is None
        assert found["y"].inexact is not None
        assert "early spikes of 'z'" in found["y"].inexact

    def test_a_stochastic_leak_is_not_exact(self) -> None:
        """No draw comes before the population's time."""
        assert self.start(neurons("p", lambda_=2, c_lambda=1), 2).inexact is not None
        assert self.start(neurons("p", lambda_=2, c_lambda=1), 0).inexact is None

    @pytest.mark.parametrize("seed", range(10))
    def test_random_neurons(self, seed: int) -> None:
        """What is called exact is exact in the reference, and silent unless it is called noisy."""
        rng = np.random.default_rng(seed)
        exact = held = corrected = 0
        for _ in range(60):
            n, lag = int(rng.integers(1, 3)), int(rng.integers(1, 5))
            p = neurons(
                "p", n, alpha=rng.integers(0, 12, n), beta=rng.integers(0, 12, n), lambda_=rng.integers(-3, 4, n),
                epsilon=rng.integers(0, 2, n), gamma=rng.integers(0, 3, n), kappa=rng.integers(0, 2, n),
                R=rng.integers(-3, 4, n), V=rng.integers(-3, 4, n) * (rng.random() < 0.5), TM=2 * (rng.random() < 0.2),
            )  # fmt: skip
            found = self.start(p, lag)
            v, spiked = run_quietly(p, found, lag)
            if found.inexact is None:
                exact += 1
                if not p.values("TM").any():
                    assert np.array_equal(v, p.values("V")), (seed, found)
            if not found.noisy:
                assert not spiked
            held += found.hold is not None
            corrected += found.corrected
        assert exact > 20
        assert held > 3
        assert corrected > 1

    def test_a_stochastic_threshold_that_is_met_is_not_exact(self) -> None:
        """What a draw of 0 would lead back to V, other draws do not; below alpha and above -beta no draw matters."""
        assert self.start(neurons("p", lambda_=-3, V=-5, beta=3, gamma=1, TM=3), 1).inexact is not None
        early = self.start(neurons("p", lambda_=1, alpha=1, beta=0, kappa=1, TM=3), 1, may_hold=False)
        assert (early.inexact, early.corrected, early.v.tolist()) == (None, True, [-1])  # which stays below any threshold
        assert self.start(neurons("p", lambda_=1, alpha=10, TM=3), 2).inexact is None
        assert self.start(neurons("p", lambda_=-1, beta=0, kappa=1, TM=3), 2).inexact is None

    def test_quiet_ticks_are_those_of_the_reference(self) -> None:
        """Without input and with draws of 0."""
        rng = np.random.default_rng(3)
        n = 2000
        p = neurons(
            "p", n, alpha=rng.integers(0, 12, n), beta=rng.integers(0, 12, n), lambda_=rng.integers(-9, 10, n),
            epsilon=rng.integers(0, 2, n), gamma=rng.integers(0, 3, n), kappa=rng.integers(0, 2, n), R=rng.integers(-9, 10, n),
            symmetric=rng.integers(0, 2, n),
        )  # fmt: skip
        v = rng.integers(-30, 30, n)
        out = TrueNorthNeuron.of(p, FORM).step(
            State(np.zeros((1, n), np.int64), v[None], np.zeros((1, n), np.int64)), np.zeros((1, n), np.int64), None,
            Clock(np.zeros(1, np.int64), 0),
        )  # fmt: skip
        now, spikes, certain = quiet_tick(p, v)
        assert certain.all()
        assert np.array_equal(now, out.state.v[0])
        assert np.array_equal(spikes, out.spikes[0] != 0)
