"""Two tasks of a long short-term memory on TrueNorth: numbers stored and recalled through distractors, and the parity of bits.

Weights are set by hand; `cell` has the circuit.

`recall`: three units hold a number of -3 ... 3 each. In every step a number arrives; a cue may say into which unit it goes, all
others are distractors, and the last step asks for one unit. The label is the sign of what that unit holds.

`parity`: a unit turns its sign over with every bit of 1 (cumulative binary parity), by g = -2 h.
"""

from __future__ import annotations

import numpy as np

from examples.families import Family, Part
from examples.families.lstm_truenorth.cell import Array, IntArray, Memory, network
from neurocomp.ir.network import Network

SLOTS, LEVELS, STEPS, SAMPLES = 3, 3, 8, 100
"""Of `recall`."""
BITS = 12
"""Of `parity`."""


def recall_memory() -> Memory:
    """Return the weights; inputs are the number above 0, that below 0, a cue to store per unit and one to say it per unit."""
    inputs = 2 + 2 * SLOTS
    store, say, value = (np.zeros((SLOTS, inputs), np.int64) for _ in range(3))
    store[:, 2 : 2 + SLOTS] = np.eye(SLOTS)
    say[:, 2 + SLOTS :] = np.eye(SLOTS)
    value[:, :2] = 1, -1
    none = np.zeros((SLOTS, SLOTS), np.int64)
    # i where the cue to store is there, f where it is not, o where the unit is asked for.
    return Memory(
        np.stack([store, -store, say]), np.stack([none] * 3), np.array([[0], [1], [0]]).repeat(SLOTS, axis=1), value, none,
        np.array([[1], [-1]]).repeat(SLOTS, axis=1), LEVELS, LEVELS,
    )  # fmt: skip


def recall_samples() -> tuple[IntArray, IntArray]:
    """Return inputs (samples, steps, 8) and the number that is asked for, (samples,)."""
    rng = np.random.default_rng(2)
    values = rng.integers(1, LEVELS + 1, (SAMPLES, STEPS)) * rng.choice([-1, 1], (SAMPLES, STEPS))
    x, held = np.zeros((SAMPLES, STEPS, 2 + 2 * SLOTS), np.int64), np.zeros((SAMPLES, SLOTS), np.int64)
    x[..., 0], x[..., 1] = np.maximum(values, 0), np.maximum(-values, 0)
    every = np.arange(SAMPLES)
    for step in range(STEPS - 1):
        # Each unit is filled once; later a number goes to one of them, or to none.
        slot = np.full(SAMPLES, step) if step < SLOTS else rng.integers(-1, SLOTS, SAMPLES)
        stored = every[slot >= 0]
        x[stored, step, 2 + slot[stored]] = 1
        held[stored, slot[stored]] = values[stored, step]
    asked = rng.integers(0, SLOTS, SAMPLES)
    x[every, -1, 2 + SLOTS + asked] = 1
    return x, held[every, asked]


def recall() -> Network:
    """Return the network; class 0: the number is above 0."""
    x, wanted = recall_samples()
    return network("recall", recall_memory(), x, (wanted < 0).astype(np.int64))


def parity_memory() -> Memory:
    """Return the weights; inputs are the bit and a cue in the first step."""
    # The cue writes 1; a bit of 1 writes the other sign (i), and what is there is kept where nothing is written (f).
    gates = np.array([[[1, 1]], [[-1, -1]], [[0, 0]]])
    return Memory(
        gates, np.zeros((3, 1, 1), np.int64), np.array([[0], [1], [1]]), np.array([[0, 1]]), np.array([[-2]]),
        np.array([[1], [-1]]), 1, 1,
    )  # fmt: skip


def parity_samples() -> tuple[IntArray, Array]:
    """Return inputs (samples, steps, 2) and whether the number of ones is odd."""
    bits = np.random.default_rng(3).integers(0, 2, (SAMPLES, BITS))
    x = np.zeros((SAMPLES, BITS + 1, 2), np.int64)
    x[:, 0, 1], x[:, 1:, 0] = 1, bits
    return x, bits.sum(axis=1) % 2


def parity() -> Network:
    """Return the network; class 1: odd."""
    return network("parity", parity_memory(), *parity_samples())


FAMILY = Family(
    "LSTM of integrate-and-fire neurons: pairs of signed channels, gates of one bit, a cell state that is stored and released",
    "Shrestha et al., A spike-based long short-term memory on a neurosynaptic processor, ICCAD 2017",
    {"": Part(recall, samples=2), "parity": Part(parity, samples=2)},
)
"""What becomes of it on each chip."""
