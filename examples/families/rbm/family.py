"""A restricted Boltzmann machine whose units are neurons with noise, so that their spikes sample from it (Neftci 2014).

49 pixels, 60 hidden units, 10 labels; a digit of 7 x 7 pixels, each the mean of 4 x 4, is read by holding the pixels at it and
counting what the labels do. 784-500-10 reached 91.9 % in the paper with its learning by spikes; this one reaches 90 % on 200
test digits, and its exact P(label | pixels) 90.7 % on 10,000.

A unit spikes in a tick with a probability that is close to the logistic function of its input: it keeps nothing from tick to
tick, and six noise inputs of its own, each on in half of the ticks, are added up with the weights 7, 7, 4, 4, 2 and 2. Units of
one layer are updated given the other's spikes of the tick before, which is Gibbs sampling of two independent chains that take
turns. The part ``generate`` holds a label and lets the pixels go.

All weights are whole multiples of `STEP`, -7 to 7, so that integers are exact on every chip.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.families import Family, Part
from examples.families.digits import calibration_digits, mnist, shipped_digits, small
from neurocomp.frontends.from_yaml import loads
from neurocomp.ir.network import Data, Network, Samples

Array = NDArray[Any]
Floats = NDArray[np.float64]
HERE = Path(__file__).parent
PIXELS, HIDDEN, LABELS = 49, 60, 10
NOISE = (7, 7, 4, 4, 2, 2)
"""Weights of a unit's noise, in steps."""
STEP, LARGEST = 0.32, 7
"""A weight of 1 as an argument of the logistic function: the noise then has the standard deviation of that, 1.8."""
TICKS, TESTED, CALIBRATED = 240, 200, 16

UNIT = f"{{model: lif, tau_mem: 1 us, v_threshold: {sum(NOISE) / 2 - 0.5}, reset: zero}}"
"""Sums are whole, so that none meets the threshold, and 1 us is no memory."""


def _text(name: str, shown: str, free: str, sizes: dict[str, int], scheme: str) -> str:
    """Return the network in which the layer ``shown`` is held, and ``hidden`` and the layer ``free`` sample each other."""
    noise = "\n".join(
        f"  - {{from: noise_{layer}, to: {layer}, pattern: {{block: {{indices: weights.npz#i_{layer}}}}}, "
        f"weights: weights.npz#n_{layer}}}"
        for layer in ("hidden", free)
    )
    return f"""neurocomp: 1
name: {name}
timestep: 1 ms
ticks: {TICKS}
populations:
  {shown}: {{kind: input, shape: [{sizes[shown]}]}}
  noise_hidden: {{kind: input, shape: [{len(NOISE) * sizes["hidden"]}]}}
  noise_{free}: {{kind: input, shape: [{len(NOISE) * sizes[free]}]}}
  hidden: {{shape: [{sizes["hidden"]}], neuron: {UNIT}}}
  {free}: {{shape: [{sizes[free]}], neuron: {UNIT}}}
projections:
  - {{from: {shown}, to: hidden, weights: weights.npz#{shown}, transpose: true, bias: weights.npz#b_hidden}}
  - {{from: {free}, to: hidden, weights: weights.npz#{free}, transpose: true, delay: 1}}
  - {{from: hidden, to: {free}, weights: weights.npz#{free}, bias: weights.npz#b_{free}, delay: 1}}
{noise}
encode:
  {shown}: {{scheme: {scheme}, seed: 1}}
  noise_hidden: {{scheme: bernoulli, seed: 2}}
  noise_{free}: {{scheme: bernoulli, seed: 3}}
"""


SIZES = {"pixels": PIXELS, "hidden": HIDDEN, "labels": LABELS}


def _with_noise(free: str, shown: str, values: Floats) -> dict[str, Array]:
    noise = {
        f"noise_{name}": np.broadcast_to(np.float32(0.5), (len(values), len(NOISE) * SIZES[name])) for name in ("hidden", free)
    }
    return {shown: values, **noise}


def network() -> Network:
    """Return the machine that reads digits."""
    made = loads(_text("rbm", "pixels", "labels", SIZES, "bernoulli") + "decode: {labels: {scheme: count}}\n", HERE)
    images, labels = shipped_digits(TESTED)
    samples = Samples(_with_noise("labels", "pixels", small(images, 4)), labels)
    calibration = Samples(_with_noise("labels", "pixels", small(calibration_digits(CALIBRATED), 4)))
    return replace(made, data=Data(samples, calibration)).verify()


def generating() -> Network:
    """Return the machine that is told a label, one sample per label."""
    made = loads(_text("rbm-generate", "labels", "pixels", SIZES, "bernoulli"), HERE)
    return replace(made, data=Data(Samples(_with_noise("pixels", "labels", np.eye(LABELS))))).verify()


# --- training ---------------------------------------------------------------------------------------------------------


def logistic(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def whole(w: Floats, largest: int = LARGEST) -> Floats:
    """Return the nearest whole multiples of the step."""
    return np.clip(np.rint(w / STEP), -largest, largest) * STEP


def chances(w: dict[str, Floats], x: Floats) -> tuple[Floats, Floats]:
    """Return P(label | x), exactly, (n, 10), and the hidden units' probabilities for each label, (n, 10, hidden)."""
    drive = (x @ w["pixels"] + w["b_hidden"])[:, np.newaxis] + w["labels"]
    free = w["b_labels"] + np.logaddexp(0.0, drive).sum(axis=2)
    chance = np.exp(free - free.max(axis=1, keepdims=True))
    return chance / chance.sum(axis=1, keepdims=True), logistic(drive)


def gradient(w: dict[str, Floats], x: Floats, y: Floats, rng: np.random.Generator, generative: float) -> dict[str, Floats]:
    """Return that of log P(y | x), plus ``generative`` times the one of contrastive divergence with one step."""
    n = len(x)
    chance, hidden = chances(w, x)
    error = (y - chance) / n
    pushed = error[:, :, np.newaxis] * hidden
    found = {
        "pixels": x.T @ pushed.sum(axis=1), "labels": pushed.sum(axis=0),
        "b_hidden": pushed.sum(axis=(0, 1)), "b_labels": error.sum(axis=0), "b_pixels": np.zeros(PIXELS),
    }  # fmt: skip
    seen = (rng.random(x.shape) < x).astype(np.float64)
    felt = logistic(seen @ w["pixels"] + y @ w["labels"] + w["b_hidden"])
    sampled = (rng.random(felt.shape) < felt).astype(np.float64)
    pixels, labels = (logistic(sampled @ w[name].T + w[f"b_{name}"]) for name in ("pixels", "labels"))
    again = logistic(pixels @ w["pixels"] + labels @ w["labels"] + w["b_hidden"])
    change = {
        "pixels": seen.T @ felt - pixels.T @ again, "labels": y.T @ felt - labels.T @ again,
        "b_hidden": (felt - again).sum(axis=0), "b_labels": (y - labels).sum(axis=0), "b_pixels": (seen - pixels).sum(axis=0),
    }  # fmt: skip
    return {name: found[name] + generative * change[name] / n for name in found}


def train(folder: Path = Path("package/data")) -> None:
    """Train on all 60,000 digits: contrastive divergence, then with the gradient of P(label | pixels) (Larochelle 2008)."""
    rng = np.random.default_rng(1)
    (images, labels), (test, test_labels) = mnist("train", folder), mnist("t10k", folder)
    x, y = small(images, 4), np.eye(LABELS)[labels]
    real = {
        "pixels": rng.normal(0, 0.1, (PIXELS, HIDDEN)), "labels": rng.normal(0, 0.1, (LABELS, HIDDEN)),
        "b_hidden": np.zeros(HIDDEN), "b_labels": np.zeros(LABELS), "b_pixels": np.log(x.mean(axis=0) + 0.01),
    }  # fmt: skip

    def levels() -> dict[str, Floats]:
        return {name: whole(values, 100 if name.startswith("b") else LARGEST) for name, values in real.items()}

    moments = {name: np.zeros_like(values) for name, values in real.items()}
    squares = {name: np.zeros_like(values) for name, values in real.items()}
    epochs, steps = 15, 0
    for epoch in range(epochs):
        for batch in np.array_split(rng.permutation(len(x)), len(x) // 100):
            found, steps = gradient(levels(), x[batch], y[batch], rng, 1.0 if epoch < 3 else 0.1), steps + 1
            for name, values in found.items():
                moments[name] += 0.1 * (values - moments[name])
                squares[name] += 0.001 * (values**2 - squares[name])
                size = np.sqrt(squares[name] / (1 - 0.999**steps)) + 1e-6
                real[name] += 4e-3 * (1 - epoch / epochs) * moments[name] / (1 - 0.9**steps) / size
                if not name.startswith("b"):
                    np.clip(real[name], -LARGEST * STEP, LARGEST * STEP, out=real[name])
        right = (chances(levels(), small(test, 4))[0].argmax(axis=1) == test_labels).mean()
        print(f"P(label | pixels): {100 * right:.2f} % of {len(test)} test digits", file=sys.stderr, flush=True)
    arrays: dict[str, Any] = {name: np.rint(values / STEP).astype(np.int8) for name, values in levels().items()}
    for name, size in SIZES.items():
        arrays[f"i_{name}"] = np.arange(len(NOISE) * size, dtype=np.int16).reshape(size, len(NOISE))
        arrays[f"n_{name}"] = np.broadcast_to(np.array(NOISE, np.int8), (size, 1, len(NOISE)))
    np.savez_compressed(HERE / "weights.npz", **arrays)


FAMILY = Family(
    "Spiking restricted Boltzmann machine: noisy neurons sample, labels and pixels both ways",
    "Neftci, Das, Pedroni, Kreutz-Delgado and Cauwenberghs, Frontiers in Neuroscience 7, 2014",
    {"": Part(network, samples=1, evaluated=150), "generate": Part(generating, targets=("loihi", "truenorth"), samples=1)},
    train,
)
"""What becomes of a spiking Boltzmann machine on each chip."""
