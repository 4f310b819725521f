"""The LSTM of spikes does in every step what its equations say, and is the same on every chip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from examples.families import Measured
from examples.families.lstm_truenorth.cell import HOLD, Array, IntArray, Memory, Timing, network
from examples.families.lstm_truenorth.family import parity_memory, parity_samples, recall_memory, recall_samples
from neurocomp.api import run_network


def said(memory: Memory, x: IntArray) -> tuple[IntArray, IntArray]:
    """Return h, (samples, steps, n), and the counts of the answers, from the spikes of the network."""
    arrays = run_network(network("x", memory, x, np.zeros(len(x), np.int64)), probe="all").arrays
    at, n = Timing(memory.levels, x.shape[1], memory.answer), len(memory.w)
    starts = at.said.start + at.period * np.arange(at.steps)
    out = arrays["spikes/out"].astype(np.int64)
    bursts = np.stack([out[:, first : first + at.levels].sum(axis=1) for first in starts], axis=1)
    return bursts[..., :n] - bursts[..., n:], arrays["spikes/answer"][:, at.answered :].sum(axis=1, dtype=np.int64)


@pytest.mark.parametrize(("memory", "samples"), [(recall_memory, recall_samples), (parity_memory, parity_samples)])
def test_spikes_are_the_equations(memory: Callable[[], Memory], samples: Callable[[], tuple[IntArray, Array]]) -> None:
    x, wanted = samples()
    h, answers = memory().run(x)
    spikes, counted = said(memory(), x)
    assert np.array_equal(spikes, h)
    assert np.array_equal(counted, answers)
    number = h[:, -1].sum(axis=1)
    assert np.array_equal(number, wanted if memory is recall_memory else 1 - 2 * wanted)


@pytest.mark.parametrize("seed", range(3))
def test_spikes_are_the_equations_of_any_weights(seed: int) -> None:
    """Clipped sums, gates that close, recurrence of every kind: random weights, L of 1 to 3."""
    rng = np.random.default_rng(seed)
    n, m, levels = 3, 4, 1 + seed
    w_gates, u_gates, b_gates = rng.integers(-1, 2, (3, n, m)), rng.integers(-1, 2, (3, n, n)), rng.integers(-3, 4, (3, n))
    memory = Memory(w_gates, u_gates, b_gates, rng.integers(-1, 2, (n, m)), rng.integers(-1, 2, (n, n)),
                    rng.integers(-1, 2, (2, n)), levels, 2 * levels)  # fmt: skip
    assert levels * (m + n) + 3 < HOLD
    x = rng.integers(0, levels + 1, (30, 9, m))
    h, answers = memory.run(x)
    spikes, counted = said(memory, x)
    assert np.array_equal(spikes, h)
    assert np.array_equal(counted, answers)
    assert np.abs(h).max() == levels


@pytest.mark.slow
def test_lstm_truenorth(measured: Measured) -> None:
    found = measured("lstm_truenorth")
    for entry in (found, found["parts"]["parity"]):
        assert {target: entry[target]["lowering"] for target in ("reference", "loihi", "truenorth")} == {
            "reference": "exact",
            "loihi": "exact",
            "truenorth": "exact",
        }
        for target in ("reference", "loihi", "truenorth"):
            assert (entry[target]["accuracy_float"], entry[target]["accuracy_fixed"]) == (1.0, 1.0)
            assert entry[target]["float_distance"] == 0.0
