"""A stochastic winner-take-all that learns causes of its input by STDP: expectation maximization by spikes (Nessler 2013).

Digits 0, 3 and 4, as in the paper, of 7 x 7 pixels, are shown without labels. Each pixel has two inputs, of which one spikes
for ink and the other for paper, at random (population code). 8 neurons compete: the first to reach its threshold spikes, and
holds the others down for a while. Which one is chance, and the likelier the better its weights explain the input: input spikes
are random, and each neuron has a noise input of its own. At each of its spikes a weight moves by

    dw = rate (c exp(-w) - 1)  for inputs that were active just before,   -rate  for the others        (Nessler et al.)
    dw = rate (c (1 - w)^2 x1 - 1)                                                                     (here)

with x1 from 0 to 1, the trace of the input. Both come to rest where c exp(-w), or c (1 - w)^2, is 1 / p, with p the probability
that the input is active when the neuron spikes: w = log(c p) there, 1 - 1 / sqrt(c p) here, which grows like it from p = 1 / c
on. An exponential function of a weight is no product that chips of the Loihi family have; a square is.

Inhibition in front of the competition, which Nessler et al. derive to be the logarithm of what all neurons hear together, is
the number of input spikes times `INHIBITION`. All weights start high, so that a neuron that has learned nothing wins against
those that have learned something else.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from examples.families.digits import shipped_digits, small
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
DIGITS, PIXELS, NEURONS, SAMPLES, TICKS = (0, 3, 4), 49, 8, 300, 30
SHARE, CONTRAST = 0.3, 4.0
"""Probability per tick of an active input; factor on pixels, which are then at most 1."""
RATE, C, DRIVE, INHIBITION, NOISE, LATERAL = 0.02, 20.0, 0.1, 0.65, 0.05, -5.0
"""``DRIVE`` is what a weight of 1 adds to a potential, of which the threshold is 1."""

LEARN = (
    f"rule: products, dw: {RATE * C / (127 * DRIVE):.10f}*y0*x1*(w-{DRIVE})*(w-{DRIVE}) - {RATE * DRIVE:.10f}*y0, "
    f"x1_impulse: 127, x1_tau: 10 ms, w_max: {DRIVE}"
)
"""In weights that are `DRIVE` times those above."""
LIF = "{model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}"
STOCHASTIC = "{model: stochastic_if, v_threshold: 0.6, noise: 0.8, seed: 5}"


def network(neuron: str = LIF, noise: float = NOISE) -> Network:
    """Return the network, whose weights go on from digit to digit.

    Args:
        neuron: Those that compete.
        noise: Weight of the noise inputs.
    """
    weights = np.random.default_rng(1).uniform(0.75, 0.8, (NEURONS, 2 * PIXELS)) * DRIVE
    lateral = LATERAL * (1 - np.eye(NEURONS))
    text = f"""neurocomp: 1
name: wta-em
timestep: 1 ms
ticks: {TICKS}
populations:
  pixels: {{kind: input, shape: [{2 * PIXELS}]}}
  noise: {{kind: input, shape: [{NEURONS}]}}
  causes: {{shape: [{NEURONS}], neuron: {neuron}}}
projections:
  - {{from: pixels, to: causes, weights: {weights.round(5).tolist()}, learn: {{{LEARN}, seed: 1}}}}
  - {{from: pixels, to: causes, weights: {np.full((NEURONS, 2 * PIXELS), -INHIBITION * DRIVE).tolist()}, name: inhibition}}
  - {{from: noise, to: causes, pattern: one_to_one, weights: {noise}}}
  - {{from: causes, to: causes, weights: {lateral.tolist()}, delay: 1}}
encode: {{pixels: {{scheme: bernoulli, gain: {SHARE}, seed: 1}}, noise: {{scheme: bernoulli, seed: 2}}}}
"""
    images, _ = shown()
    inputs = {"pixels": np.concatenate([images, 1 - images], axis=1), "noise": np.full((SAMPLES, NEURONS), 0.5)}
    # A few calibrate, which changes no scale here: w_max fixes it.
    first = {name: values[:8] for name, values in inputs.items()}
    return replace(loads(text, HERE), data=Data(Samples(inputs), Samples(first))).verify()


def shown() -> tuple[Array, Array]:
    """Return the images (samples, 49) and which digits they show, which the network is not told."""
    images, labels = shipped_digits(500)
    chosen = np.resize(np.flatnonzero(np.isin(labels, DIGITS)), SAMPLES)
    return np.clip(CONTRAST * small(images[chosen], 4), 0.0, 1.0), labels[chosen]


def clusters(spikes: Array, labels: Array) -> tuple[float, float]:
    """Return the purity of the clusters that the winners make, and the conditional entropy of the digit given the winner.

    Args:
        spikes: (samples, ticks, neurons)
        labels: What was shown.

    Returns:
        The share of samples that show what their cluster mostly shows; bits.
    """
    winner = spikes.sum(axis=1, dtype=np.int64).argmax(axis=1)
    table = np.array([[((winner == n) & (labels == d)).sum() for d in DIGITS] for n in range(NEURONS)], np.float64)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    entropy = -(table / table.sum() * np.log2(np.where(share > 0, share, 1))).sum()
    return float(table.max(axis=1).sum() / table.sum()), float(entropy)


FAMILY = Family(
    "Stochastic winner-take-all: STDP as expectation maximization, without labels",
    "Nessler, Pfeiffer, Buesing and Maass, PLoS Computational Biology 9, 2013",
    {
        "": Part(network, samples=10),
        "stochastic": Part(lambda: network(STOCHASTIC, 0.0), targets=("reference", "loihi", "loihi2", "truenorth"), samples=10),
    },
)
"""What becomes of a stochastic winner-take-all on each chip."""
