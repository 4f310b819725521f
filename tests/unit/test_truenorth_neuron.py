"""The TrueNorth neuron of the reference: the reset table, leaks, saturation and draws, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurocomp import registry
from neurocomp.ir.network import frozen
from neurocomp.ir.quantized import TRUENORTH, IntegerPopulation
from neurocomp.models.neurons import NEURON_MODELS, Semantics
from neurocomp_reference.steps import Clock, State, TrueNorthNeuron, draw, philox, stochastic_step

IntArray = NDArray[np.int64]
FORM = registry.find_spec("truenorth").number_format
LIMIT = (1 << 19) - 1


def population(n: int = 1, **given: Any) -> IntegerPopulation:
    """Neurons with some parameters; alpha is large and the others 0 unless given."""
    values = {key: np.zeros(n, np.int64) for key in TRUENORTH} | {"alpha": np.full(n, 1000), "beta": np.full(n, 1000)}
    values |= {key.rstrip("_"): np.resize(np.asarray(value, np.int64), n) for key, value in given.items()}
    return IntegerPopulation("p", (n,), "truenorth", {key: frozen(value, np.int64) for key, value in values.items()})


def tick(p: IntegerPopulation, v: Any, added: Any = 0, clock: Clock | None = None) -> tuple[list[int], list[int]]:
    """Return v after a tick, and spikes, of one sample."""
    start = np.resize(np.asarray(v, np.int64), (1, p.size))
    state = State(np.zeros_like(start), start, np.zeros_like(start))
    clock = clock or Clock(np.zeros(1, np.int64), 0)
    out = TrueNorthNeuron.of(p, FORM).step(state, np.resize(np.asarray(added, np.int64), (1, p.size)), None, clock)
    return out.state.v[0].tolist(), out.spikes[0].tolist()


@pytest.mark.parametrize(
    ("gamma", "kappa", "v", "after", "spike"),
    [
        (0, 0, 10, 7, 1), (1, 0, 12, 2, 1), (2, 0, 12, 12, 1),
        (0, 0, -21, -7, 0), (1, 0, -21, -1, 0), (2, 0, -21, -21, 0),
        (0, 1, -21, -20, 0), (1, 1, -21, -20, 0), (2, 1, -21, -20, 0),
        (0, 0, -20, -20, 0), (0, 1, -20, -20, 0), (0, 0, 9, 9, 0), (1, 1, 10, 0, 1), (2, 1, 10, 10, 1),
    ],
)  # fmt: skip
def test_the_reset_table(gamma: int, kappa: int, v: int, after: int, spike: int) -> None:
    """alpha 10, beta 20, R 7: at alpha a spike, below -beta the negative reset, at -beta nothing."""
    assert tick(population(alpha=10, beta=20, R=7, gamma=gamma, kappa=kappa), v) == ([after], [spike])


@pytest.mark.parametrize(("gamma", "kappa", "after"), [(0, 0, -7), (1, 0, 0), (2, 0, -20), (0, 1, -20)])
def test_symmetric(gamma: int, kappa: int, after: int) -> None:
    """At -beta itself."""
    assert tick(population(alpha=10, beta=20, R=7, gamma=gamma, kappa=kappa, symmetric=1), -20) == ([after], [0])


@pytest.mark.parametrize(
    ("epsilon", "leak", "v", "after"),
    [
        (0, 3, 5, 8),
        (0, -3, -5, -8),
        (1, -3, 5, 2),
        (1, -3, -5, -2),
        (1, -3, 2, -1),
        (1, -3, 0, 0),
        (1, 3, 0, 0),
        (1, 3, -1, -4),
    ],
)
def test_leaks(epsilon: int, leak: int, v: int, after: int) -> None:
    """Away from or toward 0; at 0 a reversed leak does nothing; what overshoots stays so."""
    assert tick(population(lambda_=leak, epsilon=epsilon), v) == ([after], [0])


def test_the_order() -> None:
    """Integration, then the leak with the sign of the new v, then the comparison."""
    assert tick(population(alpha=10, lambda_=-3, epsilon=1, gamma=1), -2, 15) == ([0], [1])


def test_saturation() -> None:
    """V is clamped after integration and after the leak, and what -R makes of it in the next tick."""
    assert tick(population(alpha=(1 << 18) - 1, gamma=2, lambda_=-5), LIMIT - 3, 100) == ([LIMIT - 5], [1])
    assert tick(population(beta=(1 << 18) - 1, gamma=2, lambda_=5), -LIMIT, -100) == ([-LIMIT - 1 + 5], [0])


def test_philox_known_answers() -> None:
    """The vectors of Random123 (philox4x32, 10 rounds)."""
    ones = np.int64(0xFFFFFFFF)
    assert int(philox((np.int64(0),) * 4, (np.int64(0),) * 2)) == 0x6627E8D5
    assert int(philox((ones,) * 4, (ones,) * 2)) == 0x408F276D
    counter = tuple(np.int64(word) for word in (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344))
    assert int(philox(counter, (np.int64(0xA4093822), np.int64(0x299F31D0)))) == 0xD16CFE09


def test_draws_name_neuron_tick_and_sample() -> None:
    """Key, tick, sample, purpose and seed each change the word; a negative tick counts as 2**32 less."""
    base = population(2, seed=5, key=[3, 4])
    clock = Clock(np.array([0, 1]), 9)
    words = draw(base, 3, clock)
    assert len(np.unique(words)) == 4
    assert not (draw(base, 4, clock) == words).any()
    assert not (draw(base, 3, Clock(np.array([0, 1]), 10)) == words).any()
    assert not (draw(population(2, seed=6, key=[3, 4]), 3, clock) == words).any()
    early = philox((np.int64(3), np.int64((1 << 32) - 2), np.int64(0), np.int64(3 << 24)), (np.int64(5), np.int64(0)))
    assert draw(base, 3, Clock(np.array([0]), -2))[0, 0] == early


def test_stochastic_thresholds_share_eta() -> None:
    """eta is drawn once a tick, is added to alpha and, without kappa, to beta."""
    p = population(alpha=100, beta=100, TM=6, gamma=1, seed=1)
    clock = Clock(np.zeros(1, np.int64), 4)
    eta = int(draw(p, 4, clock)[0, 0]) & 63
    assert 0 < eta < 64
    assert tick(p, 100 + eta, clock=clock) == ([0], [1])
    assert tick(p, 99 + eta, clock=clock) == ([99 + eta], [0])
    assert tick(p, -101 - eta, clock=clock) == ([-1], [0])
    assert tick(p, -100 - eta, clock=clock) == ([-100 - eta], [0])
    assert tick(population(alpha=100, beta=100, TM=6, kappa=1, seed=1), -101, clock=clock) == ([-100], [0])


@pytest.mark.parametrize("size", [0, 1, 100, -100, 255, -255])
def test_the_probability_of_a_step(size: int) -> None:
    """A step of the sign with the probability (|s| + 1) / 256; 255 always steps, 0 never."""
    steps = stochastic_step(np.int64(size), np.arange(256))
    assert abs(int(steps.sum())) == (abs(size) + 1 if size else 0)
    assert np.array_equal(np.unique(steps[steps != 0]), [np.sign(size)] if size else [])


def test_stochastic_leaks_step_by_one() -> None:
    """About as often as they should, in the sense of v where the leak is reversed."""
    p = population(1, lambda_=-127, c_lambda=1, epsilon=1, seed=3)
    moved = [tick(p, 50, clock=Clock(np.zeros(1, np.int64), t))[0][0] - 50 for t in range(400)]
    assert set(moved) == {0, -1}
    assert 160 < -sum(moved) < 240


def test_the_float_model_is_the_same_arithmetic() -> None:
    """Random deterministic neurons, many ticks, far from the ends of v."""
    rng = np.random.default_rng(0)
    n = 400
    p = population(
        n, alpha=rng.integers(0, 40, n), beta=rng.integers(0, 40, n), lambda_=rng.integers(-5, 6, n),
        epsilon=rng.integers(0, 2, n), gamma=rng.integers(0, 3, n), kappa=rng.integers(0, 2, n), R=rng.integers(-9, 10, n),
        V=rng.integers(-20, 21, n), symmetric=rng.integers(0, 2, n),
    )  # fmt: skip
    model, neuron = NEURON_MODELS["truenorth"], TrueNorthNeuron.of(p, FORM)
    parameters = {key: p.values(key).astype(np.float64) for key in TRUENORTH}
    parameters["gamma"], parameters["epsilon"] = p.values("gamma"), p.values("epsilon")
    floats, state = model.start(parameters, (1, n)), neuron.first(p, 1)
    for t in range(40):
        x = rng.integers(-15, 25, (1, n))
        made = neuron.step(state, x, None, Clock(np.zeros(1, np.int64), t))
        state = made.state
        spikes = model.step(floats, x.astype(np.float64), parameters, Semantics(compare=">="), 1e-3, t)
        assert np.array_equal(spikes, made.spikes)
        assert np.array_equal(floats["v"], state.v)
