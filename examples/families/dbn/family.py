"""A deep belief network of leaky integrate-and-fire neurons, trained with Siegert's formula of their rate (O'Connor 2013).

784-500-500-10 in the paper, 196-100-100-10 here: digits of 14 x 14 pixels, each the mean of 2 x 2. A pixel spikes with a
probability per tick. Two layers are trained one after the other by contrastive divergence, then all by gradient descent on
the labels; both take the stationary rate of a LIF neuron under noisy input (Siegert 1951) for what a unit does. The neurons
have no bias.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from math import erf
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
SIZES = (196, 100, 100, 10)
TAU, REFRACTORY, THRESHOLD = 20.0, 1.0, 1.0
"""Ticks; a neuron spikes at most once per tick."""
BRIGHTEST = 0.5
"""Probability per tick of a white pixel."""
TICKS, TESTED, CALIBRATED = 60, 250, 48
SHARPNESS = 20.0
"""Logit of an output that spikes in every tick."""

LIF = f"{{model: lif, tau_mem: {TAU:g} ms, v_threshold: {THRESHOLD}, reset: zero}}"
TEXT = f"""neurocomp: 1
name: dbn
timestep: 1 ms
ticks: {TICKS}
populations:
  pixels: {{kind: input, shape: [{SIZES[0]}]}}
  features: {{shape: [{SIZES[1]}], neuron: {LIF}}}
  shapes: {{shape: [{SIZES[2]}], neuron: {LIF}}}
  digits: {{shape: [{SIZES[3]}], neuron: {LIF}}}
projections:
  - {{from: pixels, to: features, weights: weights.npz#w1}}
  - {{from: features, to: shapes, weights: weights.npz#w2}}
  - {{from: shapes, to: digits, weights: weights.npz#w3}}
encode: {{pixels: {{scheme: bernoulli, gain: {BRIGHTEST}, seed: 1}}}}
decode: {{digits: {{scheme: count}}}}
"""


def network() -> Network:
    """Return the trained network with test digits."""
    images, labels = shipped_digits(TESTED)
    data = Data(Samples({"pixels": small(images)}, labels), Samples({"pixels": small(calibration_digits(CALIBRATED))}))
    return replace(loads(TEXT, HERE), data=data).verify()


# --- Siegert's rate ---------------------------------------------------------------------------------------------------


def _table() -> tuple[Floats, Floats, Floats]:
    """Return u, g(u) = exp(u^2) (1 + erf(u)) and the integral of g up to u, on a grid that is fine near 0."""
    u = np.concatenate([-np.geomspace(1000.0, 5.0, 4000), np.linspace(-5.0, 5.0, 8001)[1:]])
    far = u < -5.0
    g = np.empty_like(u)
    g[far] = (1 - 0.5 / u[far] ** 2 + 0.75 / u[far] ** 4) / (-u[far] * np.sqrt(np.pi))
    g[~far] = [np.exp(x * x) * (1 + erf(x)) for x in u[~far]]
    return u, g, np.concatenate([[0.0], np.cumsum((g[1:] + g[:-1]) / 2 * np.diff(u))])


GRID, SLOPE, AREA = _table()


def siegert(mean: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the rate of a LIF neuron in spikes per tick, and its derivatives by both arguments.

    Args:
        mean: Of the potential if there were no threshold: tau times the sum of w r.
        spread: Root of tau times the sum of w^2 r: the root of 2 times the potential's standard deviation.
    """
    # Beyond 4 the integral is so large that the rate is 0.
    low, high = (np.clip((level - mean) / spread, -999.0, end) for level, end in ((0.0, 4.0), (THRESHOLD, 5.0)))
    factor = TAU * np.sqrt(np.pi)
    rate = 1 / (REFRACTORY + factor * (np.interp(high, GRID, AREA) - np.interp(low, GRID, AREA)))
    at_low, at_high = np.interp(low, GRID, SLOPE), np.interp(high, GRID, SLOPE)
    steep = rate**2 * factor / spread
    return rate, steep * (at_high - at_low), steep * (at_high * high - at_low * low)


class Layer:
    """Neurons with weights (to, from); keeps what the gradient needs."""

    def __init__(self, w: Floats) -> None:
        self.w = w

    def forward(self, x: Floats) -> Floats:
        """Return rates (samples, to) for rates (samples, from)."""
        self.x, self.spread = x, np.sqrt(TAU * (x @ (self.w**2).T) + 1e-3)
        rate, self.by_mean, self.by_spread = siegert(TAU * (x @ self.w.T), self.spread)
        return rate

    def backward(self, error: Floats) -> tuple[Floats, Floats]:
        """Return the gradients of the weights and of x, for that of the rates."""
        by_mean, by_square = error * self.by_mean * TAU, error * self.by_spread * TAU / (2 * self.spread)
        return by_mean.T @ self.x + 2 * self.w * (by_square.T @ self.x), by_mean @ self.w + by_square @ self.w**2


# --- training ---------------------------------------------------------------------------------------------------------


def contrastive_divergence(data: Floats, hidden: int, rng: np.random.Generator, epochs: int, rate: float) -> Floats:
    """Return the weights (hidden, visible) that CD-1 makes of data (n, visible), probabilities or rates."""
    w = rng.normal(0.02, 0.1, (hidden, data.shape[1]))
    change = np.zeros_like(w)
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(data)), len(data) // 100):
            up, down = Layer(w), Layer(np.ascontiguousarray(w.T))
            seen = data[batch]
            felt = up.forward(seen)
            imagined = down.forward((rng.random(felt.shape) < felt).astype(np.float64))
            again = up.forward(imagined)
            change = 0.8 * change + rate * ((felt.T @ seen - again.T @ imagined) / len(batch) - 2e-4 * w)
            w = w + change
    return w


def fine_tune(layers: list[Layer], x: Floats, labels: Array, rng: np.random.Generator, epochs: int) -> None:
    """Descend the cross entropy of the outputs' rates, by Adam."""
    moments = [(np.zeros_like(layer.w), np.zeros_like(layer.w)) for layer in layers]
    steps, total = 0, epochs * (len(x) // 100)
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(x)), len(x) // 100):
            rate = x[batch]
            for layer in layers:
                rate = layer.forward(rate)
            chance = np.exp(SHARPNESS * (rate - rate.max(axis=1, keepdims=True)))
            error = chance / chance.sum(axis=1, keepdims=True)
            error[np.arange(len(batch)), labels[batch]] -= 1
            error *= SHARPNESS / len(batch)
            steps += 1
            step = 3e-3 * (1 - steps / (total + 1))
            for layer, (m, v) in reversed(list(zip(layers, moments, strict=True))):
                gradient, error = layer.backward(error)
                m += 0.1 * (gradient - m)
                v += 0.001 * (gradient**2 - v)
                layer.w -= step * (m / (1 - 0.9**steps)) / (np.sqrt(v / (1 - 0.999**steps)) + 1e-8)


def train(folder: Path = Path("package/data")) -> None:
    """Train on all 60,000 digits."""
    rng = np.random.default_rng(1)
    (images, labels), (test, test_labels) = mnist("train", folder), mnist("t10k", folder)
    x, layers = BRIGHTEST * small(images), []
    activity = x
    for size in SIZES[1:-1]:
        layers.append(Layer(contrastive_divergence(activity, size, rng, 2, 0.02)))
        activity = layers[-1].forward(activity)
    layers.append(Layer(rng.normal(0.02, 0.1, (SIZES[-1], SIZES[-2]))))

    def right() -> float:
        rate = BRIGHTEST * small(test)
        for layer in layers:
            rate = layer.forward(rate)
        return 100 * float((rate.argmax(axis=1) == test_labels).mean())

    for epochs in (2, 8):
        fine_tune(layers, x, labels, rng, epochs)
        print(f"Siegert's rates: {right():.2f} % of {len(test)} test digits", file=sys.stderr)
    weights: dict[str, Any] = {f"w{number}": layer.w.astype(np.float16) for number, layer in enumerate(layers, 1)}
    np.savez_compressed(HERE / "weights.npz", **weights)


FAMILY = Family(
    "Deep belief network: contrastive divergence with Siegert's rates, LIF neurons",
    "O'Connor, Neil, Liu, Delbruck and Pfeiffer, Frontiers in Neuroscience 7, 2013",
    {"": Part(network, {"truenorth": {"approximate_leak": True, "partial_sums": True}}, samples=10)},
    train,
)
"""What becomes of a deep belief network on each chip."""
