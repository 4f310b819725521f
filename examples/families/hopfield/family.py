"""An associative memory: neurons that hear all others complete a pattern of which a part is shown.

Hopfield's (1982) update is v = sum of w s, s = 1 where v > 0, with the weights of Hebb over stored patterns of -1 and 1. With s
in 0 and 1 a neuron compares sum of w s with half the sum of its weights. Neurons here remember nothing from tick to
tick, and all are updated at once; a bias stands for thresholds of either sign. The cue is an input that outweighs the whole
memory in the first two ticks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from neurocomp.ir.network import Data, Decoder, Encoder, Network, Neuron, Population, Projection, Samples, frozen
from neurocomp.models.neurons import Semantics
from neurocomp.models.patterns import Pattern

NEURONS, PATTERNS, TICKS, SHOWN, CUES = 100, 5, 8, 60, 40
CUE_TICKS = 2
AT_ONCE = 1e-6
"""Seconds: a membrane that forgets everything within a tick."""


def patterns() -> NDArray[np.int64]:
    """Return the stored patterns of -1 and 1, (patterns, neurons)."""
    return np.where(np.random.default_rng(7).random((PATTERNS, NEURONS)) < 0.5, -1, 1)


def weights() -> NDArray[np.int64]:
    """Return Hebb's weights, (neurons, neurons), without a synapse of a neuron to itself."""
    stored = patterns()
    w = stored.T @ stored
    np.fill_diagonal(w, 0)
    return np.asarray(w, np.int64)


def cues() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cues that show `SHOWN` neurons of a pattern and chance elsewhere, (cues, neurons), and whose they are."""
    rng = np.random.default_rng(8)
    of = np.arange(CUES) % PATTERNS
    shown = np.zeros((CUES, NEURONS), np.int64)
    for row, pattern in zip(shown, of, strict=True):
        known = rng.permutation(NEURONS)[:SHOWN]
        row[:] = rng.random(NEURONS) < 0.5
        row[known] = patterns()[pattern][known] > 0
    return shown, of


def network() -> Network:
    """Return the memory: ``cue`` -> ``memory``, which hears itself, -> ``which``, that matches what it holds."""
    w = weights()
    half = w.sum(axis=1) / 2
    strong = int(np.abs(w).sum(axis=1).max())

    values = {"tau_mem": AT_ONCE, "r": 1.0, "v_init": 0.0, "v_threshold": float(strong)}
    neuron = Neuron("lif", {key: frozen(np.float64(value)) for key, value in values.items()}, Semantics())

    def joined(
        source: str, target: str, pattern: str, values: NDArray[np.int64], bias: NDArray[np.float64] | None
    ) -> Projection:
        real, late = frozen(values.astype(np.float64)), frozen(np.int64(1))
        shift = None if bias is None else frozen(bias)
        return Projection(f"{source}->{target}", source, target, Pattern(pattern), real, bias=shift, delay=late)

    # Inputs are whole numbers: a quarter beyond the half decides no tie by rounding. A match of more than half is a spike.
    match = (patterns() > 0).sum(axis=1) - NEURONS / 4
    populations = {
        "cue": Population("cue", (NEURONS,)),
        "memory": Population("memory", (NEURONS,), neuron),
        "which": Population("which", (PATTERNS,), neuron),
    }
    projections = (
        joined("cue", "memory", "one_to_one", np.full(NEURONS, strong), None),
        joined("memory", "memory", "dense", w, strong - half - 0.25),
        joined("memory", "which", "dense", patterns(), strong - match),
    )
    shown, of = cues()
    spikes = np.zeros((CUES, TICKS, NEURONS), np.uint8)
    spikes[:, :CUE_TICKS] = shown[:, np.newaxis]
    return Network(
        "hopfield", 1e-3, TICKS, populations, projections,
        {"cue": Encoder("direct", {})}, {"which": Decoder("count", {})}, Data(samples=Samples({"cue": spikes}, of)),
    ).verify()  # fmt: skip


FAMILY = Family(
    "Hopfield: an associative memory",
    "Hopfield 1982",
    {"": Part(network)},
)
