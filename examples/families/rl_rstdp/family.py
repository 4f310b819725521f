"""A small task with rewards: two cues, two actions, and which action a cue asks for is learned from reward alone.

In each trial a cue shows, the host tries an action at random by driving its cell, and then says whether that was right: a spike
of ``reward`` or of ``punishment``. Pairs of cue and action have left tags at their synapses, and the reward moves the tagged
weights (R-STDP, Izhikevich 2007). In the second half of a trial the cue shows alone, and the cells answer by what they have
learned so far. No label ever reaches the network; weights go on from trial to trial.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from examples.families import Family, Part
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples

TRIALS, TICKS, CUES = 100, 60, 2
PER_CUE = 4
"""Neurons that show a cue."""
TRIED, TOLD, ALONE = slice(2, 14, 3), 16, 26
"""Ticks in which the host drives a cell; in which it rewards; from which the cue shows alone."""

TEXT = f"""neurocomp: 1
name: rl-rstdp
timestep: 1 ms
ticks: {TICKS}
populations:
  cue: {{kind: input, shape: [{CUES * PER_CUE}]}}
  trial: {{kind: input, shape: [{CUES}]}}
  reward: {{kind: input, shape: [1]}}
  punishment: {{kind: input, shape: [1]}}
  action: {{shape: [{CUES}], neuron: {{model: lif, tau_mem: 10 ms, v_threshold: 1.0, reset: zero}}}}
projections:
  - from: cue
    to: action
    weights: {[[0.12] * (CUES * PER_CUE)] * CUES}
    learn: {{rule: rstdp, rate: 0.0004, w_max: 0.4, tau_plus: 10 ms, tau_minus: 10 ms, a_minus: 0.3, tag_leak: 0.05,
            modulator: [reward, punishment], seed: 1}}
  - {{from: trial, to: action, pattern: one_to_one, weights: 2.0}}
  - {{from: action, to: action, weights: [[0, -0.8], [-0.8, 0]], delay: 1}}
encode: {{cue: {{scheme: direct}}, trial: {{scheme: direct}}, reward: {{scheme: direct}}, punishment: {{scheme: direct}}}}
decode: {{action: {{scheme: window, first: {ALONE}, last: {TICKS - 1}}}}}
"""


def network() -> Network:
    """Return the network with its trials; the label is the action that the cue asks for, the other one's number."""
    generator = np.random.default_rng(0)
    cues, tried = generator.integers(0, CUES, TRIALS), generator.integers(0, CUES, TRIALS)
    wanted = CUES - 1 - cues
    shown = np.arange(CUES * PER_CUE) // PER_CUE == cues[:, None, None]
    cue = (generator.random((TRIALS, TICKS, CUES * PER_CUE)) < 0.3) & shown
    trial = np.zeros((TRIALS, TICKS, CUES), np.int8)
    told = np.zeros((2, TRIALS, TICKS, 1), np.int8)
    for number in range(TRIALS):
        trial[number, TRIED, tried[number]] = 1
        told[int(tried[number] != wanted[number]), number, TOLD] = 1
    inputs = {"cue": cue.astype(np.int8), "trial": trial, "reward": told[0], "punishment": told[1]}
    made = loads(TEXT, Path(__file__).parent)
    return replace(made, data=Data(Samples(inputs, wanted)))


FAMILY = Family(
    "Reward-modulated STDP: which of two actions a cue asks for, learned from rewards while it runs",
    "Izhikevich 2007; Florian 2007",
    {"": Part(network, samples=20)},
)
"""What becomes of it on each chip."""
